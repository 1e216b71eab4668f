/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_rack.h"

#include "target/tgt_sent.h"
#include "target/tgt_timer.h"

#define REO_MULT_MAX   20u /* cut at a smoothed round trip anyhow */
#define REO_PERSIST    16u /* recoveries during which a widened window is kept (RFC 8985 6.2) */
#define MIN_RTT_LIFE_S 300u
#define SECOND_US      1000000u

void tgt_rack_init(struct tgt_conn *conn)
{
	conn->rack = (struct tgt_rack){ .fack = conn->snd_una, .reo_mult = 1 };
}

void tgt_rack_begin(struct tgt_delivery *d, const struct tgt_adapter *a, struct tgt_conn *conn,
		    const struct tgt_opts *opts, uint64_t now_us)
{
	*d = (struct tgt_delivery){ .a = a, .conn = conn, .opts = opts, .now_us = now_us };
	d->una = conn->snd_una;
	d->fack = conn->rack.fack;
	d->in_recovery = conn->phase != TGT_REC_OPEN;
}

static bool sent_after(uint32_t x_us, tcp_seq x_end, uint32_t y_us, tcp_seq y_end)
{
	return x_us == y_us ? seq_gt(x_end, y_end) : (int32_t)(x_us - y_us) > 0;
}

/*
 * Was it a copy before the last one that arrived? The echo is older than the last one, or the round
 * trip would be shorter than any (RFC 8985 6.2 step 2). While the shortest is not known, half of
 * the former owner's smoothed one stands for it.
 */
static bool earlier_copy(const struct tgt_delivery *d, uint32_t rtt_us)
{
	const struct tgt_conn *conn = d->conn;
	const struct tgt_adapter *a = d->a;
	uint64_t then_us = d->now_us - rtt_us;
	uint32_t ticks;

	if (rtt_us < (conn->rack.min_rtt_us ? conn->rack.min_rtt_us : conn->srtt_us8 / 16))
		return true;
	if (!(conn->options & TGT_OPT_TIMESTAMP) || !d->opts->has_ts)
		return false;
	ticks = (uint32_t)(then_us / SECOND_US * a->params.ticks_per_second +
			   then_us % SECOND_US * a->params.ticks_per_second / SECOND_US);
	return (int32_t)(d->opts->ts_ecr - (ticks + conn->ts_delta_ticks)) < 0;
}

static void sample_min_rtt(struct tgt_rack *rack, uint32_t rtt_us, uint64_t now_us)
{
	uint32_t now_s = (uint32_t)(now_us / SECOND_US);

	if (rack->min_rtt_us && rtt_us > rack->min_rtt_us &&
	    now_s - rack->min_rtt_s < MIN_RTT_LIFE_S)
		return;
	rack->min_rtt_us = rtt_us;
	rack->min_rtt_s = now_s;
}

void tgt_rack_delivered(void *ctx, const struct tgt_sent_run *run)
{
	struct tgt_delivery *d = ctx;
	struct tgt_conn *conn = d->conn;
	struct tgt_rack *rack = &conn->rack;
	uint32_t rtt_us = (uint32_t)d->now_us - run->sent_us;
	bool again = run->state & TGT_SENT_AGAIN;

	d->bytes += run->end - run->start;
	if (seq_gt(run->end, d->fack))
		d->fack = run->end;
	if (!again) {
		d->original |= seq_leq(run->end, conn->recover);
		if (seq_lt(run->end, rack->fack))
			conn->flags |= TGT_CF_REORDERED;
	}
	if (run->state & TGT_SENT_OLD)
		return;
	if (!rtt_us)
		rtt_us = 1;
	if (!again)
		sample_min_rtt(rack, rtt_us, d->now_us);
	else if (earlier_copy(d, rtt_us))
		return;
	if (!rack->rtt_us || sent_after(run->sent_us, run->end, rack->sent_us, rack->end)) {
		rack->sent_us = run->sent_us;
		rack->end = run->end;
		rack->rtt_us = rtt_us;
	}
}

static uint32_t threshold(const struct tgt_adapter *a)
{
	return a->params.dup_ack_threshold ? a->params.dup_ack_threshold : 1;
}

bool tgt_rack_threshold_reached(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t most = threshold(a);

	return conn->dup_acks >= most || conn->sent.sacked >= most ||
	       conn->sent.sacked_bytes > (uint64_t)(most - 1) * tgt_conn_mss(conn);
}

uint32_t tgt_rack_window_us(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t srtt_us = conn->srtt_us8 / 8;
	uint32_t shortest_us = conn->rack.min_rtt_us ? conn->rack.min_rtt_us : srtt_us;
	uint32_t window_us;

	if (!(conn->flags & TGT_CF_REORDERED) &&
	    (conn->phase != TGT_REC_OPEN || tgt_rack_threshold_reached(a, conn)))
		return 0;
	window_us = shortest_us / 4 * conn->rack.reo_mult;
	return srtt_us && window_us > srtt_us ? srtt_us : window_us;
}

/* RFC 8985 6.2 step 4: at most once a round trip, and for REO_PERSIST recoveries. */
static void widen(struct tgt_conn *conn, const struct tgt_delivery *d)
{
	struct tgt_rack *rack = &conn->rack;

	if (conn->flags & TGT_CF_DSACK_ROUND && seq_geq(conn->snd_una, rack->dsack_round))
		conn->flags &= ~TGT_CF_DSACK_ROUND;
	if (!d->has_dsack || conn->flags & TGT_CF_DSACK_ROUND)
		return;
	conn->flags |= TGT_CF_DSACK_ROUND;
	rack->dsack_round = conn->snd_max;
	rack->reo_persist = REO_PERSIST;
	if (rack->reo_mult < REO_MULT_MAX)
		rack->reo_mult++;
}

void tgt_rack_recovered(struct tgt_conn *conn)
{
	struct tgt_rack *rack = &conn->rack;

	if (rack->reo_persist && !--rack->reo_persist)
		rack->reo_mult = 1;
}

void tgt_rack_distrust(struct tgt_conn *conn)
{
	conn->rack.rtt_us = 0;
}

struct judgement {
	const struct tgt_conn *conn;
	uint32_t now_us, window_us, wait_us;
	bool old_lost;
};

static bool judge(void *ctx, const struct tgt_sent_run *run)
{
	struct judgement *j = ctx;
	const struct tgt_rack *rack = &j->conn->rack;
	int32_t left_us;

	if (run->state & TGT_SENT_OLD)
		return j->old_lost && seq_lt(run->start, rack->fack);
	if (!rack->rtt_us || !sent_after(rack->sent_us, rack->end, run->sent_us, run->end))
		return false;
	left_us = (int32_t)(run->sent_us + rack->rtt_us + j->window_us - j->now_us);
	if (left_us <= 0)
		return true;
	if ((uint32_t)left_us > j->wait_us)
		j->wait_us = (uint32_t)left_us;
	return false;
}

/* RFC 8985 6.2 step 5. */
static uint32_t detect(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	struct judgement j = { .conn = conn, .now_us = (uint32_t)now_us };
	uint32_t lost;

	j.window_us = tgt_rack_window_us(a, conn);
	j.old_lost = tgt_rack_threshold_reached(a, conn);
	lost = tgt_sent_lose(a, conn, judge, &j);
	if (j.wait_us)
		tgt_timer_on_reordering(conn, now_us + j.wait_us);
	else
		tgt_timer_on_order(conn);
	return lost;
}

void tgt_rack_update(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d)
{
	conn->rack.fack = seq_max(d->fack, conn->snd_una);
	if (conn->snd_una == conn->snd_max)
		conn->rack.rtt_us = 0; /* what comes next may lie beyond the reach of 32 bits */
	if (d->has_dsack || conn->flags & TGT_CF_DSACK_ROUND)
		widen(conn, d);
	if (d->in_recovery || conn->sent.sacked || conn->sent.doubtful)
		d->lost_bytes = detect(a, conn, d->now_us);
	else
		tgt_timer_on_order(conn);
}

uint32_t tgt_rack_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	return detect(a, conn, now_us);
}

static bool judge_late(void *ctx, const struct tgt_sent_run *run)
{
	const struct judgement *j = ctx;

	if (run->state & TGT_SENT_OLD || run->start == j->conn->snd_una || !j->wait_us)
		return true;
	return (int32_t)(run->sent_us + j->wait_us - j->now_us) <= 0;
}

void tgt_rack_timeout(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	struct judgement j = { .conn = conn, .now_us = (uint32_t)now_us };

	/* wait_us: how old a segment must be to count as late */
	j.wait_us = conn->rack.rtt_us ? conn->rack.rtt_us : conn->srtt_us8 / 8;
	if (j.wait_us)
		j.wait_us += tgt_rack_window_us(a, conn);
	(void)tgt_sent_lose(a, conn, judge_late, &j);
}
