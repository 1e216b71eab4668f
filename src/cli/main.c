/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "demo", cmd_demo,
	  "move live connections down the chimney and back, and check every byte" },
	{ "daemon", cmd_daemon, "serve the connections of this network namespace" },
	{ "exec", cmd_exec, "run a program whose connections may be offloaded" },
	{ "certify", cmd_certify, "try a loaded offload target against the rules" },
	{ "check", cmd_check, "what is missing on this machine, and how to mend it" },
	{ "attach", cmd_admin, "take on the connections of a process: attach PID" },
	{ "detach", cmd_admin, "give them back to the kernel and forget them: detach PID" },
	{ "list", cmd_admin, "all connections: where each is, and why" },
	{ "show", cmd_admin, "show connections, stats, adapters, history, global or rules" },
	{ "offload", cmd_admin, "hand a connection down: offload ID" },
	{ "upload", cmd_admin, "take a connection up again: upload ID" },
	{ "tree", cmd_admin, "the state tree of a connection's last offload: tree ID" },
	{ "query", cmd_admin, "delegated state of an offloaded connection: query ID" },
	{ "set", cmd_admin,
	  "the switch for everybody: set global chimney=automatic|enabled|disabled|manual" },
	{ "add", cmd_admin, "offload a port or a program: add port N, add application NAME" },
	{ "delete", cmd_admin, "take that back: delete port N, delete application NAME" },
	{ "pause", cmd_admin, "no new offloads until resume" },
	{ "resume", cmd_admin, "the end of a pause" },
	{ "upload-all", cmd_admin, "take all connections up" },
	{ "stats", cmd_admin, "counters of the daemon and the target" },
	{ "stop", cmd_admin, "give all connections back and end the daemon" },
};

static int usage(FILE *out)
{
	fprintf(out, "usage: chimney COMMAND [OPTION...]   (chimney COMMAND --help)\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	log_init("chimney");
	/* Under its own name the daemon needs no command. */
	if (!strcmp(name ? name + 1 : argv[0], "chimneyd"))
		return cmd_daemon(argc, argv);
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return usage(stdout);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name)) {
			char full[32];

			snprintf(full, sizeof(full), "chimney %s", commands[i].name);
			argv[1] = full; /* what usage messages call the program */
			return commands[i].run(argc - 1, argv + 1);
		}
	fprintf(stderr, "chimney: '%s' is not a command\n", argv[1]);
	return usage(stderr);
}
