/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_chunk.h"

#include <errno.h>
#include <string.h>

#include "target/tgt_adapter.h"

_Static_assert(sizeof(struct tgt_chunk) + TGT_CHUNK_ROOM == TGT_CHUNK_BYTES,
	       "chunk fills its object");
_Static_assert(sizeof(struct tgt_chunk) == 32, "tables inside chunks are aligned");

struct tgt_chunk *tgt_chunk_at(const struct tgt_adapter *a, arena_ref ref)
{
	return arena_ptr(a->arena, ref);
}

static struct tgt_chunk *add_chunk(struct tgt_adapter *a, struct tgt_chunk_list *list,
				   uint32_t owner, tcp_seq seq)
{
	struct tgt_chunk *c = arena_take(a->arena, a->pool_chunk);
	arena_ref ref;

	if (!c)
		return NULL;
	c->seq = seq;
	c->owner = owner;
	ref = arena_ref_of(a->arena, c);
	if (list->tail)
		tgt_chunk_at(a, list->tail)->next = ref;
	else
		list->head = ref;
	list->tail = ref;
	list->chunks++;
	return c;
}

static uint32_t room_behind(const struct tgt_chunk *c)
{
	return (uint32_t)TGT_CHUNK_ROOM - c->off - c->len;
}

int tgt_chunks_append(struct tgt_adapter *a, struct tgt_chunk_list *list, const uint8_t *data,
		      uint32_t len)
{
	return tgt_chunks_append_as(a, list, data, len, 0, 0);
}

int tgt_chunks_append_as(struct tgt_adapter *a, struct tgt_chunk_list *list, const uint8_t *data,
			 uint32_t len, uint32_t owner, tcp_seq seq)
{
	uint32_t before = list->bytes;

	while (len) {
		struct tgt_chunk *c = tgt_chunk_at(a, list->tail);
		uint32_t n;

		if (!c || !room_behind(c))
			c = add_chunk(a, list, owner, seq);
		if (!c) {
			tgt_chunks_truncate(a, list, before);
			return -ENOBUFS;
		}
		n = room_behind(c) < len ? room_behind(c) : len;
		memcpy(c->data + c->off + c->len, data, n);
		arena_order();
		c->len = (uint16_t)(c->len + n);
		list->bytes += n;
		data += n;
		seq += n;
		len -= n;
	}
	return 0;
}

static void free_from(struct tgt_adapter *a, struct tgt_chunk_list *list, arena_ref ref)
{
	while (ref) {
		struct tgt_chunk *c = tgt_chunk_at(a, ref);

		ref = c->next;
		arena_give(a->arena, a->pool_chunk, c);
		list->chunks--;
	}
}

void tgt_chunks_drop(struct tgt_adapter *a, struct tgt_chunk_list *list, uint32_t n)
{
	list->bytes -= n;
	while (list->head) {
		struct tgt_chunk *c = tgt_chunk_at(a, list->head);

		if (n < c->len) {
			tgt_chunk_eat(c, n);
			return;
		}
		n -= c->len;
		list->head = c->next;
		if (!list->head)
			list->tail = ARENA_NULL;
		arena_give(a->arena, a->pool_chunk, c);
		list->chunks--;
	}
}

static void cut_marks(struct tgt_chunk *c)
{
	while (c->marks && c->mark[c->marks - 1] > c->off + c->len)
		c->marks--;
}

void tgt_chunks_truncate(struct tgt_adapter *a, struct tgt_chunk_list *list, uint32_t n)
{
	arena_ref ref = list->head, last = ARENA_NULL;
	struct tgt_chunk *c;
	uint32_t left = n;

	while (ref && left) {
		c = tgt_chunk_at(a, ref);
		if (c->len > left)
			c->len = (uint16_t)left;
		cut_marks(c);
		left -= c->len;
		last = ref;
		ref = c->next;
	}
	if (last)
		tgt_chunk_at(a, last)->next = ARENA_NULL;
	else
		list->head = ARENA_NULL;
	list->tail = last;
	list->bytes = n;
	free_from(a, list, ref);
}

void tgt_chunks_free(struct tgt_adapter *a, struct tgt_chunk_list *list)
{
	tgt_chunks_truncate(a, list, 0);
}

/* Two neighbors that fit in one chunk become one, so that a list of tiny pieces stays at least half
 * full. */
static void merge_heads(struct tgt_adapter *a, struct tgt_chunk_list *list,
			struct tgt_chunk_list *tail)
{
	struct tgt_chunk *left = tgt_chunk_at(a, list->tail);
	struct tgt_chunk *right = tgt_chunk_at(a, tail->head);

	if (right->len > room_behind(left))
		return;
	memcpy(left->data + left->off + left->len, right->data + right->off, right->len);
	left->len = (uint16_t)(left->len + right->len);
	list->bytes += right->len;
	tgt_chunks_drop(a, tail, right->len);
}

void tgt_chunks_join(struct tgt_adapter *a, struct tgt_chunk_list *list,
		     struct tgt_chunk_list *tail)
{
	if (list->tail && tail->head)
		merge_heads(a, list, tail);
	if (tail->head) {
		if (list->tail)
			tgt_chunk_at(a, list->tail)->next = tail->head;
		else
			list->head = tail->head;
		list->tail = tail->tail;
		list->bytes += tail->bytes;
		list->chunks += tail->chunks;
	}
	memset(tail, 0, sizeof(*tail));
}

const char *tgt_chunks_check(const struct tgt_adapter *a, const struct tgt_chunk_list *list)
{
	uint32_t bytes = 0, chunks = 0;
	arena_ref last = ARENA_NULL;

	for (arena_ref ref = list->head; ref; ref = tgt_chunk_at(a, ref)->next) {
		const struct tgt_chunk *c = tgt_chunk_at(a, ref);

		if (!c->len || c->off + c->len > TGT_CHUNK_ROOM)
			return "chunk empty or beyond its room";
		bytes += c->len;
		chunks++;
		last = ref;
	}
	if (last != list->tail)
		return "last chunk is not the tail of its list";
	if (bytes != list->bytes || chunks != list->chunks)
		return "chunk list counts wrong";
	return NULL;
}
