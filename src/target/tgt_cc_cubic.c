/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CUBIC (RFC 9438) in bytes and microseconds, integers only.
 *
 * After a loss the window grows along C * (t - K)^3 + W_max: fast at first, flat around the window
 * at which the loss happened, then probing beyond. K is the time at which the curve reaches W_max.
 * Where an ordinary AIMD flow with the same average would be faster (W_est), its window is used. C
 * is 0.4 segments per cubed second, beta 0.7.
 */
#include "target/tgt_cc.h"

/* words of tgt_conn.cc */
enum {
	W_MAX,      /* window before the last reduction, bytes; 0: the first slow start */
	EPOCH,      /* now_us when congestion avoidance began + 1; 0: not in it */
	K_MS,       /* K, milliseconds */
	W_EST,      /* AIMD window, bytes */
	EST_CARRY,  /* acknowledged bytes not yet turned into W_EST, scaled by alpha */
	CWND_CARRY, /* acknowledged bytes not yet turned into cwnd */
};

#define BETA_NUM 7u
#define BETA_DEN 10u
#define T_MAX_MS                                                                                   \
	1000000u /* keeps the cube within 64 bits; 1000 s after a loss the curve is a wall anyhow  \
		  */

static uint64_t cube_root(uint64_t x)
{
	uint64_t root = 0;

	for (int bit = 21; bit >= 0; bit--) {
		uint64_t r = root | 1ull << bit;

		if (r <= 2642245 && r * r * r <= x)
			root = r;
	}
	return root;
}

/* K = cbrt((W_max - cwnd) / C): with W in segments and K in milliseconds, cbrt(segments * 10^9 /
 * 0.4). */
static uint64_t time_to_w_max_ms(uint64_t gap_bytes, uint64_t mss)
{
	uint64_t per_segment = 2500000000ull;

	if (gap_bytes > UINT64_MAX / per_segment)
		gap_bytes = UINT64_MAX / per_segment;
	return cube_root(gap_bytes * per_segment / mss);
}

/* C * (t - K)^3 in bytes, positive or negative. */
static int64_t curve(int64_t t_ms, int64_t k_ms, uint64_t mss)
{
	int64_t d = t_ms - k_ms;
	bool below = d < 0;
	uint64_t cube;

	if (below)
		d = -d;
	if (d > T_MAX_MS)
		d = T_MAX_MS;
	cube = (uint64_t)d * (uint64_t)d * (uint64_t)d; /* at most 10^18 */
	cube = cube / 1000000u * mss * 4 / 10000u;
	return below ? -(int64_t)cube : (int64_t)cube;
}

static void cubic_init(struct tgt_conn *conn)
{
	for (unsigned int i = 0; i < TGT_CC_WORDS; i++)
		conn->cc[i] = 0;
}

static void begin_epoch(struct tgt_conn *conn, uint64_t now_us)
{
	uint64_t *c = conn->cc;
	uint64_t cwnd = conn->cwnd_bytes;

	c[EPOCH] = now_us + 1;
	if (c[W_MAX] < cwnd)
		c[W_MAX] = cwnd;
	c[K_MS] = time_to_w_max_ms(c[W_MAX] - cwnd, tgt_conn_mss(conn));
	c[W_EST] = cwnd;
	c[EST_CARRY] = c[CWND_CARRY] = 0;
}

/* alpha = 3 (1 - beta) / (1 + beta) = 9/17 until W_est has reached W_max, 1 afterwards. */
static void grow_estimate(struct tgt_conn *conn, uint32_t bytes)
{
	uint64_t *c = conn->cc;

	c[EST_CARRY] += c[W_EST] < c[W_MAX] ? (uint64_t)bytes * 9 / 17 : bytes;
	while (c[EST_CARRY] >= conn->cwnd_bytes) {
		c[EST_CARRY] -= conn->cwnd_bytes;
		c[W_EST] += tgt_conn_mss(conn);
	}
}

/* Where the curve will be one round trip from now, within [cwnd, 1.5 cwnd] (RFC 9438 4.2). */
static uint64_t target_window(const struct tgt_conn *conn, uint64_t now_us)
{
	const uint64_t *c = conn->cc;
	uint64_t cwnd = conn->cwnd_bytes;
	int64_t t_ms = (int64_t)((now_us - (c[EPOCH] - 1) + conn->srtt_us8 / 8) / 1000);
	int64_t w = (int64_t)c[W_MAX] + curve(t_ms, (int64_t)c[K_MS], tgt_conn_mss(conn));

	if (w < (int64_t)cwnd)
		return cwnd;
	return (uint64_t)w < cwnd + cwnd / 2 ? (uint64_t)w : cwnd + cwnd / 2;
}

/* cwnd moves to the target within one window's worth of acknowledgments. */
static void follow_target(struct tgt_conn *conn, uint32_t bytes, uint64_t target)
{
	uint64_t *carry = &conn->cc[CWND_CARRY];
	uint64_t cwnd = conn->cwnd_bytes;

	*carry += (target - cwnd) * bytes;
	conn->cwnd_bytes = (uint32_t)(cwnd + *carry / cwnd);
	*carry %= cwnd;
}

static void cubic_acked(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us)
{
	if (!conn->cc[W_MAX]) /* the first time: nobody knows yet where the limit is */
		bytes = tgt_hystart_acked(conn, bytes, now_us);
	else
		bytes = tgt_cc_slow_start(conn, bytes);
	if (!bytes)
		return;
	if (!conn->cc[EPOCH])
		begin_epoch(conn, now_us);
	grow_estimate(conn, bytes);
	follow_target(conn, bytes, target_window(conn, now_us));
	if (conn->cwnd_bytes < conn->cc[W_EST])
		conn->cwnd_bytes = (uint32_t)conn->cc[W_EST];
}

static uint32_t cubic_lost(struct tgt_conn *conn, uint32_t flight_bytes, uint64_t now_us)
{
	uint64_t *c = conn->cc;
	uint64_t cwnd = conn->cwnd_bytes, reduced;
	uint32_t least = 2 * tgt_conn_mss(conn);

	(void)now_us;
	if (flight_bytes < cwnd && flight_bytes >= least)
		cwnd = flight_bytes; /* the application, not the window, was the limit */
	/* Fast convergence: a flow that lost ground gives way to newer ones. */
	c[W_MAX] = cwnd < c[W_MAX] ? cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN) : cwnd;
	c[EPOCH] = 0;
	reduced = cwnd * BETA_NUM / BETA_DEN;
	return reduced > least ? (uint32_t)reduced : least;
}

static void cubic_undo(struct tgt_conn *conn)
{
	conn->cc[EPOCH] = 0;
	if (conn->cc[W_MAX] < conn->cwnd_bytes)
		conn->cc[W_MAX] = conn->cwnd_bytes;
}

/* The curve is one of sending time: without this it would jump while nobody probes the network. */
static void cubic_idle(struct tgt_conn *conn, uint64_t idle_us)
{
	if (conn->cc[EPOCH])
		conn->cc[EPOCH] += idle_us;
}

const struct tgt_cc_ops tgt_cc_cubic = {
	.name = "cubic",
	.id = 0,
	.init = cubic_init,
	.acked = cubic_acked,
	.lost = cubic_lost,
	.undo = cubic_undo,
	.idle = cubic_idle,
};
