/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_im.h"

#include <errno.h>

int sim_im_insert(struct sim_world *world, struct sim_binding *binding, unsigned int count)
{
	(void)world;
	(void)binding;
	return count ? -EOPNOTSUPP : 0;
}

void sim_im_remove(struct sim_world *world)
{
	(void)world;
}
