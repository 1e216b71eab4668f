/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_pace.h - data leaves no faster than asked for, new or again.
 *
 * After every frame nothing goes for the time that its payload takes at the rate. A pause is not
 * made up for, except by TGT_PACE_SLACK_US: timers are late now and then. Frames are cut so that
 * one is worth at most TGT_PACE_FRAME_US, two segments at least. One deadline and one timer per
 * connection: O(1). ACKs, window probes and tail loss probes are not paced.
 */
#ifndef TARGET_TGT_PACE_H
#define TARGET_TGT_PACE_H

#include "target/tgt_conn.h"
#include "target/tgt_timer.h"

#define TGT_PACE_FRAME_US 1000u
#define TGT_PACE_SLACK_US 1000u

/* tgt_pace_rate() - in the units of tgt_conn.pace_bytes_per_ms; the least is 1000 bytes a second. */
static inline uint32_t tgt_pace_rate(uint64_t bytes_per_s)
{
	uint64_t rate = bytes_per_s / 1000u;

	if (bytes_per_s && !rate)
		return 1;
	return rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
}

/* tgt_pace_holds() - nothing may go now; the timer runs until it may. */
static inline bool tgt_pace_holds(struct tgt_conn *conn, uint64_t now_us)
{
	if (!conn->pace_bytes_per_ms || conn->pace_next_us <= now_us)
		return false;
	tgt_timer_set(conn, TGT_TMR_PACE, conn->pace_next_us);
	return true;
}

/* tgt_pace_sent() - bytes of payload have left. */
static inline void tgt_pace_sent(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us)
{
	if (!conn->pace_bytes_per_ms)
		return;
	if (conn->pace_next_us + TGT_PACE_SLACK_US < now_us)
		conn->pace_next_us = now_us;
	conn->pace_next_us += (uint64_t)bytes * 1000u / conn->pace_bytes_per_ms;
}

/* tgt_pace_limit() - the same as limit (payload of a frame), or less, in whole segments. */
static inline uint32_t tgt_pace_limit(const struct tgt_conn *conn, uint32_t limit, uint32_t mss)
{
	uint64_t most = (uint64_t)conn->pace_bytes_per_ms * TGT_PACE_FRAME_US / 1000u / mss * mss;

	if (!conn->pace_bytes_per_ms)
		return limit;
	if (most < 2 * mss)
		most = 2 * mss;
	return most < limit ? (uint32_t)most : limit;
}

#endif
