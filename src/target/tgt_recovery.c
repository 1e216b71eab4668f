/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_recovery.h"

#include "target/tgt_cc.h"
#include "target/tgt_close.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sack.h"
#include "target/tgt_timer.h"

static bool use_sack(const struct tgt_conn *conn)
{
	return conn->options & TGT_OPT_SACK;
}

static uint32_t threshold(const struct tgt_adapter *a)
{
	return a->params.dup_ack_threshold ? a->params.dup_ack_threshold : 1;
}

void tgt_recovery_init(struct tgt_conn *conn)
{
	conn->phase = TGT_REC_OPEN;
	conn->recover = conn->snd_una;
	conn->high_rxt = conn->snd_una;
	if (conn->snd_nxt != conn->snd_max || conn->rexmt_count) {
		conn->phase = TGT_REC_LOSS;
		conn->recover = conn->snd_max;
	}
}

/* Bytes of [from, to) that were not SACKed. */
static uint32_t missing(const struct tgt_adapter *a, const struct tgt_conn *conn, tcp_seq from,
			tcp_seq to)
{
	if (!seq_lt(from, to))
		return 0;
	return to - from -
	       (tgt_sack_bytes_below(a, conn, to) - tgt_sack_bytes_below(a, conn, from));
}

uint32_t tgt_recovery_flight(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	tcp_seq edge;

	if (conn->phase != TGT_REC_FAST || !use_sack(conn))
		return missing(a, conn, conn->snd_una, conn->snd_nxt);
	edge = tgt_sack_lost_edge(a, conn, threshold(a), tgt_conn_mss(conn));
	return missing(a, conn, edge, conn->snd_max) +
	       missing(a, conn, conn->snd_una, conn->high_rxt);
}

uint32_t tgt_recovery_cwnd(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t extra = conn->dup_acks < 2 ? conn->dup_acks : 2, mss = tgt_conn_mss(conn);

	if (conn->phase != TGT_REC_OPEN || use_sack(conn) || conn->dup_acks >= threshold(a))
		extra = 0;
	return (conn->cwnd_bytes < mss ? mss : conn->cwnd_bytes) + extra * mss;
}

static void set_cwnd(struct tgt_conn *conn, uint64_t bytes)
{
	uint32_t mss = tgt_conn_mss(conn);

	if (bytes < mss)
		bytes = mss;
	conn->cwnd_bytes = bytes < TGT_CWND_MAX ? (uint32_t)bytes : TGT_CWND_MAX;
}

static void grow(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us)
{
	uint32_t limit = 2 * tgt_conn_mss(conn);

	if (conn->phase == TGT_REC_OPEN && !(conn->flags & TGT_CF_CWND_LIMITED))
		return;
	if (conn->phase == TGT_REC_LOSS && bytes > limit)
		bytes = limit;
	tgt_cc_by_id(conn->cc_id)->acked(conn, bytes, now_us);
	set_cwnd(conn, conn->cwnd_bytes);
}

static void leave_fast(const struct tgt_adapter *a, struct tgt_conn *conn)
{
	uint32_t mss = tgt_conn_mss(conn);
	uint32_t flight = missing(a, conn, conn->snd_una, conn->snd_nxt);
	uint64_t cwnd = conn->ssthresh_bytes;

	if (!use_sack(conn) && (uint64_t)(flight > mss ? flight : mss) + mss < cwnd)
		cwnd = (uint64_t)(flight > mss ? flight : mss) + mss;
	conn->phase = TGT_REC_OPEN;
	conn->flags &= ~TGT_CF_REXMT_FIRST;
	set_cwnd(conn, cwnd);
}

static void partial_ack(struct tgt_conn *conn, uint32_t bytes)
{
	uint32_t mss = tgt_conn_mss(conn);

	if (!use_sack(conn)) {
		set_cwnd(conn, (conn->cwnd_bytes > bytes ? conn->cwnd_bytes - bytes : 0) +
				       (bytes >= mss ? (uint64_t)mss : 0));
		conn->high_rxt = conn->snd_una;
	}
	/* What follows the acknowledged part was lost as well, also when no SACK block says so. */
	if (seq_leq(conn->high_rxt, conn->snd_una)) {
		conn->high_rxt = conn->snd_una;
		conn->flags |= TGT_CF_REXMT_FIRST;
	}
}

/* The acknowledgment echoes a timestamp from before the retransmission: the original had arrived.
 */
static bool was_spurious(const struct tgt_conn *conn, const struct tgt_opts *opts)
{
	return conn->phase == TGT_REC_LOSS && conn->flags & TGT_CF_RTO_TS && opts->has_ts &&
	       (int32_t)(opts->ts_ecr - conn->rto_tsval) < 0;
}

static void undo_timeout(struct tgt_conn *conn)
{
	conn->phase = TGT_REC_OPEN;
	conn->snd_nxt = conn->snd_max;
	conn->recover = conn->snd_una;
	if (conn->undo_cwnd_bytes > conn->cwnd_bytes)
		conn->cwnd_bytes = conn->undo_cwnd_bytes;
	if (conn->undo_ssthresh_bytes > conn->ssthresh_bytes)
		conn->ssthresh_bytes = conn->undo_ssthresh_bytes;
	tgt_cc_by_id(conn->cc_id)->undo(conn);
}

void tgt_recovery_new_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes,
			  const struct tgt_opts *opts, uint64_t now_us)
{
	bool complete = seq_geq(conn->snd_una, conn->recover);

	if (was_spurious(conn, opts))
		undo_timeout(conn);
	conn->flags &= ~TGT_CF_RTO_TS;
	if (conn->phase == TGT_REC_FAST) {
		if (complete)
			leave_fast(a, conn);
		else
			partial_ack(conn, bytes);
	} else {
		grow(conn, bytes, now_us);
		if (complete)
			conn->phase = TGT_REC_OPEN;
	}
	if (conn->phase != TGT_REC_FAST)
		conn->dup_acks = 0;
	if (seq_lt(conn->recover, conn->snd_una))
		conn->recover = conn->snd_una;
	if (seq_lt(conn->high_rxt, conn->snd_una))
		conn->high_rxt = conn->snd_una;
}

static void enter_fast(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	uint32_t flight = conn->snd_nxt - conn->snd_una;

	conn->ssthresh_bytes = tgt_cc_by_id(conn->cc_id)->lost(conn, flight, now_us);
	conn->phase = TGT_REC_FAST;
	conn->recover = conn->snd_max;
	conn->high_rxt = conn->snd_una;
	conn->flags |= TGT_CF_REXMT_FIRST;
	conn->flags &= ~TGT_CF_RESCUED;
	set_cwnd(conn, conn->ssthresh_bytes);
	if (!use_sack(conn))
		set_cwnd(conn, conn->ssthresh_bytes + (uint64_t)threshold(a) * tgt_conn_mss(conn));
	tgt_timer_set(conn, TGT_TMR_REXMT, now_us + tgt_timer_rexmt_interval(conn));
}

void tgt_recovery_duplicate(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	bool lost;

	if (conn->phase == TGT_REC_LOSS)
		return;
	if (conn->dup_acks < UINT8_MAX)
		conn->dup_acks++;
	if (conn->phase == TGT_REC_FAST) {
		if (!use_sack(conn))
			set_cwnd(conn, conn->cwnd_bytes + (uint64_t)tgt_conn_mss(conn));
		return;
	}
	lost = seq_gt(tgt_sack_lost_edge(a, conn, threshold(a), tgt_conn_mss(conn)), conn->snd_una);
	if ((conn->dup_acks >= threshold(a) || lost) && seq_geq(conn->snd_una, conn->recover))
		enter_fast(a, conn, now_us);
}

/* A peer that no longer has what it SACKed would otherwise never get it. */
static void check_reneging(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tcp_seq start, end;

	if (!tgt_sack_hole(a, conn, conn->snd_una, &start, &end) || start != conn->snd_una)
		tgt_sack_clear(a, conn);
}

static void first_timeout(const struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	conn->undo_cwnd_bytes = conn->cwnd_bytes;
	conn->undo_ssthresh_bytes = conn->ssthresh_bytes;
	conn->ssthresh_bytes =
		tgt_cc_by_id(conn->cc_id)->lost(conn, conn->snd_max - conn->snd_una, now_us);
	if (conn->options & TGT_OPT_TIMESTAMP) {
		conn->rto_tsval = tgt_clock_ticks(a) + conn->ts_delta_ticks;
		conn->flags |= TGT_CF_RTO_TS;
	}
}

void tgt_recovery_timeout(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	conn->total_rt_us += tgt_timer_rexmt_interval(conn);
	if (tgt_timer_exhausted(a, conn)) {
		tgt_close_give_up(a, conn, TGT_UPLOAD_TIMEOUT);
		return;
	}
	if (!conn->rexmt_count)
		first_timeout(a, conn, now_us);
	if (conn->rexmt_count < UINT8_MAX)
		conn->rexmt_count++;
	conn->phase = TGT_REC_LOSS;
	conn->recover = conn->snd_max;
	conn->dup_acks = 0;
	conn->cwnd_bytes = tgt_conn_mss(conn);
	conn->snd_nxt = conn->snd_una;
	conn->high_rxt = conn->snd_una;
	conn->flags &= ~TGT_CF_REXMT_FIRST;
	tgt_rtt_on_retransmit(conn);
	check_reneging(a, conn);
	if (a->params.doubt_retransmissions && conn->rexmt_count == a->params.doubt_retransmissions)
		tgt_reach_doubt(a, conn);
}

void tgt_recovery_resend(struct tgt_conn *conn)
{
	if (conn->snd_una == conn->snd_max)
		return;
	conn->phase = TGT_REC_LOSS;
	conn->recover = conn->snd_max;
	conn->dup_acks = 0;
	conn->snd_nxt = conn->snd_una;
	conn->high_rxt = conn->snd_una;
	conn->flags &= ~(TGT_CF_REXMT_FIRST | TGT_CF_RTO_TS);
	tgt_rtt_on_retransmit(conn);
}

static bool take(struct tgt_range *out, tcp_seq start, tcp_seq end, uint32_t mss)
{
	out->start = start;
	out->end = end - start > mss ? start + mss : end;
	return true;
}

/* RFC 6675 4, NextSeg() without its rule 2, which is ordinary sending. */
static bool next_by_sack(const struct tgt_adapter *a, struct tgt_conn *conn, bool last_resort,
			 struct tgt_range *out)
{
	uint32_t mss = tgt_conn_mss(conn);
	tcp_seq highest = tgt_sack_highest(a, conn);
	tcp_seq start, end;

	if (!tgt_sack_hole(a, conn, conn->high_rxt, &start, &end))
		return false;
	if (seq_lt(start, tgt_sack_lost_edge(a, conn, threshold(a), mss)))
		return take(out, start, end, mss);
	if (!last_resort)
		return false;
	if (seq_lt(start, highest))
		return take(out, start, end, mss);
	if (conn->flags & TGT_CF_RESCUED)
		return false;
	conn->flags |= TGT_CF_RESCUED;
	if (end - start > mss)
		start = end - mss;
	return take(out, start, end, mss);
}

bool tgt_recovery_next(const struct tgt_adapter *a, struct tgt_conn *conn, bool last_resort,
		       struct tgt_range *out)
{
	uint32_t mss = tgt_conn_mss(conn);
	tcp_seq start, end;

	if (conn->phase != TGT_REC_FAST)
		return false;
	if (conn->flags & TGT_CF_REXMT_FIRST)
		return tgt_sack_hole(a, conn, conn->snd_una, &start, &end) &&
		       take(out, start, end, mss);
	if (!use_sack(conn) || tgt_recovery_flight(a, conn) + mss > conn->cwnd_bytes)
		return false;
	return next_by_sack(a, conn, last_resort, out);
}

void tgt_recovery_sent(struct tgt_conn *conn, const struct tgt_range *range)
{
	conn->flags &= ~TGT_CF_REXMT_FIRST;
	if (seq_gt(range->end, conn->high_rxt))
		conn->high_rxt = range->end;
}
