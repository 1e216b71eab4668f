/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor without a program: which calls its filter picks, what it reads out of one, and
 * what it makes of a daemon's answers, good and bad.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/ipc_msg.h"
#include "supervisor/super_int.h"

#if defined(__x86_64__)
#define OUR_ARCH   AUDIT_ARCH_X86_64
#define OTHER_ARCH AUDIT_ARCH_I386
#else
#define OUR_ARCH   AUDIT_ARCH_AARCH64
#define OTHER_ARCH AUDIT_ARCH_ARM
#endif

/* ---- the filter ---- */

static uint32_t evaluate(const struct sock_filter *code, unsigned int n,
			 const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (unsigned int pc = 0; pc < n; pc++) {
		const struct sock_filter *f = &code[pc];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k + 4 <= sizeof(*data));
			memcpy(&a, (const uint8_t *)data + f->k, sizeof(a));
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			fail_msg("instruction %#x", f->code);
		}
	}
	fail_msg("the program runs off its end");
	return 0;
}

static bool notifies(int nr, unsigned int arg, uint64_t value)
{
	struct seccomp_data data = { .nr = nr, .arch = OUR_ARCH };
	struct sock_filter code[SUPER_FILTER_MAX];
	unsigned int n = super_filter_build(code);
	uint32_t verdict;

	assert_true(n <= SUPER_FILTER_MAX);
	data.args[arg] = value;
	verdict = evaluate(code, n, &data);
	assert_true(verdict == SECCOMP_RET_ALLOW || verdict == SECCOMP_RET_USER_NOTIF);
	return verdict == SECCOMP_RET_USER_NOTIF;
}

static void filter_picks_by_number(void **state)
{
	static const int always[] = { SYS_accept,      SYS_accept4,     SYS_connect,
				      SYS_getsockname, SYS_getpeername, SYS_getsockopt,
				      SYS_setsockopt,  SYS_shutdown };
	unsigned int picked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		assert_true(notifies(always[i], 0, 0));
	for (int nr = 0; nr < 600; nr++)
		picked += notifies(nr, 5, 0);
	assert_int_equal(sizeof(always) / sizeof(always[0]), picked);
	assert_false(notifies(SYS_read, 0, 0) || notifies(SYS_write, 0, 0));
}

static void filter_picks_by_argument(void **state)
{
	static const struct {
		int nr;
		unsigned int arg;
		bool send;
	} calls[] = { { SYS_sendto, 3, true },   { SYS_sendmsg, 2, true },
		      { SYS_sendmmsg, 3, true }, { SYS_recvfrom, 3, false },
		      { SYS_recvmsg, 2, false }, { SYS_recvmmsg, 3, false } };
	static const uint32_t usual = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL | MSG_PEEK |
				      MSG_MORE | MSG_CMSG_CLOEXEC | MSG_EOR;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		assert_false(notifies(calls[i].nr, calls[i].arg, usual));
		assert_true(notifies(calls[i].nr, calls[i].arg, usual | MSG_OOB));
		assert_int_equal(!calls[i].send, notifies(calls[i].nr, calls[i].arg, MSG_TRUNC));
		assert_int_equal(!calls[i].send, notifies(calls[i].nr, calls[i].arg, MSG_ERRQUEUE));
		assert_false(notifies(calls[i].nr, calls[i].arg ^ 1, MSG_OOB));
	}
	assert_true(notifies(SYS_ioctl, 1, SIOCOUTQ) && notifies(SYS_ioctl, 1, SIOCOUTQNSD));
	/* The kernel looks at the low half of a request and of flags only. */
	assert_true(notifies(SYS_ioctl, 1, 0xFFFFFFFF00000000u | SIOCOUTQ));
	assert_false(notifies(SYS_ioctl, 1, FIONREAD) || notifies(SYS_ioctl, 2, SIOCOUTQ));
}

static void filter_leaves_other_architectures(void **state)
{
	struct sock_filter code[SUPER_FILTER_MAX];
	unsigned int n = super_filter_build(code);
	struct seccomp_data data = { .arch = OTHER_ARCH };

	(void)state;
	for (data.nr = 0; data.nr < 600; data.nr++)
		assert_int_equal(SECCOMP_RET_ALLOW, evaluate(code, n, &data));
#ifdef __x86_64__
	data = (struct seccomp_data){ .arch = OUR_ARCH, .nr = 0x40000000 | SYS_getsockopt };
	assert_int_equal(SECCOMP_RET_ALLOW, evaluate(code, n, &data)); /* x32 */
#endif
}

static void filter_goes_into_the_kernel(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		int fd = super_filter_install();

		/* Nobody listens any more: a notified call fails, all others go on. */
		if (fd < 0)
			_exit(1);
		close(fd);
		if (write(-1, "", 1) != -1 || errno != EBADF)
			_exit(2);
		_exit(shutdown(-1, SHUT_WR) == -1 && errno == ENOSYS ? 0 : 3);
	}
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	assert_int_equal(0, WEXITSTATUS(status));
}

/* ---- what a call asks ---- */

static struct super_question decoded(int nr, __u64 b, __u64 c, __u64 d, __u64 e)
{
	struct seccomp_data data = { .nr = nr, .args = { 7, b, c, d, e, 0 } };
	struct super_question q;

	memset(&q, 0xff, sizeof(q));
	assert_true(super_decode(&data, &q));
	return q;
}

static void calls_are_decoded(void **state)
{
	struct super_question q = decoded(SYS_getsockopt, SOL_SOCKET, SO_ERROR, 0x1000, 0x2000);

	(void)state;
	assert_string_equal("getsockopt", q.call);
	assert_true(q.value == SUPER_GET && q.level == SOL_SOCKET && q.name == SO_ERROR &&
		    q.at == 0x1000 && q.length_at == 0x2000);
	q = decoded(SYS_setsockopt, (__u64)-1, 5, 0x1000, 0xFFFFFFFFFFFFFFF4u);
	assert_true(q.value == SUPER_SET && q.level == -1 && q.name == 5 &&
		    q.length == 0xFFFFFFF4u);
	q = decoded(SYS_getpeername, 0x10, 0x20, 0, 0);
	assert_string_equal("getpeername", q.call);
	assert_true(q.value == SUPER_NAME && q.at == 0x10 && q.length_at == 0x20);
	q = decoded(SYS_ioctl, SIOCOUTQ, 0x30, 0, 0);
	assert_true(q.value == SUPER_INT && q.name == SIOCOUTQ && q.at == 0x30 && q.length == 4);
	q = decoded(SYS_connect, 0x40, 16, 0, 0);
	assert_true(q.value == SUPER_FAMILY && q.at == 0x40 && q.length == 16);
	q = decoded(SYS_shutdown, SHUT_RD, 0, 0, 0);
	assert_true(q.value == SUPER_NOTHING && q.name == SHUT_RD);
	q = decoded(SYS_sendto, 0, 0, MSG_OOB | MSG_DONTWAIT, 0);
	assert_true(!strcmp(q.call, "send") && q.name == MSG_OOB);
	q = decoded(SYS_recvmsg, 0, MSG_TRUNC | MSG_PEEK, 0, 0);
	assert_true(!strcmp(q.call, "recv") && q.name == MSG_TRUNC);
}

static void other_calls_are_not(void **state)
{
	struct seccomp_data data = { 0 };
	struct super_question q;

	(void)state;
	for (data.nr = 0; data.nr < 600; data.nr++)
		assert_int_equal(super_decode(&data, &q),
				 data.nr == SYS_ioctl || data.nr == SYS_sendto ||
					 data.nr == SYS_sendmsg || data.nr == SYS_sendmmsg ||
					 data.nr == SYS_recvfrom || data.nr == SYS_recvmsg ||
					 data.nr == SYS_recvmmsg ||
					 (notifies(data.nr, 0, 0) && data.nr != SYS_accept &&
					  data.nr != SYS_accept4));
}

/* ---- the daemon's answers ---- */

/* What was asked, and the answer that is to come. The daemon has put it in line already. */
static void asked(const char *reply, struct super_answer *out, json_t **question)
{
	static const struct super_question q = { .call = "setsockopt", .level = 6, .name = 1 };
	struct super s = { .control_path = "/nonexistent/control" };
	static const uint8_t value[] = { 0xab, 0, 1 };
	int pair[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	s.daemon_fd = pair[0];
	if (reply)
		assert_true(send(pair[1], reply, strlen(reply), 0) > 0);
	else
		shutdown(pair[1], SHUT_WR);
	super_ask(&s, 4711, &q, value, sizeof(value), out);
	*question = NULL;
	assert_int_equal(0, ipc_recv(pair[1], question));
	if (s.daemon_fd >= 0)
		close(s.daemon_fd);
	close(pair[1]);
}

static void questions_carry_the_call(void **state)
{
	struct super_answer answer;
	json_t *question;

	(void)state;
	asked("{\"ok\": true, \"native\": true}", &answer, &question);
	assert_string_equal("socket", json_string_value(json_object_get(question, "op")));
	assert_string_equal("setsockopt", json_string_value(json_object_get(question, "call")));
	assert_string_equal("ab0001", json_string_value(json_object_get(question, "data")));
	assert_int_equal(4711, json_integer_value(json_object_get(question, "inode")));
	assert_int_equal(6, json_integer_value(json_object_get(question, "level")));
	assert_int_equal(3, json_integer_value(json_object_get(question, "length")));
	json_decref(question);
}

static void answers_are_understood(void **state)
{
	struct super_answer answer;
	json_t *question;

	(void)state;
	asked("{\"ok\": true, \"err\": 0, \"data\": \"0102ff\"}", &answer, &question);
	json_decref(question);
	assert_false(answer.native);
	assert_int_equal(0, answer.err);
	assert_int_equal(3, answer.length);
	assert_memory_equal("\x01\x02\xff", answer.data, 3);
	asked("{\"ok\": true, \"err\": 22}", &answer, &question);
	json_decref(question);
	assert_true(!answer.native && answer.err == EINVAL && answer.length == 0);
}

static void bad_answers_leave_the_call_alone(void **state)
{
	static const char *const bad[] = { "{\"ok\": false, \"error\": \"no\"}",
					   "[1]",
					   "{",
					   "nonsense",
					   "{\"err\": \"22\"}",
					   NULL };
	struct super_answer answer;
	json_t *question;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&answer, 0xff, sizeof(answer));
		asked(bad[i], &answer, &question);
		json_decref(question);
		assert_true(answer.native);
	}
}

static void without_daemon_all_goes_on(void **state)
{
	static const struct super_question q = { .call = "getsockname" };
	struct super s = { .control_path = "/nonexistent/control", .daemon_fd = -1 };
	struct super_answer answer = { 0 };
	uint8_t data[513] = { 0 };
	uint64_t next;

	(void)state;
	super_ask(&s, 1, &q, NULL, 16, &answer);
	assert_true(answer.native);
	next = s.reconnect_us;
	assert_true(next > 0);
	super_ask(&s, 1, &q, NULL, 16, &answer); /* it does not try again at once */
	assert_true(answer.native && s.reconnect_us == next);
	super_ask(&s, 1, &q, data, sizeof(data), &answer); /* more than an option has */
	assert_true(answer.native);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_picks_by_number),
		cmocka_unit_test(filter_picks_by_argument),
		cmocka_unit_test(filter_leaves_other_architectures),
		cmocka_unit_test(filter_goes_into_the_kernel),
		cmocka_unit_test(calls_are_decoded),
		cmocka_unit_test(other_calls_are_not),
		cmocka_unit_test(questions_carry_the_call),
		cmocka_unit_test(answers_are_understood),
		cmocka_unit_test(bad_answers_leave_the_call_alone),
		cmocka_unit_test(without_daemon_all_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
