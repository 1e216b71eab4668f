/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NET_BUFFER_LISTs against slow models. Data: one flat array of bytes, of which the pieces (MDLs)
 * are known; moving the start of the data is arithmetic there. Context space: a stack of sizes,
 * each filled with its own byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndis.h>
#include <ndis/ndisstatus.h>

#include "ndis/nrt.h"

#define FLAT_BYTES 65536u
#define PIECES_MAX 256u
#define SEEDS      300u
#define STEPS      60u

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % below;
}

static NDIS_HANDLE pool_new(BOOLEAN with_buffer, USHORT context_bytes, ULONG data_bytes)
{
	NET_BUFFER_LIST_POOL_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 },
		.ProtocolId = NDIS_PROTOCOL_ID_TCP_IP,
		.fAllocateNetBuffer = with_buffer,
		.ContextSize = context_bytes,
		.PoolTag = 0x74736574,
		.DataSize = data_bytes,
	};

	return NdisAllocateNetBufferListPool(NULL, &params);
}

/* ---- Start of the data ----------------------------------------------------------------------- */

struct model {
	uint8_t flat[FLAT_BYTES];
	uint32_t start, data, end;  /* places in flat: first byte of the first piece, of the data,
				       end of the data */
	uint32_t piece[PIECES_MAX]; /* bytes of each, first piece first */
	size_t pieces;
};

static unsigned int mdls_alive; /* of our own allocator */

static PMDL allocate_mdl(PULONG bytes)
{
	void *memory;
	MDL *mdl;

	*bytes += 5; /* an allocator may give more than was asked for */
	memory = malloc(*bytes);
	mdl = memory ? NdisAllocateMdl(NULL, memory, *bytes) : NULL;
	if (!mdl) {
		free(memory);
		return NULL;
	}
	mdls_alive++;
	return mdl;
}

static VOID free_mdl(PMDL mdl)
{
	assert_null(mdl->Next);
	free(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority));
	NdisFreeMdl(mdl);
	mdls_alive--;
}

static uint8_t *data_byte(NET_BUFFER *nb, uint32_t index)
{
	MDL *mdl = nb->CurrentMdl;
	uint32_t offset = nb->CurrentMdlOffset + index;

	while (offset >= mdl->ByteCount) {
		offset -= mdl->ByteCount;
		mdl = mdl->Next;
		assert_non_null(mdl);
	}
	return (uint8_t *)mdl->MappedSystemVa + offset;
}

static void check_data(struct model *m, NET_BUFFER *nb)
{
	uint32_t length = m->end - m->data, from, bytes, i;
	uint8_t storage[FLAT_BYTES / 16], *got;
	MDL *mdl = nb->MdlChain;
	size_t pieces = 0;

	assert_int_equal(nb->DataLength, length);
	assert_int_equal(nb->stDataLength, length);
	assert_int_equal(nb->DataOffset, m->data - m->start);
	for (; mdl; mdl = mdl->Next)
		assert_int_equal(mdl->ByteCount, m->piece[pieces++]);
	assert_int_equal(pieces, m->pieces);
	if (!length)
		return;
	from = rnd(length);
	bytes = 1 +
		rnd(length - from < sizeof(storage) ? length - from : (uint32_t)sizeof(storage));
	for (i = 0; i < bytes; i++)
		assert_int_equal(*data_byte(nb, from + i), m->flat[m->data + from + i]);
	bytes = length < sizeof(storage) ? length : (uint32_t)sizeof(storage);
	got = NdisGetDataBuffer(nb, bytes, storage, 1, 0);
	assert_non_null(got);
	assert_memory_equal(got, &m->flat[m->data], bytes);
	assert_null(NdisGetDataBuffer(nb, length + 1, storage, 1, 0));
}

static void model_free_front(struct model *m)
{
	while (m->pieces > 1 && m->data - m->start >= m->piece[0]) {
		m->start += m->piece[0];
		m->pieces--;
		memmove(&m->piece[0], &m->piece[1], m->pieces * sizeof(m->piece[0]));
	}
}

static void step_advance(struct model *m, NET_BUFFER *nb, BOOLEAN free_unused)
{
	uint32_t delta = rnd(m->end - m->data + 1);

	NdisAdvanceNetBufferDataStart(nb, delta, free_unused, free_mdl);
	m->data += delta;
	if (free_unused)
		model_free_front(m);
}

static void step_retreat(struct model *m, NET_BUFFER *nb)
{
	uint32_t delta = 1 + rnd(300), back_fill = rnd(2) * rnd(100), missing, size, i;

	if (delta > m->data - m->start) {
		missing = delta - (m->data - m->start);
		size = missing + back_fill + 5;
		if (m->start < size || m->pieces == PIECES_MAX)
			return;
		m->start -= size;
		memmove(&m->piece[1], &m->piece[0], m->pieces * sizeof(m->piece[0]));
		m->piece[0] = size;
		m->pieces++;
	}
	assert_int_equal(NdisRetreatNetBufferDataStart(nb, delta, back_fill, allocate_mdl),
			 NDIS_STATUS_SUCCESS);
	m->data -= delta;
	for (i = 0; i < delta; i++) {
		m->flat[m->data + i] = (uint8_t)rnd(256);
		*data_byte(nb, i) = m->flat[m->data + i];
	}
}

static MDL *make_chain(struct model *m)
{
	MDL *chain = NULL, *mdl;
	ULONG bytes;
	uint32_t i, n = 1 + rnd(6);

	memset(m, 0, sizeof(*m));
	m->start = m->data = m->end = FLAT_BYTES / 2;
	for (i = 0; i < n; i++) {
		bytes = 1 + rnd(200);
		mdl = allocate_mdl(&bytes);
		assert_non_null(mdl);
		mdl->Next = chain;
		chain = mdl;
		memmove(&m->piece[1], &m->piece[0], m->pieces * sizeof(m->piece[0]));
		m->piece[0] = bytes;
		m->pieces++;
		m->end += bytes;
	}
	return chain;
}

static void fill_chain(struct model *m, MDL *mdl)
{
	uint32_t at = m->start, i;

	for (; mdl; mdl = mdl->Next)
		for (i = 0; i < mdl->ByteCount; i++)
			((uint8_t *)mdl->MappedSystemVa)[i] = m->flat[at++] = (uint8_t)rnd(256);
}

static void run_data_seed(NDIS_HANDLE pool)
{
	static struct model m;
	MDL *chain = make_chain(&m), *mdl;
	NET_BUFFER_LIST *nbl;
	NET_BUFFER *nb;
	uint32_t i;

	fill_chain(&m, chain);
	m.data += rnd(m.end - m.data);
	nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, chain, m.data - m.start,
						    m.end - m.data);
	assert_non_null(nbl);
	nb = nbl->FirstNetBuffer;
	assert_null(nb->Next);
	check_data(&m, nb);
	for (i = 0; i < STEPS; i++) {
		if (rnd(2))
			step_retreat(&m, nb);
		else
			step_advance(&m, nb, (BOOLEAN)rnd(2));
		check_data(&m, nb);
	}
	while ((mdl = nb->MdlChain)) {
		nb->MdlChain = mdl->Next;
		mdl->Next = NULL;
		free_mdl(mdl);
	}
	assert_int_equal(mdls_alive, 0);
	NdisFreeNetBufferList(nbl);
}

static void test_data_start(void **state)
{
	NDIS_HANDLE pool = pool_new(TRUE, 0, 0);
	uint64_t seed;

	(void)state;
	assert_non_null(pool);
	for (seed = 1; seed <= SEEDS; seed++) {
		rng = seed;
		run_data_seed(pool);
	}
	NdisFreeNetBufferListPool(pool);
}

/* Without handlers the runtime brings its own MDL and takes it back. */
static void test_data_start_own_mdl(void **state)
{
	NDIS_HANDLE pool = pool_new(TRUE, 0, 0);
	uint8_t payload[10] = "0123456789", *header;
	MDL *mdl = NdisAllocateMdl(NULL, payload, sizeof(payload));
	NET_BUFFER_LIST *nbl =
		NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, sizeof(payload));
	NET_BUFFER *nb = nbl->FirstNetBuffer;

	(void)state;
	assert_int_equal(NdisRetreatNetBufferDataStart(nb, 20, 12, NULL), NDIS_STATUS_SUCCESS);
	assert_int_equal(nb->DataLength, 30);
	assert_int_equal(nb->DataOffset, 12);
	header = NdisGetDataBuffer(nb, 20, NULL, 1, 0);
	assert_non_null(header);
	memset(header, 'h', 20);
	assert_null(NdisGetDataBuffer(nb, 21, NULL, 1, 0)); /* spans two MDLs, no storage */
	nrt_fail_alloc_after(0);
	assert_int_equal(NdisRetreatNetBufferDataStart(nb, 12, 0, NULL),
			 NDIS_STATUS_SUCCESS); /* fits the room */
	assert_int_equal(NdisRetreatNetBufferDataStart(nb, 1, 0, NULL), NDIS_STATUS_RESOURCES);
	nrt_fail_alloc_after(-1);
	assert_int_equal(nb->DataLength, 42);
	NdisAdvanceNetBufferDataStart(nb, 32, TRUE, NULL);
	assert_ptr_equal(nb->MdlChain, mdl);
	assert_memory_equal(NdisGetDataBuffer(nb, 10, NULL, 1, 0), "0123456789", 10);
	NdisFreeNetBufferList(nbl);
	NdisFreeMdl(mdl);
	NdisFreeNetBufferListPool(pool);
}

/* ---- Pools ----------------------------------------------------------------------------------- */

static void test_pool_kinds(void **state)
{
	NDIS_HANDLE bare = pool_new(FALSE, 0, 0), data = pool_new(TRUE, 0, 1500);
	NET_BUFFER_LIST *nbl = NdisAllocateNetBufferList(bare, 0, 0);
	NET_BUFFER *nb;

	(void)state;
	assert_null(pool_new(FALSE, 0, 1500)); /* data needs a NET_BUFFER to lie in */
	assert_non_null(nbl);
	assert_null(nbl->FirstNetBuffer);
	assert_ptr_equal(nbl->NdisPoolHandle, bare);
	assert_int_equal((uintptr_t)nbl % 16, 0);
	NdisFreeNetBufferList(nbl);

	nbl = NdisAllocateNetBufferList(data, 0, 0);
	nb = nbl->FirstNetBuffer;
	assert_non_null(nb);
	assert_int_equal((uintptr_t)nb % 16, 0);
	assert_int_equal(nb->DataLength, 0);
	assert_int_equal(nb->MdlChain->ByteCount, 1500);
	assert_int_equal(NdisRetreatNetBufferDataStart(nb, 1500, 0, NULL), NDIS_STATUS_SUCCESS);
	memset(NdisGetDataBuffer(nb, 1500, NULL, 1, 0), 0x5A, 1500);
	NdisFreeNetBufferList(nbl);
	NdisFreeNetBufferListPool(bare);
	NdisFreeNetBufferListPool(data);
}

/* What comes back to a pool is as good as new, whatever its user wrote into it. */
static void test_pool_reuse(void **state)
{
	NDIS_HANDLE pool = pool_new(TRUE, 32, 64);
	NET_BUFFER_LIST *nbl[8], zero = { .Next = NULL };
	size_t round, i;

	(void)state;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 8; i++) {
			nbl[i] = NdisAllocateNetBufferList(pool, 16, 0);
			assert_non_null(nbl[i]);
			assert_memory_equal(nbl[i]->NetBufferListInfo, zero.NetBufferListInfo,
					    sizeof(zero.NetBufferListInfo));
			assert_null(nbl[i]->Next);
			assert_int_equal(nbl[i]->Status, 0);
			assert_null(nbl[i]->FirstNetBuffer->Next);
			assert_int_equal(nbl[i]->FirstNetBuffer->DataLength, 0);
			memset(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl[i]), 0xEE, 16);
			memset(nbl[i]->NetBufferListInfo, 0xEE, sizeof(nbl[i]->NetBufferListInfo));
			memset(nbl[i]->MiniportReserved, 0xEE, sizeof(nbl[i]->MiniportReserved));
			nbl[i]->Status = NDIS_STATUS_FAILURE;
			nbl[i]->Next = nbl[0];
		}
		for (i = 0; i < 8; i++)
			NdisFreeNetBufferList(nbl[(i * 3) % 8]);
	}
	NdisFreeNetBufferListPool(pool);
}

/* ---- Context space --------------------------------------------------------------------------- */

struct context_model {
	uint16_t bytes[64];
	uint8_t *at[64];
	size_t depth;
};

static void context_push(struct context_model *m, NET_BUFFER_LIST *nbl)
{
	uint16_t bytes = (uint16_t)(1 + rnd(90));

	if (m->depth == 64)
		return;
	assert_int_equal(NdisAllocateNetBufferListContext(nbl, bytes, (USHORT)rnd(64), 0),
			 NDIS_STATUS_SUCCESS);
	m->bytes[m->depth] = bytes;
	m->at[m->depth] = NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
	assert_int_equal((uintptr_t)m->at[m->depth] % 16, 0);
	assert_true(NET_BUFFER_LIST_CONTEXT_DATA_SIZE(nbl) >= bytes);
	memset(m->at[m->depth], (int)m->depth, bytes);
	m->depth++;
}

static void context_check(const struct context_model *m)
{
	size_t i, byte;

	for (i = 0; i < m->depth; i++)
		for (byte = 0; byte < m->bytes[i]; byte++)
			assert_int_equal(m->at[i][byte], i);
}

static void context_pop(struct context_model *m, NET_BUFFER_LIST *nbl)
{
	if (!m->depth)
		return;
	m->depth--;
	assert_ptr_equal(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), m->at[m->depth]);
	NdisFreeNetBufferListContext(nbl, m->bytes[m->depth]);
}

static void test_contexts(void **state)
{
	NDIS_HANDLE pool = pool_new(FALSE, 48, 0);
	struct context_model m;
	NET_BUFFER_LIST *nbl;
	uint64_t seed;
	uint32_t i;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		rng = seed;
		m.depth = 0;
		nbl = NdisAllocateNetBufferList(pool, 0, 0);
		for (i = 0; i < STEPS; i++) {
			if (rnd(5) < 3)
				context_push(&m, nbl);
			else
				context_pop(&m, nbl);
			context_check(&m);
		}
		while (rnd(8) && m.depth) /* sometimes the list is freed with context left: that
					     frees it too */
			context_pop(&m, nbl);
		if (!m.depth)
			assert_null(nbl->Context);
		NdisFreeNetBufferList(nbl);
	}
	NdisFreeNetBufferListPool(pool);
}

/* ---- Memory that is not there ---------------------------------------------------------------- */

static void test_failed_allocations(void **state)
{
	NDIS_HANDLE pool;
	NET_BUFFER_LIST *nbl;

	(void)state;
	nrt_fail_alloc_after(0);
	assert_null(pool_new(TRUE, 0, 0));
	pool = pool_new(TRUE, 0, 0);
	assert_non_null(pool);
	nrt_fail_alloc_after(0);
	assert_null(NdisAllocateNetBufferList(pool, 0, 0));
	nrt_fail_alloc_after(1); /* the list is there, its large context is not */
	assert_null(NdisAllocateNetBufferList(pool, 4000, 0));
	nbl = NdisAllocateNetBufferList(pool, 0, 0);
	assert_non_null(nbl);
	nrt_fail_alloc_after(0);
	assert_int_equal(NdisAllocateNetBufferListContext(nbl, 4000, 0, 0), NDIS_STATUS_RESOURCES);
	nrt_fail_alloc_after(0);
	assert_null(NdisAllocateMdl(NULL, &pool, sizeof(pool)));
	nrt_fail_alloc_after(-1);
	assert_int_equal(NdisAllocateNetBufferListContext(nbl, 65535, 65535, 0),
			 NDIS_STATUS_RESOURCES);
	NdisFreeNetBufferList(nbl);
	NdisFreeNetBufferListPool(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_start), cmocka_unit_test(test_data_start_own_mdl),
		cmocka_unit_test(test_pool_kinds), cmocka_unit_test(test_pool_reuse),
		cmocka_unit_test(test_contexts),   cmocka_unit_test(test_failed_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
