/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every frame on the descriptor is preceded by a struct virtio_net_hdr (10 bytes, native order):
 * flags and gso_type say whether the checksum is still partial and how the frame is to be cut.
 * 10 + 14 bytes put the IP header on a multiple of 4.
 *
 * One read or write moves one frame; the kernel has no batched call for a TAP.
 */
#include "nic/nic_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nic/nic_provider.h"
#include "nic/nic_vnet.h"

#define TAP_IOV_MAX 256u

struct nic_tap {
	struct nic nic; /* first: nic.h's users hold a pointer to it */
	int fd;
	char ifname[IFNAMSIZ];
	struct iovec iov[TAP_IOV_MAX + 1];
	uint8_t *rx_buf; /* virtio header, then the frame */
};

static struct nic_tap *tap_of(const struct nic *nic)
{
	return (struct nic_tap *)nic;
}

static int refuse(int err, char *why, size_t why_size, const char *what)
{
	if (why && why_size)
		snprintf(why, why_size, "%s: %s", what, strerror(-err));
	return err;
}

/* 0 when the kernel took it; -EAGAIN: try later; other: this frame will never go. */
static int send_one(struct nic_tap *tap, const struct nic_tx_frame *f)
{
	struct virtio_net_hdr vh = { 0 };

	int err = nic_vnet_tx(f, &vh);

	if (err)
		return err;
	if (f->iov_count > TAP_IOV_MAX)
		return -EMSGSIZE;
	tap->iov[0].iov_base = &vh;
	tap->iov[0].iov_len = sizeof(vh);
	memcpy(&tap->iov[1], f->iov, f->iov_count * sizeof(*f->iov));
	while (writev(tap->fd, tap->iov, (int)f->iov_count + 1) < 0) {
		if (errno == EINTR)
			continue;
		/* Out of memory passes, like a full queue. */
		return errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
	}
	return 0;
}

static unsigned int tap_send(struct nic *nic, const struct nic_tx_frame *frames, unsigned int count)
{
	struct nic_tap *tap = tap_of(nic);
	unsigned int i;

	for (i = 0; i < count; i++) {
		int err = send_one(tap, &frames[i]);

		if (err == -EAGAIN)
			break;
		if (err) {
			nic->stats.tx_drops++;
			continue;
		}
		nic->stats.tx_frames++;
		nic->stats.tx_bytes += frames[i].len;
	}
	return i;
}

int nic_tap_inject(struct nic *nic, const struct nic_rx_frame *frame)
{
	struct nic_tap *tap = tap_of(nic);
	struct virtio_net_hdr vh;
	struct iovec iov[2] = {
		{ .iov_base = &vh, .iov_len = sizeof(vh) },
		{ .iov_base = (void *)(uintptr_t)frame->data, .iov_len = frame->len },
	};
	int err = nic_vnet_inject(frame, nic->info.mac, &vh);

	if (err)
		return err;
	while (writev(tap->fd, iov, 2) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int tap_indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	int err = nic_tap_inject(nic, frame);

	if (err)
		nic->stats.rx_drops++;
	return err;
}

static unsigned int tap_poll(struct nic *nic, unsigned int budget)
{
	struct nic_tap *tap = tap_of(nic);
	unsigned int done = 0;

	while (done < budget) {
		struct nic_rx_frame frame = { 0 };
		struct virtio_net_hdr vh;
		ssize_t n = read(tap->fd, tap->rx_buf, sizeof(vh) + NIC_VNET_MAX_FRAME_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* EAGAIN, or the device is gone: the worker learns that by rtnetlink */
		done++;
		memcpy(&vh, tap->rx_buf, sizeof(vh));
		if (n < (ssize_t)(sizeof(vh) + ETH_HLEN) || !nic_vnet_rx(&vh, &frame)) {
			nic->stats.rx_drops++;
			continue;
		}
		frame.data = tap->rx_buf + sizeof(vh);
		frame.len = (uint32_t)((size_t)n - sizeof(vh));
		nic_deliver(nic, &frame);
	}
	return done;
}

static int tap_fd(const struct nic *nic)
{
	return tap_of(nic)->fd;
}

static void tap_close(struct nic *nic)
{
	struct nic_tap *tap = tap_of(nic);

	close(tap->fd);
	free(tap->rx_buf);
	free(tap);
}

static const struct nic_ops tap_ops = {
	.send = tap_send,
	.indicate = tap_indicate,
	.poll = tap_poll,
	.fd = tap_fd,
	.close = tap_close,
};

int nic_tap_adopt(struct nic **out, int fd, const struct nic_tap_config *config)
{
	struct nic_tap *tap = calloc(1, sizeof(*tap));
	struct ifreq ifr = { 0 };
	int err = 0;

	if (tap)
		tap->rx_buf = malloc(sizeof(struct virtio_net_hdr) + NIC_VNET_MAX_FRAME_BYTES);
	if (!tap || !tap->rx_buf)
		err = -ENOMEM;
	else if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		err = -errno;
	if (err) {
		close(fd);
		if (tap)
			free(tap->rx_buf);
		free(tap);
		return err;
	}
	nic_init(&tap->nic, &tap_ops);
	tap->fd = fd;
	memcpy(tap->ifname, ifr.ifr_name, sizeof(tap->ifname));
	memcpy(tap->nic.info.mac, config->mac, sizeof(config->mac));
	tap->nic.info.mtu_bytes = config->mtu_bytes;
	tap->nic.info.max_frame_bytes = ETH_HLEN + 65535u;
	tap->nic.info.features =
		NIC_FEAT_TX_CSUM | NIC_FEAT_TSO4 | NIC_FEAT_TSO6 | NIC_FEAT_RX_CSUM;
	tap->nic.info.kind = "tap";
	*out = &tap->nic;
	return 0;
}

int nic_tap_open(struct nic **out, const struct nic_tap_config *config, char *why, size_t why_size)
{
	unsigned offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int header_bytes = sizeof(struct virtio_net_hdr);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0)
		return refuse(-errno, why, why_size,
			      "/dev/net/tun cannot be opened (module tun, access rights)");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", config->ifname);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		err = refuse(-errno, why, why_size, "no TAP device (CAP_NET_ADMIN, free name)");
	else if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0 ||
		 ioctl(fd, TUNSETOFFLOAD, offload) < 0)
		err = refuse(-errno, why, why_size, "the TAP device takes no super-frames");
	else
		return nic_tap_adopt(out, fd, config);
	close(fd);
	return err;
}

const char *nic_tap_ifname(const struct nic *nic)
{
	return tap_of(nic)->ifname;
}

void nic_tap_set_mtu(struct nic *nic, uint32_t mtu_bytes)
{
	nic->info.mtu_bytes = mtu_bytes;
}
