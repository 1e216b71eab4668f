/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host driver reads from rtnetlink and sock_diag: route with path MTU, neighbour with its
 * state and age, link, change events, the one socket of a connection; and what it tells the kernel
 * of a neighbour.
 */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <unistd.h>

#include "fact_net.h"
#include "host/host_netlink.h"

struct wanted {
	enum host_nl_event_type type;
	uint16_t nud_state; /* for neighbours: any of these */
	uint32_t mtu_bytes; /* for links */
	bool seen;
};

static void on_event(void *ctx, const struct host_nl_event *ev)
{
	struct wanted *w = ctx;

	if (ev->type != w->type)
		return;
	if (ev->type == HOST_NL_NEIGH && !(ev->u.neigh.state & w->nud_state))
		return;
	if (ev->type == HOST_NL_LINK && w->mtu_bytes && ev->u.link.mtu_bytes != w->mtu_bytes)
		return;
	w->seen = true;
}

static bool wait_event(struct host_nl *nl, struct wanted *w)
{
	w->seen = false;
	while (!w->seen) {
		if (!fact_wait(host_nl_event_fd(nl), POLLIN))
			return false;
		must_ok(host_nl_events(nl, on_event, w));
	}
	return true;
}

static struct host_nl_addr remote_of(const struct steer_flow *flow)
{
	struct host_nl_addr addr = { .family = flow->family };

	memcpy(addr.bytes, flow->remote, 16);
	return addr;
}

static void links_and_routes(struct fact_net *net, struct host_nl *nl,
			     const struct steer_flow *flow)
{
	struct wanted w = { .type = HOST_NL_LINK, .mtu_bytes = 1400 };
	struct host_nl_addr remote = remote_of(flow);
	struct host_nl_route route;
	struct host_nl_link link;

	must_ok(host_nl_link_get(nl, 0, net->if_a, &link));
	fact(!strcmp(link.kind, "veth") && !memcmp(link.mac, net->mac_a, 6) &&
		     link.mtu_bytes == 1500 && host_nl_link_usable(&link),
	     "a link tells kind, MAC, MTU and state");
	fact(host_nl_link_get(nl, 0, "nosuch", &link) == -ENODEV, "an absent link is ENODEV");
	must_ok(host_nl_link_get(nl, 0, net->if_a, &link));
	must_ok(host_nl_route_get(nl, flow, 0, &route));
	fact(route.type == RTN_UNICAST && route.ifindex == link.ifindex && !route.gatewayed &&
		     !memcmp(&route.next_hop, &remote, sizeof(remote)) && route.mtu_bytes == 1500,
	     "the route of an on-link peer: next hop is the peer, MTU that of the link");
	must_ok(netns_link_set_mtu(&net->a, net->if_a, 1400));
	fact(wait_event(nl, &w), "a new link MTU arrives as an event");
	must_ok(host_nl_route_get(nl, flow, 0, &route));
	fact(route.mtu_bytes == 1400, "and the path MTU follows it");
	must_ok(netns_link_set_mtu(&net->a, net->if_a, 1500));
}

static void gateway_route(struct fact_net *net, struct host_nl *nl, int family)
{
	bool v6 = family == AF_INET6;
	struct wanted w = { .type = HOST_NL_ROUTE };
	struct steer_flow far = { .family = (uint8_t)family };
	struct host_nl_route route;

	must_ok(netns_route_add(&net->a, v6 ? "fd99::" : "10.99.0.0", v6 ? 64 : 24,
				v6 ? "fd77::2" : "10.77.0.2", net->if_a, 1300));
	fact(wait_event(nl, &w), "IPv%d: a new route arrives as an event", v6 ? 6 : 4);
	if (v6) {
		memcpy(far.local, (uint8_t[16]){ 0xfd, 0x77, [15] = 1 }, 16);
		memcpy(far.remote, (uint8_t[16]){ 0xfd, 0x99, [15] = 9 }, 16);
	} else {
		memcpy(far.local, (uint8_t[4]){ 10, 77, 0, 1 }, 4);
		memcpy(far.remote, (uint8_t[4]){ 10, 99, 0, 9 }, 4);
	}
	must_ok(host_nl_route_get(nl, &far, 0, &route));
	fact(route.gatewayed && route.next_hop.bytes[v6 ? 15 : 3] == 2 && route.mtu_bytes == 1300,
	     "IPv%d: a route by way of a router tells its address and path MTU", v6 ? 6 : 4);
}

static void neighbours(struct fact_net *net, struct host_nl *nl, const struct steer_flow *flow)
{
	struct host_nl_addr addr = remote_of(flow), absent = addr;
	struct wanted reach = { .type = HOST_NL_NEIGH, .nud_state = NUD_REACHABLE };
	struct wanted failed = { .type = HOST_NL_NEIGH, .nud_state = NUD_FAILED };
	struct host_nl_neigh n;
	struct host_nl_link link;
	char text[16];

	must_ok(host_nl_link_get(nl, 0, net->if_a, &link));
	must_ok(host_nl_neigh_get(nl, link.ifindex, &addr, &n));
	fact(n.has_mac && !memcmp(n.mac, net->mac_b, 6) &&
		     (n.state & (NUD_REACHABLE | NUD_DELAY | NUD_STALE | NUD_PROBE)) &&
		     n.confirmed_age_ms < 60000,
	     "a neighbour tells MAC, state 0x%02x and age of its confirmation (%u ms)", n.state,
	     n.confirmed_age_ms);
	snprintf(text, sizeof(text), "%s", flow->family == AF_INET ? "10.77.0.2" : "fd77::2");
	must_ok(netns_neigh_set(&net->a, net->if_a, text, net->mac_b, NUD_STALE));
	must_ok(host_nl_neigh_get(nl, link.ifindex, &addr, &n));
	must(n.state == NUD_STALE);
	must_ok(host_nl_neigh_probe(nl, link.ifindex, &addr));
	fact(wait_event(nl, &reach), "a probe of a STALE neighbour makes it REACHABLE");
	must_ok(netns_neigh_set(&net->a, net->if_a, text, net->mac_b, NUD_STALE));
	must_ok(host_nl_neigh_confirm(nl, link.ifindex, &addr, net->mac_b));
	must_ok(host_nl_neigh_get(nl, link.ifindex, &addr, &n));
	fact(n.state == NUD_REACHABLE && n.confirmed_age_ms < 1000,
	     "forward progress told to the kernel makes it REACHABLE, age %u ms",
	     n.confirmed_age_ms);
	fact(host_nl_neigh_confirm(nl, link.ifindex, &addr, net->mac_a) == -ESTALE,
	     "but not with another MAC");
	absent.bytes[flow->family == AF_INET ? 3 : 15] = 77;
	fact(host_nl_neigh_get(nl, link.ifindex, &absent, &n) == -ENOENT,
	     "an unknown neighbour is ENOENT");
	must_ok(host_nl_neigh_probe(nl, link.ifindex, &absent));
	fact(wait_event(nl, &failed),
	     "a probe of an absent one starts resolution, FAILED in the end");
}

static int count_sock(void *ctx, const struct host_nl_sock *sock)
{
	(void)sock;
	++*(int *)ctx;
	return 0;
}

static void sockets(struct host_nl *nl, const struct fact_pair *pair, const struct steer_flow *flow)
{
	struct host_nl_sock sock;
	struct steer_flow other = *flow;
	int count = 0;

	fact_write_all(pair->b, "12345", 5);
	must(fact_wait(pair->a, POLLIN));
	must_ok(host_nl_sock_find(nl, flow, &sock));
	fact(sock.state == TCP_ESTABLISHED && sock.inode && sock.recv_queue_bytes == 5 &&
		     !memcmp(&sock.flow, flow, sizeof(*flow)),
	     "the socket of a connection is found by its addresses: inode, state, queue");
	other.remote_port_be ^= 0x5555;
	fact(host_nl_sock_find(nl, &other, &sock) == -ENOENT, "another port: ENOENT");
	must_ok(host_nl_sock_list(nl, 1u << TCP_ESTABLISHED, count_sock, &count));
	fact(count == 1, "a list of ESTABLISHED sockets has just it");
}

static void mapped(struct fact_net *net, struct host_nl *nl)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	int listener = fact_socket(&net->a, AF_INET6), client = fact_socket(&net->b, AF_INET);
	struct steer_flow flow = { .family = AF_INET,
				   .local = { 10, 77, 0, 1 },
				   .remote = { 10, 77, 0, 2 } };
	struct host_nl_sock sock;
	socklen_t len = sizeof(any);
	int fd;

	must(!bind(listener, (struct sockaddr *)&any, sizeof(any)) && !listen(listener, 1));
	must(!getsockname(listener, (struct sockaddr *)&any, &len));
	memcpy(&to.sin_addr, flow.local, 4);
	to.sin_port = flow.local_port_be = any.sin6_port;
	must(!connect(client, (struct sockaddr *)&to, sizeof(to)));
	len = sizeof(to);
	must(!getsockname(client, (struct sockaddr *)&to, &len));
	flow.remote_port_be = to.sin_port;
	fd = accept(listener, NULL, NULL);
	must(fd >= 0);
	must_ok(host_nl_sock_find(nl, &flow, &sock));
	fact(sock.v4_mapped && !memcmp(&sock.flow, &flow, sizeof(flow)),
	     "an IPv4 connection of an IPv6 socket is found by its IPv4 addresses");
	close(fd), close(client), close(listener);
}

/* So that an unanswered resolution ends after one try. */
static void quick_resolution(struct fact_net *net, int version)
{
	char path[96];

	snprintf(path, sizeof(path), "net/ipv%d/neigh/%s/mcast_solicit", version, net->if_a);
	must_ok(netns_sysctl_set(&net->a, path, "1"));
}

int main(void)
{
	struct fact_net net;
	struct host_nl *nl;
	int families[2] = { AF_INET, AF_INET6 }, i;

	fact_net_open(&net);
	quick_resolution(&net, 4);
	quick_resolution(&net, 6);
	must_ok(host_nl_open(&nl));
	for (i = 0; i < 2; i++) {
		struct fact_pair pair;
		struct steer_flow flow;

		fact_pair_open(&net, families[i], &pair);
		flow = fact_pair_flow(&pair);
		sockets(nl, &pair, &flow);
		links_and_routes(&net, nl, &flow);
		gateway_route(&net, nl, families[i]);
		neighbours(&net, nl, &flow);
		close(pair.a), close(pair.b);
	}
	mapped(&net, nl);
	host_nl_close(nl);
	fact_net_close(&net);
	return 0;
}
