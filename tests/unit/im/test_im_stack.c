/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of drivers: what is understood, what is refused and in which words, what is built. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "im/im_stack.h"

static char why[256];
static struct im_plan plan;

static int parse(const char *list, size_t targets)
{
	why[0] = '\0';
	return im_plan_parse(&plan, list, targets, why, sizeof(why));
}

static void test_lists(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL, 1), 0);
	assert_int_equal(plan.count, 0);
	assert_int_equal(parse("", 1), 0);
	assert_int_equal(parse("passthru,vlan:5:3,passthru", 1), 0);
	assert_int_equal(plan.count, 3);
	assert_int_equal(plan.elements[1].vlan_id, 5);
	assert_int_equal(plan.elements[1].vlan_priority, 3);
	assert_int_equal(plan.vlan_id, 5);
	assert_false(plan.has_team);
	assert_int_equal(parse("vlan:0:7", 1), 0);
	assert_int_equal(plan.vlan_id, 0);
	assert_int_equal(parse("vlan:7,mux:balance,passthru", 3), 0);
	assert_true(plan.has_team);
	assert_int_equal(plan.elements[1].mode, MUX_BALANCE);
	assert_int_equal(parse("mux:active-backup", 2), 0);
	assert_int_equal(plan.elements[0].mode, MUX_ACTIVE_BACKUP);
}

/* A refusal names the value and what would do. */
static void test_targets(void **state)
{
	(void)state;
	assert_int_equal(im_list_targets(NULL), 1);
	assert_int_equal(im_list_targets("passthru,vlan:5"), 1);
	assert_int_equal(im_list_targets("passthru,mux:balance,vlan:5"), 2);
	assert_int_equal(im_list_targets("mux"), 2);
	assert_int_equal(im_list_targets("muxer,,x:mux"), 1);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *list;
		size_t targets;
		const char *value, *remedy;
	} rows[] = {
		{ "pasthru", 1, "pasthru", "there are passthru" },
		{ "passthru:1", 1, "passthru:1", "written passthru" },
		{ "vlan", 1, "'vlan'", "vlan:ID" },
		{ "vlan:4095", 1, "vlan:4095", "0 to 4094" },
		{ "vlan:5:8", 1, "vlan:5:8", "0 to 7" },
		{ "vlan:5:", 1, "vlan:5:", "0 to 7" },
		{ "vlan:-1", 1, "vlan:-1", "0 to 4094" },
		{ "vlan:5x", 1, "vlan:5x", "0 to 4094" },
		{ "mux:fast", 2, "mux:fast", "mux:balance" },
		{ "passthru,,passthru", 1, "''", "there are passthru" },
		{ "passthru,", 1, "passthru,", "missing" },
		{ "mux:balance", 1, "mux", "--sim" },
		{ "passthru", 2, "2 interfaces", "mux:active-backup" },
		{ "mux:balance,mux:balance", 2, "2 teams", "leave out" },
		{ "mux:balance", 9, "9 interfaces", "at most" },
		{ "passthru,passthru,passthru,passthru,passthru,passthru,passthru,passthru,"
		  "passthru,"
		  "passthru,passthru,passthru,passthru,passthru,passthru,passthru,passthru",
		  1, "passthru", "at most 16" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].list, rows[i].targets), -EINVAL);
		if (!strstr(why, rows[i].value) || !strstr(why, rows[i].remedy))
			fail_msg("'%s': %s", rows[i].list, why);
	}
}

/* Nothing is left of a stack that cannot be built. */
static void test_no_target(void **state)
{
	const char *targets[] = { "nosuch0" };
	struct im_stack stack;

	(void)state;
	assert_int_equal(parse("passthru,vlan:3", 1), 0);
	assert_int_equal(im_stack_open(&stack, &plan, "t-", targets, 1, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "vlan above nosuch0"));
	assert_int_equal(stack.layer_count, 0);
	assert_int_equal(stack.registered, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
