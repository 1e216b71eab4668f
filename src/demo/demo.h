/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo.h - the main job, shown: live kernel connections go down the chimney and come back.
 *
 * Read demo_story.c for the order of events, demo_net.h for the picture of the two hosts.
 */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct demo_options {
	uint32_t connections;
	uint64_t bytes;     /* each way and connection */
	uint32_t mtu_bytes; /* 0: the kernel's choice */
	uint64_t seed;
	const char *pcap_path; /* NULL: none */
	const char *im;        /* intermediate drivers (im_stack.h), or NULL */
	const char *target;    /* path of an offload target that is loaded, or NULL */
	bool ipv4_only;        /* the target does no more; likewise */
	bool no_sack;
	bool sim;
	bool json;
	bool python; /* the connection of the unmodified program takes part */
};

enum demo_phase {
	DEMO_HOST_1,
	DEMO_CHIMNEY_1,
	DEMO_HOST_2,
	DEMO_CHIMNEY_2,
	DEMO_HOST_3,
	DEMO_CHIMNEY_3, /* half of the connections end here, closed while offloaded */
	DEMO_PHASES
};

struct demo_quantiles {
	uint32_t count;
	uint64_t p50_us, p99_us;
};

/* What happened in a phase, over all connections. */
struct demo_phase_account {
	uint64_t bytes; /* payload, both ways */
	uint64_t
		segments; /* TCP segments that the peers saw, both ways (a super-frame counts as its segments) */
	uint64_t retransmits;        /* by the peers */
	uint64_t gap_us;             /* longest time without data seen by a peer */
	struct demo_quantiles enter; /* how long the switches into this phase took */
	struct demo_quantiles
		frozen; /* the part of it in which the connection stood still; count 0: not known */
};

struct demo_account {
	uint32_t connections;
	uint32_t offloads, uploads, closed_offloaded;
	uint64_t bytes_each_way; /* all connections */
	uint32_t matched;        /* connections whose four hashes agree */
	uint32_t broken;
	uint64_t peer_resets; /* connections that a peer saw reset */
	uint64_t wire_resets; /* RST segments seen by the onlooker */
	uint64_t retransmits; /* by the target and by the peers */
	uint32_t retries;     /* hand-overs that had to be tried again */
	uint32_t time_wait;   /* sockets that the host keeps in TIME_WAIT at the end */
	struct demo_phase_account phase[DEMO_PHASES];
	struct demo_quantiles offload, upload; /* all switches of a direction */
	char tree[4096];                       /* a state tree as it went down, for people */
	char query[1024]; /* delegated state of a running connection, for people */
	bool python_ok, python_used;
	double seconds;
};

/* demo_main() - runs the demo and prints; exit status. */
int demo_main(const struct demo_options *options);

/*
 * The real story on namespaces and the same story on the simulated link; 0 or -errno with the
 * reason in why.
 */
int demo_story_run(const struct demo_options *options, struct demo_account *account, char *why,
		   size_t why_size);
int demo_sim_run(const struct demo_options *options, struct demo_account *account, char *why,
		 size_t why_size);

bool demo_account_good(const struct demo_account *account);
void demo_report_text(FILE *out, const struct demo_options *options,
		      const struct demo_account *account);
void demo_report_json(FILE *out, const struct demo_options *options,
		      const struct demo_account *account);

#endif
