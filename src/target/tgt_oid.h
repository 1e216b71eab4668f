/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_oid.h - requests, keywords, capabilities and status indications of an adapter.
 *
 * Two OIDs govern connection offload: OID_TCP_OFFLOAD_PARAMETERS (administrator) changes what is
 * offered, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS (host stack) what is used, and in which units.
 *
 * Context:   worker that owns the adapter.
 */
#ifndef TARGET_TGT_OID_H
#define TARGET_TGT_OID_H

#include "target/tgt_priv.h"

void tgt_params_default(struct tgt_params *params);

/* tgt_oid_request() - MiniportOidRequest. */
NDIS_STATUS tgt_oid_request(struct tgt_adapter *a, NDIS_OID_REQUEST *request);

/*
 * tgt_keywords_read() - *TCPConnectionOffloadIPv4, *TCPConnectionOffloadIPv6, *PriorityVLANTag,
 * VlanId and SendBacklog; a keyword that is not set has its default.
 */
NDIS_STATUS tgt_keywords_read(struct tgt_adapter *a);

/* tgt_capabilities() - all that the target can do, or what is switched on now. */
void tgt_capabilities(const struct tgt_adapter *a, bool hardware, NDIS_TCP_CONNECTION_OFFLOAD *to);

/*
 * tgt_status_run() (up) - status indications that are due; ends an upload of everything when
 * nothing is left.
 */
void tgt_status_run(struct tgt_adapter *a);
bool tgt_status_waiting(const struct tgt_adapter *a);

#endif
