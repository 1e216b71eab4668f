/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NET_BUFFER_LIST queues against a slow model: an array of element numbers. Random operations on
 * two queues; after each one the queues must hold exactly what the arrays say, in that order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "ndis/nrt_nblq.h"

#define LISTS 24
#define STEPS 4000
#define SEEDS 40

struct model {
	unsigned int items[LISTS];
	size_t count;
};

struct fixture {
	NET_BUFFER_LIST lists[LISTS];
	struct nrt_nblq queue[2];
	struct model model[2];
	struct model free; /* elements in no queue */
	uint64_t rng;
};

static uint32_t rnd(struct fixture *f, uint32_t below)
{
	f->rng = f->rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(f->rng >> 33) % below;
}

static void model_insert(struct model *m, size_t at, unsigned int item)
{
	memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof(m->items[0]));
	m->items[at] = item;
	m->count++;
}

static unsigned int model_take(struct model *m, size_t at)
{
	unsigned int item = m->items[at];

	m->count--;
	memmove(&m->items[at], &m->items[at + 1], (m->count - at) * sizeof(m->items[0]));
	return item;
}

static void check(struct fixture *f)
{
	NET_BUFFER_LIST *nbl;
	size_t q, i;

	for (q = 0; q < 2; q++) {
		assert_int_equal(nrt_nblq_count(&f->queue[q]), f->model[q].count);
		assert_int_equal(nrt_nblq_empty(&f->queue[q]), f->model[q].count == 0);
		i = 0;
		NRT_NBL_FOREACH(nbl, nrt_nblq_first(&f->queue[q]))
		assert_int_equal(nbl - f->lists, f->model[q].items[i++]);
		if (i)
			assert_ptr_equal(f->queue[q].tail, &f->lists[f->model[q].items[i - 1]]);
	}
}

static NET_BUFFER_LIST *take_free(struct fixture *f)
{
	NET_BUFFER_LIST *nbl = &f->lists[model_take(&f->free, rnd(f, (uint32_t)f->free.count))];

	nbl->Next = &f->lists[rnd(f, LISTS)]; /* what Next was must not matter */
	return nbl;
}

static void give_free(struct fixture *f, NET_BUFFER_LIST *nbl)
{
	model_insert(&f->free, f->free.count, (unsigned int)(nbl - f->lists));
}

static void step_push(struct fixture *f, size_t q)
{
	NET_BUFFER_LIST *nbl;

	if (!f->free.count)
		return;
	nbl = take_free(f);
	if (rnd(f, 2)) {
		nrt_nblq_push(&f->queue[q], nbl);
		model_insert(&f->model[q], f->model[q].count, (unsigned int)(nbl - f->lists));
	} else {
		nrt_nblq_push_front(&f->queue[q], nbl);
		model_insert(&f->model[q], 0, (unsigned int)(nbl - f->lists));
	}
}

static void step_pop(struct fixture *f, size_t q)
{
	NET_BUFFER_LIST *nbl = nrt_nblq_pop(&f->queue[q]);

	if (!f->model[q].count) {
		assert_null(nbl);
		return;
	}
	assert_ptr_equal(nbl, &f->lists[model_take(&f->model[q], 0)]);
	assert_null(nbl->Next);
	give_free(f, nbl);
}

static void step_remove(struct fixture *f, size_t q)
{
	unsigned int item = rnd(f, LISTS);
	size_t i;

	for (i = 0; i < f->model[q].count && f->model[q].items[i] != item; i++)
		;
	assert_int_equal(nrt_nblq_remove(&f->queue[q], &f->lists[item]), i < f->model[q].count);
	if (i == f->model[q].count)
		return;
	assert_null(f->lists[item].Next);
	model_take(&f->model[q], i);
	give_free(f, &f->lists[item]);
}

static void step_splice(struct fixture *f, size_t q)
{
	nrt_nblq_splice(&f->queue[q], &f->queue[1 - q]);
	while (f->model[1 - q].count)
		model_insert(&f->model[q], f->model[q].count, model_take(&f->model[1 - q], 0));
}

/* Take everything out as a chain, cut it anywhere, put the halves back in either order, in front or
 * behind. */
static void step_chain(struct fixture *f, size_t q)
{
	NET_BUFFER_LIST *chain = nrt_nblq_take_all(&f->queue[q]), *rest = NULL;
	size_t count = nrt_nbl_count(chain), cut;

	assert_int_equal(count, f->model[q].count);
	if (count) {
		cut = rnd(f, (uint32_t)count);
		assert_ptr_equal(nrt_nbl_last(chain), &f->lists[f->model[q].items[count - 1]]);
		rest = nrt_nbl_split(&f->lists[f->model[q].items[cut]]);
		assert_int_equal(nrt_nbl_count(rest), count - cut - 1);
		if (rnd(f, 2)) {
			chain = nrt_nbl_concat(chain, rest);
			rest = NULL;
		}
	}
	if (rnd(f, 2)) {
		nrt_nblq_push_chain(&f->queue[q], chain);
		nrt_nblq_push_chain(&f->queue[q], rest);
	} else {
		nrt_nblq_push_front_chain(&f->queue[q], rest);
		nrt_nblq_push_front_chain(&f->queue[q], chain);
	}
}

static void run_seed(uint64_t seed)
{
	static void (*const steps[])(struct fixture *,
				     size_t) = { step_push,   step_push,   step_push, step_pop,
						 step_remove, step_splice, step_chain };
	struct fixture f = { .rng = seed };
	unsigned int i;

	nrt_nblq_init(&f.queue[0]);
	nrt_nblq_init(&f.queue[1]);
	for (i = 0; i < LISTS; i++)
		model_insert(&f.free, i, i);
	for (i = 0; i < STEPS; i++) {
		steps[rnd(&f, sizeof(steps) / sizeof(steps[0]))](&f, rnd(&f, 2));
		check(&f);
	}
}

static void test_queue_against_model(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
}

static void test_chain_helpers(void **state)
{
	NET_BUFFER nb[4] = { { .DataLength = 100 },
			     { .DataLength = 20 },
			     { .DataLength = 3 },
			     { .DataLength = 0 } };
	NET_BUFFER_LIST a = { .FirstNetBuffer = &nb[0] }, b = { .FirstNetBuffer = &nb[2] },
			c = { 0 };

	(void)state;
	nb[0].Next = &nb[1];
	assert_ptr_equal(nrt_nbl_concat(&a, &b), &a);
	assert_ptr_equal(nrt_nbl_concat(NULL, &c), &c);
	assert_ptr_equal(nrt_nbl_concat(&b, &c), &b);
	assert_int_equal(nrt_nbl_count(&a), 3);
	assert_int_equal(nrt_nbl_bytes(&a), 123);
	assert_int_equal(nrt_nbl_bytes(NULL), 0);
	assert_null(nrt_nbl_last(NULL));
	nrt_nbl_set_status(&a, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(c.Status, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(a.Status, NDIS_STATUS_UPLOAD_IN_PROGRESS);
}

static void test_walk_that_frees(void **state)
{
	NET_BUFFER_LIST lists[5] = { { .Next = NULL } }, *nbl, *keep;
	struct nrt_nblq queue;
	size_t i, seen = 0;

	(void)state;
	nrt_nblq_init(&queue);
	for (i = 0; i < 5; i++)
		nrt_nblq_push(&queue, &lists[i]);
	NRT_NBL_FOREACH_SAFE(nbl, keep, nrt_nblq_take_all(&queue))
	{
		assert_ptr_equal(nbl, &lists[seen++]);
		memset(nbl, 0xA5, sizeof(*nbl));
	}
	assert_int_equal(seen, 5);
	assert_true(nrt_nblq_empty(&queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_against_model),
		cmocka_unit_test(test_chain_helpers),
		cmocka_unit_test(test_walk_that_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
