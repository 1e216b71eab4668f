/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_verify_object.h - what the verifier knows of a binding beyond the operation in hand: objects
 * that are offloaded, who depends on whom, what was invalidated, and which lists are below, in the
 * order in which they went there. Room-private; called by nrt_verify.c alone.
 *
 * Objects that were offloaded before the switch are not known, and nothing is said about them.
 * Context: the worker that owns the adapter. Out of memory, a note is left out.
 */
#ifndef NDIS_NRT_VERIFY_OBJECT_H
#define NDIS_NRT_VERIFY_OBJECT_H

#include "ndis/nrt_blocklist.h"
#include "ndis/nrt_ledger.h"
#include "ndis/nrt_private.h"

struct verify_list {
	const NET_BUFFER_LIST *nbl;
	struct verify_object *object;
	enum nrt_ledger_kind kind;
	struct verify_list *next_in_bucket, *next_below; /* of the same object and kind */
};

struct verify_object {
	const NDIS_OFFLOAD_HANDLE *handle;
	struct verify_object *parent, *next;
	unsigned int dependents, leaving; /* of those, how many the tree in hand takes along */
	bool invalid;
	struct verify_list *below[NRT_LEDGER_KINDS], **last[NRT_LEDGER_KINDS];
};

/* verify_object() - NULL: not known. Looks at the address of the handle only. */
struct verify_object *verify_object(const struct nrt_open *open, const NDIS_OFFLOAD_HANDLE *handle);

/* verify_all_known() - no object of the binding is older than the switch. */
bool verify_all_known(const struct nrt_open *open);

/* verify_settled() - an operation is over: what it made, moved, invalidated or took away. */
void verify_settled(struct nrt_open *open, enum nrt_op op, union nrt_block *root);

/* verify_list_down() - false: the list is below already. */
bool verify_list_down(struct nrt_open *open, struct verify_object *object,
		      enum nrt_ledger_kind kind, const NET_BUFFER_LIST *nbl);
/* verify_list_up() - take the note of a list out. *in_order: it was the oldest of its kind. */
struct verify_object *verify_list_up(struct nrt_open *open, const NET_BUFFER_LIST *nbl,
				     enum nrt_ledger_kind kind, bool *in_order);

/* verify_forget() - the binding is going. */
void verify_forget(struct nrt_open *open);

#endif
