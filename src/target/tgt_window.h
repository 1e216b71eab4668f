/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_window.h - the receive window: how much is advertised and when a change is worth a segment.
 *
 * rcv_edge is the right edge as the peer computed it from the last segment; it never moves left,
 * whatever happens to buffers, and grows only in steps of at least one MSS or half the buffer (RFC
 * 9293 3.8.6.2.2).
 */
#ifndef TARGET_TGT_WINDOW_H
#define TARGET_TGT_WINDOW_H

#include "target/tgt_conn.h"

/* tgt_window_init() - at offload: the host's window, rounded up to what the scale can express. */
void tgt_window_init(struct tgt_conn *conn);

/* tgt_window_advance() - n numbers were received in order; a FIN may lie at the edge and push it.
 */
void tgt_window_advance(struct tgt_conn *conn, uint32_t n);

/* tgt_window_advertise() - window field of a segment that leaves now; moves the edge. */
uint16_t tgt_window_advertise(struct tgt_adapter *a, struct tgt_conn *conn);

#endif
