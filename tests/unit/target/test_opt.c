/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "req.h"
#include "target/tgt_opt.h"

static void test_build_and_parse(void **state)
{
	const struct tgt_range in[4] = {
		{ 0xfffffff0u, 0x10 }, { 100, 200 }, { 300, 400 }, { 500, 600 }
	};
	uint8_t buf[TGT_OPT_MAX];
	struct tgt_opts out;

	(void)state;
	assert_int_equal(tgt_opt_build(buf, true, 0xfffffffe, 7, in, 4), 40);
	tgt_opt_parse(buf, 40, &out);
	assert_false(out.malformed);
	assert_true(out.has_ts);
	assert_int_equal(out.ts_val, 0xfffffffeu);
	assert_int_equal(out.ts_ecr, 7);
	assert_int_equal(out.sack_count, 3); /* no room for a fourth beside the timestamp */
	assert_int_equal(out.sack[0].start, 0xfffffff0u);
	assert_int_equal(out.sack[0].end, 0x10);
	assert_int_equal(tgt_opt_build(buf, false, 0, 0, in, 4), 36);
	tgt_opt_parse(buf, 36, &out);
	assert_false(out.has_ts);
	assert_int_equal(out.sack_count, 4);
	assert_int_equal(tgt_opt_build(buf, true, 1, 2, NULL, 0), 12);
	assert_int_equal(tgt_opt_build(buf, false, 1, 2, NULL, 0), 0);
}

static void test_unknown_skipped(void **state)
{
	const uint8_t opt[] = { 1, 30, 6, 1, 2, 3, 4, 254, 2, 8,  10, 0,
				0, 0,  9, 0, 0, 0, 5, 1,   0, 99, 99 };
	struct tgt_opts out;

	(void)state;
	tgt_opt_parse(opt, sizeof(opt), &out);
	assert_true(out.has_ts && out.ts_val == 9 && out.ts_ecr == 5);
	assert_false(out.malformed); /* nothing counts behind the end of the list */
}

static void test_malformed(void **state)
{
	static const struct {
		uint8_t bytes[12];
		uint8_t len;
	} bad[] = {
		{ { 8 }, 1 },
		{ { 8, 0 }, 2 },
		{ { 8, 1 }, 2 },
		{ { 8, 10, 1, 2, 3, 4 }, 6 },
		{ { 5, 12, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9 }, 12 },
		{ { 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0 }, 11 },
	};
	struct tgt_opts out;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tgt_opt_parse(bad[i].bytes, bad[i].len, &out);
		assert_true(out.malformed);
		assert_false(out.has_ts);
		assert_int_equal(out.sack_count, 0);
	}
}

/* Any bytes, any length, exactly sized so that a sanitizer sees a read beyond. */
static void test_noise(void **state)
{
	(void)state;
	srand(11);
	for (int i = 0; i < 200000; i++) {
		unsigned int len = (unsigned int)rand() % (TGT_OPT_MAX + 1);
		uint8_t *opt = malloc(len ? len : 1);
		struct tgt_opts out;

		for (unsigned int k = 0; k < len; k++)
			opt[k] = rand() % 3 ? (uint8_t)(rand() % 12) : (uint8_t)rand();
		tgt_opt_parse(opt, len, &out);
		assert_true(out.sack_count <= TGT_OPT_SACK_MAX);
		free(opt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_and_parse),
		cmocka_unit_test(test_unknown_skipped),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
