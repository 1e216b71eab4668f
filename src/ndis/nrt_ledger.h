/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_ledger.h - who has which NET_BUFFER_LIST: debug builds only.
 *
 * NDIS sees every list that passes from one driver to another. In debug builds it notes in
 * NdisReserved of the list which driver has it, since when and by which call:
 *
 *     NdisReserved[0]   the driver; NULL: whoever allocated it, it was never handed over
 *     NdisReserved[1]   number of the hand-over (a count of all of them), and the call
 *
 * and in the binding how many lists of each kind of request the miniport has. Four things then end
 * the program with a message that names the list, both drivers and both calls:
 *
 *     handing over, completing, indicating or returning a list that one does not have
 *     completing more requests than were made, returning more lists than were indicated
 *     closing a binding while the miniport still has lists of it
 *     freeing a list that somebody else has (pools whose owner gave its handle)
 *
 * The two edges of an intermediate driver (NdisIMAssociateMiniport()) are one driver here. Costs a
 * walk over the chain per hand-over; release builds compile all of it away.
 *
 * Context: as the call that hands over; an adapter's lists belong to its worker.
 */
#ifndef NDIS_NRT_LEDGER_H
#define NDIS_NRT_LEDGER_H

#include <ndis/nbl.h>

struct nrt_adapter;
struct nrt_driver;
struct nrt_open;

/* Requests by what becomes of them. */
enum nrt_ledger_kind {
	NRT_LEDGER_SEND, /* also the send data of an initiate and of a terminate */
	NRT_LEDGER_RECEIVE,
	NRT_LEDGER_FORWARD,
	NRT_LEDGER_DISCONNECT,
	NRT_LEDGER_PLAIN_SEND,
	NRT_LEDGER_KINDS
};

enum nrt_ledger_call {
	NRT_BY_ALLOCATION,
	NRT_BY_SEND,
	NRT_BY_RECEIVE,
	NRT_BY_FORWARD,
	NRT_BY_DISCONNECT,
	NRT_BY_INITIATE,
	NRT_BY_PLAIN_SEND,
	NRT_BY_SEND_COMPLETE,
	NRT_BY_RECEIVE_COMPLETE,
	NRT_BY_FORWARD_COMPLETE,
	NRT_BY_DISCONNECT_COMPLETE,
	NRT_BY_INITIATE_COMPLETE,
	NRT_BY_TERMINATE_COMPLETE,
	NRT_BY_PLAIN_SEND_COMPLETE,
	NRT_BY_INDICATE,
	NRT_BY_PLAIN_INDICATE,
	NRT_BY_RECEIVE_RETURN,
	NRT_BY_PLAIN_RETURN,
	NRT_LEDGER_CALLS
};

#ifndef NDEBUG
#define NRT_LEDGER 1

/* Requests: down through a binding, and back. The chain may be NULL. */
void nrt_ledger_down(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call);
void nrt_ledger_up(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call);

/*
 * Indications: up through a binding, and back. nrt_ledger_take_back() after a refusal;
 * nrt_ledger_unlend() the same where the binding may be closed already.
 */
void nrt_ledger_lend(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call);
void nrt_ledger_take_back(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call);
void nrt_ledger_unlend(struct nrt_driver *protocol, struct nrt_adapter *adapter,
		       NET_BUFFER_LIST *chain, enum nrt_ledger_call call);
void nrt_ledger_return(struct nrt_open *open, NET_BUFFER_LIST *chain, enum nrt_ledger_call call);

/* nrt_ledger_party() - the driver behind a handle of any kind, as the ledger counts; NULL: none. */
struct nrt_driver *nrt_ledger_party(NDIS_HANDLE handle);

/* nrt_ledger_free() - a list goes back to the pool of owner (NULL: not known). */
void nrt_ledger_free(NET_BUFFER_LIST *nbl, const struct nrt_driver *owner);

/* nrt_ledger_close() - the protocol closes a binding: the miniport must have nothing of it. */
void nrt_ledger_close(const struct nrt_open *open);

#else
#define NRT_LEDGER 0

static inline void nrt_ledger_down(struct nrt_open *open, NET_BUFFER_LIST *chain,
				   enum nrt_ledger_call call)
{
	(void)open, (void)chain, (void)call;
}

static inline void nrt_ledger_up(struct nrt_open *open, NET_BUFFER_LIST *chain,
				 enum nrt_ledger_call call)
{
	(void)open, (void)chain, (void)call;
}

static inline void nrt_ledger_lend(struct nrt_open *open, NET_BUFFER_LIST *chain,
				   enum nrt_ledger_call call)
{
	(void)open, (void)chain, (void)call;
}

static inline void nrt_ledger_take_back(struct nrt_open *open, NET_BUFFER_LIST *chain,
					enum nrt_ledger_call call)
{
	(void)open, (void)chain, (void)call;
}

static inline void nrt_ledger_unlend(struct nrt_driver *protocol, struct nrt_adapter *adapter,
				     NET_BUFFER_LIST *chain, enum nrt_ledger_call call)
{
	(void)protocol, (void)adapter, (void)chain, (void)call;
}

static inline void nrt_ledger_return(struct nrt_open *open, NET_BUFFER_LIST *chain,
				     enum nrt_ledger_call call)
{
	(void)open, (void)chain, (void)call;
}

static inline struct nrt_driver *nrt_ledger_party(NDIS_HANDLE handle)
{
	(void)handle;
	return NULL;
}

static inline void nrt_ledger_free(NET_BUFFER_LIST *nbl, const struct nrt_driver *owner)
{
	(void)nbl, (void)owner;
}

static inline void nrt_ledger_close(const struct nrt_open *open)
{
	(void)open;
}
#endif

#endif
