/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_im.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "im/mux/mux.h"
#include "im/passthru/passthru.h"
#include "im/vlan/vlan.h"

/* A driver that another world of the process has registered already will do as well. */
static int registered(int err, bool *by_us)
{
	*by_us = err == 0;
	return err == -EALREADY ? 0 : err;
}

static int insert_team(struct sim_world *world)
{
	struct sim_binding *target = &world->bindings[SIM_TARGET];
	const char *members[SIM_TEAM_MAX] = { target->adapter_name };
	unsigned int i;
	int err;

	if (world->config.team == 0)
		return 0;
	err = registered(mux_driver_register(), &world->mux_registered);
	if (err)
		return err;
	for (i = 0; i < world->spare_count; i++)
		members[i + 1] = world->spares[i].adapter_name;
	snprintf(target->bind_name, sizeof(target->bind_name), "sim%u-team", world->number);
	err = mux_insert(target->bind_name, members, world->config.team, world->config.team_mode);
	world->team_made = err == 0;
	return err;
}

static void vlan_name(const struct sim_world *world, unsigned int place, char name[32])
{
	snprintf(name, 32, "sim%u-vlan%u", world->number, place);
}

static int insert_vlans(struct sim_world *world)
{
	struct sim_binding *binding;
	char name[32];
	int err;

	if (!world->config.vlan)
		return 0;
	err = registered(vlan_driver_register(), &world->vlan_registered);
	while (err == 0 && world->vlan_count < SIM_PLACES) {
		binding = &world->bindings[world->vlan_count];
		vlan_name(world, world->vlan_count, name);
		err = vlan_insert(name, binding->bind_name, world->config.vlan_id,
				  world->config.vlan_priority);
		memcpy(binding->bind_name, name, sizeof(binding->bind_name));
		world->vlan_count += err == 0;
	}
	return err;
}

static int insert_passthrus(struct sim_world *world)
{
	struct sim_binding *binding = &world->bindings[SIM_TARGET];
	unsigned int count = world->config.passthru;
	char below[sizeof(binding->bind_name)];
	int err;

	if (count == 0)
		return 0;
	if (count > SIM_IM_MAX)
		return -EINVAL;
	err = registered(passthru_driver_register(), &world->passthru_registered);
	while (err == 0 && world->im_count < count) {
		memcpy(below, binding->bind_name, sizeof(below));
		snprintf(binding->bind_name, sizeof(binding->bind_name), "sim%u-pt%u",
			 world->number, world->im_count);
		err = passthru_insert(below, binding->bind_name);
		if (err == 0)
			world->im_count++;
	}
	return err;
}

/* VLANs of the list, on T already, at the ends that T's frames go to and come from. */
static int insert_listed_vlans(struct sim_world *world, const struct im_plan *plan)
{
	char name[32];
	int err = 0;

	if (!plan->vlan_id)
		return 0;
	err = registered(vlan_driver_register(), &world->vlan_registered);
	while (err == 0 && world->vlan_count < SIM_TARGET) {
		struct sim_binding *binding = &world->bindings[world->vlan_count];

		vlan_name(world, world->vlan_count, name);
		err = vlan_insert(name, binding->bind_name, (uint16_t)plan->vlan_id, 0);
		memcpy(binding->bind_name, name, sizeof(binding->bind_name));
		world->vlan_count += err == 0;
	}
	return err;
}

/* What the list says, on the target or on the team's members. */
static int insert_list(struct sim_world *world)
{
	struct sim_binding *target = &world->bindings[SIM_TARGET];
	const char *targets[SIM_TEAM_MAX] = { target->adapter_name };
	char why[256] = "", prefix[16];
	struct im_plan plan;
	int err = im_plan_parse(&plan, world->config.im, 1 + world->spare_count, why, sizeof(why));

	for (unsigned int i = 0; i < world->spare_count; i++)
		targets[i + 1] = world->spares[i].adapter_name;
	snprintf(prefix, sizeof(prefix), "sim%u-im-", world->number);
	if (err == 0)
		err = im_stack_open(&world->ims, &plan, prefix, targets, 1 + world->spare_count,
				    why, sizeof(why));
	if (err == 0)
		memcpy(target->bind_name, world->ims.top, sizeof(target->bind_name));
	return err ? err : insert_listed_vlans(world, &plan);
}

int sim_im_insert(struct sim_world *world)
{
	int err;

	if (world->config.im)
		return insert_list(world);
	err = insert_team(world);

	if (err == 0)
		err = insert_vlans(world);
	return err ? err : insert_passthrus(world);
}

static void deregister(struct sim_world *world)
{
	if (world->passthru_registered)
		passthru_driver_deregister();
	if (world->vlan_registered)
		vlan_driver_deregister();
	if (world->mux_registered)
		mux_driver_deregister();
	world->passthru_registered = world->vlan_registered = world->mux_registered = false;
}

/* From the top down: nothing must stand on what is taken out. */
int sim_im_remove(struct sim_world *world)
{
	char name[32];
	int err = 0;

	while (world->im_count > 0) {
		snprintf(name, sizeof(name), "sim%u-pt%u", world->number, --world->im_count);
		if (passthru_remove(name) != 0)
			err = -EBUSY;
	}
	while (world->vlan_count > 0) {
		vlan_name(world, --world->vlan_count, name);
		if (vlan_remove(name) != 0)
			err = -EBUSY;
	}
	/* It may have registered the driver of the VLANs above: theirs went first. */
	if (im_stack_close(&world->ims) != 0)
		err = -EBUSY;
	snprintf(name, sizeof(name), "sim%u-team", world->number);
	if (world->team_made && mux_remove(name) != 0)
		err = -EBUSY;
	world->team_made = false;
	deregister(world);
	return err;
}
