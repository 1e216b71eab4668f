/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_nblq.h - queues and chains of NET_BUFFER_LISTs.
 *
 * A *chain* is what NDIS hands around: a pointer to the first list, linked through Next, NULL at
 * the end. A *queue* is a chain whose last element is known. Next is followed and written here and
 * nowhere else in the tree.
 *
 *     push one -> [a] [b] [c] -> pop one
 *
 *     push_chain, push_front_chain, splice: constant time for queues, one walk for a chain whose
 *                                           end is not known
 *     take_all:                             the whole content as a chain, queue empty afterwards
 *     remove:                               one element from anywhere (cancel); linear
 *
 * Context: none of these functions locks; a queue has one owner. Whether elements may be null is
 *          said per function.
 */
#ifndef NDIS_NRT_NBLQ_H
#define NDIS_NRT_NBLQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndis/nbl.h>

struct nrt_nblq {
	NET_BUFFER_LIST *head; /* NULL when empty */
	NET_BUFFER_LIST *tail; /* undefined when empty */
};

/* Walk a chain that is not changed meanwhile. */
#define NRT_NBL_FOREACH(nbl, chain) for ((nbl) = (chain); (nbl); (nbl) = (nbl)->Next)

/* Walk a chain whose elements may be freed or relinked by the body; keep holds the next element. */
#define NRT_NBL_FOREACH_SAFE(nbl, keep, chain)                                                     \
	for ((nbl) = (chain); (nbl) && ((keep) = (nbl)->Next, 1); (nbl) = (keep))

static inline void nrt_nblq_init(struct nrt_nblq *queue)
{
	queue->head = NULL;
	queue->tail = NULL;
}

static inline bool nrt_nblq_empty(const struct nrt_nblq *queue)
{
	return !queue->head;
}

static inline NET_BUFFER_LIST *nrt_nblq_first(const struct nrt_nblq *queue)
{
	return queue->head;
}

/* nrt_nblq_push() - append one list; what its Next was does not matter. */
static inline void nrt_nblq_push(struct nrt_nblq *queue, NET_BUFFER_LIST *nbl)
{
	nbl->Next = NULL;
	if (queue->head)
		queue->tail->Next = nbl;
	else
		queue->head = nbl;
	queue->tail = nbl;
}

static inline void nrt_nblq_push_front(struct nrt_nblq *queue, NET_BUFFER_LIST *nbl)
{
	if (!queue->head)
		queue->tail = nbl;
	nbl->Next = queue->head;
	queue->head = nbl;
}

/* nrt_nblq_pop() - take the first list out, alone (Next NULL); NULL when the queue is empty. */
static inline NET_BUFFER_LIST *nrt_nblq_pop(struct nrt_nblq *queue)
{
	NET_BUFFER_LIST *nbl = queue->head;

	if (nbl) {
		queue->head = nbl->Next;
		nbl->Next = NULL;
	}
	return nbl;
}

/* nrt_nblq_take_all() - the content as a chain; NULL when the queue is empty. */
static inline NET_BUFFER_LIST *nrt_nblq_take_all(struct nrt_nblq *queue)
{
	NET_BUFFER_LIST *chain = queue->head;

	queue->head = NULL;
	return chain;
}

/* nrt_nblq_splice() - append all of from, which is empty afterwards. */
static inline void nrt_nblq_splice(struct nrt_nblq *queue, struct nrt_nblq *from)
{
	if (!from->head)
		return;
	if (queue->head)
		queue->tail->Next = from->head;
	else
		queue->head = from->head;
	queue->tail = from->tail;
	from->head = NULL;
}

/* Both take a chain, NULL allowed. */
void nrt_nblq_push_chain(struct nrt_nblq *queue, NET_BUFFER_LIST *chain);
void nrt_nblq_push_front_chain(struct nrt_nblq *queue, NET_BUFFER_LIST *chain);

/* nrt_nblq_remove() - take nbl out, alone. Returns: whether it was in the queue. */
bool nrt_nblq_remove(struct nrt_nblq *queue, NET_BUFFER_LIST *nbl);

size_t nrt_nblq_count(const struct nrt_nblq *queue);

/* Chains; NULL is the empty chain. */
NET_BUFFER_LIST *nrt_nbl_last(NET_BUFFER_LIST *chain); /* NULL for the empty chain */
size_t nrt_nbl_count(const NET_BUFFER_LIST *chain);
NET_BUFFER_LIST *nrt_nbl_concat(NET_BUFFER_LIST *first, NET_BUFFER_LIST *second);

/* nrt_nbl_split() - cut the chain behind nbl. Returns: what followed nbl, NULL if nothing did. */
static inline NET_BUFFER_LIST *nrt_nbl_split(NET_BUFFER_LIST *nbl)
{
	NET_BUFFER_LIST *rest = nbl->Next;

	nbl->Next = NULL;
	return rest;
}

/* nrt_nbl_set_status() - the same Status for every list of a chain. */
void nrt_nbl_set_status(NET_BUFFER_LIST *chain, NDIS_STATUS status);

/* nrt_nbl_bytes() - DataLength of all NET_BUFFERs of all lists of the chain. */
uint64_t nrt_nbl_bytes(const NET_BUFFER_LIST *chain);

#endif
