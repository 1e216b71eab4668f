/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_driver.h - registration of drivers. Called by nrt_ddi.c; PASSIVE_LEVEL, any thread.
 */
#ifndef NDIS_NRT_DRIVER_H
#define NDIS_NRT_DRIVER_H

#include "ndis/nrt_private.h"

/*
 * nrt_register_miniport(), nrt_register_protocol() - SetOptions of the driver runs inside; when it
 * fails nothing is registered and its status is returned.
 * Ownership: the characteristics are copied.
 * Returns:   NDIS_STATUS_SUCCESS and the driver handle, BAD_CHARACTERISTICS, RESOURCES, or what
 *            SetOptions said.
 */
NDIS_STATUS nrt_register_miniport(NDIS_HANDLE context,
				  const NDIS_MINIPORT_DRIVER_CHARACTERISTICS *given,
				  NDIS_HANDLE *out);
NDIS_STATUS nrt_register_protocol(NDIS_HANDLE context,
				  const NDIS_PROTOCOL_DRIVER_CHARACTERISTICS *given,
				  NDIS_HANDLE *out);

/*
 * nrt_deregister() - kind: what the handle must be. The driver must have no adapters or bindings
 * left.
 */
void nrt_deregister(NDIS_HANDLE handle, enum nrt_magic kind);

/*
 * nrt_for_each_protocol() - call fn for every protocol driver. Returns: the sum of what fn
 * returned.
 */
unsigned int nrt_for_each_protocol(unsigned int (*fn)(struct nrt_driver *driver, void *ctx),
				   void *ctx);

/*
 * nrt_set_optional_handlers() - record one set of chimney functions for a driver or, client sets,
 * for a binding.
 * Ownership: copied.
 * Returns:   SUCCESS, RESOURCES, BAD_VERSION (too short) or BAD_CHARACTERISTICS (unknown, of the
 *            other kind of driver, or not complete).
 */
NDIS_STATUS nrt_set_optional_handlers(NDIS_HANDLE handle, const NDIS_OBJECT_HEADER *given);

/* nrt_driver_label_miniport() - name a miniport driver after its first adapter, for messages. */
void nrt_driver_label_miniport(struct nrt_driver *driver, const char *adapter_name);

/* nrt_driver_known() - whether a pointer that may be old is a driver that is registered now. */
bool nrt_driver_known(const struct nrt_driver *driver);

/* nrt_driver_is_im() - a miniport driver says so of itself: NDIS_INTERMEDIATE_DRIVER. */
bool nrt_driver_is_im(const struct nrt_driver *miniport);

/* nrt_driver_other_edge() - the protocol edge that a miniport edge belongs to; NULL: none. */
struct nrt_driver *nrt_driver_other_edge(const struct nrt_driver *miniport);

/* nrt_driver_associate() - the two are the edges of one intermediate driver. */
void nrt_driver_associate(struct nrt_driver *miniport, struct nrt_driver *protocol);

void nrt_chimney_clear(struct nrt_chimney *chimney);

#endif
