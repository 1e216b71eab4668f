/* SPDX-License-Identifier: BSD-2-Clause */
/* test_exec_parse.c - the readers of /proc, on texts of several kernels and on broken ones. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "exec/exec_parse.h"

static void read_self(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, len - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void test_status(void **state)
{
	static const char text[] = "Name:\tevil State:\tZ\nUmask:\t0022\nState:\tS "
				   "(sleeping)\nTgid:\t7\nPPid:\t3\nTracerPid:\t9\n"
				   "SigPnd:\t0000000000000200\nShdPnd:\t0000000000000800\nSigBlk:"
				   "\t0000000000000200\n"
				   "Seccomp:\t2\nSeccomp_filters:\t4\n";
	struct exec_status st;
	char own[4096];

	(void)state;
	assert_int_equal(exec_parse_status(text, &st), 0);
	assert_int_equal(st.state, 'S');
	assert_int_equal(st.ppid, 3);
	assert_int_equal(st.tracer_pid, 9);
	assert_int_equal(st.seccomp, 2);
	assert_int_equal(st.seccomp_filters, 4);
	assert_true(st.sig_pending == 0x800);
	assert_true(exec_parse_status("State:\tS\nPPid:\t1\n", &st) < 0);
	assert_true(exec_parse_status("", &st) < 0);
	read_self("/proc/self/status", own, sizeof(own));
	assert_int_equal(exec_parse_status(own, &st), 0);
	assert_int_equal(st.ppid, getppid());
	assert_int_equal(st.state, 'R');
}

/* Kernels before 5.10 do not count the filters. */
static void test_status_old(void **state)
{
	static const char text[] = "State:\tR "
				   "(running)\nPPid:\t3\nTracerPid:\t0\nSigPnd:\t0\nShdPnd:\t0\n"
				   "SigBlk:\t0\nSeccomp:\t2\n";
	struct exec_status st;

	(void)state;
	assert_int_equal(exec_parse_status(text, &st), 0);
	assert_int_equal(st.seccomp_filters, 1);
}

static void test_stat(void **state)
{
	static const char text[] = "42 (a) b) S (c) T 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
				   "123456 1 1 1 1 1 1 1 1 1 1 "
				   "1 1 1 1 1 17 3 0 0\n";
	struct exec_stat st;
	char own[1024];

	(void)state;
	assert_int_equal(exec_parse_stat(text, &st), 0);
	assert_int_equal(st.state, 'T');
	assert_int_equal(st.ppid, 7);
	assert_int_equal(st.session, 9);
	assert_true(st.start_ticks == 123456);
	assert_int_equal(st.processor, 3);
	assert_true(exec_parse_stat("42 (short) S 1 2", &st) < 0);
	assert_true(exec_parse_stat("nothing", &st) < 0);
	read_self("/proc/self/stat", own, sizeof(own));
	assert_int_equal(exec_parse_stat(own, &st), 0);
	assert_int_equal(st.ppid, getppid());
	assert_int_equal(st.session, getsid(0));
}

static void test_call(void **state)
{
	struct exec_call_line line;

	(void)state;
	assert_int_equal(exec_parse_call("running\n", &line), 0);
	assert_true(line.running);
	assert_int_equal(exec_parse_call("-1 0x7ffe 0x4010\n", &line), 0);
	assert_int_equal(line.nr, -1);
	assert_true(line.sp == 0x7ffe && line.pc == 0x4010);
	assert_int_equal(exec_parse_call("232 0x3 0x7f10 0x1 0xffffffffffffffff 0x0 0x8 0x7ffe "
					 "0x401\n",
					 &line),
			 0);
	assert_false(line.running);
	assert_int_equal(line.nr, 232);
	assert_true(line.args[0] == 3 && line.args[3] == UINT64_MAX && line.args[5] == 8);
	assert_true(line.sp == 0x7ffe && line.pc == 0x401);
	assert_true(exec_parse_call("232 0x3 0x7f10\n", &line) < 0);
	assert_true(exec_parse_call("", &line) < 0);
}

/* The text, and what this kernel says of registrations that we make. */
static void test_epoll(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET | EPOLLRDHUP,
				  .data.u64 = 0xfedcba9876543210ull };
	struct exec_blob_reg reg;
	int ep = epoll_create1(EPOLL_CLOEXEC), s = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[64], text[2048], *line;
	struct stat st;
	uint64_t ino;

	(void)state;
	assert_int_equal(exec_parse_epoll("tfd:        5 events: 80002011 data: ffffffffffffffff  "
					  "pos:0 "
					  "ino:1f2e sdev:8\n",
					  &reg, &ino),
			 0);
	assert_int_equal(reg.fd, 5);
	assert_true(reg.events == 0x80002011u && reg.data == UINT64_MAX && ino == 0x1f2e);
	assert_true(exec_parse_epoll("pos:\t0\n", &reg, &ino) < 0);
	assert_true(exec_parse_epoll("tfd:        5 events: 1 data: 5\n", &reg, &ino) < 0);

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev), 0);
	assert_int_equal(fstat(s, &st), 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ep);
	read_self(path, text, sizeof(text));
	line = strstr(text, "tfd:");
	assert_non_null(line);
	assert_int_equal(exec_parse_epoll(line, &reg, &ino), 0);
	assert_int_equal(reg.fd, s);
	assert_true(ino == st.st_ino && reg.data == ev.data.u64);
	assert_true((reg.events & ~(uint32_t)(EPOLLERR | EPOLLHUP)) == ev.events);
	close(ep);
	close(s);
}

static void test_links(void **state)
{
	uint64_t ino;

	(void)state;
	assert_int_equal(exec_parse_socket_link("socket:[4711]", &ino), 0);
	assert_true(ino == 4711);
	assert_true(exec_parse_socket_link("socket:[4711] (deleted)", &ino) < 0);
	assert_true(exec_parse_socket_link("socket:[]", &ino) < 0);
	assert_true(exec_parse_socket_link("pipe:[4711]", &ino) < 0);
	assert_true(exec_parse_socket_link("/tmp/socket:[1]", &ino) < 0);
}

static void test_fdinfo(void **state)
{
	unsigned int flags, count;
	int v[2], w[2];
	char path[64], text[1024];
	union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .hdr = { .cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = text, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control.bytes) };

	(void)state;
	assert_int_equal(exec_parse_fd_flags("pos:\t0\nflags:\t02004002\nmnt_id:\t10\n", &flags),
			 0);
	assert_true(flags == 02004002 && (flags & O_NONBLOCK));
	assert_true(exec_parse_fd_flags("pos:\t0\n", &flags) < 0);

	/* A descriptor in flight shows. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, v), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w), 0);
	memcpy(CMSG_DATA(&control.hdr), &w[0], sizeof(int));
	assert_int_equal(sendmsg(v[0], &msg, 0), 1);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", v[1]);
	read_self(path, text, sizeof(text));
	assert_int_equal(exec_parse_scm_fds(text, &count), 0);
	assert_int_equal(count, 1);
	assert_true(exec_parse_scm_fds("pos:\t0\nflags:\t02\n", &count) < 0);
	close(v[0]);
	close(v[1]);
	close(w[0]);
	close(w[1]);
}

static void test_others(void **state)
{
	uint64_t start;
	double ms;
	pid_t pid;

	(void)state;
	assert_int_equal(exec_parse_sched_start("head (1, #threads: 1)\n---\n"
						"se.exec_start                                :    "
						"   "
						"1614746.308022\nse.vruntime : 1.0\n",
						&ms),
			 0);
	assert_true(ms > 1614746.30 && ms < 1614746.31);
	assert_true(exec_parse_sched_start("se.vruntime : 1.0\n", &ms) < 0);
	assert_int_equal(exec_parse_vdso("7ffd3b5f9000-7ffd3b5fb000 r-xp 00000000 00:00 0    "
					 "[vdso]\n",
					 &start),
			 0);
	assert_true(start == 0x7ffd3b5f9000);
	assert_true(exec_parse_vdso("7ffd3b5f9000-7ffd3b5fb000 r--p 00000000 00:00 0  [vvar]\n",
				    &start) < 0);
	assert_int_equal(exec_parse_last_pid("0.20 0.18 0.12 1/80 11206\n", &pid), 0);
	assert_int_equal(pid, 11206);
	assert_true(exec_parse_last_pid("0.20 0.18\n", &pid) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status), cmocka_unit_test(test_status_old),
		cmocka_unit_test(test_stat),   cmocka_unit_test(test_call),
		cmocka_unit_test(test_epoll),  cmocka_unit_test(test_links),
		cmocka_unit_test(test_fdinfo), cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
