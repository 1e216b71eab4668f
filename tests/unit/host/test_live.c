/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What changes in the kernel or at the program's socket while a connection is offloaded, and what
 * the host driver says to the target about it.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <ndis/chimneyext.h>
#include <ndis/ndisstatus.h>

#include "base/be.h"
#include "host_spy_rig.h"
#include "req.h"

/* ---- options ------------------------------------------------------------------------------ */

static TCP_OFFLOAD_STATE_CACHED told; /* of the last update of a connection */
static bool told_alone;               /* one block, and nothing but cached state behind it */

static void note_cached(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	const OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(root);

	if (kind != HOST_OP_UPDATE || root->Header.Type != TcpOffloadCachedState)
		return;
	memcpy(&told, state, sizeof(told));
	told_alone = state->Length == sizeof(told) && !root->DependentBlockList &&
		     !root->NextBlock && !NdisOffloadNextState(state)->Length;
}

static void set(struct rig_conn *c, int level, int name, int value)
{
	unsigned int before = spy.completed[HOST_OP_UPDATE];
	size_t len = sizeof(value);
	int now = -1;

	memset(&told, 0, sizeof(told));
	assert_int_equal(0, host_conn_set_option(c->conn, level, name, &value, sizeof(value)));
	WAIT(c, spy.completed[HOST_OP_UPDATE] > before);
	assert_int_equal(0, host_conn_get_option(c->conn, level, name, &now, &len));
	if (name != SO_RCVBUF)
		assert_int_equal(value, now);
}

static int kernel_says(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(0, getsockopt(fd, level, name, &value, &len));
	return value;
}

static void keepalive_options(struct rig_conn *c)
{
	set(c, SOL_SOCKET, SO_KEEPALIVE, 1);
	REQ("UPD-09", told.Flags & TCP_FLAG_KEEP_ALIVE_ENABLED && told_alone);
	set(c, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	REQ("UPD-09", told.KaTimeout == 77 * HOST_TICKS_PER_S);
	set(c, IPPROTO_TCP, TCP_KEEPINTVL, 11);
	REQ("UPD-09", told.KaInterval == 11 * HOST_TICKS_PER_S);
	set(c, IPPROTO_TCP, TCP_KEEPCNT, 5);
	REQ("UPD-09", told.KaProbeCount == 5 && told.KaTimeout == 77 * HOST_TICKS_PER_S &&
			      told.Flags & TCP_FLAG_KEEP_ALIVE_ENABLED);
}

static void other_options(struct rig_conn *c)
{
	uint32_t before = told.InitialRcvWnd;

	set(c, SOL_SOCKET, SO_RCVBUF, 150000);
	REQ("UPD-10", told.InitialRcvWnd == 150000 && told.InitialRcvWnd != before);
	set(c, IPPROTO_TCP, TCP_NODELAY, 1);
	REQ("STA-04", !(told.Flags & TCP_FLAG_NAGLING_ENABLED));
	set(c, IPPROTO_TCP, TCP_NODELAY, 0);
	REQ("STA-04", told.Flags & TCP_FLAG_NAGLING_ENABLED);
	set(c, IPPROTO_TCP, TCP_CORK, 1);
	assert_true(told.Flags & TCP_FLAG_CORK_ENABLED);
	set(c, IPPROTO_TCP, TCP_CORK, 0);
	assert_false(told.Flags & TCP_FLAG_CORK_ENABLED);
	set(c, IPPROTO_IP, IP_TTL, 33);
	REQ("STA-04", told.TtlOrHopLimit == 33);
	set(c, IPPROTO_IP, IP_TOS, 0x48);
	REQ("STA-04", told.TosOrTrafficClass == 0x48);
	set(c, SOL_SOCKET, SO_PRIORITY, 4);
	REQ("STA-04", told.UserPriority == 4);
	set(c, IPPROTO_TCP, TCP_USER_TIMEOUT, 4321);
	REQ("STA-04", told.MaxRT == 4321);
}

static void options_are_told(void **state)
{
	struct rig_conn c;
	int fd;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 100);
	spy.down = note_cached;
	keepalive_options(&c);
	other_options(&c);
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_upload(&c));
	fd = c.own.fd;
	assert_int_equal(1, kernel_says(fd, SOL_SOCKET, SO_KEEPALIVE));
	assert_int_equal(77, kernel_says(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	assert_int_equal(33, kernel_says(fd, IPPROTO_IP, IP_TTL));
	assert_int_equal(300000, kernel_says(fd, SOL_SOCKET, SO_RCVBUF));
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

static void options_that_cannot_be(void **state)
{
	struct rig_conn c;
	int value = 1;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 150);
	assert_int_equal(-ENOTCONN, host_conn_set_option(c.conn, IPPROTO_TCP, TCP_NODELAY, &value,
							 sizeof(value)));
	rig_transfer(&c, 10000);
	assert_int_equal(0, rig_offload(&c));
	assert_int_equal(-ENOPROTOOPT, host_conn_set_option(c.conn, IPPROTO_TCP, TCP_REPAIR, &value,
							    sizeof(value)));
	value = 7; /* for those with CAP_NET_ADMIN; we ask for the program */
	assert_int_equal(-EPERM, host_conn_set_option(c.conn, SOL_SOCKET, SO_PRIORITY, &value,
						      sizeof(value)));
	value = 0;
	assert_int_equal(-EINVAL, host_conn_set_option(c.conn, IPPROTO_TCP, TCP_KEEPIDLE, &value,
						       sizeof(value)));
	assert_int_equal(0, spy.ops[HOST_OP_UPDATE]);
	back_and_away(&c);
}

static void update_fails(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_UPDATE)
		root->Status = NDIS_STATUS_FAILURE;
}

static void failed_update_brings_it_up(void **state)
{
	struct rig_conn c;
	int value = 9;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 170);
	spy.up = update_fails;
	assert_int_equal(
		0, host_conn_set_option(c.conn, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof(value)));
	WAIT(&c, in_host(&c));
	REQ("UPD-21", spy.ops[HOST_OP_TERMINATE] == 1);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

static void info_over(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct rig_conn *c = ctx;

	(void)conn;
	(void)why;
	c->err = err;
	c->done = true;
}

static void info_is_merged(void **state)
{
	struct rig_conn c;
	struct tcp_info info;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 190);
	rig_transfer(&c, 100000);
	c.done = false;
	assert_int_equal(0, host_conn_tcp_info(c.conn, &info, info_over, &c));
	RIG_RUN(&c, rig_done);
	assert_int_equal(0, c.err);
	assert_int_equal(HOST_TCP_ESTABLISHED, info.tcpi_state);
	assert_true(info.tcpi_snd_cwnd > 0 && info.tcpi_snd_mss > 500);
	assert_int_equal(c.conn->path->mtu_bytes, info.tcpi_pmtu);
	assert_true(info.tcpi_bytes_received >= 100000);
	back_and_away(&c);
}

/* ---- another next hop --------------------------------------------------------------------- */

#define GATEWAY    "10.78.0.3"
#define PEER4      "10.78.0.2"
#define PEER_ROUTE PEER4, 32

static const uint8_t gateway_mac[6] = { 2, 0x78, 0, 0, 0, 2 }; /* the peer's: it listens to it */

static unsigned int calls;
static struct call {
	enum host_op_kind kind;
	unsigned int blocks;
	uint8_t type[3];
	NDIS_OFFLOAD_HANDLE *handle[3];
	bool states;
} trees[32];

static void note_call(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	struct call *call = &trees[calls++ % 32];

	*call = (struct call){ .kind = kind };
	for (; root; root = root->DependentBlockList) {
		call->type[call->blocks] = root->Header.Type;
		call->handle[call->blocks++] = root->OffloadHandle;
		call->states |= NdisOffloadFirstState(root)->Length != 0;
		assert_null(root->NextBlock);
	}
}

static void by_gateway(void)
{
	assert_int_equal(
		0, netns_neigh_set(&rig.net.a, rig.net.if_a, GATEWAY, gateway_mac, NUD_REACHABLE));
	assert_int_equal(0, netns_route_add(&rig.net.a, PEER_ROUTE, GATEWAY, rig.net.if_a, 0));
}

static void away_with_gateway(void)
{
	char command[160];

	snprintf(command, sizeof(command),
		 "ip route del " PEER4 "/32 && ip neigh del " GATEWAY " dev %s", rig.net.if_a);
	assert_int_equal(0, system(command));
}

static bool is_relinking(const struct call *call)
{
	return call->kind == HOST_OP_UPDATE && call->blocks == 2 &&
	       call->type[0] == NeighborOffloadCachedState &&
	       call->type[1] == Ip4OffloadCachedState;
}

static void next_hop_moves(void **state)
{
	struct tgt_adapter_usage usage;
	struct host_neighbor *old;
	struct host_path *path;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 300);
	path = c.conn->path;
	old = path->neighbor;
	calls = 0;
	spy.down = note_call;
	by_gateway();
	WAIT(&c, spy.completed[HOST_OP_TERMINATE] == 1);
	assert_int_equal(3, calls);
	REQ("UPD-06", trees[0].kind == HOST_OP_INITIATE && trees[0].blocks == 1 &&
			      trees[0].type[0] == NeighborOffloadState && is_relinking(&trees[1]) &&
			      trees[2].kind == HOST_OP_TERMINATE && trees[2].blocks == 1 &&
			      trees[2].handle[0] == &old->handle);
	REQ("UPD-04", trees[1].handle[0] == trees[0].handle[0] &&
			      trees[1].handle[0] == &path->neighbor->handle &&
			      trees[1].handle[1] == &path->handle);
	REQ("UPD-03", c.conn->path == path && place(&c) == HOST_CONN_OFFLOADED);
	REQ("UPD-07", path->neighbor->addr.bytes[3] == 3);
	tgt_adapter_usage(rig.target, &usage);
	assert_true(usage.connections == 1 && usage.paths == 1 && usage.neighbors == 1);
	rig_transfer(&c, 50000);
	assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
	assert_int_equal(0, rig_upload(&c));
	tgt_adapter_usage(rig.target, &usage);
	assert_true(usage.connections == 0 && usage.paths == 0 && usage.neighbors == 0);
	rig_disconnect(&c);
	away_with_gateway();
}

/* No object of the target has this name in that family. */
static void spoil_relinking(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_UPDATE && root->DependentBlockList)
		root->DependentBlockList->Header.Type = Ip6OffloadCachedState;
}

static void failed_relinking_brings_it_up(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 330);
	spy.down = spoil_relinking;
	by_gateway();
	WAIT(&c, in_host(&c));
	REQ("UPD-21", spy.ops[HOST_OP_UPDATE] == 1);
	rig_transfer(&c, 10000);
	assert_null(rig.adapter->neighbors);
	rig_disconnect(&c);
	away_with_gateway();
}

/* ---- a neighbor that failed --------------------------------------------------------------- */

static void neighbor_fails(void)
{
	assert_int_equal(
		0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, rig.net.mac_b, NUD_FAILED));
}

static void failed_neighbor_is_invalidated(void **state)
{
	static const uint8_t other[6] = { 2, 1, 1, 1, 1, 1 };
	struct tgt_adapter_usage usage;
	struct rig_conn c;
	uint64_t rcvd;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 350);
	calls = 0;
	spy.down = note_call;
	spy.hold[HOST_OP_INVALIDATE] = spy.keep_retrieves = true;
	neighbor_fails();
	WAIT(&c, spy.held[HOST_OP_INVALIDATE]);
	REQ("INV-02", trees[0].kind == HOST_OP_INVALIDATE && trees[0].blocks == 1 &&
			      !trees[0].states &&
			      trees[0].handle[0] == &c.conn->path->neighbor->handle);
	rcvd = c.peer.rcvd;
	c.own.goal += 5000;
	WAIT(&c, c.own.sent == c.own.goal);
	rounds(&c, 300);
	REQ("INV-14", c.peer.rcvd == rcvd && spy.last_reason == InvalidState);
	assert_int_equal(0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, other, NUD_REACHABLE));
	assert_int_equal(
		0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, rig.net.mac_b, NUD_REACHABLE));
	rounds(&c, 20);
	spy_release(HOST_OP_INVALIDATE);
	WAIT(&c, in_host(&c));
	REQ("UPD-18", spy.ops[HOST_OP_UPDATE] == 0);
	tgt_adapter_usage(rig.target, &usage);
	REQ("INV-12", usage.connections == 0 && usage.paths == 0 && usage.neighbors == 0 &&
			      spy.ops[HOST_OP_INVALIDATE] == 1);
	c.peer.goal = c.peer.sent;
	RIG_RUN(&c, rig_all_there);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* One that grows stale says nothing. */
static void stale_neighbor_is_no_failure(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 370);
	assert_int_equal(
		0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, rig.net.mac_b, NUD_STALE));
	rig_transfer(&c, 10000);
	assert_int_equal(0, spy.ops[HOST_OP_INVALIDATE]);
	assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
	back_and_away(&c);
}

/* ---- ICMP --------------------------------------------------------------------------------- */

static uint16_t icmp_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The peer's machine says that a segment of ours was too big. */
static void say_too_big(const struct rig_conn *c, uint32_t seq, uint32_t mtu_bytes)
{
	const struct steer_flow *flow = &c->conn->info.flow;
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint8_t m[36] = { 3, 4, [8] = 0x45, [16] = 64, [17] = IPPROTO_TCP };
	int fd = netns_socket(&rig.net.b, AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	assert_true(fd >= 0);
	be_put16(m + 6, mtu_bytes);
	be_put16(m + 10, 1500);
	memcpy(m + 20, flow->local, 4);
	memcpy(m + 24, flow->remote, 4);
	memcpy(m + 28, &flow->local_port_be, 2);
	memcpy(m + 30, &flow->remote_port_be, 2);
	be_put16(m + 32, seq >> 16);
	be_put16(m + 34, seq);
	be_put16(m + 2, icmp_sum(m, sizeof(m)));
	memcpy(&to.sin_addr, flow->local, 4);
	assert_int_equal(sizeof(m),
			 sendto(fd, m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to)));
	close(fd);
}

static void ignored(struct rig_conn *c, uint32_t seq, uint32_t mtu_bytes)
{
	struct host_adapter_info before, now;

	host_adapter_info(rig.adapter, &before);
	say_too_big(c, seq, mtu_bytes);
	do {
		rounds(c, 1);
		host_adapter_info(rig.adapter, &now);
	} while (now.icmp_ignored == before.icmp_ignored && now.icmp_taken == before.icmp_taken);
	assert_int_equal(before.icmp_taken, now.icmp_taken);
	assert_int_equal(1500, c->conn->path->mtu_bytes);
}

static void query_over(void *ctx, struct host_conn *conn, int err, const char *why)
{
	info_over(ctx, conn, err, why);
}

/* Frames of ours that nobody answers: bytes are in flight. */
static struct host_query_result into_the_void(struct rig_conn *c)
{
	static const uint8_t nobody[6] = { 2, 1, 1, 1, 1, 1 };
	struct host_query_result result;

	assert_int_equal(0,
			 netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, nobody, NUD_REACHABLE));
	WAIT(c, spy.completed[HOST_OP_UPDATE] == 1);
	c->own.goal += 5000;
	WAIT(c, c->own.sent == c->own.goal);
	do {
		c->done = false;
		assert_int_equal(0, host_conn_query(c->conn, &result, query_over, c));
		RIG_RUN(c, rig_done);
	} while (result.snd_max == result.snd_una);
	return result;
}

static void too_big_is_judged(void **state)
{
	struct host_query_result flight;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 400);
	flight = into_the_void(&c);
	spy.down = note_call;
	calls = 0;
	ignored(&c, flight.snd_una - 1, 1000); /* acknowledged long ago */
	ignored(&c, flight.snd_max, 1000);     /* never sent */
	ignored(&c, flight.snd_una, 1500);     /* no news */
	assert_int_equal(1, spy.ops[HOST_OP_UPDATE]);
	say_too_big(&c, flight.snd_una, 1000);
	WAIT(&c, c.conn->path->mtu_bytes == 1000 && spy.completed[HOST_OP_UPDATE] == 2);
	REQ("UPD-08", trees[(calls - 1) % 32].kind == HOST_OP_UPDATE &&
			      trees[(calls - 1) % 32].type[0] == Ip4OffloadCachedState);
	REQ("NSP-07", rig.adapter->icmp_taken == 1 && rig.adapter->icmp_ignored == 3);
	REQ("TCP-18", rig.adapter->icmp_taken == 1);
	host_watch_recheck(rig.adapter); /* the route still says 1500 */
	assert_int_equal(1000, c.conn->path->mtu_bytes);
	assert_int_equal(
		0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, rig.net.mac_b, NUD_REACHABLE));
	c.peer.goal = c.peer.sent;
	RIG_RUN(&c, rig_all_there);
	assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
	back_and_away(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(options_are_told, fresh),
		cmocka_unit_test_setup(options_that_cannot_be, fresh),
		cmocka_unit_test_setup(failed_update_brings_it_up, fresh),
		cmocka_unit_test_setup(info_is_merged, fresh),
		cmocka_unit_test_setup(next_hop_moves, fresh),
		cmocka_unit_test_setup(failed_relinking_brings_it_up, fresh),
		cmocka_unit_test_setup(failed_neighbor_is_invalidated, fresh),
		cmocka_unit_test_setup(stale_neighbor_is_no_failure, fresh),
		cmocka_unit_test_setup(too_big_is_judged, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
