/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_image.h - one TCP connection at rest: what passes between the kernel's socket
 * (host_repair) and the chimney's state structures (host_state).
 *
 *	kernel --host_repair_read()--> image --host_state_*()--> block list
 *	kernel <--host_repair_restore()-- image <--host_state_*()-- block list
 *
 * Sequence numbers are those of the wire; FINs occupy one number each:
 *
 *	rx   unread bytes; the last one is rcv_nxt - 1, or rcv_nxt - 2 when fin_received
 *	tx   bytes from snd_una on: sent up to snd_max, unsent behind; our FIN (fin_queued) follows
 */
#ifndef HOST_HOST_IMAGE_H
#define HOST_HOST_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"
#include "host/host_block.h"

/* TCP states with the kernel's numbers. */
enum host_tcp {
	HOST_TCP_ESTABLISHED = 1,
	HOST_TCP_SYN_SENT,
	HOST_TCP_SYN_RECV,
	HOST_TCP_FIN_WAIT_1,
	HOST_TCP_FIN_WAIT_2,
	HOST_TCP_TIME_WAIT,
	HOST_TCP_CLOSE,
	HOST_TCP_CLOSE_WAIT,
	HOST_TCP_LAST_ACK,
	HOST_TCP_LISTEN,
	HOST_TCP_CLOSING,
	HOST_TCP_STATES
};

#define HOST_TICKS_STOPPED  0xFFFFFFFFu /* a timer that does not run */
#define HOST_TS_AGE_UNKNOWN 0xFFFFFFFFu /* TsRecentAge: TsRecent is not known */

struct host_image {
	uint8_t state; /* enum host_tcp */

	tcp_seq rcv_nxt;
	uint32_t rcv_wnd_bytes; /* advertised, from rcv_nxt on */
	tcp_seq snd_una;
	tcp_seq snd_nxt; /* next to send; below snd_max while something is sent again */
	tcp_seq snd_max; /* highest sent plus one */
	uint32_t snd_wnd_bytes, max_snd_wnd_bytes;
	tcp_seq snd_wl1;
	bool fin_queued; /* our FIN is, or will be, behind tx (below snd_una when acked) */
	bool fin_acked;
	bool fin_received;
	struct host_block *rx, *tx;

	/* agreed in the handshake */
	bool wscale, sack, timestamps, ecn;
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss_clamp; /* the peer's MSS */

	/* estimates; the kernel takes none of them back except the timestamp */
	uint32_t cwnd_bytes, ssthresh_bytes; /* ssthresh UINT32_MAX: none yet */
	uint64_t srtt_us, rttvar_us;
	uint32_t mss_bytes; /* payload of a full segment now */
	uint8_t dup_acks, rexmt_count, wnd_probes, ka_probes;
	uint32_t rexmt_left_ticks, ka_left_ticks, total_rt_ticks; /* ticks of 1 ms */
	uint32_t dwnd;

	uint32_t ts_now; /* timestamp that the next segment would carry */
	uint32_t ts_recent, ts_recent_age_ticks;

	/* cached variables: options of the socket */
	uint32_t rcv_buf_bytes;
	bool nagle, keepalive, cork;
	uint8_t ka_probe_max;
	uint32_t ka_idle_s, ka_interval_s;
	uint32_t user_timeout_ms;
	uint8_t ttl, tos, priority;
	uint32_t flow_label;
};

/* host_image_clear() - let go of the bytes and forget everything. */
static inline void host_image_clear(struct host_image *image)
{
	host_block_put(image->rx);
	host_block_put(image->tx);
	*image = (struct host_image){ 0 };
}

/* host_image_fin_sent() - our FIN was on the wire at least once. */
static inline bool host_image_fin_sent(const struct host_image *image)
{
	return image->fin_acked ||
	       (image->fin_queued &&
		seq_gt(image->snd_max, image->snd_una + (uint32_t)host_block_len(image->tx)));
}

/*
 * host_image_fin_after_peer() - our FIN followed the peer's: LAST_ACK, or CLOSE after an orderly
 * end (fin_acked then says that nothing is left to happen).
 */
static inline bool host_image_fin_after_peer(const struct host_image *image)
{
	return image->state == HOST_TCP_LAST_ACK || image->state == HOST_TCP_CLOSE;
}

/* host_image_sent_bytes() - bytes of tx that were on the wire at least once. */
static inline size_t host_image_sent_bytes(const struct host_image *image)
{
	size_t sent = (uint32_t)(image->snd_max - image->snd_una);

	return sent < host_block_len(image->tx) ? sent : host_block_len(image->tx);
}

#endif
