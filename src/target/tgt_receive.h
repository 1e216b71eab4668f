/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_receive.h - where a received frame goes: engine, queue of caught frames, or the host's own
 * stack.
 *
 * Context:   worker that owns the adapter.
 */
#ifndef TARGET_TGT_RECEIVE_H
#define TARGET_TGT_RECEIVE_H

#include "target/tgt_priv.h"

/* tgt_receive() - nic_rx_fn of the adapter (ctx). Borrows the frame. */
void tgt_receive(void *ctx, const struct nic_rx_frame *frame);

/* tgt_receive_forward() - takes a chain of forwarded segments; processed at the next run. */
void tgt_receive_forward(struct tgt_adapter *a, struct tgt_conn_io *io, NET_BUFFER_LIST *chain);

/* tgt_receive_forwards() (up) - process what was forwarded. */
void tgt_receive_forwards(struct tgt_adapter *a, struct tgt_conn_io *io);

/* tgt_receive_end_forwards() (up) - complete what was forwarded and not processed. */
void tgt_receive_end_forwards(struct tgt_adapter *a, struct tgt_conn_io *io, NDIS_STATUS status);

#endif
