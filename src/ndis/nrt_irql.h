/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_irql.h - the run-time twin of the _IRQL_requires_ annotations.
 *
 * There is no interrupt request level in user space. What the levels protect on Windows is, for us,
 * ownership: DISPATCH_LEVEL for an adapter means "on the thread that owns it", PASSIVE_LEVEL means
 * any thread. Debug builds abort when a driver breaks the rule, release builds compile the checks
 * away.
 */
#ifndef NDIS_NRT_IRQL_H
#define NDIS_NRT_IRQL_H

#include <stdbool.h>

/* A thread, as an address that is its own. NULL: no owner yet, which every thread satisfies. */
typedef const void *nrt_worker_id;

/*
 * nrt_worker_self() - the calling thread. Valid until it ends; a later thread may get the same
 * value.
 */
nrt_worker_id nrt_worker_self(void);

static inline bool nrt_irql_owned(nrt_worker_id owner)
{
	return !owner || owner == nrt_worker_self();
}

/* nrt_irql_bug() - say what was broken, and where, and abort. */
void nrt_irql_bug(const char *what, const char *function) __attribute__((noreturn));

#ifndef NDEBUG
/* The caller must be at DISPATCH_LEVEL for the adapter whose owner is given. */
#define NRT_ASSERT_DISPATCH(owner)                                                                 \
	do {                                                                                       \
		if (!nrt_irql_owned(owner))                                                        \
			nrt_irql_bug("not on the worker that owns the adapter", __func__);         \
	} while (0)
/* A rule of the interface that only a driver with a bug can break. */
#define NRT_ASSERT_DRIVER(cond)                                                                    \
	do {                                                                                       \
		if (!(cond))                                                                       \
			nrt_irql_bug("driver broke a rule: " #cond, __func__);                     \
	} while (0)
#else
#define NRT_ASSERT_DISPATCH(owner) ((void)0)
#define NRT_ASSERT_DRIVER(cond)    ((void)0)
#endif

#endif
