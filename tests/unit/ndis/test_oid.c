/* SPDX-License-Identifier: BSD-2-Clause */
/* OID requests: what NDIS answers itself, what reaches the miniport and when, keywords, power. */
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

static NDIS_STATUS request(NDIS_REQUEST_TYPE type, NDIS_OID oid, void *buffer, UINT bytes)
{
	NDIS_OID_REQUEST oid_request;

	fake_request_init(&oid_request, type, oid, buffer, bytes);
	return NdisOidRequest(stack.binding->handle, &oid_request);
}

static NDIS_STATUS query(NDIS_OID oid, void *buffer, UINT bytes)
{
	return request(NdisRequestQueryInformation, oid, buffer, bytes);
}

static NDIS_STATUS set(NDIS_OID oid, void *buffer, UINT bytes)
{
	return request(NdisRequestSetInformation, oid, buffer, bytes);
}

static NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS tcp_params(ULONG enabled)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1 },
		.Encapsulation = {
			.Header = { NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION, NDIS_OFFLOAD_ENCAPSULATION_REVISION_1,
				    NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1 },
			.IPv4 = { enabled, NDIS_ENCAPSULATION_IEEE_802_3, 14 },
			.IPv6 = { enabled, NDIS_ENCAPSULATION_IEEE_802_3, 14 },
		},
		.TicksPerSecond = 100,
		.TcpAckFrequency = 2,
		.NceStaleTicks = 3000,
	};

	return params;
}

/* ---- Connection offload: configuration and capabilities -------------------------------------- */

static void test_capabilities(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD current, hardware;

	(void)state;
	assert_int_equal(
		query(OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG, &current, sizeof(current)),
		NDIS_STATUS_SUCCESS);
	assert_int_equal(query(OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &hardware,
			       sizeof(hardware)),
			 NDIS_STATUS_SUCCESS);
	REQ("INI-12", !memcmp(&current, &stack.mp.current, sizeof(current)) &&
			      !memcmp(&hardware, &stack.mp.hardware, sizeof(hardware)) &&
			      !fake_log_count(&stack.log, FAKE_MP_OID));
	REQ("INI-14", current.Encapsulation == stack.mp.current.Encapsulation);
	REQ("INI-41", hardware.Encapsulation == (NDIS_ENCAPSULATION_IEEE_802_3 |
						 NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED));
}

static void test_capabilities_short_buffer(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD offload;
	NDIS_OID_REQUEST oid_request;

	(void)state;
	fake_request_init(&oid_request, NdisRequestQueryInformation,
			  OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG, &offload, sizeof(offload) - 1);
	assert_int_equal(NdisOidRequest(stack.binding->handle, &oid_request),
			 NDIS_STATUS_BUFFER_TOO_SHORT);
	assert_int_equal(oid_request.DATA.QUERY_INFORMATION.BytesNeeded, sizeof(offload));
	assert_int_equal(oid_request.DATA.QUERY_INFORMATION.BytesWritten, 0);
}

static void test_capabilities_cannot_be_set(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD offload = stack.mp.current;

	(void)state;
	REQ("INI-13", set(OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG, &offload, sizeof(offload)) ==
				      NDIS_STATUS_NOT_SUPPORTED &&
			      set(OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &offload,
				  sizeof(offload)) == NDIS_STATUS_NOT_SUPPORTED &&
			      !fake_log_count(&stack.log, FAKE_MP_OID));
}

/* ---- Connection offload: parameters ---------------------------------------------------------- */

static void test_parameters(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS first = tcp_params(NDIS_OFFLOAD_SET_ON),
					       second = first, got;
	NDIS_STATUS before = query(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &got, sizeof(got));
	const UINT size = NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1;

	(void)state;
	assert_int_equal(before, NDIS_STATUS_NOT_SUPPORTED); /* nothing was set yet */
	assert_int_equal(set(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &first, size),
			 NDIS_STATUS_SUCCESS);
	fake_log_only(&stack.log, FAKE_MP_OID); /* sets go to the miniport */
	second.TicksPerSecond = 1000;
	/* One that the miniport refuses changes nothing. */
	stack.mp.oid_status = NDIS_STATUS_INVALID_DATA;
	assert_int_equal(set(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &second, size),
			 NDIS_STATUS_INVALID_DATA);
	fake_log_clear(&stack.log);
	assert_int_equal(query(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &got, sizeof(got)),
			 NDIS_STATUS_SUCCESS);
	REQ("INI-17", memcmp(&got, &first, size) == 0 && !fake_log_count(&stack.log, FAKE_MP_OID));
	REQ("INI-40", got.TicksPerSecond == 100);
}

static void test_parameters_bad_length(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params = tcp_params(NDIS_OFFLOAD_SET_ON);

	(void)state;
	assert_int_equal(set(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &params, 8),
			 NDIS_STATUS_INVALID_LENGTH);
	assert_int_equal(set(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, NULL, 0),
			 NDIS_STATUS_INVALID_LENGTH);
	params.Header.Size = 8;
	assert_int_equal(set(OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &params, sizeof(params)),
			 NDIS_STATUS_INVALID_LENGTH);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_OID), 0);
}

static void test_legacy_query(void **state)
{
	NDIS_TASK_OFFLOAD_HEADER header = { 0 };

	(void)state;
	/* Not one of those that NDIS answers: what the miniport says counts. */
	stack.mp.oid_status = NDIS_STATUS_NOT_SUPPORTED;
	REQ("INI-39",
	    query(OID_TCP_TASK_OFFLOAD, &header, sizeof(header)) == NDIS_STATUS_NOT_SUPPORTED);
}

/* ---- One protocol at a time ------------------------------------------------------------------ */

static NDIS_STATUS set_through(struct fake_binding *binding, ULONG enabled)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params = tcp_params(enabled);
	NDIS_OID_REQUEST oid_request;

	fake_request_init(&oid_request, NdisRequestSetInformation,
			  OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &params,
			  NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1);
	return NdisOidRequest(binding->handle, &oid_request);
}

static void test_one_protocol_enables(void **state)
{
	static struct fake_protocol second;
	struct fake_binding *other;
	NDIS_STATUS refused, off, on;

	(void)state;
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(second.driver, "tgt0"), 0);
	other = fake_protocol_binding(&second, 0);
	assert_int_equal(set_through(stack.binding, NDIS_OFFLOAD_SET_ON), NDIS_STATUS_SUCCESS);
	refused = set_through(other, NDIS_OFFLOAD_SET_ON);
	off = set_through(stack.binding, NDIS_OFFLOAD_SET_OFF);
	on = set_through(other, NDIS_OFFLOAD_SET_ON);
	REQ("INI-38",
	    refused == NDIS_STATUS_FAILURE && off == NDIS_STATUS_SUCCESS &&
		    on == NDIS_STATUS_SUCCESS &&
		    set_through(stack.binding, NDIS_OFFLOAD_SET_ON) == NDIS_STATUS_FAILURE);
	fake_protocol_deregister(&second);
}

/* Terminate one object of stack.tree with the given outcome. */
static void terminate_one(size_t level, NDIS_STATUS outcome)
{
	static struct fake_tree end;
	struct fake_block *block;

	fake_tree_init(&end);
	block = fake_block_refer(&end, NULL, stack.tree.blocks[level].list.Header.Type,
				 fake_stack_handle(&stack, level));
	NdisTerminateOffload(stack.binding->handle, &block->list);
	if (outcome == NDIS_STATUS_SUCCESS) {
		fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
		return;
	}
	block->list.Status = outcome;
	NdisMTerminateOffloadComplete(stack.adapter->handle,
				      (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&block->list);
}

/*
 * Off does not mean gone: what was offloaded before is still in the miniport, and its completions
 * must not reach somebody else.
 */
static void test_takeover_waits_for_objects(void **state)
{
	static struct fake_protocol second;
	static struct fake_tree more;
	struct fake_binding *other;
	struct fake_block *neighbor, *path;
	NET_BUFFER_LIST list = { .Next = NULL };
	size_t level;

	(void)state;
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(second.driver, "tgt0"), 0);
	other = fake_protocol_binding(&second, 0);
	fake_stack_offload(&stack);
	/* A second connection through linkers, under a placeholder, and one that is refused. */
	fake_tree_init(&more);
	neighbor =
		fake_block_refer(&more, NULL, NeighborOffloadState, fake_stack_handle(&stack, 0));
	path = fake_block_add(&more, neighbor, Ip4OffloadState, FAKE_PLACEHOLDER);
	fake_block_add(&more, path, TcpOffloadState, FAKE_NEW);
	NdisInitiateOffload(stack.binding->handle, &neighbor->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_int_equal(set_through(stack.binding, NDIS_OFFLOAD_SET_OFF), NDIS_STATUS_SUCCESS);

	NdisOffloadTcpSend(fake_stack_handle(&stack, 2), &list);
	assert_int_equal(set_through(other, NDIS_OFFLOAD_SET_ON), NDIS_STATUS_FAILURE);
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, &list);
	REQ("INI-38", fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE)->context == stack.binding);
	terminate_one(2, NDIS_STATUS_FAILURE); /* it survived */
	for (level = 3; level-- > 0;) {
		assert_int_equal(set_through(other, NDIS_OFFLOAD_SET_ON), NDIS_STATUS_FAILURE);
		terminate_one(level, NDIS_STATUS_SUCCESS);
	}
	assert_int_equal(set_through(other, NDIS_OFFLOAD_SET_ON), NDIS_STATUS_FAILURE);
	fake_stack_terminate(&stack, &more, stack.binding);
	REQ("INI-38", set_through(other, NDIS_OFFLOAD_SET_ON) == NDIS_STATUS_SUCCESS);
	fake_protocol_deregister(&second);
}

/* What a binding leaves behind when it closes nobody can take out: the chimney stays closed. */
static void test_takeover_of_orphans(void **state)
{
	static struct fake_protocol second;

	(void)state;
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	fake_stack_offload(&stack);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), 0);
	assert_int_equal(nrt_bind(second.driver, "tgt0"), 0);
	assert_int_equal(set_through(fake_protocol_binding(&second, 0), NDIS_OFFLOAD_SET_ON),
			 NDIS_STATUS_FAILURE);
	fake_protocol_deregister(&second);
}

/* ---- To the miniport ------------------------------------------------------------------------- */

/* The miniport has one request at a time; others wait in their order, and all are completed with
 * their own status. */
static void test_one_at_a_time(void **state)
{
	NDIS_OID_REQUEST requests[4];
	ULONG value = 0;
	const struct fake_call *last;
	size_t i;

	(void)state;
	stack.mp.oid_status = NDIS_STATUS_PENDING;
	for (i = 0; i < 4; i++) {
		fake_request_init(&requests[i], NdisRequestQueryInformation, OID_GEN_STATISTICS,
				  &value, sizeof(value));
		assert_int_equal(NdisOidRequest(stack.binding->handle, &requests[i]),
				 NDIS_STATUS_PENDING);
		assert_int_equal(fake_log_count(&stack.log, FAKE_MP_OID), 1);
	}
	for (i = 0; i < 4; i++) {
		assert_ptr_equal(stack.adapter->open_request, &requests[i]);
		fake_adapter_complete_oid(stack.adapter,
					  i % 2 ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE);
		assert_int_equal(fake_log_count(&stack.log, FAKE_PR_OID_COMPLETE), i + 1);
		last = fake_log_last(&stack.log, FAKE_PR_OID_COMPLETE);
		assert_ptr_equal(last->pointer, &requests[i]);
		assert_ptr_equal(last->context, stack.binding);
		assert_int_equal((NDIS_STATUS)last->value,
				 i % 2 ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE);
	}
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_OID), 4);
}

/* Requests that waited are answered even when the miniport then answers at once. */
static void test_queue_drains(void **state)
{
	NDIS_OID_REQUEST requests[3];
	size_t i;

	(void)state;
	stack.mp.oid_status = NDIS_STATUS_PENDING;
	for (i = 0; i < 3; i++) {
		fake_request_init(&requests[i], NdisRequestQueryInformation, OID_GEN_STATISTICS,
				  NULL, 0);
		assert_int_equal(NdisOidRequest(stack.binding->handle, &requests[i]),
				 NDIS_STATUS_PENDING);
	}
	stack.mp.oid_status = NDIS_STATUS_INVALID_OID;
	fake_adapter_complete_oid(stack.adapter, NDIS_STATUS_SUCCESS);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_OID_COMPLETE), 3);
	assert_int_equal((NDIS_STATUS)fake_log_last(&stack.log, FAKE_PR_OID_COMPLETE)->value,
			 NDIS_STATUS_INVALID_OID);
}

/* An unbind waits for a request that the miniport has. */
static void test_unbind_waits_for_request(void **state)
{
	NDIS_OID_REQUEST oid_request;

	(void)state;
	stack.mp.oid_status = NDIS_STATUS_PENDING;
	fake_request_init(&oid_request, NdisRequestQueryInformation, OID_GEN_STATISTICS, NULL, 0);
	assert_int_equal(NdisOidRequest(stack.binding->handle, &oid_request), NDIS_STATUS_PENDING);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -EINPROGRESS);
	fake_adapter_complete_oid(stack.adapter, NDIS_STATUS_SUCCESS);
	fake_log_only(&stack.log, FAKE_PR_OID_COMPLETE);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -ENOENT);
}

/* ---- The administrator ----------------------------------------------------------------------- */

struct done {
	unsigned int count;
	NDIS_STATUS status;
};

static void done(void *ctx, NDIS_OID_REQUEST *oid_request, NDIS_STATUS status)
{
	struct done *result = ctx;

	(void)oid_request;
	result->count++;
	result->status = status;
}

static NDIS_STATUS read_keyword(const char *name, ULONG *value)
{
	NDIS_CONFIGURATION_OBJECT object = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_CONFIGURATION_OBJECT_REVISION_1,
			    NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1 },
		.NdisHandle = stack.adapter->handle,
	};
	NDIS_CONFIGURATION_PARAMETER *parameter = NULL;
	NDIS_HANDLE handle;
	NDIS_STATUS status;
	WCHAR wide[64];
	NDIS_STRING keyword = { 0, sizeof(wide), wide };
	size_t i;

	for (i = 0; name[i]; i++)
		wide[i] = (WCHAR)name[i];
	keyword.Length = (USHORT)(i * sizeof(WCHAR));
	assert_int_equal(NdisOpenConfigurationEx(&object, &handle), NDIS_STATUS_SUCCESS);
	NdisReadConfiguration(&status, &parameter, handle, &keyword, NdisParameterInteger);
	if (status == NDIS_STATUS_SUCCESS)
		*value = parameter->ParameterData.IntegerData;
	NdisCloseConfiguration(handle);
	return status;
}

static void test_keywords_before_miniport(void **state)
{
	NDIS_OFFLOAD_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_OFFLOAD_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1 },
		.TcpConnectionIPv4 = NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_DISABLED,
		.TcpConnectionIPv6 = NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED,
	};
	NDIS_OID_REQUEST oid_request;
	struct done result = { 0, NDIS_STATUS_FAILURE };
	ULONG v4 = 99, v6 = 99;

	(void)state;
	stack.mp.oid_status = NDIS_STATUS_PENDING;
	fake_request_init(&oid_request, NdisRequestSetInformation, OID_TCP_OFFLOAD_PARAMETERS,
			  &params, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1);
	assert_int_equal(nrt_request(stack.nrt, &oid_request, done, &result), 0);
	fake_log_only(&stack.log, FAKE_MP_OID);
	assert_int_equal(result.count, 0);
	/* The miniport has only just got it, and reads the new values already. */
	assert_int_equal(read_keyword("*TCPConnectionOffloadIPv4", &v4), NDIS_STATUS_SUCCESS);
	assert_int_equal(read_keyword("*tcpconnectionoffloadipv6", &v6), NDIS_STATUS_SUCCESS);
	REQ("ADM-04", v4 == 0 && v6 == 1);
	fake_adapter_complete_oid(stack.adapter, NDIS_STATUS_INVALID_DATA);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.status, NDIS_STATUS_INVALID_DATA);
}

static void test_keywords_no_change(void **state)
{
	NDIS_OFFLOAD_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_OFFLOAD_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1 },
	};
	ULONG value;
	uint32_t number;

	(void)state;
	assert_int_equal(
		set(OID_TCP_OFFLOAD_PARAMETERS, &params, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1),
		NDIS_STATUS_SUCCESS);
	assert_int_equal(read_keyword("*TCPConnectionOffloadIPv4", &value), NDIS_STATUS_FAILURE);
	assert_int_equal(nrt_adapter_keyword(stack.nrt, "*TCPConnectionOffloadIPv4", &number),
			 -ENOENT);
}

static void test_admin_query(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD offload;
	NDIS_OID_REQUEST oid_request;
	struct done result = { 0, NDIS_STATUS_FAILURE };

	(void)state;
	fake_request_init(&oid_request, NdisRequestQueryInformation,
			  OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &offload,
			  sizeof(offload));
	assert_int_equal(nrt_request(stack.nrt, &oid_request, done, &result), 0);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.status, NDIS_STATUS_SUCCESS);
	assert_int_equal(offload.TcpConnectionOffloadCapacity,
			 stack.mp.hardware.TcpConnectionOffloadCapacity);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_OID), 0);
}

/* ---- Power ----------------------------------------------------------------------------------- */

/* Going to sleep: the protocol first, and the miniport only when the protocol is done. */
static void test_power_down(void **state)
{
	struct done result = { 0, NDIS_STATUS_FAILURE };
	NDIS_OID_REQUEST *oid_request;

	(void)state;
	stack.pr.pnp_status = NDIS_STATUS_PENDING;
	assert_int_equal(nrt_set_power(stack.nrt, NdisDeviceStateD3, done, &result), 0);
	assert_int_equal(fake_log_only(&stack.log, FAKE_PR_PNP)->value, NetEventSetPower);
	assert_int_equal(*(NDIS_DEVICE_POWER_STATE *)stack.binding->pnp_open->NetPnPEvent.Buffer,
			 NdisDeviceStateD3);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_OID), 0);
	stack.mp.oid_status = NDIS_STATUS_PENDING;
	NdisCompleteNetPnPEvent(stack.binding->handle, stack.binding->pnp_open,
				NDIS_STATUS_SUCCESS);
	oid_request = fake_log_only(&stack.log, FAKE_MP_OID)->pointer;
	assert_int_equal(oid_request->DATA.SET_INFORMATION.Oid, OID_PNP_SET_POWER);
	assert_int_equal(
		*(NDIS_DEVICE_POWER_STATE *)oid_request->DATA.SET_INFORMATION.InformationBuffer,
		NdisDeviceStateD3);
	assert_int_equal(result.count, 0);
	fake_adapter_complete_oid(stack.adapter, NDIS_STATUS_SUCCESS);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.status, NDIS_STATUS_SUCCESS);
}

/* Waking up: the miniport first. */
static void test_power_up(void **state)
{
	struct done result = { 0, NDIS_STATUS_FAILURE };

	(void)state;
	stack.mp.oid_status = NDIS_STATUS_PENDING;
	assert_int_equal(nrt_set_power(stack.nrt, NdisDeviceStateD0, done, &result), 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_PNP), 0);
	fake_adapter_complete_oid(stack.adapter, NDIS_STATUS_SUCCESS);
	fake_log_only(&stack.log, FAKE_PR_PNP);
	assert_int_equal(result.count, 1);
}

static void test_power_no_memory(void **state)
{
	struct done result = { 0, NDIS_STATUS_SUCCESS };

	(void)state;
	nrt_fail_alloc_after(0);
	assert_int_equal(nrt_set_power(stack.nrt, NdisDeviceStateD3, done, &result), -ENOMEM);
	nrt_fail_alloc_after(-1);
	assert_int_equal(result.count, 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_PNP), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_capabilities),
		TEST(test_capabilities_short_buffer),
		TEST(test_capabilities_cannot_be_set),
		TEST(test_parameters),
		TEST(test_parameters_bad_length),
		TEST(test_legacy_query),
		TEST(test_one_protocol_enables),
		TEST(test_takeover_waits_for_objects),
		TEST(test_takeover_of_orphans),
		TEST(test_one_at_a_time),
		TEST(test_queue_drains),
		TEST(test_unbind_waits_for_request),
		TEST(test_keywords_before_miniport),
		TEST(test_keywords_no_change),
		TEST(test_admin_query),
		TEST(test_power_down),
		TEST(test_power_up),
		TEST(test_power_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
