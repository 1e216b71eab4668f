/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser of options: any bytes. What it found must come back when it is built and parsed again,
 * and no byte behind the end may be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fuzz.h"
#include "target/tgt_opt.h"

static void same(const struct tgt_opts *a, const struct tgt_opts *b, unsigned int blocks)
{
	assert_int_equal(a->has_ts, b->has_ts);
	assert_true(!a->has_ts || (a->ts_val == b->ts_val && a->ts_ecr == b->ts_ecr));
	assert_int_equal(b->sack_count, blocks);
	for (unsigned int i = 0; i < blocks; i++)
		assert_true(a->sack[i].start == b->sack[i].start &&
			    a->sack[i].end == b->sack[i].end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int len = size > TGT_OPT_MAX ? TGT_OPT_MAX : (unsigned int)size, fit;
	uint8_t built[TGT_OPT_MAX], *exact = malloc(len ? len : 1);
	struct tgt_opts first, again;

	assert_non_null(exact);
	if (len)
		memcpy(exact, data, len);
	tgt_opt_parse(exact, len, &first);
	free(exact);
	assert_true(first.sack_count <= TGT_OPT_SACK_MAX);
	fit = first.has_ts ? 3 : 4;
	len = tgt_opt_build(built, first.has_ts, first.ts_val, first.ts_ecr, first.sack,
			    first.sack_count);
	assert_true(len <= TGT_OPT_MAX && len % 4 == 0);
	tgt_opt_parse(built, len, &again);
	assert_false(again.malformed);
	same(&first, &again, first.sack_count < fit ? first.sack_count : fit);
	return 0;
}
