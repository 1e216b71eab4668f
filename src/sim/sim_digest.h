/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_digest.h - digest of a stream: SHA-256 where libcrypto is built in, else the 64-bit hash of
 * sim_pattern.h.
 */
#ifndef SIM_SIM_DIGEST_H
#define SIM_SIM_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define SIM_DIGEST_BYTES 32

struct sim_digest;

struct sim_digest *sim_digest_new(void); /* NULL: no memory */
void sim_digest_add(struct sim_digest *digest, const uint8_t *data, size_t len);
/* sim_digest_end() - the value; frees the digest. */
void sim_digest_end(struct sim_digest *digest, uint8_t out[SIM_DIGEST_BYTES]);
const char *sim_digest_name(void);

#endif
