/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passthru.h - the smallest correct intermediate driver: it passes everything on and changes
 * nothing.
 *
 * It is meant to be read by people who write an intermediate driver of their own. Start with
 * pt_private.h (the objects), then pt_offload.c (state operations, the difficult part), pt_io.c
 * (data), pt_driver.c (the two edges and their lives), pt_plain.c (everything that is not chimney).
 *
 * To put it into a stack:
 *
 *     passthru_driver_register();
 *     passthru_insert("tgt0", "pt0");        // host protocol -> pt0 -> tgt0
 *     nrt_bind(host_protocol, "pt0");
 *
 * Several virtual miniports may stand on one adapter, and a virtual miniport may stand on another
 * one.
 * Context:   of all: PASSIVE_LEVEL; the thread that inserts owns the virtual miniport
 *            (nrt_adapter_own() moves it).
 */
#ifndef IM_PASSTHRU_H
#define IM_PASSTHRU_H

/*
 * passthru_driver_register() - both edges.
 * Returns:   0; -EALREADY; else the errno of what NDIS said.
 */
int passthru_driver_register(void) __attribute__((warn_unused_result));

/* passthru_driver_deregister() - every virtual miniport must be gone. */
void passthru_driver_deregister(void);

/*
 * passthru_insert() - a virtual miniport called name above the adapter called below.
 * Returns:   0; -ENOENT no such adapter below; -EEXIST name in use; -ENOMEM; else the errno of what
 *            NDIS said.
 */
int passthru_insert(const char *below, const char *name) __attribute__((warn_unused_result));

/*
 * passthru_remove() - take a virtual miniport out. What is bound to it is unbound; with the last
 * one above an adapter the binding to that adapter ends too.
 * Returns:   0 when it is gone; -ENOENT; -EINPROGRESS when something above pends (nrt_pump() goes
 *            on with it).
 */
int passthru_remove(const char *name);

#endif
