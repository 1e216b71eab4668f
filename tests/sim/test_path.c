/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine finds out about a path: how large a segment may be, and how full its queue is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "req.h"
#include "sim_case.h"

#define BULK 6000000

static void begin(struct sim_case *c, struct sim_config *config)
{
	case_begin(c, config);
	case_plain(c, SIM_V4);
	case_move(c, SIM_TARGET);
}

/* Frames above 1400 bytes vanish on the way from the target: the stream arrives, and few of them
 * are wasted. */
static void test_black_hole(void **state)
{
	struct sim_config config;
	struct sim_case c;
	uint64_t swallowed;

	(void)state;
	sim_config_default(&config, 11);
	config.up.mtu_bytes = 1400;
	begin(&c, &config);
	sim_sock_send(c.host, BULK);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE(&c, c.peer->rx.got == BULK);
	swallowed = c.world->up.stats.fates[NIC_SIM_TOO_BIG];
	CASE(&c, swallowed > 0);
	sim_sock_send(c.host, BULK);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE(&c, c.world->up.stats.fates[NIC_SIM_TOO_BIG] < swallowed + 8);
	case_close(&c);
	case_end(&c);
}

/* Segments that overflowed the queue while a bulk transfer found its speed. */
static uint64_t overflowed(const char *cc_name)
{
	struct sim_config config;
	struct sim_case c;
	uint64_t lost;

	sim_config_default(&config, 12);
	config.cc_name = cc_name;
	config.up.bits_per_s = 20000000;
	config.up.delay_us = config.down.delay_us = 20000;
	config.up.queue_bytes = 100000;
	begin(&c, &config);
	c.host->tx.window = 1000 << 10;
	sim_sock_send(c.host, 3000000);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	lost = c.world->up.stats.fates[NIC_SIM_OVERFLOWED];
	case_close(&c);
	case_end(&c);
	return lost;
}

/* A queue that marks long before it is full. How long a bulk transfer takes, ms; *overflowed is
 * what did not fit. */
static uint64_t marked_bulk(bool ecn, uint64_t *overflowed_out, uint64_t *marked)
{
	struct sim_conn_config conn;
	struct sim_config config;
	struct sim_case c;
	uint64_t begun_us;

	sim_config_default(&config, 13);
	config.cc_name = "newreno";
	config.up.bits_per_s = 20000000;
	config.up.delay_us = config.down.delay_us = 10000;
	config.up.queue_bytes = 100000;
	config.up.mark_bytes = 15000;
	case_begin(&c, &config);
	sim_conn_config_draw(c.world, &conn);
	conn.family = SIM_V4;
	conn.sack = true;
	conn.ecn = ecn;
	conn.wscale[SIM_AT_PEER] = conn.wscale[SIM_AT_HOST] = 7;
	conn.rcv_buf_bytes[SIM_AT_PEER] = conn.rcv_buf_bytes[SIM_AT_HOST] = 2 << 20;
	case_connect(&c, &conn);
	c.peer->rx.mode = c.host->rx.mode = SIM_RX_POST;
	case_move(&c, SIM_TARGET);
	c.host->tx.window = 2000 << 10;
	begun_us = sim_world_now(c.world);
	sim_sock_send(c.host, BULK);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	begun_us = sim_world_now(c.world) - begun_us;
	*overflowed_out = c.world->up.stats.fates[NIC_SIM_OVERFLOWED];
	*marked = c.world->up.stats.fates[NIC_SIM_MARKED];
	case_close(&c);
	case_end(&c);
	return begun_us / 1000;
}

/* Marks take the place of losses, and cost no speed. */
static void test_marks(void **state)
{
	uint64_t lost, lost_without, marked, marked_without, ms, ms_without;

	(void)state;
	ms_without = marked_bulk(false, &lost_without, &marked_without);
	ms = marked_bulk(true, &lost, &marked);
	printf("%u bytes: %llu ms, %llu lost; with ECN %llu ms, %llu lost, %llu marked\n", BULK,
	       (unsigned long long)ms_without, (unsigned long long)lost_without,
	       (unsigned long long)ms, (unsigned long long)lost, (unsigned long long)marked);
	assert_true(lost_without > 0 && !marked_without);
	REQ("TCP-21", lost == 0 && marked > 0);
	assert_true(ms < BULK * 8ull / 20000 * 13 / 10); /* ideal, and three tenths */
}

/* Slow start that watches the round trip leaves before the queue is full. */
static void test_slow_start_ends_in_time(void **state)
{
	uint64_t cubic = overflowed("cubic"), newreno = overflowed("newreno");

	(void)state;
	printf("segments lost in the queue: cubic %llu, newreno %llu\n", (unsigned long long)cubic,
	       (unsigned long long)newreno);
	assert_true(newreno > 30);
	assert_true(cubic < newreno / 2);
}

/*
 * Bulk over 100 Mbit/s and 10 ms with a queue of one bandwidth-delay product: kilobits a second that
 * reach the reader, from the fourth second on.
 */
static uint32_t goodput(uint32_t loss_ppm, uint64_t seed)
{
	struct sim_config config;
	struct sim_case c;
	uint64_t before, got;

	sim_config_default(&config, seed);
	config.up.bits_per_s = 100000000;
	config.up.delay_us = config.down.delay_us = 5000;
	config.up.queue_bytes = 125000;
	config.up.loss_ppm = loss_ppm;
	begin(&c, &config);
	c.host->tx.window = 1000 << 10;
	sim_sock_send(c.host, 1ull << 30);
	sim_world_run_for(c.world, 4 * CASE_S);
	before = c.peer->rx.got;
	sim_world_run_for(c.world, 10 * CASE_S);
	got = c.peer->rx.got - before;
	sim_sock_abort(c.host);
	CASE_WAIT(&c, case_ended, 10 * CASE_S);
	case_end(&c);
	return (uint32_t)(got * 8 / 10000);
}

/*
 * As fast as the host's own TCP: the floors are nine tenths of what Linux 6.18 with CUBIC reached
 * over bench/bench_wire.c with the same figures (87844, 34281, 10322 and 4984 kbit/s).
 */
static void test_goodput_under_loss(void **state)
{
	static const struct {
		uint32_t loss_ppm, least_kbit;
	} cases[] = { { 0, 79000 }, { 1000, 30800 }, { 10000, 9300 }, { 30000, 4480 } };

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t kbit = goodput(cases[i].loss_ppm, 31 + i);

		printf("loss %u ppm: %u kbit/s\n", cases[i].loss_ppm, kbit);
		assert_true(kbit >= cases[i].least_kbit);
	}
}

/* Two flows of the target share a link for a minute, the second one late: neither has less than
 * four tenths. */
static void test_fair_to_each_other(void **state)
{
	struct sim_config config;
	struct sim_case c;
	struct sim_sock *peer[2], *host[2];
	uint64_t before[2], got[2];

	(void)state;
	sim_config_default(&config, 41);
	config.conns = 2;
	config.up.bits_per_s = 20000000;
	config.up.delay_us = config.down.delay_us = 5000;
	config.up.queue_bytes = 50000;
	case_begin(&c, &config);
	for (int i = 0; i < 2; i++) {
		case_plain(&c, SIM_V4);
		case_move(&c, SIM_TARGET);
		peer[i] = c.peer;
		host[i] = c.host;
		host[i]->tx.window = 1000 << 10;
		sim_sock_send(host[i], 1ull << 30);
		sim_world_run_for(c.world, 2 * CASE_S);
	}
	for (int i = 0; i < 2; i++)
		before[i] = peer[i]->rx.got;
	sim_world_run_for(c.world, 60 * CASE_S);
	for (int i = 0; i < 2; i++)
		got[i] = peer[i]->rx.got - before[i];
	printf("shares: %llu and %llu kB\n", (unsigned long long)got[0] / 1000,
	       (unsigned long long)got[1] / 1000);
	CASE(&c, got[0] + got[1] > 60ull * 20000000 / 8 * 9 / 10);
	CASE(&c, got[0] * 6 > got[1] * 4 && got[1] * 6 > got[0] * 4);
	for (int i = 0; i < 2; i++) {
		c.peer = peer[i];
		c.host = host[i];
		sim_sock_abort(c.host);
		CASE_WAIT(&c, case_ended, 10 * CASE_S);
	}
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_slow_start_ends_in_time),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_goodput_under_loss),
		cmocka_unit_test(test_fair_to_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
