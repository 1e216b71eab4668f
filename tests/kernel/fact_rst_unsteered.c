/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Once a frozen socket is gone the kernel answers the peer's next segment with RST, unless the flow
 * is steered away: so steering comes first.
 */
#include "fact_net.h"

#include <poll.h>
#include <unistd.h>

static void freeze_and_write(const struct fact_pair *pair)
{
	fact_repair_on(pair->a);
	close(pair->a);
	fact_write_all(pair->b, "anyone?", 7);
}

static void try_family(const struct fact_net *net, struct fact_steer *s, int family)
{
	struct fact_pair pair;
	struct steer_flow flow;
	int v = family == AF_INET ? 4 : 6;

	fact_pair_open(net, family, &pair);
	freeze_and_write(&pair);
	must(fact_wait(pair.b, POLLIN));
	fact(fact_so_error(pair.b) == ECONNRESET, "IPv%d: without steering the peer is reset", v);
	close(pair.b);

	fact_pair_open(net, family, &pair);
	flow = fact_pair_flow(&pair);
	must_ok(steer_add(s->st, &flow, 1));
	freeze_and_write(&pair);
	fact_settle(net);
	fact(fact_so_error(pair.b) == 0 && fact_tcp_state(pair.b) == TCP_ESTABLISHED,
	     "IPv%d: steered away first, the peer notices nothing", v);
	must_ok(steer_del(s->st, &flow, 1));
	close(pair.b);
}

int main(void)
{
	struct fact_net net;
	struct fact_steer s;

	fact_net_open(&net);
	fact_steer_open(&net, &s);
	try_family(&net, &s, AF_INET);
	try_family(&net, &s, AF_INET6);
	fact_steer_close(&s);
	fact_net_close(&net);
	return 0;
}
