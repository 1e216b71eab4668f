/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_protocol.h - a protocol driver that does nothing but remember: a host stack without a host.
 *
 *     fake_protocol_init(&pr, &log);     a chimney-capable driver; its members make it less so
 *     fake_protocol_register(&pr);       NdisRegisterProtocolDriver
 *     nrt_bind(pr.driver, "tgt0");       one struct fake_binding each: fake_protocol_binding()
 */
#ifndef TESTS_FAKE_PROTOCOL_H
#define TESTS_FAKE_PROTOCOL_H

#include <stdbool.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

#include "fake/fake_log.h"

#define FAKE_BINDINGS     8
#define FAKE_STATUS_BYTES 128

struct fake_protocol;

struct fake_binding {
	struct fake_protocol *pr;
	NDIS_HANDLE handle;  /* NdisBindingHandle; NULL: not bound (any more) */
	NDIS_HANDLE closing; /* the same while a close pends */
	char adapter_name[64];
	NDIS_STATUS open_status, late_status; /* late: of register_at_bind */
	bool has_current, has_hardware;       /* copies of what NDIS_BIND_PARAMETERS said */
	NDIS_TCP_CONNECTION_OFFLOAD current, hardware;
	unsigned char status_buffer[FAKE_STATUS_BYTES]; /* of the latest status indication */
	NDIS_HANDLE unbind_context;                     /* of an unbind that pends */
	NET_PNP_EVENT_NOTIFICATION *pnp_open;           /* event that pends */
};

struct fake_protocol {
	struct fake_log *log;
	/* Set between init and register. */
	bool with_generic, with_tcp; /* which chimney functions to register */
	bool register_at_bind; /* not with the driver handle, but later with the binding handle */
	NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS generic;
	NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tcp;
	/* May change at any time. */
	NDIS_STATUS bind_status;    /* not SUCCESS: refuse to bind */
	NDIS_STATUS pnp_status;     /* PENDING: NdisCompleteNetPnPEvent() is up to the test */
	NDIS_STATUS receive_answer; /* of ProtocolTcpOffloadReceiveIndicate */
	ULONG receive_consumed;
	ULONG reachability; /* answer to NeighborReachabilityQuery: HostReachabilityDelta */
	/* Called at the end of ProtocolXxxOffloadComplete when not NULL; the log has the call
	 * already. */
	void (*on_complete)(struct fake_binding *binding, enum fake_kind kind,
			    NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST *list);
	/* Called at the end of the handlers of status, power and plain receive indications. */
	void (*on_indication)(struct fake_binding *binding, enum fake_kind kind);
	void *ctx; /* of the test */
	/* Results. */
	NDIS_HANDLE driver; /* NULL: not registered */
	NDIS_HANDLE set_options_handle;
	NDIS_STATUS generic_status, tcp_status;
	struct fake_binding bindings[FAKE_BINDINGS];
	size_t binding_count;
};

void fake_protocol_init(struct fake_protocol *pr, struct fake_log *log);
NDIS_STATUS fake_protocol_register(struct fake_protocol *pr);
void fake_protocol_deregister(struct fake_protocol *pr);

/* fake_protocol_binding() - the index-th binding that the driver ever had; fails the test when
 * there is none. */
struct fake_binding *fake_protocol_binding(struct fake_protocol *pr, size_t index);

/* fake_request_init() - an OID request; buffer is borrowed. */
void fake_request_init(NDIS_OID_REQUEST *request, NDIS_REQUEST_TYPE type, NDIS_OID oid,
		       void *buffer, UINT bytes);

#endif
