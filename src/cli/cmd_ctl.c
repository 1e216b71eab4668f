/* SPDX-License-Identifier: BSD-2-Clause */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ipc/ipc_msg.h"

struct arguments {
	const char *path;
	const char *op;
	const char *number; /* pid or connection id */
};

static const struct argp_option options[] = {
	{ "control", 'c', "PATH", 0, "control socket of the daemon (default /run/chimney.sock)",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->path = arg;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			a->op = arg;
		else if (state->arg_num == 1)
			a->number = arg;
		else
			argp_error(state, "'%s': one operation and at most one number are expected",
				   arg);
		break;
	case ARGP_KEY_END:
		if (!a->op)
			argp_error(state, "which operation? attach PID, list, offload ID, upload "
					  "ID, tree ID, query ID, "
					  "stats, stop");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int connect_daemon(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		fprintf(stderr,
			"chimney ctl: no daemon at '%s' (%s); start one with: chimney daemon -i "
			"INTERFACE\n",
			path, strerror(errno));
		return -1;
	}
	return fd;
}

static int print_answer(json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *text = json_string_value(json_object_get(answer, "text"));
	int status = 0;

	if (error) {
		fprintf(stderr, "chimney ctl: %s\n", error);
		status = 1;
	} else if (text) {
		fputs(text, stdout);
	} else {
		json_object_del(answer, "tag");
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(answer);
	return status;
}

int cmd_ctl(int argc, char **argv)
{
	static const struct argp argp = { .options = options,
					  .parser = parse,
					  .args_doc = "OPERATION [PID|ID]",
					  .doc = "Ask a running daemon." };
	struct arguments a = { .path = "/run/chimney.sock" };
	json_t *request, *answer;
	int fd, err;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	fd = connect_daemon(a.path);
	if (fd < 0)
		return 1;
	request = json_pack("{s:s, s:i}", "op", a.op, "tag", 1);
	if (a.number)
		json_object_set_new(request, !strcmp(a.op, "attach") ? "pid" : "id",
				    json_integer(atoll(a.number)));
	err = ipc_send(fd, request);
	json_decref(request);
	if (!err)
		err = ipc_recv(fd, &answer);
	close(fd);
	if (err) {
		fprintf(stderr, "chimney ctl: %s\n", strerror(-err));
		return 1;
	}
	return print_answer(answer);
}
