/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic.h - the lower edge of an offload target that is loaded as a shared object: plain Ethernet
 * frames, a clock, and turns.
 *
 * MiniportInitializeEx finds a struct chimney_nic in MiniportAddDeviceContext. It calls attach()
 * once, before it returns; MiniportHaltEx calls attach() with NULL.
 *
 * Everything runs in the one thread that owns the adapter. A handler that is called from above
 * (MiniportXxx) takes a note and returns; work, frames and calls up belong into run(). Before the
 * thread sleeps it asks deadline_us(): a time that is not in the future means that run() is wanted
 * at once, so a target with notes answers 0.
 */
#ifndef CHIMNEY_NIC_H
#define CHIMNEY_NIC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHIMNEY_NIC_VERSION 1

/* What a target offers to its nic. All three are called with the context given to attach(). */
struct chimney_nic_client {
	/*
	 * One received frame, from the Ethernet header on, never longer than the MTU allows,
	 * checksums not looked at. The bytes are lent for the call; nothing may be called up yet.
	 */
	void (*frame)(void *context, const void *frame, uint32_t bytes);
	/* Do what waits: timers that are due, requests, indications, completions, sending. */
	void (*run)(void *context, uint64_t now_us);
	/* When run() is wanted next; UINT64_MAX: not before something happens. */
	uint64_t (*deadline_us)(void *context);
};

struct chimney_nic {
	uint32_t version; /* CHIMNEY_NIC_VERSION; later versions only add members at the end */
	uint32_t mtu_bytes;
	uint8_t mac[6];
	void *context; /* first argument of the functions */
	/* The client's structure is borrowed until the next attach(). */
	void (*attach)(void *context, const struct chimney_nic_client *client,
		       void *client_context);
	/*
	 * Send a whole frame with right checksums; the bytes are copied. 0, or -EAGAIN: no room now,
	 * try in a later run().
	 */
	int (*send)(void *context, const void *frame, uint32_t bytes);
	/* Give a frame that is not of an offloaded connection to the host's own stack. 0 or -errno. */
	int (*indicate)(void *context, const void *frame, uint32_t bytes);
	uint64_t (*now_us)(void *context); /* monotonic; never 0 */
};

#ifdef __cplusplus
}
#endif

#endif
