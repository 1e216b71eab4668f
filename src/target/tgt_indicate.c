/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tgt_indicate.h"

#include <errno.h>
#include <stdlib.h>

#define POOL_TAG   0x6d796863u /* "chym" */
#define PAGE_BYTES 4096u

static NDIS_HANDLE make_pool(NDIS_HANDLE miniport)
{
	NET_BUFFER_LIST_POOL_PARAMETERS p = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 },
		.ProtocolId = NDIS_PROTOCOL_ID_DEFAULT,
		.fAllocateNetBuffer = TRUE,
		.PoolTag = POOL_TAG,
	};

	return NdisAllocateNetBufferListPool(miniport, &p);
}

static void list_free(struct tgt_rx_list *list)
{
	for (uint32_t i = 0; i < TGT_RX_MDLS; i++)
		if (list->mdls[i])
			NdisFreeMdl(list->mdls[i]);
	if (list->nbl)
		NdisFreeNetBufferList(list->nbl);
	*list = (struct tgt_rx_list){ 0 };
}

/* Any memory will do for the MDLs: tgt_rx_list_fill() points them at chunks. */
static int list_make(struct tgt_adapter *a, struct tgt_rx_list *list)
{
	for (uint32_t i = 0; i < TGT_RX_MDLS; i++) {
		list->mdls[i] = NdisAllocateMdl(a->ddi->miniport, list, 1);
		if (!list->mdls[i])
			return -ENOMEM;
	}
	list->nbl = NdisAllocateNetBufferAndNetBufferList(a->ddi->chimney_pool, 0, 0, NULL, 0, 0);
	return list->nbl ? 0 : -ENOMEM;
}

static void put_free(struct tgt_ddi *d, struct tgt_rx_list *list)
{
	list->next_free = d->rx_free;
	d->rx_free = list;
}

static int make_plain(struct tgt_adapter *a)
{
	struct tgt_ddi *d = a->ddi;

	d->plain_mdl = NdisAllocateMdl(d->miniport, d, 1);
	if (!d->plain_mdl)
		return -ENOMEM;
	d->plain_nbl =
		NdisAllocateNetBufferAndNetBufferList(d->plain_pool, 0, 0, d->plain_mdl, 0, 0);
	return d->plain_nbl ? 0 : -ENOMEM;
}

int tgt_rx_lists_create(struct tgt_adapter *a, uint32_t count)
{
	struct tgt_ddi *d = a->ddi;

	d->chimney_pool = make_pool(d->miniport);
	d->plain_pool = make_pool(d->miniport);
	d->rx_lists = calloc(count, sizeof(*d->rx_lists));
	if (!d->chimney_pool || !d->plain_pool || !d->rx_lists || make_plain(a))
		goto fail;
	d->rx_count = count;
	for (uint32_t i = count; i-- > 0;) {
		if (list_make(a, &d->rx_lists[i]))
			goto fail;
		put_free(d, &d->rx_lists[i]);
	}
	return 0;
fail:
	tgt_rx_lists_destroy(a);
	return -ENOMEM;
}

void tgt_rx_lists_destroy(struct tgt_adapter *a)
{
	struct tgt_ddi *d = a->ddi;

	for (uint32_t i = 0; i < d->rx_count; i++)
		list_free(&d->rx_lists[i]);
	free(d->rx_lists);
	if (d->plain_nbl)
		NdisFreeNetBufferList(d->plain_nbl);
	if (d->plain_mdl)
		NdisFreeMdl(d->plain_mdl);
	if (d->chimney_pool)
		NdisFreeNetBufferListPool(d->chimney_pool);
	if (d->plain_pool)
		NdisFreeNetBufferListPool(d->plain_pool);
	d->rx_lists = d->rx_free = NULL;
	d->rx_count = 0;
	d->plain_nbl = NULL;
	d->plain_mdl = NULL;
	d->chimney_pool = d->plain_pool = NULL;
}

/* ---- lists over chunks ---- */

static bool is_extra(const struct tgt_ddi *d, const struct tgt_rx_list *list)
{
	return list < d->rx_lists || list >= d->rx_lists + d->rx_count;
}

struct tgt_rx_list *tgt_rx_list_take(struct tgt_adapter *a)
{
	struct tgt_rx_list *list = a->ddi->rx_free;

	if (list)
		a->ddi->rx_free = list->next_free;
	else
		tgt_drop(a, TGT_DROP_NO_NBL);
	return list;
}

struct tgt_rx_list *tgt_rx_list_extra(struct tgt_adapter *a)
{
	struct tgt_rx_list *list = calloc(1, sizeof(*list));

	if (list && list_make(a, list)) {
		list_free(list);
		free(list);
		return NULL;
	}
	return list;
}

static void release_chunk(struct tgt_adapter *a, arena_ref ref)
{
	struct tgt_chunk *c = tgt_chunk_at(a, ref);

	c->holds--;
	if (!c->holds && !c->len)
		arena_give(a->arena, a->pool_chunk, c);
}

void tgt_rx_list_give(struct tgt_adapter *a, struct tgt_rx_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		release_chunk(a, list->chunks[i]);
	list->count = 0;
	if (is_extra(a->ddi, list)) {
		list_free(list);
		free(list);
	} else {
		put_free(a->ddi, list);
	}
}

static void point_mdl(MDL *mdl, void *data, uint32_t bytes)
{
	mdl->MappedSystemVa = data;
	mdl->StartVa = (void *)((uintptr_t)data & ~(uintptr_t)(PAGE_BYTES - 1));
	mdl->ByteOffset = (ULONG)((uintptr_t)data & (PAGE_BYTES - 1));
	mdl->ByteCount = bytes;
}

static void describe(struct tgt_rx_list *list, uint32_t bytes)
{
	NET_BUFFER_LIST *nbl = list->nbl;
	NET_BUFFER *nb = nbl->FirstNetBuffer;

	for (uint32_t i = 0; i < list->count; i++)
		list->mdls[i]->Next = i + 1 < list->count ? list->mdls[i + 1] : NULL;
	nb->MdlChain = nb->CurrentMdl = list->count ? list->mdls[0] : NULL;
	nb->DataOffset = nb->CurrentMdlOffset = 0;
	nb->DataLength = bytes;
	nbl->Next = NULL;
	nbl->Status = NDIS_STATUS_SUCCESS;
	nbl->MiniportReserved[0] = list;
}

uint32_t tgt_rx_list_fill(struct tgt_adapter *a, struct tgt_rx_list *list,
			  const struct tgt_chunk_list *queue, uint32_t off, uint32_t max)
{
	arena_ref ref = queue->head;
	uint32_t bytes = 0;

	list->count = 0;
	while (ref && bytes < max && list->count < TGT_RX_MDLS) {
		struct tgt_chunk *c = tgt_chunk_at(a, ref);
		uint32_t n = c->len > off ? c->len - off : 0;

		if (n > max - bytes)
			n = max - bytes;
		if (n) {
			point_mdl(list->mdls[list->count], c->data + c->off + off, n);
			list->chunks[list->count++] = ref;
			c->holds++;
			bytes += n;
		}
		off = c->len < off ? off - c->len : 0;
		ref = c->next;
	}
	describe(list, bytes);
	return bytes;
}

void tgt_rx_lists_return(struct tgt_adapter *a, NET_BUFFER_LIST *chain)
{
	NET_BUFFER_LIST *nbl;

	while ((nbl = tgt_nbl_chain_pop(&chain))) {
		struct tgt_rx_list *list = nbl->MiniportReserved[0];

		list->out = false;
		a->ddi->rx_out--;
		tgt_rx_list_give(a, list);
	}
	if (a->ddi->pause_pending && !a->ddi->rx_out) {
		a->ddi->pause_pending = false;
		NdisMPauseComplete(a->ddi->miniport);
	}
}

void tgt_rx_queue_drop(struct tgt_adapter *a, struct tgt_chunk_list *queue, uint32_t n)
{
	queue->bytes -= n;
	while (n) {
		struct tgt_chunk *c = tgt_chunk_at(a, queue->head);

		if (n < c->len) {
			tgt_chunk_eat(c, n);
			return;
		}
		n -= c->len;
		queue->head = c->next;
		queue->chunks--;
		if (!queue->head)
			queue->tail = ARENA_NULL;
		c->next = ARENA_NULL;
		c->len = 0;
		if (!c->holds)
			arena_give(a->arena, a->pool_chunk, c);
	}
}

/* ---- whole frames ---- */

static void describe_frame(struct tgt_ddi *d, const struct nic_rx_frame *frame)
{
	NET_BUFFER *nb = d->plain_nbl->FirstNetBuffer;
	NDIS_NET_BUFFER_LIST_8021Q_INFO tag = { { { 0 } } };
	NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO csum = { { { 0 } } };
	uintptr_t segment = frame->gso_type != NIC_GSO_NONE ? frame->gso_size : 0;

	if (frame->vlan_present) {
		tag.TagHeader.UserPriority = frame->vlan_tci >> 13;
		tag.TagHeader.CanonicalFormatId = frame->vlan_tci >> 12 & 1;
		tag.TagHeader.VlanId = frame->vlan_tci & 0xfff;
	}
	csum.Receive.TcpChecksumSucceeded = frame->csum_trusted;
	point_mdl(d->plain_mdl, (void *)(uintptr_t)frame->data, frame->len);
	d->plain_mdl->Next = NULL;
	nb->MdlChain = nb->CurrentMdl = d->plain_mdl;
	nb->DataOffset = nb->CurrentMdlOffset = 0;
	nb->DataLength = frame->len;
	d->plain_nbl->Next = NULL;
	d->plain_nbl->Status = NDIS_STATUS_SUCCESS;
	NET_BUFFER_LIST_INFO(d->plain_nbl, TcpIpChecksumNetBufferListInfo) = csum.Value;
	NET_BUFFER_LIST_INFO(d->plain_nbl, TcpLargeSendNetBufferListInfo) = (PVOID)segment;
	NET_BUFFER_LIST_INFO(d->plain_nbl, Ieee8021QNetBufferListInfo) = tag.Value;
}

void tgt_indicate_frame(struct tgt_adapter *a, const struct nic_rx_frame *frame)
{
	struct tgt_ddi *d = a->ddi;

	if (!d->running || !d->packet_filter) {
		if (nic_indicate(a->nic, frame))
			tgt_drop(a, TGT_DROP_INDICATE_FAILED);
		return;
	}
	describe_frame(d, frame);
	NdisMIndicateReceiveNetBufferLists(d->miniport, d->plain_nbl, NDIS_DEFAULT_PORT_NUMBER, 1,
					   NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL |
						   NDIS_RECEIVE_FLAGS_RESOURCES);
}
