/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stack of fake protocol, N pass-through drivers and fake miniport, for N = 0, 1 and 3: seen from
 * both ends the drivers in between must not be there. Every test runs once per N.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "fake/fake_stack.h"
#include "im/passthru/passthru.h"
#include "im/passthru/pt_private.h"
#include "req.h"

static const unsigned int depths[] = { 0, 1, 3 };
static struct fake_stack stack;
static unsigned int depth; /* drivers in between */
static NDIS_HANDLE pool;

static void name_of(unsigned int level, char name[16])
{
	if (level)
		snprintf(name, 16, "pt%u", level - 1);
	else
		snprintf(name, 16, "tgt0");
}

static void build(unsigned int drivers)
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

/* Terminate what a tree offloaded, each object in a root of its own. */
static void terminate_all(struct fake_tree *tree, struct fake_binding *binding)
{
	static struct fake_tree ends;
	size_t i;

	fake_tree_init(&ends);
	for (i = 0; i < tree->count; i++)
		if (tree->blocks[i].own_handle.MiniportOffloadContext)
			fake_block_refer(&ends, NULL, tree->blocks[i].list.Header.Type,
					 &tree->blocks[i].own_handle);
	if (!ends.count)
		return;
	stack.mp.verdict = NULL;
	stack.mp.complete_inline = true;
	NdisTerminateOffload(binding->handle, &ends.blocks[0].list);
	stack.mp.complete_inline = false;
	for (i = 0; i < ends.count; i++)
		assert_int_equal(ends.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
}

static void tear_down(void)
{
	char name[16];
	unsigned int i;

	terminate_all(&stack.tree, stack.binding);
	fake_stack_unbind(&stack);
	for (i = depth; i >= 1; i--) {
		name_of(i, name);
		assert_int_equal(passthru_remove(name), 0);
	}
	passthru_driver_deregister();
	fake_stack_stop(&stack);
	NdisFreeNetBufferListPool(pool);
}

static void at_each_depth(void (*test)(void))
{
	size_t i;

	for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		build(depths[i]);
		test();
		tear_down();
	}
}

#define AT_EACH_DEPTH(name)                                                                        \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		at_each_depth(do_##name);                                                          \
	}

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

/* A tree as it is used after the initiate: the objects are named from the leaf up to placeholders
 * or real parents. */
static struct fake_block *refer_all(struct fake_tree *tree, OFFLOAD_STATE_TYPE tcp_type)
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
		terminate_all(&tree, stack.binding);
		assert_int_equal(fake_adapter_live(stack.adapter), 0);
	}
}
AT_EACH_DEPTH(forests)

/* ---- I/O ------------------------------------------------------------------------------------- */

static NET_BUFFER_LIST *chain_new(size_t count)
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

static void chain_free(NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *next;

	for (; chain; chain = next) {
		next = chain->Next;
		assert_null(chain->Context);
		NdisFreeNetBufferList(chain);
	}
}

static NDIS_STATUS graceful(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST nbl)
{
	return NdisOffloadTcpDisconnect(handle, nbl, TCP_DISCONNECT_GRACEFUL_CLOSE);
}

static NDIS_STATUS abortive(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST nbl)
{
	return NdisOffloadTcpDisconnect(handle, nbl, TCP_DISCONNECT_ABORTIVE_CLOSE);
}

static const struct io_case {
	enum fake_io io;
	NDIS_STATUS (*call)(PNDIS_OFFLOAD_HANDLE, PNET_BUFFER_LIST);
	ULONG flags;
	const char *id;
} io_cases[] = {
	{ FAKE_SEND, NdisOffloadTcpSend, 0, "SND-01" },
	{ FAKE_RECEIVE, NdisOffloadTcpReceive, 0, "RCV-01" },
	{ FAKE_FORWARD, NdisOffloadTcpForward, 0, "FWD-01" },
	{ FAKE_DISCONNECT, graceful, TCP_DISCONNECT_GRACEFUL_CLOSE, "DIS-01" },
	{ FAKE_DISCONNECT, abortive, TCP_DISCONNECT_ABORTIVE_CLOSE, "DIS-01" },
};

static void run_io(const struct io_case *c)
{
	NET_BUFFER_LIST *chain = chain_new(3), *second = chain->Next;
	const struct fake_call *down, *up;
	NDIS_STATUS status;

	fake_log_clear(&stack.log);
	status = c->call(fake_stack_handle(&stack, 2), chain);
	down = fake_log_only(&stack.log, FAKE_MP_SEND + c->io);
	REQ("IMD-15", down->pointer == chain && down->value == c->flags && chain->Next == second);
	REQ("IMD-17", down->object == fake_adapter_object(stack.adapter, 2) &&
			      down->context == stack.adapter);
	REQ(c->id, status == NDIS_STATUS_PENDING);
	second->Status = NDIS_STATUS_REQUEST_ABORTED;
	fake_adapter_complete_io(stack.adapter, c->io, chain);
	up = fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE + c->io);
	REQ("IMD-19",
	    up->pointer == chain && up->context == stack.binding && chain->Next == second);
	REQ("IMD-18", up->pointer == chain && up->context == stack.binding);
	assert_int_equal(second->Status, NDIS_STATUS_REQUEST_ABORTED);
	REQ("IMD-20", !chain->Context && !second->Context && !second->Next->Context);
	chain_free(chain);
}

static void do_io(void)
{
	size_t i;

	fake_stack_offload(&stack);
	for (i = 0; i < sizeof(io_cases) / sizeof(io_cases[0]); i++)
		run_io(&io_cases[i]);
}
AT_EACH_DEPTH(io)

/* A target completes in pieces of its own choice. */
static void do_completion_in_pieces(void)
{
	NET_BUFFER_LIST *chain = chain_new(3), *rest = chain->Next;

	fake_stack_offload(&stack);
	NdisOffloadTcpSend(fake_stack_handle(&stack, 2), chain);
	chain->Next = NULL;
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, rest);
	assert_ptr_equal(fake_log_last(&stack.log, FAKE_PR_SEND_COMPLETE)->pointer, rest);
	assert_int_equal(chain->Context != NULL, depth > 0); /* the other one is still on its way */
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, chain);
	assert_ptr_equal(fake_log_last(&stack.log, FAKE_PR_SEND_COMPLETE)->pointer, chain);
	chain_free(chain);
	chain_free(rest);
}
AT_EACH_DEPTH(completion_in_pieces)

static void do_receive_return(void)
{
	NET_BUFFER_LIST *chain = chain_new(2);

	fake_stack_offload(&stack);
	NdisOffloadTcpReceiveReturn(stack.binding->handle, chain);
	REQ("IMD-16", fake_log_only(&stack.log, FAKE_MP_RECEIVE_RETURN)->pointer == chain &&
			      stack.log.count == 1);
	REQ("RCV-41", fake_log_only(&stack.log, FAKE_MP_RECEIVE_RETURN)->context == stack.adapter);
	chain_free(chain);
}
AT_EACH_DEPTH(receive_return)

/* ---- Indications ----------------------------------------------------------------------------- */

static void do_events(void)
{
	static const ULONG types[] = { TcpIndicateSendBacklogChange, TcpIndicateDisconnect,
				       TcpIndicateRetrieve, TcpIndicateAbort };
	const struct fake_call *call;
	ULONG i;

	fake_stack_offload(&stack);
	for (i = 0; i < 4; i++) {
		fake_log_clear(&stack.log);
		stack.adapter->up.NdisTcpOffloadEventHandler(
			fake_adapter_object(stack.adapter, 2)->ndis_handle, types[i], 1000 + i);
		call = fake_log_only(&stack.log, FAKE_PR_TCP_EVENT);
		REQ("IMD-25", call->value == types[i] && call->value2 == 1000 + i);
		REQ("IMD-24", call->context == fake_stack_handle(&stack, 2));
		REQ("EVT-02",
		    call->context == fake_stack_handle(&stack, 2) && call->value == types[i]);
	}
}
AT_EACH_DEPTH(events)

static void do_receive_indications(void)
{
	static const struct {
		NDIS_STATUS answer;
		ULONG consumed;
	} outcomes[] = {
		{ NDIS_STATUS_SUCCESS, 0 },
		{ NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED, 0 },
		{ NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED, 700 },
	};
	NET_BUFFER_LIST *nbl = chain_new(1);
	const struct fake_call *call;
	NDIS_STATUS status;
	ULONG consumed;
	size_t i;

	fake_stack_offload(&stack);
	for (i = 0; i < 3; i++) {
		fake_log_clear(&stack.log);
		stack.pr.receive_answer = outcomes[i].answer;
		stack.pr.receive_consumed = outcomes[i].consumed;
		consumed = 0xBAD;
		status = stack.adapter->up.NdisTcpOffloadReceiveHandler(
			fake_adapter_object(stack.adapter, 2)->ndis_handle, nbl,
			NDIS_STATUS_SUCCESS, &consumed);
		call = fake_log_only(&stack.log, FAKE_PR_TCP_RECEIVE);
		REQ("IMD-26", call->pointer == nbl && call->value == NDIS_STATUS_SUCCESS &&
				      status == outcomes[i].answer &&
				      consumed == outcomes[i].consumed);
		REQ("IMD-29", call->context == fake_stack_handle(&stack, 2));
	}
	chain_free(nbl);
}
AT_EACH_DEPTH(receive_indications)

struct event_block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST list;
	NEIGHBOR_OFFLOAD_STATE_CACHED cached;
};

static void do_neighbor_event(void)
{
	struct event_block block = { .list.Header.Type = NeighborOffloadCachedState }, before;
	struct fake_object *neighbor;
	const struct fake_call *call;
	PVOID object;

	fake_stack_offload(&stack);
	neighbor = fake_adapter_object(stack.adapter, 0);
	object = neighbor;
	block.list.NdisOffloadHandle = neighbor->ndis_handle;
	block.list.MiniportOffloadContext = &object;
	block.list.MiniportReserved[0] = &block;
	before = block;
	stack.pr.reachability = 1234;
	NdisMOffloadEventIndicate(stack.adapter->handle, &block.list, NeighborReachabilityQuery);
	call = fake_log_only(&stack.log, FAKE_PR_OFFLOAD_EVENT);
	REQ("IMD-27", call->context == stack.binding && call->value == NeighborReachabilityQuery &&
			      block.cached.HostReachabilityDelta == 1234);
	REQ("IMD-28", call->object == fake_stack_handle(&stack, 0));
	assert_memory_equal(&block.list, &before.list,
			    sizeof(block.list)); /* the target's own again */
	assert_ptr_equal(object, neighbor);
}
AT_EACH_DEPTH(neighbor_event)

/* ---- Capabilities, requests, status ---------------------------------------------------------- */

static NDIS_STATUS request(NDIS_REQUEST_TYPE type, NDIS_OID oid, void *buffer, UINT bytes)
{
	NDIS_OID_REQUEST oid_request;

	fake_request_init(&oid_request, type, oid, buffer, bytes);
	return NdisOidRequest(stack.binding->handle, &oid_request);
}

static void do_capabilities(void)
{
	NDIS_TCP_CONNECTION_OFFLOAD offload, now = stack.mp.hardware;
	const NDIS_OID oid = OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES;

	assert_int_equal(request(NdisRequestQueryInformation, oid, &offload, sizeof(offload)),
			 NDIS_STATUS_SUCCESS);
	REQ("IMD-03", memcmp(&offload, &stack.mp.hardware, sizeof(offload)) == 0);
	assert_memory_equal(&stack.binding->hardware, &stack.mp.hardware, sizeof(offload));
	assert_memory_equal(&stack.binding->current, &stack.mp.current, sizeof(offload));
	/* The hardware changes: everybody above hears, and NDIS answers with it at every level. */
	now.TcpConnectionOffloadCapacity = 3;
	fake_indicate_status(stack.adapter,
			     NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &now,
			     sizeof(now));
	REQ("ADM-08", fake_log_only(&stack.log, FAKE_PR_STATUS)->context == stack.binding &&
			      memcmp(stack.binding->status_buffer, &now, sizeof(now)) == 0);
	assert_int_equal(request(NdisRequestQueryInformation, oid, &offload, sizeof(offload)),
			 NDIS_STATUS_SUCCESS);
	assert_int_equal(offload.TcpConnectionOffloadCapacity, 3);
}
AT_EACH_DEPTH(capabilities)

static void do_sets_pass(void)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT,
			    NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1 },
		.TicksPerSecond = 10,
	};
	NDIS_OID_REQUEST oid_request;
	NDIS_OID_REQUEST *seen;

	stack.mp.oid_status = NDIS_STATUS_PENDING;
	fake_request_init(&oid_request, NdisRequestSetInformation,
			  OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &params,
			  NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1);
	assert_int_equal(NdisOidRequest(stack.binding->handle, &oid_request), NDIS_STATUS_PENDING);
	seen = fake_log_only(&stack.log, FAKE_MP_OID)->pointer;
	REQ("IMD-03", seen->DATA.SET_INFORMATION.Oid == OID_TCP_CONNECTION_OFFLOAD_PARAMETERS &&
			      seen->DATA.SET_INFORMATION.InformationBuffer == &params);
	fake_adapter_complete_oid(stack.adapter, NDIS_STATUS_INVALID_DATA);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_OID_COMPLETE)->pointer, &oid_request);
	assert_int_equal((NDIS_STATUS)fake_log_only(&stack.log, FAKE_PR_OID_COMPLETE)->value,
			 NDIS_STATUS_INVALID_DATA);
}
AT_EACH_DEPTH(sets_pass)

static void do_status_passes(void)
{
	static const NDIS_STATUS codes[] = { NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL,
					     NDIS_STATUS_OFFLOAD_RESUME,
					     NDIS_STATUS_MEDIA_DISCONNECT };
	NDIS_TCP_CONNECTION_OFFLOAD now = stack.mp.current;
	size_t i;

	for (i = 0; i < 4; i++) {
		fake_log_clear(&stack.log);
		now.TcpConnectionOffloadCapacity = 40 + (ULONG)i;
		fake_indicate_status(stack.adapter, codes[i], &now, sizeof(now));
		assert_int_equal((NDIS_STATUS)fake_log_only(&stack.log, FAKE_PR_STATUS)->value,
				 codes[i]);
		assert_memory_equal(stack.binding->status_buffer, &now, sizeof(now));
	}
}
AT_EACH_DEPTH(status_passes)

static void do_plain_path(void)
{
	NET_BUFFER_LIST *chain = chain_new(2);

	NdisSendNetBufferLists(stack.binding->handle, chain, 0, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_SEND_PLAIN)->pointer, chain);
	NdisMSendNetBufferListsComplete(stack.adapter->handle, chain, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->pointer, chain);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->context,
			 stack.binding);
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, chain, 0, 2, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_RECEIVE_PLAIN)->pointer, chain);
	assert_int_equal(fake_log_only(&stack.log, FAKE_PR_RECEIVE_PLAIN)->value, 2);
	NdisReturnNetBufferLists(stack.binding->handle, chain, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RETURN_PLAIN)->pointer, chain);
	chain_free(chain);
}
AT_EACH_DEPTH(plain_path)

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

/* ---- Memory that is not there ---------------------------------------------------------------- */

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

/* Lists that bring no context space: the driver has to allocate its note, and cannot. */
static void test_send_no_memory(void **state)
{
	NET_BUFFER_LIST nbl[3] = { { .Next = &nbl[1] }, { .Next = &nbl[2] }, { .Next = NULL } };
	long n;

	(void)state;
	build(1);
	fake_stack_offload(&stack);
	for (n = 0; n < 3; n++) {
		fake_log_clear(&stack.log);
		nrt_fail_alloc_after(n);
		assert_int_equal(NdisOffloadTcpSend(fake_stack_handle(&stack, 2), nbl),
				 NDIS_STATUS_PENDING);
		nrt_fail_alloc_after(-1);
		REQ("IMD-22",
		    nbl[0].Status == NDIS_STATUS_REQUEST_UPLOAD &&
			    nbl[1].Status == NDIS_STATUS_UPLOAD_REQUESTED &&
			    nbl[2].Status == NDIS_STATUS_UPLOAD_REQUESTED &&
			    fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE)->pointer == nbl &&
			    !fake_log_count(&stack.log, FAKE_MP_SEND));
		assert_null(nbl[0].Context);
		assert_null(nbl[1].Context);
	}
	tear_down();
}

static void test_other_io_no_memory(void **state)
{
	NET_BUFFER_LIST nbl = { .Next = NULL };
	size_t i;

	(void)state;
	build(1);
	fake_stack_offload(&stack);
	for (i = 1; i < sizeof(io_cases) / sizeof(io_cases[0]); i++) {
		fake_log_clear(&stack.log);
		nrt_fail_alloc_after(0);
		assert_int_equal(io_cases[i].call(fake_stack_handle(&stack, 2), &nbl),
				 NDIS_STATUS_PENDING);
		nrt_fail_alloc_after(-1);
		fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE + io_cases[i].io);
		REQ("IMD-31", nbl.Status == NDIS_STATUS_UPLOAD_IN_PROGRESS &&
				      fake_log_only(&stack.log, FAKE_PR_TCP_EVENT)->value ==
					      TcpIndicateRetrieve &&
				      fake_log_only(&stack.log, FAKE_PR_TCP_EVENT)->value2 ==
					      UploadRequested &&
				      !fake_log_count(&stack.log, FAKE_MP_SEND + io_cases[i].io));
	}
	tear_down();
}

static void test_insert_no_memory(void **state)
{
	long n;
	int err;

	(void)state;
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	for (n = 0;; n++) {
		nrt_fail_alloc_after(n);
		err = passthru_driver_register();
		nrt_fail_alloc_after(-1);
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
	}
	assert_true(n >= 6); /* two drivers with two tables each */
	for (n = 0;; n++) {
		nrt_fail_alloc_after(n);
		err = passthru_insert("tgt0", "pt0");
		nrt_fail_alloc_after(-1);
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_null(nrt_adapter_find("pt0"));
	}
	assert_true(n >= 4);
	assert_int_equal(passthru_remove("pt0"), 0);
	passthru_driver_deregister();
	fake_stack_stop(&stack);
}

/* ---- Several virtual miniports above one adapter --------------------------------------------- */

/* The driver below completes the lists of both in one chain; each protocol gets its own. */
static void test_two_above_one(void **state)
{
	static struct fake_protocol second;
	static struct fake_tree tree;
	struct fake_binding *other;
	NET_BUFFER_LIST *mine, *theirs;

	(void)state;
	build(1);
	assert_int_equal(passthru_insert("tgt0", "pt-b"), 0);
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(second.driver, "pt-b"), 0);
	other = fake_protocol_binding(&second, 0);
	fake_stack_offload(&stack);
	fake_tree_init(&tree);
	NdisInitiateOffload(other->handle, &fake_tree_connection(&tree)->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE)->context, other);

	mine = chain_new(2);
	theirs = chain_new(1);
	NdisOffloadTcpSend(fake_stack_handle(&stack, 2), mine);
	NdisOffloadTcpSend(&tree.blocks[2].own_handle, theirs);
	mine->Next->Next = theirs;
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, mine);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_SEND_COMPLETE), 2);
	REQ("IMD-21", fake_log_last(&stack.log, FAKE_PR_SEND_COMPLETE)->context == other &&
			      fake_log_last(&stack.log, FAKE_PR_SEND_COMPLETE)->pointer == theirs &&
			      !mine->Next->Next);
	REQ("IMD-30", !mine->Context && !theirs->Context);
	stack.adapter->up.NdisTcpOffloadEventHandler(
		fake_adapter_object(stack.adapter, 5)->ndis_handle, TcpIndicateAbort, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_TCP_EVENT)->context,
			 &tree.blocks[2].own_handle);
	chain_free(mine);
	chain_free(theirs);
	terminate_all(&tree, other);
	fake_protocol_deregister(&second);
	assert_int_equal(passthru_remove("pt-b"), 0);
	tear_down();
}

/* ---- Taking apart from below ----------------------------------------------------------------- */

/* The adapter goes with a stack of three above it, while an operation is open: everything waits,
 * then goes. */
static void test_destroy_from_below(void **state)
{
	static struct fake_tree tree;
	unsigned int turns = 0;

	(void)state;
	build(3);
	fake_stack_offload(&stack);
	NdisTerminateOffload(stack.binding->handle,
			     &refer_all(&tree, TcpOffloadDelegatedState)->list);
	assert_int_equal(nrt_adapter_destroy(stack.nrt), -EINPROGRESS);
	assert_false(stack.adapter->halted);
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	fake_log_only(&stack.log, FAKE_PR_TERMINATE_COMPLETE);
	while (nrt_pump() && turns < 10)
		turns++;
	assert_true(stack.adapter->halted);
	assert_null(nrt_adapter_find("pt0"));
	assert_null(nrt_adapter_find("pt2"));
	fake_log_only(&stack.log, FAKE_PR_UNBIND);
	fake_protocol_deregister(&stack.pr);
	passthru_driver_deregister();
	fake_miniport_deregister(&stack.mp);
	NdisFreeNetBufferListPool(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initiate),
		cmocka_unit_test(operations),
		cmocka_unit_test(overlap),
		cmocka_unit_test(forests),
		cmocka_unit_test(io),
		cmocka_unit_test(completion_in_pieces),
		cmocka_unit_test(receive_return),
		cmocka_unit_test(events),
		cmocka_unit_test(receive_indications),
		cmocka_unit_test(neighbor_event),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(sets_pass),
		cmocka_unit_test(status_passes),
		cmocka_unit_test(plain_path),
		cmocka_unit_test(test_registration),
		cmocka_unit_test(test_initiate_no_memory),
		cmocka_unit_test(test_send_no_memory),
		cmocka_unit_test(test_other_io_no_memory),
		cmocka_unit_test(test_insert_no_memory),
		cmocka_unit_test(test_two_above_one),
		cmocka_unit_test(test_destroy_from_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
