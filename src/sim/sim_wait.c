/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that reach the host's own stack: held during a hand-over, answered after the end as
 * TIME_WAIT does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/nrt_status.h"
#include "base/be.h"
#include "sim/sim_sock.h"

enum { TAG_BYTES = 4 };

/* A frame that waits for its connection to be somewhere, or is being forwarded. */
struct sim_held {
	struct sim_sock *sock;
	struct sim_held *next;
	struct nic_rx_frame frame;
	NET_BUFFER_LIST *nbl; /* set while forwarded */
	MDL *mdl;
	uint8_t data[];
};

static void held_free(struct sim_held *held)
{
	if (held->nbl)
		NdisFreeNetBufferList(held->nbl);
	if (held->mdl)
		NdisFreeMdl(held->mdl);
	free(held);
}

void sim_held_free(struct sim_sock *sock)
{
	while (sock->held) {
		struct sim_held *held = sock->held;

		sock->held = held->next;
		held_free(held);
	}
	sock->held_tail = &sock->held;
}

void sim_hold_frame(struct sim_sock *sock, const struct nic_rx_frame *frame)
{
	struct sim_held *held = calloc(1, sizeof(*held) + frame->len + TAG_BYTES);

	if (!held) {
		sim_world_fail(sock->world, "no memory to hold a frame");
		return;
	}
	held->sock = sock;
	held->frame = *frame;
	memcpy(held->data, frame->data, frame->len);
	held->frame.data = held->data;
	*sock->held_tail = held;
	sock->held_tail = &held->next;
	sock->world->counts.held++;
}

/* One TCP segment without its IP header (FWD-02, FWD-03). */
static void forward(struct sim_held *held)
{
	struct sim_sock *sock = held->sock;
	NDIS_HANDLE pool = sim_host_nbl_pool(sock->world->host);
	struct nic_sim_view view;
	uint32_t len;

	if (!nic_sim_view(held->data, held->frame.len, &view)) {
		held_free(held);
		return;
	}
	len = (uint32_t)(view.payload - view.l4) + view.payload_len;
	held->mdl = NdisAllocateMdl(pool, held->data + view.l4, len);
	if (held->mdl)
		held->nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, held->mdl, 0, len);
	if (!held->nbl) {
		sim_world_fail(sock->world, "no memory to forward a segment");
		held_free(held);
		return;
	}
	held->nbl->ProtocolReserved[0] = held;
	sock->world->counts.forwarded++;
	sock->forwards++;
	if (NdisOffloadTcpForward(&sock->handle, held->nbl) != NDIS_STATUS_PENDING)
		sim_world_fail(sock->world, "NdisOffloadTcpForward did not pend");
}

void sim_forward_complete(NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *nbl = chain;
		struct sim_held *held = nbl->ProtocolReserved[0];
		NDIS_STATUS status = NET_BUFFER_LIST_STATUS(nbl);

		chain = NET_BUFFER_LIST_NEXT_NBL(nbl);
		held->sock->forwards--;
		if (status == NDIS_STATUS_UPLOAD_IN_PROGRESS)
			sim_hold_frame(held->sock,
				       &held->frame); /* the host processes it itself afterwards */
		else if (status != NDIS_STATUS_SUCCESS && status != NDIS_STATUS_REQUEST_ABORTED)
			sim_world_fail(held->sock->world, "forward completed with %s",
				       nrt_status_name(status));
		held_free(held);
	}
}

/* A frame that came up without its tag gets it again before it goes back to the wire. */
static void retag(const struct sim_world *world, struct sim_held *held)
{
	if (!world->config.vlan || (held->data[12] == 0x81 && held->data[13] == 0))
		return;
	memmove(held->data + 12 + TAG_BYTES, held->data + 12, held->frame.len - 12);
	be_put16(held->data + 12, 0x8100);
	be_put16(held->data + 14, world->config.vlan_id);
	held->frame.len += TAG_BYTES;
}

static void inject(struct sim_held *held)
{
	struct sim_binding *binding = held->sock->at;

	retag(binding->world, held);
	if (nic_sim_inject(binding->nic, &held->frame) != 0)
		sim_world_fail(binding->world, "no memory to inject a frame");
	binding->world->counts.injected++;
	held_free(held);
}

void sim_held_release(struct sim_sock *sock)
{
	struct sim_held *list = sock->held, *held;
	/*
	 * To the target only by forwarding; the kernel may get a frame as if it had come from the
	 * wire.
	 */
	bool by_wire = sock->at->place != SIM_TARGET && sock->move.by_wire;

	sock->held = NULL;
	sock->held_tail = &sock->held;
	while (list) {
		held = list;
		list = held->next;
		held->next = NULL;
		if (by_wire)
			inject(held);
		else
			forward(held);
	}
}

/* Such a datagram is the host's to look at; the segment in it is forwarded (NSP-05). */
static bool has_ip_options(const struct nic_sim_view *view)
{
	return view->ip_version == 4 && view->l4 - view->l3 > 20;
}

void sim_sock_hold_or_pass(struct sim_sock *sock, struct sim_binding *from,
			   const struct nic_rx_frame *frame, const struct nic_sim_view *view)
{
	switch (sock->phase) {
	case SIM_NEW:
	case SIM_STARTING:
	case SIM_STOPPING:
	case SIM_MOVING:
		sim_hold_frame(sock, frame);
		break;
	case SIM_LIVE:
		if (from == sock->at && !has_ip_options(view)) {
			/* the target does not want it: in a real host the kernel decides */
			sock->world->counts.strays++;
			break;
		}
		sim_hold_frame(sock, frame);
		sim_held_release(sock);
		break;
	case SIM_ENDED:
		sim_wait_frame(sock, view);
		break;
	}
}

/* The end of a connection. */

/* EtherType, with a tag in front when everything is in a VLAN. Returns: bytes of the header. */
static uint32_t build_l2(const struct sim_world *world, uint8_t *frame, enum sim_family family)
{
	const struct sim_config *config = &world->config;
	uint32_t at = 12;

	if (config->vlan) {
		be_put16(frame + at, 0x8100);
		be_put16(frame + at + 2, (uint32_t)config->vlan_priority << 13 | config->vlan_id);
		at += 4;
	}
	be_put16(frame + at, family == SIM_V4 ? 0x0800 : 0x86dd);
	return at + 2;
}

static uint32_t build_ip(const struct sim_sock *sock, uint8_t *frame, uint32_t tcp_bytes)
{
	const struct sim_binding *from = sock->at;
	const struct sim_binding *to =
		&sock->world->bindings[from->place == SIM_PEER ? SIM_KERNEL : SIM_PEER];
	enum sim_family family = sock->conn->family;
	uint32_t l3 = build_l2(sock->world, frame, family);
	uint8_t *ip = frame + l3;

	memcpy(frame, nic_info(to->nic)->mac, 6);
	memcpy(frame + 6, nic_info(from->nic)->mac, 6);
	if (family == SIM_V4) {
		ip[0] = 0x45;
		be_put16(ip + 2, 20 + tcp_bytes);
		be_put16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, from->address[family], 4);
		memcpy(ip + 16, to->address[family], 4);
		return l3 + 20;
	}
	ip[0] = 0x60;
	be_put16(ip + 4, tcp_bytes);
	ip[6] = 6;
	ip[7] = 64;
	memcpy(ip + 8, from->address[family], 16);
	memcpy(ip + 24, to->address[family], 16);
	return l3 + 40;
}

static void send_bare(struct sim_sock *sock, uint8_t flags, tcp_seq seq,
		      const struct nic_sim_view *view)
{
	const TCP_OFFLOAD_STATE_CONST *constant = &sock->state.constant;
	const TCP_OFFLOAD_STATE_DELEGATED *delegated = &sock->state.delegated;
	bool stamps = (constant->Flags & TCP_FLAG_TIMESTAMP_ENABLED) && !(flags & NIC_SIM_RST);
	uint32_t tcp_bytes = stamps ? 32 : 20;
	uint8_t frame[18 + 40 + 32] = { 0 };
	uint32_t l4 = build_ip(sock, frame, tcp_bytes);
	uint8_t *tcp = frame + l4;
	struct iovec iov = { .iov_base = frame, .iov_len = l4 + tcp_bytes };
	struct nic_tx_frame tx = { .iov = &iov,
				   .iov_count = 1,
				   .len = l4 + tcp_bytes,
				   .hdr_len = (uint16_t)(l4 + tcp_bytes) };
	struct nic_sim_view own;

	memcpy(tcp, &constant->LocalPort, 2);
	memcpy(tcp + 2, &constant->RemotePort, 2);
	be_put32(tcp + 4, seq);
	be_put32(tcp + 8, delegated->RcvNxt);
	tcp[12] = (uint8_t)(tcp_bytes / 4 << 4);
	tcp[13] = flags;
	be_put16(tcp + 14, (delegated->RcvWnd >> constant->RcvWindScale) & 0xffff);
	if (stamps) {
		be_put32(tcp + 20, 0x0101080a);
		be_put32(tcp + 24, delegated->TsTime);
		be_put32(tcp + 28, view->has_ts ? view->ts_val : delegated->TsRecent);
	}
	if (nic_sim_view(frame, tx.len, &own))
		nic_sim_csum_fill(frame, &own);
	nic_send(sock->at->nic, &tx, 1);
}

void sim_wait_frame(struct sim_sock *sock, const struct nic_sim_view *view)
{
	const TCP_OFFLOAD_STATE_DELEGATED *delegated = &sock->state.delegated;

	if (view->flags & NIC_SIM_RST)
		return;
	if (sock->aborted &&
	    !sock->reset_by_peer) { /* our RST was lost: the kernel answers strays with another */
		send_bare(sock, NIC_SIM_RST, view->ack, view);
		return;
	}
	/*
	 * RFC 9293 3.10.7.4: in TIME_WAIT a retransmitted FIN is acknowledged again; nothing else
	 * needs an answer.
	 */
	if (delegated->State != TcpConnectionTimeWait ||
	    (!(view->flags & NIC_SIM_FIN) && view->payload_len == 0))
		return;
	sim_state_age(&sock->state, sim_world_now(sock->world));
	sock->world->counts.time_wait_acks++;
	send_bare(sock, NIC_SIM_ACK, delegated->SndNxt, view);
}
