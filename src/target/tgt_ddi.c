/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ten chimney handlers. Each takes note and returns: state operations are queued, I/O requests
 * go to their connection's queues. Nothing is completed or indicated from here (see tgt_priv.h),
 * except that a receive return is synchronous by definition and calls nobody.
 */
#include "target/tgt_ddi.h"

#include "target/tgt_deliver.h"
#include "target/tgt_indicate.h"
#include "target/tgt_priv.h"
#include "target/tgt_receive.h"
#include "target/tgt_send.h"

static void tgt_initiate_offload(NDIS_HANDLE context, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root)
{
	tgt_ops_queue(context, root, TGT_OP_INITIATE);
}

static void tgt_terminate_offload(NDIS_HANDLE context, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root)
{
	tgt_ops_queue(context, root, TGT_OP_TERMINATE);
}

static void tgt_update_offload(NDIS_HANDLE context, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root)
{
	tgt_ops_queue(context, root, TGT_OP_UPDATE);
}

static void tgt_invalidate_offload(NDIS_HANDLE context, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root)
{
	tgt_ops_queue(context, root, TGT_OP_INVALIDATE);
}

static void tgt_query_offload(NDIS_HANDLE context, NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *root)
{
	tgt_ops_queue(context, root, TGT_OP_QUERY);
}

/*
 * The PVOID that this driver wrote when the connection was offloaded: struct tgt_conn_io begins
 * with its object.
 */
static NDIS_STATUS tgt_offload_send(NDIS_HANDLE context, PVOID offload_context,
				    NET_BUFFER_LIST *chain)
{
	tgt_send_post(context, offload_context, chain);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS tgt_offload_receive(NDIS_HANDLE context, PVOID offload_context,
				       NET_BUFFER_LIST *chain)
{
	tgt_deliver_post(context, offload_context, chain);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS tgt_offload_forward(NDIS_HANDLE context, PVOID offload_context,
				       NET_BUFFER_LIST *chain)
{
	tgt_receive_forward(context, offload_context, chain);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS tgt_offload_disconnect(NDIS_HANDLE context, PVOID offload_context,
					  NET_BUFFER_LIST *nbl, ULONG flags)
{
	tgt_send_disconnect(context, offload_context, nbl, flags);
	return NDIS_STATUS_PENDING;
}

static NDIS_STATUS tgt_offload_receive_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain)
{
	tgt_rx_lists_return(context, chain);
	return NDIS_STATUS_SUCCESS;
}

NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS tgt_generic_characteristics = {
	.Header = { NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS,
		    NDIS_OBJECT_REVISION_1, sizeof(tgt_generic_characteristics) },
	.InitiateOffloadHandler = tgt_initiate_offload,
	.TerminateOffloadHandler = tgt_terminate_offload,
	.UpdateOffloadHandler = tgt_update_offload,
	.InvalidateOffloadHandler = tgt_invalidate_offload,
	.QueryOffloadHandler = tgt_query_offload,
};

NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tgt_tcp_characteristics = {
	.Header = { NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		    NDIS_OBJECT_REVISION_1, sizeof(tgt_tcp_characteristics) },
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendHandler = tgt_offload_send,
	.TcpOffloadReceiveHandler = tgt_offload_receive,
	.TcpOffloadForwardHandler = tgt_offload_forward,
	.TcpOffloadDisconnectHandler = tgt_offload_disconnect,
	.TcpOffloadReceiveReturnHandler = tgt_offload_receive_return,
};
