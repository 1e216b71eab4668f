/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_driver.c - the protocol driver: registration, binding, capabilities, and where calls from
 * below go.
 */
#include "host/host_int.h"

#include <errno.h>
#include <ndis/chimneyext.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "ndis/nrt.h"
#include "ndis/nrt_status.h"
#include "nic/nic.h"

#define POOL_TAG 0x74736f68u /* "host" */

/* ---- capabilities ------------------------------------------------------------------------- */

static void take_capabilities(struct host_adapter *adapter,
			      const NDIS_TCP_CONNECTION_OFFLOAD *offer)
{
	adapter->ipv4 = offer && offer->SupportIPv4 == NDIS_OFFLOAD_SUPPORTED;
	adapter->ipv6 = offer && offer->SupportIPv6 == NDIS_OFFLOAD_SUPPORTED;
	adapter->sack = offer && offer->SupportSack == NDIS_OFFLOAD_SUPPORTED;
	adapter->capacity = offer ? offer->TcpConnectionOffloadCapacity : 0;
}

/* A target that knows nothing of extensions refuses the question. */
static void ask_extensions(struct host_adapter *adapter)
{
	ULONG bits = 0;

	if (host_oid(adapter, NdisRequestQueryInformation, OID_CHIMNEY_EXTENSIONS, &bits,
		     sizeof(bits)) != 0)
		return;
	adapter->ecn = bits & CHIMNEY_EXT_ECN;
	adapter->cork = bits & CHIMNEY_EXT_CORK;
}

static void upload_adapter(struct host_adapter *adapter, TCP_UPLOAD_REASON reason)
{
	for (struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (conn->adapter == adapter && (conn->at_target || conn->moving))
			host_upload_wanted(conn, reason);
}

/* Connections of it are on their way, or should be. */
static bool busy(const struct host_adapter *adapter)
{
	for (const struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (conn->adapter == adapter && (conn->moving || (conn->at_target && conn->wanted)))
			return true;
	return false;
}

static void power_answer(struct host_adapter *adapter)
{
	NET_PNP_EVENT_NOTIFICATION *event = adapter->power_event;

	adapter->power_event = NULL;
	if (event)
		NdisCompleteNetPnPEvent(adapter->binding, event, NDIS_STATUS_SUCCESS);
}

void host_adapters_settled(struct host *host)
{
	for (struct host_adapter *a = host->adapters; a; a = a->next) {
		if (a->power_event && !busy(a))
			power_answer(a);
		host_use_settled(a);
	}
}

static VOID protocol_status(NDIS_HANDLE binding_context, PNDIS_STATUS_INDICATION indication)
{
	struct host_adapter *adapter = binding_context;

	switch (indication->StatusCode) {
	case NDIS_STATUS_OFFLOAD_PAUSE: /* STI-02 */
		adapter->paused = true;
		break;
	case NDIS_STATUS_UPLOAD_ALL: /* STI-10 */
		adapter->paused = true;
		upload_adapter(adapter, UploadRequested);
		break;
	case NDIS_STATUS_OFFLOAD_RESUME: /* STI-08 */
	case NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES:
		if (indication->StatusCode == NDIS_STATUS_OFFLOAD_RESUME)
			adapter->paused = false;
		if (indication->StatusBuffer &&
		    indication->StatusBufferSize >= sizeof(NDIS_TCP_CONNECTION_OFFLOAD))
			take_capabilities(adapter, indication->StatusBuffer);
		break;
	default:
		break;
	}
}

/* ---- the plain receive path --------------------------------------------------------------- */

void host_adapter_indicate(struct host_adapter *adapter, const struct nic_rx_frame *frame)
{
	if (nic_indicate(adapter->config.nic, frame) == 0)
		adapter->indicated++;
}

static uint16_t ethertype(const uint8_t *frame, uint32_t len)
{
	return len < 14 ? 0 : (uint16_t)(frame[12] << 8 | frame[13]);
}

/* What the target says of a frame: checksum and super-frame, in NetBufferListInfo. */
static void describe(const NET_BUFFER_LIST *nbl, struct nic_rx_frame *frame)
{
	NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO csum = {
		.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo),
	};

	frame->csum_trusted = csum.Receive.TcpChecksumSucceeded;
	frame->gso_size =
		(uint16_t)(uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo);
	if (frame->gso_size)
		frame->gso_type =
			ethertype(frame->data, frame->len) == 0x86dd ? NIC_GSO_TCP6 : NIC_GSO_TCP4;
}

static void plain_frame(struct host_adapter *adapter, const NET_BUFFER_LIST *nbl, NET_BUFFER *nb)
{
	struct nic_rx_frame frame = { .len = NET_BUFFER_DATA_LENGTH(nb) };
	struct host_block *block = host_block_get(&adapter->host->blocks, frame.len);
	struct steer_flow flow;
	struct host_conn *conn = NULL;

	if (!block)
		return;
	frame.data = NdisGetDataBuffer(nb, frame.len, block->data, 1, 0);
	if (frame.data) {
		describe(nbl, &frame);
		if (host_segment_parse(frame.data, frame.len, &flow))
			conn = host_conn_of_flow(adapter, &flow);
		if (conn && !conn->passing)
			host_conn_catch(conn, &frame);
		else
			host_adapter_indicate(adapter, &frame);
	}
	host_block_put(block);
}

static VOID protocol_receive(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain,
			     NDIS_PORT_NUMBER port, ULONG count, ULONG flags)
{
	struct host_adapter *adapter = binding_context;

	(void)port;
	(void)count;
	for (NET_BUFFER_LIST *nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
		for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb;
		     nb = NET_BUFFER_NEXT_NB(nb))
			plain_frame(adapter, nbl, nb);
	if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		NdisReturnNetBufferLists(adapter->binding, chain, 0);
}

static VOID protocol_send_complete(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain, ULONG flags)
{
	(void)binding_context;
	(void)chain;
	(void)flags;
}

/* ---- chimney handlers --------------------------------------------------------------------- */

static VOID op_complete(NDIS_HANDLE binding_context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root)
{
	host_op_completed(binding_context, root);
}

/* EVT-22: the answer is written into the block before the call returns. */
static VOID offload_event(NDIS_HANDLE binding_context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST root,
			  ULONG code)
{
	struct host_adapter *adapter = binding_context;
	struct host_neighbor *neighbor;
	NEIGHBOR_OFFLOAD_STATE_CACHED *cached;
	const NEIGHBOR_OFFLOAD_STATE_DELEGATED *delegated;

	if (!root || !root->OffloadHandle)
		return;
	neighbor = (struct host_neighbor *)root->OffloadHandle;
	if (code == NeighborReachabilityInDoubt)
		host_reach_doubt(neighbor);
	if (code != NeighborReachabilityQuery)
		return;
	cached = (void *)NdisOffloadNextState(NdisOffloadFirstState(root));
	delegated = (const void *)NdisOffloadNextState(&cached->Header);
	cached->HostReachabilityDelta = host_reach_query(neighbor, delegated->NicReachabilityDelta,
							 loop_now_us(adapter->host->config.loop));
}

static VOID sent(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	host_xfer_sent(binding_context, chain);
}

static VOID received(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	host_xfer_received(binding_context, chain);
}

static VOID disconnected(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	host_xfer_disconnected(binding_context, chain);
}

static VOID forwarded(NDIS_HANDLE binding_context, PNET_BUFFER_LIST chain)
{
	host_xfer_forwarded(binding_context, chain);
}

static VOID tcp_event(PVOID context, ULONG type, ULONG information)
{
	host_xfer_event(context, type, information); /* the handle is the first member */
}

static NDIS_STATUS indicated(PVOID context, PNET_BUFFER_LIST nbl, NDIS_STATUS status,
			     PULONG consumed)
{
	(void)status;
	return host_xfer_indicated(context, nbl, consumed);
}

static NDIS_STATUS set_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic = {
		.Header = { NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
			    NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS_REVISION_1,
			    sizeof(generic) },
		.InitiateOffloadCompleteHandler = op_complete,
		.TerminateOffloadCompleteHandler = op_complete,
		.UpdateOffloadCompleteHandler = op_complete,
		.InvalidateOffloadCompleteHandler = op_complete,
		.QueryOffloadCompleteHandler = op_complete,
		.IndicateOffloadEventHandler = offload_event,
	};
	NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp = {
		.Header = { NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
			    NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
			    sizeof(tcp) },
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendCompleteHandler = sent,
		.TcpOffloadReceiveCompleteHandler = received,
		.TcpOffloadDisconnectCompleteHandler = disconnected,
		.TcpOffloadForwardCompleteHandler = forwarded,
		.TcpOffloadEventHandler = tcp_event,
		.TcpOffloadReceiveIndicateHandler = indicated,
	};
	NDIS_STATUS status =
		NdisSetOptionalHandlers(driver, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&generic);

	(void)context;
	if (status == NDIS_STATUS_SUCCESS)
		status = NdisSetOptionalHandlers(driver, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&tcp);
	return status;
}

/* ---- binding ------------------------------------------------------------------------------ */

static bool name_is(const NDIS_STRING *wide, const char *name)
{
	size_t chars = wide->Length / sizeof(wide->Buffer[0]);

	if (chars != strlen(name))
		return false;
	for (size_t i = 0; i < chars; i++)
		if (wide->Buffer[i] != (uint8_t)name[i])
			return false;
	return true;
}

static struct host_adapter *adapter_of_name(struct host *host, const NDIS_STRING *name)
{
	for (struct host_adapter *a = host->adapters; a; a = a->next)
		if (name_is(name, a->name))
			return a;
	return NULL;
}

static NDIS_STATUS protocol_bind(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
				 PNDIS_BIND_PARAMETERS params)
{
	struct host *host = driver_context;
	struct host_adapter *adapter = adapter_of_name(host, params->AdapterName);
	NDIS_MEDIUM media[] = { NdisMedium802_3 };
	UINT index = 0;
	NDIS_OPEN_PARAMETERS open = {
		.Header = { NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1 },
		.AdapterName = params->AdapterName,
		.MediumArray = media,
		.MediumArraySize = 1,
		.SelectedMediumIndex = &index,
	};

	if (!adapter)
		return NDIS_STATUS_FAILURE; /* nobody opened it on the Linux side */
	take_capabilities(adapter, params->TcpConnectionOffloadHardwareCapabilities
					   ? params->TcpConnectionOffloadHardwareCapabilities
					   : params->TcpConnectionOffloadCapabilities);
	return NdisOpenAdapterEx(host->protocol, adapter, &open, bind_context, &adapter->binding);
}

static NDIS_STATUS protocol_unbind(NDIS_HANDLE unbind_context, NDIS_HANDLE binding_context)
{
	struct host_adapter *adapter = binding_context;

	(void)unbind_context;
	adapter->bound = false;
	host_xfer_returns(adapter);
	power_answer(adapter);
	return NdisCloseAdapterEx(adapter->binding);
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

static NDIS_STATUS protocol_pnp_event(NDIS_HANDLE binding_context,
				      PNET_PNP_EVENT_NOTIFICATION event)
{
	struct host_adapter *adapter = binding_context;
	NDIS_DEVICE_POWER_STATE to;

	if (!adapter || event->NetPnPEvent.NetEvent != NetEventSetPower)
		return NDIS_STATUS_SUCCESS;
	memcpy(&to, event->NetPnPEvent.Buffer, sizeof(to));
	adapter->asleep = to != NdisDeviceStateD0;
	if (!adapter->asleep)
		return NDIS_STATUS_SUCCESS;
	/* PWR-01: leaving D0 waits until everything was taken back. */
	upload_adapter(adapter, UploadRequested);
	if (!busy(adapter))
		return NDIS_STATUS_SUCCESS;
	adapter->power_event = event;
	return NDIS_STATUS_PENDING;
}

static VOID protocol_oid_complete(NDIS_HANDLE binding_context, PNDIS_OID_REQUEST request,
				  NDIS_STATUS status)
{
	(void)binding_context;
	(void)status;
	host_oid_complete(request);
}

static int register_protocol(struct host *host)
{
	static uint16_t name[] = { 'h', 'o', 's', 't', 0 };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS characteristics = {
		.Header = { NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			    NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1 },
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = { .Length = sizeof(name) - 2,
			  .MaximumLength = sizeof(name),
			  .Buffer = name },
		.SetOptionsHandler = set_options,
		.BindAdapterHandlerEx = protocol_bind,
		.UnbindAdapterHandlerEx = protocol_unbind,
		.OpenAdapterCompleteHandlerEx = protocol_open_complete,
		.CloseAdapterCompleteHandlerEx = protocol_close_complete,
		.NetPnPEventHandler = protocol_pnp_event,
		.OidRequestCompleteHandler = protocol_oid_complete,
		.StatusHandlerEx = protocol_status,
		.ReceiveNetBufferListsHandler = protocol_receive,
		.SendNetBufferListsCompleteHandler = protocol_send_complete,
	};

	return nrt_errno_from_status(
		NdisRegisterProtocolDriver(host, &characteristics, &host->protocol));
}

int host_create(struct host **out, const struct host_config *config)
{
	struct host *host = calloc(1, sizeof(*host));
	int err;

	if (!host)
		return -ENOMEM;
	host->config = *config;
	host->waiting_tail = &host->waiting;
	err = host_nl_open(&host->nl);
	if (!err && host_ct_open(&host->ct) < 0)
		host->ct = NULL; /* this kernel tracks no connections */
	if (!err)
		err = register_protocol(host);
	if (err) {
		host_destroy(host);
		return err;
	}
	*out = host;
	return 0;
}

void host_destroy(struct host *host)
{
	if (!host)
		return;
	loop_timer_cancel(host->config.loop, &host->turn_timer);
	while (host->conns) {
		/* the target goes with us; the kernel's socket closes without a word */
		host->conns->at_target = false;
		host_conn_finish(host->conns);
	}
	while (host->adapters)
		if (host_adapter_close(host->adapters) < 0)
			break;
	if (host->protocol)
		NdisDeregisterProtocolDriver(host->protocol);
	if (host->nl)
		host_nl_close(host->nl);
	if (host->ct)
		host_ct_close(host->ct);
	host_block_pool_drain(&host->blocks);
	free(host->all);
	free(host);
}

/* ---- adapters ----------------------------------------------------------------------------- */

static int make_pool(struct host_adapter *adapter)
{
	NET_BUFFER_LIST_POOL_PARAMETERS params = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 },
		.ProtocolId = NDIS_PROTOCOL_ID_TCP_IP,
		.fAllocateNetBuffer = TRUE,
		.PoolTag = POOL_TAG,
	};

	adapter->pool = NdisAllocateNetBufferListPool(adapter->host->protocol, &params);
	return adapter->pool ? 0 : -ENOMEM;
}

static int bind_adapter(struct host_adapter *adapter, char *why, size_t why_size)
{
	int err = nrt_bind(adapter->host->protocol, adapter->name);

	if (err) {
		snprintf(why, why_size, "cannot bind to %s: %s", adapter->name, strerror(-err));
		return err;
	}
	adapter->bound = true;
	if (!adapter->ipv4 && !adapter->ipv6) {
		snprintf(why, why_size, "%s, or a driver above it, cannot offload TCP connections",
			 adapter->name);
		return -ENOTSUP;
	}
	err = host_use_begin(adapter);
	if (err)
		snprintf(why, why_size, "%s refuses to switch connection offload on: %s",
			 adapter->name, strerror(-err));
	ask_extensions(adapter);
	return err;
}

static void adapter_free(struct host_adapter *adapter)
{
	struct host_adapter **at = &adapter->host->adapters;

	loop_timer_cancel(adapter->host->config.loop, &adapter->returns_timer);
	loop_timer_cancel(adapter->host->config.loop, &adapter->reach_timer);
	host_icmp_close(adapter);
	host_parked_close(adapter);
	host_watch_close(adapter);
	while (*at && *at != adapter)
		at = &(*at)->next;
	if (*at)
		*at = adapter->next;
	if (adapter->bound)
		host_use_end(adapter);
	if (adapter->bound)
		nrt_unbind(adapter->host->protocol, adapter->name);
	host_requests_drop(adapter);
	if (adapter->pool)
		NdisFreeNetBufferListPool(adapter->pool);
	free(adapter);
}

int host_adapter_open(struct host *host, const struct host_adapter_config *config,
		      struct host_adapter **out, char *why, size_t why_size)
{
	struct host_adapter *adapter = calloc(1, sizeof(*adapter));
	int err;

	if (!adapter)
		return -ENOMEM;
	adapter->host = host;
	adapter->config = *config;
	snprintf(adapter->name, sizeof(adapter->name), "%s", config->adapter_name);
	adapter->config.adapter_name = adapter->name;
	adapter->ops_tail = &adapter->ops;
	adapter->returns_tail = &adapter->returns;
	adapter->next = host->adapters;
	host->adapters = adapter;
	err = make_pool(adapter);
	if (err)
		snprintf(why, why_size, "out of memory");
	else
		err = bind_adapter(adapter, why, why_size);
	if (!err)
		err = host_watch_open(adapter);
	if (!err)
		err = host_icmp_open(adapter);
	if (!err)
		err = host_parked_open(adapter);
	if (err) {
		adapter_free(adapter);
		return err;
	}
	*out = adapter;
	return 0;
}

int host_adapter_close(struct host_adapter *adapter)
{
	if (adapter->conn_count > 0)
		return -EBUSY;
	adapter_free(adapter);
	return 0;
}

void host_adapter_info(const struct host_adapter *adapter, struct host_adapter_info *out)
{
	*out = (struct host_adapter_info){
		.paused = host_adapter_paused(adapter),
		.capacity = adapter->capacity,
		.offloaded = adapter->offloaded,
		.indicated = adapter->indicated,
		.forwarded = adapter->forwarded,
		.icmp_taken = adapter->icmp_taken,
		.icmp_ignored = adapter->icmp_ignored,
		.ipv4 = host_use_of(adapter, AF_INET),
		.ipv6 = host_use_of(adapter, AF_INET6),
		.sack = adapter->sack,
	};
	for (const struct host_path *p = adapter->paths; p; p = p->next)
		out->paths += p->handle.MiniportOffloadContext != NULL;
	for (const struct host_neighbor *n = adapter->neighbors; n; n = n->next)
		out->neighbors += n->handle.MiniportOffloadContext != NULL;
}

void host_set_offload(struct host *host, bool on)
{
	host->off = !on;
}
