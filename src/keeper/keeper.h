/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.h - the process that outlives a worker.
 *
 * The keeper is the parent of the worker. It holds a copy of everything whose loss would hurt: the
 * TAP, the netlink socket that owns the steering rules, the arena, the daemon's end of every stream
 * pair (never the program's end: the worker would not see the program close it) and the parked
 * kernel sockets. It does nothing while the worker lives, so that nothing can go wrong in it; when
 * the worker ends it lets go of everything in the order in which that harms least.
 *
 * Read keeper.c for that order.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdint.h>

enum keeper_kind {
	KEEPER_STREAM, /* daemon's end of a stream pair, one a connection */
	KEEPER_STEER,  /* netlink socket that owns the steering tables */
	KEEPER_TAP,
	KEEPER_SOCKET, /* parked kernel socket, one a connection */
	KEEPER_ARENA,
	KEEPER_KINDS
};

struct keeper; /* the worker's end */

/*
 * keeper_run() - become the keeper and run worker() in a child process.
 * Context:   single-threaded process. SIGTERM and SIGINT are passed on to the worker.
 * Returns:   the worker's exit status (128 + signal when it was killed), or -errno when it could
 *            not be started.
 */
int keeper_run(int (*worker)(void *arg, struct keeper *keeper), void *arg);

/*
 * keeper_hold() - give the keeper a copy of fd (borrowed). One message, no answer is awaited.
 * Holding the same kind and id again replaces the copy. Returns 0 or -errno; the worker goes on
 * without, only less safely.
 */
int keeper_hold(struct keeper *keeper, enum keeper_kind kind, uint32_t id, int fd);
int keeper_release(struct keeper *keeper, enum keeper_kind kind, uint32_t id);

#endif
