/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_verify.h - the driver verifier: a run-time switch, in every build, that holds the drivers of
 * a stack to the rules of state operations.
 *
 * While it is on, NDIS remembers of every operation that passes down through a binding what its
 * blocks looked like, and compares when they come back. What it finds ends the program
 * (NRT_VERIFY_ABORT) or is logged, more and more rarely, and counted (NRT_VERIFY_LOG). A message
 * names the driver, the call, the object, the rule and the row of the requirements behind it.
 * README.md of this room lists the rules. Which list is whose is the ledger's (nrt_ledger.h).
 *
 * Off, it costs one branch per operation and none per list. Operations that were under way when it
 * was switched on are let through.
 *
 * Context: the switch, any thread; the checks, as the operation.
 */
#ifndef NDIS_NRT_VERIFY_H
#define NDIS_NRT_VERIFY_H

#include "ndis/nrt_ledger.h"
#include "ndis/nrt_private.h"

enum nrt_verify_mode { NRT_VERIFY_OFF, NRT_VERIFY_LOG, NRT_VERIFY_ABORT };

enum nrt_verify_rule {
	NRT_RULE_CONTEXT,    /* called elsewhere than on the worker that owns the adapter */
	NRT_RULE_TREE,       /* not neighbor, path, TCP; endless; or a block out of alignment */
	NRT_RULE_OBJECT,     /* the handle names nothing that this binding offloaded */
	NRT_RULE_BUSY,       /* the object is being offloaded */
	NRT_RULE_COMPLETED,  /* completed, but not under way: twice, or never asked for */
	NRT_RULE_FUNCTION,   /* completed by the function of another operation */
	NRT_RULE_ADAPTER,    /* completed by another adapter */
	NRT_RULE_TOUCHED,    /* handle or links changed while the miniport had the block */
	NRT_RULE_STATUS,     /* a status that the operation does not have */
	NRT_RULE_HEADER,     /* Revision or Size of a block that no block has */
	NRT_RULE_DEPENDENTS, /* terminated, with objects left that depend on it */
	NRT_RULE_INVALID,    /* an update of what was invalidated */
	NRT_RULE_LATE,       /* no completion for a long time, or at the end of the binding */
	NRT_RULE_ORDER,      /* requests of a connection completed out of order */
	NRT_RULE_LIST,       /* a list given down that is below already, or not completed in time */
	NRT_RULES
};

extern enum nrt_verify_mode nrt_verify_mode_now; /* written by nrt_verify_enable() alone */

static inline bool nrt_verify_on(void)
{
	return __builtin_expect(
		__atomic_load_n(&nrt_verify_mode_now, __ATOMIC_RELAXED) != NRT_VERIFY_OFF, 0);
}

/* nrt_verify_enable() - from now on, for all adapters. */
void nrt_verify_enable(enum nrt_verify_mode mode);

/* nrt_verify_count() - violations of one rule since the start of the program. */
uint64_t nrt_verify_count(enum nrt_verify_rule rule);

/*
 * nrt_verify_call() - a tree is about to go down through open. Reads it and keeps a note. Returns:
 * false when it names a handle that is nobody's any more: nobody should look at that.
 */
bool nrt_verify_call(struct nrt_open *open, enum nrt_op op, union nrt_block *root);

/*
 * nrt_verify_complete() - a tree comes back from adapter. Returns: whether it may go on up; what is
 * not under way must not, because somebody else may own it already.
 */
bool nrt_verify_complete(struct nrt_adapter *adapter, enum nrt_op op, union nrt_block *root);

/*
 * nrt_verify_settled() - behind nrt_verify_complete(), when the tree is the driver above's again
 * and before it is given to it.
 */
void nrt_verify_settled(struct nrt_open *open, enum nrt_op op, union nrt_block *root);

/* nrt_verify_down(), nrt_verify_up() - lists pass a binding: requests, and completions. */
void nrt_verify_down(struct nrt_open *open, const NDIS_OFFLOAD_HANDLE *handle,
		     const NET_BUFFER_LIST *chain, enum nrt_ledger_kind kind);
void nrt_verify_up(struct nrt_open *open, const NET_BUFFER_LIST *chain, enum nrt_ledger_kind kind);

/*
 * nrt_verify_time() - what time it is for the drivers, virtual or not. Operations that are under
 * way for NRT_VERIFY_LATE_US are reported, once each. Cheap; does nothing while the verifier is off.
 * Context: the worker that owns the adapters.
 */
#define NRT_VERIFY_LATE_US 30000000ull
void nrt_verify_time(uint64_t now_us);

/* nrt_verify_forget() - the binding is going; its notes too. */
void nrt_verify_forget(struct nrt_open *open);

#endif
