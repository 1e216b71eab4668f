/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_binding.h - bindings between protocol drivers and adapters. The wiring calls are in nrt.h.
 * PASSIVE_LEVEL.
 */
#ifndef NDIS_NRT_BINDING_H
#define NDIS_NRT_BINDING_H

#include "ndis/nrt_private.h"

/* The calls of a driver, from nrt_ddi.c. */
NDIS_STATUS nrt_open_adapter(NDIS_HANDLE driver, NDIS_HANDLE protocol_context,
			     const NDIS_OPEN_PARAMETERS *params, NDIS_HANDLE bind_context,
			     NDIS_HANDLE *out);
NDIS_STATUS nrt_close_adapter(struct nrt_open *open);
void nrt_bind_complete(NDIS_HANDLE bind_context, NDIS_STATUS status);
void nrt_unbind_complete(NDIS_HANDLE unbind_context);

/* nrt_open_update() - functions were registered: work out again what the binding can do. */
void nrt_open_update(struct nrt_open *open);

/*
 * nrt_open_settle() - something that kept a closing binding open is over. The binding may be gone
 * afterwards.
 */
void nrt_open_settle(struct nrt_open *open);

void nrt_unbind_adapter(struct nrt_adapter *adapter); /* every protocol of it; may pend */
void nrt_unbind_all(struct nrt_driver *protocol);     /* every adapter of it; may pend */

#endif
