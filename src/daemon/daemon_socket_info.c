/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP_INFO of an offloaded connection. A parked socket is a new one to the kernel: what was
 * negotiated, measured and counted is lost with the old one, so it is read off that before it is
 * frozen. Over that come what the target's delegated state says now, and what the target counted.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/daemon_socket.h"
#include "target/tgt_driver.h"

enum { CA_OPEN = 0, CA_RECOVERY = 3, CA_LOSS = 4 }; /* the kernel's tcp_ca_state */

/* The program's kernel socket as it was left; its counters go on from here. */
struct daemon_snapshot {
	uint8_t info[SOCKET_VALUE_BYTES]; /* struct tcp_info, of whichever length this kernel has */
	socklen_t info_length;
	int maxseg_bytes, clamp_bytes;
	uint64_t written, read; /* bytes that had passed through the program's end of it */
	uint64_t to_program, from_program; /* through chimney, before */
};

static int read_kernel(int fd, struct daemon_snapshot *shot)
{
	socklen_t len = sizeof(int);
	int unacked = 0, unread = 0;
	struct tcp_info info;

	shot->info_length = sizeof(shot->info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, shot->info, &shot->info_length) < 0 ||
	    getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &shot->maxseg_bytes, &len) < 0 ||
	    getsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &shot->clamp_bytes, &len) < 0 ||
	    ioctl(fd, SIOCOUTQ, &unacked) < 0 || ioctl(fd, SIOCINQ, &unread) < 0)
		return -errno;
	memcpy(&info, shot->info, sizeof(info));
	shot->written = info.tcpi_bytes_acked + (uint64_t)unacked;
	shot->read = info.tcpi_bytes_received - (uint64_t)unread;
	return 0;
}

void daemon_socket_snapshot(struct daemon_conn *dc)
{
	const struct host_conn_info *now = host_conn_info(dc->conn);
	struct daemon_snapshot shot = { .to_program = now->bytes_to_program,
					.from_program = now->bytes_from_program };
	int fd, err;

	if (now->state != HOST_CONN_OFFLOADING || exec_fetch(dc->holders, &fd) < 0)
		return;
	err = read_kernel(fd, &shot);
	close(fd);
	if (!dc->snapshot)
		dc->snapshot = malloc(sizeof(shot));
	if (dc->snapshot && !err)
		*dc->snapshot = shot;
	else if (dc->snapshot)
		*dc->snapshot = (struct daemon_snapshot){ 0 };
}

bool daemon_info_agreed(const struct daemon_conn *dc, int name, int *value)
{
	const struct daemon_snapshot *shot = dc->snapshot;

	if (!shot || !shot->info_length || (name != TCP_MAXSEG && name != TCP_WINDOW_CLAMP))
		return false;
	*value = name == TCP_MAXSEG ? shot->maxseg_bytes : shot->clamp_bytes;
	return true;
}

int daemon_info_ask(struct daemon_conn *dc, struct daemon_wait *wait, host_done_fn *done)
{
	return host_conn_tcp_info(dc->conn, &wait->live, done, wait);
}

/* What the delegated state says, in the kernel's units. */
static void put_live(struct tcp_info *to, const struct tcp_info *live)
{
	/* The kernel keeps TIME_WAIT apart from the socket. */
	to->tcpi_state = live->tcpi_state == HOST_TCP_TIME_WAIT ? HOST_TCP_CLOSE : live->tcpi_state;
	to->tcpi_retransmits = to->tcpi_backoff = live->tcpi_retransmits;
	to->tcpi_probes = 0;
	to->tcpi_snd_mss = live->tcpi_snd_mss;
	to->tcpi_unacked = live->tcpi_unacked;
	to->tcpi_pmtu = live->tcpi_pmtu;
	to->tcpi_rtt = live->tcpi_rtt;
	to->tcpi_rttvar = live->tcpi_rttvar;
	to->tcpi_snd_cwnd = live->tcpi_snd_cwnd;
	to->tcpi_snd_ssthresh = live->tcpi_snd_ssthresh;
	to->tcpi_notsent_bytes = live->tcpi_notsent_bytes;
	to->tcpi_snd_wnd = live->tcpi_snd_wnd;
}

static uint32_t segments(uint32_t bytes, uint32_t mss_bytes)
{
	return mss_bytes ? (bytes + mss_bytes - 1) / mss_bytes : 0;
}

/* What the target counted and measured besides. */
static void put_look(struct tcp_info *to, const struct tgt_conn_look *look, uint64_t now_us)
{
	to->tcpi_ca_state = look->timed_out ? CA_LOSS : look->recovering ? CA_RECOVERY : CA_OPEN;
	to->tcpi_rto = (uint32_t)look->rto_us;
	to->tcpi_sacked = segments(look->sacked_bytes, to->tcpi_snd_mss);
	to->tcpi_lost = segments(look->lost_bytes, to->tcpi_snd_mss);
	to->tcpi_retrans = 0;
	if (look->min_rtt_us && look->min_rtt_us < to->tcpi_min_rtt)
		to->tcpi_min_rtt = look->min_rtt_us;
	to->tcpi_segs_in += look->segments_in;
	to->tcpi_segs_out += look->segments_out;
	to->tcpi_data_segs_in += look->data_segments_in;
	to->tcpi_data_segs_out += look->data_segments_out;
	to->tcpi_total_retrans += look->retransmitted_segments;
	to->tcpi_bytes_retrans += look->retransmitted_bytes;
	to->tcpi_bytes_sent += look->retransmitted_bytes;
	if (look->sent_us)
		to->tcpi_last_data_sent = (uint32_t)((now_us - look->sent_us) / 1000);
	if (look->received_us)
		to->tcpi_last_data_recv = to->tcpi_last_ack_recv =
			(uint32_t)((now_us - look->received_us) / 1000);
}

/* live counts from the first offload: what is still with the target is not acknowledged. */
static void put_bytes(struct tcp_info *to, const struct daemon_snapshot *shot,
		      const struct host_conn_info *now, const struct tcp_info *live)
{
	uint64_t written = shot->written + now->bytes_from_program - shot->from_program;
	uint64_t outstanding = now->bytes_from_program - live->tcpi_bytes_acked;
	uint64_t sent = written - live->tcpi_notsent_bytes;
	uint64_t sent_before = shot->written - to->tcpi_notsent_bytes;

	to->tcpi_bytes_sent += sent - sent_before;
	to->tcpi_delivered += segments((uint32_t)(written - outstanding - to->tcpi_bytes_acked),
				       live->tcpi_snd_mss);
	to->tcpi_bytes_acked = written - outstanding;
	to->tcpi_bytes_received = shot->read + live->tcpi_bytes_received - shot->to_program;
}

/* What the program wrote: still in its stream, or with the target. */
json_t *daemon_outq_answer(struct daemon_conn *dc, const struct daemon_wait *wait)
{
	const struct host_conn_info *now = host_conn_info(dc->conn);
	uint64_t outstanding = now->bytes_from_program - wait->live.tcpi_bytes_acked;
	int waiting = 0, total;

	if (ioctl(dc->stream_fd, SIOCINQ, &waiting) < 0)
		waiting = 0;
	total = waiting +
		(int)(wait->call.name == SIOCOUTQNSD ? wait->live.tcpi_notsent_bytes : outstanding);
	return daemon_socket_value(0, &total, sizeof(total));
}

json_t *daemon_info_answer(struct daemon_conn *dc, const struct daemon_wait *wait)
{
	const struct host_conn_info *now = host_conn_info(dc->conn);
	const struct daemon_snapshot *shot = dc->snapshot;
	struct worker *w = dc->worker;
	uint8_t data[SOCKET_VALUE_BYTES];
	struct tcp_info info = wait->live;
	socklen_t length = sizeof(info);
	struct tgt_conn_look look;
	struct tgt_tuple tuple = stack_tuple(&now->flow);

	memset(data, 0, sizeof(data));
	if (shot && shot->info_length) {
		length = shot->info_length;
		memcpy(data, shot->info, length);
		memcpy(&info, data, sizeof(info));
		put_bytes(&info, shot, now, &wait->live);
		put_live(&info, &wait->live);
	}
	for (unsigned int i = 0; i < w->port_count; i++)
		if (w->ports[i].target && tgt_conn_look(w->ports[i].target, &tuple, &look) == 0)
			put_look(&info, &look, loop_now_us(w->loop));
	memcpy(data, &info, sizeof(info));
	return daemon_socket_value(0, data,
				   length < wait->call.length ? length : wait->call.length);
}
