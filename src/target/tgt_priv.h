/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_priv.h - the process-private half of the target: what NDIS hands us and what we owe it.
 *
 * Only files of the DDI side include this. Life of an object, seen from here:
 *
 *     initiate   slot taken, arena object made, PVOID of the host's handle points here
 *     live       NdisMInitiateOffloadComplete returned: indications and events may be made
 *     stopped    mandatory upload requested, or termination begun: frames are caught, requests
 *                refused
 *     terminate  state written back, completion called, then slot and arena object are given back
 *
 * One rule keeps re-entrance out: a call from above never calls up. It queues, puts the connection
 * on the work list and returns; tgt_adapter_run() does the rest. Calls from above made inside one
 * of our own calls up are no exception.
 */
#ifndef TARGET_TGT_PRIV_H
#define TARGET_TGT_PRIV_H

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <stdbool.h>
#include <stdint.h>

#include "target/tgt_adapter.h"
#include "target/tgt_conn.h"
#include "target/tgt_flow.h"
#include "target/tgt_nblq.h"
#include "target/tgt_store.h"

#define TGT_NO_SLOT           UINT32_MAX
#define TGT_FORWARD_MAX_BYTES 65600u /* TCP header and payload of one forwarded segment */
#define TGT_CONN_MIN_CHUNKS   4u     /* free chunks without which no connection is taken */

enum tgt_object_kind {
	TGT_OBJECT_FREE,
	TGT_OBJECT_NEIGHBOR,
	TGT_OBJECT_PATH,
	TGT_OBJECT_CONN,
};

/*
 * What the PVOID in the host's NDIS_OFFLOAD_HANDLE points to. Address and slot are fixed, the rest
 * is per use.
 */
struct tgt_object {
	enum tgt_object_kind kind;
	uint32_t slot;
	uint32_t next_free;
	uint32_t next_due; /* neighbors that have an event to raise; TGT_NO_SLOT ends the list */
	NDIS_HANDLE ndis_handle; /* NdisOffloadHandle of the block that offloaded it */
	void *state;             /* tgt_neighbor, tgt_path or tgt_conn in the arena */
	uint32_t dependents;     /* paths of a neighbor, connections of a path */
	uint32_t leaving;        /* of these, the ones that the present operation terminates */
	bool due;
	bool terminating;
	bool invalid;
};

struct tgt_object_table {
	struct tgt_object *objects;
	uint32_t count;
	uint32_t used;
	uint32_t free; /* first free slot */
};

/* Things a connection has to tell or do; tgt_conn_io.work. */
enum {
	TGT_WORK_SEND = 1u << 0,
	TGT_WORK_RECEIVE = 1u << 1,
	TGT_WORK_FORWARD = 1u << 2,
	TGT_WORK_EVENT_RETRIEVE = 1u << 3,
	TGT_WORK_EVENT_DISCONNECT = 1u << 4,
	TGT_WORK_EVENT_ABORT = 1u << 5,
	TGT_WORK_EVENT_BACKLOG = 1u << 6,
	TGT_WORK_DISCONNECT = 1u << 7,
	TGT_WORK_GO_LIVE = 1u << 8, /* the completion of its offload has returned by now */
};

struct tgt_send_io {
	struct tgt_nblq queue; /* not completed, in the order of the byte stream */
	uint32_t head_acked;   /* bytes of the first one that the peer acknowledged */
	NET_BUFFER_LIST *feed; /* first one not wholly in the arena; NULL: all are */
	NET_BUFFER *feed_nb;
	struct tgt_nb_cursor feed_at;
	uint32_t feed_left;          /* bytes of feed not yet in the arena */
	NET_BUFFER_LIST *disconnect; /* graceful request, last of the queue */
	NET_BUFFER_LIST *abort;      /* abortive request, not queued */
	uint64_t backlog_told_us;
	uint32_t backlog_told; /* value of the last event or query */
	bool fin_sent;         /* the FIN of the request is in the engine's hands */
	bool fin_acked;
};

struct tgt_deliver_io {
	struct tgt_nblq posts; /* MiniportReserved[1]: bytes in the request */
	uint32_t placed_bytes; /* leading bytes of rcvq that lie in requests not completed yet */
	arena_ref place_chunk; /* where placing goes on; ARENA_NULL: find it from the head */
	uint32_t place_off;
	uint32_t pushed_bytes; /* leading bytes of rcvq up to the last PSH */
	bool held;      /* rcvq was refused or handed over: wait for a post before indicating */
	bool in_engine; /* tgt_deliver_data() is on the stack: the engine looks after the window */
	bool fin;       /* the peer's FIN waits for the application to take everything */
	bool fin_told;
	bool no_nbl; /* nothing to indicate with; goes on when a list comes back */
};

/* Since the offload; nothing in the interface carries these. */
struct tgt_conn_counts {
	uint32_t segments_in, segments_out; /* as on the wire, not super-frames */
	uint32_t data_segments_in, data_segments_out;
	uint32_t retransmitted_segments;
	uint64_t retransmitted_bytes;
};

struct tgt_conn_io {
	struct tgt_object object; /* first member: the host's PVOID */
	struct tgt_tuple tuple;
	struct tgt_conn_counts counts;
	struct tgt_send_io send;
	struct tgt_deliver_io deliver;
	struct tgt_nblq forwards;
	struct tgt_nblq refused_sends, refused_posts; /* to be completed with refusal status */
	uint32_t work;
	uint32_t next_work;
	uint32_t upload_reason; /* of the pending or last retrieve event */
	uint32_t backlog_bytes; /* of the pending backlog event */
	bool on_work_list;
	bool live;
	bool in_call_up;     /* completion or receive indication in progress */
	bool stopped;        /* mandatory upload requested */
	bool upload_offered; /* any upload requested */
	bool aborted;        /* RST received or sent */
	bool corrupt;        /* test hook: state lost */
	bool corrupt_due;    /* an operation failed for it: tell the host after the completion */
	bool corrupt_told;   /* the host knows */
};

/* Status indications that are due; tgt_ddi.status_due. */
enum {
	TGT_STATUS_PAUSE = 1u << 0,
	TGT_STATUS_RESUME = 1u << 1,
	TGT_STATUS_UPLOAD_ALL = 1u << 2,
	TGT_STATUS_LINK = 1u << 3,
};

enum tgt_op_kind {
	TGT_OP_INITIATE,
	TGT_OP_TERMINATE,
	TGT_OP_UPDATE,
	TGT_OP_INVALIDATE,
	TGT_OP_QUERY,
};

/*
 * Block lists in the order of arrival, linked through MiniportReserved[0] of the root; [1] is the
 * kind.
 */
struct tgt_op_queue {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *head, *tail;
};

/* Distinct local IP addresses, source MACs and VLAN ids in use, with their users. */
struct tgt_address_use {
	uint8_t bytes[16];
	uint32_t users;
};

struct tgt_address_table {
	struct tgt_address_use *uses;
	uint32_t size;
};

/* Chunks that one indication can describe: a 64 KiB super-frame with room. */
#define TGT_RX_MDLS 24u

/*
 * One list for chimney indications and BufferedData; NetBufferList->MiniportReserved[0] links free
 * ones.
 */
struct tgt_rx_list {
	NET_BUFFER_LIST *nbl;
	MDL *mdls[TGT_RX_MDLS];
	arena_ref chunks[TGT_RX_MDLS];
	struct tgt_rx_list *next_free;
	uint32_t count; /* chunks held */
	bool out;       /* with the host */
};

struct tgt_ddi {
	char name[64];
	NDIS_HANDLE miniport; /* MiniportAdapterHandle */
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS up;
	struct tgt_adapter *next; /* all adapters of the driver */
	struct tgt_object_table neighbors, paths;
	struct tgt_object_table conns; /* free list only: the objects are in tgt_adapter.io */
	struct tgt_op_queue ops;
	uint32_t work_head, work_tail;
	uint32_t due_neighbors;          /* first slot */
	struct tgt_nbl_chain sends_done; /* completions that leave together */
	uint8_t *gather;                 /* one forwarded segment in one piece */

	NDIS_HANDLE chimney_pool, plain_pool;
	struct tgt_rx_list *rx_lists;
	struct tgt_rx_list *rx_free;
	uint32_t rx_count, rx_out;
	bool rx_starved;            /* a connection waits for a list */
	NET_BUFFER_LIST *plain_nbl; /* one is enough: the host is lent it for the call only */
	MDL *plain_mdl;

	struct tgt_address_table ip_addresses, macs, vlans;
	uint16_t interface_vlans[8]; /* VlanId keyword or OID_GEN_VLAN_ID; none: zero */
	uint32_t interface_vlan_count;

	uint32_t packet_filter;      /* non-zero: a protocol takes plain receives */
	bool offload_v4, offload_v6; /* administrator's setting */
	bool used_v4, used_v6;       /* host's setting: OID_TCP_CONNECTION_OFFLOAD_PARAMETERS */
	bool macs_configurable;
	bool send_backlog;  /* SendBacklog keyword: the host is told how much to keep outstanding */
	bool priority_tags; /* *PriorityVLANTag: UserPriority is put into frames */
	bool drop_corrupt;
	bool running; /* between restart and pause */
	bool halting;
	bool link_up;
	uint32_t status_due;
	bool pause_pending; /* NdisMPauseComplete() is owed when all lists are back */
	bool offload_paused;
	bool upload_all; /* requested and not over */
	uint64_t paused_us;
	NDIS_OID_REQUEST *power_request; /* waits for the last termination */
};

static inline struct tgt_conn_io *tgt_io(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return &a->io[conn->slot];
}

static inline struct tgt_conn *tgt_io_conn(const struct tgt_conn_io *io)
{
	return io->object.state;
}

/* tgt_driver.c: put a connection on the work list. */
void tgt_work_add(struct tgt_adapter *a, struct tgt_conn_io *io, uint32_t work);
void tgt_work_run(struct tgt_adapter *a);

/* tgt_ops.c: state operations in the order of arrival. */
void tgt_ops_queue(struct tgt_adapter *a, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root,
		   enum tgt_op_kind kind);
void tgt_ops_run(struct tgt_adapter *a);
bool tgt_ops_waiting(const struct tgt_adapter *a);
/* When operations kept back run anyway. */
uint64_t tgt_ops_deadline_us(const struct tgt_adapter *a);

/* tgt_store.c: everything that an object uses, and its slot; its dependents are gone. */
void tgt_store_release(struct tgt_adapter *a, struct tgt_object *object);

/* tgt_oid.c (up): a power request that waited for the last termination. */
void tgt_power_check(struct tgt_adapter *a);

/* tgt_stats.c: ESTABLISHED or CLOSE_WAIT connections of an IP version. */
uint32_t tgt_stats_established(const struct tgt_adapter *a, enum tgt_family family);

#endif
