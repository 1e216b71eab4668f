/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ICMP "fragmentation needed" that quotes an offloaded connection finds no socket: the route
 * keeps its MTU and no event says so. Neither does a parked socket take one that quotes a sequence
 * number of the target's. A raw socket sees it, so it can be read and checked there.
 */
#include "fact_net.h"

#include <linux/if_ether.h>
#include <poll.h>
#include <unistd.h>

#include "host/host_netlink.h"

static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* "Fragmentation needed, MTU mtu", from b, quoting a segment of a with sequence number seq. */
static void send_frag_needed(const struct fact_net *net, const struct fact_pair *pair, uint32_t seq,
			     uint16_t mtu)
{
	uint8_t quoted[128], frame[14 + 20 + 8 + 28];
	uint8_t *ip = frame + 14, *icmp = ip + 20;
	uint16_t sum;

	fact_build_segment(quoted, net, pair, true, seq, 0, FACT_ACK, NULL, NULL, 0);
	memset(frame, 0, sizeof(frame));
	memcpy(frame, net->mac_a, 6);
	memcpy(frame + 6, net->mac_b, 6);
	frame[12] = 0x08;
	ip[0] = 0x45;
	ip[3] = sizeof(frame) - 14;
	ip[8] = 64;
	ip[9] = IPPROTO_ICMP;
	memcpy(ip + 12, (uint8_t[]){ 10, 77, 0, 2, 10, 77, 0, 1 }, 8);
	sum = checksum(ip, 20);
	ip[10] = (uint8_t)(sum >> 8), ip[11] = (uint8_t)sum;
	icmp[0] = 3, icmp[1] = 4;
	icmp[6] = (uint8_t)(mtu >> 8), icmp[7] = (uint8_t)mtu;
	memcpy(icmp + 8, quoted + 14, 28);
	sum = checksum(icmp, 36);
	icmp[2] = (uint8_t)(sum >> 8), icmp[3] = (uint8_t)sum;
	fact_arrive(net, frame, sizeof(frame));
	fact_settle(net);
}

static void any_event(void *ctx, const struct host_nl_event *ev)
{
	/* IPv6 routes of the fresh links may still come. */
	if ((ev->type == HOST_NL_ROUTE || ev->type == HOST_NL_ROUTE_GONE) &&
	    ev->u.prefix.addr.family == AF_INET)
		++*(int *)ctx;
}

static uint32_t path_mtu(struct host_nl *nl, const struct steer_flow *flow)
{
	struct host_nl_route route;

	must_ok(host_nl_route_get(nl, flow, 0, &route));
	return route.mtu_bytes;
}

int main(void)
{
	static struct fact_repair r;
	struct fact_net net;
	struct fact_pair pair, live;
	struct host_nl *nl;
	struct steer_flow flow;
	uint8_t seen[256];
	int raw, events = 0;

	fact_net_open(&net);
	must_ok(host_nl_open(&nl));
	raw = netns_socket(&net.a, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	must(raw >= 0);
	fact_pair_open(&net, AF_INET, &pair);
	flow = fact_pair_flow(&pair);
	fact_settle(&net);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	close(pair.a);
	must_ok(host_nl_events(nl, any_event, &events));
	events = 0;
	send_frag_needed(&net, &pair, r.snd_seq, 1300);
	must_ok(host_nl_events(nl, any_event, &events));
	fact(path_mtu(nl, &flow) == 1500 && events == 0,
	     "without a socket it changes no path MTU and makes no event");
	fact(fact_wait(raw, POLLIN) && recv(raw, seen, sizeof(seen), 0) == 20 + 8 + 28 &&
		     seen[20] == 3 && seen[21] == 4,
	     "a raw socket sees it, with the quoted header");

	pair.a = fact_socket(&net.a, AF_INET);
	fact_drop_all_filter(pair.a);
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	fact_repair_off(pair.a);
	send_frag_needed(&net, &pair, r.snd_seq + 100000, 1300);
	fact(path_mtu(nl, &flow) == 1500,
	     "a parked socket ignores it when the target has gone on with the sequence numbers");

	fact_pair_open(&net, AF_INET, &live);
	fact_drop_all_filter(live.b); /* so that something is unacknowledged */
	fact_repair_on(live.a);
	fact_repair_read(live.a, &r);
	fact_repair_off(live.a);
	fact_write_all(live.a, "unacknowledged", 14);
	send_frag_needed(&net, &live, r.snd_seq, 1300);
	fact(path_mtu(nl, &flow) == 1300, "a live socket takes it: the path to the peer is 1300");
	must_ok(host_nl_events(nl, any_event, &events));
	fact(events == 0, "but no rtnetlink event tells of it");
	close(raw);
	fact_pair_close(&live);
	fact_pair_close(&pair);
	host_nl_close(nl);
	fact_net_close(&net);
	return 0;
}
