/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls on switched descriptors, asked for by a supervisor: those that a UNIX stream answers
 * differently from a TCP socket. The host driver keeps the options; what it must not have while the connection is offloaded takes the connection up first,
 * and the call then goes on natively. A call that comes in the middle of a move waits for its end.
 *
 *   socket {inode, call, level, name, length, data} -> {native: true} | {err, data}
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/daemon_socket.h"
#include "ipc/ipc_hex.h"

#define WAITS_MAX 4096u
#define TRIES_MAX 8u

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

json_t *daemon_socket_native(void)
{
	return json_pack("{s:b, s:b}", "ok", 1, "native", 1);
}

json_t *daemon_socket_value(int err, const void *data, socklen_t length)
{
	char hex[2 * SOCKET_VALUE_BYTES + 1] = "";

	if (!err)
		ipc_hex_write(hex, data, length);
	return json_pack("{s:b, s:i, s:s}", "ok", 1, "err", err, "data", hex);
}

static void finish(struct daemon_wait *wait, json_t *reply)
{
	daemon_ctl_reply(wait->worker, wait->client, wait->tag, reply);
	free(wait);
}

/* ---- calls that wait ---- */

static void serve(struct daemon_wait *wait);

static void again(struct loop_timer *timer)
{
	struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, socket_timer));
	struct daemon_wait *list = w->socket_waits, *next;

	w->socket_waits = NULL;
	for (; list; list = next) {
		next = list->next;
		serve(list);
	}
}

void daemon_socket_changed(struct worker *w)
{
	w->socket_timer.fn = again;
	if (w->socket_waits && !w->socket_timer.active)
		loop_timer_set(w->loop, &w->socket_timer, loop_now_us(w->loop));
}

/* A supervisor asks one question at a time, so there are few. */
static void put_off(struct daemon_wait *wait)
{
	struct daemon_wait **at = &wait->worker->socket_waits;
	unsigned int n = 0;

	for (; *at; at = &(*at)->next)
		n++;
	if (n >= WAITS_MAX) {
		finish(wait, daemon_socket_value(EAGAIN, NULL, 0));
		return;
	}
	wait->next = NULL;
	*at = wait;
}

void daemon_socket_free(struct worker *w)
{
	while (w->socket_waits) {
		struct daemon_wait *wait = w->socket_waits;

		w->socket_waits = wait->next;
		free(wait);
	}
	if (w->loop)
		loop_timer_cancel(w->loop, &w->socket_timer);
}

/* ---- answers ---- */

static void came_up(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct daemon_conn *dc = host_conn_user(conn);
	struct daemon_wait *wait = ctx;
	struct worker *w = wait->worker;

	(void)why;
	dc->switching = false;
	daemon_policy_rest(w, dc);
	if (dc->leaving)
		daemon_sweep_soon(w);
	if (err && wait->tries++ < TRIES_MAX)
		put_off(wait);
	else
		finish(wait, err ? daemon_socket_value(EAGAIN, NULL, 0) : daemon_socket_native());
	daemon_socket_changed(w);
}

static void upload_first(struct daemon_conn *dc, struct daemon_wait *wait)
{
	int err = dc->switching ? -EBUSY : 0;

	if (!err) {
		dc->switching = true;
		err = host_conn_upload(dc->conn, UploadRequested, came_up, wait);
		if (err)
			dc->switching = false;
	}
	if (err == -EALREADY)
		finish(wait, daemon_socket_native());
	else if (err)
		put_off(wait);
}

/* The exchange carries these over to the stream, so its own answer is right. */
static bool is_carried(const struct socket_call *c)
{
	return (c->kind == SOCKET_GETSOCKOPT || c->kind == SOCKET_SETSOCKOPT) &&
	       c->level == SOL_SOCKET &&
	       (c->name == SO_RCVTIMEO || c->name == SO_SNDTIMEO || c->name == SO_RCVLOWAT);
}

/* Its FIN goes out although it is to reset when it is closed: the chimney has one end for both. */
static bool resets_at_close(const struct daemon_conn *dc)
{
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);

	return getsockopt(dc->parked_fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
	       linger.l_onoff && linger.l_linger == 0;
}

/*
 * What only the kernel's socket can do: more than the program may set, a question that is none,
 * urgent data, discarding unread bytes, an end of one half, the end of all without closing.
 */
static bool is_for_the_kernel(const struct daemon_conn *dc, const struct socket_call *c)
{
	switch (c->kind) {
	case SOCKET_SETSOCKOPT:
		return c->level == IPPROTO_TCP && c->name == TCP_CONGESTION;
	case SOCKET_GETSOCKOPT:
		return c->level == IPPROTO_TCP && c->name == TCP_ZEROCOPY_RECEIVE;
	case SOCKET_SHUTDOWN:
		return c->name == SHUT_RD || (c->name == SHUT_RDWR && resets_at_close(dc));
	case SOCKET_CONNECT:
		return c->name == AF_UNSPEC;
	case SOCKET_SEND:
	case SOCKET_RECV:
		return c->name & (MSG_OOB | MSG_TRUNC);
	default:
		return false;
	}
}

/* The rest of the calls that have no value: an error of TCP's, or what the stream does as well. */
static json_t *ask_plain(const struct socket_call *c)
{
	if (c->kind == SOCKET_CONNECT)
		return daemon_socket_value(EISCONN, NULL, 0);
	if (c->kind == SOCKET_RECV && c->name & MSG_ERRQUEUE)
		return daemon_socket_value(EAGAIN, NULL, 0);
	return daemon_socket_native();
}

static json_t *ask_name(const struct daemon_conn *dc, enum socket_call_kind kind)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	int err = kind == SOCKET_GETPEERNAME
			  ? getpeername(dc->parked_fd, (struct sockaddr *)&addr, &len)
			  : getsockname(dc->parked_fd, (struct sockaddr *)&addr, &len);

	return daemon_socket_value(err < 0 ? errno : 0, &addr, len);
}

/* Whatever the host driver does not know is not touched by the hand-over. */
static int get_option(struct daemon_conn *dc, struct socket_call *c, json_t **reply)
{
	size_t length = c->length;
	int value, err;

	if (c->level == IPPROTO_TCP && daemon_info_agreed(dc, c->name, &value)) {
		length = length < sizeof(value) ? length : sizeof(value);
		*reply = daemon_socket_value(0, &value, (socklen_t)length);
		return 0;
	}
	err = host_conn_get_option(dc->conn, c->level, c->name, c->data, &length);
	if (err == -ENOPROTOOPT) {
		socklen_t room = c->length;

		err = getsockopt(dc->parked_fd, c->level, c->name, c->data, &room) < 0 ? -errno : 0;
		length = room;
	}
	if (err == -EBUSY)
		return err;
	*reply = daemon_socket_value(-err, c->data, (socklen_t)length);
	return 0;
}

static int set_option(struct daemon_conn *dc, const struct socket_call *c, json_t **reply)
{
	int err = host_conn_set_option(dc->conn, c->level, c->name, c->data, c->length);

	if (err == -EPERM) /* the kernel knows what this program may */
		err = -ENOPROTOOPT;
	if (err == -EBUSY || err == -ENOPROTOOPT)
		return err;
	*reply = daemon_socket_value(-err, NULL, 0);
	return 0;
}

static json_t *measured(struct daemon_conn *dc, const struct daemon_wait *wait)
{
	const struct socket_call *c = &wait->call;
	uint8_t state = wait->live.tcpi_state;

	if (c->kind == SOCKET_IOCTL)
		return daemon_outq_answer(dc, wait);
	if (c->kind == SOCKET_GETSOCKOPT && c->level != IPPROTO_TCP)
		return daemon_socket_value(0, &wait->live.tcpi_pmtu,
					   c->length < sizeof(int) ? c->length : sizeof(int));
	if (c->kind == SOCKET_GETSOCKOPT)
		return daemon_info_answer(dc, wait);
	if (state == HOST_TCP_TIME_WAIT || state == HOST_TCP_CLOSE)
		return daemon_socket_value(ENOTCONN, NULL, 0);
	return c->kind == SOCKET_GETPEERNAME ? ask_name(dc, c->kind) : daemon_socket_native();
}

static void info_known(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct daemon_wait *wait = ctx;
	struct worker *w = wait->worker;

	(void)why;
	if (err) /* it left the target meanwhile */
		put_off(wait);
	else
		finish(wait, measured(host_conn_user(conn), wait));
	daemon_socket_changed(w);
}

/* Both ends are: whether the connection is over as well, the target knows. */
static bool has_ended(const struct daemon_conn *dc)
{
	struct pollfd pfd = { .fd = dc->stream_fd };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

/* A parked socket loses its route when routes change, and nothing makes it look for another. */
static bool asks_lost_mtu(const struct daemon_conn *dc, const struct socket_call *c)
{
	int mtu;
	socklen_t len = sizeof(mtu);

	return ((c->level == IPPROTO_IP && c->name == IP_MTU) ||
		(c->level == IPPROTO_IPV6 && c->name == IPV6_MTU)) &&
	       getsockopt(dc->parked_fd, c->level, c->name, &mtu, &len) < 0 && errno == ENOTCONN;
}

/* What the target has to be asked for. */
static bool is_measured(const struct daemon_conn *dc, const struct socket_call *c)
{
	switch (c->kind) {
	case SOCKET_IOCTL:
		return true;
	case SOCKET_GETSOCKOPT:
		return (c->level == IPPROTO_TCP && c->name == TCP_INFO) || asks_lost_mtu(dc, c);
	case SOCKET_GETPEERNAME:
	case SOCKET_SHUTDOWN:
		return has_ended(dc);
	default:
		return false;
	}
}

/* Takes wait. */
static void ask(struct daemon_conn *dc, struct daemon_wait *wait)
{
	struct socket_call *c = &wait->call;
	json_t *reply = NULL;
	int err = 0;

	if (is_for_the_kernel(dc, c))
		err = -ENOPROTOOPT;
	else if (c->kind == SOCKET_SETSOCKOPT)
		err = set_option(dc, c, &reply);
	else if (is_measured(dc, c))
		err = daemon_info_ask(dc, wait, info_known);
	else if (c->kind == SOCKET_GETSOCKOPT)
		err = get_option(dc, c, &reply);
	else if (c->kind == SOCKET_GETSOCKNAME || c->kind == SOCKET_GETPEERNAME)
		reply = ask_name(dc, c->kind);
	else
		reply = ask_plain(c);
	if (err == -ENOPROTOOPT)
		upload_first(dc, wait);
	else if (err == -EBUSY)
		put_off(wait);
	else if (err)
		finish(wait, daemon_socket_value(-err, NULL, 0));
	else if (reply)
		finish(wait, reply);
}

/* Takes wait. */
static void serve(struct daemon_wait *wait)
{
	struct worker *w = wait->worker;
	struct daemon_conn *dc = find_stream(w, wait->call.inode);
	json_t *reply = NULL;

	if (!dc && !daemon_socket_over(w, &wait->call, &reply))
		reply = daemon_socket_native();
	if (is_carried(&wait->call)) {
		json_decref(reply);
		reply = daemon_socket_native();
	}
	if (reply)
		finish(wait, reply);
	else if (dc->parked_fd < 0 || host_conn_info(dc->conn)->state != HOST_CONN_OFFLOADED)
		put_off(wait);
	else
		ask(dc, wait);
}

static bool read_call(const json_t *request, struct socket_call *c)
{
	static const char *const names[] = { [SOCKET_GETSOCKNAME] = "getsockname",
					     [SOCKET_GETPEERNAME] = "getpeername",
					     [SOCKET_GETSOCKOPT] = "getsockopt",
					     [SOCKET_SETSOCKOPT] = "setsockopt",
					     [SOCKET_IOCTL] = "ioctl",
					     [SOCKET_SHUTDOWN] = "shutdown",
					     [SOCKET_CONNECT] = "connect",
					     [SOCKET_SEND] = "send",
					     [SOCKET_RECV] = "recv" };
	const char *call = json_string_value(json_object_get(request, "call"));
	unsigned int kind = 0;

	while (call && kind < SOCKET_CALL_KINDS && strcmp(names[kind], call) != 0)
		kind++;
	if (!call || kind == SOCKET_CALL_KINDS)
		return false;
	c->kind = (enum socket_call_kind)kind;
	c->inode = (uint64_t)json_integer_value(json_object_get(request, "inode"));
	c->level = (int)json_integer_value(json_object_get(request, "level"));
	c->name = (int)json_integer_value(json_object_get(request, "name"));
	c->length = (socklen_t)json_integer_value(json_object_get(request, "length"));
	if (c->length > SOCKET_VALUE_BYTES)
		c->length = SOCKET_VALUE_BYTES;
	ipc_hex_read(json_string_value(json_object_get(request, "data")), c->data, c->length);
	return true;
}

void daemon_socket(struct worker *w, struct daemon_client *client, json_int_t tag,
		   const json_t *request)
{
	struct daemon_wait *wait = calloc(1, sizeof(*wait));

	if (!wait || !read_call(request, &wait->call)) {
		daemon_ctl_reply(w, client, tag, daemon_socket_native());
		free(wait);
		return;
	}
	wait->worker = w;
	wait->client = client;
	wait->tag = tag;
	serve(wait);
}
