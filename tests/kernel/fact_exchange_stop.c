/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fact_exchange_stop.c - what a ptrace interrupt does to the call that a thread is blocked in.
 *
 * 1. recv() has ended with an -ERESTART code and starts again by itself: nothing is seen.
 * 2. epoll_wait() has ended with -EINTR: left alone the program sees it; with the result changed to
 *    -ERESTARTNOHAND while stopped it starts again (x86-64).
 * 3. A blocking write() that has transferred a part ends with a short count.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond,             \
				strerror(errno));                                                  \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

#define CHUNK (1 << 20)

enum call { CALL_RECV, CALL_EPOLL, CALL_WRITE };

/* The child makes one call and reports its result and errno as two ints. */
static void child(enum call call, int data, int report)
{
	static char buf[CHUNK];
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0), out[2];

	epoll_ctl(ep, EPOLL_CTL_ADD, data, &ev);
	errno = 0;
	switch (call) {
	case CALL_RECV:
		out[0] = (int)recv(data, buf, 1, 0);
		break;
	case CALL_EPOLL:
		out[0] = epoll_wait(ep, &ev, 1, -1);
		break;
	default:
		out[0] = (int)write(data, buf, CHUNK);
		break;
	}
	out[1] = errno;
	_exit(write(report, out, sizeof(out)) == sizeof(out) ? 0 : 1);
}

static int blocked_in(pid_t pid, long nr)
{
	char path[64], buf[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 && buf[0] >= '0' && buf[0] <= '9' && atol(buf) == nr;
}

/* Ends every call with -EINTR in favour of a restart when mend is set. */
static int stop_once(pid_t pid, int mend)
{
	struct user_regs_struct regs;
	struct iovec iov = { .iov_base = &regs, .iov_len = sizeof(regs) };
	int status;

	CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP);
#if defined(__x86_64__)
	CHECK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) == 0);
	if (mend && (long)regs.rax == -EINTR) {
		regs.rax = (unsigned long long)-514;
		CHECK(ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &iov) == 0);
	}
#else
	(void)iov;
	(void)mend;
#endif
	CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	return 0;
}

static int try_call(enum call call, long nr, int mend, int result[2])
{
	int data[2], report[2], status;
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, data) == 0);
	CHECK(pipe(report) == 0);
	pid = fork();
	if (pid == 0)
		child(call, data[0], report[1]);
	while (!blocked_in(pid, nr))
		sched_yield();
	if (stop_once(pid, mend))
		return 1;
	/* Restarted calls wait again; then give them what they wait for. */
	if (call != CALL_WRITE && (call == CALL_RECV || mend)) {
		while (!blocked_in(pid, nr))
			sched_yield();
		CHECK(write(data[1], "x", 1) == 1);
	}
	CHECK(read(report[0], result, 2 * sizeof(int)) == 2 * sizeof(int));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(data[0]);
	close(data[1]);
	close(report[0]);
	close(report[1]);
	return 0;
}

int main(void)
{
#ifdef SYS_epoll_wait
	long nr_epoll = SYS_epoll_wait;
#else
	long nr_epoll = SYS_epoll_pwait;
#endif
	int result[2];

	CHECK(try_call(CALL_RECV, SYS_recvfrom, 0, result) == 0);
	CHECK(result[0] == 1);
	CHECK(try_call(CALL_EPOLL, nr_epoll, 0, result) == 0);
	CHECK(result[0] == -1 && result[1] == EINTR);
#if defined(__x86_64__)
	CHECK(try_call(CALL_EPOLL, nr_epoll, 1, result) == 0);
	CHECK(result[0] == 1);
#endif
	CHECK(try_call(CALL_WRITE, SYS_write, 0, result) == 0);
	CHECK(result[0] > 0 && result[0] < CHUNK);
	return 0;
}
