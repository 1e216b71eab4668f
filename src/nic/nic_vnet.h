/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_vnet - our words for checksum and segmentation offload into those of the kernel's virtio-net
 * header, and back. For backends whose descriptor speaks it (TAP, packet socket); room-private.
 */
#ifndef NIC_NIC_VNET_H
#define NIC_NIC_VNET_H

#include <linux/virtio_net.h>

#include "nic/nic.h"

#define NIC_VNET_MAX_FRAME_BYTES (14u + 4u + 65535u)

/* nic_vnet_tx() - header for a frame of the engine; -EINVAL when the kernel could not take it. */
int nic_vnet_tx(const struct nic_tx_frame *frame, struct virtio_net_hdr *vh);

/*
 * nic_vnet_inject() - header for a received frame on its way to the kernel's own stack; own_mac is
 * the interface's. Returns 0, -EINVAL: for another MAC, or no TCP super-frame; -EOPNOTSUPP: VLAN.
 */
int nic_vnet_inject(const struct nic_rx_frame *frame, const uint8_t own_mac[6],
		    struct virtio_net_hdr *vh);

/* nic_vnet_rx() - fills in gso and checksum of a received frame; false for unknown super-frames. */
bool nic_vnet_rx(const struct virtio_net_hdr *vh, struct nic_rx_frame *frame);

#endif
