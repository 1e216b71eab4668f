/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_blocklist.c - conversion of block lists between protocol and miniport.
 *
 * Theory of operation
 *
 * A state operation travels down a stack as a tree (in general a forest: the root row may have
 * several blocks) and comes back up as the same memory. Each layer looks at a block in its own way:
 *
 *     offset  protocol edge (above)            miniport edge (below)
 *     0x30    NdisReserved[2]                  MiniportOffloadContext   PVOID *
 *     0x38    OffloadHandle  ---------+------> NdisOffloadHandle        same pointer, other name
 *                                     |
 *                                     v
 *                          NDIS_OFFLOAD_HANDLE { NdisReserved[0]; MiniportOffloadContext }
 *                                                                 ^
 *     0x30 after conversion: address of this slot ----------------+
 *
 * Going down, NDIS writes one word per block: the address of the slot in the handle of the driver
 * above. With that the miniport can tell the three kinds of block apart without knowing NDIS:
 *
 *     above the block          what the miniport sees               what it is
 *     no handle                MiniportOffloadContext is NULL       placeholder: only links count
 *     slot holds NULL          *MiniportOffloadContext is NULL      new offload: state follows
 *     slot holds something     *MiniportOffloadContext is not NULL  an object that the miniport
 *                                                                   knows: a linker, or the object
 *                                                                   of a query, update, ...
 *
 * and by writing *MiniportOffloadContext it gives its reference straight to the handle from which
 * every later send starts. Going up, NDIS clears the word. Nothing else changes, nothing is copied,
 * nothing is allocated; an intermediate driver does the same between its own two edges, with
 * handles of its own, so a stack of any depth works on one tree.
 *
 * On an initiate NDIS also marks the handles of new objects (NdisReserved[0]) with the binding
 * through which they are offloaded: an event or a send that has nothing but the handle finds its
 * way by it, and the objects of a binding can be counted. The mark goes with the object.
 *
 * The root's SourceHandle tells which binding an operation came from (nrt_offload.c); an
 * intermediate driver saves and restores it.
 *
 * The case that almost goes wrong: a tree may come from a driver that is mistaken or hostile. Three
 * levels are all that exist, so the walk keeps three pointers and no recursion; deeper links are
 * noticed before the first word is written, and the operation is refused as a whole.
 */
#include "ndis/nrt_blocklist.h"

#include <assert.h>
#include <errno.h>

#include <ndis/ndisstatus.h>

#define SAME_PLACE(protocol_member, miniport_member)                                               \
	static_assert(offsetof(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST, protocol_member) ==               \
			      offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, miniport_member),         \
		      #protocol_member)

SAME_PLACE(Header, Header);
SAME_PLACE(NextBlock, NextBlock);
SAME_PLACE(DependentBlockList, DependentBlockList);
SAME_PLACE(Status, Status);
SAME_PLACE(NdisReserved[2], MiniportOffloadContext);
SAME_PLACE(OffloadHandle, NdisOffloadHandle);
SAME_PLACE(SourceHandle, SourceHandle);
SAME_PLACE(NetBufferListChain, NetBufferListChain);
static_assert(sizeof(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST) == sizeof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST),
	      "overlay");

static union nrt_block *below(union nrt_block *block)
{
	return (union nrt_block *)block->protocol.DependentBlockList;
}

static union nrt_block *after(union nrt_block *block)
{
	return (union nrt_block *)block->protocol.NextBlock;
}

union nrt_block *nrt_block_first(struct nrt_block_walk *walk, union nrt_block *root)
{
	walk->depth = 0;
	walk->left = NRT_BLOCKS_MAX;
	walk->too_deep = false;
	walk->path[0] = root;
	return root;
}

union nrt_block *nrt_block_next(struct nrt_block_walk *walk)
{
	union nrt_block *next = below(walk->path[walk->depth]);

	if (--walk->left == 0)
		return NULL;
	if (next && walk->depth + 1 < NRT_BLOCK_LEVELS) {
		walk->path[++walk->depth] = next;
		return next;
	}
	if (next)
		walk->too_deep = true;
	for (;;) {
		next = after(walk->path[walk->depth]);
		if (next) {
			walk->path[walk->depth] = next;
			return next;
		}
		if (walk->depth == 0)
			return NULL;
		walk->depth--;
	}
}

static bool well_formed(union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		if (walk.too_deep)
			return false;
	return !walk.too_deep && walk.left > 0;
}

int nrt_blocks_to_miniport(union nrt_block *root, void *reserved)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	NDIS_OFFLOAD_HANDLE *handle;
	int fresh = 0;

	if (!well_formed(root))
		return -EINVAL;
	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		handle = block->protocol.OffloadHandle;
		block->miniport.MiniportOffloadContext =
			handle ? &handle->MiniportOffloadContext : NULL;
		if (handle && reserved && !handle->MiniportOffloadContext) {
			handle->NdisReserved[0] = reserved;
			fresh++;
		}
	}
	return fresh;
}

void nrt_blocks_to_protocol(union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		block->protocol.NdisReserved[2] = NULL;
}

void nrt_blocks_refuse(union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		block->protocol.Status =
			block->protocol.OffloadHandle ? NDIS_STATUS_FAILURE : NDIS_STATUS_SUCCESS;
}

/*
 * Bytes of the state structures behind a block, in their order; 0 ends. Indexed by
 * OFFLOAD_STATE_TYPE.
 */
#define NEIGHBOR_SIZES                                                                             \
	{                                                                                          \
		sizeof(NEIGHBOR_OFFLOAD_STATE_CONST), sizeof(NEIGHBOR_OFFLOAD_STATE_CACHED),       \
			sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED)                                   \
	}
#define PATH_SIZES                                                                                 \
	{                                                                                          \
		sizeof(PATH_OFFLOAD_STATE_CONST), sizeof(PATH_OFFLOAD_STATE_CACHED),               \
			sizeof(PATH_OFFLOAD_STATE_DELEGATED)                                       \
	}
#define TCP_SIZES                                                                                  \
	{                                                                                          \
		sizeof(TCP_OFFLOAD_STATE_CONST), sizeof(TCP_OFFLOAD_STATE_CACHED),                 \
			sizeof(TCP_OFFLOAD_STATE_DELEGATED)                                        \
	}

static const uint32_t state_sizes[TcpOffloadState + 1][3] = {
	[NeighborOffloadConstState] = { sizeof(NEIGHBOR_OFFLOAD_STATE_CONST) },
	[NeighborOffloadCachedState] = { sizeof(NEIGHBOR_OFFLOAD_STATE_CACHED) },
	[NeighborOffloadDelegatedState] = { sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED) },
	[NeighborOffloadState] = NEIGHBOR_SIZES,
	[Ip4OffloadConstState] = { sizeof(PATH_OFFLOAD_STATE_CONST) },
	[Ip4OffloadCachedState] = { sizeof(PATH_OFFLOAD_STATE_CACHED) },
	[Ip4OffloadDelegatedState] = { sizeof(PATH_OFFLOAD_STATE_DELEGATED) },
	[Ip4OffloadState] = PATH_SIZES,
	[Ip6OffloadConstState] = { sizeof(PATH_OFFLOAD_STATE_CONST) },
	[Ip6OffloadCachedState] = { sizeof(PATH_OFFLOAD_STATE_CACHED) },
	[Ip6OffloadDelegatedState] = { sizeof(PATH_OFFLOAD_STATE_DELEGATED) },
	[Ip6OffloadState] = PATH_SIZES,
	[TcpOffloadConstState] = { sizeof(TCP_OFFLOAD_STATE_CONST) },
	[TcpOffloadCachedState] = { sizeof(TCP_OFFLOAD_STATE_CACHED) },
	[TcpOffloadDelegatedState] = { sizeof(TCP_OFFLOAD_STATE_DELEGATED) },
	[TcpOffloadState] = TCP_SIZES,
};

static void fill_lengths(union nrt_block *block)
{
	OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(block);
	unsigned int type = block->protocol.Header.Type, i;

	if (type > TcpOffloadState)
		return;
	for (i = 0; i < 3 && state_sizes[type][i]; i++) {
		if (state->Length == 0)
			state->Length = state_sizes[type][i];
		state = NdisOffloadNextState(state);
	}
}

void nrt_blocks_fill_headers(union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	NDIS_OBJECT_HEADER *header;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk)) {
		header = &block->protocol.Header;
		if (!header->Revision)
			header->Revision = 1;
		if (!header->Size)
			header->Size = sizeof(*block);
		if (block->protocol.OffloadHandle &&
		    !block->protocol.OffloadHandle->MiniportOffloadContext)
			fill_lengths(block);
	}
}
