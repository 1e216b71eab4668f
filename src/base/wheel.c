/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time is cut into ticks of 1024 us. Level 0 has one slot for each tick of the present block of 64
 * ticks, level 1 one slot for each block of the present 64 blocks, and so on. An id lies in the
 * level at which its tick first differs from the wheel's tick (seen from the most significant end),
 * so every set bit of a level's map is in the future, and all of a lower level comes before all of
 * a higher one: the next event is the lowest bit of the lowest level that has any. When the tick
 * reaches the start of a slot above level 0, its ids are placed anew.
 *
 * A deadline that moves later leaves its id where it is; the slot finds it early and places it
 * again.
 */
#include "base/wheel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TICK_SHIFT 10
#define SLOT_BITS  6
#define SLOTS      (1u << SLOT_BITS)
#define LEVELS     9 /* 6 * 9 = 54 bits: every tick of a 64-bit microsecond clock */
#define NIL        UINT32_MAX

struct wheel_node {
	uint64_t deadline_us; /* WHEEL_NONE: not in any list */
	uint32_t next, prev;
	uint8_t level, slot;
};

struct wheel {
	uint64_t tick;
	uint64_t map[LEVELS];
	uint32_t head[LEVELS][SLOTS];
	uint32_t tail[LEVELS][SLOTS];
	uint32_t ids;
	struct wheel_node nodes[];
};

int wheel_create(struct wheel **out, uint32_t ids, uint64_t now_us)
{
	struct wheel *w = calloc(1, sizeof(*w) + (size_t)ids * sizeof(w->nodes[0]));

	if (!w)
		return -ENOMEM;
	w->tick = now_us >> TICK_SHIFT;
	w->ids = ids;
	memset(w->head, 0xff, sizeof(w->head));
	memset(w->tail, 0xff, sizeof(w->tail));
	for (uint32_t i = 0; i < ids; i++)
		w->nodes[i].deadline_us = WHEEL_NONE;
	*out = w;
	return 0;
}

void wheel_destroy(struct wheel *w)
{
	free(w);
}

static void unlink_node(struct wheel *w, uint32_t id)
{
	struct wheel_node *n = &w->nodes[id];

	if (n->prev == NIL)
		w->head[n->level][n->slot] = n->next;
	else
		w->nodes[n->prev].next = n->next;
	if (n->next == NIL)
		w->tail[n->level][n->slot] = n->prev;
	else
		w->nodes[n->next].prev = n->prev;
	if (w->head[n->level][n->slot] == NIL)
		w->map[n->level] &= ~(1ull << n->slot);
}

static void place(struct wheel *w, uint32_t id)
{
	struct wheel_node *n = &w->nodes[id];
	uint64_t tick = n->deadline_us >> TICK_SHIFT;

	if (tick < w->tick)
		tick = w->tick;
	n->level = (uint8_t)((63 - __builtin_clzll((tick ^ w->tick) | (SLOTS - 1))) / SLOT_BITS);
	n->slot = (uint8_t)(tick >> (n->level * SLOT_BITS) & (SLOTS - 1));
	n->next = NIL;
	n->prev = w->tail[n->level][n->slot];
	if (n->prev == NIL)
		w->head[n->level][n->slot] = id;
	else
		w->nodes[n->prev].next = id;
	w->tail[n->level][n->slot] = id;
	w->map[n->level] |= 1ull << n->slot;
}

void wheel_cancel(struct wheel *w, uint32_t id)
{
	if (id >= w->ids)
		abort();
	if (w->nodes[id].deadline_us == WHEEL_NONE)
		return;
	unlink_node(w, id);
	w->nodes[id].deadline_us = WHEEL_NONE;
}

void wheel_arm(struct wheel *w, uint32_t id, uint64_t deadline_us)
{
	struct wheel_node *n;

	if (id >= w->ids)
		abort();
	n = &w->nodes[id];
	if (deadline_us == WHEEL_NONE) {
		wheel_cancel(w, id);
		return;
	}
	if (n->deadline_us != WHEEL_NONE && deadline_us >= n->deadline_us) {
		n->deadline_us = deadline_us;
		return;
	}
	if (n->deadline_us != WHEEL_NONE)
		unlink_node(w, id);
	n->deadline_us = deadline_us;
	place(w, id);
}

uint64_t wheel_deadline(const struct wheel *w, uint32_t id)
{
	return id < w->ids ? w->nodes[id].deadline_us : WHEEL_NONE;
}

/* The slot that is reached next: its level, or -1, and the tick at which it begins. */
static int next_slot(const struct wheel *w, unsigned int *slot, uint64_t *tick)
{
	for (int level = 0; level < LEVELS; level++) {
		unsigned int shift = (unsigned int)level * SLOT_BITS;

		if (!w->map[level])
			continue;
		*slot = (unsigned int)__builtin_ctzll(w->map[level]);
		*tick = (w->tick >> shift >> SLOT_BITS << SLOT_BITS | *slot) << shift;
		return level;
	}
	return -1;
}

uint64_t wheel_next(const struct wheel *w)
{
	unsigned int slot;
	uint64_t tick, first;
	int level = next_slot(w, &slot, &tick);

	if (level < 0)
		return WHEEL_NONE;
	if (level > 0)
		return tick << TICK_SHIFT;
	first = (tick + 1) << TICK_SHIFT;
	for (uint32_t id = w->head[0][slot]; id != NIL; id = w->nodes[id].next)
		if (w->nodes[id].deadline_us < first)
			first = w->nodes[id].deadline_us;
	return first;
}

/* Take the first due id out of a slot of level 0; ids that have moved later are placed again. */
static uint32_t pop_slot(struct wheel *w, unsigned int slot, uint64_t now_us)
{
	uint32_t next;

	for (uint32_t id = w->head[0][slot]; id != NIL; id = next) {
		struct wheel_node *n = &w->nodes[id];

		next = n->next;
		if (n->deadline_us <= now_us) {
			unlink_node(w, id);
			n->deadline_us = WHEEL_NONE;
			return id;
		}
		if (n->deadline_us >> TICK_SHIFT > w->tick) {
			unlink_node(w, id);
			place(w, id);
		}
	}
	return NIL;
}

static void cascade(struct wheel *w, unsigned int level, unsigned int slot)
{
	uint32_t id = w->head[level][slot], next;

	w->head[level][slot] = w->tail[level][slot] = NIL;
	w->map[level] &= ~(1ull << slot);
	for (; id != NIL; id = next) {
		next = w->nodes[id].next;
		place(w, id);
	}
}

bool wheel_pop(struct wheel *w, uint64_t now_us, uint32_t *id)
{
	uint64_t target = now_us >> TICK_SHIFT, tick;
	unsigned int slot;

	for (;;) {
		int level = next_slot(w, &slot, &tick);

		if (level < 0 || tick > target)
			break;
		w->tick = tick;
		if (level > 0) {
			cascade(w, (unsigned int)level, slot);
			continue;
		}
		*id = pop_slot(w, slot, now_us);
		if (*id != NIL)
			return true;
		if (tick == target)
			return false;
	}
	if (target > w->tick)
		w->tick = target;
	return false;
}
