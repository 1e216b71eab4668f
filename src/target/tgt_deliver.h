/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_deliver.h - received data on its way to the application.
 *
 * Every in-order byte goes to the end of the connection's receive queue in the arena first, and
 * leaves the queue when the application has it: when the request that it was placed into is
 * completed, or when the host accepted an indication of it. So a byte that was acknowledged is in
 * the arena until then. The algorithm is on top of tgt_deliver.c; the functions that the engine
 * calls are declared in tgt_conn.h.
 *
 * Context:   worker that owns the adapter. Functions marked (up) call the host.
 * Refs:      NC:ndischimney.W_TCP_OFFLOAD_RECEIVE_HANDLER, NDIS_TCP_OFFLOAD_RECEIVE_INDICATE.
 */
#ifndef TARGET_TGT_DELIVER_H
#define TARGET_TGT_DELIVER_H

#include "target/tgt_priv.h"

void tgt_deliver_init(struct tgt_conn_io *io);

/* tgt_deliver_post() - takes a chain of receive requests. */
void tgt_deliver_post(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain);

/* tgt_deliver_work() (up) - what posts, returned lists and the end of an offload made possible. */
void tgt_deliver_work(struct tgt_adapter *a, struct tgt_conn_io *io);

/*
 * tgt_deliver_hand_over() - copy the BufferedData of a connection that is being offloaded. 0 or
 * -ENOBUFS.
 */
int tgt_deliver_hand_over(struct tgt_adapter *a, struct tgt_conn_io *io,
			  const NET_BUFFER_LIST *chain);

/*
 * tgt_deliver_end_posts() (up) - complete every request with status; each reports the valid bytes
 * it holds, which the host has from then on.
 */
void tgt_deliver_end_posts(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status);

/*
 * tgt_deliver_take_back() - received data that no request took, as a chain for BufferedData. The
 * lists come back through MiniportTcpOffloadReceiveReturn.
 * Returns:   0; -ENOMEM when not all of it could be described (what is missing stays in the queue).
 */
int tgt_deliver_take_back(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST **chain);

const char *tgt_deliver_check(const struct tgt_adapter *a, const struct tgt_conn_io *io);

#endif
