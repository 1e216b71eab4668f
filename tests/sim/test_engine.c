/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two engines and nothing else on a lossy link: no NDIS, no frames. Each seed draws options,
 * windows, reader speed, a congestion control and a link; both ends send and close. After every
 * event the invariants of both connections are checked, and every byte is compared. A failure here
 * is the engine's own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wheel.h"
#include "nic/nic_sim_net.h"
#include "req.h"
#include "target/tgt_cc.h"
#include "target/tgt_chunk.h"
#include "target/tgt_conn.h"
#include "target/tgt_sendq.h"

enum {
	SEEDS = 400,
	CHUNKS = 700,
	BYTES_SPAN = 150000,
	L2_BYTES = 14, /* what the link takes for an Ethernet header; unused here */
	LIMIT_S = 900,
};

/* A segment as it travels between the two engines. */
struct wire {
	uint8_t l2[L2_BYTES + 2];
	tcp_seq seq, ack;
	uint32_t len;
	uint16_t wnd_raw;
	uint8_t flags, opt_len, ecn;
	uint8_t opt[40];
	uint8_t data[];
};

struct end {
	struct tgt_adapter a; /* first: the engine's callbacks get it */
	struct nic_sim_node node;
	struct nic_sim_link out;
	struct tgt_conn *conn;
	struct nic_info nic_info;
	const char *name;
	tcp_seq snd_base, rcv_base;
	uint64_t goal, queued, received, held; /* held: received, not yet taken by the reader */
	uint32_t read_rate;                    /* bytes the reader takes a millisecond */
	uint64_t read_due_us;
	bool fin_ordered, fin_received, fin_acked, over;
};

static struct nic_sim_net net;
static struct end ends[2];
static uint64_t seed;
static uint64_t total_bytes, total_lost, total_reordered, total_us; /* over all seeds */

static uint8_t byte_at(const struct end *sender, uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8) * 31 + (offset >> 16) + (sender == &ends[1]));
}

static struct end *other(struct end *end)
{
	return end == &ends[0] ? &ends[1] : &ends[0];
}

static void check(bool ok, const char *what)
{
	if (!ok)
		fail_msg("seed %llu at %llu us: %s", (unsigned long long)seed,
			 (unsigned long long)net.now_us, what);
}

static void check_end(struct end *end)
{
	const char *wrong = tgt_conn_check(&end->a, end->conn);

	if (wrong)
		fail_msg("seed %llu at %llu us, %s in %s: %s", (unsigned long long)seed,
			 (unsigned long long)net.now_us, end->name,
			 tgt_state_name(end->conn->state), wrong);
}

/* ---- the DDI side, as far as an engine needs it ---- */

struct tgt_conn *tgt_conn_of_slot(struct tgt_adapter *a, uint32_t slot)
{
	return slot == 0 ? ((struct end *)a)->conn : NULL;
}

void tgt_deliver_data(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		      uint32_t len, bool psh)
{
	struct end *end = (struct end *)a;
	uint32_t i;

	(void)conn;
	(void)psh;
	for (i = 0; i < len; i++) {
		if (data[i] != byte_at(other(end), end->received + i))
			fail_msg("seed %llu, %s: byte %llu is wrong", (unsigned long long)seed,
				 end->name, (unsigned long long)(end->received + i));
	}
	end->received += len;
	end->held += len;
	check(!end->fin_received, "data behind FIN");
}

void tgt_deliver_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct end *end = (struct end *)a;

	(void)conn;
	check(!end->fin_received, "a second FIN");
	end->fin_received = true;
}

uint32_t tgt_deliver_buffered_bytes(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	(void)conn;
	return (uint32_t)((const struct end *)a)->held;
}

void tgt_deliver_push_expired(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
}

void tgt_send_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	(void)a;
	(void)conn;
	check(bytes > 0, "nothing acknowledged");
}

void tgt_send_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)conn;
	((struct end *)a)->fin_acked = true;
}

void tgt_indicate_abort(struct tgt_adapter *a, struct tgt_conn *conn)
{
	(void)a;
	(void)conn;
	check(false, "aborted");
}

void tgt_request_upload(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason)
{
	(void)a;
	check(conn->state == TGT_TIME_WAIT && reason == TGT_UPLOAD_REQUESTED, "upload requested");
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

static void transmit(struct end *end, const struct tgt_xmit *xmit, uint32_t from, uint32_t len,
		     bool last)
{
	struct nic_sim_packet *packet =
		nic_sim_packet_new(&net, (uint32_t)sizeof(struct wire) + len);
	struct wire *wire = (struct wire *)(void *)packet->data;
	uint32_t skip = from, done = 0;
	unsigned int i;

	memset(wire, 0, sizeof(*wire));
	wire->seq = xmit->seq + from;
	wire->ack = xmit->ack;
	wire->len = len;
	wire->wnd_raw = xmit->wnd_raw;
	wire->flags = last ? xmit->flags : xmit->flags & (uint8_t) ~(TGT_TH_FIN | TGT_TH_PSH);
	wire->opt_len = xmit->opt_len;
	memcpy(wire->opt, xmit->opt, xmit->opt_len);
	for (i = 0; i < xmit->iovcnt && done < len; i++) {
		const uint8_t *base = xmit->iov[i].iov_base;
		size_t room = xmit->iov[i].iov_len, part;

		if (skip >= room) {
			skip -= (uint32_t)room;
			continue;
		}
		part = room - skip < len - done ? room - skip : len - done;
		memcpy(wire->data + done, base + skip, part);
		done += (uint32_t)part;
		skip = 0;
	}
	check(done == len, "a segment is shorter than it says");
	end->out.node.forward(&end->out.node, packet);
}

int tgt_frame_xmit(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_xmit *xmit)
{
	struct end *end = (struct end *)a;
	uint32_t size = xmit->gso_size ? xmit->gso_size : xmit->len, from = 0;

	check(!xmit->gso_size || xmit->gso_size == tgt_conn_mss(conn),
	      "segment size of a super-frame");
	check(size <= tgt_conn_mss(conn), "a segment above the MSS");
	do {
		uint32_t len = xmit->len - from < size ? xmit->len - from : size;

		transmit(end, xmit, from, len, from + len == xmit->len);
		from += len;
	} while (from < xmit->len);
	return 0;
}

/* ---- the run ---- */

static void arrive(struct nic_sim_node *node, struct nic_sim_packet *packet)
{
	struct end *end = node == &ends[0].node ? &ends[0] : &ends[1];
	const struct wire *wire = (const struct wire *)(const void *)packet->data;
	struct tgt_segment seg = {
		.seq = wire->seq,
		.ack = wire->ack,
		.wnd_raw = wire->wnd_raw,
		.flags = wire->flags,
		.opt = wire->opt,
		.opt_len = wire->opt_len,
		.data = wire->data,
		.len = wire->len,
	};

	end->a.now_us = net.now_us;
	tgt_input(&end->a, end->conn, &seg, net.now_us);
	check_end(end);
	nic_sim_packet_free(packet);
}

static uint64_t never(const struct nic_sim_node *node)
{
	(void)node;
	return NIC_SIM_NEVER;
}

static void nothing(struct nic_sim_node *node)
{
	(void)node;
}

static void write_some(struct end *end)
{
	uint8_t piece[8192];
	bool wrote = false;

	while (end->queued < end->goal && tgt_sendq_room(&end->a, end->conn) >= sizeof(piece)) {
		uint64_t left = end->goal - end->queued;
		uint32_t len = 1 + (uint32_t)nic_sim_rng_below(&net.rng, sizeof(piece)), i;

		if (len > left)
			len = (uint32_t)left;
		for (i = 0; i < len; i++)
			piece[i] = byte_at(end, end->queued + i);
		check(tgt_sendq_append(&end->a, end->conn, piece, len, true) == 0,
		      "send queue refuses");
		end->queued += len;
		wrote = true;
	}
	if (wrote)
		tgt_output(&end->a, end->conn, net.now_us);
	if (end->queued == end->goal && !end->fin_ordered) {
		end->fin_ordered = true;
		tgt_close_send_fin(&end->a, end->conn);
	}
}

static void read_some(struct end *end)
{
	if (end->read_due_us > net.now_us)
		return;
	end->read_due_us = net.now_us + 1000;
	if (end->held == 0)
		return;
	end->held -= end->held < end->read_rate ? end->held : end->read_rate;
	tgt_rcv_window_changed(&end->a, end->conn);
}

static void serve(struct end *end)
{
	end->a.now_us = net.now_us;
	if (tgt_timers_next(&end->a) <= net.now_us)
		tgt_timers_run(&end->a, net.now_us);
	check_end(end);
	if (end->conn->state != TGT_CLOSED)
		read_some(end);
	if (!end->fin_ordered)
		write_some(end);
	check_end(end);
	end->over = end->fin_acked && end->fin_received;
}

static uint64_t due(const struct end *end)
{
	uint64_t at = tgt_timers_next(&end->a);

	return end->held > 0 && end->read_due_us < at ? end->read_due_us : at;
}

static bool all_over(void)
{
	return ends[0].over && ends[1].over;
}

static void run(void)
{
	serve(&ends[0]);
	serve(&ends[1]);
	while (!all_over()) {
		uint64_t next = nic_sim_net_next(&net);
		int i;

		for (i = 0; i < 2; i++) {
			if (due(&ends[i]) < next)
				next = due(&ends[i]);
		}
		check(next != NIC_SIM_NEVER, "nothing will ever happen again");
		check(net.now_us < LIMIT_S * 1000000ull, "no end in time");
		nic_sim_net_run(&net, next);
		serve(&ends[0]);
		serve(&ends[1]);
	}
}

static void make_adapter(struct end *end)
{
	static const struct arena_pool_spec pools[] = {
		{ .name = "conn", .object_bytes = sizeof(struct tgt_conn), .count = 1 },
		{ .name = "chunk",
		  .object_bytes = TGT_CHUNK_BYTES,
		  .count = CHUNKS,
		  .zero_bytes = sizeof(struct tgt_chunk) },
	};

	end->a.now_us = net.now_us;
	assert_int_equal(arena_create(&end->a.arena, "engine", pools, 2), 0);
	end->a.pool_conn = 0;
	end->a.pool_chunk = 1;
	assert_int_equal(wheel_create(&end->a.wheel, 1, net.now_us), 0);
	end->a.params = (struct tgt_params){ .ticks_per_second = 1000,
					     .delayed_ack_us = 40000,
					     .sws_us = 200000,
					     .push_us = 500000,
					     .dup_ack_threshold = 3,
					     .ack_frequency = 2,
					     .max_retransmissions = 15 };
	end->a.limits.conn_send_bytes = 256 << 10;
	end->a.limits.conn_reasm_bytes = 256 << 10;
	end->a.cc = nic_sim_rng_below(&net.rng, 2) ? &tgt_cc_cubic : &tgt_cc_newreno;
	end->nic_info.max_frame_bytes = 65535;
	end->nic_info.features = nic_sim_rng_below(&net.rng, 2) ? NIC_FEAT_TSO4 : 0;
	end->a.nic_info = &end->nic_info;
	end->conn = arena_take(end->a.arena, 0);
	tgt_conn_init(&end->a, end->conn, 0);
}

/* What both ends agreed on in a handshake. */
struct agreement {
	uint32_t options;
	tcp_seq iss[2];
	uint32_t buffer[2];
	uint8_t wscale[2];
	uint16_t mss;
};

static uint32_t window(const struct agreement *agreement, int i)
{
	uint32_t most = 65535u << agreement->wscale[i];
	uint32_t bytes = agreement->buffer[i] < most ? agreement->buffer[i] : most;

	return bytes >> agreement->wscale[i] << agreement->wscale[i];
}

static void make_conn(struct end *end, const struct agreement *agreement)
{
	struct tgt_conn *conn = end->conn;
	int i = (int)(end - ends), j = i ^ 1;

	conn->state = TGT_ESTABLISHED;
	conn->options = agreement->options;
	conn->remote_mss = agreement->mss;
	conn->path_mtu_bytes = 1500;
	conn->rcv_buf_bytes = agreement->buffer[i];
	conn->rcv_wscale = agreement->wscale[i];
	conn->snd_wscale = agreement->wscale[j];
	conn->rcv_nxt = end->rcv_base = agreement->iss[j];
	conn->rcv_adv = conn->rcv_nxt + window(agreement, i);
	conn->snd_una = conn->snd_nxt = conn->snd_max = end->snd_base = agreement->iss[i];
	conn->snd_wnd_bytes = conn->max_snd_wnd_bytes = window(agreement, j);
	conn->snd_wl1 = conn->rcv_nxt;
	conn->cwnd_bytes = 10 * tgt_conn_mss(conn);
	conn->ssthresh_bytes = 0x7fffffff;
	tgt_sendq_begin(conn, conn->snd_una);
}

static void make_link(struct end *end)
{
	struct nic_sim_link_params params = {
		.bits_per_s = 10000000ull << nic_sim_rng_below(&net.rng, 8),
		.delay_us = 20 + (uint32_t)nic_sim_rng_below(&net.rng, 20000),
		.queue_bytes = 32 << 10 << nic_sim_rng_below(&net.rng, 5),
		.loss_ppm = 10000u * (uint32_t)nic_sim_rng_below(&net.rng, 6),
		.duplicate_ppm = 10000,
		.reorder_ppm = 10000u * (uint32_t)nic_sim_rng_below(&net.rng, 4),
		.reorder_us = 1 + (uint32_t)nic_sim_rng_below(&net.rng, 8000),
	};

	nic_sim_link_init(&end->out, &net, end->name, &other(end)->node, &params);
}

static void draw(struct agreement *agreement)
{
	static const uint32_t buffers[] = { 4096, 16384, 65536, 300000 };
	int i;

	memset(agreement, 0, sizeof(*agreement));
	agreement->options = (uint32_t)nic_sim_rng_below(&net.rng, TGT_OPT_NAGLE * 2);
	agreement->mss = (uint16_t)(nic_sim_rng_below(&net.rng, 4) ? 1460 : 536);
	for (i = 0; i < 2; i++) {
		agreement->iss[i] = 0u - (uint32_t)nic_sim_rng_below(&net.rng, BYTES_SPAN);
		agreement->buffer[i] = buffers[nic_sim_rng_below(&net.rng, 4)];
		agreement->wscale[i] = (uint8_t)nic_sim_rng_below(&net.rng, 8);
	}
}

static void one_seed(void)
{
	struct agreement agreement;
	int i;

	nic_sim_net_init(&net, seed);
	net.now_us = 1000000;
	memset(ends, 0, sizeof(ends));
	for (i = 0; i < 2; i++) {
		ends[i].name = i ? "b" : "a";
		ends[i].node = (struct nic_sim_node){ .name = ends[i].name,
						      .forward = arrive,
						      .next_run_at = never,
						      .run = nothing };
		nic_sim_net_add(&net, &ends[i].node);
	}
	draw(&agreement);
	for (i = 0; i < 2; i++) {
		make_link(&ends[i]);
		make_adapter(&ends[i]);
		make_conn(&ends[i], &agreement);
		ends[i].goal = nic_sim_rng_below(&net.rng, BYTES_SPAN);
		ends[i].read_rate = 100u << nic_sim_rng_below(&net.rng, 12);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(tgt_conn_start(&ends[i].a, ends[i].conn), 0);
		check_end(&ends[i]);
	}
	run();
	for (i = 0; i < 2; i++) {
		check(ends[i].received == other(&ends[i])->goal, "bytes are missing");
		tgt_conn_stop(&ends[i].a, ends[i].conn);
		tgt_conn_release(&ends[i].a, ends[i].conn);
		check(arena_used(ends[i].a.arena, 1) == 0, "chunks are lost");
		wheel_destroy(ends[i].a.wheel);
		arena_destroy(ends[i].a.arena);
		total_bytes += ends[i].received;
		total_lost += ends[i].out.stats.fates[NIC_SIM_LOST];
		total_reordered += ends[i].out.stats.fates[NIC_SIM_REORDERED];
		nic_sim_link_clear(&ends[i].out);
	}
	total_us += net.now_us;
}

static void test_engine_pairs(void **state)
{
	const char *count_text = getenv("SIM_SEEDS"), *first_text = getenv("SIM_FIRST");
	uint64_t count = count_text ? strtoull(count_text, NULL, 0) : SEEDS;
	uint64_t first = first_text ? strtoull(first_text, NULL, 0) : 1;

	(void)state;
	for (seed = first; seed < first + count; seed++)
		one_seed();
	printf("%llu bytes in %llu s of virtual time, %llu segments lost, %llu reordered\n",
	       (unsigned long long)total_bytes, (unsigned long long)(total_us / 1000000),
	       (unsigned long long)total_lost, (unsigned long long)total_reordered);
	assert_true(count < 100 ||
		    (total_lost > count && total_reordered > count && total_bytes > count * 10000));
	req_passed("TCP-05");
	req_passed("TCP-10");
	req_passed("TCP-13");
	req_passed("TCP-15");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
