/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_rig.h - fake host, team "team0", fake adapters "tgt0", "tgt1" (, "tgt2"). Include after
 * cmocka's headers.
 */
#ifndef TESTS_UNIT_IM_MUX_RIG_H
#define TESTS_UNIT_IM_MUX_RIG_H

#include "im/mux/mux.h"
#include "im_stack.h"
#include "ndis/nrt.h"

#define RIG_MEMBERS_MAX 3

static const char *const rig_names[RIG_MEMBERS_MAX] = { "tgt0", "tgt1", "tgt2" };

struct mux_rig {
	struct fake_stack stack;
	struct nrt_adapter *nrt[RIG_MEMBERS_MAX];
	struct fake_adapter *at[RIG_MEMBERS_MAX];
	size_t count;
	NDIS_HANDLE binding; /* the host's */
	struct mux_info info;
};

/* Static: the log alone is large. */
static struct mux_rig rig;

static inline void rig_begin(size_t count)
{
	memset(&rig, 0, sizeof(rig));
	fake_stack_init(&rig.stack);
	rig.count = count;
}

/* Another capability for the adapters that are made from now on. */
static inline void rig_capacity(ULONG connections)
{
	rig.stack.mp.current.TcpConnectionOffloadCapacity = connections;
	rig.stack.mp.hardware.TcpConnectionOffloadCapacity = connections;
}

static inline void rig_add_adapter(size_t i)
{
	struct nrt_adapter_params params = { .name = rig_names[i] };

	if (i == 0) {
		fake_stack_start(&rig.stack);
		rig.nrt[0] = rig.stack.nrt;
	} else {
		assert_int_equal(nrt_adapter_create(rig.stack.mp.driver, &params, &rig.nrt[i]), 0);
	}
	rig.at[i] = fake_miniport_adapter(&rig.stack.mp, i);
}

static inline void rig_team(enum mux_mode mode)
{
	assert_int_equal(mux_driver_register(), 0);
	assert_int_equal(mux_insert("team0", rig_names, rig.count, mode), 0);
	fake_stack_bind(&rig.stack, "team0");
	rig.binding = rig.stack.binding->handle;
	fake_log_clear(&rig.stack.log);
}

static inline void rig_start(size_t count, enum mux_mode mode)
{
	size_t i;

	rig_begin(count);
	for (i = 0; i < count; i++)
		rig_add_adapter(i);
	rig_team(mode);
}

static inline void rig_stop(void)
{
	size_t i;

	fake_stack_unbind(&rig.stack);
	assert_int_equal(mux_remove("team0"), 0);
	assert_int_equal(mux_remove("team0"), -2); /* ENOENT */
	mux_driver_deregister();
	for (i = rig.count; i-- > 1;)
		if (rig.nrt[i])
			assert_int_equal(nrt_adapter_destroy(rig.nrt[i]), 0);
	if (rig.nrt[0])
		fake_stack_stop(&rig.stack);
	else
		fake_miniport_deregister(&rig.stack.mp);
}

static inline const struct mux_info *rig_info(void)
{
	assert_int_equal(mux_info("team0", &rig.info), 0);
	return &rig.info;
}

/* Complete everything that is open at the members, whatever it is. */
static inline void rig_complete(enum fake_op op)
{
	size_t i;

	for (i = 0; i < rig.count; i++)
		if (rig.at[i]->open[op])
			fake_adapter_complete(rig.at[i], op);
}

static inline size_t rig_count(enum fake_kind kind)
{
	return fake_log_count(&rig.stack.log, kind);
}

/* One connection with neighbor and path of its own. Returns its TCP block. */
static inline struct fake_block *rig_connect(struct fake_tree *tree, uint16_t port)
{
	struct fake_block *root = fake_block_add(tree, NULL, NeighborOffloadState, FAKE_NEW);
	struct fake_block *tcp = im_add_tcp(tree, im_add_path(tree, root), port);

	NdisInitiateOffload(rig.binding, &root->list);
	rig_complete(FAKE_INITIATE);
	return tcp;
}

/* Terminate all blocks of a tree that was offloaded. The tree stays as it is. */
static inline void rig_terminate(struct fake_tree *tree)
{
	tree->blocks[0].list.Header.Type = NeighborOffloadDelegatedState;
	NdisTerminateOffload(rig.binding, &tree->blocks[0].list);
	rig_complete(FAKE_TERMINATE);
}

/* The member that has the object behind a handle of the host; -1: none. */
static inline int rig_owner(uint16_t port)
{
	static struct fake_tree probe;
	size_t before[RIG_MEMBERS_MAX], made[RIG_MEMBERS_MAX], i;
	int owner = -1;

	fake_tree_init(&probe);
	for (i = 0; i < rig.count; i++) {
		before[i] = fake_adapter_live(rig.at[i]);
		made[i] = rig.at[i]->object_count;
	}
	rig_connect(&probe, port);
	for (i = 0; i < rig.count; i++)
		if (fake_adapter_live(rig.at[i]) > before[i])
			owner = (int)i;
	rig_terminate(&probe);
	for (i = 0; i < rig.count; i++) {
		assert_int_equal(fake_adapter_live(rig.at[i]), before[i]);
		rig.at[i]->object_count = made[i]; /* the fake has room for so many in its life */
	}
	return owner;
}

/* The nth port (from 0) whose connections go to a member. */
static inline uint16_t rig_port(int member, unsigned int nth)
{
	uint16_t port;

	for (port = 1; port < 200; port++)
		if (rig_owner(port) == member && nth-- == 0)
			return port;
	fail_msg("no port for member %d", member);
	return 0;
}

static inline void rig_link(size_t i, bool up)
{
	fake_indicate_status(
		rig.at[i], up ? NDIS_STATUS_MEDIA_CONNECT : NDIS_STATUS_MEDIA_DISCONNECT, NULL, 0);
}

/* The status indications that the host got, in their order, as codes; 0 ends. */
static inline size_t rig_statuses(uint32_t *codes, size_t max)
{
	size_t i, n = 0;

	for (i = 0; i < rig.stack.log.count; i++)
		if (rig.stack.log.calls[i].kind == FAKE_PR_STATUS && n < max)
			codes[n++] = rig.stack.log.calls[i].value;
	return n;
}

static inline bool rig_told(const uint32_t *codes, size_t count)
{
	uint32_t got[16];
	size_t n = rig_statuses(got, 16);

	if (n == count && memcmp(got, codes, n * sizeof(got[0])) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		print_error("told: 0x%08x\n", got[i]);
	return false;
}

#define RIG_TOLD(...)                                                                              \
	rig_told((const uint32_t[]){ __VA_ARGS__ },                                                \
		 sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

#endif
