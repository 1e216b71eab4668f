/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_forward.c - what comes up the plain path: segments of an offloaded connection that came in on
 * another member than its owner are forwarded to the owner (FWD-05), everything else goes to the
 * drivers above.
 *
 * Who decides where a frame comes in is the switch at the other end of the wires; a member that
 * does not know the connection indicates it like any frame for the host's own stack.
 *
 * A forwarded segment is a copy: the indicated frame may be lent for the time of the call only, and
 * a super-frame has to be cut, as a forwarded list holds exactly one segment (FWD-02). The copy
 * keeps its Ethernet and IP headers in front of the data that is described, so that it can be given
 * to the host after all when the owner is being uploaded (FWD-06).
 *
 * While a terminate of the connection is under way nothing is forwarded, and before its initiate
 * has completed nobody here knows it: then the frame goes up, and the host keeps it.
 */
#include "im/mux/mux_private.h"

#include <errno.h>
#include <string.h>

#include "ndis/nrt_alloc.h"
#include "ndis/nrt_nblq.h"

#define HEAD_BYTES 192u /* Ethernet, tag, IPv4 with options, TCP with options */

/* One copy of a segment's frame. */
struct segment {
	MDL *mdl;
	uint32_t l4;
	UCHAR data[];
};

/* ---- Making and freeing ---- */

int mux_forward_create(struct mux_team *team)
{
	team->forward_pool = im_pool_create();
	return team->forward_pool ? 0 : -ENOMEM;
}

void mux_forward_destroy(struct mux_team *team)
{
	if (team->forward_pool)
		NdisFreeNetBufferListPool(team->forward_pool);
}

bool mux_forward_is_ours(const struct mux_team *team, const NET_BUFFER_LIST *nbl)
{
	return nbl->NdisPoolHandle == team->forward_pool;
}

static void segment_free(NET_BUFFER_LIST *nbl)
{
	struct segment *segment = nbl->ProtocolReserved[0];

	NdisFreeNetBufferList(nbl);
	NdisFreeMdl(segment->mdl);
	nrt_free(segment);
}

/* A list over bytes of frame memory; the TCP header is the first byte of the first MDL (FWD-02). */
static NET_BUFFER_LIST *segment_new(struct mux_team *team, uint32_t l4, uint32_t len)
{
	struct segment *segment = nrt_zalloc(sizeof(*segment) + len);
	NET_BUFFER_LIST *nbl = NULL;

	if (!segment)
		return NULL;
	segment->l4 = l4;
	segment->mdl = NdisAllocateMdl(NULL, segment->data + l4, len - l4);
	if (segment->mdl)
		nbl = NdisAllocateNetBufferAndNetBufferList(team->forward_pool, 0, 0, segment->mdl,
							    0, len - l4);
	if (!nbl) {
		NdisFreeMdl(segment->mdl);
		nrt_free(segment);
		return NULL;
	}
	nbl->ProtocolReserved[0] = segment;
	return nbl;
}

/* The owner is being uploaded: the host processes the segment itself, behind the state. */
static void give_to_host(struct mux_team *team, NET_BUFFER_LIST *forwarded)
{
	struct segment *segment = forwarded->ProtocolReserved[0];
	uint32_t len = segment->l4 + MmGetMdlByteCount(segment->mdl);
	MDL *mdl = NdisAllocateMdl(NULL, segment->data, len);
	NET_BUFFER_LIST *nbl = NULL;

	if (mdl)
		nbl = NdisAllocateNetBufferAndNetBufferList(team->forward_pool, 0, 0, mdl, 0, len);
	if (nbl) {
		team->forwards_returned++;
		NdisMIndicateReceiveNetBufferLists(team->miniport, nbl, NDIS_DEFAULT_PORT_NUMBER, 1,
						   NDIS_RECEIVE_FLAGS_RESOURCES);
		NdisFreeNetBufferList(nbl);
	}
	NdisFreeMdl(mdl);
}

void mux_forward_done(struct mux_team *team, NET_BUFFER_LIST *nbl)
{
	if (NET_BUFFER_LIST_STATUS(nbl) == NDIS_STATUS_UPLOAD_IN_PROGRESS)
		give_to_host(team, nbl);
	segment_free(nbl);
}

/* ---- Whose frame it is ---- */

/* VLN-14, VLN-15: a neighbor without VLAN takes any tag, one with takes its own. */
static bool vlan_fits(const struct mux_entry *conn, const struct mux_frame *frame)
{
	const struct mux_entry *neighbor = conn->parent->parent;
	ULONG id = neighbor ? neighbor->state.neighbor.constant.VlanId : 0;

	return !id || (frame->tagged && frame->vlan_id == id);
}

static struct mux_entry *owner_of(const struct mux_team *team, const struct mux_frame *frame)
{
	struct mux_addresses ours = { .v6 = frame->source_first.v6 };
	struct mux_entry *conn;

	memcpy(ours.local, frame->source_first.remote, sizeof(ours.local));
	memcpy(ours.remote, frame->source_first.local, sizeof(ours.remote));
	conn = mux_conn_find(team, &ours, frame->destination_port, frame->source_port);
	if (!conn || conn->state.tcp.ending || !conn->legs[0].there || !vlan_fits(conn, frame))
		return NULL;
	return conn;
}

/* The connection that the list's frame is to be forwarded to; NULL: the frame goes up. */
static struct mux_entry *wrong_member(const struct mux_member *member, NET_BUFFER_LIST *nbl,
				      struct mux_frame *frame)
{
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	uintptr_t tag = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
	UCHAR storage[HEAD_BYTES];
	struct mux_entry *conn;
	const UCHAR *head;
	uint32_t have;

	if (!nb || NET_BUFFER_NEXT_NB(nb))
		return NULL;
	have = NET_BUFFER_DATA_LENGTH(nb) < HEAD_BYTES ? NET_BUFFER_DATA_LENGTH(nb) : HEAD_BYTES;
	head = NdisGetDataBuffer(nb, have, storage, 1, 0);
	if (!head || !mux_frame_parse(head, have, NET_BUFFER_DATA_LENGTH(nb), frame))
		return NULL;
	if (tag && !frame->tagged) {
		frame->tagged = true;
		frame->vlan_id = im_tag_id(tag);
	}
	conn = owner_of(member->team, frame);
	return conn && conn->legs[0].member != member ? conn : NULL;
}

/* ---- Forwarding ---- */

/* The whole frame in one piece; NULL: no memory. scratch is to be freed. */
static const UCHAR *whole_frame(NET_BUFFER *nb, UCHAR **scratch)
{
	uint32_t len = NET_BUFFER_DATA_LENGTH(nb);
	const UCHAR *data = NdisGetDataBuffer(nb, len, NULL, 1, 0);

	*scratch = NULL;
	if (data)
		return data;
	*scratch = nrt_zalloc(len);
	return *scratch ? NdisGetDataBuffer(nb, len, *scratch, 1, 0) : NULL;
}

/* One list a segment. Returns: NULL when memory is short; then there is none. */
static NET_BUFFER_LIST *cut(struct mux_team *team, const UCHAR *data, const struct mux_frame *frame,
			    uint32_t segment_bytes)
{
	uint32_t payload = frame->len - frame->payload, offset = 0, part;
	NET_BUFFER_LIST *nbl, *keep, *chain;
	struct nrt_nblq made;

	nrt_nblq_init(&made);
	do {
		part = segment_bytes && payload - offset > segment_bytes ? segment_bytes
									 : payload - offset;
		nbl = segment_new(team, frame->l4, frame->payload + part);
		if (!nbl)
			goto fail;
		mux_frame_cut(data, frame, offset, part,
			      ((struct segment *)nbl->ProtocolReserved[0])->data);
		nrt_nblq_push(&made, nbl);
		offset += part;
	} while (offset < payload);
	return nrt_nblq_take_all(&made);
fail:
	chain = nrt_nblq_take_all(&made);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		segment_free(nbl);
	}
	return NULL;
}

/* Returns: whether the frame is dealt with; a corrupt one or one without memory goes up. */
static bool forward(struct mux_entry *conn, NET_BUFFER_LIST *nbl, const struct mux_frame *frame)
{
	struct mux_team *team = conn->team;
	uint32_t segment_bytes =
		(uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo);
	NET_BUFFER_LIST *chain = NULL;
	UCHAR *scratch;
	const UCHAR *data = whole_frame(NET_BUFFER_LIST_FIRST_NB(nbl), &scratch);

	/* Good may mean that the sum is not there yet, in a frame that never left this machine. */
	if (data && (im_csum_good(nbl) || mux_frame_good(data, frame))) {
		chain = cut(team, data, frame, segment_bytes);
		team->forwards_unheld += !chain;
	}
	nrt_free(scratch);
	if (!chain)
		return false;
	team->forwarded += nrt_nbl_count(chain);
	NdisOffloadTcpForward(&conn->legs[0].handle, chain);
	return true;
}

/* ---- The handlers ---- */

static void indicate(struct mux_member *member, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
		     ULONG flags)
{
	struct mux_team *team = member->team;
	NET_BUFFER_LIST *nbl;

	mux_mark_chain(chain, member);
	NdisMIndicateReceiveNetBufferLists(team->miniport, chain, port, (ULONG)nrt_nbl_count(chain),
					   flags);
	if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
		return;
	NRT_NBL_FOREACH(nbl, chain)
	{
		mux_unmark(nbl);
	}
}

/*
 * Lent lists are looked at one by one and linked again as they came; others are sorted into those
 * that go up and those that are given back at once.
 */
static void receive_lent(struct mux_member *member, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
			 ULONG flags)
{
	NET_BUFFER_LIST *nbl, *keep;
	struct nrt_nblq all;
	struct mux_entry *conn;
	struct mux_frame frame;

	nrt_nblq_init(&all);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		nrt_nbl_split(nbl);
		conn = wrong_member(member, nbl, &frame);
		if (!conn || !forward(conn, nbl, &frame))
			indicate(member, nbl, port, flags);
		nrt_nblq_push(&all, nbl);
	}
}

static void receive_given(struct mux_member *member, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port,
			  ULONG flags)
{
	struct nrt_nblq up, done;
	NET_BUFFER_LIST *nbl, *keep;
	struct mux_entry *conn;
	struct mux_frame frame;

	nrt_nblq_init(&up);
	nrt_nblq_init(&done);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		conn = wrong_member(member, nbl, &frame);
		nrt_nblq_push(conn && forward(conn, nbl, &frame) ? &done : &up, nbl);
	}
	if (!nrt_nblq_empty(&done))
		NdisReturnNetBufferLists(member->binding, nrt_nblq_take_all(&done), 0);
	if (!nrt_nblq_empty(&up))
		indicate(member, nrt_nblq_take_all(&up), port, flags);
}

void mux_receive(NDIS_HANDLE context, NET_BUFFER_LIST *chain, NDIS_PORT_NUMBER port, ULONG count,
		 ULONG flags)
{
	struct mux_member *member = context;

	(void)count;
	if (!member->team || !member->team->miniport) {
		if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
			NdisReturnNetBufferLists(member->binding, chain, 0);
	} else if (flags & NDIS_RECEIVE_FLAGS_RESOURCES) {
		receive_lent(member, chain, port, flags);
	} else {
		receive_given(member, chain, port, flags);
	}
}

void mux_return(NDIS_HANDLE context, NET_BUFFER_LIST *chain, ULONG flags)
{
	struct mux_team *team = context;
	struct nrt_nblq lists[MUX_MEMBERS_MAX];

	mux_sort_back(team, chain, lists);
	for (unsigned int i = 0; i < team->member_count; i++)
		if (!nrt_nblq_empty(&lists[i]))
			NdisReturnNetBufferLists(team->members[i]->binding,
						 nrt_nblq_take_all(&lists[i]), flags);
}
