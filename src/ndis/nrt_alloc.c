/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_alloc.h"

#include <stdlib.h>
#include <string.h>

#include "ndis/nrt.h"

static long fail_after = -1; /* allocations until the one that fails; negative: never */
static size_t count;         /* pieces of memory in use */

void nrt_fail_alloc_after(long count)
{
	__atomic_store_n(&fail_after, count, __ATOMIC_RELAXED);
}

static int fails_now(void)
{
	if (__atomic_load_n(&fail_after, __ATOMIC_RELAXED) < 0)
		return 0;
	return __atomic_fetch_sub(&fail_after, 1, __ATOMIC_RELAXED) == 0;
}

void *nrt_zalloc(size_t size_bytes)
{
	/* malloc() aligns to 16 on every 64-bit platform, which is MEMORY_ALLOCATION_ALIGNMENT. */
	void *memory = fails_now() ? NULL : calloc(1, size_bytes ? size_bytes : 1);

	if (memory)
		__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	return memory;
}

void nrt_free(void *memory)
{
	if (memory)
		__atomic_sub_fetch(&count, 1, __ATOMIC_RELAXED);
	free(memory);
}

size_t nrt_alloc_count(void)
{
	return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

char *nrt_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = nrt_zalloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}
