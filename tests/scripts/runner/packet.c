/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/be.h"
#include "packet.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_pattern.h"

enum {
	ETH_BYTES = 14,
	TAG_BYTES = 4,
	IP6_BYTES = 40,
	TCP_BYTES = 20,
	HEADERS_MAX = 160,
	TS_BYTES = 12,
};

/* Byte 0 of a stream is number 1 in a script. */
static uint32_t to_wire(tcp_seq base, uint32_t relative)
{
	return base + relative - 1;
}

static uint32_t from_wire(tcp_seq base, uint32_t number)
{
	return number - base + 1;
}

static uint32_t elapsed_ms(const struct packet_flow *flow)
{
	return (uint32_t)((sim_world_now(flow->world) - flow->start_us) / 1000);
}

static uint32_t peer_clock(const struct packet_flow *flow)
{
	return flow->script->conn.ts_now[SIM_AT_PEER] + elapsed_ms(flow);
}

/* Building. */

static uint32_t put_timestamp(const struct packet_flow *flow, const struct script_segment *seg,
			      uint8_t *opt)
{
	bool wanted = seg->has_ts || (flow->script->conn.timestamps && !seg->no_ts);

	if (!wanted)
		return 0;
	opt[0] = opt[1] = 1;
	opt[2] = 8;
	opt[3] = 10;
	be_put32(opt + 4, seg->has_ts && !seg->ts_any_val ? seg->ts_val : peer_clock(flow));
	be_put32(opt + 8, seg->has_ts && !seg->ts_any_ecr ? seg->ts_ecr : flow->ts_echo);
	return TS_BYTES;
}

static uint32_t put_sacks(const struct packet_flow *flow, const struct script_segment *seg,
			  uint8_t *opt)
{
	uint32_t at = 4, i;

	if (!seg->sacks)
		return 0;
	opt[0] = opt[1] = 1;
	opt[2] = 5;
	opt[3] = (uint8_t)(2 + 8 * seg->sacks);
	for (i = 0; i < seg->sacks; i++, at += 8) {
		be_put32(opt + at, to_wire(flow->sock->snd_base, seg->sack[i].start));
		be_put32(opt + at + 4, to_wire(flow->sock->snd_base, seg->sack[i].end));
	}
	return at;
}

static uint32_t put_options(const struct packet_flow *flow, const struct script_segment *seg,
			    uint8_t *opt)
{
	uint32_t len = put_timestamp(flow, seg, opt);

	len += put_sacks(flow, seg, opt + len);
	memcpy(opt + len, seg->raw, seg->raw_len);
	len += seg->raw_len;
	while (len % 4)
		opt[len++] = 1;
	return len;
}

static uint32_t put_tcp(const struct packet_flow *flow, const struct script_segment *seg,
			uint8_t *tcp)
{
	uint32_t header = TCP_BYTES + put_options(flow, seg, tcp + TCP_BYTES);

	be_put16(tcp, SIM_PEER_PORT + flow->sock->number);
	be_put16(tcp + 2, SIM_HOST_PORT);
	be_put32(tcp + 4, to_wire(flow->sock->rcv_base, seg->seq));
	be_put32(tcp + 8, seg->has_ack ? to_wire(flow->sock->snd_base, seg->ack) : 0);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = seg->flags;
	be_put16(tcp + 14, seg->has_win ? seg->win : 0);
	be_put16(tcp + 16, 0);
	be_put16(tcp + 18, seg->urg);
	return header;
}

static uint32_t put_ip4(const struct packet_flow *flow, const struct script_segment *seg,
			uint8_t *ip)
{
	uint32_t header = seg->ip_options ? 24 : 20;

	memset(ip, 0, header);
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = (uint8_t)((seg->tos < 0 ? 0 : seg->tos) | (seg->ecn < 0 ? 0 : seg->ecn));
	be_put16(ip + 6, seg->fragment ? 0x2000 : 0x4000);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, flow->world->bindings[SIM_PEER].address[SIM_V4], 4);
	memcpy(ip + 16, flow->world->bindings[SIM_TARGET].address[SIM_V4], 4);
	if (seg->ip_options)
		memset(ip + 20, 1, 4);
	return header;
}

static uint32_t put_ip6(const struct packet_flow *flow, const struct script_segment *seg,
			uint8_t *ip)
{
	uint32_t class = (uint32_t)((seg->tos < 0 ? 0 : seg->tos) | (seg->ecn < 0 ? 0 : seg->ecn));

	be_put32(ip, 6u << 28 | class << 20);
	ip[6] = 6;
	ip[7] = 64;
	memcpy(ip + 8, flow->world->bindings[SIM_PEER].address[SIM_V6], 16);
	memcpy(ip + 24, flow->world->bindings[SIM_TARGET].address[SIM_V6], 16);
	return IP6_BYTES;
}

static uint32_t put_ethernet(const struct packet_flow *flow, const struct script_segment *seg,
			     uint8_t *frame)
{
	static const uint8_t host[6] = { 2, 0, 0, 0, 0, 2 }, peer[6] = { 2, 0, 0, 0, 0, 1 };
	bool tagged = seg->vlan >= 0 || seg->priority >= 0 || flow->script->world.vlan;
	uint32_t id = seg->vlan >= 0 ? (uint32_t)seg->vlan : flow->script->world.vlan_id;
	uint32_t priority = seg->priority >= 0 ? (uint32_t)seg->priority : 0;
	uint32_t at = 12;

	memcpy(frame, host, 6);
	memcpy(frame + 6, peer, 6);
	if (tagged) {
		be_put16(frame + at, 0x8100);
		be_put16(frame + at + 2, priority << 13 | id);
		at += TAG_BYTES;
	}
	be_put16(frame + at, flow->script->conn.family == SIM_V4 ? 0x0800 : 0x86dd);
	return at + 2;
}

static void put_payload(const struct packet_flow *flow, const struct script_segment *seg,
			uint8_t *at)
{
	uint32_t offset = seg->seq - 1, before = 0;

	if (seg->garbage) {
		memset(at, 0xa5, seg->len);
		return;
	}
	/* A number in front of the stream (a keepalive probe) has no byte. */
	if ((int32_t)offset < 0 && seg->len > 0) {
		before = 0u - offset < seg->len ? 0u - offset : seg->len;
		memset(at, 0, before);
	}
	sim_pattern_fill(flow->sock->rx.key, (uint32_t)(offset + before), at + before,
			 seg->len - before);
}

static void finish(const struct script_segment *seg, struct nic_sim_packet *packet, uint32_t l3,
		   uint32_t l4)
{
	struct nic_sim_view view;

	if (packet->data[l3] >> 4 == 4)
		be_put16(packet->data + l3 + 2, packet->len - l3);
	else
		be_put16(packet->data + l3 + 4, packet->len - l3 - IP6_BYTES);
	if (nic_sim_view(packet->data, packet->len, &view))
		nic_sim_csum_fill(packet->data, &view);
	if (seg->bad_csum)
		packet->data[l4 + 16] ^= 0x55;
	if (seg->gro) {
		packet->gso_size = seg->gro;
		packet->gso_type = packet->data[l3] >> 4 == 4 ? NIC_GSO_TCP4 : NIC_GSO_TCP6;
	}
	if (seg->truncated)
		packet->len -= seg->len / 2 + 1;
}

struct nic_sim_packet *packet_build(const struct packet_flow *flow,
				    const struct script_segment *seg)
{
	struct nic_sim_packet *packet =
		nic_sim_packet_new(&flow->world->net, HEADERS_MAX + seg->len);
	uint32_t l3, l4, at;

	if (!packet)
		return NULL;
	memset(packet->data, 0, HEADERS_MAX);
	l3 = at = put_ethernet(flow, seg, packet->data);
	at += flow->script->conn.family == SIM_V4 ? put_ip4(flow, seg, packet->data + at)
						  : put_ip6(flow, seg, packet->data + at);
	l4 = at;
	at += put_tcp(flow, seg, packet->data + at);
	put_payload(flow, seg, packet->data + at);
	packet->len = at + seg->len;
	finish(seg, packet, l3, l4);
	return packet;
}

/* Reading. */

static void read_sacks(const struct packet_flow *flow, struct script_segment *seg,
		       const uint8_t *opt, uint32_t size)
{
	uint32_t at;

	for (at = 2; at + 8 <= size && seg->sacks < SCRIPT_SACKS; at += 8) {
		struct script_range *range = &seg->sack[seg->sacks++];

		range->start = from_wire(flow->sock->rcv_base, be_get32(opt + at));
		range->end = from_wire(flow->sock->rcv_base, be_get32(opt + at + 4));
	}
}

static void read_options(const struct packet_flow *flow, struct script_segment *seg,
			 const uint8_t *opt, uint32_t len)
{
	uint32_t at = 0, size;

	for (; at < len && opt[at] != 0; at += size) {
		size = opt[at] == 1 ? 1 : at + 1 < len ? opt[at + 1] : 0;
		if (size == 0 || at + size > len)
			return;
		if (opt[at] == 8 && size == 10) {
			seg->has_ts = true;
			seg->ts_val = be_get32(opt + at + 2);
			seg->ts_ecr = be_get32(opt + at + 6);
		} else if (opt[at] == 5) {
			read_sacks(flow, seg, opt + at, size);
		} else if (opt[at] != 1 && seg->raw_len + size <= SCRIPT_OPT_BYTES) {
			memcpy(seg->raw + seg->raw_len, opt + at, size);
			seg->raw_len += size;
		}
	}
}

static void read_network(struct script_segment *seg, const uint8_t *frame,
			 const struct nic_sim_view *view)
{
	const uint8_t *ip = frame + view->l3;
	uint32_t class = view->ip_version == 4 ? ip[1] : (be_get32(ip) >> 20 & 0xff);

	seg->ecn = (int)(class & 3);
	seg->tos = (int)(class & ~3u);
	seg->ttl = view->ip_version == 4 ? ip[8] : ip[7];
	seg->vlan = seg->priority = -1;
	if (be_get16(frame + 12) == 0x8100) {
		seg->vlan = (int)(be_get16(frame + 14) & 0xfff);
		seg->priority = (int)(be_get16(frame + 14) >> 13);
	}
}

static void read_tcp(const struct packet_flow *flow, struct script_segment *seg,
		     const uint8_t *frame, const struct nic_sim_view *view)
{
	const uint8_t *tcp = frame + view->l4;

	seg->flags = view->flags;
	seg->seq = from_wire(flow->sock->snd_base, view->seq);
	seg->len = view->payload_len;
	seg->has_ack = view->flags & NIC_SIM_ACK;
	seg->ack = seg->has_ack ? from_wire(flow->sock->rcv_base, view->ack) : 0;
	seg->has_win = true;
	seg->win = view->window;
	seg->urg = (uint16_t)be_get16(tcp + 18);
	read_options(flow, seg, tcp + TCP_BYTES, (tcp[12] >> 4) * 4u - TCP_BYTES);
}

struct packet_seen *packet_read(struct packet_flow *flow, const struct nic_sim_packet *packet)
{
	struct packet_seen *seen;
	struct nic_sim_view view;
	enum sim_side to;

	if (!nic_sim_view(packet->data, packet->len, &view) ||
	    !sim_world_conn_of(flow->world, &view, &to) || to != SIM_AT_PEER)
		return NULL;
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		return NULL;
	seen->at_us = sim_world_now(flow->world);
	read_network(&seen->seg, packet->data, &view);
	read_tcp(flow, &seen->seg, packet->data, &view);
	seen->sound = nic_sim_csum_ok(packet->data, &view);
	seen->data_ok = sim_pattern_check(flow->sock->tx.key, (uint32_t)(seen->seg.seq - 1),
					  packet->data + view.payload,
					  view.payload_len) == view.payload_len;
	if (seen->seg.has_ts)
		flow->ts_echo = seen->seg.ts_val;
	return seen;
}

static void add(char *out, size_t room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *out, size_t room, const char *fmt, ...)
{
	size_t used = strlen(out);
	va_list args;

	va_start(args, fmt);
	vsnprintf(out + used, room - used, fmt, args);
	va_end(args);
}

void packet_text(const struct script_segment *seg, char *out, size_t room)
{
	static const char letters[] = "FSRP.UEW";
	unsigned int i;

	*out = 0;
	for (i = 0; i < 8; i++) {
		if (seg->flags & 1u << i)
			add(out, room, "%c", letters[i]);
	}
	add(out, room, " %u:%u(%u)", seg->seq, seg->seq + seg->len, seg->len);
	if (seg->has_ack)
		add(out, room, " ack %u", seg->ack);
	if (seg->has_win)
		add(out, room, " win %u", seg->win);
	if (seg->has_ts)
		add(out, room, " TS val %u ecr %u", seg->ts_val, seg->ts_ecr);
	for (i = 0; i < seg->sacks; i++)
		add(out, room, " %s%u:%u", i ? "" : "sack ", seg->sack[i].start, seg->sack[i].end);
	if (seg->ecn > 0)
		add(out, room, " [ecn %d]", seg->ecn);
	if (seg->vlan >= 0)
		add(out, room, " [vlan %d][priority %d]", seg->vlan, seg->priority);
}
