/* SPDX-License-Identifier: BSD-2-Clause */
/* The miniport: registration, capabilities, requests, power, pause and halt. */
#include "ddi_env.h"

#include <errno.h>
#include <ndis/chimneyext.h>

#include "target/tgt_ddi.h"
#include "target/tgt_indicate.h"
#include "target/tgt_oid.h"

static NDIS_STATUS set(struct ddi_env *e, NDIS_OID oid, void *from, UINT bytes)
{
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestSetInformation };

	r.Header.Type = NDIS_OBJECT_TYPE_OID_REQUEST;
	r.Header.Revision = NDIS_OID_REQUEST_REVISION_1;
	r.Header.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1;
	r.DATA.SET_INFORMATION.Oid = oid;
	r.DATA.SET_INFORMATION.InformationBuffer = from;
	r.DATA.SET_INFORMATION.InformationBufferLength = bytes;
	return NdisOidRequest(e->binding, &r);
}

/* Both kinds of packets around a new table: a later one must not overtake. */
static void test_receive_scale(void **state)
{
	struct {
		NDIS_RECEIVE_SCALE_PARAMETERS p;
		uint8_t table[4];
	} rss = { .p = { .Header = { NDIS_OBJECT_TYPE_RSS_PARAMETERS, 1, sizeof(rss.p) },
			 .IndirectionTableSize = sizeof(rss.table),
			 .IndirectionTableOffset = sizeof(rss.p) },
		  .table = { 0, 0, 0, 0 } };
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *post;
	uint8_t bytes[300];

	(void)state;
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 3);
	e->tcp.constant.HashValue = 0x5eed1234;
	ddi_offload(e);
	ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, bytes, 100); /* waits in the nic */
	rss.table[1] = 1;
	assert_int_equal(set(e, OID_GEN_RECEIVE_SCALE_PARAMETERS, &rss, sizeof(rss)),
			 NDIS_STATUS_SUCCESS);
	ddi_segment(e, DDI_RCV_NXT + 100, DDI_SND_UNA, NIC_SIM_ACK, bytes + 100, 100);
	e->taste = TASTE_REFUSE; /* what the target keeps must not be overtaken either */
	ddi_run(e);
	rss.table[1] = 2;
	assert_int_equal(set(e, OID_GEN_RECEIVE_SCALE_PARAMETERS, &rss, sizeof(rss)),
			 NDIS_STATUS_SUCCESS);
	e->taste = TASTE_ACCEPT;
	ddi_segment(e, DDI_RCV_NXT + 200, DDI_SND_UNA, NIC_SIM_ACK | NIC_SIM_PSH, bytes + 200, 100);
	ddi_run(e);
	post = ddi_buffer(40); /* ends the refusal, and takes what is oldest */
	assert_int_equal(NdisOffloadTcpReceive(&e->tcp.handle, post), NDIS_STATUS_PENDING);
	ddi_run(e);
	assert_memory_equal(ddi_list_memory(post), bytes, 40);
	REQ("RSS-04", e->received_bytes == 260 && !memcmp(e->received, bytes + 40, 260));
	for (unsigned int i = 0; i < ddi_count(e, CALL_INDICATE); i++)
		REQ("RSS-02", ddi_nth(e, CALL_INDICATE, i)->hash == 0x5eed1234);
	rss.p.IndirectionTableOffset = 4000;
	assert_int_equal(set(e, OID_GEN_RECEIVE_SCALE_PARAMETERS, &rss, sizeof(rss)),
			 NDIS_STATUS_INVALID_PARAMETER);
	ddi_list_free(post);
	ddi_end(e);
}

/* What is not published is offered on request only. */
static void test_extensions(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct nic_sim_view v;
	struct ddi_frame *f;
	ULONG bits = 0;
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestQueryInformation };

	(void)state;
	r.Header.Type = NDIS_OBJECT_TYPE_OID_REQUEST;
	r.Header.Revision = NDIS_OID_REQUEST_REVISION_1;
	r.Header.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1;
	r.DATA.QUERY_INFORMATION.Oid = OID_CHIMNEY_EXTENSIONS;
	r.DATA.QUERY_INFORMATION.InformationBuffer = &bits;
	r.DATA.QUERY_INFORMATION.InformationBufferLength = sizeof(bits);
	assert_int_equal(NdisOidRequest(e->binding, &r), NDIS_STATUS_SUCCESS);
	assert_true(bits & CHIMNEY_EXT_ECN);
	e->tcp.constant.Flags |= TCP_FLAG_ECN_ENABLED;
	ddi_offload(e);
	ddi_forget(e);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK | NIC_SIM_PSH, "ce", 2);
	f->data[15] |= 3; /* congestion experienced */
	assert_true(nic_sim_view(f->data, f->len, &v));
	nic_sim_csum_fill(f->data, &v);
	ddi_run(e);
	assert_true(ddi_view(e, 0, &v));
	REQ("TCP-21", v.flags & NIC_SIM_ECE);
	ddi_end(e);
}

static NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS parameters(void)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS p = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_1,
			    sizeof(p) },
		.TicksPerSecond = 100,
		.TcpAckFrequency = 4,
		.TcpDelayedAckTicks = 5,
		.TcpMaximumRetransmissions = 7,
		.TcpDoubtReachabilityRetransmissions = 3,
		.TcpSwsPreventionTicks = 20,
		.TcpDuplicateAckThreshold = 5,
		.TcpPushTicks = 30,
		.NceStaleTicks = 1500,
	};

	p.Encapsulation.Header.Type = NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION;
	p.Encapsulation.Header.Revision = NDIS_OFFLOAD_ENCAPSULATION_REVISION_1;
	p.Encapsulation.Header.Size = NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1;
	p.Encapsulation.IPv4.Enabled = p.Encapsulation.IPv6.Enabled = NDIS_OFFLOAD_SET_ON;
	p.Encapsulation.IPv4.EncapsulationType = p.Encapsulation.IPv6.EncapsulationType =
		NDIS_ENCAPSULATION_IEEE_802_3;
	return p;
}

static void test_registration(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	REQ("REG-06",
	    tgt_generic_characteristics.Header.Size == sizeof(tgt_generic_characteristics) &&
		    tgt_tcp_characteristics.Header.Size == sizeof(tgt_tcp_characteristics) &&
		    tgt_tcp_characteristics.Header.Revision == 1);
	REQ("REG-03", tgt_tcp_characteristics.OffloadType == NdisTcpChimneyOffload);
	ddi_offload(e); /* all five and all five were registered, or this would not work */
	REQ("REG-01", ddi_io(e) != NULL);
	ddi_data(e, 5, true);
	REQ("REG-02", e->received_bytes == 5);
	REQ("REG-11", e->a->ddi->up.Header.Type == NdisTcpChimneyOffload);
	REQ("REG-14", e->a->ddi->up.Header.Size >= sizeof(e->a->ddi->up));
	REQ("REG-15",
	    e->a->ddi->up.NdisTcpOffloadReceiveHandler && e->a->ddi->up.NdisTcpOffloadSendComplete);
	ddi_upload(e);
	ddi_free(e);
}

static void test_capabilities(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	const NDIS_TCP_CONNECTION_OFFLOAD *c = nrt_adapter_offload(e->adapter, true);

	(void)state;
	REQ("INI-01", c != NULL);
	REQ("INI-03", c->Header.Type == NDIS_OBJECT_TYPE_DEFAULT && c->Header.Size == 0x14 &&
			      c->Header.Revision == 1);
	REQ("INI-04", c->Encapsulation & NDIS_ENCAPSULATION_IEEE_802_3);
	REQ("INI-05", c->SupportIPv4 == 1 && c->SupportIPv6 == 1);
	REQ("INI-07", c->SupportSack == NDIS_OFFLOAD_SUPPORTED);
	REQ("INI-08", c->TcpConnectionOffloadCapacity == 64);
	REQ("INI-09", c->CongestionAlgorithm == 0 && c->Flags == 0);
	REQ("INI-43", c->SupportIPv6ExtensionHeaders == 0);
	ddi_free(e);
}

static void test_pools(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_ddi *d = e->a->ddi;

	(void)state;
	REQ("INI-31", d->chimney_pool && d->plain_pool && d->chimney_pool != d->plain_pool);
	for (uint32_t i = 0; i < d->rx_count; i++)
		assert_true(d->rx_lists[i].nbl->FirstNetBuffer &&
			    !d->rx_lists[i].nbl->FirstNetBuffer->Next);
	REQ("INI-32", d->plain_nbl->FirstNetBuffer && !d->plain_nbl->FirstNetBuffer->Next);
	ddi_free(e);
}

static void test_parameters(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS p = parameters();
	const struct tgt_params *q = &e->a->params;

	(void)state;
	assert_int_equal(q->ticks_per_second, 1000);
	assert_int_equal(q->push_us, 500000);
	REQ("INI-16",
	    set(e, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &p, sizeof(p)) == NDIS_STATUS_SUCCESS);
	REQ("INI-20", q->ticks_per_second == 100);
	REQ("INI-21", q->ack_frequency == 4);
	REQ("INI-22", q->delayed_ack_us == 50000);
	REQ("INI-23", q->max_retransmissions == 7);
	REQ("INI-26", q->sws_us == 200000);
	REQ("INI-27", q->dup_ack_threshold == 5);
	REQ("INI-28", q->push_us == 300000);
	REQ("INI-29", q->nce_stale_ticks == 1500);
	assert_int_equal(q->doubt_retransmissions, 3);
	p.TcpPushTicks = p.TcpSwsPreventionTicks = 0;
	assert_int_equal(set(e, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &p, sizeof(p)),
			 NDIS_STATUS_SUCCESS);
	assert_int_equal(q->push_us, 500000);
	assert_int_equal(q->sws_us, 0);
	ddi_free(e);
}

static void test_parameters_refused(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS p = parameters();
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestSetInformation };

	(void)state;
	p.TicksPerSecond = 250;
	assert_int_equal(set(e, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &p, sizeof(p)),
			 NDIS_STATUS_INVALID_PARAMETER);
	p.TicksPerSecond = 10;
	p.Encapsulation.IPv4.EncapsulationType = NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED;
	REQ("INI-19", set(e, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &p, sizeof(p)) ==
			      NDIS_STATUS_NOT_SUPPORTED);
	assert_int_equal(e->a->params.ticks_per_second, 1000);
	r.DATA.SET_INFORMATION.Oid = OID_TCP_CONNECTION_OFFLOAD_PARAMETERS;
	r.DATA.SET_INFORMATION.InformationBuffer = &p;
	r.DATA.SET_INFORMATION.InformationBufferLength = 0x37;
	assert_int_equal(tgt_oid_request(e->a, &r), NDIS_STATUS_INVALID_LENGTH);
	assert_int_equal(r.DATA.SET_INFORMATION.BytesNeeded, 0x38);
	ddi_offload(e); /* the tick rate cannot change under offloaded objects */
	p = parameters();
	r.DATA.SET_INFORMATION.InformationBufferLength = sizeof(p);
	assert_int_equal(tgt_oid_request(e->a, &r), NDIS_STATUS_INVALID_STATE);
	p.TicksPerSecond = 1000;
	assert_int_equal(tgt_oid_request(e->a, &r), NDIS_STATUS_SUCCESS);
	ddi_upload(e);
	ddi_free(e);
}

/* What the host does not name in its latest set is off. */
static void test_use(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS p = parameters();

	(void)state;
	p.Encapsulation.IPv4.Enabled = NDIS_OFFLOAD_SET_OFF;
	p.Encapsulation.IPv6.Enabled = NDIS_OFFLOAD_SET_NO_CHANGE;
	assert_int_equal(set(e, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &p, sizeof(p)),
			 NDIS_STATUS_SUCCESS);
	REQ("INI-36", !e->a->ddi->used_v4 && e->a->ddi->used_v6);
	ddi_free(e);
}

static void test_administrator(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NDIS_OFFLOAD_PARAMETERS p = { .Header = { NDIS_OBJECT_TYPE_DEFAULT,
						  NDIS_OFFLOAD_PARAMETERS_REVISION_1,
						  NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1 } };
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestSetInformation };

	(void)state;
	r.DATA.SET_INFORMATION.Oid = OID_TCP_OFFLOAD_PARAMETERS;
	r.DATA.SET_INFORMATION.InformationBuffer = &p;
	r.DATA.SET_INFORMATION.InformationBufferLength = sizeof(p);
	p.TcpConnectionIPv4 = NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_DISABLED;
	assert_int_equal(tgt_oid_request(e->a, &r), NDIS_STATUS_SUCCESS);
	assert_int_equal(ddi_count(e, CALL_STATUS), 0);
	ddi_run(e);
	REQ("ADM-03", !e->a->ddi->offload_v4 && e->a->ddi->offload_v6);
	REQ("ADM-07", ddi_nth(e, CALL_STATUS, 0)->status == NDIS_STATUS_OFFLOAD_RESUME &&
			      e->resumed.SupportIPv4 == 0 && e->resumed.SupportIPv6 == 1);
	REQ("INI-30", nrt_adapter_offload(e->adapter, false)->SupportIPv4 == 0);
	ddi_initiate(e, &e->neighbor.list);
	REQ("ADM-09", e->path.list.Status == NDIS_STATUS_FAILURE);
	ddi_terminate(e, &e->neighbor.list);
	p.TcpConnectionIPv4 = NDIS_OFFLOAD_PARAMETERS_NO_CHANGE;
	p.TcpConnectionIPv6 = 3;
	REQ("ADM-06", tgt_oid_request(e->a, &r) == NDIS_STATUS_INVALID_DATA);
	r.DATA.SET_INFORMATION.Oid = OID_GEN_STATISTICS;
	assert_int_equal(tgt_oid_request(e->a, &r), NDIS_STATUS_NOT_SUPPORTED);
	r.DATA.SET_INFORMATION.Oid = OID_TCP_TASK_OFFLOAD;
	assert_int_equal(tgt_oid_request(e->a, &r), NDIS_STATUS_NOT_SUPPORTED);
	ddi_free(e);
}

/* ---- power ---- */

static unsigned int power_done;
static NDIS_STATUS power_status;

static void on_power(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)ctx;
	(void)request;
	power_done++;
	power_status = status;
}

static void test_power(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	power_done = 0;
	ddi_offload(e);
	assert_int_equal(nrt_set_power(e->adapter, NdisDeviceStateD3, on_power, NULL), 0);
	ddi_run(e);
	REQ("PWR-02", power_done == 0);
	REQ("PWR-03", e->a->ddi->power_request != NULL);
	ddi_upload(e);
	REQ("PWR-04", power_done == 1 && power_status == NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_set_power(e->adapter, NdisDeviceStateD0, on_power, NULL), 0);
	assert_int_equal(power_done, 2);
	ddi_free(e);
}

/* ---- pause and halt ---- */

static void test_lists_out_hold_the_adapter(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	ddi_offload(e);
	e->keep_lists = true;
	ddi_data(e, 100, true);
	ddi_upload(e);
	assert_int_equal(nrt_adapter_destroy(e->adapter), -EINPROGRESS);
	REQ("RCV-44", tgt_adapter_find("tgt0") == e->a);
	ddi_give_back(e);
	for (unsigned int i = 0; i < 4 && nrt_pump(); i++)
		tgt_adapter_run(e->a, e->now_us);
	assert_null(tgt_adapter_find("tgt0"));
	assert_null(nrt_adapter_find("tgt0"));
	NdisDeregisterProtocolDriver(e->protocol_driver);
	tgt_driver_deregister(e->target_driver);
	free(e);
}

static void test_initialize_refuses(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct tgt_adapter_config bad = { .name = "tgt1" };
	struct nrt_adapter_params params = { .name = "tgt1", .add_device_context = &bad };
	struct nrt_adapter *adapter;

	(void)state;
	assert_true(nrt_adapter_create(e->target_driver, &params, &adapter) < 0);
	bad.nic = &e->nic.nic;
	bad.cc_name = "no such algorithm";
	assert_true(nrt_adapter_create(e->target_driver, &params, &adapter) < 0);
	assert_null(tgt_adapter_find("tgt1"));
	ddi_free(e);
}

/* The Nth allocation fails, for every N: no adapter, nothing leaked, and the next one works. */
static void test_initialize_without_memory(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_nic second = e->nic;
	struct tgt_adapter_config config = {
		.name = "tgt1",
		.nic = &second.nic,
		.limits = { .tcp_entries = 4, .chunks = 8, .flow_catch_frames = 1 }
	};
	struct nrt_adapter_params params = { .name = "tgt1", .add_device_context = &config };
	struct nrt_adapter *adapter = NULL;
	unsigned int failures = 0;

	(void)state;
	for (long n = 0; n < 30000; n += n < 40 ? 1 : 997) {
		int err;

		nrt_fail_alloc_after(n);
		err = nrt_adapter_create(e->target_driver, &params, &adapter);
		nrt_fail_alloc_after(-1);
		if (!err) {
			assert_int_equal(nrt_adapter_destroy(adapter), 0);
			break;
		}
		failures++;
		assert_null(tgt_adapter_find("tgt1"));
	}
	assert_true(failures > 10);
	ddi_free(e);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(tgt_drop_name(TGT_DROP_PAWS), "PAWS");
	assert_string_equal(tgt_drop_name(TGT_DROP_REASONS), "?");
	for (unsigned int i = 0; i < TGT_DROP_REASONS; i++)
		assert_true(strlen(tgt_drop_text(i)) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registration),
		cmocka_unit_test(test_receive_scale),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_parameters_refused),
		cmocka_unit_test(test_use),
		cmocka_unit_test(test_administrator),
		cmocka_unit_test(test_power),
		cmocka_unit_test(test_lists_out_hold_the_adapter),
		cmocka_unit_test(test_initialize_refuses),
		cmocka_unit_test(test_initialize_without_memory),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
