/* SPDX-License-Identifier: BSD-2-Clause */
#include "certify/certify_case.h"

#include <stdarg.h>
#include <string.h>

#include "base/seq.h"
#include "ndis/nrt.h"
#include "nic/nic_sim_frame.h"

bool cert_check(struct cert *c, const char *id, bool ok, const char *what)
{
	const char *named;

	if (c->world && c->world->failed) {
		/* The simulated host names the requirement at the end of its sentence if it knows. */
		named = strrchr(c->world->failure, '(');
		if (named && strlen(named) == 8 && named[7] == ')')
			fprintf(c->results, "F %.6s %s\n", named + 1, c->world->failure);
		else
			fprintf(c->results, "F %s %s\n", id, c->world->failure);
		c->failed = true;
		return false;
	}
	fprintf(c->results, "%c %s %s\n", ok ? 'P' : 'F', id, what);
	c->failed |= !ok;
	return ok;
}

void cert_skip(struct cert *c, const char *why)
{
	size_t at, bytes;

	for (at = 0; c->ids[at]; at += bytes + (c->ids[at + bytes] == ' ')) {
		bytes = strcspn(c->ids + at, " ");
		fprintf(c->results, "N %.*s %s\n", (int)bytes, c->ids + at, why);
	}
}

const NDIS_TCP_CONNECTION_OFFLOAD *cert_announced(const struct cert *c)
{
	return nrt_adapter_offload(nrt_adapter_find(c->world->bindings[SIM_TARGET].adapter_name),
				   true);
}

/* Two segments an ACK, and what one turn may bring at most besides. */
#define UNACKED_LIMIT 16u

/* ---- the wire ---- */

static void broke(struct cert_wire *wire, const char *id, const char *fmt, ...)
{
	va_list args;

	if (wire->broken_id)
		return;
	wire->broken_id = id;
	va_start(args, fmt);
	vsnprintf(wire->broken, sizeof(wire->broken), fmt, args);
	va_end(args);
}

static void watch_packet(struct cert *c, const struct nic_sim_packet *packet,
			 const struct nic_sim_view *v)
{
	const TCP_OFFLOAD_STATE_CACHED *cached = &c->host->state.cached;
	const uint8_t *ip = packet->data + v->l3;
	struct cert_wire *w = &c->wire;
	static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 1 }, own_mac[6] = { 2, 0, 0, 0, 0, 2 };

	if (packet->len > w->longest_frame)
		w->longest_frame = packet->len;
	if (!nic_sim_csum_ok(packet->data, v))
		broke(w, "TCP-02", "a frame with a wrong checksum was sent");
	if (ip[v->ip_version == 4 ? 8 : 7] != cached->TtlOrHopLimit)
		broke(w, "STA-27", "TTL or hop limit is %u, the cached state says %u",
		      ip[v->ip_version == 4 ? 8 : 7], cached->TtlOrHopLimit);
	if (v->ip_version == 4 && (ip[1] & 0xfc) != (cached->TosOrTrafficClass & 0xfc))
		broke(w, "STA-28", "TOS is 0x%x, the cached state says 0x%x", ip[1],
		      cached->TosOrTrafficClass);
	if (memcmp(packet->data, peer_mac, 6))
		broke(w, "STA-15", "the destination MAC is not the neighbor's");
	if (memcmp(packet->data + 6, own_mac, 6))
		broke(w, "STA-12", "the source MAC is not the interface's");
}

static void watch_timestamps(struct cert *c, const struct nic_sim_view *v)
{
	struct cert_wire *w = &c->wire;

	if (!(c->host->state.constant.Flags & TCP_FLAG_TIMESTAMP_ENABLED))
		return;
	if (!v->has_ts && !(v->flags & NIC_SIM_RST))
		broke(w, "TCP-17", "a segment without timestamps on a connection that has them");
	if (!v->has_ts)
		return;
	if (w->ts_seen && seq_gt(w->last_ts, v->ts_val))
		broke(w, "TSP-08", "the timestamp went back from %u to %u", w->last_ts, v->ts_val);
	if (w->peer_ts_seen && seq_gt(v->ts_ecr, w->peer_ts))
		broke(w, "TSP-10", "timestamp %u is echoed, the peer sent none above %u", v->ts_ecr,
		      w->peer_ts);
	w->last_ts = v->ts_val;
	w->ts_seen = true;
}

static void watch_window(struct cert *c, const struct nic_sim_view *v)
{
	uint32_t scale = c->host->state.constant.RcvWindScale;
	uint32_t end = v->ack + ((uint32_t)v->window << scale);
	struct cert_wire *w = &c->wire;

	if (v->flags & NIC_SIM_RST)
		return;
	if (w->window_seen && seq_gt(w->window_end, end + (1u << scale)))
		broke(w, "STA-21", "the right edge of the window went back by %u bytes",
		      w->window_end - end);
	if (!w->window_seen || seq_gt(end, w->window_end))
		w->window_end = end;
	w->window_seen = true;
}

static void watch_segment(struct cert *c, const struct nic_sim_view *v)
{
	struct cert_wire *w = &c->wire;

	w->segments++;
	if (v->flags & NIC_SIM_FIN)
		w->fins++;
	if (v->flags & NIC_SIM_URG)
		broke(w, "TCP-01", "a segment with URG set");
	if (v->flags & NIC_SIM_RST) {
		/* once the connection is over it is the host's stack that answers, over the same nic */
		w->resets += c->host->phase != SIM_ENDED;
		if (!c->may_reset)
			broke(w, "DIS-04", "an RST that nobody asked for");
	}
	if (v->payload_len) {
		w->data_segments++;
		w->last_data_pushed = v->flags & NIC_SIM_PSH;
		if (w->peer_window_seen && seq_gt(v->seq + v->payload_len, w->peer_window_end + 1))
			broke(w, "TCP-06", "data %u bytes beyond the peer's window",
			      v->seq + v->payload_len - w->peer_window_end);
	} else {
		w->pure_acks++;
	}
	if (v->flags & NIC_SIM_ACK) {
		w->unacked = 0;
		if (w->peer_end_seen && seq_gt(v->ack, w->peer_end))
			broke(w, "TCP-05", "%u is acknowledged, the peer sent up to %u", v->ack,
			      w->peer_end);
	}
}

/* The peer's segments as they reach the target. */
static void watch_peer(struct cert *c, const struct nic_sim_view *v, enum nic_sim_fate fate)
{
	struct cert_wire *w = &c->wire;
	uint32_t end = v->ack + ((uint32_t)v->window << c->peer->state.constant.RcvWindScale);
	uint32_t seq_end = v->seq + v->payload_len + (v->flags & NIC_SIM_FIN);

	if (fate == NIC_SIM_SENT) {
		if (v->has_ts && (!w->peer_ts_seen || seq_gt(v->ts_val, w->peer_ts)))
			w->peer_ts = v->ts_val;
		w->peer_ts_seen |= v->has_ts;
		if (!w->peer_end_seen || seq_gt(seq_end, w->peer_end))
			w->peer_end = seq_end;
		w->peer_end_seen = true;
		if (!w->peer_window_seen || seq_gt(end, w->peer_window_end))
			w->peer_window_end = end;
		w->peer_window_seen = true;
		return;
	}
	if (v->payload_len && ++w->unacked > w->unacked_most)
		w->unacked_most = w->unacked;
	if (w->unacked > UNACKED_LIMIT)
		broke(w, "INI-21", "%u segments came in without an ACK", w->unacked);
}

static void watch(void *ctx, const struct nic_sim_node *node, enum nic_sim_fate fate,
		  const struct nic_sim_packet *packet)
{
	struct cert *c = ctx;
	struct sim_conn *conn;
	struct nic_sim_view v;
	enum sim_side side;
	bool target = node == nic_sim_node(c->world->bindings[SIM_TARGET].nic);
	bool peer = node == nic_sim_node(c->world->bindings[SIM_PEER].nic);

	if (!c->host || (!target && !peer) || !nic_sim_view(packet->data, packet->len, &v))
		return;
	conn = sim_world_conn_of(c->world, &v, &side);
	if (conn && conn != c->host->conn)
		return; /* one connection is watched */
	if (target && fate == NIC_SIM_SENT) {
		if (!conn || side != SIM_AT_PEER) {
			broke(&c->wire, "STA-23", "a segment with ports %u and %u", v.src_port,
			      v.dst_port);
			return;
		}
		watch_packet(c, packet, &v);
		watch_timestamps(c, &v);
		watch_window(c, &v);
		watch_segment(c, &v);
	} else if ((peer && fate == NIC_SIM_SENT) || (target && fate == NIC_SIM_RECEIVED)) {
		watch_peer(c, &v, fate);
	}
}

/* ---- the world ---- */

struct waiting {
	struct cert *c;
	cert_cond *cond;
};

static bool is_over(void *ctx)
{
	struct waiting *w = ctx;

	return w->cond(w->c);
}

bool cert_wait(struct cert *c, cert_cond *cond, uint64_t us)
{
	struct waiting w = { c, cond };

	return sim_world_run(c->world, sim_world_now(c->world) + us, is_over, &w);
}

static bool both_live(struct cert *c)
{
	return c->peer->phase == SIM_LIVE && c->host->phase == SIM_LIVE;
}

bool cert_open(struct cert *c, const struct sim_config *config, const struct sim_conn_config *conn)
{
	struct sim_conn_config own_conn = *conn;
	struct sim_config own = *config;
	struct sim_conn *made;

	own.target_module = c->module;
	if (!cert_check(c, "INI-34", sim_world_create(&c->world, &own) == 0,
			"an adapter of the driver starts and can be bound to"))
		return false;
	c->world->watch = watch;
	c->world->watch_ctx = c;
	own_conn.sack &= cert_announced(c)->SupportSack == NDIS_OFFLOAD_SUPPORTED;
	made = sim_conn_open(c->world, &own_conn);
	if (!made)
		return false;
	c->peer = made->sock[SIM_AT_PEER];
	c->host = made->sock[SIM_AT_HOST];
	c->wire.window_end = c->host->state.delegated.RcvNxt + c->host->state.delegated.RcvWnd;
	c->wire.window_seen = true;
	return cert_wait(c, both_live, CERT_S);
}

void cert_close(struct cert *c)
{
	static const char *const rules[] = { "TCP-02", "STA-27", "STA-28", "STA-15", "STA-12",
					     "TCP-17", "TSP-08", "TSP-10", "STA-21", "TCP-01",
					     "DIS-04", "TCP-06", "TCP-05", "STA-23" };
	struct sim_world *world = c->world;
	unsigned int i;
	bool clean;

	if (!world)
		return;
	if (c->wire.broken_id)
		cert_check(c, c->wire.broken_id, false, c->wire.broken);
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!c->wire.broken_id && !c->failed && c->wire.segments > 3)
			cert_check(c, rules[i], true, "on every frame");
	if (c->failed)
		return;
	c->host = NULL;
	cert_check(c, "TRM-16", !world->failed, "the world is in order at the end");
	c->world = NULL;
	clean = sim_world_destroy(world) == 0;
	cert_check(c, "TRM-17", clean, "nothing is left when everything was taken back");
	if (!clean)
		sim_trace_dump(&world->trace, stderr, CERT_TRACE_LINES);
}
