/* SPDX-License-Identifier: BSD-2-Clause */
/* Query, update, relinking, invalidate. */
#include "ddi_env.h"

#include "target/tgt_upload.h"

#define OK     NDIS_STATUS_SUCCESS
#define FAILED NDIS_STATUS_FAILURE

static struct tgt_conn *conn_of(struct ddi_env *e)
{
	return tgt_io_conn(ddi_io(e));
}

/* A tree of its own for an operation on the same objects: blocks are copies, handles the same. */
struct op_tree {
	struct ddi_neighbor_block n;
	struct ddi_path_block p;
	struct ddi_tcp_block t;
};

static void copy_tree(struct ddi_env *e, struct op_tree *o, bool cached)
{
	ddi_neighbor(&o->n, 2);
	ddi_path(&o->p, 2);
	ddi_tcp(&o->t, 4000);
	o->n.list.OffloadHandle = &e->neighbor.handle;
	o->p.list.OffloadHandle = &e->path.handle;
	o->t.list.OffloadHandle = &e->tcp.handle;
	o->n.list.DependentBlockList = &o->p.list;
	o->p.list.DependentBlockList = &o->t.list;
	if (cached) {
		o->n.list.Header.Type = NeighborOffloadCachedState;
		o->p.list.Header.Type = Ip4OffloadCachedState;
		o->t.list.Header.Type = TcpOffloadCachedState;
		/* the cached structures directly behind the blocks */
		memcpy(&o->n.constant, &e->neighbor.cached, sizeof(o->n.cached));
		memcpy(&o->p.constant, &e->path.cached, sizeof(o->p.cached));
		memcpy(&o->t.constant, &e->tcp.cached, sizeof(o->t.cached));
	}
}

static TCP_OFFLOAD_STATE_CACHED *cached_of(struct ddi_tcp_block *b)
{
	return (TCP_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(&b->list);
}

/* ---- query ---- */

static void test_query(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct op_tree q;

	(void)state;
	e->tcp.constant.Flags = TCP_FLAG_WINDOW_SCALING_ENABLED | TCP_FLAG_SACK_ENABLED;
	e->tcp.constant.SndWindScale = 7;
	e->tcp.constant.RcvWindScale = 3;
	e->tcp.constant.HashValue = 0xabcdef;
	e->tcp.cached.MaxRT = 0xffffffff;
	e->tcp.cached.UserPriority = 5;
	e->tcp.cached.RcvIndicationSize = 4321;
	e->neighbor.constant.VlanId = 42;
	ddi_offload(e);
	ddi_pass(e, 5000);
	copy_tree(e, &q, false);
	memset(&q.t.constant.Flags, 0, sizeof(q.t.constant) - 8);
	ddi_query(e, &q.n.list);
	REQ("QRY-06", q.n.list.Status == OK && q.p.list.Status == OK && q.t.list.Status == OK);
	REQ("QRY-03",
	    q.t.constant.Flags == e->tcp.constant.Flags && q.t.constant.SndWindScale == 7 &&
		    q.t.constant.RcvWindScale == 3 && q.t.constant.HashValue == 0xabcdef &&
		    q.t.constant.LocalPort == e->tcp.constant.LocalPort &&
		    q.t.constant.RemoteMss == DDI_MSS && q.t.cached.MaxRT == 0xffffffff &&
		    q.t.cached.UserPriority == 5 && q.t.cached.RcvIndicationSize == 4321 &&
		    q.t.cached.KaTimeout == 7200000 && q.t.cached.TtlOrHopLimit == 64 &&
		    q.n.constant.VlanId == 42 && q.p.cached.PathMtu == 1500);
	assert_memory_equal(q.p.constant.DestinationAddress, e->path.remote, 4);
	assert_memory_equal(q.n.cached.DlDestinationAddress,
			    e->neighbor.cached.DlDestinationAddress, 6);
	assert_int_equal(q.n.delegated.NicReachabilityDelta, 5);
	assert_int_equal(q.t.delegated.RcvNxt, DDI_RCV_NXT);
	REQ("QRY-16", q.t.delegated.KeepAlive.TimeoutDelta == 0xffffffff &&
			      q.t.delegated.Retransmit.TimeoutDelta == 0xffffffff);
	ddi_end(e);
}

static void test_query_single_classes(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree q;
	TCP_OFFLOAD_STATE_DELEGATED *d;

	(void)state;
	copy_tree(e, &q, true);
	cached_of(&q.t)->TtlOrHopLimit = 0;
	ddi_query(e, &q.t.list);
	assert_int_equal(cached_of(&q.t)->TtlOrHopLimit, 64);
	copy_tree(e, &q, false);
	q.t.list.Header.Type = TcpOffloadDelegatedState;
	d = (TCP_OFFLOAD_STATE_DELEGATED *)NdisOffloadFirstState(&q.t.list);
	memset(d, 0, sizeof(*d));
	d->Header.Length = 0x78; /* a host of NDIS 6.0: no DWnd */
	d->DWnd = 0x99;
	ddi_query(e, &q.t.list);
	assert_int_equal(q.t.list.Status, OK);
	assert_int_equal(d->SndUna, DDI_SND_UNA);
	assert_int_equal(d->DWnd, 0x99);
	d->Header.Length = 0x70;
	ddi_query(e, &q.t.list);
	assert_int_equal(q.t.list.Status, FAILED);
	ddi_end(e);
}

static void test_query_backlogs(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree q;
	NET_BUFFER_LIST *list;
	uint32_t before;

	(void)state;
	copy_tree(e, &q, false);
	ddi_query(e, &q.t.list);
	before = q.t.delegated.SendBacklogSize;
	REQ("QRY-10", before >= 65536 && before <= e->a->limits.conn_send_bytes);
	list = ddi_buffer(5000);
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	e->taste = TASTE_REFUSE;
	ddi_data(e, 321, true);
	ddi_query(e, &q.t.list);
	REQ("QRY-12", q.t.delegated.SendBacklogSize == before);
	REQ("QRY-13", q.t.delegated.ReceiveBacklogSize == 321);
	REQ("STA-45",
	    q.t.delegated.SendBacklogSize == (uint32_t)(uintptr_t)q.t.delegated.SendDataHead);
	assert_int_not_equal(q.t.delegated.Retransmit.TimeoutDelta, 0xffffffff);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_query_no_backlog(void **state)
{
	const struct nrt_keyword off = { "SendBacklog", 0 };
	struct ddi_env *e = ddi_new_keywords(NULL, &off, 1);
	NET_BUFFER_LIST *list = ddi_buffer(DDI_MSS);
	struct op_tree q;

	(void)state;
	ddi_offload(e);
	copy_tree(e, &q, false);
	ddi_query(e, &q.t.list);
	REQ("QRY-11", q.t.delegated.SendBacklogSize == 0xffffffff);
	/* Far more than doubled, and long after the last word: there would be an event. */
	tgt_io_conn(ddi_io(e))->cwnd_bytes = 60000;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	e->now_us += 2000000;
	ddi_ack(e, DDI_SND_UNA + DDI_MSS);
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 1);
	assert_int_equal(ddi_count(e, CALL_EVENT), 0);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

/* A block that names nothing, or something of another layer. */
static void test_query_failures(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree q;
	NDIS_OFFLOAD_HANDLE stale = { .MiniportOffloadContext = e };

	(void)state;
	copy_tree(e, &q, false);
	q.t.list.OffloadHandle = &e->path.handle;
	ddi_query(e, &q.n.list);
	assert_int_equal(q.n.list.Status, OK);
	assert_int_equal(q.t.list.Status, FAILED);
	q.t.list.OffloadHandle = &stale;
	ddi_query(e, &q.t.list);
	assert_int_equal(q.t.list.Status, FAILED);
	q.p.list.Header.Type = Ip6OffloadState; /* an IPv4 path */
	q.p.list.DependentBlockList = NULL;
	ddi_query(e, &q.p.list);
	REQ("QRY-17", q.p.list.Status == FAILED && ddi_count(e, CALL_EVENT) == 0);
	ddi_end(e);
}

/* ---- update ---- */

static struct nic_sim_view last_sent(struct ddi_env *e)
{
	struct nic_sim_view v = { 0 };

	assert_true(ddi_view(e, e->nic.sent_count - 1, &v));
	return v;
}

static void post_send(struct ddi_env *e, NET_BUFFER_LIST *list)
{
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
}

static void test_update_neighbor(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree u;
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached;
	NET_BUFFER_LIST *list = ddi_buffer(10);

	(void)state;
	copy_tree(e, &u, true);
	u.n.list.DependentBlockList = NULL;
	cached = (NEIGHBOR_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(&u.n.list);
	cached->DlDestinationAddress[5] = 77;
	ddi_update(e, &u.n.list);
	REQ("UPD-19", u.n.list.Status == OK);
	post_send(e, list);
	REQ("UPD-11", e->nic.sent[e->nic.sent_count - 1].data[5] == 77);
	REQ("STA-15", e->nic.sent[e->nic.sent_count - 1].data[5] == 77);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_update_mtu(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree u;
	NET_BUFFER_LIST *list = ddi_buffer(3000);
	struct nic_sim_view v;

	(void)state;
	copy_tree(e, &u, true);
	u.p.list.DependentBlockList = NULL;
	((PATH_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(&u.p.list))->PathMtu = 1000;
	ddi_update(e, &u.p.list);
	assert_int_equal(u.p.list.Status, OK);
	e->nic.sent_count = 0;
	post_send(e, list);
	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		assert_true(ddi_view(e, i, &v));
		REQ("UPD-12", e->nic.sent[i].len <= 14 + 1000);
		REQ("STA-17", v.payload_len <= 960);
	}
	((PATH_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(&u.p.list))->PathMtu = 9000;
	ddi_update(e, &u.p.list);
	REQ("UPD-20", u.p.list.Status == FAILED && conn_of(e)->path_mtu_bytes == 1000);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_update_tcp(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree u;
	NET_BUFFER_LIST *list = ddi_buffer(10);
	const uint8_t *ip;

	(void)state;
	copy_tree(e, &u, true);
	cached_of(&u.t)->TtlOrHopLimit = 33;
	cached_of(&u.t)->TosOrTrafficClass = 0x28;
	cached_of(&u.t)->KaTimeout = 5;
	ddi_update(e, &u.t.list);
	assert_int_equal(u.t.list.Status, OK);
	post_send(e, list);
	ip = e->nic.sent[e->nic.sent_count - 1].data + 14;
	REQ("UPD-02", ip[8] == 33 && ip[1] == 0x28 && conn_of(e)->ka_idle_us == 5000);
	REQ("STA-27", ip[8] == 33);
	REQ("STA-28", ip[1] == 0x28);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

/* A tree with all three classes: constant and delegated values are not looked at. */
static void test_update_takes_cached_only(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct op_tree u;

	(void)state;
	copy_tree(e, &u, false);
	u.t.constant.RemoteMss = 99;
	u.t.delegated.RcvNxt = 1;
	u.t.cached.TtlOrHopLimit = 9;
	ddi_update(e, &u.n.list);
	assert_int_equal(u.t.list.Status, OK);
	REQ("STA-02", conn_of(e)->remote_mss == DDI_MSS);
	REQ("STA-03", conn_of(e)->ttl == 9);
	REQ("STA-06", conn_of(e)->rcv_nxt == DDI_RCV_NXT);
	ddi_end(e);
}

static void test_update_window(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct op_tree u;
	struct nic_sim_view v;

	(void)state;
	e->tcp.cached.InitialRcvWnd = e->tcp.delegated.RcvWnd = 10000;
	ddi_offload(e);
	e->nic.sent_count = 0;
	copy_tree(e, &u, true);
	cached_of(&u.t)->InitialRcvWnd = 30000;
	cached_of(&u.t)->Flags = TCP_FLAG_UPDATE_RCV_WND;
	ddi_update(e, &u.t.list);
	v = last_sent(e);
	REQ("STA-25", e->nic.sent_count == 1 && v.window == 30000);
	REQ("UPD-13", conn_of(e)->rcv_adv == DDI_RCV_NXT + 30000);
	cached_of(&u.t)->InitialRcvWnd = 2u << 20;
	ddi_update(e, &u.t.list);
	assert_int_equal(u.t.list.Status, FAILED);
	assert_int_equal(conn_of(e)->rcv_buf_bytes, 30000);
	ddi_end(e);
}

static void test_update_keepalive(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_conn *conn;
	struct op_tree u;

	(void)state;
	e->tcp.cached.Flags = TCP_FLAG_KEEP_ALIVE_ENABLED;
	e->tcp.cached.KaTimeout = 10000;
	e->tcp.delegated.KeepAlive.ProbeCount = 4;
	e->tcp.delegated.KeepAlive.TimeoutDelta = 9000;
	ddi_offload(e);
	conn = conn_of(e);
	copy_tree(e, &u, true);
	cached_of(&u.t)->KaProbeCount = 7; /* without the flag: counted probes stay */
	ddi_update(e, &u.t.list);
	assert_int_equal(conn->ka_probes, 4);
	cached_of(&u.t)->KaProbeCount = 8;
	cached_of(&u.t)->Flags |= TCP_FLAG_MAX_RT_RESTART;
	ddi_update(e, &u.t.list);
	REQ("UPD-14", conn->ka_probes == 0);
	cached_of(&u.t)->KaTimeout = 20000;
	ddi_update(e, &u.t.list);
	tgt_conn_snapshot(e->a, conn);
	REQ("UPD-15", conn->ka_left_us == 20000000);
	cached_of(&u.t)->Flags = TCP_FLAG_KEEP_ALIVE_ENABLED | TCP_FLAG_KEEP_ALIVE_RESTART;
	ddi_pass(e, 5000000);
	ddi_update(e, &u.t.list);
	tgt_conn_snapshot(e->a, conn);
	REQ("UPD-23", conn->ka_left_us == 20000000);
	ddi_end(e);
}

static void test_update_max_rt(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct op_tree u;

	(void)state;
	e->tcp.delegated.TotalRT = 500;
	ddi_offload(e);
	copy_tree(e, &u, true);
	ddi_update(e, &u.t.list);
	assert_int_equal(conn_of(e)->total_rt_us, 500000);
	cached_of(&u.t)->MaxRT = 60000;
	ddi_update(e, &u.t.list);
	REQ("TMR-36", conn_of(e)->total_rt_us == 0 && conn_of(e)->max_rt_us == 60000000);
	conn_of(e)->total_rt_us = 77;
	ddi_update(e, &u.t.list); /* the same value again is not new */
	REQ("TMR-48", conn_of(e)->total_rt_us == 77);
	cached_of(&u.t)->Flags = TCP_FLAG_MAX_RT_RESTART;
	ddi_update(e, &u.t.list);
	REQ("TMR-35", conn_of(e)->total_rt_us == 0);
	ddi_end(e);
}

/* Nagle off: what it held back leaves. */
static void test_update_nagle(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct op_tree u;
	NET_BUFFER_LIST *a = ddi_buffer(10), *b = ddi_buffer(10);

	(void)state;
	e->tcp.cached.Flags = TCP_FLAG_NAGLING_ENABLED;
	ddi_offload(e);
	post_send(e, a);
	e->nic.sent_count = 0;
	post_send(e, b);
	assert_int_equal(ddi_sent_bytes(e), 0);
	copy_tree(e, &u, true);
	cached_of(&u.t)->Flags = 0;
	ddi_update(e, &u.t.list);
	REQ("STA-24", ddi_sent_bytes(e) == 10);
	ddi_upload(e);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_free(e);
}

/* ---- relinking ---- */

static void test_relink(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct ddi_neighbor_block second, root;
	struct op_tree u;
	NET_BUFFER_LIST *list = ddi_buffer(10);

	(void)state;
	ddi_neighbor(&second, 99);
	ddi_initiate(e, &second.list);
	assert_int_equal(second.list.Status, OK);
	copy_tree(e, &u, true);
	ddi_neighbor(&root, 0);
	root.list.Header.Type = NeighborOffloadConstState; /* brings no cached values */
	root.list.OffloadHandle = &second.handle;
	root.list.DependentBlockList = &u.p.list;
	u.p.list.Header.Type = Ip4OffloadConstState;
	u.p.list.DependentBlockList = NULL;
	ddi_update(e, &root.list);
	assert_int_equal(root.list.Status, OK);
	assert_int_equal(u.p.list.Status, OK);
	post_send(e, list);
	REQ("UPD-05", e->nic.sent[e->nic.sent_count - 1].data[5] == 99);
	e->neighbor.list.DependentBlockList = NULL;
	ddi_terminate(e, &e->neighbor.list); /* nobody depends on the old one any more */
	assert_int_equal(e->neighbor.list.Status, OK);
	e->path.list.DependentBlockList = &e->tcp.list;
	second.list.DependentBlockList = &e->path.list;
	ddi_terminate(e, &second.list);
	assert_int_equal(second.list.Status, OK);
	assert_int_equal(e->tcp.list.Status, OK);
	ddi_list_free(list);
	ddi_free(e);
}

/* ---- invalidate ---- */

static void invalidate(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *(*choose)(struct op_tree *))
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = ddi_buffer(1000);
	struct op_tree u;

	copy_tree(e, &u, true);
	u.n.list.DependentBlockList = u.p.list.DependentBlockList = NULL;
	e->nic.sent_count = 0;
	ddi_invalidate(e, choose(&u));
	REQ("INV-09", choose(&u)->Status == OK);
	REQ("INV-03",
	    ((struct tgt_object *)choose(&u)->OffloadHandle->MiniportOffloadContext)->invalid);
	REQ("INV-06", ddi_count(e, CALL_EVENT) == 1 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateRetrieve &&
			      ddi_nth(e, CALL_EVENT, 0)->info == InvalidState);
	post_send(e, list);
	ddi_pass(e, 3000000);
	REQ("INV-08", e->nic.sent_count == 0);
	REQ("INV-05", e->nic.sent_count == 0);
	REQ("INV-16", ddi_count(e, CALL_EVENT) == 1);
	REQ("TRM-03", ddi_nth(e, CALL_EVENT, 0)->handle == &e->tcp.handle);
	REQ("INV-07", e->a->ddi->conns.used == 1 && e->a->ddi->paths.used == 1 &&
			      e->a->ddi->neighbors.used == 1);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *choose_neighbor(struct op_tree *o)
{
	return &o->n.list;
}

static NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *choose_path(struct op_tree *o)
{
	return &o->p.list;
}

static NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *choose_tcp(struct op_tree *o)
{
	return &o->t.list;
}

static void test_invalidate(void **state)
{
	(void)state;
	invalidate(choose_neighbor);
	invalidate(choose_path);
	invalidate(choose_tcp);
}

static void test_invalid_object(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct ddi_tcp_block t;
	struct op_tree u;

	(void)state;
	copy_tree(e, &u, true);
	u.n.list.DependentBlockList = u.p.list.DependentBlockList = NULL;
	ddi_invalidate(e, &u.p.list);
	REQ("INV-04", ((struct tgt_object *)e->path.handle.MiniportOffloadContext)->invalid);
	ddi_update(e, &u.p.list);
	assert_int_equal(u.p.list.Status, FAILED);
	ddi_tcp(&t, 4001); /* nothing new below it */
	u.p.list.Header.Type = Ip4OffloadState;
	u.p.list.DependentBlockList = &t.list;
	ddi_initiate(e, &u.p.list);
	assert_int_equal(u.p.list.Status, FAILED);
	assert_int_equal(t.list.Status, FAILED);
	ddi_end(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_single_classes),
		cmocka_unit_test(test_query_backlogs),
		cmocka_unit_test(test_query_no_backlog),
		cmocka_unit_test(test_query_failures),
		cmocka_unit_test(test_update_neighbor),
		cmocka_unit_test(test_update_mtu),
		cmocka_unit_test(test_update_tcp),
		cmocka_unit_test(test_update_takes_cached_only),
		cmocka_unit_test(test_update_window),
		cmocka_unit_test(test_update_keepalive),
		cmocka_unit_test(test_update_max_rt),
		cmocka_unit_test(test_update_nagle),
		cmocka_unit_test(test_relink),
		cmocka_unit_test(test_invalidate),
		cmocka_unit_test(test_invalid_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
