/* SPDX-License-Identifier: BSD-2-Clause */
/* Converters between the state structures and the target's objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nic/nic_sim_net.h"
#include "req.h"
#include "target/tgt_state.h"

static struct tgt_adapter adapter(uint32_t ticks_per_second, uint64_t now_us)
{
	return (struct tgt_adapter){ .now_us = now_us,
				     .params = { .ticks_per_second = ticks_per_second } };
}

static void randomise(struct nic_sim_rng *rng, TCP_OFFLOAD_STATE_DELEGATED *d)
{
	static const TCP_OFFLOAD_CONNECTION_STATE states[] = {
		TcpConnectionEstablished, TcpConnectionFinWait1, TcpConnectionFinWait2,
		TcpConnectionCloseWait,   TcpConnectionClosing,  TcpConnectionLastAck
	};
	uint8_t *p = (uint8_t *)d;

	for (size_t i = 0; i < sizeof(*d); i++)
		p[i] = (uint8_t)nic_sim_rng_next(rng);
	d->Header.Length = sizeof(*d);
	d->State = states[nic_sim_rng_below(rng, 6)];
	d->RcvWnd &= 0x3fffffff;
	d->SRtt = (USHORT)nic_sim_rng_below(rng, 30000);
	d->RttVar = (USHORT)nic_sim_rng_below(rng, 30000);
	d->TotalRT &= 0xffffff;
	d->TsRecent |= 1;
	if (nic_sim_rng_hit(rng, 500000))
		d->KeepAlive.TimeoutDelta = 0xffffffff;
	if (nic_sim_rng_hit(rng, 500000))
		d->Retransmit.TimeoutDelta = 0;
}

/*
 * In and out again at the same instant: every value is the same, in each of the three tick rates.
 */
static void test_round_trip(void **state)
{
	static const uint32_t rates[] = { 10, 100, 1000 };
	struct nic_sim_rng rng;

	(void)state;
	nic_sim_rng_seed(&rng, 9);
	for (unsigned int turn = 0; turn < 3000; turn++) {
		struct tgt_adapter a = adapter(rates[turn % 3], nic_sim_rng_next(&rng) >> 20);
		TCP_OFFLOAD_STATE_DELEGATED in, out;
		struct tgt_conn conn = { 0 };

		randomise(&rng, &in);
		memset(&out, 0, sizeof(out));
		out.Header.Length = sizeof(out);
		assert_int_equal(tgt_delegated_from_ddi(&a, &conn, &in), 0);
		tgt_delegated_to_ddi(&a, &conn, &out);
		assert_int_equal(out.State, in.State);
		assert_int_equal(out.RcvNxt, in.RcvNxt);
		assert_int_equal(out.RcvWnd, in.RcvWnd);
		assert_int_equal(out.SndUna, in.SndUna);
		assert_int_equal(out.SndNxt, in.SndNxt);
		assert_int_equal(out.SndMax, in.SndMax);
		assert_int_equal(out.SndWnd, in.SndWnd);
		assert_int_equal(out.MaxSndWnd, in.MaxSndWnd);
		assert_int_equal(out.SendWL1, in.SendWL1);
		assert_int_equal(out.CWnd, in.CWnd);
		assert_int_equal(out.SsThresh, in.SsThresh);
		REQ("STA-31", out.SRtt == in.SRtt && out.RttVar == in.RttVar);
		assert_int_equal(out.TsRecent, in.TsRecent);
		REQ("TSP-05", out.TsTime == in.TsTime);
		assert_int_equal(out.TsRecentAge,
				 in.TsRecentAge == 0xffffffff ? 0xfffffffe : in.TsRecentAge);
		REQ("STA-33", out.TotalRT == in.TotalRT);
		assert_int_equal(out.DupAckCount, in.DupAckCount);
		assert_int_equal(out.SndWndProbeCount, in.SndWndProbeCount);
		assert_int_equal(out.KeepAlive.ProbeCount, in.KeepAlive.ProbeCount);
		assert_int_equal(out.KeepAlive.TimeoutDelta, in.KeepAlive.TimeoutDelta);
		assert_int_equal(out.Retransmit.Count, in.Retransmit.Count);
		REQ("TMR-13", out.Retransmit.TimeoutDelta == in.Retransmit.TimeoutDelta);
		assert_int_equal(out.DWnd, in.DWnd);
	}
}

static void test_clock_rates(void **state)
{
	struct tgt_adapter a = adapter(100, 7777777);

	(void)state;
	REQ("INI-20", tgt_ticks_to_us(&a, 3) == 30000 && tgt_us_to_ticks(&a, 35000) == 3);
	REQ("TSP-09", tgt_clock_ticks(&a) == 777);
	a.params.ticks_per_second = 1000;
	assert_int_equal(tgt_clock_ticks(&a), 7777);
	REQ("TMR-03", tgt_us_to_ticks(&a, 49ull * 24 * 3600 * 1000000) == 49u * 24 * 3600 * 1000);
	assert_int_equal(tgt_us_to_ticks(&a, UINT64_MAX / 2), 0xfffffffe);
}

/* SRtt below a tick is not "no sample"; above 16 bits it saturates. */
static void test_rtt_limits(void **state)
{
	struct tgt_adapter a = adapter(10, 1000);
	TCP_OFFLOAD_STATE_DELEGATED d = { .Header = { .Length = sizeof(d) } };
	struct tgt_conn conn = { .srtt_us8 = 8 * 50,
				 .rttvar_us4 = 4 * 20,
				 .state = TGT_ESTABLISHED };

	(void)state;
	tgt_delegated_to_ddi(&a, &conn, &d);
	assert_int_equal(d.SRtt, 1);
	assert_int_equal(d.RttVar, 1);
	conn.srtt_us8 = conn.rttvar_us4 = 0;
	tgt_delegated_to_ddi(&a, &conn, &d);
	assert_int_equal(d.SRtt, 0);
	a.params.ticks_per_second = 1000;
	conn.srtt_us8 = 0xffffffff;
	tgt_delegated_to_ddi(&a, &conn, &d);
	REQ("STA-50", d.SRtt == 0xffff);
	a.params.ticks_per_second = 10;
	d.SRtt = 0xffff; /* 8192 seconds at 10 ticks: more than 32 bits of microseconds */
	d.State = TcpConnectionEstablished;
	assert_int_equal(tgt_delegated_from_ddi(&a, &conn, &d), 0);
	assert_int_equal(conn.srtt_us8, 0xffffffff);
}

/*
 * The published example: host 100, target clock 200, delta -100; the clock reads 250 at upload: 150
 * goes back.
 */
static void test_timestamps(void **state)
{
	struct tgt_adapter a = adapter(1000, 200000);
	TCP_OFFLOAD_STATE_DELEGATED d = { .Header = { .Length = sizeof(d) },
					  .State = TcpConnectionEstablished };
	struct tgt_conn conn = { 0 };

	(void)state;
	d.TsTime = 100;
	assert_int_equal(tgt_delegated_from_ddi(&a, &conn, &d), 0);
	REQ("TSP-02", conn.ts_delta_ticks == (uint32_t)-100);
	a.now_us = 250000;
	tgt_delegated_to_ddi(&a, &conn, &d);
	REQ("TSP-08", d.TsTime == 150);
	/* and again, later: target clock 320, host 350 */
	a.now_us = 320000;
	d.TsTime = 350;
	assert_int_equal(tgt_delegated_from_ddi(&a, &conn, &d), 0);
	assert_int_equal(conn.ts_delta_ticks, 30);
}

static void test_ts_recent_unknown(void **state)
{
	struct tgt_adapter a = adapter(1000, 5000);
	TCP_OFFLOAD_STATE_DELEGATED d = { .Header = { .Length = sizeof(d) },
					  .State = TcpConnectionEstablished };
	struct tgt_conn conn = { 0 };

	(void)state;
	d.TsRecentAge = 0xffffffff;
	tgt_delegated_from_ddi(&a, &conn, &d);
	assert_false(conn.flags & TGT_CF_TS_VALID);
	memset(&d.TsRecent, 0x55, 8);
	tgt_delegated_to_ddi(&a, &conn, &d);
	assert_int_equal(d.TsRecent, 0);
	assert_int_equal(d.TsRecentAge, 0xffffffff);
	d.TsRecentAge = 24u * 24 * 3600 * 1000;
	tgt_delegated_from_ddi(&a, &conn, &d);
	assert_false(conn.flags & TGT_CF_TS_VALID);
	d.TsRecentAge = 100; /* a zero that is known */
	tgt_delegated_from_ddi(&a, &conn, &d);
	assert_true(conn.flags & TGT_CF_TS_VALID);
	a.now_us += 50000;
	tgt_delegated_to_ddi(&a, &conn, &d);
	REQ("TSP-10", d.TsRecent == 0 && d.TsRecentAge == 150);
}

/* Remaining time is rounded up: nothing fires early at the other side. */
static void test_rounding(void **state)
{
	struct tgt_adapter a = adapter(100, 0);
	TCP_OFFLOAD_STATE_DELEGATED d = { .Header = { .Length = sizeof(d) } };
	struct tgt_conn conn = { .state = TGT_ESTABLISHED,
				 .rexmt_left_us = 10001,
				 .ka_left_us = 0 };

	(void)state;
	tgt_delegated_to_ddi(&a, &conn, &d);
	assert_int_equal(d.Retransmit.TimeoutDelta, 2);
	assert_int_equal(d.KeepAlive.TimeoutDelta, 0);
}

static void test_constants(void **state)
{
	TCP_OFFLOAD_STATE_CONST in = { .Header = { sizeof(in), 0 }, .RemoteMss = 1400 }, out = in;
	struct tgt_conn conn = { 0 };

	(void)state;
	in.SndWindScale = 7;
	in.RcvWindScale = 9;
	tgt_const_from_ddi(&conn, &in);
	REQ("STA-21", conn.snd_wscale == 0 && conn.rcv_wscale == 0); /* not enabled */
	REQ("STA-46", conn.scaling == 0);
	in.Flags = TCP_FLAG_WINDOW_SCALING_ENABLED | TCP_FLAG_TIMESTAMP_ENABLED;
	tgt_const_from_ddi(&conn, &in);
	assert_true(conn.snd_wscale == 7 && conn.rcv_wscale == 9 &&
		    conn.options == TGT_OPT_TIMESTAMP);
	tgt_const_to_ddi(&conn, &out);
	assert_int_equal(out.Flags, in.Flags);
	in.Flags = TCP_FLAG_WINDOW_SCALING_ENABLED; /* agreed, with zero both ways */
	in.SndWindScale = in.RcvWindScale = 0;
	tgt_const_from_ddi(&conn, &in);
	tgt_const_to_ddi(&conn, &out);
	assert_int_equal(out.Flags, TCP_FLAG_WINDOW_SCALING_ENABLED);
}

static void test_max_rt(void **state)
{
	struct tgt_adapter a = adapter(100, 0);
	TCP_OFFLOAD_STATE_CACHED in = { .Header = { sizeof(in), 0 } }, out = in;
	struct tgt_conn conn = { 0 };

	(void)state;
	tgt_cached_from_ddi(&a, &conn, &in);
	REQ("TMR-34", conn.max_rt_us == 0);
	in.MaxRT = 0xffffffff;
	tgt_cached_from_ddi(&a, &conn, &in);
	tgt_cached_to_ddi(&a, &conn, &out);
	assert_true(conn.max_rt_us == UINT64_MAX && out.MaxRT == 0xffffffff);
	in.MaxRT = 50;
	tgt_cached_from_ddi(&a, &conn, &in);
	assert_int_equal(conn.max_rt_us, 500000);
}

static void test_neighbor(void **state)
{
	const uint8_t own[6] = { 2, 0, 0, 0, 0, 1 };
	NEIGHBOR_OFFLOAD_STATE_CONST in = { .Header = { sizeof(in), 0 } }, out = in;
	struct tgt_neighbor n = { 0 };

	(void)state;
	in.VlanId = 0xfff;
	tgt_neighbor_const_from_ddi(&n, own, &in);
	assert_memory_equal(n.source_mac, own, 6);
	assert_false(n.configured_mac);
	tgt_neighbor_const_to_ddi(&n, &out);
	assert_int_equal(out.VlanId, 0xfff);
	assert_int_equal(out.DlSourceAddress[5], 0);
	in.DlSourceAddress[31] = 1; /* not all zero */
	tgt_neighbor_const_from_ddi(&n, own, &in);
	assert_true(n.configured_mac);
}

/* ---- where states are ---- */

static void test_block_states(void **state)
{
	_Alignas(8) uint8_t memory[512];
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *b = (void *)memory;
	struct tgt_block_states s;
	bool v6;

	(void)state;
	memset(memory, 0, sizeof(memory));
	b->Header.Type = NeighborOffloadState;
	*(ULONG *)(memory + 0x98) = 0x2c;
	*(ULONG *)(memory + 0x98 + 0x30) = 0x2c;
	*(ULONG *)(memory + 0x98 + 0x60) = 0x0c;
	assert_true(tgt_block_states(b, &s));
	assert_ptr_equal(s.constant, memory + 0x98);
	assert_ptr_equal(s.cached, memory + 0x98 + 0x30);
	assert_ptr_equal(s.delegated, memory + 0x98 + 0x60);
	*(ULONG *)(memory + 0x98 + 0x30) = 0x40; /* a later revision of the cached state */
	*(ULONG *)(memory + 0x98 + 0x70) = 0x0c;
	assert_true(tgt_block_states(b, &s));
	assert_ptr_equal(s.delegated, memory + 0x98 + 0x70);
	*(ULONG *)(memory + 0x98) = 0x2b;
	assert_false(tgt_block_states(b, &s));
	*(ULONG *)(memory + 0x98) = 0x2c;
	b->Header.Type = NeighborOffloadCachedState;
	assert_true(tgt_block_states(b, &s));
	assert_ptr_equal(s.cached, memory + 0x98);
	assert_null(s.constant);
	assert_null(s.delegated);
	b->Header.Type = TcpOffloadResourceState;
	assert_false(tgt_block_states(b, &s));
	assert_int_equal(tgt_block_layer(TcpOffloadState, &v6), TGT_LAYER_TCP);
	assert_int_equal(tgt_block_layer(TcpOffloadResourceState, &v6), TGT_LAYER_NONE);
	assert_int_equal(tgt_block_layer(Ip6OffloadDelegatedState, &v6), TGT_LAYER_PATH);
	assert_true(v6);
	assert_int_equal(tgt_block_layer(Ip4OffloadState, &v6), TGT_LAYER_PATH);
	REQ("STA-43", !v6);
	assert_int_equal(tgt_block_layer(0, &v6), TGT_LAYER_NONE);
	assert_int_equal(tgt_block_layer(0xfe, &v6), TGT_LAYER_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_clock_rates),
		cmocka_unit_test(test_rtt_limits),        cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_ts_recent_unknown), cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_constants),         cmocka_unit_test(test_max_rt),
		cmocka_unit_test(test_neighbor),          cmocka_unit_test(test_block_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
