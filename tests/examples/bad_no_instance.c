/* SPDX-License-Identifier: BSD-2-Clause */
/* An intermediate driver that binds and makes no virtual miniport. */
#include <ndis/ndis.h>

#define NdisIMInitializeDeviceInstanceEx(driver, name, context)                                    \
	((void)(driver), (void)(name), (void)(context), NDIS_STATUS_SUCCESS)
#include "../../examples/im-min/im_min.c"
