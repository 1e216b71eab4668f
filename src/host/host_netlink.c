/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_netlink_private.h"

#define EVENT_ROOM_BYTES (1 << 20)
#define OPER_UNKNOWN     0u /* IF_OPER_UNKNOWN */
#define OPER_UP          6u /* IF_OPER_UP */

static int open_socket(struct mnl_socket **out, int bus, unsigned groups)
{
	int err;

	*out = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!*out)
		return -errno;
	if (mnl_socket_bind(*out, groups, MNL_SOCKET_AUTOPID) == 0)
		return 0;
	err = -errno;
	mnl_socket_close(*out);
	*out = NULL;
	return err;
}

int host_nl_open(struct host_nl **out)
{
	unsigned groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			  RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
	struct host_nl *nl = calloc(1, sizeof(*nl));
	int room = EVENT_ROOM_BYTES, one = 1, err;

	if (!nl)
		return -ENOMEM;
	err = open_socket(&nl->rtnl, NETLINK_ROUTE, 0);
	if (!err)
		err = open_socket(&nl->events, NETLINK_ROUTE, groups);
	if (!err)
		err = open_socket(&nl->diag, NETLINK_SOCK_DIAG, 0);
	if (err) {
		host_nl_close(nl);
		return err;
	}
	/* Best effort: a small buffer only means an overrun event earlier. */
	(void)setsockopt(mnl_socket_get_fd(nl->events), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* Otherwise the kernel fills in only what it was asked for in 2004. */
	(void)mnl_socket_setsockopt(nl->rtnl, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	*out = nl;
	return 0;
}

void host_nl_close(struct host_nl *nl)
{
	if (!nl)
		return;
	if (nl->rtnl)
		mnl_socket_close(nl->rtnl);
	if (nl->events)
		mnl_socket_close(nl->events);
	if (nl->diag)
		mnl_socket_close(nl->diag);
	free(nl);
}

int host_nl_request(struct host_nl *nl, struct mnl_socket *sock, struct nlmsghdr *nlh, mnl_cb_t cb,
		    void *data)
{
	unsigned portid = mnl_socket_get_portid(sock);
	int ret = MNL_CB_OK;

	nlh->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(sock, nl->buf, sizeof(nl->buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(nl->buf, (size_t)len, nl->seq, portid, cb, data);
		/* An answer to a request that was given up earlier: not ours, go on. */
		if (ret < 0 && errno == EPROTO)
			ret = MNL_CB_OK;
		else if (ret < 0)
			return -errno;
	}
	return 0;
}

static struct nlmsghdr *start(char *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return nlh;
}

struct answer {
	int got; /* 1 found, negative: could not be decoded */
	void *out;
};

static int link_cb(const struct nlmsghdr *nlh, void *data)
{
	struct answer *a = data;

	if (nlh->nlmsg_type == RTM_NEWLINK)
		a->got = host_nl_decode_link(nlh, a->out) ? -EPROTO : 1;
	return MNL_CB_OK;
}

int host_nl_link_get(struct host_nl *nl, uint32_t ifindex, const char *name,
		     struct host_nl_link *out)
{
	char buf[256];
	struct nlmsghdr *nlh = start(buf, RTM_GETLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	struct answer a = { .out = out };
	int err;

	ifm->ifi_family = AF_UNSPEC;
	ifm->ifi_index = (int)ifindex;
	if (!ifindex)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	err = host_nl_request(nl, nl->rtnl, nlh, link_cb, &a);
	if (err)
		return err;
	return a.got == 1 ? 0 : a.got ? a.got : -ENODEV;
}

bool host_nl_link_usable(const struct host_nl_link *link)
{
	return (link->flags & IFF_UP) &&
	       (link->operstate == OPER_UP || link->operstate == OPER_UNKNOWN);
}

static int route_cb(const struct nlmsghdr *nlh, void *data)
{
	struct answer *a = data;

	if (nlh->nlmsg_type == RTM_NEWROUTE)
		a->got = host_nl_decode_route(nlh, a->out) ? -EPROTO : 1;
	return MNL_CB_OK;
}

/* The answer names a path MTU only where one differs: else it is that of the link. */
static int default_mtu(struct host_nl *nl, struct host_nl_route *route)
{
	struct host_nl_link link;
	int err;

	if (route->mtu_bytes || !route->ifindex)
		return 0;
	err = host_nl_link_get(nl, route->ifindex, NULL, &link);
	if (!err)
		route->mtu_bytes = link.mtu_bytes;
	return err;
}

int host_nl_route_get(struct host_nl *nl, const struct steer_flow *flow, uint32_t mark,
		      struct host_nl_route *out)
{
	char buf[512];
	struct nlmsghdr *nlh = start(buf, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct answer a = { .out = out };
	unsigned len = host_nl_addr_len(flow->family);
	int err;

	rtm->rtm_family = flow->family;
	rtm->rtm_dst_len = (uint8_t)(len * 8);
	rtm->rtm_src_len = (uint8_t)(len * 8);
	mnl_attr_put(nlh, RTA_DST, len, flow->remote);
	mnl_attr_put(nlh, RTA_SRC, len, flow->local);
	if (mark)
		mnl_attr_put_u32(nlh, RTA_MARK, mark);
	mnl_attr_put_u8(nlh, RTA_IP_PROTO, IPPROTO_TCP);
	mnl_attr_put_u16(nlh, RTA_SPORT, flow->local_port_be);
	mnl_attr_put_u16(nlh, RTA_DPORT, flow->remote_port_be);
	err = host_nl_request(nl, nl->rtnl, nlh, route_cb, &a);
	if (err)
		return err;
	if (a.got != 1)
		return a.got ? a.got : -ENETUNREACH;
	return default_mtu(nl, out);
}

static int neigh_cb(const struct nlmsghdr *nlh, void *data)
{
	struct answer *a = data;

	if (nlh->nlmsg_type == RTM_NEWNEIGH)
		a->got = host_nl_decode_neigh(nlh, a->out) ? -EPROTO : 1;
	return MNL_CB_OK;
}

static struct ndmsg *put_neigh(struct nlmsghdr *nlh, uint32_t ifindex,
			       const struct host_nl_addr *addr)
{
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = addr->family;
	ndm->ndm_ifindex = (int)ifindex;
	mnl_attr_put(nlh, NDA_DST, host_nl_addr_len(addr->family), addr->bytes);
	return ndm;
}

int host_nl_neigh_get(struct host_nl *nl, uint32_t ifindex, const struct host_nl_addr *addr,
		      struct host_nl_neigh *out)
{
	char buf[256];
	struct nlmsghdr *nlh = start(buf, RTM_GETNEIGH, 0);
	struct answer a = { .out = out };
	int err;

	put_neigh(nlh, ifindex, addr);
	err = host_nl_request(nl, nl->rtnl, nlh, neigh_cb, &a);
	if (err)
		return err;
	return a.got == 1 ? 0 : a.got ? a.got : -ENOENT;
}

int host_nl_neigh_probe(struct host_nl *nl, uint32_t ifindex, const struct host_nl_addr *addr)
{
	char buf[256];
	struct host_nl_neigh now;
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;
	int err = host_nl_neigh_get(nl, ifindex, addr, &now);

	if (err && err != -ENOENT)
		return err;
	if (!err && (now.state & (NUD_PERMANENT | NUD_NOARP)))
		return 0;
	nlh = start(buf, RTM_NEWNEIGH, err ? NLM_F_CREATE : NLM_F_REPLACE);
	ndm = put_neigh(nlh, ifindex, addr);
	if (!err && now.has_mac && !(now.state & (NUD_FAILED | NUD_INCOMPLETE))) {
		ndm->ndm_state = NUD_PROBE;
		mnl_attr_put(nlh, NDA_LLADDR, 6, now.mac);
	} else {
		ndm->ndm_flags = NTF_USE; /* as if a packet waited for it */
	}
	return host_nl_request(nl, nl->rtnl, nlh, NULL, NULL);
}

int host_nl_neigh_confirm(struct host_nl *nl, uint32_t ifindex, const struct host_nl_addr *addr,
			  const uint8_t mac[6])
{
	char buf[256];
	struct host_nl_neigh now;
	struct nlmsghdr *nlh;
	int err = host_nl_neigh_get(nl, ifindex, addr, &now);

	if (err)
		return err;
	if (now.state & (NUD_PERMANENT | NUD_NOARP))
		return 0;
	if (!now.has_mac || memcmp(now.mac, mac, 6))
		return -ESTALE;
	nlh = start(buf, RTM_NEWNEIGH, NLM_F_REPLACE);
	put_neigh(nlh, ifindex, addr)->ndm_state = NUD_REACHABLE;
	mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
	return host_nl_request(nl, nl->rtnl, nlh, NULL, NULL);
}
