/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State operations, I/O and indications between one protocol and one miniport, through the public
 * functions. What happens with drivers in between is in tests/unit/im.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "fake/fake_stack.h"
#include "req.h"

static struct fake_stack stack;

static int setup(void **state)
{
	(void)state;
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stack_stop(&stack);
	return 0;
}

/* ---- State operations ------------------------------------------------------------------------ */

static void test_initiate(void **state)
{
	struct fake_block *root = fake_tree_connection(&stack.tree), *tcp = &stack.tree.blocks[2];
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *seen;
	const struct fake_call *call;
	size_t i;

	(void)state;
	NdisInitiateOffload(stack.binding->handle, &root->list);
	call = fake_log_only(&stack.log, FAKE_MP_INITIATE);
	/* Handed over and not over: the miniport kept the pointer, the protocol knows nothing yet.
	 */
	REQ("OFF-01", call->context == stack.adapter && call->pointer == root &&
			      !fake_log_count(&stack.log, FAKE_PR_INITIATE_COMPLETE));
	for (i = 0; i < 3; i++) {
		seen = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&stack.tree.blocks[i].list;
		REQ("BLK-21",
		    seen->NdisOffloadHandle == &stack.tree.blocks[i].own_handle &&
			    seen->MiniportOffloadContext ==
				    &stack.tree.blocks[i].own_handle.MiniportOffloadContext);
		REQ("BLK-19", *seen->MiniportOffloadContext == NULL);
	}
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	call = fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE);
	assert_ptr_equal(call->context, stack.binding);
	assert_ptr_equal(call->pointer, root);
	for (i = 0; i < 3; i++) {
		REQ("BLK-20",
		    stack.tree.blocks[i].list.OffloadHandle == &stack.tree.blocks[i].own_handle &&
			    stack.tree.blocks[i].list.Status == NDIS_STATUS_SUCCESS);
		assert_ptr_equal(stack.tree.blocks[i].own_handle.MiniportOffloadContext,
				 fake_adapter_object(stack.adapter, i));
	}
	REQ("STA-10", NdisOffloadFirstState(&tcp->list)->Length == sizeof(TCP_OFFLOAD_STATE_CONST));
	REQ("STA-11", tcp->list.Header.Revision == 1);
	assert_int_equal(fake_adapter_object(stack.adapter, 2)->type, TcpOffloadState);
}

/* What is nobody's but the protocol's survives the journey; NDIS keeps to NdisReserved and
 * SourceHandle. */
static void test_reserved_members(void **state)
{
	struct fake_block *root = fake_tree_connection(&stack.tree), *block;
	NET_BUFFER_LIST chain = { .Next = NULL };
	uintptr_t mark = 0x1000;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++, mark += 16) {
		block = &stack.tree.blocks[i];
		block->list.ProtocolReserved[0] = (PVOID)(mark + 1);
		block->list.ProtocolReserved[1] = (PVOID)(mark + 2);
		block->list.ImReserved[0] = (PVOID)(mark + 3);
		block->list.ImReserved[1] = (PVOID)(mark + 4);
		block->list.MiniportReserved[1] = (PVOID)(mark + 5);
		block->list.Scratch[0] = (PVOID)(mark + 6);
		block->list.PortNumber = (ULONG)mark;
		block->list.NetBufferListChain = &chain;
	}
	NdisInitiateOffload(stack.binding->handle, &root->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	for (i = 0, mark = 0x1000; i < 3; i++, mark += 16) {
		block = &stack.tree.blocks[i];
		REQ("BLK-14", block->list.ProtocolReserved[0] == (PVOID)(mark + 1) &&
				      block->list.ProtocolReserved[1] == (PVOID)(mark + 2) &&
				      block->list.ImReserved[0] == (PVOID)(mark + 3) &&
				      block->list.ImReserved[1] == (PVOID)(mark + 4) &&
				      block->list.MiniportReserved[1] == (PVOID)(mark + 5) &&
				      block->list.Scratch[0] == (PVOID)(mark + 6) &&
				      block->list.PortNumber == (ULONG)mark &&
				      block->list.NetBufferListChain == &chain);
	}
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, &chain);
}

static const struct op_case {
	VOID (*call)(NDIS_HANDLE, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST);
	const char *id;
} op_cases[FAKE_OPS] = {
	[FAKE_INITIATE] = { NdisInitiateOffload, "OFF-01" },
	[FAKE_TERMINATE] = { NdisTerminateOffload, "TRM-12" },
	[FAKE_UPDATE] = { NdisUpdateOffload, "UPD-01" },
	[FAKE_INVALIDATE] = { NdisInvalidateOffload, "INV-01" },
	[FAKE_QUERY] = { NdisQueryOffloadState, "QRY-01" },
};

static void run_op(enum fake_op op, NDIS_OFFLOAD_HANDLE *handle)
{
	struct fake_tree tree;
	struct fake_block *block;
	const struct fake_call *down, *up;

	fake_tree_init(&tree);
	block = fake_block_refer(&tree, NULL, TcpOffloadDelegatedState, handle);
	fake_log_clear(&stack.log);
	op_cases[op].call(stack.binding->handle, &block->list);
	down = fake_log_only(&stack.log, FAKE_MP_INITIATE + op);
	REQ(op_cases[op].id,
	    down->context == stack.adapter && down->pointer == block && stack.log.count == 1);
	fake_adapter_complete(stack.adapter, op);
	up = fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE + op);
	REQ(op_cases[op].id,
	    up->context == stack.binding && up->pointer == block && stack.log.count == 2);
	REQ("BLK-20",
	    block->list.OffloadHandle == handle && block->list.Status == NDIS_STATUS_SUCCESS);
}

static void test_other_operations(void **state)
{
	(void)state;
	fake_stack_offload(&stack);
	run_op(FAKE_QUERY, fake_stack_handle(&stack, 2));
	run_op(FAKE_UPDATE, fake_stack_handle(&stack, 2));
	run_op(FAKE_INVALIDATE, fake_stack_handle(&stack, 2));
	run_op(FAKE_TERMINATE, fake_stack_handle(&stack, 2));
	assert_int_equal(fake_adapter_live(stack.adapter), 2);
}

static void test_query_answer(void **state)
{
	struct fake_tree tree;
	struct fake_block *block;
	TCP_OFFLOAD_STATE_DELEGATED *delegated;

	(void)state;
	fake_stack_offload(&stack);
	fake_tree_init(&tree);
	block = fake_block_refer(&tree, NULL, TcpOffloadDelegatedState,
				 fake_stack_handle(&stack, 2));
	delegated = (TCP_OFFLOAD_STATE_DELEGATED *)NdisOffloadFirstState(&block->list);
	NdisQueryOffloadState(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	assert_int_equal(delegated->SndUna,
			 fake_query_value(fake_adapter_object(stack.adapter, 2)));
}

/* Each block has a status of its own, and whatever the target says comes out. */
static NDIS_STATUS verdict_by_layer(void *ctx, enum fake_op op,
				    const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	const NDIS_STATUS *statuses = ctx;

	(void)op;
	return block->Header.Type == NeighborOffloadState ? statuses[0]
	       : block->Header.Type == TcpOffloadState    ? statuses[2]
							  : statuses[1];
}

static void test_statuses(void **state)
{
	static NDIS_STATUS statuses[] = { NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS,
					  NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES,
					  NDIS_STATUS_FAILURE };
	struct fake_block *root = fake_tree_connection(&stack.tree), *holder, *tcp;

	(void)state;
	holder = fake_block_add(&stack.tree, NULL, Ip4OffloadState, FAKE_PLACEHOLDER);
	tcp = fake_block_add(&stack.tree, holder, TcpOffloadState, FAKE_NEW);
	stack.mp.verdict = verdict_by_layer;
	stack.mp.verdict_ctx = statuses;
	NdisInitiateOffload(stack.binding->handle, &root->list);
	assert_null(((NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&holder->list)->MiniportOffloadContext);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_int_equal(root->list.Status, NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS);
	assert_int_equal(stack.tree.blocks[1].list.Status, NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES);
	assert_int_equal(stack.tree.blocks[2].list.Status, NDIS_STATUS_FAILURE);
	assert_int_equal(holder->list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(tcp->list.Status, NDIS_STATUS_FAILURE);
	assert_non_null(root->own_handle.MiniportOffloadContext);
	assert_null(stack.tree.blocks[2].own_handle.MiniportOffloadContext);
}

/* A linker names an object that exists: the target sees it as such, and what hangs below it is new.
 */
static void test_linker(void **state)
{
	struct fake_tree tree;
	struct fake_block *linker, *tcp;
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *seen;

	(void)state;
	fake_stack_offload(&stack);
	fake_tree_init(&tree);
	linker = fake_block_refer(&tree, NULL, Ip4OffloadState, fake_stack_handle(&stack, 1));
	tcp = fake_block_add(&tree, linker, TcpOffloadState, FAKE_NEW);
	NdisInitiateOffload(stack.binding->handle, &linker->list);
	seen = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&linker->list;
	assert_ptr_equal(*seen->MiniportOffloadContext, fake_adapter_object(stack.adapter, 1));
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_ptr_equal(tcp->own_handle.MiniportOffloadContext,
			 fake_adapter_object(stack.adapter, 3));
	assert_int_equal(fake_adapter_live(stack.adapter), 4);
}

/* A target may complete inside the call; the protocol may go on from inside its completion handler.
 */
static struct fake_tree second_tree;

static void offload_again(struct fake_binding *binding, enum fake_kind kind,
			  NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	(void)kind;
	(void)list;
	binding->pr->on_complete = NULL;
	fake_tree_init(&second_tree);
	NdisInitiateOffload(binding->handle, &fake_tree_connection(&second_tree)->list);
}

static void test_inline_completion(void **state)
{
	struct fake_block *root = fake_tree_connection(&stack.tree);

	(void)state;
	stack.mp.complete_inline = true;
	stack.pr.on_complete = offload_again;
	NdisInitiateOffload(stack.binding->handle, &root->list);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_INITIATE_COMPLETE), 2);
	assert_int_equal(fake_adapter_live(stack.adapter), 6);
	assert_ptr_not_equal(second_tree.blocks[2].own_handle.MiniportOffloadContext, NULL);
}

/* A tree that goes below TCP never reaches the miniport; every block says so. */
static void test_too_deep_tree(void **state)
{
	struct fake_block *root = fake_tree_connection(&stack.tree), *deep;

	(void)state;
	deep = fake_block_add(&stack.tree, &stack.tree.blocks[2], TcpOffloadState, FAKE_NEW);
	NdisInitiateOffload(stack.binding->handle, &root->list);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_INITIATE), 0);
	fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE);
	assert_int_equal(root->list.Status, NDIS_STATUS_FAILURE);
	assert_int_equal(stack.tree.blocks[2].list.Status, NDIS_STATUS_FAILURE);
	assert_null(deep->own_handle.MiniportOffloadContext);
}

/* ---- I/O ------------------------------------------------------------------------------------- */

static void check_io(enum fake_io io, NDIS_STATUS (*call)(PNDIS_OFFLOAD_HANDLE, PNET_BUFFER_LIST),
		     const char *id)
{
	NET_BUFFER_LIST nbl[2] = { { .Next = &nbl[1] }, { .Status = 0 } };
	const struct fake_call *down, *up;
	NDIS_STATUS status;

	fake_log_clear(&stack.log);
	status = call(fake_stack_handle(&stack, 2), nbl);
	down = fake_log_only(&stack.log, FAKE_MP_SEND + io);
	REQ(id, status == NDIS_STATUS_PENDING && down->context == stack.adapter &&
			stack.log.count == 1);
	REQ("IMD-17",
	    down->object == fake_adapter_object(stack.adapter, 2) && down->pointer == nbl);
	REQ("BLK-33", down->object == fake_stack_handle(&stack, 2)->MiniportOffloadContext);
	nbl[0].Status = nbl[1].Status = NDIS_STATUS_UPLOAD_IN_PROGRESS;
	fake_adapter_complete_io(stack.adapter, io, nbl);
	up = fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE + io);
	REQ(id, stack.log.count == 2);
	REQ("IMD-18", up->context == stack.binding && up->pointer == nbl &&
			      nbl[0].Next == &nbl[1] &&
			      nbl[1].Status == NDIS_STATUS_UPLOAD_IN_PROGRESS);
	REQ("REG-16", up->pointer == nbl);
}

static void test_io(void **state)
{
	(void)state;
	fake_stack_offload(&stack);
	check_io(FAKE_SEND, NdisOffloadTcpSend, "SND-01");
	check_io(FAKE_RECEIVE, NdisOffloadTcpReceive, "RCV-01");
	check_io(FAKE_FORWARD, NdisOffloadTcpForward, "FWD-01");
}

static void test_disconnect(void **state)
{
	static const ULONG flags[] = { TCP_DISCONNECT_GRACEFUL_CLOSE,
				       TCP_DISCONNECT_ABORTIVE_CLOSE };
	NET_BUFFER_LIST nbl = { .Status = 0 };
	const struct fake_call *down;
	NDIS_STATUS status;
	size_t i;

	(void)state;
	fake_stack_offload(&stack);
	for (i = 0; i < 2; i++) {
		fake_log_clear(&stack.log);
		status = NdisOffloadTcpDisconnect(fake_stack_handle(&stack, 2), &nbl, flags[i]);
		down = fake_log_only(&stack.log, FAKE_MP_DISCONNECT);
		REQ("DIS-01", status == NDIS_STATUS_PENDING && down->value == flags[i] &&
				      down->pointer == &nbl &&
				      down->object == fake_adapter_object(stack.adapter, 2));
		fake_adapter_complete_io(stack.adapter, FAKE_DISCONNECT, &nbl);
		REQ("DIS-01",
		    fake_log_only(&stack.log, FAKE_PR_DISCONNECT_COMPLETE)->pointer == &nbl);
	}
}

static void test_receive_return(void **state)
{
	NET_BUFFER_LIST nbl = { .Status = 0 };
	const struct fake_call *down;
	ULONG consumed = 0;

	(void)state;
	fake_stack_offload(&stack);
	assert_int_equal(stack.adapter->up.NdisTcpOffloadReceiveHandler(
				 fake_adapter_object(stack.adapter, 2)->ndis_handle, &nbl,
				 NDIS_STATUS_SUCCESS, &consumed),
			 NDIS_STATUS_SUCCESS);
	fake_log_clear(&stack.log);
	NdisOffloadTcpReceiveReturn(stack.binding->handle, &nbl);
	down = fake_log_only(&stack.log, FAKE_MP_RECEIVE_RETURN);
	/* Over when it returns: one call down, nothing up. */
	REQ("RCV-41",
	    down->context == stack.adapter && down->pointer == &nbl && stack.log.count == 1);
}

/* ---- Indications ----------------------------------------------------------------------------- */

static void test_tcp_events(void **state)
{
	static const struct {
		ULONG type, information;
	} events[] = {
		{ TcpIndicateSendBacklogChange, 123456 },
		{ TcpIndicateDisconnect, 0 },
		{ TcpIndicateRetrieve, HardwareFailure },
		{ TcpIndicateAbort, 0 },
		{ 0xFFFFFFFF, 0xFFFFFFFF },
	};
	const struct fake_call *call;
	size_t i;

	(void)state;
	fake_stack_offload(&stack);
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		fake_log_clear(&stack.log);
		stack.adapter->up.NdisTcpOffloadEventHandler(
			fake_adapter_object(stack.adapter, 2)->ndis_handle, events[i].type,
			events[i].information);
		call = fake_log_only(&stack.log, FAKE_PR_TCP_EVENT);
		REQ("EVT-02", call->context == fake_stack_handle(&stack, 2) &&
				      call->value == events[i].type &&
				      call->value2 == events[i].information);
		REQ("EVT-35", call->context == fake_stack_handle(&stack, 2));
	}
}

static void check_receive(NDIS_STATUS answer, ULONG consumed)
{
	NET_BUFFER_LIST nbl = { .Status = 0 };
	ULONG got = 0xDEAD;
	NDIS_STATUS status;
	const struct fake_call *call;

	fake_log_clear(&stack.log);
	stack.pr.receive_answer = answer;
	stack.pr.receive_consumed = consumed;
	status = stack.adapter->up.NdisTcpOffloadReceiveHandler(
		fake_adapter_object(stack.adapter, 2)->ndis_handle, &nbl, NDIS_STATUS_SUCCESS,
		&got);
	call = fake_log_only(&stack.log, FAKE_PR_TCP_RECEIVE);
	assert_ptr_equal(call->context, fake_stack_handle(&stack, 2));
	assert_ptr_equal(call->pointer, &nbl);
	assert_int_equal(call->value, NDIS_STATUS_SUCCESS);
	REQ("REG-16", status == answer && got == consumed);
	if (status == NDIS_STATUS_SUCCESS)
		NdisOffloadTcpReceiveReturn(stack.binding->handle, &nbl);
}

static void test_receive_indications(void **state)
{
	(void)state;
	fake_stack_offload(&stack);
	check_receive(NDIS_STATUS_SUCCESS, 0);
	check_receive(NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED, 0);
	check_receive(NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED, 1460);
	check_receive(NDIS_STATUS_NOT_ACCEPTED, 0);
}

struct event_block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST list;
	NEIGHBOR_OFFLOAD_STATE_CACHED cached;
};

static void test_neighbor_event(void **state)
{
	struct event_block block = { .list.Header.Type = NeighborOffloadCachedState };
	struct fake_object *neighbor;
	PVOID object, *slot;
	const struct fake_call *call;

	(void)state;
	fake_stack_offload(&stack);
	neighbor = fake_adapter_object(stack.adapter, 0);
	object = neighbor;
	slot = &object;
	block.list.NdisOffloadHandle = neighbor->ndis_handle;
	block.list.MiniportOffloadContext = slot;
	stack.pr.reachability = 4711;
	NdisMOffloadEventIndicate(stack.adapter->handle, &block.list, NeighborReachabilityQuery);
	call = fake_log_only(&stack.log, FAKE_PR_OFFLOAD_EVENT);
	REQ("EVT-35", call->context == stack.binding &&
			      call->object == fake_stack_handle(&stack, 0) &&
			      call->pointer == &block && call->value == NeighborReachabilityQuery);
	/* Answered in place; the block is the miniport's own again. */
	assert_int_equal(block.cached.HostReachabilityDelta, 4711);
	assert_ptr_equal(block.list.MiniportOffloadContext, slot);
	assert_ptr_equal(block.list.NdisOffloadHandle, neighbor->ndis_handle);
}

static void test_event_without_block(void **state)
{
	const struct fake_call *call;

	(void)state;
	fake_stack_offload(&stack);
	NdisMOffloadEventIndicate(stack.adapter->handle, NULL, NeighborReachabilityInDoubt);
	call = fake_log_only(&stack.log, FAKE_PR_OFFLOAD_EVENT);
	assert_null(call->pointer);
	assert_ptr_equal(call->context, stack.binding);
}

/* ---- Several adapters and protocols ---------------------------------------------------------- */

/* Two adapters of one driver: every completion and indication finds the binding of its own adapter.
 */
static void test_two_adapters(void **state)
{
	struct nrt_adapter_params params = { .name = "tgt1" };
	struct nrt_adapter *second;
	struct fake_adapter *adapter;
	struct fake_binding *binding;
	struct fake_tree tree;
	NET_BUFFER_LIST nbl = { .Status = 0 };

	(void)state;
	assert_int_equal(nrt_adapter_create(stack.mp.driver, &params, &second), 0);
	assert_int_equal(nrt_bind(stack.pr.driver, "tgt1"), 0);
	adapter = fake_miniport_adapter(&stack.mp, 1);
	binding = fake_protocol_binding(&stack.pr, 1);
	fake_stack_offload(&stack);
	fake_tree_init(&tree);
	NdisInitiateOffload(binding->handle, &fake_tree_connection(&tree)->list);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_INITIATE)->context, adapter);
	fake_adapter_complete(adapter, FAKE_INITIATE);
	REQ("REG-20", fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE)->context == binding);
	NdisOffloadTcpSend(&tree.blocks[2].own_handle, &nbl);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_SEND)->context, adapter);
	fake_adapter_complete_io(adapter, FAKE_SEND, &nbl);
	REQ("REG-20", fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE)->context == binding);
	assert_int_equal(nrt_adapter_destroy(second), 0);
	assert_true(adapter->halted);
	assert_false(stack.adapter->halted);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_initiate),
		TEST(test_reserved_members),
		TEST(test_other_operations),
		TEST(test_query_answer),
		TEST(test_statuses),
		TEST(test_linker),
		TEST(test_inline_completion),
		TEST(test_too_deep_tree),
		TEST(test_io),
		TEST(test_disconnect),
		TEST(test_receive_return),
		TEST(test_tcp_events),
		TEST(test_receive_indications),
		TEST(test_neighbor_event),
		TEST(test_event_without_block),
		TEST(test_two_adapters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
