/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds a descriptor of the TAP, or of the packet socket on a veth pair, can go on with it
 * after its first user died without a word: frames are received, and can be given back.
 */
#include "fact_net.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nic/nic_veth.h"

#define BYTES 20000

static void send_fd(int sock, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, c = 0;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	must(sendmsg(sock, &msg, 0) == 1);
}

static int receive_fd(int sock)
{
	char room[CMSG_SPACE(sizeof(int))], c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	int fd = -1;

	must(recvmsg(sock, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The first user: opens, hands a descriptor on, dies with everything open. */
static void first_user(int sock, const struct nic_tap_config *config, bool veth)
{
	char why[256];
	struct nic *nic;

	if (veth ? nic_veth_open(&nic, config, why, sizeof(why))
		 : nic_tap_open(&nic, config, why, sizeof(why))) {
		printf("skipped: %s\n", why);
		_exit(77);
	}
	send_fd(sock, nic_fd(nic));
	_exit(0);
}

struct give_back {
	struct nic *nic;
	unsigned frames;
	int err;
};

static void on_frame(void *ctx, const struct nic_rx_frame *frame)
{
	struct give_back *g = ctx;

	g->frames++;
	if (!g->err)
		g->err = nic_indicate(g->nic, frame);
}

static void use(const struct fact_net *net, struct nic *nic, struct steer *st)
{
	static uint8_t out[BYTES], in[BYTES];
	struct give_back g = { .nic = nic };
	struct fact_pair pair;
	struct steer_flow flow;
	size_t got = 0;

	fact_pair_open(net, AF_INET, &pair);
	flow = fact_pair_flow(&pair);
	must_ok(steer_add(st, &flow, 1));
	nic_set_rx(nic, on_frame, &g);
	fact_fill(out, sizeof(out), 9);
	fact_write_all(pair.b, out, BYTES);
	while (got < BYTES) {
		struct pollfd pfd[2] = { { .fd = nic_fd(nic), .events = POLLIN },
					 { .fd = pair.a, .events = POLLIN } };
		ssize_t n;

		must(poll(pfd, 2, FACT_WAIT_MS) > 0);
		nic_poll(nic, 16);
		must_ok(g.err);
		n = recv(pair.a, in + got, BYTES - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	must(g.frames > 0 && !memcmp(in, out, BYTES));
	must_ok(steer_del(st, &flow, 1));
	fact_pair_close(&pair);
}

static int try_kind(const struct fact_net *net, bool veth)
{
	struct nic_tap_config tap = { .ifname = "chimney%d", .mtu_bytes = 1500 };
	struct steer_config config = { .ifname = net->if_a, .mtu_bytes = 1500 };
	char ifname[16], why[256];
	struct steer *st;
	struct nic *nic;
	int sock[2], status, fd;
	pid_t pid;

	memcpy(tap.mac, net->mac_a, 6);
	memcpy(config.mac, net->mac_a, 6);
	must(!socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	pid = fork();
	must(pid >= 0);
	if (pid == 0)
		first_user(sock[1], &tap, veth);
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status))
		return WEXITSTATUS(status);
	fd = receive_fd(sock[0]);
	must_ok(nic_tap_or_veth_adopt(&nic, fd, &tap, ifname));
	config.tap = ifname;
	if (steer_open(&st, &config, why, sizeof(why)))
		fact_skip("%s", why);
	use(net, nic, st);
	fact(!strcmp(nic_info(nic)->kind, veth ? "veth" : "tap"),
	     "a %s whose first user died goes on in the hands of another",
	     veth ? "veth pair with its packet socket" : "TAP");
	steer_close(st);
	nic_close(nic);
	close(sock[0]), close(sock[1]);
	fact(netns_ifindex((struct netns *)&net->a, ifname) == -ENODEV, "closed, it is gone");
	return 0;
}

int main(void)
{
	struct fact_net net;
	int skipped;

	fact_net_open(&net);
	skipped = try_kind(&net, true);
	skipped |= try_kind(&net, false);
	fact_net_close(&net);
	return skipped;
}
