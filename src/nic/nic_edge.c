/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "nic/nic_sim_frame.h"

#define POLL_BATCH  64u
#define KEPT_MAX    512u /* frames of one flow */
#define FRAME_BYTES (14u + 4u + 65535u)
#define TAG_BYTES   4u
#define TAG_AT      12u /* behind the addresses */

struct kept {
	struct kept *next;
	uint32_t bytes;
	uint8_t frame[];
};

struct expected {
	struct nic_edge_flow flow;
	struct kept *frames, **tail;
	unsigned int count;
	struct expected *next;
};

struct nic_edge {
	struct chimney_nic device;
	struct nic *nic;
	const struct chimney_nic_client *client; /* NULL: nobody is attached */
	void *client_context;
	uint64_t now_us;
	struct expected *expected;
	uint8_t frame[FRAME_BYTES]; /* one in the making */
};

/* ---- frames as they are on a wire ---- */

static void hand_over(struct nic_edge *edge, const void *frame, uint32_t bytes)
{
	if (edge->client)
		edge->client->frame(edge->client_context, frame, bytes);
}

/* Headers of one segment, cut at off of the super-frame's payload. */
static void fit_headers(uint8_t *f, const struct nic_sim_view *v, uint32_t off, uint32_t bytes,
			unsigned int number, bool last)
{
	uint8_t *ip = f + v->l3, *tcp = f + v->l4;
	uint32_t tcp_bytes = v->payload - v->l4 + bytes;

	if (v->ip_version == 4) {
		be_put16(ip + 2, v->l4 - v->l3 + tcp_bytes);
		be_put16(ip + 4, be_get16(ip + 4) + number);
	} else {
		be_put16(ip + 4, tcp_bytes);
	}
	be_put32(tcp + 4, v->seq + off);
	if (!last)
		tcp[13] &= (uint8_t) ~(NIC_SIM_FIN | NIC_SIM_PSH);
	if (number)
		tcp[13] &= (uint8_t)~NIC_SIM_CWR;
}

static void cut(struct nic_edge *edge, const uint8_t *frame, uint16_t size,
		const struct nic_sim_view *v)
{
	uint32_t off = 0, bytes;
	unsigned int number = 0;
	struct nic_sim_view own;

	do {
		bytes = v->payload_len - off < size ? v->payload_len - off : size;
		memcpy(edge->frame, frame, v->payload);
		memcpy(edge->frame + v->payload, frame + v->payload + off, bytes);
		fit_headers(edge->frame, v, off, bytes, number++, off + bytes == v->payload_len);
		if (!nic_sim_view(edge->frame, v->payload + bytes, &own))
			return;
		nic_sim_csum_fill(edge->frame, &own);
		hand_over(edge, edge->frame, v->payload + bytes);
		off += bytes;
	} while (off < v->payload_len);
}

/* Room for the tag, and the tag, into a copy. */
static uint32_t put_tag(struct nic_edge *edge, const struct nic_rx_frame *frame)
{
	memcpy(edge->frame, frame->data, TAG_AT);
	be_put16(edge->frame + TAG_AT, 0x8100);
	be_put16(edge->frame + TAG_AT + 2, frame->vlan_tci);
	memcpy(edge->frame + TAG_AT + TAG_BYTES, frame->data + TAG_AT, frame->len - TAG_AT);
	return frame->len + TAG_BYTES;
}

static void receive(void *ctx, const struct nic_rx_frame *frame)
{
	struct nic_edge *edge = ctx;
	struct nic_sim_view v;

	if (frame->len < TAG_AT || frame->len + TAG_BYTES > FRAME_BYTES)
		return;
	if (frame->vlan_present)
		hand_over(edge, edge->frame, put_tag(edge, frame));
	else if (!frame->csum_trusted || !nic_sim_view(frame->data, frame->len, &v))
		hand_over(edge, frame->data, frame->len);
	else
		cut(edge, frame->data, frame->gso_size ? frame->gso_size : UINT16_MAX, &v);
}

/* ---- frames of connections that are being moved ---- */

static bool same_flow(const struct nic_edge_flow *a, const struct nic_edge_flow *b)
{
	size_t bytes = a->v6 ? 16 : 4;

	return a->v6 == b->v6 && a->local_port_be == b->local_port_be &&
	       a->remote_port_be == b->remote_port_be && !memcmp(a->local, b->local, bytes) &&
	       !memcmp(a->remote, b->remote, bytes);
}

static struct expected **find(struct nic_edge *edge, const struct nic_edge_flow *flow)
{
	struct expected **link = &edge->expected;

	while (*link && !same_flow(&(*link)->flow, flow))
		link = &(*link)->next;
	return link;
}

static struct expected *expected_of(struct nic_edge *edge, const uint8_t *frame, uint32_t bytes)
{
	struct nic_edge_flow flow = { .v6 = false };
	struct nic_sim_view v;

	if (!edge->expected || !nic_sim_view(frame, bytes, &v))
		return NULL;
	flow.v6 = v.ip_version == 6;
	memcpy(flow.remote, v.src, flow.v6 ? 16 : 4);
	memcpy(flow.local, v.dst, flow.v6 ? 16 : 4);
	memcpy(&flow.remote_port_be, frame + v.l4, 2);
	memcpy(&flow.local_port_be, frame + v.l4 + 2, 2);
	return *find(edge, &flow);
}

static bool keep(struct expected *e, const uint8_t *frame, uint32_t bytes)
{
	struct kept *kept = e->count < KEPT_MAX ? malloc(sizeof(*kept) + bytes) : NULL;

	if (!kept)
		return false;
	kept->next = NULL;
	kept->bytes = bytes;
	memcpy(kept->frame, frame, bytes);
	*e->tail = kept;
	e->tail = &kept->next;
	e->count++;
	return true;
}

int nic_edge_expect(struct nic_edge *edge, const struct nic_edge_flow *flow)
{
	struct expected *e;

	if (*find(edge, flow))
		return -EEXIST;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->flow = *flow;
	e->tail = &e->frames;
	e->next = edge->expected;
	edge->expected = e;
	return 0;
}

static void release(struct nic_edge *edge, struct expected *e, bool deliver)
{
	struct kept *kept, *next;

	for (kept = e->frames; kept; kept = next) {
		next = kept->next;
		if (deliver)
			hand_over(edge, kept->frame, kept->bytes);
		free(kept);
	}
	free(e);
}

void nic_edge_unexpect(struct nic_edge *edge, const struct nic_edge_flow *flow)
{
	struct expected **link = find(edge, flow), *e = *link;

	if (!e)
		return;
	*link = e->next; /* first: what is passed on once more goes to the host */
	release(edge, e, true);
}

/* ---- what the target sees ---- */

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
	struct expected *e = expected_of(edge, bytes, len);

	if (e && keep(e, bytes, len))
		return 0;
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
	struct expected *e;

	if (!edge)
		return;
	nic_set_rx(edge->nic, NULL, NULL);
	while ((e = edge->expected)) {
		edge->expected = e->next;
		release(edge, e, false);
	}
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
