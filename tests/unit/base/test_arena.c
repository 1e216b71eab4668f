/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"

static const struct arena_pool_spec pools[] = {
	{ .name = "small", .object_bytes = 40, .count = 3 },
	{ .name = "large", .object_bytes = 5000, .count = 100 },
};

static void test_take_and_give(void **state)
{
	struct arena *a;
	char *objects[3];

	(void)state;
	assert_int_equal(arena_create(&a, "test", pools, 2), 0);
	assert_int_equal(arena_pool(a, "large"), 1);
	assert_int_equal(arena_pool(a, "absent"), -ENOENT);
	assert_int_equal(arena_object_bytes(a, 0), 64);
	for (int i = 0; i < 3; i++) {
		objects[i] = arena_take(a, 0);
		assert_non_null(objects[i]);
		memset(objects[i], 'x', 40);
	}
	assert_null(arena_take(a, 0));
	arena_give(a, 0, objects[1]);
	assert_int_equal(arena_used(a, 0), 2);
	objects[1] = arena_take(a, 0);
	assert_int_equal(objects[1][0], 0); /* zeroed again */
	arena_destroy(a);
}

/* A pool may leave the bulk of its objects as it is: only the front is cleared. */
static void test_zero_bytes(void **state)
{
	static const struct arena_pool_spec part = {
		.name = "part", .object_bytes = 256, .count = 1, .zero_bytes = 16
	};
	struct arena *a;
	char *object;

	(void)state;
	assert_int_equal(arena_create(&a, "test", &part, 1), 0);
	object = arena_take(a, 0);
	memset(object, 'x', 256);
	arena_give(a, 0, object);
	assert_ptr_equal(arena_take(a, 0), object);
	for (int i = 0; i < 16; i++)
		assert_int_equal(object[i], 0);
	assert_int_equal(object[16], 'x');
	arena_destroy(a);
}

/* What one mapping writes another one, at another address, reads through the same reference. */
static void test_second_mapping(void **state)
{
	struct arena *a, *b;
	char *object;
	arena_ref ref;

	(void)state;
	assert_int_equal(arena_create(&a, "test", pools, 2), 0);
	arena_take(a, 1);
	object = arena_take(a, 1);
	strcpy(object, "survives");
	ref = arena_ref_of(a, object);
	assert_int_equal(arena_attach(&b, arena_fd(a)), 0);
	assert_ptr_not_equal(arena_ptr(b, ref), object);
	assert_string_equal(arena_ptr(b, ref), "survives");
	assert_null(arena_ptr(b, ARENA_NULL));
	assert_int_equal(arena_used(b, 1), 2);
	arena_destroy(a);
	assert_string_equal(arena_ptr(b, ref), "survives");
	arena_destroy(b);
}

static void test_walk(void **state)
{
	struct arena *a;
	void *objects[5], *walk = NULL;

	(void)state;
	assert_int_equal(arena_create(&a, "test", pools, 2), 0);
	for (int i = 0; i < 5; i++)
		objects[i] = arena_take(a, 1);
	arena_give(a, 1, objects[0]);
	arena_give(a, 1, objects[3]);
	for (int i = 1; i < 5; i++) {
		if (i == 3)
			continue;
		walk = arena_next(a, 1, walk);
		assert_ptr_equal(walk, objects[i]);
	}
	assert_null(arena_next(a, 1, walk));
	assert_null(arena_next(a, 0, NULL));
	arena_destroy(a);
}

static void test_refused(void **state)
{
	struct arena *a = NULL;

	(void)state;
	assert_int_equal(arena_create(&a, "test", pools, 0), -EINVAL);
	assert_int_equal(arena_create(&a, "test", pools, ARENA_POOLS_MAX + 1), -EINVAL);
	assert_null(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_give),  cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_second_mapping), cmocka_unit_test(test_walk),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
