/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver that wants a function which nobody has. */
#include <ndis/ndis.h>

NDIS_STATUS no_such_function(void);

NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING path);
NDIS_STATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
	(void)object;
	(void)path;
	return no_such_function();
}
