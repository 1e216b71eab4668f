/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_hole.h - paths that swallow full segments and send no message about it (RFC 4821, 8899).
 *
 * Repeated timeouts of a full segment are taken for a black hole: what is outstanding goes again in
 * smaller segments (tgt_conn.hole_mtu_bytes, a bound on the MSS below the path's MTU). With SACK,
 * once data flows again, single larger segments search for the largest that gets through: first
 * the full size, in case the path had only been dead, then by halves. A probe that is lost says
 * nothing about congestion. Without SACK, and when the search has ended, the full size is tried
 * again after TGT_HOLE_RAISE_S. News of the path's MTU from the host ends everything.
 *
 * Nothing of this is in the state that goes back to the host: the next owner finds out by itself.
 */
#ifndef TARGET_TGT_HOLE_H
#define TARGET_TGT_HOLE_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h" /* struct tgt_range */

#define TGT_HOLE_RAISE_S  600u /* PMTU_RAISE_TIMER of RFC 8899 */
#define TGT_HOLE_TIMEOUTS 2u   /* consecutive ones that make a hole likely */
#define TGT_HOLE_BASE     1280u
#define TGT_HOLE_LEAST_V4 576u

/* tgt_hole_timeout() - the retransmission timer ran out and rexmt_count says how often; the MSS may
 * be smaller afterwards. Before anything goes again. */
void tgt_hole_timeout(struct tgt_conn *conn, uint64_t now_us);

/*
 * tgt_hole_probe() - only while hole_mtu_bytes is set. Returns the MTU that the next new segment
 * should fill as a probe, 0 for none. queued: bytes waiting at snd_nxt; room: what window and cwnd
 * allow. tgt_hole_sent() afterwards, if it left.
 */
uint32_t tgt_hole_probe(struct tgt_conn *conn, uint32_t queued, uint32_t room, uint64_t now_us);
void tgt_hole_sent(struct tgt_conn *conn, uint32_t mtu_bytes, tcp_seq start, tcp_seq end);

/* tgt_hole_acked() - snd_una advanced while a probe is out. */
void tgt_hole_acked(struct tgt_conn *conn, uint64_t now_us);
/* tgt_hole_lost() - lost is all that is missing. True: it is the probe, blame no congestion. */
bool tgt_hole_lost(struct tgt_conn *conn, const struct tgt_range *lost);

void tgt_hole_forget(struct tgt_conn *conn);

#endif
