/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/tgt_adapter.h"
#include "target/tgt_chunk.h"

struct caught_frame {
	struct nic_rx_frame meta; /* data is not valid */
	struct tgt_chunk_list bytes;
	uint32_t next; /* index + 1; also links the free ones */
};

struct tgt_flow_table {
	struct tgt_flow *flows;
	struct caught_frame *frames;
	uint32_t *buckets; /* index + 1 */
	uint32_t bucket_mask;
	uint32_t free_flow; /* index + 1 */
	uint32_t free_frame;
	uint32_t caught;
	uint32_t frame_bytes;
	uint64_t key;
	uint8_t *scratch; /* one frame in one piece, for the receiver of a release */
};

static uint64_t mix(uint64_t h, uint64_t word)
{
	h ^= word;
	h *= 0x9fb21c651e98df25ull;
	return h ^ (h >> 29);
}

static uint32_t hash_tuple(const struct tgt_flow_table *t, const struct tgt_tuple *tuple)
{
	uint64_t word[4], h = t->key;

	memcpy(&word[0], tuple->local, 16);
	memcpy(&word[2], tuple->remote, 16);
	for (unsigned int i = 0; i < 4; i++)
		h = mix(h, word[i]);
	h = mix(h, (uint64_t)tuple->local_port_be << 32 | (uint64_t)tuple->remote_port_be << 8 |
			   tuple->v6);
	h = mix(h, t->key >> 32 | t->key << 32);
	return (uint32_t)(h ^ (h >> 32));
}

static bool same_tuple(const struct tgt_tuple *x, const struct tgt_tuple *y)
{
	return x->local_port_be == y->local_port_be && x->remote_port_be == y->remote_port_be &&
	       x->v6 == y->v6 && !memcmp(x->remote, y->remote, 16) &&
	       !memcmp(x->local, y->local, 16);
}

static uint32_t power_of_two_at_least(uint32_t n)
{
	uint32_t p = 16;

	while (p < n && p < 1u << 31)
		p <<= 1;
	return p;
}

static void chain_free_lists(struct tgt_flow_table *t, uint32_t flows, uint32_t frames)
{
	for (uint32_t i = flows; i-- > 0;) {
		t->flows[i].next = t->free_flow;
		t->free_flow = i + 1;
	}
	for (uint32_t i = frames; i-- > 0;) {
		t->frames[i].next = t->free_frame;
		t->free_frame = i + 1;
	}
}

int tgt_flow_table_create(struct tgt_flow_table **out, uint32_t flows, uint32_t frames,
			  uint32_t frame_bytes, uint64_t key)
{
	struct tgt_flow_table *t = calloc(1, sizeof(*t));
	uint32_t buckets = power_of_two_at_least(flows);

	if (!t)
		return -ENOMEM;
	t->key = key;
	t->frame_bytes = frame_bytes;
	t->bucket_mask = buckets - 1;
	t->flows = calloc(flows, sizeof(*t->flows));
	t->frames = calloc(frames ? frames : 1, sizeof(*t->frames));
	t->buckets = calloc(buckets, sizeof(*t->buckets));
	t->scratch = malloc(frame_bytes);
	if (!t->flows || !t->frames || !t->buckets || !t->scratch) {
		tgt_flow_table_destroy(t);
		return -ENOMEM;
	}
	chain_free_lists(t, flows, frames);
	*out = t;
	return 0;
}

void tgt_flow_table_destroy(struct tgt_flow_table *table)
{
	if (!table)
		return;
	free(table->flows);
	free(table->frames);
	free(table->buckets);
	free(table->scratch);
	free(table);
}

struct tgt_flow *tgt_flow_find(struct tgt_flow_table *table, const struct tgt_tuple *tuple)
{
	uint32_t hash = hash_tuple(table, tuple);
	uint32_t i = table->buckets[hash & table->bucket_mask];

	while (i) {
		struct tgt_flow *f = &table->flows[i - 1];

		if (f->hash == hash && same_tuple(&f->tuple, tuple))
			return f;
		i = f->next;
	}
	return NULL;
}

static struct tgt_flow *flow_make(struct tgt_flow_table *t, const struct tgt_tuple *tuple)
{
	uint32_t index = t->free_flow, *bucket;
	struct tgt_flow *f;

	if (!index)
		return NULL;
	f = &t->flows[index - 1];
	t->free_flow = f->next;
	*f = (struct tgt_flow){ .tuple = *tuple,
				.hash = hash_tuple(t, tuple),
				.slot = TGT_FLOW_NO_CONN };
	bucket = &t->buckets[f->hash & t->bucket_mask];
	f->next = *bucket;
	*bucket = index;
	return f;
}

static void flow_remove(struct tgt_flow_table *t, struct tgt_flow *flow)
{
	uint32_t index = (uint32_t)(flow - t->flows) + 1;
	uint32_t *link = &t->buckets[flow->hash & t->bucket_mask];

	while (*link != index)
		link = &t->flows[*link - 1].next;
	*link = flow->next;
	flow->next = t->free_flow;
	t->free_flow = index;
}

int tgt_flow_attach(struct tgt_adapter *a, const struct tgt_tuple *tuple, uint32_t slot)
{
	struct tgt_flow *f = tgt_flow_find(a->flows, tuple);

	if (f && f->slot != TGT_FLOW_NO_CONN)
		return -EEXIST;
	if (!f)
		f = flow_make(a->flows, tuple);
	if (!f)
		return -ENOSPC;
	f->slot = slot;
	return 0;
}

static void drop_frame(void *ctx, const struct nic_rx_frame *frame)
{
	struct tgt_adapter *a = ctx;

	(void)frame;
	tgt_drop(a, TGT_DROP_CATCH_FULL);
}

/* An entry that stands for nothing goes away, and with it what nobody released. */
static void flow_put(struct tgt_adapter *a, struct tgt_flow *flow)
{
	if (flow->slot != TGT_FLOW_NO_CONN || flow->expected)
		return;
	tgt_flow_release(a, flow, drop_frame, a);
	flow_remove(a->flows, flow);
}

void tgt_flow_detach(struct tgt_adapter *a, const struct tgt_tuple *tuple)
{
	struct tgt_flow *f = tgt_flow_find(a->flows, tuple);

	if (!f)
		return;
	f->slot = TGT_FLOW_NO_CONN;
	flow_put(a, f);
}

int tgt_flow_mark(struct tgt_adapter *a, const struct tgt_tuple *tuple, bool expected)
{
	struct tgt_flow *f = tgt_flow_find(a->flows, tuple);

	if (!f && !expected)
		return 0;
	if (!f)
		f = flow_make(a->flows, tuple);
	if (!f)
		return -ENOSPC;
	f->expected = expected;
	flow_put(a, f);
	return 0;
}

static int catch_bytes(struct tgt_adapter *a, struct caught_frame *c,
		       const struct nic_rx_frame *frame)
{
	c->meta = *frame;
	c->meta.data = NULL;
	c->bytes = (struct tgt_chunk_list){ 0 };
	return tgt_chunks_append(a, &c->bytes, frame->data, frame->len);
}

int tgt_flow_catch(struct tgt_adapter *a, struct tgt_flow *flow, const struct nic_rx_frame *frame)
{
	struct tgt_flow_table *t = a->flows;
	uint32_t index = t->free_frame;
	struct caught_frame *c;

	if (!index || frame->len > t->frame_bytes || catch_bytes(a, &t->frames[index - 1], frame)) {
		tgt_drop(a, TGT_DROP_CATCH_FULL);
		return -ENOBUFS;
	}
	c = &t->frames[index - 1];
	t->free_frame = c->next;
	c->next = 0;
	if (flow->caught_tail)
		t->frames[flow->caught_tail - 1].next = index;
	else
		flow->caught_head = index;
	flow->caught_tail = index;
	t->caught++;
	return 0;
}

static uint32_t copy_out(const struct tgt_adapter *a, const struct tgt_chunk_list *list,
			 uint8_t *to)
{
	uint32_t n = 0;

	for (struct tgt_chunk *c = tgt_chunk_at(a, list->head); c; c = tgt_chunk_at(a, c->next)) {
		memcpy(to + n, c->data + c->off, c->len);
		n += c->len;
	}
	return n;
}

/*
 * The queue is emptied before the first frame goes out: the receiver may catch frames of the same
 * flow again.
 */
unsigned int tgt_flow_release(struct tgt_adapter *a, struct tgt_flow *flow, tgt_flow_frame_fn *fn,
			      void *ctx)
{
	struct tgt_flow_table *t = a->flows;
	uint32_t index = flow->caught_head;
	unsigned int count = 0;

	flow->caught_head = flow->caught_tail = 0;
	while (index) {
		struct caught_frame *c = &t->frames[index - 1];
		struct nic_rx_frame frame = c->meta;
		uint32_t next = c->next;

		frame.data = t->scratch;
		frame.len = copy_out(a, &c->bytes, t->scratch);
		tgt_chunks_free(a, &c->bytes);
		c->next = t->free_frame;
		t->free_frame = index;
		t->caught--;
		fn(ctx, &frame);
		index = next;
		count++;
	}
	return count;
}

uint32_t tgt_flow_caught(const struct tgt_flow_table *table)
{
	return table->caught;
}
