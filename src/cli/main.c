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
	{ "ctl", cmd_ctl,
	  "talk to a running daemon: attach, list, offload, upload, query, stats, stop" },
};

static int usage(FILE *out)
{
	fprintf(out, "usage: chimney COMMAND [OPTION...]   (chimney COMMAND --help)\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
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
