/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_state.h - converters between the state structures of the interface and the target's own
 * objects.
 *
 * The one place for these rules: ticks <-> microseconds (-1 stays "not running"), ports in network
 * order, windows in bytes, SRtt as eight times and RttVar as four times its value in ticks,
 * saturating at 16 bits, TsTime <-> own clock plus delta, the convention for an unknown TsRecent,
 * lengths of older structure revisions.
 *
 * Context:   worker that owns the adapter. Nothing here changes an adapter.
 * Refs:      NS:ndischimney._TCP_OFFLOAD_STATE_CONST, _CACHED, _DELEGATED and their NEIGHBOR_ and
 *            PATH_ relatives.
 */
#ifndef TARGET_TGT_STATE_H
#define TARGET_TGT_STATE_H

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <stdbool.h>
#include <stdint.h>

#include "target/tgt_store.h"

/* A TsRecent whose age is at least this cannot be compared any more (RFC 7323 5.5). */
#define TGT_TS_RECENT_MAX_AGE_US (24ull * 24 * 3600 * 1000000)

/* ---- TCP ---- */

void tgt_const_from_ddi(struct tgt_conn *conn, const TCP_OFFLOAD_STATE_CONST *from);
void tgt_const_to_ddi(const struct tgt_conn *conn, TCP_OFFLOAD_STATE_CONST *to);

void tgt_cached_from_ddi(const struct tgt_adapter *a, struct tgt_conn *conn,
			 const TCP_OFFLOAD_STATE_CACHED *from);
void tgt_cached_to_ddi(const struct tgt_adapter *a, const struct tgt_conn *conn,
		       TCP_OFFLOAD_STATE_CACHED *to);

/*
 * tgt_delegated_from_ddi() - initial values of a connection that is being offloaded. Constant and
 * cached variables are there already. Send and receive data are the caller's business.
 * Returns:   0; -EINVAL for a TCP state in which nothing can be offloaded (STA-29).
 */
int tgt_delegated_from_ddi(const struct tgt_adapter *a, struct tgt_conn *conn,
			   const TCP_OFFLOAD_STATE_DELEGATED *from);

/*
 * tgt_delegated_to_ddi() - values of now, for a query (conn after tgt_conn_snapshot()) or the end
 * of the offload (after tgt_conn_stop()). The data members and backlog sizes are left to the
 * caller; to->Header.Length says how much room there is.
 */
void tgt_delegated_to_ddi(const struct tgt_adapter *a, const struct tgt_conn *conn,
			  TCP_OFFLOAD_STATE_DELEGATED *to);

/* Bytes of a delegated structure up to DWnd, which came with NDIS 6.1. */
#define TGT_DELEGATED_BYTES_6_0 0x78u

TCP_OFFLOAD_CONNECTION_STATE tgt_tcp_state_to_ddi(uint8_t state);

/* ---- path and neighbor ---- */

void tgt_path_const_from_ddi(struct tgt_path *path, bool v6, const PATH_OFFLOAD_STATE_CONST *from);
void tgt_neighbor_const_from_ddi(struct tgt_neighbor *n, const uint8_t interface_mac[6],
				 const NEIGHBOR_OFFLOAD_STATE_CONST *from);

/* Addresses of a queried path are pointers into the path object: valid until it is terminated. */
void tgt_path_const_to_ddi(const struct tgt_path *path, PATH_OFFLOAD_STATE_CONST *to);
void tgt_neighbor_const_to_ddi(const struct tgt_neighbor *n, NEIGHBOR_OFFLOAD_STATE_CONST *to);
void tgt_neighbor_cached_to_ddi(const struct tgt_adapter *a, const struct tgt_neighbor *n,
				NEIGHBOR_OFFLOAD_STATE_CACHED *to);
void tgt_neighbor_delegated_to_ddi(const struct tgt_adapter *a, const struct tgt_neighbor *n,
				   NEIGHBOR_OFFLOAD_STATE_DELEGATED *to);

/* ---- where the states of a block are ---- */

/*
 * The up to three states behind a block; NULL where the block's Type has none. Untyped: the layer
 * decides.
 */
struct tgt_block_states {
	void *constant, *cached, *delegated;
};

enum tgt_layer { TGT_LAYER_NONE, TGT_LAYER_NEIGHBOR, TGT_LAYER_PATH, TGT_LAYER_TCP };

enum tgt_layer tgt_block_layer(UCHAR type, bool *v6);

/*
 * tgt_block_states() - find the states behind a block: each starts at the next multiple of 8 and is
 * as long as its Header.Length says.
 * Returns:   false when the Type is not a state type or a Length is too small for the oldest
 *            revision.
 */
bool tgt_block_states(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block, struct tgt_block_states *states);

#endif
