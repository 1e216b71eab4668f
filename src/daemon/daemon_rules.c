/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules that are added and deleted while the daemon runs: lines of policy like those of the file,
 * and before them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon_int.h"

int daemon_rules_load(struct worker *w, char *why, size_t why_size)
{
	struct host_select *policy;
	char *text = NULL;
	int err;

	if (asprintf(&text, "%s%s", w->rules, w->config->policy ? w->config->policy : "") < 0) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	err = host_select_parse(&policy, text, why, why_size);
	free(text);
	if (err)
		return err;
	host_select_free(w->policy);
	w->policy = policy;
	return 0;
}

static void judge_all(struct worker *w)
{
	for (struct daemon_conn *dc = w->conns; dc; dc = dc->next)
		daemon_policy_refresh(w, dc);
	daemon_policy_soon(w);
}

static int make_line(const json_t *request, char *line, size_t size)
{
	const char *kind = json_string_value(json_object_get(request, "kind"));
	const char *value = json_string_value(json_object_get(request, "value"));
	int n;

	if (!kind || !value || value[strcspn(value, " \t\r\n#")] ||
	    (strcmp(kind, "port") != 0 && strcmp(kind, "application") != 0))
		return -EINVAL;
	n = snprintf(line, size, "offload %s %s\n",
		     !strcmp(kind, "port") ? "local-port" : "program", value);
	return n > 0 && (size_t)n < size ? 0 : -EINVAL;
}

/* Where the line begins, NULL when it was not added. */
static char *find_line(char *rules, const char *line)
{
	size_t len = strlen(line);

	for (char *at = rules; *at; at = strchr(at, '\n') + 1)
		if (!strncmp(at, line, len))
			return at;
	return NULL;
}

static json_t *add(struct worker *w, const char *line)
{
	size_t used = strlen(w->rules);
	char why[256] = "";

	if (find_line(w->rules, line))
		return daemon_ctl_good();
	if (used + strlen(line) >= sizeof(w->rules))
		return daemon_ctl_bad("too many rules were added; put them into the file", false);
	strcpy(w->rules + used, line);
	if (daemon_rules_load(w, why, sizeof(why)) < 0) {
		w->rules[used] = 0;
		return daemon_ctl_bad(why, false);
	}
	judge_all(w);
	return daemon_ctl_good();
}

static json_t *delete (struct worker *w, const char *line)
{
	char *at = find_line(w->rules, line), why[256] = "";

	if (!at)
		return daemon_ctl_bad("no such rule was added (chimney show rules)", false);
	memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
	if (daemon_rules_load(w, why, sizeof(why)) < 0)
		return daemon_ctl_bad(why, false);
	judge_all(w);
	return daemon_ctl_good();
}

bool daemon_rules(struct worker *w, const char *op, const json_t *request, json_t **reply)
{
	char line[256];

	if (!strcmp(op, "rules")) {
		*reply = json_pack("{s:b, s:s}", "ok", 1, "text", w->rules);
		return true;
	}
	if (strcmp(op, "add") != 0 && strcmp(op, "delete") != 0)
		return false;
	if (make_line(request, line, sizeof(line)) < 0)
		*reply = daemon_ctl_bad(
			"a port, or the name of an application's program, is wanted", false);
	else
		*reply = op[0] == 'a' ? add(w, line) : delete (w, line);
	return true;
}
