/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/sim_world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/pcap.h"
#include "ndis/nrt_verify.h"
#include "nic/nic_edge.h"
#include "sim/sim_host.h"
#include "sim/sim_im.h"
#include "sim/sim_sock.h"
#include "target/tgt_driver.h"

enum {
	/*
	 * Rounds at one point of virtual time before we believe that two parts of the world feed
	 * each other.
	 */
	ROUNDS_MAX = 100000,
	RCV_WINDOW_MAX = 8 << 20,
	POLL_BUDGET_ROUNDS = 1000,
};

/*
 * Names of adapters are known in the whole process. Worlds may be made by any thread, one at a
 * time.
 */
static unsigned int worlds_made;

static const char *const place_names[SIM_PLACES] = { "peer", "kernel", "target" };

const char *sim_place_name(enum sim_place place)
{
	return place_names[place];
}

void sim_config_default(struct sim_config *config, uint64_t seed)
{
	memset(config, 0, sizeof(*config));
	config->seed = seed;
	config->up.bits_per_s = config->down.bits_per_s = 1000000000ull;
	config->up.delay_us = config->down.delay_us = 100;
	config->up.queue_bytes = config->down.queue_bytes = 512 << 10;
	config->up.reorder_us = config->down.reorder_us = 500;
	config->mtu_bytes = 1500;
	config->tso = true;
	config->gro = true;
	config->rx_hold_us = 5;
	config->conns = 1;
}

uint64_t sim_world_now(const struct sim_world *world)
{
	return world->net.now_us;
}

void sim_note(struct sim_world *world, const char *fmt, ...)
{
	char text[SIM_TRACE_NOTE_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	sim_trace_note(&world->trace, world->net.now_us, "%s", text);
}

void sim_world_fail(struct sim_world *world, const char *fmt, ...)
{
	va_list args;

	if (world->failed)
		return;
	world->failed = true;
	va_start(args, fmt);
	vsnprintf(world->failure, sizeof(world->failure), fmt, args);
	va_end(args);
	sim_note(world, "FAILED: %s", world->failure);
}

/* Timers. */

void sim_timer_set(struct sim_world *world, struct sim_timer *timer, uint64_t at_us)
{
	struct sim_timer **at = &world->timers;

	sim_timer_cancel(world, timer);
	while (*at && (*at)->at_us <= at_us)
		at = &(*at)->next;
	timer->at_us = at_us;
	timer->active = true;
	timer->next = *at;
	*at = timer;
}

void sim_timer_cancel(struct sim_world *world, struct sim_timer *timer)
{
	struct sim_timer **at = &world->timers;

	if (!timer->active)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->active = false;
}

static bool timers_run(struct sim_world *world)
{
	bool any = false;

	while (world->timers && world->timers->at_us <= world->net.now_us) {
		struct sim_timer *timer = world->timers;

		world->timers = timer->next;
		timer->active = false;
		timer->fn(timer);
		any = true;
	}
	return any;
}

/* The wire. */

struct sim_conn *sim_world_conn_of(struct sim_world *world, const struct nic_sim_view *view,
				   enum sim_side *side)
{
	uint16_t peer_port = view->src_port == SIM_HOST_PORT ? view->dst_port : view->src_port;
	struct sim_conn *conn;

	if (view->src_port != SIM_HOST_PORT && view->dst_port != SIM_HOST_PORT)
		return NULL;
	if (peer_port < SIM_PEER_PORT || peer_port - SIM_PEER_PORT >= (int)world->conn_count)
		return NULL;
	conn = &world->conns[peer_port - SIM_PEER_PORT];
	if ((view->ip_version == 4) != (conn->family == SIM_V4))
		return NULL;
	*side = view->dst_port == SIM_HOST_PORT ? SIM_AT_HOST : SIM_AT_PEER;
	return conn;
}

struct sim_binding *sim_machine(struct sim_world *world, unsigned int index)
{
	if (index < SIM_PLACES)
		return &world->bindings[index];
	index -= SIM_PLACES;
	return index < world->spare_count ? &world->spares[index] : NULL;
}

static struct sim_binding *team_member(struct sim_world *world, unsigned int member)
{
	return member ? &world->spares[member - 1] : &world->bindings[SIM_TARGET];
}

static struct nic_sim_node *route(void *ctx, const struct nic_sim_packet *packet)
{
	struct sim_world *world = ctx;
	struct sim_binding *to = &world->bindings[SIM_KERNEL];
	struct nic_sim_view view;
	struct sim_conn *conn;
	enum sim_side side;

	if (nic_sim_view(packet->data, packet->len, &view)) {
		conn = sim_world_conn_of(world, &view, &side);
		if (conn && conn->steered)
			to = team_member(world, world->port ? world->port(world, conn) : 0);
	}
	return to->cut ? NULL : nic_sim_node(to->nic);
}

static struct nic_sim_node *route_nowhere(void *ctx, const struct nic_sim_packet *packet)
{
	(void)ctx;
	(void)packet;
	return NULL;
}

void sim_world_cable(struct sim_world *world, unsigned int member, bool plugged)
{
	struct sim_binding *binding = team_member(world, member);

	sim_note(world, "cable of %s: %s", binding->adapter_name, plugged ? "in" : "out");
	binding->cut = !plugged;
	nic_sim_connect(binding->nic, plugged ? &world->up.node : &world->nowhere.node);
	if (binding->adapter)
		tgt_adapter_link(binding->adapter, plugged);
}

static void capture(struct sim_world *world, const struct nic_sim_packet *packet)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)packet->data, .iov_len = packet->len };

	pcap_writer_frame(world->pcap, world->net.now_us * 1000, &iov, 1);
}

static void count_segment(struct sim_world *world, bool at_peer, enum nic_sim_fate fate,
			  const struct nic_sim_packet *packet)
{
	struct nic_sim_view view;
	struct sim_conn *conn;
	enum sim_side to;

	if (at_peer) {
		world->counts.segments++;
		world->counts.bytes += packet->len;
	}
	if (!nic_sim_view(packet->data, packet->len, &view))
		return;
	/* A flipped bit makes no reset. */
	if (at_peer && (view.flags & NIC_SIM_RST) && nic_sim_csum_ok(packet->data, &view)) {
		if (fate == NIC_SIM_SENT)
			world->counts.resets_from_peer++;
		else
			world->counts.resets_to_peer++;
	}
	conn = sim_world_conn_of(world, &view, &to);
	if (!conn || !conn->sock[to ^ 1])
		return;
	if (fate == NIC_SIM_SENT)
		sim_sock_sent_segment(conn->sock[to ^ 1], &view);
	else
		sim_sock_segment_arrived(conn->sock[to ^ 1], &view);
}

static void tap(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		const struct nic_sim_packet *packet)
{
	struct sim_world *world = ctx;
	bool at_peer = node == nic_sim_node(world->bindings[SIM_PEER].nic);

	sim_trace_frame(&world->trace, world->net.now_us, node->name, fate, packet);
	if (fate == NIC_SIM_SENT || fate == NIC_SIM_RECEIVED) {
		count_segment(world, at_peer, fate, packet);
		if (at_peer && world->pcap)
			capture(world, packet);
	}
	if (world->watch)
		world->watch(world->watch_ctx, node, fate, packet);
}

/* Time. */

static uint64_t adapter_due(const struct sim_binding *binding)
{
	uint64_t rx_us = nic_sim_rx_due_us(binding->nic);
	uint64_t own_us = binding->edge ? nic_edge_deadline_us(binding->edge)
					: tgt_adapter_next_deadline_us(binding->adapter);

	return rx_us < own_us ? rx_us : own_us;
}

static uint64_t next_deadline(struct sim_world *world)
{
	uint64_t next = nic_sim_net_next(&world->net);
	const struct sim_binding *machine;
	unsigned int i;

	for (i = 0; (machine = sim_machine(world, i)); i++) {
		uint64_t due = adapter_due(machine);

		if (due < next)
			next = due;
	}
	if (world->timers && world->timers->at_us < next)
		next = world->timers->at_us;
	if (sim_host_due(world->host))
		next = world->net.now_us;
	return next;
}

/* Everything that is due at this moment, once. True when something was done. */
static bool round_at(struct sim_world *world)
{
	uint64_t now_us = world->net.now_us;
	const struct sim_binding *machine;
	bool any = false;
	unsigned int i;

	if (nic_sim_net_next(&world->net) <= now_us) {
		nic_sim_net_run(&world->net, now_us);
		any = true;
	}
	for (i = 0; (machine = sim_machine(world, i)); i++) {
		if (adapter_due(machine) > now_us)
			continue;
		if (machine->edge)
			nic_edge_run(machine->edge, now_us);
		else
			tgt_adapter_run(machine->adapter, now_us);
		any = true;
	}
	any |= timers_run(world);
	any |= sim_host_run(world->host);
	return any;
}

static void check_targets(struct sim_world *world)
{
	const struct sim_binding *machine;
	const char *broken;
	unsigned int i;

	for (i = 0; (machine = sim_machine(world, i)); i++) {
		broken = machine->adapter ? tgt_hook_check(machine->adapter) : NULL;
		if (broken)
			sim_world_fail(world, "invariant of %s: %s", machine->adapter_name, broken);
	}
}

static void advance_to(struct sim_world *world, uint64_t now_us)
{
	const struct sim_binding *machine;
	unsigned int rounds = 0, i;

	nic_sim_net_run(&world->net, now_us);
	nrt_verify_time(world->net.now_us);
	for (i = 0; (machine = sim_machine(world, i)); i++) {
		if (machine->edge)
			nic_edge_set_now(machine->edge, world->net.now_us);
		else
			tgt_adapter_set_now(machine->adapter, world->net.now_us);
	}
	while (!world->failed && round_at(world)) {
		if (++rounds > ROUNDS_MAX)
			sim_world_fail(world, "no end of work at one point of time");
	}
	if (world->config.check_every > 0 && ++world->points % world->config.check_every == 0)
		check_targets(world);
}

bool sim_world_step(struct sim_world *world)
{
	uint64_t next = next_deadline(world);

	if (next == NIC_SIM_NEVER || world->failed)
		return false;
	advance_to(world, next);
	return !world->failed;
}

bool sim_world_run(struct sim_world *world, uint64_t end_us, bool (*done)(void *ctx), void *ctx)
{
	while (!world->failed) {
		if (done && done(ctx))
			return true;
		if (next_deadline(world) > end_us)
			break;
		sim_world_step(world);
	}
	return false;
}

void sim_world_run_for(struct sim_world *world, uint64_t us)
{
	uint64_t end_us = world->net.now_us + us;

	sim_world_run(world, end_us, NULL, NULL);
	if (!world->failed)
		advance_to(world, end_us);
}

/* Making it. */

static int indicate_from(struct sim_binding *binding, const struct nic_rx_frame *frame)
{
	sim_host_frame(binding, frame);
	return 0;
}

static int indicate(void *ctx, const struct nic_rx_frame *frame)
{
	return indicate_from(ctx, frame);
}

/* The peer is 1, kernel and T are 2 (they are one host), the other targets are numbered on. */
static uint8_t mac_number(const struct sim_binding *binding)
{
	if (binding->machine >= SIM_PLACES)
		return (uint8_t)(3 + binding->machine - SIM_PLACES);
	return binding->place == SIM_PEER ? 1 : 2;
}

static int make_nic(struct sim_world *world, struct sim_binding *binding)
{
	/* A loaded driver sends and gets frames as they are on the wire. */
	bool plain = binding->place == SIM_TARGET && world->config.target_module;
	struct nic_sim_config config = {
		.name = place_names[binding->place],
		.mac = { 2, 0, 0, 0, 0, mac_number(binding) },
		.mtu_bytes = world->config.mtu_bytes,
		.tso = world->config.tso && !plain,
		.tx_csum = world->config.tso && !plain,
		.rx_csum = world->config.gro && !plain,
		.gro = world->config.gro && !plain,
		.rx_hold_us = world->config.rx_hold_us,
		.tx_refuse_ppm = world->config.tx_refuse_ppm,
		.indicate = indicate,
		.indicate_ctx = binding,
	};

	return nic_sim_create(&binding->nic, &world->net, &config);
}

static void make_addresses(struct sim_binding *binding)
{
	uint8_t last = binding->place == SIM_PEER ? 1 : 2;
	const uint8_t ip4[4] = { 10, 99, 0, last };
	const uint8_t ip6[16] = { 0xfd, 0x99, [15] = last };

	memcpy(binding->address[SIM_V4], ip4, sizeof(ip4));
	memcpy(binding->address[SIM_V6], ip6, sizeof(ip6));
}

static uint32_t room_in(const struct sim_world *world, enum sim_place place)
{
	if (place == SIM_TARGET && world->config.target_conns > 0)
		return world->config.target_conns;
	return world->config.conns;
}

static int make_machine(struct sim_world *world, struct sim_binding *binding, enum sim_place place,
			unsigned int index)
{
	uint32_t conns = world->config.conns;
	struct tgt_adapter_config config = {
		.limits = {
			.tcp_entries = room_in(world, place),
			.path_entries = SIM_FAMILIES,
			.neighbor_entries = 1,
			.ip_addresses = SIM_FAMILIES,
			.hw_addresses = 1,
			.vlans = 1,
			.rcv_window_bytes = RCV_WINDOW_MAX,
			.path_mtu_bytes = 65535,
			.chunks = world->config.chunks ? world->config.chunks : 256 + conns * 256,
			.conn_send_bytes = 256 << 10,
			.conn_reasm_bytes = 1 << 20,
			.flow_catch_frames = 256 + conns * 192, /* a window of each */
		},
		.quick_acks = world->config.quick_acks,
		.cc_name = world->config.cc_name,
	};
	int err;

	binding->world = world;
	binding->place = place;
	binding->machine = index;
	binding->ops_tail = &binding->ops;
	binding->path_mtu_bytes[SIM_V4] = binding->path_mtu_bytes[SIM_V6] = world->config.mtu_bytes;
	make_addresses(binding);
	if (index < SIM_PLACES)
		snprintf(binding->adapter_name, sizeof(binding->adapter_name), "sim%u-%s",
			 world->number, place_names[place]);
	else
		snprintf(binding->adapter_name, sizeof(binding->adapter_name), "sim%u-%s%u",
			 world->number, place_names[place], index - SIM_PLACES + 2);
	snprintf(binding->bind_name, sizeof(binding->bind_name), "%s", binding->adapter_name);
	err = make_nic(world, binding);
	if (err)
		return err;
	config.nic = binding->nic;
	return sim_host_add_adapter(world->host, binding, &config);
}

static int make_machines(struct sim_world *world)
{
	int place, err = 0;

	for (place = 0; place < SIM_PLACES && err == 0; place++)
		err = make_machine(world, &world->bindings[place], place, (unsigned int)place);
	while (err == 0 && world->spare_count + 1 < world->config.team) {
		err = make_machine(world, &world->spares[world->spare_count], SIM_TARGET,
				   SIM_PLACES + world->spare_count);
		world->spare_count++;
	}
	return err;
}

static int make_bindings(struct sim_world *world)
{
	int err = make_machines(world);
	int place;

	if (err == 0)
		err = sim_im_insert(world);
	for (place = 0; place < SIM_PLACES && err == 0; place++)
		err = sim_host_bind(world->host, &world->bindings[place]);
	return err;
}

static void make_wire(struct sim_world *world)
{
	const struct sim_binding *machine;
	unsigned int i;

	nic_sim_switch_init(&world->sw, &world->net, "switch", route, world);
	nic_sim_link_init(&world->down, &world->net, "down", &world->sw.node, &world->config.down);
	nic_sim_link_init(&world->up, &world->net, "up",
			  nic_sim_node(world->bindings[SIM_PEER].nic), &world->config.up);
	nic_sim_switch_init(&world->nowhere, &world->net, "nowhere", route_nowhere, world);
	nic_sim_connect(world->bindings[SIM_PEER].nic, &world->down.node);
	for (i = SIM_KERNEL; (machine = sim_machine(world, i)); i++)
		nic_sim_connect(machine->nic, &world->up.node);
}

int sim_world_create(struct sim_world **out, const struct sim_config *config)
{
	struct sim_world *world;
	int err;

	if (config->conns == 0 || config->conns > SIM_CONNS_MAX || config->team > SIM_TEAM_MAX)
		return -EINVAL;
	world = calloc(1, sizeof(*world));
	if (!world)
		return -ENOMEM;
	world->config = *config;
	nrt_verify_enable(NRT_VERIFY_ABORT); /* every driver of every world, broken ones included */
	world->number = worlds_made++;
	nic_sim_net_init(&world->net, config->seed);
	/* The engine takes time zero for "never"; start well behind it. */
	world->net.now_us = 1000000;
	nic_sim_rng_seed(&world->rng, nic_sim_rng_next(&world->net.rng));
	sim_trace_init(&world->trace);
	world->trace.echo = config->echo;
	world->net.tap = tap;
	world->net.tap_ctx = world;
	err = config->pcap_path ? pcap_writer_open(&world->pcap, config->pcap_path) : 0;
	if (err == 0)
		err = sim_host_create(&world->host, world);
	if (err == 0)
		err = make_bindings(world);
	if (err) {
		sim_world_destroy(world);
		return err;
	}
	make_wire(world);
	*out = world;
	return 0;
}

int sim_world_destroy(struct sim_world *world)
{
	const struct sim_binding *machine;
	unsigned int i;
	int err = 0;

	if (world->host)
		err = sim_host_destroy(world->host);
	if (err)
		return err; /* a driver may still call into what we would free */
	nic_sim_link_clear(&world->up);
	nic_sim_link_clear(&world->down);
	for (i = 0; (machine = sim_machine(world, i)); i++) {
		nic_edge_destroy(machine->edge);
		if (machine->nic)
			nic_close(machine->nic);
	}
	if (pcap_writer_close(world->pcap) != 0 && err == 0)
		err = -EIO;
	free(world);
	return err;
}
