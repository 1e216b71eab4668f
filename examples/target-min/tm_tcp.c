/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tm_tcp.c - TCP itself (RFC 9293, 7323, 5961, 6298), as small as it gets: one segment in flight,
 * received data in order only, no congestion control (one segment never exceeds a window).
 *
 * One timer serves what is in flight and what may not be sent yet: when it fires, the first segment
 * goes out, again, even if the peer's window invites only one byte of it.
 */
#include "tm.h"

#include <string.h>

#define ETH_BYTES   14u
#define IP_BYTES    20u
#define TCP_BYTES   20u
#define TS_BYTES    12u
#define FIN         0x01u
#define SYN         0x02u
#define RST         0x04u
#define PSH         0x08u
#define ACK         0x10u
#define URG         0x20u
#define RTO_MIN_US  200000u
#define RTO_MAX_US  60000000u
#define PAWS_OLD_US (24ull * 86400 * 1000000) /* a timestamp kept for longer proves nothing */

/* Sequence numbers wrap. */
static int32_t diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum16(const uint8_t *p, uint32_t bytes, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i + 1 < bytes; i += 2)
		sum += get16(p + i);
	if (bytes & 1)
		sum += (uint32_t)p[bytes - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Addresses lie in front of the TCP header, where IP has them. Right when it was in place: 0. */
static uint16_t tcp_checksum(const uint8_t *ip, const uint8_t *tcp, uint32_t bytes)
{
	return (uint16_t)~sum16(tcp, bytes, sum16(ip + 12, 8, 6 + bytes));
}

static bool has_timestamps(const struct tm_conn *conn)
{
	return conn->constant.Flags & TCP_FLAG_TIMESTAMP_ENABLED;
}

static unsigned int send_scale(const struct tm_conn *conn)
{
	bool scaled = conn->constant.Flags & TCP_FLAG_WINDOW_SCALING_ENABLED;

	return scaled ? conn->constant.SndWindScale : 0;
}

static unsigned int receive_scale(const struct tm_conn *conn)
{
	bool scaled = conn->constant.Flags & TCP_FLAG_WINDOW_SCALING_ENABLED;

	return scaled ? conn->constant.RcvWindScale : 0;
}

uint32_t tm_timestamp(const struct tm_conn *conn)
{
	const struct tm_adapter *a = conn->adapter;

	return conn->d.TsTime + tm_us_ticks(a, a->now_us - conn->started_us);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void put_headers(struct tm_conn *conn, uint8_t *f, uint32_t tcp_bytes)
{
	struct tm_adapter *a = conn->adapter;
	uint8_t *ip = f + ETH_BYTES;

	memcpy(f, conn->path->neighbor->mac, 6);
	memcpy(f + 6, a->nic->mac, 6);
	put16(f + 12, 0x0800);
	memset(ip, 0, IP_BYTES);
	ip[0] = 0x45;
	ip[1] = conn->cached.TosOrTrafficClass & 0xfc;
	put16(ip + 2, IP_BYTES + tcp_bytes);
	put16(ip + 4, a->ip_id++);
	ip[6] = 0x40; /* do not fragment */
	ip[8] = conn->cached.TtlOrHopLimit;
	ip[9] = 6;
	memcpy(ip + 12, conn->path->local, 4);
	memcpy(ip + 16, conn->path->remote, 4);
	put16(ip + 10, (uint16_t)~sum16(ip, IP_BYTES, 0));
}

static uint32_t put_tcp(struct tm_conn *conn, uint8_t *tcp, uint32_t seq, uint8_t flags)
{
	uint32_t window = conn->d.RcvWnd >> receive_scale(conn), bytes = TCP_BYTES;

	memset(tcp, 0, TCP_BYTES);
	memcpy(tcp, &conn->constant.LocalPort, 2);
	memcpy(tcp + 2, &conn->constant.RemotePort, 2);
	put32(tcp + 4, seq);
	put32(tcp + 8, conn->d.RcvNxt);
	tcp[13] = flags;
	put16(tcp + 14, window < 0xffff ? window : 0xffff);
	if (has_timestamps(conn)) {
		put32(tcp + TCP_BYTES, 0x0101080a);
		put32(tcp + TCP_BYTES + 4, tm_timestamp(conn));
		put32(tcp + TCP_BYTES + 8, conn->d.TsRecent);
		bytes += TS_BYTES;
	}
	tcp[12] = (uint8_t)(bytes << 2);
	return bytes;
}

static void read_sends(const struct tm_conn *conn, uint32_t offset, uint8_t *to, uint32_t bytes)
{
	const NET_BUFFER_LIST *nbl;
	uint32_t there, done = 0;

	for (nbl = conn->sends.head; nbl && done < bytes; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		there = tm_list_bytes(nbl);
		if (offset < there)
			done += tm_list_read(nbl, offset, to + done, bytes - done);
		offset = offset < there ? 0 : offset - there;
	}
}

/*
 * One segment. Returns: whether the nic took it. Every segment carries the newest acknowledgment.
 */
static bool emit(struct tm_conn *conn, uint32_t seq, uint32_t bytes, uint8_t flags)
{
	struct tm_adapter *a = conn->adapter;
	uint8_t *f = a->frame, *tcp = f + ETH_BYTES + IP_BYTES;
	uint32_t head = put_tcp(conn, tcp, seq, flags);

	put_headers(conn, f, head + bytes);
	read_sends(conn, seq - conn->d.SndUna, tcp + head, bytes);
	put16(tcp + 16, tcp_checksum(f + ETH_BYTES, tcp, head + bytes));
	if (a->nic->send(a->nic->context, f, ETH_BYTES + IP_BYTES + head + bytes)) {
		a->retry_us = a->now_us;
		return false;
	}
	conn->ack_now = false;
	conn->unacked = 0;
	conn->ack_at_us = 0;
	return true;
}

static bool may_send(const struct tm_conn *conn)
{
	return !conn->stopped && !conn->aborted && !conn->path->object.invalid &&
	       !conn->path->neighbor->object.invalid && conn->d.State != TcpConnectionClosed;
}

/* An ACK is no use of the connection for data: the number behind all that was ever sent. */
void tm_send_ack(struct tm_conn *conn)
{
	if (!emit(conn, conn->d.SndMax, 0, ACK))
		conn->ack_now = true;
}

void tm_send_reset(struct tm_conn *conn)
{
	emit(conn, conn->d.SndNxt, 0, RST | ACK);
}

static uint64_t rto_us(const struct tm_conn *conn)
{
	unsigned int tries = conn->d.Retransmit.Count + conn->d.SndWndProbeCount;
	uint64_t rto = conn->srtt_us ? conn->srtt_us + 4ull * conn->rttvar_us : 1000000u;

	if (rto < RTO_MIN_US)
		rto = RTO_MIN_US;
	rto <<= tries < 10 ? tries : 10;
	return rto < RTO_MAX_US ? rto : RTO_MAX_US;
}

/*
 * Bytes of the first segment: as much as fits, if that is worth a segment (RFC 9293 3.8.6.2.1); 0:
 * not now.
 */
static uint32_t worth_sending(const struct tm_conn *conn)
{
	uint32_t most = conn->path->mtu_bytes - IP_BYTES - TCP_BYTES, bytes = conn->send_bytes;

	if (most > conn->constant.RemoteMss)
		most = conn->constant.RemoteMss;
	if (has_timestamps(conn))
		most -= TS_BYTES;
	if (bytes > most)
		bytes = most;
	if (bytes <= conn->d.SndWnd)
		return bytes;
	if (conn->d.SndWnd >= conn->d.MaxSndWnd / 2 && conn->d.SndWnd)
		return conn->d.SndWnd;
	return conn->forced ? conn->d.SndWnd ? conn->d.SndWnd : 1 : 0;
}

static void fin_leaves(struct tm_conn *conn)
{
	if (conn->d.State == TcpConnectionEstablished)
		conn->d.State = TcpConnectionFinWait1;
	else if (conn->d.State == TcpConnectionCloseWait)
		conn->d.State = TcpConnectionLastAck;
}

static void send_first(struct tm_conn *conn)
{
	uint32_t bytes = worth_sending(conn);
	bool all = bytes == conn->send_bytes, fin = all && conn->fin && !conn->fin_acked;
	uint8_t flags = (uint8_t)(ACK | (all && bytes ? PSH : 0) | (fin ? FIN : 0));

	if (!conn->rto_at_us)
		conn->rto_at_us = conn->adapter->now_us + rto_us(conn);
	if (!bytes && !fin)
		return;
	if (!emit(conn, conn->d.SndUna, bytes, flags))
		return;
	if (fin)
		fin_leaves(conn);
	conn->forced = false;
	conn->d.SndNxt = conn->d.SndUna + bytes + fin;
	conn->last_timed = diff(conn->d.SndNxt, conn->d.SndMax) > 0;
	if (conn->last_timed)
		conn->d.SndMax = conn->d.SndNxt;
	conn->sent_us = conn->adapter->now_us;
	conn->rto_at_us = conn->sent_us + rto_us(conn);
}

void tm_output(struct tm_conn *conn)
{
	bool waits = conn->send_bytes || (conn->fin && !conn->fin_acked);

	if (!conn->live || !may_send(conn))
		return;
	if (waits && conn->d.SndNxt == conn->d.SndUna)
		send_first(conn);
	if (conn->ack_now)
		tm_send_ack(conn);
}

/* ---- the receive window ---------------------------------------------------------------------- */

/* The right edge never moves left, and moves right only when that is worth telling. */
void tm_window_open(struct tm_conn *conn)
{
	uint32_t most = 0xffffu << receive_scale(conn), step = 2u * conn->constant.RemoteMss;
	uint32_t room = conn->rx_bytes < conn->cached.InitialRcvWnd
				? conn->cached.InitialRcvWnd - conn->rx_bytes
				: 0;

	if (room > most)
		room = most;
	if (step > conn->cached.InitialRcvWnd / 2)
		step = conn->cached.InitialRcvWnd / 2;
	if (conn->fin_received || room <= conn->d.RcvWnd || room - conn->d.RcvWnd < step)
		return;
	conn->d.RcvWnd = room;
	conn->ack_now = true;
}

/* ---- segments in ----------------------------------------------------------------------------- */

struct segment {
	uint32_t seq, ack, window, bytes;
	uint8_t flags;
	const uint8_t *data;
	bool timestamps;
	uint32_t ts_value, ts_echo;
};

static bool parse(const struct tm_conn *conn, const uint8_t *tcp, uint32_t bytes, struct segment *s)
{
	uint32_t head = bytes >= TCP_BYTES ? tcp[12] >> 4 << 2 : 0, at, size;

	if (head < TCP_BYTES || head > bytes)
		return false;
	*s = (struct segment){ get32(tcp + 4),
			       get32(tcp + 8),
			       (uint32_t)get16(tcp + 14) << send_scale(conn),
			       bytes - head,
			       tcp[13],
			       tcp + head,
			       false,
			       0,
			       0 };
	for (at = TCP_BYTES; at < head && tcp[at]; at += size) {
		size = tcp[at] == 1 ? 1 : at + 1 < head ? tcp[at + 1] : 0;
		if (!size || (size == 1 && tcp[at] != 1) || at + size > head)
			break;
		if (tcp[at] != 8 || size != 10)
			continue;
		s->timestamps = true;
		s->ts_value = get32(tcp + at + 2);
		s->ts_echo = get32(tcp + at + 6);
	}
	return true;
}

/* RFC 7323 5: an old duplicate. */
static bool is_old(const struct tm_conn *conn, const struct segment *s)
{
	return has_timestamps(conn) && s->timestamps && !(s->flags & RST) &&
	       diff(s->ts_value, conn->d.TsRecent) < 0 && conn->ts_recent_us &&
	       conn->adapter->now_us - conn->ts_recent_us < PAWS_OLD_US;
}

static bool in_window(const struct tm_conn *conn, const struct segment *s)
{
	uint32_t length = s->bytes + (s->flags & FIN ? 1 : 0), end = s->seq + length;
	int32_t first = diff(s->seq, conn->d.RcvNxt);

	if (!conn->d.RcvWnd)
		return !length && !first;
	if (first >= 0)
		return first < (int32_t)conn->d.RcvWnd;
	return length && diff(end, conn->d.RcvNxt) > 0;
}

static void measure(struct tm_conn *conn)
{
	uint32_t rtt = (uint32_t)(conn->adapter->now_us - conn->sent_us), off;

	if (!conn->last_timed)
		return;
	conn->last_timed = false;
	if (!conn->srtt_us) {
		conn->srtt_us = rtt ? rtt : 1;
		conn->rttvar_us = rtt / 2;
		return;
	}
	off = rtt > conn->srtt_us ? rtt - conn->srtt_us : conn->srtt_us - rtt;
	conn->rttvar_us += off / 4 - conn->rttvar_us / 4;
	conn->srtt_us += rtt / 8 - conn->srtt_us / 8;
}

/* TIME_WAIT is the host's to wait out; until it takes the connection, FINs are acknowledged. */
static void enter_time_wait(struct tm_conn *conn)
{
	conn->d.State = TcpConnectionTimeWait;
	conn->event_reason = UploadRequested;
}

static void fin_is_acked(struct tm_conn *conn)
{
	conn->fin_acked = true;
	tm_disconnect_end(conn, NDIS_STATUS_SUCCESS);
	if (conn->d.State == TcpConnectionFinWait1)
		conn->d.State = TcpConnectionFinWait2;
	else if (conn->d.State == TcpConnectionClosing)
		enter_time_wait(conn);
	else if (conn->d.State == TcpConnectionLastAck)
		conn->d.State = TcpConnectionClosed;
}

static void new_ack(struct tm_conn *conn, uint32_t ack)
{
	uint32_t bytes = ack - conn->d.SndUna;
	bool fin = bytes > conn->send_bytes;

	measure(conn);
	tm_sends_acked(conn, fin ? conn->send_bytes : bytes);
	conn->d.SndUna = ack;
	if (diff(conn->d.SndNxt, ack) < 0)
		conn->d.SndNxt = ack;
	conn->d.Retransmit.Count = 0;
	conn->d.SndWndProbeCount = 0;
	conn->d.TotalRT = 0;
	conn->rto_at_us = conn->d.SndNxt != ack ? conn->adapter->now_us + rto_us(conn) : 0;
	conn->path->neighbor->progress_us = conn->adapter->now_us;
	if (fin)
		fin_is_acked(conn);
}

/* Returns: false when the segment acknowledges what was never sent. */
static bool take_ack(struct tm_conn *conn, const struct segment *s)
{
	TCP_OFFLOAD_STATE_DELEGATED *d = &conn->d;
	bool was_closed = !d->SndWnd;

	if (diff(s->ack, d->SndMax) > 0)
		return false;
	if (diff(s->ack, d->SndUna) > 0)
		new_ack(conn, s->ack);
	if (s->ack != d->SndUna || diff(s->seq, d->SendWL1) < 0)
		return true; /* older than what is known */
	d->SndWnd = s->window;
	d->SendWL1 = s->seq;
	if (d->MaxSndWnd < s->window)
		d->MaxSndWnd = s->window;
	if (was_closed)
		d->Retransmit.Count = 0; /* the peer is there */
	if (was_closed && d->SndWnd) {   /* what was a probe is sent again, as data */
		d->SndWndProbeCount = 0;
		d->SndNxt = d->SndUna;
		conn->rto_at_us = 0;
	}
	return true;
}

static void ack_later(struct tm_conn *conn)
{
	const struct tm_adapter *a = conn->adapter;

	if (++conn->unacked >= a->params.TcpAckFrequency)
		conn->ack_now = true;
	else if (!conn->ack_at_us)
		conn->ack_at_us = a->now_us + tm_ticks_us(a, a->params.TcpDelayedAckTicks);
}

/* Returns: whether the segment was taken to its end, so that a FIN in it counts. */
static bool take_data(struct tm_conn *conn, struct segment *s)
{
	uint32_t old = conn->d.RcvNxt - s->seq, bytes;

	if (diff(s->seq, conn->d.RcvNxt) > 0 || old > s->bytes) {
		conn->ack_now = true; /* a hole, or all of it known already */
		return false;
	}
	bytes = s->bytes - old;
	if (conn->fin_received)
		return false;
	if (bytes > conn->d.RcvWnd)
		bytes = conn->d.RcvWnd;
	memcpy(conn->rx + conn->rx_bytes, s->data + old, bytes);
	conn->rx_bytes += bytes;
	conn->d.RcvNxt += bytes;
	conn->d.RcvWnd -= bytes;
	if (s->flags & PSH)
		conn->rx_pushed = conn->rx_bytes;
	if (bytes)
		ack_later(conn);
	else if (s->bytes)
		conn->ack_now = true;
	return bytes == s->bytes - old;
}

static void take_fin(struct tm_conn *conn)
{
	conn->d.RcvNxt++;
	if (conn->d.RcvWnd)
		conn->d.RcvWnd--;
	conn->fin_received = true;
	conn->rx_pushed = conn->rx_bytes;
	conn->ack_now = true;
	if (conn->d.State == TcpConnectionEstablished)
		conn->d.State = TcpConnectionCloseWait;
	else if (conn->d.State == TcpConnectionFinWait1)
		conn->d.State = TcpConnectionClosing;
	else if (conn->d.State == TcpConnectionFinWait2)
		enter_time_wait(conn);
}

/* RFC 5961: only the exact number ends the connection; any other is asked about by an ACK. */
static void take_reset(struct tm_conn *conn, const struct segment *s)
{
	if (s->seq != conn->d.RcvNxt) {
		conn->ack_now = true;
		return;
	}
	conn->d.State = TcpConnectionClosed;
	conn->aborted = conn->abort_event = true;
}

static void take_segment(struct tm_conn *conn, struct segment *s)
{
	if (is_old(conn, s) || !in_window(conn, s)) {
		/* Its acknowledgment may be new even so: the peer's window probes look like that. */
		if (!(s->flags & (RST | SYN)) && s->flags & ACK && !is_old(conn, s))
			take_ack(conn, s);
		conn->ack_now |= !(s->flags & RST);
		return;
	}
	if (s->flags & RST) {
		take_reset(conn, s);
		return;
	}
	if (s->flags & SYN || !(s->flags & ACK) || !take_ack(conn, s)) {
		conn->ack_now = true;
		return;
	}
	if (s->flags & URG) {
		tm_ask_back(conn, ReceivedUrgentData); /* the peer will send it again */
		return;
	}
	if (s->timestamps && diff(s->seq, conn->d.RcvNxt) <= 0) {
		conn->d.TsRecent = s->ts_value;
		conn->ts_recent_us = conn->adapter->now_us;
	}
	if ((s->bytes || s->flags & FIN) && take_data(conn, s) && s->flags & FIN)
		take_fin(conn);
}

void tm_segment(struct tm_conn *conn, const uint8_t *tcp, uint32_t bytes)
{
	struct segment s;

	if (!parse(conn, tcp, bytes, &s))
		return;
	tm_keepalive_restart(conn);
	take_segment(conn, &s);
	if (conn->ack_now && may_send(conn) && conn->live)
		tm_send_ack(conn);
	conn->adapter->work = true;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static struct tm_conn *find(const struct tm_adapter *a, const uint8_t *ip, const uint8_t *tcp)
{
	struct tm_conn *conn;

	for (conn = a->conns; conn; conn = conn->next)
		if (!memcmp(&conn->constant.RemotePort, tcp, 2) &&
		    !memcmp(&conn->constant.LocalPort, tcp + 2, 2) &&
		    !memcmp(conn->path->remote, ip + 12, 4) &&
		    !memcmp(conn->path->local, ip + 16, 4))
			return conn;
	return NULL;
}

/* Whole TCP over IPv4 without IP options. */
static bool is_tcp(const uint8_t *f, uint32_t bytes, uint32_t *ip_bytes)
{
	const uint8_t *ip = f + ETH_BYTES;

	if (bytes < ETH_BYTES + IP_BYTES + TCP_BYTES || get16(f + 12) != 0x0800 || ip[0] != 0x45)
		return false;
	*ip_bytes = get16(ip + 2);
	return ip[9] == 6 && !(get16(ip + 6) & 0x3fff) && *ip_bytes >= IP_BYTES + TCP_BYTES &&
	       *ip_bytes <= bytes - ETH_BYTES;
}

void tm_frame(struct tm_adapter *a, const uint8_t *f, uint32_t bytes)
{
	const uint8_t *ip = f + ETH_BYTES, *tcp = ip + IP_BYTES;
	struct tm_conn *conn;
	uint32_t ip_bytes;

	conn = is_tcp(f, bytes, &ip_bytes) ? find(a, ip, tcp) : NULL;
	if (!conn || conn->stopped || conn->aborted || conn->d.State == TcpConnectionClosed) {
		a->nic->indicate(a->nic->context, f, bytes);
		return;
	}
	if (sum16(ip, IP_BYTES, 0) != 0xffff || tcp_checksum(ip, tcp, ip_bytes - IP_BYTES))
		return;
	tm_segment(conn, tcp, ip_bytes - IP_BYTES);
}

/* ---- timers ---------------------------------------------------------------------------------- */

void tm_keepalive_restart(struct tm_conn *conn)
{
	const struct tm_adapter *a = conn->adapter;
	bool on = conn->cached.Flags & TCP_FLAG_KEEP_ALIVE_ENABLED;

	conn->d.KeepAlive.ProbeCount = 0;
	conn->ka_at_us = on ? a->now_us + tm_ticks_us(a, conn->cached.KaTimeout) : 0;
}

static bool gave_up(const struct tm_conn *conn)
{
	ULONG most = conn->cached.MaxRT;

	if (most)
		return most != 0xffffffffu && conn->d.TotalRT >= most;
	return conn->d.Retransmit.Count > conn->adapter->params.TcpMaximumRetransmissions;
}

static void retransmit(struct tm_conn *conn)
{
	conn->rto_at_us = 0;
	if (conn->d.SndNxt == conn->d.SndUna || !conn->d.SndWnd)
		conn->d.SndWndProbeCount += conn->d.SndWndProbeCount < 255;
	if (conn->d.SndNxt != conn->d.SndUna) {
		conn->d.TotalRT += tm_us_ticks(conn->adapter, rto_us(conn));
		conn->d.Retransmit.Count += conn->d.Retransmit.Count < 255;
	}
	if (gave_up(conn)) {
		tm_ask_back(conn, TimeoutExpiration);
		return;
	}
	conn->d.SndNxt = conn->d.SndUna;
	conn->forced = true;
}

/* A probe is a segment in front of the window, which the peer has to answer. */
static void keepalive(struct tm_conn *conn)
{
	const struct tm_adapter *a = conn->adapter;

	if (conn->d.KeepAlive.ProbeCount >= conn->cached.KaProbeCount) {
		conn->ka_at_us = 0;
		tm_ask_back(conn, TimeoutExpiration);
		return;
	}
	conn->d.KeepAlive.ProbeCount++;
	conn->ka_at_us = a->now_us + tm_ticks_us(a, conn->cached.KaInterval);
	if (may_send(conn))
		emit(conn, conn->d.SndUna - 1, 0, ACK);
}

static bool is_due(const struct tm_conn *conn, uint64_t at_us)
{
	return at_us && at_us <= conn->adapter->now_us;
}

void tm_timers(struct tm_conn *conn)
{
	if (conn->stopped || conn->aborted)
		conn->rto_at_us = conn->ack_at_us = conn->push_at_us = conn->ka_at_us = 0;
	if (is_due(conn, conn->rto_at_us))
		retransmit(conn);
	if (is_due(conn, conn->ka_at_us))
		keepalive(conn);
	if (is_due(conn, conn->ack_at_us))
		conn->ack_now = true;
	if (is_due(conn, conn->push_at_us)) {
		conn->push_at_us = 0;
		conn->push_due = true;
	}
}

uint64_t tm_deadline(const struct tm_conn *conn)
{
	const uint64_t at[] = { conn->rto_at_us, conn->ack_at_us, conn->push_at_us,
				conn->ka_at_us };
	uint64_t next = UINT64_MAX;
	size_t i;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i] && at[i] < next)
			next = at[i];
	return next;
}
