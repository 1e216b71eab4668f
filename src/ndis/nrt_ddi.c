/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_ddi.c - the public entry points: what is checked of the arguments and the caller's level,
 * then the call that does the work. Nothing is decided here. Pools and lists are in nrt_nbl.c,
 * virtual miniports in nrt_im.c.
 */
#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <ndis/ndisstatus.h>

#include "ndis/nrt_adapter.h"
#include "ndis/nrt_binding.h"
#include "ndis/nrt_config.h"
#include "ndis/nrt_driver.h"
#include "ndis/nrt_indicate.h"
#include "ndis/nrt_io.h"
#include "ndis/nrt_module.h"
#include "ndis/nrt_offload.h"
#include "ndis/nrt_oid.h"

/* ---- Registration ---------------------------------------------------------------------------- */

NDIS_STATUS NdisMRegisterMiniportDriver(
	PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
	NDIS_HANDLE MiniportDriverContext,
	PNDIS_MINIPORT_DRIVER_CHARACTERISTICS MiniportDriverCharacteristics,
	PNDIS_HANDLE NdisMiniportDriverHandle)
{
	NDIS_STATUS status;

	(void)RegistryPath;
	status = nrt_register_miniport(MiniportDriverContext, MiniportDriverCharacteristics,
				       NdisMiniportDriverHandle);
	if (status == NDIS_STATUS_SUCCESS)
		nrt_module_registered(DriverObject, *NdisMiniportDriverHandle,
				      MiniportDriverCharacteristics->UnloadHandler);
	return status;
}

VOID NdisMDeregisterMiniportDriver(NDIS_HANDLE NdisMiniportDriverHandle)
{
	nrt_deregister(NdisMiniportDriverHandle, NRT_MAGIC_MINIPORT_DRIVER);
}

NDIS_STATUS NdisRegisterProtocolDriver(
	NDIS_HANDLE ProtocolDriverContext,
	PNDIS_PROTOCOL_DRIVER_CHARACTERISTICS ProtocolCharacteristics,
	PNDIS_HANDLE NdisProtocolHandle)
{
	return nrt_register_protocol(ProtocolDriverContext, ProtocolCharacteristics,
				     NdisProtocolHandle);
}

VOID NdisDeregisterProtocolDriver(NDIS_HANDLE NdisProtocolHandle)
{
	nrt_deregister(NdisProtocolHandle, NRT_MAGIC_PROTOCOL_DRIVER);
}

NDIS_STATUS NdisSetOptionalHandlers(NDIS_HANDLE NdisHandle,
				    PNDIS_DRIVER_OPTIONAL_HANDLERS OptionalHandlers)
{
	if (!NdisHandle || !OptionalHandlers)
		return NDIS_STATUS_INVALID_PARAMETER;
	return nrt_set_optional_handlers(NdisHandle, &OptionalHandlers->Header);
}

/* ---- Adapters -------------------------------------------------------------------------------- */

NDIS_STATUS NdisMSetMiniportAttributes(NDIS_HANDLE NdisMiniportAdapterHandle,
				       PNDIS_MINIPORT_ADAPTER_ATTRIBUTES MiniportAttributes)
{
	struct nrt_adapter *adapter = nrt_adapter_from(NdisMiniportAdapterHandle);

	if (!adapter || !MiniportAttributes)
		return NDIS_STATUS_INVALID_PARAMETER;
	return nrt_adapter_set_attributes(adapter,
					  &MiniportAttributes->RegistrationAttributes.Header);
}

VOID NdisMPauseComplete(NDIS_HANDLE MiniportAdapterHandle)
{
	nrt_adapter_pause_complete(nrt_adapter_from(MiniportAdapterHandle));
}

VOID NdisMRestartComplete(NDIS_HANDLE MiniportAdapterHandle, NDIS_STATUS Status)
{
	nrt_adapter_restart_complete(nrt_adapter_from(MiniportAdapterHandle), Status);
}

NDIS_STATUS NdisMGetOffloadHandlers(NDIS_HANDLE NdisMiniportHandle,
				    NDIS_CHIMNEY_OFFLOAD_TYPE ChimneyType,
				    PNDIS_OFFLOAD_EVENT_HANDLERS *OffloadHandlers)
{
	if (!nrt_adapter_from(NdisMiniportHandle) || !OffloadHandlers)
		return NDIS_STATUS_INVALID_PARAMETER;
	*OffloadHandlers = NULL;
	if (ChimneyType != NdisTcpChimneyOffload)
		return NDIS_STATUS_NOT_SUPPORTED;
	*OffloadHandlers = (PNDIS_OFFLOAD_EVENT_HANDLERS)(uintptr_t)nrt_io_handlers();
	return NDIS_STATUS_SUCCESS;
}

VOID NdisMIndicateStatusEx(NDIS_HANDLE MiniportAdapterHandle,
			   PNDIS_STATUS_INDICATION StatusIndication)
{
	nrt_indicate_status(nrt_adapter_from(MiniportAdapterHandle), StatusIndication);
}

VOID NdisMOidRequestComplete(NDIS_HANDLE MiniportAdapterHandle, PNDIS_OID_REQUEST OidRequest,
			     NDIS_STATUS Status)
{
	nrt_oid_complete(nrt_adapter_from(MiniportAdapterHandle), OidRequest, Status);
}

VOID NdisMIndicateReceiveNetBufferLists(NDIS_HANDLE MiniportAdapterHandle,
					PNET_BUFFER_LIST NetBufferLists,
					NDIS_PORT_NUMBER PortNumber, ULONG NumberOfNetBufferLists,
					ULONG ReceiveFlags)
{
	struct nrt_adapter *adapter = nrt_adapter_from(MiniportAdapterHandle);

	NRT_ASSERT_DISPATCH(adapter->owner);
	nrt_plain_receive(adapter, NetBufferLists, PortNumber, NumberOfNetBufferLists,
			  ReceiveFlags);
}

VOID NdisMSendNetBufferListsComplete(NDIS_HANDLE MiniportAdapterHandle,
				     PNET_BUFFER_LIST NetBufferList, ULONG SendCompleteFlags)
{
	struct nrt_adapter *adapter = nrt_adapter_from(MiniportAdapterHandle);

	NRT_ASSERT_DISPATCH(adapter->owner);
	nrt_plain_send_complete(adapter, NetBufferList, SendCompleteFlags);
}

/* ---- Bindings -------------------------------------------------------------------------------- */

NDIS_STATUS NdisOpenAdapterEx(NDIS_HANDLE NdisProtocolHandle, NDIS_HANDLE ProtocolBindingContext,
			      PNDIS_OPEN_PARAMETERS OpenParameters, NDIS_HANDLE BindContext,
			      PNDIS_HANDLE NdisBindingHandle)
{
	if (!OpenParameters || !NdisBindingHandle)
		return NDIS_STATUS_INVALID_PARAMETER;
	return nrt_open_adapter(NdisProtocolHandle, ProtocolBindingContext, OpenParameters,
				BindContext, NdisBindingHandle);
}

NDIS_STATUS NdisCloseAdapterEx(NDIS_HANDLE NdisBindingHandle)
{
	struct nrt_open *open = nrt_open_from(NdisBindingHandle);

	return open ? nrt_close_adapter(open) : NDIS_STATUS_INVALID_PARAMETER;
}

VOID NdisCompleteBindAdapterEx(NDIS_HANDLE BindAdapterContext, NDIS_STATUS Status)
{
	nrt_bind_complete(BindAdapterContext, Status);
}

VOID NdisCompleteUnbindAdapterEx(NDIS_HANDLE UnbindContext)
{
	nrt_unbind_complete(UnbindContext);
}

VOID NdisCompleteNetPnPEvent(NDIS_HANDLE NdisBindingHandle,
			     PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification,
			     NDIS_STATUS Status)
{
	nrt_pnp_event_complete(nrt_open_from(NdisBindingHandle), NetPnPEventNotification, Status);
}

NDIS_STATUS NdisOidRequest(NDIS_HANDLE NdisBindingHandle, PNDIS_OID_REQUEST OidRequest)
{
	struct nrt_open *open = nrt_open_from(NdisBindingHandle);

	if (!open || !OidRequest)
		return NDIS_STATUS_INVALID_PARAMETER;
	return nrt_oid_request(open, OidRequest);
}

VOID NdisSendNetBufferLists(NDIS_HANDLE NdisBindingHandle, PNET_BUFFER_LIST NetBufferLists,
			    NDIS_PORT_NUMBER PortNumber, ULONG SendFlags)
{
	struct nrt_open *open = nrt_open_from(NdisBindingHandle);

	NRT_ASSERT_DISPATCH(open->adapter->owner);
	nrt_plain_send(open, NetBufferLists, PortNumber, SendFlags);
}

VOID NdisReturnNetBufferLists(NDIS_HANDLE NdisBindingHandle, PNET_BUFFER_LIST NetBufferLists,
			      ULONG ReturnFlags)
{
	struct nrt_open *open = nrt_open_from(NdisBindingHandle);

	NRT_ASSERT_DISPATCH(open->adapter->owner);
	nrt_plain_return(open, NetBufferLists, ReturnFlags);
}

/* ---- Configuration --------------------------------------------------------------------------- */

NDIS_STATUS NdisOpenConfigurationEx(PNDIS_CONFIGURATION_OBJECT ConfigObject,
				    PNDIS_HANDLE ConfigurationHandle)
{
	struct nrt_adapter *adapter = nrt_adapter_from(ConfigObject->NdisHandle);

	return adapter ? nrt_config_open(adapter, ConfigurationHandle)
		       : NDIS_STATUS_INVALID_PARAMETER;
}

VOID NdisReadConfiguration(PNDIS_STATUS Status, PNDIS_CONFIGURATION_PARAMETER *ParameterValue,
			   NDIS_HANDLE ConfigurationHandle, PNDIS_STRING Keyword,
			   NDIS_PARAMETER_TYPE ParameterType)
{
	*Status = nrt_config_read(ConfigurationHandle, Keyword, ParameterType, ParameterValue);
}

VOID NdisWriteConfiguration(PNDIS_STATUS Status, NDIS_HANDLE ConfigurationHandle,
			    PNDIS_STRING Keyword, PNDIS_CONFIGURATION_PARAMETER ParameterValue)
{
	*Status = nrt_config_write(ConfigurationHandle, Keyword, ParameterValue);
}

VOID NdisCloseConfiguration(NDIS_HANDLE ConfigurationHandle)
{
	nrt_config_close(ConfigurationHandle);
}

/* ---- State operations ------------------------------------------------------------------------ */

static void state_call(NDIS_HANDLE binding, enum nrt_op op, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	struct nrt_open *open = nrt_open_from(binding);

	NRT_ASSERT_DRIVER(list);
	NRT_ASSERT_DISPATCH(open->adapter->owner);
	nrt_offload_call(open, op, list);
}

static void state_complete(NDIS_HANDLE miniport, enum nrt_op op,
			   NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list)
{
	struct nrt_adapter *adapter = nrt_adapter_from(miniport);

	NRT_ASSERT_DRIVER(list);
	NRT_ASSERT_DISPATCH(adapter->owner);
	nrt_offload_complete(adapter, op, list);
}

VOID NdisInitiateOffload(NDIS_HANDLE NdisBindingHandle,
			 PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_call(NdisBindingHandle, NRT_OP_INITIATE, OffloadBlockList);
}

VOID NdisTerminateOffload(NDIS_HANDLE NdisBindingHandle,
			  PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_call(NdisBindingHandle, NRT_OP_TERMINATE, OffloadBlockList);
}

VOID NdisUpdateOffload(NDIS_HANDLE NdisBindingHandle,
		       PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_call(NdisBindingHandle, NRT_OP_UPDATE, OffloadBlockList);
}

VOID NdisInvalidateOffload(NDIS_HANDLE NdisBindingHandle,
			   PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_call(NdisBindingHandle, NRT_OP_INVALIDATE, OffloadBlockList);
}

VOID NdisQueryOffloadState(NDIS_HANDLE NdisBindingHandle,
			   PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_call(NdisBindingHandle, NRT_OP_QUERY, OffloadBlockList);
}

VOID NdisMInitiateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				  PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_complete(NdisMiniportHandle, NRT_OP_INITIATE, OffloadBlockList);
}

VOID NdisMTerminateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				   PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_complete(NdisMiniportHandle, NRT_OP_TERMINATE, OffloadBlockList);
}

VOID NdisMUpdateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_complete(NdisMiniportHandle, NRT_OP_UPDATE, OffloadBlockList);
}

VOID NdisMInvalidateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				    PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_complete(NdisMiniportHandle, NRT_OP_INVALIDATE, OffloadBlockList);
}

VOID NdisMQueryOffloadStateComplete(NDIS_HANDLE NdisMiniportHandle,
				    PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList)
{
	state_complete(NdisMiniportHandle, NRT_OP_QUERY, OffloadBlockList);
}

VOID NdisMOffloadEventIndicate(NDIS_HANDLE NdisMiniportHandle,
			       PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList,
			       ULONG IndicationCode)
{
	struct nrt_adapter *adapter = nrt_adapter_from(NdisMiniportHandle);

	NRT_ASSERT_DISPATCH(adapter->owner);
	nrt_offload_event(adapter, OffloadBlockList, IndicationCode);
}

/* ---- Data through the chimney ---------------------------------------------------------------- */

NDIS_STATUS NdisOffloadTcpSend(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
			       PNET_BUFFER_LIST NetBufferList)
{
	return nrt_io_send(NdisOffloadHandle, NetBufferList);
}

NDIS_STATUS NdisOffloadTcpReceive(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
				  PNET_BUFFER_LIST NetBufferList)
{
	return nrt_io_receive(NdisOffloadHandle, NetBufferList);
}

NDIS_STATUS NdisOffloadTcpForward(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
				  PNET_BUFFER_LIST NetBufferList)
{
	return nrt_io_forward(NdisOffloadHandle, NetBufferList);
}

NDIS_STATUS NdisOffloadTcpDisconnect(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
				     PNET_BUFFER_LIST NetBufferList, ULONG Flags)
{
	return nrt_io_disconnect(NdisOffloadHandle, NetBufferList, Flags);
}

VOID NdisOffloadTcpReceiveReturn(NDIS_HANDLE NdisBindingHandle, PNET_BUFFER_LIST NetBufferList)
{
	struct nrt_open *open = nrt_open_from(NdisBindingHandle);

	NRT_ASSERT_DISPATCH(open->adapter->owner);
	nrt_io_receive_return(open, NetBufferList);
}
