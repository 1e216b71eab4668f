/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames: what is sent looks right, what arrives goes to the right place. */
#include "ddi_env.h"

#include <arpa/inet.h>

#include "target/tgt_frame.h"
#include "base/be.h"

static NET_BUFFER_LIST *send_bytes(struct ddi_env *e, uint32_t len)
{
	uint8_t data[4000];
	NET_BUFFER_LIST *list;

	ddi_fill(data, 0, len);
	list = ddi_list_pieces(data, len, 77);
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	return list;
}

/* ---- sent ---- */

static void test_ipv4(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	const uint8_t own_mac[6] = { 2, 0, 0, 0, 0, 1 }, *f;
	struct nic_sim_view v;
	NET_BUFFER_LIST *list;

	(void)state;
	e->tcp.cached.TosOrTrafficClass = 0x28;
	e->tcp.cached.TtlOrHopLimit = 33;
	ddi_offload(e);
	e->nic.sent_count = 0;
	list = send_bytes(e, 3000);
	for (unsigned int i = 0; i < e->nic.sent_count; i++) {
		f = e->nic.sent[i].data;
		assert_true(ddi_view(e, i, &v));
		assert_true(nic_sim_csum_ok(f, &v));
		REQ("STA-12", !memcmp(f + 6, own_mac, 6));
		REQ("STA-41", !memcmp(f, e->neighbor.cached.DlDestinationAddress, 6) &&
				      !memcmp(f + 26, e->path.local, 4) &&
				      !memcmp(f + 30, e->path.remote, 4));
		REQ("STA-23", v.src_port == 80 && v.dst_port == 4000);
		REQ("IPI-06", be_get16(f + 20) == 0x4000);
		REQ("IPI-01", be_get16(f + 20) == 0x4000);
		REQ("IPI-02", be_get16(f + 18) != 0);
		REQ("IPI-03", be_get16(f + 18) >= 0x8000);
		REQ("VLN-10", be_get16(f + 12) == 0x0800);
		REQ("STA-22", v.payload_len <= DDI_MSS);
		assert_int_equal(f[14 + 1], 0x28);
		assert_int_equal(f[14 + 8], 33);
	}
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

/* Identifications run through their half and never leave it, also for super-frames. */
static void test_ip_ids(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *list;

	(void)state;
	ddi_offload(e);
	e->a->ip_id = 0xffff;
	e->nic.sent_count = 0;
	list = send_bytes(e, 2920);
	assert_int_equal(be_get16(e->nic.sent[0].data + 18), 0xffff);
	assert_int_equal(be_get16(e->nic.sent[1].data + 18), 0x8000);
	ddi_ack(e, DDI_SND_UNA + 2920);
	ddi_list_free(list);
	e->nic.nic.info.features = NIC_FEAT_TSO4;
	e->a->ip_id = 0xffff; /* two segments would reach 0x10000 */
	e->nic.sent_count = 0;
	list = ddi_list(NULL, 1600);
	tgt_io_conn(ddi_io(e))->remote_mss = 800;
	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	assert_int_equal(e->nic.sent_count, 1);
	assert_int_equal(e->nic.sent[0].meta.gso_size, 800);
	assert_int_equal(be_get16(e->nic.sent[0].data + 18), 0x8000);
	assert_int_equal(e->a->ip_id, 0x8002);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_ipv6(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct nic_sim_view v;
	NET_BUFFER_LIST *list;
	const uint8_t *ip;

	(void)state;
	ddi_path6(&e->path, 2);
	ddi_tree(e);
	e->tcp.cached.FlowLabel = 0xabcde;
	e->tcp.cached.TosOrTrafficClass = 0x28;
	e->tcp.cached.TtlOrHopLimit = 12;
	ddi_offload(e);
	e->nic.sent_count = 0;
	list = send_bytes(e, 100);
	assert_true(ddi_view(e, 0, &v));
	assert_int_equal(v.ip_version, 6);
	assert_true(nic_sim_csum_ok(e->nic.sent[0].data, &v));
	ip = e->nic.sent[0].data + 14;
	REQ("STA-26", (ip[1] & 15) == 0xa && ip[2] == 0xbc && ip[3] == 0xde);
	assert_int_equal((ip[0] & 15) << 4 | ip[1] >> 4, 0x28);
	assert_int_equal(ip[7], 12);
	assert_memory_equal(ip + 8, e->path.local, 16);
	assert_memory_equal(ip + 24, e->path.remote, 16);
	ddi_data(e, 10, true);
	assert_int_equal(e->received_bytes, 10);
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_partial_checksum(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct nic_sim_view v;
	NET_BUFFER_LIST *list;

	(void)state;
	ddi_offload(e);
	e->nic.nic.info.features = NIC_FEAT_TX_CSUM;
	e->nic.sent_count = 0;
	list = send_bytes(e, 101);
	assert_true(ddi_view(e, 0, &v));
	assert_false(nic_sim_csum_ok(e->nic.sent[0].data, &v));
	/* what the device does: sum from the TCP header on over the partial sum */
	{
		const uint8_t *tcp = e->nic.sent[0].data + v.l4;
		uint32_t n = e->nic.sent[0].len - v.l4, sum = 0;
		uint8_t full[2048];

		for (uint32_t i = 0; i < n; i++)
			sum += i & 1 ? tcp[i] : (uint32_t)tcp[i] << 8;
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		memcpy(full, e->nic.sent[0].data, e->nic.sent[0].len);
		full[v.l4 + 16] = (uint8_t)(~sum >> 8);
		full[v.l4 + 17] = (uint8_t)~sum;
		assert_true(nic_sim_csum_ok(full, &v));
	}
	ddi_upload(e);
	ddi_list_free(list);
	ddi_free(e);
}

static void test_configured_mac(void **state)
{
	const uint8_t mac[6] = { 2, 9, 9, 9, 9, 9 };
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f;

	(void)state;
	memcpy(e->neighbor.constant.DlSourceAddress, mac, 6);
	ddi_offload(e);
	ddi_data(e, 3, true); /* addressed to the interface, not to this neighbor's address */
	REQ("STA-44", e->received_bytes == 0 && e->nic.indicated_count == 1);
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abc", 3);
	memcpy(f->data, mac, 6);
	f = ddi_segment(e, DDI_RCV_NXT + 3, DDI_SND_UNA, NIC_SIM_ACK, "def", 3);
	f->data[0] |= 1; /* a group address */
	ddi_run(e);
	REQ("STA-13", e->received_bytes == 6);
	assert_memory_equal(e->nic.sent[e->nic.sent_count - 1].data + 6, mac, 6);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- VLAN ---- */

static struct ddi_env *vlan_env(uint16_t id, uint8_t priority)
{
	struct ddi_env *e = ddi_new(NULL);

	e->neighbor.constant.VlanId = id;
	e->tcp.cached.UserPriority = priority;
	ddi_initiate(e, &e->neighbor.list);
	assert_int_equal(e->tcp.list.Status, NDIS_STATUS_SUCCESS);
	return e;
}

static void test_vlan_send(void **state)
{
	struct ddi_env *e = vlan_env(0, 5);

	(void)state;
	REQ("VLN-11", be_get16(e->nic.sent[0].data + 12) == 0x8100 &&
			      be_get16(e->nic.sent[0].data + 14) == 5 << 13 &&
			      be_get16(e->nic.sent[0].data + 16) == 0x0800);
	REQ("VLN-19", (be_get16(e->nic.sent[0].data + 14) & 0xfff) == 0);
	ddi_upload(e);
	ddi_free(e);
	e = vlan_env(0xabc, 3);
	REQ("VLN-12", be_get16(e->nic.sent[0].data + 14) == (3 << 13 | 0xabc));
	REQ("VLN-13", !(be_get16(e->nic.sent[0].data + 14) & 0x1000));
	REQ("STA-14", (be_get16(e->nic.sent[0].data + 14) & 0xfff) == 0xabc);
	ddi_upload(e);
	ddi_free(e);
}

static void test_no_priority(void **state)
{
	const struct nrt_keyword vlan_only = { "*PriorityVLANTag", 2 };
	struct ddi_env *e = ddi_new_keywords(NULL, &vlan_only, 1);

	(void)state;
	e->tcp.cached.UserPriority = 5;
	ddi_offload(e);
	REQ("VLN-17", be_get16(e->nic.sent[0].data + 12) == 0x0800);
	ddi_upload(e);
	ddi_free(e);
	e = ddi_new_keywords(NULL, &vlan_only, 1);
	e->neighbor.constant.VlanId = 7;
	e->tcp.cached.UserPriority = 5;
	ddi_offload(e);
	REQ("VLN-17", be_get16(e->nic.sent[0].data + 14) == 7);
	ddi_upload(e);
	ddi_free(e);
}

/* Put a tag into a queued frame, in its bytes or beside them. */
static void tag(struct ddi_frame *f, uint16_t tci, bool in_frame)
{
	if (!in_frame) {
		f->meta.vlan_present = true;
		f->meta.vlan_tci = tci;
		return;
	}
	memmove(f->data + 16, f->data + 12, f->len - 12);
	f->data[12] = 0x81;
	f->data[13] = 0x00;
	f->data[14] = (uint8_t)(tci >> 8);
	f->data[15] = (uint8_t)tci;
	f->len += 4;
}

static uint32_t received_with(struct ddi_env *e, int tci, bool in_frame)
{
	struct ddi_frame *f = ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA, NIC_SIM_ACK, "x", 1);
	uint32_t before = e->received_bytes;

	if (tci >= 0)
		tag(f, (uint16_t)tci, in_frame);
	ddi_run(e);
	return e->received_bytes - before;
}

static void test_vlan_receive(void **state)
{
	struct ddi_env *e = vlan_env(0, 0);

	(void)state;
	REQ("VLN-14", received_with(e, -1, false) == 1 && received_with(e, 7, false) == 1 &&
			      received_with(e, 8, true) == 1);
	ddi_upload(e);
	ddi_free(e);
	e = vlan_env(7, 0);
	REQ("VLN-15", received_with(e, -1, false) == 0 && received_with(e, 8, false) == 0 &&
			      received_with(e, 8, true) == 0 &&
			      received_with(e, 5 << 13 | 7, false) == 1 &&
			      received_with(e, 7, true) == 1);
	assert_int_equal(e->a->drops[TGT_DROP_VLAN], 3);
	assert_int_equal(e->nic.indicated_count, 0);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- not for the engine ---- */

static bool passed_up(struct ddi_env *e)
{
	unsigned int before = e->nic.indicated_count;
	uint32_t rcv_nxt = ddi_rcv_nxt(e);

	ddi_run(e);
	return e->nic.indicated_count == before + 1 && ddi_rcv_nxt(e) == rcv_nxt;
}

static void refresh_ip_checksum(struct ddi_frame *f)
{
	uint32_t sum = 0;
	uint8_t *ip = f->data + 14;

	ip[10] = ip[11] = 0;
	for (unsigned int i = 0; i < (ip[0] & 15) * 4u; i += 2)
		sum += be_get16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

static struct ddi_frame *plain(struct ddi_env *e)
{
	return ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, "abcdefgh", 8);
}

static void test_not_ours(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f;

	(void)state;
	ddi_offload(e);
	f = plain(e); /* first fragment */
	f->data[14 + 6] = 0x20;
	refresh_ip_checksum(f);
	REQ("NSP-01", passed_up(e));
	f = plain(e); /* a later one */
	f->data[14 + 7] = 0x10;
	refresh_ip_checksum(f);
	assert_true(passed_up(e));
	f = plain(e); /* options: four bytes of them */
	memmove(f->data + 38, f->data + 34, f->len - 34);
	memset(f->data + 34, 1, 4);
	f->len += 4;
	f->data[14] = 0x46;
	f->data[17] = (uint8_t)(f->data[17] + 4);
	refresh_ip_checksum(f);
	REQ("NSP-04", passed_up(e));
	f = ddi_frame_new(e); /* ARP */
	f->len = 42;
	f->data[12] = 0x08;
	f->data[13] = 0x06;
	REQ("NSP-06", passed_up(e));
	f = plain(e); /* UDP, ICMP */
	f->data[14 + 9] = 17;
	refresh_ip_checksum(f);
	assert_true(passed_up(e));
	f = plain(e);
	f->data[14 + 9] = 1;
	refresh_ip_checksum(f);
	assert_true(passed_up(e));
	f = plain(e); /* another port */
	f->data[35]++;
	assert_true(passed_up(e));
	f = ddi_frame_new(e); /* nothing at all */
	f->len = 3;
	assert_true(passed_up(e));
	f = plain(e); /* double tag */
	tag(f, 1, true);
	tag(f, 2, true);
	assert_true(passed_up(e));
	f = plain(e);
	ddi_run(e);
	assert_int_equal(e->received_bytes, 8);
	ddi_upload(e);
	ddi_free(e);
}

static void test_ipv6_extension(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f;

	(void)state;
	ddi_path6(&e->path, 2);
	ddi_tree(e);
	ddi_offload(e);
	f = plain(e);
	f->data[14 + 6] = 44; /* fragment header */
	assert_true(passed_up(e));
	f = plain(e);
	f->data[14 + 6] = 0; /* hop-by-hop options */
	assert_true(passed_up(e));
	ddi_upload(e);
	ddi_free(e);
}

static void set_filter(struct ddi_env *e, ULONG filter)
{
	NDIS_OID_REQUEST r = { .RequestType = NdisRequestSetInformation };

	r.Header.Type = NDIS_OBJECT_TYPE_OID_REQUEST;
	r.Header.Revision = NDIS_OID_REQUEST_REVISION_1;
	r.Header.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1;
	r.DATA.SET_INFORMATION.Oid = OID_GEN_CURRENT_PACKET_FILTER;
	r.DATA.SET_INFORMATION.InformationBuffer = &filter;
	r.DATA.SET_INFORMATION.InformationBufferLength = sizeof(filter);
	assert_int_equal(NdisOidRequest(e->binding, &r), NDIS_STATUS_SUCCESS);
}

/* With a packet filter the protocol has the frame, with what is needed to understand it. */
static void test_indicated_through_ndis(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f;
	const NET_BUFFER_LIST *nbl;

	(void)state;
	set_filter(e, 1);
	f = ddi_segment(e, 1, 1, NIC_SIM_ACK, "abcdefgh", 8);
	f->meta.gso_type = NIC_GSO_TCP4;
	f->meta.gso_size = 4;
	f->meta.vlan_present = true;
	f->meta.vlan_tci = 0x2005;
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_PLAIN_RECEIVE), 1);
	assert_int_equal(ddi_nth(e, CALL_PLAIN_RECEIVE, 0)->bytes, 62);
	assert_int_equal(e->nic.indicated_count, 0);
	nbl = ddi_nth(e, CALL_PLAIN_RECEIVE, 0)->nbl;
	assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo), 4);
	assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo), 0x51);
	assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo), 8);
	f = ddi_segment(e, 1, 1, NIC_SIM_ACK, "abcdefgh", 8);
	f->meta.csum_trusted =
		false; /* nobody looked: neither right nor wrong, nor what was before */
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_PLAIN_RECEIVE), 2);
	nbl = ddi_nth(e, CALL_PLAIN_RECEIVE, 1)->nbl;
	assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo), 0);
	assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo), 0);
	assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo), 0);
	set_filter(e, 0);
	ddi_segment(e, 1, 1, NIC_SIM_ACK, "abcdefgh", 8);
	ddi_run(e);
	REQ("STA-42", e->nic.indicated_count == 1);
	ddi_free(e);
}

/* ---- super-frames ---- */

static void test_super_frame(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f;
	uint8_t data[1400];

	(void)state;
	ddi_offload(e);
	ddi_fill(data, 0, sizeof(data));
	f = ddi_segment(e, DDI_RCV_NXT, DDI_SND_UNA, NIC_SIM_ACK, data, sizeof(data));
	f->meta.gso_type = NIC_GSO_TCP4;
	f->meta.gso_size = 500;
	ddi_run(e);
	assert_int_equal(e->received_bytes, 1400);
	assert_int_equal(e->a->counters[TGT_V4].in_segments, 3);
	assert_int_equal(e->a->counters[TGT_V4].in_octets, 1400 + 3 * 40);
	ddi_upload(e);
	ddi_free(e);
}

/* ---- the parser alone, on every truncation and every single-bit change ---- */

static void test_parser_bounds(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	struct ddi_frame *f = plain(e);
	struct tgt_parsed p;

	(void)state;
	f->meta.csum_trusted = false;
	for (uint32_t len = 0; len <= f->len; len++) {
		uint8_t *exact = malloc(len ? len : 1); /* the sanitizer sees a read beyond it */
		struct nic_rx_frame frame = f->meta;
		enum tgt_frame_kind kind;

		memcpy(exact, f->data, len);
		frame.data = exact;
		frame.len = len;
		kind = tgt_frame_parse(&frame, &p);
		assert_int_equal(kind == TGT_FRAME_SEGMENT, len == f->len);
		free(exact);
	}
	for (uint32_t bit = 14 * 8; bit < f->len * 8; bit++) {
		uint8_t *exact = malloc(f->len);
		struct nic_rx_frame frame = f->meta;

		memcpy(exact, f->data, f->len);
		exact[bit / 8] ^= (uint8_t)(1u << bit % 8);
		frame.data = exact;
		frame.len = f->len;
		assert_int_not_equal(tgt_frame_parse(&frame, &p),
				     TGT_FRAME_SEGMENT); /* some checksum sees it */
		frame.csum_trusted = true;
		(void)tgt_frame_parse(&frame, &p);
		free(exact);
	}
	e->nic.queued_count = 0;
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ip_ids),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_partial_checksum),
		cmocka_unit_test(test_configured_mac),
		cmocka_unit_test(test_vlan_send),
		cmocka_unit_test(test_no_priority),
		cmocka_unit_test(test_vlan_receive),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_ipv6_extension),
		cmocka_unit_test(test_indicated_through_ndis),
		cmocka_unit_test(test_super_frame),
		cmocka_unit_test(test_parser_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
