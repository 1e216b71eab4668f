/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A target that is full, pauses, or wants to be rid of everything: no connection is lost or reset,
 * each is either offloaded or in the kernel. Field cases W-13, W-14.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "req.h"
#include "sim_case.h"

enum {
	CONNS = 20,
	ROOM = 8,
	BYTES = 200000,
};

static struct sim_sock *hosts[CONNS], *peers[CONNS];

static void open_all(struct sim_case *c, unsigned int count)
{
	struct sim_conn_config conn;
	unsigned int i;

	for (i = 0; i < count; i++) {
		sim_conn_config_draw(c->world, &conn);
		case_connect(c, &conn);
		hosts[i] = c->host;
		peers[i] = c->peer;
	}
}

static unsigned int waiting;

static bool all_settled(struct sim_case *c)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < waiting; i++) {
		if (hosts[i]->move.wanted || hosts[i]->phase != SIM_LIVE)
			return false;
	}
	return true;
}

static bool all_read(struct sim_case *c)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < waiting; i++) {
		if (hosts[i]->rx.got != peers[i]->tx.goal || peers[i]->rx.got != hosts[i]->tx.goal)
			return false;
	}
	return true;
}

static bool all_over(struct sim_case *c)
{
	unsigned int i;

	(void)c;
	for (i = 0; i < waiting; i++) {
		if (hosts[i]->phase != SIM_ENDED || peers[i]->phase != SIM_ENDED)
			return false;
	}
	return true;
}

static void send_all(void)
{
	unsigned int i;

	for (i = 0; i < waiting; i++) {
		sim_sock_send(hosts[i], BYTES);
		sim_sock_send(peers[i], BYTES);
	}
}

static unsigned int at_target(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < waiting; i++)
		n += hosts[i]->phase == SIM_LIVE && hosts[i]->at->place == SIM_TARGET;
	return n;
}

/* As many of those that are not there; who is where, is decided by the seed. */
static void move_some(struct sim_case *c, enum sim_place to, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < waiting && count; i++) {
		if (hosts[i]->at->place == to)
			continue;
		CASE(c, sim_sock_move(hosts[i], to) == 0);
		count--;
	}
	CASE_WAIT(c, all_settled, 10 * CASE_S);
}

static void finish(struct sim_case *c)
{
	unsigned int i;

	CASE_WAIT(c, all_read, 120 * CASE_S);
	for (i = 0; i < waiting; i++) {
		sim_sock_close(hosts[i]);
		sim_sock_close(peers[i]);
	}
	CASE_WAIT(c, all_over, 120 * CASE_S);
	CASE(c, c->world->counts.resets_to_peer == 0 && c->world->counts.resets_from_peer == 0);
	case_end(c);
}

static void test_full_target(void **state)
{
	struct sim_config config;
	struct sim_case c;
	unsigned int i, back = 0;

	(void)state;
	sim_config_default(&config, 1);
	config.conns = CONNS;
	config.target_conns = ROOM;
	case_begin(&c, &config);
	open_all(&c, CONNS);
	waiting = CONNS;
	send_all();
	sim_world_run_for(c.world, 500);
	for (i = 0; i < CONNS; i++)
		CASE(&c, sim_sock_move(hosts[i], SIM_TARGET) == 0);
	CASE_WAIT(&c, all_settled, 10 * CASE_S);
	CASE(&c, at_target() == ROOM);
	for (i = 0; i < CONNS; i++)
		back += hosts[i]->counts.moves_back;
	CASE_REQ(
		&c, "OFF-25",
		back == CONNS - ROOM); /* their send data stayed ours, and was sent by the kernel */
	CASE_WAIT(&c, all_read, 120 * CASE_S);
	/* Half of the offloaded come back; others take their room. */
	move_some(&c, SIM_KERNEL, ROOM / 2);
	send_all();
	move_some(&c, SIM_TARGET, ROOM / 2);
	CASE_REQ(&c, "OFF-10", at_target() == ROOM);
	finish(&c);
}

static void test_upload_all(void **state)
{
	struct sim_config config;
	struct sim_case c;
	unsigned int i, round;

	(void)state;
	sim_config_default(&config, 2);
	config.conns = CONNS;
	case_begin(&c, &config);
	open_all(&c, CONNS);
	waiting = CONNS;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < CONNS; i++)
			CASE(&c, sim_sock_move(hosts[i], SIM_TARGET) == 0);
		CASE_WAIT(&c, all_settled, 10 * CASE_S);
		CASE(&c, at_target() == CONNS);
		send_all();
		sim_world_run_for(c.world, 300);
		tgt_adapter_upload_all(c.world->bindings[SIM_TARGET].adapter);
		sim_world_run_for(c.world, 100000);
		CASE_WAIT(&c, all_settled, 10 * CASE_S);
		CASE_REQ(&c, "TRM-02", at_target() == 0);
		CASE(&c, sim_sock_move(hosts[0], SIM_TARGET) == -EBUSY);
		tgt_adapter_resume_offload(c.world->bindings[SIM_TARGET].adapter);
		sim_world_run_for(c.world, 1000);
		CASE(&c, !c.world->bindings[SIM_TARGET].paused);
	}
	finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_target),
		cmocka_unit_test(test_upload_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
