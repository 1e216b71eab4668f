/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper holds copies while the worker lives and lets go of all of them when it ends, whatever
 * the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/keeper.h"

#define WAIT_MS 10000

struct scene {
	int held[2]; /* the worker gives the write end to the keeper: its last close is the end of file */
	int told[2]; /* worker -> test: one byte when a step is done */
	int go[2];   /* test -> worker: one byte to go on */
	bool release;
	int end; /* how the worker ends: exit status, or a negative signal */
};

static void step(struct scene *s)
{
	char byte = 0;

	if (write(s->told[1], &byte, 1) != 1 || read(s->go[0], &byte, 1) != 1)
		_exit(99);
}

static int worker(void *arg, struct keeper *keeper)
{
	struct scene *s = arg;

	if (keeper_hold(keeper, KEEPER_STREAM, 7, s->held[1]) < 0)
		return 98;
	close(s->held[1]);
	step(s);
	if (s->release && keeper_release(keeper, KEEPER_STREAM, 7) < 0)
		return 97;
	step(s);
	if (s->end < 0)
		raise(-s->end);
	return s->end;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static void await_step(struct scene *s)
{
	char byte;

	assert_true(readable(s->told[0], WAIT_MS));
	assert_int_equal(read(s->told[0], &byte, 1), 1);
}

static void go_on(struct scene *s)
{
	assert_int_equal(write(s->go[1], "", 1), 1);
}

static pid_t start(struct scene *s)
{
	pid_t pid;

	assert_int_equal(pipe(s->held), 0);
	assert_int_equal(pipe(s->told), 0);
	assert_int_equal(pipe(s->go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* The keeper's own copies of the pipes would keep them open. */
		int status;

		close(s->told[0]);
		close(s->go[1]);
		status = keeper_run(worker, s);
		_exit(status);
	}
	close(s->held[1]);
	return pid;
}

static int finish(struct scene *s, pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(s->held[0]);
	close(s->told[0]);
	close(s->told[1]);
	close(s->go[0]);
	close(s->go[1]);
	return WEXITSTATUS(status);
}

/*
 * The keeper process is forked from the test and so has the write end from birth; only copies that
 * were sent count. Therefore the end of file cannot be seen before the keeper exits, and the
 * release is seen on /proc.
 */
static unsigned int open_pipes_of(pid_t pid, int like)
{
	char path[64], mine[64], theirs[64];
	unsigned int n = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", like);
	len = readlink(path, mine, sizeof(mine) - 1);
	mine[len < 0 ? 0 : len] = 0;
	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		len = readlink(path, theirs, sizeof(theirs) - 1);
		theirs[len < 0 ? 0 : len] = 0;
		n += len > 0 && !strcmp(mine, theirs);
	}
	return n;
}

static void await_count(pid_t pid, int like, unsigned int want)
{
	for (int i = 0; i < WAIT_MS && open_pipes_of(pid, like) != want; i++)
		poll(NULL, 0, 1);
	assert_int_equal(open_pipes_of(pid, like), want);
}

static void test_holds_and_releases(void **state)
{
	struct scene s = { .release = true, .end = 3 };
	unsigned int before;
	pid_t pid = start(&s);

	(void)state;
	await_step(&s);
	await_count(pid, s.held[0], 3); /* read end, write end, and the copy */
	before = open_pipes_of(pid, s.held[0]);
	go_on(&s);
	await_step(&s);
	await_count(pid, s.held[0], before - 1);
	go_on(&s);
	assert_int_equal(finish(&s, pid), 3);
}

static void test_lets_go_when_killed(void **state)
{
	struct scene s = { .end = -SIGKILL };
	pid_t pid = start(&s);
	char byte;

	(void)state;
	await_step(&s);
	assert_false(readable(s.held[0], 0));
	go_on(&s);
	await_step(&s);
	go_on(&s);
	assert_true(readable(s.held[0], WAIT_MS));
	assert_int_equal(read(s.held[0], &byte, 1), 0); /* nobody holds it any more */
	assert_int_equal(finish(&s, pid), 128 + SIGKILL);
}

static void test_passes_signals_on(void **state)
{
	struct scene s = { .end = 0 };
	pid_t pid = start(&s);

	(void)state;
	await_step(&s);
	kill(pid, SIGTERM); /* the worker has no handler here: it ends by the signal */
	assert_int_equal(finish(&s, pid), 128 + SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holds_and_releases),
		cmocka_unit_test(test_lets_go_when_killed),
		cmocka_unit_test(test_passes_signals_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
