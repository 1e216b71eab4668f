/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_plain.h - the plain send path of the miniport: whole frames of a host that has no other way
 * out.
 *
 * Frames leave within the call and complete before it returns, as a miniport may do: the one
 * exception to the rule that a call from above never calls up. A frame that the device does not
 * take now completes with NDIS_STATUS_RESOURCES.
 */
#ifndef TARGET_TGT_PLAIN_H
#define TARGET_TGT_PLAIN_H

#include <ndis/ndis.h>

/* MiniportSendNetBufferLists. */
void tgt_plain_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
		    ULONG flags);

#endif
