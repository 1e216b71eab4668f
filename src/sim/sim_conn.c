/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a connection that has just become ESTABLISHED, with one consistent state for both ends. */
#include <arpa/inet.h>
#include <ndis/chimneyext.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_sock.h"

enum {
	NO_SCALE = 0xff,
	IP_TCP_BYTES_V4 = 40,
	IP_TCP_BYTES_V6 = 60,
	INITIAL_CWND_SEGMENTS = 10,
	DEFAULT_WINDOW = 128 << 10,
	DEFAULT_PIECE = 16 << 10,
	DEFAULT_DEPTH = 4,
	DEFAULT_STEER_LEAD_US = 20,
	NEAR_WRAP = 300000, /* sequence numbers begin at most this far before the wrap */
};

static uint32_t mss_of(const struct sim_world *world, const struct sim_conn_config *config)
{
	uint32_t headers = config->family == SIM_V4 ? IP_TCP_BYTES_V4 : IP_TCP_BYTES_V6;

	return config->mss ? config->mss : world->config.mtu_bytes - headers;
}

void sim_conn_config_draw(struct sim_world *world, struct sim_conn_config *config)
{
	static const uint32_t buffers[] = { 16 << 10, 64 << 10, 200000, 1 << 20 };
	struct nic_sim_rng *rng = &world->rng;
	bool scaled = nic_sim_rng_below(rng, 4) != 0;
	int side;

	memset(config, 0, sizeof(*config));
	config->family = nic_sim_rng_below(rng, 2) ? SIM_V6 : SIM_V4;
	config->timestamps = nic_sim_rng_below(rng, 4) != 0;
	config->sack = nic_sim_rng_below(rng, 4) != 0;
	config->nagle = nic_sim_rng_below(rng, 2) != 0;
	for (side = 0; side < SIM_SIDES; side++) {
		config->wscale[side] = scaled ? (uint8_t)nic_sim_rng_below(rng, 10) : NO_SCALE;
		config->rcv_buf_bytes[side] = buffers[nic_sim_rng_below(rng, 4)];
		config->iss[side] = 0u - (uint32_t)nic_sim_rng_below(rng, NEAR_WRAP);
		config->ts_now[side] = (uint32_t)nic_sim_rng_next(rng);
	}
	/* Time stamps near the wrap as well, in some runs. */
	if (nic_sim_rng_below(rng, 4) == 0)
		config->ts_now[nic_sim_rng_below(rng, 2)] =
			0u - (uint32_t)nic_sim_rng_below(rng, 500);
	config->rcv_indication_bytes = nic_sim_rng_below(rng, 2) ? 0 : 8192;
	config->ecn = nic_sim_rng_below(rng, 2) != 0;
}

static uint32_t scale_of(const struct sim_conn_config *config, int side)
{
	return config->wscale[side] == NO_SCALE ? 0 : config->wscale[side];
}

/* The window that a side has advertised: its buffer, as far as the header field can say it. */
static uint32_t window_of(const struct sim_conn_config *config, int side)
{
	uint64_t most = 65535ull << scale_of(config, side);
	uint64_t window = config->rcv_buf_bytes[side] < most ? config->rcv_buf_bytes[side] : most;

	return (uint32_t)(window >> scale_of(config, side) << scale_of(config, side));
}

static void fill_constant(struct sim_sock *sock, const struct sim_conn_config *config)
{
	TCP_OFFLOAD_STATE_CONST *constant = &sock->state.constant;
	int side = (int)sock->side, other = side ^ 1;
	uint16_t peer_port = (uint16_t)(SIM_PEER_PORT + sock->number);

	if (config->timestamps)
		constant->Flags |= TCP_FLAG_TIMESTAMP_ENABLED;
	if (config->sack)
		constant->Flags |= TCP_FLAG_SACK_ENABLED;
	if (config->ecn)
		constant->Flags |= TCP_FLAG_ECN_ENABLED;
	if (config->wscale[side] != NO_SCALE)
		constant->Flags |= TCP_FLAG_WINDOW_SCALING_ENABLED;
	constant->LocalPort = htons(sock->side == SIM_AT_PEER ? peer_port : SIM_HOST_PORT);
	constant->RemotePort = htons(sock->side == SIM_AT_PEER ? SIM_HOST_PORT : peer_port);
	constant->SndWindScale = scale_of(config, other) & 15;
	constant->RcvWindScale = scale_of(config, side) & 15;
	constant->RemoteMss = (USHORT)mss_of(sock->world, config);
}

static void fill_cached(struct sim_sock *sock, const struct sim_conn_config *config)
{
	TCP_OFFLOAD_STATE_CACHED *cached = &sock->state.cached;

	cached->Flags = config->nagle ? TCP_FLAG_NAGLING_ENABLED : 0;
	cached->Flags |= config->cork ? TCP_FLAG_CORK_ENABLED : 0;
	cached->InitialRcvWnd = config->rcv_buf_bytes[sock->side];
	cached->RcvIndicationSize = config->rcv_indication_bytes;
	cached->FlowLabel = config->family == SIM_V6 ? 0x12345u + sock->number : 0;
	cached->TtlOrHopLimit = 64;
}

static void fill_delegated(struct sim_sock *sock, const struct sim_conn_config *config)
{
	TCP_OFFLOAD_STATE_DELEGATED *delegated = &sock->state.delegated;
	int side = (int)sock->side, other = side ^ 1;

	delegated->State = TcpConnectionEstablished;
	delegated->RcvNxt = config->iss[other];
	delegated->RcvWnd = window_of(config, side);
	delegated->SndUna = delegated->SndNxt = delegated->SndMax = config->iss[side];
	delegated->SndWnd = delegated->MaxSndWnd = window_of(config, other);
	delegated->SendWL1 = config->iss[other];
	delegated->CWnd = INITIAL_CWND_SEGMENTS * mss_of(sock->world, config);
	delegated->SsThresh = 0x7fffffff;
	delegated->TsRecent = config->ts_now[other];
	delegated->TsTime = config->ts_now[side];
	delegated->KeepAlive.TimeoutDelta = 0xFFFFFFFF;
	delegated->Retransmit.TimeoutDelta = 0xFFFFFFFF;
}

static struct sim_sock *sock_new(struct sim_world *world, struct sim_conn *conn, enum sim_side side,
				 const struct sim_conn_config *config)
{
	struct sim_sock *sock = calloc(1, sizeof(*sock));
	unsigned int number = (unsigned int)(conn - world->conns);

	if (!sock)
		return NULL;
	sock->world = world;
	sock->conn = conn;
	sock->side = side;
	sock->number = number;
	sock->at = &world->bindings[side == SIM_AT_PEER ? SIM_PEER : SIM_KERNEL];
	sock->snd_base = config->iss[side];
	sock->rcv_base = config->iss[side ^ 1];
	sock->tx.key = world->config.seed * 1000003 + number * 2u + (unsigned int)side;
	sock->rx.key = world->config.seed * 1000003 + number * 2u + ((unsigned int)side ^ 1);
	sock->steer_lead_us = DEFAULT_STEER_LEAD_US;
	sock->tx.window = DEFAULT_WINDOW;
	sock->tx.piece = DEFAULT_PIECE;
	sock->rx.goal = config->reader_waits[side] ? 0 : UINT64_MAX;
	sock->rx.expect = UINT64_MAX;
	sock->rx.piece = DEFAULT_PIECE;
	sock->rx.depth = DEFAULT_DEPTH;
	fill_constant(sock, config);
	fill_cached(sock, config);
	fill_delegated(sock, config);
	return sock;
}

struct sim_conn *sim_conn_open(struct sim_world *world, const struct sim_conn_config *config)
{
	struct sim_conn *conn;
	int side;

	if (world->conn_count >= world->config.conns)
		return NULL;
	conn = &world->conns[world->conn_count];
	conn->family = config->family;
	for (side = 0; side < SIM_SIDES; side++) {
		conn->sock[side] = sock_new(world, conn, side, config);
		if (!conn->sock[side]) {
			sim_sock_free(conn->sock[SIM_AT_PEER]);
			return NULL;
		}
	}
	world->conn_count++;
	for (side = 0; side < SIM_SIDES; side++)
		sim_sock_begin(conn->sock[side]);
	return conn;
}

struct sim_conn *sim_conn_open_alone(struct sim_world *world, const struct sim_conn_config *config,
				     void (*prepare)(struct sim_sock *sock, void *ctx), void *ctx)
{
	struct sim_conn *conn;
	struct sim_sock *sock;

	if (world->conn_count >= world->config.conns)
		return NULL;
	conn = &world->conns[world->conn_count];
	conn->family = config->family;
	sock = sock_new(world, conn, SIM_AT_HOST, config);
	if (!sock)
		return NULL;
	conn->sock[SIM_AT_HOST] = sock;
	conn->steered = true;
	sock->at = &world->bindings[SIM_TARGET];
	world->conn_count++;
	if (prepare)
		prepare(sock, ctx);
	sim_sock_begin(sock);
	return conn;
}
