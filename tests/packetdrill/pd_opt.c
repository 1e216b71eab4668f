/* SPDX-License-Identifier: BSD-2-Clause */
/* Socket options, and TCP_INFO from the numbers of the engine that has the connection. */
#include <errno.h>
#include <linux/tcp.h>
#include <string.h>

#include "pd.h"
#include "target/tgt_rtt.h"
#include "target/tgt_sent.h"

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif

enum {
	SSTHRESH_NONE = 0x7fffffff,
	DEFAULT_REORDERING = 3,
	NEWER_INFO_BYTES = 64,
};

static int leave(int result, int err)
{
	pd_unlock();
	if (result < 0)
		errno = err;
	return result;
}

/* TCP_INFO. */

static uint8_t linux_state(uint8_t state)
{
	static const uint8_t names[TGT_STATES] = {
		[TGT_CLOSED] = 7,     [TGT_ESTABLISHED] = 1, [TGT_FIN_WAIT_1] = 4,
		[TGT_FIN_WAIT_2] = 5, [TGT_CLOSE_WAIT] = 8,  [TGT_CLOSING] = 11,
		[TGT_LAST_ACK] = 9,   [TGT_TIME_WAIT] = 6,
	};

	return state < TGT_STATES ? names[state] : 0;
}

static uint8_t recovery_state(const struct tgt_conn *conn)
{
	if (conn->phase == TGT_REC_FAST)
		return TCP_CA_Recovery;
	if (conn->phase == TGT_REC_LOSS)
		return TCP_CA_Loss;
	return conn->sent.sacked_bytes > 0 || conn->dup_acks > 0 ? TCP_CA_Disorder : TCP_CA_Open;
}

static uint32_t segments(uint32_t bytes, uint32_t mss)
{
	return (bytes + mss - 1) / mss;
}

/* Segments that were sent again and are neither acknowledged nor counted as lost again. */
static uint32_t sent_again(struct tgt_adapter *adapter, const struct tgt_conn *conn, uint32_t mss)
{
	const struct tgt_sent_record *record = conn->sent.few;
	tcp_seq start = conn->snd_una;
	uint32_t count = 0, i;

	if (conn->sent.table)
		record = (const struct tgt_sent_record *)tgt_chunk_at(adapter, conn->sent.table)
				 ->data;
	for (i = 0; i < conn->sent.count; i++) {
		const struct tgt_sent_record *at = &record[conn->sent.head + i];

		if ((at->state & (TGT_SENT_AGAIN | TGT_SENT_SACKED | TGT_SENT_LOST)) ==
		    TGT_SENT_AGAIN)
			count += segments(at->end - start, mss);
		start = at->end;
	}
	return count;
}

static void fill_windows(struct tcp_info *info, const struct tgt_conn *conn, uint32_t mss)
{
	info->tcpi_snd_mss = mss;
	info->tcpi_snd_cwnd = conn->cwnd_bytes / mss;
	info->tcpi_snd_ssthresh =
		conn->ssthresh_bytes >= SSTHRESH_NONE ? SSTHRESH_NONE : conn->ssthresh_bytes / mss;
	info->tcpi_snd_wnd = conn->snd_wnd_bytes;
	info->tcpi_unacked = segments(conn->snd_max - conn->snd_una, mss);
	info->tcpi_notsent_bytes = conn->sendq.seq + conn->sendq.list.bytes - conn->snd_nxt;
}

static void fill_recovery(struct tcp_info *info, struct tgt_adapter *adapter,
			  const struct tgt_conn *conn, uint32_t mss)
{
	info->tcpi_ca_state = recovery_state(conn);
	info->tcpi_retransmits = conn->rexmt_count;
	info->tcpi_backoff = conn->rexmt_count;
	info->tcpi_probes = conn->wnd_probes + conn->ka_probes;
	info->tcpi_sacked = segments(conn->sent.sacked_bytes, mss);
	info->tcpi_lost = segments(conn->sent.lost_bytes, mss);
	info->tcpi_retrans = conn->options & TGT_OPT_SACK ? sent_again(adapter, conn, mss) : 0;
	info->tcpi_reordering = DEFAULT_REORDERING;
	info->tcpi_total_retrans =
		(uint32_t)tgt_conn_counters(adapter, conn)->retransmitted_segments;
	info->tcpi_rto = (uint32_t)tgt_rtt_rto(conn);
	info->tcpi_rtt = conn->srtt_us8 / 8;
	info->tcpi_rttvar = conn->rttvar_us4;
	info->tcpi_min_rtt = conn->rack.min_rtt_us;
}

static void fill_info(struct pd_sock *sock, struct tcp_info *info)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);
	uint32_t mss;

	info->tcpi_state = sock->state == PD_LISTEN ? 10 : sock->state == PD_SYN_SENT ? 2 : 7;
	if (!conn)
		return;
	mss = tgt_conn_mss(conn);
	info->tcpi_state = linux_state(conn->state);
	info->tcpi_options = (uint8_t)((sock->shake.timestamps ? TCPI_OPT_TIMESTAMPS : 0) |
				       (sock->shake.sack ? TCPI_OPT_SACK : 0) |
				       (sock->shake.peer_wscale >= 0 ? TCPI_OPT_WSCALE : 0));
	info->tcpi_snd_wscale = conn->snd_wscale & 15;
	info->tcpi_rcv_wscale = conn->rcv_wscale & 15;
	info->tcpi_rcv_mss = sock->rcv_mss ? sock->rcv_mss : mss;
	info->tcpi_pmtu = conn->path_mtu_bytes;
	info->tcpi_bytes_acked = sock->sock->tx.acked;
	info->tcpi_bytes_received = conn->rcv_nxt - sock->sock->rcv_base;
	info->tcpi_segs_in = sock->segments_in;
	info->tcpi_segs_out = sock->segments_out;
	if (sock->last_data_rx_us)
		info->tcpi_last_data_recv =
			(uint32_t)((pd_now_us() - sock->last_data_rx_us) / 1000);
	fill_windows(info, conn, mss);
	fill_recovery(info, adapter, conn, mss);
}

/* Getting. */

static int give(void *value, socklen_t *len, const void *from, size_t bytes)
{
	memcpy(value, from, *len < bytes ? *len : bytes);
	if (*len > bytes)
		*len = (socklen_t)bytes;
	return leave(0, 0);
}

static bool get_socket_option(struct pd_sock *sock, int name, int *value)
{
	switch (name) {
	case SO_ERROR:
		*value = pd_error(sock);
		sock->error_told |= *value != 0;
		sock->error = 0;
		return true;
	case SO_RCVBUF:
		*value = sock->opt.rcv_buf_bytes ? (int)sock->opt.rcv_buf_bytes
						 : (int)pd_sysctl("tcp_rmem", 1, 131072);
		return true;
	case SO_SNDBUF:
		*value = sock->opt.snd_buf_bytes ? (int)sock->opt.snd_buf_bytes
						 : (int)pd_sysctl("tcp_wmem", 1, 16384);
		return true;
	case SO_KEEPALIVE:
		*value = sock->opt.keepalive;
		return true;
	default:
		return false;
	}
}

static bool get_tcp_option(const struct pd_sock *sock, int name, int *value)
{
	struct tgt_adapter *adapter;
	const struct tgt_conn *conn = pd_engine(sock, &adapter);

	switch (name) {
	case TCP_NODELAY:
		*value = sock->opt.nodelay;
		return true;
	case TCP_CORK:
		*value = sock->opt.cork;
		return true;
	case TCP_MAXSEG:
		*value = conn                  ? (int)tgt_conn_mss(conn)
			 : sock->opt.mss_clamp ? (int)sock->opt.mss_clamp
					       : 536;
		return true;
	case TCP_USER_TIMEOUT:
		*value = (int)sock->opt.user_timeout_ms;
		return true;
	case TCP_NOTSENT_LOWAT:
		*value = (int)sock->opt.notsent_lowat;
		return true;
	default:
		return false;
	}
}

int pd_call_getsockopt(void *user, int fd, int level, int name, void *value, socklen_t *len)
{
	struct {
		struct tcp_info known;
		uint8_t newer[NEWER_INFO_BYTES]; /* a caller built later may ask for more */
	} info;
	struct pd_sock *sock;
	int number = 0;
	bool known;

	(void)user;
	pd_lock();
	sock = pd_sock_of(fd);
	if (!sock || sock->kind != PD_TCP)
		return leave(-1, EBADF);
	if (level == IPPROTO_TCP && name == TCP_CC_INFO)
		return give(value, len, &number, 0); /* as a congestion control without numbers */
	if (level == SOL_SOCKET && name == SO_MEMINFO)
		return give(value, len, (const uint32_t[9]){ 0 }, 9 * sizeof(uint32_t));
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		memset(&info, 0, sizeof(info));
		fill_info(sock, &info.known);
		return give(value, len, &info, sizeof(info));
	}
	known = level == SOL_SOCKET ? get_socket_option(sock, name, &number)
				    : level == IPPROTO_TCP && get_tcp_option(sock, name, &number);
	if (!known)
		return leave(-1, ENOPROTOOPT);
	return give(value, len, &number, sizeof(number));
}

/* Setting. */

static bool set_socket_option(struct pd_options *opt, int name, int number, const void *value)
{
	switch (name) {
	case SO_RCVBUF:
		opt->rcv_buf_bytes = (uint32_t)number * 2;
		return true;
	case SO_SNDBUF:
		opt->snd_buf_bytes = (uint32_t)number * 2;
		return true;
	case SO_KEEPALIVE:
		opt->keepalive = number;
		return true;
	case SO_LINGER:
		opt->linger = ((const struct linger *)value)->l_onoff;
		opt->linger_s = ((const struct linger *)value)->l_linger;
		return true;
	case SO_REUSEADDR:
	case SO_PRIORITY:
	case SO_MARK:
		return true;
	default:
		return false;
	}
}

static bool set_tcp_option(struct pd_sock *sock, int name, int number)
{
	struct pd_options *opt = &sock->opt;

	switch (name) {
	case TCP_NODELAY:
		opt->nodelay = number;
		if (number)
			pd_uncork(sock);
		return true;
	case TCP_CORK:
		opt->cork = number;
		if (!number)
			pd_uncork(sock);
		return true;
	case TCP_MAXSEG:
		opt->mss_clamp = (uint32_t)number;
		return true;
	case TCP_USER_TIMEOUT:
		opt->user_timeout_ms = (uint32_t)number;
		return true;
	case TCP_KEEPIDLE:
		opt->ka_idle_s = (uint32_t)number;
		return true;
	case TCP_KEEPINTVL:
		opt->ka_interval_s = (uint32_t)number;
		return true;
	case TCP_KEEPCNT:
		opt->ka_probes = (uint32_t)number;
		return true;
	case TCP_NOTSENT_LOWAT:
		opt->notsent_lowat = (uint32_t)number;
		return true;
	case TCP_INQ:
		opt->inq = number;
		return true;
	case TCP_QUICKACK:
	case TCP_SYNCNT:
		return true;
	default:
		return false;
	}
}

static bool set_ip_option(struct pd_options *opt, int level, int name, int number)
{
	if ((level == IPPROTO_IP && name == IP_TOS) ||
	    (level == IPPROTO_IPV6 && name == IPV6_TCLASS))
		opt->tos = (uint8_t)(number & ~3);
	else if ((level == IPPROTO_IP && name == IP_TTL) ||
		 (level == IPPROTO_IPV6 && name == IPV6_UNICAST_HOPS))
		opt->ttl = (uint8_t)number;
	else if (level == IPPROTO_IP && name == IP_MTU_DISCOVER)
		opt->mtu_discover = number;
	else
		return level == IPPROTO_IP && name == IP_FREEBIND;
	return true;
}

int pd_call_setsockopt(void *user, int fd, int level, int name, const void *value, socklen_t len)
{
	struct pd_sock *sock;
	int number = 0;
	bool known;

	(void)user;
	pd_lock();
	sock = pd_sock_of(fd);
	if (!sock || sock->kind != PD_TCP)
		return leave(-1, EBADF);
	memcpy(&number, value, len < sizeof(number) ? len : sizeof(number));
	if (level == SOL_SOCKET)
		known = set_socket_option(&sock->opt, name, number, value);
	else if (level == IPPROTO_TCP)
		known = set_tcp_option(sock, name, number);
	else
		known = set_ip_option(&sock->opt, level, name, number);
	if (!known)
		return leave(-1, ENOPROTOOPT);
	pd_apply_options(sock);
	return leave(0, 0);
}
