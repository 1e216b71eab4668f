/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nic/nic_provider.h"

enum {
	MAX_SUPER_BYTES = 65535 + 18,
	LINK_BYTES = 18, /* Ethernet header with a VLAN tag */
	LINE_BYTES = 64,
};

struct pair_frame {
	uint32_t len;
	uint16_t gso_size;
	uint8_t gso_type;
	uint8_t data[] __attribute__((aligned(16)));
};

struct nic_pair;

struct pair_end {
	struct nic nic; /* first: the users' view */
	struct nic_pair *pair;
	struct pair_end *other;
	struct pair_frame **ring; /* frames that wait to be polled here */
	uint32_t head, tail;      /* free-running; head is polled next */
};

struct nic_pair {
	struct pair_end end[2];
	struct pair_frame **spare; /* a stack */
	uint32_t spares;
	uint32_t queue_frames;
	bool no_csum;
	unsigned int open; /* ends that are not closed */
	uint8_t *memory;
};

static void gather(struct pair_frame *to, const struct nic_tx_frame *frame)
{
	uint8_t *at = to->data;

	for (unsigned int i = 0; i < frame->iov_count; i++) {
		memcpy(at, frame->iov[i].iov_base, frame->iov[i].iov_len);
		at += frame->iov[i].iov_len;
	}
	to->len = frame->len;
	to->gso_type = (uint8_t)frame->gso_type;
	to->gso_size = frame->gso_size;
}

static unsigned int pair_send(struct nic *nic, const struct nic_tx_frame *frames,
			      unsigned int count)
{
	struct pair_end *end = (struct pair_end *)nic, *other = end->other;
	struct nic_pair *pair = end->pair;
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct pair_frame *frame;

		if (other->tail - other->head == pair->queue_frames)
			break;
		if (frames[i].len > nic->info.max_frame_bytes) {
			nic->stats.tx_drops++;
			continue;
		}
		frame = pair->spare[--pair->spares];
		gather(frame, &frames[i]);
		other->ring[other->tail++ & (pair->queue_frames - 1)] = frame;
		nic->stats.tx_frames++;
		nic->stats.tx_bytes += frames[i].len;
	}
	return i;
}

static unsigned int pair_poll(struct nic *nic, unsigned int budget)
{
	struct pair_end *end = (struct pair_end *)nic;
	struct nic_pair *pair = end->pair;
	unsigned int done = 0;

	while (done < budget && end->head != end->tail) {
		struct pair_frame *frame = end->ring[end->head++ & (pair->queue_frames - 1)];

		nic_deliver(nic, &(struct nic_rx_frame){
					 .data = frame->data,
					 .len = frame->len,
					 .gso_type = (enum nic_gso)frame->gso_type,
					 .gso_size = frame->gso_size,
					 .csum_trusted = !pair->no_csum,
				 });
		pair->spare[pair->spares++] = frame;
		done++;
	}
	return done;
}

static void pair_free(struct nic_pair *pair)
{
	free(pair->end[0].ring);
	free(pair->end[1].ring);
	free(pair->spare);
	free(pair->memory);
	free(pair);
}

static void pair_close(struct nic *nic)
{
	struct nic_pair *pair = ((struct pair_end *)nic)->pair;

	if (--pair->open == 0)
		pair_free(pair);
}

static const struct nic_ops pair_ops = {
	.send = pair_send,
	.poll = pair_poll,
	.close = pair_close,
};

static void end_init(struct nic_pair *pair, unsigned int index,
		     const struct nic_pair_config *config)
{
	struct pair_end *end = &pair->end[index];

	nic_init(&end->nic, &pair_ops);
	end->nic.info = (struct nic_info){
		.mtu_bytes = config->mtu_bytes,
		.max_frame_bytes = config->tso ? MAX_SUPER_BYTES : config->mtu_bytes + LINK_BYTES,
		.features = (config->no_csum ? 0u : NIC_FEAT_TX_CSUM | NIC_FEAT_RX_CSUM) |
			    (config->tso ? NIC_FEAT_TSO4 | NIC_FEAT_TSO6 : 0u),
		.kind = "pair",
	};
	memcpy(end->nic.info.mac, config->mac[index], sizeof(end->nic.info.mac));
	end->pair = pair;
	end->other = &pair->end[index ^ 1];
}

static int make_frames(struct nic_pair *pair, uint32_t frame_bytes)
{
	size_t slot = (sizeof(struct pair_frame) + frame_bytes + LINE_BYTES - 1) &
		      ~(size_t)(LINE_BYTES - 1);
	uint32_t count = 2 * pair->queue_frames;

	pair->memory = aligned_alloc(LINE_BYTES, slot * count);
	pair->spare = calloc(count, sizeof(struct pair_frame *));
	pair->end[0].ring = calloc(pair->queue_frames, sizeof(struct pair_frame *));
	pair->end[1].ring = calloc(pair->queue_frames, sizeof(struct pair_frame *));
	if (!pair->memory || !pair->spare || !pair->end[0].ring || !pair->end[1].ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		pair->spare[pair->spares++] =
			(struct pair_frame *)(void *)(pair->memory + slot * i);
	return 0;
}

int nic_pair_create(struct nic *out[2], const struct nic_pair_config *config)
{
	struct nic_pair *pair;

	if (config->queue_frames == 0 || (config->queue_frames & (config->queue_frames - 1)) != 0)
		return -EINVAL;
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	pair->queue_frames = config->queue_frames;
	pair->no_csum = config->no_csum;
	pair->open = 2;
	end_init(pair, 0, config);
	end_init(pair, 1, config);
	if (make_frames(pair, pair->end[0].nic.info.max_frame_bytes) != 0) {
		pair_free(pair);
		return -ENOMEM;
	}
	out[0] = &pair->end[0].nic;
	out[1] = &pair->end[1].nic;
	return 0;
}
