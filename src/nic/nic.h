/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic.h - packet I/O as the engine sees it: whole Ethernet frames in, whole Ethernet frames out.
 *
 * The engine calls these functions and nothing else that touches a device. Who implements them
 * includes nic_provider.h. A frame may be a super-frame (segmentation offload): then gso_type and
 * gso_size are set and the device, or the receiving kernel, cuts it.
 */
#ifndef NIC_NIC_H
#define NIC_NIC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct nic;

enum nic_gso {
	NIC_GSO_NONE,
	NIC_GSO_TCP4,
	NIC_GSO_TCP6,
};

/* What a device can do; the engine builds frames accordingly. */
enum nic_feature {
	NIC_FEAT_TX_CSUM = 1u << 0, /* completes a partial TCP checksum */
	NIC_FEAT_TSO4 = 1u << 1,    /* takes IPv4 super-frames */
	NIC_FEAT_TSO6 = 1u << 2,    /* takes IPv6 super-frames */
	NIC_FEAT_RX_CSUM =
		1u << 3, /* says of received frames whether their checksum was verified */
};

/*
 * One received frame. The bytes belong to the nic and are valid until the receive callback returns.
 */
struct nic_rx_frame {
	const uint8_t *data; /* starts with the Ethernet header */
	uint32_t len;        /* bytes at data */
	enum nic_gso gso_type;
	uint16_t gso_size; /* payload bytes a segment when gso_type is set */
	bool csum_trusted; /* checksum verified, or still partial because the frame never left this machine */
	bool vlan_present; /* the tag was taken out of the frame by the device; vlan_tci holds it */
	uint16_t vlan_tci; /* host order: PCP(3) CFI(1) VID(12) */
};

/*
 * One frame to send. iov[0] starts with the Ethernet header and holds all headers up to the TCP
 * payload.
 */
struct nic_tx_frame {
	const struct iovec *iov; /* borrowed until nic_send() returns */
	unsigned int iov_count;
	uint32_t len;     /* sum of the iov lengths */
	uint16_t hdr_len; /* Ethernet + IP + TCP header bytes */
	enum nic_gso gso_type;
	uint16_t gso_size;
	bool csum_partial; /* TCP checksum field holds the pseudo-header sum; the device completes it */
	uint16_t csum_start; /* offset of the TCP header in the frame */
};

struct nic_info {
	uint8_t mac[6];
	uint32_t mtu_bytes;       /* IP MTU of the link */
	uint32_t max_frame_bytes; /* largest super-frame taken or given */
	uint32_t features;        /* enum nic_feature */
	const char *kind;         /* "tap", "sim", ... for messages */
};

struct nic_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_drops, tx_drops;
	uint64_t indicated_frames, indicated_bytes; /* given to the host's own stack */
};

/*
 * nic_rx_fn - called by nic_poll() for each received frame, in the order of arrival.
 * Context:   worker that owns the nic. Must not call nic_poll().
 */
typedef void nic_rx_fn(void *ctx, const struct nic_rx_frame *frame);

const struct nic_info *nic_info(const struct nic *nic);
void nic_stats(const struct nic *nic, struct nic_stats *out);

/* nic_set_rx() - who gets received frames. One receiver a nic; NULL fn drops (and counts) them. */
void nic_set_rx(struct nic *nic, nic_rx_fn *fn, void *ctx);

/*
 * nic_send() - send frames.
 * Context:   worker that owns the nic.
 * Ownership: borrows everything; the bytes are copied or gone to the device when it returns.
 * Returns:   number of leading frames taken (0..count); fewer than count means the device is full
 *            now, the rest may be tried again after the next poll.
 */
unsigned int nic_send(struct nic *nic, const struct nic_tx_frame *frames, unsigned int count);

/*
 * nic_indicate() - give a frame that is not for the engine to the host's own stack (non-offload
 * receive path).
 * Context:   worker that owns the nic. Borrows the frame.
 * Returns:   0, or -errno when the host's stack cannot be reached (counted as rx drop).
 */
int nic_indicate(struct nic *nic, const struct nic_rx_frame *frame);

/*
 * nic_poll() - receive up to budget frames and hand them to the receiver.
 * Returns:   number of frames received; budget means that more may wait.
 */
unsigned int nic_poll(struct nic *nic, unsigned int budget);

/* nic_fd() - descriptor that becomes readable when frames wait, or -1 (simulated devices). */
int nic_fd(const struct nic *nic);

void nic_close(struct nic *nic);

#endif
