/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_direct.c - a connection whose program is this process: requests describe its own memory,
 * the target fills posted memory where it lies, and while it is offloaded the program holds no
 * descriptor at all.
 */
#include <errno.h>
#include <fcntl.h>

#include "host/host_int.h"
#include "host/host_request.h"

/* ---- as a program: it stands still whenever the host runs --------------------------------- */

static int direct_prepare(void *ctx, char *why, size_t why_size)
{
	const struct host_conn *conn = ctx;

	(void)why;
	(void)why_size;
	/* offloaded it has no descriptor to look at */
	return conn->program_has_stream || conn->direct->fetch(conn->direct_ctx) >= 0 ? 0 : -EBADF;
}

static int direct_exchange(void *ctx, int new_fd)
{
	struct host_conn *conn = ctx;

	conn->direct->exchange(conn->direct_ctx, new_fd);
	return 0;
}

static void direct_resume(void *ctx)
{
	(void)ctx;
}

static int direct_fetch(void *ctx, int *fd)
{
	const struct host_conn *conn = ctx;
	int own = conn->direct->fetch(conn->direct_ctx);

	if (own < 0)
		return own;
	*fd = fcntl(own, F_DUPFD_CLOEXEC, 0);
	return *fd < 0 ? -errno : 0;
}

static const struct host_program_ops direct_program = {
	.prepare = direct_prepare,
	.stop = direct_prepare,
	.exchange = direct_exchange,
	.resume = direct_resume,
	.fetch = direct_fetch,
};

int host_conn_add_direct(struct host_adapter *adapter, int kernel_fd,
			 const struct host_direct_ops *ops, void *ctx, struct host_conn **out)
{
	int err = host_conn_add(adapter, kernel_fd, &direct_program, NULL, out);

	if (err)
		return err;
	(*out)->program = *out;
	(*out)->direct = ops;
	(*out)->direct_ctx = ctx;
	return 0;
}

/* ---- requests ----------------------------------------------------------------------------- */

int host_direct_send(struct host_conn *conn, const struct host_direct_io *io)
{
	struct host_xfer *x = &conn->xfer;
	struct host_request *r;

	if (x->fin_asked)
		return -EPIPE;
	if (!x->running || x->sending || x->outstanding >= x->limit)
		return -EAGAIN;
	r = host_request_direct(conn, io);
	if (!r)
		return -ENOMEM;
	x->outstanding += io->bytes;
	x->requests++;
	conn->info.bytes_from_program += io->bytes;
	x->sending = true;
	NdisOffloadTcpSend(&conn->handle, r->nbl);
	x->sending = false;
	return 0;
}

int host_direct_receive(struct host_conn *conn, const struct host_direct_io *io, bool whole)
{
	struct host_request *r;

	if (!conn->xfer.running)
		return -EAGAIN;
	r = host_request_direct(conn, io);
	if (!r)
		return -ENOMEM;
	NET_BUFFER_LIST_INFO(r->nbl, TcpReceiveNoPush) = whole ? (void *)1 : NULL;
	conn->xfer.requests++;
	NdisOffloadTcpReceive(&conn->handle, r->nbl);
	return 0;
}

int host_direct_shutdown(struct host_conn *conn)
{
	if (!conn->xfer.running)
		return -EAGAIN;
	if (!conn->xfer.fin_asked)
		host_xfer_disconnect(conn, TCP_DISCONNECT_GRACEFUL_CLOSE);
	return 0;
}
