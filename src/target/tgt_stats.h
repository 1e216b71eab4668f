/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_stats.h - the four statistics OIDs: counters of offloaded traffic, a set each for IPv4 and
 * IPv6.
 *
 * Counting happens where things happen; here they are put into the published structures and set to
 * zero.
 * Refs: OID_TCP4_OFFLOAD_STATS, OID_TCP6_OFFLOAD_STATS, OID_IP4_OFFLOAD_STATS,
 *       OID_IP6_OFFLOAD_STATS.
 */
#ifndef TARGET_TGT_STATS_H
#define TARGET_TGT_STATS_H

#include <ndis/ndis.h>

#include "target/tgt_adapter.h"

void tgt_stats_tcp(const struct tgt_adapter *a, enum tgt_family family, TCP_OFFLOAD_STATS *to);
void tgt_stats_ip(const struct tgt_adapter *a, enum tgt_family family, IP_OFFLOAD_STATS *to);
void tgt_stats_zero_tcp(struct tgt_adapter *a, enum tgt_family family);
void tgt_stats_zero_ip(struct tgt_adapter *a, enum tgt_family family);

#endif
