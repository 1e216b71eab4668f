/* SPDX-License-Identifier: BSD-2-Clause */
/* The flow table against a list, and caught frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "nic/nic_sim_net.h"
#include "target/tgt_adapter.h"
#include "target/tgt_chunk.h"
#include "target/tgt_flow.h"

#define FLOWS  64u
#define FRAMES 4u

static struct tgt_adapter adapter;

static int setup(void **state)
{
	const struct arena_pool_spec pools[] = { { "chunk", TGT_CHUNK_BYTES, 8,
						   sizeof(struct tgt_chunk) } };

	memset(&adapter, 0, sizeof(adapter));
	assert_int_equal(arena_create(&adapter.arena, "test", pools, 1), 0);
	assert_int_equal(tgt_flow_table_create(&adapter.flows, FLOWS, FRAMES, 9000, 42), 0);
	*state = &adapter;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(arena_used(adapter.arena, 0), 0);
	tgt_flow_table_destroy(adapter.flows);
	arena_destroy(adapter.arena);
	return 0;
}

static struct tgt_tuple tuple(uint32_t n)
{
	struct tgt_tuple t = { .local_port_be = htons(80),
			       .remote_port_be = htons((uint16_t)(n % 7)),
			       .v6 = n & 1 };

	t.local[0] = 10;
	t.remote[3] = (uint8_t)(n / 7);
	return t;
}

static void test_table(void **state)
{
	struct tgt_adapter *a = *state;
	uint32_t slot_of[100];
	struct nic_sim_rng rng;
	uint32_t used = 0;

	memset(slot_of, 0xff, sizeof(slot_of));
	nic_sim_rng_seed(&rng, 3);
	for (unsigned int step = 0; step < 20000; step++) {
		uint32_t n = (uint32_t)nic_sim_rng_below(&rng, 100);
		struct tgt_tuple t = tuple(n);
		struct tgt_flow *f = tgt_flow_find(a->flows, &t);

		assert_int_equal(f ? f->slot : TGT_FLOW_NO_CONN, slot_of[n]);
		if (slot_of[n] != TGT_FLOW_NO_CONN) {
			assert_int_equal(tgt_flow_attach(a, &t, step), -EEXIST);
			tgt_flow_detach(a, &t);
			slot_of[n] = TGT_FLOW_NO_CONN;
			used--;
		} else {
			assert_int_equal(tgt_flow_attach(a, &t, step), used < FLOWS ? 0 : -ENOSPC);
			if (used < FLOWS) {
				slot_of[n] = step;
				used++;
			}
		}
	}
	for (uint32_t n = 0; n < 100; n++) {
		struct tgt_tuple t = tuple(n);

		tgt_flow_detach(a, &t);
		assert_null(tgt_flow_find(a->flows, &t));
	}
}

struct seen {
	unsigned int count;
	uint32_t len[8];
	uint8_t first[8];
	uint16_t gso[8];
	struct tgt_adapter *again; /* catch what is released once more */
	struct tgt_flow *flow;
};

static void see(void *ctx, const struct nic_rx_frame *frame)
{
	struct seen *s = ctx;

	s->len[s->count] = frame->len;
	s->first[s->count] = frame->data[0];
	s->gso[s->count] = frame->gso_size;
	for (uint32_t i = 1; i < frame->len; i++)
		assert_int_equal(frame->data[i], (uint8_t)(i * 3));
	s->count++;
	if (s->again)
		assert_int_equal(tgt_flow_catch(s->again, s->flow, frame), 0);
}

static int catch (struct tgt_adapter *a, struct tgt_flow *f, uint8_t first, uint32_t len)
{
	static uint8_t data[9001];
	struct nic_rx_frame frame = {
		.data = data, .len = len, .gso_size = first, .gso_type = NIC_GSO_TCP4
	};

	for (uint32_t i = 1; i < len; i++)
		data[i] = (uint8_t)(i * 3);
	data[0] = first;
	return tgt_flow_catch(a, f, &frame);
}

static void test_catch(void **state)
{
	struct tgt_adapter *a = *state;
	struct tgt_tuple t = tuple(1);
	struct seen s = { 0 };
	struct tgt_flow *f;

	assert_int_equal(tgt_flow_mark(a, &t, true), 0);
	f = tgt_flow_find(a->flows, &t);
	assert_int_equal(f->slot, TGT_FLOW_NO_CONN);
	assert_int_equal(catch (a, f, 1, 60), 0);
	assert_int_equal(catch (a, f, 2, 9000), 0);
	assert_int_equal(catch (a, f, 3, 1), 0);
	assert_int_equal(catch (a, f, 4, 9001), -ENOBUFS);
	assert_int_equal(catch (a, f, 4, 10), 0);
	assert_int_equal(catch (a, f, 5, 10), -ENOBUFS);
	assert_int_equal(a->drops[TGT_DROP_CATCH_FULL], 2);
	assert_int_equal(tgt_flow_caught(a->flows), 4);
	assert_int_equal(tgt_flow_release(a, f, see, &s), 4);
	assert_int_equal(s.count, 4);
	assert_true(s.first[0] == 1 && s.first[1] == 2 && s.first[2] == 3 && s.first[3] == 4);
	assert_true(s.len[1] == 9000 && s.gso[1] == 2);
	assert_int_equal(tgt_flow_caught(a->flows), 0);
	tgt_flow_mark(a, &t, false);
	assert_null(tgt_flow_find(a->flows, &t));
}

/* Who gets the frames may catch them again: they come out once a release. */
static void test_catch_again(void **state)
{
	struct tgt_adapter *a = *state;
	struct tgt_tuple t = tuple(1);
	struct seen s = { 0 };

	assert_int_equal(tgt_flow_mark(a, &t, true), 0);
	s.flow = tgt_flow_find(a->flows, &t);
	s.again = a;
	assert_int_equal(catch (a, s.flow, 1, 100), 0);
	assert_int_equal(catch (a, s.flow, 2, 200), 0);
	assert_int_equal(tgt_flow_release(a, s.flow, see, &s), 2);
	s.again = NULL;
	s.count = 0;
	assert_int_equal(tgt_flow_release(a, s.flow, see, &s), 2);
	assert_true(s.first[0] == 1 && s.first[1] == 2);
	tgt_flow_mark(a, &t, false);
}

/* Expectation and connection hold the entry each on its own. */
static void test_life(void **state)
{
	struct tgt_adapter *a = *state;
	struct tgt_tuple t = tuple(1);
	struct tgt_flow *f;

	assert_int_equal(tgt_flow_mark(a, &t, false), 0);
	assert_int_equal(tgt_flow_mark(a, &t, true), 0);
	assert_int_equal(tgt_flow_attach(a, &t, 5), 0);
	tgt_flow_mark(a, &t, false);
	f = tgt_flow_find(a->flows, &t);
	assert_int_equal(f->slot, 5);
	tgt_flow_mark(a, &t, true);
	tgt_flow_detach(a, &t);
	f = tgt_flow_find(a->flows, &t);
	assert_non_null(f);
	assert_int_equal(catch (a, f, 1, 10), 0);
	tgt_flow_mark(a, &t, false); /* nobody took the frame: dropped, counted */
	assert_null(tgt_flow_find(a->flows, &t));
	assert_int_equal(tgt_flow_caught(a->flows), 0);
	assert_int_equal(a->drops[TGT_DROP_CATCH_FULL], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_catch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_catch_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
