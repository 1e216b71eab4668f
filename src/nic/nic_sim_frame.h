/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_sim_frame.h - what the simulated network knows of TCP/IP: reading headers, completing
 * checksums, cutting super-frames to the MTU and merging segments back. Written apart from
 * base/csum and from the engine's own frame code on purpose: a mistake there is not repeated here.
 */
#ifndef NIC_NIC_SIM_FRAME_H
#define NIC_NIC_SIM_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "nic/nic_sim_net.h"

enum {
	NIC_SIM_FIN = 0x01,
	NIC_SIM_SYN = 0x02,
	NIC_SIM_RST = 0x04,
	NIC_SIM_PSH = 0x08,
	NIC_SIM_ACK = 0x10,
	NIC_SIM_URG = 0x20,
	NIC_SIM_ECE = 0x40,
	NIC_SIM_CWR = 0x80,
};

/* A TCP segment seen in a frame. Numbers in host order; pointers into the frame. */
struct nic_sim_view {
	uint8_t ip_version;       /* 4 or 6 */
	uint16_t l3, l4, payload; /* offsets from the start of the frame */
	uint32_t payload_len;
	const uint8_t *src, *dst; /* 4 or 16 bytes each */
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint16_t window; /* unscaled */
	uint8_t flags;
	bool has_ts;
	uint32_t ts_val, ts_ecr;
};

/*
 * nic_sim_view() - false for everything that is not an unfragmented TCP segment with sound lengths.
 */
bool nic_sim_view(const uint8_t *frame, uint32_t len, struct nic_sim_view *view);

/* nic_sim_l2_bytes() - bytes of the Ethernet header, a VLAN tag included. */
uint32_t nic_sim_l2_bytes(const struct nic_sim_packet *packet);

/* nic_sim_csum_ok() - whether the checksums of IP header and TCP segment hold. */
bool nic_sim_csum_ok(const uint8_t *frame, const struct nic_sim_view *view);

/* nic_sim_csum_fill() - compute both. */
void nic_sim_csum_fill(uint8_t *frame, const struct nic_sim_view *view);

/*
 * nic_sim_mark_ce() - set congestion experienced in an ECN-capable packet; false if it is not one.
 */
bool nic_sim_mark_ce(struct nic_sim_packet *packet);

/*
 * nic_sim_cut() - cut a super-frame as a device with segmentation offload does.
 * Returns: a list of packets with full checksums, whole segments of gso_size bytes but for the
 *          last; NULL when the frame is not TCP or memory is short.
 */
struct nic_sim_packet *nic_sim_cut(struct nic_sim_net *net, const uint8_t *frame, uint32_t len,
				   uint16_t gso_size);

/*
 * nic_sim_merge() - append the segment in next to the one in packet when the two follow each other
 * in one flow.
 * Ownership: on success takes both and returns their union; otherwise returns NULL and takes
 *            neither. The TCP checksum of the union is not computed: the endpoint says that it is
 *            to be trusted.
 * max_len:   largest frame that may result.
 */
struct nic_sim_packet *nic_sim_merge(struct nic_sim_net *net, struct nic_sim_packet *packet,
				     struct nic_sim_packet *next, uint32_t max_len);

#endif
