/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_conntrack - tells connection tracking what it will not see.
 *
 * While a connection is offloaded its segments pass conntrack by. When it comes back, conntrack
 * would call its segments INVALID, and a rule `ct state invalid drop` would stall it; when it is
 * closed while offloaded, the entry would stay ESTABLISHED for days. So at offload the entry is
 * made liberal (no window check) and its timeout long; at close its state is set or it is deleted.
 *
 * Context: one thread at a time; sees the network namespace in which it was opened; CAP_NET_ADMIN.
 * Kernel: ctnetlink. Only entries of zone 0 are found.
 */
#ifndef HOST_HOST_CONNTRACK_H
#define HOST_HOST_CONNTRACK_H

#include "host/host_netlink.h"

struct host_ct;

int host_ct_open(struct host_ct **out) __attribute__((warn_unused_result));
void host_ct_close(struct host_ct *ct);

struct host_ct_entry {
	bool nat;          /* addresses or ports are rewritten */
	bool helper;       /* an application helper reads the stream */
	bool flowtable;    /* the kernel's own software or hardware flow offload has it */
	bool liberal;      /* in both directions */
	uint8_t tcp_state; /* enum tcp_conntrack: TCP_CONNTRACK_ESTABLISHED, ... */
	uint32_t status;   /* IPS_* */
	uint32_t timeout_s;
};

/*
 * host_ct_get() - the entry of a connection, given as its socket sees it (either direction).
 * Returns: 0; -ENOENT: not tracked; -EOPNOTSUPP: this kernel has no ctnetlink.
 */
int host_ct_get(struct host_ct *ct, const struct steer_flow *flow, struct host_ct_entry *out)
	__attribute__((warn_unused_result));

/*
 * host_ct_check() - may this connection be offloaded as far as conntrack goes? Changes nothing.
 * Returns: 0 (also when nothing tracks it), or -errno with the reason in why: NAT, a helper, the
 * kernel's own flow offload, or a conntrack that cannot be spoken to.
 */
int host_ct_check(struct host_ct *ct, const struct steer_flow *flow, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/* host_ct_offloaded() - liberal and long-lived from now on. 0 also when nothing tracks it. */
int host_ct_offloaded(struct host_ct *ct, const struct steer_flow *flow)
	__attribute__((warn_unused_result));

/*
 * host_ct_set_state() - tcp_state is an enum tcp_conntrack; the entry lives timeout_s from now.
 * 0 also when nothing tracks it.
 */
int host_ct_set_state(struct host_ct *ct, const struct steer_flow *flow, uint8_t tcp_state,
		      uint32_t timeout_s) __attribute__((warn_unused_result));

/* host_ct_delete() - 0 also when nothing tracks it. */
int host_ct_delete(struct host_ct *ct, const struct steer_flow *flow)
	__attribute__((warn_unused_result));

#endif
