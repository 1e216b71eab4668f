/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_undo.h - finding out that a retransmission was not needed, and taking back what it cost.
 *
 * Three ways. With timestamps, the first acknowledgment of new data echoes a time before the first
 * retransmission (Eifel, RFC 3522). With D-SACK, the peer says of every byte that went again that
 * it had it (RFC 3708); that may come after recovery has ended. Without timestamps, after a timeout
 * only the head goes again, and if acknowledgments move on over what was sent once only, the
 * timeout was spurious (F-RTO, RFC 5682).
 */
#ifndef TARGET_TGT_UNDO_H
#define TARGET_TGT_UNDO_H

#include "target/tgt_rack.h"

enum tgt_frto {
	TGT_FRTO_OFF,
	TGT_FRTO_HEAD, /* the head went again, nothing else; 5682 2.1 step 2 */
	TGT_FRTO_NEW,  /* it was acknowledged, up to two new segments may go; step 3 */
};

/* tgt_undo_begin() - cwnd and ssthresh are about to shrink. */
void tgt_undo_begin(struct tgt_conn *conn);
/* tgt_undo_sent_again() - [start, end) was sent once more. */
void tgt_undo_sent_again(const struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes);

/* tgt_undo_by_echo() - the acknowledgment of new data proves it. Asked once an episode. */
bool tgt_undo_by_echo(struct tgt_conn *conn, const struct tgt_opts *opts);
/* tgt_undo_by_dsack() - the peer had everything that went again. */
bool tgt_undo_by_dsack(struct tgt_conn *conn, const struct tgt_delivery *d);
/* tgt_undo_windows() - cwnd and ssthresh as they were, or what they have become if that is more. */
void tgt_undo_windows(struct tgt_conn *conn);

/* tgt_frto_begin() - the timer ran out for the first time. */
void tgt_frto_begin(struct tgt_conn *conn);
/*
 * tgt_frto_ack() - an acknowledgment after it. advanced: snd_una moved. True: the timeout was
 * spurious.
 */
bool tgt_frto_ack(struct tgt_conn *conn, bool advanced, bool original);
/* tgt_frto_quota() - bytes of new data that may go now, whatever cwnd says. */
uint32_t tgt_frto_quota(const struct tgt_conn *conn);

#endif
