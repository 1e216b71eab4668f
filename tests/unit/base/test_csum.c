/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/csum.h"

/* RFC 1071 taken literally: big-endian words, end-around carry. */
static uint16_t slow(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Example of RFC 1071 section 3. */
static void test_example(void **state)
{
	const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	struct csum c = { 0 };

	(void)state;
	csum_add(&c, bytes, sizeof(bytes));
	assert_int_equal(csum_fold(&c), htons(0xddf2));
	assert_int_equal(csum_final(&c), htons(0x220d));
}

/* Any cut into pieces, odd ones included, gives the same sum. */
static void test_pieces(void **state)
{
	uint8_t bytes[3000];

	(void)state;
	srand(7);
	for (int round = 0; round < 300; round++) {
		size_t len = (size_t)rand() % sizeof(bytes), off = 0;
		struct csum c = { 0 };

		for (size_t i = 0; i < len; i++)
			bytes[i] = round % 3 ? (uint8_t)rand() : 0xff;
		while (off < len) {
			size_t n = 1 + (size_t)rand() % (len - off);

			csum_add(&c, bytes + off, n);
			off += n;
		}
		if (len)
			assert_int_equal(csum_final(&c), slow(bytes, len));
	}
}

static void test_pseudo_headers(void **state)
{
	uint8_t all[12 + 33] = { 192, 0, 2, 1, 198, 51, 100, 7, 0, 6, 0, 33 };
	uint8_t all6[40 + 33] = { 0x20, 0x01, 0x0d, 0xb8 };
	struct csum c4 = { 0 }, c6 = { 0 };

	(void)state;
	for (int i = 0; i < 33; i++)
		all[12 + i] = all6[40 + i] = (uint8_t)(i * 37);
	all6[16 + 5] = 0xab;
	all6[35] = 33;
	all6[39] = 6;
	csum_pseudo4(&c4, all, all + 4, 6, 33);
	csum_add(&c4, all + 12, 33);
	assert_int_equal(csum_final(&c4), slow(all, sizeof(all)));
	csum_pseudo6(&c6, all6, all6 + 16, 6, 33);
	csum_add(&c6, all6 + 40, 33);
	assert_int_equal(csum_final(&c6), slow(all6, sizeof(all6)));
}

static void test_ip4_header(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		uint8_t header[20];
		uint16_t check;

		for (int i = 0; i < 20; i++) {
			random = random * 1664525u + 1013904223u;
			header[i] = round == 0 ? 0xff : (uint8_t)(random >> 24);
		}
		assert_int_equal(csum_ip4(header), slow(header, 20));
		header[10] = header[11] = 0;
		check = csum_ip4(header);
		memcpy(header + 10, &check, 2);
		assert_int_equal(csum_ip4(header), 0);
		header[round % 20] ^= 1;
		assert_int_not_equal(csum_ip4(header), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_pseudo_headers),
		cmocka_unit_test(test_ip4_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
