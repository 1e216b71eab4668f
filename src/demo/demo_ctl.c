/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo/demo_ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ipc/ipc_msg.h"

#define CALL_TIMEOUT_MS 10000

static json_t *kept; /* array of answers that came while another one was awaited */

int64_t demo_ctl_ask(int fd, const char *op, json_t *args)
{
	static int64_t last_tag;
	json_t *msg = args ? args : json_object();
	int err;

	json_object_set_new(msg, "op", json_string(op));
	json_object_set_new(msg, "tag", json_integer(++last_tag));
	err = ipc_send(fd, msg);
	json_decref(msg);
	return err ? err : last_tag;
}

static json_t *receive(int fd, int timeout_ms, int *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	json_t *msg = NULL;
	int n = poll(&p, 1, timeout_ms);

	*err = 0;
	if (n > 0)
		*err = ipc_recv(fd, &msg);
	else if (n < 0 && errno != EINTR)
		*err = -errno;
	return *err ? NULL : msg;
}

json_t *demo_ctl_next(int fd, int timeout_ms, int *err)
{
	json_t *msg;

	if (kept && json_array_size(kept)) {
		*err = 0;
		msg = json_incref(json_array_get(kept, 0));
		json_array_remove(kept, 0);
		return msg;
	}
	return receive(fd, timeout_ms, err);
}

json_t *demo_ctl_call(int fd, const char *op, json_t *args)
{
	int64_t tag = demo_ctl_ask(fd, op, args);
	int err = tag < 0 ? (int)tag : 0;

	while (!err) {
		json_t *msg = receive(fd, CALL_TIMEOUT_MS, &err);

		if (!msg && !err)
			err = -ETIMEDOUT;
		if (!msg)
			break;
		if (json_integer_value(json_object_get(msg, "tag")) == tag)
			return msg;
		if (!kept)
			kept = json_array();
		json_array_append_new(kept, msg);
	}
	fprintf(stderr, "chimney demo: the daemon did not answer '%s': %s\n", op, strerror(-err));
	return NULL;
}
