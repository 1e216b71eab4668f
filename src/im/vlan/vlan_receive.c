/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_receive.c - received frames on the plain path: each goes to the virtual adapter of its VLAN,
 * without its tag; frames of VLANs that nobody has go back.
 *
 * Where the tag is:
 *     in Ieee8021QNetBufferListInfo   its VlanId is cleared while the list is with the drivers
 *     above,
 *                                     and there again when the list goes back; the priority stays
 *     in the frame                    the drivers above get a copy without the tag, lent for the
 *     time
 *                                     of the call: the frame may be read only, and it is not ours
 *     nowhere                         VLAN 0
 */
#include "im/vlan/vlan_private.h"

#include <errno.h>
#include <string.h>

#include "base/be.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_nblq.h"

#define MAC_BYTES      12u /* both addresses */
#define TAG_BYTES      4u
#define HEAD_BYTES     (MAC_BYTES + TAG_BYTES)
#define ETHERTYPE_VLAN 0x8100u

/* What a frame says of its VLAN. */
struct vlan_of {
	uint16_t id;
	uint8_t priority;
	bool in_frame;
};

int vlan_receive_create(struct vlan_lower *lower)
{
	lower->pool = im_pool_create();
	return lower->pool ? 0 : -ENOMEM;
}

void vlan_receive_destroy(struct vlan_lower *lower)
{
	if (lower->pool)
		NdisFreeNetBufferListPool(lower->pool);
}

static struct vlan_of look(NET_BUFFER_LIST *nbl)
{
	uintptr_t tag = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	UCHAR storage[HEAD_BYTES];
	const UCHAR *head = NULL;

	if (tag)
		return (struct vlan_of){ .id = im_tag_id(tag), .priority = im_tag_priority(tag) };
	if (nb && NET_BUFFER_DATA_LENGTH(nb) >= HEAD_BYTES)
		head = NdisGetDataBuffer(nb, HEAD_BYTES, storage, 1, 0);
	if (!head || be_get16(head + MAC_BYTES) != ETHERTYPE_VLAN)
		return (struct vlan_of){ 0 };
	return (struct vlan_of){
		.id = be_get16(head + MAC_BYTES + 2) & 0xfff,
		.priority = (uint8_t)(be_get16(head + MAC_BYTES + 2) >> 13),
		.in_frame = true,
	};
}

static struct vlan_adapter *adapter_for(const struct vlan_lower *lower, uint16_t id)
{
	struct vlan_adapter *adapter;

	for (adapter = lower->adapters; adapter; adapter = adapter->next)
		if (adapter->id == id)
			break;
	return adapter;
}

static void set_id(NET_BUFFER_LIST *chain, uint16_t id)
{
	NET_BUFFER_LIST *nbl;
	uintptr_t tag;

	NRT_NBL_FOREACH(nbl, chain)
	{
		tag = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
		NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) =
			(PVOID)im_tag_set_id(tag, id);
	}
}

/* ---- A tag in the frame ---- */

static void copy_info(NET_BUFFER_LIST *to, const NET_BUFFER_LIST *from, uint8_t priority)
{
	NET_BUFFER_LIST_INFO(to, TcpIpChecksumNetBufferListInfo) =
		NET_BUFFER_LIST_INFO(from, TcpIpChecksumNetBufferListInfo);
	NET_BUFFER_LIST_INFO(to, TcpLargeSendNetBufferListInfo) =
		NET_BUFFER_LIST_INFO(from, TcpLargeSendNetBufferListInfo);
	NET_BUFFER_LIST_INFO(to, Ieee8021QNetBufferListInfo) = (PVOID)im_tag_make(0, priority);
}

/* Returns: false when memory is short. */
static bool indicate_copy(struct vlan_adapter *adapter, NET_BUFFER_LIST *nbl, uint8_t priority,
			  NDIS_PORT_NUMBER port, ULONG flags)
{
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	ULONG len = NET_BUFFER_DATA_LENGTH(nb);
	UCHAR *data = nrt_zalloc(len), *at = data ? NdisGetDataBuffer(nb, len, data, 1, 0) : NULL;
	MDL *mdl = at ? NdisAllocateMdl(NULL, data + TAG_BYTES, len - TAG_BYTES) : NULL;
	NET_BUFFER_LIST *copy = NULL;

	if (at && at != data)
		memcpy(data, at, len);
	if (mdl)
		copy = NdisAllocateNetBufferAndNetBufferList(adapter->lower->pool, 0, 0, mdl, 0,
							     len - TAG_BYTES);
	if (copy) {
		memmove(data + TAG_BYTES, data, MAC_BYTES);
		copy_info(copy, nbl, priority);
		NdisMIndicateReceiveNetBufferLists(adapter->miniport, copy, port, 1,
						   flags | NDIS_RECEIVE_FLAGS_RESOURCES);
		NdisFreeNetBufferList(copy);
	}
	NdisFreeMdl(mdl);
	nrt_free(data);
	return copy;
}

/* ---- Sorting ---- */

static void indicate(struct vlan_adapter *adapter, struct nrt_nblq *run, NDIS_PORT_NUMBER port,
		     ULONG flags)
{
	NET_BUFFER_LIST *chain = nrt_nblq_take_all(run);

	if (!chain)
		return;
	if (adapter->id)
		set_id(chain, 0);
	NdisMIndicateReceiveNetBufferLists(adapter->miniport, chain, port,
					   (ULONG)nrt_nbl_count(chain), flags);
	if (adapter->id && (flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		set_id(chain, adapter->id);
}

/* One list by itself. Returns: whether it went up, or (a copy of it) was looked at and can go
 * back. */
static bool pass_up(struct vlan_lower *lower, NET_BUFFER_LIST *nbl, NDIS_PORT_NUMBER port,
		    ULONG flags)
{
	struct vlan_of vlan = look(nbl);
	struct vlan_adapter *adapter = adapter_for(lower, vlan.id);
	struct nrt_nblq one;

	if (!adapter) {
		lower->unmatched++;
		return false;
	}
	if (vlan.in_frame) {
		adapter->unheld += !indicate_copy(adapter, nbl, vlan.priority, port, flags);
		return false;
	}
	nrt_nblq_init(&one);
	nrt_nblq_push(&one, nbl);
	indicate(adapter, &one, port, flags);
	return true;
}

/* Order within a VLAN is kept. Lent lists are linked again as they came. */
void vlan_receive(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG count,
		  ULONG flags)
{
	bool lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES;
	struct vlan_lower *lower = context;
	NET_BUFFER_LIST *nbl, *keep;
	struct nrt_nblq back;

	(void)count;
	nrt_nblq_init(&back);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		nrt_nbl_split(nbl);
		if (!pass_up(lower, nbl, port, flags) || lent)
			nrt_nblq_push(&back, nbl);
	}
	if (!lent && !nrt_nblq_empty(&back))
		NdisReturnNetBufferLists(lower->binding, nrt_nblq_take_all(&back), 0);
}

void vlan_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	const struct vlan_adapter *adapter = context;

	if (adapter->id)
		set_id(chain, adapter->id);
	NdisReturnNetBufferLists(adapter->lower->binding, chain, flags);
}
