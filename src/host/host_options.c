/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_options.c - options of a connection whose program holds only the stream end.
 *
 * The parked kernel socket keeps every option, checks values as the kernel does and has them
 * ready for the way back. What the target has a cached variable for is told to it by an update,
 * which carries all cached values of the connection, read anew when its turn comes.
 */
#include "host/host_int.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum effect {
	EFFECT_KEPT,      /* the parked socket only */
	EFFECT_CACHED,    /* a cached variable of the connection */
	EFFECT_KEEPALIVE, /* the same, and the running timer starts anew */
};

static const struct {
	int level, name;
	enum effect effect;
} options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, EFFECT_KEEPALIVE },
	{ SOL_SOCKET, SO_RCVBUF, EFFECT_CACHED },
	{ SOL_SOCKET, SO_SNDBUF, EFFECT_KEPT },
	{ SOL_SOCKET, SO_PRIORITY, EFFECT_CACHED },
	{ SOL_SOCKET, SO_LINGER, EFFECT_KEPT },
	{ SOL_SOCKET, SO_OOBINLINE, EFFECT_KEPT },
	{ SOL_SOCKET, SO_REUSEADDR, EFFECT_KEPT },
	{ IPPROTO_TCP, TCP_NODELAY, EFFECT_CACHED },
	{ IPPROTO_TCP, TCP_CORK, EFFECT_CACHED },
	{ IPPROTO_TCP, TCP_QUICKACK, EFFECT_KEPT },
	{ IPPROTO_TCP, TCP_KEEPIDLE, EFFECT_KEEPALIVE },
	{ IPPROTO_TCP, TCP_KEEPINTVL, EFFECT_KEEPALIVE },
	{ IPPROTO_TCP, TCP_KEEPCNT, EFFECT_KEEPALIVE },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, EFFECT_CACHED },
	{ IPPROTO_TCP, TCP_LINGER2, EFFECT_KEPT },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, EFFECT_KEPT },
	{ IPPROTO_TCP, TCP_CONGESTION, EFFECT_KEPT },
	{ IPPROTO_IP, IP_TTL, EFFECT_CACHED },
	{ IPPROTO_IP, IP_TOS, EFFECT_CACHED },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, EFFECT_CACHED },
	{ IPPROTO_IPV6, IPV6_TCLASS, EFFECT_CACHED },
};

/* Questions that have no answer to set. */
static bool is_readable(int level, int name)
{
	if (level == SOL_SOCKET)
		return name == SO_TYPE || name == SO_PROTOCOL || name == SO_DOMAIN ||
		       name == SO_ACCEPTCONN || name == SO_MARK || name == SO_BINDTODEVICE ||
		       name == SO_INCOMING_CPU;
	if (level == IPPROTO_IPV6)
		return name == IPV6_V6ONLY;
	return false;
}

static int effect_of(int level, int name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].level == level && options[i].name == name)
			return options[i].effect;
	return -ENOPROTOOPT;
}

static int can_ask(const struct host_conn *conn)
{
	if (conn->moving || conn->info.state == HOST_CONN_OFFLOADING ||
	    conn->info.state == HOST_CONN_UPLOADING)
		return -EBUSY;
	if (conn->info.state != HOST_CONN_OFFLOADED || conn->sock.fd < 0)
		return -ENOTCONN;
	return 0;
}

/* ---- setting ---- */

/*
 * Switches that the parked socket must not have as the program wants them: its keepalive timer
 * stays off while the target runs one, and its address is held by forced reuse.
 */
static bool is_held_back(int level, int name)
{
	return level == SOL_SOCKET && (name == SO_KEEPALIVE || name == SO_REUSEADDR);
}

static int set_held_back(struct host_socket *sock, int name, const void *value, size_t len)
{
	int on;

	if (len < sizeof(on))
		return -EINVAL;
	memcpy(&on, value, sizeof(on));
	if (name == SO_REUSEADDR) {
		sock->reuseaddr = on;
		return 0;
	}
	sock->keepalive = on;
	sock->keepalive_off = on;
	return 0;
}

/* We may be allowed what the program is not. */
static int check_rights(int level, int name, const void *value, size_t len)
{
	int priority;

	if (level != SOL_SOCKET || name != SO_PRIORITY || len < sizeof(priority))
		return 0;
	memcpy(&priority, value, sizeof(priority));
	return priority < 0 || priority > 6 ? -EPERM : 0;
}

static int apply(struct host_socket *sock, int level, int name, const void *value, size_t len)
{
	int err;

	if (is_held_back(level, name))
		return set_held_back(sock, name, value, len);
	err = check_rights(level, name, value, len);
	if (err)
		return err;
	return setsockopt(sock->fd, level, name, value, (socklen_t)len) < 0 ? -errno : 0;
}

static void updated(struct host_op *op)
{
	if (op->root && op->tcp.list.Status != NDIS_STATUS_SUCCESS)
		host_upload_wanted(op->conn, UploadRequested); /* UPD-21 */
}

int host_conn_set_option(struct host_conn *conn, int level, int name, const void *value, size_t len)
{
	int effect = effect_of(level, name), err = can_ask(conn);

	if (err)
		return err;
	if (effect < 0)
		return effect;
	err = apply(&conn->sock, level, name, value, len);
	if (err || effect == EFFECT_KEPT)
		return err;
	err = host_repair_options(&conn->sock, &conn->image);
	if (err)
		return err;
	return host_op_submit_cached(conn, effect == EFFECT_KEEPALIVE, updated);
}

/* ---- asking ---- */

int host_conn_get_option(struct host_conn *conn, int level, int name, void *value, size_t *len)
{
	socklen_t room = (socklen_t)*len;
	int on, err = can_ask(conn);

	if (err)
		return err;
	if (effect_of(level, name) < 0 && !is_readable(level, name))
		return -ENOPROTOOPT;
	if (is_held_back(level, name)) {
		on = name == SO_KEEPALIVE ? conn->sock.keepalive : conn->sock.reuseaddr;
		*len = *len < sizeof(on) ? *len : sizeof(on);
		memcpy(value, &on, *len);
		return 0;
	}
	if (getsockopt(conn->sock.fd, level, name, value, &room) < 0)
		return -errno;
	if (level == SOL_SOCKET && name == SO_MARK)
		memset(value, 0,
		       room); /* what it has now is ours; marked sockets stay in the host */
	*len = room;
	return 0;
}

struct info_request {
	struct tcp_info *out;
	struct host_query_result state;
	host_done_fn *done;
	void *ctx;
};

static uint32_t segments(uint32_t bytes, uint32_t mss)
{
	return mss ? (bytes + mss - 1) / mss : 0;
}

static uint8_t agreed(const struct host_image *image)
{
	return (image->timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (image->sack ? TCPI_OPT_SACK : 0) |
	       (image->wscale ? TCPI_OPT_WSCALE : 0) | (image->ecn ? TCPI_OPT_ECN : 0);
}

/* A request is outstanding as a whole until its last byte is acknowledged: at most one too many. */
static uint32_t not_sent(const struct host_query_result *q, const struct host_xfer *x)
{
	uint32_t flight = q->snd_max - q->snd_una;

	return x->outstanding > flight ? x->outstanding - flight : 0;
}

/* Over what the parked socket says comes what the target knows. */
static void merge(struct tcp_info *to, const struct host_query_result *from,
		  const struct host_conn *conn)
{
	const struct host_image *image = &conn->image;
	uint32_t mss = image->mss_bytes;

	to->tcpi_state = host_state_of_ddi(from->tcp_state);
	to->tcpi_options = agreed(image);
	to->tcpi_snd_wscale = image->snd_wscale & 15;
	to->tcpi_rcv_wscale = image->rcv_wscale & 15;
	to->tcpi_retransmits = (uint8_t)from->retransmit_count;
	to->tcpi_snd_mss = mss;
	to->tcpi_rcv_mss = mss;
	to->tcpi_unacked = segments(from->snd_nxt - from->snd_una, mss);
	to->tcpi_pmtu = conn->path ? conn->path->mtu_bytes : 0;
	to->tcpi_rtt = (uint32_t)from->srtt_us;
	to->tcpi_rttvar = (uint32_t)from->rttvar_us;
	to->tcpi_snd_cwnd = segments(from->cwnd_bytes, mss);
	to->tcpi_snd_ssthresh = from->ssthresh_bytes >= 0x7FFFFFFFu
					? 0x7FFFFFFFu
					: segments(from->ssthresh_bytes, mss);
	to->tcpi_rcv_space = from->rcv_wnd_bytes;
	to->tcpi_snd_wnd = from->snd_wnd_bytes;
	to->tcpi_notsent_bytes = not_sent(from, &conn->xfer);
	to->tcpi_bytes_acked = conn->info.bytes_from_program - conn->xfer.outstanding;
	to->tcpi_bytes_received = conn->info.bytes_to_program + conn->xfer.held;
}

static void info_known(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct info_request *request = ctx;

	if (!err)
		merge(request->out, &request->state, conn);
	request->done(request->ctx, conn, err, why);
	free(request);
}

int host_conn_tcp_info(struct host_conn *conn, struct tcp_info *info, host_done_fn *done, void *ctx)
{
	struct info_request *request;
	socklen_t len = sizeof(*info);
	int err = can_ask(conn);

	if (err)
		return err;
	memset(info, 0, sizeof(*info));
	if (getsockopt(conn->sock.fd, IPPROTO_TCP, TCP_INFO, info, &len) < 0)
		return -errno;
	request = malloc(sizeof(*request));
	if (!request)
		return -ENOMEM;
	*request = (struct info_request){ .out = info, .done = done, .ctx = ctx };
	err = host_conn_query(conn, &request->state, info_known, request);
	if (err)
		free(request);
	return err;
}
