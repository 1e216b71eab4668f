/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_sent.h - what is known of every byte between snd_una and snd_max: when it left last, whether
 * the peer has it (SACK), whether it counts as lost, whether it left more than once.
 *
 * A list of records in the order of the sequence space, kept only while the peer does SACK. A
 * record is a run of bytes that share their fate; what leaves at the same microsecond is one run,
 * so a clean transfer has one record a burst, appended at the tail and popped at the head. A few
 * records fit in the connection, more move to a chunk. Nothing is a pointer, and times are the low
 * 32 bits of now_us. The list is bounded: when it is full, neighbours of equal state become one
 * with the later time (nothing is ever declared lost too early by that), and if that does not help,
 * a SACK block is forgotten (at worst a byte goes twice).
 *
 * Context: worker that owns the adapter; every function takes a connection with TGT_OPT_SACK.
 */
#ifndef TARGET_TGT_SENT_H
#define TARGET_TGT_SENT_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

/* States of a record; none: sent once, nothing known since. */
enum {
	TGT_SENT_SACKED = 1u << 0,
	TGT_SENT_LOST = 1u << 1,
	TGT_SENT_AGAIN = 1u << 2, /* retransmitted: an acknowledgment does not say which copy */
	TGT_SENT_OLD = 1u << 3,   /* by the former owner, at an unknown time */
};

/* One run on its way to being delivered, as tgt_sent tells it. */
struct tgt_sent_run {
	tcp_seq start, end;
	uint32_t sent_us;
	uint32_t state;
};
typedef void tgt_sent_fn(void *ctx, const struct tgt_sent_run *run);

/* tgt_sent_begin() - forget everything; all from snd_una to snd_max left at an unknown time. */
void tgt_sent_begin(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_sent_clear() - forget everything and give back the chunk. */
void tgt_sent_clear(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_sent_append() - the bytes from the end of the list to end leave for the first time. */
void tgt_sent_append(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq end, uint64_t now_us);
/* tgt_sent_truncate() - the device refused: forget what lies at or behind end. */
void tgt_sent_truncate(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq end);
/* tgt_sent_again() - [start, end) has left once more. */
void tgt_sent_again(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq start, tcp_seq end,
		    uint64_t now_us);

/*
 * tgt_sent_ack() - all below ack is acknowledged; before snd_una moves. delivered() hears of each
 * run that the peer had not SACKed before.
 */
void tgt_sent_ack(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack, tgt_sent_fn *delivered,
		  void *ctx);
/*
 * tgt_sent_sack() - the peer has [start, end), which lies in (snd_una, snd_max]. delivered() as
 * above. False: there was no room to write it down.
 */
bool tgt_sent_sack(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq start, tcp_seq end,
		   tgt_sent_fn *delivered, void *ctx);

/*
 * tgt_sent_lose() - count as lost every run, neither SACKed nor lost already, for which judge()
 * says so. Returns the bytes that were lost now.
 */
typedef bool tgt_sent_judge_fn(void *ctx, const struct tgt_sent_run *run);
uint32_t tgt_sent_lose(struct tgt_adapter *a, struct tgt_conn *conn, tgt_sent_judge_fn *judge,
		       void *ctx);
/* tgt_sent_lose_head() - count as lost up to bytes from snd_una on; returns how many were now. */
uint32_t tgt_sent_lose_head(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes);
/* tgt_sent_lose_from() - the same for everything from seq on. */
uint32_t tgt_sent_lose_from(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq);
/* tgt_sent_find() - nothing counts as lost any more. */
void tgt_sent_find(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_sent_unsack() - the peer gave up what it had SACKed: all of it counts as lost. */
void tgt_sent_unsack(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_sent_first_lost() - the first run that counts as lost; false when there is none. */
bool tgt_sent_first_lost(const struct tgt_adapter *a, const struct tgt_conn *conn,
			 struct tgt_range *out);
/* tgt_sent_head_sacked() - the byte at snd_una is SACKed: the peer contradicts itself. */
bool tgt_sent_head_sacked(const struct tgt_adapter *a, const struct tgt_conn *conn);

/* tgt_sent_flight() - bytes believed to be in the network (RFC 6675 pipe, RFC 8985 in flight). */
static inline uint32_t tgt_sent_flight(const struct tgt_conn *conn)
{
	return conn->snd_max - conn->snd_una - conn->sent.sacked_bytes - conn->sent.lost_bytes;
}

const char *tgt_sent_check(const struct tgt_adapter *a, const struct tgt_conn *conn);

#endif
