/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tm.h - target-min: a small and slow, but correct TCP chimney offload target.
 *
 * It is written to be read and copied by those who write a target. IPv4 only, no SACK, no VLAN, one
 * segment in flight, data in order only. README.md says what to read first.
 *
 * Everything runs in the thread that owns the adapter. What is called from above (MiniportXxx) and
 * what comes from the wire changes our own state and sets adapter->work; only tm_run() calls up. So
 * no call up is ever inside another one of the same connection, and nothing needs a lock.
 */
#ifndef TM_H
#define TM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chimney/nic.h>
#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <ndis/ndisstatus.h>

#define TM_CONNS_MAX     64u
#define TM_PATHS_MAX     64u
#define TM_NEIGHBORS_MAX 64u
#define TM_WINDOW_MAX    (16u << 20) /* bytes of receive buffer of one connection */
#define TM_FRAME_MAX     65536u
#define TM_TICKS_STOPPED 0xFFFFFFFFu /* a TimeoutDelta that does not run */

/* ---- objects: what MiniportOffloadContext points at ------------------------------------------ */

enum tm_kind { TM_NEIGHBOR, TM_PATH, TM_CONN };

struct tm_object {
	enum tm_kind kind;
	bool invalid;         /* the host said so: nothing is sent through it any more */
	bool leaving;         /* named by the terminate under way */
	unsigned int users;   /* objects that depend on it */
	unsigned int leavers; /* of those, how many the terminate under way takes along */
	struct tm_object *next_gone;
};

struct tm_neighbor {
	struct tm_object object; /* first, also in the two below */
	uint8_t mac[6];
	uint64_t progress_us; /* when a connection last got something through */
};

struct tm_path {
	struct tm_object object;
	struct tm_neighbor *neighbor;
	uint8_t local[4], remote[4];
	uint32_t mtu_bytes;
};

/* A chain of NET_BUFFER_LISTs by their Next members. */
struct tm_chain {
	NET_BUFFER_LIST *head, *tail;
};

struct tm_conn {
	struct tm_object object;
	struct tm_adapter *adapter;
	struct tm_path *path;
	struct tm_conn *next;
	NDIS_HANDLE handle; /* NdisOffloadHandle: names the connection in indications */
	/* The interface's own structures are our state, too. */
	TCP_OFFLOAD_STATE_CONST constant;
	TCP_OFFLOAD_STATE_CACHED cached;
	TCP_OFFLOAD_STATE_DELEGATED d; /* without its timers, TsTime and chains: those are below */
	bool live;                     /* the completion of its initiate has returned */
	bool stopped;                  /* asked back or terminating: neither sends nor receives */
	bool aborted;

	/* Sending: data from SndUna on, then perhaps a FIN. */
	struct tm_chain sends;
	NET_BUFFER_LIST *disconnect; /* the last list of sends, when it is a disconnect request */
	uint32_t send_bytes;         /* not acknowledged, in sends */
	bool fin, fin_acked;         /* to be sent behind the data */
	bool forced;     /* the timer allows a segment that the window does not invite */
	bool last_timed; /* the segment in flight was sent once: its RTT counts */
	uint64_t sent_us, rto_at_us; /* 0: not running; so all ..._at_us */
	uint32_t srtt_us, rttvar_us;
	struct tm_chain done;             /* acknowledged, to be completed */
	NET_BUFFER_LIST *disconnect_done; /* with its Status set */
	NET_BUFFER_LIST *abort_request;   /* an abortive disconnect */

	/* Receiving: bytes in order that the host has not taken. */
	uint8_t *rx;
	uint32_t rx_size, rx_bytes;
	uint32_t rx_pushed; /* so many of them are in front of the last PSH */
	struct tm_chain posts, forwards;
	bool push_due; /* the push timer has fired */
	bool held;     /* refused or handed over: waits for a request */
	bool fin_received, fin_told;
	bool ack_now;
	unsigned int unacked;
	uint64_t ack_at_us, push_at_us;

	/* Timestamps and keepalive. */
	uint64_t started_us, ts_recent_us, ka_at_us;

	ULONG event_reason; /* TcpIndicateRetrieve waits to be told; 0: no */
	bool abort_event;
};

struct tm_adapter {
	NDIS_HANDLE miniport;
	struct chimney_nic *nic;
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS up; /* copied */
	NDIS_HANDLE pool;                   /* lists of indications */
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params;
	PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST ops, ops_tail; /* linked by MiniportReserved[0] */
	struct tm_conn *conns;
	unsigned int conn_count, path_count, neighbor_count;
	unsigned int lists_out; /* indicated, not returned */
	bool pausing;
	bool work;         /* run() is wanted at once */
	uint64_t retry_us; /* the nic had no room; 0: it had */
	uint64_t now_us;
	uint16_t ip_id;
	uint8_t frame[TM_FRAME_MAX];
};

/* ---- tm_state.c: the five operations --------------------------------------------------------- */

extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS tm_generic_handlers;

/* tm_ops_run() - carry out what was asked for, one after another, and complete it. */
void tm_ops_run(struct tm_adapter *a);

/* ---- tm_data.c: requests, delivery, events --------------------------------------------------- */

extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tm_tcp_handlers;

void tm_chain_add(struct tm_chain *chain, NET_BUFFER_LIST *list);
NET_BUFFER_LIST *tm_chain_take(struct tm_chain *chain);
uint32_t tm_list_bytes(const NET_BUFFER_LIST *nbl);
/* tm_list_read() - bytes of a list from offset on. Returns: how many there were. */
uint32_t tm_list_read(const NET_BUFFER_LIST *nbl, uint32_t offset, uint8_t *to, uint32_t bytes);

/* tm_sends_acked() - the peer has so many more bytes of the queue. */
void tm_sends_acked(struct tm_conn *conn, uint32_t bytes);
/* tm_disconnect_end() - the disconnect request is over; the connection's turn tells the host. */
void tm_disconnect_end(struct tm_conn *conn, NDIS_STATUS status);
/* tm_requests_end() - complete all that does not travel with the state, before a terminate is. */
void tm_requests_end(struct tm_conn *conn);
/* tm_conn_run() - everything that calls up for one connection: completions, delivery, events. */
void tm_conn_run(struct tm_conn *conn);
/* tm_indication() - a list of our own over a copy of the first bytes received. NULL: no memory. */
NET_BUFFER_LIST *tm_indication(struct tm_conn *conn, uint32_t bytes);
/* tm_ask_back() - stop, and have the host told that it should take the connection. */
void tm_ask_back(struct tm_conn *conn, TCP_UPLOAD_REASON reason);

/* ---- tm_tcp.c: segments and timers ----------------------------------------------------------- */

void tm_frame(struct tm_adapter *a, const uint8_t *frame, uint32_t bytes);
/* tm_segment() - one TCP segment of a connection, from its header on, checksum known to be good. */
void tm_segment(struct tm_conn *conn, const uint8_t *tcp, uint32_t bytes);
/* tm_output() - send what may be sent now, an ACK that is due included. */
void tm_output(struct tm_conn *conn);
void tm_send_ack(struct tm_conn *conn);
void tm_send_reset(struct tm_conn *conn);
/* tm_window_open() - the host took bytes: the window may grow. */
void tm_window_open(struct tm_conn *conn);
void tm_timers(struct tm_conn *conn);
uint64_t tm_deadline(const struct tm_conn *conn);
uint32_t tm_timestamp(const struct tm_conn *conn);
void tm_keepalive_restart(struct tm_conn *conn);

static inline uint64_t tm_ticks_us(const struct tm_adapter *a, uint64_t ticks)
{
	return ticks * 1000000u / a->params.TicksPerSecond;
}

static inline uint32_t tm_us_ticks(const struct tm_adapter *a, uint64_t us)
{
	uint64_t ticks = us * a->params.TicksPerSecond / 1000000u;

	return ticks > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)ticks;
}

#endif
