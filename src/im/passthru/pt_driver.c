/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pt_driver.c - the two edges of the driver and the lives of bindings and virtual miniports.
 *
 *     passthru_insert("tgt0", "pt0"):
 *         first time for tgt0: nrt_bind() -> bind_adapter() -> struct pt_below
 *         NdisIMInitializeDeviceInstanceEx() -> initialize() -> struct pt_virtual is ready
 *     taking apart, from either end:
 *         a virtual miniport is halted -> the last one above a binding ends the binding
 *         the adapter below goes       -> unbind_adapter() takes all virtual miniports out first,
 *                                         which may pend
 */
#include <errno.h>
#include <string.h>

#include <ndis/ndisstatus.h>

#include "im/passthru/passthru.h"
#include "im/passthru/pt_private.h"
#include "ndis/nrt.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"

struct pt_driver pt_driver;

/* ---- Protocol edge: bindings ----------------------------------------------------------------- */

static struct pt_below *find_below(const char *name)
{
	struct pt_below *below;

	for (below = pt_driver.belows; below; below = below->next)
		if (strcmp(below->name, name) == 0)
			break;
	return below;
}

static void below_free(struct pt_below *below)
{
	struct pt_below **link = &pt_driver.belows;

	while (*link && *link != below)
		link = &(*link)->next;
	if (*link)
		*link = below->next;
	pt_entries_free(below->orphans);
	nrt_free(below->name);
	nrt_free(below);
}

/* Keep what the bind parameters say; they are gone when the bind handler returns. */
static void learn(struct pt_below *below, const NDIS_BIND_PARAMETERS *params)
{
	below->general = (NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES){
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
			.Revision = NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
		},
		.MediaType = params->MediaType,
		.PhysicalMediumType = params->PhysicalMediumType,
		.MtuSize = params->MtuSize,
		.MaxXmitLinkSpeed = params->MaxXmitLinkSpeed,
		.XmitLinkSpeed = params->XmitLinkSpeed,
		.MaxRcvLinkSpeed = params->MaxRcvLinkSpeed,
		.RcvLinkSpeed = params->RcvLinkSpeed,
		.MediaConnectState = params->MediaConnectState,
		.MediaDuplexState = params->MediaDuplexState,
		.LookaheadSize = params->LookaheadSize,
		.MacOptions = params->MacOptions,
		.SupportedPacketFilters = params->SupportedPacketFilters,
		.MaxMulticastListSize = params->MaxMulticastListSize,
		.MacAddressLength = params->MacAddressLength,
		.IfType = params->IfType,
		.DataBackFillSize = params->DataBackFillSize,
		/* Room for our note in every list, so that tracking a send does not allocate. */
		.ContextBackFillSize = params->ContextBackFillSize + sizeof(struct pt_io),
	};
	memcpy(below->general.CurrentMacAddress, params->CurrentMacAddress,
	       sizeof(params->CurrentMacAddress));
	memcpy(below->general.PermanentMacAddress, params->CurrentMacAddress,
	       sizeof(params->CurrentMacAddress));
	below->has_current = params->TcpConnectionOffloadCapabilities;
	if (below->has_current)
		below->current = *params->TcpConnectionOffloadCapabilities;
	below->has_hardware = params->TcpConnectionOffloadHardwareCapabilities;
	if (below->has_hardware)
		below->hardware = *params->TcpConnectionOffloadHardwareCapabilities;
}

static NDIS_STATUS open_below(struct pt_below *below, NDIS_HANDLE bind_context, NDIS_STRING *name)
{
	NDIS_OPEN_PARAMETERS open = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
			.Revision = NDIS_OPEN_PARAMETERS_REVISION_1,
			.Size = NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1,
		},
		.AdapterName = name,
	};

	return NdisOpenAdapterEx(pt_driver.protocol, below, &open, bind_context, &below->binding);
}

/*
 * Every adapter may be offered to us, our own virtual ones among them: bind only where we were told
 * to.
 */
static NDIS_STATUS bind_adapter(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
				PNDIS_BIND_PARAMETERS params)
{
	struct pt_below *below;
	NDIS_STATUS status;

	(void)driver_context;
	if (!pt_driver.wanted || !nrt_string_is(params->AdapterName, pt_driver.wanted, false))
		return NDIS_STATUS_NOT_SUPPORTED;
	below = nrt_zalloc(sizeof(*below));
	if (!below)
		return NDIS_STATUS_RESOURCES;
	below->name = nrt_strdup(pt_driver.wanted);
	learn(below, params);
	status = below->name ? open_below(below, bind_context, params->AdapterName)
			     : NDIS_STATUS_RESOURCES;
	if (status != NDIS_STATUS_SUCCESS) {
		below_free(below);
		return status;
	}
	below->next = pt_driver.belows;
	pt_driver.belows = below;
	return NDIS_STATUS_SUCCESS;
}

static void close_complete(NDIS_HANDLE context)
{
	struct pt_below *below = context;
	NDIS_HANDLE unbind_context = below->unbind_context;

	below_free(below);
	NdisCompleteUnbindAdapterEx(unbind_context);
}

/* Returns: whether it is closed; otherwise close_complete() follows. */
static bool close_below(struct pt_below *below)
{
	if (NdisCloseAdapterEx(below->binding) == NDIS_STATUS_PENDING)
		return false;
	below_free(below);
	return true;
}

static NDIS_STATUS unbind_adapter(NDIS_HANDLE unbind_context, NDIS_HANDLE context)
{
	struct pt_below *below = context;
	struct pt_virtual *virtual;

	below->unbind_context = unbind_context;
	below->in_unbind = true;
again:
	for (virtual = below->virtuals; virtual; virtual = virtual->next) {
		if (virtual->removing)
			continue;
		virtual->removing = true;
		NdisIMDeInitializeDeviceInstance(virtual->miniport);
		goto again; /* it may be gone */
	}
	below->in_unbind = false;
	if (below->virtuals || !close_below(below))
		return NDIS_STATUS_PENDING;
	return NDIS_STATUS_SUCCESS;
}

/* ---- Miniport edge: virtual miniports -------------------------------------------------------- */

void pt_walk_begin(struct pt_walk *walk, struct pt_below *below)
{
	walk->below = below;
	walk->next = below->virtuals;
	walk->outer = below->walks;
	below->walks = walk;
}

struct pt_virtual *pt_walk_next(struct pt_walk *walk)
{
	struct pt_virtual *virtual = walk->next;

	if (virtual)
		walk->next = virtual->next;
	return virtual;
}

void pt_walk_end(struct pt_walk *walk)
{
	walk->below->walks = walk->outer;
}

static void virtual_unlink(struct pt_virtual *virtual)
{
	struct pt_virtual **link = &virtual->below->virtuals;
	struct pt_walk *walk;

	while (*link && *link != virtual)
		link = &(*link)->next;
	if (*link)
		*link = virtual->next;
	for (walk = virtual->below->walks; walk; walk = walk->outer)
		if (walk->next == virtual)
			walk->next = virtual->next;
}

/*
 * The driver above went without terminating what it had offloaded. The driver below still knows
 * those objects by handles that are in our entries: these stay, without an owner, until the binding
 * below ends.
 */
static void orphan_entries(struct pt_virtual *virtual)
{
	struct pt_entry *entry;

	while ((entry = virtual->entries)) {
		pt_entry_unlink(entry);
		entry->virtual = NULL;
		pt_entry_link(entry, &virtual->below->orphans);
	}
}

static void virtual_free(struct pt_virtual *virtual)
{
	virtual_unlink(virtual);
	orphan_entries(virtual);
	nrt_free(virtual->name);
	nrt_free(virtual);
}

static NDIS_STATUS set_attributes(struct pt_virtual *virtual)
{
	struct pt_below *below = virtual->below;
	NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES registration = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
			.Revision = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
		},
		.MiniportAdapterContext = virtual,
	};
	NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES offload = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
			.Revision = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
		},
		.DefaultTcpConnectionOffloadConfiguration =
			below->has_current ? &below->current : NULL,
		.TcpConnectionOffloadHardwareCapabilities =
			below->has_hardware ? &below->hardware : NULL,
	};
	NDIS_STATUS status;

	status = NdisMSetMiniportAttributes(
		virtual->miniport, (PNDIS_MINIPORT_ADAPTER_ATTRIBUTES)(void *)&registration);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	status = NdisMSetMiniportAttributes(
		virtual->miniport, (PNDIS_MINIPORT_ADAPTER_ATTRIBUTES)(void *)&below->general);
	if (status != NDIS_STATUS_SUCCESS)
		return status;
	return NdisMSetMiniportAttributes(virtual->miniport,
					  (PNDIS_MINIPORT_ADAPTER_ATTRIBUTES)(void *)&offload);
}

/*
 * The table may grow in later revisions: look at its header before taking it for what we know, then
 * copy it.
 */
static NDIS_STATUS get_event_handlers(struct pt_virtual *virtual)
{
	PNDIS_OFFLOAD_EVENT_HANDLERS table;
	NDIS_STATUS status =
		NdisMGetOffloadHandlers(virtual->miniport, NdisTcpChimneyOffload, &table);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	if (table->Header.Type != NdisTcpChimneyOffload ||
	    table->Header.Revision != NDIS_OBJECT_TCP_OFFLOAD_REVISION_1 ||
	    table->Header.Size < sizeof(virtual->events))
		return NDIS_STATUS_UNSUPPORTED_REVISION;
	memcpy(&virtual->events, table, sizeof(virtual->events));
	return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS initialize(NDIS_HANDLE miniport, NDIS_HANDLE driver_context,
			      PNDIS_MINIPORT_INIT_PARAMETERS params)
{
	struct pt_virtual *virtual = params->IMDeviceInstanceContext;
	NDIS_STATUS status;

	(void)driver_context;
	virtual->miniport = miniport;
	status = set_attributes(virtual);
	return status == NDIS_STATUS_SUCCESS ? get_event_handlers(virtual) : status;
}

/*
 * The last virtual miniport ends the binding, unless the binding is what ends the virtual miniport.
 */
static void halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	struct pt_virtual *virtual = context;
	struct pt_below *below = virtual->below;
	NDIS_HANDLE unbind_context = below->unbind_context;

	(void)action;
	virtual_free(virtual);
	if (below->virtuals || below->in_unbind)
		return;
	if (!unbind_context)
		nrt_unbind(pt_driver.protocol, below->name);
	else if (close_below(below))
		NdisCompleteUnbindAdapterEx(unbind_context);
}

static NDIS_STATUS pause(NDIS_HANDLE context, PNDIS_MINIPORT_PAUSE_PARAMETERS params)
{
	struct pt_virtual *virtual = context;

	(void)params;
	virtual->pausing = virtual->outstanding > 0;
	return virtual->pausing ? NDIS_STATUS_PENDING : NDIS_STATUS_SUCCESS;
}

void pt_list_done(struct pt_virtual *virtual)
{
	if (!virtual->pausing || virtual->outstanding)
		return;
	virtual->pausing = false;
	NdisMPauseComplete(virtual->miniport);
}

static NDIS_STATUS restart(NDIS_HANDLE context, PNDIS_MINIPORT_RESTART_PARAMETERS params)
{
	(void)context;
	(void)params;
	return NDIS_STATUS_SUCCESS;
}

/* ---- Registration ---------------------------------------------------------------------------- */

/* Each edge registers its two sets of chimney functions in its SetOptions callback. */
static NDIS_STATUS set_options(NDIS_HANDLE handle, const NDIS_OBJECT_HEADER *generic,
			       const NDIS_OBJECT_HEADER *tcp)
{
	NDIS_STATUS status =
		NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)(uintptr_t)generic);

	if (status != NDIS_STATUS_SUCCESS)
		return status;
	return NdisSetOptionalHandlers(handle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)(uintptr_t)tcp);
}

static NDIS_STATUS miniport_set_options(NDIS_HANDLE handle, NDIS_HANDLE context)
{
	(void)context;
	return set_options(handle, &pt_provider_generic.Header, &pt_provider_tcp.Header);
}

static NDIS_STATUS protocol_set_options(NDIS_HANDLE handle, NDIS_HANDLE context)
{
	(void)context;
	return set_options(handle, &pt_client_generic.Header, &pt_client_tcp.Header);
}

static NDIS_STATUS register_miniport(void)
{
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS miniport = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
			.Revision = NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
		},
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Flags = NDIS_INTERMEDIATE_DRIVER,
		.SetOptionsHandler = miniport_set_options,
		.InitializeHandlerEx = initialize,
		.HaltHandlerEx = halt,
		.PauseHandler = pause,
		.RestartHandler = restart,
		.OidRequestHandler = pt_oid_request,
		.SendNetBufferListsHandler = pt_send,
		.ReturnNetBufferListsHandler = pt_return,
		.CancelSendHandler = pt_cancel_send,
	};

	return NdisMRegisterMiniportDriver(NULL, NULL, &pt_driver, &miniport, &pt_driver.miniport);
}

static NDIS_STATUS register_protocol(void)
{
	static WCHAR name[] = { 'p', 'a', 's', 's', 't', 'h', 'r', 'u', 0 };
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS protocol = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
			.Revision = NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
			.Size = NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
		},
		.MajorNdisVersion = 6,
		.MinorNdisVersion = 30,
		.Name = nrt_string_of(name),
		.SetOptionsHandler = protocol_set_options,
		.BindAdapterHandlerEx = bind_adapter,
		.UnbindAdapterHandlerEx = unbind_adapter,
		.CloseAdapterCompleteHandlerEx = close_complete,
		.NetPnPEventHandler = pt_pnp_event,
		.OidRequestCompleteHandler = pt_oid_request_complete,
		.StatusHandlerEx = pt_status,
		.ReceiveNetBufferListsHandler = pt_receive,
		.SendNetBufferListsCompleteHandler = pt_send_complete,
	};

	return NdisRegisterProtocolDriver(&pt_driver, &protocol, &pt_driver.protocol);
}

int passthru_driver_register(void)
{
	NDIS_STATUS status;

	if (pt_driver.miniport)
		return -EALREADY;
	status = register_miniport();
	if (status != NDIS_STATUS_SUCCESS)
		goto fail;
	status = register_protocol();
	if (status != NDIS_STATUS_SUCCESS)
		goto fail_miniport;
	NdisIMAssociateMiniport(pt_driver.miniport, pt_driver.protocol);
	return 0;
fail_miniport:
	NdisMDeregisterMiniportDriver(pt_driver.miniport);
fail:
	memset(&pt_driver, 0, sizeof(pt_driver));
	return nrt_errno_from_status(status);
}

void passthru_driver_deregister(void)
{
	NdisDeregisterProtocolDriver(pt_driver.protocol);
	NdisMDeregisterMiniportDriver(pt_driver.miniport);
	memset(&pt_driver, 0, sizeof(pt_driver));
}

/* ---- Inserting and removing ------------------------------------------------------------------ */

static int bind_below(const char *name)
{
	int err;

	pt_driver.wanted = name;
	err = nrt_bind(pt_driver.protocol, name);
	pt_driver.wanted = NULL;
	return err;
}

static int make_virtual(struct pt_below *below, const char *name)
{
	struct pt_virtual *virtual = nrt_zalloc(sizeof(*virtual));
	NDIS_STATUS status = NDIS_STATUS_RESOURCES;
	NDIS_STRING instance;
	WCHAR *wide;

	if (!virtual)
		return -ENOMEM;
	wide = nrt_wide(name);
	virtual->below = below;
	virtual->name = nrt_strdup(name);
	virtual->next = below->virtuals;
	below->virtuals = virtual;
	if (wide && virtual->name) {
		instance = nrt_string_of(wide);
		status = NdisIMInitializeDeviceInstanceEx(pt_driver.miniport, &instance, virtual);
	}
	nrt_free(wide);
	if (status == NDIS_STATUS_SUCCESS)
		return 0;
	virtual_free(virtual);
	return nrt_errno_from_status(status);
}

int passthru_insert(const char *below_name, const char *name)
{
	struct pt_below *below;
	int err = 0;

	if (!pt_driver.miniport)
		return -EINVAL;
	if (nrt_adapter_find(name))
		return -EEXIST;
	if (!find_below(below_name))
		err = bind_below(below_name);
	if (err)
		return err;
	below = find_below(below_name);
	err = make_virtual(below, name);
	if (err && !below->virtuals)
		nrt_unbind(pt_driver.protocol, below_name);
	return err;
}

int passthru_remove(const char *name)
{
	struct pt_below *below;
	struct pt_virtual *virtual;

	for (below = pt_driver.belows; below; below = below->next)
		for (virtual = below->virtuals; virtual; virtual = virtual->next)
			if (virtual->name && strcmp(virtual->name, name) == 0)
				goto found;
	return -ENOENT;
found:
	virtual->removing = true;
	NdisIMDeInitializeDeviceInstance(virtual->miniport);
	return nrt_adapter_find(name) ? -EINPROGRESS : 0;
}
