/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has which list. A driver that hands over what it does not have, or goes with something left,
 * ends the program in debug builds; each of these tests lets a child process do it and reads its
 * last words.
 */
#include <errno.h>
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
#include "ndis/nrt_ledger.h"
#include "req.h"

static struct fake_stack stack;
static NET_BUFFER_LIST list;

static int setup(void **state)
{
	(void)state;
	memset(&list, 0, sizeof(list));
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
	return 0;
}

static NDIS_OFFLOAD_HANDLE *connection(void)
{
	return fake_stack_handle(&stack, 2);
}

static NDIS_STATUS indicate(NET_BUFFER_LIST *nbl)
{
	ULONG consumed = 0;

	return stack.adapter->up.NdisTcpOffloadReceiveHandler(
		fake_adapter_object(stack.adapter, 2)->ndis_handle, nbl, NDIS_STATUS_SUCCESS,
		&consumed);
}

/* ---- Children that break a rule -------------------------------------------------------------- */

static size_t read_all(int fd, char *to, size_t size)
{
	size_t length = 0;
	ssize_t part;

	while (length + 1 < size && (part = read(fd, to + length, size - 1 - length)) > 0)
		length += (size_t)part;
	to[length] = '\0';
	return length;
}

/* Run rule_broken in a child. Fails unless it aborts with a message that has all the words. */
static void dies_saying(void (*rule_broken)(void), const char *const *words)
{
	char said[4096];
	int fds[2], status;
	pid_t child;

	if (!NRT_LEDGER)
		skip();
	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL); /* cmocka would report it as a failure */
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		rule_broken();
		_exit(0);
	}
	close(fds[1]);
	read_all(fds[0], said, sizeof(said));
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("the child lived on (status %#x): %s", status, said);
	for (; *words; words++)
		if (!strstr(said, *words))
			fail_msg("no word of \"%s\" in: %s", *words, said);
}

#define DIES(name, ...)                                                                            \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		static const char *const words[] = { __VA_ARGS__, NULL };                          \
                                                                                                   \
		(void)state;                                                                       \
		dies_saying(name, words);                                                          \
	}

static void send_twice(void)
{
	NdisOffloadTcpSend(connection(), &list);
	NdisOffloadTcpSend(connection(), &list);
}
DIES(send_twice, "NdisOffloadTcpSend()", "not FAKE's to hand over", "the driver of tgt0 has it",
     "by NdisOffloadTcpSend()")

static void send_what_is_posted(void)
{
	NdisOffloadTcpReceive(connection(), &list);
	NdisSendNetBufferLists(stack.binding->handle, &list, 0, 0);
}
DIES(send_what_is_posted, "NdisSendNetBufferLists()", "the driver of tgt0 has it",
     "by NdisOffloadTcpReceive()")

static void complete_twice(void)
{
	NdisOffloadTcpSend(connection(), &list);
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, &list);
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, &list);
}
DIES(complete_twice, "NdisTcpOffloadSendComplete()", "not the driver of tgt0's", "FAKE has it",
     "by NdisTcpOffloadSendComplete()")

static void complete_what_was_never_sent(void)
{
	fake_adapter_complete_io(stack.adapter, FAKE_FORWARD, &list);
}
DIES(complete_what_was_never_sent, "NdisTcpOffloadForwardComplete()", "whoever allocated it")

static void complete_by_the_wrong_function(void)
{
	NdisOffloadTcpSend(connection(), &list);
	fake_adapter_complete_io(stack.adapter, FAKE_RECEIVE, &list);
}
DIES(complete_by_the_wrong_function, "NdisTcpOffloadReceiveComplete()", "got only 0 of FAKE")

static void complete_send_data_of_a_failed_initiate(void)
{
	static struct fake_tree tree;

	fake_tree_init(&tree);
	fake_tree_connection(&tree);
	tree.blocks[2].list.NetBufferListChain = &list;
	stack.mp.verdict = NULL;
	NdisInitiateOffload(stack.binding->handle, &tree.blocks[0].list);
	tree.blocks[0].list.Status = tree.blocks[1].list.Status = NDIS_STATUS_FAILURE;
	tree.blocks[2].list.Status = NDIS_STATUS_FAILURE;
	NdisMInitiateOffloadComplete(stack.adapter->handle,
				     (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&tree.blocks[0].list);
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, &list);
}
DIES(complete_send_data_of_a_failed_initiate, "NdisTcpOffloadSendComplete()", "FAKE has it",
     "by NdisMInitiateOffloadComplete()")

static void indicate_what_the_protocol_has(void)
{
	indicate(&list);
	indicate(&list);
}
DIES(indicate_what_the_protocol_has, "NdisTcpOffloadReceiveHandler()", "FAKE has it")

static void return_what_was_refused(void)
{
	stack.pr.receive_answer = NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED;
	indicate(&list);
	NdisOffloadTcpReceiveReturn(stack.binding->handle, &list);
}
DIES(return_what_was_refused, "NdisOffloadTcpReceiveReturn()", "the driver of tgt0 has it")

static void return_what_was_shown(void)
{
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &list, 0, 1,
					   NDIS_RECEIVE_FLAGS_RESOURCES);
	NdisReturnNetBufferLists(stack.binding->handle, &list, 0);
}
DIES(return_what_was_shown, "NdisReturnNetBufferLists()", "the driver of tgt0 has it",
     "by NdisMIndicateReceiveNetBufferLists()")

static void close_with_a_post_outstanding(void)
{
	NdisOffloadTcpReceive(connection(), &list);
	nrt_unbind(stack.pr.driver, "tgt0");
}
DIES(close_with_a_post_outstanding, "NdisCloseAdapterEx()", "FAKE closes its binding to tgt0",
     "1 lists of NdisOffloadTcpReceive()")

static void free_what_the_miniport_has(void)
{
	NET_BUFFER_LIST_POOL_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 },
	};
	NDIS_HANDLE pool = NdisAllocateNetBufferListPool(stack.pr.driver, &params);
	NET_BUFFER_LIST *nbl = NdisAllocateNetBufferList(pool, 0, 0);

	NdisOffloadTcpSend(connection(), nbl);
	NdisFreeNetBufferList(nbl);
}
DIES(free_what_the_miniport_has, "NdisFreeNetBufferList()", "not FAKE's to free",
     "the driver of tgt0 has it", "by NdisOffloadTcpSend()")

/* ---- What is allowed ------------------------------------------------------------------------- */

/* A list goes round and round; a refusal leaves it with the miniport, which may try again. */
static void test_round_trips(void **state)
{
	static NET_BUFFER_LIST received;
	int i;

	(void)state;
	memset(&received, 0, sizeof(received));
	for (i = 0; i < 3; i++) {
		NdisOffloadTcpSend(connection(), &list);
		fake_adapter_complete_io(stack.adapter, FAKE_SEND, &list);
		NdisOffloadTcpReceive(connection(), &list);
		fake_adapter_complete_io(stack.adapter, FAKE_RECEIVE, &list);
		stack.pr.receive_answer = NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED;
		assert_int_equal(indicate(&received), NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED);
		stack.pr.receive_answer = NDIS_STATUS_SUCCESS;
		assert_int_equal(indicate(&received), NDIS_STATUS_SUCCESS);
		NdisOffloadTcpReceiveReturn(stack.binding->handle, &received);
		NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &received, 0, 1,
						   NDIS_RECEIVE_FLAGS_RESOURCES);
		NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &received, 0, 1, 0);
		NdisReturnNetBufferLists(stack.binding->handle, &received, 0);
	}
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_RECEIVE_RETURN), 3);
}

/* Send data that goes down with a connection and comes up with it, half of it sent. */
static void test_data_that_travels_with_state(void **state)
{
	static struct fake_tree tree, end;
	static NET_BUFFER_LIST chain[2];

	(void)state;
	memset(chain, 0, sizeof(chain));
	chain[0].Next = &chain[1];
	fake_tree_init(&tree);
	fake_tree_connection(&tree);
	tree.blocks[2].list.NetBufferListChain = chain;
	NdisInitiateOffload(stack.binding->handle, &tree.blocks[0].list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	chain[0].Next = NULL;
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, &chain[0]);
	fake_tree_init(&end);
	fake_block_refer(&end, NULL, TcpOffloadDelegatedState, &tree.blocks[2].own_handle);
	NdisTerminateOffload(stack.binding->handle, &end.blocks[0].list);
	end.blocks[0].list.NetBufferListChain = &chain[1];
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	/* Both are the protocol's again. */
	chain[0].Next = &chain[1];
	NdisOffloadTcpSend(connection(), chain);
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, chain);
	tree.blocks[2].own_handle.MiniportOffloadContext = NULL;
	fake_stack_terminate(&stack, &tree, stack.binding);
}

/* Received data that comes up with a connection counts as indicated: the protocol returns it. */
static void test_buffered_data(void **state)
{
	static struct fake_tree end;
	TCP_OFFLOAD_STATE_DELEGATED *delegated;

	(void)state;
	fake_tree_init(&end);
	fake_block_refer(&end, NULL, TcpOffloadDelegatedState, connection());
	NdisTerminateOffload(stack.binding->handle, &end.blocks[0].list);
	delegated = (void *)NdisOffloadFirstState(&end.blocks[0].list);
	delegated->BufferedData = &list;
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	connection()->MiniportOffloadContext = NULL;
	fake_stack_terminate(&stack, &stack.tree, stack.binding);
	fake_tree_init(&stack.tree);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -EINPROGRESS);
	assert_int_equal(nrt_adapter_destroy(stack.nrt), -EINPROGRESS);
	REQ("BUF-28", !stack.adapter->halted);
	NdisOffloadTcpReceiveReturn(stack.binding->closing, &list);
	REQ("BUF-27", fake_log_only(&stack.log, FAKE_MP_RECEIVE_RETURN)->pointer == &list);
	assert_int_equal(nrt_pump(), 0);
	REQ("RCV-44", stack.adapter->halted);
	/* Everything is gone: build it again for the teardown. */
	fake_protocol_deregister(&stack.pr);
	fake_miniport_deregister(&stack.mp);
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
}

/* The same for frames of the plain path. */
static void test_plain_lists_hold_the_adapter(void **state)
{
	(void)state;
	fake_stack_terminate(&stack, &stack.tree, stack.binding);
	fake_tree_init(&stack.tree);
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, &list, 0, 1, 0);
	assert_int_equal(nrt_adapter_destroy(stack.nrt), -EINPROGRESS);
	assert_int_equal(nrt_pump(), 1);
	REQ("RCV-44", !stack.adapter->halted);
	NdisReturnNetBufferLists(stack.binding->closing, &list, 0);
	assert_int_equal(nrt_pump(), 0);
	REQ("RCV-44", stack.adapter->halted);
	fake_protocol_deregister(&stack.pr);
	fake_miniport_deregister(&stack.mp);
	fake_stack_init(&stack);
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_send_twice),
		TEST(test_send_what_is_posted),
		TEST(test_complete_twice),
		TEST(test_complete_what_was_never_sent),
		TEST(test_complete_by_the_wrong_function),
		TEST(test_complete_send_data_of_a_failed_initiate),
		TEST(test_indicate_what_the_protocol_has),
		TEST(test_return_what_was_refused),
		TEST(test_return_what_was_shown),
		TEST(test_close_with_a_post_outstanding),
		TEST(test_free_what_the_miniport_has),
		TEST(test_round_trips),
		TEST(test_data_that_travels_with_state),
		TEST(test_buffered_data),
		TEST(test_plain_lists_hold_the_adapter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
