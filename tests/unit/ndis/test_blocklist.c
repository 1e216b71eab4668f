/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversion of block lists, as a property of random forests: what a block says after the
 * conversion is what its kind demands, nothing else of it changed, and the way back restores every
 * byte.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ndis/nrt_blocklist.h"
#include "req.h"

#define BLOCKS_MAX 40
#define SEEDS      2000

struct forest {
	union nrt_block blocks[BLOCKS_MAX];
	union nrt_block before[BLOCKS_MAX];
	NDIS_OFFLOAD_HANDLE handles[BLOCKS_MAX];
	NDIS_OFFLOAD_HANDLE handles_before[BLOCKS_MAX];
	size_t order[BLOCKS_MAX]; /* depth first, by the recursive definition */
	size_t count, ordered;
	uint64_t rng;
	int object; /* what a slot that is not NULL points to */
};

static uint32_t rnd(struct forest *f, uint32_t below)
{
	f->rng = f->rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(f->rng >> 33) % below;
}

static void fill_random(struct forest *f, void *memory, size_t size)
{
	uint8_t *bytes = memory;
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)rnd(f, 256);
}

/* Members that nobody but their owner may touch get random bytes, so that a stray write shows. */
static union nrt_block *new_block(struct forest *f)
{
	union nrt_block *block = &f->blocks[f->count];
	NDIS_OFFLOAD_HANDLE *handle = &f->handles[f->count];

	fill_random(f, block, sizeof(*block));
	block->protocol.NextBlock = NULL;
	block->protocol.DependentBlockList = NULL;
	block->protocol.NdisReserved[2] = NULL;
	fill_random(f, handle->NdisReserved, sizeof(handle->NdisReserved));
	handle->MiniportOffloadContext = rnd(f, 2) ? &f->object : NULL;
	block->protocol.OffloadHandle = rnd(f, 3) ? handle : NULL;
	f->count++;
	return block;
}

static union nrt_block *grow_row(struct forest *f, unsigned int depth)
{
	union nrt_block *first = NULL, *last = NULL, *block;
	uint32_t wanted = 1 + rnd(f, 4);

	while (wanted-- && f->count < BLOCKS_MAX) {
		block = new_block(f);
		f->order[f->ordered++] = (size_t)(block - f->blocks);
		if (last)
			last->protocol.NextBlock = &block->protocol;
		else
			first = block;
		last = block;
		if (depth < NRT_BLOCK_LEVELS && rnd(f, 4))
			block->protocol.DependentBlockList = (void *)grow_row(f, depth + 1);
	}
	return first;
}

static union nrt_block *grow(struct forest *f, uint64_t seed)
{
	memset(f, 0, sizeof(*f));
	f->rng = seed;
	grow_row(f, 1);
	memcpy(f->before, f->blocks, sizeof(f->before));
	memcpy(f->handles_before, f->handles, sizeof(f->handles_before));
	return &f->blocks[f->order[0]];
}

static bool is_new(const union nrt_block *block)
{
	const NDIS_OFFLOAD_HANDLE *handle = block->protocol.OffloadHandle;

	return handle && !handle->MiniportOffloadContext;
}

static bool converted(const struct forest *f, size_t i, const void *reserved)
{
	union nrt_block expected = f->before[i];
	NDIS_OFFLOAD_HANDLE handle = f->handles_before[i];
	bool has = f->before[i].protocol.OffloadHandle;

	expected.miniport.MiniportOffloadContext =
		has ? (PVOID *)(uintptr_t)&f->handles[i].MiniportOffloadContext : NULL;
	/* The mark is for new objects; that of a linker says already where its object is. */
	if (has && reserved && !handle.MiniportOffloadContext)
		handle.NdisReserved[0] = (PVOID)(uintptr_t)reserved;
	return memcmp(&expected, &f->blocks[i], sizeof(expected)) == 0 &&
	       memcmp(&handle, &f->handles[i], sizeof(handle)) == 0;
}

static bool walk_is_depth_first(struct forest *f, union nrt_block *root)
{
	struct nrt_block_walk walk;
	union nrt_block *block;
	size_t i = 0;

	for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
		if (i == f->ordered || block != &f->blocks[f->order[i++]])
			return false;
	return i == f->ordered && !walk.too_deep;
}

static void test_round_trip(void **state)
{
	static struct forest f;
	bool down = true, up = true, order = true;
	union nrt_block *root;
	uint64_t seed;
	void *reserved;
	size_t i;
	int fresh;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		root = grow(&f, seed);
		reserved = seed % 3 ? &f : NULL;
		order &= walk_is_depth_first(&f, root);
		fresh = nrt_blocks_to_miniport(root, reserved);
		for (i = 0; i < f.count; i++) {
			down &= converted(&f, i, reserved);
			fresh -= reserved && is_new(&f.before[i]);
		}
		assert_int_equal(fresh, 0);
		nrt_blocks_to_protocol(root);
		up &= memcmp(f.before, f.blocks, f.count * sizeof(f.blocks[0])) == 0;
		assert_true(down && up && order);
	}
	REQ("BLK-18", down && up);
	REQ("BLK-14", down && up); /* NDIS wrote to no member but its own */
}

/* A fourth level does not exist: the tree is refused as a whole, before the first word of it is
 * written. */
static void test_too_deep(void **state)
{
	static struct forest f;
	union nrt_block *root, *block;
	uint64_t seed;
	size_t i, tcp, refused = 0;

	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		root = grow(&f, seed);
		for (tcp = f.count; tcp-- > 0;) {
			block = (union nrt_block *)f.blocks[tcp].protocol.DependentBlockList;
			if (block && block->protocol.DependentBlockList)
				break; /* a root or path with grandchildren */
		}
		if (tcp >= f.count || f.count == BLOCKS_MAX)
			continue;
		block = (union nrt_block *)block->protocol.DependentBlockList;
		if (f.blocks[tcp].protocol.DependentBlockList == NULL ||
		    block->protocol.DependentBlockList)
			continue;
		block->protocol.DependentBlockList = &new_block(&f)->protocol;
		memcpy(f.before, f.blocks, sizeof(f.before));
		memcpy(f.handles_before, f.handles, sizeof(f.handles_before));
		assert_int_equal(nrt_blocks_to_miniport(root, &f), -EINVAL);
		for (i = 0; i < f.count; i++) {
			assert_memory_equal(&f.before[i], &f.blocks[i], sizeof(f.before[i]));
			assert_memory_equal(&f.handles_before[i], &f.handles[i],
					    sizeof(f.handles[i]));
		}
		refused++;
	}
	assert_true(refused > 20);
}

/* Where an operation does not reach a miniport: placeholders succeed as always, everything else
 * fails. */
static void test_refuse(void **state)
{
	static struct forest f;
	bool right = true;
	uint64_t seed;
	size_t i;

	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		nrt_blocks_refuse(grow(&f, seed));
		for (i = 0; i < f.count; i++)
			right &= f.blocks[i].protocol.Status == (f.blocks[i].protocol.OffloadHandle
									 ? NDIS_STATUS_FAILURE
									 : NDIS_STATUS_SUCCESS);
	}
	assert_true(right);
}

struct full_block {
	union nrt_block block;
	uint64_t state[40];
};

static void check_lengths(OFFLOAD_STATE_TYPE type, size_t count, const size_t *sizes)
{
	struct full_block full = { .block.protocol.Header.Type = (UCHAR)type };
	NDIS_OFFLOAD_HANDLE handle = { .MiniportOffloadContext = NULL };
	OFFLOAD_STATE_HEADER *header;
	size_t i;

	full.block.protocol.OffloadHandle = &handle;
	nrt_blocks_fill_headers(&full.block);
	header = NdisOffloadFirstState(&full.block);
	for (i = 0; i < count; i++) {
		REQ("STA-10", header->Length == sizes[i]);
		header = NdisOffloadNextState(header);
	}
	assert_int_equal(header->Length, 0); /* and nothing behind the last */
	REQ("STA-11", full.block.protocol.Header.Revision == 1);
	assert_int_equal(full.block.protocol.Header.Size, sizeof(full.block));
}

static void test_lengths(void **state)
{
	static const size_t neighbor[] = { 0x2C, 0x2C, 0x0C }, path[] = { 0x18, 0x0C, 0x08 },
			    tcp[] = { 0x18, 0x2C, 0x80 };
	static const struct {
		OFFLOAD_STATE_TYPE first; /* const; then cached, delegated */
		OFFLOAD_STATE_TYPE all;
		const size_t *sizes;
	} layers[] = {
		{ NeighborOffloadConstState, NeighborOffloadState, neighbor },
		{ Ip4OffloadConstState, Ip4OffloadState, path },
		{ Ip6OffloadConstState, Ip6OffloadState, path },
		{ TcpOffloadConstState, TcpOffloadState, tcp },
	};
	size_t i, one;

	(void)state;
	for (i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		for (one = 0; one < 3; one++)
			check_lengths(layers[i].first + one, 1, &layers[i].sizes[one]);
		check_lengths(layers[i].all, 3, layers[i].sizes);
	}
}

/* Only a new offload has state behind it: what follows a placeholder or linker may be anybody's
 * memory. */
static void test_lengths_only_of_new(void **state)
{
	struct full_block full = { .block.protocol.Header.Type = TcpOffloadState };
	NDIS_OFFLOAD_HANDLE linker = { .MiniportOffloadContext = &full };
	size_t i;

	(void)state;
	nrt_blocks_fill_headers(&full.block);
	full.block.protocol.OffloadHandle = &linker;
	nrt_blocks_fill_headers(&full.block);
	for (i = 0; i < sizeof(full.state) / sizeof(full.state[0]); i++)
		assert_true(full.state[i] == 0);
}

/* A driver that was built for an older, shorter structure says so by Length; that must stay. */
static void test_lengths_given(void **state)
{
	struct full_block full = { .block.protocol.Header.Type = TcpOffloadDelegatedState };
	NDIS_OFFLOAD_HANDLE handle = { .MiniportOffloadContext = NULL };
	OFFLOAD_STATE_HEADER *header = NdisOffloadFirstState(&full.block);

	(void)state;
	full.block.protocol.OffloadHandle = &handle;
	header->Length = 0x78;
	nrt_blocks_fill_headers(&full.block);
	assert_int_equal(header->Length, 0x78);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_lengths_only_of_new),
		cmocka_unit_test(test_lengths_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
