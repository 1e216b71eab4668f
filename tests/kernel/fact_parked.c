/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disconnected socket loses its port: another connect() is given the same 4-tuple, and the peer
 * is reset. A parked one - re-established in repair mode with empty queues, a drop-all filter,
 * keepalive off - holds the port, is visible, and stays silent whatever the peer sends.
 */
#include "fact_net.h"

#include <poll.h>
#include <unistd.h>

#include "host/host_netlink.h"

/* Local ports of new connections come from this one number. */
static void only_port(const struct fact_net *net, const struct fact_pair *pair)
{
	unsigned port = ntohs(((const struct sockaddr_in *)&pair->addr_a)->sin_port);
	char range[32];

	snprintf(range, sizeof(range), "%u %u", port, port);
	must_ok(netns_sysctl_set(&net->a, "net/ipv4/ip_local_port_range", range));
}

static int rival_connect(const struct fact_net *net, const struct fact_pair *pair)
{
	int fd = netns_socket(&net->a, pair->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int err = 0;

	must(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&pair->addr_b, pair->addr_len))
		err = errno;
	must(err == EINPROGRESS || err == EADDRNOTAVAIL);
	if (err == EINPROGRESS) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);

		must(!getsockname(fd, (struct sockaddr *)&ss, &len));
		must(!memcmp(&ss, &pair->addr_a, pair->addr_len));
	}
	close(fd);
	return err;
}

static void lost_port(const struct fact_net *net, int family)
{
	static struct fact_repair r;
	struct fact_pair pair;

	fact_pair_dial(net, family, &pair);
	only_port(net, &pair);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	fact_disconnect(pair.a);
	fact(rival_connect(net, &pair) == EINPROGRESS,
	     "a disconnected socket loses its port: another connect() gets the same 4-tuple");
	must(fact_wait(pair.b, POLLIN));
	fact(fact_so_error(pair.b) == ECONNRESET, "and the peer of the old connection is reset");
	fact_pair_close(&pair);
}

static void park(int fd, const struct fact_pair *pair, const struct fact_repair *r)
{
	static struct fact_repair empty;

	empty = *r;
	empty.snd_len = empty.unsent_len = empty.rcv_len = 0;
	empty.snd_seq -= (uint32_t)r->unsent_len;
	fact_repair_on(fd);
	fact_disconnect(fd);
	(void)fact_so_error(fd);
	fact_drop_all_filter(fd);
	fact_repair_restore(fd, pair, true, &empty, 0, 0);
	fact_repair_off(fd);
}

static void parked(const struct fact_net *net, struct fact_cap *cap, struct host_nl *nl, int family)
{
	static struct fact_repair r;
	struct fact_pair pair;
	struct fact_seen seen;
	struct host_nl_sock sock;
	struct steer_flow flow;

	fact_pair_dial(net, family, &pair);
	flow = fact_pair_flow(&pair);
	only_port(net, &pair);
	fact_settle(net);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	park(pair.a, &pair, &r);
	(void)fact_cap_until_marker(cap, net, &pair);
	fact_write_all(pair.b, "anyone?", 7);
	fact_settle(net);
	seen = fact_cap_until_marker(cap, net, &pair);
	fact(seen.from_b >= 1 && seen.from_a == 0, "a parked socket answers the peer's segment "
						   "with nothing");
	fact(rival_connect(net, &pair) == EADDRNOTAVAIL, "its port is held");
	must_ok(host_nl_sock_find(nl, &flow, &sock));
	fact(sock.state == TCP_ESTABLISHED, "and it is listed as ESTABLISHED");
	/* Up again: the same socket, its real state, filter gone. */
	fact_repair_on(pair.a);
	fact_disconnect(pair.a);
	(void)fact_so_error(pair.a);
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	fact_no_filter(pair.a);
	fact_repair_off(pair.a);
	fact_read_all(pair.a, r.rcv_queue, 7);
	fact_check_both_ways(&pair, 20000);
	fact(fact_so_error(pair.b) == 0,
	     "un-parked, it goes on; the peer sends again what it missed");
	fact_pair_close(&pair);
}

int main(void)
{
	struct fact_net net;
	struct fact_cap cap;
	struct host_nl *nl;
	int families[2] = { AF_INET, AF_INET6 }, i;

	fact_net_open(&net);
	must_ok(host_nl_open(&nl));
	fact_cap_open(&cap, &net.b, net.if_b, ETH_P_ALL);
	for (i = 0; i < 2; i++) {
		printf("IPv%d\n", families[i] == AF_INET ? 4 : 6);
		must_ok(netns_sysctl_set(&net.a, "net/ipv4/ip_local_port_range", "32768 60999"));
		lost_port(&net, families[i]);
		must_ok(netns_sysctl_set(&net.a, "net/ipv4/ip_local_port_range", "32768 60999"));
		parked(&net, &cap, nl, families[i]);
	}
	close(cap.fd);
	host_nl_close(nl);
	fact_net_close(&net);
	return 0;
}
