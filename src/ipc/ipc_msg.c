/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipc/ipc_msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int ipc_send(int fd, const json_t *msg)
{
	char *text = json_dumps(msg, JSON_COMPACT);
	size_t len;
	ssize_t n;

	if (!text)
		return -ENOMEM;
	len = strlen(text);
	n = len > IPC_MSG_MAX ? -1 : send(fd, text, len, MSG_NOSIGNAL);
	free(text);
	if (len > IPC_MSG_MAX)
		return -EMSGSIZE;
	return n < 0 ? -errno : 0;
}

int ipc_recv(int fd, json_t **msg)
{
	static _Thread_local char text[IPC_MSG_MAX];
	ssize_t n;

	do {
		n = recv(fd, text, sizeof(text), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	*msg = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	if (!*msg)
		return -EPROTO;
	if (!json_is_object(*msg)) {
		json_decref(*msg);
		return -EPROTO;
	}
	return 0;
}
