/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake/fake_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

/* ---- Completions ----------------------------------------------------------------------------- */

static void state_complete(NDIS_HANDLE context, enum fake_kind kind,
			   NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log,
		     (struct fake_call){ .kind = kind, .context = context, .pointer = list });
	if (binding->pr->on_complete)
		binding->pr->on_complete(binding, kind, list);
}

static VOID initiate_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	state_complete(context, FAKE_PR_INITIATE_COMPLETE, list);
}

static VOID terminate_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	state_complete(context, FAKE_PR_TERMINATE_COMPLETE, list);
}

static VOID update_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	state_complete(context, FAKE_PR_UPDATE_COMPLETE, list);
}

static VOID invalidate_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	state_complete(context, FAKE_PR_INVALIDATE_COMPLETE, list);
}

static VOID query_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	state_complete(context, FAKE_PR_QUERY_COMPLETE, list);
}

static void io_complete(NDIS_HANDLE context, enum fake_kind kind, NET_BUFFER_LIST *nbl)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log,
		     (struct fake_call){ .kind = kind, .context = context, .pointer = nbl });
}

static VOID send_complete(NDIS_HANDLE context, PNET_BUFFER_LIST nbl)
{
	io_complete(context, FAKE_PR_SEND_COMPLETE, nbl);
}

static VOID receive_complete(NDIS_HANDLE context, PNET_BUFFER_LIST nbl)
{
	io_complete(context, FAKE_PR_RECEIVE_COMPLETE, nbl);
}

static VOID forward_complete(NDIS_HANDLE context, PNET_BUFFER_LIST nbl)
{
	io_complete(context, FAKE_PR_FORWARD_COMPLETE, nbl);
}

static VOID disconnect_complete(NDIS_HANDLE context, PNET_BUFFER_LIST nbl)
{
	io_complete(context, FAKE_PR_DISCONNECT_COMPLETE, nbl);
}

/* ---- Indications ----------------------------------------------------------------------------- */

/*
 * TCP events and receive indications come with nothing but an offload handle. A host finds its
 * connection around it; the fake has none, so the newest registered driver stands in.
 */
static struct fake_protocol *indicated;

static VOID tcp_event(PVOID offload_context, ULONG type, ULONG information)
{
	fake_log_add(indicated->log, (struct fake_call){ .kind = FAKE_PR_TCP_EVENT,
							 .context = offload_context,
							 .value = type,
							 .value2 = information });
}

static NDIS_STATUS tcp_receive(PVOID offload_context, PNET_BUFFER_LIST nbl, NDIS_STATUS status,
			       PULONG consumed)
{
	fake_log_add(indicated->log, (struct fake_call){ .kind = FAKE_PR_TCP_RECEIVE,
							 .context = offload_context,
							 .pointer = nbl,
							 .value = (uint32_t)status });
	*consumed = indicated->receive_consumed;
	return indicated->receive_answer;
}

static VOID offload_event(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list, ULONG code)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log,
		     (struct fake_call){ .kind = FAKE_PR_OFFLOAD_EVENT,
					 .context = context,
					 .object = list ? list->OffloadHandle : NULL,
					 .pointer = list,
					 .value = code });
	if (list && code == NeighborReachabilityQuery)
		((NEIGHBOR_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(list))
			->HostReachabilityDelta = binding->pr->reachability;
}

static void indicated_to(struct fake_binding *binding, enum fake_kind kind)
{
	if (binding->pr->on_indication)
		binding->pr->on_indication(binding, kind);
}

static VOID status_ex(NDIS_HANDLE context, PNDIS_STATUS_INDICATION indication)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log,
		     (struct fake_call){ .kind = FAKE_PR_STATUS,
					 .context = context,
					 .value = (uint32_t)indication->StatusCode,
					 .value2 = indication->StatusBufferSize });
	assert_true(indication->StatusBufferSize <= FAKE_STATUS_BYTES);
	memset(binding->status_buffer, 0, FAKE_STATUS_BYTES);
	if (indication->StatusBufferSize)
		memcpy(binding->status_buffer, indication->StatusBuffer,
		       indication->StatusBufferSize);
	indicated_to(binding, FAKE_PR_STATUS);
}

static NDIS_STATUS pnp_event(NDIS_HANDLE context, PNET_PNP_EVENT_NOTIFICATION notification)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log,
		     (struct fake_call){ .kind = FAKE_PR_PNP,
					 .context = context,
					 .value = notification->NetPnPEvent.NetEvent });
	if (binding->pr->pnp_status == NDIS_STATUS_PENDING)
		binding->pnp_open = notification;
	indicated_to(binding, FAKE_PR_PNP);
	return binding->pr->pnp_status;
}

static VOID oid_complete(NDIS_HANDLE context, PNDIS_OID_REQUEST request, NDIS_STATUS status)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log, (struct fake_call){ .kind = FAKE_PR_OID_COMPLETE,
							   .context = context,
							   .pointer = request,
							   .value = (uint32_t)status });
}

static VOID receive_plain(NDIS_HANDLE context, PNET_BUFFER_LIST nbl, NDIS_PORT_NUMBER port,
			  ULONG count, ULONG flags)
{
	struct fake_binding *binding = context;

	(void)port;
	fake_log_add(binding->pr->log, (struct fake_call){ .kind = FAKE_PR_RECEIVE_PLAIN,
							   .context = context,
							   .pointer = nbl,
							   .value = count,
							   .value2 = flags });
	indicated_to(binding, FAKE_PR_RECEIVE_PLAIN);
}

static VOID send_plain_complete(NDIS_HANDLE context, PNET_BUFFER_LIST nbl, ULONG flags)
{
	struct fake_binding *binding = context;

	fake_log_add(binding->pr->log, (struct fake_call){ .kind = FAKE_PR_SEND_PLAIN_COMPLETE,
							   .context = context,
							   .pointer = nbl,
							   .value = flags });
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void copy_name(char *to, size_t size, const NDIS_STRING *name)
{
	size_t i, length = name->Length / sizeof(WCHAR);

	assert_true(length < size);
	for (i = 0; i < length; i++)
		to[i] = (char)name->Buffer[i];
	to[length] = '\0';
}

static NDIS_STATUS register_chimney(struct fake_protocol *pr, NDIS_HANDLE handle)
{
	if (pr->with_generic)
		pr->generic_status = NdisSetOptionalHandlers(
			handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&pr->generic);
	if (pr->generic_status != NDIS_STATUS_SUCCESS)
		return pr->generic_status;
	if (pr->with_tcp)
		pr->tcp_status =
			NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&pr->tcp);
	return pr->tcp_status;
}

static NDIS_STATUS bind(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
			PNDIS_BIND_PARAMETERS params)
{
	struct fake_protocol *pr = driver_context;
	NDIS_OPEN_PARAMETERS open = {
		.Header = { NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1 },
		.AdapterName = params->AdapterName,
	};
	struct fake_binding *binding;

	fake_log_add(pr->log,
		     (struct fake_call){ .kind = FAKE_PR_BIND, .context = driver_context });
	if (pr->bind_status != NDIS_STATUS_SUCCESS)
		return pr->bind_status;
	assert_true(pr->binding_count < FAKE_BINDINGS);
	binding = &pr->bindings[pr->binding_count];
	memset(binding, 0, sizeof(*binding));
	binding->pr = pr;
	copy_name(binding->adapter_name, sizeof(binding->adapter_name), params->AdapterName);
	binding->has_current = params->TcpConnectionOffloadCapabilities;
	if (binding->has_current)
		binding->current = *params->TcpConnectionOffloadCapabilities;
	binding->has_hardware = params->TcpConnectionOffloadHardwareCapabilities;
	if (binding->has_hardware)
		binding->hardware = *params->TcpConnectionOffloadHardwareCapabilities;
	binding->open_status =
		NdisOpenAdapterEx(pr->driver, binding, &open, bind_context, &binding->handle);
	if (binding->open_status != NDIS_STATUS_SUCCESS)
		return binding->open_status;
	pr->binding_count++;
	if (pr->register_at_bind)
		binding->late_status = register_chimney(pr, binding->handle);
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS unbind(NDIS_HANDLE unbind_context, NDIS_HANDLE context)
{
	struct fake_binding *binding = context;
	NDIS_STATUS status;

	fake_log_add(binding->pr->log,
		     (struct fake_call){ .kind = FAKE_PR_UNBIND, .context = context });
	binding->closing = binding->handle;
	binding->handle = NULL;
	binding->unbind_context = unbind_context;
	status = NdisCloseAdapterEx(binding->closing);
	if (status != NDIS_STATUS_PENDING)
		binding->closing = NULL;
	return status;
}

/* A close that pended is over, and with it the unbind. */
static VOID close_complete(NDIS_HANDLE context)
{
	struct fake_binding *binding = context;

	binding->closing = NULL;
	NdisCompleteUnbindAdapterEx(binding->unbind_context);
}

static VOID open_complete(NDIS_HANDLE context, NDIS_STATUS status)
{
	(void)context;
	(void)status;
	fail(); /* the runtime opens at once */
}

static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	struct fake_protocol *pr = context;

	pr->set_options_handle = driver;
	return pr->register_at_bind ? NDIS_STATUS_SUCCESS : register_chimney(pr, driver);
}

static void init_chimney(struct fake_protocol *pr)
{
	pr->generic = (NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS){
		.Header = { NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			    NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
			    sizeof(pr->generic) },
		.InitiateOffloadCompleteHandler = initiate_complete,
		.TerminateOffloadCompleteHandler = terminate_complete,
		.UpdateOffloadCompleteHandler = update_complete,
		.InvalidateOffloadCompleteHandler = invalidate_complete,
		.QueryOffloadCompleteHandler = query_complete,
		.IndicateOffloadEventHandler = offload_event,
	};
	pr->tcp = (NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS){
		.Header = { NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
			    NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
			    sizeof(pr->tcp) },
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendCompleteHandler = send_complete,
		.TcpOffloadReceiveCompleteHandler = receive_complete,
		.TcpOffloadDisconnectCompleteHandler = disconnect_complete,
		.TcpOffloadForwardCompleteHandler = forward_complete,
		.TcpOffloadEventHandler = tcp_event,
		.TcpOffloadReceiveIndicateHandler = tcp_receive,
	};
}

void fake_protocol_init(struct fake_protocol *pr, struct fake_log *log)
{
	memset(pr, 0, sizeof(*pr));
	pr->log = log;
	pr->with_generic = pr->with_tcp = true;
	init_chimney(pr);
}

NDIS_STATUS fake_protocol_register(struct fake_protocol *pr)
{
	static WCHAR name[] = { 'F', 'A', 'K', 'E' };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS driver = {
		.Header = { NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			    NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 },
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = { sizeof(name), sizeof(name), name },
		.SetOptionsHandler = set_options,
		.BindAdapterHandlerEx = bind,
		.UnbindAdapterHandlerEx = unbind,
		.OpenAdapterCompleteHandlerEx = open_complete,
		.CloseAdapterCompleteHandlerEx = close_complete,
		.NetPnPEventHandler = pnp_event,
		.OidRequestCompleteHandler = oid_complete,
		.StatusHandlerEx = status_ex,
		.ReceiveNetBufferListsHandler = receive_plain,
		.SendNetBufferListsCompleteHandler = send_plain_complete,
	};

	indicated = pr;
	return NdisRegisterProtocolDriver(pr, &driver, &pr->driver);
}

void fake_protocol_deregister(struct fake_protocol *pr)
{
	NdisDeregisterProtocolDriver(pr->driver);
	pr->driver = NULL;
}

struct fake_binding *fake_protocol_binding(struct fake_protocol *pr, size_t index)
{
	assert_true(index < pr->binding_count);
	return &pr->bindings[index];
}

void fake_request_init(NDIS_OID_REQUEST *request, NDIS_REQUEST_TYPE type, NDIS_OID oid,
		       void *buffer, UINT bytes)
{
	memset(request, 0, sizeof(*request));
	request->Header =
		(NDIS_OBJECT_HEADER){ NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
				      NDIS_SIZEOF_OID_REQUEST_REVISION_1 };
	request->RequestType = type;
	request->DATA.QUERY_INFORMATION.Oid = oid;
	request->DATA.QUERY_INFORMATION.InformationBuffer = buffer;
	request->DATA.QUERY_INFORMATION.InformationBufferLength = bytes;
}
