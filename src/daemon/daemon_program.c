/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "daemon/daemon_int.h"

static int program_prepare(void *ctx, char *why, size_t why_size)
{
	struct daemon_conn *dc = ctx;

	return exec_prepare(dc->holders, why, why_size);
}

static int program_stop(void *ctx, char *why, size_t why_size)
{
	struct daemon_conn *dc = ctx;
	int err = exec_stop(dc->holders, why, why_size);

	if (!err)
		daemon_socket_snapshot(dc);
	return err;
}

static int program_exchange(void *ctx, int new_fd)
{
	struct daemon_conn *dc = ctx;
	int err = exec_exchange(dc->holders, new_fd);

	if (!err)
		daemon_socket_exchanged(dc, new_fd);
	else
		log_warn("connection %u: exchange failed in step '%s'", dc->id,
			 exec_failed_step(dc->holders));
	return err;
}

static void program_resume(void *ctx)
{
	struct daemon_conn *dc = ctx;

	exec_resume(dc->holders);
}

static void program_gone(void *ctx)
{
	daemon_conn_gone(ctx);
}

static int program_fetch(void *ctx, int *fd)
{
	struct daemon_conn *dc = ctx;

	return exec_fetch(dc->holders, fd);
}

const struct host_program_ops daemon_program_ops = {
	.prepare = program_prepare,
	.stop = program_stop,
	.exchange = program_exchange,
	.resume = program_resume,
	.gone = program_gone,
	.fetch = program_fetch,
};
