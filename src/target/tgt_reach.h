/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_reach.h - neighbor reachability: who knows since when that the next hop forwards.
 *
 * Per neighbor the target keeps two times of its own clock (ticks, modulo 2^32): HRT, when the host
 * last had confirmation, and NRT, when a connection here last made progress. Deltas cross the
 * interface, times do not. A datagram about to leave while both are older than NceStaleTicks makes
 * the target ask the host once.
 *
 * Context:   worker that owns the adapter; tgt_reach_run() calls up.
 * Refs:      NF:ndischimney.NdisMOffloadEventIndicate, RFC 4861 7.3.
 */
#ifndef TARGET_TGT_REACH_H
#define TARGET_TGT_REACH_H

#include <stdint.h>

#include "target/tgt_store.h"

/* tgt_reach_init() - deltas as the host gave them at offload. */
void tgt_reach_init(const struct tgt_adapter *a, struct tgt_neighbor *n, uint32_t hrd_ticks,
		    uint32_t nrd_ticks);

/* tgt_reach_confirmed() - HostReachabilityDelta of an update or of the answer to a query. */
void tgt_reach_confirmed(const struct tgt_adapter *a, struct tgt_neighbor *n, uint32_t hrd_ticks);

uint32_t tgt_reach_hrd(const struct tgt_adapter *a, const struct tgt_neighbor *n);
uint32_t tgt_reach_nrd(const struct tgt_adapter *a, const struct tgt_neighbor *n);

/*
 * tgt_reach_before_send() - staleness test of EVT-17; the question is asked at the end of the run.
 */
void tgt_reach_before_send(struct tgt_adapter *a, struct tgt_neighbor *n);

/* tgt_reach_run() - ask and tell the host what is due. */
void tgt_reach_run(struct tgt_adapter *a);

#endif
