/* SPDX-License-Identifier: BSD-2-Clause */
#include "fact_net.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nic/nic_tap.h"
#include "nic/nic_veth.h"

#define ADDR4_A     "10.77.0.1"
#define ADDR4_B     "10.77.0.2"
#define ADDR6_A     "fd77::1"
#define ADDR6_B     "fd77::2"
#define MARKER_PORT 9999

/* Softirqs then run where the sender runs: frames keep their order on the veth. */
static void stay_on_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

void fact_net_open(struct fact_net *net)
{
	char why[256] = "";
	struct netns_veth_end end_a, end_b;

	setvbuf(stdout, NULL, _IOLBF, 0);
	stay_on_one_cpu();
	if (netns_become_admin(why, sizeof(why)) < 0)
		fact_skip("%s", why);
	if (netns_new(&net->a) < 0 || netns_new(&net->b) < 0)
		fact_skip("no network namespaces: %s", strerror(errno));
	memcpy(net->mac_a, (uint8_t[]){ 2, 0x77, 0, 0, 0, 1 }, 6);
	memcpy(net->mac_b, (uint8_t[]){ 2, 0x77, 0, 0, 0, 2 }, 6);
	netns_unique_ifname(net->if_a, "cha");
	netns_unique_ifname(net->if_b, "chb");
	end_a = (struct netns_veth_end){ &net->a, net->if_a, net->mac_a };
	end_b = (struct netns_veth_end){ &net->b, net->if_b, net->mac_b };
	must_ok(netns_veth(&end_a, &end_b, 1500));
	must_ok(netns_link_set_up(&net->a, net->if_a, 1));
	must_ok(netns_link_set_up(&net->b, net->if_b, 1));
	must_ok(netns_addr_add(&net->a, net->if_a, ADDR4_A, 24));
	must_ok(netns_addr_add(&net->b, net->if_b, ADDR4_B, 24));
	must_ok(netns_addr_add(&net->a, net->if_a, ADDR6_A, 64));
	must_ok(netns_addr_add(&net->b, net->if_b, ADDR6_B, 64));
	must_ok(netns_wait_running(&net->a, net->if_a, FACT_WAIT_MS));
	must_ok(netns_wait_running(&net->b, net->if_b, FACT_WAIT_MS));
	must_ok(netns_switch(&net->a));
}

void fact_net_close(struct fact_net *net)
{
	netns_close(&net->a);
	netns_close(&net->b);
}

int fact_socket(const struct netns *ns, int family)
{
	int fd = netns_socket(ns, family, SOCK_STREAM, 0);

	must(fd >= 0);
	return fd;
}

static socklen_t make_addr(int family, int of_a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		must(inet_pton(AF_INET, of_a ? ADDR4_A : ADDR4_B, &in->sin_addr) == 1);
		return sizeof(*in);
	}
	must(inet_pton(AF_INET6, of_a ? ADDR6_A : ADDR6_B,
		       &((struct sockaddr_in6 *)ss)->sin6_addr) == 1);
	return sizeof(struct sockaddr_in6);
}

/* The listener is in a if server_a; pair's ends are filled in by where they are. */
static void make_pair(const struct fact_net *net, int family, bool server_a, struct fact_pair *pair)
{
	const struct netns *server_ns = server_a ? &net->a : &net->b;
	const struct netns *client_ns = server_a ? &net->b : &net->a;
	struct sockaddr_storage *server = server_a ? &pair->addr_a : &pair->addr_b;
	struct sockaddr_storage *client = server_a ? &pair->addr_b : &pair->addr_a;
	int accepted, dialed;
	socklen_t len;

	memset(pair, 0, sizeof(*pair));
	pair->family = family;
	pair->listener = fact_socket(server_ns, family);
	pair->addr_len = make_addr(family, server_a, server);
	must(!bind(pair->listener, (struct sockaddr *)server, pair->addr_len));
	must(!listen(pair->listener, 1));
	len = sizeof(*server);
	must(!getsockname(pair->listener, (struct sockaddr *)server, &len));
	dialed = fact_socket(client_ns, family);
	must(!connect(dialed, (struct sockaddr *)server, pair->addr_len));
	len = sizeof(*client);
	accepted = accept(pair->listener, (struct sockaddr *)client, &len);
	must(accepted >= 0);
	pair->a = server_a ? accepted : dialed;
	pair->b = server_a ? dialed : accepted;
}

static void close_listener(struct fact_pair *pair)
{
	close(pair->listener);
	pair->listener = -1;
}

void fact_pair_open(const struct fact_net *net, int family, struct fact_pair *pair)
{
	make_pair(net, family, true, pair);
	close_listener(pair);
}

void fact_pair_dial(const struct fact_net *net, int family, struct fact_pair *pair)
{
	make_pair(net, family, false, pair);
	close_listener(pair);
}

void fact_pair_listen(const struct fact_net *net, int family, struct fact_pair *pair)
{
	make_pair(net, family, true, pair);
}

void fact_pair_close(struct fact_pair *pair)
{
	close(pair->a);
	close(pair->b);
	if (pair->listener >= 0)
		close(pair->listener);
}

static void send_and_check(int from, int to, size_t n, uint32_t seed)
{
	static uint8_t out[65536], in[65536];

	must(n <= sizeof(out));
	fact_fill(out, n, seed);
	fact_write_all(from, out, n);
	fact_read_all(to, in, n);
	must(!memcmp(out, in, n));
}

void fact_check_both_ways(const struct fact_pair *pair, size_t n)
{
	send_and_check(pair->a, pair->b, n, 11);
	send_and_check(pair->b, pair->a, n, 12);
}

static uint16_t port_be(const struct sockaddr_storage *ss)
{
	return ((const struct sockaddr_in *)ss)->sin_port; /* same place in both families */
}

static const uint8_t *addr_bytes(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)ss)->sin_addr;
	return (const uint8_t *)&((const struct sockaddr_in6 *)ss)->sin6_addr;
}

struct steer_flow fact_pair_flow(const struct fact_pair *pair)
{
	struct steer_flow flow = { .family = (uint8_t)pair->family };
	size_t len = pair->family == AF_INET ? 4 : 16;

	memcpy(flow.local, addr_bytes(&pair->addr_a), len);
	memcpy(flow.remote, addr_bytes(&pair->addr_b), len);
	flow.local_port_be = port_be(&pair->addr_a);
	flow.remote_port_be = port_be(&pair->addr_b);
	return flow;
}

bool fact_wait(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, FACT_WAIT_MS) == 1;
}

void fact_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		must(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

void fact_read_all(int fd, void *data, size_t len)
{
	uint8_t *at = data;

	while (len) {
		ssize_t n;

		must(fact_wait(fd, POLLIN));
		n = read(fd, at, len);
		must(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

void fact_fill(uint8_t *data, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (uint8_t)(seed >> 24);
	}
}

int fact_so_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	must(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

int fact_tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	must(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

void fact_await_state(int fd, int state)
{
	int tries;

	/* No descriptor becomes ready by a change of state: look every millisecond. */
	for (tries = 0; fact_tcp_state(fd) != state; tries++) {
		must(tries < FACT_WAIT_MS);
		(void)poll(NULL, 0, 1);
	}
}

void fact_cap_open(struct fact_cap *cap, const struct netns *ns, const char *ifname,
		   uint16_t ether_proto)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ether_proto) };
	struct ifreq ifr = { 0 };
	int room_bytes = 8 << 20;

	cap->fd = netns_socket(ns, AF_PACKET, SOCK_RAW, 0);
	must(cap->fd >= 0);
	(void)setsockopt(cap->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room_bytes, sizeof(room_bytes));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	must(!ioctl(cap->fd, SIOCGIFINDEX, &ifr));
	cap->ifindex = ll.sll_ifindex = ifr.ifr_ifindex;
	must(!bind(cap->fd, (struct sockaddr *)&ll, sizeof(ll)));
}

struct parsed {
	bool tcp, marker;
	struct fact_seg seg;
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void parse_tcp(const uint8_t *tcp, unsigned l4_len, const uint8_t *src,
		      const struct fact_pair *pair, struct parsed *out)
{
	size_t len = pair->family == AF_INET ? 4 : 16;
	uint16_t sport, dport;

	memcpy(&sport, tcp, 2);
	memcpy(&dport, tcp + 2, 2);
	out->seg.from_a = sport == port_be(&pair->addr_a) && dport == port_be(&pair->addr_b) &&
			  !memcmp(src, addr_bytes(&pair->addr_a), len);
	if (!out->seg.from_a &&
	    (sport != port_be(&pair->addr_b) || dport != port_be(&pair->addr_a)))
		return;
	out->tcp = true;
	out->seg.seq = get32(tcp + 4);
	out->seg.ack = get32(tcp + 8);
	out->seg.flags = tcp[13];
	out->seg.payload_len = l4_len - (tcp[12] >> 4) * 4u;
}

static void parse_frame(const uint8_t *f, size_t len, const struct fact_pair *pair,
			struct parsed *out)
{
	unsigned ether = (unsigned)f[12] << 8 | f[13];
	const uint8_t *ip = f + ETH_HLEN;

	memset(out, 0, sizeof(*out));
	if (len < 54)
		return;
	out->seg.frame_len = (unsigned)len;
	if (ether == ETH_P_IP) {
		unsigned ihl = (ip[0] & 15u) * 4, total = (unsigned)ip[2] << 8 | ip[3];

		if (ip[9] == IPPROTO_UDP &&
		    ((unsigned)ip[ihl + 2] << 8 | ip[ihl + 3]) == MARKER_PORT)
			out->marker = true;
		if (ip[9] == IPPROTO_TCP && pair->family == AF_INET)
			parse_tcp(ip + ihl, total - ihl, ip + 12, pair, out);
	} else if (ether == ETH_P_IPV6 && ip[6] == IPPROTO_TCP && pair->family == AF_INET6) {
		parse_tcp(ip + 40, (unsigned)ip[4] << 8 | ip[5], ip + 8, pair, out);
	}
}

static void send_marker(const struct fact_net *net)
{
	int fd = netns_socket(&net->a, AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_storage ss;
	socklen_t len = make_addr(AF_INET, 0, &ss);
	char text[32] = "marker";

	must(fd >= 0);
	((struct sockaddr_in *)&ss)->sin_port = htons(MARKER_PORT);
	must(sendto(fd, text, sizeof(text), 0, (struct sockaddr *)&ss, len) == sizeof(text));
	close(fd);
}

static int marker_socket(const struct netns *ns, int in_a, struct sockaddr_storage *ss)
{
	int fd = netns_socket(ns, AF_INET, SOCK_DGRAM, 0);
	socklen_t len = make_addr(AF_INET, in_a, ss);

	must(fd >= 0 && !bind(fd, (struct sockaddr *)ss, len));
	must(!getsockname(fd, (struct sockaddr *)ss, &len));
	return fd;
}

void fact_settle(const struct fact_net *net)
{
	struct sockaddr_storage addr_a, addr_b;
	int a = marker_socket(&net->a, 1, &addr_a), b = marker_socket(&net->b, 0, &addr_b);
	socklen_t len = sizeof(struct sockaddr_in);
	char c = 0;

	must(sendto(a, &c, 1, 0, (struct sockaddr *)&addr_b, len) == 1);
	must(fact_wait(b, POLLIN));
	must(sendto(b, &c, 1, 0, (struct sockaddr *)&addr_a, len) == 1);
	must(fact_wait(a, POLLIN));
	close(a);
	close(b);
}

int fact_unread(int fd)
{
	int n = 0;

	must(!ioctl(fd, FIONREAD, &n));
	return n;
}

static size_t cap_read(struct fact_cap *cap, uint8_t *buf, size_t size)
{
	ssize_t n;

	if (!fact_wait(cap->fd, POLLIN))
		return 0;
	n = recv(cap->fd, buf, size, 0);
	must(n > 0);
	return (size_t)n;
}

static void count_seg(struct fact_seen *seen, const struct fact_seg *seg)
{
	if (seg->from_a) {
		seen->from_a++;
		seen->rst_from_a += !!(seg->flags & FACT_RST);
		seen->fin_from_a += !!(seg->flags & FACT_FIN);
		if (seg->payload_len > seen->largest_payload_from_a)
			seen->largest_payload_from_a = seg->payload_len;
		return;
	}
	seen->from_b++;
	seen->rst_from_b += !!(seg->flags & FACT_RST);
	seen->fin_from_b += !!(seg->flags & FACT_FIN);
}

struct fact_seen fact_cap_until_marker(struct fact_cap *cap, const struct fact_net *net,
				       const struct fact_pair *pair)
{
	static uint8_t buf[70000];
	struct fact_seen seen = { 0 };
	struct parsed p;

	send_marker(net);
	for (;;) {
		size_t len = cap_read(cap, buf, sizeof(buf));

		must(len > 0);
		parse_frame(buf, len, pair, &p);
		if (p.marker)
			return seen;
		if (p.tcp)
			count_seg(&seen, &p.seg);
	}
}

bool fact_cap_next(struct fact_cap *cap, const struct fact_pair *pair, struct fact_seg *seg)
{
	static uint8_t buf[70000];
	struct parsed p;

	for (;;) {
		size_t len = cap_read(cap, buf, sizeof(buf));

		if (!len)
			return false;
		parse_frame(buf, len, pair, &p);
		if (p.tcp) {
			*seg = p.seg;
			return true;
		}
	}
}

static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	if (len)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

size_t fact_build_segment(uint8_t *frame, const struct fact_net *net, const struct fact_pair *pair,
			  bool from_a, uint32_t seq, uint32_t ack, uint8_t flags,
			  const uint8_t ts[10], const void *payload, size_t len)
{
	const struct sockaddr_storage *src = from_a ? &pair->addr_a : &pair->addr_b;
	const struct sockaddr_storage *dst = from_a ? &pair->addr_b : &pair->addr_a;
	bool v6 = pair->family == AF_INET6;
	size_t alen = v6 ? 16 : 4, ip_len = v6 ? 40 : 20, tcp_len = ts ? 32 : 20;
	uint8_t *ip = frame + ETH_HLEN, *tcp = ip + ip_len;
	uint8_t *addrs = ip + (v6 ? 8 : 12);
	uint16_t sport = port_be(src), dport = port_be(dst);
	uint32_t sum;

	memset(frame, 0, ETH_HLEN + ip_len + tcp_len);
	memcpy(frame, from_a ? net->mac_b : net->mac_a, 6);
	memcpy(frame + 6, from_a ? net->mac_a : net->mac_b, 6);
	put16(frame + 12, v6 ? ETH_P_IPV6 : ETH_P_IP);
	ip[0] = v6 ? 0x60 : 0x45;
	put16(ip + (v6 ? 4 : 2), (uint32_t)(tcp_len + len + (v6 ? 0 : ip_len)));
	ip[v6 ? 7 : 8] = 64;
	ip[v6 ? 6 : 9] = IPPROTO_TCP;
	memcpy(addrs, addr_bytes(src), alen);
	memcpy(addrs + alen, addr_bytes(dst), alen);
	if (!v6)
		put16(ip + 10, fold(sum16(ip, 20, 0)));
	memcpy(tcp, &sport, 2);
	memcpy(tcp + 2, &dport, 2);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = (uint8_t)(tcp_len / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, 0xffff);
	if (ts) {
		tcp[20] = tcp[21] = 1;
		memcpy(tcp + 22, ts, 10);
	}
	memcpy(tcp + tcp_len, payload ? payload : "", len);
	sum = sum16(addrs, 2 * alen, IPPROTO_TCP + (uint32_t)(tcp_len + len));
	put16(tcp + 16, fold(sum16(tcp, tcp_len + len, sum)));
	return ETH_HLEN + ip_len + tcp_len + len;
}

void fact_repair_on(int fd)
{
	int v = TCP_REPAIR_ON;

	must(!setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &v, sizeof(v)));
}

void fact_repair_off(int fd)
{
	int v = TCP_REPAIR_OFF_NO_WP;

	must(!setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &v, sizeof(v)));
}

static uint32_t get_u32(int fd, int opt)
{
	uint32_t v = 0;
	socklen_t len = sizeof(v);

	must(!getsockopt(fd, IPPROTO_TCP, opt, &v, &len));
	return v;
}

static void set_u32(int fd, int opt, uint32_t v)
{
	must(!setsockopt(fd, IPPROTO_TCP, opt, &v, sizeof(v)));
}

static int peek_queue(int fd, int queue, uint8_t *buf, size_t size)
{
	ssize_t n;

	set_u32(fd, TCP_REPAIR_QUEUE, (uint32_t)queue);
	n = recv(fd, buf, size, MSG_PEEK | MSG_DONTWAIT);
	must(n >= 0 || errno == EAGAIN);
	return n < 0 ? 0 : (int)n;
}

void fact_repair_read(int fd, struct fact_repair *r)
{
	socklen_t len = sizeof(r->info);

	must(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &r->info, &len));
	len = sizeof(r->window);
	must(!getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &r->window, &len));
	r->timestamp = get_u32(fd, TCP_TIMESTAMP);
	r->mss = (int)get_u32(fd, TCP_MAXSEG);
	r->rcv_len = peek_queue(fd, TCP_RECV_QUEUE, r->rcv_queue, sizeof(r->rcv_queue));
	r->rcv_seq = get_u32(fd, TCP_QUEUE_SEQ);
	r->snd_len = peek_queue(fd, TCP_SEND_QUEUE, r->snd_queue, sizeof(r->snd_queue));
	r->snd_seq = get_u32(fd, TCP_QUEUE_SEQ);
	must(!ioctl(fd, 0x894B /* SIOCOUTQNSD */, &r->unsent_len));
	set_u32(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
}

static void restore_options(int fd, const struct fact_repair *r)
{
	struct tcp_repair_opt opt[4];
	int n = 0;

	opt[n++] = (struct tcp_repair_opt){ 2 /* MSS */, (uint32_t)r->mss };
	if (r->info.tcpi_options & TCPI_OPT_WSCALE)
		opt[n++] =
			(struct tcp_repair_opt){ 3 /* window scale */,
						 r->info.tcpi_snd_wscale |
							 (uint32_t)r->info.tcpi_rcv_wscale << 16 };
	if (r->info.tcpi_options & TCPI_OPT_SACK)
		opt[n++] = (struct tcp_repair_opt){ 4 /* SACK permitted */, 0 };
	if (r->info.tcpi_options & TCPI_OPT_TIMESTAMPS)
		opt[n++] = (struct tcp_repair_opt){ 8 /* timestamps */, 0 };
	must(!setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, (socklen_t)(n * sizeof(*opt))));
	if (r->info.tcpi_options & TCPI_OPT_TIMESTAMPS)
		set_u32(fd, TCP_TIMESTAMP, r->timestamp);
}

static void refill(int fd, int queue, const uint8_t *data, int len)
{
	set_u32(fd, TCP_REPAIR_QUEUE, (uint32_t)queue);
	while (len > 0) {
		ssize_t n = send(fd, data, (size_t)len, 0);

		must(n > 0);
		data += n;
		len -= (int)n;
	}
}

void fact_repair_restore(int fd, const struct fact_pair *pair, bool end_a,
			 const struct fact_repair *r, uint32_t snd_back, uint32_t rcv_back)
{
	const struct sockaddr_storage *local = end_a ? &pair->addr_a : &pair->addr_b;
	const struct sockaddr_storage *remote = end_a ? &pair->addr_b : &pair->addr_a;
	struct tcp_repair_window window = r->window;
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	fact_repair_on(fd);
	set_u32(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	set_u32(fd, TCP_QUEUE_SEQ, r->snd_seq - (uint32_t)r->snd_len - snd_back);
	set_u32(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	set_u32(fd, TCP_QUEUE_SEQ, r->rcv_seq - (uint32_t)r->rcv_len - rcv_back);
	/* A socket that was this connection before still holds its port. */
	if (bind(fd, (const struct sockaddr *)local, pair->addr_len))
		must(errno == EINVAL);
	must(!connect(fd, (const struct sockaddr *)remote, pair->addr_len));
	restore_options(fd, r);
	refill(fd, TCP_RECV_QUEUE, r->rcv_queue, r->rcv_len);
	refill(fd, TCP_SEND_QUEUE, r->snd_queue, r->snd_len - r->unsent_len);
	window.snd_wl1 -= rcv_back;
	window.rcv_wup -= rcv_back;
	must(!setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)));
	set_u32(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
}

void fact_drop_all_filter(int fd)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &code };

	must(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

void fact_no_filter(int fd)
{
	int v = 0;

	must(!setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof(v)));
}

void fact_disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	must(!connect(fd, &none, sizeof(none)));
}

static void send_frame(const struct netns *ns, const char *ifname, const void *frame, size_t len)
{
	struct fact_cap cap;

	fact_cap_open(&cap, ns, ifname, ETH_P_IP);
	must(send(cap.fd, frame, len, 0) == (ssize_t)len);
	close(cap.fd);
}

void fact_arrive(const struct fact_net *net, const void *frame, size_t len)
{
	send_frame(&net->b, net->if_b, frame, len);
}

void fact_leave(const struct fact_net *net, const void *frame, size_t len)
{
	send_frame(&net->a, net->if_a, frame, len);
}

bool fact_use_veth;

void fact_steer_open(const struct fact_net *net, struct fact_steer *s)
{
	struct nic_tap_config tap = { .ifname = "chimney%d", .mtu_bytes = 1500 };
	char why[256];

	memcpy(tap.mac, net->mac_a, 6);
	if (!fact_use_veth && nic_tap_open(&s->nic, &tap, why, sizeof(why))) {
		printf("note: a veth pair instead of a TAP: %s\n", why);
		fact_use_veth = true;
	}
	if (fact_use_veth && nic_veth_open(&s->nic, &tap, why, sizeof(why)))
		fact_skip("%s", why);
	snprintf(s->tap, sizeof(s->tap), "%s",
		 fact_use_veth ? nic_veth_ifname(s->nic) : nic_tap_ifname(s->nic));
	s->config = (struct steer_config){ .ifname = net->if_a, .tap = s->tap, .mtu_bytes = 1500 };
	memcpy(s->config.mac, net->mac_a, 6);
	if (steer_open(&s->st, &s->config, why, sizeof(why)))
		fact_skip("%s", why);
}

void fact_steer_close(struct fact_steer *s)
{
	steer_close(s->st);
	nic_close(s->nic);
}
