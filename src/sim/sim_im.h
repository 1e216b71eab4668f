/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_im.h - intermediate drivers above an adapter of a simulated world. */
#ifndef SIM_SIM_IM_H
#define SIM_SIM_IM_H

#include "sim/sim_world.h"

/*
 * sim_im_insert() - put count pass-through drivers above the binding's adapter; binding->bind_name
 * is the top one.
 */
int sim_im_insert(struct sim_world *world, struct sim_binding *binding, unsigned int count);
/* sim_im_remove() - take them out again. -EBUSY when one could not go. */
int sim_im_remove(struct sim_world *world);

#endif
