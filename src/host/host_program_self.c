/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_program_self.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int self_prepare(void *ctx, char *why, size_t why_size)
{
	const struct host_program_self *self = ctx;

	(void)why;
	(void)why_size;
	return self->fd < 0 ? -EBADF : 0;
}

static int self_stop(void *ctx, char *why, size_t why_size)
{
	struct host_program_self *self = ctx;
	int err = self_prepare(ctx, why, why_size);

	self->stopped = !err;
	return err;
}

/* DEL first: a registration of the old file under the same number would never go away. */
static int self_exchange(void *ctx, int new_fd)
{
	struct host_program_self *self = ctx;
	int flags = fcntl(self->fd, F_GETFL), fd_flags = fcntl(self->fd, F_GETFD), err = 0;

	if (flags < 0 || fd_flags < 0)
		return -errno;
	if (self->epoll_fd >= 0)
		epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, self->fd, NULL);
	if (fcntl(new_fd, F_SETFL, (fcntl(new_fd, F_GETFL) & ~O_NONBLOCK) | (flags & O_NONBLOCK)) <
		    0 ||
	    dup3(new_fd, self->fd, fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		err = -errno;
	if (self->epoll_fd >= 0 &&
	    epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->fd, &self->event) < 0 && !err)
		err = -errno;
	return err;
}

static void self_resume(void *ctx)
{
	((struct host_program_self *)ctx)->stopped = false;
}

static void self_gone(void *ctx)
{
	struct host_program_self *self = ctx;

	if (self->gone)
		self->gone(self);
}

static int self_fetch(void *ctx, int *fd)
{
	const struct host_program_self *self = ctx;

	if (self->fd < 0)
		return -EBADF;
	*fd = fcntl(self->fd, F_DUPFD_CLOEXEC, 0);
	return *fd < 0 ? -errno : 0;
}

const struct host_program_ops host_program_self_ops = {
	.prepare = self_prepare,
	.stop = self_stop,
	.exchange = self_exchange,
	.resume = self_resume,
	.gone = self_gone,
	.fetch = self_fetch,
};
