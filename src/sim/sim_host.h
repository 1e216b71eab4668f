/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_host.h - the protocol driver of a simulated world: registration, bindings, the five state
 * operations as a queue per binding, and the way from NDIS callbacks to the connection ends
 * (sim_sock.h).
 *
 * State operations of one binding run one after another, so that an operation that makes or ends a
 * neighbor or path object is never overtaken by one that refers to it.
 */
#ifndef SIM_SIM_HOST_H
#define SIM_SIM_HOST_H

#include "sim/sim_world.h"

struct sim_host;
struct tgt_adapter_config;

enum sim_op_kind {
	SIM_OP_INITIATE,
	SIM_OP_TERMINATE,
	SIM_OP_QUERY,
	SIM_OP_UPDATE,     /* cached variables of a connection */
	SIM_OP_PATH_MTU,   /* of a path */
	SIM_OP_INVALIDATE, /* a path */
	SIM_OP_SWEEP,      /* terminate of path and neighbor that nothing depends on */
};

struct sim_block;

/* One state operation. Its blocks live until the completion. */
struct sim_op {
	enum sim_op_kind kind;
	struct sim_binding *binding;
	struct sim_sock *sock; /* NULL for operations on a path */
	enum sim_family family;
	/*
	 * Called when the operation has completed, outside the driver's callback; the op is freed
	 * afterwards.
	 */
	void (*done)(struct sim_op *op);

	bool completed;
	struct sim_block *neighbor, *path, *tcp; /* NULL: no such block in the tree */
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root;
	struct sim_op *next;
};

int sim_host_create(struct sim_host **out, struct sim_world *world);
/*
 * sim_host_destroy() - unbind, remove the adapters, deregister. -EBUSY when NET_BUFFER_LISTs are
 * still out.
 */
int sim_host_destroy(struct sim_host *host);

/*
 * sim_host_add_adapter() - a miniport adapter of the target driver under binding->adapter_name. 0
 * or -errno.
 */
int sim_host_add_adapter(struct sim_host *host, struct sim_binding *binding,
			 const struct tgt_adapter_config *config);
/* sim_host_bind() - open binding->bind_name. 0 or -errno. */
int sim_host_bind(struct sim_host *host, struct sim_binding *binding);

/* sim_host_enable_offload() - connection offload on, with the default parameters (INI-15). */
int sim_host_enable_offload(NDIS_HANDLE binding);

NDIS_HANDLE sim_host_nbl_pool(const struct sim_host *host);

/* sim_host_due() - connection ends or operations wait for sim_host_run(). */
bool sim_host_due(const struct sim_host *host);
/*
 * sim_host_run() - finish completed operations, start the next ones, serve the ends that asked.
 * True: did work.
 */
bool sim_host_run(struct sim_host *host);
/* sim_host_wake() - have sim_sock_serve() called for the end in this round. */
void sim_host_wake(struct sim_sock *sock);

/*
 * sim_host_frame() - a frame that an adapter's target gives to the host's own stack. Borrows the
 * frame.
 */
void sim_host_frame(struct sim_binding *binding, const struct nic_rx_frame *frame);

/*
 * sim_host_submit() - queue an operation on a connection; done() (NULL: nobody) is called once when
 * it is over.
 * sim_host_submit_path() - the same for a path.
 * Returns: 0 or -ENOMEM, then done() is not called.
 */
int sim_host_submit(enum sim_op_kind kind, struct sim_sock *sock, void (*done)(struct sim_op *op));
int sim_host_submit_path(enum sim_op_kind kind, struct sim_binding *binding,
			 enum sim_family family);

#endif
