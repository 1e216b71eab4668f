/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_ack.h"

#include "target/tgt_close.h"
#include "target/tgt_ecn.h"
#include "target/tgt_persist.h"
#include "target/tgt_recovery.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sack.h"
#include "target/tgt_sendq.h"
#include "target/tgt_sent.h"
#include "target/tgt_timer.h"
#include "target/tgt_tlp.h"

bool tgt_ack_valid(const struct tgt_conn *conn, tcp_seq ack)
{
	return seq_leq(ack, conn->snd_max) && seq_geq(ack, conn->snd_una - conn->max_snd_wnd_bytes);
}

static uint32_t scaled_window(const struct tgt_conn *conn, const struct tgt_segment *seg)
{
	return (uint32_t)seg->wnd_raw << conn->snd_wscale;
}

/* Only a segment that is not older than the one the present window came from may change it (RFC
 * 9293 3.10.7.4). */
static void update_window(struct tgt_conn *conn, const struct tgt_segment *seg)
{
	if (!seq_lt(conn->snd_wl1, seg->seq) &&
	    !(conn->snd_wl1 == seg->seq && seq_leq(conn->snd_wl2, seg->ack)))
		return;
	conn->snd_wnd_bytes = scaled_window(conn, seg);
	conn->snd_wl1 = seg->seq;
	conn->snd_wl2 = seg->ack;
	if (conn->snd_wnd_bytes > conn->max_snd_wnd_bytes)
		conn->max_snd_wnd_bytes = conn->snd_wnd_bytes;
}

static bool acks_fin(const struct tgt_conn *conn, tcp_seq ack)
{
	return (conn->flags & (TGT_CF_FIN_QUEUED | TGT_CF_FIN_ACKED)) == TGT_CF_FIN_QUEUED &&
	       ack == tgt_sendq_end(conn) + 1;
}

static void advance_una(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack, bool fin)
{
	uint32_t bytes = ack - conn->snd_una - fin;

	/* A successor must not look for bytes that are gone: first the note, then the bytes. */
	if (fin)
		conn->flags |= TGT_CF_FIN_ACKED;
	arena_order();
	conn->snd_una = ack;
	arena_order();
	tgt_sendq_ack(a, conn, bytes);
	if (seq_lt(conn->snd_nxt, ack))
		conn->snd_nxt = ack;
	if (seq_lt(conn->snd_small_end, ack))
		conn->snd_small_end = ack;
}

static void new_ack(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack,
		    struct tgt_delivery *d)
{
	uint32_t bytes = ack - conn->snd_una;
	uint64_t now_us = d->now_us;
	bool fin = acks_fin(conn, ack);

	tgt_rtt_on_ack(a, conn, ack, d->opts, now_us);
	if (conn->options & TGT_OPT_SACK)
		tgt_sent_ack(a, conn, ack, tgt_rack_delivered, d);
	advance_una(a, conn, ack, fin);
	if (!(conn->flags & TGT_CF_PERSIST)) {
		conn->rexmt_count = 0;
		conn->total_rt_us = 0;
	}
	tgt_recovery_new_ack(a, conn, bytes, d);
	tgt_timer_on_new_ack(conn, now_us);
	if (fin)
		tgt_close_fin_acked(a, conn, now_us);
	tgt_forward_progress(a, conn);
	if (bytes > fin)
		tgt_send_acked(a, conn, bytes - fin);
	if (fin)
		tgt_close_fin_acked_notify(a, conn);
}

/* RFC 5681 2 without SACK; with it, what counts is whether the peer told something new (RFC 6675
 * 2). */
static bool is_duplicate(const struct tgt_conn *conn, const struct tgt_segment *seg,
			 const struct tgt_delivery *d, uint32_t old_wnd_bytes)
{
	if (seg->ack != d->una)
		return d->sacked_bytes && conn->phase == TGT_REC_OPEN;
	if (conn->options & TGT_OPT_SACK && (d->opts->sack_count || conn->sent.sacked))
		return d->sacked_bytes;
	return !seg->len && !(seg->flags & TGT_TH_FIN) && scaled_window(conn, seg) == old_wnd_bytes;
}

/* What the acknowledgment means for recovery, after all of it was taken in. */
static void react(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_segment *seg,
		  struct tgt_delivery *d, uint32_t old_wnd_bytes)
{
	bool duplicate = is_duplicate(conn, seg, d, old_wnd_bytes);

	if (d->ece)
		tgt_ecn_echoed(conn, d);
	if (conn->flags & TGT_CF_PERSIST)
		return;
	if (duplicate && conn->snd_una != conn->snd_max)
		tgt_recovery_duplicate(a, conn, d);
	if (!(conn->options & TGT_OPT_SACK))
		return;
	tgt_recovery_delivered(a, conn, d);
	if (conn->flags & TGT_CF_TLP_OUT)
		tgt_tlp_ack(conn, seg->ack, d, duplicate);
}

void tgt_ack_input(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_segment *seg,
		   const struct tgt_opts *opts, uint64_t now_us)
{
	uint32_t old_wnd_bytes = conn->snd_wnd_bytes;
	struct tgt_delivery d;

	if (seq_lt(seg->ack, conn->snd_una))
		return;
	tgt_rack_begin(&d, a, conn, opts, now_us);
	d.ece = tgt_ecn_on(conn) && seg->flags & TGT_TH_ECE;
	if (conn->options & TGT_OPT_SACK && opts->sack_count)
		tgt_sack_input(a, conn, seg->ack, &d);
	update_window(conn, seg);
	if (seq_gt(seg->ack, conn->snd_una))
		new_ack(a, conn, seg->ack, &d);
	if (!(conn->flags & TGT_CF_STARTED) || conn->state == TGT_CLOSED)
		return;
	if (!conn->snd_wnd_bytes)
		tgt_persist_answered(conn, now_us);
	tgt_persist_update(a, conn, now_us);
	react(a, conn, seg, &d, old_wnd_bytes);
}
