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
#include "ndis/nrt_adapter.h"
#include "ndis/nrt_nblq.h"
#include "ndis/nrt_verify_object.h"

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
	uint64_t since_us;
	bool late; /* reported */
	struct shot shots[];
};

static uint64_t now_us, look_us; /* drivers' time, and when to look at it again */

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

/*
 * A handle that is not known, where all are, may lie in memory that was given back: it is not even
 * looked at. In an initiate it may be a new one.
 */
static bool is_stale(const struct nrt_open *open, enum nrt_op op, const NDIS_OFFLOAD_HANDLE *handle)
{
	return op != NRT_OP_INITIATE && verify_all_known(open) && !verify_object(open, handle) &&
	       !being_offloaded(open, handle);
}

static void check_object(const struct nrt_open *open, enum nrt_op op,
			 const NDIS_OFFLOAD_HANDLE *handle)
{
	const struct verify_object *object = verify_object(open, handle);
	bool fresh = op == NRT_OP_INITIATE && !handle->MiniportOffloadContext;

	if (op == NRT_OP_UPDATE && object && object->invalid)
		violation(NRT_RULE_INVALID, "UPD-18", open->driver, ops[op].call, handle,
			  "the object was invalidated");
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
	*note = (struct nrt_verify_note){ open->notes, root, op, count, now_us, false };
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

static void check_header(const struct nrt_open *open, enum nrt_op op, const union nrt_block *block)
{
	const NDIS_OBJECT_HEADER *header = &block->protocol.Header;

	/* Zero means that NDIS fills it in. */
	if (header->Revision > 1 || (header->Size && header->Size != sizeof(*block)))
		violation(NRT_RULE_HEADER, "BLK-01", open->driver, ops[op].call, block,
			  "Revision is 1 and Size that of the block list, whatever state follows");
}

/* What depends on an object has to go before it, or with it. */
static void check_dependents(const struct nrt_open *open, union nrt_block *root, bool mark)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	struct verify_object *object;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		object = verify_object(open, block->protocol.OffloadHandle);
		if (!block->protocol.OffloadHandle || !object)
			continue;
		if (mark && object->parent)
			object->parent->leaving++;
		if (mark)
			continue;
		if (object->leaving < object->dependents)
			violation(NRT_RULE_DEPENDENTS, "TRM-07", open->driver,
				  ops[NRT_OP_TERMINATE].call, object->handle,
				  "objects that depend on it stay");
		object->leaving = 0;
	}
}

/* Marks on objects that are not in the tree themselves. */
static void unmark(const struct nrt_open *open, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	struct verify_object *object;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		object = verify_object(open, block->protocol.OffloadHandle);
		if (block->protocol.OffloadHandle && object && object->parent)
			object->parent->leaving = 0;
	}
}

/* Returns: whether the handles can be looked at. */
static bool check_objects(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	bool sound = true;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		check_header(open, op, block);
		if (!block->protocol.OffloadHandle)
			continue;
		if (is_stale(open, op, block->protocol.OffloadHandle)) {
			violation(NRT_RULE_OBJECT, "STA-39", open->driver, ops[op].call,
				  block->protocol.OffloadHandle,
				  "no object that is offloaded through this binding");
			sound = false;
		} else {
			check_object(open, op, block->protocol.OffloadHandle);
		}
	}
	if (op == NRT_OP_TERMINATE) {
		check_dependents(open, root, true);
		check_dependents(open, root, false);
		unmark(open, root);
	}
	return sound;
}

bool nrt_verify_call(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	size_t count;

	if (!nrt_irql_owned(open->adapter->owner))
		violation(NRT_RULE_CONTEXT, "OFF-01", open->driver, ops[op].call, root,
			  "not on the worker that owns the adapter");
	if (!tree_is_legal(root, &count)) {
		violation(NRT_RULE_TREE, "BLK-07", open->driver, ops[op].call, root,
			  "the tree is not neighbor, path, TCP in places fit for their state");
		return true; /* too deep or endless: refused by the caller; else the miniport judges */
	}
	if (!check_objects(open, op, root))
		return false;
	take_note(open, op, root, count);
	return true;
}

/* ---- On the way up --------------------------------------------------------------------------- */

static bool status_fits(enum nrt_op op, NDIS_STATUS status)
{
	if (status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_FAILURE)
		return true;
	if (op != NRT_OP_INITIATE)
		return false;
	switch (status) {
	case NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS:
	case NDIS_STATUS_RESOURCES:
	case NDIS_STATUS_OFFLOAD_TCP_ENTRIES:
	case NDIS_STATUS_OFFLOAD_PATH_ENTRIES:
	case NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES:
	case NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES:
	case NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES:
	case NDIS_STATUS_OFFLOAD_VLAN_ENTRIES:
	case NDIS_STATUS_OFFLOAD_VLAN_MISMATCH:
	case NDIS_STATUS_OFFLOAD_TCP_XMIT_BUFFER:
	case NDIS_STATUS_OFFLOAD_TCP_RCV_BUFFER:
	case NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW:
	case NDIS_STATUS_OFFLOAD_PATH_MTU:
	case NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED:
	case NDIS_STATUS_OFFLOAD_POLICY:
	case NDIS_STATUS_OFFLOAD_STATE_INVALID:
	case STATUS_NDIS_OFFLOAD_PATH_REJECTED:
		return true;
	default:
		return false;
	}
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

/* ---- Requests -------------------------------------------------------------------------------- */

static const struct {
	const char *call, *complete, *row;
} requests[NRT_LEDGER_KINDS] = {
	[NRT_LEDGER_SEND] = { "NdisOffloadTcpSend()", "NdisTcpOffloadSendComplete()", "SND-04" },
	[NRT_LEDGER_RECEIVE] = { "NdisOffloadTcpReceive()", "NdisTcpOffloadReceiveComplete()",
				 "RCV-14" },
	[NRT_LEDGER_FORWARD] = { "NdisOffloadTcpForward()", "NdisTcpOffloadForwardComplete()",
				 "FWD-08" },
	[NRT_LEDGER_DISCONNECT] = { "NdisOffloadTcpDisconnect()",
				    "NdisTcpOffloadDisconnectComplete()", "DIS-14" },
};

void nrt_verify_down(struct nrt_open *open, const NDIS_OFFLOAD_HANDLE *handle,
		     const NET_BUFFER_LIST *chain, enum nrt_ledger_kind kind)
{
	struct verify_object *object = verify_object(open, handle);
	const NET_BUFFER_LIST *nbl;

	if (!object)
		return;
	NRT_NBL_FOREACH(nbl, chain)
	{
		if (!verify_list_down(open, object, kind, nbl))
			violation(NRT_RULE_LIST, "SND-07", open->driver, requests[kind].call, nbl,
				  "the list is with the driver below already");
	}
}

void nrt_verify_up(struct nrt_open *open, const NET_BUFFER_LIST *chain, enum nrt_ledger_kind kind)
{
	const NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		bool in_order;
		struct verify_object *object = verify_list_up(open, nbl, kind, &in_order);

		/* A disconnect that succeeds comes behind all sends. */
		if (object && kind == NRT_LEDGER_DISCONNECT && nbl->Status == NDIS_STATUS_SUCCESS &&
		    object->below[NRT_LEDGER_SEND])
			in_order = false;
		if (object && !in_order)
			violation(NRT_RULE_ORDER, requests[kind].row, open->adapter->driver,
				  requests[kind].complete, nbl,
				  "older requests of the connection are not complete");
	}
}

/* Receive, forward and disconnect requests do not travel with the state. */
static void check_left_over(const struct nrt_open *open, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		const struct verify_object *object =
			verify_object(open, block->protocol.OffloadHandle);

		if (!block->protocol.OffloadHandle || !object ||
		    block->protocol.Status != NDIS_STATUS_SUCCESS)
			continue;
		if (object->below[NRT_LEDGER_RECEIVE] || object->below[NRT_LEDGER_FORWARD] ||
		    object->below[NRT_LEDGER_DISCONNECT])
			violation(NRT_RULE_LIST, "TRM-15", open->adapter->driver,
				  ops[NRT_OP_TERMINATE].complete, object->handle,
				  "requests of the connection are not complete");
	}
}

void nrt_verify_settled(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	if (op == NRT_OP_TERMINATE)
		check_left_over(open, root);
	verify_settled(open, op, root);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void look_at_open(struct nrt_open *open)
{
	struct nrt_verify_note *note;

	for (note = open->notes; note; note = note->next) {
		if (note->since_us > now_us)
			note->since_us = now_us; /* another clock */
		if (note->late || now_us - note->since_us < NRT_VERIFY_LATE_US)
			continue;
		note->late = true;
		violation(NRT_RULE_LATE, "OFF-01", open->adapter->driver, ops[note->op].complete,
			  note->root, "not called for half a minute: the operation is lost");
	}
}

static void look_at_adapter(struct nrt_adapter *adapter, void *ctx)
{
	struct nrt_open *open;

	(void)ctx;
	if (nrt_irql_owned(adapter->owner))
		for (open = adapter->opens; open; open = open->next)
			look_at_open(open);
}

void nrt_verify_time(uint64_t us)
{
	if (!nrt_verify_on())
		return;
	now_us = us;
	if (us >= look_us && us - look_us < NRT_VERIFY_LATE_US / 8)
		return;
	look_us = us;
	nrt_for_each_adapter(look_at_adapter, NULL);
}

void nrt_verify_forget(struct nrt_open *open)
{
	struct nrt_verify_note *note;

	verify_forget(open);
	while ((note = open->notes)) {
		violation(NRT_RULE_LATE, "OFF-01", open->adapter->driver, ops[note->op].complete,
			  note->root, "the binding ends without it");
		open->notes = note->next;
		free(note);
	}
	open->noted = 0;
}
