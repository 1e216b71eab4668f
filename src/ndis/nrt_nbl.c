/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_nbl.c - NET_BUFFER_LISTs: pools, MDLs, context space, moving the start of the data.
 *
 * A pool keeps what comes back to it, so that in the steady state neither an allocation nor a free
 * leaves it. It is not locked: like everything of the data path it belongs to one worker. Each
 * element is one piece of memory:
 *
 *     [ list | net buffer | MDL | bookkeeping | context room | data (pools with DataSize) ]
 *
 * The context room is larger than the pool's owner asked for: every intermediate driver on the way
 * down takes a little of it for its own tracking, and should not have to allocate for that.
 */
#include <stdint.h>
#include <string.h>

#include <ndis/nbl.h>
#include <ndis/ndisstatus.h>

#include "ndis/nrt_alloc.h"
#include "ndis/nrt_private.h"

#define CONTEXT_SPARE_BYTES 128u /* context room beyond what the owner of a pool asked for */

/* With AddressSanitizer a list goes back to malloc() at once: then its use after free is found. */
#if defined(__SANITIZE_ADDRESS__)
#define POOL_KEEPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_KEEPS 0
#endif
#endif
#ifndef POOL_KEEPS
#define POOL_KEEPS 1
#endif

struct pool {
	uint32_t magic;
	bool with_net_buffer;
	struct nrt_driver *owner; /* who allocates from it; NULL: did not say */
	uint32_t context_bytes;   /* room of each element */
	uint32_t data_bytes;
	size_t outstanding;
	struct element *free;
};

struct element {
	NET_BUFFER_LIST nbl; /* first: the handle of an element is its list */
	NET_BUFFER nb;
	MDL mdl;
	struct element *next_free;
	struct pool *pool;
	bool in_use;
	/* Last: its data, then the data of the net buffer, follow. */
	NDIS_ALIGN16 NET_BUFFER_LIST_CONTEXT context;
};

static uint32_t round_up_16(uint32_t bytes)
{
	return (bytes + 15) & ~15u;
}

static void mdl_init(MDL *mdl, void *memory, uint32_t bytes)
{
	uintptr_t address = (uintptr_t)memory;

	memset(mdl, 0, sizeof(*mdl));
	mdl->Size = sizeof(*mdl);
	mdl->MdlFlags = MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL;
	mdl->MappedSystemVa = memory;
	mdl->StartVa = (void *)(address & ~(uintptr_t)4095);
	mdl->ByteOffset = address & 4095;
	mdl->ByteCount = bytes;
}

static uint8_t *element_data(struct element *element)
{
	return element->context.ContextData + element->pool->context_bytes;
}

/* ---- Pools ----------------------------------------------------------------------------------- */

NDIS_HANDLE NdisAllocateNetBufferListPool(NDIS_HANDLE NdisHandle,
					  PNET_BUFFER_LIST_POOL_PARAMETERS Parameters)
{
	struct pool *pool;

	if (Parameters->DataSize && !Parameters->fAllocateNetBuffer)
		return NULL;
	pool = nrt_zalloc(sizeof(*pool));
	if (!pool)
		return NULL;
	pool->magic = NRT_MAGIC_POOL;
	pool->owner = nrt_ledger_party(NdisHandle);
	pool->with_net_buffer = Parameters->fAllocateNetBuffer;
	pool->context_bytes = round_up_16(Parameters->ContextSize) + CONTEXT_SPARE_BYTES;
	pool->data_bytes = Parameters->DataSize;
	return pool;
}

VOID NdisFreeNetBufferListPool(NDIS_HANDLE PoolHandle)
{
	struct pool *pool = PoolHandle;
	struct element *element;

	NRT_ASSERT_DRIVER(pool->magic == NRT_MAGIC_POOL);
	NRT_ASSERT_DRIVER(pool->outstanding == 0);
	while ((element = pool->free)) {
		pool->free = element->next_free;
		nrt_free(element);
	}
	pool->magic = NRT_MAGIC_DEAD;
	nrt_free(pool);
}

static struct element *element_take(struct pool *pool)
{
	struct element *element = pool->free;

	if (element) {
		pool->free = element->next_free;
	} else {
		element = nrt_zalloc(sizeof(*element) + pool->context_bytes + pool->data_bytes);
		if (!element)
			return NULL;
		element->pool = pool;
	}
	pool->outstanding++;
	element->in_use = true;
	return element;
}

static void element_put(struct element *element)
{
	struct pool *pool = element->pool;

	element->in_use = false;
	pool->outstanding--;
	if (!POOL_KEEPS) {
		nrt_free(element);
		return;
	}
	element->next_free = pool->free;
	pool->free = element;
}

/* ---- Start of the data ----------------------------------------------------------------------- */

/*
 * Let CurrentMdl and CurrentMdlOffset follow DataOffset. With no data left the end of the last MDL
 * is the place.
 */
static void find_current(NET_BUFFER *nb)
{
	ULONG offset = nb->DataOffset;
	MDL *mdl = nb->MdlChain;

	while (mdl && mdl->Next && offset >= mdl->ByteCount) {
		offset -= mdl->ByteCount;
		mdl = mdl->Next;
	}
	nb->CurrentMdl = mdl;
	nb->CurrentMdlOffset = offset;
}

/* Give up the MDLs in front of the one where the data starts. */
static void free_unused(NET_BUFFER *nb, NET_BUFFER_FREE_MDL_HANDLER free_mdl)
{
	MDL *mdl;

	while (nb->MdlChain != nb->CurrentMdl) {
		mdl = nb->MdlChain;
		nb->MdlChain = mdl->Next;
		nb->DataOffset -= mdl->ByteCount;
		mdl->Next = NULL;
		if (free_mdl)
			free_mdl(mdl);
		else
			NdisFreeMdl(mdl);
	}
}

VOID NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta, BOOLEAN FreeMdl,
				   NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
	NRT_ASSERT_DRIVER(DataOffsetDelta <= NetBuffer->DataLength);
	NetBuffer->DataOffset += DataOffsetDelta;
	NetBuffer->stDataLength = NetBuffer->DataLength - DataOffsetDelta;
	find_current(NetBuffer);
	if (FreeMdl)
		free_unused(NetBuffer, FreeMdlHandler);
}

/* An MDL and its memory in one piece, so that NdisFreeMdl() frees both. */
static MDL *mdl_with_memory(ULONG bytes)
{
	MDL *mdl = nrt_zalloc(sizeof(*mdl) + bytes);

	if (mdl)
		mdl_init(mdl, mdl + 1, bytes);
	return mdl;
}

NDIS_STATUS NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
					  ULONG DataBackFill,
					  NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler)
{
	ULONG missing, size;
	MDL *mdl;

	if (DataOffsetDelta > NetBuffer->DataOffset) {
		missing = DataOffsetDelta - NetBuffer->DataOffset;
		size = missing + DataBackFill;
		mdl = AllocateMdlHandler ? AllocateMdlHandler(&size) : mdl_with_memory(size);
		if (!mdl)
			return NDIS_STATUS_RESOURCES;
		mdl->Next = NetBuffer->MdlChain;
		NetBuffer->MdlChain = mdl;
		NetBuffer->DataOffset += mdl->ByteCount;
	}
	NetBuffer->DataOffset -= DataOffsetDelta;
	NetBuffer->stDataLength = (SIZE_T)NetBuffer->DataLength + DataOffsetDelta;
	find_current(NetBuffer);
	return NDIS_STATUS_SUCCESS;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void net_buffer_init(struct element *element, MDL *chain, ULONG offset, SIZE_T length)
{
	NET_BUFFER *nb = &element->nb;

	memset(nb, 0, sizeof(*nb));
	nb->NdisPoolHandle = element->pool;
	nb->MdlChain = chain;
	nb->DataOffset = offset;
	nb->stDataLength = length;
	find_current(nb);
	element->nbl.FirstNetBuffer = nb;
}

static struct element *list_init(struct pool *pool, USHORT context_size, USHORT back_fill)
{
	struct element *element = element_take(pool);

	if (!element)
		return NULL;
	memset(&element->nbl, 0, sizeof(element->nbl));
	element->nbl.NdisPoolHandle = pool;
	if (context_size && NdisAllocateNetBufferListContext(&element->nbl, context_size, back_fill,
							     0) != NDIS_STATUS_SUCCESS) {
		element_put(element);
		return NULL;
	}
	return element;
}

static MDL *own_mdl(struct element *element)
{
	if (!element->pool->data_bytes)
		return NULL;
	mdl_init(&element->mdl, element_data(element), element->pool->data_bytes);
	return &element->mdl;
}

PNET_BUFFER_LIST NdisAllocateNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
					   USHORT ContextBackFill)
{
	struct pool *pool = PoolHandle;
	struct element *element;

	NRT_ASSERT_DRIVER(pool->magic == NRT_MAGIC_POOL);
	element = list_init(pool, ContextSize, ContextBackFill);
	if (!element)
		return NULL;
	/* The pool's memory is room in front of the data until the owner retreats into it. */
	if (pool->with_net_buffer)
		net_buffer_init(element, own_mdl(element), pool->data_bytes, 0);
	return &element->nbl;
}

PNET_BUFFER_LIST NdisAllocateNetBufferAndNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
						       USHORT ContextBackFill, PMDL MdlChain,
						       ULONG DataOffset, SIZE_T DataLength)
{
	struct pool *pool = PoolHandle;
	struct element *element;

	NRT_ASSERT_DRIVER(pool->magic == NRT_MAGIC_POOL && pool->with_net_buffer);
	element = list_init(pool, ContextSize, ContextBackFill);
	if (!element)
		return NULL;
	net_buffer_init(element, MdlChain ? MdlChain : own_mdl(element), DataOffset, DataLength);
	return &element->nbl;
}

VOID NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList)
{
	struct element *element = (struct element *)NetBufferList;

	NRT_ASSERT_DRIVER(element->in_use);
	nrt_ledger_free(NetBufferList, element->pool->owner);
	while (NetBufferList->Context)
		NdisFreeNetBufferListContext(NetBufferList, NetBufferList->Context->Size -
								    NetBufferList->Context->Offset);
	element_put(element);
}

/* ---- Context space --------------------------------------------------------------------------- */

/* The room that comes with the list, ready to be the newest context; NULL when it is in use. */
static NET_BUFFER_LIST_CONTEXT *built_in_context(NET_BUFFER_LIST *nbl)
{
	struct element *element = (struct element *)nbl;
	NET_BUFFER_LIST_CONTEXT *context;

	if (!nbl->NdisPoolHandle)
		return NULL; /* a list that did not come from a pool */
	for (context = nbl->Context; context; context = context->Next)
		if (context == &element->context)
			return NULL;
	element->context.Size = element->pool->context_bytes;
	element->context.Offset = element->context.Size;
	return &element->context;
}

NDIS_STATUS NdisAllocateNetBufferListContext(PNET_BUFFER_LIST NetBufferList, USHORT ContextSize,
					     USHORT ContextBackFill, ULONG PoolTag)
{
	NET_BUFFER_LIST_CONTEXT *context = NetBufferList->Context;
	uint32_t bytes = round_up_16(ContextSize), back_fill = round_up_16(ContextBackFill);

	(void)PoolTag;
	if (context && context->Offset >= bytes) {
		context->Offset -= bytes;
		return NDIS_STATUS_SUCCESS;
	}
	context = built_in_context(NetBufferList);
	if (!context || context->Size < bytes) {
		if (bytes + back_fill > UINT16_MAX)
			return NDIS_STATUS_RESOURCES;
		context = nrt_zalloc(sizeof(*context) + bytes + back_fill);
		if (!context)
			return NDIS_STATUS_RESOURCES;
		context->Size = bytes + back_fill;
		context->Offset = context->Size;
	}
	context->Offset -= bytes;
	context->Next = NetBufferList->Context;
	NetBufferList->Context = context;
	return NDIS_STATUS_SUCCESS;
}

VOID NdisFreeNetBufferListContext(PNET_BUFFER_LIST NetBufferList, USHORT ContextSize)
{
	struct element *element = (struct element *)NetBufferList;
	NET_BUFFER_LIST_CONTEXT *context = NetBufferList->Context;

	NRT_ASSERT_DRIVER(context &&
			  context->Size - context->Offset >= (int)round_up_16(ContextSize));
	context->Offset += round_up_16(ContextSize);
	if (context->Offset < context->Size)
		return;
	NetBufferList->Context = context->Next;
	if (!NetBufferList->NdisPoolHandle || context != &element->context)
		nrt_free(context);
}

/* ---- MDLs and access ------------------------------------------------------------------------- */

PMDL NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, UINT Length)
{
	MDL *mdl = nrt_zalloc(sizeof(*mdl));

	(void)NdisHandle;
	if (mdl)
		mdl_init(mdl, VirtualAddress, Length);
	return mdl;
}

VOID NdisFreeMdl(PMDL Mdl)
{
	nrt_free(Mdl);
}

static void gather(const NET_BUFFER *nb, uint8_t *to, ULONG bytes)
{
	const MDL *mdl = nb->CurrentMdl;
	ULONG offset = nb->CurrentMdlOffset, part;

	while (bytes) {
		part = mdl->ByteCount - offset;
		if (part > bytes)
			part = bytes;
		memcpy(to, (const uint8_t *)mdl->MappedSystemVa + offset, part);
		to += part;
		bytes -= part;
		offset = 0;
		mdl = mdl->Next;
	}
}

PVOID NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded, PVOID Storage,
			ULONG AlignMultiple, ULONG AlignOffset)
{
	const MDL *mdl = NetBuffer->CurrentMdl;
	uint8_t *place;

	if (!BytesNeeded || BytesNeeded > NetBuffer->DataLength)
		return NULL;
	place = (uint8_t *)mdl->MappedSystemVa + NetBuffer->CurrentMdlOffset;
	if (mdl->ByteCount - NetBuffer->CurrentMdlOffset >= BytesNeeded &&
	    (AlignMultiple <= 1 || ((uintptr_t)place - AlignOffset) % AlignMultiple == 0))
		return place;
	if (Storage)
		gather(NetBuffer, Storage, BytesNeeded);
	return Storage;
}
