/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP as a peer of the engine's cases: the distribution's library, two interfaces joined by
 * memory, driven from this thread. Its checksums are made and verified in software, so the cases
 * with checksums are the ones to compare. Frames are counted at the interface: segments and
 * acknowledgments, as for our engine.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>

#include "base/clock.h"
#include "bench.h"

enum { PORT = 4000, CLOCK_ROUNDS = 64, PATTERN = 65536, RING = 1024 };

/* A packet on the wire gets the addresses that the other side knows the two ends by. */
struct side {
	struct netif netif;
	struct side *other;
	uint8_t own[4], peer[4];
	struct pbuf *ring[RING];
	uint32_t head, tail;
};

static struct side sides[2] = {
	/* Both pairs have the same Internet checksum, so nothing else in a packet changes. */
	{ .other = &sides[1], .own = { 10, 3, 1, 1 }, .peer = { 10, 3, 1, 2 } },
	{ .other = &sides[0], .own = { 10, 4, 1, 1 }, .peer = { 10, 4, 1, 0 } },
};
static uint64_t frames;
static uint8_t pattern[PATTERN * 2];

struct stream {
	struct tcp_pcb *pcb;
	uint64_t queued, received;
	bool echo, wrong;
};

static err_t wire(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	struct side *other = ((struct side *)netif->state)->other;
	struct pbuf *copy;

	(void)to;
	if (other->tail - other->head == RING)
		return ERR_OK; /* lost, as on a full wire */
	copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
	if (!copy)
		return ERR_MEM;
	pbuf_copy(copy, p);
	memcpy((uint8_t *)copy->payload + 12, other->peer, 4);
	memcpy((uint8_t *)copy->payload + 16, other->own, 4);
	other->ring[other->tail++ % RING] = copy;
	frames++;
	return ERR_OK;
}

static void poll_side(struct side *side)
{
	uint32_t end = side->tail;

	while (side->head != end)
		side->netif.input(side->ring[side->head++ % RING], &side->netif);
}

static err_t netif_begin(struct netif *netif)
{
	netif->name[0] = 'b';
	netif->name[1] = 'm';
	netif->mtu = 1500;
	netif->output = wire;
	return ERR_OK;
}

static void begin(void)
{
	static bool begun;
	ip4_addr_t address, mask, gateway;

	if (begun)
		return;
	begun = true;
	lwip_init();
	IP4_ADDR(&mask, 255, 255, 0, 0);
	IP4_ADDR(&gateway, 0, 0, 0, 0);
	for (unsigned int i = 0; i < 2; i++) {
		memcpy(&address.addr, sides[i].own, 4);
		netif_add(&sides[i].netif, &address, &mask, &gateway, &sides[i], netif_begin,
			  ip_input);
		netif_set_link_up(&sides[i].netif);
		netif_set_up(&sides[i].netif);
	}
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i % PATTERN * 2654435761u >> 13);
}

static err_t fill(struct stream *s)
{
	while (tcp_sndbuf(s->pcb) >= 1460 && tcp_sndqueuelen(s->pcb) < TCP_SND_QUEUELEN - 4) {
		u16_t part = tcp_sndbuf(s->pcb) > 16384 ? 16384 : tcp_sndbuf(s->pcb);

		if (tcp_write(s->pcb, pattern + s->queued % PATTERN, part, TCP_WRITE_FLAG_COPY) !=
		    ERR_OK)
			break;
		s->queued += part;
	}
	return tcp_output(s->pcb);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	struct stream *s = arg;

	(void)pcb;
	(void)bytes;
	return s->echo ? ERR_OK : fill(s);
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct stream *s = arg;
	const struct pbuf *q;

	(void)err;
	if (!p) {
		s->wrong = true;
		return ERR_OK;
	}
	for (q = p; q; q = q->next) {
		uint32_t part = q->len > 16 ? 16 : q->len;

		if (!s->echo && memcmp(q->payload, pattern + s->received % PATTERN, part) != 0)
			s->wrong = true;
		s->received += q->len;
	}
	tcp_recved(pcb, p->tot_len);
	if (s->echo) {
		tcp_write(pcb, pattern, 1, TCP_WRITE_FLAG_COPY);
		tcp_output(pcb);
	}
	pbuf_free(p);
	return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct stream *s = arg;

	(void)err;
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_recv);
	tcp_nagle_disable(pcb);
	return ERR_OK;
}

static err_t on_connect(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct stream *s = arg;

	(void)err;
	tcp_nagle_disable(pcb);
	if (!s->echo)
		return fill(s);
	tcp_write(pcb, pattern, 1, TCP_WRITE_FLAG_COPY);
	return tcp_output(pcb);
}

static int run_for(struct stream *s, double seconds, double *per_second)
{
	uint64_t start = clock_monotonic_us(), now = start, before = frames;

	while (now - start < (uint64_t)(seconds * 1e6)) {
		for (unsigned int i = 0; i < CLOCK_ROUNDS; i++) {
			poll_side(&sides[0]);
			poll_side(&sides[1]);
		}
		sys_check_timeouts();
		now = clock_monotonic_us();
	}
	*per_second = (double)(frames - before) * 1e-6 / ((double)(now - start) * 1e-6);
	if (!s->wrong && frames > before)
		return 0;
	fprintf(stderr, "lwIP: %s\n", s->wrong ? "a received byte is wrong" : "nothing moves");
	return -EIO;
}

static int sample(bool echo, double seconds, double *figure)
{
	struct stream s = { .echo = echo };
	struct tcp_pcb *listener;
	ip_addr_t to;
	double ignored;
	int err;

	begin();
	listener = tcp_new();
	tcp_bind(listener, netif_ip_addr4(&sides[1].netif), PORT);
	listener = tcp_listen(listener);
	tcp_arg(listener, &s);
	tcp_accept(listener, on_accept);
	s.pcb = tcp_new();
	tcp_arg(s.pcb, &s);
	tcp_recv(s.pcb, on_recv);
	tcp_sent(s.pcb, on_sent);
	memcpy(&ip_2_ip4(&to)->addr, sides[0].peer, 4);
	IP_SET_TYPE(&to, IPADDR_TYPE_V4);
	tcp_connect(s.pcb, &to, PORT, on_connect);
	err = run_for(&s, 0.02, &ignored);
	if (err == 0)
		err = run_for(&s, seconds, figure);
	tcp_abort(s.pcb);
	poll_side(&sides[1]);
	tcp_close(listener);
	return err;
}

int bench_lwip_bulk(double seconds, double *figure)
{
	return sample(false, seconds, figure);
}

int bench_lwip_exchange(double seconds, double *figure)
{
	return sample(true, seconds, figure);
}
