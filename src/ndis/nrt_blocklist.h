/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_blocklist.h - block lists of both kinds as one, and what NDIS does to them. Theory in
 * nrt_blocklist.c.
 */
#ifndef NDIS_NRT_BLOCKLIST_H
#define NDIS_NRT_BLOCKLIST_H

#include <stdbool.h>
#include <stddef.h>

#include <ndis/ndischimney.h>

#define NRT_BLOCK_LEVELS 3          /* neighbor, path, TCP */
#define NRT_BLOCKS_MAX   (1u << 22) /* of one operation; more can only be a circle */

/*
 * The two public types lie over each other; only through this union does our code look at one as
 * the other.
 */
union nrt_block {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST protocol;
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST miniport;
};

/*
 * A walk over a forest, depth first: a block, then what depends on it, then its NextBlock. The
 * block in hand may be changed, its links may not.
 *
 *     for (block = nrt_block_first(&walk, root); block; block = nrt_block_next(&walk))
 */
struct nrt_block_walk {
	union nrt_block *path[NRT_BLOCK_LEVELS]; /* [depth]: in hand; before it: parents */
	unsigned int depth;
	unsigned int left; /* blocks that may still follow */
	bool too_deep;     /* met dependents below the third level: they were not visited */
};

union nrt_block *nrt_block_first(struct nrt_block_walk *walk, union nrt_block *root);
union nrt_block *nrt_block_next(struct nrt_block_walk *walk);

/*
 * nrt_blocks_to_miniport() - turn a forest of protocol block lists into miniport block lists, in
 * place. reserved: what NDIS puts into NdisReserved[0] of the NDIS_OFFLOAD_HANDLE of every object
 * that is new; NULL leaves the handles alone (every operation but initiate).
 * Returns:   number of handles that got the mark; -EINVAL when the tree is deeper than three levels
 *            or endless: then nothing was changed.
 */
int nrt_blocks_to_miniport(union nrt_block *root, void *reserved)
	__attribute__((warn_unused_result));

/* nrt_blocks_to_protocol() - the way back, on completion. */
void nrt_blocks_to_protocol(union nrt_block *root);

/*
 * nrt_blocks_refuse() - Status of every block when an operation does not reach a miniport:
 * placeholders succeed as always, every other block fails. Takes either kind of list.
 */
void nrt_blocks_refuse(union nrt_block *root);

/*
 * nrt_blocks_fill_headers() - what NDIS stores before an initiate: Length of each state structure
 * behind a new offload, and Revision and Size of the blocks, wherever the protocol left them 0.
 */
void nrt_blocks_fill_headers(union nrt_block *root);

#endif
