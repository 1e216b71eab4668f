/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_sack.h - the SACK blocks of an acknowledgment (RFC 2018, 2883). What they say about bytes on
 * the way goes to tgt_sent, what they say about time to tgt_rack.
 */
#ifndef TARGET_TGT_SACK_H
#define TARGET_TGT_SACK_H

#include "target/tgt_rack.h"

/*
 * tgt_sack_input() - take in the blocks that came with ack, before snd_una moves. Blocks outside
 * (ack, snd_max] and reversed ones change nothing; a first block that repeats what the peer had
 * is a D-SACK and told in d.
 */
void tgt_sack_input(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack,
		    struct tgt_delivery *d);

#endif
