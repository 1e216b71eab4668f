/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes out, in this order: an ACK with SACK blocks that is due (data segments carry none, so
 * that their size does not depend on them), what counts as lost, then the stream from snd_nxt on,
 * then a plain ACK if one is still due. Without SACK, snd_nxt is below snd_max after a timeout:
 * what lies between is sent again.
 *
 * State is changed before a segment leaves: a process that takes the connection over from the arena
 * must not send new bytes under numbers that the peer may have seen already. When the device
 * refuses, the change is taken back.
 */
#include "target/tgt_output.h"

#include <errno.h>

#include "target/tgt_cc.h"
#include "target/tgt_ecn.h"
#include "target/tgt_hole.h"
#include "target/tgt_opt.h"
#include "target/tgt_pace.h"
#include "target/tgt_persist.h"
#include "target/tgt_prr.h"
#include "target/tgt_reasm.h"
#include "target/tgt_recovery.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sendq.h"
#include "target/tgt_sent.h"
#include "target/tgt_timer.h"
#include "target/tgt_tlp.h"
#include "target/tgt_undo.h"
#include "target/tgt_window.h"

/* Ethernet with tag, IPv6, TCP with all options, and some to spare */
#define SUPER_FRAME_HEADERS 138u

static unsigned int build_options(struct tgt_adapter *a, struct tgt_conn *conn, uint8_t *buf,
				  bool with_sack)
{
	struct tgt_range blocks[TGT_OPT_SACK_MAX] = { 0 };
	unsigned int count = 0;

	if (with_sack && conn->options & TGT_OPT_SACK)
		count = tgt_reasm_sack(a, conn, blocks, TGT_OPT_SACK_MAX);
	return tgt_opt_build(buf, conn->options & TGT_OPT_TIMESTAMP,
			     tgt_clock_ticks(a) + conn->ts_delta_ticks,
			     conn->flags & TGT_CF_TS_VALID ? conn->ts_recent : 0, blocks, count);
}

/*
 * Fill in what every segment with ACK carries, and send it. A segment outside the peer's window
 * (keepalive) does not count as acknowledgment: the peer need not look at it.
 */
static int transmit(struct tgt_adapter *a, struct tgt_conn *conn, struct tgt_xmit *x,
		    bool with_sack)
{
	bool acknowledges = x->seq != conn->snd_una - 1;
	uint8_t opt[TGT_OPT_MAX];
	int err;

	x->ack = conn->rcv_nxt;
	x->flags |= tgt_ecn_flag(conn);
	x->wnd_raw = tgt_window_advertise(a, conn);
	x->opt = opt;
	x->opt_len = (uint8_t)build_options(a, conn, opt, with_sack);
	err = tgt_frame_xmit(a, conn, x);
	if (err != -EAGAIN && acknowledges) {
		tgt_timer_on_ack_sent(conn);
		if (with_sack)
			conn->flags &= ~TGT_CF_DSACK;
	}
	return err;
}

int tgt_output_ack(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	struct tgt_xmit x = { .flags = TGT_TH_ACK };
	int err;

	/* Behind all that was sent, but within the window: outside it the peer would not look at
	 * the rest. */
	x.seq = seq_min(conn->snd_max, conn->snd_una + conn->snd_wnd_bytes);
	err = transmit(a, conn, &x, true);
	if (err == -EAGAIN) {
		conn->flags |= TGT_CF_ACK_NOW;
		tgt_timer_on_device_full(a, conn, now_us);
	}
	return err;
}

void tgt_output_keepalive(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	struct tgt_xmit x = { .seq = conn->snd_una - 1, .flags = TGT_TH_ACK };

	(void)now_us;
	(void)transmit(a, conn, &x, false);
}

int tgt_output_rst(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, uint8_t flags)
{
	uint8_t opt[TGT_OPT_MAX];
	struct tgt_xmit x = { .seq = seq,
			      .ack = flags & TGT_TH_ACK ? conn->rcv_nxt : 0,
			      .flags = flags };

	x.opt = opt;
	x.opt_len = (uint8_t)build_options(a, conn, opt, false);
	return tgt_frame_xmit(a, conn, &x);
}

static bool fin_waits(const struct tgt_conn *conn)
{
	return (conn->flags & (TGT_CF_FIN_QUEUED | TGT_CF_FIN_ACKED)) == TGT_CF_FIN_QUEUED;
}

/* RetransmittedSegments counts segments with any byte sent before. */
static void count_retransmission(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t old_bytes)
{
	uint32_t mss = tgt_conn_mss(conn);

	tgt_conn_counters(a, conn)->retransmitted_segments += (old_bytes + mss - 1) / mss;
	tgt_rtt_on_retransmit(conn);
	tgt_undo_sent_again(a, conn, old_bytes);
}

/* [seq, end) is on its way; old_max is what snd_max was before. */
static void note_sent(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, tcp_seq end,
		      tcp_seq old_max, uint64_t now_us)
{
	bool sack = conn->options & TGT_OPT_SACK;

	if (seq_lt(seq, old_max)) {
		if (sack)
			tgt_sent_again(a, conn, seq, seq_min(end, old_max), now_us);
		count_retransmission(a, conn, seq_min(end, old_max) - seq);
	} else {
		tgt_rtt_on_send(conn, end, now_us);
	}
	if (sack && conn->phase == TGT_REC_FAST)
		tgt_prr_sent(conn, end - seq);
	/* Data answers data: the next ACK will travel with the next answer. */
	if (conn->flags & TGT_CF_GETS_DATA && seq_geq(seq, old_max) &&
	    now_us - conn->last_receive_us < a->params.delayed_ack_us)
		conn->quick_acks = 0;
	tgt_timer_on_data_sent(conn, now_us);
}

/*
 * Send [seq, seq + len) of the queue, with FIN when fin. *end is where it really ended (less when
 * the bytes lie in too many pieces). On -EAGAIN nothing has changed; other errors count as loss on
 * the way.
 */
static int send_range(struct tgt_adapter *a, struct tgt_conn *conn, tcp_seq seq, uint32_t len,
		      bool fin, uint64_t now_us, tcp_seq *end)
{
	struct iovec iov[TGT_SENDQ_IOV];
	struct tgt_xmit x = { .seq = seq, .flags = TGT_TH_ACK, .iov = iov };
	tcp_seq old_nxt = conn->snd_nxt, old_max = conn->snd_max;
	uint32_t mss = tgt_conn_mss(conn);
	bool push;
	int err;

	x.len = len ? tgt_sendq_map(a, conn, seq, len, iov, &x.iovcnt, &push) : 0;
	x.flags |= x.len && push ? TGT_TH_PSH : 0;
	fin = fin && x.len == len;
	x.flags |= fin ? TGT_TH_FIN : 0;
	x.gso_size = x.len > mss ? (uint16_t)mss : 0;
	/* Nothing follows a super-frame at once: a receiver that gathers segments need not wait. */
	x.flags |= x.gso_size ? TGT_TH_PSH : 0;
	*end = seq + x.len + fin;
	x.retransmit = seq_leq(*end, conn->snd_max);
	if (x.len && seq_geq(seq, conn->snd_max) && !(conn->flags & TGT_CF_PERSIST))
		tgt_ecn_mark(conn, &x);
	/* A tail probe begins below snd_nxt and may take a FIN along that was not sent yet. */
	if (conn->snd_nxt == seq || seq_gt(*end, old_max))
		conn->snd_nxt = *end;
	conn->snd_max = seq_max(conn->snd_max, *end);
	if (conn->options & TGT_OPT_SACK && seq_gt(*end, old_max))
		tgt_sent_append(a, conn, *end, now_us);
	err = transmit(a, conn, &x, false);
	if (err == -EAGAIN) {
		conn->snd_nxt = old_nxt;
		conn->snd_max = old_max;
		if (conn->options & TGT_OPT_SACK)
			tgt_sent_truncate(a, conn, old_max);
		tgt_timer_on_device_full(a, conn, now_us);
		return err;
	}
	note_sent(a, conn, seq, *end, old_max, now_us);
	tgt_ecn_sent(conn, &x);
	tgt_pace_sent(conn, x.len, now_us);
	if (x.len && x.len % mss)
		conn->snd_small_end = seq_max(conn->snd_small_end, *end);
	return 0;
}

void tgt_output_probe(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	tcp_seq end;

	/* snd_nxt stays behind what the probe may have counted: once the window opens it goes
	 * again. */
	conn->snd_nxt = conn->snd_una;
	(void)send_range(a, conn, conn->snd_una, conn->sendq.list.bytes ? 1 : 0,
			 !conn->sendq.list.bytes, now_us, &end);
	conn->snd_nxt = conn->snd_una;
	tgt_rtt_on_retransmit(conn);
}

bool tgt_output_tail_probe(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	uint32_t mss = tgt_conn_mss(conn), off = conn->snd_max - conn->snd_una;
	uint32_t wnd = conn->snd_wnd_bytes > off ? conn->snd_wnd_bytes - off : 0;
	tcp_seq end = tgt_sendq_end(conn), seq = conn->snd_max;
	uint32_t len = seq_lt(seq, end) ? end - seq : 0;
	bool fin;

	if (tgt_timer_running(conn, TGT_TMR_RETRY))
		return false;
	if (len > mss)
		len = mss;
	if (!len || len > wnd) {
		len = off < mss ? off : mss;
		seq -= len;
		if (seq_gt(seq + len, end))
			len--; /* the FIN */
	}
	fin = fin_waits(conn) && seq + len == end && (seq_gt(conn->snd_max, end) || wnd > len);
	return !send_range(a, conn, seq, len, fin, now_us, &end);
}

/*
 * Largest payload of one frame that the device takes: a whole number of segments when the device
 * cuts super-frames.
 */
static uint32_t device_limit(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t mss = tgt_conn_mss(conn);
	uint32_t feature = conn->flags & TGT_CF_IPV6 ? NIC_FEAT_TSO6 : NIC_FEAT_TSO4;
	uint32_t frame;

	if (!a->nic_info || !(a->nic_info->features & feature))
		return mss;
	frame = a->nic_info->max_frame_bytes < 65535 ? a->nic_info->max_frame_bytes : 65535;
	if (frame < SUPER_FRAME_HEADERS + mss)
		return mss;
	return (frame - SUPER_FRAME_HEADERS) / mss * mss;
}

static uint32_t frame_limit(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t mss = tgt_conn_mss(conn);

	if (conn->flags & TGT_CF_CWR_DUE)
		return mss;
	return tgt_pace_limit(conn, device_limit(a, conn), mss);
}

/* What counts as lost, as far as cwnd allows. */
static bool send_recovery(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	struct tgt_range range;
	bool fin;
	int err;

	if (tgt_timer_running(conn, TGT_TMR_RETRY) ||
	    !tgt_recovery_next(a, conn, frame_limit(a, conn), &range))
		return false;
	if (tgt_pace_holds(conn, now_us))
		return false;
	fin = fin_waits(conn) && range.end == tgt_sendq_end(conn) + 1;
	err = send_range(a, conn, range.start, range.end - range.start - fin, fin, now_us,
			 &range.end);
	if (err == -EAGAIN)
		return false;
	tgt_recovery_sent(conn, &range);
	return true;
}

/* A short segment at the end of the queue waits while another short one is on its way (Nagle as
 * Minshall put it), or for more data when the host says that more will come. */
static bool tail_holds(struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->options & TGT_OPT_CORK && !(conn->flags & TGT_CF_SWS_EXPIRED)) {
		tgt_timer_on_corked(conn, now_us);
		return true;
	}
	return conn->options & TGT_OPT_NAGLE && seq_gt(conn->snd_small_end, conn->snd_una);
}

/* A short segment cut by the peer's window (TMR-40): held back unless it is worth it, until the
 * timer runs out. */
static bool sws_holds(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t len)
{
	if (!a->params.sws_us || conn->flags & TGT_CF_SWS_EXPIRED ||
	    len >= conn->max_snd_wnd_bytes / 2)
		return false;
	return !tgt_sendq_marked(a, conn, conn->snd_nxt + len);
}

/*
 * Bytes that the window, cwnd and the queue allow at snd_nxt; *fin when our FIN goes with them (or
 * alone). False: nothing may be sent now.
 */
static bool allowed(struct tgt_adapter *a, struct tgt_conn *conn, uint32_t *out, bool *fin,
		    uint64_t now_us)
{
	uint32_t mss = tgt_conn_mss(conn), limit = frame_limit(a, conn);
	uint32_t off = conn->snd_nxt - conn->snd_una;
	uint32_t wnd = conn->snd_wnd_bytes > off ? conn->snd_wnd_bytes - off : 0;
	uint32_t quota = tgt_recovery_quota(a, conn);
	bool again = seq_lt(conn->snd_nxt, conn->snd_max);
	uint32_t queued, len;

	if (seq_gt(conn->snd_nxt, tgt_sendq_end(conn)))
		return false;
	queued = tgt_sendq_end(conn) - conn->snd_nxt;
	*fin = fin_waits(conn) && wnd > queued;
	if (!(queued || *fin) || !wnd)
		return false;
	len = queued < wnd ? queued : wnd;
	if (quota < (len < mss ? len : mss) || !quota) {
		conn->flags |= TGT_CF_CWND_LIMITED;
		return false;
	}
	if (len > quota)
		len = quota;
	if (len > limit)
		len = limit;
	if (len > mss && len < queued)
		len -= len % mss;
	*fin = *fin && len == queued;
	*out = len;
	if (len % mss == 0 || *fin || again)
		return true;
	/* The end is short: it goes along only if it could go alone. */
	if (len == queued ? tail_holds(conn, now_us) : sws_holds(a, conn, len)) {
		if (len < queued)
			tgt_timer_on_held_back(a, conn, now_us);
		*out = len - len % mss;
	}
	return *out;
}

static bool send_stream(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	uint32_t len;
	bool fin;
	tcp_seq end;

	return allowed(a, conn, &len, &fin, now_us) && !tgt_pace_holds(conn, now_us) &&
	       !send_range(a, conn, conn->snd_nxt, len, fin, now_us, &end);
}

static void restart_after_idle(struct tgt_conn *conn, uint64_t now_us)
{
	if (conn->snd_una == conn->snd_max && conn->sendq.list.bytes &&
	    conn->phase == TGT_REC_OPEN && now_us - conn->last_send_us > tgt_rtt_rto(conn))
		tgt_cc_restart(conn, now_us - conn->last_send_us);
}

static bool may_send_data(const struct tgt_conn *conn)
{
	return conn->state != TGT_TIME_WAIT && conn->state != TGT_FIN_WAIT_2 &&
	       !(conn->flags & TGT_CF_PERSIST) && !tgt_timer_running(conn, TGT_TMR_RETRY);
}

static void send_stream_all(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	while (!tgt_timer_running(conn, TGT_TMR_RETRY) && send_stream(a, conn, now_us))
		;
}

static void send_recovery_all(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (tgt_recovery_owes(conn))
		while (send_recovery(a, conn, now_us))
			;
}

/* One larger segment, to learn whether it gets through. */
static void send_hole_probe(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	uint32_t off = conn->snd_nxt - conn->snd_una, quota = tgt_recovery_quota(a, conn);
	uint32_t wnd = conn->snd_wnd_bytes > off ? conn->snd_wnd_bytes - off : 0;
	uint16_t mtu = conn->hole_mtu_bytes;
	tcp_seq seq = conn->snd_nxt, end;
	uint32_t probe;
	int err;

	if (seq != conn->snd_max || seq_geq(seq, tgt_sendq_end(conn)))
		return;
	probe = tgt_hole_probe(conn, tgt_sendq_end(conn) - seq, wnd < quota ? wnd : quota, now_us);
	if (!probe || tgt_timer_running(conn, TGT_TMR_RETRY) || tgt_pace_holds(conn, now_us))
		return;
	conn->hole_mtu_bytes = (uint16_t)probe;
	err = send_range(a, conn, seq, tgt_conn_mss(conn), false, now_us, &end);
	conn->hole_mtu_bytes = mtu;
	if (!err)
		tgt_hole_sent(conn, probe, seq, end);
}

static void send_all(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	restart_after_idle(conn, now_us);
	conn->flags &= ~TGT_CF_CWND_LIMITED;
	send_recovery_all(a, conn, now_us);
	if (conn->hole_mtu_bytes)
		send_hole_probe(a, conn, now_us);
	send_stream_all(a, conn, now_us);
	if (conn->frto && !tgt_timer_running(conn, TGT_TMR_RETRY) &&
	    tgt_recovery_frto_failed(conn)) {
		send_recovery_all(a, conn, now_us);
		send_stream_all(a, conn, now_us);
	}
	conn->flags &= ~TGT_CF_SWS_EXPIRED;
	tgt_cc_validate(conn, tgt_recovery_flight(conn), seq_lt(conn->snd_nxt, tgt_sendq_end(conn)),
			now_us);
}

void tgt_output(struct tgt_adapter *a, struct tgt_conn *conn, uint64_t now_us)
{
	if (!(conn->flags & TGT_CF_STARTED) || conn->flags & (TGT_CF_SUSPENDED | TGT_CF_IN_EVENT) ||
	    conn->state == TGT_CLOSED)
		return;
	if (conn->flags & TGT_CF_ACK_NOW && (conn->reasm.ranges || conn->flags & TGT_CF_DSACK))
		(void)tgt_output_ack(a, conn, now_us);
	tgt_persist_update(a, conn, now_us);
	if (may_send_data(conn))
		send_all(a, conn, now_us);
	if (conn->flags & TGT_CF_ACK_NOW && !tgt_timer_running(conn, TGT_TMR_RETRY))
		(void)tgt_output_ack(a, conn, now_us);
	if (conn->flags & TGT_CF_TLP_DUE)
		tgt_tlp_rearm(conn, now_us);
	tgt_timer_sync(a, conn);
}
