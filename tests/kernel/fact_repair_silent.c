/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closing or disconnecting a socket in repair mode sends nothing. A disconnected socket can become
 * the same connection again, in place. What else happens to it on the way: SO_ERROR, SO_REUSEADDR,
 * the second bind, counters that restart.
 */
#include "fact_net.h"

#include <unistd.h>

static void silent_close(const struct fact_net *net, struct fact_cap *cap, int family)
{
	struct fact_pair pair;
	struct fact_seen seen;

	fact_pair_open(net, family, &pair);
	fact_settle(net);
	(void)fact_cap_until_marker(cap, net, &pair);
	fact_repair_on(pair.a);
	close(pair.a);
	seen = fact_cap_until_marker(cap, net, &pair);
	fact(seen.from_a == 0, "closing a socket in repair mode sends nothing");
	close(pair.b);
}

static int reuseaddr(int fd)
{
	int v = -1;
	socklen_t len = sizeof(v);

	must(!getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, &len));
	return v;
}

static void in_place(const struct fact_net *net, struct fact_cap *cap, int family, bool dial)
{
	static struct fact_repair r;
	struct fact_pair pair;
	struct fact_seen seen;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int err, keep = 1;

	(dial ? fact_pair_dial : fact_pair_open)(net, family, &pair);
	fact_check_both_ways(&pair, 1000);
	must(!setsockopt(pair.a, SOL_SOCKET, SO_KEEPALIVE, &keep, sizeof(keep)));
	fact_settle(net);
	(void)fact_cap_until_marker(cap, net, &pair);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	fact_disconnect(pair.a);
	seen = fact_cap_until_marker(cap, net, &pair);
	fact(seen.from_a == 0, "%s socket: connect(AF_UNSPEC) in repair mode sends nothing",
	     dial ? "connecting" : "accepted");
	err = fact_so_error(pair.a);
	fact(err == ECONNABORTED && fact_so_error(pair.a) == 0,
	     "it leaves ECONNABORTED in SO_ERROR, which can be read away");
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	fact_repair_off(pair.a);
	keep = 0;
	len = sizeof(keep);
	must(!getsockopt(pair.a, SOL_SOCKET, SO_KEEPALIVE, &keep, &len));
	fact(keep == 1 && fact_tcp_state(pair.a) == TCP_ESTABLISHED,
	     "the same socket is the same connection again, its options kept");
	fact(reuseaddr(pair.a) == 0, "leaving repair mode clears SO_REUSEADDR");
	len = sizeof(info);
	must(!getsockopt(pair.a, IPPROTO_TCP, TCP_INFO, &info, &len));
	fact(info.tcpi_bytes_acked < r.info.tcpi_bytes_acked && info.tcpi_segs_in == 0 &&
		     info.tcpi_rtt != r.info.tcpi_rtt,
	     "bytes_acked, segment counts and rtt restart");
	fact_check_both_ways(&pair, 20000);
	/* The bind of the restore locked the port: the second time it is still there. */
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	fact_disconnect(pair.a);
	(void)fact_so_error(pair.a);
	fact(bind(pair.a, (struct sockaddr *)&pair.addr_a, pair.addr_len) && errno == EINVAL,
	     "disconnected a second time, the socket holds its port: bind gives EINVAL");
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	fact_repair_off(pair.a);
	fact_check_both_ways(&pair, 20000);
	fact_pair_close(&pair);
}

static void undo(const struct fact_net *net, int family)
{
	static struct fact_repair r;
	struct fact_pair pair;

	fact_pair_open(net, family, &pair);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	fact_write_all(pair.b, "while frozen", 12);
	fact_settle(net);
	fact_repair_off(pair.a);
	fact_read_all(pair.a, r.rcv_queue, 12);
	fact_check_both_ways(&pair, 20000);
	fact(1, "leaving repair mode without a change undoes the freeze; nothing is lost");
	fact_pair_close(&pair);
}

static void reuse_order(const struct fact_net *net, int family)
{
	struct fact_pair pair;
	int late, early, one = 1;

	fact_pair_listen(net, family,
			 &pair); /* the listener keeps the port, without SO_REUSEADDR */
	late = fact_socket(&net->a, family);
	fact_repair_on(late);
	must(!setsockopt(late, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	fact(bind(late, (struct sockaddr *)&pair.addr_a, pair.addr_len) && errno == EADDRINUSE,
	     "SO_REUSEADDR set after TCP_REPAIR undoes the forced reuse of a port");
	early = fact_socket(&net->a, family);
	must(!setsockopt(early, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	fact_repair_on(early);
	fact(!bind(early, (struct sockaddr *)&pair.addr_a, pair.addr_len),
	     "set before it does not: a port with a listener can be bound");
	close(late);
	close(early);
	fact_pair_close(&pair);
}

int main(void)
{
	struct fact_net net;
	struct fact_cap cap;
	int families[2] = { AF_INET, AF_INET6 }, i;

	fact_net_open(&net);
	fact_cap_open(&cap, &net.b, net.if_b, ETH_P_ALL);
	for (i = 0; i < 2; i++) {
		printf("IPv%d\n", families[i] == AF_INET ? 4 : 6);
		silent_close(&net, &cap, families[i]);
		in_place(&net, &cap, families[i], false);
		in_place(&net, &cap, families[i], true);
		undo(&net, families[i]);
		reuse_order(&net, families[i]);
	}
	close(cap.fd);
	fact_net_close(&net);
	return 0;
}
