/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket calls. Each takes the lock, and returns as the system call would, with errno. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pd.h"

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

struct pd_sock *pd_sock_of(int fd)
{
	unsigned int i = (unsigned int)(fd - PD_FD_BASE);

	if (fd < PD_FD_BASE || i >= PD_SOCKS || pd.socks[i].kind == PD_NONE || !pd.socks[i].open)
		return NULL;
	return &pd.socks[i];
}

static struct pd_sock *lock_sock(int fd)
{
	struct pd_sock *sock;

	pd_lock();
	sock = pd_sock_of(fd);
	if (!sock || sock->kind != PD_TCP) {
		pd_unlock();
		errno = EBADF;
		return NULL;
	}
	return sock;
}

static int leave(int result, int err)
{
	pd_unlock();
	if (result < 0)
		errno = err;
	return result;
}

int pd_call_socket(void *user, int domain, int type, int protocol)
{
	struct pd_sock *sock;

	(void)user;
	(void)protocol;
	if ((domain != AF_INET && domain != AF_INET6) || (type & 15) != SOCK_STREAM) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	pd_lock();
	sock = pd_sock_new(PD_TCP);
	if (sock) {
		sock->local.ss_family = (sa_family_t)domain;
		sock->opt.nonblock = type & SOCK_NONBLOCK;
	}
	return leave(sock ? sock->fd : -1, EMFILE);
}

int pd_call_bind(void *user, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct pd_sock *sock = lock_sock(fd);

	(void)user;
	if (!sock)
		return -1;
	memcpy(&sock->local, addr, len < sizeof(sock->local) ? len : sizeof(sock->local));
	return leave(0, 0);
}

int pd_call_listen(void *user, int fd, int backlog)
{
	struct pd_sock *sock = lock_sock(fd);

	(void)user;
	(void)backlog;
	if (!sock)
		return -1;
	sock->state = PD_LISTEN;
	return leave(0, 0);
}

static struct pd_sock *next_child(const struct pd_sock *listener)
{
	unsigned int i;

	for (i = 0; i < PD_SOCKS; i++) {
		if (pd.socks[i].parent == listener && pd.socks[i].acceptable)
			return &pd.socks[i];
	}
	return NULL;
}

struct accept_call {
	struct pd_sock *listener, *child;
};

static bool try_accept(void *ctx)
{
	struct accept_call *call = ctx;

	call->child = next_child(call->listener);
	if (!call->child)
		return false;
	call->child->acceptable = false;
	call->child->open = true;
	return true;
}

static void give_address(const struct sockaddr_storage *from, struct sockaddr *addr, socklen_t *len)
{
	socklen_t size = from->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						    : sizeof(struct sockaddr_in6);

	if (!addr || !len)
		return;
	memcpy(addr, from, *len < size ? *len : size);
	*len = size;
}

int pd_call_accept(void *user, int fd, struct sockaddr *addr, socklen_t *len)
{
	struct accept_call call = { .listener = lock_sock(fd) };

	(void)user;
	if (!call.listener)
		return -1;
	if (call.listener->state != PD_LISTEN)
		return leave(-1, EINVAL);
	if (!pd_wait(try_accept, &call, call.listener->opt.nonblock ? 0 : -1))
		return leave(-1, EAGAIN);
	give_address(&call.child->remote, addr, len);
	return leave(call.child->fd, 0);
}

static void bind_for_connect(struct pd_sock *sock)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&sock->local;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sock->local;
	bool mapped = sock->remote.ss_family == AF_INET6 &&
		      IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&sock->remote)->sin6_addr);

	if (in->sin_port == 0) {
		sock->local.ss_family = sock->remote.ss_family;
		in->sin_port = htons(pd.next_port++);
	}
	if (sock->local.ss_family == AF_INET && in->sin_addr.s_addr == 0)
		in->sin_addr.s_addr = htonl(0xc0a80001);
	else if (sock->local.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
		memcpy(in6->sin6_addr.s6_addr,
		       mapped ? (const uint8_t[16]){ [10] = 0xff, 0xff, 192, 168, 0, 1 }
			      : (const uint8_t[16]){ 0xfd, 0x3d, 0x0a, 0x0b, 0x17, 0xd6, [15] = 1 },
		       16);
}

static bool connected(void *ctx)
{
	return ((struct pd_sock *)ctx)->state != PD_SYN_SENT;
}

int pd_call_connect(void *user, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct pd_sock *sock = lock_sock(fd);

	(void)user;
	if (!sock)
		return -1;
	if (sock->state == PD_SYN_SENT)
		return leave(-1, EALREADY);
	if (sock->state == PD_LIVE)
		return leave(-1, EISCONN);
	if (sock->state != PD_CLOSED)
		return leave(-1, EINVAL);
	memcpy(&sock->remote, addr, len < sizeof(sock->remote) ? len : sizeof(sock->remote));
	bind_for_connect(sock);
	pd_connect(sock);
	if (!pd_wait(connected, sock, sock->opt.nonblock ? 0 : -1))
		return leave(-1, EINPROGRESS);
	if (sock->state == PD_LIVE)
		return leave(0, 0);
	sock->error_told = true;
	len = (socklen_t)sock->error;
	sock->error = 0;
	return leave(-1, (int)len);
}

/* Reading. */

/* One errno, once. */
static int tell_error(struct pd_sock *sock)
{
	int err = pd_error(sock);

	if (err) {
		sock->error = 0;
		sock->error_told = true;
	}
	return err;
}

static bool peer_finished(const struct pd_sock *sock)
{
	return pd_at_end(sock) || sock->shut_rd || (sock->sock && sock->sock->rx.fin_known);
}

/* A transfer; result is what the call returns, negative: -errno. */
struct transfer {
	struct pd_sock *sock;
	uint8_t *buf;
	size_t len, done;
	int flags;
	ssize_t result;
};

static bool try_receive(void *ctx)
{
	struct transfer *call = ctx;
	struct pd_sock *sock = call->sock;
	int err;

	call->result = pd_take(sock, call->flags & MSG_TRUNC ? NULL : call->buf, call->len,
			       call->flags & MSG_PEEK);
	if (call->result > 0 || call->len == 0)
		return true;
	err = sock->sock->rx.fin_known ? 0 : tell_error(sock);
	call->result = -err;
	return err || peer_finished(sock) || sock->error_told;
}

static ssize_t receive(struct pd_sock *sock, uint8_t *buf, size_t len, int flags)
{
	bool block = !sock->opt.nonblock && !(flags & MSG_DONTWAIT);
	struct transfer call = { .sock = sock, .buf = buf, .len = len, .flags = flags };

	if (sock->state != PD_LIVE)
		return leave(-1, sock->error ? tell_error(sock) : ENOTCONN);
	if (!pd_wait(try_receive, &call, block ? -1 : 0))
		return leave(-1, EAGAIN);
	return leave(call.result < 0 ? -1 : (int)call.result, (int)-call.result);
}

ssize_t pd_call_recv(void *user, int fd, void *buf, size_t len, int flags)
{
	struct pd_sock *sock = lock_sock(fd);

	(void)user;
	if (!sock)
		return -1;
	if (!buf && len > 0 && !(flags & MSG_TRUNC))
		return leave(-1, EFAULT);
	return receive(sock, buf, len, flags);
}

ssize_t pd_call_read(void *user, int fd, void *buf, size_t len)
{
	if (fd < PD_FD_BASE)
		return read(fd, buf, len);
	return pd_call_recv(user, fd, buf, len, 0);
}

ssize_t pd_call_recvfrom(void *user, int fd, void *buf, size_t len, int flags,
			 struct sockaddr *addr, socklen_t *addr_len)
{
	if (addr && addr_len)
		*addr_len = 0;
	return pd_call_recv(user, fd, buf, len, flags);
}

static size_t iov_bytes(const struct iovec *iov, size_t count)
{
	size_t total = 0, i;

	for (i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

ssize_t pd_call_readv(void *user, int fd, const struct iovec *iov, int count)
{
	size_t total = iov_bytes(iov, (size_t)count), done = 0, part;
	uint8_t *buf = malloc(total + 1);
	ssize_t got = buf ? pd_call_recv(user, fd, buf, total, 0) : -1;
	int i, err = errno;

	for (i = 0; i < count && got > 0 && done < (size_t)got; i++, done += part) {
		part = iov[i].iov_len < (size_t)got - done ? iov[i].iov_len : (size_t)got - done;
		memcpy(iov[i].iov_base, buf + done, part);
	}
	free(buf);
	errno = err;
	return got;
}

static void put_inq(struct pd_sock *sock, struct msghdr *msg)
{
	struct cmsghdr *cmsg = msg->msg_control;
	int left = (int)pd_readable(sock);

	if (!sock->opt.inq || !cmsg || msg->msg_controllen < CMSG_SPACE(sizeof(int))) {
		msg->msg_controllen = 0;
		return;
	}
	if (left == 0 && pd_at_end(sock))
		left = 1; /* the end of the stream can be read too */
	cmsg->cmsg_level = IPPROTO_TCP;
	cmsg->cmsg_type = TCP_CM_INQ;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &left, sizeof(left));
	msg->msg_controllen = CMSG_SPACE(sizeof(int));
}

ssize_t pd_call_recvmsg(void *user, int fd, struct msghdr *msg, int flags)
{
	struct pd_sock *sock;
	ssize_t got;

	if (flags & MSG_ERRQUEUE) {
		errno = EAGAIN;
		return -1;
	}
	got = pd_call_readv(user, fd, msg->msg_iov, (int)msg->msg_iovlen);
	if (got < 0)
		return got;
	sock = lock_sock(fd);
	if (!sock)
		return got;
	put_inq(sock, msg);
	msg->msg_namelen = 0;
	msg->msg_flags = 0;
	pd_unlock();
	return got;
}

/* Writing. */

static int write_error(struct pd_sock *sock)
{
	int err = tell_error(sock);

	if (err)
		return err;
	return sock->shut_wr || sock->sock->phase == SIM_ENDED || sock->sock->aborted ? EPIPE : 0;
}

/* As much as there is room for; complete when all has been taken, or the connection is broken. */
static bool try_transmit(void *ctx)
{
	struct transfer *call = ctx;
	struct pd_sock *sock = call->sock;
	bool more = call->flags & MSG_MORE || sock->opt.cork;
	size_t part;
	int err = write_error(sock);

	if (err) {
		call->result = call->done > 0 ? (ssize_t)call->done : -err;
		return true;
	}
	part = pd_writable(sock);
	if (part > call->len - call->done)
		part = call->len - call->done;
	if (part > 0)
		pd_give(sock, (uint32_t)part, more);
	call->done += part;
	call->result = (ssize_t)call->done;
	return call->done == call->len;
}

static ssize_t transmit(struct pd_sock *sock, size_t len, int flags)
{
	bool block = !sock->opt.nonblock && !(flags & MSG_DONTWAIT);
	struct transfer call = { .sock = sock, .len = len, .flags = flags };

	if (sock->state != PD_LIVE)
		return leave(-1, sock->error ? tell_error(sock) : EPIPE);
	if (!pd_wait(try_transmit, &call, block ? -1 : 0) && call.done == 0)
		return leave(-1, EAGAIN);
	return leave(call.result < 0 ? -1 : (int)call.result, (int)-call.result);
}

ssize_t pd_call_send(void *user, int fd, const void *buf, size_t len, int flags)
{
	struct pd_sock *sock = lock_sock(fd);

	(void)user;
	if (!sock)
		return -1;
	if (!buf && len > 0)
		return leave(-1, EFAULT);
	/* What these ask for, the connection cannot give; the program would see it at once. */
	if (flags & MSG_OOB)
		return leave(-1, EOPNOTSUPP);
	return transmit(sock, len, flags);
}

ssize_t pd_call_write(void *user, int fd, const void *buf, size_t len)
{
	if (fd < PD_FD_BASE)
		return write(fd, buf, len);
	return pd_call_send(user, fd, buf, len, 0);
}

ssize_t pd_call_sendto(void *user, int fd, const void *buf, size_t len, int flags,
		       const struct sockaddr *addr, socklen_t addr_len)
{
	(void)addr;
	(void)addr_len;
	if (flags & MSG_FASTOPEN) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return pd_call_send(user, fd, buf, len, flags);
}

ssize_t pd_call_sendmsg(void *user, int fd, const struct msghdr *msg, int flags)
{
	size_t len = iov_bytes(msg->msg_iov, msg->msg_iovlen);

	if (flags & MSG_FASTOPEN) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return pd_call_send(user, fd, len ? msg->msg_iov[0].iov_base : "", len, flags);
}

ssize_t pd_call_writev(void *user, int fd, const struct iovec *iov, int count)
{
	size_t len = iov_bytes(iov, (size_t)count);

	return pd_call_send(user, fd, len ? iov[0].iov_base : "", len, 0);
}

/* The rest. */

int pd_call_fcntl(void *user, int fd, int cmd, ...)
{
	struct pd_sock *sock;
	va_list args;
	int arg;

	(void)user;
	va_start(args, cmd);
	arg = va_arg(args, int);
	va_end(args);
	if (fd < PD_FD_BASE)
		return fcntl(fd, cmd, arg);
	sock = lock_sock(fd);
	if (!sock)
		return -1;
	if (cmd == F_GETFL)
		return leave(O_RDWR | (sock->opt.nonblock ? O_NONBLOCK : 0), 0);
	if (cmd == F_SETFL)
		sock->opt.nonblock = arg & O_NONBLOCK;
	return leave(0, 0);
}

int pd_call_ioctl(void *user, int fd, unsigned long request, ...)
{
	struct pd_sock *sock = lock_sock(fd);
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn;
	va_list args;
	int *value;

	(void)user;
	va_start(args, request);
	value = va_arg(args, int *);
	va_end(args);
	if (!sock)
		return -1;
	conn = pd_engine(sock, &adapter);
	if (request == SIOCINQ)
		*value = (int)pd_readable(sock) + (pd_at_end(sock) ? 1 : 0);
	else if (request == SIOCOUTQ)
		*value = sock->sock ? (int)(sock->written - sock->sock->tx.acked) : 0;
	else if (request == SIOCOUTQNSD)
		*value = conn ? (int)(sock->held + conn->sendq.seq + conn->sendq.list.bytes -
				      conn->snd_nxt)
			      : 0;
	else
		return leave(-1, EINVAL);
	return leave(0, 0);
}

static void close_children(const struct pd_sock *listener)
{
	struct pd_sock *child;

	while ((child = next_child(listener))) {
		child->acceptable = false;
		sim_sock_abort(child->sock);
	}
}

static void close_connection(struct pd_sock *sock)
{
	if (pd_readable(sock) > 0 || (sock->opt.linger && sock->opt.linger_s == 0)) {
		sim_sock_abort(sock->sock);
		return;
	}
	pd_uncork(sock);
	sim_sock_close(sock->sock);
	/* Nobody reads any more, but the end of the stream has to be noticed. */
}

int pd_call_close(void *user, int fd)
{
	struct pd_sock *sock;

	(void)user;
	pd_lock();
	sock = pd_sock_of(fd);
	if (!sock)
		return leave(-1, EBADF);
	pd_epoll_forget(fd);
	sock->open = false;
	if (sock->state == PD_LISTEN)
		close_children(sock);
	if (sock->state == PD_LIVE)
		close_connection(sock);
	else
		pd_sock_release(sock);
	pd_settle();
	return leave(0, 0);
}

int pd_call_shutdown(void *user, int fd, int how)
{
	struct pd_sock *sock = lock_sock(fd);

	(void)user;
	if (!sock)
		return -1;
	if (sock->state != PD_LIVE)
		return leave(-1, ENOTCONN);
	pd_shutdown(sock, how);
	return leave(0, 0);
}
