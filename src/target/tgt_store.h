/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_store.h - the objects above a connection: neighbor and path, as they lie in the arena.
 *
 * A connection refers to one path, a path to one neighbor; each neighbor is a root of its own. What
 * the process keeps beside them (handle of the host, count of dependents) is struct tgt_object in
 * tgt_priv.h; the state operations that make, change and end objects are in tgt_initiate.c,
 * tgt_update.c and tgt_upload.c.
 */
#ifndef TARGET_TGT_STORE_H
#define TARGET_TGT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "target/tgt_adapter.h"
#include "target/tgt_conn.h"

struct tgt_neighbor {
	uint32_t slot;
	uint8_t source_mac[6]; /* of frames sent; the interface's own when the host gave none */
	uint8_t destination_mac[6];
	uint8_t configured_mac; /* source_mac came with the object */
	uint8_t invalid;
	uint8_t query_due;  /* staleness test held; the host has not been asked yet */
	uint8_t doubt_due;  /* a connection retransmitted often; the host is to be told */
	uint16_t vlan_id;   /* 0: not significant */
	uint32_t hrt_ticks; /* target's clock at the last confirmation by the host */
	uint32_t nrt_ticks; /* and at the last progress seen here */
};

struct tgt_path {
	uint32_t slot;
	arena_ref neighbor;
	uint32_t mtu_bytes;
	uint8_t v6;
	uint8_t invalid;
	uint8_t local[16]; /* as on the wire, IPv4 in the first four bytes */
	uint8_t remote[16];
};

static inline struct tgt_path *tgt_path_of(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return arena_ptr(a->arena, conn->path);
}

static inline struct tgt_neighbor *tgt_neighbor_of(const struct tgt_adapter *a,
						   const struct tgt_path *path)
{
	return arena_ptr(a->arena, path->neighbor);
}

#endif
