/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The known flaws of TCP implementations (RFC 2525), one by one, as far as an established
 * connection can have them. Not here: what belongs to the handshake (2.1 in part), to the host's
 * parameters (2.9, 2.11) and to the host's close (2.16, 2.17).
 */
#include "core_env.h"

#include "target/tgt_cc.h"
#include "target/tgt_close.h"
#include "target/tgt_rtt.h"

static struct env *start(uint32_t options, uint32_t cwnd_bytes)
{
	struct env *e = env_new();

	e->conn->options |= options;
	e->conn->cwnd_bytes = cwnd_bytes;
	env_start(e);
	return e;
}

/* 2.2, 2.3, 2.14: after a timeout one segment goes, and cwnd is one segment. */
static void test_slow_start_after_timeout(void **state)
{
	static const uint32_t options[] = { 0, TGT_OPT_SACK };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct env *e = start(options[i], 20000);

		env_send(e, 20000);
		assert_int_equal(env_count_data(e), 20);
		while (!e->conn->rexmt_count) {
			env_forget(e);
			env_run(e, 1000);
		}
		REQ("TCP-04", env_count_data(e) == 1 && e->sent[0].seq == ENV_ISS);
		REQ("TCP-04", e->conn->cwnd_bytes == ENV_MSS);
		env_free(e);
	}
}

/* 2.4: the same bytes again, however they are cut (the environment compares each with its number).
 */
static void test_consistent_retransmission(void **state)
{
	struct env *e = start(0, 20000);
	unsigned int again = 0;

	(void)state;
	env_send(e, 4500);
	env_send(e, 300);
	env_send(e, 700);
	tgt_conn_set_mtu(&e->a, e->conn, 740);
	env_run(e, 3000000);
	for (unsigned int i = 0; i < e->sent_count; i++)
		again += e->sent[i].retransmit;
	REQ("TCP-04", again > 2);
	env_free(e);
}

/* 2.5: what arrives above a gap is kept. */
static void test_data_above_a_gap(void **state)
{
	struct env *e = start(0, 20000);

	(void)state;
	env_data(e, ENV_IRS + 1000, 1000);
	env_data(e, ENV_IRS + 3000, 1000);
	env_data(e, ENV_IRS, 1000);
	REQ("TCP-04", e->received_bytes == 2000 && env_last(e)->ack == ENV_IRS + 2000);
	env_data(e, ENV_IRS + 2000, 1000);
	REQ("TCP-04", e->received_bytes == 4000 && env_last(e)->ack == ENV_IRS + 4000);
	env_free(e);
}

/* 2.6: congestion avoidance adds one segment a window, and no constant. */
static void test_no_extra_constant(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->cwnd_bytes = e->conn->ssthresh_bytes = 20000;
	tgt_cc_newreno.init(e->conn);
	for (int window = 0; window < 10; window++) {
		uint32_t before = e->conn->cwnd_bytes;

		for (uint32_t n = 0; n < before; n += ENV_MSS)
			tgt_cc_newreno.acked(e->conn, ENV_MSS, 0);
		REQ("TCP-04", e->conn->cwnd_bytes == before + ENV_MSS);
	}
	env_free(e);
}

/* 2.7, 2.10: a second at first, at least; twice as long every time. */
static void test_timeouts(void **state)
{
	struct env *e = env_new();
	uint64_t interval_us = 1000000;

	(void)state;
	e->conn->srtt_us8 = e->conn->rttvar_us4 = 0;
	REQ("TCP-04", tgt_rtt_rto(e->conn) >= 1000000);
	env_start(e);
	env_send(e, 1000);
	env_run(e, 20000000);
	assert_true(e->sent_count >= 4);
	for (unsigned int i = 1; i < 4; i++) {
		REQ("TCP-04", e->sent[i].at_us - e->sent[i - 1].at_us >= interval_us);
		interval_us *= 2;
	}
	env_free(e);
}

/* 2.8: the window that duplicates inflated is deflated when recovery ends. */
static void test_deflation(void **state)
{
	struct env *e = start(0, 20000);

	(void)state;
	env_send(e, 60000);
	for (int i = 0; i < 19; i++)
		env_ack(e, ENV_ISS);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_true(e->conn->cwnd_bytes > e->conn->ssthresh_bytes + 10000);
	env_ack(e, e->conn->recover);
	REQ("TCP-04", e->conn->phase == TGT_REC_OPEN);
	REQ("TCP-04", e->conn->cwnd_bytes <= e->conn->ssthresh_bytes);
	env_free(e);
}

/* 2.12: a window that closes over outstanding data is probed until it opens. */
static void test_no_probe_deadlock(void **state)
{
	struct env *e = start(0, 20000);

	(void)state;
	env_send(e, 10000);
	e->peer_wnd_raw = 0;
	env_ack(e, ENV_ISS + 3000);
	env_forget(e);
	for (int i = 0; i < 5; i++) {
		while (!env_count_data(e))
			env_run(e, 100000);
		REQ("TCP-04", env_last(e)->seq == ENV_ISS + 3000);
		env_forget(e);
		env_ack(e, ENV_ISS + 3000);
	}
	e->peer_wnd_raw = 65535;
	env_ack(e, ENV_ISS + 3000);
	REQ("TCP-04", env_count_data(e) > 0 && e->sent[0].seq == ENV_ISS + 3000);
	env_free(e);
}

/* 2.13: every second full segment is acknowledged. */
static void test_no_stretched_acks(void **state)
{
	struct env *e = start(0, 20000);

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		env_data(e, ENV_IRS + i * ENV_MSS, ENV_MSS);
	REQ("TCP-04", e->sent_count >= 10);
	env_free(e);
}

/* 2.15: FIN goes with the last data, and at once when all was sent. */
static void test_prompt_fin(void **state)
{
	(void)state;
	for (int sent = 0; sent < 2; sent++) {
		struct env *e = start(TGT_OPT_NAGLE, sent ? 20000 : 1000);

		env_send(e, 1500);
		if (sent)
			env_ack(e, ENV_ISS + 1500);
		env_forget(e);
		tgt_close_send_fin(&e->a, e->conn);
		if (!sent)
			env_ack(e, ENV_ISS + 1000);
		REQ("TCP-04", e->sent_count == 1 && e->sent[0].flags & TGT_TH_FIN);
		assert_int_equal(e->sent[0].len, sent ? 0 : 500);
		env_free(e);
	}
}

/* 2.18: options count in a segment's size. */
static void test_options_in_mss(void **state)
{
	struct env *e = start(TGT_OPT_TIMESTAMP, 20000);

	(void)state;
	env_send(e, 5000);
	REQ("TCP-04", e->sent[0].len == ENV_MSS - TGT_OPT_TS_BYTES);
	env_free(e);
}

/* Data is acknowledged when it is here, whether or not the application has taken what came before.
 */
static void test_acknowledged_when_stored(void **state)
{
	struct env *e = start(0, 20000);

	(void)state;
	e->held_bytes = UINT32_MAX;
	for (uint32_t i = 0; i < 30; i++) {
		env_forget(e);
		env_data(e, ENV_IRS + i * ENV_MSS, ENV_MSS);
		if (i & 1)
			REQ("RCV-36",
			    e->sent_count == 1 && e->sent[0].ack == ENV_IRS + (i + 1) * ENV_MSS);
	}
	env_data(e, ENV_IRS + 30 * ENV_MSS, 100);
	env_forget(e);
	env_run(e, e->a.params.delayed_ack_us);
	REQ("RCV-36", e->sent_count == 1 && e->sent[0].ack == ENV_IRS + 30 * ENV_MSS + 100);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_start_after_timeout),
		cmocka_unit_test(test_consistent_retransmission),
		cmocka_unit_test(test_data_above_a_gap),
		cmocka_unit_test(test_no_extra_constant),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_deflation),
		cmocka_unit_test(test_no_probe_deadlock),
		cmocka_unit_test(test_no_stretched_acks),
		cmocka_unit_test(test_prompt_fin),
		cmocka_unit_test(test_options_in_mss),
		cmocka_unit_test(test_acknowledged_when_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
