/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A connection arrives established, with everything its former owner knew of it, and leaves the
 * same way. Between tgt_conn_start() and tgt_conn_stop() it is driven by four kinds of events: a
 * segment (tgt_input), a timer (tgt_timers_run), data or a FIN from the host (tgt_sendq_append,
 * tgt_close_send_fin, then tgt_output), and received data taken by the application
 * (tgt_rcv_window_changed). Every event runs to its end, sends what it has to send, and leaves the
 * invariants of tgt_conn_check() true. While an event runs, TGT_CF_IN_EVENT is set and requests to
 * send are put off to its end; so the DDI side may call back in.
 *
 * Send side. The queue (tgt_sendq) holds all bytes from snd_una on; our FIN, once requested, is the
 * number behind the last byte. snd_nxt is what goes next, snd_max what was ever sent. They differ
 * while old data is sent again: after a timeout, after the peer's window was closed or shrunk,
 * after the path MTU fell, or because the host was doing so when it handed the connection down.
 * What may be sent is decided by the peer's window, cwnd (tgt_cc) and how much is in the network
 * (tgt_recovery, which knows of losses), Nagle and silly window avoidance (tgt_output). A closed
 * window is probed (tgt_persist).
 *
 * Losses. With SACK, tgt_sent remembers when every byte left last and what the peer said of it
 * (tgt_sack); tgt_rack finds by time what is lost, tgt_tlp asks when nothing comes back, and
 * tgt_recovery sends again, at the pace of tgt_prr. Without SACK tgt_recovery counts duplicates.
 * tgt_undo finds out that nothing was lost after all.
 *
 * Receive side. A segment is judged in the order given in tgt_input.h. In-order bytes go straight
 * to tgt_deliver of the DDI side, which stores them; others wait in tgt_reasm and are named in SACK
 * blocks. rcv_edge is the right edge of the window as the peer knows it and never moves left
 * (tgt_window). ACKs are sent for every ack_frequency segments, at once when something is out of
 * order or old, otherwise after delayed_ack_us.
 *
 * Closing. FIN in either direction only closes that half (tgt_close). States go as in RFC 9293;
 * TIME_WAIT is not waited out here but offered to the host. RST is sent for an abortive disconnect
 * and never else.
 *
 * Giving up. When the engine must stop (retransmissions exhausted, urgent data, SYN at rcv_nxt) it
 * suspends itself: nothing is processed, acknowledged or sent, all state stays, and the host is
 * asked to take the connection.
 */
#include "target/tgt_conn.h"

#include <errno.h>
#include <string.h>

#include "base/wheel.h"
#include "target/tgt_cc.h"
#include "target/tgt_ecn.h"
#include "target/tgt_hole.h"
#include "target/tgt_output.h"
#include "target/tgt_pace.h"
#include "target/tgt_persist.h"
#include "target/tgt_reasm.h"
#include "target/tgt_recovery.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sendq.h"
#include "target/tgt_sent.h"
#include "target/tgt_timer.h"
#include "target/tgt_window.h"

#define IP4_HEADER  20u
#define IP6_HEADER  40u
#define TCP_HEADER  20u
#define MSS_LEAST   48u  /* a smaller one costs more in headers than any path can need */
#define MSS_DEFAULT 536u /* RFC 9293 3.7.1: the peer announced none */

static const char *const state_names[] = { "CLOSED",     "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2",
					   "CLOSE_WAIT", "CLOSING",     "LAST_ACK",   "TIME_WAIT" };

_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == TGT_STATES,
	       "a name for every state");

const char *tgt_state_name(uint8_t state)
{
	return state < TGT_STATES ? state_names[state] : "?";
}

static uint32_t header_bytes(const struct tgt_conn *conn)
{
	return TCP_HEADER + (conn->flags & TGT_CF_IPV6 ? IP6_HEADER : IP4_HEADER);
}

/* What peer and path allow, options included. */
static uint32_t allowed_mss(const struct tgt_conn *conn)
{
	uint32_t headers = header_bytes(conn);
	uint32_t mss = conn->remote_mss ? conn->remote_mss : MSS_DEFAULT;

	if (conn->path_mtu_bytes > headers && conn->path_mtu_bytes - headers < mss)
		mss = conn->path_mtu_bytes - headers;
	return mss < MSS_LEAST ? MSS_LEAST : mss;
}

uint32_t tgt_conn_full_mtu(const struct tgt_conn *conn)
{
	return allowed_mss(conn) + header_bytes(conn);
}

uint32_t tgt_conn_mss(const struct tgt_conn *conn)
{
	uint32_t headers = header_bytes(conn), mss = allowed_mss(conn);

	if (conn->hole_mtu_bytes && conn->hole_mtu_bytes - headers < mss)
		mss = conn->hole_mtu_bytes - headers;
	if (mss < MSS_LEAST)
		mss = MSS_LEAST;
	return conn->options & TGT_OPT_TIMESTAMP ? mss - TGT_OPT_TS_BYTES : mss;
}

void tgt_conn_init(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t slot)
{
	conn->slot = slot;
	a->last_owner += a->last_owner == UINT32_MAX - 1 ? 4 : 2;
	conn->owner = a->last_owner;
	conn->cc_id = a->cc ? a->cc->id : tgt_cc_by_name(NULL)->id;
	conn->pace_bytes_per_ms = tgt_pace_rate(a->pace_bytes_per_s);
	conn->last_syn_challenge_us = TGT_TIME_NONE;
	conn->last_oow_ack_us = TGT_TIME_NONE;
	conn->ka_left_us = TGT_LEFT_NONE;
	conn->rexmt_left_us = TGT_LEFT_NONE;
	for (unsigned int i = 0; i < TGT_TMRS; i++)
		conn->deadline_us[i] = TGT_TIME_NONE;
}

/* What the state says about the two FINs. */
static void set_fin_flags(struct tgt_conn *conn)
{
	conn->flags &= ~(TGT_CF_FIN_QUEUED | TGT_CF_FIN_ACKED | TGT_CF_FIN_RECEIVED);
	switch (conn->state) {
	case TGT_FIN_WAIT_1:
		conn->flags |= TGT_CF_FIN_QUEUED;
		break;
	case TGT_FIN_WAIT_2:
		conn->flags |= TGT_CF_FIN_QUEUED | TGT_CF_FIN_ACKED;
		break;
	case TGT_CLOSE_WAIT:
		conn->flags |= TGT_CF_FIN_RECEIVED;
		break;
	case TGT_CLOSING:
	case TGT_LAST_ACK:
		conn->flags |= TGT_CF_FIN_QUEUED | TGT_CF_FIN_RECEIVED;
		break;
	default:
		break;
	}
}

static bool fin_acked(const struct tgt_conn *conn)
{
	return conn->flags & TGT_CF_FIN_ACKED;
}

static const char *check_send_numbers(const struct tgt_conn *conn)
{
	if (seq_gt(conn->snd_una, conn->snd_nxt) || seq_gt(conn->snd_nxt, conn->snd_max))
		return "not snd_una <= snd_nxt <= snd_max";
	if (conn->sendq.seq + fin_acked(conn) != conn->snd_una)
		return "send queue does not begin at snd_una";
	if (seq_gt(conn->snd_max, tgt_sendq_end(conn) + (conn->flags & TGT_CF_FIN_QUEUED ? 1 : 0)))
		return "snd_max beyond the send queue";
	return NULL;
}

static bool state_can_start(uint8_t state)
{
	return state == TGT_ESTABLISHED || state == TGT_FIN_WAIT_1 || state == TGT_FIN_WAIT_2 ||
	       state == TGT_CLOSE_WAIT || state == TGT_CLOSING || state == TGT_LAST_ACK;
}

static void prepare(struct tgt_adapter *a, struct tgt_conn *conn)
{
	conn->snd_small_end = conn->snd_una;
	conn->snd_wl2 = conn->snd_una;
	conn->rcv_acked = conn->rcv_nxt;
	conn->last_send_us = a->now_us;
	conn->cwnd_used_us = (uint32_t)a->now_us;
	if (conn->max_snd_wnd_bytes < conn->snd_wnd_bytes)
		conn->max_snd_wnd_bytes = conn->snd_wnd_bytes;
	if (!conn->rcv_buf_bytes)
		conn->rcv_buf_bytes = conn->rcv_adv - conn->rcv_nxt;
	tgt_window_init(conn);
	tgt_ecn_init(conn);
	tgt_recovery_init(a, conn);
	tgt_cc_by_id(conn->cc_id)->init(conn);
}

int tgt_conn_start(struct tgt_adapter *a, struct tgt_conn *conn)
{
	uint32_t keep = TGT_CF_TS_VALID | TGT_CF_IPV6;

	if (!state_can_start(conn->state))
		return -EINVAL;
	conn->flags &= keep;
	set_fin_flags(conn);
	conn->sendq.seq = conn->snd_una - fin_acked(conn);
	if (check_send_numbers(conn) || seq_lt(conn->rcv_adv, conn->rcv_nxt) ||
	    (fin_acked(conn) && conn->sendq.list.bytes))
		return -EINVAL;
	prepare(a, conn);
	conn->flags |= TGT_CF_STARTED | TGT_CF_TAKEN_OVER | TGT_CF_ACK_NOW;
	conn->quick_acks = a->quick_acks;
	arena_order();
	conn->taken = true; /* from here on a successor finds it */
	arena_order();
	tgt_timer_resume(conn, a->now_us);
	tgt_output(a, conn, a->now_us);
	return 0;
}

void tgt_conn_snapshot(const struct tgt_adapter *a, struct tgt_conn *conn)
{
	enum tgt_timer which = TGT_TMR_REXMT;

	if (!(conn->flags & TGT_CF_STARTED))
		return;
	if (tgt_timer_running(conn, TGT_TMR_PERSIST))
		which = TGT_TMR_PERSIST;
	conn->rexmt_left_us = tgt_timer_left(conn, which, a->now_us);
	conn->ka_left_us = tgt_timer_left(conn, TGT_TMR_KEEP, a->now_us);
}

/* A mark that is not answered yet: the next owner cannot be told, so the peer is, once more. */
static bool owes_ack(const struct tgt_conn *conn)
{
	return conn->flags & TGT_CF_ECN_ECHO || conn->rcv_acked != conn->rcv_nxt ||
	       conn->flags & TGT_CF_ACK_NOW || tgt_timer_running(conn, TGT_TMR_DELACK);
}

void tgt_conn_stop(struct tgt_adapter *a, struct tgt_conn *conn)
{
	if (!(conn->flags & TGT_CF_STARTED))
		return;
	tgt_conn_snapshot(a, conn);
	if (conn->state != TGT_CLOSED && owes_ack(conn))
		(void)tgt_output_ack(a, conn, a->now_us);
	tgt_timer_stop_all(a, conn);
	tgt_recovery_stop(a, conn);
	tgt_reasm_drop(a, conn);
	if (conn->last_receive_us)
		conn->rcv_adv = conn->rcv_edge;
	conn->flags &= ~(TGT_CF_STARTED | TGT_CF_ACK_NOW | TGT_CF_DSACK);
}

void tgt_conn_release(struct tgt_adapter *a, struct tgt_conn *conn)
{
	conn->taken = false;
	arena_order();
	conn->flags &= ~TGT_CF_STARTED;
	tgt_timer_stop_all(a, conn);
	tgt_reasm_drop(a, conn);
	tgt_sent_clear(a, conn);
	tgt_sendq_free(a, conn);
	tgt_chunks_free(a, &conn->rcvq);
}

/* Segments of the old size will not arrive any more: what is outstanding goes again, cut anew. */
void tgt_conn_set_mtu(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t path_mtu_bytes)
{
	uint32_t old = tgt_conn_mss(conn);

	conn->path_mtu_bytes = path_mtu_bytes;
	tgt_hole_forget(conn);
	if (!(conn->flags & TGT_CF_STARTED) || conn->flags & TGT_CF_SUSPENDED)
		return;
	if (tgt_conn_mss(conn) < old && !(conn->flags & TGT_CF_PERSIST))
		tgt_recovery_resend(a, conn);
	tgt_output(a, conn, a->now_us);
}

void tgt_conn_set_pacing(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t bytes_per_s)
{
	conn->pace_bytes_per_ms = tgt_pace_rate(bytes_per_s);
	conn->pace_next_us = 0;
	tgt_timer_stop(conn, TGT_TMR_PACE);
	tgt_output(a, conn, a->now_us);
}

void tgt_conn_max_rt_changed(struct tgt_adapter *a, struct tgt_conn *conn, bool restart)
{
	if (restart)
		conn->total_rt_us = 0;
	if (tgt_timer_running(conn, TGT_TMR_REXMT) && conn->state != TGT_FIN_WAIT_2 &&
	    !(conn->flags & TGT_CF_PERSIST))
		tgt_timer_set(conn, TGT_TMR_REXMT, a->now_us + tgt_timer_rexmt_interval(conn));
	tgt_timer_sync(a, conn);
}

static const char *check_receive_numbers(const struct tgt_conn *conn)
{
	if (seq_gt(conn->rcv_nxt, conn->rcv_adv) || seq_gt(conn->rcv_adv, conn->rcv_edge))
		return "not rcv_nxt <= rcv_adv <= rcv_edge";
	if (seq_gt(conn->rcv_acked, conn->rcv_nxt))
		return "acknowledged more than received";
	if (conn->rcv_in_deliver_bytes)
		return "delivery was not finished";
	if (conn->flags & TGT_CF_FIN_RECEIVED && conn->reasm.ranges)
		return "data behind the peer's FIN";
	return NULL;
}

static const char *check_recovery(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	if (seq_lt(conn->recover, conn->snd_una) || seq_gt(conn->recover, conn->snd_max))
		return "recover outside [snd_una, snd_max]";
	if (seq_lt(conn->high_rxt, conn->snd_una) || seq_gt(conn->high_rxt, conn->snd_max))
		return "high_rxt outside [snd_una, snd_max]";
	if (conn->phase == TGT_REC_OPEN && conn->snd_nxt != conn->snd_max &&
	    !(conn->flags & TGT_CF_PERSIST))
		return "sending again without recovery";
	if (seq_lt(conn->ecn_end, conn->snd_una - 1) || seq_gt(conn->ecn_end, conn->snd_max))
		return "ecn_end outside [snd_una - 1, snd_max]";
	if (!(conn->options & TGT_OPT_SACK))
		return conn->sent.count ? "records of sent data without SACK" : NULL;
	if (conn->phase == TGT_REC_OPEN && conn->sent.lost_bytes)
		return "something lost, and no recovery";
	if (conn->flags & TGT_CF_REO_TIMER && !tgt_timer_running(conn, TGT_TMR_LOSS))
		return "a reordering window without timer";
	return tgt_sent_check(a, conn);
}

static const char *check_timers(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	bool rexmt = tgt_timer_running(conn, TGT_TMR_REXMT),
	     persist = tgt_timer_running(conn, TGT_TMR_PERSIST);
	bool retry = tgt_timer_running(conn, TGT_TMR_RETRY);
	uint64_t first = TGT_TIME_NONE;

	if (tgt_persist_needed(conn) != !!(conn->flags & TGT_CF_PERSIST) &&
	    conn->state != TGT_TIME_WAIT)
		return "persist mode does not fit window and queue";
	if (tgt_timer_running(conn, TGT_TMR_PACE) && !conn->pace_bytes_per_ms)
		return "pacing without a rate";
	if (conn->flags & TGT_CF_PERSIST && rexmt == persist)
		return "persist mode needs one of its two timers";
	if (persist && !(conn->flags & TGT_CF_PERSIST))
		return "persist timer outside persist mode";
	if (!(conn->flags & TGT_CF_PERSIST) && conn->snd_una != conn->snd_max && !rexmt && !retry)
		return "data outstanding without retransmission timer";
	if (rexmt && conn->snd_una == conn->snd_max && !(conn->flags & TGT_CF_PERSIST) &&
	    conn->state != TGT_FIN_WAIT_2)
		return "retransmission timer without data outstanding";
	if (conn->rcv_acked != conn->rcv_nxt && !tgt_timer_running(conn, TGT_TMR_DELACK) && !retry)
		return "an ACK is owed and no timer will send it";
	if (conn->flags & TGT_CF_ACK_NOW && !retry)
		return "an ACK was due at once and was not sent";
	for (unsigned int i = 0; i < TGT_TMRS; i++)
		if (conn->deadline_us[i] < first)
			first = conn->deadline_us[i];
	return wheel_deadline(a->wheel, conn->slot) == first ? NULL : "wheel and deadlines differ";
}

static const char *check_state(const struct tgt_conn *conn)
{
	bool received = conn->state == TGT_CLOSE_WAIT || conn->state == TGT_CLOSING ||
			conn->state == TGT_LAST_ACK || conn->state == TGT_TIME_WAIT;
	bool queued = conn->state != TGT_ESTABLISHED && conn->state != TGT_CLOSE_WAIT;
	bool acked = conn->state == TGT_FIN_WAIT_2 || conn->state == TGT_TIME_WAIT;

	if (received != !!(conn->flags & TGT_CF_FIN_RECEIVED))
		return "state and peer's FIN differ";
	if (queued != !!(conn->flags & TGT_CF_FIN_QUEUED) || acked != fin_acked(conn))
		return "state and our FIN differ";
	if (acked && conn->sendq.list.bytes)
		return "data behind an acknowledged FIN";
	return NULL;
}

const char *tgt_conn_check(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	const char *wrong = tgt_chunks_check(a, &conn->sendq.list);

	if (!wrong)
		wrong = tgt_chunks_check(a, &conn->rcvq);
	if (!wrong)
		wrong = tgt_reasm_check(a, conn);
	if (!wrong && !(conn->flags & TGT_CF_ABORTED))
		wrong = check_send_numbers(conn);
	if (!wrong)
		wrong = check_receive_numbers(conn);
	if (wrong || !(conn->flags & TGT_CF_STARTED) || conn->flags & TGT_CF_SUSPENDED ||
	    conn->state == TGT_CLOSED)
		return wrong;
	wrong = check_recovery(a, conn);
	if (!wrong)
		wrong = check_state(conn);
	return wrong ? wrong : check_timers(a, conn);
}
