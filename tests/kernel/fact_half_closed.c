/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Freezing is silent in FIN_WAIT_2 and CLOSE_WAIT too, but a plain restore is ESTABLISHED. Our own
 * FIN is restored by starting one byte earlier and shutdown() inside repair with the send queue
 * selected, which sends nothing; the peer's by starting one byte earlier and letting its FIN arrive
 * again.
 */
#include "fact_net.h"

#include <poll.h>
#include <unistd.h>

static void shutdown_in_repair(int fd)
{
	int queue = TCP_SEND_QUEUE;

	must(!setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	must(!shutdown(fd, SHUT_WR));
	queue = TCP_NO_QUEUE;
	must(!setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
}

static void freeze(const struct fact_net *net, struct fact_cap *cap, struct fact_pair *pair,
		   struct fact_repair *r, const char *state)
{
	struct fact_seen seen;

	fact_settle(net);
	(void)fact_cap_until_marker(cap, net, pair);
	fact_repair_on(pair->a);
	fact_repair_read(pair->a, r);
	close(pair->a);
	seen = fact_cap_until_marker(cap, net, pair);
	fact(seen.from_a == 0, "freezing and closing in %s sends nothing", state);
	pair->a = fact_socket(&net->a, pair->family);
}

static void our_fin(const struct fact_net *net, struct fact_cap *cap, int family)
{
	static struct fact_repair r;
	struct fact_pair pair;
	struct fact_seen seen;
	uint8_t frame[128];
	char c;

	fact_pair_open(net, family, &pair);
	must(!shutdown(pair.a, SHUT_WR));
	must(read(pair.b, &c, 1) == 0);
	fact_await_state(pair.a, TCP_FIN_WAIT2);
	freeze(net, cap, &pair, &r, "FIN_WAIT_2");
	fact_repair_restore(pair.a, &pair, true, &r, 1, 0);
	fact(fact_tcp_state(pair.a) == TCP_ESTABLISHED, "a plain restore is ESTABLISHED");
	shutdown_in_repair(pair.a);
	fact_repair_off(pair.a);
	seen = fact_cap_until_marker(cap, net, &pair);
	fact(seen.from_a == 0 && fact_tcp_state(pair.a) == TCP_FIN_WAIT1,
	     "one byte earlier and shutdown() in repair: FIN_WAIT_1, nothing sent");
	fact_arrive(net, frame,
		    fact_build_segment(frame, net, &pair, false, r.rcv_seq, r.snd_seq, FACT_ACK,
				       NULL, NULL, 0));
	fact_settle(net);
	fact(fact_tcp_state(pair.a) == TCP_FIN_WAIT2, "an injected ACK makes it FIN_WAIT_2");
	fact_write_all(pair.b, "late", 4);
	close(pair.b);
	fact_read_all(pair.a, r.rcv_queue, 4);
	must(fact_wait(pair.a, POLLIN));
	fact(read(pair.a, &c, 1) == 0 && fact_so_error(pair.a) == 0,
	     "the peer's data and FIN still arrive");
	close(pair.a);
}

static void peers_fin(const struct fact_net *net, struct fact_cap *cap, int family)
{
	static struct fact_repair r;
	struct fact_pair pair;
	uint8_t frame[128];
	char c;

	fact_pair_open(net, family, &pair);
	must(!shutdown(pair.b, SHUT_WR));
	must(fact_wait(pair.a, POLLIN) && read(pair.a, &c, 1) == 0);
	must(fact_tcp_state(pair.a) == TCP_CLOSE_WAIT);
	freeze(net, cap, &pair, &r, "CLOSE_WAIT");
	fact_repair_restore(pair.a, &pair, true, &r, 0, 1);
	fact_repair_off(pair.a);
	fact(fact_tcp_state(pair.a) == TCP_ESTABLISHED && recv(pair.a, &c, 1, MSG_DONTWAIT) < 0 &&
		     errno == EAGAIN,
	     "a plain restore has forgotten the peer's FIN");
	fact_arrive(net, frame,
		    fact_build_segment(frame, net, &pair, false, r.rcv_seq - 1, r.snd_seq,
				       FACT_ACK | FACT_FIN, NULL, NULL, 0));
	must(fact_wait(pair.a, POLLIN));
	fact(read(pair.a, &c, 1) == 0 && fact_tcp_state(pair.a) == TCP_CLOSE_WAIT,
	     "one byte earlier and the FIN injected again: CLOSE_WAIT, end of input");
	fact_write_all(pair.a, "answer", 6);
	fact_read_all(pair.b, r.snd_queue, 6);
	close(pair.a);
	must(fact_wait(pair.b, POLLIN));
	fact(read(pair.b, &c, 1) == 0 && fact_so_error(pair.b) == 0,
	     "our data and FIN still reach the peer");
	close(pair.b);
}

int main(void)
{
	struct fact_net net;
	struct fact_cap cap;
	int families[2] = { AF_INET, AF_INET6 }, i;

	fact_net_open(&net);
	fact_cap_open(&cap, &net.b, net.if_b, ETH_P_ALL);
	for (i = 0; i < 2; i++) {
		printf("IPv%d\n", families[i] == AF_INET ? 4 : 6);
		our_fin(&net, &cap, families[i]);
		peers_fin(&net, &cap, families[i]);
	}
	close(cap.fd);
	fact_net_close(&net);
	return 0;
}
