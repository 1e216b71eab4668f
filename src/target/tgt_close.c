/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_close.h"

#include "target/tgt_output.h"
#include "target/tgt_reasm.h"
#include "target/tgt_sendq.h"
#include "target/tgt_sent.h"
#include "target/tgt_timer.h"
#include "target/tgt_window.h"

#define RST_REPLY_GAP_US 10000u

void tgt_close_set_state(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_state state)
{
	if (state == TGT_CLOSED &&
	    (conn->state == TGT_ESTABLISHED || conn->state == TGT_CLOSE_WAIT))
		tgt_conn_counters(a, conn)->reset_established++;
	conn->state = (uint8_t)state;
}

static void set_final(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_state state)
{
	tgt_close_set_state(a, conn, state);
	tgt_timer_stop_all(a, conn);
}

/* TIME_WAIT is the host's to wait out; until it takes the connection, only FINs are acknowledged
 * again. */
static void offer_time_wait(struct tgt_adapter *a, struct tgt_conn *conn)
{
	if (conn->state == TGT_TIME_WAIT && conn->flags & TGT_CF_STARTED)
		tgt_request_upload(a, conn, TGT_UPLOAD_REQUESTED);
}

void tgt_close_peer_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_window_advance(conn, 1);
	conn->flags |= TGT_CF_FIN_RECEIVED | TGT_CF_ACK_NOW;
	tgt_reasm_drop(a, conn);
	if (conn->state == TGT_ESTABLISHED)
		tgt_close_set_state(a, conn, TGT_CLOSE_WAIT);
	else if (conn->state == TGT_FIN_WAIT_1)
		tgt_close_set_state(a, conn, TGT_CLOSING);
	else if (conn->state == TGT_FIN_WAIT_2)
		set_final(a, conn, TGT_TIME_WAIT);
	tgt_deliver_fin(a, conn);
	offer_time_wait(a, conn);
}

void tgt_close_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->state == TGT_FIN_WAIT_1) {
		tgt_close_set_state(a, conn, TGT_FIN_WAIT_2);
		tgt_timer_on_fin_wait_2(conn, now_us);
	} else if (conn->state == TGT_CLOSING) {
		set_final(a, conn, TGT_TIME_WAIT);
	} else if (conn->state == TGT_LAST_ACK) {
		set_final(a, conn, TGT_CLOSED);
	}
}

void tgt_close_fin_acked_notify(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_send_fin_acked(a, conn);
	offer_time_wait(a, conn);
}

void tgt_close_peer_rst(struct tgt_adapter *a, struct tgt_conn *conn)
{
	set_final(a, conn, TGT_CLOSED);
	tgt_indicate_abort(a, conn);
}

void tgt_close_give_up(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason)
{
	bool waits = conn->snd_una != conn->snd_max || conn->flags & TGT_CF_PERSIST;

	if (waits && !tgt_timer_running(conn, TGT_TMR_REXMT) &&
	    !tgt_timer_running(conn, TGT_TMR_PERSIST))
		tgt_timer_set(conn, TGT_TMR_REXMT, a->now_us); /* due now, at the host */
	conn->flags |= TGT_CF_SUSPENDED;
	tgt_timer_sync(a, conn);
	tgt_request_upload(a, conn, reason);
}

void tgt_close_fin_wait_2_expired(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_close_set_state(a, conn, TGT_CLOSED);
	tgt_close_give_up(a, conn, TGT_UPLOAD_TIMEOUT);
}

void tgt_close_send_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	if (conn->state == TGT_ESTABLISHED)
		tgt_close_set_state(a, conn, TGT_FIN_WAIT_1);
	else if (conn->state == TGT_CLOSE_WAIT)
		tgt_close_set_state(a, conn, TGT_LAST_ACK);
	else
		return;
	conn->flags |= TGT_CF_FIN_QUEUED;
	tgt_output(a, conn, a->now_us);
}

/*
 * The peer takes an RST only at the number it expects next. That is snd_max when everything
 * arrived, and snd_una behind a closed window, where a probe may have counted a byte that the peer
 * did not take.
 */
static tcp_seq rst_seq(const struct tgt_conn *conn)
{
	return conn->snd_wnd_bytes ? conn->snd_max : conn->snd_una;
}

int tgt_close_abort(struct tgt_adapter *a, struct tgt_conn *conn)
{
	int err = tgt_output_rst(a, conn, rst_seq(conn), TGT_TH_RST | TGT_TH_ACK);

	set_final(a, conn, TGT_CLOSED);
	conn->flags |= TGT_CF_ABORTED;
	conn->flags &= ~TGT_CF_ACK_NOW;
	tgt_reasm_drop(a, conn);
	tgt_sent_clear(a, conn);
	tgt_chunks_free(a, &conn->sendq.list);
	tgt_sendq_begin(conn, conn->snd_una);
	return err;
}

void tgt_close_rst_reply(struct tgt_adapter *a, struct tgt_conn *conn,
			 const struct tgt_segment *seg, uint64_t now_us)
{
	if (seg->flags & TGT_TH_RST || !(seg->flags & TGT_TH_ACK) ||
	    (conn->last_oow_ack_us != TGT_TIME_NONE &&
	     now_us - conn->last_oow_ack_us < RST_REPLY_GAP_US))
		return;
	conn->last_oow_ack_us = now_us;
	(void)tgt_output_rst(a, conn, seg->ack, TGT_TH_RST);
}
