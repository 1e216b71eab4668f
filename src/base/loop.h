/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.h - one worker's event loop: descriptors (epoll), deadlines and "after this round"
 * callbacks.
 *
 * The clock is read once a round; everything that runs in the round sees the same loop_now_us().
 * Context:   the thread that owns the loop, for every function.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/*
 * A descriptor under watch. Embed it; the memory belongs to the caller and must live until
 * loop_unwatch().
 */
struct loop_watch {
	void (*fn)(struct loop_watch *watch,
		   uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLHUP ... */
	int fd;
	uint32_t events; /* as given to epoll */
	bool active;
};

/* A deadline. Embed it; fires once, may be set again from its own callback. */
struct loop_timer {
	void (*fn)(struct loop_timer *timer);
	uint64_t deadline_us; /* monotonic */
	struct loop_timer *next;
	bool active;
};

int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);

/*
 * loop_watch_set() - start watching, or change the events of a watch. 0 or -errno of epoll_ctl().
 */
int loop_watch_set(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline_us);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/*
 * loop_set_hook() - work to do in every round (the data path of the worker): run() after the
 * descriptors were served; next_deadline_us() says when the next round is due at the latest,
 * UINT64_MAX for never.
 */
struct loop_hook {
	void (*run)(void *ctx, uint64_t now_us);
	uint64_t (*next_deadline_us)(void *ctx);
	void *ctx;
	struct loop_hook *next;
};
void loop_add_hook(struct loop *loop, struct loop_hook *hook);

uint64_t loop_now_us(const struct loop *loop);
/* loop_tick() - read the clock again inside a long round. */
uint64_t loop_tick(struct loop *loop);

/*
 * loop_round() - one round; sleeps at most max_wait_us (UINT64_MAX: until something happens). 0 or
 * -errno.
 */
int loop_round(struct loop *loop, uint64_t max_wait_us);
int loop_run(struct loop *loop); /* rounds until loop_stop() */
void loop_stop(struct loop *loop);

#endif
