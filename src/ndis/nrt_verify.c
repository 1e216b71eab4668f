/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_verify.c - what the driver verifier notes and compares.
 *
 * A note is made per binding and operation, so in a stack with intermediate drivers, where the same
 * memory goes down through several bindings, each of them has its own, of the tree as it was at
 * that height; they are compared from the bottom up, each after the driver above the lower binding
 * has put its own handles back.
 */
#include "ndis/nrt_verify.h"

#include <stdio.h>
#include <stdlib.h>

#include <ndis/ndisstatus.h>

#include "base/log.h"

#define MESSAGE_BYTES 320
#define LOG_ALWAYS    16 /* violations of a rule; after them, when the count doubles */

struct shot {
	union nrt_block *block;
	NDIS_OFFLOAD_HANDLE *handle;
	void *next, *below;
	bool fresh; /* the block offloads the object of handle */
};

struct nrt_verify_note {
	struct nrt_verify_note *next;
	union nrt_block *root;
	enum nrt_op op;
	size_t count;
	struct shot shots[];
};

static const struct {
	const char *call, *complete, *status_row;
} ops[NRT_OPS] = {
	[NRT_OP_INITIATE] = { "NdisInitiateOffload()", "NdisMInitiateOffloadComplete()", "OFF-08" },
	[NRT_OP_TERMINATE] = { "NdisTerminateOffload()", "NdisMTerminateOffloadComplete()",
			       "TRM-14" },
	[NRT_OP_UPDATE] = { "NdisUpdateOffload()", "NdisMUpdateOffloadComplete()", "UPD-19" },
	[NRT_OP_INVALIDATE] = { "NdisInvalidateOffload()", "NdisMInvalidateOffloadComplete()",
				"INV-09" },
	[NRT_OP_QUERY] = { "NdisQueryOffloadState()", "NdisMQueryOffloadStateComplete()",
			   "QRY-06" },
};

enum nrt_verify_mode nrt_verify_mode_now;
static uint64_t counts[NRT_RULES];

void nrt_verify_enable(enum nrt_verify_mode mode)
{
	__atomic_store_n(&nrt_verify_mode_now, mode, __ATOMIC_RELAXED);
}

uint64_t nrt_verify_count(enum nrt_verify_rule rule)
{
	return __atomic_load_n(&counts[rule], __ATOMIC_RELAXED);
}

static void violation(enum nrt_verify_rule rule, const char *row, const struct nrt_driver *driver,
		      const char *call, const void *object, const char *what)
{
	uint64_t count = __atomic_add_fetch(&counts[rule], 1, __ATOMIC_RELAXED);
	char message[MESSAGE_BYTES];

	snprintf(message, sizeof(message), "verifier: %s: %p: %s (%s)", driver->label, object, what,
		 row);
	if (nrt_verify_mode_now == NRT_VERIFY_ABORT)
		nrt_irql_bug(message, call);
	if (count <= LOG_ALWAYS || !(count & (count - 1)))
		log_err("%s: %s; %llu so far", call, message, (unsigned long long)count);
}

/* ---- On the way down ------------------------------------------------------------------------- */

/* 0 neighbor, 1 path, 2 TCP: a group of four types each, but two families of paths. */
static unsigned int layer(const union nrt_block *block)
{
	unsigned int type = block->protocol.Header.Type;

	if (type >= TcpOffloadConstState)
		return 2;
	return type >= Ip4OffloadConstState;
}

static bool tree_is_legal(union nrt_block *root, size_t *count)
{
	struct nrt_block_walk walk;
	union nrt_block *block, *parent;

	*count = 0;
	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		parent = walk.depth ? walk.path[walk.depth - 1] : NULL;
		if (walk.too_deep || (uintptr_t)block % _Alignof(union nrt_block))
			return false;
		/* Types of placeholders mean nothing. */
		if (block->protocol.OffloadHandle && parent && parent->protocol.OffloadHandle &&
		    layer(block) != layer(parent) + 1)
			return false;
		++*count;
	}
	return !walk.too_deep && walk.left > 0;
}

static bool being_offloaded(const struct nrt_open *open, const NDIS_OFFLOAD_HANDLE *handle)
{
	const struct nrt_verify_note *note;
	size_t i;

	for (note = open->notes; note; note = note->next)
		for (i = 0; note->op == NRT_OP_INITIATE && i < note->count; i++)
			if (note->shots[i].fresh && note->shots[i].handle == handle)
				return true;
	return false;
}

static void check_object(const struct nrt_open *open, enum nrt_op op,
			 const NDIS_OFFLOAD_HANDLE *handle)
{
	bool fresh = op == NRT_OP_INITIATE && !handle->MiniportOffloadContext;

	if (being_offloaded(open, handle))
		violation(NRT_RULE_BUSY, "OFF-30", open->driver, ops[op].call, handle,
			  "the object is being offloaded");
	else if (!fresh && (!handle->MiniportOffloadContext || handle->NdisReserved[0] != open))
		violation(NRT_RULE_OBJECT, "STA-39", open->driver, ops[op].call, handle,
			  "no object that was offloaded through this binding");
}

static void take_note(struct nrt_open *open, enum nrt_op op, union nrt_block *root, size_t count)
{
	struct nrt_verify_note *note = malloc(sizeof(*note) + count * sizeof(note->shots[0]));
	struct nrt_block_walk walk;
	union nrt_block *block;
	struct shot *shot;

	if (!note)
		return; /* as if it had been under way before the switch */
	*note = (struct nrt_verify_note){ open->notes, root, op, count };
	shot = note->shots;
	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		shot->block = block;
		shot->handle = block->protocol.OffloadHandle;
		shot->next = block->protocol.NextBlock;
		shot->below = block->protocol.DependentBlockList;
		shot->fresh = op == NRT_OP_INITIATE && shot->handle &&
			      !shot->handle->MiniportOffloadContext;
		shot++;
	}
	open->notes = note;
	open->noted++;
}

void nrt_verify_call(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	size_t count;

	if (!nrt_irql_owned(open->adapter->owner))
		violation(NRT_RULE_CONTEXT, "OFF-01", open->driver, ops[op].call, root,
			  "not on the worker that owns the adapter");
	if (!tree_is_legal(root, &count)) {
		violation(NRT_RULE_TREE, "BLK-07", open->driver, ops[op].call, root,
			  "the tree is not neighbor, path, TCP in places fit for their state");
		return; /* too deep or endless: refused by the caller; else the miniport judges */
	}
	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		if (block->protocol.OffloadHandle)
			check_object(open, op, block->protocol.OffloadHandle);
	take_note(open, op, root, count);
}

/* ---- On the way up --------------------------------------------------------------------------- */

static bool status_fits(enum nrt_op op, NDIS_STATUS status)
{
	if (status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_FAILURE)
		return true;
	/* Reasons are many, but not one of them is "not yet". */
	return op == NRT_OP_INITIATE && status != NDIS_STATUS_PENDING;
}

static void compare(const struct nrt_verify_note *note, const struct nrt_driver *below)
{
	const char *call = ops[note->op].complete;
	const struct shot *shot;

	for (shot = note->shots; shot < note->shots + note->count; shot++) {
		const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *block = &shot->block->protocol;

		if (block->OffloadHandle != shot->handle || block->NextBlock != shot->next ||
		    block->DependentBlockList != shot->below) {
			violation(NRT_RULE_TOUCHED, "BLK-11", below, call, block,
				  "handle or links changed while the miniport had the block");
			return; /* what hangs on changed links may not be a block at all */
		}
		if (!status_fits(note->op, block->Status))
			violation(NRT_RULE_STATUS, ops[note->op].status_row, below, call, block,
				  "the operation does not have this status");
	}
}

static struct nrt_verify_note **find(struct nrt_open *open, const union nrt_block *root)
{
	struct nrt_verify_note **link = &open->notes;

	while (*link && (*link)->root != root)
		link = &(*link)->next;
	return link;
}

bool nrt_verify_complete(struct nrt_adapter *adapter, enum nrt_op op, union nrt_block *root)
{
	struct nrt_open *open = nrt_open_from(root->miniport.SourceHandle);
	struct nrt_driver *below = adapter->driver;
	struct nrt_verify_note **link, *note;

	if (!nrt_irql_owned(adapter->owner))
		violation(NRT_RULE_CONTEXT, "OFF-01", below, ops[op].complete, root,
			  "not on the worker that owns the adapter");
	if (!open || open->adapter != adapter) {
		violation(NRT_RULE_ADAPTER, "BLK-10", below, ops[op].complete, root,
			  "the operation went to another adapter");
		return false;
	}
	link = find(open, root);
	note = *link;
	if (!note && open->pending_ops > open->noted)
		return true;
	if (!note) {
		violation(NRT_RULE_COMPLETED, "BLK-10", below, ops[op].complete, root,
			  "not under way: completed twice, or never asked for");
		return false;
	}
	if (note->op != op) {
		violation(NRT_RULE_FUNCTION, "BLK-10", below, ops[op].complete, root,
			  "the operation under way is another one");
		return false;
	}
	*link = note->next;
	open->noted--;
	compare(note, below);
	free(note);
	return true;
}

void nrt_verify_forget(struct nrt_open *open)
{
	struct nrt_verify_note *note;

	while ((note = open->notes)) {
		open->notes = note->next;
		free(note);
	}
	open->noted = 0;
}
