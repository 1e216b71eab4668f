/* SPDX-License-Identifier: BSD-2-Clause */
#include "host_spy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

struct spy spy;

static bool in_set_options;
static SET_OPTIONS_HANDLER host_set_options;

/* The real ones, by the names that the linker gives them. */
NDIS_STATUS __real_NdisRegisterProtocolDriver(NDIS_HANDLE context,
					      PNDIS_PROTOCOL_DRIVER_CHARACTERISTICS driver,
					      PNDIS_HANDLE handle);
NDIS_STATUS __real_NdisSetOptionalHandlers(NDIS_HANDLE handle,
					   PNDIS_DRIVER_OPTIONAL_HANDLERS handlers);
NDIS_STATUS __real_NdisOidRequest(NDIS_HANDLE binding, PNDIS_OID_REQUEST request);
VOID __real_NdisInitiateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __real_NdisTerminateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __real_NdisUpdateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __real_NdisInvalidateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __real_NdisQueryOffloadState(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
NDIS_STATUS __real_NdisOffloadTcpSend(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list);
NDIS_STATUS __real_NdisOffloadTcpReceive(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list);
NDIS_STATUS __real_NdisOffloadTcpForward(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list);
NDIS_STATUS __real_NdisOffloadTcpDisconnect(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list,
					    ULONG flags);
VOID __real_NdisFreeNetBufferList(PNET_BUFFER_LIST list);

NDIS_STATUS __wrap_NdisRegisterProtocolDriver(NDIS_HANDLE context,
					      PNDIS_PROTOCOL_DRIVER_CHARACTERISTICS driver,
					      PNDIS_HANDLE handle);
NDIS_STATUS __wrap_NdisSetOptionalHandlers(NDIS_HANDLE handle,
					   PNDIS_DRIVER_OPTIONAL_HANDLERS handlers);
NDIS_STATUS __wrap_NdisOidRequest(NDIS_HANDLE binding, PNDIS_OID_REQUEST request);
VOID __wrap_NdisInitiateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __wrap_NdisTerminateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __wrap_NdisUpdateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __wrap_NdisInvalidateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
VOID __wrap_NdisQueryOffloadState(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root);
NDIS_STATUS __wrap_NdisOffloadTcpSend(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list);
NDIS_STATUS __wrap_NdisOffloadTcpReceive(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list);
NDIS_STATUS __wrap_NdisOffloadTcpForward(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list);
NDIS_STATUS __wrap_NdisOffloadTcpDisconnect(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list,
					    ULONG flags);
VOID __wrap_NdisFreeNetBufferList(PNET_BUFFER_LIST list);

void spy_clear(void)
{
	struct spy registered = spy;

	memset(&spy, 0, sizeof(spy));
	spy.generic_sets = registered.generic_sets;
	spy.tcp_sets = registered.tcp_sets;
	spy.outside_sets = registered.outside_sets;
	spy.host = registered.host;
	spy.generic = registered.generic;
	spy.tcp = registered.tcp;
	spy.oid_sets = registered.oid_sets;
	spy.oid_queries = registered.oid_queries;
	spy.set_oid = registered.set_oid;
	spy.set_len = registered.set_len;
	spy.params = registered.params;
	spy.capacity_at_set = registered.capacity_at_set;
	spy.kept_tail = &spy.kept;
}

/* ---- registration ------------------------------------------------------------------------- */

static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	NDIS_STATUS status;

	in_set_options = true;
	status = host_set_options(driver, context);
	in_set_options = false;
	return status;
}

NDIS_STATUS __wrap_NdisRegisterProtocolDriver(NDIS_HANDLE context,
					      PNDIS_PROTOCOL_DRIVER_CHARACTERISTICS driver,
					      PNDIS_HANDLE handle)
{
	spy.host = context;
	host_set_options = driver->SetOptionsHandler;
	driver->SetOptionsHandler = set_options;
	return __real_NdisRegisterProtocolDriver(context, driver, handle);
}

static bool asks_for_capabilities(const NDIS_OID_REQUEST *request)
{
	NDIS_OID oid = request->DATA.QUERY_INFORMATION.Oid;

	return oid == OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES ||
	       oid == OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG;
}

NDIS_STATUS __wrap_NdisOidRequest(NDIS_HANDLE binding, PNDIS_OID_REQUEST request)
{
	const struct _SET *set = &request->DATA.SET_INFORMATION;

	if (request->RequestType != NdisRequestSetInformation) {
		spy.oid_queries += asks_for_capabilities(request);
	} else {
		spy.oid_sets++;
		spy.set_oid = set->Oid;
		spy.set_len = set->InformationBufferLength;
		if (set->InformationBufferLength <= sizeof(spy.params))
			memcpy(&spy.params, set->InformationBuffer, set->InformationBufferLength);
		if (spy.host && spy.host->adapters) {
			spy.capacity_at_set = spy.host->adapters->capacity;
			spy.offloaded_at_set = spy.host->adapters->offloaded;
		}
	}
	return __real_NdisOidRequest(binding, request);
}

/* ---- completions of state operations ------------------------------------------------------ */

static void pass_up(enum host_op_kind kind, NDIS_HANDLE context,
		    NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	spy.completed[kind]++;
	if (spy.up)
		spy.up(kind, root);
	switch (kind) {
	case HOST_OP_INITIATE:
		spy.generic.InitiateOffloadCompleteHandler(context, root);
		break;
	case HOST_OP_TERMINATE:
		spy.generic.TerminateOffloadCompleteHandler(context, root);
		break;
	case HOST_OP_QUERY:
		spy.generic.QueryOffloadCompleteHandler(context, root);
		break;
	case HOST_OP_UPDATE:
		spy.generic.UpdateOffloadCompleteHandler(context, root);
		break;
	case HOST_OP_INVALIDATE:
		spy.generic.InvalidateOffloadCompleteHandler(context, root);
		break;
	}
}

static void completed(enum host_op_kind kind, NDIS_HANDLE context,
		      NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (!spy.hold[kind]) {
		pass_up(kind, context, root);
		return;
	}
	assert_null(spy.held[kind]);
	spy.held[kind] = root;
	spy.held_context = context;
}

void spy_release(enum host_op_kind kind)
{
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root = spy.held[kind];

	assert_non_null(root);
	spy.held[kind] = NULL;
	spy.hold[kind] = false;
	pass_up(kind, spy.held_context, root);
}

static VOID initiated(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	completed(HOST_OP_INITIATE, context, root);
}

static VOID terminated(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	completed(HOST_OP_TERMINATE, context, root);
}

static VOID updated(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	completed(HOST_OP_UPDATE, context, root);
}

static VOID invalidated(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	completed(HOST_OP_INVALIDATE, context, root);
}

static VOID queried(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	completed(HOST_OP_QUERY, context, root);
}

/* ---- completions and indications of a connection ------------------------------------------ */

static VOID disconnected(NDIS_HANDLE context, PNET_BUFFER_LIST list)
{
	spy.disconnected++;
	if (spy.fail_disconnect)
		NET_BUFFER_LIST_STATUS(list) = NDIS_STATUS_FAILURE;
	spy.tcp.TcpOffloadDisconnectCompleteHandler(context, list);
}

static VOID event(PVOID context, ULONG type, ULONG information)
{
	if (type <= TcpIndicateAbort)
		spy.events[type]++;
	if (type == TcpIndicateRetrieve)
		spy.last_reason = information;
	if (type == TcpIndicateRetrieve && spy.keep_retrieves)
		return;
	spy.tcp.TcpOffloadEventHandler(context, type, information);
}

static NDIS_STATUS indicated(PVOID context, PNET_BUFFER_LIST list, NDIS_STATUS status,
			     PULONG consumed)
{
	ULONG total = NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(list));

	*consumed = 0xdeadbeef;
	status = spy.tcp.TcpOffloadReceiveIndicateHandler(context, list, status, consumed);
	if (status == NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED) {
		spy.refused++;
		spy.wrong_answer |= *consumed != 0;
	} else if (status == NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED) {
		spy.partly++;
		spy.wrong_answer |= *consumed == 0 || *consumed >= total;
	} else {
		spy.accepted++;
	}
	return status;
}

static NDIS_STATUS set_generic(NDIS_HANDLE handle,
			       const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS *from)
{
	NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS ours = *from;

	spy.generic = *from;
	spy.generic_sets += in_set_options;
	ours.InitiateOffloadCompleteHandler = initiated;
	ours.TerminateOffloadCompleteHandler = terminated;
	ours.UpdateOffloadCompleteHandler = updated;
	ours.InvalidateOffloadCompleteHandler = invalidated;
	ours.QueryOffloadCompleteHandler = queried;
	return __real_NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&ours);
}

static NDIS_STATUS set_tcp(NDIS_HANDLE handle,
			   const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS *from)
{
	NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS ours = *from;

	spy.tcp = *from;
	spy.tcp_sets += in_set_options;
	ours.TcpOffloadDisconnectCompleteHandler = disconnected;
	ours.TcpOffloadEventHandler = event;
	ours.TcpOffloadReceiveIndicateHandler = indicated;
	return __real_NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&ours);
}

NDIS_STATUS __wrap_NdisSetOptionalHandlers(NDIS_HANDLE handle,
					   PNDIS_DRIVER_OPTIONAL_HANDLERS handlers)
{
	spy.outside_sets += !in_set_options;
	switch (handlers->Header.Type) {
	case NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS:
		return set_generic(handle, (const void *)handlers);
	case NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS:
		return set_tcp(handle, (const void *)handlers);
	default:
		return __real_NdisSetOptionalHandlers(handle, handlers);
	}
}

/* ---- calls down --------------------------------------------------------------------------- */

static void going_down(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	spy.ops[kind]++;
	if (kind == HOST_OP_TERMINATE)
		spy.busy_terminate |=
			spy.depth > 0 || spy.held[HOST_OP_QUERY] || spy.held[HOST_OP_UPDATE];
	if (spy.down)
		spy.down(kind, root);
}

VOID __wrap_NdisInitiateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	going_down(HOST_OP_INITIATE, root);
	__real_NdisInitiateOffload(binding, root);
}

VOID __wrap_NdisTerminateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	going_down(HOST_OP_TERMINATE, root);
	__real_NdisTerminateOffload(binding, root);
}

VOID __wrap_NdisUpdateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	going_down(HOST_OP_UPDATE, root);
	__real_NdisUpdateOffload(binding, root);
}

VOID __wrap_NdisInvalidateOffload(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	going_down(HOST_OP_INVALIDATE, root);
	__real_NdisInvalidateOffload(binding, root);
}

VOID __wrap_NdisQueryOffloadState(NDIS_HANDLE binding, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	going_down(HOST_OP_QUERY, root);
	__real_NdisQueryOffloadState(binding, root);
}

static void enter(PNDIS_OFFLOAD_HANDLE handle, const NET_BUFFER_LIST *list)
{
	const NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(list);

	spy.overlaps += spy.depth > 0;
	spy.odd_list |= !nb || NET_BUFFER_NEXT_NB(nb) || NET_BUFFER_LIST_NEXT_NBL(list);
	spy.depth++;
	if (spy.poke)
		spy.tcp.TcpOffloadEventHandler(handle, TcpIndicateSendBacklogChange, 1u << 20);
}

NDIS_STATUS __wrap_NdisOffloadTcpSend(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list)
{
	NDIS_STATUS status = NDIS_STATUS_PENDING;

	spy.sends++;
	for (unsigned int i = 0; i < MaxNetBufferListInfo; i++)
		spy.odd_info |= list->NetBufferListInfo[i] != NULL;
	enter(handle, list);
	if (spy.keep_sends) {
		*spy.kept_tail = list;
		spy.kept_tail = &NET_BUFFER_LIST_NEXT_NBL(list);
	} else {
		status = __real_NdisOffloadTcpSend(handle, list);
	}
	spy.depth--;
	return status;
}

void spy_return_sends(struct host_adapter *adapter)
{
	NET_BUFFER_LIST *kept = spy.kept;

	spy.kept = NULL;
	spy.kept_tail = &spy.kept;
	spy.keep_sends = false;
	for (NET_BUFFER_LIST *list = kept; list; list = NET_BUFFER_LIST_NEXT_NBL(list))
		NET_BUFFER_LIST_STATUS(list) = NDIS_STATUS_UPLOAD_IN_PROGRESS;
	spy.tcp.TcpOffloadSendCompleteHandler(adapter, kept);
}

NDIS_STATUS __wrap_NdisOffloadTcpReceive(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list)
{
	NDIS_STATUS status;

	spy.receives++;
	spy.receive_bytes = NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(list));
	enter(handle, list);
	status = __real_NdisOffloadTcpReceive(handle, list);
	spy.depth--;
	return status;
}

NDIS_STATUS __wrap_NdisOffloadTcpForward(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list)
{
	spy.forwards++;
	return __real_NdisOffloadTcpForward(handle, list);
}

NDIS_STATUS __wrap_NdisOffloadTcpDisconnect(PNDIS_OFFLOAD_HANDLE handle, PNET_BUFFER_LIST list,
					    ULONG flags)
{
	NDIS_STATUS status;

	spy.disconnects++;
	spy.disconnect_flags = flags;
	spy.disconnect_len = NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(list));
	enter(handle, list);
	status = __real_NdisOffloadTcpDisconnect(handle, list, flags);
	spy.depth--;
	return status;
}

VOID __wrap_NdisFreeNetBufferList(PNET_BUFFER_LIST list)
{
	if (spy.watched && list == spy.watched) { /* its memory may be another list's next */
		spy.watched_freed++;
		spy.watched = NULL;
	}
	__real_NdisFreeNetBufferList(list);
}
