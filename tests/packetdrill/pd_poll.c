/* SPDX-License-Identifier: BSD-2-Clause */
/* poll, epoll, pipes, splice and sendfile. Pipes and files are the kernel's own. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pd.h"

static int leave(int result, int err)
{
	pd_unlock();
	if (result < 0)
		errno = err;
	return result;
}

static bool fin_received(const struct pd_sock *sock)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);

	return sock->sock->rx.fin_known || (conn && conn->flags & TGT_CF_FIN_RECEIVED);
}

/* Unsent bytes at or above TCP_NOTSENT_LOWAT: not worth writing more. */
static bool enough_unsent(const struct pd_sock *sock)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);
	uint32_t unsent;

	if (!conn || !sock->opt.notsent_lowat)
		return false;
	unsent = conn->sendq.seq + conn->sendq.list.bytes - conn->snd_nxt + sock->held;
	return unsent >= sock->opt.notsent_lowat;
}

static uint32_t live_events(struct pd_sock *sock)
{
	bool over = pd_error(sock) || sock->error_told || sock->sock->phase == SIM_ENDED ||
		    sock->sock->aborted;
	bool end = fin_received(sock) || sock->shut_rd;
	uint32_t events = 0;

	if (pd_error(sock))
		events |= EPOLLERR;
	if (over || (end && sock->shut_wr))
		events |= EPOLLHUP;
	if (end || over)
		events |= EPOLLRDHUP;
	if (end || over || pd_readable(sock) > 0)
		events |= EPOLLIN | EPOLLRDNORM;
	if (over || sock->shut_wr || (pd_writable(sock) > 0 && !enough_unsent(sock)))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static bool has_child(const struct pd_sock *listener)
{
	unsigned int i;

	for (i = 0; i < PD_SOCKS; i++) {
		if (pd.socks[i].parent == listener && pd.socks[i].acceptable)
			return true;
	}
	return false;
}

uint32_t pd_events(const struct pd_sock *sock)
{
	switch (sock->state) {
	case PD_LISTEN:
		return has_child(sock) ? EPOLLIN | EPOLLRDNORM : 0;
	case PD_LIVE:
		return live_events((struct pd_sock *)(uintptr_t)sock);
	case PD_SYN_SENT:
		return 0;
	default:
		return (sock->error ? EPOLLERR : 0u) | EPOLLHUP | EPOLLOUT;
	}
}

/* poll */

struct poll_call {
	struct pollfd *fds;
	unsigned long count;
	int ready;
};

static bool poll_ready(void *ctx)
{
	struct poll_call *call = ctx;
	unsigned long i;

	call->ready = 0;
	for (i = 0; i < call->count; i++) {
		struct pollfd *at = &call->fds[i];
		struct pd_sock *sock = pd_sock_of(at->fd);
		uint32_t events = sock ? pd_events(sock) : (uint32_t)POLLNVAL;

		at->revents =
			(short)(events & ((uint32_t)at->events | POLLERR | POLLHUP | POLLNVAL));
		call->ready += at->revents != 0;
	}
	return call->ready > 0;
}

int pd_call_poll(void *user, struct pollfd *fds, unsigned long count, int timeout_ms)
{
	struct poll_call call = { .fds = fds, .count = count };

	(void)user;
	pd_lock();
	pd_wait(poll_ready, &call, timeout_ms);
	return leave(call.ready, 0);
}

/* epoll */

int pd_call_epoll_create(void *user, int size)
{
	struct pd_sock *sock;

	(void)user;
	(void)size;
	pd_lock();
	sock = pd_sock_new(PD_EPOLL);
	return leave(sock ? sock->fd : -1, EMFILE);
}

static struct pd_watch *watch_of(struct pd_sock *epoll, int fd)
{
	unsigned int i;

	for (i = 0; i < PD_WATCHES; i++) {
		if (epoll->watches[i].fd == fd)
			return &epoll->watches[i];
	}
	return NULL;
}

void pd_epoll_forget(int fd)
{
	unsigned int i;

	for (i = 0; i < PD_SOCKS; i++) {
		struct pd_watch *watch =
			pd.socks[i].kind == PD_EPOLL ? watch_of(&pd.socks[i], fd) : NULL;

		if (watch)
			watch->fd = -1;
	}
}

int pd_call_epoll_ctl(void *user, int epfd, int op, int fd, struct epoll_event *event)
{
	struct pd_sock *epoll;
	struct pd_watch *watch;

	(void)user;
	pd_lock();
	epoll = pd_sock_of(epfd);
	if (!epoll || epoll->kind != PD_EPOLL || !pd_sock_of(fd))
		return leave(-1, EBADF);
	watch = watch_of(epoll, fd);
	if (op == EPOLL_CTL_ADD) {
		if (watch)
			return leave(-1, EEXIST);
		watch = watch_of(epoll, -1);
	}
	if (!watch)
		return leave(-1, ENOENT);
	if (op == EPOLL_CTL_DEL)
		watch->fd = -1;
	else
		*watch = (struct pd_watch){ .fd = fd, .event = *event };
	return leave(0, 0);
}

struct epoll_call {
	struct pd_sock *epoll;
	struct epoll_event *events;
	int max, ready;
};

/* Edge: something came that was not there, or more of it came. */
static uint32_t news(const struct pd_watch *watch, const struct pd_sock *sock)
{
	uint32_t events = pd_events(sock) & (watch->event.events | EPOLLERR | EPOLLHUP);

	if (watch->spent)
		return 0;
	if (!(watch->event.events & EPOLLET))
		return events;
	if (events & ~watch->told || watch->told_progress != sock->progress)
		return events;
	return 0;
}

static void told(struct pd_watch *watch, const struct pd_sock *sock, uint32_t events)
{
	watch->told = events;
	watch->told_progress = sock->progress;
	watch->spent = watch->event.events & EPOLLONESHOT;
}

static bool epoll_ready(void *ctx)
{
	struct epoll_call *call = ctx;
	unsigned int i;

	call->ready = 0;
	for (i = 0; i < PD_WATCHES && call->ready < call->max; i++) {
		struct pd_watch *watch = &call->epoll->watches[i];
		struct pd_sock *sock = watch->fd >= 0 ? pd_sock_of(watch->fd) : NULL;
		uint32_t events = sock ? news(watch, sock) : 0;

		if (!events)
			continue;
		call->events[call->ready] = watch->event;
		call->events[call->ready++].events = events;
		told(watch, sock, events);
	}
	return call->ready > 0;
}

int pd_call_epoll_wait(void *user, int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	struct epoll_call call = { .events = events, .max = max };

	(void)user;
	pd_lock();
	call.epoll = pd_sock_of(epfd);
	if (!call.epoll || call.epoll->kind != PD_EPOLL)
		return leave(-1, EBADF);
	pd_wait(epoll_ready, &call, timeout_ms);
	return leave(call.ready, 0);
}

/* Bytes from and to files. */

/* packetdrill passes a pointer to its NULL. */
static bool has_offset(const off_t *offset)
{
	return offset && *offset != 0;
}

int pd_call_pipe(void *user, int fds[2])
{
	(void)user;
	return pipe(fds);
}

int pd_call_splice(void *user, int in, off_t *in_off, int out, off_t *out_off, size_t len,
		   unsigned int flags)
{
	int from_sock = in >= PD_FD_BASE, to_sock = out >= PD_FD_BASE;
	uint8_t *buf = malloc(len);
	ssize_t got, put;

	(void)flags;
	if (!buf || has_offset(in_off) || has_offset(out_off) || (!from_sock && !to_sock)) {
		free(buf);
		errno = EINVAL;
		return -1;
	}
	got = from_sock ? pd_call_recv(user, in, buf, len, 0) : read(in, buf, len);
	put = got > 0 ? (to_sock ? pd_call_send(user, out, buf, (size_t)got, 0)
				 : write(out, buf, (size_t)got))
		      : got;
	free(buf);
	return (int)put;
}

ssize_t pd_sendfile(int out, int in, off_t *offset, size_t len)
{
	uint8_t *buf = malloc(len);
	ssize_t got = -1, put;

	if (buf)
		got = offset ? pread(in, buf, len, *offset) : read(in, buf, len);
	put = got > 0 ? pd_call_send(NULL, out, buf, (size_t)got, 0) : got;
	if (put > 0 && offset)
		*offset += put;
	free(buf);
	return put;
}
