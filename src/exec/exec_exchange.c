/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_exchange.c - the operations of exec.h, put together from the other files.
 *
 * A stop, from the first interrupt on, is kept short: what may take long (reading descriptor
 * tables, looking at calls) happens just before, while the program runs, and what could have
 * changed since is verified cheaply inside: new processes by their numbers, the table by the blob
 * itself (it counts open descriptors and those of our file), epoll sets by reading them only
 * inside.
 */
#include "exec/exec_int.h"
#include "exec/exec_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define STOP_LIMIT_US 50e3
#define SCAN_LIMIT_FD 4096 /* larger tables are compared by their size only */

static const char *const step_names[] = {
	[EXEC_STEP_TABLE] = "comparing the descriptor table",
	[EXEC_STEP_RECEIVE] = "receiving the new file",
	[EXEC_STEP_KEEP] = "keeping the old file",
	[EXEC_STEP_DEL] = "leaving epoll",
	[EXEC_STEP_DUP] = "replacing a descriptor",
	[EXEC_STEP_ADD] = "joining epoll",
	[EXEC_STEP_UNDO] = "putting the old file back",
	[EXEC_STEP_DONE] = "done",
};

_Static_assert(sizeof(step_names) / sizeof(step_names[0]) == EXEC_STEP_DONE + 1, "a name per step");

void exec_allow_filters(struct exec_holders *h, unsigned int n)
{
	h->filters_allowed = n;
}

const char *exec_failed_step(const struct exec_holders *h)
{
	return step_names[h->failed_step];
}

void exec_times(const struct exec_holders *h, struct exec_times *out)
{
	*out = h->times;
}

void exec_count(const struct exec_holders *h, size_t *processes, size_t *numbers,
		size_t *registrations)
{
	size_t i;

	*processes = h->n;
	*numbers = *registrations = 0;
	for (i = 0; i < h->n; i++) {
		if (h->v[i].alias_of >= 0)
			continue;
		*numbers += h->v[i].nnumbers;
		*registrations += h->v[i].nregs;
	}
}

static void drop_file(struct exec_holders *h)
{
	if (h->file_fd >= 0)
		close(h->file_fd);
	h->file_fd = -1;
}

/* The present file by way of one holder's number. */
static int fetch_from(const struct exec_holders *h, const struct exec_holder *holder, int fd_in_pid,
		      int *out)
{
	uint64_t ino, cookie;
	int fd, rc;

	fd = (int)syscall(SYS_pidfd_getfd, holder->proc->pidfd, fd_in_pid, 0);
	if (fd < 0)
		return -errno;
	rc = exec_file_identity(fd, &ino, &cookie);
	if (rc == 0 && (ino != h->ino || cookie != h->cookie))
		rc = -EBADF;
	if (rc == -ENOTSOCK)
		rc = -EBADF;
	if (rc < 0)
		close(fd);
	else
		*out = fd;
	return rc;
}

int exec_fetch(const struct exec_holders *h, int *fd_out)
{
	int rc = -EBADF, err;
	size_t i, k;

	if (h->file_fd >= 0) {
		*fd_out = fcntl(h->file_fd, F_DUPFD_CLOEXEC, 0);
		return *fd_out < 0 ? -errno : 0;
	}
	for (i = 0; i < h->n; i++) {
		for (k = 0; k < h->v[i].nnumbers; k++) {
			err = fetch_from(h, &h->v[i], h->v[i].numbers[k].fd, fd_out);
			if (err == 0)
				return 0;
			if (err != -EBADF && err != -ESRCH)
				rc = err;
		}
	}
	return rc;
}

static int find_first(struct exec_holders *h, pid_t pid, int fd_in_pid, char *why, size_t why_len)
{
	int pidfd, rc;

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return exec_say(why, why_len, -errno, "process %d: %s", pid, strerror(errno));
	h->file_fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd_in_pid, 0);
	rc = h->file_fd < 0 ? -errno : 0;
	close(pidfd);
	if (rc < 0)
		return exec_say(why, why_len, rc,
				"descriptor %d of process %d cannot be fetched: %s", fd_in_pid, pid,
				strerror(-rc));
	rc = exec_file_identity(h->file_fd, &h->ino, &h->cookie);
	if (rc < 0)
		return exec_say(why, why_len, rc, "descriptor %d of process %d is not a socket",
				fd_in_pid, pid);
	return 0;
}

/* Takes holders off the list that have ended or closed the file. */
static void drop_empty(struct exec_holders *h)
{
	size_t i, n = 0;

	for (i = 0; i < h->n; i++) {
		if (h->v[i].nnumbers == 0 || h->v[i].proc->gone) {
			exec_holder_clear(&h->v[i]);
			exec_proc_put(h->v[i].proc);
		} else {
			h->v[n++] = h->v[i];
		}
	}
	h->n = n;
}

static int scan_tables(struct exec_holders *h, char *why, size_t why_len)
{
	size_t i;
	int rc;

	for (i = 0; i < h->n; i++) {
		rc = exec_scan_table(h, &h->v[i], why, why_len);
		if (rc == -ESRCH || rc == -ENOENT)
			h->v[i].proc->gone = true;
		else if (rc < 0)
			return rc;
	}
	return 0;
}

int exec_find(struct exec_holders **out, pid_t pid, int fd_in_pid, char *why, size_t why_len)
{
	struct exec_holders *h = calloc(1, sizeof(*h));
	int rc;

	*out = NULL;
	if (!h)
		return -ENOMEM;
	h->file_fd = -1;
	rc = find_first(h, pid, fd_in_pid, why, why_len);
	/* The named one first, so that closed tables of its relatives are recognised. */
	if (rc == 0)
		rc = exec_scan_start(h, pid, why, why_len);
	if (rc == 0)
		rc = exec_scan_all(h, why, why_len);
	if (rc == 0)
		rc = scan_tables(h, why, why_len);
	if (rc == 0) {
		exec_scan_verify(h);
		drop_empty(h);
		exec_scan_aliases(h);
		rc = exec_scan_flight(h, why, why_len);
	}
	if (rc == 0 && h->n == 0)
		rc = exec_say(why, why_len, -EBADF, "the program has closed the socket");
	if (rc == 0)
		rc = exec_scan_epoll(h, why, why_len);
	drop_file(h);
	if (rc < 0) {
		exec_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

/* Threads with a descriptor table of their own would be missed. */
static int check_threads(struct exec_proc *p, char *why, size_t why_len)
{
	size_t i;

	for (i = 0; i < p->ntasks; i++)
		if (p->tasks[i].tid != p->pid &&
		    exec_kcmp(p->pid, p->tasks[i].tid, KCMP_FILES, 0, 0) > 0)
			return exec_say(why, why_len, -ENOTSUP,
					"thread %d has a descriptor table of its own",
					p->tasks[i].tid);
	return 0;
}

static void release_all(struct exec_holders *h, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		exec_proc_release(h->v[i].proc);
}

static int claim_all(struct exec_holders *h, char *why, size_t why_len)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (!exec_proc_claim(h->v[i].proc)) {
			release_all(h, i);
			return exec_say(why, why_len, -EAGAIN, "process %d is being worked on",
					h->v[i].proc->pid);
		}
	}
	return 0;
}

static int stop_proc(struct exec_proc *p, char *why, size_t why_len)
{
	int rc = exec_proc_seize(p, why, why_len);

	if (rc == 0)
		rc = exec_proc_wait_stopped(p, exec_now_us() + STOP_LIMIT_US, why, why_len);
	return rc;
}

/* Eligibility, and our code into the process: the one early stop. */
static int prepare_proc(struct exec_holders *h, struct exec_proc *p, char *why, size_t why_len)
{
	int rc = exec_proc_check(p, h->filters_allowed, why, why_len);

	if (rc == 0)
		rc = exec_calls_check(p, why, why_len);
	if (rc == 0)
		rc = check_threads(p, why, why_len);
	if (rc < 0 || exec_map_valid(p))
		return rc;
	rc = stop_proc(p, why, why_len);
	if (rc == 0)
		rc = exec_map(p, why, why_len);
	exec_proc_resume(p);
	return rc;
}

int exec_prepare(struct exec_holders *h, char *why, size_t why_len)
{
	size_t i;
	int rc;

	exec_pending();
	rc = claim_all(h, why, why_len);

	if (rc < 0)
		return rc;
	for (i = 0; rc == 0 && i < h->n; i++)
		rc = prepare_proc(h, h->v[i].proc, why, why_len);
	release_all(h, h->n);
	return rc;
}

/* While everything still runs: bring the tables up to date and look at what the threads do. */
static int before_stop(struct exec_holders *h, char *why, size_t why_len)
{
	size_t added;
	int rc;

	rc = exec_scan_new(h, &added, why, why_len);
	if (rc == 0)
		rc = scan_tables(h, why, why_len);
	if (rc < 0)
		return rc;
	rc = exec_fetch(h, &h->file_fd);
	if (rc < 0)
		return exec_say(why, why_len, rc,
				rc == -EBADF ? "the program has closed the socket"
					     : "the socket cannot be fetched: %s",
				strerror(-rc));
	exec_scan_verify(h);
	drop_empty(h);
	exec_scan_aliases(h);
	if (h->n == 0)
		return exec_say(why, why_len, -EBADF, "the program has closed the socket");
	return 0;
}

static int check_all(struct exec_holders *h, char *why, size_t why_len)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < h->n; i++) {
		rc = exec_proc_check(h->v[i].proc, h->filters_allowed, why, why_len);
		if (rc == 0)
			rc = exec_calls_check(h->v[i].proc, why, why_len);
		if (rc == 0)
			rc = check_threads(h->v[i].proc, why, why_len);
	}
	return rc;
}

static int stop_all(struct exec_holders *h, size_t first, char *why, size_t why_len)
{
	double deadline_us = exec_now_us() + STOP_LIMIT_US;
	int rc = 0;
	size_t i;

	for (i = first; rc == 0 && i < h->n; i++)
		rc = exec_proc_seize(h->v[i].proc, why, why_len);
	for (i = first; rc == 0 && i < h->n; i++) {
		rc = exec_proc_wait_stopped(h->v[i].proc, deadline_us, why, why_len);
		if (rc == -ESRCH) {
			h->v[i].proc->gone = true;
			rc = 0;
		}
	}
	return rc;
}

/* Processes that holders made after the tables were read; they have our code from their parents. */
static int stop_new_holders(struct exec_holders *h, char *why, size_t why_len)
{
	size_t before, added, i;
	int rc;

	do {
		before = h->n;
		rc = exec_scan_new(h, &added, why, why_len);
		for (i = before; i < h->n; i++)
			if (!exec_proc_claim(h->v[i].proc) && rc == 0)
				rc = exec_say(why, why_len, -EAGAIN,
					      "process %d is being worked on", h->v[i].proc->pid);
		if (rc < 0 || h->n == before)
			return rc;
		for (i = before; rc == 0 && i < h->n; i++) {
			rc = exec_proc_check(h->v[i].proc, h->filters_allowed, why, why_len);
			if (rc == 0)
				rc = exec_calls_check(h->v[i].proc, why, why_len);
		}
		if (rc == 0)
			rc = stop_all(h, before, why, why_len);
		for (i = before; rc == 0 && i < h->n; i++) {
			rc = exec_scan_table(h, &h->v[i], why, why_len);
			if (rc == 0)
				rc = check_threads(h->v[i].proc, why, why_len);
		}
		exec_scan_aliases(h);
	} while (rc == 0);
	return rc;
}

/* Maps our code where it is missing (a new child of an exec'ed program, an exec since). */
static int map_all(struct exec_holders *h, char *why, size_t why_len)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < h->n; i++) {
		if (h->v[i].proc->gone)
			continue;
		rc = exec_map(h->v[i].proc, why, why_len);
		exec_proc_mend(h->v[i].proc);
	}
	return rc;
}

static bool any_alive(const struct exec_holders *h)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (!h->v[i].proc->gone)
			return true;
	return false;
}

int exec_stop(struct exec_holders *h, char *why, size_t why_len)
{
	double start_us = exec_now_us();
	int rc;

	if (h->stopped)
		return exec_say(why, why_len, -EALREADY, "already stopped");
	exec_pending();
	rc = before_stop(h, why, why_len);
	if (rc == 0)
		rc = claim_all(h, why, why_len);
	if (rc < 0) {
		drop_file(h);
		return rc;
	}
	rc = check_all(h, why, why_len);
	h->stopped = true;
	h->freeze_start_us = exec_now_us();
	if (rc == 0)
		rc = stop_all(h, 0, why, why_len);
	if (rc == 0)
		rc = stop_new_holders(h, why, why_len);
	if (rc == 0 && !any_alive(h))
		rc = exec_say(why, why_len, -ESRCH, "the program has ended");
	if (rc == 0)
		rc = map_all(h, why, why_len);
	if (rc == 0)
		rc = exec_scan_epoll(h, why, why_len);
	if (rc < 0)
		exec_resume(h);
	h->times.check_us = h->freeze_start_us - start_us;
	h->times.stop_us = exec_now_us() - h->freeze_start_us;
	return rc;
}

/* What belongs to the open file, not to a number: status flags, owner, time limits. */
static void dress(int old_fd, int new_fd)
{
	static const int options[] = { SO_RCVTIMEO, SO_SNDTIMEO };
	int old_flags = fcntl(old_fd, F_GETFL), low = 1;
	struct f_owner_ex owner;
	struct timeval tv;
	socklen_t len;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		len = sizeof(tv);
		if (getsockopt(old_fd, SOL_SOCKET, options[i], &tv, &len) == 0)
			setsockopt(new_fd, SOL_SOCKET, options[i], &tv, sizeof(tv));
	}
	len = sizeof(low);
	if (getsockopt(old_fd, SOL_SOCKET, SO_RCVLOWAT, &low, &len) == 0)
		setsockopt(new_fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	if (fcntl(old_fd, F_GETOWN_EX, &owner) == 0 && owner.pid != 0)
		fcntl(new_fd, F_SETOWN_EX, &owner);
	fcntl(new_fd, F_SETSIG, fcntl(old_fd, F_GETSIG));
	if (old_flags >= 0)
		fcntl(new_fd, F_SETFL, old_flags);
}

/*
 * Open descriptors of the process, by the size of its directory (Linux 6.2); 0 where it is not
 * told.
 */
static unsigned int table_size(const struct exec_proc *p)
{
	struct stat st;

	return fstatat(p->dir_fd, "fd", &st, 0) < 0 ? 0 : (unsigned int)st.st_size;
}

static void fill_args(struct exec_holder *holder, struct exec_blob_args *a, uint64_t ino)
{
	unsigned int size = table_size(holder->proc);

	memset(a, 0, sizeof(*a));
	a->ino = ino;
	a->nnumbers = (uint32_t)holder->nnumbers;
	a->nregs = (uint32_t)holder->nregs;
	a->open_count = size ? size : holder->open_count;
	/*
	 * Behind the highest number nothing is open if the sizes agree; else look a little
	 * further.
	 */
	a->scan_end = holder->highest_fd + 1 + (size ? 0 : 64);
	if (a->scan_end > SCAN_LIMIT_FD)
		a->scan_end = 0;
	memcpy(a->numbers, holder->numbers, holder->nnumbers * sizeof(a->numbers[0]));
	if (holder->nregs)
		memcpy(a->regs, holder->regs, holder->nregs * sizeof(a->regs[0]));
}

static int exchange_one(struct exec_holders *h, struct exec_holder *holder, int fd, uint64_t ino)
{
	struct exec_blob_args args;
	int rc;

	if (holder->proc->gone || holder->nnumbers == 0)
		return 0;
	fill_args(holder, &args, ino);
	rc = exec_run(holder->proc, &args, fd);
	if (rc < 0)
		h->failed_step = args.step;
	if (!exec_proc_alive(holder->proc)) {
		holder->proc->gone = true;
		rc = 0;
	}
	return rc;
}

/* The way back for those that have the new file already; 0 if all have the old one again. */
static int exchange_undo(struct exec_holders *h, size_t n, uint64_t new_ino)
{
	uint32_t step = h->failed_step;
	int bad = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (h->v[i].alias_of < 0)
			bad |= exchange_one(h, &h->v[i], h->file_fd, new_ino) < 0;
	h->failed_step = step;
	return bad;
}

static int exchange_all(struct exec_holders *h, int new_fd, uint64_t new_ino)
{
	size_t i;
	int rc;

	for (i = 0; i < h->n; i++) {
		if (h->v[i].alias_of >= 0)
			continue;
		rc = exchange_one(h, &h->v[i], new_fd, h->ino);
		if (rc < 0)
			return exchange_undo(h, i, new_ino) ? -ENOTRECOVERABLE : rc;
	}
	return 0;
}

/* A table changed between the reading and the stop: now it stands still, read it again. */
static int rescan(struct exec_holders *h)
{
	int rc = scan_tables(h, NULL, 0);

	exec_scan_verify(h);
	if (rc == 0)
		rc = exec_scan_aliases(h);
	if (rc == 0)
		rc = exec_scan_epoll(h, NULL, 0);
	return rc;
}

int exec_exchange(struct exec_holders *h, int new_fd)
{
	double start_us = exec_now_us();
	uint64_t ino, cookie;
	int rc, i;

	if (!h->stopped)
		return -EINVAL;
	rc = exec_file_identity(new_fd, &ino, &cookie);
	if (rc < 0)
		return rc;
	dress(h->file_fd, new_fd);
	h->failed_step = EXEC_STEP_DONE;
	rc = exchange_all(h, new_fd, ino);
	for (i = 0; rc == -ESTALE && i < 2; i++) {
		rc = rescan(h);
		if (rc == 0)
			rc = exchange_all(h, new_fd, ino);
	}
	if (rc == 0) {
		drop_file(h);
		h->ino = ino;
		h->cookie = cookie;
		h->file_fd = fcntl(new_fd, F_DUPFD_CLOEXEC, 0);
		h->failed_step = EXEC_STEP_DONE;
	}
	h->times.exchange_us = exec_now_us() - start_us;
	return rc;
}

void exec_resume(struct exec_holders *h)
{
	double start_us = exec_now_us();
	size_t i;

	if (!h->stopped)
		return;
	drop_file(h);
	for (i = 0; i < h->n; i++)
		exec_proc_resume(h->v[i].proc);
	release_all(h, h->n);
	h->stopped = false;
	h->times.resume_us = exec_now_us() - start_us;
	h->times.frozen_us = exec_now_us() - h->freeze_start_us;
	exec_pending();
}

void exec_free(struct exec_holders *h)
{
	size_t i;

	if (!h)
		return;
	exec_resume(h);
	drop_file(h);
	for (i = 0; i < h->n; i++) {
		exec_holder_clear(&h->v[i]);
		exec_proc_put(h->v[i].proc);
	}
	free(h->v);
	free(h);
}
