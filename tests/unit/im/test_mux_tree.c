/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One tree of the host, several trees of members: what is copied and what is only linked elsewhere,
 * order, statuses, objects that have to be offloaded to a further member, operations that meet
 * there, and memory that runs out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mux_rig.h"
#include "req.h"

static struct fake_tree tree, second;
static uint16_t ports[RIG_MEMBERS_MAX][4]; /* ports by member */

static void start(size_t count)
{
	size_t i;
	unsigned int n;

	fake_tree_init(&tree);
	fake_tree_init(&second);
	rig_start(count, MUX_BALANCE);
	for (i = 0; i < count; i++)
		for (n = 0; n < 4; n++)
			ports[i][n] = rig_port((int)i, n);
	fake_log_clear(&rig.stack.log);
}

static NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *open_tree(size_t member, enum fake_op op)
{
	assert_non_null(rig.at[member]->open[op]);
	return rig.at[member]->open[op];
}

/* Remembers the words and links of all blocks, and compares later: the host's memory is as it
 * was. */
struct snapshot {
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST blocks[FAKE_TREE_BLOCKS];
	size_t count;
};

static struct snapshot snapshot;

static void remember(const struct fake_tree *of)
{
	size_t i;

	snapshot.count = of->count;
	for (i = 0; i < of->count; i++)
		snapshot.blocks[i] = of->blocks[i].list;
}

static bool unchanged(const struct fake_tree *of)
{
	size_t i;

	for (i = 0; i < snapshot.count; i++) {
		const NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *now = &of->blocks[i].list,
						       *was = &snapshot.blocks[i];

		if (now->NextBlock != was->NextBlock ||
		    now->DependentBlockList != was->DependentBlockList ||
		    now->OffloadHandle != was->OffloadHandle ||
		    now->ImReserved[0] != was->ImReserved[0] ||
		    now->ImReserved[1] != was->ImReserved[1] ||
		    now->ProtocolReserved[0] != was->ProtocolReserved[0])
			return false;
	}
	return true;
}

/* ---- Splitting and merging ---- */

/* N - P - T(0) T(1) T(0) T(1) */
static struct fake_block *mixed_tree(struct fake_tree *to)
{
	struct fake_block *root = fake_block_add(to, NULL, NeighborOffloadState, FAKE_NEW);
	struct fake_block *path = im_add_path(to, root);

	im_add_tcp(to, path, ports[0][0]);
	im_add_tcp(to, path, ports[1][0]);
	im_add_tcp(to, path, ports[0][1]);
	im_add_tcp(to, path, ports[1][1]);
	return root;
}

static void check_part(size_t member, const struct fake_block *first,
		       const struct fake_block *other)
{
	const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root = open_tree(member, FAKE_INITIATE), *path,
					       *tcp;

	path = root->DependentBlockList;
	tcp = path->DependentBlockList;
	assert_null(root->NextBlock);
	assert_null(path->NextBlock);
	/* Connections' blocks are the host's own, in the host's order. */
	assert_ptr_equal(tcp, &first->list);
	assert_ptr_equal(tcp->NextBlock, &other->list);
	assert_null(tcp->NextBlock->NextBlock);
	assert_int_equal(root->Header.Type, NeighborOffloadState);
	assert_int_equal(path->Header.Type, Ip4OffloadState);
	assert_memory_equal(
		((PATH_OFFLOAD_STATE_CONST *)NdisOffloadFirstState(path))->DestinationAddress,
		im_remote, 4);
}

static void test_split_and_merge(void **state)
{
	struct fake_block *root, *tcp = &tree.blocks[2];
	size_t i;

	(void)state;
	start(2);
	root = mixed_tree(&tree);
	root->list.ImReserved[0] = &tree;
	root->list.ImReserved[1] = &second;
	remember(&tree);
	NdisInitiateOffload(rig.binding, &root->list);
	check_part(0, &tcp[0], &tcp[2]);
	check_part(1, &tcp[1], &tcp[3]);
	assert_true(open_tree(0, FAKE_INITIATE) != open_tree(1, FAKE_INITIATE));
	fake_adapter_complete(rig.at[1], FAKE_INITIATE);
	assert_int_equal(rig_count(FAKE_PR_INITIATE_COMPLETE), 0);
	fake_adapter_complete(rig.at[0], FAKE_INITIATE);
	REQ("IMD-13",
	    fake_log_only(&rig.stack.log, FAKE_PR_INITIATE_COMPLETE)->pointer == &root->list);
	REQ("IMD-12", unchanged(&tree));
	for (i = 0; i < tree.count; i++)
		assert_int_equal(tree.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(rig_info()->members[0].objects, 4);
	assert_int_equal(rig_info()->members[1].connections, 2);

	/* The same tree terminated: every member ends what it has. */
	root->list.Header.Type = NeighborOffloadDelegatedState;
	NdisTerminateOffload(rig.binding, &root->list);
	fake_adapter_complete(rig.at[0], FAKE_TERMINATE);
	assert_int_equal(rig_count(FAKE_PR_TERMINATE_COMPLETE), 0);
	fake_adapter_complete(rig.at[1], FAKE_TERMINATE);
	assert_true(unchanged(&tree));
	for (i = 0; i < 2; i++)
		assert_int_equal(fake_adapter_live(rig.at[i]) + rig_info()->members[i].objects, 0);
	rig_stop();
}

/* What is to become of the blocks of one type at one member. */
struct verdict {
	size_t member;
	unsigned char type;
	NDIS_STATUS status;
	const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *only; /* NULL: every block of the type */
};

static NDIS_STATUS judge(void *ctx, enum fake_op op, const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	const struct verdict *verdict = ctx;

	(void)op;
	if (block->Header.Type != verdict->type || (verdict->only && verdict->only != block))
		return NDIS_STATUS_SUCCESS;
	return verdict->status;
}

/* Completed under a verdict that holds for one member. */
static void complete_judged(enum fake_op op, struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < rig.count; i++) {
		rig.stack.mp.verdict = i == verdict->member ? judge : NULL;
		rig.stack.mp.verdict_ctx = verdict;
		if (rig.at[i]->open[op])
			fake_adapter_complete(rig.at[i], op);
	}
	rig.stack.mp.verdict = NULL;
}

static void test_partial_statuses(void **state)
{
	struct verdict no_entries = { 1, TcpOffloadState, NDIS_STATUS_OFFLOAD_TCP_ENTRIES, NULL };
	struct fake_block *root, *tcp = &tree.blocks[2];

	(void)state;
	start(2);
	root = mixed_tree(&tree);
	NdisInitiateOffload(rig.binding, &root->list);
	complete_judged(FAKE_INITIATE, &no_entries);
	assert_int_equal(tcp[0].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(tcp[2].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(tcp[1].list.Status, NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	assert_int_equal(tcp[3].list.Status, NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	/* Its own state is there, some of its dependents' is not; and of the neighbor all is
	 * there. */
	REQ("OFF-07", tree.blocks[1].list.Status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS);
	assert_int_equal(root->list.Status, NDIS_STATUS_SUCCESS);
	REQ("OFF-05",
	    !tcp[1].own_handle.MiniportOffloadContext && tcp[0].own_handle.MiniportOffloadContext);
	/* Only what was offloaded is terminated; at member 1 a path and a neighbor without
	 * dependents. */
	tcp[1].list.OffloadHandle = tcp[3].list.OffloadHandle = NULL;
	rig_terminate(&tree);
	assert_int_equal(rig_info()->members[0].objects + rig_info()->members[1].objects, 0);
	rig_stop();
}

/* No room for the path at one member: what a target says of it and of all below. */
static NDIS_STATUS no_path(void *ctx, enum fake_op op,
			   const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	(void)ctx;
	(void)op;
	if (block->Header.Type == Ip4OffloadState)
		return NDIS_STATUS_OFFLOAD_PATH_ENTRIES;
	return block->Header.Type == TcpOffloadState ? NDIS_STATUS_FAILURE
						     : NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

static void test_path_fails_at_one_member(void **state)
{
	struct fake_block *root, *tcp = &tree.blocks[2];

	(void)state;
	start(2);
	root = mixed_tree(&tree);
	NdisInitiateOffload(rig.binding, &root->list);
	fake_adapter_complete(rig.at[0], FAKE_INITIATE);
	rig.stack.mp.verdict = no_path;
	fake_adapter_complete(rig.at[1], FAKE_INITIATE);
	rig.stack.mp.verdict = NULL;
	/* The path is offloaded, the connections of member 1 are not. */
	REQ("OFF-21",
	    tcp[0].list.Status == NDIS_STATUS_SUCCESS && tcp[1].list.Status == NDIS_STATUS_FAILURE);
	assert_int_equal(tree.blocks[1].list.Status, NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS);
	assert_int_equal(root->list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(rig_info()->members[1].objects, 1); /* the neighbor */
	tcp[1].list.OffloadHandle = tcp[3].list.OffloadHandle = NULL;
	rig_terminate(&tree);
	assert_int_equal(rig_info()->members[1].objects, 0);

	/* At both: the path is not offloaded, and says why. */
	fake_tree_init(&tree);
	root = mixed_tree(&tree);
	NdisInitiateOffload(rig.binding, &root->list);
	rig.stack.mp.verdict = no_path;
	rig_complete(FAKE_INITIATE);
	rig.stack.mp.verdict = NULL;
	assert_int_equal(tree.blocks[1].list.Status, NDIS_STATUS_OFFLOAD_PATH_ENTRIES);
	assert_int_equal(root->list.Status, NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS);
	assert_null(tree.blocks[1].own_handle.MiniportOffloadContext);
	rig_stop();
}

/* ---- Objects for a further member ---- */

/* A second connection of the same path, that goes to the other member. Path linked to from the
 * neighbor. */
static struct fake_block *link_in(struct fake_tree *to, uint16_t port)
{
	struct fake_block *root =
		fake_block_refer(to, NULL, NeighborOffloadState, &tree.blocks[0].own_handle);
	struct fake_block *path =
		fake_block_refer(to, root, Ip4OffloadState, &tree.blocks[1].own_handle);

	return im_add_tcp(to, path, port);
}

static struct fake_block *link_from_neighbor(uint16_t port)
{
	return link_in(&second, port);
}

static void test_further_member(void **state)
{
	const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root, *path;
	const NEIGHBOR_OFFLOAD_STATE_CACHED *cached;
	struct fake_block *tcp;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	tcp = link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	assert_null(rig.at[0]->open[FAKE_INITIATE]);
	root = open_tree(1, FAKE_INITIATE);
	path = root->DependentBlockList;
	/* The host only linked; the member gets the objects. */
	assert_int_equal(root->Header.Type, NeighborOffloadState);
	assert_null(*root->MiniportOffloadContext);
	assert_null(*path->MiniportOffloadContext);
	assert_memory_equal(
		((PATH_OFFLOAD_STATE_CONST *)NdisOffloadFirstState(path))->SourceAddress, im_local,
		4);
	cached = (void *)NdisOffloadNextState(NdisOffloadFirstState(root));
	assert_true(cached->HostReachabilityDelta > 1000000); /* nobody knows: the member asks */
	assert_ptr_equal(path->DependentBlockList, &tcp->list);
	rig_complete(FAKE_INITIATE);
	REQ("BLK-28", second.blocks[0].list.Status == NDIS_STATUS_SUCCESS &&
			      second.blocks[1].list.Status == NDIS_STATUS_SUCCESS &&
			      tcp->list.Status == NDIS_STATUS_SUCCESS);
	assert_int_equal(rig_info()->members[1].objects, 3);

	/* The new connection alone ends; then all of the first tree, at both members. */
	second.blocks[0].list.OffloadHandle = second.blocks[1].list.OffloadHandle = NULL;
	rig_terminate(&second);
	assert_int_equal(rig_info()->members[1].connections, 0);
	assert_int_equal(rig_info()->members[1].objects, 2);
	rig_terminate(&tree);
	assert_int_equal(rig_info()->members[0].objects + rig_info()->members[1].objects, 0);
	rig_stop();
}

/* The same with a tree that begins at the path: the neighbor's block is the team's own. */
static void test_further_member_from_the_path(void **state)
{
	const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root;
	struct fake_block *path;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	path = fake_block_refer(&second, NULL, Ip4OffloadState, &tree.blocks[1].own_handle);
	im_add_tcp(&second, path, ports[1][0]);
	im_add_tcp(&second, path, ports[0][1]);
	remember(&second);
	NdisInitiateOffload(rig.binding, &path->list);
	root = open_tree(1, FAKE_INITIATE);
	assert_int_equal(root->Header.Type, NeighborOffloadState);
	assert_ptr_equal(root->DependentBlockList->DependentBlockList, &second.blocks[1].list);
	/* At the first member the path is known: the host's own tree, less the other's
	 * connection. */
	assert_ptr_equal(open_tree(0, FAKE_INITIATE), &path->list);
	assert_ptr_equal(open_tree(0, FAKE_INITIATE)->DependentBlockList, &second.blocks[2].list);
	rig_complete(FAKE_INITIATE);
	assert_true(unchanged(&second));
	assert_int_equal(path->list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(second.blocks[1].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(second.blocks[2].list.Status, NDIS_STATUS_SUCCESS);
	path->list.OffloadHandle = NULL;
	NdisTerminateOffload(rig.binding, &path->list);
	rig_complete(FAKE_TERMINATE);
	rig_terminate(&tree);
	assert_int_equal(rig_info()->members[0].objects + rig_info()->members[1].objects, 0);
	rig_stop();
}

/* Linkers with one good and one bad dependent, at different members (BLK-29, BLK-30). */
static void test_linker_statuses(void **state)
{
	struct verdict full = { 1, TcpOffloadState, NDIS_STATUS_OFFLOAD_TCP_ENTRIES, NULL };
	struct fake_block *path, *tcp;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	tcp = link_from_neighbor(ports[1][0]);
	path = &second.blocks[1];
	im_add_tcp(&second, path, ports[0][1]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	complete_judged(FAKE_INITIATE, &full);
	assert_int_equal(tcp->list.Status, NDIS_STATUS_OFFLOAD_TCP_ENTRIES);
	REQ("BLK-29", path->list.Status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS);
	second.blocks[0].list.OffloadHandle = path->list.OffloadHandle = tcp->list.OffloadHandle =
		NULL;
	rig_terminate(&second);

	/* Full at both. */
	fake_tree_init(&second);
	link_from_neighbor(ports[1][0]);
	im_add_tcp(&second, &second.blocks[1], ports[0][1]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	rig.stack.mp.verdict = judge;
	rig.stack.mp.verdict_ctx = &full;
	rig_complete(FAKE_INITIATE);
	rig.stack.mp.verdict = NULL;
	REQ("BLK-30", second.blocks[1].list.Status == NDIS_STATUS_FAILURE &&
			      second.blocks[0].list.Status == NDIS_STATUS_FAILURE);
	rig_terminate(&tree);
	rig_stop();
}

/* ---- Operations on objects that are at several members ---- */

static void test_update_goes_everywhere(void **state)
{
	static struct fake_tree updates, third;
	PATH_OFFLOAD_STATE_CACHED *cached;
	struct fake_block *update;
	size_t i;

	(void)state;
	start(3);
	rig_connect(&tree, ports[0][0]);
	link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	rig_complete(FAKE_INITIATE);

	fake_tree_init(&updates);
	update =
		fake_block_refer(&updates, NULL, Ip4OffloadCachedState, &tree.blocks[1].own_handle);
	cached = (void *)update->state;
	cached->Header.Length = sizeof(*cached);
	cached->PathMtu = 1280;
	NdisUpdateOffload(rig.binding, &update->list);
	assert_null(rig.at[2]->open[FAKE_UPDATE]);
	for (i = 0; i < 2; i++) {
		const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block = open_tree(i, FAKE_UPDATE);

		assert_int_equal(block->Header.Type, Ip4OffloadCachedState);
		assert_int_equal(
			((PATH_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(block))->PathMtu, 1280);
	}
	/* A connection that needs the path at a third member meanwhile waits, and gets the new
	 * value. */
	fake_tree_init(&third);
	link_in(&third, ports[2][0]);
	NdisInitiateOffload(rig.binding, &third.blocks[0].list);
	assert_null(rig.at[2]->open[FAKE_INITIATE]);
	rig_complete(FAKE_UPDATE);
	assert_int_equal(fake_log_only(&rig.stack.log, FAKE_PR_UPDATE_COMPLETE)->context ==
				 rig.stack.binding,
			 1);
	{
		const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *path =
			open_tree(2, FAKE_INITIATE)->DependentBlockList;
		const OFFLOAD_STATE_HEADER *first = NdisOffloadFirstState(path);

		assert_int_equal(
			((PATH_OFFLOAD_STATE_CACHED *)NdisOffloadNextState(first))->PathMtu, 1280);
	}
	rig_complete(FAKE_INITIATE);
	assert_int_equal(rig_info()->members[2].objects, 3);
	rig_stop(); /* a host that leaves things behind: no leak, no call into freed memory */
}

/* Two connections that need the same path at the same further member at the same time. */
static void test_two_meet(void **state)
{
	static struct fake_tree third_tree, *third = &third_tree;
	struct fake_block *root, *path, *tcp;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	fake_tree_init(third);
	root = fake_block_refer(third, NULL, NeighborOffloadState, &tree.blocks[0].own_handle);
	path = fake_block_refer(third, root, Ip4OffloadState, &tree.blocks[1].own_handle);
	tcp = im_add_tcp(third, path, ports[1][1]);
	NdisInitiateOffload(rig.binding, &root->list);
	assert_int_equal(rig_count(FAKE_MP_INITIATE), 2);
	fake_adapter_complete(rig.at[1], FAKE_INITIATE);
	/* The first is done; the second has begun, and finds the path there: links to it, in
	 * place. */
	assert_int_equal(rig_count(FAKE_MP_INITIATE), 3);
	assert_non_null(*open_tree(1, FAKE_INITIATE)->DependentBlockList->MiniportOffloadContext);
	fake_adapter_complete(rig.at[1], FAKE_INITIATE);
	assert_int_equal(tcp->list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(rig_info()->members[1].objects, 4);
	rig_stop();
}

static NDIS_STATUS refuse_at_1(void *ctx, enum fake_op op,
			       const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block)
{
	(void)block;
	(void)op;
	return ctx ? NDIS_STATUS_FAILURE : NDIS_STATUS_SUCCESS;
}

/* A neighbor's delegated state is the youngest of the members; a failure anywhere is the status. */
static void test_query_of_a_shared_neighbor(void **state)
{
	struct fake_block *query;
	NEIGHBOR_OFFLOAD_STATE_DELEGATED *delegated;
	size_t i;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	rig_complete(FAKE_INITIATE);
	fake_tree_init(&second);
	query = fake_block_refer(&second, NULL, NeighborOffloadDelegatedState,
				 &tree.blocks[0].own_handle);
	delegated = (void *)query->state;
	for (i = 0; i < 2; i++) {
		rig.stack.mp.verdict = NULL;
		NdisQueryOffloadState(rig.binding, &query->list);
		fake_adapter_complete(rig.at[0], FAKE_QUERY);
		rig.stack.mp.verdict = refuse_at_1;
		rig.stack.mp.verdict_ctx = i ? &rig : NULL;
		fake_adapter_complete(rig.at[1], FAKE_QUERY);
		assert_int_equal(query->list.Status, i ? NDIS_STATUS_FAILURE : NDIS_STATUS_SUCCESS);
		if (i == 0) {
			uint32_t a = 0xffffffff, n;
			size_t m;

			for (m = 0; m < 2; m++)
				for (n = 0; n < rig.at[m]->object_count; n++)
					if (rig.at[m]->objects[n].live &&
					    rig.at[m]->objects[n].type == NeighborOffloadState &&
					    fake_query_value(&rig.at[m]->objects[n]) < a)
						a = fake_query_value(&rig.at[m]->objects[n]);
			assert_int_equal(delegated->NicReachabilityDelta, a);
		}
	}
	rig.stack.mp.verdict = NULL;
	rig_stop();
}

/*
 * Relinking: the path is at two members, the new neighbor at one. It is offloaded to the other
 * first, then both members move the path; afterwards new connections of the path find the new
 * neighbor.
 */
static void test_relink(void **state)
{
	static struct fake_tree trees[2], *move = &trees[0], *fresh = &trees[1];
	struct fake_block *neighbor, *root, *path;
	size_t i;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	rig_complete(FAKE_INITIATE);
	fake_tree_init(fresh);
	neighbor = fake_block_add(fresh, NULL, NeighborOffloadState, FAKE_NEW);
	NdisInitiateOffload(rig.binding, &neighbor->list);
	rig_complete(FAKE_INITIATE);

	fake_tree_init(move);
	root = fake_block_refer(move, NULL, NeighborOffloadConstState, &neighbor->own_handle);
	path = fake_block_refer(move, root, Ip4OffloadConstState, &tree.blocks[1].own_handle);
	fake_log_clear(&rig.stack.log);
	NdisUpdateOffload(rig.binding, &root->list);
	assert_int_equal(rig_count(FAKE_MP_UPDATE), 0);
	assert_int_equal(rig_count(FAKE_MP_INITIATE), 1);
	rig_complete(FAKE_INITIATE);
	assert_int_equal(rig_count(FAKE_PR_INITIATE_COMPLETE), 0);
	for (i = 0; i < 2; i++) {
		const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *at = open_tree(i, FAKE_UPDATE);

		assert_non_null(*at->MiniportOffloadContext);
		assert_non_null(at->DependentBlockList);
		assert_non_null(*at->DependentBlockList->MiniportOffloadContext);
	}
	rig_complete(FAKE_UPDATE);
	REQ("UPD-05",
	    path->list.Status == NDIS_STATUS_SUCCESS && root->list.Status == NDIS_STATUS_SUCCESS);
	rig_stop();
}

/* The new neighbor has no room at the other member: the path cannot move there, and the host
 * hears it. */
static void test_relink_fails(void **state)
{
	static struct fake_tree trees[2], *move = &trees[0], *fresh = &trees[1];
	struct fake_block *neighbor, *root, *path;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	rig_complete(FAKE_INITIATE);
	fake_tree_init(fresh);
	neighbor = fake_block_add(fresh, NULL, NeighborOffloadState, FAKE_NEW);
	NdisInitiateOffload(rig.binding, &neighbor->list);
	rig_complete(FAKE_INITIATE);
	fake_tree_init(move);
	root = fake_block_refer(move, NULL, NeighborOffloadConstState, &neighbor->own_handle);
	path = fake_block_refer(move, root, Ip4OffloadConstState, &tree.blocks[1].own_handle);
	NdisUpdateOffload(rig.binding, &root->list);
	rig.stack.mp.verdict = refuse_at_1;
	rig.stack.mp.verdict_ctx = &rig;
	rig_complete(FAKE_INITIATE);
	rig.stack.mp.verdict = NULL;
	rig_complete(FAKE_UPDATE);
	assert_int_equal(path->list.Status, NDIS_STATUS_FAILURE);
	rig_stop();
}

static void test_invalidate_and_event(void **state)
{
	struct fake_block *root = &tree.blocks[0], *invalid;
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *lent;
	static struct fake_tree block_tree, *block = &block_tree;
	const struct fake_call *call;
	size_t i;

	(void)state;
	start(2);
	rig_connect(&tree, ports[0][0]);
	link_from_neighbor(ports[1][0]);
	NdisInitiateOffload(rig.binding, &second.blocks[0].list);
	rig_complete(FAKE_INITIATE);
	fake_log_clear(&rig.stack.log);

	/* Either member asks about the same neighbor of the host; the answer goes into the
	 * member's block. */
	rig.stack.pr.reachability = 77;
	for (i = 0; i < 2; i++) {
		struct fake_object *object = NULL;
		size_t n;

		for (n = 0; n < rig.at[i]->object_count; n++)
			if (rig.at[i]->objects[n].live &&
			    rig.at[i]->objects[n].type == NeighborOffloadState)
				object = &rig.at[i]->objects[n];
		fake_tree_init(block);
		lent = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&fake_block_add(
			       block, NULL, NeighborOffloadCachedState, FAKE_PLACEHOLDER)
			       ->list;
		lent->NdisOffloadHandle = object->ndis_handle;
		NdisMOffloadEventIndicate(rig.at[i]->handle, lent, NeighborReachabilityQuery);
		call = fake_log_last(&rig.stack.log, FAKE_PR_OFFLOAD_EVENT);
		REQ("IMD-27",
		    call->object == &root->own_handle && call->value == NeighborReachabilityQuery);
		REQ("IMD-28", ((NEIGHBOR_OFFLOAD_STATE_CACHED *)NdisOffloadFirstState(lent))
						      ->HostReachabilityDelta == 77 &&
				      lent->NdisOffloadHandle == object->ndis_handle);
	}
	fake_tree_init(&second);
	invalid = fake_block_refer(&second, NULL, NeighborOffloadState, &root->own_handle);
	NdisInvalidateOffload(rig.binding, &invalid->list);
	assert_int_equal(rig_count(FAKE_MP_INVALIDATE), 2);
	rig_complete(FAKE_INVALIDATE);
	assert_int_equal(invalid->list.Status, NDIS_STATUS_SUCCESS);
	rig_stop();
}

/* ---- Memory ---- */

static void test_memory_runs_out(void **state)
{
	struct fake_block *root;
	bool refused = true;
	long n;
	size_t i;

	(void)state;
	start(2);
	rig.stack.mp.complete_inline = true;
	for (n = 0; refused; n++) {
		assert_true(n < 100);
		fake_tree_init(&tree);
		root = mixed_tree(&tree);
		remember(&tree);
		fake_log_clear(&rig.stack.log);
		nrt_fail_alloc_after(n);
		NdisInitiateOffload(rig.binding, &root->list);
		nrt_fail_alloc_after(-1);
		assert_int_equal(rig_count(FAKE_PR_INITIATE_COMPLETE), 1);
		assert_true(unchanged(&tree));
		refused = root->list.Status != NDIS_STATUS_SUCCESS;
		if (!refused)
			break;
		REQ("OFF-09", root->list.Status == NDIS_STATUS_RESOURCES);
		assert_int_equal(tree.blocks[3].list.Status, NDIS_STATUS_FAILURE);
		assert_int_equal(rig_count(FAKE_MP_INITIATE), 0);
		assert_int_equal(rig_info()->members[0].objects + rig_info()->members[1].objects,
				 0);
	}
	assert_true(n >= 7); /* a call, six entries, two copies */
	/* Ending it needs no memory: a host that is short of it uploads. */
	remember(&tree);
	fake_log_clear(&rig.stack.log);
	root->list.Header.Type = NeighborOffloadDelegatedState;
	nrt_fail_alloc_after(0);
	NdisTerminateOffload(rig.binding, &root->list);
	nrt_fail_alloc_after(-1);
	for (i = 0; i < tree.count; i++)
		assert_int_equal(tree.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(rig_count(FAKE_PR_TERMINATE_COMPLETE), 1);
	assert_int_equal(rig_count(FAKE_MP_TERMINATE), 8); /* object by object */
	assert_true(unchanged(&tree));
	assert_int_equal(rig_info()->members[0].objects + rig_info()->members[1].objects, 0);
	rig_stop();
}

/* The same with completions that come later, a second tree that finds no memory either, and one
 * object that will not end. */
static void test_terminate_one_by_one(void **state)
{
	static struct fake_tree third;
	struct fake_block *root;

	(void)state;
	start(2);
	fake_tree_init(&third);
	root = mixed_tree(&tree);
	NdisInitiateOffload(rig.binding, &root->list);
	rig_complete(FAKE_INITIATE);
	rig_connect(&third, 5);
	fake_log_clear(&rig.stack.log);
	root->list.Header.Type = third.blocks[0].list.Header.Type = NeighborOffloadDelegatedState;
	nrt_fail_alloc_after(0);
	NdisTerminateOffload(rig.binding, &root->list);
	nrt_fail_alloc_after(0);
	NdisTerminateOffload(rig.binding, &third.blocks[0].list);
	nrt_fail_alloc_after(-1);
	assert_int_equal(rig_count(FAKE_MP_TERMINATE), 1);
	assert_true(rig.at[0]->open[FAKE_TERMINATE] == (void *)&tree.blocks[2].list);
	fake_adapter_complete(rig.at[0], FAKE_TERMINATE);
	assert_true(rig.at[1]->open[FAKE_TERMINATE] == (void *)&tree.blocks[3].list);
	rig.stack.mp.verdict = refuse_at_1;
	rig.stack.mp.verdict_ctx = &rig;
	fake_adapter_complete(rig.at[1], FAKE_TERMINATE);
	rig.stack.mp.verdict = NULL;
	while (rig_count(FAKE_PR_TERMINATE_COMPLETE) < 2)
		rig_complete(FAKE_TERMINATE);
	assert_int_equal(tree.blocks[2].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(tree.blocks[3].list.Status, NDIS_STATUS_FAILURE);
	assert_int_equal(third.blocks[0].list.Status, NDIS_STATUS_SUCCESS);
	assert_int_equal(rig_info()->members[0].connections + rig_info()->members[1].connections,
			 1);
	rig_stop();
}

/* Received data that comes with the state of an upload goes back to the member that it is from. */
static void test_buffered_data(void **state)
{
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0);
	TCP_OFFLOAD_STATE_DELEGATED *delegated;
	struct fake_block *tcp;

	(void)state;
	start(2);
	tcp = rig_connect(&tree, ports[1][0]);
	tcp->list.Header.Type = TcpOffloadDelegatedState;
	tree.blocks[0].list.Header.Type = NeighborOffloadDelegatedState;
	tree.blocks[1].list.Header.Type = Ip4OffloadDelegatedState;
	memset(tcp->state, 0, sizeof(tcp->state));
	delegated = (void *)tcp->state;
	delegated->Header.Length = sizeof(*delegated);
	NdisTerminateOffload(rig.binding, &tree.blocks[0].list);
	delegated->BufferedData = nbl;
	fake_log_clear(&rig.stack.log);
	fake_adapter_complete(rig.at[1], FAKE_TERMINATE);
	NdisOffloadTcpReceiveReturn(rig.binding, nbl);
	assert_ptr_equal(fake_log_only(&rig.stack.log, FAKE_MP_RECEIVE_RETURN)->context, rig.at[1]);
	assert_null(NET_BUFFER_LIST_INFO(nbl, IMReserved));
	rig_stop();
	NdisFreeNetBufferList(nbl);
	NdisFreeNetBufferListPool(pool);
}

/* Random forests: what is offloaded is what was asked for, in order at each member, and all of
 * it ends. */
static void random_forest(unsigned int seed)
{
	unsigned int roots = 1 + (unsigned int)rand() % 3, r, p, t, tcps = 0;
	size_t i;

	fake_tree_init(&tree);
	for (r = 0; r < roots; r++) {
		struct fake_block *root =
			fake_block_add(&tree, NULL, NeighborOffloadState, FAKE_NEW);

		for (p = (unsigned int)rand() % 3; p > 0; p--) {
			struct fake_block *path = im_add_path(&tree, root);

			for (t = (unsigned int)rand() % 5; t > 0; t--, tcps++)
				im_add_tcp(&tree, path, (uint16_t)(1 + seed % 1000 + tcps));
		}
	}
	remember(&tree);
	NdisInitiateOffload(rig.binding, &tree.blocks[0].list);
	rig_complete(FAKE_INITIATE);
	assert_true(unchanged(&tree));
	for (i = 0; i < tree.count; i++) {
		assert_int_equal(tree.blocks[i].list.Status, NDIS_STATUS_SUCCESS);
		assert_non_null(tree.blocks[i].own_handle.MiniportOffloadContext);
	}
	rig_info();
	for (i = 0, t = 0; i < rig.count; i++) {
		assert_int_equal(rig.info.members[i].objects, fake_adapter_live(rig.at[i]));
		t += rig.info.members[i].connections;
	}
	assert_int_equal(t, tcps);
	for (i = 0; i < tree.count; i++) /* only the type of the state: there is room enough */
		tree.blocks[i].list.Header.Type =
			(UCHAR)(tree.blocks[i].list.Header.Type -
				(tree.blocks[i].list.Header.Type == TcpOffloadState ? 2 : 1));
	NdisTerminateOffload(rig.binding, &tree.blocks[0].list);
	rig_complete(FAKE_TERMINATE);
	assert_true(unchanged(&tree));
	for (i = 0; i < rig.count; i++) {
		assert_int_equal(fake_adapter_live(rig.at[i]), 0);
		rig.at[i]->object_count = 0; /* the fake has room for so many in its life */
	}
}

static void test_random_forests(void **state)
{
	unsigned int seed;

	(void)state;
	rig_start(3, MUX_BALANCE);
	for (seed = 1; seed <= 300; seed++) {
		srand(seed);
		fake_log_clear(&rig.stack.log);
		random_forest(seed);
	}
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_and_merge),
		cmocka_unit_test(test_partial_statuses),
		cmocka_unit_test(test_path_fails_at_one_member),
		cmocka_unit_test(test_further_member),
		cmocka_unit_test(test_further_member_from_the_path),
		cmocka_unit_test(test_linker_statuses),
		cmocka_unit_test(test_update_goes_everywhere),
		cmocka_unit_test(test_two_meet),
		cmocka_unit_test(test_query_of_a_shared_neighbor),
		cmocka_unit_test(test_relink),
		cmocka_unit_test(test_relink_fails),
		cmocka_unit_test(test_invalidate_and_event),
		cmocka_unit_test(test_memory_runs_out),
		cmocka_unit_test(test_terminate_one_by_one),
		cmocka_unit_test(test_buffered_data),
		cmocka_unit_test(test_random_forests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
