/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters as Prometheus reads them: a name and a number a line, with labels where there are kinds. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* A label's value: quoted, with what would end it escaped. */
static void print_label(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(isprint((unsigned char)*text) ? *text : '?', out);
	}
	fputc('"', out);
}

static void print_kinds(FILE *out, const char *key, json_t *kinds)
{
	const char *kind;
	json_t *value;

	fprintf(out, "# TYPE chimney_%s_total counter\n", key);
	json_object_foreach(kinds, kind, value)
	{
		if (!json_is_integer(value))
			continue;
		fprintf(out, "chimney_%s_total{kind=", key);
		print_label(out, kind);
		fprintf(out, "} %lld\n", (long long)json_integer_value(value));
	}
}

void cli_prometheus_print(FILE *out, json_t *stats)
{
	const char *key;
	json_t *value;

	json_object_foreach(stats, key, value)
	{
		if (json_is_object(value))
			print_kinds(out, key, value);
		else if (json_is_integer(value) && strcmp(key, "tag") != 0)
			fprintf(out, "# TYPE chimney_%s_total counter\nchimney_%s_total %lld\n",
				key, key, (long long)json_integer_value(value));
	}
}
