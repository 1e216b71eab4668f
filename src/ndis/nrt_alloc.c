/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_alloc.h"

#include <stdlib.h>
#include <string.h>

#include "ndis/nrt.h"

static long fail_after = -1; /* allocations until the one that fails; negative: never */

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
	return fails_now() ? NULL : calloc(1, size_bytes ? size_bytes : 1);
}

void nrt_free(void *memory)
{
	free(memory);
}

char *nrt_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = nrt_zalloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}
