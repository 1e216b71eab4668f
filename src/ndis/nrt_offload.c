/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_offload.c - state operations between a binding and the miniport below it.
 *
 * All five work alike: convert the tree (nrt_blocklist.c), note in the root's SourceHandle which
 * binding it came from, call; on completion find the binding there, convert back, call.
 * SourceHandle is the only thing an intermediate driver has to save: its own call further down
 * overwrites it.
 */
#include "ndis/nrt_offload.h"

#include <ndis/ndisstatus.h>

#include "base/log.h"
#include "ndis/nrt_adapter.h"
#include "ndis/nrt_binding.h"

bool nrt_offload_claim(struct nrt_open *open)
{
	struct nrt_adapter *adapter = open->adapter;

	if (!open->can_offload || !nrt_adapter_able(adapter))
		return false;
	if (adapter->offload_open == open)
		return true;
	if (adapter->offload_open &&
	    (adapter->offload_enabled || adapter->offload_open->pending_ops))
		return false;
	adapter->offload_open = open;
	adapter->offload_enabled = false;
	return true;
}

void nrt_offload_release(struct nrt_open *open)
{
	struct nrt_adapter *adapter = open->adapter;

	if (adapter->offload_open != open)
		return;
	adapter->offload_open = NULL;
	adapter->offload_enabled = false;
}

/*
 * Offloading is using: a binding that never set the parameters keeps the chimney from its first
 * initiate on.
 */
static bool may_use(struct nrt_open *open, enum nrt_op op)
{
	if (op != NRT_OP_INITIATE)
		return open->adapter->offload_open == open;
	if (!nrt_offload_claim(open))
		return false;
	open->adapter->offload_enabled = true;
	return true;
}

static void complete_up(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	open->up_op[op](open->protocol_context, &root->protocol);
}

/* Whoever may not use the chimney has nothing offloaded either: the operation ends here. */
static void refuse(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	nrt_blocks_refuse(root);
	if (open->up_op[op])
		complete_up(open, op, root);
}

void nrt_offload_call(struct nrt_open *open, enum nrt_op op, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	union nrt_block *root = (union nrt_block *)list;

	if (open->closing || !may_use(open, op)) {
		refuse(open, op, root);
		return;
	}
	if (nrt_blocks_to_miniport(root, op == NRT_OP_INITIATE ? open : NULL) < 0) {
		log_debug("%s: block list refused: deeper than neighbor, path, TCP, or endless",
			  open->adapter->name);
		refuse(open, op, root);
		return;
	}
	if (op == NRT_OP_INITIATE)
		nrt_blocks_fill_headers(root);
	root->miniport.SourceHandle = open;
	open->pending_ops++;
	open->down_op[op](open->miniport_context, &root->miniport);
}

void nrt_offload_complete(struct nrt_adapter *adapter, enum nrt_op op,
			  NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	union nrt_block *root = (union nrt_block *)list;
	struct nrt_open *open = nrt_open_from(root->miniport.SourceHandle);

	NRT_ASSERT_DRIVER(open && open->adapter == adapter);
	NRT_ASSERT_DRIVER(open->pending_ops > 0);
	if (!open || open->adapter != adapter)
		return;
	nrt_blocks_to_protocol(root);
	complete_up(open, op, root);
	open->pending_ops--;
	nrt_open_settle(open);
}

/*
 * The binding that offloaded the object of the block; the one that owns the chimney when there is
 * no object.
 */
static struct nrt_open *event_target(struct nrt_adapter *adapter, const union nrt_block *block)
{
	if (block && block->protocol.OffloadHandle)
		return nrt_open_from(block->protocol.OffloadHandle->NdisReserved[0]);
	return adapter->offload_open;
}

void nrt_offload_event(struct nrt_adapter *adapter, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list,
		       ULONG code)
{
	union nrt_block *root = (union nrt_block *)list;
	struct nrt_open *open = event_target(adapter, root);
	PVOID *slot;

	if (!open || !open->up_event)
		return;
	if (!root) {
		open->up_event(open->protocol_context, NULL, code);
		return;
	}
	/*
	 * The block is the miniport's own and only lent: it looks the same again when the protocol
	 * is done.
	 */
	slot = root->miniport.MiniportOffloadContext;
	nrt_blocks_to_protocol(root);
	open->up_event(open->protocol_context, &root->protocol, code);
	root->miniport.MiniportOffloadContext = slot;
}
