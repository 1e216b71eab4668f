/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics OIDs and who counts what. */
#include "ddi_env.h"

#include "target/tgt_oid.h"

static NDIS_STATUS query(struct ddi_env *e, NDIS_OID oid, void *to, UINT bytes)
{
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestQueryInformation };

	r.DATA.QUERY_INFORMATION.Oid = oid;
	r.DATA.QUERY_INFORMATION.InformationBuffer = to;
	r.DATA.QUERY_INFORMATION.InformationBufferLength = bytes;
	return tgt_oid_request(e->a, &r);
}

static NDIS_STATUS set(struct ddi_env *e, NDIS_OID oid)
{
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestSetInformation };

	r.DATA.SET_INFORMATION.Oid = oid;
	return tgt_oid_request(e->a, &r);
}

static TCP_OFFLOAD_STATS tcp4(struct ddi_env *e)
{
	TCP_OFFLOAD_STATS s;

	assert_int_equal(query(e, OID_TCP4_OFFLOAD_STATS, &s, sizeof(s)), NDIS_STATUS_SUCCESS);
	return s;
}

static IP_OFFLOAD_STATS ip4(struct ddi_env *e)
{
	IP_OFFLOAD_STATS s;

	assert_int_equal(query(e, OID_IP4_OFFLOAD_STATS, &s, sizeof(s)), NDIS_STATUS_SUCCESS);
	return s;
}

static void test_counting(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *list = ddi_buffer(2000);
	TCP_OFFLOAD_STATS t;
	IP_OFFLOAD_STATS i;

	(void)state;
	ddi_offload(e);
	set(e, OID_TCP4_OFFLOAD_STATS);
	set(e, OID_IP4_OFFLOAD_STATS);
	ddi_data(e, 100, true);
	ddi_data(e, 50, true);
	t = tcp4(e);
	i = ip4(e);
	REQ("STT-08", i.InReceives == 2);
	REQ("STT-09", i.InOctets == 150 + 2 * 40);
	REQ("STT-10", i.InDelivers == 2);
	REQ("STT-16", t.InSegments == 2);
	set(e, OID_TCP4_OFFLOAD_STATS);
	set(e, OID_IP4_OFFLOAD_STATS);
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	t = tcp4(e);
	i = ip4(e);
	REQ("STT-11", i.OutRequests == 2 && i.OutOctets == 2000 + 2 * 40);
	REQ("STT-01", t.OutSegments == 2 && t.RetransmittedSegments == 0);
	ddi_pass(e, 1500000);
	t = tcp4(e);
	REQ("STT-17", t.OutSegments == 2 && t.RetransmittedSegments >= 1);
	REQ("STT-18", t.CurrentlyEstablished == 1);
	ddi_ack(e, DDI_SND_UNA + 2000);
	ddi_list_free(list);
	list = ddi_buffer(0);
	NdisOffloadTcpDisconnect(&e->tcp.handle, list, TCP_DISCONNECT_ABORTIVE_CLOSE);
	ddi_run(e);
	t = tcp4(e);
	REQ("STT-21", t.OutResets == 1);
	REQ("STT-19", t.ResetEstablished == 1 && t.CurrentlyEstablished == 0);
	ddi_list_free(list);
	ddi_upload(e);
	ddi_free(e);
}

static void test_groups(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	TCP_OFFLOAD_STATS t;
	IP_OFFLOAD_STATS i;
	UINT small = sizeof(t) - 1;

	(void)state;
	ddi_path6(&e->path, 2);
	ddi_tree(e);
	ddi_offload(e);
	ddi_data(e, 10, true);
	REQ("STT-02", query(e, OID_TCP6_OFFLOAD_STATS, &t, sizeof(t)) == NDIS_STATUS_SUCCESS &&
			      t.InSegments == 1);
	assert_int_equal(query(e, OID_IP6_OFFLOAD_STATS, &i, sizeof(i)), NDIS_STATUS_SUCCESS);
	assert_int_equal(i.InOctets, 10 + 60);
	REQ("STT-05", tcp4(e).InSegments == 0 && ip4(e).InReceives == 0);
	set(e, OID_TCP6_OFFLOAD_STATS);
	query(e, OID_TCP6_OFFLOAD_STATS, &t, sizeof(t));
	query(e, OID_IP6_OFFLOAD_STATS, &i, sizeof(i));
	REQ("STT-03", t.InSegments == 0 && i.InReceives == 1);
	assert_int_equal(query(e, OID_TCP6_OFFLOAD_STATS, &t, small), NDIS_STATUS_BUFFER_TOO_SHORT);
	e->a->counters[TGT_V6].in_errors = UINT32_MAX;
	e->a->counters[TGT_V6].in_errors++;
	REQ("STT-06", e->a->counters[TGT_V6].in_errors == 0);
	ddi_upload(e);
	ddi_free(e);
}

/* Other connections' frames, and ours after the upload. */
static void test_not_counted(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	ddi_segment(e, 1, 1, NIC_SIM_ACK, "abc", 3);
	ddi_run(e);
	REQ("STT-04", ip4(e).InReceives == 0 && tcp4(e).InSegments == 0);
	ddi_free(e);
}

static void test_truncated(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f;

	(void)state;
	ddi_offload(e);
	set(e, OID_IP4_OFFLOAD_STATS);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abcdef", 6);
	f->len -= 2;
	ddi_run(e);
	REQ("STT-13", ip4(e).InTruncatedPackets == 1 && ip4(e).InReceives == 1 &&
			      e->nic.indicated_count == 0);
	ddi_upload(e);
	ddi_free(e);
}

static void bad_tcp(struct ddi_env *e)
{
	struct ddi_frame *f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);

	f->meta.csum_trusted = false;
	f->data[f->len - 1] ^= 1;
	ddi_run(e);
}

static void bad_ip(struct ddi_env *e)
{
	struct ddi_frame *f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);

	f->data[14 + 10] ^= 1;
	ddi_run(e);
}

static void test_corrupt_indicated(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	ddi_offload(e);
	set(e, OID_TCP4_OFFLOAD_STATS);
	bad_tcp(e);
	bad_ip(e);
	REQ("STT-22", e->nic.indicated_count == 2);
	REQ("STT-23",
	    tcp4(e).InErrors == 0 && ip4(e).InHeaderErrors == 0 && tcp4(e).InSegments == 0);
	ddi_upload(e);
	ddi_free(e);
}

static void drop_corrupt(struct tgt_adapter_config *config)
{
	config->drop_corrupt = true;
}

static void test_corrupt_dropped(void **state)
{
	struct ddi_env *e = ddi_new(drop_corrupt);

	(void)state;
	bad_tcp(e);
	bad_ip(e);
	REQ("STT-25",
	    e->nic.indicated_count == 2 && tcp4(e).InErrors == 0 && ip4(e).InHeaderErrors == 0);
	REQ("STT-26", ip4(e).InHeaderErrors == 0);
	ddi_offload(e);
	bad_tcp(e);
	bad_ip(e);
	REQ("STT-24",
	    e->nic.indicated_count == 0 && tcp4(e).InErrors == 1 && ip4(e).InHeaderErrors == 1);
	REQ("STT-12", ip4(e).InHeaderErrors == 1);
	REQ("STT-20", tcp4(e).InErrors == 1);
	ddi_upload(e);
	ddi_free(e);
}

/* There is room for sixteen caught frames: the seventeenth is discarded. */
static void test_discards(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_tuple tuple;

	(void)state;
	ddi_offload(e);
	tuple = ddi_io(e)->tuple;
	tgt_hook_urgent(e->a, &tuple);
	ddi_run(e);
	for (unsigned int i = 0; i < 17; i++)
		ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);
	ddi_run(e);
	REQ("STT-14", ip4(e).InDiscards == 1);
	ddi_upload(e);
	assert_int_equal(e->nic.indicated_count, 16);
	ddi_free(e);
}

static void test_no_route(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_neighbor *n;
	NET_BUFFER_LIST *list = ddi_buffer(10);

	(void)state;
	ddi_offload(e);
	n = ((struct tgt_object *)e->neighbor.handle.MiniportOffloadContext)->state;
	n->invalid = 1; /* not through an operation, so that a send is tried */
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	REQ("STT-15", ip4(e).OutNoRoutes == 1);
	assert_int_equal(ddi_nth(e, CALL_EVENT, 0)->info, InvalidState);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting),          cmocka_unit_test(test_groups),
		cmocka_unit_test(test_not_counted),       cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_corrupt_indicated), cmocka_unit_test(test_corrupt_dropped),
		cmocka_unit_test(test_no_route),          cmocka_unit_test(test_discards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
