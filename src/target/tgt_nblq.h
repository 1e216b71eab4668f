/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_nblq.h - queues of NET_BUFFER_LISTs that the target owns.
 *
 * Two kinds of link, two sets of functions. A *queue* of waiting requests is linked through MiniportReserved[0], as
 * the interface suggests, so that Next stays what the host made it until the list leaves. A *chain* of lists on
 * their way up is linked through Next. MiniportReserved[1] belongs to whoever queues.
 */
#ifndef TARGET_TGT_NBLQ_H
#define TARGET_TGT_NBLQ_H

#include <ndis/nbl.h>
#include <stddef.h>

struct tgt_nblq {
	NET_BUFFER_LIST *head, *tail; /* tail is valid while head is */
};

struct tgt_nbl_chain {
	NET_BUFFER_LIST *first, *last;
};

static inline NET_BUFFER_LIST *tgt_nblq_next(const NET_BUFFER_LIST *nbl)
{
	return nbl->MiniportReserved[0];
}

static inline void tgt_nblq_push(struct tgt_nblq *q, NET_BUFFER_LIST *nbl)
{
	nbl->MiniportReserved[0] = NULL;
	if (q->head)
		q->tail->MiniportReserved[0] = nbl;
	else
		q->head = nbl;
	q->tail = nbl;
}

static inline NET_BUFFER_LIST *tgt_nblq_pop(struct tgt_nblq *q)
{
	NET_BUFFER_LIST *nbl = q->head;

	if (nbl)
		q->head = nbl->MiniportReserved[0];
	return nbl;
}

static inline void tgt_nbl_chain_add(struct tgt_nbl_chain *c, NET_BUFFER_LIST *nbl)
{
	nbl->Next = NULL;
	if (c->first)
		c->last->Next = nbl;
	else
		c->first = nbl;
	c->last = nbl;
}

/* Take the first list off a chain handed in by NDIS; *chain moves on. */
static inline NET_BUFFER_LIST *tgt_nbl_chain_pop(NET_BUFFER_LIST **chain)
{
	NET_BUFFER_LIST *nbl = *chain;

	if (nbl) {
		*chain = nbl->Next;
		nbl->Next = NULL;
	}
	return nbl;
}

#endif
