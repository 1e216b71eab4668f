/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_reach.h"

#include <string.h>

#include "target/tgt_priv.h"
#include "target/tgt_state.h"

/* One block with the three states of a neighbor behind it, each at a multiple of 8. */
struct query_block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) NEIGHBOR_OFFLOAD_STATE_CONST constant;
	_Alignas(8) NEIGHBOR_OFFLOAD_STATE_CACHED cached;
	_Alignas(8) NEIGHBOR_OFFLOAD_STATE_DELEGATED delegated;
};

void tgt_reach_init(const struct tgt_adapter *a, struct tgt_neighbor *n, uint32_t hrd_ticks,
		    uint32_t nrd_ticks)
{
	n->hrt_ticks = tgt_clock_ticks(a) - hrd_ticks;
	n->nrt_ticks = tgt_clock_ticks(a) - nrd_ticks;
}

void tgt_reach_confirmed(const struct tgt_adapter *a, struct tgt_neighbor *n, uint32_t hrd_ticks)
{
	n->hrt_ticks = tgt_clock_ticks(a) - hrd_ticks;
}

uint32_t tgt_reach_hrd(const struct tgt_adapter *a, const struct tgt_neighbor *n)
{
	return tgt_clock_ticks(a) - n->hrt_ticks;
}

uint32_t tgt_reach_nrd(const struct tgt_adapter *a, const struct tgt_neighbor *n)
{
	return tgt_clock_ticks(a) - n->nrt_ticks;
}

static void make_due(struct tgt_adapter *a, const struct tgt_neighbor *n)
{
	struct tgt_object *object = &a->ddi->neighbors.objects[n->slot];

	if (object->due)
		return;
	object->due = true;
	object->next_due = a->ddi->due_neighbors;
	a->ddi->due_neighbors = n->slot;
}

void tgt_reach_before_send(struct tgt_adapter *a, struct tgt_neighbor *n)
{
	uint32_t now = tgt_clock_ticks(a), stale = a->params.nce_stale_ticks;

	if (n->query_due || now - n->nrt_ticks <= stale || now - n->hrt_ticks <= stale)
		return;
	n->query_due = 1;
	make_due(a, n);
}

void tgt_forward_progress(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_neighbor_of(a, tgt_path_of(a, conn))->nrt_ticks = tgt_clock_ticks(a);
}

void tgt_reach_doubt(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_neighbor *n = tgt_neighbor_of(a, tgt_path_of(a, conn));

	if (!a->params.doubt_retransmissions)
		return;
	n->doubt_due = 1;
	make_due(a, n);
}

static void fill_block(const struct tgt_adapter *a, const struct tgt_object *object,
		       struct query_block *b)
{
	memset(b, 0, sizeof(*b));
	b->list.Header.Type = NeighborOffloadState;
	b->list.Header.Revision = NDIS_OBJECT_REVISION_1;
	b->list.Header.Size = sizeof(b->list);
	b->list.Status = NDIS_STATUS_SUCCESS;
	b->list.NdisOffloadHandle = object->ndis_handle;
	b->constant.Header.Length = sizeof(b->constant);
	b->cached.Header.Length = sizeof(b->cached);
	b->delegated.Header.Length = sizeof(b->delegated);
	tgt_neighbor_const_to_ddi(object->state, &b->constant);
	tgt_neighbor_cached_to_ddi(a, object->state, &b->cached);
	tgt_neighbor_delegated_to_ddi(a, object->state, &b->delegated);
}

/* The host writes HostReachabilityDelta into the block before the call returns (EVT-22). */
static void ask_host(struct tgt_adapter *a, const struct tgt_object *object)
{
	struct tgt_neighbor *n = object->state;
	struct query_block block;

	fill_block(a, object, &block);
	NdisMOffloadEventIndicate(a->ddi->miniport, &block.list, NeighborReachabilityQuery);
	n->query_due = 0;
	tgt_reach_confirmed(a, n, block.cached.HostReachabilityDelta);
}

static void tell_doubt(struct tgt_adapter *a, const struct tgt_object *object)
{
	struct tgt_neighbor *n = object->state;
	struct query_block block;

	fill_block(a, object, &block);
	n->doubt_due = 0;
	NdisMOffloadEventIndicate(a->ddi->miniport, &block.list, NeighborReachabilityInDoubt);
}

void tgt_reach_run(struct tgt_adapter *a)
{
	uint32_t slot = a->ddi->due_neighbors;

	a->ddi->due_neighbors = TGT_NO_SLOT;
	while (slot != TGT_NO_SLOT) {
		struct tgt_object *object = &a->ddi->neighbors.objects[slot];
		struct tgt_neighbor *n = object->state;

		slot = object->next_due;
		object->due = false;
		if (object->kind != TGT_OBJECT_NEIGHBOR || n->invalid)
			continue;
		if (n->query_due)
			ask_host(a, object);
		if (n->doubt_due)
			tell_doubt(a, object);
	}
}
