/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake/fake_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void fake_tree_init(struct fake_tree *tree)
{
	tree->count = 0;
	tree->last_root = NULL;
}

static void link_block(struct fake_tree *tree, struct fake_block *parent, struct fake_block *block)
{
	struct fake_block **last = parent ? &parent->last_child : &tree->last_root;

	if (*last)
		(*last)->list.NextBlock = &block->list;
	else if (parent)
		parent->list.DependentBlockList = &block->list;
	*last = block;
}

struct fake_block *fake_block_refer(struct fake_tree *tree, struct fake_block *parent,
				    OFFLOAD_STATE_TYPE type, NDIS_OFFLOAD_HANDLE *handle)
{
	struct fake_block *block;

	assert_true(tree->count < FAKE_TREE_BLOCKS);
	block = &tree->blocks[tree->count];
	memset(block, 0, sizeof(*block));
	block->list.Header.Type = (UCHAR)type;
	block->list.Header.Revision = 1;
	block->list.Header.Size = sizeof(block->list);
	block->list.OffloadHandle = handle;
	link_block(tree, parent, block);
	tree->count++;
	return block;
}

struct fake_block *fake_block_add(struct fake_tree *tree, struct fake_block *parent,
				  OFFLOAD_STATE_TYPE type, enum fake_block_kind kind)
{
	struct fake_block *block = fake_block_refer(tree, parent, type, NULL);

	if (kind == FAKE_NEW)
		block->list.OffloadHandle = &block->own_handle;
	return block;
}

struct fake_block *fake_tree_connection(struct fake_tree *tree)
{
	struct fake_block *neighbor = fake_block_add(tree, NULL, NeighborOffloadState, FAKE_NEW);
	struct fake_block *path = fake_block_add(tree, neighbor, Ip4OffloadState, FAKE_NEW);

	fake_block_add(tree, path, TcpOffloadState, FAKE_NEW);
	return neighbor;
}
