/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nic/nic_pair.h"

enum { QUEUE = 4 };

struct seen {
	unsigned int count;
	uint8_t first[QUEUE * 2];
	struct nic_rx_frame last;
	uint8_t bytes[70000];
};

static void receive(void *ctx, const struct nic_rx_frame *frame)
{
	struct seen *seen = ctx;

	assert_true(seen->count < QUEUE * 2);
	seen->first[seen->count++] = frame->data[0];
	seen->last = *frame;
	memcpy(seen->bytes, frame->data, frame->len);
}

static void make(struct nic *nics[2], bool tso, bool no_csum)
{
	const struct nic_pair_config config = {
		.mtu_bytes = 1500,
		.tso = tso,
		.no_csum = no_csum,
		.queue_frames = QUEUE,
		.mac = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } },
	};

	assert_int_equal(nic_pair_create(nics, &config), 0);
}

static unsigned int send_bytes(struct nic *nic, uint8_t *data, uint32_t len, enum nic_gso type)
{
	struct iovec iov[2] = { { data, 10 }, { data + 10, len - 10 } };
	struct nic_tx_frame frame = {
		.iov = iov, .iov_count = 2, .len = len, .gso_type = type, .gso_size = 1448
	};

	return nic_send(nic, &frame, 1);
}

/* In order, whole, in both directions; a full queue takes no more until it was polled. */
static void test_order_and_room(void **state)
{
	uint8_t data[100];
	struct seen seen = { 0 };
	struct nic *nics[2];

	(void)state;
	make(nics, false, false);
	nic_set_rx(nics[1], receive, &seen);
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (unsigned int i = 0; i < QUEUE; i++) {
		data[0] = (uint8_t)(i + 1);
		assert_int_equal(send_bytes(nics[0], data, sizeof(data), NIC_GSO_NONE), 1);
	}
	assert_int_equal(send_bytes(nics[0], data, sizeof(data), NIC_GSO_NONE), 0);
	assert_int_equal(nic_poll(nics[1], 3), 3);
	assert_int_equal(seen.count, 3);
	data[0] = 9;
	assert_int_equal(send_bytes(nics[0], data, sizeof(data), NIC_GSO_NONE), 1);
	assert_int_equal(nic_poll(nics[1], 64), 2);
	assert_memory_equal(seen.first, ((uint8_t[]){ 1, 2, 3, 4, 9 }), 5);
	assert_memory_equal(seen.bytes + 1, data + 1, sizeof(data) - 1);
	assert_true(seen.last.csum_trusted);
	assert_int_equal(nic_poll(nics[0], 64), 0);
	nic_close(nics[0]);
	nic_close(nics[1]);
}

/*
 * Super-frames travel uncut where the pair takes them; where it does not they are dropped and
 * counted.
 */
static void test_super_frames(void **state)
{
	static uint8_t data[60000];
	static struct seen seen;
	struct nic_stats stats;
	struct nic *nics[2];

	(void)state;
	make(nics, true, true);
	assert_int_equal(nic_info(nics[0])->features, NIC_FEAT_TSO4 | NIC_FEAT_TSO6);
	nic_set_rx(nics[1], receive, &seen);
	data[59999] = 7;
	assert_int_equal(send_bytes(nics[0], data, sizeof(data), NIC_GSO_TCP4), 1);
	assert_int_equal(nic_poll(nics[1], 1), 1);
	assert_int_equal(seen.last.len, sizeof(data));
	assert_int_equal(seen.last.gso_type, NIC_GSO_TCP4);
	assert_int_equal(seen.last.gso_size, 1448);
	assert_false(seen.last.csum_trusted);
	assert_int_equal(seen.bytes[59999], 7);
	nic_close(nics[0]);
	nic_close(nics[1]);
	make(nics, false, false);
	assert_int_equal(send_bytes(nics[0], data, sizeof(data), NIC_GSO_NONE), 1);
	nic_stats(nics[0], &stats);
	assert_int_equal(stats.tx_drops, 1);
	assert_int_equal(nic_poll(nics[1], 1), 0);
	nic_close(nics[0]);
	nic_close(nics[1]);
}

static void test_bad_queue(void **state)
{
	struct nic_pair_config config = { .mtu_bytes = 1500, .queue_frames = 3 };
	struct nic *nics[2];

	(void)state;
	assert_int_equal(nic_pair_create(nics, &config), -EINVAL);
	config.queue_frames = 0;
	assert_int_equal(nic_pair_create(nics, &config), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_room),
		cmocka_unit_test(test_super_frames),
		cmocka_unit_test(test_bad_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
