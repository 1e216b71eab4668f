/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words are added in the machine's byte order; the sum comes out in that order too, so that storing
 * it gives network order. A piece that begins at an odd position contributes with its bytes
 * exchanged.
 */
#include "base/csum.h"

#include <arpa/inet.h>
#include <string.h>

static uint32_t fold32(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	return (uint32_t)((sum & 0xffffffffu) + (sum >> 32));
}

static uint16_t fold16(uint64_t sum)
{
	uint32_t s = fold32(sum);

	s = (s & 0xffffu) + (s >> 16);
	return (uint16_t)((s & 0xffffu) + (s >> 16));
}

static uint64_t add_with_carry(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static uint64_t sum_bytes(const uint8_t *p, size_t len)
{
	uint64_t sum = 0, word[4];
	uint64_t last = 0;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(word, p, sizeof(word));
		sum = add_with_carry(sum, word[0]);
		sum = add_with_carry(sum, word[1]);
		sum = add_with_carry(sum, word[2]);
		sum = add_with_carry(sum, word[3]);
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(word, p, 8);
		sum = add_with_carry(sum, word[0]);
	}
	memcpy(&last, p, len);
	return add_with_carry(sum, last);
}

void csum_add(struct csum *c, const void *data, size_t len)
{
	uint16_t part = fold16(sum_bytes(data, len));

	if (c->odd)
		part = (uint16_t)(part << 8 | part >> 8);
	c->sum += part;
	c->odd ^= len & 1;
}

void csum_pseudo4(struct csum *c, const void *src, const void *dst, uint8_t proto, uint32_t len)
{
	uint32_t from, to;

	memcpy(&from, src, sizeof(from));
	memcpy(&to, dst, sizeof(to));
	c->sum += (uint64_t)from + to + htons(proto) + htons((uint16_t)len);
}

void csum_pseudo6(struct csum *c, const void *src, const void *dst, uint8_t proto, uint32_t len)
{
	uint32_t word[8];

	memcpy(word, src, 16);
	memcpy(word + 4, dst, 16);
	for (unsigned int i = 0; i < 8; i++)
		c->sum += word[i];
	c->sum += (uint64_t)htonl(len) + htonl(proto);
}

uint16_t csum_fold(const struct csum *c)
{
	return fold16(c->sum);
}

uint16_t csum_final(const struct csum *c)
{
	return (uint16_t)~fold16(c->sum);
}
