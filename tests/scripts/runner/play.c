/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Playing a script: the world has the host with its target and nobody at the other end of the wire;
 * what the host sends is queued here, what the script sends is put on the wire to the host.
 */
#include "play.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define END_US 1000000u

int play_fail(struct play *play, const char *fmt, ...)
{
	va_list args;

	if (play->error->text[0])
		return -1;
	play->error->line = play->event ? play->event->line : 0;
	va_start(args, fmt);
	vsnprintf(play->error->text, sizeof(play->error->text), fmt, args);
	va_end(args);
	return -1;
}

void play_settle(struct play *play)
{
	sim_world_run_for(play->world, 0);
}

static double at_s(const struct play *play, uint64_t us)
{
	return (double)(int64_t)(us - play->flow.start_us) / 1e6;
}

/* The peer's place on the wire. */

static struct play *of_node(struct nic_sim_node *node)
{
	return (struct play *)((char *)node - offsetof(struct play, node));
}

static void arrived(struct nic_sim_node *node, struct nic_sim_packet *packet)
{
	struct play *play = of_node(node);
	struct packet_seen *seen = packet_read(&play->flow, packet);

	if (seen) {
		*play->seen_tail = seen;
		play->seen_tail = &seen->next;
	}
	nic_sim_packet_free(packet);
}

static uint64_t never(const struct nic_sim_node *node)
{
	(void)node;
	return NIC_SIM_NEVER;
}

static void nothing(struct nic_sim_node *node)
{
	(void)node;
}

static struct packet_seen *pop(struct play *play)
{
	struct packet_seen *seen = play->seen;

	play->seen = seen->next;
	if (!play->seen)
		play->seen_tail = &play->seen;
	return seen;
}

int play_nothing_seen(struct play *play)
{
	char text[200];

	if (!play->seen)
		return 0;
	packet_text(&play->seen->seg, text, sizeof(text));
	return play_fail(play, "expected: nothing, seen at %.6f: %s", at_s(play, play->seen->at_us),
			 text);
}

/* Time. */

static void times(const struct play *play, const struct script_event *event, uint64_t *from_us,
		  uint64_t *to_us)
{
	uint64_t base_us = event->relative ? play->last_us : play->flow.start_us;

	*from_us = event->any_time ? 0 : base_us + event->from_us;
	*to_us = event->any_time ? NIC_SIM_NEVER - 1 : base_us + event->to_us;
}

static int go_to(struct play *play, const struct script_event *event)
{
	uint64_t from_us, to_us, now_us = sim_world_now(play->world);

	times(play, event, &from_us, &to_us);
	if (!event->any_time && from_us < now_us) {
		if (now_us - from_us > play->script->tolerance_us)
			return play_fail(play, "this line is due at %.6f, but it is %.6f already",
					 at_s(play, from_us), at_s(play, now_us));
		from_us = now_us;
	}
	if (!event->any_time)
		sim_world_run_for(play->world, from_us - now_us);
	play->last_us = sim_world_now(play->world);
	return 0;
}

static bool something_seen(void *ctx)
{
	return ((struct play *)ctx)->seen != NULL;
}

/* Comparing. */

static bool same_sacks(const struct script_segment *a, const struct script_segment *b)
{
	unsigned int i;

	if (a->sacks != b->sacks)
		return false;
	for (i = 0; i < a->sacks; i++) {
		if (a->sack[i].start != b->sack[i].start || a->sack[i].end != b->sack[i].end)
			return false;
	}
	return true;
}

static const char *differs_options(const struct script_segment *want,
				   const struct script_segment *got)
{
	if (!same_sacks(want, got))
		return "SACK blocks";
	if (got->raw_len > 0)
		return "options nobody asked for";
	if (want->has_ts && !got->has_ts)
		return "timestamp";
	if (want->no_ts && got->has_ts)
		return "timestamp";
	if (want->has_ts && !want->ts_any_val && want->ts_val != got->ts_val)
		return "TS val";
	if (want->has_ts && !want->ts_any_ecr && want->ts_ecr != got->ts_ecr)
		return "TS ecr";
	return NULL;
}

static const char *differs_network(const struct script_segment *want,
				   const struct script_segment *got)
{
	if (want->ecn >= 0 && want->ecn != got->ecn)
		return "ECN field";
	if (want->ttl >= 0 && want->ttl != got->ttl)
		return "TTL";
	if (want->tos >= 0 && want->tos != got->tos)
		return "TOS";
	if (want->vlan >= 0 && want->vlan != got->vlan)
		return "VLAN";
	if (want->priority >= 0 && want->priority != got->priority)
		return "priority";
	return NULL;
}

/* got may be one of several segments that the line describes together. */
static const char *differs(const struct play *play, const struct script_segment *want,
			   const struct packet_seen *seen, bool whole)
{
	const struct script_segment *got = &seen->seg;
	uint8_t loose = play->script->loose_push || !whole ? NIC_SIM_PSH : 0;
	const char *what;

	if (((want->flags ^ got->flags) & ~loose) != 0)
		return "flags";
	if (want->seq != got->seq)
		return "sequence number";
	if (whole ? want->len != got->len : got->len == 0 || got->len > want->len)
		return "length";
	if (want->has_ack && want->ack != got->ack)
		return "acknowledgment";
	if (want->has_win && want->win != got->win)
		return "window";
	if (!seen->sound)
		return "checksum";
	if (!seen->data_ok)
		return "payload";
	what = differs_options(want, got);
	return what ? what : differs_network(want, got);
}

static int mismatch(struct play *play, const struct script_segment *want,
		    const struct packet_seen *seen, const char *what)
{
	char wanted[160], got[160];

	packet_text(want, wanted, sizeof(wanted));
	packet_text(&seen->seg, got, sizeof(got));
	return play_fail(play, "expected: %s, seen at %.6f: %s (%s)", wanted,
			 at_s(play, seen->at_us), got, what);
}

static int wait_for_segment(struct play *play, const struct script_event *event)
{
	uint32_t tolerance_us = play->script->tolerance_us;
	uint64_t from_us, to_us, at_us;

	times(play, event, &from_us, &to_us);
	if (!event->any_time)
		to_us += tolerance_us;
	else
		to_us = sim_world_now(play->world) + 400 * (uint64_t)END_US;
	if (!sim_world_run(play->world, to_us, something_seen, play))
		return play_fail(play, "expected until %.6f: %s, seen: nothing", at_s(play, to_us),
				 event->text);
	at_us = play->seen->at_us;
	if (!event->any_time && (at_us + tolerance_us < from_us || at_us > to_us)) {
		char text[160];

		packet_text(&play->seen->seg, text, sizeof(text));
		return play_fail(play, "expected at %.6f: %s, seen at %.6f: %s",
				 at_s(play, from_us), event->text, at_s(play, at_us), text);
	}
	return 0;
}

/* One line may stand for several full segments that follow each other. */
static int expect(struct play *play, const struct script_event *event)
{
	struct script_segment want = event->seg;
	struct packet_seen *seen;
	const char *what;
	bool whole;
	int err;

	do {
		if (wait_for_segment(play, event) != 0)
			return -1;
		seen = pop(play);
		whole = seen->seg.len >= want.len;
		what = differs(play, &want, seen, whole);
		err = what ? mismatch(play, &want, seen, what) : 0;
		want.seq += seen->seg.len;
		want.len -= whole ? want.len : seen->seg.len;
		play->last_us = seen->at_us;
		free(seen);
	} while (err == 0 && !whole);
	return err;
}

static int inject(struct play *play, const struct script_event *event)
{
	struct nic_sim_packet *packet;

	if (go_to(play, event) != 0)
		return -1;
	packet = packet_build(&play->flow, &event->seg);
	if (!packet)
		return play_fail(play, "no memory");
	play->world->down.node.forward(&play->world->down.node, packet);
	play_settle(play);
	return 0;
}

static int one(struct play *play, const struct script_event *event)
{
	int err;

	play->event = event;
	if (event->kind == SCRIPT_FROM_PEER)
		err = inject(play, event);
	else if (event->kind == SCRIPT_TO_PEER)
		err = expect(play, event);
	else
		err = go_to(play, event) != 0 ? -1 : play_command(play, event);
	if (err == 0 && play->world->failed)
		err = play_fail(play, "world: %s", play->world->failure);
	return err;
}

/* The connection as it is offloaded. */

static void prepare_cached(const struct script *script, TCP_OFFLOAD_STATE_CACHED *cached)
{
	if (script->ka_idle_ms)
		cached->Flags |= TCP_FLAG_KEEP_ALIVE_ENABLED;
	cached->KaTimeout = script->ka_idle_ms;
	cached->KaInterval = script->ka_interval_ms;
	cached->KaProbeCount = (UCHAR)script->ka_probes;
	cached->MaxRT = script->max_rt_ms;
	cached->TtlOrHopLimit = (UCHAR)script->ttl;
	cached->TosOrTrafficClass = (UCHAR)script->tos;
	cached->UserPriority = script->priority & 7;
	cached->FlowLabel = script->flow_label & 0xfffff;
}

static void prepare(struct sim_sock *sock, void *ctx)
{
	const struct script *script = ((struct play *)ctx)->script;
	TCP_OFFLOAD_STATE_DELEGATED *delegated = &sock->state.delegated;

	if (script->cwnd_bytes)
		delegated->CWnd = script->cwnd_bytes;
	if (script->ssthresh_bytes)
		delegated->SsThresh = script->ssthresh_bytes;
	delegated->SRtt = (USHORT)(script->srtt_ms * 8);
	delegated->RttVar = (USHORT)(script->rttvar_ms * 4);
	delegated->TsRecentAge = script->ts_recent_age_ms;
	delegated->KeepAlive.TimeoutDelta = script->ka_left_ms;
	delegated->KeepAlive.ProbeCount = (UCHAR)script->ka_sent;
	prepare_cached(script, &sock->state.cached);
	sock->rx.mode = script->reader;
	sock->tx.piece = script->piece_bytes;
	sock->tx.window = UINT32_MAX;
	sock->ends_at_upload = !script->goes_on;
}

/* The target begins with one acknowledgment; only scripts that are about it see it. */
static int take_start(struct play *play)
{
	struct packet_seen *seen;

	if (play->script->show_start)
		return 0;
	if (!play->seen)
		return play_fail(play, "the target did not begin with an acknowledgment");
	seen = pop(play);
	if (seen->seg.flags != NIC_SIM_ACK || seen->seg.len > 0 || seen->seg.seq != 1)
		return mismatch(play, &seen->seg, seen, "the target's first segment");
	free(seen);
	return play_nothing_seen(play);
}

static int begin(struct play *play)
{
	const struct script *script = play->script;
	struct sim_conn *conn;

	if (sim_world_create(&play->world, &script->world) != 0)
		return play_fail(play, "no world");
	play->node.name = "script";
	play->node.net = &play->world->net;
	play->node.forward = arrived;
	play->node.next_run_at = never;
	play->node.run = nothing;
	play->world->up.to = &play->node;
	play->flow.script = script;
	play->flow.world = play->world;
	conn = sim_conn_open_alone(play->world, &script->conn, prepare, play);
	if (!conn)
		return play_fail(play, "no connection");
	play->flow.sock = play->sock = conn->sock[SIM_AT_HOST];
	play->flow.start_us = play->last_us = sim_world_now(play->world);
	play_settle(play);
	if (play->sock->phase != SIM_LIVE)
		return play_fail(play, "the connection was not offloaded");
	return take_start(play);
}

static void end(struct play *play)
{
	struct sim_world *world = play->world;

	if (!world)
		return;
	if (!play->error->text[0]) {
		play_settle(play);
		play_nothing_seen(play);
	}
	if (play->sock && !world->failed) {
		sim_conn_abandon(&world->conns[0]);
		sim_world_run_for(world, END_US);
		if (!sim_conns_at_rest(world))
			play_fail(play, "the connection did not come to its end");
	}
	if (world->failed)
		play_fail(play, "world: %s", world->failure);
	if (nic_sim_oversize(world->bindings[SIM_TARGET].nic) > 0)
		play_fail(play, "a frame was larger than the device takes");
	if (sim_world_destroy(world) != 0)
		play_fail(play, "a driver kept something that it should have given back");
	while (play->seen)
		free(pop(play));
}

int script_run(const struct script *script, struct script_error *error)
{
	const struct script_event *event;
	struct play play = { .script = script, .error = error };
	int err;

	error->line = 0;
	error->text[0] = 0;
	play.seen_tail = &play.seen;
	err = begin(&play);
	for (event = script->events; event && err == 0; event = event->next)
		err = one(&play, event);
	end(&play);
	return error->text[0] ? -1 : 0;
}
