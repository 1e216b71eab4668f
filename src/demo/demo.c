/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo/demo.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "demo/demo_target.h"
#include "im/im_stack.h"
#include "netns/netns.h"

/* Without namespaces the story is told on the simulated link, and the reason is said. */
static void choose(struct demo_options *o)
{
	char why[256] = "";

	if (!o->sim && netns_probe(why, sizeof(why)) < 0) {
		fprintf(stderr,
			"chimney demo: no namespaces here (%s): the story is told on the simulated "
			"link\n",
			why);
		o->sim = true;
	}
	if (o->python && !o->sim && access("/usr/bin/python3", X_OK) < 0) {
		fprintf(stderr,
			"chimney demo: no /usr/bin/python3: the unmodified program is left out\n");
		o->python = false;
	}
	if (o->sim)
		o->python = false;
}

/* A target without IPv6 or SACK gets connections without them. */
static int check_target(struct demo_options *o, const struct im_plan *plan, char *why,
			size_t why_size)
{
	struct demo_target_can can = { .ipv4 = false };
	int err;

	if (plan->has_team) {
		snprintf(
			why, why_size,
			"--target: a team (mux) has members of our own target only: leave out mux");
		return -EOPNOTSUPP;
	}
	err = demo_target_try(o->target, &can, why, why_size);
	if (err)
		return err;
	o->ipv4_only = !can.ipv6;
	o->no_sack = !can.sack;
	if (o->ipv4_only || o->no_sack)
		fprintf(stderr,
			"chimney demo: %s does not announce %s%s%s: connections do without\n",
			o->target, o->ipv4_only ? "IPv6" : "",
			o->ipv4_only && o->no_sack ? " and " : "",
			o->no_sack ? "selective acknowledgment" : "");
	return 0;
}

/*
 * The demo's hosts have one link without VLANs; a team and a VLAN of its own are for the simulated
 * link, or for the daemon where the interfaces are.
 */
static int check_drivers(struct demo_options *o, char *why, size_t why_size)
{
	struct im_plan plan;
	int err = im_plan_parse(&plan, o->im, im_list_targets(o->im), why, why_size);

	if (!err)
		err = im_plan_try_load(&plan, why, why_size);
	if (!err && o->target)
		err = check_target(o, &plan, why, why_size);
	if (err || o->sim || (!plan.has_team && !plan.vlan_id))
		return err;
	snprintf(why, why_size,
		 "--im '%s': the two hosts have one link without VLANs; add --sim, or use the "
		 "daemon on %s",
		 o->im, plan.has_team ? "the members of a bond" : "a VLAN interface");
	return -EINVAL;
}

int demo_main(const struct demo_options *options)
{
	struct demo_options o = *options;
	struct demo_account account = { 0 };
	char why[512] = "";
	int err;

	choose(&o);
	if (check_drivers(&o, why, sizeof(why)) < 0) {
		fprintf(stderr, "chimney demo: %s\n", why);
		return 2;
	}
	err = o.sim ? demo_sim_run(&o, &account, why, sizeof(why))
		    : demo_story_run(&o, &account, why, sizeof(why));
	if (err == -EINTR)
		return 130;
	if (err)
		fprintf(stderr, "chimney demo: %s\n", why[0] ? why : strerror(-err));
	if (o.json)
		demo_report_json(stdout, &o, &account);
	else if (!err)
		demo_report_text(stdout, &o, &account);
	return !err && demo_account_good(&account) ? 0 : 1;
}
