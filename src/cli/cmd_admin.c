/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that ask a running daemon. Each is one request and one answer, but for a list,
 * which comes in pages.
 */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ipc/ipc_fd.h"
#include "ipc/ipc_msg.h"

struct arguments {
	const char *path;
	const char *name; /* the command, without "chimney " */
	const char *words[2];
	unsigned int count;
	bool json, prometheus;
};

static const struct argp_option options[] = {
	{ "control", 'c', "PATH", 0, "control socket of the daemon (default " CLI_CONTROL_PATH ")",
	  0 },
	{ "json", 'j', NULL, 0, "the answer as JSON", 0 },
	{ "prometheus", 'P', NULL, 0, "counters as Prometheus reads them (show stats)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->path = arg;
		break;
	case 'j':
		a->json = true;
		break;
	case 'P':
		a->prometheus = true;
		break;
	case ARGP_KEY_ARG:
		if (a->count == 2)
			argp_error(state, "'%s' is one word too many", arg);
		a->words[a->count++] = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Commands with one number behind them, and how the request calls it. */
static const char *number_key(const char *name)
{
	static const char *const ids[] = { "offload", "upload", "tree", "query" };

	if (!strcmp(name, "attach") || !strcmp(name, "detach"))
		return "pid";
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (!strcmp(name, ids[i]))
			return "id";
	return NULL;
}

static json_t *number_request(const struct arguments *a, const char *key)
{
	char *end = NULL;
	long long value = a->count == 1 ? strtoll(a->words[0], &end, 10) : 0;

	if (value > 0 && !*end)
		return json_pack("{s:s, s:I}", "op", a->name, key, (json_int_t)value);
	fprintf(stderr, "chimney %s: %s is wanted, like: chimney %s 3\n", a->name,
		!strcmp(key, "pid") ? "a process id" : "the id of a connection (chimney list)",
		a->name);
	return NULL;
}

static json_t *show_request(const struct arguments *a)
{
	static const char *const what[] = { "connections", "stats",  "adapters",
					    "history",     "global", "rules" };

	for (size_t i = 0; a->count == 1 && i < sizeof(what) / sizeof(what[0]); i++)
		if (!strcmp(a->words[0], what[i]))
			return json_pack("{s:s}", "op", i ? what[i] : "list");
	fprintf(stderr,
		"chimney show: what? connections, stats, adapters, history, global or rules\n");
	return NULL;
}

static json_t *set_request(const struct arguments *a)
{
	if (a->count == 2 && !strcmp(a->words[0], "global") && !strncmp(a->words[1], "chimney=", 8))
		return json_pack("{s:s, s:s}", "op", "set", "chimney", a->words[1] + 8);
	fprintf(stderr, "chimney set: like this: chimney set global "
			"chimney=automatic|enabled|disabled|manual\n");
	return NULL;
}

static json_t *rule_request(const struct arguments *a)
{
	if (a->count == 2 && (!strcmp(a->words[0], "port") || !strcmp(a->words[0], "application")))
		return json_pack("{s:s, s:s, s:s}", "op", a->name, "kind", a->words[0], "value",
				 a->words[1]);
	fprintf(stderr,
		"chimney %s: like this: chimney %s port 443, or: chimney %s application "
		"redis-server\n",
		a->name, a->name, a->name);
	return NULL;
}

/* NULL: what is wrong has been said. */
static json_t *make_request(const struct arguments *a)
{
	const char *key = number_key(a->name);

	if (key)
		return number_request(a, key);
	if (!strcmp(a->name, "show"))
		return show_request(a);
	if (!strcmp(a->name, "add") || !strcmp(a->name, "delete"))
		return rule_request(a);
	if (!strcmp(a->name, "set"))
		return set_request(a);
	if (!a->count)
		return json_pack("{s:s}", "op", a->name);
	fprintf(stderr, "chimney %s: '%s' is one word too many\n", a->name, a->words[0]);
	return NULL;
}

static int ask(int fd, json_t *request, json_t **answer)
{
	int err;

	json_object_set_new(request, "tag", json_integer(1));
	err = ipc_send(fd, request);
	return err ? err : ipc_recv(fd, answer);
}

/* The pages of a list, put together. */
static int ask_all(int fd, json_t *request, json_t **answer)
{
	json_t *page, *all, *next;
	int err = ask(fd, request, answer);

	if (err)
		return err;
	all = json_object_get(*answer, "connections");
	next = json_incref(json_object_get(*answer, "next"));
	while (all && json_integer_value(next)) {
		json_object_set_new(request, "after", next);
		err = ask(fd, request, &page);
		if (err) {
			json_decref(*answer);
			return err;
		}
		json_array_extend(all, json_object_get(page, "connections"));
		next = json_incref(json_object_get(page, "next"));
		json_decref(page);
	}
	json_decref(next);
	json_object_del(*answer, "next");
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_connections(const json_t *list)
{
	size_t i;
	json_t *c;

	printf("%6s %7s  %-26s %-26s %-11s %12s %12s  %s\n", "id", "pid", "local", "remote",
	       "state", "bytes in", "bytes out", "reason");
	json_array_foreach(list, i, c)
	{
		printf("%6lld %7lld  %-26s %-26s %-11s %12lld %12lld  %s\n", number_of(c, "id"),
		       number_of(c, "pid"), text_of(c, "local"), text_of(c, "remote"),
		       text_of(c, "state"), number_of(c, "bytes_in"), number_of(c, "bytes_out"),
		       text_of(c, "reason"));
	}
}

static void print_plain(const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		char *text;

		if (!strcmp(key, "ok") || !strcmp(key, "tag"))
			continue;
		text = json_dumps(value, JSON_ENCODE_ANY);
		printf("%-20s %s\n", key,
		       json_is_string(value) ? json_string_value(value)
		       : text                ? text
					     : "");
		free(text);
	}
}

static int print_answer(const struct arguments *a, json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *text = json_string_value(json_object_get(answer, "text"));
	const json_t *list = json_object_get(answer, "connections");

	if (error) {
		fprintf(stderr, "chimney %s: %s\n", a->name, error);
	} else if (a->prometheus) {
		cli_prometheus_print(stdout, answer);
	} else if (a->json) {
		json_object_del(answer, "tag");
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (text) {
		fputs(text, stdout);
	} else if (list) {
		print_connections(list);
	} else {
		print_plain(answer);
	}
	json_decref(answer);
	return error ? 1 : 0;
}

static int run(const struct arguments *a, json_t *request)
{
	int fd = ipc_connect(a->path), err;
	json_t *answer;

	if (fd < 0) {
		fprintf(stderr,
			"chimney %s: no daemon at '%s' (%s); start one with: chimney daemon -i "
			"INTERFACE\n",
			a->name, a->path, strerror(-fd));
		return 1;
	}
	err = ask_all(fd, request, &answer);
	close(fd);
	if (!err)
		return print_answer(a, answer);
	fprintf(stderr, "chimney %s: the daemon did not answer: %s\n", a->name, strerror(-err));
	return 1;
}

int cmd_admin(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[PID | ID | WHAT]",
		.doc = "Ask a running daemon.",
	};
	const char *space = strrchr(argv[0], ' ');
	struct arguments a = { .path = CLI_CONTROL_PATH, .name = space ? space + 1 : argv[0] };
	json_t *request;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	request = make_request(&a);
	if (request && a.prometheus &&
	    strcmp(json_string_value(json_object_get(request, "op")), "stats") != 0) {
		fprintf(stderr, "chimney %s: --prometheus goes with: chimney show stats\n", a.name);
		json_decref(request);
		return 2;
	}
	if (!request)
		return 2;
	status = run(&a, request);
	json_decref(request);
	return status;
}
