/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_binding.c - a protocol driver bound to an adapter.
 *
 *     nrt_bind() -> ProtocolBindAdapterEx -> NdisOpenAdapterEx -> struct nrt_open
 *     nrt_unbind() -> ProtocolUnbindAdapterEx -> NdisCloseAdapterEx
 *         -> freed, when no operation, no request and no indicated list is left
 *
 * A struct nrt_bind accompanies the binding from the first call to the last, so that the contexts
 * that a driver hands back outlive the binding itself.
 */
#include "ndis/nrt_binding.h"

#include <errno.h>
#include <string.h>

#include <ndis/ndisstatus.h>

#include "base/log.h"
#include "ndis/nrt_adapter.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_driver.h"
#include "ndis/nrt_offload.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"
#include "ndis/nrt_verify.h"

struct nrt_open *nrt_open_from(NDIS_HANDLE handle)
{
	struct nrt_open *open = handle;

	if (open && open->magic == NRT_MAGIC_OPEN)
		return open;
	NRT_ASSERT_DRIVER(!"a binding handle");
	return NULL;
}

/* ---- What a binding can do ------------------------------------------------------------------- */

static void set_client(struct nrt_open *open, const nrt_client_generic *generic,
		       const nrt_client_tcp *tcp)
{
	open->up = *tcp;
	open->up_op[NRT_OP_INITIATE] = generic->InitiateOffloadCompleteHandler;
	open->up_op[NRT_OP_TERMINATE] = generic->TerminateOffloadCompleteHandler;
	open->up_op[NRT_OP_UPDATE] = generic->UpdateOffloadCompleteHandler;
	open->up_op[NRT_OP_INVALIDATE] = generic->InvalidateOffloadCompleteHandler;
	open->up_op[NRT_OP_QUERY] = generic->QueryOffloadCompleteHandler;
	open->up_event = generic->IndicateOffloadEventHandler;
}

static void set_provider(struct nrt_open *open, const nrt_provider_generic *generic,
			 const nrt_provider_tcp *tcp)
{
	open->down = *tcp;
	open->down_op[NRT_OP_INITIATE] = generic->InitiateOffloadHandler;
	open->down_op[NRT_OP_TERMINATE] = generic->TerminateOffloadHandler;
	open->down_op[NRT_OP_UPDATE] = generic->UpdateOffloadHandler;
	open->down_op[NRT_OP_INVALIDATE] = generic->InvalidateOffloadHandler;
	open->down_op[NRT_OP_QUERY] = generic->QueryOffloadHandler;
}

void nrt_open_update(struct nrt_open *open)
{
	const struct nrt_chimney *own = &open->chimney, *protocol = &open->driver->chimney;
	const struct nrt_chimney *miniport = &open->adapter->driver->chimney;
	const nrt_client_generic *generic =
		own->client_generic ? own->client_generic : protocol->client_generic;
	const nrt_client_tcp *tcp = own->client_tcp ? own->client_tcp : protocol->client_tcp;

	if (generic && tcp)
		set_client(open, generic, tcp);
	if (miniport->provider_generic && miniport->provider_tcp)
		set_provider(open, miniport->provider_generic, miniport->provider_tcp);
	/*
	 * One end without chimney functions is enough to block it, whatever capabilities are passed
	 * up.
	 */
	open->can_offload = generic && tcp && miniport->provider_generic && miniport->provider_tcp;
}

/* ---- Binding --------------------------------------------------------------------------------- */

static void fill_bind_parameters(struct nrt_adapter *adapter, NDIS_STRING *name,
				 NDIS_BIND_PARAMETERS *params)
{
	const NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES *general = &adapter->general;

	*name = nrt_string_of(adapter->wide_name);
	*params = (NDIS_BIND_PARAMETERS){
		.Header = {
			.Type = NDIS_OBJECT_TYPE_BIND_PARAMETERS,
			.Revision = NDIS_BIND_PARAMETERS_REVISION_1,
			.Size = NDIS_SIZEOF_BIND_PARAMETERS_REVISION_1,
		},
		.AdapterName = name,
		.BoundAdapterName = name,
		.MediaType = general->MediaType,
		.MtuSize = general->MtuSize,
		.MaxXmitLinkSpeed = general->MaxXmitLinkSpeed,
		.XmitLinkSpeed = general->XmitLinkSpeed,
		.MaxRcvLinkSpeed = general->MaxRcvLinkSpeed,
		.RcvLinkSpeed = general->RcvLinkSpeed,
		.MediaConnectState = general->MediaConnectState,
		.MediaDuplexState = general->MediaDuplexState,
		.LookaheadSize = general->LookaheadSize,
		.SupportedPacketFilters = general->SupportedPacketFilters,
		.MaxMulticastListSize = general->MaxMulticastListSize,
		.MacAddressLength = general->MacAddressLength,
		.PhysicalMediumType = general->PhysicalMediumType,
		.BoundIfIndex = adapter->ifindex,
		.LowestIfIndex = adapter->ifindex,
		.IfType = general->IfType,
		.IfConnectorPresent = general->IfConnectorPresent,
		.DataBackFillSize = general->DataBackFillSize,
		.ContextBackFillSize = general->ContextBackFillSize,
		.MacOptions = general->MacOptions,
		.DefaultOffloadConfiguration =
			adapter->has_task_default ? &adapter->task_default : NULL,
		.TcpConnectionOffloadCapabilities =
			(NDIS_TCP_CONNECTION_OFFLOAD *)nrt_adapter_offload(adapter, false),
		.TcpConnectionOffloadHardwareCapabilities =
			(NDIS_TCP_CONNECTION_OFFLOAD *)nrt_adapter_offload(adapter, true),
	};
	memcpy(params->CurrentMacAddress, general->CurrentMacAddress,
	       sizeof(params->CurrentMacAddress));
}

static struct nrt_bind *find_bind(const struct nrt_adapter *adapter,
				  const struct nrt_driver *driver)
{
	struct nrt_bind *bind;

	for (bind = adapter->binds; bind; bind = bind->next)
		if (bind->driver == driver)
			return bind;
	return NULL;
}

static void bind_free(struct nrt_bind *bind)
{
	struct nrt_bind **link = &bind->adapter->binds;

	while (*link != bind)
		link = &(*link)->next;
	*link = bind->next;
	bind->magic = NRT_MAGIC_DEAD;
	nrt_free(bind);
}

/* The bind handler's last word. Returns: 0 or the errno of the status. */
static int bind_result(struct nrt_bind *bind, NDIS_STATUS status)
{
	int err = nrt_errno_from_status(status);

	if (status == NDIS_STATUS_SUCCESS && bind->open)
		return 0;
	if (bind->open) {
		log_warn("%s: bind failed with an open binding left", bind->adapter->name);
		nrt_close_adapter(bind->open);
	} else {
		bind_free(bind);
	}
	return err ? err : -EIO; /* success without NdisOpenAdapterEx() is no binding */
}

static int bind_adapter(struct nrt_driver *driver, struct nrt_adapter *adapter)
{
	NDIS_BIND_PARAMETERS params;
	struct nrt_bind *bind;
	NDIS_STRING name;
	NDIS_STATUS status;

	if (adapter->destroying)
		return -ENOENT;
	if (find_bind(adapter, driver))
		return -EALREADY;
	bind = nrt_zalloc(sizeof(*bind));
	if (!bind)
		return -ENOMEM;
	bind->magic = NRT_MAGIC_BIND;
	bind->driver = driver;
	bind->adapter = adapter;
	bind->next = adapter->binds;
	adapter->binds = bind;
	fill_bind_parameters(adapter, &name, &params);
	status = driver->protocol.BindAdapterHandlerEx(driver->context, bind, &params);
	return status == NDIS_STATUS_PENDING ? -EINPROGRESS : bind_result(bind, status);
}

int nrt_bind(NDIS_HANDLE protocol_driver, const char *adapter_name)
{
	struct nrt_driver *driver = nrt_driver_from(protocol_driver);
	struct nrt_adapter *adapter;
	int err;

	if (!driver || driver->magic != NRT_MAGIC_PROTOCOL_DRIVER)
		return -EINVAL;
	nrt_lock();
	adapter = nrt_adapter_find(adapter_name);
	err = adapter ? bind_adapter(driver, adapter) : -ENOENT;
	nrt_unlock();
	return err;
}

static unsigned int offer(struct nrt_driver *driver, void *ctx)
{
	int err = bind_adapter(driver, ctx);

	return err == 0 || err == -EINPROGRESS;
}

unsigned int nrt_adapter_announce(struct nrt_adapter *adapter)
{
	return nrt_for_each_protocol(offer, adapter);
}

void nrt_bind_complete(NDIS_HANDLE bind_context, NDIS_STATUS status)
{
	struct nrt_bind *bind = bind_context;

	NRT_ASSERT_DRIVER(bind && bind->magic == NRT_MAGIC_BIND);
	nrt_lock();
	bind_result(bind, status);
	nrt_unlock();
}

NDIS_STATUS nrt_open_adapter(NDIS_HANDLE driver_handle, NDIS_HANDLE protocol_context,
			     const NDIS_OPEN_PARAMETERS *params, NDIS_HANDLE bind_context,
			     NDIS_HANDLE *out)
{
	struct nrt_bind *bind = bind_context;
	struct nrt_open *open;

	NRT_ASSERT_DRIVER(bind && bind->magic == NRT_MAGIC_BIND && bind->driver == driver_handle &&
			  !bind->open);
	if (!bind || bind->magic != NRT_MAGIC_BIND || bind->driver != driver_handle || bind->open)
		return NDIS_STATUS_INVALID_PARAMETER;
	if (!params->AdapterName || !nrt_string_is(params->AdapterName, bind->adapter->name, false))
		return NDIS_STATUS_ADAPTER_NOT_FOUND;
	open = nrt_zalloc(sizeof(*open));
	if (!open)
		return NDIS_STATUS_RESOURCES;
	open->magic = NRT_MAGIC_OPEN;
	open->miniport_context = bind->adapter->context;
	open->protocol_context = protocol_context;
	open->adapter = bind->adapter;
	open->driver = bind->driver;
	open->bind = bind;
	nrt_open_update(open);
	nrt_lock();
	bind->open = open;
	open->next = open->adapter->opens;
	open->adapter->opens = open;
	open->driver->users++;
	nrt_unlock();
	*out = open;
	return NDIS_STATUS_SUCCESS;
}

/* ---- Unbinding ------------------------------------------------------------------------------- */

void nrt_open_walk_begin(struct nrt_open_walk *walk, struct nrt_adapter *adapter)
{
	walk->adapter = adapter;
	walk->next = adapter->opens;
	walk->outer = adapter->walks;
	adapter->walks = walk;
}

void nrt_open_walk_end(struct nrt_open_walk *walk)
{
	walk->adapter->walks = walk->outer;
}

static void open_unlink(struct nrt_open *open)
{
	struct nrt_open **link = &open->adapter->opens;
	struct nrt_open_walk *walk;

	while (*link != open)
		link = &(*link)->next;
	*link = open->next;
	for (walk = open->adapter->walks; walk; walk = walk->outer)
		if (walk->next == open)
			walk->next = open->next;
}

static void open_free(struct nrt_open *open)
{
	struct nrt_bind *bind = open->bind;

	nrt_lock();
	open_unlink(open);
	nrt_offload_release(open);
	open->driver->users--;
	bind->open = NULL;
	if (!bind->unbinding)
		bind_free(bind); /* the protocol closed of its own accord */
	nrt_unlock();
	nrt_chimney_clear(&open->chimney);
	nrt_verify_forget(open);
	open->magic = NRT_MAGIC_DEAD;
	nrt_free(open);
}

static bool in_use(const struct nrt_open *open)
{
	return open->pending_ops || open->pending_requests || open->indicated;
}

NDIS_STATUS nrt_close_adapter(struct nrt_open *open)
{
	NRT_ASSERT_DRIVER(!open->closing);
	nrt_ledger_close(open);
	open->closing = true;
	if (in_use(open))
		return NDIS_STATUS_PENDING;
	open_free(open);
	return NDIS_STATUS_SUCCESS;
}

void nrt_open_settle(struct nrt_open *open)
{
	CLOSE_ADAPTER_COMPLETE_HANDLER_EX complete =
		open->driver->protocol.CloseAdapterCompleteHandlerEx;
	NDIS_HANDLE context = open->protocol_context;

	if (!open->closing || in_use(open))
		return;
	open_free(open);
	if (complete)
		complete(context);
}

static int unbind(struct nrt_bind *bind)
{
	struct nrt_driver *driver = bind->driver;
	NDIS_STATUS status;

	if (!bind->open || bind->unbinding)
		return -EINPROGRESS;
	bind->unbinding = true;
	status = driver->protocol.UnbindAdapterHandlerEx(bind, bind->open->protocol_context);
	if (status == NDIS_STATUS_PENDING)
		return -EINPROGRESS;
	nrt_unbind_complete(bind);
	return 0;
}

void nrt_unbind_complete(NDIS_HANDLE unbind_context)
{
	struct nrt_bind *bind = unbind_context;

	NRT_ASSERT_DRIVER(bind && bind->magic == NRT_MAGIC_BIND && bind->unbinding);
	/* A protocol closes the adapter before it says that it is unbound. */
	NRT_ASSERT_DRIVER(!bind->open);
	nrt_lock();
	bind_free(bind);
	nrt_unlock();
}

int nrt_unbind(NDIS_HANDLE protocol_driver, const char *adapter_name)
{
	struct nrt_driver *driver = nrt_driver_from(protocol_driver);
	struct nrt_adapter *adapter;
	struct nrt_bind *bind = NULL;
	int err = -ENOENT;

	if (!driver)
		return -EINVAL;
	nrt_lock();
	adapter = nrt_adapter_find(adapter_name);
	if (adapter)
		bind = find_bind(adapter, driver);
	if (bind) {
		nrt_adapter_hold(adapter);
		err = unbind(bind);
		nrt_adapter_let_go(adapter);
	}
	nrt_unlock();
	return err;
}

void nrt_unbind_adapter(struct nrt_adapter *adapter)
{
	struct nrt_bind *bind;

again:
	for (bind = adapter->binds; bind; bind = bind->next) {
		if (bind->unbinding || !bind->open)
			continue;
		unbind(bind);
		goto again; /* the handler may have changed the list */
	}
}

static void unbind_driver(struct nrt_adapter *adapter, void *ctx)
{
	struct nrt_bind *bind = find_bind(adapter, ctx);

	if (bind)
		unbind(bind);
}

void nrt_unbind_all(struct nrt_driver *protocol)
{
	nrt_for_each_adapter(unbind_driver, protocol);
}
