/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases, in the order of a target's growth: what it says of itself, data, states, ends. */
#include <string.h>

#include "certify/certify_case.h"
#include "ndis/nrt.h"
#include "nic/nic_sim_frame.h"

#define BULK  400000u
#define SOME  3000u
#define UNSET 0xffffffffu

static const struct sim_conn_config plain = {
	.family = SIM_V4,
	.timestamps = true,
	.sack = true,
	.wscale = { 5, 5 },
	.rcv_buf_bytes = { 512 << 10, 512 << 10 },
	.iss = { 0x10000000, 0xfffff000 },
	.ts_now = { 1000, 5000000 },
};

/* ---- conditions ---- */

static bool moved(struct cert *c)
{
	return c->host->phase == SIM_ENDED || (c->host->phase == SIM_LIVE && !c->host->move.wanted);
}

static bool all_read(struct cert *c)
{
	return c->peer->rx.got == c->host->tx.goal && c->host->rx.got == c->peer->tx.goal;
}

static bool all_acked(struct cert *c)
{
	return c->peer->tx.acked == c->peer->tx.goal && c->host->tx.acked == c->host->tx.goal;
}

static bool ended(struct cert *c)
{
	return c->peer->phase == SIM_ENDED && c->host->phase == SIM_ENDED;
}

static bool at(struct cert *c, enum sim_place place)
{
	return c->host->phase == SIM_LIVE && c->host->at->place == place;
}

static unsigned int queries_wanted;

static bool queried(struct cert *c)
{
	return c->host->counts.queries >= queries_wanted;
}

static bool fin_arrived(struct cert *c)
{
	return c->peer->rx.eof;
}

static bool fin_told(struct cert *c)
{
	return c->host->rx.eof;
}

static bool host_aborted(struct cert *c)
{
	return c->host->aborted;
}

/* ---- steps ---- */

static bool take_down(struct cert *c, enum sim_rx_mode mode)
{
	c->peer->rx.mode = SIM_RX_POST;
	c->host->rx.mode = mode;
	if (sim_sock_move(c->host, SIM_TARGET) || !cert_wait(c, moved, 10 * CERT_S))
		return cert_check(c, "OFF-01", false, "an initiate completes");
	return cert_check(c, "OFF-06", at(c, SIM_TARGET), "the connection is offloaded");
}

static bool down_with(struct cert *c, const struct sim_config *config,
		      const struct sim_conn_config *conn, enum sim_rx_mode mode)
{
	return cert_open(c, config, conn) && take_down(c, mode);
}

static bool down(struct cert *c, enum sim_rx_mode mode)
{
	struct sim_config config;

	sim_config_default(&config, 7);
	return down_with(c, &config, &plain, mode);
}

static bool up(struct cert *c)
{
	if (sim_sock_move(c->host, SIM_KERNEL) || !cert_wait(c, moved, 10 * CERT_S))
		return cert_check(c, "TRM-12", false, "a terminate completes");
	return cert_check(c, "TRM-14", at(c, SIM_KERNEL), "the connection came back with success");
}

static bool finish(struct cert *c)
{
	sim_sock_close(c->host);
	sim_sock_close(c->peer);
	return cert_check(c, "DIS-15", cert_wait(c, ended, 120 * CERT_S), "the connection ends");
}

/* Something went each way, and no timer of it is left. */
static bool down_at_rest(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return false;
	sim_sock_send(c->host, SOME);
	sim_sock_send(c->peer, SOME);
	if (!cert_check(c, "SND-14", cert_wait(c, all_acked, 10 * CERT_S),
			"cert_wait(c, all_acked, 10 * CERT_S)"))
		return false;
	sim_world_run_for(c->world, 2 * CERT_S);
	return true;
}

/* A reader that waits: its window closes, and opens when it reads. */
static void waiting_reader(struct cert *c, enum sim_side reader, enum sim_rx_mode mode,
			   const char *while_closed, const char *after_opening)
{
	struct sim_conn_config conn = plain;
	struct sim_config config;
	struct sim_sock *from, *to;

	conn.rcv_buf_bytes[reader] = 32 << 10;
	conn.reader_waits[reader] = true;
	sim_config_default(&config, reader == SIM_AT_PEER ? 13 : 14);
	if (!down_with(c, &config, &conn, mode))
		return;
	from = reader == SIM_AT_PEER ? c->host : c->peer;
	to = reader == SIM_AT_PEER ? c->peer : c->host;
	sim_sock_send(from, BULK);
	sim_world_run_for(c->world, 5 * CERT_S);
	NEED(c, while_closed, to->rx.got == 0);
	sim_sock_read(to, BULK);
	NEED(c, after_opening, cert_wait(c, all_read, 300 * CERT_S));
	finish(c);
}

/* ---- what a target says of itself ---- */

static void capabilities(struct cert *c)
{
	struct nrt_adapter *adapter;
	const NDIS_TCP_CONNECTION_OFFLOAD *all, *now;
	struct sim_config config;

	sim_config_default(&config, 1);
	if (!cert_open(c, &config, &plain))
		return;
	adapter = nrt_adapter_find(c->world->bindings[SIM_TARGET].adapter_name);
	all = nrt_adapter_offload(adapter, true);
	now = nrt_adapter_offload(adapter, false);
	NEED(c, "INI-01", all != NULL);
	NEED(c, "INI-02", now != NULL);
	NEED(c, "INI-04",
	     all->Encapsulation &
		     (NDIS_ENCAPSULATION_IEEE_802_3 | NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED));
	NEED(c, "INI-05",
	     all->SupportIPv4 == NDIS_OFFLOAD_SUPPORTED ||
		     all->SupportIPv6 == NDIS_OFFLOAD_SUPPORTED);
	NEED(c, "INI-08", all->TcpConnectionOffloadCapacity > 0);
	NEED(c, "INI-09", all->CongestionAlgorithm == 0 && all->Flags == 0);
	NEED(c, "INI-33",
	     (now->SupportIPv4 != NDIS_OFFLOAD_SUPPORTED ||
	      all->SupportIPv4 == NDIS_OFFLOAD_SUPPORTED) &&
		     (now->SupportIPv6 != NDIS_OFFLOAD_SUPPORTED ||
		      all->SupportIPv6 == NDIS_OFFLOAD_SUPPORTED));
	finish(c);
}

/* ---- data ---- */

static void send_data(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, BULK);
	NEED(c, "SND-03", cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "SND-14", cert_wait(c, all_acked, 10 * CERT_S));
	NEED(c, "SND-11", c->wire.last_data_pushed);
	NEED(c, "SND-04", c->world->counts.retransmits == 0);
	finish(c);
}

static void receive_posted(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->peer, BULK);
	NEED(c, "RCV-03", cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "RCV-36", cert_wait(c, all_acked, 10 * CERT_S));
	NEED(c, "TCP-07", c->world->counts.retransmits == 0);
	NEED(c, "INI-21", c->wire.unacked_most <= 8);
	NEED(c, "RCV-52", c->host->counts.posts_completed > 0);
	finish(c);
}

static void receive_nonpush(struct cert *c)
{
	if (!down(c, SIM_RX_NOPUSH))
		return;
	c->host->rx.expect = BULK;
	sim_sock_send(c->peer, BULK);
	NEED(c, "RCV-56", cert_wait(c, all_read, 60 * CERT_S));
	finish(c);
}

static void receive_indicated(struct cert *c)
{
	if (!down(c, SIM_RX_INDICATE))
		return;
	sim_sock_send(c->peer, BULK);
	NEED(c, "RCV-61", cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "RCV-25", c->host->counts.indications > 0);
	NEED(c, "RCV-27", c->host->counts.indications > 0);
	finish(c);
}

/* A reader that takes odd amounts now and then: nearly every indication meets too little room. */
static void receive_refused(struct cert *c)
{
	struct sim_conn_config conn = plain;
	struct sim_config config;
	uint64_t wanted;

	conn.reader_waits[SIM_AT_HOST] = true;
	sim_config_default(&config, 7);
	if (!down_with(c, &config, &conn, SIM_RX_INDICATE))
		return;
	sim_sock_send(c->peer, BULK);
	for (wanted = 0; wanted < BULK; wanted += SOME + 7) {
		sim_world_run_for(c->world, 3000);
		sim_sock_read(c->host, SOME + 7);
	}
	NEED(c, "RCV-34", cert_wait(c, all_read, 120 * CERT_S));
	NEED(c, "RCV-33", c->host->counts.refusals > 0);
	NEED(c, "RCV-32", c->host->counts.part_acceptances > 0);
	finish(c);
}

static void lone_segment(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->peer, 100);
	sim_world_run_for(c->world, CERT_S);
	NEED(c, "RCV-57", c->host->rx.got == 100);
	NEED(c, "INI-22", c->peer->tx.acked == 100 && c->world->counts.retransmits == 0);
	finish(c);
}

static void both_ways_v6(struct cert *c)
{
	struct sim_conn_config conn = plain;
	struct sim_config config;

	conn.family = SIM_V6;
	sim_config_default(&config, 3);
	if (!cert_open(c, &config, &conn))
		return;
	if (cert_announced(c)->SupportIPv6 != NDIS_OFFLOAD_SUPPORTED) {
		cert_skip(c, "IPv6 is not announced");
		finish(c);
		return;
	}
	if (!take_down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, BULK);
	sim_sock_send(c->peer, BULK);
	NEED(c, "TCP-03", cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "SND-09", cert_wait(c, all_acked, 10 * CERT_S));
	finish(c);
}

static void lossy(struct cert *c, bool to_peer)
{
	struct sim_config config;

	sim_config_default(&config, 11);
	(to_peer ? &config.up : &config.down)->loss_ppm = 20000;
	if (!down_with(c, &config, &plain, SIM_RX_POST))
		return;
	sim_sock_send(to_peer ? c->host : c->peer, BULK);
	NEED(c, to_peer ? "TCP-13" : "TCP-15", cert_wait(c, all_read, 600 * CERT_S));
	NEED(c, to_peer ? "TCP-14" : "TCP-09", cert_wait(c, all_acked, 60 * CERT_S));
	finish(c);
}

static void lost_on_the_way_out(struct cert *c)
{
	lossy(c, true);
}

static void lost_on_the_way_in(struct cert *c)
{
	lossy(c, false);
}

static void reordered(struct cert *c)
{
	struct sim_config config;

	sim_config_default(&config, 12);
	config.down.reorder_ppm = config.down.duplicate_ppm = 50000;
	if (!down_with(c, &config, &plain, SIM_RX_POST))
		return;
	sim_sock_send(c->peer, BULK);
	NEED(c, "TCP-15", cert_wait(c, all_read, 120 * CERT_S));
	finish(c);
}

static void closed_window(struct cert *c)
{
	waiting_reader(c, SIM_AT_PEER, SIM_RX_POST, "TCP-06", "TCP-06");
}

static void slow_reader(struct cert *c)
{
	waiting_reader(c, SIM_AT_HOST, SIM_RX_INDICATE, "RCV-29", "RCV-63");
}

/* ---- state ---- */

static bool query(struct cert *c)
{
	queries_wanted = c->host->counts.queries + 1;
	if (sim_sock_query(c->host) || !cert_wait(c, queried, 10 * CERT_S))
		return cert_check(c, "QRY-01", false, "a query completes");
	return cert_check(c, "QRY-01", true, "a query completes");
}

static void query_at_rest(struct cert *c)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d;

	if (!down_at_rest(c))
		return;
	if (!query(c))
		return;
	d = &c->host->state.delegated;
	NEED(c, "QRY-06", c->host->last_status == NDIS_STATUS_SUCCESS);
	NEED(c, "QRY-03", d->RcvNxt == c->host->rcv_base + SOME);
	NEED(c, "QRY-03",
	     d->SndUna == c->host->snd_base + SOME && d->SndNxt == d->SndUna &&
		     d->SndMax == d->SndUna);
	NEED(c, "QRY-03", d->State == TcpConnectionEstablished);
	NEED(c, "QRY-16", d->Retransmit.TimeoutDelta == UNSET);
	finish(c);
}

static void query_in_flow(struct cert *c)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d;

	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, 4 * BULK);
	sim_world_run_for(c->world, 5000);
	if (!query(c))
		return;
	d = &c->host->state.delegated;
	NEED(c, "QRY-12", (int32_t)(d->SndMax - d->SndNxt) >= 0);
	NEED(c, "SND-03", cert_wait(c, all_read, 60 * CERT_S));
	finish(c);
}

static void up_in_flow(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, 4 * BULK);
	sim_sock_send(c->peer, 4 * BULK);
	sim_world_run_for(c->world, 5000);
	if (!up(c))
		return;
	NEED(c, "TRM-13", !all_read(c));
	NEED(c, "BUF-21", cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "TRM-15", cert_wait(c, all_acked, 10 * CERT_S));
	finish(c);
}

static void up_at_rest(struct cert *c)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d;

	if (!down_at_rest(c))
		return;
	if (!up(c))
		return;
	d = &c->host->state.delegated;
	NEED(c, "TRM-13", d->State == TcpConnectionEstablished);
	NEED(c, "TRM-28", !c->host->rx.eof && !c->peer->rx.eof);
	sim_sock_send(c->host, SOME);
	sim_sock_send(c->peer, SOME);
	NEED(c, "TRM-13", cert_wait(c, all_read, 10 * CERT_S));
	finish(c);
}

static void down_and_up(struct cert *c)
{
	int i;

	if (!down(c, SIM_RX_MIXED))
		return;
	sim_sock_send(c->host, 8 * BULK);
	sim_sock_send(c->peer, 8 * BULK);
	for (i = 0; i < 3; i++) {
		sim_world_run_for(c->world, 4000);
		if (!up(c))
			return;
		sim_world_run_for(c->world, 4000);
		if (sim_sock_move(c->host, SIM_TARGET) || !cert_wait(c, moved, 10 * CERT_S))
			break;
		NEED(c, "OFF-04", at(c, SIM_TARGET));
	}
	NEED(c, "BUF-18", i == 3 && cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "BUF-19", cert_wait(c, all_acked, 10 * CERT_S));
	finish(c);
}

static void smaller_path(struct cert *c)
{
	struct sim_binding *target;

	if (!down(c, SIM_RX_POST))
		return;
	target = &c->world->bindings[SIM_TARGET];
	target->path_mtu_bytes[SIM_V4] = 1000;
	if (sim_host_submit_path(SIM_OP_PATH_MTU, target, SIM_V4))
		return;
	sim_world_run_for(c->world, 10000);
	c->wire.longest_frame = 0;
	sim_sock_send(c->host, BULK);
	NEED(c, "UPD-02", cert_wait(c, all_read, 60 * CERT_S));
	NEED(c, "UPD-12", c->wire.longest_frame <= 1000 + 14);
	finish(c);
}

static bool asked_back(struct cert *c)
{
	return c->host->counts.uploads_asked > 0;
}

static bool ops_over(struct cert *c)
{
	return !c->world->bindings[SIM_TARGET].ops;
}

/* The path is declared invalid under a connection in full flow: it comes up, and loses nothing. */
static void invalid_path(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, 4 * BULK);
	sim_sock_send(c->peer, BULK);
	sim_world_run_for(c->world, 3000);
	if (sim_host_submit_path(SIM_OP_INVALIDATE, &c->world->bindings[SIM_TARGET], SIM_V4))
		return;
	NEED(c, "INV-06", cert_wait(c, asked_back, 10 * CERT_S));
	NEED(c, "INV-06", c->host->upload_reason == InvalidState);
	NEED(c, "INV-09", cert_wait(c, ops_over, 10 * CERT_S));
	if (!cert_wait(c, moved, 10 * CERT_S))
		return;
	NEED(c, "INV-07", at(c, SIM_KERNEL));
	NEED(c, "INV-07", cert_wait(c, all_read, 60 * CERT_S));
	finish(c);
}

#define FEW       4u   /* connections that the target that is built in may have here */
#define MANY      256u /* more than that are not tried out */
#define MOVE_WAIT (10 * CERT_S)

static struct sim_sock *tried;

static bool tried_moved(struct cert *c)
{
	(void)c;
	return !tried->move.wanted;
}

/* Down, or back where it was: both are an end. */
static bool try_down(struct cert *c, unsigned int number)
{
	struct sim_conn_config conn = plain;

	conn.sack = cert_announced(c)->SupportSack == NDIS_OFFLOAD_SUPPORTED;
	conn.rcv_buf_bytes[SIM_AT_HOST] = conn.rcv_buf_bytes[SIM_AT_PEER] = 32 << 10;
	if (number && !sim_conn_open(c->world, &conn))
		return false;
	tried = c->world->conns[number].sock[SIM_AT_HOST];
	sim_world_run_for(c->world, 1000);
	return !sim_sock_move(tried, SIM_TARGET) && cert_wait(c, tried_moved, MOVE_WAIT);
}

/* As many connections as it announces, and one more. */
static void one_too_many(struct cert *c)
{
	struct sim_config config;
	unsigned int capacity, i;

	sim_config_default(&config, 21);
	config.conns = MANY + 1;
	config.target_conns = FEW;
	if (!cert_open(c, &config, &plain))
		return;
	capacity = cert_announced(c)->TcpConnectionOffloadCapacity;
	if (capacity > MANY) {
		cert_skip(c, "more connections are announced than are tried here");
		finish(c);
		return;
	}
	for (i = 0; i < capacity; i++)
		if (!try_down(c, i) || tried->at->place != SIM_TARGET)
			break;
	NEED(c, "INI-08", i == capacity);
	NEED(c, "OFF-10", try_down(c, capacity) && tried->at->place == SIM_KERNEL);
	NEED(c, "OFF-10", c->world->refusal == NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	for (i = 0; i <= capacity; i++)
		sim_conn_abandon(&c->world->conns[i]);
	sim_world_run_for(c->world, 5 * CERT_S);
}

/* ---- ends ---- */

static void host_closes_first(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, SOME);
	sim_sock_close(c->host);
	NEED(c, "DIS-10", cert_wait(c, fin_arrived, 10 * CERT_S));
	sim_world_run_for(c->world, CERT_S);
	NEED(c, "DIS-14", c->host->tx.acked == SOME);
	NEED(c, "DIS-18", c->host->tx.fin_acked);
	sim_sock_send(c->peer, BULK);
	NEED(c, "DIS-13", cert_wait(c, all_read, 60 * CERT_S));
	sim_sock_close(c->peer);
	NEED(c, "DIS-23", cert_wait(c, fin_told, 10 * CERT_S));
	NEED(c, "DIS-15", cert_wait(c, ended, 120 * CERT_S));
}

static void peer_closes_first(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->peer, SOME);
	sim_sock_close(c->peer);
	NEED(c, "DIS-23", cert_wait(c, fin_told, 10 * CERT_S));
	sim_sock_send(c->host, BULK);
	NEED(c, "DIS-24", cert_wait(c, all_read, 60 * CERT_S));
	sim_sock_close(c->host);
	NEED(c, "DIS-10", cert_wait(c, fin_arrived, 10 * CERT_S));
	NEED(c, "DIS-15", cert_wait(c, ended, 120 * CERT_S));
}

static void host_aborts(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, 4 * BULK);
	sim_world_run_for(c->world, 3000);
	c->may_reset = true;
	sim_sock_abort(c->host);
	NEED(c, "DIS-09", cert_wait(c, ended, 120 * CERT_S));
	NEED(c, "DIS-03", c->wire.resets > 0 && c->peer->aborted);
	NEED(c, "DIS-06", !c->host->tx.sends);
}

static void peer_aborts(struct cert *c)
{
	if (!down(c, SIM_RX_POST))
		return;
	sim_sock_send(c->host, 4 * BULK);
	sim_world_run_for(c->world, 3000);
	sim_sock_abort(c->peer);
	NEED(c, "DIS-25", cert_wait(c, host_aborted, 10 * CERT_S));
	NEED(c, "DIS-27", cert_wait(c, ended, 120 * CERT_S));
	NEED(c, "SND-17", !c->host->tx.sends);
}

const struct cert_case cert_cases[] = {
	{ "what it says of itself", "INI-01 INI-02 INI-04 INI-05 INI-08 INI-09 INI-33 INI-34",
	  capabilities },
	{ "sending", "SND-03 SND-14 SND-11 SND-04", send_data },
	{ "receiving into posted requests", "RCV-03 RCV-36 TCP-07 INI-21 RCV-52", receive_posted },
	{ "receiving into nonpush requests", "RCV-56", receive_nonpush },
	{ "receiving by indications", "RCV-61 RCV-25 RCV-27", receive_indicated },
	{ "refused and partly accepted data", "RCV-34 RCV-33 RCV-32", receive_refused },
	{ "a lone segment", "RCV-57 INI-22", lone_segment },
	{ "both ways over IPv6", "TCP-03 SND-09", both_ways_v6 },
	{ "loss on the way out", "TCP-13 TCP-14", lost_on_the_way_out },
	{ "loss on the way in", "TCP-15 TCP-09", lost_on_the_way_in },
	{ "reordering and duplicates", "TCP-15", reordered },
	{ "the peer's window is closed", "TCP-06", closed_window },
	{ "the application does not read", "RCV-63 RCV-29", slow_reader },
	{ "query at rest", "QRY-03 QRY-01 QRY-06 QRY-16", query_at_rest },
	{ "query in full flow", "QRY-12", query_in_flow },
	{ "upload at rest", "TRM-13 TRM-14 TRM-12 TRM-28 OFF-06 OFF-01", up_at_rest },
	{ "upload in full flow", "TRM-13 BUF-21 TRM-15", up_in_flow },
	{ "down and up, three times", "OFF-04 BUF-18 BUF-19", down_and_up },
	{ "the path MTU gets smaller", "UPD-02 UPD-12", smaller_path },
	{ "the path becomes invalid", "INV-09 INV-06 INV-07", invalid_path },
	{ "one connection too many", "OFF-10 INI-08", one_too_many },
	{ "the host closes first", "DIS-10 DIS-13 DIS-14 DIS-15 DIS-18 DIS-23", host_closes_first },
	{ "the peer closes first", "DIS-23 DIS-24 DIS-10 DIS-15", peer_closes_first },
	{ "the host aborts", "DIS-03 DIS-06 DIS-09", host_aborts },
	{ "the peer aborts", "DIS-25 DIS-27 SND-17", peer_aborts },
};

const unsigned int cert_case_count = sizeof(cert_cases) / sizeof(cert_cases[0]);
