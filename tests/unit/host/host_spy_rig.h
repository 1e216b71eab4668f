/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_spy_rig.h - what the tests with a spy share: one rig for all tests of a program, with the spy
 * between its host driver and NDIS. To be included once, after cmocka's headers.
 */
#ifndef TESTS_UNIT_HOST_HOST_SPY_RIG_H
#define TESTS_UNIT_HOST_HOST_SPY_RIG_H

#include "host_rig.h"
#include "host_spy.h"

/* Steps until cond; fails the test when that takes too long. */
#define WAIT(c, cond)                                                                              \
	do {                                                                                       \
		uint64_t end_us_ = test_now_us() + TEST_WAIT_MS * 1000u;                           \
                                                                                                   \
		while (!(cond)) {                                                                  \
			rig_step(c);                                                               \
			if (test_now_us() > end_us_)                                               \
				fail_msg("never: %s", #cond);                                      \
		}                                                                                  \
	} while (0)

static struct rig rig;
static bool usable;

#define NEED_RIG()                                                                                 \
	do {                                                                                       \
		if (!usable)                                                                       \
			skip();                                                                    \
	} while (0)

static inline int setup(void **state)
{
	(void)state;
	spy_clear();
	usable = rig_open(&rig);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	spy_clear();
	rig_close(&rig);
	return 0;
}

static inline int fresh(void **state)
{
	(void)state;
	spy_clear();
	return 0;
}

static inline enum host_conn_state place(const struct rig_conn *c)
{
	return host_conn_info(c->conn)->state;
}

static inline bool in_host(struct rig_conn *c)
{
	return place(c) == HOST_CONN_HOST;
}

static inline void rounds(struct rig_conn *c, unsigned int count)
{
	while (count--)
		rig_step(c);
}

static inline void connect_offloaded(struct rig_conn *c, uint32_t seed)
{
	rig_connect(&rig, c, AF_INET, seed);
	rig_transfer(c, 10000);
	assert_int_equal(0, rig_offload(c));
}

static inline void back_and_away(struct rig_conn *c)
{
	assert_int_equal(0, rig_upload(c));
	rig_transfer(c, 10000);
	rig_disconnect(c);
}

/* The program writes that much at once, before anybody reads it. */
static inline void write_burst(struct rig_conn *c, int fd, size_t bytes)
{
	static uint8_t data[30000];

	while (bytes > 0) {
		size_t len = bytes < sizeof(data) ? bytes : sizeof(data);

		for (size_t i = 0; i < len; i++)
			data[i] = test_byte(c->own.tx_seed, c->own.sent + i);
		test_write_all(fd, data, len);
		c->own.sent += len;
		bytes -= len;
	}
	c->own.goal = c->own.sent;
}

#endif
