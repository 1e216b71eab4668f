/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mux_entry.c - IM offload entries: what the team keeps of an object that the host has offloaded to
 * it, the object's legs at the members, and the table that finds a connection by its addresses.
 *
 * A path or neighbor may have to be offloaded again later, to a member that a new connection goes
 * to; so its constant and cached variables are kept, as they were offloaded and updated.
 */
#include "im/mux/mux_private.h"

#include <errno.h>
#include <string.h>

#include "ndis/nrt_alloc.h"

#define BUCKETS_MIN 64u
#define BUCKETS_MAX 65536u

/* ---- State behind blocks ---- */

static void keep_neighbor(struct mux_entry *entry, const union im_block *block)
{
	entry->state.neighbor.constant = *(NEIGHBOR_OFFLOAD_STATE_CONST *)im_state(block, IM_CONST);
	entry->state.neighbor.cached = *(NEIGHBOR_OFFLOAD_STATE_CACHED *)im_state(block, IM_CACHED);
}

static void keep_path(struct mux_entry *entry, const union im_block *block)
{
	const PATH_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);
	struct mux_addresses *addresses = &entry->state.path.addresses;
	size_t bytes;

	addresses->v6 = block->miniport.Header.Type == Ip6OffloadState;
	bytes = addresses->v6 ? 16 : 4;
	if (constant->SourceAddress)
		memcpy(addresses->local, constant->SourceAddress, bytes);
	if (constant->DestinationAddress)
		memcpy(addresses->remote, constant->DestinationAddress, bytes);
	entry->state.path.cached = *(PATH_OFFLOAD_STATE_CACHED *)im_state(block, IM_CACHED);
}

static void keep_tcp(struct mux_entry *entry, const union im_block *block)
{
	const TCP_OFFLOAD_STATE_CONST *constant = im_state(block, IM_CONST);

	entry->state.tcp.local_port = constant->LocalPort;
	entry->state.tcp.remote_port = constant->RemotePort;
}

/* ---- Entries ---- */

static void make_legs(struct mux_entry *entry)
{
	unsigned int i;

	for (i = 0; i < entry->leg_count; i++) {
		entry->legs[i].entry = entry;
		entry->legs[i].member = entry->layer == IM_TCP ? NULL : entry->team->members[i];
	}
}

static bool brings_all_state(const union im_block *block)
{
	return im_state(block, IM_CONST) && im_state(block, IM_CACHED);
}

struct mux_entry *mux_entry_new(struct mux_team *team, const union im_block *block,
				struct mux_entry *parent)
{
	enum im_layer layer = im_layer_of(block);
	unsigned int legs = layer == IM_TCP ? 1 : team->member_count;
	struct mux_entry *entry = nrt_zalloc(sizeof(*entry) + legs * sizeof(entry->legs[0]));

	if (!entry)
		return NULL;
	entry->upper = block->miniport.NdisOffloadHandle;
	entry->slot = block->miniport.MiniportOffloadContext;
	entry->team = team;
	entry->layer = layer;
	entry->refs = 1;
	entry->leg_count = legs;
	make_legs(entry);
	entry->parent = parent;
	if (parent)
		parent->refs++;
	entry->next = team->entries;
	entry->link = &team->entries;
	if (entry->next)
		entry->next->link = &entry->next;
	team->entries = entry;
	if (!brings_all_state(block))
		return entry; /* the driver below will refuse it */
	if (layer == IM_NEIGHBOR)
		keep_neighbor(entry, block);
	else if (layer == IM_PATH)
		keep_path(entry, block);
	else
		keep_tcp(entry, block);
	return entry;
}

void mux_entry_put(struct mux_entry *entry)
{
	struct mux_entry *parent;

	while (entry && --entry->refs == 0) {
		parent = entry->parent;
		*entry->link = entry->next;
		if (entry->next)
			entry->next->link = entry->link;
		nrt_free(entry);
		entry = parent;
	}
}

void mux_entry_adopt(struct mux_entry *path, struct mux_entry *neighbor)
{
	struct mux_entry *old = path->parent;

	neighbor->refs++;
	path->parent = neighbor;
	mux_entry_put(old);
}

void mux_entry_update(struct mux_entry *entry, const union im_block *block)
{
	const void *cached = im_state(block, IM_CACHED);

	if (!cached)
		return;
	if (entry->layer == IM_NEIGHBOR)
		entry->state.neighbor.cached = *(const NEIGHBOR_OFFLOAD_STATE_CACHED *)cached;
	else if (entry->layer == IM_PATH)
		entry->state.path.cached = *(const PATH_OFFLOAD_STATE_CACHED *)cached;
}

/* ---- Legs ---- */

struct mux_leg *mux_entry_leg(struct mux_entry *entry, const struct mux_member *member)
{
	if (entry->layer != IM_TCP)
		return &entry->legs[member->index];
	return entry->legs[0].member == member ? &entry->legs[0] : NULL;
}

void mux_leg_make(struct mux_leg *leg)
{
	leg->making = true;
	leg->member->objects++;
	leg->member->connections += leg->entry->layer == IM_TCP;
}

static void leave_member(struct mux_leg *leg)
{
	memset(&leg->handle, 0, sizeof(leg->handle));
	leg->member->objects--;
	leg->member->connections -= leg->entry->layer == IM_TCP;
}

void mux_leg_made(struct mux_leg *leg, bool there)
{
	leg->making = false;
	leg->there = there;
	if (!there)
		leave_member(leg);
}

void mux_leg_gone(struct mux_leg *leg)
{
	leg->there = false;
	leave_member(leg);
}

/* ---- Connections by addresses and ports ---- */

int mux_table_create(struct mux_team *team)
{
	uint64_t capacity = 0, buckets = BUCKETS_MIN;
	unsigned int i;

	for (i = 0; i < team->member_count; i++)
		capacity += team->members[i]->facts.hardware.TcpConnectionOffloadCapacity;
	while (buckets < capacity && buckets < BUCKETS_MAX)
		buckets *= 2;
	team->conns = nrt_zalloc(buckets * sizeof(team->conns[0]));
	team->conn_mask = (uint32_t)buckets - 1;
	return team->conns ? 0 : -ENOMEM;
}

/* What a host left offloaded goes with the team; it has been unbound from below by then. */
void mux_table_destroy(struct mux_team *team)
{
	struct mux_entry *entry, *next;

	for (entry = team->entries; entry; entry = next) {
		next = entry->next;
		nrt_free(entry);
	}
	team->entries = NULL;
	nrt_free(team->conns);
	team->conns = NULL;
}

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
	const unsigned char *at = data;

	while (bytes--)
		hash = (hash ^ *at++) * 0x100000001b3ull;
	return hash;
}

uint64_t mux_hash(const struct mux_addresses *addresses, USHORT local_port, USHORT remote_port)
{
	size_t bytes = addresses->v6 ? 16 : 4;
	uint64_t hash = 0xcbf29ce484222325ull;

	hash = mix(hash, addresses->local, bytes);
	hash = mix(hash, addresses->remote, bytes);
	hash = mix(hash, &local_port, sizeof(local_port));
	hash = mix(hash, &remote_port, sizeof(remote_port));
	return hash ^ (hash >> 32);
}

static struct mux_entry **bucket_of(const struct mux_team *team,
				    const struct mux_addresses *addresses, USHORT local_port,
				    USHORT remote_port)
{
	return &team->conns[mux_hash(addresses, local_port, remote_port) & team->conn_mask];
}

void mux_conn_insert(struct mux_entry *entry)
{
	struct mux_entry **bucket;

	if (!entry->parent || entry->state.tcp.hashed)
		return;
	bucket = bucket_of(entry->team, &entry->parent->state.path.addresses,
			   entry->state.tcp.local_port, entry->state.tcp.remote_port);
	entry->state.tcp.hash_next = *bucket;
	entry->state.tcp.hashed = true;
	*bucket = entry;
}

void mux_conn_remove(struct mux_entry *entry)
{
	struct mux_entry **at;

	if (!entry->state.tcp.hashed)
		return;
	at = bucket_of(entry->team, &entry->parent->state.path.addresses,
		       entry->state.tcp.local_port, entry->state.tcp.remote_port);
	while (*at != entry)
		at = &(*at)->state.tcp.hash_next;
	*at = entry->state.tcp.hash_next;
	entry->state.tcp.hashed = false;
}

static bool same_addresses(const struct mux_addresses *a, const struct mux_addresses *b)
{
	size_t bytes = a->v6 ? 16 : 4;

	return a->v6 == b->v6 && memcmp(a->local, b->local, bytes) == 0 &&
	       memcmp(a->remote, b->remote, bytes) == 0;
}

struct mux_entry *mux_conn_find(const struct mux_team *team, const struct mux_addresses *addresses,
				USHORT local_port, USHORT remote_port)
{
	struct mux_entry *entry = *bucket_of(team, addresses, local_port, remote_port);

	for (; entry; entry = entry->state.tcp.hash_next)
		if (entry->state.tcp.local_port == local_port &&
		    entry->state.tcp.remote_port == remote_port &&
		    same_addresses(&entry->parent->state.path.addresses, addresses))
			break;
	return entry;
}
