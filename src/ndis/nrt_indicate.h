/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_indicate.h - status indications of a miniport, and the plain path for frames that are not
 * offloaded.
 */
#ifndef NDIS_NRT_INDICATE_H
#define NDIS_NRT_INDICATE_H

#include "ndis/nrt_private.h"

/*
 * nrt_indicate_status() - NdisMIndicateStatusEx(): take over what concerns NDIS itself (new offload
 * capabilities, link), then tell every protocol that is bound. Borrows the indication.
 */
void nrt_indicate_status(struct nrt_adapter *adapter, const NDIS_STATUS_INDICATION *indication);

/*
 * Plain sends. A chain may hold lists of several protocols when it is completed; SourceHandle tells
 * whose each is.
 */
void nrt_plain_send(struct nrt_open *open, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
		    ULONG flags);
void nrt_plain_send_complete(struct nrt_adapter *adapter, NET_BUFFER_LIST *chain, ULONG flags);

/*
 * Plain receives. With several protocols bound, all but the last see the lists with
 * NDIS_RECEIVE_FLAGS_RESOURCES (they must copy), the last one gets them to keep until it returns
 * them.
 */
void nrt_plain_receive(struct nrt_adapter *adapter, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
		       ULONG count, ULONG flags);
void nrt_plain_return(struct nrt_open *open, NET_BUFFER_LIST *chain, ULONG flags);

#endif
