/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_output.h - building segments. tgt_output() in tgt_conn.h decides what goes out; these are the
 * single segments that others ask for. All keep the acknowledgment and window state up to date.
 */
#ifndef TARGET_TGT_OUTPUT_H
#define TARGET_TGT_OUTPUT_H

#include "target/tgt_conn.h"

/* tgt_output_ack() - a pure acknowledgment now, with SACK blocks if there are any. 0 or -errno of
 * the device. */
int tgt_output_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_output_probe() - a window probe: one byte at snd_una, or the FIN. */
void tgt_output_probe(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_output_tail_probe() - RFC 8985 7.3: a new segment if the peer's window has room for one, else
 * the last one again. False: nothing was sent. */
bool tgt_output_tail_probe(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_output_keepalive() - an empty segment at snd_una - 1, which every TCP answers. */
void tgt_output_keepalive(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

/* tgt_output_rst() - flags are RST, or RST and ACK. */
int tgt_output_rst(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, uint8_t flags);

#endif
