/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection starts with four bytes from the peer that name the flow; everything after them is
 * the checked stream, pseudo-random from (seed, flow, direction). Each side sends at the flow's
 * rate, in steps of a millisecond, but never more than the story allows; each side hashes what it
 * sends and what it receives.
 */
#include "demo/demo_end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

#define CHUNK          65536u
#define TICK_US        1000u
#define TCP_INFO_TICKS 16u

struct end {
	int fd;
	enum demo_side side;
	struct demo_flow *flow; /* NULL until the server knows which one */
	uint64_t random;        /* generator of the outgoing stream */
	EVP_MD_CTX *hash_out, *hash_in;
	uint8_t head[4];
	uint32_t head_len;
	uint8_t out[CHUNK]; /* generated, not yet taken by the socket */
	uint32_t out_off, out_len;
	uint64_t start_us, last_rx_us;
	uint64_t held_us; /* since when the story allows no more; 0: it does */
	bool echo;        /* what arrives is what we sent */
	bool eof, write_closed;
};

struct ends {
	struct demo_table *table;
	enum demo_side side;
	int epoll_fd, listen_fd, tick_fd;
	struct end **items;
	uint32_t count, open;
	uint64_t ticks;
};

struct demo_table *demo_table_create(uint32_t count)
{
	size_t bytes = sizeof(struct demo_table) + count * sizeof(struct demo_flow);
	struct demo_table *t =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	t->count = count;
	return t;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static uint64_t stream_seed(const struct demo_table *table, uint32_t flow, enum demo_side side)
{
	uint64_t s = table->seed * 0x9e3779b97f4a7c15u + flow * 2u + (uint64_t)side + 1u;

	next_random(&s);
	return s ? s : 1;
}

static struct demo_end_report *report_of(const struct end *e)
{
	return &e->flow->end[e->side];
}

static struct end *end_new(int fd, enum demo_side side)
{
	struct end *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->fd = fd;
	e->side = side;
	e->hash_out = EVP_MD_CTX_new();
	e->hash_in = EVP_MD_CTX_new();
	EVP_DigestInit_ex(e->hash_out, EVP_sha256(), NULL);
	EVP_DigestInit_ex(e->hash_in, EVP_sha256(), NULL);
	e->start_us = e->last_rx_us = clock_monotonic_us();
	return e;
}

static void end_bind_flow(struct ends *ends, struct end *e, uint32_t flow)
{
	e->flow = &ends->table->flows[flow];
	e->random = stream_seed(ends->table, flow, e->side);
	e->start_us = e->last_rx_us = clock_monotonic_us();
	atomic_store(&report_of(e)->state, DEMO_END_OPEN);
}

static void end_finish(struct ends *ends, struct end *e, int error)
{
	struct demo_end_report *r;

	if (e->fd < 0)
		return;
	close(e->fd);
	e->fd = -1;
	ends->open--;
	if (!e->flow)
		return;
	r = report_of(e);
	EVP_DigestFinal_ex(e->hash_out, r->sha_sent, NULL);
	EVP_DigestFinal_ex(e->hash_in, r->sha_rcvd, NULL);
	atomic_store(&r->error, error);
	atomic_store(&r->state, error ? DEMO_END_BROKEN : DEMO_END_CLOSED);
}

static void end_free(struct end *e)
{
	EVP_MD_CTX_free(e->hash_out);
	EVP_MD_CTX_free(e->hash_in);
	free(e);
}

/* How much may have been sent by now: rate times time, the story's allowance, the total. */
static uint64_t send_limit(const struct end *e, uint64_t now_us)
{
	uint64_t limit = (now_us - e->start_us) * (e->flow->rate_bps / 1000u) / 1000u;
	uint64_t allow = atomic_load(&e->flow->allow);

	if (limit > allow)
		limit = allow;
	return limit < e->flow->total ? limit : e->flow->total;
}

static void generate(struct end *e, uint64_t want)
{
	uint32_t len = want < CHUNK ? (uint32_t)want : CHUNK;

	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t word = next_random(&e->random);

		memcpy(e->out + i, &word, sizeof(word));
	}
	e->out_off = 0;
	e->out_len = len;
	EVP_DigestUpdate(e->hash_out, e->out, len);
}

/* The time in which the story held an end back is not made up for by a flood afterwards. */
static void note_hold(struct end *e, uint64_t now_us)
{
	struct demo_end_report *r = report_of(e);

	if (atomic_load(&r->sent) >= atomic_load(&e->flow->allow)) {
		if (!e->held_us)
			e->held_us = now_us;
	} else if (e->held_us) {
		e->start_us += now_us - e->held_us;
		e->held_us = 0;
		atomic_store(&r->resumed_us, now_us);
	}
}

static int end_send(struct end *e, uint64_t now_us)
{
	struct demo_end_report *r = report_of(e);
	uint64_t sent = atomic_load(&r->sent), limit = send_limit(e, now_us);

	/* One chunk a tick: more, from all connections, would be a long time without reading. */
	if (limit > sent + CHUNK)
		limit = sent + CHUNK;
	while (sent < limit) {
		ssize_t n;

		if (e->out_off == e->out_len)
			generate(e, limit - sent);
		n = send(e->fd, e->out + e->out_off, e->out_len - e->out_off, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		e->out_off += (uint32_t)n;
		sent += (uint64_t)n;
		atomic_store(&r->sent, sent);
	}
	return 0;
}

static int end_tick(struct end *e, uint64_t now_us)
{
	note_hold(e, now_us);
	return end_send(e, now_us);
}

/* A gap counts from when the other end had something to send. */
static void note_arrival(struct end *e)
{
	struct demo_end_report *r = report_of(e);
	enum demo_side from = e->echo ? e->side : e->side == DEMO_PEER ? DEMO_SERVER : DEMO_PEER;
	uint64_t resumed = atomic_load(&e->flow->end[from].resumed_us), now = clock_monotonic_us();
	uint64_t since = resumed > e->last_rx_us ? resumed : e->last_rx_us, gap = now - since;

	if (since < now && gap > atomic_load(&r->gap_us))
		atomic_store(&r->gap_us, gap);
	e->last_rx_us = now;
}

static int receive_head(struct ends *ends, struct end *e)
{
	ssize_t n = recv(e->fd, e->head + e->head_len, sizeof(e->head) - e->head_len, 0);
	uint32_t flow;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	e->head_len += (uint32_t)n;
	if (e->head_len < sizeof(e->head))
		return 0;
	memcpy(&flow, e->head, sizeof(flow));
	flow = ntohl(flow);
	if (flow >= ends->table->count)
		return -EPROTO;
	end_bind_flow(ends, e, flow);
	return 0;
}

static int end_receive(struct ends *ends, struct end *e)
{
	static uint8_t in[4 * CHUNK];
	ssize_t n;

	if (!e->flow)
		return receive_head(ends, e);
	n = recv(e->fd, in, sizeof(in), 0);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0) {
		e->eof = true;
		return 0;
	}
	note_arrival(e);
	EVP_DigestUpdate(e->hash_in, in, (size_t)n);
	atomic_fetch_add(&report_of(e)->rcvd, (uint64_t)n);
	return 0;
}

static void read_tcp_info(struct end *e)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct demo_end_report *r;

	if (e->side != DEMO_PEER || e->fd < 0 ||
	    getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	r = report_of(e);
	atomic_store(&r->segs_in, info.tcpi_segs_in);
	atomic_store(&r->segs_out, info.tcpi_segs_out);
	atomic_store(&r->retransmits, info.tcpi_total_retrans);
}

/*
 * The closing side closes when it has everything; the other side when it sees the end of the
 * stream.
 */
static void maybe_close(struct ends *ends, struct end *e)
{
	struct demo_end_report *r = report_of(e);
	bool done =
		atomic_load(&r->sent) == e->flow->total && atomic_load(&r->rcvd) >= e->flow->total;

	if (e->eof && !done) {
		end_finish(ends, e, EPIPE);
		return;
	}
	if (!done || !atomic_load(&e->flow->may_close))
		return;
	if (e->side != e->flow->closer) {
		if (e->eof)
			end_finish(ends, e, 0);
		return;
	}
	if (!e->write_closed) {
		read_tcp_info(e);
		shutdown(e->fd, SHUT_WR);
		e->write_closed = true;
	}
	if (e->eof)
		end_finish(ends, e, 0);
}

/* Sends in ticks only: what a rate allows between two events would be a flood of tiny segments. */
static void end_serve(struct ends *ends, struct end *e, bool readable)
{
	int err = 0;

	if (e->fd < 0)
		return;
	if (readable)
		err = end_receive(ends, e);
	else if (e->flow)
		err = end_tick(e, clock_monotonic_us());
	if (err)
		end_finish(ends, e, -err);
	else if (e->flow)
		maybe_close(ends, e);
}

static int ends_add(struct ends *ends, int fd)
{
	struct end *e = end_new(fd, ends->side);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };

	if (!e || ends->count == ends->table->count)
		return -ENOMEM;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ends->items[ends->count++] = e;
	ends->open++;
	return epoll_ctl(ends->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int ends_open(struct ends *ends, struct demo_table *table, enum demo_side side)
{
	struct itimerspec tick = { { 0, TICK_US * 1000 }, { 0, TICK_US * 1000 } };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &ends->tick_fd };

	*ends = (struct ends){ .table = table, .side = side, .listen_fd = -1 };
	ends->items = calloc(table->count, sizeof(*ends->items));
	ends->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ends->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!ends->items || ends->epoll_fd < 0 || ends->tick_fd < 0)
		return -errno;
	timerfd_settime(ends->tick_fd, 0, &tick, NULL);
	return epoll_ctl(ends->epoll_fd, EPOLL_CTL_ADD, ends->tick_fd, &ev) < 0 ? -errno : 0;
}

static void accept_all(struct ends *ends)
{
	int fd;

	while ((fd = accept4(ends->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		ends_add(ends, fd);
}

static void on_tick(struct ends *ends)
{
	uint64_t expirations;

	if (read(ends->tick_fd, &expirations, sizeof(expirations)) < 0)
		return;
	ends->ticks++;
	for (uint32_t i = 0; i < ends->count; i++) {
		end_serve(ends, ends->items[i], false);
		if (ends->ticks % TCP_INFO_TICKS == 0)
			read_tcp_info(ends->items[i]);
	}
}

static void serve_events(struct ends *ends)
{
	struct epoll_event events[64];
	int n = epoll_wait(ends->epoll_fd, events, 64, -1);

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &ends->tick_fd)
			on_tick(ends);
		else if (events[i].data.ptr == &ends->listen_fd)
			accept_all(ends);
		else
			end_serve(ends, events[i].data.ptr, true);
	}
}

static int ends_close(struct ends *ends)
{
	int status = 0;

	for (uint32_t i = 0; i < ends->count; i++) {
		struct end *e = ends->items[i];

		if (!e->flow || atomic_load(&report_of(e)->state) != DEMO_END_CLOSED)
			status = 1;
		end_free(e);
	}
	free(ends->items);
	close(ends->epoll_fd);
	close(ends->tick_fd);
	if (ends->listen_fd >= 0)
		close(ends->listen_fd);
	return status;
}

static int listen_any(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(DEMO_PORT) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 1024) < 0) {
		perror("demo server");
		return -1;
	}
	return fd;
}

int demo_server_run(struct demo_table *table, int ready_fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct ends ends;

	if (ends_open(&ends, table, DEMO_SERVER) < 0)
		return 1;
	ends.listen_fd = listen_any();
	if (ends.listen_fd < 0)
		return 1;
	ev.data.ptr = &ends.listen_fd;
	epoll_ctl(ends.epoll_fd, EPOLL_CTL_ADD, ends.listen_fd, &ev);
	if (write(ready_fd, "", 1) != 1)
		return 1;
	while (ends.count < table->count || ends.open)
		serve_events(&ends);
	return ends_close(&ends);
}

static int connect_to(const struct demo_addr *server, bool ipv6, uint16_t port)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	inet_pton(AF_INET, server->v4, &a4.sin_addr);
	inet_pton(AF_INET6, server->v6, &a6.sin6_addr);
	err = ipv6 ? connect(fd, (struct sockaddr *)&a6, sizeof(a6))
		   : connect(fd, (struct sockaddr *)&a4, sizeof(a4));
	if (err < 0) {
		perror("demo peer: connect");
		return -1;
	}
	return fd;
}

/* The story finds the daemon's connection by the peer's port. */
static void note_port(struct demo_flow *flow, int fd)
{
	struct sockaddr_in6 name = { 0 };
	socklen_t len = sizeof(name);

	getsockname(fd, (struct sockaddr *)&name,
		    &len); /* the port is at the same place in both families */
	flow->peer_port = ntohs(name.sin6_port);
}

static int peer_open(struct ends *ends, const struct demo_addr *server)
{
	for (uint32_t i = 0; i < ends->table->count; i++) {
		int fd = connect_to(server, ends->table->flows[i].ipv6, DEMO_PORT);
		uint32_t head = htonl(i);

		if (fd < 0 ||
		    send(fd, &head, sizeof(head), MSG_NOSIGNAL) != (ssize_t)sizeof(head) ||
		    ends_add(ends, fd) < 0)
			return -1;
		note_port(&ends->table->flows[i], fd);
		end_bind_flow(ends, ends->items[i], i);
	}
	return 0;
}

int demo_peer_run(struct demo_table *table, const struct demo_addr *server)
{
	struct ends ends;

	if (ends_open(&ends, table, DEMO_PEER) < 0 || peer_open(&ends, server) < 0)
		return 1;
	while (ends.open)
		serve_events(&ends);
	return ends_close(&ends);
}

/* The echo's end of the flow is written here too: an echo server keeps no account. */
static int echo_finish(struct ends *ends, struct demo_flow *flow)
{
	struct demo_end_report *mine = &flow->end[DEMO_PEER], *theirs = &flow->end[DEMO_SERVER];
	int status = ends_close(ends);

	memcpy(theirs->sha_rcvd, mine->sha_sent, sizeof(theirs->sha_rcvd));
	memcpy(theirs->sha_sent, mine->sha_sent, sizeof(theirs->sha_sent));
	atomic_store(&theirs->state, atomic_load(&mine->state));
	return status;
}

int demo_echo_run(struct demo_flow *flow, uint64_t seed, const struct demo_addr *server)
{
	struct demo_table *table = demo_table_create(1);
	struct ends ends;
	struct end *e;
	int fd;

	if (!table || ends_open(&ends, table, DEMO_PEER) < 0)
		return 1;
	fd = connect_to(server, flow->ipv6, DEMO_PYTHON_PORT);
	if (fd < 0 || ends_add(&ends, fd) < 0)
		return 1;
	table->seed = seed;
	e = ends.items[0];
	end_bind_flow(&ends, e, 0);
	e->flow = flow;
	e->echo = true;
	note_port(flow, fd);
	atomic_store(&report_of(e)->state, DEMO_END_OPEN);
	while (ends.open)
		serve_events(&ends);
	return echo_finish(&ends, flow);
}
