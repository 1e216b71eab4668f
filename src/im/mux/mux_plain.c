/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_plain.c - requests, and frames that the drivers above send themselves.
 *
 * A set goes to every member and succeeds when all do. Statistics are asked of every member and
 * added up; other queries go to the member that carries the traffic. The team waits for all
 * answers.
 */
#include "im/mux/mux_private.h"

#include <errno.h>
#include <string.h>

#include "ndis/nrt_alloc.h"
#include "ndis/nrt_nblq.h"
#include "ndis/nrt_status.h"

#define MUX_TAG 0x4d75785fu

/* NDIS_PACKET_TYPE_DIRECTED: frames to the interface's own address. The team needs these itself, to
 * forward segments that came in on the wrong member. */
#define PACKET_TYPE_DIRECTED 0x00000001u

union answer {
	TCP_OFFLOAD_STATS tcp;
	IP_OFFLOAD_STATS ip;
	ULONG filter;
};

struct copy {
	NDIS_OID_REQUEST below; /* first: NDIS completes this one */
	struct request *request;
	union answer answer;
};

/* One request of the drivers above, or of the team. */
struct request {
	struct mux_team *team;
	NDIS_OID_REQUEST *above; /* NULL: the team's own */
	NDIS_STATUS status;
	unsigned int left; /* copies that are not answered, and one while they are being sent */
	bool pended;
	unsigned int count;
	struct copy copies[];
};

static NDIS_OID oid_of(const NDIS_OID_REQUEST *request)
{
	return request->DATA.QUERY_INFORMATION.Oid;
}

static bool is_set(const NDIS_OID_REQUEST *request)
{
	return request->RequestType == NdisRequestSetInformation;
}

/* Bytes of the statistics that an OID asks for; 0: something else. */
static UINT stats_bytes(const NDIS_OID_REQUEST *request)
{
	if (is_set(request))
		return 0;
	switch (oid_of(request)) {
	case OID_TCP4_OFFLOAD_STATS:
	case OID_TCP6_OFFLOAD_STATS:
		return sizeof(TCP_OFFLOAD_STATS);
	case OID_IP4_OFFLOAD_STATS:
	case OID_IP6_OFFLOAD_STATS:
		return sizeof(IP_OFFLOAD_STATS);
	default:
		return 0;
	}
}

/* ---- Adding up ---- */

static void add_tcp(TCP_OFFLOAD_STATS *to, const TCP_OFFLOAD_STATS *from)
{
	to->InSegments += from->InSegments;
	to->OutSegments += from->OutSegments;
	to->CurrentlyEstablished += from->CurrentlyEstablished;
	to->ResetEstablished += from->ResetEstablished;
	to->RetransmittedSegments += from->RetransmittedSegments;
	to->InErrors += from->InErrors;
	to->OutResets += from->OutResets;
}

static void add_ip(IP_OFFLOAD_STATS *to, const IP_OFFLOAD_STATS *from)
{
	to->InReceives += from->InReceives;
	to->InOctets += from->InOctets;
	to->InDelivers += from->InDelivers;
	to->OutRequests += from->OutRequests;
	to->OutOctets += from->OutOctets;
	to->InHeaderErrors += from->InHeaderErrors;
	to->InTruncatedPackets += from->InTruncatedPackets;
	to->InDiscards += from->InDiscards;
	to->OutDiscards += from->OutDiscards;
	to->OutNoRoutes += from->OutNoRoutes;
}

static void add_up(const struct request *request)
{
	struct _QUERY *query = &request->above->DATA.QUERY_INFORMATION;
	UINT bytes = stats_bytes(request->above);
	union answer sum;
	unsigned int i;

	memset(&sum, 0, sizeof(sum));
	for (i = 0; i < request->count; i++) {
		if (bytes == sizeof(sum.tcp))
			add_tcp(&sum.tcp, &request->copies[i].answer.tcp);
		else
			add_ip(&sum.ip, &request->copies[i].answer.ip);
	}
	memcpy(query->InformationBuffer, &sum, bytes);
	query->BytesWritten = bytes;
	query->BytesNeeded = bytes;
}

/* ---- One request, several members ---- */

/* All members have answered. Returns: what the driver above gets. */
static NDIS_STATUS finish(struct request *request)
{
	NDIS_OID_REQUEST *above = request->above;
	NDIS_STATUS status = request->status;
	PVOID buffer;

	if (above && stats_bytes(above) && status == NDIS_STATUS_SUCCESS) {
		add_up(request);
	} else if (above && !stats_bytes(above)) {
		buffer = above->DATA.SET_INFORMATION.InformationBuffer; /* the copy's may be ours */
		above->DATA = request->copies[0].below.DATA;
		above->DATA.SET_INFORMATION.InformationBuffer = buffer;
	}
	return status;
}

static void answered(struct request *request, NDIS_STATUS status)
{
	struct mux_team *team = request->team;
	NDIS_OID_REQUEST *above = request->above;
	bool pended = request->pended;

	if (status != NDIS_STATUS_SUCCESS && request->status == NDIS_STATUS_SUCCESS)
		request->status = status;
	if (--request->left)
		return;
	status = finish(request);
	nrt_free(request);
	if (above && pended)
		NdisMOidRequestComplete(team->miniport, above, status);
}

static void copy_init(struct copy *copy, struct request *request, const NDIS_OID_REQUEST *above)
{
	copy->request = request;
	copy->below.Header = above->Header;
	copy->below.RequestType = above->RequestType;
	copy->below.PortNumber = above->PortNumber;
	copy->below.Timeout = above->Timeout;
	copy->below.RequestId = above->RequestId;
	copy->below.DATA = above->DATA;
	if (!stats_bytes(above))
		return;
	copy->below.DATA.QUERY_INFORMATION.InformationBuffer = &copy->answer;
	copy->below.DATA.QUERY_INFORMATION.InformationBufferLength = sizeof(copy->answer);
}

/* What the members hear is what the drivers above want to hear, and what the team needs. */
static void widen_filter(struct mux_team *team, struct copy *copy)
{
	struct _SET *set = &copy->below.DATA.SET_INFORMATION;

	if (!is_set(&copy->below) || set->Oid != OID_GEN_CURRENT_PACKET_FILTER ||
	    set->InformationBufferLength < sizeof(ULONG))
		return;
	memcpy(&team->packet_filter, set->InformationBuffer, sizeof(ULONG));
	copy->answer.filter = team->packet_filter | PACKET_TYPE_DIRECTED;
	set->InformationBuffer = &copy->answer.filter;
}

static struct request *request_new(struct mux_team *team, const NDIS_OID_REQUEST *above,
				   unsigned int copies)
{
	struct request *request =
		nrt_zalloc(sizeof(*request) + copies * sizeof(request->copies[0]));
	unsigned int i;

	if (!request)
		return NULL;
	request->team = team;
	request->count = copies;
	request->status = NDIS_STATUS_SUCCESS;
	for (i = 0; i < copies; i++) {
		copy_init(&request->copies[i], request, above);
		widen_filter(team, &request->copies[i]);
	}
	return request;
}

/* The members that a request concerns. */
static unsigned int concerned(const struct mux_team *team, const NDIS_OID_REQUEST *request,
			      struct mux_member **members)
{
	unsigned int i, count = 0;
	bool all = is_set(request) || stats_bytes(request);

	for (i = 0; i < team->member_count; i++)
		if (team->members[i]->binding && (all || team->members[i] == team->active))
			members[count++] = team->members[i];
	if (!count && team->member_count && team->members[0]->binding)
		members[count++] = team->members[0];
	return count;
}

static bool ends_here(const NDIS_OID_REQUEST *request)
{
	return oid_of(request) == OID_PNP_SET_POWER || oid_of(request) == OID_PNP_QUERY_POWER;
}

NDIS_STATUS mux_oid_request(NDIS_HANDLE context, NDIS_OID_REQUEST *above)
{
	struct mux_member *members[MUX_MEMBERS_MAX];
	struct mux_team *team = context;
	unsigned int i, count = concerned(team, above, members);
	struct request *request;
	NDIS_STATUS status;

	if (ends_here(above))
		return NDIS_STATUS_SUCCESS; /* members hear of power from the power manager */
	if (!count)
		return NDIS_STATUS_ADAPTER_NOT_READY;
	if (stats_bytes(above) &&
	    above->DATA.QUERY_INFORMATION.InformationBufferLength < stats_bytes(above)) {
		above->DATA.QUERY_INFORMATION.BytesNeeded = stats_bytes(above);
		return NDIS_STATUS_BUFFER_TOO_SHORT;
	}
	request = request_new(team, above, count);
	if (!request)
		return NDIS_STATUS_RESOURCES;
	request->above = above;
	request->left = count + 1;
	for (i = 0; i < count; i++) {
		status = NdisOidRequest(members[i]->binding, &request->copies[i].below);
		if (status != NDIS_STATUS_PENDING)
			answered(request, status);
	}
	if (request->left > 1) {
		request->pended = true;
		answered(request, NDIS_STATUS_SUCCESS);
		return NDIS_STATUS_PENDING;
	}
	status = finish(request);
	nrt_free(request);
	return status;
}

void mux_oid_request_complete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	(void)context;
	answered(CONTAINING_RECORD(request, struct copy, below)->request, status);
}

int mux_listen(struct mux_member *member)
{
	ULONG filter = PACKET_TYPE_DIRECTED;
	NDIS_OID_REQUEST wish = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_OID_REQUEST,
			.Revision = NDIS_OID_REQUEST_REVISION_1,
			.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1,
		},
		.RequestType = NdisRequestSetInformation,
		.DATA.SET_INFORMATION = {
			.Oid = OID_GEN_CURRENT_PACKET_FILTER,
			.InformationBuffer = &filter,
			.InformationBufferLength = sizeof(filter),
		},
	};
	struct request *request = request_new(member->team, &wish, 1);
	NDIS_STATUS status;

	if (!request)
		return -ENOMEM;
	member->team->packet_filter = 0;
	request->left = 1;
	status = NdisOidRequest(member->binding, &request->copies[0].below);
	if (status != NDIS_STATUS_PENDING)
		answered(request, status);
	return 0; /* a member that has no filter indicates what it likes */
}

/* ---- Plain sends ---- */

/* SourceHandle as it came; NDIS writes our binding there on the way down. */
static PVOID *note_of(NET_BUFFER_LIST *nbl)
{
	return (PVOID *)(void *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
}

static bool note(struct mux_team *team, NET_BUFFER_LIST *nbl)
{
	if (NdisAllocateNetBufferListContext(nbl, sizeof(PVOID), 0, MUX_TAG) != NDIS_STATUS_SUCCESS)
		return false;
	*note_of(nbl) = nbl->SourceHandle;
	team->outstanding++;
	return true;
}

/* A connection's frames go where it is, or would be, offloaded to. */
static struct mux_member *member_for(const struct mux_team *team, NET_BUFFER_LIST *nbl)
{
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	UCHAR storage[128];
	struct mux_frame frame;
	const UCHAR *head;
	uint32_t have;

	if (team->mode == MUX_ACTIVE_BACKUP || !nb)
		return team->active;
	have = NET_BUFFER_DATA_LENGTH(nb) < sizeof(storage) ? NET_BUFFER_DATA_LENGTH(nb)
							    : sizeof(storage);
	head = NdisGetDataBuffer(nb, have, storage, 1, 0);
	if (!head || !mux_frame_parse(head, have, NET_BUFFER_DATA_LENGTH(nb), &frame))
		return team->active;
	return mux_choose(team, &frame.source_first, frame.source_port, frame.destination_port);
}

static void refuse(struct mux_team *team, NET_BUFFER_LIST *chain)
{
	if (chain)
		NdisMSendNetBufferListsComplete(team->miniport, chain, 0);
}

void mux_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags)
{
	struct mux_team *team = context;
	struct nrt_nblq lists[MUX_MEMBERS_MAX] = { { NULL, NULL } }, refused;
	NET_BUFFER_LIST *nbl, *keep;
	struct mux_member *member;
	unsigned int i;

	nrt_nblq_init(&refused);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		member = member_for(team, nbl);
		if (member && note(team, nbl)) {
			nrt_nblq_push(&lists[member->index], nbl);
			continue;
		}
		NET_BUFFER_LIST_STATUS(nbl) =
			member ? NDIS_STATUS_RESOURCES : NDIS_STATUS_MEDIA_DISCONNECTED;
		nrt_nblq_push(&refused, nbl);
	}
	refuse(team, nrt_nblq_take_all(&refused));
	for (i = 0; i < team->member_count; i++)
		if (!nrt_nblq_empty(&lists[i]))
			NdisSendNetBufferLists(team->members[i]->binding,
					       nrt_nblq_take_all(&lists[i]), port, flags);
}

void mux_send_complete(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	struct mux_team *team = ((struct mux_member *)context)->team;
	unsigned int count = 0;
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		nbl->SourceHandle = *note_of(nbl);
		NdisFreeNetBufferListContext(nbl, sizeof(PVOID));
		count++;
	}
	NdisMSendNetBufferListsComplete(team->miniport, chain, flags);
	mux_lists_done(team, count);
}

void mux_cancel_send(NDIS_HANDLE context, PVOID cancel_id)
{
	(void)context; /* nothing waits here: a send is always with a member */
	(void)cancel_id;
}
