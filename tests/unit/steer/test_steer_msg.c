/* SPDX-License-Identifier: BSD-2-Clause */
/* The prepared messages, taken apart again by libmnl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "steer/steer_msg.h"

static const struct steer_msg_set in_set = { .nfproto = NFPROTO_NETDEV,
					     .dir = STEER_DIR_IN,
					     .table = "chimney-eth0",
					     .set4 = "flows4",
					     .set6 = "flows6" };

static struct steer_flow flow4(uint8_t last, uint16_t port)
{
	struct steer_flow f = { .family = AF_INET,
				.local = { 10, 0, 0, 1 },
				.remote = { 10, 0, 0, last },
				.local_port_be = htons(443),
				.remote_port_be = htons(port) };

	return f;
}

static struct steer_flow flow6(uint8_t last, uint16_t port)
{
	struct steer_flow f = { .family = AF_INET6,
				.local = { 0xfd, [15] = 1 },
				.remote = { 0xfd, [15] = last },
				.local_port_be = htons(443),
				.remote_port_be = htons(port) };

	return f;
}

static void keys_are_source_first(void **state)
{
	static const uint8_t in4[16] = { 10, 0, 0, 9, 0x13, 0x88, 0, 0, 10, 0, 0, 1, 1, 0xbb };
	static const uint8_t out4[16] = { 10, 0, 0, 1, 1, 0xbb, 0, 0, 10, 0, 0, 9, 0x13, 0x88 };
	struct steer_flow f4 = flow4(9, 5000), f6 = flow6(9, 5000), bad = { .family = AF_UNIX };
	uint8_t key[STEER_KEY6_BYTES];

	(void)state;
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(steer_msg_key(&f4, STEER_DIR_IN, key), STEER_KEY4_BYTES);
	assert_memory_equal(key, in4, sizeof(in4));
	assert_int_equal(steer_msg_key(&f4, STEER_DIR_OUT, key), STEER_KEY4_BYTES);
	assert_memory_equal(key, out4, sizeof(out4));
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(steer_msg_key(&f6, STEER_DIR_IN, key), STEER_KEY6_BYTES);
	assert_memory_equal(key, f6.remote, 16);
	assert_memory_equal(key + 16, "\x13\x88\0\0", 4);
	assert_memory_equal(key + 20, f6.local, 16);
	assert_memory_equal(key + 36, "\x01\xbb\0\0", 4);
	assert_int_equal(steer_msg_key(&bad, STEER_DIR_IN, key), -EINVAL);
}

struct seen {
	unsigned messages, elements4, elements6;
	uint16_t types[4], flags[4];
	uint32_t seqs[4];
	uint8_t last_key[STEER_KEY6_BYTES];
};

static void take_elements(const struct nlattr *list, bool v6, struct seen *s)
{
	const struct nlattr *elem, *key, *value;

	mnl_attr_for_each_nested(elem, list)
	{
		assert_int_equal(mnl_attr_get_type(elem), NFTA_LIST_ELEM);
		key = mnl_attr_get_payload(elem);
		assert_int_equal(mnl_attr_get_type(key), NFTA_SET_ELEM_KEY);
		assert_int_equal(mnl_attr_get_len(key), mnl_attr_get_payload_len(elem));
		value = mnl_attr_get_payload(key);
		assert_int_equal(mnl_attr_get_type(value), NFTA_DATA_VALUE);
		assert_int_equal(mnl_attr_get_payload_len(value),
				 v6 ? STEER_KEY6_BYTES : STEER_KEY4_BYTES);
		memcpy(s->last_key, mnl_attr_get_payload(value), mnl_attr_get_payload_len(value));
		*(v6 ? &s->elements6 : &s->elements4) += 1;
	}
}

static void take_message(const struct nlmsghdr *nlh, struct seen *s)
{
	const struct nlattr *attr;
	bool v6 = false;

	s->types[s->messages] = nlh->nlmsg_type;
	s->flags[s->messages] = nlh->nlmsg_flags;
	s->seqs[s->messages++] = nlh->nlmsg_seq;
	if (nlh->nlmsg_type == NFNL_MSG_BATCH_BEGIN || nlh->nlmsg_type == NFNL_MSG_BATCH_END)
		return;
	assert_int_equal(((struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family,
			 NFPROTO_NETDEV);
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(attr)) {
		case NFTA_SET_ELEM_LIST_TABLE:
			assert_string_equal(mnl_attr_get_str(attr), "chimney-eth0");
			break;
		case NFTA_SET_ELEM_LIST_SET:
			v6 = !strcmp(mnl_attr_get_str(attr), "flows6");
			break;
		case NFTA_SET_ELEM_LIST_ELEMENTS:
			take_elements(attr, v6, s);
			break;
		default:
			fail();
		}
	}
}

static struct seen take_apart(const void *batch, int bytes)
{
	const struct nlmsghdr *nlh = batch;
	struct seen s = { 0 };

	for (; mnl_nlmsg_ok(nlh, bytes); nlh = mnl_nlmsg_next(nlh, &bytes)) {
		assert_true(s.messages < 4);
		take_message(nlh, &s);
	}
	assert_int_equal(bytes, 0);
	return s;
}

static void one_flow_is_three_messages(void **state)
{
	struct steer_msg *msg = steer_msg_new(&in_set);
	struct steer_flow f = flow4(9, 5000);
	uint8_t key[STEER_KEY6_BYTES];
	const void *batch;
	unsigned acks;
	struct seen s;
	int add, bytes;

	(void)state;
	assert_non_null(msg);
	steer_msg_key(&f, STEER_DIR_IN, key);
	for (add = 0; add < 2; add++) {
		bytes = steer_msg_build(msg, add, &f, 1, 0xfffffffe, &batch, &acks);
		assert_true(bytes > 0);
		s = take_apart(batch, bytes);
		assert_int_equal(acks, 1);
		assert_int_equal(s.messages, 3);
		assert_int_equal(s.elements4, 1);
		assert_int_equal(s.types[0], NFNL_MSG_BATCH_BEGIN);
		assert_int_equal(s.types[1],
				 NFNL_SUBSYS_NFTABLES << 8 |
					 (add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM));
		assert_int_equal(!!(s.flags[1] & NLM_F_EXCL), add);
		assert_true(s.flags[1] & NLM_F_ACK);
		assert_int_equal(s.types[2], NFNL_MSG_BATCH_END);
		assert_int_equal(s.seqs[0], 0xfffffffe);
		assert_int_equal(s.seqs[1], 0xffffffff);
		assert_int_equal(s.seqs[2], 0); /* they wrap */
		assert_memory_equal(s.last_key, key, STEER_KEY4_BYTES);
	}
	steer_msg_free(msg);
}

static void a_full_batch_of_both_families(void **state)
{
	static struct steer_flow flows[STEER_BATCH_FLOWS + 1];
	struct steer_msg *msg = steer_msg_new(&in_set);
	const void *batch;
	unsigned acks, i;
	struct seen s;
	int bytes;

	(void)state;
	assert_non_null(msg);
	for (i = 0; i <= STEER_BATCH_FLOWS; i++)
		flows[i] = i % 3 ? flow6((uint8_t)i, (uint16_t)i) : flow4((uint8_t)i, (uint16_t)i);
	bytes = steer_msg_build(msg, 1, flows, STEER_BATCH_FLOWS, 7, &batch, &acks);
	assert_true(bytes > 0);
	s = take_apart(batch, bytes);
	assert_int_equal(acks, 2);
	assert_int_equal(s.messages, 4);
	assert_int_equal(s.elements4, (STEER_BATCH_FLOWS + 2) / 3);
	assert_int_equal(s.elements4 + s.elements6, STEER_BATCH_FLOWS);
	assert_int_equal(steer_msg_build(msg, 1, flows, STEER_BATCH_FLOWS + 1, 7, &batch, &acks),
			 -EINVAL);
	for (i = 0; i < STEER_BATCH_FLOWS; i++)
		flows[i] = flow6((uint8_t)i, (uint16_t)i);
	bytes = steer_msg_build(msg, 1, flows, STEER_BATCH_FLOWS, 7, &batch, &acks);
	s = take_apart(batch, bytes);
	assert_int_equal(s.elements6, STEER_BATCH_FLOWS);
	flows[500].family = 0;
	assert_int_equal(steer_msg_build(msg, 1, flows, STEER_BATCH_FLOWS, 7, &batch, &acks),
			 -EINVAL);
	steer_msg_free(msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_source_first),
		cmocka_unit_test(one_flow_is_three_messages),
		cmocka_unit_test(a_full_batch_of_both_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
