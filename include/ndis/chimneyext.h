/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chimneyext.h - what this project adds to the published interface. None of it is Microsoft's.
 *
 * A driver that knows nothing of it is not affected: the host asks first, with an OID that such a
 * driver refuses as it refuses every OID that it does not know, and uses nothing that was not
 * offered.
 */
#ifndef NDIS_CHIMNEYEXT_H
#define NDIS_CHIMNEYEXT_H

/*
 * OID_CHIMNEY_EXTENSIONS - query, ULONG: CHIMNEY_EXT_ bits that the target offers for connections.
 * The number lies in the range for vendors. Intermediate drivers pass it on.
 */
#define OID_CHIMNEY_EXTENSIONS 0xFF434801u

/*
 * ECN (RFC 3168). The host sets the flag in TCP_OFFLOAD_STATE_CONST.Flags when the handshake agreed
 * to ECN; the target then marks what it sends and echoes what the network marked.
 */
#define CHIMNEY_EXT_ECN      0x00000001u
#define TCP_FLAG_ECN_ENABLED 0x8000

/*
 * Cork. With the flag in TCP_OFFLOAD_STATE_CACHED.Flags a segment below the MSS waits for more data,
 * for the flag to be cleared by an update, or for 200 ms, whatever TCP_FLAG_NAGLING_ENABLED says.
 */
#define CHIMNEY_EXT_CORK      0x00000002u
#define TCP_FLAG_CORK_ENABLED 0x8000

#endif
