/* SPDX-License-Identifier: BSD-2-Clause */
#include "core_env.h"

#include "target/tgt_cc.h"

static struct tgt_conn *conn_for(struct env *e, const struct tgt_cc_ops *cc, uint32_t segments)
{
	e->conn->cc_id = cc->id;
	e->conn->cwnd_bytes = segments * ENV_MSS;
	e->conn->ssthresh_bytes = UINT32_MAX;
	cc->init(e->conn);
	return e->conn;
}

static void test_registry(void **state)
{
	(void)state;
	assert_ptr_equal(tgt_cc_by_name(NULL), &tgt_cc_cubic);
	assert_ptr_equal(tgt_cc_by_name("newreno"), &tgt_cc_newreno);
	assert_null(tgt_cc_by_name("vegas"));
	assert_ptr_equal(tgt_cc_by_id(tgt_cc_cubic.id), &tgt_cc_cubic);
	assert_ptr_equal(tgt_cc_by_id(tgt_cc_newreno.id), &tgt_cc_newreno);
}

/* Doubles a round trip below ssthresh, stops exactly there, then one MSS a round trip. */
static void test_newreno_growth(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_newreno, 10);

	(void)state;
	c->ssthresh_bytes = 25000;
	for (int i = 0; i < 10; i++)
		tgt_cc_newreno.acked(c, ENV_MSS, 0);
	REQ("TCP-08", c->cwnd_bytes == 20000);
	tgt_cc_newreno.acked(c, 5000, 0);
	assert_int_equal(c->cwnd_bytes, 25000);
	for (int rtt = 1; rtt <= 5; rtt++) {
		uint32_t before = c->cwnd_bytes;

		for (uint32_t n = 0; n < before; n += ENV_MSS)
			tgt_cc_newreno.acked(c, ENV_MSS, 0);
		assert_int_equal(c->cwnd_bytes, before + ENV_MSS);
	}
	env_free(e);
}

static void test_newreno_loss(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_newreno, 40);

	(void)state;
	assert_int_equal(tgt_cc_newreno.lost(c, 30000, 0), 15000);
	assert_int_equal(tgt_cc_newreno.lost(c, 1000, 0), 2 * ENV_MSS);
	env_free(e);
}

/* One round trip of a window's worth of acknowledgments. */
static void round_trip(struct tgt_conn *c, uint64_t *now, uint64_t rtt_us)
{
	uint32_t window = c->cwnd_bytes;

	for (uint32_t n = 0; n < window; n += ENV_MSS)
		tgt_cc_cubic.acked(c, ENV_MSS, *now + rtt_us * n / window);
	*now += rtt_us;
}

/*
 * After a loss at 1000 segments: 700, back near 1000 at about K = cbrt(300 / 0.4) = 9.09 s, flat
 * there, and beyond afterwards. With a round trip of 200 ms the AIMD estimate is below the curve.
 */
static void test_cubic_curve(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 1000);
	uint64_t now = 1000000000, start = now;
	uint32_t at_half = 0, at_k = 0;

	(void)state;
	c->srtt_us8 = 8 * 200000;
	c->ssthresh_bytes = tgt_cc_cubic.lost(c, c->cwnd_bytes, now);
	assert_int_equal(c->ssthresh_bytes, 700 * ENV_MSS);
	c->cwnd_bytes = c->ssthresh_bytes;
	while (now - start < 18000000) {
		round_trip(c, &now, 200000);
		if (!at_half && now - start >= 4500000)
			at_half = c->cwnd_bytes;
		if (!at_k && now - start >= 9200000)
			at_k = c->cwnd_bytes;
	}
	/* W(4.5) = 1000 - 0.4 * 4.59^3 = 961; W(9.2) = 1000; W(18) = 1000 + 0.4 * 8.91^3 = 1283 */
	assert_in_range(at_half, 945 * ENV_MSS, 975 * ENV_MSS);
	assert_in_range(at_k, 995 * ENV_MSS, 1003 * ENV_MSS);
	assert_in_range(c->cwnd_bytes, 1240 * ENV_MSS, 1320 * ENV_MSS);
	env_free(e);
}

/* With short round trips AIMD is faster than the curve: cubic follows it (RFC 9438 4.3). */
static void test_cubic_friendly(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 20);
	uint64_t now = 1000000000;

	(void)state;
	c->srtt_us8 = 8 * 1000;
	c->ssthresh_bytes = c->cwnd_bytes = tgt_cc_cubic.lost(c, c->cwnd_bytes, now);
	assert_int_equal(c->cwnd_bytes, 14 * ENV_MSS);
	for (int i = 0; i < 100; i++)
		round_trip(c, &now, 1000);
	/* the curve stands at 19 segments after 0.1 s; AIMD gains over half a segment a round trip
	 */
	assert_true(c->cwnd_bytes > 50 * ENV_MSS);
	env_free(e);
}

static void test_cubic_fast_convergence(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 1000);

	(void)state;
	c->cwnd_bytes = tgt_cc_cubic.lost(c, c->cwnd_bytes, 1);
	assert_int_equal(c->cc[0], 1000 * ENV_MSS);
	tgt_cc_cubic.lost(c, c->cwnd_bytes, 2); /* lost again below the old maximum */
	assert_int_equal(c->cc[0], 595 * ENV_MSS);
	env_free(e);
}

/* No overflow, no standstill at the ends of the scale. */
static void test_extremes(void **state)
{
	struct env *e = env_new();
	const struct tgt_cc_ops *all[] = { &tgt_cc_cubic, &tgt_cc_newreno };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct tgt_conn *c = conn_for(e, all[i], 1);

		all[i]->lost(c, 0, 5);
		c->ssthresh_bytes = 1;
		for (int n = 0; n < 1000; n++)
			all[i]->acked(c, ENV_MSS, 1000000ull * (uint64_t)n);
		assert_true(c->cwnd_bytes > 20 * ENV_MSS);
		c->cwnd_bytes = 1u << 30;
		all[i]->lost(c, UINT32_MAX, 1ull << 60);
		all[i]->acked(c, 1u << 30, (1ull << 60) + 1);
		assert_true(c->cwnd_bytes >= 1u << 30);
	}
	env_free(e);
}

/* Half for every timeout that passed, but the initial window stays; ssthresh remembers, and cubic's
 * curve waits. */
static void test_restart(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 100);

	(void)state;
	c->ssthresh_bytes = 10 * ENV_MSS;
	c->cc[0] = 200 * ENV_MSS;
	tgt_cc_cubic.acked(c, ENV_MSS, 7000000);
	assert_int_equal(c->cc[1], 7000001);
	c->cwnd_bytes = 100 * ENV_MSS;
	tgt_cc_restart(c, 2 * 200000 + 1);
	assert_int_equal(c->cwnd_bytes, 25 * ENV_MSS);
	assert_int_equal(c->ssthresh_bytes, 75 * ENV_MSS);
	assert_int_equal(c->cc[1], 7400002);
	tgt_cc_restart(c, 5000000);
	assert_int_equal(c->cwnd_bytes, TGT_CC_INITIAL_SEGMENTS * ENV_MSS);
	assert_int_equal(c->ssthresh_bytes, 75 * ENV_MSS);
	c->cwnd_bytes = 3 * ENV_MSS;
	tgt_cc_restart(c, 5000000);
	assert_int_equal(c->cwnd_bytes, 3 * ENV_MSS);
	env_free(e);
}

/* A timeout's worth of disuse takes half of the rest; not in recovery, where others set cwnd. */
static void test_validate(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 100);

	(void)state;
	c->cwnd_used_us = UINT32_MAX - 100000;
	tgt_cc_validate(c, 40 * ENV_MSS, false, (uint64_t)UINT32_MAX + 50000);
	assert_int_equal(c->cwnd_bytes, 100 * ENV_MSS);
	tgt_cc_validate(c, 0, false, (uint64_t)UINT32_MAX + 100000);
	assert_int_equal(c->cwnd_bytes, 70 * ENV_MSS);
	c->phase = TGT_REC_LOSS;
	tgt_cc_validate(c, 0, false, (uint64_t)UINT32_MAX + 400000);
	assert_int_equal(c->cwnd_bytes, 70 * ENV_MSS);
	c->phase = TGT_REC_OPEN;
	c->flags |= TGT_CF_CWND_LIMITED;
	tgt_cc_validate(c, 70 * ENV_MSS, false, (uint64_t)UINT32_MAX + 700000);
	assert_int_equal(c->cwnd_bytes, 70 * ENV_MSS);
	c->cwnd_used_bytes = 70 * ENV_MSS;
	tgt_cc_restart(c, 1);
	assert_int_equal(c->cwnd_used_bytes, 0);
	env_free(e);
}

/* A round of slow start in which every sample says the same. Returns by how much cwnd grew. */
static uint32_t slow_round(struct tgt_conn *c, uint32_t rtt_us)
{
	uint32_t before = c->cwnd_bytes;

	c->rack.rtt_us = rtt_us;
	c->snd_una = c->snd_max;
	c->snd_max += 16 * ENV_MSS;
	for (int i = 0; i < 16; i++)
		tgt_cc_cubic.acked(c, ENV_MSS, 1000000);
	return c->cwnd_bytes - before;
}

/* Eight samples of a longer round trip make slow start careful; shorter ones take it back. */
static void test_hystart(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 20);

	(void)state;
	c->options |= TGT_OPT_SACK;
	assert_int_equal(slow_round(c, 10000), 16 * ENV_MSS);
	assert_int_equal(slow_round(c, 13000), 16 * ENV_MSS); /* below the least rise */
	assert_int_equal(slow_round(c, 20000), 7 * ENV_MSS + 9 * ENV_MSS / 4);
	assert_int_equal(slow_round(c, 19000), 7 * ENV_MSS / 4 + 9 * ENV_MSS);
	assert_int_equal(slow_round(c, 40000), 7 * ENV_MSS + 9 * ENV_MSS / 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(slow_round(c, 40000), 4 * ENV_MSS);
		assert_int_equal(c->ssthresh_bytes, UINT32_MAX);
	}
	slow_round(c, 40000);
	assert_true(c->ssthresh_bytes <= c->cwnd_bytes);
	env_free(e);
}

/* ACKs without a gap for half of the shortest round trip: the path is full enough. */
static void test_hystart_train(void **state)
{
	static const struct {
		uint32_t gap_us, min_rtt_us, segments;
		bool ends;
		uint32_t pace;
	} cases[] = {
		{ 500, 10000, 20, true, 0 },   /* 16 ACKs in 7.5 ms */
		{ 300, 10000, 20, false, 0 },  /* in 4.5 ms */
		{ 2500, 10000, 20, false, 0 }, /* no train */
		{ 500, 10000, 3, false, 0 },   /* 3 + 12 segments, never 16 */
		{ 100, 900, 20, false, 0 },    { 500, 10000, 20, false, 1000 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct env *e = env_new();
		struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, cases[i].segments);
		uint64_t now_us = UINT32_MAX - 2000;

		c->options |= TGT_OPT_SACK;
		c->rack.rtt_us = c->rack.min_rtt_us = cases[i].min_rtt_us;
		c->pace_bytes_per_ms = cases[i].pace;
		c->snd_max += 20 * ENV_MSS;
		for (int n = 0; n < (cases[i].segments < 16 ? 12 : 16); n++) {
			tgt_cc_cubic.acked(c, ENV_MSS, now_us);
			now_us += cases[i].gap_us;
		}
		assert_int_equal(c->ssthresh_bytes != UINT32_MAX, cases[i].ends);
		env_free(e);
	}
}

/* Not after a loss, and not without round trips: slow start as ever. */
static void test_hystart_does_not_apply(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		struct env *e = env_new();
		struct tgt_conn *c = conn_for(e, &tgt_cc_cubic, 20);

		if (lost) {
			c->options |= TGT_OPT_SACK;
			c->ssthresh_bytes = tgt_cc_cubic.lost(c, 20 * ENV_MSS, 1);
			c->ssthresh_bytes = UINT32_MAX;
		}
		for (uint32_t rtt_us = 10000; rtt_us < 1000000; rtt_us *= 2)
			assert_int_equal(slow_round(c, rtt_us), 16 * ENV_MSS);
		env_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_newreno_growth),
		cmocka_unit_test(test_newreno_loss),
		cmocka_unit_test(test_cubic_curve),
		cmocka_unit_test(test_cubic_friendly),
		cmocka_unit_test(test_cubic_fast_convergence),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_validate),
		cmocka_unit_test(test_hystart),
		cmocka_unit_test(test_hystart_train),
		cmocka_unit_test(test_hystart_does_not_apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
