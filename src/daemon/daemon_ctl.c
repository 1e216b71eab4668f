/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of the control socket. A request is served at once, or, where a hand-over has to
 * run first, answered when that has ended.
 *
 *   attach   {pid}            take on the connections of a process            -> {found}
 *   socket   {inode, ...}     for the supervisor (daemon_socket.c)              -> {native} or {err, data}
 *   detach   {pid}            give them all back and forget them              -> {released}
 *   list     {after}          connections, in pages                           -> {connections: [...], next}
 *   offload  {id}             hand a connection down                          -> {total_us, stopped_us, frozen_us}
 *   upload   {id}             take it up again                                -> the same
 *   tree     {id}             the state tree of the last offload, for people  -> {text}
 *   query    {id}             delegated state of an offloaded connection      -> {text}
 *   stats    {}               counters                                        -> {segments_in, ...}
 *   pause, resume {}          no new offloads until resume                    -> {}
 *   upload-all {}             take all connections up                         -> {}
 *   set      {chimney}        manual, enabled, automatic, disabled (uploads)  -> {}
 *   add, delete {kind, value} a rule for a port or an application (program)   -> {}
 *   rules    {}               those that were added                           -> {text}
 *   global, adapters, history {}  what is                                     -> {...}
 *   stop     {}               give all connections back and end               -> {}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_int.h"
#include "ipc/ipc_msg.h"
#include "ndis/nrt.h"
#include "ndis/nrt_status.h"
#include "nic/nic.h"
#include "target/tgt_driver.h"

#define LIST_PAGE 128u

/* A request whose answer comes later. The client may be gone by then. */
struct pending {
	struct worker *worker;
	struct daemon_conn *dc;
	struct daemon_client *client;
	json_int_t tag;
	bool down;
	struct host_query_result query;
};

static bool client_alive(const struct worker *w, const struct daemon_client *client)
{
	for (const struct daemon_client *c = w->clients; c; c = c->next)
		if (c == client)
			return true;
	return false;
}

static void answer(struct daemon_client *client, json_int_t tag, json_t *msg)
{
	int err;

	json_object_set_new(msg, "tag", json_integer(tag));
	err = ipc_send(client->watch.fd, msg);
	if (err)
		log_debug("control: answer %lld not sent: %s", (long long)tag, strerror(-err));
	json_decref(msg);
}

void daemon_ctl_reply(struct worker *w, struct daemon_client *client, json_int_t tag, json_t *msg)
{
	if (client_alive(w, client))
		answer(client, tag, msg);
	else
		json_decref(msg);
}

json_t *daemon_ctl_good(void)
{
	return json_pack("{s:b}", "ok", 1);
}

json_t *daemon_ctl_bad(const char *why, bool retry)
{
	return json_pack("{s:b, s:s, s:b}", "ok", 0, "error", why, "retry", retry);
}

static json_t *op_attach(struct worker *w, const json_t *request)
{
	json_t *pid = json_object_get(request, "pid"), *msg;
	char why[256] = "";
	int found;

	if (!json_is_integer(pid))
		return daemon_ctl_bad("attach needs \"pid\", a process id", false);
	found = daemon_attach(w, (pid_t)json_integer_value(pid),
			      (unsigned int)json_integer_value(json_object_get(request, "filters")),
			      why, sizeof(why));
	if (found < 0)
		return daemon_ctl_bad(why, false);
	msg = daemon_ctl_good();
	json_object_set_new(msg, "found", json_integer(found));
	return msg;
}

static json_t *op_detach(struct worker *w, struct daemon_client *client, json_int_t tag,
			 const json_t *request)
{
	json_t *pid = json_object_get(request, "pid");

	if (!json_is_integer(pid))
		return daemon_ctl_bad("detach needs \"pid\", a process id", false);
	return daemon_detach(w, client, tag, (pid_t)json_integer_value(pid));
}

/* ADDRESS:PORT as people write it. */
static json_t *endpoint(const struct steer_flow *flow, const uint8_t *addr, uint16_t port_be)
{
	char text[INET6_ADDRSTRLEN], both[INET6_ADDRSTRLEN + 16];

	inet_ntop(flow->family, addr, text, sizeof(text));
	snprintf(both, sizeof(both), flow->family == AF_INET6 ? "[%s]:%u" : "%s:%u", text,
		 ntohs(port_be));
	return json_string(both);
}

static const char *direction_name(enum host_select_direction direction)
{
	return direction == HOST_SELECT_IN ? "in" : direction == HOST_SELECT_OUT ? "out" : "";
}

static json_t *describe(const struct daemon_conn *dc)
{
	const struct host_conn_info *info = host_conn_info(dc->conn);

	return json_pack(
		"{s:I, s:i, s:s, s:o, s:o, s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:I, s:s, s:I}", "id",
		(json_int_t)dc->id, "pid", (int)dc->pid, "program", dc->program, "local",
		endpoint(&info->flow, info->flow.local, info->flow.local_port_be), "remote",
		endpoint(&info->flow, info->flow.remote, info->flow.remote_port_be), "family",
		info->flow.family == AF_INET6 ? "ipv6" : "ipv4", "local_port",
		(int)ntohs(info->flow.local_port_be), "remote_port",
		(int)ntohs(info->flow.remote_port_be), "state", host_conn_state_name(info->state),
		"reason", info->reason, "policy_rule", dc->verdict.rule, "bytes_out",
		(json_int_t)info->bytes_from_program, "bytes_in",
		(json_int_t)info->bytes_to_program, "direction", direction_name(dc->direction),
		"failures", (json_int_t)info->failures);
}

static json_t *op_list(struct worker *w, const json_t *request)
{
	json_int_t after = json_integer_value(json_object_get(request, "after"));
	json_t *msg = daemon_ctl_good(), *list = json_array();
	json_int_t next = 0;

	/* Newest first; a page ends with the id that the next one starts below. */
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next) {
		if (after && dc->id >= after)
			continue;
		if (json_array_size(list) == LIST_PAGE)
			break;
		json_array_append_new(list, describe(dc));
		next = dc->id;
	}
	json_object_set_new(msg, "next",
			    json_integer(json_array_size(list) == LIST_PAGE ? next : 0));
	json_object_set_new(msg, "connections", list);
	return msg;
}

static void request_done(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)request;
	*(NDIS_STATUS *)ctx = status;
}

/* The target's own counters, asked for as an administrator asks: by OID. */
static int read_tcp_stats(const struct stack_port *port, NDIS_OID oid, TCP_OFFLOAD_STATS *sum)
{
	TCP_OFFLOAD_STATS part = { 0 };
	NDIS_STATUS status = NDIS_STATUS_PENDING;
	NDIS_OID_REQUEST request = {
		.Header = { NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
			    NDIS_SIZEOF_OID_REQUEST_REVISION_1 },
		.RequestType = NdisRequestQueryInformation,
		.DATA.QUERY_INFORMATION = { .Oid = oid,
					    .InformationBuffer = &part,
					    .InformationBufferLength = sizeof(part) },
	};
	int err = nrt_request(port->nrt, &request, request_done, &status);

	if (!err && status == NDIS_STATUS_NOT_SUPPORTED)
		return 0;                         /* a loaded target may count nothing */
	if (err || status != NDIS_STATUS_SUCCESS) /* the target answers statistics at once */
		return err ? err : -EIO;
	sum->InSegments += part.InSegments;
	sum->OutSegments += part.OutSegments;
	sum->RetransmittedSegments += part.RetransmittedSegments;
	sum->OutResets += part.OutResets;
	return 0;
}

/* Segments that the engine dropped, by reason. */
static json_t *drops(const struct worker *w)
{
	json_t *list = json_object();

	for (unsigned int r = 0; r < TGT_DROP_REASONS; r++) {
		uint64_t sum = 0;

		for (unsigned int i = 0; i < w->port_count; i++)
			if (w->ports[i].target)
				sum += w->ports[i].target->drops[r];
		if (sum)
			json_object_set_new(list, tgt_drop_name(r), json_integer((json_int_t)sum));
	}
	return list;
}

static json_t *op_stats(struct worker *w)
{
	TCP_OFFLOAD_STATS tcp = { 0 };
	struct nic_stats nic = { 0 };
	int err = 0;

	for (unsigned int i = 0; i < w->port_count && !err; i++) {
		struct nic_stats part;

		err = read_tcp_stats(&w->ports[i], OID_TCP4_OFFLOAD_STATS, &tcp);
		if (!err)
			err = read_tcp_stats(&w->ports[i], OID_TCP6_OFFLOAD_STATS, &tcp);
		nic_stats(w->ports[i].nic, &part);
		nic.rx_bytes += part.rx_bytes;
		nic.tx_bytes += part.tx_bytes;
		nic.indicated_bytes += part.indicated_bytes;
	}
	if (err)
		return daemon_ctl_bad("the target does not report its statistics", false);
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "ok", 1,
			 "segments_in", (json_int_t)tcp.InSegments, "segments_out",
			 (json_int_t)tcp.OutSegments, "retransmits",
			 (json_int_t)tcp.RetransmittedSegments, "resets_sent",
			 (json_int_t)tcp.OutResets, "tap_bytes_in", (json_int_t)nic.rx_bytes,
			 "tap_bytes_out", (json_int_t)nic.tx_bytes, "tap_bytes_indicated",
			 (json_int_t)nic.indicated_bytes, "closed_offloaded",
			 (json_int_t)w->closed_offloaded, "drops", drops(w));
}

static struct pending *pending_new(struct worker *w, struct daemon_conn *dc,
				   struct daemon_client *client, json_int_t tag)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p)
		*p = (struct pending){ .worker = w, .dc = dc, .client = client, .tag = tag };
	return p;
}

bool daemon_passes(int err)
{
	return err == -EAGAIN || err == -EBUSY || err == -ENOSPC || err == -ENOMEM;
}

static json_t *switch_result(const struct pending *p, struct host_conn *conn, int err,
			     const char *why)
{
	const struct host_conn_info *i = host_conn_info(conn);

	if (err)
		return daemon_ctl_bad(why, daemon_passes(err));
	return json_pack("{s:b, s:I, s:I, s:I}", "ok", 1, "total_us",
			 (json_int_t)(p->down ? i->offload_us : i->upload_us), "stopped_us",
			 (json_int_t)(p->down ? i->offload_stopped_us : i->upload_stopped_us),
			 "frozen_us",
			 (json_int_t)(p->down ? i->offload_frozen_us : i->upload_frozen_us));
}

static void switch_done(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct pending *p = ctx;

	p->dc->switching = false;
	if (!p->down)
		daemon_policy_rest(p->worker, p->dc);
	if (p->dc->leaving)
		daemon_sweep_soon(p->worker);
	daemon_ctl_reply(p->worker, p->client, p->tag, switch_result(p, conn, err, why));
	free(p);
}

/* NULL: the answer comes later. */
static json_t *op_switch(struct worker *w, struct daemon_client *client, json_int_t tag,
			 struct daemon_conn *dc, bool down)
{
	struct pending *p;
	int err;

	if (dc->switching)
		return daemon_ctl_bad("a hand-over of this connection is under way", true);
	if (down && !dc->verdict.offload)
		return daemon_ctl_bad("the policy keeps this connection in the host", false);
	p = pending_new(w, dc, client, tag);
	if (!p)
		return daemon_ctl_bad("out of memory", true);
	p->down = down;
	dc->switching = true;
	err = down ? host_conn_offload(dc->conn, switch_done, p)
		   : host_conn_upload(dc->conn, UploadRequested, switch_done, p);
	if (!err)
		return NULL;
	dc->switching = false;
	free(p);
	return daemon_ctl_bad(host_conn_info(dc->conn)->reason, daemon_passes(err));
}

static json_t *print_query(const struct host_query_result *q)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "  state %s  rcv_nxt %" PRIu32 "  rcv_wnd %" PRIu32 "  snd_una %" PRIu32
		 "  snd_nxt %" PRIu32 "  snd_max %" PRIu32 "\n  snd_wnd %" PRIu32 "  cwnd %" PRIu32
		 "  ssthresh %" PRIu32 "  srtt %" PRIu64 " us  rttvar %" PRIu64 " us\n",
		 nrt_tcp_state_name(q->tcp_state), q->rcv_nxt, q->rcv_wnd_bytes, q->snd_una,
		 q->snd_nxt, q->snd_max, q->snd_wnd_bytes, q->cwnd_bytes, q->ssthresh_bytes,
		 q->srtt_us, q->rttvar_us);
	return json_pack("{s:b, s:s}", "ok", 1, "text", text);
}

static void query_done(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct pending *p = ctx;

	(void)conn;
	daemon_ctl_reply(p->worker, p->client, p->tag,
			 err ? daemon_ctl_bad(why, false) : print_query(&p->query));
	free(p);
}

static json_t *op_query(struct worker *w, struct daemon_client *client, json_int_t tag,
			struct daemon_conn *dc)
{
	struct pending *p = pending_new(w, dc, client, tag);
	int err;

	if (!p)
		return daemon_ctl_bad("out of memory", true);
	err = host_conn_query(dc->conn, &p->query, query_done, p);
	if (!err)
		return NULL;
	free(p);
	return daemon_ctl_bad("the connection is not offloaded", false);
}

static json_t *op_tree(struct daemon_conn *dc)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *msg;

	if (!out)
		return daemon_ctl_bad("out of memory", true);
	host_conn_print_tree(dc->conn, out);
	fclose(out);
	msg = json_pack("{s:b, s:s}", "ok", 1, "text", text);
	free(text);
	return msg;
}

static json_t *serve_conn(struct worker *w, struct daemon_client *client, const char *op,
			  json_int_t tag, const json_t *request)
{
	json_t *id = json_object_get(request, "id");
	struct daemon_conn *dc = daemon_conn_find(w, (uint32_t)json_integer_value(id));

	if (!json_is_integer(id))
		return daemon_ctl_bad("this operation needs \"id\", a connection of the list",
				      false);
	if (!dc)
		return daemon_ctl_bad("no such connection (see list)", false);
	if (!strcmp(op, "offload") || !strcmp(op, "upload"))
		return op_switch(w, client, tag, dc, op[0] == 'o');
	return !strcmp(op, "query") ? op_query(w, client, tag, dc) : op_tree(dc);
}

static json_t *serve(struct worker *w, struct daemon_client *client, const json_t *request,
		     json_int_t tag)
{
	static const char *const conn_ops[] = { "offload", "upload", "query", "tree" };
	const char *op = json_string_value(json_object_get(request, "op"));
	json_t *reply = NULL;

	if (!op)
		return daemon_ctl_bad("a request needs \"op\", the name of an operation", false);
	if (!strcmp(op, "attach"))
		return op_attach(w, request);
	if (!strcmp(op, "detach"))
		return op_detach(w, client, tag, request);
	if (!strcmp(op, "socket")) {
		daemon_socket(w, client, tag, request);
		return NULL;
	}
	if (daemon_rules(w, op, request, &reply))
		return reply;
	if (daemon_admin(w, client, tag, op, request, &reply))
		return reply;
	if (!strcmp(op, "list"))
		return op_list(w, request);
	if (!strcmp(op, "stats"))
		return op_stats(w);
	if (!strcmp(op, "stop")) {
		worker_stop(w);
		return daemon_ctl_good();
	}
	for (size_t i = 0; i < sizeof(conn_ops) / sizeof(conn_ops[0]); i++)
		if (!strcmp(op, conn_ops[i]))
			return serve_conn(w, client, op, tag, request);
	return daemon_ctl_bad("unknown operation (see chimney --help)", false);
}

static void client_gone(struct daemon_client *client)
{
	struct worker *w = client->worker;
	struct daemon_client **at = &w->clients;
	bool inherited = client->watch.fd == w->config->control_fd;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	loop_unwatch(w->loop, &client->watch);
	close(client->watch.fd);
	free(client);
	if (inherited)
		worker_stop(w); /* who started us is gone */
}

static void client_readable(struct loop_watch *watch, uint32_t events)
{
	struct daemon_client *client =
		(struct daemon_client *)watch; /* watch is the first member */
	struct worker *w = client->worker;
	json_t *request, *reply;
	json_int_t tag;
	int err = ipc_recv(watch->fd, &request);

	(void)events;
	if (err == -EAGAIN)
		return;
	if (err == -EPROTO) {
		answer(client, 0, daemon_ctl_bad("a request is one JSON object a packet", false));
		return;
	}
	if (err) {
		client_gone(client);
		return;
	}
	tag = json_integer_value(json_object_get(request, "tag"));
	reply = serve(w, client, request, tag);
	if (reply)
		answer(client, tag, reply);
	json_decref(request);
}

static int client_add(struct worker *w, int fd)
{
	struct daemon_client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	client->watch.fn = client_readable;
	client->watch.fd = fd;
	client->worker = w;
	client->next = w->clients;
	w->clients = client;
	return loop_watch_set(w->loop, &client->watch, EPOLLIN);
}

static void listen_readable(struct loop_watch *watch, uint32_t events)
{
	struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, listen_watch));
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0 && client_add(w, fd) < 0)
		close(fd);
}

static int listen_on(struct worker *w, int fd)
{
	w->listen_watch = (struct loop_watch){ .fn = listen_readable, .fd = fd };
	return loop_watch_set(w->loop, &w->listen_watch, EPOLLIN);
}

static int listen_at(struct worker *w, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0077); /* only the owner may command the daemon */
	int err = 0;

	if (strlen(path) >= sizeof(at.sun_path))
		err = -ENAMETOOLONG;
	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	unlink(path);
	if (!err &&
	    (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0))
		err = -errno;
	umask(mask);
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	return listen_on(w, fd);
}

int daemon_ctl_open(struct worker *w)
{
	int given = daemon_service_listener(), err = 0;

	if (w->config->control_fd >= 0)
		err = client_add(w, w->config->control_fd);
	w->listens_for_service = given >= 0;
	if (!err && given >= 0)
		err = listen_on(w, given);
	else if (!err && w->config->control_path)
		err = listen_at(w, w->config->control_path);
	if (err)
		log_err("control socket: %s", strerror(-err));
	return err;
}

void daemon_ctl_close(struct worker *w)
{
	while (w->clients) {
		struct daemon_client *c = w->clients;

		w->clients = c->next;
		loop_unwatch(w->loop, &c->watch);
		close(c->watch.fd);
		free(c);
	}
	if (!w->listen_watch.active)
		return;
	loop_unwatch(w->loop, &w->listen_watch);
	close(w->listen_watch.fd);
	if (!w->listens_for_service) /* else the name is the service manager's */
		unlink(w->config->control_path);
}
