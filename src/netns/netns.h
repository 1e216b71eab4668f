/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netns - network namespaces, veth pairs, addresses and routes by raw rtnetlink.
 *
 * Used by the demo and by tests that need a private network: everything made here belongs to
 * the calling process and vanishes with it (a namespace lives as long as a descriptor or a
 * process holds it, and takes its interfaces along). No external program is started.
 *
 * Works as root and, where the kernel allows user namespaces, as an ordinary user; netns_probe()
 * says in words why it does not. Calls return 0 or -errno. One struct netns is used by one
 * thread at a time.
 *
 * Read netns.c for namespaces, netns_rtnl.c for what is configured in them.
 */
#ifndef NETNS_NETNS_H
#define NETNS_NETNS_H

#include <stddef.h>
#include <stdint.h>

struct mnl_socket;

struct netns {
	int fd;                  /* the namespace, O_CLOEXEC */
	struct mnl_socket *rtnl; /* NETLINK_ROUTE socket inside it */
	uint32_t seq;            /* last netlink sequence number used */
};

struct netns_veth_end {
	struct netns *ns;
	const char *ifname;
	const uint8_t *mac; /* 6 bytes, or NULL for a random one */
};

/*
 * netns_probe() - can this process make user (if needed) and network namespaces?
 * Context: any; forks one short-lived child, changes nothing in the caller.
 * Returns: 0, or -errno with one line of reason in why.
 */
int netns_probe(char *why, size_t why_size) __attribute__((warn_unused_result));

/*
 * netns_become_admin() - makes sure that the process may create and set up network namespaces.
 * Context: single-threaded process (a multi-threaded one gets -EINVAL from the kernel).
 * Does nothing when CAP_SYS_ADMIN and CAP_NET_ADMIN are there already; else enters a user
 * namespace of its own in which the caller is root (uid and gid maps of one entry), and an empty
 * network namespace that belongs to it.
 * Returns: 1 when these were entered, 0 when none was needed, or -errno with the
 * reason in why.
 */
int netns_become_admin(char *why, size_t why_size) __attribute__((warn_unused_result));

/* netns_new() - a fresh namespace with loopback up; the calling thread stays where it is. */
int netns_new(struct netns *ns) __attribute__((warn_unused_result));

/* netns_here() - describes the namespace that the calling thread is in. */
int netns_here(struct netns *ns) __attribute__((warn_unused_result));

/* netns_switch() - the calling thread continues in ns. */
int netns_switch(const struct netns *ns) __attribute__((warn_unused_result));

/* netns_socket() - socket(2) executed inside ns; the thread ends up where it was. Returns fd. */
int netns_socket(const struct netns *ns, int domain, int type, int protocol)
	__attribute__((warn_unused_result));

/*
 * netns_sysctl_set() - writes /proc/sys/PATH of ns, e.g. "net/ipv4/conf/all/rp_filter".
 * The thread visits ns for the length of the call.
 */
int netns_sysctl_set(const struct netns *ns, const char *path, const char *value)
	__attribute__((warn_unused_result));

/* netns_close() - gives back what netns_new() or netns_here() took; NULL and twice are fine. */
void netns_close(struct netns *ns);

/* netns_unique_ifname() - "prefix" + digits, unique on this machine with high odds; 15 chars. */
void netns_unique_ifname(char name[16], const char *prefix);

/*
 * netns_veth() - a veth pair, one end in each namespace, MTU mtu_bytes (0: the kernel's choice),
 * both ends still down, each with an IPv6 link-local address that needs no duplicate detection.
 */
int netns_veth(const struct netns_veth_end *a, const struct netns_veth_end *b, uint32_t mtu_bytes)
	__attribute__((warn_unused_result));

/* netns_ifindex() - interface index inside ns, or -errno. */
int netns_ifindex(struct netns *ns, const char *ifname) __attribute__((warn_unused_result));

/*
 * netns_addr_add() - adds "10.1.2.3" or "fd00::1" with its prefix length; an IPv6 address is
 * usable at once (IFA_F_NODAD).
 */
int netns_addr_add(struct netns *ns, const char *ifname, const char *addr, unsigned prefix_len)
	__attribute__((warn_unused_result));

int netns_link_set_up(struct netns *ns, const char *ifname, int up)
	__attribute__((warn_unused_result));
int netns_link_set_mtu(struct netns *ns, const char *ifname, uint32_t mtu_bytes)
	__attribute__((warn_unused_result));
int netns_link_del(struct netns *ns, const char *ifname) __attribute__((warn_unused_result));

/*
 * netns_route_add() - "dst"/prefix_len by way of gateway via (NULL: on link) through ifname,
 * with a path MTU of mtu_bytes (0: none). Replaces an equal route.
 */
int netns_route_add(struct netns *ns, const char *dst, unsigned prefix_len, const char *via,
		    const char *ifname, uint32_t mtu_bytes) __attribute__((warn_unused_result));

/* netns_neigh_set() - a neighbour entry of the given NUD_* state. */
int netns_neigh_set(struct netns *ns, const char *ifname, const char *addr, const uint8_t mac[6],
		    uint16_t nud_state) __attribute__((warn_unused_result));

/*
 * netns_wait_running() - returns when ifname is up and has carrier (operstate up or unknown).
 * Waits for link events, never by polling with sleeps. -ETIMEDOUT after timeout_ms.
 */
int netns_wait_running(struct netns *ns, const char *ifname, int timeout_ms)
	__attribute__((warn_unused_result));

#endif
