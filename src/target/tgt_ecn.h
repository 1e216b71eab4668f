/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_ecn.h - explicit congestion notification (RFC 3168, as RFC 8311 leaves it) for connections
 * whose handshake agreed to it (TGT_OPT_ECN).
 *
 * As a sender: new data is sent as ECT(0), retransmissions, window probes and segments without data
 * are not. An ECE halves cwnd as a loss would, once a window; after every reduction, whatever the
 * cause, the next new data carries CWR, in a frame of its own, since a device that cuts
 * super-frames might repeat the flag. As a receiver: after a CE mark every segment carries ECE,
 * until data with CWR arrives.
 */
#ifndef TARGET_TGT_ECN_H
#define TARGET_TGT_ECN_H

#include "target/tgt_rack.h"

/* tgt_ecn_init() - at offload: nothing is owed in either direction. */
void tgt_ecn_init(struct tgt_conn *conn);

/* tgt_ecn_mark() - x carries data that was never sent before: ECT(0), and CWR if that is due. */
void tgt_ecn_mark(const struct tgt_conn *conn, struct tgt_xmit *x);
/* tgt_ecn_sent() - x has left. */
void tgt_ecn_sent(struct tgt_conn *conn, const struct tgt_xmit *x);

/* tgt_ecn_received() - data within the window arrived: a mark is to be echoed, or was heard. */
void tgt_ecn_received(struct tgt_conn *conn, const struct tgt_segment *seg);

/* tgt_ecn_echoed() - the acknowledgment d carried ECE: reduce cwnd, unless that was done for data
 * of the same window. */
void tgt_ecn_echoed(struct tgt_conn *conn, const struct tgt_delivery *d);
/* tgt_ecn_reduced() - cwnd was reduced for whatever reason: the peer is told. */
void tgt_ecn_reduced(struct tgt_conn *conn);
/* tgt_ecn_withdraw() - that reduction was taken back. */
void tgt_ecn_withdraw(struct tgt_conn *conn);
/* tgt_ecn_advance() - snd_una has moved. */
void tgt_ecn_advance(struct tgt_conn *conn);

static inline bool tgt_ecn_on(const struct tgt_conn *conn)
{
	return conn->options & TGT_OPT_ECN;
}

/* TCP flag of every segment with ACK. */
static inline uint8_t tgt_ecn_flag(const struct tgt_conn *conn)
{
	return conn->flags & TGT_CF_ECN_ECHO ? TGT_TH_ECE : 0;
}

#endif
