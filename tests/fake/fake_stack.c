/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake/fake_stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

void fake_stack_init(struct fake_stack *stack)
{
	memset(stack, 0, sizeof(*stack));
	fake_miniport_init(&stack->mp, &stack->log);
	fake_protocol_init(&stack->pr, &stack->log);
	fake_tree_init(&stack->tree);
}

void fake_stack_start(struct fake_stack *stack)
{
	struct nrt_adapter_params params = { .name = "tgt0", .ifindex = 7 };

	assert_int_equal(fake_miniport_register(&stack->mp), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_adapter_create(stack->mp.driver, &params, &stack->nrt), 0);
	stack->adapter = fake_miniport_adapter(&stack->mp, 0);
}

void fake_stack_bind(struct fake_stack *stack, const char *adapter_name)
{
	assert_int_equal(fake_protocol_register(&stack->pr), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(stack->pr.driver, adapter_name), 0);
	stack->binding = fake_protocol_binding(&stack->pr, 0);
}

struct fake_block *fake_stack_offload(struct fake_stack *stack)
{
	struct fake_block *root = fake_tree_connection(&stack->tree);
	size_t i;

	NdisInitiateOffload(stack->binding->handle, &root->list);
	fake_adapter_complete(stack->adapter, FAKE_INITIATE);
	for (i = 0; i < 3; i++) {
		assert_int_equal(stack->tree.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
		assert_non_null(stack->tree.blocks[i].own_handle.MiniportOffloadContext);
	}
	fake_log_clear(&stack->log);
	return root;
}

void fake_stack_terminate(struct fake_stack *stack, const struct fake_tree *tree,
			  struct fake_binding *binding)
{
	static struct fake_tree ends;
	bool inline_before = stack->mp.complete_inline;
	size_t i;

	fake_tree_init(&ends);
	for (i = 0; i < tree->count; i++)
		if (tree->blocks[i].own_handle.MiniportOffloadContext)
			fake_block_refer(&ends, NULL, tree->blocks[i].list.Header.Type,
					 (NDIS_OFFLOAD_HANDLE *)&tree->blocks[i].own_handle);
	if (!ends.count)
		return;
	stack->mp.verdict = NULL;
	stack->mp.complete_inline = true;
	NdisTerminateOffload(binding->handle, &ends.blocks[0].list);
	stack->mp.complete_inline = inline_before;
	for (i = 0; i < ends.count; i++)
		assert_int_equal(ends.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
}

void fake_stack_unbind(struct fake_stack *stack)
{
	if (!stack->pr.driver)
		return;
	fake_protocol_deregister(&stack->pr);
	if (stack->binding)
		assert_null(stack->binding->handle);
}

void fake_stack_stop(struct fake_stack *stack)
{
	fake_stack_unbind(stack);
	assert_int_equal(nrt_adapter_destroy(stack->nrt), 0);
	assert_true(stack->adapter->halted);
	assert_null(nrt_adapter_find("tgt0"));
	fake_miniport_deregister(&stack->mp);
}
