/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sending half of a connection's end: sends, graceful and abortive disconnect, and what an
 * upload gives back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/nrt_status.h"
#include "sim/sim_pattern.h"
#include "sim/sim_sock.h"

enum { MDLS_MAX = 3 };

/*
 * One send or disconnect request and its bytes. In sock->tx.sends until the peer has acknowledged
 * them.
 */
struct sim_send {
	struct sim_sock *sock;
	struct sim_send *next;
	NET_BUFFER_LIST *nbl;
	MDL *mdl;
	uint64_t offset; /* of the first byte in the stream */
	uint32_t len;
	uint32_t left; /* bytes at the end that are not acknowledged, when the request is with us */
	bool below;    /* the request is with the target */
	bool returned; /* came back in the chain of the present upload */
	bool disconnect, abortive;
	uint8_t data[];
};

void sim_send_init(struct sim_sock *sock)
{
	sock->tx.sends = NULL;
	sock->tx.sends_tail = &sock->tx.sends;
}

static void send_free(struct sim_send *send)
{
	while (send->mdl) {
		MDL *mdl = send->mdl;

		send->mdl = mdl->Next;
		NdisFreeMdl(mdl);
	}
	if (send->nbl)
		NdisFreeNetBufferList(send->nbl);
	free(send);
}

/* The bytes in up to MDLS_MAX pieces, as a program's buffers would lie in memory. */
static int describe(struct sim_send *send)
{
	struct sim_sock *sock = send->sock;
	NDIS_HANDLE pool = sim_host_nbl_pool(sock->world->host);
	uint32_t done = 0, pieces = 1 + (uint32_t)nic_sim_rng_below(&sock->world->rng, MDLS_MAX);
	MDL **tail = &send->mdl;

	while (done < send->len) {
		uint32_t part = pieces-- > 1 ? 1 + (uint32_t)nic_sim_rng_below(&sock->world->rng,
									       send->len - done)
					     : send->len - done;

		*tail = NdisAllocateMdl(pool, send->data + done, part);
		if (!*tail)
			return -ENOMEM;
		tail = &(*tail)->Next;
		done += part;
	}
	send->nbl = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, send->mdl, 0, send->len);
	return send->nbl ? 0 : -ENOMEM;
}

static struct sim_send *send_new(struct sim_sock *sock, uint32_t len)
{
	struct sim_send *send = calloc(1, sizeof(*send) + len);

	if (!send)
		return NULL;
	send->sock = sock;
	send->offset = sock->tx.queued;
	send->len = send->left = len;
	sim_pattern_fill(sock->tx.key, send->offset, send->data, len);
	if (describe(send) != 0) {
		send_free(send);
		return NULL;
	}
	send->nbl->ProtocolReserved[0] = send;
	sock->tx.queued += len;
	*sock->tx.sends_tail = send;
	sock->tx.sends_tail = &send->next;
	return send;
}

static void unlink_send(struct sim_send *send)
{
	struct sim_tx *tx = &send->sock->tx;
	struct sim_send **at = &tx->sends;

	while (*at != send)
		at = &(*at)->next;
	*at = send->next;
	if (!*at)
		tx->sends_tail = at;
}

static void send_done(struct sim_send *send)
{
	send->sock->tx.acked += send->len;
	unlink_send(send);
	send_free(send);
}

void sim_send_drop(struct sim_sock *sock)
{
	while (sock->tx.sends) {
		struct sim_send *send = sock->tx.sends;

		unlink_send(send);
		send_free(send);
	}
}

/* Doing it. */

static void disconnect(struct sim_sock *sock, uint32_t len, ULONG flags)
{
	struct sim_send *send = send_new(sock, len);

	if (!send) {
		sim_world_fail(sock->world, "no memory for a disconnect");
		return;
	}
	send->disconnect = true;
	send->abortive = flags == TCP_DISCONNECT_ABORTIVE_CLOSE;
	send->below = true;
	if (flags == TCP_DISCONNECT_GRACEFUL_CLOSE)
		sock->tx.fin_issued = sock->tx.fin_open = true;
	sim_note(sock->world, "%u %s: disconnect %s with %u bytes", sock->number,
		 sim_place_name(sock->at->place),
		 flags == TCP_DISCONNECT_GRACEFUL_CLOSE ? "graceful" : "abortive", len);
	if (NdisOffloadTcpDisconnect(&sock->handle, send->nbl, flags) != NDIS_STATUS_PENDING)
		sim_world_fail(sock->world, "NdisOffloadTcpDisconnect did not pend");
}

/*
 * Requests that came back wait for the upload that the target asked for: nothing may overtake them.
 */
static bool waits_for_upload(const struct sim_sock *sock)
{
	const struct sim_send *send;

	for (send = sock->tx.sends; send; send = send->next) {
		if (!send->below)
			return true;
	}
	return false;
}

static void send_data(struct sim_sock *sock)
{
	struct sim_tx *tx = &sock->tx;

	while (tx->queued < tx->goal && tx->queued - tx->acked < tx->window) {
		uint64_t want = tx->goal - tx->queued;
		uint32_t len = 1 + (uint32_t)nic_sim_rng_below(&sock->world->rng, tx->piece);
		struct sim_send *send;

		if (len >= want || tx->whole) {
			len = (uint32_t)want;
			/* The last piece can go with the disconnect request (DIS-10). */
			if (tx->close && nic_sim_rng_below(&sock->world->rng, 2)) {
				disconnect(sock, len, TCP_DISCONNECT_GRACEFUL_CLOSE);
				return;
			}
		}
		send = send_new(sock, len);
		if (!send) {
			sim_world_fail(sock->world, "no memory for a send");
			return;
		}
		send->below = true;
		if (NdisOffloadTcpSend(&sock->handle, send->nbl) != NDIS_STATUS_PENDING)
			sim_world_fail(sock->world, "NdisOffloadTcpSend did not pend");
	}
}

void sim_send_serve(struct sim_sock *sock)
{
	struct sim_tx *tx = &sock->tx;

	if (tx->abort && !sock->aborted && !sock->abort_issued) {
		sock->abort_issued = true;
		disconnect(sock, 0, TCP_DISCONNECT_ABORTIVE_CLOSE);
		return;
	}
	if (tx->fin_issued || sock->abort_issued || waits_for_upload(sock))
		return;
	send_data(sock);
	if (tx->close && !tx->fin_issued && tx->queued == tx->goal)
		disconnect(sock, 0, TCP_DISCONNECT_GRACEFUL_CLOSE);
}

/* Completions. */

static uint32_t bytes_transferred(const NET_BUFFER_LIST *nbl)
{
	return (uint32_t)(uintptr_t)NET_BUFFER_LIST_INFO(nbl, TcpOffloadBytesTransferred);
}

static uint32_t data_left(const NET_BUFFER_LIST *nbl)
{
	return (uint32_t)NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(nbl));
}

/*
 * A request that is complete with success: all of it was acknowledged, in order, and the list says
 * so.
 */
static void check_success(struct sim_send *send)
{
	struct sim_sock *sock = send->sock;

	if (sock->tx.sends != send)
		sim_world_fail(sock->world, "%u: send at %llu completed out of order", sock->number,
			       (unsigned long long)send->offset);
	if (bytes_transferred(send->nbl) != send->left || data_left(send->nbl) != 0)
		sim_world_fail(sock->world,
			       "%u: send of %u bytes completed with %u transferred, %u left",
			       sock->number, send->left, bytes_transferred(send->nbl),
			       data_left(send->nbl));
}

static void come_back(struct sim_send *send)
{
	send->below = false;
	send->left = data_left(send->nbl);
	if (send->left > send->len)
		sim_world_fail(send->sock->world, "%u: a send came back longer than it was",
			       send->sock->number);
}

static void one_complete(struct sim_send *send, NDIS_STATUS status)
{
	struct sim_sock *sock = send->sock;

	switch (status) {
	case NDIS_STATUS_SUCCESS:
		check_success(send);
		send_done(send);
		break;
	case NDIS_STATUS_REQUEST_UPLOAD: /* an intermediate driver was short of memory (IMD-22) */
		sock->asked_back = true;
		come_back(send);
		break;
	case NDIS_STATUS_UPLOAD_IN_PROGRESS:
	case NDIS_STATUS_UPLOAD_REQUESTED:
		come_back(send);
		break;
	case NDIS_STATUS_REQUEST_ABORTED:
		sock->tx.lost = true; /* the event that says why may come later (DIS-27) */
		unlink_send(send);
		send_free(send);
		break;
	default:
		sim_world_fail(sock->world, "%u: send completed with %s", sock->number,
			       nrt_status_name(status));
		break;
	}
}

void sim_send_complete(NET_BUFFER_LIST *chain)
{
	while (chain) {
		NET_BUFFER_LIST *nbl = chain;
		struct sim_send *send = nbl->ProtocolReserved[0];
		struct sim_sock *sock = send->sock;

		chain = NET_BUFFER_LIST_NEXT_NBL(nbl);
		NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
		one_complete(send, NET_BUFFER_LIST_STATUS(nbl));
		sim_host_wake(sock);
	}
}

static void graceful_complete(struct sim_send *send, NDIS_STATUS status)
{
	struct sim_sock *sock = send->sock;

	sock->tx.fin_open = false;
	if (status == NDIS_STATUS_SUCCESS) {
		sock->tx.fin_acked = true;
		check_success(send);
		send_done(send);
	} else if (status == NDIS_STATUS_UPLOAD_IN_PROGRESS) {
		come_back(send);
		if (send->len == 0) {
			unlink_send(send);
			send_free(send);
		}
	} else {
		one_complete(send, status);
	}
}

void sim_disconnect_complete(NET_BUFFER_LIST *chain)
{
	struct sim_send *send = chain->ProtocolReserved[0];
	struct sim_sock *sock = send->sock;
	NDIS_STATUS status = NET_BUFFER_LIST_STATUS(chain);

	sim_note(sock->world, "%u %s: disconnect completed with %s", sock->number,
		 sim_place_name(sock->at->place), nrt_status_name(status));
	if (NET_BUFFER_LIST_NEXT_NBL(chain) || !send->disconnect)
		sim_world_fail(sock->world,
			       "%u: a disconnect completion with other requests (DIS-19)",
			       sock->number);
	if (send->abortive) {
		sock->aborted = status != NDIS_STATUS_UPLOAD_IN_PROGRESS;
		sock->abort_issued = sock->aborted; /* the next place does it */
		unlink_send(send);
		send_free(send);
	} else {
		graceful_complete(send, status);
	}
	sim_host_wake(sock);
}

/* Hand-over. */

NET_BUFFER_LIST *sim_send_chain(struct sim_sock *sock, NET_BUFFER_LIST **tail)
{
	NET_BUFFER_LIST *head = NULL, **at = &head;
	struct sim_send *send;

	*tail = NULL;
	for (send = sock->tx.sends; send; send = send->next) {
		NET_BUFFER_LIST_NEXT_NBL(send->nbl) = NULL;
		NET_BUFFER_LIST_STATUS(send->nbl) = NDIS_STATUS_SUCCESS;
		*at = send->nbl;
		at = &NET_BUFFER_LIST_NEXT_NBL(send->nbl);
		*tail = send->nbl;
		send->below = true;
	}
	return head;
}

/* The chain must hold our requests in stream order and nothing else (BUF-21, BLK-17). */
static void take_chain(struct sim_sock *sock, NET_BUFFER_LIST *chain)
{
	struct sim_send *send = sock->tx.sends;

	while (chain) {
		NET_BUFFER_LIST *nbl = chain;

		chain = NET_BUFFER_LIST_NEXT_NBL(nbl);
		NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
		while (send && send->nbl != nbl)
			send = send->next;
		if (!send || !send->below) {
			sim_world_fail(
				sock->world,
				"%u: the upload gave back a send that was not out, or out of order",
				sock->number);
			return;
		}
		come_back(send);
		sock->counts.sends_given_back++;
	}
}

void sim_send_recover(struct sim_sock *sock, NET_BUFFER_LIST *chain,
		      const TCP_OFFLOAD_STATE_DELEGATED *delegated)
{
	struct sim_tx *tx = &sock->tx;
	uint64_t una =
		tx->acked + (uint32_t)(delegated->SndUna - sock->snd_base - (uint32_t)tx->acked);
	uint64_t left = 0;
	struct sim_send *send, *next;

	take_chain(sock, chain);
	for (send = tx->sends; send; send = next) {
		next = send->next;
		if (send->below)
			sim_world_fail(sock->world, "%u: the send at %llu is lost", sock->number,
				       (unsigned long long)send->offset);
		left += send->left;
		if (send->left == 0)
			send_done(send);
	}
	if (sock->aborted || delegated->State == TcpConnectionClosed)
		return;
	if (tx->fin_issued && una == tx->queued + 1) {
		tx->fin_acked = true;
		una = tx->queued;
	}
	if (una > tx->queued || left != tx->queued - una)
		sim_world_fail(sock->world,
			       "%u: %llu bytes queued, SndUna says %llu, but %llu came back "
			       "unacknowledged",
			       sock->number, (unsigned long long)tx->queued,
			       (unsigned long long)una, (unsigned long long)left);
}
