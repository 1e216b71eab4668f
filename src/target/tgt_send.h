/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_send.h - send and disconnect requests of a connection.
 *
 * Requests wait in one queue in the order of the byte stream. Their bytes are copied into the arena
 * as far as limits.conn_send_bytes lets them (the engine sends from there); what the peer
 * acknowledged is cut off at the head.
 *
 *     posted -> [acknowledged | in the arena | not yet in the arena]
 *                ^ head_acked                  ^ feed
 *
 * Context:   worker that owns the adapter. Functions marked (up) call the host, the others do not.
 * Refs:      NC:ndischimney.W_TCP_OFFLOAD_SEND_HANDLER, W_TCP_OFFLOAD_DISCONNECT_HANDLER.
 */
#ifndef TARGET_TGT_SEND_H
#define TARGET_TGT_SEND_H

#include "target/tgt_priv.h"

void tgt_send_init(struct tgt_conn_io *io);

/* tgt_send_post() - takes a chain of send requests; refused ones are completed by the next run. */
void tgt_send_post(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain);

/* tgt_send_disconnect() - takes a disconnect request. */
void tgt_send_disconnect(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *nbl,
			 ULONG flags);

/*
 * tgt_send_hand_over() - outstanding data of a connection that is being offloaded. At least
 * sent_bytes (SndMax - SndUna without a FIN) have to fit into the arena.
 * Ownership: takes the chain when it returns 0, leaves it untouched otherwise.
 * Returns:   0; -ENOBUFS too little room; -EINVAL when the chain holds fewer than sent_bytes.
 */
int tgt_send_hand_over(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain,
		       uint32_t sent_bytes);
/* tgt_send_forget() - the offload failed after all: the chain is the host's, as it was. */
void tgt_send_forget(struct tgt_conn_io *io);

/* tgt_send_work() (up) - move data into the arena and send; carry out disconnect requests. */
void tgt_send_work(struct tgt_adapter *a, struct tgt_conn_io *io);

/*
 * tgt_send_take_back() - unfinished requests as a chain in the host's order, each advanced past
 * what was acknowledged. A disconnect request is not among them: tgt_send_end_disconnect()
 * completes it.
 */
struct tgt_nbl_chain tgt_send_take_back(struct tgt_conn_io *io);

/*
 * tgt_send_end_disconnect() (up) - complete a pending disconnect request, whatever kind, with
 * status.
 */
void tgt_send_end_disconnect(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status);

/* tgt_send_abort() - all requests leave with NDIS_STATUS_REQUEST_ABORTED at the next flush. */
void tgt_send_abort(struct tgt_adapter *a, struct tgt_conn_io *io);

/*
 * tgt_send_flush() (up) - one NdisTcpOffloadSendComplete for everything that is done, of all
 * connections.
 */
void tgt_send_flush(struct tgt_adapter *a);

/*
 * tgt_send_backlog() - bytes that the host ideally keeps outstanding: twice what congestion and
 * peer window let fly, between 64 KiB and limits.conn_send_bytes. Independent of what is posted.
 */
uint32_t tgt_send_backlog(const struct tgt_adapter *a, const struct tgt_conn *conn);

const char *tgt_send_check(const struct tgt_adapter *a, const struct tgt_conn_io *io);

#endif
