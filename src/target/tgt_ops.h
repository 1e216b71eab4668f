/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_ops.h - the five state operations: initiate, query, update, invalidate, terminate.
 *
 * A handler from above queues the tree; tgt_ops_run() carries the trees out in the order of
 * arrival, fills every block's Status exactly once and calls the completion. Each operation is a
 * file: tgt_store.c (initiate), tgt_update.c (query, update, invalidate), tgt_upload.c (terminate
 * and upload requests).
 *
 * Context:   worker that owns the adapter.
 * Refs:      NS:ndischimney._NDIS_MINIPORT_OFFLOAD_BLOCK_LIST.
 */
#ifndef TARGET_TGT_OPS_H
#define TARGET_TGT_OPS_H

#include "target/tgt_priv.h"

typedef NDIS_MINIPORT_OFFLOAD_BLOCK_LIST tgt_block;

enum tgt_block_role {
	TGT_BLOCK_PLACEHOLDER, /* references nothing, no state follows */
	TGT_BLOCK_REFERENCE,   /* names an object; a linker in an initiate tree */
	TGT_BLOCK_NEW,         /* brings state to offload */
};

static inline enum tgt_block_role tgt_block_role(const tgt_block *block)
{
	if (!block->MiniportOffloadContext)
		return TGT_BLOCK_PLACEHOLDER;
	return *block->MiniportOffloadContext ? TGT_BLOCK_REFERENCE : TGT_BLOCK_NEW;
}

/*
 * tgt_tree_walk() - call fn for every block, depth first: a block, its dependents, then its next
 * block.
 */
typedef void tgt_block_fn(struct tgt_adapter *a, tgt_block *block, void *ctx);
void tgt_tree_walk(struct tgt_adapter *a, tgt_block *root, tgt_block_fn *fn, void *ctx);

/*
 * The operations. Each fills Status in every block; initiate, terminate and the rest end with their
 * completion (up).
 */
void tgt_op_initiate(struct tgt_adapter *a, tgt_block *root);
void tgt_op_terminate(struct tgt_adapter *a, tgt_block *root);
void tgt_op_query(struct tgt_adapter *a, tgt_block *root);
void tgt_op_update(struct tgt_adapter *a, tgt_block *root);
void tgt_op_invalidate(struct tgt_adapter *a, tgt_block *root);

/*
 * tgt_corrupt_check() - the connection's state is lost (test hook) and the host does not know yet:
 * the block fails. Returns true then; tgt_corrupt_events() (up) raises HardwareFailure and abort
 * after the completion.
 */
bool tgt_corrupt_check(struct tgt_object *object, tgt_block *block);
void tgt_corrupt_events(struct tgt_adapter *a);

#endif
