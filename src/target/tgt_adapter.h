/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_adapter.h - one offload target: what engine and DDI side share.
 *
 * An adapter belongs to one worker thread; nothing here is locked. The caller sets now_us; no code
 * of this room reads a clock. What has to survive the worker (connections, paths, neighbors, data)
 * is in the arena; everything else here dies with the process. NDIS handles and NET_BUFFER_LIST
 * queues are private to the DDI side (tgt_priv.h), so that the engine compiles without NDIS.
 *
 * Read tgt_conn.c for the theory of operation of a connection, tgt_store.c for the objects above
 * it.
 */
#ifndef TARGET_TGT_ADAPTER_H
#define TARGET_TGT_ADAPTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/seq.h"
#include "nic/nic.h"

struct tgt_cc_ops;
struct tgt_conn_io;
struct tgt_ddi;
struct tgt_flow_table;
struct wheel;

#define TGT_TICKS_STOPPED 0xFFFFFFFFu /* TimeoutDelta of a timer that does not run */
#define TGT_CHUNK_BYTES   4096u       /* size of a data chunk, links included */

/*
 * What the host set with OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, already in the units of the engine.
 * The defaults are those of tgt_params_default().
 */
struct tgt_params {
	uint32_t ticks_per_second;
	uint32_t delayed_ack_us;
	uint32_t sws_us; /* SWS avoidance timer; 0 switches it off */
	uint32_t push_us;
	uint32_t nce_stale_ticks;
	uint32_t dup_ack_threshold; /* duplicate ACKs that start fast retransmit */
	uint8_t ack_frequency;      /* segments received before an ACK is due */
	uint8_t max_retransmissions;
	uint8_t doubt_retransmissions; /* retransmissions before reachability is in doubt; 0: never */
};

/* Sizes and refusals, fixed when the adapter is made. */
struct tgt_limits {
	uint32_t tcp_entries;
	uint32_t path_entries;
	uint32_t neighbor_entries;
	uint32_t ip_addresses;     /* distinct local addresses */
	uint32_t hw_addresses;     /* distinct configured source MACs besides the interface's own */
	uint32_t vlans;            /* distinct non-zero VLAN ids */
	uint32_t rcv_window_bytes; /* largest InitialRcvWnd */
	uint32_t path_mtu_bytes;   /* largest PathMtu */
	uint32_t chunks;           /* data chunks of TGT_CHUNK_BYTES, all connections together */
	uint32_t conn_send_bytes;  /* most send data of one connection kept in the arena */
	uint32_t conn_reasm_bytes; /* most out-of-order data of one connection */
	uint32_t flow_catch_frames; /* caught frames kept for announced connections, all together */
};

/* Counters of OID_TCPx_OFFLOAD_STATS and OID_IPx_OFFLOAD_STATS; one set each for IPv4 and IPv6. */
struct tgt_counters {
	/* IP: counted by tgt_frame */
	uint64_t in_receives, in_octets, in_delivers, out_requests, out_octets;
	uint32_t in_header_errors, in_truncated_packets, in_discards, out_discards, out_no_routes;
	/*
	 * TCP: segments received, sent and resets by tgt_frame; the rest by whoever sees the event
	 */
	uint64_t in_segments, out_segments;
	uint32_t reset_established, retransmitted_segments, in_errors, out_resets;
	/* CurrentlyEstablished is computed from the connections when it is asked for */
};

enum tgt_family { TGT_V4, TGT_V6, TGT_FAMILIES };

/* Why a frame or segment was dropped; drop_reasons.def has name, severity and text. */
enum tgt_drop_reason {
#define TGT_DROP_REASON(name, severity, text) TGT_DROP_##name,
#include "target/drop_reasons.def"
#undef TGT_DROP_REASON
	TGT_DROP_REASONS
};

struct tgt_adapter {
	uint64_t now_us; /* monotonic; set by the caller of tgt_adapter_run() or _set_now() */
	struct nic *nic;
	const struct nic_info *nic_info;
	struct arena *arena;
	unsigned int pool_conn; /* arena pools: "conn", "path", "neighbor", "chunk" */
	unsigned int pool_path;
	unsigned int pool_neighbor;
	unsigned int pool_chunk;
	struct wheel *wheel; /* deadlines of all connections; only tgt_timer touches it */
	struct tgt_params params;
	struct tgt_limits limits;
	uint64_t pace_bytes_per_s;   /* the same; 0: no pacing */
	const struct tgt_cc_ops *cc; /* for connections offloaded from now on */
	struct tgt_counters counters[TGT_FAMILIES];
	uint64_t drops[TGT_DROP_REASONS];
	uint64_t retry_us; /* when the last connection that found the device full tries again */

	uint8_t quick_acks; /* tgt_adapter_config */
	struct tgt_flow_table *flows;
	struct tgt_conn_io
		*io;         /* process-private half of each connection, indexed by tgt_conn.slot */
	struct tgt_ddi *ddi; /* NDIS handles, block lists in work, object tables */
	uint32_t last_owner; /* tgt_conn.owner of the last connection */
	uint16_t ip_id;      /* next IPv4 identification, always 0x8000..0xFFFF */
};

static inline void tgt_drop(struct tgt_adapter *a, enum tgt_drop_reason reason)
{
	a->drops[reason]++;
}

/*
 * Host ticks <-> microseconds. TGT_TICKS_STOPPED is the caller's business. Rounds to the nearest
 * below.
 */
static inline uint64_t tgt_ticks_to_us(const struct tgt_adapter *a, uint32_t ticks)
{
	return (uint64_t)ticks * 1000000u / a->params.ticks_per_second;
}

/* Saturates below TGT_TICKS_STOPPED. */
static inline uint32_t tgt_us_to_ticks(const struct tgt_adapter *a, uint64_t us)
{
	uint64_t ticks = us / 1000000u * a->params.ticks_per_second +
			 us % 1000000u * a->params.ticks_per_second / 1000000u;

	return ticks < TGT_TICKS_STOPPED ? (uint32_t)ticks : TGT_TICKS_STOPPED - 1;
}

/* The target's own clock in host ticks, modulo 2^32: base of timestamps and reachability. */
static inline uint32_t tgt_clock_ticks(const struct tgt_adapter *a)
{
	return (uint32_t)(a->now_us / 1000000u * a->params.ticks_per_second +
			  a->now_us % 1000000u * a->params.ticks_per_second / 1000000u);
}

#endif
