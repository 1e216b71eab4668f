/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_sim_net.h"

#include <stdlib.h>
#include <string.h>

#include "nic/nic_sim_frame.h"

#define NS_PER_US 1000ull
#define NS_PER_S  1000000000ull

static const char *const fate_names[] = {
	[NIC_SIM_SENT] = "sent",           [NIC_SIM_RECEIVED] = "received",
	[NIC_SIM_LOST] = "lost",           [NIC_SIM_MASKED] = "masked",
	[NIC_SIM_RULED] = "ruled",         [NIC_SIM_OVERFLOWED] = "overflowed",
	[NIC_SIM_TOO_BIG] = "too-big",     [NIC_SIM_UNROUTED] = "unrouted",
	[NIC_SIM_CORRUPTED] = "corrupted", [NIC_SIM_DUPLICATED] = "duplicated",
	[NIC_SIM_REORDERED] = "reordered", [NIC_SIM_MARKED] = "marked",
};
_Static_assert(sizeof(fate_names) / sizeof(fate_names[0]) == NIC_SIM_FATES, "one name a fate");

const char *nic_sim_fate_name(enum nic_sim_fate fate)
{
	return fate_names[fate];
}

void nic_sim_net_init(struct nic_sim_net *net, uint64_t seed)
{
	memset(net, 0, sizeof(*net));
	nic_sim_rng_seed(&net->rng, seed);
}

void nic_sim_net_add(struct nic_sim_net *net, struct nic_sim_node *node)
{
	struct nic_sim_node **at = &net->nodes;

	while (*at)
		at = &(*at)->next;
	node->net = net;
	node->next = NULL;
	*at = node;
}

void nic_sim_net_tap(struct nic_sim_net *net, const struct nic_sim_node *node,
		     enum nic_sim_fate fate, const struct nic_sim_packet *packet)
{
	if (net->tap)
		net->tap(net->tap_ctx, node, fate, packet);
}

uint64_t nic_sim_net_next(const struct nic_sim_net *net)
{
	const struct nic_sim_node *node;
	uint64_t next_us = NIC_SIM_NEVER;

	for (node = net->nodes; node; node = node->next) {
		uint64_t at_us = node->next_run_at(node);

		if (at_us < next_us)
			next_us = at_us;
	}
	return next_us;
}

void nic_sim_net_run(struct nic_sim_net *net, uint64_t now_us)
{
	struct nic_sim_node *node;

	if (now_us > net->now_us)
		net->now_us = now_us;
	/* A node can hand a packet to one that ran before it, so go round until nobody is due. */
	while (nic_sim_net_next(net) <= net->now_us) {
		for (node = net->nodes; node; node = node->next) {
			if (node->next_run_at(node) <= net->now_us)
				node->run(node);
		}
	}
}

struct nic_sim_packet *nic_sim_packet_new(struct nic_sim_net *net, uint32_t len)
{
	struct nic_sim_packet *packet = malloc(sizeof(*packet) + len);

	if (!packet)
		return NULL;
	memset(packet, 0, sizeof(*packet));
	packet->len = len;
	packet->serial = net->serial++;
	return packet;
}

struct nic_sim_packet *nic_sim_packet_copy(struct nic_sim_net *net,
					   const struct nic_sim_packet *packet)
{
	struct nic_sim_packet *copy = nic_sim_packet_new(net, packet->len);

	if (!copy)
		return NULL;
	copy->gso_size = packet->gso_size;
	copy->gso_type = packet->gso_type;
	memcpy(copy->data, packet->data, packet->len);
	return copy;
}

void nic_sim_packet_free(struct nic_sim_packet *packet)
{
	free(packet);
}

/* Links. */

static void link_fate(struct nic_sim_link *link, enum nic_sim_fate fate,
		      const struct nic_sim_packet *packet)
{
	link->stats.fates[fate]++;
	nic_sim_net_tap(link->node.net, &link->node, fate, packet);
}

static void link_enqueue(struct nic_sim_link *link, struct nic_sim_packet *packet)
{
	struct nic_sim_packet **at = &link->head;

	if (link->tail && link->tail->due_us <= packet->due_us)
		at = &link->tail->next; /* the usual case: behind everything else */
	while (*at && (*at)->due_us <= packet->due_us)
		at = &(*at)->next;
	packet->next = *at;
	*at = packet;
	if (!packet->next)
		link->tail = packet;
}

static bool link_masked(const struct nic_sim_link *link)
{
	uint64_t number = link->stats.packets - 1;

	return link->params.drop_mask_bits > 0 &&
	       (link->params.drop_mask >> (number % link->params.drop_mask_bits) & 1);
}

/* Bytes that wait for the sender, from the time it still needs for them. */
static uint64_t link_backlog_bytes(const struct nic_sim_link *link)
{
	uint64_t now_ns = link->node.net->now_us * NS_PER_US;

	if (link->busy_until_ns <= now_ns || link->params.bits_per_s == 0)
		return 0;
	return (uint64_t)((unsigned __int128)(link->busy_until_ns - now_ns) *
			  link->params.bits_per_s / 8 / NS_PER_S);
}

/* When the last bit of the packet arrives at the other end, in whole microseconds, rounded up. */
static uint64_t link_transmit(struct nic_sim_link *link, uint32_t len)
{
	uint64_t now_ns = link->node.net->now_us * NS_PER_US;
	uint64_t start_ns = link->busy_until_ns > now_ns ? link->busy_until_ns : now_ns;

	if (link->params.bits_per_s > 0)
		start_ns += (uint64_t)len * 8 * NS_PER_S / link->params.bits_per_s;
	link->busy_until_ns = start_ns;
	return (start_ns + NS_PER_US - 1) / NS_PER_US + link->params.delay_us;
}

/*
 * Whether the packet is lost on the way; tells the tap why. All random draws are made whatever the
 * outcome.
 */
static bool link_drops(struct nic_sim_link *link, enum nic_sim_verdict verdict,
		       const struct nic_sim_packet *packet)
{
	bool lost = nic_sim_rng_hit(&link->rng, link->params.loss_ppm);

	if (link->params.mtu_bytes > 0 &&
	    packet->len > link->params.mtu_bytes + nic_sim_l2_bytes(packet))
		link_fate(link, NIC_SIM_TOO_BIG, packet);
	else if (verdict == NIC_SIM_DROP)
		link_fate(link, NIC_SIM_RULED, packet);
	else if (link_masked(link))
		link_fate(link, NIC_SIM_MASKED, packet);
	else if (lost)
		link_fate(link, NIC_SIM_LOST, packet);
	else if (link->params.queue_bytes > 0 &&
		 link_backlog_bytes(link) + packet->len > link->params.queue_bytes)
		link_fate(link, NIC_SIM_OVERFLOWED, packet);
	else
		return false;
	return true;
}

/* Flip one bit behind the Ethernet header: a frame for somebody else would only look like loss. */
static void link_corrupt(struct nic_sim_link *link, struct nic_sim_packet *packet)
{
	uint32_t first = nic_sim_l2_bytes(packet);
	uint64_t bit;

	if (packet->len <= first)
		return;
	bit = nic_sim_rng_below(&link->rng, (uint64_t)(packet->len - first) * 8);
	packet->data[first + bit / 8] ^= (uint8_t)(1u << (bit % 8));
	link_fate(link, NIC_SIM_CORRUPTED, packet);
}

static void link_duplicate(struct nic_sim_link *link, const struct nic_sim_packet *packet)
{
	struct nic_sim_packet *copy = nic_sim_packet_copy(link->node.net, packet);

	if (!copy)
		return;
	copy->due_us = packet->due_us + nic_sim_rng_below(&link->rng, link->params.reorder_us + 1);
	link_fate(link, NIC_SIM_DUPLICATED, copy);
	link_enqueue(link, copy);
}

static void link_forward(struct nic_sim_node *node, struct nic_sim_packet *packet)
{
	struct nic_sim_link *link = (struct nic_sim_link *)node;
	const struct nic_sim_link_params *params = &link->params;
	enum nic_sim_verdict verdict =
		params->rule ? params->rule(params->rule_ctx, packet) : NIC_SIM_PASS;
	bool corrupt =
		nic_sim_rng_hit(&link->rng, params->corrupt_ppm) || verdict == NIC_SIM_CORRUPT;
	bool duplicate =
		nic_sim_rng_hit(&link->rng, params->duplicate_ppm) || verdict == NIC_SIM_DUPLICATE;
	bool reorder = nic_sim_rng_hit(&link->rng, params->reorder_ppm) || verdict == NIC_SIM_DELAY;

	link->stats.packets++;
	link->stats.bytes += packet->len;
	if (link_drops(link, verdict, packet)) {
		nic_sim_packet_free(packet);
		return;
	}
	if (params->mark_bytes > 0 && link_backlog_bytes(link) >= params->mark_bytes &&
	    nic_sim_mark_ce(packet))
		link_fate(link, NIC_SIM_MARKED, packet);
	if (corrupt)
		link_corrupt(link, packet);
	packet->due_us = link_transmit(link, packet->len);
	if (duplicate)
		link_duplicate(link, packet);
	if (reorder) {
		packet->due_us += 1 + nic_sim_rng_below(&link->rng, params->reorder_us);
		link_fate(link, NIC_SIM_REORDERED, packet);
	}
	link_enqueue(link, packet);
}

static uint64_t link_next_run_at(const struct nic_sim_node *node)
{
	const struct nic_sim_link *link = (const struct nic_sim_link *)node;

	return link->head ? link->head->due_us : NIC_SIM_NEVER;
}

static void link_run(struct nic_sim_node *node)
{
	struct nic_sim_link *link = (struct nic_sim_link *)node;

	while (link->head && link->head->due_us <= node->net->now_us) {
		struct nic_sim_packet *packet = link->head;

		link->head = packet->next;
		if (!link->head)
			link->tail = NULL;
		packet->next = NULL;
		link->to->forward(link->to, packet);
	}
}

void nic_sim_link_init(struct nic_sim_link *link, struct nic_sim_net *net, const char *name,
		       struct nic_sim_node *to, const struct nic_sim_link_params *params)
{
	memset(link, 0, sizeof(*link));
	link->node.name = name;
	link->node.forward = link_forward;
	link->node.next_run_at = link_next_run_at;
	link->node.run = link_run;
	link->to = to;
	link->params = *params;
	nic_sim_rng_seed(&link->rng, nic_sim_rng_next(&net->rng));
	nic_sim_net_add(net, &link->node);
}

void nic_sim_link_clear(struct nic_sim_link *link)
{
	while (link->head) {
		struct nic_sim_packet *packet = link->head;

		link->head = packet->next;
		nic_sim_packet_free(packet);
	}
	link->tail = NULL;
}

/* Switches. */

static void switch_forward(struct nic_sim_node *node, struct nic_sim_packet *packet)
{
	struct nic_sim_switch *sw = (struct nic_sim_switch *)node;
	struct nic_sim_node *to = sw->route(sw->ctx, packet);

	if (to) {
		to->forward(to, packet);
		return;
	}
	nic_sim_net_tap(node->net, node, NIC_SIM_UNROUTED, packet);
	nic_sim_packet_free(packet);
}

static uint64_t switch_next_run_at(const struct nic_sim_node *node)
{
	(void)node;
	return NIC_SIM_NEVER;
}

static void switch_run(struct nic_sim_node *node)
{
	(void)node;
}

void nic_sim_switch_init(struct nic_sim_switch *sw, struct nic_sim_net *net, const char *name,
			 nic_sim_route_fn *route, void *ctx)
{
	memset(sw, 0, sizeof(*sw));
	sw->node.name = name;
	sw->node.forward = switch_forward;
	sw->node.next_run_at = switch_next_run_at;
	sw->node.run = switch_run;
	sw->route = route;
	sw->ctx = ctx;
	nic_sim_net_add(net, &sw->node);
}
