/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A live connection and a peer that does anything: sequences of segments, time, sends, reads and
 * closes. After every event the invariants of the connection hold (core_env.h calls
 * tgt_conn_check()), and so does what a peer may rely on:
 *
 * - what the application got is the peer's stream from its beginning;
 * - what was promised by a window is never taken back;
 * - nothing goes beyond the largest window that the peer ever granted;
 * - acknowledgments and what is acknowledged never go back.
 */
#include <errno.h>

#include "core_env.h"
#include "fuzz.h"
#include "target/tgt_cc.h"
#include "target/tgt_close.h"
#include "target/tgt_output.h"
#include "target/tgt_sendq.h"
#include "target/tgt_window.h"

enum { QUEUE_MOST = 200000, STREAM_MOST = 1u << 20, TSO_FRAME = 65549 };

struct run {
	struct env *e;
	struct fuzz_input in;
	tcp_seq edge, acked, una;
	uint32_t granted; /* largest window that the peer ever granted */
	bool garbage;     /* bytes were sent that are not the stream's */
};

static struct env *begin(struct fuzz_input *in)
{
	struct env *e = env_new();
	uint8_t how = fuzz_byte(in), more = fuzz_byte(in);
	struct tgt_conn *c = e->conn;

	c->options = (how & 1 ? TGT_OPT_TIMESTAMP : 0) | (how & 2 ? TGT_OPT_SACK : 0) |
		     (how & 4 ? TGT_OPT_NAGLE : 0) | (how & 8 ? TGT_OPT_KEEPALIVE : 0);
	if (how & 16) {
		c->scaling = 1;
		c->snd_wscale = more & 7;
		c->rcv_wscale = more >> 3 & 7;
	}
	if (how & 32) {
		e->nic_info.features = NIC_FEAT_TSO4;
		e->nic_info.max_frame_bytes = TSO_FRAME;
	}
	if (how & 64)
		c->cwnd_bytes = 2 * ENV_MSS;
	if (how & 128)
		c->rcv_buf_bytes = 4000;
	if (how & 128)
		c->rcv_adv = c->rcv_nxt + 4000;
	if (more & 64)
		c->cc_id = tgt_cc_cubic.id;
	if (more & 128)
		c->options |= TGT_OPT_ECN | TGT_OPT_CORK;
	c->ka_idle_us = 2000000;
	assert_int_equal(tgt_conn_start(&e->a, c), 0);
	env_check(e);
	return e;
}

static void check_sent(struct run *r, const struct env_sent *s)
{
	struct tgt_conn *c = r->e->conn;
	tcp_seq edge = s->ack + ((uint32_t)s->wnd_raw << c->rcv_wscale);

	if (s->flags & TGT_TH_RST)
		return;
	assert_true(s->flags & TGT_TH_ACK);
	/* ECT only on data that never went before, and on nothing when it was not agreed */
	if (s->ecn || s->flags & (TGT_TH_ECE | TGT_TH_CWR))
		assert_true(c->options & TGT_OPT_ECN);
	assert_true(!s->ecn || (s->len && !s->retransmit));
	assert_true(seq_geq(s->ack, r->acked));
	/* rounding to the scale may move it by less than a unit */
	assert_true(seq_geq(edge + (1u << c->rcv_wscale) - 1, r->edge));
	r->acked = s->ack;
	r->edge = seq_max(r->edge, edge);
	/* a window probe goes one byte beyond */
	if (s->len > 0)
		assert_true(seq_leq(s->seq + s->len, c->snd_una + r->granted + 1));
}

static void check(struct run *r)
{
	struct env *e = r->e;
	uint32_t i;

	for (i = 0; i < e->sent_count; i++)
		check_sent(r, &e->sent[i]);
	env_forget(e);
	assert_true(seq_geq(e->conn->snd_una, r->una));
	r->una = e->conn->snd_una;
	for (i = e->received_bytes > 64 ? e->received_bytes - 64 : 0;
	     i < e->received_bytes && !r->garbage; i++)
		assert_int_equal(e->received[i], env_byte(ENV_IRS + i));
}

static unsigned int options(struct run *r, uint8_t *opt)
{
	struct tgt_conn *c = r->e->conn;
	uint8_t how = fuzz_byte(&r->in);
	struct tgt_range blocks[TGT_OPT_SACK_MAX];
	unsigned int count = how & 7, len, i;
	uint32_t val = r->e->peer_tsval += how >> 4;

	if (how & 8) { /* any bytes at all */
		len = fuzz_byte(&r->in) % (TGT_OPT_MAX + 1);
		for (i = 0; i < len; i++)
			opt[i] = fuzz_byte(&r->in);
		return len;
	}
	count = count > TGT_OPT_SACK_MAX ? 0 : count;
	for (i = 0; i < count; i++) {
		blocks[i].start = c->snd_una + fuzz_word(&r->in) - 500;
		blocks[i].end = blocks[i].start + fuzz_word(&r->in);
	}
	return tgt_opt_build(opt, c->options & TGT_OPT_TIMESTAMP, how == 0xf0 ? val - 5000 : val,
			     tgt_clock_ticks(&r->e->a) + c->ts_delta_ticks - fuzz_byte(&r->in),
			     blocks, count);
}

static void note_grant(struct run *r, const struct tgt_segment *s)
{
	uint32_t wnd = (uint32_t)s->wnd_raw << r->e->conn->snd_wscale;

	if (wnd > r->granted)
		r->granted = wnd;
}

static void segment(struct run *r, struct tgt_segment *s)
{
	uint8_t *data;
	uint8_t opt[TGT_OPT_MAX];
	uint32_t i;

	if (r->e->received_bytes + s->len > STREAM_MOST)
		s->len = 0;
	data = malloc(s->len + 1);
	assert_non_null(data);
	for (i = 0; i < s->len; i++)
		data[i] = env_byte(s->seq + i);
	s->data = data;
	s->opt = opt;
	s->opt_len = (uint8_t)options(r, opt);
	note_grant(r, s);
	(void)env_segment(r->e, s);
	free(data);
}

static void strange(struct run *r)
{
	struct tgt_conn *c = r->e->conn;
	struct tgt_segment s = { .flags = fuzz_byte(&r->in) };
	int16_t seq = (int16_t)fuzz_word(&r->in), ack = (int16_t)fuzz_word(&r->in);

	/* Resets and SYNs end a run; leave them to one in four. */
	if (fuzz_byte(&r->in) & 3)
		s.flags =
			(uint8_t)((s.flags & ~(TGT_TH_RST | TGT_TH_SYN | TGT_TH_URG)) | TGT_TH_ACK);
	s.seq = c->rcv_nxt + (uint32_t)(int32_t)seq;
	s.ack = c->snd_max + (uint32_t)(int32_t)ack;
	s.wnd_raw = fuzz_word(&r->in);
	s.urg = s.flags & TGT_TH_URG ? 1 : 0;
	s.len = fuzz_word(&r->in) % 3000;
	s.gso_size = s.len > 1000 && (seq & 1) ? 1000 : 0;
	s.ecn = (uint16_t)seq >> 1 & 3;
	segment(r, &s);
}

static void orderly(struct run *r, bool with_data)
{
	struct tgt_conn *c = r->e->conn;
	uint32_t out = c->snd_max - c->snd_una;
	struct tgt_segment s = { .flags = TGT_TH_ACK, .seq = c->rcv_nxt };
	uint8_t part = fuzz_byte(&r->in);

	s.ack = c->snd_una + (uint32_t)((uint64_t)out * part / 255);
	s.wnd_raw = fuzz_byte(&r->in) < 32 ? 0 : 65535;
	if (with_data)
		s.len = fuzz_word(&r->in) % 1500;
	if (with_data && part == 255)
		s.flags |= TGT_TH_PSH;
	segment(r, &s);
}

static bool may_send(const struct tgt_conn *c)
{
	return (c->state == TGT_ESTABLISHED || c->state == TGT_CLOSE_WAIT) &&
	       !(c->flags & (TGT_CF_FIN_QUEUED | TGT_CF_SUSPENDED)) &&
	       c->sendq.list.bytes < QUEUE_MOST;
}

static void application(struct run *r)
{
	struct env *e = r->e;
	uint8_t what = fuzz_byte(&r->in);

	if (what < 160 && may_send(e->conn)) {
		env_send(e, 1 + fuzz_word(&r->in) % 20000);
	} else if (what < 200) {
		e->held_bytes = what & 1 ? e->conn->rcv_buf_bytes / (1 + (what & 6)) : 0;
		tgt_rcv_window_changed(&e->a, e->conn);
	} else if (what < 220) {
		e->xmit_error = what & 1 ? -EAGAIN : 0;
	} else if (what < 235) {
		tgt_conn_set_mtu(&e->a, e->conn, 300 + fuzz_word(&r->in) % 9000);
	} else if (what < 250 && may_send(e->conn)) {
		tgt_close_send_fin(&e->a, e->conn);
	} else if (what >= 254 && e->conn->state != TGT_CLOSED &&
		   !(e->conn->flags & TGT_CF_SUSPENDED)) {
		(void)tgt_close_abort(&e->a, e->conn);
	}
	env_check(e);
}

static void event(struct run *r)
{
	uint8_t kind = fuzz_byte(&r->in);

	if (kind < 60)
		strange(r);
	else if (kind < 120)
		orderly(r, false);
	else if (kind < 170)
		orderly(r, true);
	else if (kind < 220)
		application(r);
	else
		env_run(r->e, (uint64_t)fuzz_byte(&r->in) << (kind & 15));
	check(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .in = { data, size } };

	r.e = begin(&r.in);
	r.una = ENV_ISS;
	r.acked = ENV_IRS;
	r.edge = ENV_IRS;
	r.granted = 65535;
	check(&r);
	while (r.in.left)
		event(&r);
	r.e->xmit_error = 0;
	env_free(r.e);
	return 0;
}
