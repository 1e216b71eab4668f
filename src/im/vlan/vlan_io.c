/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_io.c - data of offloaded connections through the VLAN driver: passed on as it is, since the
 * target puts the tags on. Every list carries a note which virtual adapter it came through, as a
 * completion comes for the binding that all of them share.
 */
#include "im/vlan/vlan_private.h"

#include "ndis/nrt_nblq.h"

/* ---- The note ---- */

static struct vlan_note *note_of(NET_BUFFER_LIST *nbl)
{
	return (struct vlan_note *)(void *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
}

struct vlan_note vlan_unnote(NET_BUFFER_LIST *nbl)
{
	struct vlan_note note = *note_of(nbl);

	NdisFreeNetBufferListContext(nbl, sizeof(note));
	note.adapter->outstanding--;
	return note;
}

static void unnote_until(NET_BUFFER_LIST *chain, const NET_BUFFER_LIST *end)
{
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		if (nbl == end)
			break;
		vlan_unnote(nbl);
	}
}

void vlan_unnote_chain(NET_BUFFER_LIST *chain)
{
	unnote_until(chain, NULL);
}

bool vlan_note(struct vlan_adapter *adapter, NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		if (NdisAllocateNetBufferListContext(nbl, sizeof(struct vlan_note), 0, VLAN_TAG) !=
		    NDIS_STATUS_SUCCESS) {
			unnote_until(chain, nbl);
			return false;
		}
		*note_of(nbl) = (struct vlan_note){
			.adapter = adapter,
			.source = nbl->SourceHandle,
			.tag = NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo),
		};
		adapter->outstanding++;
	}
	return true;
}

/* ---- Down ---- */

/* No memory for a receive, forward or disconnect: act as a target that is short of resources. */
static NDIS_STATUS no_memory(struct vlan_adapter *adapter, const struct vlan_entry *entry,
			     NET_BUFFER_LIST *chain,
			     void (*complete)(NDIS_HANDLE, NET_BUFFER_LIST *))
{
	nrt_nbl_set_status(chain, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	complete(adapter->miniport, chain);
	adapter->events.NdisTcpOffloadEventHandler(entry->upper, TcpIndicateRetrieve,
						   UploadRequested);
	return NDIS_STATUS_PENDING;
}

/* No memory for a send: the host does this send itself, after an upload that the first status asks
 * for (IMD-22). */
static NDIS_STATUS refuse_send(struct vlan_adapter *adapter, NET_BUFFER_LIST *chain)
{
	nrt_nbl_set_status(chain, NDIS_STATUS_UPLOAD_REQUESTED);
	NET_BUFFER_LIST_STATUS(chain) = NDIS_STATUS_REQUEST_UPLOAD;
	adapter->events.NdisTcpOffloadSendComplete(adapter->miniport, chain);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS send(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct vlan_entry *entry = offload_context;

	if (!vlan_note(context, chain))
		return refuse_send(context, chain);
	return NdisOffloadTcpSend(&entry->handle, chain);
}

static NDIS_STATUS receive(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct vlan_adapter *adapter = context;
	struct vlan_entry *entry = offload_context;

	if (!vlan_note(adapter, chain))
		return no_memory(adapter, entry, chain,
				 adapter->events.NdisTcpOffloadReceiveComplete);
	return NdisOffloadTcpReceive(&entry->handle, chain);
}

static NDIS_STATUS forward(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct vlan_adapter *adapter = context;
	struct vlan_entry *entry = offload_context;

	if (!vlan_note(adapter, chain))
		return no_memory(adapter, entry, chain,
				 adapter->events.NdisTcpOffloadForwardComplete);
	return NdisOffloadTcpForward(&entry->handle, chain);
}

static NDIS_STATUS disconnect(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain,
			      ULONG flags)
{
	struct vlan_adapter *adapter = context;
	struct vlan_entry *entry = offload_context;

	if (!vlan_note(adapter, chain))
		return no_memory(adapter, entry, chain,
				 adapter->events.NdisTcpOffloadDisconnectComplete);
	return NdisOffloadTcpDisconnect(&entry->handle, chain, flags);
}

/* Indicated lists carry no note: they go straight back, to whichever connection they belong. */
static NDIS_STATUS receive_return(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	const struct vlan_adapter *adapter = context;

	NdisOffloadTcpReceiveReturn(adapter->lower->binding, chain);
	return NDIS_STATUS_SUCCESS;
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS vlan_provider_tcp = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(vlan_provider_tcp),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendHandler = send,
	.TcpOffloadReceiveHandler = receive,
	.TcpOffloadDisconnectHandler = disconnect,
	.TcpOffloadForwardHandler = forward,
	.TcpOffloadReceiveReturnHandler = receive_return,
};

/* ---- Completions ---- */

static void finish_run(struct vlan_adapter *adapter, struct nrt_nblq *run, ULONG flags,
		       vlan_run_fn *fn)
{
	if (nrt_nblq_empty(run))
		return;
	fn(adapter, nrt_nblq_take_all(run), flags);
	vlan_list_done(adapter);
}

void vlan_each_run(NET_BUFFER_LIST *chain, ULONG flags, vlan_run_fn *fn)
{
	struct vlan_adapter *current = NULL;
	NET_BUFFER_LIST *nbl, *keep;
	struct vlan_note note;
	struct nrt_nblq run;

	nrt_nblq_init(&run);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		note = vlan_unnote(nbl);
		nbl->SourceHandle = note.source;
		if (note.adapter != current)
			finish_run(current, &run, flags, fn);
		current = note.adapter;
		nrt_nblq_push(&run, nbl);
	}
	finish_run(current, &run, flags, fn);
}

static void send_run(struct vlan_adapter *adapter, NET_BUFFER_LIST *run, ULONG flags)
{
	(void)flags;
	adapter->events.NdisTcpOffloadSendComplete(adapter->miniport, run);
}

static void receive_run(struct vlan_adapter *adapter, NET_BUFFER_LIST *run, ULONG flags)
{
	(void)flags;
	adapter->events.NdisTcpOffloadReceiveComplete(adapter->miniport, run);
}

static void disconnect_run(struct vlan_adapter *adapter, NET_BUFFER_LIST *run, ULONG flags)
{
	(void)flags;
	adapter->events.NdisTcpOffloadDisconnectComplete(adapter->miniport, run);
}

static void forward_run(struct vlan_adapter *adapter, NET_BUFFER_LIST *run, ULONG flags)
{
	(void)flags;
	adapter->events.NdisTcpOffloadForwardComplete(adapter->miniport, run);
}

static void send_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	vlan_each_run(chain, 0, send_run);
}

static void receive_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	vlan_each_run(chain, 0, receive_run);
}

static void disconnect_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	vlan_each_run(chain, 0, disconnect_run);
}

static void forward_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	vlan_each_run(chain, 0, forward_run);
}

/* ---- Indications ---- */

static struct vlan_entry *entry_from(PVOID offload_context)
{
	return CONTAINING_RECORD(offload_context, struct vlan_entry, handle);
}

static void event(PVOID offload_context, ULONG type, ULONG information)
{
	const struct vlan_entry *entry = entry_from(offload_context);

	entry->adapter->events.NdisTcpOffloadEventHandler(entry->upper, type, information);
}

static NDIS_STATUS receive_indicate(PVOID offload_context, PNET_BUFFER_LIST chain,
				    NDIS_STATUS status, PULONG bytes_consumed)
{
	const struct vlan_entry *entry = entry_from(offload_context);

	return entry->adapter->events.NdisTcpOffloadReceiveHandler(entry->upper, chain, status,
								   bytes_consumed);
}

const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS vlan_client_tcp = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
		.Size = sizeof(vlan_client_tcp),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendCompleteHandler = send_complete,
	.TcpOffloadReceiveCompleteHandler = receive_complete,
	.TcpOffloadDisconnectCompleteHandler = disconnect_complete,
	.TcpOffloadForwardCompleteHandler = forward_complete,
	.TcpOffloadEventHandler = event,
	.TcpOffloadReceiveIndicateHandler = receive_indicate,
};
