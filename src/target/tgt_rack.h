/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_rack.h - finding losses by time: RACK (RFC 8985 6). Of two segments that left one after the
 * other, the first is lost when the second has arrived and the first has not within a round trip
 * and a reordering window. That also finds retransmissions that were lost.
 *
 * The window is a quarter of the shortest round trip, times a factor that grows when a D-SACK shows
 * that it was too short. While no reordering was seen, it is zero in recovery and once as much was
 * SACKed as TcpDuplicateAckThreshold segments: so the threshold keeps its meaning, the number of
 * duplicates at which fast retransmit starts at once.
 *
 * Only for connections with TGT_OPT_SACK. What is lost is written down in tgt_sent; what to do
 * about it is tgt_recovery's business.
 */
#ifndef TARGET_TGT_RACK_H
#define TARGET_TGT_RACK_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

/* What one acknowledgment says, collected while it is processed. */
struct tgt_delivery {
	const struct tgt_adapter *a;
	struct tgt_conn *conn;
	const struct tgt_opts *opts;
	uint64_t now_us;
	uint32_t bytes;         /* that the peer has and had not told before */
	uint32_t sacked_bytes;  /* of these, by SACK blocks */
	uint32_t lost_bytes;    /* found lost because of it */
	tcp_seq una;            /* snd_una before */
	tcp_seq fack;           /* rack.fack after */
	struct tgt_range dsack; /* when has_dsack */
	bool has_dsack;
	bool ece;         /* the peer saw congestion marks; only with TGT_OPT_ECN */
	bool original;    /* some of it was sent once only and lies below recover (RFC 5682 3) */
	bool in_recovery; /* the phase before was not OPEN */
};

void tgt_rack_init(struct tgt_conn *conn);

/* tgt_rack_begin() - an acceptable acknowledgment arrived: prepare d. */
void tgt_rack_begin(struct tgt_delivery *d, const struct tgt_adapter *a, struct tgt_conn *conn,
		    const struct tgt_opts *opts, uint64_t now_us);
/* tgt_rack_delivered() - for tgt_sent_ack() and tgt_sent_sack(); ctx is a struct tgt_delivery. */
struct tgt_sent_run;
void tgt_rack_delivered(void *ctx, const struct tgt_sent_run *run);
/*
 * tgt_rack_update() - all of it was collected: reordering window, losses (d->lost_bytes), timer for
 * those that are not sure yet.
 */
void tgt_rack_update(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_delivery *d);
/* tgt_rack_expired() - the reordering window of something is over; returns the bytes lost. */
uint32_t tgt_rack_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_rack_timeout() - RFC 8985 6.3: after an RTO count the head and all that is late as lost. */
void tgt_rack_timeout(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_rack_recovered() - recovery is over: the wider window is kept for sixteen of them. */
void tgt_rack_recovered(struct tgt_conn *conn);

/* tgt_rack_distrust() - copies were confused: what is known to have arrived last is not. */
void tgt_rack_distrust(struct tgt_conn *conn);

/* tgt_rack_window_us() - the reordering window now. */
uint32_t tgt_rack_window_us(const struct tgt_adapter *a, const struct tgt_conn *conn);
/* tgt_rack_threshold_reached() - TcpDuplicateAckThreshold duplicates, or as much SACKed. */
bool tgt_rack_threshold_reached(const struct tgt_adapter *a, const struct tgt_conn *conn);

#endif
