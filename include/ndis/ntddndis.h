/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ntddndis.h - what drivers and administrators share: object headers, OIDs, offload capabilities
 * and parameters.
 *
 * Every versioned structure starts with an NDIS_OBJECT_HEADER: Type says what it is, Revision which
 * members it has, Size how many bytes the writer filled. A reader looks at Size, never at sizeof.
 */
#ifndef NDIS_NTDDNDIS_H
#define NDIS_NTDDNDIS_H

#include "ndisstatus.h"
#include "wintypes.h"

typedef struct _NDIS_OBJECT_HEADER {
	UCHAR Type;
	UCHAR Revision;
	USHORT Size; /* bytes, this header included */
} NDIS_OBJECT_HEADER, *PNDIS_OBJECT_HEADER;

#define NDIS_OBJECT_REVISION_1 1

/* The size that a revision has: up to and including its last member. */
#define NDIS_SIZEOF_THROUGH(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* NDIS_OBJECT_HEADER.Type */
#define NDIS_OBJECT_TYPE_DEFAULT                                          0x80
#define NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS                         0x81
#define NDIS_OBJECT_TYPE_BIND_PARAMETERS                                  0x86
#define NDIS_OBJECT_TYPE_OPEN_PARAMETERS                                  0x87
#define NDIS_OBJECT_TYPE_RSS_CAPABILITIES                                 0x88
#define NDIS_OBJECT_TYPE_RSS_PARAMETERS                                   0x89
#define NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS                  0x8A
#define NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS                    0x8B
#define NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS   0x8E
#define NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS 0x8F
#define NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS           0x93
#define NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS         0x94
#define NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS                  0x95
#define NDIS_OBJECT_TYPE_OID_REQUEST                                      0x96
#define NDIS_OBJECT_TYPE_STATUS_INDICATION                                0x98
#define NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES         0x9E
#define NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES              0x9F
#define NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES              0xA0
#define NDIS_OBJECT_TYPE_OFFLOAD                                          0xA7
#define NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION                            0xA8

/* OIDs */
#define OID_GEN_CURRENT_PACKET_FILTER                   0x0001010Eu
#define OID_OFFLOAD_ENCAPSULATION                       0x0101010Au
#define OID_GEN_RECEIVE_SCALE_CAPABILITIES              0x00010203u
#define OID_GEN_RECEIVE_SCALE_PARAMETERS                0x00010204u
#define OID_GEN_LINK_STATE                              0x00010207u
#define OID_GEN_LINK_PARAMETERS                         0x00010208u
#define OID_GEN_VLAN_ID                                 0x0001021Cu
#define OID_GEN_STATISTICS                              0x00020106u
#define OID_PNP_CAPABILITIES                            0xFD010100u
#define OID_PNP_SET_POWER                               0xFD010101u
#define OID_PNP_QUERY_POWER                             0xFD010102u
#define OID_TCP_TASK_OFFLOAD                            0xFC010201u
#define OID_TCP4_OFFLOAD_STATS                          0xFC010207u
#define OID_TCP6_OFFLOAD_STATS                          0xFC010208u
#define OID_IP4_OFFLOAD_STATS                           0xFC010209u
#define OID_IP6_OFFLOAD_STATS                           0xFC01020Au
#define OID_TCP_OFFLOAD_CURRENT_CONFIG                  0xFC01020Bu
#define OID_TCP_OFFLOAD_PARAMETERS                      0xFC01020Cu
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES           0xFC01020Du
#define OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG       0xFC01020Eu
#define OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES 0xFC01020Fu
#define OID_TCP_CONNECTION_OFFLOAD_PARAMETERS           0xFC030201u

typedef enum _NDIS_DEVICE_POWER_STATE {
	NdisDeviceStateUnspecified = 0,
	NdisDeviceStateD0,
	NdisDeviceStateD1,
	NdisDeviceStateD2,
	NdisDeviceStateD3,
	NdisDeviceStateMaximum
} NDIS_DEVICE_POWER_STATE, *PNDIS_DEVICE_POWER_STATE;

typedef enum _NDIS_REQUEST_TYPE {
	NdisRequestQueryInformation = 0,
	NdisRequestSetInformation,
	NdisRequestQueryStatistics,
	NdisRequestOpen,
	NdisRequestClose,
	NdisRequestSend,
	NdisRequestTransferData,
	NdisRequestReset,
	NdisRequestGeneric1,
	NdisRequestGeneric2,
	NdisRequestGeneric3,
	NdisRequestGeneric4,
	NdisRequestMethod
} NDIS_REQUEST_TYPE, *PNDIS_REQUEST_TYPE;

typedef enum _NDIS_MEDIUM {
	NdisMedium802_3 = 0
} NDIS_MEDIUM, *PNDIS_MEDIUM;

/* Encapsulation, one or several */
#define NDIS_ENCAPSULATION_NOT_SUPPORTED             0x00u
#define NDIS_ENCAPSULATION_NULL                      0x01u
#define NDIS_ENCAPSULATION_IEEE_802_3                0x02u
#define NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q        0x04u
#define NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB 0x08u
#define NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED      0x10u

/* Two-bit capability members, and Enabled of NDIS_OFFLOAD_ENCAPSULATION */
#define NDIS_OFFLOAD_NOT_SUPPORTED 0u
#define NDIS_OFFLOAD_SUPPORTED     1u
#define NDIS_OFFLOAD_SET_NO_CHANGE 0u
#define NDIS_OFFLOAD_SET_ON        1u
#define NDIS_OFFLOAD_SET_OFF       2u

/* TcpConnectionIPv4 and TcpConnectionIPv6 of NDIS_OFFLOAD_PARAMETERS */
#define NDIS_OFFLOAD_PARAMETERS_NO_CHANGE                   0u
#define NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_DISABLED 1u
#define NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED  2u

typedef struct _NDIS_OFFLOAD_ENCAPSULATION {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION */
	struct {
		ULONG Enabled; /* NDIS_OFFLOAD_SET_... */
		ULONG EncapsulationType;
		ULONG HeaderSize; /* bytes in front of the IP header */
	} IPv4, IPv6;
} NDIS_OFFLOAD_ENCAPSULATION, *PNDIS_OFFLOAD_ENCAPSULATION;

#define NDIS_OFFLOAD_ENCAPSULATION_REVISION_1        1
#define NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1                                               \
	NDIS_SIZEOF_THROUGH(NDIS_OFFLOAD_ENCAPSULATION, IPv6)

/*
 * What a miniport can do for TCP connections: its hardware, or what is switched on at present. A
 * miniport that wants chimney offload names IEEE_802_3, IEEE_LLC_SNAP_ROUTED or both in
 * Encapsulation.
 */
typedef struct _NDIS_TCP_CONNECTION_OFFLOAD {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_DEFAULT */
	ULONG Encapsulation;       /* NDIS_ENCAPSULATION_..., one or several */
	ULONG SupportIPv4 : 2;
	ULONG SupportIPv6 : 2;
	ULONG SupportIPv6ExtensionHeaders : 2;
	ULONG SupportSack : 2;
	ULONG CongestionAlgorithm : 4; /* from 6.1; reserved, zero */
	ULONG TcpConnectionOffloadCapacity; /* connections at once, both IP versions together */
	ULONG Flags;                        /* reserved, zero */
} NDIS_TCP_CONNECTION_OFFLOAD, *PNDIS_TCP_CONNECTION_OFFLOAD;

#define NDIS_TCP_CONNECTION_OFFLOAD_REVISION_1        1
#define NDIS_TCP_CONNECTION_OFFLOAD_REVISION_2        2
#define NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1                                              \
	NDIS_SIZEOF_THROUGH(NDIS_TCP_CONNECTION_OFFLOAD, Flags)
#define NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_2                                              \
	NDIS_SIZEOF_THROUGH(NDIS_TCP_CONNECTION_OFFLOAD, Flags)

/* What the administrator switches on or off. Zero changes nothing. */
typedef struct _NDIS_OFFLOAD_PARAMETERS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_DEFAULT */
	UCHAR IPv4Checksum;
	UCHAR TCPIPv4Checksum;
	UCHAR UDPIPv4Checksum;
	UCHAR TCPIPv6Checksum;
	UCHAR UDPIPv6Checksum;
	UCHAR LsoV1;
	UCHAR IPsecV1;
	UCHAR LsoV2IPv4;
	UCHAR LsoV2IPv6;
	UCHAR TcpConnectionIPv4; /* NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_... */
	UCHAR TcpConnectionIPv6;
	ULONG Flags;
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
	UCHAR IPsecV2;
	UCHAR IPsecV2IPv4;
#endif
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_630
	UCHAR RscIPv4;
	UCHAR RscIPv6;
	UCHAR EncapsulatedPacketTaskOffload;
	UCHAR EncapsulationTypes;
#endif
} NDIS_OFFLOAD_PARAMETERS, *PNDIS_OFFLOAD_PARAMETERS;

#define NDIS_OFFLOAD_PARAMETERS_REVISION_1        1
#define NDIS_OFFLOAD_PARAMETERS_REVISION_2        2
#define NDIS_OFFLOAD_PARAMETERS_REVISION_3        3
#define NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1                                                  \
	NDIS_SIZEOF_THROUGH(NDIS_OFFLOAD_PARAMETERS, Flags)
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
#define NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_2                                                  \
	NDIS_SIZEOF_THROUGH(NDIS_OFFLOAD_PARAMETERS, IPsecV2IPv4)
#endif
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_630
#define NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3                                                  \
	NDIS_SIZEOF_THROUGH(NDIS_OFFLOAD_PARAMETERS, EncapsulationTypes)
#endif

/*
 * Task offload capabilities. Connection offload does not use them; the structure is there for its
 * size and because adapters pass it around. The parts are opaque here.
 */
typedef struct _NDIS_OFFLOAD {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_OFFLOAD */
	ULONG Checksum[8];
	ULONG LsoV1[4];
	ULONG IPsecV1[7];
	ULONG LsoV2[7];
	ULONG Flags;
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_610
	ULONG IPsecV2[8];
#endif
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_630
	UCHAR Rsc[2];
	ULONG EncapsulatedPacketTaskOffloadGre[2];
#endif
} NDIS_OFFLOAD, *PNDIS_OFFLOAD;

#define NDIS_OFFLOAD_REVISION_1 1
#define NDIS_OFFLOAD_REVISION_2 2
#define NDIS_OFFLOAD_REVISION_3 3

/* Counters of offloaded traffic, one set per interface and IP version. They wrap. */
typedef struct _TCP_OFFLOAD_STATS {
	ULONG64 InSegments;
	ULONG64 OutSegments; /* without those that carry only retransmitted bytes */
	ULONG CurrentlyEstablished;
	ULONG ResetEstablished;
	ULONG RetransmittedSegments;
	ULONG InErrors;
	ULONG OutResets;
} TCP_OFFLOAD_STATS, *PTCP_OFFLOAD_STATS;

typedef struct _IP_OFFLOAD_STATS {
	ULONG64 InReceives;
	ULONG64 InOctets;
	ULONG64 InDelivers;
	ULONG64 OutRequests;
	ULONG64 OutOctets;
	ULONG InHeaderErrors;
	ULONG InTruncatedPackets;
	ULONG InDiscards;
	ULONG OutDiscards;
	ULONG OutNoRoutes;
} IP_OFFLOAD_STATS, *PIP_OFFLOAD_STATS;

typedef struct _NDIS_RECEIVE_SCALE_PARAMETERS {
	NDIS_OBJECT_HEADER Header; /* NDIS_OBJECT_TYPE_RSS_PARAMETERS */
	USHORT Flags;
	USHORT BaseCpuNumber;
	ULONG HashInformation;
	USHORT IndirectionTableSize; /* bytes */
	ULONG IndirectionTableOffset;
	USHORT HashSecretKeySize; /* bytes */
	ULONG HashSecretKeyOffset;
#if NDIS_SUPPORTED_VERSION >= NDIS_VERSION_620
	ULONG ProcessorMasksOffset;
	ULONG NumberOfProcessorMasks;
	ULONG ProcessorMasksEntrySize;
#endif
} NDIS_RECEIVE_SCALE_PARAMETERS, *PNDIS_RECEIVE_SCALE_PARAMETERS;

/*
 * The older way of asking for capabilities, with OID_TCP_TASK_OFFLOAD. It has no published member
 * for connections.
 */
typedef enum _NDIS_TASK {
	TcpIpChecksumNdisTask = 0,
	IpSecNdisTask,
	TcpLargeSendNdisTask,
	MaxNdisTask
} NDIS_TASK;

typedef enum _NDIS_ENCAPSULATION {
	UNSPECIFIED_Encapsulation = 0,
	NULL_Encapsulation,
	IEEE_802_3_Encapsulation,
	IEEE_802_5_Encapsulation,
	LLC_SNAP_ROUTED_Encapsulation,
	LLC_SNAP_BRIDGED_Encapsulation
} NDIS_ENCAPSULATION;

typedef struct _NDIS_ENCAPSULATION_FORMAT {
	NDIS_ENCAPSULATION Encapsulation;
	struct {
		ULONG FixedHeaderSize : 1;
		ULONG Reserved : 31;
	} Flags;
	ULONG EncapsulationHeaderSize;
} NDIS_ENCAPSULATION_FORMAT;

typedef struct _NDIS_TASK_OFFLOAD_HEADER {
	ULONG Version;
	ULONG Size;
	ULONG Reserved;
	ULONG OffsetFirstTask; /* 0: no task */
	NDIS_ENCAPSULATION_FORMAT EncapsulationFormat;
} NDIS_TASK_OFFLOAD_HEADER, *PNDIS_TASK_OFFLOAD_HEADER;

typedef struct _NDIS_TASK_OFFLOAD {
	ULONG Version;
	ULONG Size;
	NDIS_TASK Task;
	ULONG OffsetNextTask;
	ULONG TaskBufferLength;
	UCHAR TaskBuffer[1];
} NDIS_TASK_OFFLOAD, *PNDIS_TASK_OFFLOAD;

#endif
