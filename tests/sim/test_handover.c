/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Properties of the hand-over itself: state that comes back unchanged, sequence numbers and time
 * stamps that wrap on the way, segments caught between two places, intermediate drivers above the
 * target.
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
	BULK = 600000,
	HOPS = 12,
};

static uint64_t goal_bytes;

static bool progressed(struct sim_case *c)
{
	return c->peer->rx.got + c->host->rx.got >= goal_bytes;
}

/* STA-32: offload and terminate at once, without traffic: the same delegated state comes back. */
static void same_state(uint64_t seed)
{
	TCP_OFFLOAD_STATE_DELEGATED before, after;
	struct sim_conn_config conn;
	struct sim_config config;
	struct sim_case c;
	const char *differs;

	sim_config_default(&config, seed);
	config.up.delay_us = config.down.delay_us = 2000;
	case_begin(&c, &config);
	sim_conn_config_draw(c.world, &conn);
	case_connect(&c, &conn);
	/* A history, so that the numbers are not the initial ones; then silence. */
	sim_sock_send(c.peer, 1 + nic_sim_rng_below(&c.world->rng, 60000));
	sim_sock_send(c.host, 1 + nic_sim_rng_below(&c.world->rng, 60000));
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE_WAIT(&c, case_all_sent, 60 * CASE_S);
	sim_world_run_for(c.world, 3 * CASE_S);

	case_move(&c, SIM_TARGET);
	before = c.host->state.delegated; /* as it went down */
	case_move(&c, SIM_KERNEL);
	after = c.host->state.delegated; /* as it went down to the kernel again: what came back */
	differs = sim_state_differs(&before, &after);
	if (differs)
		sim_note(c.world, "differs: %s", differs);
	CASE_REQ(&c, "STA-32", !differs);
	case_close(&c);
	case_end(&c);
}

static void test_same_state_without_traffic(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 40; seed++)
		same_state(seed);
	req_passed("STA-31");
	req_passed("TMR-39");
	req_passed("TSP-05");
}

/*
 * The same with data outstanding: the sequence numbers still agree with the chain that is handed
 * back.
 */
static void test_outstanding_data_comes_back(void **state)
{
	struct sim_config config;
	struct sim_case c;
	tcp_seq una, max;

	(void)state;
	sim_config_default(&config, 5);
	config.up.delay_us = config.down.delay_us = 50000;
	case_begin(&c, &config);
	case_plain(&c, SIM_V4);
	sim_sock_send(c.host, 100000);
	sim_world_run_for(c.world, 1000);
	case_move(&c, SIM_TARGET);
	una = c.host->state.delegated.SndUna;
	max = c.host->state.delegated.SndMax;
	CASE_REQ(&c, "BUF-09", c.host->counts.sends_given_back > 0 && seq_gt(max, una));
	case_move(&c, SIM_KERNEL);
	CASE_REQ(&c, "BUF-23",
		 c.host->state.delegated.SndUna == una && c.host->state.delegated.SndMax == max);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE_REQ(&c, "BUF-15",
		 c.world->counts.retransmits == 0); /* nothing was lost, so nothing is sent twice */
	CASE_WAIT(&c, case_all_sent, CASE_S);
	CASE_REQ(&c, "BUF-19", c.host->tx.acked == 100000);
	case_close(&c);
	case_end(&c);
}

/* Many hand-overs in one transfer with sequence numbers and time stamps that wrap in the middle. */
static void hop(uint64_t seed, unsigned int passthru)
{
	struct sim_config config;
	struct sim_conn_config conn = {
		.family = seed & 1 ? SIM_V6 : SIM_V4,
		.timestamps = true,
		.sack = true,
		.wscale = { 7, 3 },
		.rcv_buf_bytes = { 256 << 10, 256 << 10 },
	};
	struct sim_case c;
	int i;

	sim_config_default(&config, seed);
	config.up.bits_per_s = config.down.bits_per_s = 50000000;
	config.up.loss_ppm = config.down.loss_ppm = 2000;
	config.passthru = passthru;
	case_begin(&c, &config);
	conn.iss[SIM_AT_PEER] = 0u - (uint32_t)nic_sim_rng_below(&c.world->rng, BULK);
	conn.iss[SIM_AT_HOST] = 0u - (uint32_t)nic_sim_rng_below(&c.world->rng, BULK);
	conn.ts_now[SIM_AT_PEER] = 0u - (uint32_t)nic_sim_rng_below(&c.world->rng, 300);
	conn.ts_now[SIM_AT_HOST] = 0u - (uint32_t)nic_sim_rng_below(&c.world->rng, 300);
	case_connect(&c, &conn);
	c.host->rx.mode = SIM_RX_MIXED;
	sim_sock_send(c.peer, BULK);
	sim_sock_send(c.host, BULK);
	for (i = 1; i <= HOPS; i++) {
		goal_bytes = (uint64_t)2 * BULK * (uint64_t)i / (HOPS + 1);
		CASE_WAIT(&c, progressed, 300 * CASE_S);
		c.host->move_delay_us = nic_sim_rng_below(&c.world->rng, 1500);
		case_move(&c, i & 1 ? SIM_TARGET : SIM_KERNEL);
		if (i & 1)
			CASE(&c, sim_sock_query(c.host) ==
					 0); /* the state is asked for while data flows */
	}
	CASE_WAIT(&c, case_all_read, 300 * CASE_S);
	CASE(&c, c.host->counts.moves == HOPS && c.host->counts.queries == HOPS / 2);
	CASE_REQ(&c, "TSP-08", c.ts_segments > 100 && !c.ts_backwards);
	CASE(&c, (tcp_seq)(conn.iss[SIM_AT_HOST] + BULK) < conn.iss[SIM_AT_HOST]); /* it did wrap */
	CASE(&c, c.world->counts.resets_to_peer == 0 && c.world->counts.resets_from_peer == 0);
	case_close(&c);
	case_end(&c);
}

static void test_many_hops(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 100; seed < 110; seed++)
		hop(seed, 0);
}

static void test_passthru_1(void **state)
{
	(void)state;
	hop(200, 1);
	hop(201, 1);
}

static void test_passthru_3(void **state)
{
	(void)state;
	hop(300, 3);
	hop(301, 3);
}

/* What arrives between two places is not lost, whichever way it takes. */
static void test_caught_segments(void **state)
{
	uint64_t held = 0, forwarded = 0, injected = 0, seed;

	(void)state;
	for (seed = 400; seed < 420; seed++) {
		struct sim_config config;
		struct sim_case c;

		sim_config_default(&config, seed);
		case_begin(&c, &config);
		case_plain(&c, seed & 1 ? SIM_V6 : SIM_V4);
		c.host->move_delay_us = 3000;
		sim_sock_send(c.peer, BULK);
		sim_world_run_for(c.world, 2000);
		case_move(&c, SIM_TARGET);
		sim_world_run_for(c.world, 1000);
		case_move(&c, SIM_KERNEL);
		CASE_WAIT(&c, case_all_read, 60 * CASE_S);
		CASE(&c, c.world->counts.retransmits ==
				 0); /* nothing was lost on the wire, so nothing at the seams */
		held += c.world->counts.held;
		forwarded += c.world->counts.forwarded;
		injected += c.world->counts.injected;
		case_close(&c);
		case_end(&c);
	}
	assert_true(held > 0 && injected > 0);
	assert_true(forwarded > 0);
	req_passed("FWD-04");
	req_passed("FWD-06");
	req_passed("FWD-07");
	req_passed("TRM-19");
	req_passed("OFF-32");
}

/* An update of the path's MTU while offloaded (STA-17). */
static uint32_t largest;

static void note_largest(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
			 const struct nic_sim_packet *packet)
{
	struct nic_sim_view view;

	(void)ctx;
	(void)node;
	if (fate == NIC_SIM_SENT && nic_sim_view(packet->data, packet->len, &view) &&
	    view.src_port == SIM_HOST_PORT && packet->len - view.l3 > largest)
		largest = packet->len - view.l3;
}

static void test_path_mtu(void **state)
{
	struct sim_config config;
	struct sim_case c;

	(void)state;
	sim_config_default(&config, 500);
	case_begin(&c, &config);
	case_plain(&c, SIM_V6);
	case_move(&c, SIM_TARGET);
	sim_sock_send(c.host, BULK);
	c.world->watch = note_largest;
	sim_world_run_for(c.world, 1000);
	CASE(&c, largest == 1500);
	c.host->at->path_mtu_bytes[SIM_V6] = 1300;
	assert_int_equal(sim_host_submit_path(SIM_OP_PATH_MTU, c.host->at, SIM_V6), 0);
	sim_world_run_for(c.world, 100);
	c.world->up.params.mtu_bytes = 1300; /* a router behind which only that fits */
	largest = 0;
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE_REQ(&c, "STA-17", largest == 1300);
	case_close(&c);
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_state_without_traffic),
		cmocka_unit_test(test_outstanding_data_comes_back),
		cmocka_unit_test(test_many_hops),
		cmocka_unit_test(test_passthru_1),
		cmocka_unit_test(test_passthru_3),
		cmocka_unit_test(test_caught_segments),
		cmocka_unit_test(test_path_mtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
