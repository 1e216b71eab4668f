/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pt_private.h - the objects of the pass-through driver.
 *
 *        protocol above                      protocol above
 *     ------------------- miniport edge ----------------------
 *      struct pt_virtual "pt0"              struct pt_virtual "pt1"
 *                  \                          /
 *                   struct pt_below (one binding)
 *     ------------------- protocol edge ----------------------
 *        miniport below "tgt0"
 *
 *     struct pt_entry  IM offload entry: one per object that is offloaded through us, as long as it
 *                      is offloaded
 *     struct pt_call   IM call entry: one per state operation, from the call to its completion
 *     struct pt_io     in NET_BUFFER_LIST_CONTEXT of every list on its way: which virtual miniport
 *                      it came from
 *
 * Threads: the worker that owns the adapters of the stack; wiring calls under the runtime's lock.
 */
#ifndef IM_PT_PRIVATE_H
#define IM_PT_PRIVATE_H

#include <stdbool.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

#define PT_TAG 0x75726854u /* "Thru" */

struct pt_virtual {
	NDIS_HANDLE miniport; /* MiniportAdapterHandle: first argument of every call up */
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS events; /* a copy of what NdisMGetOffloadHandlers() gave */
	struct pt_below *below;
	struct pt_virtual *next; /* above the same binding */
	char *name;
	struct pt_entry *entries; /* one per object that is offloaded through here */
	unsigned int outstanding; /* lists on their way down; a pause waits for them */
	bool pausing;
	bool removing;
};

struct pt_below {
	NDIS_HANDLE binding; /* first argument of every state call down */
	NDIS_HANDLE unbind_context;
	bool in_unbind; /* the unbind handler is on the stack */
	struct pt_virtual *virtuals;
	struct pt_walk *walks;    /* over them, on the stack, innermost first */
	struct pt_entry *orphans; /* their virtual miniport is gone; indications may still come */
	struct pt_below *next;
	char *name;
	/*
	 * What the adapter said of itself when we bound to it; our virtual miniports say the same.
	 */
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES general;
	bool has_current, has_hardware;
	NDIS_TCP_CONNECTION_OFFLOAD current, hardware;
};

struct pt_driver {
	NDIS_HANDLE miniport, protocol;
	const char *wanted; /* what passthru_insert() is binding to; other offers are declined */
	struct pt_below *belows;
};

extern struct pt_driver pt_driver;

/* One block, seen from our miniport edge and from our protocol edge. */
union pt_block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST miniport;
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST protocol;
};

/* The five state operations. */
enum pt_op { PT_INITIATE, PT_TERMINATE, PT_UPDATE, PT_INVALIDATE, PT_QUERY };

/* IM call entry. */
struct pt_call {
	enum pt_op op;
	bool spare; /* part of an offload entry, not an allocation of its own */
	bool busy;  /* a spare one that is in use */
	struct pt_virtual *virtual;
	PVOID im_reserved[2];   /* of the root block, as it came */
	PVOID source_handle;    /* of the root block, as it came */
	struct pt_entry *fresh; /* entries made for this call that no block has yet */
	struct pt_entry *dead;  /* entries to free when the completion has been passed on */
};

/*
 * IM offload entry. It brings two call entries with it, so that what takes an object down or away
 * again never fails for want of memory. The links are of one list at a time: entries of the virtual
 * miniport, orphans, or one of the lists of a call entry (those leave link alone).
 */
struct pt_entry {
	NDIS_OFFLOAD_HANDLE handle; /* ours; the context of the driver below is in here */
	NDIS_HANDLE upper;          /* the handle of the driver above, for indications */
	PVOID *slot;                /* where the driver above looks for our context: this entry */
	struct pt_virtual *virtual; /* NULL: an orphan */
	struct pt_entry *next, **link;
	struct pt_call terminate, invalidate;
};

/* What we keep in the context space of a list. */
struct pt_io {
	struct pt_virtual *virtual;
	NDIS_HANDLE source; /* SourceHandle as it came; plain sends only */
};

/*
 * pt_offload.c: the handlers of both edges for state operations and the event that carries a block
 */
extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS pt_provider_generic;
extern const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS pt_client_generic;

/* pt_io.c: the same for data */
extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS pt_provider_tcp;
extern const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS pt_client_tcp;

/*
 * pt_track() - note in every list of the chain that it came through this virtual miniport.
 * Returns: false when there is no memory; then no list is marked.
 */
bool pt_track(struct pt_virtual *virtual, NET_BUFFER_LIST *chain);

/*
 * pt_untrack() - take the mark out of one list. Returns: what was noted.
 */
struct pt_io pt_untrack(NET_BUFFER_LIST *nbl);

/* pt_untrack_chain() - the same for all lists of a chain. */
void pt_untrack_chain(NET_BUFFER_LIST *chain);

/* pt_plain.c: handlers of the two edges that have nothing to do with chimney offload */
NDIS_STATUS pt_oid_request(NDIS_HANDLE context, NDIS_OID_REQUEST *request);
void pt_oid_request_complete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status);
void pt_status(NDIS_HANDLE context, NDIS_STATUS_INDICATION *indication);
NDIS_STATUS pt_pnp_event(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *notification);
void pt_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags);
void pt_send_complete(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags);
void pt_receive(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG count,
		ULONG flags);
void pt_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags);
void pt_cancel_send(NDIS_HANDLE context, PVOID cancel_id);

/* pt_driver.c: a list is no longer on its way */
void pt_list_done(struct pt_virtual *virtual);

/*
 * A walk over the virtual miniports above a binding that calls drivers: any of them may be removed
 * meanwhile, so the one in hand must not be looked at after a call.
 */
struct pt_walk {
	struct pt_below *below;
	struct pt_virtual *next; /* still to come; NULL: the one in hand is the last */
	struct pt_walk *outer;
};

void pt_walk_begin(struct pt_walk *walk, struct pt_below *below);
struct pt_virtual *pt_walk_next(struct pt_walk *walk);
void pt_walk_end(struct pt_walk *walk);

/* pt_offload.c: entries enter and leave a list */
void pt_entry_link(struct pt_entry *entry, struct pt_entry **list);
void pt_entry_unlink(struct pt_entry *entry);
void pt_entries_free(struct pt_entry *entries);

#endif
