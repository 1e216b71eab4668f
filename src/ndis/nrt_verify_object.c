/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_verify_object.h"

#include <stdint.h>
#include <stdlib.h>

#include <ndis/ndisstatus.h>

#include "ndis/nrt_verify.h"

#define BUCKETS 1024u

struct nrt_verify_table {
	struct verify_object *objects[BUCKETS];
	struct verify_list *lists[BUCKETS];
	unsigned int count; /* objects */
};

static unsigned int bucket(const void *pointer)
{
	uintptr_t bits = (uintptr_t)pointer >> 4;

	return (unsigned int)((bits ^ bits >> 10) % BUCKETS);
}

/* ---- objects --------------------------------------------------------------------------------- */

struct verify_object *verify_object(const struct nrt_open *open, const NDIS_OFFLOAD_HANDLE *handle)
{
	struct verify_object *object = open->known ? open->known->objects[bucket(handle)] : NULL;

	while (object && object->handle != handle)
		object = object->next;
	return object;
}

bool verify_all_known(const struct nrt_open *open)
{
	return open->live == (open->known ? open->known->count : 0);
}

static void add_object(struct nrt_open *open, const NDIS_OFFLOAD_HANDLE *handle,
		       struct verify_object *parent)
{
	struct verify_object *object;

	if (!open->known)
		open->known = calloc(1, sizeof(*open->known));
	object = open->known ? calloc(1, sizeof(*object)) : NULL;
	if (!object)
		return;
	for (unsigned int kind = 0; kind < NRT_LEDGER_KINDS; kind++)
		object->last[kind] = &object->below[kind];
	object->handle = handle;
	object->parent = parent;
	if (parent)
		parent->dependents++;
	object->next = open->known->objects[bucket(handle)];
	open->known->objects[bucket(handle)] = object;
	open->known->count++;
}

static void drop_lists(struct nrt_open *open, struct verify_object *object)
{
	bool in_order;

	for (unsigned int kind = 0; kind < NRT_LEDGER_KINDS; kind++)
		while (object->below[kind])
			verify_list_up(open, object->below[kind]->nbl, kind, &in_order);
}

static void drop_object(struct nrt_open *open, struct verify_object *object)
{
	struct verify_object **link = &open->known->objects[bucket(object->handle)];

	drop_lists(open, object);
	while (*link != object)
		link = &(*link)->next;
	*link = object->next;
	if (object->parent)
		object->parent->dependents--;
	open->known->count--;
	free(object);
}

static void moved(struct verify_object *object, struct verify_object *parent)
{
	if (!parent || !object->parent || object->parent == parent)
		return;
	object->parent->dependents--;
	object->parent = parent;
	parent->dependents++;
}

static void settled(struct nrt_open *open, enum nrt_op op, const union nrt_block *block,
		    const union nrt_block *above)
{
	NDIS_OFFLOAD_HANDLE *handle = block->protocol.OffloadHandle;
	struct verify_object *object = verify_object(open, handle), *parent = NULL;

	if (above && above->protocol.OffloadHandle)
		parent = verify_object(open, above->protocol.OffloadHandle);
	if (op == NRT_OP_INITIATE && !object && handle->MiniportOffloadContext &&
	    handle->NdisReserved[0] == open)
		add_object(open, handle, parent);
	else if (op == NRT_OP_UPDATE && object && block->protocol.Status == NDIS_STATUS_SUCCESS)
		moved(object, parent);
	else if (op == NRT_OP_INVALIDATE && object && block->protocol.Status == NDIS_STATUS_SUCCESS)
		object->invalid = true;
}

/* Objects whose dependents are in the same tree go after these. */
static void drop_row(struct nrt_open *open, const union nrt_block *block)
{
	struct verify_object *object;

	for (; block; block = (const union nrt_block *)block->protocol.NextBlock) {
		drop_row(open, (const union nrt_block *)block->protocol.DependentBlockList);
		if (!block->protocol.OffloadHandle || block->protocol.Status != NDIS_STATUS_SUCCESS)
			continue;
		object = verify_object(open, block->protocol.OffloadHandle);
		if (object && !object->dependents)
			drop_object(open, object);
	}
}

void verify_settled(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;

	if (op == NRT_OP_TERMINATE) {
		for (unsigned int layer = 0; layer < 3; layer++) /* they may be roots of a row */
			drop_row(open, root);
		return;
	}
	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		if (block->protocol.OffloadHandle)
			settled(open, op, block, walk.depth ? walk.path[walk.depth - 1] : NULL);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static struct verify_list **find_list(const struct nrt_open *open, const NET_BUFFER_LIST *nbl)
{
	struct verify_list **link = &open->known->lists[bucket(nbl)];

	while (*link && (*link)->nbl != nbl)
		link = &(*link)->next_in_bucket;
	return link;
}

bool verify_list_down(struct nrt_open *open, struct verify_object *object,
		      enum nrt_ledger_kind kind, const NET_BUFFER_LIST *nbl)
{
	struct verify_list **link = find_list(open, nbl), *list;

	if (*link)
		return false;
	list = calloc(1, sizeof(*list));
	if (!list)
		return true;
	list->nbl = nbl;
	list->object = object;
	list->kind = kind;
	*link = list;
	*object->last[kind] = list;
	object->last[kind] = &list->next_below;
	return true;
}

struct verify_object *verify_list_up(struct nrt_open *open, const NET_BUFFER_LIST *nbl,
				     enum nrt_ledger_kind kind, bool *in_order)
{
	struct verify_list **link = open->known ? find_list(open, nbl) : NULL, *list, **queue;
	struct verify_object *object;

	*in_order = true;
	if (!link || !*link)
		return NULL; /* it went down with a state tree, or before the switch */
	list = *link;
	*link = list->next_in_bucket;
	object = list->object;
	*in_order = list->kind == kind && object->below[kind] == list;
	for (queue = &object->below[list->kind]; *queue != list; queue = &(*queue)->next_below)
		;
	*queue = list->next_below;
	if (object->last[list->kind] == &list->next_below)
		object->last[list->kind] = queue;
	free(list);
	return object;
}

void verify_forget(struct nrt_open *open)
{
	if (!open->known)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct verify_object *object;

		while ((object = open->known->objects[i])) {
			drop_lists(open, object);
			open->known->objects[i] = object->next;
			free(object);
		}
	}
	free(open->known);
	open->known = NULL;
}
