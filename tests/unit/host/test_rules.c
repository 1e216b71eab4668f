/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of the interface that the host alone can keep: what is turned off and when, whose memory
 * blocks are, how large a receive request is, what the kernel goes on with after an upload.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
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

#define PEER4 "10.78.0.2"

/* ---- abilities that are turned off --------------------------------------------------------- */

static struct {
	bool done;
	int err;
} used;

static void use_over(void *ctx, int err)
{
	(void)ctx;
	used.done = true;
	used.err = err;
}

static void off_when_nobody_uses_it(void **state)
{
	struct rig_conn c4, c6;
	unsigned int sets;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c4, 100);
	rig_connect(&rig, &c6, AF_INET6, 110);
	rig_transfer(&c6, 10000);
	assert_int_equal(0, rig_offload(&c6));
	sets = spy.oid_sets;
	spy.hold[HOST_OP_TERMINATE] = true;
	used.done = false;
	assert_int_equal(0, host_adapter_use(rig.adapter, false, true, use_over, NULL));
	assert_int_equal(-EBUSY, host_adapter_use(rig.adapter, true, true, NULL, NULL));
	WAIT(&c4, spy.held[HOST_OP_TERMINATE]);
	rounds(&c4, 30);
	REQ("INI-37", spy.oid_sets == sets && !used.done);
	spy_release(HOST_OP_TERMINATE);
	WAIT(&c4, used.done);
	REQ("INI-37", used.err == 0 && spy.oid_sets == sets + 1 && spy.offloaded_at_set == 1 &&
			      spy.params.Encapsulation.IPv4.Enabled == NDIS_OFFLOAD_SET_OFF &&
			      spy.params.Encapsulation.IPv6.Enabled == NDIS_OFFLOAD_SET_ON);
	WAIT(&c4, in_host(&c4));
	assert_int_equal(HOST_CONN_OFFLOADED, place(&c6)); /* it does not use that */
	assert_int_equal(-ENOTSUP, rig_offload(&c4));
	rig_transfer(&c4, 10000);
	assert_int_equal(0, host_adapter_use(rig.adapter, true, true, NULL, NULL));
	assert_int_equal(NDIS_OFFLOAD_SET_ON, spy.params.Encapsulation.IPv4.Enabled);
	assert_int_equal(0, rig_offload(&c4));
	back_and_away(&c4);
	back_and_away(&c6);
}

/* ---- statistics ---------------------------------------------------------------------------- */

static void statistics_are_the_sum(void **state)
{
	struct host_stats before, t0, after, t1;
	struct rig_conn c[2];

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c[0], AF_INET, 200);
	rig_transfer(&c[0], 10000);
	assert_int_equal(0, host_adapter_stats(rig.adapter, &t0, &before));
	connect_offloaded(&c[1], 210);
	assert_int_equal(0, host_adapter_stats(rig.adapter, &t1, &after));
	assert_int_equal(t0.tcp.established + 1, t1.tcp.established);
	/* one more connection of the machine, not two: its parked socket does not count */
	REQ("STT-07", after.tcp.established == before.tcp.established + 1);
	before = after;
	t0 = t1;
	rig_transfer(&c[0], 100000); /* the kernel's */
	rig_transfer(&c[1], 200000); /* the target's */
	assert_int_equal(0, host_adapter_stats(rig.adapter, &t1, &after));
	REQ("STT-07",
	    t1.tcp.out_segs > t0.tcp.out_segs && t1.ip4.out_octets > t0.ip4.out_octets + 200000);
	REQ("STT-07",
	    after.tcp.out_segs - before.tcp.out_segs > t1.tcp.out_segs - t0.tcp.out_segs &&
		    after.tcp.in_segs - before.tcp.in_segs > t1.tcp.in_segs - t0.tcp.in_segs);
	REQ("STT-07", after.ip4.out_octets - before.ip4.out_octets >=
				      t1.ip4.out_octets - t0.ip4.out_octets + 100000 &&
			      after.ip4.in_octets - before.ip4.in_octets >=
				      t1.ip4.in_octets - t0.ip4.in_octets + 100000);
	back_and_away(&c[1]);
	rig_disconnect(&c[0]);
}

/* ---- receive requests ---------------------------------------------------------------------- */

static uint32_t backlog_bytes;

static void note_backlog(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d = (const void *)NdisOffloadFirstState(root);

	if (kind == HOST_OP_QUERY)
		backlog_bytes = d->ReceiveBacklogSize;
}

/* More arrives after a refusal: one request is enough for it all. */
static void request_holds_the_backlog(void **state)
{
	struct rig_conn c;
	uint32_t refused;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 300);
	c.closed = true; /* the program neither reads nor writes */
	c.peer.goal += 2000000;
	WAIT(&c, spy.refused > 0);
	refused = c.conn->xfer.held;
	rounds(&c, 300); /* the peer fills the window meanwhile */
	assert_true(spy.receives == 0 && refused > 0);
	spy.up = note_backlog;
	c.closed = false;
	WAIT(&c, spy.receives > 0);
	assert_true(backlog_bytes > refused && backlog_bytes != UINT32_MAX);
	REQ("QRY-15", spy.receive_bytes == backlog_bytes);
	RIG_RUN(&c, rig_all_there);
	back_and_away(&c);
}

/* ---- memory of operations ------------------------------------------------------------------ */

static struct {
	unsigned int count;
	const void *at[4];
	size_t len[4];
	uint8_t bytes[4][512];
} kept;

static void keep(const void *at, size_t len)
{
	assert_true(kept.count < 4 && len <= sizeof(kept.bytes[0]));
	kept.at[kept.count] = at;
	kept.len[kept.count] = len;
	memcpy(kept.bytes[kept.count++], at, len);
}

/* Classes of state behind a block: all three, or the one that its type names. */
static unsigned int classes(const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *block)
{
	switch (block->Header.Type) {
	case NeighborOffloadState:
	case Ip4OffloadState:
	case TcpOffloadState:
		return 3;
	default:
		return 1;
	}
}

static void keep_tree(const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	kept.count = 0;
	for (; root; root = root->DependentBlockList) {
		const OFFLOAD_STATE_HEADER *state = NdisOffloadFirstState(root);

		for (unsigned int i = 0; i < classes(root) && state->Length; i++)
			state = NdisOffloadNextState(state);
		keep(root, (size_t)((const uint8_t *)state - (const uint8_t *)root));
	}
}

static bool tree_is_kept(void)
{
	for (unsigned int i = 0; i < kept.count; i++)
		if (memcmp(kept.at[i], kept.bytes[i], kept.len[i]) != 0)
			return false;
	return kept.count > 0;
}

/* The target has finished but says so late; much happens meanwhile. */
static bool stays_valid(struct rig_conn *c, struct rig_conn *other, enum host_op_kind kind)
{
	bool valid;

	WAIT(c, spy.held[kind]);
	keep_tree(spy.held[kind]);
	rig_transfer(other, 30000);
	rounds(c, 30);
	valid = tree_is_kept();
	spy_release(kind);
	return valid;
}

static void query_over(void *ctx, struct host_conn *conn, int err, const char *why)
{
	(void)ctx;
	(void)conn;
	(void)err;
	(void)why;
}

static void blocks_stay_valid(void **state)
{
	static const uint8_t mac[6] = { 2, 1, 1, 1, 1, 1 };
	struct host_query_result result;
	struct rig_conn c, other;
	int on = 1;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &other, AF_INET6, 400);
	rig_connect(&rig, &c, AF_INET, 410);
	rig_transfer(&c, 10000);
	spy.hold[HOST_OP_INITIATE] = true;
	assert_int_equal(0, rig_ask_offload(&c));
	REQ("BLK-11", stays_valid(&c, &other, HOST_OP_INITIATE));
	RIG_RUN(&c, rig_done);
	spy.hold[HOST_OP_UPDATE] = true;
	assert_int_equal(0,
			 host_conn_set_option(c.conn, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	REQ("BLK-11", stays_valid(&c, &other, HOST_OP_UPDATE));
	spy.hold[HOST_OP_QUERY] = true;
	assert_int_equal(0, host_conn_query(c.conn, &result, query_over, NULL));
	REQ("BLK-11", stays_valid(&c, &other, HOST_OP_QUERY));
	spy.hold[HOST_OP_INVALIDATE] = spy.hold[HOST_OP_TERMINATE] = true;
	assert_int_equal(0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, mac, NUD_FAILED));
	REQ("BLK-11", stays_valid(&c, &other, HOST_OP_INVALIDATE));
	REQ("BLK-11", stays_valid(&c, &other, HOST_OP_TERMINATE));
	WAIT(&c, in_host(&c));
	assert_int_equal(
		0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, rig.net.mac_b, NUD_REACHABLE));
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
	rig_disconnect(&other);
}

/* ---- silly windows ------------------------------------------------------------------------- */

static void return_kept(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)root;
	if (kind == HOST_OP_TERMINATE)
		spy_return_sends(rig.adapter);
}

/* As if the peer's window had been too small for what was to be sent. */
static void small_window(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_TERMINATE)
		((TCP_OFFLOAD_STATE_DELEGATED *)(void *)NdisOffloadFirstState(
			 root->Header.Type == TcpOffloadDelegatedState
				 ? root
				 : root->DependentBlockList->DependentBlockList))
			->SndWnd = 300;
}

/* The peer's socket hears nothing, or hears again. */
static void deaf(const struct rig_conn *c, bool on)
{
	struct sock_filter drop = { .code = BPF_RET | BPF_K };
	struct sock_fprog program = { .len = 1, .filter = &drop };

	assert_int_equal(0,
			 setsockopt(c->pair.b, SOL_SOCKET, on ? SO_ATTACH_FILTER : SO_DETACH_FILTER,
				    &program, sizeof(program)));
}

/*
 * Nothing is in flight, the peer has nothing to say and did not hear the probe that a socket sends
 * when it leaves repair mode: only a timer of the kernel can send what the window has room for,
 * less than a segment.
 */
static void window_timer_goes_on(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 500);
	rig_transfer(&c, 10000);
	spy.keep_sends = true;
	spy.down = return_kept;
	spy.up = small_window;
	write_burst(&c, c.pair.a, 1400);
	WAIT(&c, spy.sends > 0 && c.conn->xfer.outstanding >= 1400);
	deaf(&c, true);
	assert_int_equal(0, rig_upload(&c));
	deaf(&c, false);
	assert_int_equal(c.own.sent - 1400, c.peer.rcvd); /* it does not send into so little room */
	RIG_RUN(&c, rig_all_there);
	REQ("TMR-44", c.peer.rcvd == c.own.sent);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(off_when_nobody_uses_it, fresh),
		cmocka_unit_test_setup(statistics_are_the_sum, fresh),
		cmocka_unit_test_setup(request_holds_the_backlog, fresh),
		cmocka_unit_test_setup(blocks_stay_valid, fresh),
		cmocka_unit_test_setup(window_timer_goes_on, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
