/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection over a veth pair to a peer that is the kernel's TCP in both runs: our end in this
 * process through chimney.h, or the kernel's socket. Each sample is a child process with two
 * namespaces of its own; every byte is compared.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chimney/chimney.h>

#include "base/clock.h"
#include "bench.h"
#include "netns/netns.h"

#define ADDR_OURS       "10.79.0.1"
#define ADDR_PEER       "10.79.0.2"
#define PERIOD          65521u /* of the pattern: no size of a buffer divides it */
#define PIECE           (256u << 10)
#define PIECES          8u
#define EXCHANGE_BYTES  64u
#define CARRIER_WAIT_MS 2000
#define WARM_UP_SHARE   10 /* a tenth of the time is not counted */
#define US_PER_S        1000000u

enum path_kind { PATH_RECEIVE, PATH_SEND, PATH_EXCHANGE };

struct path {
	enum path_kind kind;
	struct netns ours, peer;
	char if_ours[16], if_peer[16];
	uint8_t mac_ours[6], mac_peer[6];
	int fd, peer_fd;
	uint8_t *pattern; /* PERIOD + PIECE bytes: a piece from any place in it */
	uint8_t *memory;  /* PIECES pieces */
	uint64_t from_us, end_us, counted, bytes;
	pthread_t peer_thread;
	atomic_bool peer_bad;
};

static int path_wrong(const char *what, int err)
{
	fprintf(stderr, "path: %s: %s\n", what, strerror(-err));
	return err;
}

/* ---- the cable and the connection --------------------------------------------------------- */

static int open_cable(struct path *p)
{
	struct netns_veth_end a = { &p->ours, p->if_ours, p->mac_ours },
			      b = { &p->peer, p->if_peer, p->mac_peer };
	int err;

	memcpy(p->mac_ours, (uint8_t[]){ 2, 0x79, 0, 0, 0, 1 }, 6);
	memcpy(p->mac_peer, (uint8_t[]){ 2, 0x79, 0, 0, 0, 2 }, 6);
	netns_unique_ifname(p->if_ours, "cha");
	netns_unique_ifname(p->if_peer, "chb");
	err = netns_veth(&a, &b, 1500);
	if (!err)
		err = netns_link_set_up(&p->ours, p->if_ours, 1);
	if (!err)
		err = netns_link_set_up(&p->peer, p->if_peer, 1);
	if (!err)
		err = netns_addr_add(&p->ours, p->if_ours, ADDR_OURS, 24);
	if (!err)
		err = netns_addr_add(&p->peer, p->if_peer, ADDR_PEER, 24);
	if (!err)
		err = netns_wait_running(&p->ours, p->if_ours, CARRIER_WAIT_MS);
	return err ? err : netns_wait_running(&p->peer, p->if_peer, CARRIER_WAIT_MS);
}

static int open_connection(struct path *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ADDR_OURS, &at.sin_addr);
	p->peer_fd = netns_socket(&p->peer, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || p->peer_fd < 0 || bind(listener, (struct sockaddr *)&at, len) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
	    connect(p->peer_fd, (struct sockaddr *)&at, len) < 0)
		return -errno;
	p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return p->fd < 0 ? -errno : 0;
}

static int open_path(struct path *p, char *why, size_t why_size)
{
	int err = netns_become_admin(why, why_size);

	if (!err)
		err = netns_new(&p->ours);
	if (!err)
		err = netns_new(&p->peer);
	if (!err)
		err = open_cable(p);
	if (!err)
		err = netns_switch(&p->ours);
	if (!err)
		err = open_connection(p);
	p->pattern = malloc(PERIOD + PIECE);
	p->memory = malloc(PIECES * (size_t)PIECE);
	if (!err && (!p->pattern || !p->memory))
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < PERIOD + PIECE; i++)
		p->pattern[i] = (uint8_t)((i % PERIOD) * 2654435761u >> 24);
	return err;
}

/* ---- the peer ----------------------------------------------------------------------------- */

static bool same(const struct path *p, uint64_t at, const uint8_t *data, size_t bytes)
{
	return memcmp(p->pattern + at % PERIOD, data, bytes) == 0;
}

static void peer_sends(struct path *p)
{
	uint64_t at = 0;
	ssize_t n;

	while ((n = send(p->peer_fd, p->pattern + at % PERIOD, PIECE, MSG_NOSIGNAL)) > 0)
		at += (uint64_t)n;
}

static void peer_receives(struct path *p)
{
	uint8_t *data = malloc(PIECE);
	uint64_t at = 0;
	ssize_t n;

	while (data && (n = recv(p->peer_fd, data, PIECE, 0)) > 0) {
		if (!same(p, at, data, (size_t)n))
			atomic_store(&p->peer_bad, true);
		at += (uint64_t)n;
	}
	free(data);
}

static void peer_answers(struct path *p)
{
	uint8_t data[EXCHANGE_BYTES];

	while (recv(p->peer_fd, data, sizeof(data), MSG_WAITALL) == (ssize_t)sizeof(data))
		if (send(p->peer_fd, data, sizeof(data), MSG_NOSIGNAL) != (ssize_t)sizeof(data))
			break;
}

static void *peer_main(void *arg)
{
	struct path *p = arg;

	if (p->kind == PATH_RECEIVE)
		peer_sends(p);
	else if (p->kind == PATH_SEND)
		peer_receives(p);
	else
		peer_answers(p);
	return NULL;
}

/* ---- counting ----------------------------------------------------------------------------- */

static void path_begin(struct path *p, double seconds)
{
	uint64_t us = (uint64_t)(seconds * US_PER_S);

	p->from_us = clock_monotonic_us() + us / WARM_UP_SHARE;
	p->end_us = p->from_us + us;
}

/* false: the time is over */
static bool path_count(struct path *p, uint64_t amount)
{
	uint64_t now_us = clock_monotonic_us();

	p->bytes += amount;
	if (now_us < p->from_us)
		return true;
	if (p->counted == 0)
		p->from_us = now_us;
	p->counted += amount;
	if (now_us < p->end_us)
		return true;
	p->end_us = now_us;
	return false;
}

/* ---- the kernel's socket ------------------------------------------------------------------ */

static int kernel_run(struct path *p)
{
	ssize_t n;

	do {
		uint8_t *data = p->memory;

		if (p->kind == PATH_RECEIVE) {
			n = recv(p->fd, data, PIECE, 0);
			if (n > 0 && !same(p, p->bytes, data, (size_t)n))
				return -EBADMSG;
		} else if (p->kind == PATH_SEND) {
			n = send(p->fd, p->pattern + p->bytes % PERIOD, PIECE, MSG_NOSIGNAL);
		} else {
			memset(data, (int)p->bytes, EXCHANGE_BYTES);
			send(p->fd, data, EXCHANGE_BYTES, MSG_NOSIGNAL);
			n = recv(p->fd, data + PIECE, EXCHANGE_BYTES, MSG_WAITALL);
			if (memcmp(data, data + PIECE, EXCHANGE_BYTES) != 0)
				return -EBADMSG;
			n = n == (ssize_t)EXCHANGE_BYTES ? 1 : -1;
		}
		if (n <= 0)
			return -EPIPE;
	} while (path_count(p, (uint64_t)n));
	close(p->fd);
	return 0;
}

/* ---- ours --------------------------------------------------------------------------------- */

struct ours {
	struct path *path;
	struct chimney *chimney;
	struct chimney_region *memory, *pattern;
	struct chimney_conn *conn;
	uint64_t given;
	bool down, over;
	int err;
};

static void ours_send(struct ours *o)
{
	o->err = chimney_send(o->conn, o->pattern, o->given % PERIOD, PIECE, o);
	o->given += PIECE;
}

static void ours_receive(struct ours *o, size_t slot)
{
	o->err = chimney_receive(o->conn, o->memory, slot * PIECE, PIECE, false,
				 o->path->memory + slot * PIECE);
}

static void ours_ask(struct ours *o)
{
	memset(o->path->memory, (int)o->path->bytes, EXCHANGE_BYTES);
	o->err = chimney_receive(o->conn, o->memory, PIECE, EXCHANGE_BYTES, true,
				 o->path->memory + PIECE);
	if (!o->err)
		o->err = chimney_send(o->conn, o->memory, 0, EXCHANGE_BYTES, o);
}

static void ours_start(struct ours *o)
{
	for (size_t i = 0; i < PIECES && !o->err; i++) {
		if (o->path->kind == PATH_RECEIVE)
			ours_receive(o, i);
		else if (o->path->kind == PATH_SEND)
			ours_send(o);
	}
	if (o->path->kind == PATH_EXCHANGE)
		ours_ask(o);
}

static void ours_received(struct ours *o, const struct chimney_event *event)
{
	struct path *p = o->path;
	const uint8_t *data = event->cookie;
	bool exchange = p->kind == PATH_EXCHANGE;

	if (event->bytes == 0 || !(exchange ? memcmp(data, p->memory, EXCHANGE_BYTES) == 0
					    : same(p, p->bytes, data, event->bytes)))
		o->err = -EBADMSG;
	else if (!path_count(p, exchange ? 1 : event->bytes))
		o->over = true;
	else if (exchange)
		ours_ask(o);
	else
		ours_receive(o, (size_t)(data - p->memory) / PIECE);
}

static void ours_told(struct ours *o, const struct chimney_event *event)
{
	switch (event->kind) {
	case CHIMNEY_MOVED:
		o->down = event->err == 0;
		o->err = event->err;
		break;
	case CHIMNEY_RECEIVED:
		ours_received(o, event);
		break;
	case CHIMNEY_SENT:
		if (o->path->kind != PATH_SEND)
			break;
		if (path_count(o->path, event->bytes))
			ours_send(o);
		else
			o->over = true;
		break;
	default:
		o->err = event->err ? event->err : -EPIPE;
	}
}

static void ours_turn(struct ours *o)
{
	struct chimney_event events[16];
	int n = chimney_poll(o->chimney, events, 16, US_PER_S);

	if (n < 0)
		o->err = n;
	for (int i = 0; i < n && !o->err && !o->over; i++)
		ours_told(o, &events[i]);
}

static int ours_open(struct ours *o, char *why, size_t why_size)
{
	struct path *p = o->path;
	struct chimney_config config = { .interface = p->if_ours,
					 .spin_us = p->kind == PATH_EXCHANGE ? 1000 : 0 };
	int err = chimney_open(&config, &o->chimney, why, why_size);

	if (!err)
		err = chimney_region_add(o->chimney, p->memory, PIECES * (size_t)PIECE, &o->memory);
	if (!err)
		err = chimney_region_add(o->chimney, p->pattern, PERIOD + PIECE, &o->pattern);
	if (!err)
		err = chimney_conn_add(o->chimney, p->fd, o, &o->conn);
	return err ? err : chimney_conn_offload(o->conn);
}

static int ours_run(struct path *p, double seconds)
{
	struct ours o = { .path = p };
	char why[256] = "";

	o.err = ours_open(&o, why, sizeof(why));
	while (!o.err && !o.down)
		ours_turn(&o);
	if (o.err)
		return path_wrong(why[0] ? why : "offload", o.err);
	path_begin(p, seconds);
	ours_start(&o);
	while (!o.err && !o.over)
		ours_turn(&o);
	chimney_close(o.chimney);
	return o.err;
}

/* ---- one sample --------------------------------------------------------------------------- */

static int sample_here(enum path_kind kind, bool ours, double seconds, double *figure)
{
	struct path p = { .kind = kind };
	char why[256] = "";
	double us;
	int err = open_path(&p, why, sizeof(why));

	if (err)
		return path_wrong(why[0] ? why : "two namespaces and a cable", err);
	path_begin(&p, seconds); /* ours begins again when it is offloaded */
	err = -pthread_create(&p.peer_thread, NULL, peer_main, &p);
	if (!err)
		err = ours ? ours_run(&p, seconds) : kernel_run(&p);
	shutdown(p.peer_fd, SHUT_RDWR);
	pthread_join(p.peer_thread, NULL);
	if (!err && atomic_load(&p.peer_bad))
		err = -EBADMSG;
	if (err)
		return path_wrong(ours ? "ours" : "kernel", err);
	us = (double)(p.end_us - p.from_us);
	*figure = kind == PATH_EXCHANGE ? us / (double)p.counted : (double)p.counted * 8 / us / 1e3;
	return 0;
}

/* A child, so that nothing of a sample is left for the next one. */
static int sample(enum path_kind kind, bool ours, double seconds, double *figure)
{
	int ends[2], status;
	bool got;
	pid_t pid;

	if (pipe(ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		int err = sample_here(kind, ours, seconds, figure);

		if (!err && write(ends[1], figure, sizeof(*figure)) != sizeof(*figure))
			err = -EIO;
		_exit(err ? 1 : 0);
	}
	close(ends[1]);
	got = pid > 0 && read(ends[0], figure, sizeof(*figure)) == sizeof(*figure);
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return got ? 0 : -EIO;
}

#define SAMPLE(name, kind, ours)                                                                   \
	static int name(double seconds, double *figure)                                            \
	{                                                                                          \
		return sample(kind, ours, seconds, figure);                                        \
	}

SAMPLE(receive_ours, PATH_RECEIVE, true)
SAMPLE(receive_kernel, PATH_RECEIVE, false)
SAMPLE(send_ours, PATH_SEND, true)
SAMPLE(send_kernel, PATH_SEND, false)
SAMPLE(exchange_ours, PATH_EXCHANGE, true)
SAMPLE(exchange_kernel, PATH_EXCHANGE, false)

const struct bench_case bench_path_cases[] = {
	{ "path-receive", "one stream from the kernel over veth into this process", "Gbit/s", false,
	  receive_ours, "kernel TCP", receive_kernel },
	{ "path-send", "one stream from this process over veth to the kernel", "Gbit/s", false,
	  send_ours, "kernel TCP", send_kernel },
	{ "path-exchange", "64 bytes there and back, spinning", "us", true, exchange_ours,
	  "kernel TCP, blocking", exchange_kernel },
};

const size_t bench_path_case_count = sizeof(bench_path_cases) / sizeof(bench_path_cases[0]);
