/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_blob.c - the code that is copied into a program and run there by one of its stopped threads.
 *
 * It must be position independent without relocations, call nothing outside, use general registers
 * only (the thread's vector state is not saved), and live in section exec_blob; a test checks the
 * object. Its stack is the end of the data area, not the program's. All signals are blocked by the
 * tracer; no other thread of any holder runs meanwhile.
 *
 * How the new file gets in: the blob makes a socket pair and shows the numbers; the tracer takes
 * its end with pidfd_getfd, which needs the right to trace this program, and sends the file over
 * it. So the channel has no name, no other user can reach it, and the namespaces of the two do not
 * matter. Every descriptor made here is closed here: lowest-free-number allocation goes on as
 * before.
 *
 * At the end the blob waits for the tracer, which stops the thread there and gives it its registers
 * back. If the tracer has died nobody stops it: after a second it restores the registers itself, as
 * the tracer has prepared them, and the program goes on. That is why it does not end in a
 * breakpoint: without a tracer that would kill the program.
 */
#include "exec/exec_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define BLOB_TEXT        __attribute__((section("exec_blob")))
#define BLOB_INLINE      static inline __attribute__((always_inline))
#define BLOB_PATIENCE_NS 800000000 /* then the tracer is taken for dead: give up */
#define BLOB_SPINS       40
#define BLOB_FAREWELL_S  1 /* likewise, at the end */
#define STR2(x)          #x
#define STR(x)           STR2(x)

/*
 * The stubs, one per slot, at the start of the section and as far apart as the slots: so the
 * distance from a stub to its slot is one constant.
 * A failure after a part went through is a short count, as the kernel itself would report it.
 */
#if defined(__x86_64__)
/* clang-format off */
#define SLOT(field) #field "+0b+" STR(EXEC_CODE_BYTES) "+" STR(EXEC_SLOT_OFFSET) "(%rip)"
__asm__(".pushsection exec_blob, \"ax\", @progbits\n"
	".globl exec_blob_begin, exec_blob_stubs, exec_blob_stubs_end\n"
	".hidden exec_blob_begin, exec_blob_stubs, exec_blob_stubs_end\n"
	"exec_blob_begin:\n"
	".Lexec_blob:\n"
	"exec_blob_stubs:\n"
	".rept " STR(EXEC_NSLOTS) "\n"
	".balign " STR(EXEC_SLOT_BYTES) "\n"
	"0:	syscall\n"
	"	test	%rax, %rax\n"
	"	js	1f\n"
	"	add	" SLOT(8) ", %rax\n"
	"	jmp	2f\n"
	"1:	cmpq	$0, " SLOT(8) "\n"
	"	je	2f\n"
	"	mov	" SLOT(8) ", %rax\n"
	"2:	mov	" SLOT(16) ", %rsi\n"
	"	mov	" SLOT(24) ", %rdx\n"
	"	mov	" SLOT(32) ", %r10\n"
	"	movq	$0, " SLOT(0) "\n"
	"	jmp	*" SLOT(40) "\n"
	".balign " STR(EXEC_SLOT_BYTES) "\n"
	".endr\n"
	"exec_blob_stubs_end:\n"
	".popsection\n");
/* clang-format on */
#elif defined(__aarch64__)
/*
 * No stubs: the way back would need a register, and a system call keeps all of them here. Calls
 * that would need one make exec_stop() answer -EAGAIN instead.
 */
__asm__(".pushsection exec_blob, \"ax\", @progbits\n"
	".globl exec_blob_begin, exec_blob_stubs, exec_blob_stubs_end\n"
	".hidden exec_blob_begin, exec_blob_stubs, exec_blob_stubs_end\n"
	"exec_blob_begin:\n"
	".Lexec_blob:\n"
	"exec_blob_stubs:\n"
	"exec_blob_stubs_end:\n"
	".popsection\n");
#else
#error "no blob for this architecture"
#endif

#if defined(__x86_64__)
BLOB_INLINE long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
/* clang-format off */
#define LEAVE(n) ".Lexec_blob+" STR(EXEC_CODE_BYTES) "+" STR(EXEC_LEAVE_OFFSET) "+8*" #n "(%%rip)"
/* The order is that of exec_regs_leave(). Never returns. */
#define BLOB_LEAVE(a) \
	__asm__ volatile( \
		"mov " LEAVE(0) ", %%r15\n\t" \
		"mov " LEAVE(1) ", %%r14\n\t" \
		"mov " LEAVE(2) ", %%r13\n\t" \
		"mov " LEAVE(3) ", %%r12\n\t" \
		"mov " LEAVE(4) ", %%rbp\n\t" \
		"mov " LEAVE(5) ", %%rbx\n\t" \
		"mov " LEAVE(6) ", %%r11\n\t" \
		"mov " LEAVE(7) ", %%r10\n\t" \
		"mov " LEAVE(8) ", %%r9\n\t" \
		"mov " LEAVE(9) ", %%r8\n\t" \
		"mov " LEAVE(10) ", %%rax\n\t" \
		"mov " LEAVE(11) ", %%rcx\n\t" \
		"mov " LEAVE(12) ", %%rdx\n\t" \
		"mov " LEAVE(13) ", %%rsi\n\t" \
		"mov " LEAVE(14) ", %%rdi\n\t" \
		"pushq " LEAVE(16) "\n\tpopfq\n\t" \
		"mov " LEAVE(15) ", %%rsp\n\t" \
		"jmp *" LEAVE(17) \
		:: "r"(a) : "memory")
/* clang-format on */
#else
BLOB_INLINE long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
/* clang-format off */
/* The order is that of exec_regs_leave(). x17 is lost: the jump needs a register. Never returns. */
#define BLOB_LEAVE(a) \
	__asm__ volatile( \
		"add x17, %0, #" STR(EXEC_LEAVE_OFFSET) "\n\t" \
		"ldr x0, [x17, #248]\n\tmov sp, x0\n\t" \
		"ldp x0, x1, [x17, #0]\n\t" \
		"ldp x2, x3, [x17, #16]\n\t" \
		"ldp x4, x5, [x17, #32]\n\t" \
		"ldp x6, x7, [x17, #48]\n\t" \
		"ldp x8, x9, [x17, #64]\n\t" \
		"ldp x10, x11, [x17, #80]\n\t" \
		"ldp x12, x13, [x17, #96]\n\t" \
		"ldp x14, x15, [x17, #112]\n\t" \
		"ldr x16, [x17, #128]\n\t" \
		"ldp x18, x19, [x17, #144]\n\t" \
		"ldp x20, x21, [x17, #160]\n\t" \
		"ldp x22, x23, [x17, #176]\n\t" \
		"ldp x24, x25, [x17, #192]\n\t" \
		"ldp x26, x27, [x17, #208]\n\t" \
		"ldp x28, x29, [x17, #224]\n\t" \
		"ldr x30, [x17, #240]\n\t" \
		"ldr x17, [x17, #256]\n\tbr x17" \
		:: "r"(a) : "memory")
/* clang-format on */
#endif

BLOB_INLINE long sys2(long nr, long a, long b)
{
	return sys6(nr, a, b, 0, 0, 0, 0);
}

BLOB_INLINE long sys3(long nr, long a, long b, long c)
{
	return sys6(nr, a, b, c, 0, 0, 0);
}

BLOB_INLINE long sys4(long nr, long a, long b, long c, long d)
{
	return sys6(nr, a, b, c, d, 0, 0);
}

/* Does the table hold exactly the numbers of the file that the tracer counted? */
BLOB_INLINE int blob_table(struct exec_blob_args *a)
{
	unsigned int open_count = 0, same = 0;
	struct stat st;
	int fd;

	for (fd = 0; fd < a->scan_end; fd++) {
		if (sys2(SYS_fstat, fd, (long)&st) != 0)
			continue;
		open_count++;
		if (st.st_ino == a->ino && S_ISSOCK(st.st_mode))
			same++;
	}
	if (a->scan_end && (open_count != a->open_count || same != a->nnumbers))
		return -ESTALE;
	return 0;
}

/*
 * The tracer answers within microseconds. On another CPU it is worth spinning for, as a sleep and a
 * wake cost more; on its own CPU spinning would only keep it from answering.
 */
BLOB_INLINE long blob_recvmsg(const struct exec_blob_args *a, int sock, struct msghdr *msg)
{
	int i, spins = BLOB_SPINS;
	struct timespec limit;
	struct pollfd pfd;
	unsigned int cpu;
	long rc;

	if (sys3(SYS_getcpu, (long)&cpu, 0, 0) == 0 && cpu == a->tracer_cpu)
		spins = 0;
	for (i = 0; i < spins; i++) {
		rc = sys3(SYS_recvmsg, sock, (long)msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (rc != -EAGAIN)
			return rc;
	}
	pfd.fd = sock;
	pfd.events = POLLIN;
	pfd.revents = 0;
	limit.tv_sec = 0;
	limit.tv_nsec = BLOB_PATIENCE_NS;
	(void)sys6(SYS_ppoll, (long)&pfd, 1, (long)&limit, 0, 8, 0);
	return sys3(SYS_recvmsg, sock, (long)msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

BLOB_INLINE int blob_receive(struct exec_blob_args *a)
{
	union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg;
	struct iovec iov;
	int pair[2];
	char byte;
	long rc;

	rc = sys4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, (long)pair);
	if (rc < 0)
		return (int)rc;
	a->pair[0] = pair[0];
	a->pair[1] = pair[1];
	__atomic_store_n(&a->published, 1, __ATOMIC_RELEASE);

	iov.iov_base = &byte;
	iov.iov_len = 1;
	msg.msg_name = 0;
	msg.msg_namelen = 0;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	msg.msg_flags = 0;
	rc = blob_recvmsg(a, pair[0], &msg);
	sys2(SYS_close, pair[0], 0);
	sys2(SYS_close, pair[1], 0);
	if (rc < 0)
		return (int)rc;
	if (msg.msg_controllen < CMSG_LEN(sizeof(int)) || control.hdr.cmsg_type != SCM_RIGHTS)
		return msg.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
	return *(int *)CMSG_DATA(&control.hdr);
}

BLOB_INLINE int blob_epoll(struct exec_blob_reg *r, int op)
{
	struct epoll_event ev;

	ev.events = r->events;
	ev.data.u64 = r->data;
	return (int)sys4(SYS_epoll_ctl, r->epfd, op, r->fd, (long)&ev);
}

/* The old registrations go first: after the dup3 nobody could name them any more. */
BLOB_INLINE int blob_swap(struct exec_blob_args *a, int new_fd)
{
	unsigned int i;
	long rc;

	a->step = EXEC_STEP_DEL;
	for (i = 0; i < a->nregs; i++) {
		rc = blob_epoll(&a->regs[i], EPOLL_CTL_DEL);
		if (rc < 0)
			return (int)rc;
		a->regs[i].deleted = 1;
	}
	a->step = EXEC_STEP_DUP;
	for (i = 0; i < a->nnumbers; i++) {
		struct exec_blob_number *n = &a->numbers[i];

		rc = sys2(SYS_fcntl, n->fd, F_GETFD);
		if (rc < 0)
			return (int)rc;
		n->fd_flags = (int)rc;
		rc = sys3(SYS_dup3, new_fd, n->fd, rc & FD_CLOEXEC ? O_CLOEXEC : 0);
		if (rc < 0)
			return (int)rc;
		n->changed = 1;
	}
	a->step = EXEC_STEP_ADD;
	for (i = 0; i < a->nregs; i++) {
		rc = blob_epoll(&a->regs[i], EPOLL_CTL_ADD);
		if (rc < 0)
			return (int)rc;
		a->regs[i].added = 1;
	}
	a->step = EXEC_STEP_DONE;
	return 0;
}

/* Returns 0 when everything is as it was before blob_swap(). */
BLOB_INLINE int blob_undo(struct exec_blob_args *a, int old_fd)
{
	unsigned int i;
	int bad = 0;

	for (i = 0; i < a->nregs; i++)
		if (a->regs[i].added)
			bad |= blob_epoll(&a->regs[i], EPOLL_CTL_DEL) < 0;
	for (i = 0; i < a->nnumbers; i++)
		if (a->numbers[i].changed)
			bad |= sys3(SYS_dup3, old_fd, a->numbers[i].fd,
				    a->numbers[i].fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0;
	for (i = 0; i < a->nregs; i++)
		if (a->regs[i].deleted)
			bad |= blob_epoll(&a->regs[i], EPOLL_CTL_ADD) < 0;
	return bad;
}

BLOB_INLINE int blob_run(struct exec_blob_args *a)
{
	int new_fd, old_fd, rc;

	a->step = EXEC_STEP_TABLE;
	rc = blob_table(a);
	if (rc < 0)
		return rc;
	a->step = EXEC_STEP_RECEIVE;
	new_fd = blob_receive(a);
	if (new_fd < 0)
		return new_fd;
	a->step = EXEC_STEP_KEEP;
	rc = old_fd = (int)sys3(SYS_fcntl, a->numbers[0].fd, F_DUPFD_CLOEXEC, 0);
	if (old_fd >= 0) {
		rc = blob_swap(a, new_fd);
		if (rc < 0 && blob_undo(a, old_fd)) {
			a->step = EXEC_STEP_UNDO;
			rc = -ENOTRECOVERABLE;
		}
		sys2(SYS_close, old_fd, 0);
	}
	sys2(SYS_close, new_fd, 0);
	return rc;
}

/*
 * Nobody has stopped us: the program goes on by itself. The limit is kept when the kernel
 * restarts.
 */
BLOB_INLINE void blob_farewell(struct exec_blob_args *a)
{
	struct timespec limit;

	__atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
	limit.tv_sec = BLOB_FAREWELL_S;
	limit.tv_nsec = 0;
	(void)sys6(SYS_ppoll, 0, 0, (long)&limit, 0, 8, 0);
	(void)sys4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&a->leave_mask, 0, 8);
}

BLOB_TEXT void exec_blob_main(struct exec_blob_args *a)
{
	a->result = blob_run(a);
	blob_farewell(a);
	BLOB_LEAVE(a);
	__builtin_unreachable();
}
