/* SPDX-License-Identifier: BSD-2-Clause */
/* exec_parse.c - see exec_parse.h. */
#include "exec/exec_parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text behind "name" at the start of a line, or NULL. */
static const char *field(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (text) {
		if (strncmp(text, name, len) == 0)
			return text + len;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

static int number(const char *text, const char *name, int base, uint64_t *out)
{
	const char *p = field(text, name);
	char *end;

	if (!p)
		return -EINVAL;
	errno = 0;
	*out = strtoull(p, &end, base);
	return end == p || errno ? -EINVAL : 0;
}

int exec_parse_status(const char *text, struct exec_status *out)
{
	uint64_t ppid, tracer, mode, filters, pending, shared, blocked;
	const char *state = field(text, "State:\t");

	if (!state || number(text, "PPid:", 10, &ppid) || number(text, "TracerPid:", 10, &tracer))
		return -EINVAL;
	if (number(text, "SigPnd:", 16, &pending) || number(text, "ShdPnd:", 16, &shared) ||
	    number(text, "SigBlk:", 16, &blocked))
		return -EINVAL;
	if (number(text, "Seccomp:", 10, &mode))
		mode = 0; /* kernel built without */
	if (number(text, "Seccomp_filters:", 10, &filters))
		filters = mode == 2;
	out->state = *state;
	out->ppid = (pid_t)ppid;
	out->tracer_pid = (pid_t)tracer;
	out->seccomp = (unsigned int)mode;
	out->seccomp_filters = (unsigned int)filters;
	out->sig_pending = (pending | shared) & ~blocked;
	return 0;
}

/* The program's name is in brackets and may hold anything: fields count from the last bracket. */
int exec_parse_stat(const char *text, struct exec_stat *out)
{
	const char *p = strrchr(text, ')');
	unsigned long long start;
	int ppid, session, cpu;
	char state;

	if (!p)
		return -EINVAL;
	/* Fields 3 to 39; 22 is the start time, 39 the processor. */
	if (sscanf(p + 1,
		   " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu"
		   " %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d",
		   &state, &ppid, &session, &start, &cpu) != 5)
		return -EINVAL;
	out->state = state;
	out->ppid = ppid;
	out->session = session;
	out->start_ticks = start;
	out->processor = cpu;
	return 0;
}

int exec_parse_call(const char *text, struct exec_call_line *out)
{
	uint64_t *a = out->args;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, "running", 7) == 0) {
		out->running = true;
		out->nr = -1;
		return 0;
	}
	if (strncmp(text, "-1 ", 3) == 0) {
		out->nr = -1;
		return sscanf(text + 3, "%" SCNx64 " %" SCNx64, &out->sp, &out->pc) == 2 ? 0
											 : -EINVAL;
	}
	return sscanf(text,
		      "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		      " %" SCNx64 " %" SCNx64,
		      &out->nr, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &out->sp, &out->pc) == 9
		       ? 0
		       : -EINVAL;
}

int exec_parse_epoll(const char *line, struct exec_blob_reg *out, uint64_t *ino)
{
	int tfd;

	memset(out, 0, sizeof(*out));
	if (sscanf(line, "tfd: %d events: %" SCNx32 " data: %" SCNx64 " pos:%*d ino:%" SCNx64, &tfd,
		   &out->events, &out->data, ino) != 4)
		return -EINVAL;
	out->fd = tfd;
	return 0;
}

int exec_parse_socket_link(const char *link, uint64_t *ino)
{
	char *end;

	if (strncmp(link, "socket:[", 8) != 0)
		return -EINVAL;
	*ino = strtoull(link + 8, &end, 10);
	return end == link + 8 || strcmp(end, "]") != 0 ? -EINVAL : 0;
}

int exec_parse_fd_flags(const char *text, unsigned int *flags)
{
	uint64_t value;

	if (number(text, "flags:", 8, &value))
		return -EINVAL;
	*flags = (unsigned int)value;
	return 0;
}

/* Only UNIX sockets have the line; kernels before 5.5 do not. */
int exec_parse_scm_fds(const char *text, unsigned int *count)
{
	uint64_t value;

	if (number(text, "scm_fds:", 10, &value))
		return -EINVAL;
	*count = (unsigned int)value;
	return 0;
}

int exec_parse_sched_start(const char *text, double *ms)
{
	const char *p = field(text, "se.exec_start");

	p = p ? strchr(p, ':') : NULL;
	return p && sscanf(p + 1, "%lf", ms) == 1 ? 0 : -EINVAL;
}

int exec_parse_vdso(const char *line, uint64_t *start)
{
	if (!strstr(line, "[vdso]"))
		return -EINVAL;
	return sscanf(line, "%" SCNx64 "-", start) == 1 ? 0 : -EINVAL;
}

int exec_parse_last_pid(const char *text, pid_t *pid)
{
	return sscanf(text, "%*s %*s %*s %*s %d", pid) == 1 ? 0 : -EINVAL;
}
