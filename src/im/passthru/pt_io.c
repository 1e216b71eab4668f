/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pt_io.c - data through an intermediate driver.
 *
 * Calls go down with our own NDIS_OFFLOAD_HANDLE and the same list; completions come up for the
 * binding, not for a virtual miniport, and one completion may bring back lists of several of them.
 * So every list carries a note in its NET_BUFFER_LIST_CONTEXT which virtual miniport it came
 * through, and a completed chain is cut into runs of the same one. The context space usually comes
 * with the list, so this allocates nothing.
 *
 * Indications need no note: the handle that they carry is in our IM offload entry.
 */
#include <ndis/ndisstatus.h>

#include "im/passthru/pt_private.h"
#include "ndis/nrt_nblq.h"

/* ---- The note -------------------------------------------------------------------------------- */

static struct pt_io *io_of(NET_BUFFER_LIST *nbl)
{
	return (struct pt_io *)(void *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
}

struct pt_io pt_untrack(NET_BUFFER_LIST *nbl)
{
	struct pt_io io = *io_of(nbl);

	NdisFreeNetBufferListContext(nbl, sizeof(io));
	io.virtual->outstanding--;
	return io;
}

/* Take the note out of the lists in front of one that got none. */
static void untrack_until(NET_BUFFER_LIST *chain, const NET_BUFFER_LIST *end)
{
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		if (nbl == end)
			break;
		pt_untrack(nbl);
	}
}

void pt_untrack_chain(NET_BUFFER_LIST *chain)
{
	untrack_until(chain, NULL);
}

bool pt_track(struct pt_virtual *virtual, NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		if (NdisAllocateNetBufferListContext(nbl, sizeof(struct pt_io), 0, PT_TAG) !=
		    NDIS_STATUS_SUCCESS) {
			untrack_until(chain, nbl);
			return false;
		}
		*io_of(nbl) = (struct pt_io){ .virtual = virtual };
		virtual->outstanding++;
	}
	return true;
}

/* ---- Down ------------------------------------------------------------------------------------ */

/*
 * No memory for a receive, forward or disconnect: act as a target that is short of resources. The
 * published pages say what a send does (below) and leave the others open.
 */
static void ask_for_upload(struct pt_virtual *virtual, const struct pt_entry *entry)
{
	virtual->events.NdisTcpOffloadEventHandler(entry->upper, TcpIndicateRetrieve,
						   UploadRequested);
}

/*
 * No memory for a send: the host does this send itself, after an upload that the first status asks
 * for.
 */
static void refuse_send(struct pt_virtual *virtual, NET_BUFFER_LIST *chain)
{
	nrt_nbl_set_status(chain, NDIS_STATUS_UPLOAD_REQUESTED);
	chain->Status = NDIS_STATUS_REQUEST_UPLOAD;
	virtual->events.NdisTcpOffloadSendComplete(virtual->miniport, chain);
}

static NDIS_STATUS send(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct pt_virtual *virtual = context;
	struct pt_entry *entry = offload_context;

	if (pt_track(virtual, chain))
		return NdisOffloadTcpSend(&entry->handle, chain);
	refuse_send(virtual, chain);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS receive(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct pt_virtual *virtual = context;
	struct pt_entry *entry = offload_context;

	if (pt_track(virtual, chain))
		return NdisOffloadTcpReceive(&entry->handle, chain);
	nrt_nbl_set_status(chain, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	virtual->events.NdisTcpOffloadReceiveComplete(virtual->miniport, chain);
	ask_for_upload(virtual, entry);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS forward(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	struct pt_virtual *virtual = context;
	struct pt_entry *entry = offload_context;

	if (pt_track(virtual, chain))
		return NdisOffloadTcpForward(&entry->handle, chain);
	nrt_nbl_set_status(chain, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	virtual->events.NdisTcpOffloadForwardComplete(virtual->miniport, chain);
	ask_for_upload(virtual, entry);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS disconnect(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain,
			      ULONG flags)
{
	struct pt_virtual *virtual = context;
	struct pt_entry *entry = offload_context;

	if (pt_track(virtual, chain))
		return NdisOffloadTcpDisconnect(&entry->handle, chain, flags);
	nrt_nbl_set_status(chain, NDIS_STATUS_UPLOAD_IN_PROGRESS);
	virtual->events.NdisTcpOffloadDisconnectComplete(virtual->miniport, chain);
	ask_for_upload(virtual, entry);
	return NDIS_STATUS_PENDING;
}

/*
 * Indicated lists carry no note of ours: they go straight back, to whichever connection they
 * belong.
 */
static NDIS_STATUS receive_return(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct pt_virtual *virtual = context;

	NdisOffloadTcpReceiveReturn(virtual->below->binding, chain);
	return NDIS_STATUS_SUCCESS;
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS pt_provider_tcp = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(pt_provider_tcp),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendHandler = send,
	.TcpOffloadReceiveHandler = receive,
	.TcpOffloadDisconnectHandler = disconnect,
	.TcpOffloadForwardHandler = forward,
	.TcpOffloadReceiveReturnHandler = receive_return,
};

/* ---- Completions ----------------------------------------------------------------------------- */

typedef void run_fn(struct pt_virtual *virtual, NET_BUFFER_LIST *run);

static void finish_run(struct pt_virtual *virtual, struct nrt_nblq *run, run_fn *fn)
{
	if (nrt_nblq_empty(run))
		return;
	fn(virtual, nrt_nblq_take_all(run));
	pt_list_done(virtual);
}

/* Cut a completed chain into runs of lists that came through the same virtual miniport. */
static void each_run(NET_BUFFER_LIST *chain, run_fn *fn)
{
	struct pt_virtual *current = NULL, *virtual;
	NET_BUFFER_LIST *nbl, *keep;
	struct nrt_nblq run;

	nrt_nblq_init(&run);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		virtual = pt_untrack(nbl).virtual;
		if (virtual != current)
			finish_run(current, &run, fn);
		current = virtual;
		nrt_nblq_push(&run, nbl);
	}
	finish_run(current, &run, fn);
}

static void send_run(struct pt_virtual *virtual, NET_BUFFER_LIST *run)
{
	virtual->events.NdisTcpOffloadSendComplete(virtual->miniport, run);
}

static void receive_run(struct pt_virtual *virtual, NET_BUFFER_LIST *run)
{
	virtual->events.NdisTcpOffloadReceiveComplete(virtual->miniport, run);
}

static void disconnect_run(struct pt_virtual *virtual, NET_BUFFER_LIST *run)
{
	virtual->events.NdisTcpOffloadDisconnectComplete(virtual->miniport, run);
}

static void forward_run(struct pt_virtual *virtual, NET_BUFFER_LIST *run)
{
	virtual->events.NdisTcpOffloadForwardComplete(virtual->miniport, run);
}

static void send_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	each_run(chain, send_run);
}

static void receive_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	each_run(chain, receive_run);
}

static void disconnect_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	each_run(chain, disconnect_run);
}

static void forward_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	(void)context;
	each_run(chain, forward_run);
}

/* ---- Indications ----------------------------------------------------------------------------- */

/* OffloadContext is the address of our own NDIS_OFFLOAD_HANDLE. */
static struct pt_entry *entry_from(PVOID offload_context)
{
	return CONTAINING_RECORD(offload_context, struct pt_entry, handle);
}

static void event(PVOID offload_context, ULONG type, ULONG information)
{
	struct pt_entry *entry = entry_from(offload_context);

	if (entry->virtual)
		entry->virtual->events.NdisTcpOffloadEventHandler(entry->upper, type, information);
}

static NDIS_STATUS receive_indicate(PVOID offload_context, PNET_BUFFER_LIST chain,
				    NDIS_STATUS status, PULONG bytes_consumed)
{
	struct pt_entry *entry = entry_from(offload_context);

	if (!entry->virtual) {
		*bytes_consumed = 0;
		return NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED; /* nobody above to take it */
	}
	return entry->virtual->events.NdisTcpOffloadReceiveHandler(entry->upper, chain, status,
								   bytes_consumed);
}

const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS pt_client_tcp = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
		.Size = sizeof(pt_client_tcp),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendCompleteHandler = send_complete,
	.TcpOffloadReceiveCompleteHandler = receive_complete,
	.TcpOffloadDisconnectCompleteHandler = disconnect_complete,
	.TcpOffloadForwardCompleteHandler = forward_complete,
	.TcpOffloadEventHandler = event,
	.TcpOffloadReceiveIndicateHandler = receive_indicate,
};
