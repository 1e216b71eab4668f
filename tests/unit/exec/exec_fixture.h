/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_fixture.h - a program with one connection, and that connection moved in and out of it.
 */
#ifndef TESTS_EXEC_FIXTURE_H
#define TESTS_EXEC_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "exec/exec.h"

struct subject {
	pid_t pid;
	int fd_in_pid;
	int tcp;       /* our end of the kernel's connection */
	int kernel_fd; /* the program's kernel socket while it is out, else -1 */
	int stream;    /* our end of the stream pair meanwhile, else -1 */
	struct exec_holders *holders;
	char why[256];
};

/* The end that the program is reached by at present. */
int subject_end(const struct subject *s);

/* Starts exec_prog in a mode, or a Python script that serves one connection on a port it prints. */
void subject_start(struct subject *s, const char *mode);
void subject_start_python(struct subject *s, const char *script);
void subject_find(struct subject *s);
void subject_end_program(struct subject *s);

/* Stop with the retries that -EAGAIN asks for; out and back are whole exchanges. */
void subject_stop(struct subject *s);
void subject_out(struct subject *s);
void subject_back(struct subject *s);

/* Sends a line and requires it back. Readers fail the test after ten seconds of silence. */
void subject_echo(struct subject *s, unsigned int seq);
void subject_line(int fd, char *buf, size_t len);
void subject_stat(struct subject *s, char *buf, size_t len);

/* Waits until thread tid of the program is blocked in system call nr (any if nr < 0). */
void subject_wait_blocked(pid_t pid, pid_t tid, long nr);

#endif
