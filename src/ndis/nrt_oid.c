/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_oid.c - OID requests.
 *
 * A miniport sees one request at a time; the others wait in a queue that runs through NdisReserved
 * of the requests themselves. NDIS answers some requests without the miniport (what the miniport
 * reported, what was set last), and watches others go by: who switches connection offload on, which
 * keywords an administrator changes.
 */
#include "ndis/nrt_oid.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <ndis/ndisstatus.h>

#include "ndis/nrt_adapter.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_binding.h"
#include "ndis/nrt_config.h"
#include "ndis/nrt_offload.h"

/* Our part of a request. */
struct request_private {
	NDIS_OID_REQUEST *next;
	struct nrt_open *open;     /* who asked; NULL: the administrator */
	nrt_request_done_fn *done; /* of the administrator */
	void *ctx;
};

static_assert(sizeof(struct request_private) <= sizeof(((NDIS_OID_REQUEST *)0)->NdisReserved),
	      "NdisReserved");

/* NdisReserved is bytes at an offset that is a multiple of 8. */
static struct request_private *private_of(NDIS_OID_REQUEST *request)
{
	return (struct request_private *)(void *)request->NdisReserved;
}

static bool is_query(const NDIS_OID_REQUEST *request)
{
	return request->RequestType == NdisRequestQueryInformation ||
	       request->RequestType == NdisRequestQueryStatistics;
}

static bool is_set(const NDIS_OID_REQUEST *request)
{
	return request->RequestType == NdisRequestSetInformation;
}

/* Query, set and method have Oid at the same place. */
static NDIS_OID oid_of(const NDIS_OID_REQUEST *request)
{
	return request->DATA.QUERY_INFORMATION.Oid;
}

/* ---- Answered by NDIS ------------------------------------------------------------------------ */

static NDIS_STATUS answer(NDIS_OID_REQUEST *request, const void *data, UINT bytes)
{
	struct _QUERY *query = &request->DATA.QUERY_INFORMATION;

	query->BytesWritten = 0;
	query->BytesNeeded = bytes;
	if (query->InformationBufferLength < bytes)
		return NDIS_STATUS_BUFFER_TOO_SHORT;
	memcpy(query->InformationBuffer, data, bytes);
	query->BytesWritten = bytes;
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS answer_offload(const struct nrt_adapter *adapter, NDIS_OID_REQUEST *request,
				  bool hardware)
{
	const NDIS_TCP_CONNECTION_OFFLOAD *offload = nrt_adapter_offload(adapter, hardware);

	if (!is_query(request) || !offload)
		return NDIS_STATUS_NOT_SUPPORTED;
	return answer(request, offload, offload->Header.Size);
}

/* One protocol uses the offload of an adapter; and what is set must be a parameters structure. */
static bool may_set_tcp_params(struct nrt_open *open, const NDIS_OID_REQUEST *request,
			       NDIS_STATUS *status)
{
	const struct _SET *set = &request->DATA.SET_INFORMATION;
	const NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS *params = set->InformationBuffer;

	if (!params ||
	    set->InformationBufferLength <
		    NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1 ||
	    params->Header.Size < NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_PARAMETERS_REVISION_1)
		*status = NDIS_STATUS_INVALID_LENGTH;
	else if (open && !nrt_adapter_able(open->adapter))
		*status = NDIS_STATUS_NOT_SUPPORTED;
	else if (open && !nrt_offload_claim(open))
		*status = NDIS_STATUS_FAILURE;
	else
		return true;
	return false;
}

/* Returns: whether the request ends here, with *status. */
static bool answered_here(struct nrt_adapter *adapter, struct nrt_open *open,
			  NDIS_OID_REQUEST *request, NDIS_STATUS *status)
{
	switch (oid_of(request)) {
	case OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG:
		*status = answer_offload(adapter, request, false);
		return true;
	case OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES:
		*status = answer_offload(adapter, request, true);
		return true;
	case OID_TCP_CONNECTION_OFFLOAD_PARAMETERS:
		if (is_set(request))
			return !may_set_tcp_params(open, request, status);
		*status = is_query(request) && adapter->has_tcp_params
				  ? answer(request, &adapter->tcp_params,
					   adapter->tcp_params.Header.Size)
				  : NDIS_STATUS_NOT_SUPPORTED;
		return true;
	case OID_TCP_OFFLOAD_CURRENT_CONFIG:
		*status = is_query(request) && adapter->has_task_default
				  ? answer(request, &adapter->task_default,
					   sizeof(adapter->task_default))
				  : NDIS_STATUS_NOT_SUPPORTED;
		return true;
	default:
		return false;
	}
}

/* ---- Watched going by ------------------------------------------------------------------------ */

/*
 * Members of NDIS_OFFLOAD_PARAMETERS and the keyword of each. Zero changes nothing, else the
 * keyword is one less.
 */
static const struct {
	size_t member;
	const char *keyword;
} offload_keywords[] = {
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, IPv4Checksum), "*IPChecksumOffloadIPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, TCPIPv4Checksum), "*TCPChecksumOffloadIPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, UDPIPv4Checksum), "*UDPChecksumOffloadIPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, TCPIPv6Checksum), "*TCPChecksumOffloadIPv6" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, UDPIPv6Checksum), "*UDPChecksumOffloadIPv6" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, LsoV1), "*LsoV1IPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, IPsecV1), "*IPsecOffloadV1IPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, LsoV2IPv4), "*LsoV2IPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, LsoV2IPv6), "*LsoV2IPv6" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, TcpConnectionIPv4), "*TCPConnectionOffloadIPv4" },
	{ offsetof(NDIS_OFFLOAD_PARAMETERS, TcpConnectionIPv6), "*TCPConnectionOffloadIPv6" },
};

/* No member has a larger value; what is larger the miniport will refuse. */
#define OFFLOAD_PARAMETER_MAX 4

/* The keywords change before the miniport sees the request. */
static NDIS_STATUS write_keywords(struct nrt_adapter *adapter, const NDIS_OID_REQUEST *request)
{
	const struct _SET *set = &request->DATA.SET_INFORMATION;
	const uint8_t *params = set->InformationBuffer;
	size_t i;

	if (!params || set->InformationBufferLength < NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1)
		return NDIS_STATUS_SUCCESS; /* the miniport says what is wrong */
	for (i = 0; i < sizeof(offload_keywords) / sizeof(offload_keywords[0]); i++) {
		uint8_t value = params[offload_keywords[i].member];

		if (value == NDIS_OFFLOAD_PARAMETERS_NO_CHANGE || value > OFFLOAD_PARAMETER_MAX)
			continue;
		if (nrt_config_set(adapter, offload_keywords[i].keyword, value - 1u) < 0)
			return NDIS_STATUS_RESOURCES;
	}
	return NDIS_STATUS_SUCCESS;
}

/*
 * Off means off for both versions; anything else leaves or makes the binding the user of the
 * chimney.
 */
static bool switches_off(const NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS *params)
{
	return params->Encapsulation.IPv4.Enabled == NDIS_OFFLOAD_SET_OFF &&
	       params->Encapsulation.IPv6.Enabled == NDIS_OFFLOAD_SET_OFF;
}

static void keep_tcp_params(struct nrt_adapter *adapter, struct nrt_open *open,
			    const NDIS_OID_REQUEST *request)
{
	const struct _SET *set = &request->DATA.SET_INFORMATION;
	size_t bytes = set->InformationBufferLength;

	if (bytes > sizeof(adapter->tcp_params))
		bytes = sizeof(adapter->tcp_params);
	memset(&adapter->tcp_params, 0, sizeof(adapter->tcp_params));
	memcpy(&adapter->tcp_params, set->InformationBuffer, bytes);
	if (adapter->tcp_params.Header.Size > bytes)
		adapter->tcp_params.Header.Size = (USHORT)bytes;
	adapter->has_tcp_params = true;
	if (open && adapter->offload_open == open)
		adapter->offload_enabled = !switches_off(&adapter->tcp_params);
}

static void watch_result(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	if (status == NDIS_STATUS_SUCCESS && is_set(request) &&
	    oid_of(request) == OID_TCP_CONNECTION_OFFLOAD_PARAMETERS)
		keep_tcp_params(adapter, private_of(request)->open, request);
}

/* ---- To the miniport, one at a time ---------------------------------------------------------- */

/* Returns: whether the miniport may have the request now; otherwise it waits. */
static bool enter(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request)
{
	bool free;

	nrt_lock();
	free = !adapter->request_current;
	if (free) {
		adapter->request_current = request;
	} else {
		private_of(request)->next = NULL;
		if (adapter->request_first)
			private_of(adapter->request_last)->next = request;
		else
			adapter->request_first = request;
		adapter->request_last = request;
	}
	nrt_unlock();
	return free;
}

/* The request in work is over. Returns: the one that is in work now, NULL if none waits. */
static NDIS_OID_REQUEST *leave(struct nrt_adapter *adapter)
{
	NDIS_OID_REQUEST *next;

	nrt_lock();
	next = adapter->request_first;
	if (next)
		adapter->request_first = private_of(next)->next;
	adapter->request_current = next;
	nrt_unlock();
	return next;
}

static NDIS_STATUS call_miniport(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request)
{
	NDIS_STATUS status;

	if (!adapter->driver->miniport.OidRequestHandler)
		return NDIS_STATUS_NOT_SUPPORTED;
	if (is_set(request) && oid_of(request) == OID_TCP_OFFLOAD_PARAMETERS) {
		status = write_keywords(adapter, request);
		if (status != NDIS_STATUS_SUCCESS)
			return status;
	}
	return adapter->driver->miniport.OidRequestHandler(adapter->context, request);
}

static void tell_origin(NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	struct request_private origin = *private_of(request);
	struct nrt_open *open = origin.open;

	if (!open) {
		origin.done(origin.ctx, request, status);
		return;
	}
	if (open->driver->protocol.OidRequestCompleteHandler)
		open->driver->protocol.OidRequestCompleteHandler(open->protocol_context, request,
								 status);
	open->pending_requests--;
	nrt_open_settle(open);
}

/* Give the miniport what waits, as long as it answers at once. */
static void run_queue(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request)
{
	NDIS_STATUS status;

	while (request) {
		status = call_miniport(adapter, request);
		if (status == NDIS_STATUS_PENDING)
			return;
		watch_result(adapter, request, status);
		tell_origin(request, status);
		request = leave(adapter);
	}
}

static NDIS_STATUS pass_on(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request)
{
	NDIS_STATUS status;

	if (!enter(adapter, request))
		return NDIS_STATUS_PENDING;
	status = call_miniport(adapter, request);
	if (status == NDIS_STATUS_PENDING)
		return status;
	watch_result(adapter, request, status);
	run_queue(adapter, leave(adapter));
	return status;
}

NDIS_STATUS nrt_oid_request(struct nrt_open *open, NDIS_OID_REQUEST *request)
{
	struct nrt_adapter *adapter = open->adapter;
	NDIS_STATUS status;

	if (open->closing)
		return NDIS_STATUS_CLOSING;
	*private_of(request) = (struct request_private){ .open = open };
	if (answered_here(adapter, open, request, &status))
		return status;
	open->pending_requests++;
	status = pass_on(adapter, request);
	if (status != NDIS_STATUS_PENDING)
		open->pending_requests--;
	return status;
}

void nrt_oid_complete(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	NDIS_OID_REQUEST *next;

	NRT_ASSERT_DRIVER(adapter->request_current == request);
	watch_result(adapter, request, status);
	next = leave(adapter);
	tell_origin(request, status);
	run_queue(adapter, next);
}

int nrt_request(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request, nrt_request_done_fn *done,
		void *ctx)
{
	NDIS_STATUS status;

	*private_of(request) = (struct request_private){ .done = done, .ctx = ctx };
	if (!answered_here(adapter, NULL, request, &status))
		status = pass_on(adapter, request);
	if (status != NDIS_STATUS_PENDING)
		done(ctx, request, status);
	return 0;
}

/* ---- Power ----------------------------------------------------------------------------------- */

/*
 * One change of the power state. Going to sleep: protocols first (each may pend), then the
 * miniport. Waking up: the miniport first.
 */
struct power_change {
	NDIS_OID_REQUEST request;
	NET_PNP_EVENT_NOTIFICATION notification;
	NDIS_DEVICE_POWER_STATE state;
	struct nrt_adapter *adapter;
	unsigned int waiting; /* protocols that have not answered; one more while they are asked */
	nrt_request_done_fn *done;
	void *ctx;
};

static void power_finish(struct power_change *change, NDIS_STATUS status)
{
	change->done(change->ctx, &change->request, status);
	nrt_free(change);
}

/* Ask every protocol. The caller holds one in waiting. */
static void power_ask_protocols(struct power_change *change)
{
	struct nrt_open_walk walk;
	struct nrt_open *open;
	NDIS_STATUS status;

	nrt_open_walk_begin(&walk, change->adapter);
	while ((open = nrt_open_walk_next(&walk))) {
		if (open->closing || !open->driver->protocol.NetPnPEventHandler)
			continue;
		change->waiting++;
		status = open->driver->protocol.NetPnPEventHandler(open->protocol_context,
								   &change->notification);
		if (status != NDIS_STATUS_PENDING)
			change->waiting--;
	}
	nrt_open_walk_end(&walk);
}

static void power_miniport_done(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
	struct power_change *change = ctx;

	(void)request;
	if (change->state == NdisDeviceStateD0 && status == NDIS_STATUS_SUCCESS) {
		change->waiting = 1;
		power_ask_protocols(change);
		if (--change->waiting)
			return; /* nrt_pnp_event_complete() finishes */
	}
	power_finish(change, status);
}

static void power_tell_miniport(struct power_change *change)
{
	/* Cannot fail: nothing is allocated. */
	(void)!nrt_request(change->adapter, &change->request, power_miniport_done, change);
}

static void power_protocols_done(struct power_change *change)
{
	if (change->state == NdisDeviceStateD0)
		power_finish(change, NDIS_STATUS_SUCCESS);
	else
		power_tell_miniport(change);
}

void nrt_pnp_event_complete(struct nrt_open *open, NET_PNP_EVENT_NOTIFICATION *notification,
			    NDIS_STATUS status)
{
	struct power_change *change =
		CONTAINING_RECORD(notification, struct power_change, notification);

	(void)open;
	(void)status; /* a protocol cannot veto */
	NRT_ASSERT_DRIVER(change->waiting > 0);
	if (--change->waiting == 0)
		power_protocols_done(change);
}

static void power_init(struct power_change *change)
{
	change->request.Header = (NDIS_OBJECT_HEADER){
		.Type = NDIS_OBJECT_TYPE_OID_REQUEST,
		.Revision = NDIS_OID_REQUEST_REVISION_1,
		.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1,
	};
	change->request.RequestType = NdisRequestSetInformation;
	change->request.DATA.SET_INFORMATION.Oid = OID_PNP_SET_POWER;
	change->request.DATA.SET_INFORMATION.InformationBuffer = &change->state;
	change->request.DATA.SET_INFORMATION.InformationBufferLength = sizeof(change->state);
	change->notification.Header = (NDIS_OBJECT_HEADER){
		.Type = NDIS_OBJECT_TYPE_DEFAULT,
		.Revision = NET_PNP_EVENT_NOTIFICATION_REVISION_1,
		.Size = NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1,
	};
	change->notification.NetPnPEvent.NetEvent = NetEventSetPower;
	change->notification.NetPnPEvent.Buffer = &change->state;
	change->notification.NetPnPEvent.BufferLength = sizeof(change->state);
}

int nrt_set_power(struct nrt_adapter *adapter, NDIS_DEVICE_POWER_STATE state,
		  nrt_request_done_fn *done, void *ctx)
{
	struct power_change *change = nrt_zalloc(sizeof(*change));

	if (!change)
		return -ENOMEM;
	change->state = state;
	change->adapter = adapter;
	change->done = done;
	change->ctx = ctx;
	power_init(change);
	if (state == NdisDeviceStateD0) {
		power_tell_miniport(change);
		return 0;
	}
	change->waiting = 1;
	power_ask_protocols(change);
	if (--change->waiting == 0)
		power_protocols_done(change);
	return 0;
}
