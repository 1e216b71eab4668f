/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look-ups go forward from a hint, the chunk in which the last one ended: sending proceeds in
 * order, so the hint is nearly always right, and a retransmission near the head starts at the head.
 */
#include "target/tgt_sendq.h"

#include <errno.h>
#include <string.h>

void tgt_sendq_begin(struct tgt_conn *conn, tcp_seq seq)
{
	memset(&conn->sendq, 0, sizeof(conn->sendq));
	conn->sendq.seq = seq;
}

uint32_t tgt_sendq_room(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t used = conn->sendq.list.bytes;

	return a->limits.conn_send_bytes > used ? a->limits.conn_send_bytes - used : 0;
}

static void add_mark(struct tgt_adapter *a, struct tgt_chunk_list *list)
{
	struct tgt_chunk *c = tgt_chunk_at(a, list->tail);
	uint16_t end;

	if (!c)
		return;
	end = (uint16_t)(c->off + c->len);
	if (c->marks && c->mark[c->marks - 1] == end)
		return;
	if (c->marks == TGT_CHUNK_MARKS)
		c->marks--;
	c->mark[c->marks++] = end;
}

int tgt_sendq_append(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		     uint32_t len, bool push)
{
	int err;

	if (len > tgt_sendq_room(a, conn))
		return -ENOBUFS;
	err = tgt_chunks_append_as(a, &conn->sendq.list, data, len, conn->owner + 1,
				   tgt_sendq_end(conn));
	if (!err && push)
		add_mark(a, &conn->sendq.list);
	return err;
}

/* The chunk that holds seq, and the sequence number of its first byte. */
static struct tgt_chunk *find(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq,
			      tcp_seq *first)
{
	struct tgt_sendq *q = &conn->sendq;
	arena_ref ref = q->list.head;
	struct tgt_chunk *c;

	*first = q->seq;
	if (q->hint && seq_leq(q->hint_seq, seq)) {
		ref = q->hint;
		*first = q->hint_seq;
	}
	for (c = tgt_chunk_at(a, ref); c && seq - *first >= c->len; c = tgt_chunk_at(a, ref)) {
		*first += c->len;
		ref = c->next;
	}
	if (c) {
		q->hint = ref;
		q->hint_seq = *first;
	}
	return c;
}

/* A mark within the bytes (from, to] of the chunk, offsets counted from its first byte in use. */
static bool mark_in(const struct tgt_chunk *c, uint32_t from, uint32_t to)
{
	for (unsigned int i = 0; i < c->marks; i++)
		if (c->mark[i] > c->off + from && c->mark[i] <= c->off + to)
			return true;
	return false;
}

uint32_t tgt_sendq_map(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, uint32_t len,
		       struct iovec *iov, unsigned int *iovcnt, bool *push)
{
	tcp_seq first;
	struct tgt_chunk *c = find(a, conn, seq, &first);
	uint32_t done = 0;

	*iovcnt = 0;
	*push = false;
	while (c && done < len && *iovcnt < TGT_SENDQ_IOV) {
		uint32_t skip = seq + done - first;
		uint32_t n = c->len - skip;

		if (n > len - done)
			n = len - done;
		iov[*iovcnt].iov_base = c->data + c->off + skip;
		iov[*iovcnt].iov_len = n;
		(*iovcnt)++;
		*push |= mark_in(c, skip, skip + n);
		done += n;
		first += c->len;
		c = tgt_chunk_at(a, c->next);
	}
	if (done && seq + done == tgt_sendq_end(conn))
		*push = true;
	return done;
}

bool tgt_sendq_marked(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq)
{
	tcp_seq first;
	struct tgt_chunk *c = find(a, conn, seq - 1, &first);

	return seq == tgt_sendq_end(conn) || (c && mark_in(c, seq - 1 - first, seq - first));
}

int tgt_rcvq_append(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data, uint32_t len)
{
	int err = tgt_chunks_append_as(a, &conn->rcvq, data, len, conn->owner, conn->rcv_stored);

	arena_order();
	if (!err)
		conn->rcv_stored += len;
	return err;
}

void tgt_sendq_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t n)
{
	struct tgt_sendq *q = &conn->sendq;

	tgt_chunks_drop(a, &q->list, n);
	q->seq += n;
	if (q->hint && seq_lt(q->hint_seq, q->seq))
		q->hint = ARENA_NULL;
}

void tgt_sendq_free(struct tgt_adapter *a, struct tgt_conn *conn)
{
	tgt_chunks_free(a, &conn->sendq.list);
	conn->sendq.hint = ARENA_NULL;
}
