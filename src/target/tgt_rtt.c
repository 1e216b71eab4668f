/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_rtt.h"

void tgt_rtt_sample(struct tgt_conn *conn, uint64_t rtt_us)
{
	int64_t rtt, error;

	if (rtt_us > TGT_RTO_MAX_US)
		rtt_us = TGT_RTO_MAX_US;
	rtt = rtt_us ? (int64_t)rtt_us : 1;
	if (!conn->srtt_us8) {
		conn->srtt_us8 = (uint32_t)rtt * 8;
		conn->rttvar_us4 = (uint32_t)rtt * 2;
		return;
	}
	error = rtt - (int64_t)(conn->srtt_us8 / 8);
	conn->srtt_us8 = (uint32_t)((int64_t)conn->srtt_us8 + error);
	if (error < 0)
		error = -error;
	conn->rttvar_us4 =
		(uint32_t)((int64_t)conn->rttvar_us4 + error - (int64_t)(conn->rttvar_us4 / 4));
	if (!conn->srtt_us8)
		conn->srtt_us8 = 1;
}

/* An echo from the future, or older than any timeout, says nothing. */
static void sample_timestamp(const struct tgt_adapter *a, struct tgt_conn *conn, uint32_t echo)
{
	uint32_t ticks = tgt_clock_ticks(a) + conn->ts_delta_ticks - echo;
	uint64_t us = tgt_ticks_to_us(a, ticks);

	if (echo && us <= TGT_RTO_MAX_US)
		tgt_rtt_sample(conn, us);
}

void tgt_rtt_on_ack(const struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq ack,
		    const struct tgt_opts *opts, uint64_t now_us)
{
	if (conn->flags & TGT_CF_RTT_TIMING) {
		if (seq_lt(ack, conn->rtt_seq))
			return;
		conn->flags &= ~TGT_CF_RTT_TIMING;
		tgt_rtt_sample(conn, now_us - conn->rtt_start_us);
	} else if (conn->options & TGT_OPT_TIMESTAMP && opts->has_ts) {
		sample_timestamp(a, conn, opts->ts_ecr);
	}
}

void tgt_rtt_on_send(struct tgt_conn *conn, tcp_seq end, uint64_t now_us)
{
	/* In recovery the acknowledgment waits for what was lost before it. */
	if (conn->flags & TGT_CF_RTT_TIMING || conn->phase != TGT_REC_OPEN)
		return;
	conn->flags |= TGT_CF_RTT_TIMING;
	conn->rtt_seq = end;
	conn->rtt_start_us = now_us;
}

void tgt_rtt_on_retransmit(struct tgt_conn *conn)
{
	conn->flags &= ~TGT_CF_RTT_TIMING;
}

uint64_t tgt_rtt_rto(const struct tgt_conn *conn)
{
	uint64_t rto;

	if (!conn->srtt_us8)
		return TGT_RTO_INITIAL_US;
	rto = conn->srtt_us8 / 8 + (uint64_t)conn->rttvar_us4;
	if (rto < TGT_RTO_MIN_US)
		return TGT_RTO_MIN_US;
	return rto < TGT_RTO_MAX_US ? rto : TGT_RTO_MAX_US;
}

uint64_t tgt_rtt_rto_backoff(const struct tgt_conn *conn, unsigned int shift)
{
	uint64_t rto = tgt_rtt_rto(conn);

	if (shift > 16 || rto << shift > TGT_RTO_MAX_US)
		return TGT_RTO_MAX_US;
	return rto << shift;
}
