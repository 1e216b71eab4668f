/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_adapter.c - miniport adapters: made, started, paused, halted; and what their miniports report
 * of themselves.
 *
 *     create -> INITIALIZING -(MiniportInitializeEx)-> PAUSED -(MiniportRestart)-> RUNNING
 *     destroy: unbind all, wait for them -> PAUSING -(MiniportPause, may pend)-> PAUSED
 *              -(MiniportHaltEx)-> HALTED, freed
 *
 * Every step of a destruction may have to wait for a driver. The next step is taken by nrt_pump()
 * from the worker's loop and never from inside the call by which a driver finished the step before:
 * that driver is still on the stack, and its adapter must not be halted and freed under its feet.
 */
#include "ndis/nrt_adapter.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <ndis/ndisstatus.h>

#include "base/log.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_binding.h"
#include "ndis/nrt_config.h"
#include "ndis/nrt_driver.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"

#define CHIMNEY_ENCAPSULATIONS                                                                     \
	(NDIS_ENCAPSULATION_IEEE_802_3 | NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED)

static struct nrt_adapter *adapters; /* under the lock */
/* Adapters that are being destroyed; written under the lock. */
static unsigned int destructions;

struct nrt_adapter *nrt_adapter_from(NDIS_HANDLE handle)
{
	struct nrt_adapter *adapter = handle;

	if (adapter && adapter->magic == NRT_MAGIC_ADAPTER)
		return adapter;
	NRT_ASSERT_DRIVER(!"a miniport adapter handle");
	return NULL;
}

struct nrt_adapter *nrt_adapter_find(const char *name)
{
	struct nrt_adapter *adapter;

	nrt_lock();
	for (adapter = adapters; adapter; adapter = adapter->next)
		if (strcmp(adapter->name, name) == 0)
			break;
	nrt_unlock();
	return adapter;
}

struct nrt_adapter *nrt_adapter_newest(NDIS_HANDLE driver)
{
	struct nrt_adapter *adapter;

	nrt_lock();
	for (adapter = adapters; adapter; adapter = adapter->next)
		if (adapter->driver == driver && !adapter->destroying)
			break;
	nrt_unlock();
	return adapter;
}

void nrt_for_each_adapter(void (*fn)(struct nrt_adapter *adapter, void *ctx), void *ctx)
{
	struct nrt_adapter *adapter, *next;

	nrt_lock();
	for (adapter = adapters; adapter; adapter = next) {
		next = adapter->next;
		fn(adapter, ctx);
	}
	nrt_unlock();
}

const char *nrt_adapter_name(const struct nrt_adapter *adapter)
{
	return adapter->name;
}

void *nrt_adapter_context(const struct nrt_adapter *adapter)
{
	return adapter->context;
}

NDIS_HANDLE nrt_adapter_handle(struct nrt_adapter *adapter)
{
	return adapter;
}

void nrt_adapter_own(struct nrt_adapter *adapter)
{
	adapter->owner = nrt_worker_self();
}

/* ---- Making ---------------------------------------------------------------------------------- */

static void adapter_free(struct nrt_adapter *adapter)
{
	nrt_config_clear(adapter);
	nrt_free(adapter->name);
	nrt_free(adapter->wide_name);
	adapter->magic = NRT_MAGIC_DEAD;
	nrt_free(adapter);
}

static void adapter_unlink(struct nrt_adapter *adapter)
{
	struct nrt_adapter **link = &adapters;

	while (*link != adapter)
		link = &(*link)->next;
	*link = adapter->next;
	adapter->driver->users--;
}

static struct nrt_adapter *adapter_alloc(struct nrt_driver *driver,
					 const struct nrt_adapter_params *params)
{
	struct nrt_adapter *adapter = nrt_zalloc(sizeof(*adapter));
	size_t i;

	if (!adapter)
		return NULL;
	adapter->magic = NRT_MAGIC_ADAPTER;
	adapter->driver = driver;
	adapter->ifindex = params->ifindex;
	adapter->add_device_context = params->add_device_context;
	adapter->name = nrt_strdup(params->name);
	adapter->wide_name = nrt_wide(params->name);
	if (!adapter->name || !adapter->wide_name)
		goto fail;
	for (i = 0; i < params->keyword_count; i++)
		if (nrt_config_set(adapter, params->keywords[i].name, params->keywords[i].value) <
		    0)
			goto fail;
	return adapter;
fail:
	adapter_free(adapter);
	return NULL;
}

static NDIS_STATUS initialize(struct nrt_adapter *adapter)
{
	NDIS_MINIPORT_INIT_PARAMETERS init = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS,
			.Revision = NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1,
			.Size = NDIS_SIZEOF_MINIPORT_INIT_PARAMETERS_REVISION_1,
		},
		.IMDeviceInstanceContext = adapter->im_context,
		.MiniportAddDeviceContext = adapter->add_device_context,
		.IfIndex = adapter->ifindex,
	};
	struct nrt_driver *driver = adapter->driver;

	return driver->miniport.InitializeHandlerEx(adapter, driver->context, &init);
}

static NDIS_STATUS restart(struct nrt_adapter *adapter)
{
	NDIS_MINIPORT_RESTART_PARAMETERS params = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_DEFAULT,
			.Revision = NDIS_OBJECT_REVISION_1,
			.Size = sizeof(params),
		},
	};
	NDIS_STATUS status = NDIS_STATUS_SUCCESS;

	if (adapter->driver->miniport.RestartHandler)
		status = adapter->driver->miniport.RestartHandler(adapter->context, &params);
	if (status == NDIS_STATUS_SUCCESS)
		adapter->state = NRT_ADAPTER_RUNNING;
	return status;
}

void nrt_adapter_restart_complete(struct nrt_adapter *adapter, NDIS_STATUS status)
{
	if (status == NDIS_STATUS_SUCCESS)
		adapter->state = NRT_ADAPTER_RUNNING;
	else
		log_warn("%s: restart: %s", adapter->name, nrt_status_name(status));
}

static NDIS_STATUS start(struct nrt_adapter *adapter)
{
	NDIS_STATUS status;

	adapter->state = NRT_ADAPTER_INITIALIZING;
	adapter->owner = nrt_worker_self();
	status = initialize(adapter);
	if (status != NDIS_STATUS_SUCCESS)
		return status == NDIS_STATUS_PENDING ? NDIS_STATUS_FAILURE : status;
	adapter->state = NRT_ADAPTER_PAUSED;
	status = restart(adapter);
	if (status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_PENDING)
		return NDIS_STATUS_SUCCESS;
	adapter->driver->miniport.HaltHandlerEx(adapter->context,
						NdisHaltDeviceInitializationFailed);
	return status;
}

int nrt_adapter_make(NDIS_HANDLE handle, const struct nrt_adapter_params *params, void *im_context,
		     struct nrt_adapter **out)
{
	struct nrt_driver *driver = nrt_driver_from(handle);
	struct nrt_adapter *adapter;
	NDIS_STATUS status;
	int err = 0;

	if (!driver || driver->magic != NRT_MAGIC_MINIPORT_DRIVER || !params->name ||
	    !params->name[0])
		return -EINVAL;
	nrt_lock();
	adapter = NULL;
	if (nrt_adapter_find(params->name))
		err = -EEXIST;
	else if (!(adapter = adapter_alloc(driver, params)))
		err = -ENOMEM;
	if (err)
		goto out;
	adapter->im_context = im_context;
	nrt_driver_label_miniport(driver, adapter->name);
	adapter->next = adapters;
	adapters = adapter;
	driver->users++;
	status = start(adapter);
	if (status != NDIS_STATUS_SUCCESS) {
		err = nrt_errno_from_status(status);
		if (err == 0)
			err = -EIO;
		adapter_unlink(adapter);
		adapter_free(adapter);
		goto out;
	}
	*out = adapter;
out:
	nrt_unlock();
	return err;
}

int nrt_adapter_create(NDIS_HANDLE driver, const struct nrt_adapter_params *params,
		       struct nrt_adapter **out)
{
	return nrt_adapter_make(driver, params, NULL, out);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void halt(struct nrt_adapter *adapter)
{
	adapter->state = NRT_ADAPTER_HALTED;
	destructions--;
	adapter_unlink(adapter); /* the name is free again, and nobody finds the adapter any more */
	adapter->busy++;
	adapter->driver->miniport.HaltHandlerEx(adapter->context, NdisHaltDeviceDisabled);
	adapter_free(adapter);
}

static void pause(struct nrt_adapter *adapter)
{
	NDIS_MINIPORT_PAUSE_PARAMETERS params = {
		.Header = {
			.Type = NDIS_OBJECT_TYPE_DEFAULT,
			.Revision = NDIS_OBJECT_REVISION_1,
			.Size = sizeof(params),
		},
	};
	NDIS_STATUS status = NDIS_STATUS_SUCCESS;

	adapter->state = NRT_ADAPTER_PAUSING;
	if (adapter->driver->miniport.PauseHandler)
		status = adapter->driver->miniport.PauseHandler(adapter->context, &params);
	if (status != NDIS_STATUS_PENDING)
		adapter->state = NRT_ADAPTER_PAUSED;
}

/*
 * The next steps of a destruction, if nothing stands in their way. Returns: whether the adapter is
 * gone.
 */
static bool continue_destroy(struct nrt_adapter *adapter)
{
	if (!adapter->destroying || adapter->busy || adapter->walks)
		return false;
	adapter->busy++;
	nrt_unbind_adapter(adapter); /* those whose binding was under way before */
	adapter->busy--;
	if (adapter->binds || adapter->opens || adapter->request_current)
		return false;
	if (adapter->state == NRT_ADAPTER_RUNNING)
		pause(adapter);
	if (adapter->state != NRT_ADAPTER_PAUSED)
		return false;
	halt(adapter);
	return true;
}

unsigned int nrt_pump(void)
{
	struct nrt_adapter *adapter;
	unsigned int waiting;

	if (!__atomic_load_n(&destructions, __ATOMIC_RELAXED))
		return 0;
	nrt_lock();
again:
	waiting = 0;
	for (adapter = adapters; adapter; adapter = adapter->next) {
		if (continue_destroy(adapter))
			goto again; /* the list changed, and what is below may go now */
		waiting += adapter->destroying;
	}
	nrt_unlock();
	return waiting;
}

void nrt_adapter_pause_complete(struct nrt_adapter *adapter)
{
	NRT_ASSERT_DRIVER(adapter->state == NRT_ADAPTER_PAUSING);
	adapter->state = NRT_ADAPTER_PAUSED;
}

void nrt_adapter_hold(struct nrt_adapter *adapter)
{
	nrt_lock();
	adapter->busy++;
	nrt_unlock();
}

void nrt_adapter_let_go(struct nrt_adapter *adapter)
{
	nrt_lock();
	adapter->busy--;
	nrt_unlock();
}

int nrt_adapter_destroy(struct nrt_adapter *adapter)
{
	struct nrt_adapter *left;

	nrt_lock();
	if (!adapter->destroying)
		destructions++;
	adapter->destroying = true;
	nrt_pump();
	for (left = adapters; left && left != adapter; left = left->next)
		;
	nrt_unlock();
	return left ? -EINPROGRESS : 0;
}

/* ---- What a miniport reports ----------------------------------------------------------------- */

bool nrt_copy_connection_offload(NDIS_TCP_CONNECTION_OFFLOAD *to,
				 const NDIS_TCP_CONNECTION_OFFLOAD *from, size_t size_bytes)
{
	if (!from || size_bytes < NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1 ||
	    from->Header.Type != NDIS_OBJECT_TYPE_DEFAULT ||
	    from->Header.Size < NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1)
		return false;
	memcpy(to, from, sizeof(*to));
	to->Header.Size = NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1;
	return true;
}

static bool has_provider(const struct nrt_adapter *adapter)
{
	return adapter->driver->chimney.provider_generic && adapter->driver->chimney.provider_tcp;
}

bool nrt_adapter_able(const struct nrt_adapter *adapter)
{
	const NDIS_TCP_CONNECTION_OFFLOAD *reported;

	if (!has_provider(adapter) ||
	    !(adapter->has_offload_hardware || adapter->has_offload_current))
		return false;
	reported = adapter->has_offload_hardware ? &adapter->offload_hardware
						 : &adapter->offload_current;
	return reported->Encapsulation & CHIMNEY_ENCAPSULATIONS;
}

const NDIS_TCP_CONNECTION_OFFLOAD *nrt_adapter_offload(const struct nrt_adapter *adapter,
						       bool hardware)
{
	if (!nrt_adapter_able(adapter))
		return NULL;
	if (hardware)
		return adapter->has_offload_hardware ? &adapter->offload_hardware : NULL;
	return adapter->has_offload_current ? &adapter->offload_current : NULL;
}

static NDIS_STATUS set_offload_attributes(struct nrt_adapter *adapter,
					  const NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES *given)
{
	if (given->Header.Size < NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1)
		return NDIS_STATUS_BAD_VERSION;
	adapter->has_offload_current = nrt_copy_connection_offload(
		&adapter->offload_current, given->DefaultTcpConnectionOffloadConfiguration,
		sizeof(adapter->offload_current));
	adapter->has_offload_hardware = nrt_copy_connection_offload(
		&adapter->offload_hardware, given->TcpConnectionOffloadHardwareCapabilities,
		sizeof(adapter->offload_hardware));
	adapter->has_task_default = given->DefaultOffloadConfiguration;
	if (adapter->has_task_default)
		adapter->task_default = *given->DefaultOffloadConfiguration;
	return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS nrt_adapter_set_attributes(struct nrt_adapter *adapter, const NDIS_OBJECT_HEADER *given)
{
	const NDIS_MINIPORT_ADAPTER_ATTRIBUTES *attributes = (const void *)given;

	switch (given->Type) {
	case NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES:
		if (given->Size < NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1)
			return NDIS_STATUS_BAD_VERSION;
		adapter->context = attributes->RegistrationAttributes.MiniportAdapterContext;
		return NDIS_STATUS_SUCCESS;
	case NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES:
		if (given->Size < NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1)
			return NDIS_STATUS_BAD_VERSION;
		adapter->general = attributes->GeneralAttributes;
		return NDIS_STATUS_SUCCESS;
	case NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES:
		return set_offload_attributes(adapter, &attributes->OffloadAttributes);
	default:
		return NDIS_STATUS_NOT_SUPPORTED;
	}
}
