/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_net.h - the demo's two hosts: namespaces joined by a veth pair, and the processes that live
 * in them.
 *
 *      peers, capture                          server, python3, chimneyd
 *   +------------------+                     +---------------------------+
 *   |  peer namespace  | pr0 ========== ho0  |  host namespace           |
 *   |  10.77.0.2       |      veth           |  10.77.0.1   fd77::1      |
 *   |  fd77::2         |                     |  chimney0 (TAP)           |
 *   +------------------+                     +---------------------------+
 *
 * Everything belongs to this process and its children; when they end, however they end, nothing is
 * left.
 */
#ifndef DEMO_DEMO_NET_H
#define DEMO_DEMO_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "netns/netns.h"

#define DEMO_HOST_IF      "ho0"
#define DEMO_PEER_IF      "pr0"
#define DEMO_HOST_V4      "10.77.0.1"
#define DEMO_PEER_V4      "10.77.0.2"
#define DEMO_HOST_V6      "fd77::1"
#define DEMO_PEER_V6      "fd77::2"
#define DEMO_CHILDREN_MAX 8

struct demo_child {
	pid_t pid;
	const char *name;
	int status; /* as of waitpid(); -1 while it runs */
};

struct demo_net {
	struct netns host, peer;
	struct demo_child children[DEMO_CHILDREN_MAX];
	unsigned int child_count;
};

/* demo_net_open() - 0, or -errno with the reason in why. mtu_bytes 0: the kernel's choice. */
int demo_net_open(struct demo_net *net, uint32_t mtu_bytes, bool no_sack, char *why,
		  size_t why_size);

/*
 * demo_net_spawn() - run fn(arg) in a child process inside ns; its result is the exit status. The
 * child dies with us.
 * Returns:   the pid, or -errno.
 */
pid_t demo_net_spawn(struct demo_net *net, const char *name, const struct netns *ns,
		     int (*fn)(void *arg), void *arg);

/* demo_net_reap() - collect children that ended, without waiting. */
void demo_net_reap(struct demo_net *net);
struct demo_child *demo_net_child(struct demo_net *net, pid_t pid);

/* demo_net_close() - end what still runs (SIGTERM, then SIGKILL after a second) and wait for it. */
void demo_net_close(struct demo_net *net);

#endif
