/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many seeds: each draws a link with 1 % loss, reordering and duplication, a connection with
 * options, windows and sequence numbers of its own, and moments for an offload and an upload in the
 * middle of data that flows both ways. Every byte is compared. A sample of seeds runs twice and
 * must leave the same trace.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "req.h"
#include "sim_case.h"

enum {
	SEEDS = 1000,
	REPEAT_EVERY = 20,
	BYTES_MIN = 40000,
	BYTES_SPAN = 200000,
	ONE_PERCENT_PPM = 10000,
};

static void draw_link(struct nic_sim_rng *rng, struct nic_sim_link_params *link)
{
	link->bits_per_s = 20000000ull << nic_sim_rng_below(rng, 6);
	link->delay_us = 20 + (uint32_t)nic_sim_rng_below(rng, 5000);
	link->queue_bytes = 64 << 10 << nic_sim_rng_below(rng, 4);
	link->loss_ppm = link->reorder_ppm = link->duplicate_ppm = ONE_PERCENT_PPM;
	link->corrupt_ppm = nic_sim_rng_below(rng, 2) ? 1000 : 0;
	link->mark_bytes = nic_sim_rng_below(rng, 2) ? link->queue_bytes / 16 : 0;
	link->reorder_us = 200 + (uint32_t)nic_sim_rng_below(rng, 3000);
}

static void draw_world(struct sim_config *config, uint64_t seed)
{
	struct nic_sim_rng rng;

	sim_config_default(config, seed);
	nic_sim_rng_seed(&rng, seed ^ 0x73656564);
	draw_link(&rng, &config->up);
	draw_link(&rng, &config->down);
	config->tso = nic_sim_rng_below(&rng, 2);
	config->gro = nic_sim_rng_below(&rng, 2);
	config->mtu_bytes = nic_sim_rng_below(&rng, 4) ? 1500 : 1280;
	config->tx_refuse_ppm = nic_sim_rng_below(&rng, 4) ? 0 : 50000;
	config->passthru = seed % 10 == 0;
	config->plain_receive = nic_sim_rng_below(&rng, 2);
	config->check_every = 25;
	config->rx_hold_us = (uint32_t)nic_sim_rng_below(&rng, 50);
}

/* How far the streams must be read before the next step: a draw between nothing and everything. */
struct plan {
	uint64_t offload_at, upload_at;
};

static struct plan plan; /* of the present seed; the conditions below have no other way to it */

static uint64_t progress(struct sim_case *c)
{
	return c->peer->rx.got + c->host->rx.got;
}

static bool may_offload(struct sim_case *c)
{
	return progress(c) >= plan.offload_at;
}

static bool may_upload(struct sim_case *c)
{
	return progress(c) >= plan.upload_at;
}

static void set_up_ends(struct sim_case *c, struct nic_sim_rng *rng)
{
	struct sim_sock *ends[] = { c->peer, c->host };
	int i;

	for (i = 0; i < 2; i++) {
		ends[i]->rx.mode = (enum sim_rx_mode)nic_sim_rng_below(rng, SIM_RX_MODES);
		ends[i]->tx.piece = 1u + (uint32_t)nic_sim_rng_below(rng, 20000);
		ends[i]->rx.piece = 1000u + (uint32_t)nic_sim_rng_below(rng, 30000);
		ends[i]->move_delay_us =
			nic_sim_rng_below(rng, 2) ? nic_sim_rng_below(rng, 2000) : 0;
		ends[i]->steer_lead_us =
			nic_sim_rng_below(rng, 2) ? nic_sim_rng_below(rng, 200) : 0;
		sim_sock_send(ends[i], BYTES_MIN + nic_sim_rng_below(rng, BYTES_SPAN));
	}
	c->peer->rx.expect = c->host->tx.goal;
	c->host->rx.expect = c->peer->tx.goal;
}

static uint64_t run_seed(uint64_t seed, bool *offloaded_with_data)
{
	struct sim_conn_config conn;
	struct sim_config config;
	struct nic_sim_rng rng;
	struct sim_case c;
	uint64_t total;

	draw_world(&config, seed);
	case_begin(&c, &config);
	nic_sim_rng_seed(&rng, seed ^ 0x636f6e6e);
	sim_conn_config_draw(c.world, &conn);
	case_connect(&c, &conn);
	set_up_ends(&c, &rng);
	total = c.peer->tx.goal + c.host->tx.goal;
	plan.offload_at = nic_sim_rng_below(&rng, total / 2);
	plan.upload_at = plan.offload_at + nic_sim_rng_below(&rng, total / 2);

	CASE_WAIT(&c, may_offload, 300 * CASE_S);
	case_move(&c, SIM_TARGET);
	CASE_WAIT(&c, may_upload, 300 * CASE_S);
	*offloaded_with_data |= progress(&c) > plan.offload_at && !case_all_read(&c);
	case_move(&c, SIM_KERNEL);
	CASE_WAIT(&c, case_all_read, 300 * CASE_S);
	CASE(&c, c.host->counts.moves == 2 && c.host->counts.moves_back == 0);
	CASE(&c, c.world->counts.resets_to_peer == 0 && c.world->counts.resets_from_peer == 0);
	CASE(&c, !c.ts_backwards && (!conn.timestamps || c.ts_segments > 0));
	case_close(&c);
	return case_end(&c);
}

static void test_many_seeds(void **state)
{
	uint64_t first = case_env("SIM_FIRST", 1), count = case_env("SIM_SEEDS", SEEDS), seed;
	bool in_the_middle = false;

	(void)state;
	for (seed = first; seed < first + count; seed++)
		run_seed(seed, &in_the_middle);
	if (count >= 20)
		assert_true(in_the_middle);
	/* Every run above compared every byte, in these respects too. */
	req_passed("BUF-02");
	req_passed("BUF-08");
	req_passed("BUF-13");
	req_passed("BUF-21");
	req_passed("BLK-09");
	req_passed("RCV-14");
	req_passed("RCV-22");
	req_passed("RCV-24");
	req_passed("SND-04");
	req_passed("SND-19");
	req_passed("TRM-15");
	req_passed("TSP-08");
	req_passed("OFF-28");
}

static void test_same_seed_same_trace(void **state)
{
	uint64_t first = case_env("SIM_FIRST", 1), count = case_env("SIM_SEEDS", SEEDS), seed;
	uint64_t last = 0;
	bool unused = false;

	(void)state;
	for (seed = first; seed < first + count; seed += REPEAT_EVERY) {
		uint64_t hash = run_seed(seed, &unused);

		assert_true(run_seed(seed, &unused) == hash);
		assert_true(hash != last);
		last = hash;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_seeds),
		cmocka_unit_test(test_same_seed_same_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
