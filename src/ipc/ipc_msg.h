/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipc_msg.h - messages between daemon, command line and demo: one JSON object a packet on a
 * SOCK_SEQPACKET unix socket. A request is {"op": NAME, "tag": N, ...}, its answer {"tag": N, "ok":
 * true, ...} or {"tag": N, "ok": false, "error": "what was wrong and what to do"}. Answers may come
 * in any order.
 */
#ifndef IPC_IPC_MSG_H
#define IPC_IPC_MSG_H

#include <jansson.h>

#define IPC_MSG_MAX 65536u /* bytes of one packet */

/*
 * ipc_send() - borrows msg. Returns 0; -EMSGSIZE when the text is over IPC_MSG_MAX, -EAGAIN when
 * the peer does not read, or another -errno of send().
 */
int ipc_send(int fd, const json_t *msg);

/*
 * ipc_recv() - the caller owns *msg. Returns 0; -EAGAIN when nothing is there (non-blocking
 * socket), -EPIPE when the peer is gone, -EPROTO when the packet is no JSON object (dropped), or
 * another -errno.
 */
int ipc_recv(int fd, json_t **msg);

#endif
