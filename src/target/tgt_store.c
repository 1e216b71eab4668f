/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Initiate offload. The tree is walked depth first; every new offload is made under the object of
 * the block above it. Three rules give the statuses:
 *
 *     a block whose own state cannot be offloaded says why, and everything below it fails;
 *     its siblings go on, unless it was the root of the tree, which ends everything;
 *     a block whose state is offloaded says SUCCESS, or PARTIAL_SUCCESS when the state of an
 *     immediate dependent is not; a linker, which has no state, says FAILURE when all of its
 *     dependents failed.
 *
 * A connection is live at once: frames that were caught for it go to the engine before the
 * completion is called, and what they deliver waits in the receive queue until the completion has
 * returned.
 */
#include "target/tgt_store.h"

#include <errno.h>
#include <string.h>

#include "target/tgt_deliver.h"
#include "target/tgt_objects.h"
#include "target/tgt_ops.h"
#include "target/tgt_reach.h"
#include "target/tgt_receive.h"
#include "target/tgt_send.h"
#include "target/tgt_state.h"

static bool offloaded(NDIS_STATUS status)
{
	return status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

/* ---- neighbor ---- */

static bool vlan_is_ours(const struct tgt_ddi *d, uint16_t vlan)
{
	if (!d->interface_vlan_count || !vlan)
		return true;
	for (uint32_t i = 0; i < d->interface_vlan_count; i++)
		if (d->interface_vlans[i] == vlan)
			return true;
	return false;
}

static NDIS_STATUS take_vlan(struct tgt_ddi *d, const struct tgt_neighbor *n)
{
	uint8_t id[2] = { (uint8_t)(n->vlan_id >> 8), (uint8_t)n->vlan_id };

	if (!vlan_is_ours(d, n->vlan_id))
		return NDIS_STATUS_OFFLOAD_VLAN_MISMATCH;
	if (n->vlan_id && !tgt_address_use(&d->vlans, id, sizeof(id)))
		return NDIS_STATUS_OFFLOAD_VLAN_ENTRIES;
	return NDIS_STATUS_SUCCESS;
}

static void release_vlan(struct tgt_ddi *d, const struct tgt_neighbor *n)
{
	uint8_t id[2] = { (uint8_t)(n->vlan_id >> 8), (uint8_t)n->vlan_id };

	if (n->vlan_id)
		tgt_address_release(&d->vlans, id, sizeof(id));
}

static NDIS_STATUS take_neighbor_resources(struct tgt_ddi *d, const struct tgt_neighbor *n)
{
	NDIS_STATUS status = take_vlan(d, n);

	if (status != NDIS_STATUS_SUCCESS || !n->configured_mac)
		return status;
	if (d->macs_configurable && tgt_address_use(&d->macs, n->source_mac, 6))
		return NDIS_STATUS_SUCCESS;
	release_vlan(d, n);
	return NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES;
}

static NDIS_STATUS make_neighbor(struct tgt_adapter *a, const struct tgt_block_states *from,
				 struct tgt_object **out)
{
	const NEIGHBOR_OFFLOAD_STATE_CACHED *cached = from->cached;
	const NEIGHBOR_OFFLOAD_STATE_DELEGATED *delegated = from->delegated;
	struct tgt_object *object = tgt_object_take(a, TGT_OBJECT_NEIGHBOR);
	struct tgt_neighbor *n;
	NDIS_STATUS status;

	if (!object)
		return NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES;
	n = object->state;
	n->slot = object->slot;
	tgt_neighbor_const_from_ddi(n, a->nic_info->mac, from->constant);
	status = take_neighbor_resources(a->ddi, n);
	if (status != NDIS_STATUS_SUCCESS) {
		tgt_object_give(a, object);
		return status;
	}
	memcpy(n->destination_mac, cached->DlDestinationAddress, 6);
	tgt_reach_init(a, n, cached->HostReachabilityDelta, delegated->NicReachabilityDelta);
	*out = object;
	return NDIS_STATUS_SUCCESS;
}

/* ---- path ---- */

static bool version_enabled(const struct tgt_ddi *d, bool v6)
{
	return v6 ? d->offload_v6 && d->used_v6 : d->offload_v4 && d->used_v4;
}

static NDIS_STATUS make_path(struct tgt_adapter *a, const struct tgt_block_states *from, bool v6,
			     struct tgt_object *parent, struct tgt_object **out)
{
	const PATH_OFFLOAD_STATE_CACHED *cached = from->cached;
	struct tgt_object *object;
	struct tgt_path *path;

	if (!version_enabled(a->ddi, v6))
		return NDIS_STATUS_FAILURE;
	if (cached->PathMtu > a->limits.path_mtu_bytes)
		return NDIS_STATUS_OFFLOAD_PATH_MTU;
	object = tgt_object_take(a, TGT_OBJECT_PATH);
	if (!object)
		return NDIS_STATUS_OFFLOAD_PATH_ENTRIES;
	path = object->state;
	path->slot = object->slot;
	path->mtu_bytes = cached->PathMtu;
	tgt_path_const_from_ddi(path, v6, from->constant);
	if (!tgt_address_use(&a->ddi->ip_addresses, path->local, 16)) {
		tgt_object_give(a, object);
		return NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES;
	}
	path->neighbor = arena_ref_of(a->arena, parent->state);
	parent->dependents++;
	*out = object;
	return NDIS_STATUS_SUCCESS;
}

/* ---- connection ---- */

static NDIS_STATUS status_of_error(int err, NDIS_STATUS no_room)
{
	return err == -ENOBUFS ? no_room : NDIS_STATUS_FAILURE;
}

static void fill_tuple(struct tgt_conn_io *io, const struct tgt_path *path,
		       const struct tgt_conn *conn)
{
	memset(&io->tuple, 0, sizeof(io->tuple));
	memcpy(io->tuple.local, path->local, 16);
	memcpy(io->tuple.remote, path->remote, 16);
	io->tuple.local_port_be = conn->local_port_be;
	io->tuple.remote_port_be = conn->remote_port_be;
	io->tuple.v6 = path->v6;
}

static void reset_io(struct tgt_conn_io *io)
{
	tgt_send_init(io);
	tgt_deliver_init(io);
	io->counts = (struct tgt_conn_counts){ 0 };
	io->forwards = io->refused_sends = io->refused_posts = (struct tgt_nblq){ 0 };
	io->work = io->upload_reason = io->backlog_bytes = 0;
	io->live = io->in_call_up = io->stopped = io->upload_offered = io->aborted = false;
	io->corrupt = io->corrupt_told = io->corrupt_due = false;
}

static NDIS_STATUS fill_state(struct tgt_adapter *a, struct tgt_conn_io *io,
			      const struct tgt_block_states *from, const struct tgt_path *path)
{
	const TCP_OFFLOAD_STATE_CACHED *cached = from->cached;
	struct tgt_conn *conn = tgt_io_conn(io);

	tgt_conn_init(a, conn, io->object.slot);
	conn->path = arena_ref_of(a->arena, path);
	conn->path_mtu_bytes = path->mtu_bytes;
	if (path->v6)
		conn->flags |= TGT_CF_IPV6;
	tgt_const_from_ddi(conn, from->constant);
	tgt_cached_from_ddi(a, conn, cached);
	if (tgt_delegated_from_ddi(a, conn, from->delegated))
		return NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED;
	if (cached->Flags & TCP_FLAG_MAX_RT_RESTART)
		conn->total_rt_us = 0;
	if (cached->Flags & TCP_FLAG_KEEP_ALIVE_RESTART) {
		conn->ka_probes = 0;
		conn->ka_left_us = (int64_t)conn->ka_idle_us;
	}
	fill_tuple(io, path, conn);
	return NDIS_STATUS_SUCCESS;
}

static bool has_fin(const struct tgt_conn *conn)
{
	return conn->state == TGT_FIN_WAIT_1 || conn->state == TGT_CLOSING ||
	       conn->state == TGT_LAST_ACK;
}

/* Bytes between SndUna and SndMax that are data: our FIN, once sent, has a number but no byte. */
static uint32_t sent_data_bytes(const struct tgt_conn *conn, uint32_t chain_bytes)
{
	uint32_t sent = conn->snd_max - conn->snd_una;

	return has_fin(conn) && sent == chain_bytes + 1 ? sent - 1 : sent;
}

static uint32_t chain_bytes(const NET_BUFFER_LIST *chain)
{
	uint32_t n = 0;

	for (; chain; chain = chain->Next)
		n += tgt_nbl_bytes(chain);
	return n;
}

/*
 * Buffered receive data and outstanding send data; RcvNxt - 1 is the last buffered byte (BUF-02).
 */
static NDIS_STATUS take_data(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *sends,
			     const TCP_OFFLOAD_STATE_DELEGATED *from)
{
	struct tgt_conn *conn = tgt_io_conn(io);
	int err = tgt_deliver_hand_over(a, io, from->BufferedData);

	if (err)
		return NDIS_STATUS_FAILURE;
	tgt_sendq_begin(conn, conn->snd_una);
	err = tgt_send_hand_over(a, io, sends, sent_data_bytes(conn, chain_bytes(sends)));
	if (!err && has_fin(conn) && io->send.feed)
		err = -ENOBUFS; /* the engine would put the FIN behind what it has */
	return err ? status_of_error(err, NDIS_STATUS_OFFLOAD_TCP_XMIT_BUFFER)
		   : NDIS_STATUS_SUCCESS;
}

/*
 * A peer that closed already: the end is told when the buffered data is consumed, as if its FIN
 * came now.
 */
static void note_peer_fin(struct tgt_conn_io *io)
{
	uint8_t state = tgt_io_conn(io)->state;

	io->deliver.fin = state == TGT_CLOSE_WAIT || state == TGT_CLOSING || state == TGT_LAST_ACK;
}

static NDIS_STATUS start(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	int err = tgt_flow_attach(a, &io->tuple, io->object.slot);

	if (err)
		return err == -ENOSPC ? NDIS_STATUS_RESOURCES : NDIS_STATUS_FAILURE;
	if (tgt_conn_start(a, tgt_io_conn(io))) {
		tgt_flow_detach(a, &io->tuple);
		return NDIS_STATUS_FAILURE;
	}
	note_peer_fin(io);
	io->send.backlog_told = tgt_send_backlog(a, tgt_io_conn(io));
	io->send.backlog_told_us = a->now_us;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS check_limits(const struct tgt_adapter *a, const TCP_OFFLOAD_STATE_CACHED *cached)
{
	uint32_t free_chunks =
		arena_count(a->arena, a->pool_chunk) - arena_used(a->arena, a->pool_chunk);

	if (cached->InitialRcvWnd > a->limits.rcv_window_bytes)
		return NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW;
	if (free_chunks < TGT_CONN_MIN_CHUNKS)
		return NDIS_STATUS_OFFLOAD_TCP_RCV_BUFFER;
	return NDIS_STATUS_SUCCESS;
}

/* Gives back everything but the host's lists. */
static void drop_conn(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	tgt_conn_release(a, tgt_io_conn(io));
	tgt_send_forget(io);
	tgt_object_give(a, &io->object);
}

static NDIS_STATUS make_conn(struct tgt_adapter *a, tgt_block *block,
			     const struct tgt_block_states *from, struct tgt_object *parent,
			     struct tgt_object **out)
{
	NDIS_STATUS status = check_limits(a, from->cached);
	struct tgt_object *object;
	struct tgt_conn_io *io;

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	object = tgt_object_take(a, TGT_OBJECT_CONN);
	if (!object)
		return NDIS_STATUS_OFFLOAD_TCP_ENTRIES;
	io = (struct tgt_conn_io *)object;
	reset_io(io);
	object->ndis_handle = block->NdisOffloadHandle;
	parent->dependents++; /* tgt_object_give() takes it back */
	status = fill_state(a, io, from, parent->state);
	if (status == NDIS_STATUS_SUCCESS)
		status = take_data(a, io, block->NetBufferListChain, from->delegated);
	if (status == NDIS_STATUS_SUCCESS)
		status = start(a, io);
	if (status != NDIS_STATUS_SUCCESS) {
		drop_conn(a, io);
		return status;
	}
	*out = object;
	return NDIS_STATUS_SUCCESS;
}

/* ---- the walk ---- */

static enum tgt_object_kind kind_of_layer(enum tgt_layer layer)
{
	return layer == TGT_LAYER_NEIGHBOR ? TGT_OBJECT_NEIGHBOR
	       : layer == TGT_LAYER_PATH   ? TGT_OBJECT_PATH
					   : TGT_OBJECT_CONN;
}

static bool parent_fits(enum tgt_layer layer, const struct tgt_object *parent)
{
	if (layer == TGT_LAYER_NEIGHBOR)
		return !parent;
	return parent &&
	       parent->kind == (layer == TGT_LAYER_PATH ? TGT_OBJECT_NEIGHBOR : TGT_OBJECT_PATH) &&
	       !parent->invalid;
}

static NDIS_STATUS offload_block(struct tgt_adapter *a, tgt_block *block, struct tgt_object *parent,
				 struct tgt_object **out)
{
	struct tgt_block_states states;
	enum tgt_layer layer;
	NDIS_STATUS status;
	bool v6;

	layer = tgt_block_layer(block->Header.Type, &v6);
	if (layer == TGT_LAYER_NONE || !parent_fits(layer, parent) ||
	    !tgt_block_states(block, &states) || !states.constant || !states.cached ||
	    !states.delegated)
		return NDIS_STATUS_FAILURE;
	if (layer == TGT_LAYER_NEIGHBOR)
		status = make_neighbor(a, &states, out);
	else if (layer == TGT_LAYER_PATH)
		status = make_path(a, &states, v6, parent, out);
	else
		status = make_conn(a, block, &states, parent, out);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	(*out)->ndis_handle = block->NdisOffloadHandle;
	*block->MiniportOffloadContext = *out;
	return NDIS_STATUS_SUCCESS;
}

static void fail_block(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	(void)a;
	(void)ctx;
	block->Status = tgt_block_role(block) == TGT_BLOCK_PLACEHOLDER ? NDIS_STATUS_SUCCESS
								       : NDIS_STATUS_FAILURE;
}

/* Judged by the immediate dependents' own state; placeholders among them say nothing. */
static NDIS_STATUS judge(const tgt_block *block, bool linker)
{
	unsigned int good = 0, bad = 0;

	for (const tgt_block *b = block->DependentBlockList; b; b = b->NextBlock) {
		if (tgt_block_role(b) == TGT_BLOCK_PLACEHOLDER)
			continue;
		if (offloaded(b->Status))
			good++;
		else
			bad++;
	}
	if (!bad)
		return NDIS_STATUS_SUCCESS;
	return linker && !good ? NDIS_STATUS_FAILURE : NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

static void walk_row(struct tgt_adapter *a, tgt_block *row, struct tgt_object *parent,
		     bool root_row);

static void walk_linker(struct tgt_adapter *a, tgt_block *block)
{
	struct tgt_object *object = tgt_object_of(a, *block->MiniportOffloadContext);
	enum tgt_layer layer;
	bool v6;

	layer = tgt_block_layer(block->Header.Type, &v6);
	if (!object || object->kind == TGT_OBJECT_CONN || object->kind != kind_of_layer(layer) ||
	    object->invalid) {
		block->Status = NDIS_STATUS_FAILURE;
		tgt_tree_walk(a, block->DependentBlockList, fail_block, NULL);
		return;
	}
	walk_row(a, block->DependentBlockList, object, false);
	block->Status = judge(block, true);
}

/* Returns whether the block's own state is offloaded. */
static bool walk_new(struct tgt_adapter *a, tgt_block *block, struct tgt_object *parent)
{
	struct tgt_object *object = NULL;

	block->Status = offload_block(a, block, parent, &object);
	if (!object) {
		tgt_tree_walk(a, block->DependentBlockList, fail_block, NULL);
		return false;
	}
	walk_row(a, block->DependentBlockList, object, false);
	block->Status = judge(block, false);
	return true;
}

static void walk_row(struct tgt_adapter *a, tgt_block *row, struct tgt_object *parent,
		     bool root_row)
{
	for (tgt_block *block = row; block; block = block->NextBlock) {
		bool good = true;

		switch (tgt_block_role(block)) {
		case TGT_BLOCK_PLACEHOLDER:
			block->Status = NDIS_STATUS_SUCCESS;
			walk_row(a, block->DependentBlockList, NULL, false);
			break;
		case TGT_BLOCK_REFERENCE:
			walk_linker(a, block);
			break;
		case TGT_BLOCK_NEW:
			good = walk_new(a, block, parent);
			break;
		}
		if (!good && root_row && block == row) {
			tgt_tree_walk(a, block->NextBlock, fail_block, NULL);
			return;
		}
	}
}

/* ---- after the walk ---- */

static struct tgt_conn_io *conn_of_block(const struct tgt_adapter *a, const tgt_block *block)
{
	struct tgt_object *object;

	if (tgt_block_role(block) != TGT_BLOCK_REFERENCE)
		return NULL;
	object = tgt_object_of(a, *block->MiniportOffloadContext);
	return object && object->kind == TGT_OBJECT_CONN ? (struct tgt_conn_io *)object : NULL;
}

/* Frames that came before the connection did: the engine has them first. */
static void feed_caught(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	struct tgt_conn_io *io = conn_of_block(a, block);
	struct tgt_flow *flow = io && !io->live ? tgt_flow_find(a->flows, &io->tuple) : NULL;

	(void)ctx;
	if (flow)
		tgt_flow_release(a, flow, tgt_receive, a);
}

/*
 * After the completion the tree is the host's again, so who becomes live is found by their own
 * flag.
 */
static void go_live(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	struct tgt_conn_io *io = conn_of_block(a, block);

	(void)ctx;
	if (io && !io->live)
		tgt_work_add(a, io, TGT_WORK_GO_LIVE);
}

static void refuse_all(struct tgt_adapter *a, tgt_block *root)
{
	tgt_tree_walk(a, root, fail_block, NULL);
	NdisMInitiateOffloadComplete(a->ddi->miniport, root);
}

void tgt_op_initiate(struct tgt_adapter *a, tgt_block *root)
{
	if (a->ddi->upload_all || a->ddi->halting) {
		refuse_all(a, root);
		return;
	}
	walk_row(a, root, NULL, true);
	tgt_tree_walk(a, root, feed_caught, NULL);
	tgt_tree_walk(a, root, go_live, NULL);
	NdisMInitiateOffloadComplete(a->ddi->miniport, root);
}

/* ---- giving objects back, for terminate ---- */

void tgt_store_release(struct tgt_adapter *a, struct tgt_object *object)
{
	if (object->kind == TGT_OBJECT_CONN) {
		tgt_conn_release(a, object->state);
	} else if (object->kind == TGT_OBJECT_PATH) {
		struct tgt_path *path = object->state;

		tgt_address_release(&a->ddi->ip_addresses, path->local, 16);
	} else {
		struct tgt_neighbor *n = object->state;

		if (n->configured_mac)
			tgt_address_release(&a->ddi->macs, n->source_mac, 6);
		release_vlan(a->ddi, n);
	}
	tgt_object_give(a, object);
}
