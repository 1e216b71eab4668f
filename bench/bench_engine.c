/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine alone: two targets joined by memory on one core, and nothing else. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench.h"
#include "bench_ends.h"

enum {
	WINDOW_BYTES = 512 << 10,
	WRITE_BYTES = 64 << 10,
	IN_FLIGHT = 8,            /* writes */
	LIVELY_FLIGHT = 64,       /* exchanges of many connections that run at the same time */
	CLOCK_ROUNDS = 64,        /* between two looks at the clock */
	STEP_ROUNDS_MAX = 100000, /* without a frame: nothing moves any more */
};

static int failed(struct bench_ends *ends, const char *what)
{
	const char *why = bench_ends_wrong(ends);

	fprintf(stderr, "%s: %s\n", what, why ? why : "nothing moves any more");
	return -EIO;
}

static void send_again(struct bench_sock *sock, uint32_t bytes)
{
	(void)bench_send(sock, bytes);
}

static void answer(struct bench_sock *sock, uint32_t bytes)
{
	(void)bench_send(sock, bytes);
}

/* Run for a while; *frames and *bytes of that while. */
static int run_for(struct bench_ends *ends, double seconds, double *frames, double *bytes,
		   double *spent)
{
	struct bench_ends_count before, after;
	uint64_t start = clock_monotonic_us(), now = start;
	unsigned int idle = 0;

	bench_ends_count(ends, &before);
	while (now - start < (uint64_t)(seconds * 1e6)) {
		for (unsigned int i = 0; i < CLOCK_ROUNDS; i++)
			idle = bench_ends_run(ends) ? 0 : idle + 1;
		if (bench_ends_wrong(ends) || idle > STEP_ROUNDS_MAX)
			return failed(ends, "engine");
		now = clock_monotonic_us();
	}
	bench_ends_count(ends, &after);
	*frames = (double)(after.frames - before.frames);
	*bytes = (double)(after.bytes - before.bytes);
	*spent = (double)(now - start) * 1e-6;
	return 0;
}

static int open_offloaded(struct bench_ends **ends, const struct bench_ends_config *config,
			  const struct bench_program *program)
{
	int err = bench_ends_open(ends, config, program);
	int64_t spent;

	if (err) {
		fprintf(stderr, "engine: the stack cannot be made: errno %d\n", -err);
		return err;
	}
	spent = bench_ends_offload(*ends);
	if (spent < 0) {
		(void)failed(*ends, "offload");
		bench_ends_close(*ends);
		return (int)spent;
	}
	return 0;
}

/* One stream in one direction; the first part, whose bytes are all compared, is not timed. */
static int bulk(const struct bench_ends_config *config, double seconds, bool bits, double *figure)
{
	static const struct bench_program program = { .acked = send_again };
	struct bench_ends_count count = { 0 };
	double frames, bytes, spent;
	struct bench_ends *ends;
	int err = open_offloaded(&ends, config, &program);

	if (err)
		return err;
	for (unsigned int i = 0; i < IN_FLIGHT; i++)
		(void)bench_send(bench_ends_sock(ends, 0, 0), WRITE_BYTES);
	while (err == 0 && count.bytes < BENCH_CHECK_ALL) {
		err = run_for(ends, 0.001, &frames, &bytes, &spent);
		bench_ends_count(ends, &count);
	}
	if (err == 0)
		err = run_for(ends, seconds, &frames, &bytes, &spent);
	if (err == 0)
		*figure = bits ? bytes * 8e-9 / spent : frames * 1e-6 / spent;
	bench_ends_close(ends);
	return err;
}

static int engine_bulk(double seconds, double *figure)
{
	return bulk(&(struct bench_ends_config){ .conns = 1,
						 .mtu_bytes = 1500,
						 .window_bytes = WINDOW_BYTES },
		    seconds, false, figure);
}

static int engine_bulk_csum(double seconds, double *figure)
{
	return bulk(
		&(struct bench_ends_config){
			.conns = 1, .mtu_bytes = 1500, .csum = true, .window_bytes = WINDOW_BYTES },
		seconds, false, figure);
}

static int engine_super(double seconds, double *figure)
{
	return bulk(
		&(struct bench_ends_config){
			.conns = 1, .mtu_bytes = 1500, .tso = true, .window_bytes = WINDOW_BYTES },
		seconds, true, figure);
}

/* One byte there, one byte back; flight connections of conns at the same time. */
static int exchange(const struct bench_ends_config *config, uint32_t flight, double seconds,
		    bool per_frame, double *figure)
{
	static const struct bench_program program = { .received = answer };
	double frames, bytes, spent;
	struct bench_ends *ends;
	uint32_t step = config->conns / flight;
	int err = open_offloaded(&ends, config, &program);

	if (err)
		return err;
	for (uint32_t i = 0; i < flight; i++)
		(void)bench_send(bench_ends_sock(ends, i * step, 0), 1);
	err = run_for(ends, seconds, &frames, &bytes, &spent);
	if (err == 0)
		*figure = per_frame ? spent * 1e9 / frames : frames * 1e-6 / spent;
	bench_ends_close(ends);
	return err;
}

static int engine_exchange(double seconds, double *figure)
{
	return exchange(&(struct bench_ends_config){ .conns = 1,
						     .mtu_bytes = 1500,
						     .window_bytes = WINDOW_BYTES },
			1, seconds, false, figure);
}

static int engine_exchange_csum(double seconds, double *figure)
{
	return exchange(
		&(struct bench_ends_config){
			.conns = 1, .mtu_bytes = 1500, .csum = true, .window_bytes = WINDOW_BYTES },
		1, seconds, false, figure);
}

/*
 * Many connections, a single exchange on each in an order that no prefetcher guesses: what a
 * segment costs when its connection is in no cache. The whole set is walked once a sample or more
 * often.
 */
static const double WARM_UP_S = 1.0;
static uint32_t walk_next, walk_conns;

static void answer_or_walk(struct bench_sock *sock, uint32_t bytes)
{
	if (sock->side == 1) {
		(void)bench_send(sock, bytes);
		return;
	}
	/* a full cycle: the multiplier is 1 modulo 4, the increment odd, the modulus a power of 2 */
	walk_next = (walk_next * 1664525u + 1013904223u) & (walk_conns - 1);
	(void)bench_send(bench_ends_sock(sock->ends, walk_next, 0), bytes);
}

static int walk(uint32_t conns, double seconds, double *figure)
{
	static const struct bench_program program = { .received = answer_or_walk };
	const struct bench_ends_config config = { .conns = conns,
						  .mtu_bytes = 1500,
						  .window_bytes = 64 << 10 };
	double frames, bytes, spent;
	struct bench_ends *ends;
	int err = open_offloaded(&ends, &config, &program);

	if (err)
		return err;
	walk_next = 0;
	walk_conns = conns;
	for (uint32_t i = 0; i < LIVELY_FLIGHT; i++)
		(void)bench_send(bench_ends_sock(ends, i * (conns / LIVELY_FLIGHT), 0), 1);
	/*
	 * Not timed: the first touch of every page that a delayed acknowledgment's worth of data
	 * takes.
	 */
	err = run_for(ends, WARM_UP_S, &frames, &bytes, &spent);
	if (err == 0)
		err = run_for(ends, seconds, &frames, &bytes, &spent);
	if (err == 0)
		*figure = spent * 1e9 / frames;
	bench_ends_close(ends);
	return err;
}

static int walk_1k(double seconds, double *figure)
{
	return walk(1 << 10, seconds, figure);
}

static int walk_128k(double seconds, double *figure)
{
	return walk(1 << 17, seconds, figure);
}

static int walk_1m(double seconds, double *figure)
{
	return walk(1 << 20, seconds, figure);
}

const struct bench_case bench_engine_cases[] = {
	{ "engine-bulk", "two engines joined by memory, one core, 1448-byte segments, no checksum",
	  "M frames/s", false, engine_bulk, NULL, NULL },
	{ "engine-bulk-csum", "the same, each engine makes and verifies checksums", "M frames/s",
	  false, engine_bulk_csum, BENCH_LWIP(bench_lwip_bulk) },
	{ "engine-super", "the same with 64 KiB super-frames, no checksum", "Gbit/s", false,
	  engine_super, NULL, NULL },
	{ "engine-exchange", "one byte there, one byte back, no checksum", "M frames/s", false,
	  engine_exchange, NULL, NULL },
	{ "engine-exchange-csum", "the same with checksums", "M frames/s", false,
	  engine_exchange_csum, BENCH_LWIP(bench_lwip_exchange) },
	{ "scale-128k", "random flows among 131072 connections against 1024", "ns/frame", true,
	  walk_128k, "1024 connections", walk_1k },
	{ "scale-1m", "random flows among 1048576 connections against 1024", "ns/frame", true,
	  walk_1m, "1024 connections", walk_1k },
};
const size_t bench_engine_case_count = sizeof(bench_engine_cases) / sizeof(bench_engine_cases[0]);
