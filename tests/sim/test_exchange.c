/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Request and response: Nagle and delayed acknowledgment must not make holes that the host's stack
 * does not have (field case E-33). "The kernel" here is the same engine before the offload, so what
 * is compared is the effect of the hand-over and of the chimney between program and engine.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "nic/nic_sim_frame.h"
#include "req.h"
#include "sim_case.h"

enum {
	ROUNDS = 100,
	REQUEST = 100,
	RESPONSE = 700,
	RTT_US = 200,
	DELAYED_ACK_US = 40000,
};

/*
 * The client (peer) sends a request in one or two writes and waits for the response; the server
 * (host) answers.
 */
struct exchange {
	struct sim_case c;
	unsigned int writes;
	unsigned int done, goal;
	uint64_t began_us;
	uint64_t took_us[ROUNDS];
};

static void request(struct exchange *x)
{
	unsigned int i;

	x->began_us = sim_world_now(x->c.world);
	x->c.peer->tx.piece = REQUEST / x->writes;
	for (i = 0; i < x->writes; i++)
		sim_sock_send(x->c.peer, REQUEST / x->writes);
}

static void server_received(struct sim_sock *sock, uint64_t bytes)
{
	(void)bytes;
	if (sock->rx.got % REQUEST == 0)
		sim_sock_send(sock, RESPONSE);
}

static void client_received(struct sim_sock *sock, uint64_t bytes)
{
	struct exchange *x = sock->app.ctx;

	(void)bytes;
	if (sock->rx.got % RESPONSE != 0)
		return;
	x->took_us[x->done % ROUNDS] = sim_world_now(sock->world) - x->began_us;
	if (++x->done < x->goal)
		request(x);
}

static bool rounds_done(struct sim_case *c)
{
	struct exchange *x = (struct exchange *)c;

	return x->done == x->goal;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t rounds(struct exchange *x, uint64_t *worst)
{
	x->done = 0;
	x->goal = ROUNDS;
	request(x);
	CASE_WAIT(&x->c, rounds_done, 60 * CASE_S);
	qsort(x->took_us, ROUNDS, sizeof(x->took_us[0]), by_size);
	*worst = x->took_us[ROUNDS - 1];
	return x->took_us[ROUNDS / 2];
}

static void begin(struct exchange *x, bool nagle, unsigned int writes, enum sim_rx_mode mode)
{
	struct sim_config config;
	struct sim_conn_config conn = {
		.family = SIM_V4,
		.timestamps = true,
		.sack = true,
		.nagle = nagle,
		.wscale = { 7, 7 },
		.rcv_buf_bytes = { 200000, 200000 },
		.iss = { 0xffffff00, 0xfffff000 },
		.ts_now = { 5, 6 },
	};

	sim_config_default(&config, 7 + writes);
	case_begin(&x->c, &config);
	x->writes = writes;
	case_connect(&x->c, &conn);
	x->c.peer->rx.mode = x->c.host->rx.mode = mode;
	x->c.host->tx.piece = RESPONSE;
	x->c.peer->app.received = client_received;
	x->c.peer->app.ctx = x;
	x->c.host->app.received = server_received;
}

static void compare(bool nagle, unsigned int writes, enum sim_rx_mode mode, uint64_t limit_us)
{
	static struct exchange x; /* first member: the case, so that conditions find the rest */
	uint64_t kernel_us, target_us, again_us, worst_us;

	begin(&x, nagle, writes, mode);
	kernel_us = rounds(&x, &worst_us);
	case_move(&x.c, SIM_TARGET);
	target_us = rounds(&x, &worst_us);
	CASE_REQ(&x.c, "TCP-12", target_us <= limit_us && worst_us <= limit_us);
	case_move(&x.c, SIM_KERNEL);
	again_us = rounds(&x, &worst_us);
	CASE(&x.c, target_us <= kernel_us + kernel_us / 10);
	CASE(&x.c, again_us <= kernel_us + kernel_us / 10);
	x.c.host->app.received = NULL;
	x.c.peer->app.received = NULL;
	case_close(&x.c);
	case_end(&x.c);
}

static void test_one_write(void **state)
{
	(void)state;
	compare(false, 1, SIM_RX_POST, 2 * RTT_US);
	compare(true, 1, SIM_RX_POST, 2 * RTT_US);
	compare(true, 1, SIM_RX_INDICATE, 2 * RTT_US);
}

static void test_two_writes_without_nagle(void **state)
{
	(void)state;
	compare(false, 2, SIM_RX_POST, 2 * RTT_US);
	compare(false, 2, SIM_RX_INDICATE, 2 * RTT_US);
}

/*
 * With Nagle the second write waits for the ACK of the first, delayed at most for the delayed ACK's
 * time.
 */
static void test_two_writes_with_nagle(void **state)
{
	(void)state;
	compare(true, 2, SIM_RX_POST, DELAYED_ACK_US + 3 * RTT_US);
}

/* Bulk in one direction: an acknowledgment at least for every second full segment (INI-21). */
struct acks {
	uint64_t segments, unacked, worst;
	uint32_t port;
};

static void count_acks(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		       const struct nic_sim_packet *packet)
{
	struct acks *acks = ctx;
	struct nic_sim_view view;

	if (!nic_sim_view(packet->data, packet->len, &view))
		return;
	if (fate == NIC_SIM_RECEIVED && view.dst_port == SIM_HOST_PORT && view.payload_len > 1000) {
		acks->segments++;
		acks->unacked++;
	} else if (fate == NIC_SIM_SENT && view.src_port == SIM_HOST_PORT) {
		if (acks->unacked > acks->worst)
			acks->worst = acks->unacked;
		acks->unacked = 0;
	}
	(void)node;
}

static void test_ack_for_two_segments(void **state)
{
	struct acks acks = { 0 };
	struct sim_config config;
	struct sim_case c;

	(void)state;
	sim_config_default(&config, 11);
	config.gro = false; /* a merged frame counts as one arrival */
	config.rx_hold_us = 0;
	case_begin(&c, &config);
	case_plain(&c, SIM_V4);
	case_move(&c, SIM_TARGET);
	c.world->watch = count_acks;
	c.world->watch_ctx = &acks;
	sim_sock_send(c.peer, 1000000);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE_REQ(&c, "INI-21", acks.segments > 600 && acks.worst <= 2);
	case_close(&c);
	case_end(&c);
}

static uint64_t fin_after_us;
static uint64_t closed_at_us;

static void note_eof(struct sim_sock *sock)
{
	fin_after_us = sim_world_now(sock->world) - closed_at_us;
}

static bool peer_eof(struct sim_case *c)
{
	return c->peer->rx.eof;
}

/*
 * A FIN behind a small write is not held back by Nagle while the write before it is unacknowledged.
 */
static void test_fin_not_held_by_nagle(void **state)
{
	struct exchange x;
	uint64_t worst_us;

	(void)state;
	begin(&x, true, 1, SIM_RX_POST);
	case_move(&x.c, SIM_TARGET);
	rounds(&x, &worst_us);
	x.c.peer->app.received = NULL;
	x.c.peer->app.eof = note_eof;
	closed_at_us = sim_world_now(x.c.world);
	x.c.host->tx.piece = 10;
	sim_sock_send(x.c.host, 30);
	sim_sock_close(x.c.host);
	CASE_WAIT(&x.c, peer_eof, CASE_S);
	CASE_REQ(&x.c, "DIS-11", fin_after_us <= 2 * RTT_US);
	case_close(&x.c);
	case_end(&x.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_write),
		cmocka_unit_test(test_two_writes_without_nagle),
		cmocka_unit_test(test_two_writes_with_nagle),
		cmocka_unit_test(test_ack_for_two_segments),
		cmocka_unit_test(test_fin_not_held_by_nagle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
