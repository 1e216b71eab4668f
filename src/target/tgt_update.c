/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Query, update and invalidate. A block that names no object of ours, or one of another layer than
 * its Type says, fails; placeholders succeed. An update takes cached variables only. An object
 * keeps its values when its update fails.
 *
 * A path that hangs under another neighbor's block than its own moves there (relinking). A block of
 * such a tree that brings no cached values has a Type without them (const or delegated): nothing
 * behind it is read.
 */
#include <string.h>

#include "target/tgt_objects.h"
#include "target/tgt_ops.h"
#include "target/tgt_reach.h"
#include "target/tgt_send.h"
#include "target/tgt_state.h"
#include "target/tgt_upload.h"

static struct tgt_object *named_object(const struct tgt_adapter *a, const tgt_block *block)
{
	static const enum tgt_object_kind kinds[] = {
		[TGT_LAYER_NONE] = TGT_OBJECT_FREE,
		[TGT_LAYER_NEIGHBOR] = TGT_OBJECT_NEIGHBOR,
		[TGT_LAYER_PATH] = TGT_OBJECT_PATH,
		[TGT_LAYER_TCP] = TGT_OBJECT_CONN,
	};
	struct tgt_object *object;
	enum tgt_layer layer;
	bool v6;

	if (tgt_block_role(block) != TGT_BLOCK_REFERENCE)
		return NULL;
	layer = tgt_block_layer(block->Header.Type, &v6);
	object = tgt_object_of(a, *block->MiniportOffloadContext);
	if (!object || object->kind != kinds[layer])
		return NULL;
	if (object->kind == TGT_OBJECT_PATH && ((struct tgt_path *)object->state)->v6 != v6)
		return NULL;
	return object;
}

static bool is_placeholder(tgt_block *block)
{
	if (tgt_block_role(block) != TGT_BLOCK_PLACEHOLDER)
		return false;
	block->Status = NDIS_STATUS_SUCCESS;
	return true;
}

/* ---- query ---- */

static void query_conn(struct tgt_adapter *a, struct tgt_conn *conn,
		       const struct tgt_block_states *to)
{
	if (to->constant)
		tgt_const_to_ddi(conn, to->constant);
	if (to->cached)
		tgt_cached_to_ddi(a, conn, to->cached);
	if (to->delegated) {
		TCP_OFFLOAD_STATE_DELEGATED *d = to->delegated;

		tgt_conn_snapshot(a, conn);
		tgt_delegated_to_ddi(a, conn, d);
		d->SendDataHead = d->SendDataTail = NULL;
		d->BufferedData = NULL;
		d->SendBacklogSize = a->ddi->send_backlog ? tgt_send_backlog(a, conn) : UINT32_MAX;
		d->ReceiveBacklogSize = tgt_deliver_buffered_bytes(a, conn);
	}
}

static void query_path(const struct tgt_path *path, const struct tgt_block_states *to)
{
	if (to->constant)
		tgt_path_const_to_ddi(path, to->constant);
	if (to->cached)
		((PATH_OFFLOAD_STATE_CACHED *)to->cached)->PathMtu = path->mtu_bytes;
}

static void query_neighbor(const struct tgt_adapter *a, const struct tgt_neighbor *n,
			   const struct tgt_block_states *to)
{
	if (to->constant)
		tgt_neighbor_const_to_ddi(n, to->constant);
	if (to->cached)
		tgt_neighbor_cached_to_ddi(a, n, to->cached);
	if (to->delegated)
		tgt_neighbor_delegated_to_ddi(a, n, to->delegated);
}

static void query_block(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	struct tgt_object *object = named_object(a, block);
	struct tgt_block_states states;

	(void)ctx;
	if (is_placeholder(block))
		return;
	block->Status = NDIS_STATUS_FAILURE;
	if (!object || !tgt_block_states(block, &states) || tgt_corrupt_check(object, block))
		return;
	if (object->kind == TGT_OBJECT_CONN)
		query_conn(a, object->state, &states);
	else if (object->kind == TGT_OBJECT_PATH)
		query_path(object->state, &states);
	else
		query_neighbor(a, object->state, &states);
	block->Status = NDIS_STATUS_SUCCESS;
}

void tgt_op_query(struct tgt_adapter *a, tgt_block *root)
{
	tgt_tree_walk(a, root, query_block, NULL);
	NdisMQueryOffloadStateComplete(a->ddi->miniport, root);
	tgt_corrupt_events(a);
}

/* ---- update ---- */

/* UPD-14, UPD-15, UPD-23: what resets the delegated keepalive variables. */
static void keepalive_updated(struct tgt_adapter *a, struct tgt_conn *conn,
			      const struct tgt_conn *old, USHORT flags)
{
	bool reset = flags & (TCP_FLAG_MAX_RT_RESTART | TCP_FLAG_KEEP_ALIVE_RESTART);
	bool times =
		conn->ka_idle_us != old->ka_idle_us || conn->ka_interval_us != old->ka_interval_us;
	bool switched = (conn->options ^ old->options) & TGT_OPT_KEEPALIVE;
	bool restart = flags & TCP_FLAG_KEEP_ALIVE_RESTART;

	if ((reset && conn->ka_probe_max != old->ka_probe_max) || restart)
		conn->ka_probes = 0;
	if (reset && times)
		restart = true;
	if (restart || times || switched)
		tgt_conn_keepalive_changed(a, conn, restart);
}

static void max_rt_updated(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_conn *old,
			   USHORT flags)
{
	bool changed = conn->max_rt_us != old->max_rt_us;
	bool restart = flags & TCP_FLAG_MAX_RT_RESTART || (changed && conn->max_rt_us);

	if (changed || restart)
		tgt_conn_max_rt_changed(a, conn, restart);
}

/* STA-25, UPD-13: with the flag the peer is told at once, else when it is worth a segment. */
static void window_updated(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_conn *old,
			   USHORT flags)
{
	if (flags & TCP_FLAG_UPDATE_RCV_WND && conn->rcv_buf_bytes != conn->rcv_adv - conn->rcv_nxt)
		tgt_rcv_window_update(a, conn);
	else if (conn->rcv_buf_bytes != old->rcv_buf_bytes)
		tgt_rcv_window_changed(a, conn);
}

static bool update_conn(struct tgt_adapter *a, struct tgt_conn *conn,
			const TCP_OFFLOAD_STATE_CACHED *from)
{
	struct tgt_conn old = *conn;

	if (from->InitialRcvWnd > a->limits.rcv_window_bytes)
		return false;
	tgt_cached_from_ddi(a, conn, from);
	keepalive_updated(a, conn, &old, from->Flags);
	max_rt_updated(a, conn, &old, from->Flags);
	window_updated(a, conn, &old, from->Flags);
	if (old.options & ~conn->options & (TGT_OPT_NAGLE | TGT_OPT_CORK))
		tgt_output(a, conn, a->now_us);
	return true;
}

static bool update_path(struct tgt_adapter *a, struct tgt_path *path,
			const PATH_OFFLOAD_STATE_CACHED *from)
{
	arena_ref ref = arena_ref_of(a->arena, path);

	if (from->PathMtu > a->limits.path_mtu_bytes)
		return false;
	if (from->PathMtu == path->mtu_bytes)
		return true;
	path->mtu_bytes = from->PathMtu;
	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io; io = tgt_conn_next(a, io))
		if (tgt_io_conn(io)->path == ref)
			tgt_conn_set_mtu(a, tgt_io_conn(io), path->mtu_bytes);
	return true;
}

static bool update_neighbor(struct tgt_adapter *a, struct tgt_neighbor *n,
			    const NEIGHBOR_OFFLOAD_STATE_CACHED *from)
{
	memcpy(n->destination_mac, from->DlDestinationAddress, 6);
	tgt_reach_confirmed(a, n, from->HostReachabilityDelta);
	return true;
}

static bool update_object(struct tgt_adapter *a, struct tgt_object *object, tgt_block *block)
{
	struct tgt_block_states states;
	bool v6;

	/*
	 * A Type without cached values: nothing is taken over, and nothing behind the block is
	 * looked at.
	 */
	switch (block->Header.Type) {
	case NeighborOffloadConstState:
	case NeighborOffloadDelegatedState:
	case Ip4OffloadConstState:
	case Ip4OffloadDelegatedState:
	case Ip6OffloadConstState:
	case Ip6OffloadDelegatedState:
	case TcpOffloadConstState:
	case TcpOffloadDelegatedState:
		return true;
	}
	if (!tgt_block_states(block, &states))
		return false;
	switch (tgt_block_layer(block->Header.Type, &v6)) {
	case TGT_LAYER_TCP:
		return update_conn(a, object->state, states.cached);
	case TGT_LAYER_PATH:
		return update_path(a, object->state, states.cached);
	case TGT_LAYER_NEIGHBOR:
		return update_neighbor(a, object->state, states.cached);
	case TGT_LAYER_NONE:
		break;
	}
	return false;
}

/* UPD-05: the path, and all connections on it, send through the new neighbor from now on. */
static void relink(struct tgt_adapter *a, struct tgt_object *path_object,
		   struct tgt_object *neighbor)
{
	struct tgt_object *old = tgt_object_parent(a, path_object);
	struct tgt_path *path = path_object->state;

	if (!neighbor || neighbor == old)
		return;
	path->neighbor = arena_ref_of(a->arena, neighbor->state);
	old->dependents--;
	neighbor->dependents++;
}

static void update_row(struct tgt_adapter *a, tgt_block *row, struct tgt_object *parent)
{
	for (tgt_block *block = row; block; block = block->NextBlock) {
		struct tgt_object *object = named_object(a, block);

		if (!is_placeholder(block)) {
			bool good = object && !object->invalid && update_object(a, object, block);

			block->Status = good ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
			if (good && object->kind == TGT_OBJECT_PATH && parent &&
			    parent->kind == TGT_OBJECT_NEIGHBOR)
				relink(a, object, parent);
		}
		update_row(a, block->DependentBlockList, object);
	}
}

void tgt_op_update(struct tgt_adapter *a, tgt_block *root)
{
	update_row(a, root, NULL);
	NdisMUpdateOffloadComplete(a->ddi->miniport, root);
}

/* ---- invalidate ---- */

static bool depends_on(const struct tgt_adapter *a, const struct tgt_conn_io *io,
		       const struct tgt_object *object)
{
	const struct tgt_object *path = tgt_object_parent(a, &io->object);

	return &io->object == object || path == object || tgt_object_parent(a, path) == object;
}

/* Sending stops at once; each connection is asked back on its own (INV-05, INV-06). */
static void invalidate_object(struct tgt_adapter *a, struct tgt_object *object)
{
	object->invalid = true;
	if (object->kind == TGT_OBJECT_PATH)
		((struct tgt_path *)object->state)->invalid = 1;
	else if (object->kind == TGT_OBJECT_NEIGHBOR)
		((struct tgt_neighbor *)object->state)->invalid = 1;
	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io; io = tgt_conn_next(a, io))
		if (depends_on(a, io, object))
			tgt_upload_ask(a, io, InvalidState, true);
}

static void invalidate_block(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	struct tgt_object *object = named_object(a, block);

	(void)ctx;
	if (is_placeholder(block))
		return;
	block->Status = NDIS_STATUS_FAILURE;
	if (!object || tgt_corrupt_check(object, block))
		return;
	invalidate_object(a, object);
	block->Status = NDIS_STATUS_SUCCESS;
}

void tgt_op_invalidate(struct tgt_adapter *a, tgt_block *root)
{
	tgt_tree_walk(a, root, invalidate_block, NULL);
	NdisMInvalidateOffloadComplete(a->ddi->miniport, root);
	tgt_corrupt_events(a);
}
