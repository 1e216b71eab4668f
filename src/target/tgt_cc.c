/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_cc.h"

#include <string.h>

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

void tgt_cc_restart(struct tgt_conn *conn)
{
	uint32_t initial = TGT_CC_INITIAL_SEGMENTS * tgt_conn_mss(conn);

	if (conn->cwnd_bytes > initial)
		conn->cwnd_bytes = initial;
}
