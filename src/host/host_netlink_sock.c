/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP sockets of the namespace, by sock_diag. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_netlink_private.h"

static const uint8_t v4_mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void addr_from(uint8_t out[16], const __be32 words[4], uint8_t family, bool mapped)
{
	if (mapped)
		memcpy(out, &words[3], 4);
	else
		memcpy(out, words, host_nl_addr_len(family));
}

static void decode_sock(const struct nlmsghdr *nlh, struct host_nl_sock *out)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	memset(out, 0, sizeof(*out));
	/* A listener on "::" also serves IPv4 but is itself not mapped: its peer is zero. */
	out->v4_mapped = msg->idiag_family == AF_INET6 &&
			 !memcmp(msg->id.idiag_dst, v4_mapped_prefix, sizeof(v4_mapped_prefix));
	out->flow.family = out->v4_mapped ? AF_INET : msg->idiag_family;
	addr_from(out->flow.local, msg->id.idiag_src, msg->idiag_family, out->v4_mapped);
	addr_from(out->flow.remote, msg->id.idiag_dst, msg->idiag_family, out->v4_mapped);
	out->flow.local_port_be = msg->id.idiag_sport;
	out->flow.remote_port_be = msg->id.idiag_dport;
	out->state = msg->idiag_state;
	out->inode = msg->idiag_inode;
	out->uid = msg->idiag_uid;
	out->bound_ifindex = msg->id.idiag_if;
	out->recv_queue_bytes = msg->idiag_rqueue;
	out->send_queue_bytes = msg->idiag_wqueue;
	out->cookie = msg->id.idiag_cookie[0] | (uint64_t)msg->id.idiag_cookie[1] << 32;
	mnl_attr_for_each(attr, nlh, sizeof(*msg))
	{
		if (mnl_attr_get_type(attr) == INET_DIAG_MARK &&
		    mnl_attr_get_payload_len(attr) >= 4)
			out->mark = mnl_attr_get_u32(attr);
	}
}

struct listing {
	host_nl_sock_fn *fn;
	void *ctx;
	int stopped;
};

static int sock_cb(const struct nlmsghdr *nlh, void *data)
{
	struct listing *l = data;
	struct host_nl_sock sock;

	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(struct inet_diag_msg) || l->stopped)
		return MNL_CB_OK; /* a stopped listing is still read to its end */
	decode_sock(nlh, &sock);
	l->stopped = l->fn(l->ctx, &sock);
	return MNL_CB_OK;
}

static struct nlmsghdr *start_diag(char *buf, uint8_t family, uint16_t flags,
				   struct inet_diag_req_v2 **req)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	*req = mnl_nlmsg_put_extra_header(nlh, sizeof(**req));
	(*req)->sdiag_family = family;
	(*req)->sdiag_protocol = IPPROTO_TCP;
	return nlh;
}

int host_nl_sock_list(struct host_nl *nl, uint32_t state_mask, host_nl_sock_fn *fn, void *ctx)
{
	static const uint8_t families[2] = { AF_INET, AF_INET6 };
	struct listing l = { .fn = fn, .ctx = ctx };
	struct inet_diag_req_v2 *req;
	char buf[256];
	int i, err = 0;

	for (i = 0; i < 2 && !err && !l.stopped; i++) {
		struct nlmsghdr *nlh = start_diag(buf, families[i], NLM_F_DUMP, &req);

		req->idiag_states = state_mask;
		err = host_nl_request(nl, nl->diag, nlh, sock_cb, &l);
		/* A kernel without IPv6 knows no such sockets. */
		if (err == -ENOENT && families[i] == AF_INET6)
			err = 0;
	}
	return err;
}

struct found {
	struct host_nl_sock *out;
	bool got;
};

static int found_cb(void *ctx, const struct host_nl_sock *sock)
{
	struct found *f = ctx;

	*f->out = *sock;
	f->got = true;
	return 1;
}

int host_nl_sock_find(struct host_nl *nl, const struct steer_flow *flow, struct host_nl_sock *out)
{
	struct found f = { .out = out };
	struct listing l = { .fn = found_cb, .ctx = &f };
	struct inet_diag_req_v2 *req;
	char buf[256];
	struct nlmsghdr *nlh = start_diag(buf, flow->family, NLM_F_ACK, &req);
	int err;

	req->idiag_states = ~0u;
	memcpy(req->id.idiag_src, flow->local, host_nl_addr_len(flow->family));
	memcpy(req->id.idiag_dst, flow->remote, host_nl_addr_len(flow->family));
	req->id.idiag_sport = flow->local_port_be;
	req->id.idiag_dport = flow->remote_port_be;
	req->id.idiag_cookie[0] = req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	err = host_nl_request(nl, nl->diag, nlh, sock_cb, &l);
	if (err)
		return err;
	return f.got ? 0 : -ENOENT;
}
