/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_tlp.h - tail loss probe (RFC 8985 7): when nothing comes back for about two round trips, send
 * one segment, new if there is one, else the last one again. Its acknowledgment shows by SACK what
 * was lost before it, so that recovery starts without a timeout.
 *
 * One probe at a time; while it is out, tlp_end is snd_max as it was behind it. A retransmitted
 * probe may itself repair the loss, unseen by anybody; congestion control is told of that loss when
 * the acknowledgments show no duplicate.
 */
#ifndef TARGET_TGT_TLP_H
#define TARGET_TGT_TLP_H

#include "target/tgt_rack.h"

#define TGT_TLP_ACK_DELAY_US 200000u /* of a peer with one segment to acknowledge */
#define TGT_TLP_LEAST_US     10000u  /* a peer or a worker may well be busy for some milliseconds */
#define TGT_TLP_INITIAL_US   1000000u

/* tgt_tlp_rearm() - end of an event that sent data or saw some acknowledged. */
void tgt_tlp_rearm(struct tgt_conn *conn, uint64_t now_us);
/* tgt_tlp_expired() - nothing came back: probe. */
void tgt_tlp_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_tlp_ack() - 7.4: TGT_CF_TLP_OUT is set; what ack, already processed, says of the probe. */
void tgt_tlp_ack(struct tgt_conn *conn, tcp_seq ack, const struct tgt_delivery *d, bool duplicate);
/* tgt_tlp_forget() - recovery begins: the probe has done its work. */
void tgt_tlp_forget(struct tgt_conn *conn);

#endif
