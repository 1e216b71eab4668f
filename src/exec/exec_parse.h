/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_parse.h - readers of the /proc text formats that this room depends on.
 *
 * Pure functions on a terminated string, any thread; all return 0 or -EINVAL when a field is
 * missing or malformed.
 */
#ifndef CHIMNEY_EXEC_PARSE_H
#define CHIMNEY_EXEC_PARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "exec/exec_blob.h"

struct exec_status {
	pid_t ppid;
	pid_t tracer_pid;
	char state;
	unsigned int seccomp;         /* mode: 0, 1 strict, 2 filter */
	unsigned int seccomp_filters; /* kernels before 5.10 do not say: 1 if mode is 2 */
	uint64_t sig_pending;         /* own and shared, those that are blocked left out */
};

struct exec_stat {
	char state;
	pid_t ppid;
	pid_t session;
	uint64_t start_ticks;
	int processor; /* CPU it ran on last */
};

struct exec_call_line {
	bool running; /* on a CPU: nothing else is known */
	long nr;      /* -1: blocked, but not in a call */
	uint64_t args[6];
	uint64_t sp, pc;
};

int exec_parse_status(const char *text, struct exec_status *out);
int exec_parse_stat(const char *text, struct exec_stat *out);
int exec_parse_call(const char *text, struct exec_call_line *out);
int exec_parse_epoll(const char *line, struct exec_blob_reg *out, uint64_t *ino);
int exec_parse_socket_link(const char *link, uint64_t *ino);
int exec_parse_fd_flags(const char *text, unsigned int *flags);
int exec_parse_scm_fds(const char *text, unsigned int *count);
int exec_parse_sched_start(const char *text, double *ms);
int exec_parse_vdso(const char *line, uint64_t *start);
int exec_parse_last_pid(const char *text, pid_t *pid);

#endif
