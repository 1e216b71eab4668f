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

	if (nrt_verify_on())
		nrt_verify_up(open, nbl, NRT_LEDGER_SEND);
	nrt_ledger_up(open, nbl, NRT_BY_SEND_COMPLETE);
	open->up.TcpOffloadSendCompleteHandler(open->protocol_context, nbl);
}

static void receive_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	if (nrt_verify_on())
		nrt_verify_up(open, nbl, NRT_LEDGER_RECEIVE);
	nrt_ledger_up(open, nbl, NRT_BY_RECEIVE_COMPLETE);
	open->up.TcpOffloadReceiveCompleteHandler(open->protocol_context, nbl);
}

static void disconnect_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	if (nrt_verify_on())
		nrt_verify_up(open, nbl, NRT_LEDGER_DISCONNECT);
	nrt_ledger_up(open, nbl, NRT_BY_DISCONNECT_COMPLETE);
	open->up.TcpOffloadDisconnectCompleteHandler(open->protocol_context, nbl);
}

static void forward_complete(NDIS_HANDLE miniport_handle, PNET_BUFFER_LIST nbl)
{
	struct nrt_open *open = completion_target(miniport_handle);

	if (nrt_verify_on())
		nrt_verify_up(open, nbl, NRT_LEDGER_FORWARD);
	nrt_ledger_up(open, nbl, NRT_BY_FORWARD_COMPLETE);
	open->up.TcpOffloadForwardCompleteHandler(open->protocol_context, nbl);
}

static void event(NDIS_HANDLE offload_handle, ULONG type, ULONG information)
{
	struct nrt_open *open = nrt_io_open(offload_handle);

	open->up.TcpOffloadEventHandler(offload_handle, type, information);
}

/* The lists are the protocol's from the call on; on refusal they are the miniport's again. */
static NDIS_STATUS receive_indicate(NDIS_HANDLE offload_handle, PNET_BUFFER_LIST nbl,
				    NDIS_STATUS status, PULONG bytes_consumed)
{
	struct nrt_open *open = nrt_io_open(offload_handle);
	size_t count = nrt_nbl_count(nbl);
	NDIS_STATUS answer;

	NRT_ASSERT_DRIVER(status == NDIS_STATUS_SUCCESS);
	nrt_ledger_lend(open, nbl, NRT_BY_INDICATE);
	open->indicated += (unsigned int)count;
	answer = open->up.TcpOffloadReceiveIndicateHandler(offload_handle, nbl, status,
							   bytes_consumed);
	if (answer != NDIS_STATUS_SUCCESS) {
		nrt_ledger_take_back(open, nbl, NRT_BY_INDICATE);
		nrt_open_returned(open, count);
	}
	return answer;
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
