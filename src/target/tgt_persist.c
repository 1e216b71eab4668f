/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_persist.h"

#include "target/tgt_close.h"
#include "target/tgt_output.h"
#include "target/tgt_recovery.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sendq.h"
#include "target/tgt_timer.h"

bool tgt_persist_needed(const struct tgt_conn *conn)
{
	bool fin = (conn->flags & (TGT_CF_FIN_QUEUED | TGT_CF_FIN_ACKED)) == TGT_CF_FIN_QUEUED;

	return !conn->snd_wnd_bytes && (conn->sendq.list.bytes || fin);
}

static void start_round(struct tgt_conn *conn, uint64_t now_us)
{
	conn->rexmt_count = 0;
	conn->total_rt_us = 0;
	tgt_timer_stop(conn, TGT_TMR_REXMT);
	tgt_timer_set(conn, TGT_TMR_PERSIST, now_us + tgt_rtt_rto_backoff(conn, conn->wnd_probes));
}

static void enter(struct tgt_conn *conn, uint64_t now_us)
{
	conn->flags |= TGT_CF_PERSIST;
	conn->wnd_probes = 0;
	tgt_timer_stop(conn, TGT_TMR_SWS);
	conn->flags |= TGT_CF_TLP_DUE;
	start_round(conn, now_us);
}

static void leave(struct tgt_adapter *a, struct tgt_conn *conn)
{
	conn->flags &= ~TGT_CF_PERSIST;
	conn->wnd_probes = 0;
	conn->rexmt_count = 0;
	conn->total_rt_us = 0;
	tgt_timer_stop(conn, TGT_TMR_PERSIST);
	tgt_timer_stop(conn, TGT_TMR_REXMT);
	tgt_recovery_resend(a, conn);
}

void tgt_persist_update(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	bool needed = tgt_persist_needed(conn);

	if (needed && !(conn->flags & TGT_CF_PERSIST))
		enter(conn, now_us);
	else if (!needed && conn->flags & TGT_CF_PERSIST)
		leave(a, conn);
}

void tgt_persist_answered(struct tgt_conn *conn, uint64_t now_us)
{
	if (!(conn->flags & TGT_CF_PERSIST) || !conn->rexmt_count)
		return;
	if (conn->wnd_probes < UINT8_MAX)
		conn->wnd_probes++;
	start_round(conn, now_us);
}

static void probe(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	tgt_timer_set(conn, TGT_TMR_REXMT, now_us + tgt_timer_rexmt_interval(conn));
	if (conn->rexmt_count < UINT8_MAX)
		conn->rexmt_count++;
	tgt_output_probe(a, conn, now_us);
}

void tgt_persist_round(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->flags & TGT_CF_PERSIST)
		probe(a, conn, now_us);
}

void tgt_persist_probe_unanswered(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	conn->total_rt_us +=
		tgt_rtt_rto_backoff(conn, conn->rexmt_count ? conn->rexmt_count - 1u : 0);
	if (tgt_timer_exhausted(a, conn))
		tgt_close_give_up(a, conn, TGT_UPLOAD_TIMEOUT);
	else
		probe(a, conn, now_us);
}

void tgt_persist_resume(struct tgt_conn *conn, uint64_t now_us)
{
	uint64_t interval = tgt_rtt_rto_backoff(conn, conn->rexmt_count ? conn->rexmt_count - 1u
									: conn->wnd_probes);
	uint64_t left = conn->rexmt_left_us < 0 ? interval : (uint64_t)conn->rexmt_left_us;

	conn->flags |= TGT_CF_PERSIST;
	tgt_timer_set(conn, conn->rexmt_count ? TGT_TMR_REXMT : TGT_TMR_PERSIST, now_us + left);
}
