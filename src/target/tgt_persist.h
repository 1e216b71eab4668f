/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_persist.h - probing a closed window (RFC 9293 3.8.6.1, and the rounds of the chimney's
 * persist timer).
 *
 * While the peer's window is zero and there is something for it, the connection is in persist mode
 * (TGT_CF_PERSIST). A round begins with the persist timer, RTO << wnd_probes. When it runs out a
 * probe goes out and the retransmission timer repeats it after RTO, 2 RTO, 4 RTO ... as long as
 * nothing comes back. An answer that keeps the window closed begins the next round. So an answering
 * peer is asked ever more rarely and for ever, a silent one is given up like any other
 * retransmission.
 *
 * A probe is one byte of data at snd_una (or the FIN, if that is all there is): beyond the window,
 * hence every TCP must answer it, and if there is room after all the byte counts.
 */
#ifndef TARGET_TGT_PERSIST_H
#define TARGET_TGT_PERSIST_H

#include "target/tgt_conn.h"

/* tgt_persist_needed() - the window is closed and data or a FIN wait for it. */
bool tgt_persist_needed(const struct tgt_conn *conn);

/* tgt_persist_update() - enter or leave persist mode; after every change of window or queue. */
void tgt_persist_update(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_persist_answered() - an acceptable segment says that the window is still closed. */
void tgt_persist_answered(struct tgt_conn *conn, uint64_t now_us);

/* Timers: start of a round, and no answer to a probe. */
void tgt_persist_round(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);
void tgt_persist_probe_unanswered(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_persist_resume() - at offload: wnd_probes, rexmt_count and rexmt_left_us say where the host
 * was. */
void tgt_persist_resume(struct tgt_conn *conn, uint64_t now_us);

#endif
