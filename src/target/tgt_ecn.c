/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_ecn.h"

#include "target/tgt_cc.h"

/* Two bits of the IP header. */
enum {
	ECN_ECT_0 = 2,
	ECN_CE = 3,
};

void tgt_ecn_init(struct tgt_conn *conn)
{
	conn->flags &= ~(TGT_CF_ECN_ECHO | TGT_CF_CWR_DUE);
	conn->ecn_end = conn->snd_una - 1;
}

void tgt_ecn_mark(const struct tgt_conn *conn, struct tgt_xmit *x)
{
	if (!tgt_ecn_on(conn))
		return;
	x->ecn = ECN_ECT_0;
	if (conn->flags & TGT_CF_CWR_DUE)
		x->flags |= TGT_TH_CWR;
}

void tgt_ecn_sent(struct tgt_conn *conn, const struct tgt_xmit *x)
{
	if (x->flags & TGT_TH_CWR)
		conn->flags &= ~TGT_CF_CWR_DUE;
}

/* CWR first: a segment that carries both was marked after the peer had reduced (RFC 3168 6.1.3). */
void tgt_ecn_received(struct tgt_conn *conn, const struct tgt_segment *seg)
{
	if (!tgt_ecn_on(conn))
		return;
	if (seg->flags & TGT_TH_CWR) {
		conn->flags &= ~TGT_CF_ECN_ECHO;
		conn->flags |= TGT_CF_ACK_NOW; /* the peer's window may be one segment */
	}
	if (seg->ecn == ECN_CE && !(conn->flags & TGT_CF_ECN_ECHO))
		conn->flags |= TGT_CF_ECN_ECHO | TGT_CF_ACK_NOW;
}

void tgt_ecn_echoed(struct tgt_conn *conn, const struct tgt_delivery *d)
{
	uint32_t flight = conn->snd_max - d->una;

	if (conn->phase != TGT_REC_OPEN || seq_leq(conn->snd_una, conn->ecn_end))
		return;
	conn->ssthresh_bytes = tgt_cc_by_id(conn->cc_id)->lost(conn, flight, d->now_us);
	if (conn->cwnd_bytes > conn->ssthresh_bytes)
		conn->cwnd_bytes = conn->ssthresh_bytes;
	conn->flags &= ~(TGT_CF_UNDO | TGT_CF_UNDO_TS); /* this one was not for nothing */
	tgt_ecn_reduced(conn);
}

void tgt_ecn_reduced(struct tgt_conn *conn)
{
	if (!tgt_ecn_on(conn))
		return;
	conn->flags |= TGT_CF_CWR_DUE;
	conn->ecn_end = conn->snd_max;
}

void tgt_ecn_withdraw(struct tgt_conn *conn)
{
	if (!tgt_ecn_on(conn))
		return;
	conn->flags &= ~TGT_CF_CWR_DUE;
	conn->ecn_end = conn->snd_una - 1;
}

void tgt_ecn_advance(struct tgt_conn *conn)
{
	if (seq_lt(conn->ecn_end, conn->snd_una - 1))
		conn->ecn_end = conn->snd_una - 1;
}
