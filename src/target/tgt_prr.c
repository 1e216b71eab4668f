/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_prr.h"

#include "target/tgt_sent.h"

void tgt_prr_begin(struct tgt_conn *conn, const struct tgt_delivery *d)
{
	uint32_t before = conn->sent.sacked_bytes, acked = 0;

	if (d) {
		before -= d->sacked_bytes;
		acked = conn->snd_una - d->una;
	}
	conn->prr_delivered_bytes = conn->prr_out_bytes = 0;
	/* RecoverFS. What was acknowledged may have been SACKed before; too much is safe. */
	conn->prr_flight_bytes = conn->snd_max - conn->snd_una - before + acked;
	if (!d) /* the first retransmission goes at once */
		conn->cwnd_bytes = tgt_sent_flight(conn) + tgt_conn_mss(conn);
}

static uint64_t proportional(const struct tgt_conn *conn)
{
	uint64_t whole = conn->prr_flight_bytes ? conn->prr_flight_bytes : 1;
	uint64_t due =
		((uint64_t)conn->prr_delivered_bytes * conn->ssthresh_bytes + whole - 1) / whole;

	return due > conn->prr_out_bytes ? due - conn->prr_out_bytes : 0;
}

/* The network holds less than ssthresh: back up to it, faster while no more losses show up. */
static uint64_t slow_start(const struct tgt_conn *conn, const struct tgt_delivery *d,
			   uint32_t flight)
{
	bool safe = conn->snd_una != d->una && !d->lost_bytes;
	uint64_t count = 0, room = conn->ssthresh_bytes - flight;

	if (conn->prr_delivered_bytes > conn->prr_out_bytes)
		count = conn->prr_delivered_bytes - conn->prr_out_bytes;
	if (count < d->bytes)
		count = d->bytes;
	if (safe)
		count += tgt_conn_mss(conn);
	return count < room ? count : room;
}

void tgt_prr_ack(struct tgt_conn *conn, const struct tgt_delivery *d)
{
	uint32_t flight = tgt_sent_flight(conn), mss = tgt_conn_mss(conn);
	uint64_t count;

	if (!d->bytes)
		return;
	conn->prr_delivered_bytes += d->bytes;
	count = flight > conn->ssthresh_bytes ? proportional(conn) : slow_start(conn, d, flight);
	if (!conn->prr_out_bytes && count < mss)
		count = mss; /* one retransmission goes at once */
	conn->cwnd_bytes = (uint32_t)(flight + count);
}

void tgt_prr_sent(struct tgt_conn *conn, uint32_t bytes)
{
	conn->prr_out_bytes += bytes;
}
