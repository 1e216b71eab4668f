/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments between packetdrill, which sees IP packets of the script's addresses and ports, and the
 * world's wire, which carries Ethernet frames of its own. Addresses and ports are exchanged both
 * ways; payload that a script injects becomes the pattern that the connection's end checks
 * (sim_pattern.h), so that a byte at a wrong place is noticed. Checksums follow; a wrong one stays
 * wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/csum.h"
#include "nic/nic_sim_frame.h"
#include "pd.h"
#include "sim/sim_host.h"
#include "sim/sim_pattern.h"

enum {
	IP4_BYTES = 20,
	IP6_BYTES = 40,
	TCP_BYTES = 20,
	SYN_OPTIONS_MAX = 20,
	PROTO_TCP = 6,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_OK = 4,
	OPT_TIMESTAMP = 8,
};

static const uint8_t host_mac[6] = { 2, 0, 0, 0, 0, 2 }, peer_mac[6] = { 2, 0, 0, 0, 0, 1 };

/* Reading. */

static void read_option(struct pd_segment *segment, const uint8_t *opt, uint32_t size)
{
	if (opt[0] == OPT_MSS && size == 4) {
		segment->mss = (uint16_t)be_get16(opt + 2);
	} else if (opt[0] == OPT_WSCALE && size == 3) {
		segment->wscale = opt[2] < 14 ? opt[2] : 14;
	} else if (opt[0] == OPT_SACK_OK && size == 2) {
		segment->sack_ok = true;
	} else if (opt[0] == OPT_TIMESTAMP && size == 10) {
		segment->has_ts = true;
		segment->ts_val = be_get32(opt + 2);
		segment->ts_ecr = be_get32(opt + 6);
	}
}

static void read_options(struct pd_segment *segment, const uint8_t *opt, uint32_t len)
{
	uint32_t at = 0, size;

	for (; at < len && opt[at] != 0; at += size) {
		size = opt[at] == 1 ? 1 : at + 1 < len ? opt[at + 1] : 0;
		if (size == 0 || at + size > len)
			return;
		if (opt[at] != 1)
			read_option(segment, opt + at, size);
	}
}

/* Length of the network header, 0 when it is not an unfragmented TCP segment with sound lengths. */
static uint32_t network_header(struct pd_segment *segment)
{
	const uint8_t *ip = segment->packet;
	uint32_t header;

	segment->v6 = ip[0] >> 4 == 6;
	if (segment->v6) {
		if (segment->len < IP6_BYTES + TCP_BYTES || ip[6] != PROTO_TCP)
			return 0;
		segment->src = ip + 8;
		segment->dst = ip + 24;
		segment->ecn = ip[1] >> 4 & 3;
		return IP6_BYTES;
	}
	header = (ip[0] & 15u) * 4;
	if (segment->len < header + TCP_BYTES || ip[9] != PROTO_TCP || (be_get16(ip + 6) & 0x3fff))
		return 0;
	segment->src = ip + 12;
	segment->dst = ip + 16;
	segment->ecn = ip[1] & 3;
	return header;
}

bool pd_segment_read(struct pd_segment *segment, const uint8_t *packet, size_t len)
{
	uint32_t l4, header;
	const uint8_t *tcp;

	*segment = (struct pd_segment){ .packet = packet, .len = len, .wscale = -1 };
	l4 = len >= IP4_BYTES ? network_header(segment) : 0;
	if (l4 == 0)
		return false;
	tcp = packet + l4;
	header = (tcp[12] >> 4) * 4u;
	if (header < TCP_BYTES || l4 + header > len)
		return false;
	segment->src_port = be_get16(tcp);
	segment->dst_port = be_get16(tcp + 2);
	segment->seq = be_get32(tcp + 4);
	segment->ack = be_get32(tcp + 8);
	segment->flags = tcp[13];
	segment->window = be_get16(tcp + 14);
	segment->payload_len = (uint32_t)len - l4 - header;
	read_options(segment, tcp + TCP_BYTES, header - TCP_BYTES);
	return true;
}

/* Exchanging addresses. */

static uint32_t address_bytes(bool v6)
{
	return v6 ? 16 : 4;
}

static const uint8_t *address_of(const struct sockaddr_storage *at, bool v6)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)at;

	if (at->ss_family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)at)->sin_addr;
	return in6->sin6_addr.s6_addr + (v6 ? 0 : 12); /* a mapped one ends with the IPv4 address */
}

static uint16_t port_of(const struct sockaddr_storage *at)
{
	return ntohs(((const struct sockaddr_in *)at)->sin_port);
}

struct ends {
	const uint8_t *src, *dst;
	uint16_t src_port, dst_port;
};

static void set_ends(uint8_t *frame, const struct nic_sim_view *view, const struct ends *ends)
{
	uint32_t bytes = address_bytes(view->ip_version == 6);
	uint8_t *addresses = frame + view->l3 + (view->ip_version == 6 ? 8 : 12);

	memcpy(addresses, ends->src, bytes);
	memcpy(addresses + bytes, ends->dst, bytes);
	be_put16(frame + view->l4, ends->src_port);
	be_put16(frame + view->l4 + 2, ends->dst_port);
}

static struct ends world_ends(const struct pd_sock *sock)
{
	enum sim_family family = sock->conn->family;

	return (struct ends){ .src = pd.world->bindings[SIM_PEER].address[family],
			      .dst = pd.world->bindings[SIM_TARGET].address[family],
			      .src_port = (uint16_t)(SIM_PEER_PORT + sock->sock->number),
			      .dst_port = SIM_HOST_PORT };
}

/* A byte before the stream (a keepalive probe, an old segment) has no place in the pattern. */
static void fill_pattern(const struct pd_sock *sock, uint8_t *data, uint32_t len, uint32_t seq)
{
	uint32_t offset = seq - sock->sock->rcv_base, before = 0;

	if ((int32_t)offset < 0) {
		before = 0u - offset < len ? 0u - offset : len;
		memset(data, 0, before);
	}
	sim_pattern_fill(sock->sock->rx.key, (uint32_t)(offset + before), data + before,
			 len - before);
}

void pd_wire_in(struct pd_sock *sock, const struct pd_segment *segment)
{
	uint32_t len = PD_ETH_BYTES + (uint32_t)segment->len;
	struct nic_sim_packet *packet = nic_sim_packet_new(&pd.world->net, len);
	struct ends ends = world_ends(sock);
	struct nic_sim_view view;
	bool sound;

	if (!packet)
		pd_fail("no memory");
	memcpy(packet->data, host_mac, 6);
	memcpy(packet->data + 6, peer_mac, 6);
	be_put16(packet->data + 12, segment->v6 ? 0x86dd : 0x0800);
	memcpy(packet->data + PD_ETH_BYTES, segment->packet, segment->len);
	packet->len = len;
	if (!nic_sim_view(packet->data, len, &view)) {
		nic_sim_packet_free(packet);
		return;
	}
	sound = nic_sim_csum_ok(packet->data, &view);
	set_ends(packet->data, &view, &ends);
	if (view.payload_len > 0)
		fill_pattern(sock, packet->data + view.payload, view.payload_len, view.seq);
	nic_sim_csum_fill(packet->data, &view);
	if (!sound)
		packet->data[view.l4 + 16] ^= 0x55;
	pd.world->down.node.forward(&pd.world->down.node, packet);
}

/* From the host. */

/* The first segment of the target repeats what the handshake has said already. */
static bool swallow(struct pd_sock *sock, const struct nic_sim_view *view)
{
	bool first = sock->swallow_first;

	sock->swallow_first = false;
	if (!first || view->flags != NIC_SIM_ACK || view->payload_len > 0 ||
	    view->seq != sock->shake.iss + 1 || view->ack != sock->shake.irs + 1)
		return false;
	pd.counts.starts_swallowed++;
	return true;
}

/* The bytes must be those of their place in the stream; packetdrill writes and expects zeros. */
static void check_payload(const struct pd_sock *sock, uint8_t *data,
			  const struct nic_sim_view *view)
{
	uint32_t offset = view->seq - sock->sock->snd_base;

	if (!nic_sim_csum_ok(data - view->payload, view))
		pd_fail("a segment has a wrong checksum");
	if (sim_pattern_check(sock->sock->tx.key, offset, data, view->payload_len) !=
	    view->payload_len)
		pd_fail("a segment at byte %u carries other bytes than were written", offset);
	memset(data, 0, view->payload_len);
}

static void leave(struct pd_sock *sock, struct nic_sim_packet *packet, struct nic_sim_view *view)
{
	bool v6 = view->ip_version == 6;
	struct ends ends = { .src = address_of(&sock->local, v6),
			     .dst = address_of(&sock->remote, v6),
			     .src_port = port_of(&sock->local),
			     .dst_port = port_of(&sock->remote) };

	if (swallow(sock, view))
		return;
	if (sock->sock->phase == SIM_ENDED) {
		pd.counts.after_end++;
	} else if (sock->sock->at->place == SIM_TARGET) {
		pd.counts.segments_out++;
		sock->segments_out++;
	} else {
		pd.counts.kernel_segments++;
	}
	check_payload(sock, packet->data + view->payload, view);
	set_ends(packet->data, view, &ends);
	nic_sim_csum_fill(packet->data, view);
	pd_emit(packet->data + PD_ETH_BYTES, packet->len - PD_ETH_BYTES);
}

static void arrived(struct nic_sim_node *node, struct nic_sim_packet *packet)
{
	struct nic_sim_view view;
	struct sim_conn *conn;
	enum sim_side side;

	(void)node;
	if (nic_sim_view(packet->data, packet->len, &view)) {
		conn = sim_world_conn_of(pd.world, &view, &side);
		if (conn && side == SIM_AT_PEER && pd.conn_owner[conn - pd.world->conns])
			leave(pd.conn_owner[conn - pd.world->conns], packet, &view);
	}
	nic_sim_packet_free(packet);
}

static uint64_t never(const struct nic_sim_node *node)
{
	(void)node;
	return NIC_SIM_NEVER;
}

static void nothing(struct nic_sim_node *node)
{
	(void)node;
}

void pd_wire_attach(void)
{
	pd.node = (struct nic_sim_node){ .name = "packetdrill",
					 .net = &pd.world->net,
					 .forward = arrived,
					 .next_run_at = never,
					 .run = nothing };
	pd.world->up.to = &pd.node;
}

/* Segments of the handshake. */

static uint32_t put_mss(const struct pd_sock *sock, uint8_t *opt)
{
	uint32_t mss = pd.world->config.mtu_bytes - (sock->remote.ss_family == AF_INET6 ? 60 : 40);

	opt[0] = OPT_MSS;
	opt[1] = 4;
	if (sock->remote.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)&sock->remote)->sin6_addr))
		mss += 20;
	if (sock->opt.mss_clamp && sock->opt.mss_clamp < mss)
		mss = sock->opt.mss_clamp;
	be_put16(opt + 2, mss);
	return 4;
}

static uint32_t our_clock(const struct pd_sock *sock)
{
	return sock->shake.echo_ts + (uint32_t)((pd_now_us() - sock->shake.sent_us) / 1000);
}

static uint32_t put_timestamp(const struct pd_sock *sock, uint8_t *opt, bool with_sack)
{
	opt[0] = with_sack ? OPT_SACK_OK : 1;
	opt[1] = with_sack ? 2 : 1;
	opt[2] = OPT_TIMESTAMP;
	opt[3] = 10;
	be_put32(opt + 4, our_clock(sock));
	be_put32(opt + 8, sock->shake.peer_ts);
	return 12;
}

/* In the order in which Linux writes them. */
static uint32_t put_syn_options(const struct pd_sock *sock, uint8_t *opt)
{
	uint32_t len = put_mss(sock, opt);

	if (sock->shake.timestamps) {
		len += put_timestamp(sock, opt + len, sock->shake.sack);
	} else if (sock->shake.sack) {
		memcpy(opt + len, (const uint8_t[]){ 1, 1, OPT_SACK_OK, 2 }, 4);
		len += 4;
	}
	if (sock->shake.peer_wscale >= 0) {
		memcpy(opt + len, (const uint8_t[]){ 1, OPT_WSCALE, 3 }, 3);
		opt[len + 3] = (uint8_t)pd_rcv_wscale(&sock->opt);
		len += 4;
	}
	return len;
}

static uint32_t put_network(const struct pd_sock *sock, uint8_t *ip, bool v6, uint32_t l4_bytes)
{
	uint8_t tos = sock->opt.tos;

	memset(ip, 0, v6 ? IP6_BYTES : IP4_BYTES);
	if (v6) {
		be_put32(ip, 6u << 28 | (uint32_t)tos << 20);
		be_put16(ip + 4, l4_bytes);
		ip[6] = PROTO_TCP;
		ip[7] = 64;
		memcpy(ip + 8, address_of(&sock->local, true), 16);
		memcpy(ip + 24, address_of(&sock->remote, true), 16);
		return IP6_BYTES;
	}
	ip[0] = 0x45;
	ip[1] = tos;
	be_put16(ip + 2, IP4_BYTES + l4_bytes);
	be_put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = PROTO_TCP;
	memcpy(ip + 12, address_of(&sock->local, false), 4);
	memcpy(ip + 16, address_of(&sock->remote, false), 4);
	return IP4_BYTES;
}

static bool is_v6(const struct pd_sock *sock)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&sock->remote;

	return sock->remote.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
}

void pd_wire_control(struct pd_sock *sock, uint8_t flags, uint32_t seq, uint32_t ack,
		     uint16_t window, bool syn_options)
{
	uint8_t frame[PD_ETH_BYTES + IP6_BYTES + TCP_BYTES + SYN_OPTIONS_MAX + 20] = { 0 };
	uint8_t *ip = frame + PD_ETH_BYTES, *tcp;
	bool v6 = is_v6(sock);
	uint32_t l3_bytes = v6 ? IP6_BYTES : IP4_BYTES, header = TCP_BYTES;
	struct nic_sim_view view;

	tcp = ip + l3_bytes;
	if (syn_options)
		header += put_syn_options(sock, tcp + TCP_BYTES);
	else if (sock->shake.timestamps && !(flags & NIC_SIM_RST))
		header += put_timestamp(sock, tcp + TCP_BYTES, false);
	be_put16(frame + 12, v6 ? 0x86dd : 0x0800);
	put_network(sock, ip, v6, header);
	be_put16(tcp, port_of(&sock->local));
	be_put16(tcp + 2, port_of(&sock->remote));
	be_put32(tcp + 4, seq);
	be_put32(tcp + 8, ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = flags;
	be_put16(tcp + 14, window);
	if (!nic_sim_view(frame, PD_ETH_BYTES + l3_bytes + header, &view))
		pd_fail("a segment of the handshake is malformed");
	nic_sim_csum_fill(frame, &view);
	pd.counts.handshake_out++;
	pd_emit(ip, l3_bytes + header);
}

/* ICMP. */

static struct pd_sock *quoted(const uint8_t *inner, size_t len, bool v6, uint32_t *seq)
{
	uint32_t l4 = v6 ? IP6_BYTES : (inner[0] & 15u) * 4;
	unsigned int i;

	if (len < l4 + 8)
		return NULL;
	*seq = be_get32(inner + l4 + 4);
	for (i = 0; i < PD_SOCKS; i++) {
		struct pd_sock *sock = &pd.socks[i];

		if (sock->kind == PD_TCP && sock->state == PD_LIVE &&
		    port_of(&sock->local) == be_get16(inner + l4) &&
		    port_of(&sock->remote) == be_get16(inner + l4 + 2))
			return sock;
	}
	return NULL;
}

/* The quoted segment must be one that is under way (RFC 5927), as the host checks it. */
static bool is_under_way(const struct pd_sock *sock, uint32_t seq)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);

	return conn && seq_leq(conn->snd_una, seq) && seq_lt(seq, conn->snd_max);
}

static void learn_mtu(struct pd_sock *sock, uint32_t mtu_bytes)
{
	enum sim_family family = sock->conn->family;
	struct sim_binding *target = &pd.world->bindings[SIM_TARGET];

	if (mtu_bytes >= target->path_mtu_bytes[family])
		return;
	target->path_mtu_bytes[family] = mtu_bytes;
	if (sim_host_submit_path(SIM_OP_PATH_MTU, target, family) != 0)
		pd_fail("no memory");
}

void pd_wire_icmp(const uint8_t *packet, size_t len)
{
	bool v6 = len > 0 && packet[0] >> 4 == 6;
	size_t l4 = v6 ? IP6_BYTES : len > 0 ? (packet[0] & 15u) * 4u : 0;
	const uint8_t *icmp = packet + l4;
	struct pd_sock *sock;
	uint32_t seq;

	pd.counts.other_in++;
	if (len < l4 + 8 + IP4_BYTES)
		return;
	if (!(v6 ? packet[6] == 58 && icmp[0] == 2
		 : packet[9] == 1 && icmp[0] == 3 && icmp[1] == 4))
		return;
	sock = quoted(icmp + 8, len - l4 - 8, v6, &seq);
	if (sock && is_under_way(sock, seq))
		learn_mtu(sock, v6 ? be_get32(icmp + 4) : be_get16(icmp + 6));
}
