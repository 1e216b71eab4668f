/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_chunk.h - bytes in the arena: chunks of TGT_CHUNK_BYTES and lists of them.
 *
 * Send data (tgt_sendq), out-of-order data (tgt_reasm) and received data that waits for the
 * application (tgt_deliver) are lists of chunks. Everything is reached by arena references, so the
 * keeper can read it. An append stores the bytes first and the length last: what a list says it
 * holds is always there. A chunk of a connection's two queues also says whose it is and which
 * sequence number its first byte has, so that it can be found without the list, which may be half
 * changed when the worker dies (tgt_salvage).
 *
 * Context:   worker that owns the arena.
 */
#ifndef TARGET_TGT_CHUNK_H
#define TARGET_TGT_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/seq.h"

struct tgt_adapter;

#define TGT_CHUNK_MARKS 6u

struct tgt_chunk {
	arena_ref next;
	union {
		struct {
			uint16_t off; /* first byte in use */
			uint16_t len; /* bytes in use; 0 only in an empty chunk being filled */
		};
		uint32_t span; /* both, to be changed in one store */
	};
	uint16_t marks;
	uint16_t mark[TGT_CHUNK_MARKS]; /* ends of send requests, counted from data[0]; the last one
					   gives way */
	uint16_t holds; /* NET_BUFFER_LISTs of the host that describe bytes of it (tgt_indicate) */
	uint32_t owner; /* tgt_conn.owner, plus 1 when sent; 0: none that lasts */
	tcp_seq seq;    /* of data[0], when there is an owner */
	uint8_t data[];
};

#define TGT_CHUNK_ROOM (4096u - sizeof(struct tgt_chunk))

struct tgt_chunk_list {
	arena_ref head, tail;
	uint32_t bytes;
	uint32_t chunks;
};

/* tgt_chunk_at() - the chunk behind a reference, NULL for ARENA_NULL. */
struct tgt_chunk *tgt_chunk_at(const struct tgt_adapter *a, arena_ref ref);

/*
 * tgt_chunks_append() - copy len bytes to the end of the list, filling the last chunk first.
 * Returns:   0; -ENOBUFS when the pool is used up, the list is then as before.
 */
int tgt_chunks_append(struct tgt_adapter *a, struct tgt_chunk_list *list, const uint8_t *data,
		      uint32_t len);

/* tgt_chunks_append_as() - the same with owner and sequence number of the first byte noted. */
int tgt_chunks_append_as(struct tgt_adapter *a, struct tgt_chunk_list *list, const uint8_t *data,
			 uint32_t len, uint32_t owner, tcp_seq seq);

/* tgt_chunk_eat() - the first n bytes (n < len) of a chunk are over, in one store. */
static inline void tgt_chunk_eat(struct tgt_chunk *c, uint32_t n)
{
	const struct tgt_chunk now = { .off = (uint16_t)(c->off + n),
				       .len = (uint16_t)(c->len - n) };

	*(volatile uint32_t *)&c->span = now.span;
}

/* tgt_chunks_drop() - give back the first n bytes (n <= bytes) and the chunks that become empty. */
void tgt_chunks_drop(struct tgt_adapter *a, struct tgt_chunk_list *list, uint32_t n);

/* tgt_chunks_truncate() - forget everything beyond the first n bytes. */
void tgt_chunks_truncate(struct tgt_adapter *a, struct tgt_chunk_list *list, uint32_t n);

/* tgt_chunks_free() - give back everything. */
void tgt_chunks_free(struct tgt_adapter *a, struct tgt_chunk_list *list);

/* tgt_chunks_join() - move all of tail behind list; tail is empty afterwards. */
void tgt_chunks_join(struct tgt_adapter *a, struct tgt_chunk_list *list,
		     struct tgt_chunk_list *tail);

/* tgt_chunks_check() - NULL when the counts of the list agree with its chunks, else what is wrong.
 */
const char *tgt_chunks_check(const struct tgt_adapter *a, const struct tgt_chunk_list *list);

#endif
