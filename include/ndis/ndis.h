/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndis.h - what of NDIS 6 a chimney-capable driver needs besides the chimney itself: registering a
 * driver, making and binding adapters, requests, status indications, and the plain path for frames
 * that are not offloaded.
 *
 * Names, members and their order are the published ones. "Context" in a comment is the IRQL:
 * PASSIVE_LEVEL is any thread, DISPATCH_LEVEL the worker that owns the adapter.
 */
#ifndef NDIS_NDIS_H
#define NDIS_NDIS_H

#include "nbl.h"
#include "ndisstatus.h"
#include "ntddndis.h"
#include "wintypes.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct _DRIVER_OBJECT *PDRIVER_OBJECT; /* opaque: one a driver, made by whoever loads it */
typedef PVOID PDEVICE_OBJECT;

/* ---- Optional handlers ----------------------------------------------------------------------- */

/* Only the header: its Type says which set of handlers follows. */
typedef struct _NDIS_DRIVER_OPTIONAL_HANDLERS {
	NDIS_OBJECT_HEADER Header;
} NDIS_DRIVER_OPTIONAL_HANDLERS, *PNDIS_DRIVER_OPTIONAL_HANDLERS;

/*
 * Called inside the registration of the driver, PASSIVE_LEVEL; not SUCCESS makes the registration
 * fail.
 */
typedef NDIS_STATUS (*SET_OPTIONS_HANDLER)(NDIS_HANDLE NdisDriverHandle, NDIS_HANDLE DriverContext);

/*
 * NdisSetOptionalHandlers() - register a further set of handlers; NdisHandle is the handle of
 * SET_OPTIONS_HANDLER or, for a protocol's client sets, a binding handle. Borrows OptionalHandlers.
 * Context: PASSIVE_LEVEL. Returns NDIS_STATUS_SUCCESS, NDIS_STATUS_RESOURCES,
 * NDIS_STATUS_BAD_CHARACTERISTICS (unknown Type, missing handler) or NDIS_STATUS_BAD_VERSION (Size
 * too small for its Revision).
 */
NDIS_STATUS NdisSetOptionalHandlers(NDIS_HANDLE NdisHandle,
				    PNDIS_DRIVER_OPTIONAL_HANDLERS OptionalHandlers);

/* ---- Requests -------------------------------------------------------------------------------- */

typedef struct _NDIS_OID_REQUEST {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_OID_REQUEST */
	NDIS_REQUEST_TYPE RequestType;
	NDIS_PORT_NUMBER PortNumber;
	UINT Timeout; /* seconds */
	PVOID RequestId;
	NDIS_HANDLE RequestHandle;
	union _REQUEST_DATA {
		struct _QUERY {
			NDIS_OID Oid;
			PVOID InformationBuffer;
			UINT InformationBufferLength;
			UINT BytesWritten;
			UINT BytesNeeded;
		} QUERY_INFORMATION;
		struct _SET {
			NDIS_OID Oid;
			PVOID InformationBuffer;
			UINT InformationBufferLength;
			UINT BytesRead;
			UINT BytesNeeded;
		} SET_INFORMATION;
		struct _METHOD {
			NDIS_OID Oid;
			PVOID InformationBuffer;
			ULONG InputBufferLength;
			ULONG OutputBufferLength;
			ULONG MethodId;
			UINT BytesWritten;
			UINT BytesRead;
			UINT BytesNeeded;
		} METHOD_INFORMATION;
	} DATA;
	UCHAR NdisReserved[128];
	UCHAR MiniportReserved[16];
	UCHAR SourceReserved[16];
	UCHAR SupportedRevision;
	UCHAR Reserved1;
	USHORT Reserved2;
} NDIS_OID_REQUEST, *PNDIS_OID_REQUEST;

#define NDIS_OID_REQUEST_REVISION_1        1
#define NDIS_SIZEOF_OID_REQUEST_REVISION_1 NDIS_SIZEOF_THROUGH(NDIS_OID_REQUEST, Reserved2)

/* ---- Status indications ---------------------------------------------------------------------- */

typedef struct _NDIS_STATUS_INDICATION {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_STATUS_INDICATION */
	NDIS_HANDLE SourceHandle;
	NDIS_PORT_NUMBER PortNumber;
	NDIS_STATUS StatusCode;
	ULONG Flags;
	NDIS_HANDLE DestinationHandle;
	PVOID RequestId;
	PVOID StatusBuffer; /* borrowed for the time of the indication */
	ULONG StatusBufferSize;
	GUID Guid;
	PVOID NdisReserved[4];
} NDIS_STATUS_INDICATION, *PNDIS_STATUS_INDICATION;

#define NDIS_STATUS_INDICATION_REVISION_1        1
#define NDIS_SIZEOF_STATUS_INDICATION_REVISION_1                                                   \
	NDIS_SIZEOF_THROUGH(NDIS_STATUS_INDICATION, NdisReserved)

/* ---- Plug and play events, as a protocol sees them ------------------------------------------- */

typedef enum _NET_PNP_EVENT_CODE {
	NetEventSetPower = 0,
	NetEventQueryPower,
	NetEventQueryRemoveDevice,
	NetEventCancelRemoveDevice,
	NetEventReconfigure,
	NetEventBindList,
	NetEventBindsComplete,
	NetEventPnPCapabilities,
	NetEventPause,
	NetEventRestart,
	NetEventPortActivation,
	NetEventPortDeactivation,
	NetEventMaximum
} NET_PNP_EVENT_CODE, *PNET_PNP_EVENT_CODE;

typedef struct _NET_PNP_EVENT {
	NET_PNP_EVENT_CODE NetEvent;
	PVOID Buffer;
	ULONG BufferLength;
	ULONG_PTR NdisReserved[4];
	ULONG_PTR TransportReserved[4];
	ULONG_PTR TdiReserved[4];
	ULONG_PTR TdiClientReserved[4];
} NET_PNP_EVENT, *PNET_PNP_EVENT;

typedef struct _NET_PNP_EVENT_NOTIFICATION {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_DEFAULT */
	NDIS_PORT_NUMBER PortNumber;
	NET_PNP_EVENT NetPnPEvent;
	GUID Guid;
	PVOID NetBufferLists;
	NDIS_HANDLE SwitchNicHandle;
} NET_PNP_EVENT_NOTIFICATION, *PNET_PNP_EVENT_NOTIFICATION;

#define NET_PNP_EVENT_NOTIFICATION_REVISION_1        1
#define NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1                                          \
	NDIS_SIZEOF_THROUGH(NET_PNP_EVENT_NOTIFICATION, Guid)

/* ---- Miniport drivers ------------------------------------------------------------------------ */

#define NDIS_MAX_PHYS_ADDRESS_LENGTH 32

typedef struct _NDIS_MINIPORT_INIT_PARAMETERS {
	NDIS_OBJECT_HEADER Header;
	ULONG Flags;
	PVOID AllocatedResources;
	NDIS_HANDLE IMDeviceInstanceContext; /* of NdisIMInitializeDeviceInstanceEx() */
	NDIS_HANDLE MiniportAddDeviceContext;
	ULONG IfIndex;
	ULONG64 NetLuid;
	PVOID DefaultPortAuthStates;
	PVOID PciDeviceCustomProperties;
} NDIS_MINIPORT_INIT_PARAMETERS, *PNDIS_MINIPORT_INIT_PARAMETERS;

#define NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1        1
#define NDIS_SIZEOF_MINIPORT_INIT_PARAMETERS_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_MINIPORT_INIT_PARAMETERS, DefaultPortAuthStates)

typedef struct _NDIS_MINIPORT_PAUSE_PARAMETERS {
	NDIS_OBJECT_HEADER Header;
	ULONG Flags;
	ULONG PauseReason;
} NDIS_MINIPORT_PAUSE_PARAMETERS, *PNDIS_MINIPORT_PAUSE_PARAMETERS;

typedef struct _NDIS_MINIPORT_RESTART_PARAMETERS {
	NDIS_OBJECT_HEADER Header;
	PVOID RestartAttributes;
	ULONG Flags;
} NDIS_MINIPORT_RESTART_PARAMETERS, *PNDIS_MINIPORT_RESTART_PARAMETERS;

typedef enum _NDIS_HALT_ACTION {
	NdisHaltDeviceDisabled = 0,
	NdisHaltDeviceInstanceDeInitialized,
	NdisHaltDevicePoweredDown,
	NdisHaltDeviceSurpriseRemoved,
	NdisHaltDeviceFailed,
	NdisHaltDeviceInitializationFailed,
	NdisHaltDeviceStopped
} NDIS_HALT_ACTION, *PNDIS_HALT_ACTION;

typedef enum _NDIS_SHUTDOWN_ACTION {
	NdisShutdownPowerOff = 0,
	NdisShutdownBugCheck
} NDIS_SHUTDOWN_ACTION, *PNDIS_SHUTDOWN_ACTION;

typedef PVOID PNET_DEVICE_PNP_EVENT;

typedef NDIS_STATUS (*MINIPORT_INITIALIZE_HANDLER)(
	NDIS_HANDLE NdisMiniportHandle, NDIS_HANDLE MiniportDriverContext,
	PNDIS_MINIPORT_INIT_PARAMETERS MiniportInitParameters);
typedef VOID (*MINIPORT_HALT_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
				      NDIS_HALT_ACTION HaltAction);
typedef VOID (*MINIPORT_DRIVER_UNLOAD)(PDRIVER_OBJECT DriverObject);
typedef NDIS_STATUS (*MINIPORT_PAUSE_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					      PNDIS_MINIPORT_PAUSE_PARAMETERS PauseParameters);
typedef NDIS_STATUS (*MINIPORT_RESTART_HANDLER)(
	NDIS_HANDLE MiniportAdapterContext, PNDIS_MINIPORT_RESTART_PARAMETERS RestartParameters);
typedef NDIS_STATUS (*MINIPORT_OID_REQUEST_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
						    PNDIS_OID_REQUEST OidRequest);
typedef VOID (*MINIPORT_SEND_NET_BUFFER_LISTS_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
						       PNET_BUFFER_LIST NetBufferList,
						       NDIS_PORT_NUMBER PortNumber,
						       ULONG SendFlags);
typedef VOID (*MINIPORT_RETURN_NET_BUFFER_LISTS_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
							 PNET_BUFFER_LIST NetBufferLists,
							 ULONG ReturnFlags);
typedef VOID (*MINIPORT_CANCEL_SEND_HANDLER)(NDIS_HANDLE MiniportAdapterContext, PVOID CancelId);
typedef BOOLEAN (*MINIPORT_CHECK_FOR_HANG_HANDLER)(NDIS_HANDLE MiniportAdapterContext);
typedef NDIS_STATUS (*MINIPORT_RESET_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					      PBOOLEAN AddressingReset);
typedef VOID (*MINIPORT_DEVICE_PNP_EVENT_NOTIFY_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
							 PNET_DEVICE_PNP_EVENT NetDevicePnPEvent);
typedef VOID (*MINIPORT_SHUTDOWN_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					  NDIS_SHUTDOWN_ACTION ShutdownAction);
typedef VOID (*MINIPORT_CANCEL_OID_REQUEST_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
						    PVOID RequestId);

typedef struct _NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS */
	UCHAR MajorNdisVersion;
	UCHAR MinorNdisVersion;
	UCHAR MajorDriverVersion;
	UCHAR MinorDriverVersion;
	ULONG Flags; /* NDIS_INTERMEDIATE_DRIVER: the miniport edge of an intermediate driver */
	SET_OPTIONS_HANDLER SetOptionsHandler; /* optional */
	MINIPORT_INITIALIZE_HANDLER InitializeHandlerEx;
	MINIPORT_HALT_HANDLER HaltHandlerEx;
	MINIPORT_DRIVER_UNLOAD UnloadHandler;
	MINIPORT_PAUSE_HANDLER PauseHandler;
	MINIPORT_RESTART_HANDLER RestartHandler;
	MINIPORT_OID_REQUEST_HANDLER OidRequestHandler;
	MINIPORT_SEND_NET_BUFFER_LISTS_HANDLER SendNetBufferListsHandler;
	MINIPORT_RETURN_NET_BUFFER_LISTS_HANDLER ReturnNetBufferListsHandler;
	MINIPORT_CANCEL_SEND_HANDLER CancelSendHandler;
	MINIPORT_CHECK_FOR_HANG_HANDLER CheckForHangHandlerEx; /* optional */
	MINIPORT_RESET_HANDLER ResetHandlerEx;                 /* optional */
	MINIPORT_DEVICE_PNP_EVENT_NOTIFY_HANDLER DevicePnPEventNotifyHandler;
	MINIPORT_SHUTDOWN_HANDLER ShutdownHandlerEx;
	MINIPORT_CANCEL_OID_REQUEST_HANDLER CancelOidRequestHandler;
} NDIS_MINIPORT_DRIVER_CHARACTERISTICS, *PNDIS_MINIPORT_DRIVER_CHARACTERISTICS;

#define NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 1
#define NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_MINIPORT_DRIVER_CHARACTERISTICS, CancelOidRequestHandler)
#define NDIS_INTERMEDIATE_DRIVER 0x00000001u

/* ---- Attributes that a miniport reports from MiniportInitializeEx ---------------------------- */

typedef struct _NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES */
	NDIS_HANDLE MiniportAdapterContext; /* comes back as first argument of every handler */
	ULONG AttributeFlags;
	UINT CheckForHangTimeInSeconds;
	ULONG InterfaceType;
} NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, *PNDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES;

#define NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 1
#define NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, InterfaceType)

typedef struct _NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES */
	ULONG Flags;
	NDIS_MEDIUM MediaType;
	ULONG PhysicalMediumType;
	ULONG MtuSize;
	ULONG64 MaxXmitLinkSpeed;
	ULONG64 XmitLinkSpeed;
	ULONG64 MaxRcvLinkSpeed;
	ULONG64 RcvLinkSpeed;
	ULONG MediaConnectState;
	ULONG MediaDuplexState;
	ULONG LookaheadSize;
	PVOID PowerManagementCapabilities;
	ULONG MacOptions;
	ULONG SupportedPacketFilters;
	ULONG MaxMulticastListSize;
	USHORT MacAddressLength;
	UCHAR PermanentMacAddress[NDIS_MAX_PHYS_ADDRESS_LENGTH];
	UCHAR CurrentMacAddress[NDIS_MAX_PHYS_ADDRESS_LENGTH];
	PVOID RecvScaleCapabilities;
	ULONG AccessType;
	ULONG DirectionType;
	ULONG ConnectionType;
	ULONG IfType;
	BOOLEAN IfConnectorPresent;
	ULONG SupportedStatistics;
	ULONG SupportedPauseFunctions;
	ULONG DataBackFillSize;
	ULONG ContextBackFillSize;
	NDIS_OID *SupportedOidList;
	ULONG SupportedOidListLength; /* bytes */
	ULONG AutoNegotiationFlags;
} NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, *PNDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES;

#define NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1 1
#define NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, AutoNegotiationFlags)

typedef struct _NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES */
	PNDIS_OFFLOAD DefaultOffloadConfiguration;
	PNDIS_OFFLOAD HardwareOffloadCapabilities;
	/* What is switched on now. */
	PNDIS_TCP_CONNECTION_OFFLOAD DefaultTcpConnectionOffloadConfiguration;
	/* All that the hardware can do. */
	PNDIS_TCP_CONNECTION_OFFLOAD TcpConnectionOffloadHardwareCapabilities;
} NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES, *PNDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES;

#define NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1 1
#define NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1                                 \
	NDIS_SIZEOF_THROUGH(NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,                              \
			    TcpConnectionOffloadHardwareCapabilities)

typedef union _NDIS_MINIPORT_ADAPTER_ATTRIBUTES {
	NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES RegistrationAttributes;
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES GeneralAttributes;
	NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES OffloadAttributes;
} NDIS_MINIPORT_ADAPTER_ATTRIBUTES, *PNDIS_MINIPORT_ADAPTER_ATTRIBUTES;

/*
 * NdisMRegisterMiniportDriver() - SetOptionsHandler runs inside. DriverObject and RegistryPath may
 * be NULL here.
 * Context: PASSIVE_LEVEL. Returns NDIS_STATUS_SUCCESS, NDIS_STATUS_BAD_CHARACTERISTICS,
 *          NDIS_STATUS_BAD_VERSION or NDIS_STATUS_RESOURCES. NdisMDeregisterMiniportDriver() ends
 *          it once all adapters of the driver are gone.
 */
NDIS_STATUS NdisMRegisterMiniportDriver(
	PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
	NDIS_HANDLE MiniportDriverContext,
	PNDIS_MINIPORT_DRIVER_CHARACTERISTICS MiniportDriverCharacteristics,
	PNDIS_HANDLE NdisMiniportDriverHandle);
VOID NdisMDeregisterMiniportDriver(NDIS_HANDLE NdisMiniportDriverHandle);

/* From MiniportInitializeEx: registration attributes first. Borrows; PASSIVE_LEVEL. */
NDIS_STATUS NdisMSetMiniportAttributes(NDIS_HANDLE NdisMiniportAdapterHandle,
				       PNDIS_MINIPORT_ADAPTER_ATTRIBUTES MiniportAttributes);

/* The end of what a handler answered with NDIS_STATUS_PENDING. */
VOID NdisMPauseComplete(NDIS_HANDLE MiniportAdapterHandle);
VOID NdisMRestartComplete(NDIS_HANDLE MiniportAdapterHandle, NDIS_STATUS Status);
VOID NdisMOidRequestComplete(NDIS_HANDLE MiniportAdapterHandle, PNDIS_OID_REQUEST OidRequest,
			     NDIS_STATUS Status);

/*
 * NdisMIndicateStatusEx() - to every protocol bound to the adapter, before it returns. Up to
 * DISPATCH_LEVEL.
 */
VOID NdisMIndicateStatusEx(NDIS_HANDLE MiniportAdapterHandle,
			   PNDIS_STATUS_INDICATION StatusIndication);

/*
 * The plain path. Received lists belong to the protocols until MiniportReturnNetBufferLists, or,
 * with NDIS_RECEIVE_FLAGS_RESOURCES, until the call returns. Up to DISPATCH_LEVEL.
 */
VOID NdisMIndicateReceiveNetBufferLists(NDIS_HANDLE MiniportAdapterHandle,
					PNET_BUFFER_LIST NetBufferLists,
					NDIS_PORT_NUMBER PortNumber, ULONG NumberOfNetBufferLists,
					ULONG ReceiveFlags);
VOID NdisMSendNetBufferListsComplete(NDIS_HANDLE MiniportAdapterHandle,
				     PNET_BUFFER_LIST NetBufferList, ULONG SendCompleteFlags);

#define NDIS_SEND_FLAGS_DISPATCH_LEVEL     0x00000001u
#define NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK 0x00000002u
#define NDIS_SEND_FLAGS_SINGLE_QUEUE       0x00000004u
#define NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL  0x00000001u
#define NDIS_RECEIVE_FLAGS_RESOURCES       0x00000002u

/* ---- Protocol drivers ------------------------------------------------------------------------ */

/*
 * What a protocol learns about an adapter when it is asked to bind. Borrowed for the time of the
 * call.
 */
typedef struct _NDIS_BIND_PARAMETERS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_BIND_PARAMETERS */
	PNDIS_STRING ProtocolSection;
	PNDIS_STRING AdapterName;
	PDEVICE_OBJECT PhysicalDeviceObject;
	NDIS_MEDIUM MediaType;
	ULONG MtuSize;
	ULONG64 MaxXmitLinkSpeed;
	ULONG64 XmitLinkSpeed;
	ULONG64 MaxRcvLinkSpeed;
	ULONG64 RcvLinkSpeed;
	ULONG MediaConnectState;
	ULONG MediaDuplexState;
	ULONG LookaheadSize;
	PVOID PowerManagementCapabilities;
	ULONG SupportedPacketFilters;
	ULONG MaxMulticastListSize;
	USHORT MacAddressLength;
	UCHAR CurrentMacAddress[NDIS_MAX_PHYS_ADDRESS_LENGTH];
	ULONG PhysicalMediumType;
	PVOID RcvScaleCapabilities;
	ULONG64 BoundIfNetluid;
	ULONG BoundIfIndex;
	ULONG64 LowestIfNetluid;
	ULONG LowestIfIndex;
	ULONG AccessType;
	ULONG DirectionType;
	ULONG ConnectionType;
	ULONG IfType;
	BOOLEAN IfConnectorPresent;
	PVOID ActivePorts;
	ULONG DataBackFillSize;
	ULONG ContextBackFillSize;
	ULONG MacOptions;
	GUID CompartmentId;
	PNDIS_OFFLOAD DefaultOffloadConfiguration;
	/* Current configuration; NULL: none. */
	PNDIS_TCP_CONNECTION_OFFLOAD TcpConnectionOffloadCapabilities;
	PNDIS_STRING BoundAdapterName;
	PVOID HDSplitCurrentConfig;
	PVOID ReceiveFilterCapabilities;
	PVOID PowerManagementCapabilitiesEx;
	PVOID NicSwitchCapabilities;
	BOOLEAN NDKEnabled;
	PVOID NDKCapabilities;
	PVOID SriovCapabilities;
	PVOID NetBufferSharedMemorySize;
	/* All that the hardware can do. */
	PNDIS_TCP_CONNECTION_OFFLOAD TcpConnectionOffloadHardwareCapabilities;
} NDIS_BIND_PARAMETERS, *PNDIS_BIND_PARAMETERS;

#define NDIS_BIND_PARAMETERS_REVISION_1        1
#define NDIS_SIZEOF_BIND_PARAMETERS_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_BIND_PARAMETERS, TcpConnectionOffloadHardwareCapabilities)

typedef struct _NDIS_OPEN_PARAMETERS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_OPEN_PARAMETERS */
	PNDIS_STRING AdapterName;  /* of the bind parameters */
	NDIS_MEDIUM *MediumArray;
	UINT MediumArraySize;
	PUINT SelectedMediumIndex;
	USHORT *FrameTypeArray;
	UINT FrameTypeArraySize;
} NDIS_OPEN_PARAMETERS, *PNDIS_OPEN_PARAMETERS;

#define NDIS_OPEN_PARAMETERS_REVISION_1        1
#define NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1                                                     \
	NDIS_SIZEOF_THROUGH(NDIS_OPEN_PARAMETERS, FrameTypeArraySize)

typedef NDIS_STATUS (*BIND_HANDLER_EX)(NDIS_HANDLE ProtocolDriverContext, NDIS_HANDLE BindContext,
				       PNDIS_BIND_PARAMETERS BindParameters);
typedef NDIS_STATUS (*UNBIND_HANDLER_EX)(NDIS_HANDLE UnbindContext,
					 NDIS_HANDLE ProtocolBindingContext);
typedef VOID (*OPEN_ADAPTER_COMPLETE_HANDLER_EX)(NDIS_HANDLE ProtocolBindingContext,
						 NDIS_STATUS Status);
typedef VOID (*CLOSE_ADAPTER_COMPLETE_HANDLER_EX)(NDIS_HANDLE ProtocolBindingContext);
typedef NDIS_STATUS (*NET_PNP_EVENT_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
					     PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification);
typedef VOID (*UNINSTALL_PROTOCOL_HANDLER)(VOID);
typedef VOID (*OID_REQUEST_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
					     PNDIS_OID_REQUEST OidRequest, NDIS_STATUS Status);
typedef VOID (*STATUS_HANDLER_EX)(NDIS_HANDLE ProtocolBindingContext,
				  PNDIS_STATUS_INDICATION StatusIndication);
typedef VOID (*RECEIVE_NET_BUFFER_LISTS_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
						 PNET_BUFFER_LIST NetBufferLists,
						 NDIS_PORT_NUMBER PortNumber,
						 ULONG NumberOfNetBufferLists, ULONG ReceiveFlags);
typedef VOID (*SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
						       PNET_BUFFER_LIST NetBufferList,
						       ULONG SendCompleteFlags);

typedef struct _NDIS_PROTOCOL_DRIVER_CHARACTERISTICS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS */
	UCHAR MajorNdisVersion;
	UCHAR MinorNdisVersion;
	UCHAR MajorDriverVersion;
	UCHAR MinorDriverVersion;
	ULONG Flags;
	NDIS_STRING Name;
	SET_OPTIONS_HANDLER SetOptionsHandler; /* optional */
	BIND_HANDLER_EX BindAdapterHandlerEx;
	UNBIND_HANDLER_EX UnbindAdapterHandlerEx;
	OPEN_ADAPTER_COMPLETE_HANDLER_EX OpenAdapterCompleteHandlerEx;
	CLOSE_ADAPTER_COMPLETE_HANDLER_EX CloseAdapterCompleteHandlerEx;
	NET_PNP_EVENT_HANDLER NetPnPEventHandler;
	UNINSTALL_PROTOCOL_HANDLER UninstallHandler; /* optional */
	OID_REQUEST_COMPLETE_HANDLER OidRequestCompleteHandler;
	STATUS_HANDLER_EX StatusHandlerEx;
	RECEIVE_NET_BUFFER_LISTS_HANDLER ReceiveNetBufferListsHandler;
	SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER SendNetBufferListsCompleteHandler;
} NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, *PNDIS_PROTOCOL_DRIVER_CHARACTERISTICS;

#define NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 1
#define NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, SendNetBufferListsCompleteHandler)

/*
 * Registration. SetOptionsHandler runs inside. Context: PASSIVE_LEVEL.
 * NdisDeregisterProtocolDriver() first unbinds everything that is bound.
 */
NDIS_STATUS NdisRegisterProtocolDriver(
	NDIS_HANDLE ProtocolDriverContext,
	PNDIS_PROTOCOL_DRIVER_CHARACTERISTICS ProtocolCharacteristics,
	PNDIS_HANDLE NdisProtocolHandle);
VOID NdisDeregisterProtocolDriver(NDIS_HANDLE NdisProtocolHandle);

/*
 * Bindings. NdisOpenAdapterEx() is called from ProtocolBindAdapterEx with its BindContext;
 * *NdisBindingHandle is what every call down takes. Either may return NDIS_STATUS_PENDING, then the
 * ...CompleteHandlerEx tells the end; an answer of the bind or unbind handler itself with
 * NDIS_STATUS_PENDING ends with NdisCompleteBindAdapterEx() or NdisCompleteUnbindAdapterEx().
 */
NDIS_STATUS NdisOpenAdapterEx(NDIS_HANDLE NdisProtocolHandle, NDIS_HANDLE ProtocolBindingContext,
			      PNDIS_OPEN_PARAMETERS OpenParameters, NDIS_HANDLE BindContext,
			      PNDIS_HANDLE NdisBindingHandle);
NDIS_STATUS NdisCloseAdapterEx(NDIS_HANDLE NdisBindingHandle);
VOID NdisCompleteBindAdapterEx(NDIS_HANDLE BindAdapterContext, NDIS_STATUS Status);
VOID NdisCompleteUnbindAdapterEx(NDIS_HANDLE UnbindContext);
VOID NdisCompleteNetPnPEvent(NDIS_HANDLE NdisBindingHandle,
			     PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification,
			     NDIS_STATUS Status);

/* Down calls of a protocol. NDIS_STATUS_PENDING: the completion handler tells the end. */
NDIS_STATUS NdisOidRequest(NDIS_HANDLE NdisBindingHandle, PNDIS_OID_REQUEST OidRequest);
VOID NdisSendNetBufferLists(NDIS_HANDLE NdisBindingHandle, PNET_BUFFER_LIST NetBufferLists,
			    NDIS_PORT_NUMBER PortNumber, ULONG SendFlags);
VOID NdisReturnNetBufferLists(NDIS_HANDLE NdisBindingHandle, PNET_BUFFER_LIST NetBufferLists,
			      ULONG ReturnFlags);

/* ---- Intermediate drivers -------------------------------------------------------------------- */

/*
 * An intermediate driver registers a miniport edge (Flags NDIS_INTERMEDIATE_DRIVER) and a protocol
 * edge, associates the two, and makes a virtual miniport named DriverInstance for a binding;
 * MiniportInitializeEx of that instance gets DeviceContext as IMDeviceInstanceContext. Context:
 * PASSIVE_LEVEL.
 */
VOID NdisIMAssociateMiniport(NDIS_HANDLE DriverHandle, NDIS_HANDLE ProtocolHandle);
NDIS_STATUS NdisIMInitializeDeviceInstanceEx(NDIS_HANDLE DriverHandle, PNDIS_STRING DriverInstance,
					     NDIS_HANDLE DeviceContext);
NDIS_STATUS NdisIMCancelInitializeDeviceInstance(NDIS_HANDLE DriverHandle,
						 PNDIS_STRING DeviceInstance);
NDIS_STATUS NdisIMDeInitializeDeviceInstance(NDIS_HANDLE NdisMiniportHandle);
NDIS_HANDLE NdisIMGetBindingContext(NDIS_HANDLE NdisBindingHandle);

/* ---- Configuration keywords ------------------------------------------------------------------ */

typedef enum _NDIS_PARAMETER_TYPE {
	NdisParameterInteger = 0,
	NdisParameterHexInteger,
	NdisParameterString,
	NdisParameterMultiString,
	NdisParameterBinary
} NDIS_PARAMETER_TYPE, *PNDIS_PARAMETER_TYPE;

typedef struct _NDIS_CONFIGURATION_PARAMETER {
	NDIS_PARAMETER_TYPE ParameterType;
	union {
		ULONG IntegerData;
		NDIS_STRING StringData;
	} ParameterData;
} NDIS_CONFIGURATION_PARAMETER, *PNDIS_CONFIGURATION_PARAMETER;

typedef struct _NDIS_CONFIGURATION_OBJECT {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_DEFAULT */
	NDIS_HANDLE NdisHandle;    /* adapter */
	ULONG Flags;
} NDIS_CONFIGURATION_OBJECT, *PNDIS_CONFIGURATION_OBJECT;

#define NDIS_CONFIGURATION_OBJECT_REVISION_1        1
#define NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1                                                \
	NDIS_SIZEOF_THROUGH(NDIS_CONFIGURATION_OBJECT, Flags)

/*
 * The adapter's keywords, such as *TCPConnectionOffloadIPv4 and VlanId. What
 * NdisReadConfiguration() gives lives until NdisCloseConfiguration(). *Status is
 * NDIS_STATUS_FAILURE when the keyword is not set. Context: PASSIVE_LEVEL.
 */
NDIS_STATUS NdisOpenConfigurationEx(PNDIS_CONFIGURATION_OBJECT ConfigObject,
				    PNDIS_HANDLE ConfigurationHandle);
VOID NdisReadConfiguration(PNDIS_STATUS Status, PNDIS_CONFIGURATION_PARAMETER *ParameterValue,
			   NDIS_HANDLE ConfigurationHandle, PNDIS_STRING Keyword,
			   NDIS_PARAMETER_TYPE ParameterType);
VOID NdisWriteConfiguration(PNDIS_STATUS Status, NDIS_HANDLE ConfigurationHandle,
			    PNDIS_STRING Keyword, PNDIS_CONFIGURATION_PARAMETER ParameterValue);
VOID NdisCloseConfiguration(NDIS_HANDLE ConfigurationHandle);

#ifdef __cplusplus
}
#endif

#endif
