/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_keepalive.h"

#include "target/tgt_close.h"
#include "target/tgt_output.h"
#include "target/tgt_timer.h"

#define DEFAULT_PROBES      10u
#define DEFAULT_INTERVAL_US 1000000u
#define DEFAULT_IDLE_US     7200000000u

static uint64_t idle_us(const struct tgt_conn *conn)
{
	return conn->ka_idle_us ? conn->ka_idle_us : DEFAULT_IDLE_US;
}

static uint64_t interval_us(const struct tgt_conn *conn)
{
	return conn->ka_interval_us ? conn->ka_interval_us : DEFAULT_INTERVAL_US;
}

static unsigned int most_probes(const struct tgt_conn *conn)
{
	return conn->ka_probe_max ? conn->ka_probe_max : DEFAULT_PROBES;
}

/*
 * Without the option a running timer can only be the host's mitigation. With the option a timer
 * that is said not to run begins a full period: an idle connection would never start it otherwise.
 */
void tgt_keepalive_resume(struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->ka_left_us >= 0) {
		if (!(conn->options & TGT_OPT_KEEPALIVE))
			conn->flags |= TGT_CF_MITIGATING;
		tgt_timer_set(conn, TGT_TMR_KEEP, now_us + (uint64_t)conn->ka_left_us);
	} else if (conn->options & TGT_OPT_KEEPALIVE) {
		tgt_timer_set(conn, TGT_TMR_KEEP, now_us + idle_us(conn));
	}
}

void tgt_keepalive_on_acceptable(struct tgt_conn *conn, uint64_t now_us)
{
	conn->ka_probes = 0;
	conn->flags &= ~(TGT_CF_RST_CHALLENGED | TGT_CF_MITIGATING);
	if (conn->options & TGT_OPT_KEEPALIVE)
		tgt_timer_set(conn, TGT_TMR_KEEP, now_us + idle_us(conn));
	else
		tgt_timer_stop(conn, TGT_TMR_KEEP);
}

void tgt_keepalive_on_challenge(struct tgt_conn *conn, uint64_t now_us)
{
	conn->flags |= TGT_CF_MITIGATING;
	if (conn->deadline_us[TGT_TMR_KEEP] > now_us + TGT_MITIGATION_US)
		tgt_timer_set(conn, TGT_TMR_KEEP, now_us + TGT_MITIGATION_US);
}

void tgt_keepalive_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	/* Data on its way is a probe of its own, with its own limit. */
	if (conn->snd_una != conn->snd_max && !(conn->flags & TGT_CF_MITIGATING)) {
		tgt_timer_set(conn, TGT_TMR_KEEP, now_us + idle_us(conn));
		return;
	}
	if (conn->ka_probes >= most_probes(conn)) {
		if (conn->flags & TGT_CF_MITIGATING)
			tgt_close_set_state(a, conn, TGT_CLOSED);
		tgt_timer_set(conn, TGT_TMR_KEEP, now_us);
		tgt_close_give_up(a, conn, TGT_UPLOAD_TIMEOUT);
		return;
	}
	conn->ka_probes++;
	tgt_timer_set(conn, TGT_TMR_KEEP, now_us + interval_us(conn));
	tgt_output_keepalive(a, conn, now_us);
}

void tgt_conn_keepalive_changed(struct tgt_adapter *a, struct tgt_conn *conn, bool restart)
{
	bool running = tgt_timer_running(conn, TGT_TMR_KEEP);

	if (!(conn->flags & TGT_CF_STARTED) || conn->flags & TGT_CF_SUSPENDED)
		return;
	if (!(conn->options & TGT_OPT_KEEPALIVE)) {
		if (!(conn->flags & TGT_CF_MITIGATING))
			tgt_timer_stop(conn, TGT_TMR_KEEP);
	} else if (restart || !running) {
		conn->ka_probes = 0;
		conn->flags &= ~TGT_CF_MITIGATING;
		tgt_timer_set(conn, TGT_TMR_KEEP, a->now_us + idle_us(conn));
	}
	tgt_timer_sync(a, conn);
}
