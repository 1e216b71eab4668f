/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive: TPACKET_V2 ring, whose memory the receive buffer limits of an ordinary user do not bind
 * (they would hold three super-frames). A slot takes the largest super-frame, its virtio header
 * directly before the frame; the receiver reads it in place. V3 would pack slots, but hands out a
 * block only when it is full or a timer of milliseconds ends.
 *
 * Send: sendmmsg() with a virtio header before each frame.
 */
#include "nic/nic_veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "nic/nic_provider.h"
#include "nic/nic_vnet.h"

#define SLOT_BYTES       67584u     /* a multiple of 16 above header and largest frame */
#define BLOCK_BYTES      (1u << 20) /* the kernel rounds up to powers of two anyway */
#define SLOTS_PER_BLOCK  (BLOCK_BYTES / SLOT_BYTES)
#define BLOCKS           16u
#define SLOTS            (SLOTS_PER_BLOCK * BLOCKS)
#define SEND_BATCH       32u
#define IOV_PER_FRAME    64u
#define NAMES_TO_TRY     64
#define SOCKET_SND_BYTES (8 << 20)

_Static_assert(SLOT_BYTES >= NIC_VNET_MAX_FRAME_BYTES + 256, "a slot holds every frame");

struct nic_veth {
	struct nic nic; /* first: nic.h's users hold a pointer to it */
	int fd;
	char near[IFNAMSIZ], far[IFNAMSIZ];
	uint8_t *ring;
	unsigned int next; /* slot to look at */
	struct mmsghdr msgs[SEND_BATCH];
	struct virtio_net_hdr heads[SEND_BATCH];
	struct iovec iov[SEND_BATCH][IOV_PER_FRAME + 1];
};

static struct nic_veth *veth_of(const struct nic *nic)
{
	return (struct nic_veth *)nic;
}

static struct tpacket2_hdr *slot(const struct nic_veth *veth, unsigned int i)
{
	size_t block = i / SLOTS_PER_BLOCK, place = i % SLOTS_PER_BLOCK;

	return (struct tpacket2_hdr *)(veth->ring + block * BLOCK_BYTES + place * SLOT_BYTES);
}

/* ---- links ---- */

static int rtnl_run(struct nlmsghdr *nlh)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[8192];
	ssize_t len;
	int err = 0;

	if (!nl)
		return -errno;
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	if (!err) {
		do
			len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		while (len < 0 && errno == EINTR);
		if (len < 0 ||
		    mnl_cb_run(buf, (size_t)len, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0)
			err = -errno;
	}
	mnl_socket_close(nl);
	return err;
}

static struct nlmsghdr *link_msg(char *buf, uint16_t type, const char *ifname)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));

	nlh->nlmsg_type = type;
	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	return nlh;
}

static int make_pair(const char *near, const char *far, uint32_t mtu_bytes)
{
	char buf[512];
	struct nlmsghdr *nlh = link_msg(buf, RTM_NEWLINK, near);
	struct nlattr *info, *data, *peer;

	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, far);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return rtnl_run(nlh);
}

/* The wanted name may hold "%d": the first number that is free. */
static int make_named_pair(struct nic_veth *veth, const struct nic_tap_config *config)
{
	const char *percent = strstr(config->ifname, "%d");
	int n, err = -EEXIST;

	for (n = 0; err == -EEXIST && n < (percent ? NAMES_TO_TRY : 1); n++) {
		if (percent)
			snprintf(veth->near, sizeof(veth->near), "%.*s%d",
				 (int)(percent - config->ifname), config->ifname, n);
		else
			snprintf(veth->near, sizeof(veth->near), "%s", config->ifname);
		snprintf(veth->far, sizeof(veth->far), "%.13s-x", veth->near);
		err = make_pair(veth->near, veth->far, config->mtu_bytes);
	}
	return err;
}

/* Nothing of its own on the far end: no IPv6 address, no ARP. */
static int far_up(const char *far)
{
	char buf[256];
	struct nlmsghdr *nlh = link_msg(buf, RTM_NEWLINK, far);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);
	struct ifinfomsg *ifm;
	int err;

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	err = rtnl_run(nlh);
	if (err && err != -EAFNOSUPPORT && err != -EOPNOTSUPP)
		return err;
	nlh = link_msg(buf, RTM_NEWLINK, far);
	ifm = mnl_nlmsg_get_payload(nlh);
	ifm->ifi_change = ifm->ifi_flags = IFF_UP | IFF_NOARP;
	return rtnl_run(nlh);
}

static int delete_pair(const char *near)
{
	char buf[128];

	return rtnl_run(link_msg(buf, RTM_DELLINK, near));
}

/* ---- the packet socket ---- */

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int map_ring(struct nic_veth *veth)
{
	struct tpacket_req req = { .tp_block_size = BLOCK_BYTES,
				   .tp_block_nr = BLOCKS,
				   .tp_frame_size = SLOT_BYTES,
				   .tp_frame_nr = SLOTS };
	struct tpacket_req none = { 0 };
	void *ring;

	/* An adopted socket has one, with a position that only its former user knew. */
	if (setsockopt(veth->fd, SOL_PACKET, PACKET_RX_RING, &none, sizeof(none)) < 0)
		return -errno;

	if (setsockopt(veth->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return -errno;
	ring = mmap(NULL, (size_t)BLOCKS * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		    veth->fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	veth->ring = ring;
	return 0;
}

static int open_socket(struct nic_veth *veth)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(veth->far) };
	int room_bytes = SOCKET_SND_BYTES, err;

	veth->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (veth->fd < 0)
		return -errno;
	err = set_int(veth->fd, PACKET_VERSION, TPACKET_V2);
	if (!err)
		err = set_int(veth->fd, PACKET_VNET_HDR, 1);
	if (!err)
		err = set_int(veth->fd, PACKET_IGNORE_OUTGOING, 1);
	if (!err)
		err = map_ring(veth);
	/* As much as the namespace allows. */
	(void)setsockopt(veth->fd, SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof(room_bytes));
	if (!err && bind(veth->fd, (struct sockaddr *)&ll, sizeof(ll)) < 0)
		err = -errno;
	return err;
}

/* ---- nic_provider ---- */

static int prepare_one(struct nic_veth *veth, unsigned int i, const struct nic_tx_frame *f)
{
	struct msghdr *msg = &veth->msgs[i].msg_hdr;
	int err = nic_vnet_tx(f, &veth->heads[i]);

	if (err)
		return err;
	if (f->iov_count > IOV_PER_FRAME)
		return -EMSGSIZE;
	veth->iov[i][0].iov_base = &veth->heads[i];
	veth->iov[i][0].iov_len = sizeof(veth->heads[i]);
	memcpy(&veth->iov[i][1], f->iov, f->iov_count * sizeof(*f->iov));
	msg->msg_iov = veth->iov[i];
	msg->msg_iovlen = f->iov_count + 1u;
	return 0;
}

static bool is_full(int err)
{
	return err == EAGAIN || err == ENOBUFS || err == ENOMEM;
}

/* Sends n prepared frames, those at frames; returns how many are done with: sent or hopeless. */
static unsigned int flush(struct nic_veth *veth, const struct nic_tx_frame *frames, unsigned int n)
{
	struct nic_stats *stats = &veth->nic.stats;
	unsigned int done = 0;

	while (done < n) {
		int sent = sendmmsg(veth->fd, veth->msgs + done, n - done, 0);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && is_full(errno))
			break;
		if (sent <= 0) {
			stats->tx_drops++;
			done++;
			continue;
		}
		for (; sent > 0; sent--, done++) {
			stats->tx_frames++;
			stats->tx_bytes += frames[done].len;
		}
	}
	return done;
}

static unsigned int veth_send(struct nic *nic, const struct nic_tx_frame *frames,
			      unsigned int count)
{
	struct nic_veth *veth = veth_of(nic);
	unsigned int start = 0;

	while (start < count) {
		unsigned int n = 0, done;

		while (n < SEND_BATCH && start + n < count &&
		       !prepare_one(veth, n, &frames[start + n]))
			n++;
		if (n == 0) {
			nic->stats.tx_drops++;
			start++;
			continue;
		}
		done = flush(veth, frames + start, n);
		start += done;
		if (done < n)
			break;
	}
	return start;
}

static int veth_indicate(struct nic *nic, const struct nic_rx_frame *frame)
{
	struct nic_veth *veth = veth_of(nic);
	struct virtio_net_hdr vh;
	struct iovec iov[2] = {
		{ .iov_base = &vh, .iov_len = sizeof(vh) },
		{ .iov_base = (void *)(uintptr_t)frame->data, .iov_len = frame->len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	int err = nic_vnet_inject(frame, nic->info.mac, &vh);

	while (!err && sendmsg(veth->fd, &msg, 0) < 0)
		if (errno != EINTR)
			err = -errno;
	if (err)
		nic->stats.rx_drops++;
	return err;
}

static void deliver(struct nic_veth *veth, const struct tpacket2_hdr *h, uint32_t status)
{
	const uint8_t *data = (const uint8_t *)h + h->tp_mac;
	struct nic_rx_frame frame = { .data = data, .len = h->tp_snaplen };
	struct virtio_net_hdr vh;

	memcpy(&vh, data - sizeof(vh), sizeof(vh));
	if (h->tp_snaplen != h->tp_len || h->tp_snaplen < ETH_HLEN || !nic_vnet_rx(&vh, &frame)) {
		veth->nic.stats.rx_drops++;
		return;
	}
	frame.vlan_present = status & TP_STATUS_VLAN_VALID;
	frame.vlan_tci = h->tp_vlan_tci;
	nic_deliver(&veth->nic, &frame);
}

static unsigned int veth_poll(struct nic *nic, unsigned int budget)
{
	struct nic_veth *veth = veth_of(nic);
	unsigned int done;

	for (done = 0; done < budget; done++) {
		struct tpacket2_hdr *h = slot(veth, veth->next);
		/* Pairs with the kernel's release of the slot. */
		uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER))
			break;
		deliver(veth, h, status);
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		veth->next = (veth->next + 1) % SLOTS;
	}
	return done;
}

static int veth_fd(const struct nic *nic)
{
	return veth_of(nic)->fd;
}

static void veth_close(struct nic *nic)
{
	struct nic_veth *veth = veth_of(nic);

	if (veth->ring)
		munmap(veth->ring, (size_t)BLOCKS * BLOCK_BYTES);
	if (veth->fd >= 0)
		close(veth->fd);
	if (veth->near[0])
		(void)delete_pair(veth->near);
	free(veth);
}

static const struct nic_ops veth_ops = {
	.send = veth_send,
	.indicate = veth_indicate,
	.poll = veth_poll,
	.fd = veth_fd,
	.close = veth_close,
};

static struct nic_veth *veth_new(const struct nic_tap_config *config)
{
	struct nic_veth *veth = calloc(1, sizeof(*veth));

	if (!veth)
		return NULL;
	nic_init(&veth->nic, &veth_ops);
	veth->fd = -1;
	memcpy(veth->nic.info.mac, config->mac, sizeof(config->mac));
	veth->nic.info.mtu_bytes = config->mtu_bytes;
	veth->nic.info.max_frame_bytes = ETH_HLEN + 65535u;
	veth->nic.info.features =
		NIC_FEAT_TX_CSUM | NIC_FEAT_TSO4 | NIC_FEAT_TSO6 | NIC_FEAT_RX_CSUM;
	veth->nic.info.kind = "veth";
	return veth;
}

int nic_veth_open(struct nic **out, const struct nic_tap_config *config, char *why, size_t why_size)
{
	struct nic_veth *veth = veth_new(config);
	const char *step = "a veth pair";
	int err;

	if (!veth)
		return -ENOMEM;
	err = make_named_pair(veth, config);
	if (err)
		veth->near[0] = '\0';
	else
		err = far_up(veth->far);
	if (!err) {
		step = "a packet socket with a ring (CAP_NET_RAW)";
		err = open_socket(veth);
	}
	if (err) {
		if (why && why_size)
			snprintf(why, why_size, "cannot make %s: %s", step, strerror(-err));
		veth_close(&veth->nic);
		return err;
	}
	*out = &veth->nic;
	return 0;
}

int nic_tap_or_veth_open(struct nic **out, const struct nic_tap_config *config, char ifname[16],
			 char *why, size_t why_size)
{
	char tap_why[160] = "", veth_why[160] = "";
	int err = nic_tap_open(out, config, tap_why, sizeof(tap_why));

	if (!err) {
		snprintf(ifname, 16, "%s", nic_tap_ifname(*out));
		return 0;
	}
	err = nic_veth_open(out, config, veth_why, sizeof(veth_why));
	if (!err)
		snprintf(ifname, 16, "%s", nic_veth_ifname(*out));
	else if (why && why_size)
		snprintf(why, why_size, "%s; %s", tap_why, veth_why);
	return err;
}

static int veth_adopt(struct nic **out, int fd, const struct nic_tap_config *config)
{
	struct nic_veth *veth = veth_new(config);
	struct sockaddr_ll ll = { 0 };
	socklen_t len = sizeof(ll);
	int err = 0;

	if (!veth) {
		close(fd);
		return -ENOMEM;
	}
	veth->fd = fd;
	if (getsockname(fd, (struct sockaddr *)&ll, &len) < 0 ||
	    !if_indextoname((unsigned int)ll.sll_ifindex, veth->far))
		err = -errno;
	if (!err)
		err = map_ring(veth);
	if (err) {
		veth_close(&veth->nic); /* near is not named yet: the pair stays */
		return err;
	}
	/* "NAME-x" */
	memcpy(veth->near, veth->far, strlen(veth->far) - 2);
	*out = &veth->nic;
	return 0;
}

int nic_tap_or_veth_adopt(struct nic **out, int fd, const struct nic_tap_config *config,
			  char ifname[16])
{
	int domain, err;
	socklen_t len = sizeof(domain);
	bool is_socket = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0;

	err = is_socket ? veth_adopt(out, fd, config) : nic_tap_adopt(out, fd, config);
	if (!err)
		snprintf(ifname, 16, "%s",
			 is_socket ? nic_veth_ifname(*out) : nic_tap_ifname(*out));
	return err;
}

const char *nic_veth_ifname(const struct nic *nic)
{
	return veth_of(nic)->near;
}

int nic_veth_set_mtu(struct nic *nic, uint32_t mtu_bytes)
{
	char buf[128];
	struct nlmsghdr *nlh = link_msg(buf, RTM_NEWLINK, veth_of(nic)->far);

	nic->info.mtu_bytes = mtu_bytes;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
	return rtnl_run(nlh);
}
