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

#include "ipc/ipc_fd.h"
#include "ipc/ipc_hex.h"
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

/* A descriptor and the bytes with it, bytes alone, the end. */
static void test_descriptor(void **state)
{
	char bytes[8] = "";
	int ends[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(ipc_send_fd(pair[0], "with", 5, ends[0]), 0);
	assert_int_equal(ipc_send_fd(pair[0], "bare", 5, -1), 0);
	close(ends[0]);
	assert_int_equal(ipc_recv_fd(pair[1], bytes, sizeof(bytes), &fd), 5);
	assert_string_equal(bytes, "with");
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(ends[1], bytes, 1), 1);
	close(fd);
	assert_int_equal(ipc_recv_fd(pair[1], bytes, sizeof(bytes), &fd), 5);
	assert_int_equal(fd, -1);
	assert_int_equal(ipc_recv_fd(pair[1], bytes, sizeof(bytes), &fd), -EAGAIN);
	close(ends[1]);
}

static void test_no_listener(void **state)
{
	(void)state;
	assert_int_equal(ipc_connect("/nonexistent/chimney.sock"), -ENOENT);
}

/* There and back; and texts that end early are read to their end, not beyond. */
static void test_hex(void **state)
{
	const uint8_t data[] = { 0, 1, 0xfe, 0x80 };
	uint8_t back[4];
	char text[9], *odd = malloc(4); /* the sanitizer sees a read beyond it */

	(void)state;
	ipc_hex_write(text, data, sizeof(data));
	assert_string_equal(text, "0001fe80");
	assert_int_equal(ipc_hex_read(text, back, sizeof(back)), 4);
	assert_memory_equal(back, data, 4);
	assert_int_equal(ipc_hex_read(text, back, 2), 2);
	assert_int_equal(ipc_hex_read(NULL, back, 4), 0);
	memcpy(odd, "01a", 4);
	assert_int_equal(ipc_hex_read(odd, back, 4), 1);
	memcpy(odd, "0x1", 4);
	assert_int_equal(ipc_hex_read(odd, back, 4), 0);
	free(odd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_malformed, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_too_large, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_gone, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_descriptor, open_pair, close_pair),
		cmocka_unit_test(test_no_listener),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
