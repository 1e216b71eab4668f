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
#include <unistd.h>

#include "im/passthru/passthru.h"
#include "im/vlan/vlan.h"
#include "ndis/nrt.h"
#include "ndis/nrt_module.h"

#define ELEMENT_BYTES 64u
#define TEAM_LEAST    2u /* adapters */

/* A driver that was loaded. It names its virtual miniports itself. */
struct im_module {
	struct nrt_module *driver;
	char path[IM_STACK_PATH_BYTES];
	struct im_module *next;
};

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

static const struct im_kind loaded = { .name = "driver" };

static const struct im_kind *kind_of(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static bool is_path(const char *text)
{
	size_t len = strlen(text);

	return strchr(text, '/') || (len > 3 && !strcmp(text + len - 3, ".so"));
}

/* What else can be wrong with it shows when it is loaded. */
static int parse_path(struct im_element *e, const char *text, char *why, size_t why_size)
{
	*e = (struct im_element){ .kind = &loaded };
	if (strlen(text) >= sizeof(e->path))
		snprintf(why, why_size, "'%.32s...': a path has at most %u characters", text,
			 IM_STACK_PATH_BYTES - 1);
	else if (!strchr(text, '/'))
		snprintf(why, why_size, "'%s': write ./%s for a driver in this directory", text,
			 text);
	else if (access(text, R_OK))
		snprintf(why, why_size,
			 "%s: %s. Give the path of the driver's shared object in --im", text,
			 strerror(errno));
	else
		return snprintf(e->path, sizeof(e->path), "%s", text), 0;
	return -EINVAL;
}

/* One element of the list; the only place that knows how a driver is written. */
static int parse_element(struct im_element *e, const char *text, char *why, size_t why_size)
{
	char name[ELEMENT_BYTES], *parameters;

	if (is_path(text))
		return parse_path(e, text, why, why_size);
	snprintf(name, sizeof(name), "%s", text);
	parameters = strchr(name, ':');
	if (parameters)
		*parameters++ = '\0';
	*e = (struct im_element){ .kind = kind_of(name) };
	if (!e->kind)
		snprintf(why, why_size,
			 "intermediate driver '%s' is not known: there are passthru, vlan:ID, "
			 "mux:MODE and drivers of your own (./mine.so)",
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
		char text[2 * IM_STACK_PATH_BYTES];
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

/* ---- drivers that are loaded ---- */

static int load(struct im_stack *stack, const char *path, struct im_module **out, char *why,
		size_t why_size)
{
	struct im_module *module = stack->modules;
	int err;

	while (module && strcmp(module->path, path))
		module = module->next;
	*out = module;
	if (module)
		return 0;
	module = calloc(1, sizeof(*module));
	if (!module)
		return -ENOMEM;
	err = nrt_module_load(path, NRT_MODULE_IM, &module->driver, why, why_size);
	if (err) {
		free(module);
		return err;
	}
	snprintf(module->path, sizeof(module->path), "%s", path);
	module->next = stack->modules;
	stack->modules = *out = module;
	return 0;
}

static void unload(struct im_stack *stack)
{
	struct im_module *module;

	while ((module = stack->modules)) {
		stack->modules = module->next;
		nrt_module_unload(module->driver);
		free(module);
	}
}

int im_plan_try_load(const struct im_plan *plan, char *why, size_t why_size)
{
	struct im_stack stack = { .modules = NULL };
	struct im_module *module;
	int err = 0;

	for (unsigned int i = 0; i < plan->count && !err; i++)
		if (plan->elements[i].kind == &loaded)
			err = load(&stack, plan->elements[i].path, &module, why, why_size);
	unload(&stack);
	return err;
}

/*
 * A driver makes its virtual miniport while it is bound to the adapter below. What it calls it is
 * its own affair.
 */
static int insert_loaded(struct im_placed *layer, const struct im_element *e, char *why,
			 size_t why_size)
{
	NDIS_HANDLE miniport = nrt_module_miniport(layer->module->driver);
	struct nrt_adapter *before = nrt_adapter_newest(miniport), *made;
	int err = nrt_bind(nrt_module_protocol(layer->module->driver), layer->below);

	if (err) {
		snprintf(why, why_size, "%s does not bind to %s: %s", e->path, layer->below,
			 strerror(-err));
		return err;
	}
	made = nrt_adapter_newest(miniport);
	if (made && made != before &&
	    (size_t)snprintf(layer->name, sizeof(layer->name), "%s", nrt_adapter_name(made)) <
		    sizeof(layer->name))
		return 0;
	snprintf(why, why_size,
		 "%s is bound to %s, but it %s. It has to call NdisIMInitializeDeviceInstanceEx "
		 "from "
		 "ProtocolBindAdapterEx",
		 e->path, layer->below,
		 made && made != before ? "gave its virtual miniport too long a name"
					: "made no virtual miniport");
	(void)nrt_unbind(nrt_module_protocol(layer->module->driver), layer->below);
	return -ENODEV;
}

static int remove_loaded(const struct im_placed *layer)
{
	int err = nrt_unbind(nrt_module_protocol(layer->module->driver), layer->below);

	return !err && nrt_adapter_find(layer->name) ? -EBUSY : err;
}

/* ---- building ---- */

/* A driver that somebody else of the process has registered will do as well. */
static int use_kind(struct im_stack *stack, const struct im_kind *kind)
{
	unsigned int bit = kind == &loaded ? 0 : 1u << (kind - kinds);
	int err;

	if (!bit || stack->registered & bit)
		return 0;
	err = kind->registers();
	if (!err)
		stack->registered |= bit;
	return err == -EALREADY ? 0 : err;
}

static int add_layer(struct im_stack *stack, const struct im_element *e, const char *prefix,
		     const char *const *below, size_t count, char *why, size_t why_size)
{
	struct im_placed *layer = &stack->layers[stack->layer_count];
	int err = 0;

	layer->kind = e->kind;
	layer->module = NULL;
	snprintf(layer->below, sizeof(layer->below), "%s", below[0]);
	if (e->kind == &loaded) {
		err = load(stack, e->path, &layer->module, why, why_size);
		if (!err)
			err = insert_loaded(layer, e, why, why_size);
		stack->layer_count += !err;
		return err;
	}
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
		       const char **tops, size_t *width, char *why, size_t why_size)
{
	size_t layers = e->kind->joins ? 1 : *width;
	int err = use_kind(stack, e->kind);

	for (size_t i = 0; i < layers && !err; i++) {
		err = add_layer(stack, e, prefix, tops + i, *width, why, why_size);
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

		err = add_element(stack, e, prefix, tops, &width, why, why_size);
		if (err) {
			if (e->kind != &loaded)
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

		if (layer->module ? remove_loaded(layer) : layer->kind->remove(layer->name))
			err = -EBUSY;
	}
	if (!err)
		unload(stack);
	for (size_t i = 0; i < KINDS; i++)
		if (stack->registered & 1u << i)
			kinds[i].deregisters();
	stack->registered = 0;
	return err;
}
