/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd.h - packetdrill's sockets over an offloaded connection in virtual time.
 *
 * packetdrill loads this library (--so_filename) and calls it instead of the kernel. The library
 * owns a simulated world (sim_world.h) with nobody at the other end of the wire: what the script
 * injects goes on the wire to the host, what the host sends is what packetdrill sniffs. Listening,
 * the handshake and the socket calls are played here; a connection that has become ESTABLISHED goes
 * down to the target with NdisInitiateOffload at once, before the script's next line.
 *
 *     packetdrill -- calls --> pd_call, pd_opt, pd_poll --> pd_conn --> sim_sock --> NDIS --> target
 *         |                                                   ^                             |
 *         +---- segments ------> pd_main --> pd_wire ---------+---- the world's wire -------+
 *
 * Threads: packetdrill has two, one for blocking calls. One lock (struct pd) covers everything here;
 * only the thread that loaded the library moves the clock, see pd_main.c.
 */
#ifndef TESTS_PACKETDRILL_PD_H
#define TESTS_PACKETDRILL_PD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sim/sim_sock.h"
#include "target/tgt_conn.h"

enum {
	PD_FD_BASE = 1000, /* descriptors that are ours; the real ones of the process are below */
	PD_SOCKS = 64,
	PD_CONNS = 16,
	PD_WATCHES = 16,
	PD_ETH_BYTES = 14,
	PD_PACKET_MAX = 65535 + PD_ETH_BYTES,
};

enum pd_kind { PD_NONE, PD_TCP, PD_EPOLL };

enum pd_state {
	PD_CLOSED, /* fresh or bound */
	PD_LISTEN,
	PD_SYN_SENT,
	PD_SYN_RCVD, /* child of a listener */
	PD_LIVE,     /* has a sim_sock: offloaded, or what became of it */
	PD_DEAD,     /* the connection attempt failed */
};

/* Options that a socket keeps; children of a listener inherit them. */
struct pd_options {
	bool nonblock, nodelay, cork, keepalive, linger, reuse, defer_ecn;
	int linger_s;
	uint32_t rcv_buf_bytes, snd_buf_bytes; /* 0: from the sysctls */
	uint32_t mss_clamp;
	uint32_t user_timeout_ms;
	uint32_t ka_idle_s, ka_interval_s, ka_probes;
	uint32_t notsent_lowat;
	int lowat;
	uint8_t tos, ttl;
	bool inq;
	int mtu_discover;
};

struct pd_watch {
	int fd; /* -1: free */
	struct epoll_event event;
	uint32_t told; /* edge triggered: what was reported and has not gone since */
	uint64_t told_progress;
	bool spent; /* one shot */
};

/* What the handshake agreed. Sequence numbers are those of the SYNs. */
struct pd_shake {
	uint32_t iss, irs;
	uint32_t peer_ts, echo_ts;
	uint16_t peer_mss, peer_wnd;
	int peer_wscale; /* -1: none offered */
	bool timestamps, sack, ecn;
	uint64_t sent_us;
};

struct pd_sock {
	enum pd_kind kind;
	enum pd_state state;
	int fd;
	bool open; /* the program holds it; else it only waits for its connection to end */
	struct sockaddr_storage local, remote;
	struct pd_options opt;
	struct pd_shake shake;
	/* listener */
	struct pd_sock *parent;
	bool acceptable; /* child: established, not accepted yet */
	/* connection */
	struct sim_conn *conn;
	struct sim_sock *sock;
	uint8_t *rx; /* given by the target, not read by the program yet */
	size_t rx_bytes, rx_room;
	uint64_t written; /* bytes the program wrote */
	uint32_t held;    /* of those, the tail that MSG_MORE or TCP_CORK keeps back */
	struct sim_timer cork_timer;
	int error; /* pending SO_ERROR */
	bool error_told;
	bool shut_rd, shut_wr;
	bool swallow_first; /* the target's announcing acknowledgment is still to come */
	uint32_t last_ack_wnd;
	uint64_t progress;                  /* grows with every event a poller could care for */
	uint32_t segments_in, segments_out; /* through the target */
	uint64_t last_data_rx_us;
	uint32_t rcv_mss;
	/* epoll */
	struct pd_watch watches[PD_WATCHES];
};

/* A call that may block. Its work is done by the thread that moves the clock. */
struct pd_waiter {
	bool (*attempt)(void *ctx); /* true: the call is complete */
	void *ctx;
	uint64_t until_us; /* virtual time; UINT64_MAX: no limit */
	struct pd_waiter *next;
	bool done, go;
};

/* A packet that left, as it is on a wire without link layer. */
struct pd_packet {
	struct pd_packet *next;
	uint64_t at_us;
	size_t len;
	uint8_t data[];
};

struct pd_counts {
	unsigned int offloads, uploads, starts_swallowed;
	uint64_t segments_in, segments_out;   /* through an offloaded connection */
	uint64_t handshake_in, handshake_out; /* played here */
	uint64_t other_in;                    /* neither: reset, ICMP, for nobody */
	uint64_t after_end;                   /* of a connection that came to its end */
	uint64_t kernel_segments;             /* after an upload in mid-life */
};

struct pd {
	struct sim_world *world;
	struct nic_sim_node node; /* the other end of the wire */
	struct pd_packet *out, **out_tail;
	struct pd_sock socks[PD_SOCKS];
	struct pd_sock *conn_owner[PD_CONNS]; /* by the number of the connection */
	struct pd_counts counts;
	uint16_t next_port;
	uint32_t next_iss;
};

extern struct pd pd;

/* pd_main.c */
void pd_lock(void);
void pd_unlock(void);
uint64_t pd_now_us(void);
/* pd_settle() - do what is due now. */
void pd_settle(void);
/*
 * pd_wait() - have attempt(ctx) called until it returns true, for at most timeout_ms of virtual time
 * (-1: for ever; 0: once). In the thread that moves the clock this moves it. False: in vain.
 */
bool pd_wait(bool (*attempt)(void *ctx), void *ctx, int timeout_ms);
/* pd_emit() - a packet has left the host; takes a copy. */
void pd_emit(const uint8_t *packet, size_t len);
/* pd_fail() - something that must not happen: say it and end the process. */
void pd_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* pd_sysctl() - number n of a net.ipv4 sysctl of this network namespace. */
long pd_sysctl(const char *name, unsigned int n, long otherwise);

/* pd_wire.c */
struct pd_segment {
	const uint8_t *packet;
	size_t len;
	bool v6;
	const uint8_t *src, *dst;
	uint16_t src_port, dst_port;
	uint32_t seq, ack, payload_len;
	uint16_t window;
	uint8_t flags;
	uint8_t ecn;
	uint16_t mss; /* 0: not said */
	int wscale;   /* -1: not said */
	bool sack_ok, has_ts;
	uint32_t ts_val, ts_ecr;
};
bool pd_segment_read(struct pd_segment *segment, const uint8_t *packet, size_t len);
/* pd_wire_in() - the segment goes on the wire to the host, as one of sock's connection. */
void pd_wire_in(struct pd_sock *sock, const struct pd_segment *segment);
/* pd_wire_control() - a segment of the handshake or a reset, from sock's local to its remote end. */
void pd_wire_control(struct pd_sock *sock, uint8_t flags, uint32_t seq, uint32_t ack,
		     uint16_t window, bool syn_options);
/* pd_wire_icmp() - "fragmentation needed" and its like: the host learns a path MTU. */
void pd_wire_icmp(const uint8_t *packet, size_t len);
void pd_wire_attach(void);

/* pd_conn.c */
void pd_segment_arrived(const struct pd_segment *segment);
int pd_connect(struct pd_sock *sock);
struct pd_sock *pd_sock_new(enum pd_kind kind);
void pd_sock_release(struct pd_sock *sock);
/* pd_engine() - the engine's connection and its adapter; NULL when no engine has it. */
struct tgt_conn *pd_engine(const struct pd_sock *sock, struct tgt_adapter **adapter);
uint32_t pd_readable(const struct pd_sock *sock);
uint32_t pd_writable(const struct pd_sock *sock);
bool pd_at_end(const struct pd_sock *sock);
/* pd_take() - move up to len bytes to buf; what is there, not waiting. */
uint32_t pd_take(struct pd_sock *sock, uint8_t *buf, size_t len, bool peek);
/* pd_give() - the program wrote len bytes; more: others follow. */
void pd_give(struct pd_sock *sock, uint32_t len, bool more);
void pd_uncork(struct pd_sock *sock);
void pd_shutdown(struct pd_sock *sock, int how);
/* pd_error() - 0 or the errno of a connection that ended badly. */
int pd_error(struct pd_sock *sock);
void pd_apply_options(struct pd_sock *sock);
/* pd_rcv_buf() - bytes that a socket may hold for its reader; pd_rcv_wscale() - what it offers. */
uint32_t pd_rcv_buf(const struct pd_options *opt);
int pd_rcv_wscale(const struct pd_options *opt);

/* pd_call.c: 0 or more, or -1 with errno. */
struct pd_sock *pd_sock_of(int fd);
int pd_call_socket(void *user, int domain, int type, int protocol);
int pd_call_bind(void *user, int fd, const struct sockaddr *addr, socklen_t len);
int pd_call_listen(void *user, int fd, int backlog);
int pd_call_accept(void *user, int fd, struct sockaddr *addr, socklen_t *len);
int pd_call_connect(void *user, int fd, const struct sockaddr *addr, socklen_t len);
ssize_t pd_call_read(void *user, int fd, void *buf, size_t len);
ssize_t pd_call_readv(void *user, int fd, const struct iovec *iov, int count);
ssize_t pd_call_recv(void *user, int fd, void *buf, size_t len, int flags);
ssize_t pd_call_recvfrom(void *user, int fd, void *buf, size_t len, int flags,
			 struct sockaddr *addr, socklen_t *addr_len);
ssize_t pd_call_recvmsg(void *user, int fd, struct msghdr *msg, int flags);
ssize_t pd_call_write(void *user, int fd, const void *buf, size_t len);
ssize_t pd_call_writev(void *user, int fd, const struct iovec *iov, int count);
ssize_t pd_call_send(void *user, int fd, const void *buf, size_t len, int flags);
ssize_t pd_call_sendto(void *user, int fd, const void *buf, size_t len, int flags,
		       const struct sockaddr *addr, socklen_t addr_len);
ssize_t pd_call_sendmsg(void *user, int fd, const struct msghdr *msg, int flags);
int pd_call_fcntl(void *user, int fd, int cmd, ...);
int pd_call_ioctl(void *user, int fd, unsigned long request, ...);
int pd_call_close(void *user, int fd);
int pd_call_shutdown(void *user, int fd, int how);

/* pd_opt.c */
int pd_call_getsockopt(void *user, int fd, int level, int name, void *value, socklen_t *len);
int pd_call_setsockopt(void *user, int fd, int level, int name, const void *value, socklen_t len);

/* pd_poll.c */
struct pollfd;
uint32_t pd_events(const struct pd_sock *sock);
int pd_call_poll(void *user, struct pollfd *fds, unsigned long count, int timeout_ms);
int pd_call_epoll_create(void *user, int size);
int pd_call_epoll_ctl(void *user, int epfd, int op, int fd, struct epoll_event *event);
int pd_call_epoll_wait(void *user, int epfd, struct epoll_event *events, int max, int timeout_ms);
int pd_call_pipe(void *user, int fds[2]);
int pd_call_splice(void *user, int in, off_t *in_off, int out, off_t *out_off, size_t len,
		   unsigned int flags);
ssize_t pd_sendfile(int out, int in, off_t *offset, size_t len);
void pd_epoll_forget(int fd);

#endif
