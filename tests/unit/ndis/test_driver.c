/* SPDX-License-Identifier: BSD-2-Clause */
/* Registration of drivers and of their chimney functions. */
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
	return 0;
}

static NDIS_STATUS register_mp(void)
{
	NDIS_STATUS status = fake_miniport_register(&stack.mp);

	if (status == NDIS_STATUS_SUCCESS)
		fake_miniport_deregister(&stack.mp);
	return status;
}

static NDIS_STATUS register_pr(void)
{
	NDIS_STATUS status = fake_protocol_register(&stack.pr);

	if (status == NDIS_STATUS_SUCCESS)
		fake_protocol_deregister(&stack.pr);
	return status;
}

static void test_set_options_inside(void **state)
{
	(void)state;
	assert_int_equal(fake_miniport_register(&stack.mp), NDIS_STATUS_SUCCESS);
	assert_int_equal(fake_protocol_register(&stack.pr), NDIS_STATUS_SUCCESS);
	/* The callback ran before the registration returned, and its handle is the one that came
	 * out. */
	REQ("REG-08",
	    stack.mp.set_options_handle && stack.mp.set_options_handle == stack.mp.driver &&
		    stack.pr.set_options_handle && stack.pr.set_options_handle == stack.pr.driver);
	REQ("REG-10", stack.mp.generic_status == NDIS_STATUS_SUCCESS &&
			      stack.mp.tcp_status == NDIS_STATUS_SUCCESS &&
			      stack.pr.generic_status == NDIS_STATUS_SUCCESS &&
			      stack.pr.tcp_status == NDIS_STATUS_SUCCESS);
	fake_protocol_deregister(&stack.pr);
	fake_miniport_deregister(&stack.mp);
}

/* Both kinds of failure of the callback undo the registration and come out as its status. */
static void test_set_options_fails(void **state)
{
	(void)state;
	stack.mp.tcp.TcpOffloadSendHandler = NULL;
	stack.pr.tcp.TcpOffloadEventHandler = NULL;
	assert_int_equal(fake_miniport_register(&stack.mp), NDIS_STATUS_BAD_CHARACTERISTICS);
	assert_null(stack.mp.driver);
	assert_int_equal(fake_protocol_register(&stack.pr), NDIS_STATUS_BAD_CHARACTERISTICS);
	assert_null(stack.pr.driver);
}

static void test_flags_are_reserved(void **state)
{
	(void)state;
	stack.mp.generic.Flags = stack.mp.tcp.Flags = 0xFFFFFFFF;
	stack.pr.generic.Flags = stack.pr.tcp.Flags = 0xA5A5A5A5;
	REQ("REG-07", register_mp() == NDIS_STATUS_SUCCESS && register_pr() == NDIS_STATUS_SUCCESS);
}

/* Clear one function pointer of a table after the other; first: offset of the first pointer. */
static bool each_missing_is_refused(void *table, size_t first, size_t size,
				    NDIS_STATUS (*try)(void))
{
	bool refused = true;
	size_t at;
	void *saved, *none = NULL;

	for (at = first; at < size; at += sizeof(void *)) {
		memcpy(&saved, (char *)table + at, sizeof(saved));
		memcpy((char *)table + at, &none, sizeof(none));
		refused &= try() == NDIS_STATUS_BAD_CHARACTERISTICS;
		memcpy((char *)table + at, &saved, sizeof(saved));
	}
	return refused && try() == NDIS_STATUS_SUCCESS;
}

static void test_every_handler_is_mandatory(void **state)
{
	(void)state;
	assert_true(each_missing_is_refused(
		&stack.mp.generic,
		offsetof(NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			 InitiateOffloadHandler),
		sizeof(stack.mp.generic), register_mp));
	assert_true(each_missing_is_refused(
		&stack.mp.tcp,
		offsetof(NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS, TcpOffloadSendHandler),
		sizeof(stack.mp.tcp), register_mp));
	assert_true(each_missing_is_refused(
		&stack.pr.generic,
		offsetof(NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			 InitiateOffloadCompleteHandler),
		sizeof(stack.pr.generic), register_pr));
	/* Six of them, forward completion among them. */
	REQ("REG-17",
	    each_missing_is_refused(&stack.pr.tcp,
				    offsetof(NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS,
					     TcpOffloadSendCompleteHandler),
				    sizeof(stack.pr.tcp), register_pr));
}

static void test_type_tells_them_apart(void **state)
{
	NDIS_STATUS unknown, other_kind;

	(void)state;
	stack.mp.tcp.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
	unknown = register_mp();
	stack.mp.tcp.Header.Type =
		NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS; /* not for a miniport */
	other_kind = register_mp();
	REQ("REG-18", unknown == NDIS_STATUS_BAD_CHARACTERISTICS &&
			      other_kind == NDIS_STATUS_BAD_CHARACTERISTICS);
}

static void test_offload_type(void **state)
{
	int type;

	(void)state;
	for (type = 0; type <= NdisMaxChimneyOffload; type++) {
		stack.mp.tcp.OffloadType = stack.pr.tcp.OffloadType =
			(NDIS_CHIMNEY_OFFLOAD_TYPE)type;
		assert_int_equal(register_mp() == NDIS_STATUS_SUCCESS,
				 type == NdisTcpChimneyOffload);
		REQ("REG-03",
		    (register_pr() == NDIS_STATUS_SUCCESS) == (type == NdisTcpChimneyOffload));
	}
}

static void test_size_too_small(void **state)
{
	(void)state;
	stack.mp.generic.Header.Size -= 8;
	assert_int_equal(register_mp(), NDIS_STATUS_BAD_VERSION);
	stack.mp.generic.Header.Size += 8;
	stack.pr.tcp.Header.Size -= 8;
	assert_int_equal(register_pr(), NDIS_STATUS_BAD_VERSION);
}

/* A table of a later revision is longer; what is known of it counts. */
static void test_size_larger(void **state)
{
	(void)state;
	stack.mp.generic.Header.Size += 8;
	stack.pr.tcp.Header.Revision = 2;
	assert_int_equal(register_mp(), NDIS_STATUS_SUCCESS);
	assert_int_equal(register_pr(), NDIS_STATUS_SUCCESS);
}

static void test_bad_driver_characteristics(void **state)
{
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS miniport = { .Header = { NDIS_OBJECT_TYPE_DEFAULT, 1,
								      sizeof(miniport) } };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS protocol = {
		.Header = { NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS, 1, sizeof(protocol) }
	};
	NDIS_HANDLE handle = NULL;

	(void)state;
	assert_int_equal(NdisMRegisterMiniportDriver(NULL, NULL, NULL, &miniport, &handle),
			 NDIS_STATUS_BAD_CHARACTERISTICS);
	assert_int_equal(NdisRegisterProtocolDriver(NULL, &protocol, &handle),
			 NDIS_STATUS_BAD_CHARACTERISTICS);
	assert_null(handle);
}

/* Every allocation of a registration fails once; each time nothing is registered, and nothing
 * leaks. */
static void test_no_memory(void **state)
{
	NDIS_STATUS mp, pr;
	long n;
	bool optional_refused = false;

	(void)state;
	for (n = 0;; n++) {
		fake_stack_init(&stack);
		nrt_fail_alloc_after(n);
		mp = register_mp();
		nrt_fail_alloc_after(n);
		pr = register_pr();
		nrt_fail_alloc_after(-1);
		optional_refused |= stack.mp.generic_status == NDIS_STATUS_RESOURCES ||
				    stack.pr.tcp_status == NDIS_STATUS_RESOURCES;
		if (mp == NDIS_STATUS_SUCCESS && pr == NDIS_STATUS_SUCCESS)
			break;
		assert_true(mp == NDIS_STATUS_SUCCESS || mp == NDIS_STATUS_RESOURCES);
		assert_true(pr == NDIS_STATUS_SUCCESS || pr == NDIS_STATUS_RESOURCES);
	}
	assert_true(n >= 3); /* driver, two tables */
	REQ("REG-10", optional_refused);
}

/* ---- NdisMGetOffloadHandlers ----------------------------------------------------------------- */

static void test_offload_handlers(void **state)
{
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS *up;

	(void)state;
	fake_stack_start(&stack);
	up = &stack.adapter->up;
	REQ("REG-12", stack.adapter->handlers_status == NDIS_STATUS_SUCCESS &&
			      up->Header.Type == NdisTcpChimneyOffload &&
			      up->Header.Revision == NDIS_OBJECT_TCP_OFFLOAD_REVISION_1 &&
			      up->Header.Size == sizeof(*up));
	assert_true(up->NdisTcpOffloadEventHandler && up->NdisTcpOffloadReceiveHandler &&
		    up->NdisTcpOffloadSendComplete && up->NdisTcpOffloadReceiveComplete &&
		    up->NdisTcpOffloadDisconnectComplete && up->NdisTcpOffloadForwardComplete);
	fake_stack_stop(&stack);
}

static void test_offload_handlers_other_types(void **state)
{
	static const int types[] = { 0, NdisIpsecChimneyOffload, NdisRdmaChimneyOffload,
				     NdisMaxChimneyOffload, 99 };
	NDIS_OFFLOAD_EVENT_HANDLERS *table;
	size_t i;

	(void)state;
	fake_stack_start(&stack);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		table = (NDIS_OFFLOAD_EVENT_HANDLERS *)(uintptr_t)8;
		REQ("REG-13", NdisMGetOffloadHandlers(stack.adapter->handle,
						      (NDIS_CHIMNEY_OFFLOAD_TYPE)types[i],
						      &table) == NDIS_STATUS_NOT_SUPPORTED &&
				      !table);
	}
	REQ("REG-19", NDIS_STATUS_NOT_SUPPORTED == STATUS_NOT_SUPPORTED);
	fake_stack_stop(&stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_set_options_inside, setup),
		cmocka_unit_test_setup(test_set_options_fails, setup),
		cmocka_unit_test_setup(test_flags_are_reserved, setup),
		cmocka_unit_test_setup(test_every_handler_is_mandatory, setup),
		cmocka_unit_test_setup(test_type_tells_them_apart, setup),
		cmocka_unit_test_setup(test_offload_type, setup),
		cmocka_unit_test_setup(test_size_too_small, setup),
		cmocka_unit_test_setup(test_size_larger, setup),
		cmocka_unit_test_setup(test_bad_driver_characteristics, setup),
		cmocka_unit_test_setup(test_no_memory, setup),
		cmocka_unit_test_setup(test_offload_handlers, setup),
		cmocka_unit_test_setup(test_offload_handlers_other_types, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
