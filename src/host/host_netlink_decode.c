/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink messages into our structures. Used for answers and for events alike; attributes that
 * are missing leave zero behind, attributes of a wrong length are ignored.
 */
#include "host/host_netlink_private.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void get_addr(const struct nlattr *attr, uint8_t family, struct host_nl_addr *out)
{
	unsigned len = host_nl_addr_len(family);

	if (mnl_attr_get_payload_len(attr) < len)
		return;
	out->family = family;
	memcpy(out->bytes, mnl_attr_get_payload(attr), len);
}

static uint32_t get_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

static void get_text(const struct nlattr *attr, char out[16])
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len > 15)
		len = 15;
	memcpy(out, mnl_attr_get_payload(attr), len);
	out[len] = '\0';
}

static void decode_linkinfo(const struct nlattr *info, struct host_nl_link *out)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			get_text(attr, out->kind);
	}
}

int host_nl_decode_link(const struct nlmsghdr *nlh, struct host_nl_link *out)
{
	const struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifm))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)ifm->ifi_index;
	out->arphrd = ifm->ifi_type;
	out->flags = ifm->ifi_flags;
	mnl_attr_for_each(attr, nlh, sizeof(*ifm))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			get_text(attr, out->name);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == 6)
				memcpy(out->mac, mnl_attr_get_payload(attr), 6);
			break;
		case IFLA_MTU:
			out->mtu_bytes = get_u32(attr);
			break;
		case IFLA_OPERSTATE:
			out->operstate = mnl_attr_get_u8(attr);
			break;
		case IFLA_MASTER:
			out->master = get_u32(attr);
			break;
		case IFLA_LINK:
			out->lower = get_u32(attr);
			break;
		case IFLA_LINKINFO:
			decode_linkinfo(attr, out);
			break;
		}
	}
	return 0;
}

/* The kernel counts neighbour ages in user ticks (100 a second). */
static uint32_t ticks_to_ms(uint32_t ticks)
{
	static long per_second;

	if (!per_second)
		per_second = sysconf(_SC_CLK_TCK) > 0 ? sysconf(_SC_CLK_TCK) : 100;
	return (uint32_t)((uint64_t)ticks * 1000u / (uint64_t)per_second);
}

static void decode_cacheinfo(const struct nlattr *attr, struct host_nl_neigh *out)
{
	struct nda_cacheinfo ci;

	if (mnl_attr_get_payload_len(attr) < sizeof(ci))
		return;
	memcpy(&ci, mnl_attr_get_payload(attr), sizeof(ci));
	out->confirmed_age_ms = ticks_to_ms(ci.ndm_confirmed);
	out->used_age_ms = ticks_to_ms(ci.ndm_used);
	out->updated_age_ms = ticks_to_ms(ci.ndm_updated);
}

int host_nl_decode_neigh(const struct nlmsghdr *nlh, struct host_nl_neigh *out)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ndm) ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)ndm->ndm_ifindex;
	out->state = ndm->ndm_state;
	out->flags = ndm->ndm_flags;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm))
	{
		switch (mnl_attr_get_type(attr)) {
		case NDA_DST:
			get_addr(attr, ndm->ndm_family, &out->addr);
			break;
		case NDA_LLADDR:
			if (mnl_attr_get_payload_len(attr) == 6) {
				memcpy(out->mac, mnl_attr_get_payload(attr), 6);
				out->has_mac = true;
			}
			break;
		case NDA_CACHEINFO:
			decode_cacheinfo(attr, out);
			break;
		}
	}
	return out->addr.family ? 0 : -EINVAL;
}

static void decode_metrics(const struct nlattr *metrics, struct host_nl_route *out)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics)
	{
		switch (mnl_attr_get_type(attr)) {
		case RTAX_MTU:
			out->mtu_bytes = get_u32(attr);
			break;
		case RTAX_LOCK:
			out->mtu_locked = get_u32(attr) & (1u << RTAX_MTU);
			break;
		case RTAX_HOPLIMIT:
			out->hop_limit = get_u32(attr);
			break;
		}
	}
}

/* A next hop of the other family (an IPv4 route by way of an IPv6 router). */
static void decode_via(const struct nlattr *attr, struct host_nl_addr *out)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	uint8_t family;

	if (len < sizeof(via->rtvia_family))
		return;
	family = (uint8_t)via->rtvia_family;
	if ((family != AF_INET && family != AF_INET6) ||
	    len < sizeof(via->rtvia_family) + host_nl_addr_len(family))
		return;
	out->family = family;
	memcpy(out->bytes, via->rtvia_addr, host_nl_addr_len(family));
}

static void decode_expiry(const struct nlattr *attr, struct host_nl_route *out)
{
	struct rta_cacheinfo ci;

	if (mnl_attr_get_payload_len(attr) < sizeof(ci))
		return;
	memcpy(&ci, mnl_attr_get_payload(attr), sizeof(ci));
	if (ci.rta_expires > 0)
		out->mtu_expires_ms = ticks_to_ms((uint32_t)ci.rta_expires);
}

int host_nl_decode_route(const struct nlmsghdr *nlh, struct host_nl_route *out)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct host_nl_addr dst = { 0 };
	const struct nlattr *attr;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*rtm))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->type = rtm->rtm_type;
	out->table = rtm->rtm_table;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			get_addr(attr, rtm->rtm_family, &dst);
			break;
		case RTA_GATEWAY:
			get_addr(attr, rtm->rtm_family, &out->next_hop);
			break;
		case RTA_VIA:
			decode_via(attr, &out->next_hop);
			break;
		case RTA_PREFSRC:
			get_addr(attr, rtm->rtm_family, &out->source);
			break;
		case RTA_OIF:
			out->ifindex = get_u32(attr);
			break;
		case RTA_TABLE:
			out->table = get_u32(attr);
			break;
		case RTA_METRICS:
			decode_metrics(attr, out);
			break;
		case RTA_CACHEINFO:
			decode_expiry(attr, out);
			break;
		}
	}
	out->gatewayed = out->next_hop.family != 0;
	if (!out->gatewayed)
		out->next_hop = dst;
	return 0;
}

static int decode_route_prefix(const struct nlmsghdr *nlh, struct host_nl_prefix *out)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*rtm) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return -EINVAL;
	out->addr.family = rtm->rtm_family;
	out->len = rtm->rtm_dst_len;
	out->table = rtm->rtm_table;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(attr) == RTA_DST)
			get_addr(attr, rtm->rtm_family, &out->addr);
		else if (mnl_attr_get_type(attr) == RTA_OIF)
			out->ifindex = get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_TABLE)
			out->table = get_u32(attr);
	}
	return 0;
}

int host_nl_decode_prefix(const struct nlmsghdr *nlh, struct host_nl_prefix *out)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	bool has_local = false;

	memset(out, 0, sizeof(*out));
	if (nlh->nlmsg_type == RTM_NEWROUTE || nlh->nlmsg_type == RTM_DELROUTE)
		return decode_route_prefix(nlh, out);
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifa) ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return -EINVAL;
	out->len = ifa->ifa_prefixlen;
	out->ifindex = ifa->ifa_index;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		/* On a point-to-point link IFA_ADDRESS is the other end: LOCAL wins. */
		if (mnl_attr_get_type(attr) == IFA_LOCAL) {
			get_addr(attr, ifa->ifa_family, &out->addr);
			has_local = true;
		} else if (mnl_attr_get_type(attr) == IFA_ADDRESS && !has_local) {
			get_addr(attr, ifa->ifa_family, &out->addr);
		}
	}
	return out->addr.family ? 0 : -EINVAL;
}
