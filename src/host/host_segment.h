/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_segment.h - TCP segments that the host reads or makes itself.
 *
 * What TCP_REPAIR cannot restore is replayed: the peer's FIN, its acknowledgment of ours, its
 * RST. The kernel receives them as frames (nic_indicate) once the socket is out of repair mode,
 * and acts on them as it did, or would have done, when the peer sent them.
 */
#ifndef HOST_HOST_SEGMENT_H
#define HOST_HOST_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/seq.h"
#include "host/host_image.h"
#include "host/host_repair.h"
#include "nic/nic.h"
#include "steer/steer.h"

enum {
	HOST_TH_FIN = 0x01,
	HOST_TH_RST = 0x04,
	HOST_TH_ACK = 0x10,
};

#define HOST_SEGMENT_MAX 74u /* Ethernet + IPv6 + TCP header without options */

struct host_segment {
	tcp_seq seq, ack;
	uint8_t flags;
	uint16_t wnd_raw;
};

/*
 * host_segment_build() - a frame from the peer to us: flow as this host sees it, mac_to ours.
 * Returns:   its length, at most HOST_SEGMENT_MAX.
 */
uint32_t host_segment_build(uint8_t frame[HOST_SEGMENT_MAX], const struct steer_flow *flow,
			    const uint8_t mac_to[6], const uint8_t mac_from[6],
			    const struct host_segment *seg);

/*
 * host_segment_parse() - the flow of a received frame (remote is its sender).
 * Returns:   offset of the TCP header; 0 when it is not an unfragmented TCP segment with a whole
 *            header.
 */
uint32_t host_segment_parse(const uint8_t *frame, uint32_t len, struct steer_flow *flow);

/*
 * host_segment_replay() - bring a released socket into image->state: the peer's FIN, the
 * acknowledgment of ours. Sends our own FIN where it had to wait for that (LAST_ACK). Waits for
 * the kernel to have taken each frame, for HOST_REPLAY_MS at most. mac_from is anything but our
 * own.
 * Returns:   0 when the socket is in the state wanted; -ETIMEDOUT when the kernel did not take it.
 */
#define HOST_REPLAY_MS 200
int host_segment_replay(struct nic *nic, struct host_socket *sock, const struct steer_flow *flow,
			const uint8_t mac_from[6], const struct host_image *image)
	__attribute__((warn_unused_result));

/*
 * host_segment_reset() - the peer's RST: the socket fails with ECONNRESET. Returns as
 * host_segment_replay().
 */
int host_segment_reset(struct nic *nic, const struct host_socket *sock,
		       const struct steer_flow *flow, const uint8_t mac_from[6],
		       const struct host_image *image) __attribute__((warn_unused_result));

/*
 * host_segment_flow() - the connection of a socket as its packets show it: IPv4 for a mapped
 * address.
 */
void host_segment_flow(const struct host_socket *sock, struct steer_flow *flow);

#endif
