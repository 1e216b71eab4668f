/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux.h - a team: one virtual miniport above two or more adapters, with connection offload.
 *
 *     const char *members[] = { "tgt0", "tgt1" };
 *
 *     mux_driver_register();
 *     mux_insert("team0", members, 2, MUX_ACTIVE_BACKUP);
 *     nrt_bind(host_protocol, "team0");
 *
 * Active/backup: everything goes through one member, the first one that has link. Balance: a
 * connection goes through the member that its addresses and ports choose. When a member can no
 * longer carry what is offloaded to it (link lost, taken out, going to sleep, or it asks for an
 * upload of everything), the team asks the host for all of it with NDIS_STATUS_OFFLOAD_PAUSE and
 * NDIS_STATUS_UPLOAD_ALL, and invites it to offload again, to the others, with
 * NDIS_STATUS_OFFLOAD_RESUME once nothing is left on that member.
 *
 * What the team offers is what its weakest member with link can do.
 *
 * Read mux_private.h first (the objects), then mux_team.c (who carries what, failover), then
 * mux_tree.c (one tree from above becomes one tree per member, and one again).
 *
 * Context of all: PASSIVE_LEVEL; the thread that inserts owns the team and its members.
 */
#ifndef IM_MUX_H
#define IM_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUX_MEMBERS_MAX 8

enum mux_mode { MUX_ACTIVE_BACKUP, MUX_BALANCE };

/* mux_driver_register() - both edges. Returns: 0; -EALREADY; else the errno of what NDIS said. */
int mux_driver_register(void) __attribute__((warn_unused_result));

/* mux_driver_deregister() - every team must be gone. */
void mux_driver_deregister(void);

/*
 * mux_insert() - a team called name of count adapters. An adapter is a member of one team only.
 * Returns: 0; -EINVAL not registered, or a count that makes no sense; -ENOENT an adapter does not
 * exist; -EEXIST name in use; -EALREADY an adapter is a member of another team; -ENOMEM; else the
 * errno of what NDIS said. After a failure nothing is left.
 */
int mux_insert(const char *name, const char *const *members, size_t count, enum mux_mode mode)
	__attribute__((warn_unused_result));

/*
 * mux_remove() - take a team apart. What is bound to it is unbound first.
 * Returns: 0 when it is gone; -ENOENT; -EINPROGRESS when something above pends (nrt_pump() goes
 * on).
 */
int mux_remove(const char *name);

/*
 * mux_switch() - active/backup: let this member be the active one from now on.
 * Returns: 0 (the host terminates what is offloaded first); -ENOENT; -EINVAL the mode is another;
 * -ENETDOWN the member has no link or is not in use.
 */
int mux_switch(const char *name, const char *member);

/*
 * mux_use() - take a member out of use, for maintenance, or put it back. Out of use is like having
 * no link. Returns: 0; -ENOENT.
 */
int mux_use(const char *name, const char *member, bool in_use);

struct mux_member_info {
	const char *name; /* valid until the team is removed */
	bool bound, link_up, in_use, active;
	bool can_offload;     /* it has the capability and has not paused */
	unsigned int objects; /* neighbors, paths and connections that are offloaded to it */
	unsigned int connections;
};

struct mux_info {
	enum mux_mode mode;
	bool paused;        /* the host is asked not to offload */
	bool draining;      /* and to terminate everything */
	const char *reason; /* why the host may not offload; NULL: it may */
	uint64_t failovers; /* members that were emptied */
	uint64_t forwarded; /* segments that came in on another member than the connection's */
	uint64_t forwards_returned; /* of them, those that the host got after all, in an upload */
	uint64_t forwards_unheld; /* could not be forwarded for want of memory: went to the host */
	size_t member_count;
	struct mux_member_info members[MUX_MEMBERS_MAX];
};

/* mux_info() - what can be seen from outside. Returns: 0 or -ENOENT. */
int mux_info(const char *name, struct mux_info *info);

#endif
