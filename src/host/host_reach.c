/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_reach.c - is a neighbor still there? The target sees acknowledgments, the kernel has the
 * neighbor cache entry (NCE); what one of them knows the other is told.
 *
 *	query, NCE reachable ---> answer: how long ago (HRD); done
 *	query, NCE stale -------> answer 0; timer ---> ask the target for its NRD
 *	                                                |-- smaller than before: progress; the NCE
 *	                                                |   is confirmed, HRD follows
 *	                                                `-- not: the kernel probes by unicast, ARP
 *	                                                    or Neighbor Solicitation
 *	probes unanswered ------> NUD_FAILED: invalidate (host_watch.c, host_relink.c)
 *
 * Time comes as an argument, so that nobody has to wait for it.
 */
#include "host/host_int.h"

#include <linux/neighbour.h>

#include "base/log.h"

static int nce_get(const struct host_neighbor *neighbor, struct host_nl_neigh *now)
{
	const struct host_adapter *adapter = neighbor->adapter;

	return host_nl_neigh_get(adapter->host->nl, adapter->config.ifindex, &neighbor->addr, now);
}

static void probe(const struct host_neighbor *neighbor)
{
	const struct host_adapter *adapter = neighbor->adapter;

	if (host_nl_neigh_probe(adapter->host->nl, adapter->config.ifindex, &neighbor->addr) < 0)
		log_debug("a neighbor cannot be probed");
}

static void confirm(struct host_neighbor *neighbor, uint32_t nrd_ticks, uint64_t now_us)
{
	const struct host_adapter *adapter = neighbor->adapter;
	uint64_t ago_us = (uint64_t)nrd_ticks * 1000000u / HOST_TICKS_PER_S;

	neighbor->confirmed_us = now_us > ago_us ? now_us - ago_us : 0;
	if (host_nl_neigh_confirm(adapter->host->nl, adapter->config.ifindex, &neighbor->addr,
				  neighbor->mac) < 0)
		log_debug("the kernel does not take the confirmation of a neighbor");
}

uint32_t host_reach_hrd_ticks(const struct host_neighbor *neighbor, uint64_t now_us)
{
	uint64_t own_ms = (now_us - neighbor->confirmed_us) / 1000u;
	struct host_nl_neigh now;

	if (nce_get(neighbor, &now) < 0)
		return 0;
	if (neighbor->confirmed_us && now_us >= neighbor->confirmed_us &&
	    own_ms < now.confirmed_age_ms)
		now.confirmed_age_ms = (uint32_t)own_ms;
	return now.confirmed_age_ms * HOST_TICKS_PER_S / 1000u;
}

/* ---- asked by the target ---- */

static void due(struct loop_timer *timer)
{
	struct host_adapter *adapter =
		(struct host_adapter *)((char *)timer - offsetof(struct host_adapter, reach_timer));

	host_reach_due(adapter, loop_now_us(adapter->host->config.loop));
}

static void set_timer(struct host_adapter *adapter)
{
	uint64_t next_us = UINT64_MAX;

	for (const struct host_neighbor *n = adapter->neighbors; n; n = n->next)
		if (n->reach_due_us && n->reach_due_us < next_us)
			next_us = n->reach_due_us;
	adapter->reach_timer.fn = due;
	if (next_us == UINT64_MAX)
		loop_timer_cancel(adapter->host->config.loop, &adapter->reach_timer);
	else
		loop_timer_set(adapter->host->config.loop, &adapter->reach_timer, next_us);
}

uint32_t host_reach_query(struct host_neighbor *neighbor, uint32_t nrd_ticks, uint64_t now_us)
{
	struct host_nl_neigh now;
	uint32_t hrd_ticks;

	if (nce_get(neighbor, &now) == 0 && (now.state & (NUD_REACHABLE | NUD_PERMANENT))) {
		hrd_ticks = host_reach_hrd_ticks(neighbor, now_us);
		return hrd_ticks ? hrd_ticks : 1;
	}
	neighbor->asked_nrd_ticks = nrd_ticks;
	neighbor->reach_due_us = now_us + HOST_REACH_DELAY_US;
	set_timer(neighbor->adapter);
	return 0;
}

void host_reach_doubt(struct host_neighbor *neighbor)
{
	probe(neighbor);
}

/* ---- asking the target ---- */

static bool told_nrd(struct host_op *op, uint32_t *ticks)
{
	const NEIGHBOR_OFFLOAD_STATE_DELEGATED *d = (const void *)op->neighbor.state;

	*ticks = d->NicReachabilityDelta;
	return op->root && op->neighbor.list.Status == NDIS_STATUS_SUCCESS;
}

static void judge_progress(struct host_op *op)
{
	struct host_neighbor *neighbor = op->neighbor_object;
	uint32_t nrd_ticks;

	if (told_nrd(op, &nrd_ticks) && nrd_ticks < neighbor->asked_nrd_ticks)
		confirm(neighbor, nrd_ticks, loop_now_us(op->adapter->host->config.loop));
	else if (op->root)
		probe(neighbor);
	host_neighbor_put(neighbor);
}

void host_reach_due(struct host_adapter *adapter, uint64_t now_us)
{
	struct host_neighbor *next;

	for (struct host_neighbor *n = adapter->neighbors; n; n = next) {
		next = n->next;
		if (!n->reach_due_us || now_us < n->reach_due_us)
			continue;
		n->reach_due_us = 0;
		if (host_op_submit_ask_neighbor(n, judge_progress) < 0)
			probe(n);
	}
	set_timer(adapter);
}

/* ---- before the host sends ---- */

/* What the target confirmed since the entry has been in DELAY spares the probe. */
static void judge_delay(struct host_op *op)
{
	struct host_neighbor *neighbor = op->neighbor_object;
	struct host_nl_neigh now;
	uint32_t nrd_ticks;

	if (told_nrd(op, &nrd_ticks) && nce_get(neighbor, &now) == 0 && (now.state & NUD_DELAY)) {
		if ((uint64_t)nrd_ticks * 1000u / HOST_TICKS_PER_S < now.updated_age_ms)
			confirm(neighbor, nrd_ticks, loop_now_us(op->adapter->host->config.loop));
		else
			probe(neighbor);
	}
	host_neighbor_put(neighbor);
}

void host_reach_before_send(struct host_neighbor *neighbor)
{
	struct host_nl_neigh now;

	if (nce_get(neighbor, &now) < 0 || !(now.state & NUD_DELAY))
		return;
	if (host_op_submit_ask_neighbor(neighbor, judge_delay) < 0)
		log_debug("no memory to ask for a neighbor");
}
