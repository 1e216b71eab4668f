/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/stack_port.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/log.h"
#include "ndis/nrt.h"
#include "ndis/nrt_module.h"
#include "nic/nic.h"
#include "nic/nic_edge.h"
#include "target/tgt_driver.h"

#define CLOSE_ROUNDS_MAX 1000u
#define CHUNKS           (1u << 18) /* 1 GiB of data in the target, all connections together */
#define CATCH_FRAMES     8192u

static int open_loaded(struct stack_port *port, struct nrt_module *module, uint64_t now_us)
{
	struct nrt_adapter_params params = { .name = port->name, .ifindex = port->ifindex };
	int err = nic_edge_create(&port->edge, port->nic, now_us);

	if (err)
		return err;
	params.add_device_context = nic_edge_device(port->edge);
	return nrt_adapter_create(nrt_module_miniport(module), &params, &port->nrt);
}

int stack_port_open(struct stack_port *port, void *target_driver, struct nrt_module *module,
		    uint64_t now_us)
{
	/* Chunks that are never used cost address space only. */
	struct tgt_adapter_config config = { .name = port->name,
					     .quick_acks = TGT_QUICK_ACKS,
					     .nic = port->nic,
					     .limits = { .chunks = CHUNKS,
							 .flow_catch_frames = CATCH_FRAMES },
					     .now_us = now_us };
	struct nrt_adapter_params params = { .name = port->name,
					     .add_device_context = &config,
					     .ifindex = port->ifindex };
	int err;

	if (module)
		return open_loaded(port, module, now_us);
	if (getrandom(&config.hash_key, sizeof(config.hash_key), 0) < 0)
		return -errno;
	err = nrt_adapter_create(target_driver, &params, &port->nrt);
	if (!err)
		port->target = tgt_adapter_find(port->name);
	return err;
}

/* The engine polls the nic itself, in every round; the watch only ends the sleep. */
static void nic_readable(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
}

int stack_port_watch(struct stack_port *port, struct loop *loop)
{
	port->nic_watch = (struct loop_watch){ .fn = nic_readable, .fd = nic_fd(port->nic) };
	return loop_watch_set(loop, &port->nic_watch, EPOLLIN);
}

void stack_port_run(struct stack_port *port, uint64_t now_us)
{
	if (port->edge)
		nic_edge_run(port->edge, now_us);
	else
		tgt_adapter_run(port->target, now_us);
}

uint64_t stack_port_deadline_us(const struct stack_port *port)
{
	return port->edge ? nic_edge_deadline_us(port->edge)
			  : tgt_adapter_next_deadline_us(port->target);
}

static void expect_loaded(struct nic_edge *edge, const struct steer_flow *flow, bool on)
{
	struct nic_edge_flow own = { .v6 = flow->family == AF_INET6,
				     .local_port_be = flow->local_port_be,
				     .remote_port_be = flow->remote_port_be };

	memcpy(own.local, flow->local, sizeof(own.local));
	memcpy(own.remote, flow->remote, sizeof(own.remote));
	if (!on)
		nic_edge_unexpect(edge, &own);
	else if (nic_edge_expect(edge, &own) < 0)
		log_debug("no room to keep early frames: the peer will send them again");
}

struct tgt_tuple stack_tuple(const struct steer_flow *flow)
{
	struct tgt_tuple tuple = { .v6 = flow->family == AF_INET6,
				   .local_port_be = flow->local_port_be,
				   .remote_port_be = flow->remote_port_be };

	memcpy(tuple.local, flow->local, sizeof(tuple.local));
	memcpy(tuple.remote, flow->remote, sizeof(tuple.remote));
	return tuple;
}

static void expect_own(struct tgt_adapter *target, const struct steer_flow *flow, bool on)
{
	struct tgt_tuple tuple = stack_tuple(flow);

	if (!on)
		tgt_flow_unexpect(target, &tuple);
	else if (tgt_flow_expect(target, &tuple) < 0)
		log_debug("no room to catch early frames: the peer will send them again");
}

void stack_port_expect(struct stack_port *port, const struct steer_flow *flow, bool on)
{
	if (port->edge)
		expect_loaded(port->edge, flow, on);
	else
		expect_own(port->target, flow, on);
}

/* A driver may need a few rounds to let go of what it has in work. */
bool stack_port_close(struct stack_port *port, struct loop *loop)
{
	unsigned int rounds = 0;

	if (!port->nrt)
		return true;
	if (nrt_adapter_destroy(port->nrt) == -EINPROGRESS)
		while (nrt_adapter_find(port->name) && rounds++ < CLOSE_ROUNDS_MAX) {
			stack_port_run(port, loop_tick(loop));
			nrt_pump();
		}
	if (nrt_adapter_find(port->name))
		return false;
	nic_edge_destroy(port->edge);
	port->edge = NULL;
	return true;
}
