/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_repair.c - what TCP_REPAIR can do, in the only order that works.
 *
 * Down. A drop-all filter stops the stream of segments before the sequence numbers are read; it
 * does not stop what another processor has already past the filter, so both numbers are compared
 * once more before the socket is disconnected. In repair mode connect(AF_UNSPEC) sends nothing
 * and keeps the socket with all its options. It leaves ECONNABORTED in SO_ERROR, which is read
 * away. A socket that is merely disconnected has lost its port: another program could get the
 * same 4-tuple. So it is bound and connected again at once ("parked"), still in repair mode and
 * muted: visible, silent, and closing it is silent too.
 *
 * Up. Sequence numbers can be set only while disconnected, options only right after the connect,
 * before any byte. The second bind of the same socket is refused because the first one locked its
 * port; that is as good as a bind. Bytes written in repair mode count as sent; the window
 * parameters go last, because every earlier step changes them. Unsent bytes are written after
 * repair mode: the kernel sends them as any others.
 *
 * Leaving repair mode clears SO_REUSEADDR, which entering it had forced, so the program's value
 * is put back. Setting SO_REUSEADDR inside repair mode would undo the forced reuse, without which
 * the bind fails next to a listener.
 *
 * The timestamp's lowest bit tells the kernel the unit (set: microseconds), so the value is
 * rounded up to even.
 */
#include "host/host_repair.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUEUE_SLACK (64u << 10) /* the head of the send queue may begin before snd_una */
#define WRITE_CHUNK (64u << 10) /* one kernel buffer of whole pages: least overhead */

/* option kinds of the handshake (RFC 9293 3.2, 7323, 2018) */
enum { KIND_MSS = 2, KIND_WINDOW = 3, KIND_SACK_PERMITTED = 4, KIND_TIMESTAMP = 8 };

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP (-1)
#endif

static int get_int(const struct host_socket *sock, int level, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(sock->fd, level, name, value, &len) < 0 ? -errno : 0;
}

static int set_int(const struct host_socket *sock, int level, int name, int value)
{
	return setsockopt(sock->fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_tcp(const struct host_socket *sock, int name, int value)
{
	return set_int(sock, IPPROTO_TCP, name, value);
}

/* The program's own classic filter, to be put back later. */
static int save_filter(struct host_socket *sock)
{
	socklen_t count = 0;

	if (getsockopt(sock->fd, SOL_SOCKET, SO_GET_FILTER, NULL, &count) < 0)
		return errno == EACCES ? -ENOTSUP : -errno;
	if (count == 0)
		return 0;
	sock->filter = calloc(count, sizeof(*sock->filter));
	if (!sock->filter)
		return -ENOMEM;
	if (getsockopt(sock->fd, SOL_SOCKET, SO_GET_FILTER, sock->filter, &count) < 0)
		return -errno;
	sock->filter_len = (unsigned short)count;
	return 0;
}

static int read_addresses(struct host_socket *sock)
{
	socklen_t len = sizeof(sock->local);
	int type, protocol, err;

	err = get_int(sock, SOL_SOCKET, SO_TYPE, &type);
	if (!err)
		err = get_int(sock, SOL_SOCKET, SO_PROTOCOL, &protocol);
	if (err)
		return err == -ENOTSOCK ? -ENOTSUP : err;
	if (type != SOCK_STREAM || protocol != IPPROTO_TCP)
		return -ENOTSUP;
	if (getsockname(sock->fd, (struct sockaddr *)&sock->local, &len) < 0)
		return -errno;
	sock->addr_len = len;
	len = sizeof(sock->remote);
	if (getpeername(sock->fd, (struct sockaddr *)&sock->remote, &len) < 0)
		return -errno;
	return 0;
}

int host_repair_take(struct host_socket *sock, int fd)
{
	int reuse = 0, keepalive = 0, err;

	*sock = (struct host_socket){ .fd = fd };
	err = read_addresses(sock);
	if (!err)
		err = get_int(sock, SOL_SOCKET, SO_REUSEADDR, &reuse);
	if (!err)
		err = get_int(sock, SOL_SOCKET, SO_KEEPALIVE, &keepalive);
	if (!err)
		err = save_filter(sock);
	if (err) {
		host_repair_drop(sock);
		return err;
	}
	sock->reuseaddr = reuse;
	sock->keepalive = keepalive;
	return 0;
}

void host_repair_drop(struct host_socket *sock)
{
	if (sock->fd >= 0)
		close(sock->fd);
	free(sock->filter);
	*sock = (struct host_socket){ .fd = -1 };
}

int host_repair_mute(struct host_socket *sock)
{
	struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop_all };

	if (sock->muted)
		return 0;
	if (setsockopt(sock->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return -errno;
	sock->muted = true;
	return 0;
}

int host_repair_unmute(struct host_socket *sock)
{
	struct sock_fprog prog = { .len = sock->filter_len, .filter = sock->filter };
	int err;

	if (!sock->muted)
		return 0;
	if (sock->filter)
		err = setsockopt(sock->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	else
		err = setsockopt(sock->fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){ 0 }, sizeof(int));
	if (err < 0)
		return -errno;
	sock->muted = false;
	return 0;
}

void host_repair_flush_ack(const struct host_socket *sock)
{
	set_tcp(sock, TCP_QUICKACK, 1);
}

int host_repair_freeze(struct host_socket *sock)
{
	int err = set_tcp(sock, TCP_REPAIR, TCP_REPAIR_ON);

	if (!err)
		sock->phase = HOST_SOCKET_FROZEN;
	return err;
}

static int leave_repair(struct host_socket *sock, bool quiet)
{
	int err;

	set_tcp(sock, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	err = set_tcp(sock, TCP_REPAIR, quiet ? TCP_REPAIR_OFF_NO_WP : TCP_REPAIR_OFF);
	if (err)
		return err;
	if (sock->reuseaddr)
		set_int(sock, SOL_SOCKET, SO_REUSEADDR, 1);
	sock->phase = HOST_SOCKET_LIVE;
	return 0;
}

int host_repair_thaw(struct host_socket *sock)
{
	return sock->phase == HOST_SOCKET_FROZEN ? leave_repair(sock, true) : 0;
}

int host_repair_fin(struct host_socket *sock)
{
	int err = host_repair_freeze(sock), left;

	if (err)
		return err;
	err = set_tcp(sock, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	if (!err && shutdown(sock->fd, SHUT_WR) < 0 && errno != ENOTCONN)
		err = -errno;
	left = leave_repair(sock, true);
	return err ? err : left;
}

int host_repair_queued(const struct host_socket *sock, uint32_t *rx_bytes, uint32_t *tx_bytes)
{
	int in = 0, out = 0;

	if (ioctl(sock->fd, SIOCINQ, &in) < 0 || ioctl(sock->fd, SIOCOUTQ, &out) < 0)
		return -errno;
	*rx_bytes = (uint32_t)in;
	*tx_bytes = (uint32_t)out;
	return 0;
}

static int queue_seq(const struct host_socket *sock, int queue, tcp_seq *seq)
{
	int value = 0, err;

	err = set_tcp(sock, TCP_REPAIR_QUEUE, queue);
	if (!err)
		err = get_int(sock, IPPROTO_TCP, TCP_QUEUE_SEQ, &value);
	*seq = (tcp_seq)value;
	return err;
}

/* The whole of one queue; *got is its length as the kernel holds it. */
static int peek_queue(const struct host_socket *sock, int queue, struct host_block *block,
		      size_t *got)
{
	ssize_t n;

	*got = 0;
	if (set_tcp(sock, TCP_REPAIR_QUEUE, queue) < 0)
		return -errno;
	n = recv(sock->fd, block->data, block->size, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno; /* empty receive queue */
	*got = (size_t)n;
	return 0;
}

static int read_rx(const struct host_socket *sock, struct host_block_pool *pool,
		   struct host_image *image)
{
	uint32_t rx, tx;
	size_t got;
	int err = host_repair_queued(sock, &rx, &tx);

	if (!err && rx > HOST_QUEUE_MAX_BYTES)
		err = -EFBIG;
	if (!err)
		err = host_block_reserve(pool, &image->rx, rx);
	if (err || rx == 0)
		return err;
	err = peek_queue(sock, TCP_RECV_QUEUE, image->rx, &got);
	if (err)
		return err;
	image->rx->len = got;
	return got == rx ? 0 : -EAGAIN;
}

static int read_tx(const struct host_socket *sock, struct host_block_pool *pool,
		   struct host_image *image, uint32_t want)
{
	size_t got;
	int err;

	if (want > HOST_QUEUE_MAX_BYTES)
		return -EFBIG;
	err = host_block_reserve(pool, &image->tx, want + QUEUE_SLACK);
	if (err || want == 0)
		return err;
	err = peek_queue(sock, TCP_SEND_QUEUE, image->tx, &got);
	if (err)
		return err;
	if (got < want)
		return -EAGAIN;
	/* A segment that was acknowledged in part is still whole at the head of the queue. */
	if (got > want)
		memmove(image->tx->data, image->tx->data + (got - want), want);
	image->tx->len = want;
	return 0;
}

static int read_window(const struct host_socket *sock, struct host_image *image)
{
	struct tcp_repair_window wnd;
	socklen_t len = sizeof(wnd);
	int32_t left;

	if (getsockopt(sock->fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &wnd, &len) < 0)
		return -errno;
	left = (int32_t)(wnd.rcv_wup + wnd.rcv_wnd - image->rcv_nxt);
	image->rcv_wnd_bytes = left > 0 ? (uint32_t)left : 0;
	image->snd_wl1 = wnd.snd_wl1;
	image->snd_wnd_bytes = wnd.snd_wnd;
	image->max_snd_wnd_bytes = wnd.max_window > wnd.snd_wnd ? wnd.max_window : wnd.snd_wnd;
	return 0;
}

/*
 * The kernel starts its timer anew whenever it sends into silence or is acknowledged something;
 * when it is due can be told from that. Outstanding data always has one that runs.
 */
static uint32_t rexmt_left_ms(const struct tcp_info *info)
{
	uint32_t rto_ms = info->tcpi_rto / 1000;
	uint32_t since_ms = info->tcpi_last_data_sent < info->tcpi_last_ack_recv
				    ? info->tcpi_last_data_sent
				    : info->tcpi_last_ack_recv;

	return since_ms < rto_ms ? rto_ms - since_ms + 1 : 1;
}

/* Handshake options, estimates and state, as TCP_INFO tells them. */
static void read_info(const struct tcp_info *info, struct host_image *image)
{
	image->state = info->tcpi_state;
	image->timestamps = info->tcpi_options & TCPI_OPT_TIMESTAMPS;
	image->sack = info->tcpi_options & TCPI_OPT_SACK;
	image->ecn = info->tcpi_options & TCPI_OPT_ECN;
	image->wscale = info->tcpi_options & TCPI_OPT_WSCALE;
	image->snd_wscale = info->tcpi_snd_wscale;
	image->rcv_wscale = info->tcpi_rcv_wscale;
	image->mss_bytes = info->tcpi_snd_mss;
	image->cwnd_bytes = info->tcpi_snd_cwnd * info->tcpi_snd_mss;
	image->ssthresh_bytes =
		info->tcpi_snd_ssthresh > UINT32_MAX / (info->tcpi_snd_mss ? info->tcpi_snd_mss : 1)
			? UINT32_MAX
			: info->tcpi_snd_ssthresh * info->tcpi_snd_mss;
	image->srtt_us = info->tcpi_rtt;
	image->rttvar_us = info->tcpi_rttvar;
	image->rexmt_count = info->tcpi_retransmits;
	image->wnd_probes = 0;
	image->ka_probes = 0;
	image->dup_acks =
		0; /* the kernel's scoreboard does not go down; the target starts its own */
	image->rexmt_left_ticks = HOST_TICKS_STOPPED;
	image->ka_left_ticks = HOST_TICKS_STOPPED;
	image->total_rt_ticks = 0;
	image->ts_recent = 0;
	image->ts_recent_age_ticks = HOST_TS_AGE_UNKNOWN;
	image->fin_queued = image->state == HOST_TCP_FIN_WAIT_1 ||
			    image->state == HOST_TCP_FIN_WAIT_2 ||
			    image->state == HOST_TCP_CLOSING || image->state == HOST_TCP_LAST_ACK;
	image->fin_acked = image->state == HOST_TCP_FIN_WAIT_2;
	image->fin_received = image->state == HOST_TCP_CLOSE_WAIT ||
			      image->state == HOST_TCP_CLOSING || image->state == HOST_TCP_LAST_ACK;
	if (info->tcpi_unacked || (image->fin_queued && !image->fin_acked))
		image->rexmt_left_ticks = rexmt_left_ms(info);
}

int host_repair_options(const struct host_socket *sock, struct host_image *image)
{
	bool v6 = sock->local.ss_family == AF_INET6 &&
		  !IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)&sock->local)->sin6_addr);
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int nodelay = 0, cork = 0, idle = 0, interval = 0, count = 0, ttl = 64, tos = 0, prio = 0,
	    rcvbuf = 0, timeout = 0;

	get_int(sock, IPPROTO_TCP, TCP_NODELAY, &nodelay);
	get_int(sock, IPPROTO_TCP, TCP_CORK, &cork);
	get_int(sock, IPPROTO_TCP, TCP_KEEPIDLE, &idle);
	get_int(sock, IPPROTO_TCP, TCP_KEEPINTVL, &interval);
	get_int(sock, IPPROTO_TCP, TCP_KEEPCNT, &count);
	get_int(sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout);
	get_int(sock, SOL_SOCKET, SO_PRIORITY, &prio);
	get_int(sock, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl);
	get_int(sock, level, v6 ? IPV6_TCLASS : IP_TOS, &tos);
	image->nagle = !nodelay;
	image->cork = cork;
	image->keepalive = sock->keepalive;
	image->ka_idle_s = (uint32_t)idle;
	image->ka_interval_s = (uint32_t)interval;
	image->ka_probe_max = (uint8_t)(count > 255 ? 255 : count);
	image->user_timeout_ms = (uint32_t)timeout;
	image->ttl = (uint8_t)(ttl > 0 ? ttl : 64);
	image->tos = (uint8_t)tos;
	image->priority = (uint8_t)(prio & 7);
	return get_int(sock, SOL_SOCKET, SO_RCVBUF, &rcvbuf) < 0
		       ? -errno
		       : (image->rcv_buf_bytes = (uint32_t)rcvbuf, 0);
}

static int read_numbers(const struct host_socket *sock, struct host_image *image,
			uint32_t *tx_bytes)
{
	int out = 0, unsent = 0;
	tcp_seq write_seq;
	int err = queue_seq(sock, TCP_SEND_QUEUE, &write_seq);

	if (!err)
		err = queue_seq(sock, TCP_RECV_QUEUE, &image->rcv_nxt);
	if (err)
		return err;
	if (ioctl(sock->fd, SIOCOUTQ, &out) < 0 || ioctl(sock->fd, SIOCOUTQNSD, &unsent) < 0)
		return -errno;
	image->snd_una = write_seq - (uint32_t)out;
	image->snd_max = write_seq - (uint32_t)unsent;
	image->snd_nxt = image->snd_max;
	*tx_bytes = (uint32_t)out - (image->fin_queued && !image->fin_acked ? 1 : 0);
	return 0;
}

int host_repair_snd_max(const struct host_socket *sock, tcp_seq *snd_max)
{
	tcp_seq write_seq;
	int unsent, err;

	/*
	 * In this order: with the send queue selected the kernel counts as sent what its timers
	 * push, and sends nothing.
	 */
	if (ioctl(sock->fd, SIOCOUTQNSD, &unsent) < 0)
		return -errno;
	err = queue_seq(sock, TCP_SEND_QUEUE, &write_seq);
	*snd_max = write_seq - (uint32_t)unsent;
	return err;
}

static int read_timestamp(const struct host_socket *sock, struct host_image *image)
{
	int value = 0, err;

	if (!image->timestamps)
		return 0;
	err = get_int(sock, IPPROTO_TCP, TCP_TIMESTAMP, &value);
	/* The lowest bit was masked away, so the last one sent may have been one more. */
	image->ts_now = (uint32_t)value + 2;
	return err;
}

int host_repair_read(const struct host_socket *sock, struct host_block_pool *pool,
		     struct host_image *image)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	uint32_t tx_bytes = 0;
	int mss = 0, err;

	memset(&info, 0, sizeof(info));
	if (getsockopt(sock->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	read_info(&info, image);
	err = read_numbers(sock, image, &tx_bytes);
	if (!err)
		err = read_window(sock, image);
	if (!err)
		err = get_int(sock, IPPROTO_TCP, TCP_MAXSEG,
			      &mss); /* in repair mode: the peer's MSS */
	image->mss_clamp = (uint16_t)mss;
	if (!err)
		err = host_repair_options(sock, image);
	if (!err && image->keepalive)
		image->ka_left_ticks = image->ka_idle_s * 1000;
	if (!err)
		err = read_rx(sock, pool, image);
	if (!err)
		err = read_tx(sock, pool, image, tx_bytes);
	if (!err)
		err = read_timestamp(sock, image);
	if (!err && host_repair_moved(sock, image))
		err = -EAGAIN;
	return err;
}

bool host_repair_moved(const struct host_socket *sock, const struct host_image *image)
{
	struct host_image now = { .fin_queued = image->fin_queued, .fin_acked = image->fin_acked };
	uint32_t tx_bytes = 0;

	if (read_numbers(sock, &now, &tx_bytes) < 0)
		return true;
	return now.rcv_nxt != image->rcv_nxt || now.snd_una != image->snd_una ||
	       now.snd_max != image->snd_max || tx_bytes != host_block_len(image->tx) ||
	       host_repair_state(sock) != image->state;
}

static int set_seq(const struct host_socket *sock, int queue, tcp_seq seq)
{
	int err = set_tcp(sock, TCP_REPAIR_QUEUE, queue);

	return err ? err : set_tcp(sock, TCP_QUEUE_SEQ, (int)seq);
}

/* Silent in repair mode. */
static int disconnect(const struct host_socket *sock)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int error;

	if (connect(sock->fd, &unspec, sizeof(unspec)) < 0)
		return -errno;
	get_int(sock, SOL_SOCKET, SO_ERROR, &error); /* ECONNABORTED */
	return 0;
}

/*
 * The same 4-tuple again, established, both queues empty. The segment size is computed in
 * connect() and not again when TCP_REPAIR_OPTIONS sets the peer's MSS, so that is already there
 * as the program's own wish.
 */
static int reconnect(struct host_socket *sock, const struct host_image *image, tcp_seq rcv_seq,
		     tcp_seq snd_seq)
{
	int err = disconnect(sock);

	if (err)
		return err;
	sock->phase = HOST_SOCKET_PARKED;
	err = set_seq(sock, TCP_SEND_QUEUE, snd_seq);
	if (!err)
		err = set_seq(sock, TCP_RECV_QUEUE, rcv_seq);
	if (err)
		return err;
	/* EINVAL: this socket was bound to it before */
	if (bind(sock->fd, (const struct sockaddr *)&sock->local, sock->addr_len) < 0 &&
	    errno != EINVAL)
		return -errno;
	set_tcp(sock, TCP_MAXSEG, image->mss_clamp);
	if (connect(sock->fd, (const struct sockaddr *)&sock->remote, sock->addr_len) < 0)
		err = -errno;
	set_tcp(sock, TCP_MAXSEG, 0);
	return err;
}

static int keepalive_off(struct host_socket *sock)
{
	if (!sock->keepalive)
		return 0;
	sock->keepalive_off = true;
	return set_int(sock, SOL_SOCKET, SO_KEEPALIVE, 0);
}

int host_repair_park(struct host_socket *sock, const struct host_image *image)
{
	int err = keepalive_off(sock);

	if (!err)
		err = reconnect(sock, image, image->rcv_nxt, image->snd_max);
	if (!err)
		set_tcp(sock, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	if (!err && sock->parked_mark)
		set_int(sock, SOL_SOCKET, SO_MARK, (int)sock->parked_mark);
	return err;
}

static int restore_options(const struct host_socket *sock, const struct host_image *image)
{
	struct tcp_repair_opt opts[4];
	unsigned int n = 0;
	int err;

	opts[n++] = (struct tcp_repair_opt){ KIND_MSS, image->mss_clamp };
	if (image->wscale)
		opts[n++] = (struct tcp_repair_opt){ KIND_WINDOW,
						     image->snd_wscale | (uint32_t)image->rcv_wscale
										 << 16 };
	if (image->sack)
		opts[n++] = (struct tcp_repair_opt){ KIND_SACK_PERMITTED, 0 };
	if (image->timestamps)
		opts[n++] = (struct tcp_repair_opt){ KIND_TIMESTAMP, 0 };
	if (setsockopt(sock->fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opts, n * sizeof(opts[0])) < 0)
		return -errno;
	if (!image->timestamps)
		return 0;
	err = set_tcp(sock, TCP_TIMESTAMP, (int)((image->ts_now + 1) & ~1u));
	return err;
}

/* -ENOBUFS when the kernel takes no more; *done counts what it took. */
static int write_all(const struct host_socket *sock, const uint8_t *data, size_t len, size_t *done)
{
	while (len > 0) {
		size_t chunk = len < WRITE_CHUNK ? len : WRITE_CHUNK;
		ssize_t n = send(sock->fd, data, chunk, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == ENOMEM ? -ENOBUFS : -errno;
		data += n;
		len -= (size_t)n;
		*done += (size_t)n;
	}
	return 0;
}

static int restore_queue(const struct host_socket *sock, int queue, const uint8_t *data, size_t len)
{
	int err = set_tcp(sock, TCP_REPAIR_QUEUE, queue);
	size_t done = 0;

	return err || len == 0 ? err : write_all(sock, data, len, &done);
}

static int restore_window(const struct host_socket *sock, const struct host_image *image,
			  tcp_seq rcv_nxt)
{
	struct tcp_repair_window wnd = {
		.snd_wl1 = image->snd_wl1,
		.snd_wnd = image->snd_wnd_bytes,
		.max_window = image->max_snd_wnd_bytes > image->snd_wnd_bytes
				      ? image->max_snd_wnd_bytes
				      : image->snd_wnd_bytes,
		.rcv_wnd = image->rcv_wnd_bytes + (image->rcv_nxt - rcv_nxt),
		.rcv_wup = rcv_nxt,
	};

	/* The kernel refuses a last window update from beyond our own window. */
	if (seq_gt(wnd.snd_wl1, rcv_nxt + wnd.rcv_wnd))
		wnd.snd_wl1 = rcv_nxt;
	return setsockopt(sock->fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &wnd, sizeof(wnd)) < 0 ? -errno
											   : 0;
}

/*
 * Sends nothing: in repair mode a FIN goes to the retransmission queue at once. Where the peer's
 * FIN came first ours is left to host_segment_replay(): shutdown() then sends it again.
 */
static int restore_fin(const struct host_socket *sock, const struct host_image *image)
{
	if (!host_image_fin_sent(image) || host_image_fin_after_peer(image))
		return 0;
	if (set_tcp(sock, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) < 0 || shutdown(sock->fd, SHUT_WR) < 0)
		return -errno;
	return 0;
}

static int rebuild(struct host_socket *sock, const struct host_image *image)
{
	size_t unread = host_block_len(image->rx);
	tcp_seq rcv_nxt = image->rcv_nxt - (image->fin_received ? 1 : 0);
	tcp_seq snd_una = image->snd_una - (image->fin_acked ? 1 : 0);
	int err = reconnect(sock, image, rcv_nxt - (uint32_t)unread, snd_una);

	if (!err)
		err = restore_options(sock, image);
	if (!err)
		err = restore_queue(sock, TCP_RECV_QUEUE, unread ? image->rx->data : NULL, unread);
	if (!err)
		err = restore_queue(sock, TCP_SEND_QUEUE, image->tx ? image->tx->data : NULL,
				    host_image_sent_bytes(image));
	if (!err)
		err = restore_window(sock, image, rcv_nxt);
	if (!err)
		err = restore_fin(sock, image);
	return err;
}

/*
 * Make one buffer larger for the time of a restore. Afterwards it gets its size back: the receive
 * window follows the buffer, and one that kept what it got at each hand-over would feed itself.
 * SO_BUF_LOCK takes back the mark that would switch the kernel's own tuning off.
 */
static void set_buffer(const struct host_socket *sock, int name, int force, int bytes)
{
	int locks = 0;
	bool locks_known = get_int(sock, SOL_SOCKET, SO_BUF_LOCK, &locks) == 0;

	if (set_int(sock, SOL_SOCKET, force, bytes / 2) < 0) /* the kernel doubles the number */
		set_int(sock, SOL_SOCKET, name, bytes / 2);
	if (locks_known)
		set_int(sock, SOL_SOCKET, SO_BUF_LOCK, locks);
}

/*
 * The largest buffer that this process may ask for; the kernel caps the plain option without a
 * word.
 */
static uint32_t largest_buffer(int name, int force)
{
	struct host_socket probe = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	int bytes = 0;

	if (probe.fd < 0)
		return 0;
	if (set_int(&probe, SOL_SOCKET, force, HOST_QUEUE_MAX_BYTES) < 0)
		set_int(&probe, SOL_SOCKET, name, HOST_QUEUE_MAX_BYTES);
	get_int(&probe, SOL_SOCKET, name, &bytes);
	close(probe.fd);
	return (uint32_t)bytes;
}

void host_repair_limits(uint32_t *rx_bytes, uint32_t *tx_bytes)
{
	static uint32_t rx, tx; /* do not change while the process runs */

	if (!rx)
		rx = largest_buffer(SO_RCVBUF, SO_RCVBUFFORCE);
	if (!tx)
		tx = largest_buffer(SO_SNDBUF, SO_SNDBUFFORCE);
	*rx_bytes = rx;
	*tx_bytes = tx;
}

static void grow_buffers(struct host_socket *sock, size_t rx_bytes, size_t tx_bytes)
{
	size_t rx = rx_bytes + rx_bytes / 8 + WRITE_CHUNK, tx = 2 * tx_bytes + WRITE_CHUNK;
	uint32_t most_rx, most_tx;
	int have = 0;

	host_repair_limits(&most_rx, &most_tx);
	if (rx > most_rx)
		rx = most_rx;
	if (tx > most_tx)
		tx = most_tx;
	/* a second try may bring more than the first: the program's size is noted once */
	if (get_int(sock, SOL_SOCKET, SO_RCVBUF, &have) == 0 && (size_t)have < rx) {
		sock->rcvbuf = sock->rcvbuf ? sock->rcvbuf : have;
		set_buffer(sock, SO_RCVBUF, SO_RCVBUFFORCE, (int)rx);
	}
	if (get_int(sock, SOL_SOCKET, SO_SNDBUF, &have) == 0 && (size_t)have < tx) {
		sock->sndbuf = sock->sndbuf ? sock->sndbuf : have;
		set_buffer(sock, SO_SNDBUF, SO_SNDBUFFORCE, (int)tx);
	}
}

static void shrink_buffers(struct host_socket *sock)
{
	if (sock->rcvbuf)
		set_buffer(sock, SO_RCVBUF, SO_RCVBUFFORCE, sock->rcvbuf);
	if (sock->sndbuf)
		set_buffer(sock, SO_SNDBUF, SO_SNDBUFFORCE, sock->sndbuf);
	sock->rcvbuf = sock->sndbuf = 0;
}

int host_repair_restore(struct host_socket *sock, const struct host_image *image)
{
	int err = keepalive_off(sock);

	if (err)
		return err;
	if (sock->parked_mark)
		set_int(sock, SOL_SOCKET, SO_MARK, 0); /* before it asks for a route */
	grow_buffers(sock, host_block_len(image->rx), host_block_len(image->tx));
	err = rebuild(sock, image);
	if (err) {
		if (host_repair_park(sock, image) < 0)
			return err; /* disconnected, but still ours and silent */
		return err;
	}
	sock->phase = HOST_SOCKET_REBUILT;
	return 0;
}

int host_repair_release(struct host_socket *sock, const struct host_image *image, bool quiet)
{
	size_t total = host_block_len(image->tx);
	int err = 0;

	if (sock->phase == HOST_SOCKET_REBUILT) {
		sock->released = host_image_sent_bytes(image);
		err = leave_repair(sock, quiet);
	}
	if (err)
		return err;
	if (sock->keepalive_off) {
		set_int(sock, SOL_SOCKET, SO_KEEPALIVE, 1);
		sock->keepalive_off = false;
	}
	if (total > sock->released)
		err = write_all(sock, image->tx->data + sock->released, total - sock->released,
				&sock->released);
	if (err)
		return err;
	shrink_buffers(sock);
	if (image->fin_queued && !host_image_fin_after_peer(image) &&
	    shutdown(sock->fd, SHUT_WR) < 0)
		err = -errno; /* nothing happens when the FIN is restored already */
	return err;
}

void host_repair_room(const struct host_socket *sock, uint32_t *rx_bytes, uint32_t *tx_bytes)
{
	int rx = 0, tx = 0;

	host_repair_limits(rx_bytes, tx_bytes);
	get_int(sock, SOL_SOCKET, SO_RCVBUF, &rx);
	get_int(sock, SOL_SOCKET, SO_SNDBUF, &tx);
	if ((uint32_t)rx > *rx_bytes)
		*rx_bytes = (uint32_t)rx;
	if ((uint32_t)tx > *tx_bytes)
		*tx_bytes = (uint32_t)tx;
	*rx_bytes -= *rx_bytes / 8; /* the kernel's overhead for chunks of WRITE_CHUNK, amply */
	*tx_bytes -= *tx_bytes / 8;
}

int host_repair_state(const struct host_socket *sock)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(sock->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	return info.tcpi_state;
}
