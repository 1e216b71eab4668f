/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_driver.c - the two edges of the team driver and the lives of teams and bindings.
 *
 *     mux_insert("team0", { "tgt0", "tgt1" }):
 *         nrt_bind() per member -> bind_adapter() -> struct mux_member has its binding
 *         im_make_instance() -> initialize() -> the virtual miniport is ready
 *     a member's adapter goes:
 *         unbind_adapter() pends until the host has terminated what is offloaded to it, then
 *         mux_member_depart(); the team goes on with the others
 *     the team goes:
 *         nothing is bound to it any more when halt() is called; halt() unbinds the members
 */
#include <errno.h>
#include <string.h>

#include "im/mux/mux_private.h"
#include "ndis/nrt.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_string.h"

#define MEDIA_DISCONNECTED 2u /* MediaConnectState */

static struct mux_team *teams;
/* The member that a team is binding just now; offers of other adapters are declined. */
static struct mux_member *wanted;

/* ---- Protocol edge: members ---- */

static void member_free(struct mux_member *member)
{
	if (!member)
		return;
	nrt_free(member->name);
	nrt_free(member);
}

static NDIS_STATUS bind_adapter(NDIS_HANDLE driver_context, NDIS_HANDLE bind_context,
				PNDIS_BIND_PARAMETERS params)
{
	struct mux_member *member = wanted;

	(void)driver_context;
	if (!member || !nrt_string_is(params->AdapterName, member->name, false))
		return NDIS_STATUS_NOT_SUPPORTED;
	im_facts_learn(&member->facts, params);
	member->link_up = params->MediaConnectState != MEDIA_DISCONNECTED;
	return im_open_below(mux_driver.protocol_handle, member, bind_context, params->AdapterName,
			     &member->binding);
}

/* The binding is closed. A member whose team is gone goes with it. */
static void closed(struct mux_member *member)
{
	member->binding = NULL;
	if (!member->team)
		member_free(member);
}

static void close_complete(NDIS_HANDLE context)
{
	struct mux_member *member = context;
	NDIS_HANDLE unbind_context = member->unbind_context;

	closed(member);
	NdisCompleteUnbindAdapterEx(unbind_context);
}

static NDIS_STATUS unbind_adapter(NDIS_HANDLE unbind_context, NDIS_HANDLE context)
{
	struct mux_member *member = context;

	member->unbind_context = unbind_context;
	if (member->team && !member->team->halting) {
		/* The host first. It may be done before the next line, or much later: the unbind
		 * pends in any case, and mux_member_depart() ends it. */
		member->leaving = true;
		mux_team_reconsider(member->team);
		return NDIS_STATUS_PENDING;
	}
	if (NdisCloseAdapterEx(member->binding) == NDIS_STATUS_PENDING)
		return NDIS_STATUS_PENDING;
	closed(member);
	return NDIS_STATUS_SUCCESS;
}

void mux_member_depart(struct mux_member *member)
{
	NDIS_HANDLE unbind_context = member->unbind_context;

	member->leaving = false;
	if (NdisCloseAdapterEx(member->binding) == NDIS_STATUS_PENDING) {
		member->in_use = false; /* close_complete() does the rest */
		return;
	}
	closed(member);
	NdisCompleteUnbindAdapterEx(unbind_context);
}

static int member_bind(struct mux_team *team, const char *name)
{
	struct mux_member *member = nrt_zalloc(sizeof(*member));
	int err = -ENOMEM;

	if (!member)
		return err;
	member->team = team;
	member->index = team->member_count;
	member->in_use = member->awake = true;
	member->name = nrt_strdup(name);
	if (member->name) {
		wanted = member;
		err = nrt_bind(mux_driver.protocol_handle, name);
		wanted = NULL;
	}
	if (err) {
		member_free(member);
		return err;
	}
	team->members[team->member_count++] = member;
	return 0;
}

/* ---- Miniport edge: teams ---- */

static void unbind_members(struct mux_team *team)
{
	struct mux_member *member;
	unsigned int i;

	team->halting = true;
	for (i = 0; i < team->member_count; i++) {
		member = team->members[i];
		member->team = NULL;
		if (member->power_event)
			NdisCompleteNetPnPEvent(member->binding, member->power_event,
						NDIS_STATUS_SUCCESS);
		if (!member->binding)
			member_free(member);
		else if (member->leaving)
			mux_member_depart(member);
		else if (!member->unbind_context)
			nrt_unbind(mux_driver.protocol_handle, member->name);
	}
	team->member_count = 0;
}

static void team_free(struct mux_team *team)
{
	struct mux_team **link = &teams;

	while (*link && *link != team)
		link = &(*link)->next;
	if (*link)
		*link = team->next;
	unbind_members(team);
	mux_forward_destroy(team);
	mux_one_destroy(team);
	mux_table_destroy(team);
	nrt_free(team->name);
	nrt_free(team);
}

static NDIS_STATUS initialize(NDIS_HANDLE miniport, NDIS_HANDLE driver_context,
			      PNDIS_MINIPORT_INIT_PARAMETERS params)
{
	struct mux_team *team = params->IMDeviceInstanceContext;
	NDIS_STATUS status;

	(void)driver_context;
	team->miniport = miniport;
	status = im_report(miniport, team, &team->facts);
	return status == NDIS_STATUS_SUCCESS ? im_event_handlers(miniport, &team->events) : status;
}

static void halt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
	(void)action;
	team_free(context);
}

static NDIS_STATUS pause(NDIS_HANDLE context, PNDIS_MINIPORT_PAUSE_PARAMETERS params)
{
	struct mux_team *team = context;

	(void)params;
	team->pausing = team->outstanding > 0;
	return team->pausing ? NDIS_STATUS_PENDING : NDIS_STATUS_SUCCESS;
}

void mux_lists_done(struct mux_team *team, unsigned int count)
{
	team->outstanding -= count;
	if (!team->pausing || team->outstanding)
		return;
	team->pausing = false;
	NdisMPauseComplete(team->miniport);
}

static NDIS_STATUS restart(NDIS_HANDLE context, PNDIS_MINIPORT_RESTART_PARAMETERS params)
{
	(void)context;
	(void)params;
	return NDIS_STATUS_SUCCESS;
}

/* ---- Registration ---- */

struct im_driver mux_driver = {
	.miniport = {
		.InitializeHandlerEx = initialize,
		.HaltHandlerEx = halt,
		.PauseHandler = pause,
		.RestartHandler = restart,
		.OidRequestHandler = mux_oid_request,
		.SendNetBufferListsHandler = mux_send,
		.ReturnNetBufferListsHandler = mux_return,
		.CancelSendHandler = mux_cancel_send,
	},
	.protocol = {
		.BindAdapterHandlerEx = bind_adapter,
		.UnbindAdapterHandlerEx = unbind_adapter,
		.CloseAdapterCompleteHandlerEx = close_complete,
		.NetPnPEventHandler = mux_pnp_event,
		.OidRequestCompleteHandler = mux_oid_request_complete,
		.StatusHandlerEx = mux_status,
		.ReceiveNetBufferListsHandler = mux_receive,
		.SendNetBufferListsCompleteHandler = mux_send_complete,
	},
	.provider_generic = &mux_provider_generic,
	.provider_tcp = &mux_provider_tcp,
	.client_generic = &mux_client_generic,
	.client_tcp = &mux_client_tcp,
};

int mux_driver_register(void)
{
	return im_register(&mux_driver, "mux");
}

void mux_driver_deregister(void)
{
	im_deregister(&mux_driver);
}

/* ---- Teams by name ---- */

static struct mux_team *find_team(const char *name)
{
	struct mux_team *team;

	for (team = teams; team; team = team->next)
		if (strcmp(team->name, name) == 0)
			break;
	return team;
}

static struct mux_member *find_member(const struct mux_team *team, const char *name)
{
	unsigned int i;

	for (i = 0; i < team->member_count; i++)
		if (strcmp(team->members[i]->name, name) == 0)
			return team->members[i];
	return NULL;
}

static int bind_members(struct mux_team *team, const char *const *names, size_t count)
{
	size_t i;
	int err;

	for (i = 0; i < count; i++) {
		err = member_bind(team, names[i]);
		if (err)
			return err;
	}
	for (i = 0; i < count; i++) {
		err = mux_listen(team->members[i]);
		if (err)
			return err;
	}
	return 0;
}

int mux_insert(const char *name, const char *const *members, size_t count, enum mux_mode mode)
{
	struct mux_team *team;
	int err = -ENOMEM;

	if (!mux_driver.miniport_handle || count < 1 || count > MUX_MEMBERS_MAX)
		return -EINVAL;
	if (nrt_adapter_find(name))
		return -EEXIST;
	team = nrt_zalloc(sizeof(*team));
	if (!team)
		return -ENOMEM;
	team->mode = mode;
	team->name = nrt_strdup(name);
	if (team->name)
		err = bind_members(team, members, count);
	if (!err)
		err = mux_table_create(team);
	if (!err)
		err = mux_forward_create(team);
	if (!err)
		err = mux_one_create(team);
	if (!err) {
		mux_team_begin(team);
		err = im_make_instance(mux_driver.miniport_handle, name, team);
	}
	if (err) {
		team_free(team);
		return err;
	}
	team->next = teams;
	teams = team;
	mux_team_reconsider(team); /* a member may have said something meanwhile */
	return 0;
}

int mux_remove(const char *name)
{
	struct mux_team *team = find_team(name);

	if (!team)
		return -ENOENT;
	NdisIMDeInitializeDeviceInstance(team->miniport);
	return nrt_adapter_find(name) ? -EINPROGRESS : 0;
}

int mux_switch(const char *name, const char *member_name)
{
	struct mux_team *team = find_team(name);
	struct mux_member *member = team ? find_member(team, member_name) : NULL;

	if (!member)
		return -ENOENT;
	if (team->mode != MUX_ACTIVE_BACKUP)
		return -EINVAL;
	if (!mux_member_usable(member))
		return -ENETDOWN;
	team->active = member;
	mux_team_reconsider(team);
	return 0;
}

int mux_use(const char *name, const char *member_name, bool in_use)
{
	struct mux_team *team = find_team(name);
	struct mux_member *member = team ? find_member(team, member_name) : NULL;

	if (!member)
		return -ENOENT;
	member->in_use = in_use;
	mux_team_reconsider(team);
	return 0;
}

static void member_info(const struct mux_member *member, struct mux_member_info *info)
{
	*info = (struct mux_member_info){
		.name = member->name,
		.bound = member->binding,
		.link_up = member->link_up,
		.in_use = member->in_use,
		.active = member == member->team->active,
		.can_offload = member->facts.has_current && !member->paused && !member->emptying,
		.objects = member->objects,
		.connections = member->connections,
	};
}

int mux_info(const char *name, struct mux_info *info)
{
	const struct mux_team *team = find_team(name);
	unsigned int i;

	if (!team)
		return -ENOENT;
	*info = (struct mux_info){
		.mode = team->mode,
		.paused = team->paused,
		.draining = team->draining,
		.reason = mux_team_reason(team),
		.failovers = team->failovers,
		.forwarded = team->forwarded,
		.forwards_returned = team->forwards_returned,
		.forwards_unheld = team->forwards_unheld,
		.member_count = team->member_count,
	};
	for (i = 0; i < team->member_count; i++)
		member_info(team->members[i], &info->members[i]);
	return 0;
}
