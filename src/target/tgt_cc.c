/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_cc.h"

#include <string.h>

#include "target/tgt_rtt.h"

static const struct tgt_cc_ops *const algorithms[] = { &tgt_cc_cubic, &tgt_cc_newreno };

const struct tgt_cc_ops *tgt_cc_by_name(const char *name)
{
	if (!name)
		return algorithms[0];
	for (unsigned int i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (!strcmp(algorithms[i]->name, name))
			return algorithms[i];
	return NULL;
}

const struct tgt_cc_ops *tgt_cc_by_id(uint8_t id)
{
	for (unsigned int i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (algorithms[i]->id == id)
			return algorithms[i];
	return algorithms[0];
}

uint32_t tgt_cc_slow_start(struct tgt_conn *conn, uint32_t bytes)
{
	uint32_t room, grow;

	if (conn->cwnd_bytes >= conn->ssthresh_bytes)
		return bytes;
	room = conn->ssthresh_bytes - conn->cwnd_bytes;
	grow = bytes < room ? bytes : room;
	conn->cwnd_bytes += grow;
	return bytes - grow;
}

void tgt_cc_reno_grow(struct tgt_conn *conn, uint32_t bytes, uint64_t *carry)
{
	*carry += bytes;
	while (*carry >= conn->cwnd_bytes) {
		*carry -= conn->cwnd_bytes;
		conn->cwnd_bytes += tgt_conn_mss(conn);
	}
}

static uint32_t initial_window(const struct tgt_conn *conn)
{
	return TGT_CC_INITIAL_SEGMENTS * tgt_conn_mss(conn);
}

static void remember_cwnd(struct tgt_conn *conn)
{
	uint32_t most = conn->cwnd_bytes / 4 * 3;

	if (conn->ssthresh_bytes < most)
		conn->ssthresh_bytes = most;
}

void tgt_cc_restart(struct tgt_conn *conn, uint64_t idle_us)
{
	uint32_t least = initial_window(conn);
	uint64_t rto = tgt_rtt_rto(conn);

	tgt_cc_by_id(conn->cc_id)->idle(conn, idle_us);
	conn->cwnd_used_bytes = 0;
	if (conn->cwnd_bytes <= least)
		return;
	remember_cwnd(conn);
	for (; idle_us > rto && conn->cwnd_bytes > least; idle_us -= rto)
		conn->cwnd_bytes /= 2;
	if (conn->cwnd_bytes < least)
		conn->cwnd_bytes = least;
}

/* Half of what was not used goes; the rest stays for a burst to come. */
static void decay(struct tgt_conn *conn)
{
	uint32_t used = initial_window(conn);

	if (used < conn->cwnd_used_bytes)
		used = conn->cwnd_used_bytes;
	if (used >= conn->cwnd_bytes || conn->phase != TGT_REC_OPEN)
		return;
	remember_cwnd(conn);
	conn->cwnd_bytes = used + (conn->cwnd_bytes - used) / 2;
}

void tgt_cc_validate(struct tgt_conn *conn, uint32_t flight_bytes, bool waiting, uint64_t now_us)
{
	uint32_t since_us = (uint32_t)now_us - conn->cwnd_used_us;
	bool limited = conn->flags & TGT_CF_CWND_LIMITED;

	if (!limited) {
		if (conn->cwnd_used_bytes < flight_bytes)
			conn->cwnd_used_bytes = flight_bytes;
		if (since_us < TGT_RTO_MIN_US || since_us < tgt_rtt_rto(conn))
			return;
		if (!waiting)
			decay(conn);
	}
	conn->cwnd_used_bytes = 0;
	conn->cwnd_used_us = (uint32_t)now_us;
}
