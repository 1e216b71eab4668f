/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_inject.c - our code in a stopped program: mapping it, running it, its stub slots.
 *
 * The mapping is made once, by system calls that one stopped thread is made to enter through an
 * instruction of the vDSO (no text of the program is touched): anonymous memory, filled while it is
 * writable, then its first part is made executable and read-only. Forked children have it too.
 *
 * To run the blob a thread gets new registers and has all signals blocked. It says in its arguments
 * when it is done and waits; then it is interrupted like any other thread and stays stopped until
 * exec_proc_resume() puts its registers and its mask back. No breakpoint is used: the signal of one
 * changes the program's action for SIGTRAP when that is blocked, and kills it when the tracer dies.
 */
#include "exec/exec_int.h"
#include "exec/exec_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/ipc_fd.h"

#define INJECT_LIMIT_US 3e6
#define BLOB_BYTES      ((size_t)(__stop_exec_blob - __start_exec_blob))

static int mem_read(const struct exec_proc *p, uint64_t addr, void *buf, size_t len)
{
	return pread(p->mem_fd, buf, len, (off_t)addr) == (ssize_t)len ? 0 : -EFAULT;
}

static int mem_write(const struct exec_proc *p, uint64_t addr, const void *buf, size_t len)
{
	return pwrite(p->mem_fd, buf, len, (off_t)addr) == (ssize_t)len ? 0 : -EFAULT;
}

/* Also false after the program has exec'ed another one, or when a child has never had it. */
bool exec_map_valid(const struct exec_proc *p)
{
	unsigned char code[EXEC_CODE_BYTES];

	return p->map && p->mem_fd >= 0 && mem_read(p, p->map, code, BLOB_BYTES) == 0 &&
	       memcmp(code, __start_exec_blob, BLOB_BYTES) == 0;
}

/* Address of a system call instruction in the program's vDSO; its image is the same as ours. */
static int find_insn(struct exec_proc *p, uint64_t *insn)
{
	const unsigned char *own = (const unsigned char *)getauxval(AT_SYSINFO_EHDR), *hit = NULL;
	char line[512], bytes[EXEC_SYSCALL_INSN_BYTES];
	uint64_t start = 0;
	size_t i;
	FILE *f;
	int fd;

	/* Instructions of arm64 are aligned, those of x86 are not. */
	for (i = 0; own && !hit && i + EXEC_SYSCALL_INSN_BYTES <= 4096;
	     i += EXEC_SYSCALL_INSN_BYTES == 4 ? 4 : 1)
		if (memcmp(own + i, EXEC_SYSCALL_INSN, EXEC_SYSCALL_INSN_BYTES) == 0)
			hit = own + i;
	fd = hit ? openat(p->dir_fd, "maps", O_RDONLY | O_CLOEXEC) : -1;
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return -ENOTSUP;
	}
	while (fgets(line, sizeof(line), f) && exec_parse_vdso(line, &start) < 0)
		start = 0;
	fclose(f);
	if (!start)
		return -ENOTSUP;
	*insn = start + (uint64_t)(hit - own);
	if (mem_read(p, *insn, bytes, sizeof(bytes)) < 0)
		return -EFAULT;
	return memcmp(bytes, EXEC_SYSCALL_INSN, sizeof(bytes)) == 0 ? 0 : -ENOTSUP;
}

/* A stopped thread that can run code for us. */
static struct exec_task *pick_task(struct exec_proc *p)
{
	size_t i;

	for (i = 0; i < p->ntasks; i++) {
		struct exec_task *t = &p->tasks[i];

		if (t->state == EXEC_TASK_STOPPED && exec_task_regs(t) == 0)
			return exec_regs_native(&t->regs) ? t : NULL;
	}
	return NULL;
}

static int mask_signals(struct exec_task *t)
{
	uint64_t mask = ~(uint64_t)0;

	if (t->masked)
		return 0;
	if (ptrace(PTRACE_GETSIGMASK, t->tid, (void *)sizeof(t->sigmask), &t->sigmask) < 0 ||
	    ptrace(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(mask), &mask) < 0)
		return -errno;
	t->masked = true;
	return 0;
}

/* Goes on to the next entry or exit of a system call. */
static int next_syscall_stop(struct exec_proc *p, struct exec_task *t)
{
	int rc, sig;

	do {
		if (ptrace(PTRACE_SYSCALL, t->tid, NULL, NULL) < 0)
			return -errno;
		rc = exec_task_wait(p, t, &sig, exec_now_us() + INJECT_LIMIT_US);
		if (rc < 0)
			return rc;
		if (sig != 0 && sig != (SIGTRAP | 0x80))
			t->forward_sig = sig;
	} while (sig != (SIGTRAP | 0x80));
	return 0;
}

/* One system call in the program; its result or -errno. */
static long remote_syscall(struct exec_proc *p, struct exec_task *t, uint64_t insn, long nr,
			   const uint64_t args[6])
{
	struct exec_regs regs = t->regs;
	int rc;

	exec_regs_syscall(&regs, insn, nr, args);
	rc = exec_regs_set(t->tid, &regs);
	t->injected = true;
	if (rc == 0)
		rc = next_syscall_stop(p, t);
	if (rc == 0)
		rc = next_syscall_stop(p, t);
	if (rc == 0)
		rc = exec_regs_get(t->tid, &regs);
	return rc < 0 ? rc : exec_regs_result(&regs);
}

/*
 * From the exit of a system call back to a stop of the kind that an interrupt makes: only from
 * there does the kernel look whether the program's own call is to be restarted.
 */
static int back_to_interrupt(struct exec_proc *p, struct exec_task *t)
{
	struct exec_regs idle = t->regs;
	uint64_t none[6] = { 0 };
	int rc, sig;

	exec_regs_syscall(&idle, exec_regs_pc(&t->regs), 0, none);
	rc = exec_regs_set(t->tid, &idle);
	if (rc < 0)
		return rc;
	if (ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) < 0)
		return -errno;
	do {
		if (ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
			return -errno;
		rc = exec_task_wait(p, t, &sig, exec_now_us() + INJECT_LIMIT_US);
	} while (rc == 0 && sig != 0);
	return rc;
}

/* The thread is again as it was when it stopped, whatever becomes of us. */
static int give_back(struct exec_task *t)
{
	void *len = (void *)sizeof(t->sigmask);
	int rc = exec_regs_set(t->tid, &t->regs);

	if (rc == 0 && ptrace(PTRACE_SETSIGMASK, t->tid, len, &t->sigmask) < 0)
		rc = -errno;
	if (rc == 0)
		t->injected = t->masked = false;
	return rc;
}

static int map_calls(struct exec_proc *p, struct exec_task *t, uint64_t insn)
{
	const uint64_t map_args[6] = { 0,
				       EXEC_MAP_BYTES,
				       PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS,
				       (uint64_t)-1,
				       0 };
	uint64_t prot_args[6] = { 0, EXEC_CODE_BYTES, PROT_READ | PROT_EXEC, 0, 0, 0 };
	uint64_t unmap_args[6] = { 0, EXEC_MAP_BYTES, 0, 0, 0, 0 };
	long addr, rc;

	addr = remote_syscall(p, t, insn, SYS_mmap, map_args);
	if (addr < 0)
		return (int)addr;
	rc = mem_write(p, (uint64_t)addr, __start_exec_blob, BLOB_BYTES);
	prot_args[0] = unmap_args[0] = (uint64_t)addr;
	if (rc == 0)
		rc = remote_syscall(p, t, insn, SYS_mprotect, prot_args);
	if (rc == 0)
		p->map = (uint64_t)addr;
	else
		(void)remote_syscall(p, t, insn, SYS_munmap, unmap_args);
	return (int)rc;
}

static int open_mem(struct exec_proc *p)
{
	int fd = openat(p->dir_fd, "mem", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	p->mem_fd = fd;
	return 0;
}

/* Makes sure that our code is in the program; all its threads are stopped. */
int exec_map(struct exec_proc *p, char *why, size_t why_len)
{
	struct exec_task *t;
	uint64_t insn;
	int rc;

	if (exec_map_valid(p))
		return 0;
	rc = open_mem(p);
	if (rc < 0)
		return exec_say(why, why_len, rc, "memory of process %d cannot be opened: %s",
				p->pid, strerror(-rc));
	p->map = exec_proc_map_hint(p);
	if (exec_map_valid(p))
		return 0;
	p->map = 0;
	t = pick_task(p);
	if (!t)
		return exec_say(why, why_len, -ENOTSUP, "process %d runs 32-bit code", p->pid);
	rc = find_insn(p, &insn);
	if (rc < 0)
		return exec_say(why, why_len, rc, "process %d has no usable vDSO", p->pid);
	rc = mask_signals(t);
	if (rc == 0) {
		rc = map_calls(p, t, insn);
		if (t->state == EXEC_TASK_STOPPED &&
		    (back_to_interrupt(p, t) < 0 || give_back(t) < 0) && rc == 0)
			rc = -EIO;
	}
	if (rc < 0)
		return exec_say(why, why_len, rc, "our code cannot be put into process %d: %s",
				p->pid, strerror(-rc));
	return 0;
}

/*
 * A stop that we did not ask for: SIGSTOP cannot be blocked, a fault means that the blob is
 * broken.
 */
static int look_for_stop(struct exec_proc *p, struct exec_task *t)
{
	int sig, rc = exec_task_wait(p, t, &sig, 0);

	if (rc == -ETIMEDOUT)
		return 0;
	if (rc < 0)
		return rc;
	if (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGTRAP)
		return -EFAULT;
	if (sig)
		t->forward_sig = sig;
	return ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0 ? -errno : 0;
}

/* Follows the blob until it is done; sends the file as soon as it shows its socket. */
static int follow(struct exec_proc *p, struct exec_task *t, int send_fd)
{
	double deadline_us = exec_now_us() + INJECT_LIMIT_US;
	struct exec_blob_args head;
	size_t head_len = offsetof(struct exec_blob_args, leave_mask);
	struct iovec to = { .iov_base = &head, .iov_len = head_len };
	struct iovec from = { .iov_base = (void *)(uintptr_t)(p->map + EXEC_CODE_BYTES),
			      .iov_len = head_len };
	int sock = -1, sent = 0, rc = 0;
	unsigned int i;

	for (i = 1; rc == 0; i++) {
		if (process_vm_readv(p->pid, &to, 1, &from, 1, 0) != (ssize_t)head_len) {
			rc = -errno;
			break;
		}
		if (head.done)
			break;
		if (head.published && sock < 0 && sent == 0) {
			sock = (int)syscall(SYS_pidfd_getfd, p->pidfd, head.pair[1], 0);
			/* Without an answer the blob gives up after a while and puts all back. */
			sent = sock < 0 ? -errno : ipc_send_fd(sock, "", 1, send_fd);
			continue;
		}
		if (i % 16 == 0)
			rc = look_for_stop(p, t);
		if (exec_now_us() > deadline_us)
			rc = -ETIMEDOUT;
		sched_yield();
	}
	if (sock >= 0)
		close(sock);
	return rc < 0 ? rc : sent;
}

/*
 * We came so late that the blob took us for dead and went back to the program: its registers
 * count.
 */
static void note_left(struct exec_proc *p, struct exec_task *t)
{
	struct exec_regs now;
	unsigned int slot;
	uint64_t pc;

	if (exec_regs_get(t->tid, &now) < 0)
		return;
	pc = exec_regs_pc(&now);
	if (pc >= p->map && pc < p->map + EXEC_CODE_BYTES && !exec_in_stub(p, pc, &slot))
		return;
	t->regs = now;
	t->injected = t->masked = t->mended = false;
}

/* Stops the thread where it waits for us. */
static int stop_again(struct exec_proc *p, struct exec_task *t)
{
	int rc, sig;

	if (ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) < 0)
		return -errno;
	for (;;) {
		rc = exec_task_wait(p, t, &sig, exec_now_us() + INJECT_LIMIT_US);
		if (rc == 0 && sig == 0)
			note_left(p, t);
		if (rc < 0 || sig == 0)
			return rc;
		t->forward_sig = sig;
		if (ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
			return -errno;
	}
}

/* Runs the blob once in a stopped process; send_fd is the file that it asks for. */
int exec_run(struct exec_proc *p, struct exec_blob_args *args, int send_fd)
{
	uint64_t data = p->map + EXEC_CODE_BYTES;
	struct exec_task *t = pick_task(p);
	struct exec_regs regs;
	int rc, sent;

	if (!t)
		return -ESRCH;
	args->tracer_cpu = (uint32_t)sched_getcpu();
	rc = mask_signals(t);
	if (rc < 0)
		return rc;
	args->leave_mask = t->sigmask;
	exec_regs_leave(&t->regs, args->leave);
	rc = mem_write(p, data, args, sizeof(*args));
	if (rc < 0)
		return rc;
	regs = t->regs;
	exec_regs_enter(
		&regs,
		p->map + (uint64_t)((const unsigned char *)exec_blob_main - __start_exec_blob),
		data, data + EXEC_DATA_BYTES);
	rc = exec_regs_set(t->tid, &regs);
	if (rc < 0)
		return rc;
	t->injected = true;
	if (ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
		return -errno;
	sent = follow(p, t, send_fd);
	rc = stop_again(p, t);
	if (rc == 0)
		rc = mem_read(p, data, args, sizeof(*args));
	if (rc < 0)
		return rc;
	if (!args->done)
		return sent < 0 ? sent : -EIO;
	return args->result < 0 && sent < 0 ? sent : args->result;
}

bool exec_in_stub(const struct exec_proc *p, uint64_t pc, unsigned int *slot)
{
	uint64_t begin = p->map + (uint64_t)(exec_blob_stubs - __start_exec_blob);
	uint64_t end = p->map + (uint64_t)(exec_blob_stubs_end - __start_exec_blob);

	if (!p->map || pc < begin || pc >= end)
		return false;
	*slot = (unsigned int)((pc - begin) / EXEC_SLOT_BYTES);
	return true;
}

uint64_t exec_stub_address(const struct exec_proc *p, unsigned int slot)
{
	return p->map + (uint64_t)(exec_blob_stubs - __start_exec_blob) + slot * EXEC_SLOT_BYTES;
}

static uint64_t slot_address(const struct exec_proc *p, unsigned int slot)
{
	return p->map + EXEC_CODE_BYTES + EXEC_SLOT_OFFSET + slot * EXEC_SLOT_BYTES;
}

int exec_slot_read(struct exec_proc *p, unsigned int slot, struct exec_stub_slot *s)
{
	return mem_read(p, slot_address(p, slot), s, sizeof(*s));
}

int exec_slot_write(struct exec_proc *p, unsigned int slot, const struct exec_stub_slot *s)
{
	return mem_write(p, slot_address(p, slot), s, sizeof(*s));
}

/* A thread may stand behind the store that frees its slot: then the slot is still its own. */
static bool slot_in_use(struct exec_proc *p, unsigned int slot)
{
	unsigned int used;
	size_t i;

	for (i = 0; i < p->ntasks; i++)
		if (p->tasks[i].state == EXEC_TASK_STOPPED && exec_task_regs(&p->tasks[i]) == 0 &&
		    exec_in_stub(p, exec_regs_pc(&p->tasks[i].regs), &used) && used == slot)
			return true;
	return false;
}

int exec_slot_take(struct exec_proc *p, unsigned int *slot)
{
	struct exec_stub_slot s;
	unsigned int i;

	if (!p->map || &exec_blob_stubs[0] == &exec_blob_stubs_end[0])
		return -ENOTSUP;
	for (i = 0; i < EXEC_NSLOTS; i++) {
		if (exec_slot_read(p, i, &s) < 0)
			return -EFAULT;
		if (!s.busy && !slot_in_use(p, i)) {
			*slot = i;
			return 0;
		}
	}
	return -EBUSY;
}
