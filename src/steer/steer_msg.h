/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steer_msg - prepared netlink messages that add or delete set elements.
 *
 * One batch is: begin, at most one message per set with all its elements, end. Everything but the
 * keys is laid out once, when the writer is made; a batch then is a few memcpy. Room-private.
 */
#ifndef STEER_STEER_MSG_H
#define STEER_STEER_MSG_H

#include "steer/steer.h"

#define STEER_KEY4_BYTES 16u /* saddr . sport . daddr . dport, each padded to 4 bytes */
#define STEER_KEY6_BYTES 40u
#define STEER_NAME_BYTES 32u

/* Where a packet of the flow is seen: this decides which end is its source. */
enum steer_dir {
	STEER_DIR_IN,  /* received: source is the remote end */
	STEER_DIR_OUT, /* generated here: source is the local end */
};

struct steer_msg_set {
	uint8_t nfproto; /* family of the table */
	enum steer_dir dir;
	char table[STEER_NAME_BYTES];
	char set4[8], set6[8];
};

struct steer_msg; /* a writer for one pair of sets (v4 and v6) */

struct steer_msg *steer_msg_new(const struct steer_msg_set *set);
void steer_msg_free(struct steer_msg *msg);

/*
 * steer_msg_build() - a batch that adds (or deletes) count flows, count <= STEER_BATCH_FLOWS.
 * The element messages ask for an acknowledgement; *acks says how many will come. seq is that of
 * the begin message; the following ones count up from it.
 * Returns: bytes at *out (borrowed until the next call), or -EINVAL for an unknown family.
 */
int steer_msg_build(struct steer_msg *msg, int add, const struct steer_flow *flows, unsigned count,
		    uint32_t seq, const void **out, unsigned *acks)
	__attribute__((warn_unused_result));

/* steer_msg_key() - the set key of a flow; returns its length in bytes or -EINVAL. */
int steer_msg_key(const struct steer_flow *flow, enum steer_dir dir, uint8_t key[STEER_KEY6_BYTES]);

#endif
