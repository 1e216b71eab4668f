/* SPDX-License-Identifier: BSD-2-Clause */
#include "host_net.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "nic/nic_tap.h"

#define ADDR4_A "10.78.0.1"
#define ADDR4_B "10.78.0.2"
#define ADDR6_A "fd78::1"
#define ADDR6_B "fd78::2"

static bool veth_open(struct test_net *net)
{
	struct netns_veth_end a = { &net->a, net->if_a, net->mac_a },
			      b = { &net->b, net->if_b, net->mac_b };

	memcpy(net->mac_a, (uint8_t[]){ 2, 0x78, 0, 0, 0, 1 }, 6);
	memcpy(net->mac_b, (uint8_t[]){ 2, 0x78, 0, 0, 0, 2 }, 6);
	netns_unique_ifname(net->if_a, "cha");
	netns_unique_ifname(net->if_b, "chb");
	return netns_veth(&a, &b, 1500) == 0 && netns_link_set_up(&net->a, net->if_a, 1) == 0 &&
	       netns_link_set_up(&net->b, net->if_b, 1) == 0 &&
	       netns_addr_add(&net->a, net->if_a, ADDR4_A, 24) == 0 &&
	       netns_addr_add(&net->b, net->if_b, ADDR4_B, 24) == 0 &&
	       netns_addr_add(&net->a, net->if_a, ADDR6_A, 64) == 0 &&
	       netns_addr_add(&net->b, net->if_b, ADDR6_B, 64) == 0 &&
	       netns_wait_running(&net->a, net->if_a, TEST_WAIT_MS) == 0 &&
	       netns_wait_running(&net->b, net->if_b, TEST_WAIT_MS) == 0;
}

static bool target_side_open(struct test_net *net, char *why, size_t why_size)
{
	struct nic_tap_config tap = { .ifname = "chimney%d", .mtu_bytes = 1500 };
	struct steer_config steer = { .ifname = net->if_a, .mtu_bytes = 1500 };

	memcpy(tap.mac, net->mac_a, 6);
	memcpy(steer.mac, net->mac_a, 6);
	if (nic_tap_open(&net->nic, &tap, why, why_size) < 0)
		return false;
	steer.tap = nic_tap_ifname(net->nic);
	return steer_open(&net->steer, &steer, why, why_size) == 0;
}

bool test_net_open_bare(struct test_net *net)
{
	char why[256] = "veth pair";

	memset(net, 0, sizeof(*net));
	if (netns_become_admin(why, sizeof(why)) < 0 || netns_new(&net->a) < 0 ||
	    netns_new(&net->b) < 0 || !veth_open(net) || netns_switch(&net->a) < 0) {
		fprintf(stderr, "SKIP: %s\n", why);
		return false;
	}
	return true;
}

bool test_net_open(struct test_net *net)
{
	char why[256] = "";

	if (!test_net_open_bare(net))
		return false;
	if (!target_side_open(net, why, sizeof(why))) {
		fprintf(stderr, "SKIP: %s\n", why);
		return false;
	}
	return true;
}

void test_net_close(struct test_net *net)
{
	steer_close(net->steer);
	if (net->nic)
		nic_close(net->nic);
	netns_close(&net->a);
	netns_close(&net->b);
}

static socklen_t make_addr(int family, bool of_a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		assert_int_equal(1, inet_pton(AF_INET, of_a ? ADDR4_A : ADDR4_B,
					      &((struct sockaddr_in *)ss)->sin_addr));
		return sizeof(struct sockaddr_in);
	}
	assert_int_equal(1, inet_pton(AF_INET6, of_a ? ADDR6_A : ADDR6_B,
				      &((struct sockaddr_in6 *)ss)->sin6_addr));
	return sizeof(struct sockaddr_in6);
}

static int listen_at(const struct test_net *net, int family, uint16_t *port_be)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(family == AF_INET ? AF_INET : AF_INET6, true, &ss);
	int fd = netns_socket(&net->a, ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (family == 46)
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_any;
	assert_int_equal(0, bind(fd, (struct sockaddr *)&ss, len));
	assert_int_equal(0, listen(fd, 8));
	assert_int_equal(0, getsockname(fd, (struct sockaddr *)&ss, &len));
	*port_be = ((struct sockaddr_in *)&ss)->sin_port; /* the same place in both families */
	return fd;
}

void test_pair_open(const struct test_net *net, int family, struct test_pair *pair)
{
	int peer_family = family == AF_INET6 ? AF_INET6 : AF_INET;
	struct sockaddr_storage ss;
	socklen_t len = make_addr(peer_family, true, &ss);
	uint16_t port_be;

	pair->listener = listen_at(net, family, &port_be);
	((struct sockaddr_in *)&ss)->sin_port = port_be;
	pair->b = netns_socket(&net->b, peer_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(pair->b >= 0);
	assert_int_equal(0, connect(pair->b, (struct sockaddr *)&ss, len));
	pair->a = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair->a >= 0);
}

void test_pair_close(struct test_pair *pair)
{
	if (pair->a >= 0)
		close(pair->a);
	if (pair->b >= 0)
		close(pair->b);
	if (pair->listener >= 0)
		close(pair->listener);
	*pair = (struct test_pair){ -1, -1, -1 };
}

bool test_wait(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, TEST_WAIT_MS) == 1;
}

void test_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

void test_read_all(int fd, void *data, size_t len)
{
	uint8_t *at = data;

	while (len > 0) {
		ssize_t n;

		assert_true(test_wait(fd, POLLIN));
		n = read(fd, at, len);
		assert_true(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

uint8_t test_byte(uint32_t seed, uint64_t n)
{
	uint64_t x = (n >> 3) + ((uint64_t)seed << 32) + 0x9E3779B97F4A7C15u;

	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
	x = (x ^ x >> 27) * 0x94D049BB133111EBu;
	return (uint8_t)((x ^ x >> 31) >> (n & 7) * 8);
}

void test_fill(uint8_t *data, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = test_byte(seed, i);
}

uint64_t test_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint32_t test_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}
