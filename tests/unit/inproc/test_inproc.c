/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections in this very process, in the kernel and in the target, beside a peer of the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <chimney/chimney.h>

#include "host_net.h"

enum { PIECE = 16384, PIECES = 8, EVENTS = 16, TOTAL = 4 << 20, ROUND_US = 2000 };

static struct test_net net;
static bool usable;
static struct chimney *chimney;
static struct chimney_region *region;
static uint8_t memory[2 * PIECES * PIECE];

/* One connection of ours, and the peer at the other end of the cable. */
static struct {
	struct test_pair pair;
	struct chimney_conn *conn;
	int moved, move_err, ended, end_err;
	bool closed;
	unsigned int sent_events, received_events;
	size_t last_received;
	void *last_cookie;
	/* streams */
	uint64_t to_send, given, sent, rcvd, peer_sent, peer_rcvd;
	unsigned int sends_out;
	bool stream;
} one;

static int setup(void **state)
{
	char why[256];

	(void)state;
	usable = test_net_open_bare(&net);
	if (usable) {
		struct chimney_config config = { .interface = net.if_a };

		if (chimney_open(&config, &chimney, why, sizeof(why)) < 0)
			fail_msg("%s", why);
		assert_int_equal(0, chimney_region_add(chimney, memory, sizeof(memory), &region));
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (usable) {
		assert_int_equal(0, chimney_region_remove(region));
		chimney_close(chimney);
	}
	netns_close(&net.a);
	netns_close(&net.b);
	return 0;
}

#define NEED_NET()                                                                                 \
	do {                                                                                       \
		if (!usable)                                                                       \
			skip();                                                                    \
	} while (0)

/* ---- a stream each way -------------------------------------------------------------------- */

static void stream_give(void)
{
	while (one.stream && one.given < one.to_send && one.sends_out < PIECES) {
		size_t slot = one.given / PIECE % PIECES;

		for (size_t i = 0; i < PIECE; i++)
			memory[slot * PIECE + i] = test_byte(1, one.given + i);
		assert_int_equal(0, chimney_send(one.conn, region, slot * PIECE, PIECE,
						 (void *)(uintptr_t)(slot + 1)));
		one.given += PIECE;
		one.sends_out++;
	}
}

static void stream_received(const struct chimney_event *event)
{
	size_t slot = (uintptr_t)event->cookie - 1;
	const uint8_t *data = memory + (PIECES + slot) * PIECE;

	for (size_t i = 0; i < event->bytes; i++)
		assert_int_equal(test_byte(2, one.rcvd + i), data[i]);
	one.rcvd += event->bytes;
	if (event->bytes && !one.ended)
		assert_int_equal(0, chimney_receive(one.conn, region, (PIECES + slot) * PIECE,
						    PIECE, false, event->cookie));
}

/* What the peer's socket takes and has, all of it checked. */
static void peer_step(void)
{
	uint8_t data[PIECE];
	ssize_t n;

	if (one.peer_sent < one.to_send) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = test_byte(2, one.peer_sent + i);
		n = send(one.pair.b, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		one.peer_sent += n > 0 ? (uint64_t)n : 0;
		assert_true(n > 0 || errno == EAGAIN);
	}
	n = recv(one.pair.b, data, sizeof(data), MSG_DONTWAIT);
	assert_true(n > 0 || errno == EAGAIN);
	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(test_byte(1, one.peer_rcvd + (uint64_t)i), data[i]);
	one.peer_rcvd += n > 0 ? (uint64_t)n : 0;
}

/* ---- events ------------------------------------------------------------------------------- */

static void told(const struct chimney_event *event)
{
	assert_ptr_equal(one.conn, event->conn);
	assert_ptr_equal(&one, chimney_conn_user(event->conn));
	switch (event->kind) {
	case CHIMNEY_MOVED:
		one.moved++;
		one.move_err = event->err;
		break;
	case CHIMNEY_SENT:
		one.sent_events++;
		one.sent += event->bytes;
		if (one.stream)
			one.sends_out--;
		break;
	case CHIMNEY_RECEIVED:
		one.received_events++;
		one.last_received = event->bytes;
		one.last_cookie = event->cookie;
		if (one.stream)
			stream_received(event);
		break;
	case CHIMNEY_ENDED:
		one.ended++;
		one.end_err = event->err;
		break;
	case CHIMNEY_CLOSED:
		one.closed = true;
		break;
	default:
		fail_msg("event %d", (int)event->kind);
	}
}

static void turn(void)
{
	struct chimney_event events[EVENTS];
	int n = chimney_poll(chimney, events, EVENTS, ROUND_US);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++)
		told(&events[i]);
	if (one.stream) {
		stream_give();
		peer_step();
	}
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		uint64_t end_us = test_now_us() + TEST_WAIT_MS * 1000u;                            \
		while (!(cond)) {                                                                  \
			if (test_now_us() > end_us)                                                \
				fail_msg("in vain: %s", #cond);                                    \
			turn();                                                                    \
		}                                                                                  \
	} while (0)

static void conn_open(int family)
{
	memset(&one, 0, sizeof(one));
	test_pair_open(&net, family, &one.pair);
	assert_int_equal(0, chimney_conn_add(chimney, one.pair.a, &one, &one.conn));
	one.pair.a = -1; /* the library's now */
}

static void conn_close(void)
{
	chimney_conn_close(one.conn);
	UNTIL(one.closed);
	test_pair_close(&one.pair);
}

static void move(bool down)
{
	struct chimney_conn_info info;
	int before = one.moved;

	assert_int_equal(0, down ? chimney_conn_offload(one.conn) : chimney_conn_upload(one.conn));
	UNTIL(one.moved > before);
	chimney_conn_info(one.conn, &info);
	if (one.move_err)
		fail_msg("%s: %s", down ? "offload" : "upload", info.why);
	assert_true(down == info.offloaded);
}

/* A request of ours and its answer. */
static void talk(void)
{
	unsigned int sent = one.sent_events, received = one.received_events;
	char got[8];

	memcpy(memory, "question", 8);
	assert_int_equal(0, chimney_receive(one.conn, region, PIECES * PIECE, PIECE, false, &got));
	assert_int_equal(0, chimney_send(one.conn, region, 0, 8, memory));
	UNTIL(poll(&(struct pollfd){ .fd = one.pair.b, .events = POLLIN }, 1, 0) == 1);
	test_read_all(one.pair.b, got, 8);
	assert_memory_equal("question", got, 8);
	test_write_all(one.pair.b, "answer", 6);
	UNTIL(one.sent_events == sent + 1 && one.received_events == received + 1);
	assert_int_equal(6, one.last_received);
	assert_ptr_equal(&got, one.last_cookie);
	assert_memory_equal("answer", memory + PIECES * PIECE, 6);
}

static void serves_on_both_sides(int family)
{
	conn_open(family);
	talk();
	move(true);
	talk();
	move(false);
	talk();
	move(true);
	talk();
	conn_close();
}

/* ---- tests -------------------------------------------------------------------------------- */

static void requests_are_served_on_both_sides(void **state)
{
	(void)state;
	NEED_NET();
	serves_on_both_sides(AF_INET);
	serves_on_both_sides(AF_INET6);
}

static void streams_survive_moves(void **state)
{
	struct chimney_conn_info info;

	(void)state;
	NEED_NET();
	conn_open(AF_INET);
	one.stream = true;
	one.to_send = TOTAL;
	for (size_t slot = 0; slot < PIECES; slot++)
		assert_int_equal(0, chimney_receive(one.conn, region, (PIECES + slot) * PIECE,
						    PIECE, false, (void *)(slot + 1)));
	for (int moves = 0; moves < 10; moves++) {
		move(moves % 2 == 0);
		UNTIL(one.peer_rcvd >= (uint64_t)TOTAL / 10 * (unsigned int)moves);
	}
	UNTIL(one.rcvd == TOTAL && one.peer_rcvd == TOTAL && one.sent == TOTAL);
	chimney_conn_info(one.conn, &info);
	assert_int_equal(5, info.offloads);
	assert_int_equal(5, info.uploads);
	conn_close();
}

/* whole: not before it is full, also when the connection moves in between. */
static void whole_requests_wait_until_full(void **state)
{
	(void)state;
	NEED_NET();
	conn_open(AF_INET);
	move(true);
	assert_int_equal(0, chimney_receive(one.conn, region, 0, 9, true, memory));
	test_write_all(one.pair.b, "abc", 3);
	turn();
	move(false);
	assert_int_equal(0, one.received_events);
	test_write_all(one.pair.b, "def", 3);
	turn();
	move(true);
	assert_int_equal(0, one.received_events);
	test_write_all(one.pair.b, "ghi", 3);
	UNTIL(one.received_events == 1);
	assert_int_equal(9, one.last_received);
	assert_memory_equal("abcdefghi", memory, 9);
	conn_close();
}

static void ends(bool offloaded)
{
	char byte;

	conn_open(AF_INET);
	if (offloaded)
		move(true);
	assert_int_equal(0, chimney_receive(one.conn, region, 0, 100, false, memory));
	assert_int_equal(0, chimney_receive(one.conn, region, 100, 100, false, memory));
	test_write_all(one.pair.b, "last", 4);
	shutdown(one.pair.b, SHUT_WR);
	UNTIL(one.ended);
	assert_int_equal(0, one.end_err);
	assert_int_equal(-EPIPE, chimney_receive(one.conn, region, 0, 100, false, memory));
	/* its half is open still */
	assert_int_equal(0, chimney_send(one.conn, region, 0, 4, memory));
	assert_int_equal(0, chimney_shutdown(one.conn));
	UNTIL(poll(&(struct pollfd){ .fd = one.pair.b, .events = POLLRDHUP }, 1, 0) == 1);
	assert_int_equal(-EPIPE, chimney_send(one.conn, region, 0, 4, memory));
	test_read_all(one.pair.b, memory + 1000, 4);
	assert_memory_equal(memory, memory + 1000, 4);
	assert_int_equal(0, recv(one.pair.b, &byte, 1, 0));
	conn_close();
	assert_int_equal(2, one.received_events);
	assert_int_equal(1, one.ended);
}

static void both_ends_finish(void **state)
{
	(void)state;
	NEED_NET();
	ends(false);
	ends(true);
}

static void reset(bool offloaded)
{
	struct linger now = { .l_onoff = 1 };

	conn_open(AF_INET);
	if (offloaded)
		move(true);
	assert_int_equal(0, chimney_receive(one.conn, region, 0, 100, false, memory));
	setsockopt(one.pair.b, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(one.pair.b);
	one.pair.b = -1;
	UNTIL(one.ended);
	assert_int_equal(-ECONNRESET, one.end_err);
	assert_int_equal(-EPIPE, chimney_send(one.conn, region, 0, 4, memory));
	conn_close();
	assert_int_equal(1, one.received_events);
}

static void reset_is_told(void **state)
{
	(void)state;
	NEED_NET();
	reset(false);
	reset(true);
}

static void wrong_requests_are_refused(void **state)
{
	struct chimney_region *other;
	struct chimney *second;
	char why[256];

	(void)state;
	NEED_NET();
	assert_int_equal(-EBUSY, chimney_open(&(struct chimney_config){ .interface = net.if_a },
					      &second, why, sizeof(why)));
	assert_non_null(strstr(why, "already"));
	assert_int_equal(-EINVAL, chimney_region_add(chimney, memory, 0, &other));
	conn_open(AF_INET);
	assert_int_equal(-EINVAL, chimney_send(one.conn, region, 0, 0, NULL));
	assert_int_equal(-EINVAL, chimney_send(one.conn, region, sizeof(memory), 1, NULL));
	assert_int_equal(-EINVAL, chimney_send(one.conn, region, 1, sizeof(memory), NULL));
	assert_int_equal(0, chimney_receive(one.conn, region, 0, 1, false, NULL));
	assert_int_equal(-EBUSY, chimney_region_remove(region));
	conn_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_served_on_both_sides),
		cmocka_unit_test(streams_survive_moves),
		cmocka_unit_test(whole_requests_wait_until_full),
		cmocka_unit_test(both_ends_finish),
		cmocka_unit_test(reset_is_told),
		cmocka_unit_test(wrong_requests_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
