/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is configured inside a namespace, as rtnetlink requests: links, addresses, routes,
 * neighbours. Each request is built in a stack buffer, sent on the namespace's own socket and
 * answered by one acknowledgement.
 */
#include "netns/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#define REQ_BYTES 1024

static struct nlmsghdr *req_start(struct netns *ns, char *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nlh->nlmsg_seq = ++ns->seq;
	return nlh;
}

/* Sends the request and waits for its acknowledgement. */
static int req_run(struct netns *ns, const struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	char buf[8192];
	unsigned portid = mnl_socket_get_portid(ns->rtnl);
	int ret;

	if (mnl_socket_sendto(ns->rtnl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t len = mnl_socket_recvfrom(ns->rtnl, buf, sizeof(buf));

		if (len < 0 && errno == EINTR) {
			ret = MNL_CB_OK;
			continue;
		}
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)len, nlh->nlmsg_seq, portid, cb, data);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

static int parse_addr(const char *text, uint8_t *family, uint8_t bytes[16])
{
	if (inet_pton(AF_INET, text, bytes) == 1) {
		*family = AF_INET;
		return 4;
	}
	if (inet_pton(AF_INET6, text, bytes) == 1) {
		*family = AF_INET6;
		return 16;
	}
	return -EINVAL;
}

void netns_unique_ifname(char name[16], const char *prefix)
{
	static atomic_uint counter;
	unsigned n = atomic_fetch_add(&counter, 1);

	snprintf(name, 16, "%.4s%x%x", prefix, (unsigned)getpid() & 0xffffff, n & 0xffff);
}

static void put_no_ipv6_autoconf(struct nlmsghdr *nlh)
{
	struct nlattr *af_spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);

	/* No link-local address, hence no DAD and no router solicitation on this link. */
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, af_spec);
}

static void put_veth_end(struct nlmsghdr *nlh, const struct netns_veth_end *end, uint32_t mtu_bytes)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, end->ifname);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)end->ns->fd);
	if (end->mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, 6, end->mac);
	if (mtu_bytes)
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
}

static int link_no_ipv6_autoconf(struct netns *ns, const char *ifname)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(ns, buf, RTM_NEWLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));

	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	put_no_ipv6_autoconf(nlh);
	return req_run(ns, nlh, NULL, NULL);
}

static int link_cb(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type == RTM_NEWLINK)
		*(int *)data = ((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_index;
	return MNL_CB_OK;
}

int netns_ifindex(struct netns *ns, const char *ifname)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(ns, buf, RTM_GETLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	int ifindex = 0, err;

	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	err = req_run(ns, nlh, link_cb, &ifindex);
	if (err)
		return err;
	return ifindex ? ifindex : -ENODEV;
}

int netns_addr_add(struct netns *ns, const char *ifname, const char *addr, unsigned prefix_len)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa;
	uint8_t bytes[16], family;
	int len = parse_addr(addr, &family, bytes);
	int ifindex = netns_ifindex(ns, ifname);

	if (len < 0)
		return len;
	if (ifindex < 0)
		return ifindex;
	nlh = req_start(ns, buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = family;
	ifa->ifa_prefixlen = (uint8_t)prefix_len;
	ifa->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	ifa->ifa_index = (uint32_t)ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, (size_t)len, bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, (size_t)len, bytes);
	return req_run(ns, nlh, NULL, NULL);
}

static int mac_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) == IFLA_ADDRESS && mnl_attr_get_payload_len(attr) == 6)
			memcpy(data, mnl_attr_get_payload(attr), 6);
	}
	return MNL_CB_OK;
}

/*
 * Neighbour discovery probes need a link-local source address. The kernel's own would have to pass
 * duplicate detection first, so it is given here, of the same form.
 */
static int link_set_ipv6(struct netns *ns, const char *ifname)
{
	char buf[REQ_BYTES], text[INET6_ADDRSTRLEN];
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifm;
	uint8_t mac[6] = { 0 };
	int err = link_no_ipv6_autoconf(ns, ifname);

	if (err)
		return err;
	nlh = req_start(ns, buf, RTM_GETLINK, 0);
	ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	err = req_run(ns, nlh, mac_cb, mac);
	if (err)
		return err;
	snprintf(text, sizeof(text), "fe80::%02x%02x:%02xff:fe%02x:%02x%02x", mac[0] ^ 2, mac[1],
		 mac[2], mac[3], mac[4], mac[5]);
	return netns_addr_add(ns, ifname, text, 64);
}

int netns_veth(const struct netns_veth_end *a, const struct netns_veth_end *b, uint32_t mtu_bytes)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(a->ns, buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	struct nlattr *info, *data, *peer;
	int err;

	ifm->ifi_family = AF_UNSPEC;
	put_veth_end(nlh, a, mtu_bytes);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	put_veth_end(nlh, b, mtu_bytes);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	err = req_run(a->ns, nlh, NULL, NULL);
	if (err)
		return err;
	err = link_set_ipv6(a->ns, a->ifname);
	if (!err)
		err = link_set_ipv6(b->ns, b->ifname);
	/* A kernel without IPv6 has nothing to set. */
	return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

int netns_link_set_up(struct netns *ns, const char *ifname, int up)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(ns, buf, RTM_NEWLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));

	ifm->ifi_family = AF_UNSPEC;
	ifm->ifi_change = IFF_UP;
	ifm->ifi_flags = up ? IFF_UP : 0;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	return req_run(ns, nlh, NULL, NULL);
}

int netns_link_set_mtu(struct netns *ns, const char *ifname, uint32_t mtu_bytes)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(ns, buf, RTM_NEWLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));

	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
	return req_run(ns, nlh, NULL, NULL);
}

int netns_link_del(struct netns *ns, const char *ifname)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(ns, buf, RTM_DELLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));

	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	return req_run(ns, nlh, NULL, NULL);
}

int netns_route_add(struct netns *ns, const char *dst, unsigned prefix_len, const char *via,
		    const char *ifname, uint32_t mtu_bytes)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;
	uint8_t to[16], gw[16], family, gw_family = 0;
	int to_len = parse_addr(dst, &family, to);
	int gw_len = via ? parse_addr(via, &gw_family, gw) : 0;
	int ifindex = netns_ifindex(ns, ifname);

	if (to_len < 0 || gw_len < 0 || (via && gw_family != family))
		return -EINVAL;
	if (ifindex < 0)
		return ifindex;
	nlh = req_start(ns, buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_dst_len = (uint8_t)prefix_len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_BOOT;
	rtm->rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	if (prefix_len)
		mnl_attr_put(nlh, RTA_DST, (size_t)to_len, to);
	if (via)
		mnl_attr_put(nlh, RTA_GATEWAY, (size_t)gw_len, gw);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)ifindex);
	if (mtu_bytes) {
		struct nlattr *metrics = mnl_attr_nest_start(nlh, RTA_METRICS);

		mnl_attr_put_u32(nlh, RTAX_MTU, mtu_bytes);
		mnl_attr_nest_end(nlh, metrics);
	}
	return req_run(ns, nlh, NULL, NULL);
}

static int neigh_req(struct netns *ns, uint16_t type, const char *ifname, const char *addr,
		     const uint8_t *mac, uint16_t nud_state)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;
	uint8_t bytes[16], family;
	int len = parse_addr(addr, &family, bytes);
	int ifindex = netns_ifindex(ns, ifname);

	if (len < 0)
		return len;
	if (ifindex < 0)
		return ifindex;
	nlh = req_start(ns, buf, type, type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = family;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_state = nud_state;
	mnl_attr_put(nlh, NDA_DST, (size_t)len, bytes);
	if (mac)
		mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
	return req_run(ns, nlh, NULL, NULL);
}

int netns_neigh_set(struct netns *ns, const char *ifname, const char *addr, const uint8_t mac[6],
		    uint16_t nud_state)
{
	return neigh_req(ns, RTM_NEWNEIGH, ifname, addr, mac, nud_state);
}

static int running_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == RTM_NEWLINK)
		*(unsigned *)data = ifm->ifi_flags;
	return MNL_CB_OK;
}

static int is_running(struct netns *ns, const char *ifname)
{
	char buf[REQ_BYTES];
	struct nlmsghdr *nlh = req_start(ns, buf, RTM_GETLINK, 0);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	unsigned flags = 0;
	int err;

	ifm->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	err = req_run(ns, nlh, running_cb, &flags);
	if (err)
		return err;
	return (flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Reads one event and throws it away: the state is asked afresh after each. */
static int wait_event(int fd, int64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t left_ms = deadline_ms - now_ms();
	char drop[8192];
	int n;

	if (left_ms <= 0)
		return -ETIMEDOUT;
	n = poll(&pfd, 1, (int)left_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ETIMEDOUT;
	while (recv(fd, drop, sizeof(drop), MSG_DONTWAIT) > 0)
		;
	return 0;
}

int netns_wait_running(struct netns *ns, const char *ifname, int timeout_ms)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int64_t deadline_ms = now_ms() + timeout_ms;
	int fd, ret = 0;

	/* Subscribe first, ask second: no event can fall between. */
	fd = netns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&group, sizeof(group)) < 0)
		ret = -errno;
	while (!ret) {
		ret = is_running(ns, ifname);
		if (ret)
			break;
		ret = wait_event(fd, deadline_ms);
	}
	close(fd);
	return ret < 0 ? ret : 0;
}
