/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths that swallow large segments without a word (RFC 4821). */
#include "core_env.h"

#include "target/tgt_hole.h"
#include "target/tgt_sendq.h"

#define HEADERS 40u

static tcp_seq arrived;         /* all below reached the peer */
static struct tgt_range beyond; /* and this, behind one gap */

static struct env *start(uint32_t options)
{
	struct env *e = env_new();

	e->conn->options |= options;
	e->conn->remote_mss = 1460;
	e->conn->path_mtu_bytes = 1500;
	e->conn->cwnd_bytes = 30000;
	e->conn->ssthresh_bytes = 30000;
	env_start(e);
	arrived = ENV_ISS;
	beyond = (struct tgt_range){ 0, 0 };
	return e;
}

static void take(tcp_seq start, tcp_seq end)
{
	if (seq_gt(start, arrived)) {
		if (beyond.start == beyond.end)
			beyond = (struct tgt_range){ start, end };
		else if (start == beyond.end)
			beyond.end = end;
		return;
	}
	arrived = seq_max(arrived, end);
	if (beyond.start != beyond.end && seq_leq(beyond.start, arrived)) {
		arrived = seq_max(arrived, beyond.end);
		beyond.end = beyond.start;
	}
}

/* Everything sent since env_forget() crosses a path of that MTU, and so do the answers to it. */
static void cross(struct env *e, uint32_t mtu_bytes)
{
	for (unsigned int i = 0; i < e->sent_count; i++) {
		const struct env_sent *s = &e->sent[i];

		if (!s->len || s->len + HEADERS > mtu_bytes)
			continue;
		take(s->seq, s->seq + s->len);
		env_run(e, 1000);
		env_ack_sack(e, arrived, &beyond, beyond.start != beyond.end);
	}
	env_forget(e);
}

/* Two timeouts of a full segment. */
static struct env *in_hole(uint32_t options)
{
	struct env *e = start(options);

	env_send(e, 20000);
	env_forget(e);
	while (!e->conn->rexmt_count)
		env_run(e, 10000);
	assert_int_equal(env_last(e)->len, 1460);
	assert_int_equal(e->conn->hole_mtu_bytes, 0);
	env_forget(e);
	while (e->conn->rexmt_count < 2)
		env_run(e, 10000);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].seq, ENV_ISS);
	assert_int_equal(e->sent[0].len, 1280 - HEADERS);
	return e;
}

static void test_small_segments_after_timeouts(void **state)
{
	static const uint32_t options[] = { 0, TGT_OPT_SACK };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct env *e = in_hole(options[i]);

		cross(e, 1300);
		assert_int_equal(e->conn->snd_una, ENV_ISS + 20000);
		assert_int_equal(e->conn->phase, TGT_REC_OPEN);
		env_free(e);
	}
}

/* Smaller still while nothing gets through; below the least there is nothing to gain. */
static void test_ladder(void **state)
{
	struct env *e = in_hole(0);

	(void)state;
	while (e->conn->rexmt_count < 4)
		env_run(e, 10000);
	assert_int_equal(env_last(e)->len, TGT_HOLE_LEAST_V4 - HEADERS);
	while (e->conn->rexmt_count < 6)
		env_run(e, 10000);
	assert_int_equal(env_last(e)->len, TGT_HOLE_LEAST_V4 - HEADERS);
	env_free(e);
}

/* Short segments do not vanish for their size. */
static void test_short_segments_are_no_evidence(void **state)
{
	struct env *e = start(0);

	(void)state;
	env_send(e, 1459);
	while (e->conn->rexmt_count < 6)
		env_run(e, 10000);
	assert_int_equal(e->conn->hole_mtu_bytes, 0);
	env_free(e);
}

/* The path was only dead: one full segment proves it, and all are full again. */
static void test_outage(void **state)
{
	struct env *e = in_hole(TGT_OPT_SACK);
	const struct env_sent *s = e->sent;

	(void)state;
	cross(e, 1500);
	e->conn->cwnd_bytes = 30000;
	env_send(e, 20000);
	assert_int_equal(s[0].len, 1460);
	assert_int_equal(s[0].gso_size, 0);
	assert_int_equal(s[1].len, 1240);
	cross(e, 1500);
	assert_int_equal(e->conn->hole_mtu_bytes, 0);
	env_send(e, 2920);
	assert_int_equal(s[0].len, 1460);
	assert_int_equal(s[1].len, 1460);
	env_free(e);
}

/* A probe that is lost goes again in pieces, and cwnd is none the smaller. */
static void test_lost_probe(void **state)
{
	struct env *e = in_hole(TGT_OPT_SACK);
	tcp_seq probe;

	(void)state;
	cross(e, 1300);
	e->conn->cwnd_bytes = 30000;
	probe = e->conn->snd_max;
	env_send(e, 20000);
	assert_int_equal(e->sent[0].seq, probe);
	assert_int_equal(e->sent[0].len, 1460);
	cross(e, 1300);
	assert_int_equal(e->conn->snd_una, probe + 20000);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_true(e->conn->cwnd_bytes >= 30000);
	assert_int_equal(e->conn->hole_high_bytes, 1500);
	assert_int_equal(e->conn->hole_mtu_bytes, 1280);
	env_free(e);
}

/* A loss beside the probe is congestion: right behind it, or elsewhere. */
static void test_lost_with_others(void **state)
{
	(void)state;
	for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
		struct env *e = in_hole(TGT_OPT_SACK);
		struct tgt_range blocks[2];

		cross(e, 1300);
		e->conn->cwnd_bytes = 30000;
		env_send(e, 20000);
		env_run(e, 1000);
		blocks[0] = (struct tgt_range){ e->sent[5].seq, e->sent[12].seq };
		blocks[1] = (struct tgt_range){ e->sent[1].seq, e->sent[4].seq };
		env_ack_sack(e, e->conn->snd_una, blocks, 1 + elsewhere);
		assert_int_equal(e->conn->phase, TGT_REC_FAST);
		assert_true(e->conn->ssthresh_bytes < 20000);
		env_free(e);
	}
}

/* A timeout ends the probe: that its bytes arrive later in small segments proves nothing. */
static void test_probe_timed_out(void **state)
{
	struct env *e = in_hole(TGT_OPT_SACK);

	(void)state;
	cross(e, 1300);
	e->conn->cwnd_bytes = 30000;
	env_send(e, 1460);
	assert_int_equal(e->conn->hole_probe_bytes, 1500);
	while (!e->conn->rexmt_count)
		env_run(e, 10000);
	assert_int_equal(e->conn->hole_probe_bytes, 0);
	assert_int_equal(e->conn->hole_high_bytes, 1500);
	env_ack(e, e->conn->snd_max);
	assert_int_equal(e->conn->hole_mtu_bytes, 1280);
	env_free(e);
}

/* No probe unless all of it is there and may go. */
static void test_no_room_for_a_probe(void **state)
{
	(void)state;
	for (int small_window = 0; small_window < 2; small_window++) {
		struct env *e = in_hole(TGT_OPT_SACK);

		cross(e, 1300);
		e->conn->cwnd_bytes = 30000;
		if (small_window)
			e->peer_wnd_raw = 1300;
		env_ack(e, e->conn->snd_max);
		env_send(e, small_window ? 5000 : 1300);
		assert_int_equal(e->sent[0].len, 1240);
		assert_int_equal(e->conn->hole_probe_bytes, 0);
		env_free(e);
	}
}

/* The search ends near the largest that gets through, and begins anew after a while. */
static void test_search(void **state)
{
	struct env *e = in_hole(TGT_OPT_SACK);
	unsigned int probes = 0;

	(void)state;
	cross(e, 1400);
	for (int i = 0; i < 40; i++) {
		e->conn->cwnd_bytes = 30000;
		env_send(e, 20000);
		probes += e->sent[0].len > e->sent[1].len;
		cross(e, 1400);
		assert_int_equal(e->conn->snd_una, e->conn->snd_max);
	}
	assert_in_range(e->conn->hole_mtu_bytes, 1400 - 16, 1400);
	assert_in_range(probes, 3, 8);
	assert_int_equal(e->conn->hole_high_bytes, 0);
	env_run(e, TGT_HOLE_RAISE_S * 1000000ull);
	e->conn->cwnd_bytes = 30000;
	env_send(e, 20000);
	assert_int_equal(e->sent[0].len, 1460);
	env_free(e);
}

/* Without SACK nobody could tell a lost probe from congestion: full segments again after a while. */
static void test_raise_without_sack(void **state)
{
	struct env *e = in_hole(0);

	(void)state;
	cross(e, 1300);
	env_run(e, (TGT_HOLE_RAISE_S - 5) * 1000000ull);
	e->conn->cwnd_bytes = 30000;
	env_send(e, 5000);
	assert_int_equal(e->sent[0].len, 1240);
	cross(e, 1300);
	env_run(e, 10000000);
	e->conn->cwnd_bytes = 30000;
	env_send(e, 5000);
	assert_int_equal(e->sent[0].len, 1460);
	env_free(e);
}

/* IPv6 promises 1280 bytes: nothing smaller is tried. */
static void test_least_of_ipv6(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->flags |= TGT_CF_IPV6;
	e->conn->remote_mss = 1440;
	e->conn->path_mtu_bytes = 1500;
	env_start(e);
	env_send(e, 20000);
	while (e->conn->rexmt_count < 6)
		env_run(e, 10000);
	assert_int_equal(e->conn->hole_mtu_bytes, 1280);
	assert_int_equal(env_last(e)->len, 1220);
	env_free(e);
}

/* What the host learns of the path is better than what we guess. */
static void test_news_of_the_path(void **state)
{
	struct env *e = in_hole(TGT_OPT_SACK);

	(void)state;
	env_forget(e);
	tgt_conn_set_mtu(&e->a, e->conn, 1400);
	env_check(e);
	assert_int_equal(e->conn->hole_mtu_bytes, 0);
	while (!e->sent_count)
		env_run(e, 10000);
	assert_int_equal(e->sent[0].len, 1360);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_segments_after_timeouts),
		cmocka_unit_test(test_ladder),
		cmocka_unit_test(test_short_segments_are_no_evidence),
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_lost_probe),
		cmocka_unit_test(test_lost_with_others),
		cmocka_unit_test(test_probe_timed_out),
		cmocka_unit_test(test_no_room_for_a_probe),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_raise_without_sack),
		cmocka_unit_test(test_least_of_ipv6),
		cmocka_unit_test(test_news_of_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
