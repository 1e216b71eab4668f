/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_reasm.h - data that arrived ahead of rcv_nxt, and the SACK blocks that tell the peer about
 * it.
 *
 * A table of disjoint ranges in the order of the sequence space, each with its bytes in a list of
 * chunks. Bounded in ranges and in bytes: what does not fit is dropped as if it had been lost,
 * before it is ever SACKed.
 */
#ifndef TARGET_TGT_REASM_H
#define TARGET_TGT_REASM_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

#define TGT_REASM_RANGES 128u

/*
 * tgt_reasm_insert() - keep [seq, seq + len), all of it beyond rcv_nxt and inside the window. What
 * is there already is reported to the peer as duplicate (D-SACK). data is borrowed.
 * Returns:   0;
 * -ENOBUFS when a part found no room (dropped and counted).
 */
int tgt_reasm_insert(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, const uint8_t *data,
		     uint32_t len);

/* tgt_reasm_pull() - deliver what has become in-order and advance rcv_nxt; returns the bytes
 * delivered. */
uint32_t tgt_reasm_pull(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_reasm_sack() - blocks for the next ACK, the one that changed last first; returns how many. */
unsigned int tgt_reasm_sack(const struct tgt_adapter *a, const struct tgt_conn *conn,
			    struct tgt_range *out, unsigned int max);

void tgt_reasm_drop(struct tgt_adapter *a, struct tgt_conn *conn);
const char *tgt_reasm_check(const struct tgt_adapter *a, const struct tgt_conn *conn);

#endif
