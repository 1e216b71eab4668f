/* SPDX-License-Identifier: BSD-2-Clause */
/* Converters between the host's view of a connection and the state structures. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/host_int.h"
#include "req.h"

static struct host_conn conn;
static struct host_tcp_block tcp;

static int setup(void **state)
{
	(void)state;
	memset(&conn, 0, sizeof(conn));
	memset(&tcp, 0, sizeof(tcp));
	conn.info.flow = (struct steer_flow){
		.family = AF_INET,
		.local_port_be = htons(443),
		.remote_port_be = htons(51000),
	};
	conn.image = (struct host_image){
		.state = HOST_TCP_ESTABLISHED,
		.rcv_nxt = 0xFFFFFFF0u,
		.rcv_wnd_bytes = 70000,
		.snd_una = 1000,
		.snd_nxt = 3000,
		.snd_max = 3000,
		.snd_wnd_bytes = 50000,
		.max_snd_wnd_bytes = 60000,
		.snd_wl1 = 0xFFFFFFEFu,
		.wscale = true,
		.sack = true,
		.timestamps = true,
		.snd_wscale = 7,
		.rcv_wscale = 9,
		.mss_clamp = 1460,
		.cwnd_bytes = 14600,
		.ssthresh_bytes = UINT32_MAX,
		.srtt_us = 40000,
		.rttvar_us = 10000,
		.rexmt_left_ticks = 200,
		.ka_left_ticks = HOST_TICKS_STOPPED,
		.ts_now = 123456,
		.ts_recent_age_ticks = HOST_TS_AGE_UNKNOWN,
		.rcv_buf_bytes = 400000,
		.nagle = true,
		.ka_probe_max = 9,
		.ka_idle_s = 7200,
		.ka_interval_s = 75,
		.ttl = 64,
		.tos = 0x28,
	};
	return 0;
}

static const TCP_OFFLOAD_STATE_CONST *constant(void)
{
	return (const void *)NdisOffloadFirstState(&tcp.list);
}

static const TCP_OFFLOAD_STATE_CACHED *cached(void)
{
	return (const void *)NdisOffloadNextState(&constant()->Header);
}

static void tcp_block_has_all_three_classes(void **state)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d;

	(void)state;
	host_state_tcp(&tcp, &conn);
	d = host_state_delegated(&tcp);
	REQ("BLK-01", tcp.list.Header.Type == TcpOffloadState);
	REQ("STA-48", tcp.list.Header.Revision == 1);
	REQ("BLK-31", (uintptr_t)constant() % 8 == 0 && (uintptr_t)cached() % 8 == 0 &&
			      (uintptr_t)d % 8 == 0);
	REQ("BLK-02", constant()->Header.Length == sizeof(*constant()) &&
			      cached()->Header.Length == sizeof(*cached()) &&
			      d->Header.Length == sizeof(*d));
	REQ("BLK-07", tcp.list.DependentBlockList == NULL);
	REQ("BLK-15", tcp.list.PortNumber == 0);
	assert_true((const uint8_t *)(d + 1) <= tcp.state + sizeof(tcp.state));
}

static void constants_are_as_agreed(void **state)
{
	(void)state;
	host_state_tcp(&tcp, &conn);
	REQ("STA-49",
	    constant()->LocalPort == htons(443) && constant()->RemotePort == htons(51000));
	assert_int_equal(TCP_FLAG_TIMESTAMP_ENABLED | TCP_FLAG_SACK_ENABLED |
				 TCP_FLAG_WINDOW_SCALING_ENABLED,
			 constant()->Flags);
	assert_int_equal(7, constant()->SndWindScale);
	assert_int_equal(9, constant()->RcvWindScale);
	assert_int_equal(1460, constant()->RemoteMss);
	REQ("RSS-03", constant()->HashValue != 0);
}

static void receive_window_never_shrinks(void **state)
{
	(void)state;
	host_state_tcp(&tcp, &conn);
	assert_int_equal(200000, cached()->InitialRcvWnd);
	conn.image.rcv_buf_bytes = 1000;
	host_state_tcp(&tcp, &conn);
	assert_int_equal(70000, cached()->InitialRcvWnd);
	conn.image.rcv_buf_bytes = 4000000;
	conn.image.wscale = false; /* 64 KiB are all that can be said, but 70000 were */
	host_state_tcp(&tcp, &conn);
	assert_int_equal(70000, cached()->InitialRcvWnd);
}

static void times_are_ticks(void **state)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d;

	(void)state;
	host_state_tcp(&tcp, &conn);
	d = host_state_delegated(&tcp);
	REQ("STA-05", d->SRtt == 8 * 40 && d->RttVar == 4 * 10 && d->RcvNxt == 0xFFFFFFF0u &&
			      d->SndUna == 1000 && d->SndMax == 3000 && d->CWnd == 14600);
	REQ("TSP-01", d->TsTime == 123456);
	assert_int_equal(HOST_TICKS_STOPPED, d->KeepAlive.TimeoutDelta);
	assert_int_equal(7200000, cached()->KaTimeout);
	conn.image.srtt_us = 60000000; /* does not fit 16 bits */
	conn.image.rttvar_us = 1;      /* is less than a tick */
	memset(&tcp, 0, sizeof(tcp));
	host_state_tcp(&tcp, &conn);
	assert_int_equal(0xFFFF, host_state_delegated(&tcp)->SRtt);
	assert_int_equal(1, host_state_delegated(&tcp)->RttVar);
}

/* Offload then upload without traffic: the same image, but for what the host does not keep. */
static void round_trip_changes_nothing(void **state)
{
	struct host_image back = { 0 };

	(void)state;
	host_state_tcp(&tcp, &conn);
	host_state_take(host_state_delegated(&tcp), &back);
	assert_int_equal(conn.image.state, back.state);
	assert_int_equal(conn.image.rcv_nxt, back.rcv_nxt);
	assert_int_equal(conn.image.rcv_wnd_bytes, back.rcv_wnd_bytes);
	assert_int_equal(conn.image.snd_una, back.snd_una);
	assert_int_equal(conn.image.snd_nxt, back.snd_nxt);
	assert_int_equal(conn.image.snd_max, back.snd_max);
	assert_int_equal(conn.image.snd_wnd_bytes, back.snd_wnd_bytes);
	assert_int_equal(conn.image.max_snd_wnd_bytes, back.max_snd_wnd_bytes);
	assert_int_equal(conn.image.snd_wl1, back.snd_wl1);
	assert_int_equal(conn.image.srtt_us, back.srtt_us);
	assert_int_equal(conn.image.rttvar_us, back.rttvar_us);
	assert_int_equal(conn.image.ts_now, back.ts_now);
	assert_int_equal(conn.image.rexmt_left_ticks, back.rexmt_left_ticks);
}

static void states_say_where_fins_are(void **state)
{
	static const struct {
		TCP_OFFLOAD_CONNECTION_STATE ddi;
		uint8_t kernel;
		bool queued, acked, received;
	} cases[] = {
		{ TcpConnectionEstablished, HOST_TCP_ESTABLISHED, false, false, false },
		{ TcpConnectionFinWait1, HOST_TCP_FIN_WAIT_1, true, false, false },
		{ TcpConnectionFinWait2, HOST_TCP_FIN_WAIT_2, true, true, false },
		{ TcpConnectionCloseWait, HOST_TCP_CLOSE_WAIT, false, false, true },
		{ TcpConnectionClosing, HOST_TCP_CLOSING, true, false, true },
		{ TcpConnectionLastAck, HOST_TCP_LAST_ACK, true, false, true },
		{ TcpConnectionTimeWait, HOST_TCP_TIME_WAIT, true, true, true },
		{ TcpConnectionClosed, HOST_TCP_CLOSE, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TCP_OFFLOAD_STATE_DELEGATED d = { .State = cases[i].ddi };
		struct host_image image = { 0 };

		host_state_take(&d, &image);
		assert_int_equal(cases[i].kernel, image.state);
		assert_int_equal(cases[i].queued, image.fin_queued);
		assert_int_equal(cases[i].acked, image.fin_acked);
		assert_int_equal(cases[i].received, image.fin_received);
	}
}

static void path_and_neighbor_blocks(void **state)
{
	static struct host_neighbor neighbor = { .mac = { 2, 0, 0, 0, 0, 9 } };
	static struct host_path path = {
		.family = AF_INET6, .local = { 0xfd, 1 }, .remote = { 0xfd, 2 }, .mtu_bytes = 1400
	};
	struct host_neighbor_block n = { 0 };
	struct host_path_block p = { 0 };
	const NEIGHBOR_OFFLOAD_STATE_CACHED *nc;
	const NEIGHBOR_OFFLOAD_STATE_DELEGATED *nd;
	const PATH_OFFLOAD_STATE_CONST *pc;

	(void)state;
	host_state_neighbor(&n, &neighbor, 77);
	nc = (const void *)NdisOffloadNextState(NdisOffloadFirstState(&n.list));
	nd = (const void *)NdisOffloadNextState(&nc->Header);
	assert_memory_equal(neighbor.mac, nc->DlDestinationAddress, 6);
	REQ("EVT-13", nc->HostReachabilityDelta == 77 && nd->NicReachabilityDelta == 77);
	host_state_path(&p, &path);
	pc = (const void *)NdisOffloadFirstState(&p.list);
	assert_int_equal(Ip6OffloadState, p.list.Header.Type);
	REQ("STA-16", memcmp(pc->SourceAddress, path.local, 16) == 0 &&
			      memcmp(pc->DestinationAddress, path.remote, 16) == 0);
	assert_int_equal(
		1400,
		((const PATH_OFFLOAD_STATE_CACHED *)NdisOffloadNextState(&pc->Header))->PathMtu);
}

/* ---- what the kernel cannot be told ---- */

enum { NOTED_US = 5000000 };

static struct host_recall recalled(const struct host_image *up)
{
	struct host_recall recall = { 0 };

	host_recall_note(&recall, up, NOTED_US);
	return recall;
}

/* As a socket is read that repair mode has made and nothing has happened to. */
static struct host_image fresh(void)
{
	struct host_image image = conn.image;

	image.srtt_us = 0;
	image.rttvar_us = 3000000;
	image.cwnd_bytes = 14600;
	image.ssthresh_bytes = UINT32_MAX;
	image.rexmt_left_ticks = 3001;
	return image;
}

static void estimates_survive_the_kernel(void **state)
{
	struct host_image up = conn.image, down = fresh();
	struct host_recall recall;

	(void)state;
	up.cwnd_bytes = 90000;
	up.ssthresh_bytes = 60000;
	recall = recalled(&up);
	host_recall_apply(&recall, &down, NOTED_US + 1000);
	assert_int_equal(40000, down.srtt_us);
	assert_int_equal(10000, down.rttvar_us);
	assert_int_equal(90000, down.cwnd_bytes);
	assert_int_equal(60000, down.ssthresh_bytes);

	down = fresh(); /* longer than the timeout of 200 ms: the window is not known to be right */
	host_recall_apply(&recall, &down, NOTED_US + 200001);
	assert_int_equal(40000, down.srtt_us);
	assert_int_equal(14600, down.cwnd_bytes);
	assert_true(down.ssthresh_bytes == UINT32_MAX);
}

static void what_the_kernel_measured_is_newer(void **state)
{
	struct host_image up = conn.image, down = fresh();
	struct host_recall recall = recalled(&up);

	(void)state;
	down.srtt_us = 7000;
	down.rttvar_us = 3000;
	down.rexmt_left_ticks = 150;
	host_recall_apply(&recall, &down, NOTED_US + 1000);
	assert_int_equal(7000, down.srtt_us);
	assert_int_equal(150, down.rexmt_left_ticks);
	assert_int_equal(14600, down.cwnd_bytes);
}

/* A lost segment is sent again although the connection moves more often than its timer fires. */
static void timer_runs_on_over_moves(void **state)
{
	struct host_image image = conn.image;
	uint64_t now_us = NOTED_US;
	uint32_t left = image.rexmt_left_ticks;

	(void)state;
	for (int moves = 0; moves < 20; moves++) {
		struct host_recall recall = { 0 };
		struct host_image down = fresh();

		host_recall_note(&recall, &image, now_us);
		now_us += 15000;
		host_recall_apply(&recall, &down, now_us);
		assert_true(down.rexmt_left_ticks + 14 <= left || down.rexmt_left_ticks == 1);
		image = down;
		left = down.rexmt_left_ticks;
	}
	assert_int_equal(1, left);
}

static void timer_starts_anew_for_another_segment(void **state)
{
	struct host_image up = conn.image, down = fresh();
	struct host_recall recall;

	(void)state;
	up.rexmt_left_ticks = 5;
	recall = recalled(&up);
	down.snd_una += 500; /* acknowledged while the kernel had it */
	host_recall_apply(&recall, &down, NOTED_US + 1000);
	assert_int_equal(201, down.rexmt_left_ticks);

	down = fresh();
	down.rexmt_left_ticks = HOST_TICKS_STOPPED;
	host_recall_apply(&recall, &down, NOTED_US + 1000);
	assert_int_equal(HOST_TICKS_STOPPED, down.rexmt_left_ticks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tcp_block_has_all_three_classes, setup),
		cmocka_unit_test_setup(constants_are_as_agreed, setup),
		cmocka_unit_test_setup(receive_window_never_shrinks, setup),
		cmocka_unit_test_setup(times_are_ticks, setup),
		cmocka_unit_test_setup(round_trip_changes_nothing, setup),
		cmocka_unit_test(states_say_where_fins_are),
		cmocka_unit_test(path_and_neighbor_blocks),
		cmocka_unit_test_setup(estimates_survive_the_kernel, setup),
		cmocka_unit_test_setup(what_the_kernel_measured_is_newer, setup),
		cmocka_unit_test_setup(timer_runs_on_over_moves, setup),
		cmocka_unit_test_setup(timer_starts_anew_for_another_segment, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
