/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_nblq.h - queues of NET_BUFFER_LISTs that the target owns.
 *
 * Two kinds of link, two sets of functions. A *queue* of waiting requests is linked through
 * MiniportReserved[0], as the interface suggests, so that Next stays what the host made it until
 * the list leaves. A *chain* of lists on their way up is linked through Next. MiniportReserved[1]
 * belongs to whoever queues. Below are the few ways in which the target reads and writes the bytes
 * that a list describes.
 */
#ifndef TARGET_TGT_NBLQ_H
#define TARGET_TGT_NBLQ_H

#include <ndis/nbl.h>
#include <stddef.h>
#include <stdint.h>

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

/* Take the last list out; a walk, for the rare case. */
static inline NET_BUFFER_LIST *tgt_nblq_pop_last(struct tgt_nblq *q)
{
	NET_BUFFER_LIST *nbl = q->head, *before = NULL;

	if (!nbl || nbl == q->tail)
		return tgt_nblq_pop(q);
	for (; nbl != q->tail; nbl = nbl->MiniportReserved[0])
		before = nbl;
	before->MiniportReserved[0] = NULL;
	q->tail = before;
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

/* ---- the bytes that lists describe ---- */

/* Bytes of all NET_BUFFERs of one list. */
static inline uint32_t tgt_nbl_bytes(const NET_BUFFER_LIST *nbl)
{
	uint32_t n = 0;

	for (const NET_BUFFER *nb = nbl->FirstNetBuffer; nb; nb = nb->Next)
		n += nb->DataLength;
	return n;
}

/* A place in the data of a NET_BUFFER. */
struct tgt_nb_cursor {
	MDL *mdl;
	uint32_t mdl_off;
	uint32_t left; /* bytes up to the end of the NET_BUFFER */
};

/* Cursor off bytes behind the start of the data; off is at most DataLength. */
static inline struct tgt_nb_cursor tgt_nb_at(const NET_BUFFER *nb, uint32_t off)
{
	struct tgt_nb_cursor c = { nb->CurrentMdl, nb->CurrentMdlOffset + off,
				   nb->DataLength - off };

	while (c.mdl && c.mdl_off >= c.mdl->ByteCount) {
		c.mdl_off -= c.mdl->ByteCount;
		c.mdl = c.mdl->Next;
	}
	return c;
}

/*
 * Contiguous bytes at the cursor, 0 at the end (or when the MDL chain is shorter than it claims).
 */
static inline uint32_t tgt_nb_run(const struct tgt_nb_cursor *c, uint8_t **data)
{
	uint32_t n;

	if (!c->mdl)
		return 0;
	*data = (uint8_t *)c->mdl->MappedSystemVa + c->mdl_off;
	n = c->mdl->ByteCount - c->mdl_off;
	return n < c->left ? n : c->left;
}

static inline void tgt_nb_skip(struct tgt_nb_cursor *c, uint32_t n)
{
	c->left -= n;
	c->mdl_off += n;
	while (c->mdl && c->mdl_off >= c->mdl->ByteCount) {
		c->mdl_off -= c->mdl->ByteCount;
		c->mdl = c->mdl->Next;
	}
}

/* Move the data start of a list n bytes on, over all its NET_BUFFERs (SND-20, RCV-23). */
static inline void tgt_nbl_advance(NET_BUFFER_LIST *nbl, uint32_t n)
{
	for (NET_BUFFER *nb = nbl->FirstNetBuffer; nb && n; nb = nb->Next) {
		uint32_t part = nb->DataLength < n ? nb->DataLength : n;

		if (part)
			NdisAdvanceNetBufferDataStart(nb, part, FALSE, NULL);
		n -= part;
	}
}

#endif
