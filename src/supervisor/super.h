/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super.h - run a program under a seccomp user-notification supervisor.
 *
 * The program keeps its process: super_start() is called in it, right before the exec. A
 * background process answers the few calls that a switched descriptor would answer differently
 * (names and options of sockets), and tells the daemon of new connections. It ends with the last
 * process that carries the filter. When it cannot help, a call goes on as if it were not there.
 *
 * Read super_loop.c for what is done with a call.
 */
#ifndef SUPERVISOR_SUPER_H
#define SUPERVISOR_SUPER_H

#include <stddef.h>

#define SUPER_WHY_BYTES 160

/*
 * super_start() - install the filter in this process and start its supervisor.
 * Context:   single-threaded process that is about to exec the program.
 * Ownership: takes daemon_fd, a connection to the daemon's control socket.
 * Returns:   0; -errno with why, and the process is as it was but for no_new_privs, except in the
 *            case -ENOTRECOVERABLE (filter without supervisor: do not run the program).
 */
int super_start(const char *control_path, int daemon_fd, char *why, size_t why_size)
	__attribute__((warn_unused_result));

#endif
