/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_sim_frame.h"

#include <string.h>

enum {
	ETH_BYTES = 14,
	VLAN_BYTES = 4,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	PROTO_TCP = 6,
	IP4_BYTES = 20,
	IP6_BYTES = 40,
	TCP_BYTES = 20,
	OPT_TIMESTAMP = 8,
	OPT_TIMESTAMP_BYTES = 10,
};

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}

uint32_t nic_sim_l2_bytes(const struct nic_sim_packet *packet)
{
	if (packet->len >= ETH_BYTES + VLAN_BYTES && get16(packet->data + 12) == ETHERTYPE_VLAN)
		return ETH_BYTES + VLAN_BYTES;
	return ETH_BYTES;
}

/* Find the network header; its EtherType in *type. 0 when the frame is too short. */
static uint16_t find_l3(const uint8_t *frame, uint32_t len, uint16_t *type)
{
	uint16_t l3 = ETH_BYTES;

	if (len < ETH_BYTES)
		return 0;
	*type = get16(frame + 12);
	if (*type == ETHERTYPE_VLAN) {
		if (len < ETH_BYTES + VLAN_BYTES)
			return 0;
		*type = get16(frame + 16);
		l3 += VLAN_BYTES;
	}
	return l3;
}

/* Fill in the network layer; the end of the IP packet is returned, 0 when it is not whole TCP. */
static uint32_t view_ip(const uint8_t *frame, uint32_t len, struct nic_sim_view *view)
{
	const uint8_t *ip = frame + view->l3;
	uint32_t room = len - view->l3;
	uint32_t header, total;

	if (view->ip_version == 4) {
		if (room < IP4_BYTES || ip[0] >> 4 != 4 || ip[9] != PROTO_TCP ||
		    (get16(ip + 6) & 0x3fff))
			return 0;
		header = (ip[0] & 15u) * 4;
		total = get16(ip + 2);
		view->src = ip + 12;
		view->dst = ip + 16;
	} else {
		if (room < IP6_BYTES || ip[0] >> 4 != 6 || ip[6] != PROTO_TCP)
			return 0;
		header = IP6_BYTES;
		total = IP6_BYTES + (uint32_t)get16(ip + 4);
		view->src = ip + 8;
		view->dst = ip + 24;
	}
	if (header < IP4_BYTES || total < header + TCP_BYTES || total > room)
		return 0;
	view->l4 = (uint16_t)(view->l3 + header);
	return view->l3 + total;
}

static void view_options(const uint8_t *opt, uint32_t len, struct nic_sim_view *view)
{
	uint32_t at = 0;

	while (at < len && opt[at] != 0) {
		uint32_t size = opt[at] == 1 ? 1 : at + 1 < len ? opt[at + 1] : 0;

		if (size == 0 || at + size > len || (opt[at] != 1 && size < 2))
			return;
		if (opt[at] == OPT_TIMESTAMP && size == OPT_TIMESTAMP_BYTES) {
			view->has_ts = true;
			view->ts_val = get32(opt + at + 2);
			view->ts_ecr = get32(opt + at + 6);
		}
		at += size;
	}
}

bool nic_sim_view(const uint8_t *frame, uint32_t len, struct nic_sim_view *view)
{
	const uint8_t *tcp;
	uint32_t end, header;
	uint16_t type = 0;

	memset(view, 0, sizeof(*view));
	view->l3 = find_l3(frame, len, &type);
	if (view->l3 == 0 || (type != ETHERTYPE_IP4 && type != ETHERTYPE_IP6))
		return false;
	view->ip_version = type == ETHERTYPE_IP4 ? 4 : 6;
	end = view_ip(frame, len, view);
	if (end == 0)
		return false;
	tcp = frame + view->l4;
	header = (tcp[12] >> 4) * 4u;
	if (header < TCP_BYTES || view->l4 + header > end)
		return false;
	view->payload = (uint16_t)(view->l4 + header);
	view->payload_len = end - view->payload;
	view->src_port = get16(tcp);
	view->dst_port = get16(tcp + 2);
	view->seq = get32(tcp + 4);
	view->ack = get32(tcp + 8);
	view->flags = tcp[13];
	view->window = get16(tcp + 14);
	view_options(tcp + TCP_BYTES, header - TCP_BYTES, view);
	return true;
}

/* Checksums: sums of 16-bit words in network order, folded at the end. */

static uint64_t sum_bytes(const uint8_t *at, uint32_t len)
{
	uint64_t sum = 0;

	for (; len >= 2; at += 2, len -= 2)
		sum += get16(at);
	if (len)
		sum += (uint64_t)at[0] << 8;
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t sum_tcp(const uint8_t *frame, const struct nic_sim_view *view)
{
	uint32_t len = (uint32_t)(view->payload - view->l4) + view->payload_len;
	uint32_t address_bytes = view->ip_version == 4 ? 4 : 16;
	uint64_t sum = PROTO_TCP + (len >> 16) + (len & 0xffff);

	sum += sum_bytes(view->src, address_bytes) + sum_bytes(view->dst, address_bytes);
	return fold(sum + sum_bytes(frame + view->l4, len));
}

bool nic_sim_csum_ok(const uint8_t *frame, const struct nic_sim_view *view)
{
	if (view->ip_version == 4 &&
	    fold(sum_bytes(frame + view->l3, (uint32_t)(view->l4 - view->l3))) != 0xffff)
		return false;
	return sum_tcp(frame, view) == 0xffff;
}

static void ip4_csum_fill(uint8_t *ip, uint32_t header)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~fold(sum_bytes(ip, header)));
}

void nic_sim_csum_fill(uint8_t *frame, const struct nic_sim_view *view)
{
	if (view->ip_version == 4)
		ip4_csum_fill(frame + view->l3, (uint32_t)(view->l4 - view->l3));
	put16(frame + view->l4 + 16, 0);
	put16(frame + view->l4 + 16, (uint16_t)~sum_tcp(frame, view));
}

bool nic_sim_mark_ce(struct nic_sim_packet *packet)
{
	struct nic_sim_view view;
	uint8_t *ip;

	if (!nic_sim_view(packet->data, packet->len, &view))
		return false;
	ip = packet->data + view.l3;
	if (view.ip_version == 6) {
		if ((ip[1] >> 4 & 3) == 0)
			return false;
		ip[1] |= 0x30;
		return true;
	}
	if ((ip[1] & 3) == 0)
		return false;
	ip[1] |= 3;
	/* Only the IP header changes, and TCP's pseudo header does not cover that octet. */
	ip4_csum_fill(ip, (uint32_t)(view.l4 - view.l3));
	return true;
}

static void set_ip_length(uint8_t *frame, const struct nic_sim_view *view, uint32_t end)
{
	if (view->ip_version == 4)
		put16(frame + view->l3 + 2, (uint16_t)(end - view->l3));
	else
		put16(frame + view->l3 + 4, (uint16_t)(end - view->l3 - IP6_BYTES));
}

/* One segment of a super-frame: payload bytes from..from+len, as number index. */
static struct nic_sim_packet *cut_one(struct nic_sim_net *net, const uint8_t *frame,
				      const struct nic_sim_view *whole, uint32_t from, uint32_t len,
				      uint32_t index)
{
	struct nic_sim_packet *packet = nic_sim_packet_new(net, whole->payload + len);
	struct nic_sim_view view;
	uint8_t flags = whole->flags;

	if (!packet)
		return NULL;
	memcpy(packet->data, frame, whole->payload);
	memcpy(packet->data + whole->payload, frame + whole->payload + from, len);
	set_ip_length(packet->data, whole, whole->payload + len);
	if (whole->ip_version == 4)
		put16(packet->data + whole->l3 + 4,
		      (uint16_t)(get16(frame + whole->l3 + 4) + index));
	put32(packet->data + whole->l4 + 4, whole->seq + from);
	if (from + len < whole->payload_len)
		flags &= (uint8_t) ~(NIC_SIM_FIN | NIC_SIM_PSH);
	if (from > 0)
		flags &= (uint8_t)~NIC_SIM_CWR;
	packet->data[whole->l4 + 13] = flags;
	if (nic_sim_view(packet->data, packet->len, &view))
		nic_sim_csum_fill(packet->data, &view);
	return packet;
}

struct nic_sim_packet *nic_sim_cut(struct nic_sim_net *net, const uint8_t *frame, uint32_t len,
				   uint16_t gso_size)
{
	struct nic_sim_packet *list = NULL, **tail = &list;
	struct nic_sim_view view;
	uint32_t from = 0, index = 0;

	if (gso_size == 0 || !nic_sim_view(frame, len, &view))
		return NULL;
	do {
		uint32_t part =
			view.payload_len - from < gso_size ? view.payload_len - from : gso_size;

		*tail = cut_one(net, frame, &view, from, part, index++);
		if (!*tail)
			break;
		tail = &(*tail)->next;
		from += part;
	} while (from < view.payload_len);
	return list;
}

/* Same flow, next in sequence, and nothing in the headers that a merged frame could not express. */
static bool mergeable(const struct nic_sim_packet *a, const struct nic_sim_view *va,
		      const struct nic_sim_packet *b, const struct nic_sim_view *vb)
{
	uint8_t stop =
		NIC_SIM_FIN | NIC_SIM_SYN | NIC_SIM_RST | NIC_SIM_URG | NIC_SIM_CWR | NIC_SIM_PSH;
	uint32_t size = a->gso_size ? a->gso_size : va->payload_len;
	uint32_t l3_fixed =
		va->ip_version == 4 ? 2 : 4; /* version, length of header, class, flow label */

	if (va->l4 != vb->l4 || va->payload != vb->payload || va->ip_version != vb->ip_version)
		return false;
	if (vb->seq != va->seq + va->payload_len || vb->ack != va->ack || vb->window != va->window)
		return false;
	if (vb->payload_len == 0 || vb->payload_len > size || va->payload_len == 0 ||
	    va->payload_len % size != 0)
		return false;
	if ((va->flags & stop) || (vb->flags & stop & ~NIC_SIM_PSH & ~NIC_SIM_FIN))
		return false;
	if (((va->flags ^ vb->flags) & (NIC_SIM_ECE | NIC_SIM_ACK)) ||
	    memcmp(a->data, b->data, va->l3) != 0)
		return false;
	if (memcmp(a->data + va->l3, b->data + vb->l3, l3_fixed) != 0)
		return false;
	if (memcmp(va->src, vb->src, va->ip_version == 4 ? 8 : 32) != 0)
		return false;
	if (memcmp(a->data + va->l4, b->data + vb->l4, 4) != 0)
		return false;
	return memcmp(a->data + va->l4 + TCP_BYTES, b->data + vb->l4 + TCP_BYTES,
		      (size_t)(va->payload - va->l4 - TCP_BYTES)) == 0;
}

struct nic_sim_packet *nic_sim_merge(struct nic_sim_net *net, struct nic_sim_packet *packet,
				     struct nic_sim_packet *next, uint32_t max_len)
{
	struct nic_sim_view a, b;
	struct nic_sim_packet *sum;
	uint32_t len;

	if (!nic_sim_view(packet->data, packet->len, &a) ||
	    !nic_sim_view(next->data, next->len, &b))
		return NULL;
	len = a.payload + a.payload_len + b.payload_len;
	if (len > max_len || len - a.l3 > 0xffff || !mergeable(packet, &a, next, &b))
		return NULL;
	if ((packet->gso_type == NIC_GSO_NONE && !nic_sim_csum_ok(packet->data, &a)) ||
	    !nic_sim_csum_ok(next->data, &b))
		return NULL;
	sum = nic_sim_packet_new(net, len);
	if (!sum)
		return NULL;
	memcpy(sum->data, packet->data, a.payload + a.payload_len);
	memcpy(sum->data + a.payload + a.payload_len, next->data + b.payload, b.payload_len);
	sum->data[a.l4 + 13] |= b.flags;
	sum->due_us = packet->due_us;
	sum->gso_size = packet->gso_size ? packet->gso_size : (uint16_t)a.payload_len;
	sum->gso_type = a.ip_version == 4 ? NIC_GSO_TCP4 : NIC_GSO_TCP6;
	set_ip_length(sum->data, &a, len);
	if (a.ip_version == 4)
		ip4_csum_fill(sum->data + a.l3, (uint32_t)(a.l4 - a.l3));
	nic_sim_packet_free(packet);
	nic_sim_packet_free(next);
	return sum;
}
