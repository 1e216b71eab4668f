/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - what the harnesses share: reading an input byte by byte, and the two ways to run one.
 * Linked with -fsanitize=fuzzer the library calls LLVMFuzzerTestOneInput(); drive.c does the same
 * with a generator of its own, repeatable and with any compiler.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* fuzz_byte(), fuzz_word() - 0 when nothing is left. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline uint16_t fuzz_word(struct fuzz_input *in)
{
	uint16_t high = fuzz_byte(in);

	return (uint16_t)(high << 8 | fuzz_byte(in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
