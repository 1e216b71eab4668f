/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two tables as nf_tables objects, installed in one transaction.
 *
 * The priority of the ingress chain is late (500) so that an administrator's own ingress chains
 * decide first. The output chain is at "raw" (-300), before conntrack (-200): a suppressed packet
 * leaves no conntrack state either. Fragments are left to the kernel: only their first part has
 * ports, and half a datagram is of no use to anyone.
 */
#include "steer/steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include "base/log.h"
#include "steer/steer_private.h"

#define PRIO_INGRESS   500
#define PRIO_QUIET     (-300)
#define BATCH_BYTES    65536u
#define MSG_ROOM_BYTES 2048u /* no single object comes near this */

/* Type numbers by which `nft list` prints the keys: ipv4_addr 7, ipv6_addr 8, inet_service 13. */
#define TYPE_ADDR4 7u
#define TYPE_ADDR6 8u
#define TYPE_PORT  13u

struct txn {
	struct mnl_nlmsg_batch *batch;
	uint32_t seq;
	int err; /* first thing that went wrong while building */
	const char *table;
	uint8_t family;
};

static struct nlmsghdr *txn_msg(struct txn *t, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(t->batch), type, t->family,
				     flags | NLM_F_ACK, ++t->seq);
}

static void txn_next(struct txn *t)
{
	if (!mnl_nlmsg_batch_next(t->batch) ||
	    mnl_nlmsg_batch_size(t->batch) + MSG_ROOM_BYTES > BATCH_BYTES)
		t->err = -EMSGSIZE;
}

static void put_table(struct txn *t, int add)
{
	struct nftnl_table *table = nftnl_table_alloc();

	if (!table) {
		t->err = -ENOMEM;
		return;
	}
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, t->table);
	if (add)
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	nftnl_table_nlmsg_build_payload(txn_msg(t, add ? NFT_MSG_NEWTABLE : NFT_MSG_DELTABLE,
						add ? NLM_F_CREATE | NLM_F_EXCL : 0),
					table);
	nftnl_table_free(table);
	txn_next(t);
}

static void put_set(struct txn *t, const char *name, uint32_t id, uint32_t addr_type,
		    uint32_t key_bytes)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (!set) {
		t->err = -ENOMEM;
		return;
	}
	nftnl_set_set_str(set, NFTNL_SET_TABLE, t->table);
	nftnl_set_set_str(set, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, t->family);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, key_bytes);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE,
			  addr_type << 18 | TYPE_PORT << 12 | addr_type << 6 | TYPE_PORT);
	nftnl_set_nlmsg_build_payload(txn_msg(t, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL), set);
	nftnl_set_free(set);
	txn_next(t);
}

static void put_chain(struct txn *t, const char *name, const char *dev, uint32_t hook, int prio)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();

	if (!chain) {
		t->err = -ENOMEM;
		return;
	}
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, t->table);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, prio);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	if (dev)
		nftnl_chain_set_str(chain, NFTNL_CHAIN_DEV, dev);
	nftnl_chain_nlmsg_build_payload(txn_msg(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL),
					chain);
	nftnl_chain_free(chain);
	txn_next(t);
}

/* A rule under construction; expr_*() append to it. */
struct rule {
	struct nftnl_rule *r;
	struct txn *t;
};

static struct nftnl_expr *expr(struct rule *rule, const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		rule->t->err = -ENOMEM;
	else
		nftnl_rule_add_expr(rule->r, e);
	return e;
}

static void expr_meta(struct rule *rule, uint32_t key)
{
	struct nftnl_expr *e = expr(rule, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void expr_payload(struct rule *rule, uint32_t base, uint32_t offset, uint32_t len,
			 uint32_t dreg)
{
	struct nftnl_expr *e = expr(rule, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, dreg);
}

static void expr_cmp_op(struct rule *rule, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *e = expr(rule, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
}

static void expr_cmp(struct rule *rule, const void *data, uint32_t len)
{
	expr_cmp_op(rule, NFT_CMP_EQ, data, len);
}

static void expr_mask16(struct rule *rule, uint16_t mask)
{
	struct nftnl_expr *e = expr(rule, "bitwise");
	uint16_t mask_be = htons(mask), zero = 0;

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, sizeof(mask_be));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &mask_be, sizeof(mask_be));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof(zero));
}

/* Writes a register over bytes of the network header; ip_csum: they are part of IPv4's checksum. */
static void expr_write(struct rule *rule, uint32_t offset, uint32_t len, int ip_csum)
{
	struct nftnl_expr *e = expr(rule, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	if (!ip_csum)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, 10);
}

static void expr_saddr_is_local(struct rule *rule)
{
	struct nftnl_expr *e = expr(rule, "fib");
	uint32_t local = RTN_LOCAL;

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
	expr_cmp(rule, &local, sizeof(local));
}

/* Of the socket that the packet is for; no socket ends the rule. */
static void expr_socket_mark(struct rule *rule, uint32_t mark)
{
	struct nftnl_expr *e = expr(rule, "socket");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_SOCKET_DREG, NFT_REG_1);
	expr_cmp(rule, &mark, sizeof(mark));
}

static void expr_log(struct rule *rule, uint16_t group)
{
	struct nftnl_expr *e = expr(rule, "log");

	if (!e)
		return;
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, 0xffff);
}

static void expr_lookup(struct rule *rule, const char *set, uint32_t set_id)
{
	struct nftnl_expr *e = expr(rule, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG32_00);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, set_id);
}

static void expr_verdict(struct rule *rule, uint32_t verdict)
{
	struct nftnl_expr *e = expr(rule, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
}

static void expr_fwd(struct rule *rule, uint32_t ifindex)
{
	struct nftnl_expr *imm = expr(rule, "immediate");
	struct nftnl_expr *fwd = expr(rule, "fwd");

	if (!imm || !fwd)
		return;
	nftnl_expr_set_u32(imm, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(imm, NFTNL_EXPR_IMM_DATA, &ifindex, sizeof(ifindex));
	nftnl_expr_set_u32(fwd, NFTNL_EXPR_FWD_SREG_DEV, NFT_REG_1);
}

static int rule_start(struct rule *rule, struct txn *t, const char *chain)
{
	rule->t = t;
	rule->r = nftnl_rule_alloc();
	if (!rule->r) {
		t->err = -ENOMEM;
		return -ENOMEM;
	}
	nftnl_rule_set_str(rule->r, NFTNL_RULE_TABLE, t->table);
	nftnl_rule_set_str(rule->r, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u32(rule->r, NFTNL_RULE_FAMILY, t->family);
	return 0;
}

static void rule_end(struct rule *rule)
{
	struct txn *t = rule->t;

	nftnl_rule_nlmsg_build_payload(txn_msg(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND),
				       rule->r);
	nftnl_rule_free(rule->r);
	txn_next(t);
}

/* Puts saddr . sport . daddr . dport into registers and looks them up. */
static void expr_tuple(struct rule *rule, int v6, const char *set, uint32_t set_id)
{
	uint32_t addr = v6 ? 16 : 4, saddr_at = v6 ? 8 : 12;
	uint32_t reg = NFT_REG32_00;

	expr_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, saddr_at, addr, reg);
	reg += addr / 4;
	expr_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, reg);
	reg += 1;
	expr_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, saddr_at + addr, addr, reg);
	reg += addr / 4;
	expr_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg);
	expr_lookup(rule, set, set_id);
}

static void expr_is_tcp(struct rule *rule)
{
	uint8_t tcp = IPPROTO_TCP;

	expr_meta(rule, NFT_META_L4PROTO);
	expr_cmp(rule, &tcp, sizeof(tcp));
}

static void expr_no_fragment(struct rule *rule, int v6)
{
	uint8_t fragment_header = IPPROTO_FRAGMENT;
	uint16_t zero = 0;

	if (v6) {
		expr_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 6, 1, NFT_REG_1);
		expr_cmp_op(rule, NFT_CMP_NEQ, &fragment_header, sizeof(fragment_header));
		return;
	}
	/* Neither "more fragments" nor an offset. */
	expr_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 6, 2, NFT_REG_1);
	expr_mask16(rule, 0x3fff);
	expr_cmp(rule, &zero, sizeof(zero));
}

static void put_flow_rule(struct txn *t, const char *chain, int v6, uint32_t tap_ifindex)
{
	uint16_t ether_be = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
	struct rule rule;

	if (rule_start(&rule, t, chain))
		return;
	expr_meta(&rule, NFT_META_PROTOCOL);
	expr_cmp(&rule, &ether_be, sizeof(ether_be));
	expr_is_tcp(&rule);
	expr_no_fragment(&rule, v6);
	expr_tuple(&rule, v6, v6 ? "flows6" : "flows4", v6 ? 2 : 1);
	expr_fwd(&rule, tap_ifindex);
	rule_end(&rule);
}

static void put_tap_rules(struct txn *t, const char *chain, const struct steer_port *port)
{
	struct rule rule;

	if (rule_start(&rule, t, chain))
		return;
	expr_payload(&rule, NFT_PAYLOAD_LL_HEADER, 0, 6, NFT_REG_1);
	expr_cmp(&rule, port->mac, sizeof(port->mac));
	expr_verdict(&rule, NF_ACCEPT);
	rule_end(&rule);
	if (rule_start(&rule, t, chain))
		return;
	expr_fwd(&rule, port->ifindex);
	rule_end(&rule);
}

static void put_quiet_rule(struct txn *t, int v6)
{
	uint8_t nfproto = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	struct rule rule;

	if (rule_start(&rule, t, "output"))
		return;
	expr_meta(&rule, NFT_META_NFPROTO);
	expr_cmp(&rule, &nfproto, sizeof(nfproto));
	expr_is_tcp(&rule);
	expr_tuple(&rule, v6, v6 ? "quiet6" : "quiet4", v6 ? 4 : 3);
	expr_verdict(&rule, NF_DROP);
	rule_end(&rule);
}

/* The first interface's chains have no number. */
static void put_port(struct txn *t, unsigned int i, const struct steer_port *port)
{
	char ingress[16] = "ingress", tap[16] = "tap";

	if (i) {
		snprintf(ingress, sizeof(ingress), "ingress%u", i);
		snprintf(tap, sizeof(tap), "tap%u", i);
	}
	put_chain(t, ingress, port->ifname, NF_NETDEV_INGRESS, PRIO_INGRESS);
	put_chain(t, tap, port->tap, NF_NETDEV_INGRESS, PRIO_INGRESS);
	put_flow_rule(t, ingress, 0, port->tap_ifindex);
	put_flow_rule(t, ingress, 1, port->tap_ifindex);
	put_tap_rules(t, tap, port);
}

static void put_netdev_table(struct txn *t, const struct steer *st)
{
	t->family = NFPROTO_NETDEV;
	put_table(t, 1);
	put_set(t, "flows4", 1, TYPE_ADDR4, STEER_KEY4_BYTES);
	put_set(t, "flows6", 2, TYPE_ADDR6, STEER_KEY6_BYTES);
	for (unsigned int i = 0; i < st->port_count; i++)
		put_port(t, i, &st->ports[i]);
}

static void put_inet_table(struct txn *t)
{
	t->family = NFPROTO_INET;
	put_table(t, 1);
	put_set(t, "quiet4", 3, TYPE_ADDR4, STEER_KEY4_BYTES);
	put_set(t, "quiet6", 4, TYPE_ADDR6, STEER_KEY6_BYTES);
	put_chain(t, "output", NULL, NF_INET_LOCAL_OUT, PRIO_QUIET);
	put_quiet_rule(t, 0);
	put_quiet_rule(t, 1);
}

/* Collects the answers to a batch that has been sent: 0, or the first error among them. */
static int collect(struct steer *st, uint32_t first_seq, uint32_t last_seq)
{
	char buf[8192];
	int err = 0, answers = 0;

	/* nfnetlink handles a batch inside sendto(): every answer waits already. */
	for (;;) {
		ssize_t len = recv(mnl_socket_get_fd(st->nl), buf, sizeof(buf), MSG_DONTWAIT);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		int left = (int)len;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno != EAGAIN)
			return -errno;
		if (len <= 0)
			break;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR ||
			    nlh->nlmsg_seq - first_seq > last_seq - first_seq)
				continue;
			answers++;
			if (e->error && !err)
				err = e->error;
		}
	}
	return err || answers ? err : -EPROTO;
}

int steer_nft_run(struct steer *st, const void *batch, size_t bytes, uint32_t last_seq)
{
	uint32_t first_seq = st->seq;

	st->seq = last_seq;
	while (mnl_socket_sendto(st->nl, batch, bytes) < 0)
		if (errno != EINTR)
			return -errno;
	return collect(st, first_seq, last_seq);
}

/* Wraps what fill() puts into one transaction and runs it. */
static int run_txn(struct steer *st, void (*fill)(struct txn *t, const struct steer *st))
{
	char *buf = malloc(BATCH_BYTES + MSG_ROOM_BYTES);
	struct txn t = { .table = st->table, .seq = ++st->seq };
	int err;

	if (!buf)
		return -ENOMEM;
	t.batch = mnl_nlmsg_batch_start(buf, BATCH_BYTES);
	if (!t.batch) {
		free(buf);
		return -ENOMEM;
	}
	nftnl_batch_begin(mnl_nlmsg_batch_current(t.batch), t.seq);
	txn_next(&t);
	fill(&t, st);
	nftnl_batch_end(mnl_nlmsg_batch_current(t.batch), t.seq + 1);
	txn_next(&t);
	err = t.err;
	if (!err)
		err = steer_nft_run(st, mnl_nlmsg_batch_head(t.batch),
				    mnl_nlmsg_batch_size(t.batch), t.seq);
	mnl_nlmsg_batch_stop(t.batch);
	free(buf);
	return err;
}

static void fill_install(struct txn *t, const struct steer *st)
{
	put_netdev_table(t, st);
	put_inet_table(t);
}

/* ---- what a kernel may lack ---- */

/* Fragments get the identification of their datagram after this hook. */
static void fill_ids4(struct txn *t, const struct steer *st)
{
	uint8_t nfproto = NFPROTO_IPV4;
	uint16_t zero = 0;
	struct rule rule;

	(void)st;
	t->family = NFPROTO_INET;
	if (rule_start(&rule, t, "output"))
		return;
	expr_meta(&rule, NFT_META_NFPROTO);
	expr_cmp(&rule, &nfproto, sizeof(nfproto));
	expr_payload(&rule, NFT_PAYLOAD_NETWORK_HEADER, 6, 2, NFT_REG_1);
	expr_mask16(&rule, 0x4000);
	expr_cmp(&rule, &zero, sizeof(zero));
	expr_payload(&rule, NFT_PAYLOAD_NETWORK_HEADER, 4, 2, NFT_REG_1);
	expr_mask16(&rule, 0x7fff);
	expr_write(&rule, 4, 2, 1);
	rule_end(&rule);
}

/* IPv6 numbers fragments behind every IP hook; forwarded ones keep theirs. */
static void put_ids6(struct txn *t, const char *chain, const struct steer_port *port)
{
	uint16_t ether_be = htons(ETH_P_IPV6);
	uint8_t fragment_header = IPPROTO_FRAGMENT;
	struct rule rule;

	put_chain(t, chain, port->ifname, NF_NETDEV_EGRESS, PRIO_INGRESS);
	if (rule_start(&rule, t, chain))
		return;
	expr_meta(&rule, NFT_META_PROTOCOL);
	expr_cmp(&rule, &ether_be, sizeof(ether_be));
	expr_payload(&rule, NFT_PAYLOAD_NETWORK_HEADER, 6, 1, NFT_REG_1);
	expr_cmp(&rule, &fragment_header, sizeof(fragment_header));
	expr_saddr_is_local(&rule);
	expr_payload(&rule, NFT_PAYLOAD_NETWORK_HEADER, 44, 2, NFT_REG_1);
	expr_mask16(&rule, 0x7fff);
	expr_write(&rule, 44, 2, 0);
	rule_end(&rule);
}

static void fill_ids6(struct txn *t, const struct steer *st)
{
	char chain[24];

	t->family = NFPROTO_NETDEV;
	for (unsigned int i = 0; i < st->port_count; i++) {
		snprintf(chain, sizeof(chain), "egress%u", i);
		put_ids6(t, chain, &st->ports[i]);
	}
}

/*
 * The kernel reassembles IPv6 behind the input hook, unless something in its namespace asks for it
 * before routing: an expression for transparent proxies does, and needs no conntrack for it. The
 * rule itself never matches: what is reassembled has no fragment header.
 */
static void put_defrag6_rule(struct txn *t)
{
	uint8_t nfproto = NFPROTO_IPV6, tcp = IPPROTO_TCP, fragment_header = IPPROTO_FRAGMENT;
	struct nftnl_expr *tproxy;
	struct rule rule;

	put_chain(t, "defrag", NULL, NF_INET_PRE_ROUTING, 0);
	if (rule_start(&rule, t, "defrag"))
		return;
	expr_meta(&rule, NFT_META_NFPROTO);
	expr_cmp(&rule, &nfproto, sizeof(nfproto));
	expr_payload(&rule, NFT_PAYLOAD_NETWORK_HEADER, 6, 1, NFT_REG_1);
	expr_cmp(&rule, &fragment_header, sizeof(fragment_header));
	expr_meta(&rule, NFT_META_L4PROTO);
	expr_cmp(&rule, &tcp, sizeof(tcp));
	tproxy = expr(&rule, "tproxy");
	if (tproxy) {
		nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_FAMILY, NFPROTO_IPV6);
		nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_1);
	}
	rule_end(&rule);
}

static void fill_defrag6(struct txn *t, const struct steer *st)
{
	(void)st;
	t->family = NFPROTO_INET;
	put_defrag6_rule(t);
}

static void fill_parked(struct txn *t, const struct steer *st)
{
	struct rule rule;

	t->family = NFPROTO_INET;
	put_chain(t, "input", NULL, NF_INET_LOCAL_IN, 0);
	if (rule_start(&rule, t, "input"))
		return;
	expr_is_tcp(&rule);
	expr_socket_mark(&rule, steer_parked_mark(st));
	expr_log(&rule, steer_parked_group(st));
	rule_end(&rule);
}

void steer_nft_install_extras(struct steer *st)
{
	int err4 = run_txn(st, fill_ids4), err6 = run_txn(st, fill_ids6), err;

	st->logs_parked = 1;
	err = run_txn(st, fill_parked);
	if (err)
		st->logs_parked = 0;
	else if (run_txn(st, fill_defrag6))
		log_warn("IPv6 fragments of offloaded connections are lost without conntrack");
	if (err4 || err6)
		log_warn("identifications of the kernel's fragments are left alone: %s",
			 strerror(err4 ? -err4 : -err6));
}

static void fill_remove(struct txn *t, const struct steer *st)
{
	(void)st;
	t->family = NFPROTO_NETDEV;
	put_table(t, 0);
	t->family = NFPROTO_INET;
	put_table(t, 0);
}

int steer_nft_install(struct steer *st, char *why, size_t why_size)
{
	int err = run_txn(st, fill_install);

	switch (err) {
	case 0:
		return 0;
	case -EEXIST:
	case -EPERM:
		return steer_refuse(err, why, why_size,
				    "nftables table \"%s\" cannot be made: %s (does another "
				    "process steer this interface?)",
				    st->table, strerror(-err));
	case -EOPNOTSUPP:
	case -EAFNOSUPPORT:
	case -ENOENT:
		return steer_refuse(err, why, why_size,
				    "the kernel lacks nf_tables netdev ingress chains, nft fwd or "
				    "owned tables (5.12): %s",
				    strerror(-err));
	default:
		return steer_refuse(err, why, why_size, "nftables table \"%s\": %s", st->table,
				    strerror(-err));
	}
}

int steer_nft_remove(struct steer *st)
{
	return run_txn(st, fill_remove);
}
