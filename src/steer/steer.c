/* SPDX-License-Identifier: BSD-2-Clause */
#include "steer/steer.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "steer/steer_private.h"

static void steer_free(struct steer *st)
{
	steer_msg_free(st->flows);
	steer_msg_free(st->quiet);
	if (st->nl)
		mnl_socket_close(st->nl);
	free(st);
}

static int make_writers(struct steer *st)
{
	struct steer_msg_set flows = {
		.nfproto = NFPROTO_NETDEV, .dir = STEER_DIR_IN, .set4 = "flows4", .set6 = "flows6"
	};
	struct steer_msg_set quiet = {
		.nfproto = NFPROTO_INET, .dir = STEER_DIR_OUT, .set4 = "quiet4", .set6 = "quiet6"
	};

	memcpy(flows.table, st->table, sizeof(flows.table));
	memcpy(quiet.table, st->table, sizeof(quiet.table));
	st->flows = steer_msg_new(&flows);
	st->quiet = steer_msg_new(&quiet);
	return st->flows && st->quiet ? 0 : -ENOMEM;
}

static int add_port(struct steer *st, const struct steer_config *config, const char *ifname,
		    const char *tap)
{
	struct steer_port *port = &st->ports[st->port_count++];

	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	snprintf(port->tap, sizeof(port->tap), "%s", tap);
	memcpy(port->mac, config->mac, sizeof(port->mac));
	port->member = config->member || config->more_count;
	port->ifindex = if_nametoindex(ifname);
	port->tap_ifindex = if_nametoindex(tap);
	return port->ifindex && port->tap_ifindex ? 0 : -ENODEV;
}

static int add_ports(struct steer *st, const struct steer_config *config)
{
	int err = add_port(st, config, config->ifname, config->tap);

	if (config->more_count >= STEER_PORTS_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < config->more_count && !err; i++)
		err = add_port(st, config, config->more[i].ifname, config->more[i].tap);
	return err;
}

/* Everything that needs no kernel change; shared by open and adopt. */
static int steer_new(struct steer **out, const struct steer_config *config)
{
	struct steer *st = calloc(1, sizeof(*st));
	int err;

	if (!st)
		return -ENOMEM;
	snprintf(st->table, sizeof(st->table), "chimney-%s", config->ifname);
	err = add_ports(st, config);
	if (!err)
		err = make_writers(st);
	if (err) {
		steer_free(st);
		return err;
	}
	*out = st;
	return 0;
}

static int adopt_socket(struct steer *st, struct mnl_socket *nl)
{
	int one = 1, room_bytes = 1 << 20;

	if (!nl)
		return -errno;
	st->nl = nl;
	st->portid = mnl_socket_get_portid(nl);
	/* Answers need not repeat the request: a full batch is 50 KiB. */
	(void)mnl_socket_setsockopt(nl, NETLINK_CAP_ACK, &one, sizeof(one));
	/* A batch is one message and must fit the send buffer. */
	(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_SNDBUF, &room_bytes,
			 sizeof(room_bytes));
	return 0;
}

int steer_open(struct steer **out, const struct steer_config *config, char *why, size_t why_size)
{
	struct mnl_socket *nl;
	struct steer *st;
	int err = steer_new(&st, config);

	if (err)
		return steer_refuse(err, why, why_size, "%s or %s: %s", config->ifname, config->tap,
				    strerror(-err));
	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		mnl_socket_close(nl);
		nl = NULL;
		errno = -err;
	}
	err = adopt_socket(st, nl);
	if (err)
		(void)steer_refuse(err, why, why_size, "no netfilter netlink socket: %s",
				   strerror(-err));
	for (unsigned int i = 0; i < st->port_count && !err; i++)
		err = steer_link_prepare(&st->ports[i], config->mtu_bytes, why, why_size);
	if (!err)
		err = steer_nft_install(st, why, why_size);
	if (err) {
		steer_free(st);
		return err;
	}
	steer_nft_install_extras(st);
	*out = st;
	return 0;
}

int steer_adopt(struct steer **out, int fd, const struct steer_config *config)
{
	struct steer *st;
	int err = steer_new(&st, config);

	if (err) {
		close(fd);
		return err;
	}
	err = adopt_socket(st, mnl_socket_fdopen(fd));
	if (err) {
		close(fd);
		steer_free(st);
		return err;
	}
	st->logs_parked = 1; /* or nothing will come */
	/* Numbers of the former user must not be taken for ours: start elsewhere. */
	st->seq = (uint32_t)getpid() << 12;
	*out = st;
	return 0;
}

static int is_loopback(const struct steer_flow *flow, const uint8_t *addr)
{
	static const uint8_t one[16] = { [15] = 1 };

	return flow->family == AF_INET ? addr[0] == 127 : !memcmp(addr, one, sizeof(one));
}

int steer_flow_check(const struct steer_flow *flow, uint32_t bound_ifindex, char *why,
		     size_t why_size)
{
	if (flow->family != AF_INET && flow->family != AF_INET6)
		return steer_refuse(-EOPNOTSUPP, why, why_size, "neither IPv4 nor IPv6");
	if (bound_ifindex)
		return steer_refuse(-EOPNOTSUPP, why, why_size,
				    "the socket is bound to a device (SO_BINDTODEVICE): what comes "
				    "back through the TAP would not be its");
	if (is_loopback(flow, flow->local) || is_loopback(flow, flow->remote))
		return steer_refuse(-EOPNOTSUPP, why, why_size,
				    "loopback: the kernel drops what is forwarded to lo");
	if (flow->family == AF_INET6 && flow->remote[0] == 0xfe && (flow->remote[1] & 0xc0) == 0x80)
		return steer_refuse(
			-EOPNOTSUPP, why, why_size,
			"IPv6 link-local: such an address belongs to its own link only");
	return 0;
}

static int change_batch(struct steer *st, struct steer_msg *msg, int add,
			const struct steer_flow *flows, unsigned count)
{
	const void *batch;
	unsigned acks;
	int bytes;

	bytes = steer_msg_build(msg, add, flows, count, ++st->seq, &batch, &acks);
	if (bytes < 0)
		return bytes;
	return steer_nft_run(st, batch, (size_t)bytes, st->seq + acks);
}

static int change(struct steer *st, struct steer_msg *msg, int add, const struct steer_flow *flows,
		  unsigned count)
{
	unsigned done = 0;
	int err = 0;

	while (done < count) {
		unsigned n = count - done;

		if (n > STEER_BATCH_FLOWS)
			n = STEER_BATCH_FLOWS;
		err = change_batch(st, msg, add, flows + done, n);
		if (err)
			break;
		done += n;
	}
	/* Undo whole batches; the failed one left nothing behind. */
	while (err && done) {
		done -= STEER_BATCH_FLOWS;
		(void)change_batch(st, msg, !add, flows + done, STEER_BATCH_FLOWS);
	}
	return err;
}

int steer_add(struct steer *st, const struct steer_flow *flows, unsigned count)
{
	return change(st, st->flows, 1, flows, count);
}

int steer_del(struct steer *st, const struct steer_flow *flows, unsigned count)
{
	return change(st, st->flows, 0, flows, count);
}

int steer_quiet_add(struct steer *st, const struct steer_flow *flows, unsigned count)
{
	return change(st, st->quiet, 1, flows, count);
}

int steer_quiet_del(struct steer *st, const struct steer_flow *flows, unsigned count)
{
	return change(st, st->quiet, 0, flows, count);
}

uint32_t steer_parked_mark(const struct steer *st)
{
	return STEER_PARKED_MARK | (st->ports[0].ifindex & 0xffffffu);
}

uint16_t steer_parked_group(const struct steer *st)
{
	return st->logs_parked ? STEER_PARKED_MARK >> 16 | (st->ports[0].ifindex & 0xffu) : 0;
}

int steer_set_mtu(struct steer *st, uint32_t mtu_bytes)
{
	int err = 0;

	for (unsigned int i = 0; i < st->port_count && !err; i++)
		err = steer_link_set_mtu(&st->ports[i], mtu_bytes);
	return err;
}

int steer_fd(const struct steer *st)
{
	return mnl_socket_get_fd(st->nl);
}

void steer_close(struct steer *st)
{
	if (!st)
		return;
	(void)steer_nft_remove(st);
	steer_free(st);
}

void steer_abandon(struct steer *st)
{
	if (st)
		steer_free(st);
}
