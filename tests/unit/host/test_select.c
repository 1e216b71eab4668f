/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_select.h"

static struct host_select_facts facts(const char *local, uint16_t local_port, const char *remote,
				      uint16_t remote_port)
{
	struct host_select_facts f = { .local_port = local_port, .remote_port = remote_port };

	f.family = strchr(local, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(f.family, local, f.local), 1);
	assert_int_equal(inet_pton(f.family, remote, f.remote), 1);
	return f;
}

static struct host_select *parse(const char *text)
{
	struct host_select *s = NULL;
	char why[200] = "";

	if (host_select_parse(&s, text, why, sizeof(why)))
		fail_msg("%s", why);
	return s;
}

static struct host_select_verdict judge(struct host_select *s, struct host_select_facts f)
{
	struct host_select_verdict v;

	host_select_judge(s, &f, &v);
	return v;
}

static void test_program_user_and_rtt(void **state)
{
	struct host_select *s = parse("keep program sshd\n"
				      "offload program redis-server user 1000 max-rtt 20ms\n"
				      "offload user root\n");
	struct host_select_facts f = facts("10.0.0.1", 1, "10.0.0.2", 1);

	(void)state;
	f.uid = 1000;
	assert_int_equal(judge(s, f).rule, 0); /* a program that is not known matches no name */
	f.program = "redis-server";
	f.rtt_us = 20000;
	assert_int_equal(judge(s, f).rule, 2);
	f.rtt_us = 20001;
	assert_int_equal(judge(s, f).rule, 0);
	f.uid = 0;
	assert_int_equal(judge(s, f).rule, 3);
	f.program = "sshd";
	assert_int_equal(judge(s, f).rule, 1);
	assert_false(judge(s, f).offload);
	host_select_free(s);
}

static void test_direction_and_interface(void **state)
{
	struct host_select *s = parse("offload direction out interface eth0\n"
				      "keep interface eth1\n"
				      "offload direction in\n");
	struct host_select *plain = parse("offload any\n");
	struct host_select_facts f = facts("10.0.0.1", 1, "10.0.0.2", 1);

	(void)state;
	assert_true(host_select_asks_interface(s) && !host_select_asks_interface(plain));
	assert_int_equal(judge(s, f).rule, 0); /* what is not known matches neither */
	f.direction = HOST_SELECT_IN;
	assert_int_equal(judge(s, f).rule, 3);
	f.interface = "eth1";
	assert_int_equal(judge(s, f).rule, 2);
	f.interface = "eth0";
	assert_int_equal(judge(s, f).rule, 3);
	f.direction = HOST_SELECT_OUT;
	assert_int_equal(judge(s, f).rule, 1);
	f.interface = "eth01";
	assert_int_equal(judge(s, f).rule, 0);
	host_select_free(plain);
	host_select_free(s);
}

static void test_first_match_decides(void **state)
{
	struct host_select *s = parse("# order matters\n"
				      "keep local-port 22 remote 10.0.0.0/8\n"
				      "\n"
				      "offload local-port 20-30   # the rest of that range\n"
				      "keep any\n"
				      "offload any\n");
	struct host_select_verdict v = judge(s, facts("10.0.0.1", 22, "10.200.3.4", 5000));

	(void)state;
	assert_false(v.offload);
	assert_int_equal(v.rule, 2);
	v = judge(s, facts("10.0.0.1", 22, "11.0.0.1", 5000));
	assert_true(v.offload);
	assert_int_equal(v.rule, 4);
	v = judge(s, facts("10.0.0.1", 31, "11.0.0.1", 5000));
	assert_false(v.offload);
	assert_int_equal(v.rule, 5);
	assert_int_equal(host_select_hits(s, 2), 1);
	assert_int_equal(host_select_hits(s, 4), 1);
	assert_int_equal(host_select_hits(s, 6), 0);
	host_select_free(s);
}

static void test_default_is_keep(void **state)
{
	struct host_select *s = parse("");
	struct host_select_verdict v = judge(s, facts("10.0.0.1", 22, "10.0.0.2", 5000));

	(void)state;
	assert_false(v.offload);
	assert_int_equal(v.rule, 0);
	host_select_free(s);
}

static void test_prefixes(void **state)
{
	struct host_select *s = parse(
		"offload local fd77::/17\noffload remote 10.77.4.0/22\noffload remote 1.2.3.4\n");

	(void)state;
	assert_int_equal(judge(s, facts("fd77::1", 1, "fd00::1", 1)).rule, 1);
	assert_int_equal(judge(s, facts("fd77:8000::1", 1, "fd00::1", 1)).rule, 0);
	assert_int_equal(judge(s, facts("9.9.9.9", 1, "10.77.7.255", 1)).rule, 2);
	assert_int_equal(judge(s, facts("9.9.9.9", 1, "10.77.8.0", 1)).rule, 0);
	assert_int_equal(judge(s, facts("9.9.9.9", 1, "1.2.3.4", 1)).rule, 3);
	assert_int_equal(judge(s, facts("9.9.9.9", 1, "1.2.3.5", 1)).rule, 0);
	host_select_free(s);
}

static void test_thresholds(void **state)
{
	struct host_select *s =
		parse("offload min-bytes 1M min-age 2s\noffload min-rate 100k min-age 500ms\n");
	struct host_select_facts f = facts("10.0.0.1", 1, "10.0.0.2", 1);

	(void)state;
	f.bytes = 1 << 20;
	f.age_ms = 1999;
	assert_int_equal(judge(s, f).rule, 2); /* half a MiB a second is over 100 KiB a second */
	f.age_ms = 2000;
	assert_int_equal(judge(s, f).rule, 1);
	f.bytes--;
	f.age_ms = 60000;
	assert_int_equal(judge(s, f).rule, 0);
	host_select_free(s);
}

/* Each error names the line and the word. */
static void test_errors(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{ "offload any\nallow any", "line 2: 'allow'" },
		{ "offload", "line 1: which connections" },
		{ "offload port 5", "'port' is not a condition" },
		{ "offload local-port", "'local-port' wants a value" },
		{ "offload local-port 0", "'0' is not a port" },
		{ "offload local-port 70000", "'70000' is not a port" },
		{ "offload local-port 9-5", "'9-5' is not a port" },
		{ "offload local-port 5x", "'5x' is not a port" },
		{ "offload remote 10.0.0", "'10.0.0' is not an address" },
		{ "offload remote 10.0.0.0/33", "from 0 to 32" },
		{ "offload remote fd00::/129", "from 0 to 128" },
		{ "offload remote 10.0.0.0/", "from 0 to 32" },
		{ "offload min-bytes 1T", "'1T' is not a size" },
		{ "offload min-bytes 99999999999999999999", "is not a size" },
		{ "offload min-bytes 18014398509481984k", "is not a size" },
		{ "offload min-age 5", "'5' is not a time" },
		{ "offload direction up", "a direction is in or out" },
		{ "offload interface a-name-too-long-by-far", "is not the name of an interface" },
		{ "offload interface", "'interface' wants a value" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host_select *s = NULL;
		char why[200] = "";

		assert_int_equal(host_select_parse(&s, cases[i].text, why, sizeof(why)), -EINVAL);
		if (!strstr(why, cases[i].names))
			fail_msg("'%s' gives '%s', which does not say \"%s\"", cases[i].text, why,
				 cases[i].names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_match_decides),
		cmocka_unit_test(test_program_user_and_rtt),
		cmocka_unit_test(test_direction_and_interface),
		cmocka_unit_test(test_default_is_keep),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
