/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_plan.c - who needs what of a tree from above: the first half of a state operation, which
 * takes all the memory and changes nothing yet.
 *
 * Pieces lie in the order in which the tree is walked, depth first, so a piece stands behind the
 * one above it: walking the array backwards is bottom-up.
 */
#include "im/mux/mux_tree.h"

#include "ndis/nrt_alloc.h"

/* ---- Pieces ---- */

static unsigned int count_row(const union im_block *row)
{
	unsigned int n = 0;

	for (; row; row = im_next(row))
		n += 1 + count_row(im_dependents(row));
	return n;
}

static int piece_add(struct mux_call *call, int parent)
{
	struct mux_piece *piece = &call->pieces[call->count];

	piece->parent = parent;
	piece->home = -1;
	return (int)call->count++;
}

/* The object of a block; for a new one its entry is made here. Returns: false when memory is
 * short. */
static bool find_entry(struct mux_call *call, struct mux_piece *piece, struct mux_entry *above)
{
	if (!piece->slot)
		return true;
	piece->entry = *piece->slot;
	if (piece->entry)
		return true;
	if (call->op != IM_INITIATE) {
		piece->lost = true;
		return true;
	}
	piece->is_new = true;
	piece->entry = mux_entry_new(call->team, piece->block, above);
	return piece->entry;
}

static bool plan_row(struct mux_call *call, union im_block *row, int parent);

static bool plan_block(struct mux_call *call, union im_block *block, int parent)
{
	struct mux_entry *above = parent >= 0 ? call->pieces[parent].entry : NULL;
	int index = piece_add(call, parent);
	struct mux_piece *piece = &call->pieces[index];

	piece->block = block;
	piece->slot = block->miniport.MiniportOffloadContext;
	piece->upper = block->miniport.NdisOffloadHandle;
	piece->next = im_next(block);
	piece->dependents = im_dependents(block);
	if (!find_entry(call, piece, above))
		return false;
	piece->moves = call->op == IM_UPDATE && above && piece->entry &&
		       piece->entry->layer == IM_PATH && above->layer == IM_NEIGHBOR &&
		       piece->entry->parent != above;
	return plan_row(call, im_dependents(block), index);
}

/*
 * A path that is linked to, at the root: should it have to be offloaded to a further member, then
 * below its neighbor, whose block is not in the host's tree.
 */
static int plan_missing_neighbor(struct mux_call *call, const union im_block *block)
{
	PVOID *slot = block->miniport.MiniportOffloadContext;
	const struct mux_entry *entry = slot ? *slot : NULL;
	int index;

	if (call->op != IM_INITIATE || !entry || entry->layer != IM_PATH || !entry->parent)
		return -1;
	for (index = 0; index < (int)call->count; index++)
		if (!call->pieces[index].block && call->pieces[index].entry == entry->parent)
			return index;
	index = piece_add(call, -1);
	call->pieces[index].entry = entry->parent;
	return index;
}

static bool plan_row(struct mux_call *call, union im_block *row, int parent)
{
	for (; row; row = im_next(row))
		if (!plan_block(call, row, parent >= 0 ? parent : plan_missing_neighbor(call, row)))
			return false;
	return true;
}

/* ---- Members ---- */

static unsigned int bit_of(const struct mux_member *member)
{
	return member ? 1u << member->index : 0;
}

static unsigned int legs_there(const struct mux_entry *entry)
{
	unsigned int i, bits = 0;

	for (i = 0; i < entry->leg_count; i++)
		if (entry->legs[i].there)
			bits |= bit_of(entry->legs[i].member);
	return bits;
}

static unsigned int choose(struct mux_entry *entry)
{
	const struct mux_addresses *addresses = entry->parent && entry->parent->layer == IM_PATH
							? &entry->parent->state.path.addresses
							: NULL;

	entry->legs[0].member = mux_choose(entry->team, addresses, entry->state.tcp.local_port,
					   entry->state.tcp.remote_port);
	return bit_of(entry->legs[0].member);
}

static unsigned int lowest(unsigned int bits)
{
	return bits & (0u - bits);
}

/* The members that a block concerns by itself; below: those that its dependents need. */
static unsigned int own_members(const struct mux_call *call, const struct mux_piece *piece)
{
	struct mux_entry *entry = piece->entry;
	unsigned int below = piece->members;

	if (!entry || !piece->block)
		return 0;
	switch (call->op) {
	case IM_INITIATE:
		if (piece->is_new && entry->layer == IM_TCP)
			return choose(entry);
		if (below)
			return 0;
		return piece->is_new ? bit_of(mux_choose(call->team, NULL, 0, 0))
				     : lowest(legs_there(entry));
	case IM_QUERY:
		/* Constant and cached variables are the same everywhere. */
		if (entry->layer == IM_NEIGHBOR && im_state(piece->block, IM_DELEGATED))
			return legs_there(entry);
		return entry->layer == IM_TCP ? legs_there(entry) : lowest(legs_there(entry));
	default:
		return legs_there(entry);
	}
}

/* What the block above has to be at: where this one is. A missing neighbor is looked after when all
 * is known. */
static unsigned int needed_above(const struct mux_call *call, const struct mux_piece *piece,
				 const struct mux_piece *above)
{
	unsigned int bits = piece->members;

	if (!above->block)
		bits = 0;
	else if (call->op != IM_INITIATE && above->entry && !piece->moves)
		bits &= legs_there(above->entry); /* elsewhere the block hangs at the root */
	return bits;
}

/*
 * A member where a path of the root row has to be offloaded gets all of that row below neighbors: a
 * row has blocks of one layer only (BLK-06).
 */
static void plan_missing_members(struct mux_call *call)
{
	struct mux_piece *piece, *above;
	unsigned int n, lack = 0;

	for (n = 0; n < call->count; n++) {
		piece = &call->pieces[n];
		if (piece->parent >= 0 && !call->pieces[piece->parent].block)
			lack |= piece->members & ~legs_there(piece->entry);
	}
	for (n = 0; lack && n < call->count; n++) {
		piece = &call->pieces[n];
		above = piece->parent >= 0 ? &call->pieces[piece->parent] : NULL;
		if (above && !above->block)
			above->members |= piece->members & lack;
	}
}

/* The first member at which the block may stay what it is. */
static int find_home(const struct mux_call *call, const struct mux_piece *piece)
{
	const struct mux_leg *leg;
	unsigned int i;

	for (i = 0; piece->block && i < call->team->member_count; i++) {
		leg = mux_piece_leg(piece, call->team->members[i]);
		if (mux_has(piece->members, i) &&
		    (!piece->entry || piece->is_new || (leg && leg->there)))
			return (int)i;
	}
	return -1;
}

static void plan_members(struct mux_call *call)
{
	struct mux_piece *piece;
	unsigned int n;

	for (n = call->count; n-- > 0;) {
		piece = &call->pieces[n];
		piece->members |= own_members(call, piece);
		if (piece->parent >= 0)
			call->pieces[piece->parent].members |=
				needed_above(call, piece, &call->pieces[piece->parent]);
		piece->home = find_home(call, piece);
	}
	plan_missing_members(call);
}

static bool leg_is_being_made(const struct mux_entry *entry)
{
	unsigned int i;

	for (i = 0; i < entry->leg_count; i++)
		if (entry->legs[i].making)
			return true;
	return false;
}

static bool needs_further_leg(const struct mux_piece *piece)
{
	return piece->members & ~legs_there(piece->entry);
}

/*
 * Two operations of the host may meet at a path or neighbor that is just being offloaded to a
 * further member, of which the host knows nothing. The second one waits.
 */
static bool must_wait(const struct mux_call *call)
{
	const struct mux_piece *piece;
	unsigned int i;

	for (i = 0; i < call->count; i++) {
		piece = &call->pieces[i];
		if (!piece->entry || piece->is_new || piece->entry->layer == IM_TCP)
			continue;
		if (leg_is_being_made(piece->entry) &&
		    (call->op != IM_INITIATE || needs_further_leg(piece)))
			return true;
		if (call->op == IM_INITIATE && piece->entry->updating && needs_further_leg(piece))
			return true;
	}
	return false;
}

/* ---- Blocks ---- */

static bool make_block(struct mux_call *call, struct mux_piece *piece, unsigned int i)
{
	struct mux_member *member = call->team->members[i];
	const struct mux_leg *leg = mux_piece_leg(piece, member);

	if (!mux_has(piece->members, i))
		return true;
	if (call->op == IM_UPDATE && leg && !leg->there) {
		piece->before[i] = mux_twin_before(call, piece, member);
		if (!piece->before[i])
			return false;
	}
	if ((int)i == piece->home)
		return true;
	piece->at[i] = mux_twin(call, piece, member);
	return piece->at[i];
}

static bool make_blocks(struct mux_call *call)
{
	unsigned int n, i;

	for (n = 0; n < call->count; n++)
		for (i = 0; i < call->team->member_count; i++)
			if (!make_block(call, &call->pieces[n], i))
				return false;
	return true;
}

void mux_plan_free(struct mux_call *call, bool drop)
{
	struct mux_piece *piece;
	unsigned int n, i;

	if (!call || call->reserve)
		return;
	for (n = call->count; n-- > 0;) {
		piece = &call->pieces[n];
		for (i = 0; i < MUX_MEMBERS_MAX; i++) {
			if (piece->at[i] != piece->block)
				nrt_free(piece->at[i]);
			nrt_free(piece->before[i]);
		}
		if (drop && piece->is_new)
			mux_entry_put(piece->entry);
	}
	nrt_free(call);
}

static enum mux_plan plan(struct mux_team *team, enum im_op op, union im_block *root,
			  struct mux_call *call, struct mux_call **out)
{
	enum mux_plan result = MUX_PLAN_NO_MEMORY;

	call->team = team;
	call->op = op;
	call->root = root;
	if (plan_row(call, root, -1)) {
		plan_members(call);
		if (must_wait(call))
			result = MUX_PLAN_WAIT;
		else if (make_blocks(call))
			result = MUX_PLAN_READY;
	}
	*out = result == MUX_PLAN_READY ? call : NULL;
	if (result != MUX_PLAN_READY)
		mux_plan_free(call, true);
	return result;
}

enum mux_plan mux_plan(struct mux_team *team, enum im_op op, union im_block *root,
		       struct mux_call **out)
{
	unsigned int room = 2 * count_row(root); /* a missing neighbor for every block at most */
	struct mux_call *call = nrt_zalloc(sizeof(*call) + room * sizeof(call->pieces[0]));

	return call ? plan(team, op, root, call, out) : MUX_PLAN_NO_MEMORY;
}

enum mux_plan mux_plan_reserve(struct mux_team *team, enum im_op op, union im_block *block,
			       struct mux_call **out)
{
	return plan(team, op, block, mux_one_call(team), out);
}
