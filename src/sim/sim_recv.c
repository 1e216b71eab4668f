/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiving half of a connection's end: posted requests, indications and the answers to them,
 * FIN, hand-over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/nrt_status.h"
#include "sim/sim_pattern.h"
#include "sim/sim_sock.h"

enum {
	REFUSE_ONE_IN =
		8, /* how often a mixed reader refuses, or takes a part of, what it could take */
};

/* One posted request. */
struct sim_post {
	struct sim_sock *sock;
	NET_BUFFER_LIST *nbl;
	MDL *mdl;
	uint32_t len;
	bool nopush;
	uint8_t data[];
};

/* The application's side. */

static void tell_eof(struct sim_sock *sock)
{
	struct sim_rx *rx = &sock->rx;

	if (rx->eof || !rx->fin_known || rx->got != rx->fin_at)
		return;
	rx->eof = true;
	sim_note(sock->world, "%u %s: end of stream after %llu", sock->number,
		 sock->side == SIM_AT_PEER ? "peer" : "host", (unsigned long long)rx->got);
	if (sock->app.eof)
		sock->app.eof(sock);
	sim_host_wake(sock);
}

static void take(struct sim_sock *sock, const uint8_t *data, uint32_t len)
{
	struct sim_rx *rx = &sock->rx;
	size_t right = sim_pattern_check(rx->key, rx->got, data, len);

	if (right != len)
		sim_world_fail(sock->world, "%u %s: byte %llu of the stream is wrong", sock->number,
			       sock->side == SIM_AT_PEER ? "peer" : "host",
			       (unsigned long long)(rx->got + right));
	rx->got += len;
	if (rx->fin_known && rx->got > rx->fin_at)
		sim_world_fail(sock->world, "%u: data behind the FIN", sock->number);
	if (len > 0 && sock->app.data)
		sock->app.data(sock, data, len);
	if (len > 0 && sock->app.received)
		sock->app.received(sock, len);
	tell_eof(sock);
}

/* What the application would take now, beyond what posted requests will hold. */
static uint64_t willing(const struct sim_rx *rx)
{
	uint64_t spoken_for = rx->got + rx->posted_bytes;

	return rx->goal > spoken_for ? rx->goal - spoken_for : 0;
}

void sim_recv_fin(struct sim_sock *sock)
{
	struct sim_rx *rx = &sock->rx;

	if (rx->fin_known && rx->fin_at != rx->got)
		sim_world_fail(sock->world,
			       "%u: disconnect indicated at byte %llu, FIN is behind %llu (DIS-23)",
			       sock->number, (unsigned long long)rx->got,
			       (unsigned long long)rx->fin_at);
	rx->fin_known = true;
	rx->fin_at = rx->got;
	tell_eof(sock);
}

/* Posted requests. */

static void post_free(struct sim_post *post)
{
	if (post->nbl)
		NdisFreeNetBufferList(post->nbl);
	if (post->mdl)
		NdisFreeMdl(post->mdl);
	free(post);
}

static void post(struct sim_sock *sock, uint32_t len, bool nopush)
{
	NDIS_HANDLE pool = sim_host_nbl_pool(sock->world->host);
	struct sim_post *request = malloc(sizeof(*request) + len);

	if (!request) {
		sim_world_fail(sock->world, "no memory for a receive request");
		return;
	}
	*request = (struct sim_post){ .sock = sock, .len = len, .nopush = nopush };
	if (len > 0)
		request->mdl = NdisAllocateMdl(pool, request->data, len);
	request->nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, request->mdl, 0, len);
	if (!request->nbl || (len > 0 && !request->mdl)) {
		post_free(request);
		sim_world_fail(sock->world, "no memory for a receive request");
		return;
	}
	request->nbl->ProtocolReserved[0] = request;
	NET_BUFFER_LIST_INFO(request->nbl, TcpReceiveNoPush) =
		(PVOID)(uintptr_t)(nopush ? TRUE : FALSE);
	sock->rx.posts++;
	sock->rx.posted_bytes += len;
	sock->rx.refused = false;
	if (len == 0)
		sock->counts.zero_posts++;
	if (NdisOffloadTcpReceive(&sock->handle, request->nbl) != NDIS_STATUS_PENDING)
		sim_world_fail(sock->world, "NdisOffloadTcpReceive did not pend");
}

static void check_receive(const struct sim_post *request, uint32_t bytes, NDIS_STATUS status)
{
	struct sim_sock *sock = request->sock;
	uint32_t room = (uint32_t)NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(request->nbl));

	if (bytes > request->len || room != request->len - bytes)
		sim_world_fail(sock->world,
			       "%u: receive of %u completed with %u bytes and room for %u",
			       sock->number, request->len, bytes, room);
	if (status == NDIS_STATUS_SUCCESS && request->nopush && bytes != request->len &&
	    !sock->rx.fin_known)
		sim_world_fail(sock->world, "%u: nonpush request completed with %u of %u (RCV-11)",
			       sock->number, bytes, request->len);
	if (status != NDIS_STATUS_SUCCESS && status != NDIS_STATUS_UPLOAD_IN_PROGRESS &&
	    status != NDIS_STATUS_REQUEST_ABORTED && status != NDIS_STATUS_INVALID_STATE)
		sim_world_fail(sock->world, "%u: receive completed with %s", sock->number,
			       nrt_status_name(status));
}

void sim_recv_complete(NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *nbl = chain;
		struct sim_post *request = nbl->ProtocolReserved[0];
		struct sim_sock *sock = request->sock;
		uint32_t bytes =
			(uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpOffloadBytesTransferred);

		chain = NET_BUFFER_LIST_NEXT_NBL(nbl);
		NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
		check_receive(request, bytes, NET_BUFFER_LIST_STATUS(nbl));
		sock->rx.posts--;
		sock->rx.posted_bytes -= request->len;
		sock->counts.posts_completed++;
		take(sock, request->data, bytes < request->len ? bytes : request->len);
		post_free(request);
		sim_host_wake(sock);
	}
}

static bool may_nopush(const struct sim_rx *rx, uint64_t len)
{
	return rx->expect != UINT64_MAX && rx->got + rx->posted_bytes + len <= rx->expect;
}

static enum sim_rx_mode pick_mode(struct sim_sock *sock)
{
	if (sock->rx.mode != SIM_RX_MIXED)
		return sock->rx.mode;
	return SIM_RX_INDICATE + (enum sim_rx_mode)nic_sim_rng_below(
					 &sock->world->rng, SIM_RX_MODES - SIM_RX_INDICATE);
}

void sim_recv_serve(struct sim_sock *sock)
{
	struct sim_rx *rx = &sock->rx;
	enum sim_rx_mode mode = pick_mode(sock);
	uint64_t len;

	if (rx->fin_known && rx->got == rx->fin_at)
		return;
	if (mode == SIM_RX_INDICATE) {
		if (!rx->refused || rx->posts > 0 || willing(rx) == 0)
			return;
		if (nic_sim_rng_below(&sock->world->rng, 2)) {
			post(sock, 0, false); /* opens the way for indications again (RCV-35) */
			return;
		}
	}
	while (rx->posts < rx->depth && (len = willing(rx)) > 0) {
		if (len > rx->piece)
			len = rx->piece;
		post(sock, (uint32_t)len, mode == SIM_RX_NOPUSH && may_nopush(rx, len));
	}
}

/* Indications. */

static uint32_t answer_of(struct sim_sock *sock, uint32_t len)
{
	uint64_t most = willing(&sock->rx);
	uint32_t takes = most < len ? (uint32_t)most : len;

	if (sock->rx.mode != SIM_RX_MIXED || takes == 0)
		return takes;
	switch (nic_sim_rng_below(&sock->world->rng, REFUSE_ONE_IN * 2)) {
	case 0:
		return 0;
	case 1:
		return 1 + (uint32_t)nic_sim_rng_below(&sock->world->rng, takes);
	default:
		return takes;
	}
}

NDIS_STATUS sim_recv_indicate(struct sim_sock *sock, NET_BUFFER_LIST *nbl, ULONG *consumed)
{
	NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
	uint32_t len = (uint32_t)NET_BUFFER_DATA_LENGTH(nb), takes = answer_of(sock, len);
	uint8_t *copy, *data;

	if (NET_BUFFER_LIST_NEXT_NBL(nbl) || NET_BUFFER_NEXT_NB(nb) || len == 0)
		sim_world_fail(sock->world,
			       "%u: an indication is not one list with one buffer (RCV-25)",
			       sock->number);
	if (!sock->down)
		sim_world_fail(sock->world, "%u: an indication in phase %d (OFF-28)", sock->number,
			       sock->phase);
	sock->counts.indications++;
	*consumed = takes;
	sim_host_wake(sock);
	if (takes == 0) {
		sock->counts.refusals++;
		sock->rx.refused = true;
		return NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED;
	}
	copy = malloc(len);
	data = copy ? NdisGetDataBuffer(nb, len, copy, 1, 0) : NULL;
	if (!data) {
		free(copy);
		sim_world_fail(sock->world, "%u: an indication cannot be read", sock->number);
		*consumed = 0;
		return NDIS_STATUS_OFFLOAD_DATA_NOT_ACCEPTED;
	}
	take(sock, data, takes);
	free(copy);
	if (takes < len) {
		sock->counts.part_acceptances++;
		sock->rx.refused = true;
		return NDIS_STATUS_OFFLOAD_DATA_PARTIALLY_ACCEPTED;
	}
	NET_BUFFER_LIST_NEXT_NBL(nbl) = sock->rx.indicated;
	sock->rx.indicated = nbl;
	return NDIS_STATUS_SUCCESS;
}

void sim_recv_give_back(struct sim_sock *sock)
{
	NET_BUFFER_LIST *chain = sock->rx.indicated;

	sock->rx.indicated = NULL;
	if (chain)
		NdisOffloadTcpReceiveReturn(sock->at->handle, chain);
}

/* Hand-over. */

void sim_recv_drain_stash(struct sim_sock *sock)
{
	struct sim_rx *rx = &sock->rx;
	uint64_t most = rx->goal > rx->got ? rx->goal - rx->got : 0;
	uint32_t part = most < rx->stash_bytes ? (uint32_t)most : rx->stash_bytes;

	if (sock->phase != SIM_MOVING && sock->phase != SIM_ENDED)
		return;
	if (part > 0) {
		take(sock, rx->stash, part);
		rx->stash_bytes -= part;
		memmove(rx->stash, rx->stash + part, rx->stash_bytes);
	}
	tell_eof(sock);
}

NET_BUFFER_LIST *sim_recv_buffered(struct sim_sock *sock)
{
	NDIS_HANDLE pool = sim_host_nbl_pool(sock->world->host);
	NET_BUFFER_LIST *nbl;
	MDL *mdl;

	if (sock->rx.stash_bytes == 0)
		return NULL;
	mdl = NdisAllocateMdl(pool, sock->rx.stash, sock->rx.stash_bytes);
	nbl = mdl ? NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, sock->rx.stash_bytes)
		  : NULL;
	if (!nbl)
		sim_world_fail(sock->world, "no memory for buffered data");
	return nbl;
}

void sim_recv_buffered_free(struct sim_sock *sock, NET_BUFFER_LIST *chain, bool taken)
{
	MDL *mdl;

	if (!chain)
		return;
	mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(chain));
	NdisFreeNetBufferList(chain);
	NdisFreeMdl(mdl);
	if (!taken)
		return;
	sock->rx.stash_bytes = 0;
	/* Handed-over data waits for a request as refused data does (BUF-32) */
	sock->rx.refused = true;
}

static int stash_append(struct sim_rx *rx, NET_BUFFER *nb)
{
	uint32_t len = (uint32_t)NET_BUFFER_DATA_LENGTH(nb);
	uint8_t *grown = realloc(rx->stash, rx->stash_bytes + len + 1u), *data;

	if (!grown)
		return -ENOMEM;
	rx->stash = grown;
	data = NdisGetDataBuffer(nb, len, grown + rx->stash_bytes, 1, 0);
	if (!data)
		return -EINVAL;
	if (data != grown + rx->stash_bytes)
		memcpy(grown + rx->stash_bytes, data, len);
	rx->stash_bytes += len;
	return 0;
}

void sim_recv_recover(struct sim_sock *sock, NET_BUFFER_LIST *chain,
		      const TCP_OFFLOAD_STATE_DELEGATED *delegated)
{
	struct sim_rx *rx = &sock->rx;
	uint32_t before = rx->stash_bytes, have;
	NET_BUFFER_LIST *nbl;
	NET_BUFFER *nb;

	for (nbl = chain; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
		for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
			if (NET_BUFFER_DATA_LENGTH(nb) > 0 && stash_append(rx, nb) != 0)
				sim_world_fail(sock->world, "%u: buffered data cannot be read",
					       sock->number);
		}
	}
	if (chain)
		NdisOffloadTcpReceiveReturn(sock->at->handle, chain);
	sock->counts.buffered_given_back += rx->stash_bytes - before;
	if (rx->posts > 0 || rx->posted_bytes > 0)
		sim_world_fail(sock->world, "%u: %u receive requests are lost (TRM-15)",
			       sock->number, rx->posts);
	have = (uint32_t)rx->got + rx->stash_bytes + (rx->fin_known ? 1u : 0u);
	if (!sock->aborted && delegated->State != TcpConnectionClosed &&
	    delegated->RcvNxt - sock->rcv_base != have)
		sim_world_fail(sock->world,
			       "%u: RcvNxt counts %u bytes, application and stash have %u",
			       sock->number, delegated->RcvNxt - sock->rcv_base, have);
	rx->refused = false;
	if (nic_sim_rng_below(&sock->world->rng, 2) || sock->move.final)
		sim_recv_drain_stash(sock); /* the program may read between two places, or not */
}
