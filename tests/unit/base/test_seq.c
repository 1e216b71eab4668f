/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/seq.h"

static void test_wrap(void **state)
{
	const tcp_seq before = 0xfffffff0u, after = 0x10u;

	(void)state;
	assert_true(seq_lt(before, after));
	assert_true(seq_gt(after, before));
	assert_true(seq_leq(before, before) && seq_geq(after, after));
	assert_false(seq_lt(after, before));
	assert_int_equal(seq_max(before, after), after);
	assert_int_equal(seq_min(before, after), before);
}

static void test_interval(void **state)
{
	(void)state;
	assert_true(seq_in(0xfffffffeu, 0xfffffff0u, 0x20u));
	assert_true(seq_in(0x1fu, 0xfffffff0u, 0x20u));
	assert_false(seq_in(0x20u, 0xfffffff0u, 0x20u));
	assert_false(seq_in(0xffffffefu, 0xfffffff0u, 0x20u));
	assert_false(seq_in(5u, 5u, 5u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
