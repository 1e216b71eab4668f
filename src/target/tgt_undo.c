/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_undo.h"

#include "target/tgt_cc.h"

void tgt_undo_begin(struct tgt_conn *conn)
{
	conn->undo_cwnd_bytes = conn->cwnd_bytes;
	conn->undo_ssthresh_bytes = conn->ssthresh_bytes;
	conn->undo_start = conn->snd_una;
	conn->undo_end = conn->snd_max;
	conn->undo_again_bytes = 0;
	conn->flags |= TGT_CF_UNDO;
	conn->flags &= ~TGT_CF_UNDO_TS;
}

void tgt_undo_sent_again(const struct tgt_adapter *a, struct tgt_conn *conn, uint32_t bytes)
{
	if (!(conn->flags & TGT_CF_UNDO) || conn->phase == TGT_REC_OPEN)
		return;
	if (!conn->undo_again_bytes && conn->options & TGT_OPT_TIMESTAMP) {
		conn->undo_tsval = tgt_clock_ticks(a) + conn->ts_delta_ticks;
		conn->flags |= TGT_CF_UNDO_TS;
	}
	conn->undo_again_bytes += bytes;
}

bool tgt_undo_by_echo(struct tgt_conn *conn, const struct tgt_opts *opts)
{
	bool asked = conn->flags & TGT_CF_UNDO_TS;

	conn->flags &= ~TGT_CF_UNDO_TS;
	return asked && conn->phase != TGT_REC_OPEN && opts->has_ts &&
	       (int32_t)(opts->ts_ecr - conn->undo_tsval) < 0;
}

bool tgt_undo_by_dsack(struct tgt_conn *conn, const struct tgt_delivery *d)
{
	uint32_t bytes = d->dsack.end - d->dsack.start;

	if (!(conn->flags & TGT_CF_UNDO) || !d->has_dsack || !conn->undo_again_bytes ||
	    seq_lt(d->dsack.start, conn->undo_start) || seq_gt(d->dsack.end, conn->undo_end))
		return false;
	if (bytes < conn->undo_again_bytes) {
		conn->undo_again_bytes -= bytes;
		return false;
	}
	conn->undo_again_bytes = 0;
	return true;
}

void tgt_undo_windows(struct tgt_conn *conn)
{
	conn->flags &= ~(TGT_CF_UNDO | TGT_CF_UNDO_TS);
	if (conn->undo_cwnd_bytes > conn->cwnd_bytes)
		conn->cwnd_bytes = conn->undo_cwnd_bytes;
	if (conn->undo_ssthresh_bytes > conn->ssthresh_bytes)
		conn->ssthresh_bytes = conn->undo_ssthresh_bytes;
	tgt_cc_by_id(conn->cc_id)->undo(conn);
}

void tgt_frto_begin(struct tgt_conn *conn)
{
	conn->frto = conn->options & TGT_OPT_TIMESTAMP ? TGT_FRTO_OFF : TGT_FRTO_HEAD;
}

bool tgt_frto_ack(struct tgt_conn *conn, bool advanced, bool original)
{
	if (conn->frto == TGT_FRTO_HEAD) {
		/* Beyond recover it says nothing: the one retransmission repaired all. */
		conn->frto = advanced && seq_lt(conn->snd_una, conn->recover) ? TGT_FRTO_NEW
									      : TGT_FRTO_OFF;
		return false;
	}
	if (conn->frto != TGT_FRTO_NEW)
		return false;
	conn->frto = TGT_FRTO_OFF;
	return original;
}

uint32_t tgt_frto_quota(const struct tgt_conn *conn)
{
	uint32_t most = 2 * tgt_conn_mss(conn), used = conn->snd_max - conn->recover;

	return used < most ? most - used : 0;
}
