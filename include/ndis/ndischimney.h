/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndischimney.h - the TCP chimney: how a host stack hands established connections to an offload
 * target and works with them there.
 *
 * State goes down and comes up as trees of block lists: neighbor -> path -> TCP. Down calls carry
 * protocol block lists (host's and intermediate drivers' view), up calls and MiniportXxx handlers
 * miniport block lists; the two lay over each other exactly, and NDIS turns one into the other in
 * place.
 *
 *     host stack   NdisInitiateOffload ----> [NDIS] ----> MiniportInitiateOffload    offload target
 *                  ProtocolInitiateOffloadComplete <---- [NDIS] <---- NdisMInitiateOffloadComplete
 *
 * Every operation ends in its completion call, exactly once. Contexts, ownership and decisions on
 * contradictions of the published pages stand with each function; "Context" is the IRQL (see
 * ndis.h).
 */
#ifndef NDIS_NDISCHIMNEY_H
#define NDIS_NDISCHIMNEY_H

#include "ndis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Handles --------------------------------------------------------------------------------- */

/*
 * One a connection, path or neighbor, in the memory of whoever offloads it (host, or intermediate
 * driver), alive as long as the object is offloaded. The driver below leaves its own reference in
 * MiniportOffloadContext.
 */
typedef struct _NDIS_OFFLOAD_HANDLE {
	PVOID NdisReserved[1];
	PVOID MiniportOffloadContext;
} NDIS_OFFLOAD_HANDLE, *PNDIS_OFFLOAD_HANDLE;

typedef struct _NDIS_OFFLOAD_HANDLE_PRIVATE {
	NDIS_OFFLOAD_HANDLE Handle;
	PVOID ProtocolBindingContext;
} NDIS_OFFLOAD_HANDLE_PRIVATE, *PNDIS_OFFLOAD_HANDLE_PRIVATE;

/* ---- Block lists ----------------------------------------------------------------------------- */

/* Header.Type of a block list: which state follows it. */
typedef enum {
	NeighborOffloadConstState = 0x01,
	NeighborOffloadCachedState,
	NeighborOffloadDelegatedState,
	NeighborOffloadState, /* const, cached, delegated, in that order; likewise below */
	Ip4OffloadConstState,
	Ip4OffloadCachedState,
	Ip4OffloadDelegatedState,
	Ip4OffloadState,
	Ip6OffloadConstState,
	Ip6OffloadCachedState,
	Ip6OffloadDelegatedState,
	Ip6OffloadState,
	TcpOffloadConstState,
	TcpOffloadCachedState,
	TcpOffloadDelegatedState,
	TcpOffloadResourceState, /* reserved */
	TcpOffloadState,
	FilterReservedOffloadState = 0xFE, /* reserved */
	MaximumOffloadState = 0xFF
} OFFLOAD_STATE_TYPE, *POFFLOAD_STATE_TYPE;

typedef struct _NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST {
	/* Type: OFFLOAD_STATE_TYPE; Revision 1; Size of this structure alone. */
	NDIS_OBJECT_HEADER Header;
	struct _NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *NextBlock;          /* same layer */
	struct _NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *DependentBlockList; /* next layer */
	NDIS_STATUS Status; /* of this block alone */
	PVOID NdisReserved[3];
	PNDIS_OFFLOAD_HANDLE OffloadHandle; /* NULL: placeholder */
	PVOID ProtocolReserved[2];
	PVOID MiniportReserved[2];
	PVOID ImReserved[2];
	PVOID Scratch[2];
	PVOID SourceHandle;
	NDIS_PORT_NUMBER PortNumber;
	PNET_BUFFER_LIST NetBufferListChain; /* outstanding send data of a TCP block, or NULL */
} NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST, *PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST;

typedef struct _NDIS_MINIPORT_OFFLOAD_BLOCK_LIST {
	NDIS_OBJECT_HEADER Header;
	struct _NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *NextBlock;
	struct _NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *DependentBlockList;
	NDIS_STATUS Status;
	PVOID NdisReserved[2];
	/* NULL: placeholder; to NULL: new offload; to something else: the object named by it. */
	PVOID *MiniportOffloadContext;
	NDIS_HANDLE NdisOffloadHandle; /* for indications about this object */
	PVOID ProtocolReserved[2];
	PVOID MiniportReserved[2];
	PVOID ImReserved[2];
	PVOID Scratch[2];
	PVOID SourceHandle;
	NDIS_PORT_NUMBER PortNumber;
	PNET_BUFFER_LIST NetBufferListChain;
} NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, *PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST;

/* ---- State ----------------------------------------------------------------------------------- */

typedef struct _OFFLOAD_STATE_HEADER {
	ULONG Length; /* bytes of the whole state structure */
	ULONG RecognizedOptions; /* reserved */
} OFFLOAD_STATE_HEADER, *POFFLOAD_STATE_HEADER;

typedef struct _NEIGHBOR_OFFLOAD_STATE_CONST {
	OFFLOAD_STATE_HEADER Header;
	UCHAR DlSourceAddress[32]; /* first 6 bytes; all zero: the interface's own */
	ULONG VlanId : 12;         /* 0: not significant */
} NEIGHBOR_OFFLOAD_STATE_CONST, *PNEIGHBOR_OFFLOAD_STATE_CONST;

typedef struct _NEIGHBOR_OFFLOAD_STATE_CACHED {
	OFFLOAD_STATE_HEADER Header;
	UCHAR DlDestinationAddress[32]; /* first 6 bytes */
	ULONG HostReachabilityDelta;    /* ticks since the host last confirmed the neighbor */
} NEIGHBOR_OFFLOAD_STATE_CACHED, *PNEIGHBOR_OFFLOAD_STATE_CACHED;

typedef struct _NEIGHBOR_OFFLOAD_STATE_DELEGATED {
	OFFLOAD_STATE_HEADER Header;
	ULONG NicReachabilityDelta; /* ticks since a connection last made progress */
} NEIGHBOR_OFFLOAD_STATE_DELEGATED, *PNEIGHBOR_OFFLOAD_STATE_DELEGATED;

typedef struct _PATH_OFFLOAD_STATE_CONST {
	OFFLOAD_STATE_HEADER Header;
	/* 4 or 16 bytes, network order; valid while the operation runs. */
	const UCHAR *SourceAddress;
	const UCHAR *DestinationAddress;
} PATH_OFFLOAD_STATE_CONST, *PPATH_OFFLOAD_STATE_CONST;

typedef struct _PATH_OFFLOAD_STATE_CACHED {
	OFFLOAD_STATE_HEADER Header;
	ULONG PathMtu; /* largest IP datagram, bytes */
} PATH_OFFLOAD_STATE_CACHED, *PPATH_OFFLOAD_STATE_CACHED;

typedef struct _PATH_OFFLOAD_STATE_DELEGATED {
	OFFLOAD_STATE_HEADER Header;
} PATH_OFFLOAD_STATE_DELEGATED, *PPATH_OFFLOAD_STATE_DELEGATED;

/* TCP const Flags */
#define TCP_FLAG_TIMESTAMP_ENABLED      0x0001
#define TCP_FLAG_SACK_ENABLED           0x0002
#define TCP_FLAG_WINDOW_SCALING_ENABLED 0x0004

typedef struct _TCP_OFFLOAD_STATE_CONST {
	OFFLOAD_STATE_HEADER Header;
	USHORT Flags;
	USHORT RemotePort; /* network order (our choice: no page says) */
	USHORT LocalPort;  /* network order */
	UCHAR SndWindScale : 4;
	UCHAR RcvWindScale : 4;
	USHORT RemoteMss;
	ULONG HashValue; /* receive side scaling hash of the connection */
} TCP_OFFLOAD_STATE_CONST, *PTCP_OFFLOAD_STATE_CONST;

/* TCP cached Flags */
#define TCP_FLAG_KEEP_ALIVE_ENABLED 0x0001
#define TCP_FLAG_NAGLING_ENABLED    0x0002
#define TCP_FLAG_KEEP_ALIVE_RESTART 0x0004
#define TCP_FLAG_MAX_RT_RESTART     0x0008
#define TCP_FLAG_UPDATE_RCV_WND     0x0010

typedef struct _TCP_OFFLOAD_STATE_CACHED {
	OFFLOAD_STATE_HEADER Header;
	USHORT Flags;
	ULONG InitialRcvWnd;     /* bytes, unscaled */
	ULONG RcvIndicationSize; /* bytes a receive indication should hold; 0: no wish */
	UCHAR KaProbeCount;
	ULONG KaTimeout;  /* ticks */
	ULONG KaInterval; /* ticks */
	ULONG MaxRT;      /* ticks; 0: TcpMaximumRetransmissions decides, 0xFFFFFFFF: no limit */
	ULONG FlowLabel : 20;
	ULONG : 12; /* so that every compiler puts the next member at 0x28 */
	UCHAR TtlOrHopLimit;
	UCHAR TosOrTrafficClass;
	UCHAR UserPriority : 3;
} TCP_OFFLOAD_STATE_CACHED, *PTCP_OFFLOAD_STATE_CACHED;

typedef enum {
	TcpConnectionClosed = 0,
	TcpConnectionListen,
	TcpConnectionSynSent,
	TcpConnectionSynRcvd,
	TcpConnectionEstablished,
	TcpConnectionFinWait1,
	TcpConnectionFinWait2,
	TcpConnectionCloseWait,
	TcpConnectionClosing,
	TcpConnectionLastAck,
	TcpConnectionTimeWait,
	TcpConnectionMaxState
} TCP_OFFLOAD_CONNECTION_STATE, *PTCP_OFFLOAD_CONNECTION_STATE;

/*
 * TimeoutDelta: ticks until the timer fires, 0: at once, 0xFFFFFFFF: it does not run. Windows are
 * bytes, unscaled.
 */
typedef struct _TCP_OFFLOAD_STATE_DELEGATED {
	OFFLOAD_STATE_HEADER Header;
	TCP_OFFLOAD_CONNECTION_STATE State;
	USHORT Flags; /* reserved */
	ULONG RcvNxt;
	ULONG RcvWnd;
	ULONG SndUna;
	ULONG SndNxt;
	ULONG SndMax;
	ULONG SndWnd;
	ULONG MaxSndWnd;
	ULONG SendWL1;
	ULONG CWnd;
	ULONG SsThresh;
	USHORT SRtt;   /* 8 times the value in ticks, saturating */
	USHORT RttVar; /* 4 times the value in ticks, saturating */
	ULONG TsRecent;
	ULONG TsRecentAge; /* ticks */
	ULONG TsTime;      /* the clock that timestamps are taken from, delta included */
	ULONG TotalRT;     /* ticks spent retransmitting */
	UCHAR DupAckCount;
	UCHAR SndWndProbeCount;
	struct {
		UCHAR ProbeCount;
		ULONG TimeoutDelta;
	} KeepAlive;
	struct {
		UCHAR Count;
		ULONG TimeoutDelta;
	} Retransmit;
	union {
		struct {
			PNET_BUFFER_LIST SendDataHead; /* initiate, terminate */
			PNET_BUFFER_LIST SendDataTail;
		};
		ULONG SendBacklogSize; /* query; 0xFFFFFFFF: not supported */
	};
	union {
		PNET_BUFFER_LIST BufferedData; /* initiate, terminate */
		ULONG ReceiveBacklogSize;      /* query; 0xFFFFFFFF: not supported */
	};
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
	ULONG DWnd; /* reserved: carried through unchanged */
#endif
} TCP_OFFLOAD_STATE_DELEGATED, *PTCP_OFFLOAD_STATE_DELEGATED;

/*
 * Walking the state behind a block list. These helpers are ours: the pages only say that state
 * follows "immediately"; here every structure starts at the next multiple of 8.
 * NdisOffloadFirstState() takes either kind of block list.
 */
#define NDIS_OFFLOAD_STATE_ALIGN(bytes) (((size_t)(bytes) + 7u) & ~(size_t)7u)

static inline POFFLOAD_STATE_HEADER NdisOffloadFirstState(const void *BlockList)
{
	return (POFFLOAD_STATE_HEADER)(uintptr_t)((const UCHAR *)BlockList +
						  NDIS_OFFLOAD_STATE_ALIGN(sizeof(
							  NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST)));
}

static inline POFFLOAD_STATE_HEADER NdisOffloadNextState(const OFFLOAD_STATE_HEADER *Header)
{
	return (POFFLOAD_STATE_HEADER)(uintptr_t)((const UCHAR *)Header +
						  NDIS_OFFLOAD_STATE_ALIGN(Header->Length));
}

/* ---- Events, reasons, flags ------------------------------------------------------------------ */

typedef enum {
	NdisTcpChimneyOffload = 1,
	NdisIpsecChimneyOffload, /* reserved */
	NdisRdmaChimneyOffload,  /* reserved */
	NdisMaxChimneyOffload
} NDIS_CHIMNEY_OFFLOAD_TYPE, *PNDIS_CHIMNEY_OFFLOAD_TYPE;

typedef enum {
	NeighborReachabilityInDoubt = 1,
	NeighborReachabilityQuery,
	MaxOffloadEvent
} INDICATE_OFFLOAD_EVENT, *PINDICATE_OFFLOAD_EVENT;

typedef enum {
	TcpIndicateSendBacklogChange = 1, /* information: bytes ideally kept outstanding */
	TcpIndicateDisconnect,            /* the peer's FIN, after all data before it was consumed */
	TcpIndicateRetrieve,              /* information: TCP_UPLOAD_REASON */
	TcpIndicateAbort                  /* the peer's RST, or state lost */
} TCP_OFFLOAD_EVENT_TYPE, *PTCP_OFFLOAD_EVENT_TYPE;

typedef enum {
	LowActivity = 1,
	HighDropRate,
	SmallIO,
	NoBufferPreposting,
	NoBufferProposting = NoBufferPreposting, /* older spelling */
	ReceivedUrgentData,                      /* mandatory: the host always uploads */
	HighFragmentation,
	HighOutOfOrderPackets,
	TimeoutExpiration, /* mandatory */
	InvalidState,      /* mandatory */
	UploadRequested,   /* mandatory */
	HardwareFailure,   /* mandatory */
	MaxUploadReason
} TCP_UPLOAD_REASON, *PTCP_UPLOAD_REASON;

#define TCP_DISCONNECT_GRACEFUL_CLOSE 0x00000001u
#define TCP_DISCONNECT_ABORTIVE_CLOSE 0x00000002u

/* ---- Parameters of connection offload: OID_TCP_CONNECTION_OFFLOAD_PARAMETERS ----------------- */

typedef struct _NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_DEFAULT */
	NDIS_OFFLOAD_ENCAPSULATION Encapsulation;
	ULONG TicksPerSecond; /* 10, 100 or 1000 (default): unit of every tick-valued variable */
	UCHAR TcpAckFrequency;
	UCHAR TcpDelayedAckTicks;
	UCHAR TcpMaximumRetransmissions;
	UCHAR TcpDoubtReachabilityRetransmissions; /* 0: no such indication */
	ULONG TcpSwsPreventionTicks;
	ULONG TcpDuplicateAckThreshold;
	ULONG TcpPushTicks;
	ULONG NceStaleTicks;
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
	ULONG CongestionAlgorithm; /* reserved */
#endif
} NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS, *PNDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS;

#define NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_1          1
#define NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_2          2
#define NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1 1
#define NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_2 2
#define NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS, NceStaleTicks)
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
#define NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_2 \
	NDIS_SIZEOF_THROUGH(NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS, CongestionAlgorithm)
#endif

/* Part of the published interface; no function uses it. */
typedef struct _NDIS_TCP_CONNECTION_OFFLOAD_ENCAPSULATION {
	struct {
		UCHAR Enabled;
		ULONG EncapsulationType;
		ULONG HeaderSize;
	} V4, V6;
} NDIS_TCP_CONNECTION_OFFLOAD_ENCAPSULATION, *PNDIS_TCP_CONNECTION_OFFLOAD_ENCAPSULATION;

/* ---- Called by host stack and intermediate drivers ------------------------------------------- */

/*
 * The five state operations. Context: the worker that owns the adapter. The tree and what it points
 * to belong to NDIS and the drivers below until the completion handler is called with the same
 * pointer; every block's Status is set then. Pages: NF:ndischimney.NdisInitiateOffload and so on.
 */
VOID NdisInitiateOffload(NDIS_HANDLE NdisBindingHandle,
			 PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisTerminateOffload(NDIS_HANDLE NdisBindingHandle,
			  PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisUpdateOffload(NDIS_HANDLE NdisBindingHandle,
		       PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisInvalidateOffload(NDIS_HANDLE NdisBindingHandle,
			   PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisQueryOffloadState(NDIS_HANDLE NdisBindingHandle,
			   PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);

/*
 * I/O on an offloaded connection. Each returns NDIS_STATUS_PENDING and nothing else; the lists
 * belong to the driver below until the completion handler gives them back. Calls on one connection
 * never overlap.
 *   Send:       data in list order; completed when the peer has acknowledged it.
 *   Receive:    posts buffers, one NET_BUFFER a list; TcpReceiveNoPush TRUE: complete only when
 *               full.
 *   Forward:    one TCP segment a list, TCP header first, no IP header.
 *   Disconnect: TCP_DISCONNECT_GRACEFUL_CLOSE sends the data in the list, then FIN; ABORTIVE_CLOSE
 *               sends RST.
 */
NDIS_STATUS NdisOffloadTcpSend(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
			       PNET_BUFFER_LIST NetBufferList);
NDIS_STATUS NdisOffloadTcpReceive(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
				  PNET_BUFFER_LIST NetBufferList);
NDIS_STATUS NdisOffloadTcpForward(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
				  PNET_BUFFER_LIST NetBufferList);
NDIS_STATUS NdisOffloadTcpDisconnect(PNDIS_OFFLOAD_HANDLE NdisOffloadHandle,
				     PNET_BUFFER_LIST NetBufferList, ULONG Flags);

/* Gives indicated lists back, of several connections if need be. Synchronous, cannot fail. */
VOID NdisOffloadTcpReceiveReturn(NDIS_HANDLE NdisBindingHandle, PNET_BUFFER_LIST NetBufferList);

/* ---- Handlers of host stack and intermediate drivers ----------------------------------------- */

typedef VOID (*INITIATE_OFFLOAD_COMPLETE_HANDLER)(
	NDIS_HANDLE ProtocolBindingContext, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*TERMINATE_OFFLOAD_COMPLETE_HANDLER)(
	NDIS_HANDLE ProtocolBindingContext, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*UPDATE_OFFLOAD_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
						PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*INVALIDATE_OFFLOAD_COMPLETE_HANDLER)(
	NDIS_HANDLE ProtocolBindingContext, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*QUERY_OFFLOAD_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
					       PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList);
/*
 * NeighborReachabilityQuery: the block's cached state is answered in place, before the handler
 * returns.
 */
typedef VOID (*INDICATE_OFFLOAD_EVENT_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
					       PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST OffloadBlockList,
					       ULONG IndicationCode);

typedef VOID (*TCP_OFFLOAD_SEND_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
						  PNET_BUFFER_LIST NetBufferList);
typedef VOID (*TCP_OFFLOAD_RECV_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
						  PNET_BUFFER_LIST NetBufferList);
typedef VOID (*TCP_OFFLOAD_DISCONNECT_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
							PNET_BUFFER_LIST NetBufferList);
typedef VOID (*TCP_OFFLOAD_FORWARD_COMPLETE_HANDLER)(NDIS_HANDLE ProtocolBindingContext,
						     PNET_BUFFER_LIST NetBufferList);
/* OffloadContext is the driver's own PNDIS_OFFLOAD_HANDLE. */
typedef VOID (*TCP_OFFLOAD_EVENT_HANDLER)(PVOID OffloadContext, ULONG EventType,
					  ULONG EventSpecificInformation);
/*
 * Status is NDIS_STATUS_SUCCESS. Returns NDIS_STATUS_SUCCESS (all taken; the list is given back
 * later), NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED (*BytesConsumed 0) or
 * NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED; in the last two cases the target owns the list again
 * at once.
 */
typedef NDIS_STATUS (*TCP_OFFLOAD_RECEIVE_INDICATE_HANDLER)(PVOID OffloadContext,
							    PNET_BUFFER_LIST NetBufferList,
							    NDIS_STATUS Status,
							    PULONG BytesConsumed);

typedef struct _NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS {
	/* NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS */
	NDIS_OBJECT_HEADER Header;
	ULONG Flags;               /* reserved */
	INITIATE_OFFLOAD_COMPLETE_HANDLER InitiateOffloadCompleteHandler;
	TERMINATE_OFFLOAD_COMPLETE_HANDLER TerminateOffloadCompleteHandler;
	UPDATE_OFFLOAD_COMPLETE_HANDLER UpdateOffloadCompleteHandler;
	INVALIDATE_OFFLOAD_COMPLETE_HANDLER InvalidateOffloadCompleteHandler;
	QUERY_OFFLOAD_COMPLETE_HANDLER QueryOffloadCompleteHandler;
	INDICATE_OFFLOAD_EVENT_HANDLER IndicateOffloadEventHandler;
} NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
	*PNDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS;

#define NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1 1
#define NDIS_SIZEOF_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1                      \
	NDIS_SIZEOF_THROUGH(NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,                   \
			    IndicateOffloadEventHandler)

typedef struct _NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS */
	ULONG Flags;               /* reserved */
	NDIS_CHIMNEY_OFFLOAD_TYPE OffloadType;
	TCP_OFFLOAD_SEND_COMPLETE_HANDLER TcpOffloadSendCompleteHandler;
	TCP_OFFLOAD_RECV_COMPLETE_HANDLER TcpOffloadReceiveCompleteHandler;
	TCP_OFFLOAD_DISCONNECT_COMPLETE_HANDLER TcpOffloadDisconnectCompleteHandler;
	TCP_OFFLOAD_FORWARD_COMPLETE_HANDLER TcpOffloadForwardCompleteHandler;
	TCP_OFFLOAD_EVENT_HANDLER TcpOffloadEventHandler;
	TCP_OFFLOAD_RECEIVE_INDICATE_HANDLER TcpOffloadReceiveIndicateHandler;
} NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS,
	*PNDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS;

#define NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1 1
#define NDIS_SIZEOF_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1                          \
	NDIS_SIZEOF_THROUGH(NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS,                       \
			    TcpOffloadReceiveIndicateHandler)

/* ---- Handlers of offload targets and of the miniport edge of intermediate drivers ------------ */

/*
 * State operations: keep the pointer, return, and end with the NdisMXxxComplete() function, passing
 * the same pointer.
 * Context: any level.
 */
typedef VOID (*W_INITIATE_OFFLOAD_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					   PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*W_TERMINATE_OFFLOAD_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					    PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*W_UPDATE_OFFLOAD_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					 PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*W_INVALIDATE_OFFLOAD_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					     PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
typedef VOID (*W_QUERY_OFFLOAD_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
					PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);

/*
 * I/O: MiniportOffloadContext is the value that the driver left when the object was offloaded.
 * NDIS_STATUS_PENDING.
 */
typedef NDIS_STATUS (*W_TCP_OFFLOAD_SEND_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
						  PVOID MiniportOffloadContext,
						  PNET_BUFFER_LIST NetBufferList);
typedef NDIS_STATUS (*W_TCP_OFFLOAD_RECEIVE_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
						     PVOID MiniportOffloadContext,
						     PNET_BUFFER_LIST NetBufferList);
typedef NDIS_STATUS (*W_TCP_OFFLOAD_FORWARD_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
						     PVOID MiniportOffloadContext,
						     PNET_BUFFER_LIST NetBufferList);
typedef NDIS_STATUS (*W_TCP_OFFLOAD_DISCONNECT_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
							PVOID MiniportOffloadContext,
							PNET_BUFFER_LIST NetBufferList,
							ULONG Flags);
/* Synchronous: NDIS_STATUS_SUCCESS and nothing else. */
typedef NDIS_STATUS (*W_TCP_OFFLOAD_RECEIVE_RETURN_HANDLER)(NDIS_HANDLE MiniportAdapterContext,
							    PNET_BUFFER_LIST NetBufferList);

typedef struct _NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS {
	/* NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS */
	NDIS_OBJECT_HEADER Header;
	ULONG Flags;               /* reserved */
	W_INITIATE_OFFLOAD_HANDLER InitiateOffloadHandler;
	W_TERMINATE_OFFLOAD_HANDLER TerminateOffloadHandler;
	W_UPDATE_OFFLOAD_HANDLER UpdateOffloadHandler;
	W_INVALIDATE_OFFLOAD_HANDLER InvalidateOffloadHandler;
	W_QUERY_OFFLOAD_HANDLER QueryOffloadHandler;
} NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
	*PNDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS;

typedef struct _NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS */
	ULONG Flags;               /* reserved */
	NDIS_CHIMNEY_OFFLOAD_TYPE OffloadType;
	W_TCP_OFFLOAD_SEND_HANDLER TcpOffloadSendHandler;
	W_TCP_OFFLOAD_RECEIVE_HANDLER TcpOffloadReceiveHandler;
	W_TCP_OFFLOAD_DISCONNECT_HANDLER TcpOffloadDisconnectHandler;
	W_TCP_OFFLOAD_FORWARD_HANDLER TcpOffloadForwardHandler;
	W_TCP_OFFLOAD_RECEIVE_RETURN_HANDLER TcpOffloadReceiveReturnHandler;
} NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS,
	*PNDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS;

/* ---- Called by offload targets --------------------------------------------------------------- */

/*
 * NdisMiniportHandle is the adapter's handle from MiniportInitializeEx (the pages also say the
 * driver's; NDIS has to tell the adapters of one driver apart). Context: any level; DISPATCH_LEVEL
 * for the event.
 */
VOID NdisMInitiateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				  PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisMTerminateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				   PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisMUpdateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisMInvalidateOffloadComplete(NDIS_HANDLE NdisMiniportHandle,
				    PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisMQueryOffloadStateComplete(NDIS_HANDLE NdisMiniportHandle,
				    PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList);
VOID NdisMOffloadEventIndicate(NDIS_HANDLE NdisMiniportHandle,
			       PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST OffloadBlockList,
			       ULONG IndicationCode);

/* What NdisMGetOffloadHandlers() gives. NdisOffloadHandle: that of the connection's block list. */
typedef VOID (*NDIS_TCP_OFFLOAD_EVENT_INDICATE)(NDIS_HANDLE NdisOffloadHandle, ULONG EventType,
						ULONG EventSpecificInformation);
typedef NDIS_STATUS (*NDIS_TCP_OFFLOAD_RECEIVE_INDICATE)(NDIS_HANDLE NdisOffloadHandle,
							 PNET_BUFFER_LIST NetBufferList,
							 NDIS_STATUS Status, PULONG BytesConsumed);
typedef VOID (*NDIS_TCP_OFFLOAD_SEND_COMPLETE)(NDIS_HANDLE NdisMiniportHandle,
					       PNET_BUFFER_LIST NetBufferList);
typedef VOID (*NDIS_TCP_OFFLOAD_RECEIVE_COMPLETE)(NDIS_HANDLE NdisMiniportHandle,
						  PNET_BUFFER_LIST NetBufferList);
typedef VOID (*NDIS_TCP_OFFLOAD_DISCONNECT_COMPLETE)(NDIS_HANDLE NdisMiniportHandle,
						     PNET_BUFFER_LIST NetBufferList);
typedef VOID (*NDIS_TCP_OFFLOAD_FORWARD_COMPLETE)(NDIS_HANDLE NdisMiniportHandle,
						  PNET_BUFFER_LIST NetBufferList);

/* Only a header: cast to the table of the chimney type after looking at Type, Revision and Size. */
typedef struct _NDIS_OFFLOAD_EVENT_HANDLERS {
	NDIS_OBJECT_HEADER Header;
} NDIS_OFFLOAD_EVENT_HANDLERS, *PNDIS_OFFLOAD_EVENT_HANDLERS;

typedef struct _NDIS_TCP_OFFLOAD_EVENT_HANDLERS {
	NDIS_OBJECT_HEADER Header; /* Type: NdisTcpChimneyOffload */
	NDIS_TCP_OFFLOAD_EVENT_INDICATE NdisTcpOffloadEventHandler;
	NDIS_TCP_OFFLOAD_RECEIVE_INDICATE NdisTcpOffloadReceiveHandler;
	NDIS_TCP_OFFLOAD_SEND_COMPLETE NdisTcpOffloadSendComplete;
	NDIS_TCP_OFFLOAD_RECEIVE_COMPLETE NdisTcpOffloadReceiveComplete;
	NDIS_TCP_OFFLOAD_DISCONNECT_COMPLETE NdisTcpOffloadDisconnectComplete;
	NDIS_TCP_OFFLOAD_FORWARD_COMPLETE NdisTcpOffloadForwardComplete;
} NDIS_TCP_OFFLOAD_EVENT_HANDLERS, *PNDIS_TCP_OFFLOAD_EVENT_HANDLERS;

#define NDIS_OBJECT_TCP_OFFLOAD_REVISION_1 1

/* Part of the published interface; no function uses them. */
typedef struct _NDIS_OFFLOAD_CLIENT_HANDLERS {
	NDIS_OBJECT_HEADER Header;
} NDIS_OFFLOAD_CLIENT_HANDLERS, *PNDIS_OFFLOAD_CLIENT_HANDLERS;

typedef struct _NDIS_TCP_OFFLOAD_CLIENT_HANDLERS {
	NDIS_OBJECT_HEADER Header;
	TCP_OFFLOAD_SEND_COMPLETE_HANDLER TcpOffloadSendCompleteHandler;
	TCP_OFFLOAD_RECV_COMPLETE_HANDLER TcpOffloadReceiveCompleteHandler;
	TCP_OFFLOAD_DISCONNECT_COMPLETE_HANDLER TcpOffloadDisconnectCompleteHandler;
	TCP_OFFLOAD_FORWARD_COMPLETE_HANDLER TcpOffloadForwardCompleteHandler;
	TCP_OFFLOAD_EVENT_HANDLER TcpOffloadEventHandler;
	TCP_OFFLOAD_RECEIVE_INDICATE_HANDLER TcpOffloadReceiveIndicateHandler;
} NDIS_TCP_OFFLOAD_CLIENT_HANDLERS, *PNDIS_TCP_OFFLOAD_CLIENT_HANDLERS;

/*
 * NdisMGetOffloadHandlers() - from MiniportInitializeEx, once per chimney type. The table belongs
 * to NDIS: copy the entry points. Returns NDIS_STATUS_SUCCESS, or NDIS_STATUS_NOT_SUPPORTED for any
 * type but NdisTcpChimneyOffload.
 */
NDIS_STATUS NdisMGetOffloadHandlers(NDIS_HANDLE NdisMiniportHandle,
				    NDIS_CHIMNEY_OFFLOAD_TYPE ChimneyType,
				    PNDIS_OFFLOAD_EVENT_HANDLERS *OffloadHandlers);

#ifdef __cplusplus
}
#endif

#endif
