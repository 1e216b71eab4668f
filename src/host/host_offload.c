/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_offload.c - kernel -> target, one stage after the other.
 *
 *	resolve      the socket itself; is the connection eligible, where does it lead
 *	prepare      the program's holders, the stream pair, memory: all that can be done before
 *	expect       the target keeps frames of this flow from now on
 *	steer        they go to the target
 *	conntrack    which will not see them
 *	mute         what is past the steering already is dropped; the peer sends it again
 *	ack          a delayed acknowledgment leaves now, its timer does not travel
 *	stop         the program stands still                                   -+
 *	freeze       the socket is in repair mode                        -+      |
 *	hush         nothing leaves it any more                          |      |
 *	read         everything, and once more both sequence numbers      | frozen
 *	initiate     NdisInitiateOffload, until its completion           -+      | stopped
 *	exchange     the program's descriptor becomes the stream end             |
 *	park         the socket holds the address, silent                        |
 *	deliver      bytes flow; what it had not read is there again               |
 *	carry        the program runs on                                        -+
 *
 * Up to the completion of initiate a failure walks back and nothing has happened. After it the
 * connection is the target's, so a failure takes it up again (host_move.c).
 */
#include "host/host_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NIC_FETCH_FRAMES 256u

/* ---- steps that upload uses, too ---------------------------------------------------------- */

int host_step_expect(struct host_conn *conn)
{
	const struct host_adapter_config *config = &conn->adapter->config;

	if (config->expect && !conn->expected)
		config->expect(config->ctx, &conn->info.flow, true);
	conn->expected = true;
	return 0;
}

void host_step_unexpect(struct host_conn *conn)
{
	const struct host_adapter_config *config = &conn->adapter->config;

	if (config->expect && conn->expected)
		config->expect(config->ctx, &conn->info.flow, false);
	conn->expected = false;
}

/*
 * What lies in the nic's queue is older than what comes the straight way in a moment, so it is
 * fetched immediately before, and immediately after for what came meanwhile. Not from inside the
 * target.
 */
void host_step_unsteer(struct host_conn *conn)
{
	struct nic *nic = conn->adapter->config.nic;

	if (!conn->steered)
		return;
	nic_poll(nic, NIC_FETCH_FRAMES);
	if (steer_del(conn->adapter->config.steer, &conn->info.flow, 1) == 0)
		conn->steered = false;
	nic_poll(nic, NIC_FETCH_FRAMES);
}

void host_step_resume(struct host_conn *conn)
{
	if (!conn->stopped)
		return;
	conn->ops->resume(conn->program);
	conn->stopped = false;
	conn->move.resume_us = host_now_us(conn);
}

void host_step_unmute(struct host_conn *conn)
{
	if (conn->sock.fd >= 0)
		host_repair_unmute(&conn->sock);
}

static void keep_tree(struct host_conn *conn, const struct host_op *op)
{
	if (!conn->down_tree)
		conn->down_tree = malloc(sizeof(*op));
	if (conn->down_tree)
		memcpy(conn->down_tree, op, sizeof(*op));
}

static void refused(struct loop_timer *timer)
{
	struct host_conn *conn =
		(struct host_conn *)((char *)timer - offsetof(struct host_conn, again));

	host_move_go_on(conn, -ENOSPC);
}

/* The walk back needs the nic, which the target that tells us this is at. */
static void refuse_later(struct host_conn *conn)
{
	struct loop *loop = conn->adapter->host->config.loop;

	conn->again.fn = refused;
	loop_timer_set(loop, &conn->again, loop_now_us(loop));
}

static void initiate_done(struct host_op *op)
{
	struct host_conn *conn = op->conn;
	NDIS_STATUS status = op->tcp.list.Status;

	conn->move.thaw_us = host_now_us(conn);
	if (status != NDIS_STATUS_SUCCESS) {
		/* the reason may be with the object above */
		if (op->path.list.Status != NDIS_STATUS_SUCCESS &&
		    op->path.list.Status != NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS)
			status = op->path.list.Status;
		conn->info.reason_code = HOST_NOT_CAPABLE;
		host_why(conn, -ENOSPC, "the target refuses: %s", host_status_text(status));
		refuse_later(conn);
		return;
	}
	keep_tree(conn, op);
	host_xfer_adopted(conn, (uint32_t)host_block_len(conn->image.tx),
			  (uint32_t)host_block_len(conn->image.rx));
	host_block_put(conn->image.tx);
	host_block_put(conn->image.rx);
	conn->image.tx = conn->image.rx = NULL;
	host_move_go_on(conn, 0);
}

int host_step_initiate(struct host_conn *conn)
{
	int err = host_op_submit(conn, HOST_OP_INITIATE, initiate_done, NULL);

	return err ? err : HOST_STAGE_LATER;
}

int host_step_exchange_down(struct host_conn *conn)
{
	int err;

	if (conn->program_has_stream || conn->program_gone)
		return 0;
	err = conn->ops->exchange(conn->program, conn->xfer.program_end);
	if (err)
		return host_why(conn, err, "the program's descriptor could not be exchanged: %s",
				strerror(-err));
	conn->program_has_stream = true;
	return 0;
}

/*
 * A frozen socket still sends: pacing and retransmission timers do not know of repair mode. What they sent after it
 * was read the peer would acknowledge, and the target knows of no such bytes.
 */
static int hush(struct host_conn *conn)
{
	int err = host_repair_snd_max(&conn->sock, &conn->move.quiet_from);

	if (!err)
		err = steer_quiet_add(conn->adapter->config.steer, &conn->info.flow, 1);
	if (err)
		return host_why(conn, err, "its socket cannot be kept silent: %s", strerror(-err));
	conn->move.quiet = true;
	return 0;
}

static void unhush(struct host_conn *conn)
{
	if (conn->move.quiet &&
	    steer_quiet_del(conn->adapter->config.steer, &conn->info.flow, 1) == 0)
		conn->move.quiet = false;
}

int host_step_park(struct host_conn *conn)
{
	int err = 0;

	if (conn->sock.phase != HOST_SOCKET_PARKED)
		err = host_repair_park(&conn->sock, &conn->image);
	if (!err)
		unhush(conn); /* a parked socket has nothing to send */
	return err;
}

/*
 * A program that was told of data, by poll or epoll, may read without looking again: what it had not read has to be
 * there when it runs on.
 */
int host_step_deliver(struct host_conn *conn)
{
	host_xfer_start(conn);
	if (!conn->xfer.posted)
		return 0; /* there was nothing, or it has no room for more */
	conn->move.delivering = true;
	return HOST_STAGE_LATER;
}

int host_step_carry(struct host_conn *conn)
{
	if (conn->xfer.program_end >= 0)
		close(conn->xfer.program_end); /* or its close would not be seen */
	conn->xfer.program_end = -1;
	host_conn_hold(conn, HOST_HELD_STREAM, conn->xfer.watch.fd);
	host_conn_hold(conn, HOST_HELD_SOCKET, conn->sock.fd);
	host_step_unexpect(conn);
	host_conn_caught_forward(conn);
	host_step_resume(conn);
	return 0;
}

/* ---- resolve ------------------------------------------------------------------------------ */

static int check_adapter(struct host_conn *conn)
{
	const struct host_adapter *adapter = conn->adapter;

	conn->info.reason_code = HOST_NOT_CAPABLE;
	if (adapter->host->off)
		return host_why(conn, -EPERM, "offload is switched off");
	if (host_adapter_paused(adapter))
		return host_why(conn, -EAGAIN, "the target asked for a pause");
	if (adapter->offloaded >= adapter->capacity)
		return host_why(conn, -ENOSPC, "the target is full");
	if (!host_use_of(adapter, conn->info.flow.family))
		return host_why(conn, -ENOTSUP, "the target does not do this IP version");
	return 0;
}

static int fetch_socket(struct host_conn *conn)
{
	int fd = -1, err = conn->ops->fetch(conn->program, &fd);

	conn->info.reason_code = HOST_NOT_PROGRAM;
	if (err)
		return host_why(conn, err,
				err == -EBADF ? "the program has closed it"
					      : "its descriptor cannot be had");
	err = host_repair_take(&conn->sock, fd);
	conn->sock.parked_mark = steer_parked_mark(conn->adapter->config.steer);
	if (err)
		host_why(conn, err, "not a socket that can be handed over: %s", strerror(-err));
	return err;
}

static int resolve(struct host_conn *conn)
{
	struct host_nl_route route;
	struct host_nl_neigh neigh;
	int err = check_adapter(conn);

	if (!err)
		err = fetch_socket(conn);
	if (!err)
		err = host_eligible_socket(conn);
	if (!err)
		err = host_eligible_path(conn, &route, &neigh);
	if (!err)
		err = host_path_get(conn->adapter, &conn->info.flow, &route, &neigh, &conn->path);
	return err;
}

static void unresolve(struct host_conn *conn)
{
	if (conn->path)
		host_path_put(conn->path);
	conn->path = NULL;
	host_repair_drop(&conn->sock);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static int prepare(struct host_conn *conn)
{
	struct host_block_pool *pool = &conn->adapter->host->blocks;
	uint32_t rx, tx;
	int err = conn->ops->prepare(conn->program, conn->move.why, sizeof(conn->move.why));

	conn->program_gone = conn->program_has_stream = false;
	conn->aborted = false;
	conn->info.reason_code = HOST_NOT_PROGRAM;
	if (!err)
		err = host_xfer_open(conn);
	if (!err)
		err = host_repair_queued(&conn->sock, &rx, &tx);
	if (!err)
		err = host_block_reserve(pool, &conn->image.rx, rx + (64u << 10));
	if (!err)
		err = host_block_reserve(pool, &conn->image.tx, tx + (128u << 10));
	return err;
}

static void unprepare(struct host_conn *conn)
{
	host_xfer_close(conn);
	host_image_clear(&conn->image);
}

static void unexpect(struct host_conn *conn)
{
	host_step_unexpect(conn);
	host_conn_caught_indicate(conn);
}

static int steer(struct host_conn *conn)
{
	int err = steer_add(conn->adapter->config.steer, &conn->info.flow, 1);

	if (err)
		return host_why(conn, err, "its frames cannot be steered: %s", strerror(-err));
	conn->steered = true;
	return 0;
}

/* Older segments before younger ones, see flush() of the upload. */
static void unsteer(struct host_conn *conn)
{
	conn->passing = true;
	nic_poll(conn->adapter->config.nic, NIC_FETCH_FRAMES);
	unexpect(conn);
	host_step_unsteer(conn);
	conn->passing = false;
}

static int conntrack(struct host_conn *conn)
{
	struct host *host = conn->adapter->host;
	int err = host->ct ? host_ct_offloaded(host->ct, &conn->info.flow) : 0;

	return err ? host_why(conn, err, "conntrack cannot be told: %s", strerror(-err)) : 0;
}

static int mute(struct host_conn *conn)
{
	return host_repair_mute(&conn->sock);
}

static int ack(struct host_conn *conn)
{
	host_repair_flush_ack(&conn->sock);
	return 0;
}

static int stop(struct host_conn *conn)
{
	int err;

	conn->move.stop_us = host_now_us(conn);
	err = conn->ops->stop(conn->program, conn->move.why, sizeof(conn->move.why));
	conn->info.reason_code = HOST_NOT_PROGRAM;
	if (!err)
		conn->stopped = true;
	return err;
}

static int freeze(struct host_conn *conn)
{
	conn->move.freeze_us = host_now_us(conn);
	return host_repair_freeze(&conn->sock);
}

static void thaw(struct host_conn *conn)
{
	host_repair_thaw(&conn->sock);
}

static int read_image(struct host_conn *conn)
{
	int err = host_repair_read(&conn->sock, &conn->adapter->host->blocks, &conn->image);

	conn->info.reason_code = HOST_NOT_NOW;
	if (!err && host_eligible_ooo(&conn->sock, &conn->image) < 0)
		return host_why(conn, -EAGAIN, "segments wait for a missing one before them");
	if (!err && host_repair_moved(&conn->sock, &conn->image))
		err = -EAGAIN;
	if (err == -EAGAIN)
		host_why(conn, err, "a segment still got in while it was read");
	if (err)
		return err;
	host_recall_apply(&conn->recall, &conn->image, host_now_us(conn));
	/* Some of it never left, the kernel counts it as sent: the target sends it again. */
	if (seq_lt(conn->move.quiet_from, conn->image.snd_max))
		conn->image.snd_nxt = seq_gt(conn->move.quiet_from, conn->image.snd_una)
					      ? conn->move.quiet_from
					      : conn->image.snd_una;
	return 0;
}

const struct host_stage host_offload_stages[] = {
	{ "resolve", resolve, unresolve, HOST_FAIL_UNDO },
	{ "prepare", prepare, unprepare, HOST_FAIL_UNDO },
	{ "expect", host_step_expect, unexpect, HOST_FAIL_UNDO },
	{ "steer", steer, unsteer, HOST_FAIL_UNDO },
	{ "conntrack", conntrack, NULL, HOST_FAIL_UNDO },
	{ "mute", mute, host_step_unmute, HOST_FAIL_UNDO },
	{ "ack", ack, NULL, HOST_FAIL_UNDO },
	{ "stop", stop, host_step_resume, HOST_FAIL_UNDO },
	{ "freeze", freeze, thaw, HOST_FAIL_UNDO },
	{ "hush", hush, unhush, HOST_FAIL_UNDO },
	{ "read", read_image, NULL, HOST_FAIL_UNDO },
	{ "initiate", host_step_initiate, NULL, HOST_FAIL_UNDO },
	{ "exchange", host_step_exchange_down, NULL, HOST_FAIL_UP },
	{ "park", host_step_park, NULL, HOST_FAIL_UP },
	{ "deliver", host_step_deliver, NULL, HOST_FAIL_AGAIN },
	{ "carry", host_step_carry, NULL, HOST_FAIL_AGAIN },
	{ NULL, NULL, NULL, HOST_FAIL_UNDO },
};

int host_conn_offload(struct host_conn *conn, host_done_fn *done, void *ctx)
{
	if (conn->moving)
		return -EBUSY;
	if (conn->at_target)
		return -EALREADY;
	if (host_adapter_paused(conn->adapter) || conn->adapter->host->off)
		return -EAGAIN;
	host_move_begin(conn, host_offload_stages, done, ctx);
	return 0;
}
