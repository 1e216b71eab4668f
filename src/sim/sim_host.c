/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "im/im_edge.h"
#include "ndis/nrt.h"
#include "ndis/nrt_module.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"
#include "nic/nic_edge.h"
#include "nic/nic_sim_frame.h"
#include "sim/sim_im.h"
#include "sim/sim_sock.h"
#include "sim/sim_state.h"
#include "target/tgt_driver.h"

enum {
	NDIS_MAJOR = 6,
	NDIS_MINOR = 30,
	DRAIN_STEPS = 100000,
	RECEIVE_CSUM_GOOD = 1 << 3, /* TcpChecksumSucceeded of a received list */
	PACKET_TYPE_DIRECTED = 1,   /* NDIS_PACKET_TYPE_DIRECTED */
};

struct sim_host {
	struct sim_world *world;
	NDIS_HANDLE target_driver;
	NDIS_HANDLE protocol;
	NDIS_HANDLE pool;
	struct nrt_adapter *adapters[SIM_PLACES + SIM_TEAM_MAX];
	bool bound[SIM_PLACES];
	/* ends that want to be served, in the order of asking */
	struct sim_sock *wake, **wake_tail;
	bool ops_changed;
};

/* Binding. */

static struct sim_binding *binding_by_name(struct sim_host *host, const NDIS_STRING *name)
{
	int place;

	for (place = 0; place < SIM_PLACES; place++) {
		if (nrt_string_is(name, host->world->bindings[place].bind_name, false))
			return &host->world->bindings[place];
	}
	return NULL;
}

static NDIS_STATUS protocol_bind(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
				 PNDIS_BIND_PARAMETERS params)
{
	struct sim_host *host = driver_context;
	struct sim_binding *binding = binding_by_name(host, params->AdapterName);
	NDIS_MEDIUM media[] = { NdisMedium802_3 };
	UINT medium_index = 0;
	NDIS_OPEN_PARAMETERS open = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
			.Revision = NDIS_OPEN_PARAMETERS_REVISION_1,
			.Size = NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1,
		},
		.AdapterName = params->AdapterName,
		.MediumArray = media,
		.MediumArraySize = 1,
		.SelectedMediumIndex = &medium_index,
	};

	if (!binding)
		return NDIS_STATUS_FAILURE;
	return NdisOpenAdapterEx(host->protocol, binding, &open, bind_context, &binding->handle);
}

static NDIS_STATUS protocol_unbind(NDIS_HANDLE unbind_context, NDIS_HANDLE binding_context)
{
	struct sim_binding *binding = binding_context;

	(void)unbind_context;
	return NdisCloseAdapterEx(binding->handle);
}

static VOID protocol_open_complete(NDIS_HANDLE binding_context, NDIS_STATUS status)
{
	(void)binding_context;
	(void)status;
}

static VOID protocol_close_complete(NDIS_HANDLE binding_context)
{
	(void)binding_context;
}

static VOID protocol_oid_complete(NDIS_HANDLE binding_context, PNDIS_OID_REQUEST request,
				  NDIS_STATUS status)
{
	(void)binding_context;
	(void)request;
	(void)status;
}

static VOID protocol_status(NDIS_HANDLE binding_context, PNDIS_STATUS_INDICATION indication)
{
	struct sim_binding *binding = binding_context;
	struct sim_world *world = binding->world;
	unsigned int i;

	if (!binding->handle)
		return;
	sim_note(world, "%s: status indication 0x%08x", sim_place_name(binding->place),
		 (unsigned int)indication->StatusCode);
	switch (indication->StatusCode) {
	case NDIS_STATUS_UPLOAD_ALL:
		for (i = 0; i < world->conn_count && binding->place == SIM_TARGET; i++)
			sim_sock_ask_back(world->conns[i].sock[SIM_AT_HOST]);
		binding->paused = true;
		break;
	case NDIS_STATUS_OFFLOAD_PAUSE:
		binding->paused = true;
		break;
	case NDIS_STATUS_OFFLOAD_RESUME:
		binding->paused = false;
		break;
	default:
		break;
	}
}

/* A plain receive indication: the frame lies in the MDLs of each NET_BUFFER. */
static void indicated_frame(struct sim_binding *binding, NET_BUFFER_LIST *nbl, NET_BUFFER *nb)
{
	uint8_t *data = malloc(NET_BUFFER_DATA_LENGTH(nb) + 1u);
	struct nic_rx_frame frame = { .data = data, .len = NET_BUFFER_DATA_LENGTH(nb) };
	uintptr_t csum = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
	uintptr_t segment = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo);
	uint8_t *at;

	frame.csum_trusted = csum & RECEIVE_CSUM_GOOD;
	frame.gso_size = (uint16_t)segment;
	if (!data)
		return;
	at = NdisGetDataBuffer(nb, frame.len, data, 1, 0);
	if (at && at != data)
		memcpy(data, at, frame.len);
	if (at && segment > 0 && frame.len > 12)
		frame.gso_type = data[12] == 0x86 ? NIC_GSO_TCP6 : NIC_GSO_TCP4;
	if (at)
		sim_host_frame(binding, &frame);
	free(data);
}

static VOID protocol_receive(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain,
			     NDIS_PORT_NUMBER port, ULONG count, ULONG flags)
{
	struct sim_binding *binding = binding_context;
	NET_BUFFER_LIST *nbl;

	(void)port;
	(void)count;
	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		NET_BUFFER *nb;

		for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb))
			indicated_frame(binding, nbl, nb);
	}
	if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		NdisReturnNetBufferLists(binding->handle, chain, 0);
}

static VOID protocol_send_complete(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain, ULONG flags)
{
	(void)binding_context;
	(void)chain;
	(void)flags;
}

/* Chimney callbacks. */

static VOID op_complete(NDIS_HANDLE binding_context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	struct sim_binding *binding = binding_context;
	struct sim_op *op = binding->ops;

	if (!op || op->root != root || root->ProtocolReserved[0] != op) {
		sim_world_fail(binding->world,
			       "%s: completion of an operation that is not under way",
			       sim_place_name(binding->place));
		return;
	}
	op->completed = true;
	/* From the return of this call on the target may indicate and raise events. */
	if (op->kind == SIM_OP_INITIATE)
		op->sock->down = op->tcp->list.Status == NDIS_STATUS_SUCCESS;
	else if (op->kind == SIM_OP_TERMINATE)
		op->sock->down = op->tcp->list.Status != NDIS_STATUS_SUCCESS;
	binding->world->host->ops_changed = true;
}

/* The target asks whether the neighbor is still reachable: it is, confirmed now (EVT-22). */
static VOID indicate_event(NDIS_HANDLE binding_context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root,
			   ULONG code)
{
	struct sim_binding *binding = binding_context;
	struct sim_block *block = (struct sim_block *)root;
	size_t at = offsetof(struct sim_block, state) +
		    ((sizeof(NEIGHBOR_OFFLOAD_STATE_CONST) + 7) & ~(size_t)7);
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached;

	sim_note(binding->world, "%s: offload event %u", sim_place_name(binding->place), code);
	if (code != NeighborReachabilityQuery || !root)
		return;
	cached = (NEIGHBOR_OFFLOAD_STATE_CACHED *)((uint8_t *)block + at);
	cached->HostReachabilityDelta = 0;
}

static VOID tcp_send_complete(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	(void)binding_context;
	sim_send_complete(chain);
}

static VOID tcp_receive_complete(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	(void)binding_context;
	sim_recv_complete(chain);
}

static VOID tcp_disconnect_complete(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	(void)binding_context;
	sim_disconnect_complete(chain);
}

static VOID tcp_forward_complete(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	(void)binding_context;
	sim_forward_complete(chain);
}

static VOID tcp_event(PVOID offload_context, ULONG type, ULONG information)
{
	sim_sock_event(offload_context, type, information);
}

static NDIS_STATUS tcp_receive_indicate(PVOID offload_context, PNET_BUFFER_LIST nbl,
					NDIS_STATUS status, PULONG consumed)
{
	const struct sim_sock *sock = offload_context;

	if (status != NDIS_STATUS_SUCCESS)
		sim_world_fail(sock->world, "%u: an indication with status %s (RCV-27)",
			       sock->number, nrt_status_name(status));
	return sim_recv_indicate(offload_context, nbl, consumed);
}

static NDIS_STATUS protocol_set_options(NDIS_HANDLE driver_handle, NDIS_HANDLE driver_context)
{
	NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
			.Size = sizeof(generic),
		},
		.InitiateOffloadCompleteHandler = op_complete,
		.TerminateOffloadCompleteHandler = op_complete,
		.UpdateOffloadCompleteHandler = op_complete,
		.InvalidateOffloadCompleteHandler = op_complete,
		.QueryOffloadCompleteHandler = op_complete,
		.IndicateOffloadEventHandler = indicate_event,
	};
	NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
			.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
			.Size = sizeof(tcp),
		},
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendCompleteHandler = tcp_send_complete,
		.TcpOffloadReceiveCompleteHandler = tcp_receive_complete,
		.TcpOffloadDisconnectCompleteHandler = tcp_disconnect_complete,
		.TcpOffloadForwardCompleteHandler = tcp_forward_complete,
		.TcpOffloadEventHandler = tcp_event,
		.TcpOffloadReceiveIndicateHandler = tcp_receive_indicate,
	};
	NDIS_STATUS status;

	(void)driver_context;
	status = NdisSetOptionalHandlers(driver_handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&generic);
	if (status == NDIS_STATUS_SUCCESS)
		status = NdisSetOptionalHandlers(driver_handle,
						 (PNDIS_DRIVER_OPTIONAL_HANDLERS)&tcp);
	return status;
}

/* Registration. */

static int register_protocol(struct sim_host *host)
{
	static uint16_t name[] = { 's', 'i', 'm', 'h', 'o', 's', 't', 0 };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS characteristics = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			.Revision = NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			.Size = NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
		},
		.MajorNdisVersion = NDIS_MAJOR,
		.MinorNdisVersion = NDIS_MINOR,
		.Name = { .Length = 14, .MaximumLength = 16, .Buffer = name },
		.SetOptionsHandler = protocol_set_options,
		.BindAdapterHandlerEx = protocol_bind,
		.UnbindAdapterHandlerEx = protocol_unbind,
		.OpenAdapterCompleteHandlerEx = protocol_open_complete,
		.CloseAdapterCompleteHandlerEx = protocol_close_complete,
		.OidRequestCompleteHandler = protocol_oid_complete,
		.StatusHandlerEx = protocol_status,
		.ReceiveNetBufferListsHandler = protocol_receive,
		.SendNetBufferListsCompleteHandler = protocol_send_complete,
	};

	return nrt_errno_from_status(
		NdisRegisterProtocolDriver(host, &characteristics, &host->protocol));
}

int sim_host_create(struct sim_host **out, struct sim_world *world)
{
	struct sim_host *host = calloc(1, sizeof(*host));
	int err;

	if (!host)
		return -ENOMEM;
	host->world = world;
	host->wake_tail = &host->wake;
	*out = host;
	err = tgt_driver_register(&host->target_driver);
	if (err == 0)
		err = register_protocol(host);
	if (err)
		return err;
	host->pool = im_pool_create();
	return host->pool ? 0 : -ENOMEM;
}

static int add_loaded(struct sim_host *host, struct sim_binding *binding,
		      const struct nrt_module *module)
{
	struct nrt_adapter_params params = { .name = binding->adapter_name };
	int err = nic_edge_create(&binding->edge, binding->nic, sim_world_now(binding->world));

	if (err)
		return err;
	params.add_device_context = nic_edge_device(binding->edge);
	return nrt_adapter_create(nrt_module_miniport(module), &params,
				  &host->adapters[binding->machine]);
}

int sim_host_add_adapter(struct sim_host *host, struct sim_binding *binding,
			 const struct tgt_adapter_config *config)
{
	struct tgt_adapter_config own = *config;
	struct nrt_adapter_params params = { .name = binding->adapter_name,
					     .add_device_context = &own };
	int err;

	if (binding->place == SIM_TARGET && binding->world->config.target_module)
		return add_loaded(host, binding, binding->world->config.target_module);
	own.name = binding->adapter_name;
	own.now_us = sim_world_now(binding->world);
	err = nrt_adapter_create(host->target_driver, &params, &host->adapters[binding->machine]);
	if (err)
		return err;
	binding->adapter = tgt_adapter_find(binding->adapter_name);
	return binding->adapter ? 0 : -ENOENT;
}

/* The target answers such requests at once. */
static int set_oid(NDIS_HANDLE binding, NDIS_OID oid, void *value, UINT bytes)
{
	NDIS_OID_REQUEST request = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_OID_REQUEST,
			.Revision = NDIS_OID_REQUEST_REVISION_1,
			.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1,
		},
		.RequestType = NdisRequestSetInformation,
		.DATA.SET_INFORMATION = {
			.Oid = oid,
			.InformationBuffer = value,
			.InformationBufferLength = bytes,
		},
	};

	return nrt_errno_from_status(NdisOidRequest(binding, &request));
}

int sim_host_enable_offload(NDIS_HANDLE binding)
{
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS params = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_DEFAULT,
			.Revision = NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS_1,
			.Size = sizeof(params),
		},
		.Encapsulation = {
			.Header = {
				.Type = NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION,
				.Revision = NDIS_OFFLOAD_ENCAPSULATION_REVISION_1,
				.Size = sizeof(params.Encapsulation),
			},
			.IPv4 = { NDIS_OFFLOAD_SET_ON, NDIS_ENCAPSULATION_IEEE_802_3, 14 },
			.IPv6 = { NDIS_OFFLOAD_SET_ON, NDIS_ENCAPSULATION_IEEE_802_3, 14 },
		},
		.TicksPerSecond = SIM_TICKS_PER_S,
		.TcpAckFrequency = 2,
		.TcpDelayedAckTicks = 40,
		.TcpMaximumRetransmissions = 15,
		.TcpSwsPreventionTicks = 200,
		.TcpDuplicateAckThreshold = 3,
		.TcpPushTicks = 500,
		.NceStaleTicks = 30000,
	};

	return set_oid(binding, OID_TCP_CONNECTION_OFFLOAD_PARAMETERS, &params, sizeof(params));
}

/* Without a filter the target gives frames that are not its own to the nic's host side. */
static int want_plain_frames(struct sim_binding *binding)
{
	ULONG filter = PACKET_TYPE_DIRECTED;

	return set_oid(binding->handle, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
}

int sim_host_bind(struct sim_host *host, struct sim_binding *binding)
{
	int err = nrt_bind(host->protocol, binding->bind_name);

	if (err)
		return err;
	host->bound[binding->place] = true;
	err = sim_host_enable_offload(binding->handle);
	if (err == 0 && binding->world->config.plain_receive)
		err = want_plain_frames(binding);
	return err;
}

NDIS_HANDLE sim_host_nbl_pool(const struct sim_host *host)
{
	return host->pool;
}

/* State operations. */

static void op_append(struct sim_op *op)
{
	*op->binding->ops_tail = op;
	op->binding->ops_tail = &op->next;
	op->binding->world->host->ops_changed = true;
}

int sim_host_submit(enum sim_op_kind kind, struct sim_sock *sock, void (*done)(struct sim_op *op))
{
	struct sim_op *op = calloc(1, sizeof(*op));

	if (!op)
		return -ENOMEM;
	op->kind = kind;
	op->sock = sock;
	op->binding = sock->at;
	op->family = sock->conn->family;
	op->done = done;
	op_append(op);
	return 0;
}

int sim_host_submit_path(enum sim_op_kind kind, struct sim_binding *binding, enum sim_family family)
{
	struct sim_op *op = calloc(1, sizeof(*op));

	if (!op)
		return -ENOMEM;
	op->kind = kind;
	op->binding = binding;
	op->family = family;
	op_append(op);
	return 0;
}

static void op_start(struct sim_op *op)
{
	NDIS_HANDLE handle = op->binding->handle;

	if (sim_state_build(op) != 0) {
		sim_world_fail(op->binding->world, "no memory for a state tree");
		return;
	}
	if (!op->root) { /* a sweep that finds nothing */
		op->completed = true;
		return;
	}
	switch (op->kind) {
	case SIM_OP_INITIATE:
		NdisInitiateOffload(handle, op->root);
		break;
	case SIM_OP_TERMINATE:
	case SIM_OP_SWEEP:
		NdisTerminateOffload(handle, op->root);
		break;
	case SIM_OP_QUERY:
		NdisQueryOffloadState(handle, op->root);
		break;
	case SIM_OP_UPDATE:
	case SIM_OP_PATH_MTU:
		NdisUpdateOffload(handle, op->root);
		break;
	case SIM_OP_INVALIDATE:
		NdisInvalidateOffload(handle, op->root);
		break;
	}
}

/* Every block has a status by now, and the driver left our words alone (BLK-09, BLK-12). */
static void op_check(const struct sim_op *op)
{
	const struct sim_block *blocks[] = { op->neighbor, op->path, op->tcp };
	size_t i;

	for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if (blocks[i] && blocks[i]->list.Status == (NDIS_STATUS)0xDEADBEEF)
			sim_world_fail(op->binding->world, "%s: a block came back without a status",
				       sim_place_name(op->binding->place));
	}
}

static void op_finish(struct sim_op *op)
{
	struct sim_binding *binding = op->binding;

	binding->ops = op->next;
	if (!binding->ops)
		binding->ops_tail = &binding->ops;
	op_check(op);
	sim_state_settle(op);
	if (op->done)
		op->done(op);
	sim_state_free(op);
	free(op);
}

static bool ops_run(struct sim_host *host)
{
	bool any = false;
	int place;

	host->ops_changed = false;
	for (place = 0; place < SIM_PLACES; place++) {
		struct sim_binding *binding = &host->world->bindings[place];

		while (binding->ops && binding->ops->completed) {
			op_finish(binding->ops);
			any = true;
		}
		if (binding->ops && !binding->ops->root) {
			op_start(binding->ops);
			any = true;
		}
		if (binding->ops && binding->ops->completed)
			host->ops_changed = true;
	}
	return any;
}

void sim_host_wake(struct sim_sock *sock)
{
	struct sim_host *host = sock->world->host;

	if (sock->woken)
		return;
	sock->woken = true;
	sock->wake_next = NULL;
	*host->wake_tail = sock;
	host->wake_tail = &sock->wake_next;
}

bool sim_host_due(const struct sim_host *host)
{
	return host->wake || host->ops_changed;
}

bool sim_host_run(struct sim_host *host)
{
	bool any = host->ops_changed && ops_run(host);
	struct sim_sock *list = host->wake, *sock;

	host->wake = NULL;
	host->wake_tail = &host->wake;
	while (list) {
		sock = list;
		list = sock->wake_next;
		sock->woken = false;
		sim_sock_serve(sock);
		any = true;
	}
	return any;
}

/* Frames for the host's own stack. */

void sim_host_frame(struct sim_binding *binding, const struct nic_rx_frame *frame)
{
	struct sim_world *world = binding->world;
	struct nic_sim_view view;
	struct sim_conn *conn = NULL;
	enum sim_side side = SIM_AT_HOST;

	if (nic_sim_view(frame->data, frame->len, &view) &&
	    (frame->csum_trusted || nic_sim_csum_ok(frame->data, &view)))
		conn = sim_world_conn_of(world, &view, &side);
	if (!conn || !conn->sock[side] || (side == SIM_AT_PEER) != (binding->place == SIM_PEER)) {
		world->counts.strays++;
		return;
	}
	sim_sock_hold_or_pass(conn->sock[side], binding, frame, &view);
}

/* The end of a world: let everything that is under way come to rest, then free the connections. */
static void drain(struct sim_host *host)
{
	struct sim_world *world = host->world;
	bool failed = world->failed;
	unsigned int i, steps = 0;
	int place;

	world->failed = false;
	world->watch = NULL;
	for (i = 0; i < world->conn_count; i++)
		sim_conn_abandon(&world->conns[i]);
	while (steps++ < DRAIN_STEPS && !sim_conns_at_rest(world) && sim_world_step(world))
		;
	for (i = 0; i < world->conn_count; i++) {
		sim_sock_free(world->conns[i].sock[SIM_AT_PEER]);
		sim_sock_free(world->conns[i].sock[SIM_AT_HOST]);
	}
	for (place = 0; place < SIM_PLACES; place++) {
		while (world->bindings[place].ops) {
			struct sim_op *op = world->bindings[place].ops;

			world->bindings[place].ops = op->next;
			sim_state_free(op);
			free(op);
		}
	}
	world->failed |= failed;
}

/* Whether the target has given everything back. */
static bool is_empty(const struct sim_binding *binding)
{
	struct tgt_adapter_usage usage;

	if (!binding->adapter)
		return true;
	tgt_adapter_usage(binding->adapter, &usage);
	if (!usage.connections && !usage.paths && !usage.neighbors && !usage.indicated_nbls &&
	    !usage.chunks_used && !usage.caught_frames)
		return true;
	sim_note(binding->world,
		 "%s keeps %u connections %u paths %u neighbors %u lists %u chunks %u frames",
		 binding->adapter_name, usage.connections, usage.paths, usage.neighbors,
		 usage.indicated_nbls, usage.chunks_used, usage.caught_frames);
	return false;
}

int sim_host_destroy(struct sim_host *host)
{
	unsigned int i;
	int place, err = 0;

	drain(host);
	for (i = 0; sim_machine(host->world, i); i++) {
		if (!is_empty(sim_machine(host->world, i)))
			err = -EBUSY;
	}
	for (place = 0; place < SIM_PLACES; place++) {
		if (host->bound[place] &&
		    nrt_unbind(host->protocol, host->world->bindings[place].bind_name) != 0)
			err = -EBUSY;
	}
	if (sim_im_remove(host->world) != 0)
		err = -EBUSY;
	for (i = 0; i < SIM_PLACES + SIM_TEAM_MAX; i++) {
		if (host->adapters[i] && nrt_adapter_destroy(host->adapters[i]) != 0)
			err = -EBUSY;
	}
	if (err) {
		/* Some driver still owns something of ours; what it may touch is left alone. */
		sim_note(host->world, "adapters cannot be destroyed");
		return err;
	}
	if (host->pool)
		NdisFreeNetBufferListPool(host->pool);
	if (host->protocol)
		NdisDeregisterProtocolDriver(host->protocol);
	if (host->target_driver)
		tgt_driver_deregister(host->target_driver);
	free(host);
	return err;
}
