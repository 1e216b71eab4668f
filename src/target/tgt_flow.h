/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_flow.h - which connection a received frame belongs to: a hash table over the exact 4-tuple.
 *
 * An entry names an offloaded connection, or a tuple whose frames are steered here already although
 * the connection is not offloaded yet (or not any more): an *expected* flow. Frames of expected
 * flows, and of connections that wait for their upload, are caught: copied into arena chunks, in
 * order, bounded by limits.flow_catch_frames. They go to the engine when the connection is
 * offloaded and to the host when it is not.
 *
 * Context:   worker that owns the adapter.
 */
#ifndef TARGET_TGT_FLOW_H
#define TARGET_TGT_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "nic/nic.h"

struct tgt_adapter;
struct tgt_flow_table;

#define TGT_FLOW_NO_CONN UINT32_MAX

/*
 * Addresses as on the wire, IPv4 in the first four bytes and the rest zero. Seen from this machine.
 */
struct tgt_tuple {
	uint8_t local[16];
	uint8_t remote[16];
	uint16_t local_port_be;
	uint16_t remote_port_be;
	bool v6;
};

struct tgt_flow {
	struct tgt_tuple tuple;
	uint32_t hash;
	uint32_t next;        /* chain of the bucket, index + 1 */
	uint32_t slot;        /* connection, or TGT_FLOW_NO_CONN */
	uint32_t caught_head; /* frames, index + 1 */
	uint32_t caught_tail;
	bool expected;
};

typedef void tgt_flow_frame_fn(void *ctx, const struct nic_rx_frame *frame);

/*
 * tgt_flow_table_create() - table for that many flows and caught frames of at most frame_bytes
 * each. key makes the hash unpredictable for a peer; a simulation passes a constant.
 * Returns:   0 or -ENOMEM.
 */
int tgt_flow_table_create(struct tgt_flow_table **out, uint32_t flows, uint32_t frames,
			  uint32_t frame_bytes, uint64_t key);
void tgt_flow_table_destroy(struct tgt_flow_table *table);

/* tgt_flow_find() - O(1); NULL when the tuple is neither offloaded nor expected. */
struct tgt_flow *tgt_flow_find(struct tgt_flow_table *table, const struct tgt_tuple *tuple);

/*
 * tgt_flow_attach() - the tuple is a connection from now on. -EEXIST when it is one already,
 * -ENOSPC.
 */
int tgt_flow_attach(struct tgt_adapter *a, const struct tgt_tuple *tuple, uint32_t slot);

/*
 * tgt_flow_detach() - the connection is gone. The entry stays when the tuple is expected, frames
 * caught until then with it; otherwise the caller has released them before.
 */
void tgt_flow_detach(struct tgt_adapter *a, const struct tgt_tuple *tuple);

/* tgt_flow_mark() - set or clear the expectation; makes or removes the entry. -ENOSPC. */
int tgt_flow_mark(struct tgt_adapter *a, const struct tgt_tuple *tuple, bool expected);

/*
 * tgt_flow_catch() - keep a copy of the frame. -ENOBUFS when the queue or the chunk pool is full
 * (counted).
 */
int tgt_flow_catch(struct tgt_adapter *a, struct tgt_flow *flow, const struct nic_rx_frame *frame);

/*
 * tgt_flow_release() - give every caught frame to fn, oldest first, and forget them. Returns their
 * number.
 */
unsigned int tgt_flow_release(struct tgt_adapter *a, struct tgt_flow *flow, tgt_flow_frame_fn *fn,
			      void *ctx);

/* tgt_flow_caught() - frames kept at present, all flows. */
uint32_t tgt_flow_caught(const struct tgt_flow_table *table);

#endif
