/* SPDX-License-Identifier: BSD-2-Clause */
/* Loss detection by time (RFC 8985 6) and proportional rate reduction (RFC 6937bis). */
#include "core_env.h"

#include "target/tgt_prr.h"
#include "target/tgt_rack.h"
#include "target/tgt_sendq.h"
#include "target/tgt_sent.h"

#define RTT_US 40000u

static struct env *start(uint32_t cwnd_bytes)
{
	struct env *e = env_new();

	e->conn->options |= TGT_OPT_SACK;
	e->conn->cwnd_bytes = cwnd_bytes;
	env_start(e);
	return e;
}

static void sack(struct env *e, tcp_seq ack, uint32_t from, uint32_t to)
{
	const struct tgt_range block = { ENV_ISS + from, ENV_ISS + to };

	env_ack_sack(e, ack, &block, 1);
}

static void dsack(struct env *e, tcp_seq ack, uint32_t from, uint32_t to)
{
	sack(e, ack, from, to);
}

static unsigned int times_sent(struct env *e, uint32_t off)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->sent_count; i++)
		n += e->sent[i].seq == ENV_ISS + off && e->sent[i].len;
	return n;
}

/* TcpDuplicateAckThreshold duplicates start fast retransmit at once, one less does not. */
static void test_threshold(void **state)
{
	(void)state;
	for (uint32_t most = 2; most <= 7; most++) {
		struct env *e = start(20000);

		e->a.params.dup_ack_threshold = most;
		env_send(e, 15000);
		env_run(e, RTT_US);
		env_forget(e);
		for (uint32_t i = 1; i < most; i++)
			sack(e, ENV_ISS, 1000, 1000 + i * 1000);
		assert_int_equal(e->conn->phase, TGT_REC_OPEN);
		assert_int_equal(times_sent(e, 0), 0);
		sack(e, ENV_ISS, 1000, 1000 + most * 1000);
		REQ("INI-27", e->conn->phase == TGT_REC_FAST && times_sent(e, 0) == 1);
		env_free(e);
	}
}

/* Fewer than that: the reordering window, a quarter of the shortest round trip. */
static void test_window(void **state)
{
	struct env *e = start(20000);

	(void)state;
	env_send(e, 5000);
	env_run(e, RTT_US);
	env_forget(e);
	sack(e, ENV_ISS, 1000, 2000);
	assert_int_equal(e->conn->rack.min_rtt_us, RTT_US);
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 4);
	env_run(e, RTT_US / 4 - 1);
	assert_int_equal(e->sent_count, 0);
	env_run(e, 1);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(times_sent(e, 0), 1);
	/* What left at the same time behind the one that arrived is not lost. */
	assert_int_equal(e->conn->sent.lost_bytes, 0);
	assert_int_equal(e->sent_count, 1);
	env_free(e);
}

/* What arrives within the window was late, not lost. */
static void test_late_is_not_lost(void **state)
{
	struct env *e = start(20000);

	(void)state;
	env_send(e, 5000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 2000);
	env_forget(e);
	env_run(e, RTT_US / 4 - 1);
	env_ack(e, ENV_ISS + 2000);
	assert_true(e->conn->flags & TGT_CF_REORDERED);
	assert_false(e->conn->flags & TGT_CF_REO_TIMER);
	env_run(e, RTT_US);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_int_equal(e->conn->cwnd_bytes, 20000);
	assert_int_equal(times_sent(e, 2000), 0);
	env_free(e);
}

/* Once the network was seen to reorder, the threshold no longer starts anything by itself. */
static void test_reordering_stops_threshold(void **state)
{
	struct env *e = start(30000);

	(void)state;
	env_send(e, 12000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 2000);
	env_ack(e, ENV_ISS + 2000);
	env_forget(e);
	sack(e, ENV_ISS + 2000, 3000, 9000);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 4);
	env_run(e, RTT_US / 4);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(times_sent(e, 2000), 1);
	env_free(e);
}

/* Blocks in one acknowledgment say nothing about the order in which they arrived. */
static void test_blocks_are_not_reordering(void **state)
{
	struct env *e = start(30000);
	const struct tgt_range blocks[] = { { ENV_ISS + 5000, ENV_ISS + 6000 },
					    { ENV_ISS + 3000, ENV_ISS + 4000 },
					    { ENV_ISS + 1000, ENV_ISS + 2000 } };

	(void)state;
	env_send(e, 8000);
	env_run(e, RTT_US);
	env_ack_sack(e, ENV_ISS, blocks, 3);
	assert_false(e->conn->flags & TGT_CF_REORDERED);
	assert_int_equal(e->conn->phase, TGT_REC_FAST); /* three segments SACKed */
	/* Of the three holes two fit: ssthresh is 4000, 2000 are in the network. */
	assert_int_equal(times_sent(e, 0) + times_sent(e, 2000) + times_sent(e, 4000), 3 + 2);
	assert_int_equal(e->conn->sent.lost_bytes, 1000);
	env_free(e);
}

/* A retransmission that is lost is found by what left after it, long before the timer. */
static void test_lost_retransmission(void **state)
{
	struct env *e = start(10000);
	uint64_t began;

	(void)state;
	env_send(e, 40000);
	env_run(e, RTT_US);
	env_forget(e);
	began = e->a.now_us;
	sack(e, ENV_ISS, 1000, 5000);
	assert_int_equal(times_sent(e, 0), 1);
	assert_true(env_last(e)->seq == ENV_ISS);
	sack(e, ENV_ISS, 1000, 9000); /* and new data leaves after the retransmission */
	assert_true(times_sent(e, 10000) == 1);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 10000);
	assert_int_equal(times_sent(e, 0), 1); /* this left before it */
	sack(e, ENV_ISS, 1000, 11000);
	REQ("TCP-24", times_sent(e, 0) == 2);
	assert_true(e->a.now_us - began < 200000);
	assert_int_equal(e->conn->rexmt_count, 0);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	env_free(e);
}

/* A copy that comes back faster than any round trip was not the last one. */
static void test_ambiguous_copy(void **state)
{
	struct env *e = start(10000);

	(void)state;
	env_send(e, 10000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 5000);
	assert_int_equal(e->conn->rack.rtt_us, RTT_US);
	env_run(e, 100);
	env_ack(e, ENV_ISS + 5000);
	assert_int_equal(e->conn->rack.rtt_us, RTT_US);
	assert_int_equal(e->conn->rack.min_rtt_us, RTT_US);
	env_free(e);
}

/* The same by timestamp, when it comes late enough. */
static void test_ambiguous_by_echo(void **state)
{
	struct env *e = env_new();
	uint8_t opt[TGT_OPT_MAX];
	struct tgt_range block = { ENV_ISS + 988, ENV_ISS + 4940 };
	struct tgt_segment s = {
		.seq = ENV_IRS, .flags = TGT_TH_ACK, .wnd_raw = 65535, .opt = opt
	};
	uint32_t echo, sent_us;

	(void)state;
	e->conn->options |= TGT_OPT_SACK | TGT_OPT_TIMESTAMP;
	e->conn->cwnd_bytes = 9880;
	env_start(e);
	echo = tgt_clock_ticks(&e->a) + e->conn->ts_delta_ticks;
	env_send(e, 9880);
	env_run(e, RTT_US);
	env_ack_sack(e, ENV_ISS, &block, 1);
	sent_us = e->conn->rack.sent_us;
	env_run(e, 2 * RTT_US);
	s.ack = ENV_ISS + 4940;
	s.opt_len = (uint8_t)tgt_opt_build(opt, true, 6000, echo, NULL, 0);
	env_segment(e, &s);
	assert_int_equal(e->conn->rack.sent_us, sent_us);
	env_free(e);
}

/* An echo of the last copy, be it in the same tick, is good. */
static void test_echo_of_last_copy(void **state)
{
	struct env *e = env_new();
	uint8_t opt[TGT_OPT_MAX];
	struct tgt_range block = { ENV_ISS + 988, ENV_ISS + 4940 };
	struct tgt_segment s = {
		.seq = ENV_IRS, .flags = TGT_TH_ACK, .wnd_raw = 65535, .opt = opt
	};
	uint32_t again_us;

	(void)state;
	e->conn->options |= TGT_OPT_SACK | TGT_OPT_TIMESTAMP;
	e->conn->ts_delta_ticks = 123456;
	e->conn->cwnd_bytes = 9880;
	env_start(e);
	env_send(e, 9880);
	env_run(e, RTT_US);
	again_us = (uint32_t)e->a.now_us;
	env_ack_sack(e, ENV_ISS, &block, 1);
	s.ack = ENV_ISS + 4940;
	s.opt_len = (uint8_t)tgt_opt_build(
		opt, true, 6000, tgt_clock_ticks(&e->a) + e->conn->ts_delta_ticks, NULL, 0);
	env_run(e, RTT_US);
	env_segment(e, &s);
	assert_int_equal(e->conn->rack.sent_us, again_us);
	assert_int_equal(e->conn->rack.rtt_us, RTT_US);
	env_free(e);
}

/* The shortest round trip counts, for five minutes; nothing is known of the last one once all is
 * acknowledged. */
static void test_shortest_round_trip(void **state)
{
	static const struct {
		uint32_t rtt_us, shortest_us;
	} steps[] = { { 40000, 40000 }, { 30000, 30000 }, { 35000, 30000 } };
	struct env *e = start(20000);
	uint32_t off = 0;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		env_send(e, 1000);
		env_run(e, steps[i].rtt_us);
		env_ack(e, ENV_ISS + (off += 1000));
		assert_int_equal(e->conn->rack.min_rtt_us, steps[i].shortest_us);
		assert_int_equal(e->conn->rack.rtt_us, 0);
	}
	for (int i = 0; i < 2; i++) {
		env_run(e, i ? 2000000 : 298000000);
		env_send(e, 1000);
		env_run(e, 45000);
		env_ack(e, ENV_ISS + (off += 1000));
		assert_int_equal(e->conn->rack.min_rtt_us, i ? 45000 : 30000);
	}
	env_free(e);
}

/* Three small blocks count as three segments, as they do without SACK. */
static void test_threshold_of_blocks(void **state)
{
	struct env *e = start(20000);
	struct tgt_range blocks[3];

	(void)state;
	env_send(e, 8000);
	env_run(e, RTT_US);
	env_forget(e);
	for (uint32_t i = 0; i < 3; i++)
		blocks[i] =
			(struct tgt_range){ ENV_ISS + 1000 + 200 * i, ENV_ISS + 1100 + 200 * i };
	env_ack_sack(e, ENV_ISS, blocks, 2);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	env_ack_sack(e, ENV_ISS, blocks, 3);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	env_free(e);
}

/* RFC 8985 6.2 step 4: each D-SACK, at most one a round trip, widens the window by a quarter, up to
 * a smoothed round trip; sixteen recoveries later it is as before. */
static void test_dsack_widens(void **state)
{
	struct env *e = start(100000);
	uint32_t una = 0;

	(void)state;
	e->conn->flags |= TGT_CF_REORDERED;
	env_send(e, 20000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 2000);
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 4);
	dsack(e, ENV_ISS + 2000, 0, 1000);
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 2);
	dsack(e, ENV_ISS + 3000, 1000, 2000); /* the same round */
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 2);
	dsack(e, ENV_ISS + 19000, 1000, 2000); /* still */
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 2);
	dsack(e, ENV_ISS + 20000, 1000, 2000); /* the next one */
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), RTT_US / 4 * 3);
	for (una = 20000; una < 30000; una += 1000) {
		env_send(e, 1000);
		env_run(e, RTT_US);
		dsack(e, ENV_ISS + una + 1000, una - 1000, una);
	}
	assert_int_equal(tgt_rack_window_us(&e->a, e->conn), e->conn->srtt_us8 / 8);
	for (int i = 0; i < 16; i++) {
		assert_true(e->conn->rack.reo_mult > 1);
		tgt_rack_recovered(e->conn);
	}
	assert_int_equal(e->conn->rack.reo_mult, 1);
	env_free(e);
}

/* What the former owner sent has no time: no sample, and lost by the threshold only. */
static void test_former_owner(void **state)
{
	struct env *e = env_new();
	uint8_t data[10000];

	(void)state;
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = env_byte(ENV_ISS + i);
	e->conn->options |= TGT_OPT_SACK;
	tgt_sendq_begin(e->conn, ENV_ISS);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, sizeof(data), true), 0);
	e->conn->snd_nxt = e->conn->snd_max = ENV_ISS + (uint32_t)sizeof(data);
	env_start(e);
	env_run(e, 5000);
	sack(e, ENV_ISS, 1000, 3000);
	assert_int_equal(e->conn->rack.rtt_us, 0);
	assert_int_equal(e->conn->rack.min_rtt_us, 0);
	assert_int_equal(e->sent_count, 0);
	sack(e, ENV_ISS, 1000, 4000);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(times_sent(e, 0), 1);
	assert_int_equal(e->sent_count, 1);
	env_free(e);
}

/* RFC 8985 6.3: the timer condemns the head and what is late, not what has just left. */
static void test_timeout_spares_the_young(void **state)
{
	struct env *e = start(100000);
	uint64_t before;

	(void)state;
	e->a.params.dup_ack_threshold = 255;
	e->conn->flags |= TGT_CF_REORDERED;
	env_send(e, 5000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 2000);
	env_run(e, RTT_US); /* fast recovery; the retransmission is lost */
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	before = e->conn->deadline_us[TGT_TMR_REXMT];
	env_run(e, before - e->a.now_us - 1000);
	e->conn->cwnd_bytes = 100000;
	env_send(e, 2000); /* a millisecond before the timer */
	env_forget(e);
	env_run(e, 1000);
	assert_int_equal(e->conn->phase, TGT_REC_LOSS);
	assert_int_equal(e->conn->rexmt_count, 1);
	assert_int_equal(e->sent_count, 1); /* cwnd is one segment, and one goes whatever is out */
	assert_int_equal(e->sent[0].seq, ENV_ISS);
	assert_int_equal(e->conn->sent.lost_bytes, 3000);
	assert_int_equal(tgt_sent_flight(e->conn), 3000);
	env_free(e);
}

/* SACK was agreed but the peer never uses it: duplicates count as ever. */
static void test_peer_without_blocks(void **state)
{
	struct env *e = start(10000);

	(void)state;
	env_send(e, 10000);
	env_run(e, RTT_US);
	env_forget(e);
	env_ack(e, ENV_ISS);
	env_ack(e, ENV_ISS);
	assert_int_equal(e->sent_count, 0);
	env_ack(e, ENV_ISS);
	REQ("INI-27", e->conn->phase == TGT_REC_FAST && times_sent(e, 0) == 1);
	assert_int_equal(e->sent_count, 1);
	env_run(e, RTT_US);
	env_ack(e, ENV_ISS + 4000); /* the next hole follows, by time */
	assert_int_equal(times_sent(e, 4000), 1);
	env_free(e);
}

/* ---- proportional rate reduction ---- */

/* One loss in twenty: cwnd goes from twenty to ten, with one segment for two that arrive. */
static void test_prr_proportional(void **state)
{
	struct env *e = start(20000);
	unsigned int at_half;

	(void)state;
	env_send(e, 60000);
	assert_int_equal(e->sent_count, 20);
	env_run(e, RTT_US);
	env_forget(e);
	for (uint32_t to = 2000; to <= 4000; to += 1000)
		sack(e, ENV_ISS, 1000, to);
	assert_int_equal(e->conn->ssthresh_bytes, 11000); /* 22000 out, two by limited transmit */
	assert_int_equal(times_sent(e, 0), 1);
	for (uint32_t to = 5000; to <= 12000; to += 1000)
		sack(e, ENV_ISS, 1000, to);
	at_half = e->sent_count;
	for (uint32_t to = 13000; to <= 20000; to += 1000)
		sack(e, ENV_ISS, 1000, to);
	/* 19 arrived, two of them before recovery began. */
	assert_in_range(at_half, 6, 8);
	assert_in_range(e->sent_count, 10, 12);
	assert_true(tgt_sent_flight(e->conn) <= e->conn->ssthresh_bytes);
	assert_true(tgt_sent_flight(e->conn) + 1000 >= e->conn->ssthresh_bytes);
	env_run(e, RTT_US);
	env_ack(e, e->conn->recover);
	assert_int_equal(e->conn->phase, TGT_REC_OPEN);
	assert_int_equal(e->conn->cwnd_bytes, 11000);
	env_free(e);
}

/* Most of it is lost: the network holds less than ssthresh, and fills up at the pace of what
 * arrives, twice that when the acknowledgment shows no further loss. */
static void test_prr_slow_start(void **state)
{
	struct env *e = start(20000);
	unsigned int sent;

	(void)state;
	env_send(e, 60000);
	env_run(e, RTT_US);
	env_forget(e);
	sack(e, ENV_ISS, 17000, 20000); /* 17 lost at one blow */
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(e->conn->ssthresh_bytes, 10000);
	assert_int_equal(e->sent_count, 3); /* as many as arrived */
	env_run(e, RTT_US);
	env_forget(e);
	sack(e, ENV_ISS + 1000, 17000, 20000);
	sent = e->sent_count;
	assert_int_equal(sent, 2); /* snd_una moves, nothing lost: one more than arrived */
	sack(e, ENV_ISS + 2000, 17000, 20000);
	sack(e, ENV_ISS + 3000, 17000, 20000);
	assert_int_equal(e->sent_count, 6);
	for (uint32_t to = 4000; to <= 9000; to += 1000)
		sack(e, ENV_ISS + to, 17000, 20000);
	assert_true(tgt_sent_flight(e->conn) <= e->conn->ssthresh_bytes);
	env_free(e);
}

/* The numbers of RFC 6937bis, by hand: 20000 out, of which 3000 were SACKed, 1000 of these just
 * now, and 500 were acknowledged. */
static void test_prr_numbers(void **state)
{
	struct env *e = start(20000);
	struct tgt_conn *c = e->conn;
	struct tgt_delivery d = { .sacked_bytes = 1000, .bytes = 1500, .una = ENV_ISS - 500 };

	(void)state;
	e->check_off = true;
	c->snd_max = ENV_ISS + 20000;
	c->sent.sacked_bytes = 3000;
	c->sent.lost_bytes = 2000;
	c->ssthresh_bytes = 9250; /* half of RecoverFS */
	c->prr_delivered_bytes = c->prr_out_bytes = 7777;
	tgt_prr_begin(c, &d);
	assert_int_equal(c->prr_flight_bytes, 18500);
	assert_int_equal(c->prr_delivered_bytes, 0);
	assert_int_equal(c->prr_out_bytes, 0);
	/* 15000 in the network are more than ssthresh: half of what arrives, but one at once */
	tgt_prr_ack(c, &d);
	assert_int_equal(c->cwnd_bytes, 15000 + 1000);
	tgt_prr_sent(c, 1000);
	tgt_prr_ack(c, &d); /* 3000 arrived, 1500 due, 1000 sent */
	assert_int_equal(c->cwnd_bytes, 15000 + 500);
	d.bytes = 1;
	tgt_prr_ack(c, &d); /* rounded up */
	assert_int_equal(c->cwnd_bytes, 15000 + 501);
	tgt_prr_sent(c, 1000);
	tgt_prr_ack(c, &d); /* ahead: nothing */
	assert_int_equal(c->cwnd_bytes, 15000);
	/* 5000 in the network are less: what arrived and was not answered yet */
	c->sent.lost_bytes = 12000;
	d.una = c->snd_una;
	d.bytes = 498;
	tgt_prr_ack(c, &d);
	assert_int_equal(c->prr_delivered_bytes, 3500);
	assert_int_equal(c->cwnd_bytes, 5000 + 1500);
	tgt_prr_sent(c, 3000);
	d.bytes = 700;
	tgt_prr_ack(c, &d); /* behind: as much as arrives now */
	assert_int_equal(c->cwnd_bytes, 5000 + 700);
	d.una = c->snd_una - 700;
	tgt_prr_ack(c, &d); /* snd_una moves: one more */
	assert_int_equal(c->cwnd_bytes, 5000 + 1700);
	d.lost_bytes = 1;
	tgt_prr_ack(c, &d); /* not if it shows a loss */
	assert_int_equal(c->cwnd_bytes, 5000 + 700);
	d.bytes = 50000;
	tgt_prr_ack(c, &d); /* never beyond ssthresh */
	assert_int_equal(c->cwnd_bytes, 9250);
	/* by timer: no acknowledgment to count */
	tgt_prr_begin(c, NULL);
	assert_int_equal(c->prr_flight_bytes, 17000);
	assert_int_equal(c->cwnd_bytes, 5000 + 1000);
	c->snd_max = ENV_ISS;
	c->sent.sacked_bytes = c->sent.lost_bytes = 0;
	env_free(e);
}

/* Acknowledgments that deliver nothing send nothing. */
static void test_prr_needs_delivery(void **state)
{
	struct env *e = start(20000);

	(void)state;
	env_send(e, 60000);
	env_run(e, RTT_US);
	sack(e, ENV_ISS, 1000, 4000);
	env_forget(e);
	for (int i = 0; i < 20; i++)
		sack(e, ENV_ISS, 1000, 4000);
	assert_int_equal(e->sent_count, 0);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_late_is_not_lost),
		cmocka_unit_test(test_reordering_stops_threshold),
		cmocka_unit_test(test_blocks_are_not_reordering),
		cmocka_unit_test(test_lost_retransmission),
		cmocka_unit_test(test_ambiguous_copy),
		cmocka_unit_test(test_ambiguous_by_echo),
		cmocka_unit_test(test_echo_of_last_copy),
		cmocka_unit_test(test_shortest_round_trip),
		cmocka_unit_test(test_threshold_of_blocks),
		cmocka_unit_test(test_dsack_widens),
		cmocka_unit_test(test_former_owner),
		cmocka_unit_test(test_timeout_spares_the_young),
		cmocka_unit_test(test_peer_without_blocks),
		cmocka_unit_test(test_prr_proportional),
		cmocka_unit_test(test_prr_slow_start),
		cmocka_unit_test(test_prr_numbers),
		cmocka_unit_test(test_prr_needs_delivery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
