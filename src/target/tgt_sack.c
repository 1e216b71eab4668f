/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_sack.h"

#include <string.h>

_Static_assert(TGT_SACK_RANGES * sizeof(struct tgt_range) <= TGT_CHUNK_ROOM, "table fits a chunk");

static struct tgt_range *table(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	struct tgt_chunk *c = tgt_chunk_at(a, conn->sack.table);

	return c ? (struct tgt_range *)(void *)c->data : NULL;
}

static void free_table(struct tgt_adapter *a, struct tgt_conn *conn)
{
	if (conn->sack.table)
		arena_give(a->arena, a->pool_chunk, tgt_chunk_at(a, conn->sack.table));
	memset(&conn->sack, 0, sizeof(conn->sack));
}

static struct tgt_range *make_table(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_chunk *c;

	if (!conn->sack.table) {
		c = arena_take(a->arena, a->pool_chunk);
		if (!c)
			return NULL;
		conn->sack.table = arena_ref_of(a->arena, c);
	}
	return table(a, conn);
}

/* Index of the first range that ends at or behind seq. */
static uint32_t find(const struct tgt_range *t, uint32_t count, tcp_seq seq)
{
	uint32_t low = 0;

	while (low < count) {
		uint32_t mid = low + (count - low) / 2;

		if (seq_geq(t[mid].end, seq))
			count = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Add a block: ranges that it overlaps or touches melt into one. Returns the bytes that are new. */
static uint32_t add_block(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_range block)
{
	struct tgt_range *t = make_table(a, conn);
	struct tgt_scoreboard *s = &conn->sack;
	uint32_t first, last, known = 0, fresh;

	if (!t)
		return 0;
	first = last = find(t, s->ranges, block.start);
	while (last < s->ranges && seq_leq(t[last].start, block.end)) {
		known += t[last].end - t[last].start;
		block.start = seq_min(block.start, t[last].start);
		block.end = seq_max(block.end, t[last].end);
		last++;
	}
	if (first == last && s->ranges == TGT_SACK_RANGES)
		return 0;
	memmove(&t[first + 1], &t[last], (s->ranges - last) * sizeof(t[0]));
	t[first] = block;
	s->ranges = s->ranges - (last - first) + 1;
	fresh = block.end - block.start - known;
	s->bytes += fresh;
	return fresh;
}

uint32_t tgt_sack_update(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_opts *opts)
{
	uint32_t fresh = 0;

	for (unsigned int i = 0; i < opts->sack_count; i++) {
		struct tgt_range block = opts->sack[i];

		if (!seq_lt(block.start, block.end) || !seq_gt(block.start, conn->snd_una) ||
		    !seq_leq(block.end, conn->snd_max))
			continue;
		fresh += add_block(a, conn, block);
	}
	return fresh;
}

void tgt_sack_advance(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_range *t = table(a, conn);
	struct tgt_scoreboard *s = &conn->sack;
	uint32_t gone = 0;

	while (gone < s->ranges && seq_leq(t[gone].end, conn->snd_una)) {
		s->bytes -= t[gone].end - t[gone].start;
		gone++;
	}
	if (!t)
		return;
	memmove(t, &t[gone], (s->ranges - gone) * sizeof(t[0]));
	s->ranges -= gone;
	if (s->ranges && seq_lt(t[0].start, conn->snd_una)) {
		s->bytes -= conn->snd_una - t[0].start;
		t[0].start = conn->snd_una;
	}
	if (!s->ranges)
		free_table(a, conn);
}

void tgt_sack_clear(struct tgt_adapter *a, struct tgt_conn *conn)
{
	free_table(a, conn);
}

bool tgt_sack_hole(const struct tgt_adapter *a, const struct tgt_conn *conn, tcp_seq seq,
		   tcp_seq *start, tcp_seq *end)
{
	const struct tgt_range *t = table(a, conn);
	uint32_t i = find(t, conn->sack.ranges, seq + 1);

	if (i < conn->sack.ranges && seq_leq(t[i].start, seq))
		seq = t[i++].end;
	*start = seq;
	*end = i < conn->sack.ranges ? t[i].start : conn->snd_max;
	return seq_lt(*start, *end);
}

uint32_t tgt_sack_bytes_below(const struct tgt_adapter *a, const struct tgt_conn *conn, tcp_seq seq)
{
	const struct tgt_range *t = table(a, conn);
	uint32_t bytes = 0;

	if (seq_geq(seq, tgt_sack_highest(a, conn)))
		return conn->sack.bytes;
	for (uint32_t i = 0; i < conn->sack.ranges && seq_lt(t[i].start, seq); i++)
		bytes += seq_min(t[i].end, seq) - t[i].start;
	return bytes;
}

tcp_seq tgt_sack_highest(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return conn->sack.ranges ? table(a, conn)[conn->sack.ranges - 1].end : conn->snd_una;
}

tcp_seq tgt_sack_lost_edge(const struct tgt_adapter *a, const struct tgt_conn *conn,
			   uint32_t threshold, uint32_t mss)
{
	const struct tgt_range *t = table(a, conn);
	uint32_t bytes = 0;

	for (uint32_t i = conn->sack.ranges; i-- > 0;) {
		bytes += t[i].end - t[i].start;
		if (conn->sack.ranges - i >= threshold || bytes > (threshold - 1) * mss)
			return t[i].start;
	}
	return conn->snd_una;
}

const char *tgt_sack_check(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	const struct tgt_range *t = table(a, conn);
	uint32_t bytes = 0;

	if (!conn->sack.ranges != !t)
		return "scoreboard table without ranges, or ranges without table";
	for (uint32_t i = 0; i < conn->sack.ranges; i++) {
		if (!seq_lt(t[i].start, t[i].end))
			return "scoreboard range empty";
		if (i ? seq_leq(t[i].start, t[i - 1].end) : seq_lt(t[i].start, conn->snd_una))
			return "scoreboard ranges touch, or lie below snd_una";
		bytes += t[i].end - t[i].start;
	}
	if (seq_gt(tgt_sack_highest(a, conn), conn->snd_max))
		return "scoreboard beyond snd_max";
	return bytes == conn->sack.bytes ? NULL : "scoreboard bytes wrong";
}
