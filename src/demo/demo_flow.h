/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_flow.h - what the demo's processes share about each connection: one page-backed table,
 * mapped before they fork.
 *
 * Every member has one writer: an end writes its own side's counters, the story (the demo's own
 * process) writes what ends are allowed to do. Readers may see a value late, never torn.
 */
#ifndef DEMO_DEMO_FLOW_H
#define DEMO_DEMO_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum demo_side { DEMO_PEER, DEMO_SERVER, DEMO_SIDES };

enum demo_end_state {
	DEMO_END_NONE, /* no connection yet */
	DEMO_END_OPEN,
	DEMO_END_CLOSED, /* both directions finished in order */
	DEMO_END_BROKEN  /* error is set */
};

struct demo_end_report {
	_Atomic int state;     /* enum demo_end_state */
	_Atomic int error;     /* errno that broke the connection; ECONNRESET is a reset */
	_Atomic uint64_t sent; /* payload bytes given to the socket */
	_Atomic uint64_t rcvd;
	_Atomic uint64_t
		gap_us; /* longest time without a received byte, of those in which the other end
			    might send, since the story last cleared it */
	_Atomic uint64_t resumed_us; /* when the story let it send again; CLOCK_MONOTONIC */
	_Atomic uint32_t segs_in, segs_out, retransmits; /* from TCP_INFO; of the peer side only */
	uint8_t sha_sent[32], sha_rcvd[32];              /* valid once the state is CLOSED */
};

struct demo_flow {
	struct demo_end_report end[DEMO_SIDES];
	_Atomic uint64_t allow; /* each side may send so many bytes by now */
	_Atomic bool
		may_close;     /* the closing side may close once everything is sent and received */
	enum demo_side closer; /* which side closes first */
	bool ipv6;
	uint16_t peer_port; /* host order; written by the peer before its state is OPEN */
	uint64_t total;     /* bytes each way */
	uint64_t rate_bps;  /* each side sends at most so many bytes a second */
};

struct demo_table {
	uint32_t count;
	uint64_t seed;
	struct demo_flow flows[];
};

/* demo_flow_port() - TCP port of the demo's server. */
#define DEMO_PORT        7007
#define DEMO_PYTHON_PORT 7008

struct demo_table *demo_table_create(uint32_t count); /* shared memory, zeroed; NULL with errno */

#endif
