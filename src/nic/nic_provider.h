/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic_provider.h - what a packet I/O backend fills in. Users include nic.h instead.
 *
 * A backend embeds struct nic as its first member and calls nic_init(), which puts a harmless
 * default into every hook that it leaves NULL, so that callers never test for NULL.
 */
#ifndef NIC_NIC_PROVIDER_H
#define NIC_NIC_PROVIDER_H

#include "nic/nic.h"

struct nic_ops {
	unsigned int (*send)(struct nic *nic, const struct nic_tx_frame *frames,
			     unsigned int count);
	int (*indicate)(struct nic *nic, const struct nic_rx_frame *frame);
	unsigned int (*poll)(struct nic *nic, unsigned int budget);
	int (*fd)(const struct nic *nic);
	void (*close)(struct nic *nic);
};

struct nic {
	struct nic_ops ops;
	struct nic_info info;
	struct nic_stats stats; /* the backend counts */
	nic_rx_fn *rx_fn;
	void *rx_ctx;
};

void nic_init(struct nic *nic, const struct nic_ops *ops);

/*
 * nic_deliver() - backend to receiver; counts the frame as received, or as dropped without a
 * receiver.
 */
void nic_deliver(struct nic *nic, const struct nic_rx_frame *frame);

#endif
