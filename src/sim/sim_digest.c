/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_digest.h"

#include <stdlib.h>
#include <string.h>

#include "sim/sim_pattern.h"

#ifdef SIM_HAVE_LIBCRYPTO
#include <openssl/evp.h>

struct sim_digest {
	EVP_MD_CTX *ctx;
};

struct sim_digest *sim_digest_new(void)
{
	struct sim_digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		return NULL;
	digest->ctx = EVP_MD_CTX_new();
	if (!digest->ctx || EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(digest->ctx);
		free(digest);
		return NULL;
	}
	return digest;
}

void sim_digest_add(struct sim_digest *digest, const uint8_t *data, size_t len)
{
	EVP_DigestUpdate(digest->ctx, data, len);
}

void sim_digest_end(struct sim_digest *digest, uint8_t out[SIM_DIGEST_BYTES])
{
	unsigned int len = SIM_DIGEST_BYTES;

	memset(out, 0, SIM_DIGEST_BYTES);
	EVP_DigestFinal_ex(digest->ctx, out, &len);
	EVP_MD_CTX_free(digest->ctx);
	free(digest);
}

const char *sim_digest_name(void)
{
	return "SHA-256";
}

#else

struct sim_digest {
	uint64_t hash;
};

struct sim_digest *sim_digest_new(void)
{
	struct sim_digest *digest = calloc(1, sizeof(*digest));

	if (digest)
		digest->hash = SIM_HASH_START;
	return digest;
}

void sim_digest_add(struct sim_digest *digest, const uint8_t *data, size_t len)
{
	digest->hash = sim_hash(digest->hash, data, len);
}

void sim_digest_end(struct sim_digest *digest, uint8_t out[SIM_DIGEST_BYTES])
{
	memset(out, 0, SIM_DIGEST_BYTES);
	memcpy(out, &digest->hash, sizeof(digest->hash));
	free(digest);
}

const char *sim_digest_name(void)
{
	return "FNV-1a";
}

#endif
