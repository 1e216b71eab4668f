/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/ipc_msg.h"

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static void test_round_trip(void **state)
{
	json_t *sent = json_pack("{s:s, s:i, s:[i, i]}", "op", "list", "tag", 5, "ids", 1, 2), *got;

	(void)state;
	assert_int_equal(ipc_send(pair[0], sent), 0);
	assert_int_equal(ipc_recv(pair[1], &got), 0);
	assert_true(json_equal(sent, got));
	json_decref(sent);
	json_decref(got);
	assert_int_equal(ipc_recv(pair[1], &got), -EAGAIN);
}

/* What is not a JSON object is refused, and the next message is read as if nothing had been. */
static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"", "x", "[1]", "{\"a\":1", "{\"a\":1,\"a\":2}", "\xff\xfe", "{} {}"
	};
	json_t *good = json_pack("{s:i}", "tag", 1), *got;

	(void)state;
	for (size_t i = 1; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(send(pair[0], bad[i], strlen(bad[i]), 0) > 0);
		assert_int_equal(ipc_recv(pair[1], &got), -EPROTO);
	}
	assert_int_equal(ipc_send(pair[0], good), 0);
	assert_int_equal(ipc_recv(pair[1], &got), 0);
	json_decref(got);
	json_decref(good);
}

static void test_too_large(void **state)
{
	char *text = malloc(IPC_MSG_MAX + 1);
	json_t *big;

	(void)state;
	memset(text, 'x', IPC_MSG_MAX);
	text[IPC_MSG_MAX] = 0;
	big = json_pack("{s:s}", "text", text);
	assert_int_equal(ipc_send(pair[0], big), -EMSGSIZE);
	json_decref(big);
	free(text);
}

static void test_gone(void **state)
{
	json_t *msg = json_object(), *got;

	(void)state;
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(ipc_send(pair[0], msg), -EPIPE);
	assert_int_equal(ipc_recv(pair[0], &got), -EPIPE);
	json_decref(msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_malformed, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_too_large, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_gone, open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
