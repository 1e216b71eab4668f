/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of sent bytes, against an array that knows every single byte. */
#include "core_env.h"

#include "target/tgt_sent.h"

#define SPAN 6000u

struct byte {
	uint32_t state, sent_us;
};

static struct byte model[SPAN];
static uint32_t told_bytes, model_una, model_max;

static void told(void *ctx, const struct tgt_sent_run *run)
{
	struct env *e = ctx;
	uint32_t start = run->start - ENV_ISS, end = run->end - ENV_ISS;

	(void)e;
	assert_true(start < end && end <= model_max);
	for (uint32_t i = start; i < end; i++) {
		assert_false(model[i].state & TGT_SENT_SACKED);
		assert_int_equal(run->state, model[i].state);
		assert_true((int32_t)(run->sent_us - model[i].sent_us) >= 0);
	}
	told_bytes += end - start;
}

static uint32_t count(uint32_t state)
{
	uint32_t bytes = 0;

	for (uint32_t i = model_una; i < model_max; i++)
		bytes += model[i].state & state ? 1 : 0;
	return bytes;
}

static bool judge_even(void *ctx, const struct tgt_sent_run *run)
{
	const uint32_t *limit = ctx;

	return (int32_t)(run->sent_us - *limit) <= 0;
}

static void compare(struct env *e)
{
	struct tgt_range lost = { 0 };
	uint32_t first = model_una;
	const char *wrong = tgt_sent_check(&e->a, e->conn);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(e->conn->sent.sacked_bytes, count(TGT_SENT_SACKED));
	assert_int_equal(e->conn->sent.lost_bytes, count(TGT_SENT_LOST));
	assert_int_equal(tgt_sent_flight(e->conn),
			 model_max - model_una - count(TGT_SENT_SACKED) - count(TGT_SENT_LOST));
	while (first < model_max && !(model[first].state & TGT_SENT_LOST))
		first++;
	assert_int_equal(tgt_sent_first_lost(&e->a, e->conn, &lost), first < model_max);
	if (first == model_max)
		return;
	assert_int_equal(lost.start, ENV_ISS + first);
	while (first < model_max && model[first].state & TGT_SENT_LOST)
		first++;
	assert_int_equal(lost.end, ENV_ISS + first);
}

static void send_new(struct env *e, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		model[model_max++] = (struct byte){ 0, (uint32_t)e->a.now_us };
	e->conn->snd_max = ENV_ISS + model_max;
	tgt_sent_append(&e->a, e->conn, e->conn->snd_max, e->a.now_us);
}

static void send_again(struct env *e)
{
	struct tgt_range lost;

	if (!tgt_sent_first_lost(&e->a, e->conn, &lost))
		return;
	if (lost.end - lost.start > 70)
		lost.end = lost.start + 1 + (uint32_t)rand() % 70;
	tgt_sent_again(&e->a, e->conn, lost.start, lost.end, e->a.now_us);
	for (uint32_t i = lost.start - ENV_ISS; i < lost.end - ENV_ISS; i++)
		model[i] = (struct byte){ TGT_SENT_AGAIN, (uint32_t)e->a.now_us };
}

static void sack(struct env *e, uint32_t start, uint32_t len)
{
	uint32_t fresh = 0;

	if (start <= model_una || start + len > model_max)
		return;
	for (uint32_t i = start; i < start + len; i++)
		fresh += !(model[i].state & TGT_SENT_SACKED);
	told_bytes = 0;
	assert_true(tgt_sent_sack(&e->a, e->conn, ENV_ISS + start, ENV_ISS + start + len, told, e));
	assert_int_equal(told_bytes, fresh);
	for (uint32_t i = start; i < start + len; i++)
		model[i].state = TGT_SENT_SACKED;
}

static void ack(struct env *e, uint32_t to)
{
	uint32_t fresh = 0;

	for (uint32_t i = model_una; i < to; i++)
		fresh += !(model[i].state & TGT_SENT_SACKED);
	told_bytes = 0;
	tgt_sent_ack(&e->a, e->conn, ENV_ISS + to, told, e);
	assert_int_equal(told_bytes, fresh);
	model_una = to;
	e->conn->snd_una = ENV_ISS + to;
}

static void lose(struct env *e)
{
	uint32_t limit = (uint32_t)e->a.now_us - 400, expect = 0;

	for (uint32_t i = model_una; i < model_max; i++)
		if (!(model[i].state & (TGT_SENT_SACKED | TGT_SENT_LOST)) &&
		    (int32_t)(model[i].sent_us - limit) <= 0) {
			model[i].state |= TGT_SENT_LOST;
			expect++;
		}
	assert_int_equal(tgt_sent_lose(&e->a, e->conn, judge_even, &limit), expect);
}

static void one_step(struct env *e)
{
	uint32_t out = model_max - model_una;

	e->a.now_us += (uint32_t)rand() % 60;
	switch (rand() % 8) {
	case 0:
	case 1:
		if (model_max + 80 < SPAN)
			send_new(e, 1 + (uint32_t)rand() % 80);
		break;
	case 2:
	case 3:
		if (out)
			sack(e, model_una + (uint32_t)rand() % out, 1 + (uint32_t)rand() % 40);
		break;
	case 4:
		lose(e);
		break;
	case 5:
	case 6:
		send_again(e);
		break;
	default:
		if (out)
			ack(e, model_una + 1 + (uint32_t)rand() % (out < 60 ? out : 60));
		break;
	}
}

static struct env *fresh(unsigned int seed)
{
	struct env *e = env_new();

	srand(seed);
	e->conn->options |= TGT_OPT_SACK;
	model_una = model_max = 0;
	memset(model, 0, sizeof(model));
	tgt_sent_begin(&e->a, e->conn);
	/* times cross the end of 32 bits */
	e->a.now_us = (1ull << 32) - 5000;
	return e;
}

static void done(struct env *e)
{
	tgt_sent_clear(&e->a, e->conn);
	e->conn->snd_una = e->conn->snd_nxt = e->conn->snd_max = ENV_ISS;
	env_free(e);
}

static void test_model(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 60; seed++) {
		struct env *e = fresh(seed);

		for (int i = 0; i < 900; i++) {
			one_step(e);
			compare(e);
		}
		done(e);
	}
}

/* A clean transfer keeps one record a burst and never leaves the connection. */
static void test_bursts(void **state)
{
	struct env *e = fresh(1);

	(void)state;
	for (int i = 0; i < 50; i++) {
		send_new(e, 20);
		send_new(e, 20);
		assert_int_equal(e->conn->sent.count, 1 + (i > 0));
		e->a.now_us += 10;
		if (i)
			ack(e, model_max - 40);
		compare(e);
	}
	assert_int_equal(e->conn->sent.table, ARENA_NULL);
	ack(e, model_max);
	assert_int_equal(e->conn->sent.count, 0);
	done(e);
}

/* Refused by the device: nothing is left of it, be it a record of its own or part of one. */
static void test_truncate(void **state)
{
	struct env *e = fresh(1);

	(void)state;
	send_new(e, 100);
	for (int i = 0; i < 2; i++) {
		tgt_sent_append(&e->a, e->conn, ENV_ISS + 150, e->a.now_us);
		tgt_sent_truncate(&e->a, e->conn, ENV_ISS + 100);
		compare(e);
		assert_int_equal(e->conn->sent.count, 1);
		e->a.now_us += 10;
	}
	tgt_sent_truncate(&e->a, e->conn, ENV_ISS);
	model_max = 0;
	e->conn->snd_max = ENV_ISS;
	compare(e);
	done(e);
}

/* More bursts than records: coarser, but every byte is still there and never older than it was. */
static void test_coarse(void **state)
{
	struct env *e = fresh(1);

	(void)state;
	for (int i = 0; i < 2500; i++) {
		e->a.now_us += 7;
		send_new(e, 2);
	}
	assert_null(tgt_sent_check(&e->a, e->conn));
	assert_true(e->conn->sent.table != ARENA_NULL);
	for (uint32_t to = 100; to <= 5000; to += 100)
		ack(e, to); /* told() compares the times */
	assert_int_equal(e->conn->sent.table, ARENA_NULL);
	done(e);
}

/* Every other byte SACKed until nothing fits: what cannot be written down is refused, sending goes
 * on. */
static void test_full(void **state)
{
	struct env *e = fresh(1);
	uint32_t refused = 0;

	(void)state;
	send_new(e, 5000);
	for (uint32_t i = 1; i < 5000; i += 2)
		refused += !tgt_sent_sack(&e->a, e->conn, ENV_ISS + i, ENV_ISS + i + 1, told, e);
	assert_true(refused > 2000);
	assert_null(tgt_sent_check(&e->a, e->conn));
	for (int i = 0; i < 200; i++) {
		e->a.now_us += 100;
		e->conn->snd_max += 10;
		tgt_sent_append(&e->a, e->conn, e->conn->snd_max, e->a.now_us);
		assert_null(tgt_sent_check(&e->a, e->conn));
	}
	done(e);
}

/* The pool is used up: the few records in the connection do. */
static void test_no_chunk(void **state)
{
	struct env *e = fresh(1);
	void *taken[1500];
	unsigned int n = 0;

	(void)state;
	while (n < 1500 && (taken[n] = arena_take(e->a.arena, e->a.pool_chunk)) != NULL)
		n++;
	for (int i = 0; i < 40; i++) {
		e->a.now_us += 10;
		send_new(e, 30);
		assert_null(tgt_sent_check(&e->a, e->conn));
	}
	assert_int_equal(e->conn->sent.table, ARENA_NULL);
	ack(e, 900);
	assert_int_equal(tgt_sent_flight(e->conn), 300);
	while (n)
		arena_give(e->a.arena, e->a.pool_chunk, taken[--n]);
	done(e);
}

static void test_former_owner(void **state)
{
	struct env *e = fresh(1);

	(void)state;
	model_max = 500;
	for (uint32_t i = 0; i < 500; i++)
		model[i] = (struct byte){ TGT_SENT_OLD, (uint32_t)e->a.now_us };
	e->conn->snd_max = ENV_ISS + 500;
	tgt_sent_begin(&e->a, e->conn);
	compare(e);
	assert_int_equal(tgt_sent_lose_from(&e->a, e->conn, ENV_ISS + 300), 200);
	for (uint32_t i = 300; i < 500; i++)
		model[i].state |= TGT_SENT_LOST;
	compare(e);
	assert_int_equal(tgt_sent_lose_head(&e->a, e->conn, 100), 100);
	assert_int_equal(tgt_sent_lose_head(&e->a, e->conn, 100), 0);
	tgt_sent_find(&e->a, e->conn);
	for (uint32_t i = 0; i < 500; i++)
		model[i].state = TGT_SENT_OLD;
	compare(e);
	sack(e, 200, 100);
	tgt_sent_unsack(&e->a, e->conn);
	assert_int_equal(e->conn->sent.sacked, 0);
	assert_int_equal(e->conn->sent.lost_bytes, 100);
	done(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),        cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_truncate),     cmocka_unit_test(test_coarse),
		cmocka_unit_test(test_full),         cmocka_unit_test(test_no_chunk),
		cmocka_unit_test(test_former_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
