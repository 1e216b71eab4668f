/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cli.h - the subcommands of chimney; each gets its own argv (argv[0] is its name) and returns an
 * exit status.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

int cmd_demo(int argc, char **argv);
int cmd_daemon(int argc, char **argv);
int cmd_ctl(int argc, char **argv);

#endif
