/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout: one header page, then per pool a byte map (1 = in use) and a stack of free indices, then
 * the objects. The byte map is what the keeper trusts after a crash: it is set before an object is
 * handed out and cleared when it comes back, while the free stack may be half written at any
 * instruction.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct pool_header {
	char name[16];
	uint32_t object_bytes;
	uint32_t count;
	uint32_t used;
	uint32_t free_top; /* number of indices on the free stack */
	uint32_t zero_bytes;
	uint32_t reserved;
	uint64_t map_off;
	uint64_t stack_off;
	uint64_t objects_off;
};

struct arena_header {
	uint32_t magic;
	uint32_t version;
	uint64_t bytes;
	uint32_t pool_count;
	uint32_t reserved;
	struct pool_header pools[ARENA_POOLS_MAX];
};

struct arena {
	uint8_t *base;
	struct arena_header *header;
	int fd;
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint64_t plan(struct arena_header *h, const struct arena_pool_spec *specs,
		     unsigned int count)
{
	uint64_t off = round_up(sizeof(*h), 4096);

	for (unsigned int i = 0; i < count; i++) {
		struct pool_header *p = &h->pools[i];

		strncpy(p->name, specs[i].name, sizeof(p->name) - 1);
		p->object_bytes = (uint32_t)round_up(specs[i].object_bytes, ARENA_ALIGN);
		p->count = specs[i].count;
		p->zero_bytes = specs[i].zero_bytes ? specs[i].zero_bytes : p->object_bytes;
		p->map_off = off;
		off = round_up(off + p->count, ARENA_ALIGN);
		p->stack_off = off;
		off = round_up(off + 4ull * p->count, 4096);
		p->objects_off = off;
		off = round_up(off + (uint64_t)p->object_bytes * p->count, 4096);
	}
	return off;
}

static uint32_t *free_stack(const struct arena *a, const struct pool_header *p)
{
	return (uint32_t *)(void *)(a->base + p->stack_off);
}

/*
 * The stack of a new pool is implicit: indices beyond every one ever used are handed out in order.
 */
static uint32_t pop_index(const struct arena *a, struct pool_header *p)
{
	if (p->free_top)
		return free_stack(a, p)[--p->free_top];
	return p->used;
}

static int map_arena(struct arena *a, uint64_t bytes)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	a->base = base;
	a->header = base;
	return 0;
}

int arena_create(struct arena **out, const char *name, const struct arena_pool_spec *pools,
		 unsigned int count)
{
	struct arena_header header = { .magic = ARENA_MAGIC,
				       .version = ARENA_VERSION,
				       .pool_count = count };
	struct arena *a;
	int err;

	if (!count || count > ARENA_POOLS_MAX)
		return -EINVAL;
	header.bytes = plan(&header, pools, count);
	if (header.bytes / ARENA_ALIGN > UINT32_MAX)
		return -EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->fd = memfd_create(name, MFD_CLOEXEC);
	if (a->fd < 0 || ftruncate(a->fd, (off_t)header.bytes) < 0) {
		err = -errno;
		goto fail;
	}
	err = map_arena(a, header.bytes);
	if (err)
		goto fail;
	*a->header = header;
	*out = a;
	return 0;
fail:
	if (a->fd >= 0)
		close(a->fd);
	free(a);
	return err;
}

/* Does the file lie about itself? Everything that an access is computed from is looked at. */
static bool sound(const struct arena_header *h, uint64_t bytes)
{
	if (h->magic != ARENA_MAGIC || h->version != ARENA_VERSION || h->bytes != bytes ||
	    h->pool_count > ARENA_POOLS_MAX)
		return false;
	for (uint32_t i = 0; i < h->pool_count; i++) {
		const struct pool_header *p = &h->pools[i];

		if (!p->object_bytes || p->object_bytes % ARENA_ALIGN || p->used > p->count ||
		    p->free_top > p->count || p->map_off > bytes || p->objects_off > bytes ||
		    p->objects_off % ARENA_ALIGN || p->count > bytes - p->map_off ||
		    p->stack_off > bytes || 4ull * p->count > bytes - p->stack_off ||
		    (uint64_t)p->object_bytes * p->count > bytes - p->objects_off)
			return false;
	}
	return true;
}

int arena_attach(struct arena **out, int fd)
{
	struct stat st;
	struct arena *a;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((size_t)st.st_size < sizeof(struct arena_header))
		return -EPROTO;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->fd = dup(fd);
	err = a->fd < 0 ? -errno : map_arena(a, (uint64_t)st.st_size);
	if (err)
		goto fail;
	if (!sound(a->header, (uint64_t)st.st_size)) {
		munmap(a->base, (size_t)st.st_size);
		err = -EPROTO;
		goto fail;
	}
	*out = a;
	return 0;
fail:
	if (a->fd >= 0)
		close(a->fd);
	free(a);
	return err;
}

void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	munmap(arena->base, arena->header->bytes);
	close(arena->fd);
	free(arena);
}

int arena_fd(const struct arena *arena)
{
	return arena->fd;
}

int arena_pool(const struct arena *arena, const char *name)
{
	for (unsigned int i = 0; i < arena->header->pool_count; i++)
		if (!strncmp(arena->header->pools[i].name, name,
			     sizeof(arena->header->pools[i].name)))
			return (int)i;
	return -ENOENT;
}

void *arena_take(struct arena *arena, unsigned int pool)
{
	struct pool_header *p = &arena->header->pools[pool];
	uint32_t index;
	void *object;

	if (p->used == p->count)
		return NULL;
	index = pop_index(arena, p);
	object = arena->base + p->objects_off + (uint64_t)index * p->object_bytes;
	memset(object, 0, p->zero_bytes);
	arena_order();
	arena->base[p->map_off + index] = 1;
	arena_order();
	p->used++;
	return object;
}

static uint32_t index_of(const struct arena *a, const struct pool_header *p, const void *object)
{
	uint64_t off = (uint64_t)((const uint8_t *)object - (a->base + p->objects_off));

	if (off % p->object_bytes || off / p->object_bytes >= p->count)
		abort(); /* not an object of this pool */
	return (uint32_t)(off / p->object_bytes);
}

void arena_give(struct arena *arena, unsigned int pool, void *object)
{
	struct pool_header *p = &arena->header->pools[pool];
	uint32_t index = index_of(arena, p, object);

	if (!arena->base[p->map_off + index])
		abort(); /* given back twice */
	arena->base[p->map_off + index] = 0;
	arena_order();
	free_stack(arena, p)[p->free_top++] = index;
	p->used--;
}

uint32_t arena_used(const struct arena *arena, unsigned int pool)
{
	return arena->header->pools[pool].used;
}

uint32_t arena_count(const struct arena *arena, unsigned int pool)
{
	return arena->header->pools[pool].count;
}

uint32_t arena_object_bytes(const struct arena *arena, unsigned int pool)
{
	return arena->header->pools[pool].object_bytes;
}

void *arena_find(const struct arena *arena, unsigned int pool, arena_ref ref)
{
	const struct pool_header *p = &arena->header->pools[pool];
	uint64_t off = (uint64_t)ref * ARENA_ALIGN - p->objects_off;

	if ((uint64_t)ref * ARENA_ALIGN < p->objects_off || off % p->object_bytes ||
	    off / p->object_bytes >= p->count || !arena->base[p->map_off + off / p->object_bytes])
		return NULL;
	return arena->base + p->objects_off + off;
}

void *arena_next(const struct arena *arena, unsigned int pool, const void *object)
{
	const struct pool_header *p = &arena->header->pools[pool];
	uint32_t i = object ? index_of(arena, p, object) + 1 : 0;

	for (; i < p->count; i++)
		if (arena->base[p->map_off + i])
			return arena->base + p->objects_off + (uint64_t)i * p->object_bytes;
	return NULL;
}

arena_ref arena_ref_of(const struct arena *arena, const void *object)
{
	uint64_t off;

	if (!object)
		return ARENA_NULL;
	off = (uint64_t)((const uint8_t *)object - arena->base);
	if (off >= arena->header->bytes || off % ARENA_ALIGN)
		abort();
	return (arena_ref)(off / ARENA_ALIGN);
}

void *arena_ptr(const struct arena *arena, arena_ref ref)
{
	return ref ? arena->base + (uint64_t)ref * ARENA_ALIGN : NULL;
}
