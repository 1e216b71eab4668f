/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_send.h"

#include <errno.h>

#include "target/tgt_upload.h"

#define BACKLOG_MIN_BYTES   65536u
#define BACKLOG_INTERVAL_US 500000u /* at most one backlog event in this time */
#define SMALL_PIECE_BYTES   2048u   /* tried when a large piece does not fit into the pool */

void tgt_send_init(struct tgt_conn_io *io)
{
	io->send = (struct tgt_send_io){ 0 };
}

/* ---- completions ---- */

/* Give a request its result and put it on the chain that leaves with the next flush. */
static void finish(struct tgt_adapter *a, NET_BUFFER_LIST *nbl, uint32_t acked, NDIS_STATUS status)
{
	tgt_nbl_advance(nbl, acked);
	NET_BUFFER_LIST_INFO(nbl, TcpOffloadBytesTransferred) = (PVOID)(uintptr_t)acked;
	NET_BUFFER_LIST_STATUS(nbl) = status;
	tgt_nbl_chain_add(&a->ddi->sends_done, nbl);
}

void tgt_send_flush(struct tgt_adapter *a)
{
	NET_BUFFER_LIST *chain = a->ddi->sends_done.first;

	if (!chain)
		return;
	a->ddi->sends_done = (struct tgt_nbl_chain){ 0 };
	a->ddi->up.NdisTcpOffloadSendComplete(a->ddi->miniport, chain);
}

/*
 * The chain must be flushed first: sends are completed before the disconnect that follows them
 * (DIS-14).
 */
static void finish_disconnect(struct tgt_adapter *a, NET_BUFFER_LIST *nbl, uint32_t acked,
			      NDIS_STATUS status)
{
	tgt_send_flush(a);
	tgt_nbl_advance(nbl, acked);
	NET_BUFFER_LIST_INFO(nbl, TcpOffloadBytesTransferred) = (PVOID)(uintptr_t)acked;
	NET_BUFFER_LIST_STATUS(nbl) = status;
	a->ddi->up.NdisTcpOffloadDisconnectComplete(a->ddi->miniport, nbl);
}

/*
 * Requests at the head whose bytes are all acknowledged. One still being fed is not through, even
 * an empty one.
 */
static void complete_acked(struct tgt_adapter *a, struct tgt_send_io *s)
{
	NET_BUFFER_LIST *nbl;

	while ((nbl = s->queue.head) && nbl != s->disconnect && nbl != s->feed) {
		uint32_t bytes = tgt_nbl_bytes(nbl);

		if (s->head_acked < bytes)
			return;
		s->head_acked -= bytes;
		tgt_nblq_pop(&s->queue);
		finish(a, nbl, bytes, NDIS_STATUS_SUCCESS);
	}
}

/* ---- from the queue into the arena ---- */

static void feed_buffer(struct tgt_send_io *s, NET_BUFFER *nb)
{
	s->feed_nb = nb;
	if (nb)
		s->feed_at = tgt_nb_at(nb, 0);
}

static void feed_begin(struct tgt_send_io *s, NET_BUFFER_LIST *nbl)
{
	s->feed = nbl;
	if (!nbl)
		return;
	s->feed_left = tgt_nbl_bytes(nbl);
	feed_buffer(s, nbl->FirstNetBuffer);
}

/* Copy one contiguous piece. Returns the bytes taken, 0 when there is no room. */
static uint32_t feed_piece(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_send_io *s)
{
	uint32_t room = tgt_sendq_room(a, conn), n;
	uint8_t *data;

	n = tgt_nb_run(&s->feed_at, &data);
	if (n > room)
		n = room;
	if (!n)
		return 0;
	if (tgt_sendq_append(a, conn, data, n, n == s->feed_left)) {
		n = n < SMALL_PIECE_BYTES ? n : SMALL_PIECE_BYTES;
		if (tgt_sendq_append(a, conn, data, n, n == s->feed_left))
			return 0;
	}
	tgt_nb_skip(&s->feed_at, n);
	s->feed_left -= n;
	return n;
}

/* Returns whether anything new is in the arena. */
static bool feed(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_conn *conn = tgt_io_conn(io);
	struct tgt_send_io *s = &io->send;
	bool any = false;

	while (s->feed) {
		if (!s->feed_left) {
			feed_begin(s, tgt_nblq_next(s->feed));
		} else if (!s->feed_at.left || !s->feed_at.mdl) {
			feed_buffer(s, s->feed_nb->Next);
			if (!s->feed_nb)
				s->feed_left = 0; /* DataLength promised more than the MDLs hold */
		} else if (!feed_piece(a, conn, s)) {
			break;
		} else {
			any = true;
		}
	}
	return any;
}

static void enqueue(struct tgt_send_io *s, NET_BUFFER_LIST *nbl)
{
	tgt_nblq_push(&s->queue, nbl);
	if (!s->feed)
		feed_begin(s, nbl);
}

/* ---- requests ---- */

static bool refuses_sends(const struct tgt_adapter *a, const struct tgt_conn_io *io)
{
	return io->aborted || io->stopped || io->send.disconnect || a->ddi->upload_all;
}

void tgt_send_post(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *nbl;

	while ((nbl = tgt_nbl_chain_pop(&chain))) {
		if (refuses_sends(a, io))
			tgt_nblq_push(&io->refused_sends, nbl);
		else
			enqueue(&io->send, nbl);
	}
	tgt_work_add(a, io, TGT_WORK_SEND);
}

void tgt_send_disconnect(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *nbl,
			 ULONG flags)
{
	struct tgt_send_io *s = &io->send;

	if (flags & TCP_DISCONNECT_ABORTIVE_CLOSE) {
		s->abort = nbl;
		io->aborted = true; /* from now on nothing received is processed (DIS-08) */
	} else {
		s->disconnect = nbl;
		if (!io->aborted && !io->stopped)
			enqueue(s, nbl);
	}
	tgt_work_add(a, io, TGT_WORK_DISCONNECT | TGT_WORK_SEND);
}

static uint32_t chain_bytes(const NET_BUFFER_LIST *chain)
{
	uint32_t n = 0;

	for (; chain; chain = chain->Next)
		n += tgt_nbl_bytes(chain);
	return n;
}

int tgt_send_hand_over(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain,
		       uint32_t sent_bytes)
{
	struct tgt_conn *conn = tgt_io_conn(io);
	struct tgt_send_io *s = &io->send;

	if (chain_bytes(chain) < sent_bytes)
		return -EINVAL;
	if (sent_bytes > a->limits.conn_send_bytes)
		return -ENOBUFS;
	for (; chain; chain = chain->Next)
		enqueue(s, chain);
	feed(a, io);
	if (conn->sendq.list.bytes >= sent_bytes)
		return 0;
	tgt_send_forget(io);
	return -ENOBUFS;
}

void tgt_send_forget(struct tgt_conn_io *io)
{
	tgt_send_init(io);
}

/*
 * A FIN goes in as soon as the last byte before it is in the arena; it does not wait for
 * acknowledgments.
 */
static void send_fin(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_send_io *s = &io->send;

	if (!s->disconnect || s->feed || s->fin_sent)
		return;
	s->fin_sent = true;
	tgt_close_send_fin(a, tgt_io_conn(io));
	if (tgt_io_conn(io)->flags & TGT_CF_FIN_ACKED)
		s->fin_acked = true; /* sent by the host before the offload */
}

static void graceful_done(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_send_io *s = &io->send;
	NET_BUFFER_LIST *nbl = s->disconnect;

	if (!nbl || !s->fin_acked || s->queue.head != nbl)
		return;
	tgt_nblq_pop(&s->queue);
	s->disconnect = NULL;
	s->head_acked -= tgt_nbl_bytes(
		nbl); /* its data counted as acknowledged while it waited for the FIN */
	finish_disconnect(a, nbl, tgt_nbl_bytes(nbl), NDIS_STATUS_SUCCESS);
}

/*
 * RST, then the outstanding sends with REQUEST_ABORTED, then the request itself. A full device is
 * tried again at the next run; an RST that cannot leave at all makes the request fail, the
 * connection is aborted all the same.
 */
static void abort_work(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_send_io *s = &io->send;
	NET_BUFFER_LIST *nbl = s->abort;
	int err = tgt_close_abort(a, tgt_io_conn(io));

	if (err == -EAGAIN) {
		tgt_work_add(a, io, TGT_WORK_DISCONNECT);
		return;
	}
	s->abort = NULL;
	tgt_work_add(a, io, TGT_WORK_RECEIVE);
	tgt_send_abort(a, io);
	tgt_send_end_disconnect(a, io, NDIS_STATUS_REQUEST_ABORTED);
	finish_disconnect(a, nbl, 0, err ? NDIS_STATUS_REQUEST_ABORTED : NDIS_STATUS_SUCCESS);
}

static NDIS_STATUS refusal(const struct tgt_conn_io *io)
{
	return io->aborted ? NDIS_STATUS_REQUEST_ABORTED : NDIS_STATUS_UPLOAD_IN_PROGRESS;
}

static void refuse_requests(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	NDIS_STATUS status =
		io->send.disconnect && !io->stopped ? NDIS_STATUS_REQUEST_ABORTED : refusal(io);
	NET_BUFFER_LIST *nbl;

	while ((nbl = tgt_nblq_pop(&io->refused_sends)))
		finish(a, nbl, 0, status);
	/* A graceful request that came too late was not queued. */
	if (io->send.disconnect && !io->send.queue.head)
		tgt_send_end_disconnect(a, io, refusal(io));
}

/*
 * The pool is used up and no acknowledgment will free any of it for this connection: offer it for
 * upload.
 */
static void check_starved(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	if (io->send.feed && !tgt_io_conn(io)->sendq.list.bytes)
		tgt_upload_for_resources(a, io);
}

void tgt_send_work(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_conn *conn = tgt_io_conn(io);

	refuse_requests(a, io);
	if (io->send.abort)
		abort_work(a, io);
	if (io->aborted || io->stopped)
		return;
	if (feed(a, io))
		tgt_output(a, conn, a->now_us);
	complete_acked(a, &io->send); /* empty requests */
	send_fin(a, io);
	check_starved(a, io);
	graceful_done(a, io);
}

/* ---- what the engine tells ---- */

/* EVT-11: told when the ideal doubled or halved, and not more often than twice a second. */
static void watch_backlog(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_send_io *s = &io->send;
	uint32_t ideal;

	if (!a->ddi->send_backlog || a->now_us - s->backlog_told_us < BACKLOG_INTERVAL_US)
		return;
	ideal = tgt_send_backlog(a, tgt_io_conn(io));
	if (ideal / 2 < s->backlog_told && ideal > s->backlog_told / 2)
		return;
	s->backlog_told = ideal;
	s->backlog_told_us = a->now_us;
	io->backlog_bytes = ideal;
	tgt_work_add(a, io, TGT_WORK_EVENT_BACKLOG);
}

void tgt_send_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	struct tgt_conn_io *io = tgt_io(a, conn);

	io->send.head_acked += bytes;
	complete_acked(a, &io->send);
	if (io->send.feed)
		tgt_work_add(a, io, TGT_WORK_SEND);
	watch_backlog(a, io);
}

void tgt_send_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_conn_io *io = tgt_io(a, conn);

	io->send.fin_acked = true;
	tgt_work_add(a, io, TGT_WORK_DISCONNECT);
}

uint32_t tgt_send_backlog(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t flight = conn->cwnd_bytes < conn->max_snd_wnd_bytes ? conn->cwnd_bytes
								     : conn->max_snd_wnd_bytes;
	uint64_t ideal = 2ull * flight;

	if (ideal < BACKLOG_MIN_BYTES)
		ideal = BACKLOG_MIN_BYTES;
	return ideal < a->limits.conn_send_bytes ? (uint32_t)ideal : a->limits.conn_send_bytes;
}

/* ---- the end ---- */

static bool end_one(struct tgt_send_io *s, NET_BUFFER_LIST *nbl, uint32_t *acked)
{
	uint32_t bytes = tgt_nbl_bytes(nbl);

	*acked = s->head_acked < bytes ? s->head_acked : bytes;
	s->head_acked -= *acked;
	return nbl != s->disconnect;
}

struct tgt_nbl_chain tgt_send_take_back(struct tgt_conn_io *io)
{
	struct tgt_send_io *s = &io->send;
	struct tgt_nbl_chain chain = { 0 };
	uint32_t acked;

	s->feed = NULL;
	while (s->queue.head && s->queue.head != s->disconnect) {
		NET_BUFFER_LIST *nbl = tgt_nblq_pop(&s->queue);

		end_one(s, nbl, &acked);
		tgt_nbl_advance(nbl, acked);
		NET_BUFFER_LIST_INFO(nbl, TcpOffloadBytesTransferred) = (PVOID)(uintptr_t)acked;
		tgt_nbl_chain_add(&chain, nbl);
	}
	return chain;
}

void tgt_send_end_disconnect(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status)
{
	struct tgt_send_io *s = &io->send;
	NET_BUFFER_LIST *nbl = s->disconnect, *abortive = s->abort;
	uint32_t acked = 0;

	s->disconnect = s->abort = NULL;
	if (nbl) {
		/*
		 * It is last in the queue, if it is there at all; what precedes it goes back in the
		 * chain of an upload.
		 */
		if (s->queue.head == nbl)
			end_one(s, nbl, &acked);
		if (s->queue.head && s->queue.tail == nbl)
			tgt_nblq_pop_last(&s->queue);
		s->feed = NULL;
		finish_disconnect(a, nbl, acked, status);
	}
	if (abortive)
		finish_disconnect(a, abortive, 0, status);
}

void tgt_send_abort(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_send_io *s = &io->send;
	uint32_t acked;

	s->feed = NULL;
	while (s->queue.head && s->queue.head != s->disconnect) {
		NET_BUFFER_LIST *nbl = tgt_nblq_pop(&s->queue);

		end_one(s, nbl, &acked);
		finish(a, nbl, acked, NDIS_STATUS_REQUEST_ABORTED);
	}
}

const char *tgt_send_check(const struct tgt_adapter *a, const struct tgt_conn_io *io)
{
	const struct tgt_send_io *s = &io->send;
	uint64_t queued = 0, fed;

	(void)a;
	for (NET_BUFFER_LIST *nbl = s->queue.head; nbl; nbl = tgt_nblq_next(nbl))
		queued += tgt_nbl_bytes(nbl);
	if (s->head_acked > queued)
		return "more acknowledged than queued";
	fed = queued - s->head_acked;
	if (s->feed) {
		fed -= s->feed_left;
		for (NET_BUFFER_LIST *nbl = tgt_nblq_next(s->feed); nbl; nbl = tgt_nblq_next(nbl))
			fed -= tgt_nbl_bytes(nbl);
	}
	if (!io->aborted && !io->stopped && fed != tgt_io_conn(io)->sendq.list.bytes)
		return "queue of requests and send data in the arena differ";
	return NULL;
}
