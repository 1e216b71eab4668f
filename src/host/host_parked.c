/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_parked.c - segments of offloaded connections that reach the kernel.
 *
 * Fragments are not steered, and what has IP options the target gives to the host: the kernel
 * reassembles the one and obeys the other, and then finds a parked socket. Steering logs what comes
 * for such a socket (by its mark) to an NFLOG group before the socket drops it; the segment in it
 * goes to the target by forward (NSP-02, NSP-05).
 *
 *	fragments --> kernel --> input hook: "socket mark" --> NFLOG --> forward --> target
 *	IP options -> target --> plain receive path --> kernel --'
 *
 * Without the two expressions in the kernel such segments are lost, as they were: the peer would
 * have to send smaller ones.
 */
#include "host/host_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <libmnl/libmnl.h>

#include "base/be.h"
#include "base/csum.h"
#include "base/log.h"

#define MESSAGE_BYTES   (72u << 10) /* a datagram of 64 KiB with its attributes */
#define ROUND_MOST      64u         /* messages read at once */
#define IP6_HDR_BYTES   40u
#define EXT_HEADERS_MAX 8u

struct host_parked {
	struct host_adapter *adapter;
	struct mnl_socket *nl;
	struct loop_watch watch;
	uint8_t buf[MESSAGE_BYTES];
};

/* ---- parsing ---- */

/* TCP header offset of a whole IPv4 datagram; *len becomes its length. 0: none. */
static uint32_t parse4(const uint8_t *ip, uint32_t *len, struct steer_flow *flow)
{
	uint32_t hdr = (ip[0] & 15u) * 4u, total = be_get16(ip + 2);

	if (hdr < 20 || total < hdr + 20 || total > *len || ip[9] != IPPROTO_TCP ||
	    (be_get16(ip + 6) & 0x3fff))
		return 0;
	*len = total;
	flow->family = AF_INET;
	memcpy(flow->remote, ip + 12, 4);
	memcpy(flow->local, ip + 16, 4);
	return hdr;
}

static bool is_skipped(uint8_t header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_DSTOPTS;
}

/* The fragment header was taken out at reassembly; others may stand before TCP. */
static uint32_t parse6(const uint8_t *ip, uint32_t *len, struct steer_flow *flow)
{
	uint32_t at = IP6_HDR_BYTES, total = be_get16(ip + 4) + IP6_HDR_BYTES;
	uint8_t next = ip[6];

	if (*len < IP6_HDR_BYTES || total > *len)
		return 0;
	for (unsigned int i = 0; is_skipped(next) && i < EXT_HEADERS_MAX; i++) {
		if (at + 8 > total)
			return 0;
		next = ip[at];
		at += (ip[at + 1] + 1u) * 8u;
	}
	if (next != IPPROTO_TCP || at + 20 > total)
		return 0;
	*len = total;
	flow->family = AF_INET6;
	memcpy(flow->remote, ip + 8, 16);
	memcpy(flow->local, ip + 24, 16);
	return at;
}

/*
 * Nobody has looked at the checksum yet. A sender on this machine may have left it to a device that
 * does not exist: the field then holds the sum of the pseudo header.
 */
static bool checksum_ok(const struct steer_flow *flow, const uint8_t *tcp, uint32_t len)
{
	struct csum c = { 0 };
	uint16_t pseudo, field;

	if (flow->family == AF_INET)
		csum_pseudo4(&c, flow->remote, flow->local, IPPROTO_TCP, len);
	else
		csum_pseudo6(&c, flow->remote, flow->local, IPPROTO_TCP, len);
	pseudo = csum_fold(&c);
	memcpy(&field, tcp + 16, sizeof(field));
	csum_add(&c, tcp, len);
	return field == pseudo || csum_final(&c) == 0;
}

/* ---- forwarding ---- */

static struct host_conn *parked_conn(const struct host_adapter *adapter,
				     const struct steer_flow *flow)
{
	for (struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (conn->adapter == adapter && conn->at_target && !conn->moving &&
		    memcmp(&conn->info.flow, flow, sizeof(*flow)) == 0)
			return conn;
	return NULL;
}

void host_parked_datagram(struct host_adapter *adapter, const uint8_t *ip, uint32_t len)
{
	struct steer_flow flow = { 0 };
	struct host_conn *conn;
	uint32_t at;

	if (len < 20)
		return;
	at = ip[0] >> 4 == 4   ? parse4(ip, &len, &flow)
	     : ip[0] >> 4 == 6 ? parse6(ip, &len, &flow)
			       : 0;
	if (!at)
		return;
	memcpy(&flow.remote_port_be, ip + at, 2);
	memcpy(&flow.local_port_be, ip + at + 2, 2);
	if (!checksum_ok(&flow, ip + at, len - at))
		return;
	conn = parked_conn(adapter, &flow);
	if (conn && host_xfer_forward(conn, ip + at, len - at) == 0)
		adapter->forwarded++;
}

static int attribute(const struct nlattr *attr, void *data)
{
	struct host_adapter *adapter = data;

	if (mnl_attr_get_type(attr) == NFULA_PAYLOAD)
		host_parked_datagram(adapter, mnl_attr_get_payload(attr),
				     mnl_attr_get_payload_len(attr));
	return MNL_CB_OK;
}

static int message(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return mnl_attr_parse(nlh, sizeof(struct nfgenmsg), attribute, data);
	return MNL_CB_OK;
}

static void readable(struct loop_watch *watch, uint32_t events)
{
	struct host_parked *p =
		(struct host_parked *)((char *)watch - offsetof(struct host_parked, watch));

	(void)events;
	for (unsigned int i = 0; i < ROUND_MOST; i++) {
		ssize_t len = recv(p->watch.fd, p->buf, sizeof(p->buf), MSG_DONTWAIT);

		if (len <= 0)
			break;
		mnl_cb_run(p->buf, (size_t)len, 0, 0, message, p->adapter);
	}
}

/* ---- opening ---- */

static struct nlmsghdr *config_message(char *buf, uint16_t group)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(group);
	return nlh;
}

static int acknowledged(struct mnl_socket *nl, const struct nlmsghdr *nlh)
{
	char buf[512];
	ssize_t len;

	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (len < 0 || mnl_cb_run(buf, (size_t)len, 0, 0, NULL, NULL) < 0)
		return -errno;
	return 0;
}

/* Whole datagrams, one a message. */
static int bind_group(struct mnl_socket *nl, uint16_t group)
{
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(0xffff),
					       .copy_mode = NFULNL_COPY_PACKET };
	struct nfulnl_msg_config_cmd cmd = { .command = NFULNL_CFG_CMD_BIND };
	char buf[512];
	struct nlmsghdr *nlh = config_message(buf, group);
	int err;

	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(cmd), &cmd);
	err = acknowledged(nl, nlh);
	if (err)
		return err;
	nlh = config_message(buf, group);
	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htonl(1));
	return acknowledged(nl, nlh);
}

static int listen_to(struct host_parked *p, uint16_t group)
{
	struct loop *loop = p->adapter->host->config.loop;
	int err;

	p->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!p->nl || mnl_socket_bind(p->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	err = bind_group(p->nl, group);
	if (err)
		return err;
	p->watch = (struct loop_watch){ .fn = readable, .fd = mnl_socket_get_fd(p->nl) };
	return loop_watch_set(loop, &p->watch, EPOLLIN);
}

int host_parked_open(struct host_adapter *adapter)
{
	uint16_t group = steer_parked_group(adapter->config.steer);
	struct host_parked *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->adapter = adapter;
	p->watch.fd = -1;
	adapter->parked = p;
	err = group ? listen_to(p, group) : -EOPNOTSUPP;
	if (err)
		log_warn("fragments of offloaded connections are lost: %s", strerror(-err));
	return 0;
}

void host_parked_close(struct host_adapter *adapter)
{
	struct host_parked *p = adapter->parked;

	if (!p)
		return;
	if (p->watch.fd >= 0)
		loop_unwatch(adapter->host->config.loop, &p->watch);
	if (p->nl)
		mnl_socket_close(p->nl);
	free(p);
	adapter->parked = NULL;
}
