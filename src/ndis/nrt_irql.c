/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_irql.h"

#include <stdlib.h>

#include "base/log.h"

nrt_worker_id nrt_worker_self(void)
{
	static _Thread_local char self;

	return &self;
}

void nrt_irql_bug(const char *what, const char *function)
{
	log_err("%s: %s", function, what);
	abort();
}
