/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_regs.h - the registers of a stopped thread, by meaning, for the two architectures.
 *
 * When does the kernel restart an interrupted call? x86-64 decides after our stop, from rax (an
 * -ERESTART code) and orig_rax: both must be back in place when the thread runs on, and orig_rax
 * must be -1 while our own code runs. arm64 decides before our stop: pc and x0 are already set for
 * the new start, and the call's number is forgotten; nothing needs to be kept but the registers.
 */
#ifndef CHIMNEY_EXEC_REGS_H
#define CHIMNEY_EXEC_REGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#define EXEC_NO_CALL (-1L)

struct exec_regs {
	struct user_regs_struct r; /* arm64: regs[31], sp, pc, pstate */
};

int exec_regs_get(pid_t tid, struct exec_regs *regs);
int exec_regs_set(pid_t tid, const struct exec_regs *regs);
bool exec_regs_native(const struct exec_regs *regs); /* false: a 32-bit thread */
uint64_t exec_regs_pc(const struct exec_regs *regs);
uint64_t exec_regs_sp(const struct exec_regs *regs);

/* The call that was interrupted or has just ended, EXEC_NO_CALL if none or not known. */
long exec_regs_call(const struct exec_regs *regs);
long exec_regs_result(const struct exec_regs *regs);
uint64_t exec_regs_arg(const struct exec_regs *regs, unsigned int n);
void exec_regs_set_arg(struct exec_regs *regs, unsigned int n, uint64_t value);

/*
 * Make the call that ended with EINTR start again when the thread runs on; with a signal handler in
 * between the program sees EINTR, as without us (arm64: only call it when no signal is pending).
 * arg0 is its first argument, which arm64 has already overwritten. at is the address of the
 * instruction to start from, 0 for the program's own.
 */
void exec_regs_restart(struct exec_regs *regs, uint64_t arg0, uint64_t at);

/* Registers for our own code: entry with one argument on a stack of ours; or one system call. */
void exec_regs_enter(struct exec_regs *regs, uint64_t pc, uint64_t arg, uint64_t stack_end);
void exec_regs_syscall(struct exec_regs *regs, uint64_t insn, long nr, const uint64_t args[6]);

/*
 * What a thread needs to go on without us, in the order in which the blob loads it: registers,
 * stack, (flags,) pc. An interrupted call starts again.
 */
void exec_regs_leave(const struct exec_regs *regs, uint64_t *out);

/* The instruction that enters the kernel. */
#if defined(__x86_64__)
#define EXEC_SYSCALL_INSN       "\x0f\x05"
#define EXEC_SYSCALL_INSN_BYTES 2
#else
#define EXEC_SYSCALL_INSN       "\x01\x00\x00\xd4"
#define EXEC_SYSCALL_INSN_BYTES 4
#endif

#endif
