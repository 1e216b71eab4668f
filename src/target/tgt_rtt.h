/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_rtt.h - round-trip estimate and retransmission timeout (RFC 6298).
 *
 * Samples come from one timed segment at a time (microseconds, never a retransmitted one) and, when
 * none is being timed, from echoed timestamps (host ticks), which also cover segments that the host
 * had sent.
 */
#ifndef TARGET_TGT_RTT_H
#define TARGET_TGT_RTT_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

#define TGT_RTO_MIN_US     200000u
#define TGT_RTO_MAX_US     120000000u
#define TGT_RTO_INITIAL_US 1000000u

void tgt_rtt_sample(struct tgt_conn *conn, uint64_t rtt_us);

/* tgt_rtt_on_ack() - ack acknowledged new data at now_us: take the sample it allows. */
void tgt_rtt_on_ack(const struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack,
		    const struct tgt_opts *opts, uint64_t now_us);
/* tgt_rtt_on_send() - [.., end) leaves for the first time. */
void tgt_rtt_on_send(struct tgt_conn *conn, tcp_seq end, uint64_t now_us);
/* tgt_rtt_on_retransmit() - Karn: what is being timed is no longer worth it. */
void tgt_rtt_on_retransmit(struct tgt_conn *conn);

/* tgt_rtt_rto() - timeout without backoff, and doubled shift times, both at most TGT_RTO_MAX_US. */
uint64_t tgt_rtt_rto(const struct tgt_conn *conn);
uint64_t tgt_rtt_rto_backoff(const struct tgt_conn *conn, unsigned int shift);

#endif
