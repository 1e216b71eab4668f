/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_cc.h - congestion control: how cwnd grows and what a loss leaves of it. When a loss happened
 * and what is sent again is tgt_recovery's business.
 *
 * A module keeps its state in tgt_conn.cc (TGT_CC_WORDS 64-bit words, in the arena) and touches
 * nothing else but cwnd_bytes. Every hook is set.
 */
#ifndef TARGET_TGT_CC_H
#define TARGET_TGT_CC_H

#include "target/tgt_conn.h"

#define TGT_CC_INITIAL_SEGMENTS 10u /* RFC 6928 */

struct tgt_cc_ops {
	const char *name;
	uint8_t id;
	/* At offload; cwnd_bytes and ssthresh_bytes are the host's. */
	void (*init)(struct tgt_conn *conn);
	/* bytes were acknowledged while cwnd was the limit, outside fast recovery: grow. */
	void (*acked)(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us);
	/* A loss with flight bytes outstanding: the new slow start threshold. */
	uint32_t (*lost)(struct tgt_conn *conn, uint32_t flight_bytes, uint64_t now_us);
	/* The timeout was spurious; cwnd_bytes and ssthresh_bytes are back at their old values. */
	void (*undo)(struct tgt_conn *conn);
	/* Nothing was sent for so long: time that does not count. */
	void (*idle)(struct tgt_conn *conn, uint64_t idle_us);
};

extern const struct tgt_cc_ops tgt_cc_newreno;
extern const struct tgt_cc_ops tgt_cc_cubic;

/* tgt_cc_by_name() - NULL name: the default; NULL result: no such algorithm. */
const struct tgt_cc_ops *tgt_cc_by_name(const char *name);
const struct tgt_cc_ops *tgt_cc_by_id(uint8_t id);

/* tgt_cc_slow_start() - common to all: grow by what was acknowledged; returns bytes left over at
 * ssthresh. */
uint32_t tgt_cc_slow_start(struct tgt_conn *conn, uint32_t bytes);
/* tgt_cc_reno_grow() - one MSS per window (RFC 5681), exact in bytes; *carry keeps the remainder.
 */
void tgt_cc_reno_grow(struct tgt_conn *conn, uint32_t bytes, uint64_t *carry);

/*
 * tgt_hystart_acked() - slow start that ends when the round trip grows (RFC 9406), before the queue
 * of the bottleneck overflows. Needs the round trips that SACK gives (tgt_rack); without them it
 * is tgt_cc_slow_start(). Stretch ACKs count in full.
 */
uint32_t tgt_hystart_acked(struct tgt_conn *conn, uint32_t bytes, uint64_t now_us);

/*
 * tgt_cc_restart() - after an idle period longer than the timeout (RFC 5681 4.1): cwnd is halved
 * for every timeout that passed, not below the initial window. ssthresh remembers three quarters
 * of it.
 */
void tgt_cc_restart(struct tgt_conn *conn, uint64_t idle_us);
/*
 * tgt_cc_validate() - at the end of all output, with what is in flight: a cwnd that was not the
 * limit for a whole timeout decays towards what was used (RFC 2861, as the kernel that hands over
 * does; RFC 7661 for why). waiting: more data was there, so the peer's window was the limit.
 */
void tgt_cc_validate(struct tgt_conn *conn, uint32_t flight_bytes, bool waiting, uint64_t now_us);

#endif
