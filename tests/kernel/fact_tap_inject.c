/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame with our own MAC written to the TAP is received by the kernel's own stack: segments that
 * were caught by steering reach their socket this way, super-frames included, also where the
 * administrator has strict reverse path filtering.
 */
#include "fact_net.h"

#include <linux/if_ether.h>
#include <poll.h>
#include <unistd.h>

#include "nic/nic_tap.h"

#define BYTES      14000
#define ROUNDS_MAX 50u

struct give_back {
	struct nic *nic;
	unsigned frames;
	bool super;
	int err;
};

static void on_frame(void *ctx, const struct nic_rx_frame *frame)
{
	struct give_back *g = ctx;

	g->frames++;
	g->super |= frame->gso_type != NIC_GSO_NONE;
	if (!g->err)
		g->err = nic_indicate(g->nic, frame);
}

/* BYTES from the peer, all by way of the TAP; true when they arrived as they were sent. */
static bool pass_on(struct give_back *g, const struct fact_pair *pair, uint8_t seed)
{
	static uint8_t out[BYTES], in[BYTES];
	size_t got = 0;

	fact_fill(out, sizeof(out), seed);
	fact_write_all(pair->b, out, BYTES);
	while (got < BYTES) {
		struct pollfd pfd[2] = { { .fd = nic_fd(g->nic), .events = POLLIN },
					 { .fd = pair->a, .events = POLLIN } };
		ssize_t n;

		must(poll(pfd, 2, FACT_WAIT_MS) > 0);
		nic_poll(g->nic, 16);
		must_ok(g->err);
		n = recv(pair->a, in + got, BYTES - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	return !memcmp(in, out, BYTES);
}

static void try_family(const struct fact_net *net, struct fact_steer *s, int family)
{
	struct give_back g = { .nic = s->nic };
	struct fact_pair pair;
	struct steer_flow flow;
	int v = family == AF_INET ? 4 : 6;
	bool same = true;

	fact_pair_open(net, family, &pair);
	flow = fact_pair_flow(&pair);
	must_ok(steer_add(s->st, &flow, 1));
	nic_set_rx(s->nic, on_frame, &g);
	/* A paced sender may begin with single segments: a super-frame has to be among them. */
	for (unsigned int round = 0; same && (!round || (!g.super && round < ROUNDS_MAX)); round++)
		same = pass_on(&g, &pair, (uint8_t)(3 + round));
	fact(same, "IPv%d: what steering caught, given back through the TAP, reaches its socket",
	     v);
	fact(g.super, "IPv%d: super-frames are among it", v);
	must_ok(steer_del(s->st, &flow, 1));
	nic_set_rx(s->nic, NULL, NULL);
	fact_pair_close(&pair);
}

static void foreign_mac(const struct fact_net *net, struct fact_steer *s)
{
	uint8_t bytes[60] = { 0 };
	struct nic_rx_frame frame = { .data = bytes, .len = sizeof(bytes) };

	memcpy(bytes, net->mac_b, 6);
	fact(nic_indicate(s->nic, &frame) == -EINVAL, "a frame for another MAC is refused");
	memcpy(bytes, net->mac_a, 6);
	bytes[12] = 0x81;
	fact(nic_indicate(s->nic, &frame) == -EOPNOTSUPP, "so is one of a VLAN");
}

static void try_rp_filter(const struct fact_net *net, const char *rp_filter)
{
	struct fact_steer s;

	printf("net.ipv4.conf.all.rp_filter = %s\n", rp_filter);
	must_ok(netns_sysctl_set(&net->a, "net/ipv4/conf/all/rp_filter", rp_filter));
	fact_steer_open(net, &s);
	fact_settle(net);
	fact(nic_poll(s.nic, 1) == 0, "the TAP by itself is silent");
	try_family(net, &s, AF_INET);
	try_family(net, &s, AF_INET6);
	foreign_mac(net, &s);
	fact_steer_close(&s);
}

int main(int argc, char **argv)
{
	struct fact_net net;

	fact_use_veth = argc > 1 && !strcmp(argv[1], "veth");
	fact_net_open(&net);
	try_rp_filter(&net, "0");
	try_rp_filter(&net, "1");
	try_rp_filter(&net, "2");
	fact_net_close(&net);
	return 0;
}
