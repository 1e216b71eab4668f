/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mutant.c - our own target as a loadable driver, with at most one of its ways broken on purpose:
 * CHIMNEY_MUTANT names it, and without it the driver is correct.
 *
 * The linker's --wrap puts the functions below between the target and NDIS; frames are changed on
 * their way through struct chimney_nic.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chimney/nic.h>
#include <ndis/ndischimney.h>
#include <ndis/ndisstatus.h>

#include "base/be.h"
#include "nic/nic_provider.h"
#include "nic/nic_sim_frame.h"
#include "target/tgt_driver.h"

#define FRAME_MAX 16384

struct bridge {
	struct nic nic;
	struct chimney_nic *below;
	struct tgt_adapter *adapter;
	uint8_t frame[FRAME_MAX];
	uint32_t highest;
	bool sent_data;
	unsigned int acks;
};

static struct bridge bridge;
static PDRIVER_OBJECT driver_object;
static NDIS_HANDLE driver_handle;
static MINIPORT_INITIALIZE_HANDLER real_initialize;
static MINIPORT_HALT_HANDLER real_halt;
static NDIS_TCP_OFFLOAD_EVENT_HANDLERS real_up;

static bool mutant(const char *name)
{
	const char *chosen = getenv("CHIMNEY_MUTANT");

	return chosen && !strcmp(chosen, name);
}

/* ---- frames ---- */

/* The first byte of the timestamp option behind twelve bytes of options; NULL: none there. */
static uint8_t *timestamps(uint8_t *tcp)
{
	return tcp[20] == 1 && tcp[21] == 1 && tcp[22] == 8 ? tcp + 22 : NULL;
}

static bool is_old_data(const struct nic_sim_view *v)
{
	uint32_t end = v->seq + v->payload_len;

	if (!v->payload_len)
		return false;
	if (bridge.sent_data && (int32_t)(end - bridge.highest) <= 0)
		return true;
	bridge.sent_data = true;
	bridge.highest = end;
	return false;
}

/* Returns: whether the frame is to be thrown away. */
static bool drops(const struct nic_sim_view *v)
{
	bool pure_ack = !v->payload_len && !(v->flags & (NIC_SIM_FIN | NIC_SIM_RST));

	if (mutant("no-retransmission") && is_old_data(v))
		return true;
	if (mutant("no-ack") && pure_ack)
		return true;
	if (mutant("rare-acks") && pure_ack && ++bridge.acks % 16)
		return true;
	return mutant("no-rst") && v->flags & NIC_SIM_RST;
}

static void change_segment(const struct nic_sim_view *v)
{
	uint8_t *f = bridge.frame, *tcp = f + v->l4, *ts = timestamps(tcp);

	if (mutant("corrupt-data") && v->payload_len)
		f[v->payload] ^= 1;
	if (mutant("ack-ahead"))
		be_put32(tcp + 8, v->ack + 1);
	if (mutant("no-psh"))
		tcp[13] &= (uint8_t)~NIC_SIM_PSH;
	if (mutant("urgent"))
		tcp[13] |= NIC_SIM_URG;
	if (mutant("rst-for-fin") && v->flags & NIC_SIM_FIN)
		tcp[13] = NIC_SIM_RST | NIC_SIM_ACK;
	if (mutant("no-fin"))
		tcp[13] &= (uint8_t)~NIC_SIM_FIN;
	if (mutant("no-timestamps") && ts)
		memset(ts, 1, 10);
	if (mutant("timestamp-echo") && ts)
		be_put32(ts + 6, v->ts_ecr + 1000);
	if (mutant("timestamp-clock") && ts)
		be_put32(ts + 2, v->ts_val - 1000000);
	if (mutant("window-zero"))
		be_put16(tcp + 14, 0);
	if (mutant("wrong-port"))
		be_put16(tcp, v->src_port + 1u);
}

static void change_packet(const struct nic_sim_view *v)
{
	uint8_t *f = bridge.frame;

	if (mutant("wrong-ttl"))
		f[v->l3 + (v->ip_version == 4 ? 8 : 7)] = 1;
	if (mutant("wrong-tos") && v->ip_version == 4)
		f[v->l3 + 1] = 0x40;
	if (mutant("wrong-mac"))
		f[5] ^= 0x55;
}

static int send_frame(uint32_t len)
{
	struct nic_sim_view view;

	if (nic_sim_view(bridge.frame, len, &view)) {
		if (drops(&view))
			return 0;
		change_segment(&view);
		change_packet(&view);
		if (nic_sim_view(bridge.frame, len, &view))
			nic_sim_csum_fill(bridge.frame, &view);
		if (mutant("bad-checksum"))
			bridge.frame[view.l4 + 16] ^= 1;
	}
	return bridge.below->send(bridge.below->context, bridge.frame, len);
}

static unsigned int bridge_send(struct nic *nic, const struct nic_tx_frame *frames,
				unsigned int count)
{
	unsigned int i, j;

	(void)nic;
	for (i = 0; i < count; i++) {
		uint32_t len = 0;

		for (j = 0; j < frames[i].iov_count; j++) {
			memcpy(bridge.frame + len, frames[i].iov[j].iov_base,
			       frames[i].iov[j].iov_len);
			len += (uint32_t)frames[i].iov[j].iov_len;
		}
		if (send_frame(len))
			break;
	}
	return i;
}

static int bridge_indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	(void)nic;
	return bridge.below->indicate(bridge.below->context, frame->data, frame->len);
}

static void on_frame(void *context, const void *bytes, uint32_t len)
{
	struct nic_rx_frame frame = { .data = bytes, .len = len };
	struct nic_sim_view view;

	(void)context;
	if (nic_sim_view(bytes, len, &view) &&
	    ((mutant("deaf-to-rst") && view.flags & NIC_SIM_RST) ||
	     (mutant("deaf-to-fin") && view.flags & NIC_SIM_FIN)))
		return;
	tgt_adapter_set_now(bridge.adapter, bridge.below->now_us(bridge.below->context));
	nic_deliver(&bridge.nic, &frame);
}

static void on_run(void *context, uint64_t now_us)
{
	(void)context;
	tgt_adapter_run(bridge.adapter, now_us);
}

static uint64_t on_deadline(void *context)
{
	(void)context;
	return tgt_adapter_next_deadline_us(bridge.adapter);
}

static const struct chimney_nic_client client = { on_frame, on_run, on_deadline };

/* ---- the driver's own life ---- */

static NDIS_STATUS initialize(NDIS_HANDLE miniport, NDIS_HANDLE context,
			      NDIS_MINIPORT_INIT_PARAMETERS *params)
{
	static const struct nic_ops ops = { .send = bridge_send, .indicate = bridge_indicate };
	struct tgt_adapter_config config = { .name = "loaded", .nic = &bridge.nic };
	NDIS_MINIPORT_INIT_PARAMETERS own = *params;
	NDIS_STATUS status;

	memset(&bridge, 0, sizeof(bridge));
	bridge.below = params->MiniportAddDeviceContext;
	nic_init(&bridge.nic, &ops);
	bridge.nic.info.mtu_bytes = bridge.below->mtu_bytes;
	bridge.nic.info.max_frame_bytes = bridge.below->mtu_bytes + 18;
	memcpy(bridge.nic.info.mac, bridge.below->mac, 6);
	config.now_us = bridge.below->now_us(bridge.below->context);
	config.limits = (struct tgt_limits){ .tcp_entries = 16, .chunks = 4096 };
	own.MiniportAddDeviceContext = &config;
	status = real_initialize(miniport, context, &own);
	bridge.adapter = tgt_adapter_find("loaded");
	if (status == NDIS_STATUS_SUCCESS)
		bridge.below->attach(bridge.below->context, &client, NULL);
	return status;
}

static void halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	bridge.below->attach(bridge.below->context, NULL, NULL);
	real_halt(context, action);
}

static void unload(PDRIVER_OBJECT object)
{
	(void)object;
	NdisMDeregisterMiniportDriver(driver_handle);
}

NDIS_STATUS __real_NdisMRegisterMiniportDriver(PDRIVER_OBJECT object, PUNICODE_STRING path,
					       NDIS_HANDLE context,
					       PNDIS_MINIPORT_DRIVER_CHARACTERISTICS c,
					       PNDIS_HANDLE handle);
NDIS_STATUS __wrap_NdisMRegisterMiniportDriver(PDRIVER_OBJECT object, PUNICODE_STRING path,
					       NDIS_HANDLE context,
					       PNDIS_MINIPORT_DRIVER_CHARACTERISTICS c,
					       PNDIS_HANDLE handle);
NDIS_STATUS __wrap_NdisMRegisterMiniportDriver(PDRIVER_OBJECT object, PUNICODE_STRING path,
					       NDIS_HANDLE context,
					       PNDIS_MINIPORT_DRIVER_CHARACTERISTICS c,
					       PNDIS_HANDLE handle)
{
	(void)object;
	real_initialize = c->InitializeHandlerEx;
	real_halt = c->HaltHandlerEx;
	c->InitializeHandlerEx = initialize;
	c->HaltHandlerEx = halt;
	c->UnloadHandler = unload;
	return __real_NdisMRegisterMiniportDriver(driver_object, path, context, c, handle);
}

NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING path);
NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
	(void)path;
	driver_object = object;
	return tgt_driver_register(&driver_handle) ? NDIS_STATUS_FAILURE : NDIS_STATUS_SUCCESS;
}

/* ---- calls up ---- */

static void send_complete(NDIS_HANDLE miniport, NET_BUFFER_LIST *chain)
{
	if (mutant("send-failure"))
		chain->Status = NDIS_STATUS_FAILURE;
	if (mutant("send-count"))
		NET_BUFFER_LIST_INFO(chain, TcpOffloadBytesTransferred) = NULL;
	real_up.NdisTcpOffloadSendComplete(miniport, chain);
	if (mutant("send-twice"))
		real_up.NdisTcpOffloadSendComplete(miniport, chain);
}

static void receive_complete(NDIS_HANDLE miniport, NET_BUFFER_LIST *chain)
{
	uintptr_t bytes = (uintptr_t)NET_BUFFER_LIST_INFO(chain, TcpOffloadBytesTransferred);

	if (mutant("receive-count") && bytes)
		NET_BUFFER_LIST_INFO(chain, TcpOffloadBytesTransferred) = (void *)(bytes - 1);
	if (mutant("receive-lost") && bytes)
		return;
	real_up.NdisTcpOffloadReceiveComplete(miniport, chain);
}

static void disconnect_complete(NDIS_HANDLE miniport, NET_BUFFER_LIST *nbl)
{
	if (mutant("disconnect-lost"))
		return;
	if (mutant("disconnect-failure"))
		nbl->Status = NDIS_STATUS_FAILURE;
	real_up.NdisTcpOffloadDisconnectComplete(miniport, nbl);
}

static void event(NDIS_HANDLE handle, ULONG type, ULONG information)
{
	if ((mutant("invalid-not-told") && type == TcpIndicateRetrieve) ||
	    (mutant("fin-not-told") && type == TcpIndicateDisconnect) ||
	    (mutant("rst-not-told") && type == TcpIndicateAbort))
		return;
	real_up.NdisTcpOffloadEventHandler(handle, type, information);
}

static NDIS_STATUS receive(NDIS_HANDLE handle, NET_BUFFER_LIST *nbl, NDIS_STATUS status,
			   PULONG consumed)
{
	if (mutant("indicate-status"))
		status = NDIS_STATUS_RESOURCES;
	return real_up.NdisTcpOffloadReceiveHandler(handle, nbl, status, consumed);
}

NDIS_STATUS __real_NdisMGetOffloadHandlers(NDIS_HANDLE miniport, NDIS_CHIMNEY_OFFLOAD_TYPE type,
					   PNDIS_OFFLOAD_EVENT_HANDLERS *table);
NDIS_STATUS __wrap_NdisMGetOffloadHandlers(NDIS_HANDLE miniport, NDIS_CHIMNEY_OFFLOAD_TYPE type,
					   PNDIS_OFFLOAD_EVENT_HANDLERS *table);
NDIS_STATUS __wrap_NdisMGetOffloadHandlers(NDIS_HANDLE miniport, NDIS_CHIMNEY_OFFLOAD_TYPE type,
					   PNDIS_OFFLOAD_EVENT_HANDLERS *table)
{
	static NDIS_TCP_OFFLOAD_EVENT_HANDLERS own;
	NDIS_STATUS status = __real_NdisMGetOffloadHandlers(miniport, type, table);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	memcpy(&real_up, *table, sizeof(real_up));
	own = real_up;
	own.NdisTcpOffloadSendComplete = send_complete;
	own.NdisTcpOffloadReceiveComplete = receive_complete;
	own.NdisTcpOffloadDisconnectComplete = disconnect_complete;
	own.NdisTcpOffloadEventHandler = event;
	own.NdisTcpOffloadReceiveHandler = receive;
	*table = (PNDIS_OFFLOAD_EVENT_HANDLERS)&own;
	return status;
}

/* ---- state operations ---- */

typedef PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST block_list;

/* The TCP block of a tree of one connection, or NULL. */
static block_list tcp_of(block_list root)
{
	for (; root; root = root->DependentBlockList)
		if (root->Header.Type >= TcpOffloadConstState &&
		    root->Header.Type <= TcpOffloadState)
			return root;
	return NULL;
}

static PTCP_OFFLOAD_STATE_DELEGATED delegated_of(block_list tcp)
{
	POFFLOAD_STATE_HEADER header;

	if (!tcp ||
	    (tcp->Header.Type != TcpOffloadDelegatedState && tcp->Header.Type != TcpOffloadState))
		return NULL;
	header = NdisOffloadFirstState(tcp);
	if (tcp->Header.Type == TcpOffloadState)
		header = NdisOffloadNextState(NdisOffloadNextState(header));
	return (PTCP_OFFLOAD_STATE_DELEGATED)header;
}

#define WRAP(name)                                                                                 \
	VOID __real_##name(NDIS_HANDLE miniport, block_list root);                                 \
	VOID __wrap_##name(NDIS_HANDLE miniport, block_list root);                                 \
	VOID __wrap_##name(NDIS_HANDLE miniport, block_list root)

WRAP(NdisMInitiateOffloadComplete)
{
	block_list tcp = tcp_of(root);

	if (mutant("initiate-lost"))
		return;
	if (mutant("initiate-status") && tcp)
		tcp->Status = NDIS_STATUS_PENDING;
	if (mutant("entries-status") && tcp && tcp->Status == NDIS_STATUS_OFFLOAD_TCP_ENTRIES)
		tcp->Status = NDIS_STATUS_FAILURE;
	if (mutant("initiate-no-context") && tcp && tcp->MiniportOffloadContext)
		*tcp->MiniportOffloadContext = NULL;
	__real_NdisMInitiateOffloadComplete(miniport, root);
}

WRAP(NdisMTerminateOffloadComplete)
{
	block_list tcp = tcp_of(root);
	PTCP_OFFLOAD_STATE_DELEGATED d = delegated_of(tcp);

	if (mutant("terminate-lost"))
		return;
	if (d && mutant("terminate-rcvnxt"))
		d->RcvNxt++;
	if (d && mutant("terminate-snduna"))
		d->SndUna++;
	if (d && mutant("terminate-state"))
		d->State = TcpConnectionClosed;
	if (tcp && mutant("terminate-status"))
		tcp->Status = NDIS_STATUS_FAILURE;
	__real_NdisMTerminateOffloadComplete(miniport, root);
}

WRAP(NdisMQueryOffloadStateComplete)
{
	block_list tcp = tcp_of(root);
	PTCP_OFFLOAD_STATE_DELEGATED d = delegated_of(tcp);

	if (mutant("query-lost"))
		return;
	if (d && mutant("query-rcvnxt"))
		d->RcvNxt++;
	if (d && mutant("query-snduna"))
		d->SndUna--;
	if (d && mutant("query-timer"))
		d->Retransmit.TimeoutDelta = 7;
	if (tcp && mutant("query-status"))
		tcp->Status = NDIS_STATUS_RESOURCES;
	__real_NdisMQueryOffloadStateComplete(miniport, root);
}

WRAP(NdisMInvalidateOffloadComplete)
{
	if (mutant("invalidate-lost"))
		return;
	if (mutant("invalidate-status"))
		root->Status = NDIS_STATUS_FAILURE;
	__real_NdisMInvalidateOffloadComplete(miniport, root);
}

NDIS_STATUS __real_NdisMSetMiniportAttributes(NDIS_HANDLE miniport,
					      PNDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes);
NDIS_STATUS __wrap_NdisMSetMiniportAttributes(NDIS_HANDLE miniport,
					      PNDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes);
NDIS_STATUS __wrap_NdisMSetMiniportAttributes(NDIS_HANDLE miniport,
					      PNDIS_MINIPORT_ADAPTER_ATTRIBUTES attributes)
{
	NDIS_TCP_CONNECTION_OFFLOAD *now =
		attributes->OffloadAttributes.DefaultTcpConnectionOffloadConfiguration;
	NDIS_TCP_CONNECTION_OFFLOAD *all =
		attributes->OffloadAttributes.TcpConnectionOffloadHardwareCapabilities;

	if (attributes->OffloadAttributes.Header.Type !=
	    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES)
		return __real_NdisMSetMiniportAttributes(miniport, attributes);
	if (mutant("no-capacity"))
		now->TcpConnectionOffloadCapacity = all->TcpConnectionOffloadCapacity = 0;
	if (mutant("reserved-flags"))
		now->Flags = all->Flags = 1;
	if (mutant("no-family"))
		all->SupportIPv4 = all->SupportIPv6 = NDIS_OFFLOAD_NOT_SUPPORTED;
	if (mutant("more-than-hardware"))
		all->SupportIPv6 = NDIS_OFFLOAD_NOT_SUPPORTED;
	return __real_NdisMSetMiniportAttributes(miniport, attributes);
}
