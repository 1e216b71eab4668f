/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certify_case.h - one case: a simulated world with the target in question, what was seen on the
 * wire, and checks by requirement id.
 */
#ifndef CERTIFY_CERTIFY_CASE_H
#define CERTIFY_CERTIFY_CASE_H

#include <stdio.h>

#include "sim/sim_sock.h"
#include "sim/sim_world.h"

#define CERT_S           1000000ull /* microseconds */
#define CERT_TRACE_LINES 40u

/* What the target under test did on the wire, by rule: NULL as long as the rule was kept. */
struct cert_wire {
	uint64_t segments, data_segments, pure_acks, resets, fins;
	uint32_t unacked, unacked_most; /* data segments that came in since the last ACK went out */
	bool last_data_pushed;
	uint32_t peer_ts; /* newest timestamp of the peer */
	bool peer_ts_seen;
	uint32_t peer_end; /* behind everything the peer has sent, its FIN included */
	bool peer_end_seen;
	uint32_t last_ts;
	bool ts_seen;
	uint32_t window_end; /* right edge that the target has advertised */
	bool window_seen;
	uint32_t peer_window_end; /* that the peer has */
	bool peer_window_seen;
	uint32_t longest_frame;
	const char *broken_id; /* the first rule that was broken */
	char broken[120];
};

struct cert {
	struct nrt_module *module; /* NULL: the target that is built in */
	struct sim_world *world;
	struct sim_sock *peer, *host;
	struct cert_wire wire;
	bool may_reset; /* the host asked for an RST */
	FILE *results;  /* one line a check */
	bool failed;
	const char *ids; /* of the case; the first takes failures that name no other */
};

struct cert_case {
	const char *name;
	const char *ids; /* all that it checks; the first stands for the whole */
	void (*run)(struct cert *c);
};

extern const struct cert_case cert_cases[];
extern const unsigned int cert_case_count;

/* cert_check() - note a check of the requirement. False: it failed, the case is over. */
bool cert_check(struct cert *c, const char *id, bool ok, const char *what);
#define NEED(c, id, cond)                                                                          \
	do {                                                                                       \
		if (!cert_check(c, id, cond, #cond))                                               \
			return;                                                                    \
	} while (0)

/* cert_skip() - the case asks for what this target does not announce; why says what. */
void cert_skip(struct cert *c, const char *why);

/* cert_announced() - what the target says its hardware can do. */
const NDIS_TCP_CONNECTION_OFFLOAD *cert_announced(const struct cert *c);

/* cert_open() - a world and a connection in it, LIVE at both ends, in the kernel's hands. */
bool cert_open(struct cert *c, const struct sim_config *config, const struct sim_conn_config *conn);
/* cert_close() - what the wire says, then the world's end: nothing may be left in the driver. */
void cert_close(struct cert *c);

typedef bool cert_cond(struct cert *c);
bool cert_wait(struct cert *c, cert_cond *cond, uint64_t us);

#endif
