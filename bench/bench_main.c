/* SPDX-License-Identifier: BSD-2-Clause */
/* chimney-bench: runs cases, ours and the peer's in turns, prints medians and ratios. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench.h"

enum { REPEATS_MAX = 99, REPEATS = 7, REPEATS_QUICK = 5, ALU_ROUNDS = 2000000 };

struct options {
	bool json, list;
	int repeats;
	double seconds; /* of one sample */
};

struct result {
	int count;
	double ours[REPEATS_MAX], peer[REPEATS_MAX], ratio[REPEATS_MAX];
	double alu_ns
		[REPEATS_MAX]; /* a fixed piece of arithmetic: how fast the core was just then */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *values, int count, double q)
{
	double sorted[REPEATS_MAX];

	memcpy(sorted, values, sizeof(double) * (size_t)count);
	qsort(sorted, (size_t)count, sizeof(double), by_value);
	return sorted[(int)lrint(q * (count - 1))];
}

static double alu_ns(void)
{
	volatile uint64_t x = 88172645463325252ull;
	uint64_t start = clock_monotonic_us();

	for (int i = 0; i < ALU_ROUNDS; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(clock_monotonic_us() - start) * 1e3 / ALU_ROUNDS;
}

/* The order changes from repetition to repetition: neither side always comes after a pause. */
static int one_repeat(const struct bench_case *bench, const struct options *options, int i,
		      struct result *result)
{
	int err = 0;

	result->alu_ns[i] = alu_ns();
	if (bench->peer && i % 2)
		err = bench->peer(options->seconds, &result->peer[i]);
	if (err == 0)
		err = bench->ours(options->seconds, &result->ours[i]);
	if (err == 0 && bench->peer && i % 2 == 0)
		err = bench->peer(options->seconds, &result->peer[i]);
	if (err == 0 && bench->peer)
		result->ratio[i] = result->ours[i] / result->peer[i];
	return err;
}

static void print_text(const struct bench_case *bench, const struct result *r)
{
	printf("%-22s %10.2f %-14s", bench->name, quantile(r->ours, r->count, 0.5), bench->unit);
	if (bench->peer)
		printf(" %10.2f %-24s x%.2f (%.2f-%.2f)", quantile(r->peer, r->count, 0.5),
		       bench->peer_name, quantile(r->ratio, r->count, 0.5),
		       quantile(r->ratio, r->count, 0), quantile(r->ratio, r->count, 1));
	else
		printf("  (%.2f-%.2f)", quantile(r->ours, r->count, 0),
		       quantile(r->ours, r->count, 1));
	printf("\n");
	fflush(stdout);
}

static json_t *array_of(const double *values, int count)
{
	json_t *array = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(array, json_real(values[i]));
	return array;
}

static json_t *spread(const double *values, int count)
{
	return json_pack("{s:f,s:f,s:f}", "median", quantile(values, count, 0.5), "min",
			 quantile(values, count, 0), "max", quantile(values, count, 1));
}

static json_t *as_json(const struct bench_case *bench, const struct result *r)
{
	json_t *object =
		json_pack("{s:s,s:s,s:o,s:o,s:o}", "name", bench->name, "unit", bench->unit, "ours",
			  spread(r->ours, r->count), "samples", array_of(r->ours, r->count),
			  "regime", json_pack("{s:o}", "alu_ns", spread(r->alu_ns, r->count)));

	if (bench->peer) {
		json_object_set_new(object, "peer_name", json_string(bench->peer_name));
		json_object_set_new(object, "peer", spread(r->peer, r->count));
		json_object_set_new(object, "peer_samples", array_of(r->peer, r->count));
		json_object_set_new(object, "ratio", spread(r->ratio, r->count));
	}
	return object;
}

static int run_case(const struct bench_case *bench, const struct options *options, json_t *out)
{
	static struct result result;
	int err = 0;

	memset(&result, 0, sizeof(result));
	for (int i = 0; i < options->repeats && err == 0; i++) {
		err = one_repeat(bench, options, i, &result);
		result.count = i + 1;
	}
	if (err) {
		fprintf(stderr, "%s failed: %s\n", bench->name, strerror(-err));
		return err;
	}
	if (options->json)
		json_array_append_new(out, as_json(bench, &result));
	else
		print_text(bench, &result);
	return 0;
}

struct group {
	const struct bench_case *cases;
	size_t count;
};

static int run_named(const struct group *groups, size_t group_count, const char *name,
		     const struct options *options, json_t *out)
{
	int err = name ? -ENOENT : 0;

	for (size_t g = 0; g < group_count; g++) {
		for (size_t i = 0; i < groups[g].count; i++) {
			const struct bench_case *bench = &groups[g].cases[i];
			int one = 0;

			if (name && strcmp(name, bench->name) != 0)
				continue;
			if (options->list)
				printf("%-22s %s [%s]\n", bench->name, bench->what, bench->unit);
			else
				one = run_case(bench, options, out);
			err = name ? one : err ? err : one;
		}
	}
	return err;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: chimney-bench [--list] [--quick] [--json] [--repeats N] [NAME...]\n"
		    "Each figure is a median of N samples (7; 5 with --quick). A figure with a "
		    "peer is taken in turns\n"
		    "with the peer's; the ratio is that of neighbours, with the least and the "
		    "greatest in brackets.\n");
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "list", no_argument, NULL, 'l' }, { "quick", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' }, { "repeats", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	char *end;
	int c;

	*options = (struct options){ .repeats = REPEATS, .seconds = 0.2 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'l':
			options->list = true;
			break;
		case 'q':
			options->repeats = REPEATS_QUICK;
			options->seconds = 0.05;
			break;
		case 'j':
			options->json = true;
			break;
		case 'r':
			options->repeats = (int)strtol(optarg, &end, 10);
			if (*end || options->repeats < 1 || options->repeats > REPEATS_MAX) {
				fprintf(stderr,
					"chimney-bench: --repeats %s: give a number from 1 to %d\n",
					optarg, REPEATS_MAX);
				return 2;
			}
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return 2;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct group groups[] = {
		{ bench_engine_cases, bench_engine_case_count },
		{ bench_handover_cases, bench_handover_case_count },
		{ bench_path_cases, bench_path_case_count },
	};
	size_t group_count = sizeof(groups) / sizeof(groups[0]);
	struct options options;
	json_t *out = json_array();
	int err = parse(argc, argv, &options);

	if (err)
		return err;
	if (optind == argc)
		err = run_named(groups, group_count, NULL, &options, out);
	for (int i = optind; i < argc && err == 0; i++) {
		err = run_named(groups, group_count, argv[i], &options, out);
		if (err == -ENOENT)
			fprintf(stderr,
				"chimney-bench: no measurement is called %s; --list names them\n",
				argv[i]);
	}
	if (options.json && err == 0) {
		json_dumpf(out, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
		printf("\n");
	}
	json_decref(out);
	return err ? 1 : 0;
}
