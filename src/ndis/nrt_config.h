/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_config.h - the keywords of an adapter (standardized INF keywords, for instance
 * *TCPConnectionOffloadIPv4): what the registry is to a Windows driver. Numbers only. Names compare
 * without regard to case.
 */
#ifndef NDIS_NRT_CONFIG_H
#define NDIS_NRT_CONFIG_H

#include <ndis/ndis.h>

#include "ndis/nrt_private.h"

/* nrt_config_set() - set or add a keyword. 0 or -ENOMEM. */
int nrt_config_set(struct nrt_adapter *adapter, const char *name, uint32_t value)
	__attribute__((warn_unused_result));
void nrt_config_clear(struct nrt_adapter *adapter);

/* The calls of a driver, from nrt_ddi.c. */
NDIS_STATUS nrt_config_open(struct nrt_adapter *adapter, NDIS_HANDLE *out);
void nrt_config_close(NDIS_HANDLE handle);
NDIS_STATUS nrt_config_read(NDIS_HANDLE handle, const NDIS_STRING *keyword,
			    NDIS_PARAMETER_TYPE type, NDIS_CONFIGURATION_PARAMETER **out);
NDIS_STATUS nrt_config_write(NDIS_HANDLE handle, const NDIS_STRING *keyword,
			     const NDIS_CONFIGURATION_PARAMETER *value);

#endif
