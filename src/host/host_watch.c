/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_watch.c - what the kernel learns of links, neighbors and routes becomes updates of
 * offloaded state.
 *
 * A changed MAC of a neighbor is an update of its cached destination address (UPD-07), a changed
 * path MTU one of PathMtu (UPD-08). Another next hop moves paths
 * there (host_relink.c), a neighbor that failed is invalidated. A route that leaves this link takes
 * connections up: the kernel knows best what to do with them. A STALE neighbor that was
 * collected is no failure.
 */
#include "host/host_int.h"

#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"

static void neighbor_updated(struct host_op *op)
{
	struct host_neighbor *neighbor = op->neighbor_object;
	bool failed = op->root && op->neighbor.list.Status != NDIS_STATUS_SUCCESS;

	if (failed) /* UPD-21 */
		for (struct host_path *p = op->adapter->paths; p; p = p->next)
			if (p->neighbor == neighbor)
				host_path_upload(p);
	host_neighbor_put(neighbor);
}

static void check_path(struct host_path *path);

/* Those whose next hop was not known when their route changed. */
static void check_rerouted(struct host_adapter *adapter)
{
	struct host_path *next;

	for (struct host_path *p = adapter->paths; p; p = next) {
		next = p->next;
		if (p->rerouted)
			check_path(p);
	}
}

static void neighbor_failed(struct host_adapter *adapter, const struct host_nl_neigh *now)
{
	for (struct host_neighbor *n = adapter->neighbors; n; n = n->next)
		if (memcmp(&n->addr, &now->addr, sizeof(n->addr)) == 0) {
			host_neighbor_failed(n);
			return;
		}
}

static void neighbor_changed(struct host_adapter *adapter, const struct host_nl_neigh *now)
{
	if (now->ifindex != adapter->config.ifindex)
		return;
	check_rerouted(adapter);
	if (now->state & NUD_FAILED)
		neighbor_failed(adapter, now);
	if (!now->has_mac || (now->state & (NUD_INCOMPLETE | NUD_FAILED)))
		return;
	for (struct host_neighbor *n = adapter->neighbors; n; n = n->next) {
		if (memcmp(&n->addr, &now->addr, sizeof(n->addr)) != 0 ||
		    memcmp(n->mac, now->mac, sizeof(n->mac)) == 0)
			continue;
		memcpy(n->mac, now->mac, sizeof(n->mac));
		/*
		 * While it is being offloaded (UPD-16) the update waits behind that; there is
		 * nothing to do in its turn when it is not at the target.
		 */
		if (host_op_submit_neighbor(n, neighbor_updated) < 0)
			log_warn("no memory to tell the target of a neighbor's new address");
	}
}

static void path_updated(struct host_op *op)
{
	if (op->root && op->path.list.Status != NDIS_STATUS_SUCCESS)
		host_path_upload(op->path_object);
	host_path_put(op->path_object);
}

void host_path_set_mtu(struct host_path *path, uint32_t mtu_bytes)
{
	if (mtu_bytes == path->mtu_bytes)
		return;
	path->mtu_bytes = mtu_bytes;
	if (host_op_submit_path(path, path_updated) < 0)
		log_warn("no memory to tell the target of a new path MTU");
}

/* What a router said counts for some time, as long as it is the smaller value. */
static uint32_t usable_mtu(struct host_path *path, uint32_t route_bytes)
{
	if (path->learned_mtu_bytes &&
	    loop_now_us(path->adapter->host->config.loop) >= path->learned_until_us)
		path->learned_mtu_bytes = 0;
	return path->learned_mtu_bytes && path->learned_mtu_bytes < route_bytes
		       ? path->learned_mtu_bytes
		       : route_bytes;
}

static void check_path(struct host_path *path)
{
	struct steer_flow flow = { .family = path->family };
	const struct host_neighbor *hop;
	struct host_nl_route route;

	memcpy(flow.local, path->local, sizeof(flow.local));
	memcpy(flow.remote, path->remote, sizeof(flow.remote));
	if (host_nl_route_get(path->adapter->host->nl, &flow, 0, &route) < 0 ||
	    route.ifindex != path->adapter->config.ifindex) {
		host_path_upload(path);
		return;
	}
	hop = path->moves_to ? path->moves_to : path->neighbor;
	if (memcmp(&route.next_hop, &hop->addr, sizeof(route.next_hop)) != 0) {
		host_path_reroute(path, &route);
		return;
	}
	path->rerouted = false;
	host_path_set_mtu(path, usable_mtu(path, route.mtu_bytes));
}

void host_watch_recheck(struct host_adapter *adapter)
{
	struct host_path *next;

	for (struct host_path *p = adapter->paths; p; p = next) {
		next = p->next;
		check_path(p);
	}
}

static void event(void *ctx, const struct host_nl_event *event)
{
	struct host_adapter *adapter = ctx;

	switch (event->type) {
	case HOST_NL_NEIGH:
		neighbor_changed(adapter, &event->u.neigh);
		break;
	case HOST_NL_LINK:
		if (event->u.link.ifindex == adapter->config.ifindex)
			host_watch_recheck(adapter);
		break;
	case HOST_NL_ROUTE:
	case HOST_NL_ROUTE_GONE:
	case HOST_NL_OVERRUN:
		host_watch_recheck(adapter);
		break;
	default:
		break;
	}
}

static void readable(struct loop_watch *watch, uint32_t events)
{
	struct host_adapter *adapter =
		(struct host_adapter *)((char *)watch - offsetof(struct host_adapter, nl_watch));

	(void)events;
	if (host_nl_events(adapter->nl, event, adapter) < 0)
		log_debug("network events cannot be read");
}

int host_watch_open(struct host_adapter *adapter)
{
	int err = host_nl_open(&adapter->nl);

	if (err)
		return err;
	adapter->nl_watch =
		(struct loop_watch){ .fn = readable, .fd = host_nl_event_fd(adapter->nl) };
	return loop_watch_set(adapter->host->config.loop, &adapter->nl_watch, EPOLLIN);
}

void host_watch_close(struct host_adapter *adapter)
{
	if (!adapter->nl)
		return;
	loop_unwatch(adapter->host->config.loop, &adapter->nl_watch);
	host_nl_close(adapter->nl);
	adapter->nl = NULL;
}
