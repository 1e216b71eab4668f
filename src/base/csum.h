/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csum.h - the Internet checksum (RFC 1071) over scattered bytes.
 *
 *	struct csum c = { 0 };
 *	csum_pseudo4(&c, src, dst, 6, tcp_bytes);
 *	csum_add(&c, tcp, tcp_bytes);          (any number of times, any lengths)
 *	tcp->check = csum_final(&c);
 *
 * Results are to be stored as they are (they are in network order in memory, on either kind of
 *machine).
 */
#ifndef BASE_CSUM_H
#define BASE_CSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct csum {
	uint64_t sum;
	bool odd; /* an odd number of bytes was added so far */
};

void csum_add(struct csum *c, const void *data, size_t len);

/* Pseudo header of TCP over IPv4 (4-byte addresses) and IPv6 (16-byte addresses); len counts header
 * and payload. */
void csum_pseudo4(struct csum *c, const void *src, const void *dst, uint8_t proto, uint32_t len);
void csum_pseudo6(struct csum *c, const void *src, const void *dst, uint8_t proto, uint32_t len);

/*
 * csum_ip4() - checksum of an IPv4 header without options, in words that are all there: 0 over a
 * right one.
 */
static inline uint16_t csum_ip4(const uint8_t *header)
{
	uint32_t word[5];
	uint64_t sum;

	memcpy(word, header, sizeof(word));
	sum = (uint64_t)word[0] + word[1] + word[2] + word[3] + word[4];
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffffu) + (sum >> 16));
}

/* csum_fold() - the 16-bit sum, not complemented: what a checksum field holds for a device that
 * completes it. */
uint16_t csum_fold(const struct csum *c);

/* csum_final() - the checksum; over bytes that contain a right checksum it is 0. */
uint16_t csum_final(const struct csum *c);

#endif
