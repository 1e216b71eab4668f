/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The published example of timestamps whose clocks drift, by the code of both sides: the host reads
 * and sets the socket's timestamp, the target its delta. Only the two clocks are the test's.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host_int.h"
#include "host_net.h"
#include "req.h"
#include "target/tgt_priv.h"
#include "target/tgt_rtt.h"
#include "target/tgt_state.h"

/* ---- the host's clock ---------------------------------------------------------------------- */

/* As the kernel keeps it: one offset to its clock for each socket, the lowest bit for itself. */
static struct {
	uint32_t now;
	uint32_t delta;
} stack;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level != IPPROTO_TCP || name != TCP_TIMESTAMP)
		return __real_getsockopt(fd, level, name, value, len);
	*(uint32_t *)value = (stack.now + stack.delta) & ~1u;
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == IPPROTO_TCP && name == TCP_TIMESTAMP)
		stack.delta = (*(const uint32_t *)value & ~1u) - stack.now;
	return __real_setsockopt(fd, level, name, value, len);
}

/* ---- both directions ----------------------------------------------------------------------- */

static struct test_net net;
static bool usable;
static struct host_block_pool pool;

static int setup(void **state)
{
	(void)state;
	usable = test_net_open(&net);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_block_pool_drain(&pool);
	test_net_close(&net);
	return 0;
}

/* Returns TsTime as it went down. */
static uint32_t offload(struct host_conn *conn, struct tgt_adapter *a, struct tgt_conn *at_target)
{
	struct host_tcp_block block = { 0 };
	const TCP_OFFLOAD_STATE_DELEGATED *d;

	assert_int_equal(0, host_repair_freeze(&conn->sock));
	assert_int_equal(0, host_repair_read(&conn->sock, &pool, &conn->image));
	assert_true(conn->image.timestamps);
	host_state_tcp(&block, conn);
	d = host_state_delegated(&block);
	assert_int_equal(0, tgt_delegated_from_ddi(a, at_target, d));
	assert_int_equal(0, host_repair_park(&conn->sock, &conn->image));
	return d->TsTime;
}

static void upload(struct host_conn *conn, const struct tgt_adapter *a,
		   const struct tgt_conn *at_target)
{
	TCP_OFFLOAD_STATE_DELEGATED d = { .Header = { .Length = sizeof(d) } };

	tgt_delegated_to_ddi(a, at_target, &d);
	host_state_take(&d, &conn->image);
	assert_int_equal(0, host_repair_restore(&conn->sock, &conn->image));
	assert_int_equal(0, host_repair_release(&conn->sock, &conn->image, true));
}

/* Clocks of both sides count milliseconds; the example's numbers, with two ticks for each reading. */
static void drift(void **state)
{
	struct tgt_adapter a = { .params.ticks_per_second = 1000, .now_us = 200000 };
	struct tgt_conn at_target = { .options = TGT_OPT_TIMESTAMP };
	struct tgt_opts echo = { .has_ts = true };
	struct host_conn conn = { 0 };
	struct test_pair pair;
	int32_t stack_delta;
	uint32_t ts_time;

	(void)state;
	if (!usable)
		skip();
	test_pair_open(&net, AF_INET, &pair);
	assert_int_equal(0, host_repair_take(&conn.sock, dup(pair.a)));
	host_segment_flow(&conn.sock, &conn.info.flow);
	stack.now = 100;
	stack.delta = 0;
	ts_time = offload(&conn, &a, &at_target);
	assert_in_range(ts_time, 100, 102);
	assert_int_equal(ts_time - 200, at_target.ts_delta_ticks);

	stack.now = 200; /* a hundred later; for the target it is fifty */
	a.now_us = 250000;
	upload(&conn, &a, &at_target);
	stack_delta = (int32_t)stack.delta;
	REQ("TSP-11", stack_delta >= -50 && stack_delta <= -48);

	stack.now = 400;
	a.now_us = 320000;
	ts_time = offload(&conn, &a, &at_target);
	REQ("TSP-11", ts_time >= 350 && ts_time <= 354 && at_target.ts_delta_ticks >= 30 &&
			      at_target.ts_delta_ticks <= 34);
	echo.ts_ecr = ts_time; /* of what the host sent last */
	a.now_us = 325000;
	at_target.srtt_us8 = at_target.rttvar_us4 = 0;
	tgt_rtt_on_ack(&a, &at_target, at_target.snd_una, &echo, a.now_us);
	REQ("TSP-11", at_target.srtt_us8 == 8 * 5000);
	host_image_clear(&conn.image);
	host_repair_drop(&conn.sock);
	test_pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(drift) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
