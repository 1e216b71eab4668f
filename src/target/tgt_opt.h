/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_opt.h - TCP options of segments on synchronised connections: timestamps (RFC 7323) and SACK
 * (RFC 2018, 2883).
 */
#ifndef TARGET_TGT_OPT_H
#define TARGET_TGT_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"

#define TGT_OPT_MAX      40u /* bytes of options in a TCP header */
#define TGT_OPT_TS_BYTES 12u /* two no-operations and the timestamp option */
#define TGT_OPT_SACK_MAX 4u

struct tgt_range {
	tcp_seq start, end; /* [start, end) */
};

struct tgt_opts {
	bool has_ts;
	bool malformed; /* a length was impossible; what came before it counts */
	uint32_t ts_val, ts_ecr;
	unsigned int sack_count;
	struct tgt_range sack[TGT_OPT_SACK_MAX];
};

/* tgt_opt_parse() - read what concerns us; unknown options are skipped by their length. */
void tgt_opt_parse(const uint8_t *opt, unsigned int len, struct tgt_opts *out);

/*
 * tgt_opt_build() - timestamp (when ts) and up to count SACK blocks, as many as fit.
 * Returns:   bytes written to buf (room for TGT_OPT_MAX), a multiple of 4.
 */
unsigned int tgt_opt_build(uint8_t *buf, bool ts, uint32_t ts_val, uint32_t ts_ecr,
			   const struct tgt_range *sack, unsigned int count);

#endif
