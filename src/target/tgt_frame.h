/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_frame.h - between bytes on the wire and struct tgt_segment / struct tgt_xmit.
 *
 * Parsing decides only from the frame itself whether it is a TCP segment that an engine may see;
 * whose it is and what happens to it is tgt_receive.c. Building takes the TCP header from the
 * connection, the IP header from its path and the Ethernet header from that path's neighbor.
 */
#ifndef TARGET_TGT_FRAME_H
#define TARGET_TGT_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "nic/nic.h"
#include "target/tgt_conn.h"
#include "target/tgt_flow.h"

/* Ethernet with tag, IPv6, TCP with all options */
#define TGT_HEADERS_MAX (18u + 40u + 60u)

enum tgt_frame_kind {
	TGT_FRAME_SEGMENT, /* a TCP segment without anything special around it */
	TGT_FRAME_OTHER, /* ARP, ICMP, UDP, fragment, IP options, extension headers: for the host */
	TGT_FRAME_TRUNCATED, /* sound headers, but the frame ends before the datagram does */
	TGT_FRAME_CORRUPT_IP,
	TGT_FRAME_CORRUPT_TCP, /* header length impossible or checksum wrong */
};

struct tgt_parsed {
	struct tgt_tuple tuple; /* valid for SEGMENT, TRUNCATED, CORRUPT_TCP when has_tuple */
	struct tgt_segment seg; /* valid for SEGMENT; points into the frame */
	const uint8_t *dst_mac;
	uint32_t datagram_bytes; /* IP header and payload, also of a whole super-frame */
	uint32_t header_bytes;   /* IP and TCP headers */
	uint32_t datagrams;      /* 1, or segments of the super-frame */
	bool has_tuple;
	bool v6;
	bool tagged; /* VLAN tag present, in the frame or beside it */
	uint16_t vlan_tci;
};

/*
 * tgt_frame_parse() - take a received frame apart.
 * Ownership: borrows the frame; parsed refers to its bytes.
 * Refs:      RFC 791 3.1, RFC 8200 3, RFC 9293 3.1, IEEE 802.1Q.
 */
enum tgt_frame_kind tgt_frame_parse(const struct nic_rx_frame *frame, struct tgt_parsed *parsed);

/*
 * tgt_frame_parse_tcp() - the same from the TCP header on (a forwarded segment, FWD-02): tcp_bytes
 * at tcp.
 * Returns:   false when the header does not fit.
 */
bool tgt_frame_parse_tcp(const uint8_t *tcp, uint32_t tcp_bytes, struct tgt_segment *seg);

#endif
