/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_select.h - the policy: which connections may be offloaded.
 *
 * Rules are lines of text, read from top to bottom; the first that matches decides, and what no
 * rule matches stays in the host:
 *
 *     # comment
 *     keep    remote 10.0.0.0/8 local-port 22
 *     offload local-port 443 min-bytes 1M min-age 2s
 *     offload local-port 6379-6389
 *     offload remote fd00::/8
 *     offload program redis-server user redis max-rtt 20ms
 *     offload direction in interface eth0
 *
 * Conditions of a rule: local PREFIX, remote PREFIX, local-port N[-M], remote-port N[-M],
 * min-bytes SIZE (both directions together), min-rate SIZE (bytes a second over the life of the
 * connection), min-age TIME, max-rtt TIME, program NAME (of the executable file), user NAME or
 * number, direction in (the peer connected) or out (the program did), interface NAME (that its
 * packets leave by), or the word any. SIZE takes k, M or G; TIME takes ms or s.
 *
 * Context: any thread; a policy does not change once it is parsed, except for the counters of its
 * hits.
 */
#ifndef HOST_HOST_SELECT_H
#define HOST_HOST_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_select;

enum host_select_direction { HOST_SELECT_ANY_WAY, HOST_SELECT_IN, HOST_SELECT_OUT };

/*
 * What a rule looks at. Addresses as in struct steer_flow: as on the wire, IPv4 in the first four
 * bytes.
 */
struct host_select_facts {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t local[16], remote[16];
	uint16_t local_port, remote_port; /* host order */
	uint64_t age_ms;
	uint64_t bytes;
	uint64_t rtt_us;     /* smoothed; 0 while nothing is measured */
	const char *program; /* last part of the executable's path; NULL: not known */
	uint32_t uid;
	enum host_select_direction direction; /* ANY_WAY: not known, matches no direction */
	const char *interface;                /* NULL: not known */
};

struct host_select_verdict {
	bool offload;
	int rule; /* line of the rule that decided, 0: none matched */
};

/*
 * host_select_parse() - Returns 0; -EINVAL with line, word and what would be right in why; -ENOMEM.
 * Ownership: the caller frees *out with host_select_free().
 */
int host_select_parse(struct host_select **out, const char *text, char *why, size_t why_size)
	__attribute__((warn_unused_result));
void host_select_free(struct host_select *select);

/* host_select_asks_interface() - some rule does, so it is worth looking it up. */
bool host_select_asks_interface(const struct host_select *select);

void host_select_judge(struct host_select *select, const struct host_select_facts *facts,
		       struct host_select_verdict *verdict);

/* host_select_hits() - how often the rule of that line decided; 0 for other lines. */
uint64_t host_select_hits(const struct host_select *select, int rule);

#endif
