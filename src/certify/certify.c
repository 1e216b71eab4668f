/* SPDX-License-Identifier: BSD-2-Clause */
#include "certify/certify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "certify/certify_case.h"
#include "ndis/nrt_module.h"

#define IDS_MAX      256u
#define ID_BYTES     8
#define WHY_BYTES    200
#define CASE_LIMIT_S 30u

struct verdict {
	char id[ID_BYTES];
	unsigned int passed, failed, skipped;
	const char *case_name; /* of the first failure */
	char why[WHY_BYTES];   /* of it; or what a target does not announce */
	char *trace;           /* what led to it; NULL: none */
};

struct report {
	struct verdict verdicts[IDS_MAX];
	unsigned int count;
	unsigned int failed;
};

static struct verdict *verdict_of(struct report *report, const char *id)
{
	unsigned int i;

	for (i = 0; i < report->count; i++)
		if (!strcmp(report->verdicts[i].id, id))
			return &report->verdicts[i];
	if (report->count == IDS_MAX)
		return NULL;
	snprintf(report->verdicts[i].id, ID_BYTES, "%s", id);
	report->count++;
	return &report->verdicts[i];
}

/* ---- in the process of a case ---- */

static struct cert *running;

static void on_abort(int signal)
{
	(void)signal;
	if (running && running->world)
		sim_trace_dump(&running->world->trace, stderr, CERT_TRACE_LINES);
	fflush(NULL);
	_exit(128);
}

static void run_case(const struct cert_case *one, const char *path, FILE *results)
{
	struct cert c = { .results = results };
	char why[512] = "";

	setvbuf(results, NULL, _IOLBF, 0);
	signal(SIGABRT, on_abort);
	alarm(CASE_LIMIT_S);
	running = &c;
	c.ids = one->ids;
	if (path && nrt_module_load(path, NRT_MODULE_TARGET, &c.module, why, sizeof(why))) {
		fprintf(results, "F %.6s %s\n", one->ids, why);
		_exit(1);
	}
	one->run(&c);
	if (!c.failed || c.wire.broken_id)
		cert_close(&c);
	if (c.failed && c.world)
		sim_trace_dump(&c.world->trace, stderr, CERT_TRACE_LINES);
	if (!c.failed)
		nrt_module_unload(c.module);
	fflush(NULL);
	_exit(0);
}

/* ---- in the process that reports ---- */

static char *read_all(int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)bytes + 1);

	if (text && pread(fd, text, (size_t)bytes, 0) != bytes)
		*text = 0;
	return text;
}

static void take_line(struct report *report, const struct cert_case *one, char *line,
		      const char *trace)
{
	struct verdict *v;

	if (strlen(line) < 9)
		return;
	line[8] = 0;
	v = verdict_of(report, line + 2);
	if (!v)
		return;
	if (line[0] == 'P') {
		v->passed++;
		return;
	}
	if (line[0] == 'N') {
		v->skipped++;
		if (!v->failed)
			snprintf(v->why, sizeof(v->why), "%s", line + 9);
		return;
	}
	if (!v->failed++) {
		report->failed++;
		v->case_name = one->name;
		snprintf(v->why, sizeof(v->why), "%s", line + 9);
		v->trace = trace && *trace ? strdup(trace) : NULL;
	}
}

static void take_results(struct report *report, const struct cert_case *one, int results, int log,
			 int status)
{
	char *text = read_all(results), *trace = read_all(log), *line, *rest = NULL;
	bool crashed = !WIFEXITED(status) || WEXITSTATUS(status) == 128;
	char end[WHY_BYTES];

	for (line = text ? strtok_r(text, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest))
		take_line(report, one, line, trace);
	if (crashed) {
		snprintf(end, sizeof(end), "F %.6s %s", one->ids,
			 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM
				 ? "the case came to no end"
				 : "the process was ended: the driver broke a rule of NDIS (see "
				   "the trace)");
		take_line(report, one, end, trace);
	}
	free(text);
	free(trace);
}

static int try_case(struct report *report, const struct cert_case *one, const char *path)
{
	int results = memfd_create("results", MFD_CLOEXEC), log = memfd_create("log", MFD_CLOEXEC);
	int status = 0;
	pid_t pid;

	if (results < 0 || log < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(log, STDERR_FILENO);
		run_case(one, path, fdopen(results, "w"));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	take_results(report, one, results, log, status);
	close(results);
	close(log);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct verdict *)a)->id, ((const struct verdict *)b)->id);
}

/* A requirement that any check could be made of is not skipped. */
static const char *verdict_name(const struct verdict *v)
{
	return v->failed ? "failed" : v->passed ? "passed" : "not applicable";
}

static bool is_skipped(const struct verdict *v)
{
	return !v->failed && !v->passed;
}

static unsigned int count_skipped(const struct report *report)
{
	unsigned int i, count = 0;

	for (i = 0; i < report->count; i++)
		count += is_skipped(&report->verdicts[i]);
	return count;
}

static void print_passed(const struct report *report)
{
	unsigned int i, printed = 0;

	printf("passed:");
	for (i = 0; i < report->count; i++)
		if (report->verdicts[i].passed && !report->verdicts[i].failed)
			printf("%s%s", printed++ % 10 ? " " : "\n  ", report->verdicts[i].id);
	printf("\n");
}

static void print_text(const struct report *report, const char *name)
{
	unsigned int i, skipped = count_skipped(report);

	for (i = 0; i < report->count; i++) {
		const struct verdict *v = &report->verdicts[i];

		if (!v->failed)
			continue;
		printf("%s FAILED in \"%s\": %s\n", v->id, v->case_name, v->why);
		if (v->trace)
			printf("%s\n", v->trace);
	}
	print_passed(report);
	if (skipped)
		printf("not applicable:\n");
	for (i = 0; i < report->count; i++)
		if (is_skipped(&report->verdicts[i]))
			printf("  %s %s\n", report->verdicts[i].id, report->verdicts[i].why);
	printf("%s: %u requirements checked in %u cases, %u failed, %u not applicable\n", name,
	       report->count - skipped, cert_case_count, report->failed, skipped);
}

static void print_json(const struct report *report, const char *name)
{
	json_t *rows = json_array(), *all;
	unsigned int i;

	for (i = 0; i < report->count; i++) {
		const struct verdict *v = &report->verdicts[i];
		json_t *row = json_pack("{s:s, s:s}", "id", v->id, "verdict", verdict_name(v));

		if (is_skipped(v))
			json_object_set_new(row, "why", json_string(v->why));
		if (v->failed) {
			json_object_set_new(row, "case", json_string(v->case_name));
			json_object_set_new(row, "why", json_string(v->why));
			json_object_set_new(row, "trace", json_string(v->trace ? v->trace : ""));
		}
		json_array_append_new(rows, row);
	}
	all = json_pack("{s:s, s:i, s:i, s:i, s:o}", "target", name, "checked",
			(int)(report->count - count_skipped(report)), "failed", (int)report->failed,
			"not_applicable", (int)count_skipped(report), "requirements", rows);
	json_dumpf(all, stdout, JSON_INDENT(1));
	printf("\n");
	json_decref(all);
}

int certify_main(const char *path, bool json)
{
	static struct report report;
	const char *name = path ? path : "the built-in target";
	unsigned int i;
	int err = 0;

	for (i = 0; i < cert_case_count && !err; i++)
		err = try_case(&report, &cert_cases[i], path);
	if (err) {
		fprintf(stderr, "chimney certify: %s\n", strerror(-err));
		return 2;
	}
	qsort(report.verdicts, report.count, sizeof(report.verdicts[0]), compare);
	if (json)
		print_json(&report, name);
	else
		print_text(&report, name);
	for (i = 0; i < report.count; i++)
		free(report.verdicts[i].trace);
	return report.failed > 0;
}
