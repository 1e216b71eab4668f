/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host driver says to NDIS and when: the real host over the real target, with a spy on
 * every call between host and NDIS.
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

#include "host_rig.h"
#include "host_spy.h"
#include "req.h"

#define PEER4 "10.78.0.2"

static struct rig rig;
static bool usable;

#define NEED_RIG()                                                                                 \
	do {                                                                                       \
		if (!usable)                                                                       \
			skip();                                                                    \
	} while (0)

static int setup(void **state)
{
	(void)state;
	spy_clear();
	usable = rig_open(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spy_clear();
	rig_close(&rig);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	spy_clear();
	return 0;
}

static enum host_conn_state place(const struct rig_conn *c)
{
	return host_conn_info(c->conn)->state;
}

static bool in_host(struct rig_conn *c)
{
	return place(c) == HOST_CONN_HOST;
}

static void rounds(struct rig_conn *c, unsigned int count)
{
	while (count--)
		rig_step(c);
}

static void connect_offloaded(struct rig_conn *c, uint32_t seed)
{
	rig_connect(&rig, c, AF_INET, seed);
	rig_transfer(c, 10000);
	assert_int_equal(0, rig_offload(c));
}

static void back_and_away(struct rig_conn *c)
{
	assert_int_equal(0, rig_upload(c));
	rig_transfer(c, 10000);
	rig_disconnect(c);
}

/* The program writes that much at once, before anybody reads it. */
static void write_burst(struct rig_conn *c, int fd, size_t bytes)
{
	static uint8_t data[30000];

	while (bytes > 0) {
		size_t len = bytes < sizeof(data) ? bytes : sizeof(data);

		for (size_t i = 0; i < len; i++)
			data[i] = test_byte(c->own.tx_seed, c->own.sent + i);
		test_write_all(fd, data, len);
		c->own.sent += len;
		bytes -= len;
	}
	c->own.goal = c->own.sent;
}

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
	while (c.own.rcvd < 3000)
		rig_step(&c);
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
	while (!spy.held[HOST_OP_QUERY])
		rig_step(&c);
	assert_int_equal(0, rig_ask_upload(&c));
	rounds(&c, 30);
	assert_int_equal(0, spy.ops[HOST_OP_TERMINATE]);
	spy_release(HOST_OP_QUERY);
	while (!in_host(&c))
		rig_step(&c);
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
	while (!spy.held[HOST_OP_INITIATE])
		rig_step(&c);
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
	while (open_updates || !spy.ops[HOST_OP_UPDATE])
		rig_step(&c);
	REQ("UPD-16", spy.ops[HOST_OP_UPDATE] == 1 && memcmp(sent_mac, other, 6) == 0);
	assert_true(tree.depth == 1 && tree.type[0] == NeighborOffloadCachedState &&
		    tree.only_these_states && tree.context[0]);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	while (open_updates || spy.ops[HOST_OP_UPDATE] < 2)
		rig_step(&c);
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
	while (!spy.held[HOST_OP_UPDATE])
		rig_step(&c);
	neighbor_is(second, NUD_REACHABLE);
	rounds(&c, 20);
	assert_int_equal(1, spy.ops[HOST_OP_UPDATE]);
	spy_release(HOST_OP_UPDATE);
	while (open_updates || spy.ops[HOST_OP_UPDATE] < 2)
		rig_step(&c);
	REQ("UPD-17", most_open_updates == 1 && memcmp(sent_mac, second, 6) == 0);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	while (open_updates || spy.ops[HOST_OP_UPDATE] < 3)
		rig_step(&c);
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
	spy.hold[HOST_OP_UPDATE] = true;
	neighbor_is(other, NUD_REACHABLE);
	while (!spy.held[HOST_OP_UPDATE])
		rig_step(&c);
	neighbor_is(rig.net.mac_b, NUD_REACHABLE);
	assert_int_equal(0, rig_ask_upload(&c));
	rounds(&c, 20);
	assert_int_equal(0, spy.ops[HOST_OP_TERMINATE]);
	spy_release(HOST_OP_UPDATE);
	while (!in_host(&c))
		rig_step(&c);
	rounds(&c, 10);
	tgt_adapter_usage(rig.target, &usage);
	assert_true(usage.connections == 0 && usage.paths == 0 && usage.neighbors == 0);
	assert_null(rig.adapter->neighbors);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
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

/* ---- bytes -------------------------------------------------------------------------------- */

static void bytes_take_the_chimney(void **state)
{
	struct rig_conn c;
	uint64_t before;
	unsigned int sends;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 600);
	rig_transfer(&c, 50000);
	assert_true(spy.sends == 0 && spy.accepted + spy.partly == 0);
	assert_int_equal(0, rig_offload(&c));
	before = host_conn_info(c.conn)->bytes_from_program;
	spy.poke = true; /* calls must not overlap even if the target asks for more meanwhile */
	write_burst(&c, c.pair.a, 120000);
	rig_transfer(&c, 50000);
	spy.poke = false;
	REQ("SND-02", spy.sends > 0 && spy.accepted > 0 &&
			      host_conn_info(c.conn)->bytes_from_program - before == 170000);
	REQ("SND-08", spy.sends > 1 && spy.overlaps == 0);
	REQ("SND-13", !spy.odd_info && !spy.odd_list);
	assert_int_equal(0, rig_upload(&c));
	sends = spy.sends;
	rig_transfer(&c, 50000);
	assert_int_equal(sends, spy.sends);
	rig_disconnect(&c);
}

/* The program does not read: an indication is refused, then there is a request for what is left. */
static void full_stream_refuses(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 650);
	c.closed = true; /* it neither reads nor writes */
	c.peer.goal += 2000000;
	for (unsigned int i = 0; i < 2000 && !spy.refused; i++)
		rig_step(&c);
	REQ("RCV-29", spy.refused > 0 && !spy.wrong_answer);
	spy.poke = true;
	c.closed = false;
	RIG_RUN(&c, rig_all_there);
	spy.poke = false;
	REQ("RCV-04", spy.receives > 0 && !spy.odd_list);
	REQ("RCV-05", spy.receives > 0 && spy.overlaps == 0);
	assert_false(spy.wrong_answer);
	back_and_away(&c);
}

static NDIS_STATUS indicate(struct rig_conn *c, uint8_t *data, uint32_t len, ULONG *consumed)
{
	MDL *mdl = NdisAllocateMdl(NULL, data, len);
	NET_BUFFER_LIST *list =
		NdisAllocateNetBufferAndNetBufferList(rig.adapter->pool, 0, 0, mdl, 0, len);
	NDIS_STATUS status;

	*consumed = 0xdeadbeef;
	status = spy.tcp.TcpOffloadReceiveIndicateHandler(&c->conn->handle, list,
							  NDIS_STATUS_SUCCESS, consumed);
	assert_int_not_equal(NDIS_STATUS_SUCCESS, status); /* the list is ours still */
	c->conn->xfer.held = 0;                            /* the target keeps nothing of it */
	NdisFreeNetBufferList(list);
	NdisFreeMdl(mdl);
	return status;
}

/* One indication of more than the stream holds, then another one while it is full. */
static void large_indication_is_taken_in_part(void **state)
{
	static uint8_t data[600000];
	struct rig_conn c;
	NDIS_STATUS status;
	ULONG consumed;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 660);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = test_byte(c.peer.tx_seed, c.peer.sent + i);
	status = indicate(&c, data, sizeof(data), &consumed);
	assert_true(consumed > 0 && consumed < sizeof(data));
	c.peer.goal = c.peer.sent += consumed; /* as if it had sent them */
	assert_int_equal(NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED, status);
	status = indicate(&c, data, 1000, &consumed);
	assert_int_equal(NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED, status);
	assert_int_equal(0, consumed);
	RIG_RUN(&c, rig_all_there); /* just the bytes that were said to be taken */
	rig_transfer(&c, 10000);
	REQ("RCV-30", c.own.rcvd == c.peer.sent);
	back_and_away(&c);
}

/* What came back unsent during a terminate the kernel sends. */
static void return_kept(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)root;
	if (kind == HOST_OP_TERMINATE)
		spy_return_sends(rig.adapter);
}

static void unsent_bytes_are_sent(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 680);
	rig_transfer(&c, 10000);
	spy.keep_sends = true;
	spy.down = return_kept;
	write_burst(&c, c.pair.a, 50000);
	while (spy.sends == 0 || c.conn->xfer.outstanding < 50000)
		rig_step(&c);
	rounds(&c, 20);
	assert_int_equal(c.own.sent - 50000, c.peer.rcvd);
	assert_int_equal(0, rig_upload(&c));
	RIG_RUN(&c, rig_all_there);
	REQ("IMD-23", c.peer.rcvd == c.own.sent);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* ---- ends --------------------------------------------------------------------------------- */

static bool peer_ended(struct rig_conn *c)
{
	return c->peer.eof || c->peer.error;
}

static bool disconnect_over(struct rig_conn *c)
{
	(void)c;
	return spy.disconnected > 0;
}

static void closing_and_uploading(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 700); /* upload, then close */
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(0, spy.disconnects);
	rig_transfer(&c, 10000);
	assert_false(c.peer.eof);
	c.own.close = true;
	RIG_RUN(&c, peer_ended);
	assert_int_equal(0, c.peer.error);
	rig_disconnect(&c);
	connect_offloaded(&c, 710); /* close, then upload */
	c.own.close = true;
	RIG_RUN(&c, peer_ended);
	REQ("DIS-02", spy.disconnects == 1 && !spy.odd_list &&
			      spy.disconnect_flags == TCP_DISCONNECT_GRACEFUL_CLOSE);
	assert_int_equal(0, rig_upload(&c));
	c.peer.goal += 10000;
	RIG_RUN(&c, rig_all_there);
	REQ("TRM-28", c.own.rcvd == c.peer.goal && !c.own.eof && !c.own.error);
	rig_disconnect(&c);
}

static void failed_disconnect_is_not_repeated(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 730);
	spy.fail_disconnect = true;
	c.own.close = true;
	RIG_RUN(&c, disconnect_over);
	spy.fail_disconnect = false;
	for (unsigned int i = 0; i < 5; i++) { /* reasons to look at the stream again */
		spy.tcp.TcpOffloadEventHandler(&c.conn->handle, TcpIndicateSendBacklogChange,
					       1u << 20);
		rounds(&c, 3);
	}
	c.peer.goal += 10000;
	RIG_RUN(&c, rig_all_there);
	REQ("DIS-21", spy.disconnects == 1);
	assert_int_equal(0, rig_upload(&c));
	rig_disconnect(&c);
}

static void abortive_close(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 750);
	test_write_all(c.pair.b, "unread", 6);
	c.closed = true;
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(0, loop_round(rig.loop, 1000));
	close(c.self.fd);
	c.self.fd = -1;
	RIG_RUN(&c, rig_gone);
	REQ("DIS-05", spy.disconnects == 1 &&
			      spy.disconnect_flags == TCP_DISCONNECT_ABORTIVE_CLOSE &&
			      spy.disconnect_len == 0);
	rig_disconnect(&c);
}

static void reset_is_taken_up(void **state)
{
	struct linger hard = { 1, 0 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 770);
	setsockopt(c.pair.b, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c.pair.b);
	c.pair.b = c.peer.fd = -1;
	RIG_RUN(&c, rig_gone);
	REQ("DIS-28", spy.events[TcpIndicateAbort] == 1 && spy.ops[HOST_OP_TERMINATE] == 1);
	rig_disconnect(&c);
}

/* ---- the target asks ---------------------------------------------------------------------- */

static void requests_to_upload(void **state)
{
	static const TCP_UPLOAD_REASON reasons[] = { HardwareFailure, InvalidState,
						     ReceivedUrgentData, TimeoutExpiration,
						     UploadRequested };
	unsigned int count = sizeof(reasons) / sizeof(reasons[0]);
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 800);
	rig_transfer(&c, 10000);
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(0, rig_offload(&c));
		rig_transfer(&c, 10000);
		rounds(&c, 20); /* nobody asked for anything */
		assert_int_equal(i, spy.ops[HOST_OP_TERMINATE]);
		spy.tcp.TcpOffloadEventHandler(&c.conn->handle, TcpIndicateRetrieve, reasons[i]);
		rounds(&c, 3);
		assert_int_equal(i + 1, spy.ops[HOST_OP_TERMINATE]);
		RIG_RUN(&c, in_host);
		rig_transfer(&c, 10000);
	}
	REQ("EVT-06", spy.ops[HOST_OP_TERMINATE] == count);
	assert_int_equal(0, rig_offload(&c));
	tgt_adapter_upload_all(rig.target);
	while (spy.ops[HOST_OP_TERMINATE] == count)
		rig_step(&c);
	RIG_RUN(&c, in_host);
	tgt_adapter_resume_offload(rig.target);
	rounds(&c, 5);
	/* as many as were asked for, and the state went up with each */
	REQ("TRM-01", spy.ops[HOST_OP_TERMINATE] == count + 1 &&
			      spy.completed[HOST_OP_TERMINATE] == count + 1);
	REQ("TRM-04", spy.ops[HOST_OP_TERMINATE] == count + 1);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

static void pause_holds_offloads(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 820);
	rig_transfer(&c, 1000);
	tgt_adapter_pause_offload(rig.target);
	rounds(&c, 5);
	REQ("STI-02", rig_offload(&c) == -EAGAIN && spy.ops[HOST_OP_INITIATE] == 0);
	tgt_adapter_resume_offload(rig.target);
	rounds(&c, 5);
	assert_int_equal(0, rig_offload(&c));
	back_and_away(&c);
}

/* ---- kernel ------------------------------------------------------------------------------- */

static uint32_t ts_up;

static void jump(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *b = root;

	if (kind != HOST_OP_TERMINATE)
		return;
	while (b->DependentBlockList)
		b = b->DependentBlockList;
	((TCP_OFFLOAD_STATE_DELEGATED *)(void *)NdisOffloadFirstState(b))->TsTime += 100000;
	ts_up = ((TCP_OFFLOAD_STATE_DELEGATED *)(void *)NdisOffloadFirstState(b))->TsTime;
}

/* TSval of an outgoing segment of the connection, from what a packet socket saw; false: none. */
static bool sniffed_tsval(int fd, uint16_t port_be, uint32_t *tsval)
{
	uint8_t f[2048];
	ssize_t n;

	while ((n = recv(fd, f, sizeof(f), MSG_DONTWAIT)) > 0) {
		size_t tcp = 14 + (size_t)(f[14] & 15) * 4;
		bool v4 = n >= 66 && f[12] == 8 && f[13] == 0 && f[23] == IPPROTO_TCP;

		/* NOP, NOP, timestamps: what this kernel writes */
		if (!v4 || memcmp(f + tcp, &port_be, 2) != 0 || f[tcp + 22] != 8)
			continue;
		memcpy(tsval, f + tcp + 24, 4);
		*tsval = ntohl(*tsval);
		return true;
	}
	return false;
}

static void timestamps_go_on(void **state)
{
	struct rig_conn c;
	struct tcp_info info;
	uint32_t now = 0, tsval = 0;
	int sniffer = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	socklen_t len = sizeof(now);

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 850);
	spy.up = jump; /* a clock that the kernel does not have of itself */
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(0, getsockopt(c.pair.a, IPPROTO_TCP, TCP_TIMESTAMP, &now, &len));
	REQ("TSP-06", now - ts_up < 5000);
	assert_true(sniffer >= 0);
	while (recv(sniffer, &tsval, sizeof(tsval), MSG_DONTWAIT) > 0)
		; /* from before */
	rig_transfer(&c, 10000);
	assert_true(sniffed_tsval(sniffer, host_conn_info(c.conn)->flow.local_port_be, &tsval));
	close(sniffer);
	len = sizeof(info);
	assert_int_equal(0, getsockopt(c.pair.a, IPPROTO_TCP, TCP_INFO, &info, &len));
	REQ("TSP-07", tsval - ts_up < 5000 && info.tcpi_rtt < 5000000);
	spy.up = NULL;
	rig_disconnect(&c);
}

static void ip_options_stay(void **state)
{
	static const uint8_t options[4] = { 1, 1, 1, 0 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 870);
	rig_transfer(&c, 10000);
	assert_int_equal(0, setsockopt(c.pair.a, IPPROTO_IP, IP_OPTIONS, options, sizeof(options)));
	REQ("NSP-03", rig_offload(&c) == -ENOTSUP && spy.ops[HOST_OP_INITIATE] == 0 &&
			      strstr(c.why, "IPv4 options"));
	assert_int_equal(0, setsockopt(c.pair.a, IPPROTO_IP, IP_OPTIONS, options, 0));
	assert_int_equal(0, rig_offload(&c));
	back_and_away(&c);
}

/* ---- power -------------------------------------------------------------------------------- */

static struct {
	bool done;
	NDIS_STATUS status;
	unsigned int terminates; /* completed when the change was over */
} power;

static void power_over(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)ctx;
	(void)request;
	power.done = true;
	power.status = status;
	power.terminates = spy.completed[HOST_OP_TERMINATE];
}

static bool powered(struct rig_conn *c)
{
	(void)c;
	return power.done;
}

static void sleep_takes_all_back(void **state)
{
	struct rig_conn c[2];

	(void)state;
	NEED_RIG();
	connect_offloaded(&c[0], 900);
	connect_offloaded(&c[1], 910);
	assert_int_equal(0, nrt_set_power(rig.nrt, NdisDeviceStateD3, power_over, NULL));
	assert_false(power.done); /* the device is not asked before */
	RIG_RUN(&c[0], powered);
	REQ("PWR-01", power.status == NDIS_STATUS_SUCCESS && power.terminates == 2 &&
			      in_host(&c[0]) && in_host(&c[1]));
	assert_int_equal(-EAGAIN, rig_offload(&c[0]));
	rig_transfer(&c[0], 10000);
	power.done = false;
	assert_int_equal(0, nrt_set_power(rig.nrt, NdisDeviceStateD0, power_over, NULL));
	RIG_RUN(&c[0], powered);
	assert_int_equal(0, rig_offload(&c[0]));
	back_and_away(&c[0]);
	rig_disconnect(&c[1]);
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
		cmocka_unit_test_setup(reachability_is_told, fresh),
		cmocka_unit_test_setup(bytes_take_the_chimney, fresh),
		cmocka_unit_test_setup(full_stream_refuses, fresh),
		cmocka_unit_test_setup(large_indication_is_taken_in_part, fresh),
		cmocka_unit_test_setup(unsent_bytes_are_sent, fresh),
		cmocka_unit_test_setup(closing_and_uploading, fresh),
		cmocka_unit_test_setup(failed_disconnect_is_not_repeated, fresh),
		cmocka_unit_test_setup(abortive_close, fresh),
		cmocka_unit_test_setup(reset_is_taken_up, fresh),
		cmocka_unit_test_setup(requests_to_upload, fresh),
		cmocka_unit_test_setup(pause_holds_offloads, fresh),
		cmocka_unit_test_setup(timestamps_go_on, fresh),
		cmocka_unit_test_setup(ip_options_stay, fresh),
		cmocka_unit_test_setup(sleep_takes_all_back, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
