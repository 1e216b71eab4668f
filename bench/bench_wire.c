/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chimney-wire: a cable with a rate, a delay, a queue and losses, between two network namespaces.
 *
 *     chimney-wire NAMESPACE NAMESPACE MBIT_PER_S DELAY_US QUEUE_BYTES LOSS_PPM
 *
 * Each namespace (a name below /run/netns) gets a TAP device "wire". Frames of the first one are
 * lost at the given rate, those of the second never. Delay and rate are the same both ways. Runs
 * until SIGTERM or SIGINT, then prints what passed. For measurements on kernels without netem; it
 * spins, so it wants a core for itself. Nothing in the tests uses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { FRAMES = 4096, FRAME_BYTES = 1600 };

struct frame {
	uint64_t due_us;
	uint32_t len;
	uint8_t data[FRAME_BYTES];
};

struct way {
	int from, to;
	uint32_t loss_ppm;
	uint64_t free_us_x1000; /* nanoseconds: when the last frame will have left the queue */
	unsigned int head, count;
	uint64_t passed, lost, overflowed;
	struct frame frames[FRAMES];
};

static struct way ways[2];
static uint64_t rate_mbit, delay_us, queue_bytes;
static uint64_t random_state = 88172645463325252ull;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static uint32_t below_million(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state % 1000000u);
}

/* Returns a non-blocking descriptor or -errno. */
static int open_tap(const char *space)
{
	struct ifreq request = { .ifr_name = "wire", .ifr_flags = IFF_TAP | IFF_NO_PI };
	char path[128];
	int space_fd, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", space);
	space_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (space_fd < 0 || setns(space_fd, CLONE_NEWNET) < 0)
		return -errno;
	close(space_fd);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		return -errno;
	return fd;
}

/* One frame into the queue, or not. False: none was there. */
static bool take(struct way *way, uint64_t now_us)
{
	struct frame *f = &way->frames[(way->head + way->count) % FRAMES];
	uint64_t now = now_us * 1000u, backlog;
	ssize_t n = read(way->from, f->data, FRAME_BYTES);

	if (n <= 0)
		return false;
	if (way->free_us_x1000 < now)
		way->free_us_x1000 = now;
	backlog = (way->free_us_x1000 - now) * rate_mbit / 8000u;
	if (below_million() < way->loss_ppm) {
		way->lost++;
	} else if (backlog + (uint64_t)n > queue_bytes || way->count == FRAMES - 1) {
		way->overflowed++;
	} else {
		way->free_us_x1000 += (uint64_t)n * 8000u / rate_mbit;
		f->due_us = way->free_us_x1000 / 1000u + delay_us;
		f->len = (uint32_t)n;
		way->count++;
	}
	return true;
}

static void give(struct way *way, uint64_t now_us)
{
	while (way->count && way->frames[way->head].due_us <= now_us) {
		const struct frame *f = &way->frames[way->head];

		if (write(way->to, f->data, f->len) == (ssize_t)f->len)
			way->passed++;
		way->head = (way->head + 1) % FRAMES;
		way->count--;
	}
}

int main(int argc, char **argv)
{
	int taps[2];

	if (argc != 7) {
		fprintf(stderr,
			"usage: %s NAMESPACE NAMESPACE MBIT_PER_S DELAY_US QUEUE_BYTES LOSS_PPM\n",
			argv[0]);
		return 2;
	}
	rate_mbit = strtoull(argv[3], NULL, 0);
	delay_us = strtoull(argv[4], NULL, 0);
	queue_bytes = strtoull(argv[5], NULL, 0);
	for (int i = 0; i < 2; i++) {
		taps[i] = open_tap(argv[1 + i]);
		if (taps[i] < 0 || !rate_mbit) {
			fprintf(stderr, "%s: %s\n", argv[1 + i], strerror(-taps[i]));
			return 1;
		}
	}
	ways[0].from = ways[1].to = taps[0];
	ways[0].to = ways[1].from = taps[1];
	ways[0].loss_ppm = (uint32_t)strtoul(argv[6], NULL, 0);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	puts("ready");
	fflush(stdout);
	while (!stop)
		for (int i = 0; i < 2; i++) {
			uint64_t now_us = clock_monotonic_us();

			for (int n = 0; n < 64 && take(&ways[i], now_us); n++)
				;
			give(&ways[i], now_us);
		}
	for (int i = 0; i < 2; i++)
		printf("%s: %llu passed, %llu lost, %llu overflowed\n", argv[1 + i],
		       (unsigned long long)ways[i].passed, (unsigned long long)ways[i].lost,
		       (unsigned long long)ways[i].overflowed);
	return 0;
}
