/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TAP and the interface as links. A frame written to the TAP reaches the kernel's TCP only if
 * nothing between the driver and the socket look-up refuses it; each condition that can be seen
 * from here is either made true on the TAP (it is ours) or found false and named.
 */
#include "steer/steer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "steer/steer_private.h"

/* Frames that wait between steering and the worker; the kernel's default of 500 is 0.7 MB. */
#define TAP_QUEUE_FRAMES 4096u

struct link_facts {
	unsigned flags;
	uint16_t arphrd;
	uint32_t master;
	uint8_t mac[6];
	uint32_t mtu_bytes;
	int has_inet, has_inet6;
	int32_t rp_filter, ipv6_disabled;
};

static int rtnl_run(const struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[16384];
	int ret = -1, err = 0;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	while (!err) {
		ssize_t len = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			continue;
		ret = len < 0 ? -1
			      : mnl_cb_run(buf, (size_t)len, nlh->nlmsg_seq,
					   mnl_socket_get_portid(nl), cb, data);
		if (ret < 0)
			err = -errno;
		if (ret <= MNL_CB_STOP)
			break;
	}
	mnl_socket_close(nl);
	return err;
}

static struct nlmsghdr *link_req(char *buf, uint16_t type, uint32_t ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifm;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	ifm->ifi_family = AF_UNSPEC;
	ifm->ifi_index = (int)ifindex;
	return nlh;
}

/* IPv4 settings come as one array of u32, counted from 1. */
static void read_inet(const struct nlattr *inet, struct link_facts *f)
{
	const struct nlattr *attr;

	f->has_inet = 1;
	mnl_attr_for_each_nested(attr, inet)
	{
		const uint32_t *conf = mnl_attr_get_payload(attr);

		if (mnl_attr_get_type(attr) == IFLA_INET_CONF &&
		    mnl_attr_get_payload_len(attr) >= IPV4_DEVCONF_RP_FILTER * 4u)
			f->rp_filter = (int32_t)conf[IPV4_DEVCONF_RP_FILTER - 1];
	}
}

static void read_inet6(const struct nlattr *inet6, struct link_facts *f)
{
	const struct nlattr *attr;

	f->has_inet6 = 1;
	mnl_attr_for_each_nested(attr, inet6)
	{
		const int32_t *conf = mnl_attr_get_payload(attr);

		if (mnl_attr_get_type(attr) == IFLA_INET6_CONF &&
		    mnl_attr_get_payload_len(attr) > DEVCONF_DISABLE_IPV6 * 4u)
			f->ipv6_disabled = conf[DEVCONF_DISABLE_IPV6];
	}
}

static int facts_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);
	struct link_facts *f = data;
	const struct nlattr *attr, *af;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	f->flags = ifm->ifi_flags;
	f->arphrd = ifm->ifi_type;
	mnl_attr_for_each(attr, nlh, sizeof(*ifm))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_MASTER:
			f->master = mnl_attr_get_u32(attr);
			break;
		case IFLA_MTU:
			f->mtu_bytes = mnl_attr_get_u32(attr);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == 6)
				memcpy(f->mac, mnl_attr_get_payload(attr), 6);
			break;
		case IFLA_AF_SPEC:
			mnl_attr_for_each_nested(af, attr)
			{
				if (mnl_attr_get_type(af) == AF_INET)
					read_inet(af, f);
				if (mnl_attr_get_type(af) == AF_INET6)
					read_inet6(af, f);
			}
			break;
		}
	}
	return MNL_CB_OK;
}

static int link_facts(uint32_t ifindex, struct link_facts *f)
{
	char buf[256];

	memset(f, 0, sizeof(*f));
	return rtnl_run(link_req(buf, RTM_GETLINK, ifindex), facts_cb, f);
}

static int check_interface(const struct steer_port *port, struct link_facts *f, char *why, size_t n)
{
	int err = link_facts(port->ifindex, f);

	if (err)
		return steer_refuse(err, why, n, "%s: %s", port->ifname, strerror(-err));
	if (f->flags & IFF_LOOPBACK)
		return steer_refuse(-EOPNOTSUPP, why, n,
				    "%s is a loopback interface: the kernel drops what is "
				    "forwarded to it",
				    port->ifname);
	if (f->arphrd != ARPHRD_ETHER)
		return steer_refuse(-EOPNOTSUPP, why, n, "%s is not an Ethernet interface",
				    port->ifname);
	if (f->master && !port->member)
		return steer_refuse(-EOPNOTSUPP, why, n,
				    "%s belongs to interface %u (bridge, bond or VRF): a frame "
				    "given back through a TAP would arrive outside of it",
				    port->ifname, f->master);
	if (!port->member && memcmp(f->mac, port->mac, 6))
		return steer_refuse(-EINVAL, why, n, "%s has another MAC than was given",
				    port->ifname);
	return 0;
}

static int all_rp_filter_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNETCONF)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, NLMSG_ALIGN(sizeof(struct netconfmsg)))
	{
		if (mnl_attr_get_type(attr) == NETCONFA_RP_FILTER)
			memcpy(data, mnl_attr_get_payload(attr), sizeof(int32_t));
	}
	return MNL_CB_OK;
}

/* net.ipv4.conf.all.rp_filter; the larger of it and the link's own value counts. */
static int all_rp_filter(int32_t *value)
{
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct netconfmsg *ncm;

	nlh->nlmsg_type = RTM_GETNETCONF;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	ncm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ncm));
	ncm->ncm_family = AF_INET;
	mnl_attr_put_u32(nlh, NETCONFA_IFINDEX, (uint32_t)NETCONFA_IFINDEX_ALL);
	*value = 0;
	return rtnl_run(nlh, all_rp_filter_cb, value);
}

/*
 * Reverse path filtering, however loose, refuses everything on a link without an IPv4 address. The
 * dummy address of RFC 7600 serves: nobody's, and with scope host never chosen as a source.
 */
static int tap_add_dummy_address(const struct steer_port *port)
{
	static const uint8_t dummy[4] = { 192, 0, 0, 8 };
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;
	int err;

	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	nlh->nlmsg_seq = 1;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 32;
	ifa->ifa_scope = RT_SCOPE_HOST;
	ifa->ifa_index = port->tap_ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, sizeof(dummy), dummy);
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(dummy), dummy);
	err = rtnl_run(nlh, NULL, NULL);
	return err == -EEXIST ? 0 : err;
}

static int tap_configure(const struct steer_port *port, uint32_t mtu_bytes, int with_inet6,
			 uint32_t rp_filter)
{
	char buf[512];
	struct nlmsghdr *nlh = link_req(buf, RTM_NEWLINK, port->tap_ifindex);
	struct nlattr *spec, *af, *conf;

	mnl_attr_put(nlh, IFLA_ADDRESS, 6, port->mac);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
	mnl_attr_put_u32(nlh, IFLA_TXQLEN, TAP_QUEUE_FRAMES);
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	af = mnl_attr_nest_start(nlh, AF_INET);
	conf = mnl_attr_nest_start(nlh, IFLA_INET_CONF);
	mnl_attr_put_u32(nlh, IPV4_DEVCONF_RP_FILTER, rp_filter);
	mnl_attr_nest_end(nlh, conf);
	mnl_attr_nest_end(nlh, af);
	if (with_inet6) {
		/* No link-local address: no DAD, no router solicitation, no MLD on the TAP. */
		af = mnl_attr_nest_start(nlh, AF_INET6);
		mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		mnl_attr_nest_end(nlh, af);
	}
	mnl_attr_nest_end(nlh, spec);
	return rtnl_run(nlh, NULL, NULL);
}

static int tap_up(const struct steer_port *port)
{
	char buf[128];
	struct nlmsghdr *nlh = link_req(buf, RTM_NEWLINK, port->tap_ifindex);
	struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);

	ifm->ifi_change = IFF_UP;
	ifm->ifi_flags = IFF_UP;
	return rtnl_run(nlh, NULL, NULL);
}

/* rtnetlink cannot write this one; conf/default may have switched IPv6 off for new links. */
static void tap_enable_ipv6(const struct steer_port *port)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", port->tap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "0", 1) < 0)
		errno = 0; /* whether it worked is read back by check_tap() */
	close(fd);
}

static int check_tap(const struct steer_port *port, const struct link_facts *iface,
		     int32_t rp_filter, char *why, size_t n)
{
	struct link_facts tap;
	int err = link_facts(port->tap_ifindex, &tap);

	if (err)
		return steer_refuse(err, why, n, "%s: %s", port->tap, strerror(-err));
	if (tap.has_inet && tap.rp_filter != rp_filter)
		return steer_refuse(-EOPNOTSUPP, why, n,
				    "%s: rp_filter stays %d, injected frames would be taken for "
				    "spoofed ones",
				    port->tap, tap.rp_filter);
	if (iface->has_inet6 && !iface->ipv6_disabled && tap.ipv6_disabled)
		return steer_refuse(-EOPNOTSUPP, why, n,
				    "%s: disable_ipv6 cannot be cleared, IPv6 frames could not be "
				    "given to the kernel",
				    port->tap);
	return 0;
}

int steer_link_prepare(const struct steer_port *port, uint32_t mtu_bytes, char *why, size_t n)
{
	struct link_facts iface;
	int32_t rp_filter;
	int err = check_interface(port, &iface, why, n);

	if (err)
		return err;
	if (!mtu_bytes)
		mtu_bytes = iface.mtu_bytes;
	err = all_rp_filter(&rp_filter);
	/* Strict would refuse every peer, for none is routed through the TAP: loose beats it. */
	if (rp_filter)
		rp_filter = 2;
	if (!err)
		err = tap_configure(port, mtu_bytes, iface.has_inet6, (uint32_t)rp_filter);
	if (!err && rp_filter)
		err = tap_add_dummy_address(port);
	if (!err && iface.has_inet6 && !iface.ipv6_disabled)
		tap_enable_ipv6(port);
	if (!err)
		err = tap_up(port);
	if (err)
		return steer_refuse(err, why, n, "%s cannot be set up: %s", port->tap,
				    strerror(-err));
	return check_tap(port, &iface, rp_filter, why, n);
}

int steer_link_set_mtu(const struct steer_port *port, uint32_t mtu_bytes)
{
	char buf[128];
	struct nlmsghdr *nlh = link_req(buf, RTM_NEWLINK, port->tap_ifindex);

	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_bytes);
	return rtnl_run(nlh, NULL, NULL);
}
