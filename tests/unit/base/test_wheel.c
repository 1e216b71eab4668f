/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/wheel.h"

#define IDS 500

static uint64_t random_state = 1;

static uint64_t rnd(uint64_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 20) % below;
}

/* An id is due exactly when its deadline is reached, not a microsecond before. */
static void test_exact(void **state)
{
	struct wheel *w;
	uint32_t id = 77;

	(void)state;
	assert_int_equal(wheel_create(&w, 4, 1000000), 0);
	assert_true(wheel_next(w) == WHEEL_NONE);
	wheel_arm(w, 2, 1000777);
	assert_true(wheel_next(w) <= 1000777);
	assert_false(wheel_pop(w, 1000776, &id));
	assert_true(wheel_pop(w, 1000777, &id));
	assert_int_equal(id, 2);
	assert_true(wheel_deadline(w, 2) == WHEEL_NONE);
	assert_false(wheel_pop(w, 2000000, &id));
	wheel_arm(w, 1, 5); /* long past */
	assert_true(wheel_next(w) <= 2000000);
	assert_true(wheel_pop(w, 2000000, &id));
	assert_int_equal(id, 1);
	wheel_destroy(w);
}

static void test_move_and_cancel(void **state)
{
	struct wheel *w;
	uint32_t id;

	(void)state;
	assert_int_equal(wheel_create(&w, 4, 0), 0);
	wheel_arm(w, 0, 10000);
	wheel_arm(w, 0, 7200000000ull); /* later */
	assert_false(wheel_pop(w, 3600000000ull, &id));
	wheel_arm(w, 0, 3600000100ull); /* earlier */
	assert_false(wheel_pop(w, 3600000099ull, &id));
	assert_true(wheel_pop(w, 3600000100ull, &id));
	wheel_arm(w, 3, 3700000000ull);
	wheel_cancel(w, 3);
	wheel_cancel(w, 3);
	assert_false(wheel_pop(w, 3800000000ull, &id));
	assert_true(wheel_next(w) == WHEEL_NONE);
	wheel_destroy(w);
}

static void check_due(struct wheel *w, uint64_t *model, uint64_t now)
{
	uint32_t id;

	while (wheel_pop(w, now, &id)) {
		assert_true(model[id] <= now);
		model[id] = WHEEL_NONE;
	}
	for (uint32_t i = 0; i < IDS; i++) {
		assert_true(model[i] == WHEEL_NONE || model[i] > now);
		assert_true(wheel_deadline(w, i) == model[i]);
		assert_true(wheel_next(w) <= model[i]);
	}
}

/* Against a plain array, over spans from microseconds to days. */
static void test_model(void **state)
{
	static const uint64_t spans[] = {
		300, 5000, 200000, 9000000, 7200000000ull, 900000000000ull
	};
	struct wheel *w;
	uint64_t model[IDS], now = 123456789;

	(void)state;
	assert_int_equal(wheel_create(&w, IDS, now), 0);
	for (uint32_t i = 0; i < IDS; i++)
		model[i] = WHEEL_NONE;
	for (int round = 0; round < 4000; round++) {
		for (int k = 0; k < 8; k++) {
			uint32_t id = (uint32_t)rnd(IDS);

			model[id] = rnd(5) ? now + rnd(spans[rnd(6)]) : WHEEL_NONE;
			wheel_arm(w, id, model[id]);
		}
		if (rnd(2) && wheel_next(w) != WHEEL_NONE && wheel_next(w) > now)
			now = wheel_next(w);
		else
			now += rnd(spans[rnd(4)]);
		check_due(w, model, now);
	}
	wheel_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_move_and_cancel),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
