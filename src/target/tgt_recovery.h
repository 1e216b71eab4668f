/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_recovery.h - finding out that something was lost, and what may be sent because of it.
 *
 * Three phases. OPEN: nothing is known to be lost. FAST: duplicate ACKs or SACK showed a loss; with
 * SACK the scoreboard says what to send again and how much is in the network (RFC 6675), without it
 * one segment is sent again per partial acknowledgment (NewReno, RFC 6582). LOSS: the timer ran
 * out; snd_nxt went back to snd_una and everything not SACKed is sent again from there as cwnd
 * opens (RFC 5681), unless the first acknowledgment proves by its timestamp that the timeout was
 * spurious (RFC 3522).
 */
#ifndef TARGET_TGT_RECOVERY_H
#define TARGET_TGT_RECOVERY_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

#define TGT_CWND_MAX (1u << 30)

/* tgt_recovery_init() - at offload; a host in the middle of retransmission (snd_nxt < snd_max) is
 * continued. */
void tgt_recovery_init(struct tgt_conn *conn);

/* tgt_recovery_new_ack() - snd_una has advanced by bytes (scoreboard and queue are up to date). */
void tgt_recovery_new_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes,
			  const struct tgt_opts *opts, uint64_t now_us);
/* tgt_recovery_duplicate() - a duplicate ACK, or one with new SACK information. */
void tgt_recovery_duplicate(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_recovery_timeout() - the retransmission timer ran out; output follows. May give the
 * connection up. */
void tgt_recovery_timeout(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_recovery_resend() - send everything outstanding again without blaming congestion (window
 * opened, MTU). */
void tgt_recovery_resend(struct tgt_conn *conn);

/* tgt_recovery_flight() - bytes believed to be in the network. */
uint32_t tgt_recovery_flight(const struct tgt_adapter *a, const struct tgt_conn *conn);
/* tgt_recovery_cwnd() - what flight may reach: cwnd, and one MSS for each of the first duplicates
 * (RFC 3042). */
uint32_t tgt_recovery_cwnd(const struct tgt_adapter *a, const struct tgt_conn *conn);

/*
 * tgt_recovery_next() - in FAST: the next range to send again, at most one MSS.
 * last_resort is set when there is no new data to send: then holes not yet counted as lost qualify
 * as well.
 * Returns:   false when there is nothing, or cwnd is full.
 */
bool tgt_recovery_next(const struct tgt_adapter *a, struct tgt_conn *conn, bool last_resort,
		       struct tgt_range *out);
/* tgt_recovery_sent() - that range has left. */
void tgt_recovery_sent(struct tgt_conn *conn, const struct tgt_range *range);

#endif
