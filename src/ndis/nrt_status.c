/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_status.h"

#include <errno.h>
#include <stddef.h>

#define ROW(status, err)                                                                           \
	{                                                                                          \
		NDIS_STATUS_##status, err, "NDIS_STATUS_" #status                                  \
	}

/* Where several rows share an errno the first one answers nrt_status_from_errno(). */
static const struct status_row {
	NDIS_STATUS status;
	int err;
	const char *name;
} rows[] = {
	ROW(SUCCESS, 0),
	ROW(PENDING, -EINPROGRESS),
	ROW(FAILURE, -EIO),
	ROW(RESOURCES, -ENOMEM),
	ROW(NOT_SUPPORTED, -EOPNOTSUPP),
	ROW(INVALID_PARAMETER, -EINVAL),
	ROW(INVALID_STATE, -EBUSY),
	ROW(NOT_ACCEPTED, -EAGAIN),
	ROW(REQUEST_ABORTED, -ECANCELED),
	ROW(MEDIA_DISCONNECTED, -ENETDOWN),
	ROW(NETWORK_UNREACHABLE, -ENETUNREACH),
	ROW(LOW_POWER_STATE, -EHOSTDOWN),
	ROW(PAUSED, -ESHUTDOWN),
	ROW(UPLOAD_IN_PROGRESS, -ESTALE),
	ROW(OFFLOAD_TCP_ENTRIES, -ENOSPC),
	ROW(OFFLOAD_TCP_XMIT_BUFFER, -ENOBUFS),
	ROW(OFFLOAD_PATH_MTU, -EMSGSIZE),
	ROW(OFFLOAD_CONNECTION_REJECTED, -ECONNREFUSED),
	ROW(OFFLOAD_POLICY, -EPERM),
	ROW(OFFLOAD_DATA_PARTIALLY_ACCEPTED, -EIO),
	ROW(OFFLOAD_DATA_NOT_ACCEPTED, -EAGAIN),
	ROW(INVALID_LENGTH, -EPROTO),
	ROW(INVALID_DATA, -EBADMSG),
	ROW(BUFFER_TOO_SHORT, -ENODATA),
	ROW(BUFFER_OVERFLOW, -EOVERFLOW),
	ROW(INVALID_OID, -ENOTTY),
	ROW(CLOSING, -EPIPE),
	ROW(BAD_CHARACTERISTICS, -EINVAL),
	ROW(BAD_VERSION, -EPROTONOSUPPORT),
	ROW(UNSUPPORTED_REVISION, -EPROTONOSUPPORT),
	ROW(ADAPTER_NOT_FOUND, -ENODEV),
	ROW(INTERFACE_NOT_FOUND, -ENODEV),
	ROW(ADAPTER_REMOVED, -ENXIO),
	ROW(ADAPTER_NOT_READY, -EAGAIN),
	ROW(OPEN_FAILED, -EIO),
	ROW(RESET_IN_PROGRESS, -EBUSY),
	ROW(SEND_ABORTED, -ECANCELED),
	ROW(INVALID_PORT, -EINVAL),
	ROW(INVALID_PORT_STATE, -EINVAL),
	ROW(INVALID_DEVICE_REQUEST, -EINVAL),
	ROW(REQUEST_UPLOAD, -ESTALE),
	ROW(UPLOAD_REQUESTED, -ESTALE),
	ROW(OFFLOAD_PATH_ENTRIES, -ENOSPC),
	ROW(OFFLOAD_NEIGHBOR_ENTRIES, -ENOSPC),
	ROW(OFFLOAD_IP_ADDRESS_ENTRIES, -ENOSPC),
	ROW(OFFLOAD_HW_ADDRESS_ENTRIES, -ENOSPC),
	ROW(OFFLOAD_VLAN_ENTRIES, -ENOSPC),
	ROW(OFFLOAD_TCP_RCV_BUFFER, -ENOBUFS),
	ROW(OFFLOAD_TCP_RCV_WINDOW, -EMSGSIZE),
	ROW(OFFLOAD_VLAN_MISMATCH, -EINVAL),
	ROW(OFFLOAD_REQUEST_RESET, -EIO),
	/* Information: not errors */
	ROW(OFFLOAD_PARTIAL_SUCCESS, 0),
	ROW(OFFLOAD_STATE_INVALID, 0),
	ROW(INDICATION_REQUIRED, 0),
	ROW(OFFLOAD_PAUSE, 0),
	ROW(UPLOAD_ALL, 0),
	ROW(OFFLOAD_RESUME, 0),
	ROW(TASK_OFFLOAD_CURRENT_CONFIG, 0),
	ROW(TASK_OFFLOAD_HARDWARE_CAPABILITIES, 0),
	ROW(TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES, 0),
	ROW(LINK_STATE, 0),
	ROW(MEDIA_CONNECT, 0),
	ROW(MEDIA_DISCONNECT, 0),
};

static const struct status_row *find(NDIS_STATUS status)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return &rows[i];
	return NULL;
}

NDIS_STATUS nrt_status_from_errno(int err)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].err == err)
			return rows[i].status;
	return NDIS_STATUS_FAILURE;
}

int nrt_errno_from_status(NDIS_STATUS status)
{
	const struct status_row *row = find(status);

	if (row)
		return row->err;
	return status >= 0 ? 0 : -EIO;
}

const char *nrt_status_name(NDIS_STATUS status)
{
	const struct status_row *row = find(status);

	return row ? row->name : "NDIS_STATUS_?";
}

const char *nrt_tcp_state_name(TCP_OFFLOAD_CONNECTION_STATE state)
{
	static const char *const names[TcpConnectionMaxState] = {
		[TcpConnectionClosed] = "CLOSED",           [TcpConnectionListen] = "LISTEN",
		[TcpConnectionSynSent] = "SYN_SENT",        [TcpConnectionSynRcvd] = "SYN_RCVD",
		[TcpConnectionEstablished] = "ESTABLISHED", [TcpConnectionFinWait1] = "FIN_WAIT_1",
		[TcpConnectionFinWait2] = "FIN_WAIT_2",     [TcpConnectionCloseWait] = "CLOSE_WAIT",
		[TcpConnectionClosing] = "CLOSING",         [TcpConnectionLastAck] = "LAST_ACK",
		[TcpConnectionTimeWait] = "TIME_WAIT",
	};

	return (unsigned int)state < TcpConnectionMaxState ? names[state] : "?";
}
