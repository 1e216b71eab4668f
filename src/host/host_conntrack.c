/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctnetlink requests. Look-ups by a tuple find the entry in whichever direction it was made, so the
 * caller need not know who opened the connection.
 */
#include "host/host_conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "host/host_netlink_private.h"

/* The kernel's own default for an established connection; its own timers take over afterwards. */
#define OFFLOADED_TIMEOUT_S 432000u

struct host_ct {
	struct mnl_socket *nl;
	uint32_t seq;
	bool absent; /* no conntrack in this kernel or namespace: nothing to tell */
};

int host_ct_open(struct host_ct **out)
{
	struct host_ct *ct = calloc(1, sizeof(*ct));
	int err;

	if (!ct)
		return -ENOMEM;
	ct->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!ct->nl || mnl_socket_bind(ct->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		host_ct_close(ct);
		return err;
	}
	ct->absent = access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) != 0;
	*out = ct;
	return 0;
}

void host_ct_close(struct host_ct *ct)
{
	if (!ct)
		return;
	if (ct->nl)
		mnl_socket_close(ct->nl);
	free(ct);
}

static void put_tuple(struct nlmsghdr *nlh, const struct steer_flow *f)
{
	bool v6 = f->family == AF_INET6;
	struct nlattr *tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	struct nlattr *part = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	mnl_attr_put(nlh, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, host_nl_addr_len(f->family),
		     f->local);
	mnl_attr_put(nlh, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, host_nl_addr_len(f->family),
		     f->remote);
	mnl_attr_nest_end(nlh, part);
	part = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, f->local_port_be);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, f->remote_port_be);
	mnl_attr_nest_end(nlh, part);
	mnl_attr_nest_end(nlh, tuple);
}

static struct nlmsghdr *start(struct host_ct *ct, char *buf, uint16_t type,
			      const struct steer_flow *flow)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++ct->seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = flow->family;
	nfg->version = NFNETLINK_V0;
	put_tuple(nlh, flow);
	return nlh;
}

static int run(struct host_ct *ct, struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	char buf[8192];
	int ret = MNL_CB_OK;

	if (ct->absent)
		return -ENOENT;
	if (mnl_socket_sendto(ct->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(ct->nl, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)len, ct->seq, mnl_socket_get_portid(ct->nl), cb,
				 data);
		if (ret < 0)
			/* nfnetlink's word for a subsystem that it does not have */
			return errno == EINVAL ? -EOPNOTSUPP : -errno;
	}
	return 0;
}

struct tuple_bytes {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
};

static void parse_ip(const struct nlattr *ip, struct tuple_bytes *out)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, ip)
	{
		size_t len = mnl_attr_get_payload_len(attr);
		unsigned type = mnl_attr_get_type(attr);

		if (len > 16)
			continue;
		if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC)
			memcpy(out->src, mnl_attr_get_payload(attr), len);
		else if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST)
			memcpy(out->dst, mnl_attr_get_payload(attr), len);
	}
}

static void parse_tuple(const struct nlattr *tuple, struct tuple_bytes *out)
{
	const struct nlattr *part, *attr;

	mnl_attr_for_each_nested(part, tuple)
	{
		if (mnl_attr_get_type(part) == CTA_TUPLE_IP)
			parse_ip(part, out);
		if (mnl_attr_get_type(part) != CTA_TUPLE_PROTO)
			continue;
		mnl_attr_for_each_nested(attr, part)
		{
			if (mnl_attr_get_type(attr) == CTA_PROTO_SRC_PORT)
				out->sport = mnl_attr_get_u16(attr);
			else if (mnl_attr_get_type(attr) == CTA_PROTO_DST_PORT)
				out->dport = mnl_attr_get_u16(attr);
		}
	}
}

static bool is_liberal(const struct nlattr *attr)
{
	const struct nf_ct_tcp_flags *flags = mnl_attr_get_payload(attr);

	return mnl_attr_get_payload_len(attr) >= sizeof(*flags) &&
	       (flags->flags & IP_CT_TCP_FLAG_BE_LIBERAL);
}

static void parse_protoinfo(const struct nlattr *info, struct host_ct_entry *out)
{
	const struct nlattr *tcp, *attr;
	int liberal = 0;

	mnl_attr_for_each_nested(tcp, info)
	{
		if (mnl_attr_get_type(tcp) != CTA_PROTOINFO_TCP)
			continue;
		mnl_attr_for_each_nested(attr, tcp)
		{
			switch (mnl_attr_get_type(attr)) {
			case CTA_PROTOINFO_TCP_STATE:
				out->tcp_state = mnl_attr_get_u8(attr);
				break;
			case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL:
			case CTA_PROTOINFO_TCP_FLAGS_REPLY:
				liberal += is_liberal(attr);
				break;
			}
		}
	}
	out->liberal = liberal == 2;
}

static int entry_cb(const struct nlmsghdr *nlh, void *data)
{
	struct host_ct_entry *out = data;
	struct tuple_bytes orig = { 0 }, reply = { 0 };
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(attr)) {
		case CTA_TUPLE_ORIG:
			parse_tuple(attr, &orig);
			break;
		case CTA_TUPLE_REPLY:
			parse_tuple(attr, &reply);
			break;
		case CTA_STATUS:
			out->status = ntohl(mnl_attr_get_u32(attr));
			break;
		case CTA_TIMEOUT:
			out->timeout_s = ntohl(mnl_attr_get_u32(attr));
			break;
		case CTA_HELP:
			out->helper = true;
			break;
		case CTA_PROTOINFO:
			parse_protoinfo(attr, out);
			break;
		}
	}
	out->nat = (out->status & IPS_NAT_MASK) || memcmp(orig.src, reply.dst, 16) ||
		   memcmp(orig.dst, reply.src, 16) || orig.sport != reply.dport ||
		   orig.dport != reply.sport;
	out->flowtable = out->status & (IPS_OFFLOAD | IPS_HW_OFFLOAD);
	return MNL_CB_OK;
}

int host_ct_get(struct host_ct *ct, const struct steer_flow *flow, struct host_ct_entry *out)
{
	char buf[512];

	memset(out, 0, sizeof(*out));
	return run(ct, start(ct, buf, IPCTNL_MSG_CT_GET, flow), entry_cb, out);
}

static int refuse(int err, char *why, size_t why_size, const char *text)
{
	if (why && why_size)
		snprintf(why, why_size, "%s", text);
	return err;
}

int host_ct_check(struct host_ct *ct, const struct steer_flow *flow, char *why, size_t why_size)
{
	struct host_ct_entry e;
	int err = host_ct_get(ct, flow, &e);

	if (err == -ENOENT)
		return 0;
	if (err)
		return refuse(err, why, why_size,
			      "connection tracking is there but cannot be told (ctnetlink): it "
			      "would call the connection invalid later");
	if (e.nat)
		return refuse(-EOPNOTSUPP, why, why_size, "NAT rewrites this connection");
	if (e.helper)
		return refuse(-EOPNOTSUPP, why, why_size,
			      "a conntrack helper reads this connection");
	if (e.flowtable)
		return refuse(-EOPNOTSUPP, why, why_size,
			      "the kernel's own flow offload has this connection");
	return 0;
}

/* state < 0: leave it as it is. */
static int update(struct host_ct *ct, const struct steer_flow *flow, int state, uint32_t timeout_s)
{
	const struct nf_ct_tcp_flags liberal = { .flags = IP_CT_TCP_FLAG_BE_LIBERAL,
						 .mask = IP_CT_TCP_FLAG_BE_LIBERAL };
	char buf[512];
	struct nlmsghdr *nlh = start(ct, buf, IPCTNL_MSG_CT_NEW, flow);
	struct nlattr *info, *tcp;
	int err;

	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(timeout_s));
	info = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	tcp = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);
	if (state >= 0)
		mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, (uint8_t)state);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(liberal), &liberal);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(liberal), &liberal);
	mnl_attr_nest_end(nlh, tcp);
	mnl_attr_nest_end(nlh, info);
	err = run(ct, nlh, NULL, NULL);
	return err == -ENOENT ? 0 : err;
}

int host_ct_offloaded(struct host_ct *ct, const struct steer_flow *flow)
{
	return update(ct, flow, -1, OFFLOADED_TIMEOUT_S);
}

int host_ct_set_state(struct host_ct *ct, const struct steer_flow *flow, uint8_t tcp_state,
		      uint32_t timeout_s)
{
	return update(ct, flow, tcp_state, timeout_s);
}

int host_ct_delete(struct host_ct *ct, const struct steer_flow *flow)
{
	char buf[512];
	int err = run(ct, start(ct, buf, IPCTNL_MSG_CT_DELETE, flow), NULL, NULL);

	return err == -ENOENT ? 0 : err;
}
