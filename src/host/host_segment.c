/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_segment.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "base/be.h"
#include "base/clock.h"
#include "base/csum.h"

#define TCP_HDR_BYTES 20u
#define IP4_HDR_BYTES 20u
#define IP6_HDR_BYTES 40u

static void put_tcp(uint8_t *tcp, const struct steer_flow *flow, const struct host_segment *seg)
{
	struct csum c = { 0 };
	uint16_t check;

	memset(tcp, 0, TCP_HDR_BYTES);
	memcpy(tcp, &flow->remote_port_be, 2);
	memcpy(tcp + 2, &flow->local_port_be, 2);
	be_put32(tcp + 4, seg->seq);
	be_put32(tcp + 8, seg->ack);
	tcp[12] = (TCP_HDR_BYTES / 4) << 4;
	tcp[13] = seg->flags;
	be_put16(tcp + 14, seg->wnd_raw);
	if (flow->family == AF_INET)
		csum_pseudo4(&c, flow->remote, flow->local, IPPROTO_TCP, TCP_HDR_BYTES);
	else
		csum_pseudo6(&c, flow->remote, flow->local, IPPROTO_TCP, TCP_HDR_BYTES);
	csum_add(&c, tcp, TCP_HDR_BYTES);
	check = csum_final(&c);
	memcpy(tcp + 16, &check, 2);
}

static void put_ip4(uint8_t *ip, const struct steer_flow *flow)
{
	struct csum c = { 0 };
	uint16_t check;

	memset(ip, 0, IP4_HDR_BYTES);
	ip[0] = 0x45;
	be_put16(ip + 2, IP4_HDR_BYTES + TCP_HDR_BYTES);
	ip[6] = 0x40; /* do not fragment */
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, flow->remote, 4);
	memcpy(ip + 16, flow->local, 4);
	csum_add(&c, ip, IP4_HDR_BYTES);
	check = csum_final(&c);
	memcpy(ip + 10, &check, 2);
}

static void put_ip6(uint8_t *ip, const struct steer_flow *flow)
{
	memset(ip, 0, IP6_HDR_BYTES);
	ip[0] = 0x60;
	be_put16(ip + 4, TCP_HDR_BYTES);
	ip[6] = IPPROTO_TCP;
	ip[7] = 64;
	memcpy(ip + 8, flow->remote, 16);
	memcpy(ip + 24, flow->local, 16);
}

uint32_t host_segment_build(uint8_t frame[HOST_SEGMENT_MAX], const struct steer_flow *flow,
			    const uint8_t mac_to[6], const uint8_t mac_from[6],
			    const struct host_segment *seg)
{
	bool v4 = flow->family == AF_INET;
	uint32_t ip_bytes = v4 ? IP4_HDR_BYTES : IP6_HDR_BYTES;

	memcpy(frame, mac_to, 6);
	memcpy(frame + 6, mac_from, 6);
	be_put16(frame + 12, v4 ? ETH_P_IP : ETH_P_IPV6);
	if (v4)
		put_ip4(frame + ETH_HLEN, flow);
	else
		put_ip6(frame + ETH_HLEN, flow);
	put_tcp(frame + ETH_HLEN + ip_bytes, flow, seg);
	return ETH_HLEN + ip_bytes + TCP_HDR_BYTES;
}

/* TCP header offset of an IPv4 packet at ip; 0: none. */
static uint32_t parse_ip4(const uint8_t *ip, uint32_t len, struct steer_flow *flow)
{
	uint32_t hdr = (ip[0] & 15u) * 4u;

	if (len < IP4_HDR_BYTES || hdr < IP4_HDR_BYTES || len < hdr || ip[9] != IPPROTO_TCP)
		return 0;
	if ((ip[6] & 0x3f) || ip[7])
		return 0; /* a fragment */
	flow->family = AF_INET;
	memcpy(flow->remote, ip + 12, 4);
	memcpy(flow->local, ip + 16, 4);
	return hdr;
}

static uint32_t parse_ip6(const uint8_t *ip, uint32_t len, struct steer_flow *flow)
{
	if (len < IP6_HDR_BYTES || ip[6] != IPPROTO_TCP)
		return 0; /* extension headers: the kernel's business */
	flow->family = AF_INET6;
	memcpy(flow->remote, ip + 8, 16);
	memcpy(flow->local, ip + 24, 16);
	return IP6_HDR_BYTES;
}

uint32_t host_segment_parse(const uint8_t *frame, uint32_t len, struct steer_flow *flow)
{
	const uint8_t *ip = frame + ETH_HLEN;
	uint32_t hdr = 0;

	memset(flow, 0, sizeof(*flow));
	if (len < ETH_HLEN + IP4_HDR_BYTES)
		return 0;
	len -= ETH_HLEN;
	if (frame[12] == ETH_P_IP >> 8 && frame[13] == (ETH_P_IP & 255))
		hdr = parse_ip4(ip, len, flow);
	else if (frame[12] == ETH_P_IPV6 >> 8 && frame[13] == (ETH_P_IPV6 & 255))
		hdr = parse_ip6(ip, len, flow);
	if (hdr == 0 || len < hdr + TCP_HDR_BYTES)
		return 0;
	memcpy(&flow->remote_port_be, ip + hdr, 2);
	memcpy(&flow->local_port_be, ip + hdr + 2, 2);
	return ETH_HLEN + hdr;
}

static int indicate(struct nic *nic, const struct steer_flow *flow, const uint8_t mac_from[6],
		    const struct host_segment *seg)
{
	uint8_t bytes[HOST_SEGMENT_MAX];
	struct nic_rx_frame frame = { .data = bytes };

	frame.len = host_segment_build(bytes, flow, nic_info(nic)->mac, mac_from, seg);
	return nic_indicate(nic, &frame);
}

static uint16_t raw_window(const struct host_image *image)
{
	uint32_t raw = image->snd_wnd_bytes >> (image->wscale ? image->snd_wscale : 0);

	return (uint16_t)(raw > 0xFFFF ? 0xFFFF : raw);
}

/*
 * The kernel takes the frame in softirq context, normally before nic_indicate() returns; another
 * processor may do it. There is no event for every change of state, so look again after short
 * waits on the socket's own events.
 */
static int wait_state(const struct host_socket *sock, uint32_t wanted_mask)
{
	uint64_t end_us = clock_monotonic_us() + HOST_REPLAY_MS * 1000u;

	for (;;) {
		int state = host_repair_state(sock);
		struct pollfd none = { .fd = -1 };

		if (state < 0)
			return state;
		if (wanted_mask & 1u << state)
			return 0;
		if (clock_monotonic_us() >= end_us)
			return -ETIMEDOUT;
		poll(&none, 1, 1);
	}
}

/* The kernel's socket is closed when TIME_WAIT is kept: that has an object of its own. */
static uint32_t wanted_states(const struct host_image *image)
{
	if (host_image_fin_after_peer(image)) /* the later ones: it is done again */
		return 1u << HOST_TCP_CLOSE_WAIT | 1u << HOST_TCP_LAST_ACK | 1u << HOST_TCP_CLOSE;
	if (image->state == HOST_TCP_TIME_WAIT)
		return 1u << HOST_TCP_CLOSE | 1u << HOST_TCP_TIME_WAIT;
	return 1u << image->state;
}

/*
 * Our FIN where it follows the peer's, and the acknowledgment of it where there was one. A segment
 * that is dropped on its way out does not count as sent, and its acknowledgment would be refused:
 * one that the peer has acknowledged already is written in repair mode, where nothing leaves.
 */
static int finish_ours(struct nic *nic, struct host_socket *sock, const struct steer_flow *flow,
		       const uint8_t mac_from[6], const struct host_image *image)
{
	struct host_segment ack = {
		.seq = image->rcv_nxt,
		.ack = image->snd_una,
		.flags = HOST_TH_ACK,
		.wnd_raw = raw_window(image),
	};
	int err;

	if (!image->fin_acked)
		return shutdown(sock->fd, SHUT_WR) < 0 ? -errno : 0;
	err = host_repair_fin(sock);
	if (err)
		return err;
	err = indicate(nic, flow, mac_from, &ack);
	return err ? err : wait_state(sock, 1u << HOST_TCP_CLOSE);
}

/*
 * The window probe with which the kernel leaves repair mode tells the window that it would like to
 * give, and is then sure that the peer knows it. But its sequence number is an old one, so a peer
 * drops it: one that waits for a window would go on waiting, for its own next probe. A keepalive
 * of the peer's gets a true answer out of the kernel.
 */
static int tell_window(struct nic *nic, const struct steer_flow *flow, const uint8_t mac_from[6],
		       const struct host_image *image)
{
	struct host_segment ask = {
		.seq = image->rcv_nxt - 1,
		.ack = image->snd_una,
		.flags = HOST_TH_ACK,
		.wnd_raw = raw_window(image),
	};

	return image->rcv_wnd_bytes < 2u * image->mss_bytes ? indicate(nic, flow, mac_from, &ask)
							    : 0;
}

int host_segment_replay(struct nic *nic, struct host_socket *sock, const struct steer_flow *flow,
			const uint8_t mac_from[6], const struct host_image *image)
{
	struct host_segment seg = {
		.seq = image->rcv_nxt,
		.ack = image->snd_una,
		.flags = HOST_TH_ACK,
		.wnd_raw = raw_window(image),
	};
	bool passive = host_image_fin_after_peer(image);
	int err;

	if (image->fin_received) {
		seg.seq--;
		seg.flags |= HOST_TH_FIN;
		if (passive && image->fin_acked)
			seg.ack--; /* ours is sent only below */
	} else if (!image->fin_acked) {
		return tell_window(nic, flow, mac_from, image);
	}
	err = indicate(nic, flow, mac_from, &seg);
	if (!err)
		err = wait_state(sock, wanted_states(image));
	return err || !passive ? err : finish_ours(nic, sock, flow, mac_from, image);
}

int host_segment_reset(struct nic *nic, const struct host_socket *sock,
		       const struct steer_flow *flow, const uint8_t mac_from[6],
		       const struct host_image *image)
{
	struct host_segment seg = { .seq = image->rcv_nxt,
				    .ack = image->snd_una,
				    .flags = HOST_TH_RST | HOST_TH_ACK };
	int err;

	if (image->fin_received)
		seg.seq--;
	err = indicate(nic, flow, mac_from, &seg);
	return err ? err : wait_state(sock, 1u << HOST_TCP_CLOSE);
}

static void flow_end(const struct sockaddr_storage *ss, uint8_t *family, uint8_t addr[16],
		     uint16_t *port_be)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		*family = AF_INET;
		memcpy(addr, &in->sin_addr, 4);
		*port_be = in->sin_port;
		return;
	}
	*port_be = in6->sin6_port;
	*family = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? AF_INET : AF_INET6;
	if (*family == AF_INET)
		memcpy(addr, &in6->sin6_addr.s6_addr[12], 4);
	else
		memcpy(addr, &in6->sin6_addr, 16);
}

void host_segment_flow(const struct host_socket *sock, struct steer_flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow_end(&sock->remote, &flow->family, flow->remote, &flow->remote_port_be);
	flow_end(&sock->local, &flow->family, flow->local, &flow->local_port_be);
}
