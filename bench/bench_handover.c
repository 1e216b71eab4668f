/* SPDX-License-Identifier: BSD-2-Clause */
/* What it costs to go down and to come up, at the target's side of the interface. */
#include <stdio.h>

#include "bench.h"
#include "bench_ends.h"
#include "ndis/nrt_verify.h"

enum { CONNS = 10000 };

/* Nanoseconds a connection from the call to the completion, all in one tree. */
static int move(unsigned int passthru, bool down, double *figure)
{
	static const struct bench_program program = { 0 };
	const struct bench_ends_config config = {
		.conns = CONNS, .mtu_bytes = 1500, .window_bytes = 64 << 10, .passthru = passthru
	};
	struct bench_ends *ends;
	int64_t spent_us;
	int err = bench_ends_open(&ends, &config, &program);

	if (err) {
		fprintf(stderr, "hand-over: the stack cannot be made: errno %d\n", -err);
		return err;
	}
	spent_us = bench_ends_offload(ends);
	if (spent_us >= 0 && !down)
		spent_us = bench_ends_upload(ends);
	if (spent_us < 0)
		fprintf(stderr, "hand-over: %s\n", bench_ends_wrong(ends));
	else
		*figure = (double)spent_us * 1e3 / (2.0 * CONNS);
	bench_ends_close(ends);
	return spent_us < 0 ? (int)spent_us : 0;
}

static int offload_tree(double seconds, double *figure)
{
	(void)seconds;
	return move(0, true, figure);
}

static int upload_tree(double seconds, double *figure)
{
	(void)seconds;
	return move(0, false, figure);
}

static int offload_through_two(double seconds, double *figure)
{
	(void)seconds;
	return move(2, true, figure);
}

static int upload_through_two(double seconds, double *figure)
{
	(void)seconds;
	return move(2, false, figure);
}

static int offload_verified(double seconds, double *figure)
{
	int err;

	(void)seconds;
	nrt_verify_enable(NRT_VERIFY_LOG);
	err = move(0, true, figure);
	nrt_verify_enable(NRT_VERIFY_OFF);
	return err;
}

static int upload_verified(double seconds, double *figure)
{
	int err;

	(void)seconds;
	nrt_verify_enable(NRT_VERIFY_LOG);
	err = move(0, false, figure);
	nrt_verify_enable(NRT_VERIFY_OFF);
	return err;
}

const struct bench_case bench_handover_cases[] = {
	{ "offload-tree", "NdisInitiateOffload to completion, 10000 connections in one tree",
	  "ns/connection", true, offload_tree, NULL, NULL },
	{ "upload-tree", "NdisTerminateOffload to completion, the same tree", "ns/connection", true,
	  upload_tree, NULL, NULL },
	{ "offload-tree-2im", "offload through two intermediate drivers against none",
	  "ns/connection", true, offload_through_two, "no intermediate driver", offload_tree },
	{ "upload-tree-2im", "upload through two intermediate drivers against none",
	  "ns/connection", true, upload_through_two, "no intermediate driver", upload_tree },
	{ "offload-tree-verify", "offload with the driver verifier on against off", "ns/connection",
	  true, offload_verified, "verifier off", offload_tree },
	{ "upload-tree-verify", "upload with the driver verifier on against off", "ns/connection",
	  true, upload_verified, "verifier off", upload_tree },
};
const size_t bench_handover_case_count =
	sizeof(bench_handover_cases) / sizeof(bench_handover_cases[0]);
