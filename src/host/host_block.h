/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_block.h - counted byte buffers that are faulted in before they are needed.
 *
 * The bytes of a connection's two queues pass through these at a hand-over. Fresh memory costs a
 * page fault each 4 KiB while the program stands still, so blocks are touched when they are made
 * and kept for the next hand-over.
 *
 * Context:   one worker; no locks.
 */
#ifndef HOST_HOST_BLOCK_H
#define HOST_HOST_BLOCK_H

#include <stddef.h>
#include <stdint.h>

struct host_block_pool {
	struct host_block *free; /* zero-initialised: empty */
	size_t free_bytes;
};

struct host_block {
	struct host_block_pool *pool;
	struct host_block *next;
	unsigned int refs;
	size_t size, len; /* bytes of room, bytes in use */
	uint8_t data[];
};

/* host_block_get() - an empty block with room for size bytes and one reference, or NULL. */
struct host_block *host_block_get(struct host_block_pool *pool, size_t size);
struct host_block *host_block_ref(struct host_block *block);
void host_block_put(struct host_block *block); /* NULL is fine */

/*
 * host_block_reserve() - make *block hold at least size bytes of room, contents kept. *block may
 * be NULL and must have one reference. 0 or -ENOMEM, then nothing has changed.
 */
int host_block_reserve(struct host_block_pool *pool, struct host_block **block, size_t size)
	__attribute__((warn_unused_result));
/* host_block_append() - copy behind what is there, growing it. 0 or -ENOMEM. */
int host_block_append(struct host_block_pool *pool, struct host_block **block, const void *data,
		      size_t len) __attribute__((warn_unused_result));

/*
 * host_block_pool_drain() - free what is kept. Blocks in use stay valid and are freed by their
 * last put.
 */
void host_block_pool_drain(struct host_block_pool *pool);

static inline size_t host_block_len(const struct host_block *block)
{
	return block ? block->len : 0;
}

#endif
