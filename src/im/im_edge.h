/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * im_edge.h - what intermediate drivers have in common at their two edges: registration, what the
 * adapter below said of itself, virtual miniports, and the five state operations by number.
 *
 * The pass-through driver does without it, so that it can be read in one piece; the drivers that do
 * something of their own (mux, vlan) keep this much out of the way.
 *
 * Context of all: as of the NDIS function that each of them calls.
 */
#ifndef IM_IM_EDGE_H
#define IM_IM_EDGE_H

#include <stdbool.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>
#include <ndis/ndisstatus.h>

/* One block, seen from our miniport edge and from our protocol edge. */
union im_block {
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST miniport;
	NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST protocol;
};

static inline union im_block *im_next(const union im_block *block)
{
	return (union im_block *)block->miniport.NextBlock;
}

static inline union im_block *im_dependents(const union im_block *block)
{
	return (union im_block *)block->miniport.DependentBlockList;
}

/* Both mean that the object of the block exists below. */
static inline bool im_offloaded(NDIS_STATUS status)
{
	return status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_OFFLOAD_PARTIAL_SUCCESS;
}

/* Layer of a block, by its Type, which means nothing in a placeholder. */
enum im_layer { IM_NEIGHBOR, IM_PATH, IM_TCP };
enum im_layer im_layer_of(const union im_block *block);

/* The state structure of a class behind a block, by the block's Type; NULL when it is not there. */
enum im_class { IM_CONST, IM_CACHED, IM_DELEGATED };
void *im_state(const union im_block *block, enum im_class class);

/* The five state operations. */
enum im_op { IM_INITIATE, IM_TERMINATE, IM_UPDATE, IM_INVALIDATE, IM_QUERY };

/* im_call_down() - hand a tree to the driver below. im_complete_up() - and one back to the driver
 * above. */
void im_call_down(NDIS_HANDLE binding, enum im_op op, union im_block *root);
void im_complete_up(NDIS_HANDLE miniport, enum im_op op, union im_block *root);

/*
 * im_fail_row() - statuses of a row of blocks, and of what hangs below, that go no further: status
 * for a new object that is not below another one that failed, failure for everything else, success
 * for placeholders.
 */
void im_fail_row(union im_block *row, enum im_op op, NDIS_STATUS status);

/*
 * What an adapter says of itself, in the form in which a virtual miniport says it on.
 */
struct im_facts {
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES general;
	bool has_current, has_hardware; /* it reported connection offload at all */
	NDIS_TCP_CONNECTION_OFFLOAD current, hardware;
};

/* im_facts_learn() - from bind parameters, which are gone when the bind handler returns. */
void im_facts_learn(struct im_facts *facts, const NDIS_BIND_PARAMETERS *params);

/* im_facts_indicated() - from a status indication. Returns: whether it was about that. */
bool im_facts_indicated(struct im_facts *facts, const NDIS_STATUS_INDICATION *indication);

/*
 * im_report() - registration, general and offload attributes of a virtual miniport, from
 * MiniportInitializeEx.
 */
NDIS_STATUS im_report(NDIS_HANDLE miniport, void *adapter_context, struct im_facts *facts);

/*
 * im_event_handlers() - the table of NdisMGetOffloadHandlers(), which may grow in later revisions:
 * its header is looked at, then what is known is copied.
 */
NDIS_STATUS im_event_handlers(NDIS_HANDLE miniport, NDIS_TCP_OFFLOAD_EVENT_HANDLERS *out);

/* im_make_instance() - a virtual miniport; MiniportInitializeEx runs inside. 0 or -errno. */
int im_make_instance(NDIS_HANDLE driver, const char *name, void *device_context)
	__attribute__((warn_unused_result));

/* im_open_below() - open the adapter that a bind handler was called for. */
NDIS_STATUS im_open_below(NDIS_HANDLE protocol, void *binding_context, NDIS_HANDLE bind_context,
			  NDIS_STRING *adapter_name, NDIS_HANDLE *binding);

/* im_pool_create() - lists with one NET_BUFFER each; NULL when memory is short. */
NDIS_HANDLE im_pool_create(void);

/* im_indicate() - a status indication of a virtual miniport; buffer NULL: none. */
void im_indicate(NDIS_HANDLE miniport, NDIS_STATUS code, const void *buffer, ULONG bytes);

/*
 * Ieee8021QNetBufferListInfo: NDIS_NET_BUFFER_LIST_8021Q_INFO, UserPriority in bits 0-2, VlanId in
 * bits 4-15; zero: no tag.
 */
static inline uint16_t im_tag_id(uintptr_t tag)
{
	return tag >> 4 & 0xfff;
}

static inline uint8_t im_tag_priority(uintptr_t tag)
{
	return tag & 7;
}

static inline uintptr_t im_tag_make(uint16_t id, uint8_t priority)
{
	return (uintptr_t)id << 4 | priority;
}

/* im_tag_set_id() - the same tag for another VLAN. */
static inline uintptr_t im_tag_set_id(uintptr_t tag, uint16_t id)
{
	return (tag & ~((uintptr_t)0xfff << 4)) | (uintptr_t)id << 4;
}

/* TcpIpChecksumNetBufferListInfo of a received list: its TCP checksum is known to be right. */
static inline bool im_csum_good(const NET_BUFFER_LIST *nbl)
{
	NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {
		.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo),
	};

	return info.Receive.TcpChecksumSucceeded;
}

/*
 * One driver with two edges. The handlers are those of the edges; headers, versions and names are
 * filled in. provider and client: the two sets of chimney functions of each edge, registered from
 * its SetOptions callback.
 */
struct im_driver {
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS miniport;
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS protocol;
	const NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS *provider_generic;
	const NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS *provider_tcp;
	const NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS *client_generic;
	const NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS *client_tcp;
	NDIS_HANDLE miniport_handle, protocol_handle; /* result; NULL: not registered */
};

/* im_register() - both edges. Returns: 0; -EALREADY; -ENOMEM; else the errno of what NDIS said. */
int im_register(struct im_driver *driver, const char *name) __attribute__((warn_unused_result));
void im_deregister(struct im_driver *driver);

#endif
