/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_indicate.h"

#include <ndis/ndisstatus.h>

#include "ndis/nrt_adapter.h"
#include "ndis/nrt_binding.h"
#include "ndis/nrt_nblq.h"

/* ---- Status ---------------------------------------------------------------------------------- */

/* MediaConnectState: 1 connected, 2 not. */
static void take_over(struct nrt_adapter *adapter, const NDIS_STATUS_INDICATION *indication)
{
	NDIS_TCP_CONNECTION_OFFLOAD offload;

	switch ((uint32_t)indication->StatusCode) {
	case (uint32_t)NDIS_STATUS_OFFLOAD_RESUME:
		if (nrt_copy_connection_offload(&offload, indication->StatusBuffer,
						indication->StatusBufferSize)) {
			adapter->offload_current = offload;
			adapter->has_offload_current = true;
		}
		break;
	case (uint32_t)NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES:
		if (nrt_copy_connection_offload(&offload, indication->StatusBuffer,
						indication->StatusBufferSize)) {
			adapter->offload_hardware = offload;
			adapter->has_offload_hardware = true;
		}
		break;
	case (uint32_t)NDIS_STATUS_MEDIA_CONNECT:
		adapter->general.MediaConnectState = 1;
		break;
	case (uint32_t)NDIS_STATUS_MEDIA_DISCONNECT:
		adapter->general.MediaConnectState = 2;
		break;
	default:
		break;
	}
}

void nrt_indicate_status(struct nrt_adapter *adapter, const NDIS_STATUS_INDICATION *indication)
{
	NDIS_STATUS_INDICATION copy = *indication;
	struct nrt_open_walk walk;
	struct nrt_open *open;

	take_over(adapter, indication);
	nrt_open_walk_begin(&walk, adapter);
	while ((open = nrt_open_walk_next(&walk))) {
		if (open->closing || !open->driver->protocol.StatusHandlerEx)
			continue;
		if (!indication->DestinationHandle || indication->DestinationHandle == open)
			open->driver->protocol.StatusHandlerEx(open->protocol_context, &copy);
	}
	nrt_open_walk_end(&walk);
}

/* ---- Plain path ------------------------------------------------------------------------------ */

static void give_back(struct nrt_open *open, NET_BUFFER_LIST *run, ULONG flags)
{
	if (open->driver->protocol.SendNetBufferListsCompleteHandler)
		open->driver->protocol.SendNetBufferListsCompleteHandler(open->protocol_context,
									 run, flags);
}

static void complete_run(struct nrt_open *open, NET_BUFFER_LIST *run, ULONG flags)
{
	if (!open)
		return;
	nrt_ledger_up(open, run, NRT_BY_PLAIN_SEND_COMPLETE);
	give_back(open, run, flags);
}

void nrt_plain_send(struct nrt_open *open, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
		    ULONG flags)
{
	const NDIS_MINIPORT_DRIVER_CHARACTERISTICS *miniport = &open->adapter->driver->miniport;
	NET_BUFFER_LIST *nbl;
	NDIS_STATUS refusal = NDIS_STATUS_SUCCESS;

	if (!miniport->SendNetBufferListsHandler)
		refusal = NDIS_STATUS_NOT_SUPPORTED;
	else if (open->adapter->state != NRT_ADAPTER_RUNNING)
		refusal = NDIS_STATUS_PAUSED;
	if (refusal != NDIS_STATUS_SUCCESS) {
		nrt_nbl_set_status(chain, refusal);
		give_back(open, chain, 0);
		return;
	}
	nrt_ledger_down(open, chain, NRT_BY_PLAIN_SEND);
	NRT_NBL_FOREACH(nbl, chain)
	{
		nbl->SourceHandle = open;
	}
	miniport->SendNetBufferListsHandler(open->miniport_context, chain, port, flags);
}

void nrt_plain_send_complete(struct nrt_adapter *adapter, NET_BUFFER_LIST *chain, ULONG flags)
{
	NET_BUFFER_LIST *nbl, *keep;
	struct nrt_nblq run;
	NDIS_HANDLE source = NULL;

	(void)adapter;
	nrt_nblq_init(&run);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		if (nbl->SourceHandle != source && !nrt_nblq_empty(&run))
			complete_run(nrt_open_from(source), nrt_nblq_take_all(&run), flags);
		source = nbl->SourceHandle;
		nrt_nblq_push(&run, nbl);
	}
	if (!nrt_nblq_empty(&run))
		complete_run(nrt_open_from(source), nrt_nblq_take_all(&run), flags);
}

static bool receives(const struct nrt_open *open)
{
	return !open->closing && open->driver->protocol.ReceiveNetBufferListsHandler;
}

/* Move the walk to the next binding that takes frames. Returns: that binding, still to come. */
static struct nrt_open *peek(struct nrt_open_walk *walk)
{
	while (walk->next && !receives(walk->next))
		nrt_open_walk_next(walk);
	return walk->next;
}

/* For the time of the call, or until they are returned. */
static void indicate_to(struct nrt_open *open, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
			ULONG count, ULONG flags)
{
	struct nrt_adapter *adapter = open->adapter;
	struct nrt_driver *protocol = open->driver;
	bool lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES;

	nrt_ledger_lend(open, chain, NRT_BY_PLAIN_INDICATE);
	if (!lent)
		open->indicated += (unsigned int)nrt_nbl_count(chain);
	open->driver->protocol.ReceiveNetBufferListsHandler(open->protocol_context, chain, port,
							    count, flags);
	if (lent)
		nrt_ledger_unlend(protocol, adapter, chain, NRT_BY_PLAIN_INDICATE);
}

void nrt_plain_receive(struct nrt_adapter *adapter, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
		       ULONG count, ULONG flags)
{
	struct nrt_open_walk walk;
	struct nrt_open *open;

	nrt_open_walk_begin(&walk, adapter);
	while ((open = peek(&walk))) {
		nrt_open_walk_next(&walk);
		if (!peek(&walk))
			break; /* the last one */
		indicate_to(open, chain, port, count, flags | NDIS_RECEIVE_FLAGS_RESOURCES);
	}
	if (open)
		indicate_to(open, chain, port, count, flags);
	else if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES) &&
		 adapter->driver->miniport.ReturnNetBufferListsHandler)
		adapter->driver->miniport.ReturnNetBufferListsHandler(adapter->context, chain, 0);
	nrt_open_walk_end(&walk);
}

void nrt_plain_return(struct nrt_open *open, NET_BUFFER_LIST *chain, ULONG flags)
{
	size_t lists = nrt_nbl_count(chain);

	nrt_ledger_return(open, chain, NRT_BY_PLAIN_RETURN);
	if (open->adapter->driver->miniport.ReturnNetBufferListsHandler)
		open->adapter->driver->miniport.ReturnNetBufferListsHandler(open->miniport_context,
									    chain, flags);
	nrt_open_returned(open, lists);
}
