/* SPDX-License-Identifier: BSD-2-Clause */
/* Tail loss probes (RFC 8985 7). The smoothed round trip is 50 ms, so a probe is due after 100. */
#include "core_env.h"

#include <errno.h>

#include "target/tgt_rtt.h"
#include "target/tgt_sendq.h"
#include "target/tgt_tlp.h"

#define PTO_US 100000u

static struct env *start(uint32_t options)
{
	struct env *e = env_new();

	e->conn->options |= options;
	e->conn->cwnd_bytes = 20000;
	e->conn->ssthresh_bytes = 50000;
	env_start(e);
	return e;
}

static void sack(struct env *e, tcp_seq ack, uint32_t from, uint32_t to)
{
	const struct tgt_range block = { ENV_ISS + from, ENV_ISS + to };

	env_ack_sack(e, ack, &block, 1);
}

/* The last segment again, once; the timeout begins anew. */
static void test_probe_repeats_last(void **state)
{
	struct env *e = start(TGT_OPT_SACK);

	(void)state;
	env_send(e, 3500);
	env_run(e, 10000);
	env_ack(e, ENV_ISS + 500);
	env_forget(e);
	e->conn->srtt_us8 = 8 * 50000;
	env_send(e, 500);
	env_run(e, PTO_US - 1);
	assert_int_equal(e->sent_count, 1);
	env_forget(e);
	env_run(e, 1);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS + 3000);
	assert_int_equal(e->sent[0].len, 1000);
	assert_true(e->sent[0].retransmit);
	assert_int_equal(e->conn->rexmt_count, 0);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_true(e->conn->deadline_us[TGT_TMR_REXMT] == e->a.now_us + tgt_rtt_rto(e->conn));
	assert_true(e->conn->total_rt_us == PTO_US);
	env_run(e, tgt_rtt_rto(e->conn) - 1);
	assert_int_equal(e->sent_count, 1);
	env_run(e, 1);
	assert_int_equal(e->conn->rexmt_count, 1); /* only now the timeout */
	env_free(e);
}

/* New data is better, even when cwnd is full. */
static void test_probe_is_new_data(void **state)
{
	struct env *e = start(TGT_OPT_SACK);

	(void)state;
	e->conn->cwnd_bytes = 3000;
	env_send(e, 9000);
	assert_int_equal(e->sent_count, 3);
	env_forget(e);
	env_run(e, PTO_US);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS + 3000);
	assert_int_equal(e->sent[0].len, 1000);
	assert_false(e->sent[0].retransmit);
	assert_false(e->conn->flags & TGT_CF_TLP_AGAIN);
	env_ack(e, ENV_ISS + 4000);
	assert_false(e->conn->flags & TGT_CF_TLP_OUT);
	assert_int_equal(e->conn->ssthresh_bytes, 50000);
	env_free(e);
}

/* ... unless the peer's window has no room for it. */
static void test_probe_within_window(void **state)
{
	struct env *e = start(TGT_OPT_SACK);

	(void)state;
	e->conn->snd_wnd_bytes = 3500;
	e->a.params.sws_us = 0;
	env_send(e, 9000);
	env_forget(e);
	env_run(e, PTO_US);
	assert_int_equal(e->sent_count, 1);
	assert_true(e->sent[0].retransmit);
	assert_int_equal(e->sent[0].seq + e->sent[0].len, e->conn->snd_max);
	env_free(e);
}

/* The whole tail but the head was lost: the answer to the probe starts recovery, without a timeout.
 */
static void test_probe_starts_recovery(void **state)
{
	struct env *e = start(TGT_OPT_SACK);

	(void)state;
	env_send(e, 5000);
	env_run(e, 50000);
	env_ack(e, ENV_ISS + 1000);
	env_forget(e);
	env_run(e, PTO_US);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS + 4000);
	env_run(e, 50000);
	sack(e, ENV_ISS + 1000, 4000, 5000);
	env_run(e, 20000);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(e->sent[1].seq, ENV_ISS + 1000);
	assert_false(e->conn->flags & TGT_CF_TLP_OUT);
	env_run(e, 50000);
	env_ack(e, ENV_ISS + 5000);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_int_equal(e->conn->rexmt_count, 0);
	env_free(e);
}

/* 7.4: what the acknowledgment of a retransmitted probe says. */
static struct env *probed(void)
{
	struct env *e = start(TGT_OPT_SACK);

	env_send(e, 3000);
	env_run(e, PTO_US);
	assert_true(e->conn->flags & TGT_CF_TLP_OUT);
	assert_true(e->conn->flags & TGT_CF_TLP_AGAIN);
	assert_int_equal(e->conn->tlp_end, ENV_ISS + 3000);
	return e;
}

static void test_probe_repaired_a_loss(void **state)
{
	struct env *e = probed();

	(void)state;
	env_ack(e, ENV_ISS + 3000); /* says nothing yet */
	assert_true(e->conn->flags & TGT_CF_TLP_OUT);
	env_send(e, 1000);
	env_run(e, 50000);
	env_ack(e, ENV_ISS + 4000); /* no duplicate was seen: one of the two copies was lost */
	assert_false(e->conn->flags & TGT_CF_TLP_OUT);
	assert_true(e->conn->ssthresh_bytes < 20000);
	assert_int_equal(e->conn->cwnd_bytes, e->conn->ssthresh_bytes);
	env_free(e);
}

static void test_probe_duplicate_by_dsack(void **state)
{
	struct env *e = probed();

	(void)state;
	env_ack(e, ENV_ISS + 3000);
	sack(e, ENV_ISS + 3000, 2000, 3000);
	assert_false(e->conn->flags & TGT_CF_TLP_OUT);
	env_send(e, 1000);
	env_ack(e, ENV_ISS + 4000);
	assert_int_equal(e->conn->ssthresh_bytes, 50000);
	env_free(e);
}

/* A D-SACK of something else is not about the probe. */
static void test_probe_and_other_dsack(void **state)
{
	struct env *e = probed();

	(void)state;
	env_ack(e, ENV_ISS + 3000);
	sack(e, ENV_ISS + 3000, 0, 1000);
	assert_true(e->conn->flags & TGT_CF_TLP_OUT);
	env_send(e, 1000);
	env_ack(e, ENV_ISS + 4000);
	assert_true(e->conn->ssthresh_bytes < 50000);
	env_free(e);
}

static void test_probe_duplicate_without_dsack(void **state)
{
	struct env *e = probed();

	(void)state;
	env_ack(e, ENV_ISS + 3000);
	env_ack(e, ENV_ISS + 3000);
	assert_false(e->conn->flags & TGT_CF_TLP_OUT);
	assert_int_equal(e->conn->ssthresh_bytes, 50000);
	env_free(e);
}

/* 7.2: one segment waits for the peer's delayed ACK, but never beyond the timeout. */
static void test_time_of_probe(void **state)
{
	struct env *e = start(TGT_OPT_SACK);
	uint64_t now;

	(void)state;
	env_send(e, 1000);
	now = e->a.now_us;
	assert_true(e->conn->deadline_us[TGT_TMR_LOSS] == now + tgt_rtt_rto(e->conn));
	env_forget(e);
	env_run(e, tgt_rtt_rto(e->conn));
	assert_int_equal(e->sent_count, 1); /* the probe takes the place of the timeout */
	assert_int_equal(e->conn->rexmt_count, 0);
	env_run(e, 1000);
	env_ack(e, ENV_ISS + 1000);
	e->conn->rttvar_us4 = 4 * 200000; /* RTO of a second */
	e->conn->srtt_us8 = 8 * 50000;
	env_send(e, 1000);
	env_ack(e, ENV_ISS + 2000);
	e->conn->rttvar_us4 = 4 * 200000;
	e->conn->srtt_us8 = 8 * 50000;
	env_send(e, 1000);
	assert_true(e->conn->deadline_us[TGT_TMR_LOSS] ==
		    e->a.now_us + PTO_US + TGT_TLP_ACK_DELAY_US);
	env_ack(e, ENV_ISS + 3000);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_LOSS));
	e->conn->srtt_us8 = 8 * 100;
	env_send(e, 2000);
	assert_true(e->conn->deadline_us[TGT_TMR_LOSS] == e->a.now_us + TGT_TLP_LEAST_US);
	env_free(e);
}

/* No probe: without SACK, with something SACKed, in recovery, behind a closed window. */
static void test_no_probe(void **state)
{
	struct env *e = start(0);

	(void)state;
	env_send(e, 3000);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_LOSS));
	env_free(e);

	e = start(TGT_OPT_SACK);
	e->a.params.dup_ack_threshold = 255;
	env_send(e, 3000);
	env_run(e, 50000);
	sack(e, ENV_ISS, 2000, 3000);
	assert_true(e->conn->flags & TGT_CF_REO_TIMER);
	env_run(e, 12500); /* a quarter of it */
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_LOSS));
	env_free(e);

	e = start(TGT_OPT_SACK);
	env_send(e, 3000);
	e->peer_wnd_raw = 0;
	env_ack(e, ENV_ISS + 1000);
	assert_true(e->conn->flags & TGT_CF_PERSIST);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_LOSS));
	env_free(e);
}

/* The FIN is part of the tail; the device may refuse the probe. */
static void test_probe_with_fin(void **state)
{
	struct env *e = start(TGT_OPT_SACK);

	(void)state;
	env_send(e, 1500);
	tgt_close_send_fin(&e->a, e->conn);
	env_check(e);
	env_forget(e);
	e->xmit_error = -EAGAIN;
	env_run(e, PTO_US);
	assert_false(e->conn->flags & TGT_CF_TLP_OUT);
	e->xmit_error = 0;
	env_run(e, PTO_US);
	assert_int_equal(e->sent_count, 1);
	assert_true(e->sent[0].flags & TGT_TH_FIN);
	assert_int_equal(e->sent[0].seq + e->sent[0].len + 1, e->conn->snd_max);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe_repeats_last),
		cmocka_unit_test(test_probe_is_new_data),
		cmocka_unit_test(test_probe_within_window),
		cmocka_unit_test(test_probe_starts_recovery),
		cmocka_unit_test(test_probe_repaired_a_loss),
		cmocka_unit_test(test_probe_duplicate_by_dsack),
		cmocka_unit_test(test_probe_and_other_dsack),
		cmocka_unit_test(test_probe_duplicate_without_dsack),
		cmocka_unit_test(test_time_of_probe),
		cmocka_unit_test(test_no_probe),
		cmocka_unit_test(test_probe_with_fin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
