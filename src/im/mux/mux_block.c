/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_block.c - blocks that the team makes itself: copies of the host's neighbor and path blocks
 * for further members, and blocks that offload an object to a member where it was not needed
 * before.
 */
#include "im/mux/mux_tree.h"

#include <string.h>

#include "ndis/nrt_alloc.h"

#define MAC_BYTES 6u

/*
 * Nobody knows how long ago a neighbor was last confirmed when it is offloaded to a further member:
 * so long that this member asks before it relies on it (NeighborReachabilityQuery). Ticks.
 */
#define AGE_UNKNOWN_TICKS 0x3FFFFFFFu

_Static_assert(NDIS_OFFLOAD_STATE_ALIGN(sizeof(NEIGHBOR_OFFLOAD_STATE_CONST)) +
			       NDIS_OFFLOAD_STATE_ALIGN(sizeof(NEIGHBOR_OFFLOAD_STATE_CACHED)) +
			       NDIS_OFFLOAD_STATE_ALIGN(sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED)) <=
		       MUX_STATE_BYTES,
	       "room for the largest state of a block that is made here");

static union im_block *block_new(const struct mux_call *call, const struct mux_piece *piece,
				 const struct mux_member *member)
{
	union im_block *twin =
		call->reserve ? mux_one_twin(call->team, member) : nrt_zalloc(MUX_TWIN_BYTES);

	if (!twin)
		return NULL;
	twin->miniport.Header = (NDIS_OBJECT_HEADER){
		.Type = NeighborOffloadState,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(*twin),
	};
	if (piece->block) {
		twin->miniport.Header = piece->block->miniport.Header;
		twin->miniport.PortNumber = piece->block->miniport.PortNumber;
	}
	twin->miniport.Status = NDIS_STATUS_FAILURE;
	return twin;
}

/* The next state structure behind a block, zero but for its header. */
static void *add_state(OFFLOAD_STATE_HEADER **at, size_t bytes)
{
	OFFLOAD_STATE_HEADER *state = *at;

	state->Length = (ULONG)bytes;
	*at = NdisOffloadNextState(state);
	return state;
}

/* Everything that an initiate of the object needs. fresh: with the host's ages of the neighbor. */
static void write_neighbor(union im_block *twin, const struct mux_piece *piece, bool fresh)
{
	const struct mux_entry *entry = piece->entry;
	OFFLOAD_STATE_HEADER *at = NdisOffloadFirstState(twin);
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = add_state(&at, sizeof(*constant));
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached = add_state(&at, sizeof(*cached));
	NEIGHBOR_OFFLOAD_STATE_DELEGATED *delegated = add_state(&at, sizeof(*delegated));
	const NEIGHBOR_OFFLOAD_STATE_DELEGATED *given =
		fresh ? im_state(piece->block, IM_DELEGATED) : NULL;

	twin->miniport.Header.Type = NeighborOffloadState;
	*constant = entry->state.neighbor.constant;
	*cached = entry->state.neighbor.cached;
	constant->Header.Length = sizeof(*constant);
	cached->Header.Length = sizeof(*cached);
	if (!fresh)
		cached->HostReachabilityDelta = AGE_UNKNOWN_TICKS;
	delegated->NicReachabilityDelta = given ? given->NicReachabilityDelta : AGE_UNKNOWN_TICKS;
}

static void write_path(union im_block *twin, const struct mux_entry *entry)
{
	OFFLOAD_STATE_HEADER *at = NdisOffloadFirstState(twin);
	PATH_OFFLOAD_STATE_CONST *constant = add_state(&at, sizeof(*constant));
	PATH_OFFLOAD_STATE_CACHED *cached = add_state(&at, sizeof(*cached));

	add_state(&at, sizeof(PATH_OFFLOAD_STATE_DELEGATED));
	twin->miniport.Header.Type =
		entry->state.path.addresses.v6 ? Ip6OffloadState : Ip4OffloadState;
	constant->SourceAddress = entry->state.path.addresses.local;
	constant->DestinationAddress = entry->state.path.addresses.remote;
	cached->PathMtu = entry->state.path.cached.PathMtu;
}

static void write_object(union im_block *twin, const struct mux_call *call,
			 const struct mux_piece *piece, const struct mux_member *member)
{
	if (piece->entry->layer == IM_PATH) {
		write_path(twin, piece->entry);
		return;
	}
	write_neighbor(twin, piece, piece->is_new);
	mux_fill_mac(call->team, member, twin);
}

/* An update's twin brings the cached variables that the host's block brings, or a Type without
 * any. */
static void write_update(union im_block *twin, const struct mux_piece *piece)
{
	const OFFLOAD_STATE_HEADER *cached = im_state(piece->block, IM_CACHED);
	bool neighbor = piece->entry->layer == IM_NEIGHBOR;
	bool v6 = !neighbor && piece->entry->state.path.addresses.v6;
	unsigned char first = neighbor ? NeighborOffloadConstState
			      : v6     ? Ip6OffloadConstState
				       : Ip4OffloadConstState;

	twin->miniport.Header.Type = (UCHAR)(first + (cached ? (int)IM_CACHED : (int)IM_CONST));
	if (cached)
		memcpy(NdisOffloadFirstState(twin), cached,
		       cached->Length < MUX_STATE_BYTES ? cached->Length : MUX_STATE_BYTES);
}

/* Room for the delegated variables that a terminate or query brings back. */
static void write_room(union im_block *twin, const struct mux_entry *entry)
{
	OFFLOAD_STATE_HEADER *at = NdisOffloadFirstState(twin);

	if (entry->layer == IM_NEIGHBOR) {
		twin->miniport.Header.Type = NeighborOffloadDelegatedState;
		add_state(&at, sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED));
	} else {
		twin->miniport.Header.Type = entry->state.path.addresses.v6
						     ? Ip6OffloadDelegatedState
						     : Ip4OffloadDelegatedState;
		add_state(&at, sizeof(PATH_OFFLOAD_STATE_DELEGATED));
	}
}

union im_block *mux_twin(const struct mux_call *call, const struct mux_piece *piece,
			 const struct mux_member *member)
{
	union im_block *twin = block_new(call, piece, member);
	const struct mux_leg *leg = mux_piece_leg(piece, member);

	if (!twin || !piece->entry)
		return twin;
	switch (call->op) {
	case IM_INITIATE:
		if (!leg->there)
			write_object(twin, call, piece, member);
		break;
	case IM_UPDATE:
		write_update(twin, piece);
		break;
	case IM_TERMINATE:
	case IM_QUERY:
		write_room(twin, piece->entry);
		break;
	case IM_INVALIDATE:
		break;
	}
	return twin;
}

union im_block *mux_twin_before(const struct mux_call *call, const struct mux_piece *piece,
				const struct mux_member *member)
{
	union im_block *twin = block_new(call, piece, member);

	if (!twin)
		return NULL;
	write_neighbor(twin, piece, false);
	mux_fill_mac(call->team, member, twin);
	return twin;
}

bool mux_fill_mac(const struct mux_team *team, const struct mux_member *member,
		  const union im_block *block)
{
	static const UCHAR none[MAC_BYTES];
	const UCHAR *own = team->facts.general.CurrentMacAddress;
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);

	if (!constant || memcmp(constant->DlSourceAddress, none, MAC_BYTES) != 0 ||
	    memcmp(member->facts.general.CurrentMacAddress, own, MAC_BYTES) == 0)
		return false;
	memcpy(constant->DlSourceAddress, own, MAC_BYTES);
	return true;
}

void mux_clear_mac(const union im_block *block)
{
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);

	memset(constant->DlSourceAddress, 0, MAC_BYTES);
}

void mux_gather_age(const struct mux_piece *piece)
{
	NEIGHBOR_OFFLOAD_STATE_DELEGATED *to = im_state(piece->block, IM_DELEGATED);
	const NEIGHBOR_OFFLOAD_STATE_DELEGATED *from;
	unsigned int i;

	if (!to)
		return;
	for (i = 0; i < MUX_MEMBERS_MAX; i++) {
		if (!piece->at[i] || piece->at[i] == piece->block ||
		    piece->at[i]->miniport.Status != NDIS_STATUS_SUCCESS)
			continue;
		from = im_state(piece->at[i], IM_DELEGATED);
		if (from && from->NicReachabilityDelta < to->NicReachabilityDelta)
			to->NicReachabilityDelta = from->NicReachabilityDelta;
	}
}
