/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table with the owner flag survives `flush ruleset`, obeys only its own netlink socket, lives on
 * in another process that holds the socket, and vanishes when the last descriptor is closed.
 */
#include "fact_net.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>

/* `nft flush ruleset`, as that program does it: delete all tables of all families. */
static int delete_table(uint16_t family, const char *name)
{
	char buf[4096], answer[4096];
	struct mnl_nlmsg_batch *b = mnl_nlmsg_batch_start(buf, sizeof(buf));
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	struct nftnl_table *t = nftnl_table_alloc();
	ssize_t len;
	int err = 0;

	must(nl && !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID));
	if (name)
		nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	nftnl_batch_begin(mnl_nlmsg_batch_current(b), 1);
	mnl_nlmsg_batch_next(b);
	nftnl_table_nlmsg_build_payload(nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b),
							      NFT_MSG_DELTABLE, family, NLM_F_ACK,
							      2),
					t);
	mnl_nlmsg_batch_next(b);
	nftnl_batch_end(mnl_nlmsg_batch_current(b), 3);
	mnl_nlmsg_batch_next(b);
	must(mnl_socket_sendto(nl, mnl_nlmsg_batch_head(b), mnl_nlmsg_batch_size(b)) > 0);
	len = mnl_socket_recvfrom(nl, answer, sizeof(answer));
	must(len > 0);
	if (mnl_cb_run(answer, (size_t)len, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		err = -errno;
	mnl_nlmsg_batch_stop(b);
	nftnl_table_free(t);
	mnl_socket_close(nl);
	return err;
}

static bool steered(struct steer *st, const struct steer_flow *flow)
{
	int err = steer_add(st, flow, 1);

	must(!err || err == -EEXIST);
	if (!err)
		must_ok(steer_del(st, flow, 1));
	return err == -EEXIST;
}

/* The heir: told by a byte to take over; exits when its end of the pipe is closed. */
static void heir(const struct fact_steer *s, int fd, const struct steer_flow *flow, int told,
		 int tell)
{
	struct steer *st;
	char c;

	/* What the parent had open must be closed here, except for the one socket. */
	must(read(told, &c, 1) == 1);
	must_ok(steer_adopt(&st, fd, &s->config));
	must(steered(st, flow));
	must_ok(steer_del(st, flow, 1));
	must_ok(steer_add(st, flow, 1));
	must(write(tell, "y", 1) == 1);
	must(read(told, &c, 1) == 1);
	steer_abandon(st);
	_exit(0);
}

static void inherit(struct fact_steer *s, const struct steer_flow *flow)
{
	int to[2], from[2], status;
	struct steer *second;
	char why[256], c = 'x';
	pid_t pid;

	must(!pipe(to) && !pipe(from));
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		close(to[1]);
		heir(s, steer_fd(s->st), flow, to[0], from[1]);
	}
	close(from[1]);
	steer_abandon(s->st);
	must(write(to[1], &c, 1) == 1);
	fact(read(from[0], &c, 1) == 1 && c == 'y', "a process that inherited the socket goes on "
						    "with the tables after the first closed it");
	fact(steer_open(&second, &s->config, why, sizeof(why)) < 0,
	     "meanwhile nobody else can steer the interface: %s", why);
	must(write(to[1], &c, 1) == 1);
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status));
	fact(!steer_open(&s->st, &s->config, why, sizeof(why)) && !steered(s->st, flow),
	     "when the last descriptor is closed the tables are gone");
	close(to[0]), close(to[1]), close(from[0]);
}

int main(void)
{
	struct steer_flow flow = { .family = AF_INET,
				   .local = { 10, 77, 0, 1 },
				   .remote = { 10, 77, 0, 2 },
				   .local_port_be = 1,
				   .remote_port_be = 2 };
	struct fact_net net;
	struct fact_steer s;
	char table[64];

	fact_net_open(&net);
	fact_steer_open(&net, &s);
	snprintf(table, sizeof(table), "chimney-%s", net.if_a);
	must_ok(steer_add(s.st, &flow, 1));
	fact(delete_table(NFPROTO_UNSPEC, NULL) == 0 && steered(s.st, &flow),
	     "flushing the ruleset succeeds and leaves an owned table alone");
	fact(delete_table(NFPROTO_NETDEV, table) == -EPERM && steered(s.st, &flow),
	     "deleting it by name from another socket is refused");
	inherit(&s, &flow);
	fact_steer_close(&s);
	fact_net_close(&net);
	return 0;
}
