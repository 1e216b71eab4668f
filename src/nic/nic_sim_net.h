/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_sim_net.h - a network in virtual time: links and switches that pass packets from node to
 * node.
 *
 * Time is an integer count of microseconds that only nic_sim_net_run() moves; every random choice
 * comes from generators seeded by one number, so that a run can be repeated byte for byte. A node
 * is three functions: forward() takes a packet, next_run_at() says when the node has something to
 * do, run() does it. Endpoints (nic_sim.h) are nodes too.
 *
 * Context: one thread per network.
 */
#ifndef NIC_NIC_SIM_NET_H
#define NIC_NIC_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "nic/nic.h"

#define NIC_SIM_NEVER UINT64_MAX

/* splitmix64: one word of state, passes through all of it, good enough for choosing faults. */
struct nic_sim_rng {
	uint64_t state;
};

static inline void nic_sim_rng_seed(struct nic_sim_rng *rng, uint64_t seed)
{
	rng->state = seed * 0xd1342543de82ef95ull + 0x2545f4914f6cdd1dull;
}

static inline uint64_t nic_sim_rng_next(struct nic_sim_rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/*
 * nic_sim_rng_below() - 0..limit-1 (limit 0 gives 0). The bias of the remainder does not matter
 * here.
 */
static inline uint64_t nic_sim_rng_below(struct nic_sim_rng *rng, uint64_t limit)
{
	return limit ? nic_sim_rng_next(rng) % limit : 0;
}

/*
 * nic_sim_rng_hit() - true with the given probability in parts per million. Draws once in every
 * case.
 */
static inline bool nic_sim_rng_hit(struct nic_sim_rng *rng, uint32_t ppm)
{
	return nic_sim_rng_below(rng, 1000000) < ppm;
}

/* One frame on its way, with its bytes. Whoever holds it passes it on or frees it. */
struct nic_sim_packet {
	struct nic_sim_packet *next;
	uint64_t due_us;   /* when the node that holds it lets go of it */
	uint64_t serial;   /* order of creation in the network; breaks ties */
	uint32_t len;      /* bytes in data, from the Ethernet header on */
	uint16_t gso_size; /* set when the receiving endpoint merged segments */
	enum nic_gso gso_type;
	uint8_t data[];
};

/* What happened to a packet at a node; seen by the tap. */
enum nic_sim_fate {
	NIC_SIM_SENT,       /* left an endpoint, as it is on the wire */
	NIC_SIM_RECEIVED,   /* arrived at an endpoint, as it was on the wire */
	NIC_SIM_LOST,       /* random loss */
	NIC_SIM_MASKED,     /* dropped by the bit mask */
	NIC_SIM_RULED,      /* dropped by the rule */
	NIC_SIM_OVERFLOWED, /* the link's queue was full */
	NIC_SIM_TOO_BIG,    /* larger than the link's MTU */
	NIC_SIM_UNROUTED,   /* the switch knew no way */
	NIC_SIM_CORRUPTED,  /* passed on with one bit flipped */
	NIC_SIM_DUPLICATED, /* passed on twice */
	NIC_SIM_REORDERED,  /* passed on later than its place in line */
	NIC_SIM_MARKED,     /* passed on with congestion experienced set */
	NIC_SIM_FATES,
};
const char *nic_sim_fate_name(enum nic_sim_fate fate);

struct nic_sim_net;

struct nic_sim_node {
	const char *name;
	struct nic_sim_net *net;
	struct nic_sim_node *next;
	/*
	 * forward() takes the packet. Called at net->now_us, from run() of another node or from
	 * nic_send().
	 */
	void (*forward)(struct nic_sim_node *node, struct nic_sim_packet *packet);
	uint64_t (*next_run_at)(const struct nic_sim_node *node); /* NIC_SIM_NEVER: nothing to do */
	void (*run)(struct nic_sim_node *node);
};

typedef void nic_sim_tap_fn(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
			    const struct nic_sim_packet *packet);

struct nic_sim_net {
	uint64_t now_us;
	uint64_t serial;
	/* Seeds the generators of links and endpoints, in the order of their making. */
	struct nic_sim_rng rng;
	struct nic_sim_node *nodes;
	nic_sim_tap_fn *tap; /* sees every fate of every packet; may be NULL */
	void *tap_ctx;
};

void nic_sim_net_init(struct nic_sim_net *net, uint64_t seed);

/* nic_sim_net_next() - earliest time at which a node has something to do. */
uint64_t nic_sim_net_next(const struct nic_sim_net *net);

/*
 * nic_sim_net_run() - move the clock to now_us, which never goes back, and run every node that is
 * due.
 */
void nic_sim_net_run(struct nic_sim_net *net, uint64_t now_us);

/*
 * nic_sim_net_add() - for makers of nodes: append to the list, which fixes the order of nodes due
 * at one time.
 */
void nic_sim_net_add(struct nic_sim_net *net, struct nic_sim_node *node);
void nic_sim_net_tap(struct nic_sim_net *net, const struct nic_sim_node *node,
		     enum nic_sim_fate fate, const struct nic_sim_packet *packet);

/* Packets. NULL only when the system has no memory. */
struct nic_sim_packet *nic_sim_packet_new(struct nic_sim_net *net, uint32_t len);
struct nic_sim_packet *nic_sim_packet_copy(struct nic_sim_net *net,
					   const struct nic_sim_packet *packet);
void nic_sim_packet_free(struct nic_sim_packet *packet);

/* The rule's word on one packet. Everything but PASS replaces the random choice of that kind. */
enum nic_sim_verdict {
	NIC_SIM_PASS,
	NIC_SIM_DROP,
	NIC_SIM_DUPLICATE,
	NIC_SIM_CORRUPT,
	NIC_SIM_DELAY, /* by reorder_us */
};
typedef enum nic_sim_verdict nic_sim_rule_fn(void *ctx, const struct nic_sim_packet *packet);

/* One direction of a link. Any member may be changed between runs; zero turns a feature off. */
struct nic_sim_link_params {
	uint64_t bits_per_s;  /* 0: packets take no time to send */
	uint32_t delay_us;    /* propagation */
	uint32_t queue_bytes; /* room for bytes that wait to be sent; 0: no limit */
	uint32_t mark_bytes;  /* queue length from which ECN-capable packets are marked; 0: never */
	uint32_t mtu_bytes;   /* larger IP packets are dropped; 0: no limit */
	uint32_t loss_ppm;
	uint32_t duplicate_ppm;
	uint32_t corrupt_ppm;
	uint32_t reorder_ppm;
	uint32_t reorder_us;     /* a reordered packet comes up to this much later */
	uint64_t drop_mask;      /* packet n is dropped when bit n % drop_mask_bits is set */
	uint32_t drop_mask_bits; /* 1..64; 0: no mask */
	nic_sim_rule_fn *rule;
	void *rule_ctx;
};

struct nic_sim_link_stats {
	uint64_t packets, bytes; /* offered */
	uint64_t fates[NIC_SIM_FATES];
};

struct nic_sim_link {
	struct nic_sim_node node;
	struct nic_sim_node *to;
	struct nic_sim_link_params params;
	struct nic_sim_link_stats stats;
	struct nic_sim_rng rng;
	uint64_t busy_until_ns;             /* the sender is busy with earlier packets until then */
	struct nic_sim_packet *head, *tail; /* in the order of due_us, then serial */
};

/* nic_sim_link_init() - a link into node to. name is borrowed. */
void nic_sim_link_init(struct nic_sim_link *link, struct nic_sim_net *net, const char *name,
		       struct nic_sim_node *to, const struct nic_sim_link_params *params);
/* nic_sim_link_clear() - free what is on its way. */
void nic_sim_link_clear(struct nic_sim_link *link);

/* A switch without delay: route() names the node that gets a packet, NULL drops it. */
typedef struct nic_sim_node *nic_sim_route_fn(void *ctx, const struct nic_sim_packet *packet);
struct nic_sim_switch {
	struct nic_sim_node node;
	nic_sim_route_fn *route;
	void *ctx;
};
void nic_sim_switch_init(struct nic_sim_switch *sw, struct nic_sim_net *net, const char *name,
			 nic_sim_route_fn *route, void *ctx);

#endif
