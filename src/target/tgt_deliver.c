/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The delivery algorithm. Three events start it: requests posted, a segment (or handed-over data)
 * in order, the push timer. Each event changes the state and then runs one loop, deliver(), until
 * nothing more can be done:
 *
 *     rcvq   [ placed in requests | not placed ]         requests are filled in posting order
 *              ^ leave the queue    ^ placed next, or indicated when there are no requests
 *                when their request
 *                is completed
 *
 *     1  Fill requests from the unplaced bytes.
 *     2  Complete in one call what is full, and a partly filled push-mode request when its last
 *        byte was pushed and nothing is left to place. Something completed: stop the push timer,
 *        start over.
 *     3  Nothing left: a partly filled push-mode request gets the push timer (restarted when bytes
 *        were added); end.
 *     4  Bytes left, so no requests: held (refused before, or handed over): wait for a post; end.
 *     5  Indicate. Taken: start over. Refused, also in part: held, and start over, as requests may
 *        have come meanwhile.
 *
 * While a completion or indication of the connection is in progress, events only change the state;
 * the loop that made the call goes on with it (one call at a time, RCV-15, RCV-45, RCV-48, RCV-60).
 * A zero-byte request ends the holding without taking bytes. The peer's FIN counts as a push and is
 * told when the queue is empty.
 *
 * The case that almost goes wrong: a refusal while the host posts from inside the indication. The
 * post sees a call in progress and only queues; the loop then finds the request in step 1, before
 * it can hold or indicate again.
 */
#include "target/tgt_deliver.h"

#include <errno.h>
#include <string.h>

#include "target/tgt_indicate.h"
#include "target/tgt_sendq.h"

void tgt_deliver_init(struct tgt_conn_io *io)
{
	io->deliver = (struct tgt_deliver_io){ 0 };
}

/* ---- requests ---- */

static uint32_t filled(const NET_BUFFER_LIST *post)
{
	return (uint32_t)(uintptr_t)post->MiniportReserved[1];
}

static void set_filled(NET_BUFFER_LIST *post, uint32_t bytes)
{
	post->MiniportReserved[1] = (PVOID)(uintptr_t)bytes;
}

static uint32_t capacity(const NET_BUFFER_LIST *post)
{
	return post->FirstNetBuffer ? post->FirstNetBuffer->DataLength : 0;
}

static bool is_push_mode(const NET_BUFFER_LIST *post)
{
	return !(BOOLEAN)(uintptr_t)NET_BUFFER_LIST_INFO(post, TcpReceiveNoPush);
}

/* Bytes that the host put there before it posted the request. */
static uint32_t prefilled(const NET_BUFFER_LIST *post)
{
	uint32_t n = (uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(post, TcpReceiveBytesTransferred);

	return n < capacity(post) ? n : capacity(post);
}

static void finish_post(NET_BUFFER_LIST *post, NDIS_STATUS status)
{
	tgt_nbl_advance(post, filled(post));
	NET_BUFFER_LIST_INFO(post, TcpOffloadBytesTransferred) = (PVOID)(uintptr_t)filled(post);
	NET_BUFFER_LIST_STATUS(post) = status;
}

/* ---- placing ---- */

static uint32_t unplaced(const struct tgt_conn_io *io)
{
	return tgt_io_conn(io)->rcvq.bytes - io->deliver.placed_bytes;
}

/* Make place_chunk/place_off the first byte not placed; there is one. */
static struct tgt_chunk *place_cursor(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_deliver_io *d = &io->deliver;
	struct tgt_chunk *c;

	if (!d->place_chunk) {
		d->place_chunk = tgt_io_conn(io)->rcvq.head;
		d->place_off = d->placed_bytes;
	}
	c = tgt_chunk_at(a, d->place_chunk);
	while (d->place_off >= c->len) {
		d->place_off -= c->len;
		d->place_chunk = c->next;
		c = tgt_chunk_at(a, d->place_chunk);
	}
	return c;
}

/* Fill one request; returns bytes placed. */
static uint32_t fill_post(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *post)
{
	struct tgt_deliver_io *d = &io->deliver;
	struct tgt_nb_cursor to = tgt_nb_at(post->FirstNetBuffer, filled(post));
	uint32_t total = 0;

	while (to.left && unplaced(io)) {
		struct tgt_chunk *c = place_cursor(a, io);
		uint32_t n = c->len - d->place_off, run;
		uint8_t *target;

		run = tgt_nb_run(&to, &target);
		n = n < run ? n : run;
		if (!n)
			break; /* the request's MDLs are shorter than its DataLength */
		memcpy(target, c->data + c->off + d->place_off, n);
		tgt_nb_skip(&to, n);
		d->place_off += n;
		d->placed_bytes += n;
		total += n;
	}
	set_filled(post, filled(post) + total);
	return total;
}

/* Step 1. Returns bytes placed. */
static uint32_t place(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	NET_BUFFER_LIST *post = io->deliver.posts.head;
	uint32_t total = 0;

	for (; post && unplaced(io); post = tgt_nblq_next(post)) {
		if (!capacity(post))
			break; /* takes no data and lets none pass */
		total += fill_post(a, io, post);
	}
	return total;
}

/* ---- completing ---- */

/* Every placed byte is at or before the last PSH, and nothing waits behind it. */
static bool pushed_out(const struct tgt_conn_io *io)
{
	const struct tgt_deliver_io *d = &io->deliver;

	return !unplaced(io) && d->placed_bytes && d->placed_bytes <= d->pushed_bytes;
}

static bool is_complete(const struct tgt_conn_io *io, const NET_BUFFER_LIST *post)
{
	if (filled(post) == capacity(post))
		return true;
	return filled(post) && is_push_mode(post) && pushed_out(io);
}

static void drop_bytes(struct tgt_adapter *a, struct tgt_conn_io *io, uint32_t n)
{
	struct tgt_deliver_io *d = &io->deliver;

	tgt_rx_queue_drop(a, &tgt_io_conn(io)->rcvq, n);
	d->pushed_bytes -= d->pushed_bytes < n ? d->pushed_bytes : n;
	d->place_chunk = ARENA_NULL;
}

/*
 * The bytes that a request holds, without those that were the host's before. They leave the queue
 * when the call that hands the request over is back.
 */
static uint32_t bytes_from_queue(const NET_BUFFER_LIST *post)
{
	return filled(post) - prefilled(post);
}

static void call_complete(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain,
			  uint32_t from_queue)
{
	io->in_call_up = true;
	a->ddi->up.NdisTcpOffloadReceiveComplete(a->ddi->miniport, chain);
	io->in_call_up = false;
	io->deliver.placed_bytes -= from_queue;
	drop_bytes(a, io, from_queue);
}

/* Step 2. Returns whether a request was completed. */
static bool complete(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_deliver_io *d = &io->deliver;
	struct tgt_nbl_chain chain = { 0 };
	uint32_t from_queue = 0;
	NET_BUFFER_LIST *post;

	while ((post = d->posts.head) && is_complete(io, post)) {
		tgt_nblq_pop(&d->posts);
		from_queue += bytes_from_queue(post);
		finish_post(post, NDIS_STATUS_SUCCESS);
		tgt_nbl_chain_add(&chain, post);
	}
	if (!chain.first)
		return false;
	d->held = false;
	if (tgt_timer_running(tgt_io_conn(io), TGT_TMR_PUSH))
		tgt_timer_push_stop(a, tgt_io_conn(io));
	call_complete(a, io, chain.first, from_queue);
	return true;
}

/* Step 3. */
static void keep_partial(struct tgt_adapter *a, struct tgt_conn_io *io, uint32_t placed)
{
	NET_BUFFER_LIST *post = io->deliver.posts.head;
	struct tgt_conn *conn = tgt_io_conn(io);

	if (!post || !filled(post) || !is_push_mode(post))
		return;
	if (placed || !tgt_timer_running(conn, TGT_TMR_PUSH))
		tgt_timer_push_start(a, conn, a->now_us);
}

/* ---- indicating ---- */

/*
 * Step 5. The list and what it describes go to the host; *BytesConsumed says how much is the host's
 * from then on.
 * Returns:   false when there is nothing to indicate with.
 */
static bool indicate(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_conn *conn = tgt_io_conn(io);
	struct tgt_rx_list *list = tgt_rx_list_take(a);
	uint32_t max = conn->rcv_indication_bytes ? conn->rcv_indication_bytes : UINT32_MAX, bytes;
	ULONG consumed = 0;
	NDIS_STATUS status;

	if (!list) {
		io->deliver.no_nbl = a->ddi->rx_starved = true;
		return false;
	}
	bytes = tgt_rx_list_fill(a, list, &conn->rcvq, io->deliver.placed_bytes, max);
	NET_BUFFER_LIST_INFO(list->nbl, NetBufferListHashValue) =
		(PVOID)(uintptr_t)conn->hash_value;
	list->out = true;
	a->ddi->rx_out++;
	io->in_call_up = true;
	status = a->ddi->up.NdisTcpOffloadReceiveHandler(io->object.ndis_handle, list->nbl,
							 NDIS_STATUS_SUCCESS, &consumed);
	io->in_call_up = false;
	if (status == NDIS_STATUS_SUCCESS) {
		drop_bytes(a, io, bytes);
		return true;
	}
	/* Refused or accepted in part: the list is ours again, no return follows. */
	list->out = false;
	a->ddi->rx_out--;
	tgt_rx_list_give(a, list);
	if (status == NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED)
		drop_bytes(a, io, consumed < bytes ? consumed : bytes);
	io->deliver.held = unplaced(io) != 0;
	return true;
}

/* ---- the end of the byte stream ---- */

static void complete_all(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status)
{
	struct tgt_deliver_io *d = &io->deliver;
	struct tgt_nbl_chain chain = { 0 };
	uint32_t from_queue = 0;
	NET_BUFFER_LIST *post;

	while ((post = tgt_nblq_pop(&d->posts))) {
		from_queue += bytes_from_queue(post);
		finish_post(post, status);
		tgt_nbl_chain_add(&chain, post);
	}
	if (tgt_timer_running(tgt_io_conn(io), TGT_TMR_PUSH))
		tgt_timer_push_stop(a, tgt_io_conn(io));
	if (chain.first)
		call_complete(a, io, chain.first, from_queue);
}

/*
 * FIN: nothing more will come, so what requests hold is complete, and those that hold nothing end
 * too. Told when the application has everything (DIS-23).
 */
static void check_fin(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_deliver_io *d = &io->deliver;

	if (!d->fin || d->fin_told || unplaced(io))
		return;
	d->fin_told = true; /* first: what is posted from inside the completion is refused */
	complete_all(a, io, NDIS_STATUS_SUCCESS);
	tgt_work_add(a, io, TGT_WORK_EVENT_DISCONNECT);
}

/* ---- the loop ---- */

static void deliver(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	struct tgt_deliver_io *d = &io->deliver;
	struct tgt_conn *conn = tgt_io_conn(io);
	uint32_t buffered_before = tgt_deliver_buffered_bytes(a, conn);

	if (io->in_call_up || !io->live || io->aborted || io->stopped)
		return;
	d->no_nbl = false;
	for (;;) {
		uint32_t placed = place(a, io);

		if (complete(a, io))
			continue;
		if (!unplaced(io)) {
			keep_partial(a, io, placed);
			break;
		}
		if (d->held || d->posts.head || !indicate(a, io))
			break;
	}
	check_fin(a, io);
	if (!d->in_engine && tgt_deliver_buffered_bytes(a, conn) < buffered_before)
		tgt_rcv_window_changed(a, conn);
}

/* ---- events ---- */

static void refuse_posts(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	NDIS_STATUS status = io->aborted   ? NDIS_STATUS_REQUEST_ABORTED
			     : io->stopped ? NDIS_STATUS_UPLOAD_IN_PROGRESS
					   : NDIS_STATUS_INVALID_STATE;
	struct tgt_nbl_chain chain = { 0 };
	NET_BUFFER_LIST *post;

	while ((post = tgt_nblq_pop(&io->refused_posts))) {
		finish_post(post, status);
		tgt_nbl_chain_add(&chain, post);
	}
	if (chain.first)
		call_complete(a, io, chain.first, 0);
}

/* A request that brings bytes in push mode starts the timer at once (RCV-09). */
static void accept_post(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *post)
{
	struct tgt_conn *conn = tgt_io_conn(io);

	tgt_nblq_push(&io->deliver.posts, post);
	if (filled(post) && filled(post) < capacity(post) && is_push_mode(post) &&
	    !tgt_timer_running(conn, TGT_TMR_PUSH))
		tgt_timer_push_start(a, conn, a->now_us);
}

void tgt_deliver_post(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *post;

	while ((post = tgt_nbl_chain_pop(&chain))) {
		set_filled(post, prefilled(post));
		if (io->aborted || io->stopped || io->deliver.fin_told)
			tgt_nblq_push(&io->refused_posts, post);
		else
			accept_post(a, io, post);
	}
	tgt_work_add(a, io, TGT_WORK_RECEIVE);
}

void tgt_deliver_work(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	refuse_posts(a, io);
	if (io->aborted || io->stopped)
		tgt_deliver_end_posts(a, io,
				      io->aborted ? NDIS_STATUS_REQUEST_ABORTED
						  : NDIS_STATUS_UPLOAD_IN_PROGRESS);
	else
		deliver(a, io);
}

/*
 * The engine advertises no window that the pool cannot hold, so this does not fail in a sound
 * system. If it does, the bytes were not acknowledged yet: RcvNxt steps back and the peer sends
 * them again.
 */
static void store_failed(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t len)
{
	conn->rcv_nxt -= len;
	tgt_drop(a, TGT_DROP_NO_CHUNK);
}

void tgt_deliver_data(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		      uint32_t len, bool psh)
{
	struct tgt_conn_io *io = tgt_io(a, conn);
	struct tgt_deliver_io *d = &io->deliver;

	if (tgt_rcvq_append(a, conn, data, len)) {
		store_failed(a, conn, len);
		return;
	}
	if (psh)
		d->pushed_bytes = conn->rcvq.bytes;
	d->in_engine = true;
	deliver(a, io);
	d->in_engine = false;
}

void tgt_deliver_fin(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_conn_io *io = tgt_io(a, conn);

	io->deliver.fin = true;
	io->deliver.in_engine = true;
	deliver(a, io);
	io->deliver.in_engine = false;
}

uint32_t tgt_deliver_buffered_bytes(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	return conn->rcvq.bytes - tgt_io(a, conn)->deliver.placed_bytes;
}

/*
 * The third event: a partly filled push-mode request goes up as it is; anything else is a legal
 * race.
 */
void tgt_deliver_push_expired(struct tgt_adapter *a, struct tgt_conn *conn)
{
	struct tgt_conn_io *io = tgt_io(a, conn);
	NET_BUFFER_LIST *post = io->deliver.posts.head;

	if (io->in_call_up || !post || !filled(post) || !is_push_mode(post))
		return;
	tgt_nblq_pop(&io->deliver.posts);
	finish_post(post, NDIS_STATUS_SUCCESS);
	post->Next = NULL;
	call_complete(a, io, post, bytes_from_queue(post));
	deliver(a, io);
}

/* ---- hand-over ---- */

static bool peer_closed(const struct tgt_conn *conn)
{
	return conn->state == TGT_CLOSE_WAIT || conn->state == TGT_CLOSING ||
	       conn->state == TGT_LAST_ACK;
}

static uint32_t buffered_bytes(const NET_BUFFER_LIST *chain)
{
	uint32_t n = 0;

	for (; chain; chain = chain->Next)
		n += tgt_nbl_bytes(chain);
	return n;
}

/*
 * Handed-over data waits for a post like refused data (BUF-32); the push timer starts with the
 * first request.
 */
int tgt_deliver_hand_over(struct tgt_adapter *a, struct tgt_conn_io *io,
			  const NET_BUFFER_LIST *chain)
{
	struct tgt_conn *conn = tgt_io_conn(io);

	conn->rcv_stored = conn->rcv_nxt - peer_closed(conn) - buffered_bytes(chain);
	for (; chain; chain = chain->Next) {
		for (const NET_BUFFER *nb = chain->FirstNetBuffer; nb; nb = nb->Next) {
			struct tgt_nb_cursor from = tgt_nb_at(nb, 0);
			uint8_t *data;
			uint32_t n;

			while ((n = tgt_nb_run(&from, &data))) {
				if (tgt_rcvq_append(a, conn, data, n)) {
					tgt_chunks_free(a, &conn->rcvq);
					return -ENOBUFS;
				}
				tgt_nb_skip(&from, n);
			}
		}
	}
	io->deliver.held = conn->rcvq.bytes != 0;
	return 0;
}

void tgt_deliver_end_posts(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status)
{
	complete_all(a, io, status);
}

int tgt_deliver_take_back(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST **chain)
{
	struct tgt_chunk_list *queue = &tgt_io_conn(io)->rcvq;
	struct tgt_nbl_chain lists = { 0 };

	while (queue->bytes) {
		struct tgt_rx_list *list = tgt_rx_list_take(a);

		if (!list)
			list = tgt_rx_list_extra(a);
		if (!list)
			break;
		drop_bytes(a, io, tgt_rx_list_fill(a, list, queue, 0, UINT32_MAX));
		list->out = true;
		a->ddi->rx_out++;
		tgt_nbl_chain_add(&lists, list->nbl);
	}
	*chain = lists.first;
	return queue->bytes ? -ENOMEM : 0;
}

const char *tgt_deliver_check(const struct tgt_adapter *a, const struct tgt_conn_io *io)
{
	const struct tgt_deliver_io *d = &io->deliver;
	const struct tgt_conn *conn = tgt_io_conn(io);
	uint32_t in_posts = 0;

	for (NET_BUFFER_LIST *post = d->posts.head; post; post = tgt_nblq_next(post)) {
		if (filled(post) > capacity(post))
			return "request holds more than its length";
		in_posts += bytes_from_queue(post);
	}
	if (in_posts != d->placed_bytes)
		return "placed bytes and bytes in requests differ";
	if (d->placed_bytes > conn->rcvq.bytes || d->pushed_bytes > conn->rcvq.bytes)
		return "more bytes placed or pushed than queued";
	if (d->fin_told && conn->rcvq.bytes)
		return "end of stream told before the application had everything";
	return tgt_chunks_check(a, &conn->rcvq);
}
