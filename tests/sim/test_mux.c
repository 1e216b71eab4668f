/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A team of targets below one driver, in the simulator: failover at every step of a transfer,
 * segments that come in on the wrong member, connections spread over several members. Field cases
 * W-12, D-12.
 *
 * What is lost is what was on the wire of the cable that was pulled; TCP sends it again. The ends
 * of the connections check every byte, every sequence number and every list that they get back.
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

enum {
	BYTES = 150000,
	CONNS = 12,
};

static struct sim_sock *hosts[CONNS], *peers[CONNS];
static unsigned int open_conns;
static uint64_t bytes_each = BYTES; /* of a transfer with failover */
static struct mux_info info;

static const struct mux_info *team(struct sim_case *c)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", c->world->ims.team);
	assert_int_equal(mux_info(name, &info), 0);
	return &info;
}

static unsigned int active_member(struct sim_case *c)
{
	unsigned int i;

	team(c);
	for (i = 0; i < info.member_count; i++)
		if (info.members[i].active)
			return i;
	return 0;
}

/* ---- Where the switch gives the host's frames ---- */

static unsigned int port_active(struct sim_world *world, const struct sim_conn *conn)
{
	struct sim_case c = { .world = world };

	(void)conn;
	return active_member(&c);
}

/* The one that does not have the connection: every frame has to be forwarded. */
static unsigned int port_wrong(struct sim_world *world, const struct sim_conn *conn)
{
	return !port_active(world, conn);
}

/* A switch with a hash of its own, and a mind: any member with link, another one now and then. */
static unsigned int port_any(struct sim_world *world, const struct sim_conn *conn)
{
	unsigned int i, n = 1 + world->spare_count;
	unsigned int first =
		(unsigned int)((uintptr_t)conn / sizeof(*conn) + sim_world_now(world) / 700) % n;

	for (i = 0; i < n; i++) {
		unsigned int member = (first + i) % n;

		if (!(member ? &world->spares[member - 1] : &world->bindings[SIM_TARGET])->cut)
			return member;
	}
	return first;
}

/* ---- Beginning and ending ---- */

static void begin(struct sim_case *c, struct sim_config *config, unsigned int conns)
{
	struct sim_conn_config conn;
	unsigned int i;

	config->conns = conns;
	case_begin(c, config);
	open_conns = conns;
	for (i = 0; i < conns; i++) {
		sim_conn_config_draw(c->world, &conn);
		case_connect(c, &conn);
		hosts[i] = c->host;
		peers[i] = c->peer;
	}
	c->world->port = config->team_mode == MUX_BALANCE ? port_any : port_active;
}

static bool settled(struct sim_case *c)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < open_conns; i++)
		if (hosts[i]->phase != SIM_ENDED &&
		    (hosts[i]->phase != SIM_LIVE || hosts[i]->move.wanted || hosts[i]->asked_back))
			return false;
	return true;
}

/* The team has noticed what happened to the cables, the host has followed, and may offload
 * again. */
static bool resumed(struct sim_case *c)
{
	unsigned int i;

	team(c);
	for (i = 0; i < info.member_count; i++)
		if (info.members[i].link_up ==
		    (i ? &c->world->spares[i - 1] : &c->world->bindings[SIM_TARGET])->cut)
			return false;
	return settled(c) && !info.draining && !c->world->bindings[SIM_TARGET].paused;
}

static bool all_read(struct sim_case *c)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < open_conns; i++)
		if (hosts[i]->rx.got != peers[i]->tx.goal || peers[i]->rx.got != hosts[i]->tx.goal)
			return false;
	return true;
}

static bool all_ended(struct sim_case *c)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < open_conns; i++)
		if (hosts[i]->phase != SIM_ENDED || peers[i]->phase != SIM_ENDED)
			return false;
	return true;
}

static void offload_all(struct sim_case *c)
{
	unsigned int i;

	for (i = 0; i < open_conns; i++)
		if (hosts[i]->phase == SIM_LIVE && hosts[i]->at->place == SIM_KERNEL)
			sim_sock_move(hosts[i], SIM_TARGET);
	CASE_WAIT(c, settled, 60 * CASE_S);
}

static void send_all(uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < open_conns; i++) {
		sim_sock_send(hosts[i], bytes);
		sim_sock_send(peers[i], bytes);
	}
}

static void close_all(struct sim_case *c)
{
	unsigned int i;

	for (i = 0; i < open_conns; i++) {
		sim_sock_close(hosts[i]);
		sim_sock_close(peers[i]);
	}
	CASE_WAIT(c, all_ended, 300 * CASE_S);
	for (i = 0; i < open_conns; i++)
		CASE(c, !hosts[i]->aborted && !peers[i]->aborted && hosts[i]->rx.eof &&
				peers[i]->rx.eof);
	CASE(c, c->world->counts.resets_to_peer == 0 && c->world->counts.resets_from_peer == 0);
	case_end(c);
}

/* ---- Failover ---- */

/* The cable of the active member is pulled so many steps into the transfer, then that of the
 * next one. */
static void fail_over_after(uint64_t seed, unsigned int steps, struct sim_config *config)
{
	unsigned int i, first, second, members = config->team;
	struct sim_case c;

	begin(&c, config, 1 + (unsigned int)(seed % 3));
	offload_all(&c);
	send_all(bytes_each);
	for (i = 0; i < steps && sim_world_step(c.world); i++)
		;
	first = active_member(&c);
	sim_world_cable(c.world, first, false);
	CASE_WAIT(&c, resumed, 60 * CASE_S);
	REQ("STI-10", team(&c)->members[first].objects == 0);
	REQ("STI-11", hosts[0]->at->place == SIM_KERNEL || hosts[0]->phase == SIM_ENDED);
	offload_all(&c);
	second = active_member(&c);
	CASE(&c, second != first && team(&c)->members[second].objects > 0);
	CASE(&c, team(&c)->failovers >= 1 && !team(&c)->paused);
	/* And back, or on, in the middle of the rest. */
	sim_world_cable(c.world, first, true);
	for (i = 0; i < steps % 300 && sim_world_step(c.world); i++)
		;
	sim_world_cable(c.world, second, false);
	CASE_WAIT(&c, resumed, 60 * CASE_S);
	offload_all(&c);
	CASE(&c, members == 2 ? active_member(&c) == first : active_member(&c) != second);
	CASE_WAIT(&c, all_read, 300 * CASE_S);
	close_all(&c);
}

static void draw(struct sim_config *config, uint64_t seed)
{
	struct nic_sim_rng rng;

	sim_config_default(config, seed);
	nic_sim_rng_seed(&rng, seed * 7 + 1);
	config->up.bits_per_s = config->down.bits_per_s = 20000000u << nic_sim_rng_below(&rng, 6);
	config->up.delay_us = config->down.delay_us = 50 + (uint32_t)nic_sim_rng_below(&rng, 3000);
	if (nic_sim_rng_below(&rng, 3) == 0)
		config->up.loss_ppm = config->down.loss_ppm = 3000;
	config->tso = nic_sim_rng_below(&rng, 2);
	config->gro = nic_sim_rng_below(&rng, 2);
	config->plain_receive = nic_sim_rng_below(&rng, 2);
	config->passthru = (unsigned int)nic_sim_rng_below(&rng, 2);
	config->team = 2 + (unsigned int)nic_sim_rng_below(&rng, 2);
	config->check_every = 16;
}

static void test_failover_at_every_step(void **state)
{
	uint64_t first = case_env("SIM_FIRST", 1), seeds = case_env("SIM_SEEDS", 150), seed;

	(void)state;
	for (seed = first; seed < first + seeds; seed++) {
		struct sim_config config;

		draw(&config, seed);
		/* Steps of one transfer, all of them over the seeds. */
		fail_over_after(seed, (unsigned int)((seed * 37) % 900), &config);
	}
}

/*
 * Short transfers on many different links and teams, the failure at each of the first steps in turn.
 * A byte that was lost, doubled or changed is seen by the end that reads it.
 */
static void test_failover_schedules(void **state)
{
	uint64_t first = case_env("SIM_FIRST", 1), seed;
	uint64_t count = case_env("SIM_SEEDS", case_scaled(10000));

	(void)state;
	bytes_each = 12000;
	for (seed = first; seed < first + count; seed++) {
		struct sim_config config;

		draw(&config, seed);
		config.check_every = 64;
		fail_over_after(seed, (unsigned int)(seed % 101), &config);
	}
	bytes_each = BYTES;
}

/*
 * A member that failed comes back while the host is still giving up what it had there: it is not
 * used before it is empty, and afterwards it is as good as any.
 */
static void rejoin(uint64_t seed)
{
	struct sim_config config;
	struct sim_case c;
	unsigned int round, was;

	draw(&config, seed);
	config.team = 2;
	begin(&c, &config, 3);
	offload_all(&c);
	send_all(BYTES);
	for (round = 0; round < 4; round++) {
		was = active_member(&c);
		sim_world_run_for(c.world, 500 + seed * 131 % 900);
		sim_world_cable(c.world, was, false);
		sim_world_run_for(c.world, seed * 37 % 400);
		sim_world_cable(c.world, was, true);
		CASE_WAIT(&c, resumed, 60 * CASE_S);
		CASE_REQ(&c, "STI-08", !c.world->bindings[SIM_TARGET].paused);
		offload_all(&c);
		CASE(&c, team(&c)->members[0].objects == 0 || team(&c)->members[1].objects == 0);
		CASE(&c, team(&c)->members[was].link_up);
	}
	/* What came back is worth something: it carries everything when the other one fails. */
	was = active_member(&c);
	sim_world_cable(c.world, was, false);
	CASE_WAIT(&c, resumed, 60 * CASE_S);
	offload_all(&c);
	CASE(&c, active_member(&c) == !was && team(&c)->members[was].objects == 0);
	/* The simulated host answers for TIME_WAIT through the first cable. */
	sim_world_cable(c.world, was, true);
	CASE_WAIT(&c, all_read, 300 * CASE_S);
	close_all(&c);
}

static void test_rejoin(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 40; seed++)
		rejoin(seed);
}

/* Lists of drivers as an administrator writes them, in any order. */
static void test_lists(void **state)
{
	static const struct {
		const char *list;
		unsigned int team;
	} rows[] = {
		{ "passthru,vlan:5:3,passthru", 0 },
		{ "vlan:5,passthru,vlan:5", 0 },
		{ "vlan:0:4", 0 },
		{ "passthru,mux:active-backup", 2 },
		{ "mux:active-backup,passthru", 3 },
		{ "passthru,mux:active-backup,vlan:7,passthru", 2 },
		{ "vlan:7,passthru,mux:active-backup,passthru,passthru", 2 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_config config;
		struct sim_case c;

		sim_config_default(&config, 20 + i);
		config.im = rows[i].list;
		config.team = rows[i].team;
		config.plain_receive = true;
		config.conns = 2;
		case_begin(&c, &config);
		open_conns = 2;
		for (unsigned int n = 0; n < 2; n++) {
			struct sim_conn_config conn;

			sim_conn_config_draw(c.world, &conn);
			case_connect(&c, &conn);
			hosts[n] = c.host;
			peers[n] = c.peer;
		}
		offload_all(&c);
		CASE(&c, hosts[0]->at->place == SIM_TARGET && hosts[1]->at->place == SIM_TARGET);
		send_all(BYTES);
		sim_world_run_for(c.world, 3000);
		for (unsigned int n = 0; n < 2; n++)
			sim_sock_move(hosts[n], SIM_KERNEL);
		CASE_WAIT(&c, settled, 60 * CASE_S);
		offload_all(&c);
		CASE_WAIT(&c, all_read, 60 * CASE_S);
		close_all(&c);
	}
}

/* Every single step of one transfer. */
static void test_failover_step_by_step(void **state)
{
	struct sim_config config;
	unsigned int step;

	(void)state;
	for (step = 0; step < 60; step++) {
		sim_config_default(&config, 3);
		config.team = 2;
		fail_over_after(3, step, &config);
	}
}

/* W-12: many connections, both ways; all intact, all uploaded, all offloaded again on the other
 * member. */
static void test_many_connections(void **state)
{
	struct sim_config config;
	struct sim_case c;
	unsigned int i;

	(void)state;
	sim_config_default(&config, 12);
	config.team = 2;
	begin(&c, &config, CONNS);
	offload_all(&c);
	CASE(&c, team(&c)->members[0].connections == CONNS);
	send_all(BYTES);
	sim_world_run_for(c.world, 3000);
	sim_world_cable(c.world, 0, false);
	CASE_WAIT(&c, resumed, 60 * CASE_S);
	offload_all(&c);
	CASE(&c, team(&c)->members[1].connections == CONNS && team(&c)->members[0].objects == 0);
	CASE(&c, team(&c)->failovers == 1);
	CASE_WAIT(&c, all_read, 60 * CASE_S);
	for (i = 0; i < CONNS; i++)
		CASE(&c, hosts[i]->counts.uploads_asked <= 1 && peers[i]->max_gap_us < 2 * CASE_S &&
				 hosts[i]->max_gap_us < 2 * CASE_S);
	close_all(&c);
}

/* On command there is no loss at all: the old member works until the host has taken everything. */
static void test_switch_on_command(void **state)
{
	struct sim_config config;
	struct sim_case c;
	char name[32];

	(void)state;
	sim_config_default(&config, 5);
	config.team = 2;
	begin(&c, &config, 3);
	offload_all(&c);
	send_all(BYTES);
	sim_world_run_for(c.world, 3000);
	snprintf(name, sizeof(name), "%s", c.world->ims.team);
	assert_int_equal(mux_switch(name, team(&c)->members[1].name), 0);
	CASE_WAIT(&c, resumed, 60 * CASE_S);
	offload_all(&c);
	CASE(&c, team(&c)->members[1].connections == 3);
	CASE_WAIT(&c, all_read, 60 * CASE_S);
	CASE(&c, c.world->counts.retransmits == 0);
	close_all(&c);
}

/* ---- The wrong member ---- */

static uint64_t foreign_sources, frames_sent;

/* Whichever member sends, it is the team's address that the peer sees. */
static void look_at_source(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
			   const struct nic_sim_packet *packet)
{
	const struct sim_case *c = ctx;

	if (fate != NIC_SIM_RECEIVED || node != nic_sim_node(c->world->bindings[SIM_PEER].nic))
		return;
	frames_sent++;
	foreign_sources +=
		memcmp(packet->data + 6, nic_info(c->world->bindings[SIM_TARGET].nic)->mac, 6) != 0;
}

static void wrong_member(uint64_t seed, bool gro)
{
	struct sim_config config;
	struct sim_case c;
	char name[32];

	sim_config_default(&config, seed);
	config.team = 2;
	config.gro = gro;
	config.plain_receive = true;
	begin(&c, &config, 2);
	snprintf(name, sizeof(name), "%s", c.world->ims.team);
	/* The second member, with another hardware address, has the connections. */
	assert_int_equal(mux_switch(name, team(&c)->members[1].name), 0);
	offload_all(&c);
	CASE(&c, team(&c)->members[1].connections == 2);
	c.world->port = port_wrong;
	frames_sent = foreign_sources = 0;
	c.world->watch = look_at_source;
	c.world->watch_ctx = &c;
	send_all(BYTES);
	CASE_WAIT(&c, all_read, 60 * CASE_S);
	/* All that the host received was forwarded by the team: nothing lost, none left to the
	 * host. */
	CASE_REQ(&c, "FWD-05",
		 team(&c)->forwarded > 2 * BYTES / 1500 && c.world->counts.forwarded == 0);
	CASE_REQ(&c, "FWD-07", c.world->counts.retransmits == 0);
	CASE_REQ(&c, "STA-12", frames_sent > 100 && foreign_sources == 0);
	close_all(&c);
}

static void test_wrong_member(void **state)
{
	(void)state;
	wrong_member(1, true);
	wrong_member(2, false);
	wrong_member(3, true);
}

/* ---- Balance ---- */

static void balance(uint64_t seed)
{
	unsigned int i, used = 0, victim;
	struct sim_config config;
	struct sim_case c;

	draw(&config, seed);
	config.team = 3;
	config.team_mode = MUX_BALANCE;
	begin(&c, &config, CONNS);
	offload_all(&c);
	for (i = 0; i < 3; i++)
		used += team(&c)->members[i].connections > 0;
	CASE(&c, used > 1);
	send_all(BYTES / 3);
	sim_world_run_for(c.world, 1 + seed * 977 % 40000);
	victim = (unsigned int)(seed % 3);
	sim_world_cable(c.world, victim, false);
	CASE_WAIT(&c, resumed, 60 * CASE_S);
	offload_all(&c);
	CASE(&c, team(&c)->members[victim].objects == 0);
	for (i = 0; i < CONNS; i++)
		CASE(&c, hosts[i]->phase == SIM_ENDED || hosts[i]->at->place == SIM_TARGET);
	sim_world_run_for(c.world, seed * 577 % 20000);
	sim_world_cable(c.world, victim, true);
	CASE_WAIT(&c, all_read, 300 * CASE_S);
	close_all(&c);
}

static void test_balance(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 15; seed++)
		balance(seed);
}

/* ---- Stacks ---- */

/* A VLAN on a team, pass-through drivers on the VLAN. */
static void test_vlan_over_team(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 8; seed++) {
		struct sim_config config;

		draw(&config, seed);
		config.team = 2;
		config.vlan = true;
		config.vlan_id = 42;
		config.vlan_priority = 6;
		config.passthru = 2;
		fail_over_after(seed, (unsigned int)(seed * 61), &config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failover_step_by_step),
		cmocka_unit_test(test_failover_at_every_step),
		cmocka_unit_test(test_failover_schedules),
		cmocka_unit_test(test_rejoin),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_many_connections),
		cmocka_unit_test(test_switch_on_command),
		cmocka_unit_test(test_wrong_member),
		cmocka_unit_test(test_balance),
		cmocka_unit_test(test_vlan_over_team),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
