/* SPDX-License-Identifier: BSD-2-Clause */
/* What the host and its application do, and what a script may ask. */
#include <ndis/chimneyext.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/nrt_status.h"
#include "play.h"
#include "target/tgt_adapter.h"

static bool operation_over(void *ctx)
{
	const struct play *play = ctx;

	return !play->world->bindings[SIM_TARGET].ops;
}

/* Operations complete without time passing. */
static int wait_for_operation(struct play *play)
{
	if (sim_world_run(play->world, sim_world_now(play->world), operation_over, play))
		return 0;
	return play_fail(play, "the operation did not complete");
}

static uint32_t argument(const struct script_event *event, unsigned int index)
{
	return index < event->words ? (uint32_t)strtoul(event->word[index], NULL, 0) : 0;
}

/* Commands. */

static int do_write(struct play *play, const struct script_event *event)
{
	sim_sock_send(play->sock, argument(event, 1));
	return 0;
}

static int do_read(struct play *play, const struct script_event *event)
{
	sim_sock_read(play->sock, argument(event, 1));
	return 0;
}

static int do_close(struct play *play, const struct script_event *event)
{
	(void)event;
	sim_sock_close(play->sock);
	return 0;
}

static int do_abort(struct play *play, const struct script_event *event)
{
	(void)event;
	sim_sock_abort(play->sock);
	return 0;
}

/* The host takes the connection back, looks at the state and is done. */
static int do_upload(struct play *play, const struct script_event *event)
{
	(void)event;
	if (play->sock->phase != SIM_LIVE)
		return play_fail(play, "there is nothing to upload");
	play->sock->move.final = true;
	sim_host_wake(play->sock);
	return wait_for_operation(play);
}

/* move kernel, move target: the connection goes on there. */
static int do_move(struct play *play, const struct script_event *event)
{
	enum sim_place to =
		event->words > 1 && !strcmp(event->word[1], "kernel") ? SIM_KERNEL : SIM_TARGET;

	if (sim_sock_move(play->sock, to) != 0)
		return play_fail(play, "cannot move");
	return 0;
}

static int do_pmtu(struct play *play, const struct script_event *event)
{
	enum sim_family family = play->script->conn.family;
	struct sim_binding *target = &play->world->bindings[SIM_TARGET];

	target->path_mtu_bytes[family] = argument(event, 1);
	if (sim_host_submit_path(SIM_OP_PATH_MTU, target, family) != 0)
		return play_fail(play, "no memory");
	return wait_for_operation(play);
}

static int update(struct play *play)
{
	if (play->sock->phase != SIM_LIVE || sim_host_submit(SIM_OP_UPDATE, play->sock, NULL) != 0)
		return play_fail(play, "cannot update");
	return wait_for_operation(play);
}

static void set_flag(TCP_OFFLOAD_STATE_CACHED *cached, USHORT flag, bool on)
{
	cached->Flags = (USHORT)(on ? cached->Flags | flag : cached->Flags & ~flag);
}

/* keepalive(idle, interval, probes), ms; keepalive(0) switches it off */
static int do_keepalive(struct play *play, const struct script_event *event)
{
	TCP_OFFLOAD_STATE_CACHED *cached = &play->sock->state.cached;

	set_flag(cached, TCP_FLAG_KEEP_ALIVE_ENABLED, argument(event, 1) > 0);
	set_flag(cached, TCP_FLAG_KEEP_ALIVE_RESTART,
		 event->words > 4 && !strcmp(event->word[4], "restart"));
	cached->KaTimeout = argument(event, 1);
	cached->KaInterval = argument(event, 2);
	cached->KaProbeCount = (UCHAR)argument(event, 3);
	return update(play);
}

static int do_nagle(struct play *play, const struct script_event *event)
{
	set_flag(&play->sock->state.cached, TCP_FLAG_NAGLING_ENABLED,
		 event->words > 1 && !strcmp(event->word[1], "on"));
	return update(play);
}

static int do_cork(struct play *play, const struct script_event *event)
{
	set_flag(&play->sock->state.cached, TCP_FLAG_CORK_ENABLED,
		 event->words > 1 && !strcmp(event->word[1], "on"));
	return update(play);
}

static int do_rcv_buf(struct play *play, const struct script_event *event)
{
	set_flag(&play->sock->state.cached, TCP_FLAG_UPDATE_RCV_WND, true);
	play->sock->state.cached.InitialRcvWnd = argument(event, 1);
	return update(play);
}

static int do_max_rt(struct play *play, const struct script_event *event)
{
	play->sock->state.cached.MaxRT = argument(event, 1);
	return update(play);
}

static int do_ttl(struct play *play, const struct script_event *event)
{
	play->sock->state.cached.TtlOrHopLimit = (UCHAR)argument(event, 1);
	return update(play);
}

static int do_tos(struct play *play, const struct script_event *event)
{
	play->sock->state.cached.TosOrTrafficClass = (UCHAR)argument(event, 1);
	return update(play);
}

static int do_quiet(struct play *play, const struct script_event *event)
{
	(void)event;
	return play_nothing_seen(play);
}

/* Checks: names of numbers. */

static const uint64_t *drop_counter(const struct tgt_adapter *a, const char *name)
{
	static const char *const names[] = {
#define TGT_DROP_REASON(name, severity, text) #name,
#include "target/drop_reasons.def"
#undef TGT_DROP_REASON
	};
	unsigned int i;

	for (i = 0; i < TGT_DROP_REASONS; i++) {
		if (!strcmp(names[i], name))
			return &a->drops[i];
	}
	return NULL;
}

/* The delegated state: of the target by a query, or what an upload gave back. */
static const TCP_OFFLOAD_STATE_DELEGATED *delegated(struct play *play)
{
	if (play->sock->phase == SIM_LIVE) {
		if (sim_sock_query(play->sock) != 0 || wait_for_operation(play) != 0)
			return NULL;
	}
	return &play->sock->state.delegated;
}

static bool state_number(struct play *play, const char *name, uint64_t *out)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d = delegated(play);
	struct {
		const char *name;
		uint32_t value;
	} const values[] = {
		{ "cwnd", d->CWnd },
		{ "ssthresh", d->SsThresh },
		{ "snd_una", d->SndUna - play->sock->snd_base + 1 },
		{ "snd_nxt", d->SndNxt - play->sock->snd_base + 1 },
		{ "snd_max", d->SndMax - play->sock->snd_base + 1 },
		{ "rcv_nxt", d->RcvNxt - play->sock->rcv_base + 1 },
		{ "rcv_wnd", d->RcvWnd },
		{ "snd_wnd", d->SndWnd },
		{ "max_snd_wnd", d->MaxSndWnd },
		{ "srtt", d->SRtt / 8u },
		{ "rttvar", d->RttVar / 4u },
		{ "dup_acks", d->DupAckCount },
		{ "wnd_probes", d->SndWndProbeCount },
		{ "ka_sent", d->KeepAlive.ProbeCount },
		{ "ka_left", d->KeepAlive.TimeoutDelta },
		{ "rexmt_count", d->Retransmit.Count },
		{ "rexmt_left", d->Retransmit.TimeoutDelta },
		{ "total_rt", d->TotalRT },
		{ "ts_recent", d->TsRecent },
		{ "ts_recent_age", d->TsRecentAge },
	};
	unsigned int i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (!strcmp(values[i].name, name)) {
			*out = values[i].value;
			return true;
		}
	}
	return false;
}

static bool own_number(const struct play *play, const char *name, uint64_t *out)
{
	const struct sim_sock *sock = play->sock;
	const struct tgt_adapter *a = play->world->bindings[SIM_TARGET].adapter;
	enum tgt_family family = play->script->conn.family == SIM_V4 ? TGT_V4 : TGT_V6;
	struct {
		const char *name;
		uint64_t value;
	} const values[] = {
		{ "received", sock->rx.got },
		{ "acked", sock->tx.acked },
		{ "eof", sock->rx.eof },
		{ "aborted", sock->aborted },
		{ "reset_by_peer", sock->reset_by_peer },
		{ "ended", sock->phase == SIM_ENDED },
		{ "uploads_asked", sock->counts.uploads_asked },
		{ "upload_reason", sock->upload_reason },
		{ "held", play->world->counts.held },
		{ "strays", play->world->counts.strays },
		{ "retransmitted", a->counters[family].retransmitted_segments },
	};
	unsigned int i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (!strcmp(values[i].name, name)) {
			*out = values[i].value;
			return true;
		}
	}
	return false;
}

static bool value_of(struct play *play, const char *name, uint64_t *out)
{
	const struct tgt_adapter *a = play->world->bindings[SIM_TARGET].adapter;
	const uint64_t *drops;

	if (own_number(play, name, out))
		return true;
	if (!strncmp(name, "drop_", 5)) {
		drops = drop_counter(a, name + 5);
		*out = drops ? *drops : 0;
		return drops != NULL;
	}
	return state_number(play, name, out);
}

static int check_state(struct play *play, const struct script_event *event)
{
	const TCP_OFFLOAD_STATE_DELEGATED *d = delegated(play);
	const char *got = d ? nrt_tcp_state_name(d->State) : "?";

	if (event->words == 4 && !strcmp(event->word[3], got))
		return 0;
	return play_fail(play, "expected state: %s, seen: %s", event->word[3], got);
}

static bool holds(uint64_t value, const char *relation, uint64_t wanted)
{
	if (!strcmp(relation, "=="))
		return value == wanted;
	if (!strcmp(relation, "!="))
		return value != wanted;
	if (!strcmp(relation, "<="))
		return value <= wanted;
	return !strcmp(relation, ">=") && value >= wanted;
}

/* check name == number */
static int do_check(struct play *play, const struct script_event *event)
{
	uint64_t value, wanted;
	char *end;

	if (event->words != 4)
		return play_fail(play, "a check is: check name == number");
	if (!strcmp(event->word[1], "state"))
		return check_state(play, event);
	wanted = !strcmp(event->word[3], "never") ? UINT32_MAX : strtoull(event->word[3], &end, 0);
	if (!value_of(play, event->word[1], &value))
		return play_fail(play, "there is no %s to check", event->word[1]);
	if (!holds(value, event->word[2], wanted))
		return play_fail(play, "expected %s %s %s, seen: %llu", event->word[1],
				 event->word[2], event->word[3], (unsigned long long)value);
	return 0;
}

int play_command(struct play *play, const struct script_event *event)
{
	static const struct {
		const char *name;
		int (*fn)(struct play *play, const struct script_event *event);
	} commands[] = {
		{ "write", do_write },     { "read", do_read },
		{ "close", do_close },     { "abort", do_abort },
		{ "upload", do_upload },   { "move", do_move },
		{ "pmtu", do_pmtu },       { "keepalive", do_keepalive },
		{ "nagle", do_nagle },     { "cork", do_cork },
		{ "rcv_buf", do_rcv_buf }, { "max_rt", do_max_rt },
		{ "ttl", do_ttl },         { "tos", do_tos },
		{ "quiet", do_quiet },     { "check", do_check },
	};
	unsigned int i;
	int err;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, event->word[0]) != 0)
			continue;
		err = commands[i].fn(play, event);
		if (err == 0)
			play_settle(play);
		return err;
	}
	return play_fail(play, "there is no command %s", event->word[0]);
}
