/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_io.h - data through the chimney. The hot path: every function is a few loads and one indirect
 * call; nothing is locked or allocated, and the NET_BUFFER_LIST pointer passes unchanged. Chains
 * are walked only to count indicated lists, which a halt waits for; debug builds walk them all, for
 * the ledger (nrt_ledger.h).
 *
 * Down: the handle of the driver above names the binding (NdisReserved[0]) and the object
 *       (MiniportOffloadContext).
 * Up:   completions go to the one binding that uses the chimney of the adapter; events and receive
 *       indications carry the handle, which names its binding.
 */
#ifndef NDIS_NRT_IO_H
#define NDIS_NRT_IO_H

#include <ndis/ndisstatus.h>

#include "ndis/nrt_binding.h"
#include "ndis/nrt_nblq.h"
#include "ndis/nrt_private.h"
#include "ndis/nrt_verify.h"

/* nrt_io_open() - the binding through which the object of a handle was offloaded. */
static inline struct nrt_open *nrt_io_open(const NDIS_OFFLOAD_HANDLE *handle)
{
	struct nrt_open *open = handle->NdisReserved[0];

	NRT_ASSERT_DRIVER(open && open->magic == NRT_MAGIC_OPEN);
	NRT_ASSERT_DISPATCH(open->adapter->owner);
	return open;
}

/* What a handler of the data path returns is a rule of the interface, not information. */
static inline NDIS_STATUS nrt_io_pending(NDIS_STATUS status)
{
	NRT_ASSERT_DRIVER(status == NDIS_STATUS_PENDING);
	return status;
}

static inline NDIS_STATUS nrt_io_send(NDIS_OFFLOAD_HANDLE *handle, NET_BUFFER_LIST *nbl)
{
	struct nrt_open *open = nrt_io_open(handle);

	nrt_ledger_down(open, nbl, NRT_BY_SEND);
	if (nrt_verify_on())
		nrt_verify_down(open, handle, nbl, NRT_LEDGER_SEND);
	return nrt_io_pending(open->down.TcpOffloadSendHandler(
		open->miniport_context, handle->MiniportOffloadContext, nbl));
}

static inline NDIS_STATUS nrt_io_receive(NDIS_OFFLOAD_HANDLE *handle, NET_BUFFER_LIST *nbl)
{
	struct nrt_open *open = nrt_io_open(handle);

	nrt_ledger_down(open, nbl, NRT_BY_RECEIVE);
	if (nrt_verify_on())
		nrt_verify_down(open, handle, nbl, NRT_LEDGER_RECEIVE);
	return nrt_io_pending(open->down.TcpOffloadReceiveHandler(
		open->miniport_context, handle->MiniportOffloadContext, nbl));
}

static inline NDIS_STATUS nrt_io_forward(NDIS_OFFLOAD_HANDLE *handle, NET_BUFFER_LIST *nbl)
{
	struct nrt_open *open = nrt_io_open(handle);

	nrt_ledger_down(open, nbl, NRT_BY_FORWARD);
	if (nrt_verify_on())
		nrt_verify_down(open, handle, nbl, NRT_LEDGER_FORWARD);
	return nrt_io_pending(open->down.TcpOffloadForwardHandler(
		open->miniport_context, handle->MiniportOffloadContext, nbl));
}

static inline NDIS_STATUS nrt_io_disconnect(NDIS_OFFLOAD_HANDLE *handle, NET_BUFFER_LIST *nbl,
					    ULONG flags)
{
	struct nrt_open *open = nrt_io_open(handle);

	nrt_ledger_down(open, nbl, NRT_BY_DISCONNECT);
	if (nrt_verify_on())
		nrt_verify_down(open, handle, nbl, NRT_LEDGER_DISCONNECT);
	return nrt_io_pending(open->down.TcpOffloadDisconnectHandler(
		open->miniport_context, handle->MiniportOffloadContext, nbl, flags));
}

/*
 * Synchronous and always successful; the buffers may belong to several connections, so a binding is
 * all there is.
 */
static inline void nrt_io_receive_return(struct nrt_open *open, NET_BUFFER_LIST *nbl)
{
	size_t count = nrt_nbl_count(nbl);
	NDIS_STATUS status;

	nrt_ledger_return(open, nbl, NRT_BY_RECEIVE_RETURN);
	status = open->down.TcpOffloadReceiveReturnHandler(open->miniport_context, nbl);
	NRT_ASSERT_DRIVER(status == NDIS_STATUS_SUCCESS);
	(void)status;
	nrt_open_returned(open, count);
}

/*
 * nrt_io_handlers() - the table behind NdisMGetOffloadHandlers(); constant, the same for every
 * adapter.
 */
const NDIS_TCP_OFFLOAD_EVENT_HANDLERS *nrt_io_handlers(void);

#endif
