/* SPDX-License-Identifier: BSD-2-Clause */
/* Acknowledgments, scoreboard, loss recovery, round-trip estimate. */
#include "core_env.h"

#include "target/tgt_rtt.h"
#include "target/tgt_sendq.h"
#include "target/tgt_sent.h"

static void test_new_data_acked(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 5000);
	assert_int_equal(e->sent_count, 5);
	env_ack(e, ENV_ISS + 2500);
	assert_int_equal(e->acked_bytes, 2500);
	assert_int_equal(e->conn->sendq.list.bytes, 2500);
	REQ("EVT-16", e->progress == 1);
	env_ack(e, ENV_ISS + 5000);
	assert_int_equal(e->acked_bytes, 5000);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_REXMT));
	env_ack(e, ENV_ISS + 2500); /* old */
	assert_int_equal(e->conn->snd_una, ENV_ISS + 5000);
	assert_int_equal(e->progress, 2);
	env_free(e);
}

static void test_window_from_old_segment_ignored(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_data(e, ENV_IRS, 1000);
	e->peer_wnd_raw = 7000;
	env_ack(e, ENV_ISS);
	assert_int_equal(e->conn->snd_wnd_bytes, 7000);
	e->peer_wnd_raw = 100;
	env_flags(e, TGT_TH_ACK, ENV_IRS, ENV_ISS); /* sent before the data, arrived after it */
	assert_int_equal(e->conn->snd_wnd_bytes, 7000);
	env_free(e);
}

/* RFC 5681 and 6582: third duplicate, fast retransmit, partial acknowledgment, full acknowledgment.
 */
static void test_newreno(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->cwnd_bytes = 10000;
	env_start(e);
	env_send(e, 20000);
	assert_int_equal(e->sent_count, 10);
	env_forget(e);
	env_ack(e, ENV_ISS);
	env_ack(e, ENV_ISS);
	REQ("TCP-23",
	    e->sent_count == 2 && env_last(e)->seq == ENV_ISS + 11000); /* limited transmit */
	env_forget(e);
	env_ack(e, ENV_ISS);
	REQ("TCP-09", e->sent_count >= 1 && e->sent[0].seq == ENV_ISS && e->sent[0].retransmit &&
			      e->sent[0].len == 1000);
	REQ("INI-27", e->conn->phase == TGT_REC_FAST);
	assert_int_equal(e->conn->ssthresh_bytes, 6000); /* half of 12000 */
	env_forget(e);
	env_ack(e, ENV_ISS + 3000); /* partial: the next hole at once */
	REQ("TCP-22", e->sent[0].seq == ENV_ISS + 3000 && e->sent[0].retransmit &&
			      e->conn->phase == TGT_REC_FAST);
	env_ack(e, e->conn->snd_max);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_true(e->conn->cwnd_bytes <= 6000);
	assert_int_equal(e->a.counters[TGT_V4].retransmitted_segments, 2);
	env_free(e);
}

static void test_threshold_is_parameter(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->a.params.dup_ack_threshold = 6;
	env_start(e);
	env_send(e, 20000);
	env_forget(e);
	for (int i = 0; i < 5; i++)
		env_ack(e, ENV_ISS);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	env_ack(e, ENV_ISS);
	REQ("INI-27", e->conn->phase == TGT_REC_FAST);
	env_free(e);
}

/* What is no duplicate ACK: data, a window update, nothing outstanding. */
static void test_not_duplicates(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	for (int i = 0; i < 5; i++)
		env_ack(e, ENV_ISS);
	assert_int_equal(e->conn->dup_acks, 0);
	env_send(e, 10000);
	for (uint32_t i = 0; i < 5; i++)
		env_data(e, ENV_IRS + i * 100, 100);
	for (int i = 0; i < 5; i++) {
		e->peer_wnd_raw--;
		env_ack(e, ENV_ISS);
	}
	assert_int_equal(e->conn->dup_acks, 0);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	env_free(e);
}

/* Only the holes are sent again, and only as much as the network has room for. */
static void test_sack_recovery(void **state)
{
	struct env *e = env_new();
	const struct tgt_range one = { ENV_ISS + 1000, ENV_ISS + 2000 };
	const struct tgt_range two[] = { { ENV_ISS + 3000, ENV_ISS + 6000 },
					 { ENV_ISS + 1000, ENV_ISS + 2000 } };
	const struct tgt_range more[] = { { ENV_ISS + 3000, ENV_ISS + 7000 },
					  { ENV_ISS + 1000, ENV_ISS + 2000 } };

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	e->conn->cwnd_bytes = 10000;
	env_start(e);
	env_send(e, 10000);
	env_forget(e);
	env_run(e, 50000);
	env_ack_sack(e, ENV_ISS, &one, 1);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	env_ack_sack(e, ENV_ISS, two, 2); /* 4000 bytes SACKed above ISS: lost */
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	/* 4000 in the network above what is lost, and the 1000 sent again: cwnd (5000) is full */
	REQ("TCP-24", e->sent_count == 1 && e->sent[0].seq == ENV_ISS && e->sent[0].len == 1000);
	env_ack_sack(e, ENV_ISS, two, 2);
	assert_int_equal(e->sent_count, 1);
	env_ack_sack(e, ENV_ISS, more, 2); /* 1000 left the network: the second hole fits */
	assert_int_equal(e->sent_count, 2);
	assert_int_equal(e->sent[1].seq, ENV_ISS + 2000);
	assert_int_equal(e->sent[1].len, 1000);
	env_ack(e, ENV_ISS + 10000);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_int_equal(e->conn->cwnd_bytes, e->conn->ssthresh_bytes);
	assert_int_equal(e->conn->sent.count, 0);
	env_free(e);
}

/* Blocks that make no sense change nothing. */
static void test_bad_sack_blocks(void **state)
{
	struct env *e = env_new();
	const struct tgt_range bad[] = {
		{ ENV_ISS + 2000, ENV_ISS + 1000 },
		{ ENV_ISS + 1000, ENV_ISS + 1000 },
		{ ENV_ISS + 9000, ENV_ISS + 20000 },
		{ ENV_ISS - 3000, ENV_ISS - 1000 },
		{ ENV_ISS - 100, ENV_ISS + 100 },
		{ ENV_ISS, ENV_ISS + 500 },
		{ 0, 0xffffffffu },
		{ ENV_ISS + 0x7fffffff, ENV_ISS + 5000 },
	};

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	env_send(e, 10000);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		env_ack_sack(e, ENV_ISS, &bad[i], 1);
		assert_int_equal(e->conn->sent.sacked_bytes, 0);
	}
	env_free(e);
}

/* More holes than the table holds: bounded, and still correct in the end. */
static void test_sack_flood(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	e->conn->remote_mss = 48;
	env_start(e);
	env_send(e, 60000);
	for (uint32_t off = 2; off < 60000; off += 2) {
		struct tgt_range one = { ENV_ISS + off, ENV_ISS + off + 1 };

		env_ack_sack(e, ENV_ISS, &one, 1);
		env_forget(e);
	}
	assert_true(e->conn->sent.sacked > 100);
	assert_true(e->conn->sent.table != ARENA_NULL);
	env_ack(e, ENV_ISS + 60000);
	assert_int_equal(e->acked_bytes, 60000);
	env_free(e);
}

/* RFC 6298: first sample, smoothing, doubling, the cap. */
static void test_rto(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = e->conn;

	(void)state;
	c->srtt_us8 = c->rttvar_us4 = 0;
	REQ("TCP-14", tgt_rtt_rto(c) == TGT_RTO_INITIAL_US);
	tgt_rtt_sample(c, 100000);
	assert_int_equal(c->srtt_us8, 800000);
	assert_int_equal(c->rttvar_us4, 200000);
	assert_int_equal(tgt_rtt_rto(c), 300000);
	tgt_rtt_sample(c, 100000);
	assert_int_equal(c->rttvar_us4, 150000);
	tgt_rtt_sample(c, 180000); /* error 80000: srtt + 10000, rttvar 3/4 * 37500 + 1/4 * 80000 */
	assert_int_equal(c->srtt_us8, 880000);
	assert_int_equal(c->rttvar_us4, 150000 - 37500 + 80000);
	assert_int_equal(tgt_rtt_rto_backoff(c, 2), 4 * tgt_rtt_rto(c));
	assert_int_equal(tgt_rtt_rto_backoff(c, 40), TGT_RTO_MAX_US);
	for (int i = 0; i < 100; i++)
		tgt_rtt_sample(c, 10);
	assert_int_equal(tgt_rtt_rto(c), TGT_RTO_MIN_US);
	tgt_rtt_sample(c, UINT64_MAX);
	assert_true(tgt_rtt_rto(c) <= TGT_RTO_MAX_US);
	env_free(e);
}

/* The example of the interface: echo 100 of a segment the host had sent; target clock 205, delta
 * -100: 5 ticks. */
static void test_timestamp_sample(void **state)
{
	struct env *e = env_new();
	struct tgt_opts o = { .has_ts = true, .ts_ecr = 100 };
	struct tgt_conn *c = e->conn;

	(void)state;
	c->options |= TGT_OPT_TIMESTAMP;
	c->srtt_us8 = c->rttvar_us4 = 0;
	e->a.now_us = 205000;
	c->ts_delta_ticks = (uint32_t)-100;
	tgt_rtt_on_ack(&e->a, c, ENV_ISS, &o, e->a.now_us);
	REQ("TSP-04", c->srtt_us8 == 8 * 5000);
	o.ts_ecr = 5000; /* an echo from the future */
	tgt_rtt_on_ack(&e->a, c, ENV_ISS, &o, e->a.now_us);
	assert_int_equal(c->srtt_us8, 8 * 5000);
	env_free(e);
}

static void test_timed_segment(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->srtt_us8 = e->conn->rttvar_us4 = 0;
	env_start(e);
	env_send(e, 3000);
	env_run(e, 30000);
	env_ack(e, ENV_ISS + 1000);
	assert_int_equal(e->conn->srtt_us8, 8 * 30000);
	env_free(e);
}

/* Karn: a retransmitted segment gives no sample without timestamps. */
static void test_karn(void **state)
{
	struct env *e = env_new();
	uint32_t srtt = e->conn->srtt_us8;

	(void)state;
	env_start(e);
	env_send(e, 1000);
	env_run(e, 300000);
	assert_int_equal(e->conn->rexmt_count, 1);
	env_run(e, 7000);
	env_ack(e, ENV_ISS + 1000);
	assert_int_equal(e->conn->srtt_us8, srtt);
	env_free(e);
}

/* Timeout: back to snd_una, one segment, slow start; SACKed ranges are not sent again. */
static void test_timeout_skips_sacked(void **state)
{
	struct env *e = env_new();
	const struct tgt_range have = { ENV_ISS + 2000, ENV_ISS + 4000 };

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	env_send(e, 6000);
	env_run(e, 50000);
	env_ack_sack(e, ENV_ISS, &have, 1);
	env_run(e, 13000); /* the reordering window ends, the retransmissions are lost as well */
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	env_forget(e);
	env_run(e, 201000);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS);
	assert_int_equal(e->conn->cwnd_bytes, ENV_MSS);
	assert_int_equal(e->conn->phase, TGT_REC_LOSS);
	env_forget(e);
	env_ack_sack(e, ENV_ISS + 1000, &have, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS + 1000);
	assert_int_equal(e->sent[1].seq, ENV_ISS + 4000);
	env_ack(e, ENV_ISS + 6000);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	env_free(e);
}

/* The peer discards what it had SACKed: after a timeout it is sent again. */
static void test_reneging(void **state)
{
	struct env *e = env_new();
	const struct tgt_range have = { ENV_ISS + 1000, ENV_ISS + 3000 };

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	env_send(e, 3000);
	env_ack_sack(e, ENV_ISS, &have, 1);
	env_ack(e, ENV_ISS + 1000); /* and no more: what it SACKed begins right here */
	env_forget(e);
	env_run(e, 1000000);
	assert_true(e->sent_count >= 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS + 1000);
	env_free(e);
}

/* An echo older than the retransmission proves that the original arrived: everything as before the
 * timeout. */
static void test_spurious_timeout(void **state)
{
	struct env *e = env_new();
	uint8_t opt[TGT_OPT_MAX];
	struct tgt_segment s = { .seq = ENV_IRS,
				 .ack = ENV_ISS + 1000,
				 .flags = TGT_TH_ACK,
				 .wnd_raw = 65535,
				 .opt = opt };
	uint32_t before;

	(void)state;
	e->conn->options |= TGT_OPT_TIMESTAMP;
	e->conn->cwnd_bytes = 20000;
	env_start(e);
	before = tgt_clock_ticks(&e->a);
	env_send(e, 5000);
	env_run(e, 201000);
	assert_int_equal(e->conn->phase, TGT_REC_LOSS);
	s.opt_len = (uint8_t)tgt_opt_build(opt, true, 1, before, NULL, 0);
	env_segment(e, &s);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_true(e->conn->cwnd_bytes >= 20000);
	assert_int_equal(e->conn->snd_nxt, e->conn->snd_max);
	env_free(e);
}

/* ACKs that acknowledge nothing do not keep the retransmission timer from running out. */
static void test_timer_not_restarted(void **state)
{
	struct env *e = env_new();
	uint32_t off = 0;

	(void)state;
	e->a.params.dup_ack_threshold = 255;
	env_start(e);
	env_send(e, 1000);
	env_forget(e);
	for (int i = 0; i < 25; i++) {
		env_run(e, 10000);
		e->peer_wnd_raw ^= 1;
		env_ack(e, ENV_ISS);
		env_data(e, ENV_IRS + off, 100);
		off += 100;
	}
	assert_true(env_count_data(e) >= 1);
	assert_int_equal(e->conn->rexmt_count, 1);
	env_free(e);
}

/* A host that was sending again hands over snd_nxt < snd_max: that part goes first, then the rest.
 */
static void test_continue_retransmission(void **state)
{
	struct env *e = env_new();
	uint8_t data[4000];

	(void)state;
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = env_byte(ENV_ISS + i);
	tgt_sendq_begin(e->conn, ENV_ISS);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, sizeof(data), true), 0);
	e->conn->snd_nxt = ENV_ISS + 1000;
	e->conn->snd_max = ENV_ISS + 2500;
	e->conn->cwnd_bytes = 10000;
	assert_int_equal(tgt_conn_start(&e->a, e->conn), 0);
	env_check(e);
	REQ("BUF-16", e->sent[0].seq == ENV_ISS + 1000 && e->conn->snd_max == ENV_ISS + 4000);
	REQ("BUF-17", env_last(e)->seq + env_last(e)->len == ENV_ISS + 4000);
	env_ack(e, ENV_ISS + 2500);
	REQ("BUF-15", e->acked_bytes == 2500);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_data_acked),
		cmocka_unit_test(test_window_from_old_segment_ignored),
		cmocka_unit_test(test_newreno),
		cmocka_unit_test(test_threshold_is_parameter),
		cmocka_unit_test(test_not_duplicates),
		cmocka_unit_test(test_sack_recovery),
		cmocka_unit_test(test_bad_sack_blocks),
		cmocka_unit_test(test_sack_flood),
		cmocka_unit_test(test_rto),
		cmocka_unit_test(test_timestamp_sample),
		cmocka_unit_test(test_timed_segment),
		cmocka_unit_test(test_karn),
		cmocka_unit_test(test_timeout_skips_sacked),
		cmocka_unit_test(test_reneging),
		cmocka_unit_test(test_spurious_timeout),
		cmocka_unit_test(test_timer_not_restarted),
		cmocka_unit_test(test_continue_retransmission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
