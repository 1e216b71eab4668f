/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a harness without a fuzzing library: first the inputs that are kept, then variations of them
 * and new ones, from a generator that begins with the seed given.
 *
 * usage: fuzz_x FOLDER RUNS [SEED]; fuzz_x FILE runs one input.
 *
 * When a harness ends the process, the input is left in ./fuzz-failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "nic/nic_sim_net.h" /* the generator */

enum { INPUT_MAX = 1024, KEPT_MAX = 256 };

struct input {
	size_t size;
	uint8_t bytes[INPUT_MAX];
};

static struct input kept[KEPT_MAX], now;
static unsigned int kept_count;
static bool running;

static void leave_input(void)
{
	FILE *f = running ? fopen("fuzz-failure", "wb") : NULL;

	if (!f)
		return;
	fwrite(now.bytes, 1, now.size, f);
	fclose(f);
	fprintf(stderr, "input left in ./fuzz-failure\n");
}

static void run_now(void)
{
	/* Its own block, so that a sanitizer sees a read behind the end. */
	uint8_t *copy = malloc(now.size ? now.size : 1);

	if (!copy)
		exit(1);
	memcpy(copy, now.bytes, now.size);
	running = true;
	LLVMFuzzerTestOneInput(copy, now.size);
	running = false;
	free(copy);
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		return -errno;
	now.size = fread(now.bytes, 1, sizeof(now.bytes), f);
	fclose(f);
	run_now();
	return 0;
}

static void run_kept(const char *folder)
{
	struct dirent **list;
	int count = scandir(folder, &list, NULL, alphasort), i;
	char path[512];

	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && run_file(path) == 0 && kept_count < KEPT_MAX)
			kept[kept_count++] = now;
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

static void vary(struct nic_sim_rng *rng)
{
	unsigned int changes = 1 + (unsigned int)nic_sim_rng_below(rng, 8);
	const struct input *other;
	size_t from, len;

	while (changes--) {
		from = (size_t)nic_sim_rng_below(rng, now.size ? now.size : 1);
		switch (nic_sim_rng_below(rng, 4)) {
		case 0:
			now.bytes[from] ^= (uint8_t)(1u << nic_sim_rng_below(rng, 8));
			break;
		case 1:
			now.bytes[from] = (uint8_t)nic_sim_rng_next(rng);
			break;
		case 2: /* the tail of another input */
			other = &kept[nic_sim_rng_below(rng, kept_count)];
			len = other->size > from ? other->size - from : 0;
			memcpy(now.bytes + from, other->bytes + from, len);
			now.size = len ? other->size : now.size;
			break;
		default: /* something again */
			len = (now.size - from) / 2;
			if (now.size + len > INPUT_MAX)
				break;
			memmove(now.bytes + from + len, now.bytes + from, now.size - from);
			now.size += len;
			break;
		}
	}
}

static void invent(struct nic_sim_rng *rng)
{
	size_t i;

	now.size = 1 + (size_t)nic_sim_rng_below(rng, INPUT_MAX);
	for (i = 0; i < now.size; i++)
		now.bytes[i] = (uint8_t)nic_sim_rng_next(rng);
}

int main(int argc, char **argv)
{
	unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 0) : 0, i;
	struct nic_sim_rng rng;
	struct stat st;

	if (argc < 2 || stat(argv[1], &st) != 0)
		return 2;
	atexit(leave_input);
	nic_sim_rng_seed(&rng, argc > 3 ? strtoull(argv[3], NULL, 0) : 1);
	if (!S_ISDIR(st.st_mode))
		return run_file(argv[1]) != 0;
	run_kept(argv[1]);
	for (i = 0; i < runs; i++) {
		if (kept_count && nic_sim_rng_below(&rng, 2)) {
			now = kept[nic_sim_rng_below(&rng, kept_count)];
			vary(&rng);
		} else {
			invent(&rng);
		}
		run_now();
	}
	printf("[       OK ] %u inputs kept, %lu made\n", kept_count, runs);
	return 0;
}
