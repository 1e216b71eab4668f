/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_plain.c - requests, status indications, power, and frames that the drivers above send
 * themselves.
 *
 * A sent frame gets its tag in Ieee8021QNetBufferListInfo; the adapter below puts it into the
 * frame. A tag that is in the frame already is a second one (the frame's own business). A tag that
 * came in the list may bring a priority, but no other VLAN than ours.
 */
#include "im/vlan/vlan_private.h"

#include <string.h>

#include "ndis/nrt_alloc.h"
#include "ndis/nrt_nblq.h"

/* ---- Requests ---- */

/* A request goes down as a copy of ours, because NDIS keeps its own state in both. */
struct request {
	NDIS_OID_REQUEST below; /* first: NDIS completes this one */
	NDIS_OID_REQUEST *above;
	struct vlan_adapter *adapter;
	ULONG filter;
};

static NDIS_OID oid_of(const NDIS_OID_REQUEST *request)
{
	return request->DATA.QUERY_INFORMATION.Oid;
}

static bool is_set(const NDIS_OID_REQUEST *request)
{
	return request->RequestType == NdisRequestSetInformation;
}

/* The interface's VLAN is ours and cannot be changed from above. */
static NDIS_STATUS answer_vlan_id(const struct vlan_adapter *adapter, NDIS_OID_REQUEST *request)
{
	struct _QUERY *query = &request->DATA.QUERY_INFORMATION;
	ULONG id = adapter->id;

	if (query->InformationBufferLength < sizeof(id)) {
		query->BytesNeeded = sizeof(id);
		return NDIS_STATUS_INVALID_LENGTH;
	}
	if (is_set(request)) {
		memcpy(&id, query->InformationBuffer, sizeof(id));
		return id == adapter->id ? NDIS_STATUS_SUCCESS : NDIS_STATUS_INVALID_DATA;
	}
	memcpy(query->InformationBuffer, &id, sizeof(id));
	query->BytesWritten = sizeof(id);
	return NDIS_STATUS_SUCCESS;
}

/* Returns: whether the request ends here, with *status. */
static bool answered_here(const struct vlan_adapter *adapter, NDIS_OID_REQUEST *request,
			  NDIS_STATUS *status)
{
	*status = NDIS_STATUS_SUCCESS;
	switch (oid_of(request)) {
	case OID_PNP_SET_POWER: /* the adapter below hears of power from the power manager */
	case OID_PNP_QUERY_POWER:
		return true;
	case OID_GEN_VLAN_ID:
		*status = answer_vlan_id(adapter, request);
		return true;
	default:
		return false;
	}
}

/* The adapter below has one filter for all who share it. */
static void widen_filter(struct vlan_adapter *adapter, struct request *copy)
{
	struct _SET *set = &copy->below.DATA.SET_INFORMATION;
	const struct vlan_adapter *other;

	if (!is_set(&copy->below) || set->Oid != OID_GEN_CURRENT_PACKET_FILTER ||
	    set->InformationBufferLength < sizeof(ULONG))
		return;
	memcpy(&adapter->packet_filter, set->InformationBuffer, sizeof(ULONG));
	for (other = adapter->lower->adapters; other; other = other->next)
		copy->filter |= other->packet_filter;
	set->InformationBuffer = &copy->filter;
}

static void finish_request(struct request *copy)
{
	PVOID buffer = copy->above->DATA.SET_INFORMATION.InformationBuffer;

	copy->above->DATA = copy->below.DATA;
	copy->above->DATA.SET_INFORMATION.InformationBuffer = buffer;
	nrt_free(copy);
}

NDIS_STATUS vlan_oid_request(NDIS_HANDLE context, NDIS_OID_REQUEST *request)
{
	struct vlan_adapter *adapter = context;
	struct request *copy;
	NDIS_STATUS status;

	if (answered_here(adapter, request, &status))
		return status;
	copy = nrt_zalloc(sizeof(*copy));
	if (!copy)
		return NDIS_STATUS_RESOURCES;
	copy->above = request;
	copy->adapter = adapter;
	copy->below.Header = request->Header;
	copy->below.RequestType = request->RequestType;
	copy->below.PortNumber = request->PortNumber;
	copy->below.Timeout = request->Timeout;
	copy->below.RequestId = request->RequestId;
	copy->below.DATA = request->DATA;
	widen_filter(adapter, copy);
	status = NdisOidRequest(adapter->lower->binding, &copy->below);
	if (status != NDIS_STATUS_PENDING)
		finish_request(copy);
	return status;
}

void vlan_oid_request_complete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	struct request *copy = CONTAINING_RECORD(request, struct request, below);
	struct vlan_adapter *adapter = copy->adapter;
	NDIS_OID_REQUEST *above = copy->above;

	(void)context;
	finish_request(copy);
	NdisMOidRequestComplete(adapter->miniport, above, status);
}

/* ---- Status and power ---- */

static void indicate_all(const struct vlan_lower *lower, NDIS_STATUS code, const void *buffer,
			 ULONG bytes)
{
	struct vlan_adapter *adapter, *next;

	for (adapter = lower->adapters; adapter; adapter = next) {
		next = adapter->next;
		im_indicate(adapter->miniport, code, buffer, bytes);
	}
}

void vlan_status(NDIS_HANDLE context, NDIS_STATUS_INDICATION *indication)
{
	struct vlan_lower *lower = context;

	im_facts_indicated(&lower->facts, indication);
	indicate_all(lower, indication->StatusCode, indication->StatusBuffer,
		     indication->StatusBufferSize);
}

static bool is_empty(const struct vlan_lower *lower)
{
	const struct vlan_adapter *adapter;

	for (adapter = lower->adapters; adapter; adapter = adapter->next)
		if (adapter->objects)
			return false;
	return true;
}

/*
 * The adapter below goes to sleep: what is offloaded must come up first, so the event pends until
 * it has. The drivers above are not bound to it and hear of that only from us.
 */
NDIS_STATUS vlan_pnp_event(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *notification)
{
	struct vlan_lower *lower = context;
	const NET_PNP_EVENT *pnp = &notification->NetPnPEvent;

	if (pnp->NetEvent != NetEventSetPower)
		return NDIS_STATUS_SUCCESS;
	if (*(const NDIS_DEVICE_POWER_STATE *)pnp->Buffer == NdisDeviceStateD0) {
		indicate_all(lower, NDIS_STATUS_OFFLOAD_RESUME,
			     lower->facts.has_current ? &lower->facts.current : NULL,
			     lower->facts.has_current
				     ? NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1
				     : 0);
		return NDIS_STATUS_SUCCESS;
	}
	indicate_all(lower, NDIS_STATUS_OFFLOAD_PAUSE, NULL, 0);
	indicate_all(lower, NDIS_STATUS_UPLOAD_ALL, NULL, 0);
	if (is_empty(lower))
		return NDIS_STATUS_SUCCESS;
	lower->power_event = notification;
	return NDIS_STATUS_PENDING;
}

/* ---- Sends ---- */

/* Returns: false when the list names another VLAN. */
static bool tag(const struct vlan_adapter *adapter, NET_BUFFER_LIST *nbl)
{
	uintptr_t theirs = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
	uint8_t priority = adapter->priority ? adapter->priority : im_tag_priority(theirs);

	if (im_tag_id(theirs) && im_tag_id(theirs) != adapter->id)
		return false;
	NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) =
		(PVOID)im_tag_make(adapter->id, priority);
	return true;
}

static void refuse(struct vlan_adapter *adapter, NET_BUFFER_LIST *chain)
{
	if (chain)
		NdisMSendNetBufferListsComplete(adapter->miniport, chain, 0);
}

void vlan_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags)
{
	struct vlan_adapter *adapter = context;
	NET_BUFFER_LIST *nbl, *keep;
	struct nrt_nblq good, refused;

	nrt_nblq_init(&good);
	nrt_nblq_init(&refused);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		nrt_nbl_split(nbl);
		if (!vlan_note(adapter, nbl)) {
			NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_RESOURCES;
			nrt_nblq_push(&refused, nbl);
		} else if (tag(adapter, nbl)) {
			nrt_nblq_push(&good, nbl);
		} else {
			adapter->refused++;
			vlan_unnote(nbl);
			NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_INVALID_DATA;
			nrt_nblq_push(&refused, nbl);
		}
	}
	refuse(adapter, nrt_nblq_take_all(&refused));
	if (!nrt_nblq_empty(&good))
		NdisSendNetBufferLists(adapter->lower->binding, nrt_nblq_take_all(&good), port,
				       flags);
}

static void send_run(struct vlan_adapter *adapter, NET_BUFFER_LIST *run, ULONG flags)
{
	NdisMSendNetBufferListsComplete(adapter->miniport, run, flags);
}

/* The lists get their own tags back before their notes go. */
void vlan_send_complete(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	const struct vlan_note *note;
	NET_BUFFER_LIST *nbl;

	(void)context;
	NRT_NBL_FOREACH(nbl, chain)
	{
		note = (const struct vlan_note *)(void *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
		NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) = note->tag;
	}
	vlan_each_run(chain, flags, send_run);
}

void vlan_cancel_send(NDIS_HANDLE context, PVOID cancel_id)
{
	(void)context; /* nothing waits here: a send is always with the driver below */
	(void)cancel_id;
}
