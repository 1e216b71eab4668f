/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fact.h - what the programs of this folder share: each proves one behaviour of the kernel that the
 * host stack stands on, says it in words, and exits 0 (so it is), 1 (it is not so) or 77 (cannot
 * be tried here, with the reason).
 */
#ifndef TESTS_KERNEL_FACT_H
#define TESTS_KERNEL_FACT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACT_WAIT_MS 5000 /* longest wait for something that must happen */

/* fact() - the statement in words, checked. */
#define fact(cond, ...)                                                                            \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("NOT SO: ");                                                        \
			printf(__VA_ARGS__);                                                       \
			printf(" (%s:%d: %s; errno %d)\n", __FILE__, __LINE__, #cond, errno);      \
			exit(1);                                                                   \
		}                                                                                  \
		printf("fact: ");                                                                  \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
	} while (0)

/* must() - a step on the way that is no statement of its own. */
#define must(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("step failed: %s:%d: %s; errno %d (%s)\n", __FILE__, __LINE__,      \
			       #cond, errno, strerror(errno));                                     \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* As must(), for calls that return 0 or -errno. */
#define must_ok(call)                                                                              \
	do {                                                                                       \
		int must_err_ = (call);                                                            \
                                                                                                   \
		if (must_err_ < 0) {                                                               \
			printf("step failed: %s:%d: %s: %s\n", __FILE__, __LINE__, #call,          \
			       strerror(-must_err_));                                              \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define fact_skip(...)                                                                             \
	do {                                                                                       \
		printf("skipped: ");                                                               \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		exit(77);                                                                          \
	} while (0)

#endif
