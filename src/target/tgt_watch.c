/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be seen of the target from outside, and the hooks of tests. */
#include <errno.h>

#include "target/tgt_deliver.h"
#include "target/tgt_driver.h"
#include "target/tgt_objects.h"
#include "target/tgt_send.h"
#include "target/tgt_timer.h"
#include "target/tgt_upload.h"

static const char *const drop_names[] = {
#define TGT_DROP_REASON(name, severity, text) #name,
#include "target/drop_reasons.def"
#undef TGT_DROP_REASON
};

static const char *const drop_texts[] = {
#define TGT_DROP_REASON(name, severity, text) text,
#include "target/drop_reasons.def"
#undef TGT_DROP_REASON
};

_Static_assert(sizeof(drop_names) / sizeof(*drop_names) == TGT_DROP_REASONS,
	       "a name for every reason");
_Static_assert(sizeof(drop_texts) / sizeof(*drop_texts) == TGT_DROP_REASONS,
	       "a text for every reason");

const char *tgt_drop_name(unsigned int reason)
{
	return reason < TGT_DROP_REASONS ? drop_names[reason] : "?";
}

const char *tgt_drop_text(unsigned int reason)
{
	return reason < TGT_DROP_REASONS ? drop_texts[reason] : "?";
}

void tgt_adapter_usage(const struct tgt_adapter *a, struct tgt_adapter_usage *usage)
{
	*usage = (struct tgt_adapter_usage){
		.connections = a->ddi->conns.used,
		.paths = a->ddi->paths.used,
		.neighbors = a->ddi->neighbors.used,
		.chunks_used = arena_used(a->arena, a->pool_chunk),
		.chunks = arena_count(a->arena, a->pool_chunk),
		.indicated_nbls = a->ddi->rx_out,
		.caught_frames = tgt_flow_caught(a->flows),
	};
}

/* The connection of a wheel entry. */
struct tgt_conn *tgt_conn_of_slot(struct tgt_adapter *a, uint32_t slot)
{
	struct tgt_conn_io *io = &a->io[slot];

	return io->object.kind == TGT_OBJECT_CONN ? tgt_io_conn(io) : NULL;
}

static struct tgt_conn_io *find_conn(struct tgt_adapter *a, const struct tgt_tuple *tuple)
{
	const struct tgt_flow *flow = tgt_flow_find(a->flows, tuple);

	return flow && flow->slot != TGT_FLOW_NO_CONN ? &a->io[flow->slot] : NULL;
}

int tgt_conn_look(struct tgt_adapter *a, const struct tgt_tuple *tuple, struct tgt_conn_look *out)
{
	const struct tgt_conn_io *io = find_conn(a, tuple);
	const struct tgt_conn_counts *n = io ? &io->counts : NULL;
	const struct tgt_conn *conn = io ? tgt_io_conn(io) : NULL;

	if (!io)
		return -ENOENT;
	*out = (struct tgt_conn_look){ .segments_in = n->segments_in,
				       .segments_out = n->segments_out,
				       .data_segments_in = n->data_segments_in,
				       .data_segments_out = n->data_segments_out,
				       .retransmitted_segments = n->retransmitted_segments,
				       .retransmitted_bytes = n->retransmitted_bytes,
				       .sacked_bytes = conn->sent.sacked_bytes,
				       .lost_bytes = conn->sent.lost_bytes,
				       .min_rtt_us = conn->rack.min_rtt_us,
				       .rto_us = tgt_timer_rexmt_interval(conn),
				       .sent_us = conn->last_send_us,
				       .received_us = conn->last_receive_us,
				       .recovering = conn->phase == TGT_REC_FAST,
				       .timed_out = conn->phase == TGT_REC_LOSS };
	return 0;
}

int tgt_hook_corrupt(struct tgt_adapter *a, const struct tgt_tuple *tuple)
{
	struct tgt_conn_io *io = find_conn(a, tuple);

	if (!io)
		return -ENOENT;
	io->corrupt = true;
	return 0;
}

/* NSP-13, NSP-15: handed-over data cannot be marked urgent, so a test says it here. */
int tgt_hook_urgent(struct tgt_adapter *a, const struct tgt_tuple *tuple)
{
	struct tgt_conn_io *io = find_conn(a, tuple);

	if (!io)
		return -ENOENT;
	tgt_upload_ask(a, io, ReceivedUrgentData, true);
	return 0;
}

/* Dependents counted afresh. */
static const char *check_parents(const struct tgt_adapter *a)
{
	uint64_t by_paths = 0, by_neighbors = 0;

	for (uint32_t i = 0; i < a->ddi->paths.count; i++)
		if (a->ddi->paths.objects[i].kind == TGT_OBJECT_PATH)
			by_paths += a->ddi->paths.objects[i].dependents;
	for (uint32_t i = 0; i < a->ddi->neighbors.count; i++)
		if (a->ddi->neighbors.objects[i].kind == TGT_OBJECT_NEIGHBOR)
			by_neighbors += a->ddi->neighbors.objects[i].dependents;
	if (by_paths != a->ddi->conns.used)
		return "paths count other connections than there are";
	if (by_neighbors != a->ddi->paths.used)
		return "neighbors count other paths than there are";
	return NULL;
}

const char *tgt_hook_check(const struct tgt_adapter *a)
{
	const char *wrong = check_parents(a);

	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io && !wrong;
	     io = tgt_conn_next(a, io)) {
		wrong = tgt_conn_check(a, tgt_io_conn(io));
		if (!wrong)
			wrong = tgt_deliver_check(a, io);
		if (!wrong)
			wrong = tgt_send_check(a, io);
	}
	return wrong;
}
