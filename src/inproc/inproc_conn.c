/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection: its requests go to whoever has it; its end. */
#include <errno.h>
#include <fcntl.h>
#include <ndis/ndis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inproc/inproc.h"

#define OFFLOAD_TRIES 8u /* a segment may slip in while the socket is read */

static enum host_conn_state state_of(const struct chimney_conn *conn)
{
	return conn->host ? host_conn_info(conn->host)->state : HOST_CONN_HOST;
}

void inproc_conn_dirty(struct chimney_conn *conn)
{
	if (conn->dirty || conn->finished)
		return;
	conn->dirty = true;
	conn->next_dirty = conn->chimney->dirty;
	conn->chimney->dirty = conn;
}

/* ---- ends --------------------------------------------------------------------------------- */

static void conn_end(struct chimney_conn *conn, int err)
{
	if (conn->ended && !err)
		return;
	inproc_queue_cancel(&conn->rx, conn->chimney, err);
	if (err) {
		conn->broken = true;
		inproc_queue_cancel(&conn->tx, conn->chimney, err);
	}
	conn->end.told.err = err;
	if (!conn->ended || err)
		inproc_tell(conn->chimney, &conn->end);
	conn->ended = true;
}

static void unlink_conn(struct chimney_conn *conn)
{
	struct chimney_conn **at = &conn->chimney->conns;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
}

static void conn_finish(struct chimney_conn *conn)
{
	struct chimney *chimney = conn->chimney;

	conn->finished = true; /* what its removal tells is of no use any more */
	if (conn->host && host_conn_remove(conn->host) < 0) {
		conn->finished = false; /* it moves: when that is over */
		return;
	}
	loop_unwatch(chimney->loop, &conn->watch);
	close(conn->fd);
	conn->fd = -1;
	inproc_queue_cancel(&conn->rx, chimney, -ECANCELED);
	inproc_queue_cancel(&conn->tx, chimney, -ECANCELED);
	unlink_conn(conn);
	inproc_tell(chimney, &conn->closed);
}

void inproc_conn_free(struct chimney_conn *conn)
{
	inproc_queue_drop(&conn->tx, conn->chimney);
	inproc_queue_drop(&conn->rx, conn->chimney);
	if (conn->fd >= 0) {
		loop_unwatch(conn->chimney->loop, &conn->watch);
		close(conn->fd);
	}
	free(conn);
}

/* ---- the kernel has it -------------------------------------------------------------------- */

static void readable(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	inproc_conn_dirty(
		(struct chimney_conn *)((char *)watch - offsetof(struct chimney_conn, watch)));
}

static void native_watch(struct chimney_conn *conn)
{
	struct loop *loop = conn->chimney->loop;
	uint32_t events = 0;

	if (conn->rx.first && !conn->ended)
		events |= EPOLLIN;
	if (conn->tx.first && !conn->broken)
		events |= EPOLLOUT;
	if (events)
		loop_watch_set(loop, &conn->watch, events);
	else
		loop_unwatch(loop, &conn->watch);
}

static void native_pump(struct chimney_conn *conn)
{
	bool fin = false;
	int err = conn->broken ? 0 : inproc_native_send(conn);

	if (!err && !conn->ended && !conn->closing)
		err = inproc_native_receive(conn, &fin);
	if (!err && conn->fin_wanted && !conn->fin_given && !conn->tx.first) {
		shutdown(conn->fd, SHUT_WR);
		conn->fin_given = true;
	}
	if (err || fin)
		conn_end(conn, err);
	if (conn->closing && (conn->broken || !conn->tx.first))
		conn_finish(conn);
	else
		native_watch(conn);
}

/* ---- the target has it -------------------------------------------------------------------- */

static int give(struct chimney_conn *conn, struct inproc_io *io, bool receive)
{
	struct host_direct_io direct = { .mdl = io->region->mdl,
					 .offset = (uint32_t)(io->offset + io->done),
					 .bytes = (uint32_t)(io->bytes - io->done),
					 .cookie = io };
	int err;

	io->given = true; /* it may be over before the call returns */
	err = receive ? host_direct_receive(conn->host, &direct, io->whole)
		      : host_direct_send(conn->host, &direct);
	if (err)
		io->given = false;
	return err;
}

/* -EAGAIN and -ENOMEM: the rest waits. */
static bool give_all(struct chimney_conn *conn, struct inproc_queue *queue, bool receive)
{
	for (struct inproc_io *io = queue->first, *next; io; io = next) {
		next = io->next;
		if (!io->given && give(conn, io, receive) < 0)
			return false;
	}
	return true;
}

/* The kernel closes it; the change of state has it looked at again. */
static void up_to_close(void *ctx, struct host_conn *host, int err, const char *why)
{
	(void)host;
	(void)why;
	if (err)
		inproc_conn_dirty(ctx);
}

static void direct_pump(struct chimney_conn *conn)
{
	if (conn->closing) {
		if (host_conn_upload(conn->host, UploadRequested, up_to_close, conn) < 0)
			inproc_conn_dirty(conn);
		return;
	}
	if (!conn->ended)
		(void)give_all(conn, &conn->rx, true);
	if (give_all(conn, &conn->tx, false) && conn->fin_wanted && !conn->fin_given)
		conn->fin_given = host_direct_shutdown(conn->host) == 0;
}

void inproc_conn_pump(struct chimney_conn *conn)
{
	enum host_conn_state state = state_of(conn);

	if (state == HOST_CONN_HOST && conn->fd >= 0)
		native_pump(conn);
	else if (state == HOST_CONN_OFFLOADED)
		direct_pump(conn);
}

static void op_exchange(void *ctx, int kernel_fd)
{
	struct chimney_conn *conn = ctx;
	struct loop *loop = conn->chimney->loop;

	if (conn->fd >= 0) {
		loop_unwatch(loop, &conn->watch);
		close(conn->fd);
	}
	conn->fd = kernel_fd < 0 ? -1 : fcntl(kernel_fd, F_DUPFD_CLOEXEC, 0);
	conn->watch = (struct loop_watch){ .fn = readable, .fd = conn->fd };
}

static int op_fetch(void *ctx)
{
	const struct chimney_conn *conn = ctx;

	return conn->fd >= 0 ? conn->fd : -EBADF;
}

static void op_ready(void *ctx)
{
	inproc_conn_dirty(ctx);
}

static void op_sent(void *ctx, void *cookie)
{
	struct chimney_conn *conn = ctx;
	struct inproc_io *io = cookie;

	io->done = io->bytes;
	inproc_queue_finish(&conn->tx, conn->chimney, 0);
	inproc_conn_dirty(conn); /* there is room for more */
}

/* Less than was asked for, and no end in sight: the connection is on its way up. */
static void op_received(void *ctx, void *cookie, uint32_t bytes)
{
	struct chimney_conn *conn = ctx;
	struct inproc_io *io = cookie;

	io->done += bytes;
	io->given = false;
	if (io->done == io->bytes || (io->done && !io->whole) || conn->ended || conn->closing)
		inproc_queue_finish(&conn->rx, conn->chimney, 0);
	inproc_conn_dirty(conn);
}

static void op_peer_closed(void *ctx)
{
	conn_end(ctx, 0);
}

static const struct host_direct_ops direct_ops = {
	.exchange = op_exchange,
	.fetch = op_fetch,
	.ready = op_ready,
	.sent = op_sent,
	.received = op_received,
	.peer_closed = op_peer_closed,
};

/* ---- moves -------------------------------------------------------------------------------- */

static void moved(void *ctx, struct host_conn *host, int err, const char *why)
{
	struct chimney_conn *conn = ctx;

	(void)host;
	if (err == -EAGAIN && !conn->closing && conn->tries++ < OFFLOAD_TRIES &&
	    chimney_conn_offload(conn) == 0)
		return;
	snprintf(conn->why, sizeof(conn->why), "%s", err && why ? why : "");
	conn->moved.told.err = err;
	inproc_tell(conn->chimney, &conn->moved);
}

void inproc_conn_changed(void *ctx, struct host_conn *host, enum host_conn_state from,
			 enum host_conn_state to)
{
	struct chimney_conn *conn = host_conn_user(host);

	(void)ctx;
	(void)from;
	if (!conn)
		return;
	if (to == HOST_CONN_GONE)
		conn->host = NULL;
	inproc_conn_dirty(conn);
}

int chimney_conn_offload(struct chimney_conn *conn)
{
	if (conn->closing || !conn->host)
		return -EBUSY;
	loop_unwatch(conn->chimney->loop, &conn->watch); /* its socket is left alone from now on */
	return host_conn_offload(conn->host, moved, conn);
}

int chimney_conn_upload(struct chimney_conn *conn)
{
	if (conn->closing)
		return -EBUSY;
	return conn->host ? host_conn_upload(conn->host, UploadRequested, moved, conn) : -EALREADY;
}

void chimney_conn_info(const struct chimney_conn *conn, struct chimney_conn_info *out)
{
	const struct host_conn_info *info = conn->host ? host_conn_info(conn->host) : NULL;

	*out = (struct chimney_conn_info){ .why = conn->why };
	if (!info)
		return;
	out->offloaded = info->state == HOST_CONN_OFFLOADED;
	out->moving = info->state == HOST_CONN_OFFLOADING || info->state == HOST_CONN_UPLOADING;
	out->frozen_us = info->history_count && info->history[0].upload ? info->upload_frozen_us
									: info->offload_frozen_us;
	out->offloads = info->offloads;
	out->uploads = info->uploads;
}

void chimney_conn_set_user(struct chimney_conn *conn, void *user)
{
	conn->user = user;
}

void *chimney_conn_user(const struct chimney_conn *conn)
{
	return conn->user;
}

/* ---- requests ----------------------------------------------------------------------------- */

static int request(struct chimney_conn *conn, struct chimney_region *region, struct inproc_io *io)
{
	bool receive = io->event.told.kind == CHIMNEY_RECEIVED;
	int err;

	if (io->bytes == 0 || io->offset > region->bytes || io->bytes > region->bytes - io->offset)
		return -EINVAL;
	if (conn->closing || conn->broken || (receive ? conn->ended : conn->fin_wanted))
		return -EPIPE;
	err = inproc_queue_add(receive ? &conn->rx : &conn->tx, conn, region, io);
	if (!err)
		inproc_conn_dirty(conn);
	return err;
}

int chimney_send(struct chimney_conn *conn, struct chimney_region *region, size_t offset,
		 size_t bytes, void *cookie)
{
	struct inproc_io io = { .event.told = { .kind = CHIMNEY_SENT, .cookie = cookie },
				.offset = offset,
				.bytes = bytes };

	return request(conn, region, &io);
}

int chimney_receive(struct chimney_conn *conn, struct chimney_region *region, size_t offset,
		    size_t bytes, bool whole, void *cookie)
{
	struct inproc_io io = { .event.told = { .kind = CHIMNEY_RECEIVED, .cookie = cookie },
				.offset = offset,
				.bytes = bytes,
				.whole = whole };

	return request(conn, region, &io);
}

int chimney_shutdown(struct chimney_conn *conn)
{
	if (conn->closing || conn->broken)
		return -EPIPE;
	conn->fin_wanted = true;
	inproc_conn_dirty(conn);
	return 0;
}

void chimney_conn_close(struct chimney_conn *conn)
{
	if (conn->closing)
		return;
	conn->closing = true;
	inproc_queue_cancel(&conn->rx, conn->chimney, -ECANCELED);
	inproc_conn_dirty(conn);
}

int chimney_conn_add(struct chimney *chimney, int fd, void *user, struct chimney_conn **out)
{
	struct chimney_conn *conn = calloc(1, sizeof(*conn));
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), err;

	if (!conn || copy < 0) {
		err = conn ? -errno : -ENOMEM;
		close(fd);
		free(conn);
		return err;
	}
	conn->fd = fd;
	err = host_conn_add_direct(chimney->stack.adapter, copy, &direct_ops, conn, &conn->host);
	if (err) {
		close(fd);
		free(conn);
		return err;
	}
	host_conn_set_user(conn->host, conn);
	conn->chimney = chimney;
	conn->user = user;
	conn->watch = (struct loop_watch){ .fn = readable, .fd = fd };
	inproc_queue_init(&conn->tx);
	inproc_queue_init(&conn->rx);
	conn->accepted.told = (struct chimney_event){ .kind = CHIMNEY_ACCEPTED, .conn = conn };
	conn->end.told = (struct chimney_event){ .kind = CHIMNEY_ENDED, .conn = conn };
	conn->moved.told = (struct chimney_event){ .kind = CHIMNEY_MOVED, .conn = conn };
	conn->closed.told = (struct chimney_event){ .kind = CHIMNEY_CLOSED, .conn = conn };
	conn->next = chimney->conns;
	chimney->conns = conn;
	*out = conn;
	return 0;
}
