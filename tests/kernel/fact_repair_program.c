/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program sees that uses its socket while it is in repair mode: so its threads are stopped
 * before.
 */
#include "fact_net.h"

#include <unistd.h>

int main(void)
{
	struct fact_net net;
	struct fact_pair pair;
	char buf[16];
	int queue = TCP_RECV_QUEUE;

	fact_net_open(&net);
	fact_pair_open(&net, AF_INET, &pair);
	fact_write_all(pair.b, "peer", 4);
	fact_settle(&net);
	fact_repair_on(pair.a);
	fact(read(pair.a, buf, sizeof(buf)) < 0 && errno == EPERM, "its read gives EPERM");
	fact(write(pair.a, "mine", 4) < 0 && errno == EINVAL, "its write gives EINVAL");
	must(!setsockopt(pair.a, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	must(write(pair.a, "mine", 4) == 4);
	fact_repair_off(pair.a);
	fact(read(pair.a, buf, sizeof(buf)) == 8 && !memcmp(buf, "peermine", 8),
	     "with the receive queue selected its write comes back as its own input");
	fact_pair_close(&pair);
	fact_net_close(&net);
	return 0;
}
