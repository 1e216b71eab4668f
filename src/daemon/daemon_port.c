/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces from the wire up to the target. Usually one; a team has one for each member of a bond.
 * The connections then belong to the bond, and the frames come in and go out at its members: each
 * has a TAP, chains of the steering table and a target of its own. The kernel says which has link.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "daemon/daemon_int.h"
#include "host/host_netlink.h"
#include "ndis/nrt.h"
#include "ndis/nrt_module.h"
#include "ndis/nrt_verify.h"
#include "nic/nic_veth.h"
#include "steer/steer.h"
#include "target/tgt_driver.h"

static int get_link(struct host_nl *nl, const char *name, struct host_nl_link *link)
{
	int err = host_nl_link_get(nl, 0, name, link);

	if (err)
		log_err("interface '%s': %s; 'ip link' lists those there are", name,
			strerror(-err));
	return err;
}

/* One interface. In a VLAN the connections are those of the VLAN interface on top of it. */
static int find_single(struct worker *w, struct host_nl *nl, struct host_nl_link *top)
{
	struct host_nl_link lower;
	int err = get_link(nl, w->config->ifnames[0], top);

	if (err)
		return err;
	snprintf(w->ports[0].ifname, sizeof(w->ports[0].ifname), "%s", top->name);
	if (!w->plan.vlan_id)
		return 0;
	if (strcmp(top->kind, "vlan") || host_nl_link_get(nl, top->lower, NULL, &lower)) {
		log_err("interface '%s' is not in VLAN %u: name a VLAN interface (ip link add link "
			"%s name %s.%u type vlan id %u)",
			top->name, w->plan.vlan_id, top->name, top->name, w->plan.vlan_id,
			w->plan.vlan_id);
		return -EINVAL;
	}
	snprintf(w->ports[0].ifname, sizeof(w->ports[0].ifname), "%s", lower.name);
	return 0;
}

static int find_members(struct worker *w, struct host_nl *nl, struct host_nl_link *top)
{
	uint32_t master = 0;

	for (unsigned int i = 0; i < w->config->ifname_count; i++) {
		struct host_nl_link link;
		int err = get_link(nl, w->config->ifnames[i], &link);

		if (err)
			return err;
		if (!link.master || (master && master != link.master)) {
			log_err("interface '%s' is not in one bond with the others: ip link set %s "
				"master BOND",
				link.name, link.name);
			return -EINVAL;
		}
		master = link.master;
		snprintf(w->ports[i].ifname, sizeof(w->ports[i].ifname), "%s", link.name);
	}
	if (w->plan.vlan_id) {
		log_err("--im: a VLAN of a team needs the VLAN interface on its bond, which is not "
			"supported: use VLAN interfaces as members of the bond, or vlan:0");
		return -EOPNOTSUPP;
	}
	return host_nl_link_get(nl, master, NULL, top);
}

static int open_wires(struct worker *w, const struct host_nl_link *top)
{
	char devices[DAEMON_INTERFACES_MAX][IFNAMSIZ], why[256] = "";
	struct nic_tap_config tap = { .ifname = "chimney%d", .mtu_bytes = top->mtu_bytes };
	struct steer_config steer = { .ifname = w->ports[0].ifname,
				      .tap = devices[0],
				      .mtu_bytes = top->mtu_bytes,
				      .member = w->plan.has_team };
	int err = 0;

	memcpy(tap.mac, top->mac, sizeof(tap.mac));
	memcpy(steer.mac, top->mac, sizeof(steer.mac));
	for (unsigned int i = 0; i < w->port_count && !err; i++) {
		struct stack_port *port = &w->ports[i];

		port->ifindex = if_nametoindex(port->ifname);
		err = nic_tap_or_veth_open(&port->nic, &tap, devices[i], why, sizeof(why));
		if (!err)
			keeper_hold(w->keeper, KEEPER_TAP, i, nic_fd(port->nic));
		if (i)
			steer.more[steer.more_count++] =
				(struct steer_pair){ port->ifname, devices[i] };
	}
	if (!err)
		err = steer_open(&w->steer, &steer, why, sizeof(why));
	if (err)
		log_err("cannot steer connections of %s: %s", w->ifname, why);
	else
		keeper_hold(w->keeper, KEEPER_STEER, 0, steer_fd(w->steer));
	return err;
}

static int open_target(struct worker *w, unsigned int i)
{
	struct stack_port *port = &w->ports[i];
	int err;

	snprintf(port->name, sizeof(port->name), "tgt%u", i);
	err = stack_port_open(port, w->target_driver, w->module, loop_tick(w->loop));
	if (!err && port->target)
		keeper_hold(w->keeper, KEEPER_ARENA, i, arena_fd(port->target->arena));
	return err;
}

/* Of a loaded target nobody can say whether it has link: nic.h has no word for it. */
static int load_target(struct worker *w)
{
	char why[512] = "";
	int err = -EOPNOTSUPP;

	if (w->plan.has_team)
		snprintf(
			why, sizeof(why),
			"--target: a team (mux) has members of our own target only: leave out mux");
	else
		err = nrt_module_load(w->config->target, NRT_MODULE_TARGET, &w->module, why,
				      sizeof(why));
	if (err)
		log_err("%s", why);
	return err;
}

static int open_targets(struct worker *w)
{
	int err = w->config->target ? load_target(w) : tgt_driver_register(&w->target_driver);

	if (err && w->config->target)
		return err;
	for (unsigned int i = 0; i < w->port_count && !err; i++)
		err = open_target(w, i);
	if (err)
		log_err("cannot start the offload target: %s", strerror(-err));
	return err;
}

int daemon_ports_open(struct worker *w)
{
	struct host_nl_link top = { 0 };
	struct host_nl *nl;
	char why[256] = "";
	int err = im_plan_parse(&w->plan, w->config->im, w->config->ifname_count, why, sizeof(why));

	if (err) {
		log_err("%s", why);
		return err;
	}
	err = host_nl_open(&nl);
	if (err)
		return err;
	err = w->plan.has_team ? find_members(w, nl, &top) : find_single(w, nl, &top);
	host_nl_close(nl);
	if (err)
		return err;
	w->port_count = w->config->ifname_count;
	snprintf(w->ifname, sizeof(w->ifname), "%s", top.name);
	err = open_wires(w, &top);
	return err ? err : open_targets(w);
}

static void link_changed(void *ctx, const struct host_nl_event *event)
{
	struct worker *w = ctx;

	if (event->type != HOST_NL_LINK && event->type != HOST_NL_LINK_GONE)
		return;
	for (unsigned int i = 0; i < w->port_count; i++)
		if (w->ports[i].ifindex == event->u.link.ifindex)
			tgt_adapter_link(w->ports[i].target,
					 event->type == HOST_NL_LINK &&
						 host_nl_link_usable(&event->u.link));
}

/* Also after lost events, and at the beginning. */
static void look_at_links(struct worker *w)
{
	for (unsigned int i = 0; i < w->port_count; i++) {
		struct host_nl_link link;
		int err = host_nl_link_get(w->links, w->ports[i].ifindex, NULL, &link);

		tgt_adapter_link(w->ports[i].target, !err && host_nl_link_usable(&link));
	}
}

static void links_readable(struct loop_watch *watch, uint32_t events)
{
	struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, link_watch));

	(void)events;
	if (host_nl_events(w->links, link_changed, w) < 0)
		look_at_links(w);
}

/* Only a team does something about a lost link; alone, connections wait as the kernel's do. */
static int watch_links(struct worker *w)
{
	int err = host_nl_open(&w->links);

	if (err)
		return err;
	look_at_links(w);
	w->link_watch =
		(struct loop_watch){ .fn = links_readable, .fd = host_nl_event_fd(w->links) };
	return loop_watch_set(w->loop, &w->link_watch, EPOLLIN);
}

int daemon_ports_watch(struct worker *w)
{
	int err = w->plan.has_team ? watch_links(w) : 0;

	for (unsigned int i = 0; i < w->port_count && !err; i++)
		err = stack_port_watch(&w->ports[i], w->loop);
	return err;
}

/* ---- turns ---- */

void daemon_ports_run(struct worker *w, uint64_t now_us)
{
	nrt_verify_time(now_us);
	for (unsigned int i = 0; i < w->port_count; i++)
		stack_port_run(&w->ports[i], now_us);
}

uint64_t daemon_ports_deadline_us(const struct worker *w)
{
	uint64_t first_us = UINT64_MAX;

	for (unsigned int i = 0; i < w->port_count; i++) {
		uint64_t due_us = stack_port_deadline_us(&w->ports[i]);

		if (due_us < first_us)
			first_us = due_us;
	}
	return first_us;
}

void daemon_ports_expect(struct worker *w, const struct steer_flow *flow, bool on)
{
	for (unsigned int i = 0; i < w->port_count; i++)
		stack_port_expect(&w->ports[i], flow, on);
}

/* ---- the end ---- */

void daemon_targets_close(struct worker *w)
{
	bool all = true;

	if (w->links) {
		loop_unwatch(w->loop, &w->link_watch);
		host_nl_close(w->links);
	}
	for (unsigned int i = 0; i < w->port_count; i++)
		if (!stack_port_close(&w->ports[i], w->loop)) {
			log_err("the offload target of %s did not stop", w->ports[i].ifname);
			all = false;
		}
	if (all && w->target_driver)
		tgt_driver_deregister(w->target_driver);
	if (all)
		nrt_module_unload(w->module);
}

void daemon_wires_close(struct worker *w)
{
	steer_close(w->steer);
	for (unsigned int i = 0; i < w->port_count; i++)
		if (w->ports[i].nic)
			nic_close(w->ports[i].nic);
}
