/* SPDX-License-Identifier: BSD-2-Clause */
/* Status indications and the plain path: who hears of what, and who owns which list when. */
#include <errno.h>
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
static struct fake_protocol second;
static struct fake_binding *other;

static int setup(void **state)
{
	(void)state;
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(second.driver, "tgt0"), 0);
	other = fake_protocol_binding(&second, 0);
	fake_log_clear(&stack.log);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_protocol_deregister(&second);
	fake_stack_stop(&stack);
	return 0;
}

/* ---- Status ---------------------------------------------------------------------------------- */

static void test_everybody_hears(void **state)
{
	static const NDIS_STATUS codes[] = { NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL,
					     NDIS_STATUS_MEDIA_DISCONNECT,
					     NDIS_STATUS_MEDIA_CONNECT };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		fake_log_clear(&stack.log);
		fake_indicate_status(stack.adapter, codes[i], NULL, 0);
		assert_int_equal(fake_log_count(&stack.log, FAKE_PR_STATUS), 2);
		assert_int_equal((NDIS_STATUS)fake_log_last(&stack.log, FAKE_PR_STATUS)->value,
				 codes[i]);
	}
}

/* A resume carries the new configuration; from then on NDIS answers with it. */
static void test_resume(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD now = stack.mp.current;

	(void)state;
	now.TcpConnectionOffloadCapacity = 9;
	fake_indicate_status(stack.adapter, NDIS_STATUS_OFFLOAD_RESUME, &now, sizeof(now));
	assert_memory_equal(stack.binding->status_buffer, &now, sizeof(now));
	assert_memory_equal(other->status_buffer, &now, sizeof(now));
	REQ("STI-14",
	    nrt_adapter_offload(stack.nrt, false)->TcpConnectionOffloadCapacity == 9 &&
		    nrt_adapter_offload(stack.nrt, true)->TcpConnectionOffloadCapacity == 1024);
}

static void test_hardware_change(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD now = stack.mp.hardware;

	(void)state;
	now.TcpConnectionOffloadCapacity = 5;
	fake_indicate_status(stack.adapter,
			     NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &now,
			     sizeof(now));
	assert_int_equal(nrt_adapter_offload(stack.nrt, true)->TcpConnectionOffloadCapacity, 5);
	assert_int_equal(nrt_adapter_offload(stack.nrt, false)->TcpConnectionOffloadCapacity, 64);
}

/* A buffer that is too short, or says so, changes nothing; the indication goes on all the same. */
static void test_resume_malformed(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD now = stack.mp.current;

	(void)state;
	now.TcpConnectionOffloadCapacity = 9;
	fake_indicate_status(stack.adapter, NDIS_STATUS_OFFLOAD_RESUME, &now, 8);
	now.Header.Size = 4;
	fake_indicate_status(stack.adapter, NDIS_STATUS_OFFLOAD_RESUME, &now, sizeof(now));
	fake_indicate_status(stack.adapter, NDIS_STATUS_OFFLOAD_RESUME, NULL, 0);
	assert_int_equal(nrt_adapter_offload(stack.nrt, false)->TcpConnectionOffloadCapacity, 64);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_STATUS), 6);
}

static void test_one_destination(void **state)
{
	NDIS_STATUS_INDICATION indication = {
		.Header = { NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
			    NDIS_SIZEOF_STATUS_INDICATION_REVISION_1 },
		.StatusCode = NDIS_STATUS_OFFLOAD_PAUSE,
		.DestinationHandle = other->handle,
	};

	(void)state;
	NdisMIndicateStatusEx(stack.adapter->handle, &indication);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_STATUS)->context, other);
}

/* ---- Plain path ------------------------------------------------------------------------------ */

/* The miniport mixes the lists of two protocols in one completion; each protocol gets its own, in
 * order. */
static void test_send(void **state)
{
	NET_BUFFER_LIST nbl[4] = {
		{ .Next = &nbl[1] }, { .Next = NULL }, { .Next = &nbl[3] }, { .Next = NULL }
	};

	(void)state;
	NdisSendNetBufferLists(stack.binding->handle, &nbl[0], 0,
			       NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK);
	assert_ptr_equal(fake_log_last(&stack.log, FAKE_MP_SEND_PLAIN)->pointer, &nbl[0]);
	assert_int_equal(fake_log_last(&stack.log, FAKE_MP_SEND_PLAIN)->value,
			 NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK);
	NdisSendNetBufferLists(other->handle, &nbl[2], 0, 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_SEND_PLAIN), 2);
	nbl[1].Next = &nbl[2];
	NdisMSendNetBufferListsComplete(stack.adapter->handle, nbl, 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE), 2);
	assert_ptr_equal(fake_log_last(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->context, other);
	assert_ptr_equal(fake_log_last(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->pointer, &nbl[2]);
	assert_ptr_equal(nbl[0].Next, &nbl[1]);
	assert_null(nbl[1].Next);
	assert_ptr_equal(nbl[2].Next, &nbl[3]);
}

/* Exactly one protocol gets to keep the lists; the others see them for the time of the call. */
static void test_receive(void **state)
{
	NET_BUFFER_LIST nbl = { .Next = NULL };
	const struct fake_call *owner = NULL;
	size_t i, borrowed = 0;

	(void)state;
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &nbl, 0, 1, 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 2);
	for (i = 0; i < stack.log.count; i++) {
		if (stack.log.calls[i].value2 & NDIS_RECEIVE_FLAGS_RESOURCES)
			borrowed++;
		else
			owner = &stack.log.calls[i];
	}
	assert_int_equal(borrowed, 1);
	assert_non_null(owner);
	assert_ptr_equal(
		owner,
		fake_log_last(&stack.log,
			      FAKE_PR_RECEIVE_PLAIN)); /* nobody reads after it may be gone */
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_RETURN_PLAIN), 0);
	NdisReturnNetBufferLists(((struct fake_binding *)owner->context)->handle, &nbl, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RETURN_PLAIN)->pointer, &nbl);
}

static void test_receive_lent(void **state)
{
	NET_BUFFER_LIST nbl = { .Next = NULL };
	size_t i;

	(void)state;
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &nbl, 0, 1,
					   NDIS_RECEIVE_FLAGS_RESOURCES);
	for (i = 0; i < stack.log.count; i++)
		assert_true(stack.log.calls[i].value2 & NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_RETURN_PLAIN), 0);
}

/* With nobody there to take them the lists come back at once. */
static void test_receive_nobody(void **state)
{
	struct nrt_adapter_params params = { .name = "tgt1" };
	struct nrt_adapter *lonely;
	NET_BUFFER_LIST nbl = { .Next = NULL };

	(void)state;
	assert_int_equal(nrt_adapter_create(stack.mp.driver, &params, &lonely), 0);
	NdisMIndicateReceiveNetBufferLists(nrt_adapter_handle(lonely), &nbl, 0, 1, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RETURN_PLAIN)->pointer, &nbl);
	assert_int_equal(nrt_adapter_destroy(lonely), 0);
}

/* ---- Bindings that close meanwhile ----------------------------------------------------------- */

static struct fake_protocol third;

/* The handler of one protocol ends the bindings of others, its own among them. */
static void close_others(struct fake_binding *binding, enum fake_kind kind)
{
	(void)kind;
	binding->pr->on_indication = NULL;
	if (second.driver)
		assert_int_equal(nrt_unbind(second.driver, "tgt0"), 0);
	if (stack.pr.driver)
		assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), 0);
}

static void close_all(struct fake_binding *binding, enum fake_kind kind)
{
	close_others(binding, kind);
	assert_int_equal(nrt_unbind(third.driver, "tgt0"), 0);
}

static void power_done(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)request;
	(void)status;
	++*(int *)ctx;
}

static void run_closing(void (*handler)(struct fake_binding *, enum fake_kind), enum fake_kind kind)
{
	NET_BUFFER_LIST nbl = { .Next = NULL };
	int done = 0;

	fake_protocol_init(&third, &stack.log);
	assert_int_equal(fake_protocol_register(&third), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(third.driver, "tgt0"), 0);
	third.on_indication = handler; /* the newest hears first */
	fake_log_clear(&stack.log);
	switch (kind) {
	case FAKE_PR_STATUS:
		fake_indicate_status(stack.adapter, NDIS_STATUS_UPLOAD_ALL, NULL, 0);
		break;
	case FAKE_PR_PNP:
		assert_int_equal(nrt_set_power(stack.nrt, NdisDeviceStateD3, power_done, &done), 0);
		assert_int_equal(done, 1);
		break;
	default:
		NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &nbl, 0, 1, 0);
		/* It only had a look; nobody was left to keep the frame. */
		assert_true(fake_log_only(&stack.log, FAKE_PR_RECEIVE_PLAIN)->value2 &
			    NDIS_RECEIVE_FLAGS_RESOURCES);
		assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_RETURN_PLAIN)->pointer, &nbl);
		break;
	}
	assert_int_equal(fake_log_count(&stack.log, kind), 1);
	fake_protocol_deregister(&third);
}

static void run_closing_all_kinds(void (*handler)(struct fake_binding *, enum fake_kind))
{
	static const enum fake_kind kinds[] = { FAKE_PR_STATUS, FAKE_PR_PNP,
						FAKE_PR_RECEIVE_PLAIN };
	size_t i;

	for (i = 0; i < 3; i++) {
		if (i) { /* bind again what the run before has ended */
			assert_int_equal(nrt_bind(stack.pr.driver, "tgt0"), 0);
			assert_int_equal(nrt_bind(second.driver, "tgt0"), 0);
		}
		run_closing(handler, kinds[i]);
	}
}

static void test_close_others_inside(void **state)
{
	(void)state;
	run_closing_all_kinds(close_others);
}

static void test_close_all_inside(void **state)
{
	(void)state;
	run_closing_all_kinds(close_all);
}

/* Destruction from inside an indication waits until the indication is over. */
static void destroy(struct fake_binding *binding, enum fake_kind kind)
{
	(void)kind;
	binding->pr->on_indication = NULL;
	assert_int_equal(nrt_adapter_destroy(stack.nrt), -EINPROGRESS);
	assert_false(stack.adapter->halted);
}

static void test_destroy_inside(void **state)
{
	NET_BUFFER_LIST nbl = { .Next = NULL };

	(void)state;
	second.on_indication = destroy;
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &nbl, 0, 1, 0);
	/* The other protocol got the frame, and has it still. */
	assert_ptr_equal(fake_log_last(&stack.log, FAKE_PR_RECEIVE_PLAIN)->context, stack.binding);
	assert_int_equal(nrt_pump(), 1);
	assert_false(stack.adapter->halted);
	NdisReturnNetBufferLists(stack.binding->closing, &nbl, 0);
	assert_int_equal(nrt_pump(), 0);
	assert_true(stack.adapter->halted);
	fake_protocol_deregister(&stack.pr);
	fake_miniport_deregister(&stack.mp);
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_everybody_hears),  TEST(test_resume),
		TEST(test_hardware_change),  TEST(test_resume_malformed),
		TEST(test_one_destination),  TEST(test_send),
		TEST(test_receive),          TEST(test_receive_lent),
		TEST(test_receive_nobody),   TEST(test_close_others_inside),
		TEST(test_close_all_inside), TEST(test_destroy_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
