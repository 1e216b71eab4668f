/* SPDX-License-Identifier: BSD-2-Clause */
#include "core_env.h"

#include <stdio.h>

#include "base/wheel.h"
#include "target/tgt_cc.h"
#include "target/tgt_sendq.h"

struct env *env;

uint8_t env_byte(tcp_seq seq)
{
	return (uint8_t)(seq * 167u + (seq >> 8) * 13u);
}

struct env *env_new(void)
{
	static const struct arena_pool_spec pools[] = {
		{ .name = "conn", .object_bytes = sizeof(struct tgt_conn), .count = 2 },
		{ .name = "chunk",
		  .object_bytes = TGT_CHUNK_BYTES,
		  .count = 1500,
		  .zero_bytes = sizeof(struct tgt_chunk) },
	};
	struct env *e = calloc(1, sizeof(*e));
	struct tgt_conn *c;

	assert_non_null(e);
	env = e;
	e->a.now_us = 1000000000;
	assert_int_equal(arena_create(&e->a.arena, "core-test", pools, 2), 0);
	e->a.pool_conn = 0;
	e->a.pool_chunk = 1;
	assert_int_equal(wheel_create(&e->a.wheel, 2, e->a.now_us), 0);
	e->a.params = (struct tgt_params){ .ticks_per_second = 1000,
					   .delayed_ack_us = 40000,
					   .sws_us = 200000,
					   .push_us = 500000,
					   .dup_ack_threshold = 3,
					   .ack_frequency = 2,
					   .max_retransmissions = 8 };
	e->a.limits.conn_send_bytes = 4u << 20;
	e->a.limits.conn_reasm_bytes = 1u << 20;
	e->a.cc = &tgt_cc_newreno;
	e->nic_info.max_frame_bytes = 1514;
	e->a.nic_info = &e->nic_info;
	e->received = malloc(ENV_BYTES);
	assert_non_null(e->received);
	c = e->conn = arena_take(e->a.arena, 0);
	assert_non_null(c);
	tgt_conn_init(&e->a, c, 1);
	c->remote_mss = ENV_MSS;
	c->path_mtu_bytes = 9000;
	c->rcv_buf_bytes = 65535;
	c->state = TGT_ESTABLISHED;
	c->rcv_nxt = ENV_IRS;
	c->rcv_adv = ENV_IRS + 65535;
	c->snd_una = c->snd_nxt = c->snd_max = ENV_ISS;
	c->snd_wnd_bytes = c->max_snd_wnd_bytes = 65535;
	c->snd_wl1 = ENV_IRS;
	c->cwnd_bytes = 1u << 20;
	c->ssthresh_bytes = 1u << 20;
	c->srtt_us8 = 8 * 50000;
	c->rttvar_us4 = 4 * 10000;
	tgt_sendq_begin(c, ENV_ISS);
	e->peer_wnd_raw = 65535;
	e->peer_tsval = 5000;
	return e;
}

void env_free(struct env *e)
{
	tgt_conn_stop(&e->a, e->conn);
	tgt_conn_release(&e->a, e->conn);
	assert_int_equal(arena_used(e->a.arena, e->a.pool_chunk), 0);
	assert_true(wheel_next(e->a.wheel) == WHEEL_NONE);
	wheel_destroy(e->a.wheel);
	arena_destroy(e->a.arena);
	free(e->received);
	free(e);
	env = NULL;
}

void env_check(struct env *e)
{
	const char *wrong = e->check_off ? NULL : tgt_conn_check(&e->a, e->conn);

	if (wrong)
		fail_msg("invariant: %s (state %s)", wrong, tgt_state_name(e->conn->state));
}

void env_forget(struct env *e)
{
	e->sent_count = 0;
}

const struct env_sent *env_last(struct env *e)
{
	assert_true(e->sent_count > 0);
	return &e->sent[e->sent_count - 1];
}

void env_start(struct env *e)
{
	assert_int_equal(tgt_conn_start(&e->a, e->conn), 0);
	env_check(e);
	env_forget(e);
}

void env_run(struct env *e, uint64_t us)
{
	uint64_t end = e->a.now_us + us, next;

	while ((next = tgt_timers_next(&e->a)) <= end) {
		if (next > e->a.now_us)
			e->a.now_us = next;
		tgt_timers_run(&e->a, e->a.now_us);
		env_check(e);
	}
	e->a.now_us = end;
}

void env_send(struct env *e, uint32_t len)
{
	tcp_seq seq = tgt_sendq_end(e->conn);
	uint8_t *data = malloc(len + 1);

	assert_non_null(data);
	for (uint32_t i = 0; i < len; i++)
		data[i] = env_byte(seq + i);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, len, true), 0);
	free(data);
	tgt_output(&e->a, e->conn, e->a.now_us);
	env_check(e);
}

enum tgt_verdict env_segment(struct env *e, const struct tgt_segment *seg)
{
	enum tgt_verdict v = tgt_input(&e->a, e->conn, seg, e->a.now_us);

	env_check(e);
	return v;
}

static enum tgt_verdict from_peer(struct env *e, uint8_t flags, tcp_seq seq, uint32_t len,
				  tcp_seq ack, const struct tgt_range *blocks, unsigned int count)
{
	uint8_t opt[TGT_OPT_MAX];
	uint8_t *data = malloc(len + 1);
	struct tgt_segment s = { .seq = seq,
				 .ack = ack,
				 .flags = flags,
				 .len = len,
				 .data = data,
				 .wnd_raw = e->peer_wnd_raw,
				 .opt = opt };
	uint32_t echo = tgt_clock_ticks(&e->a) + e->conn->ts_delta_ticks;
	enum tgt_verdict v;

	assert_non_null(data);
	for (uint32_t i = 0; i < len; i++)
		data[i] = env_byte(seq + i);
	s.opt_len = (uint8_t)tgt_opt_build(opt, e->conn->options & TGT_OPT_TIMESTAMP, e->peer_tsval,
					   echo, blocks, count);
	v = env_segment(e, &s);
	free(data);
	return v;
}

enum tgt_verdict env_data(struct env *e, tcp_seq seq, uint32_t len)
{
	return from_peer(e, TGT_TH_ACK, seq, len, e->conn->snd_una, NULL, 0);
}

enum tgt_verdict env_ack(struct env *e, tcp_seq ack)
{
	return from_peer(e, TGT_TH_ACK, e->conn->rcv_nxt, 0, ack, NULL, 0);
}

enum tgt_verdict env_flags(struct env *e, uint8_t flags, tcp_seq seq, tcp_seq ack)
{
	return from_peer(e, flags, seq, 0, ack, NULL, 0);
}

enum tgt_verdict env_ack_sack(struct env *e, tcp_seq ack, const struct tgt_range *blocks,
			      unsigned int count)
{
	return from_peer(e, TGT_TH_ACK, e->conn->rcv_nxt, 0, ack, blocks, count);
}

unsigned int env_count_data(struct env *e)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->sent_count; i++)
		n += e->sent[i].len > 0;
	return n;
}

unsigned int env_count_flag(struct env *e, uint8_t flag)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->sent_count; i++)
		n += (e->sent[i].flags & flag) == flag;
	return n;
}

/* ---- the DDI side ---- */

struct tgt_conn *tgt_conn_of_slot(struct tgt_adapter *a, uint32_t slot)
{
	(void)a;
	return slot == env->conn->slot ? env->conn : NULL;
}

void tgt_deliver_data(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		      uint32_t len, bool psh)
{
	(void)a;
	(void)conn;
	assert_true(env->received_bytes + len <= ENV_BYTES);
	memcpy(env->received + env->received_bytes, data, len);
	env->received_bytes += len;
	env->last_push = psh;
	if (env->reenter)
		env->reenter(env);
}

void tgt_deliver_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	env->fins++;
}

uint32_t tgt_deliver_buffered_bytes(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	return env->held_bytes == UINT32_MAX ? env->received_bytes : env->held_bytes;
}

void tgt_deliver_push_expired(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	env->push_expiries++;
}

void tgt_send_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	(void)a;
	(void)conn;
	env->acked_bytes += bytes;
	if (env->reenter)
		env->reenter(env);
}

void tgt_send_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	env->fin_acks++;
}

void tgt_indicate_abort(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	assert_int_equal(conn->state, TGT_CLOSED);
	env->aborts++;
}

void tgt_request_upload(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason)
{
	(void)a;
	(void)conn;
	env->uploads++;
	env->reason = reason;
}

void tgt_forward_progress(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	env->progress++;
}

void tgt_reach_doubt(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	env->doubts++;
}

int tgt_frame_xmit(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_xmit *x)
{
	struct env_sent *s;
	uint32_t sum = 0, pos = 0;

	(void)conn;
	if (env->xmit_error)
		return env->xmit_error;
	assert_true(env->sent_count < ENV_SENT);
	s = &env->sent[env->sent_count++];
	*s = (struct env_sent){ .seq = x->seq,
				.ack = x->ack,
				.len = x->len,
				.flags = x->flags,
				.ecn = x->ecn,
				.wnd_raw = x->wnd_raw,
				.gso_size = x->gso_size,
				.retransmit = x->retransmit,
				.at_us = a->now_us };
	assert_int_equal(x->opt_len % 4, 0);
	tgt_opt_parse(x->opt, x->opt_len, &s->opts);
	assert_false(s->opts.malformed);
	for (unsigned int i = 0; i < x->iovcnt; i++) {
		const uint8_t *p = x->iov[i].iov_base;

		for (size_t k = 0; k < x->iov[i].iov_len; k++)
			assert_int_equal(p[k], env_byte(x->seq + pos++));
		sum += (uint32_t)x->iov[i].iov_len;
	}
	assert_int_equal(sum, x->len);
	return 0;
}
