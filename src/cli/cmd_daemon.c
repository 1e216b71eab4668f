/* SPDX-License-Identifier: BSD-2-Clause */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "daemon/daemon.h"
#include "ndis/nrt_verify.h"

struct arguments {
	struct daemon_config config;
	char *policy;
};

static const struct argp_option options[] = {
	{ "interface", 'i', "NAME", 0,
	  "interface whose connections may be offloaded (needed); again for each member of a bond, "
	  "with a mux in --im",
	  0 },
	{ "control", 'c', "PATH", 0, "control socket (default /run/chimney.sock)", 0 },
	{ "policy", 'p', "FILE", 0, "rules: which connections may be offloaded (default: none)",
	  0 },
	{ "im", 'd', "LIST", 0,
	  "intermediate drivers between host and target, top first, in any order and number: "
	  "passthru, vlan:ID[:PRIORITY], mux:active-backup, mux:balance, or a driver of your own "
	  "(./mine.so)",
	  0 },
	{ "target", 't', "FILE", 0,
	  "offload target of your own, a shared object (docs/writing-a-driver.md); default: ours",
	  0 },
	{ "chimney", 'm', "MODE", 0,
	  "manual (requests only, the default), enabled (what the rules match, at once), "
	  "automatic (of that, what is heavy and near) or disabled",
	  0 },
	{ "verify", 'V', NULL, 0,
	  "hold every driver to the rules of state operations and log who breaks one", 0 },
	{ 0 },
};

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		return NULL;
	n = getdelim(&text, &size, '\0', f);
	fclose(f);
	return n < 0 ? strdup("") : text;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'i':
		if (a->config.ifname_count == DAEMON_INTERFACES_MAX)
			argp_error(state, "--interface '%s': at most %d interfaces", arg,
				   DAEMON_INTERFACES_MAX);
		a->config.ifnames[a->config.ifname_count++] = arg;
		break;
	case 'c':
		a->config.control_path = arg;
		break;
	case 'p':
		a->policy = read_file(arg);
		if (!a->policy)
			argp_error(state, "--policy '%s': %s", arg, strerror(errno));
		break;
	case 'd':
		a->config.im = arg;
		break;
	case 't':
		a->config.target = arg;
		break;
	case 'm':
		if (daemon_mode_parse(arg, &a->config.mode) < 0)
			argp_error(state,
				   "--chimney '%s': manual, enabled, automatic or disabled is "
				   "wanted",
				   arg);
		break;
	case 'V':
		nrt_verify_enable(NRT_VERIFY_LOG);
		break;
	case ARGP_KEY_END:
		if (!a->config.ifname_count)
			argp_error(state, "--interface is missing: which interface's connections "
					  "shall be served?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int cmd_daemon(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Serve the connections of this network namespace until SIGTERM; all are "
		       "given back then.",
	};
	struct arguments a = { .config = { .control_path = CLI_CONTROL_PATH, .control_fd = -1 } };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	a.config.policy = a.policy;
	status = daemon_main(&a.config);
	free(a.policy);
	return status;
}
