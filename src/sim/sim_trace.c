/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_trace.h"

#include <stdarg.h>
#include <string.h>

#include "sim/sim_pattern.h"

void sim_trace_init(struct sim_trace *trace)
{
	memset(trace, 0, sizeof(*trace));
	trace->hash = SIM_HASH_START;
}

static void print_line(const struct sim_trace_line *line, FILE *out)
{
	const struct nic_sim_view *view = &line->view;
	char flags[9] = "";
	unsigned int i, n = 0;

	fprintf(out, "%10llu.%06llu ", (unsigned long long)(line->at_us / 1000000),
		(unsigned long long)(line->at_us % 1000000));
	if (!line->node) {
		fprintf(out, "-- %s\n", line->note);
		return;
	}
	for (i = 0; i < 8; i++) {
		if (view->flags & (1u << i))
			flags[n++] = "FSRPAUEC"[i];
	}
	flags[n] = '\0';
	fprintf(out, "%-8s %-10s ", line->node, nic_sim_fate_name(line->fate));
	if (view->ip_version == 0) {
		fprintf(out, "%u bytes, not TCP\n", line->len);
		return;
	}
	fprintf(out, "%u>%u %s seq %u+%u ack %u win %u", view->src_port, view->dst_port, flags,
		view->seq, view->payload_len, view->ack, view->window);
	if (view->has_ts)
		fprintf(out, " ts %u/%u", view->ts_val, view->ts_ecr);
	fputc('\n', out);
}

static struct sim_trace_line *next_line(struct sim_trace *trace, uint64_t now_us)
{
	struct sim_trace_line *line = &trace->ring[trace->lines++ % SIM_TRACE_LINES];

	line->at_us = now_us;
	line->node = NULL;
	trace->hash = sim_mix(trace->hash, &now_us, sizeof(now_us));
	return line;
}

void sim_trace_frame(struct sim_trace *trace, uint64_t now_us, const char *node,
		     enum nic_sim_fate fate, const struct nic_sim_packet *packet)
{
	struct sim_trace_line *line = next_line(trace, now_us);
	uint32_t kind = (uint32_t)fate;

	line->node = node;
	line->fate = fate;
	line->len = packet->len;
	if (!nic_sim_view(packet->data, packet->len, &line->view))
		line->view.ip_version = 0;
	trace->hash = sim_mix(trace->hash, node, strlen(node));
	trace->hash = sim_mix(trace->hash, &kind, sizeof(kind));
	trace->hash = sim_mix(trace->hash, packet->data, packet->len);
	if (trace->echo)
		print_line(line, trace->echo);
}

void sim_trace_note(struct sim_trace *trace, uint64_t now_us, const char *fmt, ...)
{
	struct sim_trace_line *line = next_line(trace, now_us);
	va_list args;

	va_start(args, fmt);
	vsnprintf(line->note, sizeof(line->note), fmt, args);
	va_end(args);
	trace->hash = sim_mix(trace->hash, line->note, strlen(line->note));
	if (trace->echo)
		print_line(line, trace->echo);
}

void sim_trace_dump(const struct sim_trace *trace, FILE *out, unsigned int count)
{
	uint64_t kept = trace->lines < SIM_TRACE_LINES ? trace->lines : SIM_TRACE_LINES;
	uint64_t at = trace->lines - (count < kept ? count : kept);

	for (; at < trace->lines; at++)
		print_line(&trace->ring[at % SIM_TRACE_LINES], out);
}
