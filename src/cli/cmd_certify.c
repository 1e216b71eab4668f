/* SPDX-License-Identifier: BSD-2-Clause */
#include <argp.h>
#include <string.h>
#include <unistd.h>

#include "certify/certify.h"
#include "cli/cli.h"

struct wish {
	const char *path;
	bool json;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "print one JSON object instead of the account for people", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct wish *wish = state->input;

	switch (key) {
	case 'j':
		wish->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "'%s': one driver at a time", arg);
		if (strcmp(arg, "builtin")) {
			if (access(arg, R_OK))
				argp_failure(
					state, 2, 0,
					"%s: there is no such file. Give the path of the driver's "
					"shared object, or builtin",
					arg);
			wish->path = arg;
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_certify(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[./mytarget.so|builtin]",
		.doc = "Try an offload target on the simulated link and report by requirement. "
		       "Exit status 1: something failed.",
	};
	struct wish wish = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &wish);
	return certify_main(wish.path, wish.json);
}
