/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_world.h - a whole installation in one thread and in virtual time:
 *
 *     peer P ---- link down ---> switch --+--> kernel H        "down": towards the host
 *                                         +--> target T
 *            <--- link up --------------------  H and T        "up": towards the peer
 *
 * P, H and T are three adapters of the same target driver, each with its engine. P is the other end
 * of every connection. H plays the TCP of the host's kernel, T is the offload target; both have one
 * MAC address and one IP address, and the switch gives frames of steered connections to T and all
 * others to H. Above the adapters sits one protocol driver (sim_host.h), which owns the
 * connections' ends (sim_sock.h).
 *
 * A team (config.team) puts further targets with nics of their own beside T, below the team driver;
 * the switch then gives the frames of steered connections to whichever of them world->port says.
 *
 * The clock jumps from one deadline to the next. Everything random comes from config.seed.
 */
#ifndef SIM_SIM_WORLD_H
#define SIM_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

#include "im/im_stack.h"
#include "im/mux/mux.h"
#include "nic/nic_sim.h"
#include "sim/sim_trace.h"

struct nic_edge;
struct nrt_module;
struct pcap_writer;
struct sim_host;
struct sim_op;
struct sim_sock;
struct tgt_adapter;

#define SIM_CONNS_MAX   4096
#define SIM_PEER_PORT   20000 /* plus the number of the connection */
#define SIM_HOST_PORT   443
#define SIM_TEAM_MAX    4    /* targets below a team, T among them */
#define SIM_TICKS_PER_S 1000 /* default of TicksPerSecond */

enum sim_place { SIM_PEER, SIM_KERNEL, SIM_TARGET, SIM_PLACES };
enum sim_family { SIM_V4, SIM_V6, SIM_FAMILIES };
enum sim_side { SIM_AT_PEER, SIM_AT_HOST, SIM_SIDES };

const char *sim_place_name(enum sim_place place);

struct sim_config {
	uint64_t seed;
	struct nic_sim_link_params up, down;
	uint32_t mtu_bytes;
	bool tso, gro;
	uint32_t rx_hold_us;   /* interrupt moderation of all nics */
	unsigned int passthru; /* intermediate drivers between the protocol driver and T */
	/* a list of drivers above T (im_stack.h), instead of those counted here; NULL: none */
	const char *im;
	unsigned int team; /* targets below a team driver in the place of T; 0: there is none */
	enum mux_mode team_mode;
	bool vlan; /* everything is in a VLAN, by drivers above every adapter */
	uint16_t vlan_id;
	uint8_t vlan_priority;
	unsigned int conns;        /* room for this many connections in each adapter */
	unsigned int target_conns; /* room in T if it is less; 0: conns */
	bool plain_receive;        /* frames for the host's stack come through NDIS, not past it */
	uint32_t tx_refuse_ppm;    /* how often a nic takes only a part of what it is given */
	/* data chunks an adapter; 0: enough for conns connections of moderate windows */
	uint32_t chunks;
	uint8_t quick_acks;    /* of tgt_adapter_config */
	const char *cc_name;   /* congestion control; NULL: the default */
	const char *pcap_path; /* capture of what leaves and reaches the peer; NULL: none */
	struct nrt_module *target_module; /* T is a loaded driver; NULL: our own target */
	FILE *echo;                       /* print the trace while it grows */
	/* look at the invariants of all targets at every n-th point of time; 0: never */
	unsigned int check_every;
};

/* sim_config_default() - a fast, clean link, MTU 1500, offloads on, one connection. */
void sim_config_default(struct sim_config *config, uint64_t seed);

/* An offloaded neighbor or path: its handle, and how many objects hang below it. */
struct sim_object {
	NDIS_OFFLOAD_HANDLE handle; /* MiniportOffloadContext is set while it is offloaded */
	unsigned int dependents;
};

/* One adapter as the protocol driver sees it. */
struct sim_binding {
	struct sim_world *world;
	enum sim_place place;
	unsigned int machine; /* see sim_machine() */
	bool cut;             /* its cable is out */
	struct nic *nic;
	struct tgt_adapter *adapter; /* NULL: a loaded driver's */
	struct nic_edge *edge;       /* of a loaded driver */
	char adapter_name[32];       /* the miniport */
	/* what the protocol driver bound to: the miniport, or the driver on top of it */
	char bind_name[32];
	NDIS_HANDLE handle; /* NdisBindingHandle */
	struct sim_object neighbor;
	struct sim_object path[SIM_FAMILIES];
	uint32_t path_mtu_bytes[SIM_FAMILIES];
	bool paused;                    /* the target asked not to offload anything for now */
	struct sim_op *ops, **ops_tail; /* first one is under way */
	uint8_t address[SIM_FAMILIES][16];
};

/* One connection: both ends, and who gets the host end's frames. */
struct sim_conn {
	struct sim_sock *sock[SIM_SIDES];
	enum sim_family family;
	bool steered; /* the switch gives its frames to T */
};

/* A call in the future, or after the present round. Embed it. */
struct sim_timer {
	void (*fn)(struct sim_timer *timer);
	uint64_t at_us;
	struct sim_timer *next;
	bool active;
};

struct sim_counts {
	uint64_t segments, bytes; /* seen at the peer's nic, both directions; wire bytes */
	uint64_t retransmits;     /* segments with payload whose bytes were on the wire before */
	uint64_t resets_to_peer, resets_from_peer;
	uint64_t held, injected, forwarded; /* frames caught in a hand-over, and where they went */
	uint64_t strays;                    /* frames nobody wanted */
	uint64_t time_wait_acks;
};

struct sim_world {
	unsigned int number; /* makes the names of its adapters unique */
	struct sim_config config;
	struct nic_sim_net net;
	struct nic_sim_rng rng; /* choices of hosts and applications */
	struct sim_trace trace;
	struct nic_sim_link up, down;
	struct nic_sim_switch sw;
	struct nic_sim_switch nowhere; /* end of a cable that is out */
	struct sim_binding bindings[SIM_PLACES];
	struct sim_binding spares[SIM_TEAM_MAX - 1]; /* targets beside T, below the team */
	unsigned int spare_count;
	/* To which target of the team (0: T) the switch gives a frame of a steered connection. */
	unsigned int (*port)(struct sim_world *world, const struct sim_conn *conn);
	struct sim_host *host;
	struct sim_conn conns[SIM_CONNS_MAX];
	unsigned int conn_count;
	struct sim_timer *timers; /* in the order of at_us */
	struct sim_counts counts;
	struct pcap_writer *pcap;
	unsigned int vlan_count;
	struct im_stack ims;  /* above the target */
	bool vlan_registered; /* by this world, for the other ends */
	/* Looks at every frame on the wire after the trace: checks of tests. NULL: nobody. */
	nic_sim_tap_fn *watch;
	void *watch_ctx;
	unsigned int points; /* of time so far */
	NDIS_STATUS refusal; /* of the last initiate that did not succeed */
	bool failed;         /* a check of the world's own failed; the note says which */
	char failure[160];
};

/* sim_world_create() - 0 or -errno; on failure nothing is left. */
int sim_world_create(struct sim_world **out, const struct sim_config *config);

/*
 * sim_world_destroy() - take everything apart. Returns 0, or -EBUSY when a driver still held
 * something that it should have given back (which the trace names).
 */
int sim_world_destroy(struct sim_world *world);

uint64_t sim_world_now(const struct sim_world *world);

/*
 * sim_world_step() - move to the next deadline and do everything that is due then.
 * Returns: false when nothing is due any more, or when the world failed.
 */
bool sim_world_step(struct sim_world *world);

/*
 * sim_world_run() - step until done(ctx), or until virtual time end_us. True when done() said so.
 */
bool sim_world_run(struct sim_world *world, uint64_t end_us, bool (*done)(void *ctx), void *ctx);

/*
 * sim_world_run_for() - step until that much virtual time is over; the clock then shows it exactly.
 */
void sim_world_run_for(struct sim_world *world, uint64_t us);

void sim_timer_set(struct sim_world *world, struct sim_timer *timer, uint64_t at_us);
void sim_timer_cancel(struct sim_world *world, struct sim_timer *timer);

/* sim_world_fail() - the run has gone wrong: remember the first reason and stop. */
void sim_world_fail(struct sim_world *world, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sim_note(struct sim_world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * sim_machine() - every adapter of the world: those of the places, then the spares. NULL behind the
 * last one.
 */
struct sim_binding *sim_machine(struct sim_world *world, unsigned int index);

/* sim_world_cable() - pull or plug the cable of a target of the team (0: T). It notices at once. */
void sim_world_cable(struct sim_world *world, unsigned int member, bool plugged);

/*
 * sim_world_conn_of() - the connection of a frame, NULL for anything else; *side is the end it is
 * for.
 */
struct sim_conn *sim_world_conn_of(struct sim_world *world, const struct nic_sim_view *view,
				   enum sim_side *side);

#endif
