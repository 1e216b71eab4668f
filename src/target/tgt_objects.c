/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- slots ---- */

static int table_create(struct tgt_object_table *t, uint32_t count, enum tgt_object_kind kind)
{
	t->count = count;
	t->free = TGT_NO_SLOT;
	if (kind == TGT_OBJECT_CONN)
		return 0; /* the objects are inside struct tgt_conn_io */
	t->objects = calloc(count, sizeof(*t->objects));
	return t->objects ? 0 : -ENOMEM;
}

static struct tgt_object_table *table_of(const struct tgt_adapter *a, enum tgt_object_kind kind)
{
	struct tgt_ddi *d = a->ddi;

	return kind == TGT_OBJECT_NEIGHBOR ? &d->neighbors
	       : kind == TGT_OBJECT_PATH   ? &d->paths
					   : &d->conns;
}

static struct tgt_object *slot_object(const struct tgt_adapter *a, enum tgt_object_kind kind,
				      uint32_t slot)
{
	return kind == TGT_OBJECT_CONN ? &a->io[slot].object : &table_of(a, kind)->objects[slot];
}

static void chain_slots(struct tgt_adapter *a, enum tgt_object_kind kind)
{
	struct tgt_object_table *t = table_of(a, kind);

	for (uint32_t slot = t->count; slot-- > 0;) {
		struct tgt_object *object = slot_object(a, kind, slot);

		object->slot = slot;
		object->next_free = t->free;
		t->free = slot;
	}
}

static int addresses_create(struct tgt_address_table *t, uint32_t size)
{
	t->size = size;
	t->uses = calloc(size ? size : 1, sizeof(*t->uses));
	return t->uses ? 0 : -ENOMEM;
}

int tgt_objects_create(struct tgt_adapter *a)
{
	struct tgt_ddi *d = a->ddi;

	a->io = calloc(a->limits.tcp_entries, sizeof(*a->io));
	if (!a->io ||
	    table_create(&d->neighbors, a->limits.neighbor_entries, TGT_OBJECT_NEIGHBOR) ||
	    table_create(&d->paths, a->limits.path_entries, TGT_OBJECT_PATH) ||
	    table_create(&d->conns, a->limits.tcp_entries, TGT_OBJECT_CONN) ||
	    addresses_create(&d->ip_addresses, a->limits.ip_addresses) ||
	    addresses_create(&d->macs, a->limits.hw_addresses) ||
	    addresses_create(&d->vlans, a->limits.vlans)) {
		tgt_objects_destroy(a);
		return -ENOMEM;
	}
	chain_slots(a, TGT_OBJECT_NEIGHBOR);
	chain_slots(a, TGT_OBJECT_PATH);
	chain_slots(a, TGT_OBJECT_CONN);
	d->due_neighbors = d->work_head = d->work_tail = TGT_NO_SLOT;
	return 0;
}

void tgt_objects_destroy(struct tgt_adapter *a)
{
	struct tgt_ddi *d = a->ddi;

	free(a->io);
	free(d->neighbors.objects);
	free(d->paths.objects);
	free(d->ip_addresses.uses);
	free(d->macs.uses);
	free(d->vlans.uses);
	a->io = NULL;
	d->neighbors.objects = d->paths.objects = NULL;
	d->ip_addresses.uses = d->macs.uses = d->vlans.uses = NULL;
}

static unsigned int pool_of(const struct tgt_adapter *a, enum tgt_object_kind kind)
{
	return kind == TGT_OBJECT_NEIGHBOR ? a->pool_neighbor
	       : kind == TGT_OBJECT_PATH   ? a->pool_path
					   : a->pool_conn;
}

/*
 * A slot may be on the work list or the list of due neighbors from its former life: those links
 * stay.
 */
struct tgt_object *tgt_object_take(struct tgt_adapter *a, enum tgt_object_kind kind)
{
	struct tgt_object_table *t = table_of(a, kind);
	struct tgt_object *object;
	void *state;

	if (t->free == TGT_NO_SLOT)
		return NULL;
	state = arena_take(a->arena, pool_of(a, kind));
	if (!state)
		return NULL;
	object = slot_object(a, kind, t->free);
	t->free = object->next_free;
	t->used++;
	object->kind = kind;
	object->state = state;
	object->ndis_handle = NULL;
	object->dependents = object->leaving = 0;
	object->terminating = object->invalid = false;
	return object;
}

void tgt_object_give(struct tgt_adapter *a, struct tgt_object *object)
{
	struct tgt_object_table *t = table_of(a, object->kind);
	struct tgt_object *parent = tgt_object_parent(a, object);

	if (parent)
		parent->dependents--;
	arena_give(a->arena, pool_of(a, object->kind), object->state);
	object->kind = TGT_OBJECT_FREE;
	object->state = NULL;
	object->next_free = t->free;
	t->free = object->slot;
	t->used--;
}

static bool within(const void *p, const void *first, size_t count, size_t size)
{
	uintptr_t off = (uintptr_t)p - (uintptr_t)first;

	return first && off < count * size && off % size == 0;
}

struct tgt_object *tgt_object_of(const struct tgt_adapter *a, PVOID context)
{
	const struct tgt_ddi *d = a->ddi;
	struct tgt_object *object = context;

	if (!within(context, d->neighbors.objects, d->neighbors.count, sizeof(*object)) &&
	    !within(context, d->paths.objects, d->paths.count, sizeof(*object)) &&
	    !within(context, a->io, d->conns.count, sizeof(*a->io)))
		return NULL;
	return object->kind == TGT_OBJECT_FREE ? NULL : object;
}

struct tgt_object *tgt_object_parent(const struct tgt_adapter *a, const struct tgt_object *object)
{
	if (object->kind == TGT_OBJECT_CONN) {
		const struct tgt_conn *conn = object->state;

		return conn->path ? &a->ddi->paths.objects[tgt_path_of(a, conn)->slot] : NULL;
	}
	if (object->kind == TGT_OBJECT_PATH) {
		const struct tgt_path *path = object->state;

		return path->neighbor ? &a->ddi->neighbors.objects[tgt_neighbor_of(a, path)->slot]
				      : NULL;
	}
	return NULL;
}

struct tgt_conn_io *tgt_conn_next(const struct tgt_adapter *a, const struct tgt_conn_io *io)
{
	uint32_t slot = io ? io->object.slot + 1 : 0;

	for (; slot < a->ddi->conns.count; slot++)
		if (a->io[slot].object.kind == TGT_OBJECT_CONN)
			return &a->io[slot];
	return NULL;
}

/* ---- addresses ---- */

static struct tgt_address_use *find_use(struct tgt_address_table *t, const uint8_t *bytes,
					size_t length)
{
	for (uint32_t i = 0; i < t->size; i++)
		if (t->uses[i].users && !memcmp(t->uses[i].bytes, bytes, length))
			return &t->uses[i];
	return NULL;
}

static struct tgt_address_use *free_use(struct tgt_address_table *t)
{
	for (uint32_t i = 0; i < t->size; i++)
		if (!t->uses[i].users)
			return &t->uses[i];
	return NULL;
}

bool tgt_address_use(struct tgt_address_table *table, const uint8_t *bytes, size_t length)
{
	struct tgt_address_use *use = find_use(table, bytes, length);

	if (!use) {
		use = free_use(table);
		if (!use)
			return false;
		memset(use->bytes, 0, sizeof(use->bytes));
		memcpy(use->bytes, bytes, length);
	}
	use->users++;
	return true;
}

void tgt_address_release(struct tgt_address_table *table, const uint8_t *bytes, size_t length)
{
	struct tgt_address_use *use = find_use(table, bytes, length);

	if (use)
		use->users--;
}
