/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker puts the parts together, bottom up: TAP, steering, the target's adapter, intermediate
 * drivers, the host driver bound to the top. Then it runs rounds: descriptors, then the engine. It
 * ends by giving every connection back to the kernel and taking the parts away, top down.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"
#include "ndis/nrt.h"
#include "steer/steer.h"

#define EXEC_POLL_US 500u

static int open_ims(struct worker *w)
{
	const char *targets[DAEMON_INTERFACES_MAX];
	char why[256] = "";
	int err;

	for (unsigned int i = 0; i < w->port_count; i++)
		targets[i] = w->ports[i].name;
	err = im_stack_open(&w->ims, &w->plan, "", targets, w->port_count, why, sizeof(why));
	if (err)
		log_err("%s", why);
	return err;
}

static void expect(void *ctx, const struct steer_flow *flow, bool on)
{
	daemon_ports_expect(ctx, flow, on);
}

static int hold(void *ctx, struct host_conn *conn, enum host_held kind, int fd)
{
	struct worker *w = ctx;
	struct daemon_conn *dc = host_conn_user(conn);
	enum keeper_kind kept = kind == HOST_HELD_STREAM ? KEEPER_STREAM : KEEPER_SOCKET;

	*(kind == HOST_HELD_SOCKET ? &dc->parked_fd : &dc->stream_fd) = fd;
	return fd < 0 ? keeper_release(w->keeper, kept, dc->id)
		      : keeper_hold(w->keeper, kept, dc->id, fd);
}

static int open_host(struct worker *w)
{
	struct host_config config = {
		.loop = w->loop, .on_change = daemon_conn_changed, .hold = hold, .ctx = w
	};
	struct host_adapter_config adapter = { .adapter_name = w->ims.top,
					       .ifindex = if_nametoindex(w->ifname),
					       .steer = w->steer,
					       .nic = w->ports[0].nic,
					       .expect = expect,
					       .ctx = w };
	char why[256] = "";
	int err = host_create(&w->host, &config);

	if (!err)
		err = host_adapter_open(w->host, &adapter, &w->adapter, why, sizeof(why));
	if (err)
		log_err("host driver on %s: %s", w->ims.top, why[0] ? why : strerror(-err));
	return err;
}

static void run_target(void *ctx, uint64_t now_us)
{
	daemon_ports_run(ctx, now_us);
}

static uint64_t target_deadline(void *ctx)
{
	return daemon_ports_deadline_us(ctx);
}

/* Threads that did not stop in time are let go as soon as they do. */
static void run_exec(void *ctx, uint64_t now_us)
{
	struct worker *w = ctx;

	w->exec_due_us = exec_pending() ? now_us + EXEC_POLL_US : UINT64_MAX;
}

static uint64_t exec_deadline(void *ctx)
{
	struct worker *w = ctx;

	return w->exec_due_us;
}

static void all_given_back(void *ctx, int err)
{
	struct worker *w = ctx;

	if (err)
		log_err("%d connections could not be given back to the kernel", -err);
	loop_stop(w->loop);
}

void worker_stop(struct worker *w)
{
	if (w->stopping)
		return;
	w->stopping = true;
	daemon_service_tell("STOPPING=1");
	host_set_offload(w->host, false);
	if (host_upload_all(w->host, UploadRequested, all_given_back, w) < 0)
		loop_stop(w->loop);
}

static void signalled(struct loop_watch *watch, uint32_t events)
{
	struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, signal_watch));
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		worker_stop(w);
}

static int open_loop(struct worker *w)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	w->signal_watch =
		(struct loop_watch){ .fn = signalled,
				     .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) };
	w->hook = (struct loop_hook){ .run = run_target,
				      .next_deadline_us = target_deadline,
				      .ctx = w };
	w->exec_hook =
		(struct loop_hook){ .run = run_exec, .next_deadline_us = exec_deadline, .ctx = w };
	w->exec_due_us = UINT64_MAX;
	err = loop_create(&w->loop);
	return err ? err : loop_watch_set(w->loop, &w->signal_watch, EPOLLIN);
}

static int open_policy(struct worker *w)
{
	char why[256] = "";
	int err = daemon_rules_load(w, why, sizeof(why));

	if (err)
		log_err("policy: %s", why);
	return err;
}

static int open_all(struct worker *w)
{
	int err = open_loop(w);

	if (!err)
		err = open_policy(w);
	if (!err)
		err = daemon_ports_open(w);
	if (!err)
		err = open_ims(w);
	if (!err)
		err = open_host(w);
	if (err)
		return err;
	err = daemon_ports_watch(w);
	loop_add_hook(w->loop, &w->hook);
	loop_add_hook(w->loop, &w->exec_hook);
	w->mode = w->config->mode;
	host_set_offload(w->host, w->mode != DAEMON_DISABLED);
	if (!err)
		err = daemon_watch_open(w);
	if (!err)
		err = daemon_ctl_open(w);
	return err ? err : daemon_confine();
}

static void close_all(struct worker *w)
{
	daemon_detach_free(w);
	daemon_ctl_close(w);
	daemon_socket_free(w);
	if (w->loop) {
		daemon_watch_close(w);
		loop_timer_cancel(w->loop, &w->policy_timer);
	}
	daemon_conns_free(w);
	if (w->adapter)
		host_adapter_close(w->adapter);
	if (w->host)
		host_destroy(w->host);
	if (im_stack_close(&w->ims) < 0)
		log_err("an intermediate driver did not stop");
	daemon_targets_close(w);
	daemon_wires_close(w);
	free(w->ghosts);
	host_select_free(w->policy);
	loop_destroy(w->loop);
}

int daemon_worker_run(void *config, struct keeper *keeper)
{
	struct worker w = { .config = config, .keeper = keeper };
	int err;

	prctl(PR_SET_NAME, "chimney-worker");
	exec_own_pid(getppid()); /* the keeper holds copies of descriptors, but is no holder */
	err = open_all(&w);
	if (!err) {
		daemon_service_tell("READY=1");
		err = loop_run(w.loop);
	}
	close_all(&w);
	return err ? 1 : 0;
}

int daemon_main(const struct daemon_config *config)
{
	int status = keeper_run(daemon_worker_run, (void *)(uintptr_t)config);

	return status < 0 ? 1 : status;
}
