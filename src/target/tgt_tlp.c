/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_tlp.h"

#include "target/tgt_output.h"
#include "target/tgt_recovery.h"
#include "target/tgt_sent.h"
#include "target/tgt_timer.h"

static bool may_probe(const struct tgt_conn *conn)
{
	return conn->options & TGT_OPT_SACK && conn->phase == TGT_REC_OPEN &&
	       conn->snd_una != conn->snd_max && !conn->sent.sacked && !conn->sent.lost_bytes &&
	       !(conn->flags & (TGT_CF_TLP_OUT | TGT_CF_PERSIST | TGT_CF_REO_TIMER)) &&
	       tgt_timer_running(conn, TGT_TMR_REXMT);
}

/* 7.2: never later than the retransmission timeout. */
static uint64_t probe_at(const struct tgt_conn *conn, uint64_t now_us)
{
	uint32_t wait_us = TGT_TLP_INITIAL_US;
	uint64_t at;

	if (conn->srtt_us8) {
		wait_us = conn->srtt_us8 / 4;
		if (conn->snd_max - conn->snd_una <= tgt_conn_mss(conn))
			wait_us += TGT_TLP_ACK_DELAY_US;
		else if (wait_us < TGT_TLP_LEAST_US)
			wait_us = TGT_TLP_LEAST_US;
	}
	at = now_us + wait_us;
	return at < conn->deadline_us[TGT_TMR_REXMT] ? at : conn->deadline_us[TGT_TMR_REXMT];
}

void tgt_tlp_rearm(struct tgt_conn *conn, uint64_t now_us)
{
	conn->flags &= ~TGT_CF_TLP_DUE;
	if (may_probe(conn))
		tgt_timer_set(conn, TGT_TMR_LOSS, probe_at(conn, now_us));
	else if (!(conn->flags & TGT_CF_REO_TIMER))
		tgt_timer_stop(conn, TGT_TMR_LOSS);
}

void tgt_tlp_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	tcp_seq before = conn->snd_max;

	if (!may_probe(conn))
		return;
	if (!tgt_output_tail_probe(a, conn, now_us)) {
		tgt_timer_set(conn, TGT_TMR_LOSS, now_us + 2 * TGT_RETRY_US);
		return;
	}
	conn->tlp_end = conn->snd_max;
	conn->flags |= TGT_CF_TLP_OUT;
	conn->flags &= ~TGT_CF_TLP_DUE;
	if (conn->snd_max == before)
		conn->flags |= TGT_CF_TLP_AGAIN;
	tgt_timer_on_tail_probe(conn, now_us);
}

void tgt_tlp_forget(struct tgt_conn *conn)
{
	conn->flags &= ~(TGT_CF_TLP_OUT | TGT_CF_TLP_AGAIN);
}

void tgt_tlp_ack(struct tgt_conn *conn, tcp_seq ack, const struct tgt_delivery *d, bool duplicate)
{
	bool again = conn->flags & TGT_CF_TLP_AGAIN;
	bool twice = d->has_dsack && d->dsack.end == conn->tlp_end;

	if (seq_lt(ack, conn->tlp_end))
		return;
	if (again && !twice && ack == conn->tlp_end && !(duplicate && !d->opts->sack_count))
		return; /* nothing is known yet */
	tgt_tlp_forget(conn);
	if (again && !twice && seq_gt(ack, conn->tlp_end))
		tgt_recovery_unseen_loss(conn, d->now_us);
}
