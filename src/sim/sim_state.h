/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_state.h - state trees of the simulated host: building neighbor -> path -> TCP for the five
 * operations, and the host's own copy of a connection's state between two places.
 */
#ifndef SIM_SIM_STATE_H
#define SIM_SIM_STATE_H

#include "sim/sim_host.h"

/* What the host knows of a connection that is offloaded nowhere at the moment. */
struct sim_tcp_state {
	TCP_OFFLOAD_STATE_CONST constant;
	TCP_OFFLOAD_STATE_CACHED cached;
	TCP_OFFLOAD_STATE_DELEGATED delegated;
	uint64_t taken_us; /* virtual time at which delegated was right */
};

/* A block list with room for the largest state of its layer behind it. */
struct sim_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	uint8_t state[256] __attribute__((aligned(8)));
};

/* sim_block_init() - a zeroed block of that type, without state. */
void sim_block_init(struct sim_block *block, OFFLOAD_STATE_TYPE type, NDIS_OFFLOAD_HANDLE *handle);
/*
 * sim_state_next() - where the next state structure of a block begins (*at, from the block's start:
 * first offsetof(struct sim_block, state)); moves the offset behind it and fills its header.
 */
void *sim_state_next(struct sim_block *block, size_t *at, size_t size);

/*
 * sim_state_build() - fill op->root and the block pointers for op->kind. For an initiate the state
 * comes from the sock; new neighbor and path objects are described, present ones are linked to. For
 * a terminate the tree ends path and neighbor as well when nothing else hangs below them.
 * Returns: 0 or -ENOMEM.
 */
int sim_state_build(struct sim_op *op);

/*
 * sim_state_settle() - after completion: keep the dependents of path and neighbor in step with the
 * statuses.
 */
void sim_state_settle(struct sim_op *op);

void sim_state_free(struct sim_op *op);

/* sim_state_delegated() - the delegated TCP state behind a block of the operation. */
TCP_OFFLOAD_STATE_DELEGATED *sim_state_delegated(struct sim_block *block);

/* sim_state_age() - move the clocks and running timers of the state on to now_us. */
void sim_state_age(struct sim_tcp_state *state, uint64_t now_us);

/*
 * sim_state_differs() - name of the first delegated variable that differs, NULL when all agree
 * (STA-32).
 */
const char *sim_state_differs(const TCP_OFFLOAD_STATE_DELEGATED *a,
			      const TCP_OFFLOAD_STATE_DELEGATED *b);

#endif
