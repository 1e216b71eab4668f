/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * req.h - tie a check to the requirement that it proves.
 *
 * REQ("OFF-08", cond) asserts cond and, when it held, appends the id to the file that the
 * environment variable REQ_LOG names. Only ids of checks that really ran and passed are therefore
 * counted. Include it after cmocka's headers.
 */
#ifndef TESTS_SUPPORT_REQ_H
#define TESTS_SUPPORT_REQ_H

#include <stdio.h>
#include <stdlib.h>

static inline void req_passed(const char *id)
{
	const char *path = getenv("REQ_LOG");
	FILE *f;

	if (!path)
		return;
	f = fopen(path, "a");
	if (!f)
		return;
	fprintf(f, "%s\n", id);
	fclose(f);
}

#define REQ(id, cond)                                                                              \
	do {                                                                                       \
		assert_true(cond);                                                                 \
		req_passed(id);                                                                    \
	} while (0)

#endif
