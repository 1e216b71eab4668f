/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_request.h"

#include <stdlib.h>

void host_request_free(struct host_adapter *adapter, struct host_request *r)
{
	if (r->nbl)
		NdisFreeNetBufferList(r->nbl);
	if (r->mdl)
		NdisFreeMdl(r->mdl);
	host_block_put(r->block);
	r->next = adapter->requests_free;
	adapter->requests_free = r;
}

static struct host_request *request_get(struct host_adapter *adapter)
{
	struct host_request *r = adapter->requests_free;

	if (!r)
		return malloc(sizeof(*r));
	adapter->requests_free = r->next;
	return r;
}

struct host_request *host_request_new(struct host_conn *conn, struct host_block *block, size_t at,
				      uint32_t bytes)
{
	struct host_adapter *adapter = conn->adapter;
	struct host_request *r = request_get(adapter);

	if (!r)
		return NULL;
	*r = (struct host_request){ .conn = conn, .block = host_block_ref(block), .bytes = bytes };
	r->mdl = NdisAllocateMdl(NULL, block->data + at, bytes ? bytes : 1);
	if (r->mdl)
		r->nbl = NdisAllocateNetBufferAndNetBufferList(adapter->pool, 0, 0, r->mdl, 0,
							       bytes);
	if (!r->nbl) {
		host_request_free(adapter, r);
		return NULL;
	}
	NET_BUFFER_LIST_PROTOCOL_RESERVED(r->nbl)[0] = r;
	return r;
}

struct host_request *host_request_direct(struct host_conn *conn, const struct host_direct_io *io)
{
	struct host_adapter *adapter = conn->adapter;
	struct host_request *r = request_get(adapter);

	if (!r)
		return NULL;
	*r = (struct host_request){ .conn = conn, .cookie = io->cookie, .bytes = io->bytes };
	r->nbl = NdisAllocateNetBufferAndNetBufferList(adapter->pool, 0, 0, io->mdl, io->offset,
						       io->bytes);
	if (!r->nbl) {
		host_request_free(adapter, r);
		return NULL;
	}
	NET_BUFFER_LIST_PROTOCOL_RESERVED(r->nbl)[0] = r;
	return r;
}

void host_requests_drop(struct host_adapter *adapter)
{
	while (adapter->requests_free) {
		struct host_request *r = adapter->requests_free;

		adapter->requests_free = r->next;
		free(r);
	}
}

void host_requests_free(struct host_adapter *adapter, NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *next = NET_BUFFER_LIST_NEXT_NBL(chain);

		host_request_free(adapter, host_request_of(chain));
		chain = next;
	}
}

int host_nb_iov(const NET_BUFFER *nb, uint32_t skip, struct iovec *iov, int max)
{
	MDL *mdl = NET_BUFFER_CURRENT_MDL(nb);
	uint32_t offset = NET_BUFFER_CURRENT_MDL_OFFSET(nb) + skip,
		 left = NET_BUFFER_DATA_LENGTH(nb) - skip;
	int n = 0;

	while (left > 0 && mdl && n < max) {
		uint32_t here;

		if (offset >= MmGetMdlByteCount(mdl)) {
			offset -= MmGetMdlByteCount(mdl);
			mdl = NDIS_MDL_LINKAGE(mdl);
			continue;
		}
		here = MmGetMdlByteCount(mdl) - offset;
		here = here < left ? here : left;
		iov[n++] = (struct iovec){
			(uint8_t *)MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) + offset,
			here
		};
		left -= here;
		offset = 0;
		mdl = NDIS_MDL_LINKAGE(mdl);
	}
	return n;
}

int host_nbl_append(struct host_conn *conn, const NET_BUFFER_LIST *nbl, struct host_block **block)
{
	struct host_block_pool *pool = &conn->adapter->host->blocks;

	for (const NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb;
	     nb = NET_BUFFER_NEXT_NB(nb)) {
		uint32_t done = 0;

		while (done < NET_BUFFER_DATA_LENGTH(nb)) {
			struct iovec iov;
			int err;

			if (host_nb_iov(nb, done, &iov, 1) == 0)
				break;
			err = host_block_append(pool, block, iov.iov_base, iov.iov_len);
			if (err)
				return err;
			done += (uint32_t)iov.iov_len;
		}
	}
	return 0;
}
