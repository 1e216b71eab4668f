/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_program_self.h - this very process is the program: tests, and programs that embed the
 * chimney.
 *
 * The descriptor is exchanged by dup3(), an epoll registration that the caller names goes with
 * it. A process cannot stop itself: it looks at stopped, and does not touch the descriptor while
 * that is set.
 */
#ifndef HOST_HOST_PROGRAM_SELF_H
#define HOST_HOST_PROGRAM_SELF_H

#include <stdbool.h>
#include <sys/epoll.h>

#include "host/host.h"

struct host_program_self {
	int fd;       /* the program's descriptor; -1 once it was closed (say so by setting it) */
	int epoll_fd; /* where it is registered, -1: nowhere */
	struct epoll_event event; /* the registration */
	bool stopped;
	void (*gone)(struct host_program_self *self); /* may be NULL */
};

extern const struct host_program_ops host_program_self_ops;

#endif
