/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/netns.h"

static char why[256];
static int refused; /* what netns_probe() said */

struct net {
	struct netns a, b;
	char if_a[16], if_b[16];
};

static void net_open(struct net *net)
{
	struct netns_veth_end a = { &net->a, net->if_a, NULL }, b = { &net->b, net->if_b, NULL };

	assert_int_equal(netns_new(&net->a), 0);
	assert_int_equal(netns_new(&net->b), 0);
	netns_unique_ifname(net->if_a, "ta");
	netns_unique_ifname(net->if_b, "tb");
	assert_int_equal(netns_veth(&a, &b, 1400), 0);
}

static void net_up(struct net *net)
{
	assert_int_equal(netns_link_set_up(&net->a, net->if_a, 1), 0);
	assert_int_equal(netns_link_set_up(&net->b, net->if_b, 1), 0);
	assert_int_equal(netns_wait_running(&net->a, net->if_a, 5000), 0);
	assert_int_equal(netns_wait_running(&net->b, net->if_b, 5000), 0);
}

static void net_close(struct net *net)
{
	netns_close(&net->a);
	netns_close(&net->b);
	netns_close(&net->b); /* twice is fine */
}

static void names_differ_and_fit(void **state)
{
	char one[16], two[16];

	(void)state;
	netns_unique_ifname(one, "averylongprefix");
	netns_unique_ifname(two, "averylongprefix");
	assert_true(strlen(one) <= 15);
	assert_string_not_equal(one, two);
}

static void a_refusal_has_a_reason(void **state)
{
	(void)state;
	if (refused)
		assert_true(strlen(why) > 10);
	else
		assert_string_equal(why, "");
}

/* A datagram from a to b at once: no duplicate address detection, no waiting. */
static void exchange(struct net *net, int family, const char *to)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	int v6 = family == AF_INET6;
	socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int a = netns_socket(&net->a, family, SOCK_DGRAM, 0);
	int b = netns_socket(&net->b, family, SOCK_DGRAM, 0);
	struct pollfd pfd = { .fd = b, .events = POLLIN };
	char buf[8];

	assert_true(a >= 0 && b >= 0);
	assert_int_equal(bind(b, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(b, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(inet_pton(family, to,
				   v6 ? (void *)&((struct sockaddr_in6 *)&ss)->sin6_addr
				      : (void *)&((struct sockaddr_in *)&ss)->sin_addr),
			 1);
	assert_int_equal(sendto(a, "hello", 5, 0, (struct sockaddr *)&ss, len), 5);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(b, buf, sizeof(buf), 0), 5);
	close(a);
	close(b);
}

static void two_namespaces_talk(void **state)
{
	struct net net;

	(void)state;
	if (refused)
		skip();
	net_open(&net);
	assert_int_equal(netns_addr_add(&net.a, net.if_a, "10.1.0.1", 24), 0);
	assert_int_equal(netns_addr_add(&net.b, net.if_b, "10.1.0.2", 24), 0);
	assert_int_equal(netns_addr_add(&net.a, net.if_a, "fd01::1", 64), 0);
	assert_int_equal(netns_addr_add(&net.b, net.if_b, "fd01::2", 64), 0);
	net_up(&net);
	exchange(&net, AF_INET, "10.1.0.2");
	exchange(&net, AF_INET6, "fd01::2");
	/* A route by way of the other namespace to an address that it has, too. */
	assert_int_equal(netns_addr_add(&net.b, net.if_b, "10.2.0.2", 32), 0);
	assert_int_equal(netns_route_add(&net.a, "10.2.0.0", 16, "10.1.0.2", net.if_a, 1300), 0);
	assert_int_equal(netns_route_add(&net.a, "10.2.0.0", 16, "10.1.0.2", net.if_a, 1200), 0);
	exchange(&net, AF_INET, "10.2.0.2");
	net_close(&net);
}

static void errors_are_named(void **state)
{
	struct net net;
	struct netns here;

	(void)state;
	if (refused)
		skip();
	net_open(&net);
	assert_int_equal(netns_ifindex(&net.a, "nosuch"), -ENODEV);
	assert_int_equal(netns_ifindex(&net.b, net.if_a), -ENODEV); /* the other namespace's */
	assert_int_equal(netns_addr_add(&net.a, net.if_a, "10.1.0", 24), -EINVAL);
	assert_int_equal(netns_addr_add(&net.a, "nosuch", "10.1.0.1", 24), -ENODEV);
	assert_int_equal(netns_addr_add(&net.a, net.if_a, "10.1.0.1", 24), 0);
	assert_int_equal(netns_addr_add(&net.a, net.if_a, "10.1.0.1", 24), -EEXIST);
	assert_int_equal(netns_route_add(&net.a, "fd02::", 64, "10.1.0.2", net.if_a, 0), -EINVAL);
	assert_int_equal(netns_sysctl_set(&net.a, "net/no/such", "1"), -ENOENT);
	/* Up on one side only: no carrier. */
	assert_int_equal(netns_link_set_up(&net.a, net.if_a, 1), 0);
	assert_int_equal(netns_wait_running(&net.a, net.if_a, 20), -ETIMEDOUT);
	assert_int_equal(netns_link_set_mtu(&net.a, net.if_a, 10), -EINVAL);
	assert_int_equal(netns_link_del(&net.a, net.if_a), 0);
	assert_int_equal(netns_ifindex(&net.b, net.if_b), -ENODEV); /* both ends are gone */
	/* None of this moved the thread. */
	assert_int_equal(netns_here(&here), 0);
	assert_int_equal(netns_ifindex(&here, net.if_b), -ENODEV);
	netns_close(&here);
	net_close(&net);
}

static void a_namespace_takes_its_links_along(void **state)
{
	struct net net;
	int tries;

	(void)state;
	if (refused)
		skip();
	net_open(&net);
	netns_close(&net.b);
	/* The kernel tears it down on a thread of its own. */
	for (tries = 0; netns_ifindex(&net.a, net.if_a) > 0; tries++) {
		assert_true(tries < 5000);
		poll(NULL, 0, 1);
	}
	net_close(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_differ_and_fit),
		cmocka_unit_test(a_refusal_has_a_reason),
		cmocka_unit_test(two_namespaces_talk),
		cmocka_unit_test(errors_are_named),
		cmocka_unit_test(a_namespace_takes_its_links_along),
	};

	refused = netns_probe(why, sizeof(why));
	if (!refused && netns_become_admin(why, sizeof(why)) < 0)
		return 1; /* the probe must not promise what then fails */
	if (refused)
		fprintf(stderr, "no namespaces here: %s\n", why);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
