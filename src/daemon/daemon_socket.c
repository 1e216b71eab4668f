/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and options of switched descriptors, asked for by a supervisor: the parked kernel socket
 * knows them. What the parked socket cannot tell, or what must not reach it while it is parked,
 * takes the connection up first; the call then goes on natively.
 *
 *   socket {inode, call, level, name, length, data} -> {native: true} | {err, data}
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon_int.h"
#include "ipc/ipc_hex.h"

#define VALUE_BYTES 512u

struct socket_call {
	const char *call;
	int level, name;
	socklen_t length;
	uint8_t data[VALUE_BYTES];
};

/* A parked socket is a new one to the kernel: what was negotiated, measured and counted is lost. */
struct daemon_snapshot {
	struct tcp_info info;
	socklen_t info_length; /* as this kernel has it */
	int maxseg_bytes;
	uint64_t to_program, from_program; /* bytes that went through chimney before */
};

void daemon_socket_snapshot(struct daemon_conn *dc)
{
	const struct host_conn_info *now = host_conn_info(dc->conn);
	struct daemon_snapshot shot = { .info_length = sizeof(shot.info),
					.to_program = now->bytes_to_program,
					.from_program = now->bytes_from_program };
	socklen_t len = sizeof(shot.maxseg_bytes);
	int fd, err;

	if (exec_fetch(dc->holders, &fd) < 0)
		return;
	err = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &shot.info, &shot.info_length) < 0 ||
	      getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &shot.maxseg_bytes, &len) < 0;
	close(fd);
	if (err) /* an upload: it is the stream that the program holds */
		return;
	if (!dc->snapshot)
		dc->snapshot = malloc(sizeof(shot));
	if (dc->snapshot)
		*dc->snapshot = shot;
}

void daemon_socket_exchanged(struct daemon_conn *dc, int new_fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	struct stat st;

	if (getsockopt(new_fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || fstat(new_fd, &st) < 0)
		return;
	dc->stream_inode = domain == AF_UNIX ? st.st_ino : 0;
}

static struct daemon_conn *find_stream(struct worker *w, uint64_t inode)
{
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next)
		if (inode && dc->stream_inode == inode)
			return dc;
	return NULL;
}

/* What a program can still ask of a connection that is over. */
struct daemon_ghost {
	uint64_t stream_inode;
	struct sockaddr_storage local;
};

#define GHOSTS 1024u

void daemon_socket_gone(struct daemon_conn *dc)
{
	struct worker *w = dc->worker;

	if (!dc->stream_inode)
		return;
	if (!w->ghosts)
		w->ghosts = calloc(GHOSTS, sizeof(*w->ghosts));
	if (w->ghosts)
		w->ghosts[w->ghost_next++ % GHOSTS] =
			(struct daemon_ghost){ .stream_inode = dc->stream_inode,
					       .local = host_conn_info(dc->conn)->local };
}

static const struct daemon_ghost *find_ghost(const struct worker *w, uint64_t inode)
{
	for (unsigned int i = 0; w->ghosts && i < GHOSTS; i++)
		if (inode && w->ghosts[i].stream_inode == inode)
			return &w->ghosts[i];
	return NULL;
}

static json_t *native(void)
{
	return json_pack("{s:b, s:b}", "ok", 1, "native", 1);
}

static json_t *value(int err, const uint8_t *data, socklen_t length)
{
	char hex[2 * VALUE_BYTES + 1] = "";

	if (!err)
		ipc_hex_write(hex, data, length);
	return json_pack("{s:b, s:i, s:s}", "ok", 1, "err", err, "data", hex);
}

enum way { WAY_PARKED, WAY_STREAM, WAY_UPLOAD };

/* The exchange carries these over to the stream, so its own answer is right. */
static bool carried(const struct socket_call *c)
{
	return c->level == SOL_SOCKET &&
	       (c->name == SO_RCVTIMEO || c->name == SO_SNDTIMEO || c->name == SO_RCVLOWAT);
}

/* Filters and keepalive of a parked socket are ours; linger decides about its end. */
static enum way way_of_set(const struct socket_call *c)
{
	static const int harmless[] = { TCP_NODELAY, TCP_QUICKACK };

	if (carried(c))
		return WAY_STREAM;
	if (c->level == IPPROTO_TCP)
		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			if (c->name == harmless[i])
				return WAY_PARKED;
	return WAY_UPLOAD;
}

static enum way way_of(const struct socket_call *c)
{
	if (!strcmp(c->call, "setsockopt"))
		return way_of_set(c);
	if (strcmp(c->call, "getsockopt"))
		return WAY_PARKED;
	if (carried(c))
		return WAY_STREAM;
	return c->level == SOL_SOCKET && (c->name == SO_KEEPALIVE || c->name == SO_REUSEADDR)
		       ? WAY_UPLOAD
		       : WAY_PARKED;
}

/* TCP_INFO and TCP_MAXSEG, brought up to date; false: the parked socket knows. */
static bool ask_snapshot(const struct daemon_conn *dc, struct socket_call *c)
{
	const struct daemon_snapshot *shot = dc->snapshot;
	const struct host_conn_info *now;
	const void *from = shot ? &shot->maxseg_bytes : NULL;
	socklen_t length = sizeof(int);
	struct tcp_info info;

	if (!shot || c->level != IPPROTO_TCP || strcmp(c->call, "getsockopt") != 0 ||
	    (c->name != TCP_INFO && c->name != TCP_MAXSEG))
		return false;
	if (c->name == TCP_INFO) {
		uint64_t in, out;

		now = host_conn_info(dc->conn);
		in = now->bytes_to_program - shot->to_program;
		out = now->bytes_from_program - shot->from_program;
		info = shot->info;
		info.tcpi_bytes_received += in;
		info.tcpi_bytes_acked += out;
		info.tcpi_bytes_sent += out;
		from = &info;
		length = shot->info_length;
	}
	if (length < c->length)
		c->length = length;
	memcpy(c->data, from, c->length);
	return true;
}

static json_t *ask_parked(struct daemon_conn *dc, struct socket_call *c)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	int err;

	if (ask_snapshot(dc, c))
		return value(0, c->data, c->length);
	if (!strcmp(c->call, "setsockopt")) {
		err = setsockopt(dc->parked_fd, c->level, c->name, c->data, c->length);
		return value(err < 0 ? errno : 0, NULL, 0);
	}
	if (!strcmp(c->call, "getsockopt")) {
		err = getsockopt(dc->parked_fd, c->level, c->name, c->data, &c->length);
		return value(err < 0 ? errno : 0, c->data, c->length);
	}
	if (!strcmp(c->call, "getpeername"))
		err = getpeername(dc->parked_fd, (struct sockaddr *)&addr, &len);
	else
		err = getsockname(dc->parked_fd, (struct sockaddr *)&addr, &len);
	return value(err < 0 ? errno : 0, (const uint8_t *)&addr, len);
}

/* A closed kernel socket of the same kind answers; its peer and its local name are as after an end. */
static json_t *ask_ghost(const struct daemon_ghost *ghost, struct socket_call *c)
{
	bool v6 = ghost->local.ss_family == AF_INET6;
	struct daemon_conn closed = { 0 };
	json_t *answer;

	if (!strcmp(c->call, "getpeername"))
		return value(ENOTCONN, NULL, 0);
	if (!strcmp(c->call, "getsockname"))
		return value(0, (const uint8_t *)&ghost->local,
			     v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	closed.parked_fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (closed.parked_fd < 0)
		return value(errno, NULL, 0);
	answer = ask_parked(&closed, c);
	close(closed.parked_fd);
	return answer;
}

struct waiting {
	struct worker *worker;
	struct daemon_client *client;
	json_int_t tag;
};

static void came_up(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct waiting *wait = ctx;
	struct daemon_conn *dc = host_conn_user(conn);

	(void)why;
	dc->switching = false;
	daemon_policy_rest(wait->worker, dc);
	daemon_ctl_reply(wait->worker, wait->client, wait->tag,
			 err ? value(EAGAIN, NULL, 0) : native());
	free(wait);
}

/* While a hand-over is under way the caller is stopped sooner or later and calls again. */
static json_t *upload_first(struct worker *w, struct daemon_client *client, json_int_t tag,
			    struct daemon_conn *dc)
{
	struct waiting *wait = dc->switching ? NULL : calloc(1, sizeof(*wait));

	if (!wait)
		return value(EAGAIN, NULL, 0);
	*wait = (struct waiting){ .worker = w, .client = client, .tag = tag };
	dc->switching = true;
	if (host_conn_upload(dc->conn, UploadRequested, came_up, wait) == 0)
		return NULL;
	dc->switching = false;
	free(wait);
	return value(EAGAIN, NULL, 0);
}

static void read_call(const json_t *request, struct socket_call *c)
{
	c->call = json_string_value(json_object_get(request, "call"));
	c->level = (int)json_integer_value(json_object_get(request, "level"));
	c->name = (int)json_integer_value(json_object_get(request, "name"));
	c->length = (socklen_t)json_integer_value(json_object_get(request, "length"));
	if (c->length > VALUE_BYTES)
		c->length = VALUE_BYTES;
	ipc_hex_read(json_string_value(json_object_get(request, "data")), c->data, c->length);
}

json_t *daemon_socket(struct worker *w, struct daemon_client *client, json_int_t tag,
		      const json_t *request)
{
	uint64_t inode = (uint64_t)json_integer_value(json_object_get(request, "inode"));
	struct daemon_conn *dc = find_stream(w, inode);
	const struct daemon_ghost *ghost = dc ? NULL : find_ghost(w, inode);
	struct socket_call c = { 0 };
	enum way way;

	read_call(request, &c);
	if (ghost && c.call)
		return carried(&c) ? native() : ask_ghost(ghost, &c);
	if (!dc || !c.call || dc->parked_fd < 0)
		return native();
	way = way_of(&c);
	if (way == WAY_STREAM)
		return native();
	return way == WAY_PARKED ? ask_parked(dc, &c) : upload_first(w, client, tag, dc);
}
