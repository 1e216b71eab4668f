/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake/fake_miniport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#define LEVELS 3

/* ---- Objects and the answer to an operation -------------------------------------------------- */

uint32_t fake_query_value(const struct fake_object *object)
{
	return 0xA000u + (uint32_t)(object - object->adapter->objects);
}

static struct fake_object *object_new(struct fake_adapter *adapter,
				      const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	struct fake_object *object;

	assert_true(adapter->object_count < FAKE_OBJECTS);
	object = &adapter->objects[adapter->object_count++];
	object->adapter = adapter;
	object->ndis_handle = block->NdisOffloadHandle;
	object->type = block->Header.Type;
	object->live = true;
	return object;
}

static void fill_query(const struct fake_object *object, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(block);

	if (block->Header.Type == TcpOffloadDelegatedState)
		((TCP_OFFLOAD_STATE_DELEGATED *)state)->SndUna = fake_query_value(object);
	else if (block->Header.Type == NeighborOffloadDelegatedState)
		((NEIGHBOR_OFFLOAD_STATE_DELEGATED *)state)->NicReachabilityDelta =
			fake_query_value(object);
}

static void apply(struct fake_adapter *adapter, enum fake_op op,
		  NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	struct fake_object *object = *block->MiniportOffloadContext;

	switch (op) {
	case FAKE_INITIATE:
		if (!object)
			*block->MiniportOffloadContext = object_new(adapter, block);
		break;
	case FAKE_TERMINATE:
		assert_true(object->live);
		object->live = false;
		break;
	case FAKE_QUERY:
		fill_query(object, block);
		break;
	default:
		break;
	}
}

static void answer_block(struct fake_adapter *adapter, enum fake_op op,
			 NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	struct fake_miniport *mp = adapter->mp;

	block->Status = NDIS_STATUS_SUCCESS;
	if (!block->MiniportOffloadContext)
		return;
	if (op != FAKE_INITIATE)
		assert_non_null(*block->MiniportOffloadContext);
	if (*block->MiniportOffloadContext)
		assert_ptr_equal(((struct fake_object *)*block->MiniportOffloadContext)->adapter,
				 adapter);
	if (mp->verdict)
		block->Status = mp->verdict(mp->verdict_ctx, op, block);
	if (block->Status == NDIS_STATUS_SUCCESS ||
	    block->Status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS)
		apply(adapter, op, block);
}

static void answer_row(struct fake_adapter *adapter, enum fake_op op,
		       NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *row, unsigned int depth)
{
	assert_true(depth < LEVELS);
	for (; row; row = row->NextBlock) {
		answer_block(adapter, op, row);
		if (row->DependentBlockList)
			answer_row(adapter, op, row->DependentBlockList, depth + 1);
	}
}

void fake_adapter_answer(struct fake_adapter *adapter, enum fake_op op,
			 NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	answer_row(adapter, op, list, 0);
}

void fake_adapter_complete(struct fake_adapter *adapter, enum fake_op op)
{
	static void (*const complete[FAKE_OPS])(NDIS_HANDLE, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST) = {
		[FAKE_INITIATE] = NdisMInitiateOffloadComplete,
		[FAKE_TERMINATE] = NdisMTerminateOffloadComplete,
		[FAKE_UPDATE] = NdisMUpdateOffloadComplete,
		[FAKE_INVALIDATE] = NdisMInvalidateOffloadComplete,
		[FAKE_QUERY] = NdisMQueryOffloadStateComplete,
	};
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list = adapter->open[op];

	assert_non_null(list);
	adapter->open[op] = NULL;
	fake_adapter_answer(adapter, op, list);
	complete[op](adapter->handle, list);
}

/* ---- Chimney handlers ------------------------------------------------------------------------ */

static void state_call(NDIS_HANDLE context, enum fake_op op, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	struct fake_adapter *adapter = context;

	fake_log_add(adapter->mp->log, (struct fake_call){ .kind = FAKE_MP_INITIATE + op,
							   .context = context,
							   .pointer = list });
	adapter->open[op] = list;
	if (adapter->mp->complete_inline)
		fake_adapter_complete(adapter, op);
}

static VOID initiate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	state_call(context, FAKE_INITIATE, list);
}

static VOID terminate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	state_call(context, FAKE_TERMINATE, list);
}

static VOID update(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	state_call(context, FAKE_UPDATE, list);
}

static VOID invalidate(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	state_call(context, FAKE_INVALIDATE, list);
}

static VOID query(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	state_call(context, FAKE_QUERY, list);
}

static NDIS_STATUS io_call(NDIS_HANDLE context, enum fake_io io, PVOID object, PNET_BUFFER_LIST nbl,
			   ULONG flags)
{
	struct fake_adapter *adapter = context;

	fake_log_add(adapter->mp->log, (struct fake_call){ .kind = FAKE_MP_SEND + io,
							   .context = context,
							   .object = object,
							   .pointer = nbl,
							   .value = flags });
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS offload_send(NDIS_HANDLE context, PVOID object, PNET_BUFFER_LIST nbl)
{
	return io_call(context, FAKE_SEND, object, nbl, 0);
}

static NDIS_STATUS offload_receive(NDIS_HANDLE context, PVOID object, PNET_BUFFER_LIST nbl)
{
	return io_call(context, FAKE_RECEIVE, object, nbl, 0);
}

static NDIS_STATUS offload_forward(NDIS_HANDLE context, PVOID object, PNET_BUFFER_LIST nbl)
{
	return io_call(context, FAKE_FORWARD, object, nbl, 0);
}

static NDIS_STATUS offload_disconnect(NDIS_HANDLE context, PVOID object, PNET_BUFFER_LIST nbl,
				      ULONG flags)
{
	return io_call(context, FAKE_DISCONNECT, object, nbl, flags);
}

static NDIS_STATUS receive_return(NDIS_HANDLE context, PNET_BUFFER_LIST nbl)
{
	struct fake_adapter *adapter = context;

	fake_log_add(adapter->mp->log, (struct fake_call){ .kind = FAKE_MP_RECEIVE_RETURN,
							   .context = context,
							   .pointer = nbl });
	return NDIS_STATUS_SUCCESS;
}

void fake_adapter_complete_io(struct fake_adapter *adapter, enum fake_io io, NET_BUFFER_LIST *chain)
{
	switch (io) {
	case FAKE_SEND:
		adapter->up.NdisTcpOffloadSendComplete(adapter->handle, chain);
		break;
	case FAKE_RECEIVE:
		adapter->up.NdisTcpOffloadReceiveComplete(adapter->handle, chain);
		break;
	case FAKE_FORWARD:
		adapter->up.NdisTcpOffloadForwardComplete(adapter->handle, chain);
		break;
	case FAKE_DISCONNECT:
		adapter->up.NdisTcpOffloadDisconnectComplete(adapter->handle, chain);
		break;
	default:
		fail();
	}
}

/* ---- Life, requests, plain path -------------------------------------------------------------- */

static NDIS_STATUS set_attributes(struct fake_adapter *adapter)
{
	struct fake_miniport *mp = adapter->mp;
	NDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes = {
		.RegistrationAttributes = {
			.Header = {
				.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
				.Revision = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
				.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
			},
			.MiniportAdapterContext = adapter,
		},
	};
	NDIS_STATUS status = NdisMSetMiniportAttributes(adapter->handle, &attributes);

	if (status != NDIS_STATUS_SUCCESS || !mp->report_offload)
		return status;
	attributes.OffloadAttributes = (NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES){
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
			.Revision = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
		},
		.DefaultTcpConnectionOffloadConfiguration = &mp->current,
		.TcpConnectionOffloadHardwareCapabilities = &mp->hardware,
	};
	return NdisMSetMiniportAttributes(adapter->handle, &attributes);
}

static NDIS_STATUS initialize(NDIS_HANDLE handle, NDIS_HANDLE driver_context,
			      PNDIS_MINIPORT_INIT_PARAMETERS params)
{
	struct fake_miniport *mp = driver_context;
	struct fake_adapter *adapter;
	NDIS_OFFLOAD_EVENT_HANDLERS *table = NULL;

	(void)params;
	fake_log_add(mp->log,
		     (struct fake_call){ .kind = FAKE_MP_INITIALIZE, .context = driver_context });
	if (mp->initialize_status != NDIS_STATUS_SUCCESS)
		return mp->initialize_status;
	assert_true(mp->adapter_count < FAKE_ADAPTERS);
	adapter = &mp->adapters[mp->adapter_count++];
	memset(adapter, 0, sizeof(*adapter));
	adapter->mp = mp;
	adapter->handle = handle;
	adapter->attributes_status = set_attributes(adapter);
	adapter->handlers_status = NdisMGetOffloadHandlers(handle, NdisTcpChimneyOffload, &table);
	if (adapter->handlers_status == NDIS_STATUS_SUCCESS &&
	    table->Header.Size == sizeof(adapter->up))
		adapter->up = *(NDIS_TCP_OFFLOAD_EVENT_HANDLERS *)table;
	return adapter->attributes_status;
}

static VOID halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	struct fake_adapter *adapter = context;

	adapter->halted = true;
	fake_log_add(
		adapter->mp->log,
		(struct fake_call){ .kind = FAKE_MP_HALT, .context = context, .value = action });
}

static NDIS_STATUS pause(NDIS_HANDLE context, PNDIS_MINIPORT_PAUSE_PARAMETERS params)
{
	struct fake_adapter *adapter = context;

	(void)params;
	fake_log_add(adapter->mp->log,
		     (struct fake_call){ .kind = FAKE_MP_PAUSE, .context = context });
	return adapter->mp->pause_status;
}

static NDIS_STATUS restart(NDIS_HANDLE context, PNDIS_MINIPORT_RESTART_PARAMETERS params)
{
	struct fake_adapter *adapter = context;

	(void)params;
	fake_log_add(adapter->mp->log,
		     (struct fake_call){ .kind = FAKE_MP_RESTART, .context = context });
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS oid_request(NDIS_HANDLE context, PNDIS_OID_REQUEST request)
{
	struct fake_adapter *adapter = context;

	fake_log_add(adapter->mp->log,
		     (struct fake_call){ .kind = FAKE_MP_OID,
					 .context = context,
					 .pointer = request,
					 .value = request->DATA.QUERY_INFORMATION.Oid,
					 .value2 = request->RequestType });
	if (adapter->mp->oid_status == NDIS_STATUS_PENDING) {
		assert_null(adapter->open_request); /* NDIS hands them over one at a time */
		adapter->open_request = request;
	}
	return adapter->mp->oid_status;
}

void fake_adapter_complete_oid(struct fake_adapter *adapter, NDIS_STATUS status)
{
	NDIS_OID_REQUEST *request = adapter->open_request;

	assert_non_null(request);
	adapter->open_request = NULL;
	NdisMOidRequestComplete(adapter->handle, request, status);
}

static VOID send_plain(NDIS_HANDLE context, PNET_BUFFER_LIST nbl, NDIS_PORT_NUMBER port,
		       ULONG flags)
{
	struct fake_adapter *adapter = context;

	(void)port;
	fake_log_add(adapter->mp->log, (struct fake_call){ .kind = FAKE_MP_SEND_PLAIN,
							   .context = context,
							   .pointer = nbl,
							   .value = flags });
}

static VOID return_plain(NDIS_HANDLE context, PNET_BUFFER_LIST nbl, ULONG flags)
{
	struct fake_adapter *adapter = context;

	fake_log_add(adapter->mp->log, (struct fake_call){ .kind = FAKE_MP_RETURN_PLAIN,
							   .context = context,
							   .pointer = nbl,
							   .value = flags });
}

static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	struct fake_miniport *mp = context;

	mp->set_options_handle = driver;
	if (mp->with_generic)
		mp->generic_status = NdisSetOptionalHandlers(
			driver, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&mp->generic);
	if (mp->generic_status != NDIS_STATUS_SUCCESS)
		return mp->generic_status;
	if (mp->with_tcp)
		mp->tcp_status =
			NdisSetOptionalHandlers(driver, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&mp->tcp);
	return mp->tcp_status;
}

static void init_chimney(struct fake_miniport *mp)
{
	mp->generic = (NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS){
		.Header = { NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			    NDIS_OBJECT_REVISION_1, sizeof(mp->generic) },
		.InitiateOffloadHandler = initiate,
		.TerminateOffloadHandler = terminate,
		.UpdateOffloadHandler = update,
		.InvalidateOffloadHandler = invalidate,
		.QueryOffloadHandler = query,
	};
	mp->tcp = (NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS){
		.Header = { NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
			    NDIS_OBJECT_REVISION_1, sizeof(mp->tcp) },
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendHandler = offload_send,
		.TcpOffloadReceiveHandler = offload_receive,
		.TcpOffloadDisconnectHandler = offload_disconnect,
		.TcpOffloadForwardHandler = offload_forward,
		.TcpOffloadReceiveReturnHandler = receive_return,
	};
}

void fake_miniport_init(struct fake_miniport *mp, struct fake_log *log)
{
	NDIS_TCP_CONNECTION_OFFLOAD offload = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_TCP_CONNECTION_OFFLOAD_REVISION_1,
			    NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1 },
		.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
		.SupportIPv4 = NDIS_OFFLOAD_SUPPORTED,
		.TcpConnectionOffloadCapacity = 64,
	};

	memset(mp, 0, sizeof(*mp));
	mp->log = log;
	mp->with_generic = mp->with_tcp = mp->report_offload = true;
	init_chimney(mp);
	mp->current = mp->hardware = offload;
	mp->hardware.Encapsulation |= NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED;
	mp->hardware.SupportIPv6 = NDIS_OFFLOAD_SUPPORTED;
	mp->hardware.TcpConnectionOffloadCapacity = 1024;
}

NDIS_STATUS fake_miniport_register(struct fake_miniport *mp)
{
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS driver = {
		.Header = { NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
			    NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
			    NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 },
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.SetOptionsHandler = set_options,
		.InitializeHandlerEx = initialize,
		.HaltHandlerEx = halt,
		.PauseHandler = pause,
		.RestartHandler = restart,
		.OidRequestHandler = oid_request,
		.SendNetBufferListsHandler = send_plain,
		.ReturnNetBufferListsHandler = return_plain,
	};

	return NdisMRegisterMiniportDriver(NULL, NULL, mp, &driver, &mp->driver);
}

void fake_miniport_deregister(struct fake_miniport *mp)
{
	NdisMDeregisterMiniportDriver(mp->driver);
	mp->driver = NULL;
}

struct fake_adapter *fake_miniport_adapter(struct fake_miniport *mp, size_t index)
{
	assert_true(index < mp->adapter_count);
	return &mp->adapters[index];
}

struct fake_object *fake_adapter_object(struct fake_adapter *adapter, size_t index)
{
	assert_true(index < adapter->object_count);
	return &adapter->objects[index];
}

size_t fake_adapter_live(const struct fake_adapter *adapter)
{
	size_t i, live = 0;

	for (i = 0; i < adapter->object_count; i++)
		live += adapter->objects[i].live;
	return live;
}

void fake_indicate_status(struct fake_adapter *adapter, NDIS_STATUS code, void *buffer, ULONG size)
{
	NDIS_STATUS_INDICATION indication = {
		.Header = { NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
			    NDIS_SIZEOF_STATUS_INDICATION_REVISION_1 },
		.SourceHandle = adapter->handle,
		.StatusCode = code,
		.StatusBuffer = buffer,
		.StatusBufferSize = size,
	};

	NdisMIndicateStatusEx(adapter->handle, &indication);
}
