/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_module.h - drivers in shared objects: built against include/ only, with an ordinary
 * DriverEntry. They find the Ndis functions in the executable that loads them (ndis_exports in
 * src/ndis/meson.build).
 */
#ifndef NDIS_NRT_MODULE_H
#define NDIS_NRT_MODULE_H

#include <stddef.h>

#include <ndis/ndis.h>

struct nrt_module;

enum nrt_module_kind {
	NRT_MODULE_TARGET, /* a miniport driver */
	NRT_MODULE_IM,     /* an intermediate driver: two edges, associated */
};

/*
 * nrt_module_load() - load the object at path and call its DriverEntry.
 * Context:   PASSIVE_LEVEL. An object can be loaded once at a time.
 * Returns:   0 or -errno; then why says in a sentence what is wrong and what helps. -EMEDIUMTYPE:
 *            a driver of the other kind.
 */
int nrt_module_load(const char *path, enum nrt_module_kind kind, struct nrt_module **out, char *why,
		    size_t why_size) __attribute__((warn_unused_result));

/* nrt_module_miniport() - what nrt_adapter_create() takes. Never NULL. */
NDIS_HANDLE nrt_module_miniport(const struct nrt_module *module);

/* nrt_module_protocol() - what nrt_bind() takes. NULL: a target. */
NDIS_HANDLE nrt_module_protocol(const struct nrt_module *module);

/*
 * nrt_module_unload() - the driver's UnloadHandler, which deregisters it. The object stays mapped
 * when the driver has none: NDIS would still know functions in it. NULL is allowed.
 */
void nrt_module_unload(struct nrt_module *module);

/* nrt_module_registered() - NdisMRegisterMiniportDriver() was called with the loader's object. */
void nrt_module_registered(PDRIVER_OBJECT object, NDIS_HANDLE miniport,
			   MINIPORT_DRIVER_UNLOAD unload);

#endif
