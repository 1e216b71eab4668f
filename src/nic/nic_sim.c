/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_sim.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nic/nic_provider.h"
#include "nic/nic_sim_frame.h"

enum {
	MIN_FRAME_BYTES = 60, /* Ethernet pads shorter ones */
	MAX_FRAME_BYTES = 65535 + 18,
	RX_QUEUE_FRAMES = 4096,
};

struct nic_sim {
	struct nic nic;           /* first: the users' view */
	struct nic_sim_node node; /* the network's view */
	struct nic_sim_config config;
	struct nic_sim_node *to;
	struct nic_sim_rng rng;
	struct nic_sim_packet *rx_head, **rx_tail;
	uint32_t rx_count;
	uint64_t oversize;
};

static struct nic_sim *of_node(const struct nic_sim_node *node)
{
	return (struct nic_sim *)((char *)(uintptr_t)node - offsetof(struct nic_sim, node));
}

/* Sending. */

static struct nic_sim_packet *gather(struct nic_sim *sim, const struct nic_tx_frame *frame)
{
	struct nic_sim_packet *packet = nic_sim_packet_new(sim->node.net, frame->len);
	uint32_t at = 0;
	unsigned int i;

	if (!packet)
		return NULL;
	for (i = 0; i < frame->iov_count && at < frame->len; i++) {
		uint32_t part = (uint32_t)frame->iov[i].iov_len;

		if (part > frame->len - at)
			part = frame->len - at;
		memcpy(packet->data + at, frame->iov[i].iov_base, part);
		at += part;
	}
	packet->len = at;
	return packet;
}

static struct nic_sim_packet *pad(struct nic_sim *sim, struct nic_sim_packet *packet)
{
	struct nic_sim_packet *padded;

	if (packet->len >= MIN_FRAME_BYTES)
		return packet;
	padded = nic_sim_packet_new(sim->node.net, MIN_FRAME_BYTES);
	if (padded) {
		memcpy(padded->data, packet->data, packet->len);
		memset(padded->data + packet->len, 0, MIN_FRAME_BYTES - packet->len);
	}
	nic_sim_packet_free(packet);
	return padded;
}

static void put_on_wire(struct nic_sim *sim, struct nic_sim_packet *packet)
{
	packet->next = NULL;
	packet = pad(sim, packet);
	if (!packet)
		return;
	nic_sim_net_tap(sim->node.net, &sim->node, NIC_SIM_SENT, packet);
	sim->to->forward(sim->to, packet);
}

static bool can_cut(const struct nic_sim *sim, const struct nic_tx_frame *frame)
{
	return sim->config.tso && frame->gso_type != NIC_GSO_NONE && frame->gso_size > 0;
}

static void send_one(struct nic_sim *sim, const struct nic_tx_frame *frame)
{
	struct nic_sim_packet *packet = gather(sim, frame), *list;
	struct nic_sim_view view;

	sim->nic.stats.tx_frames++;
	sim->nic.stats.tx_bytes += frame->len;
	if (!packet)
		return;
	if (can_cut(sim, frame)) {
		list = nic_sim_cut(sim->node.net, packet->data, packet->len, frame->gso_size);
		nic_sim_packet_free(packet);
	} else {
		if (frame->csum_partial && nic_sim_view(packet->data, packet->len, &view))
			nic_sim_csum_fill(packet->data, &view);
		list = packet;
	}
	while (list) {
		packet = list;
		list = packet->next;
		if (packet->len - nic_sim_l2_bytes(packet) > sim->config.mtu_bytes) {
			sim->oversize++;
			sim->nic.stats.tx_drops++;
			nic_sim_packet_free(packet);
		} else {
			put_on_wire(sim, packet);
		}
	}
}

static unsigned int sim_send(struct nic *nic, const struct nic_tx_frame *frames, unsigned int count)
{
	struct nic_sim *sim = (struct nic_sim *)nic;
	unsigned int taken = count, i;

	if (nic_sim_rng_hit(&sim->rng, sim->config.tx_refuse_ppm))
		taken = (unsigned int)nic_sim_rng_below(&sim->rng, count);
	for (i = 0; i < taken; i++)
		send_one(sim, &frames[i]);
	return taken;
}

/* Receiving. */

static void enqueue(struct nic_sim *sim, struct nic_sim_packet *packet, uint32_t hold_us)
{
	struct nic_sim_packet **at =
		hold_us < sim->config.rx_hold_us ? &sim->rx_head : sim->rx_tail;

	if (sim->rx_count >= sim->config.rx_queue_frames) {
		sim->nic.stats.rx_drops++;
		nic_sim_packet_free(packet);
		return;
	}
	packet->due_us = sim->node.net->now_us + hold_us;
	while (*at && (*at)->due_us <= packet->due_us)
		at = &(*at)->next;
	packet->next = *at;
	*at = packet;
	if (!packet->next)
		sim->rx_tail = &packet->next;
	sim->rx_count++;
}

static void sim_forward(struct nic_sim_node *node, struct nic_sim_packet *packet)
{
	nic_sim_net_tap(node->net, node, NIC_SIM_RECEIVED, packet);
	enqueue(of_node(node), packet, of_node(node)->config.rx_hold_us);
}

static uint64_t sim_next_run_at(const struct nic_sim_node *node)
{
	(void)node;
	return NIC_SIM_NEVER; /* the owner of the nic polls */
}

static void sim_run(struct nic_sim_node *node)
{
	(void)node;
}

static struct nic_sim_packet *dequeue(struct nic_sim *sim)
{
	struct nic_sim_packet *packet = sim->rx_head;

	sim->rx_head = packet->next;
	if (!sim->rx_head)
		sim->rx_tail = &sim->rx_head;
	sim->rx_count--;
	packet->next = NULL;
	return packet;
}

/* Take the first frame and what directly behind it belongs to the same run of segments. */
static struct nic_sim_packet *dequeue_merged(struct nic_sim *sim)
{
	struct nic_sim_packet *packet = dequeue(sim), *next, *sum;

	while (sim->config.gro && sim->rx_head) {
		next = sim->rx_head->next;
		sum = nic_sim_merge(sim->node.net, packet, sim->rx_head,
				    sim->nic.info.max_frame_bytes);
		if (!sum)
			break;
		packet = sum;
		sim->rx_head = next;
		if (!next)
			sim->rx_tail = &sim->rx_head;
		sim->rx_count--;
	}
	return packet;
}

static unsigned int sim_poll(struct nic *nic, unsigned int budget)
{
	struct nic_sim *sim = (struct nic_sim *)nic;
	unsigned int done = 0;

	while (done < budget && sim->rx_head && nic_sim_rx_due_us(nic) <= sim->node.net->now_us) {
		struct nic_sim_packet *packet = dequeue_merged(sim);
		struct nic_sim_view view;
		struct nic_rx_frame frame = {
			.data = packet->data,
			.len = packet->len,
			.gso_type = packet->gso_type,
			.gso_size = packet->gso_size,
		};

		if (packet->gso_type != NIC_GSO_NONE)
			frame.csum_trusted = true;
		else if (sim->config.rx_csum && nic_sim_view(packet->data, packet->len, &view))
			frame.csum_trusted = nic_sim_csum_ok(packet->data, &view);
		nic_deliver(nic, &frame);
		nic_sim_packet_free(packet);
		done++;
	}
	return done;
}

uint64_t nic_sim_rx_due_us(const struct nic *nic)
{
	const struct nic_sim *sim = (const struct nic_sim *)nic;

	return sim->rx_head ? sim->rx_head->due_us : NIC_SIM_NEVER;
}

static int sim_indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	struct nic_sim *sim = (struct nic_sim *)nic;
	int err = -EOPNOTSUPP;

	if (sim->config.indicate)
		err = sim->config.indicate(sim->config.indicate_ctx, frame);
	if (err)
		nic->stats.rx_drops++;
	return err;
}

int nic_sim_inject(struct nic *nic, const struct nic_rx_frame *frame)
{
	struct nic_sim *sim = (struct nic_sim *)nic;
	struct nic_sim_packet *packet = nic_sim_packet_new(sim->node.net, frame->len);

	if (!packet)
		return -ENOMEM;
	memcpy(packet->data, frame->data, frame->len);
	packet->gso_type = frame->gso_type;
	packet->gso_size = frame->gso_size;
	enqueue(sim, packet, 0);
	return 0;
}

void nic_sim_set_mtu(struct nic *nic, uint32_t mtu_bytes)
{
	struct nic_sim *sim = (struct nic_sim *)nic;

	sim->config.mtu_bytes = mtu_bytes;
	nic->info.mtu_bytes = mtu_bytes;
}

uint64_t nic_sim_oversize(const struct nic *nic)
{
	return ((const struct nic_sim *)nic)->oversize;
}

struct nic_sim_node *nic_sim_node(struct nic *nic)
{
	return &((struct nic_sim *)nic)->node;
}

void nic_sim_connect(struct nic *nic, struct nic_sim_node *to)
{
	((struct nic_sim *)nic)->to = to;
}

static void sim_close(struct nic *nic)
{
	struct nic_sim *sim = (struct nic_sim *)nic;

	while (sim->rx_head)
		nic_sim_packet_free(dequeue(sim));
	free(sim);
}

static const struct nic_ops sim_ops = {
	.send = sim_send,
	.indicate = sim_indicate,
	.poll = sim_poll,
	.close = sim_close,
};

static void fill_info(struct nic_info *info, const struct nic_sim_config *config)
{
	memcpy(info->mac, config->mac, sizeof(info->mac));
	info->mtu_bytes = config->mtu_bytes;
	info->max_frame_bytes =
		config->tso || config->gro ? MAX_FRAME_BYTES : config->mtu_bytes + 18;
	info->features = (config->tx_csum ? NIC_FEAT_TX_CSUM : 0u) |
			 (config->rx_csum ? NIC_FEAT_RX_CSUM : 0u) |
			 (config->tso ? NIC_FEAT_TSO4 | NIC_FEAT_TSO6 : 0u);
	info->kind = "sim";
}

int nic_sim_create(struct nic **out, struct nic_sim_net *net, const struct nic_sim_config *config)
{
	struct nic_sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return -ENOMEM;
	nic_init(&sim->nic, &sim_ops);
	sim->config = *config;
	if (config->rx_queue_frames == 0)
		sim->config.rx_queue_frames = RX_QUEUE_FRAMES;
	fill_info(&sim->nic.info, config);
	sim->rx_tail = &sim->rx_head;
	sim->node.name = config->name;
	sim->node.forward = sim_forward;
	sim->node.next_run_at = sim_next_run_at;
	sim->node.run = sim_run;
	nic_sim_rng_seed(&sim->rng, nic_sim_rng_next(&net->rng));
	nic_sim_net_add(net, &sim->node);
	*out = &sim->nic;
	return 0;
}
