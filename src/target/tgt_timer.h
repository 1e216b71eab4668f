/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_timer.h - the timers of a connection, reached through what happened and not through what to
 * set.
 *
 * Ten timers (enum tgt_timer): delayed ACK, retransmission (which also serves window probes within
 * a round and FIN_WAIT_2), persist, keepalive, SWS override and small window updates, push (for
 * tgt_deliver), pacing, a retry after a full device, and loss detection, which is either a
 * reordering window or a tail loss probe. Each is a deadline in tgt_conn; the wheel has one entry
 * per connection, the earliest of them. tgt_timer_sync() brings it up to date at the end of every
 * event.
 */
#ifndef TARGET_TGT_TIMER_H
#define TARGET_TGT_TIMER_H

#include "target/tgt_conn.h"

#define TGT_CORK_US       200000u /* what is corked waits no longer, as in the kernel */
#define TGT_FIN_WAIT_2_US 120000000u
#define TGT_RETRY_US      1000u
#define TGT_RETRY_STEP_US 2u /* from one waiting connection to the next */

/* Events of sending */
void tgt_timer_on_data_sent(struct tgt_conn *conn,
			    uint64_t now_us); /* something now waits for an ACK */
void tgt_timer_on_ack_sent(struct tgt_conn *conn);
/*
 * tgt_timer_on_device_full() - those who wait for the device try again one behind the other: a
 * million connections that all try every millisecond would leave no time for anything else.
 */
void tgt_timer_on_device_full(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
void tgt_timer_on_held_back(const struct tgt_adapter *a, struct tgt_conn *conn,
			    uint64_t now_us); /* by SWS rules */
/* tgt_timer_on_corked() - the same for a segment that waits for more data. */
void tgt_timer_on_corked(struct tgt_conn *conn, uint64_t now_us);

void tgt_timer_on_tail_probe(struct tgt_conn *conn, uint64_t now_us);

/* Events of receiving */
void tgt_timer_on_new_ack(struct tgt_conn *conn, uint64_t now_us); /* snd_una advanced */
void tgt_timer_on_ack_owed(const struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
void tgt_timer_on_reordering(struct tgt_conn *conn, uint64_t until_us); /* something may be lost */
void tgt_timer_on_order(struct tgt_conn *conn);                         /* or not */
void tgt_timer_on_acceptable(struct tgt_conn *conn, uint64_t now_us);   /* FIN_WAIT_2 starts anew */

/* Events of states */
void tgt_timer_on_fin_wait_2(struct tgt_conn *conn, uint64_t now_us);
void tgt_timer_stop_all(struct tgt_adapter *a, struct tgt_conn *conn);

/* For the modules that own a timer's meaning: tgt_persist, tgt_keepalive, tgt_recovery. */
void tgt_timer_set(struct tgt_conn *conn, enum tgt_timer which, uint64_t deadline_us);
void tgt_timer_stop(struct tgt_conn *conn, enum tgt_timer which);
void tgt_timer_sync(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_timer_left() - microseconds left, 0 when due, TGT_LEFT_NONE when it does not run. */
int64_t tgt_timer_left(const struct tgt_conn *conn, enum tgt_timer which, uint64_t now_us);

/* tgt_timer_rexmt_interval() - how long the retransmission timer runs now: backoff, cut at what
 * MaxRT leaves. */
uint64_t tgt_timer_rexmt_interval(const struct tgt_conn *conn);
/* tgt_timer_exhausted() - one more retransmission or probe is not allowed
 * (TcpMaximumRetransmissions, MaxRT). */
bool tgt_timer_exhausted(const struct tgt_adapter *a, const struct tgt_conn *conn);

/* tgt_timer_resume() - start timers of a connection just offloaded from the remaining times. */
void tgt_timer_resume(struct tgt_conn *conn, uint64_t now_us);

#endif
