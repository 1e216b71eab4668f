/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steering by a netdev ingress chain with a set of 4-tuples and fwd to a TAP: exactly the flows in
 * the set arrive there, as super-frames; a frame written to the TAP leaves through the interface.
 */
#include "fact_net.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "nic/nic_tap.h"

struct tally {
	unsigned frames, gso_frames, trusted;
	uint32_t payload_bytes, largest;
};

static void on_frame(void *ctx, const struct nic_rx_frame *frame)
{
	struct tally *t = ctx;

	t->frames++;
	t->gso_frames += frame->gso_type != NIC_GSO_NONE;
	t->trusted += frame->csum_trusted;
	if (frame->len > t->largest)
		t->largest = frame->len;
}

static void wait_frames(struct nic *nic, const struct tally *t, unsigned want)
{
	while (t->frames < want) {
		must(fact_wait(nic_fd(nic), POLLIN));
		nic_poll(nic, 64);
	}
}

static void inbound(const struct fact_net *net, struct nic *nic, struct steer *st, int family)
{
	static uint8_t data[40000];
	struct fact_pair in, other;
	struct steer_flow flow;
	struct tally t = { 0 };

	fact_pair_open(net, family, &in);
	fact_pair_open(net, family, &other);
	flow = fact_pair_flow(&in);
	nic_set_rx(nic, on_frame, &t);
	/* The first ACK of the peer opened its window; nothing is in flight now. */
	must_ok(steer_add(st, &flow, 1));
	fact_fill(data, sizeof(data), 1);
	must(write(in.b, data, 14000) == 14000);
	wait_frames(nic, &t, 1);
	fact(t.gso_frames >= 1 && t.trusted == t.frames && t.largest > 1514,
	     "IPv%d: a steered flow reaches the TAP as super-frames (%u bytes) with partial "
	     "checksums",
	     family == AF_INET ? 4 : 6, t.largest);
	t.frames = 0;
	fact_write_all(other.b, data, sizeof(data));
	fact_read_all(other.a, data, sizeof(data));
	nic_poll(nic, 64);
	fact(t.frames == 0, "a flow that is not in the set stays with the kernel");
	must_ok(steer_del(st, &flow, 1));
	fact_read_all(in.a, data, 14000);
	fact(1, "after unsteering the peer's retransmission reaches the kernel's socket");
	close(in.a), close(in.b), close(other.a), close(other.b);
}

static void outbound(const struct fact_net *net, struct nic *nic, int family)
{
	static uint8_t frame[66000], payload[60000];
	struct fact_cap cap;
	struct fact_pair pair;
	struct fact_seg seg;
	size_t hdr = family == AF_INET ? 54 : 74;
	struct iovec iov[2] = { { frame, hdr }, { payload, sizeof(payload) } };
	struct nic_tx_frame tx = {
		.iov = iov,
		.iov_count = 2,
		.len = (uint32_t)(hdr + sizeof(payload)),
		.hdr_len = (uint16_t)hdr,
		.csum_partial = true,
		.csum_start = (uint16_t)(hdr - 20),
		.gso_type = family == AF_INET ? NIC_GSO_TCP4 : NIC_GSO_TCP6,
		.gso_size = 1400,
	};

	fact_pair_open(net, family, &pair);
	fact_cap_open(&cap, &net->b, net->if_b, ETH_P_ALL);
	/* Out of every window: the peer's TCP answers it, our wire shows it. */
	fact_build_segment(frame, net, &pair, true, 0x10000000, 0, FACT_ACK, NULL, payload,
			   sizeof(payload) / 8);
	if (family == AF_INET) {
		frame[16] = (uint8_t)((hdr - 14 + sizeof(payload)) >> 8);
		frame[17] = (uint8_t)((hdr - 14 + sizeof(payload)) & 255);
	} else {
		frame[18] = (uint8_t)((20 + sizeof(payload)) >> 8);
		frame[19] = (uint8_t)((20 + sizeof(payload)) & 255);
	}
	must(nic_send(nic, &tx, 1) == 1);
	must(fact_cap_next(&cap, &pair, &seg));
	fact(seg.from_a && seg.payload_len == sizeof(payload),
	     "IPv%d: a super-frame of %u bytes written to the TAP crosses the veth in one piece",
	     family == AF_INET ? 4 : 6, seg.frame_len);
	close(cap.fd), close(pair.a), close(pair.b);
}

static void measure(struct steer *st)
{
	struct steer_flow flow = { .family = AF_INET,
				   .local = { 10, 77, 0, 1 },
				   .remote = { 10, 77, 0, 2 } };
	static struct steer_flow many[STEER_BATCH_FLOWS];
	struct timespec t0, t1;
	unsigned i, n = 2000;
	double add_del_us, batch_us;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (i = 0; i < n; i++) {
		flow.local_port_be = (uint16_t)i;
		must_ok(steer_add(st, &flow, 1));
		must_ok(steer_del(st, &flow, 1));
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	add_del_us =
		((double)(t1.tv_sec - t0.tv_sec) * 1e6 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e3) /
		(2.0 * n);
	for (i = 0; i < STEER_BATCH_FLOWS; i++) {
		many[i] = flow;
		many[i].family = i & 1 ? AF_INET6 : AF_INET;
		many[i].local_port_be = (uint16_t)i;
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	must_ok(steer_add(st, many, STEER_BATCH_FLOWS));
	must_ok(steer_del(st, many, STEER_BATCH_FLOWS));
	clock_gettime(CLOCK_MONOTONIC, &t1);
	batch_us =
		((double)(t1.tv_sec - t0.tv_sec) * 1e6 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e3) /
		(2.0 * STEER_BATCH_FLOWS);
	printf("note: one flow added or deleted in %.1f us, in a batch of %u %.2f us\n", add_del_us,
	       STEER_BATCH_FLOWS, batch_us);
}

static void errors(struct steer *st)
{
	struct steer_flow f[2] = { { .family = AF_INET, .local = { 1 } },
				   { .family = AF_INET, .local = { 2 } } };

	must_ok(steer_add(st, &f[1], 1));
	fact(steer_add(st, f, 2) == -EEXIST && steer_del(st, &f[0], 1) == -ENOENT,
	     "a batch with one flow that is there already changes nothing and says so");
	must_ok(steer_del(st, &f[1], 1));
}

int main(int argc, char **argv)
{
	struct fact_net net;
	struct fact_steer s;

	fact_use_veth = argc > 1 && !strcmp(argv[1], "veth");
	fact_net_open(&net);
	fact_steer_open(&net, &s);
	inbound(&net, s.nic, s.st, AF_INET);
	inbound(&net, s.nic, s.st, AF_INET6);
	outbound(&net, s.nic, AF_INET);
	outbound(&net, s.nic, AF_INET6);
	errors(s.st);
	measure(s.st);
	fact_steer_close(&s);
	fact_net_close(&net);
	return 0;
}
