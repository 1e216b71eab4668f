/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two engines talk over a link that loses, duplicates, delays and reorders, in virtual time, from
 * one seed. Each sends a stream, reads what it gets at its own pace, closes, and is handed over to
 * a fresh connection now and then with nothing but what the interface carries. Every byte must
 * arrive once and in order, both FINs must be told, no connection may be aborted or given up.
 * Invariants are checked after every event.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/wheel.h"
#include "target/tgt_cc.h"
#include "target/tgt_chunk.h"
#include "target/tgt_conn.h"
#include "target/tgt_opt.h"
#include "target/tgt_sendq.h"

#define PACKETS 4096

struct packet {
	uint64_t due_us;
	uint64_t order;
	int to;
	struct tgt_segment seg;
	uint8_t opt[TGT_OPT_MAX];
	uint8_t *data;
};

struct side {
	struct tgt_adapter a; /* first: the engine hands it back */
	struct tgt_conn *conn;
	struct nic_info nic;
	int index;
	tcp_seq iss; /* number of the first byte this side sends */
	uint32_t to_send, queued, received, consumed, acked;
	bool closing, fin_told, fin_acked;
	unsigned int aborts, uploads, time_wait_offers;
};

struct setup {
	unsigned int seed;
	unsigned int loss, duplicate, reorder; /* per thousand */
	uint32_t bytes, buffer;
	uint64_t delay_us;
	uint32_t options;
	unsigned int scale;
	bool tso, handover, small_writes;
};

static struct side sides[2];
static struct packet *net[PACKETS];
static unsigned int net_count;
static uint64_t packet_order;
static const struct setup *now_running;
static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((random_state >> 33) % below);
}

static bool per_thousand(unsigned int n)
{
	return rnd(1000) < n;
}

static uint8_t byte_of(const struct side *s, uint32_t offset)
{
	return (uint8_t)(offset * 31u + (offset >> 9) * 7u + (uint32_t)s->index * 101u);
}

static struct side *other(const struct side *s)
{
	return &sides[!s->index];
}

static void put_on_wire(struct side *from, const struct tgt_xmit *x)
{
	struct packet *p = calloc(1, sizeof(*p));
	uint8_t *to;

	assert_non_null(p);
	assert_true(net_count < PACKETS);
	p->data = to = malloc(x->len + 1);
	assert_non_null(to);
	for (unsigned int i = 0; i < x->iovcnt; i++) {
		memcpy(to, x->iov[i].iov_base, x->iov[i].iov_len);
		to += x->iov[i].iov_len;
	}
	memcpy(p->opt, x->opt, x->opt_len);
	p->seg = (struct tgt_segment){ .seq = x->seq,
				       .ack = x->ack,
				       .wnd_raw = x->wnd_raw,
				       .flags = x->flags,
				       .opt = p->opt,
				       .opt_len = x->opt_len,
				       .data = p->data,
				       .len = x->len,
				       .gso_size = x->gso_size };
	p->to = !from->index;
	p->order = packet_order++;
	p->due_us = from->a.now_us + now_running->delay_us;
	if (per_thousand(now_running->reorder))
		p->due_us += rnd((uint32_t)now_running->delay_us * 2 + 500);
	net[net_count++] = p;
}

int tgt_frame_xmit(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_xmit *x)
{
	struct side *s = (struct side *)(void *)a;

	(void)conn;
	assert_int_equal(x->flags & TGT_TH_RST, 0);
	if (per_thousand(5))
		return -EAGAIN;
	if (!per_thousand(now_running->loss))
		put_on_wire(s, x);
	if (per_thousand(now_running->duplicate))
		put_on_wire(s, x);
	return 0;
}

struct tgt_conn *tgt_conn_of_slot(struct tgt_adapter *a, uint32_t slot)
{
	struct side *s = (struct side *)(void *)a;

	return slot == s->conn->slot ? s->conn : NULL;
}

void tgt_deliver_data(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		      uint32_t len, bool psh)
{
	struct side *s = (struct side *)(void *)a;

	(void)conn;
	(void)psh;
	assert_false(s->fin_told);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(data[i], byte_of(other(s), s->received + i));
	s->received += len;
}

void tgt_deliver_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct side *s = (struct side *)(void *)a;

	(void)conn;
	assert_false(s->fin_told);
	s->fin_told = true;
}

uint32_t tgt_deliver_buffered_bytes(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	const struct side *s = (const struct side *)(const void *)a;

	(void)conn;
	return s->received - s->consumed;
}

void tgt_deliver_push_expired(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

void tgt_send_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	(void)conn;
	((struct side *)(void *)a)->acked += bytes;
}

void tgt_send_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)conn;
	((struct side *)(void *)a)->fin_acked = true;
}

void tgt_indicate_abort(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)conn;
	((struct side *)(void *)a)->aborts++;
}

void tgt_request_upload(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason)
{
	struct side *s = (struct side *)(void *)a;

	if (conn->state == TGT_TIME_WAIT && reason == TGT_UPLOAD_REQUESTED)
		s->time_wait_offers++;
	else
		s->uploads++;
}

void tgt_forward_progress(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

void tgt_reach_doubt(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

static void check(struct side *s)
{
	const char *wrong = tgt_conn_check(&s->a, s->conn);

	if (wrong)
		fail_msg("seed %u: side %d: %s (%s)", now_running->seed, s->index, wrong,
			 tgt_state_name(s->conn->state));
}

static void make_side(struct side *s, int index)
{
	static const struct arena_pool_spec pools[] = {
		{ .name = "conn", .object_bytes = sizeof(struct tgt_conn), .count = 2 },
		{ .name = "chunk",
		  .object_bytes = TGT_CHUNK_BYTES,
		  .count = 800,
		  .zero_bytes = sizeof(struct tgt_chunk) },
	};

	memset(s, 0, sizeof(*s));
	s->index = index;
	s->a.now_us = 50000000;
	assert_int_equal(arena_create(&s->a.arena, "pair", pools, 2), 0);
	s->a.pool_chunk = 1;
	assert_int_equal(wheel_create(&s->a.wheel, 2, s->a.now_us), 0);
	s->a.params = (struct tgt_params){ .ticks_per_second = 1000,
					   .delayed_ack_us = 40000,
					   .sws_us = 200000,
					   .push_us = 500000,
					   .dup_ack_threshold = 3,
					   .ack_frequency = 2,
					   .max_retransmissions = 15 };
	s->a.limits.conn_send_bytes = 1u << 20;
	s->a.limits.conn_reasm_bytes = 1u << 20;
	s->a.cc = now_running->seed & 1 ? &tgt_cc_cubic : &tgt_cc_newreno;
	s->nic.features = now_running->tso ? NIC_FEAT_TSO4 : 0;
	s->nic.max_frame_bytes = now_running->tso ? 65550 : 1514;
	s->a.nic_info = &s->nic;
	s->iss = index ? 0xffffff00u : 0xfffff800u;
	s->to_send = now_running->bytes;
	s->conn = arena_take(s->a.arena, 0);
	assert_non_null(s->conn);
}

static void fill(struct side *s)
{
	struct tgt_conn *c = s->conn;
	const struct setup *p = now_running;

	tgt_conn_init(&s->a, c, (uint32_t)s->index);
	c->state = TGT_ESTABLISHED;
	c->options = p->options;
	c->remote_mss = 1000;
	c->path_mtu_bytes = 1500;
	c->snd_wscale = c->rcv_wscale = (uint8_t)p->scale;
	c->rcv_buf_bytes = p->buffer;
	c->snd_una = c->snd_nxt = c->snd_max = s->iss;
	c->rcv_nxt = s->index ? 0xfffff800u : 0xffffff00u;
	c->rcv_adv = c->rcv_nxt + p->buffer;
	c->snd_wnd_bytes = c->max_snd_wnd_bytes = p->buffer;
	c->snd_wl1 = c->rcv_nxt;
	c->cwnd_bytes = 10000;
	c->ssthresh_bytes = UINT32_MAX;
	tgt_sendq_begin(c, s->iss);
}

/* What crosses the interface when a connection goes up and down again, and nothing else. */
static void hand_over(struct side *s)
{
	struct tgt_conn old, *c = s->conn;
	struct tgt_chunk_list data;

	if (s->conn->state == TGT_CLOSED || s->conn->state == TGT_TIME_WAIT)
		return;
	tgt_conn_stop(&s->a, c);
	check(s);
	old = *c;
	data = c->sendq.list;
	memset(&c->sendq, 0, sizeof(c->sendq));
	tgt_conn_release(&s->a, c);
	memset(c, 0, sizeof(*c));
	fill(s);
	c->state = old.state;
	c->rcv_nxt = old.rcv_nxt;
	c->rcv_adv = old.rcv_adv;
	c->snd_una = old.snd_una;
	c->snd_nxt = old.snd_nxt;
	c->snd_max = old.snd_max;
	c->snd_wnd_bytes = old.snd_wnd_bytes;
	c->max_snd_wnd_bytes = old.max_snd_wnd_bytes;
	c->snd_wl1 = old.snd_wl1;
	c->cwnd_bytes = old.cwnd_bytes;
	c->ssthresh_bytes = old.ssthresh_bytes;
	c->srtt_us8 = old.srtt_us8;
	c->rttvar_us4 = old.rttvar_us4;
	c->ts_recent = old.ts_recent;
	c->ts_recent_us = old.ts_recent_us;
	c->ts_delta_ticks = old.ts_delta_ticks;
	c->flags = old.flags & TGT_CF_TS_VALID;
	c->total_rt_us = old.total_rt_us;
	c->dup_acks = old.dup_acks;
	c->wnd_probes = old.wnd_probes;
	c->rexmt_count = old.rexmt_count;
	c->rexmt_left_us = old.rexmt_left_us;
	c->ka_left_us = old.ka_left_us;
	c->sendq.list = data;
	assert_int_equal(tgt_conn_start(&s->a, c), 0);
	check(s);
}

/* The application: writes, reads and closes when it feels like it. */
static void application(struct side *s)
{
	uint8_t data[9000];
	uint32_t n = now_running->small_writes ? 1 + rnd(300) : 1 + rnd(sizeof(data) - 1);

	if (n > s->to_send - s->queued)
		n = s->to_send - s->queued;
	if (n && n <= tgt_sendq_room(&s->a, s->conn) && s->conn->sendq.list.bytes < 300000) {
		for (uint32_t i = 0; i < n; i++)
			data[i] = byte_of(s, s->queued + i);
		if (!tgt_sendq_append(&s->a, s->conn, data, n, true))
			s->queued += n;
		tgt_output(&s->a, s->conn, s->a.now_us);
	}
	if (!s->closing && s->queued == s->to_send) {
		s->closing = true;
		tgt_close_send_fin(&s->a, s->conn);
	}
	if (s->consumed != s->received && rnd(3) == 0) {
		s->consumed += 1 + rnd(s->received - s->consumed);
		tgt_rcv_window_changed(&s->a, s->conn);
	}
	check(s);
}

static struct packet *take_due(uint64_t now_us)
{
	unsigned int best = net_count;
	struct packet *p;

	for (unsigned int i = 0; i < net_count; i++)
		if (net[i]->due_us <= now_us &&
		    (best == net_count || net[i]->due_us < net[best]->due_us ||
		     (net[i]->due_us == net[best]->due_us && net[i]->order < net[best]->order)))
			best = i;
	if (best == net_count)
		return NULL;
	p = net[best];
	net[best] = net[--net_count];
	return p;
}

static uint64_t next_event(uint64_t application_us)
{
	uint64_t next = application_us;

	for (int i = 0; i < 2; i++)
		if (tgt_timers_next(&sides[i].a) < next)
			next = tgt_timers_next(&sides[i].a);
	for (unsigned int i = 0; i < net_count; i++)
		if (net[i]->due_us < next)
			next = net[i]->due_us;
	return next > sides[0].a.now_us ? next : sides[0].a.now_us;
}

static bool finished(const struct side *s)
{
	return (s->conn->state == TGT_CLOSED || s->conn->state == TGT_TIME_WAIT) &&
	       s->consumed == s->received;
}

static void deliver_packet(struct packet *p)
{
	struct side *s = &sides[p->to];

	(void)tgt_input(&s->a, s->conn, &p->seg, s->a.now_us);
	check(s);
	free(p->data);
	free(p);
}

static void step(uint64_t *application_us)
{
	struct packet *p;
	uint64_t now = next_event(*application_us);

	sides[0].a.now_us = sides[1].a.now_us = now;
	for (int i = 0; i < 2; i++) {
		tgt_timers_run(&sides[i].a, now);
		check(&sides[i]);
	}
	while ((p = take_due(now)) != NULL)
		deliver_packet(p);
	if (now < *application_us)
		return;
	for (int i = 0; i < 2; i++) {
		application(&sides[i]);
		if (now_running->handover && rnd(60) == 0)
			hand_over(&sides[i]);
	}
	*application_us = now + 200 + rnd(3000);
}

static void judge(const struct side *s)
{
	assert_int_equal(s->received, now_running->bytes);
	assert_int_equal(s->acked, now_running->bytes);
	assert_true(s->fin_told);
	assert_true(s->fin_acked);
	assert_int_equal(s->aborts, 0);
	assert_int_equal(s->uploads, 0);
	assert_int_equal(s->time_wait_offers, s->conn->state == TGT_TIME_WAIT ? 1 : 0);
}

static void drop_side(struct side *s)
{
	tgt_conn_stop(&s->a, s->conn);
	tgt_conn_release(&s->a, s->conn);
	assert_int_equal(arena_used(s->a.arena, s->a.pool_chunk), 0);
	wheel_destroy(s->a.wheel);
	arena_destroy(s->a.arena);
}

static void run(const struct setup *setup)
{
	uint64_t application_us = 50000000, limit_us = 50000000 + 3600ull * 1000000;

	now_running = setup;
	random_state = setup->seed * 0x9e3779b97f4a7c15ull + 1;
	net_count = 0;
	for (int i = 0; i < 2; i++) {
		make_side(&sides[i], i);
		fill(&sides[i]);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(tgt_conn_start(&sides[i].a, sides[i].conn), 0);
	while (!finished(&sides[0]) || !finished(&sides[1])) {
		if (sides[0].a.now_us > limit_us)
			fail_msg("seed %u: not finished within an hour (%s %u/%u, %s %u/%u)",
				 setup->seed, tgt_state_name(sides[0].conn->state),
				 sides[0].received, setup->bytes,
				 tgt_state_name(sides[1].conn->state), sides[1].received,
				 setup->bytes);
		step(&application_us);
	}
	for (int i = 0; i < 2; i++) {
		judge(&sides[i]);
		drop_side(&sides[i]);
	}
	while (net_count) {
		free(net[--net_count]->data);
		free(net[net_count]);
	}
}

static struct setup vary(unsigned int seed)
{
	struct setup s = { .seed = seed, .bytes = 120000, .buffer = 65535, .delay_us = 2000 };

	s.options = (seed & 2 ? TGT_OPT_SACK : 0) | (seed & 4 ? TGT_OPT_TIMESTAMP : 0) |
		    (seed & 8 ? TGT_OPT_NAGLE : 0);
	s.tso = seed & 16;
	s.scale = seed & 32 ? 7 : 0;
	s.buffer = seed & 64 ? 6000 : s.scale ? 300000 : 65535;
	return s;
}

static void test_clean(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 128; seed++) {
		struct setup s = vary(seed);

		run(&s);
	}
}

static void test_lossy(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 128; seed++) {
		struct setup s = vary(seed);

		s.loss = 10 + seed % 5 * 30;
		s.duplicate = 20;
		s.reorder = seed % 3 * 60;
		run(&s);
	}
}

static void test_handover(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 128; seed++) {
		struct setup s = vary(seed);

		s.loss = seed % 4 * 20;
		s.duplicate = 10;
		s.reorder = seed % 3 * 50;
		s.handover = true;
		run(&s);
	}
}

static void test_small_writes(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 64; seed++) {
		struct setup s = vary(seed);

		s.bytes = 15000;
		s.small_writes = true;
		s.loss = seed % 3 * 40;
		s.reorder = 30;
		s.handover = seed & 1;
		run(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_lossy),
		cmocka_unit_test(test_handover),
		cmocka_unit_test(test_small_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
