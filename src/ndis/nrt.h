/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt.h - wiring of an NDIS stack: what an installer, the plug and play manager and the registry do
 * on Windows.
 *
 * Drivers never include this file; they see include/ndis only. It is for whoever builds a stack
 * (daemon, tests, an intermediate driver's insert call): make an adapter of a miniport driver, bind
 * a protocol driver to it by name, take both apart again.
 *
 *     NdisMRegisterMiniportDriver() -> driver handle -+
 *                                                     +- nrt_adapter_create() -> "tgt0"
 *     NdisRegisterProtocolDriver()  -> driver handle -+- nrt_bind(protocol, "tgt0")
 *
 * Threads: wiring calls may come from any thread; one recursive lock serialises them, so a driver
 *          may wire from its own callbacks. The data path takes no lock: it belongs to the worker
 *          that owns the adapter (see nrt_adapter_own()).
 *
 * What can pend on Windows can pend here: then the call returns -EINPROGRESS.
 */
#ifndef NDIS_NRT_H
#define NDIS_NRT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

struct nrt_adapter;

/* One standardized keyword, for instance { "*TCPConnectionOffloadIPv4", 1 }. */
struct nrt_keyword {
	const char *name;
	uint32_t value;
};

struct nrt_adapter_params {
	const char *name;         /* unique; copied */
	uint32_t ifindex;         /* interface index that the drivers see; 0 when there is none */
	void *add_device_context; /* MiniportAddDeviceContext of MiniportInitializeEx; NULL: none */
	const struct nrt_keyword *keywords; /* copied: what NdisReadConfiguration() finds */
	size_t keyword_count;
};

/*
 * nrt_adapter_create() - make an adapter of a registered miniport driver and start it.
 *
 * Calls MiniportInitializeEx, then MiniportRestart when the driver has one. The calling thread
 * becomes the owning worker. No protocol is bound by this call.
 * Context:   any thread, PASSIVE_LEVEL.
 * Ownership: borrows params for the call. The adapter belongs to the runtime until
 *            nrt_adapter_destroy().
 * Returns:   0; -EEXIST for a name in use; -EINVAL; -ENOMEM; else the errno of the driver's status.
 */
int nrt_adapter_create(NDIS_HANDLE driver, const struct nrt_adapter_params *params,
		       struct nrt_adapter **out) __attribute__((warn_unused_result));

/*
 * nrt_adapter_announce() - offer the adapter to every registered protocol driver that is not bound
 * to it yet.
 * Returns:   number of protocol drivers that are bound by this call.
 */
unsigned int nrt_adapter_announce(struct nrt_adapter *adapter);

/*
 * nrt_adapter_destroy() - unbind every protocol, pause and halt the adapter, free it.
 * Context:   not from inside a driver's data path or completion call: the adapter may be gone on
 *            return.
 * Returns:   0 when it is gone; -EINPROGRESS when an unbind, a request or the pause still pends:
 *            nrt_pump() goes on with it, and it is over when nrt_adapter_find() no longer knows the
 *            name.
 */
int nrt_adapter_destroy(struct nrt_adapter *adapter);

/*
 * nrt_pump() - go on with destructions that had to wait for a driver. Call it from the worker's
 * loop (never from inside a driver's call) as long as it returns more than 0; cheap when there is
 * nothing to do.
 * Returns:   number of adapters whose destruction still waits.
 */
unsigned int nrt_pump(void);

struct nrt_adapter *nrt_adapter_find(const char *name); /* NULL: no such adapter */
/* nrt_adapter_newest() - the one that was made last for a miniport driver; NULL: there is none. */
struct nrt_adapter *nrt_adapter_newest(NDIS_HANDLE driver);
const char *nrt_adapter_name(const struct nrt_adapter *adapter);
void *nrt_adapter_context(const struct nrt_adapter *adapter); /* MiniportAdapterContext */
NDIS_HANDLE nrt_adapter_handle(struct nrt_adapter *adapter);  /* MiniportAdapterHandle */

/*
 * nrt_adapter_own() - make the calling thread the owning worker: from now on it, and only it, is at
 * DISPATCH_LEVEL for this adapter. No data path call may be running. Debug builds assert the
 * ownership.
 */
void nrt_adapter_own(struct nrt_adapter *adapter);

/*
 * nrt_adapter_offload() - what the adapter offers to protocols at this moment, as they would find
 * it in NDIS_BIND_PARAMETERS: current configuration, or the hardware's capabilities.
 * Returns:   NULL when the adapter cannot offload (no chimney functions, or nothing reported).
 */
const NDIS_TCP_CONNECTION_OFFLOAD *nrt_adapter_offload(const struct nrt_adapter *adapter,
						       bool hardware);

/* nrt_adapter_keyword() - current value of a keyword. 0 or -ENOENT. */
int nrt_adapter_keyword(const struct nrt_adapter *adapter, const char *name, uint32_t *value);

/*
 * nrt_bind() - bind a protocol driver to an adapter: ProtocolBindAdapterEx with
 * NDIS_BIND_PARAMETERS, which carry the connection offload capabilities and current configuration.
 * Returns:   0 when the driver opened the adapter; -ENOENT no such adapter; -EALREADY; -EINPROGRESS
 *            when the driver completes the binding later; else the errno of the driver's status.
 */
int nrt_bind(NDIS_HANDLE protocol_driver, const char *adapter_name)
	__attribute__((warn_unused_result));

/*
 * nrt_unbind() - ProtocolUnbindAdapterEx.
 * Returns:   0; -ENOENT not bound; -EINPROGRESS when the driver completes it later.
 */
int nrt_unbind(NDIS_HANDLE protocol_driver, const char *adapter_name);

/*
 * nrt_request() - an OID request of the administrator (statistics, OID_TCP_OFFLOAD_PARAMETERS), as
 * WMI makes them.
 *
 * done() is called exactly once when this returns 0, possibly before it returns, with the request's
 * status.
 * Ownership: the request is borrowed until done().
 * Returns:   0; -ENOMEM.
 */
typedef void nrt_request_done_fn(void *ctx, NDIS_OID_REQUEST *request, NDIS_STATUS status);
int nrt_request(struct nrt_adapter *adapter, NDIS_OID_REQUEST *request, nrt_request_done_fn *done,
		void *ctx) __attribute__((warn_unused_result));

/*
 * nrt_set_power() - change of the device power state, as the power manager orders it: the bound
 * protocols are told with NetEventSetPower first, so that they can terminate what they have
 * offloaded, then OID_PNP_SET_POWER goes to the miniport. Leaving D0 and coming back are the two
 * useful cases.
 * Returns:   0 when a request is under way or over; done() gets its status. -ENOMEM.
 */
int nrt_set_power(struct nrt_adapter *adapter, NDIS_DEVICE_POWER_STATE state,
		  nrt_request_done_fn *done, void *ctx) __attribute__((warn_unused_result));

/*
 * nrt_fail_alloc_after() - fault injection for tests: the allocation after count further ones fails
 * once. A negative count switches it off. Context: PASSIVE_LEVEL, one thread.
 */
void nrt_fail_alloc_after(long count);

#endif
