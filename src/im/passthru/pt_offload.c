/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pt_offload.c - state operations through an intermediate driver.
 *
 * Theory of operation
 *
 * A tree of miniport block lists arrives at the miniport edge. The same memory goes on as a tree of
 * protocol block lists from the protocol edge, and comes back by the reverse way. In each block
 * only the two words differ in which the driver above and we refer to the object:
 *
 *                      as it arrives (miniport)               as we pass it on (protocol)
 *     0x30             MiniportOffloadContext = slot          NDIS's own
 *     0x38             NdisOffloadHandle = upper              OffloadHandle = &entry->handle
 *
 *     driver above:  NDIS_OFFLOAD_HANDLE { ..., slot -> entry }
 *     our entry:     { handle { ..., context of the driver below }, upper, slot }
 *
 * Three kinds of block arrive, told apart by slot: NULL is a placeholder, a slot that holds NULL is
 * an object that does not exist here yet, and a slot that holds a pointer names our entry. For the
 * second kind we make an entry. It becomes the driver above's context for the object (*slot =
 * entry) only if the driver below accepted the object.
 *
 * One IM call entry accompanies the operation. It keeps ImReserved and SourceHandle of the root
 * block: SourceHandle is how NDIS finds the driver above, and NDIS overwrites it when we call down.
 *
 * Call entries of terminate and invalidate come with the offload entries of their objects: a host
 * that is short of memory uploads connections, and that must not need memory.
 *
 * Order matters in two places. All memory is taken before the first block is touched, so that
 * running out of it leaves a tree that can be completed as it came. And entries of terminated
 * objects are freed only after the completion was passed on, because until then the driver above
 * may still refer to them; the tree itself must not be looked at any more at that time, as the
 * driver above may have freed it.
 */
#include <string.h>

#include <ndis/ndisstatus.h>

#include "im/passthru/pt_private.h"
#include "ndis/nrt_alloc.h"

typedef void block_fn(union pt_block *block, struct pt_call *call);

/* Every block, depth first. NDIS has checked that there are no more than three levels. */
static void each_block(union pt_block *block, struct pt_call *call, block_fn *fn)
{
	for (; block; block = (union pt_block *)block->miniport.NextBlock) {
		fn(block, call);
		each_block((union pt_block *)block->miniport.DependentBlockList, call, fn);
	}
}

/* ---- IM offload entries ---------------------------------------------------------------------- */

static struct pt_entry *entry_of(NDIS_OFFLOAD_HANDLE *handle)
{
	return CONTAINING_RECORD(handle, struct pt_entry, handle);
}

void pt_entries_free(struct pt_entry *entry)
{
	struct pt_entry *next;

	for (; entry; entry = next) {
		next = entry->next;
		nrt_free(entry);
	}
}

void pt_entry_link(struct pt_entry *entry, struct pt_entry **list)
{
	entry->next = *list;
	if (entry->next)
		entry->next->link = &entry->next;
	entry->link = list;
	*list = entry;
}

void pt_entry_unlink(struct pt_entry *entry)
{
	*entry->link = entry->next;
	if (entry->next)
		entry->next->link = entry->link;
	entry->next = NULL;
	entry->link = NULL;
}

/* As many new entries as there are blocks that need one. Returns: false when memory is short. */
static bool make_entries(const union pt_block *block, struct pt_call *call)
{
	struct pt_entry *entry;

	for (; block; block = (const union pt_block *)block->miniport.NextBlock) {
		if (block->miniport.MiniportOffloadContext &&
		    !*block->miniport.MiniportOffloadContext) {
			entry = nrt_zalloc(sizeof(*entry));
			if (!entry)
				return false;
			entry->next = call->fresh;
			call->fresh = entry;
		}
		if (!make_entries((const union pt_block *)block->miniport.DependentBlockList, call))
			return false;
	}
	return true;
}

/* ---- Send data that travels with the state --------------------------------------------------- */

/*
 * The chain of an initiate becomes send requests of the driver below, which complete one by one; so
 * each list is marked as if it had been sent through us. What is not accepted, or comes back with a
 * terminate, leaves us with the block.
 */
static bool is_new(const union pt_block *block)
{
	return block->miniport.MiniportOffloadContext && !*block->miniport.MiniportOffloadContext;
}

static void untrack_chains(union pt_block *block, const union pt_block *end)
{
	for (; block && block != end; block = (union pt_block *)block->miniport.NextBlock) {
		if (is_new(block))
			pt_untrack_chain(block->miniport.NetBufferListChain);
		untrack_chains((union pt_block *)block->miniport.DependentBlockList, NULL);
	}
}

/* Returns: false when memory is short; then no list is marked. */
static bool track_chains(struct pt_virtual *virtual, union pt_block *row)
{
	union pt_block *block = row;

	for (; block; block = (union pt_block *)block->miniport.NextBlock) {
		if (is_new(block) && !pt_track(virtual, block->miniport.NetBufferListChain))
			break;
		if (!track_chains(virtual, (union pt_block *)block->miniport.DependentBlockList)) {
			if (is_new(block))
				pt_untrack_chain(block->miniport.NetBufferListChain);
			break;
		}
	}
	if (block)
		untrack_chains(row, block);
	return !block;
}

/* ---- Down ------------------------------------------------------------------------------------ */

static struct pt_entry *take_fresh(struct pt_call *call,
				   const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	struct pt_entry *entry = call->fresh;

	call->fresh = entry->next;
	entry->next = NULL;
	entry->upper = block->NdisOffloadHandle;
	entry->slot = block->MiniportOffloadContext;
	entry->virtual = call->virtual;
	return entry;
}

static void block_down(union pt_block *block, struct pt_call *call)
{
	PVOID *slot = block->miniport.MiniportOffloadContext;
	struct pt_entry *entry;

	if (!slot) {
		block->protocol.OffloadHandle = NULL;
		return;
	}
	entry = *slot ? *slot : take_fresh(call, &block->miniport);
	block->protocol.OffloadHandle = &entry->handle;
}

/* A call entry that comes with one of the objects of the tree and is free; NULL: there is none. */
static struct pt_call *find_spare(const union pt_block *block, enum pt_op op)
{
	struct pt_call *call;
	struct pt_entry *entry;
	PVOID *slot;

	for (; block; block = (const union pt_block *)block->miniport.NextBlock) {
		slot = block->miniport.MiniportOffloadContext;
		if (slot && *slot) {
			entry = *slot;
			call = op == PT_TERMINATE ? &entry->terminate : &entry->invalidate;
			if (!call->busy)
				return call;
		}
		call = find_spare((const union pt_block *)block->miniport.DependentBlockList, op);
		if (call)
			return call;
	}
	return NULL;
}

static struct pt_call *call_new(enum pt_op op, const union pt_block *root)
{
	struct pt_call *call = NULL;

	if (op == PT_TERMINATE || op == PT_INVALIDATE)
		call = find_spare(root, op);
	if (call) {
		memset(call, 0, sizeof(*call));
		call->spare = call->busy = true;
		return call;
	}
	return nrt_zalloc(sizeof(*call));
}

static void call_free(struct pt_call *call)
{
	if (call->spare)
		call->busy = false;
	else
		nrt_free(call);
}

static struct pt_call *call_begin(struct pt_virtual *virtual, enum pt_op op, union pt_block *root)
{
	struct pt_call *call = call_new(op, root);

	if (!call)
		return NULL;
	call->op = op;
	call->virtual = virtual;
	if (!make_entries(root, call) || (op == PT_INITIATE && !track_chains(virtual, root))) {
		pt_entries_free(call->fresh);
		call_free(call);
		return NULL;
	}
	call->im_reserved[0] = root->miniport.ImReserved[0];
	call->im_reserved[1] = root->miniport.ImReserved[1];
	call->source_handle = root->miniport.SourceHandle;
	each_block(root, call, block_down);
	root->protocol.ImReserved[0] = call;
	return call;
}

static void complete_up(struct pt_virtual *virtual, enum pt_op op, union pt_block *root)
{
	switch (op) {
	case PT_INITIATE:
		NdisMInitiateOffloadComplete(virtual->miniport, &root->miniport);
		break;
	case PT_TERMINATE:
		NdisMTerminateOffloadComplete(virtual->miniport, &root->miniport);
		break;
	case PT_UPDATE:
		NdisMUpdateOffloadComplete(virtual->miniport, &root->miniport);
		break;
	case PT_INVALIDATE:
		NdisMInvalidateOffloadComplete(virtual->miniport, &root->miniport);
		break;
	case PT_QUERY:
		NdisMQueryOffloadStateComplete(virtual->miniport, &root->miniport);
		break;
	}
}

/*
 * No memory: a new object lacks it, what hangs below such an object was not tried, everything else
 * just failed.
 */
static void fail_blocks(union pt_block *block, enum pt_op op, bool parent_failed)
{
	bool is_new;

	for (; block; block = (union pt_block *)block->miniport.NextBlock) {
		is_new = op == PT_INITIATE && block->miniport.MiniportOffloadContext &&
			 !*block->miniport.MiniportOffloadContext;
		if (!block->miniport.MiniportOffloadContext)
			block->miniport.Status = NDIS_STATUS_SUCCESS;
		else
			block->miniport.Status = is_new && !parent_failed ? NDIS_STATUS_RESOURCES
									  : NDIS_STATUS_FAILURE;
		fail_blocks((union pt_block *)block->miniport.DependentBlockList, op,
			    parent_failed || is_new);
	}
}

static void call_down(struct pt_virtual *virtual, enum pt_op op,
		      NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	union pt_block *root = (union pt_block *)list;
	NDIS_HANDLE binding = virtual->below->binding;

	if (!call_begin(virtual, op, root)) {
		fail_blocks(root, op, false);
		complete_up(virtual, op, root);
		return;
	}
	switch (op) {
	case PT_INITIATE:
		NdisInitiateOffload(binding, &root->protocol);
		break;
	case PT_TERMINATE:
		NdisTerminateOffload(binding, &root->protocol);
		break;
	case PT_UPDATE:
		NdisUpdateOffload(binding, &root->protocol);
		break;
	case PT_INVALIDATE:
		NdisInvalidateOffload(binding, &root->protocol);
		break;
	case PT_QUERY:
		NdisQueryOffloadState(binding, &root->protocol);
		break;
	}
}

static void initiate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, PT_INITIATE, list);
}

static void terminate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, PT_TERMINATE, list);
}

static void update(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, PT_UPDATE, list);
}

static void invalidate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, PT_INVALIDATE, list);
}

static void query(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, PT_QUERY, list);
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS pt_provider_generic = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(pt_provider_generic),
	},
	.InitiateOffloadHandler = initiate,
	.TerminateOffloadHandler = terminate,
	.UpdateOffloadHandler = update,
	.InvalidateOffloadHandler = invalidate,
	.QueryOffloadHandler = query,
};

/* ---- Up -------------------------------------------------------------------------------------- */

static bool offloaded(NDIS_STATUS status)
{
	return status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

static void bury(struct pt_call *call, struct pt_entry *entry)
{
	if (entry->link)
		pt_entry_unlink(entry);
	entry->next = call->dead;
	call->dead = entry;
}

/* What a completed operation means for our entry of the object. */
static void settle_entry(struct pt_call *call, struct pt_entry *entry, NDIS_STATUS status,
			 NET_BUFFER_LIST *chain)
{
	bool known = *entry->slot == entry;

	if (call->op == PT_INITIATE && !known && !offloaded(status))
		pt_untrack_chain(chain);
	if (call->op == PT_TERMINATE && status == NDIS_STATUS_SUCCESS)
		pt_untrack_chain(chain);
	if (!known && call->op == PT_INITIATE && offloaded(status)) {
		*entry->slot = entry;
		pt_entry_link(entry, &entry->virtual->entries);
	} else if (!known || (call->op == PT_TERMINATE && status == NDIS_STATUS_SUCCESS)) {
		bury(call, entry);
	}
}

static void block_up(union pt_block *block, struct pt_call *call)
{
	struct pt_entry *entry;

	if (!block->protocol.OffloadHandle) {
		block->miniport.MiniportOffloadContext = NULL;
		return;
	}
	entry = entry_of(block->protocol.OffloadHandle);
	block->miniport.NdisOffloadHandle = entry->upper;
	block->miniport.MiniportOffloadContext = entry->slot;
	settle_entry(call, entry, block->miniport.Status, block->miniport.NetBufferListChain);
}

/*
 * The virtual miniport is in the call entry: the binding context could not tell several of them
 * apart.
 */
static void completed(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	union pt_block *root = (union pt_block *)list;
	struct pt_call *call = root->protocol.ImReserved[0];
	struct pt_virtual *virtual = call->virtual;
	enum pt_op op = call->op;
	struct pt_entry *dead;

	each_block(root, call, block_up);
	root->miniport.ImReserved[0] = call->im_reserved[0];
	root->miniport.ImReserved[1] = call->im_reserved[1];
	root->miniport.SourceHandle = call->source_handle;
	dead = call->dead;
	call_free(call); /* the driver above may try the same again from its completion handler */
	complete_up(virtual, op, root);
	pt_list_done(virtual); /* lists may have left with the state */
	pt_entries_free(dead);
}

static void initiate_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	(void)context;
	completed(list);
}

static void terminate_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	(void)context;
	completed(list);
}

static void update_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	(void)context;
	completed(list);
}

static void invalidate_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	(void)context;
	completed(list);
}

static void query_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	(void)context;
	completed(list);
}

/*
 * An event that carries the block of a neighbor, or none. The block belongs to the miniport below
 * and is lent to us: the driver above gets it with its own handle in it, writes its answer into the
 * state behind it, and the block goes back as it came.
 */
static void indicate_event(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list, ULONG code)
{
	struct pt_below *below = context;
	union pt_block *block = (union pt_block *)list;
	struct pt_virtual *virtual;
	NDIS_OFFLOAD_HANDLE *handle;
	struct pt_entry *entry;
	struct pt_walk walk;
	PVOID ndis_reserved;

	if (!block || !block->protocol.OffloadHandle) {
		pt_walk_begin(&walk, below);
		while ((virtual = pt_walk_next(&walk)))
			NdisMOffloadEventIndicate(virtual->miniport, NULL, code);
		pt_walk_end(&walk);
		return;
	}
	handle = block->protocol.OffloadHandle;
	ndis_reserved = block->protocol.NdisReserved[2];
	entry = entry_of(handle);
	if (!entry->virtual)
		return;
	block->miniport.NdisOffloadHandle = entry->upper;
	block->miniport.MiniportOffloadContext = entry->slot;
	NdisMOffloadEventIndicate(entry->virtual->miniport, &block->miniport, code);
	block->protocol.OffloadHandle = handle;
	block->protocol.NdisReserved[2] = ndis_reserved;
}

const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS pt_client_generic = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
		.Size = sizeof(pt_client_generic),
	},
	.InitiateOffloadCompleteHandler = initiate_complete,
	.TerminateOffloadCompleteHandler = terminate_complete,
	.UpdateOffloadCompleteHandler = update_complete,
	.InvalidateOffloadCompleteHandler = invalidate_complete,
	.QueryOffloadCompleteHandler = query_complete,
	.IndicateOffloadEventHandler = indicate_event,
};
