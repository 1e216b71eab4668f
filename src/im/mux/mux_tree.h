/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_tree.h - one state operation of the host while it is split over the members; shared by
 * mux_tree.c (the operation), mux_plan.c (who needs what) and mux_block.c (further blocks).
 */
#ifndef IM_MUX_TREE_H
#define IM_MUX_TREE_H

#include "im/mux/mux_private.h"

/*
 * One block of the host's tree and what became of it. The host's own block is used at the member
 * called home, copies (twins) at the others.
 */
struct mux_piece {
	union im_block *block;             /* NULL: a neighbor block that the host's tree lacks */
	union im_block *next, *dependents; /* links of the block as they came */
	PVOID *slot;                       /* and its words */
	NDIS_HANDLE upper;
	struct mux_entry *entry; /* NULL: a placeholder, or a block that names nothing */
	int parent;              /* index of the piece above; -1: root */
	int home;                /* -1: the block is used nowhere */
	unsigned int members;    /* bits of those at which the block is used */
	unsigned int unsent;     /* of those at which it was left out after all */
	unsigned int made;       /* of those at which it brings the object */
	bool is_new;             /* brings an object that does not exist yet */
	bool lost;               /* names an object that does not exist */
	bool moves;              /* path that this update hangs under another neighbor */
	bool judge;              /* its status follows from those of its dependents */
	bool mac_filled;         /* the source address in the host's block is ours */
	bool bury;               /* the entry ends with the operation */
	unsigned int good, bad;  /* dependents that are offloaded, and not */
	union im_block *at[MUX_MEMBERS_MAX];
	union im_block *last[MUX_MEMBERS_MAX];   /* dependent there */
	union im_block *before[MUX_MEMBERS_MAX]; /* initiate that an update needs first */
};

/* IM call entry: what one member does of it. */
struct mux_part {
	struct mux_call *call;
	union im_block *root, *last;
	PVOID im_reserved[2]; /* of the root as they came */
	PVOID source_handle;
};

struct mux_call {
	struct mux_team *team;
	bool reserve; /* of the team: room for one piece (mux_one.c) */
	enum im_op op;
	union im_block *root;
	bool before;       /* the initiates that must come first are under way */
	unsigned int left; /* parts that are not completed, and one while they are being started */
	struct mux_part parts[MUX_MEMBERS_MAX];
	unsigned int count;
	struct mux_piece pieces[];
};

static inline bool mux_has(unsigned int members, unsigned int index)
{
	return members >> index & 1u;
}

/* The leg of the piece's object at a member, if it is there or being made; NULL: placeholder,
 * too. */
static inline struct mux_leg *mux_piece_leg(const struct mux_piece *piece,
					    const struct mux_member *member)
{
	return piece->entry ? mux_entry_leg(piece->entry, member) : NULL;
}

/* ---- mux_plan.c ---- */

enum mux_plan { MUX_PLAN_READY, MUX_PLAN_WAIT, MUX_PLAN_NO_MEMORY };

/*
 * mux_plan() - make the call: pieces, entries of new objects, their members, all blocks. The host's
 * tree is not touched. WAIT: an object is being offloaded to a member that this operation concerns
 * as well; try again later.
 */
enum mux_plan mux_plan(struct mux_team *team, enum im_op op, union im_block *root,
		       struct mux_call **out);
/* mux_plan_reserve() - the same for a single block, with the memory that the team has in
 * reserve. */
enum mux_plan mux_plan_reserve(struct mux_team *team, enum im_op op, union im_block *block,
			       struct mux_call **out);
/* mux_plan_free() - the call with its further blocks; drop: new entries as well. */
void mux_plan_free(struct mux_call *call, bool drop);

/* ---- mux_tree.c ---- */

/* mux_start() - carry out what was planned. */
void mux_start(struct mux_call *call);
/* mux_operation_over() - an operation was passed back: what waited for that. */
void mux_operation_over(struct mux_team *team);

/* ---- mux_one.c ---- */

/* mux_one_begin() - work off a tree one by one. False: another one is being worked off. */
bool mux_one_begin(struct mux_team *team, enum im_op op, union im_block *root);
/* mux_one_run() - go on with it, should it have had to wait. */
void mux_one_run(struct mux_team *team);
/* mux_one_done() - the call made of the reserve is over. */
void mux_one_done(struct mux_call *call);
struct mux_call *mux_one_call(struct mux_team *team);
union im_block *mux_one_twin(const struct mux_team *team, const struct mux_member *member);

/* ---- mux_block.c ---- */

/* A block that is made here, and the state behind it. */
#define MUX_STATE_BYTES 256u
#define MUX_TWIN_BYTES  (NDIS_OFFLOAD_STATE_ALIGN(sizeof(union im_block)) + MUX_STATE_BYTES)

/* mux_twin() - a further block of the piece for a member. NULL: no memory. */
union im_block *mux_twin(const struct mux_call *call, const struct mux_piece *piece,
			 const struct mux_member *member);
/* mux_twin_before() - a block that offloads the piece's neighbor to a member. */
union im_block *mux_twin_before(const struct mux_call *call, const struct mux_piece *piece,
				const struct mux_member *member);
/*
 * mux_fill_mac() - the team has one hardware address: a member with another one must not send with
 * its own. Returns: whether the block was changed.
 */
bool mux_fill_mac(const struct mux_team *team, const struct mux_member *member,
		  const union im_block *block);
void mux_clear_mac(const union im_block *block);
/* mux_gather_age() - the host asked for a neighbor's delegated state: the youngest of all
 * members. */
void mux_gather_age(const struct mux_piece *piece);

#endif
