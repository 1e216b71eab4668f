/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_case.h - one simulated run inside a test: a world, its connections, and checks that print the
 * seed and the end of the trace when they fail. Include after cmocka's headers.
 *
 * Environment: SIM_SEEDS (how many seeds the long tests try), SIM_FIRST (the first one), SIM_ECHO
 * (print every trace line: for looking at one seed), SIM_LINES (how many after a failure),
 * SIM_PASSTHRU (put so many intermediate drivers above the target).
 */
#ifndef TESTS_SIM_CASE_H
#define TESTS_SIM_CASE_H

#include "sim/sim_sock.h"
#include "sim/sim_world.h"
#include "target/tgt_driver.h"

#define CASE_S 1000000ull /* microseconds */

struct sim_case {
	struct sim_world *world;
	struct sim_sock *peer, *host; /* of the connection opened last */
	uint64_t seed;
	/* Time stamps of the host end in the order in which they left the machine (TSP-08). */
	uint32_t last_ts;
	bool ts_seen, ts_backwards;
	uint64_t ts_segments;
};

void case_begin(struct sim_case *c, const struct sim_config *config);
/* case_connect() - open a connection and wait until both ends are LIVE. */
void case_connect(struct sim_case *c, const struct sim_conn_config *config);
/*
 * case_plain() - a connection without surprises: IPv4 or IPv6, all options, big windows, posted
 * receives.
 */
void case_plain(struct sim_case *c, enum sim_family family);

/*
 * case_end() - destroy the world; everything must have been given back. Returns the trace's hash.
 */
uint64_t case_end(struct sim_case *c);

void case_check(struct sim_case *c, bool ok, const char *what, const char *file, int line);
#define CASE(c, cond) case_check(c, cond, #cond, __FILE__, __LINE__)
#define CASE_REQ(c, id, cond)                                                                      \
	do {                                                                                       \
		case_check(c, cond, id ": " #cond, __FILE__, __LINE__);                            \
		req_passed(id);                                                                    \
	} while (0)

/* Wait for something, at most so long (virtual); the case fails otherwise. */
typedef bool case_cond(struct sim_case *c);
void case_wait(struct sim_case *c, case_cond *cond, uint64_t us, const char *what, const char *file,
	       int line);
#define CASE_WAIT(c, cond, us) case_wait(c, cond, us, #cond, __FILE__, __LINE__)

bool case_live(struct sim_case *c);       /* both ends LIVE and no move wanted */
bool case_ended(struct sim_case *c);      /* both ends ENDED */
bool case_all_sent(struct sim_case *c);   /* both goals queued and acknowledged */
bool case_all_read(struct sim_case *c);   /* both streams read as far as they were sent */
bool case_host_moved(struct sim_case *c); /* the host end is LIVE with no move wanted, or ENDED */

/* case_move() - order a move of the host end and wait until it is over. */
void case_move(struct sim_case *c, enum sim_place to);

/* case_close() - both ends close, and everything must end in an orderly way. */
void case_close(struct sim_case *c);

/* case_scaled() - count times CHIMNEY_TEST_SCALE (1 when not set), at least 1. */
uint64_t case_scaled(uint64_t count);
uint64_t case_env(const char *name, uint64_t otherwise);

#endif
