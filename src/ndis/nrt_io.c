/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_io.c - what comes up the chimney: the six functions that a miniport finds in the table of
 * NdisMGetOffloadHandlers(). Completions reach the protocol with its binding context, events and
 * receive indications with the NDIS_OFFLOAD_HANDLE that it supplied itself when it offloaded the
 * object.
 */
#include "ndis/nrt_io.h"

/* The binding that uses the chimney of the adapter; completions of anybody else cannot exist. */
static struct nrt_open *completion_target(NDIS_HANDLE miniport_handle)
{
	struct nrt_adapter *adapter = miniport_handle;

	NRT_ASSERT_DRIVER(adapter && adapter->magic == NRT_MAGIC_ADAPTER && adapter->offload_open);
	NRT_ASSERT_DISPATCH(adapter->owner);
	return adapter->offload_open;
}

static void send_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	open->up.TcpOffloadSendCompleteHandler(open->protocol_context, nbl);
}

static void receive_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	open->up.TcpOffloadReceiveCompleteHandler(open->protocol_context, nbl);
}

static void disconnect_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	open->up.TcpOffloadDisconnectCompleteHandler(open->protocol_context, nbl);
}

static void forward_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	open->up.TcpOffloadForwardCompleteHandler(open->protocol_context, nbl);
}

static void event(NDIS_HANDLE offload_handle, ULONG type, ULONG information)
{
	struct nrt_open *open = nrt_io_open(offload_handle);

	open->up.TcpOffloadEventHandler(offload_handle, type, information);
}

static NDIS_STATUS receive_indicate(NDIS_HANDLE offload_handle, PNET_BUFFER_LIST nbl,
				    NDIS_STATUS status, PULONG bytes_consumed)
{
	struct nrt_open *open = nrt_io_open(offload_handle);

	NRT_ASSERT_DRIVER(status == NDIS_STATUS_SUCCESS);
	return open->up.TcpOffloadReceiveIndicateHandler(offload_handle, nbl, status,
							 bytes_consumed);
}

static const NDIS_TCP_OFFLOAD_EVENT_HANDLERS handlers = {
	.Header = {
		.Type = NdisTcpChimneyOffload,
		.Revision = NDIS_OBJECT_TCP_OFFLOAD_REVISION_1,
		.Size = sizeof(handlers),
	},
	.NdisTcpOffloadEventHandler = event,
	.NdisTcpOffloadReceiveHandler = receive_indicate,
	.NdisTcpOffloadSendComplete = send_complete,
	.NdisTcpOffloadReceiveComplete = receive_complete,
	.NdisTcpOffloadDisconnectComplete = disconnect_complete,
	.NdisTcpOffloadForwardComplete = forward_complete,
};

const NDIS_TCP_OFFLOAD_EVENT_HANDLERS *nrt_io_handlers(void)
{
	return &handlers;
}
