/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_salvage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct piece {
	uint32_t owner;
	tcp_seq seq; /* of data[off] */
	uint32_t len;
	const uint8_t *data;
};

struct tgt_salvage {
	struct arena *arena;
	unsigned int pool_conn, pool_chunk;
	int pool_path; /* negative: none */
	struct piece *pieces;
	size_t count;
};

static int by_owner(const void *l, const void *r)
{
	const struct piece *a = l, *b = r;

	return (a->owner > b->owner) - (a->owner < b->owner);
}

static int collect(struct tgt_salvage *s)
{
	const struct tgt_chunk *c = NULL;

	/* the count of the pool may be one behind its map */
	s->pieces = calloc(arena_used(s->arena, s->pool_chunk) + 1u, sizeof(*s->pieces));
	if (!s->pieces)
		return -ENOMEM;
	while ((c = arena_next(s->arena, s->pool_chunk, c))) {
		const struct tgt_chunk span = { .span = c->span };

		if (!c->owner || !span.len || span.off + span.len > TGT_CHUNK_ROOM)
			continue;
		if (s->count > arena_used(s->arena, s->pool_chunk))
			return -EPROTO;
		s->pieces[s->count++] = (struct piece){ .owner = c->owner,
							.seq = c->seq + span.off,
							.len = span.len,
							.data = c->data + span.off };
	}
	qsort(s->pieces, s->count, sizeof(*s->pieces), by_owner);
	return 0;
}

int tgt_salvage_open(struct tgt_salvage **out, int fd)
{
	struct tgt_salvage *s = calloc(1, sizeof(*s));
	int err = s ? arena_attach(&s->arena, fd) : -ENOMEM, conn, chunk;

	if (err) {
		free(s);
		return err;
	}
	conn = arena_pool(s->arena, "conn");
	chunk = arena_pool(s->arena, "chunk");
	s->pool_path = arena_pool(s->arena, "path");
	if (conn < 0 || chunk < 0 ||
	    arena_object_bytes(s->arena, (unsigned int)conn) < sizeof(struct tgt_conn) ||
	    arena_object_bytes(s->arena, (unsigned int)chunk) != TGT_CHUNK_BYTES ||
	    (s->pool_path >= 0 &&
	     arena_object_bytes(s->arena, (unsigned int)s->pool_path) < sizeof(struct tgt_path))) {
		err = -EPROTO;
	} else {
		s->pool_conn = (unsigned int)conn;
		s->pool_chunk = (unsigned int)chunk;
		err = collect(s);
	}
	if (err)
		tgt_salvage_close(s);
	else
		*out = s;
	return err;
}

void tgt_salvage_close(struct tgt_salvage *s)
{
	if (!s)
		return;
	arena_destroy(s->arena);
	free(s->pieces);
	free(s);
}

const struct tgt_conn *tgt_salvage_next(const struct tgt_salvage *s, const struct tgt_conn *prev)
{
	const struct tgt_conn *conn = prev;

	do
		conn = arena_next(s->arena, s->pool_conn, conn);
	while (conn && !conn->taken);
	return conn;
}

const struct tgt_path *tgt_salvage_path(const struct tgt_salvage *s, const struct tgt_conn *conn)
{
	return s->pool_path < 0 ? NULL
				: arena_find(s->arena, (unsigned int)s->pool_path, conn->path);
}

/* ---- bytes ---- */

/* The piece of an owner that holds seq. */
static const struct piece *piece_of(const struct tgt_salvage *s, uint32_t owner, tcp_seq seq)
{
	const struct piece key = { .owner = owner };
	const struct piece *p = bsearch(&key, s->pieces, s->count, sizeof(key), by_owner);

	if (!p)
		return NULL;
	while (p > s->pieces && p[-1].owner == owner)
		p--;
	for (; p < s->pieces + s->count && p->owner == owner; p++)
		if (seq - p->seq < p->len)
			return p;
	return NULL;
}

uint32_t tgt_salvage_bytes(const struct tgt_salvage *s, const struct tgt_conn *conn,
			   enum tgt_salvage_queue queue, tcp_seq from, uint8_t *to, uint32_t max)
{
	uint32_t done = 0;

	while (done < max) {
		tcp_seq seq = from + done;
		const struct piece *p = piece_of(s, conn->owner + queue, seq);
		uint32_t n;

		if (!p)
			break;
		n = p->len - (seq - p->seq);
		n = n < max - done ? n : max - done;
		memcpy(to + done, p->data + (seq - p->seq), n);
		done += n;
	}
	return done;
}

/* ---- numbers ---- */

/*
 * The state that the two FINs mean. Which came first when both are there only the state of before
 * says: the one who closed first waits.
 */
static uint8_t state_of(const struct tgt_conn *conn)
{
	uint32_t f = conn->flags;
	bool we_first = conn->state != TGT_LAST_ACK && conn->state != TGT_CLOSE_WAIT;

	if (conn->state == TGT_CLOSED || conn->state == TGT_TIME_WAIT)
		return conn->state;
	if (!(f & TGT_CF_FIN_QUEUED))
		return f & TGT_CF_FIN_RECEIVED ? TGT_CLOSE_WAIT : TGT_ESTABLISHED;
	if (!(f & TGT_CF_FIN_RECEIVED))
		return f & TGT_CF_FIN_ACKED ? TGT_FIN_WAIT_2 : TGT_FIN_WAIT_1;
	if (!(f & TGT_CF_FIN_ACKED))
		return we_first ? TGT_CLOSING : TGT_LAST_ACK;
	return we_first ? TGT_TIME_WAIT : TGT_CLOSED;
}

void tgt_salvage_state(const struct tgt_conn *conn, struct tgt_conn *to)
{
	memset(to, 0, sizeof(*to));
	memcpy(to, conn, offsetof(struct tgt_conn, state));
	to->flags = conn->flags & (TGT_CF_FIN_QUEUED | TGT_CF_FIN_ACKED | TGT_CF_FIN_RECEIVED |
				   TGT_CF_TS_VALID | TGT_CF_IPV6 | TGT_CF_ABORTED);
	to->state = state_of(conn);
	to->owner = conn->owner;
	to->rcv_stored = conn->rcv_stored;
	to->rcv_nxt = conn->rcv_stored + !!(conn->flags & TGT_CF_FIN_RECEIVED);
	to->rcv_adv = to->rcv_edge = to->rcv_grant = seq_max(conn->rcv_edge, to->rcv_nxt);
	to->rcv_acked = to->rcv_nxt;
	to->snd_una = conn->flags & TGT_CF_FIN_ACKED ? conn->snd_max : conn->snd_una;
	to->snd_max = to->snd_nxt = seq_max(conn->snd_max, to->snd_una);
	to->snd_wnd_bytes = conn->snd_wnd_bytes;
	to->max_snd_wnd_bytes = conn->max_snd_wnd_bytes > conn->snd_wnd_bytes
					? conn->max_snd_wnd_bytes
					: conn->snd_wnd_bytes;
	to->snd_wl1 = conn->snd_wl1;
	to->snd_wl2 = to->snd_una;
	to->cwnd_bytes = conn->cwnd_bytes;
	to->ssthresh_bytes = conn->ssthresh_bytes;
	to->srtt_us8 = conn->srtt_us8;
	to->rttvar_us4 = conn->rttvar_us4;
	to->ts_recent = conn->ts_recent;
	to->ts_recent_us = conn->ts_recent_us;
	to->ts_delta_ticks = conn->ts_delta_ticks;
	to->max_rt_us = conn->max_rt_us;
	to->ka_idle_us = conn->ka_idle_us;
	to->ka_interval_us = conn->ka_interval_us;
	to->ka_probe_max = conn->ka_probe_max;
	to->hash_value = conn->hash_value;
	to->dwnd = conn->dwnd;
	to->ka_left_us = to->rexmt_left_us = TGT_LEFT_NONE;
	for (unsigned int i = 0; i < TGT_TMRS; i++)
		to->deadline_us[i] = TGT_TIME_NONE;
}
