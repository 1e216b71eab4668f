/* SPDX-License-Identifier: BSD-2-Clause */
/* exec_fixture.c - see exec_fixture.h. */
#include "exec_fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 10000

int subject_end(const struct subject *s)
{
	return s->stream >= 0 ? s->stream : s->tcp;
}

static void tcp_pair(int v[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	v[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(v[0], (struct sockaddr *)&sin, sizeof(sin)), 0);
	v[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(v[1] >= 0);
	close(listener);
}

static void subject_clear(struct subject *s)
{
	memset(s, 0, sizeof(*s));
	s->tcp = s->kernel_fd = s->stream = -1;
}

void subject_start(struct subject *s, const char *mode)
{
	char number[16];
	int v[2];

	subject_clear(s);
	tcp_pair(v);
	s->tcp = v[0];
	s->fd_in_pid = 10;
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		dup2(v[1], 10);
		snprintf(number, sizeof(number), "%d", 10);
		execl(EXEC_PROG, EXEC_PROG, mode, number, NULL);
		_exit(127);
	}
	close(v[1]);
	/* It runs and serves once the first line comes back. */
}

/* The descriptor in the program whose peer is our end. */
static int find_peer_fd(pid_t pid, int tcp)
{
	struct sockaddr_in mine, peer;
	socklen_t len = sizeof(mine);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd, copy;

	assert_int_equal(getsockname(tcp, (struct sockaddr *)&mine, &len), 0);
	for (fd = 0; fd < 256; fd++) {
		copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		if (copy < 0)
			continue;
		len = sizeof(peer);
		if (getpeername(copy, (struct sockaddr *)&peer, &len) == 0 &&
		    peer.sin_family == AF_INET && peer.sin_port == mine.sin_port) {
			close(copy);
			close(pidfd);
			return fd;
		}
		close(copy);
	}
	close(pidfd);
	return -1;
}

void subject_start_python(struct subject *s, const char *script)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char line[64];
	int v[2];

	subject_clear(s);
	assert_int_equal(pipe2(v, O_CLOEXEC), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		dup2(v[1], 1);
		execl("/usr/bin/python3", "python3", script, NULL);
		_exit(127);
	}
	close(v[1]);
	subject_line(v[0], line, sizeof(line));
	close(v[0]);
	sin.sin_port = htons((uint16_t)atoi(line));
	s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s->tcp, (struct sockaddr *)&sin, sizeof(sin)), 0);
	subject_echo(s, 0);
	s->fd_in_pid = find_peer_fd(s->pid, s->tcp);
	assert_true(s->fd_in_pid >= 0);
}

static void require_ok(struct subject *s, const char *what, int rc)
{
	if (rc < 0)
		print_error("%s: %s (%s)\n", what, strerror(-rc), s->why);
	assert_int_equal(rc, 0);
}

void subject_find(struct subject *s)
{
	int rc;

	/* Other programs of the machine may have descriptors in flight for a moment. */
	do {
		rc = exec_find(&s->holders, s->pid, s->fd_in_pid, s->why, sizeof(s->why));
	} while (rc == -EBUSY || rc == -EAGAIN);
	require_ok(s, "find", rc);
	do {
		rc = exec_prepare(s->holders, s->why, sizeof(s->why));
	} while (rc == -EAGAIN);
	require_ok(s, "prepare", rc);
}

void subject_end_program(struct subject *s)
{
	int status;

	exec_free(s->holders);
	if (s->stream >= 0)
		close(s->stream);
	if (s->kernel_fd >= 0)
		close(s->kernel_fd);
	close(s->tcp);
	kill(-s->pid, SIGKILL);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
}

void subject_stop(struct subject *s)
{
	int rc;

	do {
		rc = exec_stop(s->holders, s->why, sizeof(s->why));
	} while (rc == -EAGAIN);
	require_ok(s, "stop", rc);
}

void subject_out(struct subject *s)
{
	int v[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, v), 0);
	subject_stop(s);
	require_ok(s, "fetch", exec_fetch(s->holders, &s->kernel_fd));
	require_ok(s, exec_failed_step(s->holders), exec_exchange(s->holders, v[1]));
	exec_resume(s->holders);
	close(v[1]);
	s->stream = v[0];
}

void subject_back(struct subject *s)
{
	subject_stop(s);
	require_ok(s, exec_failed_step(s->holders), exec_exchange(s->holders, s->kernel_fd));
	exec_resume(s->holders);
	close(s->kernel_fd);
	close(s->stream);
	s->kernel_fd = s->stream = -1;
}

void subject_line(int fd, char *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t have = 0;

	while (have + 1 < len) {
		if (poll(&pfd, 1, PATIENCE_MS) != 1)
			fail_msg("nothing came within %d ms", PATIENCE_MS);
		if (read(fd, buf + have, 1) != 1)
			fail_msg("the connection ended");
		if (buf[have++] == '\n')
			break;
	}
	buf[have] = '\0';
}

void subject_echo(struct subject *s, unsigned int seq)
{
	int fd = subject_end(s);
	char sent[64], got[64];

	snprintf(sent, sizeof(sent), "line %u of the test\n", seq);
	assert_int_equal(send(fd, sent, strlen(sent), MSG_NOSIGNAL), (ssize_t)strlen(sent));
	subject_line(fd, got, sizeof(got));
	assert_string_equal(sent, got);
}

void subject_stat(struct subject *s, char *buf, size_t len)
{
	assert_int_equal(send(subject_end(s), "STAT\n", 5, MSG_NOSIGNAL), 5);
	subject_line(subject_end(s), buf, len);
}

void subject_wait_blocked(pid_t pid, pid_t tid, long nr)
{
	char path[64], buf[64];
	ssize_t n;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	for (i = 0; i < 10000000; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
		if (fd >= 0)
			close(fd);
		buf[n < 0 ? 0 : n] = '\0';
		if (n > 0 && buf[0] >= '0' && buf[0] <= '9' && (nr < 0 || atol(buf) == nr))
			return;
		sched_yield();
	}
	fail_msg("thread %d never blocked", tid);
}
