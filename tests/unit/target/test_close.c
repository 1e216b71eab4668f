/* SPDX-License-Identifier: BSD-2-Clause */
/* FIN in every state, lost and crossed; RST; FIN_WAIT_2; what is left for the host. */
#include "core_env.h"

#include "target/tgt_sendq.h"

#define FIN_ACK (TGT_TH_FIN | TGT_TH_ACK)

static void close_ours(struct env *e)
{
	tgt_close_send_fin(&e->a, e->conn);
	env_check(e);
}

/* We close first: FIN_WAIT_1, FIN_WAIT_2, the peer's data and FIN, TIME_WAIT. */
static void test_active_close(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	close_ours(e);
	assert_int_equal(e->conn->state, TGT_FIN_WAIT_1);
	REQ("DIS-10",
	    e->sent_count == 1 && env_last(e)->flags & TGT_TH_FIN && env_last(e)->seq == ENV_ISS);
	env_ack(e, ENV_ISS + 1);
	REQ("TCP-05", e->conn->state == TGT_FIN_WAIT_2);
	REQ("DIS-15", e->fin_acks == 1);
	REQ("DIS-13", env_data(e, ENV_IRS, 1000) == TGT_SEG_DONE && e->received_bytes == 1000);
	env_forget(e);
	env_flags(e, FIN_ACK, ENV_IRS + 1000, ENV_ISS + 1);
	assert_int_equal(e->conn->state, TGT_TIME_WAIT);
	assert_int_equal(e->fins, 1);
	REQ("TMR-04", e->uploads == 1 && e->reason == TGT_UPLOAD_REQUESTED);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1001);
	assert_int_equal(env_last(e)->seq, ENV_ISS + 1);
	/* the peer missed that ACK */
	env_forget(e);
	env_flags(e, FIN_ACK, ENV_IRS + 1000, ENV_ISS + 1);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1001);
	assert_int_equal(e->fins, 1);
	REQ("NSP-08", env_flags(e, TGT_TH_SYN, ENV_IRS + 90000, 0) == TGT_SEG_TO_HOST);
	assert_int_equal(env_flags(e, TGT_TH_RST, ENV_IRS + 1001, 0), TGT_SEG_DROP); /* RFC 1337 */
	assert_int_equal(e->conn->state, TGT_TIME_WAIT);
	env_free(e);
}

static void test_passive_close(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	assert_int_equal(e->conn->state, TGT_CLOSE_WAIT);
	assert_int_equal(e->fins, 1);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1);
	env_send(e, 2000);
	REQ("DIS-24", env_count_data(e) == 2);
	REQ("TCP-10", env_last(e)->ack == ENV_IRS + 1);
	env_ack(e, ENV_ISS + 2000);
	close_ours(e);
	assert_int_equal(e->conn->state, TGT_LAST_ACK);
	env_ack(e, ENV_ISS + 2001);
	assert_int_equal(e->conn->state, TGT_CLOSED);
	assert_int_equal(e->fin_acks, 1);
	assert_int_equal(e->uploads, 0);
	assert_true(tgt_timers_next(&e->a) == TGT_TIME_NONE);
	assert_int_equal(env_ack(e, ENV_ISS + 2001), TGT_SEG_TO_HOST);
	env_free(e);
}

/* FINs cross; ours is lost once: it goes again as a FIN. */
static void test_simultaneous_close(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	close_ours(e);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	REQ("TCP-05", e->conn->state == TGT_CLOSING && e->fins == 1);
	env_forget(e);
	env_run(e, 200000);
	assert_int_equal(e->sent_count, 1);
	assert_true(e->sent[0].flags & TGT_TH_FIN && e->sent[0].seq == ENV_ISS &&
		    e->sent[0].retransmit);
	env_ack(e, ENV_ISS + 1);
	assert_int_equal(e->conn->state, TGT_TIME_WAIT);
	assert_int_equal(e->fin_acks, 1);
	assert_int_equal(e->uploads, 1);
	env_free(e);
}

/* The peer's FIN acknowledges ours in the same segment. */
static void test_fin_acks_fin(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	close_ours(e);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS + 1);
	assert_int_equal(e->conn->state, TGT_TIME_WAIT);
	assert_int_equal(e->fin_acks, 1);
	assert_int_equal(e->fins, 1);
	env_free(e);
}

/* FIN behind data that is lost: sent again with its data, bit and all. */
static void test_fin_with_data_lost(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 1500);
	close_ours(e);
	REQ("DIS-11", env_last(e)->flags & TGT_TH_FIN && e->acked_bytes == 0);
	env_forget(e);
	env_run(e, 200000);
	env_ack(e, ENV_ISS + 1000);
	assert_int_equal(env_last(e)->seq, ENV_ISS + 1000);
	assert_int_equal(env_last(e)->len, 500);
	assert_true(env_last(e)->flags & TGT_TH_FIN);
	env_ack(e, ENV_ISS + 1500); /* data but not the FIN */
	assert_int_equal(e->conn->state, TGT_FIN_WAIT_1);
	assert_int_equal(e->acked_bytes, 1500);
	assert_int_equal(e->fin_acks, 0);
	env_ack(e, ENV_ISS + 1501);
	assert_int_equal(e->conn->state, TGT_FIN_WAIT_2);
	env_free(e);
}

/* FIN behind a closed window: all data, then the FIN, once it opens; asked by probes until then. */
static void test_fin_behind_zero_window(void **state)
{
	struct env *e = env_new();
	uint32_t acked = 0;

	(void)state;
	e->conn->snd_wnd_bytes = 0;
	env_start(e);
	env_send(e, 100000);
	close_ours(e);
	assert_int_equal(e->conn->state, TGT_FIN_WAIT_1);
	e->peer_wnd_raw = 0;
	for (int i = 0; i < 6; i++) {
		env_run(e, 6000000);
		env_ack(e, ENV_ISS);
	}
	assert_int_equal(e->uploads, 0);
	e->peer_wnd_raw = 20000;
	while (acked < 100001) {
		env_ack(e, ENV_ISS + acked);
		acked = e->conn->snd_max - ENV_ISS;
		if (acked < 100001)
			assert_int_equal(env_count_flag(e, TGT_TH_FIN), 0);
	}
	env_ack(e, ENV_ISS + 100001);
	assert_int_equal(e->conn->state, TGT_FIN_WAIT_2);
	assert_int_equal(e->acked_bytes, 100000);
	env_free(e);
}

/* Only the FIN waits for the window: the probe is the FIN. */
static void test_bare_fin_zero_window(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->snd_wnd_bytes = 0;
	e->peer_wnd_raw = 0;
	env_start(e);
	close_ours(e);
	assert_int_equal(e->sent_count, 0);
	env_run(e, 200000);
	assert_int_equal(e->sent_count, 1);
	assert_true(env_last(e)->flags & TGT_TH_FIN);
	env_ack(e, ENV_ISS + 1);
	assert_int_equal(e->conn->state, TGT_FIN_WAIT_2);
	assert_false(e->conn->flags & TGT_CF_PERSIST);
	env_free(e);
}

/* The peer's FIN arrives early, or with data that does not fit: not before its data. */
static void test_peer_fin_order(void **state)
{
	struct env *e = env_new();
	uint8_t data[2000];
	struct tgt_segment s = { .seq = ENV_IRS + 1000,
				 .ack = ENV_ISS,
				 .flags = FIN_ACK,
				 .wnd_raw = 65535,
				 .data = data,
				 .len = 500 };

	(void)state;
	env_start(e);
	for (uint32_t i = 0; i < 500; i++)
		data[i] = env_byte(ENV_IRS + 1000 + i);
	env_segment(e, &s);
	assert_int_equal(e->fins, 0);
	assert_int_equal(env_last(e)->ack, ENV_IRS);
	env_data(e, ENV_IRS, 1000);
	assert_int_equal(e->fins, 1);
	assert_received(e, 1500);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1501);
	env_free(e);

	e = env_new();
	e->conn->rcv_adv = ENV_IRS + 1000;
	e->conn->rcv_buf_bytes = 1000;
	e->held_bytes = UINT32_MAX;
	env_start(e);
	for (uint32_t i = 0; i < 1500; i++)
		data[i] = env_byte(ENV_IRS + i);
	s.seq = ENV_IRS;
	s.len = 1500;
	env_segment(e, &s); /* 500 bytes and the FIN do not fit */
	assert_received(e, 1000);
	assert_int_equal(e->fins, 0);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1000);
	e->held_bytes = 0;
	tgt_rcv_window_changed(&e->a, e->conn);
	env_segment(e, &s);
	assert_received(e, 1500);
	assert_int_equal(e->fins, 1);
	env_free(e);
}

/* A FIN takes no buffer: a closed window does not keep it out. */
static void test_peer_fin_at_closed_window(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->rcv_adv = ENV_IRS;
	e->held_bytes = 65535;
	env_start(e);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	assert_int_equal(e->fins, 1);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1);
	env_free(e);
}

static void test_peer_fin_retransmitted(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	env_forget(e);
	for (int i = 0; i < 3; i++)
		env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	assert_int_equal(e->sent_count, 3);
	assert_int_equal(e->fins, 1);
	env_data(e, ENV_IRS + 1, 100); /* data behind a FIN: nonsense */
	assert_int_equal(e->received_bytes, 0);
	env_free(e);
}

static void test_fin_wait_2_timer(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	close_ours(e);
	env_ack(e, ENV_ISS + 1);
	REQ("TMR-06", tgt_timer_running(e->conn, TGT_TMR_REXMT));
	REQ("TMR-07", e->conn->deadline_us[TGT_TMR_REXMT] == e->a.now_us + 120000000);
	env_run(e, 100000000);
	env_data(e, ENV_IRS, 10);
	REQ("TMR-08", e->conn->deadline_us[TGT_TMR_REXMT] == e->a.now_us + 120000000);
	env_run(e, 20000000);
	tgt_conn_snapshot(&e->a, e->conn);
	REQ("TMR-12", e->conn->rexmt_left_us == 100000000);
	env_run(e, 100000000);
	REQ("TMR-09", e->uploads == 1 && e->reason == TGT_UPLOAD_TIMEOUT);
	REQ("TMR-10", e->conn->state == TGT_CLOSED);
	env_free(e);
}

/* Handed over in each half-closed state, the FIN already sent or not. */
static void test_taken_over_half_closed(void **state)
{
	static const struct {
		uint8_t from, to;
	} ways[] = { { TGT_FIN_WAIT_1, TGT_FIN_WAIT_2 },
		     { TGT_CLOSING, TGT_TIME_WAIT },
		     { TGT_LAST_ACK, TGT_CLOSED } };

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		for (uint32_t sent = 0; sent < 2; sent++) {
			struct env *e = env_new();

			e->conn->state = ways[i].from;
			e->conn->snd_nxt = e->conn->snd_max = ENV_ISS + sent;
			env_start(e);
			env_run(e, 1000000); /* the host's FIN was lost: it goes again */
			assert_int_equal(e->conn->state, ways[i].from);
			if (sent)
				assert_true(env_count_flag(e, TGT_TH_FIN) >= 1);
			env_ack(e, ENV_ISS + 1);
			assert_int_equal(e->conn->state, ways[i].to);
			assert_int_equal(e->fin_acks, 1);
			env_free(e);
		}
}

static void test_taken_over_fin_wait_2(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->state = TGT_FIN_WAIT_2;
	e->conn->rexmt_left_us = 7000000;
	env_start(e);
	env_run(e, 6999999);
	assert_int_equal(e->uploads, 0);
	env_run(e, 1);
	assert_int_equal(e->uploads, 1);
	env_free(e);

	e = env_new(); /* the host's timer was not running */
	e->conn->state = TGT_FIN_WAIT_2;
	env_start(e);
	env_run(e, 100000000000ull);
	assert_int_equal(e->uploads, 0);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	assert_int_equal(e->conn->state, TGT_TIME_WAIT);
	env_free(e);
}

static void test_abort(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 5000);
	env_data(e, ENV_IRS + 1000, 100);
	env_forget(e);
	assert_int_equal(tgt_close_abort(&e->a, e->conn), 0);
	env_check(e);
	REQ("DIS-03", e->sent_count == 1 && env_last(e)->flags & TGT_TH_RST &&
			      env_last(e)->seq == ENV_ISS + 5000 && env_last(e)->ack == ENV_IRS);
	assert_int_equal(arena_used(e->a.arena, e->a.pool_chunk), 0);
	/* the peer had missed data, challenges, and gets the exact number */
	env_forget(e);
	assert_int_equal(env_flags(e, TGT_TH_ACK, ENV_IRS, ENV_ISS + 2000), TGT_SEG_DROP);
	REQ("DIS-04", e->sent_count == 1 && env_last(e)->flags == TGT_TH_RST &&
			      env_last(e)->seq == ENV_ISS + 2000);
	env_data(e, ENV_IRS, 1000);
	REQ("DIS-08", e->received_bytes == 0 && env_count_flag(e, TGT_TH_ACK) == 0);
	env_flags(e, TGT_TH_RST, ENV_IRS, 0);
	env_run(e, 10000000);
	assert_int_equal(env_count_flag(e, TGT_TH_RST),
			 1); /* limited, and never in answer to a reset */
	assert_int_equal(e->aborts, 0);
	env_free(e);
}

/* Through everything else no RST was ever sent. */
static void test_no_rst_otherwise(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_flags(e, TGT_TH_RST, ENV_IRS + 5, 0);
	env_flags(e, TGT_TH_SYN, ENV_IRS + 5, 0);
	env_flags(e, TGT_TH_ACK, ENV_IRS, ENV_ISS + 99);
	close_ours(e);
	env_ack(e, ENV_ISS + 1);
	env_data(e, ENV_IRS, 100);
	env_flags(e, FIN_ACK, ENV_IRS + 100, ENV_ISS + 1);
	env_data(e, ENV_IRS + 101, 100);
	REQ("DIS-04", env_count_flag(e, TGT_TH_RST) == 0);
	env_free(e);
}

static void test_rst_while_closing(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	close_ours(e);
	env_flags(e, FIN_ACK, ENV_IRS, ENV_ISS);
	env_flags(e, TGT_TH_RST | TGT_TH_ACK, ENV_IRS + 1, ENV_ISS);
	assert_int_equal(e->conn->state, TGT_CLOSED);
	assert_int_equal(e->aborts, 1);
	assert_int_equal(e->a.counters[TGT_V4].reset_established, 0);
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_active_close),
		cmocka_unit_test(test_passive_close),
		cmocka_unit_test(test_simultaneous_close),
		cmocka_unit_test(test_fin_acks_fin),
		cmocka_unit_test(test_fin_with_data_lost),
		cmocka_unit_test(test_fin_behind_zero_window),
		cmocka_unit_test(test_bare_fin_zero_window),
		cmocka_unit_test(test_peer_fin_order),
		cmocka_unit_test(test_peer_fin_at_closed_window),
		cmocka_unit_test(test_peer_fin_retransmitted),
		cmocka_unit_test(test_fin_wait_2_timer),
		cmocka_unit_test(test_taken_over_half_closed),
		cmocka_unit_test(test_taken_over_fin_wait_2),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_no_rst_otherwise),
		cmocka_unit_test(test_rst_while_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
