/* SPDX-License-Identifier: BSD-2-Clause */
/* packet.h - between segments of a script and frames on the simulated wire. */
#ifndef TESTS_SCRIPTS_PACKET_H
#define TESTS_SCRIPTS_PACKET_H

#include "nic/nic_sim_frame.h"
#include "script.h"

/* The connection as the peer of a script sees it. */
struct packet_flow {
	const struct script *script;
	struct sim_world *world;
	struct sim_sock *sock; /* of the host */
	uint32_t ts_echo;      /* last timestamp of the host */
	uint64_t start_us;
};

/* A segment that left the host. Numbers are relative. */
struct packet_seen {
	struct packet_seen *next;
	uint64_t at_us;
	struct script_segment seg;
	bool data_ok; /* payload is what the application sent */
	bool sound;   /* checksums hold */
};

/* packet_build() - the frame that the peer puts on the wire. NULL: no memory. */
struct nic_sim_packet *packet_build(const struct packet_flow *flow,
				    const struct script_segment *seg);

/* packet_read() - take a frame of the host apart. NULL when it is not of this connection. */
struct packet_seen *packet_read(struct packet_flow *flow, const struct nic_sim_packet *packet);

/* packet_text() - as a script would write it. */
void packet_text(const struct script_segment *seg, char *out, size_t room);

#endif
