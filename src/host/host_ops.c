/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_ops.c - state operations of an adapter, one after the other, and the objects above
 * connections.
 *
 * One operation at a time keeps three published rules without bookkeeping: nothing else happens
 * to an object while it is being offloaded (OFF-27, OFF-30), a terminate waits for open queries
 * and updates (TRM-11), and the first connection of a path has brought the path down before the
 * second one links to it. The tree is built when its turn comes, because only then it is known
 * which of neighbor and path are at the target already.
 *
 * A path or neighbor is terminated together with its last dependent (TRM-08). If that dependent's
 * offload fails, or its terminate did not carry them, host_path_put() terminates them alone.
 */
#include "host/host_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_down(const NDIS_OFFLOAD_HANDLE *handle)
{
	return handle->MiniportOffloadContext != NULL;
}

static OFFLOAD_STATE_TYPE path_type(const struct host_path *path, OFFLOAD_STATE_TYPE v4,
				    OFFLOAD_STATE_TYPE v6)
{
	return path->family == AF_INET ? v4 : v6;
}

/* ---- building trees ---- */

static uint32_t confirmed_ticks(const struct host_neighbor *neighbor)
{
	return host_reach_hrd_ticks(neighbor, loop_tick(neighbor->adapter->host->config.loop));
}

static int build_new_neighbor(struct host_op *op)
{
	struct host_neighbor *neighbor = op->neighbor_object;

	if (is_down(&neighbor->handle))
		return 0;
	host_state_neighbor(&op->neighbor, neighbor, confirmed_ticks(neighbor));
	op->neighbor.list.OffloadHandle = &neighbor->handle;
	op->root = &op->neighbor.list;
	return 0;
}

static int build_initiate(struct host_op *op)
{
	struct host_conn *conn = op->conn;
	struct host_path *path = conn ? conn->path : NULL;
	TCP_OFFLOAD_STATE_DELEGATED *delegated;
	int err;

	if (!conn)
		return build_new_neighbor(op);
	if (is_down(&path->neighbor->handle)) /* a linker: no state behind it */
		host_state_room(&op->neighbor.list, NeighborOffloadState, 0);
	else
		host_state_neighbor(&op->neighbor, path->neighbor, confirmed_ticks(path->neighbor));
	if (is_down(&path->handle))
		host_state_room(&op->path.list, path_type(path, Ip4OffloadState, Ip6OffloadState),
				0);
	else
		host_state_path(&op->path, path);
	op->neighbor.list.OffloadHandle = &path->neighbor->handle;
	op->path.list.OffloadHandle = &path->handle;
	memset(&conn->handle, 0, sizeof(conn->handle));
	op->tcp.list.OffloadHandle = &conn->handle;
	host_state_tcp(&op->tcp, conn);
	delegated = host_state_delegated(&op->tcp);
	err = host_xfer_chain(conn, &op->tcp.list.NetBufferListChain, &delegated->SendDataTail);
	delegated->SendDataHead = op->tcp.list.NetBufferListChain;
	if (!err)
		err = host_xfer_buffered(conn, &delegated->BufferedData);
	op->neighbor.list.DependentBlockList = &op->path.list;
	op->path.list.DependentBlockList = &op->tcp.list;
	op->root = &op->neighbor.list;
	return err;
}

/* What stays at the target is not in the tree. */
static int build_terminate(struct host_op *op)
{
	struct host_path *path = op->conn ? op->conn->path : op->path_object;
	struct host_neighbor *neighbor = path ? path->neighbor : op->neighbor_object;
	bool path_ends = path && is_down(&path->handle) && path->refs == (op->conn ? 1 : 0);
	bool neighbor_ends = is_down(&neighbor->handle) && neighbor->refs == (path ? 1 : 0) &&
			     (!path || path_ends || !is_down(&path->handle));

	if (op->conn) {
		host_state_room(&op->tcp.list, TcpOffloadDelegatedState,
				sizeof(TCP_OFFLOAD_STATE_DELEGATED));
		op->tcp.list.OffloadHandle = &op->conn->handle;
		op->root = &op->tcp.list;
	}
	if (path_ends) {
		host_state_room(&op->path.list,
				path_type(path, Ip4OffloadDelegatedState, Ip6OffloadDelegatedState),
				sizeof(PATH_OFFLOAD_STATE_DELEGATED));
		op->path.list.OffloadHandle = &path->handle;
		op->path.list.DependentBlockList = op->root;
		op->root = &op->path.list;
	}
	if (neighbor_ends && (path_ends || !op->conn)) {
		host_state_room(&op->neighbor.list, NeighborOffloadDelegatedState,
				sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED));
		op->neighbor.list.OffloadHandle = &neighbor->handle;
		op->neighbor.list.DependentBlockList = path_ends ? &op->path.list : NULL;
		op->root = &op->neighbor.list;
	}
	return 0;
}

static int build_query(struct host_op *op)
{
	if (!op->conn) {
		host_state_room(&op->neighbor.list, NeighborOffloadDelegatedState,
				sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED));
		op->neighbor.list.OffloadHandle = &op->neighbor_object->handle;
		op->root = &op->neighbor.list;
		return 0;
	}
	host_state_room(&op->tcp.list, TcpOffloadDelegatedState,
			sizeof(TCP_OFFLOAD_STATE_DELEGATED));
	op->tcp.list.OffloadHandle = &op->conn->handle;
	op->root = &op->tcp.list;
	return 0;
}

static void build_cached_path(struct host_op *op)
{
	PATH_OFFLOAD_STATE_CACHED *cached = (void *)op->path.state;

	host_state_room(&op->path.list,
			path_type(op->path_object, Ip4OffloadCachedState, Ip6OffloadCachedState),
			sizeof(*cached));
	cached->PathMtu = op->path_object->mtu_bytes;
	op->path.list.OffloadHandle = &op->path_object->handle;
	op->root = &op->path.list;
}

static void build_cached_neighbor(struct host_op *op)
{
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached = (void *)op->neighbor.state;

	host_state_room(&op->neighbor.list, NeighborOffloadCachedState, sizeof(*cached));
	memcpy(cached->DlDestinationAddress, op->neighbor_object->mac,
	       sizeof(op->neighbor_object->mac));
	cached->HostReachabilityDelta = confirmed_ticks(op->neighbor_object);
	op->neighbor.list.OffloadHandle = &op->neighbor_object->handle;
	op->neighbor.list.DependentBlockList = op->root; /* the path that moves under it (UPD-04) */
	op->root = &op->neighbor.list;
}

/*
 * Cached state of a connection (its options), of a path (a new MTU) or a neighbor (a new MAC); of
 * both, the path hanging under the neighbor, when the path moves there.
 */
static int build_update(struct host_op *op)
{
	if (op->conn) {
		host_state_tcp_cached(&op->tcp, op->conn, op->restart);
		op->tcp.list.OffloadHandle = &op->conn->handle;
		op->root = &op->tcp.list;
	}
	if (op->path_object)
		build_cached_path(op);
	if (op->neighbor_object)
		build_cached_neighbor(op);
	return 0;
}

/* INV-02: no state behind the block. */
static int build_invalidate(struct host_op *op)
{
	host_state_room(&op->neighbor.list, NeighborOffloadState, 0);
	op->neighbor.list.OffloadHandle = &op->neighbor_object->handle;
	op->root = &op->neighbor.list;
	return 0;
}

/* The object may have gone while the operation waited for its turn. */
static bool subject_is_down(const struct host_op *op)
{
	return !(op->conn && !is_down(&op->conn->handle)) &&
	       !(op->path_object && !is_down(&op->path_object->handle)) &&
	       !(op->neighbor_object && !is_down(&op->neighbor_object->handle));
}

/* UPD-18, and what hangs under it: it is on its way up. */
static bool subject_is_invalid(const struct host_op *op)
{
	const struct host_path *path = op->conn ? op->conn->path : op->path_object;

	return (path && path->neighbor->invalid) ||
	       (op->neighbor_object && op->neighbor_object->invalid);
}

static int build(struct host_op *op)
{
	static int (*const builders[])(struct host_op * op) = {
		[HOST_OP_INITIATE] = build_initiate,     [HOST_OP_TERMINATE] = build_terminate,
		[HOST_OP_QUERY] = build_query,           [HOST_OP_UPDATE] = build_update,
		[HOST_OP_INVALIDATE] = build_invalidate,
	};

	bool alone = op->kind == HOST_OP_TERMINATE && !op->conn;

	if (op->kind != HOST_OP_INITIATE && !alone && !subject_is_down(op))
		return 0; /* nothing to do */
	if (op->kind == HOST_OP_UPDATE && subject_is_invalid(op))
		return 0;
	return builders[op->kind](op);
}

/* ---- running them ---- */

static void call_down(struct host_op *op)
{
	NDIS_HANDLE binding = op->adapter->binding;

	op->root->ProtocolReserved[0] = op;
	switch (op->kind) {
	case HOST_OP_INITIATE:
		NdisInitiateOffload(binding, op->root);
		break;
	case HOST_OP_TERMINATE:
		NdisTerminateOffload(binding, op->root);
		break;
	case HOST_OP_QUERY:
		NdisQueryOffloadState(binding, op->root);
		break;
	case HOST_OP_UPDATE:
		NdisUpdateOffload(binding, op->root);
		break;
	case HOST_OP_INVALIDATE:
		NdisInvalidateOffload(binding, op->root);
		break;
	}
}

/*
 * Requests of a tree that did not go down are ours again (OFF-25); the copy of received data
 * always is (BUF-05).
 */
static void settle_initiate(struct host_op *op)
{
	TCP_OFFLOAD_STATE_DELEGATED *delegated = host_state_delegated(&op->tcp);
	struct host_conn *conn = op->conn;

	host_requests_free(op->adapter, delegated->BufferedData);
	delegated->BufferedData = NULL;
	if (op->tcp.list.Status != NDIS_STATUS_SUCCESS) {
		host_requests_free(op->adapter, op->tcp.list.NetBufferListChain);
		return;
	}
	conn->at_target = true;
	op->adapter->offloaded++;
}

static void clear_if_gone(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	if (list->OffloadHandle && list->Status == NDIS_STATUS_SUCCESS)
		memset(list->OffloadHandle, 0, sizeof(*list->OffloadHandle));
}

static void settle_terminate(struct host_op *op)
{
	if (op->conn && op->tcp.list.Status == NDIS_STATUS_SUCCESS) {
		op->conn->at_target = false;
		op->adapter->offloaded--;
	}
	clear_if_gone(&op->tcp.list);
	clear_if_gone(&op->path.list);
	clear_if_gone(&op->neighbor.list);
}

static void finish(struct host_op *op)
{
	struct host_adapter *adapter = op->adapter;

	adapter->ops = op->next;
	if (!adapter->ops)
		adapter->ops_tail = &adapter->ops;
	if (op->kind == HOST_OP_INITIATE && op->conn)
		settle_initiate(op);
	else if (op->kind == HOST_OP_TERMINATE && op->root)
		settle_terminate(op);
	if (op->done)
		op->done(op);
	free(op);
}

static void start(struct host_op *op)
{
	int err = build(op);

	op->started = true;
	if (err) {
		op->tcp.list.Status = NDIS_STATUS_RESOURCES;
		op->completed = true;
	} else if (!op->root) {
		op->completed = true;
	} else {
		call_down(op); /* may complete before it returns */
	}
}

void host_ops_run(struct host_adapter *adapter)
{
	if (adapter->ops_running)
		return; /* a completion inside the loop below */
	adapter->ops_running = true;
	while (adapter->ops) {
		struct host_op *op = adapter->ops;

		if (!op->started)
			start(op);
		if (!op->completed)
			break;
		finish(op);
	}
	adapter->ops_running = false;
}

void host_op_completed(struct host_adapter *adapter, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	struct host_op *op = root->ProtocolReserved[0];

	op->completed = true;
	host_ops_run(adapter);
}

static struct host_op *op_new(struct host_adapter *adapter, enum host_op_kind kind,
			      void (*done)(struct host_op *op))
{
	struct host_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->kind = kind;
	op->adapter = adapter;
	op->done = done;
	*adapter->ops_tail = op;
	adapter->ops_tail = &op->next;
	return op;
}

int host_op_submit(struct host_conn *conn, enum host_op_kind kind, void (*done)(struct host_op *op),
		   void *ctx)
{
	struct host_op *op = op_new(conn->adapter, kind, done);

	if (!op)
		return -ENOMEM;
	op->conn = conn;
	op->ctx = ctx;
	host_ops_run(conn->adapter);
	return 0;
}

int host_op_submit_cached(struct host_conn *conn, bool restart, void (*done)(struct host_op *op))
{
	struct host_op *op = op_new(conn->adapter, HOST_OP_UPDATE, done);

	if (!op)
		return -ENOMEM;
	op->conn = conn;
	op->restart = restart;
	host_ops_run(conn->adapter);
	return 0;
}

/* Both objects, where there are any, live until the operation is over. */
static int submit_objects(struct host_adapter *adapter, enum host_op_kind kind,
			  struct host_path *path, struct host_neighbor *neighbor,
			  void (*done)(struct host_op *op))
{
	struct host_op *op = op_new(adapter, kind, done);

	if (!op)
		return -ENOMEM;
	op->path_object = path;
	op->neighbor_object = neighbor;
	if (path)
		path->refs++;
	if (neighbor)
		neighbor->refs++;
	host_ops_run(adapter);
	return 0;
}

int host_op_submit_path(struct host_path *path, void (*done)(struct host_op *op))
{
	return submit_objects(path->adapter, HOST_OP_UPDATE, path, NULL, done);
}

int host_op_submit_neighbor(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
{
	return submit_objects(neighbor->adapter, HOST_OP_UPDATE, NULL, neighbor, done);
}

int host_op_submit_new_neighbor(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
{
	return submit_objects(neighbor->adapter, HOST_OP_INITIATE, NULL, neighbor, done);
}

int host_op_submit_ask_neighbor(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
{
	return submit_objects(neighbor->adapter, HOST_OP_QUERY, NULL, neighbor, done);
}

int host_op_submit_invalidate(struct host_neighbor *neighbor, void (*done)(struct host_op *op))
{
	return submit_objects(neighbor->adapter, HOST_OP_INVALIDATE, NULL, neighbor, done);
}

int host_op_submit_relink(struct host_path *path, struct host_neighbor *to,
			  void (*done)(struct host_op *op))
{
	return submit_objects(path->adapter, HOST_OP_UPDATE, path, to, done);
}

/* ---- neighbors and paths ---- */

static struct host_neighbor *neighbor_get(struct host_adapter *adapter,
					  const struct host_nl_neigh *neigh)
{
	struct host_neighbor *n;

	for (n = adapter->neighbors; n; n = n->next)
		if (memcmp(&n->addr, &neigh->addr, sizeof(n->addr)) == 0)
			return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->adapter = adapter;
	n->addr = neigh->addr;
	memcpy(n->mac, neigh->mac, sizeof(n->mac));
	n->next = adapter->neighbors;
	adapter->neighbors = n;
	return n;
}

struct host_neighbor *host_neighbor_get(struct host_adapter *adapter,
					const struct host_nl_neigh *neigh)
{
	struct host_neighbor *neighbor = neighbor_get(adapter, neigh);

	if (neighbor)
		neighbor->refs++;
	return neighbor;
}

static bool path_is(const struct host_path *path, const struct steer_flow *flow)
{
	size_t len = flow->family == AF_INET ? 4 : 16;

	return path->family == flow->family && memcmp(path->local, flow->local, len) == 0 &&
	       memcmp(path->remote, flow->remote, len) == 0;
}

static void neighbor_free(struct host_neighbor *neighbor)
{
	struct host_neighbor **at = &neighbor->adapter->neighbors;

	while (*at != neighbor)
		at = &(*at)->next;
	*at = neighbor->next;
	free(neighbor);
}

static void path_free(struct host_path *path)
{
	struct host_path **at = &path->adapter->paths;
	struct host_neighbor *neighbor = path->neighbor;

	while (*at != path)
		at = &(*at)->next;
	*at = path->next;
	free(path);
	if (--neighbor->refs == 0 && !is_down(&neighbor->handle))
		neighbor_free(neighbor);
}

int host_path_get(struct host_adapter *adapter, const struct steer_flow *flow,
		  const struct host_nl_route *route, const struct host_nl_neigh *neigh,
		  struct host_path **out)
{
	struct host_path *path;

	for (path = adapter->paths; path; path = path->next)
		if (path_is(path, flow))
			break;
	if (!path) {
		path = calloc(1, sizeof(*path));
		if (!path)
			return -ENOMEM;
		path->adapter = adapter;
		path->family = flow->family;
		memcpy(path->local, flow->local, sizeof(path->local));
		memcpy(path->remote, flow->remote, sizeof(path->remote));
		path->mtu_bytes = route->mtu_bytes;
		path->neighbor = host_neighbor_get(adapter, neigh);
		if (!path->neighbor) {
			free(path);
			return -ENOMEM;
		}
		path->next = adapter->paths;
		adapter->paths = path;
	}
	path->refs++;
	*out = path;
	return 0;
}

static void neighbor_alone_done(struct host_op *op)
{
	if (op->neighbor_object->refs == 0 && !is_down(&op->neighbor_object->handle))
		neighbor_free(op->neighbor_object);
}

/* An update was the last to hold it: the path that went meanwhile has left it at the target. */
void host_neighbor_put(struct host_neighbor *neighbor)
{
	struct host_op *op;

	if (--neighbor->refs > 0)
		return;
	if (!is_down(&neighbor->handle)) {
		neighbor_free(neighbor);
		return;
	}
	op = op_new(neighbor->adapter, HOST_OP_TERMINATE, neighbor_alone_done);
	if (!op)
		return; /* it stays for the next path to it */
	op->neighbor_object = neighbor;
	host_ops_run(neighbor->adapter);
}

/* A terminate of a path alone is over: its neighbor went with it, or has other paths. */
static void alone_done(struct host_op *op)
{
	if (op->path_object->refs == 0 && !is_down(&op->path_object->handle))
		path_free(op->path_object);
}

void host_path_put(struct host_path *path)
{
	struct host_op *op;

	if (--path->refs > 0)
		return;
	if (!is_down(&path->handle) &&
	    (path->neighbor->refs > 1 || !is_down(&path->neighbor->handle))) {
		path_free(path);
		return;
	}
	op = op_new(path->adapter, HOST_OP_TERMINATE, alone_done);
	if (!op)
		return; /* it stays for the next connection of this path */
	op->path_object = path;
	host_ops_run(path->adapter);
}
