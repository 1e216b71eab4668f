/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminate offload. Per connection, in this order: the engine stops (a pending ACK leaves, timers
 * end with their remaining times noted), received data that no request took becomes BufferedData,
 * requests that hold data or wait are completed, the send requests not acknowledged become the
 * chain of the block, the state is written. Only when the completion has returned are slots and
 * memory given back, connections before paths before neighbors.
 *
 * The cases that almost go wrong: a neighbor or path named in the tree while others still depend on
 * it (it stays and fails); frames that arrive between stop and the host's own restore (they go up
 * the non-offload path, or stay caught when the host announced the flow); lists of BufferedData
 * that outlive the connection (they hold their chunks themselves).
 */
#include "target/tgt_upload.h"

#include "target/tgt_deliver.h"
#include "target/tgt_indicate.h"
#include "target/tgt_objects.h"
#include "target/tgt_ops.h"
#include "target/tgt_receive.h"
#include "target/tgt_send.h"
#include "target/tgt_state.h"

_Static_assert((int)TGT_UPLOAD_URGENT == (int)ReceivedUrgentData,
	       "reasons of the engine are those of the interface");
_Static_assert((int)TGT_UPLOAD_TIMEOUT == (int)TimeoutExpiration,
	       "reasons of the engine are those of the interface");
_Static_assert((int)TGT_UPLOAD_INVALID == (int)InvalidState,
	       "reasons of the engine are those of the interface");
_Static_assert((int)TGT_UPLOAD_REQUESTED == (int)UploadRequested,
	       "reasons of the engine are those of the interface");

/* ---- asking ---- */

static bool is_mandatory(TCP_UPLOAD_REASON reason)
{
	return reason == HardwareFailure || reason == InvalidState ||
	       reason == ReceivedUrgentData || reason == TimeoutExpiration ||
	       reason == UploadRequested;
}

static bool is_half_closed(const struct tgt_conn *conn)
{
	return conn->state == TGT_FIN_WAIT_1 || conn->state == TGT_FIN_WAIT_2 ||
	       conn->state == TGT_CLOSE_WAIT;
}

static void stop(struct tgt_conn_io *io)
{
	io->stopped = true;
	tgt_io_conn(io)->flags |= TGT_CF_SUSPENDED;
}

void tgt_upload_ask(struct tgt_adapter *a, struct tgt_conn_io *io, TCP_UPLOAD_REASON reason,
		    bool forced)
{
	struct tgt_conn *conn = tgt_io_conn(io);

	if (io->stopped)
		return; /* asked already, and nothing has happened since */
	if (is_half_closed(conn) && !forced && (!is_mandatory(reason) || reason == UploadRequested))
		return;
	io->upload_reason = reason;
	io->upload_offered = true;
	if (is_mandatory(reason) && conn->state != TGT_TIME_WAIT)
		stop(io);
	tgt_work_add(a, io, TGT_WORK_EVENT_RETRIEVE | TGT_WORK_RECEIVE);
}

void tgt_request_upload(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason)
{
	tgt_upload_ask(a, tgt_io(a, conn), (TCP_UPLOAD_REASON)reason, false);
}

void tgt_upload_for_resources(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	tgt_upload_ask(a, io, UploadRequested, true);
}

void tgt_upload_corrupt(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	stop(io);
	io->upload_reason = HardwareFailure;
	tgt_work_add(a, io, TGT_WORK_EVENT_RETRIEVE | TGT_WORK_EVENT_ABORT);
}

/*
 * An acceptable RST: everything outstanding ends, the state stays until the host terminates
 * (DIS-22, DIS-27).
 */
void tgt_indicate_abort(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_conn_io *io = tgt_io(a, conn);

	io->aborted = true;
	tgt_work_add(a, io, TGT_WORK_EVENT_ABORT | TGT_WORK_SEND | TGT_WORK_RECEIVE);
}

static void end_aborted(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	tgt_send_abort(a, io);
	tgt_send_flush(a);
	if (io->deliver.posts.head)
		tgt_deliver_end_posts(a, io, NDIS_STATUS_REQUEST_ABORTED);
	tgt_send_end_disconnect(a, io, NDIS_STATUS_REQUEST_ABORTED);
}

static void raise_event(struct tgt_adapter *a, const struct tgt_conn_io *io,
			TCP_OFFLOAD_EVENT_TYPE event, ULONG info)
{
	a->ddi->up.NdisTcpOffloadEventHandler(io->object.ndis_handle, event, info);
}

void tgt_upload_events(struct tgt_adapter *a, struct tgt_conn_io *io, uint32_t work)
{
	if (work & TGT_WORK_EVENT_DISCONNECT)
		raise_event(a, io, TcpIndicateDisconnect, 0);
	if (work & TGT_WORK_EVENT_BACKLOG)
		raise_event(a, io, TcpIndicateSendBacklogChange, io->backlog_bytes);
	if (work & TGT_WORK_EVENT_RETRIEVE)
		raise_event(a, io, TcpIndicateRetrieve, io->upload_reason);
	if (work & TGT_WORK_EVENT_ABORT) {
		if (io->aborted)
			end_aborted(a, io);
		raise_event(a, io, TcpIndicateAbort, 0);
	}
}

/* ---- terminate ---- */

static struct tgt_object *object_of_block(const struct tgt_adapter *a, const tgt_block *block)
{
	return tgt_block_role(block) == TGT_BLOCK_REFERENCE
		       ? tgt_object_of(a, *block->MiniportOffloadContext)
		       : NULL;
}

static void mark(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	struct tgt_object *object = object_of_block(a, block), *parent;

	(void)ctx;
	if (!object || object->terminating)
		return;
	object->terminating = true;
	parent = tgt_object_parent(a, object);
	if (parent)
		parent->leaving++;
}

static void unmark(struct tgt_adapter *a, struct tgt_object *object)
{
	struct tgt_object *parent = tgt_object_parent(a, object);

	object->terminating = false;
	if (parent)
		parent->leaving--;
}

static NDIS_STATUS end_status(const struct tgt_conn_io *io)
{
	return io->aborted || io->corrupt_told ? NDIS_STATUS_REQUEST_ABORTED
					       : NDIS_STATUS_UPLOAD_IN_PROGRESS;
}

/*
 * Requests that do not travel with the state. The connection is stopped: what is posted from inside
 * a completion is refused in the next turn of the loop (a host that keeps posting after it asked
 * for the state gets a few turns).
 */
static void end_requests(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	if (end_status(io) == NDIS_STATUS_REQUEST_ABORTED)
		tgt_send_abort(a, io);
	tgt_receive_end_forwards(a, io, end_status(io));
	tgt_deliver_end_posts(a, io, end_status(io));
	for (unsigned int i = 0; i < 4 && (io->refused_sends.head || io->refused_posts.head); i++) {
		tgt_send_work(a, io);
		tgt_deliver_work(a, io);
		tgt_send_flush(a);
	}
	tgt_send_flush(a);
	tgt_send_end_disconnect(a, io, end_status(io));
}

static void write_state(struct tgt_adapter *a, struct tgt_conn_io *io, tgt_block *block,
			NET_BUFFER_LIST *buffered)
{
	struct tgt_nbl_chain sends = tgt_send_take_back(io);
	struct tgt_block_states states;
	TCP_OFFLOAD_STATE_DELEGATED *to;

	block->NetBufferListChain = sends.first;
	if (!tgt_block_states(block, &states) || !states.delegated)
		return;
	to = states.delegated;
	tgt_delegated_to_ddi(a, tgt_io_conn(io), to);
	to->SendDataHead = sends.first;
	to->SendDataTail = sends.first ? sends.last : NULL;
	to->BufferedData = buffered;
}

static void indicate_caught(void *ctx, const struct nic_rx_frame *frame)
{
	tgt_indicate_frame(ctx, frame);
}

/*
 * What was caught for a stopped connection goes up now, unless the host asked to keep it (NSP-12,
 * TRM-19).
 */
static void leave_table(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_flow *flow = tgt_flow_find(a->flows, &io->tuple);

	if (flow && !flow->expected)
		tgt_flow_release(a, flow, indicate_caught, a);
	tgt_flow_detach(a, &io->tuple);
}

/*
 * Without a delegated structure there is no place for received data: the block cannot be terminated
 * by this tree.
 */
static bool has_place_for(const struct tgt_conn_io *io, tgt_block *block)
{
	struct tgt_block_states states;

	return !tgt_io_conn(io)->rcvq.bytes ||
	       (tgt_block_states(block, &states) && states.delegated);
}

static void terminate_conn(struct tgt_adapter *a, struct tgt_conn_io *io, tgt_block *block)
{
	NET_BUFFER_LIST *buffered = NULL;

	stop(io);
	tgt_conn_stop(a, tgt_io_conn(io));
	end_requests(a, io);
	if (!has_place_for(io, block) || tgt_deliver_take_back(a, io, &buffered)) {
		tgt_rx_lists_return(a, buffered);
		block->Status = NDIS_STATUS_FAILURE;
		unmark(a, &io->object);
		return;
	}
	write_state(a, io, block, buffered);
	leave_table(a, io);
	io->work = 0;
	block->Status = NDIS_STATUS_SUCCESS;
}

static void write_neighbor_or_path(struct tgt_adapter *a, const struct tgt_object *object,
				   tgt_block *block)
{
	struct tgt_block_states states;

	if (object->kind == TGT_OBJECT_NEIGHBOR && tgt_block_states(block, &states) &&
	    states.delegated)
		tgt_neighbor_delegated_to_ddi(a, object->state, states.delegated);
}

struct leaving {
	uint32_t head[TGT_OBJECT_CONN + 1]; /* slot + 1, linked through next_free */
};

static void collect(struct leaving *l, struct tgt_object *object)
{
	object->next_free = l->head[object->kind];
	l->head[object->kind] = object->slot + 1;
}

static void terminate_block(struct tgt_adapter *a, tgt_block *block, void *ctx)
{
	struct tgt_object *object = object_of_block(a, block);
	(void)ctx;

	if (tgt_block_role(block) == TGT_BLOCK_PLACEHOLDER) {
		block->Status = NDIS_STATUS_SUCCESS;
		return;
	}
	block->Status = NDIS_STATUS_FAILURE;
	if (!object || !object->terminating || object->kind != TGT_OBJECT_CONN)
		return; /* the rest is judged when the connections are done */
	if (tgt_corrupt_check(object, block))
		unmark(a, object);
	else
		terminate_conn(a, (struct tgt_conn_io *)object, block);
}

/* Depth first again, now bottom up: a path that cannot leave keeps its neighbor. */
static void judge_row(struct tgt_adapter *a, tgt_block *row, struct leaving *l)
{
	for (tgt_block *block = row; block; block = block->NextBlock) {
		struct tgt_object *object = object_of_block(a, block);

		judge_row(a, block->DependentBlockList, l);
		if (!object || !object->terminating)
			continue;
		if (object->leaving < object->dependents) {
			unmark(a, object);
			continue;
		}
		write_neighbor_or_path(a, object, block);
		block->Status = NDIS_STATUS_SUCCESS;
		collect(l, object);
	}
}

static void release_kind(struct tgt_adapter *a, const struct leaving *l, enum tgt_object_kind kind)
{
	uint32_t next = l->head[kind];

	while (next) {
		struct tgt_object *object = kind == TGT_OBJECT_CONN ? &a->io[next - 1].object
					    : kind == TGT_OBJECT_PATH
						    ? &a->ddi->paths.objects[next - 1]
						    : &a->ddi->neighbors.objects[next - 1];

		next = object->next_free;
		object->terminating = false;
		tgt_store_release(a, object);
	}
}

void tgt_op_terminate(struct tgt_adapter *a, tgt_block *root)
{
	struct leaving l = { 0 };

	tgt_tree_walk(a, root, mark, NULL);
	tgt_tree_walk(a, root, terminate_block, NULL);
	judge_row(a, root, &l);
	NdisMTerminateOffloadComplete(a->ddi->miniport, root);
	release_kind(a, &l, TGT_OBJECT_CONN);
	release_kind(a, &l, TGT_OBJECT_PATH);
	release_kind(a, &l, TGT_OBJECT_NEIGHBOR);
	tgt_corrupt_events(a);
	tgt_power_check(a);
}

void tgt_upload_abandon(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	stop(io);
	io->aborted = true;
	tgt_conn_stop(a, tgt_io_conn(io));
	end_requests(a, io);
	tgt_flow_detach(a, &io->tuple);
	tgt_store_release(a, &io->object);
}
