/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pt_plain.c - what an intermediate driver passes on besides the chimney: requests down, status
 * indications up, power events, and frames on the plain path in both directions.
 */
#include <ndis/ndisstatus.h>

#include "im/passthru/pt_private.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_nblq.h"

/* ---- Requests -------------------------------------------------------------------------------- */

/* A request goes down as a copy of ours, because NDIS keeps its own state in both. */
struct pt_request {
	NDIS_OID_REQUEST below; /* first: NDIS completes this one */
	NDIS_OID_REQUEST *above;
	struct pt_virtual *virtual;
};

/*
 * Power requests concern the virtual device alone; the adapter below gets its own from the power
 * manager.
 */
static bool ends_here(const NDIS_OID_REQUEST *request)
{
	NDIS_OID oid = request->DATA.SET_INFORMATION.Oid;

	return oid == OID_PNP_SET_POWER || oid == OID_PNP_QUERY_POWER;
}

static void finish_request(struct pt_request *copy)
{
	copy->above->DATA = copy->below.DATA;
	nrt_free(copy);
}

NDIS_STATUS pt_oid_request(NDIS_HANDLE context, NDIS_OID_REQUEST *request)
{
	struct pt_virtual *virtual = context;
	struct pt_request *copy;
	NDIS_STATUS status;

	if (ends_here(request))
		return NDIS_STATUS_SUCCESS;
	copy = nrt_zalloc(sizeof(*copy));
	if (!copy)
		return NDIS_STATUS_RESOURCES;
	copy->above = request;
	copy->virtual = virtual;
	copy->below.Header = request->Header;
	copy->below.RequestType = request->RequestType;
	copy->below.PortNumber = request->PortNumber;
	copy->below.Timeout = request->Timeout;
	copy->below.RequestId = request->RequestId;
	copy->below.DATA = request->DATA;
	status = NdisOidRequest(virtual->below->binding, &copy->below);
	if (status != NDIS_STATUS_PENDING)
		finish_request(copy);
	return status;
}

void pt_oid_request_complete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	struct pt_request *copy = CONTAINING_RECORD(request, struct pt_request, below);
	struct pt_virtual *virtual = copy->virtual;
	NDIS_OID_REQUEST *above = copy->above;

	(void)context;
	finish_request(copy);
	NdisMOidRequestComplete(virtual->miniport, above, status);
}

/* ---- Status and power ------------------------------------------------------------------------ */

static void indicate_all(struct pt_below *below, const NDIS_STATUS_INDICATION *indication)
{
	struct pt_virtual *virtual;
	NDIS_STATUS_INDICATION copy;
	struct pt_walk walk;

	pt_walk_begin(&walk, below);
	while ((virtual = pt_walk_next(&walk))) {
		copy = *indication;
		copy.SourceHandle = virtual->miniport;
		copy.DestinationHandle = NULL;
		NdisMIndicateStatusEx(virtual->miniport, &copy);
	}
	pt_walk_end(&walk);
}

/*
 * What a virtual miniport says of itself, should one be made later, is what the adapter below says
 * now.
 */
static void keep_capabilities(struct pt_below *below, const NDIS_STATUS_INDICATION *indication)
{
	const NDIS_TCP_CONNECTION_OFFLOAD *offload = indication->StatusBuffer;

	if (!offload ||
	    indication->StatusBufferSize < NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1)
		return;
	if (indication->StatusCode == NDIS_STATUS_OFFLOAD_RESUME) {
		below->current = *offload;
		below->has_current = true;
	} else if (indication->StatusCode ==
		   NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES) {
		below->hardware = *offload;
		below->has_hardware = true;
	}
}

void pt_status(NDIS_HANDLE context, NDIS_STATUS_INDICATION *indication)
{
	keep_capabilities(context, indication);
	indicate_all(context, indication);
}

static NDIS_STATUS_INDICATION indication_of(NDIS_STATUS code)
{
	NDIS_STATUS_INDICATION indication = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_STATUS_INDICATION,
			.Revision = NDIS_STATUS_INDICATION_REVISION_1,
			.Size = NDIS_SIZEOF_STATUS_INDICATION_REVISION_1,
		},
		.StatusCode = code,
	};

	return indication;
}

/*
 * The adapter below goes to sleep: what is offloaded must come up before it does. The drivers above
 * are not bound to it and hear of that only from us. When it is back they may offload again.
 */
NDIS_STATUS pt_pnp_event(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *notification)
{
	struct pt_below *below = context;
	const NET_PNP_EVENT *pnp = &notification->NetPnPEvent;
	NDIS_STATUS_INDICATION indication;

	if (pnp->NetEvent != NetEventSetPower)
		return NDIS_STATUS_SUCCESS;
	if (*(const NDIS_DEVICE_POWER_STATE *)pnp->Buffer != NdisDeviceStateD0) {
		indication = indication_of(NDIS_STATUS_UPLOAD_ALL);
	} else {
		indication = indication_of(NDIS_STATUS_OFFLOAD_RESUME);
		if (below->has_current) {
			indication.StatusBuffer = &below->current;
			indication.StatusBufferSize = sizeof(below->current);
		}
	}
	indicate_all(below, &indication);
	return NDIS_STATUS_SUCCESS;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

void pt_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags)
{
	struct pt_virtual *virtual = context;
	NET_BUFFER_LIST *nbl;

	if (!pt_track(virtual, chain)) {
		nrt_nbl_set_status(chain, NDIS_STATUS_RESOURCES);
		NdisMSendNetBufferListsComplete(virtual->miniport, chain, 0);
		return;
	}
	NRT_NBL_FOREACH(nbl, chain)
	{
		struct pt_io *io = (struct pt_io *)(void *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);

		io->source = nbl->SourceHandle; /* NDIS puts our binding there */
	}
	NdisSendNetBufferLists(virtual->below->binding, chain, port, flags);
}

static void finish_run(struct pt_virtual *virtual, struct nrt_nblq *run, ULONG flags)
{
	if (nrt_nblq_empty(run))
		return;
	NdisMSendNetBufferListsComplete(virtual->miniport, nrt_nblq_take_all(run), flags);
	pt_list_done(virtual);
}

void pt_send_complete(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	struct pt_virtual *current = NULL;
	NET_BUFFER_LIST *nbl, *keep;
	struct nrt_nblq run;
	struct pt_io io;

	(void)context;
	nrt_nblq_init(&run);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		io = pt_untrack(nbl);
		nbl->SourceHandle = io.source;
		if (io.virtual != current)
			finish_run(current, &run, flags);
		current = io.virtual;
		nrt_nblq_push(&run, nbl);
	}
	finish_run(current, &run, flags);
}

/*
 * With several virtual miniports all but the last may only look; the last one gets the lists to
 * keep.
 */
void pt_receive(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG count,
		ULONG flags)
{
	struct pt_below *below = context;
	struct pt_virtual *virtual;
	struct pt_walk walk;

	pt_walk_begin(&walk, below);
	while ((virtual = pt_walk_next(&walk)) && walk.next)
		NdisMIndicateReceiveNetBufferLists(virtual->miniport, chain, port, count,
						   flags | NDIS_RECEIVE_FLAGS_RESOURCES);
	pt_walk_end(&walk);
	if (virtual)
		NdisMIndicateReceiveNetBufferLists(virtual->miniport, chain, port, count, flags);
	else if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		NdisReturnNetBufferLists(below->binding, chain, 0);
}

void pt_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	struct pt_virtual *virtual = context;

	NdisReturnNetBufferLists(virtual->below->binding, chain, flags);
}

void pt_cancel_send(NDIS_HANDLE context, PVOID cancel_id)
{
	(void)context; /* nothing waits here: a send is always with the driver below */
	(void)cancel_id;
}
