/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's loop. A call comes in, is answered or let go on, and that is all: nothing here
 * waits for the program. accept() and connect() always go on natively; their process is looked
 * through by the daemon a moment later, and again at growing intervals, as a blocked accept() may
 * return at any time.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "supervisor/super_int.h"

#define FIRST_LOOK_US  1000u
#define LAST_LOOK_US   256000u
#define LOOK_PROCESSES 256u

/* Linux 6.6; headers may be older. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define NOTIF_SYNC_WAKE_UP 1ul

/* A look that is due soon is not put off by the next call, or a busy acceptor would never be
 * looked at. */
static void expect_connection(struct super *s, pid_t pid)
{
	uint64_t due = clock_monotonic_us() + FIRST_LOOK_US;
	struct super_process *p = s->processes;

	while (p && p->pid != pid)
		p = p->next;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return;
		p->pid = pid;
		p->due_us = due;
		p->next = s->processes;
		s->processes = p;
	}
	p->wait_us = FIRST_LOOK_US;
	if (due < p->due_us)
		p->due_us = due;
}

static void attach_tree(struct super *s, pid_t pid, unsigned int *budget);

static void attach_children(struct super *s, pid_t pid, const char *tid, unsigned int *budget)
{
	char path[300];
	FILE *f;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, tid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fscanf(f, "%d", &child) == 1)
		attach_tree(s, child, budget);
	fclose(f);
}

/* Who accepts may leave the connection to a child and close it at once. */
static void attach_tree(struct super *s, pid_t pid, unsigned int *budget)
{
	struct dirent *entry;
	char path[64];
	DIR *tasks;

	if (!*budget)
		return;
	--*budget;
	super_attach(s, pid);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			attach_children(s, pid, entry->d_name, budget);
	if (tasks)
		closedir(tasks);
}

static void look(struct super *s, struct super_process *p)
{
	unsigned int budget = LOOK_PROCESSES;

	attach_tree(s, p->pid, &budget);
	p->wait_us *= 2;
	if (p->wait_us > LAST_LOOK_US)
		p->wait_us = LAST_LOOK_US;
	p->due_us = clock_monotonic_us() + p->wait_us;
}

/* Returns milliseconds until the next look, -1 for none. */
static int look_around(struct super *s)
{
	uint64_t now = clock_monotonic_us(), next = UINT64_MAX;
	struct super_process **at = &s->processes;

	while (*at) {
		struct super_process *p = *at;

		if (now >= p->due_us && kill(p->pid, 0) < 0 && errno == ESRCH) {
			*at = p->next;
			free(p);
			continue;
		}
		if (now >= p->due_us)
			look(s, p);
		if (p->due_us < next)
			next = p->due_us;
		at = &p->next;
	}
	if (next == UINT64_MAX)
		return -1;
	now = clock_monotonic_us();
	return next > now ? (int)((next - now) / 1000 + 1) : 0;
}

static void handle(struct super *s, struct seccomp_notif *req, struct seccomp_notif_resp *resp)
{
	struct super_task *t;

	resp->id = req->id;
	if (req->data.nr == SYS_connect && super_call(s, req, resp)) {
		ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
		return;
	}
	switch (req->data.nr) {
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
		t = super_task(s, (pid_t)req->pid);
		if (t && t->tgid > 0)
			expect_connection(s, t->tgid);
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		break;
	default:
		super_call(s, req, resp);
	}
	/* ENOENT: the caller was interrupted; it will call again. */
	ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

void super_serve(struct super *s)
{
	struct pollfd watch = { .fd = s->listener, .events = POLLIN };
	struct seccomp_notif_sizes sizes;
	struct seccomp_notif *req;
	struct seccomp_notif_resp *resp;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return;
	/* Caller and supervisor take turns on one processor: halves what a call costs. */
	ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP);
	/* Never less than this build's structures: an older kernel fills less. */
	req = calloc(1, sizes.seccomp_notif + sizeof(*req));
	resp = calloc(1, sizes.seccomp_notif_resp + sizeof(*resp));
	while (req && resp) {
		int n = poll(&watch, 1, look_around(s));

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && (watch.revents & POLLIN)) {
			memset(req, 0, sizes.seccomp_notif + sizeof(*req));
			memset(resp, 0, sizes.seccomp_notif_resp + sizeof(*resp));
			if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, req) == 0)
				handle(s, req, resp);
		} else if (n > 0) {
			break; /* nobody carries the filter any more */
		}
	}
	free(req);
	free(resp);
}
