/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver verifier: for each rule a driver that breaks it. What NDIS survives is counted; one
 * rule is broken in a child process as well, whose last words are read.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "fake/fake_stack.h"
#include "ndis/nrt_verify.h"
#include "req.h"

static struct fake_stack stack;
static uint64_t before[NRT_RULES];

static int setup(void **state)
{
	unsigned int rule;

	(void)state;
	nrt_verify_enable(NRT_VERIFY_LOG);
	for (rule = 0; rule < NRT_RULES; rule++)
		before[rule] = nrt_verify_count(rule);
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	fake_stack_offload(&stack);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stack_terminate(&stack, &stack.tree, stack.binding);
	fake_stack_stop(&stack);
	nrt_verify_enable(NRT_VERIFY_OFF);
	return 0;
}

/* Fails unless the rule was broken once and no other. */
static void only(enum nrt_verify_rule broken)
{
	unsigned int rule;

	for (rule = 0; rule < NRT_RULES; rule++)
		assert_int_equal(nrt_verify_count(rule) - before[rule], rule == broken);
}

static struct fake_tree more;

/* A tree of one block about the connection. */
static struct fake_block *about(NDIS_OFFLOAD_HANDLE *handle)
{
	fake_tree_init(&more);
	return fake_block_refer(&more, NULL, TcpOffloadState, handle);
}

static NDIS_STATUS odd_status(void *ctx, enum fake_op op,
			      const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	(void)ctx, (void)op, (void)block;
	return NDIS_STATUS_RESOURCES;
}

static NDIS_STATUS odd_failure(void *ctx, enum fake_op op,
			       const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	(void)ctx, (void)op, (void)block;
	return NDIS_STATUS_FAILURE;
}

static void test_none(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	NdisQueryOffloadState(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	only(NRT_RULES);
}

static void test_status(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	stack.mp.verdict = odd_status;
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_INVALIDATE);
	stack.mp.verdict = NULL;
	only(NRT_RULE_STATUS);
}

static void test_completed_twice(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *seen;

	(void)state;
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	seen = stack.adapter->open[FAKE_INVALIDATE];
	fake_adapter_complete(stack.adapter, FAKE_INVALIDATE);
	NdisMInvalidateOffloadComplete(stack.adapter->handle, seen);
	only(NRT_RULE_COMPLETED);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_INVALIDATE_COMPLETE), 1);
}

static void test_wrong_function(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	NdisMUpdateOffloadComplete(stack.adapter->handle, stack.adapter->open[FAKE_INVALIDATE]);
	only(NRT_RULE_FUNCTION);
	fake_adapter_complete(stack.adapter, FAKE_INVALIDATE);
}

static void test_touched(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	block->list.OffloadHandle = fake_stack_handle(&stack, 1);
	fake_adapter_complete(stack.adapter, FAKE_INVALIDATE);
	only(NRT_RULE_TOUCHED);
}

static void test_not_offloaded(void **state)
{
	NDIS_OFFLOAD_HANDLE nothing;
	struct fake_block *block = about(&nothing);

	(void)state;
	nothing = *fake_stack_handle(&stack, 2);
	nothing.NdisReserved[0] = NULL;
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	only(NRT_RULE_OBJECT);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_INVALIDATE_COMPLETE), 1);
	assert_int_equal(block->list.Status, NDIS_STATUS_FAILURE);
}

/* Not even looked at: it may lie anywhere. */
static void test_stale_handle(void **state)
{
	struct fake_block *block = about((NDIS_OFFLOAD_HANDLE *)(uintptr_t)0x10);

	(void)state;
	NdisTerminateOffload(stack.binding->handle, &block->list);
	only(NRT_RULE_OBJECT);
	assert_int_equal(block->list.Status, NDIS_STATUS_FAILURE);
}

static void test_header(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	block->list.Header.Revision = 2;
	NdisQueryOffloadState(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	only(NRT_RULE_HEADER);
	block->list.Header.Revision = 1;
	block->list.Header.Size = sizeof(block->list) + 8; /* as if the state counted */
	NdisQueryOffloadState(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	assert_int_equal(nrt_verify_count(NRT_RULE_HEADER) - before[NRT_RULE_HEADER], 2);
}

/* The path while its connection stays; the path and its connection in one tree are in order. */
static void test_dependents(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 1));

	(void)state;
	stack.mp.verdict = odd_failure;
	NdisTerminateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	only(NRT_RULE_DEPENDENTS);
	fake_tree_init(&more);
	block = fake_block_refer(&more, NULL, Ip4OffloadState, fake_stack_handle(&stack, 1));
	fake_block_refer(&more, block, TcpOffloadState, fake_stack_handle(&stack, 2));
	NdisTerminateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	only(NRT_RULE_DEPENDENTS);
	stack.mp.verdict = NULL;
}

static void test_invalidated(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	NdisUpdateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_UPDATE);
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_INVALIDATE);
	only(NRT_RULES);
	NdisUpdateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_UPDATE);
	only(NRT_RULE_INVALID);
}

/* Once an operation, when its time is over, and not before. */
static void test_late(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 2));

	(void)state;
	nrt_verify_time(1000000);
	NdisQueryOffloadState(stack.binding->handle, &block->list);
	nrt_verify_time(1000000 + NRT_VERIFY_LATE_US - 1);
	only(NRT_RULES);
	nrt_verify_time(1000000 + 2 * NRT_VERIFY_LATE_US);
	nrt_verify_time(1000000 + 3 * NRT_VERIFY_LATE_US);
	only(NRT_RULE_LATE);
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	only(NRT_RULE_LATE);
}

/* Lists that come from nobody's pool: the ledger does not follow them. */
static void lists_of(NET_BUFFER_LIST lists[3])
{
	memset(lists, 0, 3 * sizeof(lists[0]));
}

static void test_order(void **state)
{
	struct nrt_open *open = stack.binding->handle;
	NET_BUFFER_LIST lists[3];

	(void)state;
	lists_of(lists);
	lists[0].Next = &lists[1];
	nrt_verify_down(open, fake_stack_handle(&stack, 2), lists, NRT_LEDGER_RECEIVE);
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[2], NRT_LEDGER_RECEIVE);
	lists[0].Next = NULL;
	nrt_verify_up(open, &lists[0], NRT_LEDGER_RECEIVE);
	only(NRT_RULES);
	nrt_verify_up(open, &lists[2], NRT_LEDGER_RECEIVE);
	only(NRT_RULE_ORDER);
	nrt_verify_up(open, &lists[1], NRT_LEDGER_RECEIVE);
	only(NRT_RULE_ORDER);
}

static void test_disconnect_overtakes(void **state)
{
	struct nrt_open *open = stack.binding->handle;
	NET_BUFFER_LIST lists[3];

	(void)state;
	lists_of(lists);
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[0], NRT_LEDGER_SEND);
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[1], NRT_LEDGER_DISCONNECT);
	lists[1].Status = NDIS_STATUS_SUCCESS;
	nrt_verify_up(open, &lists[1], NRT_LEDGER_DISCONNECT);
	only(NRT_RULE_ORDER);
}

static void test_list_down_twice(void **state)
{
	struct nrt_open *open = stack.binding->handle;
	NET_BUFFER_LIST lists[3];

	(void)state;
	lists_of(lists);
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[0], NRT_LEDGER_SEND);
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[0], NRT_LEDGER_SEND);
	only(NRT_RULE_LIST);
}

/* Sends travel with the state, receive requests have to be complete. */
static void test_left_over(void **state)
{
	struct nrt_open *open = stack.binding->handle;
	NET_BUFFER_LIST lists[3];
	struct fake_block *block;

	(void)state;
	lists_of(lists);
	block = about(fake_stack_handle(&stack, 2));
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[0], NRT_LEDGER_SEND);
	nrt_verify_down(open, fake_stack_handle(&stack, 2), &lists[1], NRT_LEDGER_RECEIVE);
	NdisTerminateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	only(NRT_RULE_LIST);
	fake_stack_handle(&stack, 2)->MiniportOffloadContext = NULL; /* gone already */
}

static void test_being_offloaded(void **state)
{
	static struct fake_tree second;
	struct fake_block *root, *block;

	(void)state;
	fake_tree_init(&second);
	root = fake_tree_connection(&second);
	NdisInitiateOffload(stack.binding->handle, &root->list);
	block = about(&second.blocks[2].own_handle);
	second.blocks[2].own_handle.MiniportOffloadContext = NULL;
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	only(NRT_RULE_BUSY);
	stack.mp.verdict = odd_status;
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	stack.mp.verdict = NULL;
	NdisMInvalidateOffloadComplete(stack.adapter->handle,
				       (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&block->list);
}

static void test_tree(void **state)
{
	struct fake_block *block = about(fake_stack_handle(&stack, 1));

	(void)state;
	fake_block_refer(&more, block, NeighborOffloadState, fake_stack_handle(&stack, 0));
	NdisInvalidateOffload(stack.binding->handle, &block->list);
	fake_adapter_complete(stack.adapter, FAKE_INVALIDATE);
	only(NRT_RULE_TREE);
}

static void test_abort(void **state)
{
	char said[1024];
	int fds[2], status;
	ssize_t length;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		nrt_verify_enable(NRT_VERIFY_ABORT);
		test_status(state);
		_exit(0);
	}
	close(fds[1]);
	length = read(fds[0], said, sizeof(said) - 1);
	said[length > 0 ? length : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(said, "NdisMInvalidateOffloadComplete()"));
	assert_non_null(strstr(said, "the driver of tgt0"));
	assert_non_null(strstr(said, "INV-09"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_none),
		TEST(test_status),
		TEST(test_completed_twice),
		TEST(test_wrong_function),
		TEST(test_touched),
		TEST(test_not_offloaded),
		TEST(test_stale_handle),
		TEST(test_header),
		TEST(test_dependents),
		TEST(test_invalidated),
		TEST(test_late),
		TEST(test_order),
		TEST(test_disconnect_overtakes),
		TEST(test_list_down_twice),
		TEST(test_left_over),
		TEST(test_being_offloaded),
		TEST(test_tree),
		TEST(test_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
