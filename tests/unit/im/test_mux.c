/* SPDX-License-Identifier: BSD-2-Clause */
/* The team driver between fakes: what goes to which member, failover, data, segments on the
 * wrong member. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "mux_rig.h"
#include "req.h"

static struct fake_tree tree, second;

static void start(size_t count, enum mux_mode mode)
{
	fake_tree_init(&tree);
	fake_tree_init(&second);
	rig_start(count, mode);
}

/* ---- One member carries everything ---- */

static void test_active_member(void **state)
{
	struct fake_block *tcp;
	const struct mux_info *info;

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	tcp = rig_connect(&tree, 1000);
	assert_int_equal(tcp->list.Status, NDIS_STATUS_SUCCESS);
	REQ("IMD-08",
	    tcp->own_handle.MiniportOffloadContext &&
		    tcp->own_handle.MiniportOffloadContext != fake_adapter_object(rig.at[0], 2));
	assert_int_equal(fake_adapter_live(rig.at[0]), 3);
	assert_int_equal(fake_adapter_live(rig.at[1]), 0);
	/* One member, nothing to split: the host's own memory goes down (IMD-14). */
	REQ("IMD-14",
	    fake_log_only(&rig.stack.log, FAKE_MP_INITIATE)->pointer == &tree.blocks[0].list);
	REQ("IMD-09", fake_adapter_object(rig.at[0], 0)->ndis_handle != &tree.blocks[0].own_handle);
	info = rig_info();
	assert_true(info->members[0].active && !info->members[1].active && !info->paused &&
		    !info->reason);
	assert_int_equal(info->members[0].objects, 3);
	assert_int_equal(info->members[0].connections, 1);
	rig_terminate(&tree);
	REQ("IMD-07", rig_info()->members[0].objects == 0);
	rig_stop();
}

static void test_insert_refuses(void **state)
{
	const char *none[] = { "tgt0", "nowhere" };

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	assert_int_equal(mux_driver_register(), -EALREADY);
	assert_int_equal(mux_insert("team0", rig_names, 2, MUX_BALANCE), -EEXIST);
	assert_int_equal(mux_insert("team1", rig_names, 2, MUX_BALANCE), -EALREADY);
	assert_int_equal(mux_insert("team1", none + 1, 1, MUX_BALANCE), -ENOENT);
	assert_int_equal(mux_insert("team1", rig_names, 0, MUX_BALANCE), -EINVAL);
	assert_int_equal(mux_insert("team1", rig_names, MUX_MEMBERS_MAX + 1, MUX_BALANCE), -EINVAL);
	assert_int_equal(mux_switch("team0", "nowhere"), -ENOENT);
	assert_int_equal(mux_use("nowhere", "tgt0", false), -ENOENT);
	assert_int_equal(mux_info("nowhere", &rig.info), -ENOENT);
	assert_null(nrt_adapter_find("team1"));
	rig_stop();
}

/* ---- Failover ---- */

/* Active/backup: link lost on the active member; the host works off UPLOAD_ALL, then may go on. */
static void test_link_loss(void **state)
{
	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_connect(&tree, 1000);
	fake_log_clear(&rig.stack.log);

	rig_link(0, false);
	REQ("TRM-10", RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL));
	assert_true(rig_info()->draining && rig_info()->paused && rig_info()->reason);
	/* An offload that was on its way goes to the survivor and is not lost (STI-04). */
	rig_connect(&second, 1001);
	REQ("STI-04", second.blocks[2].list.Status == NDIS_STATUS_SUCCESS &&
			      fake_adapter_live(rig.at[1]) == 3);

	fake_log_clear(&rig.stack.log);
	rig_terminate(&tree);
	assert_int_equal(rig_count(FAKE_PR_TERMINATE_COMPLETE), 1);
	REQ("STI-12", RIG_TOLD(NDIS_STATUS_OFFLOAD_RESUME));
	REQ("STI-09", fake_log_last(&rig.stack.log, FAKE_PR_STATUS)->value2 ==
			      NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1);
	assert_int_equal(rig_info()->failovers, 1);
	assert_true(rig_info()->members[1].active && !rig_info()->draining);
	/* Link comes back: nothing moves, it is the backup now. */
	fake_log_clear(&rig.stack.log);
	rig_link(0, true);
	assert_int_equal(rig_count(FAKE_PR_STATUS), 0);
	assert_true(rig_info()->members[1].active);
	rig_terminate(&second);
	rig_stop();
}

/* The backup loses its link: nobody notices. The last one does: the team has no link, nothing is
 * offered. */
static void test_no_link_at_all(void **state)
{
	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_link(1, false);
	assert_int_equal(rig_count(FAKE_PR_STATUS), 0);
	rig_link(0, false);
	assert_true(RIG_TOLD(NDIS_STATUS_MEDIA_DISCONNECT, NDIS_STATUS_OFFLOAD_PAUSE));
	assert_string_equal(rig_info()->reason, "no member has link");
	rig_connect(&tree, 1000);
	assert_int_equal(tree.blocks[0].list.Status, NDIS_STATUS_FAILURE);
	assert_int_equal(tree.blocks[2].list.Status, NDIS_STATUS_FAILURE);
	assert_null(tree.blocks[2].own_handle.MiniportOffloadContext);
	fake_log_clear(&rig.stack.log);
	rig_link(1, true);
	assert_true(RIG_TOLD(NDIS_STATUS_MEDIA_CONNECT, NDIS_STATUS_OFFLOAD_RESUME));
	rig_stop();
}

/* STI-13, ADM-08: with the weaker member gone, the hardware below is another one. */
static void test_capabilities(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD *told = (void *)rig.stack.pr.bindings[0].status_buffer;

	(void)state;
	rig_begin(2);
	rig_capacity(100);
	rig_add_adapter(0);
	rig_capacity(700);
	rig.stack.mp.hardware.SupportIPv6 = 0;
	rig_add_adapter(1);
	rig_team(MUX_ACTIVE_BACKUP);
	fake_tree_init(&tree);
	/* Capability of the weakest member in every respect. */
	assert_int_equal(rig.stack.binding->hardware.TcpConnectionOffloadCapacity, 100);
	assert_int_equal(rig.stack.binding->hardware.SupportIPv6, 0);
	assert_int_equal(rig.stack.binding->hardware.SupportIPv4, NDIS_OFFLOAD_SUPPORTED);
	rig_connect(&tree, 1);
	fake_log_clear(&rig.stack.log);
	rig_link(0, false);
	rig_terminate(&tree);
	REQ("STI-13", RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL,
			       NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES,
			       NDIS_STATUS_OFFLOAD_RESUME));
	REQ("ADM-08", told->TcpConnectionOffloadCapacity == 700);
	assert_int_equal(
		nrt_adapter_offload(nrt_adapter_find("team0"), true)->TcpConnectionOffloadCapacity,
		700);
	/* A member says that its hardware has changed: so has the team's. */
	fake_log_clear(&rig.stack.log);
	rig.stack.mp.hardware.TcpConnectionOffloadCapacity = 50;
	fake_indicate_status(rig.at[1], NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES,
			     &rig.stack.mp.hardware, sizeof(rig.stack.mp.hardware));
	assert_true(RIG_TOLD(NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES));
	assert_int_equal(told->TcpConnectionOffloadCapacity, 50);
	rig_stop();
}

/* W-24: one member without connection offload, no offload through the team; with it away, there
 * is. */
static void test_incapable_member(void **state)
{
	(void)state;
	rig_begin(2);
	rig_add_adapter(0);
	rig.stack.mp.report_offload = false;
	rig_add_adapter(1);
	rig_team(MUX_ACTIVE_BACKUP);
	assert_false(rig.stack.binding->has_current);
	assert_true(rig_info()->paused);
	assert_string_equal(rig_info()->reason, "a member with link has no connection offload");
	rig_link(1, false);
	assert_true(RIG_TOLD(NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES,
			     NDIS_STATUS_OFFLOAD_RESUME));
	assert_null(rig_info()->reason);
	fake_log_clear(&rig.stack.log);
	rig_link(1, true);
	assert_true(RIG_TOLD(NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES,
			     NDIS_STATUS_OFFLOAD_PAUSE));
	assert_null(nrt_adapter_offload(nrt_adapter_find("team0"), true));
	rig_stop();
}

/* On command, and a member that asks for itself: PAUSE, UPLOAD_ALL, later RESUME. */
static void test_commands_and_members_wishes(void **state)
{
	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_connect(&tree, 1000);
	fake_log_clear(&rig.stack.log);
	assert_int_equal(mux_switch("team0", "tgt1"), 0);
	assert_true(RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL));
	rig_terminate(&tree);
	assert_true(RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL,
			     NDIS_STATUS_OFFLOAD_RESUME));
	rig_connect(&second, 1000);
	assert_int_equal(fake_adapter_live(rig.at[1]), 3);

	fake_log_clear(&rig.stack.log);
	fake_indicate_status(rig.at[1], NDIS_STATUS_OFFLOAD_PAUSE, NULL, 0);
	assert_true(RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE));
	assert_int_equal(fake_adapter_live(rig.at[1]), 3); /* a pause uploads nothing (STI-03) */
	fake_indicate_status(rig.at[1], NDIS_STATUS_UPLOAD_ALL, NULL, 0);
	rig_terminate(&second);
	/* The member has said that it is paused, and is: no resume yet. */
	assert_true(RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL));
	fake_indicate_status(rig.at[1], NDIS_STATUS_OFFLOAD_RESUME, &rig.stack.mp.current,
			     sizeof(rig.stack.mp.current));
	assert_true(RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL,
			     NDIS_STATUS_OFFLOAD_RESUME));
	assert_int_equal(mux_use("team0", "tgt1", false), 0);
	assert_true(rig_info()->members[0].active);
	assert_int_equal(mux_switch("team0", "tgt1"), -ENETDOWN);
	assert_int_equal(mux_use("team0", "tgt1", true), 0);
	rig_stop();
}

static uint32_t power_done;

static void on_power(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)ctx;
	(void)request;
	power_done = status == NDIS_STATUS_SUCCESS ? 1 : 2;
}

/* A member's set-power is over only when nothing is offloaded to it any more; unbinding
 * likewise. */
static void test_power_and_unbind(void **state)
{
	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_connect(&tree, 1000);
	power_done = 0;
	assert_int_equal(nrt_set_power(rig.nrt[0], NdisDeviceStateD3, on_power, NULL), 0);
	assert_true(rig_info()->draining && power_done == 0);
	rig_terminate(&tree);
	assert_int_equal(power_done, 1);
	assert_true(rig_info()->members[1].active);
	assert_int_equal(nrt_set_power(rig.nrt[0], NdisDeviceStateD0, on_power, NULL), 0);

	rig_connect(&second, 1000);
	fake_log_clear(&rig.stack.log);
	assert_int_equal(nrt_adapter_destroy(rig.nrt[1]), -EINPROGRESS);
	assert_true(RIG_TOLD(NDIS_STATUS_OFFLOAD_PAUSE, NDIS_STATUS_UPLOAD_ALL));
	assert_int_equal(nrt_pump(), 1);
	rig_terminate(&second);
	assert_int_equal(nrt_pump(), 0);
	assert_null(nrt_adapter_find("tgt1"));
	rig.nrt[1] = NULL;
	assert_false(rig_info()->members[1].bound);
	assert_true(rig_info()->members[0].active && !rig_info()->paused);
	fake_tree_init(&tree);
	rig_connect(&tree, 7);
	assert_int_equal(tree.blocks[2].list.Status, NDIS_STATUS_SUCCESS);
	rig_terminate(&tree);
	rig_stop();
}

/* The team goes while one of its members is asleep. */
static void test_remove_with_a_sleeping_member(void **state)
{
	(void)state;
	start(2, MUX_BALANCE);
	assert_int_equal(nrt_set_power(rig.nrt[0], NdisDeviceStateD3, on_power, NULL), 0);
	assert_true(rig_info()->members[1].active);
	rig_stop();
}

/* ---- Data ---- */

static NET_BUFFER_LIST *new_list(NDIS_HANDLE pool)
{
	NET_BUFFER_LIST *nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0);

	assert_non_null(nbl);
	return nbl;
}

static void check_io(enum fake_io io, NDIS_OFFLOAD_HANDLE *handle, NET_BUFFER_LIST *nbl)
{
	static NDIS_STATUS (*const down[])(PNDIS_OFFLOAD_HANDLE, PNET_BUFFER_LIST) = {
		[FAKE_SEND] = NdisOffloadTcpSend,
		[FAKE_RECEIVE] = NdisOffloadTcpReceive,
		[FAKE_FORWARD] = NdisOffloadTcpForward,
	};
	const struct fake_call *call;

	fake_log_clear(&rig.stack.log);
	if (io == FAKE_DISCONNECT)
		NdisOffloadTcpDisconnect(handle, nbl, TCP_DISCONNECT_GRACEFUL_CLOSE);
	else
		down[io](handle, nbl);
	call = fake_log_only(&rig.stack.log, FAKE_MP_SEND + io);
	REQ("IMD-15",
	    call->pointer == nbl && call->object == fake_adapter_object(rig.at[0], 2) &&
		    call->value == (io == FAKE_DISCONNECT ? TCP_DISCONNECT_GRACEFUL_CLOSE : 0));
	NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
	fake_adapter_complete_io(rig.at[0], io, nbl);
	call = fake_log_only(&rig.stack.log, FAKE_PR_SEND_COMPLETE + io);
	REQ("IMD-19", call->pointer == nbl && call->context == rig.stack.binding);
}

static void test_data(void **state)
{
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *nbl = new_list(pool), *data = new_list(pool);
	struct fake_block *tcp;
	const struct fake_call *call;
	struct fake_object *object;
	ULONG consumed = 0;
	enum fake_io io;

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	tcp = rig_connect(&tree, 1000);
	object = fake_adapter_object(rig.at[0], 2);
	for (io = FAKE_SEND; io < FAKE_IOS; io++)
		check_io(io, &tcp->own_handle, nbl);

	fake_log_clear(&rig.stack.log);
	rig.at[0]->up.NdisTcpOffloadEventHandler(object->ndis_handle, TcpIndicateRetrieve,
						 UploadRequested);
	call = fake_log_only(&rig.stack.log, FAKE_PR_TCP_EVENT);
	REQ("IMD-25", call->context == &tcp->own_handle && call->value == TcpIndicateRetrieve &&
			      call->value2 == UploadRequested);
	rig.stack.pr.receive_answer = NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED;
	rig.stack.pr.receive_consumed = 5;
	assert_int_equal(rig.at[0]->up.NdisTcpOffloadReceiveHandler(object->ndis_handle, data,
								    NDIS_STATUS_SUCCESS, &consumed),
			 NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED);
	REQ("IMD-26",
	    consumed == 5 && fake_log_only(&rig.stack.log, FAKE_PR_TCP_RECEIVE)->pointer == data);
	/* Not taken: the list is the member's again, as it was. */
	assert_null(NET_BUFFER_LIST_INFO(data, IMReserved));
	rig_terminate(&tree);
	rig_stop();
	NdisFreeNetBufferList(nbl);
	NdisFreeNetBufferList(data);
	NdisFreeNetBufferListPool(pool);
}

/* Indicated lists of two members in one chain each go back to their own (IMD-16). */
static void test_lists_go_back_to_their_member(void **state)
{
	NDIS_HANDLE pool = im_pool();
	NET_BUFFER_LIST *nbl[4];
	struct fake_object *object[2];
	ULONG consumed = 0;
	size_t i;

	(void)state;
	start(2, MUX_BALANCE);
	for (i = 0; i < 2; i++) {
		uint16_t port = rig_port((int)i, 0);
		struct fake_tree *to = i ? &second : &tree;

		rig_connect(to, port);
		object[i] = fake_adapter_object(rig.at[i], rig.at[i]->object_count - 1);
		assert_true(object[i]->live);
	}
	fake_log_clear(&rig.stack.log);
	for (i = 0; i < 4; i++) {
		nbl[i] = new_list(pool);
		NET_BUFFER_LIST_INFO(nbl[i], IMReserved) = (PVOID)(uintptr_t)(0x70 + i);
		assert_int_equal(
			rig.at[i % 2]->up.NdisTcpOffloadReceiveHandler(
				object[i % 2]->ndis_handle, nbl[i], NDIS_STATUS_SUCCESS, &consumed),
			NDIS_STATUS_SUCCESS);
		if (i)
			NET_BUFFER_LIST_NEXT_NBL(nbl[i - 1]) = nbl[i];
	}
	NdisOffloadTcpReceiveReturn(rig.binding, nbl[0]);
	assert_int_equal(rig_count(FAKE_MP_RECEIVE_RETURN), 2);
	for (i = 0; i < rig.stack.log.count; i++) {
		const struct fake_call *call = &rig.stack.log.calls[i];
		size_t member = call->context == rig.at[1];

		if (call->kind != FAKE_MP_RECEIVE_RETURN)
			continue;
		REQ("IMD-16", call->pointer == nbl[member] &&
				      NET_BUFFER_LIST_NEXT_NBL(nbl[member]) == nbl[member + 2] &&
				      !NET_BUFFER_LIST_NEXT_NBL(nbl[member + 2]));
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal((uintptr_t)NET_BUFFER_LIST_INFO(nbl[i], IMReserved), 0x70 + i);
		NdisFreeNetBufferList(nbl[i]);
	}
	rig_terminate(&tree);
	rig_terminate(&second);
	rig_stop();
	NdisFreeNetBufferListPool(pool);
}

/* ---- Segments on the wrong member ---- */

static void indicate_plain(size_t member, struct im_frame *frame, ULONG flags)
{
	fake_log_clear(&rig.stack.log);
	NdisMIndicateReceiveNetBufferLists(rig.at[member]->handle, frame->nbl, 0, 1, flags);
}

static NET_BUFFER_LIST *forwarded(size_t owner)
{
	const struct fake_call *call = fake_log_only(&rig.stack.log, FAKE_MP_FORWARD);

	assert_ptr_equal(call->context, rig.at[owner]);
	return call->pointer;
}

static void check_segment(NET_BUFFER_LIST *nbl, const UCHAR *tcp, uint32_t len)
{
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	const UCHAR *at =
		MmGetSystemAddressForMdlSafe(NET_BUFFER_FIRST_MDL(nb), NormalPagePriority);

	REQ("FWD-02", !NET_BUFFER_NEXT_NB(nb) && NET_BUFFER_DATA_OFFSET(nb) == 0 &&
			      NET_BUFFER_DATA_LENGTH(nb) == len);
	REQ("FWD-03", memcmp(at, tcp, len) == 0);
}

static void test_forward(void **state)
{
	NDIS_HANDLE pool = im_pool();
	static struct im_frame frame;
	NET_BUFFER_LIST *nbl;

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_connect(&tree, 1000);
	im_frame_build(&frame, 1000, 100);
	im_frame_list(&frame, pool);

	indicate_plain(1, &frame, 0);
	nbl = forwarded(0);
	check_segment(nbl, frame.data + 34, 120);
	REQ("FWD-05", rig_count(FAKE_PR_RECEIVE_PLAIN) == 0 && rig_info()->forwarded == 1);
	assert_ptr_equal(fake_log_only(&rig.stack.log, FAKE_MP_RETURN_PLAIN)->pointer, frame.nbl);
	NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
	fake_adapter_complete_io(rig.at[0], FAKE_FORWARD, nbl);
	assert_int_equal(rig_count(FAKE_PR_FORWARD_COMPLETE), 0); /* it was not the host's */

	/* On its own member, of another connection, corrupt: up to the host. */
	indicate_plain(0, &frame, 0);
	assert_ptr_equal(fake_log_only(&rig.stack.log, FAKE_PR_RECEIVE_PLAIN)->pointer, frame.nbl);
	NdisReturnNetBufferLists(rig.binding, frame.nbl, 0);
	assert_ptr_equal(fake_log_only(&rig.stack.log, FAKE_MP_RETURN_PLAIN)->context, rig.at[0]);
	frame.data[60] ^= 1;
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(rig_count(FAKE_PR_RECEIVE_PLAIN), 1);
	assert_int_equal(rig_count(FAKE_MP_FORWARD), 0);
	frame.data[60] ^= 1;
	frame.data[20] = 0x20; /* more fragments */
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(rig_count(FAKE_PR_RECEIVE_PLAIN), 1);
	frame.data[20] = 0;
	assert_null(NET_BUFFER_LIST_INFO(frame.nbl, IMReserved));

	/* No memory for the copy: the host gets it, and forwards it itself. */
	nrt_fail_alloc_after(0);
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	nrt_fail_alloc_after(-1);
	assert_int_equal(rig_count(FAKE_PR_RECEIVE_PLAIN), 1);
	assert_int_equal(rig_info()->forwards_unheld, 1);
	im_frame_free(&frame);
	rig_terminate(&tree);
	rig_stop();
	NdisFreeNetBufferListPool(pool);
}

/* FWD-06: in a terminate nothing is forwarded; what was on its way comes to the host after all. */
static void test_forward_and_upload(void **state)
{
	NDIS_HANDLE pool = im_pool();
	static struct im_frame frame;
	NET_BUFFER_LIST *nbl;

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_connect(&tree, 1000);
	im_frame_build(&frame, 1000, 100);
	im_frame_list(&frame, pool);
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	nbl = forwarded(0);
	tree.blocks[0].list.Header.Type = NeighborOffloadDelegatedState;
	NdisTerminateOffload(rig.binding, &tree.blocks[0].list);
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	REQ("FWD-06", rig_count(FAKE_MP_FORWARD) == 0 && rig_count(FAKE_PR_RECEIVE_PLAIN) == 1);
	fake_log_clear(&rig.stack.log);
	NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_UPLOAD_IN_PROGRESS;
	fake_adapter_complete_io(rig.at[0], FAKE_FORWARD, nbl);
	assert_int_equal(rig_count(FAKE_PR_RECEIVE_PLAIN), 1);
	assert_int_equal(rig_info()->forwards_returned, 1);
	rig_complete(FAKE_TERMINATE);
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	assert_int_equal(rig_count(FAKE_PR_RECEIVE_PLAIN), 1);
	im_frame_free(&frame);
	rig_stop();
	NdisFreeNetBufferListPool(pool);
}

/* A merged frame is several segments: one list each, numbered on, FIN and PSH on the last. */
static void test_super_frame(void **state)
{
	NDIS_HANDLE pool = im_pool();
	static struct im_frame frame;
	NET_BUFFER_LIST *nbl;
	uint32_t n = 0, total = 0;

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	rig_connect(&tree, 1000);
	im_frame_build(&frame, 1000, 1000);
	im_frame_list(&frame, pool);
	NET_BUFFER_LIST_INFO(frame.nbl, TcpLargeSendNetBufferListInfo) = (PVOID)400;
	indicate_plain(1, &frame, NDIS_RECEIVE_FLAGS_RESOURCES);
	for (nbl = forwarded(0); nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl), n++) {
		NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
		const UCHAR *tcp =
			MmGetSystemAddressForMdlSafe(NET_BUFFER_FIRST_MDL(nb), NormalPagePriority);
		uint32_t part = NET_BUFFER_DATA_LENGTH(nb) - 20;
		struct csum sum = { 0 };

		assert_int_equal((uint32_t)tcp[6] << 8 | tcp[7], 1000 + total);
		assert_int_equal(tcp[13], n == 2 ? 0x19 : 0x10);
		assert_memory_equal(tcp + 20, frame.data + 54 + total, part);
		csum_pseudo4(&sum, im_remote, im_local, 6, 20 + part);
		csum_add(&sum, tcp, 20 + part);
		assert_int_equal(csum_final(&sum), 0);
		total += part;
		NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
	}
	assert_int_equal(n, 3);
	assert_int_equal(total, 1000);
	fake_adapter_complete_io(rig.at[0], FAKE_FORWARD,
				 fake_log_only(&rig.stack.log, FAKE_MP_FORWARD)->pointer);
	im_frame_free(&frame);
	rig_terminate(&tree);
	rig_stop();
	NdisFreeNetBufferListPool(pool);
}

/* ---- Plain sends ---- */

static void test_plain_sends(void **state)
{
	NDIS_HANDLE pool = im_pool();
	static struct im_frame frame;
	const struct fake_call *call;

	(void)state;
	start(2, MUX_ACTIVE_BACKUP);
	im_frame_build(&frame, 1000, 10);
	im_frame_list(&frame, pool);
	NdisSendNetBufferLists(rig.binding, frame.nbl, 0, 0);
	call = fake_log_only(&rig.stack.log, FAKE_MP_SEND_PLAIN);
	assert_ptr_equal(call->context, rig.at[0]);
	NdisMSendNetBufferListsComplete(rig.at[0]->handle, frame.nbl, 0);
	assert_ptr_equal(fake_log_only(&rig.stack.log, FAKE_PR_SEND_PLAIN_COMPLETE)->pointer,
			 frame.nbl);
	assert_null(frame.nbl->Context);
	rig_link(0, false);
	fake_log_clear(&rig.stack.log);
	NdisSendNetBufferLists(rig.binding, frame.nbl, 0, 0);
	assert_ptr_equal(fake_log_only(&rig.stack.log, FAKE_MP_SEND_PLAIN)->context, rig.at[1]);
	NdisMSendNetBufferListsComplete(rig.at[1]->handle, frame.nbl, 0);
	rig_link(1, false);
	fake_log_clear(&rig.stack.log);
	NdisSendNetBufferLists(rig.binding, frame.nbl, 0, 0);
	assert_int_equal(rig_count(FAKE_MP_SEND_PLAIN), 0);
	assert_int_equal(rig_count(FAKE_PR_SEND_PLAIN_COMPLETE), 1);
	assert_int_equal(NET_BUFFER_LIST_STATUS(frame.nbl), NDIS_STATUS_MEDIA_DISCONNECTED);
	im_frame_free(&frame);
	rig_stop();
	NdisFreeNetBufferListPool(pool);
}

/* ---- Requests ---- */

static void answer_stats(size_t member, ULONG64 in, ULONG established)
{
	NDIS_OID_REQUEST *request = rig.at[member]->open_request;
	TCP_OFFLOAD_STATS *stats = request->DATA.QUERY_INFORMATION.InformationBuffer;

	memset(stats, 0, sizeof(*stats));
	stats->InSegments = in;
	stats->CurrentlyEstablished = established;
	request->DATA.QUERY_INFORMATION.BytesWritten = sizeof(*stats);
	fake_adapter_complete_oid(rig.at[member], NDIS_STATUS_SUCCESS);
}

static void test_requests(void **state)
{
	TCP_OFFLOAD_STATS stats = { 0 };
	NDIS_OID_REQUEST request;
	ULONG filter = 0x20;
	size_t i;

	(void)state;
	start(2, MUX_BALANCE);
	rig.stack.mp.oid_status = NDIS_STATUS_PENDING;
	fake_request_init(&request, NdisRequestQueryStatistics, OID_TCP4_OFFLOAD_STATS, &stats,
			  sizeof(stats));
	assert_int_equal(NdisOidRequest(rig.binding, &request), NDIS_STATUS_PENDING);
	answer_stats(1, 1000, 3);
	assert_int_equal(rig_count(FAKE_PR_OID_COMPLETE), 0);
	answer_stats(0, 234, 4);
	assert_int_equal(fake_log_only(&rig.stack.log, FAKE_PR_OID_COMPLETE)->value,
			 NDIS_STATUS_SUCCESS);
	REQ("STT-05", stats.InSegments == 1234 && stats.CurrentlyEstablished == 7);
	assert_int_equal(request.DATA.QUERY_INFORMATION.BytesWritten, sizeof(stats));
	assert_ptr_equal(request.DATA.QUERY_INFORMATION.InformationBuffer, &stats);

	fake_request_init(&request, NdisRequestQueryStatistics, OID_TCP4_OFFLOAD_STATS, &stats, 3);
	assert_int_equal(NdisOidRequest(rig.binding, &request), NDIS_STATUS_BUFFER_TOO_SHORT);

	/* A set goes to all; the team's own wish is added to the filter; one failure fails it. */
	fake_log_clear(&rig.stack.log);
	fake_request_init(&request, NdisRequestSetInformation, OID_GEN_CURRENT_PACKET_FILTER,
			  &filter, sizeof(filter));
	assert_int_equal(NdisOidRequest(rig.binding, &request), NDIS_STATUS_PENDING);
	REQ("IMD-03", rig_count(FAKE_MP_OID) == 2);
	for (i = 0; i < 2; i++) {
		const struct _SET *set = &rig.at[i]->open_request->DATA.SET_INFORMATION;

		assert_int_equal(*(ULONG *)set->InformationBuffer, 0x21);
		fake_adapter_complete_oid(rig.at[i], i ? NDIS_STATUS_FAILURE : NDIS_STATUS_SUCCESS);
	}
	assert_int_equal(fake_log_only(&rig.stack.log, FAKE_PR_OID_COMPLETE)->value,
			 (uint32_t)NDIS_STATUS_FAILURE);
	assert_ptr_equal(request.DATA.SET_INFORMATION.InformationBuffer, &filter);
	rig.stack.mp.oid_status = NDIS_STATUS_SUCCESS;
	assert_int_equal(NdisOidRequest(rig.binding, &request), NDIS_STATUS_SUCCESS);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_active_member),
		cmocka_unit_test(test_insert_refuses),
		cmocka_unit_test(test_link_loss),
		cmocka_unit_test(test_no_link_at_all),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_incapable_member),
		cmocka_unit_test(test_commands_and_members_wishes),
		cmocka_unit_test(test_power_and_unbind),
		cmocka_unit_test(test_remove_with_a_sleeping_member),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_lists_go_back_to_their_member),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_forward_and_upload),
		cmocka_unit_test(test_super_frame),
		cmocka_unit_test(test_plain_sends),
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
