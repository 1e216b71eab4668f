/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only the kernel can make sense of: fragments and IP options of an offloaded connection, and
 * the identifications of what it fragments itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/be.h"
#include "base/csum.h"
#include "host_spy_rig.h"
#include "req.h"

#define PEER4      "10.78.0.2"
#define PEER6      "fd78::2"
#define DATA_BYTES 1000u

/* ---- the peer's segment, sent by us -------------------------------------------------------- */

/* A lossy wire: whole segments to that port are lost, what is odd about them gets through. */
static void lose_whole_segments(const struct rig_conn *c, bool on)
{
	const char *plain = c->conn->info.flow.family == AF_INET
				    ? "ip hdrlength 5 ip frag-off and 0x3fff == 0"
				    : "ip6 nexthdr tcp";
	char command[512];

	if (on)
		snprintf(command, sizeof(command),
			 "nft 'add table netdev lossy; add chain netdev lossy in { type filter "
			 "hook ingress device %s priority 0; }; add rule netdev lossy in %s "
			 "tcp dport %u drop'",
			 rig.net.if_a, plain, ntohs(c->conn->info.flow.local_port_be));
	else
		snprintf(command, sizeof(command), "nft delete table netdev lossy");
	assert_int_equal(0, system(command));
}

static void query_over(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct rig_conn *c = ctx;

	(void)conn;
	(void)why;
	c->err = err;
	c->done = true;
}

static struct host_query_result ask(struct rig_conn *c)
{
	struct host_query_result result;

	c->done = false;
	assert_int_equal(0, host_conn_query(c->conn, &result, query_over, c));
	RIG_RUN(c, rig_done);
	assert_int_equal(0, c->err);
	return result;
}

/* TCP header with timestamps and the next bytes of the peer. Returns its length. */
static uint32_t put_segment(struct rig_conn *c, uint8_t *tcp)
{
	const struct steer_flow *flow = &c->conn->info.flow;
	struct host_query_result at = ask(c);
	uint32_t ts = 0, len = 32 + DATA_BYTES;
	socklen_t ts_len = sizeof(ts);
	struct csum sum = { 0 };
	uint16_t check;

	assert_int_equal(0, getsockopt(c->pair.b, IPPROTO_TCP, TCP_TIMESTAMP, &ts, &ts_len));
	memset(tcp, 0, 32);
	memcpy(tcp, &flow->remote_port_be, 2);
	memcpy(tcp + 2, &flow->local_port_be, 2);
	be_put32(tcp + 4, at.rcv_nxt);
	be_put32(tcp + 8, at.snd_una);
	tcp[12] = 8 << 4;
	tcp[13] = 0x18;
	be_put16(tcp + 14, 500);
	memcpy(tcp + 20, (uint8_t[]){ 1, 1, 8, 10 }, 4);
	be_put32(tcp + 24, ts);
	for (uint32_t i = 0; i < DATA_BYTES; i++)
		tcp[32 + i] = test_byte(c->own.rx_seed, c->own.rcvd + i);
	if (flow->family == AF_INET)
		csum_pseudo4(&sum, flow->remote, flow->local, IPPROTO_TCP, len);
	else
		csum_pseudo6(&sum, flow->remote, flow->local, IPPROTO_TCP, len);
	csum_add(&sum, tcp, len);
	check = csum_final(&sum);
	memcpy(tcp + 16, &check, 2);
	return len;
}

static void send_frame(const uint8_t *ip, uint32_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	uint8_t frame[2048];
	int fd = netns_socket(&rig.net.b, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	to.sll_ifindex = netns_ifindex(&rig.net.b, rig.net.if_b);
	memcpy(frame, rig.net.mac_a, 6);
	memcpy(frame + 6, rig.net.mac_b, 6);
	be_put16(frame + 12, ip[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
	memcpy(frame + 14, ip, len);
	assert_int_equal(len + 14,
			 sendto(fd, frame, len + 14, 0, (struct sockaddr *)&to, sizeof(to)));
	close(fd);
}

/* options: bytes of IP options, a multiple of 4. */
static void send4(const struct steer_flow *flow, uint16_t frag_off, uint32_t options,
		  const uint8_t *payload, uint32_t len)
{
	uint8_t ip[2048] = { 0 };
	uint32_t hdr = 20 + options;
	struct csum sum = { 0 };
	uint16_t check;

	ip[0] = (uint8_t)(0x40 | hdr / 4);
	be_put16(ip + 2, hdr + len);
	be_put16(ip + 4, 4711);
	be_put16(ip + 6, frag_off);
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, flow->remote, 4);
	memcpy(ip + 16, flow->local, 4);
	memset(ip + 20, 1, options); /* no operation */
	csum_add(&sum, ip, hdr);
	check = csum_final(&sum);
	memcpy(ip + 10, &check, 2);
	memcpy(ip + hdr, payload, len);
	send_frame(ip, hdr + len);
}

static void send6_fragment(const struct steer_flow *flow, uint16_t frag_off, const uint8_t *payload,
			   uint32_t len)
{
	uint8_t ip[2048] = { 0x60 };

	be_put16(ip + 4, 8 + len);
	ip[6] = IPPROTO_FRAGMENT;
	ip[7] = 64;
	memcpy(ip + 8, flow->remote, 16);
	memcpy(ip + 24, flow->local, 16);
	ip[40] = IPPROTO_TCP;
	be_put16(ip + 42, frag_off);
	be_put32(ip + 44, 4711);
	memcpy(ip + 48, payload, len);
	send_frame(ip, 48 + len);
}

/* The last part first. */
static void send_fragments(const struct steer_flow *flow, const uint8_t *tcp, uint32_t len)
{
	uint32_t half = 504;

	if (flow->family == AF_INET) {
		send4(flow, (uint16_t)(half / 8), 0, tcp + half, len - half);
		send4(flow, 0x2000, 0, tcp, half);
	} else {
		send6_fragment(flow, (uint16_t)half, tcp + half, len - half);
		send6_fragment(flow, 1, tcp, half);
	}
}

/* ---- segments that the kernel looks at first ----------------------------------------------- */

static void begin(struct rig_conn *c, int family, uint32_t seed)
{
	rig_connect(&rig, c, family, seed);
	rig_transfer(c, 10000);
	assert_int_equal(0, rig_offload(c));
}

static void part_ways(struct rig_conn *c)
{
	lose_whole_segments(c, true);
	c->peer.goal += DATA_BYTES;
	WAIT(c, c->peer.sent == c->peer.goal);
	rounds(c, 20);
	assert_int_equal(c->peer.sent - DATA_BYTES, c->own.rcvd); /* lost */
}

static void join_ways(struct rig_conn *c)
{
	lose_whole_segments(c, false);
	rig_transfer(c, 10000);
	assert_int_equal(HOST_CONN_OFFLOADED, place(c));
	back_and_away(c);
}

static void fragments_are_forwarded(void **state)
{
	uint8_t tcp[32 + DATA_BYTES];
	struct host_adapter_info before, now;

	(void)state;
	NEED_RIG();
	for (int turn = 0; turn < 2; turn++) {
		struct rig_conn c;
		uint32_t len;

		begin(&c, turn ? AF_INET6 : AF_INET, 100 + 10 * (uint32_t)turn);
		part_ways(&c);
		host_adapter_info(rig.adapter, &before);
		len = put_segment(&c, tcp);
		tcp[40] ^= 1; /* damaged on its way: nobody may believe it */
		send_fragments(&c.conn->info.flow, tcp, len);
		rounds(&c, 20);
		assert_int_equal(c.peer.sent - DATA_BYTES, c.own.rcvd);
		tcp[40] ^= 1;
		spy.forwards = 0;
		send_fragments(&c.conn->info.flow, tcp, len);
		WAIT(&c, c.own.rcvd == c.peer.sent);
		host_adapter_info(rig.adapter, &now);
		REQ("NSP-02", spy.forwards == 1 && now.forwarded == before.forwarded + 1);
		join_ways(&c);
	}
}

static uint64_t given_to_kernel(void)
{
	struct nic_stats stats;

	nic_stats(rig.net.nic, &stats);
	return stats.indicated_frames;
}

static void options_are_forwarded(void **state)
{
	struct host_adapter_info before, now;
	uint8_t tcp[32 + DATA_BYTES];
	struct rig_conn c;
	uint64_t given;
	uint32_t len;

	(void)state;
	NEED_RIG();
	begin(&c, AF_INET, 140);
	part_ways(&c);
	host_adapter_info(rig.adapter, &before);
	given = given_to_kernel();
	len = put_segment(&c, tcp);
	send4(&c.conn->info.flow, 0, 8, tcp, len);
	WAIT(&c, c.own.rcvd == c.peer.sent);
	host_adapter_info(rig.adapter, &now);
	/* by way of the target, which does not look at it, and the kernel, which does */
	REQ("NSP-05", spy.forwards == 1 && given_to_kernel() == given + 1 &&
			      now.forwarded == before.forwarded + 1);
	join_ways(&c);
}

/* ---- identifications ----------------------------------------------------------------------- */

static int open_sniffer(void)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = netns_socket(&rig.net.b, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	ll.sll_ifindex = netns_ifindex(&rig.net.b, rig.net.if_b);
	assert_true(fd >= 0);
	assert_int_equal(0, bind(fd, (struct sockaddr *)&ll, sizeof(ll)));
	return fd;
}

static socklen_t peer_addr(int family, struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	to->ss_family = (sa_family_t)family;
	in->sin_port = htons(9); /* the same place in both */
	assert_int_equal(
		1, inet_pton(family, family == AF_INET ? PEER4 : PEER6,
			     family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr));
	return family == AF_INET ? sizeof(*in) : sizeof(*in6);
}

/* Each connected socket begins its numbers somewhere else. */
static void send_large_datagram(int family)
{
	static const uint8_t data[4000];
	struct sockaddr_storage to;
	socklen_t len = peer_addr(family, &to);
	int dont = IP_PMTUDISC_DONT;
	int fd = netns_socket(&rig.net.a, family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont));
	assert_int_equal(0, connect(fd, (struct sockaddr *)&to, len));
	assert_int_equal(sizeof(data), send(fd, data, sizeof(data), 0));
	close(fd);
}

static struct {
	unsigned int fragments4, fragments6, segments;
	bool upper, bad_sum, lower_segment;
} seen;

static void look_at(const uint8_t *f, ssize_t len)
{
	const uint8_t *ip = f + 14;

	if (len >= 62 && be_get16(f + 12) == ETH_P_IPV6 && ip[6] == IPPROTO_FRAGMENT) {
		seen.fragments6++;
		seen.upper |= ip[44] >= 0x80;
	}
	if (len < 34 || be_get16(f + 12) != ETH_P_IP)
		return;
	if (be_get16(ip + 6) & 0x3fff) {
		seen.fragments4++;
		seen.upper |= ip[4] >= 0x80;
		seen.bad_sum |= csum_ip4(ip) != 0;
	} else if (ip[9] == IPPROTO_TCP) {
		seen.segments++;
		seen.lower_segment |= ip[4] < 0x80;
	}
}

static void look(int sniffer)
{
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	uint8_t f[65536];
	ssize_t n;

	while ((n = recvfrom(sniffer, f, sizeof(f), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len)) > 0) {
		if (from.sll_pkttype != PACKET_OUTGOING)
			look_at(f, n);
		from_len = sizeof(from);
	}
}

static void kernel_keeps_to_lower_half(void **state)
{
	struct rig_conn c;
	int sniffer;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 160);
	sniffer = open_sniffer();
	memset(&seen, 0, sizeof(seen));
	for (unsigned int i = 0; i < 32; i++) {
		send_large_datagram(AF_INET);
		send_large_datagram(AF_INET6);
		look(sniffer);
	}
	rig_transfer(&c, 50000);
	look(sniffer);
	close(sniffer);
	assert_true(seen.fragments4 == 96 && seen.fragments6 == 96 && seen.segments > 1);
	REQ("IPI-05", !seen.upper && !seen.bad_sum);
	REQ("IPI-03", !seen.lower_segment); /* what the target chose is left alone */
	back_and_away(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fragments_are_forwarded, fresh),
		cmocka_unit_test_setup(options_are_forwarded, fresh),
		cmocka_unit_test_setup(kernel_keeps_to_lower_half, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
