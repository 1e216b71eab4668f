/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_tree.h - block-list trees for tests: blocks with room for state behind them, and the handles
 * that they point to.
 *
 *     struct fake_block *n = fake_block_add(&tree, NULL, NeighborOffloadState, FAKE_NEW);
 *     struct fake_block *p = fake_block_add(&tree, n, Ip4OffloadState, FAKE_NEW);
 *     fake_block_add(&tree, p, TcpOffloadState, FAKE_NEW);
 *     NdisInitiateOffload(binding, &n->list);
 *
 * Blocks of one parent are linked by NextBlock in the order of their making; so are roots.
 */
#ifndef TESTS_FAKE_TREE_H
#define TESTS_FAKE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndis/ndischimney.h>

enum fake_block_kind {
	FAKE_NEW,         /* own handle, slot NULL: state follows */
	FAKE_PLACEHOLDER, /* no handle */
};

#define FAKE_STATE_BYTES 256
#define FAKE_TREE_BLOCKS 64

struct fake_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list;
	uint64_t state[FAKE_STATE_BYTES /
		       sizeof(uint64_t)]; /* follows the list at a multiple of 8 */
	NDIS_OFFLOAD_HANDLE own_handle;
	struct fake_block *last_child;
};

struct fake_tree {
	struct fake_block blocks[FAKE_TREE_BLOCKS];
	size_t count;
	struct fake_block *last_root;
};

void fake_tree_init(struct fake_tree *tree);

/* fake_block_add() - parent NULL: a further root. All state is zero, its Lengths too. */
struct fake_block *fake_block_add(struct fake_tree *tree, struct fake_block *parent,
				  OFFLOAD_STATE_TYPE type, enum fake_block_kind kind);

/* fake_block_refer() - the same, but the block names an object by a handle that exists: a linker,
 * or what a query is about. */
struct fake_block *fake_block_refer(struct fake_tree *tree, struct fake_block *parent,
				    OFFLOAD_STATE_TYPE type, NDIS_OFFLOAD_HANDLE *handle);

/* fake_tree_connection() - neighbor -> path -> TCP, all new. Returns the root; the others are its
 * first dependents. */
struct fake_block *fake_tree_connection(struct fake_tree *tree);

#endif
