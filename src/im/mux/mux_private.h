/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_private.h - the objects of the team driver.
 *
 *        protocol above
 *     ------------------- miniport edge ----------------------
 *      struct mux_team "team0"
 *           |               |
 *      struct mux_member  struct mux_member ...   (one binding each)
 *     ------------------- protocol edge ----------------------
 *      miniport "tgt0"     miniport "tgt1"
 *
 *     struct mux_entry  IM offload entry: one per object that the host has offloaded to the team
 *     struct mux_leg    the object at one member, with the NDIS_OFFLOAD_HANDLE for it. A connection
 *                       has one leg, its owner's. A path or neighbor has one at every member that
 *                       a connection below it needed so far.
 *     struct mux_call   one state operation of the host, from the call to its completion
 *     struct mux_part   IM call entry: the part of it that one member carries out
 *     struct mux_piece  one block of the host's tree and what became of it at each member
 *
 * Data needs no allocation: a completion comes for the binding of one member, and a member belongs
 * to one team; an indicated list carries the number of its member on its way (mux_io.c).
 *
 * Threads: the worker that owns the adapters of the stack; wiring calls under the runtime's lock.
 */
#ifndef IM_MUX_PRIVATE_H
#define IM_MUX_PRIVATE_H

#include "im/im_edge.h"
#include "ndis/nrt_nblq.h"
#include "im/mux/mux.h"

struct mux_team;

struct mux_member {
	struct mux_team *team; /* NULL: the team is gone, the binding is being closed */
	NDIS_HANDLE binding;   /* NULL: not bound (any more) */
	NDIS_HANDLE unbind_context;
	char *name;
	unsigned int index;
	struct im_facts facts;
	bool link_up;
	bool in_use;          /* the administrator's word */
	bool awake;           /* in D0 */
	bool leaving;         /* being unbound */
	bool paused;          /* asked not to offload to it */
	bool emptying;        /* asked for an upload of everything that it has */
	unsigned int objects; /* legs that are there or being made */
	unsigned int connections;
	NET_PNP_EVENT_NOTIFICATION *power_event; /* pends until the member is empty */
};

struct mux_team {
	NDIS_HANDLE miniport;
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS events;
	char *name;
	enum mux_mode mode;
	struct mux_team *next;
	struct mux_member *members[MUX_MEMBERS_MAX];
	unsigned int member_count;
	struct mux_member
		*active;       /* active/backup: who carries everything; NULL: nobody has link */
	struct im_facts facts; /* as told to the drivers above */
	bool link_told;
	bool paused;           /* told above */
	unsigned int draining; /* bits of the members that the host was asked to empty */
	bool deciding, again;  /* mux_team_reconsider() is on the stack, and was called in there */
	bool halting;
	unsigned int outstanding; /* lists of the drivers above that are on their way down */
	bool pausing;
	ULONG packet_filter; /* what the drivers above want */
	NDIS_HANDLE forward_pool;
	struct mux_entry **conns;               /* offloaded connections by addresses and ports */
	uint32_t conn_mask;                     /* buckets less one */
	struct mux_entry *entries;              /* all */
	struct mux_one *one;                    /* for terminates without memory */
	union im_block *waiting, *waiting_last; /* trees that cannot be split yet (mux_tree.c) */
	uint64_t failovers, forwarded, forwards_returned, forwards_unheld;
};

struct mux_leg {
	NDIS_OFFLOAD_HANDLE handle; /* ours; the context of the driver below is in here */
	struct mux_entry *entry;
	struct mux_member *member;
	bool there, making;
};

struct mux_addresses {
	bool v6;
	UCHAR local[16], remote[16];
};

/* IM offload entry. */
struct mux_entry {
	NDIS_HANDLE upper; /* the handle of the driver above, for indications */
	PVOID *slot;       /* where the driver above looks for our context: this entry */
	struct mux_team *team;
	enum im_layer layer;
	unsigned int refs;        /* one while the object lives, one for each entry below it */
	unsigned int updating;    /* updates of the object that are under way */
	struct mux_entry *parent; /* path of a connection, neighbor of a path */
	struct mux_entry *next, **link; /* of the team */
	struct mux_entry *grave;        /* next one that ends with the same operation (mux_one.c) */
	union {
		struct {
			NEIGHBOR_OFFLOAD_STATE_CONST constant;
			NEIGHBOR_OFFLOAD_STATE_CACHED cached;
		} neighbor;
		struct {
			struct mux_addresses addresses;
			PATH_OFFLOAD_STATE_CACHED cached;
		} path;
		struct {
			USHORT local_port, remote_port; /* network order */
			bool hashed;
			bool ending; /* a terminate is under way: nothing is forwarded (FWD-06) */
			struct mux_entry *hash_next;
		} tcp;
	} state; /* what a further leg is made of, and what received segments are compared with */
	unsigned int leg_count; /* 1 for a connection, else one a member, by its index */
	struct mux_leg legs[];
};

/* ---- mux_driver.c ---- */
extern struct im_driver mux_driver;

/* mux_member_depart() - the member is empty and its unbind pends: close the binding. */
void mux_member_depart(struct mux_member *member);
/* mux_list_done() - count lists of the drivers above have come back; a pause may wait for that. */
void mux_lists_done(struct mux_team *team, unsigned int count);

/* ---- mux_team.c: members and what the host is told ---- */

bool mux_member_usable(const struct mux_member *member);
/* mux_team_combine() - facts of the virtual miniport from those of its members with link. */
void mux_team_combine(const struct mux_team *team, struct im_facts *facts);
/* mux_team_begin() - before the virtual miniport is made: first active member, first facts. */
void mux_team_begin(struct mux_team *team);
/*
 * mux_team_reconsider() - something about a member has changed: choose who carries what, ask the
 * host to terminate or to offload again. May be called from anywhere; nested calls are done by the
 * outer one.
 */
void mux_team_reconsider(struct mux_team *team);
/*
 * mux_choose() - the member for a new connection or for a plain frame. addresses NULL: for
 * something that is no connection. Returns: NULL when no member has link.
 */
struct mux_member *mux_choose(const struct mux_team *team, const struct mux_addresses *addresses,
			      USHORT local_port, USHORT remote_port);
const char *mux_team_reason(const struct mux_team *team);
void mux_status(NDIS_HANDLE context, NDIS_STATUS_INDICATION *indication);
NDIS_STATUS mux_pnp_event(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *notification);

/* ---- mux_entry.c ---- */

/* mux_entry_new() - for the new object of a block; takes what it needs of the state behind it. */
struct mux_entry *mux_entry_new(struct mux_team *team, const union im_block *block,
				struct mux_entry *parent);
void mux_entry_put(struct mux_entry *entry);
/* mux_entry_adopt() - a path moves to another neighbor. */
void mux_entry_adopt(struct mux_entry *path, struct mux_entry *neighbor);
/* mux_entry_update() - take over cached values behind an update's block. */
void mux_entry_update(struct mux_entry *entry, const union im_block *block);
struct mux_leg *mux_entry_leg(struct mux_entry *entry, const struct mux_member *member);
void mux_leg_make(struct mux_leg *leg);
void mux_leg_made(struct mux_leg *leg, bool there);
void mux_leg_gone(struct mux_leg *leg);
/* mux_conn_insert() - from now on received segments find the connection. */
void mux_conn_insert(struct mux_entry *entry);
void mux_conn_remove(struct mux_entry *entry);
struct mux_entry *mux_conn_find(const struct mux_team *team, const struct mux_addresses *addresses,
				USHORT local_port, USHORT remote_port);
uint64_t mux_hash(const struct mux_addresses *addresses, USHORT local_port, USHORT remote_port);
int mux_table_create(struct mux_team *team);
void mux_table_destroy(struct mux_team *team);

static inline struct mux_leg *mux_leg_of(NDIS_OFFLOAD_HANDLE *handle)
{
	return CONTAINING_RECORD(handle, struct mux_leg, handle);
}

/* ---- mux_tree.c, mux_block.c: state operations ---- */

void mux_state_call(struct mux_team *team, enum im_op op, union im_block *root);
void mux_part_completed(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list);
int mux_one_create(struct mux_team *team);
void mux_one_destroy(struct mux_team *team);

/* ---- mux_offload.c, mux_io.c: the handlers of both edges ---- */
extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS mux_provider_generic;
extern const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS mux_client_generic;
extern const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS mux_provider_tcp;
extern const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS mux_client_tcp;

/*
 * mux_mark(), mux_unmark() - write the member's number into a list that goes up, take it out of one
 * that comes back. mux_unmark() returns the number.
 */
void mux_mark(NET_BUFFER_LIST *nbl, const struct mux_member *member);
unsigned int mux_unmark(NET_BUFFER_LIST *nbl);

/* mux_sort_back() - unmark a chain that comes back; lists[] gets each member's part, in order. */
void mux_sort_back(const struct mux_team *team, NET_BUFFER_LIST *chain,
		   struct nrt_nblq lists[MUX_MEMBERS_MAX]);
void mux_mark_chain(NET_BUFFER_LIST *chain, const struct mux_member *member);

/* ---- mux_forward.c: segments that came in on the wrong member ---- */

void mux_receive(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG count,
		 ULONG flags);
void mux_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags);
bool mux_forward_is_ours(const struct mux_team *team, const NET_BUFFER_LIST *nbl);
void mux_forward_done(struct mux_team *team, NET_BUFFER_LIST *nbl);
int mux_forward_create(struct mux_team *team);
void mux_forward_destroy(struct mux_team *team);

/* ---- mux_frame.c ---- */

/* What is known of a frame that holds one TCP segment, or one super-frame of them. */
struct mux_frame {
	struct mux_addresses source_first;    /* local: source, remote: destination, as sent */
	USHORT source_port, destination_port; /* network order */
	bool tagged;
	uint16_t vlan_id;
	uint32_t l3, l4, payload; /* offsets from the Ethernet header */
	uint32_t len;             /* bytes that belong to the datagram, from the Ethernet header */
};

/*
 * mux_frame_parse() - head is the beginning of a frame, have bytes of it, of all bytes.
 * Returns: false for anything that is not a whole TCP segment in one datagram.
 */
bool mux_frame_parse(const UCHAR *head, uint32_t have, uint32_t all, struct mux_frame *frame);
/* mux_frame_good() - both checksums of the whole frame. */
bool mux_frame_good(const UCHAR *data, const struct mux_frame *frame);
/*
 * mux_frame_cut() - write the frame of part payload bytes from offset on to: headers of the frame
 * with lengths, sequence number, flags and checksums of that part. to has room for
 * frame->payload + part bytes.
 */
void mux_frame_cut(const UCHAR *data, const struct mux_frame *frame, uint32_t offset, uint32_t part,
		   UCHAR *to);

/* ---- mux_plain.c: requests and plain sends ---- */

NDIS_STATUS mux_oid_request(NDIS_HANDLE context, NDIS_OID_REQUEST *request);
void mux_oid_request_complete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status);
/* mux_listen() - have a member indicate frames, so that segments for the others can be
 * forwarded. */
int mux_listen(struct mux_member *member);
void mux_send(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG flags);
void mux_send_complete(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags);
void mux_cancel_send(NDIS_HANDLE context, PVOID cancel_id);

#endif
