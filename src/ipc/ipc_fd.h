/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipc_fd.h - unix sockets that carry more than JSON: connecting by path, and a descriptor that
 * travels with some bytes.
 */
#ifndef IPC_IPC_FD_H
#define IPC_IPC_FD_H

#include <stddef.h>

/* ipc_connect() - to the SOCK_SEQPACKET socket at path: the descriptor, or -errno. */
int ipc_connect(const char *path);

/*
 * ipc_send_fd() - bytes, and fd with them unless it is negative. Both are borrowed.
 * Returns: 0 or -errno.
 */
int ipc_send_fd(int sock, const void *data, size_t len, int fd);

/*
 * ipc_recv_fd() - up to len bytes, and the descriptor that came with them: *fd is the caller's,
 * close-on-exec, -1 when there was none.
 * Returns: number of bytes, 0 at the end, or -errno.
 */
long ipc_recv_fd(int sock, void *data, size_t len, int *fd);

#endif
