/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host driver says to NDIS and when: registration, state operations and their trees. The real
 * host over the real target, with a spy on every call between host and NDIS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "host_spy_rig.h"
#include "req.h"

#define PEER4 "10.78.0.2"

/* ---- registration and parameters ---------------------------------------------------------- */

static void handlers_are_registered(void **state)
{
	const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS *g = &spy.generic;
	const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS *t = &spy.tcp;

	(void)state;
	NEED_RIG();
	REQ("REG-04",
	    spy.generic_sets == 1 &&
		    g->Header.Type ==
			    NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS &&
		    g->Header.Size == sizeof(*g) && g->InitiateOffloadCompleteHandler &&
		    g->TerminateOffloadCompleteHandler && g->UpdateOffloadCompleteHandler &&
		    g->InvalidateOffloadCompleteHandler && g->QueryOffloadCompleteHandler &&
		    g->IndicateOffloadEventHandler);
	REQ("REG-05",
	    spy.tcp_sets == 1 &&
		    t->Header.Type == NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS &&
		    t->Header.Size == sizeof(*t) && t->OffloadType == NdisTcpChimneyOffload &&
		    t->TcpOffloadSendCompleteHandler && t->TcpOffloadReceiveCompleteHandler &&
		    t->TcpOffloadDisconnectCompleteHandler && t->TcpOffloadForwardCompleteHandler &&
		    t->TcpOffloadEventHandler && t->TcpOffloadReceiveIndicateHandler);
}

static void parameters_are_set(void **state)
{
	const NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS *p = &spy.params;
	struct host_adapter_info info;

	(void)state;
	NEED_RIG();
	REQ("INI-15", spy.oid_sets == 1 && spy.set_oid == OID_TCP_CONNECTION_OFFLOAD_PARAMETERS &&
			      spy.set_len == sizeof(*p) && p->TicksPerSecond == HOST_TICKS_PER_S &&
			      p->Encapsulation.IPv4.Enabled == NDIS_OFFLOAD_SET_ON &&
			      p->Encapsulation.IPv6.Enabled == NDIS_OFFLOAD_SET_ON);
	REQ("INI-18", p->Header.Type == NDIS_OBJECT_TYPE_DEFAULT && p->Header.Revision == 1 &&
			      p->Header.Size == sizeof(*p));
	host_adapter_info(rig.adapter, &info);
	REQ("INI-34", spy.capacity_at_set != 0 && spy.capacity_at_set == info.capacity);
}

static void indicate_offer(NDIS_STATUS code, const NDIS_TCP_CONNECTION_OFFLOAD *offer)
{
	NDIS_TCP_CONNECTION_OFFLOAD copy = *offer;
	NDIS_STATUS_INDICATION indication = {
		.Header = { NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
			    NDIS_SIZEOF_STATUS_INDICATION_REVISION_1 },
		.SourceHandle = nrt_adapter_handle(rig.nrt),
		.StatusCode = code,
		.StatusBuffer = &copy,
		.StatusBufferSize = sizeof(copy),
	};

	NdisMIndicateStatusEx(nrt_adapter_handle(rig.nrt), &indication);
}

static void capabilities_change(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD was, less;
	struct host_adapter_info info;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	was = less = *nrt_adapter_offload(rig.nrt, true);
	less.TcpConnectionOffloadCapacity = 0;
	rig_connect(&rig, &c, AF_INET, 100);
	rig_transfer(&c, 1000);
	indicate_offer(NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &less);
	assert_int_equal(-ENOSPC, rig_offload(&c));
	less.SupportIPv4 = NDIS_OFFLOAD_NOT_SUPPORTED;
	less.TcpConnectionOffloadCapacity = 7;
	indicate_offer(NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &less);
	assert_int_equal(-ENOTSUP, rig_offload(&c));
	assert_int_equal(0, spy.ops[HOST_OP_INITIATE]);
	indicate_offer(NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, &was);
	REQ("INI-11", rig_offload(&c) == 0 && spy.oid_queries == 0);
	back_and_away(&c);
	tgt_adapter_pause_offload(rig.target);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(0, loop_round(rig.loop, 200));
	host_adapter_info(rig.adapter, &info);
	assert_true(info.paused);
	less = was;
	less.TcpConnectionOffloadCapacity = 9;
	indicate_offer(NDIS_STATUS_OFFLOAD_RESUME, &less);
	host_adapter_info(rig.adapter, &info);
	REQ("STI-08", info.capacity == 9 && !info.paused);
	indicate_offer(NDIS_STATUS_OFFLOAD_RESUME, &was);
	tgt_adapter_resume_offload(rig.target);
}

/* ---- trees -------------------------------------------------------------------------------- */

/* What the last trees looked like, taken while the driver below may look at them. */
static struct {
	unsigned int depth, blocks;
	uint8_t type[3];
	bool only_these_states; /* each block is followed by the classes of its type, no gap */
	bool next_block, linkers;
	bool new_state[3]; /* by layer: state behind the block */
	NDIS_OFFLOAD_HANDLE *handle[3];
	PVOID context[3];
	uint32_t chain_bytes, buffered_bytes;
	bool chain_odd, ends_right;
	NET_BUFFER_LIST *buffered;
} tree;

static bool is_state(const OFFLOAD_STATE_HEADER *state, size_t bytes)
{
	return state->Length == bytes;
}

/* Const, cached and delegated in their order, or the one class that the type names. */
static bool states_fit(const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *block)
{
	const OFFLOAD_STATE_HEADER *first = NdisOffloadFirstState(block);
	const OFFLOAD_STATE_HEADER *second = NdisOffloadNextState(first);

	switch (block->Header.Type) {
	case NeighborOffloadState:
		return is_state(first, sizeof(NEIGHBOR_OFFLOAD_STATE_CONST)) &&
		       is_state(second, sizeof(NEIGHBOR_OFFLOAD_STATE_CACHED)) &&
		       is_state(NdisOffloadNextState(second),
				sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED));
	case Ip4OffloadState:
	case Ip6OffloadState:
		return is_state(first, sizeof(PATH_OFFLOAD_STATE_CONST)) &&
		       is_state(second, sizeof(PATH_OFFLOAD_STATE_CACHED)) &&
		       is_state(NdisOffloadNextState(second), sizeof(PATH_OFFLOAD_STATE_DELEGATED));
	case TcpOffloadState:
		return is_state(first, sizeof(TCP_OFFLOAD_STATE_CONST)) &&
		       is_state(second, sizeof(TCP_OFFLOAD_STATE_CACHED)) &&
		       is_state(NdisOffloadNextState(second), sizeof(TCP_OFFLOAD_STATE_DELEGATED));
	case NeighborOffloadCachedState:
		return is_state(first, sizeof(NEIGHBOR_OFFLOAD_STATE_CACHED)) && !second->Length;
	case Ip4OffloadCachedState:
		return is_state(first, sizeof(PATH_OFFLOAD_STATE_CACHED)) && !second->Length;
	case NeighborOffloadDelegatedState:
		return is_state(first, sizeof(NEIGHBOR_OFFLOAD_STATE_DELEGATED)) && !second->Length;
	case Ip4OffloadDelegatedState:
		return is_state(first, sizeof(PATH_OFFLOAD_STATE_DELEGATED)) && !second->Length;
	case TcpOffloadDelegatedState:
		return is_state(first, sizeof(TCP_OFFLOAD_STATE_DELEGATED)) && !second->Length;
	}
	return false;
}

static uint32_t chain_bytes(const NET_BUFFER_LIST *chain, bool *odd)
{
	uint32_t bytes = 0;

	for (; chain; chain = NET_BUFFER_LIST_NEXT_NBL(chain)) {
		const NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(chain);

		*odd |= !nb || NET_BUFFER_NEXT_NB(nb) || NET_BUFFER_DATA_LENGTH(nb) == 0;
		bytes += NET_BUFFER_DATA_LENGTH(nb);
	}
	return bytes;
}

static void look_at_data(const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *block)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d = (const void *)NdisOffloadNextState(
		NdisOffloadNextState(NdisOffloadFirstState(block)));
	NET_BUFFER_LIST *last = block->NetBufferListChain;
	bool odd = false;

	tree.chain_bytes = chain_bytes(last, &tree.chain_odd);
	tree.buffered = d->BufferedData;
	tree.buffered_bytes = chain_bytes(d->BufferedData, &odd);
	while (last && NET_BUFFER_LIST_NEXT_NBL(last))
		last = NET_BUFFER_LIST_NEXT_NBL(last);
	tree.ends_right = d->SendDataHead == block->NetBufferListChain && d->SendDataTail == last;
	spy.watched = tree.buffered;
	spy.watched_freed = 0;
}

static void look(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	memset(&tree, 0, sizeof(tree));
	tree.only_these_states = true;
	for (NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *b = root; b; b = b->DependentBlockList) {
		bool has_state = NdisOffloadFirstState(b)->Length != 0;

		REQ("BLK-04", b->Header.Type != TcpOffloadResourceState &&
				      b->Header.Type != FilterReservedOffloadState);
		if (tree.depth < 3) {
			tree.type[tree.depth] = b->Header.Type;
			tree.new_state[tree.depth] = has_state;
			tree.handle[tree.depth] = b->OffloadHandle;
			tree.context[tree.depth] = b->OffloadHandle->MiniportOffloadContext;
		}
		tree.depth++;
		tree.next_block |= b->NextBlock != NULL;
		tree.only_these_states &= !has_state || states_fit(b);
		if (kind != HOST_OP_INITIATE || b->Header.Type != TcpOffloadState)
			assert_null(b->NetBufferListChain);
		else
			look_at_data(b);
	}
}

static void first_tree_is_whole(void)
{
	REQ("BLK-08", tree.depth == 3);
	REQ("STA-01", tree.type[0] == NeighborOffloadState && tree.type[1] == Ip4OffloadState &&
			      tree.type[2] == TcpOffloadState && tree.new_state[0] &&
			      tree.new_state[1] && tree.new_state[2]);
	REQ("STA-09", tree.only_these_states);
	REQ("BLK-05", tree.only_these_states);
	REQ("BLK-06", !tree.next_block);
	assert_true(!tree.context[0] && !tree.context[1] && !tree.context[2]);
}

/* Unread bytes and unacknowledged ones travel with the state. */
static void data_travels_with_state(void **state)
{
	struct rig_conn c;
	int room = 1 << 20;

	(void)state;
	NEED_RIG();
	spy.down = look;
	rig_connect(&rig, &c, AF_INET, 200);
	assert_int_equal(0, setsockopt(c.pair.a, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
	c.own.goal = 30000000;
	c.own.chunk = 60000;
	c.peer_idle = true;
	for (unsigned int i = 0; i < 3; i++) {
		uint8_t data[1000];

		for (size_t k = 0; k < sizeof(data); k++)
			data[k] = test_byte(c.peer.tx_seed, c.peer.sent + k);
		test_write_all(c.pair.b, data, sizeof(data));
		c.peer.sent += sizeof(data);
	}
	WAIT(&c, c.own.rcvd >= 3000);
	for (unsigned int same = 0; same < 20; same++) { /* until the peer's window is full */
		uint64_t before = c.own.sent;

		rig_step(&c);
		if (c.own.sent != before)
			same = 0;
	}
	c.closed = true; /* the program does not read from now on */
	{
		uint8_t data[500];

		for (size_t k = 0; k < sizeof(data); k++)
			data[k] = test_byte(c.peer.tx_seed, c.peer.sent + k);
		test_write_all(c.pair.b, data, sizeof(data));
		c.peer.sent += sizeof(data);
		assert_true(test_wait(c.pair.a, 1 /* POLLIN */));
	}
	assert_int_equal(0, rig_offload(&c));
	first_tree_is_whole();
	REQ("BUF-01", tree.buffered_bytes == 500 && tree.buffered);
	REQ("BUF-05", spy.watched_freed == 1);
	REQ("BLK-17", tree.chain_bytes > 65536 && !tree.chain_odd);
	REQ("BUF-10", tree.ends_right);
	spy.watched = NULL;
	c.closed = c.peer_idle = false;
	c.peer.goal = c.peer.sent;
	c.own.goal = c.own.sent;
	c.peer.chunk = 60000;
	RIG_RUN(&c, rig_all_there);
	back_and_away(&c);
}

static void objects_are_shared(void **state)
{
	struct rig_conn c[2];
	struct tgt_adapter_usage usage;
	NDIS_OFFLOAD_HANDLE *handle;

	(void)state;
	NEED_RIG();
	spy.down = look;
	connect_offloaded(&c[0], 300);
	handle = tree.handle[2];
	assert_null(tree.context[2]);
	connect_offloaded(&c[1], 310);
	/* two linkers; the state is in the dependent */
	REQ("BLK-26", tree.depth == 3 && tree.type[0] == NeighborOffloadState &&
			      tree.type[1] == Ip4OffloadState && !tree.new_state[0] &&
			      !tree.new_state[1] && tree.new_state[2] && tree.context[0] &&
			      tree.context[1]);
	assert_int_equal(0, rig_upload(&c[0]));
	REQ("TRM-07", tree.depth == 1 && tree.type[0] == TcpOffloadDelegatedState);
	REQ("BLK-03", tree.new_state[0] && tree.only_these_states);
	REQ("STA-39", tree.handle[0] == handle && tree.context[0]);
	assert_int_equal(0, rig_upload(&c[1]));
	REQ("TRM-08", tree.depth == 3 && tree.type[0] == NeighborOffloadDelegatedState &&
			      tree.type[1] == Ip4OffloadDelegatedState &&
			      tree.type[2] == TcpOffloadDelegatedState);
	assert_true(tree.only_these_states);
	tgt_adapter_usage(rig.target, &usage);
	assert_true(usage.paths == 0 && usage.neighbors == 0);
	rig_disconnect(&c[0]);
	rig_disconnect(&c[1]);
}

/* ---- query -------------------------------------------------------------------------------- */

static struct host_query_result result;

static void query_over(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct rig_conn *c = ctx;

	(void)conn;
	(void)why;
	c->err = err;
	c->done = true;
}

static void ask(struct rig_conn *c)
{
	c->done = false;
	assert_int_equal(0, host_conn_query(c->conn, &result, query_over, c));
}

/* Where an initiate or terminate has pointers a query has nothing that may be followed. */
static void scribble(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	TCP_OFFLOAD_STATE_DELEGATED *d = (void *)NdisOffloadFirstState(root);

	if (kind != HOST_OP_QUERY)
		return;
	d->SendDataHead = (NET_BUFFER_LIST *)(uintptr_t)0x1111111111110010u;
	d->SendDataTail = (NET_BUFFER_LIST *)(uintptr_t)0x2222222222220020u;
	d->BufferedData = (NET_BUFFER_LIST *)(uintptr_t)0x3333333333330030u;
}

static void query_fails(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_QUERY)
		root->Status = NDIS_STATUS_FAILURE;
}

static void queries(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 400);
	spy.down = look;
	spy.up = scribble;
	ask(&c);
	RIG_RUN(&c, rig_done);
	REQ("QRY-02", tree.depth == 1 && tree.context[0] && tree.new_state[0] &&
			      tree.only_these_states && tree.type[0] == TcpOffloadDelegatedState);
	REQ("STA-34", c.err == 0 && result.send_backlog_bytes == 0x11110010u &&
			      result.receive_backlog_bytes == 0x33330030u);
	rig_transfer(&c, 10000);
	assert_int_equal(0, spy.ops[HOST_OP_TERMINATE]);
	spy.up = query_fails;
	ask(&c);
	RIG_RUN(&c, rig_done);
	assert_int_equal(-EIO, c.err);
	RIG_RUN(&c, in_host);
	REQ("QRY-07", spy.ops[HOST_OP_TERMINATE] == 1);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

static void terminate_waits_for_queries(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 450);
	spy.hold[HOST_OP_QUERY] = true;
	ask(&c);
	WAIT(&c, spy.held[HOST_OP_QUERY]);
	assert_int_equal(0, rig_ask_upload(&c));
	rounds(&c, 30);
	assert_int_equal(0, spy.ops[HOST_OP_TERMINATE]);
	spy_release(HOST_OP_QUERY);
	WAIT(&c, in_host(&c));
	REQ("TRM-11", spy.ops[HOST_OP_TERMINATE] == 1 && !spy.busy_terminate);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* ---- what must not happen during an offload ------------------------------------------------ */

static void neighbor_is(const uint8_t mac[6], uint16_t nud)
{
	assert_int_equal(0, netns_neigh_set(&rig.net.a, rig.net.if_a, PEER4, mac, nud));
}

static uint8_t sent_mac[6];
static unsigned int open_updates, most_open_updates;

static void note_update(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	const NEIGHBOR_OFFLOAD_STATE_CACHED *cached = (const void *)NdisOffloadFirstState(root);

	look(kind, root);
	if (kind != HOST_OP_UPDATE || root->Header.Type != NeighborOffloadCachedState)
		return;
	memcpy(sent_mac, cached->DlDestinationAddress, 6);
	if (++open_updates > most_open_updates)
		most_open_updates = open_updates;
}

static void update_over(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_UPDATE && root->Header.Type == NeighborOffloadCachedState)
		open_updates--;
}

static void offload_is_left_alone(void **state)
{
	static const uint8_t other[6] = { 2, 1, 1, 1, 1, 1 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 500);
	rig_transfer(&c, 10000);
	spy.down = note_update;
	spy.up = update_over;
	spy.hold[HOST_OP_INITIATE] = true;
	assert_int_equal(0, rig_ask_offload(&c));
	WAIT(&c, spy.held[HOST_OP_INITIATE]);
	/* everything that could make the host call now */
	write_burst(&c, c.conn->xfer.program_end, 5000);
	neighbor_is(other, NUD_REACHABLE);
	rounds(&c, 10);
	REQ("OFF-27", rig_ask_offload(&c) == -EBUSY && spy.ops[HOST_OP_INITIATE] == 1);
	assert_int_equal(-EBUSY, rig_ask_upload(&c));
	assert_int_equal(-ENOTCONN, host_conn_query(c.conn, &result, query_over, &c));
	REQ("OFF-29", spy.sends == 0 && spy.receives == 0 && spy.forwards == 0);
	REQ("OFF-30", spy.ops[HOST_OP_UPDATE] == 0 && spy.ops[HOST_OP_QUERY] == 0 &&
			      spy.ops[HOST_OP_TERMINATE] == 0);
	spy_release(HOST_OP_INITIATE);
	RIG_RUN(&c, rig_done);
	assert_int_equal(0, c.err);
	WAIT(&c, !open_updates && spy.ops[HOST_OP_UPDATE]);
	REQ("UPD-16", spy.ops[HOST_OP_UPDATE] == 1 && memcmp(sent_mac, other, 6) == 0);
	assert_true(tree.depth == 1 && tree.type[0] == NeighborOffloadCachedState &&
		    tree.only_these_states && tree.context[0]);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	WAIT(&c, !open_updates && spy.ops[HOST_OP_UPDATE] >= 2);
	assert_memory_equal(rig.net.mac_b, sent_mac, 6);
	RIG_RUN(&c, rig_all_there);
	rig_transfer(&c, 100000); /* to the right address */
	back_and_away(&c);
}

static void one_update_at_a_time(void **state)
{
	static const uint8_t first[6] = { 2, 1, 1, 1, 1, 1 }, second[6] = { 2, 1, 1, 1, 1, 2 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 550);
	open_updates = most_open_updates = 0;
	spy.down = note_update;
	spy.up = update_over;
	spy.hold[HOST_OP_UPDATE] = true;
	neighbor_is(first, NUD_REACHABLE);
	WAIT(&c, spy.held[HOST_OP_UPDATE]);
	neighbor_is(second, NUD_REACHABLE);
	rounds(&c, 20);
	assert_int_equal(1, spy.ops[HOST_OP_UPDATE]);
	spy_release(HOST_OP_UPDATE);
	WAIT(&c, !open_updates && spy.ops[HOST_OP_UPDATE] >= 2);
	REQ("UPD-17", most_open_updates == 1 && memcmp(sent_mac, second, 6) == 0);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	WAIT(&c, !open_updates && spy.ops[HOST_OP_UPDATE] >= 3);
	rig_transfer(&c, 10000);
	back_and_away(&c);
}

/* An update is still open when the last connection leaves: nothing stays at the target. */
static void update_outlives_the_path(void **state)
{
	static const uint8_t other[6] = { 2, 1, 1, 1, 1, 1 };
	struct tgt_adapter_usage usage;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 570);
	spy.hold[HOST_OP_QUERY] = spy.hold[HOST_OP_UPDATE] = true;
	ask(&c);
	WAIT(&c, spy.held[HOST_OP_QUERY]);
	assert_int_equal(0, rig_ask_upload(&c));
	rounds(&c, 10);
	neighbor_is(other, NUD_REACHABLE); /* its update waits behind the terminate */
	rounds(&c, 10);
	spy_release(HOST_OP_QUERY);
	WAIT(&c, in_host(&c) && spy.held[HOST_OP_UPDATE]);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	spy_release(HOST_OP_UPDATE);
	rounds(&c, 10);
	tgt_adapter_usage(rig.target, &usage);
	assert_true(usage.connections == 0 && usage.paths == 0 && usage.neighbors == 0);
	assert_null(rig.adapter->neighbors);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* A new address in the very moment in which the old one is on its way down. */
static void change_now(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	static const uint8_t other[6] = { 2, 1, 1, 1, 1, 1 };

	note_update(kind, root);
	if (kind != HOST_OP_INITIATE)
		return;
	assert_null(root->OffloadHandle->MiniportOffloadContext);
	neighbor_is(other, NUD_REACHABLE);
	rig.adapter->nl_watch.fn(&rig.adapter->nl_watch, 0);
}

static void change_during_offload_is_not_lost(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	open_updates = 0;
	spy.up = update_over;
	spy.down = change_now;
	connect_offloaded(&c, 575);
	WAIT(&c, !open_updates && spy.ops[HOST_OP_UPDATE]);
	assert_int_equal(2, sent_mac[0]);
	assert_int_equal(1, sent_mac[5]);
	spy.down = note_update;
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	WAIT(&c, !open_updates && spy.ops[HOST_OP_UPDATE] >= 2);
	back_and_away(&c);
}

static uint32_t reachability(struct host_neighbor *neighbor)
{
	struct host_neighbor_block block = { 0 };
	const NEIGHBOR_OFFLOAD_STATE_CACHED *cached;

	host_state_neighbor(&block, neighbor, 77);
	block.list.OffloadHandle = &neighbor->handle;
	spy.generic.IndicateOffloadEventHandler(rig.adapter, &block.list,
						NeighborReachabilityQuery);
	cached = (const void *)NdisOffloadNextState(NdisOffloadFirstState(&block.list));
	return cached->HostReachabilityDelta;
}

static void reachability_is_told(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 580);
	neighbor_is(rig.net.mac_b, NUD_STALE);
	REQ("EVT-23", reachability(c.conn->path->neighbor) == 0);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	REQ("EVT-29", reachability(c.conn->path->neighbor) != 0);
	back_and_away(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_are_registered),
		cmocka_unit_test(parameters_are_set),
		cmocka_unit_test_setup(capabilities_change, fresh),
		cmocka_unit_test_setup(data_travels_with_state, fresh),
		cmocka_unit_test_setup(objects_are_shared, fresh),
		cmocka_unit_test_setup(queries, fresh),
		cmocka_unit_test_setup(terminate_waits_for_queries, fresh),
		cmocka_unit_test_setup(offload_is_left_alone, fresh),
		cmocka_unit_test_setup(one_update_at_a_time, fresh),
		cmocka_unit_test_setup(update_outlives_the_path, fresh),
		cmocka_unit_test_setup(change_during_offload_is_not_lost, fresh),
		cmocka_unit_test_setup(reachability_is_told, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
