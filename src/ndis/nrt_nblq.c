/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_nblq.h"

NET_BUFFER_LIST *nrt_nbl_last(NET_BUFFER_LIST *chain)
{
	if (!chain)
		return NULL;
	while (chain->Next)
		chain = chain->Next;
	return chain;
}

size_t nrt_nbl_count(const NET_BUFFER_LIST *chain)
{
	size_t count = 0;

	for (; chain; chain = chain->Next)
		count++;
	return count;
}

NET_BUFFER_LIST *nrt_nbl_concat(NET_BUFFER_LIST *first, NET_BUFFER_LIST *second)
{
	if (!first)
		return second;
	nrt_nbl_last(first)->Next = second;
	return first;
}

void nrt_nbl_set_status(NET_BUFFER_LIST *chain, NDIS_STATUS status)
{
	for (; chain; chain = chain->Next)
		chain->Status = status;
}

uint64_t nrt_nbl_bytes(const NET_BUFFER_LIST *chain)
{
	uint64_t bytes = 0;
	const NET_BUFFER *nb;

	for (; chain; chain = chain->Next)
		for (nb = chain->FirstNetBuffer; nb; nb = nb->Next)
			bytes += nb->DataLength;
	return bytes;
}

void nrt_nblq_push_chain(struct nrt_nblq *queue, NET_BUFFER_LIST *chain)
{
	struct nrt_nblq added = { chain, nrt_nbl_last(chain) };

	nrt_nblq_splice(queue, &added);
}

void nrt_nblq_push_front_chain(struct nrt_nblq *queue, NET_BUFFER_LIST *chain)
{
	struct nrt_nblq added = { chain, nrt_nbl_last(chain) };

	nrt_nblq_splice(&added, queue);
	if (added.head)
		*queue = added;
}

bool nrt_nblq_remove(struct nrt_nblq *queue, NET_BUFFER_LIST *nbl)
{
	NET_BUFFER_LIST **link, *before = NULL;

	for (link = &queue->head; *link; link = &(*link)->Next) {
		if (*link == nbl) {
			*link = nrt_nbl_split(nbl);
			if (queue->tail == nbl)
				queue->tail = before;
			return true;
		}
		before = *link;
	}
	return false;
}

size_t nrt_nblq_count(const struct nrt_nblq *queue)
{
	return nrt_nbl_count(queue->head);
}
