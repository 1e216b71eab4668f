/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_relink.c - another next hop, or one that cannot be reached.
 *
 * A path whose packets have another next hop now is moved under that neighbor at the target: the
 * neighbor goes down first if it is new, an update relinks the path, and the old neighbor is
 * terminated when its last path has left (UPD-06). A neighbor that failed is invalidated, so that
 * the target stops sending at once; then its connections come up, and it goes with the last one.
 */
#include "host/host_int.h"

#include <linux/neighbour.h>

#include "base/log.h"

void host_path_upload(struct host_path *path)
{
	for (struct host_conn *conn = path->adapter->host->conns; conn; conn = conn->next)
		if (conn->path == path)
			host_upload_wanted(conn, UploadRequested);
}

/* ---- another next hop ---- */

static void offered(struct host_op *op)
{
	if (op->root && op->neighbor.list.Status != NDIS_STATUS_SUCCESS)
		log_debug("the target does not take a new next hop: %s",
			  host_status_text(op->neighbor.list.Status));
	host_neighbor_put(op->neighbor_object);
}

static bool relink_succeeded(const struct host_op *op)
{
	if (!op->root) /* nothing is at the target yet: it goes down under the new one */
		return op->path_object->handle.MiniportOffloadContext == NULL;
	return op->neighbor.list.Status == NDIS_STATUS_SUCCESS &&
	       op->path.list.Status == NDIS_STATUS_SUCCESS;
}

static void relinked(struct host_op *op)
{
	struct host_path *path = op->path_object;
	struct host_neighbor *left = op->neighbor_object;

	if (path->moves_to == left)
		path->moves_to = NULL;
	if (relink_succeeded(op)) {
		left = path->neighbor; /* the operation's reference is the path's now */
		path->neighbor = op->neighbor_object;
	} else {
		host_path_upload(path); /* UPD-21 */
	}
	host_neighbor_put(left);
	host_path_put(path);
}

static void move_to(struct host_path *path, struct host_neighbor *to)
{
	path->rerouted = false;
	path->moves_to = to;
	if (host_op_submit_new_neighbor(to, offered) < 0 ||
	    host_op_submit_relink(path, to, relinked) < 0) {
		path->moves_to = NULL;
		host_path_upload(path);
	}
}

static bool is_resolved(const struct host_nl_neigh *neigh)
{
	return neigh->has_mac && !(neigh->state & (NUD_INCOMPLETE | NUD_FAILED));
}

/* The kernel is asked once; its event brings us back here. */
static void resolve(struct host_path *path, const struct host_nl_route *route, bool failed)
{
	struct host_adapter *adapter = path->adapter;
	bool again = path->rerouted;

	path->rerouted = true;
	if (failed && again)
		host_path_upload(path);
	else if (!again && host_nl_neigh_probe(adapter->host->nl, adapter->config.ifindex,
					       &route->next_hop) < 0)
		host_path_upload(path);
}

void host_path_reroute(struct host_path *path, const struct host_nl_route *route)
{
	struct host_adapter *adapter = path->adapter;
	struct host_neighbor *to;
	struct host_nl_neigh now;
	int err = host_nl_neigh_get(adapter->host->nl, adapter->config.ifindex, &route->next_hop,
				    &now);

	if (err || !is_resolved(&now)) {
		resolve(path, route, !err && (now.state & NUD_FAILED));
		return;
	}
	to = host_neighbor_get(adapter, &now);
	if (!to || to->invalid || path->neighbor->invalid) {
		host_path_upload(path);
	} else {
		path->mtu_bytes = route->mtu_bytes;
		move_to(path, to);
	}
	if (to)
		host_neighbor_put(to);
}

/* ---- one that failed ---- */

/* INV-12: also when the target could not do it. */
static void invalidated(struct host_op *op)
{
	struct host_neighbor *neighbor = op->neighbor_object;

	for (struct host_path *p = op->adapter->paths; p; p = p->next)
		if (p->neighbor == neighbor)
			host_path_upload(p);
	host_neighbor_put(neighbor);
}

void host_neighbor_failed(struct host_neighbor *neighbor)
{
	if (neighbor->invalid || !neighbor->handle.MiniportOffloadContext)
		return;
	neighbor->invalid = true;
	if (host_op_submit_invalidate(neighbor, invalidated) < 0)
		log_warn("no memory to tell the target of a neighbor that failed");
}
