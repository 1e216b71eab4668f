/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_pair.h - two nics joined by memory: what one sends, the other polls. No wire, no time, no
 * loss, no system call; what remains is the cost of the engine. For measurements and for two
 * engines in one program.
 *
 * Frames are copied once, into buffers that both directions share; the buffer freed last is used
 * first, so that the working set is what is in flight and not what could be. Checksums are neither
 * made nor looked at, as the memory is trusted, unless the engines are told to do that themselves.
 *
 * Context: one thread for both ends.
 */
#ifndef NIC_NIC_PAIR_H
#define NIC_NIC_PAIR_H

#include "nic/nic.h"

struct nic_pair_config {
	uint32_t mtu_bytes;
	bool tso;              /* frames up to 64 KiB travel uncut */
	bool no_csum;          /* checksums are left to the engines, both ways */
	uint32_t queue_frames; /* that fit in each direction; a power of 2 */
	uint8_t mac[2][6];
};

/*
 * nic_pair_create() - both ends.
 * Returns: 0; -EINVAL queue_frames is no power of 2; -ENOMEM. The memory goes with the second
 *          nic_close().
 */
int nic_pair_create(struct nic *out[2], const struct nic_pair_config *config);

#endif
