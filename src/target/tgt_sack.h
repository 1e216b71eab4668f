/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_sack.h - scoreboard: which of our unacknowledged bytes the peer says it has (RFC 2018, 2883,
 * 6675).
 *
 * Disjoint ranges in order, between snd_una and snd_max, in one chunk that exists only while there
 * are any. What does not fit the table is forgotten, which at worst sends a byte twice.
 */
#ifndef TARGET_TGT_SACK_H
#define TARGET_TGT_SACK_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

#define TGT_SACK_RANGES 256u

/*
 * tgt_sack_update() - take in the blocks of an acknowledgment. Blocks outside (snd_una, snd_max],
 * reversed ones and D-SACK below snd_una or inside what is known change nothing.
 * Returns:   bytes
 * reported for the first time.
 */
uint32_t tgt_sack_update(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_opts *opts);

/* tgt_sack_advance() - snd_una moved: forget what is below. */
void tgt_sack_advance(struct tgt_adapter *a, struct tgt_conn *conn);
void tgt_sack_clear(struct tgt_adapter *a, struct tgt_conn *conn);

/*
 * tgt_sack_hole() - the first hole at or behind seq: *start and its *end (start of the next range,
 * or snd_max).
 * Returns:   false when nothing below snd_max is missing from seq on.
 */
bool tgt_sack_hole(const struct tgt_adapter *a, const struct tgt_conn *conn, tcp_seq seq,
		   tcp_seq *start, tcp_seq *end);

/* tgt_sack_bytes_below() - SACKed bytes below seq. */
uint32_t tgt_sack_bytes_below(const struct tgt_adapter *a, const struct tgt_conn *conn,
			      tcp_seq seq);

/* tgt_sack_highest() - end of the highest range; snd_una when there is none. */
tcp_seq tgt_sack_highest(const struct tgt_adapter *a, const struct tgt_conn *conn);

/*
 * tgt_sack_lost_edge() - bytes not SACKed below this number count as lost: threshold ranges, or
 * more than (threshold - 1) * mss bytes, were SACKed above them (IsLost() of RFC 6675). snd_una
 * when none are.
 */
tcp_seq tgt_sack_lost_edge(const struct tgt_adapter *a, const struct tgt_conn *conn,
			   uint32_t threshold, uint32_t mss);

const char *tgt_sack_check(const struct tgt_adapter *a, const struct tgt_conn *conn);

#endif
