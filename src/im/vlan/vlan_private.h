/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_private.h - the objects of the VLAN driver.
 *
 *        protocol above                      protocol above
 *     ------------------- miniport edge ----------------------
 *      struct vlan_adapter "vlan100"       struct vlan_adapter "vlan200"
 *                       \                   /
 *                     struct vlan_lower (one binding: the chimney of an adapter has one user)
 *     ------------------- protocol edge ----------------------
 *        miniport below "tgt0"
 *
 *     struct vlan_entry  IM offload entry: one per object that is offloaded through us
 *     struct vlan_call   IM call entry: one per state operation, from the call to its completion
 *     struct vlan_note   in NET_BUFFER_LIST_CONTEXT of every list on its way down: a completion
 *     comes
 *                        for the binding and has to find its virtual adapter
 *
 * Threads: the worker that owns the adapters of the stack; wiring calls under the runtime's lock.
 */
#ifndef IM_VLAN_PRIVATE_H
#define IM_VLAN_PRIVATE_H

#include "im/im_edge.h"
#include "im/vlan/vlan.h"

#define VLAN_TAG 0x6e616c56u /* "Vlan" */

struct vlan_entry;
struct vlan_lower;

struct vlan_adapter {
	NDIS_HANDLE miniport;
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS events;
	struct vlan_lower *lower;
	struct vlan_adapter *next; /* above the same binding */
	char *name;
	uint16_t id;
	uint8_t priority;
	struct vlan_entry *entries;
	unsigned int objects;     /* of them */
	unsigned int outstanding; /* lists on their way down; a pause waits for them */
	bool pausing, removing;
	ULONG packet_filter; /* what the drivers above want */
	uint64_t refused, unheld;
};

struct vlan_lower {
	NDIS_HANDLE binding;
	NDIS_HANDLE unbind_context;
	bool in_unbind; /* the unbind handler is on the stack */
	struct vlan_adapter *adapters;
	struct vlan_lower *next;
	char *name;
	struct im_facts facts;
	NDIS_HANDLE pool;                        /* for received frames whose tag is in the frame */
	NET_PNP_EVENT_NOTIFICATION *power_event; /* pends until nothing is offloaded */
	uint64_t unmatched;
};

/* IM call entry. */
struct vlan_call {
	enum im_op op;
	bool spare, busy; /* part of an offload entry; in use */
	struct vlan_adapter *adapter;
	union im_block *root; /* as it came */
	union im_block *down; /* root of what went down: the first block that is not refused */
	PVOID im_reserved[2]; /* of down, as they came */
	PVOID source_handle;
	union im_block *refused;  /* the block cut out last; linked through MiniportReserved */
	struct vlan_entry *fresh; /* entries made for this call that no block has yet */
	struct vlan_entry *dead;  /* entries to free when the completion has been passed on */
};

/* IM offload entry. */
struct vlan_entry {
	NDIS_OFFLOAD_HANDLE handle; /* ours; the context of the driver below is in here */
	NDIS_HANDLE upper;          /* the handle of the driver above, for indications */
	PVOID *slot;                /* where the driver above looks for our context: this entry */
	struct vlan_adapter *adapter;
	struct vlan_entry *next;          /* in one of the lists of a call entry */
	struct vlan_entry *after, **link; /* of the virtual adapter, from the offload to the end */
	/* Values of the driver above, where ours are in force below: it sees its own again. */
	uint16_t vlan_id;
	uint8_t priority;
	uint8_t new_priority; /* of an update that is under way */
	/* A host that is short of memory uploads: that must not need memory here. */
	struct vlan_call terminate, invalidate;
};

/* What a list carries on its way down. */
struct vlan_note {
	struct vlan_adapter *adapter;
	NDIS_HANDLE source; /* SourceHandle and tag as they came; plain sends only */
	PVOID tag;
};

extern struct im_driver vlan_driver;

/* ---- vlan_driver.c ---- */
void vlan_list_done(struct vlan_adapter *adapter);
/* vlan_emptied() - fewer objects are offloaded: a change of power may wait for the last one. */
void vlan_emptied(struct vlan_lower *lower);

/* ---- vlan_offload.c, vlan_io.c: the handlers of both edges ---- */

/* vlan_entries_free() - what a host left behind, when its virtual adapter goes. */
void vlan_entries_free(struct vlan_adapter *adapter);
extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS vlan_provider_generic;
extern const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS vlan_client_generic;
extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS vlan_provider_tcp;
extern const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS vlan_client_tcp;

/* vlan_note() - put the note into every list of a chain. False: no memory, then no list has one. */
bool vlan_note(struct vlan_adapter *adapter, NET_BUFFER_LIST *chain);
/* vlan_unnote() - take it out of one list. vlan_unnote_chain() - out of all of a chain. */
struct vlan_note vlan_unnote(NET_BUFFER_LIST *nbl);
void vlan_unnote_chain(NET_BUFFER_LIST *chain);

/*
 * vlan_each_run() - take the notes out of a completed chain and cut it into runs of lists that came
 * through the same virtual adapter.
 */
typedef void vlan_run_fn(struct vlan_adapter *adapter, NET_BUFFER_LIST *run, ULONG flags);
void vlan_each_run(NET_BUFFER_LIST *chain, ULONG flags, vlan_run_fn *fn);

/* ---- vlan_plain.c ---- */
NDIS_STATUS vlan_oid_request(NDIS_HANDLE context, NDIS_OID_REQUEST *request);
void vlan_oid_request_complete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status);
void vlan_status(NDIS_HANDLE context, NDIS_STATUS_INDICATION *indication);
NDIS_STATUS vlan_pnp_event(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *notification);
void vlan_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags);
void vlan_send_complete(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags);
void vlan_cancel_send(NDIS_HANDLE context, PVOID cancel_id);

/* ---- vlan_receive.c ---- */
void vlan_receive(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG count,
		  ULONG flags);
void vlan_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags);
int vlan_receive_create(struct vlan_lower *lower);
void vlan_receive_destroy(struct vlan_lower *lower);

#endif
