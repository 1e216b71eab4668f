/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_exec.c - the exchange of a descriptor under real programs that run all the time.
 *
 * Each case starts a program with one TCP connection and moves that connection to a stream pair and
 * back, many times, with traffic before, between and after; then the program tells what it noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "exec_fixture.h"

#define ROUNDS 100

#ifdef SYS_epoll_wait
#define SYS_epoll_wait_here SYS_epoll_wait
#else
#define SYS_epoll_wait_here SYS_epoll_pwait
#endif

/* The rounds of most cases: what the program says at the end must be what it said at the start. */
static void rounds(const char *mode, unsigned int n)
{
	char before[256], after[256];
	struct subject s;
	unsigned int i;

	subject_start(&s, mode);
	subject_echo(&s, 0);
	subject_stat(&s, before, sizeof(before));
	subject_find(&s);
	for (i = 0; i < n; i++) {
		subject_out(&s);
		subject_echo(&s, 2 * i);
		subject_back(&s);
		subject_echo(&s, 2 * i + 1);
	}
	subject_stat(&s, after, sizeof(after));
	assert_string_equal(before, after);
	assert_non_null(strstr(after, "eintr=0 failed=0 odd=0"));
	subject_end_program(&s);
}

static void test_recv(void **state)
{
	(void)state;
	rounds("recv", ROUNDS);
}

static void test_recv_limit(void **state)
{
	(void)state;
	rounds("recv-limit", ROUNDS);
}

static void test_poll(void **state)
{
	(void)state;
	rounds("poll", ROUNDS);
}

static void test_select(void **state)
{
	(void)state;
	rounds("select", ROUNDS);
}

static void test_epoll_level(void **state)
{
	(void)state;
	rounds("epoll", ROUNDS);
}

static void test_epoll_edge(void **state)
{
	(void)state;
	rounds("epoll-et", ROUNDS);
}

static void test_epoll_oneshot(void **state)
{
	(void)state;
	rounds("epoll-oneshot", ROUNDS);
}

static void test_epoll_exclusive(void **state)
{
	(void)state;
	rounds("epoll-exclusive", ROUNDS);
}

static void test_epoll_limit(void **state)
{
	(void)state;
	rounds("epoll-limit", ROUNDS);
}

static void test_dup(void **state)
{
	(void)state;
	rounds("dup", ROUNDS);
}

static void test_threads(void **state)
{
	(void)state;
	rounds("threads", ROUNDS);
}

/* Any of the four processes may answer, so their accounts are asked for many times. */
static void test_fork(void **state)
{
	size_t processes, numbers, registrations;
	struct subject s;
	char line[256];
	unsigned int i;

	(void)state;
	subject_start(&s, "fork");
	for (i = 0; i < 50; i++)
		subject_echo(&s, i);
	subject_find(&s);
	exec_count(s.holders, &processes, &numbers, &registrations);
	assert_int_equal(processes, 4);
	assert_int_equal(numbers, 4);
	assert_int_equal(registrations, 1);
	for (i = 0; i < ROUNDS; i++) {
		subject_out(&s);
		subject_echo(&s, 2 * i);
		subject_back(&s);
		subject_echo(&s, 2 * i + 1);
		subject_stat(&s, line, sizeof(line));
		assert_non_null(strstr(line, "eintr=0 failed=0 odd=0"));
	}
	subject_end_program(&s);
}

/* Data that lies unread in the new file at the moment of the exchange raises its event. */
static void pending_data(const char *mode)
{
	struct subject s;
	char line[64];
	unsigned int i;
	int v[2];

	subject_start(&s, mode);
	subject_echo(&s, 0);
	subject_find(&s);
	for (i = 0; i < 20; i++) {
		assert_int_equal(exec_fetch(s.holders, &s.kernel_fd), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, v), 0);
		assert_int_equal(send(v[0], "early\n", 6, 0), 6);
		subject_stop(&s);
		assert_int_equal(exec_exchange(s.holders, v[1]), 0);
		exec_resume(s.holders);
		close(v[1]);
		s.stream = v[0];
		subject_line(s.stream, line, sizeof(line));
		assert_string_equal(line, "early\n");
		assert_int_equal(send(s.tcp, "late\n", 5, 0), 5);
		subject_back(&s);
		subject_line(s.tcp, line, sizeof(line));
		assert_string_equal(line, "late\n");
	}
	subject_end_program(&s);
}

static void test_pending_edge(void **state)
{
	(void)state;
	pending_data("epoll-et");
}

static void test_pending_oneshot(void **state)
{
	(void)state;
	pending_data("epoll-oneshot");
}

static void test_pending_recv(void **state)
{
	(void)state;
	pending_data("recv");
}

/* Lines sent all the time by a helper process, so that every exchange hits traffic. */
static void test_under_load(void **state)
{
	struct subject s;
	unsigned int i, k;

	(void)state;
	subject_start(&s, "epoll-et");
	subject_echo(&s, 0);
	subject_find(&s);
	for (i = 0; i < ROUNDS; i++) {
		char block[4096], got[4096];
		size_t have = 0;
		ssize_t n;
		int fd = subject_end(&s);

		for (k = 0; k < sizeof(block); k++)
			block[k] = (char)(k % 64 == 63 ? '\n' : 'a' + (k + i) % 26);
		assert_int_equal(send(fd, block, sizeof(block), 0), sizeof(block));
		/*
		 * The program works on it at this moment: what it answers comes by the old file
		 * or new.
		 */
		while (have < sizeof(got)) {
			n = recv(fd, got + have, sizeof(got) - have, 0);
			assert_true(n > 0);
			have += (size_t)n;
			if (have > sizeof(got) / 2) {
				struct exec_times t;

				subject_stop(&s);
				exec_resume(s.holders);
				exec_times(s.holders, &t);
				assert_true(t.frozen_us > 0);
			}
		}
		assert_memory_equal(block, got, sizeof(block));
		if (i & 1)
			subject_back(&s);
		else
			subject_out(&s);
	}
	if (s.stream >= 0)
		subject_back(&s);
	subject_echo(&s, 1);
	subject_end_program(&s);
}

/* Holders that come and go between two exchanges are noticed. */
static void test_closed(void **state)
{
	struct subject s;
	int status;

	(void)state;
	subject_start(&s, "recv");
	subject_echo(&s, 0);
	subject_find(&s);
	shutdown(s.tcp, SHUT_WR);
	assert_int_equal(waitid(P_PID, (id_t)s.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	status = exec_stop(s.holders, s.why, sizeof(s.why));
	assert_true(status == -ESRCH || status == -EBADF);
	assert_true(s.why[0] != '\0');
	subject_end_program(&s);
}

/* With no room for a descriptor nothing changes, and the program goes on. */
static void test_no_room(void **state)
{
	struct rlimit lim, small;
	char before[256], after[256];
	struct subject s;
	int v[2], rc;

	(void)state;
	subject_start(&s, "epoll");
	subject_echo(&s, 0);
	subject_stat(&s, before, sizeof(before));
	subject_find(&s);
	assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, NULL, &lim), 0);
	small = lim;
	small.rlim_cur = 5;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, v), 0);
	for (; small.rlim_cur < 9; small.rlim_cur++) {
		assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &small, NULL), 0);
		subject_stop(&s);
		rc = exec_exchange(s.holders, v[1]);
		exec_resume(s.holders);
		assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &lim, NULL), 0);
		if (rc == 0) {
			fail_msg("exchange passed with a limit of %d", (int)small.rlim_cur);
		}
		assert_true(rc == -EMFILE || rc == -EBADF);
		subject_echo(&s, (unsigned int)small.rlim_cur);
	}
	subject_stat(&s, after, sizeof(after));
	assert_string_equal(before, after);
	close(v[0]);
	close(v[1]);
	subject_end_program(&s);
}

/* A write of 4 MB blocks most of its time; it must come out as one count, byte for byte. */
static void test_writer(void **state)
{
	size_t len = 4u << 20, have, i;
	unsigned char *got = malloc(len);
	unsigned int round, stops = 0;
	int room = 65536;
	struct subject s;
	char line[256];

	(void)state;
	subject_start(&s, "writer");
	assert_int_equal(setsockopt(s.tcp, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	subject_wait_blocked(s.pid, s.pid, SYS_write);
	subject_find(&s);
	for (round = 0; round < 5; round++) {
		if (round)
			subject_wait_blocked(s.pid, s.pid, SYS_write);
		for (have = 0; have < len;) {
			ssize_t n = recv(s.tcp, got + have,
					 len - have < 100000 ? len - have : 100000, 0);

			assert_true(n > 0);
			have += (size_t)n;
			if (exec_stop(s.holders, s.why, sizeof(s.why)) == 0) {
				exec_resume(s.holders);
				stops++;
			}
		}
		for (i = 0; i < len; i++)
			if (got[i] != (unsigned char)(i * 31 + (i >> 12)))
				fail_msg("byte %zu differs", i);
		assert_int_equal(send(s.tcp, round == 4 ? "S" : "x", 1, 0), 1);
	}
	assert_true(stops > 20);
	subject_line(s.tcp, line, sizeof(line));
	assert_non_null(strstr(line, "eintr=0 failed=0 odd=0"));
	free(got);
	subject_end_program(&s);
}

/* A wait of 400 ms that is stopped many times still ends in time, and not before. */
static void test_limit(void **state)
{
	struct subject s;
	double ms = 0;
	char line[64];
	int round, result, i;

	(void)state;
	subject_start(&s, "limit");
	subject_wait_blocked(s.pid, s.pid, SYS_epoll_wait_here);
	subject_find(&s);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 200; i++) {
			struct pollfd pfd = { .fd = s.tcp, .events = POLLIN };

			subject_stop(&s);
			exec_resume(s.holders);
			if (poll(&pfd, 1, 5) == 1)
				break;
		}
		subject_line(s.tcp, line, sizeof(line));
		assert_int_equal(sscanf(line, "%lf %d", &ms, &result), 2);
		print_message("400 ms wait, stopped %d times: %.1f ms\n", i, ms);
		assert_int_equal(result, 0);
		assert_true(i > 3);
		/*
		 * Started anew each time it would never end while we stop it every few
		 * milliseconds.
		 */
		assert_true(ms > 399 && ms < 800);
		assert_int_equal(send(s.tcp, "\n", 1, 0), 1);
	}
	subject_end_program(&s);
}

/*
 * The tracer dies in the middle, with everything stopped: the program goes on, all its threads
 * do.
 */
static void tracer_dies(const char *mode, bool exchanged)
{
	char before[256], after[256];
	struct subject s;
	int status, v[2];
	pid_t tracer;

	subject_start(&s, mode);
	subject_echo(&s, 0);
	subject_stat(&s, before, sizeof(before));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, v), 0);
	tracer = fork();
	assert_true(tracer >= 0);
	if (tracer == 0) {
		subject_find(&s);
		subject_stop(&s);
		if (exchanged && exec_exchange(s.holders, v[1]) != 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(tracer, &status, 0), tracer);
	assert_true(WIFSIGNALED(status));
	close(v[1]);
	if (exchanged)
		s.stream = v[0];
	else
		close(v[0]);
	subject_echo(&s, 1);
	subject_stat(&s, after, sizeof(after));
	assert_string_equal(before, after);
	subject_end_program(&s);
}

static void test_tracer_dies(void **state)
{
	static const char *const modes[] = { "recv",  "recv-limit", "poll",
					     "epoll", "threads",    "fork" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		tracer_dies(modes[i], false);
		tracer_dies(modes[i], true);
	}
}

/*
 * The program is killed while a tracer that is not its parent has it stopped: the tracer sees the
 * end of it, further stops say so at once, and the parent can reap it while the tracer lives on.
 */
static void test_killed_while_stopped(void **state)
{
	struct subject s;
	int status, go[2];
	pid_t tracer;
	char byte;

	(void)state;
	subject_start(&s, "epoll");
	subject_echo(&s, 0);
	assert_int_equal(pipe(go), 0);
	tracer = fork();
	assert_true(tracer >= 0);
	if (tracer == 0) {
		close(go[1]);
		subject_find(&s);
		subject_stop(&s);
		kill(s.pid, SIGKILL);
		exec_resume(s.holders);
		status = exec_stop(s.holders, s.why, sizeof(s.why));
		if (status != -ESRCH && status != -EBADF)
			_exit(1);
		_exit(read(go[0], &byte, 1) != 0); /* lives until the parent has reaped */
	}
	close(go[0]);
	assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
	assert_true(WIFSIGNALED(status));
	close(go[1]);
	assert_int_equal(waitpid(tracer, &status, 0), tracer);
	assert_int_equal(status, 0);
	close(s.tcp);
}

/* A program that gets signals all the time: its handlers run, and only they interrupt its calls. */
static void test_signals(void **state)
{
	struct subject s;
	char line[256];
	unsigned int i, sent = 0;
	int handled;

	(void)state;
	subject_start(&s, "signals");
	subject_echo(&s, 0);
	subject_find(&s);
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(kill(s.pid, SIGUSR1), 0);
		sent++;
		if (i & 1)
			subject_back(&s);
		else
			subject_out(&s);
		subject_echo(&s, i);
	}
	subject_stat(&s, line, sizeof(line));
	assert_non_null(strstr(line, "failed=0 odd=0"));
	assert_int_equal(sscanf(strstr(line, "handled="), "handled=%d", &handled), 1);
	assert_int_equal(handled, sent);
	subject_end_program(&s);
}

/* New holders since the find: the program has forked, and dup'ed its descriptor, by a command. */
static void new_holder(const char *command, size_t processes, size_t numbers)
{
	size_t got_processes, got_numbers, registrations;
	struct subject s;
	char line[64];
	unsigned int i;

	subject_start(&s, "epoll");
	subject_echo(&s, 0);
	subject_find(&s);
	for (i = 0; i < 10; i++) {
		assert_int_equal(send(subject_end(&s), command, strlen(command), 0),
				 (ssize_t)strlen(command));
		subject_line(subject_end(&s), line, sizeof(line));
		assert_string_equal(line, command);
		if (i & 1)
			subject_back(&s);
		else
			subject_out(&s);
		exec_count(s.holders, &got_processes, &got_numbers, &registrations);
		assert_int_equal(got_processes, 1 + (i + 1) * processes);
		assert_int_equal(got_numbers, 1 + (i + 1) * numbers);
		assert_int_equal(registrations, 1);
		subject_echo(&s, i);
	}
	subject_end_program(&s);
}

static void test_new_child(void **state)
{
	(void)state;
	new_holder("FORK\n", 1, 1);
}

static void test_new_number(void **state)
{
	(void)state;
	new_holder("DUP\n", 0, 1);
}

/* The first of two processes closes its descriptor; the other goes on. */
static void test_holder_left(void **state)
{
	size_t processes, numbers, registrations;
	struct subject s;
	char line[64];

	(void)state;
	subject_start(&s, "epoll");
	subject_echo(&s, 0);
	subject_find(&s);
	assert_int_equal(send(s.tcp, "HANDOVER\n", 9, 0), 9);
	subject_line(s.tcp, line, sizeof(line));
	assert_string_equal(line, "HANDOVER\n");
	subject_out(&s);
	exec_count(s.holders, &processes, &numbers, &registrations);
	assert_int_equal(processes, 1);
	assert_int_equal(numbers, 1);
	subject_echo(&s, 1);
	subject_back(&s);
	subject_echo(&s, 2);
	subject_end_program(&s);
}

/* What we cannot follow is refused with a reason, and goes on untouched. */
static void test_refused(void **state)
{
	static const struct {
		const char *mode;
		const char *reason;
	} cases[] = {
		{ "seccomp", "seccomp" },
		{ "io_uring", "io_uring" },
		{ "own-table", "descriptor table of its own" },
		{ "traced", "traced by" },
	};
	struct subject s;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		subject_start(&s, cases[i].mode);
		subject_echo(&s, 0);
		/* What makes it ineligible may take the program a moment to do. */
		do {
			exec_free(s.holders);
			rc = exec_find(&s.holders, s.pid, s.fd_in_pid, s.why, sizeof(s.why));
			if (rc == 0)
				rc = exec_prepare(s.holders, s.why, sizeof(s.why));
		} while (rc == 0 || rc == -EAGAIN || strstr(s.why, "in flight"));
		if (!strstr(s.why, cases[i].reason))
			fail_msg("%s: %s", cases[i].mode, s.why);
		assert_true(rc == -ENOTSUP || rc == -EBUSY);
		subject_echo(&s, 1);
		subject_end_program(&s);
	}
}

static void python(const char *script)
{
	struct subject s;
	unsigned int i;

	subject_start_python(&s, script);
	subject_find(&s);
	for (i = 0; i < ROUNDS; i++) {
		subject_out(&s);
		subject_echo(&s, 2 * i);
		subject_back(&s);
		subject_echo(&s, 2 * i + 1);
	}
	subject_end_program(&s);
}

static void test_python_asyncio(void **state)
{
	(void)state;
	python(PYTHON_DIR "/serve_asyncio.py");
}

static void test_python_selectors(void **state)
{
	(void)state;
	python(PYTHON_DIR "/serve_selectors.py");
}

static void test_python_threads(void **state)
{
	(void)state;
	python(PYTHON_DIR "/serve_threads.py");
}

/* An argument selects cases by pattern. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recv),
		cmocka_unit_test(test_recv_limit),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_epoll_level),
		cmocka_unit_test(test_epoll_edge),
		cmocka_unit_test(test_epoll_oneshot),
		cmocka_unit_test(test_epoll_exclusive),
		cmocka_unit_test(test_epoll_limit),
		cmocka_unit_test(test_dup),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_pending_edge),
		cmocka_unit_test(test_pending_oneshot),
		cmocka_unit_test(test_pending_recv),
		cmocka_unit_test(test_under_load),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_tracer_dies),
		cmocka_unit_test(test_killed_while_stopped),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_new_child),
		cmocka_unit_test(test_new_number),
		cmocka_unit_test(test_holder_left),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_python_asyncio),
		cmocka_unit_test(test_python_selectors),
		cmocka_unit_test(test_python_threads),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
