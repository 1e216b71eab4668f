/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the worker has died, in this order: the streams are closed first, so that programs learn at
 * once that their connection is over; then steering goes, so that the kernel answers the peers from
 * now on; then the TAP and, last, the parked sockets (silent: they are in repair mode) whose ports
 * must not be reused while segments are still steered.
 */
#include "keeper/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/ipc_fd.h"

struct keeper {
	int fd;
};

struct keeper_msg {
	uint32_t kind;
	uint32_t id;
	uint32_t hold; /* 0: release */
};

struct held {
	uint32_t id;
	int fd;
};

struct table {
	struct held *items;
	uint32_t count, room;
};

static struct table tables[KEEPER_KINDS];
static pid_t worker_pid;

static struct held *find(struct table *t, uint32_t id)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->items[i].id == id)
			return &t->items[i];
	return NULL;
}

static void drop(struct table *t, uint32_t id)
{
	struct held *h = find(t, id);

	if (!h)
		return;
	close(h->fd);
	*h = t->items[--t->count];
}

static void keep(struct table *t, uint32_t id, int fd)
{
	drop(t, id);
	if (t->count == t->room) {
		uint32_t room = t->room ? t->room * 2 : 64;
		struct held *items = realloc(t->items, room * sizeof(*items));

		if (!items) {
			close(fd);
			return;
		}
		t->items = items;
		t->room = room;
	}
	t->items[t->count++] = (struct held){ .id = id, .fd = fd };
}

/* One message from the worker; false when the worker's end is closed. */
static bool serve(int fd)
{
	struct keeper_msg msg;
	int got;
	long n = ipc_recv_fd(fd, &msg, sizeof(msg), &got);

	if (n < 0)
		return n == -EINTR;
	if (n != (long)sizeof(msg))
		return false;
	if (msg.kind >= KEEPER_KINDS) {
		if (got >= 0)
			close(got);
	} else if (msg.hold && got >= 0) {
		keep(&tables[msg.kind], msg.id, got);
	} else {
		drop(&tables[msg.kind], msg.id);
	}
	return true;
}

static void let_go(void)
{
	static const enum keeper_kind order[] = { KEEPER_STREAM, KEEPER_STEER, KEEPER_TAP,
						  KEEPER_SOCKET, KEEPER_ARENA };

	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		struct table *t = &tables[order[k]];

		for (uint32_t i = 0; i < t->count; i++)
			close(t->items[i].fd);
		free(t->items);
		memset(t, 0, sizeof(*t));
	}
}

static void pass_on(int sig)
{
	if (worker_pid > 0)
		kill(worker_pid, sig);
}

static int wait_worker(void)
{
	int status;

	while (waitpid(worker_pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFSIGNALED(status)) {
		log_err("worker %d ended by signal %d; its connections are closed", (int)worker_pid,
			WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}

int keeper_run(int (*worker)(void *arg, struct keeper *keeper), void *arg)
{
	struct sigaction sa = { .sa_handler = pass_on };
	sigset_t ours, before;
	int pair[2], status;

	/* Signals wait until there is a worker to pass them on to. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &ours, &before);
	worker_pid = fork();
	if (worker_pid < 0)
		return -errno;
	if (worker_pid == 0) {
		struct keeper keeper = { .fd = pair[1] };

		sigprocmask(SIG_SETMASK, &before, NULL);
		close(pair[0]);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		_exit(worker(arg, &keeper));
	}
	close(pair[1]);
	prctl(PR_SET_NAME, "chimney-keeper");
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (serve(pair[0]))
		;
	close(pair[0]);
	status = wait_worker();
	let_go();
	return status;
}

int keeper_hold(struct keeper *keeper, enum keeper_kind kind, uint32_t id, int fd)
{
	struct keeper_msg msg = { .kind = kind, .id = id, .hold = 1 };

	return ipc_send_fd(keeper->fd, &msg, sizeof(msg), fd);
}

int keeper_release(struct keeper *keeper, enum keeper_kind kind, uint32_t id)
{
	struct keeper_msg msg = { .kind = kind, .id = id };

	return ipc_send_fd(keeper->fd, &msg, sizeof(msg), -1);
}
