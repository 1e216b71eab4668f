/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_stop.c - how the threads of a program are stopped and let go without the program noticing.
 *
 * Stop: every thread is seized (which changes nothing for it) and interrupted. It stops on its way
 * back to user mode, before any signal is taken: a call that it was blocked in has ended with one
 * of
 *
 *   an -ERESTART code	the kernel itself starts the call again when the thread runs on, with the
 *			remaining time; nothing to do as long as the registers come back unchanged;
 *   -EINTR		calls that the kernel does not restart (epoll_wait, sockets with a time
 *			limit): exec_calls.c turns it into a restart;
 *   a short count	a transfer that was under way: exec_calls.c has the rest done, or, where
 *			that cannot be, refused to stop the program at all.
 *
 * A thread that was just taking a signal reports that first (signal-delivery-stop): the signal goes
 * on and the interrupt, still pending, stops the thread at the first instruction of the handler.
 *
 * New threads may appear while we go through the list, so it is read again until a pass finds
 * nothing new; then nobody is left who could make one.
 *
 * Threads that do not stop in time (a parent inside vfork) cannot be let go either: a seized thread
 * can only be detached while stopped. They go to a list that exec_pending() works off.
 */
#include "exec/exec_int.h"
#include "exec/exec_parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BURY_LIMIT_US      1e6
#define SPIN_US            300.0 /* a stop usually comes within this; then sleep between looks */
#define STOP_EVENT(status) ((status) >> 8)

struct straggler {
	struct straggler *next;
	struct exec_proc *proc;
	struct exec_task task;
};

/* ptrace binds them to the thread that seized them. */
static _Thread_local struct straggler *stragglers;

/*
 * A thread of ours that ends is reaped here; a child of ours is left for its parent's own wait. A
 * look for ends also shows stops, whatever the flags say: so look first, take afterwards.
 */
static bool task_ended(struct exec_proc *p, struct exec_task *t)
{
	int flags = WEXITED | WNOHANG | __WALL | __WNOTHREAD;
	siginfo_t si;

	si.si_pid = 0;
	if (waitid(P_PID, (id_t)t->tid, &si, flags | WNOWAIT) < 0)
		return errno == ECHILD;
	if (si.si_pid == 0 || si.si_code == CLD_TRAPPED || si.si_code == CLD_STOPPED)
		return false;
	if (t->tid != p->pid || p->ppid != getpid())
		waitid(P_PID, (id_t)t->tid, &si, flags);
	return true;
}

static void wait_a_little(double since_us)
{
	struct timespec ts = { .tv_nsec = 20000 };

	if (exec_now_us() - since_us < SPIN_US)
		sched_yield();
	else
		nanosleep(&ts, NULL);
}

/*
 * Waits for one stop. *sig is the signal of a signal-delivery-stop, 0x80 | SIGTRAP of a call's
 * entry or exit, 0 for the stop that an interrupt asked for. -ESRCH when the thread has ended.
 */
int exec_task_wait(struct exec_proc *p, struct exec_task *t, int *sig, double deadline_us)
{
	double start = exec_now_us();
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_PID, (id_t)t->tid, &si, WSTOPPED | WNOHANG | __WALL | __WNOTHREAD) <
			    0 &&
		    errno != EINTR) {
			t->state = EXEC_TASK_GONE;
			return -ESRCH;
		}
		if (si.si_pid != 0)
			break;
		if (exec_now_us() - start > SPIN_US / 4 && task_ended(p, t)) {
			t->state = EXEC_TASK_GONE;
			return -ESRCH;
		}
		if (exec_now_us() > deadline_us)
			return -ETIMEDOUT;
		wait_a_little(start);
	}
	*sig = STOP_EVENT(si.si_status) == PTRACE_EVENT_STOP ? 0 : si.si_status & 0xff;
	return 0;
}

/*
 * A thread that was killed while we had it stopped: as long as nobody waits for it here, its own
 * parent cannot see its end. Killed threads end by themselves, so this does not take long.
 */
static void task_bury(struct exec_proc *p, struct exec_task *t)
{
	double start = exec_now_us();

	while (!task_ended(p, t) && exec_now_us() - start < BURY_LIMIT_US)
		wait_a_little(start);
	t->state = EXEC_TASK_GONE;
}

/* Threads that have ended stay on the list for the length of a stop: a zombie is listed, too. */
static bool task_known(const struct exec_proc *p, pid_t tid)
{
	size_t i;

	for (i = 0; i < p->ntasks; i++)
		if (p->tasks[i].tid == tid)
			return true;
	return false;
}

static int task_add(struct exec_proc *p, pid_t tid)
{
	struct exec_task *v = p->tasks;

	if (p->ntasks == p->tasks_cap) {
		size_t cap = p->tasks_cap ? 2 * p->tasks_cap : 16;

		v = realloc(p->tasks, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->tasks = v;
		p->tasks_cap = cap;
	}
	memset(&v[p->ntasks], 0, sizeof(*v));
	v[p->ntasks].call_slept_us = -1;
	v[p->ntasks++].tid = tid;
	return 0;
}

/* Lists the threads; keeps those already known. */
int exec_tasks_list(struct exec_proc *p, size_t *added)
{
	int fd = openat(p->dir_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	int rc = 0;
	pid_t tid;
	DIR *dir;

	*added = 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		rc = errno == ENOENT ? -ESRCH : -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (de = readdir(dir))) {
		tid = atoi(de->d_name);
		if (tid <= 0 || task_known(p, tid))
			continue;
		rc = task_add(p, tid);
		if (rc == 0)
			(*added)++;
	}
	closedir(dir);
	return rc;
}

/* A leader that has ended while its threads go on is a zombie until they end too. */
static bool task_is_zombie(struct exec_proc *p, pid_t tid)
{
	char name[48], buf[1024];
	struct exec_stat st;

	snprintf(name, sizeof(name), "task/%d/stat", tid);
	return exec_proc_read(p, name, buf, sizeof(buf)) < 0 || exec_parse_stat(buf, &st) < 0 ||
	       st.state == 'Z' || st.state == 'X';
}

static int yama_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (f) {
		if (fscanf(f, "%d", &scope) != 1)
			scope = 0;
		fclose(f);
	}
	return scope;
}

static bool is_straggler(pid_t tid)
{
	const struct straggler *s;

	for (s = stragglers; s; s = s->next)
		if (s->task.tid == tid)
			return true;
	return false;
}

static int task_seize(struct exec_proc *p, struct exec_task *t, char *why, size_t why_len)
{
	int err;

	if (is_straggler(t->tid))
		return exec_say(why, why_len, -EAGAIN,
				"thread %d has not stopped yet since last time", t->tid);
	if (ptrace(PTRACE_SEIZE, t->tid, NULL, (void *)PTRACE_O_TRACESYSGOOD) == 0) {
		t->state = EXEC_TASK_SEIZED;
		return 0;
	}
	err = errno;
	if (err == ESRCH || task_is_zombie(p, t->tid)) {
		t->state = EXEC_TASK_GONE;
		return 0;
	}
	if (yama_scope() > 0)
		return exec_say(why, why_len, -err,
				"thread %d cannot be traced: %s (kernel.yama.ptrace_scope is %d)",
				t->tid, strerror(err), yama_scope());
	return exec_say(why, why_len, -err, "thread %d cannot be traced: %s", t->tid,
			strerror(err));
}

/*
 * Seizes all threads that are only listed, then interrupts them: close together, so all stop
 * soon.
 */
int exec_proc_seize(struct exec_proc *p, char *why, size_t why_len)
{
	size_t i, first = p->ntasks;
	int rc;

	for (i = 0; i < p->ntasks; i++) {
		if (p->tasks[i].state != EXEC_TASK_SEEN)
			continue;
		if (i < first)
			first = i;
		rc = task_seize(p, &p->tasks[i], why, why_len);
		if (rc < 0)
			return rc;
	}
	for (i = first; i < p->ntasks; i++)
		if (p->tasks[i].state == EXEC_TASK_SEIZED)
			ptrace(PTRACE_INTERRUPT, p->tasks[i].tid, NULL, NULL);
	return 0;
}

/* The program's registers, read once a stop. */
int exec_task_regs(struct exec_task *t)
{
	int rc;

	if (t->regs_valid)
		return 0;
	rc = exec_regs_get(t->tid, &t->regs);
	t->regs_valid = rc == 0;
	return rc;
}

static void task_mend(struct exec_proc *p, struct exec_task *t)
{
	struct exec_regs before;

	if (t->state != EXEC_TASK_STOPPED || t->mended || exec_task_regs(t) < 0)
		return;
	t->mended = true;
	before = t->regs;
	exec_call_mend(p, t);
	/* A thread that ran code for us gets its registers back later anyway. */
	if (!t->injected && memcmp(&before, &t->regs, sizeof(before)) != 0)
		exec_regs_set(t->tid, &t->regs);
}

/*
 * As soon as all stand still and our code, with its stubs, is there; not when the threads run on:
 * so they need nothing more from us and go on by themselves, without an EINTR, should we die
 * meanwhile.
 */
void exec_proc_mend(struct exec_proc *p)
{
	size_t i;

	for (i = 0; i < p->ntasks; i++)
		task_mend(p, &p->tasks[i]);
}

/* Signals go on to the program; the interrupt stays pending meanwhile. */
static int task_settle(struct exec_proc *p, struct exec_task *t, double deadline_us)
{
	int sig, rc;

	for (;;) {
		rc = exec_task_wait(p, t, &sig, deadline_us);
		if (rc < 0)
			return rc;
		if (sig == 0) {
			t->state = EXEC_TASK_STOPPED;
			return 0;
		}
		if (ptrace(PTRACE_CONT, t->tid, NULL, (void *)(long)(sig & 0x7f)) < 0) {
			task_bury(p, t);
			return -ESRCH;
		}
	}
}

static bool any_stopped(const struct exec_proc *p)
{
	size_t i;

	for (i = 0; i < p->ntasks; i++)
		if (p->tasks[i].state == EXEC_TASK_STOPPED)
			return true;
	return false;
}

int exec_proc_wait_stopped(struct exec_proc *p, double deadline_us, char *why, size_t why_len)
{
	size_t added, i;
	int rc;

	do {
		for (i = 0; i < p->ntasks; i++) {
			if (p->tasks[i].state != EXEC_TASK_SEIZED)
				continue;
			rc = task_settle(p, &p->tasks[i], deadline_us);
			if (rc == -ETIMEDOUT)
				return exec_say(why, why_len, -EAGAIN, "thread %d does not stop",
						p->tasks[i].tid);
		}
		rc = exec_tasks_list(p, &added);
		if (rc == 0 && added)
			rc = exec_proc_seize(p, why, why_len);
	} while (rc == 0 && added);
	if (rc == 0 && !any_stopped(p))
		return exec_say(why, why_len, -ESRCH, "process %d has ended", p->pid);
	return rc;
}

static void task_resume(struct exec_proc *p, struct exec_task *t);

static void task_straggle(struct exec_proc *p, struct exec_task *t)
{
	struct straggler *s = malloc(sizeof(*s));

	if (!s) {
		/* Without memory there is nothing left but to wait for it. */
		while (task_settle(p, t, exec_now_us() + 1e6) == -ETIMEDOUT)
			;
		task_resume(p, t);
		return;
	}
	s->proc = exec_proc_ref(p);
	s->task = *t;
	s->next = stragglers;
	stragglers = s;
}

static void task_resume(struct exec_proc *p, struct exec_task *t)
{
	if (t->state == EXEC_TASK_SEIZED && task_settle(p, t, exec_now_us() + 1000) == -ETIMEDOUT) {
		task_straggle(p, t);
		return;
	}
	if (t->state != EXEC_TASK_STOPPED)
		return;
	task_mend(p, t);
	if (t->injected)
		exec_regs_set(t->tid, &t->regs);
	if (t->masked)
		ptrace(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(t->sigmask), &t->sigmask);
	if (ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(long)t->forward_sig) < 0)
		task_bury(p, t);
}

void exec_proc_resume(struct exec_proc *p)
{
	size_t i;

	for (i = 0; i < p->ntasks; i++)
		task_resume(p, &p->tasks[i]);
	p->ntasks = 0;
}

/*
 * True when it is finished with: let go in the same way as all others, or ended. One that still
 * runs is interrupted once more: the first interrupt may have been used up by a run of our code
 * that ended by itself because we were late.
 */
static bool straggler_done(struct straggler *s)
{
	if (task_settle(s->proc, &s->task, 0) == -ETIMEDOUT) {
		ptrace(PTRACE_INTERRUPT, s->task.tid, NULL, NULL);
		return false;
	}
	task_resume(s->proc, &s->task);
	return true;
}

unsigned int exec_pending(void)
{
	struct straggler **pp = &stragglers, *s;
	unsigned int left = 0;

	while ((s = *pp)) {
		if (straggler_done(s)) {
			*pp = s->next;
			exec_proc_put(s->proc);
			free(s);
		} else {
			pp = &s->next;
			left++;
		}
	}
	return left;
}
