/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_tap - a TAP device with virtio-net headers as packet I/O of the engine.
 *
 * What steering forwards to the TAP is received here, as super-frames with partial checksums where
 * the kernel has them so. What is sent leaves through the interface, by steering's second rule.
 * A frame whose destination is our own MAC goes to the kernel's own stack: nic_indicate().
 *
 * The device lives as long as a descriptor of it: whoever must outlive the worker keeps a dup of
 * nic_fd() and goes on with nic_tap_adopt(). MAC, MTU, queue length and "up" are set by steering;
 * this room only repeats them in nic_info().
 */
#ifndef NIC_NIC_TAP_H
#define NIC_NIC_TAP_H

#include <stddef.h>

#include "nic/nic.h"

struct nic_tap_config {
	const char *ifname; /* wanted name, "%d" allowed; at most 15 characters */
	uint8_t mac[6];     /* MAC of the interface that is offloaded */
	uint32_t mtu_bytes; /* and its MTU */
};

/*
 * nic_tap_open() - makes the device in the caller's network namespace.
 * Context: any thread; needs CAP_NET_ADMIN there and access to /dev/net/tun.
 * Returns: 0, or -errno with one line of reason in why.
 */
int nic_tap_open(struct nic **out, const struct nic_tap_config *config, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/* nic_tap_adopt() - goes on with a device that was opened elsewhere. Takes fd, also on error. */
int nic_tap_adopt(struct nic **out, int fd, const struct nic_tap_config *config)
	__attribute__((warn_unused_result));

/* nic_tap_ifname() - its real name; borrowed. */
const char *nic_tap_ifname(const struct nic *nic);

/* nic_tap_set_mtu() - what nic_info() says from now on. */
void nic_tap_set_mtu(struct nic *nic, uint32_t mtu_bytes);

/*
 * nic_tap_inject() - what nic_indicate() does: the kernel's own stack receives the frame.
 * A frame for another MAC is refused (-EINVAL): it would be sent out instead. Frames of a VLAN have
 * no way back through the TAP (-EOPNOTSUPP).
 */
int nic_tap_inject(struct nic *nic, const struct nic_rx_frame *frame)
	__attribute__((warn_unused_result));

#endif
