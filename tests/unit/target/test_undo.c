/* SPDX-License-Identifier: BSD-2-Clause */
/* Spurious retransmissions found and taken back: Eifel (RFC 3522), D-SACK (RFC 3708), F-RTO (RFC
 * 5682). */
#include "core_env.h"

#include "target/tgt_cc.h"
#include "target/tgt_sendq.h"
#include "target/tgt_undo.h"

#define RTT_US 50000u
#define RTO_US 200000u

static struct env *start(uint32_t options)
{
	struct env *e = env_new();

	e->conn->options |= options;
	e->conn->cwnd_bytes = 20000;
	e->conn->ssthresh_bytes = 30000;
	env_start(e);
	return e;
}

static void sack(struct env *e, tcp_seq ack, uint32_t from, uint32_t to)
{
	const struct tgt_range block = { ENV_ISS + from, ENV_ISS + to };

	env_ack_sack(e, ack, &block, 1);
}

static void ack_with_echo(struct env *e, tcp_seq ack, uint32_t echo)
{
	uint8_t opt[TGT_OPT_MAX];
	struct tgt_segment s = { .seq = e->conn->rcv_nxt,
				 .ack = ack,
				 .flags = TGT_TH_ACK,
				 .wnd_raw = 65535,
				 .opt = opt };

	s.opt_len = (uint8_t)tgt_opt_build(opt, true, e->peer_tsval, echo, NULL, 0);
	env_segment(e, &s);
}

static void assert_undone(struct env *e)
{
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_true(e->conn->cwnd_bytes >= 20000);
	assert_int_equal(e->conn->ssthresh_bytes, 30000);
	assert_int_equal(e->conn->snd_nxt, e->conn->snd_max);
	assert_int_equal(e->conn->sent.lost_bytes, 0);
}

/* Fast retransmit of something late: the echo of its acknowledgment is older than the
 * retransmission. With SACK and without. */
static void test_fast_retransmit_by_echo(void **state)
{
	(void)state;
	for (int with_sack = 0; with_sack < 2; with_sack++) {
		struct env *e = start(TGT_OPT_TIMESTAMP | (with_sack ? TGT_OPT_SACK : 0));
		uint32_t echo = tgt_clock_ticks(&e->a) + e->conn->ts_delta_ticks;

		env_send(e, 9880);
		env_run(e, RTT_US);
		for (uint32_t i = 2; i < 5; i++) {
			if (with_sack)
				sack(e, ENV_ISS, 988, i * 988);
			else
				env_ack(e, ENV_ISS);
		}
		assert_int_equal(e->conn->phase, TGT_REC_FAST);
		assert_true(e->conn->ssthresh_bytes < 10000);
		env_run(e, 3000);
		ack_with_echo(e, ENV_ISS + 4 * 988, echo);
		assert_undone(e);
		env_free(e);
	}
}

/* An echo of the retransmission itself proves nothing, and the question is asked once. */
static void test_echo_of_retransmission(void **state)
{
	struct env *e = start(TGT_OPT_TIMESTAMP | TGT_OPT_SACK);
	uint32_t echo = tgt_clock_ticks(&e->a) + e->conn->ts_delta_ticks;

	(void)state;
	env_send(e, 9880);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 988, 4 * 988);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	env_run(e, RTT_US);
	ack_with_echo(e, ENV_ISS + 4 * 988, echo + RTT_US / 1000);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	ack_with_echo(e, ENV_ISS + 5 * 988, echo);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_true(e->conn->ssthresh_bytes < 10000);
	env_free(e);
}

/* The peer reports both retransmissions as duplicates: during recovery, or after it. */
static void test_dsack(void **state)
{
	const struct tgt_range holes[] = { { ENV_ISS + 3000, ENV_ISS + 6000 },
					   { ENV_ISS + 1000, ENV_ISS + 2000 } };

	(void)state;
	for (int after = 0; after < 2; after++) {
		struct env *e = start(TGT_OPT_SACK);

		env_send(e, 10000);
		env_run(e, RTT_US);
		env_forget(e);
		env_ack_sack(e, ENV_ISS, holes, 2);
		assert_int_equal(e->conn->phase, TGT_REC_FAST);
		assert_int_equal(e->conn->sent.lost_bytes, 1000); /* the window has room for one */
		assert_int_equal(e->conn->undo_again_bytes, 1000);
		sack(e, ENV_ISS, 3000, 7000);
		assert_int_equal(e->conn->undo_again_bytes, 2000);
		env_ack(e, ENV_ISS + 7000);
		if (after)
			env_ack(e, ENV_ISS + 10000);
		assert_int_equal(e->conn->phase, after ? TGT_REC_OPEN : TGT_REC_FAST);
		sack(e, after ? ENV_ISS + 10000 : ENV_ISS + 7000, 0, 1000);
		assert_int_equal(e->conn->undo_again_bytes, 1000);
		assert_true(e->conn->cwnd_bytes < 20000);
		sack(e, after ? ENV_ISS + 10000 : ENV_ISS + 7000, 2000, 3000);
		assert_undone(e);
		env_free(e);
	}
}

/* Duplicates of something else undo nothing: the network made them. */
static void test_dsack_elsewhere(void **state)
{
	struct env *e = start(TGT_OPT_SACK);

	(void)state;
	env_send(e, 3000);
	env_ack(e, ENV_ISS + 3000);
	env_send(e, 10000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS + 3000, 4000, 7000);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(e->conn->undo_again_bytes, 1000);
	sack(e, ENV_ISS + 3000, 1000, 2000); /* before the episode */
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(e->conn->undo_again_bytes, 1000);
	env_ack(e, ENV_ISS + 13000);
	env_send(e, 1000);
	sack(e, ENV_ISS + 14000, 13000, 14000); /* after it */
	assert_int_equal(e->conn->undo_again_bytes, 1000);
	assert_true(e->conn->ssthresh_bytes < 30000);
	env_free(e);
}

/* Two episodes: what the first left open does not count in the second, and one undo is all. */
static void test_episodes(void **state)
{
	struct env *e = start(TGT_OPT_SACK);
	uint32_t ssthresh;

	(void)state;
	env_send(e, 10000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 4000);
	assert_int_equal(e->conn->undo_again_bytes, 1000);
	env_ack(e, ENV_ISS + 10000);
	e->conn->cwnd_bytes = 20000;
	ssthresh = e->conn->ssthresh_bytes;
	env_send(e, 10000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS + 10000, 11000, 14000);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(e->conn->undo_again_bytes, 1000);
	sack(e, ENV_ISS + 10000, 0, 1000); /* late news of the first */
	assert_int_equal(e->conn->undo_again_bytes, 1000);
	env_ack(e, ENV_ISS + 14000);
	sack(e, ENV_ISS + 14000, 10000, 11000);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_int_equal(e->conn->ssthresh_bytes, ssthresh);
	assert_true(e->conn->cwnd_bytes >= 20000);
	assert_false(e->conn->flags & TGT_CF_UNDO);
	e->conn->cwnd_bytes = 5000;
	sack(e, ENV_ISS + 14000, 10000, 11000); /* once more: the network made it */
	assert_int_equal(e->conn->cwnd_bytes, 5000);
	env_free(e);
}

/* With timestamps of an odd base, and congestion control hears of it. */
static void test_undo_tells_cubic(void **state)
{
	struct env *e = env_new();
	uint32_t echo;

	(void)state;
	e->a.cc = &tgt_cc_cubic;
	e->conn->cc_id = tgt_cc_cubic.id;
	e->conn->options |= TGT_OPT_TIMESTAMP | TGT_OPT_SACK;
	e->conn->ts_delta_ticks = 0x7fff0000;
	e->conn->cwnd_bytes = 9880;
	e->conn->ssthresh_bytes = 9880;
	env_start(e);
	echo = tgt_clock_ticks(&e->a) + e->conn->ts_delta_ticks;
	for (uint32_t i = 0; i < 2; i++) { /* in congestion avoidance, so that there is an epoch */
		env_send(e, 12000);
		env_run(e, RTT_US);
		if (!i)
			env_ack(e, e->conn->snd_max);
	}
	assert_true(e->conn->cc[0] > 0);
	e->conn->cc[0] = 1; /* W_max */
	sack(e, e->conn->snd_una, e->conn->snd_una - ENV_ISS + 988,
	     e->conn->snd_una - ENV_ISS + 4 * 988);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	e->conn->cc[0] = 1;
	env_run(e, 3000);
	ack_with_echo(e, e->conn->snd_una + 4 * 988, echo + 2 * RTT_US / 1000 - 1);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_true(e->conn->cc[0] >= 9880);
	env_free(e);
}

/* One word to congestion control, at once: later growth would hide that it was never told. */
static void test_undo_hook(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = e->conn;

	(void)state;
	c->cc_id = tgt_cc_cubic.id;
	c->cwnd_bytes = 10000;
	c->ssthresh_bytes = 9000;
	c->cc[0] = 20000; /* W_max */
	c->cc[1] = 77;    /* epoch */
	c->undo_cwnd_bytes = 50000;
	c->undo_ssthresh_bytes = 40000;
	c->flags |= TGT_CF_UNDO | TGT_CF_UNDO_TS;
	tgt_undo_windows(c);
	assert_int_equal(c->cwnd_bytes, 50000);
	assert_int_equal(c->ssthresh_bytes, 40000);
	assert_int_equal(c->cc[0], 50000);
	assert_int_equal(c->cc[1], 0);
	assert_int_equal(c->flags & (TGT_CF_UNDO | TGT_CF_UNDO_TS), 0);
	c->undo_cwnd_bytes = c->undo_ssthresh_bytes = 1000; /* never the other way */
	tgt_undo_windows(c);
	assert_int_equal(c->cwnd_bytes, 50000);
	assert_int_equal(c->ssthresh_bytes, 40000);
	env_free(e);
}

/* What an earlier episode noted for its echo is none of the next one's business. */
static void test_echo_of_an_earlier_episode(void **state)
{
	const struct tgt_opts old = { .has_ts = true, .ts_ecr = 100 };
	struct env *e = env_new();
	struct tgt_conn *c = e->conn;

	(void)state;
	c->options |= TGT_OPT_TIMESTAMP;
	c->phase = TGT_REC_FAST;
	c->flags |= TGT_CF_UNDO_TS;
	c->undo_tsval = 200;
	assert_true(tgt_undo_by_echo(c, &old));
	assert_false(tgt_undo_by_echo(c, &old)); /* asked once */
	c->flags |= TGT_CF_UNDO_TS;
	tgt_undo_begin(c);
	assert_false(tgt_undo_by_echo(c, &old)); /* nothing went again since */
	tgt_undo_sent_again(&e->a, c, 1000);
	assert_true(c->flags & TGT_CF_UNDO_TS);
	assert_int_equal(c->undo_tsval, tgt_clock_ticks(&e->a) + c->ts_delta_ticks);
	env_free(e);
}

/* Duplicates count when they lie between what snd_una and snd_max were, to the byte. */
static void test_dsack_bounds(void **state)
{
	static const struct {
		uint32_t start, end;
		bool counts;
	} cases[] = { { 1000, 2000, true },
		      { 999, 1999, false },
		      { 9000, 10000, true },
		      { 9001, 10001, false } };

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct env *e = env_new();
		struct tgt_delivery d = { .has_dsack = true };

		e->conn->snd_una = ENV_ISS + 1000;
		e->conn->snd_max = ENV_ISS + 10000;
		tgt_undo_begin(e->conn);
		e->conn->phase = TGT_REC_FAST;
		tgt_undo_sent_again(&e->a, e->conn, 1000);
		d.dsack.start = ENV_ISS + cases[i].start;
		d.dsack.end = ENV_ISS + cases[i].end;
		assert_int_equal(tgt_undo_by_dsack(e->conn, &d), cases[i].counts);
		assert_int_equal(e->conn->undo_again_bytes, cases[i].counts ? 0 : 1000);
		env_free(e);
	}
}

/* ---- F-RTO ---- */

static struct env *timed_out(uint32_t options, uint32_t queued)
{
	struct env *e = start(options);

	e->conn->cwnd_bytes = 5000;
	env_send(e, queued);
	if (options & TGT_OPT_SACK) { /* the probe first, new data or not; then the timeout */
		env_run(e, 100000);
		assert_true(e->conn->flags & TGT_CF_TLP_OUT);
	}
	env_forget(e);
	env_run(e, RTO_US);
	assert_int_equal(e->conn->phase, TGT_REC_LOSS);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS);
	e->conn->undo_cwnd_bytes = 20000;
	env_forget(e);
	return e;
}

/* Delayed, not lost: two new segments instead of the next old ones, and everything is as before. */
static void test_frto_spurious(void **state)
{
	(void)state;
	for (int with_sack = 0; with_sack < 2; with_sack++) {
		struct env *e = timed_out(with_sack ? TGT_OPT_SACK : 0, 20000);
		tcp_seq recover = e->conn->recover;

		env_ack(e, ENV_ISS + 1000);
		assert_int_equal(e->sent_count, 2);
		assert_int_equal(e->sent[0].seq, recover);
		assert_int_equal(e->sent[1].seq, recover + 1000);
		assert_int_equal(e->conn->phase, TGT_REC_LOSS);
		env_ack(e, ENV_ISS + 2000);
		assert_undone(e);
		for (unsigned int i = 0; i < e->sent_count; i++)
			assert_false(e->sent[i].retransmit);
		env_free(e);
	}
}

/* Really lost: the new segments draw a duplicate, and the old ones go again. */
static void test_frto_lost(void **state)
{
	(void)state;
	for (int with_sack = 0; with_sack < 2; with_sack++) {
		struct env *e = timed_out(with_sack ? TGT_OPT_SACK : 0, 20000);
		uint32_t recover = e->conn->recover - ENV_ISS;

		env_ack(e, ENV_ISS + 1000);
		assert_int_equal(e->sent_count, 2);
		env_forget(e);
		if (with_sack)
			sack(e, ENV_ISS + 1000, recover, recover + 1000);
		else
			env_ack(e, ENV_ISS + 1000);
		assert_int_equal(e->conn->phase, TGT_REC_LOSS);
		assert_true(e->sent_count >= 1);
		assert_int_equal(e->sent[0].seq, ENV_ISS + 1000);
		assert_true(e->conn->cwnd_bytes <= 3000);
		assert_true(e->conn->ssthresh_bytes < 30000);
		env_free(e);
	}
}

/* A duplicate at once, nothing new to send, or all repaired by the one retransmission: as after any
 * timeout. */
static void test_frto_does_not_apply(void **state)
{
	(void)state;
	for (int with_sack = 0; with_sack < 2; with_sack++) {
		uint32_t options = with_sack ? TGT_OPT_SACK : 0;
		struct env *e = timed_out(options, 20000);

		if (with_sack)
			sack(e, ENV_ISS, 2000, 3000);
		else
			env_ack(e, ENV_ISS);
		assert_int_equal(e->conn->frto, TGT_FRTO_OFF);
		env_ack(e, ENV_ISS + 1000);
		assert_int_equal(e->sent[0].seq, ENV_ISS + 1000);
		env_free(e);

		e = timed_out(options, 5000);
		env_ack(e, ENV_ISS + 1000);
		assert_int_equal(e->conn->frto, TGT_FRTO_OFF);
		assert_true(e->sent_count >= 1);
		assert_int_equal(e->sent[0].seq, ENV_ISS + 1000);
		env_free(e);

		e = timed_out(options, 20000);
		env_ack(e, e->conn->recover);
		assert_int_equal(e->conn->phase, TGT_REC_OPEN);
		assert_true(e->conn->ssthresh_bytes < 30000);
		env_free(e);
	}
}

/* Only the first timeout, and only without timestamps. */
static void test_frto_once(void **state)
{
	struct env *e = timed_out(0, 20000);

	(void)state;
	assert_int_equal(e->conn->frto, TGT_FRTO_HEAD);
	env_run(e, 2 * RTO_US);
	assert_int_equal(e->conn->rexmt_count, 2);
	assert_int_equal(e->conn->frto, TGT_FRTO_OFF);
	env_free(e);
	e = start(TGT_OPT_TIMESTAMP);
	env_send(e, 5000);
	env_run(e, RTO_US);
	assert_int_equal(e->conn->phase, TGT_REC_LOSS);
	assert_int_equal(e->conn->frto, TGT_FRTO_OFF);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_retransmit_by_echo),
		cmocka_unit_test(test_echo_of_retransmission),
		cmocka_unit_test(test_dsack),
		cmocka_unit_test(test_dsack_elsewhere),
		cmocka_unit_test(test_episodes),
		cmocka_unit_test(test_undo_tells_cubic),
		cmocka_unit_test(test_undo_hook),
		cmocka_unit_test(test_echo_of_an_earlier_episode),
		cmocka_unit_test(test_dsack_bounds),
		cmocka_unit_test(test_frto_spurious),
		cmocka_unit_test(test_frto_lost),
		cmocka_unit_test(test_frto_does_not_apply),
		cmocka_unit_test(test_frto_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
