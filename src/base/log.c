/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *log_program = "chimney";
static enum log_level log_limit = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",   [LOG_LEVEL_WARN] = "warning", [LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
};

void log_init(const char *program)
{
	const char *want = getenv("CHIMNEY_LOG");

	log_program = program;
	for (int i = 0; want && i <= LOG_LEVEL_TRACE; i++)
		if (!strcmp(want, level_names[i]))
			log_limit = (enum log_level)i;
}

void log_set_level(enum log_level level)
{
	log_limit = level;
}

int log_enabled(enum log_level level)
{
	return level <= log_limit;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		fprintf(stderr, "%s: %s: %s\n", log_program, level_names[level], line);
}
