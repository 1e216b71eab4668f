/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After bytes that conntrack did not see it calls a connection INVALID, and `ct state invalid drop`
 * stalls it; made liberal by ctnetlink it goes on. Offload is played here by moving both ends of a
 * connection 50 MB ahead in TCP_REPAIR.
 */
#include "fact_net.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nf_tables.h>
#include <poll.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>

#include "host/host_conntrack.h"

#define AHEAD 50000000u

static struct nftnl_rule *rule_invalid_drop(void)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	struct nftnl_expr *e;
	uint32_t invalid = 1 /* NF_CT_STATE_INVALID_BIT */, zero = 0;

	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, "stateful");
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, "in");
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	e = nftnl_expr_alloc("ct");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	nftnl_rule_add_expr(r, e);
	e = nftnl_expr_alloc("bitwise");
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, 4);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &invalid, 4);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &zero, 4);
	nftnl_rule_add_expr(r, e);
	e = nftnl_expr_alloc("cmp");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_NEQ);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, &zero, 4);
	nftnl_rule_add_expr(r, e);
	e = nftnl_expr_alloc("immediate");
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, NF_DROP);
	nftnl_rule_add_expr(r, e);
	return r;
}

/* table inet stateful { chain in { type filter hook input priority 0; ct state invalid drop } } */
static int stateful_ruleset(void)
{
	char buf[8192], answer[4096];
	struct mnl_nlmsg_batch *b = mnl_nlmsg_batch_start(buf, sizeof(buf));
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	struct nftnl_table *t = nftnl_table_alloc();
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct nftnl_rule *r = rule_invalid_drop();
	int err = 0;

	must(nl && !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID));
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, "stateful");
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, "stateful");
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, "in");
	nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_IN);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, 0);
	nftnl_batch_begin(mnl_nlmsg_batch_current(b), 1);
	mnl_nlmsg_batch_next(b);
	nftnl_table_nlmsg_build_payload(nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b),
							      NFT_MSG_NEWTABLE, NFPROTO_INET,
							      NLM_F_CREATE, 2),
					t);
	mnl_nlmsg_batch_next(b);
	nftnl_chain_nlmsg_build_payload(nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b),
							      NFT_MSG_NEWCHAIN, NFPROTO_INET,
							      NLM_F_CREATE, 3),
					c);
	mnl_nlmsg_batch_next(b);
	nftnl_rule_nlmsg_build_payload(nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b),
							     NFT_MSG_NEWRULE, NFPROTO_INET,
							     NLM_F_CREATE | NLM_F_ACK, 4),
				       r);
	mnl_nlmsg_batch_next(b);
	nftnl_batch_end(mnl_nlmsg_batch_current(b), 5);
	mnl_nlmsg_batch_next(b);
	must(mnl_socket_sendto(nl, mnl_nlmsg_batch_head(b), mnl_nlmsg_batch_size(b)) > 0);
	if (mnl_cb_run(answer, (size_t)mnl_socket_recvfrom(nl, answer, sizeof(answer)), 0,
		       mnl_socket_get_portid(nl), NULL, NULL) < 0)
		err = -errno;
	mnl_nlmsg_batch_stop(b);
	nftnl_table_free(t);
	nftnl_chain_free(c);
	nftnl_rule_free(r);
	mnl_socket_close(nl);
	return err;
}

static void move_ahead(const struct fact_net *net, struct fact_pair *pair)
{
	static struct fact_repair a, b;

	fact_repair_on(pair->a);
	fact_repair_on(pair->b);
	fact_repair_read(pair->a, &a);
	fact_repair_read(pair->b, &b);
	close(pair->a);
	close(pair->b);
	a.snd_seq += AHEAD;
	a.rcv_seq += AHEAD;
	b.snd_seq += AHEAD;
	b.rcv_seq += AHEAD;
	a.window.snd_wl1 += AHEAD;
	a.window.rcv_wup += AHEAD;
	b.window.snd_wl1 += AHEAD;
	b.window.rcv_wup += AHEAD;
	pair->a = fact_socket(&net->a, pair->family);
	pair->b = fact_socket(&net->b, pair->family);
	fact_repair_restore(pair->a, pair, true, &a, 0, 0);
	fact_repair_restore(pair->b, pair, false, &b, 0, 0);
	fact_repair_off(pair->a);
	fact_repair_off(pair->b);
}

static void try_family(const struct fact_net *net, struct host_ct *ct, int family)
{
	struct host_ct_entry e;
	struct steer_flow flow;
	struct fact_pair pair;
	char why[200], data[100];
	int v = family == AF_INET ? 4 : 6;

	fact_pair_open(net, family, &pair);
	fact_write_all(pair.b, "hello", 5);
	fact_read_all(pair.a, data, 5);
	flow = fact_pair_flow(&pair);
	must_ok(host_ct_get(ct, &flow, &e));
	fact(e.tcp_state == TCP_CONNTRACK_ESTABLISHED && !e.nat && !e.liberal && !e.flowtable &&
		     !host_ct_check(ct, &flow, why, sizeof(why)),
	     "IPv%d: conntrack has the connection, looked up from the server's side", v);
	move_ahead(net, &pair);
	fact_write_all(pair.b, "lost?", 5);
	fact_settle(net);
	fact(fact_unread(pair.a) == 0,
	     "IPv%d: after unseen bytes its segments are INVALID and "
	     "dropped by the ruleset",
	     v);
	must_ok(host_ct_offloaded(ct, &flow));
	must_ok(host_ct_get(ct, &flow, &e));
	fact(e.liberal && e.timeout_s > 400000,
	     "IPv%d: ctnetlink makes the entry liberal and "
	     "long-lived",
	     v);
	fact_read_all(pair.a, data, 5);
	fact(!memcmp(data, "lost?", 5), "IPv%d: then the retransmission passes", v);
	move_ahead(net, &pair);
	fact_write_all(pair.b, "again", 5);
	fact_read_all(pair.a, data, 5);
	fact(1, "IPv%d: made liberal before the unseen bytes, nothing is lost", v);
	must_ok(host_ct_set_state(ct, &flow, TCP_CONNTRACK_TIME_WAIT, 60));
	must_ok(host_ct_get(ct, &flow, &e));
	fact(e.tcp_state == TCP_CONNTRACK_TIME_WAIT && e.timeout_s <= 60,
	     "IPv%d: at close its state and life are set", v);
	must_ok(host_ct_delete(ct, &flow));
	fact(host_ct_get(ct, &flow, &e) == -ENOENT && !host_ct_delete(ct, &flow) &&
		     !host_ct_offloaded(ct, &flow) && !host_ct_check(ct, &flow, why, sizeof(why)),
	     "IPv%d: deleted; an absent entry is no obstacle", v);
	close(pair.a), close(pair.b);
}

int main(void)
{
	struct fact_net net;
	struct host_ct *ct;
	int err;

	fact_net_open(&net);
	must_ok(host_ct_open(&ct));
	err = stateful_ruleset();
	if (err)
		fact_skip("no stateful rules in this kernel: %s", strerror(-err));
	try_family(&net, ct, AF_INET);
	try_family(&net, ct, AF_INET6);
	host_ct_close(ct);
	fact_net_close(&net);
	return 0;
}
