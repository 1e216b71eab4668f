/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a service manager wants: to be told when the daemon serves, and to hand it the socket on
 * which it listens. Both are a few environment variables, so no library is needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

#define FIRST_FD 3 /* of those that a service manager hands over */

void daemon_service_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(at.sun_path))
		return;
	memcpy(at.sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		at.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&at,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warn("the service manager was not told %s: %s", state, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* The variables name the process that was started: the keeper, whose child the worker is. */
int daemon_service_listener(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int listening = 0, type = 0;
	socklen_t len = sizeof(int);

	if (!pid || !count || atoi(count) < 1 ||
	    (atol(pid) != (long)getpid() && atol(pid) != (long)getppid()))
		return -1;
	if (getsockopt(FIRST_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
	    getsockopt(FIRST_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		log_warn("the socket handed over does not listen for packets; opening our own");
		return -1;
	}
	fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST_FD, F_SETFL, O_NONBLOCK);
	return FIRST_FD;
}
