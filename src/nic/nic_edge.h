/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_edge.h - a nic as a loaded target sees it (include/chimney/nic.h).
 *
 *     nic_edge_create(&edge, nic, now_us)
 *     nrt_adapter_create(module's driver, { .add_device_context = nic_edge_device(edge) })
 *     loop: nic_edge_run(edge, now_us), sleep until nic_edge_deadline_us(edge)
 *
 * The nic must not merge frames on receive: the edge knows no super-frames.
 * Context:   the worker that owns the nic.
 */
#ifndef NIC_NIC_EDGE_H
#define NIC_NIC_EDGE_H

#include <stdint.h>

#include <chimney/nic.h>

#include "nic/nic.h"

struct nic_edge;

/* nic_edge_create() - 0 or -ENOMEM. Borrows the nic until nic_edge_destroy(), which leaves it open. */
int nic_edge_create(struct nic_edge **out, struct nic *nic, uint64_t now_us);
void nic_edge_destroy(struct nic_edge *edge);

/* nic_edge_device() - the MiniportAddDeviceContext; lives as long as the edge. */
struct chimney_nic *nic_edge_device(struct nic_edge *edge);

void nic_edge_set_now(struct nic_edge *edge, uint64_t now_us);
void nic_edge_run(struct nic_edge *edge, uint64_t now_us);
uint64_t nic_edge_deadline_us(const struct nic_edge *edge);

#endif
