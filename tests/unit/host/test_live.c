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
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(options_are_told, fresh),
		cmocka_unit_test_setup(options_that_cannot_be, fresh),
		cmocka_unit_test_setup(failed_update_brings_it_up, fresh),
		cmocka_unit_test_setup(info_is_merged, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
