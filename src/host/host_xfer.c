/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_xfer.c - bytes between the program's end of a stream pair and the target.
 *
 *	program --- UNIX stream --- watch --- NdisOffloadTcpSend        one request for each read
 *	program --- UNIX stream <------------ receive indication        written where it lies
 *	                        <------------ receive request           after a refusal, of its size
 *
 * Down. What was read and not acknowledged by the peer ("outstanding") must find room in the
 * kernel's socket when the connection comes back, and so must what waits in the stream: both are
 * bounded together (send_limit()).
 *
 * Up. An indication that the stream cannot take is refused, whole or in part; the target keeps
 * the rest and indicates nothing until we post. When the stream can be written again we ask for
 * ReceiveBacklogSize and post a request of just that size: it is full at once, so that no push
 * timer is waited for, and what follows is indicated again.
 *
 * Ends. End of file from the program: graceful disconnect. It closed with data unread, or with
 * SO_LINGER 0: abortive. The peer's FIN: our end is shut down for writing. Both FINs over: the
 * host takes the connection back.
 *
 * A direct connection (host_direct.c) has no stream: its requests describe the program's own
 * memory, and nothing is accepted that it has not posted memory for.
 *
 * The case that almost goes wrong: the watch is level-triggered, and EPOLLHUP cannot be masked.
 * With nothing to wait for, the descriptor leaves the loop.
 */
#include "host/host_int.h"
#include "host/host_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define IOV_MAX_PARTS 64

static void pump(struct host_conn *conn);

/* ---- the pair ----------------------------------------------------------------------------- */

static void served(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	pump((struct host_conn *)((char *)watch - offsetof(struct host_conn, xfer.watch)));
}

/* What the kernel's socket could take back, less what may wait in the stream. */
static uint32_t send_limit(const struct host_conn *conn, uint32_t wanted)
{
	uint32_t rx, tx, limit;

	host_repair_room(&conn->sock, &rx, &tx);
	limit = tx > 2 * HOST_STREAM_BYTES ? tx - HOST_STREAM_BYTES : HOST_STREAM_BYTES / 2;
	if (limit > wanted)
		limit = wanted;
	return limit > HOST_SEND_BYTES ? limit : HOST_SEND_BYTES;
}

/* The same the other way: with what waits in the stream it has to fit the kernel's socket. */
static uint32_t receive_limit(const struct host_conn *conn)
{
	uint32_t rx, tx;

	host_repair_room(&conn->sock, &rx, &tx);
	return rx > HOST_STREAM_BYTES + HOST_SEND_BYTES ? rx - HOST_STREAM_BYTES : HOST_SEND_BYTES;
}

static int open_pair(struct host_conn *conn)
{
	int pair[2], bytes = HOST_STREAM_BYTES / 2; /* the kernel doubles it */

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	conn->xfer = (struct host_xfer){ .watch = { .fn = served, .fd = pair[0] },
					 .program_end = pair[1] };
	return 0;
}

int host_xfer_open(struct host_conn *conn)
{
	int err = 0;

	if (conn->direct)
		conn->xfer = (struct host_xfer){ .watch.fd = -1, .program_end = -1 };
	else
		err = open_pair(conn);
	conn->xfer.limit = send_limit(conn, 1u << 20);
	conn->xfer.receive_limit = receive_limit(conn);
	return err;
}

void host_xfer_close(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;

	host_xfer_stop(conn);
	if (x->watch.fd >= 0)
		close(x->watch.fd);
	if (x->program_end >= 0)
		close(x->program_end);
	host_block_put(x->pending);
	host_block_put(x->resend);
	*x = (struct host_xfer){ .watch = { .fn = served, .fd = -1 }, .program_end = -1 };
}

static void watch_what_is_due(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;
	struct loop *loop = conn->adapter->host->config.loop;
	uint32_t events = 0;

	if (conn->direct)
		return;
	if (x->running && !x->eof && !x->reset && x->outstanding < x->limit)
		events |= EPOLLIN;
	if (x->running && !x->reset && (x->pending || (x->held && !x->posted && !x->asking)))
		events |= EPOLLOUT;
	if (events)
		loop_watch_set(loop, &x->watch, events);
	else
		loop_unwatch(loop, &x->watch);
}

void host_xfer_start(struct host_conn *conn)
{
	conn->xfer.running = true;
	pump(conn);
}

void host_xfer_stop(struct host_conn *conn)
{
	conn->xfer.running = false;
	if (!conn->direct)
		loop_unwatch(conn->adapter->host->config.loop, &conn->xfer.watch);
}

/* ---- program -> target -------------------------------------------------------------------- */

void host_xfer_disconnect(struct host_conn *conn, ULONG flags)
{
	struct host_block *none = host_block_get(&conn->adapter->host->blocks, 1);
	struct host_request *r = none ? host_request_new(conn, none, 0, 0) : NULL;

	host_block_put(none);
	if (!r) { /* the connection is taken back; the kernel closes it then */
		host_upload_wanted(conn, UploadRequested);
		return;
	}
	if (flags == TCP_DISCONNECT_ABORTIVE_CLOSE)
		conn->xfer.abort_asked = true;
	else
		conn->xfer.fin_asked = true;
	conn->xfer.requests++;
	NdisOffloadTcpDisconnect(&conn->handle, r->nbl, flags);
}

static void program_ended(struct host_conn *conn)
{
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);
	struct pollfd pfd = { .fd = conn->xfer.watch.fd };
	bool closed;

	if (conn->xfer.abort_asked || (conn->xfer.fin_asked && !conn->xfer.reset))
		return;
	closed = poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
	getsockopt(conn->sock.fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	if (conn->xfer.reset || (closed && linger.l_onoff && linger.l_linger == 0))
		host_xfer_disconnect(conn, TCP_DISCONNECT_ABORTIVE_CLOSE);
	else
		host_xfer_disconnect(conn, TCP_DISCONNECT_GRACEFUL_CLOSE);
}

/* One read, one request. Returns the bytes taken; 0: nothing more now. */
static uint32_t send_some(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;
	struct host_block *block = host_block_get(&conn->adapter->host->blocks, HOST_SEND_BYTES);
	struct host_request *r = NULL;
	ssize_t n;

	if (!block)
		return 0; /* the stream keeps it; a completion tries again */
	n = recv(x->watch.fd, block->data, HOST_SEND_BYTES, MSG_DONTWAIT);
	if (n > 0) {
		block->len = (size_t)n;
		r = host_request_new(conn, block, 0, (uint32_t)n);
		if (!r && host_block_append(&conn->adapter->host->blocks, &x->resend, block->data,
					    block->len) == 0)
			host_upload_wanted(conn,
					   UploadRequested); /* read already: the kernel sends it */
	} else if (n == 0) {
		x->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		x->reset = true; /* ECONNRESET: it closed with received data unread */
	}
	host_block_put(block);
	if (!r)
		return 0;
	x->outstanding += (uint32_t)n;
	x->requests++;
	conn->info.bytes_from_program += (uint64_t)n;
	NdisOffloadTcpSend(&conn->handle, r->nbl);
	return (uint32_t)n;
}

static void pump_out(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;

	if (x->sending)
		return; /* the target indicates something while it is called: the loop below goes on */
	x->sending = true;
	while (x->running && !x->eof && !x->reset && x->outstanding < x->limit)
		if (send_some(conn) < HOST_SEND_BYTES)
			break;
	x->sending = false;
	if (x->running && (x->eof || x->reset))
		program_ended(conn);
}

void host_xfer_sent(struct host_adapter *adapter, NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *next = NET_BUFFER_LIST_NEXT_NBL(chain);
		struct host_request *r = host_request_of(chain);
		struct host_conn *conn = r->conn;
		struct host_xfer *x = &conn->xfer;

		x->outstanding -= r->bytes;
		x->requests--;
		/*
		 * not sent to the end because the connection is on its way up: the kernel sends
		 * the rest
		 */
		if (NET_BUFFER_LIST_STATUS(chain) == NDIS_STATUS_UPLOAD_IN_PROGRESS &&
		    host_nbl_append(conn, chain, &x->resend))
			x->reset = true;
		if (conn->direct && r->cookie)
			conn->direct->sent(conn->direct_ctx, r->cookie);
		host_request_free(adapter, r);
		if (x->running)
			watch_what_is_due(conn);
		chain = next;
	}
}

/* ---- target -> program -------------------------------------------------------------------- */

/* Bytes that the stream took; the program has closed it: all, for nobody will read them. */
static uint32_t write_stream(struct host_conn *conn, const struct iovec *iov, int parts,
			     uint32_t len)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			      .msg_iovlen = (size_t)parts };
	ssize_t n = sendmsg(conn->xfer.watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0) {
		conn->info.bytes_to_program += (uint64_t)n;
		return (uint32_t)n;
	}
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR)
		return 0;
	/* As the kernel does when data arrives for a closed socket. */
	conn->xfer.reset = true;
	return len;
}

/* Received bytes that are ours already: into the stream, or behind what waits for it. */
static void take_received(struct host_conn *conn, const uint8_t *data, uint32_t len)
{
	struct host_xfer *x = &conn->xfer;
	struct iovec iov = { (void *)(uintptr_t)data, len };
	uint32_t done = 0;

	if (!x->pending && x->running)
		done = write_stream(conn, &iov, 1, len);
	if (done < len &&
	    host_block_append(&conn->adapter->host->blocks, &x->pending, data + done, len - done))
		/* acknowledged bytes cannot be kept: end it rather than lose them silently */
		x->reset = true;
}

static void post_receive(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;
	uint32_t bytes = x->held < x->receive_limit ? x->held : x->receive_limit;
	struct host_block *block = host_block_get(&conn->adapter->host->blocks, bytes);
	struct host_request *r = block ? host_request_new(conn, block, 0, bytes) : NULL;

	host_block_put(block);
	if (!r)
		return;
	NET_BUFFER_LIST_INFO(r->nbl, TcpReceiveNoPush) = NULL;
	x->posted = true;
	x->requests++;
	NdisOffloadTcpReceive(&conn->handle, r->nbl);
}

/* QRY-15: since the refusal more has arrived, and the request is to be large enough for all. */
static void backlog_known(struct host_op *op)
{
	struct host_xfer *x = &op->conn->xfer;
	uint32_t bytes = host_state_delegated(&op->tcp)->ReceiveBacklogSize;

	x->asking = false;
	if (op->root && op->tcp.list.Status != NDIS_STATUS_SUCCESS)
		host_upload_wanted(op->conn, HardwareFailure); /* QRY-07 */
	else if (op->root && bytes != UINT32_MAX && bytes > x->held)
		x->held = bytes;
	x->held_is_all = true;
	pump(op->conn);
}

static void ask_or_post(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;

	if (!x->held_is_all) {
		x->asking = true;
		if (host_op_submit(conn, HOST_OP_QUERY, backlog_known, NULL) == 0)
			return;
		x->asking = false; /* no memory: what was refused is at least there */
	}
	post_receive(conn);
}

void host_xfer_received(struct host_adapter *adapter, NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *next = NET_BUFFER_LIST_NEXT_NBL(chain);
		struct host_request *r = host_request_of(chain);
		struct host_conn *conn = r->conn;
		uint32_t n = (uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(chain,
								       TcpOffloadBytesTransferred);

		conn->xfer.posted = false;
		conn->xfer.requests--;
		conn->xfer.held = 0; /* what is left is indicated from now on */
		if (conn->direct)
			conn->direct->received(conn->direct_ctx, r->cookie,
					       n < r->bytes ? n : r->bytes);
		else if (n)
			take_received(conn, r->block->data, n < r->bytes ? n : r->bytes);
		host_request_free(adapter, r);
		if (conn->xfer.running)
			watch_what_is_due(conn);
		if (conn->move.delivering) {
			conn->move.delivering = false;
			host_move_go_on(conn, 0); /* conn may be gone */
		}
		chain = next;
	}
}

static void returns_due(struct loop_timer *timer)
{
	host_xfer_returns((struct host_adapter *)((char *)timer -
						  offsetof(struct host_adapter, returns_timer)));
}

void host_xfer_returns(struct host_adapter *adapter)
{
	NET_BUFFER_LIST *chain = adapter->returns;

	adapter->returns = NULL;
	adapter->returns_tail = &adapter->returns;
	if (chain)
		NdisOffloadTcpReceiveReturn(adapter->binding, chain);
}

/* Not from inside the indication: the list is still being looked at. */
static void return_later(struct host_adapter *adapter, NET_BUFFER_LIST *nbl)
{
	NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
	*adapter->returns_tail = nbl;
	adapter->returns_tail = &NET_BUFFER_LIST_NEXT_NBL(nbl);
	if (adapter->returns_timer.active)
		return;
	adapter->returns_timer.fn = returns_due;
	loop_timer_set(adapter->host->config.loop, &adapter->returns_timer,
		       loop_now_us(adapter->host->config.loop));
}

NDIS_STATUS host_xfer_indicated(struct host_conn *conn, NET_BUFFER_LIST *nbl, ULONG *consumed)
{
	struct host_xfer *x = &conn->xfer;
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	uint32_t total = NET_BUFFER_DATA_LENGTH(nb), done = 0;
	struct iovec iov[IOV_MAX_PARTS];

	*consumed = 0;
	/* A direct program takes bytes in posted memory only: they wait in the target for that. */
	while (!conn->direct && done < total && x->running && !x->pending) {
		int parts = host_nb_iov(nb, done, iov, IOV_MAX_PARTS);
		uint32_t want = 0, n;

		for (int i = 0; i < parts; i++)
			want += (uint32_t)iov[i].iov_len;
		n = write_stream(conn, iov, parts, want);
		done += n;
		if (n < want || want == 0)
			break;
	}
	*consumed = done;
	if (done == total) {
		return_later(conn->adapter, nbl);
	} else {
		x->held = total - done;
		x->held_is_all = false;
	}
	if (x->reset)
		pump_out(conn);
	if (x->running)
		watch_what_is_due(conn);
	if (done == total)
		return NDIS_STATUS_SUCCESS;
	return done ? NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED
		    : NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED;
}

static void flush_pending(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;
	struct iovec iov;

	if (!x->pending)
		return;
	iov = (struct iovec){ x->pending->data + x->pending_at, x->pending->len - x->pending_at };
	x->pending_at += write_stream(conn, &iov, 1, (uint32_t)iov.iov_len);
	if (x->pending_at < x->pending->len)
		return;
	host_block_put(x->pending);
	x->pending = NULL;
	x->pending_at = 0;
}

static bool stream_writable(const struct host_conn *conn)
{
	struct pollfd pfd = { .fd = conn->xfer.watch.fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1;
}

static void pump_in(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;

	flush_pending(conn);
	if (x->pending || x->reset)
		return;
	if (x->held && !x->posted && !x->asking && stream_writable(conn))
		ask_or_post(conn);
	if (x->peer_fin && !x->peer_fin_told && !x->held) {
		shutdown(x->watch.fd, SHUT_WR);
		x->peer_fin_told = true;
	}
}

static void pump_direct(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;

	if (x->peer_fin && !x->peer_fin_told) {
		x->peer_fin_told = true;
		conn->direct->peer_closed(conn->direct_ctx);
	}
	conn->direct->ready(conn->direct_ctx);
}

/* Both directions; the only place that decides what the watch waits for. */
static void pump(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;

	if (!x->running)
		return;
	if (conn->direct) {
		pump_direct(conn);
		return;
	}
	pump_in(conn);
	pump_out(conn);
	if (x->running)
		watch_what_is_due(conn);
}

/* ---- ends --------------------------------------------------------------------------------- */

static void end_when_both_are_done(struct host_conn *conn)
{
	if (conn->xfer.fin_done && conn->xfer.peer_fin)
		host_upload_wanted(conn, UploadRequested);
}

void host_xfer_disconnected(struct host_adapter *adapter, NET_BUFFER_LIST *chain)
{
	struct host_request *r = host_request_of(chain);
	struct host_conn *conn = r->conn;
	bool ok = NET_BUFFER_LIST_STATUS(chain) == NDIS_STATUS_SUCCESS;

	conn->xfer.requests--;
	host_request_free(adapter, r);
	if (conn->xfer.abort_asked) {
		if (ok)
			host_upload_wanted(conn, UploadRequested);
	} else if (ok) {
		conn->xfer.fin_done = true;
		end_when_both_are_done(conn);
	}
}

void host_xfer_event(struct host_conn *conn, ULONG type, ULONG info)
{
	switch (type) {
	case TcpIndicateSendBacklogChange:
		conn->xfer.limit = send_limit(
			conn, info > HOST_BACKLOG_MIN_BYTES ? info : HOST_BACKLOG_MIN_BYTES);
		pump(conn);
		break;
	case TcpIndicateDisconnect:
		conn->xfer.peer_fin = true;
		pump(conn);
		end_when_both_are_done(conn);
		break;
	case TcpIndicateRetrieve:
		host_upload_wanted(conn, (TCP_UPLOAD_REASON)info);
		break;
	case TcpIndicateAbort:
		conn->aborted = true;
		host_upload_wanted(conn, UploadRequested);
		break;
	}
}

/* ---- what travels with the state ---------------------------------------------------------- */

int host_xfer_chain(struct host_conn *conn, NET_BUFFER_LIST **head, NET_BUFFER_LIST **tail)
{
	struct host_block *tx = conn->image.tx;
	size_t at = 0, len = host_block_len(tx);

	*head = *tail = NULL;
	while (at < len) {
		uint32_t bytes =
			len - at < HOST_SEND_BYTES ? (uint32_t)(len - at) : HOST_SEND_BYTES;
		struct host_request *r = host_request_new(conn, tx, at, bytes);

		if (!r) {
			host_requests_free(conn->adapter, *head);
			*head = *tail = NULL;
			return -ENOMEM;
		}
		if (*tail)
			NET_BUFFER_LIST_NEXT_NBL(*tail) = r->nbl;
		else
			*head = r->nbl;
		*tail = r->nbl;
		at += bytes;
	}
	return 0;
}

int host_xfer_buffered(struct host_conn *conn, NET_BUFFER_LIST **out)
{
	struct host_block *rx = conn->image.rx;
	struct host_request *r;

	*out = NULL;
	if (host_block_len(rx) == 0)
		return 0;
	r = host_request_new(conn, rx, 0, (uint32_t)rx->len);
	if (!r)
		return -ENOMEM;
	*out = r->nbl;
	return 0;
}

void host_xfer_adopted(struct host_conn *conn, uint32_t chain_bytes, uint32_t held_bytes)
{
	struct host_xfer *x = &conn->xfer;

	x->outstanding += chain_bytes;
	x->requests += (chain_bytes + HOST_SEND_BYTES - 1) / HOST_SEND_BYTES;
	x->held = held_bytes;
	x->held_is_all = true; /* frames that came meanwhile are still to be looked at */
}

int host_xfer_take_chain(struct host_conn *conn, NET_BUFFER_LIST *chain, struct host_block **block)
{
	int err = 0;

	for (NET_BUFFER_LIST *nbl = chain; nbl && !err; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
		err = host_nbl_append(conn, nbl, block);
	for (NET_BUFFER_LIST *nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		const struct host_request *r = host_request_of(nbl);

		conn->xfer.outstanding -= r->bytes;
		conn->xfer.requests--;
		if (conn->direct && r->cookie) /* the kernel has the bytes now */
			conn->direct->sent(conn->direct_ctx, r->cookie);
	}
	host_requests_free(conn->adapter, chain);
	return err;
}

int host_xfer_take_buffered(struct host_conn *conn, NET_BUFFER_LIST *list,
			    struct host_block **block)
{
	int err = 0;

	while (list) {
		NET_BUFFER_LIST *next = NET_BUFFER_LIST_NEXT_NBL(list);

		if (!err)
			err = host_nbl_append(conn, list, block);
		return_later(conn->adapter, list);
		list = next;
	}
	return err;
}

/* All that waits in one end, behind *block. 1: the other end has finished; 0 or -errno. */
static int drain_end(struct host_conn *conn, int fd, struct host_block **block)
{
	struct host_block_pool *pool = &conn->adapter->host->blocks;

	for (;;) {
		size_t have = host_block_len(*block);
		int err = host_block_reserve(pool, block, have + HOST_SEND_BYTES);
		ssize_t n;

		if (err)
			return err;
		n = recv(fd, (*block)->data + have, (*block)->size - have, MSG_DONTWAIT);
		if (n > 0)
			(*block)->len += (size_t)n;
		else if (n == 0)
			return 1;
		else if (errno != EINTR)
			return errno == EAGAIN ? 0 : 1;
	}
}

/* Oldest first: unread in the stream, then what waits for it, then what the target had. */
static int drain_in(struct host_conn *conn)
{
	struct host_block_pool *pool = &conn->adapter->host->blocks;
	struct host_xfer *x = &conn->xfer;
	struct host_block *all = NULL;
	int err = 0;

	if (x->program_end >= 0)
		err = drain_end(conn, x->program_end, &all);
	if (err >= 0) {
		conn->info.bytes_to_program -= host_block_len(all);
		err = x->pending ? host_block_append(pool, &all, x->pending->data + x->pending_at,
						     x->pending->len - x->pending_at)
				 : 0;
	}
	if (!err && host_block_len(conn->image.rx))
		err = host_block_append(pool, &all, conn->image.rx->data, conn->image.rx->len);
	if (err < 0) {
		host_block_put(all);
		return err;
	}
	host_block_put(x->pending);
	x->pending = NULL;
	x->pending_at = 0;
	host_block_put(conn->image.rx);
	conn->image.rx = all;
	return 0;
}

int host_xfer_drain(struct host_conn *conn)
{
	struct host_xfer *x = &conn->xfer;
	size_t before = host_block_len(conn->image.tx);
	int err = drain_in(conn);

	if (err || conn->direct)
		return err;
	err = drain_end(conn, x->watch.fd, &conn->image.tx);
	if (err < 0)
		return err;
	conn->info.bytes_from_program += host_block_len(conn->image.tx) - before;
	if (err == 1)
		x->eof = true;
	return 0;
}

/* ---- forward ------------------------------------------------------------------------------ */

int host_xfer_forward(struct host_conn *conn, const uint8_t *tcp, uint32_t len)
{
	struct host_block *block = host_block_get(&conn->adapter->host->blocks, len);
	struct host_request *r;

	if (!block)
		return -ENOMEM;
	memcpy(block->data, tcp, len);
	r = host_request_new(conn, block, 0, len);
	host_block_put(block);
	if (!r)
		return -ENOMEM;
	conn->xfer.requests++;
	NdisOffloadTcpForward(&conn->handle, r->nbl);
	return 0;
}

void host_xfer_forwarded(struct host_adapter *adapter, NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *next = NET_BUFFER_LIST_NEXT_NBL(chain);

		host_request_of(chain)->conn->xfer.requests--;
		host_request_free(adapter, host_request_of(chain));
		chain = next;
	}
}
