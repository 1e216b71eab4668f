/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every way to close, at every moment of an offload and an upload, with every interesting segment
 * lost once. Whatever happens, each end must come to rest, nothing but an abort may reset, and no
 * byte may be missing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "nic/nic_sim_frame.h"
#include "req.h"
#include "sim_case.h"

enum closer {
	HOST_FIRST, /* the host closes, the peer when it sees the end of the stream */
	PEER_FIRST,
	BOTH_AT_ONCE,
	HOST_HALF, /* the host closes, the peer goes on to send much data before it closes */
	PEER_HALF,
	HOST_ABORTS,
	PEER_ABORTS,
	CLOSERS,
};

enum moment {
	BEFORE_OFFLOAD, /* closing begins in the kernel, then the connection is moved */
	IN_OFFLOAD,
	OFFLOADED,
	BEFORE_UPLOAD, /* closing begins at the target, then the connection is moved */
	IN_UPLOAD,
	UPLOADED,
	MOMENTS,
};

enum loss { NO_LOSS, FIN_OF_HOST, FIN_OF_PEER, ACK_TO_HOST, ACK_TO_PEER, LOSSES };

enum {
	FIRST_BYTES = 30000,
	LATER_BYTES = 150000,
	MOVE_DELAY_US = 700,
	HALF_RTT_US = 150,
};

static const char *const closer_names[] = { "host first", "peer first", "both at once",
					    "host half",  "peer half",  "host aborts",
					    "peer aborts" };
static const char *const moment_names[] = { "before offload", "in offload", "offloaded",
					    "before upload",  "in upload",  "uploaded" };
static const char *const loss_names[] = { "no loss", "FIN of host", "FIN of peer", "ACK to host",
					  "ACK to peer" };

/* Drops one segment of the kind that is asked for. */
struct dropper {
	enum loss loss;
	bool done;
	bool fin_seen[SIM_SIDES];
	uint32_t fin_ack[SIM_SIDES]; /* what acknowledges the FIN of that side */
};

static enum nic_sim_verdict drop(struct dropper *d, enum sim_side from,
				 const struct nic_sim_packet *packet)
{
	enum sim_side other = from ^ 1u;
	struct nic_sim_view view;
	bool hit;

	if (!nic_sim_view(packet->data, packet->len, &view))
		return NIC_SIM_PASS;
	if (view.flags & NIC_SIM_FIN) {
		hit = !d->done && d->loss == (from == SIM_AT_HOST ? FIN_OF_HOST : FIN_OF_PEER);
		d->done |= hit;
		if (hit)
			return NIC_SIM_DROP;
		d->fin_seen[from] = true;
		d->fin_ack[from] = view.seq + view.payload_len + 1;
	}
	hit = !d->done && d->fin_seen[other] && view.ack == d->fin_ack[other] &&
	      d->loss == (other == SIM_AT_HOST ? ACK_TO_HOST : ACK_TO_PEER);
	d->done |= hit;
	return hit ? NIC_SIM_DROP : NIC_SIM_PASS;
}

static enum nic_sim_verdict drop_up(void *ctx, const struct nic_sim_packet *packet)
{
	return drop(ctx, SIM_AT_HOST, packet);
}

static enum nic_sim_verdict drop_down(void *ctx, const struct nic_sim_packet *packet)
{
	return drop(ctx, SIM_AT_PEER, packet);
}

/*
 * The other end answers the end of the stream by closing, after more data when it is a half close.
 */
static void close_at_eof(struct sim_sock *sock)
{
	sim_sock_close(sock);
}

static void send_and_close_at_eof(struct sim_sock *sock)
{
	sim_sock_send(sock, LATER_BYTES);
	sim_sock_close(sock);
}

static void begin_close(struct sim_case *c, enum closer closer)
{
	switch (closer) {
	case HOST_FIRST:
	case HOST_HALF:
		c->peer->app.eof = closer == HOST_HALF ? send_and_close_at_eof : close_at_eof;
		sim_sock_close(c->host);
		break;
	case PEER_FIRST:
	case PEER_HALF:
		c->host->app.eof = closer == PEER_HALF ? send_and_close_at_eof : close_at_eof;
		sim_sock_close(c->peer);
		break;
	case BOTH_AT_ONCE:
		sim_sock_close(c->host);
		sim_sock_close(c->peer);
		break;
	case HOST_ABORTS:
		sim_sock_abort(c->host);
		break;
	case PEER_ABORTS:
		sim_sock_abort(c->peer);
		break;
	case CLOSERS:
		break;
	}
}

/*
 * Order a move, which an end that is over already refuses, and begin to close on the way when
 * asked.
 */
static void move_and_close(struct sim_case *c, enum sim_place to, bool close_now,
			   enum closer closer)
{
	sim_sock_move(c->host, to);
	if (close_now) {
		sim_world_run_for(c->world, HALF_RTT_US);
		begin_close(c, closer);
	}
	CASE_WAIT(c, case_host_moved, 10 * CASE_S);
}

static void play(struct sim_case *c, enum closer closer, enum moment moment)
{
	c->host->move_delay_us = MOVE_DELAY_US;
	sim_sock_send(c->host, FIRST_BYTES);
	sim_sock_send(c->peer, FIRST_BYTES);
	sim_world_run_for(c->world, 300);
	if (moment == BEFORE_OFFLOAD) {
		begin_close(c, closer);
		sim_world_run_for(c->world, HALF_RTT_US);
	}
	move_and_close(c, SIM_TARGET, moment == IN_OFFLOAD, closer);
	if (moment == OFFLOADED || moment == BEFORE_UPLOAD)
		begin_close(c, closer);
	if (moment == BEFORE_UPLOAD)
		sim_world_run_for(c->world, HALF_RTT_US);
	if (moment >= BEFORE_UPLOAD)
		move_and_close(c, SIM_KERNEL, moment == IN_UPLOAD, closer);
	if (moment == UPLOADED)
		begin_close(c, closer);
	CASE_WAIT(c, case_ended, 300 * CASE_S);
}

static void check_graceful(struct sim_case *c)
{
	CASE(c, !c->host->aborted && !c->peer->aborted);
	CASE_REQ(c, "DIS-04",
		 c->world->counts.resets_to_peer == 0 && c->world->counts.resets_from_peer == 0);
	CASE_REQ(c, "DIS-23", c->host->rx.eof && c->peer->rx.eof);
	CASE_REQ(c, "DIS-14", case_all_read(c));
	CASE_REQ(c, "DIS-15", c->host->tx.fin_acked && c->peer->tx.fin_acked);
}

static void check_abort(struct sim_case *c, enum closer closer)
{
	struct sim_sock *aborter = closer == HOST_ABORTS ? c->host : c->peer;
	struct sim_sock *other = closer == HOST_ABORTS ? c->peer : c->host;

	CASE_REQ(c, "DIS-03", aborter->aborted && !aborter->reset_by_peer);
	CASE_REQ(c, "DIS-25", other->aborted && other->reset_by_peer);
	CASE_REQ(c, "DIS-27", !other->tx.sends && other->rx.posts == 0);
	CASE(c, c->peer->rx.got <= c->host->tx.queued && c->host->rx.got <= c->peer->tx.queued);
}

static void one(enum closer closer, enum moment moment, enum loss loss, uint64_t seed)
{
	struct dropper dropper = { .loss = loss };
	struct sim_config config;
	struct sim_case c;

	sim_config_default(&config, seed);
	config.up.rule = drop_up;
	config.down.rule = drop_down;
	config.up.rule_ctx = config.down.rule_ctx = &dropper;
	case_begin(&c, &config);
	if (case_env("SIM_ECHO", 0))
		fprintf(stderr, "%s, %s, %s\n", closer_names[closer], moment_names[moment],
			loss_names[loss]);
	sim_note(c.world, "%s, %s, %s", closer_names[closer], moment_names[moment],
		 loss_names[loss]);
	case_plain(&c, seed & 1 ? SIM_V6 : SIM_V4);
	c.host->rx.mode = c.peer->rx.mode = SIM_RX_MIXED;
	play(&c, closer, moment);
	if (closer == HOST_ABORTS || closer == PEER_ABORTS)
		check_abort(&c, closer);
	else
		check_graceful(&c);
	CASE(&c, loss == NO_LOSS || closer >= HOST_ABORTS || dropper.done);
	case_end(&c);
}

static void matrix(enum closer closer)
{
	uint64_t only = case_env("SIM_FIRST", 0), seed;
	int moment, loss;

	for (moment = 0; moment < MOMENTS; moment++) {
		for (loss = 0; loss < LOSSES; loss++) {
			seed = 1 + (uint64_t)closer * 1000 + (uint64_t)moment * 10 + (uint64_t)loss;
			if (only == 0 || only == seed)
				one(closer, moment, loss, seed);
		}
	}
}

#define CLOSE_TEST(name, closer)                                                                   \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		matrix(closer);                                                                    \
	}
CLOSE_TEST(test_host_first, HOST_FIRST)
CLOSE_TEST(test_peer_first, PEER_FIRST)
CLOSE_TEST(test_both_at_once, BOTH_AT_ONCE)
CLOSE_TEST(test_host_half, HOST_HALF)
CLOSE_TEST(test_peer_half, PEER_HALF)
CLOSE_TEST(test_host_aborts, HOST_ABORTS)
CLOSE_TEST(test_peer_aborts, PEER_ABORTS)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_first),   cmocka_unit_test(test_peer_first),
		cmocka_unit_test(test_both_at_once), cmocka_unit_test(test_host_half),
		cmocka_unit_test(test_peer_half),    cmocka_unit_test(test_host_aborts),
		cmocka_unit_test(test_peer_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
