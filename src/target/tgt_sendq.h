/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_sendq.h - the bytes of a connection that are not yet acknowledged, sent or not, in arena
 * chunks.
 *
 * The queue is a byte stream that begins at sequence number sendq.seq. Ends of send requests are
 * kept as marks, because the last segment of a request carries PSH. Entry points for the DDI side
 * are in tgt_conn.h.
 */
#ifndef TARGET_TGT_SENDQ_H
#define TARGET_TGT_SENDQ_H

#include "target/tgt_conn.h"

/* Enough for 64 KiB: chunks but the first and the last are full. */
#define TGT_SENDQ_IOV 20u

/* tgt_sendq_end() - sequence number behind the last byte: that of the FIN, if there is one. */
static inline tcp_seq tgt_sendq_end(const struct tgt_conn *conn)
{
	return conn->sendq.seq + conn->sendq.list.bytes;
}

/*
 * tgt_sendq_map() - where the bytes [seq, seq + len) are.
 * Returns:   number of bytes described in iov (room for TGT_SENDQ_IOV), less than len only when it
 * is full. *push: the end of a send request or of the queue lies in (seq, seq + returned].
 */
uint32_t tgt_sendq_map(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, uint32_t len,
		       struct iovec *iov, unsigned int *iovcnt, bool *push);

/* tgt_sendq_ack() - the first n bytes are acknowledged and go. */
void tgt_sendq_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t n);

/* tgt_sendq_marked() - a send request ends right before seq. */
bool tgt_sendq_marked(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq);

/*
 * tgt_rcvq_append() - the other queue: received bytes in order, to rcvq, counted in rcv_stored.
 * Returns 0 or -ENOBUFS, nothing has changed then.
 */
int tgt_rcvq_append(struct tgt_adapter *a, struct tgt_conn *conn, const uint8_t *data,
		    uint32_t len);

void tgt_sendq_free(struct tgt_adapter *a, struct tgt_conn *conn);

#endif
