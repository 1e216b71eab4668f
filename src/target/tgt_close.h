/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_close.h - FIN in every state, RST, and giving up. The target sends RST for one reason only:
 * an abortive disconnect. Entry points for the DDI side are in tgt_conn.h.
 */
#ifndef TARGET_TGT_CLOSE_H
#define TARGET_TGT_CLOSE_H

#include "target/tgt_conn.h"

/* tgt_close_set_state() - change the TCP state (and count resets of established connections). */
void tgt_close_set_state(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_state state);

/* tgt_close_peer_fin() - the peer's FIN is at rcv_nxt. */
void tgt_close_peer_fin(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_close_fin_acked() - the peer acknowledged ours: next state. _notify() tells the DDI side
 * afterwards. */
void tgt_close_fin_acked_notify(struct tgt_adapter *a, struct tgt_conn *conn);
void tgt_close_fin_acked(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
/* tgt_close_peer_rst() - an acceptable RST arrived. */
void tgt_close_peer_rst(struct tgt_adapter *a, struct tgt_conn *conn);
/* tgt_close_fin_wait_2_expired() - nothing acceptable came for the length of the timer. */
void tgt_close_fin_wait_2_expired(struct tgt_adapter *a, struct tgt_conn *conn);

/* tgt_close_give_up() - stop processing, keep everything, and ask the host to take the connection.
 */
void tgt_close_give_up(struct tgt_adapter *a, struct tgt_conn *conn, enum tgt_upload_reason reason);

/* tgt_close_rst_reply() - after our abort something still arrived: the RST was lost or not exact.
 */
void tgt_close_rst_reply(struct tgt_adapter *a, struct tgt_conn *conn,
			 const struct tgt_segment *seg, uint64_t now_us);

#endif
