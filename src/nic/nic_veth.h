/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_veth - packet I/O where /dev/net/tun is not allowed: a veth pair instead of a TAP.
 *
 * The near end takes the TAP's place for steering (steer_config.tap); the far end, in the same
 * namespace but with a MAC that nobody addresses, belongs to a packet socket. What is forwarded to
 * the near end is received there from a memory-mapped ring, super-frames included; what the socket
 * sends arrives on the near end, where steering's rules apply as to a frame written to a TAP.
 *
 * Unlike a TAP the pair does not vanish with its descriptor, only with its network namespace or by
 * nic_close(): use it in namespaces of our own. Needs CAP_NET_ADMIN and CAP_NET_RAW there.
 */
#ifndef NIC_NIC_VETH_H
#define NIC_NIC_VETH_H

#include "nic/nic_tap.h" /* struct nic_tap_config: the same */

/* nic_veth_open() - makes the pair. 0, or -errno with one line of reason in why. */
int nic_veth_open(struct nic **out, const struct nic_tap_config *config, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/*
 * nic_tap_or_veth_open() - a TAP; where there is none to be had, a veth pair. ifname receives the
 * name to steer to. kind of nic_info() says which it became; when both fail, why has both reasons.
 */
int nic_tap_or_veth_open(struct nic **out, const struct nic_tap_config *config, char ifname[16],
			 char *why, size_t why_size) __attribute__((warn_unused_result));

/*
 * nic_tap_or_veth_adopt() - goes on with what another process opened and then died, by a dup of its
 * nic_fd(). Takes fd, also on error. Frames that waited in the ring of a veth pair are lost, as on
 * a wire. -EBUSY: the other process still has the ring.
 */
int nic_tap_or_veth_adopt(struct nic **out, int fd, const struct nic_tap_config *config,
			  char ifname[16]) __attribute__((warn_unused_result));

/* nic_veth_ifname() - name of the near end; borrowed. */
const char *nic_veth_ifname(const struct nic *nic);

/* nic_veth_set_mtu() - of the far end, and what nic_info() says; the near end is steering's. */
int nic_veth_set_mtu(struct nic *nic, uint32_t mtu_bytes) __attribute__((warn_unused_result));

#endif
