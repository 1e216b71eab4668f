/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_story.h - the demonstration on the simulated link: connections with data in both directions
 * the whole time go host -> offload -> upload -> offload -> upload, half of them -> offload once
 * more, and close from either side.
 */
#ifndef SIM_SIM_STORY_H
#define SIM_SIM_STORY_H

#include <stdbool.h>
#include <stdint.h>

enum sim_story_phase {
	SIM_STORY_HOST,
	SIM_STORY_OFFLOADED,
	SIM_STORY_UPLOADED,
	SIM_STORY_OFFLOADED_AGAIN,
	SIM_STORY_UPLOADED_AGAIN,
	SIM_STORY_LAST, /* offloaded a third time, or still in the kernel */
	SIM_STORY_CLOSE,
	SIM_STORY_PHASES,
};

struct sim_story_config {
	uint64_t seed;
	unsigned int connections; /* even numbers are IPv4, odd ones IPv6 */
	uint64_t bytes_each_way;  /* per connection and direction */
	uint32_t mtu_bytes;
	uint32_t loss_ppm; /* both directions */
	const char *im;    /* intermediate drivers above the target (im_stack.h); NULL: none */
	struct nrt_module *target_module; /* a loaded target; NULL: ours */
	bool ipv4_only;
	const char *pcap_path; /* what went over the peer's wire; NULL: no capture */
};

void sim_story_config_default(struct sim_story_config *config);

struct sim_story_time {
	unsigned int count;
	uint64_t virtual_p50_us,
		virtual_p99_us; /* with the host's own steps in between, see move_delay_us */
	uint64_t real_p50_us,
		real_p99_us; /* processor time of this machine, everything else included */
};

struct sim_story_row {
	uint64_t bytes;    /* read by applications, both directions */
	uint64_t segments; /* on the peer's wire, both directions */
	uint64_t retransmits;
	uint64_t virtual_us;
};

struct sim_story_account {
	unsigned int connections, connections_v6;
	unsigned int offloads, uploads; /* of the four hand-overs that every connection makes */
	unsigned int closed_offloaded;  /* offloaded once more and closed there */
	/* connections whose two streams arrived byte for byte, by digest */
	unsigned int hashes_matched;
	const char *hash_name; /* "SHA-256", or the small one where no crypto library is built in */
	unsigned int resets;
	uint64_t bytes_each_way; /* smallest stream that arrived */
	uint64_t segments, retransmits;
	uint64_t max_gap_us; /* longest wait of a peer for the next new data */
	struct sim_story_time offload, upload;
	struct sim_story_row phases[SIM_STORY_PHASES];
	uint64_t virtual_us, trace_hash;
	bool ok;
	char failure[200];
};

/*
 * sim_story_run() - the whole story. Blocks for its real time; prints nothing.
 * Returns: 0 and a full account (look at ok), or -errno when the world could not be made.
 */
int sim_story_run(const struct sim_story_config *config, struct sim_story_account *account);

#endif
