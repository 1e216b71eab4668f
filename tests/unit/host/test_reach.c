/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reachability: what the host driver does when the target asks for a neighbor, until the kernel has
 * found out. Timers of the host are told the time; the kernel's probes are seen at the peer's
 * interface.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "base/be.h"
#include "host_spy_rig.h"
#include "req.h"

#define PEER4    "10.78.0.2"
#define PEER6    "fd78::2"
#define LONG_AGO 100000u /* an NRD that any progress is younger than */

/* ---- the kernel's side -------------------------------------------------------------------- */

static void nce_is(const char *peer, uint16_t nud)
{
	assert_int_equal(0, netns_neigh_set(&rig.net.a, rig.net.if_a, peer, rig.net.mac_b, nud));
}

static uint16_t nce(const struct host_neighbor *neighbor, uint32_t *updated_age_ms)
{
	struct host_nl_neigh now;

	assert_int_equal(0, host_nl_neigh_get(rig.host->nl, rig.adapter->config.ifindex,
					      &neighbor->addr, &now));
	if (updated_age_ms)
		*updated_age_ms = now.updated_age_ms;
	return now.state;
}

static int sniffer;

static int open_sniffer(void **state)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };

	spy_clear();
	(void)state;
	if (!usable)
		return 0;
	ll.sll_ifindex = netns_ifindex(&rig.net.b, rig.net.if_b);
	sniffer = netns_socket(&rig.net.b, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	return sniffer < 0 || bind(sniffer, (struct sockaddr *)&ll, sizeof(ll)) < 0;
}

static int close_sniffer(void **state)
{
	(void)state;
	if (usable)
		close(sniffer);
	return 0;
}

static bool is_arp_request(const uint8_t *f, ssize_t len)
{
	return len >= 42 && be_get16(f + 12) == ETH_P_ARP && be_get16(f + 20) == 1;
}

static bool is_solicitation(const uint8_t *f, ssize_t len)
{
	return len >= 62 && be_get16(f + 12) == ETH_P_IPV6 && f[20] == IPPROTO_ICMPV6 &&
	       f[54] == 135;
}

/* Probes of us that reached the peer's interface since the last look, to its own address only. */
static unsigned int probes(bool (*is_probe)(const uint8_t *f, ssize_t len))
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	unsigned int count = 0;
	uint8_t f[2048];
	ssize_t n;

	while ((n = recvfrom(sniffer, f, sizeof(f), MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >
	       0) {
		count += is_probe(f, n) && from.sll_pkttype != PACKET_OUTGOING &&
			 memcmp(f, rig.net.mac_b, 6) == 0;
		len = sizeof(from);
	}
	return count;
}

/* ---- the target's side -------------------------------------------------------------------- */

static uint32_t ask_host(struct host_neighbor *neighbor, uint32_t nrd_ticks)
{
	struct host_neighbor_block block = { 0 };
	const NEIGHBOR_OFFLOAD_STATE_CACHED *cached;

	host_state_neighbor(&block, neighbor, nrd_ticks);
	block.list.OffloadHandle = &neighbor->handle;
	spy.generic.IndicateOffloadEventHandler(rig.adapter, &block.list,
						NeighborReachabilityQuery);
	cached = (const void *)NdisOffloadNextState(NdisOffloadFirstState(&block.list));
	return cached->HostReachabilityDelta;
}

static NDIS_OFFLOAD_HANDLE *asked; /* whose NRD was queried last */
static uint32_t told_ticks;

static void note_question(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_QUERY && root->Header.Type == NeighborOffloadDelegatedState &&
	    !root->DependentBlockList && !root->NextBlock)
		asked = root->OffloadHandle;
}

static void note_answer(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_QUERY && root->Header.Type == NeighborOffloadDelegatedState)
		told_ticks =
			((NEIGHBOR_OFFLOAD_STATE_DELEGATED *)(void *)NdisOffloadFirstState(root))
				->NicReachabilityDelta;
}

static struct host_neighbor *begin(struct rig_conn *c, int family, uint32_t seed)
{
	rig_connect(&rig, c, family, seed);
	rig_transfer(c, 10000);
	assert_int_equal(0, rig_offload(c));
	rig_transfer(c, 10000);
	asked = NULL;
	spy.down = note_question;
	spy.up = note_answer;
	return c->conn->path->neighbor;
}

/* The host's timer is over; its question has been answered. */
static void time_is_over(struct rig_conn *c)
{
	unsigned int before = spy.completed[HOST_OP_QUERY];

	host_reach_due(rig.adapter, loop_now_us(rig.loop) + HOST_REACH_DELAY_US);
	WAIT(c, spy.completed[HOST_OP_QUERY] > before);
}

/* ---- stale -------------------------------------------------------------------------------- */

static void stale_entry_starts_timer(void **state)
{
	struct host_neighbor *neighbor;
	struct rig_conn c;
	uint64_t now_us;

	(void)state;
	NEED_RIG();
	neighbor = begin(&c, AF_INET, 100);
	nce_is(PEER4, NUD_STALE);
	assert_int_equal(0, ask_host(neighbor, LONG_AGO));
	now_us = loop_now_us(rig.loop);
	host_reach_due(rig.adapter, now_us + HOST_REACH_DELAY_US - 1000000);
	rounds(&c, 5);
	assert_int_equal(0, spy.ops[HOST_OP_QUERY]); /* not yet */
	assert_true(rig.adapter->reach_timer.active);
	time_is_over(&c);
	REQ("EVT-24", spy.ops[HOST_OP_QUERY] == 1 && asked == &neighbor->handle);
	host_reach_due(rig.adapter, now_us + 2 * HOST_REACH_DELAY_US);
	rounds(&c, 5);
	assert_int_equal(1, spy.ops[HOST_OP_QUERY]); /* once for each question */
	back_and_away(&c);
}

static void progress_is_believed(void **state)
{
	struct host_neighbor *neighbor;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	neighbor = begin(&c, AF_INET, 120);
	nce_is(PEER4, NUD_STALE);
	assert_int_equal(0, ask_host(neighbor, LONG_AGO));
	rig_transfer(&c, 10000);
	probes(is_arp_request);
	time_is_over(&c);
	assert_true(told_ticks < LONG_AGO);
	REQ("EVT-25", nce(neighbor, NULL) == NUD_REACHABLE && neighbor->confirmed_us != 0 &&
			      host_reach_hrd_ticks(neighbor, neighbor->confirmed_us) == 0 &&
			      ask_host(neighbor, LONG_AGO) != 0);
	rounds(&c, 10);
	REQ("EVT-25", probes(is_arp_request) == 0 && spy.ops[HOST_OP_QUERY] == 1);
	back_and_away(&c);
}

static void silence_is_probed(struct rig_conn *c, struct host_neighbor *neighbor, const char *peer,
			      bool (*is_probe)(const uint8_t *f, ssize_t len))
{
	unsigned int seen = 0;

	nce_is(peer, NUD_STALE);
	probes(is_probe);
	assert_int_equal(0, ask_host(neighbor, 0)); /* nothing can be younger than that */
	time_is_over(c);
	WAIT(c, (seen += probes(is_probe)) > 0);
	WAIT(c, nce(neighbor, NULL) == NUD_REACHABLE); /* the peer answers */
	assert_int_equal(0, spy.ops[HOST_OP_INVALIDATE]);
	assert_int_equal(HOST_CONN_OFFLOADED, place(c));
}

/* No connection makes progress meanwhile. */
static void no_progress_is_probed(void **state)
{
	struct host_neighbor *neighbor;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	neighbor = begin(&c, AF_INET, 140);
	silence_is_probed(&c, neighbor, PEER4, is_arp_request);
	REQ("EVT-26", asked == &neighbor->handle);
	REQ("EVT-28", neighbor->addr.family == AF_INET);
	back_and_away(&c);
	neighbor = begin(&c, AF_INET6, 150);
	silence_is_probed(&c, neighbor, PEER6, is_solicitation);
	REQ("EVT-28", neighbor->addr.family == AF_INET6);
	back_and_away(&c);
}

/* ---- no answer ---------------------------------------------------------------------------- */

static void at_peer(const char *fmt, ...)
{
	char command[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(0, netns_switch(&rig.net.b));
	assert_int_equal(0, system(command));
	assert_int_equal(0, netns_switch(&rig.net.a));
}

static NDIS_OFFLOAD_HANDLE *invalidated;

static void note_invalidate(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	if (kind == HOST_OP_INVALIDATE)
		invalidated = root->OffloadHandle;
}

static void unanswered_probes_invalidate(void **state)
{
	const NDIS_OFFLOAD_HANDLE *handle;
	struct host_neighbor *neighbor;
	char path[96];
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	neighbor = begin(&c, AF_INET, 160);
	handle = &neighbor->handle;
	spy.down = note_invalidate;
	snprintf(path, sizeof(path), "net/ipv4/neigh/%s/retrans_time_ms", rig.net.if_a);
	assert_int_equal(0, netns_sysctl_set(&rig.net.a, path, "20"));
	at_peer("ip link set %s arp off", rig.net.if_b);
	nce_is(PEER4, NUD_STALE);
	assert_int_equal(0, ask_host(neighbor, 0));
	time_is_over(&c);
	WAIT(&c, invalidated && in_host(&c));
	REQ("EVT-27", invalidated == handle && spy.ops[HOST_OP_INVALIDATE] == 1 &&
			      spy.ops[HOST_OP_TERMINATE] == 1);
	at_peer("ip link set %s arp on", rig.net.if_b);
	nce_is(PEER4, NUD_REACHABLE);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

/* ---- DELAY -------------------------------------------------------------------------------- */

/* A packet of somebody else puts a stale entry into DELAY. */
static void into_delay(const struct host_neighbor *neighbor)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = netns_socket(&rig.net.a, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	nce_is(PEER4, NUD_STALE);
	assert_int_equal(1, inet_pton(AF_INET, PEER4, &to.sin_addr));
	assert_int_equal(1, sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	close(fd);
	assert_int_equal(NUD_DELAY, nce(neighbor, NULL));
}

static unsigned int order; /* bit 0: asked; bit 1: asked before the terminate */

static void note_order(enum host_op_kind kind, NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *root)
{
	note_question(kind, root);
	if (kind == HOST_OP_QUERY)
		order |= 1;
	if (kind == HOST_OP_TERMINATE && order & 1)
		order |= 2;
}

static void delay_is_decided_by_progress(void **state)
{
	struct host_neighbor *neighbor;
	struct host_nl_addr addr;
	struct host_nl_neigh now;
	uint32_t age_ms = 0;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	neighbor = begin(&c, AF_INET, 180);
	addr = neighbor->addr;
	into_delay(neighbor);
	while (age_ms < 50) { /* progress after the entry went to DELAY */
		rig_transfer(&c, 1000);
		assert_int_equal(NUD_DELAY, nce(neighbor, &age_ms));
	}
	probes(is_arp_request);
	order = 0;
	spy.down = note_order;
	assert_int_equal(0, rig_upload(&c));
	REQ("EVT-30", order == 3 && spy.completed[HOST_OP_QUERY] == 1);
	assert_int_equal(0,
			 host_nl_neigh_get(rig.host->nl, rig.adapter->config.ifindex, &addr, &now));
	REQ("EVT-30", now.state == NUD_REACHABLE && probes(is_arp_request) == 0);
	rig_transfer(&c, 10000);
	rig_disconnect(&c);
}

static void delay_without_progress_is_probed(void **state)
{
	struct host_neighbor *neighbor;
	unsigned int seen = 0;
	struct rig_conn c;

	(void)state;
	NEED_RIG();
	neighbor = begin(&c, AF_INET, 190);
	into_delay(neighbor);
	probes(is_arp_request);
	assert_int_equal(0, rig_upload(&c));
	WAIT(&c, (seen += probes(is_arp_request)) > 0);
	REQ("EVT-30", spy.completed[HOST_OP_QUERY] == 1);
	rig_transfer(&c, 10000);
	/* reachable: nobody is asked */
	nce_is(PEER4, NUD_REACHABLE);
	assert_int_equal(0, rig_offload(&c));
	back_and_away(&c);
	assert_int_equal(1, spy.ops[HOST_OP_QUERY]);
}

#define REACH_TEST(f) cmocka_unit_test_setup_teardown(f, open_sniffer, close_sniffer)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REACH_TEST(stale_entry_starts_timer),
		REACH_TEST(progress_is_believed),
		REACH_TEST(no_progress_is_probed),
		REACH_TEST(unanswered_probes_invalidate),
		REACH_TEST(delay_is_decided_by_progress),
		REACH_TEST(delay_without_progress_is_probed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
