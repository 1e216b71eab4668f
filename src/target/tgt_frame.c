/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_frame.h"
#include "target/tgt_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/be.h"
#include "base/csum.h"
#include "target/tgt_priv.h"
#include "target/tgt_reach.h"
#include "target/tgt_store.h"

#define ETH_BYTES     14u
#define ETH_TAG_BYTES 4u
#define ETH_TYPE_VLAN 0x8100u
#define ETH_TYPE_IPV4 0x0800u
#define ETH_TYPE_IPV6 0x86ddu
#define IPV4_BYTES    20u
#define IPV6_BYTES    40u
#define IPV4_DF       0x4000u
#define IPV4_FRAGMENT 0x3fffu /* MF and offset */
#define TCP_BYTES     20u
#define PROTO_TCP     6u
#define IP_ID_FIRST   0x8000u
#define IP_IDS        0x8000u
#define XMIT_IOV_MAX  32u

/* ---- received frames ---- */

bool tgt_frame_parse_tcp(const uint8_t *tcp, uint32_t tcp_bytes, struct tgt_segment *seg)
{
	uint32_t header;

	if (tcp_bytes < TCP_BYTES)
		return false;
	header = (tcp[12] >> 4) * 4u;
	if (header < TCP_BYTES || header > tcp_bytes)
		return false;
	seg->seq = be_get32(tcp + 4);
	seg->ack = be_get32(tcp + 8);
	seg->flags = tcp[13];
	seg->wnd_raw = be_get16(tcp + 14);
	seg->urg = be_get16(tcp + 18);
	seg->opt = tcp + TCP_BYTES;
	seg->opt_len = (uint8_t)(header - TCP_BYTES);
	seg->data = tcp + header;
	seg->len = tcp_bytes - header;
	return true;
}

static bool checksum_good(const struct nic_rx_frame *frame, const struct tgt_parsed *p,
			  const uint8_t *tcp, uint32_t tcp_bytes)
{
	struct csum c = { 0 };

	if (frame->csum_trusted)
		return true;
	if (p->v6)
		csum_pseudo6(&c, p->tuple.remote, p->tuple.local, PROTO_TCP, tcp_bytes);
	else
		csum_pseudo4(&c, p->tuple.remote, p->tuple.local, PROTO_TCP, tcp_bytes);
	csum_add(&c, tcp, tcp_bytes);
	return csum_final(&c) == 0;
}

/* tcp_bytes is what the IP header says, have_bytes what the frame holds of it. */
static enum tgt_frame_kind parse_transport(const struct nic_rx_frame *frame, const uint8_t *tcp,
					   uint32_t tcp_bytes, uint32_t have_bytes,
					   struct tgt_parsed *p)
{
	uint32_t ip_bytes = p->header_bytes;

	if (have_bytes >= 4) {
		p->tuple.remote_port_be = htons(be_get16(tcp));
		p->tuple.local_port_be = htons(be_get16(tcp + 2));
		p->has_tuple = true;
	}
	if (have_bytes < tcp_bytes)
		return TGT_FRAME_TRUNCATED;
	if (!tgt_frame_parse_tcp(tcp, tcp_bytes, &p->seg))
		return TGT_FRAME_CORRUPT_TCP;
	if (!checksum_good(frame, p, tcp, tcp_bytes))
		return TGT_FRAME_CORRUPT_TCP;
	p->header_bytes = ip_bytes + tcp_bytes - p->seg.len;
	p->datagrams = 1;
	if (frame->gso_type != NIC_GSO_NONE && frame->gso_size && p->seg.len > frame->gso_size) {
		p->seg.gso_size = frame->gso_size;
		p->datagrams = (p->seg.len + frame->gso_size - 1) / frame->gso_size;
	}
	return TGT_FRAME_SEGMENT;
}

static bool ipv4_sum_good(const uint8_t *ip, uint32_t header)
{
	struct csum c = { 0 };

	if (header == IPV4_BYTES)
		return csum_ip4(ip) == 0;
	csum_add(&c, ip, header);
	return csum_final(&c) == 0;
}

static enum tgt_frame_kind parse_ipv4(const struct nic_rx_frame *frame, const uint8_t *ip,
				      uint32_t have, struct tgt_parsed *p)
{
	uint32_t header, total;

	if (have < IPV4_BYTES || ip[0] >> 4 != 4)
		return TGT_FRAME_CORRUPT_IP;
	header = (ip[0] & 15) * 4u;
	total = be_get16(ip + 2);
	if (!total && frame->gso_type == NIC_GSO_TCP4)
		total = have; /* longer than the field can say */
	if (header < IPV4_BYTES || header > have || total < header || !ip[8])
		return TGT_FRAME_CORRUPT_IP;
	if (!ipv4_sum_good(ip, header))
		return TGT_FRAME_CORRUPT_IP;
	if (header != IPV4_BYTES || be_get16(ip + 6) & IPV4_FRAGMENT || ip[9] != PROTO_TCP)
		return TGT_FRAME_OTHER;
	memcpy(p->tuple.remote, ip + 12, 4);
	memcpy(p->tuple.local, ip + 16, 4);
	p->seg.ecn = ip[1] & 3;
	p->datagram_bytes = total;
	p->header_bytes = header;
	return parse_transport(frame, ip + header, total - header,
			       (have < total ? have : total) - header, p);
}

static enum tgt_frame_kind parse_ipv6(const struct nic_rx_frame *frame, const uint8_t *ip,
				      uint32_t have, struct tgt_parsed *p)
{
	uint32_t payload;

	p->v6 = p->tuple.v6 = true;
	if (have < IPV6_BYTES || ip[0] >> 4 != 6 || !ip[7])
		return TGT_FRAME_CORRUPT_IP;
	payload = be_get16(ip + 4);
	if (!payload && frame->gso_type == NIC_GSO_TCP6)
		payload = have - IPV6_BYTES;
	if (ip[6] != PROTO_TCP)
		return TGT_FRAME_OTHER;
	memcpy(p->tuple.remote, ip + 8, 16);
	memcpy(p->tuple.local, ip + 24, 16);
	p->seg.ecn = ip[1] >> 4 & 3;
	p->datagram_bytes = IPV6_BYTES + payload;
	p->header_bytes = IPV6_BYTES;
	have -= IPV6_BYTES;
	return parse_transport(frame, ip + IPV6_BYTES, payload, have < payload ? have : payload, p);
}

enum tgt_frame_kind tgt_frame_parse(const struct nic_rx_frame *frame, struct tgt_parsed *parsed)
{
	const uint8_t *data = frame->data;
	uint32_t off = ETH_BYTES;
	uint16_t type;

	memset(parsed, 0, sizeof(*parsed));
	if (frame->len < ETH_BYTES)
		return TGT_FRAME_OTHER;
	parsed->dst_mac = data;
	parsed->tagged = frame->vlan_present;
	parsed->vlan_tci = frame->vlan_present ? frame->vlan_tci : 0;
	type = be_get16(data + 12);
	if (type == ETH_TYPE_VLAN && !parsed->tagged && frame->len >= ETH_BYTES + ETH_TAG_BYTES) {
		parsed->tagged = true;
		parsed->vlan_tci = be_get16(data + 14);
		type = be_get16(data + 16);
		off += ETH_TAG_BYTES;
	}
	if (type == ETH_TYPE_IPV4)
		return parse_ipv4(frame, data + off, frame->len - off, parsed);
	if (type == ETH_TYPE_IPV6)
		return parse_ipv6(frame, data + off, frame->len - off, parsed);
	return TGT_FRAME_OTHER;
}

/* ---- frames to send ---- */

/* VLN-10..13: no tag, a priority tag, or the neighbor's VLAN; CFI is always zero. */
static uint32_t build_ethernet(uint8_t *h, const struct tgt_neighbor *n, uint32_t priority,
			       uint16_t type)
{
	memcpy(h, n->destination_mac, 6);
	memcpy(h + 6, n->source_mac, 6);
	if (!n->vlan_id && !priority) {
		be_put16(h + 12, type);
		return ETH_BYTES;
	}
	be_put16(h + 12, ETH_TYPE_VLAN);
	be_put16(h + 14, (priority & 7) << 13 | n->vlan_id);
	be_put16(h + 16, type);
	return ETH_BYTES + ETH_TAG_BYTES;
}

/*
 * Identifications stay in the upper half (IPI-03), also those that a device counts up while it cuts
 * a super-frame: a run that would pass the end starts over.
 */
static uint16_t take_ip_ids(struct tgt_adapter *a, uint32_t count)
{
	uint32_t first = a->ip_id;

	if (first < IP_ID_FIRST || first + count > IP_ID_FIRST + IP_IDS)
		first = IP_ID_FIRST;
	a->ip_id = (uint16_t)(first + count > UINT16_MAX ? IP_ID_FIRST : first + count);
	return (uint16_t)first;
}

static uint32_t build_ipv4(struct tgt_adapter *a, uint8_t *h, const struct tgt_path *path,
			   const struct tgt_conn *conn, const struct tgt_xmit *x,
			   uint32_t tcp_bytes, uint32_t datagrams)
{
	uint16_t check;

	memset(h, 0, IPV4_BYTES);
	h[0] = 0x45;
	h[1] = (uint8_t)((conn->tos & ~3u) | (x->ecn & 3u));
	be_put16(h + 2, IPV4_BYTES + tcp_bytes);
	be_put16(h + 4, take_ip_ids(a, datagrams));
	be_put16(h + 6, IPV4_DF);
	h[8] = conn->ttl;
	h[9] = PROTO_TCP;
	memcpy(h + 12, path->local, 4);
	memcpy(h + 16, path->remote, 4);
	check = csum_ip4(h);
	memcpy(h + 10, &check, 2);
	return IPV4_BYTES;
}

static uint32_t build_ipv6(uint8_t *h, const struct tgt_path *path, const struct tgt_conn *conn,
			   const struct tgt_xmit *x, uint32_t tcp_bytes)
{
	uint32_t traffic_class = (conn->tos & ~3u) | (x->ecn & 3u);

	be_put32(h, 6u << 28 | traffic_class << 20 | (conn->flow_label & 0xfffffu));
	be_put16(h + 4, tcp_bytes);
	h[6] = PROTO_TCP;
	h[7] = conn->ttl;
	memcpy(h + 8, path->local, 16);
	memcpy(h + 24, path->remote, 16);
	return IPV6_BYTES;
}

static uint32_t build_tcp(uint8_t *h, const struct tgt_conn *conn, const struct tgt_xmit *x)
{
	memcpy(h, &conn->local_port_be, 2);
	memcpy(h + 2, &conn->remote_port_be, 2);
	be_put32(h + 4, x->seq);
	be_put32(h + 8, x->ack);
	h[12] = (uint8_t)((TCP_BYTES + x->opt_len) / 4 << 4);
	h[13] = x->flags;
	be_put16(h + 14, x->wnd_raw);
	be_put16(h + 16, 0);
	be_put16(h + 18, 0);
	if (x->opt_len)
		memcpy(h + TCP_BYTES, x->opt, x->opt_len);
	return TCP_BYTES + x->opt_len;
}

static void fill_checksum(const struct tgt_path *path, uint8_t *tcp, uint32_t header_bytes,
			  const struct tgt_xmit *x, bool partial)
{
	uint32_t tcp_bytes = header_bytes + x->len;
	struct csum c = { 0 };
	uint16_t check;

	if (path->v6)
		csum_pseudo6(&c, path->local, path->remote, PROTO_TCP, tcp_bytes);
	else
		csum_pseudo4(&c, path->local, path->remote, PROTO_TCP, tcp_bytes);
	if (!partial) {
		csum_add(&c, tcp, header_bytes);
		for (unsigned int i = 0; i < x->iovcnt; i++)
			csum_add(&c, x->iov[i].iov_base, x->iov[i].iov_len);
	}
	check = partial ? csum_fold(&c) : csum_final(&c);
	memcpy(tcp + 16, &check, 2);
}

static int send_frame(struct tgt_adapter *a, const struct tgt_path *path, uint8_t *headers,
		      uint32_t tcp_off, uint32_t header_bytes, const struct tgt_xmit *x)
{
	struct iovec iov[XMIT_IOV_MAX + 1];
	bool partial = a->nic_info->features & NIC_FEAT_TX_CSUM;
	struct nic_tx_frame frame = {
		.iov = iov,
		.iov_count = x->iovcnt + 1,
		.len = header_bytes + x->len,
		.hdr_len = (uint16_t)header_bytes,
		.csum_partial = partial,
		.csum_start = (uint16_t)tcp_off,
	};

	if (x->gso_size && x->len > x->gso_size) {
		frame.gso_type = path->v6 ? NIC_GSO_TCP6 : NIC_GSO_TCP4;
		frame.gso_size = x->gso_size;
	}
	fill_checksum(path, headers + tcp_off, header_bytes - tcp_off, x, partial);
	iov[0] = (struct iovec){ headers, header_bytes };
	if (x->iovcnt)
		memcpy(iov + 1, x->iov, x->iovcnt * sizeof(*iov));
	return nic_send(a->nic, &frame, 1) == 1 ? 0 : -EAGAIN;
}

static void count_conn(struct tgt_conn_counts *c, const struct tgt_xmit *x, uint32_t datagrams)
{
	c->segments_out += datagrams;
	if (!x->len)
		return;
	c->data_segments_out += datagrams;
	if (!x->retransmit)
		return;
	c->retransmitted_segments += datagrams;
	c->retransmitted_bytes += x->len;
}

/* STT-09, -11, -17, -21: a super-frame counts as the datagrams into which it is cut. */
static void count_sent(struct tgt_adapter *a, const struct tgt_conn *conn, const struct tgt_xmit *x,
		       uint32_t ip_header, uint32_t tcp_header, uint32_t datagrams)
{
	struct tgt_counters *n = tgt_conn_counters(a, conn);

	count_conn(&tgt_io(a, conn)->counts, x, datagrams);
	n->out_requests += datagrams;
	n->out_octets += (uint64_t)datagrams * (ip_header + tcp_header) + x->len;
	if (!x->retransmit)
		n->out_segments += datagrams;
	if (x->flags & TGT_TH_RST)
		n->out_resets++;
}

int tgt_frame_xmit(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_xmit *x)
{
	struct tgt_path *path = tgt_path_of(a, conn);
	struct tgt_neighbor *neighbor = tgt_neighbor_of(a, path);
	uint8_t h[TGT_HEADERS_MAX];
	uint32_t datagrams = x->gso_size ? (x->len + x->gso_size - 1) / x->gso_size : 1;
	uint32_t eth, ip, tcp, tcp_bytes = TCP_BYTES + x->opt_len + x->len;
	int err;

	if (x->iovcnt > XMIT_IOV_MAX)
		return -EMSGSIZE;
	if (path->invalid || neighbor->invalid) {
		tgt_conn_counters(a, conn)->out_no_routes++;
		tgt_drop(a, TGT_DROP_INVALID_OBJECT);
		tgt_request_upload(a, conn, TGT_UPLOAD_INVALID);
		return -ENETUNREACH;
	}
	if (!datagrams)
		datagrams = 1;
	tgt_reach_before_send(a, neighbor);
	eth = build_ethernet(h, neighbor, a->ddi->priority_tags ? conn->user_priority : 0,
			     path->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
	ip = path->v6 ? build_ipv6(h + eth, path, conn, x, tcp_bytes)
		      : build_ipv4(a, h + eth, path, conn, x, tcp_bytes, datagrams);
	tcp = build_tcp(h + eth + ip, conn, x);
	err = send_frame(a, path, h, eth + ip, eth + ip + tcp, x);
	if (err) {
		tgt_drop(a, TGT_DROP_NIC_FULL);
		return err;
	}
	count_sent(a, conn, x, ip, tcp, datagrams);
	return 0;
}
