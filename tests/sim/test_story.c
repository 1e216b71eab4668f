/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demonstration on the simulated link, and that its account can be trusted: it notices what
 * goes wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/sim_story.h"

static void run(const struct sim_story_config *config, struct sim_story_account *account)
{
	assert_int_equal(sim_story_run(config, account), 0);
	if (!account->ok)
		fail_msg("story of seed %llu: %s", (unsigned long long)config->seed,
			 account->failure);
}

static void check_counts(const struct sim_story_config *config,
			 const struct sim_story_account *account)
{
	unsigned int n = config->connections;

	assert_int_equal(account->connections, n);
	assert_int_equal(account->connections_v6, n / 2);
	assert_int_equal(account->offloads, 2 * n);
	assert_int_equal(account->uploads, 2 * n);
	assert_int_equal(account->closed_offloaded, n / 2);
	assert_int_equal(account->hashes_matched, n);
	assert_int_equal(account->resets, 0);
	assert_true(account->bytes_each_way == config->bytes_each_way);
	assert_int_equal(account->offload.count, 2 * n + n / 2);
	assert_int_equal(account->upload.count, 2 * n);
	assert_true(account->offload.virtual_p50_us > 0 &&
		    account->offload.virtual_p99_us < 1000000);
}

static void test_default_story(void **state)
{
	struct sim_story_account account, again;
	struct sim_story_config config;
	uint64_t bytes = 0;
	int phase;

	(void)state;
	sim_story_config_default(&config);
	config.bytes_each_way = 1 << 20;
	run(&config, &account);
	check_counts(&config, &account);
	assert_int_equal(account.retransmits, 0);
	for (phase = 0; phase < SIM_STORY_PHASES; phase++)
		bytes += account.phases[phase].bytes;
	assert_true(bytes == 2 * config.bytes_each_way * config.connections);
	/* Data flowed in every phase before the close. */
	for (phase = 0; phase < SIM_STORY_CLOSE; phase++)
		assert_true(account.phases[phase].bytes > 0);
	run(&config, &again);
	assert_true(again.trace_hash == account.trace_hash);
	config.seed = 2;
	run(&config, &again);
	assert_true(again.trace_hash != account.trace_hash);
}

static void test_lossy_story(void **state)
{
	struct sim_story_account account;
	struct sim_story_config config;

	(void)state;
	sim_story_config_default(&config);
	config.connections = 6;
	config.bytes_each_way = 300000;
	config.loss_ppm = 10000;
	config.mtu_bytes = 1280;
	run(&config, &account);
	check_counts(&config, &account);
	assert_true(account.retransmits > 0);
}

static void test_one_connection(void **state)
{
	struct sim_story_account account;
	struct sim_story_config config;

	(void)state;
	sim_story_config_default(&config);
	config.connections = 1;
	config.bytes_each_way = 100;
	run(&config, &account);
	check_counts(&config, &account);
}

static void test_capture(void **state)
{
	char path[] = "/tmp/chimney-story-XXXXXX";
	struct sim_story_account account;
	struct sim_story_config config;
	struct stat st;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	sim_story_config_default(&config);
	config.connections = 2;
	config.bytes_each_way = 100000;
	config.pcap_path = path;
	run(&config, &account);
	assert_int_equal(stat(path, &st), 0);
	assert_true((uint64_t)st.st_size > account.segments * 60);
	unlink(path);
	config.pcap_path = "/nonexistent/x.pcap";
	assert_true(sim_story_run(&config, &account) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_story),
		cmocka_unit_test(test_lossy_story),
		cmocka_unit_test(test_one_connection),
		cmocka_unit_test(test_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
