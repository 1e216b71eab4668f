/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_pattern.h"

#include <string.h>

enum { BLOCK_BYTES = 4096 };

static uint64_t word_of(uint64_t key, uint64_t index)
{
	uint64_t z = key + index * 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93ull;
	return z ^ (z >> 32);
}

void sim_pattern_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t word = word_of(key, offset / 8);
		size_t skip = offset % 8;
		size_t part = len < 8 - skip ? len : 8 - skip;

		memcpy(out, (const uint8_t *)&word + skip, part);
		out += part;
		offset += part;
		len -= part;
	}
}

size_t sim_pattern_check(uint64_t key, uint64_t offset, const uint8_t *data, size_t len)
{
	uint8_t want[BLOCK_BYTES];
	size_t done = 0, i;

	while (done < len) {
		size_t part = len - done < BLOCK_BYTES ? len - done : BLOCK_BYTES;

		sim_pattern_fill(key, offset + done, want, part);
		if (memcmp(want, data + done, part) != 0) {
			for (i = 0; want[i] == data[done + i]; i++)
				;
			return done + i;
		}
		done += part;
	}
	return len;
}

uint64_t sim_hash(uint64_t hash, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ data[i]) * 0x100000001b3ull;
	return hash;
}

uint64_t sim_mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		uint64_t word = 0;
		size_t part = len < 8 ? len : 8;

		memcpy(&word, at, part);
		hash = (hash ^ word) * 0x9fb21c651e98df25ull;
		hash ^= hash >> 29;
		at += part;
		len -= part;
	}
	return hash;
}
