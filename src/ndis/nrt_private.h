/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_private.h - the runtime's objects, shared by its own files only.
 *
 *     struct nrt_driver   a miniport or protocol driver that registered
 *     struct nrt_adapter  one instance of a miniport driver         (MiniportAdapterHandle)
 *     struct nrt_open     one protocol driver bound to one adapter  (NdisBindingHandle)
 *     struct nrt_bind     a bind or unbind in progress              (BindContext)
 *
 * Everything a driver holds a handle of starts with a magic number, so that a wrong handle is
 * noticed.
 *
 * Control path (registration, wiring, attributes): under nrt_lock(), any thread. Data path and
 * state operations: the worker that owns the adapter, no lock; they read only fields that the
 * control path leaves alone while a binding exists.
 */
#ifndef NDIS_NRT_PRIVATE_H
#define NDIS_NRT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

#include "ndis/nrt.h"
#include "ndis/nrt_blocklist.h"
#include "ndis/nrt_irql.h"
#include "ndis/nrt_ledger.h"

enum nrt_magic {
	NRT_MAGIC_MINIPORT_DRIVER = 0x4d445256,
	NRT_MAGIC_PROTOCOL_DRIVER = 0x50445256,
	NRT_MAGIC_ADAPTER = 0x41445054,
	NRT_MAGIC_OPEN = 0x4f50454e,
	NRT_MAGIC_BIND = 0x42494e44,
	NRT_MAGIC_CONFIG = 0x434f4e46,
	NRT_MAGIC_POOL = 0x504f4f4c,
	NRT_MAGIC_DEAD = 0x44454144,
};

/* The five state operations, in the order of their names below. */
enum nrt_op {
	NRT_OP_INITIATE,
	NRT_OP_TERMINATE,
	NRT_OP_UPDATE,
	NRT_OP_INVALIDATE,
	NRT_OP_QUERY,
	NRT_OPS
};

typedef NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS nrt_provider_generic;
typedef NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS nrt_provider_tcp;
typedef NDIS_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS nrt_client_generic;
typedef NDIS_CLIENT_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS nrt_client_tcp;

/* Chimney functions as registered; NULL: not registered. A driver has one half, by its kind. */
struct nrt_chimney {
	nrt_provider_generic *provider_generic;
	nrt_provider_tcp *provider_tcp;
	nrt_client_generic *client_generic;
	nrt_client_tcp *client_tcp;
};

#define NRT_LABEL_SIZE 64 /* bytes, with the zero at the end */

struct nrt_driver {
	uint32_t magic;                /* NRT_MAGIC_MINIPORT_DRIVER or NRT_MAGIC_PROTOCOL_DRIVER */
	char label[NRT_LABEL_SIZE];    /* for messages: name of the protocol, or of an adapter */
	struct nrt_driver *other_edge; /* of a miniport edge: the protocol edge of its driver */
	struct nrt_driver *next;
	NDIS_HANDLE context; /* MiniportDriverContext or ProtocolDriverContext */
	unsigned int users;  /* adapters or opens */
	NDIS_MINIPORT_DRIVER_CHARACTERISTICS miniport;
	NDIS_PROTOCOL_DRIVER_CHARACTERISTICS protocol;
	struct nrt_chimney chimney;
};

enum nrt_adapter_state {
	NRT_ADAPTER_INITIALIZING,
	NRT_ADAPTER_PAUSED,
	NRT_ADAPTER_RUNNING,
	NRT_ADAPTER_PAUSING,
	NRT_ADAPTER_HALTED,
};

struct nrt_adapter {
	uint32_t magic;
	enum nrt_adapter_state state;
	nrt_worker_id owner;
	void *context;                 /* MiniportAdapterContext */
	struct nrt_open *offload_open; /* the one that may use the chimney; NULL: not claimed */
	bool offload_enabled;          /* that binding uses it, and has not switched it off again */
	bool destroying;
	unsigned int busy;           /* wiring calls on the stack that still use the adapter */
	unsigned int orphans;        /* objects of bindings that closed without terminating them */
	struct nrt_open_walk *walks; /* on the stack, innermost first: the adapter must not go */
	struct nrt_driver *driver;
	struct nrt_adapter *next;
	struct nrt_open *opens;
	struct nrt_bind *binds;
	char *name;
	uint16_t *wide_name; /* the same for NDIS_STRINGs */
	uint32_t ifindex;
	void *add_device_context;
	void *im_context;             /* DeviceContext of NdisIMInitializeDeviceInstanceEx() */
	struct nrt_keyword *keywords; /* names are the adapter's own copies */
	size_t keyword_count;

	/* What the miniport reported. */
	bool has_offload_current, has_offload_hardware;
	NDIS_TCP_CONNECTION_OFFLOAD offload_current;
	NDIS_TCP_CONNECTION_OFFLOAD offload_hardware;
	bool has_task_default, has_task_hardware;
	NDIS_OFFLOAD task_default;
	NDIS_OFFLOAD task_hardware;
	NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES general;

	bool has_tcp_params; /* OID_TCP_CONNECTION_OFFLOAD_PARAMETERS was set once */
	NDIS_TCP_CONNECTION_OFFLOAD_PARAMETERS tcp_params;

	/* OID requests: the miniport sees one at a time. */
	NDIS_OID_REQUEST *request_current;
	NDIS_OID_REQUEST *request_first, *request_last;
};

struct nrt_open {
	uint32_t magic;
	bool can_offload; /* both ends have their chimney functions; fixed by nrt_open_update() */
	bool closing;
	unsigned int pending_ops; /* state operations that the miniport has not completed */
	unsigned int live;        /* objects in the miniport: initiate under way .. terminated */
	unsigned int indicated;   /* lists that the protocol has, and will return */
	unsigned int noted;       /* verifier: operations in notes */
	struct nrt_verify_note *notes;
	struct nrt_verify_table *known;      /* verifier: objects and lists below; NULL: none */
	unsigned int lent[NRT_LEDGER_KINDS]; /* debug builds: lists that the miniport has */
	void *miniport_context; /* MiniportAdapterContext, first argument of every call down */
	NDIS_HANDLE protocol_context; /* ProtocolBindingContext, first argument of every call up */
	nrt_provider_tcp down;        /* copies: one load from the binding to the function */
	nrt_client_tcp up;
	W_INITIATE_OFFLOAD_HANDLER down_op[NRT_OPS];
	INITIATE_OFFLOAD_COMPLETE_HANDLER up_op[NRT_OPS];
	INDICATE_OFFLOAD_EVENT_HANDLER up_event;
	unsigned int pending_requests;
	struct nrt_adapter *adapter;
	struct nrt_driver *driver;
	struct nrt_bind *bind;
	struct nrt_open *next;      /* of the same adapter */
	struct nrt_chimney chimney; /* client functions registered for this binding alone */
};

/*
 * One binding from the call of the bind handler to the end of the unbind: BindContext and
 * UnbindContext.
 */
struct nrt_bind {
	uint32_t magic;
	bool unbinding;
	struct nrt_driver *driver;
	struct nrt_adapter *adapter;
	struct nrt_open *open; /* NULL: not open yet, or closed already */
	struct nrt_bind *next; /* of the same adapter */
};

/* The lock of the control path; recursive, because drivers wire from their callbacks. */
void nrt_lock(void);
void nrt_unlock(void);

/*
 * Handle to object; abort in debug builds, NULL in others, when the handle is not what it should
 * be.
 */
struct nrt_driver *nrt_driver_from(NDIS_HANDLE handle);
struct nrt_adapter *nrt_adapter_from(NDIS_HANDLE handle);
struct nrt_open *nrt_open_from(NDIS_HANDLE handle);

#endif
