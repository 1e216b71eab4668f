/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steer - sends the frames of offloaded flows to the target's TAP instead of the kernel's TCP.
 *
 * One struct steer serves one Ethernet interface and one TAP, or the members of a bond, each with a
 * TAP (chains ingress1, tap1 ... in the same table). It owns two nftables tables:
 *
 *   netdev "chimney-IF"   ingress of IF:   exact 4-tuple in set -> fwd to the TAP; all else goes on
 *                         ingress of TAP:  destination MAC is our own -> the kernel's own stack
 *                                          (non-offload receive path); all else -> fwd to IF
 *                         egress of IF:    IPv6 fragments of ours: identification below 2^31
 *   inet "chimney-IF"     output, before conntrack: exact 4-tuple in the quiet sets -> drop
 *                                          IPv4 that may be fragmented: identification below 2^15
 *                         input:           for a parked socket -> log, to be forwarded
 *
 * The upper halves of the identifications are the target's (IPI-05). What a kernel lacks of the
 * last three is left out.
 *
 * Only exact TCP 4-tuples are steered, so ARP, ND, ICMP and fragments never leave the kernel. The
 * ingress chain runs late: what the administrator's own ingress chains drop stays dropped.
 *
 * Both tables carry the owner flag: `nft flush ruleset` leaves them alone, nobody else can change
 * them, and they vanish when the last descriptor of their netlink socket is closed. Whoever must
 * outlive the daemon keeps a dup of steer_fd() and can go on with steer_adopt().
 *
 * Context: every call of one struct steer from one thread at a time, in the network namespace of
 * the interface. Calls that change flows take about 15 us and are synchronous: when they return 0,
 * the next frame sees the change. Kernel: 5.12 (owner flag), nf_tables netdev family, nft fwd.
 *
 * Read steer_nft.c for the tables, steer_msg.c for the prepared messages, steer_link.c for the TAP.
 */
#ifndef STEER_STEER_H
#define STEER_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct steer;

#define STEER_PORTS_MAX 8

struct steer_config {
	const char *ifname; /* the interface of the flows */
	const char *tap;    /* the TAP, created already and held open by the nic */
	uint8_t mac[6];     /* MAC of ifname; the TAP is given the same */
	uint32_t mtu_bytes; /* MTU of ifname; the TAP is given the same */
	/*
	 * Further members of the bond or bridge that ifname is a member of; mac and mtu_bytes are then
	 * those of the bond. Each has a TAP of its own, which its frames come from and go to.
	 */
	struct steer_pair {
		const char *ifname, *tap;
	} more[STEER_PORTS_MAX - 1];
	unsigned int more_count;
	bool member; /* ifname may belong to a bond or bridge, and mac is not its own */
};

/* One TCP connection as this host sees it. IPv4 uses the first 4 bytes of an address. */
struct steer_flow {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t local[16], remote[16];
	uint16_t local_port_be, remote_port_be; /* network byte order */
};

/*
 * steer_open() - prepares the TAP (MAC, MTU, silent, up), checks that a frame written to it can
 * reach the kernel's TCP, and installs the tables. Only where the namespace filters by reverse path
 * does the TAP get an address, 192.0.0.8 with scope host.
 * Returns: 0, or -errno with one line of reason in why. -EEXIST: another process steers ifname.
 */
int steer_open(struct steer **out, const struct steer_config *config, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/*
 * steer_adopt() - goes on with tables that another process opened, by its netlink socket.
 * Ownership: takes fd (a dup of steer_fd()), also on error. The other process must have stopped
 * using it: two readers of one socket steal each other's answers.
 */
int steer_adopt(struct steer **out, int fd, const struct steer_config *config)
	__attribute__((warn_unused_result));

/*
 * steer_flow_check() - can segments of this connection, caught by steering, be given back to its
 * socket through the TAP? bound_ifindex: SO_BINDTODEVICE of the socket, 0 none.
 * Returns: 0, or -EOPNOTSUPP with the reason in why.
 */
int steer_flow_check(const struct steer_flow *flow, uint32_t bound_ifindex, char *why,
		     size_t why_size) __attribute__((warn_unused_result));

/*
 * steer_add() / steer_del() - all flows of the call, or none.
 * Up to STEER_BATCH_FLOWS flows are one netlink batch; more are several, undone on failure.
 * Returns: 0; -EEXIST from add: one of them is steered already; -ENOENT from del: one of them is
 * not steered; -EINVAL: unknown family; other -errno from the kernel.
 */
#define STEER_BATCH_FLOWS 1024u
int steer_add(struct steer *st, const struct steer_flow *flows, unsigned count)
	__attribute__((warn_unused_result));
int steer_del(struct steer *st, const struct steer_flow *flows, unsigned count)
	__attribute__((warn_unused_result));

/*
 * steer_quiet_add() / steer_quiet_del() - locally generated packets of these flows are dropped
 * before conntrack sees them: while a socket of the kernel must stay silent, such as one whose
 * TIME_WAIT is being re-created. Frames of the target are not touched: they do not pass output.
 */
int steer_quiet_add(struct steer *st, const struct steer_flow *flows, unsigned count)
	__attribute__((warn_unused_result));
int steer_quiet_del(struct steer *st, const struct steer_flow *flows, unsigned count)
	__attribute__((warn_unused_result));

/*
 * steer_parked_mark() / steer_parked_group() - a socket that holds the address of an offloaded
 * connection carries this SO_MARK; TCP datagrams that reach the kernel's stack for such a socket
 * (reassembled from fragments, or with IP options) are copied, whole, to this NFLOG group. The
 * group is 0 when the kernel cannot (nft socket, nft log).
 */
#define STEER_PARKED_MARK 0x63000000u /* and the interface's index below */
uint32_t steer_parked_mark(const struct steer *st);
uint16_t steer_parked_group(const struct steer *st);

/* steer_set_mtu() - the interface has a new MTU: the TAP follows. */
int steer_set_mtu(struct steer *st, uint32_t mtu_bytes) __attribute__((warn_unused_result));

/* steer_fd() - the netlink socket that owns the tables; borrowed. */
int steer_fd(const struct steer *st);

/* steer_close() - deletes the tables, whoever else holds the socket. NULL is fine. */
void steer_close(struct steer *st);

/* steer_abandon() - forgets st and closes its descriptor; the tables stay while a dup is open. */
void steer_abandon(struct steer *st);

#endif
