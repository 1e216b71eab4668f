/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_timer.h"

#include "base/wheel.h"
#include "target/tgt_close.h"
#include "target/tgt_keepalive.h"
#include "target/tgt_output.h"
#include "target/tgt_persist.h"
#include "target/tgt_recovery.h"
#include "target/tgt_rtt.h"
#include "target/tgt_tlp.h"

void tgt_timer_set(struct tgt_conn *conn, enum tgt_timer which, uint64_t deadline_us)
{
	conn->deadline_us[which] = deadline_us;
}

void tgt_timer_stop(struct tgt_conn *conn, enum tgt_timer which)
{
	conn->deadline_us[which] = TGT_TIME_NONE;
}

bool tgt_timer_running(const struct tgt_conn *conn, enum tgt_timer which)
{
	return conn->deadline_us[which] != TGT_TIME_NONE;
}

static uint64_t earliest(const struct tgt_conn *conn)
{
	uint64_t first = TGT_TIME_NONE;

	for (unsigned int i = 0; i < TGT_TMRS; i++)
		if (conn->deadline_us[i] < first)
			first = conn->deadline_us[i];
	return first;
}

void tgt_timer_sync(struct tgt_adapter *a, struct tgt_conn *conn)
{
	bool runs = conn->flags & TGT_CF_STARTED && !(conn->flags & TGT_CF_SUSPENDED);

	wheel_arm(a->wheel, conn->slot, runs ? earliest(conn) : WHEEL_NONE);
}

void tgt_timer_stop_all(struct tgt_adapter *a, struct tgt_conn *conn)
{
	for (unsigned int i = 0; i < TGT_TMRS; i++)
		conn->deadline_us[i] = TGT_TIME_NONE;
	conn->flags &= ~TGT_CF_REO_TIMER;
	wheel_cancel(a->wheel, conn->slot);
}

int64_t tgt_timer_left(const struct tgt_conn *conn, enum tgt_timer which, uint64_t now_us)
{
	uint64_t deadline = conn->deadline_us[which];

	if (deadline == TGT_TIME_NONE)
		return TGT_LEFT_NONE;
	return deadline > now_us ? (int64_t)(deadline - now_us) : 0;
}

static bool max_rt_applies(const struct tgt_conn *conn)
{
	return conn->max_rt_us && conn->max_rt_us != UINT64_MAX;
}

uint64_t tgt_timer_rexmt_interval(const struct tgt_conn *conn)
{
	uint64_t interval = tgt_rtt_rto_backoff(conn, conn->rexmt_count);

	if (max_rt_applies(conn)) {
		uint64_t left = conn->max_rt_us > conn->total_rt_us
					? conn->max_rt_us - conn->total_rt_us
					: 1;

		if (left < interval)
			interval = left;
	}
	return interval;
}

bool tgt_timer_exhausted(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	if (max_rt_applies(conn))
		return conn->total_rt_us >= conn->max_rt_us;
	return !conn->max_rt_us && conn->rexmt_count >= a->params.max_retransmissions;
}

void tgt_timer_on_data_sent(struct tgt_conn *conn, uint64_t now_us)
{
	conn->last_send_us = now_us;
	conn->flags |= TGT_CF_TLP_DUE;
	tgt_timer_stop(conn, TGT_TMR_SWS);
	if (!tgt_timer_running(conn, TGT_TMR_REXMT))
		tgt_timer_set(conn, TGT_TMR_REXMT, now_us + tgt_timer_rexmt_interval(conn));
}

void tgt_timer_on_ack_sent(struct tgt_conn *conn)
{
	if (conn->quick_acks && conn->rcv_acked != conn->rcv_nxt)
		conn->quick_acks--;
	conn->rcv_acked = conn->rcv_nxt;
	conn->ack_segments = 0;
	conn->flags &= ~TGT_CF_ACK_NOW;
	tgt_timer_stop(conn, TGT_TMR_DELACK);
}

void tgt_timer_on_device_full(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	uint64_t behind_last = a->retry_us + TGT_RETRY_STEP_US;

	a->retry_us = behind_last > now_us + TGT_RETRY_US ? behind_last : now_us + TGT_RETRY_US;
	tgt_timer_set(conn, TGT_TMR_RETRY, a->retry_us);
}

void tgt_timer_on_held_back(const struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (!tgt_timer_running(conn, TGT_TMR_SWS))
		tgt_timer_set(conn, TGT_TMR_SWS, now_us + a->params.sws_us);
}

void tgt_timer_on_corked(struct tgt_conn *conn, uint64_t now_us)
{
	if (!tgt_timer_running(conn, TGT_TMR_SWS))
		tgt_timer_set(conn, TGT_TMR_SWS, now_us + TGT_CORK_US);
}

void tgt_timer_on_new_ack(struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->flags & TGT_CF_PERSIST)
		return;
	conn->flags |= TGT_CF_TLP_DUE;
	if (conn->snd_una == conn->snd_max)
		tgt_timer_stop(conn, TGT_TMR_REXMT);
	else
		tgt_timer_set(conn, TGT_TMR_REXMT, now_us + tgt_timer_rexmt_interval(conn));
}

/* The probe took the place of the timeout, which begins anew (RFC 8985 7.3); what has passed of it
 * counts. */
void tgt_timer_on_tail_probe(struct tgt_conn *conn, uint64_t now_us)
{
	uint64_t interval = tgt_timer_rexmt_interval(conn);
	int64_t left = tgt_timer_left(conn, TGT_TMR_REXMT, now_us);

	if (left >= 0 && (uint64_t)left < interval)
		conn->total_rt_us += interval - (uint64_t)left;
	tgt_timer_set(conn, TGT_TMR_REXMT, now_us + tgt_timer_rexmt_interval(conn));
}

void tgt_timer_on_reordering(struct tgt_conn *conn, uint64_t until_us)
{
	conn->flags |= TGT_CF_REO_TIMER;
	tgt_timer_set(conn, TGT_TMR_LOSS, until_us);
}

void tgt_timer_on_order(struct tgt_conn *conn)
{
	if (!(conn->flags & TGT_CF_REO_TIMER))
		return;
	conn->flags &= ~TGT_CF_REO_TIMER;
	conn->flags |= TGT_CF_TLP_DUE;
	tgt_timer_stop(conn, TGT_TMR_LOSS);
}

void tgt_timer_on_ack_owed(const struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (!tgt_timer_running(conn, TGT_TMR_DELACK))
		tgt_timer_set(conn, TGT_TMR_DELACK, now_us + a->params.delayed_ack_us);
}

void tgt_timer_on_fin_wait_2(struct tgt_conn *conn, uint64_t now_us)
{
	tgt_timer_set(conn, TGT_TMR_REXMT, now_us + TGT_FIN_WAIT_2_US);
}

void tgt_timer_on_acceptable(struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->state == TGT_FIN_WAIT_2)
		tgt_timer_on_fin_wait_2(conn, now_us);
}

void tgt_timer_push_start(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	tgt_timer_set(conn, TGT_TMR_PUSH, now_us + a->params.push_us);
	tgt_timer_sync(a, conn);
}

void tgt_timer_push_stop(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_timer_stop(conn, TGT_TMR_PUSH);
	tgt_timer_sync(a, conn);
}

void tgt_timer_resume(struct tgt_conn *conn, uint64_t now_us)
{
	uint64_t left = conn->rexmt_left_us < 0 ? 0 : (uint64_t)conn->rexmt_left_us;
	bool known = conn->rexmt_left_us >= 0;

	tgt_keepalive_resume(conn, now_us);
	if (conn->state == TGT_FIN_WAIT_2) {
		if (known)
			tgt_timer_set(conn, TGT_TMR_REXMT, now_us + left);
	} else if (tgt_persist_needed(conn)) {
		tgt_persist_resume(conn, now_us);
	} else if (conn->snd_una != conn->snd_max) {
		if (!known)
			left = tgt_timer_rexmt_interval(conn);
		tgt_timer_set(conn, TGT_TMR_REXMT, now_us + left);
	}
}

static void rexmt_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->state == TGT_FIN_WAIT_2)
		tgt_close_fin_wait_2_expired(a, conn);
	else if (conn->flags & TGT_CF_PERSIST)
		tgt_persist_probe_unanswered(a, conn, now_us);
	else if (conn->snd_una != conn->snd_max)
		tgt_recovery_timeout(a, conn, now_us);
}

static void loss_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->flags & TGT_CF_REO_TIMER) {
		conn->flags &= ~TGT_CF_REO_TIMER;
		tgt_recovery_reordering(a, conn, now_us);
	} else {
		tgt_tlp_expired(a, conn, now_us);
	}
}

static void expire(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_timer which,
		   uint64_t now_us)
{
	switch (which) {
	case TGT_TMR_REXMT:
		rexmt_expired(a, conn, now_us);
		break;
	case TGT_TMR_PERSIST:
		tgt_persist_round(a, conn, now_us);
		break;
	case TGT_TMR_DELACK:
		conn->flags |= TGT_CF_ACK_NOW;
		break;
	case TGT_TMR_KEEP:
		tgt_keepalive_expired(a, conn, now_us);
		break;
	case TGT_TMR_SWS:
		conn->flags |= TGT_CF_SWS_EXPIRED;
		break;
	case TGT_TMR_WINDOW:
		tgt_rcv_window_update(a, conn);
		break;
	case TGT_TMR_PUSH:
		tgt_deliver_push_expired(a, conn);
		break;
	case TGT_TMR_LOSS:
		loss_expired(a, conn, now_us);
		break;
	case TGT_TMR_PACE: /* output follows anyhow */
	case TGT_TMR_RETRY:
	case TGT_TMRS:
		break;
	}
}

static void run_conn(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->flags &
	    TGT_CF_SUSPENDED) /* deadlines stay: the host goes on with what is left of them */
		return;
	conn->flags |= TGT_CF_IN_EVENT;
	for (unsigned int i = 0; i < TGT_TMRS; i++) {
		if (conn->deadline_us[i] > now_us || conn->flags & TGT_CF_SUSPENDED)
			continue;
		conn->deadline_us[i] = TGT_TIME_NONE;
		expire(a, conn, i, now_us);
	}
	conn->flags &= ~TGT_CF_IN_EVENT;
	tgt_output(a, conn, now_us);
	tgt_timer_sync(a, conn);
}

void tgt_timers_run(struct tgt_adapter *a, uint64_t now_us)
{
	uint32_t slot;

	while (wheel_pop(a->wheel, now_us, &slot)) {
		struct tgt_conn *conn = tgt_conn_of_slot(a, slot);

		if (conn)
			run_conn(a, conn, now_us);
	}
}

uint64_t tgt_timers_next(const struct tgt_adapter *a)
{
	return wheel_next(a->wheel);
}
