/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet socket bound to one protocol gets frames after the netdev ingress hook: it does not see
 * steered ones. One bound to ETH_P_ALL gets them before.
 */
#include "fact_net.h"

#include <unistd.h>

static unsigned drain(struct fact_cap *cap)
{
	uint8_t buf[2048];
	unsigned frames = 0;

	while (recv(cap->fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		frames++;
	return frames;
}

int main(void)
{
	struct fact_net net;
	struct fact_steer s;
	struct fact_cap before, after;
	struct fact_pair pair;
	struct fact_seg seg;
	struct steer_flow flow;

	fact_net_open(&net);
	fact_steer_open(&net, &s);
	fact_pair_open(&net, AF_INET, &pair);
	flow = fact_pair_flow(&pair);
	fact_settle(&net);
	fact_cap_open(&before, &net.a, net.if_a, ETH_P_ALL);
	fact_cap_open(&after, &net.a, net.if_a, ETH_P_IP);
	fact_write_all(pair.b, "one", 3);
	must(fact_cap_next(&before, &pair, &seg));
	fact(fact_cap_next(&after, &pair, &seg) && !seg.from_a,
	     "both kinds of packet socket see a frame that is not steered");
	fact_settle(&net);
	must_ok(steer_add(s.st, &flow, 1));
	drain(&before);
	drain(&after);
	fact_write_all(pair.b, "two", 3);
	fact(fact_cap_next(&before, &pair, &seg) && !seg.from_a && seg.payload_len == 3,
	     "a steered frame is seen by one bound to ETH_P_ALL");
	fact(drain(&after) == 0, "and not by one bound to ETH_P_IP: it comes after the hook");
	must_ok(steer_del(s.st, &flow, 1));
	close(before.fd);
	close(after.fd);
	fact_pair_close(&pair);
	fact_steer_close(&s);
	fact_net_close(&net);
	return 0;
}
