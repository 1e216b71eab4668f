/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest run: one connection, data both ways, no loss; then the same with one offload and one
 * upload.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "req.h"
#include "sim_case.h"

#define BULK 2000000

static void bulk(enum sim_family family, bool offloads)
{
	struct sim_config config;
	struct sim_case c;

	sim_config_default(&config, 1);
	case_begin(&c, &config);
	case_plain(&c, family);
	sim_sock_send(c.peer, BULK);
	sim_sock_send(c.host, BULK);
	if (offloads) {
		sim_world_run_for(c.world, 5000);
		case_move(&c, SIM_TARGET);
		sim_world_run_for(c.world, 5000);
		CASE(&c, !case_all_read(&c)); /* else the upload would come after the data */
		case_move(&c, SIM_KERNEL);
	}
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	CASE_REQ(&c, "SND-03", c.peer->rx.got == BULK && c.host->rx.got == BULK);
	CASE_WAIT(&c, case_all_sent, CASE_S);
	CASE_REQ(&c, "SND-14", c.host->tx.acked == BULK && c.peer->tx.acked == BULK);
	CASE(&c, c.world->counts.resets_to_peer == 0 && c.world->counts.resets_from_peer == 0);
	if (!offloads)
		CASE(&c, c.world->counts.retransmits == 0);
	case_close(&c);
	case_end(&c);
}

static void test_bulk_v4(void **state)
{
	(void)state;
	bulk(SIM_V4, false);
}

static void test_bulk_v6(void **state)
{
	(void)state;
	bulk(SIM_V6, false);
}

static void test_offload_and_upload_v4(void **state)
{
	(void)state;
	bulk(SIM_V4, true);
}

static void test_offload_and_upload_v6(void **state)
{
	(void)state;
	bulk(SIM_V6, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk_v4),
		cmocka_unit_test(test_bulk_v6),
		cmocka_unit_test(test_offload_and_upload_v4),
		cmocka_unit_test(test_offload_and_upload_v6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
