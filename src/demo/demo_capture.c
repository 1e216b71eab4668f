/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo/demo_capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/pcap.h"

#define SNAP_BYTES   262144u
#define RCVBUF_BYTES (64 << 20)
#define RST_FLAG     0x04u

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

struct demo_capture *demo_capture_create(const char *ifname, const char *pcap_path)
{
	struct demo_capture *c =
		mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED)
		return NULL;
	c->ifname = ifname;
	c->pcap_path = pcap_path;
	c->ready_fd = -1;
	return c;
}

/*
 * Without a file only resets need to leave the kernel: IPv4 without options, IPv6 without extension
 * headers.
 */
static int only_resets(int fd)
{
	enum { DROP = 11, KEEP = 12 }; /* jumps count from the next instruction */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),                               /* 0 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 6 - 2),              /* 1 */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),                               /* 2 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, DROP - 4),        /* 3 */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 47),                               /* 4 */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, RST_FLAG, KEEP - 6, DROP - 6),   /* 5 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, DROP - 7),         /* 6 */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),                               /* 7 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, DROP - 9),        /* 8 */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 67),                               /* 9 */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, RST_FLAG, KEEP - 11, DROP - 11), /* 10 */
		BPF_STMT(BPF_RET | BPF_K, 0),                                         /* 11 */
		BPF_STMT(BPF_RET | BPF_K, 128),                                       /* 12 */
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static bool is_reset(const uint8_t *f, size_t len)
{
	uint16_t type;

	if (len < 54)
		return false;
	memcpy(&type, f + 12, sizeof(type));
	if (type == htons(ETH_P_IP) && f[23] == IPPROTO_TCP)
		return f[14 + (f[14] & 0x0f) * 4 + 13] & RST_FLAG;
	return type == htons(ETH_P_IPV6) && len >= 74 && f[20] == IPPROTO_TCP && (f[67] & RST_FLAG);
}

static int open_socket(const struct demo_capture *c)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct timeval poll_stop = { .tv_usec = 20000 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), size = RCVBUF_BYTES;

	if (fd < 0 || (!c->pcap_path && only_resets(fd) < 0))
		return -errno;
	at.sll_ifindex = (int)if_nametoindex(c->ifname);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &poll_stop, sizeof(poll_stop));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : fd;
}

static void note_lost(struct demo_capture *c, int fd)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	if (!getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len))
		atomic_fetch_add(&c->lost, st.tp_drops);
}

static void watch(struct demo_capture *c, int fd, struct pcap_writer *file)
{
	static uint8_t frame[SNAP_BYTES];

	for (;;) {
		ssize_t n = recv(fd, frame, sizeof(frame), MSG_TRUNC);
		size_t have = n > (ssize_t)sizeof(frame) ? sizeof(frame) : (size_t)n;
		struct timespec now;

		if (n < 0 && stop)
			return; /* what had arrived before the signal has been read */
		if (n < 0)
			continue;
		atomic_fetch_add(&c->frames, 1);
		atomic_fetch_add(&c->bytes, (uint64_t)n);
		if (is_reset(frame, have))
			atomic_fetch_add(&c->resets, 1);
		if (!file)
			continue;
		clock_gettime(CLOCK_REALTIME, &now);
		pcap_writer_frame(file, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
				  &(struct iovec){ .iov_base = frame, .iov_len = have }, 1);
	}
}

int demo_capture_run(void *arg)
{
	struct demo_capture *c = arg;
	struct sigaction sa = { .sa_handler = on_term };
	struct pcap_writer *file = NULL;
	int fd = open_socket(c);

	sigaction(SIGTERM, &sa, NULL);
	if (fd < 0) {
		fprintf(stderr, "chimney demo: cannot watch %s: %s\n", c->ifname, strerror(-fd));
		return 1;
	}
	if (c->pcap_path) {
		int err = pcap_writer_open(&file, c->pcap_path);

		if (err) {
			fprintf(stderr, "chimney demo: cannot write '%s': %s\n", c->pcap_path,
				strerror(-err));
			return 1;
		}
	}
	if (write(c->ready_fd, "", 1) != 1)
		return 1;
	watch(c, fd, file);
	note_lost(c, fd);
	return pcap_writer_close(file) ? 1 : 0;
}
