/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter: a few calls on sockets are notified, all others, and all calls by another
 * architecture's numbers, are left alone. Sends, receives and ioctls are notified only by an
 * argument that says what a TCP socket and a UNIX stream answer differently, so that the calls that
 * programs make all the time pass; the kernel does not even run the filter for read and write.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/super_int.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the filter knows x86-64 and arm64"
#endif

enum when { ALWAYS, ANY_BIT, ONE_OF };

static const struct {
	unsigned int nr;
	enum when when;
	unsigned int arg; /* which argument; its low 32 bits count */
	uint32_t value[2];
} rules[] = {
	{ SYS_sendto, ANY_BIT, 3, { SUPER_SEND_FLAGS, 0 } },
	{ SYS_recvfrom, ANY_BIT, 3, { SUPER_RECV_FLAGS, 0 } },
	{ SYS_sendmsg, ANY_BIT, 2, { SUPER_SEND_FLAGS, 0 } },
	{ SYS_recvmsg, ANY_BIT, 2, { SUPER_RECV_FLAGS, 0 } },
	{ SYS_sendmmsg, ANY_BIT, 3, { SUPER_SEND_FLAGS, 0 } },
	{ SYS_recvmmsg, ANY_BIT, 3, { SUPER_RECV_FLAGS, 0 } },
	{ SYS_ioctl, ONE_OF, 1, { SIOCOUTQ, SIOCOUTQNSD } },
	{ SYS_accept4, ALWAYS, 0, { 0, 0 } },
	{ SYS_accept, ALWAYS, 0, { 0, 0 } },
	{ SYS_connect, ALWAYS, 0, { 0, 0 } },
	{ SYS_setsockopt, ALWAYS, 0, { 0, 0 } },
	{ SYS_getsockopt, ALWAYS, 0, { 0, 0 } },
	{ SYS_getpeername, ALWAYS, 0, { 0, 0 } },
	{ SYS_getsockname, ALWAYS, 0, { 0, 0 } },
	{ SYS_shutdown, ALWAYS, 0, { 0, 0 } },
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

_Static_assert(4 + 6 * RULES <= SUPER_FILTER_MAX, "room for every rule");

static unsigned int put(struct sock_filter *at, unsigned int code, uint32_t k, unsigned int yes,
			unsigned int no)
{
	*at = (struct sock_filter)BPF_JUMP(code, k, (uint8_t)yes, (uint8_t)no);
	return 1;
}

static unsigned int load(struct sock_filter *at, size_t offset)
{
	return put(at, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static unsigned int verdict(struct sock_filter *at, uint32_t action)
{
	return put(at, BPF_RET | BPF_K, action, 0, 0);
}

/* What is done with the argument; ends in a verdict either way. Both machines store low bytes first. */
static unsigned int put_body(struct sock_filter *at, size_t rule)
{
	const uint32_t *value = rules[rule].value;
	unsigned int n = 0;

	if (rules[rule].when == ALWAYS)
		return verdict(at, SECCOMP_RET_USER_NOTIF);
	n += load(at + n, offsetof(struct seccomp_data, args[rules[rule].arg]));
	if (rules[rule].when == ANY_BIT) {
		n += put(at + n, BPF_JMP | BPF_JSET | BPF_K, value[0], 1, 0);
	} else {
		n += put(at + n, BPF_JMP | BPF_JEQ | BPF_K, value[0], 2, 0);
		n += put(at + n, BPF_JMP | BPF_JEQ | BPF_K, value[1], 1, 0);
	}
	n += verdict(at + n, SECCOMP_RET_ALLOW);
	n += verdict(at + n, SECCOMP_RET_USER_NOTIF);
	return n;
}

unsigned int super_filter_build(struct sock_filter *code)
{
	unsigned int n = 0;

	n += load(code + n, offsetof(struct seccomp_data, arch));
	n += put(code + n, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
	n += verdict(code + n, SECCOMP_RET_ALLOW);
	n += load(code + n, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < RULES; i++) {
		unsigned int body = put_body(code + n + 1, i);

		n += put(code + n, BPF_JMP | BPF_JEQ | BPF_K, rules[i].nr, 0, body);
		n += body;
	}
	n += verdict(code + n, SECCOMP_RET_ALLOW);
	return n;
}

int super_filter_install(void)
{
	struct sock_filter code[SUPER_FILTER_MAX];
	struct sock_fprog prog = { .filter = code };
	long fd;

	prog.len = (unsigned short)super_filter_build(code);
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (fd >= 0 || errno != EACCES)
		return fd < 0 ? -errno : (int)fd;
	/* Without privilege only for those who promise never to gain one. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	return fd < 0 ? -errno : (int)fd;
}
