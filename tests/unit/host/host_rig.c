/* SPDX-License-Identifier: BSD-2-Clause */
#include "host_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "stack/stack_port.h"

#define TARGET "tgt0"

static void run_target(void *ctx, uint64_t now_us)
{
	struct rig *rig = ctx;

	tgt_adapter_run(rig->target, now_us);
}

static uint64_t target_deadline(void *ctx)
{
	struct rig *rig = ctx;

	return tgt_adapter_next_deadline_us(rig->target);
}

static void nic_readable(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
}

static void expect(void *ctx, const struct steer_flow *flow, bool on)
{
	struct rig *rig = ctx;
	struct tgt_tuple tuple = stack_tuple(flow);

	if (!on)
		tgt_flow_unexpect(rig->target, &tuple);
	else
		assert_int_equal(0, tgt_flow_expect(rig->target, &tuple));
}

static void changed(void *ctx, struct host_conn *conn, enum host_conn_state from,
		    enum host_conn_state to)
{
	struct rig *rig = ctx;
	struct rig_conn *c = host_conn_user(conn);

	(void)from;
	if (to != HOST_CONN_GONE)
		return;
	rig->gone++;
	if (!c)
		return;
	c->conn = NULL;
	c->time_wait = host_conn_info(conn)->time_wait;
	c->closed_offloaded = host_conn_info(conn)->closed_offloaded;
}

static void open_target(struct rig *rig)
{
	struct tgt_adapter_config config = {
		.name = TARGET, .nic = rig->net.nic, .hash_key = 1, .now_us = loop_tick(rig->loop)
	};
	struct nrt_adapter_params params = { .name = TARGET, .add_device_context = &config };

	assert_int_equal(0, tgt_driver_register(&rig->target_driver));
	assert_int_equal(0, nrt_adapter_create(rig->target_driver, &params, &rig->nrt));
	rig->target = tgt_adapter_find(TARGET);
	assert_non_null(rig->target);
}

static void open_host(struct rig *rig)
{
	struct host_config config = { .loop = rig->loop, .on_change = changed, .ctx = rig };
	struct host_adapter_config adapter = { .adapter_name = TARGET,
					       .steer = rig->net.steer,
					       .nic = rig->net.nic,
					       .expect = expect,
					       .ctx = rig };
	char why[HOST_WHY_BYTES] = "";

	adapter.ifindex = (unsigned int)netns_ifindex(&rig->net.a, rig->net.if_a);
	assert_int_equal(0, host_create(&rig->host, &config));
	if (host_adapter_open(rig->host, &adapter, &rig->adapter, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

bool rig_open(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	if (!test_net_open(&rig->net))
		return false;
	assert_int_equal(0, loop_create(&rig->loop));
	open_target(rig);
	open_host(rig);
	rig->hook = (struct loop_hook){ .run = run_target,
					.next_deadline_us = target_deadline,
					.ctx = rig };
	loop_add_hook(rig->loop, &rig->hook);
	rig->nic_watch = (struct loop_watch){ .fn = nic_readable, .fd = nic_fd(rig->net.nic) };
	assert_int_equal(0, loop_watch_set(rig->loop, &rig->nic_watch, EPOLLIN));
	return true;
}

void rig_close(struct rig *rig)
{
	if (rig->host) {
		struct tgt_adapter_usage usage;

		for (int i = 0; i < 20; i++)
			loop_round(rig->loop, 1000);
		tgt_adapter_usage(rig->target, &usage);
		assert_int_equal(0, usage.connections);
		assert_int_equal(0, usage.paths);
		assert_int_equal(0, usage.neighbors);
		assert_int_equal(0, usage.chunks_used);
		assert_int_equal(0, usage.indicated_nbls);
		assert_int_equal(0, usage.caught_frames);
		assert_int_equal(0, host_adapter_close(rig->adapter));
		host_destroy(rig->host);
		while (nrt_adapter_destroy(rig->nrt) == -EINPROGRESS && nrt_adapter_find(TARGET)) {
			tgt_adapter_run(rig->target, loop_tick(rig->loop));
			nrt_pump();
		}
		tgt_driver_deregister(rig->target_driver);
		loop_destroy(rig->loop);
	}
	test_net_close(&rig->net);
}

/* ---- ends --------------------------------------------------------------------------------- */

static void end_init(struct rig_end *end, int fd, uint32_t tx_seed, uint32_t rx_seed)
{
	*end = (struct rig_end){ .fd = fd, .tx_seed = tx_seed, .rx_seed = rx_seed, .chunk = 30000 };
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void end_write(struct rig_end *end)
{
	uint8_t data[65536];
	uint64_t left = end->goal - end->sent;
	size_t len = left < end->chunk ? (size_t)left : end->chunk;
	ssize_t n;

	if (len == 0 && end->close && !end->shut) {
		end->shut = true;
		shutdown(end->fd, SHUT_WR);
	}
	if (len == 0)
		return;
	for (size_t i = 0; i < len; i++)
		data[i] = test_byte(end->tx_seed, end->sent + i);
	n = send(end->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		end->sent += (uint64_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		end->error = errno;
}

static void end_read(struct rig_end *end)
{
	uint8_t data[65536];
	ssize_t n = recv(end->fd, data, end->chunk, MSG_DONTWAIT);

	if (n == 0)
		end->eof = true;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		end->error = errno;
	for (ssize_t i = 0; i < n; i++)
		if (data[i] != test_byte(end->rx_seed, end->rcvd + (uint64_t)i))
			end->wrong = true;
	if (n > 0)
		end->rcvd += (uint64_t)n;
}

static void end_step(struct rig_end *end)
{
	if (end->fd < 0 || end->error)
		return;
	if (!end->eof)
		end_read(end);
	if (!end->error)
		end_write(end);
}

/* ---- connections -------------------------------------------------------------------------- */

void rig_connect(struct rig *rig, struct rig_conn *c, int family, uint32_t seed)
{
	rig_connect_ops(rig, c, family, seed, &host_program_self_ops);
}

void rig_connect_ops(struct rig *rig, struct rig_conn *c, int family, uint32_t seed,
		     const struct host_program_ops *ops)
{
	memset(c, 0, sizeof(*c));
	c->rig = rig;
	test_pair_open(&rig->net, family, &c->pair);
	end_init(&c->own, c->pair.a, seed, seed + 1);
	end_init(&c->peer, c->pair.b, seed + 1, seed);
	c->self = (struct host_program_self){ .fd = c->pair.a, .epoll_fd = -1 };
	assert_int_equal(0, host_conn_add(rig->adapter, dup(c->pair.a), ops, &c->self, &c->conn));
	host_conn_set_user(c->conn, c);
}

void rig_disconnect(struct rig_conn *c)
{
	if (c->conn)
		assert_int_equal(0, host_conn_remove(c->conn));
	if (c->closed)
		c->pair.a = -1;
	test_pair_close(&c->pair);
}

void rig_step(struct rig_conn *c)
{
	assert_int_equal(0, loop_round(c->rig->loop, 200));
	if (!c->closed && !c->self.stopped)
		end_step(&c->own);
	if (!c->peer_idle)
		end_step(&c->peer);
	if (c->own.wrong || c->peer.wrong)
		fail_msg("wrong byte: own %llu received, peer %llu",
			 (unsigned long long)c->own.rcvd, (unsigned long long)c->peer.rcvd);
	if (tgt_hook_check(c->rig->target))
		fail_msg("%s", tgt_hook_check(c->rig->target));
}

void rig_run(struct rig_conn *c, rig_cond *cond, const char *what)
{
	uint64_t end_us = test_now_us() + TEST_WAIT_MS * 1000u;

	while (!cond(c)) {
		rig_step(c);
		if (test_now_us() > end_us)
			fail_msg("%s: state %s, own %llu/%llu sent %llu received error %d, peer "
				 "%llu/%llu sent %llu received "
				 "error %d, why '%s'",
				 what,
				 c->conn ? host_conn_state_name(host_conn_info(c->conn)->state)
					 : "gone",
				 (unsigned long long)c->own.sent, (unsigned long long)c->own.goal,
				 (unsigned long long)c->own.rcvd, c->own.error,
				 (unsigned long long)c->peer.sent, (unsigned long long)c->peer.goal,
				 (unsigned long long)c->peer.rcvd, c->peer.error, c->why);
	}
}

bool rig_all_there(struct rig_conn *c)
{
	return c->own.sent == c->own.goal && c->peer.sent == c->peer.goal &&
	       c->own.rcvd == c->peer.goal && c->peer.rcvd == c->own.goal;
}

bool rig_done(struct rig_conn *c)
{
	return c->done;
}

bool rig_gone(struct rig_conn *c)
{
	return !c->conn;
}

void rig_transfer(struct rig_conn *c, uint64_t bytes)
{
	c->own.goal += bytes;
	c->peer.goal += bytes;
	RIG_RUN(c, rig_all_there);
	assert_int_equal(0, c->own.error);
	assert_int_equal(0, c->peer.error);
}

static void op_done(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct rig_conn *c = ctx;

	(void)conn;
	c->err = err;
	c->done = true;
	snprintf(c->why, sizeof(c->why), "%s", why);
}

int rig_ask_offload(struct rig_conn *c)
{
	c->done = false;
	return host_conn_offload(c->conn, op_done, c);
}

int rig_ask_upload(struct rig_conn *c)
{
	c->done = false;
	return host_conn_upload(c->conn, UploadRequested, op_done, c);
}

int rig_offload(struct rig_conn *c)
{
	int err = rig_ask_offload(c);

	if (err)
		return err;
	RIG_RUN(c, rig_done);
	return c->err;
}

int rig_upload(struct rig_conn *c)
{
	int err = rig_ask_upload(c);

	if (err)
		return err;
	RIG_RUN(c, rig_done);
	return c->err;
}
