/* SPDX-License-Identifier: BSD-2-Clause */
#include "core_env.h"

#include <errno.h>

#include "target/tgt_sendq.h"

static void append(struct env *e, uint32_t len, bool push)
{
	tcp_seq seq = tgt_sendq_end(e->conn);
	uint8_t data[70000];

	assert_true(len <= sizeof(data));
	for (uint32_t i = 0; i < len; i++)
		data[i] = env_byte(seq + i);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, len, push), 0);
	assert_null(tgt_chunks_check(&e->a, &e->conn->sendq.list));
}

static void expect(struct env *e, tcp_seq seq, uint32_t len, bool want_push)
{
	struct iovec iov[TGT_SENDQ_IOV];
	unsigned int n;
	bool push;
	uint32_t pos = 0;

	assert_int_equal(tgt_sendq_map(&e->a, e->conn, seq, len, iov, &n, &push), len);
	for (unsigned int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++)
			assert_int_equal(((uint8_t *)iov[i].iov_base)[k], env_byte(seq + pos++));
	assert_int_equal(pos, len);
	assert_int_equal(push, want_push);
}

static void test_map_across_wrap(void **state)
{
	struct env *e = env_new();

	(void)state;
	append(e, 65536, false);
	append(e, 4464, true);
	expect(e, ENV_ISS, 65535, false);
	expect(e, ENV_ISS + 65000, 5000, true);
	expect(e, ENV_ISS + 10, 1, false); /* back again: before the hint */
	tgt_sendq_ack(&e->a, e->conn, 50001);
	assert_null(tgt_chunks_check(&e->a, &e->conn->sendq.list));
	expect(e, ENV_ISS + 50001, 19999, true);
	tgt_sendq_ack(&e->a, e->conn, 19999);
	assert_int_equal(e->conn->sendq.list.chunks, 0);
	append(e, 10, false);
	expect(e, ENV_ISS + 70000, 9, false);
	expect(e, ENV_ISS + 70000, 10, true); /* the queue runs empty */
	env_free(e);
}

static void test_marks(void **state)
{
	struct env *e = env_new();

	(void)state;
	append(e, 100, true);
	append(e, 5000, true);
	append(e, 1000, false);
	expect(e, ENV_ISS, 99, false);
	expect(e, ENV_ISS, 100, true);
	expect(e, ENV_ISS + 100, 4999, false);
	expect(e, ENV_ISS + 5000, 200, true);
	assert_true(tgt_sendq_marked(&e->a, e->conn, ENV_ISS + 5100));
	assert_false(tgt_sendq_marked(&e->a, e->conn, ENV_ISS + 5101));
	tgt_sendq_ack(&e->a, e->conn, 100);
	expect(e, ENV_ISS + 100, 500, false);
	for (unsigned int i = 0; i < 3 * TGT_CHUNK_MARKS; i++)
		append(e, 1, true);
	assert_true(tgt_sendq_marked(&e->a, e->conn, tgt_sendq_end(e->conn)));
	env_free(e);
}

static void test_limits(void **state)
{
	struct env *e = env_new();
	uint8_t data[9000] = { 0 };

	(void)state;
	e->a.limits.conn_send_bytes = 10000;
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, 9000, true), 0);
	assert_int_equal(tgt_sendq_room(&e->a, e->conn), 1000);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, 1001, true), -ENOBUFS);
	assert_int_equal(e->conn->sendq.list.bytes, 9000);
	env_free(e);
}

/* The pool runs dry in the middle of an append: the queue is as before. */
static void test_pool_used_up(void **state)
{
	struct env *e = env_new();
	struct tgt_chunk_list hog = { 0 };
	uint8_t data[9000] = { 0 };

	(void)state;
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, 3000, true), 0);
	while (arena_used(e->a.arena, 1) + 1 < arena_count(e->a.arena, 1))
		assert_int_equal(tgt_chunks_append(&e->a, &hog, data, TGT_CHUNK_ROOM), 0);
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, 9000, true), -ENOBUFS);
	assert_int_equal(e->conn->sendq.list.bytes, 3000);
	assert_null(tgt_chunks_check(&e->a, &e->conn->sendq.list));
	assert_int_equal(tgt_sendq_append(&e->a, e->conn, data, 1000, true), 0);
	tgt_chunks_free(&e->a, &hog);
	env_free(e);
}

/* Random appends, acknowledgments and look-ups; every byte is checked against its number. */
static void test_random(void **state)
{
	struct env *e = env_new();

	(void)state;
	srand(3);
	for (int i = 0; i < 3000; i++) {
		uint32_t bytes = e->conn->sendq.list.bytes;

		if (bytes < 100000)
			append(e, 1 + (uint32_t)rand() % 3000, rand() % 2);
		if (bytes && rand() % 3 == 0)
			tgt_sendq_ack(&e->a, e->conn, 1 + (uint32_t)rand() % bytes);
		bytes = e->conn->sendq.list.bytes;
		for (int k = 0; bytes && k < 3; k++) {
			struct iovec iov[TGT_SENDQ_IOV];
			uint32_t off = (uint32_t)rand() % bytes,
				 len = 1 + (uint32_t)rand() % (bytes - off);
			tcp_seq seq = e->conn->sendq.seq + off;
			unsigned int n;
			bool push;

			len = tgt_sendq_map(&e->a, e->conn, seq, len, iov, &n, &push);
			assert_true(len > 0);
			assert_int_equal(*(uint8_t *)iov[0].iov_base, env_byte(seq));
			assert_int_equal(((uint8_t *)iov[n - 1].iov_base)[iov[n - 1].iov_len - 1],
					 env_byte(seq + len - 1));
		}
	}
	e->conn->snd_una = e->conn->sendq.seq;
	env_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_across_wrap), cmocka_unit_test(test_marks),
		cmocka_unit_test(test_limits),          cmocka_unit_test(test_pool_used_up),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
