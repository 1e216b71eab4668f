/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo/demo_net.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define WAIT_LINK_MS 5000
#define END_WAIT_US  1000000u

static int configure(struct netns *ns, const char *ifname, const char *v4, const char *v6)
{
	int err = netns_addr_add(ns, ifname, v4, 24);

	if (!err)
		err = netns_addr_add(ns, ifname, v6, 64);
	if (!err)
		err = netns_link_set_up(ns, ifname, 1);
	return err;
}

static int join(struct demo_net *net, uint32_t mtu_bytes)
{
	struct netns_veth_end host_end = { &net->host, DEMO_HOST_IF, NULL };
	struct netns_veth_end peer_end = { &net->peer, DEMO_PEER_IF, NULL };
	int err = netns_veth(&host_end, &peer_end, mtu_bytes);

	if (!err)
		err = configure(&net->host, DEMO_HOST_IF, DEMO_HOST_V4, DEMO_HOST_V6);
	if (!err)
		err = configure(&net->peer, DEMO_PEER_IF, DEMO_PEER_V4, DEMO_PEER_V6);
	if (!err)
		err = netns_wait_running(&net->host, DEMO_HOST_IF, WAIT_LINK_MS);
	if (!err)
		err = netns_wait_running(&net->peer, DEMO_PEER_IF, WAIT_LINK_MS);
	return err;
}

int demo_net_open(struct demo_net *net, uint32_t mtu_bytes, bool no_sack, char *why,
		  size_t why_size)
{
	int err;

	memset(net, 0, sizeof(*net));
	net->host.fd = net->peer.fd = -1;
	err = netns_become_admin(why, why_size);
	if (err < 0)
		return err;
	err = netns_new(&net->host);
	if (!err)
		err = netns_new(&net->peer);
	if (!err && no_sack)
		err = netns_sysctl_set(&net->host, "net/ipv4/tcp_sack", "0");
	if (!err)
		err = join(net, mtu_bytes);
	if (err)
		snprintf(why, why_size, "cannot build the two namespaces: %s", strerror(-err));
	return err;
}

pid_t demo_net_spawn(struct demo_net *net, const char *name, const struct netns *ns,
		     int (*fn)(void *arg), void *arg)
{
	pid_t parent = getpid(), pid;

	if (net->child_count == DEMO_CHILDREN_MAX)
		return -ENOSPC;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_IGN); /* the demo's own process decides what an interrupt ends */
		signal(SIGTERM, SIG_DFL);
		if (getppid() != parent || netns_switch(ns) < 0)
			_exit(127);
		exit(fn(arg));
	}
	net->children[net->child_count++] =
		(struct demo_child){ .pid = pid, .name = name, .status = -1 };
	return pid;
}

void demo_net_reap(struct demo_net *net)
{
	for (unsigned int i = 0; i < net->child_count; i++) {
		struct demo_child *c = &net->children[i];
		int status;

		if (c->status == -1 && waitpid(c->pid, &status, WNOHANG) == c->pid)
			c->status = status;
	}
}

struct demo_child *demo_net_child(struct demo_net *net, pid_t pid)
{
	for (unsigned int i = 0; i < net->child_count; i++)
		if (net->children[i].pid == pid)
			return &net->children[i];
	return NULL;
}

static int running(struct demo_net *net)
{
	int n = 0;

	demo_net_reap(net);
	for (unsigned int i = 0; i < net->child_count; i++)
		n += net->children[i].status == -1;
	return n;
}

static void signal_all(struct demo_net *net, int sig)
{
	for (unsigned int i = 0; i < net->child_count; i++)
		if (net->children[i].status == -1)
			kill(net->children[i].pid, sig);
}

void demo_net_close(struct demo_net *net)
{
	uint64_t until = clock_monotonic_us() + END_WAIT_US;

	signal_all(net, SIGTERM);
	while (running(net) && clock_monotonic_us() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	signal_all(net, SIGKILL);
	while (running(net))
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	netns_close(&net->host);
	netns_close(&net->peer);
}
