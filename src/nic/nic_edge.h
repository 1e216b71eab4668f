/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_edge.h - a nic as a loaded target sees it (include/chimney/nic.h).
 *
 *     nic_edge_create(&edge, nic, now_us)
 *     nrt_adapter_create(module's driver, { .add_device_context = nic_edge_device(edge) })
 *     loop: nic_edge_run(edge, now_us), sleep until nic_edge_deadline_us(edge)
 *
 * The target gets frames as they are on a wire: super-frames are cut, checksums completed, tags that
 * the device took out are put back.
 * Context:   the worker that owns the nic.
 */
#ifndef NIC_NIC_EDGE_H
#define NIC_NIC_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include <chimney/nic.h>

#include "nic/nic.h"

struct nic_edge;

/* nic_edge_create() - 0 or -ENOMEM. Borrows the nic until nic_edge_destroy(), which leaves it open. */
int nic_edge_create(struct nic_edge **out, struct nic *nic, uint64_t now_us);
void nic_edge_destroy(struct nic_edge *edge);

/* A TCP connection as this host sees it; IPv4 uses the first 4 bytes of an address. */
struct nic_edge_flow {
	uint8_t local[16], remote[16];
	uint16_t local_port_be, remote_port_be;
	bool v6;
};

/*
 * nic_edge_expect() - the host is about to give this connection to the target, or to take it back:
 * what the target passes on of it is kept from now on, up to a limit. nic_edge_unexpect(): the
 * target gets to see what was kept once more; what it still does not want is the host's.
 * Returns: 0, -EEXIST or -ENOMEM.
 */
int nic_edge_expect(struct nic_edge *edge, const struct nic_edge_flow *flow);
void nic_edge_unexpect(struct nic_edge *edge, const struct nic_edge_flow *flow);

/* nic_edge_device() - the MiniportAddDeviceContext; lives as long as the edge. */
struct chimney_nic *nic_edge_device(struct nic_edge *edge);

void nic_edge_set_now(struct nic_edge *edge, uint64_t now_us);
void nic_edge_run(struct nic_edge *edge, uint64_t now_us);
uint64_t nic_edge_deadline_us(const struct nic_edge *edge);

#endif
