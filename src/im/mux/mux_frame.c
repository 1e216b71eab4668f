/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_frame.c - Ethernet frames with TCP in them, as far as the team has to understand them: whose
 * segment it is, whether it came whole, and the segments that a super-frame consists of.
 */
#include "im/mux/mux_private.h"

#include <string.h>

#include "base/be.h"
#include "base/csum.h"

#define ETH_BYTES     14u
#define ETH_TAG_BYTES 4u
#define ETH_IP4       0x0800u
#define ETH_IP6       0x86ddu
#define ETH_VLAN      0x8100u
#define IP6_BYTES     40u
#define IP_TCP        6u
#define TCP_BYTES     20u
#define TCP_FIN_PSH   0x09u

/* The datagram's length as the header has it; a super-frame longer than that says 0. */
static void set_length(struct mux_frame *frame, uint32_t stated, uint32_t all)
{
	frame->len = stated ? frame->l3 + stated : all;
}

static bool parse_ip4(const UCHAR *head, uint32_t have, uint32_t all, struct mux_frame *frame)
{
	const UCHAR *ip = head + frame->l3;
	uint32_t header_bytes;

	if (have < frame->l3 + 20 || ip[0] >> 4 != 4)
		return false;
	header_bytes = (ip[0] & 15u) * 4;
	/* No fragment; the second one has no TCP header, the first one not the whole segment. */
	if (header_bytes < 20 || ip[9] != IP_TCP || (be_get16(ip + 6) & 0x3fff))
		return false;
	frame->l4 = frame->l3 + header_bytes;
	set_length(frame, be_get16(ip + 2), all);
	memcpy(frame->source_first.local, ip + 12, 4);
	memcpy(frame->source_first.remote, ip + 16, 4);
	return true;
}

static bool parse_ip6(const UCHAR *head, uint32_t have, uint32_t all, struct mux_frame *frame)
{
	const UCHAR *ip = head + frame->l3;

	if (have < frame->l3 + IP6_BYTES || ip[0] >> 4 != 6 || ip[6] != IP_TCP)
		return false;
	frame->source_first.v6 = true;
	frame->l4 = frame->l3 + IP6_BYTES;
	set_length(frame, be_get16(ip + 4) ? IP6_BYTES + be_get16(ip + 4) : 0, all);
	memcpy(frame->source_first.local, ip + 8, 16);
	memcpy(frame->source_first.remote, ip + 24, 16);
	return true;
}

bool mux_frame_parse(const UCHAR *head, uint32_t have, uint32_t all, struct mux_frame *frame)
{
	uint32_t type, header_bytes;
	bool whole;

	*frame = (struct mux_frame){ .l3 = ETH_BYTES };
	if (have < ETH_BYTES + ETH_TAG_BYTES)
		return false;
	type = be_get16(head + 12);
	if (type == ETH_VLAN) {
		frame->tagged = true;
		frame->vlan_id = be_get16(head + 14) & 0xfff;
		frame->l3 += ETH_TAG_BYTES;
		type = be_get16(head + 16);
	}
	whole = type == ETH_IP4 ? parse_ip4(head, have, all, frame)
				: type == ETH_IP6 && parse_ip6(head, have, all, frame);
	if (!whole || have < frame->l4 + TCP_BYTES)
		return false;
	header_bytes = (head[frame->l4 + 12] >> 4) * 4u;
	if (header_bytes < TCP_BYTES || frame->len > all || frame->len < frame->l4 + header_bytes)
		return false;
	frame->payload = frame->l4 + header_bytes;
	memcpy(&frame->source_port, head + frame->l4, sizeof(frame->source_port));
	memcpy(&frame->destination_port, head + frame->l4 + 2, sizeof(frame->destination_port));
	return frame->payload <= have;
}

static uint16_t tcp_checksum(const UCHAR *data, const struct mux_frame *frame, uint32_t len)
{
	const struct mux_addresses *addresses = &frame->source_first;
	uint32_t bytes = len - frame->l4;
	struct csum sum = { 0 };

	if (addresses->v6)
		csum_pseudo6(&sum, addresses->local, addresses->remote, IP_TCP, bytes);
	else
		csum_pseudo4(&sum, addresses->local, addresses->remote, IP_TCP, bytes);
	csum_add(&sum, data + frame->l4, bytes);
	return csum_final(&sum);
}

static uint16_t ip4_checksum(const UCHAR *data, const struct mux_frame *frame)
{
	struct csum sum = { 0 };

	csum_add(&sum, data + frame->l3, frame->l4 - frame->l3);
	return csum_final(&sum);
}

bool mux_frame_good(const UCHAR *data, const struct mux_frame *frame)
{
	if (!frame->source_first.v6 && ip4_checksum(data, frame) != 0)
		return false;
	return tcp_checksum(data, frame, frame->len) == 0;
}

static void write_ip(UCHAR *to, const struct mux_frame *frame, uint32_t len)
{
	UCHAR *ip = to + frame->l3;
	uint16_t sum;

	if (frame->source_first.v6) {
		be_put16(ip + 4, len - frame->l4);
		return;
	}
	be_put16(ip + 2, len - frame->l3);
	be_put16(ip + 10, 0);
	sum = ip4_checksum(to, frame);
	memcpy(ip + 10, &sum, sizeof(sum));
}

void mux_frame_cut(const UCHAR *data, const struct mux_frame *frame, uint32_t offset, uint32_t part,
		   UCHAR *to)
{
	uint32_t len = frame->payload + part;
	UCHAR *tcp = to + frame->l4;
	uint16_t sum;

	memcpy(to, data, frame->payload);
	memcpy(to + frame->payload, data + frame->payload + offset, part);
	be_put32(tcp + 4, be_get32(tcp + 4) + offset);
	if (frame->payload + offset + part < frame->len)
		tcp[13] &= (UCHAR)~TCP_FIN_PSH;
	write_ip(to, frame, len);
	be_put16(tcp + 16, 0);
	sum = tcp_checksum(to, frame, len);
	memcpy(tcp + 16, &sum, sizeof(sum));
}
