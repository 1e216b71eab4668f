/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_window.h"

#include "target/tgt_output.h"
#include "target/tgt_timer.h"

static uint32_t unit(const struct tgt_conn *conn)
{
	return 1u << conn->rcv_wscale;
}

/* The window from rcv_nxt to edge as the field can say it, rounded up. */
static uint32_t field(const struct tgt_conn *conn, tcp_seq edge)
{
	uint32_t wnd = edge - conn->rcv_nxt;
	uint32_t raw = (uint32_t)(((uint64_t)wnd + unit(conn) - 1) >> conn->rcv_wscale);

	return raw < UINT16_MAX ? raw : UINT16_MAX;
}

void tgt_window_init(struct tgt_conn *conn)
{
	conn->rcv_grant = conn->rcv_adv;
	conn->rcv_edge = seq_max(conn->rcv_adv,
				 conn->rcv_nxt + (field(conn, conn->rcv_adv) << conn->rcv_wscale));
}

void tgt_window_advance(struct tgt_conn *conn, uint32_t n)
{
	conn->rcv_nxt += n;
	conn->rcv_adv = seq_max(conn->rcv_adv, conn->rcv_nxt);
	conn->rcv_edge = seq_max(conn->rcv_edge, conn->rcv_nxt);
}

/* By how much the peer's edge could move right, in whole units that the field can express. */
static uint32_t possible_growth(const struct tgt_adapter *a, const struct tgt_conn *conn)
{
	uint32_t held = tgt_deliver_buffered_bytes(a, conn);
	uint32_t open = conn->rcv_edge - conn->rcv_nxt;
	uint32_t room = conn->rcv_buf_bytes > held ? conn->rcv_buf_bytes - held : 0;
	uint32_t most = (uint32_t)UINT16_MAX << conn->rcv_wscale;

	if (room > most)
		room = most;
	room -= room % unit(conn);
	return room > open ? room - open : 0;
}

static uint32_t worthwhile(const struct tgt_conn *conn, uint32_t segments)
{
	uint32_t bytes = segments * tgt_conn_mss(conn);

	return bytes < conn->rcv_buf_bytes / 2 ? bytes : conn->rcv_buf_bytes / 2;
}

static void grant(struct tgt_conn *conn, uint32_t growth)
{
	conn->rcv_adv = conn->rcv_edge + growth;
	conn->rcv_edge = conn->rcv_grant = conn->rcv_adv;
	tgt_timer_stop(conn, TGT_TMR_WINDOW);
}

/*
 * The field rounds up, so that the edge does not move left by the rounding. A stream of segments
 * smaller than the unit could push it on for ever that way; two units beyond what was granted it is
 * rounded down instead.
 */
uint16_t tgt_window_advertise(struct tgt_adapter *a, struct tgt_conn *conn)
{
	uint32_t growth, raw;
	tcp_seq edge;

	if (!(conn->flags & TGT_CF_TAKEN_OVER)) {
		growth = possible_growth(a, conn);
		if (growth && growth >= worthwhile(conn, 1))
			grant(conn, growth);
	}
	conn->flags &= ~TGT_CF_TAKEN_OVER;
	raw = field(conn, conn->rcv_edge);
	edge = conn->rcv_nxt + (raw << conn->rcv_wscale);
	if (raw && seq_gt(edge, conn->rcv_grant + 2 * unit(conn)) && seq_gt(edge, conn->rcv_edge))
		raw--;
	else
		conn->rcv_edge = seq_max(conn->rcv_edge, edge);
	return (uint16_t)raw;
}

static bool closed_to_update(const struct tgt_conn *conn)
{
	return !(conn->flags & TGT_CF_STARTED) ||
	       conn->flags & (TGT_CF_SUSPENDED | TGT_CF_FIN_RECEIVED) || conn->state == TGT_CLOSED;
}

void tgt_rcv_window_changed(struct tgt_adapter *a, struct tgt_conn *conn)
{
	uint32_t growth = possible_growth(a, conn), open = conn->rcv_edge - conn->rcv_nxt;

	if (closed_to_update(conn) || !growth)
		return;
	/* A closed window opens as soon as a segment fits. */
	if (growth >= worthwhile(conn, open ? 2 : 1)) {
		tgt_rcv_window_update(a, conn);
	} else if (a->params.sws_us && open < worthwhile(conn, 2) &&
		   !tgt_timer_running(conn, TGT_TMR_WINDOW)) {
		tgt_timer_set(conn, TGT_TMR_WINDOW, a->now_us + a->params.sws_us);
		tgt_timer_sync(a, conn);
	}
}

void tgt_rcv_window_update(struct tgt_adapter *a, struct tgt_conn *conn)
{
	uint32_t growth = possible_growth(a, conn);

	if (closed_to_update(conn) || !growth)
		return;
	grant(conn, growth);
	conn->flags &= ~TGT_CF_TAKEN_OVER;
	conn->flags |= TGT_CF_ACK_NOW;
	tgt_output(a, conn, a->now_us);
}
