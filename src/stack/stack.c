/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/stack.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "host/host_netlink.h"
#include "ndis/nrt.h"
#include "nic/nic_veth.h"
#include "target/tgt_driver.h"

#define TARGET_NAME "tgt0"

static int open_wire(struct stack *s, const struct stack_config *config, char *why, size_t why_size)
{
	struct nic_tap_config tap = { .ifname = "chimney%d" };
	struct steer_config steer = { .ifname = config->ifname };
	struct host_nl_link link;
	char device[IFNAMSIZ];
	struct host_nl *nl;
	int err = host_nl_open(&nl);

	if (err)
		return err;
	err = host_nl_link_get(nl, 0, config->ifname, &link);
	host_nl_close(nl);
	if (err) {
		snprintf(why, why_size, "interface '%s': %s", config->ifname, strerror(-err));
		return err;
	}
	tap.mtu_bytes = steer.mtu_bytes = link.mtu_bytes;
	memcpy(tap.mac, link.mac, sizeof(tap.mac));
	memcpy(steer.mac, link.mac, sizeof(steer.mac));
	s->port.ifindex = link.ifindex;
	err = nic_tap_or_veth_open(&s->port.nic, &tap, device, why, why_size);
	if (err)
		return err;
	steer.tap = device;
	return steer_open(&s->steer, &steer, why, why_size);
}

static int open_target(struct stack *s, char *why, size_t why_size)
{
	int err = tgt_driver_register(&s->target_driver);

	if (!err)
		err = stack_port_open(&s->port, s->target_driver, NULL, loop_tick(s->loop));
	if (err)
		snprintf(why, why_size, "the offload target does not start: %s", strerror(-err));
	return err;
}

static int open_drivers(struct stack *s, const struct stack_config *config, char *why,
			size_t why_size)
{
	const char *targets[] = { TARGET_NAME };
	struct im_plan plan;
	int err = im_plan_parse(&plan, config->drivers, 1, why, why_size);

	return err ? err : im_stack_open(&s->ims, &plan, "", targets, 1, why, why_size);
}

static void expect(void *ctx, const struct steer_flow *flow, bool on)
{
	stack_port_expect(&((struct stack *)ctx)->port, flow, on);
}

static int open_host(struct stack *s, const struct stack_config *config, char *why, size_t why_size)
{
	struct host_config host = config->host;
	struct host_adapter_config adapter = { .adapter_name = s->ims.top,
					       .ifindex = s->port.ifindex,
					       .steer = s->steer,
					       .nic = s->port.nic,
					       .expect = expect,
					       .ctx = s };
	int err;

	host.loop = s->loop;
	err = host_create(&s->host, &host);
	if (!err)
		err = host_adapter_open(s->host, &adapter, &s->adapter, why, why_size);
	if (err && !why[0])
		snprintf(why, why_size, "the host driver cannot bind to %s: %s", s->ims.top,
			 strerror(-err));
	return err;
}

static void run_target(void *ctx, uint64_t now_us)
{
	stack_port_run(&((struct stack *)ctx)->port, now_us);
}

static uint64_t target_deadline(void *ctx)
{
	return stack_port_deadline_us(&((struct stack *)ctx)->port);
}

int stack_open(struct stack *s, const struct stack_config *config, char *why, size_t why_size)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->loop = config->loop;
	snprintf(s->port.ifname, sizeof(s->port.ifname), "%s", config->ifname);
	snprintf(s->port.name, sizeof(s->port.name), TARGET_NAME);
	why[0] = '\0';
	if (nrt_adapter_find(TARGET_NAME)) {
		snprintf(why, why_size, "this process has a target already: close it first");
		return -EBUSY;
	}
	err = open_wire(s, config, why, why_size);
	if (!err)
		err = open_target(s, why, why_size);
	if (!err)
		err = open_drivers(s, config, why, why_size);
	if (!err)
		err = open_host(s, config, why, why_size);
	if (!err)
		err = stack_port_watch(&s->port, s->loop);
	if (err) {
		stack_close(s);
		return err;
	}
	s->hook = (struct loop_hook){ .run = run_target,
				      .next_deadline_us = target_deadline,
				      .ctx = s };
	loop_add_hook(s->loop, &s->hook);
	return 0;
}

void stack_close(struct stack *s)
{
	if (s->port.nic)
		loop_unwatch(s->loop, &s->port.nic_watch);
	if (s->adapter)
		host_adapter_close(s->adapter);
	if (s->host)
		host_destroy(s->host);
	if (im_stack_close(&s->ims) < 0)
		log_err("an intermediate driver did not stop");
	if (!stack_port_close(&s->port, s->loop))
		log_err("the offload target did not stop");
	else if (s->target_driver)
		tgt_driver_deregister(s->target_driver);
	steer_close(s->steer);
	if (s->port.nic)
		nic_close(s->port.nic);
}
