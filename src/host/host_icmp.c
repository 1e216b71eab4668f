/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_icmp.c - ICMP messages about packets that the target sent.
 *
 * The kernel drops them: the parked socket is not connected, so nobody there has sent what they
 * quote. A raw socket of each family gets copies. "Too big" is believed only when the quoted
 * sequence number is in flight at the target (RFC 5927, 4.1), which a query tells; then the path
 * gets a smaller PathMtu for ten minutes (UPD-08). What is not believed is counted.
 *
 * Below 576 bytes of IPv4 the kernel has better means (it stops forbidding fragments): the
 * connections come up. Below 1280 bytes of IPv6 the message is void (RFC 8201).
 */
#include "host/host_int.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/be.h"
#include "base/csum.h"
#include "base/log.h"
#include "base/seq.h"

#define MTU_MIN4    576u
#define MTU_MIN6    1280u
#define LEARNED_US  (600u * 1000000ull) /* RFC 1191, 6.3 */
#define ROUND_MOST  64u                 /* messages read at once */
#define QUOTED_MOST 2048u

struct host_icmp {
	struct host_adapter *adapter;
	struct loop_watch v4, v6;
	struct loop_timer forget; /* learned values grow old */
};

/* One message that may concern us. */
struct too_big {
	struct steer_flow flow;
	tcp_seq seq;
	uint32_t mtu_bytes;
};

struct doubt {
	struct host_icmp *icmp;
	struct too_big message;
	struct host_query_result state;
};

/* ---- parsing ---- */

static bool checksum_ok(const uint8_t *p, size_t len)
{
	struct csum c = { 0 };

	csum_add(&c, p, len);
	return csum_final(&c) == 0;
}

static void quoted_tcp(const uint8_t *tcp, struct too_big *out)
{
	memcpy(&out->flow.local_port_be, tcp, 2);
	memcpy(&out->flow.remote_port_be, tcp + 2, 2);
	out->seq = be_get32(tcp + 4);
}

/* Routers of before 1990 name no size: the next plateau below what was too big. */
static uint32_t plateau_below(uint32_t bytes)
{
	static const uint16_t plateaus[] = { 8166, 4352, 2002, 1492, 1006 };

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++)
		if (plateaus[i] < bytes)
			return plateaus[i];
	return MTU_MIN4;
}

/* With the IP header in front, as raw IPv4 sockets give it. */
static bool parse4(const uint8_t *p, size_t len, struct too_big *out)
{
	size_t at = len < 20 ? 0 : (size_t)(p[0] & 15) * 4;
	const uint8_t *quoted;
	size_t quoted_len;

	if (at < 20 || len < at + 8 + 28 || !checksum_ok(p + at, len - at))
		return false;
	p += at;
	quoted = p + 8;
	quoted_len = (size_t)(quoted[0] & 15) * 4;
	if (p[0] != ICMP_DEST_UNREACH || p[1] != ICMP_FRAG_NEEDED || quoted[0] >> 4 != 4 ||
	    quoted_len < 20 || len < at + 8 + quoted_len + 8 || quoted[9] != IPPROTO_TCP ||
	    (be_get16(quoted + 6) & 0x1FFF))
		return false;
	out->flow.family = AF_INET;
	memcpy(out->flow.local, quoted + 12, 4);
	memcpy(out->flow.remote, quoted + 16, 4);
	out->mtu_bytes = be_get16(p + 6) ? be_get16(p + 6) : plateau_below(be_get16(quoted + 2));
	quoted_tcp(quoted + quoted_len, out);
	return true;
}

static bool parse6(const uint8_t *p, size_t len, struct too_big *out)
{
	const uint8_t *quoted = p + 8;

	if (len < 8 + 40 + 8 || p[0] != ICMP6_PACKET_TOO_BIG || quoted[0] >> 4 != 6 ||
	    quoted[6] != IPPROTO_TCP)
		return false;
	out->flow.family = AF_INET6;
	memcpy(out->flow.local, quoted + 8, 16);
	memcpy(out->flow.remote, quoted + 24, 16);
	out->mtu_bytes = be_get32(p + 4);
	quoted_tcp(quoted + 40, out);
	return true;
}

/* ---- judging ---- */

static struct host_conn *conn_of(const struct host_adapter *adapter, const struct steer_flow *flow)
{
	for (struct host_conn *conn = adapter->host->conns; conn; conn = conn->next)
		if (conn->adapter == adapter && conn->info.state == HOST_CONN_OFFLOADED &&
		    !conn->moving && memcmp(&conn->info.flow, flow, sizeof(*flow)) == 0)
			return conn;
	return NULL;
}

static bool size_makes_sense(const struct too_big *message, const struct host_path *path)
{
	return message->mtu_bytes < path->mtu_bytes &&
	       (message->flow.family == AF_INET || message->mtu_bytes >= MTU_MIN6);
}

static void learn(struct host_icmp *icmp, struct host_path *path, uint32_t mtu_bytes)
{
	struct host_adapter *adapter = icmp->adapter;
	struct loop *loop = adapter->host->config.loop;

	adapter->icmp_taken++;
	if (path->family == AF_INET && mtu_bytes < MTU_MIN4) {
		host_path_upload(path);
		return;
	}
	path->learned_mtu_bytes = mtu_bytes;
	path->learned_until_us = loop_now_us(loop) + LEARNED_US;
	if (!icmp->forget.active)
		loop_timer_set(loop, &icmp->forget, path->learned_until_us);
	host_path_set_mtu(path, mtu_bytes);
}

static void judged(void *ctx, struct host_conn *conn, int err, const char *why)
{
	struct doubt *doubt = ctx;
	const struct host_query_result *state = &doubt->state;
	const struct too_big *message = &doubt->message;

	(void)why;
	conn->in_doubt = false;
	if (err || !conn->path || !size_makes_sense(message, conn->path) ||
	    seq_gt(state->snd_una, message->seq) || !seq_gt(state->snd_max, message->seq))
		conn->adapter->icmp_ignored++;
	else
		learn(doubt->icmp, conn->path, message->mtu_bytes);
	free(doubt);
}

/* One question at a time for a connection: a flood costs no more. */
static bool ask(struct host_icmp *icmp, struct host_conn *conn, const struct too_big *message)
{
	struct doubt *doubt;

	if (conn->in_doubt || !size_makes_sense(message, conn->path))
		return false;
	doubt = malloc(sizeof(*doubt));
	if (!doubt)
		return false;
	*doubt = (struct doubt){ .icmp = icmp, .message = *message };
	conn->in_doubt = true;
	if (host_conn_query(conn, &doubt->state, judged, doubt) == 0)
		return true;
	conn->in_doubt = false;
	free(doubt);
	return false;
}

static void take(struct host_icmp *icmp, const uint8_t *p, size_t len, bool v6)
{
	struct too_big message = { 0 };
	struct host_conn *conn;

	if (v6 && len > 0 && p[0] == ND_REDIRECT) {
		host_watch_recheck(icmp->adapter); /* the kernel has judged it */
		return;
	}
	if (!(v6 ? parse6(p, len, &message) : parse4(p, len, &message)))
		return;
	conn = conn_of(icmp->adapter, &message.flow);
	if (conn && conn->path && !ask(icmp, conn, &message))
		icmp->adapter->icmp_ignored++;
}

static void drain(struct host_icmp *icmp, int fd, bool v6)
{
	uint8_t data[QUOTED_MOST];

	for (unsigned int i = 0; i < ROUND_MOST; i++) {
		ssize_t len = recv(fd, data, sizeof(data), MSG_DONTWAIT);

		if (len < 0)
			break;
		take(icmp, data, (size_t)len, v6);
	}
}

static void readable4(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	drain((struct host_icmp *)(void *)((char *)watch - offsetof(struct host_icmp, v4)),
	      watch->fd, false);
}

static void readable6(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	drain((struct host_icmp *)(void *)((char *)watch - offsetof(struct host_icmp, v6)),
	      watch->fd, true);
}

/* What was learned first is old; the others are asked for again when it is their time. */
static void forget(struct loop_timer *timer)
{
	struct host_icmp *icmp =
		(struct host_icmp *)(void *)((char *)timer - offsetof(struct host_icmp, forget));
	uint64_t next_us = UINT64_MAX;

	host_watch_recheck(icmp->adapter);
	for (struct host_path *p = icmp->adapter->paths; p; p = p->next)
		if (p->learned_mtu_bytes && p->learned_until_us < next_us)
			next_us = p->learned_until_us;
	if (next_us != UINT64_MAX)
		loop_timer_set(icmp->adapter->host->config.loop, timer, next_us);
}

/* ---- opening ---- */

static int filter(int fd, bool v6)
{
	struct icmp_filter wanted4 = { .data = ~(1u << ICMP_DEST_UNREACH) };
	struct icmp6_filter wanted6;

	if (!v6)
		return setsockopt(fd, SOL_RAW, ICMP_FILTER, &wanted4, sizeof(wanted4));
	ICMP6_FILTER_SETBLOCKALL(&wanted6);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &wanted6);
	ICMP6_FILTER_SETPASS(ND_REDIRECT, &wanted6);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &wanted6, sizeof(wanted6));
}

static void listen_to(struct host_icmp *icmp, struct loop_watch *watch, bool v6)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	int ifindex = (int)icmp->adapter->config.ifindex;

	*watch = (struct loop_watch){ .fn = v6 ? readable6 : readable4, .fd = fd };
	if (fd >= 0 && filter(fd, v6) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex)) == 0 &&
	    loop_watch_set(icmp->adapter->host->config.loop, watch, EPOLLIN) == 0)
		return;
	log_warn("no ICMP%s: path MTU discovery of offloaded connections sees routes only",
		 v6 ? "v6" : "");
	if (fd >= 0)
		close(fd);
	watch->fd = -1;
}

int host_icmp_open(struct host_adapter *adapter)
{
	struct host_icmp *icmp = calloc(1, sizeof(*icmp));

	if (!icmp)
		return -ENOMEM;
	icmp->adapter = adapter;
	icmp->forget.fn = forget;
	listen_to(icmp, &icmp->v4, false);
	listen_to(icmp, &icmp->v6, true);
	adapter->icmp = icmp;
	return 0;
}

static void stop_listening(struct loop *loop, struct loop_watch *watch)
{
	if (watch->fd < 0)
		return;
	loop_unwatch(loop, watch);
	close(watch->fd);
}

void host_icmp_close(struct host_adapter *adapter)
{
	struct loop *loop = adapter->host->config.loop;

	if (!adapter->icmp)
		return;
	loop_timer_cancel(loop, &adapter->icmp->forget);
	stop_listening(loop, &adapter->icmp->v4);
	stop_listening(loop, &adapter->icmp->v6);
	free(adapter->icmp);
	adapter->icmp = NULL;
}
