/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's own TCP as far as it is needed: listening, the handshake, and the hand-over to the
 * target in the moment in which the connection is ESTABLISHED. After that, the program's reads and
 * writes as goals of the connection's end (sim_sock.h).
 *
 * The program reads from the target only what it asks for, so that unread bytes close the window as
 * they do in a kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nic/nic_sim_frame.h"
#include "pd.h"
#include "sim/sim_host.h"
#include "target/tgt_deliver.h"
#include "target/tgt_driver.h"
#include "target/tgt_flow.h"

enum {
	INITIAL_CWND_SEGMENTS = 10,
	DEFAULT_PEER_MSS = 536,
	TS_OPTION_BYTES = 12,
	CORK_US = 200000,
	WINDOW_FIELD_MAX = 65535,
	CLOCK_START = 100, /* timestamps of a fresh connection */
};

/* Sockets. */

struct pd_sock *pd_sock_new(enum pd_kind kind)
{
	unsigned int i, j;

	for (i = 0; i < PD_SOCKS; i++) {
		struct pd_sock *sock = &pd.socks[i];

		if (sock->kind != PD_NONE)
			continue;
		memset(sock, 0, sizeof(*sock));
		sock->kind = kind;
		sock->fd = PD_FD_BASE + (int)i;
		sock->open = true;
		for (j = 0; j < PD_WATCHES; j++)
			sock->watches[j].fd = -1;
		return sock;
	}
	errno = EMFILE;
	return NULL;
}

void pd_sock_release(struct pd_sock *sock)
{
	if (sock->sock)
		return; /* its connection ends with the world */
	free(sock->rx);
	memset(sock, 0, sizeof(*sock));
}

/* What the sysctls and options give. */

uint32_t pd_rcv_buf(const struct pd_options *opt)
{
	if (opt->rcv_buf_bytes)
		return opt->rcv_buf_bytes / 2;
	return (uint32_t)pd_sysctl("tcp_rmem", 1, 131072) / 2;
}

/* As large as the buffer may grow; a buffer that the program fixed does not. */
int pd_rcv_wscale(const struct pd_options *opt)
{
	uint32_t most = pd_rcv_buf(opt), limit = (uint32_t)pd_sysctl("tcp_rmem", 2, 6291456);
	int scale = 0;

	if (!opt->rcv_buf_bytes && limit > most)
		most = limit;
	while (scale < 14 && most >> scale > WINDOW_FIELD_MAX)
		scale++;
	return scale;
}

static uint16_t first_window(const struct pd_sock *sock)
{
	uint32_t bytes = pd_rcv_buf(&sock->opt);

	return bytes < WINDOW_FIELD_MAX ? (uint16_t)bytes : WINDOW_FIELD_MAX;
}

/* The engine's view, for numbers that a program may ask for. */

struct tgt_conn *pd_engine(const struct pd_sock *sock, struct tgt_adapter **adapter)
{
	struct tgt_tuple tuple = { .v6 = sock->conn && sock->conn->family == SIM_V6 };
	const struct sim_sock *end = sock->sock;
	struct tgt_flow *flow;
	size_t bytes = tuple.v6 ? 16 : 4;

	if (!end || end->phase != SIM_LIVE || end->at->place == SIM_PEER)
		return NULL;
	*adapter = end->at->adapter;
	memcpy(tuple.local, end->at->address[sock->conn->family], bytes);
	memcpy(tuple.remote, pd.world->bindings[SIM_PEER].address[sock->conn->family], bytes);
	tuple.local_port_be = end->state.constant.LocalPort;
	tuple.remote_port_be = end->state.constant.RemotePort;
	flow = tgt_flow_find((*adapter)->flows, &tuple);
	if (!flow || flow->slot == TGT_FLOW_NO_CONN)
		return NULL;
	return tgt_conn_of_slot(*adapter, flow->slot);
}

/* Hand-over. */

static void keep_data(struct sim_sock *end, const uint8_t *data, uint32_t len)
{
	struct pd_sock *sock = end->app.ctx;

	if (sock->rx_bytes + len > sock->rx_room) {
		sock->rx_room = (sock->rx_bytes + len) * 2;
		sock->rx = realloc(sock->rx, sock->rx_room);
		if (!sock->rx)
			pd_fail("no memory");
	}
	memcpy(sock->rx + sock->rx_bytes, data, len);
	sock->rx_bytes += len;
}

static void end_of_stream(struct sim_sock *end)
{
	((struct pd_sock *)end->app.ctx)->progress++;
}

static void moved(struct sim_sock *end, bool ok)
{
	(void)end;
	if (ok)
		pd.counts.uploads++;
}

struct preparation {
	struct pd_sock *sock;
	uint32_t rtt_ms;
	uint32_t mss;
};

static void prepare_cached(const struct pd_sock *sock, TCP_OFFLOAD_STATE_CACHED *cached)
{
	const struct pd_options *opt = &sock->opt;
	bool nagle = !opt->nodelay;

	cached->Flags = (USHORT)(nagle ? cached->Flags | TCP_FLAG_NAGLING_ENABLED
				       : cached->Flags & ~TCP_FLAG_NAGLING_ENABLED);
	cached->Flags = (USHORT)(opt->keepalive ? cached->Flags | TCP_FLAG_KEEP_ALIVE_ENABLED
						: cached->Flags & ~TCP_FLAG_KEEP_ALIVE_ENABLED);
	cached->KaTimeout = (opt->ka_idle_s ? opt->ka_idle_s : 7200) * 1000;
	cached->KaInterval = (opt->ka_interval_s ? opt->ka_interval_s : 75) * 1000;
	cached->KaProbeCount = (UCHAR)(opt->ka_probes ? opt->ka_probes : 9);
	cached->MaxRT = opt->user_timeout_ms;
	cached->TosOrTrafficClass = opt->tos;
	if (opt->ttl)
		cached->TtlOrHopLimit = opt->ttl;
}

static void prepare(struct sim_sock *end, void *ctx)
{
	const struct preparation *with = ctx;
	struct pd_sock *sock = with->sock;
	TCP_OFFLOAD_STATE_DELEGATED *delegated = &end->state.delegated;

	delegated->CWnd = INITIAL_CWND_SEGMENTS * with->mss;
	delegated->RcvWnd = first_window(sock);
	delegated->SndWnd = delegated->MaxSndWnd = sock->last_ack_wnd;
	delegated->SRtt = (USHORT)(with->rtt_ms * 8);
	delegated->RttVar = (USHORT)(with->rtt_ms * 2);
	prepare_cached(sock, &end->state.cached);
	end->rx.mode = SIM_RX_INDICATE;
	end->tx.whole = true;
	end->tx.window = UINT32_MAX;
	end->app = (struct sim_app){
		.data = keep_data, .eof = end_of_stream, .moved = moved, .ctx = sock
	};
}

static enum sim_family family_of(const struct pd_segment *segment)
{
	return segment->v6 ? SIM_V6 : SIM_V4;
}

static void establish(struct pd_sock *sock, const struct pd_segment *segment)
{
	struct pd_shake *shake = &sock->shake;
	uint8_t scaled = shake->peer_wscale >= 0;
	struct sim_conn_config config = {
		.family = family_of(segment),
		.timestamps = shake->timestamps,
		.sack = shake->sack,
		.ecn = shake->ecn,
		.wscale = { [SIM_AT_PEER] = scaled ? (uint8_t)shake->peer_wscale : 0xff,
			    [SIM_AT_HOST] = scaled ? (uint8_t)pd_rcv_wscale(&sock->opt) : 0xff },
		.rcv_buf_bytes = { WINDOW_FIELD_MAX, pd_rcv_buf(&sock->opt) },
		.iss = { [SIM_AT_PEER] = shake->irs + 1, [SIM_AT_HOST] = shake->iss + 1 },
		.reader_waits = { false, true },
		.mss = shake->peer_mss,
	};
	struct preparation with = { .sock = sock };

	config.ts_now[SIM_AT_PEER] = segment->has_ts ? segment->ts_val : shake->peer_ts;
	config.ts_now[SIM_AT_HOST] =
		shake->echo_ts + (uint32_t)((pd_now_us() - shake->sent_us) / 1000);
	with.rtt_ms = (uint32_t)((pd_now_us() - shake->sent_us + 999) / 1000);
	with.mss = shake->peer_mss - (shake->timestamps ? TS_OPTION_BYTES : 0u);
	sock->conn = sim_conn_open_alone(pd.world, &config, prepare, &with);
	if (!sock->conn)
		pd_fail("no room for another connection");
	pd.conn_owner[sock->conn - pd.world->conns] = sock;
	sock->sock = sock->conn->sock[SIM_AT_HOST];
	sock->state = PD_LIVE;
	pd_settle();
	if (sock->sock->phase != SIM_LIVE || sock->sock->at->place != SIM_TARGET)
		pd_fail("the target did not take the connection");
	pd.counts.offloads++;
}

/* The handshake. */

static void copy_address(struct sockaddr_storage *at, const struct pd_segment *segment,
			 const uint8_t *address, uint16_t port, int family)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)at;
	struct sockaddr_in *in = (struct sockaddr_in *)at;

	memset(at, 0, sizeof(*at));
	at->ss_family = (sa_family_t)family;
	in->sin_port = htons(port);
	if (family == AF_INET) {
		memcpy(&in->sin_addr, address, 4);
	} else if (segment->v6) {
		memcpy(&in6->sin6_addr, address, 16);
	} else {
		in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(in6->sin6_addr.s6_addr + 12, address, 4);
	}
}

/* net.ipv4.tcp_ecn: 1 asks for it and grants it, 2 only grants it. */
static bool agrees_to_ecn(const struct pd_segment *segment)
{
	uint8_t bits = segment->flags & (NIC_SIM_ECE | NIC_SIM_CWR);
	long mode = pd_sysctl("tcp_ecn", 0, 2);

	if (segment->flags & NIC_SIM_ACK)
		return mode == 1 && bits == NIC_SIM_ECE;
	return (mode == 1 || mode == 2) && bits == (NIC_SIM_ECE | NIC_SIM_CWR);
}

/* What both sides want; a SYN or SYN-ACK of the peer. */
static void agree(struct pd_sock *sock, const struct pd_segment *segment)
{
	struct pd_shake *shake = &sock->shake;

	shake->irs = segment->seq;
	shake->peer_mss = segment->mss ? segment->mss : DEFAULT_PEER_MSS;
	shake->timestamps = segment->has_ts && pd_sysctl("tcp_timestamps", 0, 1);
	shake->sack = segment->sack_ok && pd_sysctl("tcp_sack", 0, 1);
	shake->peer_wscale = pd_sysctl("tcp_window_scaling", 0, 1) ? segment->wscale : -1;
	shake->peer_ts = segment->ts_val;
	shake->ecn = agrees_to_ecn(segment);
	if (sock->opt.mss_clamp && sock->opt.mss_clamp < shake->peer_mss)
		shake->peer_mss = (uint16_t)sock->opt.mss_clamp;
}

static void send_syn(struct pd_sock *sock, uint8_t flags)
{
	sock->shake.sent_us = pd_now_us();
	sock->shake.echo_ts = CLOCK_START + (uint32_t)(pd_now_us() / 1000);
	if (!(flags & NIC_SIM_ACK) && pd_sysctl("tcp_ecn", 0, 2) == 1)
		flags |= NIC_SIM_ECE | NIC_SIM_CWR;
	else if (sock->shake.ecn)
		flags |= NIC_SIM_ECE;
	pd_wire_control(sock, flags, sock->shake.iss, flags & NIC_SIM_ACK ? sock->shake.irs + 1 : 0,
			first_window(sock), true);
}

static void syn_for(struct pd_sock *listener, const struct pd_segment *segment)
{
	struct pd_sock *sock = pd_sock_new(PD_TCP);
	int family = listener->local.ss_family;

	if (!sock)
		return;
	sock->state = PD_SYN_RCVD;
	sock->open = false;
	sock->parent = listener;
	sock->opt = listener->opt;
	sock->opt.nonblock = false;
	copy_address(&sock->local, segment, segment->dst, segment->dst_port, family);
	copy_address(&sock->remote, segment, segment->src, segment->src_port, family);
	agree(sock, segment);
	sock->shake.iss = pd.next_iss += 0x01000000;
	send_syn(sock, NIC_SIM_SYN | NIC_SIM_ACK);
}

static void ack_of_syn_ack(struct pd_sock *sock, const struct pd_segment *segment)
{
	uint32_t scale = sock->shake.peer_wscale > 0 ? (uint32_t)sock->shake.peer_wscale : 0;

	if (segment->flags & NIC_SIM_RST) {
		sock->state = PD_DEAD;
		pd_sock_release(sock);
		return;
	}
	if (segment->flags & NIC_SIM_SYN) {
		send_syn(sock, NIC_SIM_SYN | NIC_SIM_ACK);
		return;
	}
	if (!(segment->flags & NIC_SIM_ACK) || segment->ack != sock->shake.iss + 1)
		return;
	sock->last_ack_wnd = (uint32_t)segment->window << scale;
	sock->swallow_first = true;
	establish(sock, segment);
	sock->acceptable = true;
	sock->parent->progress++;
	/* What it carries besides the acknowledgment is the target's. */
	if (segment->payload_len > 0 || segment->flags & NIC_SIM_FIN)
		pd_wire_in(sock, segment);
}

int pd_connect(struct pd_sock *sock)
{
	sock->state = PD_SYN_SENT;
	sock->shake = (struct pd_shake){
		.timestamps = pd_sysctl("tcp_timestamps", 0, 1) != 0,
		.sack = pd_sysctl("tcp_sack", 0, 1) != 0,
		.peer_wscale = pd_sysctl("tcp_window_scaling", 0, 1) ? 0 : -1,
		.iss = pd.next_iss += 0x01000000,
	};
	send_syn(sock, NIC_SIM_SYN);
	return 0;
}

static void answer_of_connect(struct pd_sock *sock, const struct pd_segment *segment)
{
	if (!(segment->flags & NIC_SIM_ACK) || segment->ack != sock->shake.iss + 1)
		return;
	if (segment->flags & NIC_SIM_RST) {
		sock->state = PD_DEAD;
		sock->error = ECONNREFUSED;
		sock->progress++;
		return;
	}
	if (!(segment->flags & NIC_SIM_SYN))
		return;
	agree(sock, segment);
	sock->last_ack_wnd = segment->window;
	/* The target's first acknowledgment is the third segment of the handshake. */
	establish(sock, segment);
	sock->progress++;
}

/* Segments. */

static bool same_end(const struct sockaddr_storage *at, const uint8_t *address, uint16_t port,
		     bool v6)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)at;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)at;

	if (in->sin_port != htons(port))
		return false;
	if (at->ss_family == AF_INET)
		return !v6 && memcmp(&in->sin_addr, address, 4) == 0;
	return memcmp(in6->sin6_addr.s6_addr + (v6 ? 0 : 12), address, v6 ? 16 : 4) == 0;
}

static struct pd_sock *connection_of(const struct pd_segment *segment)
{
	struct pd_sock *sock, *found = NULL;
	unsigned int i;

	for (i = 0; i < PD_SOCKS; i++) {
		sock = &pd.socks[i];
		if (sock->kind != PD_TCP || sock->state == PD_CLOSED || sock->state == PD_LISTEN)
			continue;
		if (same_end(&sock->local, segment->dst, segment->dst_port, segment->v6) &&
		    same_end(&sock->remote, segment->src, segment->src_port, segment->v6) &&
		    (!found || found->state == PD_DEAD ||
		     (found->sock && found->sock->phase == SIM_ENDED)))
			found = sock;
	}
	return found;
}

static struct pd_sock *listener_of(const struct pd_segment *segment)
{
	unsigned int i;

	for (i = 0; i < PD_SOCKS; i++) {
		struct pd_sock *sock = &pd.socks[i];

		if (sock->kind == PD_TCP && sock->state == PD_LISTEN &&
		    ((struct sockaddr_in *)&sock->local)->sin_port == htons(segment->dst_port))
			return sock;
	}
	return NULL;
}

/* A closed socket has nobody to read: data for it is answered by a reset, as Linux does. */
static void nobody_reads(struct pd_sock *sock)
{
	if (!sock->open && !sock->acceptable && sock->sock->phase == SIM_LIVE &&
	    pd_readable(sock) > 0) {
		sim_sock_abort(sock->sock);
		pd_settle();
	}
}

static void reset_for(struct pd_sock *sock, const struct pd_segment *segment)
{
	if (segment->flags & NIC_SIM_RST)
		return;
	if (segment->flags & NIC_SIM_ACK)
		pd_wire_control(sock, NIC_SIM_RST, segment->ack, 0, 0, false);
	else
		pd_wire_control(sock, NIC_SIM_RST | NIC_SIM_ACK, 0,
				segment->seq + segment->payload_len +
					!!(segment->flags & (NIC_SIM_SYN | NIC_SIM_FIN)),
				0, false);
}

static void for_connection(struct pd_sock *sock, const struct pd_segment *segment)
{
	struct sim_sock *end = sock->sock;

	if (end->phase == SIM_ENDED &&
	    (end->aborted || end->state.delegated.State != TcpConnectionTimeWait)) {
		pd.counts.other_in++;
		reset_for(sock, segment);
		return;
	}
	if (end->phase == SIM_ENDED) {
		pd.counts.after_end++;
	} else if (end->at->place == SIM_TARGET) {
		pd.counts.segments_in++;
		sock->segments_in++;
	} else {
		pd.counts.kernel_segments++;
	}
	if (segment->payload_len > 0) {
		sock->last_data_rx_us = pd_now_us();
		if (segment->payload_len > sock->rcv_mss)
			sock->rcv_mss = segment->payload_len;
	}
	sock->progress++;
	pd_wire_in(sock, segment);
	pd_settle();
	nobody_reads(sock);
}

void pd_segment_arrived(const struct pd_segment *segment)
{
	struct pd_sock *sock = connection_of(segment), *listener;

	if (sock && sock->state == PD_LIVE) {
		for_connection(sock, segment);
		return;
	}
	listener = listener_of(segment);
	if (sock && sock->state == PD_SYN_RCVD) {
		pd.counts.handshake_in++;
		ack_of_syn_ack(sock, segment);
	} else if (sock && sock->state == PD_SYN_SENT) {
		pd.counts.handshake_in++;
		answer_of_connect(sock, segment);
	} else if (listener &&
		   (segment->flags & (NIC_SIM_SYN | NIC_SIM_ACK | NIC_SIM_RST)) == NIC_SIM_SYN) {
		pd.counts.handshake_in++;
		syn_for(listener, segment);
	} else {
		pd.counts.other_in++;
	}
}

/* The program's side. */

uint32_t pd_readable(const struct pd_sock *sock)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);
	uint32_t below = conn ? tgt_deliver_buffered_bytes(adapter, conn) : 0;

	if (!conn && sock->sock)
		below = sock->sock->rx.stash_bytes;
	return (uint32_t)sock->rx_bytes + below;
}

bool pd_at_end(const struct pd_sock *sock)
{
	return sock->sock && sock->rx_bytes == 0 && sock->sock->rx.eof;
}

uint32_t pd_take(struct pd_sock *sock, uint8_t *buf, size_t len, bool peek)
{
	uint32_t have = pd_readable(sock);
	uint32_t want = have < len ? have : (uint32_t)len;

	if (want > sock->rx_bytes) {
		sim_sock_read(sock->sock, want - sock->rx_bytes);
		pd_settle();
	}
	if (want > sock->rx_bytes)
		want = (uint32_t)sock->rx_bytes;
	if (buf)
		memcpy(buf, sock->rx, want);
	if (!peek) {
		sock->rx_bytes -= want;
		memmove(sock->rx, sock->rx + want, sock->rx_bytes);
	}
	return want;
}

uint32_t pd_writable(const struct pd_sock *sock)
{
	uint64_t used = sock->written - sock->sock->tx.acked;
	uint64_t room = sock->opt.snd_buf_bytes ? sock->opt.snd_buf_bytes
						: (uint64_t)pd_sysctl("tcp_wmem", 2, 4194304);

	return room > used ? (uint32_t)(room - used) : 0;
}

void pd_uncork(struct pd_sock *sock)
{
	sim_timer_cancel(pd.world, &sock->cork_timer);
	if (sock->held > 0 && sock->sock)
		sim_sock_send(sock->sock, sock->held);
	sock->held = 0;
}

static void cork_expired(struct sim_timer *timer)
{
	pd_uncork((struct pd_sock *)((char *)timer - offsetof(struct pd_sock, cork_timer)));
}

/* Full segments go, the tail waits for more: that is all MSG_MORE asks for. */
void pd_give(struct pd_sock *sock, uint32_t len, bool more)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);
	uint32_t total = sock->held + len, keep;

	sock->written += len;
	keep = more && conn ? total % tgt_conn_mss(conn) : 0;
	sock->held = keep;
	if (total > keep)
		sim_sock_send(sock->sock, total - keep);
	sim_timer_cancel(pd.world, &sock->cork_timer);
	if (keep > 0) {
		sock->cork_timer.fn = cork_expired;
		sim_timer_set(pd.world, &sock->cork_timer, pd_now_us() + CORK_US);
	}
	pd_settle();
}

void pd_shutdown(struct pd_sock *sock, int how)
{
	if (how != SHUT_WR)
		sock->shut_rd = true;
	if (how != SHUT_RD && !sock->shut_wr) {
		sock->shut_wr = true;
		pd_uncork(sock);
		sim_sock_close(sock->sock);
	}
	sock->progress++;
	pd_settle();
}

int pd_error(struct pd_sock *sock)
{
	const struct sim_sock *end = sock->sock;

	if (sock->error || sock->error_told || !end)
		return sock->error;
	if (end->reset_by_peer)
		sock->error = end->rx.fin_known ? EPIPE : ECONNRESET;
	else if (end->phase == SIM_ENDED && !end->aborted && !end->rx.eof)
		sock->error = ETIMEDOUT;
	return sock->error;
}

void pd_apply_options(struct pd_sock *sock)
{
	struct sim_sock *end = sock->sock;

	if (!end || end->phase != SIM_LIVE)
		return;
	prepare_cached(sock, &end->state.cached);
	if (sim_host_submit(SIM_OP_UPDATE, end, NULL) != 0)
		pd_fail("no memory");
	pd_settle();
}
