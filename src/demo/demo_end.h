/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_end.h - one end of the demo's connections: an ordinary program on kernel sockets that sends
 * and checks a stream.
 *
 * The same code is the peer (connects) and the server (accepts). It knows nothing of chimney:
 * epoll, read, write, close.
 */
#ifndef DEMO_DEMO_END_H
#define DEMO_DEMO_END_H

#include "demo/demo_flow.h"

struct demo_addr {
	const char *v4, *v6; /* address of the server */
};

/*
 * Each runs until all connections are closed and returns an exit status. ready_fd gets one byte
 * when listening.
 */
int demo_server_run(struct demo_table *table, int ready_fd);
int demo_peer_run(struct demo_table *table, const struct demo_addr *server);

/*
 * demo_echo_run() - one more connection, to an echo server that is not ours: sends flow->total
 * bytes and checks what comes back. The server's port is DEMO_PYTHON_PORT.
 */
int demo_echo_run(struct demo_flow *flow, uint64_t seed, const struct demo_addr *server);

#endif
