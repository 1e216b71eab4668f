/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_team.c - who carries what, and failover.
 *
 * Theory of operation
 *
 * Everything that happens to a member (link, administrator, power, unbind, its own PAUSE,
 * UPLOAD_ALL and RESUME) only changes flags of the member and calls mux_team_reconsider(), which
 * compares what is with what should be:
 *
 *     a member has objects that it may not keep:  it has lost its link, is going away or asleep,
 *     has
 *                                                 asked for an upload of everything, or another one
 *                                                 became active
 *         -> PAUSE (once), UPLOAD_ALL (once for every such member)
 *
 *     no member has, and one had:                 the failover is over
 *         -> HARDWARE_CAPABILITIES when the weakest member with link is another one now
 *         -> RESUME with the configuration of the team, if anybody can be offloaded to
 *
 *     nobody can be offloaded to                  -> PAUSE
 *     the configuration changed                   -> PAUSE, RESUME: the one way to tell it
 *
 * The new active member is chosen at once, so plain traffic and requests to offload that were on
 * their way when the host read PAUSE (STI-04) go to a member that works. What the host was told to
 * upload stays with the old member, data and all, until the host has terminated it: the pause of a
 * member that still has link leaves its connections unaffected (STI-03).
 *
 * The case that almost goes wrong: an indication may make the host terminate from inside the call,
 * and the completion changes the very counts that are being looked at. So decisions never nest; the
 * inner call is remembered and done by the outer one.
 */
#include "im/mux/mux_private.h"

#include <string.h>

#define MEDIA_CONNECTED    1u
#define MEDIA_DISCONNECTED 2u

/* NDIS_LINK_STATE, StatusBuffer of NDIS_STATUS_LINK_STATE: as much of it as is read here. */
struct link_state {
	NDIS_OBJECT_HEADER header;
	ULONG media_connect_state;
};

/* ---- What members are good for ---- */

bool mux_member_usable(const struct mux_member *member)
{
	return member->binding && member->link_up && member->in_use && member->awake &&
	       !member->leaving;
}

static bool has_capability(const struct mux_member *member)
{
	return member->facts.has_current &&
	       (member->facts.current.Encapsulation &
		(NDIS_ENCAPSULATION_IEEE_802_3 | NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED));
}

static bool takes_offload(const struct mux_member *member)
{
	return mux_member_usable(member) && has_capability(member) && !member->paused &&
	       !member->emptying;
}

static bool must_be_emptied(const struct mux_team *team, const struct mux_member *member)
{
	return member->objects && (!mux_member_usable(member) || member->emptying ||
				   (team->mode == MUX_ACTIVE_BACKUP && member != team->active));
}

static bool anybody_takes_offload(const struct mux_team *team)
{
	unsigned int i;

	if (team->mode == MUX_ACTIVE_BACKUP)
		return team->active && takes_offload(team->active);
	for (i = 0; i < team->member_count; i++)
		if (takes_offload(team->members[i]))
			return true;
	return false;
}

/* Highest random weight: when a member comes or goes, only the connections that it gains or loses
 * change places. */
static uint64_t weight(uint64_t hash, unsigned int index)
{
	uint64_t z = hash + (index + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static struct mux_member *heaviest(const struct mux_team *team, uint64_t hash,
				   bool (*fits)(const struct mux_member *member))
{
	struct mux_member *best = NULL;
	uint64_t best_weight = 0, own;
	unsigned int i;

	for (i = 0; i < team->member_count; i++) {
		own = weight(hash, i);
		if (!fits(team->members[i]) || (best && own <= best_weight))
			continue;
		best = team->members[i];
		best_weight = own;
	}
	return best;
}

struct mux_member *mux_choose(const struct mux_team *team, const struct mux_addresses *addresses,
			      USHORT local_port, USHORT remote_port)
{
	struct mux_member *member;
	uint64_t hash;

	if (team->mode == MUX_ACTIVE_BACKUP || !addresses)
		return team->active;
	hash = mux_hash(addresses, local_port, remote_port);
	member = heaviest(team, hash, takes_offload);
	return member ? member : heaviest(team, hash, mux_member_usable);
}

/* ---- What the team is ---- */

static NDIS_TCP_CONNECTION_OFFLOAD weaker(NDIS_TCP_CONNECTION_OFFLOAD a,
					  const NDIS_TCP_CONNECTION_OFFLOAD *b)
{
	a.Encapsulation &= b->Encapsulation;
	a.SupportIPv4 = a.SupportIPv4 < b->SupportIPv4 ? a.SupportIPv4 : b->SupportIPv4;
	a.SupportIPv6 = a.SupportIPv6 < b->SupportIPv6 ? a.SupportIPv6 : b->SupportIPv6;
	if (b->SupportIPv6ExtensionHeaders < a.SupportIPv6ExtensionHeaders)
		a.SupportIPv6ExtensionHeaders = b->SupportIPv6ExtensionHeaders;
	a.SupportSack = a.SupportSack < b->SupportSack ? a.SupportSack : b->SupportSack;
	if (b->TcpConnectionOffloadCapacity < a.TcpConnectionOffloadCapacity)
		a.TcpConnectionOffloadCapacity = b->TcpConnectionOffloadCapacity;
	a.CongestionAlgorithm = 0;
	a.Flags = 0;
	return a;
}

static NDIS_TCP_CONNECTION_OFFLOAD no_offload(void)
{
	return (NDIS_TCP_CONNECTION_OFFLOAD){
		.Header = {
			.Type = NDIS_OBJECT_TYPE_DEFAULT,
			.Revision = NDIS_TCP_CONNECTION_OFFLOAD_REVISION_1,
			.Size = NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1,
		},
		.Encapsulation = NDIS_ENCAPSULATION_NOT_SUPPORTED,
	};
}

/* Every member can serve as many as the weakest: a balanced team has room for that many times its
 * members. */
static void multiply_capacity(NDIS_TCP_CONNECTION_OFFLOAD *offload, unsigned int members)
{
	uint64_t capacity = (uint64_t)offload->TcpConnectionOffloadCapacity * members;

	offload->TcpConnectionOffloadCapacity =
		capacity < UINT32_MAX ? (ULONG)capacity : UINT32_MAX;
}

static void combine_offload(const struct mux_team *team, struct im_facts *facts)
{
	const struct im_facts *own;
	unsigned int i, counted = 0;

	for (i = 0; i < team->member_count; i++) {
		if (!mux_member_usable(team->members[i]))
			continue;
		own = &team->members[i]->facts;
		if (!own->has_current || !own->has_hardware) {
			facts->current = facts->hardware = no_offload();
			return;
		}
		facts->current = counted ? weaker(facts->current, &own->current) : own->current;
		facts->hardware = counted ? weaker(facts->hardware, &own->hardware) : own->hardware;
		counted++;
	}
	if (team->mode == MUX_BALANCE && counted) {
		multiply_capacity(&facts->current, counted);
		multiply_capacity(&facts->hardware, counted);
	}
}

static void combine_general(const struct mux_team *team,
			    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES *to)
{
	const NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES *own;
	unsigned int i;

	*to = team->members[0]->facts.general;
	to->MediaConnectState = MEDIA_DISCONNECTED;
	for (i = 0; i < team->member_count; i++) {
		own = &team->members[i]->facts.general;
		if (own->MtuSize < to->MtuSize)
			to->MtuSize = own->MtuSize;
		if (own->MaxMulticastListSize < to->MaxMulticastListSize)
			to->MaxMulticastListSize = own->MaxMulticastListSize;
		to->SupportedPacketFilters &= own->SupportedPacketFilters;
		if (own->DataBackFillSize > to->DataBackFillSize)
			to->DataBackFillSize = own->DataBackFillSize;
		if (own->ContextBackFillSize > to->ContextBackFillSize)
			to->ContextBackFillSize = own->ContextBackFillSize;
		if (mux_member_usable(team->members[i]))
			to->MediaConnectState = MEDIA_CONNECTED;
	}
	/* Room for the note in plain sends (mux_plain.c), so that it needs no allocation. */
	to->ContextBackFillSize += (ULONG)sizeof(PVOID);
}

void mux_team_combine(const struct mux_team *team, struct im_facts *facts)
{
	combine_general(team, &facts->general);
	combine_offload(team, facts);
	facts->has_current = facts->has_hardware = true;
}

const char *mux_team_reason(const struct mux_team *team)
{
	unsigned int i, usable = 0;

	if (team->draining)
		return "failover: the host is asked to terminate what is offloaded";
	for (i = 0; i < team->member_count; i++) {
		if (!mux_member_usable(team->members[i]))
			continue;
		usable++;
		if (!has_capability(team->members[i]))
			return "a member with link has no connection offload";
	}
	if (!usable)
		return "no member has link";
	return team->paused ? "the member that carries the traffic has paused offload" : NULL;
}

/* ---- Decisions ---- */

static void elect(struct mux_team *team)
{
	unsigned int i;

	if (team->active && mux_member_usable(team->active))
		return;
	team->active = NULL;
	for (i = 0; i < team->member_count && !team->active; i++)
		if (mux_member_usable(team->members[i]))
			team->active = team->members[i];
}

/* What waited for a member to be empty. */
static void finish_empty(struct mux_member *member)
{
	NET_PNP_EVENT_NOTIFICATION *power = member->power_event;

	if (member->objects)
		return;
	member->emptying = false;
	if (power) {
		member->power_event = NULL;
		NdisCompleteNetPnPEvent(member->binding, power, NDIS_STATUS_SUCCESS);
	}
	if (member->leaving)
		mux_member_depart(member);
}

static void tell_link(struct mux_team *team)
{
	bool up = team->active;

	if (up == team->link_told)
		return;
	team->link_told = up;
	im_indicate(team->miniport, up ? NDIS_STATUS_MEDIA_CONNECT : NDIS_STATUS_MEDIA_DISCONNECT,
		    NULL, 0);
}

static void tell_pause(struct mux_team *team)
{
	if (team->paused)
		return;
	team->paused = true;
	im_indicate(team->miniport, NDIS_STATUS_OFFLOAD_PAUSE, NULL, 0);
}

static void tell_resume(struct mux_team *team, const NDIS_TCP_CONNECTION_OFFLOAD *current)
{
	team->facts.current = *current;
	team->paused = false;
	im_indicate(team->miniport, NDIS_STATUS_OFFLOAD_RESUME, current,
		    NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1);
}

/* The bits of the members that have to be emptied. */
static unsigned int to_be_emptied(const struct mux_team *team)
{
	unsigned int i, bits = 0;

	for (i = 0; i < team->member_count; i++)
		if (must_be_emptied(team, team->members[i]))
			bits |= 1u << i;
	return bits;
}

static bool same_offload(const NDIS_TCP_CONNECTION_OFFLOAD *a, const NDIS_TCP_CONNECTION_OFFLOAD *b)
{
	return a->Encapsulation == b->Encapsulation && a->SupportIPv4 == b->SupportIPv4 &&
	       a->SupportIPv6 == b->SupportIPv6 &&
	       a->SupportIPv6ExtensionHeaders == b->SupportIPv6ExtensionHeaders &&
	       a->SupportSack == b->SupportSack &&
	       a->TcpConnectionOffloadCapacity == b->TcpConnectionOffloadCapacity;
}

/* STI-13, ADM-08. Without any link there is nothing to tell: what comes back decides. */
static void tell_capabilities(struct mux_team *team, const struct im_facts *now)
{
	if (!team->active || same_offload(&now->hardware, &team->facts.hardware))
		return;
	team->facts.hardware = now->hardware;
	im_indicate(team->miniport, NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES,
		    &now->hardware, NDIS_SIZEOF_TCP_CONNECTION_OFFLOAD_REVISION_1);
}

static void tell_offload(struct mux_team *team)
{
	struct im_facts now = team->facts;
	bool changed;

	combine_offload(team, &now);
	tell_capabilities(team, &now);
	changed = !same_offload(&now.current, &team->facts.current);
	if (!anybody_takes_offload(team) || !now.current.Encapsulation) {
		tell_pause(team);
	} else if (team->paused || changed) {
		tell_pause(team);
		tell_resume(team, &now.current);
	}
}

static void decide(struct mux_team *team)
{
	unsigned int i, bits;

	for (i = 0; i < team->member_count; i++)
		finish_empty(team->members[i]);
	elect(team);
	tell_link(team);
	bits = to_be_emptied(team);
	if (bits & ~team->draining) {
		team->draining |= bits;
		tell_pause(team);
		im_indicate(team->miniport, NDIS_STATUS_UPLOAD_ALL, NULL, 0);
		return;
	}
	if (bits)
		return;
	if (team->draining)
		team->failovers++;
	team->draining = 0;
	tell_offload(team);
}

void mux_team_reconsider(struct mux_team *team)
{
	if (!team->miniport || team->halting)
		return;
	team->again = true;
	if (team->deciding)
		return;
	team->deciding = true;
	while (team->again && !team->halting) {
		team->again = false;
		decide(team);
	}
	team->deciding = false;
}

void mux_team_begin(struct mux_team *team)
{
	elect(team);
	mux_team_combine(team, &team->facts);
	team->link_told = team->active;
	team->paused = !anybody_takes_offload(team) || !team->facts.current.Encapsulation;
}

/* ---- What members say ---- */

static void link_changed(struct mux_member *member, bool up)
{
	member->link_up = up;
	member->facts.general.MediaConnectState = up ? MEDIA_CONNECTED : MEDIA_DISCONNECTED;
}

static void link_state(struct mux_member *member, const NDIS_STATUS_INDICATION *indication)
{
	const struct link_state *state = indication->StatusBuffer;

	if (state && indication->StatusBufferSize >= sizeof(*state))
		link_changed(member, state->media_connect_state != MEDIA_DISCONNECTED);
}

/* Returns: whether it is a matter of the team; what is not goes up as it came. */
static bool take_status(struct mux_member *member, const NDIS_STATUS_INDICATION *indication)
{
	im_facts_indicated(&member->facts, indication);
	switch ((uint32_t)indication->StatusCode) {
	case (uint32_t)NDIS_STATUS_MEDIA_CONNECT:
	case (uint32_t)NDIS_STATUS_MEDIA_DISCONNECT:
		link_changed(member, indication->StatusCode == NDIS_STATUS_MEDIA_CONNECT);
		return true;
	case (uint32_t)NDIS_STATUS_LINK_STATE:
		link_state(member, indication);
		return true;
	case (uint32_t)NDIS_STATUS_OFFLOAD_PAUSE:
		member->paused = true;
		return true;
	case (uint32_t)NDIS_STATUS_UPLOAD_ALL:
		member->paused = member->emptying = true;
		return true;
	case (uint32_t)NDIS_STATUS_OFFLOAD_RESUME:
		member->paused = false;
		return true;
	case (uint32_t)NDIS_STATUS_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES:
		return true;
	default:
		return false;
	}
}

void mux_status(NDIS_HANDLE context, NDIS_STATUS_INDICATION *indication)
{
	struct mux_member *member = context;
	struct mux_team *team = member->team;

	if (!team)
		return;
	if (take_status(member, indication))
		mux_team_reconsider(team);
	else if (team->miniport && member == team->active)
		im_indicate(team->miniport, indication->StatusCode, indication->StatusBuffer,
			    indication->StatusBufferSize);
}

/*
 * A member goes to sleep: nothing may be offloaded to it when it does, so the event pends until the
 * host has terminated everything. The drivers above are not bound to it and hear of it only so.
 */
NDIS_STATUS mux_pnp_event(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *notification)
{
	struct mux_member *member = context;
	const NET_PNP_EVENT *pnp = &notification->NetPnPEvent;

	if (pnp->NetEvent != NetEventSetPower || !member->team)
		return NDIS_STATUS_SUCCESS;
	member->awake = *(const NDIS_DEVICE_POWER_STATE *)pnp->Buffer == NdisDeviceStateD0;
	mux_team_reconsider(member->team);
	if (member->awake || !member->objects)
		return NDIS_STATUS_SUCCESS;
	member->power_event = notification;
	return NDIS_STATUS_PENDING;
}
