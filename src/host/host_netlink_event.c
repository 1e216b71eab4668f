/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "host/host_netlink_private.h"

int host_nl_event_fd(const struct host_nl *nl)
{
	return mnl_socket_get_fd(nl->events);
}

/* False when the message is of no interest. */
static bool decode(const struct nlmsghdr *nlh, struct host_nl_event *ev)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		ev->type = nlh->nlmsg_type == RTM_NEWLINK ? HOST_NL_LINK : HOST_NL_LINK_GONE;
		return !host_nl_decode_link(nlh, &ev->u.link);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		ev->type = nlh->nlmsg_type == RTM_NEWNEIGH ? HOST_NL_NEIGH : HOST_NL_NEIGH_GONE;
		return !host_nl_decode_neigh(nlh, &ev->u.neigh);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		ev->type = nlh->nlmsg_type == RTM_NEWROUTE ? HOST_NL_ROUTE : HOST_NL_ROUTE_GONE;
		return !host_nl_decode_prefix(nlh, &ev->u.prefix);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		ev->type = nlh->nlmsg_type == RTM_NEWADDR ? HOST_NL_ADDR : HOST_NL_ADDR_GONE;
		return !host_nl_decode_prefix(nlh, &ev->u.prefix);
	default:
		return false;
	}
}

int host_nl_events(struct host_nl *nl, host_nl_event_fn *fn, void *ctx)
{
	/* Not nl->buf: fn may make requests. */
	char buf[16384];
	int fd = mnl_socket_get_fd(nl->events);

	for (;;) {
		ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		struct host_nl_event ev;
		int left = (int)len;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return 0;
		if (len < 0 && errno == ENOBUFS) {
			ev.type = HOST_NL_OVERRUN;
			fn(ctx, &ev);
			continue;
		}
		if (len < 0)
			return -errno;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			if (decode(nlh, &ev))
				fn(ctx, &ev);
	}
}
