/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The delivery algorithm, branch by branch of its three events, then against a slow model with a
 * host of random tastes.
 */
#include "ddi_env.h"

#define OK NDIS_STATUS_SUCCESS

static void post(struct ddi_env *e, NET_BUFFER_LIST *list)
{
	assert_int_equal(NdisOffloadTcpReceive(&e->tcp.handle, list), NDIS_STATUS_PENDING);
}

static NET_BUFFER_LIST *post_push(struct ddi_env *e, uint32_t len)
{
	NET_BUFFER_LIST *list = ddi_buffer(len);

	post(e, list);
	ddi_run(e);
	return list;
}

static NET_BUFFER_LIST *post_nonpush(struct ddi_env *e, uint32_t len)
{
	NET_BUFFER_LIST *list = ddi_buffer(len);

	ddi_nonpush(list);
	post(e, list);
	ddi_run(e);
	return list;
}

static bool holds(const NET_BUFFER_LIST *list, uint32_t offset, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (ddi_list_memory(list)[i] != ddi_byte(offset + i))
			return false;
	return true;
}

static bool received(const struct ddi_env *e, uint32_t at, uint32_t offset, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (e->received[at + i] != ddi_byte(offset + i))
			return false;
	return e->received_bytes >= at + len;
}

static bool push_timer(struct ddi_env *e)
{
	return tgt_timer_running(tgt_io_conn(ddi_io(e)), TGT_TMR_PUSH);
}

/* ---- segments without requests ---- */

static void test_indicate(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	const struct ddi_call *c;

	(void)state;
	ddi_data(e, 100, true);
	c = ddi_nth(e, CALL_INDICATE, 0);
	REQ("RCV-50", ddi_count(e, CALL_INDICATE) == 1 && c->bytes == 100);
	REQ("RCV-25",
	    c->bytes == 100); /* the recording driver asserts a single list with a single buffer */
	REQ("RCV-76", !c->nbl->Next && !c->nbl->FirstNetBuffer->Next);
	REQ("RCV-27", c->status == OK);
	REQ("RCV-61", received(e, 0, 0, 100));
	REQ("RCV-64", ddi_count(e, CALL_INDICATE) == 1 && !tgt_io_conn(ddi_io(e))->rcvq.bytes);
	REQ("EVT-01", c->handle == &e->tcp.handle);
	ddi_end(e);
}

static void test_refusal(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list;

	(void)state;
	e->taste = TASTE_REFUSE;
	ddi_data(e, 100, true);
	REQ("RCV-63",
	    ddi_count(e, CALL_INDICATE) == 1 && tgt_io_conn(ddi_io(e))->rcvq.bytes == 100);
	e->taste = TASTE_ACCEPT;
	ddi_data(e, 50, true);
	REQ("RCV-49",
	    ddi_count(e, CALL_INDICATE) == 1 && tgt_io_conn(ddi_io(e))->rcvq.bytes == 150);
	ddi_pass(e, 10000000);
	REQ("RCV-33", ddi_count(e, CALL_INDICATE) == 1);
	list = post_push(e, 40);
	REQ("RCV-47", holds(list, 0, 40) && ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 40);
	REQ("RCV-32", received(e, 0, 40, 110));
	REQ("RCV-34", ddi_index(e, ddi_nth(e, CALL_RECEIVE_DONE, 0)) <
			      ddi_index(e, ddi_nth(e, CALL_INDICATE, 1)));
	REQ("RCV-54", ddi_nth(e, CALL_INDICATE, 1)->bytes == 110);
	ddi_list_free(list);
	ddi_end(e);
}

static void test_part_acceptance(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list;

	(void)state;
	e->taste = TASTE_PART;
	e->taste_bytes = 30;
	ddi_data(e, 100, false);
	REQ("RCV-73", ddi_count(e, CALL_INDICATE) == 1 && received(e, 0, 0, 30) &&
			      tgt_io_conn(ddi_io(e))->rcvq.bytes == 70);
	REQ("RCV-31", e->a->ddi->rx_out == 0);
	list = post_push(e, 70);
	assert_true(holds(list, 30, 70));
	ddi_list_free(list);
	ddi_end(e);
}

/* The other spelling of a refusal counts as one too. */
static void test_other_refusal(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	e->taste = TASTE_REFUSE_OTHER;
	ddi_data(e, 100, true);
	ddi_data(e, 100, true);
	REQ("RCV-72",
	    ddi_count(e, CALL_INDICATE) == 1 && tgt_io_conn(ddi_io(e))->rcvq.bytes == 200);
	ddi_end(e);
}

/* A zero-byte request ends the holding, and takes nothing itself. */
static void test_zero_byte_request(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list;

	(void)state;
	e->taste = TASTE_REFUSE;
	ddi_data(e, 100, true);
	e->taste = TASTE_ACCEPT;
	list = post_push(e, 0);
	REQ("RCV-35", ddi_count(e, CALL_INDICATE) == 2 && received(e, 0, 0, 100));
	REQ("RCV-77", ddi_nth(e, CALL_RECEIVE_DONE, 0)->status == OK &&
			      ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 0);
	REQ("RCV-24", ddi_count(e, CALL_RECEIVE_DONE) == 1);
	ddi_list_free(list);
	ddi_end(e);
}

static void test_indication_size(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->tcp.cached.RcvIndicationSize = 300;
	ddi_offload(e);
	ddi_data(e, 1000, true);
	REQ("RCV-38", ddi_count(e, CALL_INDICATE) == 4 &&
			      ddi_nth(e, CALL_INDICATE, 0)->bytes == 300 &&
			      ddi_nth(e, CALL_INDICATE, 3)->bytes == 100);
	REQ("RCV-66", received(e, 0, 0, 1000));
	ddi_end(e);
}

static void test_indicates_as_much_as_there_is(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list;

	(void)state;
	e->taste = TASTE_REFUSE;
	for (unsigned int i = 0; i < 20; i++)
		ddi_data(e, 1400, true);
	e->taste = TASTE_ACCEPT;
	list = post_push(e, 0);
	REQ("RCV-39", ddi_nth(e, CALL_INDICATE, 1)->bytes == 28000);
	REQ("RCV-26", received(e, 0, 0, 28000)); /* several chunks, so several MDLs */
	ddi_list_free(list);
	ddi_end(e);
}

/* ---- segments with requests ---- */

static void test_fill_in_order(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *a, *b, *c;

	(void)state;
	a = ddi_buffer(60);
	b = ddi_buffer(60);
	c = ddi_buffer(60);
	post(e, ddi_chain(a, ddi_chain(b, c)));
	ddi_run(e);
	REQ("RCV-46", ddi_count(e, CALL_RECEIVE_DONE) == 0);
	ddi_data(e, 150, false);
	REQ("RCV-51", holds(a, 0, 60) && holds(b, 60, 60) && holds(c, 120, 30));
	REQ("RCV-03", ddi_nth(e, CALL_RECEIVE_DONE, 0)->nbl == a &&
			      ddi_nth(e, CALL_RECEIVE_DONE, 1)->nbl == b);
	REQ("RCV-52", ddi_count(e, CALL_RECEIVE_DONE) == 2);
	REQ("RCV-71",
	    ddi_nth(e, CALL_RECEIVE_DONE, 0)->first && !ddi_nth(e, CALL_RECEIVE_DONE, 1)->first);
	REQ("RCV-58", push_timer(e)); /* c is partly filled, no PSH */
	ddi_data(e, 30, false);
	REQ("RCV-53", !push_timer(e) && ddi_nth(e, CALL_RECEIVE_DONE, 2)->nbl == c);
	REQ("RCV-14", ddi_count(e, CALL_RECEIVE_DONE) == 3);
	REQ("RCV-55", ddi_count(e, CALL_INDICATE) == 0);
	REQ("RCV-02", ddi_count(e, CALL_INDICATE) == 0);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_list_free(c);
	ddi_end(e);
}

static void test_more_than_fits(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = post_push(e, 40);

	(void)state;
	ddi_data(e, 100, true);
	REQ("RCV-54", holds(list, 0, 40) && ddi_nth(e, CALL_INDICATE, 0)->bytes == 60 &&
			      received(e, 0, 40, 60));
	ddi_list_free(list);
	ddi_end(e);
}

static void test_push_completes(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = post_push(e, 100);
	const NET_BUFFER *nb = list->FirstNetBuffer;

	(void)state;
	ddi_data(e, 10, false);
	REQ("RCV-58", push_timer(e) && ddi_count(e, CALL_RECEIVE_DONE) == 0);
	REQ("RCV-10", push_timer(e));
	ddi_data(e, 10, true);
	REQ("RCV-57", ddi_count(e, CALL_RECEIVE_DONE) == 1 && !push_timer(e));
	REQ("RCV-22", ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 20);
	REQ("RCV-23", nb->DataOffset == 20 && nb->DataLength == 80);
	REQ("RCV-18",
	    ddi_nth(e, CALL_RECEIVE_DONE, 0)->status == OK && ddi_rcv_nxt(e) == DDI_RCV_NXT + 20);
	REQ("RCV-07", holds(list, 0, 20));
	ddi_list_free(list);
	ddi_end(e);
}

static void test_nonpush(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = post_nonpush(e, 100);

	(void)state;
	ddi_data(e, 60, true);
	REQ("RCV-56", ddi_count(e, CALL_RECEIVE_DONE) == 0);
	REQ("RCV-11", !push_timer(e));
	ddi_pass(e, 5000000);
	assert_int_equal(ddi_count(e, CALL_RECEIVE_DONE), 0);
	ddi_data(e, 40, false);
	REQ("RCV-08", ddi_count(e, CALL_RECEIVE_DONE) == 1 && holds(list, 0, 100));
	ddi_list_free(list);
	ddi_end(e);
}

static void test_prefilled(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *nonpush = ddi_buffer(100), *push = ddi_buffer(100);
	const uint8_t *memory;

	(void)state;
	ddi_nonpush(nonpush);
	ddi_prefilled(nonpush, 30);
	post(e, nonpush);
	ddi_run(e);
	assert_false(push_timer(e));
	ddi_data(e, 70, true);
	memory = ddi_list_memory(nonpush);
	REQ("RCV-12", ddi_count(e, CALL_RECEIVE_DONE) == 1 && memory[29] == 0 &&
			      memory[30] == ddi_byte(0) && memory[99] == ddi_byte(69));
	REQ("RCV-75", ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 100);
	ddi_prefilled(push, 30);
	post(e, push);
	ddi_run(e);
	REQ("RCV-09", push_timer(e));
	ddi_pass(e, 600000);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 1)->bytes, 30);
	ddi_list_free(nonpush);
	ddi_list_free(push);
	ddi_end(e);
}

/* A request of many pieces. */
static void test_pieces(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = ddi_list_pieces(NULL, 300, 7);

	(void)state;
	post(e, list);
	ddi_run(e);
	ddi_data(e, 11, false);
	ddi_data(e, 289, false);
	assert_int_equal(ddi_count(e, CALL_RECEIVE_DONE), 1);
	assert_true(holds(list, 0, 300));
	ddi_list_free(list);
	ddi_end(e);
}

/* A nonpush request that is filled over chunk borders, one of them met exactly. */
static void test_chunk_border(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = post_nonpush(e, 10000);
	uint32_t done = 0, room = TGT_CHUNK_ROOM;

	(void)state;
	while (done < 10000) {
		uint32_t n = room - done % room < 1000 ? room - done % room : 1000;

		n = n < 10000 - done ? n : 10000 - done;
		ddi_data(e, n, false);
		done += n;
	}
	assert_int_equal(ddi_count(e, CALL_RECEIVE_DONE), 1);
	assert_true(holds(list, 0, 10000));
	ddi_list_free(list);
	ddi_end(e);
}

/* ---- push timer ---- */

static void test_push_timer(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = post_push(e, 100);

	(void)state;
	ddi_data(e, 10, false);
	ddi_pass(e, 499000);
	REQ("TMR-32", ddi_count(e, CALL_RECEIVE_DONE) == 0 && push_timer(e));
	ddi_pass(e, 2000);
	REQ("RCV-69",
	    ddi_count(e, CALL_RECEIVE_DONE) == 1 && ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes == 10);
	REQ("TMR-47", !push_timer(e));
	ddi_list_free(list);
	ddi_end(e);
}

static void test_push_timer_restart(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list = post_push(e, 100);

	(void)state;
	ddi_data(e, 10, false);
	ddi_pass(e, 400000);
	ddi_data(e, 10, false);
	REQ("RCV-59", ddi_count(e, CALL_RECEIVE_DONE) == 0 && push_timer(e));
	ddi_pass(e, 400000);
	REQ("RCV-13", ddi_count(e, CALL_RECEIVE_DONE) == 0);
	REQ("RCV-74", push_timer(e));
	ddi_pass(e, 200000);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes, 20);
	ddi_list_free(list);
	ddi_end(e);
}

static void test_push_timer_races(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *list;

	(void)state;
	tgt_deliver_push_expired(e->a, tgt_io_conn(ddi_io(e)));
	REQ("RCV-67", e->call_count == 0);
	list = post_nonpush(e, 100);
	ddi_data(e, 10, true);
	tgt_deliver_push_expired(e->a, tgt_io_conn(ddi_io(e)));
	REQ("RCV-68", e->call_count == 0 && tgt_io_conn(ddi_io(e))->rcvq.bytes == 10);
	ddi_upload(e);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 0)->status, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	ddi_list_free(list);
	ddi_free(e);
}

/* ---- calls up in progress ---- */

static NET_BUFFER_LIST *inside_list;
static unsigned int inside_count;

static void post_inside_once(struct ddi_env *e, enum ddi_call_kind kind)
{
	if ((kind != CALL_INDICATE && kind != CALL_RECEIVE_DONE) || inside_count++)
		return;
	post(e, inside_list);
}

/* The host refuses, but posts from inside the indication: the data goes into that request. */
static void test_refused_but_posted(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	inside_list = ddi_buffer(100);
	inside_count = 0;
	e->inside = post_inside_once;
	e->taste = TASTE_REFUSE;
	ddi_data(e, 100, false);
	REQ("RCV-62", ddi_count(e, CALL_INDICATE) == 1 && ddi_count(e, CALL_RECEIVE_DONE) == 1 &&
			      holds(inside_list, 0, 100));
	REQ("RCV-45", e->depth_max == 1);
	ddi_list_free(inside_list);
	ddi_end(e);
}

static void test_accepted_more_data_posted(void **state)
{
	struct ddi_env *e = ddi_new(NULL);

	(void)state;
	e->tcp.cached.RcvIndicationSize = 60;
	ddi_offload(e);
	inside_list = ddi_buffer(40);
	inside_count = 0;
	e->inside = post_inside_once;
	ddi_data(e, 100, false);
	REQ("RCV-65", ddi_count(e, CALL_INDICATE) == 1 && received(e, 0, 0, 60) &&
			      holds(inside_list, 60, 40));
	ddi_list_free(inside_list);
	ddi_end(e);
}

/* A post from inside a completion is served after that call, not within it. */
static void test_post_inside_completion(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *first = post_push(e, 40);

	(void)state;
	inside_list = ddi_buffer(60);
	inside_count = 0;
	e->inside = post_inside_once;
	ddi_data(e, 100, false);
	REQ("RCV-16",
	    ddi_count(e, CALL_RECEIVE_DONE) == 2 && ddi_nth(e, CALL_RECEIVE_DONE, 1)->first);
	REQ("RCV-15", e->depth_max == 1 && holds(inside_list, 40, 60));
	REQ("RCV-60", ddi_count(e, CALL_INDICATE) == 0);
	ddi_list_free(first);
	ddi_list_free(inside_list);
	ddi_end(e);
}

static void segment_inside_once(struct ddi_env *e, enum ddi_call_kind kind)
{
	struct tgt_conn *conn = tgt_io_conn(ddi_io(e));
	uint8_t data[20];

	if (kind != CALL_INDICATE || inside_count++)
		return;
	ddi_fill(data, 100, 20);
	conn->rcv_nxt += 20; /* as the engine does */
	tgt_deliver_data(e->a, conn, data, 20, false);
	assert_int_equal(ddi_count(e, CALL_INDICATE), 1); /* queued */
}

static void test_segment_inside_indication(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	inside_count = 0;
	e->inside = segment_inside_once;
	ddi_data(e, 100, false);
	REQ("RCV-48", ddi_count(e, CALL_INDICATE) == 2 && received(e, 0, 0, 120));
	REQ("RCV-70", tgt_io_conn(ddi_io(e))->rcvq.bytes == 0);
	tgt_io_conn(ddi_io(e))->rcv_acked = ddi_rcv_nxt(e); /* what the engine was not told */
	ddi_end(e);
}

/* ---- lists given back late ---- */

static void test_lists_kept(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	struct tgt_adapter_usage usage;

	(void)state;
	e->keep_lists = true;
	for (unsigned int i = 0; i < 10; i++)
		ddi_data(e, 1000, true);
	REQ("RCV-28", received(e, 0, 0, 10000) && ddi_count(e, CALL_INDICATE) == 10);
	tgt_adapter_usage(e->a, &usage);
	assert_int_equal(usage.indicated_nbls, 10);
	assert_true(usage.chunks_used >= 3);
	ddi_give_back(e);
	tgt_adapter_usage(e->a, &usage);
	REQ("RCV-42", usage.indicated_nbls == 0 && usage.chunks_used == 0);
	ddi_end(e);
}

/* The host keeps every list: data waits, and goes on when lists come back. */
static void test_no_lists_left(void **state)
{
	struct ddi_env *e = ddi_offloaded();

	(void)state;
	e->keep_lists = true;
	e->a->ddi->rx_free = NULL; /* as if all were with the host */
	ddi_data(e, 100, true);
	assert_int_equal(ddi_count(e, CALL_INDICATE), 0);
	assert_true(e->a->ddi->rx_starved);
	e->a->ddi->rx_free = &e->a->ddi->rx_lists[0];
	e->a->ddi->rx_lists[0].next_free = NULL;
	ddi_run(e);
	assert_int_equal(ddi_count(e, CALL_INDICATE), 1);
	assert_true(received(e, 0, 0, 100));
	for (uint32_t i = 1; i < e->a->ddi->rx_count; i++) { /* undo */
		e->a->ddi->rx_lists[i].next_free = e->a->ddi->rx_free;
		e->a->ddi->rx_free = &e->a->ddi->rx_lists[i];
	}
	ddi_end(e);
}

/* ---- the peer's FIN ---- */

static void fin(struct ddi_env *e)
{
	ddi_segment(e, ddi_rcv_nxt(e), DDI_SND_UNA, NIC_SIM_ACK | NIC_SIM_FIN, NULL, 0);
	ddi_run(e);
}

static void test_fin_after_data(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *late, *list;

	(void)state;
	e->taste = TASTE_REFUSE;
	ddi_data(e, 100, false);
	fin(e);
	assert_int_equal(ddi_count(e, CALL_EVENT), 0);
	e->taste = TASTE_ACCEPT;
	list = post_push(e, 200);
	REQ("DIS-23", ddi_count(e, CALL_EVENT) == 1 &&
			      ddi_nth(e, CALL_EVENT, 0)->event == TcpIndicateDisconnect &&
			      ddi_index(e, ddi_nth(e, CALL_RECEIVE_DONE, 0)) <
				      ddi_index(e, ddi_nth(e, CALL_EVENT, 0)));
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes, 100);
	late = post_push(e, 10);
	REQ("RCV-21", ddi_nth(e, CALL_RECEIVE_DONE, 1)->status == NDIS_STATUS_INVALID_STATE);
	ddi_list_free(late);
	ddi_list_free(list);
	ddi_end(e);
}

static void test_fin_ends_requests(void **state)
{
	struct ddi_env *e = ddi_offloaded();
	NET_BUFFER_LIST *a = post_nonpush(e, 100), *b = post_push(e, 100);

	(void)state;
	ddi_data(e, 10, false);
	fin(e);
	assert_int_equal(ddi_count(e, CALL_RECEIVE_DONE), 2);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 0)->bytes, 10);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 1)->bytes, 0);
	assert_int_equal(ddi_nth(e, CALL_RECEIVE_DONE, 1)->status, OK);
	assert_int_equal(ddi_count(e, CALL_EVENT), 1);
	ddi_list_free(a);
	ddi_list_free(b);
	ddi_end(e);
}

/* ---- against a model ---- */

struct model {
	uint32_t posted_at; /* offset of the next byte that a completion or indication must bring */
	struct nic_sim_rng rng;
	NET_BUFFER_LIST *out[64]; /* requests posted, in order */
	unsigned int head, tail;
	uint32_t checked; /* accepted indication bytes looked at */
};

static struct model model;

/* What is completed or accepted continues the stream exactly where the last call ended. */
static void check_call(struct ddi_env *e, enum ddi_call_kind kind)
{
	if (kind == CALL_RECEIVE_DONE) {
		while (model.head != model.tail) {
			NET_BUFFER_LIST *list = model.out[model.head % 64];
			const struct ddi_call *c = NULL;

			for (unsigned int i = 0; i < e->call_count && !c; i++)
				if (e->calls[i].kind == CALL_RECEIVE_DONE &&
				    e->calls[i].nbl == list)
					c = &e->calls[i];
			if (!c)
				break; /* they are completed in order */
			assert_true(holds(list, model.posted_at, c->bytes));
			model.posted_at += c->bytes;
			ddi_list_free(list);
			model.head++;
		}
	}
	e->taste = (enum ddi_taste)nic_sim_rng_below(&model.rng, 3);
	e->taste_bytes = (uint32_t)nic_sim_rng_below(&model.rng, 50);
}

static void take_indications(struct ddi_env *e)
{
	for (; model.checked < e->received_bytes; model.checked++)
		assert_int_equal(e->received[model.checked], ddi_byte(model.posted_at++));
}

static void inside_model(struct ddi_env *e, enum ddi_call_kind kind)
{
	take_indications(e); /* accepted before this call */
	check_call(e, kind);
}

static void random_post(struct ddi_env *e)
{
	NET_BUFFER_LIST *list = ddi_buffer((uint32_t)nic_sim_rng_below(&model.rng, 120));

	if (model.tail - model.head == 64) {
		ddi_list_free(list);
		return;
	}
	if (nic_sim_rng_hit(&model.rng, 400000))
		ddi_nonpush(list);
	model.out[model.tail++ % 64] = list;
	post(e, list);
}

static void test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct ddi_env *e = ddi_offloaded();

		memset(&model, 0, sizeof(model));
		nic_sim_rng_seed(&model.rng, seed);
		e->inside = inside_model;
		for (unsigned int step = 0; step < 200; step++) {
			ddi_forget(e);
			if (nic_sim_rng_hit(&model.rng, 400000))
				random_post(e);
			if (nic_sim_rng_hit(&model.rng, 600000))
				ddi_data(e, 1 + (uint32_t)nic_sim_rng_below(&model.rng, 100),
					 nic_sim_rng_hit(&model.rng, 300000));
			else
				ddi_run(e);
			if (nic_sim_rng_hit(&model.rng, 100000))
				ddi_pass(e, 600000);
			take_indications(e);
		}
		ddi_forget(e);
		e->inside = NULL;
		ddi_terminate(e, &e->neighbor.list);
		for (; model.head != model.tail; model.head++) {
			NET_BUFFER_LIST *list = model.out[model.head % 64];
			const struct ddi_call *c = ddi_nth(e, CALL_RECEIVE_DONE, 0);

			for (unsigned int i = 0; c && c->nbl != list; i++)
				c = ddi_nth(e, CALL_RECEIVE_DONE, i);
			assert_non_null(c);
			assert_true(holds(list, model.posted_at, c->bytes));
			model.posted_at += c->bytes;
			ddi_list_free(list);
		}
		for (NET_BUFFER_LIST *nbl = e->tcp.delegated.BufferedData; nbl; nbl = nbl->Next)
			for (MDL *mdl = nbl->FirstNetBuffer->CurrentMdl; mdl; mdl = mdl->Next)
				for (uint32_t i = 0; i < mdl->ByteCount; i++)
					assert_int_equal(((uint8_t *)mdl->MappedSystemVa)[i],
							 ddi_byte(model.posted_at++));
		assert_int_equal(model.posted_at, e->tcp.delegated.RcvNxt - DDI_RCV_NXT);
		if (e->tcp.delegated.BufferedData)
			NdisOffloadTcpReceiveReturn(e->binding, e->tcp.delegated.BufferedData);
		ddi_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_indicate),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_part_acceptance),
		cmocka_unit_test(test_other_refusal),
		cmocka_unit_test(test_zero_byte_request),
		cmocka_unit_test(test_indication_size),
		cmocka_unit_test(test_indicates_as_much_as_there_is),
		cmocka_unit_test(test_fill_in_order),
		cmocka_unit_test(test_more_than_fits),
		cmocka_unit_test(test_push_completes),
		cmocka_unit_test(test_nonpush),
		cmocka_unit_test(test_prefilled),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_chunk_border),
		cmocka_unit_test(test_push_timer),
		cmocka_unit_test(test_push_timer_restart),
		cmocka_unit_test(test_push_timer_races),
		cmocka_unit_test(test_refused_but_posted),
		cmocka_unit_test(test_accepted_more_data_posted),
		cmocka_unit_test(test_post_inside_completion),
		cmocka_unit_test(test_segment_inside_indication),
		cmocka_unit_test(test_lists_kept),
		cmocka_unit_test(test_no_lists_left),
		cmocka_unit_test(test_fin_after_data),
		cmocka_unit_test(test_fin_ends_requests),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
