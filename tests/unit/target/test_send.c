/* SPDX-License-Identifier: BSD-2-Clause */
/* Send requests, disconnect requests, forwarded segments. */
#include "ddi_env.h"

#include <arpa/inet.h>

#define OK NDIS_STATUS_SUCCESS

static NET_BUFFER_LIST *pattern(uint32_t offset, uint32_t len)
{
	uint8_t *data = malloc(len ? len : 1);
	NET_BUFFER_LIST *list;

	ddi_fill(data, offset, len);
	list = ddi_list_pieces(data, len, 333);
	free(data);
	return list;
}

static void post_send(struct ddi_env *e, NET_BUFFER_LIST *chain)
{
	REQ("SND-05", NdisOffloadTcpSend(&e->tcp.handle, chain) == NDIS_STATUS_PENDING);
}

static NET_BUFFER_LIST *send_pattern(struct ddi_env *e, uint32_t offset, uint32_t len)
{
	NET_BUFFER_LIST *list = pattern(offset, len);

	post_send(e, list);
	ddi_run(e);
	return list;
}

/* All payload sent since ddi_forget(), by sequence number, is the pattern. */
static bool sent_is_pattern(struct ddi_env *e)
{
	struct nic_sim_view v;

	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		if (!ddi_view(e, i, &v))
			return false;
		for (uint32_t k = 0; k < v.payload_len; k++)
			if (e->nic.sent[i].data[v.payload + k] != ddi_byte(v.seq - DDI_SND_UNA + k))
				return false;
	}
	return true;
}

static void test_send_and_complete(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = send_pattern(e, 0, 1000);
	const struct ddi_call *c;

	(void)state;
	assert_int_equal(ddi_sent_bytes(e), 1000);
	assert_true(sent_is_pattern(e));
	REQ("SND-14", ddi_count(e, CALL_SEND_DONE) == 0);
	ddi_ack(e, DDI_SND_UNA + 400);
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 0);
	ddi_ack(e, DDI_SND_UNA + 1000);
	c = ddi_nth(e, CALL_SEND_DONE, 0);
	assert_non_null(c);
	REQ("SND-19", c->nbl == list && c->bytes == 1000 && c->status == OK);
	REQ("SND-20",
	    list->FirstNetBuffer->DataLength == 0 && list->FirstNetBuffer->DataOffset == 1000);
	ddi_list_free(list);
	ddi_end(e);
}

static void test_order(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *l[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		l[i] = pattern(i * 500, 500);
	post_send(e, ddi_chain(l[0], l[1]));
	post_send(e, l[2]);
	post_send(e, l[3]);
	REQ("SND-06", l[0]->MiniportReserved[0] == l[1] && l[1]->MiniportReserved[0] == l[2]);
	ddi_run(e);
	REQ("SND-03", ddi_sent_bytes(e) == 2000 && sent_is_pattern(e));
	REQ("SND-04", sent_is_pattern(e));
	ddi_ack(e, DDI_SND_UNA + 1700);
	REQ("SND-21", ddi_count(e, CALL_SEND_DONE) == 3 && !ddi_nth(e, CALL_SEND_DONE, 1)->first &&
			      !ddi_nth(e, CALL_SEND_DONE, 2)->first);
	REQ("SND-24", ddi_nth(e, CALL_SEND_DONE, 0)->nbl == l[0] &&
			      ddi_nth(e, CALL_SEND_DONE, 2)->nbl == l[2]);
	ddi_ack(e, DDI_SND_UNA + 2000);
	for (unsigned int i = 0; i < 4; i++)
		ddi_list_free(l[i]);
	ddi_end(e);
}

/* The last segment of each list carries PSH. */
static void test_psh(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = send_pattern(e, 0, 3000);
	struct nic_sim_view v;

	(void)state;
	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		assert_true(ddi_view(e, i, &v));
		REQ("SND-11",
		    !!(v.flags & NIC_SIM_PSH) ==
			    (v.payload_len && v.seq + v.payload_len == DDI_SND_UNA + 3000));
	}
	ddi_ack(e, DDI_SND_UNA + 3000);
	ddi_list_free(list);
	ddi_end(e);
}

/* Two lists whose border lies inside a segment: that segment is pushed. */
static void test_psh_of_each_list(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *a = pattern(0, 2000), *b = pattern(2000, 4000);
	struct nic_sim_view v;
	bool seen = false;

	(void)state;
	post_send(e, ddi_chain(a, b));
	ddi_run(e);
	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		assert_true(ddi_view(e, i, &v));
		if (v.seq - DDI_SND_UNA <= 1999 && v.seq - DDI_SND_UNA + v.payload_len > 1999)
			seen = v.flags & NIC_SIM_PSH;
	}
	REQ("SND-12", seen);
	ddi_ack(e, DDI_SND_UNA + 6000);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_end(e);
}

static void test_many_buffers(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = pattern(0, 200), *second = pattern(200, 100),
			*third = pattern(300, 0);

	(void)state;
	list->FirstNetBuffer->Next = second->FirstNetBuffer;
	second->FirstNetBuffer->Next = third->FirstNetBuffer;
	post_send(e, list);
	ddi_run(e);
	REQ("SND-22", ddi_sent_bytes(e) == 300 && sent_is_pattern(e));
	ddi_ack(e, DDI_SND_UNA + 300);
	assert_int_equal(ddi_nth(e, CALL_SEND_DONE, 0)->bytes, 300);
	assert_int_equal(second->FirstNetBuffer->DataLength, 0);
	ddi_list_free(list);
	ddi_list_free(second);
	ddi_list_free(third);
	ddi_end(e);
}

/* More than the arena may hold of one connection: the rest waits in the queue and follows. */
static void test_more_than_fits(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	uint32_t len = 19000, lists = 20, done = 0;
	NET_BUFFER_LIST *l[20];
	struct tgt_conn *conn = tgt_io_conn(ddi_io(e));

	(void)state;
	e->a->limits.conn_send_bytes = 50000;
	for (uint32_t i = 0; i < lists; i++) {
		l[i] = pattern(i * len, len);
		post_send(e, l[i]);
	}
	ddi_run(e);
	assert_int_equal(conn->sendq.list.bytes, 50000);
	for (unsigned int turn = 0; turn < 1000 && done < lists; turn++) {
		e->nic.sent_count = 0;
		ddi_ack(e, conn->snd_max);
		assert_true(sent_is_pattern(e));
		done = ddi_count(e, CALL_SEND_DONE);
	}
	assert_int_equal(done, lists);
	assert_int_equal(conn->snd_una, DDI_SND_UNA + lists * len);
	for (uint32_t i = 0; i < lists; i++)
		ddi_list_free(l[i]);
	ddi_end(e);
}

static void test_empty_request(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = send_pattern(e, 0, 0), *data = send_pattern(e, 0, 10),
			*late = send_pattern(e, 10, 0);

	(void)state;
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 1);
	assert_ptr_equal(ddi_nth(e, CALL_SEND_DONE, 0)->nbl, list);
	ddi_ack(e, DDI_SND_UNA + 10);
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 3);
	assert_ptr_equal(ddi_nth(e, CALL_SEND_DONE, 2)->nbl, late);
	ddi_list_free(list);
	ddi_list_free(data);
	ddi_list_free(late);
	ddi_end(e);
}

/* An acknowledgment arrives before the run gets to an empty request that was just posted. */
static void test_empty_request_and_ack(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *data = send_pattern(e, 0, 10), *empty = pattern(0, 0),
			*more = pattern(10, 20);

	(void)state;
	ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA + 10, NIC_SIM_ACK, NULL, 0);
	post_send(e, ddi_chain(empty, more));
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 2);
	assert_int_equal(ddi_sent_bytes(e), 30);
	assert_true(sent_is_pattern(e));
	ddi_ack(e, DDI_SND_UNA + 30);
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 3);
	ddi_list_free(data);
	ddi_list_free(empty);
	ddi_list_free(more);
	ddi_end(e);
}

/* The device takes nothing for a while: nothing is lost, the data follows. */
static void test_device_full(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list;

	(void)state;
	e->nic.full = true;
	list = send_pattern(e, 0, 1000);
	assert_int_equal(e->nic.sent_count, 0);
	e->nic.full = false;
	ddi_pass(e, 50000);
	assert_int_equal(ddi_sent_bytes(e), 1000);
	ddi_ack(e, DDI_SND_UNA + 1000);
	assert_int_equal(ddi_count(e, CALL_SEND_DONE), 1);
	ddi_list_free(list);
	ddi_end(e);
}

static void small_pool(struct tgt_adapter_config *config)
{
	config->limits.chunks = 5;
}

/*
 * Nothing in the pool and nothing on the way that would free any of it: the connection is offered
 * for upload.
 */
static void test_no_chunks(void **state)
{
	struct ddi_env *e = ddi_new(small_pool);
	void *taken[5];
	NET_BUFFER_LIST *list, *late;

	(void)state;
	ddi_offload(e);
	for (unsigned int i = 0; i < 5; i++)
		taken[i] = arena_take(e->a->arena, e->a->pool_chunk);
	list = send_pattern(e, 0, 100);
	REQ("OFF-33", ddi_count(e, CALL_EVENT) == 1 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateRetrieve &&
			      ddi_nth(e, CALL_EVENT, 0)->info == UploadRequested);
	late = send_pattern(e, 100, 100);
	REQ("OFF-34",
	    ddi_nth(e, CALL_SEND_DONE, 0)->nbl == late &&
		    ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS);
	for (unsigned int i = 0; i < 5; i++)
		arena_give(e->a->arena, e->a->pool_chunk, taken[i]);
	ddi_upload(e);
	REQ("BUF-22", e->tcp.list.NetBufferListChain == list &&
			      e->tcp.delegated.SendDataHead == list &&
			      e->tcp.delegated.SendDataTail == list);
	ddi_list_free(list);
	ddi_list_free(late);
	ddi_free(e);
}

/* ---- backlog ---- */

static void test_backlog(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_conn *conn = tgt_io_conn(ddi_io(e));
	NET_BUFFER_LIST *list = send_pattern(e, 0, 100);

	(void)state;
	e->a->limits.conn_send_bytes = 4u << 20;
	conn->cwnd_bytes = conn->max_snd_wnd_bytes = 1u << 20;
	ddi_ack(e, DDI_SND_UNA + 100);
	REQ("EVT-11", ddi_count(e, CALL_EVENT) == 0); /* too soon after the offload */
	ddi_list_free(list);
	ddi_pass(e, 600000);
	conn->cwnd_bytes = conn->max_snd_wnd_bytes = 1u << 20;
	list = send_pattern(e, 100, 100);
	conn->cwnd_bytes = 1u << 20;
	ddi_ack(e, DDI_SND_UNA + 200);
	REQ("EVT-03", ddi_count(e, CALL_EVENT) == 1 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateSendBacklogChange &&
			      ddi_nth(e, CALL_EVENT, 0)->info >= 2u << 20);
	ddi_list_free(list);
	ddi_end(e);
}

/* ---- graceful disconnect ---- */

static void disconnect(struct ddi_env *e, NET_BUFFER_LIST *list, ULONG flags)
{
	assert_int_equal(NdisOffloadTcpDisconnect(&e->tcp.handle, list, flags),
			 NDIS_STATUS_PENDING);
	ddi_run(e);
}

static void test_graceful(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *data = send_pattern(e, 0, 500), *last = pattern(500, 300);
	struct nic_sim_view v;

	(void)state;
	disconnect(e, last, TCP_DISCONNECT_GRACEFUL_CLOSE);
	REQ("DIS-10", ddi_view(e, e->nic.sent_count - 1, &v) && v.flags & NIC_SIM_FIN &&
			      v.seq + v.payload_len == DDI_SND_UNA + 800 && sent_is_pattern(e));
	REQ("DIS-11", ddi_count(e, CALL_SEND_DONE) == 0);
	ddi_ack(e, DDI_SND_UNA + 800);
	REQ("DIS-15", ddi_count(e, CALL_DISCONNECT_DONE) == 0 && ddi_count(e, CALL_SEND_DONE) == 1);
	ddi_ack(e, DDI_SND_UNA + 801);
	REQ("DIS-18", ddi_nth(e, CALL_DISCONNECT_DONE, 0)->bytes == 300 &&
			      last->FirstNetBuffer->DataLength == 0);
	REQ("DIS-19", ddi_nth(e, CALL_DISCONNECT_DONE, 0)->nbl == last &&
			      ddi_count(e, CALL_DISCONNECT_DONE) == 1 &&
			      ddi_count(e, CALL_SEND_DONE) == 1);
	assert_int_equal(ddi_nth(e, CALL_DISCONNECT_DONE, 0)->status, OK);
	REQ("DIS-13", tgt_io_conn(ddi_io(e))->state == TGT_FIN_WAIT_2);
	ddi_data(e, 50, true);
	assert_int_equal(e->received_bytes, 50);
	REQ("DIS-22", e->a->ddi->conns.used == 1);
	ddi_list_free(data);
	ddi_list_free(last);
	ddi_end(e);
}

/* One acknowledgment for everything: the sends are completed first. */
static void test_graceful_order(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *data = send_pattern(e, 0, 500), *last = ddi_buffer(0);

	(void)state;
	disconnect(e, last, TCP_DISCONNECT_GRACEFUL_CLOSE);
	ddi_ack(e, DDI_SND_UNA + 501);
	REQ("DIS-14", ddi_count(e, CALL_SEND_DONE) == 1 &&
			      ddi_count(e, CALL_DISCONNECT_DONE) == 1 &&
			      ddi_index(e, ddi_nth(e, CALL_SEND_DONE, 0)) <
				      ddi_index(e, ddi_nth(e, CALL_DISCONNECT_DONE, 0)));
	ddi_list_free(data);
	ddi_list_free(last);
	ddi_end(e);
}

static void test_graceful_uploaded(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *data = send_pattern(e, 0, 500), *last = pattern(500, 300);

	(void)state;
	disconnect(e, last, TCP_DISCONNECT_GRACEFUL_CLOSE);
	ddi_ack(e, DDI_SND_UNA + 600);
	ddi_upload(e);
	REQ("DIS-16",
	    ddi_nth(e, CALL_DISCONNECT_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS &&
		    ddi_nth(e, CALL_DISCONNECT_DONE, 0)->bytes == 100 &&
		    last->FirstNetBuffer->DataLength == 200);
	assert_null(e->tcp.list.NetBufferListChain);
	assert_int_equal(e->tcp.delegated.State, TcpConnectionFinWait1);
	ddi_list_free(data);
	ddi_list_free(last);
	ddi_free(e);
}

/* ---- abortive disconnect ---- */

static void test_abortive(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *data = send_pattern(e, 0, 500), *list = ddi_buffer(0),
			*post = ddi_buffer(100), *late;
	struct nic_sim_view v;

	(void)state;
	NdisOffloadTcpReceive(&e->tcp.handle, post);
	ddi_run(e);
	ddi_ack(e, DDI_SND_UNA + 200);
	assert_int_equal(
		NdisOffloadTcpDisconnect(&e->tcp.handle, list, TCP_DISCONNECT_ABORTIVE_CLOSE),
		NDIS_STATUS_PENDING);
	ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA + 200, NIC_SIM_ACK, "late data", 9);
	e->nic.sent_count = 0;
	ddi_run(e);
	REQ("DIS-08", ddi_rcv_nxt(e) == DDI_RCV_NXT && e->nic.sent_count == 1);
	REQ("DIS-03", ddi_view(e, 0, &v) && v.flags & NIC_SIM_RST && v.seq == DDI_SND_UNA + 500);
	REQ("DIS-06", ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED &&
			      ddi_nth(e, CALL_SEND_DONE, 0)->bytes == 200 &&
			      ddi_index(e, ddi_nth(e, CALL_SEND_DONE, 0)) <
				      ddi_index(e, ddi_nth(e, CALL_DISCONNECT_DONE, 0)));
	REQ("DIS-09", ddi_nth(e, CALL_DISCONNECT_DONE, 0)->status == OK &&
			      ddi_nth(e, CALL_DISCONNECT_DONE, 0)->nbl == list);
	REQ("RCV-19",
	    ddi_nth(e, CALL_RECEIVE_DONE, 0)->nbl == post &&
		    ddi_nth(e, CALL_RECEIVE_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED);
	late = send_pattern(e, 0, 5);
	REQ("SND-23", ddi_nth(e, CALL_SEND_DONE, 1)->nbl == late &&
			      ddi_nth(e, CALL_SEND_DONE, 1)->status == NDIS_STATUS_REQUEST_ABORTED);
	ddi_upload(e);
	assert_int_equal(e->tcp.delegated.State, TcpConnectionClosed);
	REQ("BUF-24", !e->tcp.list.NetBufferListChain);
	ddi_list_free(data);
	ddi_list_free(list);
	ddi_list_free(post);
	ddi_list_free(late);
	ddi_free(e);
}

static void refuse_while_indicating(struct ddi_env *e, enum ddi_call_kind kind)
{
	static NET_BUFFER_LIST *list;

	if (kind == CALL_INDICATE && !list) {
		list = ddi_buffer(0);
		NdisOffloadTcpDisconnect(&e->tcp.handle, list, TCP_DISCONNECT_ABORTIVE_CLOSE);
	} else if (kind == CALL_DISCONNECT_DONE) {
		ddi_list_free(list);
		list = NULL;
	}
}

/* Asked for from inside an indication that the host keeps: the RST does not wait for anything. */
static void test_abortive_inside_indication(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct nic_sim_view v;

	(void)state;
	e->inside = refuse_while_indicating;
	e->keep_lists = true;
	ddi_data(e, 100, true);
	REQ("DIS-07", ddi_view(e, e->nic.sent_count - 1, &v) && v.flags & NIC_SIM_RST && e->kept);
	assert_int_equal(ddi_count(e, CALL_DISCONNECT_DONE), 1);
	e->inside = NULL;
	ddi_end(e);
}

static void test_abortive_device_full(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = ddi_buffer(0);

	(void)state;
	e->nic.full = true;
	NdisOffloadTcpDisconnect(&e->tcp.handle, list, TCP_DISCONNECT_ABORTIVE_CLOSE);
	tgt_adapter_run(e->a, e->now_us);
	assert_int_equal(ddi_count(e, CALL_DISCONNECT_DONE), 0);
	e->nic.full = false;
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_DISCONNECT_DONE), 1);
	assert_int_equal(ddi_nth(e, CALL_DISCONNECT_DONE, 0)->status, OK);
	ddi_list_free(list);
	ddi_end(e);
}

/* ---- the peer resets ---- */

static void test_peer_reset(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *data = send_pattern(e, 0, 500), *last = pattern(500, 10),
			*post = ddi_buffer(100);

	(void)state;
	NdisOffloadTcpReceive(&e->tcp.handle, post);
	disconnect(e, last, TCP_DISCONNECT_GRACEFUL_CLOSE);
	ddi_data(e, 30, false);
	ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA, NIC_SIM_RST, NULL, 0);
	ddi_run(e);
	REQ("DIS-25", ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateAbort);
	REQ("BRA-02", ddi_nth(e, CALL_EVENT, 0)->handle == &e->tcp.handle);
	REQ("DIS-27",
	    ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED &&
		    ddi_nth(e, CALL_RECEIVE_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED &&
		    ddi_nth(e, CALL_DISCONNECT_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED);
	REQ("SND-17", ddi_nth(e, CALL_SEND_DONE, 0)->nbl == data);
	REQ("DIS-17", ddi_nth(e, CALL_DISCONNECT_DONE, 0)->nbl == last);
	REQ("DIS-30", ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 30);
	e->nic.sent_count = 0;
	ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA, NIC_SIM_ACK, "x", 1);
	ddi_run(e);
	REQ("DIS-29", e->nic.indicated_count == 1);
	REQ("DIS-31", e->nic.sent_count == 0);
	ddi_list_free(data);
	ddi_list_free(last);
	ddi_list_free(post);
	ddi_end(e);
}

/* After one list of a call failed, the later ones fail too. */
static void test_all_fail(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *l[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		l[i] = pattern(i * 500, 500);
	post_send(e, ddi_chain(l[0], ddi_chain(l[1], l[2])));
	ddi_run(e);
	ddi_ack(e, DDI_SND_UNA + 700);
	ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA, NIC_SIM_RST, NULL, 0);
	e->nic.sent_count = 0;
	ddi_run(e);
	ddi_pass(e, 2000000);
	REQ("SND-15",
	    ddi_nth(e, CALL_SEND_DONE, 0)->status == OK &&
		    ddi_nth(e, CALL_SEND_DONE, 1)->status == NDIS_STATUS_REQUEST_ABORTED &&
		    ddi_nth(e, CALL_SEND_DONE, 1)->bytes == 200 &&
		    ddi_nth(e, CALL_SEND_DONE, 2)->status == NDIS_STATUS_REQUEST_ABORTED &&
		    ddi_nth(e, CALL_SEND_DONE, 2)->bytes == 0 && e->nic.sent_count == 0);
	for (uint32_t i = 0; i < 3; i++)
		ddi_list_free(l[i]);
	ddi_end(e);
}

/* ---- forwarded segments ---- */

static NET_BUFFER_LIST *segment(struct ddi_env *e, uint32_t seq, const void *data, uint32_t len,
				uint32_t piece)
{
	uint8_t tcp[200] = { 0 };
	uint32_t v;

	memcpy(tcp, &e->tcp.constant.RemotePort, 2);
	memcpy(tcp + 2, &e->tcp.constant.LocalPort, 2);
	v = htonl(seq);
	memcpy(tcp + 4, &v, 4);
	v = htonl(DDI_SND_UNA);
	memcpy(tcp + 8, &v, 4);
	tcp[12] = 0x50;
	tcp[13] = NIC_SIM_ACK;
	tcp[14] = tcp[15] = 0xff;
	memcpy(tcp + 20, data, len);
	return ddi_list_pieces(tcp, 20 + len, piece);
}

static void test_forward(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *a = segment(e, DDI_RCV_NXT, "hello ", 6, 1000),
			*b = segment(e, DDI_RCV_NXT + 6, "world", 5, 7);
	NET_BUFFER_LIST *bad = ddi_list("short", 5);

	(void)state;
	assert_int_equal(NdisOffloadTcpForward(&e->tcp.handle, ddi_chain(a, ddi_chain(b, bad))),
			 NDIS_STATUS_PENDING);
	REQ("FWD-08", ddi_count(e, CALL_FORWARD_DONE) == 0);
	ddi_run(e);
	REQ("FWD-07", e->received_bytes == 11 && !memcmp(e->received, "hello world", 11));
	REQ("FWD-09",
	    ddi_count(e, CALL_FORWARD_DONE) == 3 && !ddi_nth(e, CALL_FORWARD_DONE, 2)->first);
	REQ("FWD-10", ddi_nth(e, CALL_FORWARD_DONE, 0)->status == OK &&
			      ddi_nth(e, CALL_FORWARD_DONE, 1)->status == OK);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_list_free(bad);
	ddi_end(e);
}

static void test_forward_refused(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *a = segment(e, DDI_RCV_NXT, "a", 1, 100),
			*b = segment(e, DDI_RCV_NXT, "b", 1, 100);
	struct tgt_tuple tuple = ddi_io(e)->tuple;

	(void)state;
	tgt_hook_urgent(e->a, &tuple);
	NdisOffloadTcpForward(&e->tcp.handle, a);
	ddi_run(e);
	REQ("FWD-11", ddi_nth(e, CALL_FORWARD_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS);
	ddi_upload(e);
	ddi_neighbor(&e->neighbor, 2);
	ddi_path(&e->path, 2);
	ddi_tcp(&e->tcp, 4000);
	ddi_tree(e);
	ddi_offload(e);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_RST, NULL, 0);
	ddi_run(e);
	NdisOffloadTcpForward(&e->tcp.handle, b);
	ddi_run(e);
	assert_int_equal(ddi_nth(e, CALL_FORWARD_DONE, 0)->status, NDIS_STATUS_REQUEST_ABORTED);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_end(e);
}

/* ---- the plain path ---- */

static void test_plain_send(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = pattern(0, 60);

	(void)state;
	NdisSendNetBufferLists(e->binding, list, 0, 0);
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_PLAIN_SENT), 1);
	assert_int_equal(ddi_nth(e, CALL_PLAIN_SENT, 0)->status, OK);
	assert_int_equal(e->nic.sent_count, 1);
	assert_int_equal(e->nic.sent[0].len, 60);
	assert_int_equal(e->nic.sent[0].data[59], ddi_byte(59));
	ddi_list_free(list);
	ddi_end(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send_and_complete),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_psh),
		cmocka_unit_test(test_psh_of_each_list),
		cmocka_unit_test(test_many_buffers),
		cmocka_unit_test(test_more_than_fits),
		cmocka_unit_test(test_empty_request),
		cmocka_unit_test(test_empty_request_and_ack),
		cmocka_unit_test(test_device_full),
		cmocka_unit_test(test_no_chunks),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_graceful),
		cmocka_unit_test(test_graceful_order),
		cmocka_unit_test(test_graceful_uploaded),
		cmocka_unit_test(test_abortive),
		cmocka_unit_test(test_abortive_inside_indication),
		cmocka_unit_test(test_abortive_device_full),
		cmocka_unit_test(test_peer_reset),
		cmocka_unit_test(test_all_fail),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_forward_refused),
		cmocka_unit_test(test_plain_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
