/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* ---- coming and going --------------------------------------------------------------------- */

int host_conn_add(struct host_adapter *adapter, int kernel_fd, const struct host_program_ops *ops,
		  void *program, struct host_conn **out)
{
	struct host *host = adapter->host;
	struct host_conn *conn = calloc(1, sizeof(*conn)), **at = &host->conns;
	struct host_socket sock;
	int err;

	if (!conn) {
		close(kernel_fd);
		return -ENOMEM;
	}
	err = host_repair_take(&sock, kernel_fd);
	if (err) {
		free(conn);
		return err;
	}
	conn->adapter = adapter;
	conn->ops = ops;
	conn->program = program;
	conn->sock.fd = conn->xfer.watch.fd = conn->xfer.program_end = -1;
	conn->caught_tail = &conn->caught;
	conn->info.local = sock.local;
	conn->info.remote = sock.remote;
	host_segment_flow(&sock, &conn->info.flow);
	host_repair_drop(&sock); /* in the host it is the program's alone */
	conn->info.since_us = host_now_us(conn);
	while (*at)
		at = &(*at)->next;
	*at = conn;
	adapter->conn_count++;
	*out = conn;
	return 0;
}

static void drop_caught(struct host_conn *conn)
{
	while (conn->caught) {
		struct host_caught *c = conn->caught;

		conn->caught = c->next;
		free(c);
	}
	conn->caught_tail = &conn->caught;
	conn->caught_count = 0;
}

void host_conn_finish(struct host_conn *conn)
{
	struct host *host = conn->adapter->host;
	struct host_conn **at = &host->conns;

	loop_timer_cancel(host->config.loop, &conn->again);
	host_conn_set_state(conn, HOST_CONN_GONE);
	if (conn->ops->gone)
		conn->ops->gone(conn->program);
	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	conn->adapter->conn_count--;
	drop_caught(conn);
	host_xfer_close(conn);
	host_repair_drop(&conn->sock);
	host_image_clear(&conn->image);
	if (conn->path)
		host_path_put(conn->path);
	free(conn->down_tree);
	free(conn);
}

int host_conn_remove(struct host_conn *conn)
{
	if (conn->moving || conn->at_target)
		return -EBUSY;
	if (conn->in_done)
		conn->remove = true;
	else
		host_conn_finish(conn);
	return 0;
}

void host_conn_set_state(struct host_conn *conn, enum host_conn_state state)
{
	const struct host_config *config = &conn->adapter->host->config;
	enum host_conn_state from = conn->info.state;

	if (from == state)
		return;
	conn->info.state = state;
	conn->info.since_us = host_now_us(conn);
	if (config->on_change)
		config->on_change(config->ctx, conn, from, state);
}

void host_conn_hold(struct host_conn *conn, enum host_held kind, int fd)
{
	const struct host_config *config = &conn->adapter->host->config;

	if (config->hold && config->hold(config->ctx, conn, kind, fd) < 0)
		log_debug("the keeper has no copy of a descriptor");
}

/* ---- frames that belong to a connection under way ----------------------------------------- */

struct host_conn *host_conn_of_flow(struct host_adapter *adapter, const struct steer_flow *flow)
{
	for (struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (conn->moving && !conn->waits && conn->adapter == adapter &&
		    memcmp(&conn->info.flow, flow, sizeof(*flow)) == 0)
			return conn;
	return NULL;
}

void host_conn_catch(struct host_conn *conn, const struct nic_rx_frame *frame)
{
	struct host_caught *c;

	if (conn->caught_count >= HOST_CAUGHT_MAX)
		return; /* the peer sends it again */
	c = malloc(sizeof(*c) + frame->len);
	if (!c)
		return;
	c->next = NULL;
	memcpy(c->data, frame->data, frame->len);
	c->frame = *frame;
	c->frame.data = c->data;
	*conn->caught_tail = c;
	conn->caught_tail = &c->next;
	conn->caught_count++;
}

void host_conn_caught_indicate(struct host_conn *conn)
{
	for (const struct host_caught *c = conn->caught; c; c = c->next)
		host_adapter_indicate(conn->adapter, &c->frame);
	drop_caught(conn);
}

void host_conn_caught_forward(struct host_conn *conn)
{
	for (const struct host_caught *c = conn->caught; c; c = c->next) {
		struct steer_flow flow;
		uint32_t room = c->frame.len, len = room;
		uint32_t at = host_segment_parse(c->data, room, &flow);

		/* Ethernet pads short frames: the IP header knows the length */
		if (at && flow.family == AF_INET)
			len = 14u + (uint32_t)(c->data[16] << 8 | c->data[17]);
		else if (at)
			len = 54u + (uint32_t)(c->data[18] << 8 | c->data[19]);
		if (at && len > at && len <= room &&
		    host_xfer_forward(conn, c->data + at, len - at) < 0)
			break; /* no memory: the peer sends them again */
	}
	drop_caught(conn);
}

/* ---- query -------------------------------------------------------------------------------- */

struct query {
	struct host_query_result *result;
	host_done_fn *done;
	void *ctx;
};

static void query_done(struct host_op *op)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d = host_state_delegated(&op->tcp);
	struct query *q = op->ctx;
	struct host_conn *conn = op->conn;
	struct host_image image = { 0 };
	bool ok = op->root && op->tcp.list.Status == NDIS_STATUS_SUCCESS;

	if (ok) {
		host_state_take(d, &image);
		*q->result = (struct host_query_result){
			.tcp_state = (uint8_t)d->State,
			.rcv_nxt = d->RcvNxt,
			.snd_una = d->SndUna,
			.snd_nxt = d->SndNxt,
			.snd_max = d->SndMax,
			.rcv_wnd_bytes = d->RcvWnd,
			.snd_wnd_bytes = d->SndWnd,
			.cwnd_bytes = d->CWnd,
			.ssthresh_bytes = d->SsThresh,
			.srtt_us = image.srtt_us,
			.rttvar_us = image.rttvar_us,
			.dup_acks = d->DupAckCount,
			.retransmit_count = d->Retransmit.Count,
			.send_backlog_bytes = d->SendBacklogSize,
			.receive_backlog_bytes = d->ReceiveBacklogSize,
		};
	}
	q->done(q->ctx, conn, ok ? 0 : -EIO,
		ok         ? ""
		: op->root ? "the target could not tell"
			   : "not offloaded any more");
	if (op->root && !ok)
		host_upload_wanted(conn, HardwareFailure); /* QRY-07 */
	free(q);
}

int host_conn_query(struct host_conn *conn, struct host_query_result *result, host_done_fn *done,
		    void *ctx)
{
	struct query *q;
	int err;

	if (conn->info.state != HOST_CONN_OFFLOADED)
		return -ENOTCONN;
	q = malloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct query){ result, done, ctx };
	err = host_op_submit(conn, HOST_OP_QUERY, query_done, q);
	if (err)
		free(q);
	return err;
}

/* ---- looking ------------------------------------------------------------------------------ */

const struct host_conn_info *host_conn_info(const struct host_conn *conn)
{
	return &conn->info;
}

uint32_t host_conn_ifindex(const struct host_conn *conn)
{
	struct host_nl_route route;

	return host_nl_route_get(conn->adapter->host->nl, &conn->info.flow, 0, &route) < 0
		       ? 0
		       : route.ifindex;
}

void host_conn_set_user(struct host_conn *conn, void *user)
{
	conn->user = user;
}

void *host_conn_user(const struct host_conn *conn)
{
	return conn->user;
}

void host_conn_print_tree(const struct host_conn *conn, FILE *out)
{
	if (conn->down_tree)
		host_state_print(out, conn->down_tree, conn);
	else
		fprintf(out, "  never offloaded\n");
}

const char *host_conn_state_name(enum host_conn_state state)
{
	static const char *const names[HOST_CONN_STATES] = { "host", "offloading", "offloaded",
							     "uploading", "gone" };

	return state < HOST_CONN_STATES ? names[state] : "?";
}
