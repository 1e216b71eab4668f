/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ddi_env.h - a whole target under the real NDIS runtime, for tests of its DDI side: below it a nic
 * that remembers what was sent and gives what the test queues, above it a protocol driver that
 * writes down every call up.
 *
 *     host (records) -- NDIS runtime -- target, DDI side and engine -- nic (records)
 *
 * One neighbor, path and connection are prepared as blocks that a test may change before it
 * offloads them. Sequence numbers lie near 2^32. After every run the invariants of the target are
 * checked.
 */
#ifndef TESTS_DDI_ENV_H
#define TESTS_DDI_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

#include "ndis/nrt.h"
#include "nic/nic_provider.h"
#include "nic/nic_sim_frame.h"
#include "req.h"
#include "target/tgt_driver.h"
#include "target/tgt_priv.h"

#define DDI_RCV_NXT 0xfffffff0u
#define DDI_SND_UNA 0xffffff80u
#define DDI_WND     65535u
#define DDI_MSS     1460u
#define DDI_CALLS   512
#define DDI_FRAMES  256
#define DDI_BYTES   (1u << 20)

enum ddi_call_kind {
	CALL_INITIATED,
	CALL_TERMINATED,
	CALL_UPDATED,
	CALL_INVALIDATED,
	CALL_QUERIED,
	CALL_SEND_DONE,
	CALL_RECEIVE_DONE,
	CALL_DISCONNECT_DONE,
	CALL_FORWARD_DONE,
	CALL_EVENT,
	CALL_INDICATE,
	CALL_OFFLOAD_EVENT,
	CALL_STATUS,
	CALL_PLAIN_RECEIVE,
	CALL_PLAIN_SENT,
};

/*
 * One call up. For completions of lists there is one record a list; first says that a new call
 * began with it.
 */
struct ddi_call {
	enum ddi_call_kind kind;
	bool first;
	NET_BUFFER_LIST *nbl;
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root;
	NDIS_OFFLOAD_HANDLE *handle;
	NDIS_STATUS status;
	uint32_t bytes; /* transferred, indicated or length of a frame */
	ULONG event, info;
	ULONG hash; /* of an indication */
};

struct ddi_neighbor_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) NEIGHBOR_OFFLOAD_STATE_CONST constant;
	_Alignas(8) NEIGHBOR_OFFLOAD_STATE_CACHED cached;
	_Alignas(8) NEIGHBOR_OFFLOAD_STATE_DELEGATED delegated;
	NDIS_OFFLOAD_HANDLE handle;
};

struct ddi_path_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) PATH_OFFLOAD_STATE_CONST constant;
	_Alignas(8) PATH_OFFLOAD_STATE_CACHED cached;
	_Alignas(8) PATH_OFFLOAD_STATE_DELEGATED delegated;
	NDIS_OFFLOAD_HANDLE handle;
	uint8_t local[16], remote[16];
};

struct ddi_tcp_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	_Alignas(8) TCP_OFFLOAD_STATE_CONST constant;
	_Alignas(8) TCP_OFFLOAD_STATE_CACHED cached;
	_Alignas(8) TCP_OFFLOAD_STATE_DELEGATED delegated;
	NDIS_OFFLOAD_HANDLE handle;
};

enum ddi_taste {
	TASTE_ACCEPT,
	TASTE_REFUSE,
	TASTE_PART,
	TASTE_REFUSE_OTHER
}; /* of receive indications */

struct ddi_frame {
	uint8_t data[2048];
	uint32_t len;
	struct nic_rx_frame meta;
};

struct ddi_nic {
	struct nic nic;
	struct ddi_frame sent[DDI_FRAMES];
	uint32_t sent_count;
	struct ddi_frame queued[DDI_FRAMES];
	uint32_t queued_head, queued_count;
	struct ddi_frame indicated[DDI_FRAMES]; /* by nic_indicate() */
	uint32_t indicated_count;
	bool full; /* takes nothing */
	bool plain_tso;
};

struct ddi_env {
	struct ddi_nic nic;
	NDIS_HANDLE target_driver, protocol_driver, binding;
	NDIS_HANDLE unbind_context; /* of an unbind that waits for the close */
	struct nrt_adapter *adapter;
	struct tgt_adapter *a;
	uint64_t now_us;
	struct ddi_call calls[DDI_CALLS];
	unsigned int call_count;
	enum ddi_taste taste;
	uint32_t taste_bytes; /* TASTE_PART: how much is taken */
	bool keep_lists;      /* accepted indications are given back by ddi_give_back() only */
	NET_BUFFER_LIST *kept;
	uint8_t received[DDI_BYTES]; /* bytes of accepted indications, in order */
	uint32_t received_bytes;
	void (*inside)(struct ddi_env *e, enum ddi_call_kind kind); /* called inside calls up */
	unsigned int depth,
		depth_max;   /* completions and indications of receives inside each other */
	uint32_t answer_hrd; /* to NeighborReachabilityQuery */
	NEIGHBOR_OFFLOAD_STATE_CACHED asked_cached;
	NEIGHBOR_OFFLOAD_STATE_DELEGATED asked_delegated;
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST asked_list;
	NDIS_TCP_CONNECTION_OFFLOAD resumed; /* of the last NDIS_STATUS_OFFLOAD_RESUME */
	struct tgt_adapter_usage usage;
	struct ddi_neighbor_block neighbor;
	struct ddi_path_block path;
	struct ddi_tcp_block tcp;
	bool unchecked;
};

/* ddi_new() - change may alter limits and switches; NULL: roomy defaults. keywords as in nrt.h. */
struct ddi_env *ddi_new(void (*change)(struct tgt_adapter_config *config));
struct ddi_env *ddi_new_keywords(void (*change)(struct tgt_adapter_config *),
				 const struct nrt_keyword *k, size_t n);
void ddi_free(struct ddi_env *e); /* asserts that nothing is left in the target */

/* Blocks: fresh and NULL handles, i.e. new offloads; link the three by ddi_tree(). */
void ddi_neighbor(struct ddi_neighbor_block *b, uint8_t last_byte);
void ddi_path(struct ddi_path_block *b, uint8_t last_byte);
void ddi_path6(struct ddi_path_block *b, uint8_t last_byte);
void ddi_tcp(struct ddi_tcp_block *b, uint16_t remote_port);
void ddi_tree(struct ddi_env *e); /* e->neighbor -> e->path -> e->tcp */

/* Operations run at once; the target completes before these return, which is asserted. */
void ddi_initiate(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
void ddi_terminate(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
void ddi_update(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
void ddi_invalidate(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
void ddi_query(struct ddi_env *e, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root);
/*
 * ddi_offload() - the prepared tree, asserting success; ddi_upload() - all of it back, asserting
 * success.
 */
void ddi_offload(struct ddi_env *e);
void ddi_upload(struct ddi_env *e);

/* A whole test's beginning and end: ddi_new() and ddi_offload(); ddi_upload() and ddi_free(). */
struct ddi_env *ddi_offloaded(void);
void ddi_end(struct ddi_env *e);

/* Time and work */
void ddi_run(struct ddi_env *e);
void ddi_pass(struct ddi_env *e, uint64_t us); /* deadline by deadline */
void ddi_check(struct ddi_env *e);

/* The connection of e->tcp (or b): its private half. */
struct tgt_conn_io *ddi_io(struct ddi_env *e);
struct tgt_conn_io *ddi_io_of(struct ddi_env *e, const struct ddi_tcp_block *b);

/* Lists */
NET_BUFFER_LIST *ddi_list(const void *data, uint32_t len); /* one NET_BUFFER, one MDL; copies */
NET_BUFFER_LIST *ddi_list_pieces(const void *data, uint32_t len, uint32_t piece); /* many MDLs */
NET_BUFFER_LIST *ddi_buffer(uint32_t len); /* zeroed, for receive requests */
NET_BUFFER_LIST *ddi_chain(NET_BUFFER_LIST *first, NET_BUFFER_LIST *second);
const uint8_t *ddi_list_memory(const NET_BUFFER_LIST *nbl); /* first byte that it was made with */
void ddi_list_free(NET_BUFFER_LIST *nbl);                   /* one, whatever its Next */
void ddi_nonpush(NET_BUFFER_LIST *nbl);
void ddi_prefilled(NET_BUFFER_LIST *nbl, uint32_t bytes);
void ddi_give_back(struct ddi_env *e);

/* Bytes of streams: value by offset, so that a misplaced one shows. */
uint8_t ddi_byte(uint32_t offset);
void ddi_fill(uint8_t *data, uint32_t offset, uint32_t len);

/* Frames from the peer of e->tcp; queued, ddi_run() receives them. */
struct ddi_frame *ddi_segment(struct ddi_env *e, uint32_t seq, uint32_t ack, uint8_t flags,
			      const void *data, uint32_t len);
/*
 * Data that follows what was sent before by this function (pattern of ddi_byte()), received at
 * once.
 */
void ddi_data(struct ddi_env *e, uint32_t len, bool psh);
void ddi_ack(struct ddi_env *e, uint32_t ack);      /* received at once */
struct ddi_frame *ddi_frame_new(struct ddi_env *e); /* empty, queued */
uint32_t ddi_rcv_nxt(struct ddi_env *e);

/* What happened */
void ddi_forget(struct ddi_env *e); /* calls and sent frames */
unsigned int ddi_count(const struct ddi_env *e, enum ddi_call_kind kind);
const struct ddi_call *ddi_nth(const struct ddi_env *e, enum ddi_call_kind kind,
			       unsigned int n); /* NULL: fewer */
int ddi_index(const struct ddi_env *e, const struct ddi_call *call);
bool ddi_view(const struct ddi_env *e, unsigned int sent, struct nic_sim_view *view);
unsigned int ddi_sent_bytes(const struct ddi_env *e); /* payload of all frames */

#endif
