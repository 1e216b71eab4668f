/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Letting go of a process: its connections go back to the kernel, and then out of the table. The
 * request is answered when the last of them has left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

struct daemon_detach {
	struct worker *worker;
	struct daemon_client *client; /* may be gone by the time of the answer */
	json_int_t tag;
	pid_t pid;
	unsigned int total, failed;
	char why[HOST_WHY_BYTES];
	struct daemon_detach *next;
};

static struct daemon_detach *detach_of(struct worker *w, pid_t pid)
{
	struct daemon_detach *d = w->detaches;

	while (d && d->pid != pid)
		d = d->next;
	return d;
}

static bool under_way(const struct daemon_detach *d)
{
	for (struct daemon_conn *dc = d->worker->conns; dc; dc = dc->next)
		if (dc->pid == d->pid && dc->leaving)
			return true;
	return false;
}

static void finish(struct daemon_detach *d)
{
	json_t *msg;

	if (d->failed) {
		char text[HOST_WHY_BYTES + 80];

		snprintf(text, sizeof(text), "%u of %u connections did not come back yet: %s",
			 d->failed, d->total, d->why);
		msg = daemon_ctl_bad(text, true);
	} else {
		msg = daemon_ctl_good();
		json_object_set_new(msg, "released", json_integer(d->total));
	}
	daemon_ctl_reply(d->worker, d->client, d->tag, msg);
	free(d);
}

void daemon_detach_check(struct worker *w)
{
	struct daemon_detach **at = &w->detaches;

	while (*at) {
		struct daemon_detach *d = *at;

		if (under_way(d)) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		finish(d);
	}
}

void daemon_detach_free(struct worker *w)
{
	while (w->detaches) {
		struct daemon_detach *d = w->detaches;

		w->detaches = d->next;
		free(d);
	}
}

static void failed(struct daemon_detach *d, struct daemon_conn *dc, const char *why)
{
	dc->leaving = false;
	d->failed++;
	snprintf(d->why, sizeof(d->why), "%s", why);
}

static void uploaded(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct worker *w = ctx;
	struct daemon_conn *dc = host_conn_user(conn);
	struct daemon_detach *d = detach_of(w, dc->pid);

	dc->switching = false;
	daemon_sweep_soon(w);
	if (err && d)
		failed(d, dc, why);
}

static void let_go(struct daemon_detach *d, struct daemon_conn *dc)
{
	const struct host_conn_info *info = host_conn_info(dc->conn);
	int err = 0;

	d->total++;
	dc->leaving = true;
	if (dc->switching) {
		failed(d, dc, "a hand-over is under way");
		return;
	}
	if (info->state == HOST_CONN_HOST)
		return;
	dc->switching = true;
	err = host_conn_upload(dc->conn, UploadRequested, uploaded, d->worker);
	if (err) {
		dc->switching = false;
		failed(d, dc, info->reason[0] ? info->reason : strerror(-err));
	}
}

json_t *daemon_detach(struct worker *w, struct daemon_client *client, json_int_t tag, pid_t pid)
{
	struct daemon_detach *d;
	struct daemon_conn *next;

	if (detach_of(w, pid))
		return daemon_ctl_bad("this process is being let go already", true);
	d = calloc(1, sizeof(*d));
	if (!d)
		return daemon_ctl_bad("out of memory", true);
	*d = (struct daemon_detach){
		.worker = w, .client = client, .tag = tag, .pid = pid, .next = w->detaches
	};
	w->detaches = d;
	/* An upload may end, and the connection with it, before the call returns. */
	for (struct daemon_conn *dc = w->conns; dc; dc = next) {
		next = dc->next;
		if (dc->pid == pid)
			let_go(d, dc);
	}
	daemon_sweep_soon(w);
	return NULL;
}
