/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 5681: slow start, then one MSS a round trip; half of the flight after a loss. */
#include "target/tgt_cc.h"

enum { CARRY };

static void newreno_init(struct tgt_conn *conn)
{
	conn->cc[CARRY] = 0;
}

static void newreno_acked(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us)
{
	(void)now_us;
	bytes = tgt_cc_slow_start(conn, bytes);
	if (bytes)
		tgt_cc_reno_grow(conn, bytes, &conn->cc[CARRY]);
}

static uint32_t newreno_lost(struct tgt_conn *conn, uint32_t flight_bytes, uint64_t now_us)
{
	uint32_t least = 2 * tgt_conn_mss(conn);

	(void)now_us;
	conn->cc[CARRY] = 0;
	return flight_bytes / 2 > least ? flight_bytes / 2 : least;
}

static void newreno_idle(struct tgt_conn *conn, uint64_t idle_us)
{
	(void)conn;
	(void)idle_us;
}

const struct tgt_cc_ops tgt_cc_newreno = {
	.name = "newreno",
	.id = 1,
	.init = newreno_init,
	.acked = newreno_acked,
	.lost = newreno_lost,
	.undo = newreno_init,
	.idle = newreno_idle,
};
