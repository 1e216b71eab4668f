/* SPDX-License-Identifier: BSD-2-Clause */
#include "im/im_edge.h"

#include <errno.h>
#include <string.h>

#include "ndis/nrt_alloc.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"

/* ---- State behind blocks ---- */

static const struct {
	unsigned char
		first; /* Type of the block with the constant class alone; cached and delegated
				follow */
	unsigned char all;
	enum im_layer layer;
} layers[] = {
	{ NeighborOffloadConstState, NeighborOffloadState, IM_NEIGHBOR },
	{ Ip4OffloadConstState, Ip4OffloadState, IM_PATH },
	{ Ip6OffloadConstState, Ip6OffloadState, IM_PATH },
	{ TcpOffloadConstState, TcpOffloadState, IM_TCP },
};

enum im_layer im_layer_of(const union im_block *block)
{
	unsigned char type = block->miniport.Header.Type;
	size_t i;

	for (i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		if (type >= layers[i].first && type <= layers[i].all)
			return layers[i].layer;
	return IM_TCP;
}

void *im_state(const union im_block *block, enum im_class class)
{
	OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(block);
	unsigned char type = block->miniport.Header.Type;
	size_t i;
	int n;

	for (i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		if (type == layers[i].first + (int)class)
			return state;
		if (type != layers[i].all)
			continue;
		for (n = 0; n < (int)class; n++)
			state = NdisOffloadNextState(state);
		return state;
	}
	return NULL;
}

/* ---- State operations ---- */

void im_call_down(NDIS_HANDLE binding, enum im_op op, union im_block *root)
{
	switch (op) {
	case IM_INITIATE:
		NdisInitiateOffload(binding, &root->protocol);
		break;
	case IM_TERMINATE:
		NdisTerminateOffload(binding, &root->protocol);
		break;
	case IM_UPDATE:
		NdisUpdateOffload(binding, &root->protocol);
		break;
	case IM_INVALIDATE:
		NdisInvalidateOffload(binding, &root->protocol);
		break;
	case IM_QUERY:
		NdisQueryOffloadState(binding, &root->protocol);
		break;
	}
}

void im_complete_up(NDIS_HANDLE miniport, enum im_op op, union im_block *root)
{
	switch (op) {
	case IM_INITIATE:
		NdisMInitiateOffloadComplete(miniport, &root->miniport);
		break;
	case IM_TERMINATE:
		NdisMTerminateOffloadComplete(miniport, &root->miniport);
		break;
	case IM_UPDATE:
		NdisMUpdateOffloadComplete(miniport, &root->miniport);
		break;
	case IM_INVALIDATE:
		NdisMInvalidateOffloadComplete(miniport, &root->miniport);
		break;
	case IM_QUERY:
		NdisMQueryOffloadStateComplete(miniport, &root->miniport);
		break;
	}
}

static void fail_block(union im_block *block, enum im_op op, NDIS_STATUS status, bool below_failed)
{
	bool is_new;

	if (!block->miniport.MiniportOffloadContext) {
		block->miniport.Status = NDIS_STATUS_SUCCESS;
	} else {
		is_new = op == IM_INITIATE && !*block->miniport.MiniportOffloadContext;
		block->miniport.Status = is_new && !below_failed ? status : NDIS_STATUS_FAILURE;
		below_failed |= is_new;
	}
	for (block = im_dependents(block); block; block = im_next(block))
		fail_block(block, op, status, below_failed);
}

void im_fail_row(union im_block *row, enum im_op op, NDIS_STATUS status)
{
	for (; row; row = im_next(row))
		fail_block(row, op, status, false);
}

/* ---- What the adapter below is ---- */

void im_facts_learn(struct im_facts *facts, const NDIS_BIND_PARAMETERS *params)
{
	facts->general = (NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES){
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
			.Revision = NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
		},
		.MediaType = params->MediaType,
		.PhysicalMediumType = params->PhysicalMediumType,
		.MtuSize = params->MtuSize,
		.MaxXmitLinkSpeed = params->MaxXmitLinkSpeed,
		.XmitLinkSpeed = params->XmitLinkSpeed,
		.MaxRcvLinkSpeed = params->MaxRcvLinkSpeed,
		.RcvLinkSpeed = params->RcvLinkSpeed,
		.MediaConnectState = params->MediaConnectState,
		.MediaDuplexState = params->MediaDuplexState,
		.LookaheadSize = params->LookaheadSize,
		.MacOptions = params->MacOptions,
		.SupportedPacketFilters = params->SupportedPacketFilters,
		.MaxMulticastListSize = params->MaxMulticastListSize,
		.MacAddressLength = params->MacAddressLength,
		.IfType = params->IfType,
		.DataBackFillSize = params->DataBackFillSize,
		.ContextBackFillSize = params->ContextBackFillSize,
	};
	memcpy(facts->general.CurrentMacAddress, params->CurrentMacAddress,
	       sizeof(params->CurrentMacAddress));
	memcpy(facts->general.PermanentMacAddress, params->CurrentMacAddress,
	       sizeof(params->CurrentMacAddress));
	facts->has_current = params->TcpConnectionOffloadCapabilities;
	if (facts->has_current)
		facts->current = *params->TcpConnectionOffloadCapabilities;
	facts->has_hardware = params->TcpConnectionOffloadHardwareCapabilities;
	if (facts->has_hardware)
		facts->hardware = *params->TcpConnectionOffloadHardwareCapabilities;
}

bool im_facts_indicated(struct im_facts *facts, const NDIS_STATUS_INDICATION *indication)
{
	const NDIS_TCP_CONNECTION_OFFLOAD *offload = indication->StatusBuffer;

	if (!offload ||
	    indication->StatusBufferSize < NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1)
		return false;
	if (indication->StatusCode == NDIS_STATUS_OFFLOAD_RESUME) {
		facts->current = *offload;
		facts->has_current = true;
		return true;
	}
	if (indication->StatusCode == NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES) {
		facts->hardware = *offload;
		facts->has_hardware = true;
		return true;
	}
	return false;
}

NDIS_STATUS im_report(NDIS_HANDLE miniport, void *adapter_context, struct im_facts *facts)
{
	NDIS_TCP_CONNECTION_OFFLOAD *current = facts->has_current ? &facts->current : NULL;
	NDIS_TCP_CONNECTION_OFFLOAD *hardware = facts->has_hardware ? &facts->hardware : NULL;
	NDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes = {
		.RegistrationAttributes = {
			.Header = {
				.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
				.Revision = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
				.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
			},
			.MiniportAdapterContext = adapter_context,
		},
	};
	NDIS_STATUS status = NdisMSetMiniportAttributes(miniport, &attributes);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	attributes.GeneralAttributes = facts->general;
	status = NdisMSetMiniportAttributes(miniport, &attributes);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	attributes.OffloadAttributes = (NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES){
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
			.Revision = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
		},
		.DefaultTcpConnectionOffloadConfiguration = current,
		.TcpConnectionOffloadHardwareCapabilities = hardware,
	};
	return NdisMSetMiniportAttributes(miniport, &attributes);
}

NDIS_STATUS im_event_handlers(NDIS_HANDLE miniport, NDIS_TCP_OFFLOAD_EVENT_HANDLERS *out)
{
	PNDIS_OFFLOAD_EVENT_HANDLERS table;
	NDIS_STATUS status = NdisMGetOffloadHandlers(miniport, NdisTcpChimneyOffload, &table);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	if (table->Header.Type != NdisTcpChimneyOffload ||
	    table->Header.Revision < NDIS_OBJECT_TCP_OFFLOAD_REVISION_1 ||
	    table->Header.Size < sizeof(*out))
		return NDIS_STATUS_UNSUPPORTED_REVISION;
	memcpy(out, table, sizeof(*out));
	return NDIS_STATUS_SUCCESS;
}

int im_make_instance(NDIS_HANDLE driver, const char *name, void *device_context)
{
	WCHAR *wide = nrt_wide(name);
	NDIS_STRING instance;
	NDIS_STATUS status;

	if (!wide)
		return -ENOMEM;
	instance = nrt_string_of(wide);
	status = NdisIMInitializeDeviceInstanceEx(driver, &instance, device_context);
	nrt_free(wide);
	return nrt_errno_from_status(status);
}

NDIS_STATUS im_open_below(NDIS_HANDLE protocol, void *binding_context, NDIS_HANDLE bind_context,
			  NDIS_STRING *adapter_name, NDIS_HANDLE *binding)
{
	NDIS_OPEN_PARAMETERS open = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
			.Revision = NDIS_OPEN_PARAMETERS_REVISION_1,
			.Size = NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1,
		},
		.AdapterName = adapter_name,
	};

	return NdisOpenAdapterEx(protocol, binding_context, &open, bind_context, binding);
}

void im_indicate(NDIS_HANDLE miniport, NDIS_STATUS code, const void *buffer, ULONG bytes)
{
	NDIS_STATUS_INDICATION indication = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_STATUS_INDICATION,
			.Revision = NDIS_STATUS_INDICATION_REVISION_1,
			.Size = NDIS_SIZEOF_STATUS_INDICATION_REVISION_1,
		},
		.SourceHandle = miniport,
		.StatusCode = code,
		.StatusBuffer = (void *)(uintptr_t)buffer,
		.StatusBufferSize = bytes,
	};

	NdisMIndicateStatusEx(miniport, &indication);
}

/* ---- Registration ---- */

static NDIS_STATUS set_two(NDIS_HANDLE handle, const NDIS_OBJECT_HEADER *generic,
			   const NDIS_OBJECT_HEADER *tcp)
{
	NDIS_STATUS status =
		NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)(uintptr_t)generic);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	return NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)(uintptr_t)tcp);
}

static NDIS_STATUS miniport_options(NDIS_HANDLE handle, NDIS_HANDLE context)
{
	const struct im_driver *driver = context;

	return set_two(handle, &driver->provider_generic->Header, &driver->provider_tcp->Header);
}

static NDIS_STATUS protocol_options(NDIS_HANDLE handle, NDIS_HANDLE context)
{
	const struct im_driver *driver = context;

	return set_two(handle, &driver->client_generic->Header, &driver->client_tcp->Header);
}

static NDIS_STATUS register_edges(struct im_driver *driver, WCHAR *wide)
{
	NDIS_STATUS status;

	driver->miniport.Header = (NDIS_OBJECT_HEADER){
		.Type = NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
		.Revision = NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
		.Size = NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
	};
	driver->protocol.Header = (NDIS_OBJECT_HEADER){
		.Type = NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
		.Revision = NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
		.Size = NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
	};
	driver->miniport.MajorNdisVersion = driver->protocol.MajorNdisVersion = 6;
	driver->miniport.MinorNdisVersion = driver->protocol.MinorNdisVersion = 30;
	driver->miniport.Flags = NDIS_INTERMEDIATE_DRIVER;
	driver->miniport.SetOptionsHandler = miniport_options;
	driver->protocol.SetOptionsHandler = protocol_options;
	driver->protocol.Name = nrt_string_of(wide);
	status = NdisMRegisterMiniportDriver(NULL, NULL, driver, &driver->miniport,
					     &driver->miniport_handle);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	status = NdisRegisterProtocolDriver(driver, &driver->protocol, &driver->protocol_handle);
	if (status != NDIS_STATUS_SUCCESS)
		NdisMDeregisterMiniportDriver(driver->miniport_handle);
	return status;
}

int im_register(struct im_driver *driver, const char *name)
{
	NDIS_STATUS status;
	WCHAR *wide;

	if (driver->miniport_handle)
		return -EALREADY;
	wide = nrt_wide(name);
	if (!wide)
		return -ENOMEM;
	status = register_edges(driver, wide);
	nrt_free(wide);
	if (status != NDIS_STATUS_SUCCESS) {
		driver->miniport_handle = driver->protocol_handle = NULL;
		return nrt_errno_from_status(status);
	}
	NdisIMAssociateMiniport(driver->miniport_handle, driver->protocol_handle);
	return 0;
}

void im_deregister(struct im_driver *driver)
{
	NdisDeregisterProtocolDriver(driver->protocol_handle);
	NdisMDeregisterMiniportDriver(driver->miniport_handle);
	driver->miniport_handle = driver->protocol_handle = NULL;
}

NDIS_HANDLE im_pool_create(void)
{
	NET_BUFFER_LIST_POOL_PARAMETERS params = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_DEFAULT,
			.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
		},
		.fAllocateNetBuffer = TRUE,
	};

	return NdisAllocateNetBufferListPool(NULL, &params);
}
