/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_net - the private network of the host driver's tests, all of it in this process.
 *
 *      namespace a ("ours")                          namespace b ("the peer")
 *      10.78.0.1, fd78::1  if_a ------- veth ------- if_b  10.78.0.2, fd78::2
 *                          tap (nic), steer
 *
 * Every wait is for a condition, with a limit that fails the test.
 */
#ifndef TESTS_UNIT_HOST_HOST_NET_H
#define TESTS_UNIT_HOST_HOST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "host/host_repair.h"
#include "netns/netns.h"
#include "nic/nic.h"
#include "steer/steer.h"

#define TEST_WAIT_MS 10000

struct test_net {
	struct netns a, b;
	char if_a[16], if_b[16];
	uint8_t mac_a[6], mac_b[6];
	struct nic *nic;
	struct steer *steer;
};

struct test_pair {
	int a, b;     /* ours (accepted), the peer's (connected); blocking */
	int listener; /* still open */
};

/*
 * test_net_open() - false when this machine does not allow it (said on standard error). Enters
 * namespace a.
 */
bool test_net_open(struct test_net *net);
/* test_net_open_bare() - the two namespaces and their cable alone: no nic, no steering. */
bool test_net_open_bare(struct test_net *net);
void test_net_close(struct test_net *net);

/* test_pair_open() - family AF_INET or AF_INET6, or 46: an IPv6 listener with an IPv4 client. */
void test_pair_open(const struct test_net *net, int family, struct test_pair *pair);
void test_pair_close(struct test_pair *pair);

bool test_wait(int fd, short events);
void test_write_all(int fd, const void *data, size_t len);
void test_read_all(int fd, void *data, size_t len);
void test_fill(uint8_t *data, size_t len, uint32_t seed);
/*
 * Byte at position n of the endless stream of that seed: streams of any length can be checked
 * piece by piece.
 */
uint8_t test_byte(uint32_t seed, uint64_t n);
uint64_t test_now_us(void);
uint32_t test_random(uint32_t *state);

#endif
