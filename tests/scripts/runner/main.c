/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs scripts, every file named or every .pkt file of a folder, and prints a line for each in the
 * form of cmocka.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "req.h"
#include "script.h"

struct tally {
	unsigned int ran, failed;
};

/* True when the script did what it should, which for some is to fail in a certain line. */
static bool run_script(const char *path, struct script *script, struct script_error *error)
{
	int err = script_read(script, path, error);

	if (err == 0 && getenv("SIM_ECHO"))
		script->world.echo = stderr;
	if (err == 0)
		err = script_run(script, error);
	if (script->fails_at)
		return err != 0 && error->line == script->fails_at;
	return err == 0;
}

static void run_file(const char *path, struct tally *tally)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	struct script_error error = { 0 };
	struct script script;
	unsigned int i;
	bool ok;

	printf("[ RUN      ] %s\n", name);
	fflush(stdout);
	ok = run_script(path, &script, &error);
	tally->ran++;
	tally->failed += !ok;
	if (!ok)
		printf("%s:%u: %s\n", path, error.line, error.text);
	printf(ok ? "[       OK ] %s\n" : "[  FAILED  ] %s\n", name);
	for (i = 0; i < script.reqs && ok; i++)
		req_passed(script.req[i]);
	script_free(&script);
}

static int is_script(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 4 && !strcmp(entry->d_name + len - 4, ".pkt");
}

static void run_folder(const char *path, struct tally *tally)
{
	struct dirent **list;
	int count = scandir(path, &list, is_script, alphasort), i;
	char file[512];

	for (i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		run_file(file, tally);
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

int main(int argc, char **argv)
{
	struct tally tally = { 0 };
	struct stat st;
	int i;

	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			run_folder(argv[i], &tally);
		else
			run_file(argv[i], &tally);
	}
	printf("[==========] %u scripts, %u failed\n", tally.ran, tally.failed);
	return tally.ran == 0 || tally.failed > 0;
}
