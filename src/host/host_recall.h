/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_recall.h - what the kernel cannot be told, kept from an upload to the next offload: the
 * estimates, and when the retransmission timer was due.
 *
 * A socket that repair mode has made begins like a new connection: no round-trip sample, a
 * retransmission timeout of 3 s, ten segments of congestion window. A connection that is moved
 * more often than its timer fires would never send a lost segment again if every move started the
 * timer anew, and none of its estimates would ever grow.
 */
#ifndef HOST_HOST_RECALL_H
#define HOST_HOST_RECALL_H

#include "host/host_image.h"

struct host_recall {
	uint64_t noted_us; /* 0: nothing */
	uint64_t srtt_us, rttvar_us;
	uint32_t cwnd_bytes, ssthresh_bytes;
	tcp_seq snd_una;
	uint64_t rexmt_due_us; /* 0: the timer did not run */
};

/* host_recall_note() - from the image that came up from the target. */
void host_recall_note(struct host_recall *recall, const struct host_image *image, uint64_t now_us);
/*
 * host_recall_apply() - into the image that was read from the kernel's socket: where the kernel
 * has learnt something itself, that is newer and stays.
 */
void host_recall_apply(const struct host_recall *recall, struct host_image *image, uint64_t now_us);

#endif
