/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOP_EVENTS_MAX 64

struct loop {
	int epoll_fd;
	bool stop;
	bool coarse; /* the kernel has no epoll_pwait2() */
	uint64_t now_us;
	struct loop_timer *
		timers; /* sorted by deadline: a worker has a handful, the engine's are in its own wheel */
	struct loop_hook *hooks;
	struct epoll_event events[LOOP_EVENTS_MAX];
	int event_count; /* of the round being served, so that an unwatched descriptor is not served any more */
};

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int err = -errno;

		free(loop);
		return err;
	}
	loop->now_us = clock_monotonic_us();
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

int loop_watch_set(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = watch };

	if (watch->active && watch->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, watch->active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch->fd,
		      &ev) < 0)
		return -errno;
	watch->active = true;
	watch->events = events;
	return 0;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
	if (!watch->active)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->active = false;
	for (int i = 0; i < loop->event_count; i++)
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline_us)
{
	struct loop_timer **at = &loop->timers;

	loop_timer_cancel(loop, timer);
	timer->deadline_us = deadline_us;
	while (*at && (*at)->deadline_us <= deadline_us)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
	timer->active = true;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at = &loop->timers;

	if (!timer->active)
		return;
	while (*at && *at != timer)
		at = &(*at)->next;
	if (*at)
		*at = timer->next;
	timer->active = false;
}

void loop_add_hook(struct loop *loop, struct loop_hook *hook)
{
	struct loop_hook **at = &loop->hooks;

	while (*at)
		at = &(*at)->next;
	hook->next = NULL;
	*at = hook;
}

uint64_t loop_now_us(const struct loop *loop)
{
	return loop->now_us;
}

uint64_t loop_tick(struct loop *loop)
{
	loop->now_us = clock_monotonic_us();
	return loop->now_us;
}

static uint64_t next_deadline(struct loop *loop)
{
	uint64_t next = loop->timers ? loop->timers->deadline_us : UINT64_MAX;

	for (struct loop_hook *h = loop->hooks; h; h = h->next) {
		uint64_t at = h->next_deadline_us(h->ctx);

		if (at < next)
			next = at;
	}
	return next;
}

/* Before Linux 5.11 there are only milliseconds; rounded up, so that no round comes too early. */
static int wait_ms(struct loop *loop, uint64_t wait_us)
{
	uint64_t ms = wait_us / 1000 + !!(wait_us % 1000);

	return epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX,
			  wait_us == UINT64_MAX ? -1
			  : ms < INT_MAX        ? (int)ms
						: INT_MAX);
}

static int wait_us(struct loop *loop, uint64_t us)
{
	struct timespec ts = { .tv_sec = (time_t)(us / 1000000),
			       .tv_nsec = (long)(us % 1000000) * 1000 };
	int n;

	if (loop->coarse)
		return wait_ms(loop, us);
	n = epoll_pwait2(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX,
			 us == UINT64_MAX ? NULL : &ts, NULL);
	if (n >= 0 || errno != ENOSYS)
		return n;
	loop->coarse = true;
	return wait_ms(loop, us);
}

static int wait_events(struct loop *loop, uint64_t max_wait_us)
{
	uint64_t deadline = next_deadline(loop), now = clock_monotonic_us(), us = UINT64_MAX;

	if (deadline != UINT64_MAX)
		us = deadline <= now ? 0 : deadline - now;
	return wait_us(loop, us < max_wait_us ? us : max_wait_us);
}

static void fire_timers(struct loop *loop)
{
	while (loop->timers && loop->timers->deadline_us <= loop->now_us) {
		struct loop_timer *t = loop->timers;

		loop->timers = t->next;
		t->active = false;
		t->fn(t);
	}
}

int loop_round(struct loop *loop, uint64_t max_wait_us)
{
	int n = wait_events(loop, max_wait_us);

	if (n < 0 && errno != EINTR)
		return -errno;
	loop_tick(loop);
	loop->event_count = n < 0 ? 0 : n;
	for (int i = 0; i < loop->event_count; i++) {
		struct loop_watch *w = loop->events[i].data.ptr;

		if (w)
			w->fn(w, loop->events[i].events);
	}
	loop->event_count = 0;
	fire_timers(loop);
	for (struct loop_hook *h = loop->hooks; h; h = h->next)
		h->run(h->ctx, loop->now_us);
	return 0;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	loop->stop = false;
	while (!loop->stop && !err)
		err = loop_round(loop, UINT64_MAX);
	return err;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}
