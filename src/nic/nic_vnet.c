/* SPDX-License-Identifier: BSD-2-Clause */
#include "nic/nic_vnet.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#define TCP_CSUM_OFFSET 16u

/*
 * Offset of the TCP header of an untagged IPv4 or IPv6 frame, 0 when it is something else. IPv6
 * extension headers that may precede TCP in a whole packet are stepped over.
 */
static uint32_t tcp_offset(const uint8_t *data, uint32_t len)
{
	uint32_t at = ETH_HLEN;
	uint16_t ether;
	uint8_t next;

	if (len < ETH_HLEN + 20u)
		return 0;
	ether = (uint16_t)(data[12] << 8 | data[13]);
	if (ether == ETH_P_IP)
		return data[at + 9] == IPPROTO_TCP ? at + (data[at] & 15u) * 4u : 0;
	if (ether != ETH_P_IPV6 || len < at + 40u)
		return 0;
	next = data[at + 6];
	at += 40;
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
		if (len < at + 8u)
			return 0;
		next = data[at];
		at += (data[at + 1] + 1u) * 8u;
	}
	return next == IPPROTO_TCP ? at : 0;
}

static void put_gso(struct virtio_net_hdr *vh, enum nic_gso type, uint16_t size, uint32_t hdr_len)
{
	if (type == NIC_GSO_NONE)
		return;
	vh->gso_type = type == NIC_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	vh->gso_size = size;
	vh->hdr_len = (uint16_t)hdr_len;
}

static void put_partial_csum(struct virtio_net_hdr *vh, uint32_t start)
{
	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->csum_start = (uint16_t)start;
	vh->csum_offset = TCP_CSUM_OFFSET;
}

int nic_vnet_tx(const struct nic_tx_frame *frame, struct virtio_net_hdr *vh)
{
	memset(vh, 0, sizeof(*vh));
	if (frame->len > NIC_VNET_MAX_FRAME_BYTES)
		return -EMSGSIZE;
	/* The kernel cuts a super-frame only together with completing its checksums. */
	if (frame->gso_type != NIC_GSO_NONE && (!frame->csum_partial || !frame->gso_size))
		return -EINVAL;
	if (frame->csum_partial)
		put_partial_csum(vh, frame->csum_start);
	put_gso(vh, frame->gso_type, frame->gso_size, frame->hdr_len);
	return 0;
}

int nic_vnet_inject(const struct nic_rx_frame *frame, const uint8_t own_mac[6],
		    struct virtio_net_hdr *vh)
{
	const uint8_t *data = frame->data;
	uint32_t tcp;

	memset(vh, 0, sizeof(*vh));
	if (frame->len < ETH_HLEN || memcmp(data, own_mac, ETH_ALEN))
		return -EINVAL;
	if (frame->vlan_present || (data[12] == 0x81 && data[13] == 0x00))
		return -EOPNOTSUPP;
	tcp = tcp_offset(data, frame->len);
	if (tcp + 20u > frame->len)
		tcp = 0;
	if (frame->gso_type != NIC_GSO_NONE && !tcp)
		return -EINVAL;
	/*
	 * A partial checksum stays partial: the kernel trusts it as it would from a local sender.
	 */
	if (tcp && frame->csum_trusted)
		put_partial_csum(vh, tcp);
	if (frame->gso_type != NIC_GSO_NONE)
		put_gso(vh, frame->gso_type, frame->gso_size, tcp + (data[tcp + 12] >> 4) * 4u);
	return 0;
}

bool nic_vnet_rx(const struct virtio_net_hdr *vh, struct nic_rx_frame *frame)
{
	frame->csum_trusted =
		vh->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
	frame->gso_size = vh->gso_size;
	switch (vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		frame->gso_type = NIC_GSO_NONE;
		frame->gso_size = 0;
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		frame->gso_type = NIC_GSO_TCP4;
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		frame->gso_type = NIC_GSO_TCP6;
		return true;
	default:
		return false;
	}
}
