/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to the daemon, one at a time. Without a daemon every answer is: as the kernel does it.
 */
#include <errno.h>
#include <jansson.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/ipc_fd.h"
#include "ipc/ipc_hex.h"
#include "ipc/ipc_msg.h"
#include "supervisor/super_int.h"

#define RECONNECT_US 1000000u

static bool connected(struct super *s)
{
	uint64_t now_us = clock_monotonic_us();
	int fd;

	if (s->daemon_fd >= 0)
		return true;
	if (now_us < s->reconnect_us)
		return false;
	s->reconnect_us = now_us + RECONNECT_US;
	fd = ipc_connect(s->control_path);
	s->daemon_fd = fd < 0 ? -1 : fd;
	return fd >= 0;
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

void super_ask(struct super *s, uint64_t inode, const struct super_question *q, const void *data,
	       unsigned int length, struct super_answer *out)
{
	char hex[2 * sizeof(out->data) + 1] = "";
	json_t *answer, *err;
	const char *value;

	*out = (struct super_answer){ .native = true };
	if (length > sizeof(out->data))
		return;
	if (data)
		ipc_hex_write(hex, data, length);
	answer = ask(s, json_pack("{s:s, s:i, s:I, s:s, s:i, s:i, s:i, s:s}", "op", "socket", "tag",
				  1, "inode", (json_int_t)inode, "call", q->call, "level", q->level,
				  "name", q->name, "length", (int)length, "data", hex));
	err = json_object_get(answer, "err");
	value = json_string_value(json_object_get(answer, "data"));
	if (json_is_integer(err)) {
		out->native = false;
		out->err = (int)json_integer_value(err);
		out->length = (unsigned int)ipc_hex_read(value, out->data, sizeof(out->data));
	}
	json_decref(answer);
}
