/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_offload.h - state operations: the calls down, the completions up, and event indications.
 * Called by nrt_ddi.c.
 */
#ifndef NDIS_NRT_OFFLOAD_H
#define NDIS_NRT_OFFLOAD_H

#include "ndis/nrt_private.h"

/*
 * nrt_offload_call() - hand a tree to the miniport below a binding.
 * Context:   worker that owns the adapter.
 * Ownership: takes the list until the protocol's completion handler gets it back, always: a call
 *            that does not reach the miniport is completed with failure from inside this function.
 * Refs:      NF:ndischimney.NdisInitiateOffload and its four siblings.
 */
void nrt_offload_call(struct nrt_open *open, enum nrt_op op,
		      NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list);

/*
 * nrt_offload_complete() - give a tree back to the driver it came from.
 * Context:   worker that owns the adapter. Completes list; the miniport must not touch it any more.
 * Refs:      NF:ndischimney.NdisMInitiateOffloadComplete and its four siblings.
 */
void nrt_offload_complete(struct nrt_adapter *adapter, enum nrt_op op,
			  NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list);

/*
 * nrt_offload_event() - NdisMOffloadEventIndicate: list is the miniport's, borrowed by the protocol
 * for the call; NULL for events that concern no object.
 */
void nrt_offload_event(struct nrt_adapter *adapter, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list,
		       ULONG code);

/*
 * nrt_offload_claim() - only one binding of an adapter uses its chimney. Makes open that binding
 * unless another one has switched connection offload on and not off again, or still has something
 * in the miniport.
 */
bool nrt_offload_claim(struct nrt_open *open);

/* nrt_offload_release() - open is going away. */
void nrt_offload_release(struct nrt_open *open);

#endif
