/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_recovery.h - what a loss, once found, leads to, and what may be sent because of it.
 *
 * Three phases. OPEN: nothing is known to be lost. FAST: fast recovery until snd_una reaches
 * recover. LOSS: the timer ran out, until snd_una reaches recover.
 *
 * With SACK, tgt_rack finds the losses and tgt_sent keeps them; in every phase what counts as lost
 * goes first, then new data, as long as cwnd has room for what is believed to be in the network.
 * In FAST, tgt_prr sets cwnd. snd_nxt is snd_max, except behind a closed window.
 *
 * Without SACK, duplicates are counted: in FAST one segment is sent again per partial
 * acknowledgment (NewReno, RFC 6582), in LOSS snd_nxt went back to snd_una and everything is sent
 * again from there as cwnd opens (RFC 5681).
 *
 * Either way tgt_undo may prove that nothing was lost (RFC 3522, 3708, 5682); then all is as
 * before.
 */
#ifndef TARGET_TGT_RECOVERY_H
#define TARGET_TGT_RECOVERY_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"
#include "target/tgt_rack.h"

#define TGT_CWND_MAX (1u << 30)

/* tgt_recovery_init() - at offload; a host in the middle of retransmission (snd_nxt < snd_max) is
 * continued. */
void tgt_recovery_init(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_recovery_stop() - before the state goes back: snd_nxt says from where to send again. */
void tgt_recovery_stop(const struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_recovery_new_ack() - snd_una has advanced by bytes (queue and records are up to date). */
void tgt_recovery_new_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes,
			  struct tgt_delivery *d);
/* tgt_recovery_duplicate() - a duplicate ACK, or one with new SACK information. */
void tgt_recovery_duplicate(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d);
/* tgt_recovery_delivered() - with SACK, at the end of every acknowledgment: losses, cwnd, undo. */
void tgt_recovery_delivered(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d);
/* tgt_recovery_timeout() - the retransmission timer ran out; output follows. May give the
 * connection up. */
void tgt_recovery_timeout(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_recovery_reordering() - the reordering window of something is over (RFC 8985 6.2). */
void tgt_recovery_reordering(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_recovery_unseen_loss() - a tail loss probe repaired a loss: congestion control is told. */
void tgt_recovery_unseen_loss(struct tgt_conn *conn, uint64_t now_us);

/* tgt_recovery_resend() - send everything outstanding again without blaming congestion (window
 * opened, MTU). */
void tgt_recovery_resend(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_recovery_frto_failed() - F-RTO found no new data to send: go on as after any timeout. */
bool tgt_recovery_frto_failed(struct tgt_conn *conn);

/* tgt_recovery_flight() - bytes believed to be in the network. */
uint32_t tgt_recovery_flight(const struct tgt_conn *conn);
/* tgt_recovery_quota() - bytes that may be added to them: by cwnd, limited transmit (RFC 3042) and
 * F-RTO. */
uint32_t tgt_recovery_quota(const struct tgt_adapter *a, const struct tgt_conn *conn);

/* tgt_recovery_owes() - false: tgt_recovery_next() would find nothing. */
static inline bool tgt_recovery_owes(const struct tgt_conn *conn)
{
	return conn->sent.lost_bytes || conn->flags & TGT_CF_REXMT_FIRST;
}

/*
 * tgt_recovery_next() - the next range to send again, at most limit bytes.
 * Returns:   false when there is nothing, or cwnd is full.
 */
bool tgt_recovery_next(const struct tgt_adapter *a, const struct tgt_conn *conn, uint32_t limit,
		       struct tgt_range *out);
/* tgt_recovery_sent() - that range has left. */
void tgt_recovery_sent(struct tgt_conn *conn, const struct tgt_range *range);

#endif
