/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to a frame, by the first line that applies:
 *
 *     not a plain TCP segment (ARP, ICMP, fragment, options, ...)   host
 *     4-tuple neither offloaded nor announced                       host
 *     announced, not offloaded                                      caught
 *     offloaded, wrong VLAN                                         dropped
 *     offloaded, not addressed to the neighbor's local MAC          host
 *     offloaded, waiting for its upload                             caught
 *     offloaded, RST about to leave                                 dropped
 *     offloaded                                                     engine, then host or caught
 *
 * A corrupt frame is the host's, who counts it; with drop_corrupt it is dropped and counted here
 * while an object of its layer is offloaded (STT-22..26).
 */
#include "target/tgt_receive.h"

#include <string.h>

#include "target/tgt_frame.h"
#include "target/tgt_indicate.h"

static struct tgt_counters *counters_of(struct tgt_adapter *a, bool v6)
{
	return &a->counters[v6 ? TGT_V6 : TGT_V4];
}

static bool counts_here(const struct tgt_adapter *a, const struct tgt_object_table *table)
{
	return a->ddi->drop_corrupt && (a->ddi->used_v4 || a->ddi->used_v6) && table->used;
}

static void receive_corrupt(struct tgt_adapter *a, const struct nic_rx_frame *frame,
			    const struct tgt_parsed *p, enum tgt_frame_kind kind)
{
	struct tgt_counters *n = counters_of(a, p->v6);

	if (kind == TGT_FRAME_CORRUPT_IP && counts_here(a, &a->ddi->neighbors)) {
		n->in_header_errors++;
		tgt_drop(a, TGT_DROP_FRAME_SHORT);
	} else if (kind == TGT_FRAME_CORRUPT_TCP && counts_here(a, &a->ddi->paths)) {
		n->in_errors++;
		tgt_drop(a, TGT_DROP_TCP_CHECKSUM);
	} else {
		tgt_indicate_frame(a, frame);
	}
}

static void count_received(struct tgt_adapter *a, const struct tgt_parsed *p)
{
	struct tgt_counters *n = counters_of(a, p->v6);

	n->in_receives += p->datagrams;
	n->in_octets += p->datagram_bytes + (uint64_t)(p->datagrams - 1) * p->header_bytes;
	n->in_segments += p->datagrams;
}

/* VLN-14, VLN-15: a neighbor without VLAN takes any tag. */
static bool vlan_fits(const struct tgt_neighbor *n, const struct tgt_parsed *p)
{
	return !n->vlan_id || (p->tagged && (p->vlan_tci & 0xfff) == n->vlan_id);
}

/* STA-13: group addresses are accepted as well. */
static bool mac_fits(const struct tgt_neighbor *n, const struct tgt_parsed *p)
{
	return p->dst_mac[0] & 1 || !memcmp(p->dst_mac, n->source_mac, 6);
}

/* Full: counted, and the peer sends it again. */
static void catch_frame(struct tgt_adapter *a, struct tgt_flow *flow,
			const struct nic_rx_frame *frame)
{
	if (tgt_flow_catch(a, flow, frame))
		counters_of(a, flow->tuple.v6)->in_discards++;
}

/* Received, sound, and dropped because there was no memory for it (STT-14). */
static uint64_t discards(const struct tgt_adapter *a)
{
	return a->drops[TGT_DROP_NO_CHUNK] + a->drops[TGT_DROP_REASM_FULL];
}

static void receive_offloaded(struct tgt_adapter *a, struct tgt_flow *flow,
			      const struct nic_rx_frame *frame, const struct tgt_parsed *p)
{
	struct tgt_conn_io *io = &a->io[flow->slot];
	struct tgt_conn *conn = tgt_io_conn(io);
	const struct tgt_neighbor *n = tgt_neighbor_of(a, tgt_path_of(a, conn));
	struct tgt_counters *counters = counters_of(a, p->v6);
	uint64_t discarded = discards(a);
	enum tgt_verdict verdict;

	if (!vlan_fits(n, p)) {
		tgt_drop(a, TGT_DROP_VLAN);
		return;
	}
	if (!mac_fits(n, p)) {
		tgt_indicate_frame(a, frame);
		return;
	}
	if (io->stopped) {
		catch_frame(a, flow, frame);
		return;
	}
	if (io->send.abort) {
		tgt_drop(a, TGT_DROP_AFTER_ABORT);
		return;
	}
	count_received(a, p);
	io->counts.segments_in += p->datagrams;
	io->counts.data_segments_in += p->seg.len ? p->datagrams : 0;
	verdict = tgt_input(a, conn, &p->seg, a->now_us);
	counters->in_discards += (uint32_t)(discards(a) - discarded);
	if (verdict == TGT_SEG_DONE)
		counters->in_delivers += p->datagrams;
	else if (verdict == TGT_SEG_TO_HOST && io->stopped)
		catch_frame(a, flow, frame);
	else if (verdict == TGT_SEG_TO_HOST)
		tgt_indicate_frame(a, frame);
}

static void receive_truncated(struct tgt_adapter *a, struct tgt_flow *flow,
			      const struct nic_rx_frame *frame, const struct tgt_parsed *p)
{
	struct tgt_counters *n = counters_of(a, p->v6);

	if (!flow || flow->slot == TGT_FLOW_NO_CONN) {
		tgt_indicate_frame(a, frame);
		return;
	}
	n->in_receives++;
	n->in_octets += p->datagram_bytes;
	n->in_truncated_packets++;
	tgt_drop(a, TGT_DROP_IP_TRUNCATED);
}

void tgt_receive(void *ctx, const struct nic_rx_frame *frame)
{
	struct tgt_adapter *a = ctx;
	struct tgt_parsed p;
	enum tgt_frame_kind kind = tgt_frame_parse(frame, &p);
	struct tgt_flow *flow = p.has_tuple ? tgt_flow_find(a->flows, &p.tuple) : NULL;

	if (kind == TGT_FRAME_CORRUPT_IP || kind == TGT_FRAME_CORRUPT_TCP)
		receive_corrupt(a, frame, &p, kind);
	else if (kind == TGT_FRAME_TRUNCATED)
		receive_truncated(a, flow, frame, &p);
	else if (kind != TGT_FRAME_SEGMENT || !flow)
		tgt_indicate_frame(a, frame);
	else if (flow->slot == TGT_FLOW_NO_CONN)
		(void)tgt_flow_catch(a, flow, frame);
	else
		receive_offloaded(a, flow, frame, &p);
}

/* ---- forwarded segments ---- */

void tgt_receive_forward(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *nbl;

	while ((nbl = tgt_nbl_chain_pop(&chain)))
		tgt_nblq_push(&io->forwards, nbl);
	tgt_work_add(a, io, TGT_WORK_FORWARD);
}

/* One segment in one piece: where it lies, or gathered. */
static const uint8_t *segment_bytes(struct tgt_adapter *a, const NET_BUFFER *nb)
{
	struct tgt_nb_cursor from = tgt_nb_at(nb, 0);
	uint32_t n, done = 0;
	uint8_t *data = NULL;

	if (nb->DataLength > TGT_FORWARD_MAX_BYTES)
		return NULL;
	if (tgt_nb_run(&from, &data) == nb->DataLength)
		return data;
	while ((n = tgt_nb_run(&from, &data))) {
		memcpy(a->ddi->gather + done, data, n);
		done += n;
		tgt_nb_skip(&from, n);
	}
	return done == nb->DataLength ? a->ddi->gather : NULL;
}

static NDIS_STATUS process_forward(struct tgt_adapter *a, struct tgt_conn_io *io,
				   const NET_BUFFER_LIST *nbl)
{
	const NET_BUFFER *nb = nbl->FirstNetBuffer;
	struct tgt_segment seg = { .forwarded = true };
	const uint8_t *bytes;

	if (io->aborted)
		return NDIS_STATUS_REQUEST_ABORTED;
	if (io->stopped)
		return NDIS_STATUS_UPLOAD_IN_PROGRESS;
	bytes = nb ? segment_bytes(a, nb) : NULL;
	if (!bytes || !tgt_frame_parse_tcp(bytes, nb->DataLength, &seg)) {
		tgt_drop(a, TGT_DROP_FRAME_SHORT);
		return NDIS_STATUS_SUCCESS;
	}
	tgt_conn_counters(a, tgt_io_conn(io))->in_segments++;
	if (tgt_input(a, tgt_io_conn(io), &seg, a->now_us) == TGT_SEG_TO_HOST && io->stopped)
		return NDIS_STATUS_UPLOAD_IN_PROGRESS;
	return NDIS_STATUS_SUCCESS;
}

static void complete_chain(struct tgt_adapter *a, struct tgt_nbl_chain *chain)
{
	if (chain->first)
		a->ddi->up.NdisTcpOffloadForwardComplete(a->ddi->miniport, chain->first);
}

void tgt_receive_forwards(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_nbl_chain done = { 0 };
	NET_BUFFER_LIST *nbl;

	while ((nbl = tgt_nblq_pop(&io->forwards))) {
		NET_BUFFER_LIST_STATUS(nbl) = process_forward(a, io, nbl);
		tgt_nbl_chain_add(&done, nbl);
	}
	complete_chain(a, &done);
}

void tgt_receive_end_forwards(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status)
{
	struct tgt_nbl_chain done = { 0 };
	NET_BUFFER_LIST *nbl;

	while ((nbl = tgt_nblq_pop(&io->forwards))) {
		NET_BUFFER_LIST_STATUS(nbl) = status;
		tgt_nbl_chain_add(&done, nbl);
	}
	complete_chain(a, &done);
}
