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
#include "ndis/nrt_nblq.h"
#include "ndis/nrt_verify.h"

/*
 * Whoever takes the chimney over gets its completions: nobody may while the user has anything in
 * the miniport. Data in work belongs to objects, so the objects are what has to be gone; those that
 * a binding left behind when it closed stay in the miniport for as long as the adapter.
 */
static bool in_use(const struct nrt_adapter *adapter)
{
	const struct nrt_open *user = adapter->offload_open;

	return adapter->orphans ||
	       (user && (adapter->offload_enabled || user->pending_ops || user->live));
}

bool nrt_offload_claim(struct nrt_open *open)
{
	struct nrt_adapter *adapter = open->adapter;

	if (!open->can_offload || !nrt_adapter_able(adapter))
		return false;
	if (adapter->offload_open == open)
		return true;
	if (in_use(adapter))
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
	if (open->live)
		log_warn("%s: %s closed its binding with %u objects still offloaded", adapter->name,
			 open->driver->label, open->live);
	adapter->orphans += open->live;
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

/* ---- Objects and what goes with them --------------------------------------------------------- */

/* Send data belongs to connections; in other blocks the member means nothing. */
static NET_BUFFER_LIST *send_chain(const union nrt_block *block)
{
	unsigned int type = block->protocol.Header.Type;

	return type >= TcpOffloadConstState && type <= TcpOffloadState
		       ? block->protocol.NetBufferListChain
		       : NULL;
}

/* Only debug builds follow lists on their way: the walk is for the ledger alone. */
static void hand_chains_down(struct nrt_open *open, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		if (block->miniport.MiniportOffloadContext &&
		    !*block->miniport.MiniportOffloadContext)
			nrt_ledger_down(open, send_chain(block), NRT_BY_INITIATE);
}

/* Received data that comes up with a connection is like an indication: the lists go back later. */
static void take_buffered(struct nrt_open *open, union nrt_block *block)
{
	OFFLOAD_STATE_HEADER *header = NdisOffloadFirstState(&block->protocol);
	const TCP_OFFLOAD_STATE_DELEGATED *state;

	if (block->protocol.Header.Type == TcpOffloadState) /* behind const and cached */
		header = NdisOffloadNextState(NdisOffloadNextState(header));
	else if (block->protocol.Header.Type != TcpOffloadDelegatedState)
		return;
	state = (const TCP_OFFLOAD_STATE_DELEGATED *)(void *)header;
	if (!state->BufferedData)
		return;
	nrt_ledger_lend(open, state->BufferedData, NRT_BY_TERMINATE_COMPLETE);
	open->indicated += (unsigned int)nrt_nbl_count(state->BufferedData);
}

static void object_gone(struct nrt_open *open, union nrt_block *block, enum nrt_ledger_call call)
{
	block->protocol.OffloadHandle->NdisReserved[0] = NULL;
	open->live--;
	nrt_ledger_up(open, send_chain(block), call);
}

/* Which objects of the binding a completed operation took out of the miniport. */
static void settle_objects(struct nrt_open *open, enum nrt_op op, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	NDIS_OFFLOAD_HANDLE *handle;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		handle = block->protocol.OffloadHandle;
		if (!handle || handle->NdisReserved[0] != open)
			continue;
		if (op == NRT_OP_INITIATE && !handle->MiniportOffloadContext)
			object_gone(open, block, NRT_BY_INITIATE_COMPLETE);
		if (op == NRT_OP_TERMINATE && block->protocol.Status == NDIS_STATUS_SUCCESS) {
			take_buffered(open, block);
			object_gone(open, block, NRT_BY_TERMINATE_COMPLETE);
		}
	}
}

/* ---- Calls and completions ------------------------------------------------------------------- */

void nrt_offload_call(struct nrt_open *open, enum nrt_op op, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	union nrt_block *root = (union nrt_block *)list;
	int fresh;

	if (open->closing || !may_use(open, op)) {
		refuse(open, op, root);
		return;
	}
	if (nrt_verify_on() && !nrt_verify_call(open, op, root)) {
		refuse(open, op, root);
		return;
	}
	fresh = nrt_blocks_to_miniport(root, op == NRT_OP_INITIATE ? open : NULL);
	if (fresh < 0) {
		log_debug("%s: block list refused: deeper than neighbor, path, TCP, or endless",
			  open->adapter->name);
		refuse(open, op, root);
		return;
	}
	if (op == NRT_OP_INITIATE)
		nrt_blocks_fill_headers(root);
	if (op == NRT_OP_INITIATE && NRT_LEDGER)
		hand_chains_down(open, root);
	open->live += (unsigned int)fresh;
	root->miniport.SourceHandle = open;
	open->pending_ops++;
	open->down_op[op](open->miniport_context, &root->miniport);
}

void nrt_offload_complete(struct nrt_adapter *adapter, enum nrt_op op,
			  NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	union nrt_block *root = (union nrt_block *)list;
	struct nrt_open *open;

	if (nrt_verify_on() && !nrt_verify_complete(adapter, op, root))
		return;
	open = nrt_open_from(root->miniport.SourceHandle);
	NRT_ASSERT_DRIVER(open && open->adapter == adapter);
	NRT_ASSERT_DRIVER(open->pending_ops > 0);
	if (!open || open->adapter != adapter)
		return;
	nrt_blocks_to_protocol(root);
	if (op == NRT_OP_INITIATE || op == NRT_OP_TERMINATE)
		settle_objects(open, op, root);
	if (nrt_verify_on())
		nrt_verify_settled(open, op, root);
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
