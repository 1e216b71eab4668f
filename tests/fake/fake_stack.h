/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_stack.h - the usual arrangement: fake protocol, whatever a test puts in between, fake
 * miniport "tgt0".
 *
 *     fake_stack_init(&stack);          make the drivers less able here, if the test is about that
 *     fake_stack_start(&stack);         registers the miniport, makes the adapter
 *     fake_stack_bind(&stack, "tgt0");  registers the protocol, binds it to the top of the stack
 *     ...
 *     fake_stack_stop(&stack);          takes all apart, fails the test when something is left
 */
#ifndef TESTS_FAKE_STACK_H
#define TESTS_FAKE_STACK_H

#include "fake/fake_miniport.h"
#include "fake/fake_protocol.h"
#include "fake/fake_tree.h"
#include "ndis/nrt.h"

struct fake_stack {
	struct fake_log log;
	struct fake_miniport mp;
	struct fake_protocol pr;
	struct nrt_adapter *nrt;      /* of "tgt0" */
	struct fake_adapter *adapter; /* the fake behind it */
	struct fake_binding *binding;
	struct fake_tree tree; /* of fake_stack_offload() */
};

void fake_stack_init(struct fake_stack *stack);
void fake_stack_start(struct fake_stack *stack);
void fake_stack_bind(struct fake_stack *stack, const char *adapter_name);

/* fake_stack_offload() - offload one connection and leave the log empty. Returns the root of the
 * tree. */
struct fake_block *fake_stack_offload(struct fake_stack *stack);

/*
 * fake_stack_terminate() - terminate what a tree offloaded through a binding, each object in a root
 * of its own; fails the test unless all succeed.
 */
void fake_stack_terminate(struct fake_stack *stack, const struct fake_tree *tree,
			  struct fake_binding *binding);

/* fake_stack_unbind() - the protocol's end alone. fake_stack_stop() - everything. */
void fake_stack_unbind(struct fake_stack *stack);
void fake_stack_stop(struct fake_stack *stack);

/* The handles of the connection that fake_stack_offload() made. */
static inline NDIS_OFFLOAD_HANDLE *fake_stack_handle(struct fake_stack *stack, size_t level)
{
	return &stack->tree.blocks[level].own_handle;
}

#endif
