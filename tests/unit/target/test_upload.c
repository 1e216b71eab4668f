/* SPDX-License-Identifier: BSD-2-Clause */
/* Terminate offload, upload requests, frames meanwhile, corrupt state. */
#include "ddi_env.h"

#include "target/tgt_upload.h"

#define OK NDIS_STATUS_SUCCESS

static struct tgt_tuple tuple_of(struct ddi_env *e)
{
	return ddi_io(e)->tuple;
}

/* ---- what comes back ---- */

static void test_unchanged_without_traffic(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	TCP_OFFLOAD_STATE_DELEGATED before, *d = &e->tcp.delegated;

	(void)state;
	d->CWnd = 12345;
	d->SsThresh = 54321;
	d->SndWnd = 30000;
	d->MaxSndWnd = 40000;
	d->RcvWnd = 20000;
	d->DWnd = 77;
	d->DupAckCount = 0;
	d->TotalRT = 900;
	d->KeepAlive.ProbeCount = 3;
	before = *d;
	ddi_offload(e);
	ddi_upload(e);
	REQ("STA-32", d->RcvNxt == before.RcvNxt && d->RcvWnd == before.RcvWnd &&
			      d->SndUna == before.SndUna && d->SndNxt == before.SndNxt &&
			      d->SndMax == before.SndMax && d->SndWnd == before.SndWnd &&
			      d->SendWL1 == before.SendWL1 && d->CWnd == before.CWnd &&
			      d->SsThresh == before.SsThresh && d->SRtt == before.SRtt &&
			      d->RttVar == before.RttVar && d->DupAckCount == before.DupAckCount);
	REQ("STA-50", d->DWnd == before.DWnd);
	REQ("TRM-13", d->MaxSndWnd == before.MaxSndWnd && d->TotalRT == before.TotalRT &&
			      d->KeepAlive.ProbeCount == 3 && d->State == TcpConnectionEstablished);
	REQ("TMR-39",
	    d->Retransmit.TimeoutDelta == 0xffffffff && d->KeepAlive.TimeoutDelta == 0xffffffff);
	ddi_free(e);
}

static void test_constants_and_cached_stay(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	TCP_OFFLOAD_STATE_CONST constant;
	TCP_OFFLOAD_STATE_CACHED cached;

	(void)state;
	ddi_offload(e);
	memset(&e->tcp.constant.Flags, 0x55, sizeof(USHORT));
	memset(&e->tcp.cached.Flags, 0x55, sizeof(USHORT));
	constant = e->tcp.constant;
	cached = e->tcp.cached;
	ddi_upload(e);
	REQ("STA-08", !memcmp(&constant, &e->tcp.constant, sizeof(constant)) &&
			      !memcmp(&cached, &e->tcp.cached, sizeof(cached)));
	ddi_free(e);
}

static void test_sends_come_back(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	uint8_t data[1000];
	NET_BUFFER_LIST *l[3];

	(void)state;
	ddi_fill(data, 0, sizeof(data));
	for (unsigned int i = 0; i < 3; i++)
		l[i] = ddi_list(data, 1000);
	NdisOffloadTcpSend(&e->tcp.handle, ddi_chain(l[0], l[1]));
	NdisOffloadTcpSend(&e->tcp.handle, l[2]);
	ddi_run(e);
	ddi_ack(e, DDI_SND_UNA + 1400);
	ddi_upload(e);
	REQ("BUF-21", e->tcp.list.NetBufferListChain == l[1] && l[1]->Next == l[2] && !l[2]->Next);
	REQ("BUF-22",
	    e->tcp.delegated.SendDataHead == l[1] && e->tcp.delegated.SendDataTail == l[2]);
	REQ("BUF-23", e->tcp.delegated.SndUna == DDI_SND_UNA + 1400 &&
			      e->tcp.delegated.SndMax == DDI_SND_UNA + 3000);
	REQ("SND-18",
	    l[1]->FirstNetBuffer->DataLength == 600 && l[2]->FirstNetBuffer->DataLength == 1000);
	REQ("BUF-20",
	    ddi_count(e, CALL_SEND_DONE) == 1 && ddi_nth(e, CALL_SEND_DONE, 0)->nbl == l[0]);
	REQ("TRM-29", ddi_count(e, CALL_SEND_DONE) == 1);
	for (unsigned int i = 0; i < 3; i++)
		ddi_list_free(l[i]);
	ddi_free(e);
}

static void test_received_data_comes_back(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *nbl;
	struct tgt_adapter_usage usage;
	uint32_t n = 0;

	(void)state;
	e->tcp.constant.Flags = TCP_FLAG_WINDOW_SCALING_ENABLED;
	e->tcp.constant.RcvWindScale = 2;
	e->tcp.cached.InitialRcvWnd = e->tcp.delegated.RcvWnd = 200000;
	ddi_offload(e);
	e->taste = TASTE_REFUSE;
	for (unsigned int i = 0; i < 80; i++)
		ddi_data(e, 1400, false);
	ddi_terminate(e, &e->neighbor.list);
	assert_int_equal(e->tcp.list.Status, OK);
	for (nbl = e->tcp.delegated.BufferedData; nbl; nbl = nbl->Next)
		for (MDL *mdl = nbl->FirstNetBuffer->CurrentMdl; mdl; mdl = mdl->Next)
			for (uint32_t i = 0; i < mdl->ByteCount; i++)
				assert_int_equal(((uint8_t *)mdl->MappedSystemVa)[i],
						 ddi_byte(n++));
	REQ("BUF-26", n == 80 * 1400 && e->tcp.delegated.BufferedData->Next);
	tgt_adapter_usage(e->a, &usage);
	REQ("BUF-28", usage.connections == 0 && usage.chunks_used >= n / 4096);
	NdisOffloadTcpReceiveReturn(e->binding, e->tcp.delegated.BufferedData);
	tgt_adapter_usage(e->a, &usage);
	assert_int_equal(usage.chunks_used, 0);
	ddi_free(e);
}

/* All lists are with the host: BufferedData finds others. */
static void test_received_data_without_lists(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_rx_list *free_lists = e->a->ddi->rx_free;

	(void)state;
	e->taste = TASTE_REFUSE;
	ddi_data(e, 1000, false);
	e->a->ddi->rx_free = NULL;
	ddi_upload(e);
	assert_non_null(e->tcp.delegated.BufferedData);
	e->a->ddi->rx_free = free_lists;
	ddi_free(e);
}

static void test_requests_end_before(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *post = ddi_buffer(100), *forward = ddi_list("x", 1), *last = ddi_buffer(0);
	const struct ddi_call *end;

	(void)state;
	NdisOffloadTcpReceive(&e->tcp.handle, post);
	ddi_run(e);
	ddi_data(e, 30, false);
	NdisOffloadTcpDisconnect(&e->tcp.handle, last, TCP_DISCONNECT_GRACEFUL_CLOSE);
	NdisOffloadTcpForward(&e->tcp.handle, forward);
	NdisTerminateOffload(e->binding, &e->neighbor.list);
	ddi_run(e);
	end = ddi_nth(e, CALL_TERMINATED, 0);
	REQ("TRM-15", ddi_count(e, CALL_RECEIVE_DONE) == 1 &&
			      ddi_count(e, CALL_FORWARD_DONE) == 1 &&
			      ddi_count(e, CALL_DISCONNECT_DONE) == 1 &&
			      ddi_index(e, end) == (int)e->call_count - 1);
	REQ("RCV-20", ddi_nth(e, CALL_RECEIVE_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS &&
			      ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 30);
	REQ("DIS-20",
	    ddi_nth(e, CALL_DISCONNECT_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS);
	REQ("TRM-14",
	    e->tcp.list.Status == OK && e->path.list.Status == OK && e->neighbor.list.Status == OK);
	assert_null(e->tcp.delegated.BufferedData); /* the 30 bytes are the request's */
	ddi_list_free(post);
	ddi_list_free(forward);
	ddi_list_free(last);
	ddi_free(e);
}

static void test_delayed_ack_leaves_first(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct nic_sim_view v;

	(void)state;
	e->nic.sent_count = 0;
	ddi_data(e, 10, false);
	assert_int_equal(e->nic.sent_count, 0);
	ddi_upload(e);
	REQ("TRM-18", ddi_view(e, 0, &v) && v.flags & NIC_SIM_ACK && v.ack == DDI_RCV_NXT + 10);
	REQ("TMR-05", e->nic.sent_count == 1);
	ddi_free(e);
}

/* Data that was acknowledged by SACK only is dropped: neither acknowledged nor indicated. */
static void test_sacked_data(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct nic_sim_view v;

	(void)state;
	e->tcp.constant.Flags = TCP_FLAG_SACK_ENABLED;
	ddi_offload(e);
	ddi_segment(e, DDI_RCV_NXT + 100, DDI_SND_UNA, NIC_SIM_ACK, "later", 5);
	ddi_run(e);
	assert_int_equal(e->nic.sent_count, 1); /* the SACK */
	ddi_upload(e);
	for (unsigned int i = 0; i < e->nic.sent_count; i++)
		assert_true(ddi_view(e, i, &v) && v.ack == DDI_RCV_NXT);
	REQ("TRM-21", e->nic.indicated_count == 0 && e->tcp.delegated.RcvNxt == DDI_RCV_NXT &&
			      !e->tcp.delegated.BufferedData);
	ddi_free(e);
}

static void test_resources_released_after(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_adapter_usage usage;

	(void)state;
	ddi_upload(e);
	REQ("TRM-17", e->usage.connections == 1 && e->usage.paths == 1 &&
			      e->usage.neighbors == 1); /* seen inside */
	tgt_adapter_usage(e->a, &usage);
	assert_int_equal(usage.connections + usage.paths + usage.neighbors, 0);
	ddi_free(e);
}

static void test_parents_stay_while_needed(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	e->path.list.DependentBlockList = NULL;
	ddi_terminate(e, &e->neighbor.list);
	assert_int_equal(e->path.list.Status, NDIS_STATUS_FAILURE);
	assert_int_equal(e->neighbor.list.Status, NDIS_STATUS_FAILURE);
	ddi_data(e, 10, true); /* everything still works */
	assert_int_equal(e->received_bytes, 10);
	e->path.list.DependentBlockList = &e->tcp.list;
	ddi_terminate(e, &e->tcp.list); /* a connection alone, then the rest alone */
	assert_int_equal(e->tcp.list.Status, OK);
	e->neighbor.list.DependentBlockList = &e->path.list;
	e->path.list.DependentBlockList = NULL;
	ddi_terminate(e, &e->neighbor.list);
	REQ("TRM-24", e->path.list.Status == OK && e->neighbor.list.Status == OK);
	ddi_free(e);
}

static void test_states(void **state)
{
	static const TCP_OFFLOAD_CONNECTION_STATE states[] = {
		TcpConnectionEstablished, TcpConnectionFinWait1, TcpConnectionFinWait2,
		TcpConnectionCloseWait,   TcpConnectionClosing,  TcpConnectionLastAck
	};
	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		struct ddi_env *e = ddi_new(NULL);
		bool fin_out = states[i] == TcpConnectionFinWait1 ||
			       states[i] == TcpConnectionClosing ||
			       states[i] == TcpConnectionLastAck;

		e->tcp.delegated.State = states[i];
		if (fin_out) { /* the FIN was sent and not acknowledged */
			e->tcp.delegated.SndNxt = e->tcp.delegated.SndMax = DDI_SND_UNA + 1;
			e->tcp.delegated.Retransmit.TimeoutDelta = 300;
		}
		ddi_offload(e);
		ddi_upload(e);
		REQ("TRM-05", e->tcp.delegated.State == states[i] && e->tcp.list.Status == OK);
		if (fin_out)
			assert_int_equal(e->tcp.delegated.Retransmit.TimeoutDelta, 300);
		ddi_free(e);
	}
}

/* ---- frames around the end ---- */

static void test_frames_after_the_end(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	ddi_upload(e);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);
	ddi_run(e);
	REQ("TRM-20", e->nic.indicated_count == 1);
	ddi_free(e);
}

/* The host announced the flow before it terminated: frames wait until its own socket is ready. */
static void test_frames_kept_for_the_host(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_tuple tuple = tuple_of(e);

	(void)state;
	assert_int_equal(tgt_flow_expect(e->a, &tuple), 0);
	ddi_upload(e);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);
	ddi_segment(e, DDI_RCV_NXT + 3, DDI_SND_UNA, NIC_SIM_ACK, "defg", 4);
	ddi_run(e);
	assert_int_equal(e->nic.indicated_count, 0);
	tgt_flow_unexpect(e->a, &tuple);
	REQ("TRM-19", e->nic.indicated_count == 2 && e->nic.indicated[0].len == 57 &&
			      e->nic.indicated[1].len == 58);
	ddi_free(e);
}

/* ---- asking for upload ---- */

static void test_urgent(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct nic_sim_view v;

	(void)state;
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK | NIC_SIM_URG, "!", 1);
	ddi_segment(e, DDI_RCV_NXT + 1, DDI_SND_UNA, NIC_SIM_ACK, "later", 5);
	e->nic.sent_count = 0;
	ddi_run(e);
	REQ("NSP-10", ddi_count(e, CALL_EVENT) == 1 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateRetrieve &&
			      ddi_nth(e, CALL_EVENT, 0)->info == ReceivedUrgentData);
	ddi_pass(e, 1000000);
	REQ("NSP-11", !ddi_view(e, 0, &v) && e->nic.indicated_count == 0);
	REQ("EVT-08", ddi_rcv_nxt(e) == DDI_RCV_NXT);
	ddi_upload(e);
	REQ("TRM-16", ddi_index(e, ddi_nth(e, CALL_TERMINATED, 0)) == (int)e->call_count - 1);
	REQ("NSP-12", e->nic.indicated_count == 2 && e->nic.indicated[0].len == 55);
	REQ("EVT-04", e->tcp.delegated.RcvNxt == DDI_RCV_NXT);
	ddi_free(e);
}

/* The same, with a host that announced the flow: the frames wait for its word. */
static void test_urgent_kept_for_the_host(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_tuple tuple = tuple_of(e);

	(void)state;
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK | NIC_SIM_URG, "!", 1);
	ddi_run(e);
	assert_int_equal(tgt_flow_expect(e->a, &tuple), 0);
	ddi_upload(e);
	assert_int_equal(e->nic.indicated_count, 0);
	tgt_flow_unexpect(e->a, &tuple);
	assert_int_equal(e->nic.indicated_count, 1);
	ddi_free(e);
}

static void test_urgent_buffered(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_tuple tuple = tuple_of(e);

	(void)state;
	tgt_hook_urgent(e->a, &tuple);
	ddi_run(e);
	REQ("NSP-13", ddi_nth(e, CALL_EVENT, 0)->info == ReceivedUrgentData);
	REQ("NSP-15", ddi_count(e, CALL_EVENT) == 1);
	ddi_upload(e);
	ddi_free(e);
}

static void test_optional_reason_goes_on(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	tgt_upload_ask(e->a, ddi_io(e), LowActivity, false);
	ddi_run(e);
	assert_int_equal(ddi_nth(e, CALL_EVENT, 0)->info, LowActivity);
	ddi_data(e, 10, true);
	REQ("EVT-09", e->received_bytes == 10);
	REQ("TRM-02", ddi_count(e, CALL_EVENT) == 1);
	tgt_upload_ask(e->a, ddi_io(e), HighDropRate, false);
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_EVENT), 2);
	ddi_upload(e);
	ddi_free(e);
}

static void test_half_closed(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->tcp.delegated.State = TcpConnectionCloseWait;
	ddi_initiate(e, &e->neighbor.list);
	ddi_forget(e);
	tgt_upload_ask(e->a, ddi_io(e), LowActivity, false);
	tgt_upload_ask(e->a, ddi_io(e), UploadRequested, false);
	ddi_run(e);
	REQ("EVT-10", ddi_count(e, CALL_EVENT) == 0);
	tgt_upload_ask(e->a, ddi_io(e), UploadRequested, true);
	ddi_run(e);
	REQ("EVT-31", ddi_count(e, CALL_EVENT) == 1);
	ddi_upload(e);
	ddi_free(e);
}

static void test_time_wait_is_offered(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *last = ddi_buffer(0);

	(void)state;
	NdisOffloadTcpDisconnect(&e->tcp.handle, last, TCP_DISCONNECT_GRACEFUL_CLOSE);
	ddi_run(e);
	ddi_ack(e, DDI_SND_UNA + 1);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 1, NIC_SIM_ACK | NIC_SIM_FIN, NULL, 0);
	ddi_run(e);
	REQ("TMR-04", ddi_count(e, CALL_EVENT) == 2 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateDisconnect &&
			      ddi_nth(e, CALL_EVENT, 1)->event == TcpIndicateRetrieve &&
			      ddi_nth(e, CALL_EVENT, 1)->info == UploadRequested);
	e->nic.sent_count = 0;
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 1, NIC_SIM_ACK | NIC_SIM_FIN, NULL, 0);
	ddi_run(e);
	assert_int_equal(e->nic.sent_count, 1); /* answers the repeated FIN */
	ddi_segment(e, DDI_RCV_NXT + 1, 0, NIC_SIM_SYN, NULL, 0);
	ddi_run(e);
	REQ("NSP-08", e->nic.indicated_count == 1);
	ddi_upload(e);
	assert_int_equal(e->tcp.delegated.State, TcpConnectionTimeWait);
	ddi_list_free(last);
	ddi_free(e);
}

static void test_syn_at_rcv_nxt(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	ddi_segment(e, DDI_RCV_NXT, 0, NIC_SIM_SYN, NULL, 0);
	ddi_run(e);
	REQ("BRA-18", ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateRetrieve &&
			      ddi_nth(e, CALL_EVENT, 0)->info == UploadRequested);
	ddi_upload(e);
	REQ("BRA-05", e->tcp.delegated.State == TcpConnectionClosed);
	ddi_free(e);
}

/* ---- corrupt state ---- */

static void test_corrupt_terminate(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_tuple tuple = tuple_of(e);
	NET_BUFFER_LIST *list = ddi_list("data", 4), *post = ddi_buffer(10);
	unsigned int first;

	(void)state;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	NdisOffloadTcpReceive(&e->tcp.handle, post);
	ddi_run(e);
	assert_int_equal(tgt_hook_corrupt(e->a, &tuple), 0);
	ddi_terminate(e, &e->neighbor.list);
	REQ("TRM-26", e->tcp.list.Status == NDIS_STATUS_FAILURE && ddi_count(e, CALL_EVENT) == 2 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateRetrieve &&
			      ddi_nth(e, CALL_EVENT, 0)->info == HardwareFailure &&
			      ddi_nth(e, CALL_EVENT, 1)->event == TcpIndicateAbort &&
			      ddi_index(e, ddi_nth(e, CALL_TERMINATED, 0)) <
				      ddi_index(e, ddi_nth(e, CALL_EVENT, 0)));
	first = ddi_count(e, CALL_TERMINATED);
	ddi_upload(e);
	REQ("TRM-27", ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED &&
			      ddi_nth(e, CALL_RECEIVE_DONE, 0)->status != OK &&
			      ddi_index(e, ddi_nth(e, CALL_SEND_DONE, 0)) <
				      ddi_index(e, ddi_nth(e, CALL_TERMINATED, first)));
	REQ("TRM-30", e->tcp.list.Status == OK);
	ddi_list_free(list);
	ddi_list_free(post);
	ddi_free(e);
}

static void corrupt_by(void (*operation)(struct ddi_env *, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *),
		       const char *failed, const char *ended)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_tuple tuple = tuple_of(e);
	NET_BUFFER_LIST *list = ddi_list("data", 4);

	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	assert_int_equal(tgt_hook_corrupt(e->a, &tuple), 0);
	operation(e, &e->tcp.list);
	REQ(failed, e->tcp.list.Status == NDIS_STATUS_FAILURE && ddi_count(e, CALL_EVENT) == 2 &&
			    ddi_nth(e, CALL_EVENT, 0)->info == HardwareFailure &&
			    ddi_nth(e, CALL_EVENT, 1)->event == TcpIndicateAbort);
	ddi_upload(e);
	REQ(ended, ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_REQUEST_ABORTED);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_corrupt_others(void **state)
{
	(void)state;
	corrupt_by(ddi_query, "QRY-08", "QRY-09");
	corrupt_by(ddi_invalidate, "INV-10", "INV-11");
}

/* ---- everything ---- */

static void test_upload_all(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = ddi_list("data", 4);
	struct ddi_neighbor_block n;

	(void)state;
	tgt_adapter_upload_all(e->a);
	ddi_run(e);
	REQ("STI-10", ddi_nth(e, CALL_STATUS, 0)->status == NDIS_STATUS_UPLOAD_ALL);
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	REQ("STI-06", ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS);
	REQ("SND-16", ddi_nth(e, CALL_SEND_DONE, 0)->nbl == list);
	ddi_neighbor(&n, 9);
	ddi_initiate(e, &n.list);
	assert_int_equal(n.list.Status, NDIS_STATUS_FAILURE);
	ddi_upload(e);
	tgt_adapter_resume_offload(e->a);
	ddi_run(e);
	REQ("STI-12", ddi_nth(e, CALL_STATUS, 1)->status == NDIS_STATUS_OFFLOAD_RESUME);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_pause(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct ddi_neighbor_block n;

	(void)state;
	tgt_adapter_pause_offload(e->a);
	ddi_run(e);
	REQ("STI-01", ddi_nth(e, CALL_STATUS, 0)->status == NDIS_STATUS_OFFLOAD_PAUSE);
	ddi_data(e, 10, true);
	REQ("STI-03", e->received_bytes == 10);
	ddi_neighbor(&n, 9);
	NdisInitiateOffload(e->binding, &n.list);
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_INITIATED), 0);
	ddi_pass(e, 100000);
	REQ("STI-05", ddi_count(e, CALL_INITIATED) == 1);
	REQ("STI-04", n.list.Status == OK);
	tgt_adapter_resume_offload(e->a);
	ddi_run(e);
	REQ("STI-07", ddi_nth(e, CALL_STATUS, 1)->status == NDIS_STATUS_OFFLOAD_RESUME);
	REQ("STI-09", ddi_nth(e, CALL_STATUS, 1)->bytes == sizeof(NDIS_TCP_CONNECTION_OFFLOAD) &&
			      e->resumed.SupportIPv4 == NDIS_OFFLOAD_SUPPORTED);
	ddi_terminate(e, &n.list);
	ddi_upload(e);
	ddi_free(e);
}

static void test_link(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	tgt_adapter_link(e->a, false);
	ddi_run(e);
	REQ("TRM-09", ddi_nth(e, CALL_STATUS, 0)->status == NDIS_STATUS_MEDIA_DISCONNECT &&
			      ddi_count(e, CALL_EVENT) == 0);
	ddi_upload(e);
	ddi_free(e);
}

/* The adapter goes away under a connection: requests end, nothing leaks. */
static void test_halt_under_connection(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = ddi_list("data", 4), *post = ddi_buffer(10);

	(void)state;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	NdisOffloadTcpReceive(&e->tcp.handle, post);
	ddi_run(e);
	for (struct tgt_conn_io *io = ddi_io(e); io; io = NULL)
		tgt_upload_abandon(e->a, io);
	tgt_adapter_run(e->a, e->now_us);
	assert_int_equal(ddi_nth(e, CALL_SEND_DONE, 0)->status, NDIS_STATUS_REQUEST_ABORTED);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 0)->status, NDIS_STATUS_REQUEST_ABORTED);
	e->path.list.DependentBlockList = NULL;
	ddi_terminate(e, &e->neighbor.list);
	assert_int_equal(e->path.list.Status, OK);
	ddi_list_free(list);
	ddi_list_free(post);
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unchanged_without_traffic),
		cmocka_unit_test(test_constants_and_cached_stay),
		cmocka_unit_test(test_sends_come_back),
		cmocka_unit_test(test_received_data_comes_back),
		cmocka_unit_test(test_received_data_without_lists),
		cmocka_unit_test(test_requests_end_before),
		cmocka_unit_test(test_delayed_ack_leaves_first),
		cmocka_unit_test(test_sacked_data),
		cmocka_unit_test(test_resources_released_after),
		cmocka_unit_test(test_parents_stay_while_needed),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_frames_after_the_end),
		cmocka_unit_test(test_frames_kept_for_the_host),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_urgent_kept_for_the_host),
		cmocka_unit_test(test_urgent_buffered),
		cmocka_unit_test(test_optional_reason_goes_on),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_time_wait_is_offered),
		cmocka_unit_test(test_syn_at_rcv_nxt),
		cmocka_unit_test(test_corrupt_terminate),
		cmocka_unit_test(test_corrupt_others),
		cmocka_unit_test(test_upload_all),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_halt_under_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
