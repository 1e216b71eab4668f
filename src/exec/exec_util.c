/* SPDX-License-Identifier: BSD-2-Clause */
/* exec_util.c - small things that the files of this room share. */
#include "exec/exec_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

double exec_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Writes the reason and returns err (negative), so that a caller can end with one line. */
int exec_say(char *why, size_t why_len, int err, const char *fmt, ...)
{
	va_list ap;

	if (why && why_len) {
		va_start(ap, fmt);
		vsnprintf(why, why_len, fmt, ap);
		va_end(ap);
	}
	return err;
}

/* The inode number finds candidates in /proc; the cookie says that it is still the same socket. */
int exec_file_identity(int fd, uint64_t *ino, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	*ino = st.st_ino;
	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len) < 0 ? -errno : 0;
}

/* 0 the same object, > 0 different, -errno. */
int exec_kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
	long rc = syscall(SYS_kcmp, a, b, type, x, y);

	return rc < 0 ? -errno : (int)rc;
}
