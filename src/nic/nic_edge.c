/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POLL_BATCH 64u

struct nic_edge {
	struct chimney_nic device;
	struct nic *nic;
	const struct chimney_nic_client *client; /* NULL: nobody is attached */
	void *client_context;
	uint64_t now_us;
};

static void receive(void *ctx, const struct nic_rx_frame *frame)
{
	struct nic_edge *edge = ctx;

	if (edge->client)
		edge->client->frame(edge->client_context, frame->data, frame->len);
}

static void attach(void *context, const struct chimney_nic_client *client, void *client_context)
{
	struct nic_edge *edge = context;

	edge->client = client;
	edge->client_context = client_context;
	nic_set_rx(edge->nic, client ? receive : NULL, edge);
}

static int send_frame(void *context, const void *bytes, uint32_t len)
{
	struct nic_edge *edge = context;
	const struct iovec iov = { (void *)(uintptr_t)bytes, len };
	const struct nic_tx_frame frame = { .iov = &iov, .iov_count = 1, .len = len };

	return nic_send(edge->nic, &frame, 1) == 1 ? 0 : -EAGAIN;
}

static int indicate(void *context, const void *bytes, uint32_t len)
{
	struct nic_edge *edge = context;
	const struct nic_rx_frame frame = { .data = bytes, .len = len };

	return nic_indicate(edge->nic, &frame);
}

static uint64_t clock_us(void *context)
{
	return ((struct nic_edge *)context)->now_us;
}

int nic_edge_create(struct nic_edge **out, struct nic *nic, uint64_t now_us)
{
	struct nic_edge *edge = calloc(1, sizeof(*edge));

	if (!edge)
		return -ENOMEM;
	edge->nic = nic;
	edge->now_us = now_us;
	edge->device = (struct chimney_nic){
		.version = CHIMNEY_NIC_VERSION,
		.mtu_bytes = nic_info(nic)->mtu_bytes,
		.context = edge,
		.attach = attach,
		.send = send_frame,
		.indicate = indicate,
		.now_us = clock_us,
	};
	memcpy(edge->device.mac, nic_info(nic)->mac, sizeof(edge->device.mac));
	*out = edge;
	return 0;
}

void nic_edge_destroy(struct nic_edge *edge)
{
	if (!edge)
		return;
	nic_set_rx(edge->nic, NULL, NULL);
	free(edge);
}

struct chimney_nic *nic_edge_device(struct nic_edge *edge)
{
	return &edge->device;
}

void nic_edge_set_now(struct nic_edge *edge, uint64_t now_us)
{
	edge->now_us = now_us;
}

void nic_edge_run(struct nic_edge *edge, uint64_t now_us)
{
	edge->now_us = now_us;
	while (nic_poll(edge->nic, POLL_BATCH) == POLL_BATCH)
		;
	if (edge->client)
		edge->client->run(edge->client_context, now_us);
}

uint64_t nic_edge_deadline_us(const struct nic_edge *edge)
{
	return edge->client ? edge->client->deadline_us(edge->client_context) : UINT64_MAX;
}
