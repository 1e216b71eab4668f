/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chimney exec: a program whose connections may go down the chimney. What is missing for that is
 * said, and the program runs natively; --strict refuses instead.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ipc/ipc_fd.h"
#include "supervisor/super.h"

#define START_TRIES   1000
#define START_WAIT_MS 10

struct arguments {
	const char *path, *policy, *ifname, *mode;
	bool strict;
};

static const struct argp_option options[] = {
	{ "control", 'c', "PATH", 0, "control socket of the daemon (default " CLI_CONTROL_PATH ")",
	  0 },
	{ "policy", 'p', "FILE", 0,
	  "rules for a daemon that has to be started (default: none, so all stays in the host)",
	  0 },
	{ "interface", 'i', "NAME", 0,
	  "interface for a daemon that has to be started (default: that of the default route)", 0 },
	{ "chimney", 'm', "MODE", 0,
	  "manual, enabled, automatic or disabled, for a daemon that has to be started (default: "
	  "automatic)",
	  0 },
	{ "strict", 's', NULL, 0, "fail where the program would otherwise run natively", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->path = arg;
		break;
	case 'p':
		a->policy = arg;
		break;
	case 'i':
		a->ifname = arg;
		break;
	case 'm':
		a->mode = arg;
		break;
	case 's':
		a->strict = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The interface of the default route; without one the first that is not lo. */
static const char *find_interface(char name[IF_NAMESIZE])
{
	struct if_nameindex *list = if_nameindex();
	FILE *routes = fopen("/proc/net/route", "re");
	unsigned int destination;
	char line[256], best[IF_NAMESIZE] = "";

	while (routes && !best[0] && fgets(line, sizeof(line), routes))
		if (sscanf(line, "%15s %x", best, &destination) != 2 || destination)
			best[0] = 0;
	if (routes)
		fclose(routes);
	for (struct if_nameindex *i = list; i && i->if_index && !best[0]; i++)
		if (strcmp(i->if_name, "lo") != 0)
			snprintf(best, sizeof(best), "%s", i->if_name);
	if (list)
		if_freenameindex(list);
	snprintf(name, IF_NAMESIZE, "%s", best);
	return best[0] ? name : NULL;
}

/*
 * In the child that becomes the daemon. Nothing of the program's stays open in it; what goes wrong
 * is told to a terminal only, as whoever reads a pipe waits for its end.
 */
static void become_daemon(const struct arguments *a, const char *ifname)
{
	const char *argv[] = { "chimneyd", "-i", ifname,  "-c",
			       a->path,    "-m", a->mode, a->policy ? "-p" : NULL,
			       a->policy,  NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		if (!isatty(2))
			dup2(null, 2);
	}
	close_range(3, ~0u, 0);
	execv("/proc/self/exe", (char **)(uintptr_t)argv);
	_exit(127);
}

static int start_daemon(const struct arguments *a, char *why, size_t why_size)
{
	char name[IF_NAMESIZE];
	const char *ifname = a->ifname ? a->ifname : find_interface(name);
	int fd = -ENOENT, status;
	pid_t pid;

	if (!ifname) {
		snprintf(why, why_size, "no interface to serve: name one with --interface");
		return -ENODEV;
	}
	pid = fork();
	if (!pid)
		become_daemon(a, ifname);
	for (int i = 0; pid > 0 && fd < 0 && i < START_TRIES; i++) {
		fd = ipc_connect(a->path);
		if (fd >= 0)
			break;
		if (waitpid(pid, &status, WNOHANG) == pid)
			pid = -1;
		else
			poll(NULL, 0, START_WAIT_MS);
	}
	if (fd < 0)
		snprintf(why, why_size, "the daemon on %s did not start (see chimney check)",
			 ifname);
	return fd;
}

/* Under the filter an ordinary user's set-uid program would lose its privilege. */
static bool gains_privilege(const char *program)
{
	char path[4096], *list, *save = NULL;
	const char *search = getenv("PATH");
	bool found = false;
	struct stat st;

	if (geteuid() == 0)
		return false;
	if (strchr(program, '/'))
		return stat(program, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID));
	list = strdup(search ? search : "/usr/bin:/bin");
	for (char *d = list ? strtok_r(list, ":", &save) : NULL; d && !found;
	     d = strtok_r(NULL, ":", &save)) {
		snprintf(path, sizeof(path), "%s/%s", d, program);
		found = access(path, X_OK) == 0 && stat(path, &st) == 0;
	}
	free(list);
	return found && (st.st_mode & (S_ISUID | S_ISGID));
}

static int prepare(const struct arguments *a, const char *program, char *why, size_t why_size)
{
	int fd;

	if (gains_privilege(program)) {
		snprintf(why, why_size, "%s is a set-uid program", program);
		return -EPERM;
	}
	fd = ipc_connect(a->path);
	if (fd < 0)
		fd = start_daemon(a, why, why_size);
	return fd < 0 ? fd : super_start(a->path, fd, why, why_size);
}

int cmd_exec(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "PROGRAM [ARGUMENT...]",
		.doc = "Run a program whose connections may be offloaded.",
	};
	struct arguments a = { .path = CLI_CONTROL_PATH, .mode = "automatic" };
	char why[SUPER_WHY_BYTES] = "";
	int first, err;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_ARGS, &first, &a);
	if (first >= argc) {
		fprintf(stderr,
			"chimney exec: which program? like: chimney exec -- redis-server\n");
		return 2;
	}
	err = prepare(&a, argv[first], why, sizeof(why));
	if (err) {
		fprintf(stderr, "chimney exec: %s: %s\n",
			a.strict || err == -ENOTRECOVERABLE ? "not started" : "runs natively",
			why[0] ? why : strerror(-err));
		if (a.strict || err == -ENOTRECOVERABLE)
			return 126;
	}
	execvp(argv[first], argv + first);
	err = errno;
	fprintf(stderr, "chimney exec: %s: %s\n", argv[first], strerror(err));
	return err == ENOENT ? 127 : 126;
}
