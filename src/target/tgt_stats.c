/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_stats.h"

#include "target/tgt_objects.h"

uint32_t tgt_stats_established(const struct tgt_adapter *a, enum tgt_family family)
{
	uint32_t count = 0;

	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io; io = tgt_conn_next(a, io)) {
		const struct tgt_conn *conn = tgt_io_conn(io);
		bool v6 = conn->flags & TGT_CF_IPV6;

		if (v6 == (family == TGT_V6) &&
		    (conn->state == TGT_ESTABLISHED || conn->state == TGT_CLOSE_WAIT))
			count++;
	}
	return count;
}

void tgt_stats_tcp(const struct tgt_adapter *a, enum tgt_family family, TCP_OFFLOAD_STATS *to)
{
	const struct tgt_counters *n = &a->counters[family];

	*to = (TCP_OFFLOAD_STATS){
		.InSegments = n->in_segments,
		.OutSegments = n->out_segments,
		.CurrentlyEstablished = tgt_stats_established(a, family),
		.ResetEstablished = n->reset_established,
		.RetransmittedSegments = n->retransmitted_segments,
		.InErrors = n->in_errors,
		.OutResets = n->out_resets,
	};
}

void tgt_stats_ip(const struct tgt_adapter *a, enum tgt_family family, IP_OFFLOAD_STATS *to)
{
	const struct tgt_counters *n = &a->counters[family];

	*to = (IP_OFFLOAD_STATS){
		.InReceives = n->in_receives,
		.InOctets = n->in_octets,
		.InDelivers = n->in_delivers,
		.OutRequests = n->out_requests,
		.OutOctets = n->out_octets,
		.InHeaderErrors = n->in_header_errors,
		.InTruncatedPackets = n->in_truncated_packets,
		.InDiscards = n->in_discards,
		.OutDiscards = n->out_discards,
		.OutNoRoutes = n->out_no_routes,
	};
}

void tgt_stats_zero_tcp(struct tgt_adapter *a, enum tgt_family family)
{
	struct tgt_counters *n = &a->counters[family];

	n->in_segments = n->out_segments = 0;
	n->reset_established = n->retransmitted_segments = n->in_errors = n->out_resets = 0;
}

void tgt_stats_zero_ip(struct tgt_adapter *a, enum tgt_family family)
{
	struct tgt_counters *n = &a->counters[family];

	n->in_receives = n->in_octets = n->in_delivers = n->out_requests = n->out_octets = 0;
	n->in_header_errors = n->in_truncated_packets = n->in_discards = 0;
	n->out_discards = n->out_no_routes = 0;
}
