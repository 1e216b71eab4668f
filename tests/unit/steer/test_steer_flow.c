/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "steer/steer.h"

static const struct {
	int family;
	const char *local, *remote;
	uint32_t bound;
	const char *reason; /* NULL: fine */
} cases[] = {
	{ AF_INET, "10.0.0.1", "10.0.0.2", 0, NULL },
	{ AF_INET6, "fd00::1", "2001:db8::2", 0, NULL },
	{ AF_INET, "127.0.0.1", "127.0.0.1", 0, "loopback" },
	{ AF_INET6, "::1", "::1", 0, "loopback" },
	{ AF_INET6, "fe80::1", "fe80::2", 0, "link-local" },
	{ AF_INET6, "fe80::1", "febf::2", 0, "link-local" },
	{ AF_INET6, "fd00::1", "fec0::2", 0, NULL },
	{ AF_INET, "10.0.0.1", "10.0.0.2", 3, "SO_BINDTODEVICE" },
};

static void what_cannot_be_given_back_is_refused(void **state)
{
	struct steer_flow flow;
	char why[200];
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&flow, 0, sizeof(flow));
		flow.family = (uint8_t)cases[i].family;
		assert_int_equal(inet_pton(cases[i].family, cases[i].local, flow.local), 1);
		assert_int_equal(inet_pton(cases[i].family, cases[i].remote, flow.remote), 1);
		why[0] = '\0';
		err = steer_flow_check(&flow, cases[i].bound, why, sizeof(why));
		assert_int_equal(err, cases[i].reason ? -EOPNOTSUPP : 0);
		if (cases[i].reason)
			assert_non_null(strstr(why, cases[i].reason));
		else
			assert_string_equal(why, "");
	}
	flow.family = AF_UNIX;
	assert_int_equal(steer_flow_check(&flow, 0, why, sizeof(why)), -EOPNOTSUPP);
}

static void opening_without_the_devices_says_so(void **state)
{
	struct steer_config config = { .ifname = "nosuch0", .tap = "nosuch1" };
	struct steer *st = NULL;
	char why[200] = "";

	(void)state;
	assert_int_equal(steer_open(&st, &config, why, sizeof(why)), -ENODEV);
	assert_non_null(strstr(why, "nosuch0"));
	assert_null(st);
	steer_close(NULL);
	steer_abandon(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_given_back_is_refused),
		cmocka_unit_test(opening_without_the_devices_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
