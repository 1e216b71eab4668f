/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_proc.c - the registry of processes that we have to do with.
 *
 * Sets of holders share an entry, and an entry outlives them as long as its process lives: it
 * remembers where our code is mapped. The mutex guards the list and the flags busy and refs; the
 * rest of an entry belongs to the thread that has claimed it.
 */
#include "exec/exec_int.h"
#include "exec/exec_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct exec_proc *procs;
static pid_t *own_pids;
static size_t nown_pids;

int exec_own_pid(pid_t pid)
{
	int rc = 0;
	pid_t *v;

	pthread_mutex_lock(&lock);
	v = realloc(own_pids, (nown_pids + 1) * sizeof(*v));
	if (v) {
		own_pids = v;
		own_pids[nown_pids++] = pid;
	} else {
		rc = -ENOMEM;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

bool exec_pid_is_own(pid_t pid)
{
	bool own = pid == getpid();
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nown_pids && !own; i++)
		own = own_pids[i] == pid;
	pthread_mutex_unlock(&lock);
	return own;
}

static int read_at(int dir_fd, const char *name, char *buf, size_t len)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	if (n < 0)
		n = -errno;
	else
		buf[n] = '\0';
	close(fd);
	return (int)n;
}

/* Reads a small file of the process, terminated; returns its length or -errno. */
int exec_proc_read(const struct exec_proc *p, const char *name, char *buf, size_t len)
{
	return read_at(p->dir_fd, name, buf, len);
}

static void proc_close(struct exec_proc *p)
{
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	p->dir_fd = p->pidfd = p->mem_fd = -1;
}

static void proc_destroy(struct exec_proc *p)
{
	proc_close(p);
	free(p->tasks);
	free(p);
}

/* Opens /proc/PID and a pidfd, and proves that both are the same process. */
static int proc_open(struct exec_proc *p)
{
	struct exec_stat st;
	char buf[1024];
	int rc;

	snprintf(buf, sizeof(buf), "/proc/%d", p->pid);
	p->dir_fd = open(buf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return -errno;
	/* The directory still answers, so the number was not reused before pidfd_open. */
	rc = read_at(p->dir_fd, "stat", buf, sizeof(buf));
	if (rc < 0)
		return rc;
	rc = exec_parse_stat(buf, &st);
	if (rc < 0)
		return rc;
	p->start_ticks = st.start_ticks;
	p->ppid = st.ppid;
	return st.state == 'Z' || st.state == 'X' ? -ESRCH : 0;
}

static struct exec_proc *proc_new(pid_t pid)
{
	struct exec_proc *p = calloc(1, sizeof(*p));

	if (p) {
		p->pid = pid;
		p->dir_fd = p->pidfd = p->mem_fd = -1;
		p->refs = 1;
	}
	return p;
}

/* Takes over what an idle entry of the same process knew; drops entries of dead namesakes. */
static struct exec_proc *proc_merge(struct exec_proc *fresh)
{
	struct exec_proc **pp = &procs, *p;

	while ((p = *pp)) {
		if (p->pid != fresh->pid) {
			pp = &p->next;
		} else if (p->start_ticks == fresh->start_ticks) {
			if (p->refs++ == 0) {
				p->dir_fd = fresh->dir_fd;
				p->pidfd = fresh->pidfd;
				fresh->dir_fd = fresh->pidfd = -1;
			}
			p->ppid = fresh->ppid;
			proc_destroy(fresh);
			return p;
		} else if (p->refs == 0) {
			*pp = p->next;
			proc_destroy(p);
		} else {
			pp = &p->next;
		}
	}
	fresh->next = procs;
	procs = fresh;
	return fresh;
}

struct exec_proc *exec_proc_get(pid_t pid, char *why, size_t why_len, int *err)
{
	struct exec_proc *p = proc_new(pid);

	*err = p ? proc_open(p) : -ENOMEM;
	if (*err < 0) {
		exec_say(why, why_len, *err, "process %d cannot be opened: %s", pid,
			 strerror(-*err));
		if (p)
			proc_destroy(p);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	p = proc_merge(p);
	pthread_mutex_unlock(&lock);
	return p;
}

struct exec_proc *exec_proc_ref(struct exec_proc *p)
{
	pthread_mutex_lock(&lock);
	p->refs++;
	pthread_mutex_unlock(&lock);
	return p;
}

void exec_proc_put(struct exec_proc *p)
{
	pthread_mutex_lock(&lock);
	if (--p->refs == 0)
		proc_close(p);
	pthread_mutex_unlock(&lock);
}

bool exec_proc_alive(const struct exec_proc *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 0;
}

/* Two tracers must not meet in one process: the second one comes later. */
bool exec_proc_claim(struct exec_proc *p)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = !p->busy;
	p->busy = true;
	pthread_mutex_unlock(&lock);
	return ok;
}

void exec_proc_release(struct exec_proc *p)
{
	pthread_mutex_lock(&lock);
	p->busy = false;
	pthread_mutex_unlock(&lock);
}

/* A forked child has its parent's mapping: an address worth trying, 0 if none. */
uint64_t exec_proc_map_hint(struct exec_proc *p)
{
	struct exec_proc *q;
	uint64_t map = p->map;

	pthread_mutex_lock(&lock);
	for (q = procs; q && !map; q = q->next)
		if (q->pid == p->ppid)
			map = q->map;
	pthread_mutex_unlock(&lock);
	return map;
}

int exec_proc_check(struct exec_proc *p, unsigned int filters, char *why, size_t why_len)
{
	struct exec_status st;
	char buf[4096];
	int rc;

	rc = exec_proc_read(p, "status", buf, sizeof(buf));
	if (rc < 0)
		return exec_say(why, why_len, rc == -ENOENT ? -ESRCH : rc, "process %d is gone",
				p->pid);
	rc = exec_parse_status(buf, &st);
	if (rc < 0)
		return exec_say(why, why_len, rc, "process %d: status not understood", p->pid);
	if (st.tracer_pid)
		return exec_say(why, why_len, st.tracer_pid == getpid() ? -EAGAIN : -EBUSY,
				"process %d is traced by %d", p->pid, st.tracer_pid);
	if (st.seccomp == 1 || st.seccomp_filters > filters)
		return exec_say(why, why_len, -ENOTSUP,
				"process %d has a seccomp filter that is not ours", p->pid);
	return 0;
}
