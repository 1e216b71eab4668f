/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_repair.h - one kernel TCP socket in our hands: silenced, frozen, read, parked, established
 * again.
 *
 *	take -> mute -> flush_ack -> freeze -> read -> moved? -> park          (down)
 *	parked -> restore -> release -> unmute -> drop                          (up)
 *	        \ thaw: undo of freeze, nothing has happened to the connection
 *
 * Pure kernel work: it knows nothing of programs, steering or NDIS. The order of the calls
 * inside, and what each of them would break in another order, is explained in host_repair.c.
 *
 * Context:   any one thread at a time, in the network namespace of the socket, with CAP_NET_ADMIN
 *            over it. The program must stand still between freeze and thaw or release: in repair
 *            mode its own calls fail.
 */
#ifndef HOST_HOST_REPAIR_H
#define HOST_HOST_REPAIR_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "host/host_image.h"

/* Most bytes that may be unread or unacknowledged at a hand-over. */
#define HOST_QUEUE_MAX_BYTES (64u << 20)

enum host_phase {
	HOST_SOCKET_LIVE,
	HOST_SOCKET_FROZEN, /* in repair mode, as the connection was */
	HOST_SOCKET_PARKED, /* in repair mode, queues empty: holds the address */
	HOST_SOCKET_REBUILT /* in repair mode, carries the connection again */
};

struct host_socket {
	int fd; /* -1: none */
	enum host_phase phase;
	struct sockaddr_storage local, remote;
	socklen_t addr_len;
	bool muted;
	/* the program's own settings that we touch */
	bool reuseaddr, keepalive, keepalive_off;
	uint32_t parked_mark; /* SO_MARK while it is parked; 0: none */
	int rcvbuf, sndbuf;   /* sizes to put back after a restore; 0: not touched */
	size_t released;      /* bytes of the image that the kernel has by now */
	struct sock_filter *filter;
	unsigned short filter_len;
};

/*
 * host_repair_take() - start with a connected socket.
 * Ownership: takes fd, also on error.
 * Returns:   0; -ENOTSUP no TCP socket, or its filter is eBPF and could not be put back; other
 *            -errno.
 */
int host_repair_take(struct host_socket *sock, int fd) __attribute__((warn_unused_result));

/* host_repair_drop() - close our descriptor; silent while frozen or parked. Forgets everything. */
void host_repair_drop(struct host_socket *sock);

/* host_repair_mute() - from now on no segment reaches the socket. -EPERM: its filter is locked. */
int host_repair_mute(struct host_socket *sock) __attribute__((warn_unused_result));
/* host_repair_unmute() - the program's own filter again, or none. */
int host_repair_unmute(struct host_socket *sock);
/* host_repair_flush_ack() - send a delayed acknowledgment now. */
void host_repair_flush_ack(const struct host_socket *sock);

/*
 * host_repair_fin() - our FIN becomes the last that was sent, without a packet. 0 or -errno; again
 * is no error.
 */
int host_repair_fin(struct host_socket *sock) __attribute__((warn_unused_result));

/*
 * host_repair_freeze() / host_repair_thaw() - repair mode on; off with the connection as it was,
 * nothing sent.
 */
int host_repair_freeze(struct host_socket *sock) __attribute__((warn_unused_result));
int host_repair_thaw(struct host_socket *sock);

/* host_repair_queued() - bytes unread and unacknowledged at this moment, to prepare memory. */
int host_repair_queued(const struct host_socket *sock, uint32_t *rx_bytes, uint32_t *tx_bytes)
	__attribute__((warn_unused_result));

/*
 * host_repair_read() - fill the image of a frozen socket. image->rx and tx may hold blocks with
 * room already.
 * Returns:   0; -EFBIG more than HOST_QUEUE_MAX_BYTES; -EAGAIN it moved while being read; -errno.
 */
int host_repair_read(const struct host_socket *sock, struct host_block_pool *pool,
		     struct host_image *image) __attribute__((warn_unused_result));

/* host_repair_snd_max() - of a frozen socket: behind the last byte that was sent by now. */
int host_repair_snd_max(const struct host_socket *sock, tcp_seq *snd_max)
	__attribute__((warn_unused_result));

/*
 * host_repair_options() - the options of the socket that become cached variables, into the image;
 * the rest of it stays.
 */
int host_repair_options(const struct host_socket *sock, struct host_image *image)
	__attribute__((warn_unused_result));

/* host_repair_moved() - did a segment still get in since host_repair_read()? */
bool host_repair_moved(const struct host_socket *sock, const struct host_image *image);

/*
 * host_repair_park() - frozen -> parked. On error it is frozen or parked as before; -EIO when
 * neither works.
 */
int host_repair_park(struct host_socket *sock, const struct host_image *image)
	__attribute__((warn_unused_result));

/*
 * host_repair_restore() - parked or frozen -> rebuilt: the same socket carries the image, still
 * in repair mode. Bytes that were sent are in its retransmission queue; our FIN too, when it was
 * sent. A FIN of the peer is left out (one sequence number less) and has to be replayed
 * (host_segment.h) after host_repair_release().
 * Returns:   0; -ENOBUFS a queue does not fit; the error of bind() or connect(). On error it is
 *            parked again if that is possible at all.
 */
int host_repair_restore(struct host_socket *sock, const struct host_image *image)
	__attribute__((warn_unused_result));

/*
 * host_repair_release() - leave repair mode: unsent bytes go into the send queue, then our FIN
 * when it was queued but never sent. quiet: no window probe. The program's options are as they
 * were.
 * Returns:   0; -ENOBUFS when unsent bytes did not fit (does not happen within
 *            host_repair_room()): call it again.
 */
int host_repair_release(struct host_socket *sock, const struct host_image *image, bool quiet)
	__attribute__((warn_unused_result));

/*
 * host_repair_limits() - largest socket buffers that this process may ask for, as the kernel
 * counts them.
 */
void host_repair_limits(uint32_t *rx_bytes, uint32_t *tx_bytes);
/* host_repair_room() - bytes that the socket's queues can take at a restore. */
void host_repair_room(const struct host_socket *sock, uint32_t *rx_bytes, uint32_t *tx_bytes);

/* host_repair_state() - TCP state of the socket now (enum host_tcp), or -errno. */
int host_repair_state(const struct host_socket *sock);

#endif
