/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_miniport.h - an offload target that does nothing but remember: every call lands in a log,
 * operations stay open until the test completes them (or at once, if it asks for that), and the
 * test says what becomes of each block.
 *
 *     fake_miniport_init(&mp, &log);      a chimney-capable driver; its members make it less so
 *     fake_miniport_register(&mp);        NdisMRegisterMiniportDriver
 *     nrt_adapter_create(mp.driver, ...)  one struct fake_adapter each: fake_miniport_adapter()
 */
#ifndef TESTS_FAKE_MINIPORT_H
#define TESTS_FAKE_MINIPORT_H

#include <stdbool.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

#include "fake/fake_log.h"

enum fake_op { FAKE_INITIATE, FAKE_TERMINATE, FAKE_UPDATE, FAKE_INVALIDATE, FAKE_QUERY, FAKE_OPS };
enum fake_io { FAKE_SEND, FAKE_RECEIVE, FAKE_FORWARD, FAKE_DISCONNECT, FAKE_IOS };

#define FAKE_ADAPTERS 8
#define FAKE_OBJECTS  128

struct fake_miniport;

/* What the fake keeps of an offloaded object: the value that it leaves in *MiniportOffloadContext
 * points here. */
struct fake_object {
	struct fake_adapter *adapter;
	NDIS_HANDLE ndis_handle; /* NdisOffloadHandle: for indications about the object */
	unsigned char type;      /* Header.Type of the block that brought it */
	bool live;
};

struct fake_adapter {
	struct fake_miniport *mp;
	NDIS_HANDLE handle; /* MiniportAdapterHandle */
	bool halted;
	NDIS_STATUS handlers_status; /* of NdisMGetOffloadHandlers(NdisTcpChimneyOffload) */
	NDIS_STATUS attributes_status;
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS up; /* the table as NDIS gave it */
	NDIS_MINIPORT_OFFLOAD_BLOCK_LIST
	*open[FAKE_OPS]; /* the latest operation of a kind that is not completed */
	NDIS_OID_REQUEST *open_request;
	struct fake_object objects[FAKE_OBJECTS];
	size_t object_count;
};

/* Status of a block that brings a new object, or that names one. Only blocks with SUCCESS or
 * PARTIAL get an object. */
typedef NDIS_STATUS fake_verdict_fn(void *ctx, enum fake_op op,
				    const NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *block);

struct fake_miniport {
	struct fake_log *log;
	/* Set between init and register. */
	bool with_generic, with_tcp; /* which chimney functions to register */
	bool report_offload;         /* give offload attributes in MiniportInitializeEx */
	NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic;
	NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp;
	NDIS_TCP_CONNECTION_OFFLOAD current, hardware;
	/* May change at any time. */
	NDIS_STATUS initialize_status, pause_status, oid_status;
	bool complete_inline;     /* state operations are completed inside the handler */
	fake_verdict_fn *verdict; /* NULL: success */
	void *verdict_ctx;
	/* Results. */
	NDIS_HANDLE driver; /* NULL: not registered */
	NDIS_HANDLE set_options_handle;
	NDIS_STATUS generic_status, tcp_status; /* of the two NdisSetOptionalHandlers calls */
	struct fake_adapter adapters[FAKE_ADAPTERS];
	size_t adapter_count;
};

void fake_miniport_init(struct fake_miniport *mp, struct fake_log *log);
NDIS_STATUS fake_miniport_register(struct fake_miniport *mp);
void fake_miniport_deregister(struct fake_miniport *mp);

/* fake_miniport_adapter() - the index-th adapter of the driver; fails the test when there is none.
 */
struct fake_adapter *fake_miniport_adapter(struct fake_miniport *mp, size_t index);

/*
 * fake_adapter_complete() - end the open operation of a kind: Status of every block (placeholders:
 * success), objects for what was offloaded, then the completion function. Query fills delegated
 * state behind the blocks (fake_query_value()). fake_adapter_answer() does the first two alone.
 */
void fake_adapter_complete(struct fake_adapter *adapter, enum fake_op op);
void fake_adapter_answer(struct fake_adapter *adapter, enum fake_op op,
			 NDIS_MINIPORT_OFFLOAD_BLOCK_LIST *list);

/* What a query writes into SndUna (TCP) or NicReachabilityDelta (neighbor) of an object's delegated
 * state. */
uint32_t fake_query_value(const struct fake_object *object);

void fake_adapter_complete_io(struct fake_adapter *adapter, enum fake_io io,
			      NET_BUFFER_LIST *chain);
void fake_adapter_complete_oid(struct fake_adapter *adapter, NDIS_STATUS status);

/* fake_adapter_object() - the index-th object that was ever offloaded to the adapter; fails when
 * there is none. */
struct fake_object *fake_adapter_object(struct fake_adapter *adapter, size_t index);
size_t fake_adapter_live(const struct fake_adapter *adapter); /* objects that are offloaded now */

/* fake_indicate_status() - NdisMIndicateStatusEx with a buffer of size bytes. */
void fake_indicate_status(struct fake_adapter *adapter, NDIS_STATUS code, void *buffer, ULONG size);

#endif
