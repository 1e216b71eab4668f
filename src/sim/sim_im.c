/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_im.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "im/passthru/passthru.h"

int sim_im_insert(struct sim_world *world, struct sim_binding *binding, unsigned int count)
{
	char below[sizeof(binding->bind_name)];
	int err = 0;

	if (count == 0)
		return 0;
	if (count > SIM_IM_MAX)
		return -EINVAL;
	err = passthru_driver_register();
	if (err && err != -EALREADY)
		return err;
	world->im_registered = err == 0;
	err = 0;
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
	if (world->im_registered)
		passthru_driver_deregister();
	world->im_registered = false;
	return err;
}
