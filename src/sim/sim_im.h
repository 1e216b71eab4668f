/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_im.h - intermediate drivers above an adapter of a simulated world. */
#ifndef SIM_SIM_IM_H
#define SIM_SIM_IM_H

#include "sim/sim_world.h"

/*
 * sim_im_insert() - put drivers above the adapters, as config says: a team above T and the spares,
 * a VLAN above everything, pass-through drivers on top of T. bind_name of a place is its top one.
 */
int sim_im_insert(struct sim_world *world);
/* sim_im_remove() - take them out again. -EBUSY when one could not go. */
int sim_im_remove(struct sim_world *world);

#endif
