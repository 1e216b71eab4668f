/* SPDX-License-Identifier: BSD-2-Clause */
#include "core_env.h"

#include "target/tgt_reasm.h"

#define SPAN 40000u

static int insert(struct env *e, uint32_t off, uint32_t len)
{
	uint8_t data[SPAN];
	int err;

	for (uint32_t i = 0; i < len; i++)
		data[i] = env_byte(ENV_IRS + off + i);
	err = tgt_reasm_insert(&e->a, e->conn, ENV_IRS + off, data, len);
	assert_null(tgt_reasm_check(&e->a, e->conn));
	return err;
}

static void test_fill_gap(void **state)
{
	struct env *e = env_new();

	(void)state;
	assert_int_equal(insert(e, 2000, 1000), 0);
	assert_int_equal(insert(e, 1000, 1000), 0);
	assert_int_equal(e->conn->reasm.ranges, 1);
	assert_int_equal(tgt_reasm_pull(&e->a, e->conn), 0);
	tgt_deliver_data(&e->a, e->conn, (uint8_t[]){ 0 }, 0, false);
	for (uint32_t i = 0; i < 1000; i++)
		e->received[i] = env_byte(ENV_IRS + i);
	e->received_bytes = 1000;
	e->conn->rcv_nxt += 1000;
	assert_int_equal(tgt_reasm_pull(&e->a, e->conn), 2000);
	assert_received(e, 3000);
	assert_int_equal(e->conn->rcv_nxt, ENV_IRS + 3000);
	assert_int_equal(e->conn->reasm.table, ARENA_NULL);
	env_free(e);
}

/* RFC 2018: the block that changed last comes first. RFC 2883: a duplicate comes before all. */
static void test_sack_blocks(void **state)
{
	struct env *e = env_new();
	struct tgt_range b[TGT_OPT_SACK_MAX];

	(void)state;
	insert(e, 1000, 100);
	insert(e, 3000, 100);
	insert(e, 2000, 100);
	REQ("TCP-24", tgt_reasm_sack(&e->a, e->conn, b, 4) == 3 && b[0].start == ENV_IRS + 2000 &&
			      b[0].end == ENV_IRS + 2100 && b[1].start == ENV_IRS + 3000);
	insert(e, 1050, 100);
	assert_int_equal(tgt_reasm_sack(&e->a, e->conn, b, 3), 3);
	assert_int_equal(b[0].start, ENV_IRS + 1050); /* D-SACK */
	assert_int_equal(b[0].end, ENV_IRS + 1100);
	assert_int_equal(b[1].start, ENV_IRS + 1000);
	assert_int_equal(b[1].end, ENV_IRS + 1150);
	env_free(e);
}

/* Against a map of bytes: random pieces, partial pulls, every byte in its place. */
static void test_model(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 60; seed++) {
		struct env *e = env_new();
		static bool have[SPAN];
		uint32_t next = 0, biggest = 1 + seed * 31 % 3000;

		srand(seed);
		memset(have, 0, sizeof(have));
		e->conn->rcv_adv = e->conn->rcv_edge = ENV_IRS + SPAN;
		while (next < SPAN) {
			uint32_t off = next + 1 + (uint32_t)rand() % 4000,
				 len = 1 + (uint32_t)rand() % biggest;

			if (rand() % 8 == 0 && !have[next]) { /* the missing byte comes */
				uint8_t byte = env_byte(ENV_IRS + next);

				e->conn->rcv_nxt++;
				tgt_deliver_data(&e->a, e->conn, &byte, 1, false);
				have[next] = true;
			} else if (off + len <= SPAN && insert(e, off, len) == 0) {
				memset(have + off, true, len);
			}
			tgt_reasm_pull(&e->a, e->conn);
			assert_null(tgt_reasm_check(&e->a, e->conn));
			while (next < SPAN && have[next])
				next++;
			assert_int_equal(e->conn->rcv_nxt, ENV_IRS + next);
		}
		assert_received(e, SPAN);
		env_free(e);
	}
}

/* A flood of single bytes with gaps is bounded in memory, whatever the order. */
static void test_tiny_flood(void **state)
{
	struct env *e = env_new();

	(void)state;
	srand(9);
	for (int i = 0; i < 100000; i++)
		insert(e, 1 + (uint32_t)rand() % (SPAN - 1), 1);
	assert_true(arena_used(e->a.arena, e->a.pool_chunk) <= 2 * TGT_REASM_RANGES + 1);
	assert_true(e->a.drops[TGT_DROP_REASM_FULL] > 0);
	env_free(e);
}

/* Bytes from the right to the left, one at a time: joined without a chunk for each. */
static void test_backwards(void **state)
{
	struct env *e = env_new();

	(void)state;
	for (uint32_t off = 9000; off > 0; off--)
		assert_int_equal(insert(e, off, 1), 0);
	assert_int_equal(e->conn->reasm.ranges, 1);
	assert_true(arena_used(e->a.arena, e->a.pool_chunk) <= 6);
	env_free(e);
}

static void test_byte_limit(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->a.limits.conn_reasm_bytes = 5000;
	assert_int_equal(insert(e, 1000, 4000), 0);
	assert_int_not_equal(insert(e, 7000, 2000), 0);
	assert_int_equal(insert(e, 7000, 1000), 0);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill_gap),  cmocka_unit_test(test_sack_blocks),
		cmocka_unit_test(test_model),     cmocka_unit_test(test_tiny_flood),
		cmocka_unit_test(test_backwards), cmocka_unit_test(test_byte_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
