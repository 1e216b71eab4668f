/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection whose FINs were exchanged outside of the kernel gets its TIME_WAIT in the kernel:
 * restore ESTABLISHED one byte earlier on both sides, shutdown() inside repair, leave repair, let
 * the peer's FIN arrive again. The ACK that answers it must not reach the peer, which is closed and
 * would answer RST: the quiet set drops it.
 */
#include "fact_net.h"

#include <poll.h>
#include <unistd.h>

#include "host/host_netlink.h"

/* The FIN exchange as an offload target would do it; a's kernel is kept quiet meanwhile. */
static void close_by_hand(const struct fact_net *net, struct fact_pair *pair,
			  const struct fact_repair *r)
{
	uint8_t frame[128];
	char c;

	fact_leave(net, frame,
		   fact_build_segment(frame, net, pair, true, r->snd_seq, r->rcv_seq,
				      FACT_ACK | FACT_FIN, NULL, NULL, 0));
	must(fact_wait(pair->b, POLLIN) && read(pair->b, &c, 1) == 0);
	must(!shutdown(pair->b, SHUT_WR));
	must(fact_tcp_state(pair->b) == TCP_LAST_ACK);
	fact_leave(net, frame,
		   fact_build_segment(frame, net, pair, true, r->snd_seq + 1, r->rcv_seq + 1,
				      FACT_ACK, NULL, NULL, 0));
	fact_await_state(pair->b, TCP_CLOSE);
	close(pair->b);
}

static void try_family(const struct fact_net *net, struct fact_cap *cap, struct host_nl *nl,
		       struct steer *st, int family)
{
	static struct fact_repair r;
	struct steer_flow flow;
	struct fact_pair pair;
	struct fact_seen seen;
	struct host_nl_sock sock;
	uint8_t frame[128];
	size_t len;
	int v = family == AF_INET ? 4 : 6, queue = TCP_SEND_QUEUE, other;

	fact_pair_open(net, family, &pair);
	flow = fact_pair_flow(&pair);
	fact_check_both_ways(&pair, 5000);
	fact_settle(net);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	must_ok(steer_quiet_add(st, &flow, 1));
	close(pair.a);
	close_by_hand(net, &pair, &r);
	(void)fact_cap_until_marker(cap, net, &pair);

	pair.a = fact_socket(&net->a, family);
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	must(!setsockopt(pair.a, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	must(!shutdown(pair.a, SHUT_WR));
	fact_repair_off(pair.a);
	len = fact_build_segment(frame, net, &pair, false, r.rcv_seq, r.snd_seq + 1,
				 FACT_ACK | FACT_FIN, NULL, NULL, 0);
	fact_arrive(net, frame, len);
	fact_settle(net);
	must_ok(host_nl_sock_find(nl, &flow, &sock));
	fact(sock.state == TCP_TIME_WAIT,
	     "IPv%d: the kernel keeps TIME_WAIT for a connection that "
	     "was closed elsewhere",
	     v);
	seen = fact_cap_until_marker(cap, net, &pair);
	fact(seen.from_a == 0 && seen.rst_from_b == 0,
	     "IPv%d: the quiet set suppressed its ACK; the closed peer sent no RST", v);
	must_ok(steer_quiet_del(st, &flow, 1));
	close(pair.a);
	other = fact_socket(&net->a, family);
	fact(bind(other, (struct sockaddr *)&pair.addr_a, pair.addr_len) && errno == EADDRINUSE,
	     "IPv%d: its port is held", v);
	close(other);
	fact_arrive(net, frame, len);
	seen = fact_cap_until_marker(cap, net, &pair);
	fact(seen.from_a == 1 && seen.rst_from_a == 0,
	     "IPv%d: no longer quiet, it acknowledges a repeated FIN", v);
}

int main(void)
{
	struct fact_net net;
	struct fact_steer s;
	struct fact_cap cap;
	struct host_nl *nl;

	fact_net_open(&net);
	must_ok(host_nl_open(&nl));
	fact_steer_open(&net, &s);
	fact_cap_open(&cap, &net.b, net.if_b, ETH_P_ALL);
	try_family(&net, &cap, nl, s.st, AF_INET);
	try_family(&net, &cap, nl, s.st, AF_INET6);
	close(cap.fd);
	fact_steer_close(&s);
	host_nl_close(nl);
	fact_net_close(&net);
	return 0;
}
