/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_prog.c - programs that know nothing of what is done to them, for test_exec.c.
 *
 *	exec_prog MODE FD
 *
 * FD is a connected stream socket. Lines that come in are sent back; the line "STAT" is answered by
 * what the program has noticed: interrupted calls, failures, odd events, descriptors, flags. An
 * empty read ends the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DATA_TAG 0x1122334455667788ull
#define NTHREADS 8

/* What this process has noticed. */
static atomic_int eintr, failed, odd, handled;
static int conn, out;
static const char *mode;

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A call failed: was it an interruption that nobody here asked for? */
static void note(int err)
{
	if (err == EINTR)
		atomic_fetch_add(&eintr, 1);
	else if (err != EAGAIN)
		atomic_fetch_add(&failed, 1);
}

static void send_all(const char *p, size_t len)
{
	struct pollfd pfd = { .fd = out, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = send(out, p, len, MSG_NOSIGNAL);
		if (n < 0) {
			note(errno);
			if (errno != EAGAIN && errno != EINTR)
				exit(1);
			poll(&pfd, 1, -1);
			continue;
		}
		p += n;
		len -= (size_t)n;
	}
}

static void stat_line(void)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);
	char buf[256];
	int lowest = dup(0);

	close(lowest);
	getsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	snprintf(buf, sizeof(buf),
		 "eintr=%d failed=%d odd=%d fds=%d lowest=%d cloexec=%d%d nonblock=%d rcvtimeo=%ld "
		 "handled=%d\n",
		 atomic_load(&eintr), atomic_load(&failed), atomic_load(&odd), count_fds(), lowest,
		 fcntl(conn, F_GETFD) & FD_CLOEXEC, fcntl(out, F_GETFD) & FD_CLOEXEC,
		 !!(fcntl(conn, F_GETFL) & O_NONBLOCK), (long)tv.tv_sec, atomic_load(&handled));
	send_all(buf, strlen(buf));
}

/* Lines that make the program change what it holds; they are sent back like any other. */
static void command(const char *line, size_t len)
{
	if (len == 5 && memcmp(line, "FORK\n", 5) == 0 && fork() == 0) {
		for (;;)
			pause();
	}
	if (len == 4 && memcmp(line, "DUP\n", 4) == 0 && dup(conn) < 0)
		note(errno);
	/* The child goes on, the parent keeps nothing but its place in the process tree. */
	if (len == 9 && memcmp(line, "HANDOVER\n", 9) == 0 && fork() != 0) {
		close(conn);
		for (;;)
			pause();
	}
}

/* Takes what is there: false when nothing more is (EAGAIN or an interruption). */
static int take(void)
{
	static _Thread_local char line[65536];
	static _Thread_local size_t have;
	ssize_t n = recv(conn, line + have, sizeof(line) - have, 0);
	char *nl;

	if (n == 0)
		exit(0);
	if (n < 0) {
		note(errno);
		return 0;
	}
	have += (size_t)n;
	while ((nl = memchr(line, '\n', have))) {
		size_t len = (size_t)(nl - line) + 1;

		if (len == 5 && memcmp(line, "STAT\n", 5) == 0)
			stat_line();
		else {
			command(line, len);
			send_all(line, len);
		}
		memmove(line, nl + 1, have - len);
		have -= len;
	}
	return 1;
}

static void run_recv(void)
{
	for (;;)
		take();
}

static void run_poll(void)
{
	struct pollfd pfd = { .fd = conn, .events = POLLIN };

	for (;;) {
		int n = poll(&pfd, 1, 3600 * 1000);

		if (n < 0)
			note(errno);
		else if (n == 0 || pfd.revents != POLLIN)
			atomic_fetch_add(&odd, 1);
		else
			take();
	}
}

static void run_select(void)
{
	struct timeval tv;
	fd_set set;

	for (;;) {
		FD_ZERO(&set);
		FD_SET(conn, &set);
		tv = (struct timeval){ .tv_sec = 3600 };
		if (select(conn + 1, &set, NULL, NULL, &tv) < 0)
			note(errno);
		else if (!FD_ISSET(conn, &set))
			atomic_fetch_add(&odd, 1);
		else
			take();
	}
}

static uint32_t epoll_mask(void)
{
	if (strcmp(mode, "epoll-et") == 0)
		return EPOLLIN | EPOLLRDHUP | EPOLLET;
	if (strcmp(mode, "epoll-oneshot") == 0)
		return EPOLLIN | EPOLLONESHOT;
	if (strcmp(mode, "epoll-exclusive") == 0)
		return EPOLLIN | EPOLLEXCLUSIVE;
	return EPOLLIN;
}

static void epoll_event(int ep, const struct epoll_event *got)
{
	struct epoll_event ev = { .events = epoll_mask(), .data.u64 = DATA_TAG };

	if (got->data.u64 != DATA_TAG || (got->events & ~(uint32_t)(EPOLLIN | EPOLLRDHUP)))
		atomic_fetch_add(&odd, 1);
	if (ev.events & EPOLLET) {
		while (take())
			;
		return;
	}
	take();
	if ((ev.events & EPOLLONESHOT) && epoll_ctl(ep, EPOLL_CTL_MOD, conn, &ev) < 0)
		note(errno);
}

static void *run_epoll(void *arg)
{
	struct epoll_event ev = { .events = epoll_mask(), .data.u64 = DATA_TAG };
	int ep = arg ? *(int *)arg : epoll_create1(EPOLL_CLOEXEC);
	int limit = strcmp(mode, "epoll-limit") == 0 ? 3600 * 1000 : -1;

	if (ev.events & EPOLLET)
		fcntl(conn, F_SETFL, fcntl(conn, F_GETFL) | O_NONBLOCK);
	if (!arg && epoll_ctl(ep, EPOLL_CTL_ADD, conn, &ev) < 0)
		exit(2);
	for (;;) {
		int n = epoll_wait(ep, &ev, 1, limit);

		if (n < 0)
			note(errno);
		else if (n == 0)
			atomic_fetch_add(&odd, 1);
		else
			epoll_event(ep, &ev);
	}
	return NULL;
}

/* Each thread sits in another kind of call that a stop could disturb. */
static int quiet[2], quiet_ep;
static sem_t never;

static void *sit(void *arg)
{
	struct timespec hour = { .tv_sec = 3600 };
	struct pollfd pfd = { .fd = quiet[0], .events = POLLIN };
	struct epoll_event ev;
	sigset_t all;
	char byte;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	switch ((intptr_t)arg % 7) {
	case 0:
		if (read(quiet[0], &byte, 1) < 0)
			note(errno);
		break;
	case 1:
		if (poll(&pfd, 1, -1) < 0)
			note(errno);
		break;
	case 2:
		if (nanosleep(&hour, NULL) < 0)
			note(errno);
		break;
	case 3:
		if (sem_wait(&never) < 0)
			note(errno);
		break;
	case 4:
		if (epoll_wait(quiet_ep, &ev, 1, -1) < 0)
			note(errno);
		break;
	case 5:
		sigemptyset(&all);
		sigaddset(&all, SIGUSR2);
		if (sigtimedwait(&all, NULL, &hour) < 0)
			note(errno);
		break;
	default:
		if (ppoll(&pfd, 1, &hour, NULL) < 0)
			note(errno);
		break;
	}
	atomic_fetch_add(&odd, 1);
	return NULL;
}

static void run_threads(void)
{
	pthread_t tid;
	intptr_t i;

	if (pipe2(quiet, O_CLOEXEC) < 0 || sem_init(&never, 0, 0) < 0)
		exit(2);
	quiet_ep = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < NTHREADS - 1; i++)
		if (pthread_create(&tid, NULL, sit, (void *)i))
			exit(2);
	run_epoll(NULL);
}

/* Children inherit the connection and the epoll set, and wait in it together. */
static void run_fork(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = DATA_TAG };
	int ep = epoll_create1(EPOLL_CLOEXEC), i;

	fcntl(conn, F_SETFL, fcntl(conn, F_GETFL) | O_NONBLOCK);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, conn, &ev) < 0)
		exit(2);
	for (i = 0; i < 3; i++)
		if (fork() == 0)
			break;
	run_epoll(&ep);
}

/* One write() of all of it, as long as it takes; the reader sends a line when it has everything. */
static void run_writer(void)
{
	size_t len = 4u << 20, i;
	char *buf = malloc(len), line[64];
	int room = 65536;
	ssize_t n;

	setsockopt(conn, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	for (i = 0; i < len; i++)
		buf[i] = (char)(i * 31 + (i >> 12));
	for (;;) {
		n = write(conn, buf, len);
		if (n != (ssize_t)len)
			atomic_fetch_add(&odd, 1);
		if (n < 0)
			note(errno);
		if (recv(conn, line, 1, MSG_WAITALL) != 1)
			exit(0);
		if (line[0] == 'S')
			stat_line();
	}
}

/* A wait with a time limit: tells how long it took. */
static void run_limit(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), n;
	struct epoll_event ev;
	char line[64];
	double start;

	for (;;) {
		start = now_ms();
		n = epoll_wait(ep, &ev, 1, 400);
		if (n < 0)
			note(errno);
		else if (n > 0)
			atomic_fetch_add(&odd, 1);
		snprintf(line, sizeof(line), "%.1f %d\n", now_ms() - start, n);
		send_all(line, strlen(line));
		while (recv(conn, line, 1, 0) == 1 && line[0] != '\n')
			;
		if (line[0] != '\n')
			exit(0);
	}
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

/* The handler is installed without SA_RESTART: EINTR is what the program asks for. */
static void run_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	run_epoll(NULL);
}

static void *with_own_table(void *arg)
{
	(void)arg;
	unshare(CLONE_FILES);
	for (;;)
		pause();
	return NULL;
}

/* Programs that are to be refused. */
static void run_refused(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { .len = 1, .filter = &allow };
	char params[256] = { 0 };
	pthread_t tid;

	if (strcmp(mode, "seccomp") == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
					     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0))
		exit(2);
	if (strcmp(mode, "io_uring") == 0 && syscall(SYS_io_uring_setup, 4, params) < 0)
		exit(2);
	if (strcmp(mode, "own-table") == 0)
		pthread_create(&tid, NULL, with_own_table, NULL);
	if (strcmp(mode, "traced") == 0 && fork() == 0) {
		close(conn);
		if (ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0)
			for (;;)
				pause();
		exit(2);
	}
	run_epoll(NULL);
}

int main(int argc, char **argv)
{
	struct timeval tv = { .tv_sec = 3600 };

	if (argc != 3)
		return 2;
	mode = argv[1];
	conn = out = atoi(argv[2]);
	if (strcmp(mode, "dup") == 0) {
		out = fcntl(conn, F_DUPFD_CLOEXEC, 200);
		run_epoll(NULL);
	} else if (strncmp(mode, "epoll", 5) == 0) {
		run_epoll(NULL);
	} else if (strcmp(mode, "poll") == 0) {
		run_poll();
	} else if (strcmp(mode, "select") == 0) {
		run_select();
	} else if (strcmp(mode, "recv") == 0) {
		run_recv();
	} else if (strcmp(mode, "recv-limit") == 0) {
		setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		run_recv();
	} else if (strcmp(mode, "threads") == 0) {
		run_threads();
	} else if (strcmp(mode, "fork") == 0) {
		run_fork();
	} else if (strcmp(mode, "writer") == 0) {
		run_writer();
	} else if (strcmp(mode, "limit") == 0) {
		run_limit();
	} else if (strcmp(mode, "signals") == 0) {
		run_signals();
	} else {
		run_refused();
	}
	return 2;
}
