/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - chimneyd: one worker process with adapters, drivers, engine and host driver, under a
 * keeper.
 *
 * Read daemon_worker.c for how the parts are put together and daemon_ctl.c for the operations on
 * the control socket.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

/* Who decides on an offload. */
enum daemon_mode {
	DAEMON_MANUAL, /* requests only */
	DAEMON_DISABLED,
	DAEMON_ENABLED,   /* what the policy matches, at once */
	DAEMON_AUTOMATIC, /* of that, what is heavy and near */
};
const char *daemon_mode_name(enum daemon_mode mode);
int daemon_mode_parse(const char *name, enum daemon_mode *out); /* -1: no such mode */

#define DAEMON_INTERFACES_MAX 8

struct daemon_config {
	/* interface whose connections may be offloaded, or the members of a bond: a team needs them */
	const char *ifnames[DAEMON_INTERFACES_MAX];
	unsigned int ifname_count;
	const char *im; /* intermediate drivers from top to bottom, comma separated; NULL: none */
	const char *target;       /* path of an offload target that is loaded; NULL: ours */
	const char *policy;       /* text of the rules (host_select.h) */
	const char *control_path; /* unix socket to listen on, or NULL */
	enum daemon_mode mode;
	int control_fd; /* an already connected client, or -1 */
};

/*
 * daemon_main() - run keeper and worker until SIGTERM, SIGINT or the end of the last client on
 * control_fd. At the end every connection is given back to the kernel.
 * Context:   single-threaded process inside the network namespace to serve, with CAP_NET_ADMIN,
 *            CAP_NET_RAW and CAP_SYS_PTRACE there.
 * Returns:   exit status.
 */
int daemon_main(const struct daemon_config *config);

#endif
