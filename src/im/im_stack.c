/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stack is built from the last element of the list upward. Its width is the number of adapters
 * that stand side by side: that of the targets below the team, one from the team on. An element is
 * put on every adapter of the width.
 */
#include "im/im_stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "im/passthru/passthru.h"
#include "im/vlan/vlan.h"

#define ELEMENT_BYTES 64u
#define TEAM_LEAST    2u /* adapters */

struct im_kind {
	const char *name;
	const char *usage;
	int (*parse)(struct im_element *e, char *parameters); /* NULL: none given */
	int (*registers)(void);
	void (*deregisters)(void);
	int (*insert)(const struct im_element *e, const char *name, const char *const *below,
		      size_t count);
	int (*remove)(const char *name);
	bool joins; /* one above all that is below */
};

static bool number(const char *text, unsigned int max, unsigned int *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*out = (unsigned int)value;
	return text[0] >= '0' && text[0] <= '9' && !*end && value <= max;
}

static int parse_passthru(struct im_element *e, char *parameters)
{
	(void)e;
	return parameters ? -EINVAL : 0;
}

static int parse_vlan(struct im_element *e, char *parameters)
{
	char *priority = parameters ? strchr(parameters, ':') : NULL;

	if (priority)
		*priority++ = '\0';
	if (!parameters || !number(parameters, VLAN_ID_MAX, &e->vlan_id))
		return -EINVAL;
	return priority && !number(priority, VLAN_PRIORITY_MAX, &e->vlan_priority) ? -EINVAL : 0;
}

static int parse_mux(struct im_element *e, char *parameters)
{
	if (!parameters)
		return -EINVAL;
	e->mode = strcmp(parameters, "balance") ? MUX_ACTIVE_BACKUP : MUX_BALANCE;
	return e->mode == MUX_BALANCE || !strcmp(parameters, "active-backup") ? 0 : -EINVAL;
}

static int insert_passthru(const struct im_element *e, const char *name, const char *const *below,
			   size_t count)
{
	(void)e;
	(void)count;
	return passthru_insert(below[0], name);
}

static int insert_vlan(const struct im_element *e, const char *name, const char *const *below,
		       size_t count)
{
	(void)count;
	return vlan_insert(name, below[0], (uint16_t)e->vlan_id, (uint8_t)e->vlan_priority);
}

static int insert_mux(const struct im_element *e, const char *name, const char *const *below,
		      size_t count)
{
	return mux_insert(name, below, count, e->mode);
}

static const struct im_kind kinds[] = {
	{ "passthru", "passthru", parse_passthru, passthru_driver_register,
	  passthru_driver_deregister, insert_passthru, passthru_remove, false },
	{ "vlan", "vlan:ID[:PRIORITY] with ID 0 to 4094 and PRIORITY 0 to 7", parse_vlan,
	  vlan_driver_register, vlan_driver_deregister, insert_vlan, vlan_remove, false },
	{ "mux", "mux:active-backup or mux:balance", parse_mux, mux_driver_register,
	  mux_driver_deregister, insert_mux, mux_remove, true },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct im_kind *kind_of(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* One element of the list; the only place that knows how a driver is written. */
static int parse_element(struct im_element *e, const char *text, char *why, size_t why_size)
{
	char name[ELEMENT_BYTES], *parameters;

	snprintf(name, sizeof(name), "%s", text);
	parameters = strchr(name, ':');
	if (parameters)
		*parameters++ = '\0';
	*e = (struct im_element){ .kind = kind_of(name) };
	if (!e->kind)
		snprintf(why, why_size,
			 "intermediate driver '%s' is not known: there are passthru, vlan:ID and "
			 "mux:MODE",
			 text);
	else if (strlen(text) >= sizeof(name) || e->kind->parse(e, parameters))
		snprintf(why, why_size, "intermediate driver '%s': it is written %s", text,
			 e->kind->usage);
	else
		return 0;
	return -EINVAL;
}

size_t im_list_targets(const char *list)
{
	for (const char *at = list ? list : ""; *at; at += strspn(at, ",")) {
		size_t len = strcspn(at, ",:");

		for (size_t i = 0; i < KINDS; i++)
			if (kinds[i].joins && len == strlen(kinds[i].name) &&
			    !strncmp(at, kinds[i].name, len))
				return TEAM_LEAST;
		at += strcspn(at, ",");
	}
	return 1;
}

static int check_teams(struct im_plan *plan, size_t targets, char *why, size_t why_size)
{
	unsigned int teams = 0;

	for (unsigned int i = 0; i < plan->count; i++)
		teams += plan->elements[i].kind->joins;
	plan->has_team = teams;
	if (teams > 1)
		snprintf(why, why_size,
			 "%u teams (mux) are named: one joins all interfaces, so "
			 "leave out the others",
			 teams);
	else if (teams && targets < TEAM_LEAST)
		snprintf(why, why_size,
			 "a team (mux) needs two targets or more and there is one: "
			 "leave it out, or use demo --sim");
	else if (!teams && targets > 1)
		snprintf(why, why_size,
			 "%zu interfaces need a team: add mux:active-backup or "
			 "mux:balance to --im",
			 targets);
	else if (targets > MUX_MEMBERS_MAX)
		snprintf(why, why_size, "%zu interfaces: a team has %d members at most", targets,
			 MUX_MEMBERS_MAX);
	else
		return 0;
	return -EINVAL;
}

int im_plan_parse(struct im_plan *plan, const char *list, size_t targets, char *why,
		  size_t why_size)
{
	const char *at = list ? list : "";

	memset(plan, 0, sizeof(*plan));
	while (*at) {
		size_t len = strcspn(at, ",");
		char text[2 * ELEMENT_BYTES];
		struct im_element *e = &plan->elements[plan->count];

		if (plan->count == IM_STACK_MAX) {
			snprintf(why, why_size, "'%s': at most %u intermediate drivers", list,
				 IM_STACK_MAX);
			return -EINVAL;
		}
		snprintf(text, sizeof(text), "%.*s", (int)len, at);
		if (parse_element(e, text, why, why_size))
			return -EINVAL;
		if (e->vlan_id)
			plan->vlan_id = e->vlan_id;
		plan->count++;
		at += len;
		if (*at == ',' && !*++at) {
			snprintf(why, why_size, "'%s' ends with a comma: a driver is missing",
				 list);
			return -EINVAL;
		}
	}
	return check_teams(plan, targets, why, why_size);
}

/* A driver that somebody else of the process has registered will do as well. */
static int use_kind(struct im_stack *stack, const struct im_kind *kind)
{
	unsigned int bit = 1u << (kind - kinds);
	int err;

	if (stack->registered & bit)
		return 0;
	err = kind->registers();
	if (!err)
		stack->registered |= bit;
	return err == -EALREADY ? 0 : err;
}

static int add_layer(struct im_stack *stack, const struct im_element *e, const char *prefix,
		     const char *const *below, size_t count)
{
	struct im_placed *layer = &stack->layers[stack->layer_count];
	int err;

	layer->kind = e->kind;
	snprintf(layer->name, sizeof(layer->name), "%.20s%s%u", prefix, e->kind->name,
		 stack->layer_count);
	err = e->kind->insert(e, layer->name, below, count);
	if (err)
		return err;
	stack->layer_count++;
	if (e->kind->joins)
		memcpy(stack->team, layer->name, sizeof(stack->team));
	return 0;
}

/* One element on everything that is there; the tops afterwards. */
static int add_element(struct im_stack *stack, const struct im_element *e, const char *prefix,
		       const char **tops, size_t *width)
{
	size_t layers = e->kind->joins ? 1 : *width;
	int err = use_kind(stack, e->kind);

	for (size_t i = 0; i < layers && !err; i++) {
		err = add_layer(stack, e, prefix, tops + i, *width);
		if (!err)
			tops[i] = stack->layers[stack->layer_count - 1].name;
	}
	*width = layers;
	return err;
}

int im_stack_open(struct im_stack *stack, const struct im_plan *plan, const char *prefix,
		  const char *const *targets, size_t count, char *why, size_t why_size)
{
	const char *tops[MUX_MEMBERS_MAX];
	size_t width = count;
	int err = 0;

	memset(stack, 0, sizeof(*stack));
	if (!count || count > MUX_MEMBERS_MAX)
		return -EINVAL;
	memcpy(tops, targets, count * sizeof(tops[0]));
	for (unsigned int i = plan->count; i > 0; i--) {
		const struct im_element *e = &plan->elements[i - 1];

		err = add_element(stack, e, prefix, tops, &width);
		if (err) {
			snprintf(why, why_size, "intermediate driver %s above %s: %s",
				 e->kind->name, tops[0], strerror(-err));
			(void)im_stack_close(stack);
			return err;
		}
		stack->drivers++;
	}
	snprintf(stack->top, sizeof(stack->top), "%s", tops[0]);
	return 0;
}

int im_stack_close(struct im_stack *stack)
{
	int err = 0;

	while (stack->layer_count) {
		const struct im_placed *layer = &stack->layers[--stack->layer_count];

		if (layer->kind->remove(layer->name))
			err = -EBUSY;
	}
	for (size_t i = 0; i < KINDS; i++)
		if (stack->registered & 1u << i)
			kinds[i].deregisters();
	stack->registered = 0;
	return err;
}
