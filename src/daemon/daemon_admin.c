/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switches for everybody, and what is not about one connection: global state, adapters, the
 * history of moves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon_int.h"
#include "ndis/nrt_status.h"

static const char *const mode_names[] = { [DAEMON_MANUAL] = "manual",
					  [DAEMON_DISABLED] = "disabled",
					  [DAEMON_ENABLED] = "enabled",
					  [DAEMON_AUTOMATIC] = "automatic" };

const char *daemon_mode_name(enum daemon_mode mode)
{
	return mode_names[mode];
}

int daemon_mode_parse(const char *name, enum daemon_mode *out)
{
	for (unsigned int i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++)
		if (!strcmp(name, mode_names[i])) {
			*out = (enum daemon_mode)i;
			return 0;
		}
	return -1;
}

static void apply_switch(struct worker *w)
{
	host_set_offload(w->host, !w->paused && w->mode != DAEMON_DISABLED);
}

struct upload_all {
	struct worker *worker;
	struct daemon_client *client;
	json_int_t tag;
};

static void all_up(void *ctx, int err)
{
	struct upload_all *u = ctx;
	char text[80];

	snprintf(text, sizeof(text), "%d connections could not be uploaded", -err);
	daemon_ctl_reply(u->worker, u->client, u->tag,
			 err ? daemon_ctl_bad(text, true) : daemon_ctl_good());
	free(u);
}

static json_t *upload_all(struct worker *w, struct daemon_client *client, json_int_t tag)
{
	struct upload_all *u = calloc(1, sizeof(*u));
	int err = -1;

	if (u) {
		*u = (struct upload_all){ .worker = w, .client = client, .tag = tag };
		err = host_upload_all(w->host, UploadRequested, all_up, u);
	}
	if (!err)
		return NULL;
	free(u);
	return daemon_ctl_bad("an upload of all connections is under way", true);
}

/* The end of a switch: u->client waits for it. */
static void switched(void *ctx, int err)
{
	struct upload_all *u = ctx;

	daemon_ctl_reply(u->worker, u->client, u->tag,
			 err == -EBUSY
				 ? daemon_ctl_bad("some connections could not be uploaded", true)
			 : err ? daemon_ctl_bad("the target refuses to be switched", false)
			       : daemon_ctl_good());
	free(u);
}

/* Off: nothing new goes down, all come up, and then the target is told (INI-37). */
static json_t *switch_adapter(struct worker *w, struct daemon_client *client, json_int_t tag,
			      bool on)
{
	struct upload_all *u = calloc(1, sizeof(*u));
	int err = -ENOMEM;

	if (u) {
		*u = (struct upload_all){ .worker = w, .client = client, .tag = tag };
		err = host_adapter_use(w->adapter, on, on, switched, u);
	}
	if (!err)
		return NULL;
	free(u);
	return daemon_ctl_bad(err == -EBUSY ? "the switch before is still under way" : "no memory",
			      true);
}

static json_t *set_global(struct worker *w, struct daemon_client *client, json_int_t tag,
			  const json_t *request)
{
	const char *value = json_string_value(json_object_get(request, "chimney"));
	enum daemon_mode before = w->mode;

	if (!value || daemon_mode_parse(value, &w->mode) < 0)
		return daemon_ctl_bad("set global wants chimney=enabled, disabled, automatic or "
				      "manual",
				      false);
	apply_switch(w);
	daemon_policy_soon(w);
	if (w->mode == DAEMON_DISABLED || before == DAEMON_DISABLED)
		return switch_adapter(w, client, tag, w->mode != DAEMON_DISABLED);
	return daemon_ctl_good();
}

static json_t *show_global(struct worker *w)
{
	return json_pack("{s:b, s:s, s:b, s:s, s:s, s:i}", "ok", 1, "chimney",
			 daemon_mode_name(w->mode), "paused", w->paused, "interface", w->ifname,
			 "stack_top", w->ims.top, "intermediate_drivers", (int)w->ims.drivers);
}

static json_t *show_adapters(struct worker *w)
{
	struct host_adapter_info a;
	json_t *one;

	host_adapter_info(w->adapter, &a);
	one = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b}",
			"adapter", w->ims.top, "interface", w->ifname, "paused", a.paused,
			"capacity", (json_int_t)a.capacity, "offloaded", (json_int_t)a.offloaded,
			"paths", (json_int_t)a.paths, "neighbors", (json_int_t)a.neighbors,
			"frames_indicated", (json_int_t)a.indicated, "segments_forwarded",
			(json_int_t)a.forwarded, "icmp_taken", (json_int_t)a.icmp_taken,
			"icmp_ignored", (json_int_t)a.icmp_ignored, "ipv4", a.ipv4, "ipv6", a.ipv6,
			"sack", a.sack);
	return json_pack("{s:b, s:[o]}", "ok", 1, "adapters", one);
}

static json_t *show_history(struct worker *w)
{
	json_t *list = json_array();

	for (struct daemon_conn *dc = w->conns; dc && json_array_size(list) < 256; dc = dc->next) {
		const struct host_conn_info *info = host_conn_info(dc->conn);

		for (unsigned int i = 0; i < info->history_count; i++) {
			const struct host_history *h = &info->history[i];

			json_array_append_new(list,
					      json_pack("{s:I, s:s, s:i, s:i, s:I}", "id",
							(json_int_t)dc->id, "move",
							h->upload ? "upload" : "offload",
							"upload_reason", h->reason, "error", h->err,
							"at_us", (json_int_t)h->at_us));
		}
	}
	return json_pack("{s:b, s:o}", "ok", 1, "history", list);
}

static json_t *set_paused(struct worker *w, bool paused)
{
	w->paused = paused;
	apply_switch(w);
	daemon_policy_soon(w);
	return daemon_ctl_good();
}

bool daemon_admin(struct worker *w, struct daemon_client *client, json_int_t tag, const char *op,
		  const json_t *request, json_t **reply)
{
	if (!strcmp(op, "pause") || !strcmp(op, "resume"))
		*reply = set_paused(w, op[0] == 'p');
	else if (!strcmp(op, "upload-all"))
		*reply = upload_all(w, client, tag);
	else if (!strcmp(op, "set"))
		*reply = set_global(w, client, tag, request);
	else if (!strcmp(op, "global"))
		*reply = show_global(w);
	else if (!strcmp(op, "adapters"))
		*reply = show_adapters(w);
	else if (!strcmp(op, "history"))
		*reply = show_history(w);
	else
		return false;
	return true;
}
