/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_sack.h"

#include "target/tgt_sent.h"

static bool within(const struct tgt_range *inner, const struct tgt_range *outer)
{
	return seq_geq(inner->start, outer->start) && seq_leq(inner->end, outer->end);
}

/* RFC 2883 4: a first block below the acknowledgment, or inside the second. Ancient ones say
 * nothing about what we did. */
static bool is_dsack(const struct tgt_conn *conn, const struct tgt_opts *opts, tcp_seq ack)
{
	const struct tgt_range *first = &opts->sack[0];

	if (!opts->sack_count || !seq_lt(first->start, first->end) ||
	    seq_lt(first->start, conn->snd_una - conn->max_snd_wnd_bytes) ||
	    seq_gt(first->end, conn->snd_max))
		return false;
	return seq_leq(first->end, ack) || (opts->sack_count > 1 && within(first, &opts->sack[1]));
}

void tgt_sack_input(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack,
		    struct tgt_delivery *d)
{
	const struct tgt_opts *opts = d->opts;
	uint32_t before = d->bytes;

	d->has_dsack = is_dsack(conn, opts, ack);
	if (d->has_dsack)
		d->dsack = opts->sack[0];
	for (unsigned int i = 0; i < opts->sack_count; i++) {
		const struct tgt_range *block = &opts->sack[i];

		if (!seq_lt(block->start, block->end) || !seq_gt(block->start, ack) ||
		    !seq_leq(block->end, conn->snd_max))
			continue;
		(void)tgt_sent_sack(a, conn, block->start, block->end, tgt_rack_delivered, d);
	}
	d->sacked_bytes = d->bytes - before;
}
