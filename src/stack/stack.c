/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/stack.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ndis/nrt.h"
#include "nic/nic_veth.h"
#include "target/tgt_driver.h"

#define TARGET_NAME      "tgt0"
#define CLOSE_ROUNDS_MAX 1000u
#define CHUNKS           (1u << 18) /* 1 GiB of data in the target, all connections together */
#define CATCH_FRAMES     8192u

static int read_interface(const char *ifname, uint8_t mac[6], uint32_t *mtu_bytes)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		err = -errno;
	if (!err)
		memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	if (!err && ioctl(fd, SIOCGIFMTU, &ifr) < 0)
		err = -errno;
	if (!err)
		*mtu_bytes = (uint32_t)ifr.ifr_mtu;
	if (fd >= 0)
		close(fd);
	return err;
}

static int open_wire(struct stack *s, const struct stack_config *config, char *why, size_t why_size)
{
	struct nic_tap_config tap = { .ifname = "chimney%d" };
	struct steer_config steer = { .ifname = config->ifname };
	char device[IFNAMSIZ];
	int err = read_interface(config->ifname, tap.mac, &tap.mtu_bytes);

	if (err) {
		snprintf(why, why_size, "interface '%s': %s", config->ifname, strerror(-err));
		return err;
	}
	err = nic_tap_or_veth_open(&s->nic, &tap, device, why, why_size);
	if (err)
		return err;
	steer.tap = device;
	steer.mtu_bytes = tap.mtu_bytes;
	memcpy(steer.mac, tap.mac, sizeof(steer.mac));
	return steer_open(&s->steer, &steer, why, why_size);
}

static int open_target(struct stack *s, const struct stack_config *config, char *why,
		       size_t why_size)
{
	/* Chunks that are never used cost address space only. */
	struct tgt_adapter_config target = { .name = TARGET_NAME,
					     .quick_acks = TGT_QUICK_ACKS,
					     .nic = s->nic,
					     .limits = { .chunks = CHUNKS,
							 .flow_catch_frames = CATCH_FRAMES },
					     .now_us = loop_tick(s->loop) };
	struct nrt_adapter_params params = { .name = TARGET_NAME, .add_device_context = &target };
	int err = tgt_driver_register(&s->target_driver);

	params.ifindex = if_nametoindex(config->ifname);
	if (!err && getrandom(&target.hash_key, sizeof(target.hash_key), 0) < 0)
		err = -errno;
	if (!err)
		err = nrt_adapter_create(s->target_driver, &params, &s->target_nrt);
	if (err)
		snprintf(why, why_size, "the offload target does not start: %s", strerror(-err));
	else
		s->target = tgt_adapter_find(TARGET_NAME);
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
	struct stack *s = ctx;
	struct tgt_tuple tuple = { .v6 = flow->family == AF_INET6,
				   .local_port_be = flow->local_port_be,
				   .remote_port_be = flow->remote_port_be };

	memcpy(tuple.local, flow->local, sizeof(tuple.local));
	memcpy(tuple.remote, flow->remote, sizeof(tuple.remote));
	if (!on)
		tgt_flow_unexpect(s->target, &tuple);
	else if (tgt_flow_expect(s->target, &tuple) < 0)
		log_debug("no room to catch early frames: the peer will send them again");
}

static int open_host(struct stack *s, const struct stack_config *config, char *why, size_t why_size)
{
	struct host_config host = config->host;
	struct host_adapter_config adapter = { .adapter_name = s->ims.top,
					       .ifindex = if_nametoindex(config->ifname),
					       .steer = s->steer,
					       .nic = s->nic,
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
	tgt_adapter_run(((struct stack *)ctx)->target, now_us);
}

static uint64_t target_deadline(void *ctx)
{
	return tgt_adapter_next_deadline_us(((struct stack *)ctx)->target);
}

/* The engine polls the nic itself, in every round; the watch only ends the sleep. */
static void nic_readable(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
}

int stack_open(struct stack *s, const struct stack_config *config, char *why, size_t why_size)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->loop = config->loop;
	why[0] = '\0';
	if (nrt_adapter_find(TARGET_NAME)) {
		snprintf(why, why_size, "this process has a target already: close it first");
		return -EBUSY;
	}
	err = open_wire(s, config, why, why_size);
	if (!err)
		err = open_target(s, config, why, why_size);
	if (!err)
		err = open_drivers(s, config, why, why_size);
	if (!err)
		err = open_host(s, config, why, why_size);
	if (!err) {
		s->nic_watch = (struct loop_watch){ .fn = nic_readable, .fd = nic_fd(s->nic) };
		err = loop_watch_set(s->loop, &s->nic_watch, EPOLLIN);
	}
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

/*
 * A driver may need a few rounds to let go of what it has in work; one that never does is left
 * behind.
 */
static void close_target(struct stack *s)
{
	unsigned int rounds = 0;

	if (s->target_nrt && nrt_adapter_destroy(s->target_nrt) == -EINPROGRESS)
		while (nrt_adapter_find(TARGET_NAME) && rounds++ < CLOSE_ROUNDS_MAX) {
			tgt_adapter_run(s->target, loop_tick(s->loop));
			nrt_pump();
		}
	if (nrt_adapter_find(TARGET_NAME))
		log_err("the offload target did not stop");
	else if (s->target_driver)
		tgt_driver_deregister(s->target_driver);
}

void stack_close(struct stack *s)
{
	if (s->nic)
		loop_unwatch(s->loop, &s->nic_watch);
	if (s->adapter)
		host_adapter_close(s->adapter);
	if (s->host)
		host_destroy(s->host);
	if (im_stack_close(&s->ims) < 0)
		log_err("an intermediate driver did not stop");
	close_target(s);
	steer_close(s->steer);
	if (s->nic)
		nic_close(s->nic);
}
