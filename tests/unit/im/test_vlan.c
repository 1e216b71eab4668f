/* SPDX-License-Identifier: BSD-2-Clause */
/* The VLAN driver between fakes: what it writes into blocks, what it refuses, tags of plain
 * frames, low memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "im/vlan/vlan.h"
#include "im_stack.h"
#include "ndis/nrt.h"
#include "req.h"

enum { ID = 100, PRIORITY = 3 };

static struct fake_stack stack;
static struct fake_tree tree;
static NDIS_HANDLE binding;

static void start(uint16_t id, uint8_t priority)
{
	fake_stack_init(&stack);
	fake_tree_init(&tree);
	fake_stack_start(&stack);
	assert_int_equal(vlan_driver_register(), 0);
	assert_int_equal(vlan_insert("vlan", "tgt0", id, priority), 0);
	fake_stack_bind(&stack, "vlan");
	binding = stack.binding->handle;
	fake_log_clear(&stack.log);
}

static void stop(void)
{
	fake_stack_unbind(&stack);
	assert_int_equal(vlan_remove("vlan"), 0);
	vlan_driver_deregister();
	fake_stack_stop(&stack);
}

static struct vlan_info info(const char *name)
{
	struct vlan_info out;

	assert_int_equal(vlan_info(name, &out), 0);
	return out;
}

/* NDIS_NET_BUFFER_LIST_8021Q_INFO. */
static uintptr_t tag_of(const NET_BUFFER_LIST *nbl)
{
	return (uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
}

static void set_tag(NET_BUFFER_LIST *nbl, uint16_t id, uint8_t priority)
{
	NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) =
		(PVOID)((uintptr_t)id << 4 | priority);
}

static struct fake_block *connect(uint16_t vlan_id, uint8_t user_priority)
{
	struct fake_block *root = fake_block_add(&tree, NULL, NeighborOffloadState, FAKE_NEW);
	struct fake_block *tcp = im_add_tcp(&tree, im_add_path(&tree, root), 1000);

	im_neighbor_const(root)->VlanId = vlan_id & 0xfff;
	im_tcp_cached(tcp)->UserPriority = user_priority & 7;
	return root;
}

/* What the block below says now; its Lengths are filled in. */
static NEIGHBOR_OFFLOAD_STATE_CONST *neighbor_below(void)
{
	return (NEIGHBOR_OFFLOAD_STATE_CONST *)NdisOffloadFirstState(
		stack.adapter->open[FAKE_INITIATE]);
}

static TCP_OFFLOAD_STATE_CACHED *cached_below(enum fake_op op)
{
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block = stack.adapter->open[op];
	OFFLOAD_STATE_HEADER *state;

	while (block->DependentBlockList)
		block = block->DependentBlockList;
	state = NdisOffloadFirstState(block);
	return (TCP_OFFLOAD_STATE_CACHED *)(block->Header.Type == TcpOffloadState
						    ? NdisOffloadNextState(state)
						    : state);
}

/* ---- State ---- */

static void test_initiate(void **state)
{
	struct fake_block *root;

	(void)state;
	start(ID, PRIORITY);
	root = connect(0, 0);
	NdisInitiateOffload(binding, &root->list);
	REQ("VLN-03", neighbor_below()->VlanId == ID &&
			      cached_below(FAKE_INITIATE)->UserPriority == PRIORITY);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_int_equal(root->list.Status, NDIS_STATUS_SUCCESS);
	/* The memory is the host's: it has the host's values again. */
	assert_int_equal(im_neighbor_const(root)->VlanId, 0);
	assert_int_equal(im_tcp_cached(&tree.blocks[2])->UserPriority, 0);
	assert_int_equal(info("vlan").objects, 3);
	root->list.Header.Type = NeighborOffloadDelegatedState;
	NdisTerminateOffload(binding, &root->list);
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	assert_int_equal(info("vlan").objects, 0);
	stop();
}

/* Without a priority of its own the driver leaves the host's; the host may name the same VLAN. */
static void test_host_priority(void **state)
{
	struct fake_block *root;

	(void)state;
	start(ID, 0);
	root = connect(ID, 5);
	NdisInitiateOffload(binding, &root->list);
	assert_int_equal(neighbor_below()->VlanId, ID);
	assert_int_equal(cached_below(FAKE_INITIATE)->UserPriority, 5);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_int_equal(im_neighbor_const(root)->VlanId, ID);
	stop();
}

/* Another VLAN than ours is refused; what is right in the same forest goes on. */
static void test_mismatch(void **state)
{
	struct fake_block *first, *good, *last;
	size_t i;

	(void)state;
	start(ID, PRIORITY);
	first = connect(200, 0);
	connect(201, 0);
	good = connect(0, 0);
	last = connect(202, 0);
	NdisInitiateOffload(binding, &first->list);
	assert_ptr_equal(stack.adapter->open[FAKE_INITIATE], &good->list);
	assert_null(stack.adapter->open[FAKE_INITIATE]->NextBlock);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_INITIATE_COMPLETE)->pointer,
			 &first->list);
	for (i = 0; i < tree.count; i++) {
		bool ours = i >= 6 && i < 9, neighbor = i % 3 == 0;

		REQ("VLN-18",
		    tree.blocks[i].list.Status == (ours       ? NDIS_STATUS_SUCCESS
						   : neighbor ? NDIS_STATUS_OFFLOAD_VLAN_MISMATCH
							      : NDIS_STATUS_FAILURE));
		if (neighbor)
			assert_ptr_equal(tree.blocks[i].list.NextBlock,
					 i < 9 ? &tree.blocks[i + 3].list : NULL);
	}
	assert_int_equal(info("vlan").refused, 3);
	assert_int_equal(info("vlan").objects, 3);

	/* All of it refused: nothing goes down. */
	fake_log_clear(&stack.log);
	last->list.NextBlock = NULL;
	NdisInitiateOffload(binding, &last->list);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_INITIATE), 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_INITIATE_COMPLETE), 1);
	assert_int_equal(last->list.Status, NDIS_STATUS_OFFLOAD_VLAN_MISMATCH);
	stop();
}

/* An update of the host's values does not undo ours; a query shows the host its own. */
static void test_update_and_query(void **state)
{
	static struct fake_tree other;
	TCP_OFFLOAD_STATE_CACHED *cached;
	struct fake_block *block;

	(void)state;
	start(ID, PRIORITY);
	NdisInitiateOffload(binding, &connect(0, 1)->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);

	fake_tree_init(&other);
	block = fake_block_refer(&other, NULL, TcpOffloadCachedState, &tree.blocks[2].own_handle);
	cached = (void *)block->state;
	cached->Header.Length = sizeof(*cached);
	cached->UserPriority = 6;
	cached->TtlOrHopLimit = 9;
	NdisUpdateOffload(binding, &block->list);
	assert_int_equal(cached_below(FAKE_UPDATE)->UserPriority, PRIORITY);
	assert_int_equal(cached_below(FAKE_UPDATE)->TtlOrHopLimit, 9);
	fake_adapter_complete(stack.adapter, FAKE_UPDATE);
	assert_int_equal(cached->UserPriority, 6);

	NdisQueryOffloadState(binding, &block->list);
	cached_below(FAKE_QUERY)->UserPriority = PRIORITY; /* as a target would answer */
	fake_adapter_complete(stack.adapter, FAKE_QUERY);
	assert_int_equal(cached->UserPriority, 6);
	stop();
}

/* The neighbor event passes with the host's handle and VLAN, and goes back as it came. */
static void test_event(void **state)
{
	static struct fake_tree lent;
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block;
	struct fake_block *root;

	(void)state;
	start(ID, PRIORITY);
	root = connect(0, 0);
	NdisInitiateOffload(binding, &root->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	fake_tree_init(&lent);
	block = (NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *)&fake_block_add(
			&lent, NULL, NeighborOffloadCachedState, FAKE_PLACEHOLDER)
			->list;
	block->NdisOffloadHandle = fake_adapter_object(stack.adapter, 0)->ndis_handle;
	stack.pr.reachability = 5;
	NdisMOffloadEventIndicate(stack.adapter->handle, block, NeighborReachabilityQuery);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_OFFLOAD_EVENT)->object,
			 &root->own_handle);
	assert_ptr_equal(block->NdisOffloadHandle,
			 fake_adapter_object(stack.adapter, 0)->ndis_handle);
	stop();
}

/* ---- Plain frames ---- */

static NET_BUFFER_LIST *frame_list(struct im_frame *frame, NDIS_HANDLE pool, bool tagged,
				   uint16_t tci)
{
	im_frame_build(frame, 1000, 50);
	if (tagged) {
		memmove(frame->data + 16, frame->data + 12, frame->len - 12);
		im_put16(frame->data + 12, 0x8100);
		im_put16(frame->data + 14, tci);
		frame->len += 4;
	}
	im_frame_list(frame, pool);
	return frame->nbl;
}

static void test_send(void **state)
{
	static struct im_frame frame;
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *nbl;

	(void)state;
	start(ID, PRIORITY);
	nbl = frame_list(&frame, pool, false, 0);
	NdisSendNetBufferLists(binding, nbl, 0, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_SEND_PLAIN)->pointer, nbl);
	assert_int_equal(tag_of(nbl), ID << 4 | PRIORITY);
	NdisMSendNetBufferListsComplete(stack.adapter->handle, nbl, 0);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->pointer, nbl);
	assert_int_equal(tag_of(nbl), 0);
	assert_null(nbl->Context);
	/* A priority tag is the host's; another VLAN is not. */
	set_tag(nbl, 0, 5);
	NdisSendNetBufferLists(binding, nbl, 0, 0);
	assert_int_equal(tag_of(nbl), ID << 4 | PRIORITY);
	NdisMSendNetBufferListsComplete(stack.adapter->handle, nbl, 0);
	assert_int_equal(tag_of(nbl), 5);
	fake_log_clear(&stack.log);
	set_tag(nbl, 7, 0);
	NdisSendNetBufferLists(binding, nbl, 0, 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_SEND_PLAIN), 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_SEND_PLAIN_COMPLETE), 1);
	assert_int_equal(NET_BUFFER_LIST_STATUS(nbl), NDIS_STATUS_INVALID_DATA);
	assert_int_equal(info("vlan").refused, 1);
	im_frame_free(&frame);
	stop();
	NdisFreeNetBufferListPool(pool);
}

static void indicate(NET_BUFFER_LIST *nbl, ULONG flags)
{
	fake_log_clear(&stack.log);
	NdisMIndicateReceiveNetBufferLists(stack.adapter->handle, nbl, 0, 1, flags);
}

/* VLN-15 for plain frames: only those of the VLAN come up, without their tag. */
static void test_receive(void **state)
{
	static struct im_frame frame;
	NDIS_HANDLE pool = im_pool();
	const struct fake_call *call;
	NET_BUFFER_LIST *nbl;

	(void)state;
	start(ID, PRIORITY);
	nbl = frame_list(&frame, pool, false, 0);
	indicate(nbl, 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_RETURN_PLAIN), 1);
	set_tag(nbl, ID + 1, 0);
	indicate(nbl, NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 0);
	assert_int_equal(info("vlan").unmatched, 2);

	set_tag(nbl, ID, 4);
	indicate(nbl, 0);
	call = fake_log_only(&stack.log, FAKE_PR_RECEIVE_PLAIN);
	assert_ptr_equal(call->pointer, nbl);
	assert_int_equal(tag_of(nbl), 4); /* the priority stays */
	NdisReturnNetBufferLists(binding, nbl, 0);
	assert_int_equal(tag_of(nbl), ID << 4 | 4);
	indicate(nbl, NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 1);
	assert_int_equal(tag_of(nbl), ID << 4 | 4);
	im_frame_free(&frame);
	stop();
	NdisFreeNetBufferListPool(pool);
}

/* A look at the frame while it is lent. */
static uint32_t seen_len;
static UCHAR seen[64];
static uintptr_t seen_tag;

static VOID look(NDIS_HANDLE context, PNET_BUFFER_LIST nbl, NDIS_PORT_NUMBER port, ULONG count,
		 ULONG flags)
{
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	UCHAR storage[64];

	(void)context;
	(void)port;
	(void)count;
	assert_true(flags & NDIS_RECEIVE_FLAGS_RESOURCES);
	seen_len = NET_BUFFER_DATA_LENGTH(nb);
	seen_tag = tag_of(nbl);
	memcpy(seen, NdisGetDataBuffer(nb, sizeof(seen), storage, 1, 0), sizeof(seen));
}

/* A second protocol above, to see frames whose bytes are gone when the call returns. */
static NDIS_HANDLE watcher, watcher_binding;

static NDIS_STATUS watcher_bind(NDIS_HANDLE driver, NDIS_HANDLE bind_context,
				PNDIS_BIND_PARAMETERS params)
{
	NDIS_OPEN_PARAMETERS open = {
		.Header = { NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1 },
		.AdapterName = params->AdapterName,
	};

	(void)driver;
	return NdisOpenAdapterEx(watcher, &watcher, &open, bind_context, &watcher_binding);
}

static NDIS_STATUS watcher_unbind(NDIS_HANDLE unbind_context, NDIS_HANDLE context)
{
	(void)unbind_context;
	(void)context;
	return NdisCloseAdapterEx(watcher_binding);
}

static void watcher_start(void)
{
	static WCHAR name[] = { 'W' };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS driver = {
		.Header = { NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			    NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 },
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = { sizeof(name), sizeof(name), name },
		.BindAdapterHandlerEx = watcher_bind,
		.UnbindAdapterHandlerEx = watcher_unbind,
		.ReceiveNetBufferListsHandler = look,
	};

	assert_int_equal(NdisRegisterProtocolDriver(NULL, &driver, &watcher), NDIS_STATUS_SUCCESS);
	assert_int_equal(nrt_bind(watcher, "vlan"), 0);
}

static void test_receive_tag_in_frame(void **state)
{
	static struct im_frame frame, plain;
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *nbl;

	(void)state;
	start(ID, PRIORITY);
	watcher_start();
	im_frame_build(&plain, 1000, 50);
	nbl = frame_list(&frame, pool, true, 6 << 13 | ID);
	indicate(nbl, 0);
	assert_int_equal(seen_len, plain.len);
	assert_memory_equal(seen, plain.data, sizeof(seen));
	assert_int_equal(seen_tag, 6);
	/* The adapter's list is untouched and was given back. */
	assert_int_equal(frame.data[12], 0x81);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_RETURN_PLAIN), 1);
	nrt_fail_alloc_after(0);
	indicate(nbl, NDIS_RECEIVE_FLAGS_RESOURCES);
	nrt_fail_alloc_after(-1);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 0);
	assert_int_equal(info("vlan").unheld, 1);
	NdisDeregisterProtocolDriver(watcher);
	im_frame_free(&frame);
	stop();
	NdisFreeNetBufferListPool(pool);
}

/* ---- Several VLANs of one adapter ---- */

static void test_two_vlans(void **state)
{
	static struct im_frame frames[3];
	NDIS_HANDLE pool = im_pool();
	struct fake_binding *other;
	size_t i;

	(void)state;
	start(ID, PRIORITY);
	assert_int_equal(vlan_insert("vlan2", "tgt0", ID, 0), -EEXIST);
	assert_int_equal(vlan_insert("vlan", "tgt0", 7, 0), -EEXIST);
	assert_int_equal(vlan_insert("vlan2", "tgt0", 4095, 0), -EINVAL);
	assert_int_equal(vlan_insert("vlan2", "tgt0", 7, 8), -EINVAL);
	assert_int_equal(vlan_insert("vlan2", "nowhere", 7, 0), -ENOENT);
	assert_int_equal(vlan_insert("vlan2", "tgt0", 0, 0), 0);
	assert_int_equal(nrt_bind(stack.pr.driver, "vlan2"), 0);
	other = fake_protocol_binding(&stack.pr, 1);
	/* One chain: ours, of nobody, untagged. */
	for (i = 0; i < 3; i++) {
		frame_list(&frames[i], pool, false, 0);
		if (i)
			NET_BUFFER_LIST_NEXT_NBL(frames[i - 1].nbl) = frames[i].nbl;
	}
	set_tag(frames[0].nbl, ID, 0);
	set_tag(frames[1].nbl, 9, 0);
	indicate(frames[0].nbl, NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_RECEIVE_PLAIN), 2);
	assert_ptr_equal(stack.log.calls[0].context, stack.binding);
	assert_ptr_equal(stack.log.calls[0].pointer, frames[0].nbl);
	assert_ptr_equal(stack.log.calls[1].context, other);
	assert_ptr_equal(stack.log.calls[1].pointer, frames[2].nbl);
	/* The chain is as it was. */
	assert_ptr_equal(NET_BUFFER_LIST_NEXT_NBL(frames[0].nbl), frames[1].nbl);
	assert_ptr_equal(NET_BUFFER_LIST_NEXT_NBL(frames[1].nbl), frames[2].nbl);
	assert_null(NET_BUFFER_LIST_NEXT_NBL(frames[2].nbl));
	for (i = 0; i < 3; i++)
		im_frame_free(&frames[i]);
	fake_protocol_deregister(&stack.pr);
	stack.binding = NULL;
	assert_int_equal(vlan_remove("vlan2"), 0);
	stop();
	NdisFreeNetBufferListPool(pool);
}

/* ---- Requests, status, power ---- */

static void test_requests(void **state)
{
	NDIS_OID_REQUEST request;
	ULONG value = 0;

	(void)state;
	start(ID, PRIORITY);
	fake_request_init(&request, NdisRequestQueryInformation, OID_GEN_VLAN_ID, &value,
			  sizeof(value));
	assert_int_equal(NdisOidRequest(binding, &request), NDIS_STATUS_SUCCESS);
	assert_int_equal(value, ID);
	fake_request_init(&request, NdisRequestSetInformation, OID_GEN_VLAN_ID, &value,
			  sizeof(value));
	assert_int_equal(NdisOidRequest(binding, &request), NDIS_STATUS_SUCCESS);
	value = 5;
	assert_int_equal(NdisOidRequest(binding, &request), NDIS_STATUS_INVALID_DATA);
	assert_int_equal(fake_log_count(&stack.log, FAKE_MP_OID), 0);
	fake_request_init(&request, NdisRequestSetInformation, OID_GEN_CURRENT_PACKET_FILTER,
			  &value, sizeof(value));
	assert_int_equal(NdisOidRequest(binding, &request), NDIS_STATUS_SUCCESS);
	REQ("IMD-03", fake_log_count(&stack.log, FAKE_MP_OID) == 1);
	assert_ptr_equal(request.DATA.SET_INFORMATION.InformationBuffer, &value);
	stop();
}

static uint32_t power_done;

static void on_power(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)ctx;
	(void)request;
	power_done = status == NDIS_STATUS_SUCCESS ? 1 : 2;
}

static void test_power(void **state)
{
	struct fake_block *root;

	(void)state;
	start(ID, PRIORITY);
	root = connect(0, 0);
	NdisInitiateOffload(binding, &root->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	fake_log_clear(&stack.log);
	power_done = 0;
	assert_int_equal(nrt_set_power(stack.nrt, NdisDeviceStateD3, on_power, NULL), 0);
	assert_int_equal(fake_log_count(&stack.log, FAKE_PR_STATUS), 2);
	assert_int_equal(fake_log_last(&stack.log, FAKE_PR_STATUS)->value, NDIS_STATUS_UPLOAD_ALL);
	assert_int_equal(power_done, 0);
	root->list.Header.Type = NeighborOffloadDelegatedState;
	NdisTerminateOffload(binding, &root->list);
	fake_adapter_complete(stack.adapter, FAKE_TERMINATE);
	assert_int_equal(power_done, 1);
	assert_int_equal(nrt_set_power(stack.nrt, NdisDeviceStateD0, on_power, NULL), 0);
	assert_int_equal(fake_log_last(&stack.log, FAKE_PR_STATUS)->value,
			 NDIS_STATUS_OFFLOAD_RESUME);
	stop();
}

/* ---- Data, and memory that runs out ---- */

/* A list that brings no context space with it, as far as the runtime lets us: all of it is in
 * use. */
static NET_BUFFER_LIST *full_list(NDIS_HANDLE pool)
{
	NET_BUFFER_LIST *nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0);
	size_t i;

	for (i = 0; i < 64; i++) {
		nrt_fail_alloc_after(0);
		if (NdisAllocateNetBufferListContext(nbl, 16, 0, 0) != NDIS_STATUS_SUCCESS)
			break;
	}
	nrt_fail_alloc_after(-1);
	return nbl;
}

static void test_low_memory(void **state)
{
	static NDIS_STATUS (*const down[])(PNDIS_OFFLOAD_HANDLE, PNET_BUFFER_LIST) = {
		NdisOffloadTcpSend,
		NdisOffloadTcpReceive,
		NdisOffloadTcpForward,
	};
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *first, *rest;
	NDIS_OFFLOAD_HANDLE *handle;
	size_t io;

	(void)state;
	start(ID, PRIORITY);
	NdisInitiateOffload(binding, &connect(0, 0)->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	handle = &tree.blocks[2].own_handle;
	for (io = FAKE_SEND; io < FAKE_IOS; io++) {
		NDIS_STATUS expected = io == FAKE_SEND ? NDIS_STATUS_REQUEST_UPLOAD
						       : NDIS_STATUS_UPLOAD_IN_PROGRESS;

		first = full_list(pool);
		rest = full_list(pool);
		if (io != FAKE_DISCONNECT)
			NET_BUFFER_LIST_NEXT_NBL(first) = rest;
		fake_log_clear(&stack.log);
		nrt_fail_alloc_after(
			io == FAKE_SEND); /* the first list gets its note, the second does not */
		if (io == FAKE_DISCONNECT)
			assert_int_equal(NdisOffloadTcpDisconnect(handle, first,
								  TCP_DISCONNECT_ABORTIVE_CLOSE),
					 NDIS_STATUS_PENDING);
		else
			assert_int_equal(down[io](handle, first), NDIS_STATUS_PENDING);
		nrt_fail_alloc_after(-1);
		REQ("IMD-22",
		    fake_log_count(&stack.log, FAKE_MP_SEND + io) == 0 &&
			    fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE + io)->pointer ==
				    first &&
			    NET_BUFFER_LIST_STATUS(first) == expected);
		if (io == FAKE_SEND)
			assert_int_equal(NET_BUFFER_LIST_STATUS(rest),
					 NDIS_STATUS_UPLOAD_REQUESTED);
		else
			REQ("IMD-31",
			    fake_log_only(&stack.log, FAKE_PR_TCP_EVENT)->value ==
					    TcpIndicateRetrieve &&
				    fake_log_only(&stack.log, FAKE_PR_TCP_EVENT)->value2 ==
					    UploadRequested);
		NdisFreeNetBufferList(first);
		NdisFreeNetBufferList(rest);
	}
	stop();
	NdisFreeNetBufferListPool(pool);
}

/* A state operation without memory: statuses of every block, nothing below, nothing left. */
static void test_operation_without_memory(void **state)
{
	struct fake_block *root;
	long n;

	(void)state;
	start(ID, PRIORITY);
	stack.mp.complete_inline = true;
	for (n = 0; n < 4; n++) { /* the call, three entries */
		fake_tree_init(&tree);
		root = connect(0, 0);
		nrt_fail_alloc_after(n);
		NdisInitiateOffload(binding, &root->list);
		nrt_fail_alloc_after(-1);
		assert_int_equal(root->list.Status, NDIS_STATUS_RESOURCES);
		assert_int_equal(info("vlan").objects, 0);
	}
	nrt_fail_alloc_after(4);
	NdisInitiateOffload(binding, &root->list);
	nrt_fail_alloc_after(-1);
	assert_int_equal(root->list.Status, NDIS_STATUS_SUCCESS);
	stop();
}

static void test_data(void **state)
{
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0);

	(void)state;
	start(ID, PRIORITY);
	NdisInitiateOffload(binding, &connect(0, 0)->list);
	fake_adapter_complete(stack.adapter, FAKE_INITIATE);
	NdisOffloadTcpSend(&tree.blocks[2].own_handle, nbl);
	assert_ptr_equal(fake_log_only(&stack.log, FAKE_MP_SEND)->pointer, nbl);
	fake_adapter_complete_io(stack.adapter, FAKE_SEND, nbl);
	REQ("IMD-21", fake_log_only(&stack.log, FAKE_PR_SEND_COMPLETE)->context == stack.binding);
	REQ("IMD-20", !nbl->Context);
	stop();
	NdisFreeNetBufferList(nbl);
	NdisFreeNetBufferListPool(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initiate),
		cmocka_unit_test(test_host_priority),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_update_and_query),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_tag_in_frame),
		cmocka_unit_test(test_two_vlans),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_power),
		cmocka_unit_test(test_low_memory),
		cmocka_unit_test(test_operation_without_memory),
		cmocka_unit_test(test_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
