/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_eligible.c - what keeps a connection in the host. Each reason is one line for people and a
 * code for counting; -EAGAIN where waiting helps, -ENOTSUP where it does not.
 */
#include "host/host_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static int refuse(struct host_conn *conn, enum host_ineligible code, int err, const char *text)
{
	conn->info.reason_code = code;
	return host_why(conn, err, "%s", text);
}

static int get_int(const struct host_conn *conn, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(conn->sock.fd, level, name, &value, &len) < 0 ? 0 : value;
}

/* LAST_ACK and CLOSING end with the peer's next segment: not worth a move. */
static bool state_is_good(uint8_t state)
{
	return state == HOST_TCP_ESTABLISHED || state == HOST_TCP_FIN_WAIT_1 ||
	       state == HOST_TCP_FIN_WAIT_2 || state == HOST_TCP_CLOSE_WAIT;
}

/*
 * Kernels that can negotiate AccECN do so when net.ipv4.tcp_ecn is 3 or more; what a connection
 * agreed to cannot be read from it.
 */
static bool may_be_accurate(void)
{
	int fd = open("/proc/sys/net/ipv4/tcp_ecn", O_RDONLY | O_CLOEXEC);
	char c = '0';
	ssize_t n = fd < 0 ? 0 : read(fd, &c, 1);

	if (fd >= 0)
		close(fd);
	return n == 1 && c > '2';
}

static int check_info(struct host_conn *conn, const struct tcp_info *info)
{
	if (!state_is_good(info->tcpi_state))
		return refuse(conn, HOST_NOT_STATE, -ENOTSUP,
			      "not in a TCP state that is handed over");
	if (info->tcpi_options & TCPI_OPT_ECN && !conn->adapter->ecn)
		return refuse(conn, HOST_NOT_CAPABLE, -ENOTSUP,
			      "the target cannot do explicit congestion notification");
	if (info->tcpi_options & TCPI_OPT_ECN && may_be_accurate())
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP,
			      "may use accurate ECN feedback (net.ipv4.tcp_ecn is above 2)");
	if (info->tcpi_ca_state == 4 && info->tcpi_backoff > 2)
		return refuse(conn, HOST_NOT_NOW, -EAGAIN,
			      "the peer does not answer at the moment");
	if ((info->tcpi_options & TCPI_OPT_SACK) && !conn->adapter->sack)
		return refuse(conn, HOST_NOT_CAPABLE, -ENOTSUP,
			      "the target cannot do selective acknowledgment");
	return 0;
}

static int check_poll(struct host_conn *conn, uint8_t state)
{
	struct pollfd pfd = { .fd = conn->sock.fd, .events = POLLPRI | POLLRDHUP };

	if (poll(&pfd, 1, 0) < 0)
		return 0;
	if (pfd.revents & POLLPRI)
		return refuse(conn, HOST_NOT_NOW, -EAGAIN, "urgent data is pending");
	if ((pfd.revents & POLLRDHUP) &&
	    (state == HOST_TCP_ESTABLISHED || state == HOST_TCP_FIN_WAIT_1 ||
	     state == HOST_TCP_FIN_WAIT_2))
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP,
			      "the program has shut down its reading half");
	return 0;
}

static int check_options(struct host_conn *conn)
{
	char ulp[16] = "";
	socklen_t len = sizeof(ulp);
	int peek = -1;

	if (getsockopt(conn->sock.fd, IPPROTO_TCP, TCP_ULP, ulp, &len) == 0 && len > 0 && ulp[0])
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP,
			      "a protocol above TCP runs in the kernel (kTLS or other)");
	if (get_int(conn, SOL_SOCKET, SO_MARK))
		return refuse(conn, HOST_NOT_FIREWALL, -ENOTSUP,
			      "packets of this socket are marked for routing");
	if (get_int(conn, IPPROTO_TCP, TCP_TIMESTAMP) & 1) /* the kernel's mark of the unit */
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP, "timestamps count microseconds");
	if (get_int(conn, SOL_SOCKET, SO_ZEROCOPY))
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP, "uses zero-copy sends");
	len = sizeof(peek);
	if (getsockopt(conn->sock.fd, SOL_SOCKET, SO_PEEK_OFF, &peek, &len) == 0 && peek >= 0)
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP, "uses SO_PEEK_OFF");
	if (get_int(conn, SOL_SOCKET, SO_LOCK_FILTER))
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP, "its socket filter is locked");
	len = 0;
	if (conn->info.flow.family == AF_INET && conn->sock.local.ss_family == AF_INET) {
		char options[40];

		len = sizeof(options);
		if (getsockopt(conn->sock.fd, IPPROTO_IP, IP_OPTIONS, options, &len) == 0 &&
		    len > 0)
			return refuse(conn, HOST_NOT_OPTION, -ENOTSUP, "uses IPv4 options");
	}
	return 0;
}

int host_eligible_socket(struct host_conn *conn)
{
	uint32_t rx, tx, most_rx, most_tx;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int err;

	memset(&info, 0, sizeof(info));
	if (getsockopt(conn->sock.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return refuse(conn, HOST_NOT_OPTION, -ENOTSUP, "not an ordinary TCP socket");
	err = check_info(conn, &info);
	if (!err)
		err = check_poll(conn, info.tcpi_state);
	if (!err)
		err = check_options(conn);
	if (err)
		return err;
	if (host_repair_queued(&conn->sock, &rx, &tx) < 0)
		return refuse(conn, HOST_NOT_STATE, -ENOTSUP, "its queues cannot be read");
	host_repair_room(&conn->sock, &most_rx, &most_tx);
	if (rx > most_rx || tx > most_tx)
		return refuse(conn, HOST_NOT_QUEUE, -EAGAIN,
			      "more data is queued than could be put back");
	return 0;
}

/*
 * Out-of-order data that was acknowledged by SACK must not be dropped. The kernel counts such
 * segments over the whole life of a connection; whether some lie there now shows in its memory
 * only when nothing is unread.
 */
int host_eligible_ooo(const struct host_socket *sock, const struct host_image *image)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	struct tcp_info info;

	memset(&info, 0, sizeof(info));
	if (getsockopt(sock->fd, SOL_SOCKET, SO_MEMINFO, mem, &len) < 0 ||
	    mem[SK_MEMINFO_RMEM_ALLOC] == 0)
		return 0;
	len = sizeof(info);
	if (getsockopt(sock->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    info.tcpi_rcv_ooopack == 0)
		return 0;
	/*
	 * All unread bytes account for the memory: allow the overhead that the kernel allows
	 * itself.
	 */
	return mem[SK_MEMINFO_RMEM_ALLOC] <= 2 * host_block_len(image->rx) + 4096 ? 0 : -EAGAIN;
}

static bool is_loopback(const struct steer_flow *flow)
{
	static const uint8_t loop6[16] = { [15] = 1 };

	if (flow->family == AF_INET)
		return flow->local[0] == 127 || flow->remote[0] == 127 ||
		       memcmp(flow->local, flow->remote, 4) == 0;
	return memcmp(flow->remote, loop6, 16) == 0 || memcmp(flow->local, flow->remote, 16) == 0;
}

static int check_route(struct host_conn *conn, struct host_nl_route *route)
{
	const struct steer_flow *flow = &conn->info.flow;
	int err;

	if (is_loopback(flow))
		return refuse(conn, HOST_NOT_PATH, -ENOTSUP, "loopback connection");
	if (flow->family == AF_INET6 && flow->remote[0] == 0xfe && (flow->remote[1] & 0xc0) == 0x80)
		return refuse(conn, HOST_NOT_PATH, -ENOTSUP, "link-local address");
	err = host_nl_route_get(conn->adapter->host->nl, flow, 0, route);
	if (err)
		return refuse(conn, HOST_NOT_PATH, -EAGAIN, "no route to the peer at the moment");
	if (route->type != RTN_UNICAST)
		return refuse(conn, HOST_NOT_PATH, -ENOTSUP,
			      "the peer is not reached by a unicast route");
	if (route->ifindex != conn->adapter->config.ifindex)
		return refuse(conn, HOST_NOT_PATH, -ENOTSUP, "leaves through another interface");
	return 0;
}

static bool has_mac(const struct host_nl_neigh *neigh)
{
	return neigh->has_mac && !(neigh->state & (NUD_INCOMPLETE | NUD_FAILED));
}

int host_eligible_path(struct host_conn *conn, struct host_nl_route *route,
		       struct host_nl_neigh *neigh)
{
	struct host *host = conn->adapter->host;
	char why[HOST_WHY_BYTES] = "";
	int err = host->ct ? host_ct_check(host->ct, &conn->info.flow, why, sizeof(why)) : 0;

	if (err)
		return refuse(conn, HOST_NOT_FIREWALL, -ENOTSUP, why);
	err = check_route(conn, route);
	if (err)
		return err;
	err = host_nl_neigh_get(host->nl, route->ifindex, &route->next_hop, neigh);
	if (err || !has_mac(neigh)) {
		err = host_nl_neigh_probe(host->nl, route->ifindex, &route->next_hop);
		return refuse(conn, HOST_NOT_NOW, -EAGAIN,
			      err ? "the next hop's address is not known"
				  : "the next hop's address is being asked for");
	}
	return 0;
}
