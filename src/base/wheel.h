/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wheel.h - deadlines of many things, one each, known by a small number (id).
 *
 * A hierarchical timing wheel: arming, moving and cancelling cost a few instructions whatever the
 * number of ids. Moving a deadline later does not even touch the lists, since that is what happens
 * with every acknowledgment. Deadlines are exact: an id expires at the first run whose now_us has
 * reached it, never before.
 *
 * Context:   one thread, no locks. No memory is allocated after wheel_create().
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_NONE UINT64_MAX

struct wheel;

/*
 * wheel_create() - a wheel for ids 0..ids-1, none armed.
 * Returns:   0 or -ENOMEM.
 */
int wheel_create(struct wheel **out, uint32_t ids, uint64_t now_us);
void wheel_destroy(struct wheel *w);

/* wheel_arm() - set or move the deadline of id; WHEEL_NONE cancels. A deadline in the past is due
 * at once. */
void wheel_arm(struct wheel *w, uint32_t id, uint64_t deadline_us);
void wheel_cancel(struct wheel *w, uint32_t id);

/* wheel_deadline() - deadline of id, WHEEL_NONE when it is not armed. */
uint64_t wheel_deadline(const struct wheel *w, uint32_t id);

/*
 * wheel_next() - when wheel_pop() should be tried next: never after the earliest deadline,
 * sometimes before it (far deadlines move closer in steps). WHEEL_NONE when nothing is armed.
 */
uint64_t wheel_next(const struct wheel *w);

/*
 * wheel_pop() - take one id whose deadline is at or before now_us; it is no longer armed.
 * Call until it returns false. Arming a due id again in between is allowed and makes it pop again.
 */
bool wheel_pop(struct wheel *w, uint64_t now_us, uint32_t *id);

#endif
