/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes, ends, requests of the target and power: what the host driver says to NDIS about a connection
 * that lives there, seen by a spy between host and NDIS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "host_spy_rig.h"
#include "req.h"

/* ---- bytes -------------------------------------------------------------------------------- */

static void bytes_take_the_chimney(void **state)
{
	struct rig_conn c;
	uint64_t before;
	unsigned int sends;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 600);
	rig_transfer(&c, 50000);
	assert_true(spy.sends == 0 && spy.accepted + spy.partly == 0);
	assert_int_equal(0, rig_offload(&c));
	before = host_conn_info(c.conn)->bytes_from_program;
	spy.poke = true; /* calls must not overlap even if the target asks for more meanwhile */
	write_burst(&c, c.pair.a, 120000);
	rig_transfer(&c, 50000);
	spy.poke = false;
	REQ("SND-02", spy.sends > 0 && spy.accepted > 0 &&
			      host_conn_info(c.conn)->bytes_from_program - before == 170000);
	REQ("SND-08", spy.sends > 1 && spy.overlaps == 0);
	REQ("SND-13", !spy.odd_info && !spy.odd_list);
	assert_int_equal(0, rig_upload(&c));
	sends = spy.sends;
	rig_transfer(&c, 50000);
	assert_int_equal(sends, spy.sends);
	rig_disconnect(&c);
}

/* The program does not read: an indication is refused, then there is a request for what is left. */
static void full_stream_refuses(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 650);
	c.closed = true; /* it neither reads nor writes */
	c.peer.goal += 2000000;
	for (unsigned int i = 0; i < 2000 && !spy.refused; i++)
		rig_step(&c);
	REQ("RCV-29", spy.refused > 0 && !spy.wrong_answer);
	spy.poke = true;
	c.closed = false;
	RIG_RUN(&c, rig_all_there);
	spy.poke = false;
	REQ("RCV-04", spy.receives > 0 && !spy.odd_list);
	REQ("RCV-05", spy.receives > 0 && spy.overlaps == 0);
	assert_false(spy.wrong_answer);
	back_and_away(&c);
}

static NDIS_STATUS indicate(struct rig_conn *c, uint8_t *data, uint32_t len, ULONG *consumed)
{
	MDL *mdl = NdisAllocateMdl(NULL, data, len);
	NET_BUFFER_LIST *list =
		NdisAllocateNetBufferAndNetBufferList(rig.adapter->pool, 0, 0, mdl, 0, len);
	NDIS_STATUS status;

	*consumed = 0xdeadbeef;
	status = spy.tcp.TcpOffloadReceiveIndicateHandler(&c->conn->handle, list,
							  NDIS_STATUS_SUCCESS, consumed);
	assert_int_not_equal(NDIS_STATUS_SUCCESS, status); /* the list is ours still */
	c->conn->xfer.held = 0;                            /* the target keeps nothing of it */
	NdisFreeNetBufferList(list);
	NdisFreeMdl(mdl);
	return status;
}

/* One indication of more than the stream holds, then another one while it is full. */
static void large_indication_is_taken_in_part(void **state)
{
	static uint8_t data[600000];
	struct rig_conn c;
	NDIS_STATUS status;
	ULONG consumed;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 660);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = test_byte(c.peer.tx_seed, c.peer.sent + i);
	status = indicate(&c, data, sizeof(data), &consumed);
	assert_true(consumed > 0 && consumed < sizeof(data));
	c.peer.goal = c.peer.sent += consumed; /* as if it had sent them */
	assert_int_equal(NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED, status);
	status = indicate(&c, data, 1000, &consumed);
	assert_int_equal(NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED, status);
	assert_int_equal(0, consumed);
	RIG_RUN(&c, rig_all_there); /* just the bytes that were said to be taken */
	rig_transfer(&c, 10000);
	REQ("RCV-30", c.own.rcvd == c.peer.sent);
	back_and_away(&c);
}

/* What came back unsent during a terminate the kernel sends. */
static void return_kept(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	(void)root;
	if (kind == HOST_OP_TERMINATE)
		spy_return_sends(rig.adapter);
}

static void unsent_bytes_are_sent(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 680);
	rig_transfer(&c, 10000);
	spy.keep_sends = true;
	spy.down = return_kept;
	write_burst(&c, c.pair.a, 50000);
	WAIT(&c, spy.sends > 0 && c.conn->xfer.outstanding >= 50000);
	rounds(&c, 20);
	assert_int_equal(c.own.sent - 50000, c.peer.rcvd);
	assert_int_equal(0, rig_upload(&c));
	RIG_RUN(&c, rig_all_there);
	REQ("IMD-23", c.peer.rcvd == c.own.sent);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* What the program writes once its connection is on its way up waits for the kernel. */
static void nothing_is_posted_after_a_terminate(void **state)
{
	unsigned int sends, receives;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 690);
	rig_transfer(&c, 10000);
	spy.hold[HOST_OP_TERMINATE] = true;
	assert_int_equal(0, rig_ask_upload(&c));
	WAIT(&c, spy.held[HOST_OP_TERMINATE]);
	sends = spy.sends;
	receives = spy.receives;
	write_burst(&c, c.pair.a, 20000);
	c.peer.goal += 20000;
	rounds(&c, 30);
	REQ("TRM-23", spy.sends == sends && spy.receives == receives);
	spy_release(HOST_OP_TERMINATE);
	RIG_RUN(&c, rig_all_there);
	REQ("INV-13", spy.ops[HOST_OP_TERMINATE] == 1 && spy.ops[HOST_OP_INVALIDATE] == 0);
	rig_disconnect(&c);
}

/* ---- ends --------------------------------------------------------------------------------- */

static bool peer_ended(struct rig_conn *c)
{
	return c->peer.eof || c->peer.error;
}

static bool disconnect_over(struct rig_conn *c)
{
	(void)c;
	return spy.disconnected > 0;
}

static void closing_and_uploading(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 700); /* upload, then close */
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(0, spy.disconnects);
	rig_transfer(&c, 10000);
	assert_false(c.peer.eof);
	c.own.close = true;
	RIG_RUN(&c, peer_ended);
	assert_int_equal(0, c.peer.error);
	rig_disconnect(&c);
	connect_offloaded(&c, 710); /* close, then upload */
	c.own.close = true;
	RIG_RUN(&c, peer_ended);
	REQ("DIS-02", spy.disconnects == 1 && !spy.odd_list &&
			      spy.disconnect_flags == TCP_DISCONNECT_GRACEFUL_CLOSE);
	assert_int_equal(0, rig_upload(&c));
	c.peer.goal += 10000;
	RIG_RUN(&c, rig_all_there);
	REQ("TRM-28", c.own.rcvd == c.peer.goal && !c.own.eof && !c.own.error);
	rig_disconnect(&c);
}

static void failed_disconnect_is_not_repeated(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 730);
	spy.fail_disconnect = true;
	c.own.close = true;
	RIG_RUN(&c, disconnect_over);
	spy.fail_disconnect = false;
	for (unsigned int i = 0; i < 5; i++) { /* reasons to look at the stream again */
		spy.tcp.TcpOffloadEventHandler(&c.conn->handle, TcpIndicateSendBacklogChange,
					       1u << 20);
		rounds(&c, 3);
	}
	c.peer.goal += 10000;
	RIG_RUN(&c, rig_all_there);
	REQ("DIS-21", spy.disconnects == 1);
	assert_int_equal(0, rig_upload(&c));
	rig_disconnect(&c);
}

static void abortive_close(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 750);
	test_write_all(c.pair.b, "unread", 6);
	c.closed = true;
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(0, loop_round(rig.loop, 1000));
	close(c.self.fd);
	c.self.fd = -1;
	RIG_RUN(&c, rig_gone);
	REQ("DIS-05", spy.disconnects == 1 &&
			      spy.disconnect_flags == TCP_DISCONNECT_ABORTIVE_CLOSE &&
			      spy.disconnect_len == 0);
	rig_disconnect(&c);
}

static void reset_is_taken_up(void **state)
{
	struct linger hard = { 1, 0 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 770);
	setsockopt(c.pair.b, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c.pair.b);
	c.pair.b = c.peer.fd = -1;
	RIG_RUN(&c, rig_gone);
	REQ("DIS-28", spy.events[TcpIndicateAbort] == 1 && spy.ops[HOST_OP_TERMINATE] == 1);
	rig_disconnect(&c);
}

/* ---- the target asks ---------------------------------------------------------------------- */

static void requests_to_upload(void **state)
{
	static const TCP_UPLOAD_REASON reasons[] = { HardwareFailure, InvalidState,
						     ReceivedUrgentData, TimeoutExpiration,
						     UploadRequested };
	unsigned int count = sizeof(reasons) / sizeof(reasons[0]);
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 800);
	rig_transfer(&c, 10000);
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(0, rig_offload(&c));
		rig_transfer(&c, 10000);
		rounds(&c, 20); /* nobody asked for anything */
		assert_int_equal(i, spy.ops[HOST_OP_TERMINATE]);
		spy.tcp.TcpOffloadEventHandler(&c.conn->handle, TcpIndicateRetrieve, reasons[i]);
		rounds(&c, 3);
		assert_int_equal(i + 1, spy.ops[HOST_OP_TERMINATE]);
		RIG_RUN(&c, in_host);
		rig_transfer(&c, 10000);
	}
	REQ("EVT-06", spy.ops[HOST_OP_TERMINATE] == count);
	assert_int_equal(0, rig_offload(&c));
	tgt_adapter_upload_all(rig.target);
	WAIT(&c, spy.ops[HOST_OP_TERMINATE] != count);
	RIG_RUN(&c, in_host);
	tgt_adapter_resume_offload(rig.target);
	rounds(&c, 5);
	/* as many as were asked for, and the state went up with each */
	REQ("TRM-01", spy.ops[HOST_OP_TERMINATE] == count + 1 &&
			      spy.completed[HOST_OP_TERMINATE] == count + 1);
	REQ("TRM-04", spy.ops[HOST_OP_TERMINATE] == count + 1);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* At the host's discretion: the connection does well where it is, and says so by going on. */
static void optional_requests_are_declined(void **state)
{
	static const TCP_UPLOAD_REASON reasons[] = { LowActivity,       HighDropRate,
						     SmallIO,           NoBufferPreposting,
						     HighFragmentation, HighOutOfOrderPackets };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 830);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		spy.tcp.TcpOffloadEventHandler(&c.conn->handle, TcpIndicateRetrieve, reasons[i]);
		rounds(&c, 5);
		assert_int_equal(0, c.conn->wanted);
		rig_transfer(&c, 10000);
		assert_int_equal(HOST_CONN_OFFLOADED, place(&c));
	}
	REQ("EVT-07", spy.ops[HOST_OP_TERMINATE] == 0);
	/* each of them may still be the reason of an upload that somebody orders */
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (i)
			assert_int_equal(0, rig_offload(&c));
		assert_int_equal(0, host_conn_upload(c.conn, reasons[i], NULL, NULL));
		RIG_RUN(&c, in_host);
		assert_int_equal(reasons[i], host_conn_info(c.conn)->history[0].reason);
		rig_transfer(&c, 10000);
	}
	rig_disconnect(&c);
}

static void pause_holds_offloads(void **state)
{
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 820);
	rig_transfer(&c, 1000);
	tgt_adapter_pause_offload(rig.target);
	rounds(&c, 5);
	REQ("STI-02", rig_offload(&c) == -EAGAIN && spy.ops[HOST_OP_INITIATE] == 0);
	tgt_adapter_resume_offload(rig.target);
	rounds(&c, 5);
	assert_int_equal(0, rig_offload(&c));
	back_and_away(&c);
}

/* ---- kernel ------------------------------------------------------------------------------- */

static uint32_t ts_up;

static void jump(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *b = root;

	if (kind != HOST_OP_TERMINATE)
		return;
	while (b->DependentBlockList)
		b = b->DependentBlockList;
	((TCP_OFFLOAD_STATE_DELEGATED *)(void *)NdisOffloadFirstState(b))->TsTime += 100000;
	ts_up = ((TCP_OFFLOAD_STATE_DELEGATED *)(void *)NdisOffloadFirstState(b))->TsTime;
}

/* TSval of an outgoing segment of the connection, from what a packet socket saw; false: none. */
static bool sniffed_tsval(int fd, uint16_t port_be, uint32_t *tsval)
{
	uint8_t f[2048];
	ssize_t n;

	while ((n = recv(fd, f, sizeof(f), MSG_DONTWAIT)) > 0) {
		size_t tcp = 14 + (size_t)(f[14] & 15) * 4;
		bool v4 = n >= 66 && f[12] == 8 && f[13] == 0 && f[23] == IPPROTO_TCP;

		/* NOP, NOP, timestamps: what this kernel writes */
		if (!v4 || memcmp(f + tcp, &port_be, 2) != 0 || f[tcp + 22] != 8)
			continue;
		memcpy(tsval, f + tcp + 24, 4);
		*tsval = ntohl(*tsval);
		return true;
	}
	return false;
}

static void timestamps_go_on(void **state)
{
	struct rig_conn c;
	struct tcp_info info;
	uint32_t now = 0, tsval = 0;
	int sniffer = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	socklen_t len = sizeof(now);

	(void)state;
	NEED_RIG();
	connect_offloaded(&c, 850);
	spy.up = jump; /* a clock that the kernel does not have of itself */
	assert_int_equal(0, rig_upload(&c));
	assert_int_equal(0, getsockopt(c.pair.a, IPPROTO_TCP, TCP_TIMESTAMP, &now, &len));
	REQ("TSP-06", now - ts_up < 5000);
	assert_true(sniffer >= 0);
	while (recv(sniffer, &tsval, sizeof(tsval), MSG_DONTWAIT) > 0)
		; /* from before */
	rig_transfer(&c, 10000);
	assert_true(sniffed_tsval(sniffer, host_conn_info(c.conn)->flow.local_port_be, &tsval));
	close(sniffer);
	len = sizeof(info);
	assert_int_equal(0, getsockopt(c.pair.a, IPPROTO_TCP, TCP_INFO, &info, &len));
	REQ("TSP-07", tsval - ts_up < 5000 && info.tcpi_rtt < 5000000);
	spy.up = NULL;
	rig_disconnect(&c);
}

static void ip_options_stay(void **state)
{
	static const uint8_t options[4] = { 1, 1, 1, 0 };
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	rig_connect(&rig, &c, AF_INET, 870);
	rig_transfer(&c, 10000);
	assert_int_equal(0, setsockopt(c.pair.a, IPPROTO_IP, IP_OPTIONS, options, sizeof(options)));
	REQ("NSP-03", rig_offload(&c) == -ENOTSUP && spy.ops[HOST_OP_INITIATE] == 0 &&
			      strstr(c.why, "IPv4 options"));
	assert_int_equal(0, setsockopt(c.pair.a, IPPROTO_IP, IP_OPTIONS, options, 0));
	assert_int_equal(0, rig_offload(&c));
	back_and_away(&c);
}

/* ---- power -------------------------------------------------------------------------------- */

static struct {
	bool done;
	NDIS_STATUS status;
	unsigned int terminates; /* completed when the change was over */
} power;

static void power_over(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)ctx;
	(void)request;
	power.done = true;
	power.status = status;
	power.terminates = spy.completed[HOST_OP_TERMINATE];
}

static bool powered(struct rig_conn *c)
{
	(void)c;
	return power.done;
}

static void sleep_takes_all_back(void **state)
{
	struct rig_conn c[2];

	(void)state;
	NEED_RIG();
	connect_offloaded(&c[0], 900);
	connect_offloaded(&c[1], 910);
	assert_int_equal(0, nrt_set_power(rig.nrt, NdisDeviceStateD3, power_over, NULL));
	assert_false(power.done); /* the device is not asked before */
	RIG_RUN(&c[0], powered);
	REQ("PWR-01", power.status == NDIS_STATUS_SUCCESS && power.terminates == 2 &&
			      in_host(&c[0]) && in_host(&c[1]));
	assert_int_equal(-EAGAIN, rig_offload(&c[0]));
	rig_transfer(&c[0], 10000);
	power.done = false;
	assert_int_equal(0, nrt_set_power(rig.nrt, NdisDeviceStateD0, power_over, NULL));
	RIG_RUN(&c[0], powered);
	assert_int_equal(0, rig_offload(&c[0]));
	back_and_away(&c[0]);
	rig_disconnect(&c[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bytes_take_the_chimney, fresh),
		cmocka_unit_test_setup(full_stream_refuses, fresh),
		cmocka_unit_test_setup(large_indication_is_taken_in_part, fresh),
		cmocka_unit_test_setup(unsent_bytes_are_sent, fresh),
		cmocka_unit_test_setup(nothing_is_posted_after_a_terminate, fresh),
		cmocka_unit_test_setup(closing_and_uploading, fresh),
		cmocka_unit_test_setup(failed_disconnect_is_not_repeated, fresh),
		cmocka_unit_test_setup(abortive_close, fresh),
		cmocka_unit_test_setup(reset_is_taken_up, fresh),
		cmocka_unit_test_setup(requests_to_upload, fresh),
		cmocka_unit_test_setup(optional_requests_are_declined, fresh),
		cmocka_unit_test_setup(pause_holds_offloads, fresh),
		cmocka_unit_test_setup(timestamps_go_on, fresh),
		cmocka_unit_test_setup(ip_options_stay, fresh),
		cmocka_unit_test_setup(sleep_takes_all_back, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
