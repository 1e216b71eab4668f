/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * While offload is paused, initiate operations that arrive are kept back for HOLD_US: the pause is
 * usually short and the host's connection is frozen meanwhile, so it is not longer. An operation
 * kept back is overtaken by others, as an object that is not offloaded yet cannot be their subject.
 */
#include "target/tgt_ops.h"

#include "target/tgt_objects.h"
#include "target/tgt_upload.h"

#define HOLD_US 50000u

void tgt_tree_walk(struct tgt_adapter *a, tgt_block *root, tgt_block_fn *fn, void *ctx)
{
	for (tgt_block *block = root; block; block = block->NextBlock) {
		fn(a, block, ctx);
		tgt_tree_walk(a, block->DependentBlockList, fn, ctx);
	}
}

static void push(struct tgt_op_queue *q, tgt_block *root)
{
	root->MiniportReserved[0] = NULL;
	if (q->head)
		q->tail->MiniportReserved[0] = root;
	else
		q->head = root;
	q->tail = root;
}

static tgt_block *pop(struct tgt_op_queue *q)
{
	tgt_block *root = q->head;

	if (root)
		q->head = root->MiniportReserved[0];
	return root;
}

void tgt_ops_queue(struct tgt_adapter *a, tgt_block *root, enum tgt_op_kind kind)
{
	root->MiniportReserved[1] = (PVOID)(uintptr_t)kind;
	push(&a->ddi->ops, root);
}

static enum tgt_op_kind kind_of(const tgt_block *root)
{
	return (enum tgt_op_kind)(uintptr_t)root->MiniportReserved[1];
}

static bool kept_back(const struct tgt_adapter *a, const tgt_block *root)
{
	return kind_of(root) == TGT_OP_INITIATE && a->ddi->offload_paused && !a->ddi->upload_all &&
	       a->now_us - a->ddi->paused_us < HOLD_US;
}

static void run_one(struct tgt_adapter *a, tgt_block *root)
{
	switch (kind_of(root)) {
	case TGT_OP_INITIATE:
		tgt_op_initiate(a, root);
		return;
	case TGT_OP_TERMINATE:
		tgt_op_terminate(a, root);
		return;
	case TGT_OP_UPDATE:
		tgt_op_update(a, root);
		return;
	case TGT_OP_INVALIDATE:
		tgt_op_invalidate(a, root);
		return;
	case TGT_OP_QUERY:
		tgt_op_query(a, root);
		return;
	}
}

/* Operations that completions ask for join the end of the queue and run in the next round. */
void tgt_ops_run(struct tgt_adapter *a)
{
	struct tgt_op_queue todo = a->ddi->ops, kept = { 0 };
	tgt_block *root;

	a->ddi->ops = (struct tgt_op_queue){ 0 };
	while ((root = pop(&todo))) {
		if (kept_back(a, root))
			push(&kept, root);
		else
			run_one(a, root);
	}
	while ((root = pop(&a->ddi->ops)))
		push(&kept, root);
	a->ddi->ops = kept;
}

bool tgt_ops_waiting(const struct tgt_adapter *a)
{
	for (const tgt_block *root = a->ddi->ops.head; root; root = root->MiniportReserved[0])
		if (!kept_back(a, root))
			return true;
	return false;
}

uint64_t tgt_ops_deadline_us(const struct tgt_adapter *a)
{
	return a->ddi->ops.head ? a->ddi->paused_us + HOLD_US : UINT64_MAX;
}

/* ---- corrupt state ---- */

bool tgt_corrupt_check(struct tgt_object *object, tgt_block *block)
{
	struct tgt_conn_io *io = (struct tgt_conn_io *)object;

	if (object->kind != TGT_OBJECT_CONN || !io->corrupt || io->corrupt_told)
		return false;
	io->corrupt_due = true;
	block->Status = NDIS_STATUS_FAILURE;
	return true;
}

void tgt_corrupt_events(struct tgt_adapter *a)
{
	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io; io = tgt_conn_next(a, io)) {
		if (!io->corrupt_due)
			continue;
		io->corrupt_due = false;
		io->corrupt_told = true;
		tgt_upload_corrupt(a, io);
	}
}
