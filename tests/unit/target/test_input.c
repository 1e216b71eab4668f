/* SPDX-License-Identifier: BSD-2-Clause */
/* Acceptance of segments, receive side, ACK policy, resets and challenges. */
#include "core_env.h"

#include "target/tgt_input.h"

static void test_in_order_and_ack_frequency(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	assert_int_equal(env_data(e, ENV_IRS, 1000), TGT_SEG_DONE);
	assert_int_equal(e->sent_count, 0);
	assert_true(tgt_timer_running(e->conn, TGT_TMR_DELACK));
	env_data(e, ENV_IRS + 1000, 1000);
	REQ("INI-21",
	    e->sent_count == 1 && env_last(e)->ack == ENV_IRS + 2000 && !env_last(e)->len);
	assert_false(tgt_timer_running(e->conn, TGT_TMR_DELACK));
	assert_received(e, 2000);
	env_data(e, ENV_IRS + 2000, 10);
	env_forget(e);
	env_run(e, 39999);
	assert_int_equal(e->sent_count, 0);
	env_run(e, 1);
	REQ("INI-22", e->sent_count == 1 && env_last(e)->ack == ENV_IRS + 2010);
	REQ("TCP-07", env_last(e)->at_us == e->a.now_us);
	e->a.params.ack_frequency = 1;
	env_data(e, ENV_IRS + 2010, 10);
	assert_int_equal(e->sent_count, 2);
	env_free(e);
}

/* A super-frame counts as the segments it was made of, and is acknowledged once. */
static void test_super_frame(void **state)
{
	struct env *e = env_new();
	uint8_t *data = malloc(60000);
	struct tgt_segment s = { .seq = ENV_IRS,
				 .ack = ENV_ISS,
				 .flags = TGT_TH_ACK,
				 .wnd_raw = 65535,
				 .data = data,
				 .len = 60000,
				 .gso_size = 1000 };

	(void)state;
	assert_non_null(data);
	for (uint32_t i = 0; i < 60000; i++)
		data[i] = env_byte(ENV_IRS + i);
	env_start(e);
	env_segment(e, &s);
	assert_received(e, 60000);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 60000);
	free(data);
	env_free(e);
}

/* What arrives early waits, draws an ACK at once, and is delivered when the gap closes. */
static void test_out_of_order(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	env_data(e, ENV_IRS + 1000, 1000);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(env_last(e)->ack, ENV_IRS);
	REQ("STA-20", env_last(e)->opts.sack_count == 1 &&
			      env_last(e)->opts.sack[0].start == ENV_IRS + 1000 &&
			      env_last(e)->opts.sack[0].end == ENV_IRS + 2000);
	env_data(e, ENV_IRS + 3000, 1000);
	assert_int_equal(env_last(e)->opts.sack[0].start, ENV_IRS + 3000);
	assert_int_equal(env_last(e)->opts.sack_count, 2);
	env_data(e, ENV_IRS, 1000);
	REQ("TCP-15", e->sent_count == 3 && env_last(e)->ack == ENV_IRS + 2000);
	env_data(e, ENV_IRS + 1500, 2000); /* overlaps both sides */
	assert_int_equal(env_last(e)->ack, ENV_IRS + 4000);
	assert_received(e, 4000);
	assert_int_equal(e->conn->reasm.ranges, 0);
	env_free(e);
}

static void test_no_sack_when_not_agreed(void **state)
{
	struct env *e = env_new();
	const struct tgt_range block = { ENV_ISS + 1, ENV_ISS + 2 };

	(void)state;
	env_start(e);
	env_send(e, 500);
	env_data(e, ENV_IRS + 1000, 1000);
	REQ("STA-20", env_last(e)->opts.sack_count == 0);
	env_ack_sack(e, ENV_ISS, &block, 1);
	REQ("TCP-20", e->conn->sent.sacked == 0);
	env_free(e);
}

/* Old data is always acknowledged, and named in a D-SACK. */
static void test_duplicates(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	env_data(e, ENV_IRS, 1000);
	env_data(e, ENV_IRS + 1000, 1000);
	env_forget(e);
	for (int i = 0; i < 20; i++)
		env_data(e, ENV_IRS, 1000);
	assert_int_equal(e->sent_count,
			 20); /* no limit: the peer missed our ACKs (all of them, perhaps) */
	assert_int_equal(env_last(e)->ack, ENV_IRS + 2000);
	assert_int_equal(env_last(e)->opts.sack[0].start, ENV_IRS);
	assert_int_equal(env_last(e)->opts.sack[0].end, ENV_IRS + 1000);
	env_data(e, ENV_IRS + 1500, 1000); /* half old, half new */
	assert_int_equal(env_last(e)->ack, ENV_IRS + 2500);
	assert_received(e, 2500);
	env_free(e);
}

/* Keepalive and window probes of the peer: empty, or one old byte, at rcv_nxt - 1. */
static void test_probes_answered(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	for (int i = 0; i < 3; i++) {
		env_flags(e, TGT_TH_ACK, ENV_IRS - 1, ENV_ISS);
		REQ("TCP-06", e->sent_count == (unsigned int)i + 1 && env_last(e)->ack == ENV_IRS);
		env_run(e, 200000);
	}
	env_data(e, ENV_IRS - 1, 1);
	assert_int_equal(e->sent_count, 4);
	assert_int_equal(e->received_bytes, 0);
	env_free(e);
}

static void test_zero_window_probe_answered(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->held_bytes = 65535;
	e->conn->rcv_adv = ENV_IRS;
	env_start(e);
	env_data(e, ENV_IRS, 1); /* the probe of many stacks: one byte beyond the window */
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(env_last(e)->ack, ENV_IRS);
	assert_int_equal(env_last(e)->wnd_raw, 0);
	assert_int_equal(e->received_bytes, 0);
	env_send(e, 100);
	env_forget(e);
	env_ack(e, ENV_ISS + 100); /* acknowledgments count also behind a closed window */
	assert_int_equal(e->acked_bytes, 100);
	env_free(e);
}

static void test_cut_at_window(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->rcv_adv = ENV_IRS + 1500;
	e->conn->rcv_buf_bytes = 1500;
	e->held_bytes = UINT32_MAX;
	env_start(e);
	env_data(e, ENV_IRS, 1000);
	env_data(e, ENV_IRS + 1000, 1000);
	assert_received(e, 1500);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1500);
	assert_int_equal(env_last(e)->wnd_raw, 0);
	env_free(e);
}

static void test_unacceptable(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	assert_int_equal(env_data(e, ENV_IRS + 70000, 100), TGT_SEG_DROP);
	assert_int_equal(e->sent_count, 1); /* data: answered */
	assert_int_equal(env_data(e, ENV_IRS - 70000, 100), TGT_SEG_DROP);
	assert_int_equal(e->sent_count, 2);
	assert_int_equal(env_flags(e, 0, ENV_IRS, 0), TGT_SEG_DROP); /* no ACK flag */
	assert_int_equal(env_ack(e, ENV_ISS + 1),
			 TGT_SEG_DROP); /* acknowledges what was never sent */
	assert_int_equal(env_ack(e, ENV_ISS - 70000), TGT_SEG_DROP); /* too old, RFC 5961 5 */
	REQ("BRA-16", e->received_bytes == 0);
	env_free(e);
}

/* Two confused ends that answer each other: ours falls silent. */
static void test_no_ack_war(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	for (int i = 0; i < 1000; i++) {
		env_flags(e, TGT_TH_ACK, ENV_IRS - 1, ENV_ISS);      /* looks like a keepalive */
		env_flags(e, TGT_TH_ACK, ENV_IRS - 5000, ENV_ISS);   /* old */
		env_flags(e, TGT_TH_ACK, ENV_IRS, ENV_ISS + 100000); /* impossible */
		env_run(e, 50);
	}
	assert_in_range(e->sent_count, 1, 8); /* in 50 ms */
	env_free(e);
}

static void test_paws(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_TIMESTAMP;
	e->conn->flags |= TGT_CF_TS_VALID;
	e->conn->ts_recent = 5000;
	e->conn->ts_recent_us = e->a.now_us;
	env_start(e);
	e->peer_tsval = 4999;
	assert_int_equal(env_data(e, ENV_IRS, 100), TGT_SEG_DROP);
	REQ("TCP-16", e->received_bytes == 0 && e->sent_count == 1 && env_last(e)->ack == ENV_IRS);
	e->peer_tsval = 5001;
	env_data(e, ENV_IRS, 100);
	assert_int_equal(e->received_bytes, 100);
	assert_int_equal(e->conn->ts_recent, 5001);
	env_run(e, 40000);
	REQ("TSP-10", env_last(e)->opts.ts_ecr == 5001);
	/* after 24 days without a segment any timestamp is good */
	e->a.now_us += TGT_PAWS_AGE_US + 1;
	e->peer_tsval = 1;
	env_data(e, ENV_IRS + 100, 100);
	assert_int_equal(e->received_bytes, 200);
	env_free(e);
}

/* The echoed timestamp is that of the segment that moved the window, not of one ahead of it (RFC
 * 7323 4.3). */
static void test_ts_recent_rules(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_TIMESTAMP;
	env_start(e);
	assert_false(e->conn->flags & TGT_CF_TS_VALID);
	e->peer_tsval = 77; /* unknown at hand-over: the first acceptable segment sets it */
	env_ack(e, ENV_ISS);
	assert_int_equal(e->conn->ts_recent, 77);
	e->peer_tsval = 80;
	env_data(e, ENV_IRS + 1000, 10); /* ahead of rcv_nxt */
	assert_int_equal(e->conn->ts_recent, 77);
	e->peer_tsval = 79;
	env_data(e, ENV_IRS, 1000);
	assert_int_equal(e->conn->ts_recent, 79);
	REQ("STA-19", env_last(e)->opts.has_ts && env_last(e)->opts.ts_ecr == 79);
	env_free(e);
}

/* Old kernels leave the option out now and then: processed as if nothing was missing. */
static void test_missing_timestamp_option(void **state)
{
	struct env *e = env_new();
	struct tgt_segment s = { .seq = ENV_IRS,
				 .ack = ENV_ISS,
				 .flags = TGT_TH_ACK,
				 .wnd_raw = 1000,
				 .data = (const uint8_t[]){ 0 },
				 .len = 0 };

	(void)state;
	e->conn->options |= TGT_OPT_TIMESTAMP;
	e->conn->flags |= TGT_CF_TS_VALID;
	e->conn->ts_recent = 5000;
	e->conn->ts_recent_us = e->a.now_us;
	env_start(e);
	env_send(e, 100);
	s.ack = ENV_ISS + 100;
	assert_int_equal(env_segment(e, &s), TGT_SEG_DONE);
	assert_int_equal(e->acked_bytes, 100);
	s.flags = TGT_TH_RST;
	assert_int_equal(env_segment(e, &s), TGT_SEG_DONE);
	assert_int_equal(e->aborts, 1);
	env_free(e);
}

static void test_rst_exact(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_send(e, 100);
	env_forget(e);
	assert_int_equal(env_flags(e, TGT_TH_RST, ENV_IRS, 0), TGT_SEG_DONE);
	REQ("BRA-02", e->aborts == 1);
	REQ("DIS-25", e->conn->state == TGT_CLOSED);
	assert_int_equal(e->sent_count, 0);
	REQ("STT-19", e->a.counters[TGT_V4].reset_established == 1);
	REQ("DIS-29", env_data(e, ENV_IRS, 10) == TGT_SEG_TO_HOST);
	assert_true(tgt_timers_next(&e->a) == TGT_TIME_NONE);
	env_free(e);
}

static void test_rst_elsewhere(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_flags(e, TGT_TH_RST, ENV_IRS - 1, 0);
	env_flags(e, TGT_TH_RST, ENV_IRS + 65536, 0);
	REQ("BRA-01", e->aborts == 0 && e->sent_count == 0);
	for (uint32_t off = 1000; off < 65000; off += 1000)
		env_flags(e, TGT_TH_RST, ENV_IRS + off, 0);
	REQ("BRA-03", e->aborts == 0 && e->sent_count == 1 && env_last(e)->ack == ENV_IRS &&
			      env_last(e)->seq == ENV_ISS && !(env_last(e)->flags & TGT_TH_RST));
	env_ack(e, ENV_ISS); /* acceptable: the validation period ends */
	env_flags(e, TGT_TH_RST, ENV_IRS + 1000, 0);
	assert_int_equal(e->sent_count, 2);
	env_free(e);
}

static void test_syn(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	env_flags(e, TGT_TH_SYN, ENV_IRS - 100, 0);
	REQ("BRA-04", e->sent_count == 1 && env_last(e)->ack == ENV_IRS);
	env_forget(e);
	for (int i = 0; i < 6; i++) {
		env_flags(e, TGT_TH_SYN, ENV_IRS + 100, 0);
		env_run(e, 1000000);
	}
	REQ("BRA-06", e->sent_count == 2); /* at 0 and 3 s */
	assert_int_equal(e->conn->state, TGT_ESTABLISHED);
	env_forget(e);
	env_flags(e, TGT_TH_SYN, ENV_IRS, 0);
	REQ("BRA-05", e->uploads == 1 && e->reason == TGT_UPLOAD_REQUESTED &&
			      e->conn->state == TGT_CLOSED && e->sent_count == 0);
	env_free(e);
}

static void test_urgent(void **state)
{
	struct env *e = env_new();
	uint8_t byte = env_byte(ENV_IRS);
	struct tgt_segment s = { .seq = ENV_IRS + 70000,
				 .ack = ENV_ISS,
				 .flags = TGT_TH_ACK | TGT_TH_URG,
				 .wnd_raw = 65535,
				 .urg = 1,
				 .data = &byte,
				 .len = 1 };

	(void)state;
	env_start(e);
	assert_int_equal(env_segment(e, &s), TGT_SEG_DROP);
	s.seq = ENV_IRS;
	s.ack = ENV_ISS + 5;
	assert_int_equal(env_segment(e, &s), TGT_SEG_DROP);
	REQ("NSP-09", e->uploads == 0);
	env_data(e, ENV_IRS, 10);
	assert_int_equal(e->received_bytes, 10);
	s.seq = ENV_IRS + 10;
	s.ack = ENV_ISS;
	env_run(e, 50000);
	env_forget(e);
	assert_int_equal(env_segment(e, &s), TGT_SEG_TO_HOST);
	REQ("NSP-10", e->uploads == 1 && e->reason == TGT_UPLOAD_URGENT);
	assert_int_equal(env_data(e, ENV_IRS + 10, 100), TGT_SEG_TO_HOST);
	env_run(e, 10000000);
	REQ("NSP-11", e->sent_count == 0 && e->conn->rcv_nxt == ENV_IRS + 10);
	env_free(e);
}

/* The right edge never moves left, whatever the backlog does; scale rounding included. */
static void test_window_edge(void **state)
{
	(void)state;
	for (unsigned int scale = 0; scale <= 14; scale += 7) {
		struct env *e = env_new();
		tcp_seq edge = ENV_IRS + 50001;
		uint32_t off = 0;

		srand(scale + 1);
		e->conn->rcv_wscale = (uint8_t)scale;
		e->conn->rcv_buf_bytes = 60000;
		e->conn->rcv_adv = edge;
		env_start(e);
		for (int i = 0; i < 500; i++) {
			uint32_t len = 1 + (uint32_t)rand() % 2000;

			e->held_bytes = (uint32_t)rand() % 60000;
			if (rand() % 4 == 0)
				tgt_rcv_window_changed(&e->a, e->conn);
			len = len < e->conn->rcv_edge - e->conn->rcv_nxt
				      ? len
				      : e->conn->rcv_edge - e->conn->rcv_nxt;
			env_data(e, ENV_IRS + off, len);
			off += len;
			env_run(e, 50000);
			for (unsigned int k = 0; k < e->sent_count; k++) {
				const struct env_sent *s = &e->sent[k];
				tcp_seq told = s->ack + ((uint32_t)s->wnd_raw << scale);

				/* rounding down by less than a unit is allowed when two units are
				 * given */
				assert_true(seq_geq(told + (1u << scale) - 1, edge));
				edge = seq_max(edge, told);
				assert_true(seq_leq(told, e->conn->rcv_edge));
			}
			env_forget(e);
		}
		assert_int_equal(e->received_bytes, off);
		env_free(e);
	}
}

/* A stream of single bytes into a full buffer does not open the window unit by unit. */
static void test_scale_does_not_creep(void **state)
{
	struct env *e = env_new();
	uint32_t off = 0;

	(void)state;
	e->conn->rcv_wscale = 7;
	e->conn->rcv_buf_bytes = 10000;
	e->conn->rcv_adv = ENV_IRS + 200;
	e->held_bytes = UINT32_MAX;
	e->received_bytes = 0;
	e->held_bytes = 10000;
	env_start(e);
	while (e->conn->rcv_edge != e->conn->rcv_nxt && off < 5000)
		env_data(e, ENV_IRS + off++, 1);
	assert_in_range(off, 200, 200 + 3 * 128);
	env_free(e);
}

/* Reader drained a closed window: update at once; a little at a time: after the timer. */
static void test_window_update(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->rcv_buf_bytes = 10000;
	e->conn->rcv_adv = ENV_IRS + 10000;
	e->held_bytes = UINT32_MAX;
	env_start(e);
	for (uint32_t off = 0; off < 10000; off += 1000)
		env_data(e, ENV_IRS + off, 1000);
	assert_int_equal(env_last(e)->wnd_raw, 0);
	env_forget(e);
	e->held_bytes = 9999;
	tgt_rcv_window_changed(&e->a, e->conn);
	assert_int_equal(e->sent_count, 0);
	env_run(e, 200000);
	REQ("INI-26", e->sent_count == 1 && env_last(e)->wnd_raw == 1);
	env_forget(e);
	e->held_bytes = 0;
	tgt_rcv_window_changed(&e->a, e->conn);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(env_last(e)->wnd_raw, 10000);
	tgt_rcv_window_changed(&e->a, e->conn);
	assert_int_equal(e->sent_count, 1);
	env_free(e);
}

static void test_update_rcv_wnd(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->rcv_adv = ENV_IRS + 1000;
	e->conn->rcv_buf_bytes = 20000;
	assert_int_equal(tgt_conn_start(&e->a, e->conn), 0);
	assert_int_equal(env_last(e)->wnd_raw, 1000);
	tgt_rcv_window_update(&e->a, e->conn);
	REQ("STA-25", e->sent_count == 2 && env_last(e)->wnd_raw == 20000);
	e->conn->rcv_buf_bytes = 50000;
	tgt_rcv_window_changed(&e->a, e->conn);
	REQ("UPD-13", env_last(e)->wnd_raw == 50000);
	env_free(e);
}

static void test_window_scale_large(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->rcv_wscale = 14;
	e->conn->snd_wscale = 14;
	e->conn->rcv_buf_bytes = 1u << 30;
	e->conn->rcv_adv = ENV_IRS + (1u << 29);
	env_start(e);
	e->peer_wnd_raw = 65535;
	env_data(e, ENV_IRS, 1000);
	env_data(e, ENV_IRS + 1000, 1000);
	REQ("STA-21", e->conn->snd_wnd_bytes == 65535u << 14);
	assert_in_range((uint64_t)env_last(e)->wnd_raw << 14, (1u << 30) - (2u << 14), 1u << 30);
	env_free(e);
}

/* A full arena: in-order data is dropped, not half delivered; the peer sends it again later. */
static void test_arena_full(void **state)
{
	struct env *e = env_new();
	struct tgt_chunk_list hog = { 0 };
	uint8_t data[TGT_CHUNK_ROOM] = { 0 };

	(void)state;
	env_start(e);
	while (!tgt_chunks_append(&e->a, &hog, data, sizeof(data)))
		;
	env_data(e, ENV_IRS, 1000);
	env_data(e, ENV_IRS + 2000, 1000);
	assert_int_equal(e->received_bytes, 0);
	assert_true(e->a.drops[TGT_DROP_NO_CHUNK] == 1 && e->a.drops[TGT_DROP_REASM_FULL] == 1);
	tgt_chunks_free(&e->a, &hog);
	env_data(e, ENV_IRS, 1000);
	assert_received(e, 1000);
	env_free(e);
}

static void reenter_send(struct env *e)
{
	if (e->received_bytes == 1000)
		env_send(e, 300); /* the answer is queued while the request is being delivered */
}

/* A reply made inside the delivery carries the acknowledgment. */
static void test_reply_from_inside(void **state)
{
	struct env *e = env_new();

	(void)state;
	env_start(e);
	e->check_off = true; /* env_send() looks in the middle of the event */
	e->reenter = reenter_send;
	env_data(e, ENV_IRS, 1000);
	e->check_off = false;
	env_check(e);
	assert_int_equal(e->sent_count, 1);
	assert_int_equal(env_last(e)->len, 300);
	assert_int_equal(env_last(e)->ack, ENV_IRS + 1000);
	env_free(e);
}

static void reenter_stop(struct env *e)
{
	tgt_conn_stop(&e->a, e->conn);
}

/* Terminated from inside a delivery: the rest of the segment's processing lets go. */
static void test_stop_from_inside(void **state)
{
	struct env *e = env_new();

	(void)state;
	e->conn->options |= TGT_OPT_SACK;
	env_start(e);
	env_data(e, ENV_IRS + 2000, 1000);
	env_data(e, ENV_IRS + 1000, 500);
	e->reenter = reenter_stop;
	env_data(e, ENV_IRS, 1000);
	assert_false(e->conn->flags & TGT_CF_STARTED);
	assert_int_equal(e->conn->reasm.ranges, 0);
	assert_int_equal(env_last(e)->ack, e->conn->rcv_nxt);
	assert_true(tgt_timers_next(&e->a) == TGT_TIME_NONE);
	REQ("TRM-19", env_data(e, ENV_IRS + 1000, 10) == TGT_SEG_TO_HOST);
	e->reenter = NULL;
	env_free(e);
}

/* Random segments around the window, with every flag: nothing breaks, only right bytes are
 * delivered. */
static void test_noise(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 40; seed++) {
		struct env *e = env_new();

		srand(seed);
		e->conn->options |=
			(seed & 1 ? TGT_OPT_SACK : 0) | (seed & 2 ? TGT_OPT_TIMESTAMP : 0);
		e->conn->rcv_adv = ENV_IRS + 20000;
		e->conn->rcv_buf_bytes = 20000;
		env_start(e);
		for (int i = 0; i < 1500 && e->received_bytes < ENV_BYTES - 100000; i++) {
			static const uint8_t flags[] = { TGT_TH_ACK, TGT_TH_ACK,
							 TGT_TH_ACK | TGT_TH_PSH, 0 };
			uint32_t len = (uint32_t)rand() % 3000;
			uint8_t *data = malloc(len + 1);
			uint8_t opt[TGT_OPT_MAX];
			struct tgt_segment s = { .wnd_raw = (uint16_t)rand(),
						 .data = data,
						 .len = len,
						 .opt = opt,
						 .flags = flags[rand() % 4] };

			s.seq = e->conn->rcv_nxt + (uint32_t)(rand() % 30000) - 5000;
			s.ack = e->conn->snd_una + (uint32_t)(rand() % 3000) - 500;
			if (rand() % 50 == 0)
				s.flags = TGT_TH_RST;
			if (s.flags == TGT_TH_RST && s.seq == e->conn->rcv_nxt)
				s.seq++;
			for (uint32_t k = 0; k < len; k++)
				data[k] = env_byte(s.seq + k);
			for (unsigned int k = 0; k < TGT_OPT_MAX; k++)
				opt[k] = (uint8_t)(rand() % 11);
			s.opt_len = (uint8_t)(rand() % 2 ? 0 : rand() % (TGT_OPT_MAX + 1));
			env_segment(e, &s);
			free(data);
			if (rand() % 5 == 0 && e->conn->sendq.list.bytes < 50000)
				env_send(e, 1 + (uint32_t)rand() % 4000);
			env_run(e, (uint64_t)rand() % 30000);
			env_forget(e);
			if (e->conn->flags & TGT_CF_SUSPENDED)
				break;
		}
		assert_received(e, e->received_bytes);
		env_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_and_ack_frequency),
		cmocka_unit_test(test_super_frame),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_no_sack_when_not_agreed),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_probes_answered),
		cmocka_unit_test(test_zero_window_probe_answered),
		cmocka_unit_test(test_cut_at_window),
		cmocka_unit_test(test_unacceptable),
		cmocka_unit_test(test_no_ack_war),
		cmocka_unit_test(test_paws),
		cmocka_unit_test(test_ts_recent_rules),
		cmocka_unit_test(test_missing_timestamp_option),
		cmocka_unit_test(test_rst_exact),
		cmocka_unit_test(test_rst_elsewhere),
		cmocka_unit_test(test_syn),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_window_edge),
		cmocka_unit_test(test_scale_does_not_creep),
		cmocka_unit_test(test_window_update),
		cmocka_unit_test(test_update_rcv_wnd),
		cmocka_unit_test(test_window_scale_large),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_reply_from_inside),
		cmocka_unit_test(test_stop_from_inside),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
