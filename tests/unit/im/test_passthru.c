/* SPDX-License-Identifier: BSD-2-Clause */
/* State operations through the pass-through driver: trees, entries and call entries. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "im/passthru/passthru.h"
#include "im/passthru/pt_private.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_private.h"
#include "pt_stack.h"
#include "req.h"

/* ---- State operations ------------------------------------------------------------------------ */

/* The IM offload entries between our handle and the target's object, from the top down. */
static void check_entry(const struct fake_block *block, const struct fake_object *object)
{
	const NDIS_OFFLOAD_HANDLE *upper = &block->own_handle;
	const struct pt_entry *entry;
	unsigned int i;

	for (i = 0; i < depth; i++) {
		entry = upper->MiniportOffloadContext;
		REQ("IMD-06", entry->upper == upper);
		upper = &entry->handle;
	}
	assert_ptr_equal(upper->MiniportOffloadContext, object);
	assert_ptr_equal(object->ndis_handle, upper);
}

static void do_initiate(void)
{
	struct fake_block *root = fake_tree_connection(&stack.tree), *block;
	PVOID im[2] = { &stack, &depth }, source = &pool;
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *seen;
	struct fake_object *object;
	const struct fake_call *up;
	size_t i;

	/* The outermost driver is itself a caller that may have something there. */
	root->list.ImReserved[0] = im[0];
	root->list.ImReserved[1] = im[1];
	root->list.SourceHandle = source;
	NdisInitiateOffload(stack.binding->handle, &root->list);
	REQ("IMD-14", fake_log_only(&stack.log, FAKE_MP_INITIATE)->pointer == root);
	REQ("IMD-10", fake_log_only(&stack.log, FAKE_MP_INITIATE)->context == stack.adapter);
	for (i = 0; i < 3; i++) {
		seen = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&stack.tree.blocks[i].list;
		assert_non_null(seen->MiniportOffloadContext);
		/* With a driver in between, the target gets that driver's handle, not ours. */
		REQ("IMD-09",
		    (seen->NdisOffloadHandle == &stack.tree.blocks[i].own_handle) == (depth == 0));
		REQ("BLK-21", seen->MiniportOffloadContext ==
				      &((NDIS_OFFLOAD_HANDLE *)seen->NdisOffloadHandle)
					       ->MiniportOffloadContext);
		assert_null(stack.tree.blocks[i].own_handle.MiniportOffloadContext);
	}
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	up = fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE);
	REQ("IMD-13", up->context == stack.binding && up->pointer == root);
	REQ("IMD-12", root->list.ImReserved[0] == im[0] && root->list.ImReserved[1] == im[1]);
	for (i = 0; i < 3; i++) {
		block = &stack.tree.blocks[i];
		object = fake_adapter_object(stack.adapter, i);
		assert_int_equal(block->list.Status, NDIS_STATUS_SUCCESS);
		assert_ptr_equal(block->list.OffloadHandle, &block->own_handle);
		/* Our context is the entry of the driver below us: the target's own only when there
		 * is none between. */
		REQ("IMD-08",
		    block->own_handle.MiniportOffloadContext &&
			    (block->own_handle.MiniportOffloadContext == object) == (depth == 0));
		check_entry(block, object);
	}
}
AT_EACH_DEPTH(initiate)

static const struct op_case {
	VOID (*call)(NDIS_HANDLE, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST);
	OFFLOAD_STATE_TYPE type; /* of the TCP block */
} op_cases[FAKE_OPS] = {
	[FAKE_UPDATE] = { NdisUpdateOffload, TcpOffloadCachedState },
	[FAKE_INVALIDATE] = { NdisInvalidateOffload, TcpOffloadState },
	[FAKE_QUERY] = { NdisQueryOffloadState, TcpOffloadDelegatedState },
	[FAKE_TERMINATE] = { NdisTerminateOffload, TcpOffloadDelegatedState },
};

static void run_op(enum fake_op op)
{
	static struct fake_tree tree;
	struct fake_block *root = refer_all(&tree, op_cases[op].type);
	const struct fake_call *up;
	size_t i;

	fake_log_clear(&stack.log);
	op_cases[op].call(stack.binding->handle, &root->list);
	REQ("IMD-10", fake_log_only(&stack.log, FAKE_MP_INITIATE + op)->pointer == root);
	for (i = 0; i < 3; i++)
		REQ("IMD-07", *((NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&tree.blocks[i].list)
					      ->MiniportOffloadContext ==
				      fake_adapter_object(stack.adapter, i));
	fake_adapter_complete(stack.adapter, op);
	up = fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE + op);
	REQ("IMD-13", up->context == stack.binding && up->pointer == root);
	for (i = 0; i < 3; i++) {
		assert_int_equal(tree.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
		assert_ptr_equal(tree.blocks[i].list.OffloadHandle, fake_stack_handle(&stack, i));
	}
	/* State is written in place by the target and read in place by the protocol. */
	if (op == FAKE_QUERY) {
		TCP_OFFLOAD_STATE_DELEGATED *tcp =
			(void *)NdisOffloadFirstState(&tree.blocks[2].list);

		REQ("IMD-14",
		    tcp->SndUna == fake_query_value(fake_adapter_object(stack.adapter, 2)));
	}
}

static void do_operations(void)
{
	fake_stack_offload(&stack);
	run_op(FAKE_QUERY);
	run_op(FAKE_UPDATE);
	run_op(FAKE_QUERY);
	run_op(FAKE_INVALIDATE);
	run_op(FAKE_TERMINATE);
	assert_int_equal(fake_adapter_live(stack.adapter), 0);
	fake_tree_init(&stack.tree);
}
AT_EACH_DEPTH(operations)

/* Two operations of one object in flight, completed in the other order: each finds its own call
 * entry. */
static void do_overlap(void)
{
	static struct fake_tree query_tree, update_tree;
	struct fake_block *query, *update;

	fake_stack_offload(&stack);
	query = refer_all(&query_tree, TcpOffloadDelegatedState);
	update = refer_all(&update_tree, TcpOffloadCachedState);
	query->list.ImReserved[0] = &query_tree;
	update->list.ImReserved[0] = &update_tree;
	NdisQueryOffloadState(stack.binding->handle, &query->list);
	NdisUpdateOffload(stack.binding->handle, &update->list);
	fake_adapter_complete(stack.adapter, FAKE_UPDATE);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_QUERY_COMPLETE), 0);
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	REQ("IMD-12",
	    query->list.ImReserved[0] == &query_tree && update->list.ImReserved[0] == &update_tree);
	REQ("IMD-11", fake_log_only(&stack.log, FAKE_PR_UPDATE_COMPLETE)->pointer == update &&
			      fake_log_only(&stack.log, FAKE_PR_QUERY_COMPLETE)->pointer == query);
	assert_ptr_equal(query->list.OffloadHandle, fake_stack_handle(&stack, 0));
	assert_ptr_equal(update->list.OffloadHandle, fake_stack_handle(&stack, 0));
}
AT_EACH_DEPTH(overlap)

/* ---- Random forests -------------------------------------------------------------------------- */

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % below;
}

/* By the PortNumber alone, so that the same forest gets the same answers whatever lies in between.
 */
static NDIS_STATUS random_verdict(void *ctx, enum fake_op op,
				  const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	static const NDIS_STATUS answers[] = { NDIS_STATUS_SUCCESS, NDIS_STATUS_SUCCESS,
					       NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS,
					       NDIS_STATUS_OFFLOAD_TCP_ENTRIES,
					       NDIS_STATUS_FAILURE };

	(void)ctx;
	(void)op;
	return answers[block->PortNumber % 5];
}

static void grow_row(struct fake_tree *tree, struct fake_block *parent, unsigned int level)
{
	static const OFFLOAD_STATE_TYPE types[] = { NeighborOffloadState, Ip6OffloadState,
						    TcpOffloadState };
	uint32_t wanted = 1 + rnd(3);
	struct fake_block *block;

	while (wanted-- && tree->count < FAKE_TREE_BLOCKS) {
		block = fake_block_add(tree, parent, types[level],
				       rnd(4) ? FAKE_NEW : FAKE_PLACEHOLDER);
		block->list.PortNumber = rnd(1000);
		if (level < 2 && rnd(4))
			grow_row(tree, block, level + 1);
	}
}

static bool has_object(NDIS_STATUS status)
{
	return status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

static size_t check_forest(const struct fake_tree *tree)
{
	const struct fake_block *block;
	NDIS_STATUS expected;
	size_t i, objects = 0;

	for (i = 0; i < tree->count; i++) {
		block = &tree->blocks[i];
		expected = NDIS_STATUS_SUCCESS;
		if (block->list.OffloadHandle) {
			expected = random_verdict(
				NULL, FAKE_INITIATE,
				(const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&block->list);
			assert_ptr_equal(block->list.OffloadHandle, &block->own_handle);
			assert_int_equal(block->own_handle.MiniportOffloadContext != NULL,
					 has_object(expected));
			objects += has_object(expected);
		}
		assert_int_equal(block->list.Status, expected);
	}
	return objects;
}

/* What NDIS counts for the binding on the target. */
static unsigned int objects_of(const struct nrt_adapter *adapter)
{
	return adapter->offload_open ? adapter->offload_open->live : 0;
}

static void do_forests(void)
{
	static struct fake_tree tree;
	uint64_t seed;

	for (seed = 1; seed <= 300; seed++) {
		rng = seed;
		fake_tree_init(&tree);
		fake_log_clear(&stack.log);
		stack.adapter->object_count = 0;
		stack.mp.verdict = random_verdict;
		grow_row(&tree, NULL, 0);
		NdisInitiateOffload(stack.binding->handle, &tree.blocks[0].list);
		fake_adapter_complete(stack.adapter, FAKE_INITIATE);
		assert_int_equal(check_forest(&tree), fake_adapter_live(stack.adapter));
		assert_int_equal(objects_of(stack.nrt), fake_adapter_live(stack.adapter));
		fake_stack_terminate(&stack, &tree, stack.binding);
		assert_int_equal(fake_adapter_live(stack.adapter), 0);
		assert_int_equal(objects_of(stack.nrt), 0);
	}
}
AT_EACH_DEPTH(forests)

/* ---- Registration ---------------------------------------------------------------------------- */

static void test_registration(void **state)
{
	(void)state;
	REQ("IMD-01", pt_provider_generic.InitiateOffloadHandler &&
			      pt_provider_generic.TerminateOffloadHandler &&
			      pt_provider_generic.UpdateOffloadHandler &&
			      pt_provider_generic.InvalidateOffloadHandler &&
			      pt_provider_generic.QueryOffloadHandler &&
			      pt_provider_tcp.TcpOffloadSendHandler &&
			      pt_provider_tcp.TcpOffloadReceiveHandler &&
			      pt_provider_tcp.TcpOffloadDisconnectHandler &&
			      pt_provider_tcp.TcpOffloadForwardHandler &&
			      pt_provider_tcp.TcpOffloadReceiveReturnHandler);
	assert_int_equal(passthru_driver_register(), 0);
	assert_int_equal(passthru_driver_register(), -EALREADY);
	assert_int_equal(passthru_insert("nowhere", "pt0"), -ENOENT);
	assert_int_equal(passthru_remove("pt0"), -ENOENT);
	passthru_driver_deregister();
	/* The offload through it works, so both edges are registered. */
	build(1);
	fake_stack_offload(&stack);
	REQ("IMD-02", fake_adapter_live(stack.adapter) == 3);
	assert_int_equal(passthru_insert("tgt0", "pt0"), -EEXIST);
	tear_down();
}

static void check_refused(size_t live_before)
{
	const struct fake_block *block;
	size_t i;

	for (i = 0; i < stack.tree.count; i++) {
		block = &stack.tree.blocks[i];
		assert_int_equal(block->list.Status,
				 i ? NDIS_STATUS_FAILURE : NDIS_STATUS_RESOURCES);
		assert_null(block->own_handle.MiniportOffloadContext);
		assert_ptr_equal(block->list.OffloadHandle, &block->own_handle);
	}
	assert_int_equal(fake_adapter_live(stack.adapter), live_before);
}

/* ---- Memory that is not there ---------------------------------------------------------------- */

/* Each allocation of an initiate through three drivers fails once: nothing is offloaded, nothing
 * half done or lost. */
static void test_initiate_no_memory(void **state)
{
	struct fake_block *root;
	long n;

	(void)state;
	build(3);
	stack.mp.complete_inline = true;
	for (n = 0;; n++) {
		fake_log_clear(&stack.log);
		fake_tree_init(&stack.tree);
		root = fake_tree_connection(&stack.tree);
		nrt_fail_alloc_after(n);
		NdisInitiateOffload(stack.binding->handle, &root->list);
		nrt_fail_alloc_after(-1);
		fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE);
		if (root->list.Status == NDIS_STATUS_SUCCESS)
			break;
		assert_int_equal(fake_log_count(&stack.log, FAKE_MP_INITIATE), 0);
		check_refused(0);
	}
	assert_int_equal(n, 3 * (1 + 3)); /* per driver a call entry and three offload entries */
	assert_int_equal(fake_adapter_live(stack.adapter), 3);
	tear_down();
}

/*
 * What takes a connection down needs no memory, in any of the drivers: a host that is short of it
 * uploads first of all. The allocation that would have failed is still to come afterwards.
 */
static void run_without_memory(enum fake_op op)
{
	static struct fake_tree tree;
	struct fake_block *root = refer_all(&tree, op_cases[op].type);
	size_t i;

	fake_log_clear(&stack.log);
	nrt_fail_alloc_after(0);
	op_cases[op].call(stack.binding->handle, &root->list);
	fake_log_only(&stack.log, FAKE_MP_INITIATE + op);
	fake_adapter_complete(stack.adapter, op);
	assert_null(nrt_zalloc(1));
	nrt_fail_alloc_after(-1);
	fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE + op);
	for (i = 0; i < 3; i++)
		assert_int_equal(tree.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
}

static void test_terminate_no_memory(void **state)
{
	size_t before = nrt_alloc_count();

	(void)state;
	build(3);
	fake_stack_offload(&stack);
	run_without_memory(FAKE_INVALIDATE);
	run_without_memory(FAKE_TERMINATE);
	assert_int_equal(fake_adapter_live(stack.adapter), 0);
	fake_tree_init(&stack.tree);
	tear_down();
	assert_int_equal(nrt_alloc_count(), before);
}

/* An update that lacks memory fails alone: the connection stays, and comes up later. */
static void test_update_no_memory(void **state)
{
	static struct fake_tree tree;
	struct fake_block *root;
	size_t i;
	long n;

	(void)state;
	build(3);
	fake_stack_offload(&stack);
	for (n = 0; n < 3; n++) {
		root = refer_all(&tree, TcpOffloadCachedState);
		fake_log_clear(&stack.log);
		nrt_fail_alloc_after(n);
		NdisUpdateOffload(stack.binding->handle, &root->list);
		nrt_fail_alloc_after(-1);
		fake_log_only(&stack.log, FAKE_PR_UPDATE_COMPLETE);
		assert_int_equal(fake_log_count(&stack.log, FAKE_MP_UPDATE), 0);
		for (i = 0; i < 3; i++)
			assert_int_equal(tree.blocks[i].list.Status, NDIS_STATUS_FAILURE);
	}
	assert_int_equal(fake_adapter_live(stack.adapter), 3);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initiate),
		cmocka_unit_test(operations),
		cmocka_unit_test(overlap),
		cmocka_unit_test(forests),
		cmocka_unit_test(test_registration),
		cmocka_unit_test(test_initiate_no_memory),
		cmocka_unit_test(test_terminate_no_memory),
		cmocka_unit_test(test_update_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
