/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_netlink - what the kernel knows of links, routes, neighbours and TCP sockets.
 *
 * Look-ups are synchronous (one request, one answer, 2-10 us); changes arrive on an event socket
 * that the owner's loop watches. Neighbour state and path MTU become state objects from here;
 * events become update, invalidate and relink operations.
 *
 * Context: all calls of one struct host_nl from one thread; it sees the network namespace in which
 * it was opened. Addresses are in network byte order, IPv4 in the first 4 bytes.
 *
 * host_netlink.c has requests, host_netlink_decode.c the parsing, host_netlink_event.c the events,
 * host_netlink_sock.c the sockets.
 */
#ifndef HOST_HOST_NETLINK_H
#define HOST_HOST_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "steer/steer.h" /* struct steer_flow: a connection as this host sees it */

struct host_nl;

struct host_nl_addr {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];
};

int host_nl_open(struct host_nl **out) __attribute__((warn_unused_result));
void host_nl_close(struct host_nl *nl);

/* ---- links ---- */

struct host_nl_link {
	uint32_t ifindex;
	char name[16];
	char kind[16]; /* "veth", "vlan", "vrf", ...; empty for a plain device */
	uint8_t mac[6];
	uint16_t arphrd; /* ARPHRD_* */
	uint32_t flags;  /* IFF_* */
	uint32_t mtu_bytes;
	uint8_t operstate; /* IF_OPER_* */
	uint32_t master;   /* ifindex of bridge, bond or VRF; 0 none */
	uint32_t lower;    /* ifindex of the device below (VLAN) or the peer (veth); 0 none */
};

/* host_nl_link_get() - by index, or by name when ifindex is 0. -ENODEV when there is none. */
int host_nl_link_get(struct host_nl *nl, uint32_t ifindex, const char *name,
		     struct host_nl_link *out) __attribute__((warn_unused_result));

/* host_nl_link_usable() - up with carrier, as far as the kernel knows. */
bool host_nl_link_usable(const struct host_nl_link *link);

/* ---- routes ---- */

struct host_nl_route {
	uint8_t type; /* RTN_UNICAST, RTN_LOCAL, ... */
	uint32_t table;
	uint32_t ifindex;
	struct host_nl_addr next_hop; /* the destination itself when it is on the link */
	bool gatewayed;
	struct host_nl_addr source; /* that the kernel would choose */
	uint32_t mtu_bytes; /* path MTU: cached exception, route metric, else MTU of the link */
	bool mtu_locked;    /* the administrator forbids path MTU discovery */
	uint32_t mtu_expires_ms; /* remaining life of a learned path MTU; 0: not a learned one */
	uint32_t hop_limit;      /* 0: the default of the namespace */
};

/*
 * host_nl_route_get() - the route of packets of this connection (ports take part in the choice
 * among several next hops).
 * Returns: 0, -ENETUNREACH, -EHOSTUNREACH, -EACCES ... as the kernel answers.
 */
int host_nl_route_get(struct host_nl *nl, const struct steer_flow *flow, uint32_t mark,
		      struct host_nl_route *out) __attribute__((warn_unused_result));

/* ---- neighbours ---- */

struct host_nl_neigh {
	uint32_t ifindex;
	struct host_nl_addr addr;
	bool has_mac;
	uint8_t mac[6];
	uint16_t state;                                         /* NUD_* */
	uint8_t flags;                                          /* NTF_* */
	uint32_t confirmed_age_ms, used_age_ms, updated_age_ms; /* how long ago */
};

/* host_nl_neigh_get() - -ENOENT when the kernel has no entry. */
int host_nl_neigh_get(struct host_nl *nl, uint32_t ifindex, const struct host_nl_addr *addr,
		      struct host_nl_neigh *out) __attribute__((warn_unused_result));

/*
 * host_nl_neigh_probe() - ask the kernel to find out: resolves an absent or failed entry, sends
 * unicast probes now for one with a MAC. The result comes as an event.
 */
int host_nl_neigh_probe(struct host_nl *nl, uint32_t ifindex, const struct host_nl_addr *addr)
	__attribute__((warn_unused_result));

/*
 * host_nl_neigh_confirm() - the target saw forward progress: the entry becomes REACHABLE with an
 * age of 0, if it is still there, has this MAC and is not permanent.
 */
int host_nl_neigh_confirm(struct host_nl *nl, uint32_t ifindex, const struct host_nl_addr *addr,
			  const uint8_t mac[6]) __attribute__((warn_unused_result));

/* ---- events ---- */

enum host_nl_event_type {
	HOST_NL_LINK, /* new or changed */
	HOST_NL_LINK_GONE,
	HOST_NL_NEIGH,      /* new or changed */
	HOST_NL_NEIGH_GONE, /* also when a STALE entry was only collected */
	HOST_NL_ROUTE,      /* added or replaced: paths to the prefix have to be asked again */
	HOST_NL_ROUTE_GONE,
	HOST_NL_ADDR,
	HOST_NL_ADDR_GONE,
	HOST_NL_OVERRUN, /* events were lost: ask for everything again */
};

struct host_nl_prefix {
	struct host_nl_addr addr;
	uint8_t len;
	uint32_t table;   /* routes */
	uint32_t ifindex; /* 0: several or none */
};

struct host_nl_event {
	enum host_nl_event_type type;
	union {
		struct host_nl_link link;
		struct host_nl_neigh neigh;
		struct host_nl_prefix prefix; /* route or address */
	} u;
};

typedef void host_nl_event_fn(void *ctx, const struct host_nl_event *event);

/* host_nl_event_fd() - becomes readable when events wait. */
int host_nl_event_fd(const struct host_nl *nl);

/* host_nl_events() - reads what waits and calls fn for each; never blocks. 0 or -errno. */
int host_nl_events(struct host_nl *nl, host_nl_event_fn *fn, void *ctx)
	__attribute__((warn_unused_result));

/* ---- TCP sockets ---- */

struct host_nl_sock {
	struct steer_flow flow; /* a v4-mapped connection is shown as IPv4 */
	bool v4_mapped;         /* its socket is AF_INET6 */
	uint8_t state;          /* TCP_ESTABLISHED, ... */
	uint32_t inode, uid;
	uint32_t bound_ifindex; /* SO_BINDTODEVICE; 0 none */
	uint32_t mark;          /* SO_MARK, shown to CAP_NET_ADMIN only */
	uint32_t recv_queue_bytes, send_queue_bytes;
	uint64_t cookie;
};

/* Return non-zero to end the listing. */
typedef int host_nl_sock_fn(void *ctx, const struct host_nl_sock *sock);

/* host_nl_sock_list() - TCP sockets of both families whose state is in state_mask (1 << TCP_*). */
int host_nl_sock_list(struct host_nl *nl, uint32_t state_mask, host_nl_sock_fn *fn, void *ctx)
	__attribute__((warn_unused_result));

/* host_nl_sock_find() - the one socket of this connection; -ENOENT when there is none. */
int host_nl_sock_find(struct host_nl *nl, const struct steer_flow *flow, struct host_nl_sock *out)
	__attribute__((warn_unused_result));

#endif
