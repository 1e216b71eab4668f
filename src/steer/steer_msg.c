/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout of one element message:
 *
 *   nlmsghdr | nfgenmsg | TABLE | SET | ELEMENTS { ELEM { KEY { VALUE key } } ... }
 *   '--------------- prefix, copied ---------------'  '-- stamp, copied, key patched --'
 *
 * Only four numbers of the prefix change per batch: message length, type, sequence number and the
 * length of the ELEMENTS attribute.
 */
#include "steer/steer_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#define STAMP_HEAD_BYTES (3u * sizeof(struct nlattr))
#define PREFIX_MAX_BYTES 160u
#define BRACKET_BYTES    (MNL_NLMSG_HDRLEN + (unsigned)sizeof(struct nfgenmsg))
#define BATCH_MAX_BYTES                                                                            \
	(2u * BRACKET_BYTES + 2u * PREFIX_MAX_BYTES +                                              \
	 STEER_BATCH_FLOWS * (STAMP_HEAD_BYTES + STEER_KEY6_BYTES))

/* The ELEMENTS attribute has a 16-bit length. */
_Static_assert(STEER_BATCH_FLOWS *(STAMP_HEAD_BYTES + STEER_KEY6_BYTES) + 4u <= 0xffffu,
	       "a full batch must fit one attribute");

struct template
{
	uint8_t prefix[PREFIX_MAX_BYTES] __attribute__((aligned(4)));
	uint32_t prefix_len;
	uint32_t elements_at; /* offset of the ELEMENTS attribute in prefix */
	uint32_t key_len;
	uint8_t stamp_head[STAMP_HEAD_BYTES] __attribute__((aligned(4)));
};

struct steer_msg {
	enum steer_dir dir;
	struct template t4, t6;
	uint8_t begin[BRACKET_BYTES] __attribute__((aligned(4)));
	uint8_t end[BRACKET_BYTES] __attribute__((aligned(4)));
	uint8_t out[BATCH_MAX_BYTES] __attribute__((aligned(4)));
};

static void put_nfgen(struct nlmsghdr *nlh, uint8_t family, uint16_t res_id)
{
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
}

static void make_bracket(uint8_t *buf, uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	put_nfgen(nlh, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

static void make_stamp(struct template *t)
{
	struct nlattr attr[3];
	uint16_t value_len = (uint16_t)(sizeof(struct nlattr) + t->key_len);

	attr[0].nla_type = NFTA_LIST_ELEM | NLA_F_NESTED;
	attr[0].nla_len = (uint16_t)(value_len + 2 * sizeof(struct nlattr));
	attr[1].nla_type = NFTA_SET_ELEM_KEY | NLA_F_NESTED;
	attr[1].nla_len = (uint16_t)(value_len + sizeof(struct nlattr));
	attr[2].nla_type = NFTA_DATA_VALUE;
	attr[2].nla_len = value_len;
	memcpy(t->stamp_head, attr, sizeof(attr));
}

static void make_template(struct template *t, const struct steer_msg_set *set, const char *name,
			  uint32_t key_len)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(t->prefix);
	struct nlattr *elements;

	put_nfgen(nlh, set->nfproto, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, name);
	elements = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	t->elements_at = (uint32_t)((uint8_t *)elements - t->prefix);
	t->prefix_len = nlh->nlmsg_len;
	t->key_len = key_len;
	make_stamp(t);
}

struct steer_msg *steer_msg_new(const struct steer_msg_set *set)
{
	struct steer_msg *msg = calloc(1, sizeof(*msg));

	if (!msg)
		return NULL;
	msg->dir = set->dir;
	make_bracket(msg->begin, NFNL_MSG_BATCH_BEGIN);
	make_bracket(msg->end, NFNL_MSG_BATCH_END);
	make_template(&msg->t4, set, set->set4, STEER_KEY4_BYTES);
	make_template(&msg->t6, set, set->set6, STEER_KEY6_BYTES);
	return msg;
}

void steer_msg_free(struct steer_msg *msg)
{
	free(msg);
}

int steer_msg_key(const struct steer_flow *flow, enum steer_dir dir, uint8_t key[STEER_KEY6_BYTES])
{
	size_t addr_len = flow->family == AF_INET ? 4 : 16;
	int in = dir == STEER_DIR_IN;

	if (flow->family != AF_INET && flow->family != AF_INET6)
		return -EINVAL;
	memset(key, 0, 2 * addr_len + 8);
	memcpy(key, in ? flow->remote : flow->local, addr_len);
	memcpy(key + addr_len, in ? &flow->remote_port_be : &flow->local_port_be, 2);
	memcpy(key + addr_len + 4, in ? flow->local : flow->remote, addr_len);
	memcpy(key + 2 * addr_len + 4, in ? &flow->local_port_be : &flow->remote_port_be, 2);
	return (int)(2 * addr_len + 8);
}

static uint8_t *put_bracket(uint8_t *at, const uint8_t *bracket, uint32_t seq)
{
	memcpy(at, bracket, BRACKET_BYTES);
	((struct nlmsghdr *)at)->nlmsg_seq = seq;
	return at + BRACKET_BYTES;
}

/* One message for the flows of one family; *seq counts it when there are any. */
static uint8_t *put_elements(struct steer_msg *msg, uint8_t *at, const struct template *t,
			     uint8_t family, int add, const struct steer_flow *flows,
			     unsigned count, uint32_t *seq)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)at;
	uint8_t *start = at;
	unsigned i;

	memcpy(at, t->prefix, t->prefix_len);
	at += t->prefix_len;
	for (i = 0; i < count; i++) {
		if (flows[i].family != family)
			continue;
		memcpy(at, t->stamp_head, STAMP_HEAD_BYTES);
		(void)steer_msg_key(&flows[i], msg->dir, at + STAMP_HEAD_BYTES);
		at += STAMP_HEAD_BYTES + t->key_len;
	}
	if (at == start + t->prefix_len)
		return start;
	((struct nlattr *)(start + t->elements_at))->nla_len =
		(uint16_t)(at - (start + t->elements_at));
	nlh->nlmsg_len = (uint32_t)(at - start);
	nlh->nlmsg_type =
		(NFNL_SUBSYS_NFTABLES << 8) | (add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
	/* EXCL: a flow that is there already belongs to somebody else's connection. */
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	nlh->nlmsg_seq = ++*seq;
	return at;
}

int steer_msg_build(struct steer_msg *msg, int add, const struct steer_flow *flows, unsigned count,
		    uint32_t seq, const void **out, unsigned *acks)
{
	uint32_t last = seq;
	uint8_t *at;
	unsigned i;

	if (count > STEER_BATCH_FLOWS)
		return -EINVAL;
	for (i = 0; i < count; i++)
		if (flows[i].family != AF_INET && flows[i].family != AF_INET6)
			return -EINVAL;
	at = put_bracket(msg->out, msg->begin, seq);
	at = put_elements(msg, at, &msg->t4, AF_INET, add, flows, count, &last);
	at = put_elements(msg, at, &msg->t6, AF_INET6, add, flows, count, &last);
	*acks = last - seq;
	at = put_bracket(at, msg->end, last + 1);
	*out = msg->out;
	return (int)(at - msg->out);
}
