/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this machine lacks, tried rather than guessed: each line is one thing that the daemon or
 * the supervisor does, done once.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

/* Whether it worked, with errno of the moment; the descriptor, if any, is closed. */
static int result_of(bool worked, int fd)
{
	int err = worked ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	return err;
}

static int fd_result(int fd)
{
	return result_of(fd >= 0, fd);
}

static int try_repair(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	return result_of(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0,
			 fd);
}

static int try_tun(void)
{
	return fd_result(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
}

static int try_packet(void)
{
	return fd_result(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int try_nftables(void)
{
	return fd_result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
}

static int try_socket_events(void)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return result_of(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, fd);
}

static int try_notification(void)
{
	__u32 action = SECCOMP_RET_USER_NOTIF;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

/* A child is looked into as a program would be. */
static int try_ptrace(void)
{
	pid_t pid = fork();
	int err, pidfd;

	if (pid < 0)
		return -errno;
	if (!pid)
		for (;;)
			pause();
	err = ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ? -errno : 0;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (!err && pidfd < 0)
		err = -errno;
	if (!err)
		err = fd_result((int)syscall(SYS_pidfd_getfd, pidfd, 0, 0));
	if (pidfd >= 0)
		close(pidfd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
	return err == -EBADF ? 0 : err;
}

static const struct check {
	const char *name;
	int (*try)(void);
	const char *mend;
} checks[] = {
	{ "tcp-repair", try_repair,
	  "run as root or with CAP_NET_ADMIN; kernel with CONFIG_CHECKPOINT_RESTORE" },
	{ "tap", try_tun, "modprobe tun; as an ordinary user: a namespace by unshare -Urn" },
	{ "packet-socket", try_packet, "run as root or with CAP_NET_RAW" },
	{ "nftables", try_nftables, "modprobe nf_tables nft_fwd_netdev" },
	{ "socket-events", try_socket_events, "modprobe tcp_diag; run with CAP_NET_ADMIN" },
	{ "ptrace", try_ptrace, "CAP_SYS_PTRACE, or sysctl kernel.yama.ptrace_scope=0" },
	{ "user-notification", try_notification,
	  "kernel 5.0 or newer with CONFIG_SECCOMP_FILTER (chimney exec needs it)" },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*(int *)state->input = 1;
	return 0;
}

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "the answer as JSON", 0 },
	{ 0 },
};

static json_t *run_all(int *missing)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		int err = checks[i].try();

		*missing += err != 0;
		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:s, s:s}", "name", checks[i].name,
						"ok", !err, "error", err ? strerror(-err) : "",
						"mend", err ? checks[i].mend : ""));
	}
	return list;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "What is missing on this machine, and how to mend it. Status 1: something "
		       "is.",
	};
	int as_json = 0, missing = 0;
	json_t *list, *c;
	size_t i;

	argp_parse(&argp, argc, argv, 0, NULL, &as_json);
	list = run_all(&missing);
	if (as_json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		json_array_foreach(list, i, c)
		{
			const char *mend = json_string_value(json_object_get(c, "mend"));

			printf("%-18s %s%s%s%s\n", json_string_value(json_object_get(c, "name")),
			       *mend ? "missing: " : "ok",
			       json_string_value(json_object_get(c, "error")),
			       *mend ? "; mend: " : "", mend);
		}
	}
	json_decref(list);
	return missing ? 1 : 0;
}
