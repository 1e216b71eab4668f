/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_status.h - NDIS_STATUS and errno. One table serves both directions; several errnos may share
 * a status and the reverse, then the first row wins.
 */
#ifndef NDIS_NRT_STATUS_H
#define NDIS_NRT_STATUS_H

#include <ndis/ndischimney.h>

/* nrt_status_from_errno() - err is 0 or negative. Unknown errnos are NDIS_STATUS_FAILURE. */
NDIS_STATUS nrt_status_from_errno(int err);

/*
 * nrt_errno_from_status() - 0 for success, also with information (the positive values),
 * -EINPROGRESS for PENDING, else a negative errno; -EIO for statuses without a row.
 */
int nrt_errno_from_status(NDIS_STATUS status);

/* nrt_status_name() - "NDIS_STATUS_..." for messages; "NDIS_STATUS_?" for unknown values. */
const char *nrt_status_name(NDIS_STATUS status);

/* nrt_tcp_state_name() - "ESTABLISHED", "FIN_WAIT_1", ...; "?" for unknown values. */
const char *nrt_tcp_state_name(TCP_OFFLOAD_CONNECTION_STATE state);

#endif
