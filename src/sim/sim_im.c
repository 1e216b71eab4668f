/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_im.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "im/vlan/vlan.h"

/* A driver that another world of the process has registered already will do as well. */
static int registered(int err, bool *by_us)
{
	*by_us = err == 0;
	return err == -EALREADY ? 0 : err;
}

static void vlan_name(const struct sim_world *world, unsigned int place, char name[32])
{
	snprintf(name, 32, "sim%u-vlan%u", world->number, place);
}

/* A VLAN of T's, also at the ends that its frames go to and come from. */
static int insert_other_vlans(struct sim_world *world, const struct im_plan *plan)
{
	const struct sim_config *config = &world->config;
	char name[32];
	int err;

	if (!plan->vlan_id && !config->vlan)
		return 0;
	err = registered(vlan_driver_register(), &world->vlan_registered);
	while (err == 0 && world->vlan_count < SIM_TARGET) {
		struct sim_binding *binding = &world->bindings[world->vlan_count];

		vlan_name(world, world->vlan_count, name);
		err = vlan_insert(name, binding->bind_name, (uint16_t)plan->vlan_id,
				  config->vlan ? config->vlan_priority : 0);
		memcpy(binding->bind_name, name, sizeof(binding->bind_name));
		world->vlan_count += err == 0;
	}
	return err;
}

/* The drivers that a configuration counts, as a list: team lowest, VLAN, then pass-through. */
static void list_of(const struct sim_config *config, char *list, size_t size)
{
	size_t at = 0;

	list[0] = 0;
	for (unsigned int i = 0; i < config->passthru && at < size; i++)
		at += (size_t)snprintf(list + at, size - at, "%spassthru", at ? "," : "");
	if (config->vlan && at < size)
		at += (size_t)snprintf(list + at, size - at, "%svlan:%u:%u", at ? "," : "",
				       config->vlan_id, config->vlan_priority);
	if (config->team && at < size)
		snprintf(list + at, size - at, "%smux:%s", at ? "," : "",
			 config->team_mode == MUX_BALANCE ? "balance" : "active-backup");
}

/* What the list says, on the target or on the team's members. */
int sim_im_insert(struct sim_world *world)
{
	char counted[256];
	struct sim_binding *target = &world->bindings[SIM_TARGET];
	const char *targets[SIM_TEAM_MAX] = { target->adapter_name };
	char why[256] = "", prefix[16];
	struct im_plan plan;
	int err;

	list_of(&world->config, counted, sizeof(counted));
	err = im_plan_parse(&plan, world->config.im ? world->config.im : counted,
			    1 + world->spare_count, why, sizeof(why));
	for (unsigned int i = 0; i < world->spare_count; i++)
		targets[i + 1] = world->spares[i].adapter_name;
	snprintf(prefix, sizeof(prefix), "sim%u-im-", world->number);
	if (err == 0)
		err = im_stack_open(&world->ims, &plan, prefix, targets, 1 + world->spare_count,
				    why, sizeof(why));
	if (err == 0)
		memcpy(target->bind_name, world->ims.top, sizeof(target->bind_name));
	return err ? err : insert_other_vlans(world, &plan);
}

/* From the top down: nothing must stand on what is taken out. */
int sim_im_remove(struct sim_world *world)
{
	char name[32];
	int err = 0;

	while (world->vlan_count > 0) {
		vlan_name(world, --world->vlan_count, name);
		if (vlan_remove(name) != 0)
			err = -EBUSY;
	}
	/* It may have registered the driver of the VLANs above: theirs went first. */
	if (im_stack_close(&world->ims) != 0)
		err = -EBUSY;
	if (world->vlan_registered)
		vlan_driver_deregister();
	world->vlan_registered = false;
	return err;
}
