/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_tree.c - one tree from above becomes one tree per member, and one again.
 *
 * Theory of operation
 *
 * A connection is at one member, its owner. Paths and neighbors are at every member that needs
 * them. So a tree from above may concern several members:
 *
 *     N1 - P1 - T1 (owner a)              at a: N1  - P1  - T1        at b: N1' - P1' - T2
 *             - T2 (owner b)      --->                    - T3
 *             - T3 (owner a)
 *
 * Blocks of connections are never copied: they are only linked into other rows (their state with
 * its chains of data may belong to the owner alone). Path and neighbor blocks are reused in place
 * at one member and copied for the others (N1', P1'). Order within a row is kept in each member's
 * row, so every member walks its part of the tree as it would have walked the whole.
 *
 * A path or neighbor that the host only links to may not be at the new connection's member yet.
 * Then the copy for that member brings the object, made from what mux_entry.c kept, although the
 * host thinks that it was offloaded long ago. When the host's tree begins with the path, its
 * neighbor's block is made as well. The reverse happens in an update that hangs a path under a
 * neighbor which is not at the path's member: the neighbor is offloaded there first (the call's
 * `before` stage).
 *
 * When all parts are completed, links and words of the host's blocks are as they came, and the
 * statuses of copies are merged:
 *
 *     initiate   own state: offloaded if it is at any member; then by the dependents, as a target
 *                judges (success, partial success; failure of a linker without any)
 *     the others success if every member says so, else the first other status
 *
 * A part is an IM call entry: it saves ImReserved and SourceHandle of the block that is the root of
 * the member's tree, which NDIS overwrites on the way down.
 *
 * Order matters: all memory is taken before the first block is touched (mux_plan.c); entries of
 * terminated objects are freed after the completion was passed on, because until then the driver
 * above may still refer to them, and from then on the tree must not be looked at.
 */
#include "im/mux/mux_tree.h"

#include "ndis/nrt_nblq.h"

static struct mux_member *member_of(const struct mux_call *call, unsigned int i)
{
	return call->team->members[i];
}

/* ---- Building ---- */

static void link_below(union im_block *above, union im_block *last, union im_block *block)
{
	if (last)
		last->miniport.NextBlock = &block->miniport;
	else
		above->miniport.DependentBlockList = &block->miniport;
}

static void link_root(struct mux_part *part, union im_block *block)
{
	if (part->last)
		part->last->miniport.NextBlock = &block->miniport;
	else
		part->root = block;
	part->last = block;
}

static void place(struct mux_call *call, struct mux_piece *piece, unsigned int i)
{
	struct mux_piece *above = piece->parent >= 0 ? &call->pieces[piece->parent] : NULL;
	union im_block *block = piece->at[i];

	block->miniport.NextBlock = NULL;
	block->miniport.DependentBlockList = NULL;
	if (!above || !above->at[i]) {
		link_root(&call->parts[i], block);
		return;
	}
	link_below(above->at[i], above->last[i], block);
	above->last[i] = block;
}

/* Our handle for the object at the member, in a block that goes there. */
static void name_object(struct mux_call *call, struct mux_piece *piece, unsigned int i)
{
	struct mux_leg *leg = mux_piece_leg(piece, member_of(call, i));

	if (leg && !leg->there && !leg->making && call->op == IM_INITIATE) {
		mux_leg_make(leg);
		piece->made |= 1u << i;
	}
	piece->at[i]->protocol.OffloadHandle =
		leg && (leg->there || leg->making) ? &leg->handle : NULL;
}

/* An update cannot move a path to a neighbor that could not be offloaded to the path's member; then
 * neither the path's block nor what hangs below it is sent there. */
static bool stays_here(const struct mux_call *call, const struct mux_piece *piece, unsigned int i)
{
	const struct mux_piece *above = piece->parent >= 0 ? &call->pieces[piece->parent] : NULL;

	if (above && mux_has(above->unsent, i))
		return true;
	return piece->moves && !mux_entry_leg(above->entry, member_of(call, i))->there;
}

static void build_piece(struct mux_call *call, struct mux_piece *piece)
{
	unsigned int i;

	if (piece->home >= 0)
		piece->at[piece->home] = piece->block;
	for (i = 0; i < call->team->member_count; i++) {
		if (!piece->at[i])
			continue;
		if (stays_here(call, piece, i)) {
			piece->unsent |= 1u << i;
			piece->at[i]->miniport.Status = NDIS_STATUS_FAILURE;
			continue;
		}
		place(call, piece, i);
		name_object(call, piece, i);
	}
	if (piece->home >= 0 && piece->is_new && piece->entry->layer == IM_NEIGHBOR)
		piece->mac_filled = mux_fill_mac(
			call->team, member_of(call, (unsigned int)piece->home), piece->block);
}

/* Send data that travels with the state: lists of the host that are below as long as the object is,
 * unless they complete before. */
static unsigned int travelling(const struct mux_piece *piece)
{
	if (piece->entry->layer != IM_TCP)
		return 0;
	return (unsigned int)nrt_nbl_count(piece->block->miniport.NetBufferListChain);
}

/* What the team notes of an object while the operation is under way. */
static void note_piece(const struct mux_call *call, const struct mux_piece *piece, bool begin)
{
	if (!piece->entry || !piece->block)
		return;
	if (call->op == IM_TERMINATE && piece->entry->layer == IM_TCP)
		piece->entry->state.tcp.ending = begin;
	if (call->op == IM_INITIATE && piece->is_new && begin)
		call->team->outstanding += travelling(piece);
	if (call->op == IM_UPDATE)
		piece->entry->updating += begin ? 1 : -1u;
}

static void build(struct mux_call *call)
{
	unsigned int n;

	for (n = 0; n < call->count; n++) {
		build_piece(call, &call->pieces[n]);
		note_piece(call, &call->pieces[n], true);
	}
}

/* ---- Parts ---- */

static void part_done(struct mux_call *call);

static void part_down(struct mux_part *part, const struct mux_member *member, enum im_op op)
{
	union im_block *root = part->root;

	part->im_reserved[0] = root->miniport.ImReserved[0];
	part->im_reserved[1] = root->miniport.ImReserved[1];
	part->source_handle = root->miniport.SourceHandle;
	root->protocol.ImReserved[0] = part;
	im_call_down(member->binding, op, root);
}

static void parts_down(struct mux_call *call, enum im_op op)
{
	unsigned int i;

	call->left = 1;
	for (i = 0; i < call->team->member_count; i++) {
		call->parts[i].call = call;
		call->left += call->parts[i].root != NULL;
	}
	for (i = 0; i < call->team->member_count; i++)
		if (call->parts[i].root)
			part_down(&call->parts[i], member_of(call, i), op);
	part_done(call);
}

void mux_part_completed(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list)
{
	union im_block *root = (union im_block *)list;
	struct mux_part *part = root->protocol.ImReserved[0];

	root->miniport.ImReserved[0] = part->im_reserved[0];
	root->miniport.ImReserved[1] = part->im_reserved[1];
	root->miniport.SourceHandle = part->source_handle;
	part_done(part->call);
}

/* ---- The stage before an update ---- */

static bool start_before(struct mux_call *call)
{
	struct mux_piece *piece;
	struct mux_leg *leg;
	unsigned int n, i;

	for (n = 0; n < call->count; n++) {
		piece = &call->pieces[n];
		for (i = 0; i < call->team->member_count; i++) {
			if (!piece->before[i])
				continue;
			leg = mux_piece_leg(piece, member_of(call, i));
			mux_leg_make(leg);
			piece->before[i]->protocol.OffloadHandle = &leg->handle;
			link_root(&call->parts[i], piece->before[i]);
			call->before = true;
		}
	}
	return call->before;
}

static void finish_before(struct mux_call *call)
{
	struct mux_piece *piece;
	unsigned int n, i;

	for (n = 0; n < call->count; n++) {
		piece = &call->pieces[n];
		for (i = 0; i < call->team->member_count; i++)
			if (piece->before[i])
				mux_leg_made(mux_piece_leg(piece, member_of(call, i)),
					     im_offloaded(piece->before[i]->miniport.Status));
	}
	for (i = 0; i < MUX_MEMBERS_MAX; i++)
		call->parts[i] = (struct mux_part){ 0 };
	call->before = false;
}

/* ---- Merging ---- */

static void restore(const struct mux_piece *piece)
{
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block = &piece->block->miniport;

	block->NextBlock = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)piece->next;
	block->DependentBlockList = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)piece->dependents;
	block->NdisOffloadHandle = piece->upper;
	block->MiniportOffloadContext = piece->slot;
	if (piece->mac_filled)
		mux_clear_mac(piece->block);
}

static bool is_split(const struct mux_piece *piece)
{
	return piece->home < 0 || piece->members != 1u << piece->home;
}

/* The first status that means that the object is not there (yet, any more). */
static NDIS_STATUS first_failure(const struct mux_piece *piece)
{
	unsigned int i;

	for (i = 0; i < MUX_MEMBERS_MAX; i++)
		if (piece->at[i] && !im_offloaded(piece->at[i]->miniport.Status))
			return piece->at[i]->miniport.Status;
	return NDIS_STATUS_FAILURE;
}

static bool offloaded_anywhere(const struct mux_piece *piece)
{
	unsigned int i;

	for (i = 0; i < MUX_MEMBERS_MAX; i++)
		if (piece->at[i] && im_offloaded(piece->at[i]->miniport.Status))
			return true;
	return false;
}

static NDIS_STATUS initiate_status(const struct mux_piece *piece)
{
	if (piece->is_new && !offloaded_anywhere(piece))
		return first_failure(piece);
	if (!piece->bad)
		return NDIS_STATUS_SUCCESS;
	return !piece->is_new && !piece->good ? NDIS_STATUS_FAILURE
					      : NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

static NDIS_STATUS other_status(const struct mux_call *call, const struct mux_piece *piece)
{
	unsigned int i;

	if (!piece->members) /* nothing of it is below (any more) */
		return call->op == IM_TERMINATE ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
	for (i = 0; i < MUX_MEMBERS_MAX; i++)
		if (piece->at[i] && piece->at[i]->miniport.Status != NDIS_STATUS_SUCCESS)
			return piece->at[i]->miniport.Status;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS merged_status(const struct mux_call *call, const struct mux_piece *piece)
{
	if (piece->lost)
		return NDIS_STATUS_FAILURE;
	if (!piece->entry)
		return NDIS_STATUS_SUCCESS;
	if (!is_split(piece) && !piece->judge)
		return piece->block->miniport.Status;
	return call->op == IM_INITIATE ? initiate_status(piece) : other_status(call, piece);
}

static void settle_made(const struct mux_call *call, struct mux_piece *piece)
{
	unsigned int i;

	for (i = 0; i < call->team->member_count; i++)
		if (mux_has(piece->made, i))
			mux_leg_made(mux_piece_leg(piece, member_of(call, i)),
				     im_offloaded(piece->at[i]->miniport.Status));
	if (!piece->is_new)
		return;
	if (!offloaded_anywhere(piece)) {
		call->team->outstanding -= travelling(piece);
		piece->bury = true;
		return;
	}
	*piece->entry->slot = piece->entry;
	if (piece->entry->layer == IM_TCP)
		mux_conn_insert(piece->entry);
}

/* Received data that no request took comes with the state; its lists are given back one day,
 * too. */
static void mark_buffered(const struct mux_piece *piece, const struct mux_leg *leg)
{
	const TCP_OFFLOAD_STATE_DELEGATED *delegated =
		piece->entry->layer == IM_TCP ? im_state(piece->block, IM_DELEGATED) : NULL;

	if (delegated)
		mux_mark_chain(delegated->BufferedData, leg->member);
}

static void settle_terminated(const struct mux_call *call, struct mux_piece *piece)
{
	struct mux_entry *entry = piece->entry;
	struct mux_leg *leg;
	unsigned int i, left = 0;

	for (i = 0; i < call->team->member_count; i++) {
		leg = mux_piece_leg(piece, member_of(call, i));
		if (!piece->at[i] || piece->at[i]->miniport.Status != NDIS_STATUS_SUCCESS || !leg ||
		    !leg->there)
			continue;
		mark_buffered(piece, leg);
		mux_leg_gone(leg);
	}
	for (i = 0; i < entry->leg_count; i++)
		left += entry->legs[i].there || entry->legs[i].making;
	if (left)
		return;
	if (entry->layer == IM_TCP)
		mux_conn_remove(entry);
	call->team->outstanding -= travelling(piece);
	piece->bury = true;
}

static void settle_updated(const struct mux_call *call, const struct mux_piece *piece)
{
	if (!offloaded_anywhere(piece))
		return;
	mux_entry_update(piece->entry, piece->block);
	if (piece->moves)
		mux_entry_adopt(piece->entry, call->pieces[piece->parent].entry);
}

static void settle_entry(const struct mux_call *call, struct mux_piece *piece)
{
	if (!piece->entry)
		return;
	if (call->op == IM_INITIATE)
		settle_made(call, piece);
	else if (call->op == IM_TERMINATE && piece->block)
		settle_terminated(call, piece);
	else if (call->op == IM_UPDATE && piece->block)
		settle_updated(call, piece);
}

/* Tell the piece above how this one ended. One that was sent nowhere is not in the member's
 * verdict. */
static void report_above(struct mux_call *call, const struct mux_piece *piece)
{
	struct mux_piece *above = piece->parent >= 0 ? &call->pieces[piece->parent] : NULL;

	if (!above || !piece->entry || call->op != IM_INITIATE)
		return;
	if (im_offloaded(piece->block->miniport.Status))
		above->good++;
	else
		above->bad++;
	above->judge |= !piece->members;
}

/*
 * Bottom-up. Legs first: what a piece's status is depends on the members' statuses, which lie in
 * the host's own block at home.
 */
static void merge(struct mux_call *call)
{
	struct mux_piece *piece;
	unsigned int n;

	for (n = call->count; n-- > 0;) {
		piece = &call->pieces[n];
		settle_entry(call, piece);
		note_piece(call, piece, false);
		if (!piece->block)
			continue;
		if (piece->entry && (call->op == IM_QUERY || call->op == IM_TERMINATE) &&
		    piece->entry->layer == IM_NEIGHBOR && is_split(piece))
			mux_gather_age(piece);
		piece->block->miniport.Status = merged_status(call, piece);
		report_above(call, piece);
		restore(piece);
	}
}

/* ---- The operation ---- */

/* A tree that has to wait is linked through MiniportReserved, which is ours as long as it is
 * here. */
static void wait_for_others(struct mux_team *team, enum im_op op, union im_block *root)
{
	root->miniport.MiniportReserved[0] = NULL;
	root->miniport.MiniportReserved[1] = (PVOID)(uintptr_t)op;
	if (team->waiting)
		team->waiting_last->miniport.MiniportReserved[0] = root;
	else
		team->waiting = root;
	team->waiting_last = root;
}

static void no_memory(struct mux_team *team, enum im_op op, union im_block *root)
{
	if (op != IM_TERMINATE && op != IM_INVALIDATE) {
		im_fail_row(root, op, NDIS_STATUS_RESOURCES);
		im_complete_up(team->miniport, op, root);
	} else if (!mux_one_begin(team, op, root)) {
		wait_for_others(team, op, root);
	}
}

static void retry_waiting(struct mux_team *team)
{
	union im_block *root = team->waiting, *next;

	mux_one_run(team);
	team->waiting = NULL;
	for (; root; root = next) {
		next = root->miniport.MiniportReserved[0];
		mux_state_call(team, (enum im_op)(uintptr_t)root->miniport.MiniportReserved[1],
			       root);
	}
}

static void bury(const struct mux_call *call)
{
	unsigned int n;

	for (n = call->count; n-- > 0;)
		if (call->pieces[n].bury)
			mux_entry_put(call->pieces[n].entry);
}

void mux_operation_over(struct mux_team *team)
{
	mux_lists_done(team, 0); /* lists may have left with the state */
	retry_waiting(team);
	mux_team_reconsider(team);
}

static void finish(struct mux_call *call)
{
	struct mux_team *team = call->team;

	merge(call);
	if (call->reserve) {
		mux_one_done(call);
		return;
	}
	im_complete_up(team->miniport, call->op, call->root);
	bury(call);
	mux_plan_free(call, false);
	mux_operation_over(team);
}

static void go_on(struct mux_call *call)
{
	build(call);
	parts_down(call, call->op);
}

static void part_done(struct mux_call *call)
{
	if (--call->left)
		return;
	if (!call->before) {
		finish(call);
		return;
	}
	finish_before(call);
	go_on(call);
}

void mux_start(struct mux_call *call)
{
	if (start_before(call))
		parts_down(call, IM_INITIATE);
	else
		go_on(call);
}

void mux_state_call(struct mux_team *team, enum im_op op, union im_block *root)
{
	struct mux_call *call = NULL;

	switch (mux_plan(team, op, root, &call)) {
	case MUX_PLAN_NO_MEMORY:
		no_memory(team, op, root);
		break;
	case MUX_PLAN_WAIT:
		wait_for_others(team, op, root);
		break;
	case MUX_PLAN_READY:
		mux_start(call);
		break;
	}
}
