/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the host_netlink_*.c files; users include host_netlink.h. */
#ifndef HOST_HOST_NETLINK_PRIVATE_H
#define HOST_HOST_NETLINK_PRIVATE_H

#include "host/host_netlink.h"

#include <libmnl/libmnl.h>

struct host_nl {
	struct mnl_socket *rtnl, *events, *diag;
	uint32_t seq;
	char buf[32768]; /* answers of all sockets */
};

/* One request on nl->rtnl or nl->diag; cb sees every message of the answer. */
int host_nl_request(struct host_nl *nl, struct mnl_socket *sock, struct nlmsghdr *nlh, mnl_cb_t cb,
		    void *data);

/* host_netlink_decode.c: 0, or -EINVAL when the message is not what it claims. */
int host_nl_decode_link(const struct nlmsghdr *nlh, struct host_nl_link *out);
int host_nl_decode_neigh(const struct nlmsghdr *nlh, struct host_nl_neigh *out);
int host_nl_decode_route(const struct nlmsghdr *nlh, struct host_nl_route *out);
int host_nl_decode_prefix(const struct nlmsghdr *nlh, struct host_nl_prefix *out);

static inline unsigned host_nl_addr_len(uint8_t family)
{
	return family == 2 /* AF_INET */ ? 4 : 16;
}

#endif
