/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * im-min: an intermediate driver that passes everything on, in as few lines as it takes.
 *
 *        protocol above
 *     ------------------- miniport edge: struct edge.miniport, "NAME-min"
 *        struct edge
 *     ------------------- protocol edge: struct edge.binding
 *        adapter NAME
 *
 * One virtual miniport stands on each binding, so nothing has to tell several of them apart. What
 * a driver of its own does it adds in three places: call_down() and completed() for state, the
 * functions under "data" for bytes. src/im/passthru is the same with several miniports a binding.
 *
 * State: the memory of a tree is passed on as it is. In each block only the two words differ by
 * which the driver above and we name an object, so each object that is offloaded through us has a
 * struct entry, and each call a struct call that keeps the words of the root block.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <ndis/ndisstatus.h>

#define NAME_MAX_CHARS 64
#define TAG            0x6e694d49u /* "IMin" */

#define HEADER(type, revision, size)                                                               \
	{                                                                                          \
		(type), (revision), (size)                                                         \
	}

enum op { INITIATE, TERMINATE, UPDATE, INVALIDATE, QUERY };

struct edge {
	NDIS_HANDLE binding, miniport; /* miniport NULL: halted */
	NDIS_HANDLE unbind_context;
	bool in_unbind; /* the unbind handler is on the stack */
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS up;
	struct entry *entries;
	/* What the adapter below said of itself; we say the same. */
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES general;
	bool has_current, has_hardware;
	NDIS_TCP_CONNECTION_OFFLOAD current, hardware;
};

struct call {
	struct edge *edge;
	enum op op;
	bool spare;
	PVOID im_reserved[2], source; /* of the root block, as they came */
	struct entry *fresh, *dead;
};

struct entry {
	NDIS_OFFLOAD_HANDLE handle; /* first: our name for the object below */
	NDIS_HANDLE upper;          /* the driver above's, for indications */
	PVOID *slot;                /* where the driver above keeps our context: this entry */
	struct entry *next, **link;
	struct call terminate; /* so that a terminate needs no memory */
};

/* A block as it comes from above, and as it goes on. */
union block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST miniport;
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST protocol;
};

static NDIS_HANDLE miniport_driver, protocol_driver;

/* ---- state: down ----------------------------------------------------------------------------- */

static union block *next_of(const union block *b)
{
	return (union block *)b->miniport.NextBlock;
}

static union block *below_of(const union block *b)
{
	return (union block *)b->miniport.DependentBlockList;
}

static bool is_new(const union block *b)
{
	return b->miniport.MiniportOffloadContext && !*b->miniport.MiniportOffloadContext;
}

static void free_entries(struct entry *entry)
{
	struct entry *next;

	for (; entry; entry = next) {
		next = entry->next;
		free(entry);
	}
}

/* All memory before the first block is touched. Returns: whether there was enough. */
static bool make_entries(const union block *b, struct call *call)
{
	struct entry *entry;

	for (; b; b = next_of(b)) {
		if (is_new(b)) {
			entry = calloc(1, sizeof(*entry));
			if (!entry)
				return false;
			entry->next = call->fresh;
			call->fresh = entry;
		}
		if (!make_entries(below_of(b), call))
			return false;
	}
	return true;
}

static void row_down(union block *b, struct call *call)
{
	struct entry *entry;
	PVOID *slot;

	for (; b; b = next_of(b)) {
		slot = b->miniport.MiniportOffloadContext;
		entry = slot ? *slot : NULL;
		if (slot && !entry) {
			entry = call->fresh;
			call->fresh = entry->next;
			entry->next = NULL;
			entry->slot = slot;
			entry->upper = b->miniport.NdisOffloadHandle;
		}
		b->protocol.OffloadHandle = entry ? &entry->handle : NULL;
		row_down(below_of(b), call);
	}
}

/* The call that comes with the first object of a tree to terminate. */
static struct call *find_spare(const union block *b)
{
	struct call *call = NULL;
	struct entry *entry;

	for (; b && !call; b = next_of(b)) {
		entry = b->miniport.MiniportOffloadContext ? *b->miniport.MiniportOffloadContext
							   : NULL;
		call = entry ? &entry->terminate : find_spare(below_of(b));
	}
	return call;
}

static struct call *begin(struct edge *edge, enum op op, union block *root)
{
	struct call *call = op == TERMINATE ? find_spare(root) : NULL;
	bool spare = call;

	if (!call)
		call = malloc(sizeof(*call));
	if (!call)
		return NULL;
	*call = (struct call){ .edge = edge, .op = op, .spare = spare };
	if (op == INITIATE && !make_entries(root, call)) {
		free_entries(call->fresh);
		free(call);
		return NULL;
	}
	memcpy(call->im_reserved, root->miniport.ImReserved, sizeof(call->im_reserved));
	call->source = root->miniport.SourceHandle;
	row_down(root, call);
	root->protocol.ImReserved[0] = call;
	return call;
}

static void complete_up(NDIS_HANDLE miniport, enum op op, union block *root)
{
	static void (*const complete[])(NDIS_HANDLE, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST) = {
		NdisMInitiateOffloadComplete,   NdisMTerminateOffloadComplete,
		NdisMUpdateOffloadComplete,     NdisMInvalidateOffloadComplete,
		NdisMQueryOffloadStateComplete,
	};

	complete[op](miniport, &root->miniport);
}

/* No memory: a new object lacks it, what hangs below was not tried, the rest just failed. */
static void fail_row(union block *b, enum op op, bool parent_failed)
{
	for (; b; b = next_of(b)) {
		bool lacks = op == INITIATE && is_new(b);

		b->miniport.Status = !b->miniport.MiniportOffloadContext ? NDIS_STATUS_SUCCESS
				     : lacks && !parent_failed           ? NDIS_STATUS_RESOURCES
									 : NDIS_STATUS_FAILURE;
		fail_row(below_of(b), op, parent_failed || lacks);
	}
}

static void call_down(struct edge *edge, enum op op, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)
{
	static void (*const call[])(NDIS_HANDLE, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST) = {
		NdisInitiateOffload,   NdisTerminateOffload,  NdisUpdateOffload,
		NdisInvalidateOffload, NdisQueryOffloadState,
	};
	union block *root = (union block *)list;

	if (begin(edge, op, root)) {
		call[op](edge->binding, &root->protocol);
		return;
	}
	fail_row(root, op, false);
	complete_up(edge->miniport, op, root);
}

/* ---- state: up ------------------------------------------------------------------------------- */

static void unlink_entry(struct entry *entry)
{
	*entry->link = entry->next;
	if (entry->next)
		entry->next->link = entry->link;
}

static void link_entry(struct edge *edge, struct entry *entry)
{
	entry->next = edge->entries;
	entry->link = &edge->entries;
	if (entry->next)
		entry->next->link = &entry->next;
	edge->entries = entry;
}

/* A new object that was accepted gets its entry; an entry whose object is gone goes too. */
static void settle(struct call *call, struct entry *entry, NDIS_STATUS status)
{
	bool known = *entry->slot == entry;
	bool good = status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;

	if (call->op == INITIATE && !known && good) {
		*entry->slot = entry;
		link_entry(call->edge, entry);
		return;
	}
	if (known && !(call->op == TERMINATE && status == NDIS_STATUS_SUCCESS))
		return;
	if (known)
		unlink_entry(entry);
	entry->next = call->dead;
	call->dead = entry;
}

static void row_up(union block *b, struct call *call)
{
	struct entry *entry;

	for (; b; b = next_of(b)) {
		entry = (struct entry *)b->protocol.OffloadHandle;
		b->miniport.MiniportOffloadContext = entry ? entry->slot : NULL;
		if (entry) {
			b->miniport.NdisOffloadHandle = entry->upper;
			settle(call, entry, b->miniport.Status);
		}
		row_up(below_of(b), call);
	}
}

/* Entries are freed when the driver above knows that their objects are gone. */
static void completed(PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)
{
	union block *root = (union block *)list;
	struct call *call = root->protocol.ImReserved[0], own;

	row_up(root, call);
	memcpy(root->miniport.ImReserved, call->im_reserved, sizeof(call->im_reserved));
	root->miniport.SourceHandle = call->source;
	own = *call;
	if (!own.spare)
		free(call);
	complete_up(own.edge->miniport, own.op, root);
	free_entries(own.dead);
}

#define STATE_OPERATION(name, op)                                                                  \
	static void name(NDIS_HANDLE context, PNDIS_MINIPORT_OFFLOAD_BLOCK_LIST list)              \
	{                                                                                          \
		call_down(context, op, list);                                                      \
	}                                                                                          \
	static void name##_complete(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list)   \
	{                                                                                          \
		(void)context;                                                                     \
		completed(list);                                                                   \
	}

STATE_OPERATION(initiate, INITIATE)
STATE_OPERATION(terminate, TERMINATE)
STATE_OPERATION(update, UPDATE)
STATE_OPERATION(invalidate, INVALIDATE)
STATE_OPERATION(query, QUERY)

/* The block belongs to the miniport below and is only lent: it goes back as it came. */
static void offload_event(NDIS_HANDLE context, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST list, ULONG code)
{
	struct edge *edge = context;
	union block *b = (union block *)list;
	NDIS_OFFLOAD_HANDLE *handle = b ? b->protocol.OffloadHandle : NULL;
	struct entry *entry = (struct entry *)handle;
	PVOID ndis_reserved;

	if (!edge->miniport)
		return;
	if (!handle) {
		NdisMOffloadEventIndicate(edge->miniport, NULL, code);
		return;
	}
	ndis_reserved = b->protocol.NdisReserved[2];
	b->miniport.NdisOffloadHandle = entry->upper;
	b->miniport.MiniportOffloadContext = entry->slot;
	NdisMOffloadEventIndicate(edge->miniport, &b->miniport, code);
	b->protocol.OffloadHandle = handle;
	b->protocol.NdisReserved[2] = ndis_reserved;
}

/* ---- data ------------------------------------------------------------------------------------ */

static NDIS_STATUS tcp_send(NDIS_HANDLE context, PVOID entry, PNET_BUFFER_LIST chain)
{
	(void)context;
	return NdisOffloadTcpSend(entry, chain); /* an entry begins with our handle */
}

static NDIS_STATUS tcp_receive(NDIS_HANDLE context, PVOID entry, PNET_BUFFER_LIST chain)
{
	(void)context;
	return NdisOffloadTcpReceive(entry, chain);
}

static NDIS_STATUS tcp_forward(NDIS_HANDLE context, PVOID entry, PNET_BUFFER_LIST chain)
{
	(void)context;
	return NdisOffloadTcpForward(entry, chain);
}

static NDIS_STATUS tcp_disconnect(NDIS_HANDLE context, PVOID entry, PNET_BUFFER_LIST nbl,
				  ULONG flags)
{
	(void)context;
	return NdisOffloadTcpDisconnect(entry, nbl, flags);
}

static NDIS_STATUS tcp_return(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	NdisOffloadTcpReceiveReturn(((struct edge *)context)->binding, chain);
	return NDIS_STATUS_SUCCESS;
}

static void tcp_send_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct edge *edge = context;

	edge->up.NdisTcpOffloadSendComplete(edge->miniport, chain);
}

static void tcp_receive_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct edge *edge = context;

	edge->up.NdisTcpOffloadReceiveComplete(edge->miniport, chain);
}

static void tcp_disconnect_complete(NDIS_HANDLE context, PNET_BUFFER_LIST nbl)
{
	struct edge *edge = context;

	edge->up.NdisTcpOffloadDisconnectComplete(edge->miniport, nbl);
}

static void tcp_forward_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct edge *edge = context;

	edge->up.NdisTcpOffloadForwardComplete(edge->miniport, chain);
}

/*
 * These two bring the handle alone. The table is the same for every adapter, so a static copy of it
 * serves; entries outlive the miniport above only while nothing is indicated any more.
 */
static NDIS_TCP_OFFLOAD_EVENT_HANDLERS events;

static void tcp_event(PVOID context, ULONG type, ULONG information)
{
	events.NdisTcpOffloadEventHandler(((struct entry *)context)->upper, type, information);
}

static NDIS_STATUS tcp_indicate(PVOID context, PNET_BUFFER_LIST nbl, NDIS_STATUS status,
				PULONG consumed)
{
	return events.NdisTcpOffloadReceiveHandler(((struct entry *)context)->upper, nbl, status,
						   consumed);
}

/* ---- the plain path -------------------------------------------------------------------------- */

/* NDIS puts our binding into SourceHandle; the driver above's waits in the list's context. */
static NDIS_HANDLE *source_of(NET_BUFFER_LIST *nbl)
{
	return (NDIS_HANDLE *)(void *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
}

static void send_one(struct edge *edge, NET_BUFFER_LIST *nbl, NDIS_PORT_NUMBER port, ULONG flags)
{
	if (NdisAllocateNetBufferListContext(nbl, sizeof(NDIS_HANDLE), 0, TAG) !=
	    NDIS_STATUS_SUCCESS) {
		NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_RESOURCES;
		NdisMSendNetBufferListsComplete(edge->miniport, nbl, 0);
		return;
	}
	*source_of(nbl) = nbl->SourceHandle;
	NdisSendNetBufferLists(edge->binding, nbl, port, flags);
}

static void send_lists(NDIS_HANDLE context, PNET_BUFFER_LIST chain, NDIS_PORT_NUMBER port,
		       ULONG flags)
{
	NET_BUFFER_LIST *next;

	for (; chain; chain = next) {
		next = NET_BUFFER_LIST_NEXT_NBL(chain);
		NET_BUFFER_LIST_NEXT_NBL(chain) = NULL;
		send_one(context, chain, port, flags);
	}
}

static void send_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain, ULONG flags)
{
	NET_BUFFER_LIST *nbl;

	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		nbl->SourceHandle = *source_of(nbl);
		NdisFreeNetBufferListContext(nbl, sizeof(NDIS_HANDLE));
	}
	NdisMSendNetBufferListsComplete(((struct edge *)context)->miniport, chain, flags);
}

static void receive_lists(NDIS_HANDLE context, PNET_BUFFER_LIST chain, NDIS_PORT_NUMBER port,
			  ULONG count, ULONG flags)
{
	struct edge *edge = context;

	if (edge->miniport)
		NdisMIndicateReceiveNetBufferLists(edge->miniport, chain, port, count, flags);
	else if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		NdisReturnNetBufferLists(edge->binding, chain, 0);
}

static void return_lists(NDIS_HANDLE context, PNET_BUFFER_LIST chain, ULONG flags)
{
	NdisReturnNetBufferLists(((struct edge *)context)->binding, chain, flags);
}

static void cancel_send(NDIS_HANDLE context, PVOID id)
{
	(void)context; /* nothing waits here */
	(void)id;
}

/* ---- requests, status, power ----------------------------------------------------------------- */

/* A request goes down as a copy, because NDIS keeps its own state in both. */
struct request {
	NDIS_OID_REQUEST below;
	NDIS_OID_REQUEST *above;
};

static void finish_request(struct request *copy)
{
	copy->above->DATA = copy->below.DATA;
	free(copy);
}

static NDIS_STATUS oid_request(NDIS_HANDLE context, PNDIS_OID_REQUEST request)
{
	NDIS_OID oid = request->DATA.SET_INFORMATION.Oid;
	struct request *copy;
	NDIS_STATUS status;

	if (oid == OID_PNP_SET_POWER || oid == OID_PNP_QUERY_POWER)
		return NDIS_STATUS_SUCCESS; /* of the virtual device alone */
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return NDIS_STATUS_RESOURCES;
	copy->above = request;
	copy->below.Header = request->Header;
	copy->below.RequestType = request->RequestType;
	copy->below.PortNumber = request->PortNumber;
	copy->below.Timeout = request->Timeout;
	copy->below.RequestId = request->RequestId;
	copy->below.DATA = request->DATA;
	status = NdisOidRequest(((struct edge *)context)->binding, &copy->below);
	if (status != NDIS_STATUS_PENDING)
		finish_request(copy);
	return status;
}

static void oid_complete(NDIS_HANDLE context, PNDIS_OID_REQUEST request, NDIS_STATUS status)
{
	struct request *copy = (struct request *)request;
	NDIS_OID_REQUEST *above = copy->above;

	finish_request(copy);
	NdisMOidRequestComplete(((struct edge *)context)->miniport, above, status);
}

static void status_indicated(NDIS_HANDLE context, PNDIS_STATUS_INDICATION indication)
{
	struct edge *edge = context;
	NDIS_STATUS_INDICATION copy = *indication;

	copy.SourceHandle = edge->miniport;
	copy.DestinationHandle = NULL;
	if (edge->miniport)
		NdisMIndicateStatusEx(edge->miniport, &copy);
}

/* The adapter below goes to sleep, or wakes up: the drivers above hear of it only from us. */
static NDIS_STATUS pnp_event(NDIS_HANDLE context, PNET_PNP_EVENT_NOTIFICATION notification)
{
	struct edge *edge = context;
	NDIS_STATUS_INDICATION indication = {
		.Header = HEADER(NDIS_OBJECT_TYPE_STATUS_INDICATION,
				 NDIS_STATUS_INDICATION_REVISION_1,
				 NDIS_SIZEOF_STATUS_INDICATION_REVISION_1),
		.StatusCode = NDIS_STATUS_UPLOAD_ALL,
	};

	if (notification->NetPnPEvent.NetEvent != NetEventSetPower)
		return NDIS_STATUS_SUCCESS;
	if (*(NDIS_DEVICE_POWER_STATE *)notification->NetPnPEvent.Buffer == NdisDeviceStateD0) {
		indication.StatusCode = NDIS_STATUS_OFFLOAD_RESUME;
		indication.StatusBuffer = edge->has_current ? &edge->current : NULL;
		indication.StatusBufferSize = edge->has_current ? sizeof(edge->current) : 0;
	}
	status_indicated(edge, &indication);
	return NDIS_STATUS_SUCCESS;
}

/* ---- the life of the two edges --------------------------------------------------------------- */

static void learn(struct edge *edge, const NDIS_BIND_PARAMETERS *p)
{
	edge->general = (NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES){
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
				 NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1),
		.MediaType = p->MediaType,
		.PhysicalMediumType = p->PhysicalMediumType,
		.MtuSize = p->MtuSize,
		.MaxXmitLinkSpeed = p->MaxXmitLinkSpeed,
		.XmitLinkSpeed = p->XmitLinkSpeed,
		.MaxRcvLinkSpeed = p->MaxRcvLinkSpeed,
		.RcvLinkSpeed = p->RcvLinkSpeed,
		.MediaConnectState = p->MediaConnectState,
		.MediaDuplexState = p->MediaDuplexState,
		.LookaheadSize = p->LookaheadSize,
		.MacOptions = p->MacOptions,
		.SupportedPacketFilters = p->SupportedPacketFilters,
		.MaxMulticastListSize = p->MaxMulticastListSize,
		.MacAddressLength = p->MacAddressLength,
		.IfType = p->IfType,
		.DataBackFillSize = p->DataBackFillSize,
		.ContextBackFillSize = p->ContextBackFillSize + sizeof(NDIS_HANDLE),
	};
	memcpy(edge->general.CurrentMacAddress, p->CurrentMacAddress, sizeof(p->CurrentMacAddress));
	memcpy(edge->general.PermanentMacAddress, p->CurrentMacAddress,
	       sizeof(p->CurrentMacAddress));
	edge->has_current = p->TcpConnectionOffloadCapabilities;
	if (edge->has_current)
		edge->current = *p->TcpConnectionOffloadCapabilities;
	edge->has_hardware = p->TcpConnectionOffloadHardwareCapabilities;
	if (edge->has_hardware)
		edge->hardware = *p->TcpConnectionOffloadHardwareCapabilities;
}

static NDIS_STATUS open_below(struct edge *edge, NDIS_HANDLE bind_context, PNDIS_STRING name)
{
	NDIS_OPEN_PARAMETERS open = {
		.Header = HEADER(NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1,
				 NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1),
		.AdapterName = name,
	};

	return NdisOpenAdapterEx(protocol_driver, edge, &open, bind_context, &edge->binding);
}

/* The virtual miniport is named after the adapter below: NAME-min. initialize() runs inside. */
static NDIS_STATUS make_miniport(struct edge *edge, const NDIS_STRING *below)
{
	static const WCHAR suffix[] = { '-', 'm', 'i', 'n' };
	WCHAR buffer[NAME_MAX_CHARS];
	NDIS_STRING name = { (USHORT)(below->Length + sizeof(suffix)), sizeof(buffer), buffer };

	if (name.Length > sizeof(buffer))
		return NDIS_STATUS_INVALID_PARAMETER;
	memcpy(buffer, below->Buffer, below->Length);
	memcpy((char *)buffer + below->Length, suffix, sizeof(suffix));
	return NdisIMInitializeDeviceInstanceEx(miniport_driver, &name, edge);
}

static void free_edge(struct edge *edge)
{
	free_entries(edge->entries); /* of a driver above that went without terminating */
	free(edge);
}

static NDIS_STATUS bind(NDIS_HANDLE context, NDIS_HANDLE bind_context, PNDIS_BIND_PARAMETERS params)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	NDIS_STATUS status;

	(void)context;
	if (!edge)
		return NDIS_STATUS_RESOURCES;
	learn(edge, params);
	status = open_below(edge, bind_context, params->AdapterName);
	if (status != NDIS_STATUS_SUCCESS) {
		free_edge(edge);
		return status;
	}
	status = make_miniport(edge, params->AdapterName);
	if (status != NDIS_STATUS_SUCCESS &&
	    NdisCloseAdapterEx(edge->binding) != NDIS_STATUS_PENDING)
		free_edge(edge);
	return status;
}

static NDIS_STATUS close_below(struct edge *edge)
{
	NDIS_STATUS status = NdisCloseAdapterEx(edge->binding);

	if (status != NDIS_STATUS_PENDING)
		free_edge(edge);
	return status;
}

static void close_complete(NDIS_HANDLE context)
{
	NDIS_HANDLE unbind_context = ((struct edge *)context)->unbind_context;

	free_edge(context);
	if (unbind_context)
		NdisCompleteUnbindAdapterEx(unbind_context);
}

/* First the miniport, which may have to wait for the protocols above it: halt() goes on then. */
static NDIS_STATUS unbind(NDIS_HANDLE unbind_context, NDIS_HANDLE context)
{
	struct edge *edge = context;

	edge->unbind_context = unbind_context;
	edge->in_unbind = true;
	if (edge->miniport)
		NdisIMDeInitializeDeviceInstance(edge->miniport);
	edge->in_unbind = false;
	return edge->miniport ? NDIS_STATUS_PENDING : close_below(edge);
}

static void halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	struct edge *edge = context;
	NDIS_HANDLE unbind_context = edge->unbind_context;

	(void)action;
	edge->miniport = NULL;
	if (unbind_context && !edge->in_unbind && close_below(edge) != NDIS_STATUS_PENDING)
		NdisCompleteUnbindAdapterEx(unbind_context);
}

static NDIS_STATUS set_attributes(struct edge *edge)
{
	NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES registration = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
				 NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1),
		.MiniportAdapterContext = edge,
	};
	NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES offload = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
				 NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1),
		.DefaultTcpConnectionOffloadConfiguration =
			edge->has_current ? &edge->current : NULL,
		.TcpConnectionOffloadHardwareCapabilities =
			edge->has_hardware ? &edge->hardware : NULL,
	};
	void *const all[] = { &registration, &edge->general, &offload };
	NDIS_STATUS status = NDIS_STATUS_SUCCESS;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && status == NDIS_STATUS_SUCCESS; i++)
		status = NdisMSetMiniportAttributes(edge->miniport, all[i]);
	return status;
}

static NDIS_STATUS initialize(NDIS_HANDLE miniport, NDIS_HANDLE driver_context,
			      PNDIS_MINIPORT_INIT_PARAMETERS params)
{
	struct edge *edge = params->IMDeviceInstanceContext;
	PNDIS_OFFLOAD_EVENT_HANDLERS table;
	NDIS_STATUS status;

	(void)driver_context;
	edge->miniport = miniport;
	status = set_attributes(edge);
	if (status == NDIS_STATUS_SUCCESS)
		status = NdisMGetOffloadHandlers(miniport, NdisTcpChimneyOffload, &table);
	if (status == NDIS_STATUS_SUCCESS && table->Header.Size < sizeof(edge->up))
		status = NDIS_STATUS_UNSUPPORTED_REVISION;
	if (status != NDIS_STATUS_SUCCESS) {
		edge->miniport = NULL;
		return status;
	}
	memcpy(&edge->up, table, sizeof(edge->up));
	events = edge->up;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS pause(NDIS_HANDLE context, PNDIS_MINIPORT_PAUSE_PARAMETERS params)
{
	(void)context; /* NDIS pauses when all bindings above are closed: nothing is under way */
	(void)params;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS restart(NDIS_HANDLE context, PNDIS_MINIPORT_RESTART_PARAMETERS params)
{
	(void)context;
	(void)params;
	return NDIS_STATUS_SUCCESS;
}

/* ---- registration ---------------------------------------------------------------------------- */

static NDIS_STATUS miniport_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	static NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic = {
		.Header = HEADER(NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
				 NDIS_OBJECT_REVISION_1, sizeof(generic)),
		.InitiateOffloadHandler = initiate,
		.TerminateOffloadHandler = terminate,
		.UpdateOffloadHandler = update,
		.InvalidateOffloadHandler = invalidate,
		.QueryOffloadHandler = query,
	};
	static NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp = {
		.Header = HEADER(NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
				 NDIS_OBJECT_REVISION_1, sizeof(tcp)),
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendHandler = tcp_send,
		.TcpOffloadReceiveHandler = tcp_receive,
		.TcpOffloadDisconnectHandler = tcp_disconnect,
		.TcpOffloadForwardHandler = tcp_forward,
		.TcpOffloadReceiveReturnHandler = tcp_return,
	};
	NDIS_STATUS status = NdisSetOptionalHandlers(driver, (void *)&generic);

	(void)context;
	return status == NDIS_STATUS_SUCCESS ? NdisSetOptionalHandlers(driver, (void *)&tcp)
					     : status;
}

static NDIS_STATUS protocol_options(NDIS_HANDLE driver, NDIS_HANDLE context)
{
	static NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic = {
		.Header = HEADER(NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
				 NDIS_OBJECT_REVISION_1, sizeof(generic)),
		.InitiateOffloadCompleteHandler = initiate_complete,
		.TerminateOffloadCompleteHandler = terminate_complete,
		.UpdateOffloadCompleteHandler = update_complete,
		.InvalidateOffloadCompleteHandler = invalidate_complete,
		.QueryOffloadCompleteHandler = query_complete,
		.IndicateOffloadEventHandler = offload_event,
	};
	static NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp = {
		.Header = HEADER(NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
				 NDIS_OBJECT_REVISION_1, sizeof(tcp)),
		.OffloadType = NdisTcpChimneyOffload,
		.TcpOffloadSendCompleteHandler = tcp_send_complete,
		.TcpOffloadReceiveCompleteHandler = tcp_receive_complete,
		.TcpOffloadDisconnectCompleteHandler = tcp_disconnect_complete,
		.TcpOffloadForwardCompleteHandler = tcp_forward_complete,
		.TcpOffloadEventHandler = tcp_event,
		.TcpOffloadReceiveIndicateHandler = tcp_indicate,
	};
	NDIS_STATUS status = NdisSetOptionalHandlers(driver, (void *)&generic);

	(void)context;
	return status == NDIS_STATUS_SUCCESS ? NdisSetOptionalHandlers(driver, (void *)&tcp)
					     : status;
}

static void unload(PDRIVER_OBJECT object)
{
	(void)object;
	NdisDeregisterProtocolDriver(protocol_driver);
	NdisMDeregisterMiniportDriver(miniport_driver);
}

static NDIS_STATUS register_protocol(void)
{
	static WCHAR name[] = { 'i', 'm', '-', 'm', 'i', 'n' };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS protocol = {
		.Header = HEADER(NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
				 NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
				 NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1),
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = { sizeof(name), sizeof(name), name },
		.SetOptionsHandler = protocol_options,
		.BindAdapterHandlerEx = bind,
		.UnbindAdapterHandlerEx = unbind,
		.CloseAdapterCompleteHandlerEx = close_complete,
		.NetPnPEventHandler = pnp_event,
		.OidRequestCompleteHandler = oid_complete,
		.StatusHandlerEx = status_indicated,
		.ReceiveNetBufferListsHandler = receive_lists,
		.SendNetBufferListsCompleteHandler = send_complete,
	};

	return NdisRegisterProtocolDriver(NULL, &protocol, &protocol_driver);
}

/* Both edges, and that they belong together: that is what makes it an intermediate driver. */
NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING registry_path);
NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING registry_path)
{
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS miniport = {
		.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
				 NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
				 NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1),
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Flags = NDIS_INTERMEDIATE_DRIVER,
		.SetOptionsHandler = miniport_options,
		.InitializeHandlerEx = initialize,
		.HaltHandlerEx = halt,
		.UnloadHandler = unload,
		.PauseHandler = pause,
		.RestartHandler = restart,
		.OidRequestHandler = oid_request,
		.SendNetBufferListsHandler = send_lists,
		.ReturnNetBufferListsHandler = return_lists,
		.CancelSendHandler = cancel_send,
	};
	NDIS_STATUS status = NdisMRegisterMiniportDriver(object, registry_path, NULL, &miniport,
							 &miniport_driver);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	status = register_protocol();
	if (status == NDIS_STATUS_SUCCESS)
		NdisIMAssociateMiniport(miniport_driver, protocol_driver);
	else
		NdisMDeregisterMiniportDriver(miniport_driver);
	return status;
}
