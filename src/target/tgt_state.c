/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_state.h"

#include <errno.h>
#include <ndis/chimneyext.h>
#include <string.h>

#define US_PER_S 1000000u

static uint32_t saturate32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* Rounds up, so that nothing fires early; never reads as "not running". */
static uint32_t left_to_ticks(const struct tgt_adapter *a, int64_t left_us)
{
	uint64_t tick_us = US_PER_S / a->params.ticks_per_second;

	if (left_us < 0)
		return TGT_TICKS_STOPPED;
	return tgt_us_to_ticks(a, (uint64_t)left_us + tick_us - 1);
}

static int64_t left_from_ticks(const struct tgt_adapter *a, uint32_t ticks)
{
	return ticks == TGT_TICKS_STOPPED ? TGT_LEFT_NONE : (int64_t)tgt_ticks_to_us(a, ticks);
}

/* Scaled round-trip values: a sample below one tick is not "no sample". */
static uint16_t rtt_to_ticks(const struct tgt_adapter *a, uint32_t scaled_us)
{
	uint64_t ticks =
		((uint64_t)scaled_us * a->params.ticks_per_second + US_PER_S / 2) / US_PER_S;

	if (!ticks && scaled_us)
		return 1;
	return ticks > UINT16_MAX ? UINT16_MAX : (uint16_t)ticks;
}

static uint32_t rtt_from_ticks(const struct tgt_adapter *a, uint16_t scaled_ticks)
{
	return saturate32(tgt_ticks_to_us(a, scaled_ticks));
}

/* ---- TCP ---- */

void tgt_const_from_ddi(struct tgt_conn *conn, const TCP_OFFLOAD_STATE_CONST *from)
{
	bool scaled = from->Flags & TCP_FLAG_WINDOW_SCALING_ENABLED;

	conn->options &= ~(uint32_t)(TGT_OPT_TIMESTAMP | TGT_OPT_SACK | TGT_OPT_ECN);
	if (from->Flags & TCP_FLAG_TIMESTAMP_ENABLED)
		conn->options |= TGT_OPT_TIMESTAMP;
	if (from->Flags & TCP_FLAG_SACK_ENABLED)
		conn->options |= TGT_OPT_SACK;
	if (from->Flags & TCP_FLAG_ECN_ENABLED)
		conn->options |= TGT_OPT_ECN;
	conn->snd_wscale = scaled ? from->SndWindScale : 0;
	conn->rcv_wscale = scaled ? from->RcvWindScale : 0;
	conn->scaling = scaled;
	conn->local_port_be = from->LocalPort;
	conn->remote_port_be = from->RemotePort;
	conn->remote_mss = from->RemoteMss;
	conn->hash_value = from->HashValue;
}

void tgt_const_to_ddi(const struct tgt_conn *conn, TCP_OFFLOAD_STATE_CONST *to)
{
	to->Flags = 0;
	if (conn->options & TGT_OPT_TIMESTAMP)
		to->Flags |= TCP_FLAG_TIMESTAMP_ENABLED;
	if (conn->options & TGT_OPT_SACK)
		to->Flags |= TCP_FLAG_SACK_ENABLED;
	if (conn->options & TGT_OPT_ECN)
		to->Flags |= TCP_FLAG_ECN_ENABLED;
	if (conn->scaling)
		to->Flags |= TCP_FLAG_WINDOW_SCALING_ENABLED;
	to->SndWindScale = conn->snd_wscale & 15;
	to->RcvWindScale = conn->rcv_wscale & 15;
	to->LocalPort = conn->local_port_be;
	to->RemotePort = conn->remote_port_be;
	to->RemoteMss = conn->remote_mss;
	to->HashValue = conn->hash_value;
}

static uint64_t max_rt_from_ticks(const struct tgt_adapter *a, uint32_t ticks)
{
	return ticks == UINT32_MAX ? UINT64_MAX : tgt_ticks_to_us(a, ticks);
}

void tgt_cached_from_ddi(const struct tgt_adapter *a, struct tgt_conn *conn,
			 const TCP_OFFLOAD_STATE_CACHED *from)
{
	conn->options &= ~(uint32_t)(TGT_OPT_NAGLE | TGT_OPT_KEEPALIVE | TGT_OPT_CORK);
	if (from->Flags & TCP_FLAG_NAGLING_ENABLED)
		conn->options |= TGT_OPT_NAGLE;
	if (from->Flags & TCP_FLAG_KEEP_ALIVE_ENABLED)
		conn->options |= TGT_OPT_KEEPALIVE;
	if (from->Flags & TCP_FLAG_CORK_ENABLED)
		conn->options |= TGT_OPT_CORK;
	conn->rcv_buf_bytes = from->InitialRcvWnd;
	conn->rcv_indication_bytes = from->RcvIndicationSize;
	conn->ka_probe_max = from->KaProbeCount;
	conn->ka_idle_us = tgt_ticks_to_us(a, from->KaTimeout);
	conn->ka_interval_us = tgt_ticks_to_us(a, from->KaInterval);
	conn->max_rt_us = max_rt_from_ticks(a, from->MaxRT);
	conn->flow_label = from->FlowLabel;
	conn->ttl = from->TtlOrHopLimit;
	conn->tos = from->TosOrTrafficClass;
	conn->user_priority = from->UserPriority;
}

void tgt_cached_to_ddi(const struct tgt_adapter *a, const struct tgt_conn *conn,
		       TCP_OFFLOAD_STATE_CACHED *to)
{
	to->Flags = 0;
	if (conn->options & TGT_OPT_NAGLE)
		to->Flags |= TCP_FLAG_NAGLING_ENABLED;
	if (conn->options & TGT_OPT_KEEPALIVE)
		to->Flags |= TCP_FLAG_KEEP_ALIVE_ENABLED;
	if (conn->options & TGT_OPT_CORK)
		to->Flags |= TCP_FLAG_CORK_ENABLED;
	to->InitialRcvWnd = conn->rcv_buf_bytes;
	to->RcvIndicationSize = conn->rcv_indication_bytes;
	to->KaProbeCount = conn->ka_probe_max;
	to->KaTimeout = tgt_us_to_ticks(a, conn->ka_idle_us);
	to->KaInterval = tgt_us_to_ticks(a, conn->ka_interval_us);
	to->MaxRT =
		conn->max_rt_us == UINT64_MAX ? UINT32_MAX : tgt_us_to_ticks(a, conn->max_rt_us);
	to->FlowLabel = conn->flow_label & 0xfffffu;
	to->TtlOrHopLimit = conn->ttl;
	to->TosOrTrafficClass = conn->tos;
	to->UserPriority = conn->user_priority & 7;
}

/* Both directions of the state names; index is enum tgt_state. */
static const TCP_OFFLOAD_CONNECTION_STATE tcp_states[TGT_STATES] = {
	[TGT_CLOSED] = TcpConnectionClosed,        [TGT_ESTABLISHED] = TcpConnectionEstablished,
	[TGT_FIN_WAIT_1] = TcpConnectionFinWait1,  [TGT_FIN_WAIT_2] = TcpConnectionFinWait2,
	[TGT_CLOSE_WAIT] = TcpConnectionCloseWait, [TGT_CLOSING] = TcpConnectionClosing,
	[TGT_LAST_ACK] = TcpConnectionLastAck,     [TGT_TIME_WAIT] = TcpConnectionTimeWait,
};

TCP_OFFLOAD_CONNECTION_STATE tgt_tcp_state_to_ddi(uint8_t state)
{
	return tcp_states[state];
}

static int state_from_ddi(TCP_OFFLOAD_CONNECTION_STATE from, uint8_t *state)
{
	for (uint8_t s = TGT_ESTABLISHED; s < TGT_TIME_WAIT; s++) {
		if (tcp_states[s] == from) {
			*state = s;
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * TsRecent may be unknown at hand-over: then the first acceptable segment sets it (no PAWS before).
 */
static void timestamps_from_ddi(const struct tgt_adapter *a, struct tgt_conn *conn,
				const TCP_OFFLOAD_STATE_DELEGATED *from)
{
	uint64_t age_us = tgt_ticks_to_us(a, from->TsRecentAge);
	bool unknown = !from->TsRecent && (from->TsRecentAge == TGT_TICKS_STOPPED ||
					   age_us >= TGT_TS_RECENT_MAX_AGE_US);

	conn->ts_delta_ticks = from->TsTime - tgt_clock_ticks(a);
	conn->ts_recent = from->TsRecent;
	conn->ts_recent_us = a->now_us - age_us;
	conn->flags &= ~(uint32_t)TGT_CF_TS_VALID;
	if (!unknown)
		conn->flags |= TGT_CF_TS_VALID;
}

static void timestamps_to_ddi(const struct tgt_adapter *a, const struct tgt_conn *conn,
			      TCP_OFFLOAD_STATE_DELEGATED *to)
{
	bool known = conn->flags & TGT_CF_TS_VALID;

	to->TsTime = tgt_clock_ticks(a) + conn->ts_delta_ticks;
	to->TsRecent = known ? conn->ts_recent : 0;
	to->TsRecentAge =
		known ? tgt_us_to_ticks(a, a->now_us - conn->ts_recent_us) : TGT_TICKS_STOPPED;
}

int tgt_delegated_from_ddi(const struct tgt_adapter *a, struct tgt_conn *conn,
			   const TCP_OFFLOAD_STATE_DELEGATED *from)
{
	int err = state_from_ddi(from->State, &conn->state);

	if (err)
		return err;
	conn->rcv_nxt = from->RcvNxt;
	conn->rcv_adv = from->RcvNxt + from->RcvWnd;
	conn->rcv_acked = from->RcvNxt;
	conn->snd_una = from->SndUna;
	conn->snd_nxt = from->SndNxt;
	conn->snd_max = from->SndMax;
	conn->snd_wnd_bytes = from->SndWnd;
	conn->max_snd_wnd_bytes = from->MaxSndWnd;
	conn->snd_wl1 = from->SendWL1;
	conn->snd_wl2 = from->SndUna;
	conn->cwnd_bytes = from->CWnd;
	conn->ssthresh_bytes = from->SsThresh;
	conn->srtt_us8 = rtt_from_ticks(a, from->SRtt);
	conn->rttvar_us4 = rtt_from_ticks(a, from->RttVar);
	conn->total_rt_us = tgt_ticks_to_us(a, from->TotalRT);
	conn->dup_acks = from->DupAckCount;
	conn->wnd_probes = from->SndWndProbeCount;
	conn->ka_probes = from->KeepAlive.ProbeCount;
	conn->ka_left_us = left_from_ticks(a, from->KeepAlive.TimeoutDelta);
	conn->rexmt_count = from->Retransmit.Count;
	conn->rexmt_left_us = left_from_ticks(a, from->Retransmit.TimeoutDelta);
	conn->dwnd = from->Header.Length > TGT_DELEGATED_BYTES_6_0 ? from->DWnd : 0;
	timestamps_from_ddi(a, conn, from);
	return 0;
}

void tgt_delegated_to_ddi(const struct tgt_adapter *a, const struct tgt_conn *conn,
			  TCP_OFFLOAD_STATE_DELEGATED *to)
{
	to->State = tgt_tcp_state_to_ddi(conn->state);
	to->Flags = 0;
	to->RcvNxt = conn->rcv_nxt;
	to->RcvWnd = seq_gt(conn->rcv_adv, conn->rcv_nxt) ? conn->rcv_adv - conn->rcv_nxt : 0;
	to->SndUna = conn->snd_una;
	to->SndNxt = conn->snd_nxt;
	to->SndMax = conn->snd_max;
	to->SndWnd = conn->snd_wnd_bytes;
	to->MaxSndWnd = conn->max_snd_wnd_bytes;
	to->SendWL1 = conn->snd_wl1;
	to->CWnd = conn->cwnd_bytes;
	to->SsThresh = conn->ssthresh_bytes;
	to->SRtt = rtt_to_ticks(a, conn->srtt_us8);
	to->RttVar = rtt_to_ticks(a, conn->rttvar_us4);
	to->TotalRT = tgt_us_to_ticks(a, conn->total_rt_us);
	to->DupAckCount = conn->dup_acks;
	to->SndWndProbeCount = conn->wnd_probes;
	to->KeepAlive.ProbeCount = conn->ka_probes;
	to->KeepAlive.TimeoutDelta = left_to_ticks(a, conn->ka_left_us);
	to->Retransmit.Count = conn->rexmt_count;
	to->Retransmit.TimeoutDelta = left_to_ticks(a, conn->rexmt_left_us);
	if (to->Header.Length > TGT_DELEGATED_BYTES_6_0)
		to->DWnd = conn->dwnd;
	timestamps_to_ddi(a, conn, to);
}

/* ---- path and neighbor ---- */

void tgt_path_const_from_ddi(struct tgt_path *path, bool v6, const PATH_OFFLOAD_STATE_CONST *from)
{
	size_t bytes = v6 ? 16 : 4;

	path->v6 = v6;
	memset(path->local, 0, sizeof(path->local));
	memset(path->remote, 0, sizeof(path->remote));
	memcpy(path->local, from->SourceAddress, bytes);
	memcpy(path->remote, from->DestinationAddress, bytes);
}

void tgt_path_const_to_ddi(const struct tgt_path *path, PATH_OFFLOAD_STATE_CONST *to)
{
	to->SourceAddress = path->local;
	to->DestinationAddress = path->remote;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

void tgt_neighbor_const_from_ddi(struct tgt_neighbor *n, const uint8_t interface_mac[6],
				 const NEIGHBOR_OFFLOAD_STATE_CONST *from)
{
	n->configured_mac = !all_zero(from->DlSourceAddress, sizeof(from->DlSourceAddress));
	memcpy(n->source_mac, n->configured_mac ? from->DlSourceAddress : interface_mac, 6);
	n->vlan_id = from->VlanId;
}

void tgt_neighbor_const_to_ddi(const struct tgt_neighbor *n, NEIGHBOR_OFFLOAD_STATE_CONST *to)
{
	memset(to->DlSourceAddress, 0, sizeof(to->DlSourceAddress));
	if (n->configured_mac)
		memcpy(to->DlSourceAddress, n->source_mac, 6);
	to->VlanId = n->vlan_id & 0xfffu;
}

void tgt_neighbor_cached_to_ddi(const struct tgt_adapter *a, const struct tgt_neighbor *n,
				NEIGHBOR_OFFLOAD_STATE_CACHED *to)
{
	memset(to->DlDestinationAddress, 0, sizeof(to->DlDestinationAddress));
	memcpy(to->DlDestinationAddress, n->destination_mac, 6);
	to->HostReachabilityDelta = tgt_clock_ticks(a) - n->hrt_ticks;
}

void tgt_neighbor_delegated_to_ddi(const struct tgt_adapter *a, const struct tgt_neighbor *n,
				   NEIGHBOR_OFFLOAD_STATE_DELEGATED *to)
{
	to->NicReachabilityDelta = tgt_clock_ticks(a) - n->nrt_ticks;
}

/* ---- where the states of a block are ---- */

/*
 * One row per layer: its first Type (const) and the least lengths; cached, delegated and "all
 * three" follow.
 */
static const struct layer_rule {
	enum tgt_layer layer;
	UCHAR type_const, type_all;
	bool v6;
	uint32_t bytes[3];
} layer_rules[] = {
	{ TGT_LAYER_NEIGHBOR,
	  NeighborOffloadConstState,
	  NeighborOffloadState,
	  false,
	  { sizeof(NEIGHBOR_OFFLOAD_STATE_CONST), sizeof(NEIGHBOR_OFFLOAD_STATE_CACHED),
	    sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED) } },
	{ TGT_LAYER_PATH,
	  Ip4OffloadConstState,
	  Ip4OffloadState,
	  false,
	  { sizeof(PATH_OFFLOAD_STATE_CONST), sizeof(PATH_OFFLOAD_STATE_CACHED),
	    sizeof(PATH_OFFLOAD_STATE_DELEGATED) } },
	{ TGT_LAYER_PATH,
	  Ip6OffloadConstState,
	  Ip6OffloadState,
	  true,
	  { sizeof(PATH_OFFLOAD_STATE_CONST), sizeof(PATH_OFFLOAD_STATE_CACHED),
	    sizeof(PATH_OFFLOAD_STATE_DELEGATED) } },
	{ TGT_LAYER_TCP,
	  TcpOffloadConstState,
	  TcpOffloadState,
	  false,
	  { sizeof(TCP_OFFLOAD_STATE_CONST), sizeof(TCP_OFFLOAD_STATE_CACHED),
	    TGT_DELEGATED_BYTES_6_0 } },
};

static const struct layer_rule *rule_of(UCHAR type)
{
	for (size_t i = 0; i < sizeof(layer_rules) / sizeof(layer_rules[0]); i++) {
		const struct layer_rule *r = &layer_rules[i];

		if ((type >= r->type_const && type < r->type_const + 3) || type == r->type_all)
			return r;
	}
	return NULL;
}

enum tgt_layer tgt_block_layer(UCHAR type, bool *v6)
{
	const struct layer_rule *r = rule_of(type);

	*v6 = r && r->v6;
	return r ? r->layer : TGT_LAYER_NONE;
}

bool tgt_block_states(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block, struct tgt_block_states *states)
{
	const struct layer_rule *r = rule_of(block->Header.Type);
	void **out[3] = { &states->constant, &states->cached, &states->delegated };
	OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(block);

	*states = (struct tgt_block_states){ 0 };
	if (!r)
		return false;
	for (unsigned int i = 0; i < 3; i++) {
		if (block->Header.Type != r->type_all && block->Header.Type != r->type_const + i)
			continue;
		if (state->Length < r->bytes[i])
			return false;
		*out[i] = state;
		state = NdisOffloadNextState(state);
	}
	return true;
}
