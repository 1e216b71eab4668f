/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closed windows at the moment of an offload and of an upload, slow readers, and a full buffer when
 * the last data and the FIN arrive. Field cases, E-04, E-24, E-32.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "nic/nic_sim_frame.h"
#include "req.h"
#include "sim_case.h"

enum {
	SMALL_BUFFER = 32 << 10,
	MUCH = 400000,
	SOON_US = 20000, /* far below any retransmission or persist timeout */
};

/* Segments that the rule throws away while armed. */
struct filter {
	bool drop_window_updates; /* towards the sender that waits: segments without payload */
	bool drop_probes;         /* one byte, or nothing new */
	uint64_t dropped;
};

static enum nic_sim_verdict filter_updates(void *ctx, const struct nic_sim_packet *packet)
{
	struct filter *f = ctx;
	struct nic_sim_view view;

	if (!f->drop_window_updates || !nic_sim_view(packet->data, packet->len, &view) ||
	    view.payload_len > 0)
		return NIC_SIM_PASS;
	f->dropped++;
	return NIC_SIM_DROP;
}

static enum nic_sim_verdict filter_probes(void *ctx, const struct nic_sim_packet *packet)
{
	struct filter *f = ctx;
	struct nic_sim_view view;

	if (!f->drop_probes || !nic_sim_view(packet->data, packet->len, &view) ||
	    view.payload_len > 1)
		return NIC_SIM_PASS;
	f->dropped++;
	return NIC_SIM_DROP;
}

static struct filter filter;

/* A connection with a small receive buffer at one side, whose reader does not read yet. */
static void begin(struct sim_case *c, enum sim_side reader, uint64_t seed)
{
	struct sim_config config;
	struct sim_conn_config conn = {
		.family = seed & 1 ? SIM_V6 : SIM_V4,
		.timestamps = true,
		.sack = true,
		.wscale = { 2, 2 },
		.rcv_buf_bytes = { 512 << 10, 512 << 10 },
		.iss = { 0xfffff000, 0xffffe000 },
		.ts_now = { 77, 99 },
	};
	struct sim_sock *sock;

	memset(&filter, 0, sizeof(filter));
	sim_config_default(&config, seed);
	config.up.rule_ctx = config.down.rule_ctx = &filter;
	config.up.rule = reader == SIM_AT_HOST ? filter_updates : filter_probes;
	config.down.rule = reader == SIM_AT_HOST ? filter_probes : filter_updates;
	conn.rcv_buf_bytes[reader] = SMALL_BUFFER;
	conn.reader_waits[reader] = true;
	case_begin(c, &config);
	case_connect(c, &conn);
	sock = reader == SIM_AT_HOST ? c->host : c->peer;
	sock->rx.mode = SIM_RX_MIXED;
	c->host->move_delay_us = 500;
	sim_sock_send(reader == SIM_AT_HOST ? c->peer : c->host, MUCH);
	sim_world_run_for(c->world, 50000);
	CASE(c, sock->rx.got == 0);
}

static uint64_t got_before;

static bool host_got_more(struct sim_case *c)
{
	return c->host->rx.got > got_before + SMALL_BUFFER;
}

static bool peer_got_more(struct sim_case *c)
{
	return c->peer->rx.got > got_before + SMALL_BUFFER;
}

/* Everything read, then an orderly end. */
static void finish(struct sim_case *c)
{
	CASE_WAIT(c, case_all_read, 300 * CASE_S);
	case_close(c);
	case_end(c);
}

/*
 * R-25, E-04: the buffer is full at the hand-over; when the program reads, the peer learns it at
 * once.
 */
static void full_buffer_at(enum sim_place to, uint64_t seed)
{
	struct sim_case c;

	begin(&c, SIM_AT_HOST, seed);
	if (to == SIM_KERNEL)
		case_move(&c, SIM_TARGET);
	case_move(&c, to);
	CASE_REQ(&c, "BUF-03", c.host->rx.got == 0);
	filter.drop_probes = true; /* a window update must do it, not an answer to a probe */
	sim_world_run_for(c.world, 10000);
	got_before = 0;
	sim_sock_read(c.host, UINT64_MAX);
	CASE_WAIT(&c, host_got_more, SOON_US);
	filter.drop_probes = false;
	CASE_REQ(&c, "BUF-08", c.host->rx.got > SMALL_BUFFER);
	finish(&c);
}

static void test_full_buffer_at_offload(void **state)
{
	(void)state;
	full_buffer_at(SIM_TARGET, 1);
	full_buffer_at(SIM_TARGET, 2);
}

static void test_full_buffer_at_upload(void **state)
{
	(void)state;
	full_buffer_at(SIM_KERNEL, 3);
	full_buffer_at(SIM_KERNEL, 4);
}

/* the peer's window is closed at the hand-over; data flows again as soon as it opens. */
static void closed_peer_at(enum sim_place to, uint64_t seed)
{
	struct sim_case c;

	begin(&c, SIM_AT_PEER, seed);
	if (to == SIM_KERNEL)
		case_move(&c, SIM_TARGET);
	case_move(&c, to);
	sim_world_run_for(c.world, 10000);
	got_before = 0;
	sim_sock_read(c.peer, UINT64_MAX);
	CASE_WAIT(&c, peer_got_more, SOON_US);
	finish(&c);
}

static void test_closed_peer_at_offload(void **state)
{
	(void)state;
	closed_peer_at(SIM_TARGET, 5);
	closed_peer_at(SIM_TARGET, 6);
}

static void test_closed_peer_at_upload(void **state)
{
	(void)state;
	closed_peer_at(SIM_KERNEL, 7);
	closed_peer_at(SIM_KERNEL, 8);
}

/*
 * The window update is lost: probing goes on at the new place where the old one was (TMR-28,
 * TMR-29).
 */
static void lost_update_at(enum sim_place to, uint64_t seed)
{
	struct sim_case c;

	begin(&c, SIM_AT_PEER, seed);
	if (to == SIM_KERNEL)
		case_move(&c, SIM_TARGET);
	sim_world_run_for(c.world, CASE_S); /* a few probes */
	case_move(&c, to);
	filter.drop_window_updates = true;
	sim_sock_read(c.peer, UINT64_MAX);
	sim_world_run_for(c.world, 1000);
	filter.drop_window_updates = false;
	CASE(&c, filter.dropped > 0 && c.peer->rx.got <= SMALL_BUFFER);
	got_before = 0;
	CASE_WAIT(&c, peer_got_more, 60 * CASE_S);
	CASE_REQ(&c, "TMR-26", c.peer->rx.got > SMALL_BUFFER);
	finish(&c);
}

static void test_lost_window_update(void **state)
{
	(void)state;
	lost_update_at(SIM_TARGET, 9);
	lost_update_at(SIM_KERNEL, 10);
}

/* A reader that takes a little now and then, through four hand-overs. */
static void slow_reader(enum sim_side reader, uint64_t seed)
{
	struct sim_case c;
	struct sim_sock *sock;
	int i;

	begin(&c, reader, seed);
	sock = reader == SIM_AT_HOST ? c.host : c.peer;
	for (i = 0; i < 40; i++) {
		if (i % 10 == 5)
			case_move(&c, c.host->at->place == SIM_TARGET ? SIM_KERNEL : SIM_TARGET);
		sim_sock_read(sock, 1 + nic_sim_rng_below(&c.world->rng, 9000));
		sim_world_run_for(c.world, 20000);
		CASE(&c, sock->rx.got <= sock->rx.goal);
	}
	CASE(&c, c.host->counts.moves == 4 && sock->rx.got > 0);
	sim_sock_read(sock, UINT64_MAX);
	finish(&c);
}

static void test_slow_reader(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 20; seed < 30; seed++)
		slow_reader(seed & 2 ? SIM_AT_HOST : SIM_AT_PEER, seed);
}

static bool host_eof(struct sim_case *c)
{
	return c->host->rx.eof;
}

/*
 * E-32: the last data and the FIN find a full buffer; the program still sees every byte, then the
 * end.
 */
static void fin_at_full_buffer(bool at_target, bool move, uint64_t seed)
{
	struct sim_case c;

	begin(&c, SIM_AT_HOST, seed);
	if (at_target)
		case_move(&c, SIM_TARGET);
	sim_sock_close(c.peer);
	c.peer->tx.goal = c.peer->tx.queued; /* FIN right behind what is queued */
	sim_host_wake(c.peer);
	sim_world_run_for(c.world, 100000);
	CASE_REQ(&c, "DIS-23", !c.host->rx.eof && c.host->rx.got == 0);
	if (move)
		case_move(&c, at_target ? SIM_KERNEL : SIM_TARGET);
	CASE(&c, !c.host->rx.eof);
	sim_sock_read(c.host, UINT64_MAX);
	CASE_WAIT(&c, host_eof, 120 * CASE_S);
	CASE(&c, c.host->rx.got == c.peer->tx.goal);
	finish(&c);
}

static void test_fin_at_full_buffer(void **state)
{
	(void)state;
	fin_at_full_buffer(true, false, 40);
	fin_at_full_buffer(true, true, 41);
	fin_at_full_buffer(false, false, 42);
	fin_at_full_buffer(false, true, 43);
}

/* E-24: close with a full queue and a window that is closed for half a minute. */
static void test_close_with_full_queue(void **state)
{
	struct sim_case c;
	uint64_t seed;

	(void)state;
	for (seed = 50; seed < 52; seed++) {
		begin(&c, SIM_AT_PEER, seed);
		sim_sock_close(c.host);
		case_move(&c, SIM_TARGET);
		sim_world_run_for(c.world, 30 * CASE_S);
		CASE(&c, c.host->phase == SIM_LIVE && !c.host->aborted);
		if (seed == 51)
			case_move(&c, SIM_KERNEL);
		sim_sock_read(c.peer, UINT64_MAX);
		finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_buffer_at_offload),
		cmocka_unit_test(test_full_buffer_at_upload),
		cmocka_unit_test(test_closed_peer_at_offload),
		cmocka_unit_test(test_closed_peer_at_upload),
		cmocka_unit_test(test_lost_window_update),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_fin_at_full_buffer),
		cmocka_unit_test(test_close_with_full_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
