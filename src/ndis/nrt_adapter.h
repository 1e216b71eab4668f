/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_adapter.h - life of a miniport adapter. The wiring calls are in nrt.h; these are for the
 * runtime's own files. Context of all: PASSIVE_LEVEL, any thread.
 */
#ifndef NDIS_NRT_ADAPTER_H
#define NDIS_NRT_ADAPTER_H

#include "ndis/nrt_private.h"

/*
 * nrt_adapter_make() - nrt_adapter_create() with the context of an intermediate driver's virtual
 * miniport.
 */
int nrt_adapter_make(NDIS_HANDLE driver, const struct nrt_adapter_params *params, void *im_context,
		     struct nrt_adapter **out);

/* nrt_adapter_set_attributes() - NdisMSetMiniportAttributes(); copies what is kept. */
NDIS_STATUS nrt_adapter_set_attributes(struct nrt_adapter *adapter,
				       const NDIS_OBJECT_HEADER *attributes);

void nrt_adapter_pause_complete(struct nrt_adapter *adapter);
void nrt_adapter_restart_complete(struct nrt_adapter *adapter, NDIS_STATUS status);

/*
 * nrt_adapter_hold(), nrt_adapter_let_go() - around calls into drivers during which the adapter
 * must not go.
 */
void nrt_adapter_hold(struct nrt_adapter *adapter);
void nrt_adapter_let_go(struct nrt_adapter *adapter);

/* nrt_for_each_adapter() - fn may unbind, but not make or destroy adapters. */
void nrt_for_each_adapter(void (*fn)(struct nrt_adapter *adapter, void *ctx), void *ctx);

/*
 * nrt_adapter_able() - chimney functions are registered and the miniport reported a fitting
 * encapsulation.
 */
bool nrt_adapter_able(const struct nrt_adapter *adapter);

/*
 * nrt_copy_connection_offload() - take a capabilities structure of any revision. Returns: whether
 * it is one.
 */
bool nrt_copy_connection_offload(NDIS_TCP_CONNECTION_OFFLOAD *to,
				 const NDIS_TCP_CONNECTION_OFFLOAD *from, size_t size_bytes);

#endif
