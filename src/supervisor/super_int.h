/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super_int.h - what the files of this room share.
 */
#ifndef SUPERVISOR_SUPER_INT_H
#define SUPERVISOR_SUPER_INT_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
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

/* Flags that a UNIX stream answers differently: the sends and receives that are notified. */
#define SUPER_SEND_FLAGS ((uint32_t)MSG_OOB)
#define SUPER_RECV_FLAGS ((uint32_t)(MSG_OOB | MSG_TRUNC | MSG_ERRQUEUE))

/* super_filter.c: number of instructions written, at most SUPER_FILTER_MAX; the listener's descriptor, or -errno. */
#define SUPER_FILTER_MAX 128u
unsigned int super_filter_build(struct sock_filter *code);
int super_filter_install(void);

/* super_decode.c */
enum super_value {
	SUPER_NOTHING,
	SUPER_NAME, /* an address comes back, with its whole length */
	SUPER_GET,  /* an option comes back, with what was given of it */
	SUPER_SET,
	SUPER_INT,    /* an int comes back */
	SUPER_FAMILY, /* an address goes in; its family is the name */
};
struct super_question {
	const char *call; /* as the daemon calls it */
	int level, name;  /* name: of the option, or request, flags, how, family */
	enum super_value value;
	uint64_t at, length_at; /* in the caller's memory */
	uint32_t length;        /* of what lies at at, where there is no length_at */
};
/* false: no call on a socket that can be switched. */
bool super_decode(const struct seccomp_data *data, struct super_question *q);

/* super_loop.c: until the last process with the filter has ended. */
void super_serve(struct super *s);

/* super_call.c: a call on a socket; fills resp. true: it was answered, false: it goes on. */
bool super_call(struct super *s, const struct seccomp_notif *req, struct seccomp_notif_resp *resp);
struct super_task *super_task(struct super *s, pid_t tid);

/* super_daemon.c */
struct super_answer {
	bool native; /* the kernel's own answer is right (now) */
	int err;
	unsigned int length; /* of data; the value that the program gets to see */
	uint8_t data[512];
};
/* super_ask() - what the daemon says of a call on the switched descriptor of that inode. */
void super_ask(struct super *s, uint64_t inode, const struct super_question *q, const void *data,
	       unsigned int length, struct super_answer *out);
void super_attach(struct super *s, pid_t pid);

#endif
