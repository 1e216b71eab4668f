/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_UNIT      (64u << 10)
#define POOL_KEEP_BYTES (16u << 20) /* enough for the hand-overs that overlap on one worker */

/* The smallest that is large enough. */
static struct host_block *take_kept(struct host_block_pool *pool, size_t size)
{
	struct host_block **best = NULL, *block;

	for (struct host_block **at = &pool->free; *at; at = &(*at)->next)
		if ((*at)->size >= size && (!best || (*at)->size < (*best)->size))
			best = at;
	if (!best)
		return NULL;
	block = *best;
	*best = block->next;
	pool->free_bytes -= block->size;
	return block;
}

struct host_block *host_block_get(struct host_block_pool *pool, size_t size)
{
	struct host_block *block = take_kept(pool, size);

	if (!block) {
		size = (size + BLOCK_UNIT - 1) / BLOCK_UNIT * BLOCK_UNIT;
		if (size == 0)
			size = BLOCK_UNIT;
		block = malloc(sizeof(*block) + size);
		if (!block)
			return NULL;
		memset(block->data, 0, size); /* the page faults happen here */
		block->size = size;
	}
	block->pool = pool;
	block->next = NULL;
	block->refs = 1;
	block->len = 0;
	return block;
}

struct host_block *host_block_ref(struct host_block *block)
{
	block->refs++;
	return block;
}

void host_block_put(struct host_block *block)
{
	struct host_block_pool *pool;

	if (!block || --block->refs > 0)
		return;
	pool = block->pool;
	if (pool->free_bytes + block->size > POOL_KEEP_BYTES) {
		free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->free_bytes += block->size;
}

int host_block_reserve(struct host_block_pool *pool, struct host_block **block, size_t size)
{
	struct host_block *old = *block, *grown;

	if (old && old->size >= size)
		return 0;
	grown = host_block_get(pool, size);
	if (!grown)
		return -ENOMEM;
	if (old) {
		memcpy(grown->data, old->data, old->len);
		grown->len = old->len;
		host_block_put(old);
	}
	*block = grown;
	return 0;
}

int host_block_append(struct host_block_pool *pool, struct host_block **block, const void *data,
		      size_t len)
{
	size_t have = host_block_len(*block);

	if (len == 0)
		return 0;
	if (!*block || (*block)->size < have + len) {
		/*
		 * twice the need, so that a queue taken back in small pieces is not copied again
		 * and again
		 */
		int err = host_block_reserve(pool, block, have ? 2 * (have + len) : len);

		if (err < 0)
			return err;
	}
	memcpy((*block)->data + have, data, len);
	(*block)->len = have + len;
	return 0;
}

void host_block_pool_drain(struct host_block_pool *pool)
{
	while (pool->free) {
		struct host_block *block = pool->free;

		pool->free = block->next;
		free(block);
	}
	pool->free_bytes = 0;
}
