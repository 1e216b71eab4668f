/* SPDX-License-Identifier: BSD-2-Clause */
/* Initiate offload: the walk, linkers and placeholders, statuses by limits, handed-over data. */
#include "ddi_env.h"

#include <arpa/inet.h>

#define OK      NDIS_STATUS_SUCCESS
#define PARTIAL NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS
#define FAILED  NDIS_STATUS_FAILURE

static void test_one_tree(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	PVOID t;

	(void)state;
	NdisInitiateOffload(e->binding, &e->neighbor.list);
	REQ("OFF-01", ddi_count(e, CALL_INITIATED) == 0);
	ddi_run(e);
	REQ("OFF-06",
	    e->neighbor.list.Status == OK && e->path.list.Status == OK && e->tcp.list.Status == OK);
	REQ("OFF-04", e->neighbor.handle.MiniportOffloadContext &&
			      e->path.handle.MiniportOffloadContext &&
			      e->tcp.handle.MiniportOffloadContext);
	REQ("BLK-27", e->a->ddi->conns.used == 1 && e->a->ddi->paths.used == 1 &&
			      e->a->ddi->neighbors.used == 1);
	REQ("BLK-10", ddi_nth(e, CALL_INITIATED, 0)->root == &e->neighbor.list);
	REQ("OFF-35", e->tcp.list.Status == 0);
	t = e->tcp.handle.MiniportOffloadContext;
	ddi_data(e, 100, true);
	ddi_pass(e, 1000000);
	REQ("STA-38", e->tcp.handle.MiniportOffloadContext == t &&
			      ((struct tgt_object *)t)->kind == TGT_OBJECT_CONN);
	REQ("STA-07", ddi_count(e, CALL_EVENT) == 0 && ddi_rcv_nxt(e) == DDI_RCV_NXT + 100);
	REQ("STA-18", e->path.delegated.Header.Length == sizeof(OFFLOAD_STATE_HEADER));
	ddi_upload(e);
	ddi_free(e);
}

/* The documented ten-block tree: two neighbors, three paths, five connections. */
struct forest {
	struct ddi_neighbor_block n1, n2;
	struct ddi_path_block p1, p2, p3;
	struct ddi_tcp_block t1, t2, t3, t4, t5;
};

static void plant(struct forest *f)
{
	ddi_neighbor(&f->n1, 11);
	ddi_neighbor(&f->n2, 12);
	ddi_path(&f->p1, 21);
	ddi_path(&f->p2, 22);
	ddi_path(&f->p3, 23);
	ddi_tcp(&f->t1, 1001);
	ddi_tcp(&f->t2, 1002);
	ddi_tcp(&f->t3, 1003);
	ddi_tcp(&f->t4, 1004);
	ddi_tcp(&f->t5, 1005);
	f->n1.list.NextBlock = &f->n2.list;
	f->n1.list.DependentBlockList = &f->p1.list;
	f->p1.list.NextBlock = &f->p2.list;
	f->p1.list.DependentBlockList = &f->t1.list;
	f->t1.list.NextBlock = &f->t2.list;
	f->p2.list.DependentBlockList = &f->t3.list;
	f->n2.list.DependentBlockList = &f->p3.list;
	f->p3.list.DependentBlockList = &f->t4.list;
	f->t4.list.NextBlock = &f->t5.list;
}

static uint32_t slot(const NDIS_OFFLOAD_HANDLE *handle)
{
	return ((struct tgt_object *)handle->MiniportOffloadContext)->slot;
}

/* Slots are given out in order of taking, so they show the order of the walk within each layer. */
static void test_walk_is_depth_first(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct forest f;

	(void)state;
	plant(&f);
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-03", slot(&f.n1.handle) < slot(&f.n2.handle) &&
			      slot(&f.p1.handle) < slot(&f.p2.handle) &&
			      slot(&f.p2.handle) < slot(&f.p3.handle) &&
			      slot(&f.t1.handle) < slot(&f.t2.handle) &&
			      slot(&f.t2.handle) < slot(&f.t3.handle) &&
			      slot(&f.t3.handle) < slot(&f.t4.handle) &&
			      slot(&f.t4.handle) < slot(&f.t5.handle));
	REQ("BLK-09", f.n1.list.Status == OK && f.n2.list.Status == OK && f.p1.list.Status == OK &&
			      f.p2.list.Status == OK && f.p3.list.Status == OK &&
			      f.t1.list.Status == OK && f.t5.list.Status == OK);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

/*
 * T3 hangs under P2, which comes before N2: with room for three connections T4 and T5 fail, not T3.
 */
static void three_connections(struct tgt_adapter_config *config)
{
	config->limits.tcp_entries = 3;
}

static void test_dependents_before_next(void **state)
{
	struct ddi_env *e = ddi_new(three_connections);
	struct forest f;

	(void)state;
	plant(&f);
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-02",
	    f.t3.list.Status == OK && f.t4.list.Status == NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	REQ("OFF-10", f.t5.list.Status == NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	REQ("OFF-07", f.p3.list.Status == PARTIAL);
	REQ("OFF-37", f.n2.list.Status == OK); /* the path's own state is offloaded */
	REQ("OFF-05", !f.t4.handle.MiniportOffloadContext);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

static void one_path(struct tgt_adapter_config *config)
{
	config->limits.path_entries = 1;
}

static void test_failed_block_prunes_its_subtree(void **state)
{
	struct ddi_env *e = ddi_new(one_path);
	struct forest f;

	(void)state;
	plant(&f);
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-11", f.p2.list.Status == NDIS_STATUS_OFFLOAD_PATH_ENTRIES);
	REQ("OFF-21", f.t3.list.Status == FAILED);
	REQ("OFF-36", f.n1.list.Status == PARTIAL && f.n2.list.Status == PARTIAL);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

static void one_mac(struct tgt_adapter_config *config)
{
	config->no_configurable_macs = true;
}

static void test_failed_root_ends_everything(void **state)
{
	struct ddi_env *e = ddi_new(one_mac);
	struct forest f;

	(void)state;
	plant(&f);
	f.n1.constant.DlSourceAddress[5] = 9;
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-13", f.n1.list.Status == NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES);
	REQ("OFF-20",
	    f.n2.list.Status == FAILED && f.p1.list.Status == FAILED && f.t5.list.Status == FAILED);
	ddi_free(e);
}

/* The same refusal elsewhere than at the root: siblings go on. */
static void test_failed_sibling_root(void **state)
{
	struct ddi_env *e = ddi_new(one_mac);
	struct forest f;

	(void)state;
	plant(&f);
	f.n2.constant.DlSourceAddress[5] = 9;
	ddi_initiate(e, &f.n1.list);
	assert_int_equal(f.n1.list.Status, OK);
	assert_int_equal(f.n2.list.Status, NDIS_STATUS_OFFLOAD_HW_ADDRESS_ENTRIES);
	assert_int_equal(f.t4.list.Status, FAILED);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

/* A failed connection does not keep a later path of the neighbor from being tried. */
static void test_failed_tcp_goes_on(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct forest f;

	(void)state;
	plant(&f);
	f.t2.cached.InitialRcvWnd = 2u << 20;
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-17", f.t2.list.Status == NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW);
	REQ("OFF-22", f.p2.list.Status == OK && f.t3.list.Status == OK);
	assert_int_equal(f.p1.list.Status, PARTIAL);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

static void small_arena(struct tgt_adapter_config *config)
{
	config->limits.chunks = 3;
}

static void few_neighbors(struct tgt_adapter_config *config)
{
	config->limits.neighbor_entries = 1;
	config->limits.ip_addresses = 1;
}

static void test_limits(void **state)
{
	struct ddi_env *e = ddi_new(few_neighbors);
	struct forest f;

	(void)state;
	plant(&f);
	f.p2.local[3] = 77;
	f.p1.cached.PathMtu = 1501;
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-12", f.n2.list.Status == NDIS_STATUS_OFFLOAD_NEIGHBOR_ENTRIES);
	REQ("OFF-18", f.p1.list.Status == NDIS_STATUS_OFFLOAD_PATH_MTU);
	assert_int_equal(f.p2.list.Status, OK);
	ddi_terminate(e, &f.n1.list);
	plant(&f);
	f.p2.local[3] = 77;
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-14", f.p2.list.Status == NDIS_STATUS_OFFLOAD_IP_ADDRESS_ENTRIES);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

static void test_receive_buffers(void **state)
{
	struct ddi_env *e = ddi_new(small_arena);

	(void)state;
	ddi_initiate(e, &e->neighbor.list);
	REQ("OFF-16", e->tcp.list.Status == NDIS_STATUS_OFFLOAD_TCP_RCV_BUFFER);
	assert_int_equal(e->path.list.Status, PARTIAL);
	ddi_terminate(e, &e->neighbor.list);
	ddi_free(e);
}

static void test_unsuitable(void **state)
{
	static const TCP_OFFLOAD_CONNECTION_STATE bad[] = {
		TcpConnectionClosed, TcpConnectionListen, TcpConnectionSynSent,
		TcpConnectionSynRcvd, TcpConnectionTimeWait
	};
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ddi_neighbor(&e->neighbor, 2);
		ddi_path(&e->path, 2);
		ddi_tcp(&e->tcp, 4000);
		ddi_tree(e);
		e->tcp.delegated.State = bad[i];
		ddi_initiate(e, &e->neighbor.list);
		REQ("OFF-19", e->tcp.list.Status == NDIS_STATUS_OFFLOAD_CONNECTION_REJECTED);
		ddi_terminate(e, &e->neighbor.list);
	}
	ddi_free(e);
}

/* SndMax before SndUna: no other code describes it. */
static void test_contradiction(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->tcp.delegated.SndMax = e->tcp.delegated.SndUna - 1;
	ddi_initiate(e, &e->neighbor.list);
	REQ("OFF-08", e->tcp.list.Status == FAILED);
	ddi_terminate(e, &e->neighbor.list);
	ddi_free(e);
}

/* The documented partial case: no host memory for TCP2, Path2 not offloaded at all. */
static void test_documented_partial_case(void **state)
{
	const struct nrt_keyword no_ipv6 = { "*TCPConnectionOffloadIPv6", 0 };
	struct ddi_env *e = ddi_new_keywords(three_connections, &no_ipv6, 1);
	struct tgt_tuple other = { .local_port_be = htons(9) };
	struct forest f;

	(void)state;
	for (uint16_t port = 1; port <= 5; port++) { /* all flow entries but one */
		other.remote_port_be = htons(port);
		assert_int_equal(tgt_flow_expect(e->a, &other), 0);
	}
	plant(&f);
	f.n1.list.NextBlock = NULL;
	ddi_path6(&f.p2, 22);
	f.p2.list.DependentBlockList = &f.t3.list;
	ddi_initiate(e, &f.n1.list);
	REQ("OFF-09", f.t2.list.Status == NDIS_STATUS_RESOURCES);
	REQ("OFF-23", f.n1.list.Status == PARTIAL && f.p1.list.Status == PARTIAL &&
			      f.t1.list.Status == OK && f.p2.list.Status == FAILED &&
			      f.t3.list.Status == FAILED);
	ddi_terminate(e, &f.n1.list);
	ddi_free(e);
}

/* ---- linkers and placeholders ---- */

static void reference(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list, UCHAR type,
		      NDIS_OFFLOAD_HANDLE *handle, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *dependents)
{
	memset(list, 0, sizeof(*list));
	list->Header.Type = type;
	list->Header.Size = sizeof(*list);
	list->OffloadHandle = handle;
	list->DependentBlockList = dependents;
	list->Status = NDIS_STATUS_PENDING;
}

static void test_linkers(void **state)
{
	struct ddi_env *e = ddi_new(three_connections);
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST neighbor, path;
	struct ddi_tcp_block t[4];

	(void)state;
	ddi_offload(e);
	for (unsigned int i = 0; i < 4; i++)
		ddi_tcp(&t[i], (uint16_t)(6000 + i));
	reference(&path, Ip4OffloadState, &e->path.handle, &t[0].list);
	reference(&neighbor, NeighborOffloadState, &e->neighbor.handle, &path);
	ddi_initiate(e, &neighbor);
	REQ("BLK-25",
	    t[0].list.Status == OK && ddi_io_of(e, &t[0]) &&
		    tgt_io_conn(ddi_io_of(e, &t[0]))->path == tgt_io_conn(ddi_io(e))->path);
	REQ("BLK-28", path.Status == OK && neighbor.Status == OK);
	t[1].list.NextBlock = &t[2].list;
	reference(&path, Ip4OffloadState, &e->path.handle, &t[1].list);
	ddi_initiate(e, &path);
	REQ("BLK-29", path.Status == PARTIAL && t[1].list.Status == OK &&
			      t[2].list.Status == NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	reference(&path, Ip4OffloadState, &e->path.handle, &t[3].list);
	ddi_initiate(e, &path);
	REQ("BLK-30", path.Status == FAILED);
	t[0].list.NextBlock = &t[1].list;
	t[1].list.NextBlock = &e->tcp.list;
	e->path.list.DependentBlockList = &t[0].list;
	ddi_terminate(e, &e->neighbor.list);
	ddi_free(e);
}

static void test_linker_of_wrong_layer(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST path;
	struct ddi_tcp_block t;

	(void)state;
	ddi_offload(e);
	ddi_tcp(&t, 6000);
	reference(&path, Ip4OffloadState, &e->neighbor.handle, &t.list);
	ddi_initiate(e, &path);
	assert_int_equal(path.Status, FAILED);
	assert_int_equal(t.list.Status, FAILED);
	ddi_upload(e);
	ddi_free(e);
}

static void test_placeholders(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST hole, path, query;
	struct ddi_tcp_block t;

	(void)state;
	ddi_offload(e);
	ddi_tcp(&t, 6000);
	reference(&path, Ip4OffloadState, &e->path.handle, &t.list);
	reference(&hole, 0, NULL, &path); /* its Type means nothing */
	ddi_initiate(e, &hole);
	REQ("BLK-22", path.Status == OK && t.list.Status == OK);
	REQ("BLK-23", hole.Status == OK);
	reference(&query, 0x77, NULL, NULL);
	ddi_query(e, &query);
	assert_int_equal(query.Status, OK);
	query.Status = NDIS_STATUS_PENDING;
	ddi_update(e, &query);
	assert_int_equal(query.Status, OK);
	query.Status = NDIS_STATUS_PENDING;
	ddi_invalidate(e, &query);
	assert_int_equal(query.Status, OK);
	query.Status = NDIS_STATUS_PENDING;
	ddi_terminate(e, &query);
	REQ("BLK-24", query.Status == OK);
	/* A placeholder says success even when everything below it fails. */
	ddi_tcp(&t, 6000); /* the same tuple again */
	reference(&path, Ip4OffloadState, &e->path.handle, &t.list);
	reference(&hole, 0, NULL, &path);
	ddi_initiate(e, &hole);
	assert_int_equal(path.Status, FAILED);
	REQ("BLK-34", hole.Status == OK);
	e->unchecked = true; /* the first connection on port 6000 has lost its block */
	ddi_free(e);
}

/* New state needs an object of the layer above; a tree that skips one fails. */
static void test_layers(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_path_block p;

	(void)state;
	ddi_path(&p, 9);
	ddi_initiate(e, &p.list);
	assert_int_equal(p.list.Status, FAILED);
	ddi_initiate(e, &e->tcp.list);
	assert_int_equal(e->tcp.list.Status, FAILED);
	ddi_free(e);
}

static void test_reserved_members(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *b = &e->tcp.list;

	(void)state;
	b->ProtocolReserved[0] = b->ImReserved[0] = e;
	b->ProtocolReserved[1] = b->ImReserved[1] = &e->tcp;
	b->SourceHandle = &e->path;
	ddi_initiate(e, &e->neighbor.list);
	REQ("BLK-12", b->ProtocolReserved[0] == e && b->ProtocolReserved[1] == &e->tcp &&
			      b->ImReserved[0] == e && b->ImReserved[1] == &e->tcp &&
			      b->SourceHandle == &e->path);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- what the objects keep ---- */

static void test_context_areas(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_object *t, *p, *n;

	(void)state;
	ddi_offload(e);
	t = e->tcp.handle.MiniportOffloadContext;
	p = e->path.handle.MiniportOffloadContext;
	n = e->neighbor.handle.MiniportOffloadContext;
	REQ("STA-35", t != p && p != n && t->state && p->state && n->state);
	REQ("STA-36", t->ndis_handle == &e->tcp.handle && n->ndis_handle == &e->neighbor.handle);
	REQ("STA-37", p->ndis_handle == &e->path.handle);
	REQ("STA-47", p->ndis_handle == &e->path.handle);
	REQ("STA-40",
	    tgt_path_of(e->a, t->state) == p->state && tgt_neighbor_of(e->a, p->state) == n->state);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- VLAN ---- */

static void two_vlans(struct tgt_adapter_config *config)
{
	config->limits.vlans = 2;
}

static NDIS_STATUS try_vlan(struct ddi_env *e, struct ddi_neighbor_block *b, uint16_t id)
{
	ddi_neighbor(b, 50);
	b->constant.VlanId = id;
	ddi_initiate(e, &b->list);
	return b->list.Status;
}

static void test_vlan_zero_interface(void **state)
{
	struct ddi_env *e = ddi_new(two_vlans);
	struct ddi_neighbor_block b[5];

	(void)state;
	REQ("VLN-06", try_vlan(e, &b[0], 7) == OK && try_vlan(e, &b[1], 8) == OK &&
			      try_vlan(e, &b[2], 0) == OK);
	REQ("VLN-05", try_vlan(e, &b[3], 9) == NDIS_STATUS_OFFLOAD_VLAN_ENTRIES);
	REQ("VLN-01", try_vlan(e, &b[4], 8) == OK); /* one that is there already needs no room */
	ddi_terminate(e, &b[0].list);
	ddi_terminate(e, &b[1].list);
	ddi_terminate(e, &b[2].list);
	ddi_terminate(e, &b[4].list);
	REQ("VLN-18", try_vlan(e, &b[3], 9) == OK); /* ids are given back */
	ddi_terminate(e, &b[3].list);
	ddi_free(e);
}

static void test_vlan_interface(void **state)
{
	const struct nrt_keyword vlan = { "VlanId", 100 };
	struct ddi_env *e = ddi_new_keywords(NULL, &vlan, 1);
	struct ddi_neighbor_block b[3];

	(void)state;
	REQ("VLN-04", e->a->ddi->interface_vlan_count == 1 && e->a->ddi->interface_vlans[0] == 100);
	REQ("VLN-07", try_vlan(e, &b[0], 0) == OK);
	REQ("VLN-08", try_vlan(e, &b[1], 100) == OK);
	REQ("VLN-09", try_vlan(e, &b[2], 101) == NDIS_STATUS_OFFLOAD_VLAN_MISMATCH);
	ddi_terminate(e, &b[0].list);
	ddi_terminate(e, &b[1].list);
	ddi_free(e);
}

/* ---- which IP versions ---- */

static void test_keywords(void **state)
{
	const struct nrt_keyword off[] = { { "*TCPConnectionOffloadIPv4", 0 },
					   { "*TCPConnectionOffloadIPv6", 1 } };
	struct ddi_env *e = ddi_new_keywords(NULL, off, 2);
	const NDIS_TCP_CONNECTION_OFFLOAD *now = nrt_adapter_offload(e->adapter, false);
	const NDIS_TCP_CONNECTION_OFFLOAD *hardware = nrt_adapter_offload(e->adapter, true);

	(void)state;
	REQ("ADM-01", now->SupportIPv4 == NDIS_OFFLOAD_NOT_SUPPORTED);
	REQ("ADM-02", now->SupportIPv6 == NDIS_OFFLOAD_SUPPORTED);
	REQ("ADM-05", hardware->SupportIPv4 == NDIS_OFFLOAD_SUPPORTED);
	REQ("INI-02", hardware->SupportIPv4 == NDIS_OFFLOAD_SUPPORTED && now->SupportIPv4 == 0);
	ddi_initiate(e, &e->neighbor.list);
	assert_int_equal(e->path.list.Status, FAILED);
	ddi_terminate(e, &e->neighbor.list);
	ddi_neighbor(&e->neighbor, 2);
	ddi_path6(&e->path, 2);
	ddi_tcp(&e->tcp, 4000);
	ddi_tree(e);
	ddi_offload(e);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- data handed over ---- */

static void test_buffered_data(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	uint8_t bytes[3000];
	NET_BUFFER_LIST *list;

	(void)state;
	ddi_fill(bytes, 0, sizeof(bytes));
	list = ddi_list_pieces(bytes, sizeof(bytes), 100);
	e->tcp.delegated.BufferedData = list;
	ddi_initiate(e, &e->neighbor.list);
	assert_int_equal(e->tcp.list.Status, OK);
	ddi_list_free(list); /* the target has its own copy */
	REQ("BUF-32", ddi_count(e, CALL_INDICATE) == 0);
	ddi_data(e, 10, false);
	REQ("RCV-49", ddi_count(e, CALL_INDICATE) == 0);
	list = ddi_buffer(1000);
	NdisOffloadTcpReceive(&e->tcp.handle, list);
	ddi_run(e);
	REQ("BUF-06",
	    ddi_count(e, CALL_RECEIVE_DONE) == 1 && !memcmp(ddi_list_memory(list), bytes, 1000));
	REQ("BUF-07", ddi_count(e, CALL_INDICATE) == 1);
	REQ("BUF-03", e->received_bytes == 2010 && !memcmp(e->received, bytes + 1000, 2000));
	REQ("BUF-08", e->received[2000] == ddi_byte(0) && ddi_count(e, CALL_RECEIVE_DONE) == 1);
	ddi_list_free(list);
	ddi_upload(e);
	ddi_free(e);
}

/* More than the whole pool holds. */
static void test_buffered_data_too_large(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	uint32_t len = 513 * 4096;
	uint8_t *bytes = calloc(1, len);
	NET_BUFFER_LIST *list = ddi_list(bytes, len);

	(void)state;
	e->tcp.delegated.BufferedData = list;
	ddi_initiate(e, &e->neighbor.list);
	REQ("BUF-04", e->tcp.list.Status == FAILED);
	ddi_list_free(list);
	free(bytes);
	ddi_terminate(e, &e->neighbor.list);
	ddi_free(e);
}

static void test_send_data(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	uint8_t bytes[3000];
	NET_BUFFER_LIST *list;
	struct nic_sim_view v;

	(void)state;
	ddi_fill(bytes, 0, sizeof(bytes));
	list = ddi_list_pieces(bytes, sizeof(bytes), 700);
	e->tcp.list.NetBufferListChain = list;
	e->tcp.delegated.SendDataHead = e->tcp.delegated.SendDataTail = list;
	/*
	 * 1000 bytes sent, of which 400 lie behind SndNxt: they go again first, then the 2000 new
	 * ones
	 */
	e->tcp.delegated.SndMax = DDI_SND_UNA + 1000;
	e->tcp.delegated.SndNxt = DDI_SND_UNA + 600;
	e->tcp.delegated.Retransmit.TimeoutDelta = 200;
	ddi_initiate(e, &e->neighbor.list);
	assert_int_equal(e->tcp.list.Status, OK);
	REQ("BUF-14", ddi_view(e, 0, &v) && v.seq == DDI_SND_UNA + 600 && v.payload_len &&
			      !memcmp(e->nic.sent[0].data + v.payload, bytes + 600, v.payload_len));
	REQ("BUF-13", ddi_byte(600) == e->nic.sent[0].data[v.payload]);
	REQ("BUF-16", v.seq == DDI_SND_UNA + 600);
	ddi_ack(e, DDI_SND_UNA + 3000);
	REQ("BUF-17", tgt_io_conn(ddi_io(e))->snd_max == DDI_SND_UNA + 3000);
	REQ("BUF-19", ddi_count(e, CALL_SEND_DONE) == 1 &&
			      ddi_nth(e, CALL_SEND_DONE, 0)->nbl == list &&
			      ddi_nth(e, CALL_SEND_DONE, 0)->bytes == 3000);
	REQ("BUF-29", ddi_nth(e, CALL_SEND_DONE, 0)->status == OK);
	ddi_list_free(list);
	ddi_upload(e);
	ddi_free(e);
}

/* Nothing is sent again: the unsent rest of the chain goes before what is posted later. */
static void test_unsent_before_later(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	uint8_t bytes[2000];
	NET_BUFFER_LIST *list, *later;
	struct nic_sim_view v;

	(void)state;
	ddi_fill(bytes, 0, sizeof(bytes));
	list = ddi_list(bytes, 1500);
	later = ddi_list(bytes + 1500, 500);
	e->tcp.list.NetBufferListChain = list;
	e->tcp.delegated.SndMax = e->tcp.delegated.SndNxt = DDI_SND_UNA + 500;
	e->tcp.delegated.Retransmit.TimeoutDelta = 200;
	ddi_initiate(e, &e->neighbor.list);
	NdisOffloadTcpSend(&e->tcp.handle, later);
	ddi_run(e);
	REQ("BUF-18", ddi_view(e, 0, &v) && v.seq == DDI_SND_UNA + 500 && v.payload_len == 1000 &&
			      ddi_view(e, 1, &v) && v.seq == DDI_SND_UNA + 1500 &&
			      v.payload_len == 500 &&
			      !memcmp(e->nic.sent[1].data + v.payload, bytes + 1500, 500));
	ddi_ack(e, DDI_SND_UNA + 500);
	REQ("BUF-15", tgt_io_conn(ddi_io(e))->snd_una == DDI_SND_UNA + 500);
	ddi_upload(e);
	REQ("BUF-30", e->tcp.delegated.SndMax - e->tcp.delegated.SndUna == 1500);
	ddi_list_free(list);
	ddi_list_free(later);
	ddi_free(e);
}

static void test_send_data_too_much(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	uint32_t len = (256u << 10) + 1;
	uint8_t *bytes = calloc(1, len);
	NET_BUFFER_LIST *list = ddi_list(bytes, len), *next = ddi_list(bytes, 5);

	(void)state;
	ddi_chain(list, next);
	list->Status = next->Status = 0x5555;
	e->tcp.list.NetBufferListChain = list;
	e->tcp.delegated.SndMax = e->tcp.delegated.SndNxt = DDI_SND_UNA + len;
	ddi_initiate(e, &e->neighbor.list);
	REQ("OFF-15", e->tcp.list.Status == NDIS_STATUS_OFFLOAD_TCP_XMIT_BUFFER);
	REQ("OFF-24", list->Status == 0x5555 && next->Status == 0x5555 && list->Next == next);
	REQ("OFF-25", ddi_count(e, CALL_SEND_DONE) == 0);
	ddi_list_free(list);
	ddi_list_free(next);
	free(bytes);
	ddi_terminate(e, &e->neighbor.list);
	ddi_free(e);
}

/* SendDataHead without a chain means nothing. */
static void test_no_chain(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->tcp.delegated.SendDataHead = e->tcp.delegated.SendDataTail =
		(NET_BUFFER_LIST *)(uintptr_t)0x10;
	ddi_initiate(e, &e->neighbor.list);
	REQ("BUF-11", e->tcp.list.Status == OK);
	REQ("BLK-16", e->tcp.list.Status == OK && !tgt_io_conn(ddi_io(e))->sendq.list.bytes);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- order in time ---- */

static void query_while_initiating(struct ddi_env *e, enum ddi_call_kind kind)
{
	if (kind == CALL_INITIATED)
		assert_int_equal(ddi_count(e, CALL_INDICATE), 0);
}

static struct tgt_tuple tuple_of(struct ddi_env *e)
{
	struct tgt_tuple t = { .local_port_be = e->tcp.constant.LocalPort,
			       .remote_port_be = e->tcp.constant.RemotePort };

	memcpy(t.local, e->path.local, 16);
	memcpy(t.remote, e->path.remote, 16);
	return t;
}

/*
 * A frame that came before the connection: the engine has it first, the host hears of it after the
 * completion.
 */
static void test_caught_frames(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_tuple tuple = tuple_of(e);
	uint8_t data[5];

	(void)state;
	e->inside = query_while_initiating;
	assert_int_equal(tgt_flow_expect(e->a, &tuple), 0);
	ddi_fill(data, 0, 5);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, data, 5);
	ddi_run(e);
	assert_int_equal(e->nic.indicated_count, 0);
	ddi_initiate(e, &e->neighbor.list);
	REQ("OFF-32", ddi_rcv_nxt(e) == DDI_RCV_NXT + 5);
	REQ("OFF-28", ddi_count(e, CALL_INDICATE) == 1 &&
			      ddi_index(e, ddi_nth(e, CALL_INDICATE, 0)) >
				      ddi_index(e, ddi_nth(e, CALL_INITIATED, 0)));
	REQ("OFF-38", e->received_bytes == 5 && !memcmp(e->received, data, 5));
	tgt_flow_unexpect(e->a, &tuple);
	ddi_upload(e);
	ddi_free(e);
}

static void test_caught_frames_undone(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_tuple tuple = tuple_of(e);

	(void)state;
	assert_int_equal(tgt_flow_expect(e->a, &tuple), 0);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);
	ddi_run(e);
	assert_int_equal(e->nic.indicated_count, 0);
	tgt_flow_unexpect(e->a, &tuple);
	assert_int_equal(e->nic.indicated_count, 1);
	assert_int_equal(e->nic.indicated[0].len, 14 + 20 + 20 + 3);
	ddi_free(e);
}

static void test_open_operations(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_neighbor_block n;

	(void)state;
	ddi_neighbor(&n, 33);
	NdisInitiateOffload(e->binding, &e->neighbor.list);
	NdisInitiateOffload(e->binding, &n.list);
	assert_int_equal(ddi_count(e, CALL_INITIATED), 0);
	ddi_run(e);
	REQ("OFF-26",
	    ddi_count(e, CALL_INITIATED) == 2 && n.list.Status == OK && e->tcp.list.Status == OK);
	ddi_terminate(e, &n.list);
	ddi_upload(e);
	ddi_free(e);
}

/* A refused connection leaves nothing behind; what was offloaded above it goes as usual. */
static void test_refusal_leaves_nothing(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		ddi_neighbor(&e->neighbor, 2);
		ddi_path(&e->path, 2);
		ddi_tcp(&e->tcp, 4000);
		ddi_tree(e);
		e->tcp.cached.InitialRcvWnd = 2u << 20;
		ddi_initiate(e, &e->neighbor.list);
		assert_int_equal(e->tcp.list.Status, NDIS_STATUS_OFFLOAD_TCP_RCV_WINDOW);
		ddi_terminate(e, &e->neighbor.list);
		assert_int_equal(e->tcp.list.Status, FAILED); /* names nothing */
		assert_int_equal(e->path.list.Status, OK);
	}
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_tree),
		cmocka_unit_test(test_walk_is_depth_first),
		cmocka_unit_test(test_dependents_before_next),
		cmocka_unit_test(test_failed_block_prunes_its_subtree),
		cmocka_unit_test(test_failed_root_ends_everything),
		cmocka_unit_test(test_failed_sibling_root),
		cmocka_unit_test(test_failed_tcp_goes_on),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_receive_buffers),
		cmocka_unit_test(test_unsuitable),
		cmocka_unit_test(test_contradiction),
		cmocka_unit_test(test_documented_partial_case),
		cmocka_unit_test(test_linkers),
		cmocka_unit_test(test_linker_of_wrong_layer),
		cmocka_unit_test(test_placeholders),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_reserved_members),
		cmocka_unit_test(test_context_areas),
		cmocka_unit_test(test_vlan_zero_interface),
		cmocka_unit_test(test_vlan_interface),
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_buffered_data),
		cmocka_unit_test(test_buffered_data_too_large),
		cmocka_unit_test(test_send_data),
		cmocka_unit_test(test_unsent_before_later),
		cmocka_unit_test(test_send_data_too_much),
		cmocka_unit_test(test_no_chain),
		cmocka_unit_test(test_caught_frames),
		cmocka_unit_test(test_caught_frames_undone),
		cmocka_unit_test(test_open_operations),
		cmocka_unit_test(test_refusal_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
