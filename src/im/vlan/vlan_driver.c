/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_driver.c - the two edges of the driver and the lives of bindings and virtual adapters.
 *
 *     vlan_insert("vlan100", "tgt0", 100, 3):
 *         first time for tgt0: nrt_bind() -> bind_adapter() -> struct vlan_lower
 *         im_make_instance() -> initialize() -> the virtual adapter is ready
 *     taking apart, from either end:
 *         a virtual adapter is halted -> the last one above a binding ends the binding
 *         the adapter below goes      -> unbind_adapter() takes all virtual adapters out first
 */
#include <errno.h>
#include <string.h>

#include "im/vlan/vlan_private.h"
#include "ndis/nrt.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_string.h"

static struct vlan_lower *lowers;
/* The adapter that vlan_insert() is binding to; offers of others are declined. */
static const char *wanted;

/* ---- Protocol edge: bindings ---- */

static struct vlan_lower *find_lower(const char *name)
{
	struct vlan_lower *lower;

	for (lower = lowers; lower; lower = lower->next)
		if (strcmp(lower->name, name) == 0)
			break;
	return lower;
}

static void lower_free(struct vlan_lower *lower)
{
	struct vlan_lower **link = &lowers;

	while (*link && *link != lower)
		link = &(*link)->next;
	if (*link)
		*link = lower->next;
	vlan_receive_destroy(lower);
	nrt_free(lower->name);
	nrt_free(lower);
}

static NDIS_STATUS bind_adapter(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
				PNDIS_BIND_PARAMETERS params)
{
	NDIS_STATUS status = NDIS_STATUS_RESOURCES;
	struct vlan_lower *lower;

	(void)driver_context;
	if (!wanted || !nrt_string_is(params->AdapterName, wanted, false))
		return NDIS_STATUS_NOT_SUPPORTED;
	lower = nrt_zalloc(sizeof(*lower));
	if (!lower)
		return status;
	lower->name = nrt_strdup(wanted);
	im_facts_learn(&lower->facts, params);
	/* Room for our note in every list, so that it needs no allocation. */
	lower->facts.general.ContextBackFillSize += (ULONG)sizeof(struct vlan_note);
	if (lower->name && vlan_receive_create(lower) == 0)
		status = im_open_below(vlan_driver.protocol_handle, lower, bind_context,
				       params->AdapterName, &lower->binding);
	if (status != NDIS_STATUS_SUCCESS) {
		lower_free(lower);
		return status;
	}
	lower->next = lowers;
	lowers = lower;
	return NDIS_STATUS_SUCCESS;
}

static void close_complete(NDIS_HANDLE context)
{
	struct vlan_lower *lower = context;
	NDIS_HANDLE unbind_context = lower->unbind_context;

	lower_free(lower);
	NdisCompleteUnbindAdapterEx(unbind_context);
}

/* Returns: whether it is closed; otherwise close_complete() follows. */
static bool close_lower(struct vlan_lower *lower)
{
	if (lower->power_event)
		NdisCompleteNetPnPEvent(lower->binding, lower->power_event, NDIS_STATUS_SUCCESS);
	lower->power_event = NULL;
	if (NdisCloseAdapterEx(lower->binding) == NDIS_STATUS_PENDING)
		return false;
	lower_free(lower);
	return true;
}

static NDIS_STATUS unbind_adapter(NDIS_HANDLE unbind_context, NDIS_HANDLE context)
{
	struct vlan_lower *lower = context;
	struct vlan_adapter *adapter;

	lower->unbind_context = unbind_context;
	lower->in_unbind = true;
again:
	for (adapter = lower->adapters; adapter; adapter = adapter->next) {
		if (adapter->removing)
			continue;
		adapter->removing = true;
		NdisIMDeInitializeDeviceInstance(adapter->miniport);
		goto again; /* it may be gone */
	}
	lower->in_unbind = false;
	if (lower->adapters || !close_lower(lower))
		return NDIS_STATUS_PENDING;
	return NDIS_STATUS_SUCCESS;
}

/* ---- Miniport edge: virtual adapters ---- */

static void adapter_free(struct vlan_adapter *adapter)
{
	struct vlan_adapter **link = &adapter->lower->adapters;

	while (*link && *link != adapter)
		link = &(*link)->next;
	if (*link)
		*link = adapter->next;
	vlan_entries_free(adapter);
	nrt_free(adapter->name);
	nrt_free(adapter);
}

static NDIS_STATUS initialize(NDIS_HANDLE miniport, NDIS_HANDLE driver_context,
			      PNDIS_MINIPORT_INIT_PARAMETERS params)
{
	struct vlan_adapter *adapter = params->IMDeviceInstanceContext;
	NDIS_STATUS status;

	(void)driver_context;
	adapter->miniport = miniport;
	status = im_report(miniport, adapter, &adapter->lower->facts);
	return status == NDIS_STATUS_SUCCESS ? im_event_handlers(miniport, &adapter->events)
					     : status;
}

/* The last virtual adapter ends the binding, unless the binding is what ends the virtual
 * adapter. */
static void halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	struct vlan_adapter *adapter = context;
	struct vlan_lower *lower = adapter->lower;
	NDIS_HANDLE unbind_context = lower->unbind_context;

	(void)action;
	adapter_free(adapter);
	if (lower->adapters || lower->in_unbind)
		return;
	if (!unbind_context)
		nrt_unbind(vlan_driver.protocol_handle, lower->name);
	else if (close_lower(lower))
		NdisCompleteUnbindAdapterEx(unbind_context);
}

static NDIS_STATUS pause(NDIS_HANDLE context, PNDIS_MINIPORT_PAUSE_PARAMETERS params)
{
	struct vlan_adapter *adapter = context;

	(void)params;
	adapter->pausing = adapter->outstanding > 0;
	return adapter->pausing ? NDIS_STATUS_PENDING : NDIS_STATUS_SUCCESS;
}

void vlan_list_done(struct vlan_adapter *adapter)
{
	if (!adapter->pausing || adapter->outstanding)
		return;
	adapter->pausing = false;
	NdisMPauseComplete(adapter->miniport);
}

void vlan_emptied(struct vlan_lower *lower)
{
	NET_PNP_EVENT_NOTIFICATION *power = lower->power_event;
	const struct vlan_adapter *adapter;

	for (adapter = lower->adapters; adapter; adapter = adapter->next)
		if (adapter->objects)
			return;
	lower->power_event = NULL;
	if (power)
		NdisCompleteNetPnPEvent(lower->binding, power, NDIS_STATUS_SUCCESS);
}

static NDIS_STATUS restart(NDIS_HANDLE context, PNDIS_MINIPORT_RESTART_PARAMETERS params)
{
	(void)context;
	(void)params;
	return NDIS_STATUS_SUCCESS;
}

/* ---- Registration ---- */

struct im_driver vlan_driver = {
	.miniport = {
		.InitializeHandlerEx = initialize,
		.HaltHandlerEx = halt,
		.PauseHandler = pause,
		.RestartHandler = restart,
		.OidRequestHandler = vlan_oid_request,
		.SendNetBufferListsHandler = vlan_send,
		.ReturnNetBufferListsHandler = vlan_return,
		.CancelSendHandler = vlan_cancel_send,
	},
	.protocol = {
		.BindAdapterHandlerEx = bind_adapter,
		.UnbindAdapterHandlerEx = unbind_adapter,
		.CloseAdapterCompleteHandlerEx = close_complete,
		.NetPnPEventHandler = vlan_pnp_event,
		.OidRequestCompleteHandler = vlan_oid_request_complete,
		.StatusHandlerEx = vlan_status,
		.ReceiveNetBufferListsHandler = vlan_receive,
		.SendNetBufferListsCompleteHandler = vlan_send_complete,
	},
	.provider_generic = &vlan_provider_generic,
	.provider_tcp = &vlan_provider_tcp,
	.client_generic = &vlan_client_generic,
	.client_tcp = &vlan_client_tcp,
};

int vlan_driver_register(void)
{
	return im_register(&vlan_driver, "vlan");
}

void vlan_driver_deregister(void)
{
	im_deregister(&vlan_driver);
}

/* ---- Inserting and removing ---- */

static int bind_lower(const char *name)
{
	int err;

	wanted = name;
	err = nrt_bind(vlan_driver.protocol_handle, name);
	wanted = NULL;
	return err;
}

static int make_adapter(struct vlan_lower *lower, const char *name, uint16_t id, uint8_t priority)
{
	struct vlan_adapter *adapter = nrt_zalloc(sizeof(*adapter));
	int err = -ENOMEM;

	if (!adapter)
		return err;
	adapter->lower = lower;
	adapter->id = id;
	adapter->priority = priority;
	adapter->name = nrt_strdup(name);
	adapter->next = lower->adapters;
	lower->adapters = adapter;
	if (adapter->name)
		err = im_make_instance(vlan_driver.miniport_handle, name, adapter);
	if (err)
		adapter_free(adapter);
	return err;
}

static bool id_in_use(const struct vlan_lower *lower, uint16_t id)
{
	const struct vlan_adapter *adapter = lower ? lower->adapters : NULL;

	for (; adapter; adapter = adapter->next)
		if (adapter->id == id)
			return true;
	return false;
}

int vlan_insert(const char *name, const char *lower_name, uint16_t id, uint8_t priority)
{
	struct vlan_lower *lower = find_lower(lower_name);
	int err = 0;

	if (!vlan_driver.miniport_handle || id > VLAN_ID_MAX || priority > VLAN_PRIORITY_MAX)
		return -EINVAL;
	if (nrt_adapter_find(name) || id_in_use(lower, id))
		return -EEXIST;
	if (!lower)
		err = bind_lower(lower_name);
	if (err)
		return err;
	lower = find_lower(lower_name);
	err = make_adapter(lower, name, id, priority);
	if (err && !lower->adapters)
		nrt_unbind(vlan_driver.protocol_handle, lower_name);
	return err;
}

static struct vlan_adapter *find_adapter(const char *name)
{
	struct vlan_lower *lower;
	struct vlan_adapter *adapter;

	for (lower = lowers; lower; lower = lower->next)
		for (adapter = lower->adapters; adapter; adapter = adapter->next)
			if (adapter->name && strcmp(adapter->name, name) == 0)
				return adapter;
	return NULL;
}

int vlan_remove(const char *name)
{
	struct vlan_adapter *adapter = find_adapter(name);

	if (!adapter)
		return -ENOENT;
	adapter->removing = true;
	NdisIMDeInitializeDeviceInstance(adapter->miniport);
	return nrt_adapter_find(name) ? -EINPROGRESS : 0;
}

int vlan_info(const char *name, struct vlan_info *info)
{
	const struct vlan_adapter *adapter = find_adapter(name);

	if (!adapter)
		return -ENOENT;
	*info = (struct vlan_info){
		.id = adapter->id,
		.priority = adapter->priority,
		.objects = adapter->objects,
		.refused = adapter->refused,
		.unmatched = adapter->lower->unmatched,
		.unheld = adapter->unheld,
	};
	return 0;
}
