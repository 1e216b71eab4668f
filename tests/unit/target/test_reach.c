/* SPDX-License-Identifier: BSD-2-Clause */
/* Neighbor reachability: the two times, the staleness test, the question to the host. */
#include "ddi_env.h"

#include "target/tgt_reach.h"

static void stale_after_2s(struct ddi_env *e)
{
	e->a->params.nce_stale_ticks = 2000;
}

static struct tgt_neighbor *neighbor_of(struct ddi_env *e)
{
	return ((struct tgt_object *)e->neighbor.handle.MiniportOffloadContext)->state;
}

static NET_BUFFER_LIST *send_ten(struct ddi_env *e)
{
	NET_BUFFER_LIST *list = ddi_buffer(10);

	NdisOffloadTcpSend(&e->tcp.handle, list);
	ddi_run(e);
	return list;
}

static void test_deltas(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	uint32_t now;

	(void)state;
	e->neighbor.cached.HostReachabilityDelta = 700;
	e->neighbor.delegated.NicReachabilityDelta = 700;
	ddi_offload(e);
	now = tgt_clock_ticks(e->a);
	REQ("EVT-12",
	    neighbor_of(e)->hrt_ticks == now - 700 && neighbor_of(e)->nrt_ticks == now - 700);
	ddi_pass(e, 300000);
	REQ("EVT-14", tgt_reach_hrd(e->a, neighbor_of(e)) == 1000);
	ddi_upload(e);
	assert_int_equal(e->neighbor.delegated.NicReachabilityDelta, 1000);
	ddi_free(e);
}

/* A delta larger than the clock: times lie before its zero, modulo 2^32. */
static void test_wrap(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->answer_hrd = 0xfffffff0; /* the first ACK finds the neighbor stale and asks */
	e->neighbor.cached.HostReachabilityDelta = e->neighbor.delegated.NicReachabilityDelta =
		0xfffffff0;
	ddi_offload(e);
	REQ("EVT-15", tgt_reach_hrd(e->a, neighbor_of(e)) == 0xfffffff0 &&
			      neighbor_of(e)->hrt_ticks == tgt_clock_ticks(e->a) + 16);
	ddi_upload(e);
	ddi_free(e);
}

static void test_question(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *a, *b, *c;

	(void)state;
	ddi_offload(e);
	stale_after_2s(e);
	ddi_pass(e, 2000000);
	a = send_ten(e);
	REQ("EVT-17", ddi_count(e, CALL_OFFLOAD_EVENT) == 0); /* not more than NceStaleTicks */
	ddi_pass(e, 1000);
	e->answer_hrd = 500;
	b = send_ten(e);
	REQ("EVT-18",
	    ddi_count(e, CALL_OFFLOAD_EVENT) == 1 &&
		    ddi_nth(e, CALL_OFFLOAD_EVENT, 0)->event == NeighborReachabilityQuery &&
		    ddi_nth(e, CALL_OFFLOAD_EVENT, 0)->handle == &e->neighbor.handle);
	REQ("EVT-19", e->asked_list.Header.Type == NeighborOffloadState &&
			      e->asked_list.Header.Revision == 1 &&
			      e->asked_list.Header.Size == sizeof(e->asked_list) &&
			      !e->asked_list.DependentBlockList &&
			      e->asked_list.Status == NDIS_STATUS_SUCCESS);
	REQ("EVT-32", !e->asked_list.NextBlock);
	REQ("EVT-20", e->asked_cached.HostReachabilityDelta == 2001 &&
			      e->asked_delegated.NicReachabilityDelta == 2001);
	REQ("EVT-22", tgt_reach_hrd(e->a, neighbor_of(e)) == 500);
	c = send_ten(e);
	REQ("EVT-34", ddi_count(e, CALL_OFFLOAD_EVENT) == 1); /* HRT is young: no second question */
	ddi_upload(e);
	ddi_list_free(a);
	ddi_list_free(c);
	ddi_list_free(b);
	ddi_free(e);
}

static void test_progress(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *a, *b;

	(void)state;
	ddi_offload(e);
	stale_after_2s(e);
	a = send_ten(e);
	ddi_pass(e, 100000);
	ddi_ack(e, DDI_SND_UNA + 10);
	REQ("EVT-16", tgt_reach_nrd(e->a, neighbor_of(e)) == 0);
	ddi_pass(e, 1950000);
	b = send_ten(e);
	assert_int_equal(ddi_count(e, CALL_OFFLOAD_EVENT), 0); /* HRD is stale, NRD is not */
	ddi_upload(e);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_free(e);
}

/* Only the question (and the doubt that a host has asked for, EVT-33) brings a block along. */
static void test_other_event(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *a;

	(void)state;
	ddi_offload(e);
	a = send_ten(e);
	ddi_pass(e, 100000000); /* stale, and retransmitted many times */
	assert_true(ddi_count(e, CALL_OFFLOAD_EVENT) >= 1);
	for (unsigned int i = 0; i < ddi_count(e, CALL_OFFLOAD_EVENT); i++)
		assert_int_equal(ddi_nth(e, CALL_OFFLOAD_EVENT, i)->event,
				 NeighborReachabilityQuery);
	ddi_forget(e);
	NdisMOffloadEventIndicate(e->a->ddi->miniport, NULL, MaxOffloadEvent);
	REQ("EVT-21", ddi_count(e, CALL_OFFLOAD_EVENT) == 1 &&
			      ddi_nth(e, CALL_OFFLOAD_EVENT, 0)->event == MaxOffloadEvent &&
			      !ddi_nth(e, CALL_OFFLOAD_EVENT, 0)->root);
	ddi_upload(e);
	ddi_list_free(a);
	ddi_free(e);
}

static void test_doubt(void **state)
{
	struct ddi_env *e = ddi_new(NULL);
	NET_BUFFER_LIST *a;

	(void)state;
	ddi_offload(e);
	a = send_ten(e);
	ddi_pass(e, 10000000);
	assert_int_equal(ddi_count(e, CALL_OFFLOAD_EVENT), 0); /* parameter zero: never */
	ddi_ack(e, DDI_SND_UNA + 10);
	ddi_list_free(a);
	e->a->params.doubt_retransmissions = 2;
	a = send_ten(e);
	ddi_pass(e, 20000000);
	REQ("EVT-33",
	    ddi_count(e, CALL_OFFLOAD_EVENT) >= 1 &&
		    ddi_nth(e, CALL_OFFLOAD_EVENT, 0)->event == NeighborReachabilityInDoubt);
	REQ("INI-25", ddi_nth(e, CALL_OFFLOAD_EVENT, 0)->handle == &e->neighbor.handle);
	ddi_upload(e);
	ddi_list_free(a);
	ddi_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deltas),   cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_question), cmocka_unit_test(test_progress),
		cmocka_unit_test(test_doubt),    cmocka_unit_test(test_other_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
