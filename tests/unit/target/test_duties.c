/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a target has to do and to leave alone, where the rule spans its files: which frames it never
 * touches, which timers a connection has, what goes down and up with them, whose the lists are.
 */
#include "ddi_env.h"

#include <arpa/inet.h>

#include "base/be.h"

#define OK NDIS_STATUS_SUCCESS

static bool runs(struct ddi_env *e, enum tgt_timer which)
{
	return tgt_timer_running(tgt_io_conn(ddi_io(e)), which);
}

static NET_BUFFER_LIST *pattern(uint32_t offset, uint32_t len)
{
	uint8_t data[8192];

	assert_true(len <= sizeof(data));
	ddi_fill(data, offset, len);
	return ddi_list(data, len);
}

static void put_sum(uint8_t *ip, unsigned int bytes)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (unsigned int i = 0; i < bytes; i += 2)
		sum += be_get16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

/* The frame goes to the host byte for byte, and the target answers nothing and learns nothing. */
static bool left_alone(struct ddi_env *e, struct ddi_frame *f)
{
	unsigned int before = e->nic.indicated_count, sent = e->nic.sent_count;
	uint32_t rcv_nxt = ddi_rcv_nxt(e), len = f->len;
	struct tgt_adapter_usage old, now;
	uint8_t copy[2048];

	memcpy(copy, f->data, len);
	tgt_adapter_usage(e->a, &old);
	ddi_run(e);
	tgt_adapter_usage(e->a, &now);
	return e->nic.indicated_count == before + 1 && e->nic.indicated[before].len == len &&
	       memcmp(e->nic.indicated[before].data, copy, len) == 0 && e->nic.sent_count == sent &&
	       ddi_rcv_nxt(e) == rcv_nxt && old.connections == now.connections &&
	       old.chunks_used == now.chunks_used;
}

static struct ddi_frame *segment_to(struct ddi_env *e, uint16_t port, uint8_t flags)
{
	struct ddi_frame *f = ddi_segment(e, 1000, 0, flags, NULL, 0);

	f->data[36] = (uint8_t)(port >> 8);
	f->data[37] = (uint8_t)port;
	return f;
}

/* ---- what is the host's ---- */

static void test_setup_and_management(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct ddi_frame *f;

	(void)state;
	REQ("NSP-14", left_alone(e, segment_to(e, 80 + 1, NIC_SIM_SYN)));
	REQ("NSP-14", left_alone(e, segment_to(e, 80 + 1, NIC_SIM_SYN | NIC_SIM_ACK)));
	REQ("NSP-14", left_alone(e, segment_to(e, 80 + 1, NIC_SIM_ACK)));
	REQ("NSP-14", left_alone(e, segment_to(e, 80 + 1, NIC_SIM_RST)));
	f = segment_to(e, 80, NIC_SIM_ACK);
	f->data[14 + 9] = 1; /* ICMP: fragmentation needed, say */
	put_sum(f->data + 14, 20);
	f->data[34] = 3;
	f->data[35] = 4;
	REQ("TCP-18", left_alone(e, f));
	f = ddi_frame_new(e); /* ARP request for us */
	f->len = 42;
	f->data[12] = 0x08;
	f->data[13] = 0x06;
	REQ("NSP-14", left_alone(e, f));
	ddi_end(e);
}

/* Both halves of a segment arrive as fragments: neither is kept, both go up, nothing is put together. */
static void test_fragments(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct ddi_frame *f;

	(void)state;
	for (unsigned int half = 0; half < 2; half++) {
		f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abcdefgh", 8);
		f->data[14 + 6] = half ? 0 : 0x20;
		f->data[14 + 7] = half ? 2 : 0;
		put_sum(f->data + 14, 20);
		REQ("TCP-11", left_alone(e, f));
	}
	assert_int_equal(e->received_bytes, 0);
	ddi_end(e);
}

/* 802.2 SNAP (RFC 1042) is not the encapsulation that was agreed: a length is not a type. */
static void test_ipv4_rules(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = pattern(0, 1000);
	const uint8_t *ip;
	struct ddi_frame *f;

	(void)state;
	e->nic.sent_count = 0;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	ip = e->nic.sent[0].data + 14;
	REQ("TCP-02", be_get16(e->nic.sent[0].data + 12) == 0x0800 && ip[0] == 0x45 &&
			      be_get16(ip + 2) == 1040 && ip[8] == 64 && ip[9] == 6);
	{
		uint8_t copy[20];

		memcpy(copy, ip, 20);
		put_sum(copy, 20);
		REQ("TCP-02", memcmp(copy, ip, 20) == 0);
	}
	ddi_ack(e, DDI_SND_UNA + 1000);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 1000, NIC_SIM_ACK, "abcdefgh", 8);
	memmove(f->data + 22, f->data + 14, f->len - 14);
	memcpy(f->data + 12, "\x00\x38\xaa\xaa\x03\x00\x00\x00\x08\x00", 10);
	f->len += 8;
	REQ("TCP-02", left_alone(e, f));
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 1000, NIC_SIM_ACK, "abcdefgh", 8);
	f->data[14 + 8] = 0; /* no time left to live */
	put_sum(f->data + 14, 20);
	REQ("TCP-02", left_alone(e, f));
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 1000, NIC_SIM_ACK, "abcdefgh", 8);
	f->len += 6; /* Ethernet padding is not data */
	ddi_run(e);
	REQ("TCP-02", e->received_bytes == 8);
	ddi_list_free(list);
	ddi_end(e);
}

/* RFC 2460 header, and what belongs to RFC 2675 and 2711 is not for the target. */
static void test_ipv6_rules(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *list = pattern(0, 3000);
	struct ddi_frame *f;

	(void)state;
	ddi_path6(&e->path, 2);
	ddi_tree(e);
	e->tcp.cached.FlowLabel = 0xabcde;
	ddi_offload(e);
	e->nic.sent_count = 0;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	assert_true(e->nic.sent_count >= 2);
	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		const uint8_t *ip = e->nic.sent[i].data + 14;
		struct nic_sim_view v;

		assert_true(ddi_view(e, i, &v));
		REQ("TCP-03", ip[0] >> 4 == 6 && (ip[1] & 15) == 0xa &&
				      be_get16(ip + 2) == 0xbcde &&
				      be_get16(ip + 4) == e->nic.sent[i].len - 54 && ip[7] == 64 &&
				      nic_sim_csum_ok(e->nic.sent[i].data, &v));
		/* No fragments, so no identification that could lie in the host's half. */
		REQ("IPI-04", ip[6] == 6);
	}
	ddi_ack(e, DDI_SND_UNA + 3000);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 3000, NIC_SIM_ACK, "abcdefgh", 8);
	f->data[14 + 6] = 0; /* hop-by-hop: jumbo payload, router alert */
	REQ("TCP-03", left_alone(e, f));
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA + 3000, NIC_SIM_ACK, "abcdefgh", 8);
	f->data[14 + 6] = 43; /* routing header */
	REQ("TCP-03", left_alone(e, f));
	ddi_list_free(list);
	ddi_end(e);
}

/* ---- timers ---- */

/* Each timer that a connection must have, by the event that starts it. */
static void test_every_timer(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *request = ddi_buffer(4000), *list = pattern(0, 100), *more, *fin;
	struct ddi_frame *f;

	(void)state;
	e->tcp.cached.Flags |= TCP_FLAG_KEEP_ALIVE_ENABLED;
	ddi_offload(e);
	REQ("TMR-01", runs(e, TGT_TMR_KEEP));
	NdisOffloadTcpReceive(&e->tcp.handle, request);
	ddi_run(e);
	ddi_data(e, 10, false);
	REQ("TMR-01", runs(e, TGT_TMR_DELACK) && runs(e, TGT_TMR_PUSH));
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	REQ("TMR-01", runs(e, TGT_TMR_REXMT));
	f = ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA + 100, NIC_SIM_ACK, NULL, 0);
	f->data[14 + 20 + 14] = f->data[14 + 20 + 15] = 0; /* the window closes */
	ddi_run(e);
	REQ("TMR-01", !runs(e, TGT_TMR_REXMT));
	more = pattern(100, 100);
	NdisOffloadTcpSend(&e->tcp.handle, more);
	ddi_run(e);
	REQ("TMR-01", runs(e, TGT_TMR_PERSIST));
	ddi_ack(e, DDI_SND_UNA + 100);
	ddi_ack(e, DDI_SND_UNA + 200);
	fin = ddi_list(NULL, 0);
	NdisOffloadTcpDisconnect(&e->tcp.handle, fin, TCP_DISCONNECT_GRACEFUL_CLOSE);
	ddi_run(e);
	ddi_ack(e, DDI_SND_UNA + 201);
	assert_int_equal(tgt_io_conn(ddi_io(e))->state, TGT_FIN_WAIT_2);
	REQ("TMR-01", runs(e, TGT_TMR_REXMT)); /* in this state it is the FIN_WAIT_2 timer */
	ddi_upload(e);
	ddi_list_free(request);
	ddi_list_free(list);
	ddi_list_free(more);
	ddi_list_free(fin);
	ddi_free(e);
}

/* A connection that comes down in FIN_WAIT_2 ends when the time that it brought is over. */
static void fin_wait_2(ULONG left_ticks, uint64_t ends_after_us)
{
	struct ddi_env *e = ddi_new(NULL);

	e->tcp.delegated.State = TcpConnectionFinWait2;
	e->tcp.delegated.Retransmit.TimeoutDelta = left_ticks;
	ddi_offload(e);
	ddi_pass(e, ends_after_us - 2000);
	assert_int_equal(tgt_io_conn(ddi_io(e))->state, TGT_FIN_WAIT_2);
	ddi_pass(e, 4000);
	REQ("TMR-11", tgt_io_conn(ddi_io(e))->state == TGT_CLOSED);
	ddi_upload(e);
	ddi_free(e);
}

static void test_fin_wait_2_left(void **state)
{
	(void)state;
	fin_wait_2(5000, 5000000);
	fin_wait_2(1234, 1234000);
}

static void test_fin_wait_2_not_running(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->tcp.delegated.State = TcpConnectionFinWait2;
	e->tcp.delegated.Retransmit.TimeoutDelta = 0xffffffff;
	ddi_offload(e);
	REQ("TMR-11", !runs(e, TGT_TMR_REXMT));
	ddi_upload(e);
	REQ("TMR-11", e->tcp.delegated.Retransmit.TimeoutDelta == 0xffffffff);
	ddi_free(e);
}

/* The push timer stops for the upload, its data goes up; down again it starts from the beginning. */
static void test_push_timer_across(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *request = ddi_buffer(100), *again = ddi_buffer(100);
	uint32_t handed = 0;

	(void)state;
	NdisOffloadTcpReceive(&e->tcp.handle, request);
	ddi_run(e);
	ddi_data(e, 10, false);
	ddi_pass(e, 300000);
	assert_true(runs(e, TGT_TMR_PUSH));
	ddi_upload(e);
	if (ddi_count(e, CALL_RECEIVE_DONE))
		handed = ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes;
	REQ("TMR-30", handed == 10 && e->tcp.delegated.RcvNxt == DDI_RCV_NXT + 10);
	ddi_pass(e, 1000000);
	REQ("TMR-30", ddi_count(e, CALL_RECEIVE_DONE) == 1);
	ddi_forget(e);
	e->tcp.list.Header.Type = TcpOffloadState;
	e->tcp.delegated.BufferedData = NULL;
	ddi_neighbor(&e->neighbor, 2);
	ddi_path(&e->path, 2);
	ddi_tcp(&e->tcp, 4000);
	ddi_tree(e);
	e->tcp.delegated.RcvNxt = e->tcp.delegated.SendWL1 = DDI_RCV_NXT + 10;
	ddi_offload(e);
	NdisOffloadTcpReceive(&e->tcp.handle, again);
	ddi_run(e);
	REQ("TMR-31", !runs(e, TGT_TMR_PUSH));
	ddi_data(e, 10, false);
	REQ("TMR-31", runs(e, TGT_TMR_PUSH));
	ddi_pass(e, 498000);
	REQ("TMR-31", ddi_count(e, CALL_RECEIVE_DONE) == 0); /* the whole time, not what was left */
	ddi_pass(e, 4000);
	REQ("TMR-31", ddi_count(e, CALL_RECEIVE_DONE) == 1);
	ddi_list_free(request);
	ddi_list_free(again);
	ddi_end(e);
}

/* A segment that SWS avoidance holds back is not sent by the hand-over; the timer is stopped. */
static void test_sws_timer_across(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *list = pattern(0, 3000);
	struct ddi_frame *f;
	unsigned int sent;

	(void)state;
	e->tcp.delegated.SndWnd = e->tcp.delegated.MaxSndWnd = 8000;
	ddi_offload(e);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, NULL, 0);
	f->data[14 + 20 + 14] = 0x03; /* a window of 1000 bytes, less than a segment */
	f->data[14 + 20 + 15] = 0xe8;
	ddi_run(e);
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	assert_true(runs(e, TGT_TMR_SWS));
	sent = e->nic.sent_count;
	ddi_upload(e);
	ddi_pass(e, 1000000);
	REQ("TMR-42", e->nic.sent_count == sent && e->tcp.delegated.SndMax == DDI_SND_UNA);
	REQ("TMR-42", e->tcp.list.NetBufferListChain == list &&
			      e->tcp.delegated.Retransmit.TimeoutDelta == 0xffffffff);
	ddi_list_free(list);
	ddi_free(e);
}

/* ---- lists ---- */

/* Until it is completed the target can need every byte again, and tells of it once. */
static void test_send_is_kept(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = pattern(0, 1000);
	struct nic_sim_view v;
	unsigned int last;

	(void)state;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	ddi_pass(e, 3000000);
	last = e->nic.sent_count - 1;
	assert_true(ddi_view(e, last, &v));
	REQ("SND-07",
	    ddi_count(e, CALL_SEND_DONE) == 0 && v.seq == DDI_SND_UNA && v.payload_len == 1000);
	for (uint32_t i = 0; i < v.payload_len; i++)
		assert_int_equal(e->nic.sent[last].data[v.payload + i], ddi_byte(i));
	ddi_ack(e, DDI_SND_UNA + 1000);
	ddi_pass(e, 3000000);
	REQ("SND-07", ddi_count(e, CALL_SEND_DONE) == 1);
	ddi_list_free(list);
	ddi_end(e);
}

/* Sends come from inside whatever call up there is: the queue stays whole and in order. */
static struct inner {
	NET_BUFFER_LIST *lists[16];
	unsigned int count;
	uint32_t offset;
} inner;

static void send_inside(struct ddi_env *e, enum ddi_call_kind kind)
{
	if (inner.count == 16 || (kind != CALL_SEND_DONE && kind != CALL_INDICATE))
		return;
	inner.lists[inner.count] = pattern(inner.offset, 100);
	inner.offset += 100;
	NdisOffloadTcpSend(&e->tcp.handle, inner.lists[inner.count++]);
}

static void test_queue_from_inside(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *first = pattern(0, 100);
	unsigned int done = 0;

	(void)state;
	memset(&inner, 0, sizeof(inner));
	inner.offset = 100;
	NdisOffloadTcpSend(&e->tcp.handle, first);
	ddi_run(e);
	e->inside = send_inside;
	for (unsigned int i = 0; i < 20; i++) {
		ddi_data(e, 20, true);
		ddi_ack(e, tgt_io_conn(ddi_io(e))->snd_max);
		ddi_pass(e, 1000);
	}
	e->inside = NULL;
	assert_int_equal(inner.count, 16);
	REQ("SND-10",
	    ddi_count(e, CALL_SEND_DONE) == 17 && ddi_nth(e, CALL_SEND_DONE, 0)->nbl == first);
	for (; done < 16; done++)
		REQ("SND-10", ddi_nth(e, CALL_SEND_DONE, done + 1)->nbl == inner.lists[done] &&
				      ddi_nth(e, CALL_SEND_DONE, done + 1)->status == OK);
	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		struct nic_sim_view v;

		assert_true(ddi_view(e, i, &v));
		for (uint32_t k = 0; k < v.payload_len; k++)
			assert_int_equal(e->nic.sent[i].data[v.payload + k],
					 ddi_byte(v.seq - DDI_SND_UNA + k));
	}
	ddi_list_free(first);
	for (unsigned int i = 0; i < 16; i++)
		ddi_list_free(inner.lists[i]);
	ddi_end(e);
}

/*
 * The target is about to ask for an upload: what is posted from then on is completed as belonging
 * to the host again; what it had before goes up in the chain (the choice of the note on TRM-29).
 */
static void test_sends_around_a_request(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *before = pattern(0, 100), *after = pattern(100, 100);
	struct ddi_frame *f;

	(void)state;
	NdisOffloadTcpSend(&e->tcp.handle, before);
	ddi_run(e);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK | NIC_SIM_URG, "!", 1);
	f->data[14 + 20 + 19] = 1; /* urgent data is not for a target */
	ddi_run(e);
	assert_int_equal(ddi_nth(e, CALL_EVENT, 0)->event, TcpIndicateRetrieve);
	NdisOffloadTcpSend(&e->tcp.handle, after);
	ddi_run(e);
	REQ("TRM-22",
	    ddi_count(e, CALL_SEND_DONE) == 1 && ddi_nth(e, CALL_SEND_DONE, 0)->nbl == after &&
		    ddi_nth(e, CALL_SEND_DONE, 0)->status == NDIS_STATUS_UPLOAD_IN_PROGRESS);
	ddi_upload(e);
	REQ("TRM-22", e->tcp.list.NetBufferListChain == before);
	ddi_list_free(before);
	ddi_list_free(after);
	ddi_free(e);
}

/* ---- the conversation as a whole (RFC 793, 1122, 1191, 1323, 2581, 2988) ---- */

static void test_conversation(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *list = pattern(0, 8000);
	uint32_t una = DDI_SND_UNA, first_flight;
	struct nic_sim_view v;
	unsigned int sent;

	(void)state;
	e->tcp.constant.Flags |= TCP_FLAG_TIMESTAMP_ENABLED | TCP_FLAG_WINDOW_SCALING_ENABLED;
	e->tcp.constant.SndWindScale = 3;
	e->tcp.constant.RcvWindScale = 2;
	e->tcp.delegated.CWnd = 2 * 1448;
	e->tcp.delegated.TsTime = 7777;
	e->tcp.delegated.SndWnd = e->tcp.delegated.MaxSndWnd = 100000;
	ddi_offload(e);
	e->nic.sent_count = 0;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	first_flight = ddi_sent_bytes(e);
	assert_true(ddi_view(e, 0, &v));
	REQ("TCP-17", v.has_ts && v.ts_val - 7777u < 100 && v.payload_len == 1448 &&
			      v.window == (DDI_WND + 3) >> 2); /* rounded up to the unit */
	REQ("TCP-01", first_flight == 2 * 1448 && be_get16(e->nic.sent[0].data + 20) == 0x4000);
	sent = e->nic.sent_count;
	ddi_pass(e, 900000); /* nothing comes back: RTO, the first segment again */
	assert_true(e->nic.sent_count > sent);
	assert_true(ddi_view(e, e->nic.sent_count - 1, &v));
	REQ("TCP-01", v.seq == una && tgt_io_conn(ddi_io(e))->cwnd_bytes <= 1448);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setup_and_management),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_ipv4_rules),
		cmocka_unit_test(test_ipv6_rules),
		cmocka_unit_test(test_every_timer),
		cmocka_unit_test(test_fin_wait_2_left),
		cmocka_unit_test(test_fin_wait_2_not_running),
		cmocka_unit_test(test_push_timer_across),
		cmocka_unit_test(test_sws_timer_across),
		cmocka_unit_test(test_send_is_kept),
		cmocka_unit_test(test_queue_from_inside),
		cmocka_unit_test(test_sends_around_a_request),
		cmocka_unit_test(test_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
