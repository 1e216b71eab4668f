/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbl.h - how NDIS describes data: MDL (a piece of memory), NET_BUFFER (data that spans MDLs),
 * NET_BUFFER_LIST (a request or an indication).
 *
 *     NET_BUFFER_LIST -> NET_BUFFER -> MDL -> MDL -> MDL
 *                                       |  DataOffset  |
 *
 * The data of a NET_BUFFER starts DataOffset bytes into its MDL chain; CurrentMdl and
 * CurrentMdlOffset name the same place. Drivers never take sizeof(NET_BUFFER_LIST) for the
 * allocated size: the runtime may add members of its own.
 */
#ifndef NDIS_NBL_H
#define NDIS_NBL_H

#include "ntddndis.h"
#include "wintypes.h"

/* ---- MDL ------------------------------------------------------------------------------------- */

typedef struct _MDL {
	struct _MDL *Next;
	CSHORT Size; /* of this header, bytes */
	CSHORT MdlFlags;
	PVOID Process;
	PVOID MappedSystemVa; /* first byte described */
	PVOID StartVa;        /* the page that it lies in */
	ULONG ByteCount;
	ULONG ByteOffset; /* from StartVa */
} MDL, *PMDL;

#define MDL_MAPPED_TO_SYSTEM_VA     0x0001
#define MDL_PAGES_LOCKED            0x0002
#define MDL_SOURCE_IS_NONPAGED_POOL 0x0004
#define MDL_ALLOCATED_FIXED_SIZE    0x0008
#define MDL_PARTIAL                 0x0010
#define MDL_PARTIAL_HAS_BEEN_MAPPED 0x0020
#define MDL_NETWORK_HEADER          0x1000

#define MmGetMdlByteCount(mdl)                         ((mdl)->ByteCount)
#define MmGetMdlByteOffset(mdl)                        ((mdl)->ByteOffset)
#define MmGetMdlVirtualAddress(mdl)                    \
	((PVOID)((PUCHAR)(mdl)->StartVa + (mdl)->ByteOffset))
#define MmGetSystemAddressForMdlSafe(mdl, priority)    ((void)(priority), (mdl)->MappedSystemVa)
#define NDIS_MDL_LINKAGE(mdl)                          ((mdl)->Next)
#define LowPagePriority    0
#define NormalPagePriority 16
#define HighPagePriority   32

/* ---- NET_BUFFER ------------------------------------------------------------------------------ */

typedef struct _NET_BUFFER NET_BUFFER, *PNET_BUFFER;
typedef struct _NET_BUFFER_LIST NET_BUFFER_LIST, *PNET_BUFFER_LIST;
typedef struct _NET_BUFFER_LIST_CONTEXT NET_BUFFER_LIST_CONTEXT, *PNET_BUFFER_LIST_CONTEXT;

typedef union _NET_BUFFER_DATA_LENGTH {
	ULONG DataLength;
	SIZE_T stDataLength;
} NET_BUFFER_DATA_LENGTH, *PNET_BUFFER_DATA_LENGTH;

typedef struct _NET_BUFFER_DATA {
	PNET_BUFFER Next;
	PMDL CurrentMdl;
	ULONG CurrentMdlOffset;
	NET_BUFFER_DATA_LENGTH NbDataLength;
	PMDL MdlChain;
	ULONG DataOffset;
} NET_BUFFER_DATA, *PNET_BUFFER_DATA;

typedef union _NET_BUFFER_HEADER {
	NET_BUFFER_DATA NetBufferData;
	SLIST_HEADER Link;
} NET_BUFFER_HEADER, *PNET_BUFFER_HEADER;

/* Three names of one head: its members, the header as a whole, and the link of an SLIST. */
struct _NET_BUFFER {
	union {
		struct {
			PNET_BUFFER Next;
			PMDL CurrentMdl;
			ULONG CurrentMdlOffset;
			union {
				ULONG DataLength; /* bytes of data */
				SIZE_T stDataLength;
			};
			PMDL MdlChain;
			ULONG DataOffset; /* bytes in MdlChain in front of the data */
		};
		SLIST_HEADER Link;
		NET_BUFFER_HEADER NetBufferHeader;
	};
	USHORT ChecksumBias;
	USHORT Reserved;
	NDIS_HANDLE NdisPoolHandle;
	NDIS_ALIGN16 PVOID NdisReserved[2];
	NDIS_ALIGN16 PVOID ProtocolReserved[6];
	NDIS_ALIGN16 PVOID MiniportReserved[4];
	NDIS_PHYSICAL_ADDRESS DataPhysicalAddress;
	union {
		PVOID SharedMemoryInfo; /* from 6.20 */
		PVOID ScatterGatherList;
	};
};

#define NET_BUFFER_NEXT_NB(nb)            ((nb)->Next)
#define NET_BUFFER_FIRST_MDL(nb)          ((nb)->MdlChain)
#define NET_BUFFER_DATA_LENGTH(nb)        ((nb)->DataLength)
#define NET_BUFFER_DATA_OFFSET(nb)        ((nb)->DataOffset)
#define NET_BUFFER_CURRENT_MDL(nb)        ((nb)->CurrentMdl)
#define NET_BUFFER_CURRENT_MDL_OFFSET(nb) ((nb)->CurrentMdlOffset)
#define NET_BUFFER_PROTOCOL_RESERVED(nb)  ((nb)->ProtocolReserved)
#define NET_BUFFER_MINIPORT_RESERVED(nb)  ((nb)->MiniportReserved)

/* ---- NET_BUFFER_LIST ------------------------------------------------------------------------- */

/*
 * Index into NetBufferListInfo[]. Two names of one index: the second is what chimney offload keeps
 * there.
 */
typedef enum _NDIS_NET_BUFFER_LIST_INFO {
	TcpIpChecksumNetBufferListInfo = 0,
	/* Bytes moved, at completion. */
	TcpOffloadBytesTransferred = TcpIpChecksumNetBufferListInfo,
	IPsecOffloadV1NetBufferListInfo = 1,
	TcpLargeSendNetBufferListInfo = 2,
	TcpReceiveNoPush = TcpLargeSendNetBufferListInfo, /* BOOLEAN: a nonpush receive request */
	ClassificationHandleNetBufferListInfo = 3,
	Ieee8021QNetBufferListInfo = 4,
	NetBufferListCancelId = 5,
	MediaSpecificInformation = 6,
	NetBufferListFrameType = 7,
	NetBufferListProtocolId = NetBufferListFrameType,
	NetBufferListHashValue = 8,
	NetBufferListHashInfo = 9,
	WfpNetBufferListInfo = 10,
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
	IPsecOffloadV2NetBufferListInfo = IPsecOffloadV1NetBufferListInfo,
	IPsecOffloadV2TunnelNetBufferListInfo = 11,
	IPsecOffloadV2HeaderNetBufferListInfo = 12,
#endif
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_620
	NetBufferListCorrelationId = 13,
	NetBufferListFilteringInfo = 14,
	MediaSpecificInformationEx = 15,
	NblOriginalInterfaceIfIndex = 16,
	NblReAuthWfpFlowContext = NblOriginalInterfaceIfIndex,
	TcpReceiveBytesTransferred = 17, /* bytes that a posted receive request holds already */
#endif
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_630
	SwitchForwardingReserved = 18,
	SwitchForwardingDetail = 19,
	VirtualSubnetInfo = 20,
	IMReserved = 21,
	TcpRecvSegCoalesceInfo = 22,
	RscTcpTimestampDelta = 23,
	TcpSendOffloadsSupplementalNetBufferListInfo = RscTcpTimestampDelta,
	MaxNetBufferListInfo = 24
#elif NDIS_SUPPORTED_VERSION >= NDIS_VERSION_620
	MaxNetBufferListInfo = 18
#elif NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
	MaxNetBufferListInfo = 13
#else
	MaxNetBufferListInfo = 11
#endif
} NDIS_NET_BUFFER_LIST_INFO, *PNDIS_NET_BUFFER_LIST_INFO;

typedef struct _NET_BUFFER_LIST_DATA {
	PNET_BUFFER_LIST Next;
	PNET_BUFFER FirstNetBuffer;
} NET_BUFFER_LIST_DATA, *PNET_BUFFER_LIST_DATA;

typedef union _NET_BUFFER_LIST_HEADER {
	NET_BUFFER_LIST_DATA NetBufferListData;
	SLIST_HEADER Link;
} NET_BUFFER_LIST_HEADER, *PNET_BUFFER_LIST_HEADER;

/* The head has three names here, too. */
/* What NetBufferListInfo[] holds: a VLAN tag in Ieee8021QNetBufferListInfo ... */
typedef struct _NDIS_NET_BUFFER_LIST_8021Q_INFO {
	union {
		struct {
			UINT UserPriority : 3;
			UINT CanonicalFormatId : 1;
			UINT VlanId : 12;
			UINT Reserved : 16;
		} TagHeader;
		PVOID Value;
	};
} NDIS_NET_BUFFER_LIST_8021Q_INFO, *PNDIS_NET_BUFFER_LIST_8021Q_INFO;

/* ... and, in TcpIpChecksumNetBufferListInfo of a received list, what was verified. */
typedef struct _NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO {
	union {
		struct {
			ULONG IsIPv4 : 1;
			ULONG IsIPv6 : 1;
			ULONG TcpChecksum : 1;
			ULONG UdpChecksum : 1;
			ULONG IpHeaderChecksum : 1;
			ULONG Reserved : 11;
			ULONG TcpHeaderOffset : 10;
		} Transmit;
		struct {
			ULONG TcpChecksumFailed : 1;
			ULONG UdpChecksumFailed : 1;
			ULONG IpChecksumFailed : 1;
			ULONG TcpChecksumSucceeded : 1;
			ULONG UdpChecksumSucceeded : 1;
			ULONG IpChecksumSucceeded : 1;
			ULONG Loopback : 1;
		} Receive;
		PVOID Value;
	};
} NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO, *PNDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO;

struct _NET_BUFFER_LIST {
	union {
		struct {
			PNET_BUFFER_LIST Next;
			PNET_BUFFER FirstNetBuffer;
		};
		SLIST_HEADER Link;
		NET_BUFFER_LIST_HEADER NetBufferListHeader;
	};
	PNET_BUFFER_LIST_CONTEXT Context;
	PNET_BUFFER_LIST ParentNetBufferList;
	NDIS_HANDLE NdisPoolHandle;
	NDIS_ALIGN16 PVOID NdisReserved[2];
	NDIS_ALIGN16 PVOID ProtocolReserved[4];
	NDIS_ALIGN16 PVOID MiniportReserved[2];
	PVOID Scratch;
	NDIS_HANDLE SourceHandle;
	ULONG NblFlags;
	LONG ChildRefCount;
	ULONG Flags;
	NDIS_STATUS Status;
	PVOID NetBufferListInfo[MaxNetBufferListInfo];
};

#define NET_BUFFER_LIST_NEXT_NBL(nbl)          ((nbl)->Next)
#define NET_BUFFER_LIST_FIRST_NB(nbl)          ((nbl)->FirstNetBuffer)
#define NET_BUFFER_LIST_STATUS(nbl)            ((nbl)->Status)
#define NET_BUFFER_LIST_INFO(nbl, id)          ((nbl)->NetBufferListInfo[(id)])
#define NET_BUFFER_LIST_MINIPORT_RESERVED(nbl) ((nbl)->MiniportReserved)
#define NET_BUFFER_LIST_PROTOCOL_RESERVED(nbl) ((nbl)->ProtocolReserved)

/* NblFlags */
#define NDIS_NBL_FLAGS_SEND_READ_ONLY 0x00000001u
#define NDIS_NBL_FLAGS_RECV_READ_ONLY 0x00000002u
#define NDIS_NBL_FLAGS_HD_SPLIT       0x00000100u
#define NDIS_NBL_FLAGS_IS_IPV4        0x00000200u
#define NDIS_NBL_FLAGS_IS_IPV6        0x00000400u
#define NDIS_NBL_FLAGS_IS_TCP         0x00000800u
#define NDIS_NBL_FLAGS_IS_UDP         0x00001000u

/* Space that a driver adds to a list for its own use; the newest is the first of the chain. */
struct _NET_BUFFER_LIST_CONTEXT {
	PNET_BUFFER_LIST_CONTEXT Next;
	USHORT Size;   /* bytes of ContextData */
	USHORT Offset; /* of the space in use */
	NDIS_ALIGN16 UCHAR ContextData[];
};

#define NET_BUFFER_LIST_CONTEXT_DATA_START(nbl)                                                    \
	((nbl)->Context->ContextData + (nbl)->Context->Offset)
#define NET_BUFFER_LIST_CONTEXT_DATA_SIZE(nbl)  ((nbl)->Context->Size)

/* ---- Pools and allocation (page: the function of the same name) ------------------------------ */

typedef struct _NET_BUFFER_LIST_POOL_PARAMETERS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_DEFAULT */
	UCHAR ProtocolId;
	BOOLEAN fAllocateNetBuffer; /* every list comes with one NET_BUFFER */
	USHORT ContextSize;         /* bytes of context space for the pool's owner */
	ULONG PoolTag;
	ULONG DataSize; /* non-zero: every NET_BUFFER comes with an MDL and so much memory */
} NET_BUFFER_LIST_POOL_PARAMETERS, *PNET_BUFFER_LIST_POOL_PARAMETERS;

#define NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1        1
#define NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 \
	NDIS_SIZEOF_THROUGH(NET_BUFFER_LIST_POOL_PARAMETERS, DataSize)
#define NDIS_PROTOCOL_ID_DEFAULT 0
#define NDIS_PROTOCOL_ID_TCP_IP  2

#ifdef __cplusplus
extern "C" {
#endif

typedef VOID (*NET_BUFFER_FREE_MDL_HANDLER)(PMDL Mdl);
typedef PMDL (*NET_BUFFER_ALLOCATE_MDL_HANDLER)(PULONG BufferSize);

/*
 * Pools. NdisHandle is the driver's or adapter's handle, or NULL. Context: any level up to
 * DISPATCH_LEVEL. The pool is the caller's until NdisFreeNetBufferListPool(), which may be called
 * when every list came back. NULL: no memory.
 */
NDIS_HANDLE NdisAllocateNetBufferListPool(NDIS_HANDLE NdisHandle,
					  PNET_BUFFER_LIST_POOL_PARAMETERS Parameters);
VOID NdisFreeNetBufferListPool(NDIS_HANDLE PoolHandle);

/*
 * Lists. The caller owns the result until NdisFreeNetBufferList(); NULL when the pool is used up or
 * memory is short. ContextSize: bytes wanted in NET_BUFFER_LIST_CONTEXT, ContextBackFill: reserved
 * in front of them for other drivers. The second form comes with one NET_BUFFER that describes
 * DataLength bytes, DataOffset bytes into MdlChain (borrowed).
 */
PNET_BUFFER_LIST NdisAllocateNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
					   USHORT ContextBackFill);
PNET_BUFFER_LIST NdisAllocateNetBufferAndNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
						       USHORT ContextBackFill, PMDL MdlChain,
						       ULONG DataOffset, SIZE_T DataLength);
VOID NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList);

/*
 * More context space for a list in hand, newest first; freed in the reverse order, before the list
 * moves on.
 */
NDIS_STATUS NdisAllocateNetBufferListContext(PNET_BUFFER_LIST NetBufferList, USHORT ContextSize,
					     USHORT ContextBackFill, ULONG PoolTag);
VOID NdisFreeNetBufferListContext(PNET_BUFFER_LIST NetBufferList, USHORT ContextSize);

/* An MDL over memory of the caller, who keeps the memory; NULL when memory is short. */
PMDL NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, UINT Length);
VOID NdisFreeMdl(PMDL Mdl);

/*
 * NdisAdvanceNetBufferDataStart() - the data starts DataOffsetDelta bytes later; FreeMdl frees MDLs
 * that hold no data any more, by FreeMdlHandler or NdisFreeMdl(). NdisRetreatNetBufferDataStart() -
 * the data starts earlier, in MDLs that are there or in a new one with DataBackFill bytes of room
 * to spare, from AllocateMdlHandler or the runtime. Returns NDIS_STATUS_SUCCESS or
 * NDIS_STATUS_RESOURCES.
 */
VOID NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta, BOOLEAN FreeMdl,
				   NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);
NDIS_STATUS NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
					  ULONG DataBackFill,
					  NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler);

/*
 * NdisGetDataBuffer() - BytesNeeded contiguous bytes of data: a pointer into the MDL if they lie
 * together, else a copy in Storage (NULL: no copy wanted, then NULL comes back).
 */
PVOID NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded, PVOID Storage,
			ULONG AlignMultiple, ULONG AlignOffset);

#ifdef __cplusplus
}
#endif

#endif
