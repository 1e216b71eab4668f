/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo/demo.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const phase_names[DEMO_PHASES] = {
	[DEMO_HOST_1] = "host",          [DEMO_CHIMNEY_1] = "offloaded",
	[DEMO_HOST_2] = "host again",    [DEMO_CHIMNEY_2] = "offloaded again",
	[DEMO_HOST_3] = "host, closing", [DEMO_CHIMNEY_3] = "offloaded, closing",
};

bool demo_account_good(const struct demo_account *a)
{
	return a->connections && a->matched == a->connections && !a->broken && !a->peer_resets &&
	       !a->wire_resets && a->offloads == 2 * a->connections &&
	       a->uploads == 2 * a->connections && a->closed_offloaded == a->connections / 2 &&
	       (!a->python_used || a->python_ok);
}

static void print_bytes(char *out, size_t size, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
	double value = (double)bytes;
	int u = 0;

	while (value >= 1024 && u < 3) {
		value /= 1024;
		u++;
	}
	snprintf(out, size, u ? "%.1f %s" : "%.0f %s", value, units[u]);
}

static const char *print_quantiles(char *out, size_t size, const struct demo_quantiles *q)
{
	out[0] = 0;
	if (q->count)
		snprintf(out, size, "%" PRIu64 " / %" PRIu64, q->p50_us, q->p99_us);
	return out;
}

static void print_phase(FILE *out, enum demo_phase p, const struct demo_phase_account *a)
{
	char bytes[32], enter[40], frozen[40];

	print_bytes(bytes, sizeof(bytes), a->bytes);
	fprintf(out, "  %-20s %10s %10" PRIu64 " %8" PRIu64 "   %15s %15s %10.1f\n", phase_names[p],
		bytes, a->segments, a->retransmits,
		print_quantiles(enter, sizeof(enter), &a->enter),
		print_quantiles(frozen, sizeof(frozen), &a->frozen), (double)a->gap_us / 1000);
}

void demo_report_text(FILE *out, const struct demo_options *o, const struct demo_account *a)
{
	char bytes[32];

	if (a->tree[0])
		fprintf(out, "\nThe first connection to go down (NdisInitiateOffload):\n%s",
			a->tree);
	if (a->query[0])
		fprintf(out,
			"\nIts delegated state while the target ran it "
			"(NdisQueryOffloadState):\n%s",
			a->query);
	fprintf(out, "\n  %-20s %10s %10s %8s   %15s %15s %10s\n", "phase", "bytes", "segments",
		"retrans", "switch us", "frozen us", "gap ms");
	fprintf(out, "  %-20s %10s %10s %8s   %15s %15s %10s\n", "", "", "", "", "p50 / p99",
		"p50 / p99", "longest");
	for (int p = 0; p < DEMO_PHASES; p++)
		print_phase(out, (enum demo_phase)p, &a->phase[p]);
	print_bytes(bytes, sizeof(bytes), a->bytes_each_way);
	fprintf(out,
		"\n%" PRIu32 " connections, %s each way in %.1f s: %" PRIu32 " offloads, %" PRIu32
		" uploads, %" PRIu32 " more offloaded and closed there.\n",
		a->connections, bytes, a->seconds, a->offloads, a->uploads, a->closed_offloaded);
	fprintf(out,
		"Hashes agree on %" PRIu32 " of %" PRIu32
		" connections; resets seen by peers: %" PRIu64 ", on the wire: %" PRIu64
		"; retransmits: %" PRIu64 "; kept in TIME_WAIT: %" PRIu32 ".\n",
		a->matched, a->connections, a->peer_resets, a->wire_resets, a->retransmits,
		a->time_wait);
	if (a->python_used)
		fprintf(out,
			"An unmodified python3 (asyncio echo server) was switched the same way "
			"while it ran: %s.\n",
			a->python_ok ? "it noticed nothing" : "ITS STREAM BROKE");
	if (a->retries)
		fprintf(out, "%" PRIu32 " hand-overs met a busy moment and were tried again.\n",
			a->retries);
	if (o->pcap_path)
		fprintf(out, "Capture of the peers' interface: %s\n", o->pcap_path);
	fprintf(out, "%s\n",
		demo_account_good(a) ? "Everything matched." : "SOMETHING DID NOT MATCH.");
}

static json_t *quantiles(const struct demo_quantiles *q)
{
	return json_pack("{s:I, s:I}", "p50", (json_int_t)q->p50_us, "p99", (json_int_t)q->p99_us);
}

void demo_report_json(FILE *out, const struct demo_options *o, const struct demo_account *a)
{
	uint64_t gap_us = 0;
	json_t *root;

	for (int p = 0; p < DEMO_PHASES; p++)
		if (a->phase[p].gap_us > gap_us)
			gap_us = a->phase[p].gap_us;
	root = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:b, s:I}",
		"connections", (json_int_t)a->connections, "offloads", (json_int_t)a->offloads,
		"uploads", (json_int_t)a->uploads, "closed_offloaded",
		(json_int_t)a->closed_offloaded, "bytes_each_way", (json_int_t)a->bytes_each_way,
		"sha256_match", a->matched == a->connections && (!a->python_used || a->python_ok),
		"peer_resets", (json_int_t)a->peer_resets, "wire_resets",
		(json_int_t)a->wire_resets, "retransmits", (json_int_t)a->retransmits, "offload_us",
		quantiles(&a->offload), "upload_us", quantiles(&a->upload), "max_gap_us",
		(json_int_t)gap_us, "time_wait", (json_int_t)a->time_wait, "sim", o->sim, "seed",
		(json_int_t)o->seed);
	if (!root)
		return;
	json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(root);
}
