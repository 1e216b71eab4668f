/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to the daemon, one at a time. Without a daemon every answer is: as the kernel does it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/ipc_msg.h"
#include "supervisor/super_int.h"

#define RECONNECT_US 1000000u

static bool connected(struct super *s)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (s->daemon_fd >= 0)
		return true;
	if (super_now_us() < s->reconnect_us)
		return false;
	s->reconnect_us = super_now_us() + RECONNECT_US;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", s->control_path);
	s->daemon_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s->daemon_fd >= 0 && connect(s->daemon_fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return true;
	if (s->daemon_fd >= 0)
		close(s->daemon_fd);
	s->daemon_fd = -1;
	return false;
}

/* Takes request; NULL when there is no daemon, or no more. */
static json_t *ask(struct super *s, json_t *request)
{
	json_t *answer = NULL;
	int err = -ENOTCONN;

	if (connected(s)) {
		err = ipc_send(s->daemon_fd, request);
		if (!err)
			err = ipc_recv(s->daemon_fd, &answer);
		if (err) {
			close(s->daemon_fd);
			s->daemon_fd = -1;
		}
	}
	json_decref(request);
	return err ? NULL : answer;
}

void super_attach(struct super *s, pid_t pid)
{
	json_t *answer = ask(s, json_pack("{s:s, s:i, s:i, s:i}", "op", "attach", "tag", 1, "pid",
					  (int)pid, "filters", (int)s->filters));

	json_decref(answer);
}

static void read_hex(const char *hex, struct super_answer *out)
{
	size_t n = 0;
	unsigned int byte;

	for (; n < sizeof(out->data) && hex[0] && hex[1]; hex += 2) {
		if (sscanf(hex, "%2x", &byte) != 1)
			break;
		out->data[n++] = (uint8_t)byte;
	}
	out->length = (unsigned int)n;
}

static void write_hex(char *out, const uint8_t *data, unsigned int length)
{
	for (unsigned int i = 0; i < length; i++)
		sprintf(out + 2 * i, "%02x", data[i]);
	out[2 * length] = 0;
}

void super_ask(struct super *s, uint64_t inode, const char *call, int level, int name,
	       const void *data, unsigned int length, struct super_answer *out)
{
	char hex[2 * sizeof(out->data) + 1] = "";
	json_t *answer, *err;
	const char *value;

	*out = (struct super_answer){ .native = true };
	if (length > sizeof(out->data))
		return;
	if (data)
		write_hex(hex, data, length);
	answer = ask(s, json_pack("{s:s, s:i, s:I, s:s, s:i, s:i, s:i, s:s}", "op", "socket", "tag",
				  1, "inode", (json_int_t)inode, "call", call, "level", level,
				  "name", name, "length", (int)length, "data", hex));
	err = json_object_get(answer, "err");
	value = json_string_value(json_object_get(answer, "data"));
	if (json_is_integer(err)) {
		out->native = false;
		out->err = (int)json_integer_value(err);
		read_hex(value ? value : "", out);
	}
	json_decref(answer);
}
