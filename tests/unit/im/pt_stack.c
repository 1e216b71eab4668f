/* SPDX-License-Identifier: BSD-2-Clause */
#include "pt_stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "im/passthru/passthru.h"

static const unsigned int depths[] = { 0, 1, 3 };
struct fake_stack stack;
unsigned int depth;
NDIS_HANDLE pool;

static void name_of(unsigned int level, char name[16])
{
	if (level)
		snprintf(name, 16, "pt%u", level - 1);
	else
		snprintf(name, 16, "tgt0");
}

void build(unsigned int drivers)
{
	NET_BUFFER_LIST_POOL_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 },
		.fAllocateNetBuffer = TRUE,
	};
	char below[16], name[16];
	unsigned int i;

	depth = drivers;
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	assert_int_equal(passthru_driver_register(), 0);
	for (i = 1; i <= drivers; i++) {
		name_of(i - 1, below);
		name_of(i, name);
		assert_int_equal(passthru_insert(below, name), 0);
	}
	name_of(drivers, name);
	fake_stack_bind(&stack, name);
	pool = NdisAllocateNetBufferListPool(NULL, &params);
	fake_log_clear(&stack.log);
}

void tear_down(void)
{
	char name[16];
	unsigned int i;

	fake_stack_terminate(&stack, &stack.tree, stack.binding);
	fake_tree_init(&stack.tree);
	fake_stack_unbind(&stack);
	for (i = depth; i >= 1; i--) {
		name_of(i, name);
		assert_int_equal(passthru_remove(name), 0);
	}
	passthru_driver_deregister();
	fake_stack_stop(&stack);
	NdisFreeNetBufferListPool(pool);
}

void at_each_depth(void (*test)(void))
{
	size_t i;

	for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		build(depths[i]);
		test();
		tear_down();
	}
}

struct fake_block *refer_all(struct fake_tree *tree, OFFLOAD_STATE_TYPE tcp_type)
{
	struct fake_block *neighbor, *path;

	fake_tree_init(tree);
	neighbor = fake_block_refer(tree, NULL, NeighborOffloadDelegatedState,
				    fake_stack_handle(&stack, 0));
	path = fake_block_refer(tree, neighbor, Ip4OffloadDelegatedState,
				fake_stack_handle(&stack, 1));
	fake_block_refer(tree, path, tcp_type, fake_stack_handle(&stack, 2));
	return neighbor;
}

NET_BUFFER_LIST *chain_new(size_t count)
{
	NET_BUFFER_LIST *chain = NULL, *nbl;

	while (count--) {
		nbl = NdisAllocateNetBufferList(pool, 0, 0);
		assert_non_null(nbl);
		nbl->Next = chain;
		chain = nbl;
	}
	return chain;
}

void chain_free(NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *next;

	for (; chain; chain = next) {
		next = chain->Next;
		assert_null(chain->Context);
		NdisFreeNetBufferList(chain);
	}
}
