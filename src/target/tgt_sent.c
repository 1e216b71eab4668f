/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records stand side by side in few[] or in the chunk, first one at index head. Popping moves
 * head; when the end of the room is reached they slide back to its start. At most three quarters of
 * the room are used before neighbours are joined, so sliding and joining cost a constant per
 * append.
 */
#include "target/tgt_sent.h"

#include <string.h>

#define CHUNK_RECORDS 336u

_Static_assert(CHUNK_RECORDS * sizeof(struct tgt_sent_record) <= TGT_CHUNK_ROOM,
	       "the records fit a chunk");

/* Records that are neither counted in bytes nor looked at while all goes well. */
#define DOUBTFUL (TGT_SENT_AGAIN | TGT_SENT_OLD)

static struct tgt_sent_record *room(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	struct tgt_chunk *c = tgt_chunk_at(a, conn->sent.table);

	return c ? (struct tgt_sent_record *)(void *)c->data
		 : (struct tgt_sent_record *)conn->sent.few;
}

static struct tgt_sent_record *records(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return room(a, conn) + conn->sent.head;
}

static uint32_t capacity(const struct tgt_conn *conn)
{
	return conn->sent.table ? CHUNK_RECORDS : TGT_SENT_FEW;
}

static tcp_seq start_of(const struct tgt_conn *conn, const struct tgt_sent_record *r, uint32_t i)
{
	return i ? r[i - 1].end : conn->snd_una;
}

static tcp_seq list_end(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return start_of(conn, records(a, conn), conn->sent.count);
}

static bool later(uint32_t x_us, uint32_t y_us)
{
	return (int32_t)(x_us - y_us) > 0;
}

/* ---- counts ---- */

static void count_bytes(struct tgt_sent *s, uint32_t state, uint32_t bytes)
{
	if (state & TGT_SENT_SACKED)
		s->sacked_bytes += bytes;
	else if (state & TGT_SENT_LOST)
		s->lost_bytes += bytes;
}

static void count_record(struct tgt_sent *s, uint32_t state, int by)
{
	if (state & TGT_SENT_SACKED)
		s->sacked = (uint16_t)(s->sacked + by);
	if (state & DOUBTFUL)
		s->doubtful = (uint16_t)(s->doubtful + by);
}

static void set_state(struct tgt_sent *s, struct tgt_sent_record *r, uint32_t bytes, uint32_t state)
{
	count_bytes(s, r->state, 0 - bytes);
	count_record(s, r->state, -1);
	r->state = state;
	count_bytes(s, state, bytes);
	count_record(s, state, 1);
}

/* ---- room ---- */

static void give_back(struct tgt_adapter *a, struct tgt_sent *s)
{
	if (s->table)
		arena_give(a->arena, a->pool_chunk, tgt_chunk_at(a, s->table));
	s->table = ARENA_NULL;
	s->head = 0;
}

void tgt_sent_clear(struct tgt_adapter *a, struct tgt_conn *conn)
{
	give_back(a, &conn->sent);
	memset(&conn->sent, 0, sizeof(conn->sent));
}

static void move_to_chunk(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_chunk *c = arena_take(a->arena, a->pool_chunk);

	if (!c)
		return;
	memcpy(c->data, records(a, conn), conn->sent.count * sizeof(struct tgt_sent_record));
	conn->sent.table = arena_ref_of(a->arena, c);
	conn->sent.head = 0;
}

/* Record i swallows the one behind it. */
static void join(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t i)
{
	struct tgt_sent_record *r = records(a, conn);
	struct tgt_sent *s = &conn->sent;

	if (later(r[i + 1].sent_us, r[i].sent_us))
		r[i].sent_us = r[i + 1].sent_us;
	r[i].end = r[i + 1].end;
	count_record(s, r[i + 1].state, -1);
	s->count--;
	memmove(&r[i + 1], &r[i + 2], (s->count - i - 1) * sizeof(r[0]));
}

static bool alike(const struct tgt_sent_record *x, const struct tgt_sent_record *y)
{
	return x->state == y->state && (x->state & TGT_SENT_SACKED || x->sent_us == y->sent_us);
}

static void join_if_alike(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t i)
{
	struct tgt_sent_record *r = records(a, conn);

	if (i + 1 < conn->sent.count && alike(&r[i], &r[i + 1]))
		join(a, conn, i);
}

/* Every second boundary between runs of one state goes; what remains is coarser, not wrong. */
static void coarsen(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_sent_record *r = records(a, conn);
	struct tgt_sent *s = &conn->sent;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->count; i++, kept++) {
		r[kept] = r[i];
		if (i + 1 == s->count || r[i].state != r[i + 1].state)
			continue;
		i++;
		r[kept].end = r[i].end;
		if (later(r[i].sent_us, r[kept].sent_us))
			r[kept].sent_us = r[i].sent_us;
		count_record(s, r[i].state, -1);
	}
	s->count = (uint16_t)kept;
}

/* Room for n more records behind the last. False: there is none. */
static bool make_room(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t n)
{
	struct tgt_sent *s = &conn->sent;

	if (s->head + s->count + n <= capacity(conn))
		return true;
	if (!s->table && s->count + n > TGT_SENT_FEW)
		move_to_chunk(a, conn);
	if (s->count + n > capacity(conn) - (s->table ? CHUNK_RECORDS / 4 : 0))
		coarsen(a, conn);
	if (s->head) {
		memmove(room(a, conn), records(a, conn), s->count * sizeof(struct tgt_sent_record));
		s->head = 0;
	}
	return s->count + n <= capacity(conn);
}

/* Index of the record that holds seq; count when seq is at or behind the end. */
static uint32_t locate(const struct tgt_adapter *a, const struct tgt_conn *conn, tcp_seq seq)
{
	const struct tgt_sent_record *r = records(a, conn);
	uint32_t low = 0, high = conn->sent.count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (seq_gt(r[mid].end, seq))
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/*
 * Make a record begin at seq and return its index. Without room it is the one that holds seq, begun
 * earlier.
 */
static uint32_t split(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq)
{
	struct tgt_sent *s = &conn->sent;
	struct tgt_sent_record *r;
	uint32_t i = locate(a, conn, seq);

	if (i == s->count || start_of(conn, records(a, conn), i) == seq)
		return i;
	if (!make_room(a, conn, 1))
		return i;
	i = locate(a, conn, seq); /* making room may have moved it */
	r = records(a, conn);
	if (start_of(conn, r, i) == seq)
		return i;
	memmove(&r[i + 1], &r[i], (s->count - i) * sizeof(r[0]));
	r[i].end = seq;
	s->count++;
	count_record(s, r[i].state, 1);
	return i + 1;
}

/* ---- sending ---- */

/* No room at all, which takes a peer that SACKs every other byte: the last run grows and becomes
 * one of which nothing is known. */
static void stretch_last(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq end, uint64_t now_us)
{
	struct tgt_sent *s = &conn->sent;
	struct tgt_sent_record *r = records(a, conn) + s->count - 1;
	tcp_seq start = start_of(conn, records(a, conn), s->count - 1u);

	set_state(s, r, r->end - start, TGT_SENT_AGAIN);
	r->end = end;
	r->sent_us = (uint32_t)now_us;
}

static void append(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq end, uint64_t now_us,
		   uint32_t state)
{
	struct tgt_sent *s = &conn->sent;

	if (!make_room(a, conn, 1)) {
		stretch_last(a, conn, end, now_us);
		return;
	}
	records(a, conn)[s->count++] =
		(struct tgt_sent_record){ .end = end, .sent_us = (uint32_t)now_us, .state = state };
	count_record(s, state, 1);
}

void tgt_sent_append(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq end, uint64_t now_us)
{
	struct tgt_sent_record *last = records(a, conn) + conn->sent.count - 1;

	if (conn->sent.count && !last->state && last->sent_us == (uint32_t)now_us)
		last->end = end;
	else
		append(a, conn, end, now_us, 0);
}

void tgt_sent_begin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_sent_clear(a, conn);
	if (conn->snd_una != conn->snd_max)
		append(a, conn, conn->snd_max, a->now_us, TGT_SENT_OLD);
}

void tgt_sent_truncate(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq end)
{
	struct tgt_sent *s = &conn->sent;

	while (s->count && seq_gt(list_end(a, conn), end)) {
		struct tgt_sent_record *last = records(a, conn) + s->count - 1;
		tcp_seq start = start_of(conn, records(a, conn), s->count - 1u);

		if (seq_lt(start, end)) {
			count_bytes(s, last->state, end - last->end);
			last->end = end;
			return;
		}
		set_state(s, last, last->end - start, 0);
		s->count--;
	}
	if (!s->count)
		give_back(a, s);
}

void tgt_sent_again(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq start, tcp_seq end,
		    uint64_t now_us)
{
	uint32_t first = split(a, conn, start), last = split(a, conn, end);
	struct tgt_sent_record *r;

	first = locate(a, conn, start);
	if (last == first)
		last++; /* no room to split: the whole run counts as sent */
	r = records(a, conn);
	for (uint32_t i = first; i < last && i < conn->sent.count; i++) {
		set_state(&conn->sent, &r[i], r[i].end - start_of(conn, r, i), TGT_SENT_AGAIN);
		r[i].sent_us = (uint32_t)now_us;
	}
	for (; first + 1 < last && first + 1 < conn->sent.count; last--)
		join(a, conn, first);
	if (first)
		join_if_alike(a, conn, first - 1);
}

/* ---- the peer has it ---- */

static void tell(tgt_sent_fn *delivered, void *ctx, const struct tgt_sent_record *r, tcp_seq start,
		 tcp_seq end)
{
	struct tgt_sent_run run = {
		.start = start, .end = end, .sent_us = r->sent_us, .state = r->state
	};

	if (!(r->state & TGT_SENT_SACKED))
		delivered(ctx, &run);
}

void tgt_sent_ack(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack, tgt_sent_fn *delivered,
		  void *ctx)
{
	struct tgt_sent *s = &conn->sent;
	struct tgt_sent_record *r = records(a, conn);
	tcp_seq start = conn->snd_una;
	uint32_t gone = 0;

	for (; gone < s->count && seq_leq(r[gone].end, ack); start = r[gone++].end) {
		tell(delivered, ctx, &r[gone], start, r[gone].end);
		if (r[gone].state)
			set_state(s, &r[gone], r[gone].end - start, 0);
	}
	if (gone < s->count && seq_lt(start, ack)) {
		tell(delivered, ctx, &r[gone], start, ack);
		count_bytes(s, r[gone].state, start - ack);
	}
	s->count = (uint16_t)(s->count - gone);
	s->head = (uint16_t)(s->head + gone);
	if (!s->count)
		give_back(a, s);
}

bool tgt_sent_sack(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq start, tcp_seq end,
		   tgt_sent_fn *delivered, void *ctx)
{
	struct tgt_sent *s = &conn->sent;
	struct tgt_sent_record *r = records(a, conn);
	uint32_t i = locate(a, conn, start), first;

	if (i < s->count && r[i].state & TGT_SENT_SACKED && seq_geq(r[i].end, end))
		return true;
	if (!make_room(a, conn, 2))
		return false;
	first = split(a, conn, start);
	(void)split(a, conn, end);
	r = records(a, conn);
	for (i = first; i < s->count && seq_leq(r[i].end, end); i++) {
		tcp_seq from = start_of(conn, r, i);

		tell(delivered, ctx, &r[i], from, r[i].end);
		set_state(s, &r[i], r[i].end - from, TGT_SENT_SACKED);
	}
	while (i-- > first + 1)
		join(a, conn, first);
	join_if_alike(a, conn, first);
	if (first)
		join_if_alike(a, conn, first - 1);
	return true;
}

/* ---- lost ---- */

static uint32_t lose(struct tgt_conn *conn, struct tgt_sent_record *r, uint32_t i)
{
	uint32_t bytes = r[i].end - start_of(conn, r, i);

	if (r[i].state & (TGT_SENT_SACKED | TGT_SENT_LOST))
		return 0;
	set_state(&conn->sent, &r[i], bytes, r[i].state | TGT_SENT_LOST);
	return bytes;
}

uint32_t tgt_sent_lose(struct tgt_adapter *a, struct tgt_conn *conn, tgt_sent_judge_fn *judge,
		       void *ctx)
{
	struct tgt_sent_record *r = records(a, conn);
	struct tgt_sent_run run = { .end = conn->snd_una };
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < conn->sent.count; i++) {
		run.start = run.end;
		run.end = r[i].end;
		if (r[i].state & (TGT_SENT_SACKED | TGT_SENT_LOST))
			continue;
		run.sent_us = r[i].sent_us;
		run.state = r[i].state;
		if (judge(ctx, &run))
			bytes += lose(conn, r, i);
	}
	return bytes;
}

uint32_t tgt_sent_lose_head(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	uint32_t out = conn->snd_max - conn->snd_una;

	if (!conn->sent.count)
		return 0;
	(void)split(a, conn, conn->snd_una + (bytes < out ? bytes : out));
	return lose(conn, records(a, conn), 0);
}

uint32_t tgt_sent_lose_from(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq)
{
	uint32_t i = split(a, conn, seq), bytes = 0;
	struct tgt_sent_record *r = records(a, conn);

	for (; i < conn->sent.count; i++)
		bytes += lose(conn, r, i);
	return bytes;
}

void tgt_sent_find(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_sent_record *r = records(a, conn);

	for (uint32_t i = 0; i < conn->sent.count; i++)
		set_state(&conn->sent, &r[i], r[i].end - start_of(conn, r, i),
			  r[i].state & ~(uint32_t)TGT_SENT_LOST);
}

void tgt_sent_unsack(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_sent_record *r = records(a, conn);

	for (uint32_t i = 0; i < conn->sent.count; i++)
		if (r[i].state & TGT_SENT_SACKED)
			set_state(&conn->sent, &r[i], r[i].end - start_of(conn, r, i),
				  TGT_SENT_LOST | TGT_SENT_AGAIN);
}

bool tgt_sent_first_lost(const struct tgt_adapter *a, const struct tgt_conn *conn,
			 struct tgt_range *out)
{
	const struct tgt_sent_record *r = records(a, conn);

	for (uint32_t i = 0; conn->sent.lost_bytes && i < conn->sent.count; i++) {
		if (!(r[i].state & TGT_SENT_LOST))
			continue;
		out->start = start_of(conn, r, i);
		while (i + 1 < conn->sent.count && r[i + 1].state & TGT_SENT_LOST)
			i++;
		out->end = r[i].end;
		return true;
	}
	return false;
}

bool tgt_sent_head_sacked(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return conn->sent.count && records(a, conn)->state & TGT_SENT_SACKED;
}

const char *tgt_sent_check(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	const struct tgt_sent_record *r = records(a, conn);
	const struct tgt_sent *s = &conn->sent;
	struct tgt_sent sum = { 0 };

	if (s->head + s->count > capacity(conn))
		return "records beyond their room";
	if (!s->count && s->table)
		return "a chunk without records";
	for (uint32_t i = 0; i < s->count; i++) {
		if (!seq_lt(start_of(conn, r, i), r[i].end))
			return "empty record";
		if (r[i].state & TGT_SENT_SACKED && r[i].state != TGT_SENT_SACKED)
			return "SACKed and something else";
		if (i && r[i].state & r[i - 1].state & TGT_SENT_SACKED)
			return "SACKed records touch";
		count_bytes(&sum, r[i].state, r[i].end - start_of(conn, r, i));
		count_record(&sum, r[i].state, 1);
	}
	if (sum.sacked_bytes != s->sacked_bytes || sum.lost_bytes != s->lost_bytes ||
	    sum.sacked != s->sacked || sum.doubtful != s->doubtful)
		return "counts of sent records wrong";
	return list_end(a, conn) == conn->snd_max ? NULL : "sent records do not end at snd_max";
}
