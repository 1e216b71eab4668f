/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_port.h - an interface, what receives its flows, and the target on top of it: ours, or one
 * that was loaded.
 *
 * Context:   the thread that runs the loop, for every function.
 */
#ifndef STACK_STACK_PORT_H
#define STACK_STACK_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "steer/steer.h"
#include "target/tgt_flow.h"

struct nic;
struct nic_edge;
struct nrt_adapter;
struct nrt_module;
struct tgt_adapter;

struct stack_port {
	char ifname[16], name[16]; /* name of the target's adapter */
	uint32_t ifindex;
	struct nic *nic;
	struct loop_watch nic_watch;
	struct nrt_adapter *nrt;
	struct tgt_adapter *target; /* NULL: a loaded one */
	struct nic_edge *edge;      /* of a loaded one */
};

/*
 * stack_port_open() - the target's adapter on a port with name, ifindex and nic: of the module, or
 * of our own driver where module is NULL. 0 or -errno.
 */
int stack_port_open(struct stack_port *port, void *target_driver, struct nrt_module *module,
		    uint64_t now_us) __attribute__((warn_unused_result));
/* stack_port_watch() - frames end the sleep of the loop. 0 or -errno. */
int stack_port_watch(struct stack_port *port, struct loop *loop)
	__attribute__((warn_unused_result));
void stack_port_run(struct stack_port *port, uint64_t now_us);
uint64_t stack_port_deadline_us(const struct stack_port *port);
/* stack_port_expect() - keep frames of the flow, or give what was kept to the host again. */
void stack_port_expect(struct stack_port *port, const struct steer_flow *flow, bool on);
/* stack_port_close() - the target goes, the nic stays. false: it did not stop and is left behind. */
bool stack_port_close(struct stack_port *port, struct loop *loop);

/* stack_tuple() - a flow as the target names it. */
struct tgt_tuple stack_tuple(const struct steer_flow *flow);

#endif
