/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tm_driver.c - the miniport driver: registration, what the adapter says of itself, its life, and
 * its turns. Nothing here knows TCP.
 */
#include "tm.h"

#include <stdlib.h>
#include <string.h>

#define RUN_ROUNDS 16u /* of one turn; what is left then is for the next */
#define RETRY_US   1000u

static NDIS_HANDLE driver_handle;

#define HEADER(type, revision, size)                                                               \
	{                                                                                          \
		(type), (revision), (size)                                                         \
	}

/* ---- turns ----------------------------------------------------------------------------------- */

static void nic_frame(void *context, const void *frame, uint32_t bytes)
{
	struct tm_adapter *a = context;

	a->now_us = a->nic->now_us(a->nic->context);
	tm_frame(a, frame, bytes);
}

static void run_round(struct tm_adapter *a)
{
	struct tm_conn *conn;

	tm_ops_run(a);
	for (conn = a->conns; conn; conn = conn->next) {
		tm_timers(conn);
		tm_conn_run(conn);
		tm_output(conn);
	}
}

static void nic_run(void *context, uint64_t now_us)
{
	struct tm_adapter *a = context;
	unsigned int rounds = 0;

	a->now_us = now_us;
	a->retry_us = 0;
	do {
		a->work = false;
		run_round(a);
	} while (a->work && ++rounds < RUN_ROUNDS);
}

static uint64_t nic_deadline(void *context)
{
	const struct tm_adapter *a = context;
	uint64_t next = a->retry_us ? a->retry_us + RETRY_US : UINT64_MAX, due;
	const struct tm_conn *conn;

	if (a->work)
		return 0;
	for (conn = a->conns; conn; conn = conn->next) {
		due = tm_deadline(conn);
		if (due < next)
			next = due;
	}
	return next;
}

static const struct chimney_nic_client nic_client = { nic_frame, nic_run, nic_deadline };

/* ---- what the adapter says of itself --------------------------------------------------------- */

static NDIS_STATUS set_attributes(struct tm_adapter *a, void *attributes)
{
	return NdisMSetMiniportAttributes(a->miniport, attributes);
}

static NDIS_STATUS set_registration(struct tm_adapter *a)
{
	NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES registration = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
				 NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1),
		.MiniportAdapterContext = a,
	};

	return set_attributes(a, &registration);
}

static NDIS_STATUS set_general(struct tm_adapter *a)
{
	static NDIS_OID oids[] = { OID_TCP_CONNECTION_OFFLOAD_PARAMETERS,
				   OID_GEN_CURRENT_PACKET_FILTER };
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES general = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
				 NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1),
		.MediaType = NdisMedium802_3,
		.MtuSize = a->nic->mtu_bytes,
		.MacAddressLength = 6,
		.SupportedOidList = oids,
		.SupportedOidListLength = sizeof(oids),
	};

	memcpy(general.PermanentMacAddress, a->nic->mac, 6);
	memcpy(general.CurrentMacAddress, a->nic->mac, 6);
	return set_attributes(a, &general);
}

static NDIS_STATUS set_offload(struct tm_adapter *a)
{
	NDIS_TCP_CONNECTION_OFFLOAD can = {
		.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NDIS_TCP_CONNECTION_OFFLOAD_REVISION_1,
				 NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1),
		.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
		.SupportIPv4 = NDIS_OFFLOAD_SUPPORTED,
		.SupportIPv6 = NDIS_OFFLOAD_NOT_SUPPORTED,
		.SupportSack = NDIS_OFFLOAD_NOT_SUPPORTED,
		.TcpConnectionOffloadCapacity = TM_CONNS_MAX,
	};
	NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES offload = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
				 NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1),
		.DefaultTcpConnectionOffloadConfiguration = &can,
		.TcpConnectionOffloadHardwareCapabilities = &can,
	};

	return set_attributes(a, &offload);
}

/* The table is NDIS's and may grow: look at its header, then copy what is known here. */
static NDIS_STATUS get_handlers(struct tm_adapter *a)
{
	NDIS_OFFLOAD_EVENT_HANDLERS *table = NULL;
	NDIS_STATUS status = NdisMGetOffloadHandlers(a->miniport, NdisTcpChimneyOffload, &table);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	if (table->Header.Type != NdisTcpChimneyOffload ||
	    table->Header.Revision < NDIS_OBJECT_TCP_OFFLOAD_REVISION_1 ||
	    table->Header.Size < sizeof(a->up))
		return NDIS_STATUS_BAD_VERSION;
	memcpy(&a->up, table, sizeof(a->up));
	return NDIS_STATUS_SUCCESS;
}

static NDIS_HANDLE make_pool(struct tm_adapter *a)
{
	NET_BUFFER_LIST_POOL_PARAMETERS pool = {
		.Header =
			HEADER(NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			       NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1),
		.ProtocolId = NDIS_PROTOCOL_ID_TCP_IP,
		.fAllocateNetBuffer = TRUE,
	};

	return NdisAllocateNetBufferListPool(a->miniport, &pool);
}

/* ---- an adapter's life ----------------------------------------------------------------------- */

static NDIS_STATUS introduce(struct tm_adapter *a)
{
	NDIS_STATUS status = set_registration(a);

	if (status == NDIS_STATUS_SUCCESS)
		status = get_handlers(a);
	if (status == NDIS_STATUS_SUCCESS)
		status = set_general(a);
	if (status == NDIS_STATUS_SUCCESS)
		status = set_offload(a);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	a->pool = make_pool(a);
	return a->pool ? NDIS_STATUS_SUCCESS : NDIS_STATUS_RESOURCES;
}

static NDIS_STATUS initialize(NDIS_HANDLE miniport, NDIS_HANDLE driver_context,
			      PNDIS_MINIPORT_INIT_PARAMETERS params)
{
	struct chimney_nic *nic = params->MiniportAddDeviceContext;
	struct tm_adapter *a;
	NDIS_STATUS status;

	(void)driver_context;
	if (!nic || nic->version < CHIMNEY_NIC_VERSION)
		return NDIS_STATUS_INVALID_PARAMETER;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NDIS_STATUS_RESOURCES;
	a->miniport = miniport;
	a->nic = nic;
	a->now_us = nic->now_us(nic->context);
	/* What holds until the host says otherwise. */
	a->params.TicksPerSecond = 1000;
	a->params.TcpAckFrequency = 2;
	a->params.TcpDelayedAckTicks = 40;
	a->params.TcpMaximumRetransmissions = 15;
	a->params.TcpPushTicks = 500;
	status = introduce(a);
	if (status != NDIS_STATUS_SUCCESS) {
		free(a);
		return status;
	}
	nic->attach(nic->context, &nic_client, a);
	return NDIS_STATUS_SUCCESS;
}

/* The host has terminated everything: NDIS halts no adapter that still has bindings. */
static void halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	struct tm_adapter *a = context;

	(void)action;
	a->nic->attach(a->nic->context, NULL, NULL);
	NdisFreeNetBufferListPool(a->pool);
	free(a);
}

/* A pause is over when every indicated list is back (tm_data.c looks after it). */
static NDIS_STATUS pause(NDIS_HANDLE context, PNDIS_MINIPORT_PAUSE_PARAMETERS params)
{
	struct tm_adapter *a = context;

	(void)params;
	a->pausing = a->lists_out > 0;
	return a->pausing ? NDIS_STATUS_PENDING : NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS restart(NDIS_HANDLE context, PNDIS_MINIPORT_RESTART_PARAMETERS params)
{
	(void)context;
	(void)params;
	return NDIS_STATUS_SUCCESS;
}

/* ---- requests -------------------------------------------------------------------------------- */

static NDIS_STATUS set_parameters(struct tm_adapter *a, struct _SET *set)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS wanted = { 0 };
	UINT bytes = set->InformationBufferLength;

	if (bytes < NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1)
		return NDIS_STATUS_INVALID_LENGTH;
	memcpy(&wanted, set->InformationBuffer, bytes < sizeof(wanted) ? bytes : sizeof(wanted));
	if (wanted.TicksPerSecond != 10 && wanted.TicksPerSecond != 100 &&
	    wanted.TicksPerSecond != 1000)
		return NDIS_STATUS_INVALID_DATA;
	if (a->conns && wanted.TicksPerSecond != a->params.TicksPerSecond)
		return NDIS_STATUS_INVALID_STATE; /* all that runs is counted in the old ticks */
	a->params = wanted;
	set->BytesRead = bytes;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS oid_request(NDIS_HANDLE context, PNDIS_OID_REQUEST request)
{
	struct _SET *set = &request->DATA.SET_INFORMATION;

	if (request->RequestType != NdisRequestSetInformation)
		return NDIS_STATUS_NOT_SUPPORTED;
	switch (set->Oid) {
	case OID_TCP_CONNECTION_OFFLOAD_PARAMETERS:
		return set_parameters(context, set);
	case OID_GEN_CURRENT_PACKET_FILTER: /* what is not offloaded goes to the nic's host side */
		return NDIS_STATUS_SUCCESS;
	default:
		return NDIS_STATUS_NOT_SUPPORTED;
	}
}

/* ---- the plain path -------------------------------------------------------------------------- */

static void send_lists(NDIS_HANDLE context, PNET_BUFFER_LIST chain, NDIS_PORT_NUMBER port,
		       ULONG flags)
{
	struct tm_adapter *a = context;
	NET_BUFFER_LIST *nbl;
	NET_BUFFER *nb;
	uint8_t *frame;

	(void)port;
	(void)flags;
	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
		for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
			ULONG bytes = NET_BUFFER_DATA_LENGTH(nb);

			frame = bytes <= sizeof(a->frame)
					? NdisGetDataBuffer(nb, bytes, a->frame, 1, 0)
					: NULL;
			if (!frame || a->nic->send(a->nic->context, frame, bytes))
				NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_RESOURCES;
		}
	}
	NdisMSendNetBufferListsComplete(a->miniport, chain, 0);
}

static void return_lists(NDIS_HANDLE context, PNET_BUFFER_LIST chain, ULONG flags)
{
	(void)context; /* frames are given to the nic, not indicated here */
	(void)chain;
	(void)flags;
}

static void cancel_send(NDIS_HANDLE context, PVOID id)
{
	(void)context; /* plain sends do not wait */
	(void)id;
}

static void pnp_event(NDIS_HANDLE context, PNET_DEVICE_PNP_EVENT event)
{
	(void)context;
	(void)event;
}

static void shut_down(NDIS_HANDLE context, NDIS_SHUTDOWN_ACTION action)
{
	(void)context;
	(void)action;
}

static void cancel_request(NDIS_HANDLE context, PVOID id)
{
	(void)context; /* requests do not wait */
	(void)id;
}

/* ---- registration ---------------------------------------------------------------------------- */

/* Both sets of chimney functions: state operations, and data. */
static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	NDIS_STATUS status;

	(void)context;
	status = NdisSetOptionalHandlers(driver, (void *)(uintptr_t)&tm_generic_handlers);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	return NdisSetOptionalHandlers(driver, (void *)(uintptr_t)&tm_tcp_handlers);
}

static void unload(PDRIVER_OBJECT object)
{
	(void)object;
	NdisMDeregisterMiniportDriver(driver_handle);
}

NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING registry_path);
NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING registry_path)
{
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS miniport = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
				 NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1),
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.SetOptionsHandler = set_options,
		.InitializeHandlerEx = initialize,
		.HaltHandlerEx = halt,
		.UnloadHandler = unload,
		.PauseHandler = pause,
		.RestartHandler = restart,
		.OidRequestHandler = oid_request,
		.SendNetBufferListsHandler = send_lists,
		.ReturnNetBufferListsHandler = return_lists,
		.CancelSendHandler = cancel_send,
		.DevicePnPEventNotifyHandler = pnp_event,
		.ShutdownHandlerEx = shut_down,
		.CancelOidRequestHandler = cancel_request,
	};

	return NdisMRegisterMiniportDriver(object, registry_path, NULL, &miniport, &driver_handle);
}
