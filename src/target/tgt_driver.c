/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The target as a miniport driver: registration, an adapter's life, its work list and its run.
 *
 * One run: receive a batch of frames, expire timers, do what connections were asked for, carry out
 * state operations, raise what is due; again while something new came up, but not for ever: the
 * caller has other work.
 */
#include "target/tgt_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wheel.h"
#include "target/tgt_cc.h"
#include "target/tgt_ddi.h"
#include "target/tgt_deliver.h"
#include "target/tgt_indicate.h"
#include "target/tgt_objects.h"
#include "target/tgt_oid.h"
#include "target/tgt_plain.h"
#include "target/tgt_reach.h"
#include "target/tgt_receive.h"
#include "target/tgt_send.h"
#include "target/tgt_upload.h"

#define POLL_BATCH      64u
#define ROUNDS_MAX      8u
#define WORK_ROUNDS_MAX 16u
#define RX_LISTS        512u
#define FRAME_ROOM      128u /* frames may be a little longer than the nic says */

static struct tgt_adapter *all_adapters;

/* ---- the work list ---- */

void tgt_work_add(struct tgt_adapter *a, struct tgt_conn_io *io, uint32_t work)
{
	struct tgt_ddi *d = a->ddi;

	io->work |= work;
	if (io->on_work_list)
		return;
	io->on_work_list = true;
	io->next_work = TGT_NO_SLOT;
	if (d->work_head == TGT_NO_SLOT)
		d->work_head = io->object.slot;
	else
		a->io[d->work_tail].next_work = io->object.slot;
	d->work_tail = io->object.slot;
}

/*
 * A connection that is not live yet keeps its work: the completion of its offload has to return
 * first.
 */
static void work_one(struct tgt_adapter *a, struct tgt_conn_io *io)
{
	uint32_t work = io->work;

	if (io->object.kind != TGT_OBJECT_CONN || !work)
		return;
	if (work & TGT_WORK_GO_LIVE) {
		io->live = true;
		work |= TGT_WORK_RECEIVE | TGT_WORK_SEND;
	}
	if (!io->live)
		return;
	io->work = 0;
	if (work & TGT_WORK_FORWARD)
		tgt_receive_forwards(a, io);
	if (work & (TGT_WORK_SEND | TGT_WORK_DISCONNECT))
		tgt_send_work(a, io);
	if (work & TGT_WORK_RECEIVE)
		tgt_deliver_work(a, io);
	tgt_upload_events(a, io, work);
}

void tgt_work_run(struct tgt_adapter *a)
{
	struct tgt_ddi *d = a->ddi;
	uint32_t slot = d->work_head;

	d->work_head = d->work_tail = TGT_NO_SLOT;
	while (slot != TGT_NO_SLOT) {
		struct tgt_conn_io *io = &a->io[slot];

		slot = io->next_work;
		io->on_work_list = false;
		work_one(a, io);
	}
}

/* Lists came back: connections that had nothing to indicate with try again. */
static void wake_starved(struct tgt_adapter *a)
{
	if (!a->ddi->rx_starved || !a->ddi->rx_free)
		return;
	a->ddi->rx_starved = false;
	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io; io = tgt_conn_next(a, io))
		if (io->deliver.no_nbl)
			tgt_work_add(a, io, TGT_WORK_RECEIVE);
}

/* ---- running ---- */

static bool work_waits(const struct tgt_adapter *a)
{
	const struct tgt_ddi *d = a->ddi;

	return d->work_head != TGT_NO_SLOT || d->due_neighbors != TGT_NO_SLOT ||
	       d->sends_done.first || (d->rx_starved && d->rx_free) || tgt_status_waiting(a) ||
	       tgt_ops_waiting(a);
}

static void run_requests(struct tgt_adapter *a)
{
	for (unsigned int i = 0; i < WORK_ROUNDS_MAX && work_waits(a); i++) {
		wake_starved(a);
		tgt_send_flush(a);
		tgt_work_run(a);
		tgt_ops_run(a);
		tgt_reach_run(a);
		tgt_status_run(a);
	}
}

bool tgt_adapter_run(struct tgt_adapter *a, uint64_t now_us)
{
	unsigned int frames = POLL_BATCH;

	a->now_us = now_us;
	for (unsigned int i = 0; i < ROUNDS_MAX && frames == POLL_BATCH; i++) {
		frames = nic_poll(a->nic, POLL_BATCH);
		tgt_timers_run(a, now_us);
		run_requests(a);
	}
	return frames == POLL_BATCH || work_waits(a);
}

void tgt_adapter_set_now(struct tgt_adapter *a, uint64_t now_us)
{
	a->now_us = now_us;
}

uint64_t tgt_adapter_next_deadline_us(const struct tgt_adapter *a)
{
	uint64_t timers = tgt_timers_next(a), ops = tgt_ops_deadline_us(a);

	if (work_waits(a))
		return a->now_us;
	return timers < ops ? timers : ops;
}

/* ---- flows announced by the host ---- */

int tgt_flow_expect(struct tgt_adapter *a, const struct tgt_tuple *tuple)
{
	return tgt_flow_mark(a, tuple, true);
}

static void indicate_caught(void *ctx, const struct nic_rx_frame *frame)
{
	tgt_indicate_frame(ctx, frame);
}

/*
 * Frames of a connection that waits for its upload stay caught: they go up when it is terminated.
 */
void tgt_flow_unexpect(struct tgt_adapter *a, const struct tgt_tuple *tuple)
{
	struct tgt_flow *flow = tgt_flow_find(a->flows, tuple);

	if (flow && flow->slot == TGT_FLOW_NO_CONN)
		tgt_flow_release(a, flow, indicate_caught, a);
	(void)tgt_flow_mark(a, tuple, false);
}

/* ---- making an adapter ---- */

void tgt_limits_default(struct tgt_limits *limits)
{
	*limits = (struct tgt_limits){
		.tcp_entries = 4096,
		.path_entries = 4096,
		.neighbor_entries = 1024,
		.ip_addresses = 64,
		.hw_addresses = 16,
		.vlans = 64,
		.rcv_window_bytes = 64u << 20,
		.path_mtu_bytes = 0, /* the nic's */
		.chunks = 32768,
		.conn_send_bytes = 4u << 20,
		.conn_reasm_bytes = 4u << 20,
		.flow_catch_frames = 1024,
	};
}

static void merge_limits(struct tgt_limits *to, const struct tgt_limits *wish,
			 const struct nic_info *info)
{
	const uint32_t *from = (const uint32_t *)wish;
	uint32_t *limit = (uint32_t *)to;

	_Static_assert(sizeof(*to) % sizeof(uint32_t) == 0,
		       "limits are an array of 32-bit numbers");
	tgt_limits_default(to);
	for (size_t i = 0; i < sizeof(*to) / sizeof(uint32_t); i++)
		if (from[i])
			limit[i] = from[i];
	if (!to->path_mtu_bytes)
		to->path_mtu_bytes = info->mtu_bytes;
}

static int make_arena(struct tgt_adapter *a, const char *name)
{
	const struct arena_pool_spec pools[] = {
		{ "conn", sizeof(struct tgt_conn), a->limits.tcp_entries, 0 },
		{ "path", sizeof(struct tgt_path), a->limits.path_entries, 0 },
		{ "neighbor", sizeof(struct tgt_neighbor), a->limits.neighbor_entries, 0 },
		/* a chunk says how many of its bytes count */
		{ "chunk", TGT_CHUNK_BYTES, a->limits.chunks, sizeof(struct tgt_chunk) },
	};
	int err = arena_create(&a->arena, name, pools, 4);

	if (err)
		return err;
	a->pool_conn = (unsigned int)arena_pool(a->arena, "conn");
	a->pool_path = (unsigned int)arena_pool(a->arena, "path");
	a->pool_neighbor = (unsigned int)arena_pool(a->arena, "neighbor");
	a->pool_chunk = (unsigned int)arena_pool(a->arena, "chunk");
	return 0;
}

static void adapter_free(struct tgt_adapter *a)
{
	if (!a)
		return;
	if (a->ddi) {
		tgt_rx_lists_destroy(a);
		tgt_objects_destroy(a);
		free(a->ddi->gather);
		free(a->ddi);
	}
	tgt_flow_table_destroy(a->flows);
	wheel_destroy(a->wheel);
	arena_destroy(a->arena);
	free(a);
}

/* Frames to catch: those of the offloaded connections and of as many announced ones. */
static int make_tables(struct tgt_adapter *a, const struct tgt_adapter_config *config)
{
	uint32_t frame_bytes = a->nic_info->max_frame_bytes + FRAME_ROOM;
	int err = make_arena(a, config->name);

	if (!err)
		err = wheel_create(&a->wheel, a->limits.tcp_entries, config->now_us);
	if (!err)
		err = tgt_flow_table_create(&a->flows, 2 * a->limits.tcp_entries,
					    a->limits.flow_catch_frames, frame_bytes,
					    config->hash_key);
	if (!err)
		err = tgt_objects_create(a);
	a->ddi->gather = malloc(TGT_FORWARD_MAX_BYTES);
	return err ? err : a->ddi->gather ? 0 : -ENOMEM;
}

static struct tgt_adapter *adapter_alloc(const struct tgt_adapter_config *config,
					 NDIS_HANDLE miniport)
{
	struct tgt_adapter *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->ddi = calloc(1, sizeof(*a->ddi));
	a->nic = config->nic;
	a->nic_info = nic_info(config->nic);
	a->now_us = config->now_us;
	a->ip_id = 0x8000;
	a->quick_acks = config->quick_acks;
	a->cc = tgt_cc_by_name(config->cc_name);
	a->pace_bytes_per_s = config->pace_bytes_per_s;
	merge_limits(&a->limits, &config->limits, a->nic_info);
	tgt_params_default(&a->params);
	if (!a->ddi || !a->cc)
		goto fail;
	strncpy(a->ddi->name, config->name, sizeof(a->ddi->name) - 1);
	a->ddi->miniport = miniport;
	a->ddi->macs_configurable = !config->no_configurable_macs;
	a->ddi->drop_corrupt = config->drop_corrupt;
	a->ddi->link_up = true;
	a->ddi->due_neighbors = a->ddi->work_head = a->ddi->work_tail = TGT_NO_SLOT;
	if (make_tables(a, config))
		goto fail;
	return a;
fail:
	adapter_free(a);
	return NULL;
}

/*
 * REG-11..15: the table is NDIS's; its entry points are copied when its revision is one that is
 * known here.
 */
static NDIS_STATUS get_handlers(struct tgt_ddi *d)
{
	NDIS_OFFLOAD_EVENT_HANDLERS *table = NULL;
	NDIS_STATUS status = NdisMGetOffloadHandlers(d->miniport, NdisTcpChimneyOffload, &table);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	if (table->Header.Type != NdisTcpChimneyOffload ||
	    table->Header.Revision < NDIS_OBJECT_TCP_OFFLOAD_REVISION_1 ||
	    table->Header.Size < sizeof(d->up))
		return NDIS_STATUS_BAD_VERSION;
	memcpy(&d->up, table, sizeof(d->up));
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS set_registration(struct tgt_adapter *a)
{
	NDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes = { 0 };

	attributes.RegistrationAttributes = (NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES){
		.Header = { NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
			    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
			    NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 },
		.MiniportAdapterContext = a,
	};
	return NdisMSetMiniportAttributes(a->ddi->miniport, &attributes);
}

static NDIS_STATUS set_general(struct tgt_adapter *a)
{
	static NDIS_OID oids[] = {
		OID_TCP_CONNECTION_OFFLOAD_PARAMETERS,
		OID_TCP_OFFLOAD_PARAMETERS,
		OID_TCP4_OFFLOAD_STATS,
		OID_TCP6_OFFLOAD_STATS,
		OID_IP4_OFFLOAD_STATS,
		OID_IP6_OFFLOAD_STATS,
		OID_GEN_CURRENT_PACKET_FILTER,
		OID_GEN_VLAN_ID,
		OID_PNP_SET_POWER,
		OID_PNP_QUERY_POWER,
	};
	NDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes = { 0 };
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES *g = &attributes.GeneralAttributes;

	*g = (NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES){
		.Header = { NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
			    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
			    NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1 },
		.MediaType = NdisMedium802_3,
		.MtuSize = a->nic_info->mtu_bytes,
		.MacAddressLength = 6,
		.SupportedOidList = oids,
		.SupportedOidListLength = sizeof(oids),
	};
	memcpy(g->PermanentMacAddress, a->nic_info->mac, 6);
	memcpy(g->CurrentMacAddress, a->nic_info->mac, 6);
	return NdisMSetMiniportAttributes(a->ddi->miniport, &attributes);
}

static NDIS_STATUS set_offload(struct tgt_adapter *a)
{
	NDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes = { 0 };
	NDIS_TCP_CONNECTION_OFFLOAD now, hardware;

	tgt_capabilities(a, false, &now);
	tgt_capabilities(a, true, &hardware);
	attributes.OffloadAttributes = (NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES){
		.Header = { NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
			    NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
			    NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1 },
		.DefaultTcpConnectionOffloadConfiguration = &now,
		.TcpConnectionOffloadHardwareCapabilities = &hardware,
	};
	return NdisMSetMiniportAttributes(a->ddi->miniport, &attributes);
}

static NDIS_STATUS introduce(struct tgt_adapter *a)
{
	NDIS_STATUS status = set_registration(a);

	if (status == NDIS_STATUS_SUCCESS)
		status = get_handlers(a->ddi);
	if (status == NDIS_STATUS_SUCCESS)
		status = tgt_keywords_read(a);
	if (status == NDIS_STATUS_SUCCESS)
		status = set_general(a);
	return status == NDIS_STATUS_SUCCESS ? set_offload(a) : status;
}

static NDIS_STATUS tgt_initialize(NDIS_HANDLE miniport, NDIS_HANDLE driver_context,
				  NDIS_MINIPORT_INIT_PARAMETERS *params)
{
	const struct tgt_adapter_config *config = params->MiniportAddDeviceContext;
	struct tgt_adapter *a;
	NDIS_STATUS status;

	(void)driver_context;
	if (!config || !config->nic || !config->name)
		return NDIS_STATUS_INVALID_PARAMETER;
	a = adapter_alloc(config, miniport);
	if (!a)
		return NDIS_STATUS_RESOURCES;
	status = introduce(a);
	if (status == NDIS_STATUS_SUCCESS && tgt_rx_lists_create(a, RX_LISTS))
		status = NDIS_STATUS_RESOURCES;
	if (status != NDIS_STATUS_SUCCESS) {
		adapter_free(a);
		return status;
	}
	nic_set_rx(a->nic, tgt_receive, a);
	a->ddi->next = all_adapters;
	all_adapters = a;
	return NDIS_STATUS_SUCCESS;
}

/* ---- the rest of an adapter's life ---- */

static NDIS_STATUS tgt_restart(NDIS_HANDLE context, NDIS_MINIPORT_RESTART_PARAMETERS *params)
{
	struct tgt_adapter *a = context;

	(void)params;
	a->ddi->running = true;
	return NDIS_STATUS_SUCCESS;
}

/*
 * RCV-44: the pause is over when every indicated list came back; tgt_rx_lists_return() then says
 * so.
 */
static NDIS_STATUS tgt_pause(NDIS_HANDLE context, NDIS_MINIPORT_PAUSE_PARAMETERS *params)
{
	struct tgt_adapter *a = context;

	(void)params;
	a->ddi->running = false;
	if (!a->ddi->rx_out)
		return NDIS_STATUS_SUCCESS;
	a->ddi->pause_pending = true;
	return NDIS_STATUS_PENDING;
}

static void unlink_adapter(const struct tgt_adapter *a)
{
	struct tgt_adapter **link = &all_adapters;

	while (*link && *link != a)
		link = &(*link)->ddi->next;
	if (*link)
		*link = a->ddi->next;
}

/*
 * A host in order has terminated everything; what it forgot ends here with its requests, not with
 * leaked memory.
 */
static void tgt_halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	struct tgt_adapter *a = context;

	(void)action;
	nic_set_rx(a->nic, NULL, NULL);
	a->ddi->halting = true;
	for (struct tgt_conn_io *io = tgt_conn_next(a, NULL); io; io = tgt_conn_next(a, io))
		tgt_upload_abandon(a, io);
	run_requests(a);
	unlink_adapter(a);
	adapter_free(a);
}

static void tgt_unload(PDRIVER_OBJECT object)
{
	(void)object;
}

static NDIS_STATUS tgt_request(NDIS_HANDLE context, NDIS_OID_REQUEST *request)
{
	return tgt_oid_request(context, request);
}

static void tgt_return_lists(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	/* Plain frames are lent for the time of the indication only, so nothing can come back. */
	(void)context;
	(void)chain;
	(void)flags;
}

static void tgt_cancel_send(NDIS_HANDLE context, PVOID id)
{
	(void)context;
	(void)id; /* plain sends do not wait */
}

static void tgt_pnp_event(NDIS_HANDLE context, PNET_DEVICE_PNP_EVENT event)
{
	(void)context;
	(void)event;
}

static void tgt_shutdown(NDIS_HANDLE context, NDIS_SHUTDOWN_ACTION action)
{
	(void)context;
	(void)action;
}

static void tgt_cancel_request(NDIS_HANDLE context, PVOID id)
{
	struct tgt_adapter *a = context;
	NDIS_OID_REQUEST *request = a->ddi->power_request;

	if (!request || request->RequestId != id)
		return;
	a->ddi->power_request = NULL;
	NdisMOidRequestComplete(a->ddi->miniport, request, NDIS_STATUS_REQUEST_ABORTED);
}

/* ---- registration ---- */

static NDIS_STATUS tgt_set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	NDIS_STATUS status;

	(void)context;
	status = NdisSetOptionalHandlers(
		driver, (NDIS_DRIVER_OPTIONAL_HANDLERS *)&tgt_generic_characteristics);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	return NdisSetOptionalHandlers(driver,
				       (NDIS_DRIVER_OPTIONAL_HANDLERS *)&tgt_tcp_characteristics);
}

int tgt_driver_register(NDIS_HANDLE *driver)
{
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS c = {
		.Header = { NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
			    NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
			    NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 },
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.SetOptionsHandler = tgt_set_options,
		.InitializeHandlerEx = tgt_initialize,
		.HaltHandlerEx = tgt_halt,
		.UnloadHandler = tgt_unload,
		.PauseHandler = tgt_pause,
		.RestartHandler = tgt_restart,
		.OidRequestHandler = tgt_request,
		.SendNetBufferListsHandler = tgt_plain_send,
		.ReturnNetBufferListsHandler = tgt_return_lists,
		.CancelSendHandler = tgt_cancel_send,
		.DevicePnPEventNotifyHandler = tgt_pnp_event,
		.ShutdownHandlerEx = tgt_shutdown,
		.CancelOidRequestHandler = tgt_cancel_request,
	};
	NDIS_STATUS status = NdisMRegisterMiniportDriver(NULL, NULL, NULL, &c, driver);

	if (status == NDIS_STATUS_SUCCESS)
		return 0;
	return status == NDIS_STATUS_RESOURCES ? -ENOMEM : -EINVAL;
}

void tgt_driver_deregister(NDIS_HANDLE driver)
{
	NdisMDeregisterMiniportDriver(driver);
}

struct tgt_adapter *tgt_adapter_find(const char *name)
{
	for (struct tgt_adapter *a = all_adapters; a; a = a->ddi->next)
		if (!strcmp(a->ddi->name, name))
			return a;
	return NULL;
}
