/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_opt.h"

#include <string.h>

#include "base/be.h"

enum {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_SACK = 5,
	KIND_TIMESTAMP = 8,
	LEN_TIMESTAMP = 10,
};

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return p + 4;
}

static void parse_sack(const uint8_t *body, unsigned int len, struct tgt_opts *out)
{
	if (len % 8) {
		out->malformed = true;
		return;
	}
	for (; len && out->sack_count < TGT_OPT_SACK_MAX; len -= 8, body += 8) {
		out->sack[out->sack_count].start = be_get32(body);
		out->sack[out->sack_count].end = be_get32(body + 4);
		out->sack_count++;
	}
}

static void parse_one(const uint8_t *opt, struct tgt_opts *out)
{
	unsigned int len = opt[1];

	if (opt[0] == KIND_TIMESTAMP && len == LEN_TIMESTAMP) {
		out->has_ts = true;
		out->ts_val = be_get32(opt + 2);
		out->ts_ecr = be_get32(opt + 6);
	} else if (opt[0] == KIND_SACK) {
		parse_sack(opt + 2, len - 2, out);
	}
}

void tgt_opt_parse(const uint8_t *opt, unsigned int len, struct tgt_opts *out)
{
	memset(out, 0, sizeof(*out));
	while (len && opt[0] != KIND_END) {
		unsigned int n = 1;

		if (opt[0] != KIND_NOP) {
			if (len < 2 || opt[1] < 2 || opt[1] > len) {
				out->malformed = true;
				return;
			}
			n = opt[1];
			parse_one(opt, out);
		}
		opt += n;
		len -= n;
	}
}

unsigned int tgt_opt_build(uint8_t *buf, bool ts, uint32_t ts_val, uint32_t ts_ecr,
			   const struct tgt_range *sack, unsigned int count)
{
	uint8_t *p = buf;
	unsigned int fit;

	if (ts) {
		*p++ = KIND_NOP;
		*p++ = KIND_NOP;
		*p++ = KIND_TIMESTAMP;
		*p++ = LEN_TIMESTAMP;
		p = put32(p, ts_val);
		p = put32(p, ts_ecr);
	}
	fit = (TGT_OPT_MAX - (unsigned int)(p - buf) - 4) / 8;
	if (count > fit)
		count = fit;
	if (count) {
		*p++ = KIND_NOP;
		*p++ = KIND_NOP;
		*p++ = KIND_SACK;
		*p++ = (uint8_t)(2 + 8 * count);
		for (unsigned int i = 0; i < count; i++) {
			p = put32(p, sack[i].start);
			p = put32(p, sack[i].end);
		}
	}
	return (unsigned int)(p - buf);
}
