/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_case.h"

#define TRACE_LINES 60

void case_check(struct sim_case *c, bool ok, const char *what, const char *file, int line)
{
	if (ok && !c->world->failed)
		return;
	fprintf(stderr, "\nseed %llu, %s:%d: %s\n", (unsigned long long)c->seed, file, line, what);
	if (c->world->failed)
		fprintf(stderr, "world: %s\n", c->world->failure);
	sim_trace_dump(&c->world->trace, stderr, (unsigned int)case_env("SIM_LINES", TRACE_LINES));
	if (c->peer)
		fprintf(stderr,
			"peer phase %d tx %llu/%llu acked %llu rx %llu; host phase %d tx %llu/%llu "
			"acked %llu rx %llu\n",
			c->peer->phase, (unsigned long long)c->peer->tx.queued,
			(unsigned long long)c->peer->tx.goal, (unsigned long long)c->peer->tx.acked,
			(unsigned long long)c->peer->rx.got, c->host->phase,
			(unsigned long long)c->host->tx.queued,
			(unsigned long long)c->host->tx.goal, (unsigned long long)c->host->tx.acked,
			(unsigned long long)c->host->rx.got);
	fail_msg("seed %llu: %s", (unsigned long long)c->seed,
		 c->world->failed ? c->world->failure : what);
}

uint64_t case_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t case_scaled(uint64_t count)
{
	const char *text = getenv("CHIMNEY_TEST_SCALE");
	double scaled = (double)count * (text && *text ? strtod(text, NULL) : 1.0);

	return scaled < 1 ? 1 : (uint64_t)scaled;
}

static void watch(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		  const struct nic_sim_packet *packet)
{
	struct sim_case *c = ctx;
	struct nic_sim_view view;

	if (fate != NIC_SIM_SENT || node == nic_sim_node(c->world->bindings[SIM_PEER].nic) ||
	    !c->host)
		return;
	if (!nic_sim_view(packet->data, packet->len, &view) || !view.has_ts ||
	    view.dst_port != SIM_PEER_PORT + c->host->number)
		return;
	if (c->ts_seen && (int32_t)(view.ts_val - c->last_ts) < 0)
		c->ts_backwards = true;
	c->last_ts = view.ts_val;
	c->ts_seen = true;
	c->ts_segments++;
}

void case_begin(struct sim_case *c, const struct sim_config *config)
{
	struct sim_config own = *config;

	memset(c, 0, sizeof(*c));
	c->seed = config->seed;
	if (own.passthru == 0)
		own.passthru = (unsigned int)case_env("SIM_PASSTHRU", 0);
	if (own.check_every == 0)
		own.check_every = 1;
	if (case_env("SIM_ECHO", 0))
		own.echo = stderr;
	assert_int_equal(sim_world_create(&c->world, &own), 0);
	c->world->watch = watch;
	c->world->watch_ctx = c;
}

bool case_live(struct sim_case *c)
{
	return c->peer->phase == SIM_LIVE && c->host->phase == SIM_LIVE && !c->host->move.wanted;
}

bool case_ended(struct sim_case *c)
{
	return c->peer->phase == SIM_ENDED && c->host->phase == SIM_ENDED;
}

static bool sent(const struct sim_sock *sock)
{
	return sock->tx.queued == sock->tx.goal && sock->tx.acked == sock->tx.goal;
}

bool case_all_sent(struct sim_case *c)
{
	return sent(c->peer) && sent(c->host);
}

bool case_all_read(struct sim_case *c)
{
	return c->peer->rx.got == c->host->tx.goal && c->host->rx.got == c->peer->tx.goal;
}

bool case_host_moved(struct sim_case *c)
{
	return c->host->phase == SIM_ENDED || (c->host->phase == SIM_LIVE && !c->host->move.wanted);
}

struct wait {
	struct sim_case *c;
	case_cond *cond;
};

static bool wait_done(void *ctx)
{
	struct wait *wait = ctx;

	return wait->cond(wait->c);
}

void case_wait(struct sim_case *c, case_cond *cond, uint64_t us, const char *what, const char *file,
	       int line)
{
	struct wait wait = { .c = c, .cond = cond };

	case_check(c, sim_world_run(c->world, sim_world_now(c->world) + us, wait_done, &wait), what,
		   file, line);
}

void case_connect(struct sim_case *c, const struct sim_conn_config *config)
{
	struct sim_conn *conn = sim_conn_open(c->world, config);

	assert_non_null(conn);
	c->peer = conn->sock[SIM_AT_PEER];
	c->host = conn->sock[SIM_AT_HOST];
	c->ts_seen = c->ts_backwards = false;
	c->ts_segments = 0;
	CASE_WAIT(c, case_live, CASE_S);
}

void case_plain(struct sim_case *c, enum sim_family family)
{
	struct sim_conn_config config = {
		.family = family,
		.timestamps = true,
		.sack = true,
		.wscale = { 5, 5 },
		.rcv_buf_bytes = { 512 << 10, 512 << 10 },
		.iss = { 0x10000000, 0x20000000 },
		.ts_now = { 1000, 5000000 },
	};

	case_connect(c, &config);
	c->peer->rx.mode = c->host->rx.mode = SIM_RX_POST;
}

void case_move(struct sim_case *c, enum sim_place to)
{
	CASE(c, sim_sock_move(c->host, to) == 0);
	CASE_WAIT(c, case_host_moved, 10 * CASE_S);
	CASE(c, c->host->phase == SIM_LIVE && c->host->at->place == to);
}

void case_close(struct sim_case *c)
{
	sim_sock_close(c->host);
	sim_sock_close(c->peer);
	CASE_WAIT(c, case_ended, 120 * CASE_S);
	CASE(c, !c->host->aborted && !c->peer->aborted && c->host->rx.eof && c->peer->rx.eof);
	CASE(c, case_all_read(c));
}

uint64_t case_end(struct sim_case *c)
{
	struct sim_world *world = c->world;
	uint64_t hash = world->trace.hash;
	char failure[sizeof(world->failure)];
	int err;

	CASE(c, true); /* a failure of the world that nobody asked about */
	err = sim_world_destroy(world);
	snprintf(failure, sizeof(failure), "world did not come apart cleanly, seed %llu",
		 (unsigned long long)c->seed);
	c->world = NULL;
	if (err)
		sim_trace_dump(&world->trace, stderr,
			       TRACE_LINES); /* still there, as it could not be freed */
	if (err)
		fail_msg("%s: %d", failure, err);
	return hash;
}
