/* SPDX-License-Identifier: BSD-2-Clause */
/* What a loaded target sees of a device with offloads, and frames of flows on the move. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/be.h"
#include "nic/nic_edge.h"
#include "nic/nic_provider.h"
#include "nic/nic_sim_frame.h"

enum { HEAD = 54, FRAMES_MAX = 64, FRAME_BYTES = 1600 };

struct rig {
	struct nic nic;
	struct nic_edge *edge;
	struct chimney_nic *device;
	uint8_t seen[FRAMES_MAX][FRAME_BYTES];
	uint32_t bytes[FRAMES_MAX];
	unsigned int count, indicated;
	bool refuses; /* the target passes everything on to the host */
};

static struct rig rig;

static int indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	(void)nic;
	(void)frame;
	rig.indicated++;
	return 0;
}

static void frame_in(void *context, const void *frame, uint32_t bytes)
{
	struct rig *r = context;

	if (r->refuses) {
		r->device->indicate(r->device->context, frame, bytes);
		return;
	}
	assert_true(r->count < FRAMES_MAX && bytes <= FRAME_BYTES);
	memcpy(r->seen[r->count], frame, bytes);
	r->bytes[r->count++] = bytes;
}

static void run(void *context, uint64_t now_us)
{
	(void)context;
	(void)now_us;
}

static uint64_t deadline(void *context)
{
	(void)context;
	return UINT64_MAX;
}

static const struct chimney_nic_client client = { frame_in, run, deadline };

static int begin(void **state)
{
	static const struct nic_ops ops = { .indicate = indicate };

	(void)state;
	memset(&rig, 0, sizeof(rig));
	nic_init(&rig.nic, &ops);
	assert_int_equal(nic_edge_create(&rig.edge, &rig.nic, 1), 0);
	rig.device = nic_edge_device(rig.edge);
	rig.device->attach(rig.device->context, &client, &rig);
	return 0;
}

static int end(void **state)
{
	(void)state;
	nic_edge_destroy(rig.edge);
	return 0;
}

/* 10.0.0.1:1000 to 10.0.0.2:2000; the checksum is as partial as it gets. */
static struct nic_rx_frame make(uint8_t *f, uint32_t payload, uint8_t flags)
{
	static const uint8_t head[HEAD] = { 2,  0, 0,    0,    0,    2,    2,    0,    0,  0,    0,
					    1,  8, 0,    0x45, 0,    0,    0,    0,    7,  0x40, 0,
					    64, 6, 0,    0,    10,   0,    0,    1,    10, 0,    0,
					    2,  3, 0xe8, 7,    0xd0, 0xff, 0xff, 0xff, 0,  0,    0,
					    0,  9, 0x50, 0,    1,    0,    0,    0,    0,  0 };
	uint32_t i;

	memcpy(f, head, HEAD);
	be_put16(f + 16, HEAD - 14 + payload);
	f[47] = flags;
	for (i = 0; i < payload; i++)
		f[HEAD + i] = (uint8_t)(i * 7);
	return (struct nic_rx_frame){ .data = f, .len = HEAD + payload, .csum_trusted = true };
}

static struct nic_sim_view view(unsigned int i)
{
	struct nic_sim_view v;

	assert_true(nic_sim_view(rig.seen[i], rig.bytes[i], &v));
	return v;
}

/* Whole segments, each with its own numbers and right checksums; FIN and PSH on the last one. */
static void test_super_frame_is_cut(void **state)
{
	uint8_t f[5000];
	struct nic_rx_frame frame = make(f, 3000, NIC_SIM_ACK | NIC_SIM_PSH | NIC_SIM_FIN);
	unsigned int i;
	uint32_t off = 0;

	(void)state;
	frame.gso_size = 1400;
	frame.gso_type = NIC_GSO_TCP4;
	nic_deliver(&rig.nic, &frame);
	assert_int_equal(rig.count, 3);
	for (i = 0; i < 3; i++) {
		struct nic_sim_view v = view(i);

		assert_int_equal(v.seq, 0xffffff00u + off);
		assert_int_equal(v.payload_len, i < 2 ? 1400 : 200);
		assert_int_equal(v.flags & (NIC_SIM_PSH | NIC_SIM_FIN),
				 i < 2 ? 0 : NIC_SIM_PSH | NIC_SIM_FIN);
		assert_true(nic_sim_csum_ok(rig.seen[i], &v));
		assert_memory_equal(rig.seen[i] + v.payload, f + HEAD + off, v.payload_len);
		assert_int_equal(be_get16(rig.seen[i] + 18), 7 + i);
		off += v.payload_len;
	}
}

/* A segment without payload is a segment, too. */
static void test_bare_ack(void **state)
{
	uint8_t f[100];
	struct nic_rx_frame frame = make(f, 0, NIC_SIM_ACK);
	struct nic_sim_view v;

	(void)state;
	nic_deliver(&rig.nic, &frame);
	assert_int_equal(rig.count, 1);
	v = view(0);
	assert_true(nic_sim_csum_ok(rig.seen[0], &v));
}

/* A checksum that came over a wire is the target's to look at: a wrong one stays wrong. */
static void test_wire_checksum_is_left_alone(void **state)
{
	uint8_t f[200];
	struct nic_rx_frame frame = make(f, 100, NIC_SIM_ACK);
	struct nic_sim_view v;

	(void)state;
	frame.csum_trusted = false;
	nic_deliver(&rig.nic, &frame);
	v = view(0);
	assert_false(nic_sim_csum_ok(rig.seen[0], &v));
}

static void test_tag_is_put_back(void **state)
{
	uint8_t f[200];
	struct nic_rx_frame frame = make(f, 10, NIC_SIM_ACK);

	(void)state;
	frame.vlan_present = true;
	frame.vlan_tci = 0x6005;
	nic_deliver(&rig.nic, &frame);
	assert_int_equal(rig.bytes[0], HEAD + 10 + 4);
	assert_int_equal(be_get16(rig.seen[0] + 12), 0x8100);
	assert_int_equal(be_get16(rig.seen[0] + 14), 0x6005);
	assert_memory_equal(rig.seen[0] + 16, f + 12, HEAD - 12 + 10);
}

static struct nic_edge_flow flow(uint16_t remote_port)
{
	struct nic_edge_flow flow = { .local = { 10, 0, 0, 2 }, .remote = { 10, 0, 0, 1 } };

	be_put16((uint8_t *)&flow.local_port_be, 2000);
	be_put16((uint8_t *)&flow.remote_port_be, remote_port);
	return flow;
}

/* What the target does not want yet waits; when the flow is its own, it gets it in order. */
static void test_kept_until_the_target_has_the_flow(void **state)
{
	struct nic_edge_flow wanted = flow(1000), other = flow(1001);
	uint8_t f[200];
	struct nic_rx_frame frame;
	unsigned int i;

	(void)state;
	assert_int_equal(nic_edge_expect(rig.edge, &other), 0);
	assert_int_equal(nic_edge_expect(rig.edge, &wanted), 0);
	assert_int_equal(nic_edge_expect(rig.edge, &wanted), -EEXIST);
	rig.refuses = true;
	for (i = 0; i < 3; i++) {
		frame = make(f, 10 + i, NIC_SIM_ACK);
		nic_deliver(&rig.nic, &frame);
	}
	assert_int_equal(rig.indicated, 0);
	rig.refuses = false;
	nic_edge_unexpect(rig.edge, &wanted);
	assert_int_equal(rig.count, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(rig.bytes[i], HEAD + 10 + i);
	nic_edge_unexpect(rig.edge, &wanted); /* no longer there: nothing happens */
	assert_int_equal(rig.count, 3);
}

/* The move came to nothing: the host gets what was kept, and what comes later. */
static void test_kept_frames_go_to_the_host(void **state)
{
	struct nic_edge_flow wanted = flow(1000);
	uint8_t f[200];
	struct nic_rx_frame frame = make(f, 10, NIC_SIM_ACK);

	(void)state;
	rig.refuses = true;
	assert_int_equal(nic_edge_expect(rig.edge, &wanted), 0);
	nic_deliver(&rig.nic, &frame);
	assert_int_equal(rig.indicated, 0);
	nic_edge_unexpect(rig.edge, &wanted);
	assert_int_equal(rig.indicated, 1);
	nic_deliver(&rig.nic, &frame);
	assert_int_equal(rig.indicated, 2);
}

/* A bound that holds, and nothing lost of what is above it; leftovers go with the edge. */
static void test_no_more_than_the_limit_is_kept(void **state)
{
	struct nic_edge_flow wanted = flow(1000);
	uint8_t f[200];
	struct nic_rx_frame frame = make(f, 10, NIC_SIM_ACK);
	unsigned int i;

	(void)state;
	rig.refuses = true;
	assert_int_equal(nic_edge_expect(rig.edge, &wanted), 0);
	for (i = 0; i < 1000; i++)
		nic_deliver(&rig.nic, &frame);
	assert_int_equal(rig.indicated, 1000 - 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_super_frame_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(test_bare_ack, begin, end),
		cmocka_unit_test_setup_teardown(test_wire_checksum_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_tag_is_put_back, begin, end),
		cmocka_unit_test_setup_teardown(test_kept_until_the_target_has_the_flow, begin,
						end),
		cmocka_unit_test_setup_teardown(test_kept_frames_go_to_the_host, begin, end),
		cmocka_unit_test_setup_teardown(test_no_more_than_the_limit_is_kept, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
