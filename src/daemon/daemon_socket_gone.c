/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that ended in the chimney while their program still holds the stream: what it can ask
 * of them is answered as a closed TCP socket answers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon_socket.h"

struct daemon_ghost {
	uint64_t stream_inode;
	struct sockaddr_storage local;
};

#define GHOSTS 1024u

void daemon_socket_gone(struct daemon_conn *dc)
{
	struct worker *w = dc->worker;

	if (!dc->stream_inode)
		return;
	if (!w->ghosts)
		w->ghosts = calloc(GHOSTS, sizeof(*w->ghosts));
	if (w->ghosts)
		w->ghosts[w->ghost_next++ % GHOSTS] =
			(struct daemon_ghost){ .stream_inode = dc->stream_inode,
					       .local = host_conn_info(dc->conn)->local };
}

static const struct daemon_ghost *find(const struct worker *w, uint64_t inode)
{
	for (unsigned int i = 0; w->ghosts && i < GHOSTS; i++)
		if (inode && w->ghosts[i].stream_inode == inode)
			return &w->ghosts[i];
	return NULL;
}

/* Its options are those of any closed socket of the same kind. */
static json_t *ask_closed(int family, const struct socket_call *c)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;
	uint8_t data[SOCKET_VALUE_BYTES];
	socklen_t length = c->length;

	if (fd < 0)
		return daemon_socket_value(errno, NULL, 0);
	memcpy(data, c->data, c->length);
	if (c->kind == SOCKET_SETSOCKOPT)
		err = setsockopt(fd, c->level, c->name, data, length);
	else
		err = getsockopt(fd, c->level, c->name, data, &length);
	err = err < 0 ? errno : 0;
	close(fd);
	return daemon_socket_value(err, data, c->kind == SOCKET_SETSOCKOPT ? 0 : length);
}

static json_t *ask_plain(const struct socket_call *c)
{
	static const int nothing;

	switch (c->kind) {
	case SOCKET_GETPEERNAME:
	case SOCKET_SHUTDOWN:
		return daemon_socket_value(ENOTCONN, NULL, 0);
	case SOCKET_IOCTL:
		return daemon_socket_value(0, &nothing, sizeof(nothing));
	case SOCKET_RECV:
		return c->name & MSG_ERRQUEUE ? daemon_socket_value(EAGAIN, NULL, 0)
					      : daemon_socket_native();
	default:
		return daemon_socket_native();
	}
}

bool daemon_socket_over(const struct worker *w, const struct socket_call *c, json_t **reply)
{
	const struct daemon_ghost *ghost = find(w, c->inode);
	bool v6 = ghost && ghost->local.ss_family == AF_INET6;

	if (!ghost)
		return false;
	if (c->kind == SOCKET_GETSOCKNAME)
		*reply = daemon_socket_value(0, &ghost->local,
					     v6 ? sizeof(struct sockaddr_in6)
						: sizeof(struct sockaddr_in));
	else if (c->kind == SOCKET_GETSOCKOPT || c->kind == SOCKET_SETSOCKOPT)
		*reply = ask_closed(v6 ? AF_INET6 : AF_INET, c);
	else
		*reply = ask_plain(c);
	return true;
}
