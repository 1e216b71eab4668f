/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_ack.h - the acknowledgment field, the window field and the SACK blocks of an acceptable
 * segment.
 */
#ifndef TARGET_TGT_ACK_H
#define TARGET_TGT_ACK_H

#include "target/tgt_conn.h"
#include "target/tgt_opt.h"

/*
 * tgt_ack_valid() - may the acknowledgment number be processed? Not beyond what was sent, and not
 * older than the largest window (RFC 5961 5).
 */
bool tgt_ack_valid(const struct tgt_conn *conn, tcp_seq ack);

/*
 * tgt_ack_input() - process them: queue, round-trip sample, recovery, window, our FIN. Does not
 * send. May change the state (FIN_WAIT_2, TIME_WAIT, CLOSED) and calls the DDI side.
 */
void tgt_ack_input(struct tgt_adapter *a, struct tgt_conn *conn, const struct tgt_segment *seg,
		   const struct tgt_opts *opts, uint64_t now_us);

#endif
