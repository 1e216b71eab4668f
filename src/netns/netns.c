/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Namespaces themselves: entering a user namespace, making, visiting and leaving network
 * namespaces. A namespace is only ever held by a descriptor, so nothing has to be cleaned up
 * when the process dies in whatever way.
 */
#include "netns/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#define NETNS_SELF "/proc/thread-self/ns/net"

static void say(char *why, size_t why_size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(char *why, size_t why_size, const char *fmt, ...)
{
	va_list ap;

	if (!why || !why_size)
		return;
	va_start(ap, fmt);
	vsnprintf(why, why_size, fmt, ap);
	va_end(ap);
}

static int has_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint32_t want = (1U << CAP_SYS_ADMIN) | (1U << CAP_NET_ADMIN) | (1U << CAP_NET_RAW);

	if (syscall(SYS_capget, &head, data) < 0)
		return 0;
	return (data[0].effective & want) == want;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int enter_user_ns(char *why, size_t why_size)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int err;

	/* The network namespace too: the first one is not ours, a thread could not return to it. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		err = -errno;
		say(why, why_size,
		    "not root and the kernel refuses a user and network namespace: "
		    "%s (see user.max_user_namespaces, kernel.unprivileged_userns_clone, "
		    "kernel.apparmor_restrict_unprivileged_userns)",
		    strerror(-err));
		return err;
	}
	/* Kernels before 3.19 have no setgroups file and need none. */
	err = write_file("/proc/self/setgroups", "deny");
	if (err == -ENOENT)
		err = 0;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (!err)
		err = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (!err)
		err = write_file("/proc/self/gid_map", map);
	if (err)
		say(why, why_size, "user namespace made, but its id maps are refused: %s",
		    strerror(-err));
	return err;
}

int netns_become_admin(char *why, size_t why_size)
{
	int err;

	if (has_caps())
		return 0;
	err = enter_user_ns(why, why_size);
	return err ? err : 1;
}

/* What the child of netns_probe() does; its exit is the answer. */
static int probe_child(char *why, size_t why_size)
{
	int err = netns_become_admin(why, why_size);

	if (err < 0)
		return err;
	if (unshare(CLONE_NEWNET) < 0) {
		err = -errno;
		say(why, why_size,
		    "the kernel refuses a network namespace: %s "
		    "(see user.max_net_namespaces)",
		    strerror(-err));
		return err;
	}
	return 0;
}

int netns_probe(char *why, size_t why_size)
{
	struct {
		int err;
		char text[240];
	} msg = { .err = -EIO };
	int pipe_fd[2];
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		msg.err = -errno;
	} else if (pid == 0) {
		msg.err = probe_child(msg.text, sizeof(msg.text));
		_exit(write(pipe_fd[1], &msg, sizeof(msg)) != (ssize_t)sizeof(msg));
	}
	close(pipe_fd[1]);
	if (pid > 0) {
		if (read(pipe_fd[0], &msg, sizeof(msg)) != (ssize_t)sizeof(msg))
			say(msg.text, sizeof(msg.text), "the namespace probe died");
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(pipe_fd[0]);
	if (msg.err)
		say(why, why_size, "%s", msg.text[0] ? msg.text : strerror(-msg.err));
	return msg.err;
}

static int open_rtnl(struct netns *ns)
{
	ns->rtnl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!ns->rtnl)
		return -errno;
	if (mnl_socket_bind(ns->rtnl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

int netns_here(struct netns *ns)
{
	int err;

	memset(ns, 0, sizeof(*ns));
	ns->fd = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
	if (ns->fd < 0)
		return -errno;
	err = open_rtnl(ns);
	if (err)
		netns_close(ns);
	return err;
}

int netns_new(struct netns *ns)
{
	int home, err;

	memset(ns, 0, sizeof(*ns));
	ns->fd = -1;
	home = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -errno;
	if (unshare(CLONE_NEWNET) < 0) {
		err = -errno;
		close(home);
		return err;
	}
	err = netns_here(ns);
	if (!err)
		err = netns_link_set_up(ns, "lo", 1);
	if (setns(home, CLONE_NEWNET) < 0 && !err)
		err = -errno;
	close(home);
	if (err)
		netns_close(ns);
	return err;
}

int netns_switch(const struct netns *ns)
{
	return setns(ns->fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* Visits ns; returns the descriptor that leads back, or -errno. */
static int visit(const struct netns *ns)
{
	int home = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
	int err;

	if (home < 0)
		return -errno;
	err = netns_switch(ns);
	if (err) {
		close(home);
		return err;
	}
	return home;
}

static int go_back(int home)
{
	int err = setns(home, CLONE_NEWNET) < 0 ? -errno : 0;

	close(home);
	return err;
}

int netns_socket(const struct netns *ns, int domain, int type, int protocol)
{
	int home = visit(ns);
	int fd, err;

	if (home < 0)
		return home;
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		fd = -errno;
	err = go_back(home);
	if (err && fd >= 0) {
		close(fd);
		fd = err;
	}
	return fd;
}

int netns_sysctl_set(const struct netns *ns, const char *path, const char *value)
{
	char full[160];
	int home, err, back;

	snprintf(full, sizeof(full), "/proc/sys/%s", path);
	home = visit(ns);
	if (home < 0)
		return home;
	err = write_file(full, value);
	back = go_back(home);
	return err ? err : back;
}

void netns_close(struct netns *ns)
{
	if (!ns)
		return;
	if (ns->rtnl)
		mnl_socket_close(ns->rtnl);
	ns->rtnl = NULL;
	if (ns->fd >= 0)
		close(ns->fd);
	ns->fd = -1;
}
