/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls on a switched descriptor. What the program holds is one end of a UNIX stream pair then;
 * whatever is something else goes on natively, after three cheap calls of ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "supervisor/super_int.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static pid_t tgid_of(pid_t tid)
{
	char path[64], line[128];
	int tgid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (!tgid && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) != 1)
			tgid = 0;
	fclose(f);
	return tgid;
}

struct super_task *super_task(struct super *s, pid_t tid)
{
	struct super_task *t = &s->tasks[(unsigned int)tid % SUPER_TASKS];
	pid_t tgid;
	int fd;

	/* The id may be somebody else's by now: a thread that has ended takes no signal. */
	if (t->tid == tid && syscall(SYS_pidfd_send_signal, t->pidfd, 0, NULL, 0) == 0)
		return t;
	tgid = tgid_of(tid);
	fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	if (fd < 0 && tgid > 0) /* kernels before 6.9 know processes only */
		fd = (int)syscall(SYS_pidfd_open, tgid, 0);
	if (fd < 0)
		return NULL;
	if (t->tid)
		close(t->pidfd);
	*t = (struct super_task){ .tid = tid, .tgid = tgid, .pidfd = fd };
	return t;
}

/* The inode when the descriptor can be a switched one, 0 otherwise. */
static uint64_t switched_inode(struct super *s, pid_t tid, int fd_in_task)
{
	struct super_task *t = super_task(s, tid);
	int fd = t ? (int)syscall(SYS_pidfd_getfd, t->pidfd, fd_in_task, 0) : -1;
	int domain = 0, type = 0;
	socklen_t len = sizeof(domain);
	struct stat st;
	bool may_be;

	if (fd < 0)
		return 0;
	may_be = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
		 getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
		 fstat(fd, &st) == 0;
	close(fd);
	return may_be ? st.st_ino : 0;
}

static bool still_there(const struct super *s, const struct seccomp_notif *req)
{
	__u64 id = req->id;

	return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* Memory of the caller, which is blocked in its call, so it is that of the same program. */
static int read_memory(const struct super *s, const struct seccomp_notif *req, uint64_t at,
		       void *out, size_t length)
{
	struct iovec ours = { .iov_base = out, .iov_len = length };
	struct iovec theirs = { .iov_base = (void *)(uintptr_t)at, .iov_len = length };
	ssize_t n = process_vm_readv((pid_t)req->pid, &ours, 1, &theirs, 1, 0);

	return n == (ssize_t)length && still_there(s, req) ? 0 : -EFAULT;
}

static int write_memory(const struct super *s, const struct seccomp_notif *req, uint64_t at,
			const void *data, size_t length)
{
	struct iovec ours = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	struct iovec theirs = { .iov_base = (void *)(uintptr_t)at, .iov_len = length };

	if (!length)
		return 0;
	if (!still_there(s, req))
		return -ESRCH;
	return process_vm_writev((pid_t)req->pid, &ours, 1, &theirs, 1, 0) == (ssize_t)length
		       ? 0
		       : -EFAULT;
}

/* A name shows its whole length even where only a part of it fits; an option what was given. */
static int give(const struct super *s, const struct seccomp_notif *req,
		const struct super_answer *answer, bool name, uint64_t at, uint64_t length_at,
		uint32_t room)
{
	uint32_t length = answer->length < room ? answer->length : room;
	uint32_t shown = name ? answer->length : length;
	int err = write_memory(s, req, at, answer->data, length);

	return err ? err : write_memory(s, req, length_at, &shown, sizeof(shown));
}

static int get_value(struct super *s, const struct seccomp_notif *req, uint64_t inode,
		     const struct super_question *q, bool *native)
{
	struct super_answer answer;
	uint32_t room;

	if (read_memory(s, req, q->length_at, &room, sizeof(room)) < 0)
		return -EFAULT;
	if (room > INT32_MAX)
		return -EINVAL;
	super_ask(s, inode, q, NULL, room < sizeof(answer.data) ? room : sizeof(answer.data),
		  &answer);
	*native = answer.native;
	if (answer.native || answer.err)
		return answer.native ? 0 : -answer.err;
	return give(s, req, &answer, q->value == SUPER_NAME, q->at, q->length_at, room);
}

static int set_value(struct super *s, const struct seccomp_notif *req, uint64_t inode,
		     const struct super_question *q, bool *native)
{
	struct super_answer answer;
	uint8_t data[sizeof(answer.data)];
	uint32_t length = q->length;

	if (length > INT32_MAX)
		return 0;          /* an error of every socket */
	if (length > sizeof(data)) /* none of TCP's is that long: let the kernel say so */
		length = sizeof(data);
	if (length && read_memory(s, req, q->at, data, length) < 0)
		return -EFAULT;
	super_ask(s, inode, q, data, length, &answer);
	*native = answer.native;
	return answer.native ? 0 : -answer.err;
}

static int get_int(struct super *s, const struct seccomp_notif *req, uint64_t inode,
		   const struct super_question *q, bool *native)
{
	struct super_answer answer;

	super_ask(s, inode, q, NULL, q->length, &answer);
	*native = answer.native;
	if (answer.native || answer.err)
		return answer.native ? 0 : -answer.err;
	return write_memory(s, req, q->at, answer.data, answer.length);
}

/* A call whose address says what it is; what is too short for one is an error of every socket. */
static int by_family(struct super *s, const struct seccomp_notif *req, uint64_t inode,
		     const struct super_question *q, bool *native)
{
	struct super_question with = *q;
	struct super_answer answer;
	uint16_t family;

	if (q->length < sizeof(family) || q->length > INT32_MAX)
		return 0;
	if (read_memory(s, req, q->at, &family, sizeof(family)) < 0)
		return -EFAULT;
	with.name = family;
	super_ask(s, inode, &with, NULL, 0, &answer);
	*native = answer.native;
	return answer.native ? 0 : -answer.err;
}

static int put_question(struct super *s, const struct seccomp_notif *req, uint64_t inode,
			const struct super_question *q, bool *native)
{
	struct super_answer answer;

	switch (q->value) {
	case SUPER_NAME:
	case SUPER_GET:
		return get_value(s, req, inode, q, native);
	case SUPER_SET:
		return set_value(s, req, inode, q, native);
	case SUPER_INT:
		return get_int(s, req, inode, q, native);
	case SUPER_FAMILY:
		return by_family(s, req, inode, q, native);
	case SUPER_NOTHING:
		break;
	}
	super_ask(s, inode, q, NULL, 0, &answer);
	*native = answer.native;
	return answer.native ? 0 : -answer.err;
}

bool super_call(struct super *s, const struct seccomp_notif *req, struct seccomp_notif_resp *resp)
{
	struct super_question q;
	uint64_t inode = super_decode(&req->data, &q)
				 ? switched_inode(s, (pid_t)req->pid, (int)req->data.args[0])
				 : 0;
	bool native = true;
	int err = inode ? put_question(s, req, inode, &q, &native) : 0;

	if (!native || err) {
		resp->error = err;
		return true;
	}
	resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	return false;
}
