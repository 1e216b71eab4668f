/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fact_exchange_epoll.c - an epoll registration belongs to the open file and the number together.
 *
 * 1. Exchange without EPOLL_CTL_DEL leaves the old file registered: its end is reported for a
 *    number that now means a healthy file, and the number can no longer be removed.
 * 2. DEL, exchange, ADD gives events of the new file only.
 * 3. fdinfo lists number, events, data and inode of every registration.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int without_del(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 1 };
	int old_pair[2], new_pair[2], keep, ep = epoll_create1(0);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, old_pair) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, new_pair) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, old_pair[0], &ev) == 0);
	keep = dup(old_pair[0]); /* somebody still holds the old file, as chimney does */
	CHECK(dup2(new_pair[0], old_pair[0]) == old_pair[0]);
	close(old_pair[1]);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 1);
	CHECK(ev.events & EPOLLHUP);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, old_pair[0], NULL) < 0 && errno == ENOENT);
	close(keep);
	close(ep);
	return 0;
}

static int with_del(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = 2 };
	int old_pair[2], new_pair[2], keep, ep = epoll_create1(0);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, old_pair) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, new_pair) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, old_pair[0], &ev) == 0);
	keep = dup(old_pair[0]);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, old_pair[0], NULL) == 0);
	CHECK(write(new_pair[1], "x", 1) == 1);
	CHECK(dup2(new_pair[0], old_pair[0]) == old_pair[0]);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, old_pair[0], &ev) == 0);
	close(old_pair[1]);
	/* Edge triggered, and the byte came before the registration: still reported. */
	CHECK(epoll_wait(ep, &ev, 1, 0) == 1);
	CHECK(ev.events == EPOLLIN && ev.data.u64 == 2);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	close(keep);
	close(ep);
	return 0;
}

static int listed(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT,
				  .data.u64 = 0xabcdef0123456789ull };
	int pair[2], ep = epoll_create1(0), tfd = -1;
	unsigned long long data = 0;
	unsigned int events = 0;
	char path[64], line[256];
	FILE *f;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &ev) == 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ep);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "tfd: %d events: %x data: %llx", &tfd, &events, &data) == 3)
			break;
	fclose(f);
	CHECK(tfd == pair[0] && data == ev.data.u64);
	CHECK((events & ~(unsigned int)(EPOLLERR | EPOLLHUP)) == ev.events);
	return 0;
}

int main(void)
{
	return without_del() || with_del() || listed();
}
