/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - one measurement: a figure of ours and, where there is somebody to compare with, the
 * same figure of a peer, taken in turns in one run.
 *
 * A case gives one sample a call. A sample is short (about a tenth of a second), so that ours and
 * the peer's fall into the same mood of the machine; what is compared is the ratio of neighbours,
 * never two absolute figures.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * bench_sample_fn - 0 and a figure, or -errno after a message on stderr. seconds is how long it
 * should take.
 */
typedef int bench_sample_fn(double seconds, double *figure);

struct bench_case {
	const char *name;
	const char *what; /* one line */
	const char *unit;
	bool less_is_better;
	bench_sample_fn *ours;
	const char *peer_name; /* NULL: there is no peer */
	bench_sample_fn *peer;
};

extern const struct bench_case bench_engine_cases[];
extern const size_t bench_engine_case_count;
extern const struct bench_case bench_handover_cases[];
extern const size_t bench_handover_case_count;
extern const struct bench_case bench_path_cases[];
extern const size_t bench_path_case_count;

/* Peers of the engine's cases, where they were there at build time. */
#ifdef BENCH_HAVE_LWIP
bench_sample_fn bench_lwip_bulk, bench_lwip_exchange;
#define BENCH_LWIP(fn) "lwIP of the distribution", fn
#else
#define BENCH_LWIP(fn) NULL, NULL
#endif

#endif
