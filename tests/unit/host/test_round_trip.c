/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Down and up again at the same instant, for random connections: what the kernel would be given is
 * what it gave. The converters of both sides, without the calls between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "host/host_int.h"
#include "host_net.h"
#include "target/tgt_priv.h"
#include "target/tgt_state.h"

#define TURNS 20000u

static uint32_t any(uint32_t *seed)
{
	return test_random(seed) << 16 ^ test_random(seed);
}

static void randomise(struct host_image *image, uint32_t *seed)
{
	static const uint8_t states[] = { HOST_TCP_ESTABLISHED, HOST_TCP_FIN_WAIT_1,
					  HOST_TCP_FIN_WAIT_2, HOST_TCP_CLOSE_WAIT };

	*image = (struct host_image){ .state = states[any(seed) % 4],
				      .rcv_nxt = any(seed),
				      .rcv_wnd_bytes = any(seed) & 0x3fffffff,
				      .snd_una = any(seed),
				      .snd_nxt = any(seed),
				      .snd_max = any(seed),
				      .snd_wnd_bytes = any(seed),
				      .max_snd_wnd_bytes = any(seed),
				      .snd_wl1 = any(seed),
				      .timestamps = true,
				      .cwnd_bytes = any(seed),
				      .ssthresh_bytes = any(seed),
				      .srtt_us = any(seed) % 30000 * 125,
				      .rttvar_us = any(seed) % 30000 * 250,
				      .dup_acks = (uint8_t)any(seed),
				      .rexmt_count = (uint8_t)any(seed),
				      .wnd_probes = (uint8_t)any(seed),
				      .ka_probes = (uint8_t)any(seed),
				      .total_rt_ticks = any(seed) & 0xffffff,
				      .dwnd = any(seed),
				      .ts_now = any(seed),
				      .ts_recent = any(seed) | 1,
				      .ts_recent_age_ticks = any(seed) & 0xffffff };
	image->ka_left_ticks = any(seed) & 1 ? HOST_TICKS_STOPPED : any(seed) & 0xffffff;
	image->rexmt_left_ticks = any(seed) & 1 ? HOST_TICKS_STOPPED : any(seed) & 0xffffff;
}

static TCP_OFFLOAD_STATE_DELEGATED down(const struct host_conn *conn)
{
	struct host_tcp_block block = { 0 };

	host_state_tcp(&block, conn);
	return *host_state_delegated(&block);
}

static void random_states_come_back(void **state)
{
	uint32_t seed = 4711;

	(void)state;
	for (unsigned int turn = 0; turn < TURNS; turn++) {
		struct tgt_adapter a = { .params.ticks_per_second = HOST_TICKS_PER_S,
					 .now_us = (uint64_t)any(&seed) << 12 };
		TCP_OFFLOAD_STATE_DELEGATED up = { .Header.Length = sizeof(up) }, before, after;
		struct host_conn conn = { .info.flow.family = AF_INET };
		struct tgt_conn at_target = { .options = TGT_OPT_TIMESTAMP };

		randomise(&conn.image, &seed);
		before = down(&conn);
		assert_int_equal(0, tgt_delegated_from_ddi(&a, &at_target, &before));
		tgt_delegated_to_ddi(&a, &at_target, &up);
		memset(&conn.image, 0, sizeof(conn.image));
		host_state_take(&up, &conn.image);
		after = down(&conn);
		if (memcmp(&before, &after, sizeof(before)) != 0)
			fail_msg("turn %u: another state came back", turn);
		assert_int_equal(conn.image.fin_queued,
				 before.State == TcpConnectionFinWait1 ||
					 before.State == TcpConnectionFinWait2);
		assert_int_equal(conn.image.fin_acked, before.State == TcpConnectionFinWait2);
		assert_int_equal(conn.image.fin_received, before.State == TcpConnectionCloseWait);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_states_come_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
