/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - one worker's memory for connections: a memfd that another process can map.
 *
 * Everything that must survive the worker lives here: per-connection engine state, data waiting to
 * be sent or acknowledged, received data not yet delivered. References inside are 32-bit offsets
 * (arena_ref), never pointers, so that the keeper may map the file at any address. Memory is
 * divided into pools of equal objects, made once at start; taking and giving back an object is a
 * few instructions and never a system call.
 *
 * Context:   one worker; no locks. The keeper reads only after the worker has died.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_MAGIC     0x63686d6eu /* "chmn" */
#define ARENA_VERSION   3u
#define ARENA_NULL      0u
#define ARENA_POOLS_MAX 8

typedef uint32_t arena_ref; /* byte offset from the start of the arena / ARENA_ALIGN; 0 is none */
#define ARENA_ALIGN 64u     /* unit of a reference: 4 G * 64 bytes = 256 GiB of arena */

struct arena;

struct arena_pool_spec {
	const char *name;      /* up to 15 characters; lets the keeper find the pool */
	uint32_t object_bytes; /* rounded up to ARENA_ALIGN */
	uint32_t count;
	uint32_t zero_bytes; /* that arena_take() clears at the front; 0: the whole object */
};

/*
 * arena_create() - make the memfd and its pools.
 * Returns:   0; -EINVAL for too many pools or a size over the limit of references, -ENOMEM or the
 *            error of memfd_create(), ftruncate() or mmap().
 */
int arena_create(struct arena **out, const char *name, const struct arena_pool_spec *pools,
		 unsigned int count);

/*
 * arena_attach() - map the arena behind fd (borrowed) read-write; -EPROTO when magic or version
 * differ.
 */
int arena_attach(struct arena **out, int fd);

void arena_destroy(struct arena *arena);
int arena_fd(const struct arena *arena);

/* arena_pool() - index of the pool of that name, or -ENOENT. */
int arena_pool(const struct arena *arena, const char *name);

/*
 * arena_take() - an object of a pool, zeroed as far as the pool's zero_bytes say, or NULL when it
 * is used up.
 */
void *arena_take(struct arena *arena, unsigned int pool);
void arena_give(struct arena *arena, unsigned int pool, void *object);

uint32_t arena_used(const struct arena *arena, unsigned int pool);
uint32_t arena_count(const struct arena *arena, unsigned int pool);
uint32_t arena_object_bytes(const struct arena *arena, unsigned int pool);

/*
 * arena_order() - what was stored before is in the arena before what is stored after. A worker that
 * is killed has done its stores in the order of its instructions, so the compiler alone is bound.
 */
static inline void arena_order(void)
{
	__asm__ volatile("" ::: "memory");
}

/* arena_find() - the object behind a reference that may be garbage, or NULL when the pool has none
 * there in use. */
void *arena_find(const struct arena *arena, unsigned int pool, arena_ref ref);

/* arena_next() - walk the objects in use: start with NULL; returns NULL after the last one. */
void *arena_next(const struct arena *arena, unsigned int pool, const void *object);

/* References. A reference of memory outside the arena is a bug and aborts. */
arena_ref arena_ref_of(const struct arena *arena, const void *object);
void *arena_ptr(const struct arena *arena, arena_ref ref);

#endif
