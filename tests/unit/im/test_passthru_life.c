/* SPDX-License-Identifier: BSD-2-Clause */
/* Lives of the pass-through driver's bindings and virtual miniports, and what it says of them. */
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

/* ---- Memory that is not there ---------------------------------------------------------------- */

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
	fake_stack_terminate(&stack, &tree, other);
	fake_protocol_deregister(&second);
	assert_int_equal(passthru_remove("pt-b"), 0);
	tear_down();
}

/* A protocol removes the other virtual miniport while the driver tells both of something. */
static void remove_other(struct fake_binding *binding, enum fake_kind kind)
{
	const char *other = strcmp(binding->adapter_name, "pt0") == 0 ? "pt-b" : "pt0";

	(void)kind;
	binding->pr->on_indication = NULL;
	passthru_remove(other);
	assert_null(nrt_adapter_find(other));
}

static void test_remove_inside_indication(void **state)
{
	static struct fake_protocol second;
	NET_BUFFER_LIST *list;
	int frames;

	(void)state;
	for (frames = 0; frames <= 1; frames++) {
		build(1);
		list = chain_new(1);
		assert_int_equal(passthru_insert("tgt0", "pt-b"), 0);
		fake_protocol_init(&second, &stack.log);
		assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
		assert_int_equal(nrt_bind(second.driver, "pt-b"), 0);
		second.on_indication = remove_other; /* the newest is told first */
		fake_log_clear(&stack.log);
		if (frames) {
			/* It only looked at the frame; nobody is left to take it. */
			NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, list, 0, 1, 0);
			assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 1);
			assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RETURN_PLAIN)->pointer,
					 list);
		} else {
			fake_indicate_status(stack.adapter, NDIS_STATUS_UPLOAD_ALL, NULL, 0);
			assert_int_equal(fake_log_count(&stack.log, FAKE_PR_STATUS), 1);
		}
		chain_free(list);
		fake_protocol_deregister(&second);
		assert_int_equal(passthru_remove("pt-b"), 0);
		depth = 0; /* pt0 is gone already */
		tear_down();
	}
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

/* ---- Going with something left --------------------------------------------------------------- */

/* RCV-44 through any number of drivers: while the protocol has a list, nothing below it halts. */
static void test_halt_waits_for_lists(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i <= 3; i += 3) {
		NET_BUFFER_LIST *list;
		ULONG consumed = 0;
		int turns = 0;

		build(i);
		list = chain_new(1);
		fake_stack_offload(&stack);
		assert_int_equal(stack.adapter->up.NdisTcpOffloadReceiveHandler(
					 fake_adapter_object(stack.adapter, 2)->ndis_handle, list,
					 NDIS_STATUS_SUCCESS, &consumed),
				 NDIS_STATUS_SUCCESS);
		fake_stack_terminate(&stack, &stack.tree, stack.binding);
		assert_int_equal(nrt_adapter_destroy(stack.nrt), -EINPROGRESS);
		assert_int_equal(nrt_pump(), 1 + i);
		REQ("RCV-44",
		    !stack.adapter->halted && !fake_log_count(&stack.log, FAKE_MP_RECEIVE_RETURN));
		NdisOffloadTcpReceiveReturn(stack.binding->closing, list);
		assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RECEIVE_RETURN)->pointer, list);
		while (nrt_pump() && turns < 10)
			turns++;
		REQ("RCV-44", stack.adapter->halted);
		chain_free(list);
		fake_protocol_deregister(&stack.pr);
		passthru_driver_deregister();
		fake_miniport_deregister(&stack.mp);
		NdisFreeNetBufferListPool(pool);
	}
}

/* A protocol that goes without terminating what it offloaded leaves no memory behind in between. */
static void test_halt_with_objects(void **state)
{
	size_t before = nrt_alloc_count();

	(void)state;
	build(3);
	fake_stack_offload(&stack);
	fake_tree_init(&stack.tree); /* forgotten */
	tear_down();
	assert_int_equal(nrt_alloc_count(), before);
}

/* The same with the binding below still in use: indications for objects without an owner end. */
static void test_orphans(void **state)
{
	struct fake_object *neighbor, *tcp;
	struct event_block block = { .list.Header.Type = NeighborOffloadCachedState };
	size_t before = nrt_alloc_count();
	NET_BUFFER_LIST *list;
	ULONG consumed = 7;
	PVOID object;

	(void)state;
	build(1);
	assert_int_equal(passthru_insert("tgt0", "pt-b"), 0);
	list = chain_new(1);
	fake_stack_offload(&stack);
	fake_tree_init(&stack.tree);
	fake_stack_unbind(&stack);
	assert_int_equal(passthru_remove("pt0"), 0);
	fake_log_clear(&stack.log);
	neighbor = fake_adapter_object(stack.adapter, 0);
	tcp = fake_adapter_object(stack.adapter, 2);
	object = neighbor;
	block.list.NdisOffloadHandle = neighbor->ndis_handle;
	block.list.MiniportOffloadContext = &object;
	NdisMOffloadEventIndicate(stack.adapter->handle, &block.list, NeighborReachabilityQuery);
	stack.adapter->up.NdisTcpOffloadEventHandler(tcp->ndis_handle, TcpIndicateAbort, 0);
	assert_int_equal(stack.adapter->up.NdisTcpOffloadReceiveHandler(
				 tcp->ndis_handle, list, NDIS_STATUS_SUCCESS, &consumed),
			 NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED);
	assert_int_equal(consumed, 0);
	assert_int_equal(stack.log.count, 0);
	chain_free(list);
	assert_int_equal(passthru_remove("pt-b"), 0);
	depth = 0;
	passthru_driver_deregister();
	fake_stack_stop(&stack);
	NdisFreeNetBufferListPool(pool);
	assert_int_equal(nrt_alloc_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities),
		cmocka_unit_test(sets_pass),
		cmocka_unit_test(status_passes),
		cmocka_unit_test(test_insert_no_memory),
		cmocka_unit_test(test_two_above_one),
		cmocka_unit_test(test_remove_inside_indication),
		cmocka_unit_test(test_destroy_from_below),
		cmocka_unit_test(test_halt_waits_for_lists),
		cmocka_unit_test(test_halt_with_objects),
		cmocka_unit_test(test_orphans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
