/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_prr.h - proportional rate reduction (RFC 6937bis): in fast recovery cwnd goes down to
 * ssthresh in step with what arrives, and comes up to it when losses took away more. Only with
 * SACK; NewReno has its own inflation (RFC 6582).
 */
#ifndef TARGET_TGT_PRR_H
#define TARGET_TGT_PRR_H

#include "target/tgt_rack.h"

/* tgt_prr_begin() - fast recovery begins; d is the acknowledgment that began it, or NULL (timer).
 * ssthresh is set. */
void tgt_prr_begin(struct tgt_conn *conn, const struct tgt_delivery *d);
/* tgt_prr_ack() - an acknowledgment in fast recovery: sets cwnd for what it allows to be sent. */
void tgt_prr_ack(struct tgt_conn *conn, const struct tgt_delivery *d);
/* tgt_prr_sent() - data left. */
void tgt_prr_sent(struct tgt_conn *conn, uint32_t bytes);

#endif
