/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_trace.h - what happened in a simulated run: one number that is equal for equal runs, and the
 * last lines in words for the reader of a failure.
 */
#ifndef SIM_SIM_TRACE_H
#define SIM_SIM_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "nic/nic_sim_frame.h"

#define SIM_TRACE_LINES      400
#define SIM_TRACE_NOTE_BYTES 120

struct sim_trace_line {
	uint64_t at_us;
	const char *node; /* NULL: a note */
	enum nic_sim_fate fate;
	uint32_t len;
	struct nic_sim_view view; /* numbers only; the pointers are dead */
	char note[SIM_TRACE_NOTE_BYTES];
};

struct sim_trace {
	uint64_t hash;  /* over every frame, what befell it, and when; over every note */
	uint64_t lines; /* all lines so far; the last SIM_TRACE_LINES are kept */
	FILE *echo;     /* print each line as it comes; NULL: only on request */
	struct sim_trace_line ring[SIM_TRACE_LINES];
};

void sim_trace_init(struct sim_trace *trace);
void sim_trace_frame(struct sim_trace *trace, uint64_t now_us, const char *node,
		     enum nic_sim_fate fate, const struct nic_sim_packet *packet);
void sim_trace_note(struct sim_trace *trace, uint64_t now_us, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* sim_trace_dump() - print the last count lines, oldest first. */
void sim_trace_dump(const struct sim_trace *trace, FILE *out, unsigned int count);

#endif
