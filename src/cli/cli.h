/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cli.h - the subcommands of chimney; each gets its own argv (argv[0] is its name) and returns an
 * exit status.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

int cmd_demo(int argc, char **argv);
int cmd_daemon(int argc, char **argv);
/* Any operation of a running daemon: attach, list, show ... */
int cmd_admin(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_certify(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* cli_prometheus_print() - the numbers of an answer of the daemon, as Prometheus reads them. */
struct json_t;
void cli_prometheus_print(FILE *out, struct json_t *stats);

#define CLI_CONTROL_PATH "/run/chimney.sock"

#endif
