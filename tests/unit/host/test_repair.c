/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's socket through freeze, read, park and restore, on a private network, without a
 * target: between park and restore nobody carries the connection, and the peer must not notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host_netlink.h"
#include "host/host_repair.h"
#include "host/host_segment.h"
#include "host_net.h"

static struct test_net net;
static bool usable;
static struct host_block_pool pool;

/*
 * What waits in the TAP goes to the kernel, as the target does with frames of a flow it does not
 * know.
 */
static void give_back(void *ctx, const struct nic_rx_frame *frame)
{
	(void)ctx;
	(void)nic_indicate(net.nic, frame);
}

static void drain_tap(void)
{
	while (nic_poll(net.nic, 64) > 0)
		;
}

static int setup(void **state)
{
	(void)state;
	usable = test_net_open(&net);
	if (usable)
		nic_set_rx(net.nic, give_back, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_block_pool_drain(&pool);
	test_net_close(&net);
	return 0;
}

#define NEED_NET()                                                                                 \
	do {                                                                                       \
		if (!usable)                                                                       \
			skip();                                                                    \
	} while (0)

/* One connection in our hands. */
struct grip {
	struct host_socket sock;
	struct host_image image;
	struct steer_flow flow;
};

static int grip_freeze(struct grip *g)
{
	int err = host_repair_mute(&g->sock);

	if (err)
		return err;
	host_repair_flush_ack(&g->sock);
	err = host_repair_freeze(&g->sock);
	if (!err)
		err = steer_quiet_add(net.steer, &g->flow, 1); /* its timers still send */
	if (!err || err == -EEXIST) /* the test itself may have hushed it before */
		err = host_repair_read(&g->sock, &pool, &g->image);
	if (!err && host_repair_moved(&g->sock, &g->image))
		err = -EAGAIN;
	return err;
}

static void grip_park(struct grip *g)
{
	assert_int_equal(0, host_repair_park(&g->sock, &g->image));
	assert_int_equal(HOST_SOCKET_PARKED, g->sock.phase);
	assert_int_equal(0, steer_quiet_del(net.steer, &g->flow, 1));
}

static void grip_thaw(struct grip *g)
{
	assert_int_equal(0, steer_quiet_del(net.steer, &g->flow, 1));
	assert_int_equal(0, host_repair_thaw(&g->sock));
	assert_int_equal(0, host_repair_unmute(&g->sock));
}

/* The socket as the program's descriptor fd has it; the program stands still because it is us. */
static void grip_take(struct grip *g, int fd)
{
	memset(g, 0, sizeof(*g));
	assert_int_equal(0, host_repair_take(&g->sock, dup(fd)));
	host_segment_flow(&g->sock, &g->flow);
	assert_int_equal(0, steer_add(net.steer, &g->flow, 1));
}

static void grip_down(struct grip *g, int fd)
{
	grip_take(g, fd);
	assert_int_equal(0, grip_freeze(g));
	grip_park(g);
}

static void grip_up(struct grip *g)
{
	assert_int_equal(0, host_repair_restore(&g->sock, &g->image));
	assert_int_equal(0, host_repair_release(&g->sock, &g->image, false));
	assert_int_equal(0, host_repair_unmute(&g->sock));
	assert_int_equal(0, host_segment_replay(net.nic, &g->sock, &g->flow, net.mac_b, &g->image));
	assert_int_equal(g->image.state, host_repair_state(&g->sock));
	assert_int_equal(0, steer_del(net.steer, &g->flow, 1));
	drain_tap();
}

static void grip_end(struct grip *g)
{
	host_image_clear(&g->image);
	host_repair_drop(&g->sock);
}

static int state_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	assert_int_equal(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

static void wait_state(int fd, int state)
{
	uint64_t end_us = test_now_us() + TEST_WAIT_MS * 1000u;

	while (state_of(fd) != state) {
		drain_tap();
		if (test_now_us() > end_us)
			fail_msg("state %d, wanted %d", state_of(fd), state);
		poll(NULL, 0, 1);
	}
}

static uint32_t outq(int fd, unsigned long what)
{
	int bytes = 0;

	assert_int_equal(0, ioctl(fd, what, &bytes));
	return (uint32_t)bytes;
}

static int get_opt(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(0, getsockopt(fd, level, name, &value, &len));
	return value;
}

static void set_opt(int fd, int level, int name, int value)
{
	assert_int_equal(0, setsockopt(fd, level, name, &value, sizeof(value)));
}

/* A number of /proc/net/netstat of the peer. */
static long peer_counter(const char *name)
{
	char names[16384], values[16384], *n, *v, *ns, *vs;
	long result = -1;
	FILE *f;

	assert_int_equal(0, netns_switch(&net.b));
	f = fopen("/proc/thread-self/net/netstat", "r");
	assert_int_equal(0, netns_switch(&net.a));
	assert_non_null(f);
	assert_non_null(fgets(names, sizeof(names), f));
	assert_non_null(fgets(values, sizeof(values), f));
	fclose(f);
	for (n = strtok_r(names, " \n", &ns), v = strtok_r(values, " \n", &vs); n && v;
	     n = strtok_r(NULL, " \n", &ns), v = strtok_r(NULL, " \n", &vs))
		if (strcmp(n, name) == 0)
			result = atol(v);
	assert_true(result >= 0);
	return result;
}

static void talk(const struct test_pair *pair, size_t len, uint32_t seed)
{
	uint8_t *sent = malloc(len), *got = malloc(len);

	test_fill(sent, len, seed);
	test_write_all(pair->a, sent, len);
	test_read_all(pair->b, got, len);
	assert_memory_equal(sent, got, len);
	test_write_all(pair->b, sent, len);
	test_read_all(pair->a, got, len);
	assert_memory_equal(sent, got, len);
	free(sent);
	free(got);
}

static void freeze_and_thaw_changes_nothing(void **state)
{
	struct test_pair pair;
	struct grip g;
	char data[] = "unread", got[sizeof(data)];

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	set_opt(pair.a, SOL_SOCKET, SO_REUSEADDR, 1);
	test_write_all(pair.b, data, sizeof(data));
	assert_true(test_wait(pair.a, POLLIN));
	grip_take(&g, pair.a);
	assert_int_equal(0, grip_freeze(&g));
	assert_int_equal(HOST_TCP_ESTABLISHED, g.image.state);
	assert_int_equal(sizeof(data), host_block_len(g.image.rx));
	assert_memory_equal(data, g.image.rx->data, sizeof(data));
	grip_thaw(&g);
	assert_int_equal(1, get_opt(pair.a, SOL_SOCKET, SO_REUSEADDR));
	assert_int_equal(0, steer_del(net.steer, &g.flow, 1));
	drain_tap();
	grip_end(&g);
	test_read_all(pair.a, got, sizeof(got));
	assert_memory_equal(data, got, sizeof(data));
	talk(&pair, 5000, 1);
	test_pair_close(&pair);
}

/*
 * Unread data on our side, sent but unacknowledged data on the way to the peer; then both streams
 * go on.
 */
static void round_trip(int family, uint32_t seed)
{
	static uint8_t sent[60000], got[60000];
	struct test_pair pair;
	struct grip g;

	test_pair_open(&net, family, &pair);
	talk(&pair, 20000, seed);
	test_fill(sent, sizeof(sent), seed);
	test_write_all(pair.b, sent, sizeof(sent));
	while (outq(pair.a, SIOCINQ) < sizeof(sent))
		assert_true(test_wait(pair.a, POLLIN));
	grip_take(&g, pair.a); /* no acknowledgment of what follows reaches us */
	test_write_all(pair.a, sent, 10000);
	assert_int_equal(0, grip_freeze(&g));
	assert_int_equal(sizeof(sent), host_block_len(g.image.rx));
	assert_memory_equal(sent, g.image.rx->data, sizeof(sent));
	assert_int_equal(10000, host_block_len(g.image.tx));
	assert_memory_equal(sent, g.image.tx->data, 10000);
	grip_park(&g);
	assert_int_equal(family == AF_INET6 ? AF_INET6 : AF_INET, g.flow.family);
	grip_up(&g);
	grip_end(&g);
	test_read_all(pair.a, got, sizeof(got));
	assert_memory_equal(sent, got, sizeof(got));
	test_read_all(pair.b, got, 10000);
	assert_memory_equal(sent, got, 10000);
	talk(&pair, 200000, seed + 1);
	test_pair_close(&pair);
}

static void restores_ipv4(void **state)
{
	(void)state;
	NEED_NET();
	round_trip(AF_INET, 11);
}

static void restores_ipv6(void **state)
{
	(void)state;
	NEED_NET();
	round_trip(AF_INET6, 12);
}

/* the socket is IPv6, its packets are IPv4. */
static void restores_mapped(void **state)
{
	(void)state;
	NEED_NET();
	round_trip(46, 13);
}

static void parked_socket_holds_the_address(void **state)
{
	struct test_pair pair;
	struct grip g;
	int other;

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	grip_down(&g, pair.a);
	close(pair.listener);
	pair.listener = -1;
	other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	set_opt(other, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(other, (struct sockaddr *)&g.sock.local, g.sock.addr_len) == 0) {
		assert_int_equal(
			-1, connect(other, (struct sockaddr *)&g.sock.remote, g.sock.addr_len));
		assert_int_equal(EADDRNOTAVAIL, errno);
	} else {
		assert_int_equal(EADDRINUSE, errno);
	}
	close(other);
	grip_up(&g);
	grip_end(&g);
	talk(&pair, 3000, 3);
	test_pair_close(&pair);
}

static void options_of_the_program_survive(void **state)
{
	struct sock_filter accept_all = BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF);
	struct sock_fprog prog = { 1, &accept_all };
	struct sock_filter back[4];
	socklen_t blocks = 4;
	struct test_pair pair;
	struct grip g;

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	set_opt(pair.a, IPPROTO_TCP, TCP_NODELAY, 1);
	set_opt(pair.a, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_opt(pair.a, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(pair.a, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set_opt(pair.a, IPPROTO_TCP, TCP_USER_TIMEOUT, 7700);
	set_opt(pair.a, IPPROTO_IP, IP_TTL, 33);
	assert_int_equal(0, setsockopt(pair.a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	grip_down(&g, pair.a);
	assert_false(g.image.nagle);
	assert_true(g.image.keepalive);
	assert_int_equal(77, g.image.ka_idle_s);
	assert_int_equal(33, g.image.ttl);
	grip_up(&g);
	grip_end(&g);
	assert_int_equal(1, get_opt(pair.a, IPPROTO_TCP, TCP_NODELAY));
	assert_int_equal(1, get_opt(pair.a, SOL_SOCKET, SO_KEEPALIVE));
	assert_int_equal(1, get_opt(pair.a, SOL_SOCKET, SO_REUSEADDR));
	assert_int_equal(7700, get_opt(pair.a, IPPROTO_TCP, TCP_USER_TIMEOUT));
	assert_int_equal(33, get_opt(pair.a, IPPROTO_IP, IP_TTL));
	assert_int_equal(0, get_opt(pair.a, SOL_SOCKET, SO_ERROR));
	assert_int_equal(0, getsockopt(pair.a, SOL_SOCKET, SO_GET_FILTER, back, &blocks));
	assert_int_equal(1, blocks);
	assert_int_equal(0xFFFFFFFF, back[0].k);
	talk(&pair, 3000, 4);
	test_pair_close(&pair);
}

/* the border between sent and unsent survives; nobody waits for a retransmission timer. */
static void border_of_unsent_data_survives(void **state)
{
	enum { BYTES = 1 << 20 };
	uint8_t *sent = malloc(BYTES), *got = malloc(BYTES);
	uint32_t queued, unsent, written;
	struct test_pair pair;
	struct grip g;
	uint64_t start;

	(void)state;
	NEED_NET();
	test_fill(sent, BYTES, 5);
	test_pair_open(&net, AF_INET, &pair);
	set_opt(pair.b, SOL_SOCKET, SO_RCVBUF, 30000);
	for (written = 0;;) {
		ssize_t n = send(pair.a, sent + written, BYTES - written, MSG_DONTWAIT);

		if (n <= 0)
			break;
		written += (uint32_t)n;
	}
	grip_down(&g, pair.a);
	queued = (uint32_t)host_block_len(g.image.tx);
	unsent = queued - (g.image.snd_max - g.image.snd_una);
	assert_true(queued > 0);
	assert_true(unsent > 0);
	assert_memory_equal(sent + written - queued, g.image.tx->data, queued);
	grip_up(&g);
	grip_end(&g);
	assert_true(outq(pair.a, SIOCOUTQNSD) <= unsent);
	start = test_now_us();
	test_read_all(pair.b, got, written);
	assert_true(test_now_us() - start <
		    900000); /* the restored socket's first RTO is a second */
	assert_memory_equal(sent, got, written);
	talk(&pair, 3000, 6);
	test_pair_close(&pair);
	free(sent);
	free(got);
}

/* what the peer sees of our timestamps never steps back. */
static void timestamps_go_on(void **state)
{
	struct test_pair pair;
	struct grip g;
	uint32_t before;
	long paws;

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	talk(&pair, 3000, 7);
	paws = peer_counter("PAWSEstab");
	grip_down(&g, pair.a);
	assert_true(g.image.timestamps);
	before = g.image.ts_now;
	grip_up(&g);
	assert_int_equal(0, host_repair_freeze(&g.sock));
	assert_int_equal(0, host_repair_read(&g.sock, &pool, &g.image));
	assert_true((int32_t)(g.image.ts_now - before) >= 0);
	assert_true(g.image.ts_now - before < TEST_WAIT_MS);
	assert_int_equal(0, host_repair_thaw(&g.sock));
	grip_end(&g);
	talk(&pair, 3000, 8);
	assert_int_equal(paws, peer_counter("PAWSEstab"));
	test_pair_close(&pair);
}

/* As much as the receiver's window allows, and no more. */
static size_t fill_window(const struct test_pair *pair)
{
	static const uint8_t data[65536];
	long probes = peer_counter("TCPWinProbe");
	size_t sent = 0;
	ssize_t n;

	do {
		n = send(pair->b, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		poll(NULL, 0, n > 0 ? 0 : 1);
	} while (n > 0 || peer_counter("TCPWinProbe") < probes + 3);
	return sent;
}

/*
 * The peer waits for a window, its next probe far away; what the kernel thinks it has told when it
 * left repair mode must have reached the peer.
 */
static void window_opens_for_a_waiting_peer(int family)
{
	struct test_pair pair;
	size_t sent, rcvd = 0;
	uint8_t data[65536];
	struct grip g;
	long probes;

	test_pair_open(&net, family, &pair);
	sent = fill_window(&pair);
	probes = peer_counter("TCPWinProbe");
	grip_down(&g, pair.a);
	assert_true(g.image.rcv_wnd_bytes < 2u * g.image.mss_bytes);
	/* the program has read it all meanwhile */
	rcvd += host_block_len(g.image.rx);
	host_block_put(g.image.rx);
	g.image.rx = NULL;
	grip_up(&g);
	grip_end(&g);
	while (rcvd < sent) {
		ssize_t n;

		assert_true(test_wait(pair.a, POLLIN));
		n = recv(pair.a, data, sizeof(data), 0);
		assert_true(n > 0);
		rcvd += (size_t)n;
	}
	assert_int_equal(probes, peer_counter("TCPWinProbe"));
	test_pair_close(&pair);
}

static void window_opens(void **state)
{
	(void)state;
	NEED_NET();
	window_opens_for_a_waiting_peer(AF_INET);
	window_opens_for_a_waiting_peer(AF_INET6);
}

/* each closing state is read, parked and reached again. */
static void half_closed(int family, int wanted)
{
	struct steer_flow flow;
	struct test_pair pair;
	struct grip g;
	uint8_t byte = 0;

	test_pair_open(&net, family, &pair);
	assert_int_equal(0, host_repair_take(&g.sock, dup(pair.a)));
	host_segment_flow(&g.sock, &flow);
	host_repair_drop(&g.sock);
	test_write_all(pair.b, "abc", 3);
	if (wanted == HOST_TCP_CLOSE_WAIT || wanted == HOST_TCP_LAST_ACK) {
		shutdown(pair.b, SHUT_WR);
		wait_state(pair.a, HOST_TCP_CLOSE_WAIT);
	}
	if (wanted == HOST_TCP_LAST_ACK || wanted == HOST_TCP_CLOSING ||
	    wanted == HOST_TCP_FIN_WAIT_1) {
		/* our FIN does not reach the peer before we are down */
		assert_int_equal(0, steer_quiet_add(net.steer, &flow, 1));
	}
	if (wanted != HOST_TCP_CLOSE_WAIT)
		shutdown(pair.a, SHUT_WR);
	if (wanted == HOST_TCP_CLOSING)
		shutdown(pair.b, SHUT_WR);
	wait_state(pair.a, wanted);
	grip_down(&g, pair.a);
	assert_int_equal(wanted, g.image.state);
	assert_int_equal(3, host_block_len(g.image.rx));
	grip_up(&g);
	grip_end(&g);
	for (const char *c = "abc"; *c; c++) {
		assert_int_equal(1, read(pair.a, &byte, 1));
		assert_int_equal(*c, byte);
	}
	if (wanted == HOST_TCP_CLOSE_WAIT) {
		test_write_all(pair.a, "x", 1);
		test_read_all(pair.b, &byte, 1);
		shutdown(pair.a, SHUT_WR);
	}
	assert_true(test_wait(pair.b, POLLRDHUP));
	assert_int_equal(0, read(pair.b, &byte, 1));
	shutdown(pair.b, SHUT_WR);
	assert_int_equal(0, read(pair.a, &byte, 1));
	wait_state(pair.a, HOST_TCP_CLOSE);
	assert_int_equal(0, get_opt(pair.a, SOL_SOCKET, SO_ERROR));
	assert_int_equal(0, get_opt(pair.b, SOL_SOCKET, SO_ERROR));
	test_pair_close(&pair);
}

static void half_closed_states_are_reached_again(void **state)
{
	static const int states[] = { HOST_TCP_CLOSE_WAIT, HOST_TCP_FIN_WAIT_1, HOST_TCP_FIN_WAIT_2,
				      HOST_TCP_CLOSING, HOST_TCP_LAST_ACK };

	(void)state;
	NEED_NET();
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		half_closed(AF_INET, states[i]);
		half_closed(AF_INET6, states[i]);
	}
}

/*
 * The target went through the FIN exchange; the kernel gets its TIME_WAIT and the peer notices
 * nothing.
 */
static void kernel_keeps_time_wait(void **state)
{
	struct host_nl_sock found;
	struct host_nl *nl;
	struct test_pair pair;
	struct grip g;

	(void)state;
	NEED_NET();
	assert_int_equal(0, host_nl_open(&nl));
	test_pair_open(&net, AF_INET, &pair);
	shutdown(pair.a, SHUT_WR);
	wait_state(pair.a, HOST_TCP_FIN_WAIT_2);
	grip_down(&g, pair.a);
	shutdown(
		pair.b,
		SHUT_WR); /* waits in the TAP, as if the target had got it and its answer was lost */
	g.image.state = HOST_TCP_TIME_WAIT;
	g.image.rcv_nxt++;
	g.image.fin_received = true;
	assert_int_equal(0, host_repair_restore(&g.sock, &g.image));
	assert_int_equal(0, steer_quiet_add(net.steer, &g.flow, 1));
	assert_int_equal(0, host_repair_release(&g.sock, &g.image, true));
	assert_int_equal(0, host_repair_unmute(&g.sock));
	assert_int_equal(0, host_segment_replay(net.nic, &g.sock, &g.flow, net.mac_b, &g.image));
	assert_int_equal(0, host_nl_sock_find(nl, &g.flow, &found));
	assert_int_equal(HOST_TCP_TIME_WAIT, found.state);
	assert_int_equal(0, steer_quiet_del(net.steer, &g.flow, 1));
	assert_int_equal(0, steer_del(net.steer, &g.flow, 1));
	drain_tap(); /* the kernel's TIME_WAIT answers the peer's FIN */
	wait_state(pair.b, HOST_TCP_CLOSE);
	assert_int_equal(0, get_opt(pair.a, SOL_SOCKET, SO_ERROR));
	grip_end(&g);
	host_nl_close(nl);
	test_pair_close(&pair);
}

/*
 * The peer closed first, then the program, and both FINs are acknowledged: nothing is left of it
 * but the program's descriptor.
 */
static void close_of_both_is_finished(void **state)
{
	struct test_pair pair;
	struct grip g;
	char byte;

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	shutdown(pair.b, SHUT_WR);
	wait_state(pair.a, HOST_TCP_CLOSE_WAIT);
	grip_down(&g, pair.a);
	g.image.state = HOST_TCP_CLOSE;
	g.image.fin_queued = g.image.fin_acked = true;
	g.image.snd_una = ++g.image.snd_max;
	assert_int_equal(0, host_repair_restore(&g.sock, &g.image));
	assert_int_equal(0, steer_quiet_add(net.steer, &g.flow, 1));
	assert_int_equal(0, host_repair_release(&g.sock, &g.image, true));
	assert_int_equal(0, host_repair_unmute(&g.sock));
	for (int again = 0; again < 2; again++)
		assert_int_equal(
			0, host_segment_replay(net.nic, &g.sock, &g.flow, net.mac_b, &g.image));
	assert_int_equal(HOST_TCP_CLOSE, host_repair_state(&g.sock));
	assert_int_equal(0, steer_quiet_del(net.steer, &g.flow, 1));
	assert_int_equal(0, steer_del(net.steer, &g.flow, 1));
	grip_end(&g);
	assert_int_equal(0, recv(pair.a, &byte, 1, 0));
	assert_int_equal(0, get_opt(pair.a, SOL_SOCKET, SO_ERROR));
	test_pair_close(&pair);
}

/* data that came before the peer's RST can be read, then comes the error. */
static void reset_reaches_the_program(void **state)
{
	struct test_pair pair;
	struct grip g;
	char got[8];

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	test_write_all(pair.b, "last", 4);
	assert_true(test_wait(pair.a, POLLIN));
	grip_down(&g, pair.a);
	assert_int_equal(0, host_repair_restore(&g.sock, &g.image));
	assert_int_equal(0, host_repair_release(&g.sock, &g.image, true));
	assert_int_equal(0, host_repair_unmute(&g.sock));
	assert_int_equal(0, host_segment_reset(net.nic, &g.sock, &g.flow, net.mac_b, &g.image));
	assert_int_equal(0, steer_del(net.steer, &g.flow, 1));
	grip_end(&g);
	assert_int_equal(4, recv(pair.a, got, sizeof(got), 0));
	assert_int_equal(-1, recv(pair.a, got, sizeof(got), 0));
	assert_int_equal(ECONNRESET, errno);
	test_pair_close(&pair);
}

/* Not even a closed descriptor says anything while it is parked. */
static void closing_a_parked_socket_is_silent(void **state)
{
	struct test_pair pair;
	struct grip g;

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	grip_down(&g, pair.a);
	close(pair.a);
	pair.a = -1;
	grip_end(&g);
	assert_int_equal(HOST_TCP_ESTABLISHED, state_of(pair.b));
	assert_false(poll(&(struct pollfd){ .fd = pair.b, .events = POLLIN | POLLRDHUP }, 1, 0));
	assert_int_equal(0, get_opt(pair.b, SOL_SOCKET, SO_ERROR));
	assert_int_equal(0, steer_del(net.steer, &g.flow, 1));
	test_pair_close(&pair);
}

/* ---- freeze at random moments while both sides send --------------------------------- */

struct stream_end {
	int fd;
	uint32_t tx_seed, rx_seed;
	uint64_t sent, rcvd;
	bool bad;
};

static struct stream_end peer_end;
static atomic_bool peer_stop;
static _Atomic uint64_t peer_sent, peer_may_send;

/*
 * Reading a long queue of small segments takes the kernel quadratic time, so the peer is that far
 * ahead of the reader now and then only.
 */
#define FAR_AHEAD_BYTES  1000000u
#define NEAR_AHEAD_BYTES 100000u
/*
 * A socket that repair mode has made has no round-trip sample: its first retransmission is due
 * after 3 s, the next after 6 s more, and these processors may be busy elsewhere.
 */
#define LAST_WAIT_MS 60000

static void end_send(struct stream_end *end, size_t max)
{
	uint8_t data[65536];
	size_t len = max < sizeof(data) ? max : sizeof(data);
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		data[i] = test_byte(end->tx_seed, end->sent + i);
	n = send(end->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0) {
		end->sent += (uint64_t)n;
	} else if (errno != EAGAIN) {
		print_error("send: %s\n", strerror(errno));
		end->bad = true;
	}
}

/* false: end of the stream */
static bool end_receive(struct stream_end *end, size_t max)
{
	uint8_t data[65536];
	ssize_t n = recv(end->fd, data, max < sizeof(data) ? max : sizeof(data), MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN) {
		print_error("recv: %s\n", strerror(errno));
		end->bad = true;
	}
	for (ssize_t i = 0; i < n && !end->bad; i++)
		if (data[i] != test_byte(end->rx_seed, end->rcvd + (uint64_t)i)) {
			print_error("wrong byte at %llu\n",
				    (unsigned long long)end->rcvd + (uint64_t)i);
			end->bad = true;
		}
	if (n > 0)
		end->rcvd += (uint64_t)n;
	return n != 0;
}

static void *peer_main(void *arg)
{
	bool open = true;

	(void)arg;
	while (!atomic_load(&peer_stop) && !peer_end.bad) {
		struct pollfd pfd = { .fd = peer_end.fd, .events = POLLIN };

		if (peer_end.sent < atomic_load(&peer_may_send))
			pfd.events |= POLLOUT;
		poll(&pfd, 1, pfd.events & POLLOUT ? 100 : 1);
		if (pfd.revents & POLLIN)
			end_receive(&peer_end, 50000);
		if (pfd.revents & POLLOUT)
			end_send(&peer_end, 30000);
		atomic_store(&peer_sent, peer_end.sent);
	}
	shutdown(peer_end.fd, SHUT_WR);
	while (open && !peer_end.bad) {
		struct pollfd pfd = { .fd = peer_end.fd, .events = POLLIN };

		if (poll(&pfd, 1, LAST_WAIT_MS) != 1) {
			print_error("nothing more comes behind %llu bytes\n",
				    (unsigned long long)peer_end.rcvd);
			peer_end.bad = true;
		}
		open = end_receive(&peer_end, 65536);
	}
	return NULL;
}

static void random_freeze(uint32_t *rnd, struct stream_end *own, uint32_t *undone)
{
	struct grip g;
	int err;

	grip_take(&g, own->fd);
	err = grip_freeze(&g);
	if (err == -EAGAIN) {
		/* a segment slipped in: as the host driver does, leave it for another time */
		++*undone;
		grip_thaw(&g);
		assert_int_equal(0, steer_del(net.steer, &g.flow, 1));
		drain_tap();
	} else {
		assert_int_equal(0, err);
		grip_park(&g);
		if (test_random(rnd) % 4 == 0)
			poll(&(struct pollfd){ .fd = nic_fd(net.nic), .events = POLLIN }, 1,
			     5); /* into the gap */
		grip_up(&g);
	}
	grip_end(&g);
}

static void random_freezes_lose_nothing(void **state)
{
	uint32_t rnd = 20240607, undone = 0, runs = 1000;
	struct stream_end own = { .tx_seed = 100, .rx_seed = 200 };
	struct test_pair pair;
	pthread_t peer;

	(void)state;
	NEED_NET();
	test_pair_open(&net, AF_INET, &pair);
	own.fd = pair.a;
	peer_end = (struct stream_end){ .fd = pair.b, .tx_seed = 200, .rx_seed = 100 };
	atomic_store(&peer_stop, false);
	atomic_store(&peer_sent, 0);
	atomic_store(&peer_may_send, FAR_AHEAD_BYTES);
	assert_int_equal(0, pthread_create(&peer, NULL, peer_main, NULL));
	for (uint32_t run = 0; run < runs && !own.bad && !peer_end.bad; run++) {
		for (uint32_t ops = test_random(&rnd) % 8; ops > 0; ops--) {
			end_send(&own, test_random(&rnd) % 40000 + 1);
			end_receive(&own, test_random(&rnd) % 65536 + 1);
		}
		for (int reads = 0;
		     reads < 32 && own.rcvd + FAR_AHEAD_BYTES < atomic_load(&peer_sent); reads++)
			end_receive(&own, 65536);
		atomic_store(&peer_may_send, own.rcvd + (test_random(&rnd) % 8 ? NEAR_AHEAD_BYTES
									       : FAR_AHEAD_BYTES));
		if (run == runs - 100)
			atomic_store(&peer_stop,
				     true); /* its FIN arrives at a random moment, too */
		random_freeze(&rnd, &own, &undone);
	}
	shutdown(pair.a, SHUT_WR);
	while (!own.bad &&
	       poll(&(struct pollfd){ .fd = pair.a, .events = POLLIN }, 1, LAST_WAIT_MS) == 1 &&
	       end_receive(&own, 65536))
		;
	atomic_store(&peer_stop, true);
	pthread_join(peer, NULL);
	print_message("%u runs, %u undone, %llu bytes in, %llu out\n", runs, undone,
		      (unsigned long long)own.rcvd, (unsigned long long)own.sent);
	assert_false(own.bad);
	assert_false(peer_end.bad);
	assert_int_equal(own.sent, peer_end.rcvd);
	assert_int_equal(own.rcvd, peer_end.sent);
	assert_true(undone < runs / 2);
	test_pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freeze_and_thaw_changes_nothing),
		cmocka_unit_test(restores_ipv4),
		cmocka_unit_test(restores_ipv6),
		cmocka_unit_test(restores_mapped),
		cmocka_unit_test(parked_socket_holds_the_address),
		cmocka_unit_test(options_of_the_program_survive),
		cmocka_unit_test(border_of_unsent_data_survives),
		cmocka_unit_test(timestamps_go_on),
		cmocka_unit_test(window_opens),
		cmocka_unit_test(half_closed_states_are_reached_again),
		cmocka_unit_test(kernel_keeps_time_wait),
		cmocka_unit_test(close_of_both_is_finished),
		cmocka_unit_test(reset_reaches_the_program),
		cmocka_unit_test(closing_a_parked_socket_is_silent),
		cmocka_unit_test(random_freezes_lose_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
