/* SPDX-License-Identifier: BSD-2-Clause */
/* be.h - numbers in network order at any address. */
#ifndef BASE_BE_H
#define BASE_BE_H

#include <stdint.h>

static inline uint16_t be_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t be_get32(const uint8_t *at)
{
	return (uint32_t)be_get16(at) << 16 | be_get16(at + 2);
}

/* The low half of value. */
static inline void be_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void be_put32(uint8_t *at, uint32_t value)
{
	be_put16(at, value >> 16);
	be_put16(at + 2, value);
}

#endif
