/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How program and supervisor come apart: the process itself becomes the program, so that its
 * parent, terminal and exit status are what they would be; the supervisor is a grandchild that
 * belongs to nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc_fd.h"
#include "supervisor/super_int.h"

#define HIGH_FD 100 /* what the supervisor keeps lies here or above */

static unsigned int own_filters(void)
{
	unsigned int n = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp_filters: %u", &n) == 1)
			break;
	fclose(f);
	return n;
}

/* Whatever the caller left open goes, whichever numbers it has. */
static void close_all_but(unsigned int a, unsigned int b)
{
	unsigned int low = a < b ? a : b, high = a < b ? b : a;

	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

/* In the grandchild. Nothing of the program's is kept open, or its readers would miss its end. */
static void supervise(struct super *s, int from)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char byte;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "chimney-super");
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	from = fcntl(from, F_DUPFD_CLOEXEC, HIGH_FD);
	s->daemon_fd = fcntl(s->daemon_fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (from < 0)
		_exit(1);
	close_all_but((unsigned int)from, (unsigned int)(s->daemon_fd >= 0 ? s->daemon_fd : from));
	if (ipc_recv_fd(from, &byte, 1, &s->listener) != 1 || s->listener < 0 ||
	    write(from, "", 1) != 1)
		_exit(1);
	close(from);
	super_serve(s);
	_exit(0);
}

static int start_process(struct super *s, int pair[2])
{
	pid_t child = fork(), grandchild;
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		close(pair[0]);
		setsid();
		grandchild = fork();
		if (!grandchild)
			supervise(s, pair[1]);
		_exit(grandchild < 0);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

static int hand_over(int to)
{
	int listener = super_filter_install(), err;
	char byte = 0;

	if (listener < 0)
		return listener;
	err = ipc_send_fd(to, &byte, 1, listener);
	close(listener);
	return err || read(to, &byte, 1) != 1 ? -ENOTRECOVERABLE : 0;
}

int super_start(const char *control_path, int daemon_fd, char *why, size_t why_size)
{
	struct super s = { .control_path = control_path, .daemon_fd = daemon_fd, .listener = -1 };
	int pair[2], err;

	s.filters = own_filters() + 1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	err = start_process(&s, pair);
	close(pair[1]);
	if (!err)
		err = hand_over(pair[0]);
	close(pair[0]);
	close(daemon_fd);
	if (err)
		snprintf(why, why_size, "no supervisor: %s%s", strerror(-err),
			 err == -EBUSY ? " (a supervisor is here already: chimney exec inside "
					 "chimney exec)"
				       : "");
	return err;
}
