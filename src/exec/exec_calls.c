/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_calls.c - the system calls that threads are in when they are stopped, and how each goes on.
 *
 * Most calls need nothing (exec_stop.c). Three kinds do:
 *
 *   waits that end with EINTR at any stop (epoll_wait, semop, receive with a time limit): we ask
 *	the kernel for a restart. It would begin with the full time again, so a wait with a time
 *	limit continues in a stub with the time that is left. When it fell asleep is read from the
 *	scheduler's account; that runs on a clock of its CPU, which is set against
 *	CLOCK_MONOTONIC by going there;
 *   linear transfers (write, send, receive with MSG_WAITALL): what has been transferred stays, the
 *	rest is done in a stub, the program sees one count;
 *   transfers whose arguments are lists (writev, sendmsg, sendfile ...): the program is not
 *	interrupted; the caller comes again later.
 *
 * On arm64, which has no stubs, linear transfers count as the third kind and waits start with their
 * full time. With all slots in use (more than EXEC_NSLOTS threads at once) waits do the same, and a
 * transfer shows the short count that a signal would also have caused.
 */
#include "exec/exec_int.h"
#include "exec/exec_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum call_kind {
	CALL_OTHER,
	CALL_WAIT,   /* EINTR becomes a restart */
	CALL_LINEAR, /* second argument buffer, third length, count as result */
	CALL_WHOLE,  /* must not be interrupted */
};

enum call_limit {
	LIMIT_NONE,
	LIMIT_MS,       /* int; negative for ever */
	LIMIT_TIMESPEC, /* pointer; NULL for ever */
};

struct call_info {
	long nr;
	uint8_t kind;
	uint8_t limit;
	uint8_t limit_arg;
};

static const struct call_info calls[] = {
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, CALL_WAIT, LIMIT_MS, 3 },
#endif
	{ SYS_epoll_pwait, CALL_WAIT, LIMIT_MS, 3 },
#ifdef SYS_epoll_pwait2
	{ SYS_epoll_pwait2, CALL_WAIT, LIMIT_TIMESPEC, 3 },
#endif
	{ SYS_rt_sigtimedwait, CALL_WAIT, LIMIT_TIMESPEC, 2 },
	{ SYS_semtimedop, CALL_WAIT, LIMIT_TIMESPEC, 3 },
	{ SYS_semop, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_read, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_readv, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_recvfrom, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_recvmsg, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_accept, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_accept4, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_connect, CALL_WAIT, LIMIT_NONE, 0 },
	{ SYS_io_getevents, CALL_WAIT, LIMIT_NONE, 0 },
#ifdef SYS_io_pgetevents
	{ SYS_io_pgetevents, CALL_WAIT, LIMIT_NONE, 0 },
#endif
	{ SYS_write, CALL_LINEAR, LIMIT_NONE, 0 },
	{ SYS_sendto, CALL_LINEAR, LIMIT_NONE, 0 },
	{ SYS_writev, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_pwrite64, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_pwritev, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_pwritev2, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_sendmsg, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_sendmmsg, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_recvmmsg, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_sendfile, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_splice, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_tee, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_vmsplice, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_copy_file_range, CALL_WHOLE, LIMIT_NONE, 0 },
/* A parent inside vfork does not stop until its child has left. */
#ifdef SYS_vfork
	{ SYS_vfork, CALL_WHOLE, LIMIT_NONE, 0 },
#endif
	{ SYS_clone, CALL_WHOLE, LIMIT_NONE, 0 },
	{ SYS_clone3, CALL_WHOLE, LIMIT_NONE, 0 },
};

static const bool have_stubs =
#if defined(__x86_64__)
	true;
#else
	false;
#endif

static const struct call_info *call_info(long nr)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

/* Receiving is linear when it must fill the buffer, and a wait otherwise. */
static enum call_kind call_kind(const struct call_info *info, const uint64_t args[6])
{
	if (!info)
		return CALL_OTHER;
	if (info->nr == SYS_recvfrom && (args[3] & MSG_WAITALL))
		return CALL_LINEAR;
	if (info->nr == SYS_recvmsg && (args[2] & MSG_WAITALL))
		return CALL_WHOLE;
	return (enum call_kind)info->kind;
}

/*
 * The clock of CPU cpu's scheduler account against CLOCK_MONOTONIC, by running there for a moment.
 * Interrupt and stolen time are not in that clock, so the difference grows, and one of now is never
 * less than the one of when a thread fell asleep: what we take for its sleep is never too long, and
 * a limit is never cut short. For the same reason nothing is kept from one stop to the next.
 */
static int cpu_clock_offset(int cpu, double *offset_us)
{
	cpu_set_t before, only;
	struct timespec unused;
	char buf[4096];
	ssize_t n = -1;
	double ms;
	int fd;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (sched_getaffinity(0, sizeof(before), &before) < 0 ||
	    sched_setaffinity(0, sizeof(only), &only) < 0)
		return -errno;
	/* Asking for it brings our own account up to date. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &unused);
	fd = open("/proc/thread-self/sched", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	*offset_us = exec_now_us();
	sched_setaffinity(0, sizeof(before), &before);
	buf[n < 0 ? 0 : n] = '\0';
	if (exec_parse_sched_start(buf, &ms) < 0)
		return -ENOTSUP;
	*offset_us -= ms * 1e3;
	return 0;
}

/* When did this sleeping thread fall asleep, in our clock? */
static void note_sleep(struct exec_proc *p, struct exec_task *t)
{
	char name[48], buf[4096];
	struct exec_stat st;
	double ms, offset_us = 0;

	snprintf(name, sizeof(name), "task/%d/sched", t->tid);
	if (exec_proc_read(p, name, buf, sizeof(buf)) < 0 || exec_parse_sched_start(buf, &ms) < 0)
		return;
	snprintf(name, sizeof(name), "task/%d/stat", t->tid);
	if (exec_proc_read(p, name, buf, sizeof(buf)) < 0 || exec_parse_stat(buf, &st) < 0)
		return;
	if (cpu_clock_offset(st.processor, &offset_us) == 0)
		t->call_slept_us = ms * 1e3 + offset_us;
}

static bool has_limit(const struct call_info *info, const uint64_t args[6])
{
	if (!info || info->limit == LIMIT_NONE)
		return false;
	if (info->limit == LIMIT_MS)
		return (int)args[info->limit_arg] > 0;
	return args[info->limit_arg] != 0;
}

static int check_task(struct exec_proc *p, struct exec_task *t, char *why, size_t why_len)
{
	const struct call_info *info;
	struct exec_call_line line;
	enum call_kind kind;
	char name[48], buf[256];
	int rc;

	snprintf(name, sizeof(name), "task/%d/syscall", t->tid);
	rc = exec_proc_read(p, name, buf, sizeof(buf));
	if (rc == -ENOENT || rc == -ESRCH)
		return 0;
	if (rc < 0)
		return exec_say(why, why_len, rc, "calls of process %d cannot be seen: %s", p->pid,
				strerror(-rc));
	if (exec_parse_call(buf, &line) < 0 || line.nr < 0)
		return 0;
	t->call_valid = true;
	t->call_nr = line.nr;
	t->call_pc = line.pc;
	memcpy(t->call_args, line.args, sizeof(t->call_args));
	info = call_info(line.nr);
	kind = call_kind(info, line.args);
	if (kind == CALL_WHOLE || (kind == CALL_LINEAR && !have_stubs))
		return exec_say(why, why_len, -EAGAIN, "thread %d is inside system call %ld",
				t->tid, line.nr);
	if (have_stubs && has_limit(info, line.args))
		note_sleep(p, t);
	return 0;
}

/* Looks at all threads before any is touched. -EAGAIN: not now. */
int exec_calls_check(struct exec_proc *p, char *why, size_t why_len)
{
	size_t i, added;
	int rc;

	p->ntasks = 0;
	rc = exec_tasks_list(p, &added);
	if (rc < 0)
		return exec_say(why, why_len, rc, "process %d is gone", p->pid);
	for (i = 0; rc == 0 && i < p->ntasks; i++)
		rc = check_task(p, &p->tasks[i], why, why_len);
	return rc;
}

/* The stub slot that the thread is in, or a new one. -errno if there is none. */
static int slot_for(struct exec_proc *p, struct exec_task *t, unsigned int *slot,
		    struct exec_stub_slot *s)
{
	uint64_t pc = exec_regs_pc(&t->regs);
	unsigned int i;
	int rc;

	if (exec_in_stub(p, pc, slot))
		return exec_slot_read(p, *slot, s);
	rc = exec_slot_take(p, slot);
	if (rc < 0)
		return rc;
	memset(s, 0, sizeof(*s));
	s->busy = 1;
	for (i = 0; i < 3; i++)
		s->arg[i] = exec_regs_arg(&t->regs, i + 1);
	s->pc = pc;
	return 0;
}

static bool is_blocking(const struct exec_proc *p, int fd)
{
	unsigned int flags;
	char name[32], buf[512];

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	return exec_proc_read(p, name, buf, sizeof(buf)) > 0 &&
	       exec_parse_fd_flags(buf, &flags) == 0 && !(flags & O_NONBLOCK);
}

/* A part went through when we interrupted: have the rest done. */
static void mend_transfer(struct exec_proc *p, struct exec_task *t, long nr, uint64_t done)
{
	struct exec_stub_slot s;
	unsigned int slot;

	if ((nr == SYS_sendto || nr == SYS_recvfrom) && (exec_regs_arg(&t->regs, 3) & MSG_DONTWAIT))
		return;
	if (!is_blocking(p, (int)exec_regs_arg(&t->regs, 0)) || slot_for(p, t, &slot, &s) < 0)
		return;
	s.add += done;
	if (exec_slot_write(p, slot, &s) < 0)
		return;
	exec_regs_set_arg(&t->regs, 1, exec_regs_arg(&t->regs, 1) + done);
	exec_regs_set_arg(&t->regs, 2, exec_regs_arg(&t->regs, 2) - done);
	exec_regs_restart(&t->regs, exec_regs_arg(&t->regs, 0), exec_stub_address(p, slot));
}

/* The limit of the call in microseconds as it stands in the registers, < 0 if it cannot be read. */
static double limit_us(struct exec_proc *p, const struct call_info *info,
		       const struct exec_regs *regs)
{
	uint64_t arg = exec_regs_arg(regs, info->limit_arg);
	struct timespec ts;

	if (info->limit == LIMIT_MS)
		return (double)(int)arg * 1e3;
	if (pread(p->mem_fd, &ts, sizeof(ts), (off_t)arg) != (ssize_t)sizeof(ts))
		return -1;
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void set_limit(struct exec_proc *p, const struct call_info *info, struct exec_regs *regs,
		      unsigned int slot, struct exec_stub_slot *s, double us)
{
	if (info->limit == LIMIT_MS) {
		exec_regs_set_arg(regs, info->limit_arg, (uint64_t)((us + 999.0) / 1e3));
		return;
	}
	s->limit[0] = (uint64_t)(us / 1e6);
	s->limit[1] = (uint64_t)((us - (double)s->limit[0] * 1e6) * 1e3);
	exec_regs_set_arg(regs, info->limit_arg,
			  p->map + EXEC_CODE_BYTES + EXEC_SLOT_OFFSET + slot * EXEC_SLOT_BYTES +
				  offsetof(struct exec_stub_slot, limit));
}

/* A wait with a time limit goes on with what is left of it. False: use the plain restart. */
static bool mend_limit(struct exec_proc *p, struct exec_task *t, const struct call_info *info)
{
	struct exec_stub_slot s;
	double total_us, left_us;
	unsigned int slot, i;

	if (!t->call_valid || t->call_slept_us < 0 || t->call_nr != info->nr ||
	    t->call_pc != exec_regs_pc(&t->regs))
		return false;
	for (i = 0; i < 4; i++)
		if (t->call_args[i] != exec_regs_arg(&t->regs, i))
			return false;
	total_us = limit_us(p, info, &t->regs);
	left_us = total_us - (exec_now_us() - t->call_slept_us);
	/*
	 * An account that says more than the whole limit passed, or less than nothing, is of no
	 * use.
	 */
	if (total_us < 0 || left_us < -20e3 || left_us > total_us)
		return false;
	if (left_us < 0)
		left_us = 0;
	if (slot_for(p, t, &slot, &s) < 0)
		return false;
	set_limit(p, info, &t->regs, slot, &s, left_us);
	if (exec_slot_write(p, slot, &s) < 0)
		return false;
	exec_regs_restart(&t->regs, exec_regs_arg(&t->regs, 0), exec_stub_address(p, slot));
	return true;
}

#if defined(__aarch64__)
/* The number in x8 means an interrupted call only if the thread was seen in it just before. */
static bool in_call(struct exec_proc *p, struct exec_task *t)
{
	struct exec_status st;
	char name[48], buf[4096];
	unsigned int i;

	if (!t->call_valid || t->call_nr != exec_regs_call(&t->regs) ||
	    t->call_pc != exec_regs_pc(&t->regs))
		return false;
	for (i = 1; i < 6; i++)
		if (t->call_args[i] != exec_regs_arg(&t->regs, i))
			return false;
	/*
	 * We rewind it ourselves, so a handler would run and the call start again: leave EINTR
	 * then.
	 */
	snprintf(name, sizeof(name), "task/%d/status", t->tid);
	return exec_proc_read(p, name, buf, sizeof(buf)) > 0 && exec_parse_status(buf, &st) == 0 &&
	       st.sig_pending == 0;
}
#else
static bool in_call(struct exec_proc *p, struct exec_task *t)
{
	(void)p;
	return exec_regs_call(&t->regs) != EXEC_NO_CALL;
}
#endif

/* Changes the saved registers of a stopped thread so that its interrupted call goes on. */
void exec_call_mend(struct exec_proc *p, struct exec_task *t)
{
	const struct call_info *info = call_info(exec_regs_call(&t->regs));
	long result = exec_regs_result(&t->regs);
	uint64_t args[6];
	enum call_kind kind;
	unsigned int i;

	if (!info || !(result == -EINTR || result > 0) || !in_call(p, t))
		return;
	for (i = 0; i < 6; i++)
		args[i] = exec_regs_arg(&t->regs, i);
	kind = call_kind(info, args);
	if (result > 0) {
		if (have_stubs && kind == CALL_LINEAR && (uint64_t)result < args[2])
			mend_transfer(p, t, info->nr, (uint64_t)result);
		return;
	}
	if (kind == CALL_WAIT && have_stubs && has_limit(info, args) && mend_limit(p, t, info))
		return;
	exec_regs_restart(&t->regs, t->call_args[0], 0);
}
