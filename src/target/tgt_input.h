/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_input.h - the order in which an arriving segment is judged (RFC 9293 3.10.7.4, RFC 7323 5,
 *RFC 5961):
 *
 *	closed or suspended -> reset -> SYN -> timestamp -> sequence -> ACK flag -> ACK number ->
 *urgent
 *	-> acceptable: timers, ts_recent -> acknowledgment -> data -> FIN -> reply
 *
 * The entry point, tgt_input(), is in tgt_conn.h.
 */
#ifndef TARGET_TGT_INPUT_H
#define TARGET_TGT_INPUT_H

#include "target/tgt_conn.h"

/* How often a segment without data that is not acceptable is answered (RFC 5961 7, as Linux does
 * it). */
#define TGT_OOW_ACK_GAP_US 500000u
/* The same for what looks like a keepalive or window probe, which must be answered (E.g. RFC
 * 9293 3.8.4). */
#define TGT_PROBE_ACK_GAP_US     10000u
#define TGT_SYN_CHALLENGE_GAP_US 3000000u
#define TGT_PAWS_AGE_US          (24ull * 86400u * 1000000u)

#endif
