/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_hole.h"

#define SEARCH_ENDS_BYTES 16u /* nearer than that is not worth a lost segment */

static uint32_t now_s(uint64_t now_us)
{
	return (uint32_t)(now_us / 1000000u);
}

static uint32_t full_mtu(const struct tgt_conn *conn)
{
	uint32_t mtu = tgt_conn_full_mtu(conn);

	return mtu < UINT16_MAX ? mtu : UINT16_MAX;
}

static uint32_t smaller(const struct tgt_conn *conn, uint32_t mtu_bytes)
{
	if (mtu_bytes > TGT_HOLE_BASE)
		return TGT_HOLE_BASE;
	if (!(conn->flags & TGT_CF_IPV6) && mtu_bytes > TGT_HOLE_LEAST_V4)
		return TGT_HOLE_LEAST_V4;
	return 0;
}

static void probe_failed(struct tgt_conn *conn)
{
	conn->hole_high_bytes = conn->hole_probe_bytes;
	conn->hole_probe_bytes = 0;
}

void tgt_hole_timeout(struct tgt_conn *conn, uint64_t now_us)
{
	uint32_t mtu = conn->hole_mtu_bytes ? conn->hole_mtu_bytes : full_mtu(conn);
	uint32_t next = smaller(conn, mtu);

	if (conn->hole_probe_bytes)
		probe_failed(conn);
	if (conn->rexmt_count % TGT_HOLE_TIMEOUTS || !next ||
	    conn->snd_max - conn->snd_una < tgt_conn_mss(conn))
		return;
	conn->hole_mtu_bytes = (uint16_t)next;
	conn->hole_high_bytes = 0;
	conn->hole_next_s = now_s(now_us);
}

static void search_ended(struct tgt_conn *conn, uint64_t now_us)
{
	conn->hole_high_bytes = 0;
	conn->hole_next_s = now_s(now_us) + TGT_HOLE_RAISE_S;
}

static uint32_t candidate(const struct tgt_conn *conn)
{
	uint32_t low = conn->hole_mtu_bytes;

	return conn->hole_high_bytes ? low + (conn->hole_high_bytes - low) / 2 : full_mtu(conn);
}

uint32_t tgt_hole_probe(struct tgt_conn *conn, uint32_t queued, uint32_t room, uint64_t now_us)
{
	uint32_t mtu = candidate(conn), more = mtu - conn->hole_mtu_bytes;
	uint32_t payload = tgt_conn_mss(conn) + more;

	if (conn->hole_probe_bytes || conn->phase != TGT_REC_OPEN ||
	    (int32_t)(now_s(now_us) - conn->hole_next_s) < 0)
		return 0;
	if (!(conn->options & TGT_OPT_SACK)) {
		/* A lost probe could not be told from congestion: find the hole once more. */
		if (now_s(now_us) - conn->hole_next_s >= TGT_HOLE_RAISE_S)
			tgt_hole_forget(conn);
		return 0;
	}
	return queued >= payload && room >= payload ? mtu : 0;
}

void tgt_hole_sent(struct tgt_conn *conn, uint32_t mtu_bytes, tcp_seq start, tcp_seq end)
{
	conn->hole_probe_bytes = (uint16_t)mtu_bytes;
	conn->hole_start = start;
	conn->hole_end = end;
}

void tgt_hole_acked(struct tgt_conn *conn, uint64_t now_us)
{
	if (seq_lt(conn->snd_una, conn->hole_end))
		return;
	conn->hole_mtu_bytes = conn->hole_probe_bytes;
	conn->hole_probe_bytes = 0;
	if (conn->hole_mtu_bytes >= full_mtu(conn))
		tgt_hole_forget(conn);
	else if (conn->hole_high_bytes - conn->hole_mtu_bytes < (int)SEARCH_ENDS_BYTES)
		search_ended(conn, now_us);
}

bool tgt_hole_lost(struct tgt_conn *conn, const struct tgt_range *lost)
{
	if (!conn->hole_probe_bytes || seq_lt(lost->start, conn->hole_start) ||
	    seq_gt(lost->end, conn->hole_end))
		return false;
	probe_failed(conn);
	return true;
}

void tgt_hole_forget(struct tgt_conn *conn)
{
	conn->hole_mtu_bytes = conn->hole_high_bytes = conn->hole_probe_bytes = 0;
}
