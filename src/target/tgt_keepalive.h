/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_keepalive.h - keepalive (RFC 9293 3.8.4) and, on the same timer, the mitigation of blind
 * resets: a challenge ACK that nobody answers within five minutes leads to probes, and probes
 * without answer to the end of the connection.
 */
#ifndef TARGET_TGT_KEEPALIVE_H
#define TARGET_TGT_KEEPALIVE_H

#include "target/tgt_conn.h"

#define TGT_MITIGATION_US 300000000u /* five minutes */

void tgt_keepalive_resume(struct tgt_conn *conn, uint64_t now_us);
void tgt_keepalive_on_acceptable(struct tgt_conn *conn, uint64_t now_us);
void tgt_keepalive_on_challenge(struct tgt_conn *conn, uint64_t now_us);
void tgt_keepalive_expired(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us);

#endif
