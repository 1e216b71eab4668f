/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_ctl.h - the demo as a client of the daemon: requests with tags, answers as they come.
 */
#ifndef DEMO_DEMO_CTL_H
#define DEMO_DEMO_CTL_H

#include <jansson.h>
#include <stdint.h>

/*
 * demo_ctl_ask() - send a request (takes msg's reference) under a tag of its own choosing; returns
 * the tag or -errno.
 */
int64_t demo_ctl_ask(int fd, const char *op, json_t *args);

/*
 * demo_ctl_call() - ask and wait for this answer; other answers that arrive meanwhile are kept for
 * demo_ctl_next(). Returns the answer (caller owns) or NULL with a message on stderr.
 */
json_t *demo_ctl_call(int fd, const char *op, json_t *args);

/*
 * demo_ctl_next() - the next answer, waiting at most timeout_ms; NULL when none came or the daemon
 * is gone (*err).
 */
json_t *demo_ctl_next(int fd, int timeout_ms, int *err);

#endif
