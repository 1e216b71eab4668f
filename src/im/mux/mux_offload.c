/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_offload.c - the handlers of state operations at both edges, and the event that carries a
 * neighbor's block. What they do is in mux_tree.c.
 */
#include "im/mux/mux_private.h"

static void initiate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	mux_state_call(context, IM_INITIATE, (union im_block *)list);
}

static void terminate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	mux_state_call(context, IM_TERMINATE, (union im_block *)list);
}

static void update(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	mux_state_call(context, IM_UPDATE, (union im_block *)list);
}

static void invalidate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	mux_state_call(context, IM_INVALIDATE, (union im_block *)list);
}

static void query(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	mux_state_call(context, IM_QUERY, (union im_block *)list);
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS mux_provider_generic = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(mux_provider_generic),
	},
	.InitiateOffloadHandler = initiate,
	.TerminateOffloadHandler = terminate,
	.UpdateOffloadHandler = update,
	.InvalidateOffloadHandler = invalidate,
	.QueryOffloadHandler = query,
};

/* The part of the call entry is found in the root block, whichever member it comes from. */
static void part_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	(void)context;
	mux_part_completed(list);
}

/* An event without a block concerns all that the member knows; the host gets it for the team. */
static void indicate_event(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list, ULONG code)
{
	const struct mux_member *member = context;
	union im_block *block = (union im_block *)list;
	NDIS_OFFLOAD_HANDLE *handle;
	PVOID ndis_reserved;
	struct mux_leg *leg;

	if (!block || !block->protocol.OffloadHandle) {
		if (member->team)
			NdisMOffloadEventIndicate(member->team->miniport, NULL, code);
		return;
	}
	/* The block is lent: it goes back as it came, with the host's answer behind it. */
	handle = block->protocol.OffloadHandle;
	ndis_reserved = block->protocol.NdisReserved[2];
	leg = mux_leg_of(handle);
	block->miniport.NdisOffloadHandle = leg->entry->upper;
	block->miniport.MiniportOffloadContext = leg->entry->slot;
	NdisMOffloadEventIndicate(leg->entry->team->miniport, &block->miniport, code);
	block->protocol.OffloadHandle = handle;
	block->protocol.NdisReserved[2] = ndis_reserved;
}

const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS mux_client_generic = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
		.Size = sizeof(mux_client_generic),
	},
	.InitiateOffloadCompleteHandler = part_complete,
	.TerminateOffloadCompleteHandler = part_complete,
	.UpdateOffloadCompleteHandler = part_complete,
	.InvalidateOffloadCompleteHandler = part_complete,
	.QueryOffloadCompleteHandler = part_complete,
	.IndicateOffloadEventHandler = indicate_event,
};
