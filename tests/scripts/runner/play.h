/* SPDX-License-Identifier: BSD-2-Clause */
/* play.h - a script that is being played: shared by play.c (time and segments) and command.c. */
#ifndef TESTS_SCRIPTS_PLAY_H
#define TESTS_SCRIPTS_PLAY_H

#include "packet.h"

struct play {
	const struct script *script;
	struct packet_flow flow;
	struct sim_world *world;
	struct sim_sock *sock;
	struct nic_sim_node node; /* the peer */
	struct packet_seen *seen, **seen_tail;
	uint64_t last_us; /* time of the event before */
	const struct script_event *event;
	struct script_error *error;
};

/* play_fail() - note why the script failed, unless something was noted before. Returns -1. */
int play_fail(struct play *play, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* play_settle() - do what is due now. */
void play_settle(struct play *play);

/* play_nothing_seen() - 0, or -1 when a segment waits that no line expects. */
int play_nothing_seen(struct play *play);

/* play_command() - one command or check. 0 or -1. */
int play_command(struct play *play, const struct script_event *event);

#endif
