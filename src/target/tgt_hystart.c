/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HyStart++ (RFC 9406). A round lasts until what was outstanding at its beginning is acknowledged.
 * When the least round trip of a round is well above that of the one before, a queue is building:
 * growth is a quarter of slow start's for a few rounds. If the round trip falls again, it was
 * jitter, and slow start goes on; otherwise this window is where congestion avoidance begins.
 *
 * Delay speaks only when the queue is there. Before that, the ACKs of a window that left in one
 * burst come back in a train as long as the bottleneck took for it: when it lasts half of the
 * shortest round trip, the next window would fill the path, and slow start is over at once (the
 * older HyStart, which the kernel has as well). Round trips below TRAIN_RTT_US are no longer than
 * what interrupts are put off for; there a train says nothing.
 */
#include "target/tgt_cc.h"

enum {
	SAMPLES = 8,
	CAREFUL_ROUNDS = 5,
	CAREFUL_DIVISOR = 4,
	RISE_DIVISOR = 8,
	RISE_LEAST_US = 4000,
	RISE_MOST_US = 16000,
	TRAIN_GAP_US = 2000,
	TRAIN_RTT_US = 1000,
	TRAIN_SEGMENTS = 16, /* a shorter window is no train */
};

static void begin_round(struct tgt_conn *conn, uint32_t now_us)
{
	struct tgt_hystart *h = &conn->hystart;

	h->begun = 1;
	h->round_end = conn->snd_max;
	h->last_min_us = h->min_us;
	h->min_us = 0;
	h->samples = 0;
	h->begin_us = h->train_us = now_us;
	if (!h->base_us)
		return;
	if (++h->careful_rounds >= CAREFUL_ROUNDS)
		conn->ssthresh_bytes = conn->cwnd_bytes;
}

static uint32_t rise_us(const struct tgt_hystart *h)
{
	uint32_t rise = h->last_min_us / RISE_DIVISOR;

	if (rise < RISE_LEAST_US)
		return RISE_LEAST_US;
	return rise < RISE_MOST_US ? rise : RISE_MOST_US;
}

static void sample(struct tgt_hystart *h, uint32_t rtt_us)
{
	if (!h->min_us || rtt_us < h->min_us)
		h->min_us = rtt_us;
	if (h->samples < SAMPLES && ++h->samples < SAMPLES)
		return;
	if (h->base_us) {
		if (h->min_us < h->base_us)
			h->base_us = 0;
	} else if (h->last_min_us && h->min_us >= h->last_min_us + rise_us(h)) {
		h->base_us = h->min_us;
		h->careful_rounds = 0;
	}
}

static bool train_fills_path(const struct tgt_conn *conn, struct tgt_hystart *h, uint32_t now_us)
{
	uint32_t rtt_us = conn->rack.min_rtt_us;

	if (conn->pace_bytes_per_ms) /* no bursts, no trains */
		return false;
	if (now_us - h->train_us > TRAIN_GAP_US || rtt_us < TRAIN_RTT_US ||
	    conn->cwnd_bytes < TRAIN_SEGMENTS * tgt_conn_mss(conn))
		return false;
	h->train_us = now_us;
	return now_us - h->begin_us >= rtt_us / 2;
}

uint32_t tgt_hystart_acked(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us)
{
	struct tgt_hystart *h = &conn->hystart;

	if (conn->cwnd_bytes >= conn->ssthresh_bytes)
		return bytes;
	if (!(conn->options & TGT_OPT_SACK) || !conn->rack.rtt_us)
		return tgt_cc_slow_start(conn, bytes);
	if (!h->begun || seq_geq(conn->snd_una, h->round_end))
		begin_round(conn, (uint32_t)now_us);
	sample(h, conn->rack.rtt_us);
	if (train_fills_path(conn, h, (uint32_t)now_us))
		conn->ssthresh_bytes = conn->cwnd_bytes;
	return tgt_cc_slow_start(conn, h->base_us ? bytes / CAREFUL_DIVISOR : bytes);
}
