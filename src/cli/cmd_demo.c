/* SPDX-License-Identifier: BSD-2-Clause */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "demo/demo.h"
#include "ndis/nrt_verify.h"

enum { OPT_SIM = 256, OPT_IM, OPT_TARGET, OPT_NO_PYTHON, OPT_VERIFY };

static const struct argp_option options[] = {
	{ "connections", 'c', "N", 0,
	  "connections besides that of the unmodified program (default 16, even)", 0 },
	{ "bytes", 'b', "SIZE", 0, "bytes each way and connection, with k, M or G (default 4M)",
	  0 },
	{ "mtu", 'm', "N", 0, "MTU of the link, 1280 to 9000 (default: the kernel's choice)", 0 },
	{ "seed", 's', "N", 0, "seed of the data (default 1)", 0 },
	{ "pcap", 'p', "FILE", 0, "write what goes over the link to FILE", 0 },
	{ "im", OPT_IM, "LIST", 0,
	  "intermediate drivers between host and target, top first, in any order and number: "
	  "passthru, vlan:0[:PRIORITY], a driver of your own (./mine.so); with --sim also vlan:ID, "
	  "mux:active-backup, mux:balance",
	  0 },
	{ "target", OPT_TARGET, "FILE", 0,
	  "offload target of your own, a shared object (docs/writing-a-driver.md); default: ours",
	  0 },
	{ "sim", OPT_SIM, NULL, 0, "tell the story on the simulated link, without the kernel", 0 },
	{ "verify", OPT_VERIFY, NULL, 0,
	  "hold every driver to the rules of state operations; one that breaks a rule is named and "
	  "ends the demo",
	  0 },
	{ "json", 'j', NULL, 0, "print one JSON object instead of the account for people", 0 },
	{ "no-python", OPT_NO_PYTHON, NULL, 0,
	  "leave out the connection of the unmodified python3 program", 0 },
	{ 0 },
};

static uint64_t parse_number(struct argp_state *state, const char *name, const char *text,
			     uint64_t min, uint64_t max, bool units)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (units && (*end == 'k' || *end == 'K'))
		value <<= 10, end++;
	else if (units && *end == 'M')
		value <<= 20, end++;
	else if (units && *end == 'G')
		value <<= 30, end++;
	if (errno || !isdigit((unsigned char)text[0]) || *end || value < min || value > max)
		argp_error(state, "--%s '%s': a number from %" PRIu64 " to %" PRIu64 " is wanted%s",
			   name, text, min, max, units ? ", with k, M or G if you like" : "");
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct demo_options *o = state->input;

	switch (key) {
	case 'c':
		o->connections = (uint32_t)parse_number(state, "connections", arg, 2, 1000, false);
		if (o->connections % 2)
			argp_error(state,
				   "--connections %s: an even number is wanted (half of them close "
				   "offloaded)",
				   arg);
		break;
	case 'b':
		o->bytes = parse_number(state, "bytes", arg, 65536, 16ull << 30, true);
		break;
	case 'm':
		o->mtu_bytes = (uint32_t)parse_number(state, "mtu", arg, 1280, 9000, false);
		break;
	case 's':
		o->seed = parse_number(state, "seed", arg, 0, UINT64_MAX, false);
		break;
	case 'p':
		o->pcap_path = arg;
		break;
	case OPT_IM:
		o->im = arg;
		break;
	case OPT_TARGET:
		o->target = arg;
		break;
	case OPT_SIM:
		o->sim = true;
		break;
	case OPT_VERIFY:
		nrt_verify_enable(NRT_VERIFY_ABORT);
		break;
	case 'j':
		o->json = true;
		break;
	case OPT_NO_PYTHON:
		o->python = false;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': no argument is expected", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int cmd_demo(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Live kernel TCP connections go down the chimney and come back, twice each, "
		       "while data flows.",
	};
	struct demo_options o = { .connections = 16, .bytes = 4 << 20, .seed = 1, .python = true };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return demo_main(&o);
}
