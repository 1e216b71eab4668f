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

/*
 * nrt_open_returned() - count lists came back from the protocol that the miniport had indicated to
 * it. A closing binding waits for them, and with it the halt of the miniport. The binding may be
 * gone afterwards.
 */
static inline void nrt_open_returned(struct nrt_open *open, size_t count)
{
	NRT_ASSERT_DRIVER(count <= open->indicated && "more lists returned than were indicated");
	open->indicated -= count <= open->indicated ? (unsigned int)count : open->indicated;
	if (open->closing)
		nrt_open_settle(open);
}

/*
 * A walk over the bindings of an adapter that calls drivers. Any of the bindings, the one in hand
 * included, may be closed meanwhile: the one in hand must not be looked at after a call. Walks
 * nest; while one is on the stack the adapter stays.
 *
 *     nrt_open_walk_begin(&walk, adapter);
 *     while ((open = nrt_open_walk_next(&walk)))
 *             ...
 *     nrt_open_walk_end(&walk);
 */
struct nrt_open_walk {
	struct nrt_adapter *adapter;
	struct nrt_open *next;
	struct nrt_open_walk *outer;
};

void nrt_open_walk_begin(struct nrt_open_walk *walk, struct nrt_adapter *adapter);
void nrt_open_walk_end(struct nrt_open_walk *walk);

static inline struct nrt_open *nrt_open_walk_next(struct nrt_open_walk *walk)
{
	struct nrt_open *open = walk->next;

	if (open)
		walk->next = open->next;
	return open;
}

void nrt_unbind_adapter(struct nrt_adapter *adapter); /* every protocol of it; may pend */
void nrt_unbind_all(struct nrt_driver *protocol);     /* every adapter of it; may pend */

#endif
