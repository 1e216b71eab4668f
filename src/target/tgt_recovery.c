/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_recovery.h"

#include "target/tgt_cc.h"
#include "target/tgt_close.h"
#include "target/tgt_ecn.h"
#include "target/tgt_hole.h"
#include "target/tgt_prr.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sent.h"
#include "target/tgt_timer.h"
#include "target/tgt_tlp.h"
#include "target/tgt_undo.h"

static bool use_sack(const struct tgt_conn *conn)
{
	return conn->options & TGT_OPT_SACK;
}

static uint32_t threshold(const struct tgt_adapter *a)
{
	return a->params.dup_ack_threshold ? a->params.dup_ack_threshold : 1;
}

void tgt_recovery_init(struct tgt_adapter *a, struct tgt_conn *conn)
{
	conn->phase = TGT_REC_OPEN;
	conn->recover = conn->snd_una;
	conn->high_rxt = conn->snd_una;
	if (conn->snd_nxt != conn->snd_max || conn->rexmt_count) {
		conn->phase = TGT_REC_LOSS;
		conn->recover = conn->snd_max;
	}
	if (!use_sack(conn))
		return;
	tgt_rack_init(conn);
	tgt_sent_begin(a, conn);
	(void)tgt_sent_lose_from(a, conn, conn->snd_nxt);
	conn->snd_nxt = conn->snd_max;
}

void tgt_recovery_stop(const struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_range lost;

	if (use_sack(conn) && tgt_sent_first_lost(a, conn, &lost))
		conn->snd_nxt = lost.start;
}

uint32_t tgt_recovery_flight(const struct tgt_conn *conn)
{
	return use_sack(conn) ? tgt_sent_flight(conn) : conn->snd_nxt - conn->snd_una;
}

uint32_t tgt_recovery_quota(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t mss = tgt_conn_mss(conn), flight = tgt_recovery_flight(conn);
	uint32_t extra = conn->dup_acks < 2 ? conn->dup_acks : 2;
	uint32_t cwnd = conn->cwnd_bytes < mss ? mss : conn->cwnd_bytes;

	if (conn->frto == TGT_FRTO_NEW)
		return tgt_frto_quota(conn);
	if (extra && conn->phase == TGT_REC_OPEN && !use_sack(conn) &&
	    conn->dup_acks < threshold(a))
		cwnd += extra * mss;
	return cwnd > flight ? cwnd - flight : 0;
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

static void leave_fast(struct tgt_conn *conn)
{
	uint32_t mss = tgt_conn_mss(conn), flight = tgt_recovery_flight(conn);
	uint64_t cwnd = conn->ssthresh_bytes;

	if (!use_sack(conn) && (uint64_t)(flight > mss ? flight : mss) + mss < cwnd)
		cwnd = (uint64_t)(flight > mss ? flight : mss) + mss;
	conn->phase = TGT_REC_OPEN;
	conn->flags &= ~TGT_CF_REXMT_FIRST;
	set_cwnd(conn, cwnd);
	tgt_rack_recovered(conn);
}

/* RFC 6582: the segment behind what was acknowledged was lost as well. */
static void partial_ack(struct tgt_conn *conn, uint32_t bytes)
{
	uint32_t mss = tgt_conn_mss(conn);

	if (use_sack(conn))
		return;
	set_cwnd(conn, (conn->cwnd_bytes > bytes ? conn->cwnd_bytes - bytes : 0) +
			       (bytes >= mss ? (uint64_t)mss : 0));
	conn->high_rxt = conn->snd_una;
	conn->flags |= TGT_CF_REXMT_FIRST;
}

/* Nothing was lost: open again, with the windows of before. */
static void undo(struct tgt_adapter *a, struct tgt_conn *conn)
{
	/* What looked lost was late by more than the reordering window. */
	if (conn->phase == TGT_REC_FAST)
		conn->flags |= TGT_CF_REORDERED;
	conn->phase = TGT_REC_OPEN;
	conn->frto = TGT_FRTO_OFF;
	conn->snd_nxt = conn->snd_max;
	conn->recover = conn->snd_una;
	conn->flags &= ~TGT_CF_REXMT_FIRST;
	if (use_sack(conn)) {
		tgt_sent_find(a, conn);
		tgt_rack_distrust(conn);
	}
	tgt_undo_windows(conn);
	tgt_ecn_withdraw(conn);
}

/* F-RTO has failed: RFC 5682 2.1 step 3a, and without SACK back to the head. */
static void frto_over(struct tgt_conn *conn)
{
	if (conn->cwnd_bytes > 3 * tgt_conn_mss(conn))
		conn->cwnd_bytes = 3 * tgt_conn_mss(conn);
	if (!use_sack(conn) && conn->phase == TGT_REC_LOSS)
		conn->snd_nxt = conn->snd_una;
}

static void frto(struct tgt_adapter *a, struct tgt_conn *conn, bool advanced, bool original)
{
	bool tried = conn->frto == TGT_FRTO_NEW;

	if (tgt_frto_ack(conn, advanced, original))
		undo(a, conn);
	else if (conn->frto == TGT_FRTO_NEW)
		conn->snd_nxt = conn->snd_max;
	else if (tried)
		frto_over(conn);
}

bool tgt_recovery_frto_failed(struct tgt_conn *conn)
{
	if (conn->frto != TGT_FRTO_NEW || conn->snd_max != conn->recover)
		return false;
	conn->frto = TGT_FRTO_OFF;
	frto_over(conn);
	return true;
}

void tgt_recovery_new_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes,
			  struct tgt_delivery *d)
{
	bool complete = seq_geq(conn->snd_una, conn->recover);

	if (conn->flags & TGT_CF_UNDO_TS && tgt_undo_by_echo(conn, d->opts))
		undo(a, conn);
	if (conn->frto)
		frto(a, conn, true, !use_sack(conn) || d->original);
	if (conn->phase == TGT_REC_FAST) {
		if (complete)
			leave_fast(conn);
		else
			partial_ack(conn, bytes);
	} else {
		if (!d->ece) /* RFC 3168 6.1.2 */
			grow(conn, bytes, d->now_us);
		if (complete)
			conn->phase = TGT_REC_OPEN;
	}
	if (conn->phase != TGT_REC_FAST)
		conn->dup_acks = 0;
	if (conn->hole_mtu_bytes && conn->hole_probe_bytes)
		tgt_hole_acked(conn, d->now_us);
	if (seq_lt(conn->recover, conn->snd_una))
		conn->recover = conn->snd_una;
	if (seq_lt(conn->high_rxt, conn->snd_una))
		conn->high_rxt = conn->snd_una;
	tgt_ecn_advance(conn);
}

/* All that is missing is a segment that may have been too large for the path. */
static bool only_probe_lost(const struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_range lost;

	return conn->hole_probe_bytes && tgt_sent_first_lost(a, conn, &lost) &&
	       conn->sent.lost_bytes == lost.end - lost.start && tgt_hole_lost(conn, &lost);
}

static void enter_fast(const struct tgt_adapter *a, struct tgt_conn *conn,
		       const struct tgt_delivery *d, uint64_t now_us)
{
	uint32_t flight = conn->snd_max - conn->snd_una;

	tgt_undo_begin(conn);
	tgt_tlp_forget(conn);
	if (only_probe_lost(a, conn))
		conn->ssthresh_bytes = conn->cwnd_bytes;
	else
		conn->ssthresh_bytes = tgt_cc_by_id(conn->cc_id)->lost(conn, flight, now_us);
	tgt_ecn_reduced(conn);
	conn->phase = TGT_REC_FAST;
	conn->recover = conn->snd_max;
	conn->high_rxt = conn->snd_una;
	if (use_sack(conn)) {
		conn->flags |= TGT_CF_TLP_DUE;
		tgt_prr_begin(conn, d);
	} else {
		conn->flags |= TGT_CF_REXMT_FIRST;
		set_cwnd(conn, conn->ssthresh_bytes + (uint64_t)threshold(a) * tgt_conn_mss(conn));
	}
	tgt_timer_set(conn, TGT_TMR_REXMT, now_us + tgt_timer_rexmt_interval(conn));
}

void tgt_recovery_duplicate(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d)
{
	if (conn->phase == TGT_REC_LOSS) {
		if (conn->frto)
			frto(a, conn, false, d->original);
		return;
	}
	if (conn->dup_acks < UINT8_MAX)
		conn->dup_acks++;
	if (conn->phase == TGT_REC_FAST && !use_sack(conn))
		set_cwnd(conn, conn->cwnd_bytes + (uint64_t)tgt_conn_mss(conn));
	if (conn->phase == TGT_REC_OPEN && !use_sack(conn) && conn->dup_acks >= threshold(a) &&
	    seq_geq(conn->snd_una, conn->recover))
		enter_fast(a, conn, d, d->now_us);
}

/* Duplicates without any block, from a peer that agreed to SACK: the head, as without it. */
static void lose_unsacked_head(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d)
{
	if (conn->phase == TGT_REC_OPEN && !conn->sent.sacked && !conn->sent.lost_bytes &&
	    conn->dup_acks >= threshold(a) && seq_geq(conn->snd_una, conn->recover))
		d->lost_bytes += tgt_sent_lose_head(a, conn, tgt_conn_mss(conn));
}

void tgt_recovery_delivered(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d)
{
	if (d->has_dsack && tgt_undo_by_dsack(conn, d))
		undo(a, conn);
	tgt_rack_update(a, conn, d);
	if (!(d->in_recovery | conn->dup_acks | conn->sent.lost_bytes))
		return;
	lose_unsacked_head(a, conn, d);
	if (conn->phase == TGT_REC_OPEN && conn->sent.lost_bytes)
		enter_fast(a, conn, d, d->now_us);
	if (conn->phase == TGT_REC_FAST)
		tgt_prr_ack(conn, d);
}

void tgt_recovery_reordering(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	(void)tgt_rack_expired(a, conn, now_us);
	if (conn->phase == TGT_REC_OPEN && conn->sent.lost_bytes)
		enter_fast(a, conn, NULL, now_us);
}

void tgt_recovery_unseen_loss(struct tgt_conn *conn, uint64_t now_us)
{
	tgt_undo_begin(conn);
	conn->ssthresh_bytes = tgt_cc_by_id(conn->cc_id)->lost(conn, conn->cwnd_bytes, now_us);
	if (conn->cwnd_bytes > conn->ssthresh_bytes)
		set_cwnd(conn, conn->ssthresh_bytes);
	tgt_ecn_reduced(conn);
}

static void first_timeout(struct tgt_conn *conn, uint64_t now_us)
{
	bool fresh = conn->phase == TGT_REC_OPEN && seq_geq(conn->snd_una, conn->recover);

	tgt_undo_begin(conn);
	conn->ssthresh_bytes =
		tgt_cc_by_id(conn->cc_id)->lost(conn, conn->snd_max - conn->snd_una, now_us);
	tgt_ecn_reduced(conn);
	if (fresh)
		tgt_frto_begin(conn);
}

/* What goes again: with SACK what counts as lost, otherwise all. */
static void go_back(struct tgt_adapter *a, struct tgt_conn *conn, bool all, uint64_t now_us)
{
	conn->high_rxt = conn->snd_una;
	tgt_tlp_forget(conn);
	tgt_rtt_on_retransmit(conn);
	if (!use_sack(conn)) {
		conn->snd_nxt = conn->snd_una;
		conn->flags &= ~TGT_CF_REXMT_FIRST;
		return;
	}
	/* A peer that no longer has what it SACKed would otherwise never get it. */
	if (tgt_sent_head_sacked(a, conn))
		tgt_sent_unsack(a, conn);
	if (all)
		(void)tgt_sent_lose_from(a, conn, conn->snd_una);
	else
		tgt_rack_timeout(a, conn, now_us);
	conn->snd_nxt = conn->snd_max;
	conn->flags |= TGT_CF_REXMT_FIRST | TGT_CF_TLP_DUE;
	tgt_timer_on_order(conn);
}

void tgt_recovery_timeout(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	conn->total_rt_us += tgt_timer_rexmt_interval(conn);
	if (tgt_timer_exhausted(a, conn)) {
		tgt_close_give_up(a, conn, TGT_UPLOAD_TIMEOUT);
		return;
	}
	conn->frto = TGT_FRTO_OFF;
	if (!conn->rexmt_count)
		first_timeout(conn, now_us);
	if (conn->rexmt_count < UINT8_MAX)
		conn->rexmt_count++;
	conn->phase = TGT_REC_LOSS;
	conn->recover = conn->snd_max;
	conn->dup_acks = 0;
	tgt_hole_timeout(conn, now_us);
	conn->cwnd_bytes = tgt_conn_mss(conn);
	go_back(a, conn, false, now_us);
	if (a->params.doubt_retransmissions && conn->rexmt_count == a->params.doubt_retransmissions)
		tgt_reach_doubt(a, conn);
}

void tgt_recovery_resend(struct tgt_adapter *a, struct tgt_conn *conn)
{
	if (conn->snd_una == conn->snd_max)
		return;
	conn->phase = TGT_REC_LOSS;
	conn->recover = conn->snd_max;
	conn->dup_acks = 0;
	conn->frto = TGT_FRTO_OFF;
	conn->flags &= ~(TGT_CF_UNDO | TGT_CF_UNDO_TS);
	go_back(a, conn, true, a->now_us);
}

/* Behind the peer's window only the head may go; it shows when there is room again. */
static bool clip(const struct tgt_conn *conn, uint32_t limit, struct tgt_range *r)
{
	uint32_t off = r->start - conn->snd_una;
	uint32_t room = conn->snd_wnd_bytes > off ? conn->snd_wnd_bytes - off : 0;

	if (!off && !room)
		room = 1;
	if (room < limit)
		limit = room;
	if (r->end - r->start > limit)
		r->end = r->start + limit;
	return limit;
}

bool tgt_recovery_next(const struct tgt_adapter *a, const struct tgt_conn *conn, uint32_t limit,
		       struct tgt_range *out)
{
	uint32_t mss = tgt_conn_mss(conn), quota;

	if (!use_sack(conn)) {
		*out = (struct tgt_range){ conn->snd_una, conn->snd_max };
		return conn->phase == TGT_REC_FAST && conn->flags & TGT_CF_REXMT_FIRST &&
		       clip(conn, mss, out);
	}
	if (!conn->sent.lost_bytes || conn->frto == TGT_FRTO_NEW ||
	    !tgt_sent_first_lost(a, conn, out))
		return false;
	quota = tgt_recovery_quota(a, conn);
	if (conn->flags & TGT_CF_REXMT_FIRST && out->start == conn->snd_una)
		limit = quota = mss; /* after a timeout the head goes, whatever is in flight */
	if (quota < mss && quota < out->end - out->start)
		return false;
	if (quota < limit)
		limit = quota;
	if (limit > mss)
		limit -= limit % mss;
	return clip(conn, limit, out);
}

void tgt_recovery_sent(struct tgt_conn *conn, const struct tgt_range *range)
{
	conn->flags &= ~TGT_CF_REXMT_FIRST;
	if (seq_gt(range->end, conn->high_rxt))
		conn->high_rxt = range->end;
}
