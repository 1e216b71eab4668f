/* SPDX-License-Identifier: BSD-2-Clause */
/* exec_regs.c - see exec_regs.h. */
#include "exec/exec_regs.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif

/* Results that the kernel keeps to itself, unless a tracer looks; not in any user header. */
#define KERNEL_ERESTARTSYS           512
#define KERNEL_ERESTARTNOHAND        514 /* restart unless a handler runs */
#define KERNEL_ERESTART_RESTARTBLOCK 516 /* restart by restart_syscall */

int exec_regs_get(pid_t tid, struct exec_regs *regs)
{
	struct iovec iov = { .iov_base = &regs->r, .iov_len = sizeof(regs->r) };

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) < 0)
		return -errno;
	/* A 32-bit thread delivers a shorter set. */
	return iov.iov_len == sizeof(regs->r) ? 0 : -ENOTSUP;
}

#if defined(__x86_64__)

int exec_regs_set(pid_t tid, const struct exec_regs *regs)
{
	struct iovec iov = { .iov_base = (void *)&regs->r, .iov_len = sizeof(regs->r) };

	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov) < 0 ? -errno : 0;
}

bool exec_regs_native(const struct exec_regs *regs)
{
	return regs->r.cs == 0x33;
}

uint64_t exec_regs_pc(const struct exec_regs *regs)
{
	return regs->r.rip;
}

uint64_t exec_regs_sp(const struct exec_regs *regs)
{
	return regs->r.rsp;
}

long exec_regs_call(const struct exec_regs *regs)
{
	return (long)regs->r.orig_rax < 0 ? EXEC_NO_CALL : (long)regs->r.orig_rax;
}

long exec_regs_result(const struct exec_regs *regs)
{
	return (long)regs->r.rax;
}

uint64_t exec_regs_arg(const struct exec_regs *regs, unsigned int n)
{
	switch (n) {
	case 0:
		return regs->r.rdi;
	case 1:
		return regs->r.rsi;
	case 2:
		return regs->r.rdx;
	case 3:
		return regs->r.r10;
	case 4:
		return regs->r.r8;
	default:
		return regs->r.r9;
	}
}

void exec_regs_set_arg(struct exec_regs *regs, unsigned int n, uint64_t value)
{
	switch (n) {
	case 0:
		regs->r.rdi = value;
		break;
	case 1:
		regs->r.rsi = value;
		break;
	case 2:
		regs->r.rdx = value;
		break;
	case 3:
		regs->r.r10 = value;
		break;
	case 4:
		regs->r.r8 = value;
		break;
	default:
		regs->r.r9 = value;
		break;
	}
}

void exec_regs_restart(struct exec_regs *regs, uint64_t arg0, uint64_t at)
{
	(void)arg0;
	regs->r.rax = (unsigned long long)-KERNEL_ERESTARTNOHAND;
	if (at)
		regs->r.rip = at + EXEC_SYSCALL_INSN_BYTES;
}

void exec_regs_enter(struct exec_regs *regs, uint64_t pc, uint64_t arg, uint64_t stack_end)
{
	regs->r.rip = pc;
	regs->r.rdi = arg;
	regs->r.rsp = (stack_end & ~(uint64_t)15) - 8; /* as after a call */
	regs->r.orig_rax = (unsigned long long)-1;
	regs->r.rax = 0;
	regs->r.eflags &= ~(unsigned long long)0x500; /* direction, single step */
}

void exec_regs_syscall(struct exec_regs *regs, uint64_t insn, long nr, const uint64_t args[6])
{
	unsigned int i;

	for (i = 0; i < 6; i++)
		exec_regs_set_arg(regs, i, args[i]);
	regs->r.rip = insn;
	regs->r.rax = (unsigned long long)nr;
	regs->r.orig_rax = (unsigned long long)-1;
	regs->r.eflags &= ~(unsigned long long)0x100;
}

void exec_regs_leave(const struct exec_regs *regs, uint64_t *out)
{
	const struct user_regs_struct *r = &regs->r;
	uint64_t order[] = { r->r15, r->r14, r->r13, r->r12, r->rbp,    r->rbx,
			     r->r11, r->r10, r->r9,  r->r8,  r->rax,    r->rcx,
			     r->rdx, r->rsi, r->rdi, r->rsp, r->eflags, r->rip };
	long result = (long)r->rax;

	memcpy(out, order, sizeof(order));
	if ((long)r->orig_rax < 0)
		return;
	if (result == -KERNEL_ERESTART_RESTARTBLOCK)
		out[10] = SYS_restart_syscall;
	else if (result <= -KERNEL_ERESTARTSYS && result >= -KERNEL_ERESTARTNOHAND)
		out[10] = r->orig_rax;
	else
		return;
	out[17] -= EXEC_SYSCALL_INSN_BYTES;
}

#else /* aarch64 */

int exec_regs_set(pid_t tid, const struct exec_regs *regs)
{
	struct iovec iov = { .iov_base = (void *)&regs->r, .iov_len = sizeof(regs->r) };
	int no_call = -1;

	if (ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov) < 0)
		return -errno;
	iov.iov_base = &no_call;
	iov.iov_len = sizeof(no_call);
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_ARM_SYSTEM_CALL, &iov) < 0 ? -errno : 0;
}

bool exec_regs_native(const struct exec_regs *regs)
{
	return !(regs->r.pstate & 0x10);
}

uint64_t exec_regs_pc(const struct exec_regs *regs)
{
	return regs->r.pc;
}

uint64_t exec_regs_sp(const struct exec_regs *regs)
{
	return regs->r.sp;
}

/*
 * x8 still holds the number, but says nothing of whether a call was interrupted: see the callers.
 */
long exec_regs_call(const struct exec_regs *regs)
{
	return (long)regs->r.regs[8];
}

long exec_regs_result(const struct exec_regs *regs)
{
	return (long)regs->r.regs[0];
}

uint64_t exec_regs_arg(const struct exec_regs *regs, unsigned int n)
{
	return regs->r.regs[n];
}

void exec_regs_set_arg(struct exec_regs *regs, unsigned int n, uint64_t value)
{
	regs->r.regs[n] = value;
}

void exec_regs_restart(struct exec_regs *regs, uint64_t arg0, uint64_t at)
{
	regs->r.regs[0] = arg0;
	regs->r.pc = at ? at : regs->r.pc - EXEC_SYSCALL_INSN_BYTES;
}

void exec_regs_enter(struct exec_regs *regs, uint64_t pc, uint64_t arg, uint64_t stack_end)
{
	regs->r.pc = pc;
	regs->r.regs[0] = arg;
	regs->r.sp = stack_end & ~(uint64_t)15;
	regs->r.pstate &= ~(unsigned long long)0x200000; /* single step */
}

void exec_regs_syscall(struct exec_regs *regs, uint64_t insn, long nr, const uint64_t args[6])
{
	unsigned int i;

	for (i = 0; i < 6; i++)
		regs->r.regs[i] = args[i];
	regs->r.pc = insn;
	regs->r.regs[8] = (unsigned long long)nr;
}

void exec_regs_leave(const struct exec_regs *regs, uint64_t *out)
{
	memcpy(out, regs->r.regs, sizeof(regs->r.regs));
	out[31] = regs->r.sp;
	out[32] = regs->r.pc;
}

#endif
