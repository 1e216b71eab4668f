/* SPDX-License-Identifier: BSD-2-Clause */
/* Data through the pass-through driver: requests, completions, indications, frames. */
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
#include "pt_stack.h"
#include "req.h"

/* ---- I/O ------------------------------------------------------------------------------------- */

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

/* The target indicates received data; the protocol answers as the test has told it to. */
static NDIS_STATUS indicate_consumed(NET_BUFFER_LIST *chain, ULONG *consumed)
{
	return stack.adapter->up.NdisTcpOffloadReceiveHandler(
		fake_adapter_object(stack.adapter, 2)->ndis_handle, chain, NDIS_STATUS_SUCCESS,
		consumed);
}

static void indicate(NET_BUFFER_LIST *chain)
{
	ULONG consumed;

	assert_int_equal(indicate_consumed(chain, &consumed), NDIS_STATUS_SUCCESS);
}

static void do_receive_return(void)
{
	NET_BUFFER_LIST *chain = chain_new(2);

	fake_stack_offload(&stack);
	indicate(chain);
	fake_log_clear(&stack.log);
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
		status = indicate_consumed(nbl, &consumed);
		call = fake_log_only(&stack.log, FAKE_PR_TCP_RECEIVE);
		REQ("IMD-26", call->pointer == nbl && call->value == NDIS_STATUS_SUCCESS &&
				      status == outcomes[i].answer &&
				      consumed == outcomes[i].consumed);
		REQ("IMD-29", call->context == fake_stack_handle(&stack, 2));
		if (status == NDIS_STATUS_SUCCESS)
			NdisOffloadTcpReceiveReturn(stack.binding->handle, nbl);
	}
	chain_free(nbl);
}
AT_EACH_DEPTH(receive_indications)

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

/* ---- Frames ---------------------------------------------------------------------------------- */

static void do_plain_path(void)
{
	NET_BUFFER_LIST *chain = chain_new(2);

	NdisSendNetBufferLists(stack.binding->handle, chain, 0, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_SEND_PLAIN)->pointer, chain);
	NdisMSendNetBufferListsComplete(stack.adapter->handle, chain, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->pointer, chain);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->context,
			 stack.binding);
	chain_free(chain);
	chain = chain_new(2);
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, chain, 0, 2, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_RECEIVE_PLAIN)->pointer, chain);
	assert_int_equal(fake_log_only(&stack.log, FAKE_PR_RECEIVE_PLAIN)->value, 2);
	NdisReturnNetBufferLists(stack.binding->handle, chain, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RETURN_PLAIN)->pointer, chain);
	chain_free(chain);
}
AT_EACH_DEPTH(plain_path)

/* ---- Memory that is not there ---------------------------------------------------------------- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io),
		cmocka_unit_test(completion_in_pieces),
		cmocka_unit_test(receive_return),
		cmocka_unit_test(events),
		cmocka_unit_test(receive_indications),
		cmocka_unit_test(neighbor_event),
		cmocka_unit_test(plain_path),
		cmocka_unit_test(test_send_no_memory),
		cmocka_unit_test(test_other_io_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
