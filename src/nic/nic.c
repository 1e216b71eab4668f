/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_provider.h"

#include <errno.h>

static unsigned int none_send(struct nic *nic, const struct nic_tx_frame *frames,
			      unsigned int count)
{
	(void)frames;
	nic->stats.tx_drops += count;
	return count;
}

static int none_indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	(void)frame;
	nic->stats.rx_drops++;
	return -EOPNOTSUPP;
}

static unsigned int none_poll(struct nic *nic, unsigned int budget)
{
	(void)nic;
	(void)budget;
	return 0;
}

static int none_fd(const struct nic *nic)
{
	(void)nic;
	return -1;
}

static void none_close(struct nic *nic)
{
	(void)nic;
}

void nic_init(struct nic *nic, const struct nic_ops *ops)
{
	nic->ops = *ops;
	if (!nic->ops.send)
		nic->ops.send = none_send;
	if (!nic->ops.indicate)
		nic->ops.indicate = none_indicate;
	if (!nic->ops.poll)
		nic->ops.poll = none_poll;
	if (!nic->ops.fd)
		nic->ops.fd = none_fd;
	if (!nic->ops.close)
		nic->ops.close = none_close;
}

const struct nic_info *nic_info(const struct nic *nic)
{
	return &nic->info;
}

void nic_stats(const struct nic *nic, struct nic_stats *out)
{
	*out = nic->stats;
}

void nic_set_rx(struct nic *nic, nic_rx_fn *fn, void *ctx)
{
	nic->rx_fn = fn;
	nic->rx_ctx = ctx;
}

unsigned int nic_send(struct nic *nic, const struct nic_tx_frame *frames, unsigned int count)
{
	return nic->ops.send(nic, frames, count);
}

int nic_indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	int err = nic->ops.indicate(nic, frame);

	if (!err) {
		nic->stats.indicated_frames++;
		nic->stats.indicated_bytes += frame->len;
	}
	return err;
}

unsigned int nic_poll(struct nic *nic, unsigned int budget)
{
	return nic->ops.poll(nic, budget);
}

int nic_fd(const struct nic *nic)
{
	return nic->ops.fd(nic);
}

void nic_close(struct nic *nic)
{
	nic->ops.close(nic);
}

void nic_deliver(struct nic *nic, const struct nic_rx_frame *frame)
{
	if (!nic->rx_fn) {
		nic->stats.rx_drops++;
		return;
	}
	nic->stats.rx_frames++;
	nic->stats.rx_bytes += frame->len;
	nic->rx_fn(nic->rx_ctx, frame);
}
