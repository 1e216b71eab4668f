/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_oid.h - OID requests: of protocols to the miniport below, of the administrator, of NDIS
 * itself.
 */
#ifndef NDIS_NRT_OID_H
#define NDIS_NRT_OID_H

#include "ndis/nrt_private.h"

/*
 * nrt_oid_request() - NdisOidRequest().
 * Ownership: borrows request until it returns something else than NDIS_STATUS_PENDING, or until the
 *            protocol's completion handler.
 */
NDIS_STATUS nrt_oid_request(struct nrt_open *open, NDIS_OID_REQUEST *request);

/* nrt_oid_complete() - NdisMOidRequestComplete(). */
void nrt_oid_complete(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request, NDIS_STATUS status);

/* nrt_pnp_event_complete() - NdisCompleteNetPnPEvent(). */
void nrt_pnp_event_complete(struct nrt_open *open, NET_PNP_EVENT_NOTIFICATION *notification,
			    NDIS_STATUS status);

#endif
