/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/loop.h"

static struct loop *loop;
static char order[16];
static unsigned int order_len;

static int setup(void **state)
{
	(void)state;
	order_len = 0;
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

struct named_timer {
	struct loop_timer timer;
	char name;
	uint64_t again_us;
};

static void fired(struct loop_timer *timer)
{
	struct named_timer *t = (struct named_timer *)timer;

	order[order_len++] = t->name;
	order[order_len] = 0;
	if (t->again_us) {
		loop_timer_set(loop, timer, t->again_us);
		t->again_us = 0;
	}
}

static void test_timers_fire_in_order(void **state)
{
	uint64_t now = loop_now_us(loop);
	struct named_timer a = { .timer.fn = fired, .name = 'a' },
			   b = { .timer.fn = fired, .name = 'b' },
			   c = { .timer.fn = fired, .name = 'c' };

	(void)state;
	loop_timer_set(loop, &c.timer, now + 3);
	loop_timer_set(loop, &a.timer, now + 1);
	loop_timer_set(loop, &b.timer, now + 2);
	loop_timer_set(loop, &c.timer, now); /* moved to the front */
	b.again_us = now + 2; /* set again from its own callback: fires once more in the round */
	while (order_len < 4)
		assert_int_equal(loop_round(loop, UINT64_MAX), 0);
	assert_string_equal(order, "cabb");
}

static void test_cancelled_timer_is_silent(void **state)
{
	uint64_t now = loop_now_us(loop);
	struct named_timer a = { .timer.fn = fired, .name = 'a' },
			   b = { .timer.fn = fired, .name = 'b' };

	(void)state;
	loop_timer_set(loop, &a.timer, now);
	loop_timer_set(loop, &b.timer, now);
	loop_timer_cancel(loop, &a.timer);
	loop_timer_cancel(loop, &a.timer);
	while (order_len < 1)
		assert_int_equal(loop_round(loop, UINT64_MAX), 0);
	assert_string_equal(order, "b");
}

struct pipe_watch {
	struct loop_watch watch;
	struct pipe_watch *other; /* unwatched when this one is served */
	unsigned int served;
};

static void served(struct loop_watch *watch, uint32_t events)
{
	struct pipe_watch *p = (struct pipe_watch *)watch;

	assert_true(events & EPOLLIN);
	p->served++;
	loop_unwatch(loop, watch);
	if (p->other)
		loop_unwatch(loop, &p->other->watch);
}

/*
 * A descriptor that is unwatched by an earlier callback of the same round is not served any more.
 */
static void test_unwatch_in_round(void **state)
{
	int fds[2];
	struct pipe_watch a = { .watch.fn = served }, b = { .watch.fn = served };

	(void)state;
	assert_int_equal(pipe(fds), 0);
	a.watch.fd = fds[0];
	b.watch.fd = dup(fds[0]);
	a.other = &b;
	b.other = &a;
	assert_int_equal(loop_watch_set(loop, &a.watch, EPOLLIN), 0);
	assert_int_equal(loop_watch_set(loop, &b.watch, EPOLLIN), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(loop_round(loop, UINT64_MAX), 0);
	assert_int_equal(a.served + b.served, 1);
	close(fds[0]);
	close(fds[1]);
	close(b.watch.fd);
}

struct counter {
	unsigned int runs;
	uint64_t deadline_us;
};

static void count_run(void *ctx, uint64_t now_us)
{
	struct counter *c = ctx;

	assert_int_equal(now_us, loop_now_us(loop));
	if (++c->runs == 3)
		loop_stop(loop);
}

static uint64_t deadline(void *ctx)
{
	return ((struct counter *)ctx)->deadline_us;
}

static void test_hook_runs_every_round(void **state)
{
	struct counter c = { .deadline_us = 0 };
	struct loop_hook hook = { .run = count_run, .next_deadline_us = deadline, .ctx = &c };

	(void)state;
	loop_add_hook(loop, &hook);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(c.runs, 3);
	c.deadline_us = UINT64_MAX;
	assert_int_equal(loop_round(loop, 1000),
			 0); /* bounded by the caller although nothing is due */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timers_fire_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled_timer_is_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwatch_in_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hook_runs_every_round, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
