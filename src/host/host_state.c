/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_state.c - the one place where the host's view of a connection and the state structures of
 * the interface meet.
 *
 * Rules: ports in network order, windows and thresholds in bytes and unscaled, times in ticks of
 * 1 ms, SRtt as eight times and RttVar as four times its value saturating at 16 bits, a timer
 * that does not run as 0xFFFFFFFF, an unknown TsRecent as 0 with age 0xFFFFFFFF. Every state
 * structure starts at the next multiple of 8.
 */
#include "host/host_int.h"

#include <arpa/inet.h>
#include <ndis/chimneyext.h>
#include <string.h>

#include "ndis/nrt_status.h"

static void header(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list, OFFLOAD_STATE_TYPE type)
{
	list->Header.Type = (UCHAR)type;
	list->Header.Revision = NDIS_OBJECT_REVISION_1;
	list->Header.Size = sizeof(*list);
}

/* The next state structure of a block, its length noted; moves *at behind it. */
static void *next_state(uint8_t **at, uint32_t bytes)
{
	OFFLOAD_STATE_HEADER *state = (OFFLOAD_STATE_HEADER *)(void *)*at;

	state->Length = bytes;
	*at += NDIS_OFFLOAD_STATE_ALIGN(bytes);
	return state;
}

void host_state_room(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list, OFFLOAD_STATE_TYPE type,
		     uint32_t bytes)
{
	header(list, type);
	if (bytes)
		NdisOffloadFirstState(list)->Length = bytes;
}

void host_state_neighbor(struct host_neighbor_block *block, const struct host_neighbor *neighbor,
			 uint32_t hrd_ticks)
{
	uint8_t *at = block->state;
	NEIGHBOR_OFFLOAD_STATE_CONST *constant = next_state(&at, sizeof(*constant));
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached = next_state(&at, sizeof(*cached));
	NEIGHBOR_OFFLOAD_STATE_DELEGATED *delegated = next_state(&at, sizeof(*delegated));

	header(&block->list, NeighborOffloadState);
	memcpy(cached->DlDestinationAddress, neighbor->mac, sizeof(neighbor->mac));
	/* equal at the start (EVT-13) */
	cached->HostReachabilityDelta = hrd_ticks;
	delegated->NicReachabilityDelta = hrd_ticks;
}

void host_state_path(struct host_path_block *block, const struct host_path *path)
{
	uint8_t *at = block->state;
	PATH_OFFLOAD_STATE_CONST *constant = next_state(&at, sizeof(*constant));
	PATH_OFFLOAD_STATE_CACHED *cached = next_state(&at, sizeof(*cached));

	next_state(&at, sizeof(PATH_OFFLOAD_STATE_DELEGATED));
	header(&block->list, path->family == AF_INET ? Ip4OffloadState : Ip6OffloadState);
	constant->SourceAddress = path->local;
	constant->DestinationAddress = path->remote;
	cached->PathMtu = path->mtu_bytes;
}

/* ---- TCP, down ---- */

/* Spreads connections; nobody here computes the hash of a network card. */
static uint32_t flow_hash(const struct steer_flow *flow)
{
	const uint8_t *p = (const uint8_t *)flow;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof(*flow); i++)
		hash = (hash ^ p[i]) * 16777619u;
	return hash;
}

static void fill_const(TCP_OFFLOAD_STATE_CONST *to, const struct host_image *image,
		       const struct steer_flow *flow)
{
	if (image->timestamps)
		to->Flags |= TCP_FLAG_TIMESTAMP_ENABLED;
	if (image->sack)
		to->Flags |= TCP_FLAG_SACK_ENABLED;
	if (image->ecn)
		to->Flags |= TCP_FLAG_ECN_ENABLED;
	if (image->wscale) {
		to->Flags |= TCP_FLAG_WINDOW_SCALING_ENABLED;
		to->SndWindScale = image->snd_wscale & 15;
		to->RcvWindScale = image->rcv_wscale & 15;
	}
	to->LocalPort = flow->local_port_be;
	to->RemotePort = flow->remote_port_be;
	to->RemoteMss = image->mss_clamp;
	to->HashValue = flow_hash(flow);
}

/*
 * The kernel's buffer number counts its overhead, so half of it is data. The window that the peer
 * knows must not shrink, and what cannot be expressed with the agreed scale is of no use.
 */
static uint32_t receive_window(const struct host_image *image)
{
	uint32_t bytes = image->rcv_buf_bytes / 2, least,
		 most = 0xFFFFu << (image->wscale ? image->rcv_wscale : 0);

	if (bytes > most)
		bytes = most;
	least = image->rcv_wnd_bytes + (uint32_t)host_block_len(image->rx);
	return bytes > least ? bytes : least;
}

static void fill_cached(TCP_OFFLOAD_STATE_CACHED *to, const struct host_conn *conn)
{
	const struct host_image *image = &conn->image;

	if (image->nagle)
		to->Flags |= TCP_FLAG_NAGLING_ENABLED;
	if (image->keepalive)
		to->Flags |= TCP_FLAG_KEEP_ALIVE_ENABLED;
	if (image->cork && conn->adapter->cork)
		to->Flags |= TCP_FLAG_CORK_ENABLED;
	to->InitialRcvWnd = receive_window(image);
	to->RcvIndicationSize = 0;
	to->KaProbeCount = image->ka_probe_max;
	to->KaTimeout = image->ka_idle_s * HOST_TICKS_PER_S;
	to->KaInterval = image->ka_interval_s * HOST_TICKS_PER_S;
	/* ticks are milliseconds; 0 means the default in both worlds */
	to->MaxRT = image->user_timeout_ms;
	to->FlowLabel = image->flow_label & 0xFFFFFu;
	to->TtlOrHopLimit = image->ttl;
	to->TosOrTrafficClass = image->tos;
	to->UserPriority = image->priority & 7;
}

static uint16_t scaled_ticks(uint64_t us, uint32_t factor)
{
	uint64_t ticks = (us * factor * HOST_TICKS_PER_S + 500000u) / 1000000u;

	if (ticks == 0 && us != 0)
		return 1; /* zero would mean that there is no sample */
	return (uint16_t)(ticks > 0xFFFF ? 0xFFFF : ticks);
}

static const TCP_OFFLOAD_CONNECTION_STATE states[HOST_TCP_STATES] = {
	[HOST_TCP_ESTABLISHED] = TcpConnectionEstablished,
	[HOST_TCP_SYN_SENT] = TcpConnectionSynSent,
	[HOST_TCP_SYN_RECV] = TcpConnectionSynRcvd,
	[HOST_TCP_FIN_WAIT_1] = TcpConnectionFinWait1,
	[HOST_TCP_FIN_WAIT_2] = TcpConnectionFinWait2,
	[HOST_TCP_TIME_WAIT] = TcpConnectionTimeWait,
	[HOST_TCP_CLOSE] = TcpConnectionClosed,
	[HOST_TCP_CLOSE_WAIT] = TcpConnectionCloseWait,
	[HOST_TCP_LAST_ACK] = TcpConnectionLastAck,
	[HOST_TCP_LISTEN] = TcpConnectionListen,
	[HOST_TCP_CLOSING] = TcpConnectionClosing,
};

static void fill_delegated(TCP_OFFLOAD_STATE_DELEGATED *to, const struct host_image *image)
{
	to->State = states[image->state];
	to->RcvNxt = image->rcv_nxt;
	to->RcvWnd = image->rcv_wnd_bytes;
	to->SndUna = image->snd_una;
	to->SndNxt = image->snd_nxt;
	to->SndMax = image->snd_max;
	to->SndWnd = image->snd_wnd_bytes;
	to->MaxSndWnd = image->max_snd_wnd_bytes;
	to->SendWL1 = image->snd_wl1;
	to->CWnd = image->cwnd_bytes;
	to->SsThresh = image->ssthresh_bytes;
	to->SRtt = scaled_ticks(image->srtt_us, 8);
	to->RttVar = scaled_ticks(image->rttvar_us, 4);
	to->TsTime = image->ts_now;
	to->TsRecent = image->ts_recent;
	to->TsRecentAge = image->ts_recent_age_ticks;
	to->TotalRT = image->total_rt_ticks;
	to->DupAckCount = image->dup_acks;
	to->SndWndProbeCount = image->wnd_probes;
	to->KeepAlive.ProbeCount = image->ka_probes;
	to->KeepAlive.TimeoutDelta = image->ka_left_ticks;
	to->Retransmit.Count = image->rexmt_count;
	to->Retransmit.TimeoutDelta = image->rexmt_left_ticks;
	to->DWnd = image->dwnd;
}

void host_state_tcp(struct host_tcp_block *block, const struct host_conn *conn)
{
	uint8_t *at = block->state;
	TCP_OFFLOAD_STATE_CONST *constant = next_state(&at, sizeof(*constant));
	TCP_OFFLOAD_STATE_CACHED *cached = next_state(&at, sizeof(*cached));
	TCP_OFFLOAD_STATE_DELEGATED *delegated = next_state(&at, sizeof(*delegated));

	header(&block->list, TcpOffloadState);
	fill_const(constant, &conn->image, &conn->info.flow);
	fill_cached(cached, conn);
	fill_delegated(delegated, &conn->image);
}

void host_state_tcp_cached(struct host_tcp_block *block, const struct host_conn *conn, bool restart)
{
	TCP_OFFLOAD_STATE_CACHED *cached = (void *)block->state;

	host_state_room(&block->list, TcpOffloadCachedState, sizeof(*cached));
	fill_cached(cached, conn);
	if (restart)
		cached->Flags |= TCP_FLAG_KEEP_ALIVE_RESTART;
}

/* ---- TCP, up ---- */

TCP_OFFLOAD_STATE_DELEGATED *host_state_delegated(struct host_tcp_block *block)
{
	OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(&block->list);

	if (block->list.Header.Type == TcpOffloadState)
		state = NdisOffloadNextState(NdisOffloadNextState(state));
	return (TCP_OFFLOAD_STATE_DELEGATED *)(void *)state;
}

uint8_t host_state_of_ddi(int from)
{
	for (uint8_t s = HOST_TCP_ESTABLISHED; s < HOST_TCP_STATES; s++)
		if ((int)states[s] == from)
			return s;
	return HOST_TCP_CLOSE;
}

void host_state_take(const TCP_OFFLOAD_STATE_DELEGATED *from, struct host_image *image)
{
	image->state = host_state_of_ddi(from->State);
	image->rcv_nxt = from->RcvNxt;
	image->rcv_wnd_bytes = from->RcvWnd;
	image->snd_una = from->SndUna;
	image->snd_nxt = from->SndNxt;
	image->snd_max = from->SndMax;
	image->snd_wnd_bytes = from->SndWnd;
	image->max_snd_wnd_bytes = from->MaxSndWnd;
	image->snd_wl1 = from->SendWL1;
	image->cwnd_bytes = from->CWnd;
	image->ssthresh_bytes = from->SsThresh;
	image->srtt_us = (uint64_t)from->SRtt * 1000000u / HOST_TICKS_PER_S / 8;
	image->rttvar_us = (uint64_t)from->RttVar * 1000000u / HOST_TICKS_PER_S / 4;
	image->ts_now = from->TsTime;
	image->ts_recent = from->TsRecent;
	image->ts_recent_age_ticks = from->TsRecentAge;
	image->total_rt_ticks = from->TotalRT;
	image->dup_acks = from->DupAckCount;
	image->wnd_probes = from->SndWndProbeCount;
	image->ka_probes = from->KeepAlive.ProbeCount;
	image->ka_left_ticks = from->KeepAlive.TimeoutDelta;
	image->rexmt_count = from->Retransmit.Count;
	image->rexmt_left_ticks = from->Retransmit.TimeoutDelta;
	image->dwnd = from->DWnd;
	image->fin_queued = image->state == HOST_TCP_FIN_WAIT_1 ||
			    image->state == HOST_TCP_FIN_WAIT_2 ||
			    image->state == HOST_TCP_CLOSING || image->state == HOST_TCP_LAST_ACK ||
			    image->state == HOST_TCP_TIME_WAIT;
	image->fin_acked =
		image->state == HOST_TCP_FIN_WAIT_2 || image->state == HOST_TCP_TIME_WAIT;
	image->fin_received =
		image->state == HOST_TCP_CLOSE_WAIT || image->state == HOST_TCP_CLOSING ||
		image->state == HOST_TCP_LAST_ACK || image->state == HOST_TCP_TIME_WAIT;
}

/* ---- for people ---- */

const char *host_status_text(NDIS_STATUS status)
{
	static const struct {
		NDIS_STATUS status;
		const char *text;
	} texts[] = {
		{ NDIS_STATUS_SUCCESS, "success" },
		{ NDIS_STATUS_FAILURE, "failure" },
		{ NDIS_STATUS_RESOURCES, "no memory" },
		{ NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS, "offloaded in part" },
		{ NDIS_STATUS_OFFLOAD_TCP_ENTRIES, "no free connection entry" },
		{ NDIS_STATUS_OFFLOAD_PATH_ENTRIES, "no free path entry" },
		{ NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES, "no free neighbor entry" },
		{ NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES, "no free entry for the local address" },
		{ NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES, "no free entry for the source MAC" },
		{ NDIS_STATUS_OFFLOAD_VLAN_ENTRIES, "no free VLAN entry" },
		{ NDIS_STATUS_OFFLOAD_TCP_XMIT_BUFFER, "too few transmit buffers" },
		{ NDIS_STATUS_OFFLOAD_TCP_RCV_BUFFER, "too few receive buffers" },
		{ NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW, "receive window too large" },
		{ NDIS_STATUS_OFFLOAD_VLAN_MISMATCH, "VLAN does not match" },
		{ NDIS_STATUS_OFFLOAD_PATH_MTU, "path MTU too large" },
		{ NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED, "connection judged unsuitable" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "unknown status";
}

static void print_tcp(FILE *out, const struct host_op *op)
{
	const TCP_OFFLOAD_STATE_CONST *c = (const void *)NdisOffloadFirstState(&op->tcp.list);
	const TCP_OFFLOAD_STATE_CACHED *k = (const void *)NdisOffloadNextState(&c->Header);
	const TCP_OFFLOAD_STATE_DELEGATED *d = (const void *)NdisOffloadNextState(&k->Header);

	fprintf(out,
		"      TCP      const      ports %u -> %u  mss %u  scale snd %u rcv %u %s%s%s%s\n",
		ntohs(c->LocalPort), ntohs(c->RemotePort), c->RemoteMss, c->SndWindScale,
		c->RcvWindScale, c->Flags & TCP_FLAG_TIMESTAMP_ENABLED ? " timestamps" : "",
		c->Flags & TCP_FLAG_SACK_ENABLED ? " sack" : "",
		c->Flags & TCP_FLAG_WINDOW_SCALING_ENABLED ? " wscale" : "",
		c->Flags & TCP_FLAG_ECN_ENABLED ? " ecn" : "");
	fprintf(out, "               cached     rcvwnd %u  ttl %u  tos %u%s%s%s\n",
		k->InitialRcvWnd, k->TtlOrHopLimit, k->TosOrTrafficClass,
		k->Flags & TCP_FLAG_NAGLING_ENABLED ? "  nagle" : "",
		k->Flags & TCP_FLAG_CORK_ENABLED ? "  cork" : "",
		k->Flags & TCP_FLAG_KEEP_ALIVE_ENABLED ? "  keepalive" : "");
	fprintf(out,
		"               delegated  %s  rcv nxt %u wnd %u  snd una %u nxt %u max %u wnd "
		"%u\n",
		nrt_tcp_state_name(d->State), d->RcvNxt, d->RcvWnd, d->SndUna, d->SndNxt, d->SndMax,
		d->SndWnd);
	fprintf(out,
		"                          cwnd %u  ssthresh %u  srtt %u/8  rttvar %u/4 ms  tstime "
		"%u\n",
		d->CWnd, d->SsThresh, d->SRtt, d->RttVar, d->TsTime);
}

static void print_addr(FILE *out, const char *what, uint8_t family, const uint8_t *addr)
{
	char text[INET6_ADDRSTRLEN];

	fprintf(out, "%s%s", what, inet_ntop(family, addr, text, sizeof(text)));
}

void host_state_print(FILE *out, const struct host_op *op, const struct host_conn *conn)
{
	const NEIGHBOR_OFFLOAD_STATE_CONST *n =
		(const void *)NdisOffloadFirstState(&op->neighbor.list);
	const NEIGHBOR_OFFLOAD_STATE_CACHED *nc = (const void *)NdisOffloadNextState(&n->Header);
	const struct steer_flow *flow = &conn->info.flow;
	const uint8_t *m;

	if (n->Header.Length) {
		m = nc->DlDestinationAddress;
		fprintf(out,
			"  neighbor     new        %02x:%02x:%02x:%02x:%02x:%02x  reachable %u ms "
			"ago\n",
			m[0], m[1], m[2], m[3], m[4], m[5], nc->HostReachabilityDelta);
	} else {
		fprintf(out, "  neighbor     linker     (offloaded already)\n");
	}
	if (NdisOffloadFirstState(&op->path.list)->Length) {
		const PATH_OFFLOAD_STATE_CONST *p =
			(const void *)NdisOffloadFirstState(&op->path.list);
		const PATH_OFFLOAD_STATE_CACHED *pc =
			(const void *)NdisOffloadNextState(&p->Header);

		print_addr(out, "    path       new        ", flow->family, flow->local);
		print_addr(out, " -> ", flow->family, flow->remote);
		fprintf(out, "  mtu %u\n", pc->PathMtu);
	} else {
		fprintf(out, "    path       linker     (offloaded already)\n");
	}
	print_tcp(out, op);
}
