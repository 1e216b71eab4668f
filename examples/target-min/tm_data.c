/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tm_data.c - requests of the host, delivery of received data, events.
 *
 * A handler that is called from above queues its lists and sets adapter->work. tm_conn_run() does
 * the rest: complete what the peer has acknowledged, deliver what it sent (the published delivery
 * algorithm), tell events.
 *
 * What a list of ours needs while it is here lies in its MiniportReserved:
 *     [0]  of a request to disconnect: its flags
 *     [1]  send: bytes acknowledged so far; receive: bytes filled so far
 */
#include "tm.h"

#include <stdlib.h>
#include <string.h>

#define IS_DISCONNECT(nbl) ((nbl)->MiniportReserved[0] != NULL)

static uint32_t count_of(const NET_BUFFER_LIST *nbl)
{
	return (uint32_t)(uintptr_t)nbl->MiniportReserved[1];
}

static void set_count(NET_BUFFER_LIST *nbl, uint32_t bytes)
{
	nbl->MiniportReserved[1] = (PVOID)(uintptr_t)bytes;
}

/* ---- lists ----------------------------------------------------------------------------------- */

void tm_chain_add(struct tm_chain *chain, NET_BUFFER_LIST *list)
{
	if (chain->head)
		NET_BUFFER_LIST_NEXT_NBL(chain->tail) = list;
	else
		chain->head = list;
	chain->tail = list;
	NET_BUFFER_LIST_NEXT_NBL(list) = NULL;
}

NET_BUFFER_LIST *tm_chain_take(struct tm_chain *chain)
{
	NET_BUFFER_LIST *list = chain->head;

	if (list) {
		chain->head = NET_BUFFER_LIST_NEXT_NBL(list);
		NET_BUFFER_LIST_NEXT_NBL(list) = NULL;
	}
	return list;
}

static void take_over(struct tm_chain *chain, NET_BUFFER_LIST *lists)
{
	NET_BUFFER_LIST *next;

	for (; lists; lists = next) {
		next = NET_BUFFER_LIST_NEXT_NBL(lists);
		tm_chain_add(chain, lists);
	}
}

uint32_t tm_list_bytes(const NET_BUFFER_LIST *nbl)
{
	const NET_BUFFER *nb;
	uint32_t bytes = 0;

	for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb))
		bytes += NET_BUFFER_DATA_LENGTH(nb);
	return bytes;
}

/*
 * Bytes between a NET_BUFFER, from offset on, and memory, in either direction: to NULL means that
 * from is copied into the NET_BUFFER. Returns: how many there were.
 */
static uint32_t copy(NET_BUFFER *nb, uint32_t offset, uint8_t *to, const uint8_t *from,
		     uint32_t bytes)
{
	MDL *mdl = NET_BUFFER_CURRENT_MDL(nb);
	uint32_t skip = NET_BUFFER_CURRENT_MDL_OFFSET(nb) + offset, done = 0, n;
	uint8_t *at;

	if (offset >= NET_BUFFER_DATA_LENGTH(nb))
		return 0;
	if (bytes > NET_BUFFER_DATA_LENGTH(nb) - offset)
		bytes = NET_BUFFER_DATA_LENGTH(nb) - offset;
	for (; mdl && done < bytes; mdl = NDIS_MDL_LINKAGE(mdl)) {
		if (skip >= MmGetMdlByteCount(mdl)) {
			skip -= MmGetMdlByteCount(mdl);
			continue;
		}
		at = (uint8_t *)MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) + skip;
		n = MmGetMdlByteCount(mdl) - skip;
		n = n < bytes - done ? n : bytes - done;
		memcpy(to ? to + done : at, to ? at : from + done, n);
		done += n;
		skip = 0;
	}
	return done;
}

uint32_t tm_list_read(const NET_BUFFER_LIST *nbl, uint32_t offset, uint8_t *to, uint32_t bytes)
{
	NET_BUFFER *nb;
	uint32_t done = 0;

	for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb && done < bytes; nb = NET_BUFFER_NEXT_NB(nb)) {
		if (offset >= NET_BUFFER_DATA_LENGTH(nb)) {
			offset -= NET_BUFFER_DATA_LENGTH(nb);
			continue;
		}
		done += copy(nb, offset, to + done, NULL, bytes - done);
		offset = 0;
	}
	return done;
}

static void finish_list(NET_BUFFER_LIST *nbl, NDIS_STATUS status)
{
	NET_BUFFER_LIST_INFO(nbl, TcpOffloadBytesTransferred) = nbl->MiniportReserved[1];
	NET_BUFFER_LIST_STATUS(nbl) = status;
}

/* ---- sends ----------------------------------------------------------------------------------- */

static NDIS_STATUS send(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct tm_adapter *a = context;
	struct tm_conn *conn = offload_context;
	NET_BUFFER_LIST *nbl;

	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		nbl->MiniportReserved[0] = NULL;
		set_count(nbl, 0);
		conn->send_bytes += tm_list_bytes(nbl);
	}
	take_over(&conn->sends, chain);
	a->work = true;
	return NDIS_STATUS_PENDING;
}

/* Data of a graceful disconnect goes the way of a send; the FIN follows it. */
static NDIS_STATUS disconnect(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST nbl,
			      ULONG flags)
{
	struct tm_adapter *a = context;
	struct tm_conn *conn = offload_context;

	nbl->MiniportReserved[0] = (PVOID)(uintptr_t)flags;
	set_count(nbl, 0);
	if (flags & TCP_DISCONNECT_ABORTIVE_CLOSE) {
		conn->abort_request = nbl;
	} else {
		conn->disconnect = nbl;
		conn->send_bytes += tm_list_bytes(nbl);
		tm_chain_add(&conn->sends, nbl);
		conn->fin = true;
	}
	a->work = true;
	return NDIS_STATUS_PENDING;
}

/* Move the first buffers of a list past acknowledged bytes. Returns: how many were there. */
static uint32_t advance(NET_BUFFER_LIST *nbl, uint32_t bytes)
{
	uint32_t done = 0, n;
	NET_BUFFER *nb;

	for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
		n = NET_BUFFER_DATA_LENGTH(nb) < bytes - done ? NET_BUFFER_DATA_LENGTH(nb)
							      : bytes - done;
		NdisAdvanceNetBufferDataStart(nb, n, FALSE, NULL);
		done += n;
	}
	set_count(nbl, count_of(nbl) + done);
	return done;
}

void tm_sends_acked(struct tm_conn *conn, uint32_t bytes)
{
	conn->send_bytes -= bytes;
	while (conn->sends.head) {
		NET_BUFFER_LIST *nbl = conn->sends.head;

		bytes -= advance(nbl, bytes);
		/* A disconnect request waits for the acknowledgment of the FIN. */
		if (tm_list_bytes(nbl) || IS_DISCONNECT(nbl))
			break;
		tm_chain_add(&conn->done, tm_chain_take(&conn->sends));
	}
	conn->adapter->work = true;
}

static void flush(struct tm_conn *conn)
{
	struct tm_adapter *a = conn->adapter;
	NET_BUFFER_LIST *chain = conn->done.head, *nbl;

	conn->done.head = NULL;
	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
		finish_list(nbl, NDIS_STATUS_SUCCESS);
	if (chain)
		a->up.NdisTcpOffloadSendComplete(a->miniport, chain);
	nbl = conn->disconnect_done;
	conn->disconnect_done = NULL;
	if (nbl)
		a->up.NdisTcpOffloadDisconnectComplete(a->miniport, nbl);
}

/* The disconnect request leaves the queue, whose last list it is. */
static void unlink_disconnect(struct tm_conn *conn)
{
	struct tm_chain kept = { 0 };
	NET_BUFFER_LIST *nbl;

	while ((nbl = tm_chain_take(&conn->sends)))
		if (nbl != conn->disconnect)
			tm_chain_add(&kept, nbl);
	conn->sends = kept;
}

void tm_disconnect_end(struct tm_conn *conn, NDIS_STATUS status)
{
	NET_BUFFER_LIST *nbl = conn->disconnect;

	if (!nbl)
		return;
	unlink_disconnect(conn);
	conn->disconnect = NULL;
	finish_list(nbl, status);
	conn->disconnect_done = nbl;
	conn->adapter->work = true;
}

static void end_abort_request(struct tm_conn *conn, NDIS_STATUS status)
{
	NET_BUFFER_LIST *nbl = conn->abort_request;

	conn->abort_request = NULL;
	if (!nbl)
		return;
	finish_list(nbl, status);
	conn->adapter->up.NdisTcpOffloadDisconnectComplete(conn->adapter->miniport, nbl);
}

static void sends_end(struct tm_conn *conn, NDIS_STATUS status)
{
	struct tm_chain ended = { 0 };
	NET_BUFFER_LIST *nbl;

	flush(conn);
	while (conn->sends.head && !IS_DISCONNECT(conn->sends.head)) {
		nbl = tm_chain_take(&conn->sends);
		finish_list(nbl, status);
		tm_chain_add(&ended, nbl);
	}
	conn->send_bytes = 0;
	if (ended.head)
		conn->adapter->up.NdisTcpOffloadSendComplete(conn->adapter->miniport, ended.head);
}

/* ---- receive requests ------------------------------------------------------------------------ */

static uint32_t capacity(const NET_BUFFER_LIST *post)
{
	return NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(post));
}

static bool is_push(const NET_BUFFER_LIST *post)
{
	return !(BOOLEAN)(uintptr_t)NET_BUFFER_LIST_INFO(post, TcpReceiveNoPush);
}

static NDIS_STATUS receive(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct tm_adapter *a = context;
	struct tm_conn *conn = offload_context;
	NET_BUFFER_LIST *nbl;

	/* The host may have put bytes into the first request before it posted it. */
	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		uint32_t there =
			(uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpReceiveBytesTransferred);

		nbl->MiniportReserved[0] = NULL;
		set_count(nbl, there < capacity(nbl) ? there : capacity(nbl));
		if (there && is_push(nbl) && !conn->push_at_us)
			conn->push_at_us = a->now_us + tm_ticks_us(a, a->params.TcpPushTicks);
	}
	take_over(&conn->posts, chain);
	a->work = true;
	return NDIS_STATUS_PENDING;
}

static void finish_post(NET_BUFFER_LIST *post, NDIS_STATUS status)
{
	NdisAdvanceNetBufferDataStart(NET_BUFFER_LIST_FIRST_NB(post), count_of(post), FALSE, NULL);
	finish_list(post, status);
}

static void complete_posts(struct tm_conn *conn, struct tm_chain *ended)
{
	struct tm_adapter *a = conn->adapter;

	if (ended->head)
		a->up.NdisTcpOffloadReceiveComplete(a->miniport, ended->head);
}

static void posts_end(struct tm_conn *conn, NDIS_STATUS status)
{
	struct tm_chain ended = { 0 };
	NET_BUFFER_LIST *post;

	while ((post = tm_chain_take(&conn->posts))) {
		finish_post(post, status);
		tm_chain_add(&ended, post);
	}
	conn->push_at_us = 0;
	complete_posts(conn, &ended);
}

/* ---- delivery -------------------------------------------------------------------------------- */

static void drop(struct tm_conn *conn, uint32_t bytes)
{
	conn->rx_bytes -= bytes;
	memmove(conn->rx, conn->rx + bytes, conn->rx_bytes);
	conn->rx_pushed -= bytes < conn->rx_pushed ? bytes : conn->rx_pushed;
}

/* Fill requests in the order in which they were posted. Returns: bytes placed. */
static uint32_t place(struct tm_conn *conn, bool *pushed)
{
	uint32_t total = 0, n;
	NET_BUFFER_LIST *post;

	for (post = conn->posts.head; post && conn->rx_bytes && capacity(post);
	     post = NET_BUFFER_LIST_NEXT_NBL(post)) {
		n = copy(NET_BUFFER_LIST_FIRST_NB(post), count_of(post), NULL, conn->rx,
			 conn->rx_bytes);
		set_count(post, count_of(post) + n);
		*pushed = conn->rx_pushed == n;
		drop(conn, n);
		total += n;
	}
	return total;
}

/* Full, or the last byte in it was pushed. Zero bytes are full at once. */
static bool is_complete(const struct tm_conn *conn, const NET_BUFFER_LIST *post, bool pushed)
{
	if (count_of(post) == capacity(post))
		return true;
	return count_of(post) && is_push(post) && pushed && !conn->rx_bytes;
}

/* Returns: whether a request was completed. */
static bool complete(struct tm_conn *conn, bool pushed)
{
	struct tm_chain ended = { 0 };

	while (conn->posts.head && is_complete(conn, conn->posts.head, pushed)) {
		NET_BUFFER_LIST *post = tm_chain_take(&conn->posts);

		finish_post(post, NDIS_STATUS_SUCCESS);
		tm_chain_add(&ended, post);
	}
	if (!ended.head)
		return false;
	conn->held = false;
	conn->push_at_us = 0;
	complete_posts(conn, &ended);
	return true;
}

static void keep_partial(struct tm_conn *conn, uint32_t placed)
{
	const struct tm_adapter *a = conn->adapter;
	const NET_BUFFER_LIST *post = conn->posts.head;

	if (post && count_of(post) && is_push(post) && (placed || !conn->push_at_us))
		conn->push_at_us = a->now_us + tm_ticks_us(a, a->params.TcpPushTicks);
}

struct indication {
	MDL *mdl;
	uint8_t data[];
};

static void indication_free(struct tm_adapter *a, NET_BUFFER_LIST *nbl)
{
	struct indication *in = nbl->MiniportReserved[0];

	NdisFreeNetBufferList(nbl);
	NdisFreeMdl(in->mdl);
	free(in);
	a->lists_out--;
}

NET_BUFFER_LIST *tm_indication(struct tm_conn *conn, uint32_t bytes)
{
	struct tm_adapter *a = conn->adapter;
	struct indication *in = malloc(sizeof(*in) + bytes);
	NET_BUFFER_LIST *nbl = NULL;

	if (!in)
		return NULL;
	memcpy(in->data, conn->rx, bytes);
	in->mdl = NdisAllocateMdl(a->miniport, in->data, bytes);
	if (in->mdl)
		nbl = NdisAllocateNetBufferAndNetBufferList(a->pool, 0, 0, in->mdl, 0, bytes);
	if (!nbl) {
		if (in->mdl)
			NdisFreeMdl(in->mdl);
		free(in);
		return NULL;
	}
	nbl->MiniportReserved[0] = in;
	a->lists_out++;
	return nbl;
}

/* Returns: false when there is no memory to indicate with; the next event tries again. */
static bool indicate(struct tm_conn *conn)
{
	struct tm_adapter *a = conn->adapter;
	uint32_t bytes = conn->rx_bytes, wish = conn->cached.RcvIndicationSize;
	NET_BUFFER_LIST *nbl;
	ULONG taken = 0;
	NDIS_STATUS status;

	if (wish && wish < bytes)
		bytes = wish;
	nbl = tm_indication(conn, bytes);
	if (!nbl)
		return false;
	status = a->up.NdisTcpOffloadReceiveHandler(conn->handle, nbl, NDIS_STATUS_SUCCESS, &taken);
	if (status == NDIS_STATUS_SUCCESS) {
		drop(conn, bytes);
		return true;
	}
	/* Refused, at least in part: the list is ours again. The rest waits for a request. */
	indication_free(a, nbl);
	if (status == NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED)
		drop(conn, taken < bytes ? taken : bytes);
	conn->held = conn->rx_bytes > 0;
	return true;
}

/* Nothing more will come: the requests end too, then the host hears of the FIN. */
static void tell_fin(struct tm_conn *conn)
{
	if (!conn->fin_received || conn->fin_told || conn->rx_bytes)
		return;
	conn->fin_told = true;
	posts_end(conn, NDIS_STATUS_SUCCESS);
	conn->adapter->up.NdisTcpOffloadEventHandler(conn->handle, TcpIndicateDisconnect, 0);
}

static void deliver(struct tm_conn *conn)
{
	bool pushed = conn->push_due;
	uint32_t placed;

	conn->push_due = false;
	if (conn->fin_told) {
		posts_end(conn, NDIS_STATUS_INVALID_STATE);
		return;
	}
	for (;;) {
		placed = place(conn, &pushed);
		if (complete(conn, pushed))
			continue;
		if (!conn->rx_bytes)
			keep_partial(conn, placed);
		if (!conn->rx_bytes || conn->held || conn->posts.head || !indicate(conn))
			break;
	}
	tell_fin(conn);
	tm_window_open(conn);
}

static NDIS_STATUS receive_return(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct tm_adapter *a = context;
	NET_BUFFER_LIST *next;

	for (; chain; chain = next) {
		next = NET_BUFFER_LIST_NEXT_NBL(chain);
		indication_free(a, chain);
	}
	if (a->pausing && !a->lists_out) {
		a->pausing = false;
		NdisMPauseComplete(a->miniport);
	}
	return NDIS_STATUS_SUCCESS;
}

/* ---- segments from the host ------------------------------------------------------------------ */

static NDIS_STATUS forward(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct tm_adapter *a = context;
	struct tm_conn *conn = offload_context;

	take_over(&conn->forwards, chain);
	a->work = true;
	return NDIS_STATUS_PENDING;
}

static void run_forwards(struct tm_conn *conn, NDIS_STATUS refusal)
{
	struct tm_adapter *a = conn->adapter;
	struct tm_chain ended = { 0 };
	NET_BUFFER_LIST *nbl;
	uint32_t bytes;

	while ((nbl = tm_chain_take(&conn->forwards))) {
		NET_BUFFER_LIST_STATUS(nbl) = refusal;
		if (refusal == NDIS_STATUS_SUCCESS) {
			bytes = tm_list_read(nbl, 0, a->frame, sizeof(a->frame));
			tm_segment(conn, a->frame, bytes);
		}
		tm_chain_add(&ended, nbl);
	}
	if (ended.head)
		a->up.NdisTcpOffloadForwardComplete(a->miniport, ended.head);
}

/* ---- a connection's turn --------------------------------------------------------------------- */

void tm_ask_back(struct tm_conn *conn, TCP_UPLOAD_REASON reason)
{
	if (conn->stopped)
		return;
	conn->stopped = true;
	conn->event_reason = reason;
	conn->adapter->work = true;
}

/* All requests end; the disconnects last. */
static void end_aborted(struct tm_conn *conn, NDIS_STATUS abort_status)
{
	run_forwards(conn, NDIS_STATUS_REQUEST_ABORTED);
	sends_end(conn, NDIS_STATUS_REQUEST_ABORTED);
	posts_end(conn, NDIS_STATUS_REQUEST_ABORTED);
	tm_disconnect_end(conn, NDIS_STATUS_REQUEST_ABORTED);
	flush(conn);
	end_abort_request(conn, abort_status);
}

static void abort_now(struct tm_conn *conn)
{
	tm_send_reset(conn);
	conn->aborted = true;
	conn->d.State = TcpConnectionClosed;
	end_aborted(conn, NDIS_STATUS_SUCCESS);
}

void tm_requests_end(struct tm_conn *conn)
{
	if (conn->aborted) {
		end_aborted(conn, NDIS_STATUS_REQUEST_ABORTED);
		return;
	}
	flush(conn);
	run_forwards(conn, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	posts_end(conn, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	tm_disconnect_end(conn, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	flush(conn);
	end_abort_request(conn, NDIS_STATUS_UPLOAD_IN_PROGRESS);
}

static void tell_events(struct tm_conn *conn)
{
	const struct tm_adapter *a = conn->adapter;
	ULONG reason = conn->event_reason;

	conn->event_reason = 0;
	if (reason)
		a->up.NdisTcpOffloadEventHandler(conn->handle, TcpIndicateRetrieve, reason);
	if (conn->abort_event) {
		conn->abort_event = false;
		a->up.NdisTcpOffloadEventHandler(conn->handle, TcpIndicateAbort, 0);
	}
}

/*
 * After the order to give the connection back, what is in the queues stays there for the terminate;
 * receive and forward requests need not wait for it.
 */
static void run_stopped(struct tm_conn *conn)
{
	flush(conn);
	run_forwards(conn, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	posts_end(conn, NDIS_STATUS_UPLOAD_IN_PROGRESS);
}

void tm_conn_run(struct tm_conn *conn)
{
	if (!conn->live)
		return;
	if (conn->aborted)
		end_aborted(conn, NDIS_STATUS_REQUEST_ABORTED);
	else if (conn->stopped)
		run_stopped(conn);
	else if (conn->abort_request)
		abort_now(conn);
	else
		run_forwards(conn, NDIS_STATUS_SUCCESS);
	if (!conn->aborted && !conn->stopped) {
		flush(conn);
		deliver(conn);
	}
	tell_events(conn);
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tm_tcp_handlers = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(tm_tcp_handlers),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendHandler = send,
	.TcpOffloadReceiveHandler = receive,
	.TcpOffloadDisconnectHandler = disconnect,
	.TcpOffloadForwardHandler = forward,
	.TcpOffloadReceiveReturnHandler = receive_return,
};
