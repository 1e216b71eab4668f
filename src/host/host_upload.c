/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_upload.c - target -> kernel, the mirror image of host_offload.c.
 *
 *	prepare      the program's holders
 *	expect       frames that come once the target has let go are kept
 *	stop         the program stands still; it may have closed its end by now
 *	fetch        its stream end, for what it has not read
 *	halt         nothing is moved between stream and target any more
 *	terminate    NdisTerminateOffload, until its completion: state, sends, undelivered data
 *	drain        bytes in the stream: unread ones in front of the target's, unsent ones behind
 *	restore      the parked socket carries it all, still in repair mode
 *	exchange     the program's descriptor becomes the socket
 *	release      out of repair mode; unsent bytes follow
 *	unmute       segments may come in
 *	replay       what repair mode cannot say: FIN, TIME_WAIT, RST
 *	flush        what was kept meanwhile is indicated
 *	unsteer      new ones go to the kernel straight
 *	resume       the program runs on
 *
 * TIME_WAIT goes to the kernel like any other state: the socket says FIN again, the peer's FIN
 * with its acknowledgment is replayed, and the kernel keeps TIME_WAIT. Its packets are dropped on
 * the way out meanwhile: the peer has seen them.
 */
#include "host/host_int.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define TIME_WAIT_S 120u /* of a conntrack entry */

/* ---- before terminate --------------------------------------------------------------------- */

static bool hung_up(const struct host_conn *conn)
{
	struct pollfd pfd = { .fd = conn->xfer.watch.fd };

	return conn->program_has_stream && poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

static bool closed_error(int err)
{
	return err == -EBADF || err == -ESRCH;
}

static int prepare(struct host_conn *conn)
{
	int err;

	if (conn->path)
		host_reach_before_send(conn->path->neighbor);
	conn->program_gone = conn->program_gone || hung_up(conn);
	if (conn->program_gone)
		return 0;
	err = conn->ops->prepare(conn->program, conn->move.why, sizeof(conn->move.why));
	if (closed_error(err))
		conn->program_gone = true;
	return closed_error(err) ? 0 : err;
}

static int stop(struct host_conn *conn)
{
	int err;

	if (conn->program_gone || conn->stopped)
		return 0;
	conn->move.stop_us = host_now_us(conn);
	err = conn->ops->stop(conn->program, conn->move.why, sizeof(conn->move.why));
	if (closed_error(err))
		conn->program_gone = true;
	else if (!err)
		conn->stopped = true;
	return closed_error(err) ? 0 : err;
}

static int fetch(struct host_conn *conn)
{
	int err, fd = -1;

	if (conn->program_gone || !conn->program_has_stream || conn->direct)
		return 0;
	err = conn->ops->fetch(conn->program, &fd);
	if (err)
		return host_why(conn, err, "the program's end of the stream cannot be had");
	conn->xfer.program_end = fd;
	return 0;
}

static void unfetch(struct host_conn *conn)
{
	if (conn->xfer.program_end >= 0)
		close(conn->xfer.program_end);
	conn->xfer.program_end = -1;
}

static int halt(struct host_conn *conn)
{
	host_xfer_stop(conn);
	return 0;
}

static void unhalt(struct host_conn *conn)
{
	if (!conn->xfer.running)
		host_xfer_start(conn);
}

/* ---- terminate ---------------------------------------------------------------------------- */

/* Our FIN may have been asked for and not sent: the stream says so, the target's state does not. */
static void note_ends(struct host_conn *conn)
{
	struct host_image *image = &conn->image;

	if (!conn->xfer.eof && !conn->xfer.fin_asked)
		return;
	image->fin_queued = true;
	if (image->state == HOST_TCP_ESTABLISHED)
		image->state = HOST_TCP_FIN_WAIT_1;
	else if (image->state == HOST_TCP_CLOSE_WAIT)
		image->state = HOST_TCP_LAST_ACK;
}

static int take_state(struct host_conn *conn, struct host_op *op)
{
	TCP_OFFLOAD_STATE_DELEGATED *delegated = host_state_delegated(&op->tcp);
	struct host_block_pool *pool = &conn->adapter->host->blocks;
	struct host_image *image = &conn->image;
	int err, err2;

	host_block_put(image->tx);
	host_block_put(image->rx);
	image->tx = image->rx = NULL;
	host_state_take(delegated, image);
	host_recall_note(&conn->recall, image, host_now_us(conn));
	err = host_xfer_take_chain(conn, op->tcp.list.NetBufferListChain, &image->tx);
	if (!err && conn->xfer.resend)
		err = host_block_append(pool, &image->tx, conn->xfer.resend->data,
					conn->xfer.resend->len);
	host_block_put(conn->xfer.resend);
	conn->xfer.resend = NULL;
	err2 = host_xfer_take_buffered(conn, delegated->BufferedData, &image->rx);
	return err ? err : err2;
}

static void terminate_done(struct host_op *op)
{
	struct host_conn *conn = op->conn;
	int err;

	conn->move.freeze_us = host_now_us(conn);
	if (op->root && op->tcp.list.Status != NDIS_STATUS_SUCCESS) {
		host_move_go_on(conn, host_why(conn, -EIO, "the target could not give it up"));
		return;
	}
	err = take_state(conn, op);
	if (err)
		log_err("no memory for data that came up with a connection: it will not go on");
	host_move_go_on(conn, 0);
}

static int terminate(struct host_conn *conn)
{
	int err = host_op_submit(conn, HOST_OP_TERMINATE, terminate_done, NULL);

	return err ? err : HOST_STAGE_LATER;
}

/* ---- after terminate ---------------------------------------------------------------------- */

/* What the target's CLOSED means depends on how it came to it. */
static enum host_ending ending_of(const struct host_conn *conn)
{
	const struct host_xfer *x = &conn->xfer;

	if (conn->image.state == HOST_TCP_TIME_WAIT)
		return HOST_END_TIME_WAIT;
	if (conn->image.state != HOST_TCP_CLOSE)
		return HOST_END_NONE;
	if (conn->program_gone)
		return HOST_END_DROP;
	if (x->fin_done && x->peer_fin)
		return HOST_END_CLOSED;
	return conn->move.reason == TimeoutExpiration ? HOST_END_TIMEOUT : HOST_END_RESET;
}

/* An image that the kernel can be given; the rest of the story is replayed. */
static void shape_image(struct host_conn *conn)
{
	struct host_image *image = &conn->image;

	switch (conn->move.ending) {
	case HOST_END_CLOSED:
		image->fin_queued = image->fin_acked = image->fin_received = true;
		break;
	case HOST_END_RESET:
	case HOST_END_TIMEOUT:
		image->state = HOST_TCP_ESTABLISHED;
		image->fin_queued = image->fin_acked = image->fin_received = false;
		if (seq_gt(image->snd_una, image->snd_max))
			image->snd_max = image->snd_una;
		break;
	default:
		break;
	}
	if (conn->program_gone) { /* nobody will read it */
		host_block_put(image->rx);
		image->rx = NULL;
	}
}

static int drain(struct host_conn *conn)
{
	int err = host_xfer_drain(conn);

	if (err)
		return err;
	note_ends(conn);
	conn->move.ending = ending_of(conn);
	shape_image(conn);
	return 0;
}

static int restore(struct host_conn *conn)
{
	int err;

	if (conn->move.ending == HOST_END_DROP)
		return 0;
	err = host_repair_restore(&conn->sock, &conn->image);
	return err ? host_why(conn, err, "the kernel's socket does not take the state: %s",
			      strerror(-err))
		   : 0;
}

static int exchange(struct host_conn *conn)
{
	int err;

	if (conn->program_gone || !conn->program_has_stream)
		return 0;
	err = conn->ops->exchange(conn->program, conn->sock.fd);
	if (err)
		return host_why(conn, err, "the program's descriptor could not be exchanged: %s",
				strerror(-err));
	conn->program_has_stream = false;
	return 0;
}

static bool silent(const struct host_conn *conn)
{
	return conn->move.ending != HOST_END_NONE && conn->move.ending != HOST_END_TIMEOUT;
}

static int release(struct host_conn *conn)
{
	struct host_adapter *adapter = conn->adapter;
	int err;

	if (conn->move.ending == HOST_END_DROP)
		return 0;
	if (silent(conn) && !conn->move.quiet) {
		err = steer_quiet_add(adapter->config.steer, &conn->info.flow, 1);
		if (err)
			return err;
		conn->move.quiet = true;
	}
	err = host_repair_release(&conn->sock, &conn->image, silent(conn));
	conn->move.thaw_us = host_now_us(conn);
	return err;
}

static int unmute(struct host_conn *conn)
{
	return conn->move.ending == HOST_END_DROP ? 0 : host_repair_unmute(&conn->sock);
}

/* The kernel's own timer gives the error: the peer had its time with the target. */
static int time_out(struct host_conn *conn)
{
	int soon_ms = 1;

	return setsockopt(conn->sock.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &soon_ms, sizeof(soon_ms)) <
			       0
		       ? -errno
		       : 0;
}

static int replay(struct host_conn *conn)
{
	struct host_adapter *adapter = conn->adapter;
	const uint8_t *from = conn->path->neighbor->mac;
	int err = 0;

	if (conn->move.ending == HOST_END_RESET)
		err = host_segment_reset(adapter->config.nic, &conn->sock, &conn->info.flow, from,
					 &conn->image);
	else if (conn->move.ending == HOST_END_TIMEOUT)
		err = time_out(conn);
	else if (conn->move.ending != HOST_END_DROP)
		err = host_segment_replay(adapter->config.nic, &conn->sock, &conn->info.flow, from,
					  &conn->image);
	if (err)
		return host_why(conn, err, "the kernel did not take a replayed segment: %s",
				strerror(-err));
	if (conn->move.quiet) {
		err = steer_quiet_del(adapter->config.steer, &conn->info.flow, 1);
		conn->move.quiet = false;
	}
	return err;
}

static void tell_conntrack(struct host_conn *conn)
{
	struct host_ct *ct = conn->adapter->host->ct;
	int err = 0;

	if (!ct)
		return;
	if (conn->move.ending == HOST_END_TIME_WAIT)
		err = host_ct_set_state(ct, &conn->info.flow, TCP_CONNTRACK_TIME_WAIT, TIME_WAIT_S);
	else if (conn->move.ending != HOST_END_NONE && conn->move.ending != HOST_END_TIMEOUT)
		err = host_ct_delete(ct, &conn->info.flow);
	if (err)
		log_debug("conntrack could not be told of the end of a connection: %s",
			  strerror(-err));
}

static void flushed(struct loop_timer *timer)
{
	host_move_go_on((struct host_conn *)((char *)timer - offsetof(struct host_conn, again)), 0);
}

/*
 * Older segments before younger ones: what was kept goes to the kernel while new frames still take the
 * way through the target, one round long. The other way round timestamps make the kernel drop them.
 */
static int flush(struct host_conn *conn)
{
	struct loop *loop = conn->adapter->host->config.loop;

	conn->passing = true;
	host_step_unexpect(conn);
	host_conn_caught_indicate(conn);
	conn->again.fn = flushed;
	loop_timer_set(loop, &conn->again, loop_now_us(loop));
	return HOST_STAGE_LATER;
}

static int unsteer(struct host_conn *conn)
{
	host_step_unsteer(conn);
	if (conn->steered)
		return host_why(conn, -EIO, "its frames are still steered away");
	conn->passing = false;
	tell_conntrack(conn);
	return 0;
}

static int resume(struct host_conn *conn)
{
	host_step_resume(conn);
	return 0;
}

const struct host_stage host_upload_stages[] = {
	{ "prepare", prepare, NULL, HOST_FAIL_UNDO },
	{ "expect", host_step_expect, host_step_unexpect, HOST_FAIL_UNDO },
	{ "stop", stop, host_step_resume, HOST_FAIL_UNDO },
	{ "fetch", fetch, unfetch, HOST_FAIL_UNDO },
	{ "halt", halt, unhalt, HOST_FAIL_UNDO },
	{ "terminate", terminate, NULL, HOST_FAIL_UNDO },
	{ "drain", drain, NULL, HOST_FAIL_BACK },
	{ "restore", restore, NULL, HOST_FAIL_BACK },
	{ "exchange", exchange, NULL, HOST_FAIL_BACK },
	{ "release", release, NULL, HOST_FAIL_AGAIN },
	{ "unmute", unmute, NULL, HOST_FAIL_AGAIN },
	{ "replay", replay, NULL, HOST_FAIL_AGAIN },
	{ "flush", flush, NULL, HOST_FAIL_AGAIN },
	{ "unsteer", unsteer, NULL, HOST_FAIL_AGAIN },
	{ "resume", resume, NULL, HOST_FAIL_AGAIN },
	{ NULL, NULL, NULL, HOST_FAIL_UNDO },
};

/*
 * A connection that left the target and is not welcome in the kernel: down again, with all that
 * was drained.
 */
const struct host_stage host_back_stages[] = {
	{ "exchange", host_step_exchange_down, NULL, HOST_FAIL_SWING },
	{ "park", host_step_park, NULL, HOST_FAIL_SWING },
	{ "initiate", host_step_initiate, NULL, HOST_FAIL_SWING },
	{ "deliver", host_step_deliver, NULL, HOST_FAIL_AGAIN },
	{ "carry", host_step_carry, NULL, HOST_FAIL_AGAIN },
	{ NULL, NULL, NULL, HOST_FAIL_UNDO },
};

/* ---- the end ------------------------------------------------------------------------------ */

bool host_upload_settled(struct host_conn *conn)
{
	bool over = conn->move.ending != HOST_END_NONE && conn->move.ending != HOST_END_TIMEOUT;
	bool ended = conn->program_gone || over;
	bool went_up = conn->sock.fd >= 0;
	struct host_nl_sock found;

	if (!went_up)
		return false; /* an offload that was undone */
	conn->info.closed_offloaded = over;
	if (conn->move.ending == HOST_END_TIME_WAIT &&
	    host_nl_sock_find(conn->adapter->host->nl, &conn->info.flow, &found) == 0)
		conn->info.time_wait = found.state == HOST_TCP_TIME_WAIT;
	host_conn_hold(conn, HOST_HELD_STREAM, -1);
	host_conn_hold(conn, HOST_HELD_SOCKET, -1);
	host_xfer_close(conn);
	host_repair_drop(&conn->sock); /* the program has its own reference, or nobody needs it */
	host_image_clear(&conn->image);
	if (conn->path)
		host_path_put(conn->path);
	conn->path = NULL;
	conn->wanted = 0;
	return ended;
}

void host_upload_begin(struct host_conn *conn, TCP_UPLOAD_REASON reason, host_done_fn *done,
		       void *ctx)
{
	conn->move.reason = reason;
	conn->wanted = 0;
	loop_timer_cancel(conn->adapter->host->config.loop, &conn->again);
	host_move_begin(conn, host_upload_stages, done, ctx);
}

int host_conn_upload(struct host_conn *conn, TCP_UPLOAD_REASON reason, host_done_fn *done,
		     void *ctx)
{
	if (conn->moving)
		return -EBUSY;
	if (!conn->at_target)
		return -EALREADY;
	host_upload_begin(conn, reason, done, ctx);
	return 0;
}

static bool mandatory(TCP_UPLOAD_REASON reason)
{
	return reason == HardwareFailure || reason == InvalidState ||
	       reason == ReceivedUrgentData || reason == TimeoutExpiration ||
	       reason == UploadRequested;
}

static void upload_now(struct loop_timer *timer)
{
	struct host_conn *conn =
		(struct host_conn *)((char *)timer - offsetof(struct host_conn, again));

	if (!conn->moving && conn->at_target && conn->wanted)
		host_upload_begin(conn, conn->wanted, NULL, NULL);
}

void host_upload_retry(struct host_conn *conn, uint64_t delay_us)
{
	struct loop *loop = conn->adapter->host->config.loop;

	if (conn->moving)
		return; /* finish() looks again */
	conn->again.fn = upload_now;
	loop_timer_set(loop, &conn->again, loop_now_us(loop) + delay_us);
}

void host_upload_wanted(struct host_conn *conn, TCP_UPLOAD_REASON reason)
{
	if (!mandatory(reason))
		return; /* at our discretion: the connection does well where it is */
	if (!conn->wanted || reason == TimeoutExpiration)
		conn->wanted = reason;
	conn->tries = 0;
	if (!conn->again.active)
		host_upload_retry(conn, 0);
}

/* ---- everything --------------------------------------------------------------------------- */

struct host_all {
	void (*done)(void *ctx, int err);
	void *ctx;
};

void host_all_step(struct host *host)
{
	struct host_all *all = host->all;
	int failed = 0;

	host_adapters_settled(host);
	if (!all)
		return;
	for (struct host_conn *conn = host->conns; conn; conn = conn->next) {
		if (conn->moving || (conn->at_target && conn->wanted))
			return;
		failed += conn->at_target;
	}
	host->all = NULL;
	if (all->done)
		all->done(all->ctx, -failed);
	free(all);
}

int host_upload_all(struct host *host, TCP_UPLOAD_REASON reason, void (*done)(void *ctx, int err),
		    void *ctx)
{
	if (host->all)
		return -EBUSY;
	host->all = malloc(sizeof(*host->all));
	if (!host->all)
		return -ENOMEM;
	*host->all = (struct host_all){ done, ctx };
	for (struct host_conn *conn = host->conns; conn; conn = conn->next)
		if (conn->at_target || conn->moving)
			host_upload_wanted(conn, reason);
	host_all_step(host);
	return 0;
}
