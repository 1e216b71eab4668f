/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_input.h"

#include "target/tgt_ack.h"
#include "target/tgt_close.h"
#include "target/tgt_ecn.h"
#include "target/tgt_keepalive.h"
#include "target/tgt_opt.h"
#include "target/tgt_output.h"
#include "target/tgt_reasm.h"
#include "target/tgt_rtt.h"
#include "target/tgt_timer.h"
#include "target/tgt_window.h"

/* What of a segment is left to process after it was cut to the window. */
struct payload {
	tcp_seq seq;
	const uint8_t *data;
	uint32_t len;
	bool fin;
};

static enum tgt_verdict drop(struct tgt_adapter *a, enum tgt_drop_reason reason)
{
	tgt_drop(a, reason);
	return TGT_SEG_DROP;
}

static bool in_window(const struct tgt_conn *conn, tcp_seq seq)
{
	return seq == conn->rcv_nxt || seq_in(seq, conn->rcv_nxt, conn->rcv_edge);
}

static void challenge(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	tgt_keepalive_on_challenge(conn, now_us);
	(void)tgt_output_ack(a, conn, now_us);
	tgt_timer_sync(a, conn);
}

static enum tgt_verdict on_rst(struct tgt_adapter *a, struct tgt_conn *conn,
			       const struct tgt_segment *seg, uint64_t now_us)
{
	if (!in_window(conn, seg->seq) || conn->state == TGT_TIME_WAIT) /* RFC 1337 */
		return drop(a, TGT_DROP_RST_WINDOW);
	if (seg->seq == conn->rcv_nxt) {
		tgt_close_peer_rst(a, conn);
		return TGT_SEG_DONE;
	}
	if (!(conn->flags & TGT_CF_RST_CHALLENGED)) {
		conn->flags |= TGT_CF_RST_CHALLENGED;
		challenge(a, conn, now_us);
	}
	return drop(a, TGT_DROP_RST_CHALLENGED);
}

/* An answer that may take part in a loop with the peer's answers: not more often than that. */
static void ack_limited(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t gap_us,
			uint64_t now_us)
{
	if (conn->last_oow_ack_us != TGT_TIME_NONE && now_us - conn->last_oow_ack_us < gap_us)
		return;
	conn->last_oow_ack_us = now_us;
	(void)tgt_output_ack(a, conn, now_us);
	tgt_timer_sync(a, conn);
}

static enum tgt_verdict on_syn(struct tgt_adapter *a, struct tgt_conn *conn,
			       const struct tgt_segment *seg, uint64_t now_us)
{
	if (conn->state == TGT_TIME_WAIT)
		return TGT_SEG_TO_HOST;
	if (seg->seq == conn->rcv_nxt) {
		tgt_close_set_state(a, conn, TGT_CLOSED);
		tgt_close_give_up(a, conn, TGT_UPLOAD_REQUESTED);
	} else if (!in_window(conn, seg->seq)) {
		ack_limited(a, conn, TGT_PROBE_ACK_GAP_US, now_us);
	} else if (conn->last_syn_challenge_us == TGT_TIME_NONE ||
		   now_us - conn->last_syn_challenge_us >= TGT_SYN_CHALLENGE_GAP_US) {
		conn->last_syn_challenge_us = now_us;
		challenge(a, conn, now_us);
	}
	return drop(a, TGT_DROP_SYN_CHALLENGED);
}

static bool paws_rejects(const struct tgt_conn *conn, const struct tgt_opts *opts, uint64_t now_us)
{
	return conn->options & TGT_OPT_TIMESTAMP && opts->has_ts && conn->flags & TGT_CF_TS_VALID &&
	       (int32_t)(opts->ts_val - conn->ts_recent) < 0 &&
	       now_us - conn->ts_recent_us < TGT_PAWS_AGE_US;
}

/*
 * A segment that is not acceptable is answered with an ACK. Data always is: it comes from a peer
 * that missed our ACK. Without data the answer is limited, but less so for the form that keepalive
 * and window probes have.
 */
static void answer_unacceptable(struct tgt_adapter *a, struct tgt_conn *conn,
				const struct tgt_segment *seg, uint64_t now_us)
{
	bool probe = seg->seq == conn->rcv_nxt - 1;

	if (seg->len || seg->flags & TGT_TH_FIN) {
		if (seg->len && seq_leq(seg->seq + seg->len, conn->rcv_nxt) &&
		    conn->options & TGT_OPT_SACK && !(conn->flags & TGT_CF_DSACK)) {
			conn->flags |= TGT_CF_DSACK;
			conn->dsack_start = seg->seq;
			conn->dsack_end = seg->seq + seg->len;
		}
		(void)tgt_output_ack(a, conn, now_us);
		tgt_timer_sync(a, conn);
	} else {
		ack_limited(a, conn, probe ? TGT_PROBE_ACK_GAP_US : TGT_OOW_ACK_GAP_US, now_us);
	}
}

/*
 * Acceptable when it ends at or behind what was last acknowledged and begins within the window.
 * That is a little more than RFC 9293 allows on the left: a pure ACK that data overtook still
 * counts.
 */
static bool sequence_acceptable(const struct tgt_conn *conn, const struct tgt_segment *seg)
{
	tcp_seq end = seg->seq + seg->len + !!(seg->flags & TGT_TH_FIN);

	return seq_geq(end, conn->rcv_acked) && seq_leq(seg->seq, conn->rcv_edge);
}

/* RFC 7323 4.3: only a segment that covers the last number acknowledged carries the timestamp to
 * echo. */
static void update_ts_recent(struct tgt_conn *conn, const struct tgt_segment *seg,
			     const struct tgt_opts *opts, uint64_t now_us)
{
	bool known = conn->flags & TGT_CF_TS_VALID;

	if (!(conn->options & TGT_OPT_TIMESTAMP) || !opts->has_ts)
		return;
	if (known &&
	    (seq_gt(seg->seq, conn->rcv_acked) || ((int32_t)(opts->ts_val - conn->ts_recent) < 0 &&
						   now_us - conn->ts_recent_us < TGT_PAWS_AGE_US)))
		return;
	conn->ts_recent = opts->ts_val;
	conn->ts_recent_us = now_us;
	conn->flags |= TGT_CF_TS_VALID;
}

/* Cut to [rcv_nxt, rcv_edge). A FIN takes no buffer, so it may lie at the edge itself. */
static void cut_to_window(struct tgt_adapter *a, struct tgt_conn *conn,
			  const struct tgt_segment *seg, struct payload *p)
{
	uint32_t old, room;

	p->seq = seg->seq;
	p->data = seg->data;
	p->len = seg->len;
	p->fin = seg->flags & TGT_TH_FIN;
	if (seq_lt(p->seq, conn->rcv_nxt)) {
		old = conn->rcv_nxt - p->seq;
		conn->flags |= TGT_CF_ACK_NOW;
		if (old > p->len && p->fin)
			p->fin = false;
		if (old > p->len)
			old = p->len;
		if (old && conn->options & TGT_OPT_SACK && !(conn->flags & TGT_CF_DSACK)) {
			conn->flags |= TGT_CF_DSACK;
			conn->dsack_start = p->seq;
			conn->dsack_end = p->seq + old;
		}
		p->data += old;
		p->len -= old;
		p->seq = conn->rcv_nxt;
	}
	room = seq_lt(p->seq, conn->rcv_edge) ? conn->rcv_edge - p->seq : 0;
	if (p->len > room) {
		tgt_drop(a, TGT_DROP_SEQ_WINDOW);
		conn->flags |= TGT_CF_ACK_NOW;
		p->len = room;
		p->fin = false;
	}
}

/* Chunks that storing these bytes may take; kept free so that delivery cannot fail half way. */
static bool room_in_arena(const struct tgt_adapter *a, uint32_t len)
{
	uint32_t idle = arena_count(a->arena, a->pool_chunk) - arena_used(a->arena, a->pool_chunk);

	return idle >= len / TGT_CHUNK_ROOM + 2;
}

static void deliver(struct tgt_adapter *a, struct tgt_conn *conn, const struct payload *p,
		    bool push)
{
	conn->rcv_in_deliver_bytes = p->len;
	tgt_window_advance(conn, p->len);
	tgt_deliver_data(a, conn, p->data, p->len, push);
	conn->rcv_in_deliver_bytes = 0;
}

/* An ACK for at least every ack_frequency segments; a super-frame counts as what it consists of. */
static void owe_ack(const struct tgt_adapter *a, struct tgt_conn *conn,
		    const struct tgt_segment *seg, uint64_t now_us)
{
	uint32_t segments = 1;

	if (seg->gso_size && seg->len > seg->gso_size)
		segments = (seg->len + seg->gso_size - 1) / seg->gso_size;
	segments += conn->ack_segments;
	conn->ack_segments = segments < UINT8_MAX ? (uint8_t)segments : UINT8_MAX;
	if (segments >= a->params.ack_frequency || conn->quick_acks)
		conn->flags |= TGT_CF_ACK_NOW;
	else
		tgt_timer_on_ack_owed(a, conn, now_us);
}

static void in_order(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_segment *seg,
		     const struct payload *p, uint64_t now_us)
{
	if (!room_in_arena(a, p->len)) {
		tgt_drop(a, TGT_DROP_NO_CHUNK);
		return;
	}
	owe_ack(a, conn, seg, now_us);
	deliver(a, conn, p, seg->flags & (TGT_TH_PSH | TGT_TH_FIN));
	if (conn->reasm.ranges) {
		conn->flags |= TGT_CF_ACK_NOW; /* a gap was filled, in part at least */
		(void)tgt_reasm_pull(a, conn);
	}
}

static void on_data(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_segment *seg,
		    const struct payload *p, uint64_t now_us)
{
	if (!p->len)
		return;
	tgt_ecn_received(conn, seg);
	if (p->seq == conn->rcv_nxt) {
		in_order(a, conn, seg, p, now_us);
		return;
	}
	conn->flags |= TGT_CF_ACK_NOW;
	conn->quick_acks = a->quick_acks;
	(void)tgt_reasm_insert(a, conn, p->seq, p->data, p->len);
}

static bool may_process(const struct tgt_conn *conn)
{
	return conn->flags & TGT_CF_STARTED && !(conn->flags & TGT_CF_SUSPENDED) &&
	       conn->state != TGT_CLOSED;
}

static void on_fin(struct tgt_adapter *a, struct tgt_conn *conn, const struct payload *p)
{
	if (p->fin) {
		conn->reasm.has_fin = true;
		conn->reasm.fin_seq = p->seq + p->len;
		conn->flags |= TGT_CF_ACK_NOW;
	}
	if (conn->reasm.has_fin && conn->reasm.fin_seq == conn->rcv_nxt && may_process(conn))
		tgt_close_peer_fin(a, conn);
}

static void on_text(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_segment *seg,
		    uint64_t now_us)
{
	struct payload p;

	cut_to_window(a, conn, seg, &p);
	if (conn->flags & TGT_CF_FIN_RECEIVED)
		return; /* nothing can follow a FIN */
	on_data(a, conn, seg, &p, now_us);
	if (may_process(conn))
		on_fin(a, conn, &p);
}

/* Urgent data is the host's: from here on nothing more is acknowledged (NSP-10, NSP-11). */
static enum tgt_verdict on_urgent(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_close_give_up(a, conn, TGT_UPLOAD_URGENT);
	return TGT_SEG_TO_HOST;
}

/* After a silence the peer's window may be small again: its first segments are not kept waiting. */
static void note_rhythm(const struct tgt_adapter *a, struct tgt_conn *conn,
			const struct tgt_segment *seg, uint64_t now_us)
{
	if (!seg->len) {
		conn->flags &= ~TGT_CF_GETS_DATA;
		return;
	}
	conn->flags |= TGT_CF_GETS_DATA;
	if (now_us - conn->last_receive_us > tgt_rtt_rto(conn))
		conn->quick_acks = a->quick_acks;
}

static enum tgt_verdict on_acceptable(struct tgt_adapter *a, struct tgt_conn *conn,
				      const struct tgt_segment *seg, const struct tgt_opts *opts,
				      uint64_t now_us)
{
	note_rhythm(a, conn, seg, now_us);
	conn->last_receive_us = now_us;
	update_ts_recent(conn, seg, opts, now_us);
	if (conn->state != TGT_TIME_WAIT) {
		tgt_keepalive_on_acceptable(conn, now_us);
		tgt_timer_on_acceptable(conn, now_us);
	}
	conn->flags |= TGT_CF_IN_EVENT;
	tgt_ack_input(a, conn, seg, opts, now_us);
	if (may_process(conn))
		on_text(a, conn, seg, now_us);
	conn->flags &= ~TGT_CF_IN_EVENT;
	tgt_output(a, conn, now_us);
	return TGT_SEG_DONE;
}

/* The checks that may end a segment's life before it counts as acceptable. */
static enum tgt_verdict judge(struct tgt_adapter *a, struct tgt_conn *conn,
			      const struct tgt_segment *seg, const struct tgt_opts *opts,
			      uint64_t now_us)
{
	if (seg->flags & TGT_TH_RST)
		return on_rst(a, conn, seg, now_us);
	if (seg->flags & TGT_TH_SYN)
		return on_syn(a, conn, seg, now_us);
	if (paws_rejects(conn, opts, now_us)) {
		answer_unacceptable(a, conn, seg, now_us);
		return drop(a, TGT_DROP_PAWS);
	}
	if (!sequence_acceptable(conn, seg)) {
		answer_unacceptable(a, conn, seg, now_us);
		return drop(a, TGT_DROP_SEQ_WINDOW);
	}
	if (!(seg->flags & TGT_TH_ACK))
		return drop(a, TGT_DROP_NO_ACK_FLAG);
	if (!tgt_ack_valid(conn, seg->ack)) {
		ack_limited(a, conn, TGT_OOW_ACK_GAP_US, now_us);
		return drop(a, TGT_DROP_ACK_INVALID);
	}
	if (seg->flags & TGT_TH_URG)
		return on_urgent(a, conn);
	return on_acceptable(a, conn, seg, opts, now_us);
}

enum tgt_verdict tgt_input(struct tgt_adapter *a, struct tgt_conn *conn,
			   const struct tgt_segment *seg, uint64_t now_us)
{
	struct tgt_opts opts;

	if (conn->state == TGT_CLOSED && conn->flags & TGT_CF_ABORTED) {
		tgt_close_rst_reply(a, conn, seg, now_us);
		return drop(a, TGT_DROP_AFTER_ABORT);
	}
	if (!may_process(conn))
		return TGT_SEG_TO_HOST;
	tgt_opt_parse(seg->opt, seg->opt_len, &opts);
	if (opts.malformed)
		tgt_drop(a, TGT_DROP_OPTION_MALFORMED);
	return judge(a, conn, seg, &opts, now_us);
}
