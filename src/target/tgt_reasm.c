/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An arriving piece is first stripped of what lies in ranges already held. The rest is either
 * appended to the range it follows or becomes a range of its own; when it touches the next range
 * the two are joined. So ranges never overlap and never touch, a byte is stored once, and a flood
 * of one-byte segments is stopped by the number of ranges (each of which costs at least one chunk)
 * instead of by memory.
 */
#include "target/tgt_reasm.h"

#include <errno.h>
#include <string.h>

#include "target/tgt_window.h"

struct reasm_range {
	tcp_seq start, end;
	struct tgt_chunk_list list;
};

_Static_assert(TGT_REASM_RANGES * sizeof(struct reasm_range) <= TGT_CHUNK_ROOM,
	       "table fits a chunk");

static struct reasm_range *table(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	struct tgt_chunk *c = tgt_chunk_at(a, conn->reasm.table);

	return c ? (struct reasm_range *)(void *)c->data : NULL;
}

/* Index of the first range that ends behind seq. Ranges are in order, so half of them fall away at
 * each step. */
static uint32_t find(const struct reasm_range *t, uint32_t count, tcp_seq seq)
{
	uint32_t low = 0;

	while (low < count) {
		uint32_t mid = low + (count - low) / 2;

		if (seq_gt(t[mid].end, seq))
			count = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void remove_range(struct reasm_range *t, struct tgt_reasm *r, uint32_t i)
{
	memmove(&t[i], &t[i + 1], (r->ranges - i - 1) * sizeof(t[0]));
	r->ranges--;
}

static void free_table(struct tgt_adapter *a, struct tgt_conn *conn)
{
	if (conn->reasm.table)
		arena_give(a->arena, a->pool_chunk, tgt_chunk_at(a, conn->reasm.table));
	conn->reasm.table = ARENA_NULL;
}

static struct reasm_range *make_table(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_chunk *c;

	if (!conn->reasm.table) {
		c = arena_take(a->arena, a->pool_chunk);
		if (!c)
			return NULL;
		conn->reasm.table = arena_ref_of(a->arena, c);
	}
	return table(a, conn);
}

/* A new range before index i. */
static int add_range(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t i, tcp_seq seq,
		     const uint8_t *data, uint32_t len)
{
	struct reasm_range *t = table(a, conn);
	struct reasm_range fresh = { .start = seq, .end = seq + len };
	int err;

	if (conn->reasm.ranges == TGT_REASM_RANGES)
		return -ENOBUFS;
	err = tgt_chunks_append(a, &fresh.list, data, len);
	if (err)
		return err;
	memmove(&t[i + 1], &t[i], (conn->reasm.ranges - i) * sizeof(t[0]));
	t[i] = fresh;
	conn->reasm.ranges++;
	return 0;
}

/* Store a piece that overlaps nothing; i is the range behind it. Joins what touches. */
static int store_piece(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t i, tcp_seq seq,
		       const uint8_t *data, uint32_t len)
{
	struct reasm_range *t = table(a, conn);
	struct tgt_reasm *r = &conn->reasm;
	int err;

	if (r->bytes + len > a->limits.conn_reasm_bytes)
		return -ENOBUFS;
	if (i && t[i - 1].end == seq) {
		i--;
		err = tgt_chunks_append(a, &t[i].list, data, len);
		if (err)
			return err;
		t[i].end += len;
	} else {
		err = add_range(a, conn, i, seq, data, len);
		if (err)
			return err;
	}
	r->bytes += len;
	r->last_start = t[i].start;
	if (i + 1 < r->ranges && t[i + 1].start == t[i].end) {
		tgt_chunks_join(a, &t[i].list, &t[i + 1].list);
		t[i].end = t[i + 1].end;
		remove_range(t, r, i + 1);
	}
	return 0;
}

static void note_duplicate(struct tgt_conn *conn, tcp_seq start, tcp_seq end)
{
	if (conn->flags & TGT_CF_DSACK)
		return;
	conn->flags |= TGT_CF_DSACK;
	conn->dsack_start = start;
	conn->dsack_end = end;
}

int tgt_reasm_insert(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, const uint8_t *data,
		     uint32_t len)
{
	const struct reasm_range *t = make_table(a, conn);
	tcp_seq end = seq + len;
	int err = t ? 0 : -ENOBUFS;

	while (!err && seq != end) {
		uint32_t i = find(t, conn->reasm.ranges, seq);
		tcp_seq stop = end;

		if (i < conn->reasm.ranges && seq_leq(t[i].start, seq)) { /* held already */
			stop = seq_min(end, t[i].end);
			conn->reasm.last_start = t[i].start;
			note_duplicate(conn, seq, stop);
		} else {
			if (i < conn->reasm.ranges)
				stop = seq_min(end, t[i].start);
			err = store_piece(a, conn, i, seq, data, stop - seq);
		}
		data += stop - seq;
		seq = stop;
	}
	if (err)
		tgt_drop(a, TGT_DROP_REASM_FULL);
	if (!conn->reasm.ranges)
		free_table(a, conn);
	return err;
}

/* Hand over the bytes of a range that begins at rcv_nxt. PSH of queued segments is not kept: the
 * end counts as one. */
static void deliver_range(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_chunk_list *list)
{
	for (arena_ref ref = list->head; ref; ref = tgt_chunk_at(a, ref)->next) {
		const struct tgt_chunk *c = tgt_chunk_at(a, ref);

		conn->rcv_in_deliver_bytes = c->len;
		tgt_window_advance(conn, c->len);
		tgt_deliver_data(a, conn, c->data + c->off, c->len, !c->next);
		conn->rcv_in_deliver_bytes = 0;
	}
}

uint32_t tgt_reasm_pull(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct reasm_range *t = table(a, conn);
	struct tgt_reasm *r = &conn->reasm;
	uint32_t delivered = 0;

	while (r->ranges && seq_leq(t[0].start, conn->rcv_nxt)) {
		struct reasm_range first = t[0];
		uint32_t known = conn->rcv_nxt - first.start;

		r->bytes -= first.list.bytes;
		remove_range(t, r, 0);
		if (known < first.list.bytes) {
			tgt_chunks_drop(a, &first.list, known);
			delivered += first.list.bytes;
			deliver_range(a, conn, &first.list);
		}
		tgt_chunks_free(a, &first.list);
	}
	if (!r->ranges)
		free_table(a, conn);
	return delivered;
}

unsigned int tgt_reasm_sack(const struct tgt_adapter *a, const struct tgt_conn *conn,
			    struct tgt_range *out, unsigned int max)
{
	const struct reasm_range *t = table(a, conn);
	unsigned int n = 0;

	if (max && conn->flags & TGT_CF_DSACK) {
		out[n].start = conn->dsack_start;
		out[n++].end = conn->dsack_end;
	}
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = conn->reasm.ranges; i-- > 0 && n < max;) {
			if ((t[i].start == conn->reasm.last_start) != (pass == 0))
				continue;
			out[n].start = t[i].start;
			out[n++].end = t[i].end;
		}
	return n;
}

void tgt_reasm_drop(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct reasm_range *t = table(a, conn);

	for (uint32_t i = 0; i < conn->reasm.ranges; i++)
		tgt_chunks_free(a, &t[i].list);
	free_table(a, conn);
	memset(&conn->reasm, 0, sizeof(conn->reasm));
}

const char *tgt_reasm_check(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	const struct reasm_range *t = table(a, conn);
	const char *wrong = NULL;
	uint32_t bytes = 0;

	if (!conn->reasm.ranges != !t)
		return "reassembly table without ranges, or ranges without table";
	for (uint32_t i = 0; i < conn->reasm.ranges && !wrong; i++) {
		wrong = tgt_chunks_check(a, &t[i].list);
		if (t[i].end - t[i].start != t[i].list.bytes)
			wrong = "reassembly range does not hold what it says";
		if (seq_leq(t[i].start, i ? t[i - 1].end : conn->rcv_nxt))
			wrong = "reassembly ranges touch or are out of order";
		bytes += t[i].list.bytes;
	}
	if (!wrong && bytes != conn->reasm.bytes)
		wrong = "reassembly bytes wrong";
	return wrong;
}
