/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a send queue can be refilled in repair mode: what SO_SNDBUF allows, which wmem_max
 * limits; only CAP_NET_ADMIN of the machine, not of a namespace, may exceed that (SO_SNDBUFFORCE).
 * SO_BUF_LOCK then gives the size back to the kernel's own tuning.
 */
#include "fact_net.h"

#include <unistd.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define SNDBUF_LOCK 1

#define WANT        (4 << 20)

static size_t fill(int fd)
{
	static uint8_t data[65536];
	size_t total = 0;

	while (total < WANT) {
		ssize_t n = send(fd, data, sizeof(data), MSG_DONTWAIT);

		if (n < 0) {
			must(errno == EAGAIN);
			break;
		}
		total += (size_t)n;
	}
	return total;
}

static int get_int(int fd, int opt)
{
	int v = 0;
	socklen_t len = sizeof(v);

	must(!getsockopt(fd, SOL_SOCKET, opt, &v, &len));
	return v;
}

/* opt: 0 leaves the default size. Returns the bytes that went into the queue. */
static size_t try_refill(const struct fact_net *net, int opt, int bytes)
{
	static struct fact_repair r;
	struct fact_pair pair;
	int queue = TCP_SEND_QUEUE, none = 0, err = 0;
	size_t total;

	fact_pair_open(net, AF_INET, &pair);
	fact_drop_all_filter(pair.b);
	fact_repair_on(pair.a);
	fact_repair_read(pair.a, &r);
	close(pair.a);
	pair.a = fact_socket(&net->a, AF_INET);
	if (opt)
		err = setsockopt(pair.a, SOL_SOCKET, opt, &bytes, sizeof(bytes)) ? errno : 0;
	if (err)
		printf("note: option %d: %s\n", opt, strerror(err));
	fact_repair_restore(pair.a, &pair, true, &r, 0, 0);
	must(!setsockopt(pair.a, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	total = fill(pair.a);
	printf("note: SO_SNDBUF %d takes %zu bytes\n", get_int(pair.a, SO_SNDBUF), total);
	if (opt && !err) {
		must(get_int(pair.a, SO_BUF_LOCK) & SNDBUF_LOCK);
		must(!setsockopt(pair.a, SOL_SOCKET, SO_BUF_LOCK, &none, sizeof(none)));
		must(!(get_int(pair.a, SO_BUF_LOCK) & SNDBUF_LOCK));
	}
	fact_repair_on(pair.a);
	fact_pair_close(&pair);
	return err ? 0 : total;
}

int main(void)
{
	struct fact_net net;
	size_t plain, usual, asked, forced;

	fact_net_open(&net);
	plain = try_refill(&net, 0, 0);
	fact(plain > 0 && plain < WANT, "the default size takes %zu bytes in repair mode", plain);
	usual = try_refill(&net, SO_SNDBUF, 212992);
	fact(usual > plain && usual > 400000, "SO_SNDBUF at the usual wmem_max of 212992 takes %zu",
	     usual);
	asked = try_refill(&net, SO_SNDBUF, WANT);
	fact(asked >= usual, "SO_SNDBUF for %d bytes, cut to wmem_max, takes %zu", WANT, asked);
	printf("fact: SO_BUF_LOCK 0 unlocks the size again\n"); /* checked at each of them */
	forced = try_refill(&net, SO_SNDBUFFORCE, WANT);
	fact(forced == 0 || forced == WANT, "SO_SNDBUFFORCE is %s",
	     forced ? "allowed to the machine's administrator and takes everything"
		    : "refused in a namespace of our own");
	fact_net_close(&net);
	return 0;
}
