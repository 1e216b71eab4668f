/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pt_stack.h - a stack of fake protocol, N pass-through drivers and fake miniport, for N = 0, 1 and
 * 3: seen from both ends the drivers in between must not be there, so most tests run once per N.
 *
 *     static void do_something(void) { ... stack, depth, pool ... }
 *     AT_EACH_DEPTH(something)
 */
#ifndef TESTS_PT_STACK_H
#define TESTS_PT_STACK_H

#include "fake/fake_stack.h"

extern struct fake_stack stack;
extern unsigned int depth; /* drivers in between */
extern NDIS_HANDLE pool;   /* for lists of the tests */

/* build() - tgt0, pass-through drivers pt0 and so on, the protocol on top; the log empty. */
void build(unsigned int drivers);

/* tear_down() - terminates what stack.tree has offloaded, then takes everything apart. */
void tear_down(void);

void at_each_depth(void (*test)(void));

#define AT_EACH_DEPTH(name)                                                                        \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		at_each_depth(do_##name);                                                          \
	}

/*
 * refer_all() - neighbor, path and connection of stack.tree in one tree, as operations after the
 * initiate name them. Returns the root.
 */
struct fake_block *refer_all(struct fake_tree *tree, OFFLOAD_STATE_TYPE tcp_type);

/* What NdisMOffloadEventIndicate() takes for a neighbor. */
struct event_block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST list;
	NEIGHBOR_OFFLOAD_STATE_CACHED cached;
};

/* A chain of lists of the pool. chain_free() fails when one still has context space of a driver. */
NET_BUFFER_LIST *chain_new(size_t count);
void chain_free(NET_BUFFER_LIST *chain);

#endif
