/* SPDX-License-Identifier: BSD-2-Clause */
/* Retransmission, persist, keepalive, blind-reset mitigation, hand-over of remaining times. */
#include "core_env.h"

#include "target/tgt_keepalive.h"
#include "target/tgt_timer.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sendq.h"

#define RTO 200000u /* what the round-trip values of env_new() give: the minimum */

/* Queue data as if the host had sent it. */
static void handed_over(struct env *e, uint32_t len, uint32_t sent)
{
	uint8_t data[5000];

	assert_true(len <= sizeof(data));
	for (uint32_t i = 0; i < len; i++)
		data[i] = env_byte(ENV_ISS + i);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, len, true), 0);
	e->conn->snd_nxt = e->conn->snd_max = ENV_ISS + sent;
}

static void test_backoff_and_give_up(void **state)
{
	struct env *e = env_new();
	uint64_t start = e->a.now_us, at = 0;

	(void)state;
	e->a.params.max_retransmissions = 5;
	e->a.params.doubt_retransmissions = 3;
	env_start(e);
	env_send(e, 1000);
	env_run(e, 30000000);
	assert_int_equal(e->sent_count, 6); /* the original and five more */
	for (unsigned int i = 1; i < 6; i++) {
		at += (uint64_t)RTO << (i - 1);
		REQ("TCP-13", e->sent[i].at_us == start + at && e->sent[i].retransmit);
	}
	REQ("INI-23", e->uploads == 1);
	REQ("INI-24", e->reason == TGT_UPLOAD_TIMEOUT);
	REQ("INI-25", e->doubts == 1);
	assert_true(e->conn->flags & TGT_CF_SUSPENDED);
	tgt_conn_stop(&e->a, e->conn);
	REQ("TMR-38", e->conn->rexmt_count == 5 && e->conn->rexmt_left_us == 0);
	REQ("STA-33", e->conn->total_rt_us == 63 * RTO);
	env_free(e);
}

/* MaxRT is a time and replaces the count; the last interval is cut to it. */
static void test_max_rt(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->a.params.max_retransmissions = 2;
	e->conn->max_rt_us = 5000000;
	env_start(e);
	env_send(e, 1000);
	env_run(e, 4999999);
	assert_int_equal(e->uploads, 0);
	assert_int_equal(e->sent_count, 5); /* after 0.2, 0.6, 1.4 and 3 s */
	env_run(e, 1);
	REQ("TMR-33", e->uploads == 1 && e->reason == TGT_UPLOAD_TIMEOUT);
	env_free(e);

	e = env_new();
	e->a.params.max_retransmissions = 2;
	e->conn->max_rt_us = UINT64_MAX;
	env_start(e);
	env_send(e, 1000);
	env_run(e, 3600000000ull);
	REQ("TMR-34", e->uploads == 0 && e->sent_count > 30);
	assert_true(e->sent[e->sent_count - 1].at_us - e->sent[e->sent_count - 2].at_us <=
		    TGT_RTO_MAX_US);
	env_free(e);
}

static void test_max_rt_restart(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->max_rt_us = 5000000;
	env_start(e);
	env_send(e, 1000);
	env_run(e, 4000000);
	assert_true(e->conn->total_rt_us > 0);
	tgt_conn_max_rt_changed(&e->a, e->conn, true);
	env_check(e);
	REQ("TMR-35", e->conn->total_rt_us == 0);
	env_run(e, 2000000);
	assert_int_equal(e->uploads, 0);
	env_free(e);
}

static void test_progress_resets_backoff(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 3000);
	env_run(e, 700000);
	assert_int_equal(e->conn->rexmt_count, 2);
	env_ack(e, ENV_ISS + 1000);
	assert_int_equal(e->conn->rexmt_count, 0);
	assert_int_equal(e->conn->total_rt_us, 0);
	env_forget(e);
	env_run(e, RTO);
	assert_true(e->sent_count >= 1);
	env_free(e);
}

static void test_resume_retransmission(void **state)
{
	struct env *e = env_new();

	(void)state;
	handed_over(e, 1000, 1000);
	e->conn->rexmt_count = 2;
	e->conn->rexmt_left_us = 123000;
	env_start(e);
	env_run(e, 122999);
	assert_int_equal(env_count_data(e), 0);
	env_run(e, 1);
	REQ("TMR-37", env_count_data(e) == 1 && e->conn->rexmt_count == 3);
	env_forget(e);
	env_run(e, (uint64_t)RTO << 3);
	assert_int_equal(env_count_data(e), 1);
	env_run(e, 1000);
	tgt_conn_snapshot(&e->a, e->conn);
	REQ("TMR-38",
	    e->conn->rexmt_left_us == (int64_t)((RTO << 4) - 1000) && e->conn->rexmt_count == 4);
	env_free(e);
}

/* Rounds of probes as the persist timer's description has them: RTO, then repeats after RTO, 2 RTO,
 * 4 RTO. */
static void test_persist_rounds(void **state)
{
	struct env *e = env_new();
	uint64_t start;

	(void)state;
	env_start(e);
	env_send(e, 1000);
	env_send(e, 3000);
	e->peer_wnd_raw = 0;
	env_forget(e);
	start = e->a.now_us;
	env_ack(e, ENV_ISS + 4000);
	assert_false(e->conn->flags & TGT_CF_PERSIST); /* nothing to send: no probes */
	env_send(e, 3000);
	REQ("TMR-21", e->conn->wnd_probes == 0 && e->conn->rexmt_count == 0 && e->sent_count == 0 &&
			      e->conn->deadline_us[TGT_TMR_PERSIST] == start + RTO);
	env_run(e, RTO);
	REQ("TMR-23", e->sent_count == 1 && e->sent[0].seq == ENV_ISS + 4000 &&
			      e->sent[0].len == 1 && e->conn->rexmt_count == 1 &&
			      e->conn->deadline_us[TGT_TMR_REXMT] == start + RTO + RTO);
	env_run(e, RTO);
	env_run(e, 2 * RTO);
	REQ("TMR-24", e->sent_count == 3 && e->sent[1].at_us == start + 2 * RTO &&
			      e->sent[2].at_us == start + 4 * RTO && e->conn->rexmt_count == 3);
	env_forget(e);
	start = e->a.now_us;
	env_ack(e, ENV_ISS + 4000); /* still closed */
	REQ("TMR-25", e->conn->wnd_probes == 1 && e->conn->rexmt_count == 0 &&
			      e->conn->deadline_us[TGT_TMR_PERSIST] == start + 2 * RTO);
	env_ack(e, ENV_ISS + 4000); /* again, before any probe of this round: changes nothing */
	assert_int_equal(e->conn->wnd_probes, 1);
	env_run(e, 2 * RTO);
	assert_int_equal(e->sent_count, 1);
	env_run(e, 50000);
	tgt_conn_snapshot(&e->a, e->conn);
	REQ("TMR-29", e->conn->wnd_probes == 1 && e->conn->rexmt_count == 1 &&
			      e->conn->rexmt_left_us == RTO - 50000);
	env_forget(e);
	e->peer_wnd_raw = 5000;
	env_ack(e, ENV_ISS + 4000);
	REQ("TMR-26", !(e->conn->flags & TGT_CF_PERSIST) && e->sent_count == 3 &&
			      e->sent[0].seq == ENV_ISS + 4000 && e->sent[0].len == 1000);
	REQ("TMR-22", !tgt_timer_running(e->conn, TGT_TMR_PERSIST) &&
			      tgt_timer_running(e->conn, TGT_TMR_REXMT));
	env_free(e);
}

/* The peer takes the probe's byte. */
static void test_probe_accepted(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->snd_wnd_bytes = 0;
	env_start(e);
	env_send(e, 3000);
	env_run(e, RTO);
	e->peer_wnd_raw = 0;
	env_ack(e, ENV_ISS + 1);
	assert_int_equal(e->acked_bytes, 1);
	assert_true(e->conn->flags & TGT_CF_PERSIST);
	assert_int_equal(e->conn->wnd_probes, 1);
	env_run(e, 2 * RTO);
	assert_int_equal(env_last(e)->seq, ENV_ISS + 1);
	e->peer_wnd_raw = 65535;
	env_ack(e, ENV_ISS + 2);
	assert_int_equal(env_last(e)->seq + env_last(e)->len, ENV_ISS + 3000);
	env_free(e);
}

/* A peer that answers is asked for ever; one that is silent is given up. */
static void test_persist_limits(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->a.params.max_retransmissions = 3;
	e->conn->snd_wnd_bytes = 0;
	e->peer_wnd_raw = 0;
	env_start(e);
	env_send(e, 1000);
	for (int i = 0; i < 300; i++) {
		uint64_t asked = e->a.now_us;

		while (!e->sent_count) {
			env_run(e, 100000);
			assert_true(e->a.now_us - asked <= TGT_RTO_MAX_US + 100000);
		}
		env_ack(e, ENV_ISS);
		assert_int_equal(e->uploads, 0);
		env_forget(e);
	}
	assert_int_equal(e->conn->wnd_probes, 255);
	env_run(e, 3600000000ull);
	REQ("TMR-27", e->uploads == 1 && e->reason == TGT_UPLOAD_TIMEOUT);
	assert_int_equal(env_count_data(e), 3);
	env_free(e);
}

static void test_persist_resume(void **state)
{
	struct env *e = env_new();

	(void)state;
	handed_over(e, 1000, 0);
	e->conn->snd_wnd_bytes = 0;
	e->conn->wnd_probes = 3;
	e->conn->rexmt_left_us = 77000;
	env_start(e);
	env_run(e, 76999);
	assert_int_equal(env_count_data(e), 0);
	env_run(e, 1);
	REQ("TMR-28",
	    env_count_data(e) == 1 && e->conn->wnd_probes == 3 && e->conn->rexmt_count == 1);
	env_free(e);

	e = env_new(); /* in the middle of a round */
	handed_over(e, 1000, 1);
	e->conn->snd_nxt = ENV_ISS;
	e->conn->snd_wnd_bytes = 0;
	e->conn->wnd_probes = 1;
	e->conn->rexmt_count = 2;
	e->conn->rexmt_left_us = 5000;
	env_start(e);
	env_run(e, 5000);
	REQ("TMR-28", env_count_data(e) == 1 && e->conn->rexmt_count == 3);
	env_free(e);
}

static void keepalive_on(struct env *e)
{
	e->conn->options |= TGT_OPT_KEEPALIVE;
	e->conn->ka_idle_us = 60000000;
	e->conn->ka_interval_us = 5000000;
	e->conn->ka_probe_max = 3;
}

static void test_keepalive(void **state)
{
	struct env *e = env_new();
	uint64_t start = e->a.now_us;

	(void)state;
	keepalive_on(e);
	env_start(e);
	env_run(e, 200000000);
	REQ("TMR-16", e->sent_count >= 1 && e->sent[0].at_us == start + 60000000 &&
			      e->sent[0].seq == ENV_ISS - 1 && !e->sent[0].len);
	REQ("TMR-17", e->sent_count >= 3 && e->sent[1].at_us == start + 65000000);
	REQ("TMR-18", e->sent_count == 3);
	assert_int_equal(e->uploads, 1);
	assert_int_equal(e->reason, TGT_UPLOAD_TIMEOUT);
	env_free(e);

	e = env_new();
	env_start(e);
	env_run(e, 100000000000ull);
	REQ("TMR-14", e->sent_count == 0);
	keepalive_on(e);
	tgt_conn_keepalive_changed(&e->a, e->conn, false);
	env_run(e, 60000000);
	REQ("TMR-14", e->sent_count == 1);
	env_free(e);
}

static void test_keepalive_answered(void **state)
{
	struct env *e = env_new();

	(void)state;
	keepalive_on(e);
	env_start(e);
	for (int i = 0; i < 10; i++) {
		env_run(e, 65000000);
		assert_int_equal(e->conn->ka_probes, 2);
		env_ack(e, ENV_ISS);
		assert_int_equal(e->conn->ka_probes, 0);
	}
	env_run(e, 40000000);
	tgt_conn_keepalive_changed(&e->a, e->conn, true);
	env_forget(e);
	env_run(e, 59999999);
	REQ("TMR-15", e->sent_count == 0);
	env_run(e, 1);
	assert_int_equal(e->sent_count, 1);
	env_free(e);
}

static void test_keepalive_resume(void **state)
{
	struct env *e = env_new();

	(void)state;
	keepalive_on(e);
	e->conn->ka_probes = 2;
	e->conn->ka_left_us = 3000000;
	env_start(e);
	env_run(e, 3000000);
	REQ("TMR-19", e->sent_count == 1 && e->conn->ka_probes == 3);
	env_run(e, 1000000);
	tgt_conn_stop(&e->a, e->conn);
	REQ("TMR-20", e->conn->ka_probes == 3 && e->conn->ka_left_us == 4000000);
	env_free(e);
}

/* A challenge ACK nobody answers: five minutes, then probes, then the end. */
static void test_mitigation(void **state)
{
	struct env *e = env_new();
	uint64_t start = e->a.now_us;

	(void)state;
	env_start(e);
	env_flags(e, TGT_TH_RST, ENV_IRS + 1000, 0);
	REQ("BRA-07", e->conn->deadline_us[TGT_TMR_KEEP] == start + TGT_MITIGATION_US);
	env_run(e, 1000000);
	env_ack(e, ENV_ISS);
	REQ("BRA-14", !tgt_timer_running(e->conn, TGT_TMR_KEEP));
	env_flags(e, TGT_TH_RST, ENV_IRS + 1000, 0);
	env_forget(e);
	env_run(e, TGT_MITIGATION_US + 4500000);
	REQ("BRA-09",
	    e->sent_count == 5 && e->sent[0].at_us == start + 1000000 + TGT_MITIGATION_US);
	tgt_conn_snapshot(&e->a, e->conn);
	REQ("BRA-13", e->conn->ka_probes == 5 && e->conn->ka_left_us == 500000);
	env_run(e, 20000000);
	REQ("BRA-10", e->sent_count == 10);
	REQ("BRA-12",
	    e->uploads == 1 && e->reason == TGT_UPLOAD_TIMEOUT && e->conn->state == TGT_CLOSED);
	env_free(e);
}

static void test_mitigation_with_keepalive(void **state)
{
	struct env *e = env_new();

	(void)state;
	keepalive_on(e);
	e->conn->ka_idle_us = 7200000000ull;
	e->conn->ka_probes = 1;
	e->conn->ka_left_us = 7000000000ll;
	env_start(e);
	env_flags(e, TGT_TH_SYN, ENV_IRS + 1000, 0);
	REQ("BRA-08", e->conn->deadline_us[TGT_TMR_KEEP] == e->a.now_us + TGT_MITIGATION_US);
	env_forget(e);
	env_run(e, TGT_MITIGATION_US + 30000000);
	REQ("BRA-11", e->sent_count == 2 && e->uploads == 1); /* one probe was the host's */
	env_free(e);

	e = env_new();
	keepalive_on(e);
	env_start(e);
	env_flags(e, TGT_TH_SYN, ENV_IRS + 1000, 0);
	assert_int_equal(e->conn->deadline_us[TGT_TMR_KEEP],
			 e->a.now_us + 60000000); /* sooner than 5 min */
	env_run(e, 1000);
	env_ack(e, ENV_ISS);
	REQ("BRA-15", e->conn->deadline_us[TGT_TMR_KEEP] == e->a.now_us + 60000000);
	env_free(e);
}

static void test_push_timer(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	tgt_timer_push_start(&e->a, e->conn, e->a.now_us);
	env_run(e, 499999);
	assert_int_equal(e->push_expiries, 0);
	env_run(e, 1);
	REQ("INI-28", e->push_expiries == 1);
	tgt_timer_push_start(&e->a, e->conn, e->a.now_us);
	tgt_timer_push_stop(&e->a, e->conn);
	env_run(e, 1000000);
	assert_int_equal(e->push_expiries, 1);
	env_free(e);
}

/* A suspended connection is left alone by its timers; what is left of them is what the host gets.
 */
/* A crowd that waits for the device tries again one by one; alone, or later, nobody waits longer. */
static void test_retries_spread_out(void **state)
{
	struct env *e = env_new();
	struct tgt_conn crowd[1000] = { 0 };
	uint64_t now = 5000000;

	(void)state;
	for (unsigned int round = 0; round < 2; round++, now += 1000000) {
		for (unsigned int i = 0; i < 1000; i++) {
			tgt_timer_on_device_full(&e->a, &crowd[i], now);
			assert_int_equal(crowd[i].deadline_us[TGT_TMR_RETRY],
					 now + TGT_RETRY_US + i * TGT_RETRY_STEP_US);
		}
	}
	env_free(e);
}

static void test_suspended(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 1000);
	e->conn->flags |= TGT_CF_SUSPENDED;
	env_forget(e);
	env_run(e, RTO / 2);
	tgt_conn_snapshot(&e->a, e->conn);
	assert_int_equal(e->conn->rexmt_left_us, RTO / 2);
	env_run(e, 10000000);
	REQ("EVT-08", e->sent_count == 0 && e->uploads == 0 && e->conn->rexmt_count == 0);
	tgt_conn_stop(&e->a, e->conn);
	REQ("TMR-13", e->conn->rexmt_left_us == 0);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_and_give_up),
		cmocka_unit_test(test_max_rt),
		cmocka_unit_test(test_max_rt_restart),
		cmocka_unit_test(test_progress_resets_backoff),
		cmocka_unit_test(test_resume_retransmission),
		cmocka_unit_test(test_persist_rounds),
		cmocka_unit_test(test_probe_accepted),
		cmocka_unit_test(test_persist_limits),
		cmocka_unit_test(test_persist_resume),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_keepalive_answered),
		cmocka_unit_test(test_keepalive_resume),
		cmocka_unit_test(test_mitigation),
		cmocka_unit_test(test_mitigation_with_keepalive),
		cmocka_unit_test(test_push_timer),
		cmocka_unit_test(test_retries_spread_out),
		cmocka_unit_test(test_suspended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
