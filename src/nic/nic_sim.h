/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_sim.h - a nic whose wire is a node of a simulated network (nic_sim_net.h).
 *
 * Sending completes checksums and cuts super-frames to the MTU; what reaches the network is what a
 * wire would carry. Receiving queues frames until nic_poll(), held back a little so that they can
 * be merged (interrupt moderation and GRO). Time stands still in the nic: whoever runs the network
 * asks nic_sim_rx_due_us() when to poll.
 *
 * Context: the thread of the network.
 */
#ifndef NIC_NIC_SIM_H
#define NIC_NIC_SIM_H

#include "nic/nic.h"
#include "nic/nic_sim_net.h"

struct nic_sim_config {
	const char *name; /* for traces, borrowed */
	uint8_t mac[6];
	uint32_t mtu_bytes;
	bool tso;     /* takes super-frames; without it each frame must fit the MTU */
	bool tx_csum; /* completes partial checksums */
	bool rx_csum; /* verifies checksums of received frames */
	bool gro;     /* merges received segments; needs rx_csum */
	/* a received frame waits this long for others before the nic asks to be polled */
	uint32_t rx_hold_us;
	uint32_t rx_queue_frames; /* more are dropped; 0: 4096 */
	/* how often nic_send() takes only a part of the frames, as a full device does */
	uint32_t tx_refuse_ppm;
	/*
	 * The host's own stack: gets frames passed to nic_indicate(). NULL: there is none. 0 or
	 * -errno.
	 */
	int (*indicate)(void *ctx, const struct nic_rx_frame *frame);
	void *indicate_ctx;
};

/*
 * nic_sim_create() - a nic and the node that receives for it. nic_sim_connect() must follow before
 * it is used.
 * Returns: 0 or -ENOMEM. nic_close() frees it, together with frames that were not polled.
 */
int nic_sim_create(struct nic **out, struct nic_sim_net *net, const struct nic_sim_config *config);

/* nic_sim_connect() - what the nic sends goes to node to (borrowed). */
void nic_sim_connect(struct nic *nic, struct nic_sim_node *to);

/* nic_sim_node() - where a link or switch forwards to. */
struct nic_sim_node *nic_sim_node(struct nic *nic);

/* nic_sim_rx_due_us() - when nic_poll() has something to give, NIC_SIM_NEVER without frames. */
uint64_t nic_sim_rx_due_us(const struct nic *nic);

/* nic_sim_set_mtu() - the device's MTU from now on. */
void nic_sim_set_mtu(struct nic *nic, uint32_t mtu_bytes);

/*
 * nic_sim_inject() - a frame that the host writes into the device from its own side: due at once,
 * before frames that are still held back for others. Copies it. 0 or -ENOMEM.
 */
int nic_sim_inject(struct nic *nic, const struct nic_rx_frame *frame);

/*
 * nic_sim_oversize() - frames that did not fit the MTU and could not be cut: mistakes of the
 * sender.
 */
uint64_t nic_sim_oversize(const struct nic *nic);

#endif
