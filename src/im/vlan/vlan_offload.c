/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_offload.c - state operations through the VLAN driver.
 *
 * Theory of operation
 *
 * The frame is that of the pass-through driver (passthru/pt_offload.c explains it): trees are
 * reused in place, one entry per object, one call entry per operation. What is added:
 *
 *     initiate   neighbor: constant VlanId      0 -> ours; another one than ours -> refused
 *                TCP:      cached UserPriority  -> ours, if we have one
 *     update     TCP:      cached UserPriority  -> ours: the host's value never undoes it
 *     query      both:                          -> what the driver above had
 *
 * The memory is the host's: when an operation completes, its blocks have the host's values again.
 *
 * A neighbor that contradicts (it names another VLAN) is answered here with
 * NDIS_STATUS_OFFLOAD_VLAN_MISMATCH, everything below it with failure; the driver below does not
 * see it. Neighbors are roots, so it is cut out of the root row, and linked in again when the rest
 * comes back. The driver below may therefore get another root than came from above.
 */
#include "im/vlan/vlan_private.h"

#include "ndis/nrt_alloc.h"

typedef void block_fn(union im_block *block, struct vlan_call *call);

static void each_block(union im_block *row, struct vlan_call *call, block_fn *fn)
{
	for (; row; row = im_next(row)) {
		fn(row, call);
		each_block(im_dependents(row), call, fn);
	}
}

/* ---- IM offload entries ---- */

static struct vlan_entry *entry_of(NDIS_OFFLOAD_HANDLE *handle)
{
	return CONTAINING_RECORD(handle, struct vlan_entry, handle);
}

static void free_entries(struct vlan_entry *entry)
{
	struct vlan_entry *next;

	for (; entry; entry = next) {
		next = entry->next;
		nrt_free(entry);
	}
}

/* As many new entries as there are blocks that need one. Returns: false when memory is short. */
static bool make_entries(const union im_block *row, struct vlan_call *call)
{
	struct vlan_entry *entry;

	for (; row; row = im_next(row)) {
		if (row->miniport.MiniportOffloadContext &&
		    !*row->miniport.MiniportOffloadContext) {
			entry = nrt_zalloc(sizeof(*entry));
			if (!entry)
				return false;
			entry->next = call->fresh;
			call->fresh = entry;
		}
		if (!make_entries(im_dependents(row), call))
			return false;
	}
	return true;
}

static struct vlan_entry *take_fresh(struct vlan_call *call,
				     const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	struct vlan_entry *entry = call->fresh;

	call->fresh = entry->next;
	entry->next = NULL;
	entry->upper = block->NdisOffloadHandle;
	entry->slot = block->MiniportOffloadContext;
	entry->adapter = call->adapter;
	entry->after = call->adapter->entries;
	entry->link = &call->adapter->entries;
	if (entry->after)
		entry->after->link = &entry->after;
	call->adapter->entries = entry;
	call->adapter->objects++;
	return entry;
}

/* The entry ends with the operation. */
static void bury(struct vlan_call *call, struct vlan_entry *entry)
{
	*entry->link = entry->after;
	if (entry->after)
		entry->after->link = entry->link;
	entry->next = call->dead;
	call->dead = entry;
	call->adapter->objects--;
}

void vlan_entries_free(struct vlan_adapter *adapter)
{
	struct vlan_entry *entry;

	while ((entry = adapter->entries)) {
		adapter->entries = entry->after;
		nrt_free(entry);
	}
}

/* ---- Values: ours on the way down ---- */

static void write_vlan(const struct vlan_adapter *adapter, struct vlan_entry *entry,
		       const union im_block *block)
{
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);

	if (!constant)
		return;
	entry->vlan_id = constant->VlanId;
	constant->VlanId = adapter->id;
}

static void write_priority(const struct vlan_adapter *adapter, struct vlan_entry *entry,
			   const union im_block *block)
{
	TCP_OFFLOAD_STATE_CACHED *cached = im_state(block, IM_CACHED);

	if (!cached)
		return;
	entry->new_priority = cached->UserPriority;
	if (adapter->priority)
		cached->UserPriority = adapter->priority & 7;
}

static void write_ours(const struct vlan_call *call, struct vlan_entry *entry, bool is_new,
		       const union im_block *block)
{
	enum im_layer layer = im_layer_of(block);

	if (call->op == IM_INITIATE && is_new && layer == IM_NEIGHBOR)
		write_vlan(call->adapter, entry, block);
	else if (layer == IM_TCP && ((call->op == IM_INITIATE && is_new) || call->op == IM_UPDATE))
		write_priority(call->adapter, entry, block);
}

/* ---- Values: those of the driver above on the way up ---- */

static void restore_vlan(const struct vlan_entry *entry, const union im_block *block)
{
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);

	if (constant)
		constant->VlanId = entry->vlan_id & 0xfff;
}

static void restore_priority(struct vlan_entry *entry, enum im_op op, const union im_block *block)
{
	TCP_OFFLOAD_STATE_CACHED *cached = im_state(block, IM_CACHED);

	if (!cached)
		return;
	if (op != IM_QUERY) {
		cached->UserPriority = entry->new_priority & 7;
		if (im_offloaded(block->miniport.Status))
			entry->priority = entry->new_priority;
	} else if (entry->adapter->priority) {
		cached->UserPriority = entry->priority & 7;
	}
}

static void restore_theirs(const struct vlan_call *call, struct vlan_entry *entry, bool is_new,
			   const union im_block *block)
{
	enum im_layer layer = im_layer_of(block);
	bool has_state = is_new || call->op == IM_QUERY;

	if (layer == IM_NEIGHBOR && has_state)
		restore_vlan(entry, block);
	else if (layer == IM_TCP && (has_state || call->op == IM_UPDATE))
		restore_priority(entry, call->op, block);
}

/* ---- Refusing ---- */

static bool is_new_block(const union im_block *block)
{
	return block->miniport.MiniportOffloadContext && !*block->miniport.MiniportOffloadContext;
}

static bool contradicts(const struct vlan_call *call, const union im_block *block)
{
	const NEIGHBOR_OFFLOAD_STATE_CONST *constant;

	if (call->op != IM_INITIATE || !is_new_block(block) || im_layer_of(block) != IM_NEIGHBOR)
		return false;
	constant = im_state(block, IM_CONST);
	return constant && constant->VlanId && constant->VlanId != call->adapter->id;
}

static void answer_refused(union im_block *block, struct vlan_call *call)
{
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *next = block->miniport.NextBlock;

	block->miniport.NextBlock = NULL;
	im_fail_row(block, call->op, NDIS_STATUS_OFFLOAD_VLAN_MISMATCH);
	block->miniport.NextBlock = next;
	call->adapter->refused++;
}

/*
 * Cut contradicting blocks out of the root row. Each keeps its own NextBlock and notes what it hung
 * behind; put back last first, the row is as it was.
 */
static void cut_refused(struct vlan_call *call)
{
	union im_block *block, *before = NULL;

	call->down = call->root;
	for (block = call->root; block; block = im_next(block)) {
		if (!contradicts(call, block)) {
			before = block;
			continue;
		}
		answer_refused(block, call);
		block->miniport.MiniportReserved[0] = call->refused;
		block->miniport.MiniportReserved[1] = before;
		call->refused = block;
		if (before)
			before->miniport.NextBlock = block->miniport.NextBlock;
		else
			call->down = im_next(block);
	}
}

static void put_back(struct vlan_call *call)
{
	union im_block *block, *before;

	for (block = call->refused; block; block = block->miniport.MiniportReserved[0]) {
		before = block->miniport.MiniportReserved[1];
		if (before)
			before->miniport.NextBlock = &block->miniport;
	}
}

/* ---- Send data that travels with the state ---- */

/*
 * The chain of an initiate becomes send requests of the driver below, which complete one by one:
 * each list gets its note. What is not accepted, or comes back with a terminate, leaves us with the
 * block.
 */
static void unnote_row(union im_block *row, const union im_block *end)
{
	for (; row && row != end; row = im_next(row)) {
		if (is_new_block(row))
			vlan_unnote_chain(row->miniport.NetBufferListChain);
		unnote_row(im_dependents(row), NULL);
	}
}

/* Returns: false when memory is short; then no list has a note. */
static bool note_row(struct vlan_adapter *adapter, union im_block *row)
{
	union im_block *block;

	for (block = row; block; block = im_next(block)) {
		if (is_new_block(block) && !vlan_note(adapter, block->miniport.NetBufferListChain))
			break;
		if (note_row(adapter, im_dependents(block)))
			continue;
		if (is_new_block(block))
			vlan_unnote_chain(block->miniport.NetBufferListChain);
		break;
	}
	if (block)
		unnote_row(row, block);
	return !block;
}

/* ---- Down ---- */

/* A call entry that comes with one of the objects of the tree and is free; NULL: there is none. */
static struct vlan_call *find_spare(const union im_block *row, enum im_op op)
{
	struct vlan_call *call;
	struct vlan_entry *entry;
	PVOID *slot;

	for (; row; row = im_next(row)) {
		slot = row->miniport.MiniportOffloadContext;
		if (slot && *slot) {
			entry = *slot;
			call = op == IM_TERMINATE ? &entry->terminate : &entry->invalidate;
			if (!call->busy)
				return call;
		}
		call = find_spare(im_dependents(row), op);
		if (call)
			return call;
	}
	return NULL;
}

static struct vlan_call *call_new(enum im_op op, const union im_block *root)
{
	struct vlan_call *call = NULL;

	if (op == IM_TERMINATE || op == IM_INVALIDATE)
		call = find_spare(root, op);
	if (!call)
		return nrt_zalloc(sizeof(*call));
	*call = (struct vlan_call){ .spare = true, .busy = true };
	return call;
}

static void block_down(union im_block *block, struct vlan_call *call)
{
	PVOID *slot = block->miniport.MiniportOffloadContext;
	struct vlan_entry *entry;

	if (!slot) {
		block->protocol.OffloadHandle = NULL;
		return;
	}
	entry = *slot ? *slot : take_fresh(call, &block->miniport);
	write_ours(call, entry, !*slot, block);
	block->protocol.OffloadHandle = &entry->handle;
}

static void call_free(struct vlan_call *call)
{
	free_entries(call->fresh);
	if (call->spare)
		call->busy = false;
	else
		nrt_free(call);
}

static struct vlan_call *call_begin(struct vlan_adapter *adapter, enum im_op op,
				    union im_block *root)
{
	struct vlan_call *call = call_new(op, root);

	if (!call)
		return NULL;
	call->op = op;
	call->adapter = adapter;
	call->root = root;
	if (!make_entries(root, call)) {
		call_free(call);
		return NULL;
	}
	cut_refused(call);
	if (op == IM_INITIATE && !note_row(adapter, call->down)) {
		put_back(call);
		call_free(call);
		return NULL;
	}
	if (!call->down)
		return call;
	call->im_reserved[0] = call->down->miniport.ImReserved[0];
	call->im_reserved[1] = call->down->miniport.ImReserved[1];
	call->source_handle = call->down->miniport.SourceHandle;
	each_block(call->down, call, block_down);
	call->down->protocol.ImReserved[0] = call;
	return call;
}

static void finish(struct vlan_call *call)
{
	struct vlan_adapter *adapter = call->adapter;
	struct vlan_entry *dead = call->dead;
	union im_block *root = call->root;
	enum im_op op = call->op;

	put_back(call);
	call_free(call); /* the driver above may try the same again from its completion handler */
	im_complete_up(adapter->miniport, op, root);
	free_entries(dead);
	vlan_list_done(adapter); /* lists may have left with the state */
	vlan_emptied(adapter->lower);
}

static void call_down(struct vlan_adapter *adapter, enum im_op op,
		      NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	union im_block *root = (union im_block *)list;
	struct vlan_call *call = call_begin(adapter, op, root);

	if (!call) {
		im_fail_row(root, op, NDIS_STATUS_RESOURCES);
		im_complete_up(adapter->miniport, op, root);
	} else if (call->down) {
		im_call_down(adapter->lower->binding, op, call->down);
	} else {
		finish(call); /* all of it was refused */
	}
}

static void initiate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, IM_INITIATE, list);
}

static void terminate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, IM_TERMINATE, list);
}

static void update(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, IM_UPDATE, list);
}

static void invalidate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, IM_INVALIDATE, list);
}

static void query(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	call_down(context, IM_QUERY, list);
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS vlan_provider_generic = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(vlan_provider_generic),
	},
	.InitiateOffloadHandler = initiate,
	.TerminateOffloadHandler = terminate,
	.UpdateOffloadHandler = update,
	.InvalidateOffloadHandler = invalidate,
	.QueryOffloadHandler = query,
};

/* ---- Up ---- */

static void settle_entry(struct vlan_call *call, struct vlan_entry *entry,
			 const union im_block *block)
{
	NDIS_STATUS status = block->miniport.Status;
	bool known = *entry->slot == entry;

	if ((call->op == IM_INITIATE && !known && !im_offloaded(status)) ||
	    (call->op == IM_TERMINATE && status == NDIS_STATUS_SUCCESS))
		vlan_unnote_chain(block->miniport.NetBufferListChain);

	if (!known && call->op == IM_INITIATE && im_offloaded(status))
		*entry->slot = entry;
	else if (!known || (call->op == IM_TERMINATE && status == NDIS_STATUS_SUCCESS))
		bury(call, entry);
}

static void block_up(union im_block *block, struct vlan_call *call)
{
	struct vlan_entry *entry;

	if (!block->protocol.OffloadHandle) {
		block->miniport.MiniportOffloadContext = NULL;
		return;
	}
	entry = entry_of(block->protocol.OffloadHandle);
	block->miniport.NdisOffloadHandle = entry->upper;
	block->miniport.MiniportOffloadContext = entry->slot;
	restore_theirs(call, entry, *entry->slot != entry, block);
	settle_entry(call, entry, block);
}

static void completed(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	union im_block *down = (union im_block *)list;
	struct vlan_call *call = down->protocol.ImReserved[0];

	(void)context; /* the binding could not tell several virtual adapters apart */
	each_block(down, call, block_up);
	down->miniport.ImReserved[0] = call->im_reserved[0];
	down->miniport.ImReserved[1] = call->im_reserved[1];
	down->miniport.SourceHandle = call->source_handle;
	finish(call);
}

/* The block is lent to us; the driver above sees its own handle and VLAN, and answers in place. */
static void event_above(struct vlan_entry *entry, union im_block *block, ULONG code)
{
	NDIS_OFFLOAD_HANDLE *handle = block->protocol.OffloadHandle;
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);
	PVOID ndis_reserved = block->protocol.NdisReserved[2];
	ULONG vlan_id = constant ? constant->VlanId : 0;

	block->miniport.NdisOffloadHandle = entry->upper;
	block->miniport.MiniportOffloadContext = entry->slot;
	restore_vlan(entry, block);
	NdisMOffloadEventIndicate(entry->adapter->miniport, &block->miniport, code);
	if (constant)
		constant->VlanId = vlan_id & 0xfff;
	block->protocol.OffloadHandle = handle;
	block->protocol.NdisReserved[2] = ndis_reserved;
}

static void indicate_event(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list, ULONG code)
{
	const struct vlan_lower *lower = context;
	union im_block *block = (union im_block *)list;
	struct vlan_adapter *adapter;

	if (block && block->protocol.OffloadHandle) {
		event_above(entry_of(block->protocol.OffloadHandle), block, code);
		return;
	}
	for (adapter = lower->adapters; adapter; adapter = adapter->next)
		NdisMOffloadEventIndicate(adapter->miniport, NULL, code);
}

const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS vlan_client_generic = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
		.Size = sizeof(vlan_client_generic),
	},
	.InitiateOffloadCompleteHandler = completed,
	.TerminateOffloadCompleteHandler = completed,
	.UpdateOffloadCompleteHandler = completed,
	.InvalidateOffloadCompleteHandler = completed,
	.QueryOffloadCompleteHandler = completed,
	.IndicateOffloadEventHandler = indicate_event,
};
