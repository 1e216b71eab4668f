/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_one.c - terminate and invalidate without memory, one object at a time.
 *
 * A host that is short of memory uploads connections, and so does one that obeys UPLOAD_ALL:
 * neither must fail because the team cannot allocate what splitting the tree takes. So every team
 * has a reserve: a call with one piece, and a copy of a block for each member but one. When memory
 * is short a tree is taken apart here, dependents before what they depend on; each block goes
 * through the reserve as a tree of its own, and the host gets its tree back when all of them are
 * done.
 *
 * There is one reserve: another tree that finds no memory meanwhile waits for the end of this one.
 */
#include "im/mux/mux_tree.h"

#include <errno.h>
#include <string.h>

#include "ndis/nrt_alloc.h"

struct mux_one {
	struct mux_call *call; /* the reserve */
	union im_block *twins[MUX_MEMBERS_MAX];
	union im_block *root; /* the tree that is being worked off; NULL: none */
	enum im_op op;
	union im_block *at, *next, *dependents; /* the block that is under way, and its own links */
	bool running;                           /* mux_one_run() is on the stack */
	struct mux_entry *dead;                 /* entries that end with the operation */
};

/* ---- The reserve ---- */

int mux_one_create(struct mux_team *team)
{
	struct mux_one *one = nrt_zalloc(sizeof(*one));
	unsigned int i;

	team->one = one;
	if (!one)
		return -ENOMEM;
	one->call = nrt_zalloc(sizeof(*one->call) + sizeof(one->call->pieces[0]));
	if (!one->call)
		return -ENOMEM;
	for (i = 0; i < team->member_count; i++) {
		one->twins[i] = nrt_zalloc(MUX_TWIN_BYTES);
		if (!one->twins[i])
			return -ENOMEM;
	}
	return 0;
}

void mux_one_destroy(struct mux_team *team)
{
	unsigned int i;

	for (i = 0; team->one && i < MUX_MEMBERS_MAX; i++)
		nrt_free(team->one->twins[i]);
	if (team->one)
		nrt_free(team->one->call);
	nrt_free(team->one);
	team->one = NULL;
}

struct mux_call *mux_one_call(struct mux_team *team)
{
	struct mux_call *call = team->one->call;

	memset(call, 0, sizeof(*call) + sizeof(call->pieces[0]));
	call->reserve = true;
	return call;
}

union im_block *mux_one_twin(const struct mux_team *team, const struct mux_member *member)
{
	union im_block *twin = team->one->twins[member->index];

	memset(twin, 0, MUX_TWIN_BYTES);
	return twin;
}

/* ---- Working off a tree ---- */

/* MiniportReserved is ours as long as a block is here: it notes which blocks are done. */
static void clear_marks(union im_block *row)
{
	for (; row; row = im_next(row)) {
		row->miniport.MiniportReserved[0] = NULL;
		clear_marks(im_dependents(row));
	}
}

/* The first block that is not done, dependents first. */
static union im_block *find_next(union im_block *row)
{
	union im_block *found;

	for (; row; row = im_next(row)) {
		found = find_next(im_dependents(row));
		if (found)
			return found;
		if (!row->miniport.MiniportReserved[0])
			return row;
	}
	return NULL;
}

static void take_out(struct mux_one *one, union im_block *block)
{
	one->at = block;
	one->next = im_next(block);
	one->dependents = im_dependents(block);
	block->miniport.NextBlock = NULL;
	block->miniport.DependentBlockList = NULL;
}

static void put_back(struct mux_one *one, bool done)
{
	union im_block *block = one->at;

	block->miniport.NextBlock = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)one->next;
	block->miniport.DependentBlockList = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)one->dependents;
	block->miniport.MiniportReserved[0] = done ? one : NULL;
	one->at = NULL;
}

static void end(struct mux_team *team)
{
	struct mux_one *one = team->one;
	struct mux_entry *dead = one->dead, *entry;
	union im_block *root = one->root;

	one->root = NULL;
	one->dead = NULL;
	im_complete_up(team->miniport, one->op, root);
	while ((entry = dead)) {
		dead = entry->grave;
		mux_entry_put(entry);
	}
	mux_operation_over(team);
}

/* The next block goes down. Returns: false when there is none, or when it has to wait. */
static bool step(struct mux_team *team)
{
	struct mux_one *one = team->one;
	union im_block *block = find_next(one->root);
	struct mux_call *call;

	if (!block) {
		end(team);
		return false;
	}
	take_out(one, block);
	if (mux_plan_reserve(team, one->op, block, &call) == MUX_PLAN_READY) {
		mux_start(call);
		return true;
	}
	put_back(one,
		 false); /* an object of it is just being offloaded: mux_one_run() comes again */
	return false;
}

void mux_one_run(struct mux_team *team)
{
	struct mux_one *one = team->one;

	if (one->running)
		return;
	one->running = true;
	while (one->root && !one->at && step(team))
		;
	one->running = false;
}

bool mux_one_begin(struct mux_team *team, enum im_op op, union im_block *root)
{
	struct mux_one *one = team->one;

	if (one->root)
		return false;
	one->root = root;
	one->op = op;
	clear_marks(root);
	mux_one_run(team);
	return true;
}

void mux_one_done(struct mux_call *call)
{
	struct mux_one *one = call->team->one;
	struct mux_piece *piece = &call->pieces[0];

	if (piece->bury) {
		piece->entry->grave = one->dead;
		one->dead = piece->entry;
	}
	put_back(one, true);
	mux_one_run(call->team);
}
