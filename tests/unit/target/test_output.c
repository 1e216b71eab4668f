/* SPDX-License-Identifier: BSD-2-Clause */
/* What leaves, when, and in which pieces. */
#include "core_env.h"

#include <errno.h>

#include "target/tgt_sendq.h"

static void test_segmentation(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 3500);
	assert_int_equal(e->sent_count, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(e->sent[i].seq, ENV_ISS + 1000 * i);
		assert_int_equal(e->sent[i].len, i < 3 ? 1000 : 500);
		REQ("SND-11", !!(e->sent[i].flags & TGT_TH_PSH) == (i == 3));
		assert_false(e->sent[i].retransmit);
	}
	REQ("STA-22", e->sent[0].len == ENV_MSS);
	env_free(e);
}

static void test_mss(void **state)
{
	struct env *e = env_new();
	struct tgt_conn *c = e->conn;

	(void)state;
	assert_int_equal(tgt_conn_mss(c), 1000);
	c->options |= TGT_OPT_TIMESTAMP;
	assert_int_equal(tgt_conn_mss(c), 988);
	c->path_mtu_bytes = 576;
	REQ("STA-17", tgt_conn_mss(c) == 576 - 40 - 12);
	c->flags |= TGT_CF_IPV6;
	assert_int_equal(tgt_conn_mss(c), 576 - 60 - 12);
	c->path_mtu_bytes = 68;
	assert_int_equal(tgt_conn_mss(c), 48 - 12);
	c->path_mtu_bytes = 1500;
	c->remote_mss = 0;
	assert_int_equal(tgt_conn_mss(c), 536 - 12);
	c->remote_mss = 1;
	assert_int_equal(tgt_conn_mss(c), 48 - 12);
	env_free(e);
}

static void test_super_frames(void **state)
{
	struct env *e = env_new();
	uint32_t sum = 0;

	(void)state;
	e->nic_info.features = NIC_FEAT_TSO4;
	e->nic_info.max_frame_bytes = 65550;
	e->conn->snd_wscale = 4;
	e->conn->snd_wnd_bytes = 1000000;
	env_start(e);
	env_send(e, 200300);
	for (unsigned int i = 0; i < e->sent_count; i++) {
		assert_int_equal(e->sent[i].seq, ENV_ISS + sum);
		assert_int_equal(e->sent[i].gso_size, e->sent[i].len > 1000 ? 1000 : 0);
		assert_true(e->sent[i].len <= 65000);
		assert_true(i + 1 == e->sent_count || e->sent[i].len % 1000 == 0);
		sum += e->sent[i].len;
	}
	assert_int_equal(sum, 200300);
	assert_int_equal(e->sent_count, 4);
	env_forget(e);
	env_ack(e, ENV_ISS + 200300);
	e->conn->flags |= TGT_CF_IPV6; /* the device cuts IPv4 only */
	env_send(e, 3000);
	assert_int_equal(e->sent_count, 3);
	env_free(e);
}

static void test_peer_window(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->snd_wnd_bytes = 2500;
	e->conn->max_snd_wnd_bytes = 2500;
	env_start(e);
	env_send(e, 10000);
	/* two full segments; 500 more would be a silly segment while others are on their way */
	assert_int_equal(e->sent_count, 2);
	e->peer_wnd_raw = 2500;
	env_ack(e, ENV_ISS + 2000);
	assert_int_equal(e->sent_count, 4);
	assert_int_equal(env_last(e)->seq + env_last(e)->len, ENV_ISS + 4000);
	env_free(e);
}

/* A window below one segment: held back, then cut after the timer. */
static void test_sws_override(void **state)
{
	static const uint16_t windows[] = { 1, 100, 400, 999 };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct env *e = env_new();

		e->conn->snd_wnd_bytes = windows[i];
		env_start(e);
		env_send(e, 10000);
		REQ("TMR-40", e->sent_count == 0 && tgt_timer_running(e->conn, TGT_TMR_SWS));
		env_run(e, 200000);
		REQ("TMR-41", e->sent_count == 1 && e->sent[0].len == windows[i]);
		e->peer_wnd_raw = windows[i];
		env_ack(e, ENV_ISS + windows[i]);
		env_run(e, 200000);
		assert_int_equal(e->sent_count, 2);
		env_free(e);
	}
}

/* Half of the largest window seen is worth a segment, and so is the end of a request. */
static void test_sws_exceptions(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->snd_wnd_bytes = 600;
	e->conn->max_snd_wnd_bytes = 1200;
	env_start(e);
	env_send(e, 5000);
	REQ("TMR-40", e->sent_count == 1 && e->sent[0].len == 600);
	env_free(e);

	e = env_new();
	e->conn->snd_wnd_bytes = 300;
	env_start(e);
	env_send(e, 300);
	REQ("TMR-40", e->sent_count == 1 && e->sent[0].len == 300);
	env_free(e);
}

static void test_nagle(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_NAGLE;
	env_start(e);
	env_send(e, 100);
	assert_int_equal(e->sent_count, 1); /* nothing outstanding: at once */
	env_send(e, 100);
	env_send(e, 100);
	REQ("TCP-12", e->sent_count == 1);
	env_send(e, 900); /* 1100 wait: a full segment may go, the rest stays */
	assert_int_equal(e->sent_count, 2);
	assert_int_equal(env_last(e)->len, 1000);
	env_ack(e, ENV_ISS + 100);
	REQ("STA-24", e->sent_count == 3 && env_last(e)->len == 100);
	env_send(e, 50);
	assert_int_equal(e->sent_count, 3);
	e->conn->options &= ~TGT_OPT_NAGLE;
	tgt_output(&e->a, e->conn, e->a.now_us);
	REQ("STA-24", e->sent_count == 4 && env_last(e)->len == 50);
	env_free(e);
}

/* Neither a FIN nor a retransmission is held back. */
static void test_nagle_does_not_hold(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_NAGLE;
	env_start(e);
	env_send(e, 100);
	env_send(e, 100);
	assert_int_equal(e->sent_count, 1);
	tgt_close_send_fin(&e->a, e->conn);
	env_check(e);
	REQ("DIS-12",
	    e->sent_count == 2 && env_last(e)->len == 100 && env_last(e)->flags & TGT_TH_FIN);
	env_forget(e);
	env_run(e, 201000);
	assert_true(e->sent_count >= 1 && e->sent[0].retransmit);
	env_free(e);
}

static void test_cwnd(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->cwnd_bytes = 3000;
	env_start(e);
	env_send(e, 20000);
	assert_int_equal(e->sent_count, 3);
	assert_true(e->conn->flags & TGT_CF_CWND_LIMITED);
	env_ack(e, ENV_ISS + 1000);
	assert_int_equal(e->conn->cwnd_bytes, 4000); /* slow start */
	assert_int_equal(e->sent_count, 5);
	env_ack(e, ENV_ISS + 5000);
	assert_int_equal(e->conn->cwnd_bytes, 8000);
	assert_int_equal(e->sent_count, 13);
	env_free(e);
}

/* cwnd does not grow while it was not the limit, and shrinks to the initial window after an idle
 * time. */
static void test_cwnd_validation(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->cwnd_bytes = 50000;
	env_start(e);
	env_send(e, 1000);
	env_ack(e, ENV_ISS + 1000);
	assert_int_equal(e->conn->cwnd_bytes, 50000);
	env_run(e, 1000000);
	env_send(e, 30000);
	assert_int_equal(e->sent_count, 11);
	assert_int_equal(e->conn->cwnd_bytes, 10000);
	env_free(e);
}

/* Half of a window that nobody used for a timeout goes. Not when the peer's window was the limit. */
static void test_cwnd_unused(void **state)
{
	(void)state;
	for (int small_window = 0; small_window < 2; small_window++) {
		struct env *e = env_new();

		e->conn->cwnd_bytes = 50000;
		e->conn->ssthresh_bytes = 20000;
		if (small_window) {
			e->conn->snd_wnd_bytes = 1000;
			e->peer_wnd_raw = 1000;
		}
		env_start(e);
		if (small_window)
			env_send(e, 100000);
		for (int i = 0; i < 12; i++) {
			if (!small_window)
				env_send(e, 1000);
			env_run(e, 20000);
			env_ack(e, e->conn->snd_max);
		}
		assert_int_equal(e->conn->cwnd_bytes, small_window ? 50000 : 30000);
		assert_int_equal(e->conn->ssthresh_bytes, small_window ? 20000 : 37500);
		env_free(e);
	}
}

/* At 1 MB/s 20 kB take 20 ms, in frames of two segments, also where the device would take more. */
static void test_pacing(void **state)
{
	(void)state;
	for (int tso = 0; tso < 2; tso++) {
		struct env *e = env_new();
		uint64_t start_us = e->a.now_us;

		e->nic_info.features = tso ? NIC_FEAT_TSO4 : 0;
		e->nic_info.max_frame_bytes = tso ? 65550 : 1514;
		e->a.pace_bytes_per_s = 1000000;
		tgt_conn_init(&e->a, e->conn, 1);
		env_start(e);
		env_send(e, 20000);
		assert_int_equal(e->sent_count, 1);
		env_run(e, 30000);
		assert_int_equal(env_count_data(e), tso ? 10 : 20);
		for (unsigned int i = 0; i < e->sent_count; i++)
			assert_int_equal(e->sent[i].at_us - start_us, e->sent[i].seq - ENV_ISS);
		assert_false(tgt_timer_running(e->conn, TGT_TMR_PACE));
		env_ack(e, e->conn->snd_max);
		env_run(e, 50000);
		env_forget(e);
		env_send(e, 2500); /* the pause is not made up for */
		assert_int_equal(e->sent_count, 1);
		env_run(e, 5000);
		assert_int_equal(env_count_data(e), tso ? 2 : 3);
		env_free(e);
	}
}

/* What is sent again is paced as well; an ACK is not, and a rate taken back lets all go. */
static void test_pacing_of_the_rest(void **state)
{
	struct env *e = env_new();
	const struct tgt_range block = { ENV_ISS + 3000, ENV_ISS + 10000 };

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	tgt_conn_set_pacing(&e->a, e->conn, 100000);
	env_send(e, 10000);
	env_run(e, 95000);
	assert_int_equal(env_count_data(e), 10);
	env_forget(e);
	env_data(e, ENV_IRS + 1000, 1000);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(e->sent[0].len, 0);
	env_forget(e);
	env_run(e, 20000);
	env_ack_sack(e, ENV_ISS, &block, 1);
	assert_int_equal(e->conn->phase, TGT_REC_FAST);
	assert_int_equal(env_count_data(e), 1);
	env_run(e, 9000);
	assert_int_equal(env_count_data(e), 1);
	env_run(e, 1000);
	assert_int_equal(env_count_data(e), 2);
	env_ack(e, ENV_ISS + 10000);
	env_forget(e);
	env_send(e, 5000);
	assert_in_range(env_count_data(e), 0, 1);
	tgt_conn_set_pacing(&e->a, e->conn, 0);
	env_check(e);
	assert_int_equal(env_count_data(e), 5);
	env_free(e);
}

/* Device full: nothing is taken as sent, and it goes out a little later. */
static void test_device_full(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	e->xmit_error = -EAGAIN;
	env_send(e, 3000);
	assert_int_equal(e->conn->snd_max, ENV_ISS);
	env_data(e, ENV_IRS, 1000);
	env_data(e, ENV_IRS + 1000, 1000);
	env_run(e, 5000);
	e->xmit_error = 0;
	env_run(e, 1000);
	assert_int_equal(e->sent_count, 3);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 2000);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_RETRY));
	env_free(e);
}

/* Any other error is a loss: the timer brings it again. */
static void test_device_error(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	e->xmit_error = -EHOSTUNREACH;
	env_send(e, 500);
	assert_int_equal(e->conn->snd_max, ENV_ISS + 500);
	e->xmit_error = 0;
	env_run(e, 201000);
	assert_int_equal(e->sent_count, 1);
	assert_true(e->sent[0].retransmit);
	env_free(e);
}

/* The window closes behind snd_nxt, again and again: no underflow, and full speed afterwards. */
static void test_shrinking_window(void **state)
{
	struct env *e = env_new();
	uint32_t sent;

	(void)state;
	env_start(e);
	env_send(e, 60000);
	for (int i = 0; i < 5; i++) {
		e->peer_wnd_raw = (uint16_t)(1000 * i);
		env_ack(e, ENV_ISS + 1000 * (uint32_t)i);
		env_run(e, 50000);
	}
	env_forget(e);
	e->peer_wnd_raw = 65535;
	env_ack(e, ENV_ISS + 5000);
	env_run(e, 500000);
	for (sent = 0; sent < 40 && e->conn->snd_una != e->conn->snd_max; sent++)
		env_ack(e, e->conn->snd_nxt);
	assert_int_equal(e->acked_bytes, 60000);
	env_free(e);
}

static void test_path_mtu(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 5000);
	env_forget(e);
	tgt_conn_set_mtu(&e->a, e->conn, 640);
	env_check(e);
	REQ("UPD-12", e->sent_count == 9 && e->sent[0].seq == ENV_ISS && e->sent[0].len == 600);
	assert_int_equal(e->conn->cwnd_bytes, 1u << 20); /* no congestion */
	env_forget(e);
	tgt_conn_set_mtu(&e->a, e->conn, 9000);
	assert_int_equal(e->sent_count, 0);
	env_free(e);
}

/* The first segment is an ACK; an idle connection goes back as it came. */
static void test_start_stop_unchanged(void **state)
{
	(void)state;
	for (unsigned int scale = 0; scale < 15; scale += 7) {
		struct env *e = env_new();
		struct tgt_conn before;

		e->conn->rcv_wscale = (uint8_t)scale;
		e->conn->rcv_adv = ENV_IRS + 40001;
		e->conn->rcv_buf_bytes = 65535;
		e->conn->dup_acks = 2;
		e->conn->cwnd_bytes = 7777;
		before = *e->conn;
		assert_int_equal(tgt_conn_start(&e->a, e->conn), 0);
		REQ("TMR-05", e->sent_count == 1 && e->sent[0].ack == ENV_IRS && !e->sent[0].len);
		assert_true(((uint32_t)e->sent[0].wnd_raw << scale) >= 40001);
		env_check(e);
		tgt_conn_stop(&e->a, e->conn);
		REQ("STA-32", e->conn->rcv_nxt == before.rcv_nxt &&
				      e->conn->rcv_adv == before.rcv_adv &&
				      e->conn->snd_una == before.snd_una &&
				      e->conn->snd_nxt == before.snd_nxt &&
				      e->conn->snd_max == before.snd_max &&
				      e->conn->snd_wl1 == before.snd_wl1 &&
				      e->conn->snd_wnd_bytes == before.snd_wnd_bytes &&
				      e->conn->cwnd_bytes == before.cwnd_bytes &&
				      e->conn->ssthresh_bytes == before.ssthresh_bytes &&
				      e->conn->srtt_us8 == before.srtt_us8 &&
				      e->conn->rttvar_us4 == before.rttvar_us4 &&
				      e->conn->dup_acks == before.dup_acks);
		REQ("TMR-39", e->conn->rexmt_left_us == TGT_LEFT_NONE &&
				      e->conn->ka_left_us == TGT_LEFT_NONE);
		assert_int_equal(e->sent_count, 1);
		env_free(e);
	}
}

static void test_stop_sends_delayed_ack(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_data(e, ENV_IRS, 100);
	assert_int_equal(e->sent_count, 0);
	tgt_conn_stop(&e->a, e->conn);
	REQ("TRM-18", e->sent_count == 1 && env_last(e)->ack == ENV_IRS + 100);
	tgt_conn_stop(&e->a, e->conn);
	assert_int_equal(e->sent_count, 1);
	env_free(e);
}

static void test_bad_state_refused(void **state)
{
	struct env *e = env_new();
	struct tgt_conn good = *e->conn;

	(void)state;
	e->conn->snd_nxt = ENV_ISS - 1;
	assert_int_equal(tgt_conn_start(&e->a, e->conn), -EINVAL);
	*e->conn = good;
	e->conn->snd_nxt = e->conn->snd_max = ENV_ISS + 1; /* sent, but not in the queue */
	assert_int_equal(tgt_conn_start(&e->a, e->conn), -EINVAL);
	*e->conn = good;
	e->conn->rcv_adv = ENV_IRS - 1;
	assert_int_equal(tgt_conn_start(&e->a, e->conn), -EINVAL);
	*e->conn = good;
	for (uint8_t s = 0; s < TGT_STATES; s++) {
		*e->conn = good;
		e->conn->state = s;
		REQ("STA-29", (tgt_conn_start(&e->a, e->conn) == -EINVAL) ==
				      (s == TGT_CLOSED || s == TGT_TIME_WAIT));
		tgt_conn_stop(&e->a, e->conn);
	}
	assert_int_equal(e->sent_count, TGT_STATES - 2);
	*e->conn = good;
	env_free(e);
}

/* Every segment's timestamp is the clock plus the host's offset, and never runs backwards. */
static void test_timestamps_sent(void **state)
{
	struct env *e = env_new();
	uint32_t last;

	(void)state;
	e->conn->options |= TGT_OPT_TIMESTAMP;
	e->conn->ts_delta_ticks = 0xffffff00u;
	env_start(e);
	last = tgt_clock_ticks(&e->a) + 0xffffff00u;
	for (int i = 0; i < 10; i++) {
		env_send(e, 100);
		REQ("TSP-03",
		    env_last(e)->opts.has_ts &&
			    env_last(e)->opts.ts_val == tgt_clock_ticks(&e->a) + 0xffffff00u);
		REQ("TSP-08", (int32_t)(env_last(e)->opts.ts_val - last) >= 0);
		last = env_last(e)->opts.ts_val;
		env_run(e, 1700);
	}
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segmentation),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_super_frames),
		cmocka_unit_test(test_peer_window),
		cmocka_unit_test(test_sws_override),
		cmocka_unit_test(test_sws_exceptions),
		cmocka_unit_test(test_nagle),
		cmocka_unit_test(test_nagle_does_not_hold),
		cmocka_unit_test(test_cwnd),
		cmocka_unit_test(test_cwnd_validation),
		cmocka_unit_test(test_cwnd_unused),
		cmocka_unit_test(test_pacing),
		cmocka_unit_test(test_pacing_of_the_rest),
		cmocka_unit_test(test_device_full),
		cmocka_unit_test(test_device_error),
		cmocka_unit_test(test_shrinking_window),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_start_stop_unchanged),
		cmocka_unit_test(test_stop_sends_delayed_ack),
		cmocka_unit_test(test_bad_state_refused),
		cmocka_unit_test(test_timestamps_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
