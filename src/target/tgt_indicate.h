/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_indicate.h - received bytes and frames in the form in which NDIS takes them.
 *
 * Chimney data: a list describes chunks of a connection's receive queue in place and holds them.
 * The host may keep the list as long as it likes; a chunk goes back to the pool when it has left
 * the queue and no list holds it.
 *
 * Whole frames (non-offload receive path): one list is lent for the duration of the call, over the
 * nic's bytes (NDIS_RECEIVE_FLAGS_RESOURCES: the receiver copies what it keeps). What the frame
 * needs to be understood is in NetBufferListInfo:
 *
 *     TcpIpChecksumNetBufferListInfo   TcpChecksumSucceeded: TCP checksum verified or partial
 *     TcpLargeSendNetBufferListInfo    payload bytes a segment when it is a super-frame, else 0
 *     Ieee8021QNetBufferListInfo       the tag when the device took it out
 *
 * Context:   worker that owns the adapter.
 */
#ifndef TARGET_TGT_INDICATE_H
#define TARGET_TGT_INDICATE_H

#include "target/tgt_priv.h"

/*
 * tgt_rx_lists_create() - the two pools (INI-31, INI-32) and count lists for chimney data. 0 or
 * -ENOMEM.
 */
int tgt_rx_lists_create(struct tgt_adapter *a, uint32_t count);
void tgt_rx_lists_destroy(struct tgt_adapter *a);

/* tgt_rx_list_take() - a free list, NULL when all are with the host. */
struct tgt_rx_list *tgt_rx_list_take(struct tgt_adapter *a);

/*
 * tgt_rx_list_extra() - one more, for the end of a connection, where nothing can wait; NULL without
 * memory.
 */
struct tgt_rx_list *tgt_rx_list_extra(struct tgt_adapter *a);

/* tgt_rx_list_give() - let go of the chunks; the list is free again. */
void tgt_rx_list_give(struct tgt_adapter *a, struct tgt_rx_list *list);

/*
 * tgt_rx_list_fill() - describe bytes of the queue from off on, at most max, and hold their chunks.
 * Returns:   bytes described (at least 1 when there are any and max is not 0).
 */
uint32_t tgt_rx_list_fill(struct tgt_adapter *a, struct tgt_rx_list *list,
			  const struct tgt_chunk_list *queue, uint32_t off, uint32_t max);

/* tgt_rx_lists_return() - MiniportTcpOffloadReceiveReturn: takes a chain that the host had. */
void tgt_rx_lists_return(struct tgt_adapter *a, NET_BUFFER_LIST *chain);

/*
 * tgt_rx_queue_drop() - the first n bytes leave the queue; chunks that a list holds stay until it
 * comes back.
 */
void tgt_rx_queue_drop(struct tgt_adapter *a, struct tgt_chunk_list *queue, uint32_t n);

/*
 * tgt_indicate_frame() - a frame for the host's own stack: NdisMIndicateReceiveNetBufferLists when
 * a protocol asked for frames (packet filter), else straight to the kernel. Borrows the frame.
 */
void tgt_indicate_frame(struct tgt_adapter *a, const struct nic_rx_frame *frame);

#endif
