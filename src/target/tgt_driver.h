/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_driver.h - the offload target as a miniport driver, and the few calls that do not go through
 * NDIS.
 *
 *     tgt_driver_register(&driver)                          once a process
 *     nrt_adapter_create(driver, { .add_device_context = &config, ... })
 *     a = tgt_adapter_find(name)
 *     loop: tgt_adapter_run(a, now_us), sleep until tgt_adapter_next_deadline_us(a) or until
 *           nic_fd() is readable
 *
 * A call from above (MiniportXxx handlers) only takes notes: the work, and every call up, happens
 * in tgt_adapter_run(). Whoever called down therefore runs the adapter before it sleeps; the next
 * deadline says "now" as long as something waits. A connection whose host is frozen meanwhile waits
 * no longer than that.
 *
 * Context:   the worker that owns the adapter.
 */
#ifndef TARGET_TGT_DRIVER_H
#define TARGET_TGT_DRIVER_H

#include <ndis/ndis.h>
#include <stdbool.h>
#include <stdint.h>

#include "target/tgt_adapter.h"
#include "target/tgt_flow.h"

struct nic;

/*
 * MiniportAddDeviceContext of an adapter. Borrowed for the time of MiniportInitializeEx, the nic
 * until the adapter is halted. Zero in limits means the default of tgt_limits_default().
 */
#define TGT_QUICK_ACKS 16u

struct tgt_adapter_config {
	const char *name; /* for tgt_adapter_find(); copied */
	struct nic *nic;
	struct tgt_limits limits;
	const char *cc_name; /* congestion control, NULL: "cubic" */
	/*
	 * ACKs that are not delayed when data begins to flow, so that a peer in slow start grows as
	 * fast as it can; TGT_QUICK_ACKS is Linux's number, 0: every ACK may be delayed.
	 */
	uint8_t quick_acks;
	uint64_t pace_bytes_per_s; /* of every connection; 0: as fast as cwnd allows */
	uint64_t hash_key; /* makes the flow table unpredictable; a constant in simulations */
	uint64_t now_us;   /* time of creation */
	bool no_configurable_macs; /* refuse DlSourceAddress */
	bool drop_corrupt;         /* drop and count corrupt frames instead of indicating them */
};

void tgt_limits_default(struct tgt_limits *limits);

/*
 * tgt_driver_register() - NdisMRegisterMiniportDriver with the handlers of the target.
 * Returns:   0 or -errno. *driver is what nrt_adapter_create() and tgt_driver_deregister() take.
 */
int tgt_driver_register(NDIS_HANDLE *driver);
void tgt_driver_deregister(NDIS_HANDLE driver);

struct tgt_adapter *tgt_adapter_find(const char *name);

/*
 * tgt_adapter_set_now() - time for calls from above that come outside tgt_adapter_run(). Monotonic.
 */
void tgt_adapter_set_now(struct tgt_adapter *a, uint64_t now_us);

/*
 * tgt_adapter_run() - receive, expire timers, do what calls from above asked for, indicate and
 * complete.
 * Returns:   true when more can be done at once (frames or requests wait).
 */
bool tgt_adapter_run(struct tgt_adapter *a, uint64_t now_us);

/*
 * tgt_adapter_next_deadline_us() - when to run next if no frame arrives; now_us when something
 * waits, UINT64_MAX never.
 */
uint64_t tgt_adapter_next_deadline_us(const struct tgt_adapter *a);

/*
 * tgt_flow_expect() - the host is about to steer the flow here. Its frames are caught from now on
 * while it is not offloaded; when it is offloaded the engine gets them first. May also be called
 * before a connection is terminated: then its frames are caught once the state is back, until
 * tgt_flow_unexpect().
 * tgt_flow_unexpect() - what was caught and is not offloaded goes to the host, as do later frames.
 * Returns:   0 or -ENOSPC.
 */
int tgt_flow_expect(struct tgt_adapter *a, const struct tgt_tuple *tuple);
void tgt_flow_unexpect(struct tgt_adapter *a, const struct tgt_tuple *tuple);

/* Status indications that a target decides on (reporting of resources and maintenance). */
void tgt_adapter_pause_offload(struct tgt_adapter *a);
void tgt_adapter_resume_offload(struct tgt_adapter *a);
void tgt_adapter_upload_all(struct tgt_adapter *a);
/* tgt_adapter_link() - media state of the interface changed; the host judges what follows. */
void tgt_adapter_link(struct tgt_adapter *a, bool up);

/* What can be seen from outside. */
struct tgt_adapter_usage {
	uint32_t connections, paths, neighbors;
	uint32_t chunks_used, chunks;
	uint32_t indicated_nbls; /* lists that the host has not returned */
	uint32_t caught_frames;
};
void tgt_adapter_usage(const struct tgt_adapter *a, struct tgt_adapter_usage *usage);

/* One connection: what its delegated state does not carry. Counted since its offload. */
struct tgt_conn_look {
	uint32_t segments_in, segments_out; /* as on the wire, not super-frames */
	uint32_t data_segments_in, data_segments_out;
	uint32_t retransmitted_segments;
	uint64_t retransmitted_bytes;
	uint32_t sacked_bytes, lost_bytes;
	uint32_t min_rtt_us; /* 0: no sample */
	uint64_t rto_us;
	uint64_t sent_us, received_us; /* data; an acceptable segment */
	bool recovering, timed_out;    /* in fast recovery; after a timeout */
};
/* tgt_conn_look() - 0, or -ENOENT when it is not offloaded. */
int tgt_conn_look(struct tgt_adapter *a, const struct tgt_tuple *tuple, struct tgt_conn_look *out);

const char *tgt_drop_name(unsigned int reason); /* "SEQ_WINDOW" */
const char *tgt_drop_text(unsigned int reason);

/*
 * For tests. tgt_hook_corrupt(): the connection's state counts as corrupt hardware from now on: the
 * next query, invalidate or terminate of it fails with the sequence that the interface prescribes.
 * tgt_hook_urgent(): treat the connection's buffered data as urgent. tgt_hook_check(): NULL, or the
 * first broken invariant of any connection or table.
 */
int tgt_hook_corrupt(struct tgt_adapter *a, const struct tgt_tuple *tuple);
int tgt_hook_urgent(struct tgt_adapter *a, const struct tgt_tuple *tuple);
const char *tgt_hook_check(const struct tgt_adapter *a);

#endif
