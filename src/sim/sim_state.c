/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_sock.h"

enum {
	ETH_BYTES = 6,
	STATE_ALIGN =
		/* each state structure starts at the next multiple of it behind the one before */
	8,
	TICKS_NONE = -1,
};

void sim_block_init(struct sim_block *block, OFFLOAD_STATE_TYPE type, NDIS_OFFLOAD_HANDLE *handle)
{
	block->list.Header.Type = (UCHAR)type;
	block->list.Header.Revision = NDIS_OBJECT_REVISION_1;
	block->list.Header.Size = sizeof(block->list);
	block->list.OffloadHandle = handle;
	/* A value that no driver writes: the driver must set a status in every block (BLK-09). */
	block->list.Status = (NDIS_STATUS)0xDEADBEEF;
}

static struct sim_block *block_new(OFFLOAD_STATE_TYPE type, NDIS_OFFLOAD_HANDLE *handle)
{
	struct sim_block *block = calloc(1, sizeof(*block));

	if (block)
		sim_block_init(block, type, handle);
	return block;
}

void *sim_state_next(struct sim_block *block, size_t *at, size_t size)
{
	OFFLOAD_STATE_HEADER *header = (OFFLOAD_STATE_HEADER *)((uint8_t *)block + *at);

	header->Length = (ULONG)size;
	*at = (*at + size + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
	return header;
}

TCP_OFFLOAD_STATE_DELEGATED *sim_state_delegated(struct sim_block *block)
{
	size_t at = offsetof(struct sim_block, state);

	if (block->list.Header.Type == TcpOffloadState) {
		sim_state_next(block, &at, sizeof(TCP_OFFLOAD_STATE_CONST));
		sim_state_next(block, &at, sizeof(TCP_OFFLOAD_STATE_CACHED));
	}
	return (TCP_OFFLOAD_STATE_DELEGATED *)((uint8_t *)block + at);
}

static const struct sim_binding *other_end(const struct sim_binding *binding)
{
	return &binding->world->bindings[binding->place == SIM_PEER ? SIM_KERNEL : SIM_PEER];
}

static void fill_neighbor(struct sim_block *block, const struct sim_binding *binding)
{
	size_t at = offsetof(struct sim_block, state);
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = sim_state_next(block, &at, sizeof(*constant));
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached = sim_state_next(block, &at, sizeof(*cached));

	sim_state_next(block, &at, sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED));
	if (binding->place != SIM_TARGET) /* zero means the interface's own, try both */
		memcpy(constant->DlSourceAddress, nic_info(binding->nic)->mac, ETH_BYTES);
	memcpy(cached->DlDestinationAddress, nic_info(other_end(binding)->nic)->mac, ETH_BYTES);
}

static void fill_path(struct sim_block *block, const struct sim_binding *binding,
		      enum sim_family family)
{
	size_t at = offsetof(struct sim_block, state);
	PATH_OFFLOAD_STATE_CONST *constant = sim_state_next(block, &at, sizeof(*constant));
	PATH_OFFLOAD_STATE_CACHED *cached = sim_state_next(block, &at, sizeof(*cached));

	sim_state_next(block, &at, sizeof(PATH_OFFLOAD_STATE_DELEGATED));
	constant->SourceAddress = binding->address[family];
	constant->DestinationAddress = other_end(binding)->address[family];
	cached->PathMtu = binding->path_mtu_bytes[family];
}

static void fill_tcp(struct sim_block *block, struct sim_sock *sock)
{
	size_t at = offsetof(struct sim_block, state);
	TCP_OFFLOAD_STATE_CONST *constant = sim_state_next(block, &at, sizeof(*constant));
	TCP_OFFLOAD_STATE_CACHED *cached = sim_state_next(block, &at, sizeof(*cached));
	TCP_OFFLOAD_STATE_DELEGATED *delegated = sim_state_next(block, &at, sizeof(*delegated));
	NET_BUFFER_LIST *tail = NULL;

	*constant = sock->state.constant;
	*cached = sock->state.cached;
	*delegated = sock->state.delegated;
	constant->Header.Length = sizeof(*constant);
	cached->Header.Length = sizeof(*cached);
	delegated->Header.Length = sizeof(*delegated);
	block->list.NetBufferListChain = sim_send_chain(sock, &tail);
	delegated->SendDataHead = block->list.NetBufferListChain;
	delegated->SendDataTail = tail;
	delegated->BufferedData = sim_recv_buffered(sock);
}

static OFFLOAD_STATE_TYPE path_type(enum sim_family family, bool delegated)
{
	if (family == SIM_V4)
		return delegated ? Ip4OffloadDelegatedState : Ip4OffloadState;
	return delegated ? Ip6OffloadDelegatedState : Ip6OffloadState;
}

static void link_tree(struct sim_op *op)
{
	if (op->neighbor)
		op->neighbor->list.DependentBlockList = op->path ? &op->path->list : NULL;
	if (op->path)
		op->path->list.DependentBlockList = op->tcp ? &op->tcp->list : NULL;
	op->root = op->neighbor ? &op->neighbor->list : op->path ? &op->path->list : &op->tcp->list;
	op->root->ProtocolReserved[0] = op;
}

/* New objects with their state, links to what is offloaded already. */
static int build_initiate(struct sim_op *op)
{
	struct sim_binding *binding = op->binding;
	struct sim_object *neighbor = &binding->neighbor, *path = &binding->path[op->family];

	op->neighbor = block_new(NeighborOffloadState, &neighbor->handle);
	op->path = block_new(path_type(op->family, false), &path->handle);
	op->tcp = block_new(TcpOffloadState, &op->sock->handle);
	if (!op->neighbor || !op->path || !op->tcp)
		return -ENOMEM;
	if (!neighbor->handle.MiniportOffloadContext)
		fill_neighbor(op->neighbor, binding);
	if (!path->handle.MiniportOffloadContext)
		fill_path(op->path, binding, op->family);
	memset(&op->sock->handle, 0, sizeof(op->sock->handle));
	fill_tcp(op->tcp, op->sock);
	return 0;
}

/*
 * The connection, and path and neighbor when they are of no use any more. What stays offloaded is a
 * placeholder or not in the tree at all, which are two ways to say the same.
 */
static int build_terminate(struct sim_op *op)
{
	struct sim_binding *binding = op->binding;
	struct sim_object *neighbor = &binding->neighbor, *path = &binding->path[op->family];
	bool path_ends = path->dependents == 1;
	bool neighbor_ends = path_ends && neighbor->dependents == 1;
	bool placeholder = nic_sim_rng_below(&binding->world->rng, 2) == 0;

	op->tcp = block_new(TcpOffloadDelegatedState, &op->sock->handle);
	if (path_ends || placeholder)
		op->path = block_new(path_type(op->family, true), path_ends ? &path->handle : NULL);
	if (neighbor_ends || (op->path && placeholder))
		op->neighbor = block_new(NeighborOffloadDelegatedState,
					 neighbor_ends ? &neighbor->handle : NULL);
	if (!op->tcp || ((path_ends || placeholder) && !op->path) ||
	    (neighbor_ends && !op->neighbor))
		return -ENOMEM;
	sim_state_delegated(op->tcp)->Header.Length = sizeof(TCP_OFFLOAD_STATE_DELEGATED);
	if (path_ends)
		((OFFLOAD_STATE_HEADER *)(void *)op->path->state)->Length =
			sizeof(PATH_OFFLOAD_STATE_DELEGATED);
	if (neighbor_ends)
		((OFFLOAD_STATE_HEADER *)(void *)op->neighbor->state)->Length =
			sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED);
	return 0;
}

static int build_query(struct sim_op *op)
{
	op->tcp = block_new(TcpOffloadDelegatedState, &op->sock->handle);
	if (!op->tcp)
		return -ENOMEM;
	sim_state_delegated(op->tcp)->Header.Length = sizeof(TCP_OFFLOAD_STATE_DELEGATED);
	return 0;
}

static int build_update(struct sim_op *op)
{
	size_t at = offsetof(struct sim_block, state);
	TCP_OFFLOAD_STATE_CACHED *cached;

	op->tcp = block_new(TcpOffloadCachedState, &op->sock->handle);
	if (!op->tcp)
		return -ENOMEM;
	cached = sim_state_next(op->tcp, &at, sizeof(*cached));
	*cached = op->sock->state.cached;
	cached->Header.Length = sizeof(*cached);
	return 0;
}

static int build_path_mtu(struct sim_op *op)
{
	size_t at = offsetof(struct sim_block, state);
	PATH_OFFLOAD_STATE_CACHED *cached;

	op->path = block_new(op->family == SIM_V4 ? Ip4OffloadCachedState : Ip6OffloadCachedState,
			     &op->binding->path[op->family].handle);
	if (!op->path)
		return -ENOMEM;
	cached = sim_state_next(op->path, &at, sizeof(*cached));
	cached->PathMtu = op->binding->path_mtu_bytes[op->family];
	return 0;
}

static int build_invalidate(struct sim_op *op)
{
	op->path = block_new(op->family == SIM_V4 ? Ip4OffloadConstState : Ip6OffloadConstState,
			     &op->binding->path[op->family].handle);
	return op->path ? 0 : -ENOMEM;
}

/*
 * Path and neighbor that lost their last dependent, or never got one. Root NULL when there is
 * nothing to end.
 */
static int build_sweep(struct sim_op *op)
{
	struct sim_binding *binding = op->binding;
	struct sim_object *neighbor = &binding->neighbor, *path = &binding->path[op->family];
	bool path_ends = path->handle.MiniportOffloadContext && path->dependents == 0;
	bool other_path = binding->path[op->family ^ 1].handle.MiniportOffloadContext != NULL;
	bool neighbor_ends = neighbor->handle.MiniportOffloadContext && !other_path &&
			     (path_ends || !path->handle.MiniportOffloadContext);

	if (path_ends) {
		op->path = block_new(path_type(op->family, true), &path->handle);
		if (!op->path)
			return -ENOMEM;
		((OFFLOAD_STATE_HEADER *)(void *)op->path->state)->Length =
			sizeof(PATH_OFFLOAD_STATE_DELEGATED);
	}
	if (neighbor_ends) {
		op->neighbor = block_new(NeighborOffloadDelegatedState, &neighbor->handle);
		if (!op->neighbor)
			return -ENOMEM;
		((OFFLOAD_STATE_HEADER *)(void *)op->neighbor->state)->Length =
			sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED);
	}
	return 0;
}

int sim_state_build(struct sim_op *op)
{
	static int (*const builders[])(struct sim_op * op) = {
		[SIM_OP_INITIATE] = build_initiate,     [SIM_OP_TERMINATE] = build_terminate,
		[SIM_OP_QUERY] = build_query,           [SIM_OP_UPDATE] = build_update,
		[SIM_OP_INVALIDATE] = build_invalidate, [SIM_OP_PATH_MTU] = build_path_mtu,
		[SIM_OP_SWEEP] = build_sweep,
	};
	int err = builders[op->kind](op);

	if (err == 0 && (op->neighbor || op->path || op->tcp))
		link_tree(op);
	return err;
}

static void settle_initiate(struct sim_op *op)
{
	struct sim_binding *binding = op->binding;
	struct sim_object *path = &binding->path[op->family];

	if (op->tcp->list.Status != NDIS_STATUS_SUCCESS)
		return;
	if (path->dependents++ == 0)
		binding->neighbor.dependents++;
}

static void settle_terminate(struct sim_op *op)
{
	struct sim_binding *binding = op->binding;
	struct sim_object *path = &binding->path[op->family];

	if (op->tcp) {
		if (op->tcp->list.Status != NDIS_STATUS_SUCCESS)
			return;
		if (--path->dependents == 0)
			binding->neighbor.dependents--;
	}
	if (op->path && op->path->list.OffloadHandle &&
	    op->path->list.Status == NDIS_STATUS_SUCCESS)
		memset(&path->handle, 0, sizeof(path->handle));
	if (op->neighbor && op->neighbor->list.OffloadHandle &&
	    op->neighbor->list.Status == NDIS_STATUS_SUCCESS)
		memset(&binding->neighbor.handle, 0, sizeof(binding->neighbor.handle));
}

void sim_state_settle(struct sim_op *op)
{
	if (op->kind == SIM_OP_INITIATE)
		settle_initiate(op);
	else if (op->kind == SIM_OP_INVALIDATE && op->path->list.Status != NDIS_STATUS_SUCCESS)
		sim_world_fail(op->binding->world, "an invalidate failed (INV-09)");
	else if (op->kind == SIM_OP_TERMINATE || op->kind == SIM_OP_SWEEP)
		settle_terminate(op);
}

void sim_state_free(struct sim_op *op)
{
	free(op->neighbor);
	free(op->path);
	free(op->tcp);
	op->neighbor = op->path = op->tcp = NULL;
}

static void age_timer(ULONG *left_ticks, uint32_t elapsed_ticks)
{
	if (*left_ticks == (ULONG)TICKS_NONE)
		return;
	*left_ticks = *left_ticks > elapsed_ticks ? *left_ticks - elapsed_ticks : 0;
}

void sim_state_age(struct sim_tcp_state *state, uint64_t now_us)
{
	TCP_OFFLOAD_STATE_DELEGATED *delegated = &state->delegated;
	uint32_t elapsed = (uint32_t)((now_us * SIM_TICKS_PER_S / 1000000) -
				      (state->taken_us * SIM_TICKS_PER_S / 1000000));

	delegated->TsTime += elapsed;
	if (delegated->TsRecentAge < 0xFFFFFFFFu - elapsed)
		delegated->TsRecentAge += elapsed;
	age_timer(&delegated->KeepAlive.TimeoutDelta, elapsed);
	age_timer(&delegated->Retransmit.TimeoutDelta, elapsed);
	state->taken_us = now_us;
}

const char *sim_state_differs(const TCP_OFFLOAD_STATE_DELEGATED *a,
			      const TCP_OFFLOAD_STATE_DELEGATED *b)
{
#define SIM_COMPARE(member)                                                                        \
	do {                                                                                       \
		if (a->member != b->member)                                                        \
			return #member;                                                            \
	} while (0)
	SIM_COMPARE(State);
	SIM_COMPARE(RcvNxt);
	SIM_COMPARE(RcvWnd);
	SIM_COMPARE(SndUna);
	SIM_COMPARE(SndNxt);
	SIM_COMPARE(SndMax);
	SIM_COMPARE(SndWnd);
	SIM_COMPARE(MaxSndWnd);
	SIM_COMPARE(SendWL1);
	SIM_COMPARE(CWnd);
	SIM_COMPARE(SsThresh);
	SIM_COMPARE(SRtt);
	SIM_COMPARE(RttVar);
	SIM_COMPARE(TsRecent);
	SIM_COMPARE(TsRecentAge);
	SIM_COMPARE(TsTime);
	SIM_COMPARE(TotalRT);
	SIM_COMPARE(DupAckCount);
	SIM_COMPARE(SndWndProbeCount);
	SIM_COMPARE(KeepAlive.ProbeCount);
	SIM_COMPARE(KeepAlive.TimeoutDelta);
	SIM_COMPARE(Retransmit.Count);
	SIM_COMPARE(Retransmit.TimeoutDelta);
	SIM_COMPARE(DWnd);
#undef SIM_COMPARE
	return NULL;
}
