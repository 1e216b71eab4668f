/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * im_stack.h - a stack of intermediate drivers from one line of text.
 *
 *     passthru,vlan:5,mux:active-backup,passthru
 *
 * Drivers are named from top to bottom, in any order and number. What stands below a team stands on
 * each of its members. Parameters follow the name:
 *
 *     passthru
 *     vlan:ID[:PRIORITY]                 ID 0 to 4094 (0: frames without VLAN), PRIORITY 0 to 7
 *     mux:active-backup, mux:balance     one adapter out of all that are there
 *     ./mine.so                          a driver of your own (docs/writing-a-driver.md)
 *
 * Context of all: PASSIVE_LEVEL; the thread that opens owns the virtual miniports.
 */
#ifndef IM_STACK_H
#define IM_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "im/mux/mux.h"

#define IM_STACK_MAX        16u /* drivers in a list */
#define IM_STACK_NAME_BYTES 32u
#define IM_STACK_PATH_BYTES 256u

struct im_kind;
struct im_module;

/* One element of the list, understood. */
struct im_element {
	const struct im_kind *kind;
	unsigned int vlan_id, vlan_priority;
	enum mux_mode mode;
	char path[IM_STACK_PATH_BYTES]; /* of a loaded driver */
};

struct im_plan {
	struct im_element elements[IM_STACK_MAX]; /* from top to bottom */
	unsigned int count;
	bool has_team;
	unsigned int vlan_id; /* of the VLAN driver that is lowest in the list, 0: none */
};

struct im_placed {
	const struct im_kind *kind;
	char name[IM_STACK_NAME_BYTES];
	char below[IM_STACK_NAME_BYTES];
	struct im_module *module; /* NULL: a driver of ours */
};

struct im_stack {
	struct im_placed layers[IM_STACK_MAX * MUX_MEMBERS_MAX]; /* in the order of building */
	unsigned int layer_count;
	unsigned int registered;   /* kinds that this stack has registered, a bit each */
	struct im_module *modules; /* loaded for this stack, one an object */
	unsigned int drivers;      /* elements of the list */
	char top[IM_STACK_NAME_BYTES];
	char team[IM_STACK_NAME_BYTES]; /* the adapter that joins the others; empty: none */
};

/* im_list_targets() - how many adapters a list needs below it at least. */
size_t im_list_targets(const char *list);

/*
 * im_plan_parse() - read a list; NULL and "" are empty lists. targets: how many adapters will be
 * below (a team needs two or more; several need a team).
 * Returns: 0, or -EINVAL with why naming the element and the remedy.
 */
int im_plan_parse(struct im_plan *plan, const char *list, size_t targets, char *why,
		  size_t why_size) __attribute__((warn_unused_result));

/*
 * im_plan_try_load() - load the plan's own drivers and let them go again, so that what is wrong with
 * one is said before anything else begins. Returns: 0, or -errno with the reason and the remedy.
 */
int im_plan_try_load(const struct im_plan *plan, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/*
 * im_stack_open() - put the drivers of a plan above these adapters. prefix begins the name of each
 * virtual miniport. stack->top is the adapter to bind to afterwards.
 * Returns: 0, or -errno with the reason in why; after a failure nothing is left.
 */
int im_stack_open(struct im_stack *stack, const struct im_plan *plan, const char *prefix,
		  const char *const *targets, size_t count, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/* im_stack_close() - take them out, top down. Returns: 0, or -EBUSY when one pends. */
int im_stack_close(struct im_stack *stack);

#endif
