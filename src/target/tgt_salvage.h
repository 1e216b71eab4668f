/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_salvage.h - what a dead worker's arena says about its connections.
 *
 * The worker may have died between any two instructions, so nothing here follows a list or believes
 * a count. What is used are single words and what their order of storing promises:
 *
 *	snd_una      stored before the bytes below it are given back
 *	snd_max      stored before the segment leaves
 *	rcv_stored   stored after the bytes below it, before they are acknowledged or delivered
 *	flags        which FINs there were; stored before the number behind a FIN counts
 *	chunks       each says whose it is and the number of its first byte (tgt_chunk)
 *
 * Context:   any process that has the arena's descriptor; the worker is dead or stands still.
 */
#ifndef TARGET_TGT_SALVAGE_H
#define TARGET_TGT_SALVAGE_H

#include "target/tgt_store.h"

struct tgt_salvage;

enum tgt_salvage_queue {
	TGT_SALVAGE_RECEIVED = 0, /* accepted from the peer, perhaps not given to the host */
	TGT_SALVAGE_SENT = 1,     /* taken from the host, perhaps not acknowledged */
};

/*
 * tgt_salvage_open() - map the arena behind fd (borrowed) and look through its chunks once.
 * Returns:   0; -EPROTO when it is none, or of another version; -ENOMEM.
 */
int tgt_salvage_open(struct tgt_salvage **out, int fd);
void tgt_salvage_close(struct tgt_salvage *s); /* NULL is fine */

/* tgt_salvage_next() - walk the connections that the target had: start with NULL. */
const struct tgt_conn *tgt_salvage_next(const struct tgt_salvage *s, const struct tgt_conn *prev);

/* tgt_salvage_path() - addresses of a connection; NULL when the arena lies. */
const struct tgt_path *tgt_salvage_path(const struct tgt_salvage *s, const struct tgt_conn *conn);

/*
 * tgt_salvage_state() - a copy of the connection in which numbers, flags and TCP state agree;
 * queues, timers and everything about recovery are left out: a successor begins that anew.
 * rcv_nxt is the end of what was stored (and the peer's FIN).
 */
void tgt_salvage_state(const struct tgt_conn *conn, struct tgt_conn *to);

/*
 * tgt_salvage_bytes() - copy the bytes [from, from + max) of a queue, as far as they are there
 * without a gap.
 * Returns:   how many.
 */
uint32_t tgt_salvage_bytes(const struct tgt_salvage *s, const struct tgt_conn *conn,
			   enum tgt_salvage_queue queue, tcp_seq from, uint8_t *to, uint32_t max);

#endif
