/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_bench.c - what a stop, an exchange and a resume cost: exec_bench [ROUNDS].
 *
 * One program with one thread, one with eight, both waiting in epoll; medians in microseconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exec_fixture.h"

#define MAX_ROUNDS 10000

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static unsigned int nrounds = 500;

static void bench(const char *mode, int threads)
{
	static double v[5][2 * MAX_ROUNDS];
	struct exec_times t;
	struct subject s;
	unsigned int i, n = 0;

	subject_start(&s, mode);
	subject_echo(&s, 0);
	subject_find(&s);
	for (i = 0; i < 2 * nrounds; i++) {
		if (i & 1)
			subject_back(&s);
		else
			subject_out(&s);
		exec_times(s.holders, &t);
		v[0][n] = t.check_us;
		v[1][n] = t.stop_us;
		v[2][n] = t.exchange_us;
		v[3][n] = t.resume_us;
		v[4][n++] = t.frozen_us;
		subject_echo(&s, i);
	}
	subject_end_program(&s);
	print_message("%d thread%s, %u exchanges, median us: check %.1f, stop %.1f, exchange %.1f, "
		      "resume %.1f, "
		      "frozen %.1f\n",
		      threads, threads > 1 ? "s" : "", n, median(v[0], n), median(v[1], n),
		      median(v[2], n), median(v[3], n), median(v[4], n));
}

static void bench_one(void **state)
{
	(void)state;
	bench("epoll", 1);
}

static void bench_eight(void **state)
{
	(void)state;
	bench("threads", 8);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bench_one),
					    cmocka_unit_test(bench_eight) };

	if (argc > 1)
		nrounds = (unsigned int)strtoul(argv[1], NULL, 0);
	if (nrounds == 0 || nrounds > MAX_ROUNDS)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
