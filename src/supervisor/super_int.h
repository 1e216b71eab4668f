/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super_int.h - what the files of this room share.
 */
#ifndef SUPERVISOR_SUPER_INT_H
#define SUPERVISOR_SUPER_INT_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/super.h"

/* A thread that made a notified call, remembered by its id. */
struct super_task {
	pid_t tid, tgid;
	int pidfd; /* of the process or the thread: pidfd_getfd() takes both */
};

/* A process that accepts or connects; looked at again while it lives. */
struct super_process {
	pid_t pid;
	uint64_t due_us, wait_us;
	struct super_process *next;
};

#define SUPER_TASKS 256u

struct super {
	const char *control_path;
	int daemon_fd; /* -1: no daemon */
	int listener;
	unsigned int filters; /* seccomp filters that a supervised process carries */
	uint64_t reconnect_us;
	struct super_task tasks[SUPER_TASKS]; /* by tid modulo */
	struct super_process *processes;
};

/* super_filter.c: the listener's descriptor, or -errno. */
int super_filter_install(void);

/* super_loop.c: until the last process with the filter has ended. */
void super_serve(struct super *s);

/* super_call.c: a call on a socket; fills resp. */
void super_call(struct super *s, const struct seccomp_notif *req, struct seccomp_notif_resp *resp);
struct super_task *super_task(struct super *s, pid_t tid);

/* super_daemon.c */
struct super_answer {
	bool native; /* the kernel's own answer is right (now) */
	int err;
	unsigned int length; /* of data; the value that the program gets to see */
	uint8_t data[512];
};
/* super_ask() - what the daemon says of a call on the switched descriptor of that inode. */
void super_ask(struct super *s, uint64_t inode, const char *call, int level, int name,
	       const void *data, unsigned int length, struct super_answer *out);
void super_attach(struct super *s, pid_t pid);

#endif
