/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_alloc.h - memory of the runtime. One place, so that a test can let the Nth allocation of any
 * operation fail (nrt_fail_alloc_after() in nrt.h). Not for the data path.
 */
#ifndef NDIS_NRT_ALLOC_H
#define NDIS_NRT_ALLOC_H

#include <stddef.h>

/*
 * nrt_zalloc() - zeroed memory, aligned to 16 bytes; NULL when there is none. Give it back with
 * nrt_free().
 */
void *nrt_zalloc(size_t size_bytes) __attribute__((warn_unused_result, malloc));
void nrt_free(void *memory); /* NULL allowed */

/* nrt_alloc_count() - pieces of memory that are not given back: tests compare before and after. */
size_t nrt_alloc_count(void);

char *nrt_strdup(const char *text) __attribute__((warn_unused_result));

#endif
