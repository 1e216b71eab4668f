/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything in a VLAN: the VLAN driver above every adapter, tags on the simulated wire as the
 * host's frames carry them. Field case P-04.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "nic/nic_sim_frame.h"
#include "req.h"
#include "sim_case.h"

enum {
	BYTES = 200000,
	ID = 100,
	PRIORITY = 5,
	ETHERTYPE_VLAN = 0x8100,
};

/* What the frames of connections looked like, from both ends. */
static struct {
	uint64_t frames, untagged, other_id, other_priority, cfi;
	uint16_t id, priority;
} seen;

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void look(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		 const struct nic_sim_packet *packet)
{
	uint32_t tci;

	(void)ctx;
	(void)node;
	if (fate != NIC_SIM_SENT)
		return;
	seen.frames++;
	if (get16(packet->data + 12) != ETHERTYPE_VLAN) {
		seen.untagged++;
		return;
	}
	tci = get16(packet->data + 14);
	seen.other_id += (tci & 0xfff) != seen.id;
	seen.other_priority += tci >> 13 != seen.priority;
	seen.cfi += (tci & 0x1000) != 0;
}

static void begin(struct sim_case *c, uint64_t seed, uint16_t id, uint8_t priority, bool gro)
{
	struct sim_config config;

	sim_config_default(&config, seed);
	config.vlan = true;
	config.vlan_id = id;
	config.vlan_priority = priority;
	config.gro = config.tso = gro;
	config.plain_receive = true;
	config.passthru = (unsigned int)(seed % 2);
	case_begin(c, &config);
	memset(&seen, 0, sizeof(seen));
	seen.id = id;
	seen.priority = priority;
	c->world->watch = look;
	case_plain(c, seed & 1 ? SIM_V6 : SIM_V4);
}

static void transfer(struct sim_case *c)
{
	sim_sock_send(c->host, BYTES);
	sim_sock_send(c->peer, BYTES);
	sim_world_run_for(c->world, 1500);
	case_move(c, SIM_TARGET);
	sim_world_run_for(c->world, 1500);
	case_move(c, SIM_KERNEL);
	case_move(c, SIM_TARGET);
	CASE_WAIT(c, case_all_read, 60 * CASE_S);
}

static void tagged(uint64_t seed, uint16_t id, uint8_t priority)
{
	struct sim_case c;

	begin(&c, seed, id, priority, seed % 3);
	transfer(&c);
	CASE(&c, c.world->counts.retransmits == 0);
	case_close(&c);
	CASE(&c, seen.frames > 100 && seen.untagged == 0);
	CASE(&c, seen.other_id == 0 && seen.other_priority == 0);
	CASE_REQ(&c, "VLN-13", seen.cfi == 0);
	case_end(&c);
}

static void test_vlan(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 20; seed++)
		tagged(seed, ID, PRIORITY);
	tagged(21, ID, 0);
	tagged(22, ID, 0);
	req_passed("VLN-12");
	req_passed("VLN-03");
}

/* VLAN 0 with a priority: a priority tag. */
static void test_priority_tag(void **state)
{
	(void)state;
	tagged(1, 0, PRIORITY);
	tagged(2, 0, PRIORITY);
	req_passed("VLN-11");
}

/* VLAN 0 without priority: no tag at all. */
static void test_no_tag(void **state)
{
	struct sim_case c;

	(void)state;
	begin(&c, 2, 0, 0, true);
	c.world->config.vlan = false; /* what the simulated kernel answers after the end */
	transfer(&c);
	case_close(&c);
	CASE_REQ(&c, "VLN-10", seen.frames > 100 && seen.untagged == seen.frames);
	case_end(&c);
}

/* A segment with the right numbers and wrong bytes, of another VLAN or of none: nobody takes it. */
static uint64_t injected;

static void inject_foreign(struct sim_case *c, const struct nic_sim_packet *packet,
			   const struct nic_sim_view *view, uint32_t id)
{
	uint8_t copy[2048];
	struct nic_sim_view own;
	struct nic_rx_frame frame = { .data = copy, .len = packet->len };

	if (packet->len > sizeof(copy))
		return;
	memcpy(copy, packet->data, packet->len);
	if (id) {
		copy[14] = (uint8_t)((copy[14] & 0xf0) | id >> 8);
		copy[15] = (uint8_t)id;
	} else {
		memmove(copy + 12, copy + 16, packet->len - 16);
		frame.len -= 4;
	}
	memset(copy + view->payload - (id ? 0 : 4), 0xee, view->payload_len);
	assert_true(nic_sim_view(copy, frame.len, &own));
	nic_sim_csum_fill(copy, &own);
	injected += nic_sim_inject(c->world->bindings[SIM_TARGET].nic, &frame) == 0;
}

static void spoil(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		  const struct nic_sim_packet *packet)
{
	struct sim_case *c = ctx;
	struct nic_sim_view view;

	if (fate != NIC_SIM_SENT || node != nic_sim_node(c->world->bindings[SIM_PEER].nic) ||
	    !nic_sim_view(packet->data, packet->len, &view) || view.payload_len == 0)
		return;
	inject_foreign(c, packet, &view, injected % 2 ? ID + 1 : 0);
}

static void test_other_vlans_are_dropped(void **state)
{
	struct sim_case c;

	(void)state;
	begin(&c, 4, ID, PRIORITY, false);
	case_move(&c, SIM_TARGET);
	injected = 0;
	c.world->watch = spoil;
	c.world->watch_ctx = &c;
	sim_sock_send(c.peer, BYTES);
	CASE_WAIT(&c, case_all_read, 60 * CASE_S);
	c.world->watch = NULL;
	/* Each came before the right one; every byte was right all the same. */
	CASE_REQ(&c, "VLN-15", injected > 100 && c.world->counts.retransmits == 0);
	case_close(&c);
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_priority_tag),
		cmocka_unit_test(test_no_tag),
		cmocka_unit_test(test_other_vlans_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
