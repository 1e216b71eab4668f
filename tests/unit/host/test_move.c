/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole vertical: kernel -> target -> kernel with the real target, real steering and kernel
 * peers, and a failure injected at every stage of every list. After each the connection works and
 * every byte is right.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host_netlink.h"
#include "host_rig.h"
#include "req.h"

static struct rig rig;
static bool usable;

#define NEED_RIG()                                                                                 \
	do {                                                                                       \
		if (!usable)                                                                       \
			skip();                                                                    \
	} while (0)

static int setup(void **state)
{
	(void)state;
	usable = rig_open(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static enum host_conn_state place(const struct rig_conn *c)
{
	return host_conn_info(c->conn)->state;
}

/* More bytes in flight than any buffer holds, and the move in the middle of it. */
static void busy(struct rig_conn *c)
{
	c->own.goal += 3000000;
	c->peer.goal += 3000000;
	for (int i = 0; i < 20; i++)
		rig_step(c);
}

static void there_and_back(int family, uint32_t seed)
{
	struct rig_conn c;

	rig_connect(&rig, &c, family, seed);
	rig_transfer(&c, 100000);
	for (int round = 0; round < 3; round++) {
		busy(&c);
		assert_int_equal(0, rig_offload(&c));
		assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
		rig_transfer(&c, 500000);
		busy(&c);
		assert_int_equal(0, rig_upload(&c));
		assert_int_equal(HOST_CONN_HOST, place(&c));
		rig_transfer(&c, 500000);
	}
	assert_int_equal(3, host_conn_info(c.conn)->offloads);
	assert_int_equal(3, host_conn_info(c.conn)->uploads);
	assert_true(host_conn_info(c.conn)->bytes_to_program > 0);
	assert_true(host_conn_info(c.conn)->bytes_from_program > 0);
	rig_disconnect(&c);
}

static void moves_ipv4(void **state)
{
	(void)state;
	NEED_RIG();
	there_and_back(AF_INET, 1000);
}

static void moves_ipv6(void **state)
{
	(void)state;
	NEED_RIG();
	there_and_back(AF_INET6, 2000);
}

static void moves_mapped(void **state)
{
	(void)state;
	NEED_RIG();
	there_and_back(46, 3000);
}

static struct host_query_result query_result;

static void query_done(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct rig_conn *c = ctx;

	(void)conn;
	(void)why;
	c->err = err;
	c->done = true;
}

static void state_can_be_queried(void **state)
{
	struct rig_conn c;
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 4000);
	rig_transfer(&c, 50000);
	assert_int_equal(-ENOTCONN, host_conn_query(c.conn, &query_result, query_done, &c));
	assert_int_equal(0, rig_offload(&c));
	rig_transfer(&c, 50000);
	c.done = false;
	assert_int_equal(0, host_conn_query(c.conn, &query_result, query_done, &c));
	RIG_RUN(&c, rig_done);
	assert_int_equal(0, c.err);
	assert_int_equal(TcpConnectionEstablished, query_result.tcp_state);
	assert_int_equal(query_result.snd_una, query_result.snd_max);
	assert_true(query_result.rcv_wnd_bytes > 0);
	f = open_memstream(&text, &len);
	host_conn_print_tree(c.conn, f);
	fclose(f);
	assert_non_null(strstr(text, "ESTABLISHED"));
	free(text);
	assert_int_equal(0, rig_upload(&c));
	rig_disconnect(&c);
}

/* The peer does not read: much is unsent, and the program has not read either. */
static void full_queues_move(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 5000);
	c.own.goal = c.peer.goal = 8000000;
	c.peer_idle = true;
	for (int i = 0; i < 200; i++)
		rig_step(&c);
	assert_int_equal(0, rig_offload(&c));
	for (int i = 0; i < 200; i++)
		rig_step(&c);
	assert_int_equal(0, rig_upload(&c));
	for (int i = 0; i < 50; i++)
		rig_step(&c);
	assert_int_equal(0, rig_offload(&c));
	c.peer_idle = false;
	RIG_RUN(&c, rig_all_there);
	assert_int_equal(0, rig_upload(&c));
	rig_transfer(&c, 1000);
	rig_disconnect(&c);
}

/* ---- ends --------------------------------------------------------------------------------- */

static bool peer_ended(struct rig_conn *c)
{
	return c->peer.eof || c->peer.error;
}

static bool own_ended(struct rig_conn *c)
{
	return c->own.eof || c->own.error;
}

static void program_closes_first(void **state)
{
	struct host_nl_sock found;
	struct host_nl *nl;
	struct rig_conn c;
	struct steer_flow flow;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 6000);
	flow = host_conn_info(c.conn)->flow;
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	rig_transfer(&c, 200000);
	close(c.self.fd);
	c.self.fd = -1;
	c.closed = true;
	RIG_RUN(&c, peer_ended);
	assert_int_equal(0, c.peer.error);
	c.peer.close = true; /* and now the peer */
	RIG_RUN(&c, rig_gone);
	assert_true(c.closed_offloaded);
	assert_true(c.time_wait);
	assert_int_equal(0, host_nl_open(&nl));
	assert_int_equal(0, host_nl_sock_find(nl, &flow, &found));
	assert_int_equal(6, found.state);
	host_nl_close(nl);
	rig_disconnect(&c);
}

static void peer_closes_first(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET6, 7000);
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	c.peer.goal += 500000;
	c.peer.close = true;
	RIG_RUN(&c, own_ended);
	assert_int_equal(0, c.own.error);
	assert_int_equal(c.peer.goal, c.own.rcvd);
	c.own.goal += 300000; /* half-closed: our direction goes on */
	RIG_RUN(&c, rig_all_there);
	close(c.self.fd);
	c.self.fd = -1;
	c.closed = true;
	RIG_RUN(&c, peer_ended);
	assert_int_equal(0, c.peer.error);
	RIG_RUN(&c, rig_gone);
	assert_true(c.closed_offloaded);
	rig_disconnect(&c);
}

/* half-closed by the peer, moved up and down in CLOSE_WAIT, 4 MB follow. */
static void half_closed_moves(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 8000);
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	c.peer.close = true;
	RIG_RUN(&c, own_ended);
	c.own.goal += 2000000;
	for (int i = 0; i < 10; i++)
		rig_step(&c);
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(HOST_CONN_HOST, place(&c));
	for (int i = 0; i < 10; i++)
		rig_step(&c);
	assert_int_equal(0, rig_offload(&c));
	c.own.goal += 2000000;
	RIG_RUN(&c, rig_all_there);
	assert_int_equal(0, rig_upload(&c));
	c.own.close = true;
	RIG_RUN(&c, peer_ended);
	assert_int_equal(0, c.peer.error);
	assert_int_equal(0, c.own.error);
	rig_disconnect(&c);
}

/* Our FIN is out, the peer goes on: FIN_WAIT_2 is moved up and down. */
static void own_half_closed_moves(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 8500);
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	c.own.close = true;
	RIG_RUN(&c, peer_ended);
	c.peer.goal += 500000;
	RIG_RUN(&c, rig_all_there);
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(HOST_CONN_HOST, place(&c));
	c.peer.goal += 500000;
	RIG_RUN(&c, rig_all_there);
	assert_int_equal(0, rig_offload(&c));
	c.peer.goal += 500000;
	c.peer.close = true;
	RIG_RUN(&c, own_ended);
	assert_int_equal(0, c.own.error);
	assert_true(rig_all_there(&c));
	RIG_RUN(&c, rig_gone);
	assert_true(c.closed_offloaded);
	assert_true(c.time_wait);
	rig_disconnect(&c);
}

static void peer_resets(void **state)
{
	struct linger hard = { 1, 0 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 9000);
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	rig_transfer(&c, 10000);
	setsockopt(c.pair.b, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c.pair.b);
	c.pair.b = c.peer.fd = -1;
	RIG_RUN(&c, own_ended);
	REQ("DIS-28", c.own.error == ECONNRESET);
	RIG_RUN(&c, rig_gone);
	rig_disconnect(&c);
}

static void program_closes_with_unread_data(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 9500);
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	test_write_all(c.pair.b, "unread", 6);
	c.closed = true; /* does not read any more */
	for (int i = 0; i < 20; i++)
		assert_int_equal(0, loop_round(rig.loop, 1000));
	close(c.self.fd);
	c.self.fd = -1;
	RIG_RUN(&c, peer_ended);
	REQ("DIS-05", c.peer.error == ECONNRESET); /* a RST, as the kernel would send */
	RIG_RUN(&c, rig_gone);
	rig_disconnect(&c);
}

/* ---- failures ----------------------------------------------------------------------------- */

/* Down with a failure: the kernel has it, or the stage was done again and the target has it. */
static void fail_offload_at(const char *stage, uint32_t seed)
{
	struct rig_conn c;
	int err;

	rig_connect(&rig, &c, AF_INET, seed);
	rig_transfer(&c, 20000);
	busy(&c);
	assert_int_equal(0, host_inject_failure(stage));
	err = rig_offload(&c);
	if (err) {
		assert_int_equal(-EIO, err);
		assert_int_equal(HOST_CONN_HOST, place(&c));
		assert_non_null(host_conn_info(c.conn)->failed_stage);
		rig_transfer(&c, 200000);
		busy(&c);
		assert_int_equal(0, rig_offload(&c));
	}
	rig_transfer(&c, 200000);
	assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
	busy(&c);
	assert_int_equal(0, rig_upload(&c));
	rig_transfer(&c, 50000);
	assert_int_equal(0, c.own.error);
	assert_int_equal(0, c.peer.error);
	rig_disconnect(&c);
}

static void fail_upload_at(const char *stage, uint32_t seed)
{
	struct rig_conn c;
	int err;

	rig_connect(&rig, &c, AF_INET6, seed);
	rig_transfer(&c, 20000);
	busy(&c);
	assert_int_equal(0, rig_offload(&c));
	busy(&c);
	assert_int_equal(0, host_inject_failure(stage));
	err = rig_upload(&c);
	if (err) {
		assert_int_equal(-EIO, err);
		assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
		rig_transfer(&c, 200000);
		busy(&c);
		assert_int_equal(0, rig_upload(&c));
	}
	assert_int_equal(HOST_CONN_HOST, place(&c));
	rig_transfer(&c, 200000);
	busy(&c);
	assert_int_equal(0, rig_offload(&c));
	rig_transfer(&c, 50000);
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(0, c.own.error);
	assert_int_equal(0, c.peer.error);
	rig_disconnect(&c);
}

static void every_stage_may_fail(void **state)
{
	const char *name;
	unsigned int tried = 0;

	(void)state;
	NEED_RIG();
	for (unsigned int i = 0; (name = host_stage_name(i)); i++) {
		char stage[64];

		snprintf(stage, sizeof(stage), "%s", name);
		if (strncmp(stage, "offload.", 8) == 0)
			fail_offload_at(stage, 10000 + i * 10);
		else if (strncmp(stage, "upload.", 7) == 0)
			fail_upload_at(stage, 20000 + i * 10);
		tried++;
	}
	assert_true(tried > 30);
	host_inject_failure(NULL);
	assert_int_equal(-ENOENT, host_inject_failure("offload.nonsense"));
}

/*
 * The way back fails, too: neither kernel nor target takes it at once, and still nothing is lost.
 */
static void a_failure_may_follow_a_failure(void **state)
{
	static const char *const pairs[] = {
		"upload.restore,back.exchange",
		"upload.restore,back.initiate",
		"upload.drain,back.initiate",
		"upload.exchange,back.exchange",
		"upload.exchange,back.park",
		"upload.exchange,back.initiate,upload.restore,back.initiate",
		"upload.restore,back.carry",
		"upload.release,upload.release,upload.replay,upload.unsteer",
	};
	static const char *const down[] = {
		"offload.exchange,upload.terminate",
		"offload.park,upload.terminate,upload.terminate",
		"offload.exchange,upload.restore,back.initiate",
		"offload.park,upload.exchange,back.initiate",
	};

	(void)state;
	NEED_RIG();
	for (uint32_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		fail_upload_at(pairs[i], 30000 + i * 10);
	for (uint32_t i = 0; i < sizeof(down) / sizeof(down[0]); i++)
		fail_offload_at(down[i], 40000 + i * 10);
	assert_int_equal(-ENOENT, host_inject_failure("offload.read,upload.nonsense"));
	host_inject_failure(NULL);
}

/*
 * W-14: what does not fit stays in the host; STI-02: nothing goes down in a pause; STI-10: all
 * comes up.
 */
static void pause_and_upload_all(void **state)
{
	struct host_adapter_info info;
	struct rig_conn c[4];

	(void)state;
	NEED_RIG();
	for (uint32_t i = 0; i < 4; i++) {
		rig_connect(&rig, &c[i], i & 1 ? AF_INET6 : AF_INET, 50000 + i * 10);
		rig_transfer(&c[i], 10000);
		assert_int_equal(0, rig_offload(&c[i]));
		busy(&c[i]);
	}
	host_adapter_info(rig.adapter, &info);
	assert_int_equal(4, info.offloaded);
	assert_int_equal(2, info.paths);
	tgt_adapter_upload_all(rig.target);
	for (uint32_t i = 0; i < 4; i++) {
		while (place(&c[i]) != HOST_CONN_HOST)
			rig_step(&c[i]);
		RIG_RUN(&c[i], rig_all_there);
	}
	host_adapter_info(rig.adapter, &info);
	REQ("STI-10", info.offloaded == 0 && info.paused);
	REQ("STI-11", info.paths == 0 && info.neighbors == 0);
	REQ("STI-02", rig_offload(&c[0]) == -EAGAIN);
	tgt_adapter_resume_offload(rig.target);
	rig_step(&c[0]);
	REQ("STI-08", rig_offload(&c[0]) == 0);
	rig_transfer(&c[0], 10000);
	assert_int_equal(0, rig_upload(&c[0]));
	for (uint32_t i = 0; i < 4; i++)
		rig_disconnect(&c[i]);
}

static bool under_way(const struct rig_conn *c)
{
	return place(c) == HOST_CONN_OFFLOADING || place(c) == HOST_CONN_UPLOADING;
}

/* Asked for together; one at a time has the worker and keeps its program stopped. */
static void move_together(struct rig_conn *c, unsigned int count, enum host_conn_state to)
{
	unsigned int there = 0, rounds = 0;

	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(0, to == HOST_CONN_OFFLOADED ? rig_ask_offload(&c[i])
							      : rig_ask_upload(&c[i]));
	}
	assert_true(under_way(&c[0])); /* nobody was before it */
	while (there < count) {
		unsigned int moving = 0, stopped = 0;

		there = 0;
		for (unsigned int i = 0; i < count; i++) {
			moving += under_way(&c[i]);
			stopped += c[i].self.stopped;
			there += place(&c[i]) == to;
		}
		assert_true(moving <= 1 && stopped <= 1);
		rig_step(&c[0]);
		rounds++;
	}
	assert_true(rounds > count); /* the target had a round between any two */
	for (unsigned int i = 0; i < count; i++)
		assert_true(c[i].done && c[i].err == 0);
}

static void moves_take_turns(void **state)
{
	struct rig_conn c[5];

	(void)state;
	NEED_RIG();
	for (uint32_t i = 0; i < 5; i++) {
		rig_connect(&rig, &c[i], AF_INET, 70000 + i * 10);
		rig_transfer(&c[i], 10000);
	}
	move_together(c, 5, HOST_CONN_OFFLOADED);
	for (uint32_t i = 0; i < 5; i++)
		rig_transfer(&c[i], 10000);
	move_together(c, 5, HOST_CONN_HOST);
	for (uint32_t i = 0; i < 5; i++) {
		rig_transfer(&c[i], 10000);
		rig_disconnect(&c[i]);
	}
}

/* A peer that sends at the worst moments of a round: after the target ran, and after the timers. */
static struct worst_peer {
	struct rig_conn *c; /* NULL: silent */
	struct loop_timer timer;
} worst;

static void send_a_little(struct rig_conn *c)
{
	uint8_t data[100];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = test_byte(c->peer.tx_seed, c->peer.sent + i);
	if (send(c->peer.fd, data, sizeof(data), MSG_NOSIGNAL) != (ssize_t)sizeof(data))
		fail_msg("the peer cannot send: %s", strerror(errno));
	c->peer.sent += sizeof(data);
	c->peer.goal = c->peer.sent;
}

static void after_timers(struct loop_timer *timer)
{
	(void)timer;
	if (worst.c)
		send_a_little(worst.c);
}

static void after_target(void *ctx, uint64_t now_us)
{
	(void)ctx;
	if (!worst.c)
		return;
	send_a_little(worst.c);
	worst.timer.fn = after_timers;
	loop_timer_set(rig.loop, &worst.timer, now_us);
}

static uint64_t never(void *ctx)
{
	(void)ctx;
	return UINT64_MAX;
}

/* ... and while the program is stopped: the move has steered its frames by then. */
static int stop_late(void *ctx, char *why, size_t why_size)
{
	if (worst.c)
		send_a_little(worst.c);
	return host_program_self_ops.stop(ctx, why, why_size);
}

/* A connection with such a peer, which is silent until worst.c names it. */
static void connect_worst(struct rig_conn *c, uint32_t seed)
{
	static struct loop_hook hook = { .run = after_target, .next_deadline_us = never };
	static struct host_program_ops ops;
	int on = 1;

	if (!ops.stop)
		loop_add_hook(rig.loop, &hook);
	ops = host_program_self_ops;
	ops.stop = stop_late;
	rig_connect_ops(&rig, c, AF_INET, seed, &ops);
	setsockopt(c->pair.b, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	rig_transfer(c, 10000);
}

static unsigned int out_of_order(const struct rig_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(0, getsockopt(c->pair.a, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_rcv_ooopack;
}

static void undone_offload_keeps_the_order(void **state)
{
	static const char *const stages[] = { "offload.freeze", "offload.read",
					      "offload.initiate" };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_worst(&c, 90000);
	for (unsigned int i = 0; i < 12; i++) {
		worst.c = &c;
		for (unsigned int k = 0; k < 3; k++)
			rig_step(&c);
		assert_int_equal(0, host_inject_failure(stages[i % 3]));
		assert_int_equal(-EIO, rig_offload(&c));
		for (unsigned int k = 0; k < 3; k++)
			rig_step(&c);
		worst.c = NULL;
		RIG_RUN(&c, rig_all_there);
		assert_int_equal(0, out_of_order(&c));
	}
	rig_disconnect(&c);
}

/*
 * Frames that the nic has not given out when steering ends come before those that take the straight
 * way.
 */
static void upload_keeps_the_order(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_worst(&c, 80000);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(0, rig_offload(&c));
		rig_transfer(&c, 10000);
		worst.c = &c;
		assert_int_equal(0, rig_upload(&c));
		worst.c = NULL;
		RIG_RUN(&c, rig_all_there);
		assert_int_equal(0, out_of_order(&c));
	}
	rig_disconnect(&c);
}

static void all_back(void *ctx, int err)
{
	struct rig_conn *c = ctx;

	c->err = err;
	c->done = true;
}

static void upload_everything(void **state)
{
	struct rig_conn c[3];

	(void)state;
	NEED_RIG();
	for (uint32_t i = 0; i < 3; i++) {
		rig_connect(&rig, &c[i], AF_INET, 60000 + i * 10);
		rig_transfer(&c[i], 10000);
		assert_int_equal(0, rig_offload(&c[i]));
	}
	c[0].done = false;
	assert_int_equal(0, host_upload_all(rig.host, UploadRequested, all_back, &c[0]));
	RIG_RUN(&c[0], rig_done);
	assert_int_equal(0, c[0].err);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(HOST_CONN_HOST, place(&c[i]));
		rig_transfer(&c[i], 10000);
		rig_disconnect(&c[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_ipv4),
		cmocka_unit_test(moves_ipv6),
		cmocka_unit_test(moves_mapped),
		cmocka_unit_test(state_can_be_queried),
		cmocka_unit_test(full_queues_move),
		cmocka_unit_test(program_closes_first),
		cmocka_unit_test(peer_closes_first),
		cmocka_unit_test(half_closed_moves),
		cmocka_unit_test(own_half_closed_moves),
		cmocka_unit_test(peer_resets),
		cmocka_unit_test(program_closes_with_unread_data),
		cmocka_unit_test(every_stage_may_fail),
		cmocka_unit_test(a_failure_may_follow_a_failure),
		cmocka_unit_test(pause_and_upload_all),
		cmocka_unit_test(upload_everything),
		cmocka_unit_test(moves_take_turns),
		cmocka_unit_test(upload_keeps_the_order),
		cmocka_unit_test(undone_offload_keeps_the_order),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
