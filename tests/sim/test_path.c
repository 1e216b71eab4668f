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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_slow_start_ends_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
