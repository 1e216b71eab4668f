/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life of a connection's end: offload, upload, moves, the end. The order of a move is that of the
 * real host: steer first when it goes down to the target, terminate, initiate, unsteer last when it
 * comes up, then give the frames that were caught meanwhile to the new place.
 */
#include "sim/sim_sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ndis/nrt_status.h"
#include "target/tgt_driver.h"

enum {
	POLL_US =
		/* how often the host asks for the state when no request would tell it of a close */
	50000,
};

static void move_go_on(struct sim_timer *timer);
static void poll_now(struct sim_timer *timer);

static struct sim_sock *of_move_timer(struct sim_timer *timer)
{
	return (struct sim_sock *)((char *)timer - offsetof(struct sim_sock, move_timer));
}

static struct sim_sock *of_poll_timer(struct sim_timer *timer)
{
	return (struct sim_sock *)((char *)timer - offsetof(struct sim_sock, poll_timer));
}

static void note(struct sim_sock *sock, const char *what)
{
	sim_note(sock->world, "%u %s %s: %s", sock->number,
		 sock->side == SIM_AT_PEER ? "peer" : "host", sim_place_name(sock->at->place),
		 what);
}

/* Whether the state says that our FIN is acknowledged, and that the peer's was received. */
static bool fin_acked_in(TCP_OFFLOAD_CONNECTION_STATE state)
{
	return state == TcpConnectionFinWait2 || state == TcpConnectionTimeWait;
}

static bool fin_received_in(TCP_OFFLOAD_CONNECTION_STATE state)
{
	return state == TcpConnectionCloseWait || state == TcpConnectionClosing ||
	       state == TcpConnectionLastAck || state == TcpConnectionTimeWait;
}

/*
 * Our FIN was asked for but is not in the state yet: the upload came before the target could send
 * it. The next place learns it from the state, as the failed disconnect is not issued again
 * (DIS-21).
 */
static void carry_fin(struct sim_sock *sock)
{
	TCP_OFFLOAD_STATE_DELEGATED *delegated = &sock->state.delegated;

	if (!sock->tx.fin_issued || sock->tx.fin_acked)
		return;
	if (delegated->State == TcpConnectionEstablished)
		delegated->State = TcpConnectionFinWait1;
	else if (delegated->State == TcpConnectionCloseWait)
		delegated->State = TcpConnectionLastAck;
}

static void learn(struct sim_sock *sock, const TCP_OFFLOAD_STATE_DELEGATED *delegated)
{
	sock->state.delegated = *delegated;
	sock->state.delegated.SendDataHead = sock->state.delegated.SendDataTail = NULL;
	sock->state.delegated.BufferedData = NULL;
	sock->state.taken_us = sim_world_now(sock->world);
	if (sock->tx.fin_issued &&
	    (fin_acked_in(delegated->State) ||
	     (sock->rx.fin_known && !sock->aborted && delegated->State == TcpConnectionClosed)))
		sock->tx.fin_acked = true;
	if (fin_received_in(delegated->State) && !sock->rx.fin_known) {
		uint32_t total = delegated->RcvNxt - 1u - sock->rcv_base;

		sock->rx.fin_known = true;
		sock->rx.fin_at = sock->rx.got + (uint32_t)(total - (uint32_t)sock->rx.got);
	}
}

/* Moves. */

static void report_move(struct sim_sock *sock, bool ok)
{
	sock->move.wanted = sock->move.steered = false;
	if (ok)
		sock->counts.moves++;
	else
		sock->counts.moves_back++;
	if (sock->app.moved)
		sock->app.moved(sock, ok);
}

static void steer(struct sim_sock *sock, enum sim_place to)
{
	if (sock->side == SIM_AT_HOST)
		sock->conn->steered = to == SIM_TARGET;
}

static void fill_tuple(const struct sim_sock *sock, struct tgt_tuple *tuple)
{
	const struct sim_world *world = sock->world;
	size_t bytes = sock->conn->family == SIM_V4 ? 4 : 16;

	memset(tuple, 0, sizeof(*tuple));
	memcpy(tuple->local, world->bindings[SIM_TARGET].address[sock->conn->family], bytes);
	memcpy(tuple->remote, world->bindings[SIM_PEER].address[sock->conn->family], bytes);
	tuple->local_port_be = sock->state.constant.LocalPort;
	tuple->remote_port_be = sock->state.constant.RemotePort;
	tuple->v6 = sock->conn->family == SIM_V6;
}

/*
 * Two ways to keep what arrives at the target between two places: the target catches it (it was
 * told to expect the flow), or it gives it to the host, which holds it and forwards it. Both must
 * work; the seed chooses.
 */
static void expect(struct sim_sock *sock, bool begin)
{
	struct tgt_adapter *target = sock->world->bindings[SIM_TARGET].adapter;
	struct tgt_tuple tuple;

	/* A loaded driver catches nothing: it gives such frames to the host. */
	if (!target || sock->side != SIM_AT_HOST || (!begin && !sock->move.expected))
		return;
	fill_tuple(sock, &tuple);
	sock->move.expected = begin;
	if (!begin)
		tgt_flow_unexpect(target, &tuple);
	else if (tgt_flow_expect(target, &tuple) != 0)
		sock->move.expected = false;
}

static void started(struct sim_op *op)
{
	struct sim_sock *sock = op->sock;
	NDIS_STATUS status = op->tcp->list.Status;
	bool ok = status == NDIS_STATUS_SUCCESS;

	sock->last_status = status;
	sim_recv_buffered_free(sock, sim_state_delegated(op->tcp)->BufferedData, ok);
	note(sock, ok ? "initiated" : nrt_status_name(status));
	if (!ok) {
		sock->world->refusal = status;
		sim_host_submit_path(SIM_OP_SWEEP, op->binding, op->family);
		sock->phase = SIM_MOVING;
		if (!sock->move.wanted || sock->move.failed) {
			sim_world_fail(sock->world, "connection %u is nowhere: %s", sock->number,
				       nrt_status_name(status));
			return;
		}
		/* Back to where it came from: the connection must not be lost. */
		sock->move.failed = true;
		sock->at = &sock->world->bindings[sock->move.from];
		sim_timer_set(sock->world, &sock->move_timer, sim_world_now(sock->world));
		return;
	}
	sock->phase = SIM_LIVE;
	steer(sock, sock->at->place);
	expect(sock, false);
	sim_held_release(sock);
	if (sock->move.wanted)
		report_move(sock, !sock->move.failed);
	sim_host_wake(sock);
}

static void start(struct sim_sock *sock)
{
	sim_state_age(&sock->state, sim_world_now(sock->world));
	sock->phase = SIM_STARTING;
	if (sim_host_submit(SIM_OP_INITIATE, sock, started) != 0)
		sim_world_fail(sock->world, "no memory for an operation");
}

static void move_go_on(struct sim_timer *timer)
{
	struct sim_sock *sock = of_move_timer(timer);

	if (sock->phase == SIM_LIVE)
		sim_host_wake(sock); /* steered long enough */
	else
		start(sock);
}

static void end_here(struct sim_sock *sock)
{
	sock->phase = SIM_ENDED;
	expect(sock, false);
	if (sock->tx.lost && !sock->aborted)
		sim_world_fail(sock->world, "%u: a send was aborted, the connection was not",
			       sock->number);
	sim_send_drop(sock);
	sim_held_free(sock);
	sim_recv_drain_stash(sock);
	if (sock->app.ended)
		sock->app.ended(sock);
}

static void stopped(struct sim_op *op)
{
	struct sim_sock *sock = op->sock;
	const TCP_OFFLOAD_STATE_DELEGATED *delegated = sim_state_delegated(op->tcp);

	sock->last_status = op->tcp->list.Status;
	if (sock->last_status != NDIS_STATUS_SUCCESS) {
		sim_world_fail(sock->world, "terminate of connection %u failed: %s", sock->number,
			       nrt_status_name(sock->last_status));
		return;
	}
	sim_note(sock->world, "%u %s %s: terminated in %s una %u nxt %u max %u rcv %u wnd %u",
		 sock->number, sock->side == SIM_AT_PEER ? "peer" : "host",
		 sim_place_name(sock->at->place), nrt_tcp_state_name(delegated->State),
		 delegated->SndUna, delegated->SndNxt, delegated->SndMax, delegated->RcvNxt,
		 delegated->RcvWnd);
	learn(sock, delegated);
	sim_recv_give_back(
		/* what was indicated between the order and the stop; it outlives the connection */
		sock);
	sock->phase = SIM_MOVING;
	sim_send_recover(sock, op->tcp->list.NetBufferListChain, delegated);
	sim_recv_recover(sock, delegated->BufferedData, delegated);
	if (sock->move.final || sock->aborted || delegated->State == TcpConnectionClosed ||
	    delegated->State == TcpConnectionTimeWait) {
		end_here(sock);
		if (sock->move.wanted && !sock->move.final)
			report_move(sock, false);
		return;
	}
	carry_fin(sock);
	sock->at = &sock->world->bindings[sock->move.to];
	sim_timer_set(sock->world, &sock->move_timer,
		      sim_world_now(sock->world) + sock->move_delay_us);
}

/*
 * The wire first: on the way down frames go to the target before the kernel is stopped, so that the
 * kernel can work off what it has. True when the terminate may follow now.
 */
static bool redirect(struct sim_sock *sock)
{
	struct sim_move *move = &sock->move;

	if (move->final || move->steered)
		return !sock->move_timer.active;
	move->steered = true;
	move->by_wire = nic_sim_rng_below(&sock->world->rng, 2);
	if (nic_sim_rng_below(&sock->world->rng, 2))
		expect(sock, true);
	if (move->to != SIM_TARGET)
		return true;
	steer(sock, SIM_TARGET);
	if (sock->steer_lead_us > 0)
		sim_timer_set(sock->world, &sock->move_timer,
			      sim_world_now(sock->world) + sock->steer_lead_us);
	return sock->steer_lead_us == 0;
}

static void stop(struct sim_sock *sock)
{
	sim_recv_give_back(sock);
	sock->asked_back = false;
	sock->phase = SIM_STOPPING;
	sim_timer_cancel(sock->world, &sock->move_timer);
	sim_timer_cancel(sock->world, &sock->poll_timer);
	if (sim_host_submit(SIM_OP_TERMINATE, sock, stopped) != 0)
		sim_world_fail(sock->world, "no memory for an operation");
}

int sim_sock_move(struct sim_sock *sock, enum sim_place to)
{
	if (sock->phase == SIM_ENDED || sock->move.final || sock->aborted)
		return -EPIPE;
	if (sock->move.wanted || sock->phase == SIM_STARTING)
		return -EALREADY;
	if (sock->at->place == to)
		return -EINVAL;
	if (sock->world->bindings[to].paused)
		return -EBUSY;
	sock->move.wanted = true;
	sock->move.failed = sock->move.steered = false;
	sock->move.from = sock->at->place;
	sock->move.to = to;
	sock->move.began_us = sim_world_now(sock->world);
	sock->move.began_real_us = clock_monotonic_us();
	sim_host_wake(sock);
	return 0;
}

static void end(struct sim_sock *sock)
{
	sock->move.final = true;
	if (sock->phase == SIM_LIVE)
		sim_host_wake(sock);
}

/* Queries. */

static void queried(struct sim_op *op)
{
	struct sim_sock *sock = op->sock;
	const TCP_OFFLOAD_STATE_DELEGATED *delegated = sim_state_delegated(op->tcp);

	sock->poll_open = false;
	sock->counts.queries++;
	if (op->tcp->list.Status != NDIS_STATUS_SUCCESS) {
		sim_world_fail(sock->world, "query of connection %u failed: %s", sock->number,
			       nrt_status_name(op->tcp->list.Status));
		return;
	}
	learn(sock, delegated);
	sim_host_wake(sock);
}

int sim_sock_query(struct sim_sock *sock)
{
	if (sock->phase != SIM_LIVE || sock->poll_open)
		return -EAGAIN;
	sock->poll_open = true;
	return sim_host_submit(SIM_OP_QUERY, sock, queried);
}

static void poll_now(struct sim_timer *timer)
{
	sim_sock_query(of_poll_timer(timer));
}

/*
 * After a FIN was handed over inside the state no request tells when it is acknowledged: ask now
 * and then.
 */
static void poll_for_fin(struct sim_sock *sock)
{
	if (!sock->tx.fin_issued || sock->tx.fin_open || sock->tx.fin_acked || sock->poll_open ||
	    sock->poll_timer.active)
		return;
	sim_timer_set(sock->world, &sock->poll_timer, sim_world_now(sock->world) + POLL_US);
}

/* Events from the target. */

void sim_sock_ask_back(struct sim_sock *sock)
{
	if (sock->at->place != SIM_TARGET || sock->phase == SIM_ENDED)
		return;
	sock->asked_back = true;
	sim_host_wake(sock);
}

void sim_sock_event(struct sim_sock *sock, ULONG event, ULONG information)
{
	switch (event) {
	case TcpIndicateDisconnect:
		note(sock, "event: disconnect");
		sim_recv_fin(sock);
		break;
	case TcpIndicateAbort:
		note(sock, "event: abort");
		sock->aborted = sock->reset_by_peer = true;
		end(sock);
		break;
	case TcpIndicateRetrieve:
		sim_note(sock->world, "%u %s: upload requested, reason %u", sock->number,
			 sim_place_name(sock->at->place), information);
		sock->asked_back = true;
		sock->upload_reason = information;
		sock->counts.uploads_asked++;
		break;
	default:
		break;
	}
	sim_host_wake(sock);
}

/* Both directions are over and told to the application. */
static bool is_over(const struct sim_sock *sock)
{
	return sock->abandoned || sock->aborted ||
	       (sock->tx.fin_acked && sock->rx.fin_known && sock->rx.eof);
}

/*
 * The target asked for the connection: the kernel takes it. The kernel itself gives up only what
 * has come to its end (TIME_WAIT), or cannot be helped.
 */
static void answer_request(struct sim_sock *sock)
{
	sock->asked_back = false;
	if (sock->at->place == SIM_TARGET && !sock->ends_at_upload)
		sim_sock_move(sock, SIM_KERNEL);
	else
		sock->move.final = true;
}

void sim_sock_serve(struct sim_sock *sock)
{
	sim_recv_drain_stash(sock);
	if (sock->phase != SIM_LIVE)
		return;
	sim_recv_give_back(sock);
	if (is_over(sock))
		sock->move.final = true;
	else if (sock->asked_back)
		answer_request(sock);
	if ((sock->move.final || sock->move.wanted) && !sock->poll_open && redirect(sock)) {
		stop(sock);
		return;
	}
	if (sock->move.final)
		return;
	sim_recv_serve(sock);
	sim_send_serve(sock);
	poll_for_fin(sock);
}

/* Goals. */

void sim_sock_send(struct sim_sock *sock, uint64_t bytes)
{
	sock->tx.goal += bytes;
	sim_host_wake(sock);
}

void sim_sock_read(struct sim_sock *sock, uint64_t bytes)
{
	sock->rx.goal = sock->rx.goal > UINT64_MAX - bytes ? UINT64_MAX : sock->rx.goal + bytes;
	sim_host_wake(sock);
}

void sim_sock_close(struct sim_sock *sock)
{
	sock->tx.close = true;
	sim_host_wake(sock);
}

void sim_sock_abort(struct sim_sock *sock)
{
	sock->tx.abort = true;
	sim_host_wake(sock);
}

/* Making and ending. */

void sim_sock_begin(struct sim_sock *sock)
{
	sock->move_timer.fn = move_go_on;
	sock->poll_timer.fn = poll_now;
	sock->held_tail = &sock->held;
	sock->state.taken_us = sim_world_now(sock->world);
	sim_send_init(sock);
	start(sock);
}

void sim_conn_abandon(struct sim_conn *conn)
{
	int side;

	for (side = 0; side < SIM_SIDES; side++) {
		struct sim_sock *sock = conn->sock[side];

		if (!sock)
			continue;
		memset(&sock->app, 0, sizeof(sock->app));
		sock->abandoned = true;
		sim_timer_cancel(sock->world, &sock->poll_timer);
		if (sock->move_timer.active) {
			sim_timer_cancel(sock->world, &sock->move_timer);
			if (sock->phase != SIM_LIVE)
				end_here(sock);
		}
		sim_host_wake(sock);
	}
}

bool sim_conns_at_rest(const struct sim_world *world)
{
	unsigned int i;
	int place, side;

	for (place = 0; place < SIM_PLACES; place++) {
		if (world->bindings[place].ops)
			return false;
	}
	for (i = 0; i < world->conn_count; i++) {
		for (side = 0; side < SIM_SIDES; side++) {
			const struct sim_sock *sock = world->conns[i].sock[side];

			if (sock && sock->phase != SIM_ENDED)
				return false;
		}
	}
	return true;
}

void sim_sock_free(struct sim_sock *sock)
{
	if (!sock)
		return;
	sim_timer_cancel(sock->world, &sock->move_timer);
	sim_timer_cancel(sock->world, &sock->poll_timer);
	sim_send_drop(sock);
	sim_held_free(sock);
	free(sock->rx.stash);
	free(sock);
}

/* Seen on the wire. */

void sim_sock_sent_segment(struct sim_sock *sock, const struct nic_sim_view *view)
{
	tcp_seq seq_end = view->seq + view->payload_len;

	if (view->payload_len == 0)
		return;
	if (sock->wire_seen && seq_lt(view->seq, sock->wire_end))
		sock->world->counts.retransmits++;
	if (!sock->wire_seen || seq_gt(seq_end, sock->wire_end))
		sock->wire_end = seq_end;
	sock->wire_seen = true;
}

void sim_sock_segment_arrived(struct sim_sock *sock, const struct nic_sim_view *view)
{
	uint64_t now_us = sim_world_now(sock->world);
	tcp_seq seq_end = view->seq + view->payload_len;

	if (view->payload_len == 0 ||
	    (sock->last_data_us > 0 && seq_leq(seq_end, sock->arrived_end)))
		return;
	sock->arrived_end = seq_end;
	if (sock->last_data_us > 0 && now_us - sock->last_data_us > sock->max_gap_us)
		sock->max_gap_us = now_us - sock->last_data_us;
	sock->last_data_us = now_us;
}
