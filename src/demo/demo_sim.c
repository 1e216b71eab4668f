/* SPDX-License-Identifier: BSD-2-Clause */
/* The same story in virtual time: two engines and a link in one process (src/sim). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "demo/demo.h"
#include "ndis/nrt_module.h"
#include "sim/sim_story.h"

static void copy_row(struct demo_phase_account *to, const struct sim_story_row *from)
{
	to->bytes += from->bytes;
	to->segments += from->segments;
	to->retransmits += from->retransmits;
}

static struct demo_quantiles copy_time(const struct sim_story_time *from)
{
	return (struct demo_quantiles){ .count = from->count,
					.p50_us = from->virtual_p50_us,
					.p99_us = from->virtual_p99_us };
}

static void copy_account(struct demo_account *a, const struct sim_story_account *sim)
{
	static const enum demo_phase phase_of[SIM_STORY_PHASES] = {
		[SIM_STORY_HOST] = DEMO_HOST_1,
		[SIM_STORY_OFFLOADED] = DEMO_CHIMNEY_1,
		[SIM_STORY_UPLOADED] = DEMO_HOST_2,
		[SIM_STORY_OFFLOADED_AGAIN] = DEMO_CHIMNEY_2,
		[SIM_STORY_UPLOADED_AGAIN] = DEMO_HOST_3,
		[SIM_STORY_LAST] = DEMO_CHIMNEY_3,
		[SIM_STORY_CLOSE] = DEMO_CHIMNEY_3,
	};

	a->connections = sim->connections;
	a->offloads = sim->offloads;
	a->uploads = sim->uploads;
	a->closed_offloaded = sim->closed_offloaded;
	a->bytes_each_way = sim->bytes_each_way * sim->connections;
	a->matched = sim->hashes_matched;
	a->broken = sim->connections - sim->hashes_matched;
	a->peer_resets = sim->resets;
	a->retransmits = sim->retransmits;
	a->offload = copy_time(&sim->offload);
	a->upload = copy_time(&sim->upload);
	a->seconds = (double)sim->virtual_us / 1e6;
	for (int p = 0; p < SIM_STORY_PHASES; p++)
		copy_row(&a->phase[phase_of[p]], &sim->phases[p]);
	a->phase[DEMO_CHIMNEY_1].gap_us =
		sim->max_gap_us; /* the longest of all phases; the story keeps one figure */
}

int demo_sim_run(const struct demo_options *options, struct demo_account *account, char *why,
		 size_t why_size)
{
	struct sim_story_config config;
	struct sim_story_account sim = { 0 };
	int err;

	sim_story_config_default(&config);
	config.seed = options->seed;
	config.connections = options->connections;
	config.bytes_each_way = options->bytes;
	config.pcap_path = options->pcap_path;
	config.im = options->im;
	config.ipv4_only = options->ipv4_only;
	if (options->mtu_bytes)
		config.mtu_bytes = options->mtu_bytes;
	err = options->target ? nrt_module_load(options->target, NRT_MODULE_TARGET,
						&config.target_module, why, why_size)
			      : 0;
	if (err)
		return err;
	err = sim_story_run(&config, &sim);
	nrt_module_unload(config.target_module);
	if (err)
		return err;
	copy_account(account, &sim);
	if (sim.ok)
		return 0;
	snprintf(why, why_size, "%s", sim.failure);
	return -EPROTO;
}
