/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_io.c - data of offloaded connections through the team.
 *
 * Down: with the handle of the connection's one leg; the same list. A completion comes for the
 * binding of a member, and a member has one team, so no list needs a note, and nothing can run out
 * of memory here (the low-memory answers of IMD-22 and IMD-31 are for drivers whose binding serves
 * several virtual miniports; see the vlan driver).
 *
 * Up: an indicated list comes back to the team later, alone or among lists of other members, and
 * has to go to the member that it is from. Its number travels in IMReserved of the list, four bits
 * below what was there, so that teams on top of teams each find their own. Refusing an indication
 * because a note cannot be allocated would be worse than it looks: a host that waits for
 * indications posts no request, and the data would never be offered again.
 */
#include "im/mux/mux_private.h"

#include <assert.h>

#include "ndis/nrt_nblq.h"

#define MARK_BITS 4u
#define MARK_MASK ((1u << MARK_BITS) - 1u)

_Static_assert(MUX_MEMBERS_MAX <= MARK_MASK, "a member's number and one fit the mark");

void mux_mark(NET_BUFFER_LIST *nbl, const struct mux_member *member)
{
	uintptr_t word = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, IMReserved);

	NET_BUFFER_LIST_INFO(nbl, IMReserved) = (PVOID)(word << MARK_BITS | (member->index + 1));
}

unsigned int mux_unmark(NET_BUFFER_LIST *nbl)
{
	uintptr_t word = (uintptr_t)NET_BUFFER_LIST_INFO(nbl, IMReserved);

	assert(word & MARK_MASK); /* else it did not come up through a team */
	NET_BUFFER_LIST_INFO(nbl, IMReserved) = (PVOID)(word >> MARK_BITS);
	return (unsigned int)(word & MARK_MASK) - 1;
}

void mux_sort_back(const struct mux_team *team, NET_BUFFER_LIST *chain,
		   struct nrt_nblq lists[MUX_MEMBERS_MAX])
{
	NET_BUFFER_LIST *nbl, *keep;

	for (unsigned int i = 0; i < MUX_MEMBERS_MAX; i++)
		lists[i] = (struct nrt_nblq){ NULL, NULL };
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		unsigned int i = mux_unmark(nbl);

		nrt_nblq_push(&lists[i < team->member_count ? i : 0], nbl);
	}
}

void mux_mark_chain(NET_BUFFER_LIST *chain, const struct mux_member *member)
{
	NET_BUFFER_LIST *nbl;

	NRT_NBL_FOREACH(nbl, chain)
	{
		mux_mark(nbl, member);
	}
}

/* ---- Down ---- */

static NDIS_OFFLOAD_HANDLE *count_down(struct mux_team *team, PVOID offload_context,
				       const NET_BUFFER_LIST *chain)
{
	struct mux_entry *entry = offload_context;

	team->outstanding += (unsigned int)nrt_nbl_count(chain);
	return &entry->legs[0].handle;
}

static NDIS_STATUS send(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	return NdisOffloadTcpSend(count_down(context, offload_context, chain), chain);
}

static NDIS_STATUS receive(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	return NdisOffloadTcpReceive(count_down(context, offload_context, chain), chain);
}

static NDIS_STATUS forward(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain)
{
	return NdisOffloadTcpForward(count_down(context, offload_context, chain), chain);
}

static NDIS_STATUS disconnect(NDIS_HANDLE context, PVOID offload_context, PNET_BUFFER_LIST chain,
			      ULONG flags)
{
	return NdisOffloadTcpDisconnect(count_down(context, offload_context, chain), chain, flags);
}

static NDIS_STATUS receive_return(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct mux_team *team = context;
	struct nrt_nblq lists[MUX_MEMBERS_MAX];

	mux_sort_back(team, chain, lists);
	for (unsigned int i = 0; i < team->member_count; i++)
		if (!nrt_nblq_empty(&lists[i]))
			NdisOffloadTcpReceiveReturn(team->members[i]->binding,
						    nrt_nblq_take_all(&lists[i]));
	return NDIS_STATUS_SUCCESS;
}

const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS mux_provider_tcp = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_OBJECT_REVISION_1,
		.Size = sizeof(mux_provider_tcp),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendHandler = send,
	.TcpOffloadReceiveHandler = receive,
	.TcpOffloadDisconnectHandler = disconnect,
	.TcpOffloadForwardHandler = forward,
	.TcpOffloadReceiveReturnHandler = receive_return,
};

/* ---- Completions ---- */

static void send_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct mux_team *team = ((struct mux_member *)context)->team;
	unsigned int count = (unsigned int)nrt_nbl_count(chain);

	team->events.NdisTcpOffloadSendComplete(team->miniport, chain);
	mux_lists_done(team, count);
}

static void receive_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct mux_team *team = ((struct mux_member *)context)->team;
	unsigned int count = (unsigned int)nrt_nbl_count(chain);

	team->events.NdisTcpOffloadReceiveComplete(team->miniport, chain);
	mux_lists_done(team, count);
}

static void disconnect_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct mux_team *team = ((struct mux_member *)context)->team;
	unsigned int count = (unsigned int)nrt_nbl_count(chain);

	team->events.NdisTcpOffloadDisconnectComplete(team->miniport, chain);
	mux_lists_done(team, count);
}

/* The host's forwards, and those that the team made itself, in any mixture. */
static void forward_complete(NDIS_HANDLE context, PNET_BUFFER_LIST chain)
{
	struct mux_team *team = ((struct mux_member *)context)->team;
	struct nrt_nblq theirs;
	NET_BUFFER_LIST *nbl, *keep;
	unsigned int count = 0;

	nrt_nblq_init(&theirs);
	NRT_NBL_FOREACH_SAFE(nbl, keep, chain)
	{
		if (mux_forward_is_ours(team, nbl)) {
			mux_forward_done(team, nbl);
			continue;
		}
		nrt_nblq_push(&theirs, nbl);
		count++;
	}
	if (!count)
		return;
	team->events.NdisTcpOffloadForwardComplete(team->miniport, nrt_nblq_take_all(&theirs));
	mux_lists_done(team, count);
}

/* ---- Indications ---- */

static void event(PVOID offload_context, ULONG type, ULONG information)
{
	const struct mux_entry *entry = mux_leg_of(offload_context)->entry;

	entry->team->events.NdisTcpOffloadEventHandler(entry->upper, type, information);
}

static NDIS_STATUS receive_indicate(PVOID offload_context, PNET_BUFFER_LIST chain,
				    NDIS_STATUS status, PULONG bytes_consumed)
{
	const struct mux_leg *leg = mux_leg_of(offload_context);
	const struct mux_entry *entry = leg->entry;
	NDIS_STATUS answer;

	mux_mark(chain, leg->member);
	answer = entry->team->events.NdisTcpOffloadReceiveHandler(entry->upper, chain, status,
								  bytes_consumed);
	if (answer != NDIS_STATUS_SUCCESS)
		mux_unmark(chain); /* the member's again at once */
	return answer;
}

const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS mux_client_tcp = {
	.Header = {
		.Type = NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS,
		.Revision = NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS_REVISION_1,
		.Size = sizeof(mux_client_tcp),
	},
	.OffloadType = NdisTcpChimneyOffload,
	.TcpOffloadSendCompleteHandler = send_complete,
	.TcpOffloadReceiveCompleteHandler = receive_complete,
	.TcpOffloadDisconnectCompleteHandler = disconnect_complete,
	.TcpOffloadForwardCompleteHandler = forward_complete,
	.TcpOffloadEventHandler = event,
	.TcpOffloadReceiveIndicateHandler = receive_indicate,
};
