/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fact_net - the small network in which facts are tried, and small tools on it.
 *
 *      namespace a ("ours")                     namespace b ("the peer")
 *      10.77.0.1, fd77::1  if_a ---- veth ---- if_b  10.77.0.2, fd77::2
 *
 * All of it lives in this process. Silence is proved without waiting: a marker is sent behind
 * whatever might have been sent, and a capture on the wire is read up to the marker.
 */
#ifndef TESTS_KERNEL_FACT_NET_H
#define TESTS_KERNEL_FACT_NET_H

#include <linux/if_ether.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "fact.h"
#include "netns/netns.h"
#include "steer/steer.h"

/* linux/tcp.h has the newer options and structures, but not the states. */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};

#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP -1
#endif

struct fact_net {
	struct netns a, b;
	char if_a[16], if_b[16];
	uint8_t mac_a[6], mac_b[6];
};

/* fact_net_open() - builds the network and enters a; skips the program where that is forbidden. */
void fact_net_open(struct fact_net *net);
void fact_net_close(struct fact_net *net);

/* A connection between the two namespaces; blocking sockets. */
struct fact_pair {
	int family;
	int a, b;     /* the two ends */
	int listener; /* open while the pair is, -1 when closed early */
	struct sockaddr_storage addr_a, addr_b;
	socklen_t addr_len;
};
/* fact_pair_open() - b connects to a; fact_pair_dial() - a connects to b. Listener closed. */
void fact_pair_open(const struct fact_net *net, int family, struct fact_pair *pair);
void fact_pair_dial(const struct fact_net *net, int family, struct fact_pair *pair);
/* fact_pair_listen() - as fact_pair_open(), but the listener stays. */
void fact_pair_listen(const struct fact_net *net, int family, struct fact_pair *pair);
void fact_pair_close(struct fact_pair *pair);
/* fact_check_both_ways() - both ends send and receive n bytes. */
void fact_check_both_ways(const struct fact_pair *pair, size_t n);
struct steer_flow fact_pair_flow(const struct fact_pair *pair); /* as a sees it */

/* fact_socket() - TCP socket in ns. */
int fact_socket(const struct netns *ns, int family);

/*
 * fact_settle() - what was sent before, in either direction, has been received: a datagram went
 * there and back behind it.
 */
void fact_settle(const struct fact_net *net);
int fact_unread(int fd); /* bytes in the receive queue */

bool fact_wait(int fd, short events); /* poll() up to FACT_WAIT_MS */
void fact_write_all(int fd, const void *data, size_t len);
void fact_read_all(int fd, void *data, size_t len);
void fact_fill(uint8_t *data, size_t len, uint32_t seed);
int fact_so_error(int fd);
int fact_tcp_state(int fd); /* enum TCP_* of TCP_INFO */
/* fact_await_state() - returns as soon as the state is there (an ACK may be delayed by 40 ms). */
void fact_await_state(int fd, int state);

/* A capture of one interface: all frames in and out, before any ingress hook. */
struct fact_cap {
	int fd;
	int ifindex;
};
struct fact_seen { /* counted TCP segments of one connection, by direction from a to b */
	unsigned from_a, from_b, rst_from_a, rst_from_b, fin_from_a, fin_from_b;
	unsigned largest_payload_from_a;
};
void fact_cap_open(struct fact_cap *cap, const struct netns *ns, const char *ifname,
		   uint16_t ether_proto);
/*
 * fact_cap_until_marker() - sends a UDP marker from a to b and counts what was captured before it.
 * cap must be on if_b (frames arrive there in order).
 */
struct fact_seen fact_cap_until_marker(struct fact_cap *cap, const struct fact_net *net,
				       const struct fact_pair *pair);
/* fact_cap_next() - next TCP segment of the connection, or false after FACT_WAIT_MS. */
struct fact_seg {
	bool from_a;
	uint32_t seq, ack;
	uint8_t flags; /* TH_* */
	unsigned payload_len;
	unsigned frame_len;
};
bool fact_cap_next(struct fact_cap *cap, const struct fact_pair *pair, struct fact_seg *seg);

#define FACT_FIN 0x01u
#define FACT_SYN 0x02u
#define FACT_RST 0x04u
#define FACT_PSH 0x08u
#define FACT_ACK 0x10u

/* fact_build_segment() - a TCP segment in an Ethernet frame, checksums valid; returns length. */
size_t fact_build_segment(uint8_t *frame, const struct fact_net *net, const struct fact_pair *pair,
			  bool from_a, uint32_t seq, uint32_t ack, uint8_t flags,
			  const uint8_t ts[10], const void *payload, size_t len);

/* All that TCP_REPAIR says of a connection. */
struct fact_repair {
	uint32_t snd_seq, rcv_seq; /* write_seq and rcv_nxt */
	struct tcp_repair_window window;
	struct tcp_info info;
	uint32_t timestamp;
	int mss;
	uint8_t snd_queue[65536], rcv_queue[65536];
	int snd_len, unsent_len, rcv_len;
};
void fact_repair_on(int fd);
void fact_repair_off(int fd);                         /* without window probe */
void fact_repair_read(int fd, struct fact_repair *r); /* fd in repair mode */
/*
 * fact_repair_restore() - a fresh or disconnected socket in repair mode becomes the connection, up
 * to its send queue (sent part refilled inside repair); still in repair mode when it returns.
 * snd_back, rcv_back: how many bytes earlier the sequences start (half-closed restores).
 */
void fact_repair_restore(int fd, const struct fact_pair *pair, bool end_a,
			 const struct fact_repair *r, uint32_t snd_back, uint32_t rcv_back);
void fact_drop_all_filter(int fd);
void fact_no_filter(int fd);
void fact_disconnect(int fd); /* connect(AF_UNSPEC) */

/* fact_arrive() - frame arrives on if_a as if the peer's host had sent it. */
void fact_arrive(const struct fact_net *net, const void *frame, size_t len);
/* fact_leave() - frame leaves if_a, past the kernel's own TCP. */
void fact_leave(const struct fact_net *net, const void *frame, size_t len);

/*
 * Steering of if_a to a TAP, both closed by fact_steer_close(). Without /dev/net/tun, or when
 * fact_use_veth is set, the TAP is a veth pair.
 */
extern bool fact_use_veth;
struct nic;
struct fact_steer {
	struct nic *nic;
	struct steer *st;
	struct steer_config config;
	char tap[16];
};
void fact_steer_open(const struct fact_net *net, struct fact_steer *s);
void fact_steer_close(struct fact_steer *s);

#endif
