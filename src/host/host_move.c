/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_move.c - runs the stages of a move, and walks back when one fails.
 *
 *	stages   resolve  prepare  expect ... initiate  exchange  park  carry
 *	failure  <------- undo, in reverse ------------|
 *	                                               |-- at the target: the upload's stages
 *
 * An upload that fails before its terminate is undone; after it, the connection goes back to the
 * target as it is (host_back_stages), and if the target does not take it either, both are tried
 * in turn: whatever happens, the state is in conn->image and nothing is thrown away. What follows
 * the moment in which the kernel's socket carries the connection again is done again until it
 * works.
 */
#include "host/host_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define AGAIN_MAX   8u
#define SWING_US    20000u
#define RETRY_US    10000u
#define REST_MAX_US 2000u /* between two moves */
#define TRIES_MAX   200u  /* of an upload that somebody waits for: two seconds */

static const struct host_stage *const lists[] = { host_offload_stages, host_upload_stages,
						  host_back_stages };
static const char *const list_names[] = { "offload", "upload", "back" };
#define LISTS (sizeof(lists) / sizeof(lists[0]))

static char inject[256];

/* ---- failure injection ---- */

const char *host_stage_name(unsigned int index)
{
	static char name[64];

	for (unsigned int l = 0; l < LISTS; l++)
		for (const struct host_stage *s = lists[l]; s->name; s++)
			if (index-- == 0) {
				snprintf(name, sizeof(name), "%s.%s", list_names[l], s->name);
				return name;
			}
	return NULL;
}

static bool is_stage(const char *name, size_t len)
{
	const char *known;

	for (unsigned int i = 0; (known = host_stage_name(i)); i++)
		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return true;
	return false;
}

int host_inject_failure(const char *stages)
{
	inject[0] = 0;
	for (const char *at = stages; at && *at;) {
		size_t len = strcspn(at, ",");

		if (!is_stage(at, len))
			return -ENOENT;
		at += at[len] ? len + 1 : len;
	}
	snprintf(inject, sizeof(inject), "%s", stages ? stages : "");
	return 0;
}

static const char *list_of(const struct host_stage *stages)
{
	for (unsigned int l = 0; l < LISTS; l++)
		if (lists[l] == stages)
			return list_names[l];
	return "";
}

/* The first name of the list, when its turn has come; it is taken off. */
static bool injected(const struct host_conn *conn)
{
	size_t len = strcspn(inject, ",");
	char name[64];

	if (!inject[0])
		return false;
	snprintf(name, sizeof(name), "%s.%s", list_of(conn->move.stages),
		 conn->move.stages[conn->move.at].name);
	if (strlen(name) != len || memcmp(name, inject, len) != 0)
		return false;
	len += inject[len] == ',';
	memmove(inject, inject + len, strlen(inject + len) + 1);
	return true;
}

/* ---- running ---- */

uint64_t host_now_us(const struct host_conn *conn)
{
	return loop_tick(conn->adapter->host->config.loop);
}

int host_why(struct host_conn *conn, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(conn->move.why, sizeof(conn->move.why), fmt, ap);
	va_end(ap);
	return err;
}

static void note_history(struct host_conn *conn, int err)
{
	struct host_conn_info *info = &conn->info;

	memmove(&info->history[1], &info->history[0],
		(HOST_HISTORY - 1) * sizeof(info->history[0]));
	info->history[0] =
		(struct host_history){ .upload = conn->move.up && !conn->move.bounced,
				       .reason = conn->move.up ? (int)conn->move.reason : 0,
				       .err = err,
				       .at_us = host_now_us(conn) };
	if (info->history_count < HOST_HISTORY)
		info->history_count++;
}

static void note_times(struct host_conn *conn, uint64_t now_us)
{
	struct host_move *m = &conn->move;
	struct host_conn_info *info = &conn->info;
	uint64_t stopped = m->stop_us ? m->resume_us - m->stop_us : 0;
	uint64_t frozen = m->freeze_us ? (m->thaw_us ? m->thaw_us : now_us) - m->freeze_us : 0;

	if (m->up) {
		info->upload_us = now_us - m->start_us;
		info->upload_stopped_us = stopped;
		info->upload_frozen_us = frozen;
	} else {
		info->offload_us = now_us - m->start_us;
		info->offload_stopped_us = stopped;
		info->offload_frozen_us = frozen;
	}
}

static void note_end(struct host_conn *conn, int err)
{
	struct host_move *m = &conn->move;

	note_history(conn, err);
	if (err) {
		conn->info.failures++;
		snprintf(conn->info.reason, sizeof(conn->info.reason), "%s",
			 m->why[0] ? m->why : strerror(-err));
		conn->info.failed_stage = m->failed_stage;
		return;
	}
	note_times(conn, host_now_us(conn));
	conn->info.reason[0] = 0;
	conn->info.reason_code = HOST_OK;
	if (m->up)
		conn->info.uploads++;
	else
		conn->info.offloads++;
}

/*
 * An upload that was not ordered by a caller has to succeed: the target, or the end of the
 * daemon, waits for it.
 */
static void try_again(struct host_conn *conn, const struct host_move *move)
{
	if (!move->up || move->done || !conn->at_target || conn->tries++ >= TRIES_MAX)
		return;
	conn->wanted = move->reason;
	host_upload_retry(conn, RETRY_US);
}

/* ---- turns ---- */

static void run(struct host_conn *conn);

/*
 * One move at a time. The worker is the TCP of all connections that are offloaded: moves that are
 * asked for together would keep it from the wire for the sum of their times, and a peer takes an
 * acknowledgment that is some milliseconds late for a loss. The connections of one program would
 * also keep it stopped all the time. So there is a round of the loop between two moves, and the
 * program runs for as long as it stood still.
 */
static void start(struct host_conn *conn)
{
	conn->adapter->host->mover = conn;
	conn->waits = false;
	conn->move.start_us = host_now_us(conn);
	host_conn_set_state(conn, conn->move.up ? HOST_CONN_UPLOADING : HOST_CONN_OFFLOADING);
	run(conn);
}

static void turn_due(struct loop_timer *timer)
{
	struct host *host = (struct host *)((char *)timer - offsetof(struct host, turn_timer));
	struct host_conn *conn = host->waiting;

	if (host->mover || !conn)
		return;
	host->waiting = conn->next_waiting;
	if (!host->waiting)
		host->waiting_tail = &host->waiting;
	start(conn);
}

static void wait_for_turn(struct host_conn *conn)
{
	struct host *host = conn->adapter->host;

	conn->waits = true;
	conn->next_waiting = NULL;
	*host->waiting_tail = conn;
	host->waiting_tail = &conn->next_waiting;
}

static void end_turn(struct host_conn *conn)
{
	struct host *host = conn->adapter->host;
	const struct host_move *m = &conn->move;
	uint64_t stopped_us = m->resume_us > m->stop_us ? m->resume_us - m->stop_us : 0;

	if (host->mover != conn)
		return;
	host->mover = NULL;
	host->turn_timer.fn = turn_due;
	loop_timer_set(host->config.loop, &host->turn_timer,
		       host_now_us(conn) + (stopped_us < REST_MAX_US ? stopped_us : REST_MAX_US));
}

/* The end of a move, whichever way it went. May free conn. */
static void finish(struct host_conn *conn, int err)
{
	struct host *host = conn->adapter->host;
	struct host_move move = conn->move;
	bool ended = false;

	note_end(conn, err);
	end_turn(conn);
	conn->moving = false;
	if (!conn->at_target)
		ended = host_upload_settled(conn);
	if (!ended)
		host_conn_set_state(conn, conn->at_target ? HOST_CONN_OFFLOADED : HOST_CONN_HOST);
	conn->in_done = true;
	if (move.done)
		move.done(move.ctx, conn, err, err ? conn->info.reason : "");
	conn->in_done = false;
	if (ended || conn->remove)
		host_conn_finish(conn);
	else if (err && !conn->moving)
		try_again(conn, &move);
	else if (conn->at_target && conn->wanted && !conn->moving)
		host_upload_retry(conn, 0);
	host_all_step(host);
}

static void undo(struct host_conn *conn)
{
	for (unsigned int i = conn->move.at + 1; i-- > 0;)
		if (conn->move.stages[i].undo)
			conn->move.stages[i].undo(conn);
}

static void use_list(struct host_conn *conn, const struct host_stage *stages, const char *from)
{
	conn->move.stages = stages;
	conn->move.at = 0;
	while (from && strcmp(stages[conn->move.at].name, from) != 0)
		conn->move.at++;
}

static void swing(struct loop_timer *timer)
{
	struct host_conn *conn =
		(struct host_conn *)((char *)timer - offsetof(struct host_conn, again));

	use_list(conn, host_upload_stages, conn->at_target ? "halt" : "drain");
	run(conn);
}

static void fail(struct host_conn *conn, int err)
{
	struct host_move *m = &conn->move;
	const struct host_stage *stage = &m->stages[m->at];
	enum host_on_fail on_fail = stage->on_fail;
	int told = m->err ? m->err : err; /* the first failure is the one to tell */

	if (m->bounced && on_fail == HOST_FAIL_UNDO)
		/* it cannot stay at the target: the program has the kernel's socket */
		on_fail = HOST_FAIL_SWING;

	log_debug("%s.%s failed: %s (%s)", list_of(m->stages), stage->name, strerror(-err), m->why);
	if (!m->err) {
		m->err = err;
		m->failed_stage = stage->name;
	}
	switch (on_fail) {
	case HOST_FAIL_UNDO:
		undo(conn);
		finish(conn, told);
		break;
	case HOST_FAIL_UP:
		m->bounced = true;
		m->up = true;
		use_list(conn, host_upload_stages, "halt");
		run(conn);
		break;
	case HOST_FAIL_BACK:
		use_list(conn, host_back_stages, NULL);
		run(conn);
		break;
	case HOST_FAIL_AGAIN:
		if (m->attempts++ == AGAIN_MAX) {
			log_err("a connection was moved, but the step '%s' did not work: %s",
				stage->name, strerror(-err));
			m->at++;
		}
		run(conn);
		break;
	case HOST_FAIL_SWING:
		end_turn(conn); /* this may take long */
		conn->again.fn = swing;
		loop_timer_set(conn->adapter->host->config.loop, &conn->again,
			       host_now_us(conn) + SWING_US);
		break;
	}
}

static bool at_end(const struct host_conn *conn)
{
	return conn->move.stages[conn->move.at].name == NULL;
}

/*
 * The end of an upload that succeeded is no failure, whatever happened on the way; that of a
 * bounced offload is.
 */
static int outcome(const struct host_conn *conn)
{
	const struct host_move *m = &conn->move;

	return m->stages == host_back_stages || m->bounced ? m->err : 0;
}

static void run(struct host_conn *conn)
{
	while (!at_end(conn)) {
		int err = injected(conn) ? host_why(conn, -EIO, "failure injected")
					 : conn->move.stages[conn->move.at].run(conn);

		if (err == HOST_STAGE_LATER)
			return; /* conn may be gone by now */
		if (err) {
			fail(conn, err);
			return;
		}
		conn->move.at++;
	}
	finish(conn, outcome(conn));
}

void host_move_go_on(struct host_conn *conn, int err)
{
	if (err) {
		fail(conn, err);
		return;
	}
	conn->move.at++;
	run(conn);
}

void host_move_begin(struct host_conn *conn, const struct host_stage *stages, host_done_fn *done,
		     void *ctx)
{
	struct host *host = conn->adapter->host;
	TCP_UPLOAD_REASON reason = conn->move.reason;

	conn->move = (struct host_move){
		.stages = stages, .up = stages == host_upload_stages, .done = done, .ctx = ctx
	};
	conn->move.reason = reason;
	conn->moving = true;
	if (host->mover || host->waiting || host->turn_timer.active)
		wait_for_turn(conn);
	else
		start(conn);
}
