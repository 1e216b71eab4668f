/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_im.c - virtual miniports of intermediate drivers: adapters of the driver's miniport edge,
 * made by the driver itself. They are initialised before the call returns.
 */
#include <string.h>

#include <ndis/ndis.h>

#include "ndis/nrt_adapter.h"
#include "ndis/nrt_driver.h"
#include "ndis/nrt_status.h"

#define INSTANCE_NAME_MAX 255 /* characters */

static bool narrow_name(const NDIS_STRING *wide, char name[INSTANCE_NAME_MAX + 1])
{
	size_t length = wide->Length / sizeof(WCHAR), i;

	if (length > INSTANCE_NAME_MAX)
		return false;
	for (i = 0; i < length; i++) {
		if (wide->Buffer[i] > 127)
			return false;
		name[i] = (char)wide->Buffer[i];
	}
	name[length] = '\0';
	return length > 0;
}

VOID NdisIMAssociateMiniport(NDIS_HANDLE DriverHandle, NDIS_HANDLE ProtocolHandle)
{
	nrt_driver_associate(nrt_driver_from(DriverHandle), nrt_driver_from(ProtocolHandle));
}

NDIS_STATUS NdisIMInitializeDeviceInstanceEx(NDIS_HANDLE DriverHandle, PNDIS_STRING DriverInstance,
					     NDIS_HANDLE DeviceContext)
{
	char name[INSTANCE_NAME_MAX + 1];
	struct nrt_adapter_params params = { .name = name };
	struct nrt_adapter *adapter;

	if (!narrow_name(DriverInstance, name))
		return NDIS_STATUS_INVALID_PARAMETER;
	return nrt_status_from_errno(
		nrt_adapter_make(DriverHandle, &params, DeviceContext, &adapter));
}

NDIS_STATUS NdisIMCancelInitializeDeviceInstance(NDIS_HANDLE DriverHandle,
						 PNDIS_STRING DeviceInstance)
{
	(void)DriverHandle;
	(void)DeviceInstance;
	/* An instance is initialised, or does not exist: there is no time in between. */
	return NDIS_STATUS_FAILURE;
}

NDIS_STATUS NdisIMDeInitializeDeviceInstance(NDIS_HANDLE NdisMiniportHandle)
{
	struct nrt_adapter *adapter = nrt_adapter_from(NdisMiniportHandle);

	if (!adapter)
		return NDIS_STATUS_FAILURE;
	/* May have to wait for the protocols above: MiniportHaltEx tells the end. */
	nrt_adapter_destroy(adapter);
	return NDIS_STATUS_SUCCESS;
}

NDIS_HANDLE NdisIMGetBindingContext(NDIS_HANDLE NdisBindingHandle)
{
	struct nrt_open *open = nrt_open_from(NdisBindingHandle);

	return open ? open->adapter->im_context : NULL;
}
