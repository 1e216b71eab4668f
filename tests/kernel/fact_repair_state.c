/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP_REPAIR gives and sets a connection's whole state: sequence numbers, both queues, windows,
 * options, timestamp clock. A connection with unread, unacknowledged and unsent data is read,
 * closed without a word, and goes on in a new socket; unsent data is written after leaving repair.
 */
#include "fact_net.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#define UNREAD 5000
#define QUEUED 40000 /* more than an initial congestion window */

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void same_state(int fd, const struct fact_repair *want, int v)
{
	static struct fact_repair got;

	fact_repair_on(fd);
	fact_repair_read(fd, &got);
	fact_repair_off(fd);
	fact(got.rcv_seq == want->rcv_seq && got.rcv_len == want->rcv_len &&
		     got.snd_seq == want->snd_seq && got.snd_len == want->snd_len,
	     "IPv%d: the new socket has the same sequence numbers and queues", v);
	fact(got.mss == want->mss && got.info.tcpi_options == want->info.tcpi_options &&
		     got.info.tcpi_snd_wscale == want->info.tcpi_snd_wscale &&
		     got.info.tcpi_rcv_wscale == want->info.tcpi_rcv_wscale,
	     "IPv%d: the same MSS %d, options 0x%x, window scales %d/%d", v, got.mss,
	     got.info.tcpi_options, got.info.tcpi_snd_wscale, got.info.tcpi_rcv_wscale);
	fact(got.window.snd_wnd == want->window.snd_wnd &&
		     got.window.max_window == want->window.max_window,
	     "IPv%d: the same send window %u", v, got.window.snd_wnd);
	fact(got.timestamp - want->timestamp < 5000,
	     "IPv%d: a timestamp clock that goes on (%u ms later)", v,
	     got.timestamp - want->timestamp);
}

static void try_family(const struct fact_net *net, int family)
{
	static struct fact_repair r;
	static uint8_t in[UNREAD], out[QUEUED], got[QUEUED];
	struct fact_pair pair;
	double t0, t1, t2;
	int v = family == AF_INET ? 4 : 6, sent;

	fact_fill(in, sizeof(in), 1);
	fact_fill(out, sizeof(out), 2);
	memset(&r, 0, sizeof(r)); /* no page faults inside the measured part */
	fact_pair_open(net, family, &pair);
	fact_write_all(pair.b, in, UNREAD);
	fact_settle(net);
	fact_drop_all_filter(pair.b); /* what a sends now is not acknowledged */
	fact_write_all(pair.a, out, QUEUED);
	fact_settle(net);
	t0 = now_us();
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	t1 = now_us();
	fact(r.rcv_len == UNREAD && !memcmp(r.rcv_queue, in, UNREAD) && r.snd_len == QUEUED &&
		     !memcmp(r.snd_queue, out, QUEUED) && r.unsent_len > 0 && r.unsent_len < QUEUED,
	     "IPv%d: repair shows %d unread, %d unacknowledged and %d unsent bytes", v, r.rcv_len,
	     r.snd_len - r.unsent_len, r.unsent_len);
	close(pair.a);
	fact_no_filter(pair.b);
	pair.a = fact_socket(&net->a, family);
	t2 = now_us();
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	fact_repair_off(pair.a);
	printf("note: read in %.0f us, restored in %.0f us\n", t1 - t0, now_us() - t2);
	sent = r.snd_len - r.unsent_len;
	fact_write_all(pair.a, r.snd_queue + sent, (size_t)r.unsent_len);
	same_state(pair.a, &r, v);
	fact_read_all(pair.a, got, UNREAD);
	must(!memcmp(got, in, UNREAD));
	fact_read_all(pair.b, got, QUEUED);
	fact(!memcmp(got, out, QUEUED), "IPv%d: the peer gets every queued byte once", v);
	fact_check_both_ways(&pair, 30000);
	fact(fact_so_error(pair.b) == 0, "IPv%d: and the connection lives on, both ways", v);
	fact_pair_close(&pair);
}

int main(void)
{
	struct fact_net net;

	fact_net_open(&net);
	try_family(&net, AF_INET);
	try_family(&net, AF_INET6);
	fact_net_close(&net);
	return 0;
}
