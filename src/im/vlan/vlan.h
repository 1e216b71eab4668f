/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan.h - virtual adapters for single VLANs above one adapter, with connection offload.
 *
 *     vlan_driver_register();
 *     vlan_insert("vlan100", "tgt0", 100, 3);     // VLAN 100, priority 3
 *     nrt_bind(host_protocol, "vlan100");
 *
 * What goes down is put into the VLAN: the neighbors of offloaded connections, their priority,
 * plain frames. What comes up is of that VLAN only, without its tag. VLAN 0 is the adapter for
 * frames without VLAN; with a priority it sends priority tags.
 *
 * Read vlan_private.h first (the objects), then vlan_offload.c (what is written into which block,
 * and what is refused), then vlan_plain.c (tags of plain frames).
 *
 * Context of all: PASSIVE_LEVEL; the thread that inserts owns the virtual miniport.
 */
#ifndef IM_VLAN_H
#define IM_VLAN_H

#include <stdint.h>

#define VLAN_ID_MAX       4094u
#define VLAN_PRIORITY_MAX 7u

/* vlan_driver_register() - both edges. Returns: 0; -EALREADY; else the errno of what NDIS said. */
int vlan_driver_register(void) __attribute__((warn_unused_result));

/* vlan_driver_deregister() - every virtual adapter must be gone. */
void vlan_driver_deregister(void);

/*
 * vlan_insert() - a virtual adapter called name for one VLAN of the adapter called lower. priority
 * 0: the drivers above choose it; any other one holds for everything that is sent.
 * Returns: 0; -EINVAL not registered, or id or priority out of range; -ENOENT no such adapter;
 * -EEXIST the name, or the VLAN of that adapter, is in use; -ENOMEM; else the errno of what NDIS
 * said.
 */
int vlan_insert(const char *name, const char *lower, uint16_t id, uint8_t priority)
	__attribute__((warn_unused_result));

/*
 * vlan_remove() - take a virtual adapter out; what is bound to it is unbound. With the last one the
 * binding to the adapter below ends. Returns: 0 when it is gone; -ENOENT; -EINPROGRESS when
 * something above pends (nrt_pump() goes on with it).
 */
int vlan_remove(const char *name);

struct vlan_info {
	uint16_t id;
	uint8_t priority;
	unsigned int objects; /* neighbors, paths and connections that are offloaded through it */
	uint64_t refused;     /* blocks and frames from above that named another VLAN */
	uint64_t unmatched;   /* received frames of VLANs that nobody has, of the adapter below */
	uint64_t unheld;      /* received frames dropped because their tag could not be removed */
};

/* vlan_info() - what can be seen from outside. Returns: 0 or -ENOENT. */
int vlan_info(const char *name, struct vlan_info *info);

#endif
