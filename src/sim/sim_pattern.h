/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_pattern.h - stream contents that can be checked at any offset without being kept: byte n
 * depends on a key and on n alone.
 */
#ifndef SIM_SIM_PATTERN_H
#define SIM_SIM_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define SIM_HASH_START 0xcbf29ce484222325ull

/* sim_pattern_fill() - bytes offset..offset+len-1 of the stream of key. */
void sim_pattern_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t len);

/* sim_pattern_check() - how many leading bytes of data are right; len when all are. */
size_t sim_pattern_check(uint64_t key, uint64_t offset, const uint8_t *data, size_t len);

/*
 * sim_hash() - 64-bit FNV-1a of a stream, continued over any division into pieces. Start with
 * SIM_HASH_START.
 */
uint64_t sim_hash(uint64_t hash, const uint8_t *data, size_t len);

/*
 * sim_mix() - fold words of a record into a fast hash; for traces, where pieces never change their
 * borders.
 */
uint64_t sim_mix(uint64_t hash, const void *data, size_t len);

#endif
