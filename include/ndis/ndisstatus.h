/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndisstatus.h - status values: results of calls, statuses of blocks and of NET_BUFFER_LISTs, and
 * status indications.
 *
 * NDIS_STATUS is a signed number; values from 0x80000000 up are negative. NDIS_STATUS_PENDING is a
 * promise, not an error: compare by name, never by truth value.
 */
#ifndef NDIS_NDISSTATUS_H
#define NDIS_NDISSTATUS_H

#include "wintypes.h"

/* Results of calls, Status of offload blocks, Status of NET_BUFFER_LISTs */
#define NDIS_STATUS_SUCCESS                                            ((NDIS_STATUS)0x00000000)
#define NDIS_STATUS_PENDING                                            ((NDIS_STATUS)0x00000103)
#define NDIS_STATUS_FAILURE                                            ((NDIS_STATUS)0xC0000001)
#define NDIS_STATUS_RESOURCES                                          ((NDIS_STATUS)0xC000009A)
#define NDIS_STATUS_NOT_SUPPORTED                                      ((NDIS_STATUS)0xC00000BB)
#define NDIS_STATUS_INVALID_PARAMETER                                  ((NDIS_STATUS)0xC000000D)
#define NDIS_STATUS_INVALID_STATE                                      ((NDIS_STATUS)0xC0000184)
#define NDIS_STATUS_NOT_ACCEPTED                                       ((NDIS_STATUS)0x00010003)
#define NDIS_STATUS_REQUEST_ABORTED                                    ((NDIS_STATUS)0xC001000C)
#define NDIS_STATUS_SEND_ABORTED                                       ((NDIS_STATUS)0xC023000C)
#define NDIS_STATUS_PAUSED                                             ((NDIS_STATUS)0xC023002A)
#define NDIS_STATUS_LOW_POWER_STATE                                    ((NDIS_STATUS)0xC023002F)
#define NDIS_STATUS_MEDIA_DISCONNECTED                                 ((NDIS_STATUS)0xC023001F)
#define NDIS_STATUS_UNSUPPORTED_REVISION                               ((NDIS_STATUS)0xC023002C)
#define NDIS_STATUS_INVALID_PORT                                       ((NDIS_STATUS)0xC023002D)
#define NDIS_STATUS_INVALID_PORT_STATE                                 ((NDIS_STATUS)0xC023002E)
#define NDIS_STATUS_UPLOAD_IN_PROGRESS                                 ((NDIS_STATUS)0xC0231001)
#define NDIS_STATUS_REQUEST_UPLOAD                                     ((NDIS_STATUS)0xC0231002)
#define NDIS_STATUS_UPLOAD_REQUESTED                                   ((NDIS_STATUS)0xC0231003)
#define NDIS_STATUS_OFFLOAD_TCP_ENTRIES                                ((NDIS_STATUS)0xC0231004)
#define NDIS_STATUS_OFFLOAD_PATH_ENTRIES                               ((NDIS_STATUS)0xC0231005)
#define NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES                           ((NDIS_STATUS)0xC0231006)
#define NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES                         ((NDIS_STATUS)0xC0231007)
#define NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES                         ((NDIS_STATUS)0xC0231008)
#define NDIS_STATUS_OFFLOAD_VLAN_ENTRIES                               ((NDIS_STATUS)0xC0231009)
#define NDIS_STATUS_OFFLOAD_TCP_XMIT_BUFFER                            ((NDIS_STATUS)0xC023100A)
#define NDIS_STATUS_OFFLOAD_TCP_RCV_BUFFER                             ((NDIS_STATUS)0xC023100B)
#define NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW                             ((NDIS_STATUS)0xC023100C)
#define NDIS_STATUS_OFFLOAD_VLAN_MISMATCH                              ((NDIS_STATUS)0xC023100D)
#define NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED                          ((NDIS_STATUS)0xC023100E)
#define NDIS_STATUS_OFFLOAD_POLICY                                     ((NDIS_STATUS)0xC023100F)
#define NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED                    ((NDIS_STATUS)0xC0231010)
#define NDIS_STATUS_OFFLOAD_REQUEST_RESET                              ((NDIS_STATUS)0xC0231011)
#define NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED                        ((NDIS_STATUS)0xC0231012)
#define STATUS_NDIS_OFFLOAD_PATH_REJECTED                              ((NDIS_STATUS)0xC0231013)
#define NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS                            ((NDIS_STATUS)0x40020004)
#define NDIS_STATUS_OFFLOAD_STATE_INVALID                              ((NDIS_STATUS)0x40020005)

/*
 * The published pages let a target refuse a path whose MTU it cannot serve with this status, but no
 * published header gives it a number. This one is ours, outside the range that the published values
 * use.
 */
#define NDIS_STATUS_OFFLOAD_PATH_MTU                                   ((NDIS_STATUS)0xC0231FFE)

/* Status indications: NDIS_STATUS_INDICATION.StatusCode */
#define NDIS_STATUS_OFFLOAD_PAUSE                                      ((NDIS_STATUS)0x40020001)
#define NDIS_STATUS_UPLOAD_ALL                                         ((NDIS_STATUS)0x40020002)
#define NDIS_STATUS_OFFLOAD_RESUME                                     ((NDIS_STATUS)0x40020003)
#define NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG                        ((NDIS_STATUS)0x40020006)
#define NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES                 ((NDIS_STATUS)0x40020007)
#define NDIS_STATUS_OFFLOAD_ENCASPULATION_CHANGE                       ((NDIS_STATUS)0x40020008)
#define NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES       ((NDIS_STATUS)0x4002000B)
#define NDIS_STATUS_OFFLOAD_IM_RESERVED1                               ((NDIS_STATUS)0x40020100)
#define NDIS_STATUS_OFFLOAD_IM_RESERVED2                               ((NDIS_STATUS)0x40020101)
#define NDIS_STATUS_OFFLOAD_IM_RESERVED3                               ((NDIS_STATUS)0x40020102)
#define NDIS_STATUS_LINK_STATE                                         ((NDIS_STATUS)0x40010017)
#define NDIS_STATUS_MEDIA_CONNECT                                      ((NDIS_STATUS)0x4001000B)
#define NDIS_STATUS_MEDIA_DISCONNECT                                   ((NDIS_STATUS)0x4001000C)

/* General */
#define NDIS_STATUS_INVALID_LENGTH                                     ((NDIS_STATUS)0xC0010014)
#define NDIS_STATUS_INVALID_DATA                                       ((NDIS_STATUS)0xC0010015)
#define NDIS_STATUS_BUFFER_TOO_SHORT                                   ((NDIS_STATUS)0xC0010016)
#define NDIS_STATUS_INVALID_OID                                        ((NDIS_STATUS)0xC0010017)
#define NDIS_STATUS_BUFFER_OVERFLOW                                    ((NDIS_STATUS)0x80000005)
#define NDIS_STATUS_CLOSING                                            ((NDIS_STATUS)0xC0010002)
#define NDIS_STATUS_BAD_VERSION                                        ((NDIS_STATUS)0xC0010004)
#define NDIS_STATUS_BAD_CHARACTERISTICS                                ((NDIS_STATUS)0xC0010005)
#define NDIS_STATUS_ADAPTER_NOT_FOUND                                  ((NDIS_STATUS)0xC0010006)
#define NDIS_STATUS_OPEN_FAILED                                        ((NDIS_STATUS)0xC0010007)
#define NDIS_STATUS_RESET_IN_PROGRESS                                  ((NDIS_STATUS)0xC001000D)
#define NDIS_STATUS_ADAPTER_NOT_READY                                  ((NDIS_STATUS)0xC0010011)
#define NDIS_STATUS_ADAPTER_REMOVED                                    ((NDIS_STATUS)0xC0010018)
#define NDIS_STATUS_NETWORK_UNREACHABLE                                ((NDIS_STATUS)0xC000023C)
#define NDIS_STATUS_INVALID_DEVICE_REQUEST                             ((NDIS_STATUS)0xC0000010)
#define NDIS_STATUS_INDICATION_REQUIRED                                ((NDIS_STATUS)0x40230001)
#define NDIS_STATUS_INTERFACE_NOT_FOUND                                ((NDIS_STATUS)0xC023002B)

#endif
