/* SPDX-License-Identifier: BSD-2-Clause */
/* Adapters and bindings: making, what a protocol learns, who may offload, taking apart when drivers
 * take their time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndisstatus.h>

#include "fake/fake_stack.h"
#include "req.h"

static struct fake_stack stack;

static int setup(void **state)
{
	(void)state;
	fake_stack_init(&stack);
	return 0;
}

static bool same_offload(const NDIS_TCP_CONNECTION_OFFLOAD *a, const NDIS_TCP_CONNECTION_OFFLOAD *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void test_create(void **state)
{
	struct nrt_adapter_params params = { .name = "tgt0" }, unnamed = { .name = "" };
	struct nrt_adapter *other = NULL;

	(void)state;
	fake_stack_start(&stack);
	assert_ptr_equal(nrt_adapter_find("tgt0"), stack.nrt);
	assert_string_equal(nrt_adapter_name(stack.nrt), "tgt0");
	assert_ptr_equal(nrt_adapter_context(stack.nrt), stack.adapter);
	assert_ptr_equal(nrt_adapter_handle(stack.nrt), stack.adapter->handle);
	assert_int_equal(nrt_adapter_create(stack.mp.driver, &params, &other), -EEXIST);
	assert_int_equal(nrt_adapter_create(stack.mp.driver, &unnamed, &other), -EINVAL);
	assert_null(other);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_INITIALIZE), 1);
	fake_log_only(&stack.log, FAKE_MP_RESTART);
	fake_stack_stop(&stack);
	fake_log_only(&stack.log, FAKE_MP_PAUSE);
	fake_log_only(&stack.log, FAKE_MP_HALT);
	assert_null(nrt_adapter_find("tgt0"));
}

static void test_create_refused(void **state)
{
	struct nrt_adapter_params params = { .name = "tgt0" };
	struct nrt_adapter *adapter = NULL;

	(void)state;
	stack.mp.initialize_status = NDIS_STATUS_NOT_SUPPORTED;
	assert_int_equal(fake_miniport_register(&stack.mp), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_adapter_create(stack.mp.driver, &params, &adapter), -EOPNOTSUPP);
	assert_null(adapter);
	assert_null(nrt_adapter_find("tgt0"));
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_HALT), 0);
	fake_miniport_deregister(&stack.mp);
}

static void test_bind_parameters(void **state)
{
	(void)state;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	assert_string_equal(stack.binding->adapter_name, "tgt0");
	REQ("INI-10", stack.binding->has_current &&
			      same_offload(&stack.binding->current, &stack.mp.current) &&
			      stack.binding->has_hardware &&
			      same_offload(&stack.binding->hardware, &stack.mp.hardware));
	assert_true(same_offload(nrt_adapter_offload(stack.nrt, false), &stack.mp.current));
	assert_true(same_offload(nrt_adapter_offload(stack.nrt, true), &stack.mp.hardware));
	fake_stack_stop(&stack);
}

static void test_bind_errors(void **state)
{
	(void)state;
	fake_stack_start(&stack);
	assert_int_equal(fake_protocol_register(&stack.pr), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(stack.pr.driver, "nowhere"), -ENOENT);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -ENOENT);
	stack.pr.bind_status = NDIS_STATUS_RESOURCES;
	assert_int_equal(nrt_bind(stack.pr.driver, "tgt0"), -ENOMEM);
	stack.pr.bind_status = NDIS_STATUS_SUCCESS;
	assert_int_equal(nrt_bind(stack.pr.driver, "tgt0"), 0);
	assert_int_equal(nrt_bind(stack.pr.driver, "tgt0"), -EALREADY);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), 0);
	assert_int_equal(nrt_bind(stack.pr.driver, "tgt0"), 0); /* and again */
	fake_stack_stop(&stack);
}

static void test_announce(void **state)
{
	static struct fake_protocol second;

	(void)state;
	fake_stack_start(&stack);
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	assert_int_equal(fake_protocol_register(&stack.pr), NDIS_STATUS_SUCCESS);
	second.bind_status = NDIS_STATUS_NOT_SUPPORTED; /* one that does not want it */
	assert_int_equal(nrt_adapter_announce(stack.nrt), 1);
	assert_int_equal(nrt_adapter_announce(stack.nrt), 0);
	fake_protocol_deregister(&second);
	fake_stack_stop(&stack);
}

/* ---- Who can offload ------------------------------------------------------------------------- */

/* One operation through the binding, which must fail without reaching the miniport. */
static bool offload_is_blocked(struct fake_binding *binding)
{
	static struct fake_tree tree;
	struct fake_block *root;

	fake_log_clear(&stack.log);
	fake_tree_init(&tree);
	root = fake_tree_connection(&tree);
	NdisInitiateOffload(binding->handle, &root->list);
	return fake_log_count(&stack.log, FAKE_MP_INITIATE) == 0 &&
	       fake_log_count(&stack.log, FAKE_PR_INITIATE_COMPLETE) == 1 &&
	       root->list.Status == NDIS_STATUS_FAILURE &&
	       tree.blocks[2].list.Status == NDIS_STATUS_FAILURE &&
	       !tree.blocks[2].own_handle.MiniportOffloadContext;
}

static bool blocked_below(struct fake_binding *binding)
{
	return offload_is_blocked(binding) && !binding->has_current && !binding->has_hardware &&
	       !nrt_adapter_offload(stack.nrt, true);
}

/* No chimney functions at the miniport edge: capabilities that it passes up all the same do not
 * count. */
static void test_miniport_without_functions(void **state)
{
	unsigned int missing;

	(void)state;
	for (missing = 1; missing <= 3; missing++) {
		fake_stack_init(&stack);
		stack.mp.with_generic = !(missing & 1);
		stack.mp.with_tcp = !(missing & 2);
		fake_stack_start(&stack);
		fake_stack_bind(&stack, "tgt0");
		REQ("IMD-05", blocked_below(stack.binding));
		fake_stack_stop(&stack);
	}
}

/* A protocol that registered none, or half of them, has nothing by which it could be told of a
 * completion. */
static void test_protocol_without_functions(void **state)
{
	static struct fake_tree tree;

	(void)state;
	stack.pr.with_tcp = false;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	fake_tree_init(&tree);
	NdisInitiateOffload(stack.binding->handle, &fake_tree_connection(&tree)->list);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_INITIATE), 0);
	assert_int_equal(tree.blocks[2].list.Status, NDIS_STATUS_FAILURE);
	fake_stack_stop(&stack);
}

static void test_encapsulation_decides(void **state)
{
	(void)state;
	stack.mp.current.Encapsulation = stack.mp.hardware.Encapsulation =
		NDIS_ENCAPSULATION_NULL | NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	REQ("INI-04", blocked_below(stack.binding));
	fake_stack_stop(&stack);
}

static void test_nothing_reported(void **state)
{
	(void)state;
	stack.mp.report_offload = false;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	assert_true(blocked_below(stack.binding));
	fake_stack_stop(&stack);
}

/* Client functions registered from the bind handler, with the binding handle, work like the others.
 */
static void test_late_registration(void **state)
{
	(void)state;
	stack.pr.register_at_bind = true;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	assert_int_equal(stack.binding->late_status, NDIS_STATUS_SUCCESS);
	fake_stack_offload(&stack);
	REQ("REG-09", fake_adapter_live(stack.adapter) == 3);
	fake_stack_stop(&stack);
}

static void test_only_one_user(void **state)
{
	static struct fake_protocol second;
	struct fake_binding *other;

	(void)state;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	fake_protocol_init(&second, &stack.log);
	assert_int_equal(fake_protocol_register(&second), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(second.driver, "tgt0"), 0);
	other = fake_protocol_binding(&second, 0);
	fake_stack_offload(&stack);
	REQ("INI-38", offload_is_blocked(other));
	/* With the first one gone the second may. */
	fake_stack_terminate(&stack, &stack.tree, stack.binding);
	fake_stack_unbind(&stack);
	stack.mp.complete_inline = true;
	assert_false(offload_is_blocked(other));
	assert_int_equal(fake_adapter_live(stack.adapter), 3);
	fake_protocol_deregister(&second);
	fake_stack_stop(&stack);
}

/* ---- Ends that have to wait ------------------------------------------------------------------ */

static void test_unbind_waits_for_operation(void **state)
{
	struct fake_block *root;

	(void)state;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	root = fake_tree_connection(&stack.tree);
	NdisInitiateOffload(stack.binding->handle, &root->list);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -EINPROGRESS);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -EINPROGRESS);
	assert_int_equal(nrt_bind(stack.pr.driver, "tgt0"), -EALREADY);
	fake_adapter_complete(stack.adapter,
			      FAKE_INITIATE); /* ends the close, which ends the unbind */
	fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE);
	fake_log_only(&stack.log, FAKE_PR_UNBIND);
	assert_int_equal(nrt_unbind(stack.pr.driver, "tgt0"), -ENOENT);
	fake_stack_stop(&stack);
}

static void test_destroy_waits(void **state)
{
	struct fake_block *root;

	(void)state;
	stack.mp.pause_status = NDIS_STATUS_PENDING;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	root = fake_tree_connection(&stack.tree);
	NdisInitiateOffload(stack.binding->handle, &root->list);
	assert_int_equal(nrt_adapter_destroy(stack.nrt), -EINPROGRESS);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_PAUSE), 0);
	assert_int_equal(nrt_pump(), 1);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_false(stack.adapter->halted); /* its own call was on the stack */
	assert_int_equal(nrt_pump(), 1);
	fake_log_only(&stack.log, FAKE_MP_PAUSE);
	assert_false(stack.adapter->halted);
	NdisMPauseComplete(stack.adapter->handle);
	assert_false(stack.adapter->halted);
	assert_int_equal(nrt_pump(), 0);
	assert_true(stack.adapter->halted);
	assert_null(nrt_adapter_find("tgt0"));
	fake_protocol_deregister(&stack.pr);
	fake_miniport_deregister(&stack.mp);
}

/* ---- Memory that is not there ---------------------------------------------------------------- */

/* The whole life once for every allocation in it, with that one failing. Nothing may leak or be
 * left behind. */
static int life(long n)
{
	struct nrt_keyword keywords[] = { { "*TCPConnectionOffloadIPv4", 1 }, { "VlanId", 5 } };
	struct nrt_adapter_params params = { .name = "tgt0",
					     .keywords = keywords,
					     .keyword_count = 2 };
	int err;

	fake_stack_init(&stack);
	assert_int_equal(fake_miniport_register(&stack.mp), NDIS_STATUS_SUCCESS);
	assert_int_equal(fake_protocol_register(&stack.pr), NDIS_STATUS_SUCCESS);
	nrt_fail_alloc_after(n);
	err = nrt_adapter_create(stack.mp.driver, &params, &stack.nrt);
	if (err == 0) {
		stack.adapter = fake_miniport_adapter(&stack.mp, 0);
		err = nrt_bind(stack.pr.driver, "tgt0");
		nrt_fail_alloc_after(-1);
		assert_int_equal(nrt_adapter_destroy(stack.nrt), 0);
	}
	nrt_fail_alloc_after(-1);
	assert_null(nrt_adapter_find("tgt0"));
	fake_protocol_deregister(&stack.pr);
	fake_miniport_deregister(&stack.mp);
	return err;
}

static void test_no_memory(void **state)
{
	long n;
	int err;

	(void)state;
	for (n = 0; (err = life(n)) != 0; n++)
		assert_int_equal(err, -ENOMEM);
	assert_true(n >= 6); /* adapter, two names, keywords, bind, open */
}

/* A state operation allocates nothing in NDIS: with memory gone it succeeds all the same. */
static void test_initiate_without_memory(void **state)
{
	(void)state;
	fake_stack_start(&stack);
	fake_stack_bind(&stack, "tgt0");
	nrt_fail_alloc_after(0);
	fake_stack_offload(&stack);
	nrt_fail_alloc_after(-1);
	assert_int_equal(fake_adapter_live(stack.adapter), 3);
	fake_stack_stop(&stack);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_create_refused),
		TEST(test_bind_parameters),
		TEST(test_bind_errors),
		TEST(test_announce),
		TEST(test_miniport_without_functions),
		TEST(test_protocol_without_functions),
		TEST(test_encapsulation_decides),
		TEST(test_nothing_reported),
		TEST(test_late_registration),
		TEST(test_only_one_user),
		TEST(test_unbind_waits_for_operation),
		TEST(test_destroy_waits),
		TEST(test_no_memory),
		TEST(test_initiate_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
