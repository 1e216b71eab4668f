/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What leaves the table of connections. The kernel tells when a TCP socket is destroyed
 * (sock_diag multicast); a connection that was in the host then, or one that is to be let go, is
 * forgotten in a sweep of its own, never out of a callback of the host driver.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

#define EVENT_BUFFER_BYTES (1 << 20)
#define BATCH              64

static void sweep(struct loop_timer *timer)
{
	struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, sweep_timer));
	struct daemon_conn *next;

	for (struct daemon_conn *dc = w->conns; dc; dc = next) {
		next = dc->next;
		/* Not there yet: daemon_conn_changed() asks for another sweep. */
		if (dc->leaving && !dc->switching &&
		    host_conn_info(dc->conn)->state == HOST_CONN_HOST &&
		    host_conn_remove(dc->conn) < 0)
			log_debug("connection %u cannot be let go yet", dc->id);
	}
	daemon_detach_check(w);
}

void daemon_sweep_soon(struct worker *w)
{
	if (!w->sweep_timer.active)
		loop_timer_set(w->loop, &w->sweep_timer, loop_now_us(w->loop));
}

static void destroyed(struct worker *w, uint64_t cookie)
{
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next) {
		if (dc->cookie != cookie)
			continue;
		dc->leaving = true;
		daemon_sweep_soon(w);
		return;
	}
}

static void read_events(struct worker *w, const char *buffer, ssize_t len)
{
	const struct nlmsghdr *nlh = (const void *)buffer;

	for (; NLMSG_OK(nlh, len); nlh = NLMSG_NEXT(nlh, len)) {
		const struct inet_diag_msg *msg = NLMSG_DATA(nlh);

		if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
		    nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
			continue;
		destroyed(w, (uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0]);
	}
}

void daemon_conn_unheld(struct worker *w, struct daemon_conn *dc, int err)
{
	if (err != -EBADF && err != -ESRCH)
		return;
	dc->leaving = true;
	daemon_sweep_soon(w);
}

/* Events were lost: those whose descriptor is in no process any more are gone. */
static void look_at_all(struct worker *w)
{
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next) {
		int fd = -1, err;

		if (dc->switching || host_conn_info(dc->conn)->state != HOST_CONN_HOST)
			continue;
		err = exec_fetch(dc->holders, &fd);
		if (!err)
			close(fd);
		daemon_conn_unheld(w, dc, err);
	}
	daemon_sweep_soon(w);
}

static void readable(struct loop_watch *watch, uint32_t events)
{
	struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, diag_watch));
	char buffer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(watch->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n < 0 && errno == ENOBUFS)
			look_at_all(w);
		if (n <= 0)
			return;
		read_events(w, buffer, n);
	}
}

int daemon_watch_open(struct worker *w)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK,
				  .nl_groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) |
					       1u << (SKNLGRP_INET6_TCP_DESTROY - 1) };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	int size = EVENT_BUFFER_BYTES;

	w->sweep_timer.fn = sweep;
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		log_warn("closed connections stay listed: no socket events here (%s)",
			 strerror(errno));
		if (fd >= 0)
			close(fd);
		return 0;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	w->diag_watch = (struct loop_watch){ .fn = readable, .fd = fd };
	return loop_watch_set(w->loop, &w->diag_watch, EPOLLIN);
}

void daemon_watch_close(struct worker *w)
{
	loop_timer_cancel(w->loop, &w->sweep_timer);
	if (!w->diag_watch.active)
		return;
	loop_unwatch(w->loop, &w->diag_watch);
	close(w->diag_watch.fd);
}
